/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recorder's child. Packets of several interfaces are put in order of time by holding them back
 * for a while, unless their source does that (input.h): a packet is in its ring microseconds after
 * it got its timestamp, unless the processor was taken away in between.
 */
#include "capture/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/pcapng.h"

#define HOLD_BACK_NS  (200 * G_GUINT64_CONSTANT(1000000))
#define HOLD_BACK_MAX 65536 /* packets, then they are written more often */

typedef struct Held {
    uint64_t time_ns, sequence;
    uint8_t *data;
    unsigned interface;
    uint32_t length, original_length;
} Held;

typedef struct Recording {
    PlInput *input;
    PlPcapngWriter *writer;
    GArray *held; /* Held, in the order of arrival */
    uint64_t sequence;
    uint64_t newest_ns; /* of the packets read so far */
    int socket;
    FILE *file;
    gboolean live;   /* each packet is written as soon as it can be */
    int end;         /* readable when SIGTERM has come; -1: not live */
    gboolean unread; /* its reader went away, which ends it */
    gboolean ended;  /* SIGTERM did */
} Recording;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * G_GUINT64_CONSTANT(1000000000) + (uint64_t)now.tv_nsec;
}

static void say(Recording *recording, char kind, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void say(Recording *recording, char kind, const char *format, ...)
{
    char message[PL_RECORD_MESSAGE_MAX] = {kind};
    va_list arguments;

    va_start(arguments, format);
    g_vsnprintf(message + 1, sizeof(message) - 1, format, arguments);
    va_end(arguments);
    /* When the parent is gone, there is nobody to tell. */
    (void)!send(recording->socket, message, strlen(message), MSG_NOSIGNAL);
}

/* What is wrong, to the parent. */
static void complain(Recording *recording, const GError *error)
{
    say(recording,
        g_error_matches(error, PL_ERROR, PL_ERROR_UNSUPPORTED) ? PL_RECORD_UNSUPPORTED
                                                               : PL_RECORD_FAILED,
        "%s", error->message);
}

static gint compare_held(gconstpointer left, gconstpointer right)
{
    const Held *a = left, *b = right;

    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

static void held_clear(gpointer data)
{
    g_free(((Held *)data)->data);
}

/* Writes what was captured up to then. */
static void write_until(Recording *recording, uint64_t until_ns)
{
    guint n = 0;

    g_array_sort(recording->held, compare_held);
    while (n < recording->held->len) {
        const Held *held = &g_array_index(recording->held, Held, n);

        if (held->time_ns > until_ns)
            break;
        pl_pcapng_writer_packet(recording->writer, held->interface, held->time_ns, held->data,
                                held->length, held->original_length);
        n++;
    }
    if (n)
        g_array_remove_range(recording->held, 0, n);
}

static void hold(gpointer data, const PlFound *found)
{
    Recording *recording = data;
    Held held = {
        .time_ns = found->time_ns,
        .sequence = recording->sequence++,
        .data = g_memdup2(found->data, found->length),
        .interface = found->interface,
        .length = found->length,
        .original_length = found->original_length,
    };

    recording->newest_ns = MAX(recording->newest_ns, held.time_ns);
    g_array_append_val(recording->held, held);
}

/* Reads what is there; FALSE when capturing cannot go on. */
static gboolean drain(Recording *recording, int *ret_n)
{
    g_autoptr(GError) error = NULL;

    *ret_n = recording->input->kind->drain(recording->input, &error);
    if (*ret_n < 0)
        complain(recording, error);
    return *ret_n >= 0;
}

/* How long packets wait for earlier ones; those of one interface come in order. */
static uint64_t hold_back_ns(const Recording *recording)
{
    const PlInput *input = recording->input;

    return recording->live && (input->n_points == 1 || input->kind->ordered) ? 0 : HOLD_BACK_NS;
}

/* FALSE when something could not be written, now or before: closing the writer says what. */
static gboolean flush(Recording *recording)
{
    int failed = pl_pcapng_writer_flush(recording->writer);

    if (failed == EPIPE)
        recording->unread = TRUE;
    return failed == 0;
}

/*
 * Somebody may be looking: what is old enough goes out at once. Else it is done when it pays. FALSE
 * when there is no point in going on.
 */
static gboolean write_some(Recording *recording)
{
    uint64_t wait = hold_back_ns(recording), horizon = now_ns() - wait;
    uint64_t oldest =
        recording->held->len ? g_array_index(recording->held, Held, 0).time_ns : G_MAXUINT64;

    if (recording->live && recording->held->len) {
        write_until(recording, wait ? horizon : G_MAXUINT64);
        return flush(recording);
    }
    if (recording->held->len >= HOLD_BACK_MAX || oldest < horizon - wait)
        write_until(recording, horizon);
    return TRUE;
}

/* Whether to go on and to the end, and what the parent said when not. */
static gboolean is_to_stop(const Recording *recording)
{
    char message;
    ssize_t n = recv(recording->socket, &message, 1, 0);

    /* A live recording is whole also when its caller was interrupted. */
    return (n == 1 && message == PL_RECORD_STOP) || (n <= 0 && recording->live);
}

static GArray *polls_new(const Recording *recording)
{
    GArray *polls = g_array_new(FALSE, FALSE, sizeof(struct pollfd));
    const struct pollfd own[] = {
        {.fd = recording->socket, .events = POLLIN},
        /* A pipe that nobody reads from any more; a file never says anything. */
        {.fd = recording->live ? fileno(recording->file) : -1},
        {.fd = recording->end, .events = POLLIN},
    };

    g_array_append_vals(polls, own, G_N_ELEMENTS(own));
    recording->input->kind->poll(recording->input, polls);
    return polls;
}

/* Until the parent says so; FALSE when something broke, or the parent did. */
static gboolean capture(Recording *recording)
{
    g_autoptr(GArray) polls = polls_new(recording);
    const struct pollfd *own = &g_array_index(polls, struct pollfd, 0);

    while (TRUE) {
        gboolean waiting = recording->live && recording->held->len > 0;
        int n;

        if (poll((struct pollfd *)(void *)polls->data, polls->len,
                 waiting ? (int)(HOLD_BACK_NS / 1000000) : -1) < 0 &&
            errno != EINTR) {
            say(recording, PL_RECORD_FAILED, "poll: %s", g_strerror(errno));
            return FALSE;
        }
        if (own[0].revents)
            return is_to_stop(recording);
        if (own[1].revents) {
            recording->unread = TRUE;
            return FALSE;
        }
        if (own[2].revents) {
            recording->ended = TRUE;
            return TRUE;
        }
        if (!drain(recording, &n) || !write_some(recording))
            return FALSE;
    }
}

/* What was there when the parent said stop is in the input now; what comes later does not count. */
static gboolean drain_rest(Recording *recording)
{
    uint64_t stop_ns = now_ns();
    int n;

    do {
        if (!drain(recording, &n))
            return FALSE;
    } while (n > 0 && recording->newest_ns < stop_ns);
    write_until(recording, G_MAXUINT64);
    return TRUE;
}

/* FALSE, and said so, when a packet was lost. */
static gboolean write_statistics(Recording *recording)
{
    PlInput *input = recording->input;
    g_autoptr(GString) lost = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < input->n_points; i++) {
        uint64_t n_received, n_lost;

        if (!input->kind->statistics(input, i, &n_received, &n_lost, &error)) {
            complain(recording, error);
            return FALSE;
        }
        pl_pcapng_writer_statistics(recording->writer, i, now_ns(), n_received, n_lost);
        if (n_lost)
            g_string_append_printf(lost, "%s%" G_GUINT64_FORMAT " packets on %s",
                                   lost->len ? ", " : "", n_lost, input->points[i].name);
    }
    if (lost->len)
        say(recording, PL_RECORD_FAILED, "the capture lost %s", lost->str);
    return lost->len == 0;
}

/* What a file still has of something else would make its end unreadable. */
static void cut(int fd)
{
    struct stat status;
    off_t at = lseek(fd, 0, SEEK_CUR);

    if (at >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        !(fcntl(fd, F_GETFL) & O_APPEND))
        (void)!ftruncate(fd, at);
}

static void record_to(Recording *recording, const char *comment)
{
    g_autoptr(GError) error = NULL;
    gboolean complete;

    cut(fileno(recording->file));
    recording->writer = pl_pcapng_writer_new(recording->file, "pinlab " PL_VERSION, comment);
    for (size_t i = 0; i < recording->input->n_points; i++) {
        const PlRecorderPoint *point = &recording->input->points[i];

        pl_pcapng_writer_interface(recording->writer, point->name, point->description);
    }
    /* So that a reader sees the interfaces while nothing happens. */
    complete = !recording->live || flush(recording);
    if (complete) {
        say(recording, PL_RECORD_LIVE, "%s", "");
        complete = capture(recording) && drain_rest(recording) && write_statistics(recording);
    }
    flush(recording);
    if (!pl_pcapng_writer_close(recording->writer, &error) && !recording->unread)
        say(recording, PL_RECORD_FAILED, "%s", error->message);
    else if (complete || recording->unread)
        say(recording, PL_RECORD_DONE, "%s", recording->ended ? "the lab went down" : "");
}

static int catch_end(void)
{
    sigset_t end;

    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    return signalfd(-1, &end, SFD_CLOEXEC);
}

void pl_record(PlInput *input, int fd, const char *comment, gboolean live, int socket)
{
    g_autoptr(GError) error = NULL;
    Recording recording = {
        .input = input,
        .held = g_array_new(FALSE, FALSE, sizeof(Held)),
        .socket = socket,
        .live = live,
        .end = live ? catch_end() : -1,
        .file = fdopen(fd, "w"),
    };

    g_array_set_clear_func(recording.held, held_clear);
    input->take = hold;
    input->data = &recording;
    if (!recording.file)
        say(&recording, PL_RECORD_FAILED, "cannot write the capture: %s", g_strerror(errno));
    else if (input->kind->open(input, &error))
        record_to(&recording, comment);
    else
        complain(&recording, error);
    input->kind->free(input);
    g_array_free(recording.held, TRUE);
    if (recording.file)
        fclose(recording.file);
    if (recording.end >= 0)
        close(recording.end);
}
