/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pinlab/execute.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "machine/names.h"
#include "pinlab/conflict.h"
#include "report/report.h"
#include "runner/artifact.h"
#include "runner/runner.h"
#include "scenario/json.h"

/* A cell waits most of its time: for probes that must not arrive, and for programs. */
#define JOBS_PER_PROCESSOR         4
#define PATIENT_JOBS_PER_PROCESSOR 24

typedef struct Outputs {
    PlArtifact *json, *junit; /* NULL: not wanted, or standard output */
    gboolean json_on_stdout, junit_on_stdout;
} Outputs;

static void outputs_clear(Outputs *outputs)
{
    pl_artifact_discard(outputs->json);
    pl_artifact_discard(outputs->junit);
    *outputs = (Outputs){0};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outputs, outputs_clear)

static gboolean is_plain_terminal(int fd)
{
    const char *terminal = g_getenv("TERM");

    return isatty(fd) && g_strcmp0(terminal, "dumb") != 0;
}

/* https://no-color.org: set to anything but nothing. */
static gboolean wants_colour(void)
{
    const char *no_colour = g_getenv("NO_COLOR");

    return is_plain_terminal(STDOUT_FILENO) && (!no_colour || !*no_colour);
}

/* As others do it: the user's word first. */
static unsigned terminal_columns(void)
{
    const char *columns = g_getenv("COLUMNS");
    struct winsize size;
    guint64 value;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (columns && g_ascii_string_to_unsigned(columns, 10, 1, G_MAXUINT16, &value, NULL))
        return (unsigned)value;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static gboolean make_directory(const char *path, GError **error)
{
    g_autofree char *any = g_build_filename(path, "any", NULL);
    g_autoptr(PlArtifact) probe = NULL;

    if (g_mkdir_with_parents(path, 0777) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "cannot make directory %s: %s", path,
                    g_strerror(errno));
        return FALSE;
    }
    probe = pl_artifact_open(any, NULL);
    if (!probe)
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "cannot write to directory %s", path);
    return probe != NULL;
}

/* What cannot be written is better known before the run than after it. */
static gboolean open_outputs(const Options *options, Outputs *outputs, GError **error)
{
    outputs->json_on_stdout = g_strcmp0(options->json, "-") == 0;
    outputs->junit_on_stdout = g_strcmp0(options->junit, "-") == 0;
    if (outputs->json_on_stdout && outputs->junit_on_stdout) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "--json - and --junit -: expected at most one of them on standard output");
        return FALSE;
    }
    if (options->json && !outputs->json_on_stdout &&
        !(outputs->json = pl_artifact_open(options->json, error)))
        return FALSE;
    if (options->junit && !outputs->junit_on_stdout &&
        !(outputs->junit = pl_artifact_open(options->junit, error)))
        return FALSE;
    return !options->pcap || make_directory(options->pcap, error);
}

/* Reports and recordings go by the name. */
static gboolean names_are_different(const GPtrArray *topologies)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < topologies->len; i++) {
        PlTopology *topology = g_ptr_array_index(topologies, i);
        PlTopology *other = g_hash_table_lookup(seen, topology->name);

        if (other) {
            command_refuse("two topologies are called %s: %s and %s", topology->name, other->path,
                           topology->path);
            return FALSE;
        }
        g_hash_table_insert(seen, topology->name, topology);
    }
    return TRUE;
}

static char *capture_path(const Options *options, const PlTopology *topology, unsigned run)
{
    g_autofree char *name = NULL;

    if (!options->pcap)
        return NULL;
    if (options->repeat > 1)
        name = g_strdup_printf("%s-%u.pcapng", topology->name, run + 1);
    else
        name = g_strdup_printf("%s.pcapng", topology->name);
    return g_build_filename(options->pcap, name, NULL);
}

static GArray *make_cells(const Options *options, const GPtrArray *topologies, GPtrArray *paths)
{
    GArray *cells = g_array_new(FALSE, FALSE, sizeof(PlRunCell));

    for (guint i = options->shard - 1; i < topologies->len; i += options->shards) {
        const PlTopology *topology = g_ptr_array_index(topologies, i);

        for (unsigned run = 0; run < options->repeat; run++) {
            PlRunCell cell = {
                .topology = topology,
                .seed = options->seed + run,
                .capture = capture_path(options, topology, run),
            };

            g_ptr_array_add(paths, (char *)cell.capture);
            g_array_append_val(cells, cell);
        }
        if (topologies->len - i <= options->shards)
            break; /* and the sum cannot overflow */
    }
    return cells;
}

static void show_progress(const PlRunProgress *progress, gpointer data)
{
    const Options *options = data;
    size_t done = progress->passed + progress->failed + progress->skipped;
    size_t skipped = options->no_skip ? 0 : progress->skipped;

    fprintf(stderr, "\r\033[K%zu/%zu passed %zu failed %zu skipped %zu - %s", done, progress->cells,
            progress->passed, done - progress->passed - skipped, skipped, progress->topology);
}

static GPtrArray *run_cells(const Options *options, const GArray *cells, PlNames *names,
                            int *ret_signal)
{
    gboolean progress = is_plain_terminal(STDERR_FILENO);
    unsigned processors = g_get_num_processors();
    const PlRunnerOptions runner = {
        .engine = options->engine,
        /* Two labs of one topology cannot have the same names. */
        .jobs = names           ? 1
                : options->jobs ? options->jobs
                                : CLAMP(cells->len, 1, JOBS_PER_PROCESSOR * processors),
        /* In virtual time nobody waits. */
        .jobs_patient = names || options->jobs || !options->engine->sandboxed
                            ? 0
                            : PATIENT_JOBS_PER_PROCESSOR * processors,
        .digests = options->json != NULL,
        .names = names,
        .timeout_ns = options->timeout_ns,
        .progress = progress ? show_progress : NULL,
        .data = (gpointer)options,
    };
    GPtrArray *verdicts = pl_runner_run((const PlRunCell *)(const void *)cells->data, cells->len,
                                        &runner, ret_signal);

    if (progress)
        fputs("\r\033[K", stderr);
    return verdicts;
}

static gboolean write_json(Outputs *outputs, JsonNode *node, GError **error)
{
    g_autofree char *text = pl_json_pretty(node);

    if (outputs->json_on_stdout)
        fputs(text, stdout);
    return !outputs->json || (pl_artifact_write(outputs->json, text, error) &&
                              pl_artifact_publish(g_steal_pointer(&outputs->json), error));
}

static gboolean write_junit(Outputs *outputs, GPtrArray *verdicts, uint64_t duration_ns,
                            GError **error)
{
    char *text = NULL;
    size_t length;
    FILE *memory;
    gboolean ok;

    if (outputs->junit_on_stdout)
        pl_report_junit(stdout, verdicts, duration_ns);
    if (!outputs->junit)
        return TRUE;
    memory = open_memstream(&text, &length);
    if (!memory)
        g_error("out of memory");
    pl_report_junit(memory, verdicts, duration_ns);
    fclose(memory);
    ok = pl_artifact_write(outputs->junit, text, error) &&
         pl_artifact_publish(g_steal_pointer(&outputs->junit), error);
    free(text);
    return ok;
}

/* A table of pairs; without `kinds` it is a list. A shard has no such shape. */
typedef struct Grid {
    const char *const *kinds;
    unsigned repeat;
} Grid;

/* `single`: the only topology, when its verdict is wanted in full. */
static gboolean report(Outputs *outputs, GPtrArray *verdicts, uint64_t duration_ns,
                       const PlTopology *single, const Grid *grid, GError **error)
{
    gboolean full = single && verdicts->len == 1;
    const PlReportStyle style = {.colour = wants_colour(), .columns = terminal_columns()};
    gboolean json = outputs->json || outputs->json_on_stdout;
    g_autoptr(JsonNode) node = NULL;

    if (json)
        node = full ? pl_verdict_to_json(g_ptr_array_index(verdicts, 0))
                    : pl_report_json(verdicts, duration_ns);

    if (!outputs->json_on_stdout && !outputs->junit_on_stdout) {
        if (full)
            pl_report_verdict(stdout, g_ptr_array_index(verdicts, 0), single->about, style);
        else if (grid->kinds)
            pl_report_pairs(stdout, verdicts, grid->kinds, grid->repeat, duration_ns, style);
        else
            pl_report_table(stdout, verdicts, duration_ns, style);
    }
    return (!json || write_json(outputs, node, error)) &&
           write_junit(outputs, verdicts, duration_ns, error);
}

int execute(const Options *options, const GPtrArray *topologies, gboolean single,
            const char *const *grid)
{
    const Grid table = {options->shards == 1 ? grid : NULL, options->repeat};
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GArray) cells = NULL;
    g_autoptr(GPtrArray) verdicts = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(Outputs) outputs = {0};
    g_autoptr(PlNames) names = NULL;
    gint64 start = g_get_monotonic_time();
    int signal;

    if (!names_are_different(topologies))
        return EXIT_INPUT;
    cells = make_cells(options, topologies, paths);
    if (!conflict_check(options, topologies, paths, &error) ||
        !open_outputs(options, &outputs, &error))
        return command_refuse("%s", error->message);
    if (options->names && !(names = pl_names_new(&error)))
        return command_refuse("%s", error->message);
    pl_names_sweep();
    verdicts = run_cells(options, cells, names, &signal);
    if (!verdicts) {
        fputs("interrupted\n", stderr);
        return 128 + signal;
    }
    if (options->no_skip)
        pl_report_forbid_skips(verdicts);
    if (!report(&outputs, verdicts, (uint64_t)(g_get_monotonic_time() - start) * 1000,
                single ? g_ptr_array_index(topologies, 0) : NULL, &table, &error)) {
        command_refuse("%s", error->message);
        return EXIT_FAILURE;
    }
    if (cells->len == 0) {
        fputs("no topology in this shard\n", stderr);
        return EXIT_SUCCESS;
    }
    return pl_report_exit_status(verdicts);
}
