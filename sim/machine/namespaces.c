/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes in new namespaces, and what to say when the system will not have it. */
#include "machine/namespaces.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Some container runtimes answer clone3 with ENOSYS, since their filter cannot read its argument
 * block. */
static long old_clone(unsigned long flags, int *ret_pidfd)
{
#if defined(__s390__) || defined(__s390x__)
    return syscall(SYS_clone, NULL, flags | SIGCHLD, ret_pidfd, NULL, NULL);
#else
    return syscall(SYS_clone, flags | SIGCHLD, NULL, ret_pidfd, NULL, NULL);
#endif
}

pid_t pl_namespaces_fork(unsigned flags, int *ret_pidfd)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = flags | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &args, sizeof(args));

    if (pid < 0 && errno == ENOSYS)
        pid = old_clone(flags | CLONE_PIDFD, &pidfd);
    if (pid > 0)
        *ret_pidfd = pidfd;
    return (pid_t)pid;
}

gboolean pl_namespaces_capable(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) < 0)
        return FALSE;
    return data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

/* A number from a file below /proc/sys; -1 when there is none. */
static long sysctl_number(const char *path)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return -1;
    return strtol(text, NULL, 10);
}

static gboolean seccomp_filtered(void)
{
    g_autofree char *text = NULL;

    return g_file_get_contents("/proc/self/status", &text, NULL, NULL) &&
           strstr(text, "\nSeccomp:\t2");
}

typedef struct {
    const char *path, *name;
    long off;
    const char *on;
} Switch;

/* These make ENOSPC. */
static const Switch limits[] = {
    {"/proc/sys/user/max_user_namespaces", "user.max_user_namespaces", 0, "15000"},
    {"/proc/sys/user/max_pid_namespaces", "user.max_pid_namespaces", 0, "15000"},
    {"/proc/sys/user/max_mnt_namespaces", "user.max_mnt_namespaces", 0, "15000"},
    {"/proc/sys/user/max_net_namespaces", "user.max_net_namespaces", 0, "15000"},
    {"/proc/sys/user/max_uts_namespaces", "user.max_uts_namespaces", 0, "15000"},
    {NULL, NULL, 0, NULL},
};

/* These EPERM or EACCES: Debian's of old, and Ubuntu's since 23.10. */
static const Switch permissions[] = {
    {"/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone", 0, "1"},
    {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
     "kernel.apparmor_restrict_unprivileged_userns", 1, "0"},
    {NULL, NULL, 0, NULL},
};

/* The first one that is off, in words, or NULL. */
static char *closed_switch(const Switch *s)
{
    for (; s->path; s++) {
        if (sysctl_number(s->path) == s->off)
            return g_strdup_printf("%s is %ld; allow it with `sysctl -w %s=%s` as root", s->name,
                                   s->off, s->name, s->on);
    }
    return NULL;
}

/* With a limit of 0 there will never be one; any other is reached only until something ends. */
static void set_limit_error(GError **error, const char *what, int errnum)
{
    /* Who is capable needs no user namespace, and is never refused for want of one. */
    g_autofree char *closed = closed_switch(limits + (pl_namespaces_capable() ? 1 : 0));

    g_set_error(error, PL_ERROR, closed ? PL_ERROR_UNSUPPORTED : PL_ERROR_LIMIT,
                "cannot %s (%s): %s", what, g_strerror(errnum),
                closed ? closed
                       : "a limit of this machine is reached: raise user.max_user_namespaces, "
                         "user.max_pid_namespaces, user.max_mnt_namespaces, "
                         "user.max_net_namespaces and user.max_uts_namespaces with `sysctl -w` as "
                         "root, or run fewer at a time with --jobs");
}

static char *permission_reason(void)
{
    /* An ordinary user's switches, which do not hold for root. */
    char *reason = geteuid() == 0 ? NULL : closed_switch(permissions);

    if (reason)
        return reason;
    if (seccomp_filtered())
        return g_strdup("a seccomp filter forbids it, as in most containers: start the container "
                        "with `--security-opt seccomp=unconfined --security-opt "
                        "apparmor=unconfined --security-opt systempaths=unconfined` (Docker; "
                        "Podman: unmask=ALL) or `--privileged`");
    return g_strdup("user namespaces are not permitted here (by a security module, a chroot or a "
                    "container): run as root, or permit them");
}

void pl_namespaces_error(GError **error, const char *what, int errnum)
{
    g_autofree char *reason = NULL;

    switch (errnum) {
    case ENOSPC:
    case EUSERS:
        set_limit_error(error, what, errnum);
        return;
    case EPERM:
    case EACCES:
        reason = permission_reason();
        break;
    case EINVAL:
    case ENOSYS:
        reason = g_strdup("this kernel is built without user, PID, mount or network namespaces "
                          "(CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_NET_NS), or older than 5.4");
        break;
    default:
        pl_error_set_errno(error, what, errnum);
        return;
    }
    g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED, "cannot %s (%s): %s", what,
                g_strerror(errnum), reason);
}
