/* SPDX-License-Identifier: MIT */
/* pinhole status: what does a node or a hub that runs on this host know? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "status_text.h"

#define SUFFIX    ".sock"
#define FOLLOW_US G_USEC_PER_SEC
/* json-glib nests by recursion. */
#define DEPTH_MAX 16

static const Command command = {
    .name = "status",
    .parameters = "[NAME]",
    .summary =
        "Say what a node or a hub that runs here knows.\n"
        "\n"
        "Of a node that is its hub, its peers, by which path each of them is reached and why, and\n"
        "how often what has happened; of a hub who is registered, and its counters. NAME is a\n"
        "node's name, or \"hub\"; without one, and with several that run, it lists them.",
    .description = "It asks the control socket of a process of this user's: that of PATH, or the\n"
                   "one of NAME. docs/status.md says where they are, and describes the JSON.\n"
                   "\n"
                   "Examples:\n"
                   "  pinhole status\n"
                   "  pinhole status alice\n"
                   "  pinhole status alice --json\n"
                   "\n" COMMAND_EXIT_STATUS,
};

/* Those that answered: what, parsed and as it was, and by what name each is asked for. */
typedef struct Answers {
    GPtrArray *labels, *texts, *nodes, *objects;
} Answers;

static void answers_clear(Answers *answers)
{
    g_ptr_array_unref(answers->labels);
    g_ptr_array_unref(answers->texts);
    g_ptr_array_unref(answers->objects);
    g_ptr_array_unref(answers->nodes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answers, answers_clear)

static char *label_of(const char *path)
{
    char *label = g_path_get_basename(path);

    if (g_str_has_suffix(label, SUFFIX))
        label[strlen(label) - strlen(SUFFIX)] = '\0';
    return label;
}

static gboolean is_shallow(const char *text)
{
    int depth = 0;

    for (; *text && depth <= DEPTH_MAX; text++)
        depth += (*text == '{' || *text == '[') - (*text == '}' || *text == ']');
    return depth <= DEPTH_MAX;
}

static gboolean ask(const char *path, Answers *answers, GError **error)
{
    g_autofree char *text = control_ask(path, error);
    g_autoptr(JsonNode) node = text && is_shallow(text) ? json_from_string(text, NULL) : NULL;

    if (!text)
        return FALSE;
    if (!node || !JSON_NODE_HOLDS_OBJECT(node)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "what it answers is no status");
        return FALSE;
    }
    g_ptr_array_add(answers->labels, label_of(path));
    g_ptr_array_add(answers->objects, json_node_get_object(node));
    g_ptr_array_add(answers->nodes, g_steal_pointer(&node));
    g_ptr_array_add(answers->texts, g_strchomp(g_steal_pointer(&text)));
    return TRUE;
}

static char *joined(const GPtrArray *words)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < words->len; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "", (char *)g_ptr_array_index(words, i));
    return g_string_free(text, FALSE);
}

/* All that answer; of NAME that one alone. What a dead process left does not. */
static int ask_all(const char *name, Answers *answers)
{
    g_auto(GStrv) paths = control_list();
    g_autofree char *places = control_places(), *others = NULL;
    g_autoptr(GPtrArray) labels = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) first = NULL;

    for (char **path = paths; *path; path++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *label = label_of(*path);

        if (name && strcmp(name, label) != 0) {
            g_ptr_array_add(labels, g_steal_pointer(&label));
            continue;
        }
        if (!ask(*path, answers, &error) && !first)
            g_propagate_prefixed_error(&first, g_steal_pointer(&error), "%s: ", *path);
    }
    if (answers->labels->len > 0)
        return EXIT_SUCCESS;
    if (name && first)
        return command_fail(EXIT_FAILURE, "%s", first->message);
    others = joined(labels);
    if (labels->len > 0)
        return command_fail(EXIT_FAILURE, "%s: nobody of that name runs here (there are: %s)", name,
                            others);
    return command_fail(EXIT_FAILURE, "nothing of this user's runs here (looked in %s)", places);
}

static void print_json(const Answers *answers, gboolean one)
{
    g_autofree char *list = joined(answers->texts);

    printf("%s%s%s\n", one ? "" : "[", list, one ? "" : "]");
}

typedef struct Question {
    const char *name, *path;
    gboolean json, follow, colours;
} Question;

static int look(const Question *question)
{
    g_auto(Answers) answers = {
        .labels = g_ptr_array_new_with_free_func(g_free),
        .texts = g_ptr_array_new_with_free_func(g_free),
        .nodes = g_ptr_array_new_with_free_func((GDestroyNotify)json_node_unref),
        .objects = g_ptr_array_new(),
    };
    g_autoptr(GError) error = NULL;
    int status = EXIT_SUCCESS;

    if (question->path) {
        if (!ask(question->path, &answers, &error))
            return command_fail(EXIT_FAILURE, "--control %s: %s", question->path, error->message);
    } else {
        status = ask_all(question->name, &answers);
        if (status != EXIT_SUCCESS)
            return status;
    }
    if (question->follow && question->colours)
        printf("\033[H\033[2J");
    if (question->json)
        print_json(&answers, question->name || question->path);
    else if (answers.labels->len == 1)
        status_print(g_ptr_array_index(answers.labels, 0), g_ptr_array_index(answers.objects, 0),
                     question->colours);
    else
        status_print_list(answers.labels, answers.objects, question->colours);
    fflush(stdout);
    return EXIT_SUCCESS;
}

int command_status(int argc, char **argv)
{
    g_auto(GStrv) arguments = NULL;
    g_autofree char *path = NULL;
    Question question = {0};
    const GOptionEntry entries[] = {
        {"control", 0, 0, G_OPTION_ARG_FILENAME, &path, "Ask this control socket", "PATH"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &question.json, "Print it as JSON, on one line", NULL},
        {"follow", 'f', 0, G_OPTION_ARG_NONE, &question.follow,
         "Print it again each second, until it ends", NULL},
        {0},
    };
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (g_strv_length(arguments) > 1 || (path && *arguments))
        return command_fail(EXIT_ARGUMENTS, "status takes one NAME, or --control PATH (see "
                                            "pinhole status --help)");
    question.name = arguments[0];
    question.path = path;
    question.colours = command_colours();
    /* It serves nobody: a reader who is slow holds up himself alone, and not whom it asks. */
    do
        status = look(&question);
    while (status == EXIT_SUCCESS && question.follow && !ferror(stdout) &&
           (g_usleep(FOLLOW_US), TRUE));
    return status;
}
