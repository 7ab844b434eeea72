/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An IP packet on its way through the model: bytes from the IP header on, IPv4 or IPv6. */
#pragma once

#include <glib.h>
#include <stdint.h>

/* The longest there is (RFC 791 §3.1, and RFC 8200 §3 without jumbograms). */
#define PL_DATAGRAM_MAX 65575
/* There is always room for so much: an ICMP error (RFC 1812 §4.3.2.3) may take a packet's place. */
#define PL_DATAGRAM_ROOM 576

typedef struct PlDatagram {
    uint32_t length, room;
    uint8_t bytes[];
} PlDatagram;

/* A copy of the bytes; `length` is at most PL_DATAGRAM_MAX. */
PlDatagram *pl_datagram_new(const uint8_t *bytes, size_t length);
PlDatagram *pl_datagram_free(PlDatagram *datagram); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlDatagram, pl_datagram_free)
