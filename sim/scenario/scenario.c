/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One run of one topology on one engine; see scenario.h. */
#include "scenario/scenario.h"

#include "capture/evidence.h"
#include "scenario/claimed.h"
#include "scenario/expected.h"
#include "scenario/paths.h"
#include "scenario/story.h"
#include "scenario/survey.h"

typedef struct Scenario {
    const PlTopology *topology;
    const PlEngine *engine;
    PlLab *lab;
    uint64_t seed;
    int capture_fd;
    PlStory *story;
    PlVerdict *verdict;
    const PlScenarioWatch *watch;
    GPtrArray *programs; /* PlNode: hosts in the order in which their programs start */
    unsigned n_started;  /* so many of them have had their turn */
} Scenario;

static void begin(const Scenario *scenario, const char *phase)
{
    if (scenario->watch->phase)
        scenario->watch->phase(phase, scenario->watch->data);
}

static gboolean run_programs(Scenario *scenario, GError **error)
{
    begin(scenario, "programs");
    while (scenario->n_started < scenario->programs->len) {
        const PlNode *host = g_ptr_array_index(scenario->programs, scenario->n_started++);

        if (!scenario->engine->start(scenario->lab, host, error))
            return FALSE;
    }
    begin(scenario, "steps");
    pl_story_begin(scenario->story, scenario->engine->wall(scenario->lab));
    for (unsigned i = 0; i < scenario->topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(scenario->topology->steps, i);

        if (!scenario->engine->step(scenario->lab, step, error)) {
            g_prefix_error(error, "[step %u]: ", step->number);
            return FALSE;
        }
        pl_story_done(scenario->story, i, scenario->engine->wall(scenario->lab));
    }
    return TRUE;
}

/* What the file expects of a program may still be coming, and so may claims. */
static gboolean await_programs(const Scenario *scenario, GError **error)
{
    begin(scenario, "await");
    for (unsigned i = 0; i < scenario->programs->len; i++) {
        const PlNode *host = g_ptr_array_index(scenario->programs, i);

        if (host->program.word == PL_WORD_CLASSIFY &&
            !scenario->engine->await(scenario->lab, host, /* text= */ NULL, error))
            return FALSE;
    }
    for (unsigned i = 0; i < scenario->topology->expects->len; i++) {
        const PlExpect *expect = g_ptr_array_index(scenario->topology->expects, i);
        gboolean output = expect->kind == PL_EXPECT_OUTPUT;

        if (expect->node->program.word == PL_WORD_NODE && expect->kind == PL_EXPECT_HEARS)
            continue; /* these are no lines */
        for (char **text = expect->hears; text && *text; text++)
            if (!scenario->engine->await(scenario->lab, expect->node, *text, error))
                return FALSE;
        if ((output || expect->kind == PL_EXPECT_EXIT) &&
            !scenario->engine->await(scenario->lab, expect->node, output ? expect->value : NULL,
                                     error))
            return FALSE;
    }
    return pl_story_await(scenario->story, scenario->engine, scenario->lab, error) &&
           pl_paths_settle(scenario->topology, scenario->engine, scenario->lab, scenario->verdict,
                           error);
}

/* What the programs left, also when something went wrong: it may say why. One that was the reason
 * itself may have left nothing; the first error is told. */
static gboolean collect_programs(const Scenario *scenario, GError **error)
{
    gboolean done = TRUE;

    for (unsigned i = 0; i < scenario->n_started; i++) {
        const PlNode *host = g_ptr_array_index(scenario->programs, i);
        PlSubject *subject = pl_verdict_subject(scenario->verdict, host->name);
        PlProgramResult result = {0};

        if (!scenario->engine->result(scenario->lab, host, &result, done ? error : NULL)) {
            done = FALSE;
            continue;
        }
        subject->exit_status = result.ended ? result.exit_status : -1;
        subject->output = g_steal_pointer(&result.output);
        pl_program_result_clear(&result);
        if (host->program.word == PL_WORD_NODE)
            subject->status = scenario->engine->status(scenario->lab, host);
    }
    return done;
}

/* What classifications say, in file order. One that could not be done has its exit status for it;
 * one that says nonsense has failed. */
static void collect_claims(const Scenario *scenario)
{
    for (unsigned i = 0; i < scenario->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(scenario->topology->nodes, i);
        const PlSubject *subject = pl_verdict_subject(scenario->verdict, host->name);
        g_auto(PlFindings) claims = {0};
        g_autoptr(GError) error = NULL;

        if (host->program.word != PL_WORD_CLASSIFY)
            continue;
        if (subject->exit_status < 0)
            pl_verdict_reason(scenario->verdict, PL_OUTCOME_FAIL,
                              "host %s: its classification had not ended at the end", host->name);
        else if (!pl_expected_classified(subject->exit_status))
            continue;
        else if (scenario->engine->claims(scenario->lab, host, &claims, &error))
            pl_claimed_fill(scenario->topology, scenario->verdict, host, &claims);
        else
            pl_verdict_error(scenario->verdict, error);
    }
}

/* The ports of a NAT's UDP forwards. */
static GArray *forwarded_ports(const PlNode *nat)
{
    GArray *ports = g_array_new(FALSE, FALSE, sizeof(uint16_t));

    for (unsigned i = 0; i < nat->forwards->len; i++) {
        const PlForward *forward = &g_array_index(nat->forwards, PlForward, i);

        if (forward->protocol == PL_PROTOCOL_UDP)
            g_array_append_val(ports, forward->outside_port);
    }
    return ports;
}

static gboolean judge_host(const Scenario *scenario, const PlCapture *capture, const PlNode *host,
                           PlSubject *subject, GError **error)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(scenario->topology, host);
    const PlAttachment *own = pl_topology_way_out(scenario->topology, host);
    PhAddress address = g_array_index(own->addresses, PhAddress, 0);
    g_autoptr(GArray) forgot = pl_story_forgot(scenario->story, chain);
    PlEvidenceQuery query = {
        .inside = own->label, .outside = own->label, .host = &address, .forgot = forgot};
    g_autoptr(GArray) forwarded = NULL;

    if (chain->len > 0) {
        const PlNode *outermost = g_ptr_array_index(chain, chain->len - 1);

        query.inside = pl_nat_inside(g_ptr_array_index(chain, 0))->label;
        query.outside = pl_nat_outside(outermost)->label;
        query.external = pl_topology_external(chain);
        forwarded = forwarded_ports(outermost);
        query.forwarded = forwarded;
    }
    return pl_evidence_judge(capture, &query, &subject->observed, error);
}

static gboolean judge_nat(const Scenario *scenario, const PlCapture *capture, const PlNode *nat,
                          PlSubject *subject, GError **error)
{
    g_autoptr(GArray) forwarded = forwarded_ports(nat);
    g_autoptr(GPtrArray) itself = g_ptr_array_new();
    g_autoptr(GArray) forgot = NULL;
    PlEvidenceQuery query = {
        .inside = pl_nat_inside(nat)->label,
        .outside = pl_nat_outside(nat)->label,
        .external =
            nat->behaviour.mapping == PL_MAPPING_NONE ? NULL : pl_nat_outside(nat)->addresses,
        .forwarded = forwarded,
    };

    g_ptr_array_add(itself, (gpointer)nat);
    forgot = pl_story_forgot(scenario->story, itself);
    query.forgot = forgot;
    return pl_evidence_judge(capture, &query, &subject->observed, error);
}

static gboolean judge_evidence(const Scenario *scenario, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new_from_fd(scenario->capture_fd, FALSE, error);
    g_autoptr(GBytes) bytes = file ? g_mapped_file_get_bytes(file) : NULL;
    g_autoptr(PlCapture) capture =
        bytes ? pl_capture_parse("the lab's recording", bytes, error) : NULL;

    if (!capture)
        return FALSE;
    if (scenario->watch->digests && scenario->engine->digest) {
        scenario->verdict->packets_sha256 = scenario->engine->digest(scenario->lab);
        scenario->verdict->capture_sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    }
    for (unsigned i = 0; i < scenario->topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(scenario->topology->nodes, i);
        PlSubject *subject = pl_verdict_subject(scenario->verdict, node->name);

        if (node->kind == PL_NODE_NAT) {
            if (!judge_nat(scenario, capture, node, subject, error))
                return FALSE;
        } else if (pl_expected_any(subject) &&
                   !judge_host(scenario, capture, node, subject, error)) {
            return FALSE;
        }
    }
    return pl_paths_observe(scenario->topology, capture, scenario->verdict, error) &&
           pl_story_judge(scenario->story, capture, scenario->verdict, error);
}

static void record_nodes(const Scenario *scenario)
{
    const PlScenarioWatch *watch = scenario->watch;

    for (guint i = 0; watch->node_recording && i < scenario->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(scenario->topology->nodes, i);
        int fd = host->program.word == PL_WORD_NODE ? watch->node_recording(host, watch->data) : -1;

        if (fd >= 0)
            scenario->engine->record_node(scenario->lab, host, fd);
    }
}

static gboolean run_recorded(Scenario *scenario, GError **error)
{
    const PlEngine *engine = scenario->engine;
    gboolean done, whole;

    begin(scenario, "record");
    if (!engine->reset(scenario->lab, error) ||
        !engine->record(scenario->lab, scenario->capture_fd, error))
        return FALSE;
    record_nodes(scenario);
    done = run_programs(scenario, error) && await_programs(scenario, error);
    if (done) {
        begin(scenario, "exercise");
        done = pl_survey_run(scenario->topology, engine, scenario->lab, scenario->seed, FALSE,
                             scenario->verdict, error);
    }
    done = collect_programs(scenario, done ? error : NULL) && done;
    if (done)
        collect_claims(scenario);
    /* The recording is wanted all the more when something went wrong. */
    begin(scenario, "judge");
    whole = engine->record_stop(scenario->lab, done ? error : NULL);
    if (whole && scenario->watch->recorded)
        scenario->watch->recorded(scenario->watch->data);
    return whole && done;
}

static gboolean run_lab(Scenario *scenario, GError **error)
{
    begin(scenario, "certify");
    if (!pl_survey_run(scenario->topology, scenario->engine, scenario->lab, scenario->seed, TRUE,
                       scenario->verdict, error))
        return FALSE;
    if (!run_recorded(scenario, error))
        return FALSE;
    if (!judge_evidence(scenario, error))
        return FALSE;
    pl_verdict_judge(scenario->verdict);
    pl_expected_addresses(scenario->topology, scenario->verdict);
    pl_expected_programs(scenario->topology, scenario->verdict);
    return TRUE;
}

static gboolean is_refused(const PlTopology *topology, const PlEngine *engine, PlVerdict *verdict)
{
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);

    engine->refuse(topology, reasons);
    for (unsigned i = 0; i < reasons->len; i++)
        pl_verdict_reason(verdict, PL_OUTCOME_SKIP, "%s",
                          (const char *)g_ptr_array_index(reasons, i));
    return reasons->len > 0;
}

PlVerdict *pl_scenario_run(const PlTopology *topology, const PlEngine *engine, uint64_t seed,
                           int capture_fd, const PlScenarioWatch *watch)
{
    g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, engine->name, seed);
    g_autoptr(GPtrArray) programs = pl_topology_programs(topology);
    g_autoptr(PlStory) story = pl_story_new(topology, seed);
    Scenario scenario = {
        .topology = topology,
        .engine = engine,
        .seed = seed,
        .capture_fd = capture_fd,
        .story = story,
        .verdict = verdict,
        .watch = watch,
        .programs = programs,
    };
    gint64 start = g_get_monotonic_time();
    g_autoptr(GError) error = NULL;

    pl_expected_fill(topology, verdict);
    if (is_refused(topology, engine, verdict))
        return g_steal_pointer(&verdict);
    begin(&scenario, "up");
    scenario.lab = engine->up(topology, seed, &error);
    verdict->bad_input = g_error_matches(error, PL_ERROR, PL_ERROR_INPUT);
    if (scenario.lab && watch->digests && engine->digest_begin)
        engine->digest_begin(scenario.lab);
    if (scenario.lab && watch->standing)
        watch->standing(topology, engine, scenario.lab, watch->data);
    if (!scenario.lab || !run_lab(&scenario, &error))
        pl_verdict_error(verdict, error);
    begin(&scenario, "down");
    if (scenario.lab)
        engine->down(scenario.lab);
    verdict->duration_ns = (uint64_t)(g_get_monotonic_time() - start) * 1000;
    return g_steal_pointer(&verdict);
}
