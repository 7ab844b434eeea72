/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the checker reads in a frame: IP, UDP, TCP and ICMP headers, and nothing above. */
#pragma once

#include <pinhole/address.h>

#define PL_PACKET_ICMP   1
#define PL_PACKET_TCP    6
#define PL_PACKET_UDP    17
#define PL_PACKET_ICMPV6 58

typedef struct PlPacket {
    PhAddress source, destination; /* with ports for UDP and TCP */
    uint8_t protocol;
    uint16_t ip_id; /* 0 for IPv6 */
    /*
     * What no NAT changes: UDP's payload, TCP's sequence numbers and flags, what an ICMP echo has
     * after its identifier. Points into the frame.
     */
    const uint8_t *mark;
    size_t mark_length;
    /* An ICMP error, and the packet that it complains of. */
    bool refused; /* the port is closed, or the way there prohibited */
    uint8_t inner_protocol;
    PhAddress inner_source, inner_destination;
} PlPacket;

/* Decodes an Ethernet frame; false when it is none of these protocols, a later fragment, or broken.
 */
bool pl_packet_decode(const uint8_t *frame, size_t length, PlPacket *ret_packet);
