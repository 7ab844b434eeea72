/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A verdict as JSON: docs/verdict.md, schema 1. verdict_read.c reads it back. */
#include <assert.h>

#include "scenario/verdict_private.h"

const char *const pl_judge_names[PL_JUDGES] = {"expected", "certified", "claimed", "observed"};
const char *const pl_path_judges[PL_PATH_JUDGES] = {"expected", "claimed", "observed"};

PlFindings *pl_verdict_findings(PlSubject *subject, unsigned judge)
{
    PlFindings *all[PL_JUDGES] = {&subject->expected, &subject->certified, &subject->claimed,
                                  &subject->observed};

    return all[judge];
}

PlPathFinding *pl_verdict_path_finding(PlPath *path, unsigned judge)
{
    PlPathFinding *all[PL_PATH_JUDGES] = {&path->expected, &path->claimed, &path->observed};

    return all[judge];
}

/* JSON is UTF-8; what a program printed need not be. */
static void set_text(JsonObject *object, const char *key, const char *text)
{
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;

    if (valid)
        json_object_set_string_member(object, key, valid);
    else
        json_object_set_null_member(object, key);
}

static JsonObject *axis_to_json(PlSubject *subject, PlAxis axis)
{
    JsonObject *object = json_object_new();
    JsonObject *why = json_object_new();

    for (unsigned i = 0; i < PL_JUDGES; i++) {
        const PlFindings *findings = pl_verdict_findings(subject, i);

        set_text(object, pl_judge_names[i], findings->value[axis]);
        if (findings->why[axis])
            set_text(why, pl_judge_names[i], findings->why[axis]);
    }
    if (json_object_get_size(why))
        json_object_set_object_member(object, "why", why);
    else
        json_object_unref(why);
    return object;
}

static gboolean is_known(PlSubject *subject, PlAxis axis)
{
    for (unsigned i = 0; i < PL_JUDGES; i++) {
        const PlFindings *findings = pl_verdict_findings(subject, i);

        if (findings->value[axis] || findings->why[axis])
            return TRUE;
    }
    return FALSE;
}

gboolean pl_verdict_axis_on_top(PlAxis axis)
{
    return axis == PL_AXIS_CLASS || axis == PL_AXIS_EXTERNAL;
}

static JsonObject *subject_to_json(PlSubject *subject)
{
    JsonObject *object = json_object_new();
    JsonObject *axes = json_object_new();

    for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
        if (pl_verdict_axis_on_top(axis))
            json_object_set_object_member(object, pl_axis_name(axis), axis_to_json(subject, axis));
        else if (axis == PL_AXIS_MAPPING || axis == PL_AXIS_FILTERING || is_known(subject, axis))
            json_object_set_object_member(axes, pl_axis_name(axis), axis_to_json(subject, axis));
    }
    json_object_set_object_member(object, "axes", axes);
    if (subject->kind == PL_NODE_NAT)
        return object;
    if (subject->has_program) {
        JsonObject *program = json_object_new();

        if (subject->exit_status >= 0)
            json_object_set_int_member(program, "exit", subject->exit_status);
        else
            json_object_set_null_member(program, "exit");
        set_text(program, "output", subject->output);
        json_object_set_object_member(object, "program", program);
    } else {
        json_object_set_null_member(object, "program");
    }
    if (subject->status) {
        JsonObject *status = json_object_new();

        pl_status_to_json(subject->status, status);
        json_object_set_object_member(object, "node", status);
    }
    return object;
}

static void add_subjects(JsonObject *object, const PlVerdict *verdict)
{
    JsonArray *nodes = json_array_new();
    JsonObject *hosts = json_object_new(), *nats = json_object_new();

    for (guint i = 0; i < verdict->subjects->len; i++) {
        PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        json_array_add_string_element(nodes, subject->name);
        json_object_set_object_member(subject->kind == PL_NODE_NAT ? nats : hosts, subject->name,
                                      subject_to_json(subject));
    }
    json_object_set_array_member(object, "nodes", nodes);
    json_object_set_object_member(object, "hosts", hosts);
    json_object_set_object_member(object, "nats", nats);
}

static JsonArray *paths_to_json(const PlVerdict *verdict)
{
    JsonArray *paths = json_array_new();

    for (guint i = 0; i < verdict->paths->len; i++) {
        PlPath *path = g_ptr_array_index(verdict->paths, i);
        JsonObject *object = json_object_new(), *why = json_object_new();

        set_text(object, "from", path->from);
        set_text(object, "to", path->to);
        for (unsigned judge = 0; judge < PL_PATH_JUDGES; judge++) {
            const PlPathFinding *finding = pl_verdict_path_finding(path, judge);

            set_text(object, pl_path_judges[judge], finding->value);
            if (finding->why)
                set_text(why, pl_path_judges[judge], finding->why);
        }
        json_object_set_object_member(object, "why", why);
        if (!json_object_get_size(why))
            json_object_remove_member(object, "why");
        json_array_add_object_element(paths, object);
    }
    return paths;
}

JsonNode *pl_verdict_to_json(const PlVerdict *verdict)
{
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new();
    JsonArray *reasons = json_array_new();

    assert(verdict->seed <= PL_SEED_MAX);
    json_object_set_int_member(object, "schema", PL_VERDICT_SCHEMA);
    set_text(object, "topology", verdict->topology);
    set_text(object, "title", verdict->title);
    set_text(object, "engine", verdict->engine);
    json_object_set_int_member(object, "seed", (gint64)verdict->seed);
    json_object_set_double_member(object, "duration_s",
                                  (double)verdict->duration_ns / PL_VERDICT_NS_PER_S);
    json_object_set_string_member(object, "verdict", pl_outcome_name(verdict->outcome));
    for (guint i = 0; i < verdict->reasons->len; i++) {
        g_autofree char *text = g_utf8_make_valid(g_ptr_array_index(verdict->reasons, i), -1);

        json_array_add_string_element(reasons, text);
    }
    json_object_set_array_member(object, "reasons", reasons);
    json_object_set_boolean_member(object, "bad_input", verdict->bad_input);
    add_subjects(object, verdict);
    json_object_set_array_member(object, "paths", paths_to_json(verdict));
    set_text(object, "capture", verdict->capture);
    set_text(object, "command", verdict->command);
    set_text(object, "packets_sha256", verdict->packets_sha256);
    set_text(object, "capture_sha256", verdict->capture_sha256);
    json_node_take_object(node, object);
    return node;
}
