/* SPDX-License-Identifier: MIT */
/* What a node or a hub knows, as members of a JSON object: docs/status.md. A builder is inside an
 * object.
 */
#pragma once

#include <json-glib/json-glib.h>
#include <pinhole/hub.h>
#include <pinhole/node.h>

void state_show_key(JsonBuilder *builder, const char *name,
                    const uint8_t *key); /* NULL, or 0: null */
void state_show_peer(JsonBuilder *builder, const char *name, const uint8_t *key);
void state_show_path(JsonBuilder *builder, PhPathKind path, const uint8_t *via,
                     const PhAddress *address, const char *health);

/* Itself, its hub, its counters and its peers. */
void state_show_node(JsonBuilder *builder, const PhNode *node);
/* Its key (NULL: none) and addresses, its counters, and who is registered. */
void state_show_hub(JsonBuilder *builder, const PhHub *hub, const PhKey *key);
