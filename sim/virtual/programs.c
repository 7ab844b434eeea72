/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hosts run: protocol cores with the sockets of their host. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "topology/random.h"
#include "virtual/agent.h"
#include "virtual/lab.h"

#define OUTPUT_MAX    (1024 * 1024) /* the last of it is kept */
#define STATUS_KILLED 137

static const PlAgentClass *const classes[] = {&pl_hub_agent, &pl_classify_agent, &pl_listen_agent,
                                              &pl_node_agent};

typedef struct SeatSocket {
    uint32_t id;
    PlSocket *socket;
} SeatSocket;

struct PlSeat {
    PlClient client;
    PlLab *lab;
    const PlNode *host;
    PlStack *stack;
    const PlAgentClass *class;
    gpointer agent;
    GArray *sockets; /* SeatSocket */
    GString *output; /* of those before it on this host, too */
    gsize before;    /* so much of it is theirs */
    unsigned runs;   /* that there were before it */
    gboolean ended;
    int exit_status;
    uint64_t next_ns; /* when the agent is to be called, which is another time only after a call */
    /* What somebody waits for, and whether it is so. */
    PlReady awaited;
    const char *awaited_text;
    uint16_t awaited_port;
    gboolean reached;
};

void pl_agent_seed(uint64_t seed, uint8_t ret_bytes[static PH_SEED_BYTES])
{
    for (unsigned i = 0; i < PH_SEED_BYTES; i += 8) {
        uint64_t drawn = GUINT64_TO_LE(pl_random_next(&seed));

        memcpy(ret_bytes + i, &drawn, sizeof(drawn));
    }
}

static SeatSocket *find_socket(const PlSeat *seat, uint32_t id)
{
    for (guint i = 0; i < seat->sockets->len; i++) {
        SeatSocket *socket = &g_array_index(seat->sockets, SeatSocket, i);

        if (socket->id == id)
            return socket;
    }
    return NULL;
}

static void close_all(PlSeat *seat)
{
    for (guint i = 0; i < seat->sockets->len; i++)
        pl_stack_close(seat->stack, g_array_index(seat->sockets, SeatSocket, i).socket,
                       seat->lab->now);
    g_array_set_size(seat->sockets, 0);
}

static void end(PlSeat *seat, int exit_status)
{
    close_all(seat);
    seat->ended = TRUE;
    seat->exit_status = exit_status;
    seat->next_ns = UINT64_MAX;
}

static gboolean is_reached(const PlSeat *seat)
{
    switch (seat->awaited) {
    case PL_READY_STARTED:
        return TRUE;
    case PL_READY_EXIT:
        return seat->ended;
    case PL_READY_LINE:
        return strstr(seat->output->str + seat->before, seat->awaited_text) != NULL;
    case PL_READY_UDP:
        return pl_stack_has_port(seat->stack, PL_PROTOCOL_UDP, seat->awaited_port);
    case PL_READY_TCP:
        return pl_stack_has_port(seat->stack, PL_PROTOCOL_TCP, seat->awaited_port);
    }
    return FALSE;
}

static void do_open(PlSeat *seat, const PlAgentAction *action)
{
    SeatSocket opened = {.id = action->socket};

    opened.socket = pl_stack_open(seat->stack, &action->address, seat, action->socket);
    if (opened.socket)
        g_array_append_val(seat->sockets, opened);
    seat->class->opened(seat->agent, action->socket,
                        opened.socket ? pl_socket_local(opened.socket) : NULL, seat->lab->now);
}

static void do_close(PlSeat *seat, uint32_t id)
{
    SeatSocket *socket = find_socket(seat, id);

    g_assert(socket);
    pl_stack_close(seat->stack, socket->socket, seat->lab->now);
    g_array_remove_index(seat->sockets,
                         (guint)(socket - &g_array_index(seat->sockets, SeatSocket, 0)));
}

/* What has no route is lost, as on any host. */
static void do_send(PlSeat *seat, const PlAgentAction *action)
{
    const SeatSocket *socket = find_socket(seat, action->socket);

    g_assert(socket);
    pl_stack_send(seat->stack, socket->socket, &action->address, action->bytes, action->length,
                  action->ttl, seat->lab->now);
}

static void do_print(PlSeat *seat, const PlAgentAction *action)
{
    g_string_append_len(seat->output, (const char *)action->bytes, (gssize)action->length);
    if (seat->output->len > OUTPUT_MAX) {
        seat->before -= MIN(seat->before, seat->output->len - OUTPUT_MAX);
        g_string_erase(seat->output, 0, (gssize)(seat->output->len - OUTPUT_MAX));
    }
}

static void act(PlSeat *seat, const PlAgentAction *action)
{
    switch (action->kind) {
    case PL_AGENT_OPEN:
        do_open(seat, action);
        break;
    case PL_AGENT_CLOSE:
        do_close(seat, action->socket);
        break;
    case PL_AGENT_SEND:
        do_send(seat, action);
        break;
    case PL_AGENT_PRINT:
        do_print(seat, action);
        break;
    case PL_AGENT_END:
        end(seat, action->exit_status);
        break;
    case PL_AGENT_NOTHING:
        break;
    }
}

void pl_seat_pump(PlSeat *seat)
{
    PlAgentAction action;

    do {
        action = (PlAgentAction){0};
        seat->class->poll(seat->agent, &action);
        act(seat, &action);
    } while (action.kind != PL_AGENT_NOTHING && action.kind != PL_AGENT_END);
    if (!seat->ended)
        seat->next_ns = seat->class->next_timeout(seat->agent);
    seat->reached = seat->reached || is_reached(seat);
}

static void take_event(PlClient *client, const PlStackEvent *event, uint64_t now)
{
    PlSeat *seat = (PlSeat *)client;
    const PhPath path = {PH_TRANSPORT_UDP, pl_socket_id(event->socket), event->remote};

    if (event->kind == PL_STACK_DATAGRAM)
        seat->class->datagram(seat->agent, &path, event->bytes, event->length, now);
    else if (event->kind == PL_STACK_UNREACHABLE && seat->class->unreachable)
        seat->class->unreachable(seat->agent, &path, now);
    pl_seat_pump(seat);
}

static uint64_t next_time(const PlClient *client)
{
    return ((const PlSeat *)client)->next_ns;
}

static void take_timeout(PlClient *client, uint64_t now)
{
    PlSeat *seat = (PlSeat *)client;

    seat->class->timeout(seat->agent, now);
    pl_seat_pump(seat);
}

/* One that cannot be written is cut short: whoever replays it is told. */
static void keep_recording(const PlSeat *seat)
{
    const PlLabHost *place = &seat->lab->nodes[seat->host->index];
    const GByteArray *recording;
    gsize written = 0;
    ssize_t n = 1;

    if (!place->recorded || seat->class != &pl_node_agent)
        return;
    recording = pl_node_agent_recording(seat->agent);
    for (; written < recording->len && (n > 0 || errno == EINTR); written += (gsize)MAX(n, 0))
        n = pwrite(place->recording_fd, recording->data + written, recording->len - written,
                   (off_t)written);
    (void)!ftruncate(place->recording_fd, (off_t)written);
}

PlSeat *pl_seat_free(PlSeat *seat)
{
    if (!seat)
        return NULL;
    keep_recording(seat);
    close_all(seat);
    seat->class->free(seat->agent);
    g_array_unref(seat->sockets);
    if (seat->output)
        g_string_free(seat->output, TRUE);
    g_free(seat);
    return NULL;
}

PlClient *pl_seat_client(PlSeat *seat)
{
    return &seat->client;
}

gpointer pl_seat_agent(const PlSeat *seat)
{
    return seat->agent;
}

gboolean pl_seat_has_ended(const PlSeat *seat)
{
    return seat->ended;
}

static const PlAgentClass *class_of(const PlNode *host)
{
    for (gsize i = 0; i < G_N_ELEMENTS(classes); i++)
        if (classes[i]->word == host->program.word)
            return classes[i];
    g_assert_not_reached(); /* what has none was refused */
}

static gboolean wait_for(PlSeat *seat, PlReady awaited, const char *text, uint16_t port,
                         GError **error)
{
    seat->awaited = awaited;
    seat->awaited_text = text;
    seat->awaited_port = port;
    seat->reached = is_reached(seat);
    return pl_virtual_run(seat->lab, seat->lab->now + seat->host->program.time_limit_ns,
                          &seat->reached, error);
}

/* What the host's program before it put out is its host's, too. */
static void take_output(PlSeat *seat, PlSeat *last)
{
    seat->output = last ? g_steal_pointer(&last->output) : g_string_new(NULL);
    seat->before = seat->output->len;
    pl_seat_free(last);
}

gboolean pl_virtual_start(PlLab *lab, const PlNode *host, GError **error)
{
    const PlProgram *program = &host->program;
    const PlAgentClass *class = class_of(host);
    PlSeat *last = lab->nodes[host->index].program;
    unsigned runs = last ? last->runs + 1 : 0;
    g_autofree char *name = runs ? g_strdup_printf("program %s %u", host->name, runs)
                                 : g_strdup_printf("program %s", host->name);
    const PlAgentStart start = {
        .host = host,
        .run_seed = lab->seed,
        .seed = pl_random_stream(lab->seed, name),
        .now = lab->now,
        .moved = lab->nodes[host->index].moved,
        .record = lab->nodes[host->index].recorded ? PH_RECORD_SECRETS : lab->nodes_record,
    };
    gpointer agent = last && !last->ended ? NULL : class->new (&start, error);
    PlSeat *seat;

    if (last && !last->ended)
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: its program still runs",
                    host->name);
    if (!agent)
        return FALSE;
    seat = g_new0(PlSeat, 1);
    seat->client = (PlClient){.event = take_event, .next = next_time, .timeout = take_timeout};
    seat->lab = lab;
    seat->host = host;
    seat->stack = lab->nodes[host->index].stack;
    seat->class = class;
    seat->agent = agent;
    seat->sockets = g_array_new(FALSE, FALSE, sizeof(SeatSocket));
    seat->runs = runs;
    take_output(seat, last);
    lab->nodes[host->index].program = seat;
    pl_seat_pump(seat);
    if (!wait_for(seat, program->ready, program->ready_text, program->ready_port, error))
        return FALSE;
    if (!seat->reached) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED,
                    "`%s` was not ready within %g s; it put out%s%s", program->argv[0],
                    (double)program->time_limit_ns / 1e9, seat->output->len ? ": " : " nothing",
                    seat->output->str);
        return FALSE;
    }
    return TRUE;
}

gboolean pl_virtual_say(PlLab *lab, const PlNode *host, const char *line, GError **error)
{
    PlSeat *seat = lab->nodes[host->index].program;

    if (!seat || seat->ended || !seat->class->line) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: its program %s", host->name,
                    seat && seat->ended ? "has ended" : "does not read what it is told");
        return FALSE;
    }
    seat->class->line(seat->agent, line, lab->now);
    pl_seat_pump(seat);
    return TRUE;
}

void pl_seat_moved(PlSeat *seat, const PhAddress *address)
{
    if (seat->ended || !seat->class->moved)
        return;
    seat->class->moved(seat->agent, address, seat->lab->now);
    pl_seat_pump(seat);
}

gboolean pl_virtual_await(PlLab *lab, const PlNode *host, const char *text, GError **error)
{
    PlSeat *seat = lab->nodes[host->index].program;

    return wait_for(seat, text ? PL_READY_LINE : PL_READY_EXIT, text, 0, error);
}

gboolean pl_virtual_result(PlLab *lab, const PlNode *host, PlProgramResult *ret_result,
                           GError **error)
{
    const PlSeat *seat = lab->nodes[host->index].program;

    if (!seat) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: its program did not start",
                    host->name);
        return FALSE;
    }
    *ret_result = (PlProgramResult){
        .ended = seat->ended,
        .exit_status = seat->exit_status,
        .output = g_strdup(seat->output->str),
    };
    return TRUE;
}

gboolean pl_virtual_claims(PlLab *lab, const PlNode *host, PlFindings *ret_claims, GError **error)
{
    const PlSeat *seat = lab->nodes[host->index].program;

    if (!seat || !seat->ended || !seat->class->claims) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: its program found nothing out",
                    host->name);
        return FALSE;
    }
    seat->class->claims(seat->agent, ret_claims);
    return TRUE;
}

void pl_virtual_kill(PlLab *lab, const PlNode *host)
{
    PlSeat *seat = lab->nodes[host->index].program;

    if (seat && !seat->ended)
        end(seat, STATUS_KILLED);
}
