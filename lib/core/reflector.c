/* SPDX-License-Identifier: MIT */
/*
 * The reflector. There is no state but buckets:
 *
 *     datagram --> STUN? --> request? --> understood? --> possible? --> within limits? --> answer
 *                   |         |            |               |             |
 *                  drop      drop         error 420       error 420     drop, or error 500
 */
#include <pinhole/reflector.h>

#include <assert.h>
#include <pinhole/stun.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "bytes.h"
#include "census.h"

#define SOURCES_MIN 64
#define SOURCES_MAX (1U << 24)
#define UNKNOWN_MAX 8 /* attributes named in a 420; the first one is as good as all */

/* RFC 8489 §14.8 */
#define ERROR_UNKNOWN_ATTRIBUTE 420
#define ERROR_SERVER            500

typedef struct Source {
    uint64_t bytes_ns, change_ns; /* its two buckets */
} Source;

struct PhReflector {
    PhReflectorConfig config;
    bool two_hosts, two_ports;
    uint64_t bytes_ns, change_ns;
    PhReflectorCounters counters;
    PhCensus *census;
    Source sources[];
};

/* What a request asks for. */
typedef struct Request {
    PhStunMessage message;
    const PhPath *path;
    size_t budget;   /* the answer's bytes, at most */
    uint32_t socket; /* to answer from */
    uint16_t port;   /* to answer to */
    bool fingerprint, filler;
    bool over; /* too many answers from elsewhere */
    uint16_t unknown[UNKNOWN_MAX];
    size_t n_unknown;
} Request;

void ph_reflector_config_init(PhReflectorConfig *ret_config)
{
    *ret_config = (PhReflectorConfig){
        .sources = 65536,
        .source_bytes = {.per_second = 64 * 1024, .burst = 128 * 1024},
        .all_bytes = {.per_second = 100000000, .burst = 20000000},
        .source_change = {.per_second = 16, .burst = 128},
        .all_change = {.per_second = 5000, .burst = 10000},
    };
}

static bool is_sound(const PhReflectorConfig *config)
{
    bool one_host = config->hosts[1].family == PH_FAMILY_NONE;

    if (config->hosts[0].family == PH_FAMILY_NONE || config->ports[0] == 0 ||
        config->ports[0] == config->ports[1])
        return false;
    if (!one_host && (config->ports[1] == 0 || config->hosts[0].family != config->hosts[1].family ||
                      ph_address_equal_host(&config->hosts[0], &config->hosts[1])))
        return false;
    return config->sources >= SOURCES_MIN && config->sources <= SOURCES_MAX &&
           (config->sources & (config->sources - 1)) == 0;
}

PhReflector *ph_reflector_new(const PhReflectorConfig *config)
{
    PhReflector *reflector;

    if (!is_sound(config))
        return NULL;
    reflector = calloc(1, sizeof(*reflector) + config->sources * sizeof(Source));
    if (!reflector)
        return NULL;
    reflector->config = *config;
    reflector->census = ph_census_new(config->sources);
    if (!reflector->census)
        return ph_reflector_free(reflector);
    reflector->two_hosts = config->hosts[1].family != PH_FAMILY_NONE;
    reflector->two_ports = config->ports[1] != 0;
    return reflector;
}

PhReflector *ph_reflector_free(PhReflector *reflector)
{
    if (reflector)
        ph_census_free(reflector->census);
    free(reflector);
    return NULL;
}

static PhAddress address_of(const PhReflector *reflector, uint32_t socket)
{
    PhAddress address = reflector->config.hosts[socket >> 1];

    address.port = reflector->config.ports[socket & 1];
    return address;
}

static bool is_ours(const PhReflector *reflector, const PhPath *path)
{
    return path->transport == PH_TRANSPORT_UDP && path->socket < 4 &&
           (reflector->two_hosts || path->socket < 2) &&
           (reflector->two_ports || (path->socket & 1) == 0);
}

static void add_unknown(Request *request, uint16_t type)
{
    if (request->n_unknown < UNKNOWN_MAX)
        request->unknown[request->n_unknown++] = type;
}

/*
 * RFC 5780 §6.1: without two addresses with two ports each, CHANGE-REQUEST is refused as unknown.
 * Our own client knows from OTHER-PORT what to expect of one address, and may change its port.
 */
static bool can_change(const PhReflector *reflector, const Request *request, uint32_t flags)
{
    if (reflector->two_hosts && reflector->two_ports)
        return true;
    return request->filler && reflector->two_ports && !(flags & PH_STUN_CHANGE_IP);
}

static void read_attribute(const PhReflector *reflector, Request *request,
                           const PhStunAttribute *attribute)
{
    uint32_t flags;

    switch (attribute->type) {
    case PH_STUN_CHANGE_REQUEST:
        if (!ph_stun_get_u32(attribute, &flags) || !can_change(reflector, request, flags)) {
            add_unknown(request, attribute->type);
            return;
        }
        request->socket = request->path->socket ^ (flags & PH_STUN_CHANGE_IP ? 2U : 0U) ^
                          (flags & PH_STUN_CHANGE_PORT ? 1U : 0U);
        break;
    case PH_STUN_RESPONSE_PORT:
        if (!ph_stun_get_port(attribute, &request->port) || request->port == 0)
            add_unknown(request, attribute->type);
        break;
    case PH_STUN_FINGERPRINT_ATTRIBUTE:
        request->fingerprint = true;
        break;
    default:
        break;
    }
}

static void read_request(const PhReflector *reflector, Request *request)
{
    PhStunAttribute attribute = {0}, filler;

    request->filler = ph_stun_find(&request->message, PH_STUN_FILLER, &filler);
    request->budget = request->message.length * PH_REFLECTOR_AMPLIFICATION;
    request->socket = request->path->socket;
    request->port = request->path->remote.port;
    request->n_unknown = ph_stun_unknown(&request->message, request->unknown, UNKNOWN_MAX);
    while (ph_stun_next(&request->message, &attribute))
        read_attribute(reflector, request, &attribute);
}

/* Adds what the answer is better with, if it stays within the budget. */
static void write_optional(PhStunWriter *writer, const Request *request, uint16_t type,
                           const PhAddress *address)
{
    size_t length = address->family == PH_FAMILY_IPV4 ? 12 : 24;

    if (writer->length + length + (request->fingerprint ? 8 : 0) <= request->budget)
        ph_stun_write_address(writer, type, address);
}

static void write_success(const PhReflector *reflector, const Request *request,
                          PhStunWriter *writer)
{
    const PhAddress *seen = &request->path->remote;
    PhAddress origin = address_of(reflector, request->socket), other;
    bool classic = request->message.classic;

    ph_stun_write_address(writer, classic ? PH_STUN_MAPPED_ADDRESS : PH_STUN_XOR_MAPPED_ADDRESS,
                          seen);
    /* OTHER-ADDRESS first: without it a client learns nothing more from us. */
    if (reflector->two_hosts && reflector->two_ports) {
        other = address_of(reflector, request->path->socket ^ 3U);
        write_optional(writer, request, classic ? PH_STUN_CHANGED_ADDRESS : PH_STUN_OTHER_ADDRESS,
                       &other);
    } else if (reflector->two_ports && request->filler) {
        other = address_of(reflector, request->path->socket ^ 1U);
        ph_stun_write_port(writer, PH_STUN_OTHER_PORT, other.port);
    }
    write_optional(writer, request, classic ? PH_STUN_SOURCE_ADDRESS : PH_STUN_RESPONSE_ORIGIN,
                   &origin);
    /* RFC 5780 §6.1 wants both; who sends the cookie reads the masked one. */
    if (!classic)
        write_optional(writer, request, PH_STUN_MAPPED_ADDRESS, seen);
}

static bool is_refused(const Request *request)
{
    return request->over || request->n_unknown > 0;
}

static void write_refusal(const Request *request, PhStunWriter *writer)
{
    uint8_t types[2 * (UNKNOWN_MAX + 1)];
    size_t n = request->n_unknown;

    for (size_t i = 0; i < n; i++)
        ph_put16(types + 2 * i, request->unknown[i]);
    /* RFC 3489 §11.2.10 knows no padding: an odd number is made even by saying one twice. */
    if (request->message.classic && n % 2) {
        ph_put16(types + 2 * n, request->unknown[0]);
        n++;
    }
    ph_stun_write_error(writer, ERROR_UNKNOWN_ATTRIBUTE, "Unknown Attribute");
    ph_stun_write(writer, PH_STUN_UNKNOWN_ATTRIBUTES, types, 2 * n);
}

static size_t write_answer(const PhReflector *reflector, const Request *request,
                           uint8_t ret_bytes[static PH_REFLECTOR_ANSWER_MAX])
{
    bool refused = is_refused(request);
    PhStunWriter writer;

    ph_stun_write_begin(&writer, ret_bytes, PH_REFLECTOR_ANSWER_MAX,
                        refused ? PH_STUN_ERROR : PH_STUN_SUCCESS, PH_STUN_BINDING,
                        &request->message.transaction);
    if (request->over)
        ph_stun_write_error(&writer, ERROR_SERVER, "Try Later");
    else if (refused)
        write_refusal(request, &writer);
    else
        write_success(reflector, request, &writer);
    if (request->fingerprint)
        ph_stun_write_fingerprint(&writer);
    assert(!writer.full && writer.length <= request->budget);
    return ph_stun_write_end(&writer);
}

static Source *source_of(PhReflector *reflector, const PhAddress *remote)
{
    _Static_assert(PH_SEED_BYTES >= crypto_shorthash_KEYBYTES, "the seed is the key");
    return &reflector
                ->sources[ph_bucket_of(remote, reflector->config.seed, reflector->config.sources)];
}

static bool is_within_limits(PhReflector *reflector, Source *source, size_t length, uint64_t now)
{
    const PhReflectorConfig *config = &reflector->config;

    if (!ph_bucket_take(&source->bytes_ns, &config->source_bytes, (uint32_t)length, now)) {
        reflector->counters.limited_source++;
        return false;
    }
    if (!ph_bucket_take(&reflector->bytes_ns, &config->all_bytes, (uint32_t)length, now)) {
        reflector->counters.limited_all++;
        return false;
    }
    return true;
}

static bool is_changed(const Request *request)
{
    return request->socket != request->path->socket || request->port != request->path->remote.port;
}

/* Answers from elsewhere have limits of their own; what is refused is answered from here. */
static void decide_change(PhReflector *reflector, Source *source, Request *request, uint64_t now)
{
    const PhReflectorConfig *config = &reflector->config;

    if (is_changed(request) && !is_refused(request) &&
        (!ph_bucket_take(&source->change_ns, &config->source_change, 1, now) ||
         !ph_bucket_take(&reflector->change_ns, &config->all_change, 1, now))) {
        reflector->counters.limited_change++;
        request->over = true;
    }
    if (is_refused(request)) {
        request->socket = request->path->socket;
        request->port = request->path->remote.port;
    }
}

static void count_answer(PhReflectorCounters *counters, const Request *request, size_t length)
{
    counters->answered++;
    counters->answered_bytes += length;
    counters->classic += request->message.classic;
    counters->changed += is_changed(request);
    counters->refused += is_refused(request);
}

/* False: it is none. */
static bool take_report(PhReflector *reflector, const PhStunMessage *message,
                        const PhAddress *remote, uint64_t now)
{
    PhStunAttribute attribute;
    uint32_t nat_class, slot;

    if (message->message_class != PH_STUN_INDICATION || message->method != PH_STUN_BINDING ||
        !ph_stun_find(message, PH_STUN_NAT_CLASS, &attribute) ||
        !ph_stun_get_u32(&attribute, &nat_class) || nat_class >= PH_CLASS_N)
        return false;
    slot = (uint32_t)(source_of(reflector, remote) - reflector->sources);
    if (ph_census_vote(reflector->census, slot, (PhClass)nat_class, now))
        reflector->counters.reports++;
    else
        reflector->counters.limited_reports++;
    return true;
}

size_t ph_reflector_handle_datagram(PhReflector *reflector, const PhPath *path,
                                    const uint8_t *bytes, size_t length, uint64_t now,
                                    PhPath *ret_path,
                                    uint8_t ret_bytes[static PH_REFLECTOR_ANSWER_MAX])
{
    Request request = {.path = path};
    Source *source;
    size_t answer;

    assert(is_ours(reflector, path));
    reflector->counters.received++;
    reflector->counters.received_bytes += length;
    /* Nobody can be at port 0; and an address of the other family has no bucket of its own. */
    if (path->remote.family != reflector->config.hosts[0].family || path->remote.port == 0 ||
        ph_stun_read(bytes, length, &request.message) != PH_STUN_OK) {
        reflector->counters.foreign++;
        return 0;
    }
    if (request.message.message_class != PH_STUN_REQUEST ||
        request.message.method != PH_STUN_BINDING) {
        if (!take_report(reflector, &request.message, &path->remote, now))
            reflector->counters.ignored++;
        return 0;
    }
    source = source_of(reflector, &path->remote);
    read_request(reflector, &request);
    decide_change(reflector, source, &request, now);
    answer = write_answer(reflector, &request, ret_bytes);
    if (!is_within_limits(reflector, source, answer, now))
        return 0;
    count_answer(&reflector->counters, &request, answer);
    *ret_path = *path;
    ret_path->socket = request.socket;
    ret_path->remote.port = request.port;
    return answer;
}

void ph_reflector_too_long(PhReflector *reflector, size_t length)
{
    reflector->counters.received++;
    reflector->counters.received_bytes += length;
    reflector->counters.foreign++;
}

const PhReflectorCounters *ph_reflector_counters(const PhReflector *reflector)
{
    return &reflector->counters;
}

void ph_reflector_classes(const PhReflector *reflector, uint64_t now,
                          uint64_t ret_votes[static PH_CLASS_N])
{
    ph_census_count(reflector->census, now, ret_votes);
}
