/* SPDX-License-Identifier: MIT */
/* What a node tells: events, which wait in a ring until they are polled. */
#include <string.h>

#include "node_private.h"

const char *ph_path_kind_name(PhPathKind kind)
{
    static const char *const names[] = {
        [PH_PATH_NONE] = "none",
        [PH_PATH_RELAYED] = "relayed",
        [PH_PATH_DIRECT] = "direct",
        [PH_PATH_PUNCHED] = "punched",
    };

    return names[kind];
}

const char *ph_node_event_name(PhNodeEventKind kind)
{
    static const char *const names[] = {
        [PH_NODE_REGISTERED] = "registered",
        [PH_NODE_HUB_LOST] = "hub-lost",
        [PH_NODE_REFUSED] = "refused",
        [PH_NODE_CLASSIFIED] = "classified",
        [PH_NODE_PEER_UP] = "peer-up",
        [PH_NODE_PEER_PATH] = "peer-path",
        [PH_NODE_PEER_HEALTH] = "health",
        [PH_NODE_PEER_GONE] = "peer-gone",
        [PH_NODE_DATA] = "data",
        [PH_NODE_PUNCH] = "punch",
        [PH_NODE_PEER_SAME] = "peer-same",
    };

    return kind < sizeof(names) / sizeof(*names) && names[kind] ? names[kind] : "unknown";
}

bool ph_node_name_is_valid(const char *name)
{
    return ph_name_is_valid(name);
}

PhNodeEvent *ph_node_event(PhNode *node, PhNodeEventKind kind, const PhPeer *peer)
{
    PhNodeEvent *event;

    if (node->events_n == PH_NODE_EVENTS)
        return NULL;
    event = &node->events[(node->events_first + node->events_n++) % PH_NODE_EVENTS];
    memset(event, 0, sizeof(*event));
    event->kind = kind;
    if (!peer)
        return event;
    event->peer = peer->number;
    memcpy(event->key, peer->key, sizeof(event->key));
    memcpy(event->name, peer->name, sizeof(event->name));
    event->nat_class = (PhClass)peer->record.nat_class;
    if (peer->used) {
        event->path = peer->used->kind;
        event->health = ph_health_name(peer->used->detector.health);
        if (peer->used->route.via)
            ph_node_via_key(node, peer->used->route.via, event->via);
        else
            event->address = peer->used->route.path.remote;
    }
    return event;
}

void ph_node_tell_attempt(PhNode *node, const PhPeer *peer, PhOutcome outcome, unsigned attempt,
                          const char *reason)
{
    static const char *const names[] = {
        [PH_OUTCOME_OPEN] = "open",
        [PH_OUTCOME_FAILED] = "failed",
        [PH_OUTCOME_TIMED_OUT] = "timed-out",
        [PH_OUTCOME_REJECTED] = "rejected",
    };
    PhNodeCounters *counters = &node->counters;
    uint64_t *const counted[] = {
        [PH_OUTCOME_OPEN] = &counters->punches_succeeded,
        [PH_OUTCOME_FAILED] = &counters->punches_failed,
        [PH_OUTCOME_TIMED_OUT] = &counters->punches_timed_out,
        [PH_OUTCOME_REJECTED] = &counters->punches_rejected,
    };
    PhNodeEvent *event = ph_node_event(node, PH_NODE_PUNCH, peer);

    (*counted[outcome])++;
    if (!event)
        return;
    event->attempt = attempt;
    event->strategy = ph_strategy_name(peer->strategy);
    event->outcome = names[outcome];
    event->reason = reason;
    event->took_ns = node->now - peer->attempt_ns;
    ph_node_via_key(node, peer->mediator, event->mediator);
}

void ph_node_say_reason(PhNodeEvent *event, PhReason reason)
{
    event->reason = ph_reason_name(reason);
    event->sentence = ph_reason_sentence(reason);
}

bool ph_node_do_poll_event(PhNode *node, PhNodeEvent *ret_event)
{
    if (node->events_n == 0)
        return false;
    *ret_event = node->events[node->events_first];
    if (!ret_event->sentence)
        ret_event->sentence = ph_node_sentence(ret_event->reason);
    if (ret_event->kind == PH_NODE_DATA) {
        memcpy(node->event_bytes.bytes, node->event_data[node->events_first].bytes,
               ret_event->length);
        ret_event->bytes = node->event_bytes.bytes;
    }
    node->events_first = (node->events_first + 1) % PH_NODE_EVENTS;
    node->events_n--;
    return true;
}
