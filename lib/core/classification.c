/* SPDX-License-Identifier: MIT */
/* Classes and axes, and their words. */
#include <pinhole/classification.h>

const char *ph_class_name(PhClass nat_class)
{
    switch (nat_class) {
    case PH_CLASS_DIRECT:
        return "direct";
    case PH_CLASS_FIREWALL:
        return "firewall";
    case PH_CLASS_FULL_CONE:
        return "full-cone";
    case PH_CLASS_RESTRICTED:
        return "restricted";
    case PH_CLASS_PORT_RESTRICTED:
        return "port-restricted";
    case PH_CLASS_SYMMETRIC:
        return "symmetric";
    case PH_CLASS_UDP_BLOCKED:
        return "udp-blocked";
    case PH_CLASS_UNKNOWN:
    case PH_CLASS_N:
        break;
    }
    return "unknown";
}

const char *ph_mapping_name(PhMapping mapping)
{
    switch (mapping) {
    case PH_MAPPING_NONE:
        return "none";
    case PH_MAPPING_ENDPOINT_INDEPENDENT:
        return "endpoint-independent";
    case PH_MAPPING_ADDRESS_DEPENDENT:
        return "address-dependent";
    case PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT:
        return "address-and-port-dependent";
    case PH_MAPPING_UNKNOWN:
        break;
    }
    return "unknown";
}

const char *ph_filtering_name(PhFiltering filtering)
{
    switch (filtering) {
    case PH_FILTERING_ENDPOINT_INDEPENDENT:
        return "endpoint-independent";
    case PH_FILTERING_ADDRESS_DEPENDENT:
        return "address-dependent";
    case PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT:
        return "address-and-port-dependent";
    case PH_FILTERING_UNKNOWN:
        break;
    }
    return "unknown";
}

const char *ph_port_allocation_name(PhPortAllocation allocation)
{
    switch (allocation) {
    case PH_PORT_ALLOCATION_PRESERVE:
        return "preserve";
    case PH_PORT_ALLOCATION_SEQUENTIAL:
        return "sequential";
    case PH_PORT_ALLOCATION_RANDOM:
        return "random";
    case PH_PORT_ALLOCATION_BLOCK:
        return "block";
    case PH_PORT_ALLOCATION_UNKNOWN:
        break;
    }
    return "unknown";
}

const char *ph_pooling_name(PhPooling pooling)
{
    switch (pooling) {
    case PH_POOLING_PAIRED:
        return "paired";
    case PH_POOLING_ARBITRARY:
        return "arbitrary";
    case PH_POOLING_UNKNOWN:
        break;
    }
    return "unknown";
}

const char *ph_hairpin_name(PhHairpin hairpin)
{
    switch (hairpin) {
    case PH_HAIRPIN_NONE:
        return "none";
    case PH_HAIRPIN_INTERNAL_SOURCE:
        return "internal-source";
    case PH_HAIRPIN_EXTERNAL_SOURCE:
        return "external-source";
    case PH_HAIRPIN_UNKNOWN:
        break;
    }
    return "unknown";
}

static PhClass cone_of(PhFiltering filtering)
{
    switch (filtering) {
    case PH_FILTERING_ENDPOINT_INDEPENDENT:
        return PH_CLASS_FULL_CONE;
    case PH_FILTERING_ADDRESS_DEPENDENT:
        return PH_CLASS_RESTRICTED;
    case PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT:
        return PH_CLASS_PORT_RESTRICTED;
    case PH_FILTERING_UNKNOWN:
        break;
    }
    return PH_CLASS_UNKNOWN;
}

PhClass ph_class_of(PhMapping mapping, PhFiltering filtering)
{
    switch (mapping) {
    case PH_MAPPING_NONE:
        if (filtering == PH_FILTERING_UNKNOWN)
            return PH_CLASS_UNKNOWN;
        return filtering == PH_FILTERING_ENDPOINT_INDEPENDENT ? PH_CLASS_DIRECT : PH_CLASS_FIREWALL;
    case PH_MAPPING_ENDPOINT_INDEPENDENT:
        return cone_of(filtering);
    case PH_MAPPING_ADDRESS_DEPENDENT:
    case PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT:
        return PH_CLASS_SYMMETRIC;
    case PH_MAPPING_UNKNOWN:
        break;
    }
    return PH_CLASS_UNKNOWN;
}

PhConsole ph_class_console(PhClass nat_class)
{
    switch (nat_class) {
    case PH_CLASS_DIRECT:
    case PH_CLASS_FULL_CONE:
        return PH_CONSOLE_OPEN;
    case PH_CLASS_FIREWALL:
    case PH_CLASS_RESTRICTED:
    case PH_CLASS_PORT_RESTRICTED:
        return PH_CONSOLE_MODERATE;
    case PH_CLASS_SYMMETRIC:
    case PH_CLASS_UDP_BLOCKED:
        return PH_CONSOLE_STRICT;
    case PH_CLASS_UNKNOWN:
    case PH_CLASS_N:
        break;
    }
    return PH_CONSOLE_UNKNOWN;
}

const char *ph_console_name(PhConsole console)
{
    switch (console) {
    case PH_CONSOLE_OPEN:
        return "open";
    case PH_CONSOLE_MODERATE:
        return "moderate";
    case PH_CONSOLE_STRICT:
        return "strict";
    case PH_CONSOLE_UNKNOWN:
        break;
    }
    return "unknown";
}

static const char *sentence_of_unknown(PhObstacle obstacle)
{
    switch (obstacle) {
    case PH_OBSTACLE_SERVER:
        return "No test server answers there: look whether its name and port are right, or ask "
               "another one.";
    case PH_OBSTACLE_ONE_ADDRESS:
        return "This test server has one address only and cannot tell what your router does: ask "
               "one that has two.";
    case PH_OBSTACLE_HOST:
        return "This computer does not let it be tested: it has no network, or forbids it to this "
               "program.";
    case PH_OBSTACLE_NONE:
        break;
    }
    return "What your router does could not be found out this time: try again in a moment.";
}

const char *ph_classification_sentence(const PhClassification *classification)
{
    switch (classification->nat_class) {
    case PH_CLASS_DIRECT:
        return "You are on the internet directly: everybody can join you, and you can host.";
    case PH_CLASS_FIREWALL:
        return "A firewall lets in only those you have called first: you can play with almost "
               "everybody, with a short introduction by a server.";
    case PH_CLASS_FULL_CONE:
        return "Your router lets everybody through once you play: everybody can join you.";
    case PH_CLASS_RESTRICTED:
    case PH_CLASS_PORT_RESTRICTED:
        return "Your router lets in only those you have called first: you can play with almost "
               "everybody, with a short introduction by a server, but not always with players "
               "whose type is strict.";
    case PH_CLASS_SYMMETRIC:
        return "Your router shows a different face to everyone: players who are not open mostly "
               "reach you by a detour through a relay, which costs time. Turning on UPnP or "
               "forwarding a port in the router helps.";
    case PH_CLASS_UDP_BLOCKED:
        return "Your network lets no game traffic (UDP) through, or the test server is down: "
               "ask whoever runs the network, or try another one.";
    case PH_CLASS_UNKNOWN:
    case PH_CLASS_N:
        break;
    }
    return sentence_of_unknown(classification->obstacle);
}
