/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/pinhole.h"

#include <dlfcn.h>

#include "machine/program.h"
#include "topology/identity.h"

static char *find_program(void)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *directory = self ? g_path_get_dirname(self) : g_strdup(".");

    return g_build_filename(directory, "pinhole", NULL);
}

static void add(GPtrArray *words, const char *word)
{
    g_ptr_array_add(words, g_strdup(word));
}

/* Nodes and their hubs have keys, in a file that only they see: each host has a /run of its own. */
static gboolean has_key(const PlTopology *topology, const PlNode *host)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *other = g_ptr_array_index(topology->nodes, i);

        if (other->program.word == PL_WORD_NODE && (other == host || other->program.hub == host))
            return TRUE;
    }
    return FALSE;
}

#define KEY_FILE "/run/pinhole.key"

/* What makes the file, and then becomes the words behind it. */
static void add_key_maker(GPtrArray *words, const PlNode *host, uint64_t seed)
{
    char secret[PH_KEY_TEXT_MAX];
    PhKey key;

    pl_host_key(host, seed, &key);
    add(words, "sh");
    add(words, "-c");
    add(words, "umask 077; echo \"pinhole-secret-key $0\" > " KEY_FILE "; exec \"$@\"");
    add(words, ph_key_format_public(key.secret_half, secret));
    ph_key_wipe(&key);
}

static void add_node(GPtrArray *words, const PlProgram *program, uint64_t seed)
{
    char key_text[PH_KEY_TEXT_MAX], address[PH_ADDRESS_TEXT_MAX];
    PhKey key;

    pl_host_key(program->hub, seed, &key);
    add(words, "node");
    add(words, "--hub");
    g_ptr_array_add(words, g_strdup_printf("%s@%s", ph_key_format_public(key.public_half, key_text),
                                           ph_address_format(&program->addresses[0], address)));
    ph_key_wipe(&key);
    add(words, "--name");
    add(words, program->name);
    if (program->fast)
        add(words, "--fast");
    if (program->connect) {
        add(words, "--connect");
        add(words, program->connect);
        add(words, "--greet");
        g_ptr_array_add(words, pl_node_greeting(program));
    }
    if (program->relay)
        add(words, "--relay");
}

/* Into what the machine gives it. */
static void add_recording(GPtrArray *words)
{
    add(words, "--record");
    g_ptr_array_add(words, g_strdup_printf("/proc/self/fd/%d", PL_MACHINE_GIVEN));
    add(words, "--record-secrets");
}

char **pl_pinhole_command(const PlTopology *topology, const PlNode *host, uint64_t seed,
                          gboolean recorded, GError **error)
{
    const PlProgram *program = &host->program;
    g_autofree char *path = find_program();
    GPtrArray *words;

    g_assert(program->word != PL_WORD_NONE);
    if (!g_file_test(path, G_FILE_TEST_IS_EXECUTABLE)) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED,
                    "cannot run %s: there is no program %s (expected pinhole beside pinlab)",
                    program->argv[0], path);
        return NULL;
    }
    words = g_ptr_array_new();
    if (has_key(topology, host))
        add_key_maker(words, host, seed);
    add(words, path);
    if (program->word == PL_WORD_NODE)
        add_node(words, program, seed);
    if (program->word == PL_WORD_NODE && recorded)
        add_recording(words);
    for (char *const *word = program->argv; program->word != PL_WORD_NODE && *word; word++)
        add(words, *word);
    if (program->word == PL_WORD_CLASSIFY)
        add(words, "--json");
    if (has_key(topology, host)) {
        add(words, "--key");
        add(words, KEY_FILE);
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

char **pl_pinhole_files(void)
{
    g_autofree char *program = find_program();
    GPtrArray *files = g_ptr_array_new();
    Dl_info library;

    if (g_file_test(program, G_FILE_TEST_IS_REGULAR))
        g_ptr_array_add(files, g_steal_pointer(&program));
    if (dladdr(dlsym(RTLD_DEFAULT, "ph_address_parse"), &library) && *library.dli_fname == '/')
        g_ptr_array_add(files, g_strdup(library.dli_fname));
    g_ptr_array_add(files, NULL);
    return (char **)g_ptr_array_free(files, FALSE);
}
