/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A verdict out of JSON that verdict_json.c has written, or somebody else. */
#include "scenario/verdict_private.h"

#define DURATION_MAX 1e6 /* seconds; a longer one is not a duration */

static gboolean refuse(GError **error, const char *key, const char *wanted)
{
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "verdict: %s: expected %s", key, wanted);
    return FALSE;
}

static JsonObject *get_object(JsonObject *object, const char *key, GError **error)
{
    JsonNode *node = json_object_get_member(object, key);

    if (node && JSON_NODE_HOLDS_OBJECT(node))
        return json_node_get_object(node);
    refuse(error, key, "an object");
    return NULL;
}

static JsonArray *get_strings(JsonObject *object, const char *key, GError **error)
{
    JsonNode *node = json_object_get_member(object, key);
    JsonArray *array = node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        if (json_node_get_value_type(json_array_get_element(array, i)) != G_TYPE_STRING)
            array = NULL;
    }
    if (!array)
        refuse(error, key, "a list of strings");
    return array;
}

/* A string, or null where that is allowed. */
static gboolean get_text(JsonObject *object, const char *key, gboolean nullable, char **ret_text,
                         GError **error)
{
    JsonNode *node = json_object_get_member(object, key);

    if (!node ||
        !(JSON_NODE_HOLDS_NULL(node) ? nullable : json_node_get_value_type(node) == G_TYPE_STRING))
        return refuse(error, key, nullable ? "a string or null" : "a string");
    g_free(*ret_text);
    *ret_text = json_node_dup_string(node);
    return TRUE;
}

/* Verdicts of before it was there have none. */
static gboolean get_new_text(JsonObject *object, const char *key, char **ret_text, GError **error)
{
    return !json_object_has_member(object, key) ||
           get_text(object, key, /* nullable= */ TRUE, ret_text, error);
}

static gboolean get_int(JsonObject *object, const char *key, gint64 max, gint64 *ret_value,
                        GError **error)
{
    JsonNode *node = json_object_get_member(object, key);

    if (!node || !JSON_NODE_HOLDS_VALUE(node) || json_node_get_value_type(node) != G_TYPE_INT64 ||
        json_node_get_int(node) < 0 || json_node_get_int(node) > max)
        return refuse(error, key, "a whole number within its limits");
    *ret_value = json_node_get_int(node);
    return TRUE;
}

static gboolean get_duration(JsonObject *object, uint64_t *ret_ns, GError **error)
{
    JsonNode *node = json_object_get_member(object, "duration_s");
    GType type = node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : 0;
    double seconds =
        type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double(node) : -1;

    if (!(seconds >= 0 && seconds <= DURATION_MAX))
        return refuse(error, "duration_s", "a number of seconds");
    *ret_ns = (uint64_t)(seconds * PL_VERDICT_NS_PER_S + 0.5);
    return TRUE;
}

static gboolean axis_from_json(PlSubject *subject, PlAxis axis, JsonObject *object, GError **error)
{
    JsonObject *why = NULL;

    if (json_object_has_member(object, "why") && !(why = get_object(object, "why", error)))
        return FALSE;
    for (unsigned i = 0; i < PL_JUDGES; i++) {
        PlFindings *findings = pl_verdict_findings(subject, i);

        if (!get_text(object, pl_judge_names[i], TRUE, &findings->value[axis], error))
            return FALSE;
        if (why && json_object_has_member(why, pl_judge_names[i]) &&
            !get_text(why, pl_judge_names[i], FALSE, &findings->why[axis], error))
            return FALSE;
    }
    return TRUE;
}

static gboolean axes_from_json(PlSubject *subject, JsonObject *object, GError **error)
{
    JsonObject *axes = get_object(object, "axes", error);

    if (!axes)
        return FALSE;
    for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
        JsonObject *from = pl_verdict_axis_on_top(axis) ? object : axes, *value;

        if (!pl_verdict_axis_on_top(axis) && !json_object_has_member(axes, pl_axis_name(axis)))
            continue;
        if (!(value = get_object(from, pl_axis_name(axis), error)) ||
            !axis_from_json(subject, axis, value, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean program_from_json(PlSubject *subject, JsonObject *object, GError **error)
{
    JsonNode *node = json_object_get_member(object, "program");
    JsonObject *program;
    gint64 status;

    if (node && JSON_NODE_HOLDS_NULL(node))
        return TRUE;
    if (!(program = get_object(object, "program", error)) ||
        !get_text(program, "output", TRUE, &subject->output, error))
        return FALSE;
    subject->has_program = TRUE;
    if (json_object_has_member(program, "exit") && json_object_get_null_member(program, "exit"))
        return TRUE;
    if (!get_int(program, "exit", G_MAXINT, &status, error))
        return FALSE;
    subject->exit_status = (int)status;
    return TRUE;
}

/* Only who runs one has it. */
static gboolean status_from_json(PlSubject *subject, JsonObject *object, GError **error)
{
    JsonObject *status;

    if (!json_object_has_member(object, "node"))
        return TRUE;
    status = get_object(object, "node", error);
    subject->status = status ? pl_status_from_json(status, error) : NULL;
    return subject->status != NULL;
}

static gboolean subjects_from_json(PlVerdict *verdict, JsonObject *object, GError **error)
{
    JsonArray *nodes = get_strings(object, "nodes", error);
    JsonObject *hosts = nodes ? get_object(object, "hosts", error) : NULL;
    JsonObject *nats = hosts ? get_object(object, "nats", error) : NULL;

    if (!nats)
        return FALSE;
    for (guint i = 0; i < json_array_get_length(nodes); i++) {
        const char *name = json_array_get_string_element(nodes, i);
        gboolean nat = json_object_has_member(nats, name);
        JsonObject *from = get_object(nat ? nats : hosts, name, error);
        PlSubject *subject;

        if (!from)
            return FALSE;
        subject = pl_verdict_add(verdict, name, nat ? PL_NODE_NAT : PL_NODE_HOST);
        if (!axes_from_json(subject, from, error) ||
            (!nat && !program_from_json(subject, from, error)) ||
            (!nat && !status_from_json(subject, from, error)))
            return FALSE;
    }
    return TRUE;
}

static gboolean path_from_json(PlVerdict *verdict, JsonObject *object, GError **error)
{
    g_autofree char *from = NULL, *to = NULL;
    JsonObject *why = NULL;
    PlPath *path;

    if (!get_text(object, "from", FALSE, &from, error) ||
        !get_text(object, "to", FALSE, &to, error) ||
        (json_object_has_member(object, "why") && !(why = get_object(object, "why", error))))
        return FALSE;
    path = pl_verdict_add_path(verdict, from, to);
    for (unsigned judge = 0; judge < PL_PATH_JUDGES; judge++) {
        PlPathFinding *finding = pl_verdict_path_finding(path, judge);

        if (!get_text(object, pl_path_judges[judge], TRUE, &finding->value, error) ||
            (why && json_object_has_member(why, pl_path_judges[judge]) &&
             !get_text(why, pl_path_judges[judge], FALSE, &finding->why, error)))
            return FALSE;
    }
    return TRUE;
}

/* Verdicts of before they were there have none. */
static gboolean paths_from_json(PlVerdict *verdict, JsonObject *object, GError **error)
{
    JsonNode *node = json_object_get_member(object, "paths");

    if (node && !JSON_NODE_HOLDS_ARRAY(node))
        return refuse(error, "paths", "a list of objects");
    for (guint i = 0; node && i < json_array_get_length(json_node_get_array(node)); i++) {
        JsonNode *element = json_array_get_element(json_node_get_array(node), i);

        if (!JSON_NODE_HOLDS_OBJECT(element))
            return refuse(error, "paths", "a list of objects");
        if (!path_from_json(verdict, json_node_get_object(element), error))
            return FALSE;
    }
    return TRUE;
}

static gboolean outcome_from_json(PlVerdict *verdict, JsonObject *object, GError **error)
{
    JsonArray *reasons = get_strings(object, "reasons", error);
    g_autofree char *name = NULL;

    if (!reasons || !get_text(object, "verdict", FALSE, &name, error))
        return FALSE;
    for (guint i = 0; i < json_array_get_length(reasons); i++)
        g_ptr_array_add(verdict->reasons, g_strdup(json_array_get_string_element(reasons, i)));
    for (PlOutcome outcome = PL_OUTCOME_PASS; outcome <= PL_OUTCOME_SKIP; outcome++) {
        verdict->outcome = outcome;
        if (g_str_equal(name, pl_outcome_name(outcome)))
            return TRUE;
    }
    return refuse(error, "verdict", "pass, fail or skip");
}

/* Verdicts of before it was there have none. */
static gboolean bad_input_from_json(PlVerdict *verdict, JsonObject *object, GError **error)
{
    JsonNode *node = json_object_get_member(object, "bad_input");

    if (node && json_node_get_value_type(node) != G_TYPE_BOOLEAN)
        return refuse(error, "bad_input", "true or false");
    verdict->bad_input = node && json_node_get_boolean(node);
    return TRUE;
}

PlVerdict *pl_verdict_from_json(JsonNode *node, GError **error)
{
    g_autoptr(PlVerdict) verdict = pl_verdict_empty();
    JsonObject *object = node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    gint64 schema, seed;

    if (!object) {
        refuse(error, "the whole", "an object");
        return NULL;
    }
    if (!get_int(object, "schema", PL_VERDICT_SCHEMA, &schema, error))
        return NULL;
    if (schema != PL_VERDICT_SCHEMA) {
        refuse(error, "schema", "1");
        return NULL;
    }
    if (!get_text(object, "topology", FALSE, &verdict->topology, error) ||
        !get_text(object, "title", TRUE, &verdict->title, error) ||
        !get_text(object, "engine", FALSE, &verdict->engine, error) ||
        !get_int(object, "seed", (gint64)PL_SEED_MAX, &seed, error) ||
        !get_duration(object, &verdict->duration_ns, error) ||
        !outcome_from_json(verdict, object, error) ||
        !bad_input_from_json(verdict, object, error) ||
        !subjects_from_json(verdict, object, error) || !paths_from_json(verdict, object, error) ||
        !get_text(object, "capture", TRUE, &verdict->capture, error) ||
        !get_text(object, "command", TRUE, &verdict->command, error) ||
        !get_new_text(object, "packets_sha256", &verdict->packets_sha256, error) ||
        !get_new_text(object, "capture_sha256", &verdict->capture_sha256, error))
        return NULL;
    verdict->seed = (uint64_t)seed;
    return g_steal_pointer(&verdict);
}
