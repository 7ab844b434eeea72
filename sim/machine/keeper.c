/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's keeper. One loop over: requests of the lab, the death of processes, and the pipes that
 * are the programs' stdout and stderr. It is a process and not a thread so that output never waits
 * for the lab, and process 1 so that it inherits every orphan and takes all with it.
 */
#include "machine/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/files.h"
#include "machine/guest.h"
#include "machine/home.h"
#include "machine/listen.h"
#include "machine/namespaces.h"
#include "machine/parcel.h"

typedef struct {
    unsigned id;
    pid_t pid;
    int pipe; /* -1 at end of file */
    PlProgramShare *share;
} Program;

typedef struct {
    const PlKeeperHost *host;
    int signals;
    GPtrArray *programs; /* Program, owned */
    PlGuests *guests;
} Keeper;

static void program_free(gpointer data)
{
    Program *program = data;

    if (program->pipe >= 0)
        close(program->pipe);
    pl_program_share_free(program->share);
    g_free(program);
}

static void announce(const Keeper *keeper)
{
    /* A full counter is as good as a higher one. */
    (void)!write(keeper->host->event, &(uint64_t){1}, sizeof(uint64_t));
}

/* Takes what the pipe holds now, at most `rounds` times a buffer: none is to starve the others. */
static void drain(const Keeper *keeper, Program *program, unsigned rounds)
{
    char buffer[65536];

    while (program->pipe >= 0 && rounds-- > 0) {
        ssize_t n = read(program->pipe, buffer, sizeof(buffer));

        if (n > 0) {
            pl_program_share_write(program->share, buffer, (size_t)n);
            announce(keeper);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            close(program->pipe);
            program->pipe = -1;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void bury(Keeper *keeper, pid_t pid, int status)
{
    for (guint i = 0; i < keeper->programs->len; i++) {
        Program *program = g_ptr_array_index(keeper->programs, i);

        if (program->pid != pid)
            continue;
        /* A pipe's whole capacity, so that nothing of its own is missing; a heir may write on. */
        drain(keeper, program, 16);
        program->share->status = status;
        program->pid = -1;
        atomic_store_explicit(&program->share->ended, 1, memory_order_release);
        announce(keeper);
    }
}

static void reap(Keeper *keeper, int flags)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, flags)) > 0) {
        bury(keeper, pid, status);
        pl_guests_bury(keeper->guests, pid, status);
    }
    if (pid < 0 && errno == ECHILD) {
        for (guint i = 0; i < keeper->programs->len; i++) {
            Program *program = g_ptr_array_index(keeper->programs, i);

            atomic_store_explicit(&program->share->deserted, 1, memory_order_release);
        }
        announce(keeper);
    }
}

/* Descriptors that a program has from us; -1: none. */
typedef struct {
    int input, other;
} Given;

/* Between fork and exec: only what is safe there. Without a path it is the lab's own `listen`. */
static G_NORETURN void exec_program(const char *path, char **argv, const Given *given, int output,
                                    int failure)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    setsid();
    pl_files_restore_limit();
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Out of the way of what has a number of its own. */
    failure = fcntl(failure, F_DUPFD_CLOEXEC, PL_MACHINE_GIVEN + 1);
    if ((given->input < 0 || dup2(given->input, STDIN_FILENO) >= 0) &&
        dup2(output, STDOUT_FILENO) >= 0 && dup2(output, STDERR_FILENO) >= 0 &&
        (given->other < 0 || dup2(given->other, PL_MACHINE_GIVEN) >= 0)) {
        if (!path)
            pl_listen_main(argv);
        execvp(path, argv);
    }
    (void)!write(failure, &errno, sizeof(errno));
    _exit(127);
}

/* Forks and returns after the exec: 0, or errno of what failed. */
static int spawn(const char *path, char **argv, const Given *given, pid_t *ret_pid, int *ret_output)
{
    int output[2], failure[2], failed = 0;
    pid_t pid;

    if (pipe2(output, O_CLOEXEC) < 0)
        return errno;
    if (pipe2(failure, O_CLOEXEC) < 0) {
        failed = errno;
        close(output[0]);
        close(output[1]);
        return failed;
    }
    pid = fork();
    if (pid == 0)
        exec_program(path, argv, given, output[1], failure[1]);
    if (pid < 0)
        failed = errno;
    close(output[1]);
    close(failure[1]);
    /* End of file is success: the exec closed it. */
    if (pid > 0 && read(failure[0], &failed, sizeof(failed)) == sizeof(failed))
        waitpid(pid, NULL, 0);
    close(failure[0]);
    if (failed || fcntl(output[0], F_SETFL, O_NONBLOCK) < 0) {
        close(output[0]);
        return failed ? failed : errno;
    }
    *ret_pid = pid;
    *ret_output = output[0];
    return 0;
}

/* Not left to execvp, which says "permission denied" of a PATH with places closed to us. */
static char *find_program(const char *name)
{
    return strchr(name, '/') ? g_strdup(name) : g_find_program_in_path(name);
}

static int start(Keeper *keeper, const PlKeeperRequest *request, const int *fds)
{
    const Given given = {
        .input = request->input ? fds[1] : -1,
        .other = request->given ? fds[request->input ? 2 : 1] : -1,
    };
    gboolean listen = request->kind == PL_KEEPER_LISTEN;
    PlProgramShare *share = pl_program_share_map(fds[0]);
    g_autofree char *words = NULL;
    g_autofree char **argv = NULL;
    g_autofree char *path = NULL;
    Program *program;
    int failed;

    if (!share)
        return errno;
    program = g_new0(Program, 1);
    program->id = request->id;
    program->share = share;
    program->pipe = -1;
    argv = pl_program_share_command(share, &words);
    path = listen ? NULL : find_program(argv[0]);
    failed = path || listen ? spawn(path, argv, &given, &program->pid, &program->pipe) : ENOENT;
    if (failed)
        program_free(program);
    else
        g_ptr_array_add(keeper->programs, program);
    return failed;
}

static void kill_one(Keeper *keeper, unsigned id)
{
    for (guint i = 0; i < keeper->programs->len; i++) {
        Program *program = g_ptr_array_index(keeper->programs, i);

        if (program->id == id && program->pid > 0)
            kill(-program->pid, SIGKILL);
    }
}

static void kill_all(Keeper *keeper)
{
    /* From a process 1 this is everybody else in the namespace. */
    kill(-1, SIGKILL);
    reap(keeper, 0);
}

static void reply(const Keeper *keeper, const PlKeeperReply *message)
{
    if (send(keeper->host->socket, message, sizeof(*message), MSG_NOSIGNAL) < 0)
        _exit(EXIT_FAILURE);
}

/* Does it, with the descriptors that came; 0, or errno of what failed. */
static int obey(Keeper *keeper, const PlKeeperRequest *request, const int *fds, size_t n_fds)
{
    gboolean guest = request->kind == PL_KEEPER_GUEST && n_fds == PL_GUEST_FDS;
    size_t n_expected = 1;
    int failed = 0;

    switch (request->kind) {
    case PL_KEEPER_START:
    case PL_KEEPER_LISTEN:
        n_expected += (request->input ? 1u : 0u) + (request->given ? 1u : 0u);
        failed = n_fds == n_expected ? start(keeper, request, fds) : EBADMSG;
        break;
    case PL_KEEPER_KILL:
        kill_one(keeper, request->id);
        break;
    case PL_KEEPER_KILL_ALL:
        kill_all(keeper);
        break;
    case PL_KEEPER_GUEST:
        failed = guest && pl_guests_welcome(keeper->guests, fds) ? 0 : EBADMSG;
        break;
    }
    /* Those of a guest are the guest's. */
    for (size_t i = 0; !guest && i < n_fds; i++)
        close(fds[i]);
    return failed;
}

/* One request; the keeper's life ends with the lab's. */
static void serve(Keeper *keeper)
{
    PlKeeperRequest request;
    PlKeeperReply answer = {0};
    int fds[PL_PARCEL_FDS], failed;
    size_t n_fds;

    if (pl_parcel_receive(keeper->host->socket, &request, sizeof(request), fds, &n_fds) !=
        sizeof(request))
        _exit(EXIT_SUCCESS);
    failed = obey(keeper, &request, fds, n_fds);
    if (failed) {
        answer.failed = TRUE;
        answer.code = PL_ERROR_FAILED;
        g_strlcpy(answer.text, g_strerror(failed), sizeof(answer.text));
    }
    reply(keeper, &answer);
}

/* What became of a program is of interest until nothing on the host can be its heir. */
static void forget(Keeper *keeper)
{
    for (guint i = keeper->programs->len; i > 0; i--) {
        Program *program = g_ptr_array_index(keeper->programs, i - 1);

        if (program->pid < 0 && program->pipe < 0 &&
            atomic_load_explicit(&program->share->deserted, memory_order_relaxed))
            g_ptr_array_remove_index(keeper->programs, i - 1);
    }
}

static void turn(Keeper *keeper)
{
    guint n = keeper->programs->len, n_guests = pl_guests_count(keeper->guests);
    g_autofree struct pollfd *polls = g_new0(struct pollfd, n + n_guests + 2);
    struct signalfd_siginfo info;

    polls[0] = (struct pollfd){.fd = keeper->host->socket, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = keeper->signals, .events = POLLIN};
    for (guint i = 0; i < n; i++) {
        Program *program = g_ptr_array_index(keeper->programs, i);

        polls[i + 2] = (struct pollfd){.fd = program->pipe, .events = POLLIN};
    }
    pl_guests_poll(keeper->guests, polls + n + 2);
    if (poll(polls, n + n_guests + 2, -1) < 0) {
        if (errno != EINTR)
            _exit(EXIT_FAILURE);
        return;
    }
    for (guint i = 0; i < n; i++) {
        if (polls[i + 2].revents)
            drain(keeper, g_ptr_array_index(keeper->programs, i), 1);
    }
    /* Before they may become fewer. */
    pl_guests_handle(keeper->guests, polls + n + 2);
    if (polls[1].revents) {
        while (read(keeper->signals, &info, sizeof(info)) > 0)
            ;
        reap(keeper, WNOHANG);
    }
    if (polls[0].revents)
        serve(keeper);
    forget(keeper);
}

static void own_signals(Keeper *keeper)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t set;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_SETMASK, &set, NULL);
    keeper->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static gboolean move_in(const PlKeeperHost *host, GError **error)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || setns(host->netns, CLONE_NEWNET) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot enter the host's namespace: %s",
                    g_strerror(errno));
        return FALSE;
    }
    close(host->netns);
    if (null != STDIN_FILENO)
        close(null);
    if (!pl_home_build(host->name, host->hosts, host->keep, host->shown, error))
        return FALSE;
    g_setenv("PWD", host->keep, TRUE);
    /* They name places that are covered, or another machine's. */
    g_unsetenv("TMPDIR");
    g_unsetenv("XDG_RUNTIME_DIR");
    g_unsetenv("OLDPWD");
    return TRUE;
}

void pl_keeper_main(const PlKeeperHost *host)
{
    Keeper keeper = {.host = host};
    const int kept[] = {host->socket, host->event, host->netns};
    g_autoptr(GError) error = NULL;
    PlKeeperReply ready = {0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "pinlab-host");
    umask(022);
    pl_files_close_others(kept, G_N_ELEMENTS(kept));
    own_signals(&keeper);
    keeper.programs = g_ptr_array_new_with_free_func(program_free);
    keeper.guests = pl_guests_new();
    if (!move_in(host, &error)) {
        ready.failed = TRUE;
        ready.code = error->domain == PL_ERROR ? error->code : PL_ERROR_FAILED;
        g_strlcpy(ready.text, error->message, sizeof(ready.text));
    }
    reply(&keeper, &ready);
    while (keeper.signals >= 0)
        turn(&keeper);
    _exit(EXIT_FAILURE);
}
