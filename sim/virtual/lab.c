/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop. What happens next is the earliest of what the world, the hosts' stacks, their programs
 * and the prober have; at the same time it is in this order, hosts by number.
 */
#include "virtual/lab.h"

#include <string.h>

#include "topology/identity.h"
#include "topology/random.h"

#define SECOND_NS G_GUINT64_CONSTANT(1000000000)
/* Where the clock begins: 2000-01-01 00:00:00 UTC. */
#define EPOCH_NS (946684800 * SECOND_NS)
/* What takes longer than this will not end: the longest `at` and time limit are hours. */
#define TIME_MAX_NS (14 * 24 * 3600 * SECOND_NS)
/* The longest runs that mean something take a thousandth of this. */
#define EVENTS_MAX G_GUINT64_CONSTANT(200000000)

static void emit(gpointer data, unsigned interface, const uint8_t *bytes, size_t length,
                 uint64_t now)
{
    const PlLabHost *host = data;
    PlWorldPlace from = {.network = host->network};

    if (host->node) {
        from.attachment = g_ptr_array_index(host->node->attachments, interface);
        from.network = from.attachment->network;
    }
    if (host->lab->loses && host->lab->loses(host->lab->loses_data, host->node, bytes, length))
        return;
    pl_world_send(host->lab->world, &from, bytes, length, now);
}

static void add_routes(const PlLab *lab, PlStack *stack, const PlNetwork *network,
                       const PlNode *node, unsigned interface)
{
    g_autoptr(GArray) routes = pl_topology_routes(lab->topology, network, node);

    for (unsigned i = 0; i < routes->len; i++)
        pl_stack_add_route(stack, &g_array_index(routes, PlRoute, i).destination, interface);
}

static void make_host(PlLab *lab, const PlNode *node)
{
    PlLabHost *host = &lab->nodes[node->index];
    g_autofree char *name = g_strdup_printf("host %s", node->name);

    host->stack = pl_stack_new(node->routes, pl_random_stream(lab->seed, name), emit, host);
    for (unsigned i = 0; i < node->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(node->attachments, i);

        pl_stack_add_interface(host->stack, &attachment->network->subnet, attachment->addresses,
                               pl_network_mtu(attachment->network, attachment));
    }
    for (unsigned i = 0; i < node->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(node->attachments, i);

        add_routes(lab, host->stack, attachment->network, node, i);
    }
}

void pl_virtual_move(PlLab *lab, const PlStep *step)
{
    PlLabHost *host = &lab->nodes[step->node->index];
    const PlAttachment *attachment = g_ptr_array_index(step->node->attachments, 0);
    g_autoptr(GArray) addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));

    g_array_append_val(addresses, step->address);
    pl_world_move(lab->world, attachment, step->network, &step->address, lab->now);
    pl_stack_unplug(host->stack);
    pl_stack_add_interface(host->stack, &step->network->subnet, addresses,
                           pl_network_mtu(step->network, attachment));
    add_routes(lab, host->stack, step->network, NULL, 0);
    host->moved = &step->address;
    if (host->program)
        pl_seat_moved(host->program, host->moved);
}

static void find_key(PlLabHost *host, uint64_t seed)
{
    PhKey key;

    if (host->node->program.word != PL_WORD_HUB && host->node->program.word != PL_WORD_NODE)
        return;
    pl_host_key(host->node, seed, &key);
    memcpy(host->key, key.public_half, sizeof(host->key));
    ph_key_wipe(&key);
}

PlLab *pl_virtual_new(const PlTopology *topology, uint64_t seed)
{
    PlLab *lab = g_new0(PlLab, 1);

    lab->topology = topology;
    lab->seed = seed;
    lab->events_max = EVENTS_MAX;
    lab->now = lab->ready_ns = EPOCH_NS;
    lab->world = pl_world_new(topology, seed, lab->now);
    lab->nodes = g_new0(PlLabHost, topology->nodes->len);
    lab->presences = g_new0(PlLabHost, topology->networks->len);
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        lab->nodes[i] = (PlLabHost){.lab = lab, .node = node};
        find_key(&lab->nodes[i], seed);
        if (node->kind == PL_NODE_HOST)
            make_host(lab, node);
    }
    for (unsigned i = 0; i < topology->networks->len; i++)
        lab->presences[i] =
            (PlLabHost){.lab = lab, .network = g_ptr_array_index(topology->networks, i)};
    lab->witness = pl_witness_new(lab);
    return lab;
}

PlLab *pl_virtual_free(PlLab *lab)
{
    if (!lab)
        return NULL;
    for (unsigned i = 0; i < lab->topology->nodes->len; i++) {
        pl_seat_free(lab->nodes[i].program);
        pl_stack_free(lab->nodes[i].stack);
    }
    pl_virtual_leave(lab);
    pl_witness_free(lab->witness, lab->now);
    pl_world_free(lab->world);
    g_free(lab->nodes);
    g_free(lab->presences);
    g_free(lab);
    return NULL;
}

PlLabHost *pl_virtual_presence(PlLab *lab, const PlNetwork *network)
{
    PlLabHost *presence = &lab->presences[network->index];
    g_autoptr(GArray) addresses = NULL;
    g_autofree char *name = NULL;

    if (presence->stack)
        return presence;
    name = g_strdup_printf("presence %s", network->name);
    addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    g_array_append_vals(addresses, network->reserved, G_N_ELEMENTS(network->reserved));
    presence->stack = pl_stack_new(FALSE, pl_random_stream(lab->seed, name), emit, presence);
    pl_stack_add_interface(presence->stack, &network->subnet, addresses,
                           pl_network_mtu(network, NULL));
    add_routes(lab, presence->stack, network, NULL, 0);
    return presence;
}

void pl_virtual_leave(PlLab *lab)
{
    for (unsigned i = 0; i < lab->topology->networks->len; i++)
        lab->presences[i].stack = pl_stack_free(lab->presences[i].stack);
}

static void dispatch(const PlStackEvent *event, uint64_t now)
{
    PlClient *client = pl_socket_owner(event->socket);

    client->event(client, event, now);
}

/* The next packet that arrives, if one does. */
static void receive(PlLab *lab)
{
    PlWorldPlace to;
    uint64_t at;
    g_autoptr(PlDatagram) datagram = pl_world_receive(lab->world, lab->now, &to, &at);
    PlStackEvent event;
    PlStack *stack;

    if (!datagram)
        return;
    stack = to.attachment ? lab->nodes[to.attachment->node->index].stack
                          : lab->presences[to.network->index].stack;
    if (stack && pl_stack_receive(stack, datagram->bytes, datagram->length, lab->now, &event))
        dispatch(&event, lab->now);
}

/* What is to be called at `time_ns`: the stack or, else, the client. */
typedef struct Due {
    uint64_t time_ns;
    PlStack *stack;
    PlClient *client;
} Due;

static void consider_stack(Due *due, PlStack *stack)
{
    uint64_t next = stack ? pl_stack_next(stack) : UINT64_MAX;

    if (next < due->time_ns)
        *due = (Due){.time_ns = next, .stack = stack};
}

static void consider_client(Due *due, PlClient *client)
{
    uint64_t next = client ? client->next(client) : UINT64_MAX;

    if (next < due->time_ns)
        *due = (Due){.time_ns = next, .client = client};
}

static Due find_due(const PlLab *lab)
{
    Due due = {.time_ns = UINT64_MAX};

    for (unsigned i = 0; i < lab->topology->nodes->len; i++) {
        consider_stack(&due, lab->nodes[i].stack);
        if (lab->nodes[i].program)
            consider_client(&due, pl_seat_client(lab->nodes[i].program));
    }
    for (unsigned i = 0; i < lab->topology->networks->len; i++)
        consider_stack(&due, lab->presences[i].stack);
    consider_client(&due, lab->prober);
    return due;
}

static void fire(PlLab *lab, const Due *due)
{
    PlStackEvent event;

    if (due->client)
        due->client->timeout(due->client, lab->now);
    else if (pl_stack_timeout(due->stack, lab->now, &event))
        dispatch(&event, lab->now);
}

static gboolean check_limits(const PlLab *lab, GError **error)
{
    if (lab->events < lab->events_max && lab->now - EPOCH_NS < TIME_MAX_NS)
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED,
                "engine virtual gave up after %" G_GUINT64_FORMAT " events, at %" G_GUINT64_FORMAT
                " s of virtual time",
                lab->events, (lab->now - EPOCH_NS) / SECOND_NS);
    return FALSE;
}

gboolean pl_virtual_run(PlLab *lab, uint64_t until_ns, const gboolean *done, GError **error)
{
    while (!*done) {
        Due due = find_due(lab);
        uint64_t world = pl_world_next(lab->world), next = MIN(world, due.time_ns);

        if (!check_limits(lab, error))
            return FALSE;
        lab->now = MAX(lab->now, MIN(next, until_ns));
        if (next > until_ns || next == UINT64_MAX)
            return TRUE;
        lab->events++;
        if (world <= due.time_ns)
            receive(lab);
        else
            fire(lab, &due);
    }
    return TRUE;
}
