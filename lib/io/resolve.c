/* SPDX-License-Identifier: MIT */
#include "resolve.h"

#include <pinhole/hub.h>
#include <string.h>

#include "sockaddr.h"

typedef struct Lookup {
    PhFamily family;
    uint16_t port;
    PhAddress found[PH_RESOLVE_MOST];
    size_t n;
} Lookup;

static gboolean is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* As the URIs of RFC 7064 and 7065 begin; "stun:3478" is a host of that name. */
static gboolean has_scheme(const char *server)
{
    static const char *const schemes[] = {"stun:", "stuns:", "turn:", "turns:"};

    for (size_t i = 0; i < G_N_ELEMENTS(schemes); i++) {
        size_t length = strlen(schemes[i]);

        if (g_ascii_strncasecmp(server, schemes[i], length) == 0 && !is_number(server + length))
            return TRUE;
    }
    return FALSE;
}

static void refuse_server(const char *server, GError **error)
{
    const char *colon = strrchr(server, ':');
    const char *hint = "";

    if (has_scheme(server))
        hint = ": without a scheme";
    else if (colon && is_number(colon + 1))
        hint = ": with a port from 1 to 65535";
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "expected a server as HOST or HOST:PORT%s, not \"%s\"", hint, server);
}

char *ph_resolve_parse(const char *server, uint16_t *ret_port, GError **error)
{
    g_autoptr(GSocketConnectable) parsed = g_network_address_parse(server, PH_HUB_PORT, NULL);
    GNetworkAddress *address = (GNetworkAddress *)parsed;
    PhAddress literal;

    if (!parsed || has_scheme(server) || !*g_network_address_get_hostname(address) ||
        g_network_address_get_port(address) == 0) {
        refuse_server(server, error);
        return NULL;
    }
    if (ph_address_parse(g_network_address_get_hostname(address), &literal) &&
        !ph_address_is_unicast(&literal)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "expected a server, not the address of everybody, nobody or a group");
        return NULL;
    }
    *ret_port = g_network_address_get_port(address);
    return g_strdup(g_network_address_get_hostname(address));
}

static gboolean use_address(GInetAddress *found, uint16_t port, PhAddress *ret_address)
{
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new(found, port);
    struct sockaddr_storage native;
    gssize size = g_socket_address_get_native_size(address);

    return size > 0 && (size_t)size <= sizeof(native) &&
           g_socket_address_to_native(address, &native, sizeof(native), NULL) &&
           ph_sockaddr_to_address((const struct sockaddr *)&native, (socklen_t)size, ret_address);
}

/* The next one of that family. */
static gboolean take_next(GList **list, PhFamily family, uint16_t port, PhAddress *ret_address)
{
    while (*list) {
        GInetAddress *found = (*list)->data;

        *list = (*list)->next;
        if (use_address(found, port, ret_address) && ret_address->family == (uint8_t)family &&
            ph_address_is_unicast(ret_address))
            return TRUE;
    }
    return FALSE;
}

static void sort_addresses(Lookup *lookup, GList *found)
{
    static const PhFamily families[] = {PH_FAMILY_IPV4, PH_FAMILY_IPV6};
    GList *rest[G_N_ELEMENTS(families)] = {found, found};
    gboolean more = TRUE;

    while (more) {
        more = FALSE;
        for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
            if ((lookup->family != PH_FAMILY_NONE && lookup->family != families[i]) ||
                lookup->n == PH_RESOLVE_MOST ||
                !take_next(&rest[i], families[i], lookup->port, &lookup->found[lookup->n]))
                continue;
            lookup->n++;
            more = TRUE;
        }
    }
}

static void take_addresses(GObject *resolver, GAsyncResult *result, gpointer data)
{
    g_autoptr(GTask) task = data;
    Lookup *lookup = g_task_get_task_data(task);
    GError *error = NULL;
    GList *found = g_resolver_lookup_by_name_finish(G_RESOLVER(resolver), result, &error);

    sort_addresses(lookup, found);
    g_resolver_free_addresses(found);
    if (!error && lookup->n == 0)
        error = g_error_new(G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND,
                            "it has no address%s that a server could have",
                            lookup->family != PH_FAMILY_NONE ? " of the socket's family" : "");
    if (error) {
        g_prefix_error(&error, "cannot find the server: ");
        g_task_return_error(task, error);
        return;
    }
    g_task_return_boolean(task, TRUE);
}

void ph_resolve_server_async(const char *server, PhFamily family, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    Lookup *lookup = g_new0(Lookup, 1);
    g_autofree char *host = NULL;
    GError *error = NULL;

    lookup->family = family;
    g_task_set_source_tag(task, ph_resolve_server_async);
    g_task_set_task_data(task, lookup, g_free);
    host = ph_resolve_parse(server, &lookup->port, &error);
    if (host)
        g_resolver_lookup_by_name_async(resolver, host, cancellable, take_addresses,
                                        g_steal_pointer(&task));
    else
        g_task_return_error(task, error);
}

size_t ph_resolve_server_finish_all(GAsyncResult *result,
                                    PhAddress ret_addresses[static PH_RESOLVE_MOST], GError **error)
{
    const Lookup *lookup = g_task_get_task_data(G_TASK(result));

    if (!g_task_propagate_boolean(G_TASK(result), error))
        return 0;
    memcpy(ret_addresses, lookup->found, lookup->n * sizeof(*ret_addresses));
    return lookup->n;
}

gboolean ph_resolve_server_finish(GAsyncResult *result, PhAddress *ret_address, GError **error)
{
    PhAddress found[PH_RESOLVE_MOST];

    if (ph_resolve_server_finish_all(result, found, error) == 0)
        return FALSE;
    *ret_address = found[0];
    return TRUE;
}
