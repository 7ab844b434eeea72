/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a packet at a hop: it gets older, or is divided. Pure; packets have passed
 * pl_ip_parse. */
#pragma once

#include <pinhole/address.h>

#include "model/datagram.h"

PhAddress pl_passage_source(const PlDatagram *datagram);
PhAddress pl_passage_destination(const PlDatagram *datagram);

/* The TTL, or the hop limit. */
unsigned pl_passage_ttl(const PlDatagram *datagram);
void pl_passage_set_ttl(PlDatagram *datagram, unsigned ttl);

/* Whether it may be fragmented on its way: IPv4 without DF (RFC 791 §3.1). */
gboolean pl_passage_divisible(const PlDatagram *datagram);
/*
 * One fragment after the other (RFC 791 §3.2), none longer than `mtu`, which is 68 or more; NULL:
 * no more. *position begins as 0. The packet is divisible, and may be a fragment itself.
 */
PlDatagram *pl_passage_fragment(const PlDatagram *whole, unsigned mtu, unsigned *position);
