/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The canonical file of a topology: every address, every axis, nothing left to a default. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

static void print_addresses(GString *out, const char *key, const GPtrArray *attachments,
                            unsigned first, unsigned end)
{
    const char *separator = "";

    g_string_append_printf(out, "%s = ", key);
    for (unsigned i = first; i < end; i++) {
        const PlAttachment *attachment = g_ptr_array_index(attachments, i);

        for (unsigned k = 0; k < attachment->addresses->len; k++) {
            char text[PH_ADDRESS_TEXT_MAX];

            ph_address_format(&g_array_index(attachment->addresses, PhAddress, k), text);
            g_string_append_printf(out, "%s%s", separator, text);
            separator = ", ";
        }
    }
    g_string_append_c(out, '\n');
}

static void print_duration(GString *out, const char *key, uint64_t ns)
{
    g_autofree char *text = pl_duration_format(ns);

    g_string_append_printf(out, "%s = %s\n", key, text);
}

/* As a shell would read it back; bare where that needs no quotes. */
static void print_argv(GString *out, char *const *argv)
{
    for (unsigned i = 0; argv[i]; i++) {
        gboolean bare =
            argv[i][0] &&
            !argv[i][strspn(argv[i], G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_./:=@%+,")];
        g_autofree char *word = bare ? g_strdup(argv[i]) : g_shell_quote(argv[i]);

        g_string_append_printf(out, "%s%s", i ? " " : "", word);
    }
    g_string_append_c(out, '\n');
}

static void print_ports(GString *out, const PlBehaviour *behaviour)
{
    g_string_append_printf(out, "port-allocation = %s\n",
                           pl_port_allocation_name(behaviour->port_allocation));
    if (behaviour->block_size)
        g_string_append_printf(out, "block-size = %u\n", behaviour->block_size);
    if (behaviour->port_allocation != PL_PORT_ALLOCATION_PRESERVE)
        g_string_append_printf(out, "port-range = %u-%u\n", behaviour->port_first,
                               behaviour->port_last);
    g_string_append_printf(out, "pooling = %s\nhairpin = %s\n", pl_pooling_name(behaviour->pooling),
                           pl_hairpin_name(behaviour->hairpin));
}

static void print_forwards(GString *out, const GArray *forwards)
{
    for (unsigned i = 0; i < forwards->len; i++) {
        const PlForward *forward = &g_array_index(forwards, PlForward, i);
        char text[PH_ADDRESS_TEXT_MAX];

        g_string_append_printf(out, "%s%s %u -> %s", i ? ", " : "forward = ",
                               forward->protocol == PL_PROTOCOL_UDP ? "udp" : "tcp",
                               forward->outside_port, ph_address_format(&forward->inside, text));
    }
    if (forwards->len)
        g_string_append_c(out, '\n');
}

/* `rules` as the file has it: relative to its directory. */
static void print_rules(GString *out, const PlTopology *topology, const char *rules)
{
    g_autofree char *directory = g_path_get_dirname(topology->path);
    g_autofree char *prefix =
        g_strconcat(directory, g_str_has_suffix(directory, "/") ? "" : "/", NULL);

    g_string_append_printf(out, "rules = %s\n",
                           g_str_has_prefix(rules, prefix) ? rules + strlen(prefix) : rules);
}

static void print_nat(GString *out, const PlTopology *topology, const PlNode *nat)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    const PlNetwork *inside = pl_nat_inside(nat)->network;
    g_autofree char *subnet = pl_prefix_format(&inside->subnet);

    g_string_append_printf(out, "\n[nat %s]\noutside = %s\ninside = %s\n", nat->name,
                           pl_nat_outside(nat)->network->name,
                           strchr(inside->name, '.') ? subnet : inside->name);
    print_addresses(out, "addresses", nat->attachments, 1, 2);
    print_addresses(out, "inside-address", nat->attachments, 0, 1);
    g_string_append_printf(out, "mapping = %s\nfiltering = %s\n",
                           pl_mapping_name(behaviour->mapping),
                           pl_filtering_name(behaviour->filtering));
    if (behaviour->mapping != PL_MAPPING_NONE)
        print_ports(out, behaviour);
    print_duration(out, "udp-timeout", behaviour->udp_timeout_ns);
    g_string_append_printf(out, "inbound-refresh = %s\nunsolicited = %s\nudp = %s\nicmp = %s\n",
                           behaviour->inbound_refresh ? "yes" : "no",
                           pl_unsolicited_name(behaviour->unsolicited),
                           pl_pass_name(behaviour->udp), pl_pass_name(behaviour->icmp));
    pl_print_quirks(out, &behaviour->quirks);
    print_forwards(out, nat->forwards);
    if (nat->rules)
        print_rules(out, topology, nat->rules);
}

static void print_program(GString *out, const PlProgram *program)
{
    g_string_append(out, "run = ");
    print_argv(out, program->argv);
    switch (program->ready) {
    case PL_READY_STARTED:
        g_string_append(out, "ready = started\n");
        break;
    case PL_READY_EXIT:
        g_string_append(out, "ready = exit\n");
        break;
    case PL_READY_LINE:
        g_string_append_printf(out, "ready = line %s\n", program->ready_text);
        break;
    case PL_READY_UDP:
        g_string_append_printf(out, "ready = udp %u\n", program->ready_port);
        break;
    case PL_READY_TCP:
        g_string_append_printf(out, "ready = tcp %u\n", program->ready_port);
        break;
    }
    print_duration(out, "time-limit", program->time_limit_ns);
}

static void print_host(GString *out, const PlNode *host)
{
    g_string_append_printf(out, "\n[host %s]\non = ", host->name);
    for (unsigned i = 0; i < host->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, i);

        g_string_append_printf(out, "%s%s", i ? ", " : "", attachment->network->name);
    }
    g_string_append_c(out, '\n');
    print_addresses(out, "addresses", host->attachments, 0, host->attachments->len);
    g_string_append_printf(out, "routes = %s\n", host->routes ? "yes" : "no");
    if (host->probe_port)
        g_string_append_printf(out, "probe-port = %u\n", host->probe_port);
    if (host->program.argv)
        print_program(out, &host->program);
}

static void print_story(GString *out, const PlTopology *topology)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (step->more)
            continue;
        g_string_append_printf(out, "\n[step %u]\n", step->number);
        print_duration(out, "at", step->at_ns);
        g_string_append_printf(out, "do = %s\n", step->text);
    }
    if (topology->expects->len)
        g_string_append(out, "\n[expect]\n");
    for (unsigned i = 0; i < topology->expects->len; i++) {
        const PlExpect *expect = g_ptr_array_index(topology->expects, i);

        g_string_append_printf(out, "%s = %s\n", expect->key, expect->value);
    }
}

char *pl_topology_print(const PlTopology *topology)
{
    GString *out = g_string_new("[topology]\n");

    g_string_append_printf(out, "title = %s\n", topology->title);
    if (topology->about)
        g_string_append_printf(out, "about = %s\n", topology->about);
    for (unsigned i = 0; i < topology->networks->len; i++) {
        const PlNetwork *network = g_ptr_array_index(topology->networks, i);
        g_autofree char *subnet = pl_prefix_format(&network->subnet);

        /* The others come with their NATs. */
        if (!strchr(network->name, '.'))
            g_string_append_printf(out, "\n[network %s]\nsubnet = %s\n", network->name, subnet);
    }
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_NAT)
            print_nat(out, topology, node);
        else
            print_host(out, node);
    }
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++)
            pl_print_link(out, g_ptr_array_index(node->attachments, k));
    }
    print_story(out, topology);
    return g_string_free(out, /* free_segment= */ FALSE);
}
