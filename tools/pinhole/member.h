/* SPDX-License-Identifier: MIT */
/*
 * What node, ping and pipe have in common: they are members of a hub's peers. What they tell each
 * other begins with a byte that says what it is.
 */
#pragma once

#include <pinhole/peers.h>

#include "control.h"

#define MEMBER_TEXT   'T' /* for the other's user, in UTF-8 */
#define MEMBER_ECHO   'E' /* is sent back as ECHOED; 'S' is stream.h's */
#define MEMBER_ECHOED 'e'

#define MEMBER_HELP                                                                                \
    "KEY@HOST[:PORT] is the hub: its public key, as it says when it is ready, and where it is.\n"  \
    "FILE is one of pinhole key new; without it the node has another key each time. A PEER is\n"   \
    "named by its name or by its public key.\n"                                                    \
    "\n"

typedef struct MemberOptions {
    char *hub, *name, *key_file;
    gboolean known_only, fast, relay_only;
    /* Of those who can record: where to; NULL: not. */
    char *record;
    gboolean record_secrets;
    void (*record_failed)(PhPeers *peers, const GError *error, gpointer data);
    gboolean relay; /* of node alone */
    ControlOptions control;
} MemberOptions;

#define MEMBER_ENTRIES (6 + CONTROL_ENTRIES) /* and room for others before the end */
void member_entries(MemberOptions *options, GOptionEntry *ret_entries);
void member_options_clear(MemberOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(MemberOptions, member_options_clear)

/* Opens, and waits for that. NULL: why has been told, and *ret_status is the command's. */
PhPeers *member_open(const MemberOptions *options, PhPeersEvent event, gpointer data,
                     int *ret_status);

/* Answers pinhole status. As control_open: NULL may be no failure. */
Control *member_control(const MemberOptions *options, const char *kind, PhPeers *peers,
                        int *ret_status);

/* Answers DATA that asks for no more than that: echoes, and streams that nobody here wants. FALSE:
 * it is something else. */
gboolean member_answer(PhPeers *peers, const PhNodeEvent *event);

/* Who is meant by a name or a key: the number of a peer in the table; 0: it is not there. */
uint32_t member_find(PhPeers *peers, const char *who);
gboolean member_peer(PhPeers *peers, uint32_t number, PhNodePeer *ret_peer);

/* The peer's name or else its key, into a buffer. */
#define MEMBER_WHO_MAX (PH_NODE_NAME_MAX + 1)
const char *member_who(const char *name, const uint8_t *key, char buffer[static MEMBER_WHO_MAX]);
/* "punched 192.0.2.1:5", "relayed". Free it. */
char *member_path(const PhNodePeer *peer);
/* That `who` cannot be reached, or the hub, and why; returns EXIT_FAILURE. */
int member_fail(PhPeers *peers, const char *who, const PhNodeEvent *event);
