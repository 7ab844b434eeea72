/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running program: when it is ready, and what to say when it is not. */
#include "machine/run.h"

#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "machine/ports.h"

#define SECOND_NS G_GUINT64_CONSTANT(1000000000)
/* The system tells nobody that a port was bound. */
#define PORT_POLL_NS (SECOND_NS / 200)

PlRun *pl_run_new(unsigned id, const PlProgram *program)
{
    PlRun *run = g_new0(PlRun, 1);

    run->id = id;
    run->program = program;
    run->input = -1;
    run->command = g_strjoinv(" ", program->argv);
    return run;
}

void pl_run_free(PlRun *run)
{
    if (!run)
        return;
    if (run->input >= 0)
        close(run->input);
    g_free(run->command);
    pl_program_share_free(run->share);
    g_free(run);
}

gboolean pl_run_has_ended(const PlRun *run)
{
    return atomic_load_explicit(&run->share->ended, memory_order_acquire);
}

int pl_run_exit_status(const PlRun *run)
{
    int status = run->share->status;

    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What a program's readiness is found by, beside its end. */
typedef struct {
    PlPorts ports;
    uint64_t scanned; /* output, in bytes */
} Watch;

static gboolean found_line(const PlRun *run, Watch *watch)
{
    size_t length = strlen(run->program->ready_text);
    GString *text = pl_program_share_read(run->share, &watch->scanned);
    gboolean found = memmem(text->str, text->len, run->program->ready_text, length) != NULL;

    g_string_free(text, TRUE);
    /* Its beginning may have been at the end. */
    watch->scanned -= MIN(watch->scanned, length ? length - 1 : 0);
    return found;
}

static gboolean is_ready(const PlRun *run, Watch *watch)
{
    switch (run->program->ready) {
    case PL_READY_STARTED:
        return TRUE;
    case PL_READY_EXIT:
        return pl_run_has_ended(run);
    case PL_READY_LINE:
        return found_line(run, watch);
    case PL_READY_UDP:
    case PL_READY_TCP:
        return pl_ports_used(&watch->ports, run->program->ready_port);
    }
    return FALSE;
}

/* Whether it cannot get ready any more. One that ended well may have left a daemon behind. */
static gboolean is_hopeless(const PlRun *run)
{
    return pl_run_has_ended(run) &&
           (pl_run_exit_status(run) != 0 ||
            atomic_load_explicit(&run->share->deserted, memory_order_acquire));
}

static char *readiness(const PlProgram *program)
{
    switch (program->ready) {
    case PL_READY_EXIT:
        return g_strdup("did not end");
    case PL_READY_LINE:
        return g_strdup_printf("put out no line with \"%s\"", program->ready_text);
    case PL_READY_UDP:
        return g_strdup_printf("has no socket on UDP port %u", program->ready_port);
    case PL_READY_TCP:
        return g_strdup_printf("does not listen on TCP port %u", program->ready_port);
    case PL_READY_STARTED:
        break;
    }
    return g_strdup("did not start");
}

void pl_run_error(GError **error, const PlRun *run, const char *what)
{
    g_autofree char *lines = pl_program_share_last_lines(run->share);

    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "`%s` %s; it put out%s%s", run->command, what,
                g_strchug(g_strdup(lines))[0] ? ":" : " nothing", lines);
}

static gboolean fail_late(GError **error, const PlRun *run)
{
    g_autofree char *missing = readiness(run->program);
    g_autofree char *limit = g_strdup_printf("%g s", (double)run->program->time_limit_ns / 1e9);
    g_autofree char *what = g_strdup_printf("%s within %s", missing, limit);

    pl_run_error(error, run, what);
    return FALSE;
}

static gboolean fail_ended(GError **error, const PlRun *run)
{
    g_autofree char *what =
        g_strdup_printf("ended with status %d before it was ready", pl_run_exit_status(run));

    pl_run_error(error, run, what);
    return FALSE;
}

/* Sleeps until something was put out or ended, or `until`; FALSE when the keeper is dead. */
static gboolean wait_event(int event, int keeper, uint64_t until, GError **error)
{
    struct pollfd polls[] = {{.fd = event, .events = POLLIN}, {.fd = keeper, .events = POLLIN}};
    uint64_t now = pl_now_ns(), count;
    struct timespec left = {0};

    if (until > now) {
        left.tv_sec = (time_t)((until - now) / SECOND_NS);
        left.tv_nsec = (long)((until - now) % SECOND_NS);
    }
    ppoll(polls, G_N_ELEMENTS(polls), &left, NULL);
    (void)!read(event, &count, sizeof(count));
    if (!polls[1].revents)
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "its first process is dead");
    return FALSE;
}

static gboolean is_by_port(const PlRun *run)
{
    return run->program->ready == PL_READY_UDP || run->program->ready == PL_READY_TCP;
}

static gboolean wait_ready(const PlRun *run, Watch *watch, int event, int keeper, GError **error)
{
    for (;;) {
        /* Looked at before readiness: what it did before it ended is then there to be seen. */
        gboolean hopeless = is_hopeless(run);
        uint64_t now = pl_now_ns();
        uint64_t until = is_by_port(run) ? MIN(run->deadline, now + PORT_POLL_NS) : run->deadline;

        if (is_ready(run, watch))
            return TRUE;
        if (hopeless)
            return fail_ended(error, run);
        if (now >= run->deadline)
            return fail_late(error, run);
        if (!wait_event(event, keeper, until, error))
            return FALSE;
    }
}

gboolean pl_run_await(const PlRun *run, const char *text, uint64_t from, int event, int keeper,
                      GError **error)
{
    PlProgram wanted = *run->program;
    PlRun waiting = *run;
    Watch watch = {.ports.files = {-1, -1}, .scanned = from};

    wanted.ready = text ? PL_READY_LINE : PL_READY_EXIT;
    wanted.ready_text = (char *)text;
    waiting.program = &wanted;
    waiting.deadline = pl_now_ns() + wanted.time_limit_ns;
    for (;;) {
        gboolean hopeless = is_hopeless(&waiting);

        if (is_ready(&waiting, &watch) || hopeless || pl_now_ns() >= waiting.deadline)
            return TRUE;
        if (!wait_event(event, keeper, waiting.deadline, error))
            return FALSE;
    }
}

gboolean pl_run_wait_ready(const PlRun *run, int event, int keeper, int netns, GError **error)
{
    PlProtocol protocol = run->program->ready == PL_READY_TCP ? PL_PROTOCOL_TCP : PL_PROTOCOL_UDP;
    Watch watch = {.ports.files = {-1, -1}};
    gboolean ok;

    if (is_by_port(run) && !pl_ports_open(&watch.ports, protocol, netns, error))
        return FALSE;
    ok = wait_ready(run, &watch, event, keeper, error);
    pl_ports_close(&watch.ports);
    return ok;
}
