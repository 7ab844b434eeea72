/* SPDX-License-Identifier: MIT */
/* Lines for readers who are slow, away, or gone. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../tools/pinhole/lines.h"

#define PIPE_BYTES 4096
#define ROOM       8192
#define LINE_BYTES 100
#define FIT        (PIPE_BYTES / LINE_BYTES + ROOM / LINE_BYTES) /* lines that nobody reads */
#define LIMIT_S    60
#define TRIES      50000

/* Standard output, and who reads it. */
typedef struct Reader {
    int fd, before;
    GString *text;
} Reader;

static void reader_init(Reader *reader)
{
    int ends[2];

    fflush(stdout);
    reader->before = dup(STDOUT_FILENO);
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES), ==, PIPE_BYTES);
    g_assert_cmpint(dup2(ends[1], STDOUT_FILENO), ==, STDOUT_FILENO);
    close(ends[1]);
    reader->fd = ends[0];
    reader->text = g_string_new(NULL);
}

static void reader_clear(Reader *reader)
{
    dup2(reader->before, STDOUT_FILENO);
    close(reader->before);
    if (reader->fd >= 0)
        close(reader->fd);
    g_string_free(reader->text, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reader, reader_clear)

static gboolean read_some(Reader *reader)
{
    char bytes[PIPE_BYTES];
    ssize_t n = read(reader->fd, bytes, sizeof(bytes));

    if (n > 0)
        g_string_append_len(reader->text, bytes, n);
    return n > 0;
}

/* All that comes while the main loop runs, until nothing waits any more. */
static void read_all(Reader *reader, const Lines *lines)
{
    g_assert_cmpint(fcntl(reader->fd, F_SETFL, O_NONBLOCK), ==, 0);
    while (lines->source != 0) {
        (void)read_some(reader);
        g_main_context_iteration(NULL, FALSE);
    }
    (void)read_some(reader);
}

static void write_lines(Lines *lines, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++) {
        g_autofree char *line = g_strdup_printf("%0*u\n", LINE_BYTES - 1, i);

        lines_write(lines, line);
    }
}

static char *show_gap(uint64_t lost)
{
    return g_strdup_printf("gap %" G_GUINT64_FORMAT "\n", lost);
}

/* Every number from 0 on is there once, or in a gap. Returns the one after the last. */
static uint64_t account(const char *text, uint64_t *ret_lost)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    uint64_t next = 0, lost = 0;
    char **line = lines;

    for (; **line; line++) {
        if (g_str_has_prefix(*line, "gap ")) {
            lost += g_ascii_strtoull(*line + 4, NULL, 10);
            next += g_ascii_strtoull(*line + 4, NULL, 10);
            continue;
        }
        g_assert_cmpuint(strlen(*line), ==, LINE_BYTES - 1);
        g_assert_cmpuint(g_ascii_strtoull(*line, NULL, 10), ==, next++);
    }
    g_assert_null(line[1]);
    *ret_lost = lost;
    return next;
}

static void test_what_cannot_be_written_at_once_waits_for_a_reader(void)
{
    g_auto(Reader) reader = {0};
    g_auto(Lines) lines = {.room = ROOM, .gap = show_gap};
    uint64_t lost;

    reader_init(&reader);
    write_lines(&lines, 0, FIT);
    g_assert_cmpuint(lines.lost, ==, 0);
    g_assert_cmpint(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, ==, 0);
    read_all(&reader, &lines);
    g_assert_cmpuint(account(reader.text->str, &lost), ==, FIT);
    g_assert_cmpuint(lost, ==, 0);
}

static void test_who_reads_again_is_told_how_much_is_missing(void)
{
    g_auto(Reader) reader = {0};
    g_auto(Lines) lines = {.room = ROOM, .gap = show_gap};
    uint64_t lost;

    reader_init(&reader);
    write_lines(&lines, 0, 1000);
    g_assert_cmpuint(lines.lost, >, 800);
    g_assert_cmpuint(lines.waiting->len, <=, ROOM);
    read_all(&reader, &lines);
    g_assert_cmpuint(account(reader.text->str, &lost), ==, 1000); /* with nothing written after */
    write_lines(&lines, 1000, 2000);
    read_all(&reader, &lines);
    write_lines(&lines, 2000, 2001);
    read_all(&reader, &lines);
    g_assert_cmpuint(account(reader.text->str, &lost), ==, 2001);
    g_assert_cmpuint(lost, ==, lines.lost);
}

static void test_without_room_only_the_rest_of_a_line_waits(void)
{
    g_auto(Reader) reader = {0};
    g_auto(Lines) lines = {0};
    g_autofree char *large = g_strnfill(2 * PIPE_BYTES, 'x');

    reader_init(&reader);
    large[2 * PIPE_BYTES - 1] = '\n';
    lines_write(&lines, large);
    write_lines(&lines, 0, 10);
    g_assert_cmpuint(lines.lost, ==, 10);
    g_assert_cmpuint(lines.waiting->len, ==, PIPE_BYTES);
    read_all(&reader, &lines);
    g_assert_cmpstr(reader.text->str, ==, large);
    write_lines(&lines, 0, 1);
    read_all(&reader, &lines);
    g_assert_cmpuint(reader.text->len, ==, 2 * PIPE_BYTES + LINE_BYTES);
}

static gpointer read_slowly(gpointer data)
{
    Reader *reader = data;

    do
        g_usleep(1000);
    while (read_some(reader));
    return NULL;
}

static void test_a_last_line_waits_for_a_slow_reader(void)
{
    g_auto(Reader) reader = {0};
    g_auto(Lines) lines = {.room = ROOM, .gap = show_gap};
    g_autofree char *large = g_strnfill(10 * ROOM, 'x');
    GThread *thread;

    reader_init(&reader);
    large[10 * ROOM - 1] = '\n';
    write_lines(&lines, 0, 1000);
    thread = g_thread_new("reader", read_slowly, &reader);
    lines_end(&lines, large);
    dup2(reader.before, STDOUT_FILENO); /* the end of it, for who reads */
    g_thread_join(thread);
    g_assert_true(g_str_has_suffix(reader.text->str, large));
    g_assert_nonnull(strstr(reader.text->str, "\ngap "));
}

static void count(gpointer data)
{
    ++*(unsigned *)data;
}

static void test_a_reader_that_is_gone_is_a_failure_and_told(void)
{
    unsigned n = 0;
    g_auto(Reader) reader = {0};
    g_auto(Lines) lines = {.room = ROOM, .gap = show_gap, .failed = count, .data = &n};

    reader_init(&reader);
    write_lines(&lines, 0, FIT);
    close(reader.fd);
    reader.fd = -1;
    while (lines.source != 0)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpint(lines.error, ==, EPIPE);
    lines_end(&lines, "last\n"); /* does not wait */
    g_assert_cmpint(lines.error, ==, EPIPE);
}

/* Two of them with one pipe: what the one does to it for a moment the other must not take for good.
 */
static void test_what_others_write_to_always_blocks(void)
{
    g_auto(Reader) reader = {0};
    char page[PIPE_BYTES] = {0};
    int status;
    pid_t child;

    reader_init(&reader);
    g_assert_cmpint(lines_write_now(page, sizeof(page)), ==, sizeof(page));
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        for (unsigned i = 0; i < TRIES; i++)
            if (lines_write_now(page, sizeof(page)) >= 0 || errno != EAGAIN)
                _exit(1);
        _exit(0);
    }
    while (waitpid(child, &status, WNOHANG) == 0)
        g_assert_cmpint(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, ==, 0);
    g_assert_cmpint(status, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    (void)alarm(LIMIT_S); /* a failure is told to standard output, where perhaps nobody reads */
#define ADD(name) g_test_add_func("/lines/" #name, test_##name)
    ADD(what_cannot_be_written_at_once_waits_for_a_reader);
    ADD(who_reads_again_is_told_how_much_is_missing);
    ADD(without_room_only_the_rest_of_a_line_waits);
    ADD(a_last_line_waits_for_a_slow_reader);
    ADD(a_reader_that_is_gone_is_a_failure_and_told);
    ADD(what_others_write_to_always_blocks);
    return g_test_run();
}
