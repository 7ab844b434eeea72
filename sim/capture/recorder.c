/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recorder's two ends: the process that asked for a recording, and the child that makes it
 * (record.c). They talk over a socket pair, one message a packet:
 *
 *   parent                     child
 *     |  <--- LIVE | ERROR text  |   every interface is being captured, or one cannot be
 *     |       STOP --->          |
 *     |  <--- DONE | ERROR text  |   everything is in the file, or something was lost
 *
 * The end of the stream, at either end, means that the other one is gone. A live recording (for
 * somebody else, pl_recorder_serve) is ended by SIGTERM, too, and then says so with its DONE.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/record.h"
#include "capture/recorder.h"

struct PlRecorder {
    pid_t pid;
    int socket;
};

/* Only async-signal-safe preparations and then the child's work; never returns. */
G_NORETURN static void child_main(const PlRecorderPoint *points, size_t n_points, PlFeed *feed,
                                  int fd, const char *comment, gboolean live, int socket,
                                  pid_t parent)
{
    PlInput *input;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    prctl(PR_SET_NAME, "pinlab-record");
    /* An interrupt from the terminal is the parent's to act on, who will say STOP. */
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* too large a file is an error of write (EFBIG) */
    signal(SIGTERM, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    input = feed ? pl_input_feed_new(feed) : pl_input_pcap_new();
    input->points = points;
    input->n_points = n_points;
    pl_record(input, fd, comment, live, socket);
    _exit(EXIT_SUCCESS);
}

/* Waits for the message `expected`. */
static gboolean receive(PlRecorder *recorder, char expected, GError **error)
{
    char message[PL_RECORD_MESSAGE_MAX];
    ssize_t length;

    do {
        length = recv(recorder->socket, message, sizeof(message) - 1, 0);
    } while (length < 0 && errno == EINTR);
    if (length <= 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "the recorder ended unexpectedly");
        return FALSE;
    }
    message[length] = '\0';
    if (message[0] == expected)
        return TRUE;
    g_set_error_literal(
        error, PL_ERROR,
        message[0] == PL_RECORD_UNSUPPORTED ? PL_ERROR_UNSUPPORTED : PL_ERROR_FAILED, message + 1);
    return FALSE;
}

PlRecorder *pl_recorder_start(const PlRecorderPoint *points, size_t n_points, int fd,
                              const char *comment, GError **error)
{
    int sockets[2];
    pid_t parent = getpid(), pid;
    PlRecorder *recorder;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        pl_error_set_errno(error, "make a socket pair for the recorder", errno);
        return NULL;
    }
    pid = fork();
    if (pid < 0) {
        pl_error_set_errno(error, "start the recorder", errno);
        close(sockets[0]);
        close(sockets[1]);
        return NULL;
    }
    if (pid == 0) {
        close(sockets[0]);
        child_main(points, n_points, NULL, fd, comment, FALSE, sockets[1], parent);
    }
    close(sockets[1]);
    recorder = g_new0(PlRecorder, 1);
    recorder->pid = pid;
    recorder->socket = sockets[0];
    if (!receive(recorder, PL_RECORD_LIVE, error)) {
        pl_recorder_kill(recorder);
        return NULL;
    }
    return recorder;
}

gboolean pl_recorder_stop(PlRecorder *recorder, GError **error)
{
    char stop = PL_RECORD_STOP;
    gboolean done;

    /* A child that has given up already has left its reason in the socket: read it all the same. */
    if (send(recorder->socket, &stop, 1, MSG_NOSIGNAL) < 0)
        g_debug("recorder: %s", g_strerror(errno));
    done = receive(recorder, PL_RECORD_DONE, error);
    while (waitpid(recorder->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(recorder->socket);
    g_free(recorder);
    return done;
}

void pl_recorder_kill(PlRecorder *recorder)
{
    if (!recorder)
        return;
    kill(recorder->pid, SIGKILL);
    /* The kernel takes a while to close the child's packet sockets; nobody waits for that here. */
    waitpid(recorder->pid, NULL, WNOHANG);
    close(recorder->socket);
    g_free(recorder);
}

int pl_recorder_serve(const PlRecorderPoint *points, size_t n_points, PlFeed *feed, int fd,
                      const char *comment, int connection, GError **error)
{
    pid_t parent = getpid(), pid;
    sigset_t end, before;

    /* Whenever it comes, the child takes it when it looks. */
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, &before);
    pid = fork();
    if (pid == 0)
        child_main(points, n_points, feed, fd, comment, TRUE, connection, parent);
    if (pid < 0)
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "fork: %s", g_strerror(errno));
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}
