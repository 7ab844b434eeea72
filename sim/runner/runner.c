/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One process, one thread, one poll: for the signals, and for each cell that runs its pipe and its
 * end.
 */
#include "runner/runner.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "machine/files.h"
#include "runner/cell.h"

/* The kernel takes namespaces apart some time after the last process in them has ended, and tells
 * nobody when it has: for so long a limit that is still reached is looked at again. */
#define GRACE_US      (5 * G_USEC_PER_SEC)
#define GRACE_POLL_MS 20

#define SECOND_NS G_GUINT64_CONSTANT(1000000000)

/* ---- what a topology takes ---- */

uint64_t pl_runner_timeout_ns(const PlTopology *topology)
{
    return (60 + topology->nodes->len) * SECOND_NS;
}

static gboolean is_hard(const PlBehaviour *behaviour)
{
    return behaviour->mapping > PL_MAPPING_ENDPOINT_INDEPENDENT &&
           (behaviour->port_allocation == PL_PORT_ALLOCATION_RANDOM ||
            behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK);
}

static gboolean filters_ports(const PlBehaviour *behaviour)
{
    return behaviour->mapping <= PL_MAPPING_ENDPOINT_INDEPENDENT &&
           behaviour->filtering == PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
}

unsigned pl_runner_patience(const PlTopology *topology)
{
    gboolean node = FALSE, hard = FALSE, filter = FALSE;
    unsigned blocked = 0;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *each = g_ptr_array_index(topology->nodes, i);

        node |= each->program.word == PL_WORD_NODE;
        if (each->kind != PL_NODE_NAT)
            continue;
        blocked += each->behaviour.udp == PL_PASS_BLOCKED ? 1 : 0;
        hard |= is_hard(&each->behaviour);
        filter |= filters_ports(&each->behaviour);
    }
    return 2 * blocked + (node && hard && filter ? 1 : 0);
}

/* ---- running them ---- */

/* A cell that is to start. */
typedef struct Entry {
    size_t index;
    unsigned patience;
} Entry;

/* Cells that start one after the other, so many at a time. */
typedef struct Queue {
    GArray *cells; /* Entry */
    guint next;
    unsigned room, running;
} Queue;

enum { PATIENT, OTHERS, QUEUES };

typedef struct Runner {
    const PlRunCell *cells;
    size_t n_cells;
    Queue queues[QUEUES];
    const PlRunnerOptions *options;
    sigset_t signals; /* the mask from before */
    int signal_fd;
    GPtrArray *running;  /* PlCell */
    PlVerdict **verdict; /* n_cells; NULL until there is one */
    char *unsupported;   /* why no sandbox can be made here, once that is known */
    gboolean full;      /* a limit is reached: one that runs has to end before the next can start */
    gint64 last_end_us; /* when one ended; 0: none has */
    PlRunProgress progress;
} Runner;

static void tell(Runner *runner, size_t index)
{
    runner->progress.topology = runner->cells[index].topology->name;
    if (runner->options->progress)
        runner->options->progress(&runner->progress, runner->options->data);
}

static void settle(Runner *runner, size_t index, PlVerdict *verdict)
{
    runner->verdict[index] = verdict;
    switch (verdict->outcome) {
    case PL_OUTCOME_PASS:
        runner->progress.passed++;
        break;
    case PL_OUTCOME_FAIL:
        runner->progress.failed++;
        break;
    case PL_OUTCOME_SKIP:
        runner->progress.skipped++;
        break;
    }
    tell(runner, index);
}

/* Whether it is known without a lab that the engine cannot do this: then nothing is started. */
static gboolean skip(Runner *runner, size_t index)
{
    const PlRunCell *cell = &runner->cells[index];
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
    PlVerdict *verdict;

    runner->options->engine->refuse(cell->topology, reasons);
    if (reasons->len == 0 && runner->unsupported)
        g_ptr_array_add(reasons, g_strdup(runner->unsupported));
    if (reasons->len == 0)
        return FALSE;
    verdict = pl_cell_verdict(cell, runner->options);
    for (guint i = 0; i < reasons->len; i++)
        pl_verdict_reason(verdict, PL_OUTCOME_SKIP, "%s",
                          (const char *)g_ptr_array_index(reasons, i));
    settle(runner, index, verdict);
    return TRUE;
}

/* Whether something that is used up now will be given back. */
static gboolean may_wait(const Runner *runner)
{
    return runner->running->len > 0 ||
           (runner->last_end_us && g_get_monotonic_time() - runner->last_end_us < GRACE_US);
}

/* FALSE when it is to be tried again later. */
static gboolean start(Runner *runner, size_t index)
{
    g_autoptr(GError) error = NULL;
    PlVerdict *verdict;
    PlCell *cell;

    if (skip(runner, index))
        return TRUE;
    cell = pl_cell_start(&runner->cells[index], runner->options, index, &runner->signals, &error);
    if (cell) {
        g_ptr_array_add(runner->running, cell);
        tell(runner, index);
        return TRUE;
    }
    if (g_error_matches(error, PL_ERROR, PL_ERROR_LIMIT) && may_wait(runner))
        return FALSE;
    if (g_error_matches(error, PL_ERROR, PL_ERROR_UNSUPPORTED) && !runner->unsupported)
        runner->unsupported = g_strdup(error->message);
    verdict = pl_cell_verdict(&runner->cells[index], runner->options);
    pl_verdict_error(verdict, error);
    settle(runner, index, verdict);
    return TRUE;
}

/* Which of them has a cell of such patience. */
static Queue *queue_for(Runner *runner, unsigned patience)
{
    gboolean patient = patience > 0 && runner->options->jobs_patient > 0;

    return &runner->queues[patient ? PATIENT : OTHERS];
}

static gint compare_entries(gconstpointer a, gconstpointer b)
{
    const Entry *first = a, *second = b;

    if (first->patience != second->patience)
        return first->patience > second->patience ? -1 : 1;
    return first->index < second->index ? -1 : 1;
}

static void fill_queues(Runner *runner)
{
    for (unsigned i = 0; i < QUEUES; i++)
        runner->queues[i].cells = g_array_new(FALSE, FALSE, sizeof(Entry));
    runner->queues[PATIENT].room = runner->options->jobs_patient;
    runner->queues[OTHERS].room = runner->options->jobs;
    for (size_t i = 0; i < runner->n_cells; i++) {
        const Entry entry = {i, pl_runner_patience(runner->cells[i].topology)};

        g_array_append_val(queue_for(runner, entry.patience)->cells, entry);
    }
    for (unsigned i = 0; i < QUEUES; i++)
        g_array_sort(runner->queues[i].cells, compare_entries);
}

static void start_queued(Runner *runner, Queue *queue)
{
    while (!runner->full && queue->next < queue->cells->len && queue->running < queue->room) {
        size_t index = g_array_index(queue->cells, Entry, queue->next).index;
        guint before = runner->running->len;

        if (start(runner, index)) {
            queue->next++;
            queue->running += runner->running->len - before; /* it may be a skip */
        } else {
            runner->full = TRUE;
        }
    }
}

/* Who waits longest comes first, and is not what the others have to wait for at the end. */
static void start_some(Runner *runner)
{
    for (unsigned i = 0; i < QUEUES; i++)
        start_queued(runner, &runner->queues[i]);
}

static int milliseconds_left(const Runner *runner)
{
    gint64 now = g_get_monotonic_time(), first = G_MAXINT64;

    if (runner->running->len == 0)
        return GRACE_POLL_MS;
    for (guint i = 0; i < runner->running->len; i++) {
        const PlCell *cell = g_ptr_array_index(runner->running, i);

        first = MIN(first, cell->deadline_us);
    }
    return (int)CLAMP((first - now + 999) / 1000, 0, G_MAXINT);
}

/* Fills [0] with the signals, [1 + 2i] with the pipe of running cell i, [2 + 2i] with its end. */
static void fill_poll(const Runner *runner, GArray *fds)
{
    struct pollfd fd = {.fd = runner->signal_fd, .events = POLLIN};

    g_array_set_size(fds, 0);
    g_array_append_val(fds, fd);
    for (guint i = 0; i < runner->running->len; i++) {
        const PlCell *cell = g_ptr_array_index(runner->running, i);

        fd.fd = cell->pipe;
        g_array_append_val(fds, fd);
        fd.fd = cell->process.pidfd;
        g_array_append_val(fds, fd);
    }
}

/* Waits for something to happen, and does what there is to do. Returns the signal that came, or 0.
 */
static int turn(Runner *runner, GArray *fds)
{
    struct signalfd_siginfo info;
    gint64 now;

    fill_poll(runner, fds);
    if (poll((struct pollfd *)(void *)fds->data, fds->len, milliseconds_left(runner)) < 0) {
        assert(errno == EINTR);
        return 0;
    }
    if (g_array_index(fds, struct pollfd, 0).revents &&
        read(runner->signal_fd, &info, sizeof info) == sizeof info)
        return (int)info.ssi_signo;
    now = g_get_monotonic_time();
    if (runner->running->len == 0)
        runner->full = FALSE; /* then time alone can help */
    for (guint i = runner->running->len; i-- > 0;) {
        PlCell *cell = g_ptr_array_index(runner->running, i);
        gboolean ended = g_array_index(fds, struct pollfd, 2 + 2 * i).revents != 0;
        size_t index = cell->index;

        if (g_array_index(fds, struct pollfd, 1 + 2 * i).revents)
            pl_cell_read(cell);
        if (!ended && now < cell->deadline_us)
            continue;
        g_ptr_array_remove_index_fast(runner->running, i);
        queue_for(runner, pl_runner_patience(runner->cells[index].topology))->running--;
        runner->full = FALSE;
        settle(runner, index, pl_cell_finish(cell, /* timed_out= */ !ended));
        runner->last_end_us = g_get_monotonic_time();
    }
    return 0;
}

static int run_all(Runner *runner)
{
    g_autoptr(GArray) fds = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    int signal = 0;

    while (!signal) {
        start_some(runner);
        if (runner->running->len == 0 && !runner->full)
            break;
        signal = turn(runner, fds);
    }
    while (runner->running->len)
        pl_cell_free(g_ptr_array_steal_index_fast(runner->running, runner->running->len - 1));
    return signal;
}

GPtrArray *pl_runner_run(const PlRunCell *cells, size_t n_cells, const PlRunnerOptions *options,
                         int *ret_signal)
{
    GPtrArray *verdicts = g_ptr_array_new_with_free_func((GDestroyNotify)pl_verdict_free);
    Runner runner = {
        .cells = cells,
        .n_cells = n_cells,
        .options = options,
        .running = g_ptr_array_new(),
        .verdict = g_new0(PlVerdict *, n_cells),
        .progress.cells = n_cells,
    };
    sigset_t signals;
    int signal;

    fill_queues(&runner);
    assert(options->jobs > 0 && (!options->names || options->jobs == 1));
    pl_files_raise_limit();
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &runner.signals);
    /* Without descriptors to be had nothing can run, and poll passes over -1. */
    runner.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    signal = run_all(&runner);
    if (runner.signal_fd >= 0)
        close(runner.signal_fd);
    sigprocmask(SIG_SETMASK, &runner.signals, NULL);

    for (size_t i = 0; i < n_cells; i++) {
        if (runner.verdict[i])
            g_ptr_array_add(verdicts, runner.verdict[i]);
    }
    for (unsigned i = 0; i < QUEUES; i++)
        g_array_unref(runner.queues[i].cells);
    g_ptr_array_unref(runner.running);
    g_free(runner.verdict);
    g_free(runner.unsupported);
    if (signal) {
        *ret_signal = signal;
        g_clear_pointer(&verdicts, g_ptr_array_unref);
    }
    return verdicts;
}
