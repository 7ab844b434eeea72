/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The subcommands, and what all of them do the same way. */
#pragma once

#include <glib.h>

enum {
    EXIT_INPUT = 2,    /* the user's files or arguments are wrong */
    EXIT_SKIPPED = 77, /* this machine or engine cannot do it */
    EXIT_EXEC = 125,   /* of exec and shell: the command never ran; others are the command's own */
};

/* For the descriptions of commands that run labs, and of those that only read. */
#define COMMAND_EXIT_STATUS_RUNS_0(also)                                                           \
    "Exit status:\n"                                                                               \
    "  0                      Something passed and nothing failed" also "\n"                       \
    "  1                      Something failed, or its runs differ, or the output is lost\n"       \
    "  2                      A file or an argument is wrong\n"                                    \
    "  77                     Everything was skipped\n"                                            \
    "  130, 143               Interrupted, or asked to end\n"
#define COMMAND_EXIT_STATUS_RUNS   COMMAND_EXIT_STATUS_RUNS_0("")
#define COMMAND_EXIT_STATUS_SHARDS COMMAND_EXIT_STATUS_RUNS_0(", or the shard is empty")
#define COMMAND_EXIT_STATUS_READS                                                                  \
    "Exit status:\n"                                                                               \
    "  0                      All is right\n"                                                      \
    "  1                      Standard output cannot be written\n"                                 \
    "  2                      A file or an argument is wrong\n"

typedef struct Command {
    const char *name;       /* "run"; NULL for pinlab itself */
    const char *parameters; /* as the usage line shows them */
    const char *summary;    /* one sentence with a full stop at its end, perhaps more */
    const char *description;
    gboolean has_command; /* options end with the first argument: the rest is a command's */
} Command;

/* Each takes what follows its name on the command line, argv[0] being the name. */
int command_list(int argc, char **argv);
int command_check(int argc, char **argv);
int command_run(int argc, char **argv);
int command_matrix(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_script(int argc, char **argv);
int command_up(int argc, char **argv);
int command_exec(int argc, char **argv);
int command_shell(int argc, char **argv);
int command_nat(int argc, char **argv);
int command_capture(int argc, char **argv);
int command_output(int argc, char **argv);
int command_labs(int argc, char **argv);
int command_down(int argc, char **argv);

/*
 * Reads the options (a list ended by {NULL}; may be NULL) out of argv and leaves the rest in
 * *ret_arguments, to be freed with g_strfreev. Answers --help and --version. FALSE when the command
 * is to end, with *ret_status as its status.
 */
gboolean command_parse(const Command *command, const GOptionEntry *entries, int argc, char **argv,
                       char ***ret_arguments, int *ret_status);

/* "pinlab: MESSAGE" on stderr; returns EXIT_INPUT. */
int command_refuse(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The exit status for an error: EXIT_INPUT, EXIT_SKIPPED or EXIT_FAILURE. */
int command_status(const GError *error);
