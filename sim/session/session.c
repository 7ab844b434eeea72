/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The holder of a session, and the lab's first process until it serves. That one says through a
 * socket how it fares, in lines:
 *
 *   N alice 7      a node, and the descriptor of its network namespace
 *   S text         a step of the file is done
 *   R              the lab is ready
 *   E 2 text       it will never be: PlErrorCode and the reason, which may have lines of its own
 *
 * The holder says nothing; when it shuts its end down, a lab that is ready is to go down.
 */
#include "session/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/names.h"
#include "machine/sandbox.h"
#include "session/registry.h"
#include "session/serve.h"
#include "session/stand.h"

/* So long a lab may take to go down; more than it waits for its recorders (serve.c). */
#define DOWN_MS 8000

typedef struct Holder {
    const PlSessionOptions *options;
    PlClaim *claim;
    PlNames *names;
    PlSandbox sandbox;
    int lab, report; /* the two ends of the lab's report */
    int signals;
    sigset_t mask; /* what was blocked before */
    GString *received;
    gboolean ready;
} Holder;

/* ---- inside the sandbox ---- */

static void say(int fd, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void say(int fd, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    (void)!write(fd, text, strlen(text));
}

static void say_names(const Holder *holder, PlLab *lab)
{
    const PlSessionOptions *options = holder->options;

    for (unsigned i = 0; options->names && i < options->topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(options->topology->nodes, i);

        say(holder->report, "N %s %d\n", node->name, options->engine->netns(lab, node));
    }
}

static void say_step(const PlStep *step, gpointer data)
{
    const Holder *holder = data;

    if (!step->more)
        say(holder->report, "S step %u: %s\n", step->number, step->text);
}

/* NULL with an error: nothing stands. */
static PlLab *stand(Holder *holder, GError **error)
{
    const PlSessionOptions *options = holder->options;
    PlLab *lab = pl_stand_up(options->topology, options->engine, options->seed, error);

    if (!lab || !options->steps ||
        pl_stand_steps(options->topology, options->engine, lab, say_step, holder, error))
        return lab;
    options->engine->down(lab);
    return NULL;
}

static int lab_main(gpointer data)
{
    Holder *holder = data;
    const PlSessionOptions *options = holder->options;
    g_autoptr(GError) error = NULL;
    PlServed served = {options->topology, options->engine, NULL};

    prctl(PR_SET_NAME, "pinlab-lab");
    sigprocmask(SIG_SETMASK, &holder->mask, NULL);
    close(holder->lab);
    close(holder->signals);
    /* Standard output belongs to whoever asked for the lab. */
    dup2(STDERR_FILENO, STDOUT_FILENO);
    served.lab = stand(holder, &error);
    if (!served.lab) {
        say(holder->report, "E %d %s", error->domain == PL_ERROR ? error->code : PL_ERROR_FAILED,
            error->message);
        return EXIT_FAILURE;
    }
    say_names(holder, served.lab);
    say(holder->report, "R\n");
    pl_serve(&served, pl_claim_listener(holder->claim), holder->report);
    options->engine->down(served.lab);
    return EXIT_SUCCESS;
}

/* ---- outside of it ---- */

static gboolean publish(const Holder *holder, GError **error)
{
    const PlSessionOptions *options = holder->options;
    g_autoptr(GKeyFile) info = g_key_file_new();
    g_autofree char *path = g_canonicalize_filename(options->topology->path, NULL);
    g_autofree char *text = NULL;

    g_key_file_set_string(info, "lab", "topology", path);
    g_key_file_set_string(info, "lab", "title", options->topology->title);
    g_key_file_set_uint64(info, "lab", "seed", options->seed);
    g_key_file_set_int64(info, "lab", "since", g_get_real_time() / G_USEC_PER_SEC);
    g_key_file_set_integer(info, "lab", "pid", (int)getpid());
    text = g_key_file_to_data(info, NULL, NULL);
    return pl_claim_publish(holder->claim, text, error);
}

static gboolean make_name(const Holder *holder, const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);

    return !holder->names || g_strv_length(words) != 3 ||
           pl_names_add(holder->names, holder->options->name, words[1], holder->sandbox.pid,
                        atoi(words[2]), error);
}

/* The whole lines that have come; FALSE with an error when there is no hope. */
static gboolean heed(Holder *holder, GError **error)
{
    char *end;

    while (!holder->ready && (end = strchr(holder->received->str, '\n'))) {
        g_autofree char *line =
            g_strndup(holder->received->str, (gsize)(end - holder->received->str));

        if (line[0] == 'E')
            return TRUE; /* all of it is there at the end of the file */
        g_string_erase(holder->received, 0, (gssize)strlen(line) + 1);
        if (line[0] == 'N' && !make_name(holder, line, error))
            return FALSE;
        if (line[0] == 'S')
            holder->options->stepped(line + 2, holder->options->data);
        if (line[0] == 'R') {
            if (!publish(holder, error))
                return FALSE;
            holder->ready = TRUE;
            holder->options->ready(holder->options->data);
        }
    }
    return TRUE;
}

/* The lab has closed its report. */
static gboolean heed_end(const Holder *holder, GError **error)
{
    const char *text = holder->received->str;

    if (holder->ready)
        return TRUE;
    if (text[0] == 'E' && g_ascii_isdigit(text[2]))
        g_set_error_literal(error, PL_ERROR, text[2] - '0', text[3] ? text + 4 : "");
    else
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "the lab ended before it was ready");
    return FALSE;
}

static gboolean read_report(Holder *holder, GError **error)
{
    char buffer[4096];
    ssize_t n = read(holder->lab, buffer, sizeof(buffer));

    if (n > 0) {
        g_string_append_len(holder->received, buffer, n);
        return heed(holder, error);
    }
    if (n < 0 && errno == EINTR)
        return TRUE;
    close(holder->lab);
    holder->lab = -1;
    return heed_end(holder, error);
}

/* The lab's process has ended, which is right only if it was asked to. */
static gboolean end_of_lab(Holder *holder, GError **error)
{
    int status;

    while (holder->lab >= 0)
        if (!read_report(holder, error))
            return FALSE;
    status = pl_sandbox_wait(&holder->sandbox);
    if (status == 0)
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "the lab ended with status %d", status);
    return FALSE;
}

/* A signal has come. TRUE when nothing is to be waited for: it is the second one, or there is no
 * lab yet that could go down. */
static gboolean heed_signal(Holder *holder, int *signal, gint64 *ret_end_us)
{
    struct signalfd_siginfo info;
    gboolean first = *signal == 0;

    if (read(holder->signals, &info, sizeof(info)) != sizeof(info))
        return FALSE;
    *signal = (int)info.ssi_signo;
    if (!first || !holder->ready)
        return TRUE;
    shutdown(holder->lab, SHUT_WR);
    *ret_end_us = g_get_monotonic_time() + DOWN_MS * G_GINT64_CONSTANT(1000);
    return FALSE;
}

static int milliseconds_until(gint64 end_us)
{
    gint64 left_us = end_us - g_get_monotonic_time();

    return end_us == G_MAXINT64 ? -1 : left_us > 0 ? (int)(left_us / 1000) + 1 : 0;
}

/* Until the end, and what it was. */
static gboolean hold(Holder *holder, int *ret_signal, GError **error)
{
    gint64 end_us = G_MAXINT64;

    for (;;) {
        struct pollfd polls[] = {
            {.fd = holder->sandbox.pidfd, .events = POLLIN},
            {.fd = holder->signals, .events = POLLIN},
            {.fd = holder->lab, .events = POLLIN},
            {.fd = holder->ready ? -1 : holder->options->patron}, /* its hang-up */
        };
        int n = poll(polls, G_N_ELEMENTS(polls), milliseconds_until(end_us));

        if (n < 0 && errno != EINTR) {
            g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "poll: %s", g_strerror(errno));
            return FALSE;
        }
        if (n == 0) /* it does not go down: it is killed */
            return TRUE;
        if (n < 0)
            continue;
        if (polls[1].revents && heed_signal(holder, ret_signal, &end_us))
            return TRUE;
        if (polls[2].revents && !read_report(holder, error))
            return FALSE;
        if (polls[0].revents)
            return end_of_lab(holder, error);
        if (polls[3].revents & (POLLERR | POLLHUP)) {
            *ret_signal = SIGHUP;
            return TRUE;
        }
    }
}

static gboolean begin(Holder *holder, GError **error)
{
    sigset_t signals;
    int ends[2];

    holder->claim = pl_claim_new(holder->options->name, error);
    if (!holder->claim || (holder->options->names && !(holder->names = pl_names_new(error))))
        return FALSE;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &holder->mask);
    holder->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (holder->signals < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        pl_error_set_errno(error, "make a socket pair", errno);
        return FALSE;
    }
    holder->lab = ends[0];
    holder->report = ends[1];
    return pl_sandbox_start(lab_main, holder, &holder->sandbox, error);
}

gboolean pl_session_hold(const PlSessionOptions *options, int *ret_signal, GError **error)
{
    Holder holder = {
        .options = options,
        .sandbox = {.pid = -1, .pidfd = -1},
        .lab = -1,
        .report = -1,
        .signals = -1,
        .received = g_string_new(NULL),
    };
    gboolean done;

    *ret_signal = 0;
    sigprocmask(SIG_SETMASK, NULL, &holder.mask);
    done = begin(&holder, error);
    if (holder.report >= 0)
        close(holder.report);
    done = done && hold(&holder, ret_signal, error);
    pl_sandbox_kill(&holder.sandbox);
    pl_names_free(holder.names);
    pl_claim_free(holder.claim);
    if (holder.lab >= 0)
        close(holder.lab);
    if (holder.signals >= 0)
        close(holder.signals);
    sigprocmask(SIG_SETMASK, &holder.mask, NULL);
    g_string_free(holder.received, TRUE);
    return done;
}
