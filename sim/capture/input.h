/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a recording's packets come from. Private to the recorder's child (record.c). */
#pragma once

#include <poll.h>

#include "capture/feed.h"
#include "capture/recorder.h"

typedef struct PlFound {
    unsigned interface; /* a point's number */
    uint64_t time_ns;
    const uint8_t *data; /* borrowed for the call */
    uint32_t length, original_length;
} PlFound;

typedef struct PlInput PlInput;

typedef struct PlInputKind {
    gboolean ordered; /* packets of several interfaces come in the order of time */
    gboolean (*open)(PlInput *input, GError **error);
    /* Appends what becomes readable when there is something: struct pollfd. */
    void (*poll)(const PlInput *input, GArray *polls);
    /* Reads what is there: how many; -1 with an error when it cannot go on. */
    int (*drain)(PlInput *input, GError **error);
    gboolean (*statistics)(PlInput *input, unsigned interface, uint64_t *ret_received,
                           uint64_t *ret_lost, GError **error);
    void (*free)(PlInput *input);
} PlInputKind;

struct PlInput {
    const PlInputKind *kind;
    const PlRecorderPoint *points;
    size_t n_points;
    void (*take)(gpointer data, const PlFound *found); /* of each packet */
    gpointer data;
};

/* Real interfaces, by libpcap. */
PlInput *pl_input_pcap_new(void);
/* A feed (borrowed). */
PlInput *pl_input_feed_new(PlFeed *feed);
