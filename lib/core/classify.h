/* SPDX-License-Identifier: MIT */
/*
 * Inside the classifier.
 *
 *   classifier.c            the agent: sockets and datagrams
 *   classify_phases.c       what is done, in which order
 *   classify_mapping.c      what the four answers to one socket amount to
 *   classify_samples.c      fresh sockets one after the other
 *   classify_silence.c      the tests in which silence is an answer: filtering and hairpin
 *   classify_allocation.c   how external ports and addresses are chosen
 *
 * Every request has its place in one table of exchanges; judging looks at what stands there.
 */
#pragma once

#include <pinhole/classifier.h>

#include "exchange.h"

#define PH_CLASSIFY_SAMPLES    5  /* fresh sockets */
#define PH_CLASSIFY_ROUNDS_MAX 20 /* of tests that may stay silent */

/* The places of sockets. */
enum {
    PH_AT_DATA,
    PH_AT_FILTER,
    PH_AT_REPEAT,
    PH_AT_HAIRPIN,
    PH_AT_SAMPLE,
    PH_AT_N = PH_AT_SAMPLE + PH_CLASSIFY_SAMPLES,
};
_Static_assert((int)PH_AT_N == PH_CLASSIFIER_SOCKETS, "as promised");

/* What is sent in a round; the control last, so that nothing can overtake it by being later. */
enum {
    PH_TEST_BOTH, /* from another address and port */
    PH_TEST_PORT, /* from another port */
    PH_TEST_HAIRPIN_THERE,
    PH_TEST_HAIRPIN_BACK,
    PH_TEST_CONTROL,
    PH_TEST_N,
};

/* The places of exchanges: [round][host][port] of the mapping test first. */
enum {
    PH_X_MAPPING = 0,
    PH_X_REPEAT = 4,
    PH_X_FILTER = 8,
    PH_X_SAMPLE,
    PH_X_HAIRPIN = PH_X_SAMPLE + PH_CLASSIFY_SAMPLES,
    PH_X_RECHECK,
    PH_X_ALIVE, /* whether those that were to answer from elsewhere are there still: [test] */
    PH_X_ROUND = PH_X_ALIVE + PH_TEST_PORT + 1,
    PH_X_N = PH_X_ROUND + PH_CLASSIFY_ROUNDS_MAX * PH_TEST_N,
};

typedef enum {
    PH_SOCKET_UNUSED,
    PH_SOCKET_WANTED,
    PH_SOCKET_OPENING,
    PH_SOCKET_READY,
    PH_SOCKET_DONE, /* to be closed */
    PH_SOCKET_GONE, /* closed, or never opened */
} PhSocketState;

typedef struct PhClassifySocket {
    PhSocketState state;
    uint32_t id;
    PhAddress local;
} PhClassifySocket;

typedef enum {
    PH_PHASE_SOCKET,
    PH_PHASE_FIRST,
    PH_PHASE_MAPPING,
    PH_PHASE_REPEAT,
    PH_PHASE_SAMPLES,
    PH_PHASE_HAIRPIN,
    PH_PHASE_SILENCE,
    PH_PHASE_DONE,
} PhPhase;

/* What became of a test that may stay silent. */
typedef enum {
    PH_TRIAL_OPEN,    /* not decided */
    PH_TRIAL_ARRIVED, /* the packet came */
    PH_TRIAL_SILENT,  /* it did not, though controls did */
    PH_TRIAL_REFUSED, /* the reflector does not do that */
    PH_TRIAL_LATER,   /* the reflector does not do it just now */
} PhTrial;

struct PhClassifier {
    PhClassifierConfig config;
    PhRandom random;
    PhRtt rtt;
    uint64_t now, start_ns, wake_ns; /* wake_ns: what the phase waits for */
    PhPhase phase;
    PhClassifySocket sockets[PH_AT_N];
    PhExchange exchanges[PH_X_N];
    PhAddress reflector[2][2]; /* its four sockets, as far as they exist */
    const char *one_address;   /* why it has not all four; NULL: it has */
    bool unreachable;          /* ICMP said so */
    bool barred;               /* by the host's own firewall */
    bool babbles;              /* something that is no answer came from there */
    bool report;               /* to be sent: it is done, but for this */
    bool expired;              /* the deadline has come */
    bool polled, samples_at_once;
    unsigned sample, rounds;
    uint64_t round_ns; /* when the last round began */
    PhAddress hairpin_source;
    unsigned hairpin_socket; /* where it came in */
    PhClassification result;
    PhClassifierCounters counters;
    uint8_t buffer[PH_EXCHANGE_BYTES];
};

/* classifier.c */
void ph_classify_ask(PhClassifier *c, unsigned exchange, unsigned socket, const PhAddress *remote,
                     const PhSchedule *schedule);
static inline bool ph_classify_answered(const PhClassifier *c, unsigned exchange)
{
    return c->exchanges[exchange].state == PH_EXCHANGE_ANSWERED;
}
static inline bool ph_classify_is_over(const PhClassifier *c, unsigned exchange)
{
    return c->exchanges[exchange].state != PH_EXCHANGE_WAITING;
}
/* A socket is to be there; it will be, or not; it is not needed any more. */
void ph_classify_want(PhClassifier *c, unsigned place);
bool ph_classify_is_coming(const PhClassifier *c, unsigned place);
void ph_classify_let_go(PhClassifier *c, unsigned place);
/* The socket through which an exchange asks. */
const PhClassifySocket *ph_classify_socket_of(const PhClassifier *c, unsigned exchange);

/* classify_phases.c */
/* Does what can be done now. */
void ph_classify_advance(PhClassifier *c);
/* Ends it with what is known, but for the report. */
void ph_classify_finish(PhClassifier *c, PhClass nat_class, const char *why);
/* Ends it at the deadline, with what is known by then. */
void ph_classify_expire(PhClassifier *c);
/* How long an answer may take, from what was measured. */
uint64_t ph_classify_patience(const PhClassifier *c);
/* That of a request that is to be answered; one with less copies. */
PhSchedule ph_classify_schedule(const PhClassifier *c);
PhSchedule ph_classify_schedule_of(const PhClassifier *c, unsigned copies);

/* classify_mapping.c */
/* The reflector's other sockets, from its first answer. */
void ph_classify_reflector(PhClassifier *c);
/*
 * Whether an address that the reflector names may be sent to. What it says is all that we have, but
 * none can be at loopback or a group's address; and one on the internet has no business in
 * somebody's private network: whoever names that would have us send packets there.
 */
bool ph_classify_may_ask(const PhClassifier *c, const PhAddress *address);
/* Judges both rounds as far as they have come. */
void ph_classify_mapping(PhClassifier *c);
/* Something on the way translates; or may, for all that is known. */
bool ph_classify_is_translated(const PhClassifier *c);

/* classify_samples.c */
/* True when all have been asked, or the next ones will not be answered. */
bool ph_classify_samples_step(PhClassifier *c);
/* True when the hairpin's socket has made its contact, or will not. */
bool ph_classify_hairpin_contact(PhClassifier *c);

/* classify_silence.c */
void ph_classify_round(PhClassifier *c);
/* True when all is decided, or nothing more can be. */
bool ph_classify_silence_step(PhClassifier *c);
void ph_classify_filtering(PhClassifier *c);
void ph_classify_hairpin(PhClassifier *c);

/* classify_allocation.c */
/* All sockets have kept their ports, and they are enough. */
bool ph_classify_preserves(const PhClassifier *c);
void ph_classify_allocation(PhClassifier *c);
