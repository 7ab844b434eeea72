/* SPDX-License-Identifier: MIT */
/* The control socket: see control.h. */
#include "control.h"

#include <errno.h>
#include <glib-unix.h>
#include <pinhole/version.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_place.h"
#include "show.h"

/* More wait in the backlog. */
#define CLIENTS_MAX 8
/* Who reads nothing is left after this; who asks waits longer, as others may come first. */
#define PATIENCE_S 2
#define ANSWER_MAX (4 * 1024 * 1024)
#define LOOK_MS    20
#define US_PER_MS  1000
#define NS_PER_US  UINT64_C(1000)
#define WAIT_US    (5 * G_USEC_PER_SEC)

typedef struct Client {
    struct Control *control;
    int fd;
    guint writable, timer; /* sources */
    char *text;
    size_t length, written;
} Client;

struct Control {
    char *path;
    int fd;
    dev_t device; /* the socket's file is ours as long as it is this one */
    ino_t inode;
    guint source; /* 0: there are as many clients as may be, or nothing to take them with */
    guint pause;
    const char *kind;
    gint64 started_us;
    ControlShow show;
    gpointer data;
    Client clients[CLIENTS_MAX];
    unsigned n_clients;
};

/* ---- options ---- */

void control_entries(ControlOptions *options, GOptionEntry *ret_entries)
{
    const GOptionEntry entries[CONTROL_ENTRIES] = {
        {"control", 0, 0, G_OPTION_ARG_FILENAME, &options->path,
         "Answer pinhole status at this socket", "PATH"},
        {"no-control", 0, 0, G_OPTION_ARG_NONE, &options->off, "Do not answer pinhole status",
         NULL},
    };

    memcpy(ret_entries, entries, sizeof(entries));
}

void control_options_clear(ControlOptions *options)
{
    g_free(options->path);
}

/* ---- clients ---- */

static gboolean take_client(gint fd, GIOCondition condition, gpointer data);

static void listen_again(Control *control)
{
    if (control->source == 0 && control->pause == 0)
        control->source = g_unix_fd_add(control->fd, G_IO_IN, take_client, control);
}

static void drop(Client *client)
{
    g_source_remove(client->timer);
    if (client->writable)
        g_source_remove(client->writable);
    close(client->fd);
    g_free(client->text);
    client->control->n_clients--;
    *client = (Client){.control = client->control, .fd = -1};
}

static gboolean is_late(gpointer data)
{
    Client *client = data;
    Control *control = client->control;

    drop(client);
    listen_again(control);
    return G_SOURCE_CONTINUE; /* it is removed already */
}

/* Until all is written; FALSE: there is no more to do. */
static gboolean write_some(Client *client)
{
    while (client->written < client->length) {
        ssize_t n = send(client->fd, client->text + client->written,
                         client->length - client->written, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        client->written += (size_t)n;
    }
    return FALSE;
}

static gboolean give(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    Client *client = data;
    Control *control = client->control;

    if (write_some(client))
        return G_SOURCE_CONTINUE;
    drop(client);
    listen_again(control);
    return G_SOURCE_CONTINUE; /* it is removed already */
}

static char *answer(const Control *control)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    show_int(builder, "schema", 1);
    show_string(builder, "kind", control->kind);
    show_string(builder, "version", ph_version());
    show_int(builder, "pid", getpid());
    show_seconds(builder, "uptime_s",
                 (uint64_t)(g_get_monotonic_time() - control->started_us) * NS_PER_US);
    control->show(builder, control->data);
    json_builder_end_object(builder);
    return show_to_text(builder, /* pretty= */ FALSE);
}

static void begin(Control *control, int fd)
{
    Client *client = control->clients;

    while (client->fd >= 0)
        client++;
    *client = (Client){.control = control, .fd = fd, .text = answer(control)};
    client->length = strlen(client->text);
    control->n_clients++;
    client->timer = g_timeout_add_seconds(PATIENCE_S, is_late, client);
    if (write_some(client))
        client->writable = g_unix_fd_add(fd, G_IO_OUT | G_IO_HUP | G_IO_ERR, give, client);
    else
        drop(client);
}

static gboolean is_over(gpointer data)
{
    Control *control = data;

    control->pause = 0;
    listen_again(control);
    return G_SOURCE_REMOVE;
}

/* There may be no descriptor for it: that passes, and until then it waits. */
static gboolean take_client(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    Control *control = data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client >= 0)
        begin(control, client);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        control->pause = g_timeout_add_seconds(1, is_over, control);
    if (control->n_clients < CLIENTS_MAX && control->pause == 0)
        return G_SOURCE_CONTINUE;
    control->source = 0;
    return G_SOURCE_REMOVE;
}

/* ---- from beginning to end ---- */

static Control *new_control(char *path, int fd, const char *kind)
{
    Control *control = g_new0(Control, 1);
    struct stat status = {0};

    (void)stat(path, &status);
    control->path = path;
    control->fd = fd;
    control->device = status.st_dev;
    control->inode = status.st_ino;
    control->kind = kind;
    control->started_us = g_get_monotonic_time();
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        control->clients[i].fd = -1;
    return control;
}

/* By name; where somebody lives there by kind and process, too. */
static Control *open_by_name(const char *kind, const char *name, GError **error)
{
    g_autofree char *directory = control_directory(error);
    g_autofree char *numbered = g_strdup_printf("%s-%d.sock", name ? name : kind, (int)getpid());
    g_autofree char *plain = name ? g_strdup_printf("%s.sock", name) : g_strdup(numbered);
    char *path;
    int fd;

    if (!directory)
        return NULL;
    path = g_build_filename(directory, plain, NULL);
    fd = control_listen(path, error);
    if (fd < 0 && name && g_error_matches(*error, G_IO_ERROR, G_IO_ERROR_EXISTS)) {
        g_clear_error(error);
        g_free(path);
        path = g_build_filename(directory, numbered, NULL);
        fd = control_listen(path, error);
    }
    if (fd >= 0)
        return new_control(path, fd, kind);
    g_free(path);
    return NULL;
}

Control *control_open(const ControlOptions *options, const char *kind, const char *name,
                      ControlShow show, gpointer data, int *ret_status)
{
    g_autoptr(GError) error = NULL;
    Control *control = NULL;
    int fd;

    *ret_status = EXIT_SUCCESS;
    if (options->off)
        return NULL;
    if (options->path) {
        fd = control_listen(options->path, &error);
        if (fd >= 0)
            control = new_control(g_canonicalize_filename(options->path, NULL), fd, kind);
        else
            *ret_status = command_fail(EXIT_FAILURE, "--control %s", error->message);
    } else {
        control = open_by_name(kind, name, &error);
        if (!control)
            (void)command_fail(EXIT_SUCCESS, "pinhole status cannot ask this one: %s",
                               error->message);
    }
    if (!control)
        return NULL;
    control->show = show;
    control->data = data;
    listen_again(control);
    return control;
}

Control *control_free(Control *control)
{
    struct stat status;

    if (!control)
        return NULL;
    for (unsigned i = 0; i < CLIENTS_MAX; i++) {
        if (control->clients[i].fd >= 0)
            drop(&control->clients[i]);
    }
    if (control->source)
        g_source_remove(control->source);
    if (control->pause)
        g_source_remove(control->pause);
    if (lstat(control->path, &status) == 0 && status.st_dev == control->device &&
        status.st_ino == control->inode)
        unlink(control->path);
    close(control->fd);
    g_free(control->path);
    g_free(control);
    return NULL;
}

/* ---- for who asks ---- */

static gboolean read_all(int fd, gint64 end_us, GString *text, GError **error)
{
    char bytes[16 * 1024];

    for (;;) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        gint64 left_us = end_us - g_get_monotonic_time();
        ssize_t n;

        if (left_us <= 0 || text->len > ANSWER_MAX) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "it does not answer");
            return FALSE;
        }
        if (poll(&readable, 1, (int)(left_us / US_PER_MS) + 1) <= 0)
            continue;
        n = read(fd, bytes, sizeof(bytes));
        if (n > 0)
            g_string_append_len(text, bytes, n);
        else if (n == 0 && text->len > 0)
            return TRUE;
        else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_CLOSED, "it ended before it answered");
            return FALSE;
        }
    }
}

/* Where many ask, some wait for a place in the backlog. */
static int connect_until(const char *path, gint64 end_us)
{
    int fd;

    while ((fd = control_connect(path)) < 0 && errno == EAGAIN && g_get_monotonic_time() < end_us)
        (void)!poll(NULL, 0, LOOK_MS);
    return fd;
}

char *control_ask(const char *path, GError **error)
{
    gint64 end_us = g_get_monotonic_time() + WAIT_US;
    GString *text = g_string_new(NULL);
    int fd = connect_until(path, end_us);
    gboolean whole = FALSE;

    if (fd >= 0) {
        whole = read_all(fd, end_us, text, error);
        close(fd);
    } else {
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno), "%s",
                    errno == ECONNREFUSED ? "what ran there has ended"
                    : errno == EAGAIN     ? "too many ask it at once"
                                          : g_strerror(errno));
    }
    return g_string_free(text, !whole);
}
