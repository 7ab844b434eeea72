/* SPDX-License-Identifier: MIT */
/*
 * How external ports and addresses are chosen (RFC 4787 §4.1 and §4.2): judged from all mappings
 * that were seen, and the order of those that were made one after the other.
 */
#include "classify.h"

#define STEP_MAX   100  /* between one socket's mapping and the next one's */
#define SPREAD_MAX 15   /* of the steps: others use the NAT too */
#define ENOUGH     4    /* mappings that show a rule */
#define BLOCK_SPAN 4096 /* ports further apart than this are no block */
#define BLOCK_MIN  512
/* Mappings that show a block: seven ports out of all are this close with one in ten million. */
#define BLOCK_ENOUGH  7
#define POOL_ENOUGH   6 /* mappings at one address that show pairing */
#define MAPPINGS_MAX  (PH_X_RECHECK)
#define PRESERVED_MIN 2

/* The first exchange of each socket, in the order in which they were asked. The first SERIAL of
 * them were each answered before the next was asked, but where ports were preserved: there nobody
 * looks for an order. */
static const unsigned firsts[] = {
    PH_X_MAPPING,    PH_X_REPEAT,     PH_X_SAMPLE + 0, PH_X_SAMPLE + 1, PH_X_SAMPLE + 2,
    PH_X_SAMPLE + 3, PH_X_SAMPLE + 4, PH_X_HAIRPIN,    PH_X_FILTER,
};
#define N_FIRSTS (sizeof(firsts) / sizeof(firsts[0]))
#define SERIAL   8
_Static_assert(PH_CLASSIFY_SAMPLES == 5, "all of them stand in the list");

static void count_kept(const PhClassifier *c, unsigned *ret_n, unsigned *ret_kept)
{
    *ret_n = *ret_kept = 0;
    for (size_t i = 0; i < N_FIRSTS; i++) {
        if (!ph_classify_answered(c, firsts[i]))
            continue;
        ++*ret_n;
        *ret_kept +=
            c->exchanges[firsts[i]].mapped.port == ph_classify_socket_of(c, firsts[i])->local.port;
    }
}

bool ph_classify_preserves(const PhClassifier *c)
{
    unsigned n, kept;

    count_kept(c, &n, &kept);
    return n >= PRESERVED_MIN && kept == n;
}

/* The ports of mappings that were made one after the other, at one external address. */
static size_t serial_ports(const PhClassifier *c, int ret_ports[static SERIAL])
{
    const PhExchange *first = &c->exchanges[PH_X_MAPPING];
    size_t n = 0;

    for (size_t i = 0; i < SERIAL; i++) {
        const PhExchange *exchange = &c->exchanges[firsts[i]];

        if (exchange->state == PH_EXCHANGE_ANSWERED &&
            ph_address_equal_host(&exchange->mapped, &first->mapped))
            ret_ports[n++] = exchange->mapped.port;
    }
    return n;
}

static int magnitude(int number)
{
    return number < 0 ? -number : number;
}

/* It goes back where a range has come to its end. Few ports are never far apart: in a block of
 * these a step back is only that. */
static bool is_turn(int step)
{
    return magnitude(step) > STEP_MAX;
}

/* All steps in one direction, small, and nearly alike; or the same but for one, where the range
 * came to its end. The mapping test's own mappings may lie between the first two or three. */
static bool is_sequential(const int *ports, size_t n, int *ret_step)
{
    int smallest = 0, largest = 0, turn = 0;
    size_t from = n > PH_CLASSIFY_SAMPLES ? n - PH_CLASSIFY_SAMPLES : 0, wraps = 0;
    bool alike = true;

    if (n < from + ENOUGH)
        return false;
    for (size_t i = from + 1; i < n; i++) {
        int step = ports[i] - ports[i - 1];

        if (step == 0)
            return false;
        if (is_turn(step)) {
            wraps++;
            turn = step;
            continue;
        }
        if (smallest != 0 && (step < 0) != (smallest < 0))
            return false;
        alike = alike && (smallest == 0 || step == smallest);
        if (smallest == 0 || magnitude(step) < magnitude(smallest))
            smallest = step;
        if (magnitude(step) > magnitude(largest))
            largest = step;
    }
    if (smallest == 0 || magnitude(largest - smallest) > SPREAD_MAX)
        return false;
    for (size_t i = 1; i <= from; i++) { /* chance is seldom in order that long */
        int step = ports[i] - ports[i - 1];

        if ((step < 0) != (smallest < 0) && (wraps > 0 || !alike || !is_turn(step)))
            return false;
    }
    *ret_step = smallest;
    /* At the end of the range it turns back. */
    return wraps == 0 || (wraps == 1 && alike && (turn < 0) != (smallest < 0));
}

static bool is_behind(const PhExchange *before, const PhExchange *after, int direction)
{
    int step = after->mapped.port - before->mapped.port;

    return before->state != PH_EXCHANGE_ANSWERED || after->state != PH_EXCHANGE_ANSWERED ||
           !ph_address_equal_host(&before->mapped, &after->mapped) || is_turn(step) ||
           (step < 0) == (direction < 0);
}

/* The filter's socket is asked when the first answer has come, and has its own before the samples
 * are. Of blocks whose ports came in order so far it fits in by chance in one of nine. */
static bool filter_fits(const PhClassifier *c, int direction)
{
    const PhExchange *filter = &c->exchanges[PH_X_FILTER];

    return is_behind(&c->exchanges[PH_X_MAPPING], filter, direction) &&
           is_behind(filter, &c->exchanges[PH_X_SAMPLE], direction);
}

/* Appends to `mapped`, unless it is there. */
static size_t add_mapping(PhAddress *mapped, size_t n, const PhAddress *address)
{
    for (size_t i = 0; i < n; i++) {
        if (ph_address_equal(&mapped[i], address))
            return n;
    }
    mapped[n] = *address;
    return n + 1;
}

/* The smallest aligned block of a usual size that has them all; else one that begins there. */
static void find_block(PhClassification *result, unsigned first, unsigned last)
{
    unsigned size = BLOCK_MIN;

    while (size < BLOCK_SPAN && first / size != last / size)
        size *= 2;
    if (first / size == last / size)
        first -= first % size;
    result->block_first = (uint16_t)first;
    result->block_last = (uint16_t)(first + size - 1 > UINT16_MAX ? UINT16_MAX : first + size - 1);
}

static void judge_ports(PhClassifier *c, const PhAddress *mapped, size_t n_mapped)
{
    PhClassification *result = &c->result;
    unsigned n, kept, first = UINT16_MAX, last = 0;
    int ports[SERIAL], step;
    size_t n_ports = serial_ports(c, ports);

    count_kept(c, &n, &kept);
    for (size_t i = 0; i < n_mapped; i++) {
        first = mapped[i].port < first ? mapped[i].port : first;
        last = mapped[i].port > last ? mapped[i].port : last;
    }
    if (n >= PRESERVED_MIN && kept * 4 >= n * 3) {
        result->port_allocation = PH_PORT_ALLOCATION_PRESERVE;
    } else if (is_sequential(ports, n_ports, &step) && filter_fits(c, step)) {
        result->port_allocation = PH_PORT_ALLOCATION_SEQUENTIAL;
        result->step = (int16_t)step;
        result->predicted_port = (uint16_t)(ports[n_ports - 1] + step);
    } else if (n_mapped >= ENOUGH && last - first >= BLOCK_SPAN) {
        result->port_allocation = PH_PORT_ALLOCATION_RANDOM;
    } else if (n_mapped >= BLOCK_ENOUGH) {
        result->port_allocation = PH_PORT_ALLOCATION_BLOCK;
        find_block(result, first, last);
    } else {
        result->why.port_allocation = "too few mappings could be made";
    }
}

void ph_classify_allocation(PhClassifier *c)
{
    PhClassification *result = &c->result;
    PhAddress mapped[MAPPINGS_MAX];
    size_t n = 0, elsewhere = 0;

    if (result->mapping == PH_MAPPING_NONE) {
        result->why.port_allocation = result->why.pooling = "nothing is translated";
        return;
    }
    for (unsigned i = 0; i < MAPPINGS_MAX; i++) {
        if (ph_classify_answered(c, i))
            n = add_mapping(mapped, n, &c->exchanges[i].mapped);
    }
    for (size_t i = 1; i < n; i++)
        elsewhere += !ph_address_equal_host(&mapped[i], &mapped[0]);
    if (elsewhere > 0)
        result->pooling = PH_POOLING_ARBITRARY;
    else if (n >= POOL_ENOUGH)
        result->pooling = PH_POOLING_PAIRED;
    else
        result->why.pooling = "too few mappings were made to tell";
    judge_ports(c, mapped, n);
}
