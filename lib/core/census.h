/* SPDX-License-Identifier: MIT */
/*
 * What clients say of their NATs, counted by class. Each source has one vote: its last one, for as
 * long as that is fresh. Of a source nothing is kept but its slot, which is a keyed hash of its
 * address: two that share one have one vote. Nothing rests on what is counted here: anybody can say
 * anything, under any address.
 */
#pragma once

#include <pinhole/classification.h>
#include <stddef.h>

typedef struct PhCensus PhCensus;

/* NULL when there is no memory. */
PhCensus *ph_census_new(uint32_t slots);
PhCensus *ph_census_free(PhCensus *census); /* NULL is fine; returns NULL */

/* False: the slot's last vote was just now. */
bool ph_census_vote(PhCensus *census, uint32_t slot, PhClass nat_class, uint64_t now);
/* Looks at every slot. */
void ph_census_count(const PhCensus *census, uint64_t now, uint64_t ret_votes[static PH_CLASS_N]);
