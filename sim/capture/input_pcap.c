/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of real interfaces; see input.h. One packet socket an interface; a thread each to open it
 * and to close it, since the kernel makes both wait for grace periods: eight interfaces take 96 ms
 * to open and 195 ms to close one after the other, 17 and 24 to 34 in parallel (two cores, Linux
 * 6.18).
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <sched.h>

#include "capture/input.h"

#define SNAPLEN 65535
/*
 * Room for about 1200 frames of an Ethernet interface whose offloads are off; where they are on, a
 * frame can have 64 KiB, and it is 31. Smaller rings open no faster, one of 4 MiB takes up to twice
 * as long.
 */
#define RING_BYTES   (2 << 20)
#define DISPATCH_MAX 4096 /* more than a ring holds */

typedef struct Source {
    PlInput *input;
    const PlRecorderPoint *point;
    unsigned index;
    pcap_t *pcap;
    int status;   /* of pcap_activate */
    char *failed; /* why it could not be opened */
} Source;

typedef struct PcapInput {
    PlInput base;
    Source *sources;
} PcapInput;

static int activate(pcap_t *pcap)
{
    pcap_set_snaplen(pcap, SNAPLEN);
    pcap_set_immediate_mode(pcap, 1);
    pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
    pcap_set_buffer_size(pcap, RING_BYTES);
    return pcap_activate(pcap);
}

static gpointer open_source(gpointer data)
{
    Source *source = data;
    char text[PCAP_ERRBUF_SIZE] = "";

    if (setns(source->point->netns_fd, CLONE_NEWNET) < 0) {
        source->failed = g_strdup_printf("setns: %s", g_strerror(errno));
        return NULL;
    }
    source->pcap = pcap_create(source->point->interface, text);
    if (!source->pcap) {
        source->failed = g_strdup(text);
        return NULL;
    }
    source->status = activate(source->pcap);
    if (source->status < 0) {
        const char *more = pcap_geterr(source->pcap);

        source->failed = g_strdup(more && *more ? more : pcap_statustostr(source->status));
    } else if (pcap_datalink(source->pcap) != DLT_EN10MB) {
        source->failed = g_strdup("it is not an Ethernet interface");
    } else if (pcap_get_tstamp_precision(source->pcap) != PCAP_TSTAMP_PRECISION_NANO) {
        source->failed = g_strdup("it gives no nanosecond timestamps");
    } else if (pcap_setnonblock(source->pcap, 1, text) < 0) {
        source->failed = g_strdup(text);
    }
    return NULL;
}

static gpointer close_source(gpointer data)
{
    Source *source = data;

    g_clear_pointer(&source->pcap, pcap_close);
    return NULL;
}

/* Runs it for every source at once; for one after the other where threads cannot be had. */
static void for_each_source(PcapInput *input, GThreadFunc function)
{
    g_autofree GThread **threads = g_new0(GThread *, input->base.n_points);

    for (size_t i = 0; i < input->base.n_points; i++)
        threads[i] = g_thread_try_new("source", function, &input->sources[i], NULL);
    for (size_t i = 0; i < input->base.n_points; i++) {
        if (threads[i])
            g_thread_join(threads[i]);
        else
            function(&input->sources[i]);
    }
}

static gboolean open_input(PlInput *base, GError **error)
{
    PcapInput *input = (PcapInput *)base;

    input->sources = g_new0(Source, base->n_points);
    for (size_t i = 0; i < base->n_points; i++)
        input->sources[i] =
            (Source){.input = base, .point = &base->points[i], .index = (unsigned)i};
    for_each_source(input, open_source);
    for (size_t i = 0; i < base->n_points; i++) {
        const Source *source = &input->sources[i];

        if (source->failed) {
            g_set_error(error, PL_ERROR,
                        source->status == PCAP_ERROR_PERM_DENIED ? PL_ERROR_UNSUPPORTED
                                                                 : PL_ERROR_FAILED,
                        "cannot capture on %s (%s): %s", source->point->name,
                        source->point->interface, source->failed);
            return FALSE;
        }
    }
    return TRUE;
}

static void poll_input(const PlInput *base, GArray *polls)
{
    for (size_t i = 0; i < base->n_points; i++) {
        const Source *source = &((const PcapInput *)base)->sources[i];
        struct pollfd one = {.fd = pcap_get_selectable_fd(source->pcap), .events = POLLIN};

        g_array_append_val(polls, one);
    }
}

static void on_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
    const Source *source = (const Source *)user;
    PlFound found = {
        /* With nanosecond precision tv_usec holds nanoseconds. */
        .time_ns = (uint64_t)header->ts.tv_sec * G_GUINT64_CONSTANT(1000000000) +
                   (uint64_t)header->ts.tv_usec,
        .data = data,
        .interface = source->index,
        .length = header->caplen,
        .original_length = MAX(header->len, header->caplen),
    };

    source->input->take(source->input->data, &found);
}

static int drain(PlInput *base, GError **error)
{
    int total = 0;

    for (size_t i = 0; i < base->n_points; i++) {
        Source *source = &((PcapInput *)base)->sources[i];
        int n = pcap_dispatch(source->pcap, DISPATCH_MAX, on_packet, (u_char *)source);

        if (n < 0) {
            g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "capturing on %s ended: %s",
                        source->point->name, pcap_geterr(source->pcap));
            return -1;
        }
        total += n;
    }
    return total;
}

static gboolean statistics(PlInput *base, unsigned interface, uint64_t *ret_received,
                           uint64_t *ret_lost, GError **error)
{
    const Source *source = &((PcapInput *)base)->sources[interface];
    struct pcap_stat numbers = {0};

    if (pcap_stats(source->pcap, &numbers) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "%s: %s", source->point->name,
                    pcap_geterr(source->pcap));
        return FALSE;
    }
    *ret_received = numbers.ps_recv;
    *ret_lost = numbers.ps_drop;
    return TRUE;
}

static void free_input(PlInput *base)
{
    PcapInput *input = (PcapInput *)base;

    if (input->sources)
        for_each_source(input, close_source);
    for (size_t i = 0; input->sources && i < base->n_points; i++)
        g_free(input->sources[i].failed);
    g_free(input->sources);
    g_free(input);
}

static const PlInputKind kind = {
    .open = open_input,
    .poll = poll_input,
    .drain = drain,
    .statistics = statistics,
    .free = free_input,
};

PlInput *pl_input_pcap_new(void)
{
    PcapInput *input = g_new0(PcapInput, 1);

    input->base.kind = &kind;
    return &input->base;
}
