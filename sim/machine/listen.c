/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Says what comes to its ports; see listen.h. Lines stand in the order in which datagrams came to
 * the host, which is told by the kernel's timestamps: of several sockets no other order is known.
 */
#include "machine/listen.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/socket.h"
#include "topology/units.h"

/* Datagrams that one turn takes from a port. */
#define TURN_MAX 64

typedef struct Port {
    uint16_t number;
    int fd;
} Port;

typedef struct Heard {
    struct timespec at;
    guint number; /* of this turn */
    GString *line;
} Heard;

static void heard_clear(gpointer data)
{
    g_string_free(((Heard *)data)->line, TRUE);
}

static gint by_time(gconstpointer a, gconstpointer b)
{
    const Heard *left = a, *right = b;

    if (left->at.tv_sec != right->at.tv_sec)
        return left->at.tv_sec < right->at.tv_sec ? -1 : 1;
    if (left->at.tv_nsec != right->at.tv_nsec)
        return left->at.tv_nsec < right->at.tv_nsec ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

static void put(const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(STDOUT_FILENO, text, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            exit(EXIT_FAILURE); /* nobody reads any more */
        text += n;
        length -= (size_t)n;
    }
}

static Port open_port(const char *text)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    Port port = {.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const int one = 1;

    if (!pl_port_parse(text, &port.number))
        exit(EXIT_FAILURE);
    any.sin_port = htons(port.number);
    if (port.fd < 0 || setsockopt(port.fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0 ||
        bind(port.fd, (const struct sockaddr *)&any, sizeof(any)) < 0) {
        g_autofree char *failed =
            g_strdup_printf("cannot listen on port %s: %s\n", text, g_strerror(errno));

        put(failed, strlen(failed));
        exit(EXIT_FAILURE);
    }
    return port;
}

/* One datagram; FALSE: there is none now. */
static gboolean take(const Port *port, GArray *heard)
{
    static uint8_t data[65536];
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    PlSockaddr from = {0};
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof(from),
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    Heard each = {.number = heard->len};
    PhAddress sender;
    ssize_t n = recvmsg(port->fd, &message, 0);

    /* An error may be about something that was sent from here: nothing that ends listening. */
    if (n < 0)
        return FALSE;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
            memcpy(&each.at, CMSG_DATA(c), sizeof(each.at));
    sender = pl_sockaddr_to_address(&from);
    each.line = g_string_new(NULL);
    pl_listen_line(each.line, port->number, &sender, data, (size_t)n);
    g_array_append_val(heard, each);
    return TRUE;
}

static void turn(const Port *ports, struct pollfd *polls, guint n)
{
    g_autoptr(GArray) heard = g_array_new(FALSE, FALSE, sizeof(Heard));

    g_array_set_clear_func(heard, heard_clear);
    if (poll(polls, n, -1) < 0)
        return;
    for (guint i = 0; i < n; i++)
        for (guint k = 0; k < TURN_MAX && take(&ports[i], heard); k++)
            ;
    g_array_sort(heard, by_time);
    for (guint i = 0; i < heard->len; i++) {
        const GString *line = g_array_index(heard, Heard, i).line;

        put(line->str, line->len);
    }
}

void pl_listen_main(char **argv)
{
    Port ports[PL_LISTEN_PORTS_MAX];
    struct pollfd polls[PL_LISTEN_PORTS_MAX];
    guint n = 0;

    prctl(PR_SET_NAME, "listen");
    pl_files_close_others(&(const int){STDERR_FILENO}, 1);
    for (argv++; *argv && n < G_N_ELEMENTS(ports); argv++, n++) {
        ports[n] = open_port(*argv);
        polls[n] = (struct pollfd){.fd = ports[n].fd, .events = POLLIN};
    }
    put(PL_LISTEN_READY, strlen(PL_LISTEN_READY));
    for (;;)
        turn(ports, polls, n);
}
