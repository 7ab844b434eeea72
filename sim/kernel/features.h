/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which nftables features the running kernel has, found out by trying. */
#pragma once

#include <glib.h>

/*
 * The first feature that `ruleset` uses and this kernel lacks: "nftables numgen
 * (CONFIG_NFT_NUMGEN)", to be freed; NULL when nothing is missing. Tried in a scratch namespace.
 */
char *pl_features_missing(const char *ruleset);

/* Whether nft reads `word` in there: as a word, and not in a comment or in quotes. Pure. */
gboolean pl_features_used(const char *ruleset, const char *word);
