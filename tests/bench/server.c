/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"

#define NS_PER_MS UINT64_C(1000000)
#define END_MS    3000

static cpu_set_t client_cpu, server_cpu;

void server_read(const char *word, Server *ret_server)
{
    g_auto(GStrv) parts = g_strsplit(word, "=", 2);
    g_autoptr(GError) error = NULL;

    if (!parts[0] || !parts[1])
        die("%s: expected NAME=COMMAND", word);
    if (!g_shell_parse_argv(parts[1], NULL, &ret_server->argv, &error))
        die("%s: %s", word, error->message);
    ret_server->name = g_intern_string(parts[0]);
}

static void pin(const cpu_set_t *cpu)
{
    if (sched_setaffinity(0, sizeof(*cpu), cpu) < 0)
        die("sched_setaffinity: %s", g_strerror(errno));
}

/* Of those that we may run on, the first and the last. */
void server_choose_processors(void)
{
    cpu_set_t may;
    size_t first = CPU_SETSIZE, last = 0;

    if (sched_getaffinity(0, sizeof(may), &may) < 0)
        die("sched_getaffinity: %s", g_strerror(errno));
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &may))
            continue;
        first = MIN(first, i);
        last = i;
    }
    CPU_ZERO(&client_cpu);
    CPU_ZERO(&server_cpu);
    CPU_SET(first, &client_cpu);
    CPU_SET(last, &server_cpu);
    pin(&client_cpu);
}

pid_t server_start(const Server *server)
{
    pid_t pid = fork();
    int null;

    if (pid < 0)
        die("fork: %s", g_strerror(errno));
    if (pid > 0)
        return pid;
    pin(&server_cpu);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(126);
    execvp(server->argv[0], server->argv);
    _exit(127);
}

void server_end(pid_t pid)
{
    struct timespec pause = {.tv_nsec = 10 * (long)NS_PER_MS};

    kill(pid, SIGTERM);
    for (int waited = 0; waited < END_MS; waited += 10) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        nanosleep(&pause, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

double server_cpu_seconds(clockid_t clock)
{
    struct timespec time;

    if (clock_gettime(clock, &time) < 0)
        die("a server's processor time: %s", g_strerror(errno));
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double server_median(const double *values, size_t n)
{
    double sorted[SERVER_ROUNDS_MAX];

    g_assert(n > 0 && n <= SERVER_ROUNDS_MAX);
    memcpy(sorted, values, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}
