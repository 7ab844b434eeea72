/* SPDX-License-Identifier: MIT */
/* pinhole: libpinhole's command. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"hub", command_hub},       {"classify", command_classify}, {"watch", command_watch},
    {"reflex", command_reflex}, {"lifetime", command_lifetime}, {"key", command_key},
    {"node", command_node},     {"ping", command_ping},         {"pipe", command_pipe},
    {"status", command_status},
};

static const Command pinhole = {
    .parameters = "COMMAND",
    .summary =
        "Find out behind what kind of NAT a host is, and talk to others behind theirs.\n"
        "\n"
        "A hub on the open internet tells whoever asks at what address it sees them; a host\n"
        "that asks a hub knows afterwards what its NAT does. A hub with a key introduces nodes to\n"
        "each other, which talk directly where their NATs let them, and by the hub elsewhere.",
    .description =
        "Commands:\n"
        "  hub                    Serve those who want to know their NAT\n"
        "  classify               Say behind what kind of NAT this host is\n"
        "  watch                  Say it again whenever it changes\n"
        "  reflex                 Say at what address others see this host\n"
        "  lifetime               Measure how long the NAT keeps an unused mapping\n"
        "  key                    Make and show key pairs\n"
        "  node                   Be a node: register with a hub, and talk to peers\n"
        "  ping                   Say how long it takes to a peer and back, and by which path\n"
        "  pipe                   Carry standard input to a peer, and its to standard output\n"
        "  status                 Say what a node or a hub that runs here knows\n"
        "\n"
        "Each command has its own --help.\n"
        "\n" COMMAND_EXIT_STATUS "  3                      classify, lifetime: nothing is known\n",
};

/* What was to be read and cannot be is a failure. */
static int finish(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    command_fail_output(status, errno ? errno : EIO);
    return status == EXIT_ARGUMENTS ? status : EXIT_FAILURE;
}

static int run(int argc, char **argv)
{
    g_auto(GStrv) rest = NULL;
    int status;

    if (argc > 1 && argv[1][0] != '-') {
        for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
            if (strcmp(argv[1], commands[i].name) == 0)
                return commands[i].run(argc - 1, argv + 1);
        }
        return command_fail(EXIT_ARGUMENTS,
                            "there is no command %s (there are: hub, classify, watch, reflex, "
                            "lifetime, key, node, ping, pipe, status)",
                            argv[1]);
    }
    if (!command_parse(&pinhole, NULL, argc, argv, &rest, &status))
        return status;
    return command_fail(EXIT_ARGUMENTS, "a command is missing (see pinhole --help)");
}

/* A descriptor of 0 to 2 that is closed would be the next socket's, which would then be written to:
 * in its place comes one of which every use fails (of standard error, is lost). */
static void open_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
    }
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    /* Writing fails then, which is told, as on a full disk. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return finish(run(argc, argv));
}
