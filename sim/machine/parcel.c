/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages with descriptors (unix(7), SCM_RIGHTS). */
#include "machine/parcel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef union Control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PL_PARCEL_FDS * sizeof(int))];
} Control;

gboolean pl_parcel_send(int socket, const void *data, size_t length, const int *fds, size_t n_fds)
{
    Control control = {0};
    struct iovec iov = {.iov_base = (void *)data, .iov_len = length};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t sent;

    g_assert(n_fds <= PL_PARCEL_FDS);
    if (length > PL_PARCEL_MAX) {
        errno = EMSGSIZE;
        return FALSE;
    }
    if (n_fds > 0) {
        struct cmsghdr *c;

        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

static void take_fds(struct msghdr *message, int *fds, size_t *ret_n)
{
    *ret_n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (*ret_n < PL_PARCEL_FDS)
                fds[(*ret_n)++] = fd;
            else
                close(fd);
        }
    }
}

ssize_t pl_parcel_receive(int socket, void *data, size_t size, int fds[static PL_PARCEL_FDS],
                          size_t *ret_n)
{
    Control control;
    struct iovec iov = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t n;

    *ret_n = 0;
    do
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return n;
    take_fds(&message, fds, ret_n);
    if (!(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return n;
    while (*ret_n > 0)
        close(fds[--*ret_n]);
    errno = EMSGSIZE;
    return -1;
}

void pl_parcel_add(GByteArray *parcel, const char *word)
{
    g_byte_array_append(parcel, (const guint8 *)word, (guint)strlen(word) + 1);
}

GByteArray *pl_parcel_pack(const char *const *words)
{
    GByteArray *parcel = g_byte_array_new();

    for (; *words; words++)
        pl_parcel_add(parcel, *words);
    return parcel;
}

char **pl_parcel_words(char *data, size_t length)
{
    GPtrArray *words;

    if (length == 0 || data[length - 1] != '\0')
        return NULL;
    words = g_ptr_array_new();
    for (char *word = data; word < data + length; word += strlen(word) + 1)
        g_ptr_array_add(words, word);
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}
