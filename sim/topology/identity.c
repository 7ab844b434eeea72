/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "topology/identity.h"

#include <sodium.h>

#include "topology/random.h"

void pl_host_key(const PlNode *host, uint64_t seed, PhKey *ret_key)
{
    g_autofree char *name = g_strdup_printf("key %s", host->name);
    uint64_t stream = pl_random_stream(seed, name);

    for (unsigned i = 0; i < PH_KEY_BYTES; i++)
        ret_key->secret[i] = (uint8_t)pl_random_next(&stream);
    /* Fails for points only, and the base point is none of those that it fails for. */
    (void)crypto_scalarmult_base(ret_key->public, ret_key->secret);
}
