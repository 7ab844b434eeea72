/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine/pinhole.h"

#include <dlfcn.h>

static char *find_program(void)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *directory = self ? g_path_get_dirname(self) : g_strdup(".");

    return g_build_filename(directory, "pinhole", NULL);
}

char **pl_pinhole_command(const PlProgram *program, GError **error)
{
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
    g_ptr_array_add(words, g_steal_pointer(&path));
    for (char *const *word = program->argv; *word; word++)
        g_ptr_array_add(words, g_strdup(*word));
    if (program->word == PL_WORD_CLASSIFY)
        g_ptr_array_add(words, g_strdup("--json"));
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
