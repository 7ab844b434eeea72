/* SPDX-License-Identifier: MIT */
/*
 * One question of a reflex client, from one socket, as a job.
 *
 *     open --> asked --+--> answered, or silent
 *                      +--> refused by ICMP, and again after a copy
 */
#include <pinhole/ask.h>

#include <pinhole/reflex.h>

#include "job.h"
#include "system.h"

#define SOCKET 1

/* A person waits for this one: 100 ms as the classifier's first wait has it, and not the 500 ms of
 * RFC 8489 §6.2.1, with which silence would be known after 40 s. With 100 ms it is after 8 s. */
#define FIRST_RTO_NS UINT64_C(100000000)

/* Copies: a server that is just being restarted refuses one. Who forges ICMP has to know our port,
 * and be faster than two answers. */
#define REFUSALS 2

typedef struct Question {
    PhPath path;
    PhReflex *reflex;
    gboolean wanted, failed, babbles;   /* babbles: what came from there is no answer */
    unsigned copies, refused, refusals; /* sent; of these when last refused; refused copies */
    PhAddress local;
} Question;

typedef struct Answer {
    PhReflexEvent event;
    PhAddress local;
    gboolean refused, failed, babbles;
} Answer;

static gpointer start(const PhAddress *server, gconstpointer options G_GNUC_UNUSED,
                      uint64_t now G_GNUC_UNUSED, GError **error)
{
    PhReflexConfig config = {.first_rto_ns = FIRST_RTO_NS};
    Question *question;

    ph_seed_fill(config.seed);
    question = g_new(Question, 1);
    *question = (Question){
        .path = {PH_TRANSPORT_UDP, SOCKET, *server},
        .reflex = ph_reflex_new(&config),
        .wanted = TRUE,
    };
    if (question->reflex)
        return question;
    g_free(question);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "there is no memory for a question");
    return NULL;
}

static void end(gpointer agent)
{
    Question *question = agent;

    ph_reflex_free(question->reflex);
    g_free(question);
}

static bool poll_socket(gpointer agent, PhSocketRequest *ret_request)
{
    Question *question = agent;

    if (!question->wanted)
        return false;
    question->wanted = FALSE;
    *ret_request = (PhSocketRequest){
        .kind = PH_SOCKET_OPEN,
        .transport = PH_TRANSPORT_UDP,
        .socket = SOCKET,
        .family = (PhFamily)question->path.remote.family,
    };
    return true;
}

static void socket_opened(gpointer agent, uint32_t socket G_GNUC_UNUSED, const PhAddress *local,
                          uint64_t now)
{
    Question *question = agent;

    question->local = *local;
    if (!ph_reflex_ask(question->reflex, &question->path, now))
        g_assert_not_reached(); /* it is the first one */
}

static void socket_failed(gpointer agent, uint32_t socket G_GNUC_UNUSED, uint64_t now G_GNUC_UNUSED)
{
    Question *question = agent;

    question->failed = TRUE;
}

static bool poll_transmit(gpointer agent, PhTransmit *ret_transmit)
{
    Question *question = agent;

    if (!ph_reflex_poll_transmit(question->reflex, ret_transmit))
        return false;
    question->copies++;
    return true;
}

static bool poll_result(gpointer agent, gpointer ret_result)
{
    const Question *question = agent;
    Answer *answer = ret_result;

    answer->local = question->local;
    answer->refused = question->refusals > 0;
    answer->failed = question->failed;
    answer->babbles = question->babbles;
    if (ph_reflex_poll_event(question->reflex, &answer->event) || question->failed)
        return true;
    answer->event.kind = PH_REFLEX_SILENT;
    return question->refusals >= REFUSALS;
}

static void take_datagram(gpointer agent, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    Question *question = agent;

    if (!ph_reflex_handle_datagram(question->reflex, path, bytes, length, now) &&
        ph_address_equal(&path->remote, &question->path.remote))
        question->babbles = TRUE;
}

/* What is about another question of the socket's owner is none of ours, and of one copy's one
 * counts. */
static void take_unreachable(gpointer agent, const PhPath *path, uint64_t now G_GNUC_UNUSED)
{
    Question *question = agent;

    if (!ph_address_equal(&path->remote, &question->path.remote) ||
        question->copies == question->refused)
        return;
    question->refused = question->copies;
    question->refusals++;
}

static void take_timeout(gpointer agent, uint64_t now)
{
    const Question *question = agent;

    ph_reflex_handle_timeout(question->reflex, now);
}

static uint64_t next_timeout(gpointer agent)
{
    const Question *question = agent;

    return ph_reflex_next_timeout(question->reflex);
}

static const PhJobKind kind = {
    .result_bytes = sizeof(Answer),
    .start = start,
    .end = end,
    .poll_socket = poll_socket,
    .socket_opened = socket_opened,
    .socket_failed = socket_failed,
    .poll_transmit = poll_transmit,
    .poll_result = poll_result,
    .datagram = take_datagram,
    .unreachable = take_unreachable,
    .timeout = take_timeout,
    .next_timeout = next_timeout,
};

void ph_ask_server_async(const char *server, GSocket *socket, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer data)
{
    ph_job_start(&kind, server, NULL, socket, cancellable, callback, data);
}

static gboolean refuse(GError **error, GIOErrorEnum code, const char *why)
{
    g_set_error_literal(error, G_IO_ERROR, (int)code, why);
    return FALSE;
}

/* As the classifier says it. */
static const char why_nonsense[] = "the reflector answers nonsense";

gboolean ph_ask_server_finish(GAsyncResult *result, PhAnswer *ret_answer, GError **error)
{
    PhAddress server;
    Answer answer;

    if (!ph_job_finish(result, &answer, &server, error))
        return FALSE;
    if (answer.failed)
        return refuse(error, G_IO_ERROR_FAILED, "the socket cannot be used");
    switch (answer.event.kind) {
    case PH_REFLEX_MAPPED:
        break;
    case PH_REFLEX_REFUSED:
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "the server refuses to answer (error %u)", answer.event.error);
        return FALSE;
    case PH_REFLEX_NONSENSE:
        return refuse(error, G_IO_ERROR_INVALID_DATA, why_nonsense);
    case PH_REFLEX_SILENT:
        if (answer.babbles)
            return refuse(error, G_IO_ERROR_INVALID_DATA, why_nonsense);
        if (answer.refused)
            return refuse(error, G_IO_ERROR_CONNECTION_REFUSED, "nobody listens there");
        return refuse(error, G_IO_ERROR_TIMED_OUT, "no answer comes by UDP");
    }
    *ret_answer = (PhAnswer){
        .mapped = answer.event.mapped,
        .local = answer.local,
        .server = server,
        .rtt_ns = answer.event.rtt_ns,
    };
    return TRUE;
}
