/* SPDX-License-Identifier: MIT */
/* Tables of who is registered; see directory.h. Chains, keyed against those who choose their keys.
 */
#include "directory.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

bool ph_directory_init(PhDirectory *ret_directory, uint32_t slots, PhRandom *random)
{
    PhDirectory *directory = ret_directory;

    assert(slots > 0 && (slots & (slots - 1)) == 0);
    *directory = (PhDirectory){.n_slots = slots};
    ph_random_bytes(random, directory->hash_key, sizeof(directory->hash_key));
    directory->entries = calloc(slots, sizeof(*directory->entries));
    directory->by_key = calloc(slots, sizeof(uint32_t));
    directory->by_name = calloc(slots, sizeof(uint32_t));
    if (directory->entries && directory->by_key && directory->by_name)
        return true;
    ph_directory_clear(directory);
    return false;
}

void ph_directory_clear(PhDirectory *directory)
{
    free(directory->entries);
    free(directory->by_key);
    free(directory->by_name);
    *directory = (PhDirectory){0};
}

static uint32_t hash(const PhDirectory *directory, const void *bytes, size_t length)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint32_t hashed;

    (void)crypto_shorthash(out, bytes, length, directory->hash_key);
    memcpy(&hashed, out, sizeof(hashed));
    return hashed & (directory->n_slots - 1);
}

static uint32_t *head_of_key(const PhDirectory *directory, const uint8_t *key)
{
    return &directory->by_key[hash(directory, key, PH_NODE_KEY_BYTES)];
}

static uint32_t *head_of_name(const PhDirectory *directory, const char *name)
{
    return &directory->by_name[hash(directory, name, strlen(name))];
}

static PhEntry *at(const PhDirectory *directory, uint32_t link)
{
    return link ? &directory->entries[link - 1] : NULL;
}

static uint32_t link_to(const PhDirectory *directory, const PhEntry *entry)
{
    return (uint32_t)(entry - directory->entries) + 1;
}

/* Takes an entry out of a chain; `next` is where in an entry its chain goes on. */
static void unlink_from(const PhDirectory *directory, uint32_t *head, const PhEntry *entry,
                        size_t next)
{
    const uint32_t own = link_to(directory, entry);

    while (*head != own)
        head = (uint32_t *)(void *)((char *)at(directory, *head) + next);
    *head = *(const uint32_t *)(const void *)((const char *)entry + next);
}

PhEntry *ph_directory_add(PhDirectory *directory, const uint8_t key[static PH_NODE_KEY_BYTES],
                          const PhNodeRecord *record, uint32_t session)
{
    PhEntry *entry = NULL;
    uint32_t *head;

    if (directory->n_entries == directory->n_slots)
        return NULL;
    /* Numbers go round the slots, so that one names its slot and comes back late. */
    while (!entry) {
        uint32_t number = ++directory->last_number;
        PhEntry *candidate = &directory->entries[number & (directory->n_slots - 1)];

        if (number != 0 && candidate->number == 0) {
            *candidate = (PhEntry){.number = number, .session = session};
            entry = candidate;
        }
    }
    memcpy(entry->key, key, sizeof(entry->key));
    entry->record = *record;
    head = head_of_key(directory, key);
    entry->next_by_key = *head;
    *head = link_to(directory, entry);
    directory->n_entries++;
    return entry;
}

void ph_directory_unname(PhDirectory *directory, PhEntry *entry)
{
    if (entry->named)
        unlink_from(directory, head_of_name(directory, entry->record.name), entry,
                    offsetof(PhEntry, next_by_name));
    entry->named = false;
}

void ph_directory_name(PhDirectory *directory, PhEntry *entry)
{
    PhEntry *holder = ph_directory_by_name(directory, entry->record.name);
    uint32_t *head;

    if (entry->record.name[0] == '\0' || holder == entry)
        return;
    if (holder)
        ph_directory_unname(directory, holder);
    head = head_of_name(directory, entry->record.name);
    entry->named = true;
    entry->next_by_name = *head;
    *head = link_to(directory, entry);
}

void ph_directory_remove(PhDirectory *directory, PhEntry *entry)
{
    unlink_from(directory, head_of_key(directory, entry->key), entry,
                offsetof(PhEntry, next_by_key));
    ph_directory_unname(directory, entry);
    sodium_memzero(entry, sizeof(*entry));
    directory->n_entries--;
}

PhEntry *ph_directory_by_number(const PhDirectory *directory, uint32_t number)
{
    PhEntry *entry = &directory->entries[number & (directory->n_slots - 1)];

    return number != 0 && entry->number == number ? entry : NULL;
}

PhEntry *ph_directory_by_key(const PhDirectory *directory,
                             const uint8_t key[static PH_NODE_KEY_BYTES])
{
    PhEntry *entry = at(directory, *head_of_key(directory, key));

    while (entry && memcmp(entry->key, key, PH_NODE_KEY_BYTES) != 0)
        entry = at(directory, entry->next_by_key);
    return entry;
}

PhEntry *ph_directory_by_name(const PhDirectory *directory, const char *name)
{
    PhEntry *entry = at(directory, *head_of_name(directory, name));

    while (entry && (strlen(entry->record.name) != strlen(name) ||
                     memcmp(entry->record.name, name, strlen(name)) != 0))
        entry = at(directory, entry->next_by_name);
    return entry;
}

PhEntry *ph_directory_at(const PhDirectory *directory, uint32_t i)
{
    /* Memory that nobody has touched stays so. */
    if (directory->last_number < directory->n_slots && i > directory->last_number)
        return NULL;
    return directory->entries[i].number ? &directory->entries[i] : NULL;
}
