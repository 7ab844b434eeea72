/* SPDX-License-Identifier: MIT */
/*
 * Fresh sockets, whose mappings show how ports are chosen, and the one for the hairpin test.
 *
 *     want --> coming --> asked --> over --> the next one
 *
 * Where ports are preserved their order tells nothing, and all are asked at once.
 */
#include "classify.h"

#define SAMPLE_COPIES 4 /* many sockets, and where ports run out, silence is an answer */

/* True: it has been asked from there, if there is such a socket, and the answer came or will not.
 */
static bool is_asked(PhClassifier *c, unsigned place, unsigned exchange)
{
    PhSchedule schedule = ph_classify_schedule_of(c, SAMPLE_COPIES);

    ph_classify_want(c, place);
    if (c->sockets[place].state == PH_SOCKET_READY &&
        c->exchanges[exchange].state == PH_EXCHANGE_IDLE)
        ph_classify_ask(c, exchange, place, &c->reflector[0][0], &schedule);
    return !ph_classify_is_coming(c, place) && ph_classify_is_over(c, exchange);
}

/* External addresses may still differ. */
static bool ask_at_once(PhClassifier *c)
{
    bool over = true;

    for (unsigned i = 0; i < PH_CLASSIFY_SAMPLES; i++)
        over = is_asked(c, PH_AT_SAMPLE + i, PH_X_SAMPLE + i) && over;
    for (unsigned i = 0; over && i < PH_CLASSIFY_SAMPLES; i++)
        ph_classify_let_go(c, PH_AT_SAMPLE + i);
    return over;
}

bool ph_classify_samples_step(PhClassifier *c)
{
    if (c->samples_at_once || (c->sample == 0 && ph_classify_preserves(c))) {
        c->samples_at_once = true;
        return ask_at_once(c);
    }
    while (c->sample < PH_CLASSIFY_SAMPLES) {
        unsigned place = PH_AT_SAMPLE + c->sample, exchange = PH_X_SAMPLE + c->sample;

        if (!is_asked(c, place, exchange))
            return false;
        ph_classify_let_go(c, place);
        /* Where one gets no mapping, the next ones will not either. */
        c->sample = ph_classify_answered(c, exchange) ? c->sample + 1 : PH_CLASSIFY_SAMPLES;
    }
    return true;
}

bool ph_classify_hairpin_contact(PhClassifier *c)
{
    return is_asked(c, PH_AT_HAIRPIN, PH_X_HAIRPIN);
}
