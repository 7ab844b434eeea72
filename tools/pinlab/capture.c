/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab capture: a recording of a lab's interfaces, as it goes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/record.h"
#include "pinlab/command.h"
#include "session/client.h"

static const Command command = {
    .name = "capture",
    .parameters = "LAB [INTERFACE]...",
    .summary =
        "Record interfaces of a lab as pcapng.\n"
        "\n"
        "INTERFACE is the name of a host with one interface, HOST.NETWORK, NAT.inside or\n"
        "NAT.outside; without any, both sides of every NAT and all hosts that are not behind\n"
        "one are recorded, as pinlab run does. Packets are written as they come. It ends,\n"
        "with a whole file, when interrupted, when the lab goes down, or when nobody reads\n"
        "what it writes; when interrupted twice, at once.",
    .description = "Examples:\n"
                   "  pinlab capture cgn home.outside | wireshark -k -i -\n"
                   "  pinlab capture cgn alice home.inside -w both.pcapng\n",
};

static int fail(const GError *error)
{
    command_refuse("%s", error->message);
    return command_status(error);
}

/* Our word to stop, and at the second time not even waiting for that: 128 + signal, else 0. */
static int heed_signal(int connection, int signals, gboolean *stopped)
{
    struct signalfd_siginfo info;
    char stop = PL_RECORD_STOP;

    if (read(signals, &info, sizeof(info)) != sizeof(info))
        return 0;
    if (*stopped)
        return 128 + (int)info.ssi_signo;
    *stopped = TRUE;
    (void)!send(connection, &stop, 1, MSG_NOSIGNAL);
    return 0;
}

/* What the recorder says, until it is done or we are. */
static int follow(const char *lab, int connection, int signals)
{
    gboolean live = FALSE, stopped = FALSE;

    for (;;) {
        struct pollfd polls[] = {{.fd = connection, .events = POLLIN},
                                 {.fd = signals, .events = POLLIN}};
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;
        int n = poll(polls, G_N_ELEMENTS(polls), live ? -1 : PL_CLIENT_MS), status;
        char kind;

        if (n == 0 && pl_client_overdue(lab, &error))
            return fail(error);
        if (n <= 0)
            continue;
        if (polls[1].revents && (status = heed_signal(connection, signals, &stopped)) != 0)
            return status;
        if (!polls[0].revents)
            continue;
        kind = pl_client_hear(connection, lab, &text, NULL, &error);
        if (kind == 0)
            return fail(error);
        if (kind == PL_RECORD_LIVE)
            fprintf(stderr, "pinlab: recording\n");
        live = TRUE;
        if (kind == PL_RECORD_DONE && *text)
            fprintf(stderr, "pinlab: %s; the recording is whole\n", text);
        if (kind == PL_RECORD_DONE)
            return EXIT_SUCCESS;
    }
}

static int record(const char *lab, char *const *interfaces, int fd)
{
    g_autoptr(GPtrArray) words = g_ptr_array_new();
    g_autoptr(GError) error = NULL;
    sigset_t set;
    int signals, connection, status;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC);
    g_ptr_array_add(words, (gpointer) "tap");
    for (; *interfaces; interfaces++)
        g_ptr_array_add(words, *interfaces);
    g_ptr_array_add(words, NULL);
    connection = pl_client_ask(lab, (const char *const *)words->pdata, &fd, 1, &error);
    if (connection < 0)
        return fail(error);
    status = follow(lab, connection, signals);
    close(connection);
    close(signals);
    return status;
}

/* What a file has is kept until there is something to take its place: the recorder cuts it. */
static int open_file(const char *path, gboolean *ret_new)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    *ret_new = fd >= 0;
    return fd >= 0 || errno != EEXIST ? fd : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
}

/* A recording that never began leaves no new file behind. */
static void remove_empty(int fd, const char *path)
{
    struct stat status;

    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0)
        unlink(path);
}

int command_capture(int argc, char **argv)
{
    g_autofree char *path = NULL;
    const GOptionEntry entries[] = {
        {"write", 'w', 0, G_OPTION_ARG_FILENAME, &path,
         "Write to FILE, or to standard output with - (default: standard output)", "FILE"},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    gboolean is_new = FALSE;
    int status, fd = STDOUT_FILENO;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (!arguments[0])
        return command_refuse("capture takes a lab and interfaces (see pinlab capture --help)");
    if (path && strcmp(path, "-") != 0)
        fd = open_file(path, &is_new);
    else if (isatty(fd))
        return command_refuse("a recording is nothing for a terminal (expected -w FILE, or a "
                              "pipe)");
    if (fd < 0)
        return command_refuse("cannot write %s: %s", path, g_strerror(errno));
    status = record(arguments[0], arguments + 1, fd);
    if (status != EXIT_SUCCESS && is_new)
        remove_empty(fd, path);
    return status;
}
