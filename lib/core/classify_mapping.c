/* SPDX-License-Identifier: MIT */
/*
 * The mapping (RFC 5780 §4.3): one local socket as the reflector's four sockets see it.
 */
#include <string.h>

#include "classify.h"
#include "scope.h"

bool ph_classify_may_ask(const PhClassifier *c, const PhAddress *address)
{
    const PhAddress *server = &c->config.server;
    uint8_t lead = address->bytes[0];

    if (address->family != server->family || address->port == 0 || !ph_address_is_unicast(address))
        return false;
    if (ph_address_is_private(address) && !ph_address_is_private(server))
        return false;
    return address->family != PH_FAMILY_IPV4 ||
           (lead < 240 && (lead != 127 || server->bytes[0] == 127));
}

void ph_classify_reflector(PhClassifier *c)
{
    const PhExchange *first = &c->exchanges[PH_X_MAPPING];
    const PhAddress *server = &c->config.server, *other = &first->other;

    c->reflector[0][0] = *server;
    if (ph_classify_may_ask(c, other) && !ph_address_equal_host(other, server)) {
        if (other->port != server->port) {
            c->reflector[0][1] = c->reflector[1][0] = *server;
            c->reflector[0][1].port = other->port;
            c->reflector[1][0] = c->reflector[1][1] = *other;
            c->reflector[1][0].port = server->port;
            return;
        }
        /* Against RFC 5780 §7.4, but a second address is a second address. */
        c->reflector[1][0] = *other;
        c->one_address = "the reflector has only one port";
        return;
    }
    if (first->other_port && first->other_port != server->port) {
        c->reflector[0][1] = *server;
        c->reflector[0][1].port = first->other_port;
        c->one_address = "the reflector has only one address";
        return;
    }
    c->one_address = other->family == PH_FAMILY_NONE
                         ? "the reflector is a plain STUN server: it has only one address"
                         : "the second address that the reflector names cannot be one";
}

/* The local socket itself, as far as we know our own addresses. */
static bool is_own(const PhClassifier *c, const PhAddress *mapped, const PhAddress *local)
{
    static const uint8_t zero[16];

    if (mapped->port != local->port)
        return false;
    if (memcmp(local->bytes, zero, sizeof(zero)) != 0)
        return memcmp(mapped->bytes, local->bytes, sizeof(zero)) == 0;
    for (size_t i = 0; i < c->config.n_locals; i++) {
        if (memcmp(mapped->bytes, c->config.locals[i].bytes, sizeof(zero)) == 0)
            return true;
    }
    return false;
}

typedef struct Round {
    const PhAddress *seen[4]; /* as host * 2 + port; NULL: no answer */
    bool own;                 /* all that was seen is the socket itself */
} Round;

static Round read_round(const PhClassifier *c, unsigned first)
{
    Round round = {.own = true};

    for (unsigned i = 0; i < 4; i++) {
        const PhExchange *exchange = &c->exchanges[first + i];

        if (exchange->state != PH_EXCHANGE_ANSWERED)
            continue;
        round.seen[i] = &exchange->mapped;
        round.own =
            round.own && is_own(c, &exchange->mapped, &ph_classify_socket_of(c, first + i)->local);
    }
    return round;
}

static bool differ(const PhAddress *a, const PhAddress *b)
{
    return a && b && !ph_address_equal(a, b);
}

static bool same(const PhAddress *a, const PhAddress *b)
{
    return a && b && ph_address_equal(a, b);
}

/* `*ret_dependent`: it is not endpoint-independent, even if it is unknown what it is. */
static PhMapping judge_round(const Round *round, bool *ret_dependent)
{
    const PhAddress *const *seen = round->seen;
    bool hosts_differ = differ(seen[0], seen[2]) || differ(seen[0], seen[3]) ||
                        differ(seen[1], seen[2]) || differ(seen[1], seen[3]);
    bool ports_same = same(seen[0], seen[1]) || same(seen[2], seen[3]);

    *ret_dependent = false;
    /* Whoever has several uplinks is seen at several addresses of its own. */
    if (round->own && seen[0])
        return PH_MAPPING_NONE;
    *ret_dependent = true;
    if (differ(seen[0], seen[1]) || differ(seen[2], seen[3]))
        return PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    if (hosts_differ)
        return ports_same ? PH_MAPPING_ADDRESS_DEPENDENT : PH_MAPPING_UNKNOWN;
    *ret_dependent = false;
    /* Whatever is the same for two addresses is so for two ports of one (RFC 5780 §4.3). */
    if (same(seen[0], seen[2]) || same(seen[0], seen[3]))
        return PH_MAPPING_ENDPOINT_INDEPENDENT;
    return PH_MAPPING_UNKNOWN;
}

bool ph_classify_is_translated(const PhClassifier *c)
{
    return !read_round(c, PH_X_MAPPING).own;
}

/* We do not know our own addresses, and the port says nothing. */
static bool may_be_own(const PhClassifier *c)
{
    static const uint8_t zero[16];
    const PhAddress *local = &c->sockets[PH_AT_DATA].local;

    return c->config.n_locals == 0 && memcmp(local->bytes, zero, sizeof(zero)) == 0 &&
           c->exchanges[PH_X_MAPPING].mapped.port == local->port;
}

void ph_classify_mapping(PhClassifier *c)
{
    PhClassification *result = &c->result;
    Round first = read_round(c, PH_X_MAPPING), second = read_round(c, PH_X_REPEAT);
    bool dependent, dependent_again = false;
    PhMapping mapping = judge_round(&first, &dependent), again = PH_MAPPING_UNKNOWN;

    if (second.seen[0])
        again = judge_round(&second, &dependent_again);
    if (dependent_again && (!dependent || again > mapping)) {
        mapping = again;
        dependent = true;
    }
    result->mapping = mapping;
    result->why.mapping = NULL;
    result->nat_class = dependent ? PH_CLASS_SYMMETRIC : PH_CLASS_UNKNOWN;
    if (mapping == PH_MAPPING_UNKNOWN && dependent)
        result->why.mapping = "not all of the reflector's sockets answer: it depends on the "
                              "address, or on address and port";
    else if (mapping == PH_MAPPING_UNKNOWN)
        result->why.mapping =
            c->one_address ? c->one_address : "the reflector's second address does not answer";
    else if (mapping == PH_MAPPING_ENDPOINT_INDEPENDENT && may_be_own(c)) {
        result->mapping = PH_MAPPING_UNKNOWN;
        result->why.mapping = "the host's own addresses are not known, so that it cannot be told "
                              "whether anything is translated";
    }
}
