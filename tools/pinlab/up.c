/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab up: a lab to work in. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/names.h"
#include "pinlab/find.h"
#include "pinlab/options.h"
#include "session/session.h"

static const Command command = {
    .name = "up",
    .parameters = "TOPOLOGY",
    .summary =
        "Build a lab and keep it.\n"
        "\n"
        "TOPOLOGY is a file, or a topology's bare name (see pinlab --help). Its NATs are\n"
        "certified, its hosts' programs started; then the lab's name is printed, and the lab\n"
        "stands until pinlab down. The file's steps are done only with --steps, and before\n"
        "the lab is ready; its expectations are for pinlab run. The exit status is 1 when a\n"
        "NAT is not what the file says, a program does not get ready or a step fails, 77 when\n"
        "this machine cannot do it.",
    .description = "Examples:\n"
                   "  pinlab up two-homes\n"
                   "  pinlab exec two-homes alice -- ping -c 1 hub\n"
                   "  pinlab down two-homes\n",
};

static void print_name(gpointer data)
{
    puts(data);
    fflush(stdout);
}

static void print_step(const char *line, gpointer data)
{
    (void)data;
    fprintf(stderr, "pinlab: %s\n", line);
}

static void tell_step(const char *line, gpointer data)
{
    g_autofree char *text = g_strdup_printf("S%s\n", line);

    (void)!write(*(const int *)data, text, strlen(text));
}

static void tell_ready(gpointer data)
{
    (void)!write(*(const int *)data, "R", 1);
}

static int in_foreground(PlSessionOptions *options)
{
    g_autoptr(GError) error = NULL;
    int signal;

    options->ready = print_name;
    options->stepped = print_step;
    options->data = (gpointer)options->name;
    if (pl_session_hold(options, &signal, &error))
        return signal ? 128 + signal : EXIT_SUCCESS;
    command_refuse("%s", error->message);
    return command_status(error);
}

/* With nothing resolved, since ".." after a symbolic link is not what it looks like. */
static void make_absolute(char **path)
{
    g_autofree char *here = g_get_current_dir();
    char *whole;

    if (!*path || g_path_is_absolute(*path))
        return;
    whole = g_build_filename(here, *path, NULL);
    g_free(*path);
    *path = whole;
}

/* So that it can be read from anywhere. */
static void make_paths_absolute(PlTopology *topology)
{
    make_absolute(&topology->path);
    for (unsigned i = 0; i < topology->nodes->len; i++)
        make_absolute(&((PlNode *)g_ptr_array_index(topology->nodes, i))->rules);
}

/*
 * The lab's holder: nobody's child, with nobody's terminal, directory or files. Says S and a line
 * for each step that is done, then R, or a digit string and why.
 */
static G_NORETURN void hold_detached(PlSessionOptions *options, int report)
{
    g_autoptr(GError) error = NULL;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), signal;

    setsid();
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    pl_files_close_others(&report, 1);
    (void)!chdir("/");
    options->ready = tell_ready;
    options->stepped = tell_step;
    options->data = &report;
    options->patron = report;
    if (!pl_session_hold(options, &signal, &error)) {
        g_autofree char *text = g_strdup_printf("%d %s", command_status(error), error->message);

        (void)!write(report, text, strlen(text));
    }
    _exit(EXIT_SUCCESS);
}

/* Those that are there with their whole line. */
static void print_steps(GString *said)
{
    char *end;

    while (said->str[0] == 'S' && (end = strchr(said->str, '\n'))) {
        *end = '\0';
        print_step(said->str + 1, NULL);
        g_string_erase(said, 0, end + 1 - said->str);
    }
}

static int detached(PlSessionOptions *options)
{
    g_autoptr(GString) said = g_string_new(NULL);
    char buffer[4096], *reason;
    int ends[2], status;
    ssize_t n;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        command_refuse("cannot start a process");
        return EXIT_FAILURE;
    }
    if (pid == 0) {
        close(ends[0]);
        signal(SIGPIPE, SIG_IGN);
        hold_detached(options, ends[1]);
    }
    close(ends[1]);
    while (said->str[0] != 'R' && (n = read(ends[0], buffer, sizeof(buffer))) > 0) {
        g_string_append_len(said, buffer, n);
        print_steps(said);
    }
    if (said->str[0] == 'R') {
        print_name((gpointer)options->name);
        return EXIT_SUCCESS;
    }
    waitpid(pid, NULL, 0);
    status = (int)strtol(said->str, &reason, 10);
    command_refuse("%s", *reason ? reason + 1 : "the lab ended before it was ready");
    return *reason ? status : EXIT_FAILURE;
}

/* Those of the file: a stream is one. */
static unsigned count_steps(const PlTopology *topology)
{
    unsigned n = 0;

    for (unsigned i = 0; i < topology->steps->len; i++)
        n += !((const PlStep *)g_ptr_array_index(topology->steps, i))->more;
    return n;
}

int command_up(int argc, char **argv)
{
    g_autofree char *engine = NULL, *word = NULL, *name = NULL;
    gboolean names = FALSE, foreground = FALSE, steps = FALSE;
    const GOptionEntry entries[] = {
        {"name", 'n', 0, G_OPTION_ARG_STRING, &name, "Call the lab LAB (default: as the topology)",
         "LAB"},
        {"engine", 'e', 0, G_OPTION_ARG_STRING, &engine,
         "What builds the lab: kernel (default), or fabric", "ENGINE"},
        {"seed", 's', 0, G_OPTION_ARG_STRING, &word,
         "Make everything random follow from N (default: another one each time)", "N"},
        {"names", 0, 0, G_OPTION_ARG_NONE, &names,
         "Give namespaces names for `ip netns exec`: LAB.NODE (root only)", NULL},
        {"steps", 0, 0, G_OPTION_ARG_NONE, &steps,
         "Do the file's steps, each at its time, and say so; then the lab is ready", NULL},
        {"foreground", 'f', 0, G_OPTION_ARG_NONE, &foreground,
         "Stay, and take the lab down when interrupted", NULL},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    g_autoptr(PlTopology) topology = NULL;
    PlSessionOptions options = {.patron = -1};
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status) ||
        !options_engine(engine, &options.engine, &status) ||
        !options_seed(word, 1, &options.seed, &status))
        return status;
    if (!options.engine->machine)
        return command_refuse("engine %s has no machines to work on", options.engine->name);
    topology = find_one("up", arguments);
    if (!topology)
        return EXIT_INPUT;
    pl_names_sweep();
    options.topology = topology;
    options.name = name ? name : topology->name;
    options.names = names;
    options.steps = steps;
    if (!steps && topology->steps->len > 0)
        fprintf(stderr, "pinlab: the file's steps are not done (%u; --steps does them)\n",
                count_steps(topology));
    if (foreground)
        return in_foreground(&options);
    make_paths_absolute(topology);
    return detached(&options);
}
