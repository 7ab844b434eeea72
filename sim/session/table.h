/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A NAT's connection table, as JSON and for people. */
#pragma once

#include <json-glib/json-glib.h>
#include <stdio.h>

#include "scenario/engine.h"

/*
 * {"nat": NAT, "connections": [{"protocol": "udp", "inside": "192.168.1.2:5000", "external": ...,
 * "remote": ..., "from": "inside" or "outside", "replied": true, "assured": false,
 * "expires_seconds": 27}, ...]}, to be freed.
 */
char *pl_table_json(const char *nat, const GArray *connections);

/* The same as a table; FALSE when it is not of that shape. */
gboolean pl_table_print(FILE *file, JsonNode *table);
