/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lab on the fabric engine consists of. Private to this room. */
#pragma once

#include "fabric/switch.h"
#include "machine/resident.h"
#include "scenario/engine.h"
#include "wiring/spaces.h"

struct PlLab {
    const PlTopology *topology;
    uint64_t seed;
    PlSpaces *spaces; /* of hosts, by PL_SPACE_OF; then one for the presence on each network */
    PlSwitch *fabric_switch;
    PlResident **residents; /* by node */
    GArray **external;      /* by node: of a NAT the addresses that it has now (PhAddress) */
    uint64_t ready_ns;      /* when the last program got ready, or the lab was */
};

/* The interface of a presence. */
#define PL_FABRIC_PRESENCE "probe"

#define PL_FABRIC_SPACES(topology)                     (PL_SPACES_OF(topology) + (topology)->networks->len)
#define PL_FABRIC_SPACE_OF_PRESENCE(topology, network) (PL_SPACES_OF(topology) + (network)->index)

/* wire.c: a host's namespace and its interfaces, plugged into the switch. */
gboolean pl_fabric_wire_host(PlLab *lab, const PlNode *host, GError **error);
/* The lab's presence on a network, unless it stands there already. */
gboolean pl_fabric_wire_presence(PlLab *lab, const PlNetwork *network, GError **error);

/* refuse.c; pure. */
void pl_fabric_refuse(const PlTopology *topology, GPtrArray *reasons);
