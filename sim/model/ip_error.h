/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers that a router makes itself, in the place of the packet that they answer. */
#pragma once

#include "model/datagram.h"
#include "model/ip.h"

/*
 * An ICMP error about the packet, from `source` to the packet's sender. FALSE, and nothing is
 * changed, where none may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4): about an ICMP error or unknown
 * ICMP, a later fragment, or a packet from or to nobody in particular. `word` is what stands in the
 * second word of the ICMP header: the MTU, or 0.
 */
bool pl_ip_error(PlDatagram *datagram, const PlIp *ip, PlHost source, uint8_t type, uint8_t code,
                 uint32_t word);
/* A TCP reset that answers a segment (RFC 9293 §3.10.7.1); FALSE for a reset, or a fragment. */
bool pl_ip_reset(PlDatagram *datagram, const PlIp *ip);
