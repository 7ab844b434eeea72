/* SPDX-License-Identifier: MIT */
/* What the files of a PhSockets share: sockets.c (who there is, and what comes), sockets_send.c. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "sockets.h"

#define PH_SOCKETS_BATCH 64
#define DATAGRAM_MAX     2048  /* longer ones are not ours, and dropped */
#define TRANSMIT_MAX     1500  /* what an agent sends fits one packet */
#define MESSAGE_MAX      65535 /* several datagrams in one piece: as long as UDP's can be */

typedef struct PhUdp {
    PhSockets *sockets;
    uint32_t id;
    PhFamily family;
    int fd;
    gboolean lent;     /* somebody else's, and without IP_RECVERR before */
    gboolean segments; /* the system cuts up what is sent */
    GSource *watch;
} PhUdp;

typedef struct PhSocketsOutgoing {
    PhUdp *udp;
    struct sockaddr_storage to;
    socklen_t to_length;
    uint8_t ttl;
    gboolean taken; /* it is part of a message */
    size_t length;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))]; /* a TTL, or a segment's size */
    uint8_t bytes[TRANSMIT_MAX];
} PhSocketsOutgoing;

typedef struct PhSocketsIncoming {
    struct sockaddr_storage from;
    struct iovec part;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))]; /* a segment's size */
    uint8_t bytes[MESSAGE_MAX]; /* memory that is not there before it is needed */
} PhSocketsIncoming;

struct PhSockets {
    GMainContext *context;
    const PhSocketsHandler *handler;
    gpointer data;
    GHashTable *by_id;       /* of PhUdp */
    gboolean never_segments; /* nor takes anything in one piece */
    PhSocketsCounters counters;
    size_t n_outgoing;
    struct mmsghdr out_headers[PH_SOCKETS_BATCH], in_headers[PH_SOCKETS_BATCH];
    struct iovec parts[PH_SOCKETS_BATCH];          /* of all messages, one after the other */
    PhSocketsOutgoing *of_parts[PH_SOCKETS_BATCH]; /* of the same */
    PhSocketsOutgoing outgoing[PH_SOCKETS_BATCH];
    PhSocketsIncoming incoming[PH_SOCKETS_BATCH];
};
