/* SPDX-License-Identifier: MIT */
/*
 * The classifier finds out behind what kind of NAT a host is (RFC 4787, RFC 5780), with the help of
 * a reflector: one with two addresses and two ports tells everything; one with less, or any plain
 * STUN server, what it can. One classifier does one classification.
 *
 * - Mapping: the data socket asks all four of the reflector's sockets. What rests on two mappings
 *   being equal is tried again from a fresh socket: equal ports can be chance.
 * - Filtering: a fresh socket asks to be answered from elsewhere. Silence counts only when a
 *   control that was sent with it was answered, several times in a row, more often where packets
 *   get lost, and who was to answer from elsewhere is there still.
 * - What the reflector says is not believed further than it must be: one on the internet that
 *   names an address in a private network has nothing sent there.
 * - `direct` is only who is seen with an address of its own: the driver says which those are.
 *
 * A classification takes a few round trips, three where nothing is translated and filtered and ten
 * where ports have to be sampled. Then comes the time that silence has to be waited for, if there
 * is any: two rounds of pacing (5 ms, or a quarter of the patience), and then the patience with as
 * much again, 25 ms at least. The patience is the round trip plus four times its variation. On a
 * LAN that is 37 ms. Blocked UDP takes 3 s, anything PH_CLASSIFIER_DEADLINE_NS at most: what is
 * known by then is the result.
 */
#pragma once

#include <pinhole/classification.h>
#include <pinhole/path.h>

#define PH_CLASSIFIER_LOCALS      32
#define PH_CLASSIFIER_SOCKETS     9 /* its own and the driver's, over the whole time */
#define PH_CLASSIFIER_DEADLINE_NS UINT64_C(30000000000)

typedef struct PhClassifierConfig {
    uint8_t seed[PH_SEED_BYTES];
    PhAddress server; /* the reflector, with its port */
    /* The host's own addresses, of that family. With none, and a data socket that is bound to the
     * unspecified address, `direct` cannot be told. Where there are more than fit, the one that
     * the server is reached from has to be among them: else `direct` reads as `full-cone`. */
    PhAddress locals[PH_CLASSIFIER_LOCALS];
    size_t n_locals;
    /* The driver's data socket with the address that it is bound to, if there is one. Else the
     * classifier asks for one. */
    bool has_socket;
    uint32_t socket;
    PhAddress socket_local;
    /* Tell the server the class in the end: one Binding indication with NAT-CLASS, which whoever
     * does not know it ignores. */
    bool report;
    /* The first of PH_CLASSIFIER_SOCKETS ids for sockets of the classifier's own. */
    uint32_t first_socket;
} PhClassifierConfig;

typedef struct PhClassifierCounters {
    uint64_t sent, answers; /* answers that were ours */
    uint64_t foreign;       /* datagrams that were offered and are not ours */
} PhClassifierCounters;

typedef struct PhClassifier PhClassifier;

/* NULL when there is no memory, or the config makes no sense. */
PH_EXPORT PhClassifier *ph_classifier_new(const PhClassifierConfig *config, uint64_t now);
/* NULL is fine; returns NULL. */
PH_EXPORT PhClassifier *ph_classifier_free(PhClassifier *classifier);

/* See path.h for the order in which these are called. */
PH_EXPORT bool ph_classifier_poll_socket(PhClassifier *classifier, PhSocketRequest *ret_request);
PH_EXPORT void ph_classifier_socket_opened(PhClassifier *classifier, uint32_t socket,
                                           const PhAddress *local, uint64_t now);
PH_EXPORT void ph_classifier_socket_failed(PhClassifier *classifier, uint32_t socket, uint64_t now);
PH_EXPORT bool ph_classifier_poll_transmit(PhClassifier *classifier, PhTransmit *ret_transmit);
/* The result, once. All sockets of the classifier's own are to be closed by then. */
PH_EXPORT bool ph_classifier_poll_event(PhClassifier *classifier,
                                        PhClassification *ret_classification);

/* The mapping, as far as it is known by now: before the result, from two round trips on. */
PH_EXPORT PhMapping ph_classifier_mapping(const PhClassifier *classifier);

/* False: not ours. */
PH_EXPORT bool ph_classifier_handle_datagram(PhClassifier *classifier, const PhPath *path,
                                             const uint8_t *bytes, size_t length, uint64_t now);
/* ICMP said that what was sent along this path cannot be delivered. */
PH_EXPORT void ph_classifier_unreachable(PhClassifier *classifier, const PhPath *path,
                                         uint64_t now);
PH_EXPORT void ph_classifier_handle_timeout(PhClassifier *classifier, uint64_t now);
PH_EXPORT uint64_t ph_classifier_next_timeout(const PhClassifier *classifier);

/* The classifier's own: they go on counting, and go with it. */
PH_EXPORT const PhClassifierCounters *ph_classifier_counters(const PhClassifier *classifier);
