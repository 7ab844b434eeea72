/* SPDX-License-Identifier: MIT */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0600 /* whatever is in it: it says who talked to whom */

struct PhRecording {
    char *path;
    int fd; /* -1: it could not be written */
};

static void set_error(GError **error, int number, const char *path)
{
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(number), "cannot write to %s: %s",
                path, g_strerror(number));
}

/* A file that was there before has the mode that it had; what is no file keeps its own. */
static gboolean make_private(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (!S_ISREG(status.st_mode) || fchmod(fd, MODE) == 0);
}

PhRecording *ph_recording_open(const char *path, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, MODE);
    PhRecording *recording;

    if (fd < 0 || !make_private(fd)) {
        set_error(error, errno, path);
        if (fd >= 0)
            g_close(fd, NULL);
        return NULL;
    }
    recording = g_new0(PhRecording, 1);
    recording->path = g_strdup(path);
    recording->fd = fd;
    return recording;
}

PhRecording *ph_recording_free(PhRecording *recording)
{
    if (!recording)
        return NULL;
    if (recording->fd >= 0)
        g_close(recording->fd, NULL);
    g_free(recording->path);
    g_free(recording);
    return NULL;
}

/* 0, or why not all of it was written. */
static int write_all(int fd, const guint8 *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

/* The node's buffer is emptied in any case, since it costs nothing then. */
gboolean ph_recording_take(PhRecording *recording, PhNode *node, GError **error)
{
    const uint8_t *bytes;
    size_t length;
    int number;

    if (!recording || !ph_node_poll_record(node, &bytes, &length) || recording->fd < 0)
        return TRUE;
    number = write_all(recording->fd, bytes, length);
    if (number == 0)
        return TRUE;
    set_error(error, number, recording->path);
    g_close(recording->fd, NULL);
    recording->fd = -1;
    return FALSE;
}
