/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What conntrack knows. */
#pragma once

#include <linux/netlink.h>

#include "scenario/engine.h"
#include "wiring/spaces.h"

/* The connections of a NAT's namespace (PlConnection), in a fixed order. */
GArray *pl_conntrack_list(PlSpaces *spaces, const PlNode *nat, GError **error);

/* One entry as the kernel tells it (a message of ctnetlink); FALSE when it is none that concerns
   us. Pure. */
gboolean pl_conntrack_parse(const struct nlmsghdr *header, PlConnection *ret_connection);
