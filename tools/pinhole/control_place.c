/* SPDX-License-Identifier: MIT */
/*
 * Where control sockets are: see control_place.h. In order: $XDG_RUNTIME_DIR/pinhole, where that
 * is a directory of this user's; /run/pinhole for root; /tmp/pinhole-UID.
 */
#include "control_place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.h"

#define SUFFIX  ".sock"
#define BACKLOG 8
#define LOCK_MS 2000
#define LOOK_MS 2

/* ---- directories ---- */

static gboolean is_ours(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

/* NULL-terminated; in the order in which they are tried. */
static char **places(void)
{
    const char *runtime = g_getenv("XDG_RUNTIME_DIR");
    GPtrArray *all = g_ptr_array_new();

    if (runtime && g_path_is_absolute(runtime) && is_ours(runtime))
        g_ptr_array_add(all, g_build_filename(runtime, "pinhole", NULL));
    if (geteuid() == 0)
        g_ptr_array_add(all, g_strdup("/run/pinhole"));
    g_ptr_array_add(all, g_strdup_printf("/tmp/pinhole-%u", (unsigned)geteuid()));
    g_ptr_array_add(all, NULL);
    return (char **)g_ptr_array_free(all, FALSE);
}

/* In /tmp anybody may have been there first. */
static gboolean is_ours_alone(const char *path)
{
    struct stat status;

    return is_ours(path) && lstat(path, &status) == 0 && (status.st_mode & 077) == 0;
}

char *control_directory(GError **error)
{
    g_auto(GStrv) all = places();
    g_autofree char *shown = control_places();

    for (char **path = all; *path; path++) {
        if ((mkdir(*path, 0700) == 0 || errno == EEXIST) && is_ours_alone(*path))
            return g_strdup(*path);
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                "there is no place for a control socket: %s (expected a directory of this user's "
                "alone)",
                shown);
    return NULL;
}

char *control_places(void)
{
    g_auto(GStrv) all = places();

    return g_strjoinv(" or ", all);
}

static int by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **control_list(void)
{
    g_auto(GStrv) all = places();
    GPtrArray *found = g_ptr_array_new();

    for (char **path = all; *path; path++) {
        g_autoptr(GDir) directory = is_ours_alone(*path) ? g_dir_open(*path, 0, NULL) : NULL;
        const char *name;

        while (directory && (name = g_dir_read_name(directory))) {
            if (g_str_has_suffix(name, SUFFIX))
                g_ptr_array_add(found, g_build_filename(*path, name, NULL));
        }
    }
    g_ptr_array_sort(found, by_text);
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(found, FALSE);
}

/* ---- sockets ---- */

static gboolean fail(GError **error, const char *path, const char *what)
{
    int number = errno;

    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(number), "%s: %s: %s", path, what,
                g_strerror(number));
    return FALSE;
}

static gboolean address_of(const char *path, struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(ret_address->sun_path)) {
        errno = ENAMETOOLONG;
        return FALSE;
    }
    memcpy(ret_address->sun_path, path, strlen(path));
    return TRUE;
}

int control_connect(const char *path)
{
    struct sockaddr_un address;
    int fd, number;

    if (!address_of(path, &address))
        return -1;
    /* Not blocking: one with a full backlog is as good as one that does not answer. */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    number = errno;
    close(fd);
    errno = number;
    return -1;
}

/* What is in the way may be a dead process's, and nothing else is removed. */
static gboolean make_room(const char *path, GError **error)
{
    struct stat status;
    int fd;

    if (lstat(path, &status) < 0)
        return errno == ENOENT || fail(error, path, "cannot be looked at");
    if (!S_ISSOCK(status.st_mode)) {
        errno = ENOTSOCK;
        return fail(error, path, "something else is there");
    }
    fd = control_connect(path);
    if (fd >= 0 || errno != ECONNREFUSED) {
        if (fd >= 0)
            close(fd);
        errno = EEXIST;
        return fail(error, path, "another one that runs has this control socket");
    }
    return unlink(path) == 0 || fail(error, path, "a dead process's socket is in the way");
}

static gboolean bind_to(int fd, const char *path, GError **error)
{
    struct sockaddr_un address;
    mode_t mask;
    int result;

    if (!address_of(path, &address))
        return fail(error, path, "no name for a socket");
    mask = umask(0177);
    result = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    umask(mask);
    return (result == 0 && listen(fd, BACKLOG) == 0) || fail(error, path, "cannot listen");
}

/* flock(2) has no time limit, and whoever has it is done within milliseconds. */
static gboolean lock(int fd)
{
    gint64 end_us = g_get_monotonic_time() + LOCK_MS * G_GINT64_CONSTANT(1000);

    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || g_get_monotonic_time() > end_us)
            return FALSE;
        (void)!poll(NULL, 0, LOOK_MS);
    }
    return TRUE;
}

/* Of two that begin at the same time one comes first: the directory itself is locked. */
int control_listen(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    int directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;

    if (directory < 0 || !lock(directory)) {
        fail(error, parent, "cannot be opened and locked");
    } else if (make_room(path, error)) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
            fail(error, path, "no socket");
        } else if (!bind_to(fd, path, error)) {
            close(fd);
            fd = -1;
        }
    }
    if (directory >= 0)
        close(directory);
    return fd;
}
