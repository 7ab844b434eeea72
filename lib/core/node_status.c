/* SPDX-License-Identifier: MIT */
/* What a node knows: itself and its hub, the table of peers, and how often what has happened. */
#include <stddef.h>
#include <string.h>

#include "node_private.h"

const PhNodeCounters *ph_node_counters(const PhNode *node)
{
    return &node->counters;
}

const char *ph_node_counter(const PhNodeCounters *counters, uint32_t index, uint64_t *ret_value)
{
#define COUNTER(name, member)                                                                      \
    {                                                                                              \
        name, offsetof(PhNodeCounters, member)                                                     \
    }
    static const struct {
        const char *name;
        size_t at;
    } all[] = {
        COUNTER("punches-attempted", punches_attempted),
        COUNTER("punches-succeeded", punches_succeeded),
        COUNTER("punches-failed", punches_failed),
        COUNTER("punches-timed-out", punches_timed_out),
        COUNTER("punches-rejected", punches_rejected),
        COUNTER("relay-fallbacks", relay_fallbacks),
        COUNTER("upgrades", upgrades),
        COUNTER("downgrades", downgrades),
        COUNTER("sessions-opened", sessions_opened),
        COUNTER("sessions-accepted", sessions_accepted),
        COUNTER("sessions-failed", sessions_failed),
        COUNTER("messages-sent", messages_sent),
        COUNTER("messages-received", messages_received),
        COUNTER("messages-dropped", messages_dropped),
        COUNTER("datagrams-dropped", datagrams_dropped),
        COUNTER("reflex-asked", reflex_asked),
        COUNTER("reflex-answered", reflex_answered),
        COUNTER("classified", classified),
        COUNTER("foreign", foreign),
        COUNTER("introductions", introductions),
        COUNTER("introductions-refused", introductions_refused),
        COUNTER("relayed", relayed),
        COUNTER("relayed-bytes", relayed_bytes),
        COUNTER("relay-dropped", relay_dropped),
        COUNTER("introductions-ignored", introductions_ignored),
    };
#undef COUNTER

    _Static_assert(sizeof(all) / sizeof(*all) == sizeof(PhNodeCounters) / sizeof(uint64_t),
                   "a counter has no name");
    if (index >= sizeof(all) / sizeof(*all))
        return NULL;
    memcpy(ret_value, (const char *)counters + all[index].at, sizeof(*ret_value));
    return all[index].name;
}

void ph_node_self(const PhNode *node, PhNodeSelf *ret_self)
{
    static const char *const states[] = {
        [PH_HUB_WAITING] = "waiting",
        [PH_HUB_ASKING] = "asking",
        [PH_HUB_UP] = "registered",
        [PH_HUB_REFUSED] = "refused",
    };
    const PhHubLink *hub = &node->hub;
    bool up = hub->state == PH_HUB_UP;

    *ret_self = (PhNodeSelf){
        .nat_class = node->classification.nat_class,
        .external = node->classification.mapped,
        .hub = node->config.hub,
        .hub_state = states[hub->state],
        .hub_reason = node->data.state == PH_SOCKET_FAILED ? "no-socket" : hub->reason,
    };
    memcpy(ret_self->key, node->public_key, sizeof(ret_self->key));
    memcpy(ret_self->hub_key, node->config.hub_key, sizeof(ret_self->hub_key));
    memcpy(ret_self->name, node->config.name, sizeof(ret_self->name));
    if (!up)
        return;
    ret_self->seen = hub->seen;
    ret_self->hub_health = ph_health_name(hub->detector.health);
    ret_self->hub_rtt_ns = hub->detector.rtt.smooth_ns;
}

bool ph_node_peer(const PhNode *node, uint32_t index, PhNodePeer *ret_peer)
{
    static const char *const states[] = {
        [PH_PEER_FREE] = "",
        [PH_PEER_LOOKING] = "looking",
        [PH_PEER_MEETING] = "meeting",
        [PH_PEER_TALKING] = "talking",
    };

    for (unsigned i = 0; i < node->n_peers; i++) {
        const PhPeer *peer = &node->peers[i];

        if (peer->state == PH_PEER_FREE || index-- > 0)
            continue;
        *ret_peer = (PhNodePeer){
            .peer = peer->number,
            .nat_class = (PhClass)peer->record.nat_class,
            .path = peer->used ? peer->used->kind : PH_PATH_NONE,
            .health = peer->used ? ph_health_name(peer->used->detector.health) : NULL,
            /* Then the peer is to blame for nothing. */
            .reason = !peer->used && node->record.nat_class == PH_CLASS_UDP_BLOCKED
                          ? ph_class_name(PH_CLASS_UDP_BLOCKED)
                          : peer->reason,
            .rtt_ns = peer->used ? peer->used->detector.rtt.smooth_ns : 0,
            .state = states[peer->state],
        };
        ret_peer->sentence = ph_node_sentence(ret_peer->reason);
        memcpy(ret_peer->key, peer->key, sizeof(peer->key));
        memcpy(ret_peer->name, peer->name, sizeof(peer->name));
        if (peer->used && peer->used->route.via)
            ph_node_via_key(node, peer->used->route.via, ret_peer->via);
        else if (peer->used)
            ret_peer->address = peer->used->route.path.remote;
        return true;
    }
    return false;
}

const uint8_t *ph_node_public_key(const PhNode *node)
{
    return node->public_key;
}
