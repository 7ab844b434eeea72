/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A verdict read from JSON is either refused, or says the same when it is printed and read again.
 */
#include <assert.h>
#include <string.h>

#include "scenario/json.h"
#include "scenario/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PlVerdict *parse(const char *text, gssize length)
{
    g_autoptr(JsonParser) parser = json_parser_new();

    if (!json_parser_load_from_data(parser, text, length, NULL))
        return NULL;
    return pl_verdict_from_json(json_parser_get_root(parser), NULL);
}

static char *print(const PlVerdict *verdict)
{
    g_autoptr(JsonNode) node = pl_verdict_to_json(verdict);

    return pl_json_line(node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(PlVerdict) verdict = NULL, copy = NULL;
    g_autofree char *first = NULL, *second = NULL;

    if (size == 0)
        return 0;
    verdict = parse((const char *)data, (gssize)size);
    if (!verdict)
        return 0;
    first = print(verdict);
    copy = parse(first, -1);
    assert(copy);
    second = print(copy);
    assert(strcmp(first, second) == 0);
    return 0;
}
