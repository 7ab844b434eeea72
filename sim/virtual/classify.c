/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `run = classify`: libpinhole's classifier asks the server that the topology names, says what it
 * found, and ends. */
#include <pinhole/classifier.h>
#include <string.h>

#include "virtual/agent.h"

#define FIRST_SOCKET 1
/* As `pinhole classify` ends. */
#define STATUS_KNOWN   0
#define STATUS_UNKNOWN 3

typedef struct Classify {
    PhClassifier *classifier;
    gboolean done, said;
    PhClassification result;
    GString *text;
} Classify;

static void classify_free(gpointer data)
{
    Classify *classify = data;

    ph_classifier_free(classify->classifier);
    g_string_free(classify->text, TRUE);
    g_free(classify);
}

static void add_locals(const PlNode *host, PhClassifierConfig *config)
{
    for (unsigned i = 0; i < host->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, i);

        for (unsigned k = 0; k < attachment->addresses->len; k++) {
            const PhAddress *address = &g_array_index(attachment->addresses, PhAddress, k);

            if (address->family == config->server.family && config->n_locals < PH_CLASSIFIER_LOCALS)
                config->locals[config->n_locals++] = *address;
        }
    }
}

static gpointer classify_new(const PlAgentStart *start, GError **error)
{
    const PlNode *host = start->host;
    Classify *classify = g_new0(Classify, 1);
    PhClassifierConfig config = {.server = host->program.addresses[0],
                                 .first_socket = FIRST_SOCKET};

    pl_agent_seed(start->seed, config.seed);
    add_locals(host, &config);
    classify->text = g_string_new(NULL);
    classify->classifier = ph_classifier_new(&config, start->now);
    if (classify->classifier)
        return classify;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s cannot classify", host->name);
    classify_free(classify);
    return NULL;
}

/* An axis, or the class. */
typedef struct Row {
    PlAxis axis;
    const char *word, *why;
} Row;

#define ROWS 6

static void make_rows(const PhClassification *c, Row rows[static ROWS])
{
    const Row all[ROWS] = {
        {PL_AXIS_CLASS, ph_class_name(c->nat_class), c->why.nat_class},
        {PL_AXIS_MAPPING, ph_mapping_name(c->mapping), c->why.mapping},
        {PL_AXIS_FILTERING, ph_filtering_name(c->filtering), c->why.filtering},
        {PL_AXIS_PORT_ALLOCATION, ph_port_allocation_name(c->port_allocation),
         c->why.port_allocation},
        {PL_AXIS_POOLING, ph_pooling_name(c->pooling), c->why.pooling},
        {PL_AXIS_HAIRPIN, ph_hairpin_name(c->hairpin), c->why.hairpin},
    };

    for (unsigned i = 0; i < ROWS; i++)
        rows[i] = all[i];
}

static void describe(Classify *classify)
{
    Row rows[ROWS];
    char text[PH_ADDRESS_TEXT_MAX];

    make_rows(&classify->result, rows);
    for (unsigned i = 0; i < ROWS; i++)
        g_string_append_printf(classify->text, "%-16s %s%s%s%s\n", pl_axis_name(rows[i].axis),
                               rows[i].word, rows[i].why ? " (" : "",
                               rows[i].why ? rows[i].why : "", rows[i].why ? ")" : "");
    g_string_append_printf(classify->text, "%-16s %s\n", "external",
                           ph_address_format(&classify->result.mapped, text));
}

/* What the classifier wants, in the order of path.h. */
static gboolean poll_core(Classify *classify, PlAgentAction *ret_action)
{
    PhSocketRequest request;
    PhTransmit transmit;

    if (ph_classifier_poll_socket(classify->classifier, &request)) {
        *ret_action = (PlAgentAction){
            .kind = request.kind == PH_SOCKET_OPEN ? PL_AGENT_OPEN : PL_AGENT_CLOSE,
            .socket = request.socket,
            .address = {.family = (uint8_t)request.family},
        };
        return TRUE;
    }
    if (ph_classifier_poll_transmit(classify->classifier, &transmit)) {
        *ret_action = (PlAgentAction){
            .kind = PL_AGENT_SEND,
            .socket = transmit.path.socket,
            .address = transmit.path.remote,
            .bytes = transmit.bytes,
            .length = transmit.length,
            .ttl = transmit.ttl,
        };
        return TRUE;
    }
    return FALSE;
}

static void classify_poll(gpointer data, PlAgentAction *ret_action)
{
    Classify *classify = data;

    if (!classify->done) {
        if (poll_core(classify, ret_action) ||
            !ph_classifier_poll_event(classify->classifier, &classify->result))
            return;
        classify->done = TRUE;
    }
    if (!classify->said) {
        classify->said = TRUE;
        describe(classify);
        *ret_action = (PlAgentAction){
            .kind = PL_AGENT_PRINT,
            .bytes = (const uint8_t *)classify->text->str,
            .length = classify->text->len,
        };
        return;
    }
    *ret_action = (PlAgentAction){
        .kind = PL_AGENT_END,
        .exit_status =
            classify->result.nat_class == PH_CLASS_UNKNOWN ? STATUS_UNKNOWN : STATUS_KNOWN,
    };
}

static void classify_opened(gpointer data, uint32_t socket, const PhAddress *local, uint64_t now)
{
    Classify *classify = data;

    if (local)
        ph_classifier_socket_opened(classify->classifier, socket, local, now);
    else
        ph_classifier_socket_failed(classify->classifier, socket, now);
}

static void classify_datagram(gpointer data, const PhPath *path, const uint8_t *bytes,
                              size_t length, uint64_t now)
{
    ph_classifier_handle_datagram(((Classify *)data)->classifier, path, bytes, length, now);
}

static void classify_unreachable(gpointer data, const PhPath *path, uint64_t now)
{
    ph_classifier_unreachable(((Classify *)data)->classifier, path, now);
}

static uint64_t classify_next_timeout(gpointer data)
{
    return ph_classifier_next_timeout(((Classify *)data)->classifier);
}

static void classify_timeout(gpointer data, uint64_t now)
{
    ph_classifier_handle_timeout(((Classify *)data)->classifier, now);
}

/* What engines with processes read from `pinhole classify --json`. */
static void classify_claims(gpointer data, PlFindings *ret_claims)
{
    const PhClassification *c = &((Classify *)data)->result;
    const gboolean blocked = c->nat_class == PH_CLASS_UDP_BLOCKED;
    PhAddress external = c->mapped;
    char text[PH_ADDRESS_TEXT_MAX];
    Row rows[ROWS];

    make_rows(c, rows);
    for (unsigned i = 0; i < ROWS; i++) {
        gboolean known = strcmp(rows[i].word, ph_class_name(PH_CLASS_UNKNOWN)) != 0;

        pl_findings_set(ret_claims, rows[i].axis, known ? rows[i].word : NULL,
                        known ? NULL : rows[i].why);
    }
    external.port = 0;
    if (external.family != PH_FAMILY_NONE) {
        pl_findings_set(ret_claims, PL_AXIS_EXTERNAL, ph_address_format(&external, text), NULL);
        pl_findings_set(ret_claims, PL_AXIS_UDP, pl_pass_name(PL_PASS_YES), NULL);
        return;
    }
    pl_findings_set(ret_claims, PL_AXIS_EXTERNAL, NULL, c->why.nat_class);
    pl_findings_set(ret_claims, PL_AXIS_UDP, blocked ? pl_pass_name(PL_PASS_BLOCKED) : NULL,
                    blocked ? NULL : c->why.nat_class);
}

const PlAgentClass pl_classify_agent = {
    .word = PL_WORD_CLASSIFY,
    .new = classify_new,
    .free = classify_free,
    .poll = classify_poll,
    .opened = classify_opened,
    .datagram = classify_datagram,
    .unreachable = classify_unreachable,
    .next_timeout = classify_next_timeout,
    .timeout = classify_timeout,
    .claims = classify_claims,
};
