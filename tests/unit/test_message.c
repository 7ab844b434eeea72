/* SPDX-License-Identifier: MIT */
/* The codec of messages: what is written is read, and nothing else is. */
#include <glib.h>
#include <string.h>

#include "../../lib/core/message.h"

static PhNodeRecord some_record(guint n)
{
    PhNodeRecord record = {
        .sequence = G_GUINT64_CONSTANT(0x0102030405060708),
        .name = "alice-1.home_2",
        .nat_class = PH_CLASS_SYMMETRIC,
        .mapping = PH_MAPPING_ADDRESS_DEPENDENT,
        .filtering = PH_FILTERING_ENDPOINT_INDEPENDENT,
        .pooling = PH_POOLING_ARBITRARY,
        .port_allocation = PH_PORT_ALLOCATION_BLOCK,
        .step = -2,
        .block_first = 1024,
        .block_last = 65535,
        .relays = 1,
        .hidden = 1,
        .beside_open = 1,
        .n_candidates = (uint8_t)n,
    };

    for (guint i = 0; i < n; i++) {
        record.candidates[i].kind = (uint8_t)(i % PH_CANDIDATE_N);
        g_assert_true(ph_address_parse(i % 2 ? "[2001:db8::7]:4000" : "192.0.2.7:4000",
                                       &record.candidates[i].address));
        record.candidates[i].address.port = (uint16_t)(4000 + i);
    }
    return record;
}

static const guint8 some_bytes[] = {1, 2, 3, 0, 255};

/* One of each kind, some of them twice. */
static GArray *all_messages(void)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(PhMessage));
    PhAddress seen = ph_address_ipv4(0xc6336407, 6000), none = {0}, also;
    PhMessage message;

    g_assert_true(ph_address_parse("[2001:db8::10]:3478", &also));

#define ADD_MESSAGE(...)                                                                           \
    do {                                                                                           \
        memset(&message, 0, sizeof(message));                                                      \
        message = (PhMessage){__VA_ARGS__};                                                        \
        g_array_append_val(all, message);                                                          \
    } while (0)
    ADD_MESSAGE(.kind = PH_MESSAGE_KEEPALIVE);
    ADD_MESSAGE(.kind = PH_MESSAGE_MOVED);
    ADD_MESSAGE(.kind = PH_MESSAGE_PREPARE);
    ADD_MESSAGE(.kind = PH_MESSAGE_PREPARED);
    ADD_MESSAGE(.kind = PH_MESSAGE_LOOK, .ping = {.id = 0x1122334455667788});
    ADD_MESSAGE(.kind = PH_MESSAGE_LOOKED, .ping = {.id = 2});
    ADD_MESSAGE(.kind = PH_MESSAGE_DATA, .data = {some_bytes, sizeof(some_bytes)});
    ADD_MESSAGE(.kind = PH_MESSAGE_PING, .ping = {.id = 0x1122334455667788});
    ADD_MESSAGE(.kind = PH_MESSAGE_PONG, .ping = {.id = UINT64_MAX, .seen = seen});
    ADD_MESSAGE(.kind = PH_MESSAGE_PONG, .ping = {.id = 1, .seen = none});
    ADD_MESSAGE(.kind = PH_MESSAGE_CLOSE, .reason = PH_REASON_GOODBYE);
    ADD_MESSAGE(.kind = PH_MESSAGE_REGISTER, .record = some_record(PH_CANDIDATES_MAX));
    ADD_MESSAGE(.kind = PH_MESSAGE_REGISTER, .record = {.sequence = 1});
    ADD_MESSAGE(.kind = PH_MESSAGE_REGISTERED, .registered = {.lifetime_s = 90, .seen = seen});
    ADD_MESSAGE(.kind = PH_MESSAGE_REGISTERED,
                .registered = {.lifetime_s = 90, .seen = seen, .also = also});
    ADD_MESSAGE(.kind = PH_MESSAGE_REFUSED,
                .refused = {PH_MESSAGE_CONNECT, PH_REASON_UNKNOWN_PEER, 0x01020304});
    ADD_MESSAGE(.kind = PH_MESSAGE_CONNECT, .connect = {7, false, true, "bob", {0}});
    ADD_MESSAGE(.kind = PH_MESSAGE_CONNECT, .connect = {8, true, false, "", {1, 2, 3}});
    ADD_MESSAGE(.kind = PH_MESSAGE_FOUND, .peer = {7, 9, false, {5}, some_record(1), .seen = seen});
    ADD_MESSAGE(.kind = PH_MESSAGE_WANTED,
                .peer = {0, 10, true, {6}, some_record(2), .seen = seen});
    ADD_MESSAGE(.kind = PH_MESSAGE_RELAY, .relay = {9, some_bytes, sizeof(some_bytes)});
    ADD_MESSAGE(.kind = PH_MESSAGE_RELAYED, .relay = {10, some_bytes, 1});
    ADD_MESSAGE(.kind = PH_MESSAGE_INTRODUCE, .introduce = {11, 2, {5}, some_record(3)});
    ADD_MESSAGE(.kind = PH_MESSAGE_INTRODUCED,
                .introduced = {11, 3, {6}, some_record(4), {1, 2, 3}, 250000});
    ADD_MESSAGE(.kind = PH_MESSAGE_UPDATE, .record = some_record(5));
#undef ADD_MESSAGE
    return all;
}

static gboolean takes_the_rest(guint8 kind)
{
    return kind == PH_MESSAGE_DATA || kind == PH_MESSAGE_RELAY || kind == PH_MESSAGE_RELAYED;
}

static void test_every_kind_is_read_as_it_was_written(void)
{
    g_autoptr(GArray) all = all_messages();
    guint kinds[256] = {0}, n = 0;

    for (guint i = 0; i < all->len; i++) {
        const PhMessage *message = &g_array_index(all, PhMessage, i);
        guint8 bytes[1024], again[1024];
        gsize length = ph_message_write(message, bytes, sizeof(bytes)), used;
        PhMessage read;

        g_assert_cmpuint(length, >, 0);
        n += kinds[message->kind]++ == 0;
        /* There is something behind it. */
        bytes[length] = PH_MESSAGE_KEEPALIVE;
        g_assert_true(
            ph_message_read(bytes, length + (takes_the_rest(message->kind) ? 0 : 1), &read, &used));
        g_assert_cmpuint(used, ==, length);
        g_assert_cmpuint(ph_message_write(&read, again, sizeof(again)), ==, length);
        g_assert_true(memcmp(bytes, again, length) == 0);
        g_assert_cmpuint(read.kind, ==, message->kind);
    }
    g_assert_cmpuint(n, ==, 21);
}

static void test_fields_are_where_they_were(void)
{
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCED}, read;
    guint8 bytes[1024];
    gsize used;

    message.introduced.record = some_record(3);
    message.introduced.token[15] = 0xee;
    message.introduced.start_us = 123456;
    g_assert_true(
        ph_message_read(bytes, ph_message_write(&message, bytes, sizeof(bytes)), &read, &used));
    g_assert_cmpuint(read.introduced.start_us, ==, 123456);
    g_assert_cmpuint(read.introduced.token[15], ==, 0xee);
    g_assert_cmpstr(read.introduced.record.name, ==, "alice-1.home_2");
    g_assert_cmpint(read.introduced.record.step, ==, -2);
    g_assert_cmpuint(read.introduced.record.block_last, ==, 65535);
    g_assert_cmpuint(read.introduced.record.n_candidates, ==, 3);
    g_assert_cmpuint(read.introduced.record.nat_class, ==, PH_CLASS_SYMMETRIC);
    g_assert_cmpuint(read.introduced.record.mapping, ==, PH_MAPPING_ADDRESS_DEPENDENT);
    g_assert_cmpuint(read.introduced.record.filtering, ==, PH_FILTERING_ENDPOINT_INDEPENDENT);
    g_assert_cmpuint(read.introduced.record.pooling, ==, PH_POOLING_ARBITRARY);
    g_assert_cmpuint(read.introduced.record.relays, ==, 1);
    g_assert_cmpuint(read.introduced.record.hidden, ==, 1);
    for (guint i = 0; i < 3; i++)
        g_assert_true(ph_address_equal(&read.introduced.record.candidates[i].address,
                                       &message.introduced.record.candidates[i].address));
}

static void test_cut_messages_are_none(void)
{
    g_autoptr(GArray) all = all_messages();

    for (guint i = 0; i < all->len; i++) {
        const PhMessage *message = &g_array_index(all, PhMessage, i);
        guint8 bytes[1024];
        gsize whole = ph_message_write(message, bytes, sizeof(bytes)), used;
        /* Of what takes the rest only the fields before it are looked at. */
        gsize fixed = message->kind == PH_MESSAGE_DATA ? 1
                      : takes_the_rest(message->kind)  ? 5
                                                       : whole;

        for (gsize length = 0; length < fixed; length++) {
            g_autofree guint8 *cut = g_memdup2(bytes, length); /* so that ASan sees its end */
            PhMessage read;

            g_assert_false(ph_message_read(cut, length, &read, &used));
        }
    }
}

static void test_too_little_room_is_seen(void)
{
    g_autoptr(GArray) all = all_messages();

    for (guint i = 0; i < all->len; i++) {
        const PhMessage *message = &g_array_index(all, PhMessage, i);
        guint8 bytes[1024];
        gsize whole = ph_message_write(message, bytes, sizeof(bytes));

        for (gsize room = 0; room < whole; room++) {
            g_autofree guint8 *small = g_malloc(room + 1);

            g_assert_cmpuint(ph_message_write(message, small, room), ==, 0);
        }
    }
}

/* Where in a REGISTER with a name of 14 letters what is. */
#define AT_NAME       9
#define AT_CLASS      (AT_NAME + 1 + 14)
#define AT_MAPPING    (AT_CLASS + 1)
#define AT_FILTERING  (AT_CLASS + 2)
#define AT_POOLING    (AT_CLASS + 3)
#define AT_ALLOCATION (AT_CLASS + 4)
#define AT_RELAYS     (AT_CLASS + 11)
#define AT_N          (AT_CLASS + 12)
#define AT_KIND       (AT_CLASS + 13)
#define AT_FAMILY     (AT_CLASS + 14)
#define AT_PORT       (AT_CLASS + 15)

static void test_hostile_values_are_refused(void)
{
    static const struct {
        gsize at;
        guint8 value;
    } rows[] = {
        {AT_NAME, 64},
        {AT_NAME, 255},
        {AT_NAME + 1, 0},
        {AT_NAME + 1, '\n'},
        {AT_NAME + 1, '/'},
        {AT_NAME + 14, 0xc3},
        {AT_CLASS, PH_CLASS_N},
        {AT_MAPPING, PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT + 1},
        {AT_FILTERING, PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT + 1},
        {AT_POOLING, PH_POOLING_ARBITRARY + 1},
        {AT_ALLOCATION, PH_PORT_ALLOCATION_BLOCK + 1},
        {AT_RELAYS, 8},
        {AT_N, PH_CANDIDATES_MAX + 1},
        {AT_N, 255},
        {AT_N, 3},
        {AT_KIND, PH_CANDIDATE_N},
        {AT_FAMILY, 0},
        {AT_FAMILY, 5},
        {AT_FAMILY, 255},
    };
    PhMessage message = {.kind = PH_MESSAGE_REGISTER}, read;
    guint8 bytes[1024], bad[1024];
    gsize length, used;

    message.record = some_record(2);
    length = ph_message_write(&message, bytes, sizeof(bytes));
    g_assert_true(ph_message_read(bytes, length, &read, &used));
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        memcpy(bad, bytes, length);
        bad[rows[i].at] = rows[i].value;
        if (ph_message_read(bad, length, &read, &used))
            g_error("row %u is read", i);
    }
    memcpy(bad, bytes, length);
    memset(bad + AT_PORT, 0, 2); /* a candidate without a port leads nowhere */
    g_assert_false(ph_message_read(bad, length, &read, &used));
}

static void test_a_flag_is_zero_or_one(void)
{
    PhMessage message = {.kind = PH_MESSAGE_CONNECT}, read;
    guint8 bytes[64];
    gsize length = ph_message_write(&message, bytes, sizeof(bytes)), used;

    g_assert_true(ph_message_read(bytes, length, &read, &used));
    bytes[5] = 2;
    g_assert_false(ph_message_read(bytes, length, &read, &used));
}

/* Whoever is asked for has a name. */
static void test_an_empty_name_asks_for_nobody(void)
{
    static const guint8 bytes[] = {PH_MESSAGE_CONNECT, 0, 0, 0, 1, 0, 1, 0};
    PhMessage message = {.kind = PH_MESSAGE_CONNECT, .connect = {1, false, true, "", {0}}}, read;
    guint8 written[16];
    gsize used;

    g_assert_false(ph_message_read(bytes, sizeof(bytes), &read, &used));
    g_assert_cmpuint(ph_message_write(&message, written, sizeof(written)), ==, 0);
}

static void test_what_makes_no_sense_is_not_written(void)
{
    PhMessage message = {.kind = PH_MESSAGE_REGISTER};
    guint8 bytes[1024];

    message.record = some_record(1);
    message.record.n_candidates = PH_CANDIDATES_MAX + 1;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.record = some_record(1);
    message.record.name[0] = ' ';
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.record = some_record(1);
    message.record.candidates[0].address.port = 0;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.record = some_record(1);
    message.record.candidates[0].address.family = 5;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.record = some_record(1);
    message.record.nat_class = PH_CLASS_N;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.record = some_record(1);
    message.record.mapping = PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT + 1;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.record = some_record(1);
    message.record.filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT + 1;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.record = some_record(1);
    message.record.pooling = PH_POOLING_ARBITRARY + 1;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
    message.kind = PH_MESSAGE_UNKNOWN;
    g_assert_cmpuint(ph_message_write(&message, bytes, sizeof(bytes)), ==, 0);
}

static void test_later_kinds_are_passed_over(void)
{
    static const guint8 bytes[] = {200, 1, 2, 3};
    PhMessage read;
    gsize used;

    g_assert_true(ph_message_read(bytes, sizeof(bytes), &read, &used));
    g_assert_cmpuint(read.kind, ==, PH_MESSAGE_UNKNOWN);
    g_assert_cmpuint(used, ==, sizeof(bytes));
}

static void test_names(void)
{
    char longest[PH_NAME_MAX + 2];

    memset(longest, 'a', sizeof(longest) - 1);
    longest[PH_NAME_MAX + 1] = 0;
    g_assert_false(ph_name_is_valid(longest));
    longest[PH_NAME_MAX] = 0;
    g_assert_true(ph_name_is_valid(longest));
    g_assert_true(ph_name_is_valid("Zz9-_."));
    g_assert_false(ph_name_is_valid(""));
    g_assert_false(ph_name_is_valid("a b"));
    g_assert_false(ph_name_is_valid("a@b"));
    g_assert_false(ph_name_is_valid("\xc3\xa4"));
}

static void test_every_reason_has_a_name_and_a_sentence(void)
{
    for (guint i = 0; i < PH_REASON_N; i++) {
        g_assert_nonnull(ph_reason_name((PhReason)i));
        g_assert_true(g_str_has_suffix(ph_reason_sentence((PhReason)i), "."));
        for (guint j = 0; j < i; j++)
            g_assert_cmpstr(ph_reason_name((PhReason)i), !=, ph_reason_name((PhReason)j));
    }
    g_assert_cmpstr(ph_reason_name((PhReason)200), ==, "unknown-reason");
    g_assert_nonnull(ph_reason_sentence((PhReason)200));
}

#define ADD(test) g_test_add_func("/message/" #test, test_##test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(every_kind_is_read_as_it_was_written);
    ADD(fields_are_where_they_were);
    ADD(cut_messages_are_none);
    ADD(too_little_room_is_seen);
    ADD(hostile_values_are_refused);
    ADD(a_flag_is_zero_or_one);
    ADD(an_empty_name_asks_for_nobody);
    ADD(what_makes_no_sense_is_not_written);
    ADD(later_kinds_are_passed_over);
    ADD(names);
    ADD(every_reason_has_a_name_and_a_sentence);
    return g_test_run();
}
