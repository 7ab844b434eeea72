/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The namespaces of a lab, and the operations of a plan done in them. */
#pragma once

#include "wiring/ops.h"

typedef struct PlSpaces PlSpaces;

/* Room for n; each is made by its PL_OP_NETNS. */
PlSpaces *pl_spaces_new(const PlTopology *topology, unsigned n, GError **error);
/* Closes everything, back in the caller's own namespace. */
void pl_spaces_free(PlSpaces *spaces);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlSpaces, pl_spaces_free)

/* Borrowed; -1 before it is made. */
int pl_spaces_fd(const PlSpaces *spaces, unsigned space);

unsigned pl_spaces_count(const PlSpaces *spaces);
/* Its rtnetlink socket, borrowed until pl_spaces_rest; NULL with error. */
struct nl_sock *pl_spaces_socket(PlSpaces *spaces, unsigned space, GError **error);

/* Makes it the caller's network namespace. */
gboolean pl_spaces_enter(PlSpaces *spaces, unsigned space, GError **error);

/*
 * When a series of operations is over: back in the caller's own namespace, with the sockets closed.
 * A netlink socket keeps its namespace for an RCU grace period after it was closed, some 20 ms;
 * closed now, they do not keep the lab when it is taken down.
 */
void pl_spaces_rest(PlSpaces *spaces);

/*
 * Everything but PL_OP_NFT. PL_ERROR_UNSUPPORTED when kernel or machine lacks what it takes. May
 * leave the caller in one of the namespaces, until pl_spaces_rest.
 */
gboolean pl_spaces_do(PlSpaces *spaces, const PlOp *op, GError **error);
/* All of a list of PlOp, until one fails. */
gboolean pl_spaces_do_all(PlSpaces *spaces, const GArray *ops, GError **error);

/*
 * Forgets every connection that conntrack knows in the namespace. The socket for it stays open as
 * long as there are spaces: netfilter's are not closed before the kernel has taken apart the rules
 * that were replaced meanwhile, which takes it some 15 ms.
 */
gboolean pl_spaces_flush_conntrack(PlSpaces *spaces, unsigned space, GError **error);
