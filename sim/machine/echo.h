/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP echo requests (RFC 792, RFC 4443 §4). Private to this room. */
#pragma once

#include "machine/socket.h"

/* A socket for one echo request from `local`; -1 with an error. */
int pl_echo_open(PlVisit *visit, const PlDrivePlace *place, const PhAddress *local, GError **error);
/* FALSE with errno. */
gboolean pl_echo_send(int fd, const PhAddress *remote, unsigned id);
/* Reads all that has come; whether the reply to request `id` was among it. */
gboolean pl_echo_received(int fd, unsigned id);
