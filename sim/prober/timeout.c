/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The UDP timeout (RFC 4787 §4.3), when the file claims one that is short enough to be waited for:
 * a mapping must still be there at 0.7 of it, and another one, left alone, must be gone at 1.4. A
 * third socket, contacted anew each time, is the control. What showed that the first mapping was
 * there at 0.7 was an inbound packet: whether it is still there at 1.4 tells if such packets
 * refresh it (REQ-6).
 *
 *     START --> CONTACT --(0.7 T)--> [CONTROL --> TRIAL] --(1.4 T)--> [CONTROL --> TRIAL] --> over
 *       ^                                                  |
 *       +------------- too late to tell anything ----------+
 */
#include <string.h>

#include "prober/probe.h"
#include "topology/units.h"

enum { START, CONTACT, WAIT, CONTROL, TRIAL };

/* A machine under load may let the right moment pass; this often it gets another chance. */
#define ATTEMPTS 3

typedef struct Moment {
    unsigned tenths;   /* of the claimed timeout */
    unsigned too_late; /* when the answer no longer says anything */
} Moment;

/* What an inbound packet has kept alive from 0.7 on is not gone before 1.7. */
static const Moment moments[2] = {{7, 9}, {14, 16}};

static void undecided(PlProber *prober, const char *why)
{
    pl_probe_undecided(prober, PL_AXIS_UDP_TIMEOUT, "%s", why);
    pl_probe_undecided(prober, PL_AXIS_INBOUND_REFRESH, "%s", why);
}

static gboolean is_wanted(PlProber *prober)
{
    if (!prober->claim || !pl_behaviour_shows_timeout(prober->claim))
        return FALSE;
    if (prober->mapping.found == PL_MAPPING_NONE &&
        prober->filtering.found == PL_FILTERING_ENDPOINT_INDEPENDENT) {
        undecided(prober, "everything comes in: nothing expires");
        return FALSE;
    }
    return TRUE;
}

/* Mappings are scarce with some NATs, so sockets that have one are contacted anew. */
static void start(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;

    test->socket[0] = prober->filtering.socket;
    test->socket[1] = prober->reach.socket;
    for (unsigned i = 0; i < 2; i++)
        test->contact[i] = pl_probe_contact(prober, test->socket[i], prober->outside[0][0]);
    test->moment = 0;
}

static uint64_t time_of(const PlProber *prober, unsigned tenths)
{
    const PlTimeoutTest *test = &prober->timeout;

    return pl_probe_flight(prober, test->contact[test->moment])->arrived_ns +
           prober->claim->udp_timeout_ns / 10 * tenths;
}

static void send_probe(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;
    PhAddress external = pl_probe_flight(prober, test->contact[test->moment])->source;

    if (test->moment == 1) {
        PhAddress refreshed = pl_probe_flight(prober, test->contact[0])->source;

        test->again = pl_probe_send(prober, prober->outside[0][0], test->socket[0], &refreshed,
                                    PL_FLIGHT_ONCE);
    }
    test->probe = pl_probe_send(prober, prober->outside[0][0], test->socket[test->moment],
                                &external, PL_FLIGHT_ONCE);
    if (!test->socket[2])
        test->socket[2] = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0], 0);
    test->contact[2] = pl_probe_contact(prober, test->socket[2], prober->outside[0][0]);
}

static void send_control(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;
    PhAddress external = pl_probe_flight(prober, test->contact[2])->source;

    test->control =
        pl_probe_send(prober, prober->outside[0][0], test->socket[2], &external, PL_FLIGHT_MUST);
}

/* "2.8s" */
static char *format_limit(uint64_t ns)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT ".%03us", ns / (1000 * PL_MS),
                                            (unsigned)(ns / PL_MS % 1000));
    size_t end = strlen(text) - 1;

    while (text[end - 1] == '0')
        end--;
    if (text[end - 1] == '.')
        end--;
    text[end] = '\0';
    return g_strconcat(text, "s", NULL);
}

static void conclude(PlProber *prober, const char *word)
{
    uint64_t claimed = prober->claim->udp_timeout_ns;
    g_autofree char *limit = format_limit(claimed / 10 * moments[prober->timeout.moment].tenths);
    g_autofree char *value =
        word ? g_strdup_printf("%s than %s", word, limit) : pl_duration_format(claimed);

    pl_findings_set(&prober->findings, PL_AXIS_UDP_TIMEOUT, value, NULL);
}

/* Only where the mapping that was left alone is gone does the other one say anything. */
static void conclude_refresh(PlProber *prober, gboolean gone)
{
    const PlTimeoutTest *test = &prober->timeout;

    if (gone)
        pl_findings_set(&prober->findings, PL_AXIS_INBOUND_REFRESH,
                        pl_probe_arrived(prober, test->again) ? "yes" : "no", NULL);
    else
        pl_probe_undecided(prober, PL_AXIS_INBOUND_REFRESH,
                           "the timeout is not what the file says");
}

static gboolean fail(PlProber *prober, unsigned token)
{
    pl_probe_undecided_lost(prober, PL_AXIS_UDP_TIMEOUT, token);
    pl_probe_undecided_lost(prober, PL_AXIS_INBOUND_REFRESH, token);
    return TRUE;
}

/* Waits for the moment and sends; TRUE when there is no use in going on. */
static gboolean await_moment(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;
    const Moment *moment = &moments[test->moment];
    uint64_t at = time_of(prober, moment->tenths);

    if (prober->now < at) {
        pl_probe_wake(prober, at);
        return FALSE;
    }
    if (prober->now > time_of(prober, moment->too_late)) {
        test->state = START;
        if (++test->attempts < ATTEMPTS)
            return FALSE;
        undecided(prober, "this machine is too busy to measure it");
        return TRUE;
    }
    send_probe(prober);
    test->state = CONTROL;
    return FALSE;
}

/* TRUE when the test is over; else on to the next moment. */
static gboolean judge(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;
    gboolean arrived = pl_probe_arrived(prober, test->probe);

    if (test->moment == 0 && arrived) {
        test->moment = 1;
        test->state = WAIT;
        return FALSE;
    }
    conclude(prober, test->moment == 0 ? "shorter" : arrived ? "longer" : NULL);
    conclude_refresh(prober, test->moment == 1 && !arrived);
    return TRUE;
}

static gboolean step_trial(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;

    switch (pl_probe_trial(prober, test->control)) {
    case PL_TRIAL_WAITING:
        return FALSE;
    case PL_TRIAL_FAILED:
        return fail(prober, test->control);
    case PL_TRIAL_SETTLED:
        break;
    }
    return judge(prober);
}

/* One step forward, if one can be made: the state changes then. */
static gboolean step_once(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;

    switch (test->state) {
    case START:
        start(prober);
        test->state = CONTACT;
        return FALSE;
    case CONTACT:
        for (unsigned i = 0; i < 2; i++) {
            if (pl_probe_lost(prober, test->contact[i]))
                return fail(prober, test->contact[i]);
            if (!pl_probe_arrived(prober, test->contact[i]))
                return FALSE;
        }
        test->state = WAIT;
        return FALSE;
    case WAIT:
        return await_moment(prober);
    case CONTROL:
        if (pl_probe_lost(prober, test->contact[2]))
            return fail(prober, test->contact[2]);
        if (pl_probe_arrived(prober, test->contact[2])) {
            send_control(prober);
            test->state = TRIAL;
        }
        return FALSE;
    default:
        return step_trial(prober);
    }
}

gboolean pl_timeout_step(PlProber *prober)
{
    PlTimeoutTest *test = &prober->timeout;
    int before;

    if (test->state == START && !is_wanted(prober))
        return TRUE;
    do {
        before = test->state;
        if (step_once(prober))
            return TRUE;
    } while (test->state != before);
    return FALSE;
}
