/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab: the NAT laboratory's command. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinlab/command.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"list", command_list},       {"check", command_check},   {"run", command_run},
    {"matrix", command_matrix},   {"script", command_script}, {"up", command_up},
    {"exec", command_exec},       {"shell", command_shell},   {"nat", command_nat},
    {"capture", command_capture}, {"output", command_output}, {"labs", command_labs},
    {"down", command_down},       {"replay", command_replay},
};

static const Command pinlab = {
    .parameters = "COMMAND",
    .summary =
        "A laboratory for network address translators.\n"
        "\n"
        "A topology file describes hosts, NATs and networks. pinlab builds it from network\n"
        "namespaces, certifies each NAT with a prober of its own, records both sides of\n"
        "every NAT, runs the hosts' programs, and says from the packets what happened. It\n"
        "needs no root. With --engine virtual the same happens in a model of all that, and in\n"
        "virtual time.",
    .description =
        "Commands on topologies:\n"
        "  list                   Show topologies: name, hosts, NATs, title\n"
        "  check                  Check topology files, and do nothing else\n"
        "  run                    Run one topology and show its whole verdict\n"
        "  matrix                 Run many topologies and show a table\n"
        "  script                 Print a shell program that wires a topology without pinlab\n"
        "\n"
        "Commands on a lab that one works in:\n"
        "  up                     Build a lab and keep it\n"
        "  exec                   Run a command on a host\n"
        "  shell                  Run a shell on a host\n"
        "  nat                    Show a NAT's table, flush it, reboot it, change its address\n"
        "  capture                Record interfaces, for Wireshark and tshark\n"
        "  output                 Show what a host's own program put out\n"
        "  labs                   Show the labs that stand\n"
        "  down                   Take labs down\n"
        "\n"
        "Commands on recordings:\n"
        "  replay                 Replay a node's recording, and say where it differs\n"
        "\n"
        "Each command has its own --help.\n"
        "\n"
        "Topologies:\n"
        "  A topology is named by its file, or by the file's name without \".ini\", which is\n"
        "  then looked for in the directories of $PINLAB_TOPOLOGIES (separated by colons), in\n"
        "  ./topologies, and where pinlab was installed (or, in a build tree, in the sources),\n"
        "  and in the folder `stories` of each.\n"
        "\n"
        "  What stands in them is said in topology-format.md, which is installed in\n"
        "  share/doc/pinhole, beside verdict.md about JSON reports.\n"
        "\n" COMMAND_EXIT_STATUS_SHARDS,
};

static int no_command(const char *name)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        g_string_append_printf(names, "%s%s", i ? ", " : "", commands[i].name);
    return command_refuse("there is no command %s (there are: %s)", name, names->str);
}

/* A descriptor of 0 to 2 that is closed would be the next file's, which would then be written to:
 * in its place comes one of which every use fails (of standard error, is lost). */
static void open_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
    }
}

/* What was to be read and cannot be is a failure. */
static int finish(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    command_refuse("cannot write to standard output%s%s", errno ? ": " : "",
                   errno ? g_strerror(errno) : "");
    return status == EXIT_INPUT ? status : EXIT_FAILURE;
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
        return no_command(argv[1]);
    }
    if (!command_parse(&pinlab, NULL, argc, argv, &rest, &status))
        return status;
    return command_refuse("a command is missing (see pinlab --help)");
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    /* What is larger than it may be is an error of write then (EFBIG). */
    signal(SIGXFSZ, SIG_IGN);
    return finish(run(argc, argv));
}
