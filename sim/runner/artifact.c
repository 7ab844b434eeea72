/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runner/artifact.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct PlArtifact {
    char *path;
    char *hidden;    /* where it is meanwhile; NULL: it has no name */
    gboolean direct; /* `path` itself is being written */
    int fd;
};

static void set_error(GError **error, PlErrorCode code, const char *path, int number)
{
    g_set_error(error, PL_ERROR, (gint)code, "cannot write %s: %s", path, g_strerror(number));
}

static gboolean is_special(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

static char *hidden_path(const char *path)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *name = g_strdup_printf(".%s.partial", base);

    return g_build_filename(directory, name, NULL);
}

/* Returns an errno. */
static int open_unnamed(PlArtifact *artifact)
{
    g_autofree char *directory = g_path_get_dirname(artifact->path);

    artifact->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (artifact->fd >= 0)
        return 0;
    /* How kernels and file systems that do not know O_TMPFILE say so (open(2)). */
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return errno;
    artifact->hidden = hidden_path(artifact->path);
    artifact->fd =
        open(artifact->hidden, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0666);
    return artifact->fd >= 0 ? 0 : errno;
}

PlArtifact *pl_artifact_open(const char *path, GError **error)
{
    g_autoptr(PlArtifact) artifact = g_new0(PlArtifact, 1);
    int number = 0;

    artifact->path = g_strdup(path);
    artifact->direct = is_special(path);
    if (artifact->direct) {
        artifact->fd = open(path, O_WRONLY | O_CLOEXEC);
        number = artifact->fd >= 0 ? 0 : errno;
    } else {
        artifact->fd = -1;
        number = g_file_test(path, G_FILE_TEST_IS_DIR) ? EISDIR : open_unnamed(artifact);
    }
    if (number) {
        set_error(error, number == EMFILE || number == ENFILE ? PL_ERROR_LIMIT : PL_ERROR_INPUT,
                  path, number);
        return NULL;
    }
    return g_steal_pointer(&artifact);
}

int pl_artifact_fd(const PlArtifact *artifact)
{
    return artifact->fd;
}

const char *pl_artifact_path(const PlArtifact *artifact)
{
    return artifact->path;
}

gboolean pl_artifact_write(PlArtifact *artifact, const char *text, GError **error)
{
    size_t length = strlen(text);

    while (length > 0) {
        ssize_t n = write(artifact->fd, text, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            set_error(error, PL_ERROR_FAILED, artifact->path, errno);
            return FALSE;
        }
        text += n;
        length -= (size_t)n;
    }
    return TRUE;
}

/* What a killed process left there is of no use to anybody. Returns an errno. */
static int link_hidden(PlArtifact *artifact, const char *self)
{
    g_autofree char *hidden = hidden_path(artifact->path);

    if ((unlink(hidden) < 0 && errno != ENOENT) ||
        linkat(AT_FDCWD, self, AT_FDCWD, hidden, AT_SYMLINK_FOLLOW) < 0)
        return errno;
    artifact->hidden = g_steal_pointer(&hidden);
    return 0;
}

/* Returns an errno. */
static int give_name(PlArtifact *artifact)
{
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", artifact->fd);

    if (artifact->direct)
        return 0;
    if (!artifact->hidden) {
        int number;

        if (linkat(AT_FDCWD, self, AT_FDCWD, artifact->path, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        /* A name that exists cannot be linked to, only taken over. */
        number = errno == EEXIST ? link_hidden(artifact, self) : errno;
        if (number)
            return number;
    }
    if (rename(artifact->hidden, artifact->path) < 0)
        return errno;
    g_clear_pointer(&artifact->hidden, g_free);
    return 0;
}

gboolean pl_artifact_publish(PlArtifact *artifact, GError **error)
{
    int number = give_name(artifact);

    if (number)
        set_error(error, PL_ERROR_FAILED, artifact->path, number);
    pl_artifact_discard(artifact);
    return number == 0;
}

void pl_artifact_discard(PlArtifact *artifact)
{
    if (!artifact)
        return;
    if (artifact->fd >= 0)
        close(artifact->fd);
    if (artifact->hidden)
        unlink(artifact->hidden);
    g_free(artifact->hidden);
    g_free(artifact->path);
    g_free(artifact);
}
