/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cell's process says what it does through a pipe, a line each:
 *
 *   P up           the phase that begins
 *   N alice 7      a node, and the descriptor of its network namespace
 *   P certify
 *   ...
 *   R              the recording is whole
 *   V {...}        the verdict, as JSON; the last line
 */
#include "runner/cell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/names.h"
#include "scenario/expected.h"
#include "scenario/json.h"
#include "scenario/scenario.h"

#define CAPTURE_SUFFIX ".pcapng"
/* More than any verdict: a MiB of output for each of some hundred hosts. */
#define RECEIVED_MAX (256 * 1024 * 1024)

static int capture_fd(const PlCell *cell)
{
    return cell->capture ? pl_artifact_fd(cell->capture) : cell->memory;
}

/* ---- inside the process ---- */

static void say(int fd, char kind, const char *text)
{
    g_autofree char *line = g_strdup_printf("%c %s\n", kind, text);
    size_t length = strlen(line);
    const char *at = line;

    while (length > 0) {
        ssize_t n = write(fd, at, length);

        if (n < 0 && errno != EINTR)
            return; /* nobody listens any more, and the end is near */
        if (n > 0) {
            at += n;
            length -= (size_t)n;
        }
    }
}

/* The artifact of a host's node; NULL: it is not recorded. */
static PlArtifact *recording_of(const PlCell *cell, guint host)
{
    return host < cell->nodes->len ? g_ptr_array_index(cell->nodes, host) : NULL;
}

static int node_fd(const PlCell *cell, guint host)
{
    const PlArtifact *artifact = recording_of(cell, host);

    return artifact ? pl_artifact_fd(artifact) : -1;
}

typedef struct CellMain {
    PlCell *cell;
    int out;
} CellMain;

static void say_phase(const char *phase, gpointer data)
{
    say(((const CellMain *)data)->out, 'P', phase);
}

static void say_names(const PlTopology *topology, const PlEngine *engine, PlLab *lab, gpointer data)
{
    for (guint i = 0; engine->netns && i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        g_autofree char *line = g_strdup_printf("%s %d", node->name, engine->netns(lab, node));

        say(((const CellMain *)data)->out, 'N', line);
    }
}

static void say_recorded(gpointer data)
{
    say(((const CellMain *)data)->out, 'R', "");
}

static int node_recording(const PlNode *host, gpointer data)
{
    return node_fd(((const CellMain *)data)->cell, host->index);
}

/* What of the runner's this process needs. */
static GArray *kept_files(const CellMain *main_data)
{
    GArray *kept = g_array_new(FALSE, FALSE, sizeof(int));
    int capture = capture_fd(main_data->cell);

    g_array_append_val(kept, main_data->out);
    g_array_append_val(kept, capture);
    for (guint i = 0; i < main_data->cell->nodes->len; i++) {
        int fd = node_fd(main_data->cell, i);

        if (fd >= 0)
            g_array_append_val(kept, fd);
    }
    return kept;
}

static int cell_main(gpointer data)
{
    CellMain *main_data = data;
    const PlCell *cell = main_data->cell;
    g_autoptr(GArray) kept = kept_files(main_data);
    PlScenarioWatch watch;
    g_autoptr(PlVerdict) verdict = NULL;
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *text = NULL;

    /* The runner's are none of its business, nor are those of other cells. */
    pl_files_close_others((const int *)(const void *)kept->data, kept->len);
    /* Standard output belongs to the report. */
    dup2(STDERR_FILENO, STDOUT_FILENO);
    sigprocmask(SIG_SETMASK, &cell->signals, NULL);
    watch = (PlScenarioWatch){
        .phase = say_phase,
        .standing = cell->options->names ? say_names : NULL,
        .recorded = say_recorded,
        .node_recording = node_recording,
        .digests = cell->options->digests,
        .data = main_data,
    };
    verdict = pl_scenario_run(cell->run->topology, cell->options->engine, cell->run->seed,
                              capture_fd(cell), &watch);
    node = pl_verdict_to_json(verdict);
    text = pl_json_line(node);
    say(main_data->out, 'V', text);
    return 0;
}

/* ---- outside of it ---- */

/* A process for an engine that needs no sandbox. It ends with us, too. */
static gboolean start_plain(CellMain *data, PlSandbox *ret_process, GError **error)
{
    pid_t parent = getpid(), pid = fork();
    int pidfd;

    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
            _exit(EXIT_FAILURE);
        setsid(); /* ^C at the terminal is for the runner */
        _exit(cell_main(data));
    }
    pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        pl_error_set_errno(error, "start a process", errno);
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        return FALSE;
    }
    *ret_process = (PlSandbox){.pid = pid, .pidfd = pidfd};
    return TRUE;
}

/* TOPOLOGY.pcapng is the lab's, and TOPOLOGY.HOST.pcapng a node's. */
static gboolean open_node_recordings(PlCell *cell, GError **error)
{
    const GPtrArray *nodes = cell->run->topology->nodes;
    g_autofree char *base = g_strdup(cell->run->capture);

    if (g_str_has_suffix(base, CAPTURE_SUFFIX))
        base[strlen(base) - strlen(CAPTURE_SUFFIX)] = '\0';
    for (guint i = 0; i < nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(nodes, i);
        g_autofree char *path = g_strdup_printf("%s.%s" CAPTURE_SUFFIX, base, host->name);
        PlArtifact *artifact = NULL;

        if (host->program.word == PL_WORD_NODE && !(artifact = pl_artifact_open(path, error)))
            return FALSE;
        g_ptr_array_add(cell->nodes, artifact);
    }
    return TRUE;
}

static gboolean open_capture(PlCell *cell, GError **error)
{
    if (cell->run->capture) {
        cell->capture = pl_artifact_open(cell->run->capture, error);
        return cell->capture && open_node_recordings(cell, error);
    }
    cell->memory = memfd_create("capture", MFD_CLOEXEC);
    if (cell->memory < 0)
        pl_error_set_errno(error, "make room for a recording", errno);
    return cell->memory >= 0;
}

static gboolean start_process(PlCell *cell, GError **error)
{
    int ends[2];
    CellMain data = {.cell = cell};
    gboolean started;

    if (pipe2(ends, O_CLOEXEC) < 0) {
        pl_error_set_errno(error, "make a pipe", errno);
        return FALSE;
    }
    cell->pipe = ends[0];
    data.out = ends[1];
    started = cell->options->engine->sandboxed
                  ? pl_sandbox_start(cell_main, &data, &cell->process, error)
                  : start_plain(&data, &cell->process, error);
    close(ends[1]);
    /* Only our end: the flag belongs to the open file, and each end is one. */
    return started && fcntl(cell->pipe, F_SETFL, O_NONBLOCK) == 0;
}

PlCell *pl_cell_start(const PlRunCell *run, const PlRunnerOptions *options, size_t index,
                      const sigset_t *signals, GError **error)
{
    PlCell *cell = g_new0(PlCell, 1);

    cell->run = run;
    cell->options = options;
    cell->index = index;
    cell->signals = *signals;
    cell->process = (PlSandbox){.pid = -1, .pidfd = -1};
    cell->pipe = cell->memory = -1;
    cell->received = g_string_new(NULL);
    cell->nodes = g_ptr_array_new();
    cell->start_us = g_get_monotonic_time();
    cell->timeout_ns =
        options->timeout_ns ? options->timeout_ns : pl_runner_timeout_ns(run->topology);
    cell->deadline_us = cell->start_us + (gint64)(cell->timeout_ns / 1000);
    if (!open_capture(cell, error) || !start_process(cell, error)) {
        pl_cell_free(cell);
        return NULL;
    }
    return cell;
}

/* Names are made as soon as they are told. */
static void make_names(PlCell *cell)
{
    const char *end;

    while ((end = strchr(cell->received->str + cell->named, '\n'))) {
        g_autofree char *line = g_strndup(cell->received->str + cell->named,
                                          (gsize)(end - cell->received->str) - cell->named);
        g_auto(GStrv) words = g_strsplit(line, " ", -1);
        g_autoptr(GError) error = NULL;

        cell->named = (size_t)(end - cell->received->str) + 1;
        if (strcmp(words[0], "N") == 0 && g_strv_length(words) == 3 && !cell->unnamed &&
            !pl_names_add(cell->options->names, cell->run->topology->name, words[1],
                          cell->process.pid, atoi(words[2]), &error))
            cell->unnamed = g_strdup(error->message);
    }
}

void pl_cell_read(PlCell *cell)
{
    while (cell->pipe >= 0) {
        char buffer[16384];
        ssize_t n = read(cell->pipe, buffer, sizeof buffer);

        if (n > 0 && cell->received->len < RECEIVED_MAX) {
            g_string_append_len(cell->received, buffer, n);
            if (cell->options->names)
                make_names(cell);
        } else if (n < 0 && errno == EAGAIN)
            return;
        else if (n >= 0 || errno != EINTR) {
            close(cell->pipe);
            cell->pipe = -1;
        }
    }
}

/* The verdict that came, or NULL; the last phase that had begun (to be freed) or NULL; and whether
 * there is a whole recording. */
static PlVerdict *parse_received(const PlCell *cell, char **ret_phase, gboolean *ret_recorded)
{
    g_auto(GStrv) lines = g_strsplit(cell->received->str, "\n", -1);
    g_autoptr(JsonParser) parser = json_parser_new();
    const char *phase = NULL;
    PlVerdict *verdict = NULL;

    for (guint i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "P "))
            phase = lines[i] + 2;
        else if (g_str_has_prefix(lines[i], "R "))
            *ret_recorded = TRUE;
        else if (!verdict && g_str_has_prefix(lines[i], "V ") &&
                 json_parser_load_from_data(parser, lines[i] + 2, -1, NULL))
            verdict = pl_verdict_from_json(json_parser_get_root(parser), NULL);
    }
    *ret_phase = g_strdup(phase);
    return verdict;
}

static int end_process(PlCell *cell, gboolean kill_it)
{
    PlSandbox *process = &cell->process;
    int status = 0;

    if (process->pid <= 0)
        return 0;
    if (cell->options->engine->sandboxed) {
        if (kill_it)
            pl_sandbox_kill(process);
        return kill_it ? 128 + SIGKILL : pl_sandbox_wait(process);
    }
    if (kill_it)
        kill(process->pid, SIGKILL);
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(process->pidfd);
    process->pid = process->pidfd = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void say_how_it_ended(const PlCell *cell, PlVerdict *verdict, gboolean timed_out,
                             gboolean complete, int status, const char *phase)
{
    g_autofree char *when = NULL;

    if (complete && !timed_out)
        when = g_strdup(" after its verdict");
    else
        when = phase ? g_strdup_printf(" in phase %s", phase) : g_strdup("");
    if (timed_out)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "timed out after %g s%s",
                          (double)cell->timeout_ns / 1e9, when);
    else if (status > 128)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "the lab ended with signal %d (%s)%s",
                          status - 128, g_strsignal(status - 128), when);
    else if (status || !complete)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "the lab ended with status %d%s%s", status,
                          complete ? "" : " and no verdict", when);
}

/* The command that repeats a cell needs its time limit, too, if that was the user's. */
static void complete_command(const PlCell *cell, PlVerdict *verdict)
{
    char *command;

    if (!cell->options->timeout_ns || !verdict->command)
        return;
    command = g_strdup_printf("%s --timeout %g", verdict->command, (double)cell->timeout_ns / 1e9);
    g_free(verdict->command);
    verdict->command = command;
}

/* A recording of which the recorder did not say so may be cut short anywhere: it is not kept. */
static void keep_capture(PlCell *cell, PlVerdict *verdict)
{
    g_autofree char *path = g_strdup(cell->run->capture);
    g_autoptr(GError) error = NULL;

    if (!cell->capture)
        return;
    if (pl_artifact_publish(g_steal_pointer(&cell->capture), &error))
        verdict->capture = g_steal_pointer(&path);
    else
        pl_verdict_error(verdict, error);
    for (guint i = 0; i < cell->nodes->len; i++) {
        g_autoptr(GError) failed = NULL;
        PlArtifact *artifact = recording_of(cell, i);

        cell->nodes->pdata[i] = NULL;
        if (artifact && !pl_artifact_publish(artifact, &failed))
            pl_verdict_error(verdict, failed);
    }
}

PlVerdict *pl_cell_verdict(const PlRunCell *run, const PlRunnerOptions *options)
{
    PlVerdict *verdict = pl_verdict_new(run->topology, options->engine->name, run->seed);

    pl_expected_fill(run->topology, verdict);
    return verdict;
}

PlVerdict *pl_cell_finish(PlCell *cell, gboolean timed_out)
{
    int status = end_process(cell, timed_out);
    g_autofree char *phase = NULL;
    PlVerdict *verdict;
    gboolean complete, recorded = FALSE;

    pl_cell_read(cell);
    verdict = parse_received(cell, &phase, &recorded);
    complete = verdict != NULL;
    if (!complete) {
        verdict = pl_cell_verdict(cell->run, cell->options);
        verdict->duration_ns = (uint64_t)(g_get_monotonic_time() - cell->start_us) * 1000;
    }
    say_how_it_ended(cell, verdict, timed_out, complete, status, phase);
    if (cell->unnamed)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "%s", cell->unnamed);
    complete_command(cell, verdict);
    if (complete && recorded)
        keep_capture(cell, verdict);
    pl_cell_free(cell);
    return verdict;
}

void pl_cell_free(PlCell *cell)
{
    end_process(cell, TRUE);
    if (cell->options->names)
        pl_names_clear(cell->options->names);
    if (cell->pipe >= 0)
        close(cell->pipe);
    if (cell->memory >= 0)
        close(cell->memory);
    pl_artifact_discard(cell->capture);
    for (guint i = 0; i < cell->nodes->len; i++)
        pl_artifact_discard(recording_of(cell, i));
    g_ptr_array_unref(cell->nodes);
    g_string_free(cell->received, TRUE);
    g_free(cell->unnamed);
    g_free(cell);
}
