/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts and their programs. Every test runs as process 1 of a sandbox. */
#include "machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "in_sandbox.h"

#define SECOND_NS G_GUINT64_CONSTANT(1000000000)
/* Far beyond what a loaded machine needs. */
#define LIMIT_NS (20 * SECOND_NS)

/* This very program, which is also the server of the tests, and the directory it was built in with
 * all its libraries: it may lie below /tmp. */
static char *self, *self_dir;

typedef struct {
    PlMachine *machine;
    GPtrArray *programs; /* the machine borrows them to its end */
    int netns;
} World;

static World world_new(const char *name, const char *keep)
{
    g_autoptr(GError) error = NULL;
    World world = {.netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};

    g_assert_cmpint(world.netns, >=, 0);
    world.programs = g_ptr_array_new_with_free_func(g_free);
    world.machine = pl_machine_new(name, world.netns, "127.0.0.1 localhost\n192.0.2.7 bob\n", keep,
                                   NULL, &error);
    g_assert_no_error(error);
    return world;
}

static void world_free(World *world)
{
    pl_machine_free(world->machine);
    g_ptr_array_unref(world->programs);
    close(world->netns);
}

static PlProgram shell(char **argv, const char *script, PlReady ready)
{
    argv[0] = (char *)"sh";
    argv[1] = (char *)"-c";
    argv[2] = (char *)script;
    argv[3] = NULL;
    return (PlProgram){.argv = argv, .ready = ready, .time_limit_ns = LIMIT_NS};
}

static void result_clear(PlProgramResult *result)
{
    g_free(result->output);
}

/* Runs a script to its end; its output is to be freed. */
static char *output_of(World *world, const char *script, int *ret_status)
{
    g_autoptr(GError) error = NULL;
    char *argv[4];
    PlProgram *program = g_new(PlProgram, 1);
    PlProgramResult result;

    *program = shell(argv, script, PL_READY_EXIT);
    g_ptr_array_add(world->programs, program);
    pl_machine_start(world->machine, program, &error);
    g_assert_no_error(error);
    pl_machine_result(world->machine, program, &result, &error);
    g_assert_no_error(error);
    g_assert_true(result.ended);
    if (ret_status)
        *ret_status = result.exit_status;
    return result.output;
}

static void assert_output(World *world, const char *script, const char *expected)
{
    g_autofree char *output = output_of(world, script, NULL);

    g_assert_cmpstr(output, ==, expected);
}

static void own_files(void)
{
    World alice = world_new("alice", self_dir), bob = world_new("bob", self_dir);

    assert_output(&alice, "cat /etc/hosts", "127.0.0.1 localhost\n192.0.2.7 bob\n");
    assert_output(&alice, "grep -c ^nameserver /etc/resolv.conf", "0\n");
    assert_output(&alice, "uname -n", "alice\n");
    assert_output(&alice, "ls -A /run", "");
    assert_output(&alice, "touch /tmp/pinlab-only-here /run/pinlab-only-here; ls /run",
                  "pinlab-only-here\n");
    assert_output(&bob, "ls -d /tmp/pinlab-* /run/pinlab-* 2>/dev/null", "");
    assert_output(&bob, "uname -n", "bob\n");
    g_assert_false(g_file_test("/tmp/pinlab-only-here", G_FILE_TEST_EXISTS));
    g_assert_false(g_file_test("/run/pinlab-only-here", G_FILE_TEST_EXISTS));
    world_free(&alice);
    world_free(&bob);
}

static void kept_directory(void)
{
    g_autofree char *keep = g_strdup("/tmp/pinlab-test-XXXXXX");
    g_autofree char *link = NULL, *file = NULL, *expected = NULL;
    World world;

    g_assert_nonnull(mkdtemp(keep));
    link = g_strconcat(keep, "-link", NULL);
    file = g_build_filename(keep, "file", NULL);
    g_assert_cmpint(symlink(keep, link), ==, 0);
    g_assert_true(g_file_set_contents(file, "kept\n", -1, NULL));
    world = world_new("alice", link);
    expected = g_strdup_printf("%s\nkept\nkept\n", link);
    {
        g_autofree char *script = g_strdup_printf("pwd; cat file; cat %s", file);

        assert_output(&world, script, expected);
    }
    world_free(&world);
    g_unlink(file);
    g_unlink(link);
    g_rmdir(keep);
}

static void missing_program(void)
{
    g_autoptr(GError) error = NULL;
    World world = world_new("alice", self_dir);
    char *argv[] = {(char *)"pinlab-no-such-program", (char *)"-v", NULL};
    PlProgram program = {.argv = argv, .time_limit_ns = LIMIT_NS};

    g_assert_false(pl_machine_start(world.machine, &program, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    g_assert_cmpstr(error->message, ==,
                    "host alice: cannot start `pinlab-no-such-program`: No such file or directory");
    world_free(&world);
}

static void assert_not_started(const char *path, const char *why)
{
    g_autoptr(GError) error = NULL;
    World world = world_new("alice", self_dir);
    char *argv[] = {(char *)path, NULL};
    PlProgram program = {.argv = argv, .time_limit_ns = LIMIT_NS};
    g_autofree char *expected = g_strdup_printf("host alice: cannot start `%s`: %s", path, why);

    g_assert_false(pl_machine_start(world.machine, &program, &error));
    g_assert_cmpstr(error->message, ==, expected);
    world_free(&world);
}

static void missing_program_of_this_machines_tmp(void)
{
    assert_not_started("/tmp/pinlab-no-such-program",
                       "No such file or directory (hosts have a /tmp and /run of their own)");
    assert_not_started("/run/pinlab-no-such-program",
                       "No such file or directory (hosts have a /tmp and /run of their own)");
    assert_not_started("/pinlab-no-such-program", "No such file or directory");
    assert_not_started("./pinlab-no-such-program", "No such file or directory");
}

static void ready_by_line(void)
{
    g_autoptr(GError) error = NULL;
    World world = world_new("alice", self_dir);
    char *argv[4];
    PlProgram program = shell(argv,
                              "echo noise; printf 'now lis' >&2; printf 'tening on 5\n' >&2; "
                              "exec tail -f /dev/null",
                              PL_READY_LINE);
    PlProgramResult result;

    program.ready_text = (char *)"listening on";
    pl_machine_start(world.machine, &program, &error);
    g_assert_no_error(error);
    pl_machine_result(world.machine, &program, &result, &error);
    g_assert_no_error(error);
    g_assert_false(result.ended);
    g_assert_cmpstr(result.output, ==, "noise\nnow listening on 5\n");
    result_clear(&result);
    world_free(&world);
}

static void assert_start_fails(World *world, PlProgram *program, const char *const *parts)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(pl_machine_start(world->machine, program, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    for (; *parts; parts++) {
        if (!strstr(error->message, *parts))
            g_error("no \"%s\" in: %s", *parts, error->message);
    }
    g_assert_null(strchr(error->message, '\033'));
}

static void ends_early(void)
{
    static const char *const parts[] = {"host alice: ", "ended with status 3 before it was ready",
                                        "oops[31m", NULL};
    World world = world_new("alice", self_dir);
    char *argv[4];
    PlProgram program = shell(argv, "printf 'oops\\033[31m\\n' >&2; exit 3", PL_READY_LINE);

    program.ready_text = (char *)"ready";
    assert_start_fails(&world, &program, parts);
    program.ready = PL_READY_UDP;
    program.ready_port = 4000;
    assert_start_fails(&world, &program, parts);
    world_free(&world);
}

static void ends_well_without_being_ready(void)
{
    static const char *const parts[] = {"ended with status 0 before it was ready",
                                        "put out nothing", NULL};
    World world = world_new("alice", self_dir);
    char *argv[4];
    PlProgram program = shell(argv, "true", PL_READY_TCP);

    program.ready_port = 4000;
    assert_start_fails(&world, &program, parts);
    world_free(&world);
}

static void never_ready(void)
{
    static const char *const lines[] = {"put out no line with \"ready\" within 1 s", "waiting",
                                        NULL};
    static const char *const ports[] = {"does not listen on TCP port 4000 within 0.05 s", NULL};
    static const char *const ends[] = {"did not end within 0.05 s", NULL};
    World world = world_new("alice", self_dir);
    char *argv[4];
    PlProgram program = shell(argv, "exec tail -f /dev/null", PL_READY_TCP);

    program.ready_port = 4000;
    program.time_limit_ns = SECOND_NS / 20;
    assert_start_fails(&world, &program, ports);
    program.ready = PL_READY_EXIT;
    assert_start_fails(&world, &program, ends);
    program = shell(argv, "while :; do echo waiting; done", PL_READY_LINE);
    program.ready_text = (char *)"ready";
    program.time_limit_ns = SECOND_NS;
    assert_start_fails(&world, &program, lines);
    world_free(&world);
}

/* This program as a server: "--serve udp|tcp PORT [background]". */
static int serve(char **argv)
{
    gboolean tcp = strcmp(argv[2], "tcp") == 0;
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(argv[3]))};
    int fd;

    if (argv[4] && fork() > 0)
        return 0;
    if (argv[4])
        setsid();
    fd = socket(AF_INET6, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || (tcp && listen(fd, 1) < 0))
        return 1;
    for (;;)
        pause();
}

static void ready_by_port(void)
{
    static const struct {
        PlReady ready;
        const char *protocol, *port, *background;
    } cases[] = {
        {PL_READY_UDP, "udp", "4001", NULL},
        {PL_READY_TCP, "tcp", "4001", NULL},
        {PL_READY_UDP, "udp", "4002", "background"},
        {PL_READY_TCP, "tcp", "4002", "background"},
    };
    World world = world_new("alice", self_dir);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        char *argv[] = {self,
                        (char *)"--serve",
                        (char *)cases[i].protocol,
                        (char *)cases[i].port,
                        (char *)cases[i].background,
                        NULL};
        PlProgram program = {.argv = argv,
                             .ready = cases[i].ready,
                             .ready_port = (uint16_t)atoi(cases[i].port),
                             .time_limit_ns = LIMIT_NS};

        pl_machine_start(world.machine, &program, &error);
        g_assert_no_error(error);
    }
    world_free(&world);
}

static void long_output(void)
{
    World world = world_new("alice", self_dir);
    g_autofree char *output =
        output_of(&world, "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end", NULL);

    g_assert_cmpuint(strlen(output), ==, 1024 * 1024);
    g_assert_true(g_str_has_suffix(output, "xxx\nthe end\n"));
    world_free(&world);
}

static void output_is_text(void)
{
    World world = world_new("alice", self_dir);
    g_autofree char *output = output_of(&world, "printf 'a\\0b\\377c\\n'", NULL);

    g_assert_true(g_utf8_validate(output, -1, NULL));
    g_assert_true(g_str_has_suffix(output, "c\n"));
    world_free(&world);
}

static void exit_statuses(void)
{
    static const struct {
        const char *script;
        int status;
    } cases[] = {{"exit 0", 0}, {"exit 5", 5}, {"kill -KILL $$", 137}, {"kill -TERM $$", 143}};
    World world = world_new("alice", self_dir);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        int status;
        g_autofree char *output = output_of(&world, cases[i].script, &status);

        g_assert_cmpstr(output, ==, "");
        g_assert_cmpint(status, ==, cases[i].status);
    }
    world_free(&world);
}

static void default_signals(void)
{
    sigset_t set;
    World world;

    sigfillset(&set);
    g_assert_cmpint(sigprocmask(SIG_BLOCK, &set, NULL), ==, 0);
    signal(SIGPIPE, SIG_IGN);
    world = world_new("alice", self_dir);
    assert_output(&world, "yes | head -n 1", "y\n");
    assert_output(&world, "kill -TERM $$; echo blocked", "");
    assert_output(&world, "cat; ls /proc/self/fd | wc -l", "4\n");
    world_free(&world);
}

static void kill_takes_daemons(void)
{
    g_autoptr(GError) error = NULL;
    World world = world_new("alice", self_dir);
    char *argv[4], *look[4];
    PlProgram program =
        shell(argv,
              "setsid sh -c 'echo $$ > /tmp/pid; exec tail -f /dev/null' & "
              "while ! [ -s /tmp/pid ]; do :; done; echo up; exec tail -f /dev/null",
              PL_READY_LINE);
    PlProgramResult result;

    program.ready_text = (char *)"up";
    pl_machine_start(world.machine, &program, &error);
    g_assert_no_error(error);
    shell(look, "kill -0 $(cat /tmp/pid)", PL_READY_EXIT);
    pl_machine_run(world.machine, look, LIMIT_NS, &error);
    g_assert_no_error(error);
    pl_machine_kill(world.machine);
    pl_machine_result(world.machine, &program, &result, &error);
    g_assert_no_error(error);
    g_assert_true(result.ended);
    g_assert_cmpint(result.exit_status, ==, 128 + SIGKILL);
    result_clear(&result);
    /* Its files are there still, as after any crash; the process is not. */
    shell(look, "[ -s /tmp/pid ] && ! kill -0 $(cat /tmp/pid)", PL_READY_EXIT);
    pl_machine_run(world.machine, look, LIMIT_NS, &error);
    g_assert_no_error(error);
    world_free(&world);
}

static void started_again(void)
{
    g_autoptr(GError) error = NULL;
    World world = world_new("alice", self_dir);
    char *argv[4];
    PlProgram program =
        shell(argv, "cat /tmp/n 2>/dev/null || echo first; echo second >/tmp/n", PL_READY_EXIT);
    g_autofree char *none = pl_machine_output(world.machine, &program), *last = NULL;
    PlProgramResult result;

    g_assert_null(none);
    pl_machine_start(world.machine, &program, &error);
    pl_machine_start(world.machine, &program, &error);
    g_assert_no_error(error);
    pl_machine_result(world.machine, &program, &result, &error);
    g_assert_cmpstr(result.output, ==, "first\nsecond\n");
    result_clear(&result);
    last = pl_machine_output(world.machine, &program);
    g_assert_cmpstr(last, ==, "second\n");
    world_free(&world);
}

static void run_fails(void)
{
    g_autoptr(GError) error = NULL;
    World world = world_new("alice", self_dir);
    char *argv[4];

    shell(argv, "echo bad; exit 4", PL_READY_EXIT);
    g_assert_false(pl_machine_run(world.machine, argv, LIMIT_NS, &error));
    g_assert_cmpstr(error->message, ==,
                    "host alice: `sh -c echo bad; exit 4` ended with status 4; it put out:\n"
                    "    bad");
    g_clear_error(&error);
    shell(argv, "echo $$ > /tmp/pid; exec tail -f /dev/null", PL_READY_EXIT);
    g_assert_false(pl_machine_run(world.machine, argv, SECOND_NS / 5, &error));
    g_assert_nonnull(strstr(error->message, "did not end within 0.2 s"));
    world_free(&world);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *claim;
        void (*test)(void);
    } tests[] = {
        {"/machine/a-host-has-its-own-name-and-files", own_files},
        {"/machine/the-kept-directory-is-seen-at-its-own-path-below-tmp", kept_directory},
        {"/machine/a-program-that-is-not-there-is-one-clear-error", missing_program},
        {"/machine/a-program-of-this-machines-tmp-is-not-the-hosts",
         missing_program_of_this_machines_tmp},
        {"/machine/a-line-of-either-output-makes-ready", ready_by_line},
        {"/machine/a-program-that-ends-early-is-shown-with-its-last-lines", ends_early},
        {"/machine/a-good-end-is-no-readiness", ends_well_without_being_ready},
        {"/machine/a-program-that-never-gets-ready-is-an-error-in-time", never_ready},
        {"/machine/a-bound-port-makes-ready-also-a-daemon's", ready_by_port},
        {"/machine/the-last-mebibyte-of-output-is-kept-and-nobody-blocks", long_output},
        {"/machine/output-becomes-valid-text", output_is_text},
        {"/machine/exit-statuses-and-signals-are-told", exit_statuses},
        {"/machine/programs-start-with-default-signals-and-no-descriptors", default_signals},
        {"/machine/kill-takes-daemons-and-leaves-files", kill_takes_daemons},
        {"/machine/a-run-that-fails-or-hangs-is-an-error", run_fails},
        {"/machine/the-output-of-all-runs-is-told-and-that-of-the-last", started_again},
    };

    g_autofree char *bin = NULL;

    if (argc > 3 && strcmp(argv[1], "--serve") == 0)
        return serve(argv);
    g_test_init(&argc, &argv, NULL);
    self = g_file_read_link("/proc/self/exe", NULL);
    g_assert_nonnull(self);
    bin = g_path_get_dirname(self);
    self_dir = g_path_get_dirname(bin);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].claim, (gconstpointer)(uintptr_t)tests[i].test,
                             test_in_sandbox);
    return g_test_run();
}
