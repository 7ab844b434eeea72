/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What conntrack knows. */
#pragma once

#include <linux/netlink.h>

#include "scenario/engine.h"
#include "wiring/spaces.h"

/* The connections of a NAT's namespace (PlConnection), in a fixed order; `external` is what it has
   now. */
GArray *pl_conntrack_list(PlSpaces *spaces, const PlTopology *topology, const PlNode *nat,
                          const GArray *external, GError **error);

/* One entry as the kernel tells it (a message of ctnetlink); FALSE when it is none that concerns
   us. `home` (PlPrefix) is where the NAT's own side is. Pure. */
gboolean pl_conntrack_parse(const struct nlmsghdr *header, const GArray *home,
                            PlConnection *ret_connection);
