/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of a NAT's ruleset share. Private to rules.c, learn.c and translation.c. */
#pragma once

#include "kernel/pool.h"
#include "kernel/rules.h"

typedef struct Rules {
    GString *text;
    const PlNode *nat;
    const PlBehaviour *behaviour;
    const PlPool *pool;
    const char *ip, *address_type; /* "ip" and "ipv4_addr", or those of IPv6 (a firewall) */
    uint64_t timeout_s;
    uint32_t hash_seed;
    gboolean udp;       /* UDP passes and is translated */
    gboolean slots;     /* mappings get slots that are remembered */
    gboolean preserves; /* a slot only for those whose own port is taken */
    gboolean learns;    /* the way back from an external endpoint must be known */
    gboolean forwards;  /* and the external endpoint of a mapping, which conntrack may forget */
    gboolean contacts;  /* and who may use it */
} Rules;

/* An address as a mark, which is never a slot's; to be formatted with an expression and a seed. */
#define PL_RULES_HASH "jhash %s mod 4294901760 seed 0x%08x offset 65536"

void pl_rules_line(Rules *rules, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* `hook` is NULL for a chain that is jumped to. */
void pl_rules_chain(Rules *rules, const char *name, const char *hook);
void pl_rules_end(Rules *rules);

void pl_rules_append_address(GString *text, const PhAddress *address);
/* "{ 192.0.2.1, 192.0.2.2 }" */
char *pl_rules_address_set(const GArray *addresses);

/* What one mapping is for, seen from a packet on its way out, or in. */
const char *pl_rules_mapping_key(const Rules *rules, gboolean out);

/* translation.c: c_pick, c_new and c_allocate, if there are slots to allocate. */
void pl_rules_write_allocate(Rules *rules);
/* translation.c: c_post, if anything is translated. `outside` is the set of external addresses. */
void pl_rules_write_post(Rules *rules, const char *outside);
/* learn.c: c_learn, if there is anything to learn. */
void pl_rules_write_learn(Rules *rules);
