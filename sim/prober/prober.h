/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The prober: finds out how whatever lies between an inside and an outside place behaves, by
 * sending packets between sockets that it has on both sides. It shares nothing with libpinhole, and
 * is pure: packets and time in, actions out. Whoever drives it (an engine) opens real or virtual
 * sockets for it, and needs no idea of what the probes mean.
 *
 * Since it sees both ends, it never guesses from silence: a packet that was to be filtered is
 * followed, on the same way, by one that must arrive (the control); only when that came, and a
 * grace period has passed, is the first one missing.
 */
#pragma once

#include <glib.h>
#include <pinhole/address.h>

#include "topology/topology.h"

typedef enum {
    PL_PROBE_PLACE_INSIDE,
    PL_PROBE_PLACE_OUTSIDE,
} PlProbePlace;

typedef struct PlProbePlan {
    PhAddress inside[2]; /* the inside place's addresses; [1].family is NONE when it has one only */
    PhAddress outside[2]; /* the outside place's two addresses */
    /*
     * The NAT this is about: its claims choose the tests. NULL for a host's whole way out: mapping,
     * filtering, external, udp, tcp, icmp and class only.
     */
    const PlNode *nat;
    /* Only the NAT's static forwards to inside[0], and nothing else: the axis `forwards` alone. */
    gboolean forwards_only;
    gboolean translated;  /* FALSE when no NAT on the way translates */
    uint16_t inside_port; /* the local port for the mapping test; 0: from the seed */
    /*
     * The second of the two ports that each outside address is contacted at; 0: from the seed.
     * Hosts with one inside port compete for it behind a NAT that preserves ports if they have this
     * one in common. They must not have the first in common as well: Linux keeps to another
     * external port once it had to choose one.
     */
    uint16_t outside_port;
    /* All other ports come from the seed out of this range; 0 and 0: 20000 to 59999. */
    uint16_t port_first, port_last;
    uint64_t seed;
    gboolean lossy; /* the way may lose packets by itself: none is lost for good with one */
} PlProbePlan;

typedef enum {
    PL_PROBE_NOTHING, /* wait for a datagram, a result or the timeout */
    PL_PROBE_OPEN,    /* a UDP socket: id, place, local (address and port; port never 0) */
    PL_PROBE_CLOSE,   /* id */
    PL_PROBE_SEND,    /* a datagram: id, remote, data */
    /*
     * A TCP connection from `place` (local, any port) to `remote`. Its listener stands in the other
     * place, at `listener`: report with pl_prober_tcp; id names it. Where `listener` is `remote`
     * itself, another port of the same address does as well, for both; else only that one does, and
     * when it cannot be had, that is reported with pl_prober_open_failed.
     */
    PL_PROBE_TCP,
    PL_PROBE_ECHO, /* an ICMP echo request from local to remote, answered by the system there:
                      report with pl_prober_echo; id names it */
    PL_PROBE_DONE, /* the findings are complete; connections and echoes may still be waited for */
} PlProbeActionKind;

#define PL_PROBE_DATA_MAX 64

typedef struct PlProbeAction {
    PlProbeActionKind kind;
    unsigned id;
    PlProbePlace place;
    PhAddress local, remote;
    PhAddress listener; /* TCP only */
    uint8_t data[PL_PROBE_DATA_MAX];
    size_t data_length;
} PlProbeAction;

typedef struct PlProber PlProber;

/* Times are absolute nanoseconds of any clock that never goes backwards. */
PlProber *pl_prober_new(const PlProbePlan *plan, uint64_t now);
void pl_prober_free(PlProber *prober);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlProber, pl_prober_free)

/* The next thing to do; call until it says NOTHING or DONE, after every call of the functions
 * below. */
void pl_prober_poll(PlProber *prober, PlProbeAction *ret_action);

/* The address or port could not be bound: the prober opens the same id with another port, or gives
 * it up when it may not (as with a listener). Said before the next poll. */
void pl_prober_open_failed(PlProber *prober, unsigned id, uint64_t now);
void pl_prober_datagram(PlProber *prober, unsigned id, const PhAddress *from, const uint8_t *data,
                        size_t length, uint64_t now);
/* An ICMP port unreachable came back to what socket `id` had sent to `remote`. */
void pl_prober_unreachable(PlProber *prober, unsigned id, const PhAddress *remote, uint64_t now);
/* The listener saw a connection from `from`; or none came within two seconds (from is NULL). */
void pl_prober_tcp(PlProber *prober, unsigned id, const PhAddress *from, uint64_t now);
/* An echo reply came, or none within two seconds. */
void pl_prober_echo(PlProber *prober, unsigned id, gboolean answered, uint64_t now);

/* When to call pl_prober_timeout; UINT64_MAX: never. */
uint64_t pl_prober_next_timeout(const PlProber *prober);
void pl_prober_timeout(PlProber *prober, uint64_t now);

/* Once DONE. What could not be decided is NULL with its reason. Valid as long as the prober. */
const PlFindings *pl_prober_findings(const PlProber *prober);
