/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets in network namespaces that are not the caller's. Private to this room. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "machine/drive.h"

typedef union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} PlSockaddr;

/* Returns the length. */
socklen_t pl_sockaddr_from_address(const PhAddress *address, PlSockaddr *ret_sockaddr);
/* An address of no family when it is neither IPv4 nor IPv6. */
PhAddress pl_sockaddr_to_address(const PlSockaddr *sockaddr);

/* A visit to other network namespaces, from the first pl_visit_socket until pl_visit_end. */
typedef struct PlVisit {
    int home; /* the namespace to go back to; owned */
    int at;   /* the one we are in: borrowed; -1 when at home */
} PlVisit;

gboolean pl_visit_begin(PlVisit *ret_visit, GError **error);
gboolean pl_visit_enter(PlVisit *visit, int netns_fd, GError **error);
/* Back home. A process that cannot go back is of no use: aborts. */
void pl_visit_end(PlVisit *visit);

/*
 * A non-blocking socket in a place, bound to its interface and (unless NULL) to `local`. Returns -1
 * with an error; *ret_taken (may be NULL) says that it was only the address or port that could not
 * be had.
 */
int pl_visit_socket(PlVisit *visit, const PlDrivePlace *place, int family, int type, int protocol,
                    const PhAddress *local, gboolean *ret_taken, GError **error);

/* Whether a send failed by what the network may do to a packet: it is lost, the lab is not at
 * fault.
 */
gboolean pl_socket_lost(int errnum);

/*
 * Takes one entry from a UDP socket's error queue; FALSE when it is empty. The address is where a
 * port was unreachable, of no family when the entry was about something else.
 */
gboolean pl_socket_take_error(int fd, PhAddress *ret_unreachable);
