/* SPDX-License-Identifier: MIT */
/*
 * Usage: noise-vectors FILE
 *
 * Plays the handshakes of a file of Noise test vectors (JSON, as cacophony and snow publish them)
 * on both sides, and says of each whether every byte is right. Only IK and IKpsk2 with X25519,
 * ChaChaPoly and BLAKE2b are there; others are skipped by name. Exit status: 0 when some passed and
 * none failed, else 1.
 */
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

#include "../../lib/core/noise.h"

typedef struct Vector {
    JsonObject *object;
    char *why; /* the first thing that is wrong */
} Vector;

static gboolean wrong(Vector *vector, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean wrong(Vector *vector, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (!vector->why)
        vector->why = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return FALSE;
}

/* A string of hex digits; NULL when it is none. */
static GByteArray *from_hex(const char *text)
{
    GByteArray *bytes = g_byte_array_new();
    size_t length = strlen(text);

    for (size_t i = 0; length % 2 == 0 && i < length; i += 2) {
        int high = g_ascii_xdigit_value(text[i]), low = g_ascii_xdigit_value(text[i + 1]);
        uint8_t byte = (uint8_t)(high << 4 | low);

        if (high < 0 || low < 0)
            break;
        g_byte_array_append(bytes, &byte, 1);
    }
    if (bytes->len * 2 == length)
        return bytes;
    g_byte_array_unref(bytes);
    return NULL;
}

static const char *string_of(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                   : NULL;
}

/* `length` 0: any. */
static GByteArray *member(Vector *vector, JsonObject *object, const char *name, size_t length)
{
    const char *text = string_of(object, name);
    g_autoptr(GByteArray) bytes = text ? from_hex(text) : NULL;

    if (bytes && (length == 0 || bytes->len == length))
        return g_steal_pointer(&bytes);
    wrong(vector, "%s is missing, or no hex of the right length", name);
    return NULL;
}

/* One side: "init" or "resp". */
static gboolean begin(Vector *vector, const char *side, gboolean psk, PhNoise *ret_noise)
{
    gboolean initiator = strcmp(side, "init") == 0;
    g_autofree char *prologue_name = g_strconcat(side, "_prologue", NULL);
    g_autofree char *static_name = g_strconcat(side, "_static", NULL);
    g_autofree char *ephemeral_name = g_strconcat(side, "_ephemeral", NULL);
    g_autofree char *psks_name = g_strconcat(side, "_psks", NULL);
    JsonNode *psks = json_object_get_member(vector->object, psks_name);
    g_autoptr(GByteArray) prologue = member(vector, vector->object, prologue_name, 0);
    g_autoptr(GByteArray) own = member(vector, vector->object, static_name, PH_NOISE_KEY_BYTES);
    g_autoptr(GByteArray) ephemeral =
        member(vector, vector->object, ephemeral_name, PH_NOISE_KEY_BYTES);
    g_autoptr(GByteArray) remote =
        initiator ? member(vector, vector->object, "init_remote_static", PH_NOISE_KEY_BYTES) : NULL;
    g_autoptr(GByteArray) shared = NULL;

    if (!prologue || !own || !ephemeral || (initiator && !remote))
        return FALSE;
    if (psk) {
        JsonArray *list = psks && JSON_NODE_HOLDS_ARRAY(psks) ? json_node_get_array(psks) : NULL;
        JsonNode *first =
            list && json_array_get_length(list) == 1 ? json_array_get_element(list, 0) : NULL;

        shared = first && json_node_get_value_type(first) == G_TYPE_STRING
                     ? from_hex(json_node_get_string(first))
                     : NULL;
        if (!shared || shared->len != PH_NOISE_KEY_BYTES)
            return wrong(vector, "%s is not one key", psks_name);
    }
    return ph_noise_init(ret_noise,
                         &(PhNoiseConfig){
                             .initiator = initiator,
                             .prologue = prologue->data,
                             .prologue_length = prologue->len,
                             .psk = shared ? shared->data : NULL,
                             .static_secret = own->data,
                             .ephemeral_secret = ephemeral->data,
                             .remote_static = remote ? remote->data : NULL,
                         }) ||
           wrong(vector, "a key of the %s side is none", side);
}

static gboolean same(const uint8_t *a, size_t a_length, const GByteArray *b)
{
    return a_length == b->len && (a_length == 0 || memcmp(a, b->data, a_length) == 0);
}

static gboolean play_handshake(Vector *vector, unsigned i, PhNoise *from, PhNoise *to,
                               const GByteArray *payload, const GByteArray *ciphertext)
{
    static uint8_t message[PH_NOISE_MAX], read[PH_NOISE_MAX];
    size_t written = ph_noise_write(from, payload->data, payload->len, message, sizeof(message));
    size_t length;

    if (!same(message, written, ciphertext))
        return wrong(vector, "message %u is written otherwise", i);
    if (!ph_noise_read(to, ciphertext->data, ciphertext->len, read, sizeof(read), &length) ||
        !same(read, length, payload))
        return wrong(vector, "message %u is read otherwise", i);
    return TRUE;
}

static gboolean play_transport(Vector *vector, unsigned i, const uint8_t *send,
                               const uint8_t *receive, uint64_t nonce, const GByteArray *payload,
                               const GByteArray *ciphertext)
{
    g_autofree uint8_t *buffer = g_malloc(payload->len + PH_NOISE_TAG_BYTES);

    ph_noise_seal(send, nonce, NULL, 0, payload->data, payload->len, buffer);
    if (!same(buffer, payload->len + PH_NOISE_TAG_BYTES, ciphertext))
        return wrong(vector, "message %u is sealed otherwise", i);
    if (!ph_noise_open(receive, nonce, NULL, 0, ciphertext->data, ciphertext->len, buffer) ||
        !same(buffer, payload->len, payload))
        return wrong(vector, "message %u is opened otherwise", i);
    return TRUE;
}

static gboolean play_messages(Vector *vector, JsonArray *messages, PhNoise sides[2])
{
    uint8_t send[2][PH_NOISE_KEY_BYTES], receive[2][PH_NOISE_KEY_BYTES];

    for (unsigned i = 0; i < json_array_get_length(messages); i++) {
        JsonNode *node = json_array_get_element(messages, i);
        JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        g_autoptr(GByteArray) payload = object ? member(vector, object, "payload", 0) : NULL;
        g_autoptr(GByteArray) ciphertext = object ? member(vector, object, "ciphertext", 0) : NULL;

        if (!payload || !ciphertext)
            return wrong(vector, "message %u is no message", i);
        if (i < 2 && !play_handshake(vector, i, &sides[i], &sides[1 - i], payload, ciphertext))
            return FALSE;
        if (i == 1) {
            ph_noise_split(&sides[0], send[0], receive[0]);
            ph_noise_split(&sides[1], send[1], receive[1]);
        }
        /* The sides go on taking turns, each counting its own. */
        if (i >= 2 && !play_transport(vector, i, send[i % 2], receive[1 - i % 2], (i - 2) / 2,
                                      payload, ciphertext))
            return FALSE;
    }
    return json_array_get_length(messages) >= 2 || wrong(vector, "it has too few messages");
}

static gboolean play(Vector *vector, gboolean psk)
{
    JsonNode *messages = json_object_get_member(vector->object, "messages");
    g_autoptr(GByteArray) hash = NULL;
    PhNoise sides[2];

    if (!messages || !JSON_NODE_HOLDS_ARRAY(messages))
        return wrong(vector, "it has no messages");
    if (!begin(vector, "init", psk, &sides[0]) || !begin(vector, "resp", psk, &sides[1]) ||
        !play_messages(vector, json_node_get_array(messages), sides))
        return FALSE;
    if (!json_object_has_member(vector->object, "handshake_hash"))
        return TRUE;
    hash = member(vector, vector->object, "handshake_hash", PH_NOISE_HASH_BYTES);
    return hash && ((same(sides[0].hash, PH_NOISE_HASH_BYTES, hash) &&
                     same(sides[1].hash, PH_NOISE_HASH_BYTES, hash)) ||
                    wrong(vector, "the handshake's hash is another"));
}

static void play_all(JsonArray *vectors, unsigned *ret_passed, unsigned *ret_failed)
{
    for (unsigned i = 0; i < json_array_get_length(vectors); i++) {
        JsonNode *node = json_array_get_element(vectors, i);
        Vector vector = {JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL, NULL};
        const char *name = vector.object ? string_of(vector.object, "protocol_name") : NULL;
        gboolean psk = g_strcmp0(name, "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b") == 0;

        if (name && !psk && strcmp(name, "Noise_IK_25519_ChaChaPoly_BLAKE2b") != 0) {
            printf("skipped  %s: libpinhole has no such handshake\n", name);
        } else if (name && play(&vector, psk)) {
            printf("passed   %s\n", name);
            ++*ret_passed;
        } else {
            printf("FAILED   %s: %s\n", name ? name : "a vector without protocol_name",
                   vector.why ? vector.why : "it is no vector");
            ++*ret_failed;
        }
        g_free(vector.why);
    }
}

int main(int argc, char **argv)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_autoptr(GError) error = NULL;
    JsonNode *root, *vectors = NULL;
    unsigned passed = 0, failed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: noise-vectors FILE\n");
        return 1;
    }
    if (!json_parser_load_from_file(parser, argv[1], &error)) {
        fprintf(stderr, "noise-vectors: %s: %s\n", argv[1], error->message);
        return 1;
    }
    root = json_parser_get_root(parser);
    if (root && JSON_NODE_HOLDS_OBJECT(root))
        vectors = json_object_get_member(json_node_get_object(root), "vectors");
    if (!vectors || !JSON_NODE_HOLDS_ARRAY(vectors)) {
        fprintf(stderr, "noise-vectors: %s: there is no \"vectors\" (expected an array)\n",
                argv[1]);
        return 1;
    }
    play_all(json_node_get_array(vectors), &passed, &failed);
    if (passed == 0 && failed == 0)
        fprintf(stderr, "noise-vectors: %s: it has no vector of IK or IKpsk2\n", argv[1]);
    return passed > 0 && failed == 0 ? 0 : 1;
}
