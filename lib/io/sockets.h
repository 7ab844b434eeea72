/* SPDX-License-Identifier: MIT */
/*
 * An agent's UDP sockets, by the names that it gives them, in a GMainContext. Datagrams are taken
 * from the system, and given to it, many at a time; those of one length that go to one address in
 * one piece, where the system cuts that up (UDP GSO) or has put it together (UDP GRO).
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/path.h>

typedef struct PhSockets PhSockets;

/* Datagrams, and how many calls of the system they took. */
typedef struct PhSocketsCounters {
    uint64_t receive_calls, received;
    uint64_t joined; /* of those received: several in one piece (UDP_GRO) */
    uint64_t send_calls, sent;
    uint64_t segmented; /* of those sent: in large ones that the system cut up (UDP_SEGMENT) */
    uint64_t segments_refused; /* sockets whose system would not do so */
} PhSocketsCounters;

/*
 * What came. `now` is the time when it was read. `done` comes after each batch; it alone may open
 * and close sockets, and free them all.
 */
typedef struct PhSocketsHandler {
    void (*datagram)(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                     uint64_t now);
    /* One came that is longer than any of ours; it is dropped. May be NULL. */
    void (*too_long)(gpointer data, const PhPath *path, size_t length);
    /* Nothing sent along this path arrives: ICMP says so. May be NULL. */
    void (*unreachable)(gpointer data, const PhPath *path, uint64_t now);
    /* The system has taken what was to go along this path, or (an errno) has not. May be NULL. */
    void (*sent)(gpointer data, const PhPath *path, int number, uint64_t now);
    void (*done)(gpointer data);
} PhSocketsHandler;

/* The handler is borrowed for as long as the sockets are there. */
PhSockets *ph_sockets_new(GMainContext *context, const PhSocketsHandler *handler, gpointer data);
PhSockets *ph_sockets_free(PhSockets *sockets); /* NULL is fine; closes all; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PhSockets, ph_sockets_free)

/* Binds a new socket to `local` (port 0: any) and says in *ret_local what that became. */
gboolean ph_sockets_open(PhSockets *sockets, uint32_t id, const PhAddress *local,
                         PhAddress *ret_local, GError **error);
/* Uses a bound UDP socket that is somebody else's, and stays open when this one is closed. It has
 * to be of that family. In between it gets ICMP errors (IP_RECVERR). */
gboolean ph_sockets_adopt(PhSockets *sockets, uint32_t id, PhFamily family, GSocket *socket,
                          PhAddress *ret_local, GError **error);
void ph_sockets_close(PhSockets *sockets, uint32_t id); /* what it was to send is sent before */

/* Queues a copy: it goes when the queue is full, or is flushed. What the system does not take is
 * lost, as datagrams may be. */
void ph_sockets_send(PhSockets *sockets, const PhTransmit *transmit);
void ph_sockets_flush(PhSockets *sockets);
/* Sockets that are opened from now on have each datagram sent, and given to us, as such. */
void ph_sockets_never_segment(PhSockets *sockets);
const PhSocketsCounters *ph_sockets_counters(const PhSockets *sockets);
