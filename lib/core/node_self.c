/* SPDX-License-Identifier: MIT */
/*
 * What a node knows of itself, and tells its hub and its peers: where it is (its record), what is
 * between it and the others (its class), and that one of these has changed.
 */
#include <string.h>

#include "bucket.h"
#include "node_private.h"

/* Candidates that are for one peer each. */
#define FRESH_MOST 8

static void add_candidate(PhNodeRecord *record, PhCandidateKind kind, const PhAddress *address)
{
    if (record->n_candidates < PH_CANDIDATES_MAX && address->family != PH_FAMILY_NONE)
        record->candidates[record->n_candidates++] = (PhCandidate){(uint8_t)kind, *address};
}

/* The hub's family comes first (PhNodeConfig), and the other one once we are seen there. */
static void add_locals(PhNode *node, PhNodeRecord *record)
{
    for (uint32_t i = 0; i < node->config.n_locals; i++) {
        PhAddress local = node->config.locals[i];
        bool beside = local.family != node->config.hub.family;

        local.port = beside ? node->other.local.port : node->data.local.port;
        if (local.port == 0 || (beside && (node->beside.seen.family == PH_FAMILY_NONE ||
                                           ph_address_equal(&local, &node->beside.seen))))
            continue;
        add_candidate(record, PH_CANDIDATE_LOCAL, &local);
    }
}

void ph_node_update_record(PhNode *node)
{
    PhNodeRecord *record = &node->record;

    record->sequence++;
    record->nat_class = (uint8_t)(node->classification.nat_class != PH_CLASS_UNKNOWN
                                      ? node->classification.nat_class
                                      : node->assumed);
    record->mapping = (uint8_t)node->classification.mapping;
    record->filtering = (uint8_t)node->classification.filtering;
    record->pooling = (uint8_t)node->classification.pooling;
    record->port_allocation = (uint8_t)node->classification.port_allocation;
    record->step = node->classification.step;
    record->block_first = node->classification.block_first;
    record->block_last = node->classification.block_last;
    record->hidden = node->config.relay_only;
    record->beside_open = node->beside.open;
    record->n_candidates = 0;
    /* Who mediates believes only its own eyes; but peers see by it whether they are behind one NAT,
     * and whether who else introduces us lies. The first one is of the family that the class is
     * about. */
    if (!record->hidden && node->hub.seen.family != PH_FAMILY_NONE) {
        add_candidate(record, PH_CANDIDATE_REFLEXIVE, &node->hub.seen);
        add_candidate(record, PH_CANDIDATE_REFLEXIVE, &node->beside.seen);
    }
    for (unsigned i = 0; i < node->peers_n && record->n_candidates < FRESH_MOST; i++)
        if (node->peers[i].prepared.state == PH_PREPARED_KNOWN)
            add_candidate(record, PH_CANDIDATE_REFLEXIVE, &node->peers[i].prepared.mapped);
    if (!record->hidden)
        add_locals(node, record);
}

void ph_node_start_classifier(PhNode *node, const PhAddress *server, const PhDataSocket *data)
{
    PhClassifierConfig config = {
        .server = *server,
        .has_socket = true,
        .socket = data->socket,
        .socket_local = data->local,
    };

    ph_node_seed(node, config.seed);
    for (uint32_t i = 0; i < node->config.n_locals && i < PH_CLASSIFIER_LOCALS; i++)
        if (node->config.locals[i].family == server->family)
            config.locals[config.n_locals++] = node->config.locals[i];
    config.first_socket = ph_node_socket_numbers(node, PH_CLASSIFIER_SOCKETS);
    node->classifier = ph_classifier_new(&config, node->now);
}

void ph_node_classify(PhNode *node)
{
    if (node->classifier || node->data.state != PH_SOCKET_THERE) {
        if (node->beside.classifying)
            node->classify_ns = node->now; /* that one first */
        return;
    }
    ph_node_start_classifier(node, &node->config.hub, &node->data);
    node->classify_ns = node->now + PH_NODE_RECLASSIFY_NS;
}

void ph_node_tell_hub_record(PhNode *node)
{
    PhMessage update = {.kind = PH_MESSAGE_UPDATE};

    ph_node_update_record(node);
    update.record = node->record;
    (void)ph_node_tell_hub(node, &update);
}

/* Everybody is told what we know of ourselves now. */
void ph_node_tell_record(PhNode *node)
{
    PhMessage update = {.kind = PH_MESSAGE_UPDATE};

    ph_node_tell_hub_record(node);
    update.record = node->record;
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_TALKING)
            continue;
        (void)ph_node_tell(node, peer->session, &peer->used->route, &update);
        ph_node_path_classes(node, peer);
    }
}

/* The peers hear of it by the hub's relay: the session with the hub goes with us, and if it does
 * not, it is made anew. */
void ph_node_tell_moved(PhNode *node, bool beside)
{
    PhMessage moved = {.kind = PH_MESSAGE_MOVED};

    if (!beside)
        ph_node_binding_moved(node);
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_TALKING ||
            (beside && !(peer->direct.there && ph_node_is_beside(node, &peer->direct.route.path))))
            continue;
        ph_node_path_moved(node, peer);
        (void)ph_node_tell(node, peer->session, &peer->used->route, &moved);
    }
    ph_node_tell_record(node);
}

/* A mapping that is the same for all is enough to begin with: nobody is worse off who takes the
 * filtering for the narrowest. */
void ph_node_classify_progress(PhNode *node)
{
    PhMapping mapping = ph_classifier_mapping(node->classifier);

    if (node->beside.classifying || node->assumed != PH_CLASS_UNKNOWN ||
        node->classification.nat_class != PH_CLASS_UNKNOWN ||
        (mapping != PH_MAPPING_NONE && mapping != PH_MAPPING_ENDPOINT_INDEPENDENT))
        return;
    node->assumed = PH_CLASS_PORT_RESTRICTED;
    ph_node_tell_record(node);
}

void ph_node_classified(PhNode *node, const PhClassification *classification)
{
    bool changed = classification->nat_class != node->classification.nat_class;
    PhNodeEvent *event;

    node->counters.classified++;
    if (node->beside.classifying) {
        ph_node_family_classified(node, classification);
        return;
    }
    if (node->elsewhere) {
        node->elsewhere = false;
        ph_node_classify(node);
        return;
    }
    /* What is unknown this time says nothing against what was known. */
    if (classification->nat_class == PH_CLASS_UNKNOWN &&
        node->classification.nat_class != PH_CLASS_UNKNOWN)
        return;
    node->classification = *classification;
    node->assumed = PH_CLASS_PORT_RESTRICTED;
    ph_node_binding_classified(node);
    ph_node_tell_record(node);
    if (!changed)
        return;
    event = ph_node_event(node, PH_NODE_CLASSIFIED, NULL);
    if (event) {
        event->nat_class = classification->nat_class;
        event->address = classification->mapped;
    }
}

/* A class is about the family that we are registered by. */
bool ph_node_forget_class(PhNode *node)
{
    if (node->classification.nat_class == PH_CLASS_UNKNOWN ||
        node->classification.mapped.family == node->hub.seen.family)
        return false;
    node->classification = (PhClassification){0};
    node->assumed = PH_CLASS_UNKNOWN;
    return true;
}

/* N4: a changed reflexive address is a reason to classify again. Another port at the same host is a
 * mapping that was not kept: from now on pings come as often as the worst NATs need. */
void ph_node_seen_elsewhere(PhNode *node, const PhAddress *seen)
{
    bool same = ph_address_equal_host(seen, &node->hub.seen);
    bool known = node->hub.seen.family != PH_FAMILY_NONE;

    node->hub.seen = *seen;
    if (!known)
        return; /* we have moved, and all know that */
    ph_node_classify(node);
    if (same)
        ph_node_binding_lost(node);
    else
        ph_node_tell_moved(node, /* beside= */ false);
}
