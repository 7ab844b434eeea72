/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words between the lab and its switch (see switch.h). Both are of one program: plain structs.
 */
#pragma once

#include "model/world.h"

typedef enum {
    PL_SWITCH_PLUG,    /* place; a TUN device's descriptor goes with it */
    PL_SWITCH_TAKE,    /* what hosts have sent by now, as before each other order */
    PL_SWITCH_FLUSH,   /* node */
    PL_SWITCH_REBOOT,  /* node */
    PL_SWITCH_ADDRESS, /* node, address */
    PL_SWITCH_LINK,    /* place, up */
    PL_SWITCH_MOVE,    /* place, address: a host is there */
    PL_SWITCH_RESET,
    PL_SWITCH_SETTLE,
    PL_SWITCH_CONNECTIONS, /* node; PlConnections are written into the descriptor */
    PL_SWITCH_RECORD,      /* points; a file's descriptor */
    PL_SWITCH_RECORD_STOP,
    PL_SWITCH_TAP, /* points; a feed's descriptors */
} PlSwitchKind;

/* Nodes and networks are the same in both processes: pointers would do, numbers can be checked. */
typedef struct PlSwitchRequest {
    PlSwitchKind kind;
    unsigned network;
    unsigned node;       /* G_MAXUINT: a presence */
    unsigned attachment; /* of the node */
    gboolean up;
    PhAddress address;
    unsigned n_points; /* RECORD, TAP: so many pairs (node, attachment) follow; RECORD: and the
                          comment */
} PlSwitchRequest;

typedef struct PlSwitchReply {
    int failed;
    int code; /* PlErrorCode */
    char text[496];
} PlSwitchReply;

/* switch_child.c: the process's whole life. */
G_NORETURN void pl_switch_main(const PlTopology *topology, uint64_t seed, int socket);
