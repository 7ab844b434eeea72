/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client that keeps a STUN server busy: always as many Binding requests on their way as its
 * window has places, from many addresses of 127.0.0.0/8, since servers limit what one gets. It
 * counts answers, and nothing else: what is not answered in time is lost.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/stun.h>

typedef enum {
    LOAD_PLAIN,       /* the 20 bytes that a request has at least */
    LOAD_PADDED,      /* 120 bytes, as our own client's */
    LOAD_FINGERPRINT, /* 28 bytes; the answer must have a FINGERPRINT too */
    LOAD_KINDS,
} LoadKind;

typedef struct LoadResult {
    uint64_t answers, lost;
    uint64_t wrong; /* answers that do not say where we are, of those that were looked at */
    double seconds;
    double median_us; /* from request to answer */
} LoadResult;

typedef struct Load Load;

/* At most LOAD_WINDOW_MAX requests are under way at a time. */
#define LOAD_WINDOW_MAX 1024

Load *load_new(const PhAddress *server, LoadKind kind, unsigned window, GError **error);
Load *load_free(Load *load); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Load, load_free)

/* Goes on for that long, and says what was answered meanwhile. */
void load_run(Load *load, uint64_t duration_ns, LoadResult *ret_result);
/* Asks until there is an answer; FALSE: there was none in that time. */
gboolean load_await(Load *load, uint64_t timeout_ns);
