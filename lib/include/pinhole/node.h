/* SPDX-License-Identifier: MIT */
/*
 * A node: it registers with a hub, finds peers by name or key, talks to them over the hub's relay
 * from the first round trip on, and goes direct as soon as that is possible. It introduces its
 * peers to each other, and relays for them if it is to: so they need no hub to go on. Pure, as
 * path.h says.
 *
 *     hub:   ASKING ──> REGISTERED ──lost──> ASKING
 *     peer:  LOOKING ──found──> TALKING(relayed) <──> TALKING(direct or punched) ──> GONE
 *                └──> GONE (reason)
 *
 * What it is given (datagrams, times, seed, config) determines all that it does: a recording of
 * these replays to the same transmissions and events.
 */
#pragma once

#include <pinhole/classification.h>
#include <pinhole/path.h>
#include <pinhole/record.h>

PH_BEGIN_DECLS

#define PH_NODE_KEY_BYTES 32
#define PH_NODE_NAME_MAX  63
#define PH_NODE_PEERS_MAX 256
/* Of these, who came by himself, neither looked for by us nor told of by a hub or peer: whoever
 * knows our key can, with as many keys as he likes. More are not answered. */
#define PH_NODE_STRANGERS_MAX 128
#define PH_NODE_LOCALS        16
/* Bytes of one message; more is refused. */
#define PH_NODE_MESSAGE_MAX 1152
/* Messages for a peer that is not reached yet; the oldest is dropped. */
#define PH_NODE_QUEUE_MAX 32

typedef struct PhNodeConfig {
    uint8_t seed[PH_SEED_BYTES];
    uint8_t secret[PH_NODE_KEY_BYTES];
    uint8_t psk[PH_NODE_KEY_BYTES];  /* all zero: none */
    uint64_t wall_ns;                /* since 1970, when `now` is 0 */
    char name[PH_NODE_NAME_MAX + 1]; /* "": reachable by key only */
    PhAddress hub;
    uint8_t hub_key[PH_NODE_KEY_BYTES];
    PhAddress
        locals[PH_NODE_LOCALS]; /* the host's own addresses, as candidates; of both families */
    uint32_t n_locals;
    bool
        refuse_strangers; /* only peers that we connect to ourselves; else all that the hub knows */
    bool fast_detector;
    bool no_hard_punching;      /* pairs that need many sockets or ports are relayed */
    bool relay_only;            /* never attempts a direct path, has nobody told where it is, and
                                   sends to its hub alone, whoever asks it straight */
    uint64_t binding_ns;        /* how long the NAT keeps an idle mapping; 0: unknown */
    uint32_t first_socket;      /* ids for its sockets, from here on; 2^31 - 1 at most */
    PhRecordKind record;        /* poll it with ph_node_poll_record */
    bool relays;                /* carries, for peers that it talks to directly, what they cannot */
    uint32_t relay_bytes_per_s; /* for one peer; 0: 1 MiB */
    bool no_mediation;          /* does not introduce its peers to each other */
} PhNodeConfig;

typedef enum {
    PH_PATH_NONE,    /* with a reason */
    PH_PATH_RELAYED, /* via a hub or node */
    PH_PATH_DIRECT,  /* one side could simply be dialled */
    PH_PATH_PUNCHED, /* both had to send first */
} PhPathKind;
PH_EXPORT const char *ph_path_kind_name(PhPathKind kind); /* "none", "relayed", ... */

typedef enum {
    PH_NODE_REGISTERED,  /* at the hub; `address`: where it sees us */
    PH_NODE_HUB_LOST,    /* `reason`; it goes on trying */
    PH_NODE_REFUSED,     /* by the hub, or (no-socket) by the system: `reason`; they are asked again
                            after a minute, or in another network */
    PH_NODE_CLASSIFIED,  /* our own class is known, or another than before */
    PH_NODE_PEER_UP,     /* a peer can be sent to; once more after PEER_SAME, with the new number */
    PH_NODE_PEER_PATH,   /* another path is in use: `path`, `via`, `address`, `reason`; or no other
                            one will be looked for, as the two NATs are: reason "relay" */
    PH_NODE_PEER_HEALTH, /* healthy, suspect, failed */
    PH_NODE_PEER_GONE,   /* `reason`; the number is not used again */
    PH_NODE_DATA,        /* from a peer */
    PH_NODE_PUNCH,       /* an attempt at a direct path is over: `outcome`, `reason` */
    PH_NODE_PEER_SAME,   /* the peer turned out to have a name that was looked for as well: it goes
                            on under that one's number, and `peer` is not used again */
} PhNodeEventKind;
PH_EXPORT const char *ph_node_event_name(PhNodeEventKind kind); /* "registered", "hub-lost", ... */

typedef struct PhNodeEvent {
    PhNodeEventKind kind;
    uint32_t peer; /* its number */
    uint8_t key[PH_NODE_KEY_BYTES];
    char name[PH_NODE_NAME_MAX + 1];
    PhClass nat_class;
    PhPathKind path;
    uint8_t via[PH_NODE_KEY_BYTES]; /* RELAYED: by whom */
    PhAddress address;
    const char *health; /* static */
    const char *reason; /* a name, static: "unknown-peer"; NULL: none */
    const char *sentence;
    /* PUNCH: who introduced the two, or was asked to; the attempt's number, from 1; how it was to
     * be done ("punch", "dial"); "open", "failed", "timed-out" or "rejected"; and since when. */
    uint8_t mediator[PH_NODE_KEY_BYTES];
    uint32_t attempt;
    const char *strategy, *outcome; /* static */
    uint64_t took_ns;
    const uint8_t *bytes; /* DATA: valid until the next call */
    size_t length;
} PhNodeEvent;

/* Every decision is counted; docs/status.md says what each means. */
typedef struct PhNodeCounters {
    uint64_t punches_attempted, punches_succeeded, punches_failed, punches_timed_out,
        punches_rejected;
    uint64_t relay_fallbacks, upgrades, downgrades;
    uint64_t sessions_opened, sessions_accepted, sessions_failed;
    uint64_t messages_sent, messages_received, messages_dropped; /* the application's */
    uint64_t datagrams_dropped;                                  /* nobody polled them */
    /* Who was asked where it sees us, the hub or a peer; peers that we have told that. */
    uint64_t reflex_asked, reflex_answered;
    uint64_t classified;
    uint64_t foreign; /* datagrams that were not ours */
    /* For our peers: as their mediator, and as their relay. */
    uint64_t introductions, introductions_refused, relayed, relayed_bytes, relay_dropped;
    uint64_t introductions_ignored; /* by peers, to us, which could not be believed */
} PhNodeCounters;

/* A line of the peer table. */
typedef struct PhNodePeer {
    uint32_t peer;
    uint8_t key[PH_NODE_KEY_BYTES];
    char name[PH_NODE_NAME_MAX + 1];
    PhClass nat_class;
    PhPathKind path;
    uint8_t via[PH_NODE_KEY_BYTES];
    PhAddress address;
    /* All static. Why the path is what it is, and that to a person; NULL: there is no reason yet,
     * or no path's health. */
    const char *health, *reason, *sentence;
    const char *state; /* "looking", "meeting", "talking" */
    uint64_t rtt_ns;   /* 0: unknown */
} PhNodePeer;

/* What it knows of itself and its hub. */
typedef struct PhNodeSelf {
    uint8_t key[PH_NODE_KEY_BYTES], hub_key[PH_NODE_KEY_BYTES];
    char name[PH_NODE_NAME_MAX + 1]; /* "": none */
    PhClass nat_class;
    uint64_t binding_ns;    /* how long its NAT keeps an idle mapping; 0: unknown */
    PhAddress external;     /* as its class was found with; family NONE: unknown */
    PhAddress hub, seen;    /* seen: where the hub sees us, as long as it is registered */
    PhAddress beside;       /* and in the other family of addresses; NONE: it does not */
    const char *hub_state;  /* static: "waiting", "asking", "registered" or "refused" */
    const char *hub_health; /* NULL: it is not registered */
    const char *hub_reason; /* why it is not; NULL: there is none */
    uint64_t hub_rtt_ns;    /* 0: unknown */
} PhNodeSelf;

typedef struct PhNode PhNode;

/* Letters, digits and any of -_. up to PH_NODE_NAME_MAX of them, and at least one. */
PH_EXPORT bool ph_node_name_is_valid(const char *name);

PH_EXPORT PhNode *ph_node_new(const PhNodeConfig *config, uint64_t now);
PH_EXPORT PhNode *ph_node_free(PhNode *node); /* NULL is fine; returns NULL */
/* Says goodbye; poll what is to be sent afterwards. */
PH_EXPORT void ph_node_close(PhNode *node, uint64_t now);

/* Looks for a peer by name, or by key (name is NULL), for 20 s at most; the peer's number, which is
 * the same as before for the same key, and for the same name, until the peer is gone. A hub that
 * does not know it says so at once (PEER_GONE, "unknown-peer"): who wants to wait for it looks
 * again, every few seconds. 0: there are too many, it is no name, or our own key. */
PH_EXPORT uint32_t ph_node_connect(PhNode *node, const char *name, const uint8_t *key,
                                   uint64_t now);
PH_EXPORT void ph_node_disconnect(PhNode *node, uint32_t peer, uint64_t now);
/* Queued until the peer can be sent to. False: too long, or no such peer. */
PH_EXPORT bool ph_node_send(PhNode *node, uint32_t peer, const uint8_t *bytes, size_t length,
                            uint64_t now);
/* The network under us is another one (addresses, or after a sleep): everything is tried again. */
PH_EXPORT void ph_node_network_changed(PhNode *node, const PhAddress *locals, uint32_t n_locals,
                                       uint64_t now);

/* The hub is to be found there by now, or may be tried there: its name has another address, or one
 * more, of either family. A hub that is lost is asked there the next time. What there is directly
 * stays. */
PH_EXPORT void ph_node_hub_at(PhNode *node, const PhAddress *hub, uint64_t now);

/* See path.h for the order in which these are called. */
PH_EXPORT bool ph_node_poll_socket(PhNode *node, PhSocketRequest *ret_request);
PH_EXPORT void ph_node_socket_opened(PhNode *node, uint32_t socket, const PhAddress *local,
                                     uint64_t now);
PH_EXPORT void ph_node_socket_failed(PhNode *node, uint32_t socket, uint64_t now);
PH_EXPORT bool ph_node_poll_transmit(PhNode *node, PhTransmit *ret_transmit);
PH_EXPORT bool ph_node_poll_event(PhNode *node, PhNodeEvent *ret_event);
PH_EXPORT bool ph_node_handle_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes,
                                       size_t length, uint64_t now);
PH_EXPORT void ph_node_unreachable(PhNode *node, const PhPath *path, uint64_t now);
PH_EXPORT void ph_node_handle_timeout(PhNode *node, uint64_t now);
PH_EXPORT uint64_t ph_node_next_timeout(const PhNode *node);

/* What was recorded since the last time, if anything: bytes of a file, to be appended to those
 * before. They are the node's, and stay until its next call. After the other polls is early enough.
 */
PH_EXPORT bool ph_node_poll_record(PhNode *node, const uint8_t **ret_bytes, size_t *ret_length);

PH_EXPORT const PhNodeCounters *ph_node_counters(const PhNode *node);
/* They one by one, for who shows them all: a name such as "punches-attempted", NULL beyond the last
 * one. */
PH_EXPORT const char *ph_node_counter(const PhNodeCounters *counters, uint32_t index,
                                      uint64_t *ret_value);
PH_EXPORT void ph_node_self(const PhNode *node, PhNodeSelf *ret_self);
/* The peer table: false beyond its end. */
PH_EXPORT bool ph_node_peer(const PhNode *node, uint32_t index, PhNodePeer *ret_peer);
PH_EXPORT const uint8_t *ph_node_public_key(const PhNode *node);

/* What a reason means to a person; NULL: there is none of this name. */
PH_EXPORT const char *ph_node_sentence(const char *reason);
/* All that there are, one by one: a name, NULL beyond the last one. */
PH_EXPORT const char *ph_node_reason(uint32_t index, const char **ret_sentence);

PH_END_DECLS
