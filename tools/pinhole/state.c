/* SPDX-License-Identifier: MIT */
/* What a node or a hub knows: see state.h. */
#include "state.h"

#include <pinhole/key.h>
#include <string.h>

#include "metrics.h"
#include "show.h"

void state_show_key(JsonBuilder *builder, const char *name, const uint8_t *key)
{
    static const uint8_t none[PH_KEY_BYTES];
    char text[PH_KEY_TEXT_MAX];

    show_string(builder, name,
                !key || memcmp(key, none, sizeof(none)) == 0 ? NULL
                                                             : ph_key_format_public(key, text));
}

void state_show_peer(JsonBuilder *builder, const char *name, const uint8_t *key)
{
    show_string(builder, "peer", *name ? name : NULL);
    state_show_key(builder, "key", key);
}

void state_show_path(JsonBuilder *builder, PhPathKind path, const uint8_t *via,
                     const PhAddress *address, const char *health)
{
    show_string(builder, "path", ph_path_kind_name(path));
    state_show_key(builder, "via", via);
    show_address(builder, "address", address);
    show_string(builder, "health", health);
}

static void show_hub(JsonBuilder *builder, const PhNodeSelf *self)
{
    json_builder_set_member_name(builder, "hub");
    json_builder_begin_object(builder);
    state_show_key(builder, "key", self->hub_key);
    show_address(builder, "address", &self->hub);
    show_string(builder, "state", self->hub_state);
    show_string(builder, "reason", self->hub_reason);
    show_string(builder, "sentence", ph_node_sentence(self->hub_reason));
    show_address(builder, "seen", &self->seen);
    show_address(builder, "beside", &self->beside);
    show_string(builder, "health", self->hub_health);
    show_seconds(builder, "rtt_s", self->hub_rtt_ns);
    json_builder_end_object(builder);
}

static void show_counters(JsonBuilder *builder, const PhNodeCounters *counters)
{
    const char *name;
    uint64_t value;

    json_builder_set_member_name(builder, "counters");
    json_builder_begin_object(builder);
    for (uint32_t i = 0; (name = ph_node_counter(counters, i, &value)); i++)
        show_int(builder, name, (gint64)value);
    json_builder_end_object(builder);
}

static void show_peers(JsonBuilder *builder, const PhNode *node)
{
    PhNodePeer peer;

    json_builder_set_member_name(builder, "peers");
    json_builder_begin_array(builder);
    for (uint32_t i = 0; ph_node_peer(node, i, &peer); i++) {
        json_builder_begin_object(builder);
        state_show_peer(builder, peer.name, peer.key);
        show_string(builder, "class", ph_class_name(peer.nat_class));
        state_show_path(builder, peer.path, peer.via, &peer.address, peer.health);
        show_string(builder, "state", peer.state);
        show_string(builder, "reason", peer.reason);
        show_string(builder, "sentence", peer.sentence);
        show_seconds(builder, "rtt_s", peer.rtt_ns);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

void state_show_node(JsonBuilder *builder, const PhNode *node)
{
    PhNodeSelf self;

    ph_node_self(node, &self);
    show_string(builder, "name", *self.name ? self.name : NULL);
    state_show_key(builder, "key", self.key);
    show_string(builder, "class", ph_class_name(self.nat_class));
    show_address(builder, "external", &self.external);
    show_seconds(builder, "binding_s", self.binding_ns);
    show_hub(builder, &self);
    show_counters(builder, ph_node_counters(node));
    show_peers(builder, node);
}

/* ---- a hub ---- */

static void show_registered(JsonBuilder *builder, const PhHub *hub)
{
    PhStationNode node;

    json_builder_set_member_name(builder, "nodes");
    json_builder_begin_array(builder);
    for (uint32_t at = 0; ph_hub_station_node(hub, &at, &node);) {
        json_builder_begin_object(builder);
        state_show_peer(builder, node.name, node.key);
        show_string(builder, "class", ph_class_name((PhClass)node.nat_class));
        show_address(builder, "address", &node.seen);
        show_address(builder, "beside", &node.beside);
        show_int(builder, "relayed-bytes", (gint64)node.relayed_bytes);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
}

void state_show_hub(JsonBuilder *builder, const PhHub *hub, const PhKey *key)
{
    PhAddress addresses[PH_HUB_ADDRESSES];
    size_t n = ph_hub_addresses(hub, addresses);
    char text[PH_ADDRESS_TEXT_MAX];

    state_show_key(builder, "key", key ? key->public_half : NULL);
    json_builder_set_member_name(builder, "addresses");
    json_builder_begin_array(builder);
    for (size_t i = 0; i < n; i++)
        json_builder_add_string_value(builder, ph_address_format(&addresses[i], text));
    json_builder_end_array(builder);
    metrics_add(builder, hub);
    show_registered(builder, hub);
}
