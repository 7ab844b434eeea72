/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a fuzzer over the files (and the files in the directories) it is given: the corpus as an
 * ordinary test. */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned run_path(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *data = NULL;
    uint8_t *exact;
    unsigned n = 0;
    gsize size;

    if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
        const char *name;

        if (!dir) {
            fprintf(stderr, "%s\n", error->message);
            exit(EXIT_FAILURE);
        }
        while ((name = g_dir_read_name(dir))) {
            g_autofree char *below = g_build_filename(path, name, NULL);

            n += run_path(below);
        }
        return n;
    }
    if (!g_file_get_contents(path, &data, &size, &error)) {
        fprintf(stderr, "%s\n", error->message);
        exit(EXIT_FAILURE);
    }
    /* What GLib gives has a zero behind it, as no packet has. */
    exact = malloc(size);
    if (!exact)
        exit(EXIT_FAILURE);
    if (size > 0)
        memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

int main(int argc, char **argv)
{
    unsigned n = 0;

    for (int i = 1; i < argc; i++)
        n += run_path(argv[i]);
    printf("%u inputs\n", n);
    return n ? EXIT_SUCCESS : EXIT_FAILURE;
}
