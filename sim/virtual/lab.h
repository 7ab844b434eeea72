/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a lab in virtual time consists of, and its clock. Private to this room.
 *
 *   lab.c        hosts before a world, and the loop that lets time pass
 *   drive.c      the prober
 *   programs.c   the programs of hosts; each is a protocol core (agent.h)
 *   witness.c    what passes attachments: the recording, and a digest of all of it
 *   refuse.c     what this engine cannot express
 *   engine.c     the engine
 */
#pragma once

#include <pinhole/key.h>
#include <pinhole/record.h>

#include "model/world.h"
#include "scenario/engine.h"
#include "virtual/stack.h"

typedef struct PlWitness PlWitness;
typedef struct PlSeat PlSeat;

/* Who has sockets, and timeouts: the prober, a program. A socket's owner is its client. */
typedef struct PlClient PlClient;
struct PlClient {
    void (*event)(PlClient *client, const PlStackEvent *event, uint64_t now);
    uint64_t (*next)(const PlClient *client); /* UINT64_MAX: never */
    void (*timeout)(PlClient *client, uint64_t now);
};

/* A host, or the lab's presence on a network. */
typedef struct PlLabHost {
    struct PlLab *lab;
    const PlNode *node;       /* NULL: a presence */
    const PlNetwork *network; /* of a presence */
    PlStack *stack;           /* NULL: a NAT, or a presence that nobody has needed yet */
    PlSeat *program;          /* NULL: none was started */
    const PhAddress *moved;   /* the address that it has where a step took it; NULL: it has not */
    gboolean recorded;        /* its node is, into: */
    int recording_fd;
    uint8_t key[PH_KEY_BYTES]; /* the public one of a hub or node */
} PlLabHost;

struct PlLab {
    const PlTopology *topology;
    uint64_t seed;
    uint64_t now, ready_ns; /* ready_ns: when the last program got ready, or the lab was */
    uint64_t events, events_max;
    PlWorld *world;
    PlLabHost *nodes;     /* of each node */
    PlLabHost *presences; /* of each network */
    PlClient *prober;     /* while one works */
    PlWitness *witness;
    /* A wire that loses what it likes, just behind a host; NULL: there is none. */
    gboolean (*loses)(gpointer data, const PlNode *host, const uint8_t *bytes, size_t length);
    gpointer loses_data;
    PhRecordKind nodes_record; /* of those that start from now on */
};

PlLab *pl_virtual_new(const PlTopology *topology, uint64_t seed);
PlLab *pl_virtual_free(PlLab *lab); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlLab, pl_virtual_free)

/* The presence on a network stands until pl_virtual_leave. */
PlLabHost *pl_virtual_presence(PlLab *lab, const PlNetwork *network);
void pl_virtual_leave(PlLab *lab);

/* A host is on another network from now on, and its program notices. */
void pl_virtual_move(PlLab *lab, const PlStep *step);

/* Lets time pass until *done, or to until_ns. FALSE when a limit of the lab is reached. */
gboolean pl_virtual_run(PlLab *lab, uint64_t until_ns, const gboolean *done, GError **error);

/* drive.c */
gboolean pl_virtual_probe(PlLab *lab, const PlVantage *inside, const PlVantage *outside,
                          PlProber *prober, GError **error);

/* programs.c */
PlSeat *pl_seat_free(PlSeat *seat);
PlClient *pl_seat_client(PlSeat *seat);
gpointer pl_seat_agent(const PlSeat *seat);
gboolean pl_seat_has_ended(const PlSeat *seat);
/* Does what the agent wants by now. */
void pl_seat_pump(PlSeat *seat);
gboolean pl_virtual_start(PlLab *lab, const PlNode *host, GError **error);
gboolean pl_virtual_await(PlLab *lab, const PlNode *host, const char *text, GError **error);
gboolean pl_virtual_result(PlLab *lab, const PlNode *host, PlProgramResult *ret_result,
                           GError **error);
gboolean pl_virtual_claims(PlLab *lab, const PlNode *host, PlFindings *ret_claims, GError **error);
gboolean pl_virtual_say(PlLab *lab, const PlNode *host, const char *line, GError **error);
/* The host's address is another one. */
void pl_seat_moved(PlSeat *seat, const PhAddress *address);
void pl_virtual_kill(PlLab *lab, const PlNode *host);

/* witness.c */
PlWitness *pl_witness_new(PlLab *lab);
PlWitness *pl_witness_free(PlWitness *witness, uint64_t now); /* NULL is fine; returns NULL */
gboolean pl_virtual_record(PlLab *lab, int fd, GError **error);
gboolean pl_virtual_record_stop(PlLab *lab, GError **error);
/* To be called before there are packets. */
void pl_virtual_digest_begin(PlLab *lab);
/* Of everything so far, to be freed. */
char *pl_virtual_digest(PlLab *lab);

/* refuse.c; pure. */
void pl_virtual_refuse(const PlTopology *topology, GPtrArray *reasons);
