/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The registry. Whoever makes, removes or sweeps holds a lock on the directory itself, so that a
 * directory without a locked `lock` in it is a dead lab's, and never one that is being made.
 */
#include "session/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_MAX_BYTES 64
/* Whoever has the registry locked is done within milliseconds. */
#define REGISTRY_MS 10000
/* Between two looks at a lock: flock(2) has no time limit. */
#define LOOK_MS 2

struct PlClaim {
    char *name;
    int registry, directory, lock, listener;
};

gboolean pl_registry_is_name(const char *name)
{
    return g_ascii_isalnum(name[0]) && strlen(name) <= NAME_MAX_BYTES &&
           name[strspn(name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-")] == '\0';
}

/* ---- the directory ---- */

/* Its parent is there, or made by us (*ret_parent, or NULL). */
static char *registry_path(const char **ret_parent)
{
    gboolean machines = geteuid() == 0 && access("/run", W_OK) == 0;

    *ret_parent = machines ? "/run/pinlab" : NULL;
    return machines ? g_strdup("/run/pinlab/labs")
                    : g_strdup_printf("/tmp/pinlab-%u", (unsigned)geteuid());
}

static gboolean fail(GError **error, const char *what, const char *path)
{
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "cannot %s %s: %s", what, path, g_strerror(errno));
    return FALSE;
}

/* FALSE when somebody else has it for longer. */
static gboolean lock_within(int fd, int kind, unsigned limit_ms)
{
    gint64 end_us = g_get_monotonic_time() + limit_ms * G_GINT64_CONSTANT(1000);

    while (flock(fd, kind | LOCK_NB) < 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || g_get_monotonic_time() > end_us)
            return FALSE;
        (void)!poll(NULL, 0, LOOK_MS);
    }
    return TRUE;
}

/* The directory; -1 with an error, or without one when it is not there. */
static int open_registry(gboolean make, GError **error)
{
    const char *parent;
    g_autofree char *path = registry_path(&parent);
    struct stat status;
    int fd;

    if (make && ((parent && mkdir(parent, 0755) < 0 && errno != EEXIST) ||
                 (mkdir(path, 0700) < 0 && errno != EEXIST))) {
        fail(error, "make", path);
        return -1;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && !make && errno == ENOENT)
        return -1;
    if (fd < 0) {
        fail(error, "open", path);
        return -1;
    }
    /* In /tmp anybody may have been there first. */
    if (fstat(fd, &status) < 0 || status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "%s is not a directory of this user's alone (expected owner %u and mode 0700)",
                    path, (unsigned)geteuid());
        close(fd);
        return -1;
    }
    return fd;
}

/* The same, locked. */
static int lock_registry(gboolean make, GError **error)
{
    int fd = open_registry(make, error);

    if (fd < 0 || lock_within(fd, LOCK_EX, REGISTRY_MS))
        return fd;
    fail(error, "lock", "the directory of labs, which another pinlab has");
    close(fd);
    return -1;
}

/* ---- one lab's ---- */

/* In the order in which they go: a directory that still has its lock can be swept once more. */
static void remove_lab(int registry, const char *name)
{
    int directory = openat(registry, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (directory < 0)
        return;
    unlinkat(directory, "info", 0);
    unlinkat(directory, "info.new", 0);
    unlinkat(directory, "control", 0);
    unlinkat(directory, "lock", 0);
    close(directory);
    unlinkat(registry, name, AT_REMOVEDIR);
}

static gboolean is_dead(int registry, const char *name)
{
    g_autofree char *path = g_build_filename(name, "lock", NULL);
    int lock = openat(registry, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    gboolean dead;

    if (lock < 0)
        return errno == ENOENT;
    /* Shared, as is that of whoever waits for its end. */
    dead = flock(lock, LOCK_SH | LOCK_NB) == 0;
    close(lock);
    return dead;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Removes what is dead; the names of the others. */
static GPtrArray *sweep(int registry)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", registry);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (!pl_registry_is_name(name))
            continue;
        if (is_dead(registry, name))
            remove_lab(registry, name);
        else
            g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, by_name);
    return names;
}

/* A path that is short enough for a socket's, whatever the directory is called. */
static socklen_t socket_address(int directory, struct sockaddr_un *ret_address)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    g_snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "/proc/self/fd/%d/control",
               directory);
    return sizeof(*ret_address);
}

static gboolean fill(PlClaim *claim, GError **error)
{
    struct sockaddr_un address;
    socklen_t length;

    if (mkdirat(claim->registry, claim->name, 0700) < 0) {
        if (errno != EEXIST)
            return fail(error, "make a directory for lab", claim->name);
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "there is a lab %s already (expected another --name, or `pinlab down %s` "
                    "before)",
                    claim->name, claim->name);
        return FALSE;
    }
    claim->directory =
        openat(claim->registry, claim->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (claim->directory < 0)
        return fail(error, "open the directory of lab", claim->name);
    /* What cleans /tmp of old files passes over a directory that is locked (tmpfiles.d(5)). */
    flock(claim->directory, LOCK_SH | LOCK_NB);
    claim->lock = openat(claim->directory, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (claim->lock < 0 || flock(claim->lock, LOCK_EX | LOCK_NB) < 0)
        return fail(error, "lock lab", claim->name);
    claim->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    length = socket_address(claim->directory, &address);
    if (claim->listener < 0 || bind(claim->listener, (struct sockaddr *)&address, length) < 0 ||
        listen(claim->listener, 64) < 0)
        return fail(error, "make a socket for lab", claim->name);
    return TRUE;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

PlClaim *pl_claim_new(const char *name, GError **error)
{
    PlClaim *claim;
    int registry;

    if (!pl_registry_is_name(name)) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "a lab cannot be called \"%s\" (expected --name with letters, digits, \".\", "
                    "\"_\" and \"-\", at most %d, the first a letter or digit)",
                    name, NAME_MAX_BYTES);
        return NULL;
    }
    registry = lock_registry(TRUE, error);
    if (registry < 0)
        return NULL;
    g_ptr_array_unref(sweep(registry));
    claim = g_new0(PlClaim, 1);
    claim->name = g_strdup(name);
    claim->registry = registry;
    claim->directory = claim->lock = claim->listener = -1;
    if (fill(claim, error)) {
        flock(registry, LOCK_UN);
        return claim;
    }
    if (claim->directory >= 0)
        remove_lab(registry, name);
    close_fd(claim->directory);
    close_fd(claim->lock);
    close_fd(claim->listener);
    close(registry);
    g_free(claim->name);
    g_free(claim);
    return NULL;
}

int pl_claim_listener(const PlClaim *claim)
{
    return claim->listener;
}

gboolean pl_claim_publish(PlClaim *claim, const char *info, GError **error)
{
    size_t length = strlen(info);
    int fd = openat(claim->directory, "info.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    gboolean ok = fd >= 0 && write(fd, info, length) == (ssize_t)length &&
                  renameat(claim->directory, "info.new", claim->directory, "info") == 0;

    if (!ok)
        fail(error, "write what is known of lab", claim->name);
    close_fd(fd);
    return ok;
}

void pl_claim_free(PlClaim *claim)
{
    if (!claim)
        return;
    lock_within(claim->registry, LOCK_EX, REGISTRY_MS);
    remove_lab(claim->registry, claim->name);
    close_fd(claim->listener);
    close_fd(claim->directory);
    close_fd(claim->lock);
    close_fd(claim->registry);
    g_free(claim->name);
    g_free(claim);
}

/* ---- for others ---- */

GPtrArray *pl_registry_list(GError **error)
{
    g_autoptr(GError) local = NULL;
    int registry = lock_registry(FALSE, &local);
    GPtrArray *names;

    if (local) {
        g_propagate_error(error, g_steal_pointer(&local));
        return NULL;
    }
    if (registry < 0)
        return g_ptr_array_new_with_free_func(g_free);
    names = sweep(registry);
    close(registry);
    return names;
}

/* A lab's directory; -1 when there is none. Whether it lives is not looked at. */
static int open_lab(const char *name)
{
    int registry = pl_registry_is_name(name) ? open_registry(FALSE, NULL) : -1, directory;

    if (registry < 0)
        return -1;
    directory = openat(registry, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close(registry);
    return directory;
}

char *pl_registry_info(const char *name)
{
    int directory = open_lab(name);
    g_autofree char *path = NULL;
    char *text = NULL;

    if (directory < 0)
        return NULL;
    path = g_strdup_printf("/proc/self/fd/%d/info", directory);
    g_file_get_contents(path, &text, NULL, NULL);
    close(directory);
    return text;
}

static void no_lab(GError **error, const char *name, const GPtrArray *names)
{
    g_autoptr(GString) list = g_string_new(NULL);

    for (unsigned i = 0; i < names->len; i++)
        g_string_append_printf(list, "%s%s", i ? ", " : "",
                               (const char *)g_ptr_array_index(names, i));
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "there is no lab %s (%s%s)", name,
                names->len ? "there are: " : "none stands; pinlab up makes one", list->str);
}

int pl_registry_connect(const char *name, int *ret_lock, GError **error)
{
    g_autoptr(GPtrArray) names = pl_registry_list(error);
    struct sockaddr_un address;
    socklen_t length;
    int directory, fd, lock;

    if (!names)
        return -1;
    if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL)) {
        no_lab(error, name, names);
        return -1;
    }
    directory = open_lab(name);
    length = socket_address(directory, &address);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    lock = directory < 0 ? -1 : openat(directory, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (lock < 0 || fd < 0 || connect(fd, (struct sockaddr *)&address, length) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "lab %s is gone", name);
        close_fd(fd);
        fd = -1;
    }
    close_fd(directory);
    if (ret_lock && fd >= 0)
        *ret_lock = lock;
    else
        close_fd(lock);
    return fd;
}

gboolean pl_registry_await_end(int lock, unsigned limit_ms)
{
    gboolean ended = lock_within(lock, LOCK_SH, limit_ms);
    /* What it could not remove itself. */
    GPtrArray *names = pl_registry_list(NULL);

    if (names)
        g_ptr_array_unref(names);
    return ended;
}
