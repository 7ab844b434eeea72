/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sandboxes: what they are made of, that nothing outlives them, and what they say when refused. */
#include "machine/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Far beyond what a loaded machine needs; a test that fails takes this long. */
#define BOUND_MS 10000

static int do_nothing(gpointer data)
{
    (void)data;
    return 0;
}

/* FALSE, with the test skipped, when this machine permits no sandbox at all. */
static gboolean permitted(void)
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;

    if (pl_sandbox_start(do_nothing, NULL, &sandbox, &error)) {
        g_assert_cmpint(pl_sandbox_wait(&sandbox), ==, 0);
        return TRUE;
    }
    g_assert_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED);
    g_test_skip(error->message);
    return FALSE;
}

static int run_in_sandbox(PlSandboxMain run, gpointer data)
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;

    pl_sandbox_start(run, data, &sandbox, &error);
    g_assert_no_error(error);
    return pl_sandbox_wait(&sandbox);
}

static int look_around(gpointer data)
{
    struct pollfd poll_stdin = {.fd = STDIN_FILENO, .events = POLLIN};
    g_autofree char *dev = NULL;
    g_auto(GStrv) lines = NULL;
    char byte;

    g_assert_cmpint(getpid(), ==, 1);
    g_assert_cmpint(getsid(0), ==, 1);
    g_assert_cmpint((int)geteuid(), ==, 0);
    g_assert_cmpint((int)getuid(), ==, 0);
    g_assert_cmpint((int)getegid(), ==, 0);
    g_assert_cmpint(poll(&poll_stdin, 1, 0), ==, 1);
    g_assert_cmpint((int)read(STDIN_FILENO, &byte, 1), ==, 0);
    g_assert_true(g_file_get_contents("/proc/thread-self/net/dev", &dev, NULL, NULL));
    lines = g_strsplit(g_strchomp(dev), "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 3);
    g_assert_nonnull(strstr(lines[2], "lo:"));
    return *(int *)data;
}

static void test_first_process(void)
{
    int status = 42;

    if (permitted())
        g_assert_cmpint(run_in_sandbox(look_around, &status), ==, 42);
}

static int kill_myself(gpointer data)
{
    (void)data;
    /* Signals from inside do not reach a process 1, faults do. */
    __builtin_trap();
}

static void test_signal_status(void)
{
    if (permitted())
        g_assert_cmpint(run_in_sandbox(kill_myself, NULL), >, 128);
}

static int become_nobody(gpointer data)
{
    (void)data;
    return setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0 ? 0 : errno;
}

static void test_drop_privileges(void)
{
    g_autofree char *map = NULL;

    g_assert_true(g_file_get_contents("/proc/self/uid_map", &map, NULL, NULL));
    if (geteuid() != 0 || !strstr(map, "4294967295"))
        g_test_skip("not the real root");
    else if (permitted())
        g_assert_cmpint(run_in_sandbox(become_nobody, NULL), ==, 0);
}

static G_NORETURN void hang(void)
{
    for (;;)
        pause();
}

/* A daemon of the worst kind: of its own session, no parent; holds the descriptor and says so. */
static void start_daemon(int fd)
{
    pid_t child = fork();

    if (child > 0) {
        waitpid(child, NULL, 0);
        return;
    }
    setsid();
    if (fork() > 0)
        _exit(0);
    signal(SIGTERM, SIG_IGN);
    if (write(fd, "x", 1) != 1)
        _exit(1);
    hang();
}

static int daemon_and_hang(gpointer data)
{
    start_daemon(*(int *)data);
    hang();
}

static int daemon_and_end(gpointer data)
{
    start_daemon(*(int *)data);
    return 0;
}

/* Reads until the last writer is gone; the number of bytes there were. */
static int read_to_end(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    char bytes[16];
    int count = 0;
    ssize_t n;

    do {
        g_assert_cmpint(poll(&readable, 1, BOUND_MS), ==, 1);
        n = read(fd, bytes, sizeof(bytes));
        g_assert_cmpint((int)n, >=, 0);
        count += (int)n;
    } while (n > 0);
    return count;
}

static void test_end_takes_all(void)
{
    int fds[2];

    if (!permitted())
        return;
    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    g_assert_cmpint(run_in_sandbox(daemon_and_end, &fds[1]), ==, 0);
    close(fds[1]);
    read_to_end(fds[0]);
    close(fds[0]);
}

static void test_kill_takes_all(void)
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;
    char byte;
    int fds[2];

    if (!permitted())
        return;
    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    pl_sandbox_start(daemon_and_hang, &fds[1], &sandbox, &error);
    g_assert_no_error(error);
    g_assert_cmpint((int)read(fds[0], &byte, 1), ==, 1);
    close(fds[1]);
    pl_sandbox_kill(&sandbox);
    g_assert_cmpint(fcntl(fds[0], F_SETFL, O_NONBLOCK), ==, 0);
    g_assert_cmpint((int)read(fds[0], &byte, 1), ==, 0);
    g_assert_cmpint(pl_sandbox_wait(&sandbox), ==, 128 + SIGKILL);
    close(fds[0]);
}

static G_NORETURN void supervise(int fd)
{
    PlSandbox sandbox;

    if (!pl_sandbox_start(daemon_and_hang, &fd, &sandbox, NULL))
        _exit(1);
    /* From here on only the daemon speaks. */
    close(fd);
    hang();
}

/* Kills a supervisor after that many nanoseconds, or when its sandbox runs (-1); whether it ran. */
static gboolean kill_supervisor(long after_ns)
{
    struct pollfd readable = {.events = POLLIN};
    struct timespec moment = {.tv_nsec = after_ns};
    gboolean ran;
    pid_t pid;
    int fds[2];

    g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        supervise(fds[1]);
    }
    close(fds[1]);
    readable.fd = fds[0];
    ppoll(&readable, after_ns < 0 ? 0 : 1, after_ns < 0 ? &(struct timespec){0} : &moment, NULL);
    if (after_ns < 0)
        g_assert_cmpint(poll(&readable, 1, BOUND_MS), ==, 1);
    kill(pid, SIGKILL);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
    ran = read_to_end(fds[0]) > 0;
    close(fds[0]);
    /* We are a subreaper: what is left of the sandbox is our child. */
    while (waitpid(-1, NULL, 0) > 0)
        ;
    g_assert_cmpint(errno, ==, ECHILD);
    return ran;
}

static void test_supervisor_killed(void)
{
    GRand *random = g_rand_new_with_seed(20240229);
    int ran = 0;

    if (permitted()) {
        g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1), ==, 0);
        for (int i = 0; i < 150; i++)
            ran += kill_supervisor(g_rand_int_range(random, 0, 3000000));
        g_test_message("%d of 150 were killed after their sandbox ran", ran);
        for (int i = 0; i < 20; i++)
            g_assert_true(kill_supervisor(-1));
    }
    g_rand_free(random);
}

/* The refusals. Each is brought about inside a sandbox, whose root may set limits of its own. */

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    g_assert_cmpint((int)syscall(SYS_capset, &header, data), ==, 0);
}

static void set_limit(const char *name, const char *value)
{
    g_autofree char *path = g_strdup_printf("/proc/sys/user/%s", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint((int)write(fd, value, strlen(value)), ==, (int)strlen(value));
    close(fd);
}

static void assert_refused(PlErrorCode code, const char *name)
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;

    g_assert_false(pl_sandbox_start(do_nothing, NULL, &sandbox, &error));
    g_assert_error(error, PL_ERROR, (int)code);
    if (!strstr(error->message, name))
        g_error("%s is not named in: %s", name, error->message);
}

static int without_net(gpointer data)
{
    (void)data;
    set_limit("max_net_namespaces", "0");
    assert_refused(PL_ERROR_UNSUPPORTED, "sysctl -w user.max_net_namespaces=");
    return 0;
}

static int without_users(gpointer data)
{
    (void)data;
    set_limit("max_user_namespaces", "0");
    /* Root is not stopped by that. */
    if (run_in_sandbox(do_nothing, NULL) != 0)
        return 1;
    drop_capabilities();
    assert_refused(PL_ERROR_UNSUPPORTED, "sysctl -w user.max_user_namespaces=");
    return 0;
}

/* The one that it allows is the one we are in. */
static int with_few(gpointer data)
{
    (void)data;
    set_limit("max_pid_namespaces", "1");
    assert_refused(PL_ERROR_LIMIT, "limit of this machine is reached");
    return 0;
}

/* As container runtimes do it: no new namespaces by clone, and a clone3 that is not there. */
static int under_filter(gpointer data)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWUSER, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = G_N_ELEMENTS(code), .filter = code};

    (void)data;
    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    g_assert_cmpint(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
    /* A root that has the capability still gets one, without a user namespace. */
    if (run_in_sandbox(do_nothing, NULL) != 0)
        return 1;
    drop_capabilities();
    assert_refused(PL_ERROR_UNSUPPORTED, "seccomp");
    return 0;
}

static int inside_masked(gpointer data)
{
    g_autofree char *space = g_file_read_link("/proc/thread-self/ns/net", NULL);

    (void)data;
    return getpid() == 1 && space ? 0 : 1;
}

/* As containers do it: parts of /proc are covered, and so a new one is not allowed. */
static int under_mask(gpointer data)
{
    (void)data;
    g_assert_cmpint(mount("mask", "/proc/sys/kernel", "tmpfs", MS_RDONLY, NULL), ==, 0);
    return run_in_sandbox(inside_masked, NULL);
}

static void test_nested(gconstpointer data)
{
    if (permitted())
        g_assert_cmpint(run_in_sandbox((PlSandboxMain)(uintptr_t)data, NULL), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sandbox/first-process-is-root-alone-and-its-status-is-passed-on",
                    test_first_process);
    g_test_add_func("/sandbox/a-fatal-signal-shows-in-the-status", test_signal_status);
    g_test_add_func("/sandbox/programs-of-the-real-root-can-drop-privileges", test_drop_privileges);
    g_test_add_func("/sandbox/the-end-of-the-first-process-ends-daemons", test_end_takes_all);
    g_test_add_func("/sandbox/kill-has-ended-daemons-when-it-returns", test_kill_takes_all);
    g_test_add_func("/sandbox/nothing-outlives-a-supervisor-killed-at-any-moment",
                    test_supervisor_killed);
    g_test_add_data_func("/sandbox/refusal-names-the-limit-on-network-namespaces",
                         (gconstpointer)(uintptr_t)without_net, test_nested);
    g_test_add_data_func("/sandbox/refusal-names-the-limit-on-user-namespaces",
                         (gconstpointer)(uintptr_t)without_users, test_nested);
    g_test_add_data_func("/sandbox/refusal-names-an-exhausted-limit",
                         (gconstpointer)(uintptr_t)with_few, test_nested);
    g_test_add_data_func("/sandbox/refusal-names-a-seccomp-filter",
                         (gconstpointer)(uintptr_t)under_filter, test_nested);
    g_test_add_data_func("/sandbox/a-covered-proc-is-no-obstacle",
                         (gconstpointer)(uintptr_t)under_mask, test_nested);
    return g_test_run();
}
