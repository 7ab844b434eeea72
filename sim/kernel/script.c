/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan as a shell program. Whatever comes from a file of the user's goes into a comment, a quoted
 * here-document or a name of harmless letters, so that no topology can write commands into it.
 */
#include "kernel/script.h"

#include <string.h>

#include "kernel/plan.h"
#include "kernel/rules.h"

#define COMMENT_WIDTH 100

typedef struct Script {
    const PlTopology *topology;
    const PlPlan *plan;
    uint64_t seed;
    char *lab;
    gboolean switched; /* some network is a bridge */
    GString *text;
} Script;

/* Plain letters stay; nobody needs to quote it, and nothing takes it for an option. */
static char *plain_name(const char *name)
{
    char *plain = g_strdup(name);

    g_strcanon(plain, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-", '-');
    if (!g_ascii_isalnum(plain[0])) {
        char *longer = g_strconcat("lab", plain, NULL);

        g_free(plain);
        return longer;
    }
    return plain;
}

/* Upper case is free for the switch: nodes have lower-case names. To be freed. */
static char *space_name(const Script *script, unsigned space)
{
    return g_strdup_printf("%s.%s", script->lab,
                           space == PL_SPACE_SWITCH ? "SWITCH"
                                                    : pl_space_name(script->topology, space));
}

/* ---- comments ---- */

/* Words filled into lines that begin with "# "; no control character gets through. */
static void comment(Script *script, const char *text)
{
    g_auto(GStrv) words = NULL;
    g_autofree char *clean = g_strdup(text);
    size_t column = 0;

    for (char *c = clean; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    words = g_strsplit(clean, " ", -1);
    for (size_t i = 0; words[i]; i++) {
        if (!*words[i])
            continue;
        if (column > 0 && column + 1 + strlen(words[i]) > COMMENT_WIDTH) {
            g_string_append_c(script->text, '\n');
            column = 0;
        }
        g_string_append(script->text, column > 0 ? " " : "# ");
        g_string_append(script->text, words[i]);
        column += strlen(words[i]) + (column > 0 ? 1 : 2);
    }
    g_string_append_c(script->text, '\n');
}

static void append_addresses(GString *text, const PlAttachment *attachment)
{
    for (unsigned i = 0; i < attachment->addresses->len; i++) {
        char address[PH_ADDRESS_TEXT_MAX];
        PhAddress plain = g_array_index(attachment->addresses, PhAddress, i);

        plain.port = 0;
        g_string_append_printf(text, "%s%s", i ? ", " : " ", ph_address_format(&plain, address));
    }
}

/* One line for a node: what it is, and where it is attached. */
static void describe_node(Script *script, const PlNode *node)
{
    g_string_append_printf(script->text, "#   %s.%-12s %s", script->lab, node->name,
                           node->kind == PL_NODE_NAT
                               ? (node->behaviour.mapping == PL_MAPPING_NONE ? "firewall" : "NAT")
                           : node->routes ? "router"
                                          : "host");
    for (unsigned i = 0; i < node->attachments->len; i++) {
        const PlPlace *place = pl_plan_place(script->plan, g_ptr_array_index(node->attachments, i));

        g_string_append_printf(script->text, "%s %s", i ? ";" : ",", place->interface);
        append_addresses(script->text, place->attachment);
        g_string_append_printf(script->text, " on %s", place->attachment->network->name);
    }
    g_string_append_c(script->text, '\n');
}

/* What stands before the first operation of a kind in a namespace; NULL: nothing. */
static const char *explanation(const PlOp *op, PlOpKind before)
{
    if (op->kind == PL_OP_NETNS)
        return op->space == PL_SPACE_SWITCH ? "where the bridges are" : "a machine of its own";
    if (op->kind == PL_OP_NFT)
        return "how it behaves";
    if (op->kind == PL_OP_BRIDGE)
        return "a network that several share: a bridge, which is a switch in software";
    if (op->kind == PL_OP_VETH && !op->master[0])
        return "a network of two: one cable, whose ends are in two namespaces";
    if (op->kind == PL_OP_ADDRESS && before != PL_OP_ADDRESS)
        return "its addresses; the interface comes up when it has them";
    if (op->kind == PL_OP_ROUTE && before != PL_OP_ROUTE)
        return "where to send what is not for a neighbour";
    return NULL;
}

static void explain(Script *script, const PlOp *op, PlOpKind before)
{
    g_autofree char *name = space_name(script, op->space);
    const char *why = explanation(op, before);

    if (why)
        g_string_append_printf(script->text, "%s    # %s: %s\n",
                               g_str_has_suffix(script->text->str, "{\n") ? "" : "\n", name, why);
}

/* ---- operations ---- */

static void append_mac(GString *text, uint16_t mac)
{
    g_string_append_printf(text, " address 02:00:00:00:%02x:%02x", mac >> 8, mac & 0xff);
}

/* One queue each way, as on a plain network card: packets stay in order. */
static void append_end(GString *text, const char *interface, unsigned mtu_bytes, uint16_t mac)
{
    g_string_append_printf(text, "%s mtu %u", interface, mtu_bytes);
    append_mac(text, mac);
    g_string_append(text, " numtxqueues 1 numrxqueues 1");
}

static void write_veth(Script *script, const PlOp *op)
{
    g_autofree char *name = space_name(script, op->space);
    g_autofree char *peer = space_name(script, op->peer_space);

    g_string_append_printf(script->text, "    ip -n %s link add ", name);
    append_end(script->text, op->interface, op->mtu_bytes, op->mac);
    g_string_append(script->text, " \\\n       ");
    if (op->master[0])
        g_string_append_printf(script->text, " master %s", op->master);
    g_string_append(script->text, " type veth peer name ");
    append_end(script->text, op->peer, op->mtu_bytes, op->peer_mac);
    g_string_append_printf(script->text, " \\\n        netns %s\n", peer);
}

/* The text ends where a line is the mark; a line of the user's own is not to be one. */
static char *mark_for(const char *text)
{
    char *mark = g_strdup("NFT");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (unsigned i = 2; g_strv_contains((const char *const *)lines, mark); i++) {
        g_free(mark);
        mark = g_strdup_printf("NFT%u", i);
    }
    return mark;
}

static void write_nft(Script *script, const PlOp *op)
{
    g_autofree char *name = space_name(script, op->space);
    g_autofree char *mark = mark_for(op->text);
    const char *end = g_str_has_suffix(op->text, "\n") ? "" : "\n";

    g_string_append_printf(script->text, "    ip netns exec %s nft -f - <<'%s'\n%s%s%s\n", name,
                           mark, op->text, end, mark);
}

static void write_sysctl(Script *script, const PlOp *op)
{
    g_autofree char *name = space_name(script, op->space);
    g_autofree char *value = strchr(op->text, ' ') ? g_strdup_printf("'%s'", op->text) : NULL;

    /* With -e what this kernel does not have is passed over. */
    g_string_append_printf(script->text, "    ip netns exec %s sysctl -q %s-w %s=%s\n", name,
                           op->optional ? "-e " : "", op->key, value ? value : op->text);
}

static void write_prefix(Script *script, const PlOp *op)
{
    g_autofree char *name = space_name(script, op->space);
    char address[PH_ADDRESS_TEXT_MAX], via[PH_ADDRESS_TEXT_MAX];

    ph_address_format(&op->prefix.address, address);
    if (op->kind == PL_OP_ROUTE)
        g_string_append_printf(script->text, "    ip -n %s route replace %s/%u via %s\n", name,
                               address, op->prefix.length, ph_address_format(&op->via, via));
    else
        g_string_append_printf(script->text, "    ip -n %s address add %s/%u dev %s%s\n", name,
                               address, op->prefix.length, op->interface,
                               op->prefix.address.family == PH_FAMILY_IPV6 ? " nodad" : "");
}

static void write_op(Script *script, const PlOp *op)
{
    g_autofree char *name = space_name(script, op->space);

    switch (op->kind) {
    case PL_OP_NETNS:
        g_string_append_printf(script->text, "    ip netns add %s\n", name);
        return;
    case PL_OP_SYSCTL:
        write_sysctl(script, op);
        return;
    case PL_OP_BRIDGE:
        g_string_append_printf(
            script->text, "    ip -n %s link add %s type bridge forward_delay 0 mcast_snooping 0\n",
            name, op->interface);
        return;
    case PL_OP_VETH:
        write_veth(script, op);
        return;
    case PL_OP_OFFLOAD:
        g_string_append_printf(script->text, "    as_on_a_wire %s %s\n", name, op->interface);
        return;
    case PL_OP_ADDRESS:
    case PL_OP_ROUTE:
        write_prefix(script, op);
        return;
    case PL_OP_UP:
        g_string_append_printf(script->text, "    ip -n %s link set %s up\n", name, op->interface);
        return;
    case PL_OP_NFT:
        write_nft(script, op);
        return;
    case PL_OP_MACVLAN:
    case PL_OP_UNADDRESS:
    case PL_OP_DOWN:
    case PL_OP_MASTER:
    case PL_OP_DELETE:
    case PL_OP_N:
        break;
    }
    g_assert_not_reached(); /* none of these is part of a plan */
}

/* ---- the program ---- */

/* The first host or the last; a node when there is none. */
static const PlNode *some_host(const Script *script, gboolean last)
{
    const PlNode *found = NULL;

    for (unsigned i = 0; i < script->topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(script->topology->nodes, i);

        if (node->kind == PL_NODE_HOST && (last || !found))
            found = node;
    }
    return found ? found : g_ptr_array_index(script->topology->nodes, 0);
}

static void write_head(Script *script)
{
    const char *lab = script->lab;
    const PlNode *first = some_host(script, FALSE);
    const PlAttachment *end = g_ptr_array_index(some_host(script, TRUE)->attachments, 0);
    PhAddress far = g_array_index(end->addresses, PhAddress, 0);
    char address[PH_ADDRESS_TEXT_MAX];

    g_string_append_printf(script->text,
                           "#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-or-later\n#\n");
    comment(script, script->topology->title);
    if (script->topology->about) {
        g_string_append(script->text, "#\n");
        comment(script, script->topology->about);
    }
    g_string_append(script->text, "#\n# What is built, each a network namespace:\n#\n");
    for (unsigned i = 0; i < script->topology->nodes->len; i++)
        describe_node(script, g_ptr_array_index(script->topology->nodes, i));
    if (script->switched)
        g_string_append_printf(script->text,
                               "#   %s.%-12s the bridges, one for each network that "
                               "more than two share\n",
                               lab, "SWITCH");
    g_string_append_printf(
        script->text,
        "#\n"
        "# As root, this file being called lab:    sh lab up      and in the end    sh lab down\n"
        "# As anybody, in a shell that takes it\n"
        "# all with it when it ends:               unshare -Urnm  and there         sh lab up\n"
        "# Then, for example:                      ip netns exec %s.%s ping %s\n"
        "#\n"
        "# `ip` keeps the names of namespaces in /run/netns. In a mount namespace of its own, as\n"
        "# unshare -m makes one, this script covers /run with an empty one, so that names are "
        "made\n"
        "# without touching the machine's; elsewhere it takes a root that may write to /run.\n"
        "#\n"
        "# Programs of the hosts are not started. Needed: ip, sysctl, ethtool, nft.\n"
        "# Written by pinlab script, seed %" G_GUINT64_FORMAT ".\n",
        lab, first->name, ph_address_format(&far, address), script->seed);
}

static void write_names(Script *script)
{
    g_string_append(script->text, "\nset -eu\n\nnames=\"");
    if (script->switched)
        g_string_append_printf(script->text, "%s.SWITCH ", script->lab);
    for (unsigned i = 0; i < script->topology->nodes->len; i++)
        g_string_append_printf(script->text, "%s%s.%s", i ? " " : "", script->lab,
                               ((PlNode *)g_ptr_array_index(script->topology->nodes, i))->name);
    g_string_append(
        script->text,
        "\"\n\n"
        "# Everything is in the namespaces, and goes with them.\n"
        "down() {\n"
        "    for name in $names; do\n"
        "        ip netns del \"$name\" 2>/dev/null || true\n"
        "    done\n"
        "}\n\n"
        "# Captures are to show packets as on a wire: with checksums, and of a frame's size.\n"
        "as_on_a_wire() {\n"
        "    ip netns exec \"$1\" ethtool -K \"$2\" tx off sg off tso off gso off gro off "
        ">/dev/null\n"
        "}\n\n"
        "# The names' place, and that none of them is taken.\n"
        "prepare() {\n"
        "    if [ \"$(readlink /proc/self/ns/mnt)\" != \"$(readlink /proc/1/ns/mnt)\" ] || "
        "[ ! -w /run ]; then\n"
        "        [ -e /run/.own-netns ] || mount -t tmpfs -o mode=0755 own /run\n"
        "        : >/run/.own-netns\n"
        "    fi\n"
        "    for name in $names; do\n"
        "        if [ -e \"/run/netns/$name\" ]; then\n"
        "            echo \"$0: namespace $name is there already (try: $0 down)\" >&2\n"
        "            exit 1\n"
        "        fi\n"
        "    done\n"
        "}\n");
}

static void write_up(Script *script)
{
    PlOpKind before = PL_OP_N;

    g_string_append(script->text, "\nup() {\n");
    for (unsigned i = 0; i < script->plan->ops->len; i++) {
        const PlOp *op = &g_array_index(script->plan->ops, PlOp, i);

        if (op->space == PL_SPACE_SWITCH && !script->switched)
            continue;
        explain(script, op, before);
        write_op(script, op);
        before = op->kind;
    }
    g_string_append(script->text, "}\n\n"
                                  "case ${1-} in\n"
                                  "up)\n"
                                  "    prepare\n"
                                  "    # Half a lab is none.\n"
                                  "    trap '[ $? = 0 ] || down' EXIT\n"
                                  "    up\n"
                                  "    ;;\n"
                                  "down) down ;;\n"
                                  "*)\n"
                                  "    echo \"Usage: $0 up|down\" >&2\n"
                                  "    exit 2\n"
                                  "    ;;\n"
                                  "esac\n");
}

static gboolean is_switched(const PlTopology *topology)
{
    char bridge[IFNAMSIZ];

    for (unsigned i = 0; i < topology->networks->len; i++)
        if (pl_plan_bridge(topology, g_ptr_array_index(topology->networks, i), bridge))
            return TRUE;
    return FALSE;
}

char *pl_script_text(const PlTopology *topology, uint64_t seed, GError **error)
{
    g_autoptr(PlPlan) plan = pl_plan_new(topology, seed, error);
    g_autofree char *lab = plain_name(topology->name);
    Script script = {
        .topology = topology,
        .plan = plan,
        .seed = seed,
        .lab = lab,
        .switched = is_switched(topology),
    };

    if (!plan)
        return NULL;
    script.text = g_string_new(NULL);
    write_head(&script);
    write_names(&script);
    write_up(&script);
    return g_string_free(script.text, FALSE);
}
