/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which ports of a network namespace are in use, from /proc/net: a file there belongs to the
 * namespace it was opened in, and shows the present whenever it is read from its start.
 */
#include "machine/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "machine/socket.h"

/* include/net/tcp_states.h */
#define STATE_LISTEN 10

static void set_open_error(GError **error, const char *path, int errnum)
{
    g_autofree char *what = g_strconcat("open ", path, NULL);

    if (errnum == ENOENT || errnum == EACCES || errnum == EPERM)
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED, "cannot %s: %s", what,
                    g_strerror(errnum));
    else
        pl_error_set_errno(error, what, errnum);
}

gboolean pl_ports_open(PlPorts *ret_ports, PlProtocol protocol, int netns_fd, GError **error)
{
    const char *name = protocol == PL_PROTOCOL_TCP ? "tcp" : "udp";
    PlPorts ports = {.protocol = protocol, .files = {-1, -1}};
    PlVisit visit;

    if (!pl_visit_begin(&visit, error))
        return FALSE;
    if (!pl_visit_enter(&visit, netns_fd, error)) {
        pl_visit_end(&visit);
        return FALSE;
    }
    for (int i = 0; i < 2; i++) {
        g_autofree char *path = g_strdup_printf("/proc/thread-self/net/%s%s", name, i ? "6" : "");

        ports.files[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (ports.files[i] < 0 && i == 0)
            set_open_error(error, path, errno);
    }
    pl_visit_end(&visit);
    if (ports.files[0] < 0) {
        pl_ports_close(&ports);
        return FALSE;
    }
    *ret_ports = ports;
    return TRUE;
}

void pl_ports_close(PlPorts *ports)
{
    for (int i = 0; i < 2; i++) {
        if (ports->files[i] >= 0)
            close(ports->files[i]);
        ports->files[i] = -1;
    }
}

/* A line is "N: ADDRESS:PORT ADDRESS:PORT STATE ...", in hexadecimal. */
static gboolean line_uses(const char *line, PlProtocol protocol, uint16_t port)
{
    unsigned local, state;

    if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) != 2)
        return FALSE;
    return local == port && (protocol == PL_PROTOCOL_UDP || state == STATE_LISTEN);
}

static gboolean file_uses(int fd, PlProtocol protocol, uint16_t port)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_auto(GStrv) lines = NULL;
    char buffer[8192];
    off_t at = 0;
    ssize_t n;

    while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
        g_string_append_len(text, buffer, n);
        at += n;
    }
    lines = g_strsplit(text->str, "\n", -1);
    for (size_t i = 0; lines[i]; i++) {
        if (line_uses(lines[i], protocol, port))
            return TRUE;
    }
    return FALSE;
}

gboolean pl_ports_used(const PlPorts *ports, uint16_t port)
{
    for (int i = 0; i < 2; i++) {
        if (ports->files[i] >= 0 && file_uses(ports->files[i], ports->protocol, port))
            return TRUE;
    }
    return FALSE;
}
