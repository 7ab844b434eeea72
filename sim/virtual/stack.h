/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's network stack: IPv4 and IPv6 on several interfaces, UDP and echo sockets, as much of TCP
 * as a handshake and its end take, ICMP, fragments, and the forwarding of a host that routes. It is
 * pure: packets and time go in; packets come out through `emit`, and what a program is to know as
 * one event at a time.
 *
 * A host that is not a router takes what is sent to any of its addresses, on whatever interface it
 * comes. It does not talk to itself.
 */
#pragma once

#include "topology/topology.h"

typedef struct PlStack PlStack;
typedef struct PlSocket PlSocket;

/* A packet is to leave by this interface; the bytes are the stack's. */
typedef void (*PlStackEmit)(gpointer data, unsigned interface, const uint8_t *bytes, size_t length,
                            uint64_t now);

typedef enum {
    PL_STACK_DATAGRAM,
    PL_STACK_UNREACHABLE, /* an ICMP error came back from `remote`'s way */
    PL_STACK_ECHO,        /* an echo reply */
    PL_STACK_ACCEPTED,    /* a listener has a connection: `connection`, now the program's */
    PL_STACK_CONNECTED,
    PL_STACK_FAILED, /* no connection: refused, or nobody answers */
} PlStackEventKind;

typedef struct PlStackEvent {
    PlStackEventKind kind;
    PlSocket *socket;
    PlSocket *connection;
    PhAddress remote;
    gboolean port_closed; /* UNREACHABLE: port unreachable, and not something on the way */
    const uint8_t *bytes; /* DATAGRAM; valid until the stack is called again */
    size_t length;
    uint16_t sequence; /* ECHO */
} PlStackEvent;

/* What was dropped, and why. */
typedef struct PlStackCounters {
    uint64_t received, sent, forwarded;
    uint64_t malformed;      /* no packet of IP, UDP, TCP or ICMP, or a wrong checksum */
    uint64_t foreign;        /* for nobody here */
    uint64_t closed;         /* for a port that is closed: answered */
    uint64_t fragments_lost; /* of packets that never became whole */
    uint64_t unroutable;     /* there was no route */
} PlStackCounters;

PlStack *pl_stack_new(gboolean routes, uint64_t seed, PlStackEmit emit, gpointer data);
PlStack *pl_stack_free(PlStack *stack); /* NULL is fine; returns NULL. Ends all sockets */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlStack, pl_stack_free)

/* Returns its number; they are counted from 0. `addresses` (PhAddress) is borrowed for the call. */
unsigned pl_stack_add_interface(PlStack *stack, const PlPrefix *subnet, const GArray *addresses,
                                unsigned mtu_bytes);
/* It has no interface and no route any more; sockets stay. */
void pl_stack_unplug(PlStack *stack);
void pl_stack_add_route(PlStack *stack, const PlPrefix *destination, unsigned interface);

/*
 * Sockets. `local` may have an unspecified host (only its family counts), and port 0: any free one.
 * NULL when the address is not this host's, or somebody has that port. `owner` and `id` are for
 * whoever reads the events.
 */
PlSocket *pl_stack_open(PlStack *stack, const PhAddress *local, gpointer owner, uint32_t id);
/* For echo requests to `remote`, all with one identifier as those of `ping` are. */
PlSocket *pl_stack_echo(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                        gpointer owner, uint32_t id);
/* The answer is an event. FALSE when there is no route. */
gboolean pl_stack_echo_send(PlStack *stack, PlSocket *socket, uint16_t sequence, uint64_t now);
PlSocket *pl_stack_listen(PlStack *stack, const PhAddress *local, gpointer owner, uint32_t id);
/* CONNECTED or FAILED is told. */
PlSocket *pl_stack_connect(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                           gpointer owner, uint32_t id, uint64_t now);
/* The socket is gone for its owner; a connection is ended in order. */
void pl_stack_close(PlStack *stack, PlSocket *socket, uint64_t now);

const PhAddress *pl_socket_local(const PlSocket *socket);
gpointer pl_socket_owner(const PlSocket *socket);
uint32_t pl_socket_id(const PlSocket *socket);

/* Sends a datagram, in fragments if it must be; TTL 0 is the usual one. FALSE when there is no
 * route to there, or the datagram is longer than any can be. */
gboolean pl_stack_send(PlStack *stack, PlSocket *socket, const PhAddress *remote,
                       const uint8_t *bytes, size_t length, uint8_t ttl, uint64_t now);

/* The same from an own address and port that need not be a socket's: what answers find there is
 * whoever has that port, if anybody has. */
gboolean pl_stack_cast(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                       const uint8_t *bytes, size_t length, uint8_t ttl, uint64_t now);

/* A packet has arrived. TRUE when somebody is to know: *ret_event. */
gboolean pl_stack_receive(PlStack *stack, const uint8_t *bytes, size_t length, uint64_t now,
                          PlStackEvent *ret_event);
/* When to call pl_stack_timeout, until it returns FALSE; UINT64_MAX: never. */
uint64_t pl_stack_next(const PlStack *stack);
gboolean pl_stack_timeout(PlStack *stack, uint64_t now, PlStackEvent *ret_event);

/* Whether there is a UDP socket, or a listener, with this port. */
gboolean pl_stack_has_port(const PlStack *stack, PlProtocol protocol, uint16_t port);
const PlStackCounters *pl_stack_counters(const PlStack *stack);
