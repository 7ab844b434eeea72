/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host as a small machine: a network namespace with its own /etc/hosts, /etc/resolv.conf, /tmp
 * and /run, in which programs run whose output is kept. Used by the engines that run real programs,
 * inside a sandbox.
 */
#pragma once

#include "scenario/engine.h"

typedef struct PlMachine PlMachine;

/*
 * `netns_fd` is borrowed. `hosts` is the text of /etc/hosts. `keep` is a directory that programs
 * must be able to see at its own path even if it lies below /tmp or /run (the topology file's), and
 * in which they start. The same is true of the files `shown` (NULL-terminated; NULL: none).
 */
PlMachine *pl_machine_new(const char *name, int netns_fd, const char *hosts, const char *keep,
                          char *const *shown, GError **error);
/* Kills what still runs in it. */
void pl_machine_free(PlMachine *machine);

/* Programs that are started from now on have this descriptor (borrowed; -1: none), as number 3. */
void pl_machine_give(PlMachine *machine, int fd);

/*
 * Starts a program (borrowed, until the machine is freed; `listen` is the machine's own) and waits
 * until it is ready; one whose
 * `ready` is `exit` has ended then, with whatever status. Errors have the program's last lines in
 * them.
 */
gboolean pl_machine_start(PlMachine *machine, const PlProgram *program, GError **error);
/*
 * Waits, for the program's time limit at most, until it has ended or, with `text`, has put out a
 * line with it. That it has not by then is no error.
 */
gboolean pl_machine_await(PlMachine *machine, const PlProgram *program, const char *text,
                          GError **error);
/* A line for the standard input of a `node`, which the machine holds. An error when it runs no
 * more, or does not read. */
gboolean pl_machine_say(PlMachine *machine, const PlProgram *program, const char *line,
                        GError **error);
/* The same, and waits for a line that contains `answer`, for its time limit at most. */
gboolean pl_machine_ask(PlMachine *machine, const PlProgram *program, const char *line,
                        const char *answer, GError **error);
/* How a program that was started went: exit_status is -1 while it runs. If it was started again, it
 * is the last run's, and the output is that of all. */
gboolean pl_machine_result(PlMachine *machine, const PlProgram *program,
                           PlProgramResult *ret_result, GError **error);
/* What its last run has put out so far, to be freed. NULL: it was not started. */
char *pl_machine_output(PlMachine *machine, const PlProgram *program);
/* Runs one more to its end; a non-zero exit status is an error. */
gboolean pl_machine_run(PlMachine *machine, char *const *argv, uint64_t time_limit_ns,
                        GError **error);
/* SIGKILL to all that runs in it, daemons too; /tmp and /run stay as they are, for what is run
 * next.
 */
void pl_machine_kill(PlMachine *machine);

/*
 * Runs a command for somebody outside of the lab, whose connection (guest.h) and stdin, stdout and
 * stderr these are (borrowed): what becomes of it is said there. In the host's own place: network,
 * files, current directory.
 */
gboolean pl_machine_guest(PlMachine *machine, char *const *argv, char *const *envp,
                          const int fds[static 3], int connection, GError **error);
