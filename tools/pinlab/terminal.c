/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 *   our terminal (raw) ─▶ pending ─▶ master ═ slave ─▶ the command
 *                      ◀──────────── master ═ slave ◀─ the command
 */
#include "pinlab/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Between two looks at whether somebody has opened the slave again. */
#define DESERTED_MS 100

struct Terminal {
    int master, slave;
    struct termios before;
    char pending[4096]; /* typed, and not yet taken by the command's side */
    size_t n_pending;
    gboolean typed_out; /* our input has ended */
    gboolean deserted; /* nobody had the slave open when we last looked, which poll says for ever */
};

gboolean terminal_is_here(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

void terminal_resize(const Terminal *terminal)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(terminal->master, TIOCSWINSZ, &size);
}

Terminal *terminal_new(void)
{
    Terminal *terminal = g_new0(Terminal, 1);
    char path[64];

    terminal->slave = -1;
    terminal->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal->master < 0 || grantpt(terminal->master) < 0 || unlockpt(terminal->master) < 0 ||
        ptsname_r(terminal->master, path, sizeof(path)) != 0 ||
        (terminal->slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0 ||
        fcntl(terminal->master, F_SETFL, O_NONBLOCK) < 0 ||
        tcgetattr(STDIN_FILENO, &terminal->before) < 0) {
        if (terminal->master >= 0)
            close(terminal->master);
        if (terminal->slave >= 0)
            close(terminal->slave);
        g_free(terminal);
        return NULL;
    }
    terminal_resize(terminal);
    tcsetattr(terminal->slave, TCSANOW, &terminal->before);
    return terminal;
}

void terminal_take_over(Terminal *terminal)
{
    struct termios raw = terminal->before;

    cfmakeraw(&raw);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

int terminal_slave(const Terminal *terminal)
{
    return terminal->slave;
}

void terminal_pass_on(Terminal *terminal)
{
    close(terminal->slave);
    terminal->slave = -1;
}

int terminal_patience(const Terminal *terminal)
{
    return terminal->deserted ? DESERTED_MS : -1;
}

void terminal_poll(const Terminal *terminal, struct pollfd polls[static TERMINAL_POLLS])
{
    gboolean room = terminal->n_pending == 0 && !terminal->typed_out;

    polls[0] = (struct pollfd){.fd = room ? STDIN_FILENO : -1, .events = POLLIN};
    polls[1] = (struct pollfd){
        .fd = terminal->deserted ? -1 : terminal->master,
        .events = (short)(POLLIN | (terminal->n_pending ? POLLOUT : 0)),
    };
}

static void show(const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, data, length);

        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
}

/* Whether there was something to show. */
static gboolean show_some(Terminal *terminal)
{
    char buffer[16384];
    ssize_t n = read(terminal->master, buffer, sizeof(buffer));

    terminal->deserted = n < 0 && errno == EIO;
    if (n > 0)
        show(buffer, (size_t)n);
    return n > 0;
}

static void hand_over(Terminal *terminal)
{
    ssize_t n = write(terminal->master, terminal->pending, terminal->n_pending);

    if (n > 0) {
        terminal->n_pending -= (size_t)n;
        memmove(terminal->pending, terminal->pending + n, terminal->n_pending);
    }
}

void terminal_relay(Terminal *terminal, const struct pollfd polls[static TERMINAL_POLLS])
{
    if (polls[0].revents) {
        ssize_t n = read(STDIN_FILENO, terminal->pending, sizeof(terminal->pending));

        if (n > 0)
            terminal->n_pending = (size_t)n;
        else if (n == 0 || errno != EINTR)
            terminal->typed_out = TRUE;
    }
    if (terminal->deserted || polls[1].revents & (POLLIN | POLLHUP | POLLERR))
        show_some(terminal);
    if (terminal->n_pending)
        hand_over(terminal);
}

void terminal_free(Terminal *terminal)
{
    if (!terminal)
        return;
    while (show_some(terminal))
        ;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->before);
    close(terminal->master);
    if (terminal->slave >= 0)
        close(terminal->slave);
    g_free(terminal);
}
