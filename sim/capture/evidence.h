/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evidence: what a NAT did, from packets on both its sides alone. A packet is recognised on the
 * other side by what a NAT leaves alone: outbound its destination, inbound its source, and its
 * payload and IP identification.
 */
#pragma once

#include "capture/pcapng.h"

typedef struct PlEvidenceQuery {
    const char *inside; /* interface names in the capture; equal when nothing lies between */
    const char *outside;
    const PhAddress
        *host; /* only this inside host; NULL: all, leaving out ports that two hosts compete for */
    /* Of the way's outside: the external addresses it could have (PhAddress), to tell hairpin and
       unsolicited packets from others; may be NULL. */
    const GArray *external;
    /* External UDP ports (uint16_t) that are forwarded: open whatever the filtering. May be NULL.
     */
    const GArray *forwarded;
    /* When somebody had it forget its mappings (uint64_t, as in the capture): what it does before
       and after that may differ. May be NULL. */
    const GArray *forgot;
} PlEvidenceQuery;

/*
 * Sets class, external, mapping, filtering, port-allocation, pooling, hairpin, unsolicited, udp as
 * far as the packets tell; NULL with a reason where they do not. An inside endpoint whose mapping
 * an early packet from the same destination had poisoned counts for `unsolicited = accept` and not
 * for its mapping. FALSE when the capture has no such interface.
 */
gboolean pl_evidence_judge(const PlCapture *capture, const PlEvidenceQuery *query,
                           PlFindings *ret_findings, GError **error);
