/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as text. json-glib reads it; what it writes has numbers like 0.41199999999999998 and one
 * line for each brace, so writing is done here: shortest numbers, every control character escaped,
 * and on one line whatever fits into 100 columns, or holds nothing but values.
 */
#pragma once

#include <json-glib/json-glib.h>

/* One line, without a newline at its end. */
char *pl_json_line(JsonNode *node);
/* Indented, with a newline at its end. */
char *pl_json_pretty(JsonNode *node);
