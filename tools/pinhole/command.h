/* SPDX-License-Identifier: MIT */
/* The subcommands of pinhole, and what all of them do the same way. */
#pragma once

#include <gio/gio.h>
#include <stdint.h>

enum {
    EXIT_ARGUMENTS = 2, /* what was typed is wrong */
    EXIT_UNKNOWN = 3,   /* classify, lifetime: nothing is known */
};

#define COMMAND_EXIT_STATUS                                                                        \
    "Exit status:\n"                                                                               \
    "  0                      All is right\n"                                                      \
    "  1                      It could not be done; standard error says why\n"                     \
    "  2                      An argument is wrong\n"

typedef struct Command {
    const char *name;       /* "hub"; NULL for pinhole itself */
    const char *parameters; /* as the usage line shows them */
    const char *summary;    /* one sentence with a full stop at its end, perhaps more */
    const char *description;
} Command;

/* Each takes what follows its name on the command line, argv[0] being the name. */
int command_classify(int argc, char **argv);
int command_hub(int argc, char **argv);
int command_key(int argc, char **argv);
int command_lifetime(int argc, char **argv);
int command_node(int argc, char **argv);
int command_ping(int argc, char **argv);
int command_pipe(int argc, char **argv);
int command_reflex(int argc, char **argv);
int command_status(int argc, char **argv);
int command_watch(int argc, char **argv);

/*
 * Reads the options (a list ended by {NULL}; may be NULL) out of argv and leaves the rest in
 * *ret_arguments, to be freed with g_strfreev. Answers --help and --version. FALSE when the command
 * is to end, with *ret_status as its status.
 */
gboolean command_parse(const Command *command, const GOptionEntry *entries, int argc, char **argv,
                       char ***ret_arguments, int *ret_status);

/* "pinhole: MESSAGE" on stderr, on one line whatever is in it; both return `status`. */
int command_fail(int status, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The same of standard output; `number` is an errno. */
int command_fail_output(int status, int number);

/* What went wrong with an argument, or with the system: returns the status. */
int command_fail_error(const GError *error);
/* The same of what --server names. */
int command_fail_server(const char *server, const GError *error);

/* "250ms", "30s", "5min" or "2h", above 0 and up to a week. */
gboolean command_duration(const char *option, const char *text, uint64_t *ret_ns, GError **error);

/* What a name or an error brings along is shown, and never obeyed, by a terminal: to be freed. */
char *command_printable(const char *text);
/* Whether standard output is for somebody who sees colours (https://no-color.org). */
gboolean command_colours(void);
