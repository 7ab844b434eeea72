/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host as a small machine, as the lab sees it. The host's own side is its keeper (keeper.c), a
 * process that is made when the first program is to start.
 */
#include "machine/machine.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/guest.h"
#include "machine/keeper.h"
#include "machine/namespaces.h"
#include "machine/parcel.h"
#include "machine/run.h"

/* A keeper answers at once; what takes longer is a machine in need of help. */
#define ANSWER_MS 30000

struct PlMachine {
    char *name, *hosts, *keep;
    char **shown;
    int netns;
    pid_t keeper; /* 0 until the first program */
    int keeper_fd, socket, event;
    int given; /* to programs; -1: nothing */
    unsigned next_id;
    GPtrArray *runs; /* PlRun, owned */
};

PlMachine *pl_machine_new(const char *name, int netns_fd, const char *hosts, const char *keep,
                          char *const *shown, GError **error)
{
    PlMachine *machine;

    if (!g_file_test(keep, G_FILE_TEST_IS_DIR)) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: %s is not a directory", name, keep);
        return NULL;
    }
    machine = g_new0(PlMachine, 1);
    machine->name = g_strdup(name);
    machine->hosts = g_strdup(hosts);
    machine->keep = g_canonicalize_filename(keep, NULL);
    machine->shown = g_strdupv((char **)shown);
    machine->netns = netns_fd;
    machine->keeper_fd = machine->socket = machine->event = machine->given = -1;
    machine->runs = g_ptr_array_new_with_free_func((GDestroyNotify)pl_run_free);
    return machine;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* With the keeper dies everything that runs on the host. */
static void end_keeper(PlMachine *machine)
{
    if (machine->keeper > 0) {
        syscall(SYS_pidfd_send_signal, machine->keeper_fd, SIGKILL, NULL, 0);
        while (waitpid(machine->keeper, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    machine->keeper = 0;
    close_fd(&machine->keeper_fd);
    close_fd(&machine->socket);
    close_fd(&machine->event);
    for (guint i = 0; i < machine->runs->len; i++) {
        PlRun *run = g_ptr_array_index(machine->runs, i);

        if (!atomic_load(&run->share->ended)) {
            run->share->status = SIGKILL;
            atomic_store(&run->share->ended, 1);
        }
    }
}

void pl_machine_free(PlMachine *machine)
{
    if (!machine)
        return;
    end_keeper(machine);
    g_ptr_array_unref(machine->runs);
    g_free(machine->name);
    g_free(machine->hosts);
    g_free(machine->keep);
    g_strfreev(machine->shown);
    g_free(machine);
}

/* The keeper's next message, or an error when there will be none. */
static gboolean hear(PlMachine *machine, GError **error)
{
    struct pollfd polls[] = {{.fd = machine->socket, .events = POLLIN},
                             {.fd = machine->keeper_fd, .events = POLLIN}};
    PlKeeperReply reply;
    int n;

    do
        n = poll(polls, G_N_ELEMENTS(polls), ANSWER_MS);
    while (n < 0 && errno == EINTR);
    if (!(polls[0].revents & POLLIN) ||
        recv(machine->socket, &reply, sizeof(reply), MSG_DONTWAIT) != sizeof(reply)) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "its first process %s",
                    n == 0 ? "does not answer" : "is dead");
        /* An answer that came late would be taken for another's. */
        end_keeper(machine);
        return FALSE;
    }
    if (reply.failed) {
        g_set_error(error, PL_ERROR, reply.code, "%s", reply.text);
        return FALSE;
    }
    return TRUE;
}

static gboolean ask(PlMachine *machine, PlKeeperRequest request, const int *fds, size_t n_fds,
                    GError **error)
{
    if (!pl_parcel_send(machine->socket, &request, sizeof(request), fds, n_fds)) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "its first process is dead");
        return FALSE;
    }
    return hear(machine, error);
}

static gboolean begin_keeper(PlMachine *machine, GError **error)
{
    int sockets[2];

    if (machine->keeper > 0)
        return TRUE;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        pl_error_set_errno(error, "make a socket pair", errno);
        return FALSE;
    }
    machine->socket = sockets[0];
    machine->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    machine->keeper =
        machine->event < 0
            ? -1
            : pl_namespaces_fork(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS, &machine->keeper_fd);
    if (machine->keeper == 0) {
        const PlKeeperHost host = {
            .name = machine->name,
            .hosts = machine->hosts,
            .keep = machine->keep,
            .shown = machine->shown,
            .netns = machine->netns,
            .socket = sockets[1],
            .event = machine->event,
        };

        pl_keeper_main(&host);
    }
    if (machine->keeper < 0)
        pl_namespaces_error(error, "make its namespaces", errno);
    close(sockets[1]);
    if (machine->keeper < 0 || !hear(machine, error)) {
        end_keeper(machine);
        return FALSE;
    }
    return TRUE;
}

/* A path that names one thing on this machine, and in the host's own /tmp and /run another. */
static gboolean is_covered(const PlMachine *machine, const char *program)
{
    g_autofree char *path =
        strchr(program, '/') ? g_canonicalize_filename(program, machine->keep) : NULL;
    size_t kept = strlen(machine->keep);

    if (!path || (strncmp(path, machine->keep, kept) == 0 && path[kept] == '/'))
        return FALSE;
    return g_str_has_prefix(path, "/tmp/") || g_str_has_prefix(path, "/run/");
}

/* Of a `node` it is a socket, since one whose reader is gone ends nobody. */
static gboolean give_input(PlRun *run, int *ret_fd, GError **error)
{
    int sockets[2];

    if (run->program->word != PL_WORD_NODE)
        return TRUE;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) {
        pl_error_set_errno(error, "make a socket pair", errno);
        return FALSE;
    }
    run->input = sockets[0];
    *ret_fd = sockets[1];
    return TRUE;
}

void pl_machine_give(PlMachine *machine, int fd)
{
    machine->given = fd;
}

static gboolean ask_start(PlMachine *machine, const PlRun *run, int share, int input,
                          GError **error)
{
    const PlKeeperRequest request = {
        .kind = run->program->word == PL_WORD_LISTEN ? PL_KEEPER_LISTEN : PL_KEEPER_START,
        .id = run->id,
        .input = input >= 0,
        .given = machine->given >= 0,
    };
    int fds[3] = {share};
    size_t n = 1;

    if (request.input)
        fds[n++] = input;
    if (request.given)
        fds[n++] = machine->given;
    return ask(machine, request, fds, n, error);
}

static gboolean spawn(PlMachine *machine, PlRun *run, char *const *argv, GError **error)
{
    g_autoptr(GError) local = NULL;
    int share = -1, input = -1;
    gboolean ok;

    if (!begin_keeper(machine, error))
        return FALSE;
    run->share = pl_program_share_new(argv, &share, error);
    if (!run->share || !give_input(run, &input, error)) {
        close_fd(&share);
        return FALSE;
    }
    ok = ask_start(machine, run, share, input, &local);
    close_fd(&share);
    close_fd(&input);
    if (!ok)
        g_set_error(
            error, PL_ERROR, local->code, "cannot start `%s`: %s%s", argv[0], local->message,
            is_covered(machine, argv[0]) ? " (hosts have a /tmp and /run of their own)" : "");
    return ok;
}

/* Starts, and waits until it is ready; *ret_run is owned by the machine, NULL when none started. */
static gboolean start(PlMachine *machine, const PlProgram *program, PlRun **ret_run, GError **error)
{
    PlRun *run;

    g_assert(program->argv && program->argv[0]);
    run = pl_run_new(machine->next_id++, program);
    *ret_run = NULL;
    if (!spawn(machine, run, program->argv, error)) {
        pl_run_free(run);
        g_prefix_error(error, "host %s: ", machine->name);
        return FALSE;
    }
    run->deadline = pl_now_ns() + program->time_limit_ns;
    g_ptr_array_add(machine->runs, run);
    *ret_run = run;
    if (pl_run_wait_ready(run, machine->event, machine->keeper_fd, machine->netns, error))
        return TRUE;
    g_prefix_error(error, "host %s: ", machine->name);
    return FALSE;
}

gboolean pl_machine_start(PlMachine *machine, const PlProgram *program, GError **error)
{
    PlRun *run;

    return start(machine, program, &run, error);
}

static PlRun *find_run(PlMachine *machine, const PlProgram *program)
{
    for (guint i = machine->runs->len; i > 0; i--) {
        PlRun *run = g_ptr_array_index(machine->runs, i - 1);

        if (run->program == program)
            return run;
    }
    return NULL;
}

/* NULL with an error when it was not started. */
static PlRun *started(PlMachine *machine, const PlProgram *program, GError **error)
{
    PlRun *run = find_run(machine, program);

    if (!run)
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: its program was not started",
                    machine->name);
    return run;
}

gboolean pl_machine_await(PlMachine *machine, const PlProgram *program, const char *text,
                          GError **error)
{
    PlRun *run = started(machine, program, error);

    if (!run)
        return FALSE;
    if (pl_run_await(run, text, /* from= */ 0, machine->event, machine->keeper_fd, error))
        return TRUE;
    g_prefix_error(error, "host %s: ", machine->name);
    return FALSE;
}

gboolean pl_machine_result(PlMachine *machine, const PlProgram *program,
                           PlProgramResult *ret_result, GError **error)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
    PlRun *run = started(machine, program, error);

    if (!run)
        return FALSE;
    *ret_result = (PlProgramResult){.ended = pl_run_has_ended(run)};
    ret_result->exit_status = ret_result->ended ? pl_run_exit_status(run) : -1;
    for (guint i = 0; i < machine->runs->len; i++) {
        const PlRun *other = g_ptr_array_index(machine->runs, i);

        if (other->program == program)
            g_ptr_array_add(texts, pl_program_share_text(other->share));
    }
    g_ptr_array_add(texts, NULL);
    ret_result->output = g_strjoinv("", (char **)texts->pdata);
    return TRUE;
}

char *pl_machine_output(PlMachine *machine, const PlProgram *program)
{
    const PlRun *run = find_run(machine, program);

    return run ? pl_program_share_text(run->share) : NULL;
}

gboolean pl_machine_say(PlMachine *machine, const PlProgram *program, const char *line,
                        GError **error)
{
    const PlRun *run = started(machine, program, error);
    g_autofree char *whole = g_strconcat(line, "\n", NULL);
    ssize_t length = (ssize_t)strlen(whole);

    if (!run)
        return FALSE;
    if (!pl_run_has_ended(run) &&
        send(run->input, whole, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) == length)
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: its program %s", machine->name,
                pl_run_has_ended(run) ? "has ended" : "does not read what it is told");
    return FALSE;
}

gboolean pl_machine_run(PlMachine *machine, char *const *argv, uint64_t time_limit_ns,
                        GError **error)
{
    const PlProgram program = {
        .argv = (char **)argv, .ready = PL_READY_EXIT, .time_limit_ns = time_limit_ns};
    gboolean ok;
    PlRun *run;

    ok = start(machine, &program, &run, error);
    if (ok && pl_run_exit_status(run) != 0) {
        g_autofree char *what = g_strdup_printf("ended with status %d", pl_run_exit_status(run));

        pl_run_error(error, run, what);
        g_prefix_error(error, "host %s: ", machine->name);
        ok = FALSE;
    }
    if (!run)
        return FALSE;
    if (!pl_run_has_ended(run))
        ask(machine, (PlKeeperRequest){.kind = PL_KEEPER_KILL, .id = run->id}, NULL, 0, NULL);
    g_ptr_array_remove(machine->runs, run);
    return ok;
}

void pl_machine_kill(PlMachine *machine)
{
    /* A keeper that cannot do it is killed itself. */
    if (machine->keeper > 0 &&
        !ask(machine, (PlKeeperRequest){.kind = PL_KEEPER_KILL_ALL}, NULL, 0, NULL))
        end_keeper(machine);
}

gboolean pl_machine_ask(PlMachine *machine, const PlProgram *program, const char *line,
                        const char *answer, GError **error)
{
    const PlRun *run = started(machine, program, error);
    uint64_t from = run ? atomic_load_explicit(&run->share->written, memory_order_acquire) : 0;

    return run && pl_machine_say(machine, program, line, error) &&
           pl_run_await(run, answer, from, machine->event, machine->keeper_fd, error);
}

/* A file with what guest.h wants of it; -1 with errno. */
static int write_call(char *const *argv, char *const *envp)
{
    g_autoptr(GByteArray) parcel = g_byte_array_new();
    g_autofree char *argc = g_strdup_printf("%u", g_strv_length((char **)argv));
    int fd = memfd_create("pinlab-guest", MFD_CLOEXEC);

    pl_parcel_add(parcel, argc);
    for (; *argv; argv++)
        pl_parcel_add(parcel, *argv);
    for (; *envp; envp++)
        pl_parcel_add(parcel, *envp);
    if (fd >= 0 && write(fd, parcel->data, parcel->len) == (ssize_t)parcel->len)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

gboolean pl_machine_guest(PlMachine *machine, char *const *argv, char *const *envp,
                          const int fds[static 3], int connection, GError **error)
{
    int sent[PL_GUEST_FDS] = {fds[0], fds[1], fds[2], connection, -1};
    gboolean ok;

    if (!begin_keeper(machine, error)) {
        g_prefix_error(error, "host %s: ", machine->name);
        return FALSE;
    }
    sent[4] = write_call(argv, envp);
    if (sent[4] < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: cannot pass on a command: %s",
                    machine->name, g_strerror(errno));
        return FALSE;
    }
    ok = ask(machine, (PlKeeperRequest){.kind = PL_KEEPER_GUEST}, sent, PL_GUEST_FDS, error);
    close(sent[4]);
    if (!ok)
        g_prefix_error(error, "host %s: ", machine->name);
    return ok;
}
