/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TUN devices (Linux, Documentation/networking/tuntap.rst); see tun.h. */
#include "wiring/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEVICE "/dev/net/tun"

static int unsupported(int errnum, const char *hint, GError **error)
{
    g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED, "cannot use " DEVICE " (%s): %s",
                g_strerror(errnum), hint);
    return -1;
}

static int open_device(GError **error)
{
    int fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0)
        return fd;
    if (errno == EACCES)
        return unsupported(errno, "permit it with `chmod 0666 " DEVICE "` as root", error);
    /* Rules for devices answer with EPERM. */
    if (errno == EPERM || errno == ENOENT)
        return unsupported(errno,
                           "a container gets it with --device " DEVICE
                           ", a machine with `modprobe tun` as root",
                           error);
    if (errno == ENODEV || errno == ENXIO)
        return unsupported(errno, "this kernel has no TUN devices (CONFIG_TUN)", error);
    pl_error_set_errno(error, "open " DEVICE, errno);
    return -1;
}

static int set_mtu(const char *interface, unsigned mtu_bytes)
{
    struct ifreq request = {.ifr_mtu = (int)mtu_bytes};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result = 0;

    if (fd < 0)
        return errno;
    g_strlcpy(request.ifr_name, interface, sizeof(request.ifr_name));
    if (ioctl(fd, SIOCSIFMTU, &request) < 0)
        result = errno;
    close(fd);
    return result;
}

int pl_tun_open(PlSpaces *spaces, unsigned space, const char *interface, unsigned mtu_bytes,
                GError **error)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd, errnum;

    if (!pl_spaces_enter(spaces, space, error))
        return -1;
    fd = open_device(error);
    if (fd < 0)
        return -1;
    g_strlcpy(request.ifr_name, interface, sizeof(request.ifr_name));
    /* Else the end of each descriptor's process would wait for the device to be unregistered. */
    if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETPERSIST, 1) < 0)
        errnum = errno;
    else
        errnum = set_mtu(interface, mtu_bytes);
    if (errnum == 0)
        return fd;
    close(fd);
    if (errnum == EPERM)
        return unsupported(errnum, "we may not make network interfaces here", error);
    /* Some containers put another device in its place. */
    if (errnum == ENOTTY)
        return unsupported(errnum, "it is no TUN device", error);
    pl_error_set_errno(error, "make a TUN device", errnum);
    return -1;
}
