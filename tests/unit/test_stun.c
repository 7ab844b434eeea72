/* SPDX-License-Identifier: MIT */
/* The STUN codec: RFC 5769's vectors, and everything that a datagram can lie about. */
#include <glib.h>
#include <pinhole/stun.h>
#include <string.h>

typedef struct Vector {
    const char *hex, *software, *mapped;
    const char *username, *realm, *password; /* realm: the key is that of RFC 8489 §9.2.2 */
    PhStunClass message_class;
    gboolean fingerprint, sha256;
} Vector;

#define TRANSACTION "2112a442b7e7a701bc34d686fa87dfae"
#define MATRIX                                                                                     \
    "\xe3\x83\x9e\xe3\x83\x88\xe3\x83\xaa\xe3\x83\x83\xe3\x82\xaf\xe3\x82\xb9" /* katakana */

/* RFC 5769 §2.1 to §2.4, RFC 8489 appendix B.1. */
static const Vector vectors[] = {
    {
        .hex = "00010058" TRANSACTION "802200105354554e207465737420636c69656e74002400046e0001ff"
               "80290008932ff9b151263b36000600096576746a3a683676592020200008"
               "00149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
        .software = "STUN test client",
        .username = "evtj:h6vY",
        .password = "VOkJxbRl1RmTxUk/WvJxBt",
        .message_class = PH_STUN_REQUEST,
        .fingerprint = TRUE,
    },
    {
        .hex = "0101003c" TRANSACTION "8022000b7465737420766563746f7220002000080001a147e112a643"
               "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
        .software = "test vector",
        .mapped = "192.0.2.1:32853",
        .password = "VOkJxbRl1RmTxUk/WvJxBt",
        .message_class = PH_STUN_SUCCESS,
        .fingerprint = TRUE,
    },
    {
        .hex = "01010048" TRANSACTION "8022000b7465737420766563746f7220002000140002a1470113a9fa"
               "a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004"
               "c8fb0b4c",
        .software = "test vector",
        .mapped = "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
        .password = "VOkJxbRl1RmTxUk/WvJxBt",
        .message_class = PH_STUN_SUCCESS,
        .fingerprint = TRUE,
    },
    {
        .hex = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe3"
               "82b900000015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b"
               "6578616d706c652e6f72670000080014f67024656dd64a3e02b8e0712e85c9a28ca89666",
        .username = MATRIX,
        .realm = "example.org",
        .password = "TheMatrIX",
        .message_class = PH_STUN_REQUEST,
    },
    {
        .hex = "000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f"
               "24819415569e60b205c46e41407f1704001500296f624d61744a6f7332414141"
               "43662f2f3439396b39353464364f4c33346f4c39465354767936347341000000"
               "0014000b6578616d706c652e6f726700001d000400020000001c0020b5c7bf005b6c52a21c51c5e8"
               "92f81924136296cb927c43149309278cc6518e65",
        .username = MATRIX,
        .realm = "example.org",
        .password = "TheMatrIX",
        .message_class = PH_STUN_REQUEST,
        .sha256 = TRUE,
    },
};

static void assert_same(const void *a, gsize a_length, const void *b, gsize b_length)
{
    g_assert_cmpuint(a_length, ==, b_length);
    g_assert_true(memcmp(a, b, a_length) == 0);
}

static GByteArray *from_hex(const char *hex)
{
    GByteArray *bytes = g_byte_array_new();

    for (; hex[0]; hex += 2) {
        guint8 byte = (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));

        g_byte_array_append(bytes, &byte, 1);
    }
    return bytes;
}

static PhStunStatus read_hex(const char *hex)
{
    g_autoptr(GByteArray) bytes = from_hex(hex);
    PhStunMessage message;

    return ph_stun_read(bytes->data, bytes->len, &message);
}

static GBytes *key_of(const Vector *vector)
{
    g_autofree char *text = NULL;
    guint8 key[32];
    gsize length = sizeof(key);
    g_autoptr(GChecksum) sum = g_checksum_new(vector->sha256 ? G_CHECKSUM_SHA256 : G_CHECKSUM_MD5);

    if (!vector->realm)
        return g_bytes_new(vector->password, strlen(vector->password));
    text = g_strjoin(":", vector->username, vector->realm, vector->password, NULL);
    g_checksum_update(sum, (const guchar *)text, -1);
    g_checksum_get_digest(sum, key, &length);
    return g_bytes_new(key, length);
}

/* What the codec says is covered, hashed by somebody else. */
static void check_integrity(const Vector *vector, const PhStunMessage *message)
{
    g_autoptr(GBytes) key = key_of(vector);
    guint8 header[PH_STUN_HEADER_BYTES], digest[32];
    gsize length = sizeof(digest), covered;
    PhStunAttribute attribute;
    GHmac *hmac;

    g_assert_true(ph_stun_find(
        message, vector->sha256 ? PH_STUN_MESSAGE_INTEGRITY_SHA256 : PH_STUN_MESSAGE_INTEGRITY,
        &attribute));
    covered = ph_stun_covered(message, &attribute, header);
    hmac = g_hmac_new(vector->sha256 ? G_CHECKSUM_SHA256 : G_CHECKSUM_SHA1,
                      g_bytes_get_data(key, NULL), g_bytes_get_size(key));
    g_hmac_update(hmac, header, sizeof(header));
    g_hmac_update(hmac, message->bytes + sizeof(header), (gssize)(covered - sizeof(header)));
    g_hmac_get_digest(hmac, digest, &length);
    g_hmac_unref(hmac);
    assert_same(digest, length, attribute.value, attribute.length);
}

static void rfc5769_vectors_are_read(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(vectors); i++) {
        const Vector *vector = &vectors[i];
        g_autoptr(GByteArray) bytes = from_hex(vector->hex);
        char text[PH_ADDRESS_TEXT_MAX];
        PhStunAttribute attribute;
        PhStunMessage message;
        PhAddress mapped;

        g_assert_cmpint(ph_stun_read(bytes->data, bytes->len, &message), ==, PH_STUN_OK);
        g_assert_cmpint(message.message_class, ==, vector->message_class);
        g_assert_cmpint(message.method, ==, PH_STUN_BINDING);
        g_assert_false(message.classic);
        if (vector->software) {
            g_assert_true(ph_stun_find(&message, PH_STUN_SOFTWARE, &attribute));
            assert_same(attribute.value, attribute.length, vector->software,
                        strlen(vector->software));
        }
        if (vector->mapped) {
            g_assert_true(ph_stun_find(&message, PH_STUN_XOR_MAPPED_ADDRESS, &attribute));
            g_assert_true(ph_stun_get_address(&message, &attribute, &mapped));
            g_assert_cmpstr(ph_address_format(&mapped, text), ==, vector->mapped);
        }
        g_assert_cmpint(ph_stun_find(&message, PH_STUN_FINGERPRINT_ATTRIBUTE, &attribute), ==,
                        vector->fingerprint);
        check_integrity(vector, &message);
    }
}

static void rfc5769_ipv4_answer_is_written_byte_for_byte(void)
{
    static const char padding = ' '; /* the vector's; RFC 8489 wants zeros, which we write */
    g_autoptr(GByteArray) bytes = from_hex(vectors[1].hex);
    PhStunAttribute integrity;
    PhStunMessage message;
    PhStunWriter writer;
    guint8 buffer[80];
    PhAddress mapped;

    g_assert_cmpint(ph_stun_read(bytes->data, bytes->len, &message), ==, PH_STUN_OK);
    g_assert_true(ph_stun_find(&message, PH_STUN_MESSAGE_INTEGRITY, &integrity));
    g_assert_true(ph_address_parse(vectors[1].mapped, &mapped));
    ph_stun_write_begin(&writer, buffer, sizeof(buffer), PH_STUN_SUCCESS, PH_STUN_BINDING,
                        &message.transaction);
    ph_stun_write(&writer, PH_STUN_SOFTWARE, "test vector", 11);
    g_assert_cmpint(buffer[35], ==, 0);
    buffer[35] = (guint8)padding;
    ph_stun_write_address(&writer, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
    ph_stun_write(&writer, PH_STUN_MESSAGE_INTEGRITY, integrity.value, integrity.length);
    ph_stun_write_fingerprint(&writer);
    assert_same(buffer, ph_stun_write_end(&writer), bytes->data, bytes->len);
}

/* A changed message is refused, or has lost its fingerprint: its type or a length was changed. */
static void a_fingerprinted_message_cannot_change_and_stay_one(void)
{
    g_autoptr(GByteArray) bytes = from_hex(vectors[0].hex);

    for (gsize bit = 0; bit < bytes->len * 8; bit++) {
        PhStunAttribute attribute;
        PhStunMessage message;

        bytes->data[bit / 8] ^= (guint8)(1 << bit % 8);
        g_assert_false(ph_stun_read(bytes->data, bytes->len, &message) == PH_STUN_OK &&
                       ph_stun_find(&message, PH_STUN_FINGERPRINT_ATTRIBUTE, &attribute));
        bytes->data[bit / 8] ^= (guint8)(1 << bit % 8);
    }
}

static void no_beginning_of_a_message_is_one(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(vectors); i++) {
        g_autoptr(GByteArray) bytes = from_hex(vectors[i].hex);

        for (gsize length = 0; length < bytes->len; length++) {
            /* A copy of that length, so that a sanitizer sees what is read behind it. */
            g_autofree guint8 *copy = g_memdup2(bytes->data, length);
            PhStunMessage message;

            g_assert_cmpint(ph_stun_read(copy, length, &message), !=, PH_STUN_OK);
        }
    }
}

static void what_lies_about_its_length_is_refused(void)
{
    static const struct {
        const char *hex;
        PhStunStatus status;
    } wrong[] = {
        {"", PH_STUN_FOREIGN},
        {"00010000" TRANSACTION "00", PH_STUN_MALFORMED},
        {"00010004" TRANSACTION, PH_STUN_MALFORMED},
        {"00010001" TRANSACTION "00", PH_STUN_MALFORMED},
        {"00010003" TRANSACTION "000300", PH_STUN_MALFORMED},
        {"40010000" TRANSACTION, PH_STUN_FOREIGN},
        {"80010000" TRANSACTION, PH_STUN_FOREIGN},
        {"00010004" TRANSACTION "80220001", PH_STUN_MALFORMED},
        {"00010004" TRANSACTION "8022ffff", PH_STUN_MALFORMED},
        {"00010008" TRANSACTION "8022000500000000", PH_STUN_MALFORMED},
        {"00010008" TRANSACTION "8022fffd00000000", PH_STUN_MALFORMED},
        {"00010008" TRANSACTION "8028000400000000", PH_STUN_FINGERPRINT},
        {"00010004" TRANSACTION "80280000", PH_STUN_FINGERPRINT},
        {"00010004"
         "00000000b7e7a701bc34d686fa87dfae",
         PH_STUN_FOREIGN},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_cmpint(read_hex(wrong[i].hex), ==, wrong[i].status);
    g_assert_cmpint(read_hex("00010000" TRANSACTION), ==, PH_STUN_OK);
}

static void classes_and_methods_survive(void)
{
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)"abcdefghijkl");

    for (unsigned method = 0; method < 0x1000; method += 0x111) {
        for (unsigned c = 0; c < 4; c++) {
            PhStunMessage message;
            PhStunWriter writer;
            guint8 buffer[20];

            ph_stun_write_begin(&writer, buffer, sizeof(buffer), (PhStunClass)c, (guint16)method,
                                &transaction);
            g_assert_cmpint(ph_stun_read(buffer, ph_stun_write_end(&writer), &message), ==,
                            PH_STUN_OK);
            g_assert_cmpint(message.message_class, ==, c);
            g_assert_cmpint(message.method, ==, method);
        }
    }
}

/* The address that one of type `type` with this value says; "" when it says none. */
static char *address_of(guint16 type, const char *value_hex)
{
    g_autoptr(GByteArray) value = from_hex(value_hex);
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)"abcdefghijkl");
    char text[PH_ADDRESS_TEXT_MAX];
    PhStunAttribute attribute;
    PhStunMessage message;
    PhStunWriter writer;
    PhAddress address;
    guint8 buffer[64];

    ph_stun_write_begin(&writer, buffer, sizeof(buffer), PH_STUN_SUCCESS, PH_STUN_BINDING,
                        &transaction);
    ph_stun_write(&writer, type, value->data, value->len);
    g_assert_cmpint(ph_stun_read(buffer, ph_stun_write_end(&writer), &message), ==, PH_STUN_OK);
    g_assert_true(ph_stun_find(&message, type, &attribute));
    if (!ph_stun_get_address(&message, &attribute, &address))
        return g_strdup("");
    return g_strdup(ph_address_format(&address, text));
}

static void addresses_have_one_of_two_forms(void)
{
    static const struct {
        const char *hex, *text;
    } cases[] = {
        {"00010035c0000201", "192.0.2.1:53"},
        {"ff010035c0000201", "192.0.2.1:53"}, /* RFC 8489 §14.1: the first byte is ignored */
        {"0002003520010db8000000000000000000000001", "[2001:db8::1]:53"},
        {"0001000000000000", "0.0.0.0"},
        {"", ""},
        {"0001", ""},
        {"0001003500", ""},
        {"00010035c00002", ""},
        {"00010035c000020100000000", ""},
        {"00020035c0000201", ""},
        {"00030035c0000201", ""},
        {"0001003520010db8000000000000000000000001", ""},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = address_of(PH_STUN_OTHER_ADDRESS, cases[i].hex);

        g_assert_cmpstr(text, ==, cases[i].text);
    }
}

static PhStunAttribute attribute_of(const guint8 *value, guint16 length)
{
    return (PhStunAttribute){.type = PH_STUN_ERROR_CODE, .length = length, .value = value};
}

static void numbers_errors_and_ports_have_their_form(void)
{
    static const guint8 good[] = {0, 0, 4, 20, 'n', 'o'}, wrong_class[] = {0, 0, 7, 0},
                        wrong_number[] = {0, 0, 4, 100}, port[] = {0x12, 0x34, 0, 0};
    PhStunAttribute attribute = attribute_of(good, 6);
    const char *reason;
    unsigned code = 0;
    gsize length;
    guint32 number;
    guint16 value;

    g_assert_true(ph_stun_get_error(&attribute, &code, &reason, &length));
    g_assert_cmpint(code, ==, 420);
    assert_same(reason, length, "no", 2);
    attribute = attribute_of(good, 3);
    g_assert_false(ph_stun_get_error(&attribute, &code, &reason, &length));
    attribute = attribute_of(wrong_class, 4);
    g_assert_false(ph_stun_get_error(&attribute, &code, &reason, &length));
    attribute = attribute_of(wrong_number, 4);
    g_assert_false(ph_stun_get_error(&attribute, &code, &reason, &length));
    attribute = attribute_of(port, 4);
    g_assert_true(ph_stun_get_port(&attribute, &value));
    g_assert_cmpint(value, ==, 0x1234);
    g_assert_true(ph_stun_get_u32(&attribute, &number));
    g_assert_cmpint(number, ==, 0x12340000);
    attribute = attribute_of(port, 2);
    g_assert_true(ph_stun_get_port(&attribute, &value));
    g_assert_false(ph_stun_get_u32(&attribute, &number));
    attribute = attribute_of(port, 3);
    g_assert_false(ph_stun_get_port(&attribute, &value));
}

static void after_the_integrity_nothing_is_heard_but_integrity_and_fingerprint(void)
{
    static const guint16 written[] = {PH_STUN_SOFTWARE,          PH_STUN_MESSAGE_INTEGRITY,
                                      PH_STUN_CHANGE_REQUEST,    PH_STUN_MESSAGE_INTEGRITY_SHA256,
                                      PH_STUN_MESSAGE_INTEGRITY, PH_STUN_SOFTWARE};
    static const guint16 heard[] = {PH_STUN_SOFTWARE, PH_STUN_MESSAGE_INTEGRITY,
                                    PH_STUN_MESSAGE_INTEGRITY_SHA256,
                                    PH_STUN_FINGERPRINT_ATTRIBUTE};
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)"abcdefghijkl");
    PhStunAttribute attribute = {0};
    PhStunMessage message;
    PhStunWriter writer;
    guint8 buffer[256];
    gsize n = 0;

    ph_stun_write_begin(&writer, buffer, sizeof(buffer), PH_STUN_REQUEST, PH_STUN_BINDING,
                        &transaction);
    for (gsize i = 0; i < G_N_ELEMENTS(written); i++)
        ph_stun_write_u32(&writer, written[i], 0);
    ph_stun_write_fingerprint(&writer);
    g_assert_cmpint(ph_stun_read(buffer, ph_stun_write_end(&writer), &message), ==, PH_STUN_OK);
    while (ph_stun_next(&message, &attribute)) {
        g_assert_cmpuint(n, <, G_N_ELEMENTS(heard));
        g_assert_cmpint(attribute.type, ==, heard[n++]);
    }
    g_assert_cmpuint(n, ==, G_N_ELEMENTS(heard));
    g_assert_false(ph_stun_find(&message, PH_STUN_CHANGE_REQUEST, &attribute));
}

static void what_must_be_understood_and_is_not_is_named(void)
{
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)"abcdefghijkl");
    PhStunMessage message;
    PhStunWriter writer;
    guint8 buffer[256];
    guint16 types[2];

    ph_stun_write_begin(&writer, buffer, sizeof(buffer), PH_STUN_REQUEST, PH_STUN_BINDING,
                        &transaction);
    ph_stun_write_u32(&writer, PH_STUN_CHANGE_REQUEST, 0);
    ph_stun_write_u32(&writer, 0x8123, 0);
    ph_stun_write_u32(&writer, PH_STUN_PADDING, 0);
    ph_stun_write_filler(&writer, 3);
    ph_stun_write_u32(&writer, PH_STUN_RESPONSE_ADDRESS, 0);
    ph_stun_write_u32(&writer, 0x7fff, 0);
    g_assert_cmpint(ph_stun_read(buffer, ph_stun_write_end(&writer), &message), ==, PH_STUN_OK);
    g_assert_cmpuint(ph_stun_unknown(&message, types, 2), ==, 2);
    g_assert_cmpint(types[0], ==, PH_STUN_PADDING);
    g_assert_cmpint(types[1], ==, PH_STUN_RESPONSE_ADDRESS);
}

static void what_does_not_fit_is_noticed_at_the_end(void)
{
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)"abcdefghijkl");
    PhAddress address = ph_address_ipv4(0xc0000201, 53);

    for (gsize room = 0; room <= 60; room++) {
        g_autofree guint8 *buffer = g_malloc0(room); /* a sanitizer sees what is written behind */
        PhStunWriter writer;

        ph_stun_write_begin(&writer, buffer, room, PH_STUN_SUCCESS, PH_STUN_BINDING, &transaction);
        ph_stun_write_address(&writer, PH_STUN_XOR_MAPPED_ADDRESS, &address);
        ph_stun_write_error(&writer, 400, "no");
        ph_stun_write_port(&writer, PH_STUN_RESPONSE_PORT, 1);
        g_assert_cmpuint(ph_stun_write_end(&writer), ==, room < 52 ? 0 : 52);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/stun/" #function, function)
    ADD(rfc5769_vectors_are_read);
    ADD(rfc5769_ipv4_answer_is_written_byte_for_byte);
    ADD(a_fingerprinted_message_cannot_change_and_stay_one);
    ADD(no_beginning_of_a_message_is_one);
    ADD(what_lies_about_its_length_is_refused);
    ADD(classes_and_methods_survive);
    ADD(addresses_have_one_of_two_forms);
    ADD(numbers_errors_and_ports_have_their_form);
    ADD(after_the_integrity_nothing_is_heard_but_integrity_and_fingerprint);
    ADD(what_must_be_understood_and_is_not_is_named);
    ADD(what_does_not_fit_is_noticed_at_the_end);
    return g_test_run();
}
