/* SPDX-License-Identifier: MIT */
/* What control sockets answer, for people. Private to status*.c. */
#pragma once

#include <json-glib/json-glib.h>

/* A member's string; NULL: it has none. */
const char *status_string(JsonObject *object, const char *name);
/* One in full. `label` is its socket's name. */
void status_print(const char *label, JsonObject *answer, gboolean colours);
/* A line for each of several: JsonObject, and their labels. */
void status_print_list(const GPtrArray *labels, const GPtrArray *answers, gboolean colours);
