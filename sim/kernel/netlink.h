/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The namespaces of a lab, and the operations of a plan done in them. */
#pragma once

#include "kernel/plan.h"

typedef struct PlSpaces PlSpaces;

/* Space 0 is the namespace this is called in; the others come with PL_OP_NETNS. */
PlSpaces *pl_spaces_new(const PlTopology *topology, unsigned n, GError **error);
/* Closes everything, back in space 0. */
void pl_spaces_free(PlSpaces *spaces);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlSpaces, pl_spaces_free)

/* Borrowed. */
int pl_spaces_fd(const PlSpaces *spaces, unsigned space);

unsigned pl_spaces_count(const PlSpaces *spaces);
/* Its rtnetlink socket, borrowed. */
struct nl_sock *pl_spaces_socket(const PlSpaces *spaces, unsigned space);

/* Makes it the caller's network namespace. */
gboolean pl_spaces_enter(PlSpaces *spaces, unsigned space, GError **error);

/*
 * Everything but PL_OP_NFT. PL_ERROR_UNSUPPORTED when kernel or machine lacks what it takes. May
 * leave the caller in another of the namespaces.
 */
gboolean pl_spaces_do(PlSpaces *spaces, const PlOp *op, GError **error);

/* Forgets every connection that conntrack knows in the namespace. */
gboolean pl_spaces_flush_conntrack(PlSpaces *spaces, unsigned space, GError **error);
