/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for links, by the kernel's own notifications; see carrier.h. */
#include "wiring/carrier.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "wiring/rtnl.h"

/* The link watch takes milliseconds; this long, and there is something wrong. */
#define PATIENCE_MS 5000

struct PlCarrier {
    PlSpaces *spaces;
    unsigned n;
    struct nl_sock **monitors; /* one for each space that had to be waited for */
};

PlCarrier *pl_carrier_new(PlSpaces *spaces)
{
    PlCarrier *carrier = g_new0(PlCarrier, 1);

    carrier->spaces = spaces;
    carrier->n = pl_spaces_count(spaces);
    carrier->monitors = g_new0(struct nl_sock *, carrier->n);
    return carrier;
}

void pl_carrier_free(PlCarrier *carrier)
{
    if (!carrier)
        return;
    for (unsigned i = 0; i < carrier->n; i++)
        if (carrier->monitors[i])
            nl_socket_free(carrier->monitors[i]);
    g_free(carrier->monitors);
    g_free(carrier);
}

static gboolean fail(GError **error, const char *what, int errnum)
{
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "%s does not come up: %s", what,
                g_strerror(errnum));
    return FALSE;
}

static gboolean monitor(PlCarrier *carrier, unsigned space, GError **error)
{
    if (carrier->monitors[space])
        return TRUE;
    if (!pl_spaces_enter(carrier->spaces, space, error))
        return FALSE;
    carrier->monitors[space] = pl_rtnl_open(NETLINK_ROUTE);
    if (!carrier->monitors[space] ||
        nl_socket_add_memberships(carrier->monitors[space], RTNLGRP_LINK, RTNLGRP_IPV6_ROUTE, 0) <
            0)
        return fail(error, "the monitor of links", errno);
    return TRUE;
}

/* One notification, of whatever it is; a full queue (ENOBUFS) means that there were some. */
static int await_news(struct nl_sock *sock)
{
    struct pollfd news = {.fd = nl_socket_get_fd(sock), .events = POLLIN};
    char buffer[8192];
    int n = poll(&news, 1, PATIENCE_MS);

    if (n < 0)
        return errno == EINTR ? 0 : errno;
    if (n == 0)
        return ETIMEDOUT;
    if (recv(news.fd, buffer, sizeof(buffer), MSG_DONTWAIT) < 0 && errno != EAGAIN &&
        errno != EINTR && errno != ENOBUFS)
        return errno;
    return 0;
}

/* Until an interface carries, or, without one, an address is there. */
static gboolean await(PlCarrier *carrier, unsigned space, const char *interface,
                      const PhAddress *address, GError **error)
{
    char text[PH_ADDRESS_TEXT_MAX];
    g_autofree char *what = interface ? g_strconcat("interface ", interface, NULL)
                                      : g_strdup(ph_address_format(address, text));

    for (;;) {
        struct nl_sock *sock = pl_spaces_socket(carrier->spaces, space, error);
        gboolean watched = carrier->monitors[space] != NULL, done = FALSE;
        int result;

        if (!sock)
            return FALSE;
        result = interface ? pl_rtnl_carries(sock, interface, &done)
                           : pl_rtnl_is_local(sock, address, &done);
        if (result != 0)
            return fail(error, what, result);
        if (done)
            return TRUE;
        /* What changes between the look and the monitor would be missed: one more look. */
        if (!monitor(carrier, space, error))
            return FALSE;
        if (watched && (result = await_news(carrier->monitors[space])) != 0)
            return fail(error, what, result);
    }
}

gboolean pl_carrier_await(PlCarrier *carrier, unsigned space, const char *interface, GError **error)
{
    return await(carrier, space, interface, /* address= */ NULL, error);
}

gboolean pl_carrier_await_address(PlCarrier *carrier, unsigned space, const PhAddress *address,
                                  GError **error)
{
    return address->family != PH_FAMILY_IPV6 ||
           await(carrier, space, /* interface= */ NULL, address, error);
}
