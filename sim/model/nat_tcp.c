/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a flow lives. TCP's depends on where the connection is (RFC 5382 §5):
 *
 *     OPENING --(the other side answers)--> ANSWERED --(the first side acknowledges)--> ESTABLISHED
 *        ^                                                                                  |
 *        +----- a SYN begins anew ----- CLOSING <------- RST, or a FIN from each side ------+
 *
 * A packet of a connection that nobody saw begin, after a reboot perhaps, is taken for an opening.
 */
#include "model/nat_private.h"

#define TCP_ESTABLISHED_NS (7440 * NS_PER_S) /* RFC 5382 REQ-5: 2 hours 4 minutes at least */
#define TCP_TRANSITORY_NS  (240 * NS_PER_S)  /* the same: 4 minutes */
#define ICMP_NS            (60 * NS_PER_S)   /* RFC 5508 REQ-2 */

enum { OPENING, ANSWERED, ESTABLISHED, CLOSING, STATE = 3, FIN_FIRST = 4, FIN_OTHER = 8 };

void pl_nat_tcp(Flow *flow, uint8_t flags, bool outbound)
{
    bool first = outbound != flow->from_outside; /* whoever began */
    uint8_t state = flow->tcp & STATE, fins = flow->tcp & (FIN_FIRST | FIN_OTHER);

    if ((flags & (PL_TCP_SYN | PL_TCP_ACK)) == PL_TCP_SYN && state == CLOSING) {
        flow->from_outside = !outbound;
        flow->tcp = OPENING;
        return;
    }
    if (flags & PL_TCP_FIN)
        fins |= first ? FIN_FIRST : FIN_OTHER;
    if (flags & PL_TCP_RST || fins == (FIN_FIRST | FIN_OTHER))
        state = CLOSING;
    else if (state == OPENING && !first)
        state = ANSWERED;
    else if (state == ANSWERED && first && flags & PL_TCP_ACK)
        state = ESTABLISHED;
    flow->tcp = state | fins;
}

uint64_t pl_nat_timeout(const PlNat *nat, uint8_t protocol, const Flow *flow)
{
    if (protocol == PL_IP_TCP)
        return flow && (flow->tcp & STATE) == ESTABLISHED ? TCP_ESTABLISHED_NS : TCP_TRANSITORY_NS;
    return nat_is_icmp(protocol) ? ICMP_NS : nat->behaviour.udp_timeout_ns;
}
