/* SPDX-License-Identifier: MIT */
/*
 * What nodes and hubs say to each other inside sessions: a byte that names the message, then its
 * fields, big-endian, in the order of the structs below; docs/protocol.md is normative. Decoding
 * never crashes, and takes nothing but whole messages; unknown kinds are PH_MESSAGE_UNKNOWN and
 * passed over, so that later versions may have more.
 */
#pragma once

#include <pinhole/classification.h>
#include <pinhole/node.h>
#include <pinhole/path.h>

#define PH_NAME_MAX                                                                                \
    PH_NODE_NAME_MAX         /* of a node: letters, digits, '-', '_' and '.', UTF-8 is not */
#define PH_CANDIDATES_MAX 16 /* a side (facts of others: libp2p and ICE have as many) */

typedef enum {
    PH_MESSAGE_UNKNOWN = 0,
    PH_MESSAGE_KEEPALIVE = 1,   /* nothing; any authentic packet is a heartbeat */
    PH_MESSAGE_DATA = 2,        /* the application's bytes */
    PH_MESSAGE_PING = 3,        /* id: to be answered along the way it came */
    PH_MESSAGE_PONG = 4,        /* id, seen: where the ping came from (no family: by a relay) */
    PH_MESSAGE_CLOSE = 5,       /* reason */
    PH_MESSAGE_MOVED = 6,       /* nothing; the sender's network is another one */
    PH_MESSAGE_PREPARE = 7,     /* nothing; node to node: to have a fresh socket ready */
    PH_MESSAGE_PREPARED = 8,    /* nothing; it is, or will not be */
    PH_MESSAGE_LOOK = 9,        /* id; node to node: as PING, but the sender is not elsewhere */
    PH_MESSAGE_LOOKED = 10,     /* id; along the way that LOOK came */
    PH_MESSAGE_REGISTER = 16,   /* node to hub, also as payload of a handshake's request */
    PH_MESSAGE_REGISTERED = 17, /* hub to node: lifetime, seen, also */
    PH_MESSAGE_REFUSED = 18,    /* hub to node: what was asked, reason */
    PH_MESSAGE_CONNECT = 19,    /* node to hub, also with REGISTER in the request: wants a peer */
    PH_MESSAGE_FOUND = 20,      /* hub to who asked: the peer; its channel at the relay */
    PH_MESSAGE_WANTED =
        21,                /* hub to the peer: who asks; its channel. The peer begins the session */
    PH_MESSAGE_RELAY = 22, /* to the relay: channel, packet */
    PH_MESSAGE_RELAYED = 23,    /* from the relay: channel, packet */
    PH_MESSAGE_INTRODUCE = 24,  /* node to mediator: wants to punch to a peer */
    PH_MESSAGE_INTRODUCED = 25, /* mediator to both: the other's candidates, start */
    PH_MESSAGE_UPDATE = 26,     /* node to hub or node: another class, other candidates */
} PhMessageKind;

typedef enum {
    PH_REASON_NONE = 0,
    PH_REASON_NAME_TAKEN,     /* registered by another key */
    PH_REASON_UNKNOWN_PEER,   /* nobody of that name or key is registered */
    PH_REASON_FULL,           /* no room for more */
    PH_REASON_TOO_MANY,       /* asked too often */
    PH_REASON_NOT_AUTHORISED, /* the peer does not want it */
    PH_REASON_NO_MEDIATOR,    /* nobody is known to both */
    PH_REASON_GOODBYE,        /* it ended on purpose */
    PH_REASON_TIMEOUT,
    PH_REASON_UNREACHABLE,
    PH_REASON_N,
} PhReason;
/* A name ("name-taken") and a sentence. Static. */
const char *ph_reason_name(PhReason reason);
const char *ph_reason_sentence(PhReason reason);

typedef enum {
    PH_CANDIDATE_LOCAL,          /* an address of the host's own */
    PH_CANDIDATE_REFLEXIVE,      /* as a reflector saw it */
    PH_CANDIDATE_MAPPED,         /* by a port mapping that was asked for */
    PH_CANDIDATE_PEER_REFLEXIVE, /* as the peer saw it */
    PH_CANDIDATE_RELAYED,
    PH_CANDIDATE_N,
} PhCandidateKind;

typedef struct PhCandidate {
    uint8_t kind; /* PhCandidateKind */
    PhAddress address;
} PhCandidate;

/* What a node says of itself. */
typedef struct PhNodeRecord {
    uint64_t sequence; /* grows with every change (wall clock at first): an old one does not replace
                          it */
    char name[PH_NAME_MAX + 1]; /* "": none */
    uint8_t nat_class;          /* PhClass */
    uint8_t mapping;            /* PhMapping */
    uint8_t filtering;          /* PhFiltering */
    /* The others are of use where the mapping depends on the destination. */
    uint8_t pooling;         /* PhPooling */
    uint8_t port_allocation; /* PhPortAllocation */
    int16_t step;
    uint16_t block_first, block_last;
    uint8_t relays;      /* 1: it relays and mediates for others */
    uint8_t hidden;      /* 1: nobody is to be told where it is; it is reached by relays alone */
    uint8_t beside_open; /* 1: in the other family of addresses it lets everybody in */
    uint8_t n_candidates;
    PhCandidate candidates[PH_CANDIDATES_MAX];
} PhNodeRecord;

typedef struct PhMessage {
    uint8_t kind; /* PhMessageKind */
    union {
        struct {
            const uint8_t *bytes;
            size_t length;
        } data;
        struct {
            uint64_t id;
            PhAddress seen;
        } ping;              /* only PONG has seen; also LOOK, LOOKED */
        uint8_t reason;      /* CLOSE */
        PhNodeRecord record; /* REGISTER, UPDATE */
        struct {
            uint32_t lifetime_s;
            PhAddress seen;
            PhAddress also; /* where the hub is in the other family of addresses; NONE: nowhere */
        } registered;
        struct {
            uint8_t what; /* PhMessageKind */
            uint8_t reason;
            uint32_t request; /* of a CONNECT or INTRODUCE */
        } refused;
        struct {
            uint32_t request; /* the asker's number for it */
            bool near;        /* it has a direct path that works, and lacks a relay only */
            bool by_name;
            char name[PH_NAME_MAX + 1];
            uint8_t key[PH_NODE_KEY_BYTES];
        } connect;
        struct {
            uint32_t request; /* 0 in WANTED */
            uint32_t channel; /* at this hub */
            bool near;        /* the CONNECT's, in WANTED */
            uint8_t key[PH_NODE_KEY_BYTES];
            PhNodeRecord record;
            PhAddress seen; /* where the hub sees that node */
        } peer;             /* FOUND, WANTED */
        struct {
            uint32_t channel;
            const uint8_t *bytes;
            size_t length;
        } relay; /* RELAY, RELAYED */
        struct {
            uint32_t request;
            uint8_t attempt;                /* 1, 2, 3 */
            uint8_t key[PH_NODE_KEY_BYTES]; /* of the peer */
            PhNodeRecord record;            /* the asker's own, now */
        } introduce;
        struct {
            uint32_t request; /* the asker's; 0 for the other */
            uint8_t attempt;
            uint8_t key[PH_NODE_KEY_BYTES]; /* of the other */
            PhNodeRecord
                record; /* the other's; reflexive candidates are those that the mediator saw */
            uint8_t token[16]; /* both have the same: authenticates punch packets */
            uint32_t start_us; /* from now: the common start, half a round trip taken off */
        } introduced;
    };
} PhMessage;

/* How many bytes were written; 0 when `room` is too small or the message makes no sense. */
size_t ph_message_write(const PhMessage *message, uint8_t *ret_bytes, size_t room);
/* One message from the front; `*ret_used` says how long it was (a handshake's payload has several).
 * False: malformed. Pointers in it lead into `bytes`. */
bool ph_message_read(const uint8_t *bytes, size_t length, PhMessage *ret_message, size_t *ret_used);
/* Whether a name may be one. */
bool ph_name_is_valid(const char *name);
