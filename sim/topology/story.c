/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens in a topology: its links' impairments, and its steps. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"
#include "topology/words.h"

/* RFC 8200 §5: every link takes packets of so many bytes. */
#define MTU_IPV6 1280u

/* Fails because no attachment has this label. */
static gboolean no_label(const PlTopology *topology, const PlIni *ini, const char *group,
                         const char *key, const char *label, GError **error)
{
    g_autoptr(GPtrArray) labels = g_ptr_array_new();
    const PlNode *node = pl_topology_node(topology, label);
    const char *near;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *other = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < other->attachments->len; k++)
            g_ptr_array_add(labels,
                            ((PlAttachment *)g_ptr_array_index(other->attachments, k))->label);
    }
    /* Its owner without the side is the likeliest slip. */
    near = node ? ((PlAttachment *)g_ptr_array_index(node->attachments, 0))->label
                : pl_nearest(label, (const char *const *)labels->pdata, labels->len);
    return pl_ini_fail(ini, group, key, error,
                       "there is no link \"%s\" (expected HOST, HOST.NETWORK for a host on several "
                       "networks, NAT.inside or NAT.outside%s%s%s)",
                       label, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

gboolean pl_build_links(PlTopology *topology, const PlIni *ini, GError **error)
{
    const char *const *groups = pl_ini_groups(ini);

    for (unsigned i = 0; groups[i]; i++) {
        PlAttachment *attachment;

        if (!g_str_has_prefix(groups[i], "link "))
            continue;
        attachment = pl_topology_attachment(topology, groups[i] + 5);
        if (!attachment)
            return no_label(topology, ini, groups[i], NULL, groups[i] + 5, error);
        if (!pl_build_link(ini, groups[i], &attachment->link, error))
            return FALSE;
        if (attachment->link.mtu_bytes && attachment->link.mtu_bytes < MTU_IPV6 &&
            pl_network_family(attachment->network) == PH_FAMILY_IPV6)
            return pl_ini_fail(ini, groups[i], "mtu", error,
                               "%u is too small for IPv6 (expected %u or more)",
                               attachment->link.mtu_bytes, MTU_IPV6);
    }
    return TRUE;
}

char *pl_build_word(const char **text)
{
    const char *start = *text + strspn(*text, " \t");
    gsize length = strcspn(start, " \t");

    *text = start + length;
    *text += strspn(*text, " \t");
    return g_strndup(start, length);
}

static gboolean read_nat_step(const PlTopology *topology, const PlIni *ini, const char *group,
                              PlStep *step, const char *name, const char *what, const char *rest,
                              GError **error)
{
    step->node = pl_topology_node(topology, name);
    if (!step->node || step->node->kind != PL_NODE_NAT)
        return pl_build_no_node(topology, ini, group, "do", "NAT", FALSE, TRUE, name, error);
    if (strcmp(what, "flush") == 0 && !*rest) {
        step->kind = PL_STEP_NAT_FLUSH;
    } else if (strcmp(what, "reboot") == 0 && !*rest) {
        step->kind = PL_STEP_NAT_REBOOT;
    } else if (strcmp(what, "address") == 0) {
        step->kind = PL_STEP_NAT_ADDRESS;
        if (step->node->behaviour.mapping == PL_MAPPING_NONE)
            return pl_ini_fail(ini, group, "do", error,
                               "nat %s translates nothing (expected a NAT with a mapping)", name);
        return pl_build_read_address(ini, group, "do", rest, &step->address, error) &&
               pl_build_usable(pl_nat_outside(step->node)->network, ini, group, "do",
                               &step->address, error);
    } else {
        return pl_ini_fail(ini, group, "do", error,
                           "bad step \"%s\" (expected nat NAME flush, nat NAME reboot or nat NAME "
                           "address ADDRESS)",
                           step->text);
    }
    return TRUE;
}

static gboolean read_host_step(PlTopology *topology, const PlIni *ini, const char *group,
                               PlStep *step, const char *name, const char *what, const char *rest,
                               GError **error)
{
    g_autoptr(GError) cause = NULL;

    step->node = pl_topology_node(topology, name);
    if (!step->node || step->node->kind != PL_NODE_HOST)
        return pl_build_no_node(topology, ini, group, "do", "host", TRUE, FALSE, name, error);
    if ((strcmp(what, "kill") == 0 || strcmp(what, "start") == 0) && !*rest) {
        step->kind = *what == 'k' ? PL_STEP_HOST_KILL : PL_STEP_HOST_START;
        return step->node->program.argv ||
               pl_ini_fail(ini, group, "do", error,
                           "host %s runs nothing (expected a host with run)", name);
    }
    /* The rest of it needs addresses: see pl_build_sends. */
    if (strcmp(what, "send") == 0) {
        step->kind = PL_STEP_HOST_SEND;
        return TRUE;
    }
    if (strcmp(what, "move") == 0)
        return pl_build_move(topology, ini, group, step, rest, error);
    if (pl_build_is_talk(what))
        return pl_build_talk(topology, ini, group, step, what, rest, error);
    if (strcmp(what, "run") != 0)
        return pl_ini_fail(
            ini, group, "do", error,
            "bad step \"%s\" (expected host NAME run COMMAND, host NAME send PORT -> "
            "HOST:PORT TEXT, host NAME kill or start, host NAME move PLACE [ADDRESS], or, of a "
            "node, connect PEER, disconnect PEER, tell PEER TEXT or stream PEER COUNT INTERVAL "
            "TEXT)",
            step->text);
    step->kind = PL_STEP_HOST_RUN;
    if (!g_shell_parse_argv(rest, NULL, &step->argv, &cause))
        return pl_ini_fail(ini, group, "do", error,
                           "not a command line: %s (expected host NAME "
                           "run COMMAND, quoted as for a shell)",
                           cause->message);
    return *step->argv[0] || pl_ini_fail(ini, group, "do", error,
                                         "the program's name is empty (expected host NAME run "
                                         "COMMAND)");
}

static gboolean read_link_step(const PlTopology *topology, const PlIni *ini, const char *group,
                               PlStep *step, const char *label, const char *what, const char *rest,
                               GError **error)
{
    step->attachment = pl_topology_attachment(topology, label);
    if (!step->attachment)
        return no_label(topology, ini, group, "do", label, error);
    if (*rest || (strcmp(what, "down") != 0 && strcmp(what, "up") != 0))
        return pl_ini_fail(ini, group, "do", error,
                           "bad step \"%s\" (expected link LABEL down or link LABEL up)",
                           step->text);
    step->kind = strcmp(what, "up") == 0 ? PL_STEP_LINK_UP : PL_STEP_LINK_DOWN;
    return TRUE;
}

static gboolean read_do(PlTopology *topology, const PlIni *ini, const char *group, PlStep *step,
                        GError **error)
{
    const char *rest = step->text;
    g_autofree char *object = pl_build_word(&rest);
    g_autofree char *name = pl_build_word(&rest);
    g_autofree char *what = pl_build_word(&rest);

    if (strcmp(object, "nat") == 0)
        return read_nat_step(topology, ini, group, step, name, what, rest, error);
    if (strcmp(object, "link") == 0)
        return read_link_step(topology, ini, group, step, name, what, rest, error);
    if (strcmp(object, "host") == 0)
        return read_host_step(topology, ini, group, step, name, what, rest, error);
    return pl_ini_fail(ini, group, "do", error,
                       "bad step \"%s\" (expected nat NAME ..., link LABEL ... or host NAME ...)",
                       step->text);
}

/* A stream's further messages are steps of their own, with the number of the first. */
static gint by_time(gconstpointer a, gconstpointer b)
{
    const PlStep *left = *(const PlStep *const *)a, *right = *(const PlStep *const *)b;

    if (left->at_ns != right->at_ns)
        return left->at_ns < right->at_ns ? -1 : 1;
    return (left->number > right->number) - (left->number < right->number);
}

gboolean pl_build_steps(PlTopology *topology, const PlIni *ini, GError **error)
{
    const char *const *groups = pl_ini_groups(ini);

    for (unsigned i = 0; groups[i]; i++) {
        const char *at, *text;
        uint64_t number;
        PlStep *step;

        if (!g_str_has_prefix(groups[i], "step "))
            continue;
        if (!pl_number_parse(groups[i] + 5, 1, PL_STEPS_MAX, &number))
            return pl_ini_fail(ini, groups[i], NULL, error,
                               "bad number \"%s\" (expected 1 to %d, without leading zeros)",
                               groups[i] + 5, PL_STEPS_MAX);
        if (!pl_ini_need(ini, groups[i], "at", "a time after the start, such as 5s", &at, error) ||
            !pl_ini_need(ini, groups[i], "do", "what happens, such as nat home-a reboot", &text,
                         error))
            return FALSE;
        step = g_new0(PlStep, 1);
        g_ptr_array_add(topology->steps, step);
        step->number = (unsigned)number;
        step->text = g_strdup(text);
        if (!pl_ini_duration(ini, groups[i], "at", 0, 24 * 3600 * PL_NS_PER_S, &step->at_ns,
                             error) ||
            !read_do(topology, ini, groups[i], step, error))
            return FALSE;
    }
    g_ptr_array_sort(topology->steps, by_time);
    return TRUE;
}
