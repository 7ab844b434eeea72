/* SPDX-License-Identifier: MIT */
/*
 * The node's parts:
 *
 *   node_api.c     its surface: what a recording has of it
 *   node.c         behind that: networks, datagrams, time
 *   node_socket.c  its sockets, whoever wants them
 *   node_event.c   what it tells
 *   node_reason.c  why, in words
 *   node_status.c  what it knows: itself, its peers, its counters
 *   node_hub.c     the hub
 *   node_self.c    what it knows of itself: its record, its class
 *   node_binding.c how long its NAT keeps a mapping
 *   node_family.c  the family of addresses that it does not reach the hub by
 *   node_peer.c    who the peers are, and their sessions
 *   node_talk.c    what is said to them, and by them
 *   node_path.c    the ways to a peer, and which one is used
 *   node_relay.c   who carries what cannot go direct
 *   node_punch.c   attempts at a direct one
 *   node_look.c    whether there is a better direct way
 *   node_fresh.c   a fresh socket for an attempt
 *   node_mediator.c  who introduces us, and what is believed of it
 *   node_station.c   what we do for our peers: mediate and relay
 *   node_send.c    from a message to a datagram
 */
#pragma once

#include <pinhole/classifier.h>
#include <pinhole/lifetime.h>
#include <pinhole/node.h>

#include "detector.h"
#include "exchange.h"
#include "message.h"
#include "punch.h"
#include "random.h"
#include "session.h"
#include "tape.h"

#define PH_NODE_EVENTS   256
#define PH_NODE_OUTGOING 128
/* A driver takes these after each batch of what it gives: of each peer all that it may leave in one
 * call, its two direct ways, the one before and a fresh socket, and its punch. */
#define PH_NODE_CLOSES (4 * PH_NODE_PEERS_MAX)
#define PH_NODE_BURIED PH_NODE_PEERS_MAX
/* Until the next attempt, doubling; how long a path may take to be proven. */
#define PH_NODE_BACK_OFF_NS (4 * UINT64_C(1000000000))
#define PH_NODE_PROVE_NS    (3 * UINT64_C(1000000000))
/* A socket that the system did not give is asked for again. */
#define PH_NODE_SOCKET_AGAIN_NS (60 * UINT64_C(1000000000))
/* A route by the hub's relay, whatever its session is just now; all others are by peers. */
#define PH_NODE_VIA_HUB   UINT32_MAX
#define PH_NODE_ASKED_MAX 4
#define PH_NODE_SOURCES   64
#define PH_NODE_NAMED     64
#define PH_NEVER          UINT64_MAX

/* A way to a peer. */
typedef struct PhWay {
    bool there; /* validated: an answer came back along it */
    PhRoute route;
    PhPathKind kind;
    PhDetector detector;
    PhHealth health; /* as it was told last */
} PhWay;

#define PH_NODE_LOOKS 4

/* Where a peer was looked for, and its answer is awaited. */
typedef struct PhLook {
    uint64_t id, sent_ns;
    PhRoute route;
} PhLook;

/* A fresh socket, and where the hub sees it. */
typedef enum {
    PH_PREPARED_NONE,
    PH_PREPARED_WANTED,
    PH_PREPARED_OPENING,
    PH_PREPARED_ASKING,
    PH_PREPARED_KNOWN,
} PhPreparedState;

typedef struct PhPrepared {
    PhPreparedState state;
    bool asks;           /* we are who asks the mediator then */
    bool done, answered; /* ours is as ready as it gets; and theirs */
    uint32_t socket;
    PhExchange exchange;
    PhAddress mapped;
    uint64_t until_ns;
} PhPrepared;

typedef enum {
    PH_PEER_FREE,
    PH_PEER_LOOKING, /* the hub has been asked, or will be as soon as it is there */
    PH_PEER_MEETING, /* known; its session is being made */
    PH_PEER_TALKING,
} PhPeerState;

/* What came of an attempt at a direct way. */
typedef enum {
    PH_OUTCOME_OPEN,
    PH_OUTCOME_FAILED,
    PH_OUTCOME_TIMED_OUT,
    PH_OUTCOME_REJECTED, /* nobody introduced us */
} PhOutcome;

typedef struct PhQueued {
    uint16_t length;
    uint8_t bytes[PH_NODE_MESSAGE_MAX];
} PhQueued;

/* A question that goes from one to the next who may know. */
typedef struct PhAsking {
    uint32_t request, via; /* the last one, and whom it went to */
    uint32_t asked[PH_NODE_ASKED_MAX];
    unsigned n_asked;
} PhAsking;

/* Whose name that is, or was when the hub last said so. */
typedef struct PhNamed {
    char name[PH_NAME_MAX + 1]; /* "": none */
    uint8_t key[PH_NODE_KEY_BYTES];
} PhNamed;

/* What a peer, or all at an address, has had of us (bucket.h). */
typedef struct PhServed {
    uint64_t connects_ns, introductions_ns, relay_ns;
} PhServed;

typedef struct PhPeer {
    PhPeerState state;
    uint32_t number;
    uint32_t via; /* as a relay it has this number for ever, at us and as a channel */
    PhAsking connect, introduce;
    bool by_name;
    bool ours, theirs; /* who asked for whom; of two, the lower key has punches attempted */
    bool lower;        /* our key is the lower one */
    bool known;        /* its key is */
    uint8_t key[PH_NODE_KEY_BYTES];
    char name[PH_NAME_MAX + 1];
    uint32_t session;  /* end to end */
    uint32_t coming;   /* a newer session that is being made; 0: none */
    PhRoute coming_by; /* by which relay we began it, and when */
    uint64_t coming_ns;
    PhNodeRecord record;
    PhWay relayed, direct;
    PhWay fresh; /* a direct one that is being proven, beside what is used */
    PhWay *used; /* one of these, once it talks */
    /* While `leaving`, the direct way before this one: something may be underway on it. */
    PhRoute before;
    uint64_t before_until_ns;
    /* A punch that is under way, what it opened, and when the next one may be. */
    PhPunch *punch;
    PhPrepared prepared;
    PhStrategy strategy;
    PhAddress seen; /* by the hub */
    unsigned attempt;
    uint32_t mediator;   /* of the attempt, or who was asked to be that */
    uint64_t attempt_ns; /* since when it is under way */
    bool alone;          /* nobody can introduce us: that has been told */
    bool opened;  /* the punch has, and is kept a while: the other side may need answers still */
    bool judged;  /* what came of it has been counted */
    bool proving; /* `fresh` is */
    bool leaving;
    bool renewing; /* the direct way's mapping is about to end of age: another way is made ready */
    unsigned n_looks;
    PhLook looks[PH_NODE_LOOKS]; /* for a better direct way, and when the next ones are due */
    uint64_t look_ns;
    uint64_t next_attempt_ns, back_off_ns, prove_until_ns, punch_until_ns;
    uint64_t prove_again_ns, prove_gap_ns;
    /* The direct way's mapping, where it is not the hub's: since when it is there; and for which
     * one another way was made ready last. */
    uint64_t mapped_ns, renewed_ns;
    uint64_t keep_until_ns;      /* a direct way that has failed is given up then */
    const char *reason;          /* why the path is what it is */
    uint64_t ask_ns, give_up_ns; /* of LOOKING and MEETING */
    PhQueued *queue;             /* PH_NODE_QUEUE_MAX of them, while it is not reached */
    unsigned queue_first, queue_n;
    PhServed served;
    uint64_t believed_ns;   /* a bucket: of what it told us of others, unasked */
    uint64_t introduced_ns; /* a bucket: of what others told us of it */
} PhPeer;

typedef struct PhHubLink {
    enum { PH_HUB_WAITING, PH_HUB_ASKING, PH_HUB_UP, PH_HUB_REFUSED } state;
    uint32_t session, coming; /* coming: being made, beside the one in use or alone; 0: none */
    PhDetector detector;
    PhAddress seen;
    uint64_t asked_ns, took_ns; /* of the last request, and what its answer took at most */
    uint64_t remapped_ns;       /* when our mapping was seen to be another one; 0: never */
    const char *reason;         /* why it is not registered; NULL: it is, or was never asked */
    uint64_t again_ns, back_off_ns;
    uint64_t check_ns; /* UP: until then it has to be heard of; PH_NEVER: as usual */
} PhHubLink;

/* Beside that: the hub in the other family of addresses, and us there. */
typedef struct PhBesideLink {
    PhAddress hub;   /* family NONE: it is not there */
    PhAddress seen;  /* by the hub; family NONE: we have not shown that we are there */
    uint64_t ping;   /* the id of the last one */
    unsigned silent; /* pings that were not answered, in a row */
    uint64_t next_ns, gap_ns;
    uint64_t settled_ns; /* attempts at paths wait for it until then */
    bool open;           /* everybody is let in there */
    bool classifying;    /* the classifier that runs is for that */
    uint64_t classify_ns;
} PhBesideLink;

typedef struct PhOutgoing {
    PhPath path;
    uint8_t ttl;
    uint16_t length;
    uint8_t bytes[PH_DATAGRAM_MAX];
} PhOutgoing;

typedef struct PhDataSocket {
    enum { PH_SOCKET_WANTED, PH_SOCKET_ASKED, PH_SOCKET_THERE, PH_SOCKET_FAILED } state;
    uint32_t socket; /* 0: none */
    PhAddress local;
    uint64_t again_ns; /* FAILED: it is asked for once more */
} PhDataSocket;

/* How long our NAT keeps a mapping: config.binding_ns is what is reckoned with. */
typedef struct PhBinding {
    bool given;            /* with the configuration */
    PhLifetime *measuring; /* NULL: nothing is being measured */
    bool elsewhere;        /* in another network since it began */
    uint64_t measure_ns;   /* when it begins */
    uint64_t known_ns;     /* what was measured, or given; 0: nothing */
    /* Of the mapping towards the hub: since when it is there, how old the one before got, and how
     * many in a row have got as old as the one before. */
    uint64_t since_ns, last_age_ns;
    unsigned alike;
    uint64_t age_ns; /* that they get; 0: they end for other reasons, or not at all */
} PhBinding;

struct PhNode {
    PhNodeConfig config;
    PhNodeCounters counters;
    PhRandom random;
    uint64_t now;
    uint8_t public_key[PH_NODE_KEY_BYTES];
    uint8_t hash_key[16];
    PhServed served[PH_NODE_SOURCES]; /* by addresses' hashes */
    PhNamed named[PH_NODE_NAMED];     /* a ring */
    unsigned named_n;
    PhSessions *sessions;
    PhRecorder *recorder; /* NULL: nothing is recorded */
    PhTape tape;
    PhHubLink hub;
    PhBesideLink beside;
    PhNodeRecord record; /* our own */
    /* Our data socket, and the one of the other family, if it is of use or the hub was tried there
     * before; and numbers for more. */
    PhDataSocket data, other;
    uint32_t next_socket;
    PhClassifier *classifier; /* NULL: none is running */
    uint64_t classify_ns;     /* the next one */
    PhClassification classification;
    PhBinding binding;
    PhClass assumed;  /* while there is no class: the worst that the mapping leaves */
    PhPeer *peers;    /* PH_NODE_PEERS_MAX of them */
    unsigned peers_n; /* slots that were ever in use: the first ones */
    uint32_t last_peer, last_via, last_request;
    PhNodeEvent *events; /* a ring */
    unsigned events_first, events_n;
    PhQueued event_bytes; /* of the DATA event that was polled */
    PhQueued *event_data; /* beside the ring: the bytes of each */
    PhOutgoing *outgoing; /* a ring */
    unsigned outgoing_first, outgoing_n;
    uint32_t closes[PH_NODE_CLOSES];
    unsigned closes_n;
    PhPunch *buried[PH_NODE_BURIED];
    unsigned buried_n;
    unsigned n_prepared;                /* peers that have a fresh socket, or will */
    uint8_t request[PH_EXCHANGE_BYTES]; /* to the reflector, until the next call */
    bool elsewhere; /* the classifier was begun in another network, and means nothing */
    bool closing;
};

/* Behind node_api.c: as in node.h. */
void ph_node_do_close(PhNode *node, uint64_t now);
uint32_t ph_node_do_connect(PhNode *node, const char *name, const uint8_t *key, uint64_t now);
void ph_node_do_disconnect(PhNode *node, uint32_t peer, uint64_t now);
bool ph_node_do_send(PhNode *node, uint32_t peer, const uint8_t *bytes, size_t length,
                     uint64_t now);
void ph_node_do_hub_at(PhNode *node, const PhAddress *hub, uint64_t now);
void ph_node_do_network_changed(PhNode *node, const PhAddress *locals, uint32_t n_locals,
                                uint64_t now);
bool ph_node_do_poll_socket(PhNode *node, PhSocketRequest *ret_request);
void ph_node_do_socket_opened(PhNode *node, uint32_t socket, const PhAddress *local, uint64_t now);
void ph_node_do_socket_failed(PhNode *node, uint32_t socket, uint64_t now);
bool ph_node_do_poll_transmit(PhNode *node, PhTransmit *ret_transmit);
bool ph_node_do_poll_event(PhNode *node, PhNodeEvent *ret_event);
bool ph_node_do_handle_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes,
                                size_t length, uint64_t now);
void ph_node_do_unreachable(PhNode *node, const PhPath *path, uint64_t now);
void ph_node_do_handle_timeout(PhNode *node, uint64_t now);

/* node_event.c: NULL when there are too many that nobody polls. */
PhNodeEvent *ph_node_event(PhNode *node, PhNodeEventKind kind, const PhPeer *peer);
void ph_node_say_reason(PhNodeEvent *event, PhReason reason);
/* An attempt is over, which is counted. */
void ph_node_tell_attempt(PhNode *node, const PhPeer *peer, PhOutcome outcome, unsigned attempt,
                          const char *reason);

/* Time never goes backwards. */
static inline void ph_node_set_now(PhNode *node, uint64_t now)
{
    if (now > node->now)
        node->now = now;
}

/* node.c */
void ph_node_seed(PhNode *node, uint8_t ret_seed[static PH_SEED_BYTES]);

/* node_socket.c */
/* A socket that nobody uses any more; a punch that may have some left to close. */
void ph_node_close_socket(PhNode *node, uint32_t socket);
void ph_node_bury(PhNode *node, PhPunch *punch);
/* The first of so many numbers in a row that no socket has: they come round again. */
uint32_t ph_node_socket_numbers(PhNode *node, uint32_t n);
/* Of those that last: the node's own two, and those of ways to peers. */
bool ph_node_has_socket(const PhNode *node, uint32_t socket);

/* node_send.c: false when it cannot be sent (no session, too long, the ring is full). */
bool ph_node_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes, size_t length,
                      uint8_t ttl);
bool ph_node_along(PhNode *node, const PhRoute *route, const uint8_t *packet, size_t length);
bool ph_node_tell(PhNode *node, uint32_t session, const PhRoute *route, const PhMessage *message);
bool ph_node_tell_hub(PhNode *node, const PhMessage *message);
/* Handshakes that want to be sent. */
void ph_node_flush_sessions(PhNode *node);

/* node.c: a packet of a session came along a route. */
void ph_node_packet(PhNode *node, const PhRoute *route, const uint8_t *bytes, size_t length);

/* node_hub.c */
PhRoute ph_node_hub_route(const PhNode *node);
void ph_node_hub_begin(PhNode *node);
void ph_node_hub_up(PhNode *node, const PhSessionInput *input);
void ph_node_hub_gone(PhNode *node, const char *reason);
/* Our network is another one: the hub is to know at once. */
void ph_node_hub_moved(PhNode *node);
void ph_node_hub_session_gone(PhNode *node, const PhSessionInput *input);
void ph_node_hub_messages(PhNode *node, const PhRoute *route, const uint8_t *bytes, size_t length);
void ph_node_hub_timeout(PhNode *node);
uint64_t ph_node_hub_next(const PhNode *node);

/* node_family.c */
/* The hub has said where else it is. */
void ph_node_family_begin(PhNode *node, const PhAddress *hub);
/* Our addresses there are others. */
void ph_node_family_moved(PhNode *node);
/* What the hub says there. False: it did not come that way. */
bool ph_node_family_message(PhNode *node, const PhRoute *route, const PhMessage *message);
bool ph_node_is_beside(const PhNode *node, const PhPath *path);
bool ph_node_family_poll_socket(PhNode *node, PhSocketRequest *ret_request);
/* False: it is not that one. `local` is NULL: it could not be opened. */
bool ph_node_family_socket(PhNode *node, uint32_t socket, const PhAddress *local);
/* When the hub has found us there, or will most probably not; what is over is 0. */
uint64_t ph_node_family_settled(const PhNode *node);
void ph_node_family_classified(PhNode *node, const PhClassification *classification);
void ph_node_family_timeout(PhNode *node);
uint64_t ph_node_family_next(const PhNode *node);
/* Whether we and the peer have a family in common that neither's class is about, or only one's. */
bool ph_node_family_shared(const PhNode *node, const PhPeer *peer);
bool ph_node_family_leads_to(const PhNode *node, const PhPeer *peer, const PhAddress *remote);
/* There: one of the two lets everybody in. */
bool ph_node_family_is_open(const PhNode *node, const PhPeer *peer);

/* node_self.c */
void ph_node_update_record(PhNode *node);
/* That the network is another one; the peers hear of it by their relays. `beside`: only those that
 * are reached by the other family. */
void ph_node_tell_moved(PhNode *node, bool beside);
/* By the hub. */
void ph_node_seen_elsewhere(PhNode *node, const PhAddress *seen);
/* Our record, as it is now. */
void ph_node_tell_hub_record(PhNode *node);
void ph_node_tell_record(PhNode *node); /* the peers, too */
void ph_node_classify(PhNode *node);
/* By that server, for the socket that sends to it. */
void ph_node_start_classifier(PhNode *node, const PhAddress *server, const PhDataSocket *data);
/* Classes change when networks do; once an hour finds what nobody noticed. */
#define PH_NODE_RECLASSIFY_NS (3600 * UINT64_C(1000000000))
/* The classifier may know something by now. */
void ph_node_classify_progress(PhNode *node);
void ph_node_classified(PhNode *node, const PhClassification *classification);
/* What is of another family than the hub sees us in. False: it is not. */
bool ph_node_forget_class(PhNode *node);

/* node_binding.c */
/* The hub sees us by another mapping of the same NAT; we are in another network; our class is
 * known. */
void ph_node_binding_lost(PhNode *node);
void ph_node_binding_moved(PhNode *node);
void ph_node_binding_classified(PhNode *node);
/* When the peer's direct way needs another mapping, before its own ends of age. */
uint64_t ph_node_binding_renew_ns(const PhNode *node, const PhPeer *peer);
bool ph_node_binding_renew(PhNode *node, PhPeer *peer); /* that it is made ready now */
bool ph_node_binding_poll_socket(PhNode *node, PhSocketRequest *ret_request);
void ph_node_binding_timeout(PhNode *node);
uint64_t ph_node_binding_next(const PhNode *node);

/* node_peer.c */
PhPeer *ph_node_peer_at(PhNode *node, uint32_t number);
PhPeer *ph_node_peer_by_key(PhNode *node, const uint8_t *key);
void ph_node_peer_gone(PhNode *node, PhPeer *peer, const char *reason, const char *sentence);
/* What a relay says: the hub, or a peer. */
void ph_node_found(PhNode *node, uint32_t via, const PhMessage *message);
void ph_node_wanted(PhNode *node, uint32_t via, const PhMessage *message);
void ph_node_refused(PhNode *node, uint32_t via, const PhMessage *message);
void ph_node_peer_request(PhNode *node, const PhRoute *route, const PhSessionInput *input);
/* A session is up, and takes the place of the one before; one is gone. */
void ph_node_peer_session(PhNode *node, PhPeer *peer, uint32_t session, const PhRoute *route);
void ph_node_peer_session_gone(PhNode *node, PhPeer *peer, const PhSessionInput *input);
void ph_node_peer_timeout(PhNode *node, PhPeer *peer);
uint64_t ph_node_peer_next(const PhNode *node, const PhPeer *peer);

/* node_talk.c */
/* What waits for a peer that can be sent to. */
void ph_node_flush_queue(PhNode *node, PhPeer *peer);
void ph_node_peer_up(PhNode *node, PhPeer *peer, const PhRoute *route);
void ph_node_peer_messages(PhNode *node, PhPeer *peer, const PhRoute *route, const uint8_t *bytes,
                           size_t length);

/* node_path.c */
/* A session that takes another one's place: the peer may be in another place as well. */
void ph_node_path_again(PhNode *node, PhPeer *peer, const PhRoute *route);
/* The peer's network is another one, or ours: what there was directly has to be proven. */
void ph_node_path_moved(PhNode *node, PhPeer *peer);
void ph_node_path_begin(PhNode *node, PhPeer *peer, const PhRoute *relayed);
void ph_node_path_heard(PhNode *node, PhPeer *peer, const PhRoute *route, bool data);
/* Whether what comes along a route may go back along it from now on: not by whatever socket of ours
 * somebody happens to find. `peer` is NULL: a stranger. */
bool ph_node_may_be_way(const PhNode *node, const PhPeer *peer, const PhRoute *route);
void ph_node_path_pong(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id);
/* Forgets the direct ways, and their sockets. */
void ph_node_path_leave(PhNode *node, PhPeer *peer);
void ph_node_prove(PhNode *node, PhPeer *peer, const PhRoute *route);
void ph_node_path_timeout(PhNode *node, PhPeer *peer);
uint64_t ph_node_path_next(const PhNode *node, const PhPeer *peer);

/* node_relay.c */
bool ph_node_way_is_well(const PhWay *way);
/* It is heard directly, and well: it can be asked, and be served. */
bool ph_node_is_near(const PhPeer *peer);
/* Who that relay is; NULL: the hub, or nobody any more. */
PhPeer *ph_node_peer_via(const PhNode *node, uint32_t via);
bool ph_node_via_is_well(const PhNode *node, uint32_t via);
void ph_node_via_key(const PhNode *node, uint32_t via, uint8_t ret_key[static PH_NODE_KEY_BYTES]);
bool ph_node_tell_via(PhNode *node, uint32_t via, const PhMessage *message);
/* A question's next number, for whom it goes to. */
uint32_t ph_node_ask(PhNode *node, PhAsking *asking, uint32_t via);
bool ph_node_was_asked(const PhAsking *asking, uint32_t via);
/* Of the peers that were not asked yet the one with the shortest round trip; 0: none. */
uint32_t ph_node_nearest(const PhNode *node, const PhPeer *peer, const PhAsking *asking,
                         bool relays);
PhMessage ph_node_connect_message(PhNode *node, PhPeer *peer, uint32_t via);
/* Names are the hub's, but peers can be asked for a key that it once had for one. NULL: it had
 * none. */
void ph_node_learn_name(PhNode *node, const char *name, const uint8_t *key);
const uint8_t *ph_node_key_of(const PhNode *node, const PhPeer *peer);
const char *ph_node_name_of(const PhNode *node, const uint8_t *key); /* "": none */
/* What is asked of a relay for a peer, and done then, has to have its time: so long. */
uint64_t ph_node_patience(const PhNode *node, uint32_t via);
bool ph_node_may_ask_for(const PhNode *node, const PhPeer *peer);
void ph_node_ask_for(PhNode *node, PhPeer *peer);
/* At once, as the one before has refused; false: that was the last one. */
bool ph_node_ask_another(PhNode *node, PhPeer *peer);
bool ph_node_is_lost(const PhNode *node, const PhPeer *peer);
/* When its time (ask_ns) has come. */
bool ph_node_wants_relay(const PhNode *node, const PhPeer *peer);
void ph_node_look_for_relay(PhNode *node, PhPeer *peer);
/* A relay is not well any more: those that need it look for another one. */
void ph_node_relay_lost(PhNode *node, uint32_t via);

/* node_mediator.c */
/* 0: nobody is left. */
uint32_t ph_node_next_mediator(const PhNode *node, const PhPeer *peer);
void ph_node_ask_mediator(PhNode *node, PhPeer *peer, uint32_t via);
/* Whether one more thing is believed that it tells us unasked. */
bool ph_node_believes(PhNode *node, uint32_t via);
/* What of a peer's introduction can be used; false: nothing. */
bool ph_node_vet(PhNode *node, PhPeer *peer, uint32_t via, const PhMessage *message,
                 PhNodeRecord *ret_other);

/* node_station.c: CONNECT, RELAY or INTRODUCE of a peer that is heard directly. */
void ph_node_serve(PhNode *node, PhPeer *from, const PhMessage *message);

/* node_punch.c */
PhPathKind ph_node_kind(const PhNode *node, const PhPeer *peer);
/* Why there is such a path. */
const char *ph_node_direct_reason(const PhNode *node, const PhPeer *peer);
bool ph_node_may_attempt(const PhPeer *peer);
void ph_node_attempt(PhNode *node, PhPeer *peer);
/* A direct way from a fresh socket is looked for, while the one that there is goes on. */
void ph_node_renew(PhNode *node, PhPeer *peer);
void ph_node_back_off(PhNode *node, PhPeer *peer);
void ph_node_introduced(PhNode *node, uint32_t via, const PhMessage *message);
/* Somebody can be asked for introductions again. */
void ph_node_mediator_found(PhNode *node);
void ph_node_introduction_refused(PhNode *node, PhPeer *peer, PhReason reason);
void ph_node_punch_progress(PhNode *node, PhPeer *peer);
void ph_node_punch_drop(PhNode *node, PhPeer *peer);
/* The path that it opened is in use. */
void ph_node_punch_proven(PhNode *node, PhPeer *peer);
/* Our class is another one, or the peer's. */
void ph_node_path_classes(PhNode *node, PhPeer *peer);

/* node_look.c */
/* Direct from now on; whether it is time; LOOK, and LOOKED. */
void ph_node_look_begin(PhNode *node, PhPeer *peer);
void ph_node_look(PhNode *node, PhPeer *peer);
void ph_node_looked_at(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id);
void ph_node_look_answered(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id);

/* node_fresh.c */
/* Before the mediator is asked. False: not yet; the attempt is due again when it is. */
bool ph_node_fresh_prepare(PhNode *node, PhPeer *peer);
void ph_node_fresh_drop(PhNode *node, PhPeer *peer);
/* A path by that socket is open, which is somebody else's from now on. */
bool ph_node_fresh_take(PhNode *node, PhPeer *peer, uint32_t socket);
/* PREPARE, PREPARED */
void ph_node_fresh_asked(PhNode *node, PhPeer *peer);
void ph_node_fresh_answered(PhNode *node, PhPeer *peer);
bool ph_node_fresh_poll_socket(PhNode *node, PhSocketRequest *ret_request);
bool ph_node_fresh_socket(PhNode *node, uint32_t socket, bool opened);
bool ph_node_fresh_poll_transmit(PhNode *node, PhTransmit *ret_transmit);
bool ph_node_fresh_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes, size_t length);
void ph_node_fresh_timeout(PhNode *node, PhPeer *peer);
uint64_t ph_node_fresh_next(const PhPeer *peer);
