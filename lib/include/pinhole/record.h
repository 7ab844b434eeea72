/* SPDX-License-Identifier: MIT */
/*
 * The flight recorder: a node (node.h) writes down all that it is given, and replay.h does the same
 * to the same core again. The file is pcapng, which Wireshark, tcpdump and scapy open: datagrams
 * are packets in it, with IP and UDP headers that are made up, and what else there is stands in
 * custom blocks. docs/recording.md has the bytes.
 */
#pragma once

#include <pinhole/export.h>

PH_BEGIN_DECLS

typedef enum {
    PH_RECORD_OFF,
    /*
     * No key, no bytes of the application's, nothing that is sealed: it replays to the same
     * decisions, since what came out of cryptography is written down instead. Who talked to whom,
     * when, where and how much is in it.
     */
    PH_RECORD_DECISIONS,
    /* With the secret key, the psk and the seed: it replays to the same bytes. Who has it can be
     * this node, and read all that it has said. */
    PH_RECORD_SECRETS,
} PhRecordKind;

/* What a node keeps of a recording until its driver takes it (ph_node_poll_record). When that is
 * full the recording ends, and says so. */
#define PH_RECORD_BYTES (1U << 20)

PH_END_DECLS
