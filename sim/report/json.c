/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The matrix as JSON: docs/verdict.md, schema 1. */
#include "report/report.h"

JsonNode *pl_report_json(GPtrArray *verdicts, uint64_t duration_ns)
{
    PlReportTotals totals = pl_report_totals(verdicts);
    JsonNode *node = json_node_new(JSON_NODE_OBJECT);
    JsonObject *object = json_object_new(), *sums = json_object_new();
    JsonArray *cells = json_array_new();

    for (guint i = 0; i < verdicts->len; i++)
        json_array_add_element(cells, pl_verdict_to_json(g_ptr_array_index(verdicts, i)));
    json_object_set_int_member(sums, "cells", totals.cells);
    json_object_set_int_member(sums, "passed", totals.passed);
    json_object_set_int_member(sums, "failed", totals.failed);
    json_object_set_int_member(sums, "skipped", totals.skipped);
    json_object_set_int_member(sums, "differing", totals.differing);
    json_object_set_double_member(sums, "duration_s", (double)duration_ns / 1e9);
    json_object_set_int_member(object, "schema", 1);
    json_object_set_array_member(object, "cells", cells);
    json_object_set_object_member(object, "totals", sums);
    json_node_take_object(node, object);
    return node;
}
