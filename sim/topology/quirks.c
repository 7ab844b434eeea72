/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What real routers get wrong: one table says how each quirk is read, printed and refused. */
#include <stddef.h>
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

typedef enum {
    KIND_YES,
    KIND_NUMBER,
    KIND_DURATION,
} Kind;

typedef struct Quirk {
    const char *key;
    Kind kind;
    size_t offset; /* in PlQuirks */
    uint64_t min, max;
} Quirk;

#define AT(field) offsetof(PlQuirks, field)

static const Quirk all[] = {
    {"rewrite-payload", KIND_YES, AT(rewrite_payload), 0, 0},
    {"symmetric-after", KIND_NUMBER, AT(symmetric_after), 1, 65535},
    {"mapping-age", KIND_DURATION, AT(mapping_age_ns), PL_NS_PER_S, 24 * 3600 * PL_NS_PER_S},
    {"icmp-drops-mapping", KIND_YES, AT(icmp_drops), 0, 0},
    {"early-port-reuse", KIND_YES, AT(early_reuse), 0, 0},
    {"first-packet-lost", KIND_YES, AT(first_packet_lost), 0, 0},
    {"mapping-rate", KIND_NUMBER, AT(mapping_rate), 1, 1000000},
    {"port-overloading", KIND_YES, AT(port_overloading), 0, 0},
    {"port-parity", KIND_YES, AT(port_parity), 0, 0},
    {"port-step", KIND_NUMBER, AT(port_step), 1, 64},
};

static gboolean is_set(const PlQuirks *quirks, const Quirk *quirk)
{
    const char *at = (const char *)quirks + quirk->offset;

    if (quirk->kind == KIND_DURATION)
        return *(const uint64_t *)(const void *)at != 0;
    return *(const unsigned *)(const void *)at != 0;
}

static gboolean read_quirk(const PlIni *ini, const char *group, const Quirk *quirk,
                           PlQuirks *quirks, GError **error)
{
    void *at = (char *)quirks + quirk->offset;

    switch (quirk->kind) {
    case KIND_YES:
        return pl_ini_yes(ini, group, quirk->key, at, error);
    case KIND_NUMBER:
        return pl_ini_number(ini, group, quirk->key, quirk->min, quirk->max, at, error);
    case KIND_DURATION:
        return pl_ini_duration(ini, group, quirk->key, quirk->min, quirk->max, at, error);
    }
    g_assert_not_reached();
}

/* Those that would have nothing to work on. */
static gboolean check_quirks(const PlBehaviour *behaviour, const PlIni *ini, const char *group,
                             GError **error)
{
    const PlQuirks *quirks = &behaviour->quirks;
    gboolean preserves = behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE;

    if (quirks->port_step && behaviour->port_allocation != PL_PORT_ALLOCATION_SEQUENTIAL)
        return pl_ini_fail(ini, group, "port-step", error,
                           "ports are not counted through (expected this only with "
                           "port-allocation = sequential)");
    if (quirks->port_overloading && !preserves)
        return pl_ini_fail(ini, group, "port-overloading", error,
                           "ports are not preserved (expected this only with port-allocation = "
                           "preserve)");
    if (quirks->port_parity && preserves)
        return pl_ini_fail(ini, group, "port-parity", error,
                           "ports are preserved anyway (expected this only with port-allocation = "
                           "sequential, random or block)");
    if (quirks->symmetric_after && behaviour->mapping == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT)
        return pl_ini_fail(ini, group, "symmetric-after", error,
                           "it is symmetric from the first mapping on (expected this only with "
                           "another mapping)");
    if (quirks->symmetric_after && preserves)
        return pl_ini_fail(ini, group, "symmetric-after", error,
                           "a preserved port is the same for every destination (expected this only "
                           "with port-allocation = sequential, random or block)");
    return TRUE;
}

gboolean pl_build_quirks(PlBehaviour *behaviour, const PlIni *ini, const char *group,
                         GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        if (behaviour->mapping == PL_MAPPING_NONE && pl_ini_get(ini, group, all[i].key))
            return pl_ini_fail(ini, group, all[i].key, error,
                               "nothing is translated here (expected this only with a mapping)");
        if (!read_quirk(ini, group, &all[i], &behaviour->quirks, error))
            return FALSE;
    }
    return check_quirks(behaviour, ini, group, error);
}

GPtrArray *pl_quirks_names(const PlQuirks *quirks)
{
    GPtrArray *names = g_ptr_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        if (is_set(quirks, &all[i]))
            g_ptr_array_add(names, (gpointer)all[i].key);
    return names;
}

void pl_print_quirks(GString *out, const PlQuirks *quirks)
{
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++) {
        const char *at = (const char *)quirks + all[i].offset;

        if (!is_set(quirks, &all[i]))
            continue;
        g_string_append_printf(out, "%s = ", all[i].key);
        if (all[i].kind == KIND_YES) {
            g_string_append(out, "yes");
        } else if (all[i].kind == KIND_NUMBER) {
            g_string_append_printf(out, "%u", *(const unsigned *)(const void *)at);
        } else {
            g_autofree char *text = pl_duration_format(*(const uint64_t *)(const void *)at);

            g_string_append(out, text);
        }
        g_string_append_c(out, '\n');
    }
}
