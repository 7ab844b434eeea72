/* SPDX-License-Identifier: MIT */
/* A hub on loopback, for tests of what asks one: all of 127/8 is there. */
#pragma once

#include <pinhole/hub.h>

/* A port that was free just now; while *ret_taken is open nobody else gets it. */
static G_GNUC_UNUSED uint16_t free_port(GSocket **ret_taken)
{
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new_from_string("127.0.0.1", 0);
    g_autoptr(GSocketAddress) bound = NULL;

    g_assert_true(g_socket_bind(socket, any, FALSE, NULL));
    bound = g_socket_get_local_address(socket, NULL);
    if (ret_taken)
        *ret_taken = g_steal_pointer(&socket);
    return g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
}

/* At 127.0.0.1 and the next ones, on two ports each; with a station when there is a key. */
static G_GNUC_UNUSED PhHub *start_keyed_hub(size_t hosts, const PhKey *key, uint16_t *ret_port)
{
    PhHubConfig config = {.n_hosts = hosts, .key = key};

    for (uint32_t i = 0; i < hosts; i++)
        config.hosts[i] = ph_address_ipv4(0x7f000001 + i, 0);
    for (unsigned attempt = 0; attempt < 20; attempt++) { /* others want free ports, too */
        PhHub *hub;

        config.ports[0] = free_port(NULL);
        config.ports[1] = free_port(NULL);
        hub = config.ports[0] == config.ports[1] ? NULL : ph_hub_new(NULL, &config, NULL);
        if (hub) {
            *ret_port = config.ports[0];
            return hub;
        }
    }
    g_assert_not_reached();
}

static G_GNUC_UNUSED PhHub *start_hub(size_t hosts, uint16_t *ret_port)
{
    return start_keyed_hub(hosts, NULL, ret_port);
}
