/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which ports of a network namespace are in use. Private to this room. */
#pragma once

#include "topology/topology.h"

typedef struct PlPorts {
    PlProtocol protocol;
    int files[2]; /* IPv4, IPv6; -1 when there is none */
} PlPorts;

gboolean pl_ports_open(PlPorts *ret_ports, PlProtocol protocol, int netns_fd, GError **error);
void pl_ports_close(PlPorts *ports);
/* Whether somebody listens on the TCP port, or has a UDP socket bound to it, now. */
gboolean pl_ports_used(const PlPorts *ports, uint16_t port);
