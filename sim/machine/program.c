/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One program as its keeper and the lab both see it, in shared memory. */
#include "machine/program.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LAST_LINES 10
#define LAST_BYTES 2000

PlProgramShare *pl_program_share_map(int fd)
{
    void *at = mmap(NULL, sizeof(PlProgramShare), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return at == MAP_FAILED ? NULL : at;
}

PlProgramShare *pl_program_share_new(char *const *argv, int *ret_fd, GError **error)
{
    g_autoptr(PlProgramShare) share = NULL;
    size_t length = 0;
    int fd;

    for (size_t i = 0; argv[i]; i++)
        length += strlen(argv[i]) + 1;
    if (length > PL_OUTPUT_KEPT) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "its command is longer than %u bytes",
                    PL_OUTPUT_KEPT);
        return NULL;
    }
    fd = memfd_create("pinlab-program", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, sizeof(PlProgramShare)) < 0 ||
        !(share = pl_program_share_map(fd))) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot make memory for its output: %s",
                    g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    for (size_t i = 0; argv[i]; i++) {
        size_t n = strlen(argv[i]) + 1;

        memcpy(share->output + share->command_length, argv[i], n);
        share->command_length += n;
    }
    *ret_fd = fd;
    return g_steal_pointer(&share);
}

void pl_program_share_free(PlProgramShare *share)
{
    if (share)
        munmap(share, sizeof(*share));
}

char **pl_program_share_command(const PlProgramShare *share, char **ret_words)
{
    char *words = g_malloc(share->command_length);
    GPtrArray *argv = g_ptr_array_new();

    memcpy(words, share->output, share->command_length);
    for (size_t at = 0; at < share->command_length; at += strlen(words + at) + 1)
        g_ptr_array_add(argv, words + at);
    g_ptr_array_add(argv, NULL);
    *ret_words = words;
    return (char **)g_ptr_array_free(argv, FALSE);
}

void pl_program_share_write(PlProgramShare *share, const char *data, size_t length)
{
    uint64_t written = atomic_load_explicit(&share->written, memory_order_relaxed);

    while (length > 0) {
        size_t at = written % PL_OUTPUT_KEPT, n = MIN(length, PL_OUTPUT_KEPT - at);

        memcpy(share->output + at, data, n);
        data += n;
        length -= n;
        written += n;
        atomic_store_explicit(&share->written, written, memory_order_release);
    }
}

GString *pl_program_share_read(const PlProgramShare *share, uint64_t *from)
{
    uint64_t end = atomic_load_explicit(&share->written, memory_order_acquire), start, now;
    GString *text = g_string_new(NULL);

    start = MAX(*from, end > PL_OUTPUT_KEPT ? end - PL_OUTPUT_KEPT : 0);
    for (uint64_t at = start; at < end;) {
        size_t offset = at % PL_OUTPUT_KEPT, n = MIN(end - at, PL_OUTPUT_KEPT - offset);

        g_string_append_len(text, share->output + offset, (gssize)n);
        at += n;
    }
    /* What was written over meanwhile, at the front, is not output. */
    now = atomic_load_explicit(&share->written, memory_order_acquire);
    if (now > start + PL_OUTPUT_KEPT)
        g_string_erase(text, 0, (gssize)MIN(text->len, now - PL_OUTPUT_KEPT - start));
    *from = end;
    return text;
}

char *pl_program_share_text(const PlProgramShare *share)
{
    uint64_t from = 0;
    GString *raw = pl_program_share_read(share, &from);
    /* Also makes something else of every NUL. */
    char *text = g_utf8_make_valid(raw->str, (gssize)raw->len);

    g_string_free(raw, TRUE);
    return text;
}

char *pl_program_share_last_lines(const PlProgramShare *share)
{
    uint64_t end = atomic_load_explicit(&share->written, memory_order_acquire);
    uint64_t from = end > LAST_BYTES ? end - LAST_BYTES : 0;
    GString *raw = pl_program_share_read(share, &from), *text = g_string_new(NULL);
    g_autofree char *valid = g_utf8_make_valid(raw->str, (gssize)raw->len);
    g_auto(GStrv) lines = g_strsplit(g_strchomp(valid), "\n", -1);
    guint n = g_strv_length(lines);

    g_string_free(raw, TRUE);
    for (guint i = n > LAST_LINES ? n - LAST_LINES : 0; i < n; i++) {
        g_string_append(text, "\n    ");
        /* An error goes to a terminal, which must not obey it. */
        for (const char *c = lines[i]; *c; c = g_utf8_next_char(c)) {
            gunichar u = g_utf8_get_char(c);

            if (g_unichar_isprint(u) || u == '\t')
                g_string_append_unichar(text, u);
        }
    }
    return g_string_free(text, FALSE);
}
