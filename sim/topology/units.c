/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values as topology files and verdicts write them. */
#include "topology/units.h"

#include <string.h>

typedef struct Unit {
    const char *name;
    uint64_t scale;
} Unit;

/* Largest first, which is the order in which the writers try them. */
static const Unit duration_units[] = {
    {"min", 60 * PL_NS_PER_S}, {"s", PL_NS_PER_S}, {"ms", 1000000}, {"us", 1000}, {"ns", 1},
};
static const Unit rate_units[] = {
    {"gbit", 1000000000},
    {"mbit", 1000000},
    {"kbit", 1000},
    {"bit", 1},
};
static const Unit percent_units[] = {{"%", 10000}};

gboolean pl_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    gsize length = strspn(text, "0123456789");

    /* 18 digits cannot overflow. */
    if (length == 0 || length > 18 || text[length] != '\0' || (text[0] == '0' && length > 1))
        return FALSE;
    for (gsize i = 0; i < length; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    if (number < min || number > max)
        return FALSE;
    *ret_number = number;
    return TRUE;
}

gboolean pl_port_parse(const char *text, uint16_t *ret_port)
{
    uint64_t number;

    if (!pl_number_parse(text, 1, 65535, &number))
        return FALSE;
    *ret_port = (uint16_t)number;
    return TRUE;
}

gboolean pl_port_range_parse(const char *text, uint16_t *ret_first, uint16_t *ret_last)
{
    g_auto(GStrv) ends = g_strsplit(text, "-", 3);
    uint16_t first, last;

    if (g_strv_length(ends) != 2 || !pl_port_parse(g_strstrip(ends[0]), &first) ||
        !pl_port_parse(g_strstrip(ends[1]), &last) || first > last)
        return FALSE;
    *ret_first = first;
    *ret_last = last;
    return TRUE;
}

/* "12.5ms" with the units given: exact, or not at all. */
static gboolean parse_with_unit(const char *text, const Unit *units, gsize n_units, uint64_t max,
                                uint64_t *ret_value)
{
    gsize whole = strspn(text, "0123456789");
    const char *fraction = text + whole + 1, *unit = text + whole;
    gsize digits = 0;
    uint64_t value = 0, part = 0, divisor = 1;

    if (text[whole] == '.') {
        digits = strspn(fraction, "0123456789");
        unit = fraction + digits;
        if (digits == 0)
            return FALSE;
    }
    /* 10^8 minutes and 10^6ths of a minute fit into 64 bits, as nanoseconds. */
    if (whole == 0 || whole > 8 || digits > 6)
        return FALSE;
    for (gsize i = 0; i < whole; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    for (gsize i = 0; i < digits; i++) {
        part = part * 10 + (uint64_t)(fraction[i] - '0');
        divisor *= 10;
    }
    for (gsize i = 0; i < n_units; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (part * units[i].scale % divisor != 0)
            return FALSE;
        value = value * units[i].scale + part * units[i].scale / divisor;
        if (value > max)
            return FALSE;
        *ret_value = value;
        return TRUE;
    }
    return FALSE;
}

gboolean pl_duration_parse(const char *text, uint64_t *ret_ns)
{
    return parse_with_unit(text, duration_units, G_N_ELEMENTS(duration_units),
                           24 * 3600 * PL_NS_PER_S, ret_ns);
}

gboolean pl_rate_parse(const char *text, uint64_t *ret_bps)
{
    return parse_with_unit(text, rate_units, G_N_ELEMENTS(rate_units),
                           G_GUINT64_CONSTANT(100000000000), ret_bps);
}

gboolean pl_percent_parse(const char *text, unsigned *ret_ppm)
{
    uint64_t ppm;

    if (!parse_with_unit(text, percent_units, G_N_ELEMENTS(percent_units), 1000000, &ppm))
        return FALSE;
    *ret_ppm = (unsigned)ppm;
    return TRUE;
}

static char *format_with_unit(uint64_t value, const Unit *units, gsize n_units)
{
    for (gsize i = 0; i < n_units; i++)
        if (value != 0 && value % units[i].scale == 0)
            return g_strdup_printf("%" G_GUINT64_FORMAT "%s", value / units[i].scale,
                                   units[i].name);
    return g_strdup_printf("%" G_GUINT64_FORMAT "%s", value, units[n_units - 1].name);
}

char *pl_duration_format(uint64_t ns)
{
    /* No minutes: "120s" is what people compare. */
    return ns == 0 ? g_strdup("0s")
                   : format_with_unit(ns, duration_units + 1, G_N_ELEMENTS(duration_units) - 1);
}

char *pl_rate_format(uint64_t bps)
{
    return format_with_unit(bps, rate_units, G_N_ELEMENTS(rate_units));
}

char *pl_percent_format(unsigned ppm)
{
    char text[24];
    gsize length = (gsize)g_snprintf(text, sizeof(text), "%u.%04u", ppm / 10000, ppm % 10000);

    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    return g_strdup_printf("%.*s%%", (int)length, text);
}

char **pl_list_split(const char *text)
{
    char **items = g_strsplit(text, ",", -1);

    for (unsigned i = 0; items[i]; i++)
        g_strstrip(items[i]);
    return items;
}

/* Levenshtein's distance, of words short enough to be keys and names. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[65];
    gsize n = strlen(b);

    if (n > 64 || strlen(a) > 64)
        return 64;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 0; a[i]; i++) {
        unsigned diagonal = row[0];

        row[0] = i + 1;
        for (unsigned j = 0; j < n; j++) {
            unsigned substitute = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            row[j + 1] = MIN(substitute, MIN(row[j], row[j + 1]) + 1);
        }
    }
    return row[n];
}

const char *pl_nearest(const char *word, const char *const *candidates, gsize n)
{
    const char *best = NULL;
    /* More slips than a third of the word make it another word. */
    unsigned best_distance = (unsigned)(strlen(word) / 3) + 1;

    for (gsize i = 0; i < n; i++) {
        unsigned d = distance(word, candidates[i]);

        if (d > 0 && d <= best_distance && (!best || d < best_distance)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
