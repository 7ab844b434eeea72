/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libnftables in process: one handle for each namespace. */
#pragma once

#include "topology/topology.h"

typedef struct PlNft PlNft;

/* For the caller's network namespace, whatever that is later. */
PlNft *pl_nft_new(GError **error);
void pl_nft_free(PlNft *nft);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlNft, pl_nft_free)

/* All of it or nothing. On failure *ret_message (when not NULL) is what nft said, to be freed. */
gboolean pl_nft_run(PlNft *nft, const char *text, char **ret_message);

/*
 * Loads a NAT's ruleset in place of the old one. When the kernel refuses it and lacks a feature
 * that the rules use: PL_ERROR_UNSUPPORTED, naming it. Otherwise the fault is in the NAT's own
 * `rules` file (PL_ERROR_INPUT, with file and line) or ours (PL_ERROR_FAILED). The caller is in
 * the NAT's namespace, before and after.
 */
gboolean pl_nft_load(PlNft *nft, const PlNode *nat, const char *text, GError **error);

/* nft's messages about a text that stands `skipped` lines down in what was loaded, as messages
   about the file; pure. */
char *pl_nft_message(const char *message, const char *path, unsigned skipped);
