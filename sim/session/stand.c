/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a topology to a lab that is fit to work in; the first half of what scenario.c does. */
#include "session/stand.h"

#include "scenario/expected.h"
#include "scenario/survey.h"
#include "scenario/verdict.h"

static void fail(GError **error, int code, const GPtrArray *reasons)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < reasons->len; i++)
        g_string_append_printf(text, "%s%s", i ? "; " : "",
                               (const char *)g_ptr_array_index(reasons, i));
    g_set_error_literal(error, PL_ERROR, code, text->str);
}

static gboolean is_refused(const PlTopology *topology, const PlEngine *engine, GError **error)
{
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);

    engine->refuse(topology, reasons);
    if (reasons->len > 0)
        fail(error, PL_ERROR_UNSUPPORTED, reasons);
    return reasons->len > 0;
}

static gboolean certify(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                        uint64_t seed, GError **error)
{
    g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, engine->name, seed);

    pl_expected_fill(topology, verdict);
    if (!pl_survey_run(topology, engine, lab, seed, /* certify= */ TRUE, verdict, error))
        return FALSE;
    pl_verdict_judge_setup(verdict);
    if (verdict->outcome == PL_OUTCOME_PASS)
        return TRUE;
    fail(error, PL_ERROR_FAILED, verdict->reasons);
    return FALSE;
}

static gboolean start_programs(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                               GError **error)
{
    g_autoptr(GPtrArray) programs = pl_topology_programs(topology);

    for (unsigned i = 0; i < programs->len; i++) {
        if (!engine->start(lab, g_ptr_array_index(programs, i), error))
            return FALSE;
    }
    return TRUE;
}

PlLab *pl_stand_up(const PlTopology *topology, const PlEngine *engine, uint64_t seed,
                   GError **error)
{
    PlLab *lab;

    if (is_refused(topology, engine, error))
        return NULL;
    lab = engine->up(topology, seed, error);
    if (!lab)
        return NULL;
    if (certify(topology, engine, lab, seed, error) && engine->reset(lab, error) &&
        start_programs(topology, engine, lab, error))
        return lab;
    engine->down(lab);
    return NULL;
}

gboolean pl_stand_steps(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                        void (*tell)(const PlStep *step, gpointer data), gpointer data,
                        GError **error)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (!engine->step(lab, step, error)) {
            g_prefix_error(error, "[step %u]: ", step->number);
            return FALSE;
        }
        tell(step, data);
    }
    return TRUE;
}
