/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pcapng writer and reader: round trips, foreign files built byte by byte, and broken ones. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "capture/pcapng.h"

/* A file being built in either byte order. */
typedef struct File {
    GByteArray *bytes;
    gboolean big; /* endian */
} File;

static void u16(File *file, unsigned value)
{
    uint16_t word = (uint16_t)(file->big ? GUINT16_TO_BE(value) : GUINT16_TO_LE(value));

    g_byte_array_append(file->bytes, (const uint8_t *)&word, sizeof(word));
}

static void u32(File *file, uint32_t value)
{
    value = file->big ? GUINT32_TO_BE(value) : GUINT32_TO_LE(value);
    g_byte_array_append(file->bytes, (const uint8_t *)&value, sizeof(value));
}

static void text(File *file, const char *data, size_t length)
{
    g_byte_array_append(file->bytes, (const uint8_t *)data, (guint)length);
    g_byte_array_append(file->bytes, (const uint8_t *)"\0\0\0", (guint)(-length & 3));
}

static guint begin(File *file, uint32_t type)
{
    u32(file, type);
    u32(file, 0);
    return file->bytes->len - 8;
}

static void end(File *file, guint start)
{
    uint32_t length = file->bytes->len - start + 4;

    u32(file, length);
    length = file->big ? GUINT32_TO_BE(length) : GUINT32_TO_LE(length);
    memcpy(file->bytes->data + start + 4, &length, sizeof(length));
}

static void section(File *file)
{
    guint start = begin(file, 0x0A0D0D0A);

    u32(file, 0x1A2B3C4D);
    u16(file, 1);
    u16(file, 0);
    u32(file, 0xffffffff);
    u32(file, 0xffffffff);
    end(file, start);
}

/* `resolution` 0: not said. */
static void interface(File *file, const char *name, uint8_t resolution, uint32_t snaplen)
{
    guint start = begin(file, 1);

    u16(file, 1);
    u16(file, 0);
    u32(file, snaplen);
    if (name) {
        u16(file, 2);
        u16(file, (unsigned)strlen(name));
        text(file, name, strlen(name));
    }
    if (resolution) {
        u16(file, 9);
        u16(file, 1);
        text(file, (const char *)&resolution, 1);
    }
    end(file, start);
}

static void packet(File *file, uint32_t number, uint64_t ticks, const char *data)
{
    guint start = begin(file, 6);

    u32(file, number);
    u32(file, (uint32_t)(ticks >> 32));
    u32(file, (uint32_t)ticks);
    u32(file, (uint32_t)strlen(data));
    u32(file, 1000);
    text(file, data, strlen(data));
    end(file, start);
}

static File *file_new(gboolean big)
{
    File *file = g_new0(File, 1);

    file->bytes = g_byte_array_new();
    file->big = big;
    return file;
}

static const PlFrame *frame_at(const PlCapture *capture, guint index)
{
    g_assert_cmpuint(index, <, capture->frames->len);
    return &g_array_index(capture->frames, PlFrame, index);
}

static void assert_data(const PlCapture *capture, guint index, const char *expected)
{
    const PlFrame *frame = frame_at(capture, index);

    g_assert_cmpuint(frame->length, ==, strlen(expected));
    g_assert_true(memcmp(frame->data, expected, frame->length) == 0);
}

static PlCapture *parse(File *file, GError **error)
{
    g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(file->bytes);

    g_free(file);
    return pl_capture_parse("test", bytes, error);
}

static const PlCaptureInterface *interface_at(const PlCapture *capture, guint index)
{
    g_assert_cmpuint(index, <, capture->interfaces->len);
    return &g_array_index(capture->interfaces, PlCaptureInterface, index);
}

/* Writes a file as the recorder does; to be unlinked. */
static char *write_file(const char *comment)
{
    g_autoptr(GError) error = NULL;
    char *path = NULL;
    int fd = g_file_open_tmp("pinlab-XXXXXX.pcapng", &path, &error);
    FILE *file = fdopen(fd, "w");
    PlPcapngWriter *writer = pl_pcapng_writer_new(file, "test 1", comment);

    g_assert_no_error(error);
    g_assert_cmpuint(pl_pcapng_writer_interface(writer, "home-a.inside", "its inside"), ==, 0);
    g_assert_cmpuint(pl_pcapng_writer_interface(writer, "hub", NULL), ==, 1);
    pl_pcapng_writer_packet(writer, 1, G_GUINT64_CONSTANT(1700000000123456789),
                            (const uint8_t *)"abcde", 5, 60);
    pl_pcapng_writer_packet(writer, 0, G_GUINT64_CONSTANT(1700000000123456788), (const uint8_t *)"",
                            0, 0);
    pl_pcapng_writer_statistics(writer, 0, 1, 2, 3);
    g_assert_true(pl_pcapng_writer_close(writer, &error));
    fclose(file);
    return path;
}

static void test_what_is_written_is_read(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = write_file("two\nlines");
    g_autoptr(PlCapture) capture = pl_capture_load(path, &error);

    g_unlink(path);
    g_assert_no_error(error);
    g_assert_cmpuint(capture->interfaces->len, ==, 2);
    g_assert_cmpstr(interface_at(capture, 0)->name, ==, "home-a.inside");
    g_assert_cmpstr(interface_at(capture, 1)->name, ==, "hub");
    g_assert_cmpuint(interface_at(capture, 0)->link_type, ==, 1);
    g_assert_cmpuint(interface_at(capture, 0)->dropped, ==, 3);
    g_assert_cmpuint(capture->frames->len, ==, 2);
    g_assert_cmpuint(frame_at(capture, 0)->time_ns, ==, G_GUINT64_CONSTANT(1700000000123456788));
    g_assert_cmpuint(frame_at(capture, 1)->interface, ==, 1);
    g_assert_cmpuint(frame_at(capture, 1)->original_length, ==, 60);
    assert_data(capture, 1, "abcde");
}

static void test_tshark_reads_it_without_complaint(void)
{
    g_autofree char *tshark = g_find_program_in_path("tshark");
    g_autofree char *path = NULL, *out = NULL, *err = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!tshark) {
        g_test_skip("no tshark");
        return;
    }
    path = write_file("a comment");
    char *argv[] = {tshark,
                    (char *)"-r",
                    path,
                    (char *)"-T",
                    (char *)"fields",
                    (char *)"-e",
                    (char *)"frame.interface_name",
                    (char *)"-e",
                    (char *)"frame.time_epoch",
                    NULL};
    g_assert_true(
        g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status, &error));
    g_unlink(path);
    g_assert_cmpint(status, ==, 0);
    g_assert_nonnull(strstr(out, "hub\t1700000000.123456789\n"));
    g_assert_nonnull(strstr(out, "home-a.inside\t1700000000.123456788\n"));
    g_assert_null(strstr(err, "appears"));
}

static void test_the_same_packets_give_the_same_bytes(void)
{
    char *paths[] = {write_file(NULL), write_file(NULL)}, *data[2];
    gsize length[2];

    for (int i = 0; i < 2; i++) {
        g_assert_true(g_file_get_contents(paths[i], &data[i], &length[i], NULL));
        g_unlink(paths[i]);
    }
    g_assert_cmpuint(length[0], ==, length[1]);
    g_assert_true(memcmp(data[0], data[1], length[0]) == 0);
    for (int i = 0; i < 2; i++) {
        g_free(paths[i]);
        g_free(data[i]);
    }
}

static void test_a_full_disk_is_an_error(void)
{
    g_autoptr(GError) error = NULL;
    FILE *file = fopen("/dev/full", "w");
    PlPcapngWriter *writer;

    if (!file) {
        g_test_skip("no /dev/full");
        return;
    }
    writer = pl_pcapng_writer_new(file, "test", NULL);
    g_assert_false(pl_pcapng_writer_close(writer, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    fclose(file);
}

static ssize_t fail_once(void *cookie, const char *data, size_t size)
{
    unsigned *calls = cookie;

    (void)data;
    if ((*calls)++ > 0)
        return (ssize_t)size;
    errno = ENOSPC;
    return 0;
}

/* What is missing in the middle is not mended by what could be written after it. */
static void test_the_first_error_stays(void)
{
    unsigned calls = 0;
    FILE *file = fopencookie(&calls, "w", (cookie_io_functions_t){.write = fail_once});
    PlPcapngWriter *writer = pl_pcapng_writer_new(file, "test", NULL);
    g_autoptr(GError) error = NULL;

    pl_pcapng_writer_interface(writer, "a", "");
    g_assert_cmpint(pl_pcapng_writer_flush(writer), ==, ENOSPC);
    g_assert_cmpint(pl_pcapng_writer_flush(writer), ==, ENOSPC);
    g_assert_false(pl_pcapng_writer_close(writer, &error));
    g_assert_nonnull(strstr(error->message, g_strerror(ENOSPC)));
    fclose(file);
}

static void test_either_byte_order_and_several_sections_are_read(void)
{
    g_autoptr(GError) error = NULL;
    File *file = file_new(TRUE);
    PlCapture *capture;

    section(file);
    interface(file, "first", 0, 0);
    packet(file, 0, 5000000, "b");
    file->big = FALSE;
    section(file);
    interface(file, "second", 3, 0);
    packet(file, 0, 4000, "a");
    capture = parse(file, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(capture->interfaces->len, ==, 2);
    g_assert_cmpstr(interface_at(capture, frame_at(capture, 0)->interface)->name, ==, "second");
    g_assert_cmpuint(frame_at(capture, 0)->time_ns, ==, G_GUINT64_CONSTANT(4000000000));
    g_assert_cmpstr(interface_at(capture, frame_at(capture, 1)->interface)->name, ==, "first");
    g_assert_cmpuint(frame_at(capture, 1)->time_ns, ==, G_GUINT64_CONSTANT(5000000000));
    pl_capture_free(capture);
}

static void test_every_resolution_becomes_nanoseconds(void)
{
    const struct {
        uint8_t resolution;
        uint64_t ticks, ns;
    } cases[] = {
        {0, 1500000, 1500000000},        {9, 1500000000, 1500000000},
        {12, 1500000000999, 1500000000}, {1, 15, 1500000000},
        {0x80 | 10, 1536, 1500000000},   {0x80 | 63, 3ull << 62, 1500000000},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(PlCapture) capture = NULL;
        File *file = file_new(FALSE);

        section(file);
        interface(file, NULL, cases[i].resolution, 0);
        packet(file, 0, cases[i].ticks, "");
        capture = parse(file, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(frame_at(capture, 0)->time_ns, ==, cases[i].ns);
        g_assert_cmpstr(interface_at(capture, 0)->name, ==, "");
    }
}

static void test_simple_obsolete_and_unknown_blocks_are_read(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlCapture) capture = NULL;
    File *file = file_new(FALSE);
    guint start;

    section(file);
    interface(file, "x", 9, 3);
    start = begin(file, 2);
    u16(file, 0);
    u16(file, 9); /* drops */
    u32(file, 0);
    u32(file, 77);
    u32(file, 2);
    u32(file, 2);
    text(file, "ob", 2);
    end(file, start);
    start = begin(file, 3);
    u32(file, 5); /* cut to the snap length */
    text(file, "sim", 3);
    end(file, start);
    start = begin(file, 0xBAD);
    u32(file, 1);
    end(file, start);
    capture = parse(file, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(capture->frames->len, ==, 2);
    g_assert_cmpuint(frame_at(capture, 0)->time_ns, ==, 77);
    assert_data(capture, 0, "ob");
    g_assert_cmpuint(frame_at(capture, 1)->time_ns, ==, 77);
    assert_data(capture, 1, "sim");
    g_assert_cmpuint(frame_at(capture, 1)->original_length, ==, 5);
}

static void test_classic_pcap_is_read(void)
{
    for (int kind = 0; kind < 4; kind++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(PlCapture) capture = NULL;
        File *file = file_new(kind & 1);

        u32(file, kind & 2 ? 0xA1B23C4D : 0xA1B2C3D4);
        u16(file, 2);
        u16(file, 4);
        u32(file, 0);
        u32(file, 0);
        u32(file, 65535);
        u32(file, 1);
        u32(file, 10);
        u32(file, 20);
        u32(file, 4);
        u32(file, 90);
        text(file, "pcap", 4);
        capture = parse(file, &error);
        g_assert_no_error(error);
        g_assert_cmpuint(capture->interfaces->len, ==, 1);
        g_assert_cmpuint(interface_at(capture, 0)->link_type, ==, 1);
        g_assert_cmpuint(frame_at(capture, 0)->time_ns, ==,
                         G_GUINT64_CONSTANT(10000000000) + (kind & 2 ? 20 : 20000));
        assert_data(capture, 0, "pcap");
    }
}

static void refuse(File *file, const char *expected)
{
    g_autoptr(GError) error = NULL;
    PlCapture *capture = parse(file, &error);

    g_assert_null(capture);
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    if (!g_str_has_prefix(error->message, "test: at offset ") || !strstr(error->message, expected))
        g_error("%s (%s expected)", error->message, expected);
}

static void test_broken_files_are_refused_by_name(void)
{
    File *file;
    guint start;

    refuse(file_new(FALSE), "no capture");
    file = file_new(FALSE);
    text(file, "#!/bin/sh", 9);
    refuse(file, "no capture");
    file = file_new(FALSE);
    section(file);
    packet(file, 0, 0, "");
    refuse(file, "interface that was not described");
    file = file_new(FALSE);
    section(file);
    interface(file, NULL, 20, 0);
    refuse(file, "resolution");
    file = file_new(FALSE);
    section(file);
    interface(file, NULL, 0, 0);
    packet(file, 0, G_MAXUINT64, "");
    refuse(file, "time out of range");
    file = file_new(FALSE);
    section(file);
    interface(file, NULL, 0, 0);
    start = begin(file, 6);
    for (int i = 0; i < 5; i++)
        u32(file, i == 3 ? 1000 : 0);
    end(file, start);
    refuse(file, "longer than its block");
    file = file_new(FALSE);
    section(file);
    start = begin(file, 0xBAD);
    end(file, start);
    file->bytes->data[file->bytes->len - 4] = 16;
    refuse(file, "two lengths differ");
    file = file_new(FALSE);
    section(file);
    start = begin(file, 0xBAD);
    u16(file, 0);
    end(file, start);
    refuse(file, "impossible block length");
    file = file_new(FALSE);
    section(file);
    file->bytes->data[12] = 2; /* the version */
    refuse(file, "version");
}

static void test_a_file_cut_short_anywhere_is_refused(void)
{
    g_autofree char *path = write_file("comment"), *data = NULL;
    gsize length, n_whole = 0;

    g_assert_true(g_file_get_contents(path, &data, &length, NULL));
    g_unlink(path);
    for (gsize cut = 0; cut < length; cut++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) bytes = g_bytes_new(data, cut);
        g_autoptr(PlCapture) capture = pl_capture_parse("cut", bytes, &error);

        if (capture)
            n_whole++;
        else
            g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    }
    /* Between blocks nobody can tell: after the section, two interfaces and two packets. */
    g_assert_cmpuint(n_whole, ==, 5);
}

static void test_an_absent_file_is_the_users_error(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(pl_capture_load("/nonexistent/x.pcapng", &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/pcapng/" #name, test_##name)
    TEST(the_first_error_stays);
    TEST(what_is_written_is_read);
    TEST(tshark_reads_it_without_complaint);
    TEST(the_same_packets_give_the_same_bytes);
    TEST(a_full_disk_is_an_error);
    TEST(either_byte_order_and_several_sections_are_read);
    TEST(every_resolution_becomes_nanoseconds);
    TEST(simple_obsolete_and_unknown_blocks_are_read);
    TEST(classic_pcap_is_read);
    TEST(broken_files_are_refused_by_name);
    TEST(a_file_cut_short_anywhere_is_refused);
    TEST(an_absent_file_is_the_users_error);
    return g_test_run();
}
