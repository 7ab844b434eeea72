/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host's sockets: who has which port, and whom a packet is for. */
#include "virtual/stack_private.h"

#include "topology/random.h"

/* RFC 6335 §6 has 49152; Linux begins here, and ends there. */
#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST  60999
/* Ports that are tried by chance before they are tried one by one. */
#define EPHEMERAL_DRAWS 32

static gboolean is_unspecified(const PhAddress *address)
{
    const PhAddress zero = {.family = address->family};

    return ph_address_equal_host(address, &zero);
}

static unsigned bucket_of(uint16_t port)
{
    return port % PL_BUCKETS;
}

static gboolean is_listener(const PlSocket *socket)
{
    return socket->kind == PL_SOCKET_TCP && socket->state == PL_TCP_LISTEN;
}

static gboolean is_connection(const PlSocket *socket)
{
    return socket->kind == PL_SOCKET_TCP && socket->state != PL_TCP_LISTEN;
}

/* A connection that lingers does not keep its port from anybody. */
static gboolean is_taken(const PlStack *stack, PlSocketKind kind, const PhAddress *local)
{
    for (const PlSocket *at = stack->buckets[bucket_of(local->port)]; at; at = at->next) {
        if (at->kind != kind || at->local.port != local->port || is_connection(at) ||
            at->local.family != local->family)
            continue;
        if (is_unspecified(&at->local) || is_unspecified(local) ||
            ph_address_equal_host(&at->local, local))
            return TRUE;
    }
    return FALSE;
}

/* A connection needs a port that no other connection of ours has. */
static gboolean is_used(const PlStack *stack, PlSocketKind kind, const PhAddress *local)
{
    if (is_taken(stack, kind, local))
        return TRUE;
    for (guint i = 0; kind == PL_SOCKET_TCP && i < stack->connections->len; i++) {
        const PlSocket *socket = g_ptr_array_index(stack->connections, i);

        if (socket->local.port == local->port)
            return TRUE;
    }
    return FALSE;
}

static gboolean choose_port(PlStack *stack, PlSocketKind kind, PhAddress *local)
{
    unsigned n = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1, at = 0;

    for (unsigned i = 0; i < EPHEMERAL_DRAWS + n; i++) {
        at = i < EPHEMERAL_DRAWS ? (unsigned)(pl_random_next(&stack->random) % n) : (at + 1) % n;
        local->port = (uint16_t)(EPHEMERAL_FIRST + at);
        if (!is_used(stack, kind, local))
            return TRUE;
    }
    return FALSE;
}

gboolean pl_socket_bind(PlStack *stack, PlSocketKind kind, PhAddress *local)
{
    if (!is_unspecified(local) && !pl_stack_is_own(stack, local))
        return FALSE;
    if (local->port == 0)
        return choose_port(stack, kind, local);
    return !is_taken(stack, kind, local);
}

PlSocket *pl_socket_new(PlSocketKind kind, const PhAddress *local, gpointer owner, uint32_t id)
{
    PlSocket *socket = g_new0(PlSocket, 1);

    socket->kind = kind;
    socket->local = *local;
    socket->owner = owner;
    socket->id = id;
    socket->due_ns = UINT64_MAX;
    return socket;
}

void pl_socket_insert(PlStack *stack, PlSocket *socket)
{
    PlSocket **bucket = &stack->buckets[bucket_of(socket->local.port)];

    socket->next = *bucket;
    *bucket = socket;
    if (is_connection(socket))
        g_ptr_array_add(stack->connections, socket);
}

void pl_socket_remove(PlStack *stack, PlSocket *socket)
{
    PlSocket **at = &stack->buckets[bucket_of(socket->local.port)];

    while (*at != socket)
        at = &(*at)->next;
    *at = socket->next;
    g_ptr_array_remove(stack->connections, socket);
    g_free(socket);
}

/* How well it fits; 0: not at all. */
static unsigned fit(const PlSocket *socket, PlSocketKind kind, const PhAddress *local,
                    const PhAddress *remote)
{
    if (socket->kind != kind || socket->local.port != local->port ||
        socket->local.family != local->family)
        return 0;
    if (socket->kind == PL_SOCKET_ECHO && !ph_address_equal_host(&socket->remote, remote))
        return 0;
    if (is_connection(socket))
        return ph_address_equal(&socket->remote, remote) &&
                       ph_address_equal_host(&socket->local, local)
                   ? 3
                   : 0;
    if (ph_address_equal_host(&socket->local, local))
        return 2;
    return is_unspecified(&socket->local) ? 1 : 0;
}

PlSocket *pl_socket_find(const PlStack *stack, PlSocketKind kind, const PhAddress *local,
                         const PhAddress *remote)
{
    PlSocket *best = NULL;
    unsigned best_fit = 0;

    for (PlSocket *at = stack->buckets[bucket_of(local->port)]; at; at = at->next) {
        unsigned fits = fit(at, kind, local, remote);

        if (fits > best_fit) {
            best = at;
            best_fit = fits;
        }
    }
    return best;
}

gboolean pl_stack_has_port(const PlStack *stack, PlProtocol protocol, uint16_t port)
{
    for (const PlSocket *at = stack->buckets[bucket_of(port)]; at; at = at->next) {
        if (at->local.port == port &&
            (protocol == PL_PROTOCOL_UDP ? at->kind == PL_SOCKET_UDP : is_listener(at)))
            return TRUE;
    }
    return FALSE;
}

static PlSocket *open_any(PlStack *stack, PlSocketKind kind, const PhAddress *local, gpointer owner,
                          uint32_t id)
{
    PhAddress bound = *local;
    PlSocket *socket;

    if (!pl_socket_bind(stack, kind, &bound))
        return NULL;
    socket = pl_socket_new(kind, &bound, owner, id);
    pl_socket_insert(stack, socket);
    return socket;
}

PlSocket *pl_stack_open(PlStack *stack, const PhAddress *local, gpointer owner, uint32_t id)
{
    return open_any(stack, PL_SOCKET_UDP, local, owner, id);
}

PlSocket *pl_stack_listen(PlStack *stack, const PhAddress *local, gpointer owner, uint32_t id)
{
    /* A listener's state is 0. */
    return open_any(stack, PL_SOCKET_TCP, local, owner, id);
}

void pl_stack_close(PlStack *stack, PlSocket *socket, uint64_t now)
{
    if (socket->kind == PL_SOCKET_TCP)
        pl_tcp_close(stack, socket, now);
    else
        pl_socket_remove(stack, socket);
}

const PhAddress *pl_socket_local(const PlSocket *socket)
{
    return &socket->local;
}

gpointer pl_socket_owner(const PlSocket *socket)
{
    return socket->owner;
}

uint32_t pl_socket_id(const PlSocket *socket)
{
    return socket->id;
}
