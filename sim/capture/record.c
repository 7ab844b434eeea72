/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The recorder's child. One packet socket an interface; a thread each to open it and to close it,
 * since the kernel makes both wait for grace periods: eight interfaces take 96 ms to open and
 * 195 ms to close one after the other, 17 and 24 to 34 in parallel (two cores, Linux 6.18).
 *
 * Packets of several interfaces are put in order of time by holding them back for a while: a packet
 * is in its ring microseconds after it got its timestamp, unless the processor was taken away in
 * between.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/pcapng.h"
#include "capture/record.h"

#define SNAPLEN       65535
#define HOLD_BACK_NS  (200 * G_GUINT64_CONSTANT(1000000))
#define HOLD_BACK_MAX 65536 /* packets, then they are written more often */
/*
 * Room for about 1200 frames of an Ethernet interface whose offloads are off; where they are on, a
 * frame can have 64 KiB, and it is 31. Smaller rings open no faster, one of 4 MiB takes up to twice
 * as long.
 */
#define RING_BYTES   (2 << 20)
#define DISPATCH_MAX 4096 /* more than a ring holds */

typedef struct Held {
    uint64_t time_ns, sequence;
    uint8_t *data;
    unsigned interface;
    uint32_t length, original_length;
} Held;

typedef struct Recording Recording;

typedef struct Source {
    Recording *recording;
    const PlRecorderPoint *point;
    unsigned index;
    pcap_t *pcap;
    int status;   /* of pcap_activate */
    char *failed; /* why it could not be opened */
} Source;

struct Recording {
    Source *sources;
    size_t n_sources;
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
};

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

static int activate(pcap_t *pcap)
{
    pcap_set_snaplen(pcap, SNAPLEN);
    pcap_set_immediate_mode(pcap, 1);
    pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
    pcap_set_buffer_size(pcap, RING_BYTES);
    return pcap_activate(pcap);
}

static gpointer open_source(gpointer data)
{
    Source *source = data;
    char text[PCAP_ERRBUF_SIZE] = "";

    if (setns(source->point->netns_fd, CLONE_NEWNET) < 0) {
        source->failed = g_strdup_printf("setns: %s", g_strerror(errno));
        return NULL;
    }
    source->pcap = pcap_create(source->point->interface, text);
    if (!source->pcap) {
        source->failed = g_strdup(text);
        return NULL;
    }
    source->status = activate(source->pcap);
    if (source->status < 0) {
        const char *more = pcap_geterr(source->pcap);

        source->failed = g_strdup(more && *more ? more : pcap_statustostr(source->status));
    } else if (pcap_datalink(source->pcap) != DLT_EN10MB) {
        source->failed = g_strdup("it is not an Ethernet interface");
    } else if (pcap_get_tstamp_precision(source->pcap) != PCAP_TSTAMP_PRECISION_NANO) {
        source->failed = g_strdup("it gives no nanosecond timestamps");
    } else if (pcap_setnonblock(source->pcap, 1, text) < 0) {
        source->failed = g_strdup(text);
    }
    return NULL;
}

static gpointer close_source(gpointer data)
{
    Source *source = data;

    g_clear_pointer(&source->pcap, pcap_close);
    return NULL;
}

/* Runs it for every source at once; for one after the other where threads cannot be had. */
static void for_each_source(Recording *recording, GThreadFunc function)
{
    g_autofree GThread **threads = g_new0(GThread *, recording->n_sources);

    for (size_t i = 0; i < recording->n_sources; i++)
        threads[i] = g_thread_try_new("source", function, &recording->sources[i], NULL);
    for (size_t i = 0; i < recording->n_sources; i++) {
        if (threads[i])
            g_thread_join(threads[i]);
        else
            function(&recording->sources[i]);
    }
}

static gboolean open_sources(Recording *recording)
{
    for_each_source(recording, open_source);
    for (size_t i = 0; i < recording->n_sources; i++) {
        const Source *source = &recording->sources[i];

        if (source->failed) {
            say(recording,
                source->status == PCAP_ERROR_PERM_DENIED ? PL_RECORD_UNSUPPORTED : PL_RECORD_FAILED,
                "cannot capture on %s (%s): %s", source->point->name, source->point->interface,
                source->failed);
            return FALSE;
        }
    }
    return TRUE;
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

static void on_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
    Source *source = (Source *)user;
    Recording *recording = source->recording;
    Held held = {
        /* With nanosecond precision tv_usec holds nanoseconds. */
        .time_ns = (uint64_t)header->ts.tv_sec * G_GUINT64_CONSTANT(1000000000) +
                   (uint64_t)header->ts.tv_usec,
        .sequence = recording->sequence++,
        .data = g_memdup2(data, header->caplen),
        .interface = source->index,
        .length = header->caplen,
        .original_length = MAX(header->len, header->caplen),
    };

    recording->newest_ns = MAX(recording->newest_ns, held.time_ns);
    g_array_append_val(recording->held, held);
}

/* Reads what is there; FALSE when capturing cannot go on. */
static gboolean drain(Recording *recording, int *ret_n)
{
    int total = 0;

    for (size_t i = 0; i < recording->n_sources; i++) {
        Source *source = &recording->sources[i];
        int n = pcap_dispatch(source->pcap, DISPATCH_MAX, on_packet, (u_char *)source);

        if (n < 0) {
            say(recording, PL_RECORD_FAILED, "capturing on %s ended: %s", source->point->name,
                pcap_geterr(source->pcap));
            return FALSE;
        }
        total += n;
    }
    *ret_n = total;
    return TRUE;
}

/* How long packets wait for earlier ones; those of one interface come in order. */
static uint64_t hold_back_ns(const Recording *recording)
{
    return recording->live && recording->n_sources == 1 ? 0 : HOLD_BACK_NS;
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

/* Until the parent says so; FALSE when something broke, or the parent did. */
static gboolean capture(Recording *recording)
{
    size_t n_polls = recording->n_sources + 3;
    g_autofree struct pollfd *polls = g_new0(struct pollfd, n_polls);

    polls[0] = (struct pollfd){.fd = recording->socket, .events = POLLIN};
    /* A pipe that nobody reads from any more; a file never says anything. */
    polls[1] = (struct pollfd){.fd = recording->live ? fileno(recording->file) : -1};
    polls[2] = (struct pollfd){.fd = recording->end, .events = POLLIN};
    for (size_t i = 0; i < recording->n_sources; i++)
        polls[i + 3] = (struct pollfd){.fd = pcap_get_selectable_fd(recording->sources[i].pcap),
                                       .events = POLLIN};
    while (TRUE) {
        gboolean waiting = recording->live && recording->held->len > 0;
        int n;

        if (poll(polls, n_polls, waiting ? (int)(HOLD_BACK_NS / 1000000) : -1) < 0 &&
            errno != EINTR) {
            say(recording, PL_RECORD_FAILED, "poll: %s", g_strerror(errno));
            return FALSE;
        }
        if (polls[0].revents)
            return is_to_stop(recording);
        if (polls[1].revents) {
            recording->unread = TRUE;
            return FALSE;
        }
        if (polls[2].revents) {
            recording->ended = TRUE;
            return TRUE;
        }
        if (!drain(recording, &n) || !write_some(recording))
            return FALSE;
    }
}

/* What was there when the parent said stop is in the rings now; what comes later does not count. */
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
    g_autoptr(GString) lost = g_string_new(NULL);

    for (size_t i = 0; i < recording->n_sources; i++) {
        const Source *source = &recording->sources[i];
        struct pcap_stat statistics = {0};

        if (pcap_stats(source->pcap, &statistics) < 0) {
            say(recording, PL_RECORD_FAILED, "%s: %s", source->point->name,
                pcap_geterr(source->pcap));
            return FALSE;
        }
        pl_pcapng_writer_statistics(recording->writer, source->index, now_ns(), statistics.ps_recv,
                                    statistics.ps_drop);
        if (statistics.ps_drop)
            g_string_append_printf(lost, "%s%u packets on %s", lost->len ? ", " : "",
                                   statistics.ps_drop, source->point->name);
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
    for (size_t i = 0; i < recording->n_sources; i++) {
        const PlRecorderPoint *point = recording->sources[i].point;

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

void pl_record(const PlRecorderPoint *points, size_t n_points, int fd, const char *comment,
               gboolean live, int socket)
{
    Recording recording = {
        .sources = g_new0(Source, n_points),
        .n_sources = n_points,
        .held = g_array_new(FALSE, FALSE, sizeof(Held)),
        .socket = socket,
        .live = live,
        .end = live ? catch_end() : -1,
        .file = fdopen(fd, "w"),
    };

    g_array_set_clear_func(recording.held, held_clear);
    for (size_t i = 0; i < n_points; i++)
        recording.sources[i] =
            (Source){.recording = &recording, .point = &points[i], .index = (unsigned)i};
    if (!recording.file)
        say(&recording, PL_RECORD_FAILED, "cannot write the capture: %s", g_strerror(errno));
    else if (open_sources(&recording))
        record_to(&recording, comment);
    for_each_source(&recording, close_source);
    for (size_t i = 0; i < n_points; i++)
        g_free(recording.sources[i].failed);
    g_free(recording.sources);
    g_array_free(recording.held, TRUE);
    if (recording.file)
        fclose(recording.file);
    if (recording.end >= 0)
        close(recording.end);
}
