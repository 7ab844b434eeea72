/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A NAT's behaviour as an nftables ruleset: one string, loaded or printed. */
#pragma once

#include "topology/topology.h"

/* The names of a NAT's interfaces in its namespace. */
#define PL_RULES_INSIDE  "inside"
#define PL_RULES_OUTSIDE "outside"

/*
 * The ruleset of a NAT with these external addresses (PhAddress). For a NAT with a `rules` file it
 * is the file's text behind definitions of what the file cannot know:
 *
 *   define INSIDE = "inside"                 its two interfaces
 *   define OUTSIDE = "outside"
 *   define LAN = 192.168.1.0/24              its inside network
 *   define LAN_ADDRESS = 192.168.1.1         its own address there
 *   define WAN = 203.0.113.2                 its (first) external address
 *   define WAN_ALL = { 203.0.113.2, ... }    all of them
 *
 * and with each $SEED in it replaced by a number for jhash.
 *
 * Errors: PL_ERROR_INPUT for a `rules` file that cannot be read, PL_ERROR_UNSUPPORTED for a
 * behaviour that nftables cannot express.
 */
char *pl_rules_text(const PlTopology *topology, const PlNode *nat, const GArray *outside,
                    uint64_t seed, GError **error);

/* How many lines of a `rules` file's text are definitions. */
#define PL_RULES_DEFINES 6
