/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topology: networks, and nodes attached to them. A node is a host (which may route) or a NAT
 * (which may translate nothing and only filter). Made by pl_topology_load from a file that
 * docs/topology-format.md describes, complete and consistent from then on: every address is chosen,
 * every name resolved, every rule of the format kept. Immutable.
 */
#pragma once

#include <glib.h>
#include <pinhole/address.h>

#include "topology/axes.h"

/* What goes wrong in the lab, and with it the exit status. */
#define PL_ERROR (pl_error_quark())
typedef enum {
    PL_ERROR_INPUT,       /* the user's files or arguments: exit 2 */
    PL_ERROR_UNSUPPORTED, /* this engine, kernel or machine cannot do it: a skip, by name */
    PL_ERROR_FAILED,      /* it should have worked, and did not: a failure */
    PL_ERROR_LIMIT,       /* a failure that may not come again when less runs at a time */
} PlErrorCode;
GQuark pl_error_quark(void);
/* "cannot WHAT: ...": PL_ERROR_LIMIT when `errnum` says that processes, descriptors or memory are
 * used up, else PL_ERROR_FAILED. */
void pl_error_set_errno(GError **error, const char *what, int errnum);

typedef struct PlTopology PlTopology;
typedef struct PlNetwork PlNetwork;
typedef struct PlNode PlNode;
typedef struct PlAttachment PlAttachment;

typedef struct PlPrefix {
    PhAddress address; /* the network's own address; port 0 */
    unsigned length;   /* bits; of IPv6 at least 64, or 0 */
} PlPrefix;

struct PlNetwork {
    char *name;
    unsigned index; /* in PlTopology.networks */
    PlPrefix subnet;
    PlNode *upstream;       /* the NAT whose inside this is, or NULL */
    GPtrArray *attachments; /* PlAttachment, borrowed, in file order */
    gboolean visited;       /* a step takes a host away from it, or to it */
    /*
     * Addresses that belong to the lab itself and that no node may have: the four before the last
     * one of the subnet. [0] and [1] are its two presences outside a NAT, [2] and [3] those inside
     * one.
     */
    PhAddress reserved[4];
};

typedef enum {
    PL_SIDE_HOST,
    PL_SIDE_INSIDE,
    PL_SIDE_OUTSIDE,
} PlSide;

/* Impairments of one attachment, both ways; all 0 when there is no [link]. */
typedef struct PlLink {
    uint64_t delay_ns, jitter_ns;
    unsigned loss_ppm;
    unsigned burst_packets; /* mean length of a burst of losses; 0 or 1: each by itself */
    /* Exact losses: bit i % bits of the mask says whether packet i is lost; 0 bits: no mask. */
    uint64_t loss_mask;
    unsigned loss_mask_bits;
    unsigned duplicate_ppm, reorder_ppm; /* what is reordered arrives without the delay */
    uint64_t rate_bps;
    unsigned queue_packets; /* that wait for their turn with a rate; 0: 1000 */
    unsigned mtu_bytes;     /* 0: 1500 */
} PlLink;

/* A node's interface on a network. */
struct PlAttachment {
    /* "alice" (only attachment of a host), "hub.isp-a" (one of several), "home-a.inside",
     * "home-a.outside" */
    char *label;
    PlNode *node;
    PlNetwork *network;
    PlSide side;
    GArray *addresses; /* PhAddress, at least one, port 0; on a NAT's outside these are its pool */
    PlLink link;
};

typedef enum {
    PL_READY_STARTED, /* as soon as it runs */
    PL_READY_EXIT,    /* when it has ended */
    PL_READY_LINE,    /* when a line of its output contains ready_text */
    PL_READY_UDP,     /* when it has a UDP socket bound to ready_port */
    PL_READY_TCP,     /* when it listens on TCP ready_port */
} PlReady;

/* Programs that an engine knows by a word: libpinhole's own, and what the lab tells stories with.
 */
typedef enum {
    PL_WORD_NONE, /* any other program */
    PL_WORD_HUB,
    PL_WORD_CLASSIFY,
    PL_WORD_NODE,
    PL_WORD_LISTEN,
} PlWord;

#define PL_LISTEN_PORTS_MAX 16

/* The program of a host. */
typedef struct PlProgram {
    /* NULL: the host runs nothing. Of `hub` and `classify` the word, and all that is below, as
     * arguments. */
    char **argv;
    PlWord word;
    /* With ports: a hub's own, two of a family at most; [0] is whom `classify` and `node` ask. */
    PhAddress addresses[4];
    unsigned n_addresses;
    uint16_t second_port;                /* of a hub's addresses */
    uint16_t ports[PL_LISTEN_PORTS_MAX]; /* that `listen` has, on all addresses */
    unsigned n_ports;
    const PlNode *hub;    /* of `node` */
    char *name, *connect; /* of `node`: its own; its peer's, or NULL */
    gboolean fast;        /* of `node`: a faster detector */
    gboolean relay;       /* of `node`: it relays for its peers */
    PlReady ready;
    char *ready_text;
    uint16_t ready_port;
    uint64_t time_limit_ns; /* to get ready, or to end */
} PlProgram;

typedef enum {
    PL_PROTOCOL_UDP = 17,
    PL_PROTOCOL_TCP = 6,
} PlProtocol;

/* A static port forward: outside port on every external address, to an inside host. */
typedef struct PlForward {
    PlProtocol protocol;
    uint16_t outside_port;
    PhAddress inside;
} PlForward;

typedef enum {
    PL_NODE_HOST,
    PL_NODE_NAT,
} PlNodeKind;

struct PlNode {
    PlNodeKind kind;
    char *name;
    unsigned index;         /* in PlTopology.nodes */
    GPtrArray *attachments; /* PlAttachment, owned; a NAT has inside at [0] and outside at [1] */

    /* A host. */
    gboolean routes; /* forwards between its networks */
    gboolean moves;  /* steps take it to other networks: then it is on one, with one address */
    PlProgram program;
    uint16_t probe_port; /* the local port the host is judged from; 0: any */

    /* A NAT. */
    PlBehaviour behaviour;
    GArray *forwards; /* PlForward */
    char *
        rules; /* path of an nftables file that takes the place of the behaviour's rules, or NULL */
};

typedef enum {
    PL_STEP_NAT_FLUSH,   /* nat NAME flush: all mappings are forgotten */
    PL_STEP_NAT_REBOOT,  /* nat NAME reboot: the same, and it is down for an instant */
    PL_STEP_NAT_ADDRESS, /* nat NAME address A: another external address, mappings forgotten */
    PL_STEP_LINK_DOWN,   /* link LABEL down */
    PL_STEP_LINK_UP,     /* link LABEL up */
    PL_STEP_HOST_RUN,    /* host NAME run COMMAND... (waits for its end) */
    PL_STEP_HOST_KILL,   /* host NAME kill: SIGKILL to its programs */
    PL_STEP_HOST_SEND,   /* host NAME send PORT -> HOST:PORT TEXT: one datagram */
    PL_STEP_HOST_START,  /* host NAME start: its program, again */
    PL_STEP_HOST_MOVE,   /* host NAME move PLACE [ADDRESS]: it is on another network from then on */
    PL_STEP_CONNECT,     /* host NAME connect PEER */
    PL_STEP_DISCONNECT,  /* host NAME disconnect PEER */
    PL_STEP_TELL,        /* host NAME tell PEER TEXT; of a stream there is one for each message */
} PlStepKind;

typedef struct PlStep {
    unsigned number; /* N of [step N] */
    uint64_t at_ns;  /* after the last program got ready */
    PlStepKind kind;
    PlNode *node;             /* for NAT_* and HOST_* */
    PlAttachment *attachment; /* for LINK_* */
    /* for NAT_ADDRESS; for HOST_SEND the receiver, with its port; for HOST_MOVE its own */
    PhAddress address;
    PlNetwork *network; /* for HOST_MOVE */
    PhAddress from;     /* for HOST_SEND: the host's first address, and the port */
    GByteArray *data;   /* for HOST_SEND */
    char **argv;        /* for HOST_RUN */
    PlNode *peer;       /* for CONNECT, DISCONNECT and TELL: a host that runs `node` */
    char *message;      /* for TELL */
    gsize text_length;  /* of it, without a stream's number */
    gboolean more;      /* of a stream, and not its first message */
    char *text;         /* as in the file, for reports */
} PlStep;

typedef enum {
    PL_EXPECT_AXIS,    /* NODE.AXIS = WORD */
    PL_EXPECT_EXIT,    /* HOST.exit = N: the program's exit status */
    PL_EXPECT_OUTPUT,  /* HOST.output = TEXT: some line of the program's output contains it */
    PL_EXPECT_HEARS,   /* HOST.hears = TEXT, ...: the lines of `listen`, all of them, in order */
    PL_EXPECT_UNASKED, /* HOST.unasked = 0: UDP packets from where it had sent nothing before */
    PL_EXPECT_PATH,    /* A -> B = punched */
    PL_EXPECT_HEALTH,  /* A -> B.health = suspect */
    PL_EXPECT_REASON,  /* A -> B.reason = relay: why it said that of the path or its health */
    PL_EXPECT_COUNT,   /* A -> B.lost = 0: a PlCount, within `least` and `most` */
    PL_EXPECT_COUNTER  /* A.upgrades = 1: a counter of the node's, within `least` and `most` */
} PlExpectKind;

/* What is counted, or measured, of the messages that A's steps tell B. */
typedef enum {
    PL_COUNT_HEARD,      /* different ones that B heard */
    PL_COUNT_LOST,       /* that it did not hear */
    PL_COUNT_DOUBLED,    /* that it heard again */
    PL_COUNT_DISORDERED, /* that it heard after one that was told later */
    PL_COUNT_FIRST_BYTE, /* nanoseconds from A's first packet to the first message that B heard */
    PL_COUNT_N
} PlCount;

/* A point in time: when a step was done, or so long after the last program got ready. */
typedef struct PlMoment {
    unsigned step; /* 0: none */
    uint64_t ns;
} PlMoment;

typedef enum {
    PL_WHEN_END,    /* when the run ends */
    PL_WHEN_AT,     /* at moments[0] */
    PL_WHEN_WITHIN, /* at some time from moments[0] on, after within_ns at the latest */
    PL_WHEN_FROM,   /* all the time from moments[0] to moments[1] */
} PlWhen;

typedef struct PlExpect {
    PlExpectKind kind;
    PlNode *node, *peer; /* peer: of A -> B only */
    PlAxis axis;         /* AXIS only */
    PlCount count;       /* COUNT only */
    uint64_t least, most;
    PlWhen when; /* of PATH, HEALTH and REASON */
    PlMoment moments[2];
    uint64_t within_ns;
    char *value;
    char **hears; /* HEARS only; empty: nothing */
    char *name;   /* COUNTER only */
    char *key;    /* as in the file, for reports */
} PlExpect;

struct PlTopology {
    char *name;    /* the file's name without directory and ".ini" */
    char *path;    /* as it was given */
    char *command; /* what names it on a command line in the path's place; mostly NULL */
    char *title;
    char *about; /* the paragraph that teaches; may be NULL */
    /* PlNetwork, owned: those of [network] in file order, then those that NATs bring, in theirs */
    GPtrArray *networks;
    GPtrArray *nodes;   /* PlNode, owned: in file order */
    GPtrArray *steps;   /* PlStep, owned, by (at, number); of a stream one for each message */
    GPtrArray *expects; /* PlExpect, owned, in file order */
};

/*
 * Reads and checks a file. Errors are PL_ERROR_INPUT and read "FILE: [group] key: what is wrong
 * (what was expected)". pl_topology_parse does the same with text in memory that is called `path`
 * in errors; it touches no file (but `rules` paths are taken relative to path's directory).
 */
PlTopology *pl_topology_load(const char *path, GError **error);
PlTopology *pl_topology_parse(const char *path, const char *text, gsize length, GError **error);
void pl_topology_free(PlTopology *topology);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlTopology, pl_topology_free)

/* The file that, read again, gives the same topology: canonical, complete, nothing left to a
 * default. */
char *pl_topology_print(const PlTopology *topology);

PlNode *pl_topology_node(const PlTopology *topology, const char *name);
/* The hosts that run programs, in the order in which these start: hubs first, then the others, both
 * in file order. Borrowed nodes in a new array. */
GPtrArray *pl_topology_programs(const PlTopology *topology);
PlNetwork *pl_topology_network(const PlTopology *topology, const char *name);
PlAttachment *pl_topology_attachment(const PlTopology *topology, const char *label);

/* What `listen` puts out, whatever the engine: that it is ready, and a line for each datagram,
 * "PORT from ADDRESS:PORT: TEXT", the text as pl_bytes_format has it. */
#define PL_LISTEN_READY "ready\n"
void pl_listen_line(GString *out, uint16_t port, const PhAddress *from, const void *bytes,
                    gsize length);

/* What a step of a node's is as a line that `pinhole node` reads, to be freed. */
char *pl_step_line(const PlStep *step);
/* What a `node` that connects says to its peer first, to be freed: it must not be read on the way.
 */
char *pl_node_greeting(const PlProgram *node);

/* A network has one family. */
static inline uint8_t pl_network_family(const PlNetwork *network)
{
    return network->subnet.address.family;
}
/* "IPv4" or "IPv6". */
const char *pl_family_name(uint8_t family);
/* The family that a node is judged in: that of a NAT's networks, and of a host's first one. */
static inline uint8_t pl_node_family(const PlNode *node)
{
    return pl_network_family(
        ((const PlAttachment *)g_ptr_array_index(node->attachments, 0))->network);
}

/* A NAT's two sides. */
static inline PlAttachment *pl_nat_inside(const PlNode *nat)
{
    return g_ptr_array_index(nat->attachments, 0);
}
static inline PlAttachment *pl_nat_outside(const PlNode *nat)
{
    return g_ptr_array_index(nat->attachments, 1);
}

/*
 * The NATs (firewalls among them) between a node and the outermost network of a family, innermost
 * first: borrowed nodes in a new array, empty for a host on the internet. For a NAT these are the
 * ones outside of it. pl_topology_chain is about the family that the node is judged in.
 */
GPtrArray *pl_topology_chain(const PlTopology *topology, const PlNode *node);
GPtrArray *pl_topology_chain_of(const PlTopology *topology, const PlNode *node, uint8_t family);
/* The same of whoever is on this network. */
GPtrArray *pl_topology_chain_from(const PlTopology *topology, const PlNetwork *network);
/* The external addresses of the outermost NAT of a chain that translates; NULL when none does. */
const GArray *pl_topology_external(const GPtrArray *chain);

/* Where a host's packets to the outermost network leave it: the attachment with the default route;
 * one to the outermost network itself if it has that. pl_topology_way_out_of is NULL for a family
 * that the host has no network of. */
const PlAttachment *pl_topology_way_out(const PlTopology *topology, const PlNode *host);
const PlAttachment *pl_topology_way_out_of(const PlTopology *topology, const PlNode *host,
                                           uint8_t family);

/*
 * Where a forward leads, when that is a host with nothing else between the NAT and it; else NULL:
 * nobody can stand there and say whether it arrives.
 */
const PlAttachment *pl_nat_forwarded(const PlTopology *topology, const PlNode *nat,
                                     const PlForward *forward);

/* The keys of the quirks that are set, and of the impairments but `mtu`: static strings in a new
 * array. */
GPtrArray *pl_quirks_names(const PlQuirks *quirks);
GPtrArray *pl_link_names(const PlLink *link);

/* One entry of a routing table. */
typedef struct PlRoute {
    PlPrefix destination; /* length 0 is the default route */
    PhAddress via;
} PlRoute;

/*
 * The routes a node on `network` needs to reach every other network that it should: those its zone
 * routes to (a zone is networks joined by hosts that route and NATs that do not translate), and the
 * default route towards the upstream NAT of the zone; all of the network's family. Networks `node`
 * is attached to itself are left out; node is NULL for the lab's own presence. The array of PlRoute
 * is in a fixed order and belongs to the caller.
 */
GArray *pl_topology_routes(const PlTopology *topology, const PlNetwork *network,
                           const PlNode *node);

/* The addresses that a host ever has, those of its moves last: PhAddress. */
GArray *pl_host_addresses(const PlTopology *topology, const PlNode *host);
/* Whether it is ever on a network. */
gboolean pl_host_visits(const PlTopology *topology, const PlNode *host, const PlNetwork *network);
/* The network that it is on when it comes to this step, of several the first, and its first address
 * there. NULL: in the end. */
const PlNetwork *pl_host_network_at(const PlTopology *topology, const PlNode *host,
                                    const PlStep *when);
PhAddress pl_host_address_at(const PlTopology *topology, const PlNode *host, const PlStep *when);

/* Of two members with a host among them: one cable, and nobody else ever needs to be plugged in. */
gboolean pl_network_is_cable(const PlNetwork *network);
/*
 * The longest packet that leaves an interface; `attachment` is NULL for the lab's own presence. The
 * two ends of a cable are alike: the smaller one counts. On other networks what is longer than the
 * receiver's goes nowhere.
 */
unsigned pl_network_mtu(const PlNetwork *network, const PlAttachment *attachment);
/* By network, to be freed: whether packets of this node get there by its addresses. They do in its
 * own zones, and in those that its way out leads through; nothing is seen that another NAT hides.
 */
gboolean *pl_topology_reach(const PlTopology *topology, const PlNode *node);

gboolean pl_prefix_contains(const PlPrefix *prefix, const PhAddress *address);
/* Addresses of a prefix by their distance from its own; the last one's; one that is in it. */
uint64_t pl_prefix_last(const PlPrefix *prefix);
PhAddress pl_prefix_address(const PlPrefix *prefix, uint64_t offset);
uint64_t pl_prefix_offset(const PlPrefix *prefix, const PhAddress *address);
/* "192.0.2.0/24", to be freed. */
char *pl_prefix_format(const PlPrefix *prefix);
