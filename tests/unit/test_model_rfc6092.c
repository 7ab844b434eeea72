/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model as an IPv6 firewall: what RFC 6092 recommends for the routers of homes, as far as a
 * topology can say it.
 */
#include "model_nat.h"

#define INSIDE  "[2001:db8:a::2]:4000"
#define REMOTE  "[2001:db8::10]:3478"
#define PORT_2  "[2001:db8::10]:3479"
#define HOST_2  "[2001:db8::11]:3478"
#define ROUTER  "2001:db8:ffff::1"
#define QUOTED  48 /* an IPv6 and a UDP header */
#define V6_ICMP 40

static void firewall(Box *box, PlFiltering filtering)
{
    box_init(box, PL_MAPPING_NONE, filtering);
    box->config.behaviour.port_allocation = PL_PORT_ALLOCATION_PRESERVE;
    box->config.inside_address = wire_at("2001:db8:a::1");
    box->external[0] = wire_at("2001:db8::2");
    box_start(box);
}

/* A UDP flow; a copy of its packet, for errors to quote. */
static PlDatagram *flow(Box *box)
{
    wire_assert(box_out(box, INSIDE, REMOTE), INSIDE);
    return pl_datagram_new(box->packet->bytes, box->packet->length);
}

static gboolean error_in(Box *box, guint type, guint code, const PlDatagram *about)
{
    PhAddress router = wire_at(ROUTER), inside = wire_at(INSIDE);

    inside.port = 0;
    return box_send(box, PL_SIDE_OUTSIDE,
                    wire_error(&router, &inside, (guint8)type, (guint8)code, about, QUOTED)) &&
           box->side == PL_SIDE_INSIDE;
}

/* Errors about nothing that went out are not let in. */
static void test_rec_10(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;

    firewall(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    about = flow(&box);
    wire_put_u16(about->bytes + 40 + 2, 999); /* to another port */
    g_assert_false(error_in(&box, 1, 4, about));
    g_assert_false(error_in(&box, 2, 0, about));
    g_assert_cmpuint(box_count(&box).unmapped, ==, 2);
}

static void test_rec_14(void)
{
    g_auto(Box) box;
    PhAddress inside = wire_at(INSIDE);

    firewall(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box_out(&box, INSIDE, REMOTE);
    box.now += 120 * S - 1;
    g_assert_true(box_in(&box, REMOTE, inside));
    box.now += 120 * S;
    g_assert_false(box_in(&box, REMOTE, inside));
}

static void test_rec_16(void)
{
    for (int refresh = 0; refresh < 2; refresh++) {
        g_auto(Box) box;
        PhAddress inside = wire_at(INSIDE);

        firewall(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
        box_clear(&box);
        box.config.behaviour.inbound_refresh = refresh;
        box_start(&box);
        box_out(&box, INSIDE, REMOTE);
        box.now += 100 * S;
        box_out(&box, INSIDE, REMOTE);
        box.now += 100 * S;
        g_assert_true(box_in(&box, REMOTE, inside));
        box.now += 100 * S;
        g_assert_cmpint(box_in(&box, REMOTE, inside), ==, refresh);
    }
}

/* Endpoint-independent where applications count most, by address where security does. */
static void test_rec_17(void)
{
    static const gboolean in[PL_FILTERING_N][3] = {
        [PL_FILTERING_ENDPOINT_INDEPENDENT] = {TRUE, TRUE, TRUE},
        [PL_FILTERING_ADDRESS_DEPENDENT] = {TRUE, TRUE, FALSE},
        [PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT] = {TRUE, FALSE, FALSE},
    };
    static const char *const from[] = {REMOTE, PORT_2, HOST_2};

    for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
        for (guint i = 0; i < G_N_ELEMENTS(from); i++) {
            g_auto(Box) box;

            firewall(&box, (PlFiltering)filtering);
            box_out(&box, INSIDE, REMOTE);
            g_assert_cmpint(box_in(&box, from[i], wire_at(INSIDE)), ==, in[filtering][i]);
        }
    }
}

static void test_rec_18(void)
{
    static const guint8 kinds[][2] = {{1, 0}, {1, 1}, {1, 3}, {1, 4}, {2, 0}, {3, 0}};
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;

    firewall(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    about = flow(&box);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_assert_true(error_in(&box, kinds[i][0], kinds[i][1], about));
        g_assert_cmpuint(box.packet->bytes[V6_ICMP], ==, kinds[i][0]);
    }
}

/* No error ends a flow. */
static void test_rec_19(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;

    firewall(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    about = flow(&box);
    g_assert_true(error_in(&box, 1, 4, about));
    g_assert_true(error_in(&box, 2, 0, about));
    g_assert_true(box_in(&box, REMOTE, wire_at(INSIDE)));
}

static void syn_out(Box *box)
{
    g_assert_true(box_tcp(box, PL_SIDE_INSIDE, INSIDE, wire_at(REMOTE), WIRE_SYN));
}

static gboolean tcp_in(Box *box, const char *from, guint8 flags)
{
    return box_tcp(box, PL_SIDE_OUTSIDE, from, wire_at(INSIDE), flags) &&
           box->side == PL_SIDE_INSIDE;
}

/* The handshake, and both at once. */
static void test_rec_31(void)
{
    for (int both = 0; both < 2; both++) {
        g_auto(Box) box;

        firewall(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
        g_assert_false(tcp_in(&box, REMOTE, WIRE_SYN));
        syn_out(&box);
        g_assert_true(tcp_in(&box, REMOTE, both ? WIRE_SYN : WIRE_SYN | WIRE_ACK));
        g_assert_true(box_tcp(&box, PL_SIDE_INSIDE, INSIDE, wire_at(REMOTE),
                              both ? WIRE_SYN | WIRE_ACK : WIRE_ACK));
        g_assert_true(tcp_in(&box, REMOTE, WIRE_ACK));
    }
}

static void test_rec_33(void)
{
    for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
        g_auto(Box) box;

        firewall(&box, (PlFiltering)filtering);
        syn_out(&box);
        g_assert_cmpint(tcp_in(&box, HOST_2, WIRE_SYN), ==,
                        filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
    }
}

/* An established connection lives two hours and four minutes. */
static void test_rec_35(void)
{
    g_auto(Box) box;

    firewall(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    syn_out(&box);
    g_assert_true(tcp_in(&box, REMOTE, WIRE_SYN | WIRE_ACK));
    g_assert_true(box_tcp(&box, PL_SIDE_INSIDE, INSIDE, wire_at(REMOTE), WIRE_ACK));
    box.now += 7440 * S - 1;
    g_assert_true(tcp_in(&box, REMOTE, WIRE_ACK));
}

static const struct {
    const char *path;
    GTestFunc test;
} tests[] = {
    {"10-icmp-errors-for-nobody-are-dropped", test_rec_10},
    {"14-udp-two-minutes", test_rec_14},
    {"16-udp-outbound-refreshes", test_rec_16},
    {"17-udp-filtering", test_rec_17},
    {"18-icmp-errors-pass", test_rec_18},
    {"19-icmp-errors-end-nothing", test_rec_19},
    {"31-tcp-handshake-and-simultaneous-open", test_rec_31},
    {"33-tcp-filtering", test_rec_33},
    {"35-tcp-two-hours", test_rec_35},
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/model/rfc6092/REC-", tests[i].path, NULL);

        g_test_add_func(path, tests[i].test);
    }
    return g_test_run();
}
