/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A link's impairments: read, checked, printed, and named for engines that cannot express them. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

#define MASK_BITS_MAX 64
#define BURST_MAX     1000
#define QUEUE_MAX     100000

static gboolean read_share(const PlIni *ini, const char *group, const char *key, unsigned *ret_ppm,
                           GError **error)
{
    const char *text = pl_ini_get(ini, group, key);

    if (text && !pl_percent_parse(text, ret_ppm))
        return pl_ini_fail(ini, group, key, error,
                           "bad share \"%s\" (expected 0%% to 100%%, such as 1%% or 0.25%%)", text);
    return TRUE;
}

/* "0010": the third of every four packets is lost. */
static gboolean read_mask(const PlIni *ini, const char *group, PlLink *link, GError **error)
{
    const char *text = pl_ini_get(ini, group, "loss-mask");
    size_t length = text ? strlen(text) : 0;

    if (!text)
        return TRUE;
    if (length == 0 || length > MASK_BITS_MAX || text[strspn(text, "01")])
        return pl_ini_fail(ini, group, "loss-mask", error,
                           "bad mask \"%s\" (expected 1 to %d digits 0 and 1, the first for the "
                           "first packet; 1 is lost)",
                           text, MASK_BITS_MAX);
    for (size_t i = 0; i < length; i++)
        link->loss_mask |= (uint64_t)(text[i] == '1') << i;
    link->loss_mask_bits = (unsigned)length;
    return TRUE;
}

static gboolean read_loss(const PlIni *ini, const char *group, PlLink *link, GError **error)
{
    if (!read_share(ini, group, "loss", &link->loss_ppm, error) ||
        !pl_ini_number(ini, group, "loss-burst", 1, BURST_MAX, &link->burst_packets, error) ||
        !read_mask(ini, group, link, error))
        return FALSE;
    if (link->burst_packets && link->loss_ppm == 0)
        return pl_ini_fail(ini, group, "loss-burst", error,
                           "nothing is lost (expected this only with loss)");
    if (link->loss_mask_bits && link->loss_ppm)
        return pl_ini_fail(ini, group, "loss-mask", error,
                           "there is a loss as well (expected one of the two)");
    return TRUE;
}

static gboolean read_rate(const PlIni *ini, const char *group, PlLink *link, GError **error)
{
    const char *rate = pl_ini_get(ini, group, "rate");

    if (rate && (!pl_rate_parse(rate, &link->rate_bps) || link->rate_bps < 1000))
        return pl_ini_fail(ini, group, "rate", error,
                           "bad rate \"%s\" (expected 1kbit to 100gbit, with unit bit, kbit, mbit "
                           "or gbit)",
                           rate);
    if (!rate && pl_ini_get(ini, group, "queue"))
        return pl_ini_fail(ini, group, "queue", error,
                           "nothing waits (expected this only with rate)");
    return pl_ini_number(ini, group, "queue", 1, QUEUE_MAX, &link->queue_packets, error);
}

gboolean pl_build_link(const PlIni *ini, const char *group, PlLink *link, GError **error)
{
    if (!pl_ini_duration(ini, group, "delay", 0, 60 * PL_NS_PER_S, &link->delay_ns, error) ||
        !pl_ini_duration(ini, group, "jitter", 0, 60 * PL_NS_PER_S, &link->jitter_ns, error) ||
        !pl_ini_number(ini, group, "mtu", 576, 9000, &link->mtu_bytes, error) ||
        !read_loss(ini, group, link, error) ||
        !read_share(ini, group, "duplicate", &link->duplicate_ppm, error) ||
        !read_share(ini, group, "reorder", &link->reorder_ppm, error) ||
        !read_rate(ini, group, link, error))
        return FALSE;
    if (link->jitter_ns > link->delay_ns)
        return pl_ini_fail(ini, group, "jitter", error,
                           "more than the delay that it varies (expected at most the delay)");
    if (link->reorder_ppm && link->delay_ns == 0)
        return pl_ini_fail(ini, group, "reorder", error,
                           "there is no delay to be spared (expected this only with delay)");
    return TRUE;
}

GPtrArray *pl_link_names(const PlLink *link)
{
    const struct {
        gboolean set;
        const char *name;
    } all[] = {
        {link->delay_ns != 0, "delay"},
        {link->jitter_ns != 0, "jitter"},
        {link->loss_ppm != 0, "loss"},
        {link->burst_packets != 0, "loss-burst"},
        {link->loss_mask_bits != 0, "loss-mask"},
        {link->duplicate_ppm != 0, "duplicate"},
        {link->reorder_ppm != 0, "reorder"},
        {link->rate_bps != 0, "rate"},
        {link->queue_packets != 0, "queue"},
    };
    GPtrArray *names = g_ptr_array_new();

    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        if (all[i].set)
            g_ptr_array_add(names, (gpointer)all[i].name);
    return names;
}

static void print_duration(GString *out, const char *key, uint64_t ns)
{
    g_autofree char *text = pl_duration_format(ns);

    if (ns)
        g_string_append_printf(out, "%s = %s\n", key, text);
}

static void print_share(GString *out, const char *key, unsigned ppm)
{
    g_autofree char *text = pl_percent_format(ppm);

    if (ppm)
        g_string_append_printf(out, "%s = %s\n", key, text);
}

static void print_number(GString *out, const char *key, unsigned number)
{
    if (number)
        g_string_append_printf(out, "%s = %u\n", key, number);
}

void pl_print_link(GString *out, const PlAttachment *attachment)
{
    const PlLink *link = &attachment->link;
    g_autoptr(GPtrArray) names = pl_link_names(link);

    if (names->len == 0 && !link->mtu_bytes)
        return;
    g_string_append_printf(out, "\n[link %s]\n", attachment->label);
    print_duration(out, "delay", link->delay_ns);
    print_duration(out, "jitter", link->jitter_ns);
    print_share(out, "loss", link->loss_ppm);
    print_number(out, "loss-burst", link->burst_packets);
    if (link->loss_mask_bits)
        g_string_append(out, "loss-mask = ");
    for (unsigned i = 0; i < link->loss_mask_bits; i++)
        g_string_append_c(out, link->loss_mask >> i & 1 ? '1' : '0');
    if (link->loss_mask_bits)
        g_string_append_c(out, '\n');
    print_share(out, "duplicate", link->duplicate_ppm);
    print_share(out, "reorder", link->reorder_ppm);
    if (link->rate_bps) {
        g_autofree char *rate = pl_rate_format(link->rate_bps);

        g_string_append_printf(out, "rate = %s\n", rate);
    }
    print_number(out, "queue", link->queue_packets);
    print_number(out, "mtu", link->mtu_bytes);
}
