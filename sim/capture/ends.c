/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hash tables keyed by addresses. */
#include "capture/ends.h"

#include <string.h>

typedef struct Key {
    PhAddress address[3];
} Key;

static uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t length)
{
    uint64_t word = 0;

    memcpy(&word, bytes, length);
    hash = (hash ^ word) * G_GUINT64_CONSTANT(0x100000001b3);
    return hash ^ hash >> 29;
}

guint pl_ends_hash(gconstpointer data, size_t length, guint seed)
{
    const uint8_t *bytes = data;
    uint64_t hash = G_GUINT64_CONSTANT(0xcbf29ce484222325) ^ seed; /* FNV-1a, but by words */

    for (; length >= sizeof(uint64_t); bytes += sizeof(uint64_t), length -= sizeof(uint64_t))
        hash = mix(hash, bytes, sizeof(uint64_t));
    if (length > 0)
        hash = mix(hash, bytes, length);
    return (guint)(hash ^ hash >> 32);
}

static guint key_hash(gconstpointer data)
{
    return pl_ends_hash(data, sizeof(Key), 0);
}

static gboolean key_equal(gconstpointer a, gconstpointer b)
{
    return memcmp(a, b, sizeof(Key)) == 0;
}

static Key make_key(const PhAddress *a, const PhAddress *b, const PhAddress *c)
{
    Key key = {0};

    key.address[0] = *a;
    if (b)
        key.address[1] = *b;
    if (c)
        key.address[2] = *c;
    return key;
}

PlEnds *pl_ends_new(void)
{
    return g_hash_table_new_full(key_hash, key_equal, g_free, g_free);
}

gpointer pl_ends_find(PlEnds *ends, const PhAddress *a, const PhAddress *b, const PhAddress *c)
{
    Key key = make_key(a, b, c);

    return g_hash_table_lookup(ends, &key);
}

gpointer pl_ends_need(PlEnds *ends, size_t size, const PhAddress *a, const PhAddress *b,
                      const PhAddress *c, gboolean *ret_new)
{
    Key key = make_key(a, b, c);
    gpointer value = g_hash_table_lookup(ends, &key);

    if (ret_new)
        *ret_new = !value;
    if (!value) {
        value = g_malloc0(size);
        g_hash_table_insert(ends, g_memdup2(&key, sizeof(key)), value);
    }
    return value;
}
