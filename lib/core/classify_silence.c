/* SPDX-License-Identifier: MIT */
/*
 * The tests in which silence is an answer: filtering (RFC 5780 §4.4) and hairpin (§4.5 there).
 *
 * They are made in rounds. A round sends every test that nothing has come of, and then a control,
 * which must be answered. A test has stayed silent when it was silent in three rounds whose
 * controls were answered; in six to nine where packets are known to get lost. Whoever should have
 * answered must be there still: that is asked together with the last rounds.
 *
 *     round -(pace)-> round -(pace)-> round -(listen)-> enough? --> over
 *       ^                                                  |
 *       +--------------------------------------------------+
 *
 * Whatever comes before all is over counts, however late.
 */
#include "classify.h"

/* With nine, one test in 10,000 is silent by chance where every fifth packet is lost each way. */
#define ROUNDS       3
#define ROUNDS_LOSSY 5
#define ROUNDS_MOST  9

/* Between rounds: a quarter of the patience, and time for other packets to get out of the way. */
#define PACE_NS (5 * PH_MS)
/* After the last one: the patience twice, or once and what a busy router or radio takes now and
 * then, though no answer before has shown it. */
#define MARGIN_NS (25 * PH_MS)

#define ERROR_UNKNOWN_ATTRIBUTE 420 /* RFC 8489 §14.8 */

static unsigned place_of(unsigned round, unsigned test)
{
    return PH_X_ROUND + round * PH_TEST_N + test;
}

static bool is_possible(const PhClassifier *c, unsigned test)
{
    switch (test) {
    case PH_TEST_BOTH:
        return c->reflector[1][1].family != PH_FAMILY_NONE;
    case PH_TEST_PORT:
        return c->reflector[0][1].family != PH_FAMILY_NONE;
    case PH_TEST_HAIRPIN_THERE:
    case PH_TEST_HAIRPIN_BACK:
        return ph_classify_answered(c, PH_X_HAIRPIN) &&
               ph_classify_may_ask(c, &c->exchanges[PH_X_MAPPING].mapped) &&
               ph_classify_may_ask(c, &c->exchanges[PH_X_HAIRPIN].mapped);
    default:
        return true;
    }
}

/* What one round says of a test whose answer is to come from elsewhere. */
static PhTrial trial_in_round(const PhClassifier *c, unsigned round, unsigned test)
{
    const PhExchange *exchange = &c->exchanges[place_of(round, test)];
    bool controlled = ph_classify_answered(c, place_of(round, PH_TEST_CONTROL));

    switch (exchange->state) {
    case PH_EXCHANGE_ANSWERED:
        /* A server that does not know CHANGE-REQUEST answers from where it was asked. */
        return ph_address_equal(&exchange->from, &exchange->source) ? PH_TRIAL_ARRIVED
                                                                    : PH_TRIAL_REFUSED;
    case PH_EXCHANGE_REFUSED:
        return exchange->error >= 500 ? PH_TRIAL_LATER : PH_TRIAL_REFUSED;
    case PH_EXCHANGE_NONSENSE:
        return PH_TRIAL_REFUSED;
    case PH_EXCHANGE_WAITING: /* of the rounds before the last one, which all have waited */
        return controlled && !c->expired ? PH_TRIAL_SILENT : PH_TRIAL_OPEN;
    case PH_EXCHANGE_SILENT:
        return controlled ? PH_TRIAL_SILENT : PH_TRIAL_OPEN;
    case PH_EXCHANGE_IDLE:
        break;
    }
    return PH_TRIAL_OPEN;
}

/* It came so late that it must have been an answer to a copy. */
static bool is_after_loss(const PhClassifier *c, const PhExchange *exchange)
{
    return exchange->state == PH_EXCHANGE_ANSWERED && exchange->copies > 1 &&
           exchange->answered_ns - exchange->sent_ns >
               c->rtt.smooth_ns + exchange->schedule.first_ns;
}

/* So many silent rounds make silence. */
static unsigned rounds_needed(const PhClassifier *c)
{
    unsigned lost = 0, needed;

    for (unsigned i = 0; i < PH_X_ROUND; i++)
        lost += is_after_loss(c, &c->exchanges[i]);
    for (unsigned round = 0; round < c->rounds; round++)
        lost += !ph_classify_answered(c, place_of(round, PH_TEST_CONTROL));
    needed = lost ? ROUNDS_LOSSY + lost : ROUNDS;
    return needed < ROUNDS_MOST ? needed : ROUNDS_MOST;
}

static PhTrial trial_of(const PhClassifier *c, unsigned test)
{
    unsigned silent = 0, later = 0;

    if (test == PH_TEST_HAIRPIN_THERE || test == PH_TEST_HAIRPIN_BACK) {
        if (c->hairpin_source.family != PH_FAMILY_NONE)
            return PH_TRIAL_ARRIVED;
    }
    for (unsigned round = 0; round < c->rounds; round++) {
        PhTrial trial = trial_in_round(c, round, test);

        if (trial == PH_TRIAL_ARRIVED || trial == PH_TRIAL_REFUSED)
            return trial;
        silent += trial == PH_TRIAL_SILENT;
        later += trial == PH_TRIAL_LATER;
    }
    if (silent >= rounds_needed(c))
        return PH_TRIAL_SILENT;
    /* Who says "later" is not asked for more than this: it is a limit, and more load is no help. */
    return later >= ROUNDS ? PH_TRIAL_LATER : PH_TRIAL_OPEN;
}

static bool is_missing(const PhClassifier *c, unsigned test)
{
    PhTrial trial;

    if (!is_possible(c, test))
        return false;
    trial = trial_of(c, test);
    return trial != PH_TRIAL_ARRIVED && trial != PH_TRIAL_REFUSED;
}

static uint64_t pace(const PhClassifier *c)
{
    uint64_t quarter = ph_classify_patience(c) / 4;

    return quarter > PACE_NS ? quarter : PACE_NS;
}

/* How long the last round may stay silent. */
static uint64_t listen_ns(const PhClassifier *c)
{
    uint64_t patience = ph_classify_patience(c);

    return patience + (patience > MARGIN_NS ? patience : MARGIN_NS);
}

static void send_test(PhClassifier *c, unsigned test)
{
    /* One copy; it is over with the round, but an answer is welcome later too. */
    PhSchedule once = {.copies = 1, .last_ns = listen_ns(c)};
    unsigned place = place_of(c->rounds, test);
    PhExchange *exchange = &c->exchanges[place];

    switch (test) {
    case PH_TEST_BOTH:
        ph_classify_ask(c, place, PH_AT_FILTER, &c->reflector[0][0], &once);
        exchange->change = PH_STUN_CHANGE_IP | PH_STUN_CHANGE_PORT;
        exchange->source = c->reflector[1][1];
        break;
    case PH_TEST_PORT:
        ph_classify_ask(c, place, PH_AT_FILTER, &c->reflector[0][0], &once);
        exchange->change = PH_STUN_CHANGE_PORT;
        exchange->source = c->reflector[0][1];
        break;
    case PH_TEST_HAIRPIN_THERE:
        ph_classify_ask(c, place, PH_AT_HAIRPIN, &c->exchanges[PH_X_MAPPING].mapped, &once);
        break;
    case PH_TEST_HAIRPIN_BACK: /* it opens the filter for the next one there */
        ph_classify_ask(c, place, PH_AT_DATA, &c->exchanges[PH_X_HAIRPIN].mapped, &once);
        break;
    default:
        ph_classify_ask(c, place, PH_AT_FILTER, &c->reflector[0][0], &once);
        break;
    }
}

/* The reflector's socket that a test's answer is to come from, as the mapping test asked it. */
static unsigned sender_of(unsigned test)
{
    return PH_X_MAPPING + (test == PH_TEST_BOTH ? 3U : 1U);
}

/* Asked from the data socket, which has contacted them: no filter can keep these answers out. */
static void ask_senders(PhClassifier *c)
{
    PhSchedule schedule = ph_classify_schedule(c);

    for (unsigned test = PH_TEST_BOTH; test <= PH_TEST_PORT; test++) {
        unsigned sender = sender_of(test);

        if (is_missing(c, test) && ph_classify_answered(c, sender))
            ph_classify_ask(c, PH_X_ALIVE + test, PH_AT_DATA, &c->reflector[sender / 2][sender % 2],
                            &schedule);
    }
}

void ph_classify_round(PhClassifier *c)
{
    for (unsigned test = 0; test < PH_TEST_N; test++) {
        if (test == PH_TEST_CONTROL || is_missing(c, test))
            send_test(c, test);
    }
    c->rounds++;
    c->round_ns = c->now;
    if (c->rounds >= ROUNDS)
        ask_senders(c);
}

/* Nothing is missing any more: it has come, or was refused. */
static bool is_all_there(const PhClassifier *c)
{
    for (unsigned test = 0; test < PH_TEST_CONTROL; test++) {
        if (is_missing(c, test))
            return false;
    }
    return true;
}

static bool is_all_decided(const PhClassifier *c)
{
    for (unsigned test = 0; test < PH_TEST_CONTROL; test++) {
        if (is_possible(c, test) && trial_of(c, test) == PH_TRIAL_OPEN)
            return false;
    }
    return true;
}

bool ph_classify_silence_step(PhClassifier *c)
{
    bool early = c->rounds < ROUNDS;

    if (is_all_there(c))
        return true;
    c->wake_ns = c->round_ns + (early ? pace(c) : listen_ns(c));
    if (c->now < c->wake_ns)
        return false;
    if ((!early && is_all_decided(c)) || c->rounds == PH_CLASSIFY_ROUNDS_MAX)
        return true;
    ph_classify_round(c);
    c->wake_ns = c->now + (c->rounds < ROUNDS ? pace(c) : listen_ns(c));
    return false;
}

static const char *why_undecided(const PhClassifier *c)
{
    return c->rounds < ROUNDS ? "it took too long"
                              : "too many packets are lost: silence says nothing";
}

/* Why there is no verdict on a test; NULL: there is one. */
static const char *why_not(const PhClassifier *c, unsigned test)
{
    if (!is_possible(c, test))
        return c->one_address;
    switch (trial_of(c, test)) {
    case PH_TRIAL_ARRIVED:
        return NULL;
    case PH_TRIAL_SILENT:
        /* Whoever does not answer when asked there need not be able to send from there. */
        return ph_classify_answered(c, sender_of(test)) &&
                       ph_classify_answered(c, PH_X_ALIVE + test)
                   ? NULL
                   : "the reflector's other sockets do not answer, so that silence says nothing";
    case PH_TRIAL_REFUSED:
        return "the reflector does not answer from another address or port";
    case PH_TRIAL_LATER:
        return "the reflector is asked to answer from elsewhere too often just now";
    case PH_TRIAL_OPEN:
        break;
    }
    return why_undecided(c);
}

/* Without it no round was made. */
static const char *why_no_rounds(const PhClassifier *c)
{
    return c->sockets[PH_AT_FILTER].state == PH_SOCKET_GONE ? "no second socket could be opened"
                                                            : "a second socket is not answered";
}

void ph_classify_filtering(PhClassifier *c)
{
    PhClassification *result = &c->result;
    const char *both_why = why_not(c, PH_TEST_BOTH), *port_why = why_not(c, PH_TEST_PORT);
    bool both = !both_why && trial_of(c, PH_TEST_BOTH) == PH_TRIAL_ARRIVED,
         port = !port_why && trial_of(c, PH_TEST_PORT) == PH_TRIAL_ARRIVED;

    if (!ph_classify_answered(c, PH_X_FILTER)) {
        result->why.filtering = why_no_rounds(c);
        return;
    }
    if (both && !port && !port_why)
        result->why.filtering = "a packet from another address came in, one from another port of "
                                "the same address did not";
    else if (both)
        result->filtering = PH_FILTERING_ENDPOINT_INDEPENDENT;
    else if (!port && !port_why) /* the stricter of the two: nothing else comes in either */
        result->filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
    else if (port_why || both_why)
        result->why.filtering = both_why ? both_why : port_why;
    else
        result->filtering = PH_FILTERING_ADDRESS_DEPENDENT;
}

void ph_classify_hairpin(PhClassifier *c)
{
    PhClassification *result = &c->result;
    unsigned sender = c->hairpin_socket == PH_AT_DATA ? PH_AT_HAIRPIN : PH_AT_DATA;
    const PhAddress *source = &c->hairpin_source, *local = &c->sockets[sender].local;
    unsigned exchange = sender == PH_AT_DATA ? PH_X_MAPPING : PH_X_HAIRPIN;

    if (!ph_classify_answered(c, PH_X_HAIRPIN)) {
        result->why.hairpin = result->mapping == PH_MAPPING_NONE
                                  ? "nothing is translated"
                                  : "a further socket could not be opened, or is not answered";
        return;
    }
    if (!is_possible(c, PH_TEST_HAIRPIN_THERE)) {
        result->why.hairpin = "the external address that the reflector names cannot be one";
        return;
    }
    if (!ph_classify_answered(c, PH_X_FILTER)) {
        result->why.hairpin = why_no_rounds(c);
        return;
    }
    switch (trial_of(c, PH_TEST_HAIRPIN_THERE)) {
    case PH_TRIAL_ARRIVED:
        /* External is any port of the address that the sender is seen at; internal its own port
         * elsewhere. */
        if (ph_address_equal_host(source, &c->exchanges[exchange].mapped))
            result->hairpin = PH_HAIRPIN_EXTERNAL_SOURCE;
        else if (source->port == local->port)
            result->hairpin = PH_HAIRPIN_INTERNAL_SOURCE;
        else
            result->why.hairpin = "what was turned around has neither the internal nor the "
                                  "external source";
        break;
    case PH_TRIAL_SILENT:
        result->hairpin = PH_HAIRPIN_NONE;
        break;
    case PH_TRIAL_REFUSED:
    case PH_TRIAL_LATER:
    case PH_TRIAL_OPEN:
        result->why.hairpin = why_undecided(c);
        break;
    }
}
