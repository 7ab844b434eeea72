/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values as topology files and verdicts write them. The readers take the whole text, or leave
 * *ret alone and return FALSE; what the writers return is to be freed and reads back the same.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#define PL_NS_PER_S G_GUINT64_CONSTANT(1000000000)

/* Decimal digits without leading zeros. */
gboolean pl_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_number);
/* 1 to 65535. */
gboolean pl_port_parse(const char *text, uint16_t *ret_port);
/* "1024-65535": ports, the first not above the last. */
gboolean pl_port_range_parse(const char *text, uint16_t *ret_first, uint16_t *ret_last);

/* "30s", "1.5ms": ns, us, ms, s or min; a whole number of nanoseconds, 24 hours at most. */
gboolean pl_duration_parse(const char *text, uint64_t *ret_ns);
/* In the largest unit up to seconds that needs no fraction: "2s", "1500ms". */
char *pl_duration_format(uint64_t ns);
/* "10mbit", "1.5mbit": bit, kbit, mbit or gbit (a second), decimal multiples; a whole number of
 * bits. */
gboolean pl_rate_parse(const char *text, uint64_t *ret_bps);
char *pl_rate_format(uint64_t bps);
/* "1%", "0.0001%": to a millionth, 100 % at most. */
gboolean pl_percent_parse(const char *text, unsigned *ret_ppm);
char *pl_percent_format(unsigned ppm);

/* The items of a comma-separated list without the space around them; "" gives none. An empty item
 * between commas stays, as "". */
char **pl_list_split(const char *text);

/* Bytes as text, and back: what is printable stands for itself, all else (and the backslash) is
 * \xNN. The reader fails on a backslash that begins nothing of the kind. To be freed. */
char *pl_bytes_format(const void *bytes, gsize length);
GByteArray *pl_bytes_parse(const char *text);

/* For a line of text: what is not printable (controls, those that change the direction of writing,
 * bytes that are no UTF-8) as \xNN or \uNNNN; of more than `max` characters (16 at least) the
 * middle as "...". To be freed. */
char *pl_printable(const char *text, gsize max);

/* The candidate that `word` is most likely a slip of the pen for, or NULL. */
const char *pl_nearest(const char *word, const char *const *candidates, gsize n);
