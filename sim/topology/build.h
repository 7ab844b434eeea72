/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to this room: a topology while it is made from a file, one source file a stage:
 *
 *   parse.c      the groups, their names and keys; networks and nodes
 *   attach.c     who is on which network
 *   prefix.c     subnets, and the addresses in them
 *   graph.c      nobody is cut off, nothing goes in circles, nothing overlaps
 *   story.c      links and steps
 *   send.c       what steps send
 *   move.c       where steps take hosts
 *   talk.c       what nodes tell each other in steps
 *   expect.c     expectations
 *   expect_node.c  those of nodes and of what they tell each other; and when they are to come true
 *   addresses.c  who has which address
 *   behaviour.c  what the NATs do
 *   quirks.c     what they get wrong
 *   link.c       what the links do
 *   program.c    what the hosts run
 *   identity.c   the keys that they have
 */
#pragma once

#include "topology/ini.h"
#include "topology/topology.h"

#define PL_NODES_MAX          200
#define PL_NETWORKS_MAX       200
#define PL_HOST_NETWORKS_MAX  16
#define PL_NODE_ADDRESSES_MAX 256
#define PL_FORWARDS_MAX       64
#define PL_STEPS_MAX          1000
#define PL_NAME_MAX           32

/* topology.c */
PlTopology *pl_topology_new(const char *path);
PlNetwork *pl_topology_add_network(PlTopology *topology, const char *name, PlPrefix subnet);
PlNode *pl_topology_add_node(PlTopology *topology, PlNodeKind kind, const char *name);
PlAttachment *pl_topology_attach(PlNode *node, PlNetwork *network, PlSide side);

/* The group that a node comes from, such as "nat home-a"; to be freed. */
char *pl_build_group(const PlNode *node);

/* The stages. Each fails with PL_ERROR_INPUT. */
gboolean pl_build_attach(PlTopology *topology, const PlIni *ini, GError **error);
gboolean pl_build_graph(const PlTopology *topology, const PlIni *ini, GError **error);
gboolean pl_build_links(PlTopology *topology, const PlIni *ini, GError **error);
gboolean pl_build_steps(PlTopology *topology, const PlIni *ini, GError **error);
/* What steps send, which depends on addresses. */
gboolean pl_build_sends(PlTopology *topology, const PlIni *ini, GError **error);
/* What nodes do in steps: `connect`, `disconnect`, `tell` and `stream`. `rest` is what stands
 * behind the word. */
gboolean pl_build_is_talk(const char *what);
gboolean pl_build_talk(PlTopology *topology, const PlIni *ini, const char *group, PlStep *step,
                       const char *what, const char *rest, GError **error);
/* Where steps take hosts; then, when all nodes have theirs, the addresses that they have there. */
gboolean pl_build_move(PlTopology *topology, const PlIni *ini, const char *group, PlStep *step,
                       const char *rest, GError **error);
gboolean pl_build_move_addresses(PlTopology *topology, const PlIni *ini, GError **error);
/* The lowest address of a network that nobody ever has; fails when there is none. */
gboolean pl_build_lowest(const PlTopology *topology, const PlIni *ini, const PlNetwork *network,
                         const char *group, PhAddress *ret_address, GError **error);
gboolean pl_build_expects(PlTopology *topology, const PlIni *ini, GError **error);
gboolean pl_build_addresses(PlTopology *topology, const PlIni *ini, GError **error);
/* Takes the time off the end of an expectation's key, and leaves the subject, to be freed; NULL: it
 * makes no sense. */
char *pl_build_when(const PlTopology *topology, const PlIni *ini, const char *key, PlExpect *expect,
                    GError **error);
/* What is expected of a pair (`what` stands behind the dot), and of a counter. */
gboolean pl_build_expect_pair(const PlIni *ini, const char *key, PlExpect *expect, const char *what,
                              GError **error);
gboolean pl_build_expect_unasked(const PlIni *ini, const char *key, PlExpect *expect,
                                 GError **error);
gboolean pl_build_expect_counter(const PlIni *ini, const char *key, PlExpect *expect,
                                 GError **error);
/* Fails unless a node can give this reason. */
gboolean pl_build_reason(const PlIni *ini, const char *key, const char *reason, GError **error);
/* The counters that nodes have, one by one; NULL beyond the last one. */
const char *pl_build_counter(uint32_t index);
/* What libpinhole's own programs are to do, which depends on addresses. */
gboolean pl_build_words(PlTopology *topology, const PlIni *ini, GError **error);
/* What one host runs. */
gboolean pl_build_program(PlNode *host, const PlIni *ini, GError **error);
/* program_node.c */
gboolean pl_build_node(PlTopology *topology, PlNode *host, const PlIni *ini, const char *group,
                       GError **error);
/* The value of the option that *argument is, "--name VALUE" or "--name=VALUE", and *argument moved
 * on behind it; NULL when it is not that option. */
const char *pl_build_option(char ***argument, const char *name);
/* The first one that a hub has of that family; NULL: none. */
const PhAddress *pl_build_address_of(const PlProgram *program, uint8_t family);
/* The first host that is a hub and has addresses of that family; NULL: none. */
const PlNode *pl_build_first_hub(const PlTopology *topology, uint8_t family);
/* The axes of one NAT. */
gboolean pl_build_behaviour(PlNode *nat, const PlIni *ini, GError **error);
/* Its quirks, and which of them go with the axes. */
gboolean pl_build_quirks(PlBehaviour *behaviour, const PlIni *ini, const char *group,
                         GError **error);
gboolean pl_build_link(const PlIni *ini, const char *group, PlLink *link, GError **error);

/* The part of pl_topology_print that is a quirk's or a link's. */
void pl_print_quirks(GString *out, const PlQuirks *quirks);
void pl_print_link(GString *out, const PlAttachment *attachment);

/* What depends on addresses: pools, blocks, forwards. */
gboolean pl_build_nats(PlTopology *topology, const PlIni *ini, GError **error);

/* The next word of *text, which moves on behind it and the space there; "" at the end. To be freed.
 */
char *pl_build_word(const char **text);
/* Whether the node has this address, whatever its port. */
gboolean pl_build_is_own(const PlNode *node, const PhAddress *address);
/* Reads an address without a port, as `key` has it; fails otherwise. */
gboolean pl_build_read_address(const PlIni *ini, const char *group, const char *key,
                               const char *text, PhAddress *ret_address, GError **error);
/* Reads "192.168.1.0/24" or "2001:db8:1::/64". */
gboolean pl_build_read_prefix(const PlIni *ini, const char *group, const char *key,
                              const char *text, PlPrefix *ret_prefix, GError **error);
/* Fails unless a node may have this address on this network (it may be somebody else's). */
gboolean pl_build_usable(const PlNetwork *network, const PlIni *ini, const char *group,
                         const char *key, const PhAddress *address, GError **error);
/* `there is no host "x" (expected the name of ...; did you mean "y"?)` */
gboolean pl_build_no_node(const PlTopology *topology, const PlIni *ini, const char *group,
                          const char *key, const char *what, gboolean hosts, gboolean nats,
                          const char *name, GError **error);

/*
 * How networks hang together. A segment is networks joined by hosts that route; a NAT or firewall
 * leads from one segment to the next one outwards. A zone is segments joined by firewalls.
 */
typedef struct PlGraph {
    unsigned n;
    unsigned *segment; /* by network: the lowest network of its segment */
    unsigned *zone;    /* by network: the lowest network of its zone */
    PlNode **up;       /* by network: the NAT or firewall that leads out of its segment, or NULL */
} PlGraph;

void pl_graph_init(PlGraph *graph, const PlTopology *topology);
void pl_graph_clear(PlGraph *graph);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PlGraph, pl_graph_clear)
