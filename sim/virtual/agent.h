/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program of a host, as a protocol core: bytes and time go in, actions come out. A new one is a
 * file with a PlAgentClass, and a line in programs.c.
 */
#pragma once

#include <pinhole/node.h>
#include <pinhole/path.h>
#include <pinhole/station.h>

#include "topology/topology.h"

typedef enum {
    PL_AGENT_NOTHING, /* wait for a datagram or the timeout */
    PL_AGENT_OPEN,    /* a UDP socket: `socket`, bound to `address` (port 0: any free one) */
    PL_AGENT_CLOSE,   /* `socket` */
    PL_AGENT_SEND,    /* a datagram: `socket`, `address`, bytes, ttl */
    PL_AGENT_PRINT,   /* text (`bytes`) for standard output */
    PL_AGENT_END,     /* the program ends, with `exit_status`; nothing is asked of it any more */
} PlAgentActionKind;

/* The bytes are the agent's, and stay until its next call. */
typedef struct PlAgentAction {
    PlAgentActionKind kind;
    uint32_t socket;
    PhAddress address;
    const uint8_t *bytes;
    size_t length;
    uint8_t ttl; /* 0: the usual one */
    int exit_status;
} PlAgentAction;

typedef struct PlAgentStart {
    const PlNode *host;
    uint64_t run_seed; /* keys follow from that (topology/identity.h) */
    uint64_t seed;     /* the program's own, another one each time it starts */
    uint64_t now;
    PhRecordKind record;    /* of a node */
    const PhAddress *moved; /* the host's only address; NULL: it has those of the file */
} PlAgentStart;

typedef struct PlAgentClass {
    PlWord word;
    /* An agent for this host, whose program it is. NULL with an error when the core refuses. */
    gpointer (*new)(const PlAgentStart *start, GError **error);
    void (*free)(gpointer agent);
    /* The next thing to do; called until it says NOTHING or END, after every other call. */
    void (*poll)(gpointer agent, PlAgentAction *ret_action);
    /* `local` is what it is bound to; NULL: it could not be opened. Before the next poll. */
    void (*opened)(gpointer agent, uint32_t socket, const PhAddress *local, uint64_t now);
    void (*datagram)(gpointer agent, const PhPath *path, const uint8_t *bytes, size_t length,
                     uint64_t now);
    void (*unreachable)(gpointer agent, const PhPath *path, uint64_t now); /* may be NULL */
    uint64_t (*next_timeout)(gpointer agent);                              /* UINT64_MAX: never */
    void (*timeout)(gpointer agent, uint64_t now);
    /* A line on its standard input; NULL: such programs read nothing. */
    void (*line)(gpointer agent, const char *line, uint64_t now);
    /* The host is on another network, and this is its only address; NULL: such programs do not
     * look. */
    void (*moved)(gpointer agent, const PhAddress *address, uint64_t now);
    /* What it found out of its NAT, once it has ended; NULL: such programs find nothing out. */
    void (*claims)(gpointer agent, PlFindings *ret_claims);
} PlAgentClass;

extern const PlAgentClass pl_hub_agent, pl_classify_agent, pl_listen_agent, pl_node_agent;

/* The cores of a node and of a hub: who drives them itself pumps their seats afterwards (lab.h). */
PhNode *pl_node_agent_core(gpointer agent);
/* Why a node's peer of this name was lost, or not found, last: a static word; NULL: it is there, or
 * was never looked for. */
const char *pl_node_agent_gone(gpointer agent, const char *name);
/* Whether it has found that nothing gets out. */
gboolean pl_node_agent_is_blocked(gpointer agent);
PhStation *pl_hub_agent_station(gpointer agent);
/* All that a node has recorded so far, the agent's; empty when it does not. */
const GByteArray *pl_node_agent_recording(gpointer agent);

/* A seed for a core of libpinhole. */
void pl_agent_seed(uint64_t seed, uint8_t ret_bytes[static PH_SEED_BYTES]);
