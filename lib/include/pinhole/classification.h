/* SPDX-License-Identifier: MIT */
/*
 * What a classification finds: the axes of RFC 4787, and the class that they amount to. What could
 * not be found out is `unknown`, with the reason, and never a guess.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <pinhole/address.h>

PH_BEGIN_DECLS

/* The numbers are on the wire, in NAT-CLASS (stun.h): they stay. */
typedef enum {
    PH_CLASS_UNKNOWN = 0,
    PH_CLASS_DIRECT,          /* nothing translates, nothing filters */
    PH_CLASS_FIREWALL,        /* nothing translates, something filters */
    PH_CLASS_FULL_CONE,       /* endpoint-independent mapping and filtering */
    PH_CLASS_RESTRICTED,      /* ... address-dependent filtering */
    PH_CLASS_PORT_RESTRICTED, /* ... address-and-port-dependent filtering */
    PH_CLASS_SYMMETRIC,       /* any other mapping, whatever the filtering */
    PH_CLASS_UDP_BLOCKED,     /* no answer comes by UDP */
    PH_CLASS_N,
} PhClass;

/* RFC 4787 §4.1 */
typedef enum {
    PH_MAPPING_UNKNOWN,
    PH_MAPPING_NONE, /* not translated */
    PH_MAPPING_ENDPOINT_INDEPENDENT,
    PH_MAPPING_ADDRESS_DEPENDENT,
    PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
} PhMapping;

/* RFC 4787 §5 */
typedef enum {
    PH_FILTERING_UNKNOWN,
    PH_FILTERING_ENDPOINT_INDEPENDENT,
    PH_FILTERING_ADDRESS_DEPENDENT,
    PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
} PhFiltering;

/* RFC 4787 §4.2 */
typedef enum {
    PH_PORT_ALLOCATION_UNKNOWN,
    PH_PORT_ALLOCATION_PRESERVE,   /* the external port is the local one, unless somebody has it */
    PH_PORT_ALLOCATION_SEQUENTIAL, /* each new mapping a step above the one before */
    PH_PORT_ALLOCATION_RANDOM,
    PH_PORT_ALLOCATION_BLOCK, /* any of a few thousand ports or less */
} PhPortAllocation;

/* RFC 4787 §4.1 */
typedef enum {
    PH_POOLING_UNKNOWN,
    PH_POOLING_PAIRED, /* every mapping was at one external address */
    PH_POOLING_ARBITRARY,
} PhPooling;

/* RFC 4787 §6 */
typedef enum {
    PH_HAIRPIN_UNKNOWN,
    PH_HAIRPIN_NONE,
    PH_HAIRPIN_INTERNAL_SOURCE,
    PH_HAIRPIN_EXTERNAL_SOURCE,
} PhHairpin;

/* What consoles show (open, moderate, strict); 0 is unknown. */
typedef enum {
    PH_CONSOLE_UNKNOWN = 0,
    PH_CONSOLE_OPEN = 1,
    PH_CONSOLE_MODERATE = 2,
    PH_CONSOLE_STRICT = 3,
} PhConsole;

/* What stood in the way where the class is unknown, as far as somebody can do something about it.
 */
typedef enum {
    PH_OBSTACLE_NONE,   /* the class is known, or another try may find it */
    PH_OBSTACLE_SERVER, /* nobody answers where the server should be, or not as a STUN server does
                         */
    PH_OBSTACLE_ONE_ADDRESS, /* the server has not two addresses and ports, and cannot tell */
    PH_OBSTACLE_HOST,        /* this host's system: no socket could be opened */
} PhObstacle;

/* Why the class or an axis is unknown: static text; NULL when it is known, but that udp-blocked has
 * its reason in nat_class. */
typedef struct PhReasons {
    const char *nat_class, *mapping, *filtering, *port_allocation, *pooling, *hairpin;
} PhReasons;

typedef struct PhClassification {
    PhClass nat_class;
    PhMapping mapping;
    PhFiltering filtering;
    PhPortAllocation port_allocation;
    PhPooling pooling;
    PhHairpin hairpin;
    PhReasons why;
    PhObstacle obstacle;
    PhAddress local;     /* of the data socket; its host may be unspecified */
    PhAddress mapped;    /* of the data socket, as the reflector sees it; family NONE: unknown */
    bool port_preserved; /* of the data socket */
    int16_t step;        /* when sequential: from one mapping's port to the next */
    uint16_t predicted_port;          /* when sequential: the one after the last that was seen */
    uint16_t block_first, block_last; /* when block: a guess; has all ports that were seen */
    uint64_t rtt_ns;                  /* to the reflector; 0: unknown */
    uint64_t took_ns;
} PhClassification;

/* Words, as everywhere: "port-restricted", "address-dependent", "unknown". Static. */
PH_EXPORT const char *ph_class_name(PhClass nat_class);
PH_EXPORT const char *ph_mapping_name(PhMapping mapping);
PH_EXPORT const char *ph_filtering_name(PhFiltering filtering);
PH_EXPORT const char *ph_port_allocation_name(PhPortAllocation allocation);
PH_EXPORT const char *ph_pooling_name(PhPooling pooling);
PH_EXPORT const char *ph_hairpin_name(PhHairpin hairpin);

/* The class that mapping and filtering amount to; unknown when they do not decide it. */
PH_EXPORT PhClass ph_class_of(PhMapping mapping, PhFiltering filtering);

PH_EXPORT PhConsole ph_class_console(PhClass nat_class);
/* "open", "moderate", "strict", "unknown" */
PH_EXPORT const char *ph_console_name(PhConsole console);
/* What the class means for somebody who wants to play, or what to do where it is unknown: static
 * text, one sentence or two. */
PH_EXPORT const char *ph_classification_sentence(const PhClassification *classification);

PH_END_DECLS
