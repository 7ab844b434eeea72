/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A terminal for a command that runs elsewhere: a pty whose other side is ours, as ssh -t makes. */
#pragma once

#include <glib.h>
#include <poll.h>

typedef struct Terminal Terminal;

/* Whether standard input and output are both a terminal. */
gboolean terminal_is_here(void);

/* As large as ours. NULL when none can be had. */
Terminal *terminal_new(void);
/* The command runs: what is typed is for it alone, and our terminal raw from now on. */
void terminal_take_over(Terminal *terminal);
/* The command's side; closed, by us, once it is passed on. */
int terminal_slave(const Terminal *terminal);
void terminal_pass_on(Terminal *terminal);

/* What is to be polled, for how long (milliseconds, -1: for ever), and what to do then, also when
 * nothing came in that time. */
#define TERMINAL_POLLS 2
int terminal_patience(const Terminal *terminal);
void terminal_poll(const Terminal *terminal, struct pollfd polls[static TERMINAL_POLLS]);
void terminal_relay(Terminal *terminal, const struct pollfd polls[static TERMINAL_POLLS]);
/* SIGWINCH came. */
void terminal_resize(const Terminal *terminal);

/* Shows what is left, and gives our terminal back as it was. NULL is allowed. */
void terminal_free(Terminal *terminal);
