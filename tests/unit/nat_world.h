/* SPDX-License-Identifier: MIT */
/*
 * A host behind a NAT and a reflector on the internet, in virtual time: for the library's agents to
 * be tried on. The NAT is written from RFC 4787.
 *
 *     host's sockets --- NAT --- (delay, loss, reordering) --- hub, four sockets
 */
#pragma once

#include <glib.h>
#include <pinhole/classification.h>
#include <pinhole/path.h>
#include <pinhole/reflector.h>
#include <string.h>

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

#define WORLD_SOCKETS 64
#define WORLD_BYTES   256

typedef struct NatBehaviour {
    PhMapping mapping;
    PhFiltering filtering;
    PhPortAllocation allocation;
    guint16 port_first, port_last; /* 0 and 0: 1024 to 65535 */
    int step;                      /* sequential; 0: 1 */
    guint pool;                    /* external addresses; 0: 1 */
    gboolean arbitrary;            /* any of them for each mapping */
    guint moved;                   /* which of them is the first one now */
    PhHairpin hairpin;
    gboolean blocked;
    guint64 timeout_ns; /* 0: 120 s */
    gboolean no_refresh;
    gboolean overloads; /* one external port for mappings to several remotes */
    guint ports_max;    /* mappings at a time; 0: no limit */
} NatBehaviour;

typedef struct NatMapping {
    PhAddress inside, remote, external;
    guint64 expires_ns;
    GArray *contacted; /* PhAddress */
} NatMapping;

typedef enum { TO_HUB, TO_NAT, TO_HOST } WorldPlace;

typedef struct WorldPacket {
    guint64 at_ns, sequence;
    WorldPlace where;
    PhAddress from, to;
    gsize length;
    guint8 bytes[WORLD_BYTES];
} WorldPacket;

typedef struct World World;
struct World {
    /* What it is like. */
    NatBehaviour nat;
    PhAddress inside_host; /* the host's address */
    PhAddress uplink;      /* another address of its own, for the hub's second; may be none */
    gboolean wildcard;     /* sockets do not know it */
    guint64 delay_ns, jitter_ns;
    guint loss_percent; /* each way */
    guint hub_hosts, hub_ports;
    gboolean hub_dead;
    gboolean ipv6;     /* then nothing may be translated */
    guint sockets_max; /* that can be opened */
    guint32 no_socket; /* one that cannot */
    /* The hub's answer may be changed, or swallowed (returns 0), before it is sent from `*from`. */
    gsize (*tamper)(World *world, const guint8 *request, gsize request_length, PhAddress *from,
                    guint8 *bytes, gsize length);

    /* Where it stands. */
    guint64 now, sequence, random;
    PhReflector *reflector;
    PhReflectorConfig hub;
    GArray *mappings;
    GList *packets; /* WorldPacket, by time */
    guint counter, n_opened, n_open;
    struct {
        gboolean open;
        guint32 id;
        PhAddress local;
    } sockets[WORLD_SOCKETS];
    guint sent, answers_on_wire;
};

static inline PhAddress world_address(const char *text)
{
    PhAddress address;

    g_assert_true(ph_address_parse(text, &address));
    return address;
}

static inline guint world_random(World *world)
{
    world->random = world->random * 6364136223846793005U + 1442695040888963407U;
    return (guint)(world->random >> 33);
}

static inline void nat_mapping_clear(gpointer data)
{
    g_array_unref(((NatMapping *)data)->contacted);
}

static inline void world_init(World *world)
{
    memset(world, 0, sizeof(*world));
    world->inside_host = world_address("192.168.1.2");
    world->delay_ns = 5 * MS;
    world->hub_hosts = world->hub_ports = 2;
    world->sockets_max = WORLD_SOCKETS;
    world->now = 7 * S;
    world->random = 1;
    world->mappings = g_array_new(FALSE, FALSE, sizeof(NatMapping));
    g_array_set_clear_func(world->mappings, nat_mapping_clear);
}

/* After what it is like has been said. */
static inline void world_start(World *world)
{
    ph_reflector_config_init(&world->hub);
    world->hub.hosts[0] = world_address("203.0.113.10");
    if (world->hub_hosts == 2)
        world->hub.hosts[1] = world_address("203.0.113.11");
    world->hub.ports[0] = 3478;
    world->hub.ports[1] = world->hub_ports == 2 ? 3479 : 0;
    if (world->nat.mapping == PH_MAPPING_NONE)
        world->inside_host = world_address("198.51.100.2");
    if (world->ipv6) {
        world->hub.hosts[0] = world_address("2001:db8::10");
        world->hub.hosts[1] = world_address("2001:db8::11");
        world->inside_host = world_address("2001:db8:1:1::2");
    }
    world->reflector = ph_reflector_new(&world->hub);
    g_assert_nonnull(world->reflector);
}

static inline void world_clear(World *world)
{
    world->reflector = ph_reflector_free(world->reflector);
    g_array_unref(world->mappings);
    g_list_free_full(world->packets, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static inline gint world_by_time(gconstpointer a, gconstpointer b)
{
    const WorldPacket *left = a, *right = b;

    if (left->at_ns != right->at_ns)
        return left->at_ns < right->at_ns ? -1 : 1;
    return left->sequence < right->sequence ? -1 : 1;
}

static inline void world_push(World *world, WorldPlace where, guint64 delay_ns,
                              const PhAddress *from, const PhAddress *to, const guint8 *bytes,
                              gsize length)
{
    WorldPacket *packet = g_new0(WorldPacket, 1);

    g_assert_cmpuint(length, <=, WORLD_BYTES);
    packet->at_ns = world->now + delay_ns;
    packet->sequence = world->sequence++;
    packet->where = where;
    packet->from = *from;
    packet->to = *to;
    packet->length = length;
    memcpy(packet->bytes, bytes, length);
    world->packets = g_list_insert_sorted(world->packets, packet, world_by_time);
}

/* Over the internet: late by chance, or not at all. */
static inline void world_send(World *world, WorldPlace where, const PhAddress *from,
                              const PhAddress *to, const guint8 *bytes, gsize length)
{
    guint64 delay = world->delay_ns;

    if (world->jitter_ns)
        delay += world_random(world) % world->jitter_ns;
    if (world->loss_percent && world_random(world) % 100 < world->loss_percent)
        return;
    world_push(world, where, delay, from, to, bytes, length);
}

static inline PhAddress nat_pool(guint i)
{
    return ph_address_ipv4(0xc6336405 + i, 0); /* 198.51.100.5 and up */
}

static inline gboolean nat_is_external(const World *world, const PhAddress *host)
{
    guint n = world->nat.moved + MAX(world->nat.pool, 1);

    for (guint i = 0; i < n && world->nat.mapping != PH_MAPPING_NONE; i++) {
        PhAddress external = nat_pool(i);

        if (ph_address_equal_host(host, &external))
            return TRUE;
    }
    return FALSE;
}

static inline NatMapping *nat_at(const World *world, guint i)
{
    return &g_array_index(world->mappings, NatMapping, i);
}

static inline NatMapping *nat_by_external(const World *world, const PhAddress *external)
{
    for (guint i = 0; i < world->mappings->len; i++) {
        if (nat_at(world, i)->expires_ns > world->now &&
            ph_address_equal(&nat_at(world, i)->external, external))
            return nat_at(world, i);
    }
    return NULL;
}

static inline gboolean nat_fits(const World *world, const NatMapping *mapping,
                                const PhAddress *inside, const PhAddress *remote)
{
    if (mapping->expires_ns <= world->now || !ph_address_equal(&mapping->inside, inside))
        return FALSE;
    if (world->nat.mapping == PH_MAPPING_ADDRESS_DEPENDENT)
        return ph_address_equal_host(&mapping->remote, remote);
    if (world->nat.mapping == PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT)
        return ph_address_equal(&mapping->remote, remote);
    return TRUE;
}

static inline PhAddress nat_allocate(World *world, const PhAddress *inside)
{
    guint first = world->nat.port_first ? world->nat.port_first : 1024,
          last = world->nat.port_last ? world->nat.port_last : 65535, n = last - first + 1;
    int step = world->nat.step ? world->nat.step : 1;
    PhAddress external;
    guint tries = 0;

    if (world->nat.mapping == PH_MAPPING_NONE)
        return *inside;
    do {
        external = nat_pool(world->nat.moved +
                            (world->nat.arbitrary ? world_random(world) % world->nat.pool : 0));
        if (world->nat.allocation == PH_PORT_ALLOCATION_PRESERVE && tries == 0)
            external.port = inside->port;
        else if (world->nat.allocation == PH_PORT_ALLOCATION_SEQUENTIAL)
            external.port =
                (guint16)(first + (n * 100U + (guint)((int)world->counter++ * step)) % n);
        else
            external.port = (guint16)(first + world_random(world) % n);
    } while (!world->nat.overloads && nat_by_external(world, &external) && ++tries < 1000);
    return external;
}

static inline NatMapping *nat_out(World *world, const PhAddress *inside, const PhAddress *remote)
{
    guint64 timeout = world->nat.timeout_ns ? world->nat.timeout_ns : 120 * S;
    NatMapping fresh = {.inside = *inside, .remote = *remote};
    NatMapping *mapping = NULL;
    guint alive = 0;

    for (guint i = 0; i < world->mappings->len && !mapping; i++) {
        alive += nat_at(world, i)->expires_ns > world->now ? 1 : 0;
        if (nat_fits(world, nat_at(world, i), inside, remote))
            mapping = nat_at(world, i);
    }
    if (!mapping) {
        if (world->nat.ports_max && alive >= world->nat.ports_max)
            return NULL;
        fresh.external = nat_allocate(world, inside);
        fresh.contacted = g_array_new(FALSE, FALSE, sizeof(PhAddress));
        g_array_append_val(world->mappings, fresh);
        mapping = nat_at(world, world->mappings->len - 1);
    }
    g_array_append_vals(mapping->contacted, remote, 1);
    mapping->expires_ns = world->now + timeout;
    return mapping;
}

static inline gboolean nat_lets_in(const World *world, const NatMapping *mapping,
                                   const PhAddress *from)
{
    if (world->nat.filtering == PH_FILTERING_ENDPOINT_INDEPENDENT)
        return TRUE;
    for (guint i = 0; i < mapping->contacted->len; i++) {
        const PhAddress *known = &g_array_index(mapping->contacted, PhAddress, i);

        if (world->nat.filtering == PH_FILTERING_ADDRESS_DEPENDENT
                ? ph_address_equal_host(known, from)
                : ph_address_equal(known, from))
            return TRUE;
    }
    return FALSE;
}

/* What comes to the NAT from `from` and is to look as if it came from `seen`. */
static inline void nat_in(World *world, const PhAddress *from, const PhAddress *seen,
                          const PhAddress *to, const guint8 *bytes, gsize length)
{
    NatMapping *mapping = NULL;

    for (guint i = 0; i < world->mappings->len && !mapping; i++) {
        NatMapping *each = nat_at(world, i);

        if (each->expires_ns > world->now && ph_address_equal(&each->external, to) &&
            nat_lets_in(world, each, from))
            mapping = each;
    }
    if (world->nat.blocked || !mapping)
        return;
    if (!world->nat.no_refresh)
        mapping->expires_ns =
            world->now + (world->nat.timeout_ns ? world->nat.timeout_ns : 120 * S);
    world_push(world, TO_HOST, 0, seen, &mapping->inside, bytes, length);
}

/* From the host's socket `id`. */
static inline void world_transmit(World *world, const PhTransmit *transmit)
{
    const PhAddress *to = &transmit->path.remote;
    NatMapping *mapping = NULL;
    PhAddress inside = world->inside_host, external;

    for (guint i = 0; i < WORLD_SOCKETS; i++) {
        if (world->sockets[i].open && world->sockets[i].id == transmit->path.socket)
            inside.port = world->sockets[i].local.port;
    }
    g_assert_cmpuint(inside.port, !=, 0); /* only through sockets that are open */
    if (world->uplink.family && ph_address_equal_host(to, &world->hub.hosts[1]))
        memcpy(inside.bytes, world->uplink.bytes, sizeof(inside.bytes));
    g_assert_cmpint(transmit->path.transport, ==, PH_TRANSPORT_UDP);
    world->sent++;
    if (world->nat.blocked || !(mapping = nat_out(world, &inside, to)))
        return;
    external = mapping->external;
    if (!nat_is_external(world, to))
        world_send(world, TO_HUB, &external, to, transmit->bytes, transmit->length);
    else if (world->nat.hairpin >= PH_HAIRPIN_INTERNAL_SOURCE)
        nat_in(world, &external,
               world->nat.hairpin == PH_HAIRPIN_INTERNAL_SOURCE ? &inside : &external, to,
               transmit->bytes, transmit->length);
}

static inline void world_hub(World *world, const WorldPacket *packet)
{
    PhPath path = {PH_TRANSPORT_UDP, 0, packet->from}, to;
    guint8 bytes[WORLD_BYTES];
    PhAddress from;
    gsize length;

    for (guint i = 0; i < 4; i++) {
        from = world->hub.hosts[i / 2];
        from.port = world->hub.ports[i % 2];
        if (!ph_address_equal(&from, &packet->to) || world->hub_dead)
            continue;
        path.socket = i;
        length = ph_reflector_handle_datagram(world->reflector, &path, packet->bytes,
                                              packet->length, world->now, &to, bytes);
        if (length == 0)
            return;
        from = world->hub.hosts[to.socket / 2];
        from.port = world->hub.ports[to.socket % 2];
        if (world->tamper)
            length = world->tamper(world, packet->bytes, packet->length, &from, bytes, length);
        if (length)
            world_send(world, TO_NAT, &from, &to.remote, bytes, length);
        return;
    }
}

/* Opens or closes; what a driver has to report: TRUE with *ret_local, or FALSE. */
static inline gboolean world_socket(World *world, const PhSocketRequest *request,
                                    PhAddress *ret_local)
{
    PhAddress local = world->inside_host;

    for (guint i = 0; i < WORLD_SOCKETS; i++) {
        gboolean found = world->sockets[i].open && world->sockets[i].id == request->socket;

        g_assert_false(found && request->kind == PH_SOCKET_OPEN);
        if (found) {
            world->sockets[i].open = FALSE;
            world->n_open--;
            return TRUE;
        }
    }
    g_assert_cmpint(request->kind, ==, PH_SOCKET_OPEN); /* what is closed was open */
    if (world->n_opened >= world->sockets_max || request->socket == world->no_socket)
        return FALSE;
    local.port = (guint16)(40000 + 7 * world->n_opened);
    world->sockets[world->n_opened].open = TRUE;
    world->sockets[world->n_opened].id = request->socket;
    world->sockets[world->n_opened++].local = local;
    world->n_open++;
    if (world->wildcard)
        memset(local.bytes, 0, sizeof(local.bytes));
    *ret_local = local;
    return TRUE;
}

/* The next packet that the host gets, until `until_ns`; NULL: none, and it is `until_ns`. */
static inline WorldPacket *world_next(World *world, guint64 until_ns, guint32 *ret_socket)
{
    while (world->packets) {
        WorldPacket *packet = world->packets->data;

        if (packet->at_ns > until_ns)
            break;
        world->packets = g_list_delete_link(world->packets, world->packets);
        world->now = packet->at_ns;
        if (packet->where == TO_HUB)
            world_hub(world, packet);
        else if (packet->where == TO_NAT)
            nat_in(world, &packet->from, &packet->from, &packet->to, packet->bytes, packet->length);
        for (guint i = 0; packet->where == TO_HOST && i < WORLD_SOCKETS; i++) {
            if (world->sockets[i].open && world->sockets[i].local.port == packet->to.port) {
                *ret_socket = world->sockets[i].id;
                return packet;
            }
        }
        g_free(packet);
    }
    g_assert_cmpuint(until_ns, !=, UINT64_MAX);
    world->now = until_ns;
    return NULL;
}
