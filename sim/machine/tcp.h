/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TCP connection from one place to another, both ends ours. Private to this room. */
#pragma once

#include "machine/socket.h"

typedef struct PlTcp {
    int listener, connection; /* owned; -1 when there is none */
    gboolean refused;         /* at once: no event will tell */
} PlTcp;

typedef enum {
    PL_TCP_PENDING,
    PL_TCP_ARRIVED,
    PL_TCP_FAILED,
} PlTcpState;

/*
 * Listens at `listener` in place `there`, and connects to `remote` from `local`, any port, in place
 * `here`. Where the two are the same address, another port of it is taken when that one cannot be
 * had; else *ret_taken says that this is what went wrong.
 */
gboolean pl_tcp_open(PlVisit *visit, const PlDrivePlace *here, const PlDrivePlace *there,
                     const PhAddress *local, const PhAddress *remote, const PhAddress *listener,
                     PlTcp *ret_tcp, gboolean *ret_taken, GError **error);
/* When it has arrived, *ret_from is the peer that the listener saw. */
PlTcpState pl_tcp_look(const PlTcp *tcp, PhAddress *ret_from);
