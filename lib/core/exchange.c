/* SPDX-License-Identifier: MIT */
/* One Binding request and its answer: see exchange.h. */
#include "exchange.h"

#include <assert.h>
#include <string.h>

#include "clock.h"

#define FILLER_HEADER 4

void ph_exchange_start(PhExchange *exchange, PhRandom *random, const PhPath *path,
                       const PhSchedule *schedule, uint64_t now)
{
    uint8_t id[12];

    ph_random_bytes(random, id, sizeof(id));
    *exchange = (PhExchange){
        .state = PH_EXCHANGE_WAITING,
        .path = *path,
        .answer_at = path->socket,
        .transaction = ph_stun_transaction(id),
        .schedule = *schedule,
        .copies = 1,
        .pending = true,
        .sent_ns = now,
        .gap_ns = schedule->first_ns,
        .due_ns = ph_time_after(now, schedule->copies > 1 ? schedule->first_ns : schedule->last_ns),
    };
}

void ph_exchange_handle_timeout(PhExchange *exchange, uint64_t now)
{
    if (exchange->state != PH_EXCHANGE_WAITING || now < exchange->due_ns)
        return;
    if (exchange->copies >= exchange->schedule.copies) {
        exchange->state = PH_EXCHANGE_SILENT;
        exchange->pending = false;
        return;
    }
    /* RFC 8489 §6.2.1: each wait is twice the one before, but for the last. */
    exchange->copies++;
    exchange->pending = true;
    exchange->gap_ns = ph_time_after(exchange->gap_ns, exchange->gap_ns);
    if (exchange->schedule.most_ns && exchange->gap_ns > exchange->schedule.most_ns)
        exchange->gap_ns = exchange->schedule.most_ns;
    exchange->due_ns = ph_time_after(now, exchange->copies == exchange->schedule.copies
                                              ? exchange->schedule.last_ns
                                              : exchange->gap_ns);
}

uint64_t ph_exchange_next_timeout(const PhExchange *exchange)
{
    return exchange->state == PH_EXCHANGE_WAITING ? exchange->due_ns : UINT64_MAX;
}

size_t ph_exchange_write(PhExchange *exchange, uint8_t ret_bytes[static PH_EXCHANGE_BYTES])
{
    PhStunWriter writer;

    assert(exchange->pending);
    exchange->pending = false;
    ph_stun_write_begin(&writer, ret_bytes, PH_EXCHANGE_BYTES, PH_STUN_REQUEST, PH_STUN_BINDING,
                        &exchange->transaction);
    if (exchange->change)
        ph_stun_write_u32(&writer, PH_STUN_CHANGE_REQUEST, exchange->change);
    if (exchange->respond_port)
        ph_stun_write_port(&writer, PH_STUN_RESPONSE_PORT, exchange->respond_port);
    ph_stun_write_filler(&writer, PH_EXCHANGE_BYTES - writer.length - FILLER_HEADER);
    assert(ph_stun_write_end(&writer) == PH_EXCHANGE_BYTES);
    return PH_EXCHANGE_BYTES;
}

static bool read_address(const PhStunMessage *message, uint16_t type, PhAddress *ret_address)
{
    PhStunAttribute attribute;

    return ph_stun_find(message, type, &attribute) &&
           ph_stun_get_address(message, &attribute, ret_address);
}

static bool is_nowhere(const PhAddress *address)
{
    static const uint8_t zero[16];

    return address->port == 0 || memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

static PhExchangeState read_success(PhExchange *exchange, const PhStunMessage *message)
{
    PhStunAttribute attribute;

    /* Some NATs rewrite addresses that they see in packets; hence the masked one first. Attributes
     * that we would have to understand and do not are let pass: old servers have some. */
    if (!read_address(message, PH_STUN_XOR_MAPPED_ADDRESS, &exchange->mapped) &&
        !read_address(message, PH_STUN_MAPPED_ADDRESS, &exchange->mapped))
        return PH_EXCHANGE_NONSENSE;
    if (exchange->mapped.family != exchange->path.remote.family || is_nowhere(&exchange->mapped))
        return PH_EXCHANGE_NONSENSE;
    if (!read_address(message, PH_STUN_OTHER_ADDRESS, &exchange->other))
        read_address(message, PH_STUN_CHANGED_ADDRESS, &exchange->other);
    if (ph_stun_find(message, PH_STUN_OTHER_PORT, &attribute))
        ph_stun_get_port(&attribute, &exchange->other_port);
    return PH_EXCHANGE_ANSWERED;
}

static PhExchangeState read_error(PhExchange *exchange, const PhStunMessage *message)
{
    PhStunAttribute attribute;
    const char *reason;
    size_t length;

    if (!ph_stun_find(message, PH_STUN_ERROR_CODE, &attribute) ||
        !ph_stun_get_error(&attribute, &exchange->error, &reason, &length))
        return PH_EXCHANGE_NONSENSE;
    return PH_EXCHANGE_REFUSED;
}

static bool is_from_the_asked(const PhExchange *exchange, const PhPath *path)
{
    return path->transport == exchange->path.transport &&
           (path->socket == exchange->path.socket || path->socket == exchange->answer_at) &&
           (ph_address_equal(&path->remote, &exchange->path.remote) ||
            ph_address_equal(&path->remote, &exchange->source));
}

bool ph_exchange_receive(PhExchange *exchange, const PhPath *path, const PhStunMessage *message,
                         uint64_t now)
{
    if ((exchange->state != PH_EXCHANGE_WAITING && exchange->state != PH_EXCHANGE_SILENT) ||
        message->method != PH_STUN_BINDING || !is_from_the_asked(exchange, path) ||
        memcmp(&message->transaction, &exchange->transaction, sizeof(exchange->transaction)) != 0)
        return false;
    if (message->message_class == PH_STUN_SUCCESS)
        exchange->state = read_success(exchange, message);
    else if (message->message_class == PH_STUN_ERROR)
        exchange->state = read_error(exchange, message);
    else
        return false; /* our own request, looped back */
    exchange->from = path->remote;
    exchange->came_to = path->socket;
    exchange->answered_ns = now;
    exchange->pending = false;
    return true;
}

void ph_exchange_measure(const PhExchange *exchange, PhRtt *rtt)
{
    if (exchange->copies == 1 || !rtt->known)
        ph_rtt_add(rtt, exchange->answered_ns - exchange->sent_ns, exchange->copies == 1);
}
