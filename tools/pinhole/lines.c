/* SPDX-License-Identifier: MIT */
/* Lines that may be lost: see lines.h. */
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Others may have the same terminal or pipe, and expect it to block: it does not for this call
 * alone. Returns as write(2) does. */
static ssize_t write_now(const char *bytes, size_t length)
{
    int flags = fcntl(STDOUT_FILENO, F_GETFL), number;
    gboolean blocks = flags >= 0 && !(flags & O_NONBLOCK);
    ssize_t written;

    if (blocks && fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK) < 0)
        return -1;
    do
        written = write(STDOUT_FILENO, bytes, length);
    while (written < 0 && errno == EINTR);
    number = errno;
    if (blocks)
        (void)fcntl(STDOUT_FILENO, F_SETFL, flags);
    errno = number;
    return written;
}

/* FALSE: some of it is left. */
static gboolean write_begun(Lines *lines)
{
    while (lines->begun->len > 0) {
        ssize_t written = write_now(lines->begun->str, lines->begun->len);

        if (written < 0)
            lines->error = errno;
        if (written <= 0)
            return FALSE;
        g_string_erase(lines->begun, 0, written);
    }
    return TRUE;
}

void lines_write(Lines *lines, const char *line)
{
    size_t length = strlen(line);

    if (!lines->begun)
        lines->begun = g_string_new(NULL);
    if (!write_begun(lines)) {
        lines->lost++;
        return;
    }
    g_string_assign(lines->begun, line);
    if (!write_begun(lines) && lines->begun->len == length) {
        g_string_truncate(lines->begun, 0);
        lines->lost++;
    }
}

void lines_clear(Lines *lines)
{
    if (lines->begun)
        g_string_free(lines->begun, TRUE);
    *lines = (Lines){0};
}
