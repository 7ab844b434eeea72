/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests of a host, in its keeper. A guest's states:
 *
 *   welcome ──▶ running ──(process ends)──▶ told X, gone
 *                  │
 *                  └──(caller gone)──▶ hung up: SIGHUP, nobody to tell ──(process ends)──▶ gone
 */
#include "machine/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/parcel.h"

typedef struct Guest {
    pid_t pid;
    int connection; /* -1: hung up */
} Guest;

struct PlGuests {
    GArray *all; /* Guest */
};

PlGuests *pl_guests_new(void)
{
    PlGuests *guests = g_new0(PlGuests, 1);

    guests->all = g_array_new(FALSE, FALSE, sizeof(Guest));
    return guests;
}

static void tell(int connection, char kind, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void tell(int connection, char kind, const char *format, ...)
{
    char message[PL_GUEST_REPLY_MAX] = {kind};
    va_list arguments;

    va_start(arguments, format);
    g_vsnprintf(message + 1, sizeof(message) - 1, format, arguments);
    va_end(arguments);
    /* When the caller is gone, there is nobody to tell. */
    pl_parcel_send(connection, message, strlen(message), NULL, 0);
}

/* ---- what is to be run ---- */

typedef struct Call {
    char *text;   /* the words */
    char **words; /* pointing there */
    char **argv;  /* the same */
    char **envp;
    char *path;  /* of the program; NULL: not found */
    int refused; /* errno of the best candidate that could not be run */
} Call;

static void call_clear(Call *call)
{
    g_free(call->text);
    g_free(call->words);
    g_free(call->argv);
    g_strfreev(call->envp);
    g_free(call->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Call, call_clear)

/* A place that the host has covered, or that is another than the caller's. */
static gboolean is_the_callers(const char *variable)
{
    static const char *const names[] = {"TMPDIR=", "XDG_RUNTIME_DIR=", "PWD=", "OLDPWD="};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (g_str_has_prefix(variable, names[i]))
            return TRUE;
    return FALSE;
}

static char **environment(char *const *variables)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    g_autofree char *here = g_get_current_dir();

    for (; *variables; variables++)
        if (!is_the_callers(*variables))
            g_ptr_array_add(kept, g_strdup(*variables));
    g_ptr_array_add(kept, g_strconcat("PWD=", here, NULL));
    g_ptr_array_add(kept, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&kept), FALSE);
}

/* In a place of PATH that may not be searched there is nothing to be found, as for a shell. */
static gboolean can_run(Call *call, const char *path, gboolean searched)
{
    struct stat status;

    if (stat(path, &status) < 0) {
        if (errno == EACCES && !searched)
            call->refused = EACCES;
        return FALSE;
    }
    if (S_ISDIR(status.st_mode))
        call->refused = EACCES;
    else if (access(path, X_OK) == 0)
        return TRUE;
    else
        call->refused = errno;
    return FALSE;
}

/* By the caller's PATH, in the host's file system. */
static void find_program(Call *call)
{
    const char *name = call->argv[0];
    const char *list = g_environ_getenv(call->envp, "PATH");
    g_auto(GStrv) places = g_strsplit(list ? list : "/usr/bin:/bin", ":", -1);

    if (strchr(name, '/')) {
        if (can_run(call, name, /* searched= */ FALSE))
            call->path = g_strdup(name);
        return;
    }
    for (size_t i = 0; *name && places[i] && !call->path; i++) {
        g_autofree char *path = g_build_filename(*places[i] ? places[i] : ".", name, NULL);

        if (can_run(call, path, /* searched= */ TRUE))
            call->path = g_steal_pointer(&path);
    }
}

/* The file is the lab's copy of what the caller sent; it has to make sense all the same. */
static gboolean read_call(int fd, Call *call)
{
    struct stat status;
    guint64 argc;
    size_t n;

    if (fstat(fd, &status) < 0 || status.st_size <= 0 || status.st_size > PL_PARCEL_MAX)
        return FALSE;
    call->text = g_malloc((size_t)status.st_size);
    if (pread(fd, call->text, (size_t)status.st_size, 0) != status.st_size)
        return FALSE;
    call->words = pl_parcel_words(call->text, (size_t)status.st_size);
    n = call->words ? g_strv_length(call->words) : 0;
    if (n < 2 || !g_ascii_string_to_unsigned(call->words[0], 10, 1, n - 1, &argc, NULL))
        return FALSE;
    call->argv = g_new0(char *, argc + 1);
    memcpy(call->argv, call->words + 1, argc * sizeof(char *));
    call->envp = environment(call->words + 1 + argc);
    find_program(call);
    return TRUE;
}

/* ---- running it ---- */

/* Between fork and exec: only what is safe there. */
static G_NORETURN void exec_call(const Call *call, const int *fds, int failure)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;

    setsid();
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* They came with numbers above 2. */
    if (dup2(fds[0], STDIN_FILENO) >= 0 && dup2(fds[1], STDOUT_FILENO) >= 0 &&
        dup2(fds[2], STDERR_FILENO) >= 0) {
        /* Works on a terminal that nobody has yet, such as one that the caller made for us. */
        ioctl(STDIN_FILENO, TIOCSCTTY, 0);
        execvpe(call->path, call->argv, call->envp);
    }
    (void)!write(failure, &errno, sizeof(errno));
    _exit(127);
}

/* Forks and returns after the exec: 0, or errno of what failed. */
static int spawn(const Call *call, const int *fds, pid_t *ret_pid)
{
    int failure[2], failed = 0;
    pid_t pid;

    if (pipe2(failure, O_CLOEXEC) < 0)
        return errno;
    pid = fork();
    if (pid == 0)
        exec_call(call, fds, failure[1]);
    if (pid < 0)
        failed = errno;
    close(failure[1]);
    /* End of file is success: the exec closed it. */
    if (pid > 0 && read(failure[0], &failed, sizeof(failed)) == sizeof(failed))
        waitpid(pid, NULL, 0);
    close(failure[0]);
    *ret_pid = pid;
    return failed;
}

static void start(PlGuests *guests, const Call *call, const int *fds)
{
    Guest guest = {.connection = fds[3]};
    int failed = call->path ? spawn(call, fds, &guest.pid) : call->refused ? call->refused : ENOENT;

    if (failed) {
        tell(guest.connection, failed == ENOENT ? PL_GUEST_NOT_FOUND : PL_GUEST_NOT_RUN, "%s: %s",
             call->argv[0], failed == ENOENT ? "command not found" : g_strerror(failed));
        close(guest.connection);
        return;
    }
    tell(guest.connection, PL_GUEST_RUNS, "%s", "");
    g_array_append_val(guests->all, guest);
}

gboolean pl_guests_welcome(PlGuests *guests, const int fds[static PL_GUEST_FDS])
{
    g_auto(Call) call = {0};
    gboolean readable = read_call(fds[4], &call);

    if (readable)
        start(guests, &call, fds);
    else
        close(fds[3]);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(fds[4]);
    return readable;
}

/* ---- while it runs ---- */

unsigned pl_guests_count(const PlGuests *guests)
{
    return guests->all->len;
}

void pl_guests_poll(const PlGuests *guests, struct pollfd *polls)
{
    for (unsigned i = 0; i < guests->all->len; i++)
        polls[i] = (struct pollfd){.fd = g_array_index(guests->all, Guest, i).connection,
                                   .events = POLLIN};
}

/* The caller's word, or its end. */
static void hear(Guest *guest)
{
    unsigned char message[2];
    ssize_t n = recv(guest->connection, message, sizeof(message), MSG_DONTWAIT);

    if (n == 2 && message[0] == PL_GUEST_SIGNAL && message[1] < NSIG) {
        kill(-guest->pid, message[1]);
    } else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(guest->connection);
        guest->connection = -1;
        kill(-guest->pid, SIGHUP);
        kill(-guest->pid, SIGCONT); /* a stopped one would not notice */
    }
}

void pl_guests_handle(PlGuests *guests, const struct pollfd *polls)
{
    for (unsigned i = 0; i < guests->all->len; i++)
        if (polls[i].revents)
            hear(&g_array_index(guests->all, Guest, i));
}

void pl_guests_bury(PlGuests *guests, pid_t pid, int status)
{
    for (unsigned i = 0; i < guests->all->len; i++) {
        const Guest *guest = &g_array_index(guests->all, Guest, i);

        if (guest->pid != pid)
            continue;
        if (guest->connection >= 0) {
            tell(guest->connection, PL_GUEST_ENDED, "%d",
                 WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
            close(guest->connection);
        }
        g_array_remove_index(guests->all, i);
        return;
    }
}
