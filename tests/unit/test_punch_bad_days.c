/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attempts to punch over bad networks, against strangers, and more than once. */
#include "punch_world.h"

static const Kind *const kinds[] = {
    &kind_open,       &kind_firewall,        &kind_full_cone,
    &kind_restricted, &kind_port_restricted, &kind_random_cone,
    &kind_sequential, &kind_sequential_2,    &kind_block,
};
#define N_KINDS G_N_ELEMENTS(kinds)

/* How many of all pairs that can be opened are. */
static void try_all(const PlLink *line, const char *quirk, gint64 skew_ns, guint n_seeds,
                    guint *ret_opened, guint *ret_tried)
{
    *ret_opened = *ret_tried = 0;
    for (guint i = 0; i < N_KINDS * N_KINDS * n_seeds; i++) {
        const Kind *a = kinds[i % N_KINDS], *b = kinds[i / N_KINDS % N_KINDS];
        Kind quirky[2] = {*a, *b};
        g_auto(Punching) p = {0};

        for (guint k = 0; k < 2; k++)
            if (quirk && quirky[k].nat && quirky[k].mapping != PH_MAPPING_NONE)
                quirky[k].nat = g_strconcat(quirky[k].nat, quirk, NULL);
        punching_pair_on(&p, &quirky[0], &quirky[1], line, 1 + i / N_KINDS / N_KINDS);
        if (strategy_of(&p, 0) != PH_STRATEGY_RELAY) {
            gboolean opened = punching_attempt(&p, 1, skew_ns);

            *ret_tried += 1;
            *ret_opened += opened ? 1 : 0;
            if (!opened)
                g_test_message("%s x %s, seed %u: not open", a->name, b->name,
                               1 + i / (guint)N_KINDS / (guint)N_KINDS);
        }
        for (guint k = 0; k < 2; k++)
            if (quirky[k].nat != (k == 0 ? a : b)->nat)
                g_free((char *)quirky[k].nat);
    }
    g_test_message("%u of %u", *ret_opened, *ret_tried);
}

static void assert_all(const PlLink *line, const char *quirk, gint64 skew_ns)
{
    guint opened, tried;

    try_all(line, quirk, skew_ns, 1, &opened, &tried);
    g_assert_cmpuint(opened, ==, tried);
}

static void test_skew(void)
{
    assert_all(NULL, NULL, 1500 * (gint64)MS);
    assert_all(NULL, NULL, -1500 * (gint64)MS);
}

/* G10: it is normal that the first packet each way is lost. */
static void test_first_packet_lost(void)
{
    assert_all(NULL, "first-packet-lost = yes\n", 0);
}

static void test_duplicates(void)
{
    assert_all(&(PlLink){.duplicate_ppm = 300000}, NULL, 0);
}

static void test_reordering(void)
{
    assert_all(&(PlLink){.reorder_ppm = 300000, .jitter_ns = 9 * MS}, NULL, 0);
}

static void test_loss(void)
{
    guint opened, tried;

    try_all(&(PlLink){.loss_ppm = 300000}, NULL, 0, 20, &opened, &tried);
    g_assert_cmpuint(tried, ==, 1520);
    g_assert_cmpuint(opened, ==, 1520);
}

/* ---- strangers ---- */

static const Flight *first_of(const Punching *p, guint n, guint8 kind)
{
    for (guint i = 0; i < p->sides[n].sent->len; i++) {
        const Flight *flight = &g_array_index(p->sides[n].sent, Flight, i);

        if (flight->kind == kind)
            return flight;
    }
    return NULL;
}

/* What comes to a side, from nowhere in particular; whether anything comes of it. */
static gboolean stirs(Punching *p, guint n, const char *from, const guint8 *bytes, gsize length)
{
    PhPath path = {.transport = PH_TRANSPORT_UDP, .socket = DATA_SOCKET, .remote = wire_at(from)},
           open;
    PhPunchState before = state_of(p, n, &open);
    guint64 timeout = ph_punch_next_timeout(p->sides[n].punch);
    PhTransmit transmit;

    ph_punch_handle_datagram(p->sides[n].punch, &path, bytes, length, p->now);
    return ph_punch_poll_transmit(p->sides[n].punch, &transmit) ||
           state_of(p, n, &open) != before || ph_punch_next_timeout(p->sides[n].punch) != timeout;
}

#define STRANGER "203.0.113.66:6666"

/* An attempt in the middle: nobody has answered yet. */
static void halfway(Punching *p)
{
    punching_pair_on(p, &kind_port_restricted, &kind_port_restricted, NULL, 1);
    punching_start(p, 2, 0);
    punching_run(p, p->now + 10 * MS);
    g_assert_nonnull(first_of(p, 0, PH_PUNCH_PROBE));
    g_assert_nonnull(first_of(p, 1, PH_PUNCH_PROBE));
}

static void expect_open(Punching *p)
{
    punching_run(p, p->now + 10 * S);
    assert_passes(p, 0);
    assert_passes(p, 1);
}

static void test_forged(void)
{
    g_auto(Punching) p = {0};
    guint8 bytes[PH_PUNCH_PACKET_BYTES];

    halfway(&p);
    for (guint i = 0; i < sizeof(bytes) * 8; i++) {
        memcpy(bytes, first_of(&p, 1, PH_PUNCH_PROBE)->bytes, sizeof(bytes));
        bytes[i / 8] ^= (guint8)(1 << i % 8);
        g_assert_false(stirs(&p, 0, STRANGER, bytes, sizeof(bytes)));
        g_assert_false(stirs(&p, 0, STRANGER, bytes, i % sizeof(bytes)));
    }
    g_assert_cmpuint(ph_punch_counters(p.sides[0].punch)->received, ==, 0);
    g_assert_cmpuint(ph_punch_counters(p.sides[0].punch)->foreign, >, 100);
    expect_open(&p);
}

static void test_reflected(void)
{
    g_auto(Punching) p = {0};

    halfway(&p);
    g_assert_false(
        stirs(&p, 0, STRANGER, first_of(&p, 0, PH_PUNCH_PROBE)->bytes, PH_PUNCH_PACKET_BYTES));
    expect_open(&p);
}

/* N11: from the attempt before, with the token of then and, by mistake, with that of now. */
static void test_late(void)
{
    for (guint again = 0; again < 2; again++) {
        g_auto(Punching) p = {0};
        guint8 late[PH_PUNCH_PACKET_BYTES];

        punching_pair(&p, &kind_port_restricted, &kind_port_restricted, 1);
        punching_start(&p, again == 1 ? 2 : 1, 0);
        punching_run(&p, p.now + 10 * MS);
        memcpy(late, first_of(&p, 1, PH_PUNCH_PROBE)->bytes, sizeof(late));
        punching_start(&p, again == 1 ? 3 : 2, 0);
        if (again == 1)
            late[2] = 3;
        g_assert_false(stirs(&p, 0, STRANGER, late, sizeof(late)));
        expect_open(&p);
    }
}

/* What was heard once is not answered again, nor does an answer count from elsewhere. */
static void test_replayed(void)
{
    g_auto(Punching) p = {0};
    guint64 probes;

    halfway(&p);
    punching_run(&p, p.now + 125 * MS); /* probes have come */
    g_assert_nonnull(first_of(&p, 1, PH_PUNCH_ANSWER));
    for (guint n = 0; n < 2; n++) {
        probes = ph_punch_counters(p.sides[n].punch)->probes;
        for (guint i = 0; i < p.sides[1 - n].sent->len; i++) {
            const Flight *flight = &g_array_index(p.sides[1 - n].sent, Flight, i);

            if (flight->at + 20 * MS <= p.now) /* it has arrived */
                g_assert_false(stirs(&p, n, STRANGER, flight->bytes, sizeof(flight->bytes)));
        }
        g_assert_cmpuint(ph_punch_counters(p.sides[n].punch)->probes, ==, probes);
    }
    expect_open(&p);
}

/* An answer that was overheard, and is brought by somebody else before the peer's own arrives. */
static void test_answer_from_elsewhere(void)
{
    g_auto(Punching) p = {0};

    halfway(&p);
    while (!first_of(&p, 1, PH_PUNCH_ANSWER))
        punching_run(&p, p.now + MS);
    g_assert_false(
        stirs(&p, 0, STRANGER, first_of(&p, 1, PH_PUNCH_ANSWER)->bytes, PH_PUNCH_PACKET_BYTES));
    while (!first_of(&p, 0, PH_PUNCH_CHOSEN))
        punching_run(&p, p.now + MS);
    g_assert_false(
        stirs(&p, 1, STRANGER, first_of(&p, 0, PH_PUNCH_CHOSEN)->bytes, PH_PUNCH_PACKET_BYTES));
    expect_open(&p);
}

/* ---- further attempts ---- */

static const Kind kind_poisoned = {"port-restricted, takes in what is early",
                                   "behaviour = port-restricted\nunsolicited = accept\n",
                                   PH_MAPPING_ENDPOINT_INDEPENDENT,
                                   PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                   PH_PORT_ALLOCATION_PRESERVE,
                                   0};

/* So many routers lie between the two homes. */
static void far_apart(Punching *p, guint routers, guint64 seed)
{
    g_autoptr(GString) text =
        g_string_new("[topology]\ntitle = t\n[network n0]\nsubnet = 203.0.113.0/24\n"
                     "[host hub]\non = n0\naddress = 203.0.113.200\n");
    const Kind *both[2] = {&kind_poisoned, &kind_port_restricted};

    for (guint i = 1; i <= routers; i++)
        g_string_append_printf(text,
                               "[nat r%u]\noutside = n%u\ninside = n%u\nmapping = none\n"
                               "filtering = endpoint-independent\n"
                               "[network n%u]\nsubnet = 198.51.%u.0/24\n",
                               i, i - 1, i, i, i);
    g_string_append_printf(text,
                           "[nat home-a]\noutside = n0\ninside = 192.168.1.0/24\n%s"
                           "[nat home-b]\noutside = n%u\ninside = 192.168.1.0/24\n%s"
                           "[host alice]\nbehind = home-a\n[host bob]\nbehind = home-b\n",
                           both[0]->nat, routers, both[1]->nat);
    punching_init(p, text->str, NULL, seed);
    introduce(p, both);
}

#define EARLY (-(gint64)(80 * MS)) /* bob begins so much before alice */

static void test_early_packets_poison_a_plain_attempt(void)
{
    g_auto(Punching) p = {0};

    far_apart(&p, 4, 1);
    g_assert_false(punching_attempt(&p, 1, EARLY));
}

static void test_openers_do_not_poison(void)
{
    g_auto(Punching) p = {0};
    guint openers = 0;

    far_apart(&p, 4, 1);
    g_assert_true(punching_attempt(&p, 2, EARLY));
    for (guint i = 0; i < p.sides[1].sent->len; i++)
        openers += g_array_index(p.sides[1].sent, Flight, i).ttl != 0;
    g_assert_cmpuint(openers, ==, 1);
}

/* With nothing in between an opener gets there. Then it depends on who is first. */
static void test_order_is_swapped(void)
{
    for (guint higher = 0; higher < 2; higher++) {
        g_auto(Punching) p = {0};

        far_apart(&p, 0, 1);
        p.higher = higher == 1; /* then alice goes first */
        g_assert_true(punching_attempt(&p, 4, EARLY) == p.higher);
    }
}

static void test_third_attempt_has_a_fresh_socket(void)
{
    for (guint attempt = 1; attempt <= 3; attempt += 2) {
        g_auto(Punching) p = {0};
        PhPath path;

        punching_pair(&p, &kind_port_restricted, &kind_restricted, 1);
        p.sides[0].data_stuck = TRUE;
        g_assert_true(punching_attempt(&p, attempt, 0) == (attempt == 3));
        if (attempt == 3) {
            g_assert_cmpint(state_of(&p, 0, &path), ==, PH_PUNCH_OPEN);
            g_assert_cmpuint(path.socket, ==, FRESH_SOCKET);
        }
        g_assert_cmpuint(p.sides[0].open, ==, attempt == 3 ? 1 : 0);
    }
}

static void test_every_attempt_opens(void)
{
    for (guint attempt = 1; attempt <= 4; attempt++)
        for (guint i = 0; i < N_KINDS * N_KINDS; i++) {
            g_auto(Punching) p = {0};

            punching_pair(&p, kinds[i % N_KINDS], kinds[i / N_KINDS], 1);
            if (strategy_of(&p, 0) == PH_STRATEGY_RELAY ||
                (strategy_of(&p, 0) == PH_STRATEGY_PREDICT && p.sides[0].record.step != 0))
                continue; /* what sequences lead to depends on the attempts before */
            g_assert_true(punching_attempt(&p, attempt, 0));
        }
}

/* As many as there may be, of which one is right. */
static void test_many_candidates(void)
{
    for (guint attempt = 1; attempt <= 3; attempt++) {
        g_auto(Punching) p = {0};

        punching_pair(&p, &kind_port_restricted, &kind_port_restricted, 1);
        for (guint n = 0; n < 2; n++)
            while (p.sides[n].record.n_candidates < PH_CANDIDATES_MAX)
                add_candidate(&p.sides[n].record, PH_CANDIDATE_MAPPED,
                              ph_address_ipv4(0xc6336400 + p.sides[n].record.n_candidates, 9));
        g_assert_true(punching_attempt(&p, attempt, 0));
    }
}

static const PhAddress six = {
    .bytes = {0x20, 0x01, 0x0d, 0xb8}, .family = PH_FAMILY_IPV6, .port = 9};

/* One that decides, and whose peer is by either family. */
static PhPunch *new_of_both(PhPunchConfig *ret_config)
{
    *ret_config = (PhPunchConfig){
        .strategy = PH_STRATEGY_PUNCH,
        .attempt = 1,
        .lower = true,
        .socket = DATA_SOCKET,
        .other_socket = DATA_SOCKET + 1,
        .family = PH_FAMILY_IPV4,
        .other = {.n_candidates = 2,
                  .candidates = {{PH_CANDIDATE_REFLEXIVE, ph_address_ipv4(0xcb007107, 9)},
                                 {PH_CANDIDATE_REFLEXIVE, six}}},
    };
    return ph_punch_new(ret_config, 0);
}

/* When its patience is over, if nothing is heard; what it sends last by IPv4. Until `end` only. */
static guint64 run_until(PhPunch *punch, guint64 end, PhTransmit *ret_last, guint8 *ret_bytes)
{
    PhTransmit transmit;
    guint64 now = 0, next;

    for (; (next = ph_punch_next_timeout(punch)) < end; now = next) {
        ph_punch_handle_timeout(punch, next);
        while (ph_punch_poll_transmit(punch, &transmit)) {
            if (transmit.path.remote.family != PH_FAMILY_IPV4)
                continue;
            *ret_last = transmit;
            memcpy(ret_bytes, transmit.bytes, PH_PUNCH_PACKET_BYTES);
        }
    }
    return now;
}

/* The first answer comes when patience is almost over, by IPv4: IPv6 is waited for no longer than
 * that, and what works is taken. */
static void test_an_answer_in_the_last_moment(void)
{
    guint8 bytes[PH_PUNCH_PACKET_BYTES] = {0};
    PhPunchConfig config;
    PhPunch *punch = new_of_both(&config);
    PhPunchPacket answer;
    PhTransmit last = {0};
    PhPath path;
    guint64 end = run_until(punch, G_MAXUINT64, &last, bytes);

    ph_punch_free(punch);
    punch = new_of_both(&config);
    g_assert_cmpuint(run_until(punch, end, &last, bytes), <, end - 50 * MS);
    g_assert_true(ph_punch_packet_read(bytes, sizeof(bytes), &answer));
    answer.kind = PH_PUNCH_ANSWER;
    answer.side = 1;
    ph_punch_packet_write(&answer, config.token, bytes);
    g_assert_true(ph_punch_handle_datagram(punch, &last.path, bytes, sizeof(bytes), end - 50 * MS));
    g_assert_cmpint(ph_punch_state(punch, &path), ==, PH_PUNCH_RUNNING);
    g_assert_cmpuint(ph_punch_next_timeout(punch), ==, end);
    ph_punch_handle_timeout(punch, end);
    g_assert_cmpint(ph_punch_state(punch, &path), ==, PH_PUNCH_OPEN);
    g_assert_true(ph_address_equal(&path.remote, &last.path.remote));
    ph_punch_free(punch);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/punch-bad-days/skew", test_skew);
    g_test_add_func("/punch-bad-days/first-packet-lost", test_first_packet_lost);
    g_test_add_func("/punch-bad-days/duplicates", test_duplicates);
    g_test_add_func("/punch-bad-days/reordering", test_reordering);
    g_test_add_func("/punch-bad-days/loss", test_loss);
    g_test_add_func("/punch-bad-days/forged", test_forged);
    g_test_add_func("/punch-bad-days/reflected", test_reflected);
    g_test_add_func("/punch-bad-days/late", test_late);
    g_test_add_func("/punch-bad-days/replayed", test_replayed);
    g_test_add_func("/punch-bad-days/answer-from-elsewhere", test_answer_from_elsewhere);
    g_test_add_func("/punch-bad-days/early-packets-poison-a-plain-attempt",
                    test_early_packets_poison_a_plain_attempt);
    g_test_add_func("/punch-bad-days/openers-do-not-poison", test_openers_do_not_poison);
    g_test_add_func("/punch-bad-days/order-is-swapped", test_order_is_swapped);
    g_test_add_func("/punch-bad-days/third-attempt-has-a-fresh-socket",
                    test_third_attempt_has_a_fresh_socket);
    g_test_add_func("/punch-bad-days/every-attempt-opens", test_every_attempt_opens);
    g_test_add_func("/punch-bad-days/many-candidates", test_many_candidates);
    g_test_add_func("/punch-bad-days/answer-in-the-last-moment", test_an_answer_in_the_last_moment);
    return g_test_run();
}
