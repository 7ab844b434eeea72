/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The runner, with a scenario of the test's own in place of the real one: what a cell does is
 * written in its topology's name, such as "skip" or "hang".
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/runner.h"
#include "scenario/scenario.h"
#include "topology/pair.h"

#define MS_IN_NS G_GUINT64_CONSTANT(1000000)

/* Shared with the cells' processes. */
static struct {
    int running, most;
    int go[2]; /* a pipe: "wait" ends when it can read from it */
} * shared;

static void enter(void)
{
    int now = __atomic_add_fetch(&shared->running, 1, __ATOMIC_SEQ_CST);
    int most = __atomic_load_n(&shared->most, __ATOMIC_SEQ_CST);

    while (now > most && !__atomic_compare_exchange_n(&shared->most, &most, now, FALSE,
                                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
}

static void leave(void)
{
    __atomic_sub_fetch(&shared->running, 1, __ATOMIC_SEQ_CST);
}

/* A cell has inherited nothing, but a plain one may look at its parent. */
static int open_go(void)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)getppid(), shared->go[0]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static unsigned open_files(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Takes the place of the one in sim/scenario. */
PlVerdict *pl_scenario_run(const PlTopology *topology, const PlEngine *engine, uint64_t seed,
                           int capture_fd, const PlScenarioWatch *watch)
{
    PlVerdict *verdict = pl_verdict_new(topology, engine->name, seed);
    const char *does = topology->name;
    char byte;

    enter();
    watch->phase("up", watch->data);
    if (g_str_has_prefix(does, "wait"))
        g_assert_cmpint(read(open_go(), &byte, 1), ==, 1);
    watch->phase("certify", watch->data);
    if (g_str_has_prefix(does, "hang"))
        for (;;)
            pause();
    if (g_str_has_prefix(does, "crash"))
        raise(SIGKILL);
    if (g_str_has_prefix(does, "count"))
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "it has %u descriptors", open_files());
    if (g_str_has_prefix(does, "exit"))
        _exit(3);
    if (g_str_has_prefix(does, "signal"))
        kill(getppid(), SIGTERM);
    if (g_str_has_prefix(does, "talk"))
        puts("on standard output");
    if (g_str_has_prefix(does, "fail"))
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "it failed");
    if (g_str_has_prefix(does, "skip"))
        pl_verdict_reason(verdict, PL_OUTCOME_SKIP, "it was skipped");
    if (g_str_has_prefix(does, "record"))
        g_assert_cmpint(write(capture_fd, "packets", 7), ==, 7);
    if (strcmp(does, "record") == 0)
        watch->recorded(watch->data);
    verdict->duration_ns = 5;
    leave();
    return verdict;
}

static void refuse(const PlTopology *topology, GPtrArray *reasons)
{
    if (g_str_has_prefix(topology->name, "refused"))
        g_ptr_array_add(reasons, g_strdup("engine fake cannot express this"));
}

static const PlEngine fake_engine = {.name = "fake", .refuse = refuse};

typedef struct Fixture {
    GPtrArray *topologies;
    GArray *cells;
    PlRunnerOptions options;
    int signal;
    char *directory;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fixture->topologies = g_ptr_array_new_with_free_func((GDestroyNotify)pl_topology_free);
    fixture->cells = g_array_new(FALSE, FALSE, sizeof(PlRunCell));
    fixture->options = (PlRunnerOptions){
        .engine = &fake_engine,
        .jobs = 4,
    };
    fixture->directory = g_dir_make_tmp("runner-XXXXXX", NULL);
    shared->running = shared->most = 0;
    g_assert_cmpint(pipe2(shared->go, O_CLOEXEC), ==, 0);
}

static unsigned files_in(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(rmdir(fixture->directory), ==, 0);
    g_free(fixture->directory);
    g_ptr_array_unref(fixture->topologies);
    g_array_unref(fixture->cells);
    close(shared->go[0]);
    close(shared->go[1]);
    /* Every process has been waited for. */
    g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
}

static void add(Fixture *fixture, const char *does, const char *capture)
{
    static const char text[] = "[topology]\n"
                               "title = T\n"
                               "[network internet]\n"
                               "subnet = 203.0.113.0/24\n"
                               "[host alice]\n"
                               "on = internet\n"
                               "[host bob]\n"
                               "on = internet\n";
    g_autofree char *path = g_strdup_printf("%s.ini", does);
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse(path, text, strlen(text), &error);
    PlRunCell cell = {.topology = topology, .seed = fixture->cells->len, .capture = capture};

    g_assert_no_error(error);
    g_ptr_array_add(fixture->topologies, topology);
    g_array_append_val(fixture->cells, cell);
}

static GPtrArray *run(Fixture *fixture)
{
    return pl_runner_run((const PlRunCell *)(const void *)fixture->cells->data, fixture->cells->len,
                         &fixture->options, &fixture->signal);
}

static PlVerdict *run_one(Fixture *fixture, const char *does, const char *capture)
{
    g_autoptr(GPtrArray) verdicts = NULL;

    add(fixture, does, capture);
    verdicts = run(fixture);
    g_assert_cmpuint(verdicts->len, ==, 1);
    return g_ptr_array_steal_index(verdicts, 0);
}

static const char *only_reason(const PlVerdict *verdict)
{
    g_assert_cmpuint(verdict->reasons->len, ==, 1);
    return g_ptr_array_index(verdict->reasons, 0);
}

/* The first cell waits until progress says that all others have ended. */
static void let_go(const PlRunProgress *progress, gpointer data)
{
    (void)data;
    if (progress->passed + progress->failed + progress->skipped == progress->cells - 1)
        g_assert_cmpint(write(shared->go[1], "", 1), ==, 1);
}

static void test_order(Fixture *fixture, gconstpointer data)
{
    static const char *const does[] = {"wait", "fail", "skip", "pass", "refused", "pass2"};
    g_autoptr(GPtrArray) verdicts = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(does); i++)
        add(fixture, does[i], NULL);
    fixture->options.jobs = 2;
    fixture->options.progress = let_go;
    verdicts = run(fixture);
    g_assert_cmpuint(verdicts->len, ==, G_N_ELEMENTS(does));
    for (guint i = 0; i < verdicts->len; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        g_assert_cmpstr(verdict->topology, ==, does[i]);
        g_assert_cmpuint(verdict->seed, ==, i);
        g_assert_cmpstr(verdict->engine, ==, "fake");
    }
    g_assert_cmpint(((PlVerdict *)g_ptr_array_index(verdicts, 0))->outcome, ==, PL_OUTCOME_PASS);
    g_assert_cmpint(((PlVerdict *)g_ptr_array_index(verdicts, 1))->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_cmpint(((PlVerdict *)g_ptr_array_index(verdicts, 2))->outcome, ==, PL_OUTCOME_SKIP);
}

static void test_jobs(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GPtrArray) verdicts = NULL;

    (void)data;
    for (int i = 0; i < 12; i++)
        add(fixture, "pass", NULL);
    fixture->options.jobs = 3;
    verdicts = run(fixture);
    g_assert_cmpuint(verdicts->len, ==, 12);
    g_assert_cmpint(shared->most, <=, 3);
    g_assert_cmpint(shared->most, >=, 1);
}

static PlTopology *pair(const char *alice, const char *bob)
{
    unsigned kinds[2];

    g_assert_true(pl_pair_kind(alice, &kinds[0], NULL));
    g_assert_true(pl_pair_kind(bob, &kinds[1], NULL));
    return pl_pair_topology(kinds[0], kinds[1]);
}

static void test_patience(Fixture *fixture, gconstpointer data)
{
    static const struct {
        const char *alice, *bob;
        unsigned patience;
    } pairs[] = {
        {"open", "open", 0},
        {"symmetric", "symmetric", 0},
        {"restricted", "symmetric", 0},
        {"symmetric-sequential", "port-restricted", 0},
        {"symmetric", "port-restricted", 1},
        {"firewall", "double-symmetric", 1},
        {"symmetric-block", "cgn", 1},
        {"open", "udp-blocked", 2},
        {"udp-blocked", "udp-blocked", 4},
    };

    (void)fixture;
    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autoptr(PlTopology) topology = pair(pairs[i].alice, pairs[i].bob);

        g_test_message("%s", topology->name);
        g_assert_cmpuint(pl_runner_patience(topology), ==, pairs[i].patience);
    }
}

/* As the last one, and with a name that says what it does. */
static void add_patient(Fixture *fixture, const char *does)
{
    PlTopology *topology = pair("open", "udp-blocked");
    const PlRunCell cell = {.topology = topology, .seed = fixture->cells->len};

    g_free(topology->name);
    topology->name = g_strdup(does);
    g_ptr_array_add(fixture->topologies, topology);
    g_array_append_val(fixture->cells, cell);
}

/* The patient one ends when the others have; in the only place there is nobody else would begin. */
static void test_patient_beside(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GPtrArray) verdicts = NULL;

    (void)data;
    for (int i = 0; i < 3; i++)
        add(fixture, "pass", NULL);
    add_patient(fixture, "wait");
    fixture->options.jobs = fixture->options.jobs_patient = 1;
    fixture->options.progress = let_go;
    verdicts = run(fixture);
    g_assert_cmpuint(verdicts->len, ==, 4);
    for (guint i = 0; i < verdicts->len; i++)
        g_assert_cmpint(((PlVerdict *)g_ptr_array_index(verdicts, i))->outcome, ==,
                        PL_OUTCOME_PASS);
    g_assert_cmpint(shared->most, ==, 2);
}

static void note_topology(const PlRunProgress *progress, gpointer data)
{
    g_string_append_printf(data, "%s ", progress->topology);
}

static void test_patient_first(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GPtrArray) verdicts = NULL;
    g_autoptr(GString) order = g_string_new(NULL);

    (void)data;
    add(fixture, "pass", NULL);
    add_patient(fixture, "pass-patiently");
    fixture->options.jobs = 1;
    fixture->options.progress = note_topology;
    fixture->options.data = order;
    verdicts = run(fixture);
    g_assert_cmpstr(order->str, ==, "pass-patiently pass-patiently pass pass ");
    g_assert_cmpstr(((PlVerdict *)g_ptr_array_index(verdicts, 0))->topology, ==, "pass");
}

static void test_timeout(Fixture *fixture, gconstpointer data)
{
    g_autoptr(PlVerdict) verdict = NULL;

    (void)data;
    /* Long enough for it to say where it is, on a machine that does much else. */
    fixture->options.timeout_ns = 1000 * MS_IN_NS;
    verdict = run_one(fixture, "hang", NULL);
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_cmpstr(only_reason(verdict), ==, "timed out after 1 s in phase certify");
    g_assert_cmpuint(verdict->duration_ns, >=, 1000 * MS_IN_NS);
    g_assert_cmpstr(verdict->command, ==, "pinlab run hang.ini --engine fake --seed 0 --timeout 1");
}

static void test_descriptors(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GPtrArray) verdicts = NULL;

    (void)data;
    fixture->options.progress = let_go;
    add(fixture, "wait", NULL);
    add(fixture, "count", NULL);
    verdicts = run(fixture);
    /* The standard ones, its recording and its pipe. */
    g_assert_cmpstr(only_reason(g_ptr_array_index(verdicts, 1)), ==, "it has 5 descriptors");
}

static void test_limit(Fixture *fixture, gconstpointer data)
{
    struct rlimit before, limit;

    (void)data;
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
    limit = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
    for (int i = 0; i < 12; i++)
        add(fixture, "pass", NULL);
    fixture->options.jobs = 12;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    {
        g_autoptr(GPtrArray) verdicts = run(fixture);

        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
        for (guint i = 0; i < verdicts->len; i++)
            g_assert_cmpint(((PlVerdict *)g_ptr_array_index(verdicts, i))->outcome, ==,
                            PL_OUTCOME_PASS);
    }
}

static void test_default_timeout(Fixture *fixture, gconstpointer data)
{
    (void)data;
    add(fixture, "pass", NULL);
    g_assert_cmpuint(pl_runner_timeout_ns(g_ptr_array_index(fixture->topologies, 0)), ==,
                     62000 * MS_IN_NS);
}

static void test_death(Fixture *fixture, gconstpointer data)
{
    g_autoptr(PlVerdict) verdict = run_one(fixture, "crash", NULL);

    (void)data;
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_cmpstr(only_reason(verdict), ==,
                    "the lab ended with signal 9 (Killed) in phase certify");
}

static void test_exit(Fixture *fixture, gconstpointer data)
{
    g_autoptr(PlVerdict) verdict = run_one(fixture, "exit", NULL);

    (void)data;
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_cmpstr(only_reason(verdict), ==,
                    "the lab ended with status 3 and no verdict in phase certify");
}

static void test_refused(Fixture *fixture, gconstpointer data)
{
    g_autoptr(PlVerdict) verdict = run_one(fixture, "refused", NULL);

    (void)data;
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_SKIP);
    g_assert_cmpstr(only_reason(verdict), ==, "engine fake cannot express this");
    g_assert_cmpint(shared->most, ==, 0);
}

static void test_verdict_arrives(Fixture *fixture, gconstpointer data)
{
    g_autoptr(PlVerdict) verdict = run_one(fixture, "fail", NULL);

    (void)data;
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_cmpstr(only_reason(verdict), ==, "it failed");
    g_assert_cmpuint(verdict->duration_ns, ==, 5);
}

static void test_signal(Fixture *fixture, gconstpointer data)
{
    g_autofree char *capture = g_build_filename(fixture->directory, "x.pcapng", NULL);
    sigset_t before, after;

    (void)data;
    sigprocmask(SIG_SETMASK, NULL, &before);
    add(fixture, "hang", capture);
    add(fixture, "wait", NULL);
    add(fixture, "signal", NULL);
    for (int i = 0; i < 10; i++)
        add(fixture, "hang", NULL);
    g_assert_null(run(fixture));
    g_assert_cmpint(fixture->signal, ==, SIGTERM);
    sigprocmask(SIG_SETMASK, NULL, &after);
    g_assert_cmpint(sigismember(&before, SIGTERM), ==, sigismember(&after, SIGTERM));
    g_assert_cmpuint(files_in(fixture->directory), ==, 0);
}

static void test_capture(Fixture *fixture, gconstpointer data)
{
    g_autofree char *capture = g_build_filename(fixture->directory, "x.pcapng", NULL);
    g_autoptr(PlVerdict) verdict = NULL;
    g_autofree char *bytes = NULL;

    (void)data;
    g_assert_true(g_file_set_contents(capture, "from before", -1, NULL));
    verdict = run_one(fixture, "record", capture);
    g_assert_cmpstr(verdict->capture, ==, capture);
    g_assert_true(g_file_get_contents(capture, &bytes, NULL, NULL));
    g_assert_cmpstr(bytes, ==, "packets");
    g_assert_cmpuint(files_in(fixture->directory), ==, 1);
    g_assert_cmpint(unlink(capture), ==, 0);
}

static void test_no_capture(Fixture *fixture, gconstpointer data)
{
    g_autofree char *capture = g_build_filename(fixture->directory, "x.pcapng", NULL);
    g_autoptr(PlVerdict) verdict = run_one(fixture, data, capture);

    g_assert_null(verdict->capture);
    g_assert_cmpuint(files_in(fixture->directory), ==, 0);
}

static void test_capture_that_cannot_be_written(Fixture *fixture, gconstpointer data)
{
    g_autoptr(PlVerdict) verdict = run_one(fixture, "record", "/nowhere/x.pcapng");

    (void)data;
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_cmpstr(only_reason(verdict), ==,
                    "cannot write /nowhere/x.pcapng: No such file or directory");
}

static void test_stdout_is_left_alone(void)
{
    if (g_test_subprocess()) {
        Fixture fixture = {0};
        PlVerdict *verdict;

        set_up(&fixture, NULL);
        verdict = run_one(&fixture, "talk", NULL);
        g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_PASS);
        pl_verdict_free(verdict);
        tear_down(&fixture, NULL);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
    g_test_trap_assert_stdout_unmatched("*on standard output*");
}

/* Leaves this process so many descriptors, for good. */
static void limit_descriptors(int room)
{
    int next = dup(STDIN_FILENO);
    struct rlimit limit = {.rlim_cur = (rlim_t)(next + room), .rlim_max = (rlim_t)(next + room)};

    close(next);
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
}

/* In a process of its own: a limit cannot be raised again. */
static void test_in_subprocess(gconstpointer data)
{
    if (g_test_subprocess()) {
        Fixture fixture = {0};

        set_up(&fixture, NULL);
        ((void (*)(Fixture *))(uintptr_t)data)(&fixture);
        tear_down(&fixture, NULL);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_passed();
}

/* The signals take one, a cell three, and one more while it starts. */
static void descriptors_are_waited_for(Fixture *fixture)
{
    g_autoptr(GPtrArray) verdicts = NULL;

    for (int i = 0; i < 12; i++)
        add(fixture, "pass", NULL);
    fixture->options.jobs = 12;
    limit_descriptors(1 + 2 * 3 + 1);
    verdicts = run(fixture);
    g_assert_cmpuint(verdicts->len, ==, 12);
    for (guint i = 0; i < verdicts->len; i++)
        g_assert_cmpint(((PlVerdict *)g_ptr_array_index(verdicts, i))->outcome, ==,
                        PL_OUTCOME_PASS);
    g_assert_cmpint(shared->most, <=, 2);
}

static void descriptors_never_come(Fixture *fixture)
{
    g_autoptr(PlVerdict) verdict = NULL;

    limit_descriptors(2);
    verdict = run_one(fixture, "pass", NULL);
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_nonnull(strstr(only_reason(verdict), "Too many open files"));
    g_assert_nonnull(strstr(only_reason(verdict), "--jobs"));
}

/* The real sandbox: the pieces fit together, or the machine does not allow one. */
static void test_sandbox(Fixture *fixture, gconstpointer data)
{
    static const PlEngine sandboxed = {.name = "fake", .refuse = refuse, .sandboxed = TRUE};
    g_autoptr(GPtrArray) verdicts = NULL;
    const PlVerdict *first, *second;

    (void)data;
    fixture->options.engine = &sandboxed;
    fixture->options.timeout_ns = 2000 * MS_IN_NS;
    add(fixture, "fail", NULL);
    add(fixture, "exit", NULL); /* process 1 is deaf to its own SIGKILL */
    verdicts = run(fixture);
    first = g_ptr_array_index(verdicts, 0);
    second = g_ptr_array_index(verdicts, 1);
    if (first->outcome == PL_OUTCOME_SKIP) {
        g_assert_cmpint(second->outcome, ==, PL_OUTCOME_SKIP);
        g_assert_cmpstr(only_reason(second), ==, only_reason(first));
        g_test_skip(only_reason(first));
        return;
    }
    g_assert_cmpstr(only_reason(first), ==, "it failed");
    g_assert_cmpstr(only_reason(second), ==,
                    "the lab ended with status 3 and no verdict in phase certify");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    g_assert_true(shared != MAP_FAILED);
#define ADD(name, data, function)                                                                  \
    g_test_add("/runner/" name, Fixture, data, set_up, function, tear_down)
    ADD("verdicts-come-in-order-whatever-ends-first", NULL, test_order);
    ADD("no-more-jobs-than-allowed", NULL, test_jobs);
    ADD("how-long-a-topology-waits", NULL, test_patience);
    ADD("who-waits-is-beside-the-others", NULL, test_patient_beside);
    ADD("who-waits-longest-begins", NULL, test_patient_first);
    ADD("a-cell-that-hangs-is-killed-and-fails-with-its-phase", NULL, test_timeout);
    ADD("a-cell-has-no-descriptors-but-its-own", NULL, test_descriptors);
    ADD("the-limit-on-descriptors-is-raised", NULL, test_limit);
    ADD("the-default-limit-grows-with-the-nodes", NULL, test_default_timeout);
    ADD("a-cell-that-is-killed-fails", NULL, test_death);
    ADD("a-cell-that-exits-without-a-verdict-fails", NULL, test_exit);
    ADD("what-the-engine-refuses-never-starts", NULL, test_refused);
    ADD("a-verdict-arrives-as-it-was", NULL, test_verdict_arrives);
    ADD("a-signal-ends-all-and-leaves-nothing", NULL, test_signal);
    ADD("a-capture-takes-the-place-of-an-old-one", NULL, test_capture);
    ADD("an-empty-capture-is-not-kept", "pass", test_no_capture);
    ADD("a-capture-cut-short-is-not-kept", "crash", test_no_capture);
    ADD("a-capture-that-is-not-whole-is-not-kept", "record-in-part", test_no_capture);
    ADD("a-capture-that-cannot-be-written-fails", NULL, test_capture_that_cannot_be_written);
    ADD("cells-run-in-sandboxes", NULL, test_sandbox);
#undef ADD
    g_test_add_data_func("/runner/descriptors-that-are-used-up-are-waited-for",
                         (gpointer)(uintptr_t)descriptors_are_waited_for, test_in_subprocess);
    g_test_add_data_func("/runner/descriptors-that-never-come-are-a-failure",
                         (gpointer)(uintptr_t)descriptors_never_come, test_in_subprocess);
    g_test_add_func("/runner/cells-leave-standard-output-alone", test_stdout_is_left_alone);
    return g_test_run();
}
