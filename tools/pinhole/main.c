/* SPDX-License-Identifier: MIT */
/* pinhole: libpinhole's command. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"hub", command_hub},       {"classify", command_classify}, {"watch", command_watch},
    {"reflex", command_reflex}, {"lifetime", command_lifetime}, {"key", command_key},
    {"node", command_node},     {"ping", command_ping},         {"pipe", command_pipe},
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
    command_fail(status, "cannot write to standard output: %s", g_strerror(errno ? errno : EIO));
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
                            "lifetime, key, node, ping, pipe)",
                            argv[1]);
    }
    if (!command_parse(&pinhole, NULL, argc, argv, &rest, &status))
        return status;
    return command_fail(EXIT_ARGUMENTS, "a command is missing (see pinhole --help)");
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    return finish(run(argc, argv));
}
