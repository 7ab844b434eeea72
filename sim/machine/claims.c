/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a classification's JSON to findings. It comes from the program under test: anything may
 * stand there. */
#include "machine/claims.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "topology/topology.h"
#include "topology/units.h"
#include "topology/words.h"

#define SCHEMA     1
#define TEXT_MAX   (8 * 1024) /* a classification has some 1000; json-glib nests by recursion */
#define REASON_MAX 200

typedef struct Member {
    const char *const *words;
    unsigned n_words;
    PlAxis axis;
} Member;

#define WORDS(words) (words), G_N_ELEMENTS(words)

static const Member members[] = {
    {WORDS(pl_class_words), PL_AXIS_CLASS},
    {WORDS(pl_mapping_words), PL_AXIS_MAPPING},
    {WORDS(pl_filtering_words), PL_AXIS_FILTERING},
    {WORDS(pl_port_allocation_words), PL_AXIS_PORT_ALLOCATION},
    {WORDS(pl_pooling_words), PL_AXIS_POOLING},
    {WORDS(pl_hairpin_words), PL_AXIS_HAIRPIN},
};

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...)
{
    va_list arguments;
    g_autofree char *text = NULL;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "what it put out is no classification: %s", text);
    return FALSE;
}

/* A member's string; NULL when it has none. */
static const char *string_of(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                   : NULL;
}

/* Why something is unknown; there is always a reason. */
static char *reason_of(JsonObject *root, const char *name)
{
    JsonNode *why = json_object_get_member(root, "why");
    const char *reason =
        why && JSON_NODE_HOLDS_OBJECT(why) ? string_of(json_node_get_object(why), name) : NULL;

    return reason && *reason ? pl_printable(reason, REASON_MAX) : g_strdup("it gives no reason");
}

static gboolean read_member(JsonObject *root, const Member *member, PlFindings *claims,
                            GError **error)
{
    const char *name = pl_axis_name(member->axis), *word = string_of(root, name);
    g_autofree char *reason = NULL, *shown = NULL;

    if (!word)
        return fail(error, "\"%s\" is missing (expected a word)", name);
    if (strcmp(word, "unknown") == 0) {
        reason = reason_of(root, name);
        pl_findings_set(claims, member->axis, NULL, reason);
        return TRUE;
    }
    for (unsigned i = 0; i < member->n_words; i++) {
        if (strcmp(word, member->words[i]) == 0) {
            pl_findings_set(claims, member->axis, word, NULL);
            return TRUE;
        }
    }
    shown = pl_printable(word, 64);
    return fail(error, "\"%s\" is \"%s\" (expected one of its words)", name, shown);
}

/* The address without the port, and with it whether UDP passes. */
static gboolean read_external(JsonObject *root, PlFindings *claims, GError **error)
{
    const char *text = string_of(root, "external");
    g_autofree char *reason = reason_of(root, "class");
    char shown[PH_ADDRESS_TEXT_MAX];
    PhAddress address;

    if (text && !ph_address_parse(text, &address))
        return fail(error, "\"external\" is no address (expected one, or null)");
    if (text) {
        address.port = 0;
        pl_findings_set(claims, PL_AXIS_EXTERNAL, ph_address_format(&address, shown), NULL);
        pl_findings_set(claims, PL_AXIS_UDP, pl_pass_name(PL_PASS_YES), NULL);
    } else {
        gboolean blocked = g_strcmp0(claims->value[PL_AXIS_CLASS], "udp-blocked") == 0;

        pl_findings_set(claims, PL_AXIS_EXTERNAL, NULL, reason);
        pl_findings_set(claims, PL_AXIS_UDP, blocked ? pl_pass_name(PL_PASS_BLOCKED) : NULL,
                        blocked ? NULL : reason);
    }
    return TRUE;
}

static gboolean read_all(JsonObject *root, PlFindings *claims, GError **error)
{
    JsonNode *schema = json_object_get_member(root, "schema");

    if (!schema || json_node_get_value_type(schema) != G_TYPE_INT64 ||
        json_node_get_int(schema) != SCHEMA)
        return fail(error, "its schema is another (expected %d)", SCHEMA);
    for (gsize i = 0; i < G_N_ELEMENTS(members); i++)
        if (!read_member(root, &members[i], claims, error))
            return FALSE;
    return read_external(root, claims, error);
}

gboolean pl_claims_read(const char *text, PlFindings *ret_claims, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    g_auto(PlFindings) claims = {0};
    JsonNode *root;

    if (strlen(text) > TEXT_MAX)
        return fail(error, "it is too long (expected %d bytes at most)", TEXT_MAX);
    if (!json_parser_load_from_data(parser, text, -1, NULL))
        return fail(error, "it is not JSON");
    root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root))
        return fail(error, "it is not an object");
    if (!read_all(json_node_get_object(root), &claims, error))
        return FALSE;
    pl_findings_clear(ret_claims);
    *ret_claims = claims;
    claims = (PlFindings){0};
    return TRUE;
}
