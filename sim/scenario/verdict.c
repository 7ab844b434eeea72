/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verdict as an object. judge.c fills in its outcome, verdict_json.c is its form on paper. */
#include "scenario/verdict.h"

#include <assert.h>
#include <string.h>

#include "scenario/engine.h"
#include "scenario/verdict_private.h"

static void subject_free(gpointer data)
{
    PlSubject *subject = data;

    if (!subject)
        return;
    pl_findings_clear(&subject->expected);
    pl_findings_clear(&subject->certified);
    pl_findings_clear(&subject->claimed);
    pl_findings_clear(&subject->observed);
    g_free(subject->name);
    g_free(subject->output);
    pl_status_free(subject->status);
    g_free(subject);
}

static void path_free(gpointer data)
{
    PlPath *path = data;
    PlPathFinding *const all[] = {&path->expected, &path->claimed, &path->observed};

    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        pl_path_finding_set(all[i], NULL, NULL);
    g_free(path->from);
    g_free(path->to);
    g_free(path);
}

PlVerdict *pl_verdict_empty(void)
{
    PlVerdict *verdict = g_new0(PlVerdict, 1);

    verdict->paths = g_ptr_array_new_with_free_func(path_free);
    verdict->subjects = g_ptr_array_new_with_free_func(subject_free);
    verdict->reasons = g_ptr_array_new_with_free_func(g_free);
    return verdict;
}

PlSubject *pl_verdict_add(PlVerdict *verdict, const char *name, PlNodeKind kind)
{
    PlSubject *subject = g_new0(PlSubject, 1);

    subject->name = g_strdup(name);
    subject->kind = kind;
    subject->exit_status = -1;
    g_ptr_array_add(verdict->subjects, subject);
    return subject;
}

void pl_path_finding_set(PlPathFinding *finding, const char *value, const char *why)
{
    char *old[] = {finding->value, finding->why};

    finding->value = g_strdup(value);
    finding->why = g_strdup(why);
    for (gsize i = 0; i < G_N_ELEMENTS(old); i++)
        g_free(old[i]);
}

PlPath *pl_verdict_add_path(PlVerdict *verdict, const char *from, const char *to)
{
    PlPath *path = g_new0(PlPath, 1);

    path->from = g_strdup(from);
    path->to = g_strdup(to);
    g_ptr_array_add(verdict->paths, path);
    return path;
}

PlPath *pl_verdict_path(const PlVerdict *verdict, const char *from, const char *to)
{
    for (guint i = 0; i < verdict->paths->len; i++) {
        PlPath *path = g_ptr_array_index(verdict->paths, i);

        if (g_str_equal(path->from, from) && g_str_equal(path->to, to))
            return path;
    }
    return NULL;
}

char *pl_path_word(const char *kind, const char *detail)
{
    return detail ? g_strdup_printf("%s(%s)", kind, detail) : g_strdup(kind);
}

gboolean pl_path_is_final(const char *kind, const char *reason)
{
    return g_strcmp0(kind, "relayed") == 0 && g_strcmp0(reason, "relay") == 0;
}

/* Quotes only what a shell would not take as it is. */
static char *shell_word(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-+=:,@";

    if (*text && text[strspn(text, plain)] == '\0')
        return g_strdup(text);
    return g_shell_quote(text);
}

PlVerdict *pl_verdict_new(const PlTopology *topology, const char *engine, uint64_t seed)
{
    PlVerdict *verdict = pl_verdict_empty();
    g_autofree char *path = shell_word(topology->path);

    assert(seed <= PL_SEED_MAX);
    verdict->topology = g_strdup(topology->name);
    verdict->title = g_strdup(topology->title);
    verdict->engine = g_strdup(engine);
    verdict->seed = seed;
    verdict->command = g_strdup_printf("pinlab run %s --engine %s --seed %" G_GUINT64_FORMAT,
                                       topology->command ? topology->command : path, engine, seed);
    for (guint i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        PlSubject *subject = pl_verdict_add(verdict, node->name, node->kind);

        subject->has_program = node->program.argv != NULL;
    }
    return verdict;
}

void pl_verdict_free(PlVerdict *verdict)
{
    if (!verdict)
        return;
    g_ptr_array_unref(verdict->subjects);
    g_ptr_array_unref(verdict->paths);
    g_ptr_array_unref(verdict->reasons);
    g_free(verdict->topology);
    g_free(verdict->title);
    g_free(verdict->engine);
    g_free(verdict->command);
    g_free(verdict->capture);
    g_free(verdict->packets_sha256);
    g_free(verdict->capture_sha256);
    g_free(verdict);
}

static int badness(PlOutcome outcome)
{
    switch (outcome) {
    case PL_OUTCOME_PASS:
        return 0;
    case PL_OUTCOME_SKIP:
        return 1;
    case PL_OUTCOME_FAIL:
        return 2;
    }
    assert(!"an outcome");
}

void pl_verdict_reason(PlVerdict *verdict, PlOutcome outcome, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (badness(outcome) > badness(verdict->outcome))
        verdict->outcome = outcome;
    if (!g_ptr_array_find_with_equal_func(verdict->reasons, text, g_str_equal, NULL))
        g_ptr_array_add(verdict->reasons, g_steal_pointer(&text));
}

void pl_verdict_error(PlVerdict *verdict, const GError *error)
{
    gboolean unsupported = g_error_matches(error, PL_ERROR, PL_ERROR_UNSUPPORTED);

    pl_verdict_reason(verdict, unsupported ? PL_OUTCOME_SKIP : PL_OUTCOME_FAIL, "%s",
                      error->message);
}

PlSubject *pl_verdict_subject(PlVerdict *verdict, const char *name)
{
    for (guint i = 0; i < verdict->subjects->len; i++) {
        PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        if (g_str_equal(subject->name, name))
            return subject;
    }
    return NULL;
}

const char *pl_outcome_name(PlOutcome outcome)
{
    switch (outcome) {
    case PL_OUTCOME_PASS:
        return "pass";
    case PL_OUTCOME_FAIL:
        return "fail";
    case PL_OUTCOME_SKIP:
        return "skip";
    }
    assert(!"an outcome");
}

void pl_program_result_clear(PlProgramResult *result)
{
    g_free(result->output);
    *result = (PlProgramResult){0};
}
