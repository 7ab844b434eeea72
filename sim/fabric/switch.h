/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process that runs the world, as the lab sees it. They talk over a socket pair, a request and
 * its answer at a time; the end of the stream, at either end, means that the other one is gone.
 */
#pragma once

#include "capture/feed.h"
#include "model/world.h"
#include "scenario/engine.h"

typedef struct PlSwitch PlSwitch;

/* A fork of the caller, who has one thread. The topology is borrowed until the end. */
PlSwitch *pl_switch_start(const PlTopology *topology, uint64_t seed, GError **error);
/* Ends it; NULL is fine. */
void pl_switch_free(PlSwitch *fabric_switch);

/* FALSE when the process is not there any more, with what became of it. */
gboolean pl_switch_check(PlSwitch *fabric_switch, GError **error);

/* Packets of this place come from and go to a TUN device from now on (borrowed). */
gboolean pl_switch_plug(PlSwitch *fabric_switch, const PlWorldPlace *place, int tun,
                        GError **error);

/* A fault, or PL_STEP_NAT_FLUSH and the like; not what happens on hosts, but for what they sent
 * before: with PL_STEP_HOST_SEND it is taken in. */
gboolean pl_switch_step(PlSwitch *fabric_switch, const PlStep *step, GError **error);
/* Every NAT as new; what was on its way is lost. */
gboolean pl_switch_reset(PlSwitch *fabric_switch, GError **error);
/* What hosts had sent before this call, and has to arrive by now, has. */
gboolean pl_switch_settle(PlSwitch *fabric_switch, GError **error);
/* What a NAT translates now: PlConnection. */
GArray *pl_switch_connections(PlSwitch *fabric_switch, const PlNode *nat, GError **error);

/* Records these attachments (PlAttachment, borrowed for the call) as pcapng into fd. */
gboolean pl_switch_record(PlSwitch *fabric_switch, const GPtrArray *attachments, int fd,
                          const char *comment, GError **error);
/* Everything that had passed before this call is in the file when it returns TRUE. */
gboolean pl_switch_record_stop(PlSwitch *fabric_switch, GError **error);

/* What passes these attachments (PlAttachment, borrowed for the call) goes into a feed, too, until
 * its reader goes away. */
PlFeed *pl_switch_tap(PlSwitch *fabric_switch, const GPtrArray *attachments, GError **error);
