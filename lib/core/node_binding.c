/* SPDX-License-Identifier: MIT */
/*
 * How long our NAT keeps a mapping, and so how often something has to be said. 30 s idle are
 * assumed (detector.c); then it is measured, once for each network, beside all else:
 *
 *     NEVER --class is known--> DUE --its time, nobody punches--> MEASURING --result--> NEVER
 *
 * A mapping that the hub sees lost all the same was kept for a shorter time than was thought,
 * unless such losses are all of one age: then it is age that ends them, however much is said.
 */
#include "bucket.h"
#include "node_private.h"

/* What begins at once has its results before a path is idle for the first time (45 s, detector.c);
 * but nobody who has only just begun to look for peers is to have his NAT give out more ports. */
#define MEASURE_AFTER_NS (20 * PH_SECOND)
#define MEASURE_AGAIN_NS (5 * PH_SECOND)
/* Idle, 25 s are the longest that nothing is said: more than twice that is of no use. */
#define MEASURE_MOST_NS (60 * PH_SECOND)
/* A short life of an idle mapping, as it is met with (RFC 4787 REQ-5 asks for 120 s); and no
 * shorter one is kept up with. One that was lost again so soon is shorter than was thought. */
#define SHORT_BINDING_NS    (10 * PH_SECOND)
#define SHORTEST_BINDING_NS PH_SECOND
#define REMAPPED_AGAIN_NS   (600 * PH_SECOND)
/* A mapping whose life was so many times the longest silence was not idle, and ages that differ by
 * no more than such a part are alike: so many of them after the first one are no chance. */
#define KEPT_INTERVALS 3
#define ALIKE_PART     8
#define ALIKE_AGES     2

/* So much of its life a mapping that ends of age is used. */
#define RENEW_PART    4
#define RENEW_DIVISOR 5

static void use_binding(PhNode *node, uint64_t binding_ns)
{
    node->config.binding_ns = binding_ns;
    ph_detector_set_binding(&node->hub.detector, binding_ns, node->now);
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_TALKING)
            continue;
        ph_detector_set_binding(&peer->relayed.detector, binding_ns, node->now);
        ph_detector_set_binding(&peer->direct.detector, binding_ns, node->now);
        ph_detector_set_binding(&peer->fresh.detector, binding_ns, node->now);
    }
}

/* ---- what was lost ---- */

/* Whether it died of age. */
static bool has_aged(PhNode *node)
{
    PhBinding *binding = &node->binding;
    uint64_t kept_ns = node->config.binding_ns ? node->config.binding_ns : PH_BINDING_ASSUMED_NS;
    uint64_t age = node->now - binding->since_ns, last = binding->last_age_ns;
    uint64_t differ = age > last ? age - last : last - age;

    binding->since_ns = node->now;
    binding->last_age_ns = age;
    if (differ > age / ALIKE_PART)
        binding->alike = 0;
    else if (binding->alike < ALIKE_AGES && age >= KEPT_INTERVALS * (kept_ns / 2))
        binding->alike++;
    if (binding->alike < ALIKE_AGES)
        return false;
    binding->age_ns = binding->age_ns == 0 || age < binding->age_ns ? age : binding->age_ns;
    return true;
}

void ph_node_binding_lost(PhNode *node)
{
    uint64_t binding_ns = node->config.binding_ns, before_ns = node->hub.remapped_ns;

    node->hub.remapped_ns = node->now;
    if (has_aged(node)) {
        use_binding(node, node->binding.known_ns); /* to say more does not help */
        return;
    }
    if (binding_ns == 0)
        binding_ns = SHORT_BINDING_NS;
    else if (before_ns != 0 && node->now - before_ns < REMAPPED_AGAIN_NS &&
             binding_ns >= 2 * SHORTEST_BINDING_NS)
        binding_ns /= 2;
    else
        return;
    use_binding(node, binding_ns);
}

void ph_node_binding_moved(PhNode *node)
{
    PhBinding *binding = &node->binding;

    binding->since_ns = node->now;
    binding->alike = 0;
    binding->age_ns = 0;
    if (!binding->given) {
        binding->measure_ns = PH_NEVER;
        binding->elsewhere = binding->measuring != NULL;
        binding->known_ns = 0;
    }
    use_binding(node, binding->known_ns);
}

/* Since when the direct way has its mapping: the hub's, if it is the same for all. */
static uint64_t mapped_since(const PhNode *node, const PhPeer *peer)
{
    bool same = node->record.mapping <= PH_MAPPING_ENDPOINT_INDEPENDENT &&
                peer->direct.route.path.socket == node->data.socket;

    return same ? node->binding.since_ns : peer->mapped_ns;
}

uint64_t ph_node_binding_renew_ns(const PhNode *node, const PhPeer *peer)
{
    uint64_t since = mapped_since(node, peer);

    if (node->binding.age_ns == 0 || peer->used != &peer->direct || peer->renewing ||
        since == peer->renewed_ns)
        return PH_NEVER;
    return since + node->binding.age_ns / RENEW_DIVISOR * RENEW_PART;
}

bool ph_node_binding_renew(PhNode *node, PhPeer *peer)
{
    if (node->now < ph_node_binding_renew_ns(node, peer))
        return false;
    peer->renewed_ns = mapped_since(node, peer);
    /* Only the hub hears of fresh sockets; and the other one may be at it, too. */
    return node->hub.state == PH_HUB_UP && !peer->punch && !peer->proving &&
           peer->prepared.state == PH_PREPARED_NONE && peer->introduce.request == 0;
}

/* ---- what is measured ---- */

/* Who is not translated, and not filtered, has nothing that would be forgotten. */
static bool has_binding(PhClass nat_class)
{
    return nat_class != PH_CLASS_UNKNOWN && nat_class != PH_CLASS_DIRECT &&
           nat_class != PH_CLASS_UDP_BLOCKED;
}

void ph_node_binding_classified(PhNode *node)
{
    PhBinding *binding = &node->binding;

    if (!binding->given && !binding->measuring && binding->known_ns == 0 &&
        binding->measure_ns == PH_NEVER && has_binding(node->classification.nat_class))
        binding->measure_ns = node->now + MEASURE_AFTER_NS;
}

/* Ports that a NAT gives out in between are not what a punch counts on. */
static bool is_punching(const PhNode *node)
{
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].punch || node->peers[i].prepared.state != PH_PREPARED_NONE)
            return true;
    return false;
}

static void begin(PhNode *node)
{
    PhLifetimeConfig config = {.server = node->config.hub, .most_ns = MEASURE_MOST_NS};

    node->binding.measure_ns = node->now + MEASURE_AGAIN_NS;
    if (node->hub.state != PH_HUB_UP || node->classifier || node->closing || is_punching(node))
        return;
    ph_node_seed(node, config.seed);
    config.first_socket = ph_node_socket_numbers(node, PH_LIFETIME_SOCKETS);
    node->binding.measuring = ph_lifetime_new(&config, node->now);
    node->binding.measure_ns = PH_NEVER;
}

/* The least that it can be. A longer life than is assumed has to have been seen. */
static void measured(PhNode *node, const PhLifetimeResult *result)
{
    PhBinding *binding = &node->binding;
    uint64_t alive_ns = result->alive_ns;

    if (binding->elsewhere) {
        binding->elsewhere = false;
        ph_node_binding_classified(node);
        return;
    }
    if (result->gone_ns == 0 && alive_ns <= PH_BINDING_ASSUMED_NS)
        return;
    binding->known_ns = alive_ns != 0 ? alive_ns : result->gone_ns / 2;
    use_binding(node, binding->known_ns);
}

bool ph_node_binding_poll_socket(PhNode *node, PhSocketRequest *ret_request)
{
    PhBinding *binding = &node->binding;
    PhLifetimeResult result;

    if (!binding->measuring)
        return false;
    if (ph_lifetime_poll_socket(binding->measuring, ret_request))
        return true;
    if (ph_lifetime_poll_event(binding->measuring, &result)) {
        binding->measuring = ph_lifetime_free(binding->measuring);
        measured(node, &result);
    }
    return false;
}

void ph_node_binding_timeout(PhNode *node)
{
    PhBinding *binding = &node->binding;

    if (node->now >= binding->measure_ns)
        begin(node);
    if (binding->measuring && ph_lifetime_next_timeout(binding->measuring) <= node->now)
        ph_lifetime_handle_timeout(binding->measuring, node->now);
}

uint64_t ph_node_binding_next(const PhNode *node)
{
    const PhBinding *binding = &node->binding;

    return binding->measuring ? ph_lifetime_next_timeout(binding->measuring) : binding->measure_ns;
}
