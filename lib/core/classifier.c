/* SPDX-License-Identifier: MIT */
/*
 * The classifier as an agent: sockets and datagrams in and out. What is done when is in
 * classify_phases.c.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "classify.h"

static bool is_config_sound(const PhClassifierConfig *config)
{
    PhFamily family = (PhFamily)config->server.family;

    return (family == PH_FAMILY_IPV4 || family == PH_FAMILY_IPV6) && config->server.port != 0 &&
           config->n_locals <= PH_CLASSIFIER_LOCALS &&
           (!config->has_socket || (config->socket_local.family == config->server.family &&
                                    config->socket_local.port != 0));
}

PhClassifier *ph_classifier_new(const PhClassifierConfig *config, uint64_t now)
{
    PhClassifier *c;

    if (!is_config_sound(config))
        return NULL;
    c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->config = *config;
    c->now = c->start_ns = now;
    c->wake_ns = UINT64_MAX;
    ph_random_init(&c->random, config->seed);
    for (unsigned i = 0; i < PH_AT_N; i++)
        c->sockets[i].id = config->first_socket + i;
    if (config->has_socket)
        c->sockets[PH_AT_DATA] = (PhClassifySocket){
            .state = PH_SOCKET_READY, .id = config->socket, .local = config->socket_local};
    else
        c->sockets[PH_AT_DATA].state = PH_SOCKET_WANTED;
    return c;
}

PhClassifier *ph_classifier_free(PhClassifier *classifier)
{
    free(classifier);
    return NULL;
}

void ph_classify_ask(PhClassifier *c, unsigned exchange, unsigned socket, const PhAddress *remote,
                     const PhSchedule *schedule)
{
    PhPath path = {
        .transport = PH_TRANSPORT_UDP, .socket = c->sockets[socket].id, .remote = *remote};

    assert(exchange < PH_X_N && c->sockets[socket].state == PH_SOCKET_READY);
    ph_exchange_start(&c->exchanges[exchange], &c->random, &path, schedule, c->now);
}

void ph_classify_want(PhClassifier *c, unsigned place)
{
    if (c->sockets[place].state == PH_SOCKET_UNUSED)
        c->sockets[place].state = PH_SOCKET_WANTED;
}

bool ph_classify_is_coming(const PhClassifier *c, unsigned place)
{
    return c->sockets[place].state == PH_SOCKET_WANTED ||
           c->sockets[place].state == PH_SOCKET_OPENING;
}

void ph_classify_let_go(PhClassifier *c, unsigned place)
{
    PhClassifySocket *socket = &c->sockets[place];

    if (place == PH_AT_DATA && c->config.has_socket)
        return;
    if (socket->state == PH_SOCKET_OPENING || socket->state == PH_SOCKET_READY)
        socket->state = PH_SOCKET_DONE;
    else if (socket->state == PH_SOCKET_WANTED)
        socket->state = PH_SOCKET_GONE;
}

static PhClassifySocket *find_socket(PhClassifier *c, uint32_t id)
{
    for (unsigned i = 0; i < PH_AT_N; i++) {
        if (c->sockets[i].id == id && c->sockets[i].state != PH_SOCKET_UNUSED)
            return &c->sockets[i];
    }
    return NULL;
}

const PhClassifySocket *ph_classify_socket_of(const PhClassifier *c, unsigned exchange)
{
    for (unsigned i = 0; i < PH_AT_N; i++) {
        if (c->sockets[i].id == c->exchanges[exchange].path.socket)
            return &c->sockets[i];
    }
    assert(!"every exchange has a socket of ours");
    return NULL;
}

static void set_now(PhClassifier *c, uint64_t now)
{
    c->now = now > c->now ? now : c->now;
}

bool ph_classifier_poll_socket(PhClassifier *c, PhSocketRequest *ret_request)
{
    ph_classify_advance(c);
    for (unsigned i = 0; i < PH_AT_N; i++) {
        PhClassifySocket *socket = &c->sockets[i];
        bool open = socket->state == PH_SOCKET_WANTED;

        if (!open && socket->state != PH_SOCKET_DONE)
            continue;
        *ret_request = (PhSocketRequest){
            .kind = open ? PH_SOCKET_OPEN : PH_SOCKET_CLOSE,
            .transport = PH_TRANSPORT_UDP,
            .socket = socket->id,
            .family = (PhFamily)c->config.server.family,
        };
        socket->state = open ? PH_SOCKET_OPENING : PH_SOCKET_GONE;
        return true;
    }
    return false;
}

void ph_classifier_socket_opened(PhClassifier *c, uint32_t socket, const PhAddress *local,
                                 uint64_t now)
{
    PhClassifySocket *found = find_socket(c, socket);

    set_now(c, now);
    if (found && found->state == PH_SOCKET_OPENING) {
        found->state = PH_SOCKET_READY;
        found->local = *local;
    }
    ph_classify_advance(c);
}

void ph_classifier_socket_failed(PhClassifier *c, uint32_t socket, uint64_t now)
{
    PhClassifySocket *found = find_socket(c, socket);

    set_now(c, now);
    if (found && (found->state == PH_SOCKET_OPENING || found->state == PH_SOCKET_DONE))
        found->state = PH_SOCKET_GONE;
    ph_classify_advance(c);
}

static void write_report(PhClassifier *c, PhTransmit *ret_transmit)
{
    PhStunTransaction transaction;
    PhStunWriter writer;
    uint8_t id[12];

    ph_random_bytes(&c->random, id, sizeof(id));
    transaction = ph_stun_transaction(id);
    ph_stun_write_begin(&writer, c->buffer, sizeof(c->buffer), PH_STUN_INDICATION, PH_STUN_BINDING,
                        &transaction);
    ph_stun_write_u32(&writer, PH_STUN_NAT_CLASS, c->result.nat_class);
    *ret_transmit = (PhTransmit){
        .path = {PH_TRANSPORT_UDP, c->sockets[PH_AT_DATA].id, c->config.server},
        .bytes = c->buffer,
        .length = ph_stun_write_end(&writer),
    };
    c->report = false;
    if (!c->config.has_socket)
        c->sockets[PH_AT_DATA].state = PH_SOCKET_DONE;
}

bool ph_classifier_poll_transmit(PhClassifier *c, PhTransmit *ret_transmit)
{
    if (c->report) {
        write_report(c, ret_transmit);
        c->counters.sent++;
        return true;
    }
    for (unsigned i = 0; i < PH_X_N; i++) {
        PhExchange *exchange = &c->exchanges[i];

        if (!exchange->pending)
            continue;
        *ret_transmit = (PhTransmit){
            .path = exchange->path,
            .bytes = c->buffer,
            .length = ph_exchange_write(exchange, c->buffer),
        };
        c->counters.sent++;
        return true;
    }
    return false;
}

/* The socket that sends the report is closed last; the result comes after that. */
static bool is_leaving(const PhClassifier *c)
{
    return c->report || (c->config.report && c->sockets[PH_AT_DATA].state == PH_SOCKET_DONE);
}

bool ph_classifier_poll_event(PhClassifier *c, PhClassification *ret_classification)
{
    if (c->phase != PH_PHASE_DONE || c->polled || is_leaving(c))
        return false;
    c->polled = true;
    *ret_classification = c->result;
    return true;
}

/* A request of our own that a NAT has turned around. */
static bool receive_hairpin(PhClassifier *c, const PhPath *path, const PhStunMessage *message)
{
    if (message->message_class != PH_STUN_REQUEST)
        return false;
    for (unsigned round = 0; round < c->rounds; round++) {
        for (unsigned test = PH_TEST_HAIRPIN_THERE; test <= PH_TEST_HAIRPIN_BACK; test++) {
            unsigned place = test == PH_TEST_HAIRPIN_THERE ? PH_AT_DATA : PH_AT_HAIRPIN;
            const PhExchange *exchange = &c->exchanges[PH_X_ROUND + round * PH_TEST_N + test];

            if (exchange->state == PH_EXCHANGE_IDLE || path->socket != c->sockets[place].id ||
                memcmp(&exchange->transaction, &message->transaction,
                       sizeof(message->transaction)) != 0)
                continue;
            if (c->hairpin_source.family == PH_FAMILY_NONE) {
                c->hairpin_source = path->remote;
                c->hairpin_socket = place;
            }
            return true;
        }
    }
    return false;
}

static bool receive(PhClassifier *c, const PhPath *path, const PhStunMessage *message)
{
    for (unsigned i = 0; i < PH_X_N; i++) {
        PhExchange *exchange = &c->exchanges[i];

        if (!ph_exchange_receive(exchange, path, message, c->now))
            continue;
        if (exchange->state == PH_EXCHANGE_ANSWERED)
            ph_exchange_measure(exchange, &c->rtt);
        return true;
    }
    return receive_hairpin(c, path, message);
}

/* Where so much as this comes through, UDP is not blocked. It can be forged, and tells no more. */
static void note_babble(PhClassifier *c, const PhPath *path)
{
    if (path->transport == PH_TRANSPORT_UDP && path->socket == c->sockets[PH_AT_DATA].id &&
        ph_address_equal(&path->remote, &c->config.server))
        c->babbles = true;
}

bool ph_classifier_handle_datagram(PhClassifier *c, const PhPath *path, const uint8_t *bytes,
                                   size_t length, uint64_t now)
{
    PhStunMessage message;

    set_now(c, now);
    if (c->phase == PH_PHASE_DONE || path->transport != PH_TRANSPORT_UDP ||
        ph_stun_read(bytes, length, &message) != PH_STUN_OK || !receive(c, path, &message)) {
        c->counters.foreign++;
        note_babble(c, path);
        return false;
    }
    c->counters.answers++;
    ph_classify_advance(c);
    return true;
}

void ph_classifier_unreachable(PhClassifier *c, const PhPath *path, uint64_t now)
{
    set_now(c, now);
    /* Anybody can forge ICMP: it only gives silence another name. */
    if (path->socket == c->sockets[PH_AT_DATA].id &&
        ph_address_equal(&path->remote, &c->config.server))
        c->unreachable = true;
}

void ph_classifier_handle_timeout(PhClassifier *c, uint64_t now)
{
    set_now(c, now);
    for (unsigned i = 0; i < PH_X_N; i++)
        ph_exchange_handle_timeout(&c->exchanges[i], c->now);
    ph_classify_advance(c);
    if (c->phase != PH_PHASE_DONE && c->now - c->start_ns >= PH_CLASSIFIER_DEADLINE_NS)
        ph_classify_expire(c);
}

uint64_t ph_classifier_next_timeout(const PhClassifier *c)
{
    uint64_t next = c->start_ns + PH_CLASSIFIER_DEADLINE_NS;

    if (c->phase == PH_PHASE_DONE)
        return is_leaving(c) ? c->now : UINT64_MAX;
    next = c->wake_ns < next ? c->wake_ns : next;
    for (unsigned i = 0; i < PH_X_N; i++) {
        uint64_t due = ph_exchange_next_timeout(&c->exchanges[i]);

        next = due < next ? due : next;
    }
    return next;
}

PhMapping ph_classifier_mapping(const PhClassifier *classifier)
{
    return classifier->result.mapping;
}

const PhClassifierCounters *ph_classifier_counters(const PhClassifier *c)
{
    return &c->counters;
}
