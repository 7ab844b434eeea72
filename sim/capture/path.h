/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evidence of paths: how two hosts' packets reached each other, from what passed before each of the
 * two, by IP and UDP headers and by payloads being the same. No NAT changes a payload, and a relay
 * that carries what it cannot read puts it into packets of its own.
 */
#pragma once

#include "capture/pcapng.h"

/* One of the two, at the interface where its packets are seen with its own addresses. */
typedef struct PlPathEnd {
    const char *interface;   /* its name in the capture */
    const GArray *addresses; /* PhAddress */
    const char *beside;      /* where those of the other family are seen; NULL: it has none */
} PlPathEnd;

/* Who could carry packets between them. */
typedef struct PlPathRelay {
    const char *name;
    const GArray *addresses; /* PhAddress */
} PlPathRelay;

typedef struct PlPathQuery {
    PlPathEnd ends[2];
    const PlPathRelay *relays;
    guint n_relays;
    gboolean same_length; /* these relays neither add to a packet nor take away from it */
} PlPathQuery;

typedef enum {
    PL_PATH_NOTHING,  /* no packet of the one reached the other */
    PL_PATH_STRAIGHT, /* in both directions, and so it was to the end */
    PL_PATH_RELAYED,  /* in both directions, by packets to and from a relay */
} PlPathSeen;

typedef struct PlPathEvidence {
    PlPathSeen seen;
    /* A packet of the other's was let in although nothing had been sent to its address: it could
     * simply be dialled. */
    gboolean dialled;
    gboolean own;             /* STRAIGHT: each came from the other's own address */
    const PlPathRelay *relay; /* RELAYED: which */
    guint straight[2];        /* packets of ends[i] that arrived at the other as they were sent */
} PlPathEvidence;

/* FALSE when the capture has no such interface. */
gboolean pl_path_judge(const PlCapture *capture, const PlPathQuery *query,
                       PlPathEvidence *ret_evidence, GError **error);

/* Packets of the two that came to these addresses (PhAddress) of somebody else, at `interface`. */
gboolean pl_path_third_party(const PlCapture *capture, const PlPathQuery *query,
                             const PlPathEnd *third, guint *ret_packets, GError **error);

/* Packets that came to a host from an address to which it had sent nothing before, whoever it was
 * that sent them; *ret_first: where the first came from. */
gboolean pl_path_unasked(const PlCapture *capture, const PlPathEnd *host, guint *ret_packets,
                         PhAddress *ret_first, GError **error);

/* Whether a UDP payload has this text in it, anywhere in the capture. */
gboolean pl_path_plaintext(const PlCapture *capture, const char *text);
