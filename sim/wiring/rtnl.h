/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single requests to the kernel's routing and netfilter netlink. Each returns 0 or an errno. */
#pragma once

#include <netlink/netlink.h>

#include "wiring/ops.h"

/* A socket in the caller's namespace; NULL with errno. */
struct nl_sock *pl_rtnl_open(int protocol);

/* `peer_fd`: the namespace of op->peer. */
int pl_rtnl_veth(struct nl_sock *sock, const PlOp *op, int peer_fd);
int pl_rtnl_macvlan(struct nl_sock *sock, const PlOp *op, int peer_fd);
int pl_rtnl_bridge(struct nl_sock *sock, const PlOp *op);
int pl_rtnl_delete(struct nl_sock *sock, const char *interface);
int pl_rtnl_set_up(struct nl_sock *sock, const char *interface, gboolean up);
int pl_rtnl_set_master(struct nl_sock *sock, const PlOp *op);
/* Whether it has got its queue and, as a port of a bridge, may forward. */
int pl_rtnl_carries(struct nl_sock *sock, const char *interface, gboolean *ret_carries);
/* Whether packets for an address of IPv6 are taken in. */
int pl_rtnl_is_local(struct nl_sock *sock, const PhAddress *address, gboolean *ret_local);
int pl_rtnl_address(struct nl_sock *sock, const PlOp *op, gboolean add);
int pl_rtnl_route(struct nl_sock *sock, const PlOp *op);

/* Takes what was asked for out of an answer. */
typedef void (*PlRtnlReader)(const struct nlmsghdr *header, gpointer data);

/* `sock` is one of NETLINK_NETFILTER. */
int pl_rtnl_flush_conntrack(struct nl_sock *sock);
/* `read` gets every entry of the namespace's. */
int pl_rtnl_dump_conntrack(struct nl_sock *sock, PlRtnlReader read, gpointer data);
