/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sandbox: one clone into new user, PID, mount and network namespaces.
 *
 *   supervisor                              process 1
 *   clone ───────────────────────────────▶ waits for a byte (end of file: the supervisor is dead)
 *   writes its uid_map and gid_map
 *   a byte ──────────────────────────────▶ becomes root there, asks to die with the supervisor,
 *                                           looks whether that is dead already, mounts
 *   waits for the answer ◀──────────────── an answer: what failed
 *                                           runs `main`
 *
 * Killing process 1 kills the namespace, so there is no moment at which the supervisor's death
 * leaves anything: before the request to die with it, the end of file does the same.
 */
#include "machine/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/namespaces.h"

#define SPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET)

typedef enum {
    STAGE_READY,
    STAGE_ROOT,
    STAGE_MOUNTS,
    STAGE_STDIN,
} Stage;

static const char *const stage_names[] = {
    [STAGE_READY] = "start a sandbox",
    [STAGE_ROOT] = "become root of a new user namespace",
    [STAGE_MOUNTS] = "change mounts in a new user namespace",
    [STAGE_STDIN] = "open /dev/null",
};

/* What process 1 has to say before it runs `main`. */
typedef struct {
    Stage stage;
    int error;
} Answer;

/* Waits for the supervisor's byte; FALSE when it is dead. */
static gboolean wait_for_maps(int sync)
{
    char byte;
    ssize_t n;

    do
        n = read(sync, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

static int become_root(gboolean user_namespace)
{
    if (!user_namespace)
        return 0;
    /* With a single line of map the groups cannot be changed, and need not be. */
    if (setgroups(0, NULL) < 0 && errno != EPERM)
        return errno;
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return errno;
    return 0;
}

/* To be called last of all that changes credentials: such a change takes the request back. */
static gboolean die_with_supervisor(int sync)
{
    struct pollfd poll_sync = {.fd = sync};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return FALSE;
    /* It may have died just before; then its end of the socket is closed. */
    return poll(&poll_sync, 1, 0) == 0;
}

static int own_mounts(void)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return errno;
    /*
     * Not allowed where parts of /proc are covered, as in containers. The old one then stays: it
     * shows the processes by their outer numbers, and /proc/self still works.
     */
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
        errno != EPERM && errno != EACCES && errno != EBUSY)
        return errno;
    return 0;
}

static int null_stdin(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
        return errno;
    if (fd != STDIN_FILENO)
        close(fd);
    return 0;
}

static Answer enter(gboolean user_namespace, int sync)
{
    Answer answer = {.stage = STAGE_ROOT};

    answer.error = become_root(user_namespace);
    if (answer.error)
        return answer;
    if (!die_with_supervisor(sync))
        _exit(EXIT_FAILURE);
    setsid();
    answer = (Answer){.stage = STAGE_MOUNTS, .error = own_mounts()};
    if (answer.error)
        return answer;
    answer = (Answer){.stage = STAGE_STDIN, .error = null_stdin()};
    if (answer.error)
        return answer;
    return (Answer){.stage = STAGE_READY};
}

static G_NORETURN void first_process(PlSandboxMain run, gpointer data, gboolean user_namespace,
                                     int sync)
{
    Answer answer;
    int status;

    if (!wait_for_maps(sync))
        _exit(EXIT_FAILURE);
    answer = enter(user_namespace, sync);
    if (send(sync, &answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer) || answer.error)
        _exit(EXIT_FAILURE);
    close(sync);
    status = run(data);
    /* Not exit(): the handlers at exit are the supervisor's. */
    fflush(NULL);
    _exit(status);
}

static int write_file(pid_t pid, const char *name, const char *text)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;
    ssize_t n;

    if (fd < 0)
        return errno;
    n = write(fd, text, strlen(text));
    if (n < 0)
        error = errno;
    else if ((size_t)n != strlen(text))
        error = EIO;
    close(fd);
    return error;
}

/* Every id that we have ourselves, one to one: programs that drop privileges need other users. */
static int write_full_map(pid_t pid, const char *name)
{
    g_autofree char *own_path = g_strdup_printf("/proc/self/%s", name);
    g_autofree char *own = NULL;
    g_autoptr(GString) map = g_string_new(NULL);
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(own_path, &own, NULL, NULL))
        return ENOENT;
    lines = g_strsplit(own, "\n", -1);
    for (size_t i = 0; lines[i]; i++) {
        unsigned first, lower, count;

        if (sscanf(lines[i], "%u %u %u", &first, &lower, &count) == 3)
            g_string_append_printf(map, "%u %u %u\n", first, first, count);
    }
    return write_file(pid, name, map->str);
}

static int write_single_maps(pid_t pid)
{
    g_autofree char *uid = g_strdup_printf("0 %u 1\n", (unsigned)geteuid());
    g_autofree char *gid = g_strdup_printf("0 %u 1\n", (unsigned)getegid());
    int error = write_file(pid, "setgroups", "deny");

    if (!error || error == ENOENT)
        error = write_file(pid, "uid_map", uid);
    if (!error)
        error = write_file(pid, "gid_map", gid);
    return error;
}

static int write_maps(pid_t pid)
{
    if (geteuid() == 0) {
        /* A root that is not allowed to (capabilities dropped) is treated as anybody. */
        if (write_full_map(pid, "uid_map") == 0)
            return write_full_map(pid, "gid_map");
    }
    return write_single_maps(pid);
}

/* Lets process 1 go on and hears how it fared. */
static gboolean settle(pid_t pid, gboolean user_namespace, int sync, GError **error)
{
    int failed = user_namespace ? write_maps(pid) : 0;
    Answer answer;
    ssize_t n;

    if (failed) {
        pl_namespaces_error(error, "map users into a new user namespace", failed);
        return FALSE;
    }
    if (send(sync, "", 1, MSG_NOSIGNAL) != 1) {
        pl_namespaces_error(error, "start a sandbox", errno);
        return FALSE;
    }
    do
        n = recv(sync, &answer, sizeof(answer), 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof(answer)) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED,
                    "the first process of a sandbox ended before it was ready");
        return FALSE;
    }
    if (answer.error) {
        pl_namespaces_error(error, stage_names[answer.stage], answer.error);
        return FALSE;
    }
    return TRUE;
}

static gboolean start_once(gboolean user_namespace, PlSandboxMain run, gpointer data,
                           PlSandbox *ret_sandbox, GError **error)
{
    PlSandbox sandbox = {.pid = -1, .pidfd = -1};
    int sync[2];
    gboolean ok;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0) {
        pl_error_set_errno(error, "make a socket pair", errno);
        return FALSE;
    }
    /* What stdio still holds would be written twice. */
    fflush(NULL);
    sandbox.pid =
        pl_namespaces_fork(SPACES | (user_namespace ? CLONE_NEWUSER : 0U), &sandbox.pidfd);
    if (sandbox.pid == 0) {
        close(sync[0]);
        first_process(run, data, user_namespace, sync[1]);
    }
    close(sync[1]);
    if (sandbox.pid < 0) {
        pl_namespaces_error(error, "make namespaces", errno);
        close(sync[0]);
        return FALSE;
    }
    ok = settle(sandbox.pid, user_namespace, sync[0], error);
    close(sync[0]);
    if (!ok)
        pl_sandbox_kill(&sandbox);
    else
        *ret_sandbox = sandbox;
    return ok;
}

gboolean pl_sandbox_start(PlSandboxMain run, gpointer data, PlSandbox *ret_sandbox, GError **error)
{
    g_autoptr(GError) local = NULL;

    if (start_once(TRUE, run, data, ret_sandbox, &local))
        return TRUE;
    /* Root needs no user namespace, it is only safer with one. */
    if (!g_error_matches(local, PL_ERROR, PL_ERROR_FAILED) && pl_namespaces_capable()) {
        g_clear_error(&local);
        if (start_once(FALSE, run, data, ret_sandbox, &local))
            return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&local));
    return FALSE;
}

void pl_sandbox_kill(PlSandbox *sandbox)
{
    if (sandbox->pid <= 0)
        return;
    syscall(SYS_pidfd_send_signal, sandbox->pidfd, SIGKILL, NULL, 0);
    pl_sandbox_wait(sandbox);
}

int pl_sandbox_wait(PlSandbox *sandbox)
{
    int status = 0;
    pid_t pid;

    if (sandbox->pid <= 0)
        return 128 + SIGKILL;
    /* Process 1 is not waitable before everything else in its namespace has ended. */
    do
        pid = waitpid(sandbox->pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    close(sandbox->pidfd);
    *sandbox = (PlSandbox){.pid = -1, .pidfd = -1};
    if (pid < 0)
        return 128 + SIGKILL;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
