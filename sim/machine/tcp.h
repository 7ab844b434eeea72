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

/* Listens on `remote` (on another port of the same address when that one is taken) and connects to
 * it from `local`, any port. */
gboolean pl_tcp_open(PlVisit *visit, const PlDrivePlace *inside, const PlDrivePlace *outside,
                     const PhAddress *local, const PhAddress *remote, PlTcp *ret_tcp,
                     GError **error);
/* When it has arrived, *ret_from is the peer that the listener saw. */
PlTcpState pl_tcp_look(const PlTcp *tcp, PhAddress *ret_from);
