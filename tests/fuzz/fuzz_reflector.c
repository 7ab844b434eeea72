/* SPDX-License-Identifier: MIT */
/*
 * The reflector: whatever comes in, an answer is STUN, goes to who asked, and is at most four times
 * as long as the question. Nobody has two votes.
 */
#include <glib.h>
#include <pinhole/reflector.h>
#include <pinhole/stun.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PhReflector *reflector_of(guint kind, PhPath *ret_path)
{
    gboolean ipv6 = kind & 1, two_hosts = kind & 2, two_ports = two_hosts || kind & 4;
    PhReflectorConfig config;

    ph_reflector_config_init(&config);
    config.sources = 64;
    if (kind & 8)
        config.source_change = (PhRate){.per_second = 1, .burst = 1};
    g_assert(ph_address_parse(ipv6 ? "2001:db8::10" : "203.0.113.10", &config.hosts[0]));
    if (two_hosts)
        g_assert(ph_address_parse(ipv6 ? "2001:db8::11" : "203.0.113.11", &config.hosts[1]));
    config.ports[0] = 3478;
    config.ports[1] = two_ports ? 3479 : 0;
    *ret_path = (PhPath){.transport = PH_TRANSPORT_UDP};
    ret_path->socket = PH_REFLECTOR_SOCKET(two_hosts && kind & 16, two_ports && kind & 32);
    g_assert(
        ph_address_parse(ipv6 ? "[2001:db8:1::7]:4000" : "198.51.100.7:4000", &ret_path->remote));
    return ph_reflector_new(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PhReflector *reflector;
    PhPath from;

    if (size == 0)
        return 0;
    reflector = reflector_of(data[0], &from);
    for (guint i = 0; i < 3; i++) { /* the third one may be one too many */
        guint8 bytes[PH_REFLECTOR_ANSWER_MAX];
        PhPath to;
        gsize length =
            ph_reflector_handle_datagram(reflector, &from, data + 1, size - 1, i, &to, bytes);
        PhStunMessage message;
        uint64_t votes[PH_CLASS_N], sum = 0;

        ph_reflector_classes(reflector, i, votes);
        for (guint c = 0; c < PH_CLASS_N; c++)
            sum += votes[c];
        g_assert(sum <= 1); /* one source has one vote, and gets no answer to it */
        g_assert(sum == 0 || length == 0);
        if (length == 0)
            continue;
        g_assert(length <= (size - 1) * PH_REFLECTOR_AMPLIFICATION);
        g_assert(ph_stun_read(bytes, length, &message) == PH_STUN_OK);
        g_assert(message.message_class >= PH_STUN_SUCCESS);
        g_assert(ph_address_equal_host(&to.remote, &from.remote) && to.remote.port != 0);
        g_assert(message.message_class == PH_STUN_SUCCESS || to.socket == from.socket);
    }
    ph_reflector_free(reflector);
    return 0;
}
