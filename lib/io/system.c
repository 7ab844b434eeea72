/* SPDX-License-Identifier: MIT */
#include "system.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sodium.h>
#include <time.h>
#include <unistd.h>

#include "sockaddr.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_S  UINT64_C(1000000000)

uint64_t ph_clock_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

uint64_t ph_clock_wall_offset(void)
{
    uint64_t wall = (uint64_t)g_get_real_time() * NS_PER_US, now = ph_clock_now();

    return wall > now ? wall - now : 0;
}

static gboolean dispatch_alarm(GSource *source, GSourceFunc wake, gpointer data)
{
    g_source_set_ready_time(source, -1);
    return wake(data);
}

GSource *ph_alarm_new(GMainContext *context, GSourceFunc wake, gpointer data)
{
    static GSourceFuncs functions = {.dispatch = dispatch_alarm};
    GSource *alarm = g_source_new(&functions, sizeof(GSource));

    g_source_set_callback(alarm, wake, data, NULL);
    g_source_attach(alarm, context);
    return alarm;
}

/* GLib's ready time is of the same clock, in microseconds: rounded up, or it would come early. */
void ph_alarm_set(GSource *alarm, uint64_t at_ns)
{
    g_source_set_ready_time(
        alarm, at_ns == UINT64_MAX ? -1 : (gint64)(at_ns / NS_PER_US + (at_ns % NS_PER_US != 0)));
}

void ph_seed_fill(uint8_t ret_seed[static PH_SEED_BYTES])
{
    /* Whoever runs a core needs a seed before: so this is where libsodium looks which of the
     * processor's instructions it may use. Without, sealing takes 1.7 times as long. */
    if (sodium_init() < 0)
        g_error("libsodium cannot be used: it found no source of randomness");
    randombytes_buf(ret_seed, PH_SEED_BYTES);
}

/* Connecting a UDP socket sends nothing: it looks up the route. */
gboolean ph_source_address(const PhAddress *remote, PhAddress *ret_address)
{
    struct sockaddr_storage name;
    socklen_t length = ph_sockaddr_from_address(remote, &name);
    int fd = socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    gboolean found;

    if (fd < 0)
        return FALSE;
    found = connect(fd, (const struct sockaddr *)&name, length) == 0;
    length = sizeof(name);
    found = found && getsockname(fd, (struct sockaddr *)&name, &length) == 0 &&
            ph_sockaddr_to_address((const struct sockaddr *)&name, length, ret_address);
    close(fd);
    if (found)
        ret_address->port = 0;
    return found;
}

size_t ph_local_addresses(PhFamily family, gboolean with_loopback, PhAddress *ret_addresses,
                          size_t size, GError **error)
{
    struct ifaddrs *list;
    size_t n = 0;

    if (getifaddrs(&list) < 0) {
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno),
                    "cannot list this host's addresses: %s", g_strerror(errno));
        return 0;
    }
    for (struct ifaddrs *i = list; i && n < size; i = i->ifa_next) {
        PhAddress address;

        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
            (!with_loopback && i->ifa_flags & IFF_LOOPBACK) ||
            !ph_sockaddr_to_address(i->ifa_addr, sizeof(struct sockaddr_storage), &address) ||
            address.family != family)
            continue;
        ret_addresses[n++] = address;
    }
    freeifaddrs(list);
    return n;
}

static gboolean is_in(const PhAddress *address, const PhAddress *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ph_address_equal_host(address, &all[i]))
            return TRUE;
    return FALSE;
}

gboolean ph_local_addresses_same(const PhAddress *a, size_t n_a, const PhAddress *b, size_t n_b)
{
    gboolean ordered = n_a > 0 && n_b > 0 && a[0].family == b[0].family;

    if (n_a != n_b)
        return FALSE;
    for (size_t i = 0; i < n_a; i++)
        if (ordered ? !ph_address_equal_host(&a[i], &b[i]) : !is_in(&a[i], b, n_b))
            return FALSE;
    return TRUE;
}
