/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside a host's stack:
 *
 *   stack.c        the stack as a whole: what comes in and where it goes
 *   ports.c        sockets and their ports
 *   output.c       routes, headers, fragments: how packets leave
 *   icmp.c         echoes and errors
 *   tcp.c          connections
 *   reassembly.c   fragments that become packets again
 *   wire.c         IP headers
 */
#pragma once

#include "virtual/stack.h"
#include "virtual/wire.h"

#define PL_TTL         64 /* RFC 1700 "IP TIME TO LIVE" */
#define PL_HEADERS_MAX (PL_IPV6_HEADER + PL_IPV6_FRAGMENT_HEADER)
#define PL_UDP_HEADER  8
#define PL_ICMP_HEADER 8
#define PL_TCP_HEADER  20
#define PL_BUCKETS     256

typedef enum {
    PL_SOCKET_UDP,
    PL_SOCKET_ECHO, /* the local port is its identifier */
    PL_SOCKET_TCP,
} PlSocketKind;

/* RFC 9293 §3.3.2 */
typedef enum {
    PL_TCP_LISTEN,
    PL_TCP_SYN_SENT,
    PL_TCP_SYN_RECEIVED,
    PL_TCP_ESTABLISHED,
    PL_TCP_FIN_WAIT_1,
    PL_TCP_FIN_WAIT_2,
    PL_TCP_CLOSE_WAIT,
    PL_TCP_CLOSING,
    PL_TCP_LAST_ACK,
    PL_TCP_TIME_WAIT,
} PlTcpState;

struct PlSocket {
    PlSocketKind kind;
    gpointer owner;
    uint32_t id;
    PhAddress local, remote; /* remote: of echoes and connections */
    PlSocket *next;          /* in its bucket */
    /* Connections. */
    PlTcpState state;
    PlSocket *listener;    /* while it waits to be accepted */
    uint32_t send_next;    /* RFC 9293 §3.3.1: SND.NXT; nothing but SYN and FIN is ever sent */
    uint32_t receive_next; /* RCV.NXT */
    unsigned tries;
    uint64_t due_ns; /* the next try, or its end; UINT64_MAX: none */
    gboolean orphan; /* its owner has closed it */
};

typedef struct PlInterface {
    PlPrefix subnet;
    unsigned mtu_bytes;
    GArray *addresses; /* PhAddress */
} PlInterface;

typedef struct PlStackRoute {
    PlPrefix destination;
    unsigned interface;
} PlStackRoute;

/* What is known of the way to a destination (RFC 1191 §6.3). */
typedef struct PlPathMtu {
    PhAddress destination;
    unsigned mtu_bytes;
} PlPathMtu;

struct PlStack {
    gboolean routes;
    uint64_t random;
    PlStackEmit emit;
    gpointer data;
    GArray *interfaces; /* PlInterface */
    GArray *ways;       /* PlStackRoute, the longest prefix first */
    GArray *path_mtus;  /* PlPathMtu, oldest first */
    PlSocket *buckets[PL_BUCKETS];
    GPtrArray *connections; /* PlSocket, those of TCP but listeners, in the order they were made */
    GPtrArray *fragments;   /* of reassembly.c */
    uint32_t next_id;       /* of packets */
    PlStackCounters counters;
    uint8_t whole[PL_PACKET_MAX];                  /* a packet that was put together again */
    uint8_t room[PL_HEADERS_MAX + PL_PACKET_MAX];  /* a packet that is being made */
    uint8_t piece[PL_HEADERS_MAX + PL_PACKET_MAX]; /* a fragment of it */
};

/* ports.c */
/* Makes a socket, which is in no bucket yet. */
PlSocket *pl_socket_new(PlSocketKind kind, const PhAddress *local, gpointer owner, uint32_t id);
void pl_socket_insert(PlStack *stack, PlSocket *socket);
/* Out of its bucket, and freed. */
void pl_socket_remove(PlStack *stack, PlSocket *socket);
/* Puts a port, if there is none, and checks that the address can be had. */
gboolean pl_socket_bind(PlStack *stack, PlSocketKind kind, PhAddress *local);
/* Whom a packet is for, the most specific one first; a connection before a listener. */
PlSocket *pl_socket_find(const PlStack *stack, PlSocketKind kind, const PhAddress *local,
                         const PhAddress *remote);

/* output.c */
/* FALSE: there is none. */
gboolean pl_route_find(const PlStack *stack, const PhAddress *remote, unsigned *ret_interface);
/* The address of this host that packets to `remote` come from; of no family: none. */
PhAddress pl_route_source(const PlStack *stack, const PhAddress *remote);
gboolean pl_stack_is_own(const PlStack *stack, const PhAddress *address);
/* Where the payload of the packet that is made next is to be written. */
uint8_t *pl_output_payload(PlStack *stack);
/* Sends what was written there; id, TTL and fragments are its business. FALSE: no route. */
gboolean pl_output_send(PlStack *stack, PlPacketView *packet, size_t length, uint64_t now);
/* Passes on what came for somebody else. */
void pl_output_forward(PlStack *stack, const PlPacketView *packet, uint64_t now);
void pl_output_learn_mtu(PlStack *stack, const PhAddress *destination, unsigned mtu_bytes);

/* icmp.c */
typedef enum {
    PL_ICMP_PORT_CLOSED,
    PL_ICMP_NO_ROUTE,
    PL_ICMP_TOO_LONG,
    PL_ICMP_TTL,
} PlIcmpError;
/* Answers a packet, unless it is one that is not to be answered (RFC 1122 §3.2.2). */
void pl_icmp_error(PlStack *stack, PlIcmpError error, const PlPacketView *packet,
                   unsigned mtu_bytes, uint64_t now);
gboolean pl_icmp_receive(PlStack *stack, const PlPacketView *packet, uint64_t now,
                         PlStackEvent *ret_event);

/* tcp.c */
gboolean pl_tcp_receive(PlStack *stack, const PlPacketView *packet, uint64_t now,
                        PlStackEvent *ret_event);
void pl_tcp_close(PlStack *stack, PlSocket *socket, uint64_t now);
/* Something that was sent is not answered, or a connection has been over for long enough. */
gboolean pl_tcp_timeout(PlStack *stack, PlSocket *socket, uint64_t now, PlStackEvent *ret_event);
/* ICMP said that nobody is there. */
gboolean pl_tcp_unreachable(PlStack *stack, PlSocket *socket, PlStackEvent *ret_event);

/* reassembly.c */
/* A fragment has come. TRUE when its packet is whole: *packet is then that. */
gboolean pl_reassembly_add(PlStack *stack, PlPacketView *packet, uint64_t now);
