/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's stack in virtual time before whatever comes: what it sends itself is right to the last
 * checksum, is no more than one packet for one, and what it tells its programs is there to be read.
 *
 * The input is a list of packets, each behind a byte of flags and two of length.
 */
#include <string.h>

#include "virtual/stack_private.h"

#define SECOND_NS  G_GUINT64_CONSTANT(1000000000)
#define LATER      1 /* seconds pass first */
#define MEND       2 /* checksums are put right, or nothing would get past them */
#define PACKET_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Run {
    PlStack *stack;
    unsigned own, forwarded; /* packets that it has sent */
} Run;

static void check_emitted(gpointer data, unsigned interface, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    Run *run = data;
    PlPacketView packet;

    (void)now;
    g_assert(interface < 4);
    g_assert(pl_packet_read(bytes, length, &packet));
    if (!pl_stack_is_own(run->stack, &packet.source)) {
        run->forwarded++;
        return;
    }
    run->own++;
    if (packet.offset == 0 && !packet.more)
        g_assert(pl_packet_checksum(&packet, packet.payload, packet.length) == 0);
}

static PhAddress parse_address(const char *text)
{
    PhAddress address = {0};

    g_assert(ph_address_parse(text, &address));
    return address;
}

static void add_interface(PlStack *stack, const char *network, unsigned length, const char *own,
                          unsigned mtu_bytes)
{
    g_autoptr(GArray) addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    const PhAddress address = parse_address(own);
    const PlPrefix subnet = {parse_address(network), length};

    g_array_append_val(addresses, address);
    pl_stack_add_interface(stack, &subnet, addresses, mtu_bytes);
}

static PlStack *make_stack(Run *run)
{
    PlStack *stack = pl_stack_new(/* routes= */ TRUE, 1, check_emitted, run);
    const PhAddress open = ph_address_ipv4(0xc0000202, 7000),
                    any = {.family = PH_FAMILY_IPV6, .port = 7000},
                    http = ph_address_ipv4(0xc0000202, 80),
                    from = ph_address_ipv4(0xc0000202, 5000),
                    to = ph_address_ipv4(0xc0000201, 6000);

    run->stack = stack;
    add_interface(stack, "192.0.2.0", 24, "192.0.2.2", 1500);
    add_interface(stack, "2001:db8::", 64, "2001:db8::2", 1500);
    add_interface(stack, "198.51.100.0", 24, "198.51.100.2", 576);
    add_interface(stack, "2001:db8:1::", 64, "2001:db8:1::2", 1280);
    g_assert(pl_stack_open(stack, &open, NULL, 1) && pl_stack_open(stack, &any, NULL, 2));
    g_assert(pl_stack_listen(stack, &http, NULL, 3));
    g_assert(pl_stack_connect(stack, &from, &to, NULL, 4, 0));
    return stack;
}

static size_t checksum_at(uint8_t protocol)
{
    switch (protocol) {
    case PL_IP_UDP:
        return 6;
    case PL_IP_TCP:
        return 16;
    default:
        return 2;
    }
}

static void mend(uint8_t *bytes, size_t length)
{
    size_t header = (size_t)(bytes[0] & 0xf) * 4;
    PlPacketView packet;
    uint8_t *payload;

    if (bytes[0] >> 4 == 4 && header >= PL_IPV4_HEADER && header <= length) {
        pl_put_u16(bytes + 10, 0);
        pl_put_u16(bytes + 10, pl_ip_fold(pl_ip_sum(bytes, header, 0)));
    }
    if (!pl_packet_read(bytes, length, &packet) || packet.length < checksum_at(packet.protocol) + 2)
        return;
    payload = bytes + (packet.payload - bytes);
    pl_put_u16(payload + checksum_at(packet.protocol), 0);
    pl_put_u16(payload + checksum_at(packet.protocol),
               pl_packet_checksum(&packet, payload, packet.length));
}

static void check_event(PlStack *stack, const PlStackEvent *event, uint64_t now)
{
    unsigned sum = 0;

    g_assert(event->socket);
    for (size_t i = 0; event->kind == PL_STACK_DATAGRAM && i < event->length; i++)
        sum += event->bytes[i];
    g_assert(sum <= 255 * 65536);
    if (event->kind == PL_STACK_ACCEPTED)
        pl_stack_close(stack, event->connection, now);
    else if (event->kind == PL_STACK_FAILED)
        pl_stack_close(stack, event->socket, now);
}

static void receive(Run *run, const uint8_t *data, size_t length, unsigned flags, uint64_t now)
{
    g_autofree uint8_t *bytes = g_memdup2(data, length);
    PlStackEvent event;

    while (pl_stack_timeout(run->stack, now, &event))
        check_event(run->stack, &event, now);
    if (flags & MEND)
        mend(bytes, length);
    run->own = run->forwarded = 0;
    if (pl_stack_receive(run->stack, bytes, length, now, &event))
        check_event(run->stack, &event, now);
    /* An echo of a long packet comes back in pieces; a FIN follows the ACK that it was told by. */
    g_assert(run->own <= 2 + length / 512 + (run->stack->path_mtus->len ? length / 8 : 0));
    g_assert(run->forwarded <= 1 + length / 512);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Run run = {0};
    uint64_t now = 0;

    make_stack(&run);
    while (size > 3) {
        unsigned flags = data[0];
        size_t length = (size_t)(data[1] << 8 | data[2]) % PACKET_MAX;

        data += 3;
        size -= 3;
        length = MIN(MAX(length, 1), size);
        if (flags & LATER)
            now += 5 * SECOND_NS;
        receive(&run, data, length, flags, now);
        data += length;
        size -= length;
    }
    pl_stack_free(run.stack);
    return 0;
}
