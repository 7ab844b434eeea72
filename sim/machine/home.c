/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a host sees of the file system: the machine's, with an own /tmp and /run, both parts of one
 * tmpfs, and with files from that tmpfs in the place of /etc/hosts and /etc/resolv.conf.
 *
 * The tmpfs is mounted on /tmp to begin with, as a place that is always there; in the end its part
 * for /tmp covers it.
 */
#include "machine/home.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

#define STAGE "/tmp"

/* A lab has no name server; with no line at all the C library would ask one on this host. */
static const char resolv_conf[] = "# Nobody answers names in this lab; see /etc/hosts.\n"
                                  "options timeout:1 attempts:1\n";

/* A directory or file that must still be there at its own path once /tmp and /run are covered. */
typedef struct {
    char *path;
    int tree;
    gboolean is_directory;
} Kept;

static gboolean fail(GError **error, const char *what, const char *path)
{
    int failed = errno;

    g_set_error(error, PL_ERROR,
                failed == EPERM || failed == EACCES || failed == ENOSYS ? PL_ERROR_UNSUPPORTED
                                                                        : PL_ERROR_FAILED,
                "cannot %s %s: %s", what, path, g_strerror(failed));
    return FALSE;
}

/* The directory that will cover a path, and its place in the stage; NULL when none will. */
static const char *covered(const char *path)
{
    static const char *const tops[] = {"/tmp", "/run"};

    for (size_t i = 0; i < G_N_ELEMENTS(tops); i++) {
        size_t n = strlen(tops[i]);

        if (strncmp(path, tops[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
            return tops[i];
    }
    return NULL;
}

static void kept_clear(gpointer data)
{
    Kept *kept = data;

    close(kept->tree);
    g_free(kept->path);
}

static gboolean keep_path(GArray *all, const char *path, GError **error)
{
    Kept kept = {.tree = -1};
    struct stat status;

    if (!covered(path))
        return TRUE;
    kept.tree =
        (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC);
    if (kept.tree < 0 || fstat(kept.tree, &status) < 0)
        return fail(error, "keep hold of", path);
    kept.is_directory = S_ISDIR(status.st_mode);
    kept.path = g_strdup(path);
    g_array_append_val(all, kept);
    return TRUE;
}

/* By its real path, too, which may be below /tmp where the other one is not. */
static gboolean keep(GArray *all, const char *path, GError **error)
{
    char *real = realpath(path, NULL);
    gboolean ok;

    if (!real)
        return fail(error, "find", path);
    ok = keep_path(all, real, error) && (strcmp(real, path) == 0 || keep_path(all, path, error));
    free(real);
    return ok;
}

/* Something to mount on, of the same kind. */
static gboolean make_place(const Kept *kept)
{
    g_autofree char *parent = g_path_get_dirname(kept->path);
    int fd;

    if (kept->is_directory)
        return g_mkdir_with_parents(kept->path, 0755) == 0;
    if (g_mkdir_with_parents(parent, 0755) < 0)
        return FALSE;
    fd = open(kept->path, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static gboolean put_back(const GArray *all, GError **error)
{
    for (guint i = 0; i < all->len; i++) {
        const Kept *kept = &g_array_index(all, Kept, i);

        /* A directory may have brought it along. */
        if (!kept->is_directory && access(kept->path, F_OK) == 0)
            continue;
        if (!make_place(kept) || syscall(SYS_move_mount, kept->tree, "", AT_FDCWD, kept->path,
                                         MOVE_MOUNT_F_EMPTY_PATH) < 0)
            return fail(error, "show a host", kept->path);
    }
    return TRUE;
}

static gboolean write_text(const char *path, const char *text, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);

    if (g_mkdir_with_parents(parent, 0755) < 0)
        return fail(error, "make", parent);
    return g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, error);
}

/* Where a file of /etc really lies: it may be a link into /run, even one that points nowhere. */
static char *real_place(const char *path)
{
    char *real = realpath(path, NULL), target[PATH_MAX];
    ssize_t n;

    if (real) {
        char *copy = g_strdup(real);

        free(real);
        return copy;
    }
    n = readlink(path, target, sizeof(target) - 1);
    if (n < 0)
        return NULL;
    target[n] = '\0';
    return g_canonicalize_filename(target, "/etc");
}

/* A text in the place of a file of /etc, before /tmp and /run are covered. */
static gboolean replace(const char *path, const char *text, gboolean needed, GError **error)
{
    g_autofree char *place = real_place(path);
    g_autofree char *source = NULL;

    if (place && covered(place)) {
        source = g_strconcat(STAGE, place, NULL);
        return write_text(source, text, error);
    }
    if (!place || access(place, F_OK) < 0) {
        if (needed)
            g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED,
                        "this machine has no %s to put the lab's in the place of", path);
        return !needed;
    }
    source = g_strconcat(STAGE, path, NULL);
    if (!write_text(source, text, error))
        return FALSE;
    return mount(source, place, NULL, MS_BIND, NULL) == 0 || fail(error, "replace", place);
}

static gboolean cover(const char *top, GError **error)
{
    g_autofree char *source = g_strconcat(STAGE, top, NULL);

    if (access(top, F_OK) < 0)
        return TRUE;
    return mount(source, top, NULL, MS_BIND, NULL) == 0 || fail(error, "cover", top);
}

static gboolean make_stage(GError **error)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail(error, "make private", "/");
    if (mount("pinlab", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
        return fail(error, "mount a tmpfs on", STAGE);
    if (mkdir(STAGE "/tmp", 0755) < 0 || chmod(STAGE "/tmp", 01777) < 0 ||
        mkdir(STAGE "/run", 0755) < 0)
        return fail(error, "make directories in", STAGE);
    return TRUE;
}

/* What these show belongs to a namespace. Where it is not allowed the machine's stay. */
static void mount_views(void)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (mount("sysfs", "/sys", "sysfs", flags, NULL) < 0)
        (void)!mount("sysfs", "/sys", "sysfs", flags | MS_RDONLY, NULL);
    (void)!mount("proc", "/proc", "proc", flags, NULL);
}

static gboolean build(const char *hosts, const GArray *kept, GError **error)
{
    if (!make_stage(error))
        return FALSE;
    if (!replace("/etc/hosts", hosts, /* needed= */ TRUE, error) ||
        !replace("/etc/resolv.conf", resolv_conf, /* needed= */ FALSE, error))
        return FALSE;
    /* /tmp last: it covers the stage. */
    return cover("/run", error) && cover("/tmp", error) && put_back(kept, error);
}

gboolean pl_home_build(const char *name, const char *hosts, const char *directory,
                       char *const *shown, GError **error)
{
    g_autoptr(GArray) kept = g_array_new(FALSE, FALSE, sizeof(Kept));

    g_array_set_clear_func(kept, kept_clear);
    if (!keep(kept, directory, error))
        return FALSE;
    for (; shown && *shown; shown++)
        if (!keep(kept, *shown, error))
            return FALSE;
    /* Linux takes 64 bytes. */
    if (sethostname(name, MIN(strlen(name), 64)) < 0)
        return fail(error, "set the host name", name);
    if (!build(hosts, kept, error))
        return FALSE;
    mount_views();
    return chdir(directory) == 0 || fail(error, "enter", directory);
}
