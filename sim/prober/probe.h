/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the prober. Three layers:
 *
 *   prober.c   the public functions, the order of the tests
 *   one file a test (reach.c, mapping.c, ...), each a small state machine with one function `step`
 *   socket.c, flight.c   sockets and datagrams in flight
 *
 * A step function does all that can be done now and returns TRUE once its test is over. It is
 * called again after every event; what it waits for is a flight, or a time it has asked for.
 */
#pragma once

#include "prober/prober.h"

#define PL_MS G_GUINT64_CONSTANT(1000000)

/* After a control has arrived: what was sent before it on the same way is missing then. */
#define PL_PROBE_GRACE_NS (25 * PL_MS)

/* An echo that is not answered is followed by others, up to so many. */
#define PL_PROBE_ECHOES 8

/* The ids of everything that is no socket. */
enum {
    PL_PROBE_ID_TCP,
    PL_PROBE_ID_ECHO, /* the first of them */
    PL_PROBE_ID_FORWARD = PL_PROBE_ID_ECHO + PL_PROBE_ECHOES,
    PL_PROBE_ID_SOCKET,
};

typedef struct PlProbeSocket {
    PlProbePlace place;
    PhAddress local;
    gboolean fixed; /* no other port will do */
    gboolean dead;  /* no port could be bound, or it has been closed */
    unsigned tries;
} PlProbeSocket;

typedef enum {
    PL_FLIGHT_FLYING,
    PL_FLIGHT_ARRIVED,
    PL_FLIGHT_LOST,
} PlFlightState;

/* How much is done for a datagram to arrive. */
typedef enum {
    PL_FLIGHT_ONCE,  /* sent at one time: whether it arrives is the question */
    PL_FLIGHT_MUST,  /* sent again and again for two seconds */
    PL_FLIGHT_BRIEF, /* the same for 150 ms: many of them, of which some are expected to fail */
} PlFlightCare;

/* A datagram (with its copies) on its way from one socket of the prober's to another. */
typedef struct PlFlight {
    unsigned from, to; /* socket ids */
    PhAddress remote;
    PlFlightCare care;
    PlFlightState state;
    unsigned copies;
    uint64_t sent_ns, last_ns, due_ns; /* first copy; last so far; next copy or loss */
    uint64_t arrived_ns;
    PhAddress source; /* as seen where it arrived */
} PlFlight;

/* The first arrival from an inside socket at an outside one. */
typedef struct PlProbeFlow {
    unsigned socket;
    PhAddress remote, external;
    gboolean first; /* of this socket */
    gboolean fresh; /* the socket had not been seen with this external address */
} PlProbeFlow;

typedef enum {
    PL_ANSWER_PENDING,
    PL_ANSWER_YES,
    PL_ANSWER_NO,
} PlAnswer;

typedef enum {
    PL_TRIAL_WAITING,
    PL_TRIAL_SETTLED, /* what has not arrived by now was dropped */
    PL_TRIAL_FAILED,  /* the control was lost: nothing can be said */
} PlTrial;

/* What each test remembers. `state` 0 is where each begins. */
typedef struct PlReachTest {
    int state;
    uint64_t start_ns;
    uint64_t way_ns; /* when first anything got out; UINT64_MAX: not yet */
    PlAnswer udp, tcp, icmp;
    PhAddress tcp_from;
    unsigned echoes, echoes_failed, tcp_failed;
    uint64_t echo_ns;        /* the last one */
    uint64_t echo_known_ns;  /* the first one on a way known to be there; UINT64_MAX: none yet */
    unsigned socket, flight; /* the mapping test goes on with it */
} PlReachTest;

typedef struct PlForwardsTest {
    int state;
    unsigned i, address; /* of the one that is tried */
    unsigned socket, outside, flight;
    PlAnswer tcp;
    PhAddress tcp_from;
    uint64_t tcp_ns;      /* when it was asked for */
    gboolean unavailable; /* there is no listening where it leads */
} PlForwardsTest;

typedef struct PlMappingTest {
    int state;
    unsigned round, i, socket, flight[4];
    int found; /* PlMapping, -1: undecided */
} PlMappingTest;

typedef struct PlAllocationTest {
    int state;
    unsigned i, n, flight;
    unsigned flow_first, flow_end; /* the flows whose order is known */
} PlAllocationTest;

typedef struct PlFilteringTest {
    int state;
    unsigned socket, contact, other_address, other_port, control;
    int found; /* PlFiltering, -1: undecided */
} PlFilteringTest;

typedef struct PlHairpinTest {
    int state;
    unsigned socket[2], contact[2], there, back, control;
} PlHairpinTest;

typedef struct PlUnsolicitedTest {
    int state;
    unsigned socket, contact, stranger, mapped, unused, control;
    unsigned reply, late; /* 0: not sent (token 0 is the reach test's) */
    PhAddress external, unused_remote;
    gboolean unreachable;
} PlUnsolicitedTest;

typedef struct PlPoolingTest {
    int state;
    unsigned first, n;
    unsigned flight[20];
} PlPoolingTest;

typedef struct PlTimeoutTest {
    int state;
    unsigned attempts, moment;
    unsigned socket[3], contact[3], probe, again, control;
} PlTimeoutTest;

typedef struct PlPortsTest {
    int state;
    unsigned control; /* 0: not sent */
    GArray *flights;  /* unsigned, tokens */
} PlPortsTest;

struct PlProber {
    PlProbePlan plan;
    const PlBehaviour *claim; /* of plan.nat, or NULL */
    uint64_t now, wake_ns;
    uint64_t random;
    uint8_t run[8];
    uint64_t used_ports[65536 / 64];
    GArray *sockets; /* PlProbeSocket */
    GArray *flights; /* PlFlight; the index is the token */
    GArray *flows;   /* PlProbeFlow, in order of arrival */
    GQueue actions;  /* PlProbeAction, owned */
    unsigned phase;
    unsigned finished; /* tests, a bit each */
    gboolean done;
    PlFindings findings;

    unsigned outside[2][2]; /* the outside sockets: [address][port] */
    PlReachTest reach;
    PlForwardsTest forwards;
    PlMappingTest mapping;
    PlAllocationTest allocation;
    PlFilteringTest filtering;
    PlHairpinTest hairpin;
    PlUnsolicitedTest unsolicited;
    PlPoolingTest pooling;
    PlTimeoutTest timeout;
    PlPortsTest ports;
};

/* socket.c */
uint64_t pl_probe_random(PlProber *prober);
/* A free port; `spread` keeps away from every external port seen so far and from what may follow
 * it. */
uint16_t pl_probe_port(PlProber *prober, gboolean spread);
/* Port 0: one from the seed. Returns the id. */
unsigned pl_probe_open(PlProber *prober, PlProbePlace place, const PhAddress *host, uint16_t port);
void pl_probe_close(PlProber *prober, unsigned id);
PlProbeSocket *pl_probe_socket(const PlProber *prober, unsigned id);
void pl_probe_socket_failed(PlProber *prober, unsigned id);
PlProbeAction *pl_probe_act(PlProber *prober, PlProbeActionKind kind, unsigned id);

/* flight.c */
unsigned pl_probe_send(PlProber *prober, unsigned from, unsigned to, const PhAddress *remote,
                       PlFlightCare care);
/* From an inside socket straight to an outside one, with every care. */
unsigned pl_probe_contact(PlProber *prober, unsigned from, unsigned to);
const PlFlight *pl_probe_flight(const PlProber *prober, unsigned token);
gboolean pl_probe_arrived(const PlProber *prober, unsigned token);
gboolean pl_probe_lost(const PlProber *prober, unsigned token);
/* Why a lost flight is one. */
char *pl_probe_lost_why(const PlProber *prober, unsigned token);
/* What came of the datagrams that were sent before this control. */
PlTrial pl_probe_trial(PlProber *prober, unsigned control);
void pl_probe_receive(PlProber *prober, unsigned id, const PhAddress *from, const uint8_t *data,
                      size_t length);
void pl_probe_tick(PlProber *prober);
/* A socket that was to be at `old` is somewhere else. */
void pl_probe_readdress(PlProber *prober, unsigned socket, const PhAddress *old);
/* The next time anything in flight is due. */
uint64_t pl_probe_due(const PlProber *prober);
/* The external address that socket was first seen with; NULL when it was not. */
const PhAddress *pl_probe_external(const PlProber *prober, unsigned socket);

/* prober.c */
/* Asks for a step at this time, at the latest. */
void pl_probe_wake(PlProber *prober, uint64_t time_ns);
/* An axis that could not be decided, and why. */
void pl_probe_undecided(PlProber *prober, PlAxis axis, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The same, because of a lost flight. */
void pl_probe_undecided_lost(PlProber *prober, PlAxis axis, unsigned token);

/* The tests. */
gboolean pl_reach_step(PlProber *prober);
gboolean pl_reach_rest_step(PlProber *prober); /* waits for TCP and ICMP */
gboolean pl_forwards_step(PlProber *prober);
gboolean pl_mapping_step(PlProber *prober);
gboolean pl_allocation_step(PlProber *prober);
gboolean pl_filtering_step(PlProber *prober);
gboolean pl_hairpin_step(PlProber *prober);
gboolean pl_unsolicited_step(PlProber *prober);
gboolean pl_pooling_step(PlProber *prober);
gboolean pl_timeout_step(PlProber *prober);
gboolean pl_ports_step(PlProber *prober);

void pl_reach_tcp(PlProber *prober, const PhAddress *from);
void pl_reach_echo(PlProber *prober, gboolean answered);
void pl_reach_conclude(PlProber *prober);
/* The connection to a forwarded port has arrived, or has not; NULL and `unavailable`: nobody could
 * listen there. */
void pl_forwards_tcp(PlProber *prober, const PhAddress *from, gboolean unavailable);
/* How many ports the ports test expects; 0: it is none of its business. */
unsigned pl_ports_claimed(const PlProber *prober);
/* The allocation as far as it is known now: PlPortAllocation, or -1. */
int pl_allocation_judge(const PlProber *prober);
void pl_allocation_conclude(PlProber *prober);
void pl_pooling_conclude(PlProber *prober);
void pl_unsolicited_conclude(PlProber *prober);
