/* SPDX-License-Identifier: MIT */
/* How results are written. A builder is inside an object. */
#pragma once

#include <json-glib/json-glib.h>
#include <pinhole/classification.h>

/* A row of a classification: an axis, or the class. */
typedef struct ShowRow {
    const char *name, *word, *why; /* why: NULL when there is no reason to give */
} ShowRow;

#define SHOW_ROWS 6

void show_rows(const PhClassification *classification, ShowRow ret_rows[static SHOW_ROWS]);

void show_string(JsonBuilder *builder, const char *name, const char *value); /* NULL: null */
void show_int(JsonBuilder *builder, const char *name, gint64 value);
void show_address(JsonBuilder *builder, const char *name, const PhAddress *address);
void show_seconds(JsonBuilder *builder, const char *name, uint64_t ns); /* 0: null */
void show_duration(JsonBuilder *builder, const char *name, uint64_t ns);
/* The members that docs/classification.md has, but for "schema" and "server". */
void show_classification(JsonBuilder *builder, const PhClassification *classification);

/* What every line begins with that says that something happened: schema, time and event. */
void show_head(JsonBuilder *builder, const char *event);

/* The builder's object, on one line unless it is `pretty`; to be freed with g_free. */
char *show_to_text(JsonBuilder *builder, gboolean pretty);
/* The line that stands where so many are missing, which nobody has read in time; as above. */
char *show_gap(uint64_t lost);
/* Puts it out, at once. */
void show_json(JsonBuilder *builder, gboolean pretty);
