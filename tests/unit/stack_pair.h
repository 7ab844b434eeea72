/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two hosts on one wire: alice, and bob who may route on to a second network. Virtual time. */
#pragma once

#include <string.h>

#include "virtual/stack_private.h"

#define S G_GUINT64_CONSTANT(1000000000)

typedef struct Carried {
    unsigned to, interface;
    size_t length;
    uint8_t bytes[2048];
} Carried;

typedef struct End {
    struct Pair *pair;
    unsigned number;
} End;

typedef struct Pair {
    End ends[2];
    PlStack *stack[2];
    PhAddress address[2]; /* of the wire */
    GQueue wire;          /* Carried, owned */
    uint64_t now;
    unsigned carried, lose; /* so many packets are lost before any arrives */
    gboolean corrupt;       /* the last byte of each packet is another */
    GArray *lengths;        /* size_t, of all packets that were sent */
    PlStackEvent events[16];
    uint8_t data[16][2048];
    unsigned n_events;
    uint8_t elsewhere[2048]; /* the last packet that bob sent to the second network */
    size_t elsewhere_length;
} Pair;

static void carry(gpointer data, unsigned interface, const uint8_t *bytes, size_t length,
                  uint64_t now)
{
    const End *end = data;
    Pair *pair = end->pair;
    Carried *carried;

    g_assert_cmpuint(now, ==, pair->now);
    g_assert_cmpuint(length, <=, sizeof(carried->bytes));
    g_array_append_val(pair->lengths, length);
    if (interface == 1) {
        memcpy(pair->elsewhere, bytes, length);
        pair->elsewhere_length = length;
        return;
    }
    if (pair->lose > 0) {
        pair->lose--;
        return;
    }
    carried = g_new0(Carried, 1);
    carried->to = !end->number;
    carried->length = length;
    memcpy(carried->bytes, bytes, length);
    if (pair->corrupt)
        carried->bytes[length - 1] ^= 0xff;
    g_queue_push_tail(&pair->wire, carried);
}

static PhAddress parse_address(const char *text)
{
    PhAddress address = {0};

    g_assert_true(ph_address_parse(text, &address));
    return address;
}

static void add_interface(PlStack *stack, const char *network, unsigned length, const char *address,
                          unsigned mtu_bytes)
{
    g_autoptr(GArray) addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    PlPrefix subnet = {parse_address(network), length};
    PhAddress own = parse_address(address);

    g_array_append_val(addresses, own);
    pl_stack_add_interface(stack, &subnet, addresses, mtu_bytes);
}

static void pair_init(Pair *pair, gboolean ipv6, unsigned mtu_bytes)
{
    const char *const networks[] = {"192.0.2.0", "2001:db8::"};
    const char *const addresses[2][2] = {{"192.0.2.1", "2001:db8::1"},
                                         {"192.0.2.2", "2001:db8::2"}};

    memset(pair, 0, sizeof(*pair));
    pair->now = 1000 * S;
    pair->lengths = g_array_new(FALSE, FALSE, sizeof(size_t));
    for (unsigned i = 0; i < 2; i++) {
        pair->ends[i] = (End){pair, i};
        pair->stack[i] = pl_stack_new(/* routes= */ i == 1, 42 + i, carry, &pair->ends[i]);
        pair->address[i] = parse_address(addresses[i][ipv6]);
        add_interface(pair->stack[i], networks[ipv6], ipv6 ? 64 : 24, addresses[i][ipv6],
                      mtu_bytes);
    }
}

static void pair_clear(Pair *pair)
{
    for (unsigned i = 0; i < 2; i++)
        pl_stack_free(pair->stack[i]);
    g_queue_clear_full(&pair->wire, g_free);
    g_array_unref(pair->lengths);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static void keep_event(Pair *pair, const PlStackEvent *event)
{
    PlStackEvent *kept = &pair->events[pair->n_events];

    g_assert_cmpuint(pair->n_events, <, G_N_ELEMENTS(pair->events));
    *kept = *event;
    if (event->kind == PL_STACK_DATAGRAM && event->length <= sizeof(pair->data[0])) {
        memcpy(pair->data[pair->n_events], event->bytes, event->length);
        kept->bytes = pair->data[pair->n_events];
    }
    pair->n_events++;
}

/* Hands over all that is on the wire, and what that leads to. */
static void pair_run(Pair *pair)
{
    Carried *carried;
    PlStackEvent event;

    while ((carried = g_queue_pop_head(&pair->wire))) {
        g_assert_cmpuint(++pair->carried, <, 10000);
        if (pl_stack_receive(pair->stack[carried->to], carried->bytes, carried->length, pair->now,
                             &event))
            keep_event(pair, &event);
        g_free(carried);
    }
}

/* Lets time pass until nothing is waited for any more, or to `until`. */
static G_GNUC_UNUSED void pair_pass(Pair *pair, uint64_t until)
{
    PlStackEvent event;

    pair_run(pair);
    for (;;) {
        uint64_t next = MIN(pl_stack_next(pair->stack[0]), pl_stack_next(pair->stack[1]));

        if (next > until)
            break;
        pair->now = next;
        for (unsigned i = 0; i < 2; i++)
            while (pl_stack_timeout(pair->stack[i], pair->now, &event))
                keep_event(pair, &event);
        pair_run(pair);
    }
    pair->now = until;
}

static PhAddress with_port(PhAddress address, uint16_t port)
{
    address.port = port;
    return address;
}
