/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections between hosts in virtual time: made, ended, refused, tried again. */
#include "stack_pair.h"

static PlSocket *listen_at(Pair *pair, uint16_t port)
{
    const PhAddress local = with_port(pair->address[1], port);

    return pl_stack_listen(pair->stack[1], &local, NULL, 1);
}

static PlSocket *connect_to(Pair *pair, uint16_t port)
{
    const PhAddress remote = with_port(pair->address[1], port);

    return pl_stack_connect(pair->stack[0], &pair->address[0], &remote, NULL, 2, pair->now);
}

static void test_handshake(gconstpointer ipv6)
{
    g_auto(Pair) pair;
    PlSocket *listener, *connection;

    pair_init(&pair, ipv6 != NULL, 1500);
    listener = listen_at(&pair, 80);
    connection = connect_to(&pair, 80);
    pair_run(&pair);
    g_assert_cmpuint(pair.carried, ==, 3); /* SYN, SYN ACK, ACK */
    g_assert_cmpuint(pair.n_events, ==, 2);
    g_assert_cmpint(pair.events[0].kind, ==, PL_STACK_CONNECTED);
    g_assert_true(pair.events[0].socket == connection);
    g_assert_cmpint(pair.events[1].kind, ==, PL_STACK_ACCEPTED);
    g_assert_true(pair.events[1].socket == listener);
    g_assert_true(ph_address_equal(&pair.events[1].remote, pl_socket_local(connection)));
    g_assert_cmpuint(pl_stack_next(pair.stack[0]), ==, UINT64_MAX);
}

/* Both ends say FIN, and both are gone when everything has lingered. */
static void test_end(void)
{
    g_auto(Pair) pair;
    PlSocket *connection;

    pair_init(&pair, FALSE, 1500);
    listen_at(&pair, 80);
    connection = connect_to(&pair, 80);
    pair_run(&pair);
    pl_stack_close(pair.stack[1], pair.events[1].connection, pair.now);
    pair_run(&pair);
    g_assert_cmpint(connection->state, ==, PL_TCP_CLOSE_WAIT);
    pl_stack_close(pair.stack[0], connection, pair.now);
    pair_run(&pair);
    g_assert_cmpuint(pair.carried, ==, 7); /* FIN, ACK, FIN, ACK */
    g_assert_cmpuint(pair.stack[0]->connections->len, ==, 0);
    g_assert_cmpuint(pair.stack[1]->connections->len, ==, 1);
    g_assert_cmpint(((PlSocket *)pair.stack[1]->connections->pdata[0])->state, ==,
                    PL_TCP_TIME_WAIT);
    pair_pass(&pair, pair.now + 61 * S);
    g_assert_cmpuint(pair.stack[1]->connections->len, ==, 0);
    g_assert_cmpuint(pair.n_events, ==, 2);
}

static void test_both_end_at_once(void)
{
    g_auto(Pair) pair;
    PlSocket *connection;

    pair_init(&pair, FALSE, 1500);
    listen_at(&pair, 80);
    connection = connect_to(&pair, 80);
    pair_run(&pair);
    pl_stack_close(pair.stack[1], pair.events[1].connection, pair.now);
    pl_stack_close(pair.stack[0], connection, pair.now);
    pair_run(&pair);
    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpint(((PlSocket *)pair.stack[i]->connections->pdata[0])->state, ==,
                        PL_TCP_TIME_WAIT);
    pair_pass(&pair, pair.now + 61 * S);
    for (unsigned i = 0; i < 2; i++)
        g_assert_cmpuint(pair.stack[i]->connections->len, ==, 0);
}

static void test_refused(gconstpointer ipv6)
{
    g_auto(Pair) pair;
    PlSocket *connection;

    pair_init(&pair, ipv6 != NULL, 1500);
    connection = connect_to(&pair, 80);
    pair_run(&pair);
    g_assert_cmpuint(pair.carried, ==, 2); /* SYN, RST */
    g_assert_cmpuint(pair.n_events, ==, 1);
    g_assert_cmpint(pair.events[0].kind, ==, PL_STACK_FAILED);
    g_assert_true(pair.events[0].socket == connection);
    pl_stack_close(pair.stack[0], connection, pair.now);
    g_assert_cmpuint(pair.stack[0]->connections->len, ==, 0);
}

static void test_lost_packets(gconstpointer lost)
{
    g_auto(Pair) pair;
    uint64_t start;

    pair_init(&pair, FALSE, 1500);
    listen_at(&pair, 80);
    start = pair.now;
    pair.lose = GPOINTER_TO_UINT(lost);
    connect_to(&pair, 80);
    pair_run(&pair);
    while (pair.n_events < 2) {
        uint64_t next = MIN(pl_stack_next(pair.stack[0]), pl_stack_next(pair.stack[1]));

        g_assert_cmpuint(next, <, start + 8 * S);
        pair_pass(&pair, next);
    }
    /* Tried after 1, 3 and 7 seconds. */
    g_assert_cmpuint(pair.now - start, ==, ((1u << GPOINTER_TO_UINT(lost)) - 1) * S);
}

static void test_nobody_answers(void)
{
    g_auto(Pair) pair;

    pair_init(&pair, FALSE, 1500);
    pair.lose = 1000;
    connect_to(&pair, 80);
    pair_pass(&pair, pair.now + 1000 * S);
    g_assert_cmpuint(pair.n_events, ==, 1);
    g_assert_cmpint(pair.events[0].kind, ==, PL_STACK_FAILED);
    g_assert_cmpuint(pair.lengths->len, ==, 6);
}

static void test_both_begin(void)
{
    g_auto(Pair) pair;
    PhAddress a, b;

    pair_init(&pair, FALSE, 1500);
    a = with_port(pair.address[0], 5000);
    b = with_port(pair.address[1], 6000);
    pl_stack_connect(pair.stack[0], &a, &b, NULL, 0, pair.now);
    pl_stack_connect(pair.stack[1], &b, &a, NULL, 1, pair.now);
    pair_run(&pair);
    g_assert_cmpuint(pair.n_events, ==, 2);
    g_assert_cmpint(pair.events[0].kind, ==, PL_STACK_CONNECTED);
    g_assert_cmpint(pair.events[1].kind, ==, PL_STACK_CONNECTED);
}

static void test_listener_goes(void)
{
    g_auto(Pair) pair;
    PlSocket *listener;
    Carried *syn;
    PlStackEvent event;

    pair_init(&pair, FALSE, 1500);
    listener = listen_at(&pair, 80);
    connect_to(&pair, 80);
    syn = g_queue_pop_head(&pair.wire);
    g_assert_false(pl_stack_receive(pair.stack[1], syn->bytes, syn->length, pair.now, &event));
    g_free(syn);
    pl_stack_close(pair.stack[1], listener, pair.now);
    g_assert_cmpuint(pair.stack[1]->connections->len, ==, 0);
    pair_run(&pair); /* SYN ACK, ACK, RST: it stood, and is gone */
    g_assert_cmpuint(pair.n_events, ==, 2);
    g_assert_cmpint(pair.events[1].kind, ==, PL_STACK_FAILED);
}

/* Bytes that are nobody's connection are answered by a reset, and a reset by nothing. */
static void test_reset_is_not_answered(void)
{
    g_auto(Pair) pair;
    Carried *syn, *reset;
    PlStackEvent event;

    pair_init(&pair, FALSE, 1500);
    pl_stack_close(pair.stack[0], connect_to(&pair, 80), pair.now);
    syn = g_queue_pop_head(&pair.wire);
    pl_stack_receive(pair.stack[1], syn->bytes, syn->length, pair.now, &event);
    reset = g_queue_pop_head(&pair.wire);
    g_assert_nonnull(reset);
    g_assert_false(pl_stack_receive(pair.stack[0], reset->bytes, reset->length, pair.now, &event));
    g_assert_true(g_queue_is_empty(&pair.wire));
    g_free(syn);
    g_free(reset);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/virtual/tcp/ipv4/handshake", NULL, test_handshake);
    g_test_add_data_func("/virtual/tcp/ipv6/handshake", GINT_TO_POINTER(1), test_handshake);
    g_test_add_data_func("/virtual/tcp/ipv4/a closed port refuses", NULL, test_refused);
    g_test_add_data_func("/virtual/tcp/ipv6/a closed port refuses", GINT_TO_POINTER(1),
                         test_refused);
    g_test_add_func("/virtual/tcp/an end in order", test_end);
    g_test_add_func("/virtual/tcp/both end at once", test_both_end_at_once);
    g_test_add_data_func("/virtual/tcp/one packet lost", GUINT_TO_POINTER(1), test_lost_packets);
    g_test_add_data_func("/virtual/tcp/two packets lost", GUINT_TO_POINTER(2), test_lost_packets);
    g_test_add_func("/virtual/tcp/nobody answers", test_nobody_answers);
    g_test_add_func("/virtual/tcp/both begin", test_both_begin);
    g_test_add_func("/virtual/tcp/the listener goes", test_listener_goes);
    g_test_add_func("/virtual/tcp/a reset is not answered", test_reset_is_not_answered);
    return g_test_run();
}
