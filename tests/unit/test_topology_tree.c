/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The topology files of this tree: right, complete, each a lesson. */
#include <string.h>

#include "oracle/oracle.h"

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *files(void)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) directory = g_dir_open(PL_SOURCE_DIR "/topologies", 0, &error);
    const char *name;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(directory)))
        if (g_str_has_suffix(name, ".ini"))
            g_ptr_array_add(paths, g_build_filename(PL_SOURCE_DIR "/topologies", name, NULL));
    g_ptr_array_sort(paths, by_name);
    g_assert_cmpuint(paths->len, >=, 26);
    return paths;
}

static PlTopology *load(const char *path)
{
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_load(path, &error);

    g_assert_no_error(error);
    return topology;
}

static void each_has_a_title_a_lesson_and_expectations(void)
{
    g_autoptr(GPtrArray) paths = files();

    for (unsigned i = 0; i < paths->len; i++) {
        g_autoptr(PlTopology) t = load(paths->pdata[i]);

        g_assert_cmpuint(strlen(t->title), <=, 72);
        g_assert_nonnull(t->about);
        g_assert_cmpuint(strlen(t->about), >=, 150);
        g_assert_cmpuint(t->expects->len, >, 0);
    }
}

static void same_behaviour(const PlBehaviour *a, const PlBehaviour *b)
{
    g_assert_cmpint(a->mapping, ==, b->mapping);
    g_assert_cmpint(a->filtering, ==, b->filtering);
    g_assert_cmpint(a->port_allocation, ==, b->port_allocation);
    g_assert_cmpuint(a->block_size, ==, b->block_size);
    g_assert_cmpuint(a->port_first, ==, b->port_first);
    g_assert_cmpuint(a->port_last, ==, b->port_last);
    g_assert_cmpint(a->pooling, ==, b->pooling);
    g_assert_cmpint(a->hairpin, ==, b->hairpin);
    g_assert_cmpuint(a->udp_timeout_ns, ==, b->udp_timeout_ns);
    g_assert_cmpint(a->inbound_refresh, ==, b->inbound_refresh);
    g_assert_cmpint(a->unsolicited, ==, b->unsolicited);
    g_assert_cmpint(a->udp, ==, b->udp);
    g_assert_cmpint(a->icmp, ==, b->icmp);
}

static void each_prints_to_itself(void)
{
    g_autoptr(GPtrArray) paths = files();

    for (unsigned i = 0; i < paths->len; i++) {
        g_autoptr(PlTopology) t = load(paths->pdata[i]), again = NULL;
        g_autofree char *text = pl_topology_print(t), *same = NULL;
        g_autoptr(GError) error = NULL;

        again = pl_topology_parse(t->path, text, strlen(text), &error);
        g_assert_no_error(error);
        same = pl_topology_print(again);
        g_assert_cmpstr(text, ==, same);
        g_assert_cmpuint(again->expects->len, ==, t->expects->len);
        for (unsigned n = 0; n < t->nodes->len; n++) {
            const PlNode *a = t->nodes->pdata[n], *b = again->nodes->pdata[n];

            g_assert_cmpstr(a->name, ==, b->name);
            same_behaviour(&a->behaviour, &b->behaviour);
        }
    }
}

static void all_nine_cells_are_there(void)
{
    g_autoptr(GPtrArray) paths = files();
    gboolean seen[PL_MAPPING_N][PL_FILTERING_N] = {{FALSE}};

    for (unsigned i = 0; i < paths->len; i++) {
        g_autoptr(PlTopology) t = load(paths->pdata[i]);

        for (unsigned n = 0; n < t->nodes->len; n++) {
            const PlNode *node = t->nodes->pdata[n];

            if (node->kind == PL_NODE_NAT)
                seen[node->behaviour.mapping][node->behaviour.filtering] = TRUE;
        }
    }
    for (unsigned m = PL_MAPPING_ENDPOINT_INDEPENDENT; m < PL_MAPPING_N; m++)
        for (unsigned f = 0; f < PL_FILTERING_N; f++)
            g_assert_true(seen[m][f]);
    g_assert_true(seen[PL_MAPPING_NONE][PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT]);
}

/* What an author expects is what theory says, but where the lesson is that it is not so. */
static void expectations_agree_with_the_oracle(void)
{
    g_autoptr(GPtrArray) paths = files();
    unsigned compared = 0;

    for (unsigned i = 0; i < paths->len; i++) {
        g_autoptr(PlTopology) t = load(paths->pdata[i]);

        for (unsigned k = 0; k < t->expects->len; k++) {
            const PlExpect *expect = t->expects->pdata[k];
            g_auto(PlFindings) theory = {0};

            if (expect->kind != PL_EXPECT_AXIS ||
                (strcmp(t->name, "linux-router") == 0 && strcmp(expect->node->name, "bob") == 0))
                continue;
            if (expect->node->kind == PL_NODE_HOST)
                pl_oracle_host(t, expect->node, &theory);
            else
                pl_oracle_nat(t, expect->node, &theory);
            /* A NAT that changes has no word of theory's. */
            if (!theory.value[expect->axis] && theory.why[expect->axis])
                continue;
            g_assert_nonnull(theory.value[expect->axis]);
            if (!pl_axis_agrees(expect->axis, expect->value, theory.value[expect->axis]))
                g_error("%s: %s = %s, but theory says %s", t->name, expect->key, expect->value,
                        theory.value[expect->axis]);
            compared++;
        }
    }
    g_assert_cmpuint(compared, >=, 60);
}

/* The first block of the format's document is a whole file, and says what the parser understands.
 */
static void the_documents_example_is_right(void)
{
    g_autofree char *document = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) t = NULL;
    g_auto(GStrv) lines = NULL;

    g_assert_true(
        g_file_get_contents(PL_SOURCE_DIR "/docs/topology-format.md", &document, NULL, NULL));
    lines = g_strsplit(document, "\n", -1);
    for (unsigned i = 0; lines[i] && !g_str_has_prefix(lines[i], "## Syntax"); i++)
        if (g_str_has_prefix(lines[i], "    "))
            g_string_append_printf(text, "%s\n", lines[i] + 4);
    t = pl_topology_parse("example.ini", text->str, text->len, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(t->nodes->len, ==, 5);
    g_assert_cmpuint(t->expects->len, ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/topologies/each-has-a-title-a-lesson-and-expectations",
                    each_has_a_title_a_lesson_and_expectations);
    g_test_add_func("/topologies/each-prints-to-itself", each_prints_to_itself);
    g_test_add_func("/topologies/all-nine-cells-are-there", all_nine_cells_are_there);
    g_test_add_func("/topologies/expectations-agree-with-the-oracle",
                    expectations_agree_with_the_oracle);
    g_test_add_func("/topologies/the-documents-example-is-right", the_documents_example_is_right);
    return g_test_run();
}
