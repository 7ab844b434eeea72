/* SPDX-License-Identifier: MIT */
/* Lines that may be lost: see lines.h. */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MS_PER_S    1000
#define US_PER_MS   1000
#define PATIENCE_MS (2 * MS_PER_S) /* of lines_end, for a part of it */
#define WAIT_MS     (10 * MS_PER_S)

/* Others may have the same terminal or pipe, and expect it to block: this is one of our own, which
 * does not. A file always takes what is written, and has a position that belongs to all. -1: there
 * can be none, or nothing may be written to this one. */
static int open_again(void)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    struct stat about;

    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(STDOUT_FILENO, &about) < 0 ||
        !(S_ISFIFO(about.st_mode) || S_ISCHR(about.st_mode)))
        return -1;
    return open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static gssize write_once(int fd, const void *bytes, size_t length)
{
    ssize_t written;

    do
        written = write(fd, bytes, length);
    while (written < 0 && errno == EINTR);
    return written;
}

/* For this call alone; one of the others who does the same just now may make it block. */
static gssize write_shared(const void *bytes, size_t length)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL), number;
    gboolean blocks = flags >= 0 && !(flags & O_NONBLOCK);
    gssize written;

    if (blocks && fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    written = write_once(STDOUT_FILENO, bytes, length);
    number = errno;
    if (blocks)
        (void)fcntl(STDOUT_FILENO, F_SETFL, flags);
    errno = number;
    return written;
}

gssize lines_write_now(const void *bytes, size_t length)
{
    int own = open_again(), number;
    gssize written;

    if (own < 0)
        return write_shared(bytes, length);
    written = write_once(own, bytes, length);
    number = errno;
    close(own);
    errno = number;
    return written;
}

static void lose(Lines *lines, uint64_t n)
{
    lines->lost += n;
    lines->untold += n;
}

/* All but the end of the line that has begun. */
static void lose_waiting(Lines *lines)
{
    const char *all = lines->waiting->str, *end = lines->begun ? strchr(all, '\n') + 1 : all;
    uint64_t n = 0;

    for (const char *at = end; (at = strchr(at, '\n')); at++)
        n++;
    g_string_truncate(lines->waiting, (gsize)(end - all));
    lose(lines, n);
}

static void fail(Lines *lines, int number)
{
    lines->error = number;
    lose_waiting(lines);
    if (lines->failed)
        lines->failed(lines->data);
}

/* What is not lost to tell, once half of what has piled up is read: else a slow reader had more
 * gaps than lines. */
static void tell_gap(Lines *lines)
{
    g_autofree char *line = NULL;

    if (lines->untold == 0 || lines->waiting->len > lines->room / 2)
        return;
    line = lines->gap ? lines->gap(lines->untold) : NULL;
    if (line)
        g_string_append(lines->waiting, line);
    lines->untold = 0;
}

/* As much as can be written now. FALSE: some is left, until somebody reads. */
static gboolean drain(Lines *lines)
{
    gssize written = 0;

    tell_gap(lines);
    while (lines->waiting->len > 0) {
        written = lines_write_now(lines->waiting->str, lines->waiting->len);
        if (written <= 0)
            break;
        lines->begun = lines->waiting->str[written - 1] != '\n';
        g_string_erase(lines->waiting, 0, written);
        tell_gap(lines);
    }
    if (written >= 0)
        return TRUE;
    if (errno == EAGAIN)
        return FALSE;
    fail(lines, errno);
    return TRUE;
}

static gboolean take_reader(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED,
                            gpointer data)
{
    Lines *lines = data;

    if (!drain(lines))
        return G_SOURCE_CONTINUE;
    lines->source = 0;
    return G_SOURCE_REMOVE;
}

void lines_write(Lines *lines, const char *line)
{
    gboolean done;

    if (!lines->waiting)
        lines->waiting = g_string_new(NULL);
    (void)drain(lines);
    if (lines->untold > 0 ||
        (lines->waiting->len > 0 && lines->waiting->len + strlen(line) > lines->room)) {
        lose(lines, 1);
        return;
    }
    g_string_append(lines->waiting, line);
    done = drain(lines);
    if (!done && lines->waiting->len > lines->room)
        lose_waiting(lines);
    if (!done && lines->waiting->len > 0 && lines->source == 0)
        lines->source =
            g_unix_fd_add(STDOUT_FILENO, G_IO_OUT | G_IO_HUP | G_IO_ERR, take_reader, lines);
}

void lines_end(Lines *lines, const char *line)
{
    gint64 end_us = g_get_monotonic_time() + WAIT_MS * US_PER_MS;
    struct pollfd writable = {.fd = STDOUT_FILENO, .events = POLLOUT};

    if (!lines->waiting)
        lines->waiting = g_string_new(NULL);
    lines->room = G_MAXSIZE;
    tell_gap(lines);
    if (line)
        g_string_append(lines->waiting, line);
    while (!drain(lines) && g_get_monotonic_time() < end_us && poll(&writable, 1, PATIENCE_MS) != 0)
        ;
    lose_waiting(lines);
}

void lines_clear(Lines *lines)
{
    g_clear_handle_id(&lines->source, g_source_remove);
    if (lines->waiting)
        g_string_free(lines->waiting, TRUE);
    *lines = (Lines){0};
}
