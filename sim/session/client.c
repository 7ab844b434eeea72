/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to a lab; see client.h. */
#include "session/client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/parcel.h"
#include "session/registry.h"
#include "session/serve.h"

static int ask(const char *name, const char *const *words, const int *fds, size_t n_fds,
               int *ret_lock, GError **error)
{
    g_autoptr(GByteArray) parcel = pl_parcel_pack(words);
    int connection = pl_registry_connect(name, ret_lock, error);

    if (connection < 0)
        return -1;
    if (pl_parcel_send(connection, parcel->data, parcel->len, fds, n_fds))
        return connection;
    if (errno == EMSGSIZE)
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "the command and its environment are too long (%u bytes, expected at most %u)",
                    parcel->len, PL_PARCEL_MAX);
    else
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "lab %s is gone", name);
    close(connection);
    if (ret_lock)
        close(*ret_lock);
    return -1;
}

int pl_client_ask(const char *name, const char *const *words, const int *fds, size_t n_fds,
                  GError **error)
{
    return ask(name, words, fds, n_fds, /* ret_lock= */ NULL, error);
}

/* What a refusal means to the caller; FALSE: it is none. */
static gboolean is_refusal(char kind, int *ret_code)
{
    switch (kind) {
    case PL_SERVE_INPUT:
        *ret_code = PL_ERROR_INPUT;
        return TRUE;
    case PL_SERVE_UNSUPPORTED:
        *ret_code = PL_ERROR_UNSUPPORTED;
        return TRUE;
    case PL_SERVE_FAILED:
        *ret_code = PL_ERROR_FAILED;
        return TRUE;
    default:
        return FALSE;
    }
}

char pl_client_hear(int connection, const char *name, char **ret_text, int *ret_fd, GError **error)
{
    char message[PL_SERVE_REPLY_MAX + 1];
    int fds[PL_PARCEL_FDS];
    size_t n_fds = 0;
    ssize_t n = pl_parcel_receive(connection, message, sizeof(message) - 1, fds, &n_fds);
    int code;

    for (size_t i = ret_fd ? 1 : 0; i < n_fds; i++)
        close(fds[i]);
    if (n <= 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "lab %s is gone", name);
        return 0;
    }
    message[n] = '\0';
    if (is_refusal(message[0], &code)) {
        g_set_error_literal(error, PL_ERROR, code, message + 1);
        if (ret_fd && n_fds > 0)
            close(fds[0]);
        return 0;
    }
    if (ret_fd)
        *ret_fd = n_fds > 0 ? fds[0] : -1;
    if (ret_text)
        *ret_text = g_strdup(message + 1);
    return message[0];
}

/* A text that came as a file. */
static gboolean read_text(int fd, char **ret_text, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    return g_file_get_contents(path, ret_text, NULL, error);
}

gboolean pl_client_overdue(const char *name, GError **error)
{
    g_autofree char *info = pl_registry_info(name);

    if (info)
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED,
                    "lab %s has not answered for %d s (`pinlab down %s` ends it)", name,
                    PL_CLIENT_MS / 1000, name);
    return info != NULL;
}

static gboolean await_answer(int connection, const char *name, GError **error)
{
    struct pollfd answer = {.fd = connection, .events = POLLIN};
    int n;

    while ((n = poll(&answer, 1, PL_CLIENT_MS)) <= 0)
        if (n == 0 && pl_client_overdue(name, error))
            return FALSE;
    return TRUE;
}

gboolean pl_client_call(const char *name, const char *const *words, char **ret_text, GError **error)
{
    int connection = pl_client_ask(name, words, NULL, 0, error), fd = -1;
    gboolean ok;

    if (connection < 0)
        return FALSE;
    ok = await_answer(connection, name, error) &&
         pl_client_hear(connection, name, NULL, &fd, error) != 0;
    close(connection);
    if (ok && ret_text)
        ok = fd >= 0 ? read_text(fd, ret_text, error) : (*ret_text = g_strdup("")) != NULL;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* The holder is who made the socket; with it the lab dies. -1: it is of another PID namespace. */
static int open_holder(int connection)
{
    struct ucred holder;
    socklen_t length = sizeof(holder);

    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &holder, &length) < 0 || holder.pid <= 0)
        return -1;
    return (int)syscall(SYS_pidfd_open, holder.pid, 0);
}

/* First as a request, which it may ignore, then not as one. */
static gboolean end(int connection, int lock)
{
    struct pollfd answer = {.fd = connection, .events = POLLIN};
    int holder = open_holder(connection);
    gboolean ended =
        poll(&answer, 1, PL_CLIENT_MS) != 0 && pl_registry_await_end(lock, PL_CLIENT_MS);

    if (!ended && holder >= 0)
        syscall(SYS_pidfd_send_signal, holder, SIGKILL, NULL, 0);
    if (holder >= 0)
        close(holder);
    return ended || pl_registry_await_end(lock, PL_CLIENT_MS);
}

gboolean pl_client_down(const char *name, GError **error)
{
    static const char *const words[] = {"down", NULL};
    g_autoptr(GError) local = NULL;
    int lock, connection = ask(name, words, NULL, 0, &lock, &local);
    gboolean ended;

    /* One that has gone by itself meanwhile is as good. */
    if (g_error_matches(local, PL_ERROR, PL_ERROR_FAILED))
        return TRUE;
    if (connection < 0) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    ended = end(connection, lock);
    close(connection);
    close(lock);
    if (!ended)
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "lab %s does not end", name);
    return ended;
}
