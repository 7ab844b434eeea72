/* SPDX-License-Identifier: MIT */
/* What reasons are called, and what they mean to a person. */
#include "message.h"

static const struct {
    const char *name, *sentence;
} reasons[PH_REASON_N] = {
    [PH_REASON_NONE] = {"none", "There is no reason."},
    [PH_REASON_NAME_TAKEN] = {"name-taken", "Another key has registered this name."},
    [PH_REASON_UNKNOWN_PEER] = {"unknown-peer",
                                "Nobody of this name or key is registered at the hub."},
    [PH_REASON_FULL] = {"full", "There is no room for more."},
    [PH_REASON_TOO_MANY] = {"too-many", "This was asked for too often; later it may be had."},
    [PH_REASON_NOT_AUTHORISED] = {"not-authorised", "The peer does not want this."},
    [PH_REASON_NO_MEDIATOR] = {"no-mediator", "Nobody is known to both who could introduce them."},
    [PH_REASON_GOODBYE] = {"goodbye", "The other side ended it."},
    [PH_REASON_TIMEOUT] = {"timeout", "No answer came."},
    [PH_REASON_UNREACHABLE] = {"unreachable", "The network says that there is no way."},
};

const char *ph_reason_name(PhReason reason)
{
    return reason < PH_REASON_N ? reasons[reason].name : "unknown-reason";
}

const char *ph_reason_sentence(PhReason reason)
{
    return reason < PH_REASON_N ? reasons[reason].sentence
                                : "The other side gives a reason that this version does not know.";
}
