/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory: what a judge must find, from the behaviours in the topology alone. */
#pragma once

#include "topology/topology.h"

/*
 * What a host must find of itself through all NATs between it and the internet: class, external,
 * mapping, filtering, udp, tcp, icmp. Nothing else is set. A chain is as dependent as its most
 * dependent NAT, on each axis by itself. A NAT with rules of the user's counts as what its file
 * says it is.
 */
void pl_oracle_host(const PlTopology *topology, const PlNode *host, PlFindings *ret_findings);

/*
 * What a NAT must show from close by, on every axis that its file decides. port-allocation `random`
 * within a range of 4096 ports or fewer reads "block", since nobody can tell the two apart, and up
 * to 32768 ports "random, block". udp-timeout and inbound-refresh are set only when it is short
 * enough to be waited for (PL_ORACLE_TIMEOUT_MAX_NS), ports only when one subscriber has
 * PL_ORACLE_PORTS_MAX or fewer, pooling only with more than one external address, forwards only
 * where there are some and all lead straight to hosts, unsolicited only where it shows
 * (pl_behaviour_shows_unsolicited).
 */
void pl_oracle_nat(const PlTopology *topology, const PlNode *nat, PlFindings *ret_findings);

/*
 * The path that two hosts with peers get, if each has tried what can work at all: "direct",
 * "punched", "relayed" or "none(udp-blocked)"; a static string. NULL with a reason, to be freed,
 * where no theory knows it. It is the same in both directions.
 */
const char *pl_oracle_path(const PlTopology *topology, const PlNode *from, const PlNode *to,
                           char **ret_why);
