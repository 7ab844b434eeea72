/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab exec, pinlab shell: a command on a host of a lab. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/guest.h"
#include "pinlab/command.h"
#include "pinlab/terminal.h"
#include "session/client.h"

static const Command exec_command = {
    .name = "exec",
    .parameters = "LAB HOST -- COMMAND [ARGUMENT]...",
    .summary =
        "Run a command on a host of a lab.\n"
        "\n"
        "HOST may be a NAT, too. The command has the host's network, name, /etc/hosts, /tmp\n"
        "and /run, starts in the directory of the topology's file, and has this command's\n"
        "environment and its standard input, output and error; on a terminal it gets one of\n"
        "its own. Signals are passed on. When this command goes away, it is hung up.",
    .description = "Exit status:\n"
                   "  the command's, or 128 and the number of the signal that ended it;\n"
                   "  125                    There is no such lab or host, or it is gone\n"
                   "  126                    The command cannot be run\n"
                   "  127                    There is no such command\n"
                   "\n"
                   "Examples:\n"
                   "  pinlab exec cgn alice -- ping -c 1 hub\n"
                   "  pinlab exec cgn home -- nft list ruleset\n"
                   "  echo hello | pinlab exec cgn alice -- nc -u -w 1 hub 4000\n",
    .has_command = TRUE,
};

static const Command shell_command = {
    .name = "shell",
    .parameters = "LAB HOST",
    .summary = "Run a shell on a host of a lab.\n"
               "\n"
               "The shell is $SHELL, or /bin/sh; HOST may be a NAT, too. Otherwise this is pinlab\n"
               "exec LAB HOST -- $SHELL, with the same exit status.",
    .description = "Examples:\n"
                   "  pinlab shell cgn alice\n"
                   "  pinlab shell cgn alice < script\n",
};

/* So long a lab that has not yet run the command is waited for after a signal. */
#define INTERRUPTED_MS 500

typedef struct Call {
    const char *lab;
    int connection, signals;
    Terminal *terminal;
    gboolean runs;   /* the lab has said so; before, the command's terminal is not ours to feed */
    int interrupted; /* by this signal, before that; the command gets it when it runs */
} Call;

/* Where those that a user or a shell sends come out; a terminal's own go through it. */
static int catch_signals(void)
{
    static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < G_N_ELEMENTS(caught); i++)
        sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static void pass_signal(Call *call)
{
    struct signalfd_siginfo info;
    unsigned char message[2] = {PL_GUEST_SIGNAL};

    if (read(call->signals, &info, sizeof(info)) != sizeof(info))
        return;
    message[1] = (unsigned char)info.ssi_signo;
    if (info.ssi_signo != SIGWINCH && !call->runs)
        call->interrupted = (int)info.ssi_signo;
    if (info.ssi_signo != SIGWINCH)
        (void)!send(call->connection, message, sizeof(message), MSG_NOSIGNAL);
    else if (call->terminal)
        terminal_resize(call->terminal);
}

static int patience(const Call *call)
{
    if (call->runs)
        return call->terminal ? terminal_patience(call->terminal) : -1;
    return call->interrupted ? INTERRUPTED_MS : PL_CLIENT_MS;
}

/* Until the next message of the lab's; FALSE when there will be none. */
static gboolean wait_message(Call *call, GError **error)
{
    struct pollfd polls[2 + TERMINAL_POLLS] = {{.fd = call->connection, .events = POLLIN},
                                               {.fd = call->signals, .events = POLLIN}};
    Terminal *terminal = call->runs ? call->terminal : NULL;

    do {
        int n;

        polls[0].revents = 0;
        if (terminal)
            terminal_poll(terminal, polls + 2);
        n = poll(polls, terminal ? G_N_ELEMENTS(polls) : 2, patience(call));
        if (n == 0 && !call->runs && (call->interrupted || pl_client_overdue(call->lab, error)))
            return FALSE;
        if (n < 0)
            continue;
        if (terminal)
            terminal_relay(terminal, polls + 2);
        if (polls[1].revents)
            pass_signal(call);
    } while (!polls[0].revents);
    return TRUE;
}

static void begin(Call *call)
{
    call->runs = TRUE;
    if (call->terminal)
        terminal_take_over(call->terminal);
}

/* The exit status; *ret_reason (to be freed) says why it is none of the command's own. */
static int follow(Call *call, char **ret_reason)
{
    for (;;) {
        g_autofree char *text = NULL;
        g_autoptr(GError) error = NULL;
        char kind = 0;

        if (wait_message(call, &error))
            kind = pl_client_hear(call->connection, call->lab, &text, NULL, &error);
        else if (call->interrupted)
            return 128 + call->interrupted;
        if (kind == PL_GUEST_ENDED)
            return (int)strtol(text, NULL, 10);
        if (kind == PL_GUEST_RUNS) {
            begin(call);
            continue;
        }
        *ret_reason = g_strdup(kind ? text : error->message);
        return kind == PL_GUEST_NOT_FOUND ? 127 : kind == PL_GUEST_NOT_RUN ? 126 : EXIT_EXEC;
    }
}

static GPtrArray *words_of(const char *host, char *const *command)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(words, g_strdup("exec"));
    g_ptr_array_add(words, g_strdup(host));
    g_ptr_array_add(words, g_strdup_printf("%u", g_strv_length((char **)command)));
    for (; *command; command++)
        g_ptr_array_add(words, g_strdup(*command));
    for (char **variable = environ; *variable; variable++)
        g_ptr_array_add(words, g_strdup(*variable));
    g_ptr_array_add(words, NULL);
    return words;
}

static int run(const char *lab, const char *host, char *const *command)
{
    g_autoptr(GPtrArray) words = words_of(host, command);
    int fds[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, status = EXIT_EXEC;
    Call call = {.lab = lab, .signals = catch_signals()};
    g_autofree char *reason = NULL;
    g_autoptr(GError) error = NULL;

    if (terminal_is_here() && (call.terminal = terminal_new())) {
        fds[0] = fds[1] = terminal_slave(call.terminal);
        if (isatty(STDERR_FILENO))
            fds[2] = fds[0];
    }
    call.connection = pl_client_ask(lab, (const char *const *)words->pdata, fds, 3, &error);
    if (call.terminal)
        terminal_pass_on(call.terminal);
    if (call.connection >= 0) {
        status = follow(&call, &reason);
        close(call.connection);
    }
    terminal_free(call.terminal);
    if (error || reason)
        command_refuse("%s", error ? error->message : reason);
    return status;
}

int command_exec(int argc, char **argv)
{
    g_auto(GStrv) arguments = NULL;
    char **words;
    int status;

    if (!command_parse(&exec_command, NULL, argc, argv, &arguments, &status))
        return status == EXIT_INPUT ? EXIT_EXEC : status;
    words = arguments;
    if (words[0] && words[1] && words[2] && strcmp(words[2], "--") == 0)
        words++;
    if (!arguments[0] || !arguments[1] || !words[2]) {
        command_refuse("exec takes a lab, a host and a command (see pinlab exec --help)");
        return EXIT_EXEC;
    }
    return run(arguments[0], arguments[1], words + 2);
}

int command_shell(int argc, char **argv)
{
    const char *shell = g_getenv("SHELL");
    char *command[] = {(char *)(shell && *shell ? shell : "/bin/sh"), NULL};
    g_auto(GStrv) arguments = NULL;
    int status;

    if (!command_parse(&shell_command, NULL, argc, argv, &arguments, &status))
        return status == EXIT_INPUT ? EXIT_EXEC : status;
    if (g_strv_length(arguments) != 2) {
        command_refuse("shell takes a lab and a host (see pinlab shell --help)");
        return EXIT_EXEC;
    }
    return run(arguments[0], arguments[1], command);
}
