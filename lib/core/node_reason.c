/* SPDX-License-Identifier: MIT */
/* Why things are as a node says: the names of all reasons, and what they mean to a person. */
#include <string.h>

#include "node_private.h"

typedef struct Reason {
    const char *name, *sentence;
} Reason;

/* Beside those that others tell us (message_reason.c). */
static const Reason own[] = {
    /* Why the path is what it is. */
    {"first", "It is the first way that there was; a better one is looked for."},
    {"dial", "The peer can simply be sent to."},
    {"wait", "The peer can simply send to us."},
    {"punch", "Both NATs were opened from inside, at the same time."},
    {"predict", "The port that a NAT would give next was predicted."},
    {"spread", "Our NAT gave many ports, and the peer met one of them."},
    {"scatter", "The peer's NAT gave many ports, and we met one of them."},
    {"neighbours", "Both are in the same network, behind one NAT or none."},
    {"other-family",
     "The hub sees both in the other family of addresses, too, and they meet there."},
    {"heard", "The peer was heard from there, and answers there."},
    {"relay", "Between these two NATs there is no direct way: the ports that they give cannot be "
              "foreseen."},
    {"relay-only", "One of the two wants to go by relays only."},
    {"no-hard-punching", "Only an attempt at many ports could help, and that is switched off."},
    {"udp-blocked",
     "No answer comes by UDP: it does not get out of this network, or the hub is down."},
    {"class-unknown", "What kind of NAT there is is not known yet."},
    {"punch-failed", "Nothing came through in the attempts so far; another one comes later."},
    {"new-session", "The peer has begun anew; whether the direct way still works is being tried."},
    {"another-network", "One of the two is in another network; direct ways are tried again."},
    {"another-relay", "The relay before does not work any more, or this one is the hub again."},
    {"direct-failed", "Nothing is heard on the direct way any more."},
    {"direct-suspect", "The direct way is not to be trusted just now."},
    {"direct-well", "The direct way works again."},
    /* Why a path's health is what it is (detector.c). */
    {"heartbeats-missed", "Heartbeats are missing."},
    {"mapping-dropped", "Our NAT does not keep its mappings: it has given us another port."},
    {"slow", "Answers take far longer than they did."},
    {"silent", "Nothing was heard for too long."},
    {"answers-again", "It answers again."},
    /* What came of an attempt. */
    {"proven", "Packets go both ways."},
    {"not-proven", "A way was opened, and then nothing came along it."},
    {"nothing-heard", "Nothing came through."},
    {"nothing-to-try", "There was no address to try."},
    {"mediator-silent", "Who was asked to introduce the two has not answered."},
    {"superseded", "Something else came before it was over."},
    /* Hints of a mediator's (station_log.c). */
    {"one-asks-most", "One node asks for more than half of all introductions, again and again: its "
                      "NAT may defeat every attempt, and it is better off with relay-only."},
    {"too-many-refused", "Many introductions are refused as asked for too often: this mediator has "
                         "more to do than its limits allow."},
    /* What ends a session, or keeps one from beginning. */
    {"replaced", "Another session took its place."},
    {"no-socket", "The system gives us no UDP socket."},
    {"not-a-hub", "Who answers with the hub's key is no hub."},
    {"unknown-reason", "The other side gives a reason that this version does not know."},
};

#define N_OWN (sizeof(own) / sizeof(*own))

const char *ph_node_reason(uint32_t index, const char **ret_sentence)
{
    if (index >= N_OWN + PH_REASON_N)
        return NULL;
    if (index < N_OWN) {
        *ret_sentence = own[index].sentence;
        return own[index].name;
    }
    *ret_sentence = ph_reason_sentence((PhReason)(index - N_OWN));
    return ph_reason_name((PhReason)(index - N_OWN));
}

const char *ph_node_sentence(const char *reason)
{
    const char *name, *sentence;

    for (uint32_t i = 0; reason && (name = ph_node_reason(i, &sentence)); i++)
        if (strcmp(name, reason) == 0)
            return sentence;
    return NULL;
}
