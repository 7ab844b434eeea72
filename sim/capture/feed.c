/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring with one writer and one reader (see feed.h), who need no lock: only the writer moves
 * `written`, only the reader moves `read`, and both only grow.
 *
 *     Shared │ a count for each interface │ RING_BYTES: Head, frame, Head, frame, ...
 */
#include "capture/feed.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/trace.h"

/* A power of two: some 2700 full-sized frames, or 50,000 of the smallest. */
#define RING_BYTES (4U << 20)
#define FRAME_MAX  (PL_TRACE_HEADER + 65535U)

typedef struct Count {
    _Atomic uint64_t received, lost;
} Count;

typedef struct Shared {
    _Atomic uint64_t written, read; /* bytes, since the beginning */
    Count counts[];
} Shared;

typedef struct Head {
    uint64_t time_ns;
    uint32_t interface, length;
} Head;

/* What both ends have. */
typedef struct Ring {
    Shared *shared;
    uint8_t *bytes;
    size_t mapped_bytes;
    int socket;
} Ring;

struct PlFeed {
    Ring ring;
    uint8_t frame[FRAME_MAX];
};

struct PlFeedWriter {
    Ring ring;
    GHashTable *interfaces; /* PlAttachment -> its number and 1 */
    gboolean fresh;         /* something was written since the reader was woken */
};

static size_t shared_bytes(unsigned n_interfaces)
{
    return sizeof(Shared) + n_interfaces * sizeof(Count);
}

static gboolean ring_map(Ring *ring, int memory, unsigned n_interfaces, GError **error)
{
    size_t size = shared_bytes(n_interfaces) + RING_BYTES;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);

    if (at == MAP_FAILED) {
        pl_error_set_errno(error, "share memory with the recorder", errno);
        return FALSE;
    }
    ring->shared = at;
    ring->mapped_bytes = size;
    ring->bytes = (uint8_t *)at + shared_bytes(n_interfaces);
    return TRUE;
}

static void ring_clear(Ring *ring)
{
    if (ring->shared)
        munmap(ring->shared, ring->mapped_bytes);
    if (ring->socket >= 0)
        close(ring->socket);
}

/* Copies from or to a position, around the ring's end where it has to be. */
static void ring_put(const Ring *ring, uint64_t at, const void *data, size_t length)
{
    size_t offset = at % RING_BYTES, first = MIN(length, RING_BYTES - offset);

    memcpy(ring->bytes + offset, data, first);
    memcpy(ring->bytes, (const uint8_t *)data + first, length - first);
}

static void ring_get(const Ring *ring, uint64_t at, void *data, size_t length)
{
    size_t offset = at % RING_BYTES, first = MIN(length, RING_BYTES - offset);

    memcpy(data, ring->bytes + offset, first);
    memcpy((uint8_t *)data + first, ring->bytes, length - first);
}

/* ---- the reader ---- */

PlFeed *pl_feed_new(unsigned n_interfaces, int ret_fds[static PL_FEED_FDS], GError **error)
{
    g_autoptr(PlFeed) feed = g_new0(PlFeed, 1);
    int memory = memfd_create("pinlab-feed", MFD_CLOEXEC), sockets[2];

    feed->ring.socket = -1;
    if (memory < 0 || ftruncate(memory, (off_t)(shared_bytes(n_interfaces) + RING_BYTES)) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0) {
        pl_error_set_errno(error, "make room for packets", errno);
        if (memory >= 0)
            close(memory);
        return NULL;
    }
    feed->ring.socket = sockets[0];
    ret_fds[0] = memory;
    ret_fds[1] = sockets[1];
    if (ring_map(&feed->ring, memory, n_interfaces, error))
        return g_steal_pointer(&feed);
    close(memory);
    close(sockets[1]);
    return NULL;
}

void pl_feed_free(PlFeed *feed)
{
    if (!feed)
        return;
    ring_clear(&feed->ring);
    g_free(feed);
}

int pl_feed_fd(const PlFeed *feed)
{
    return feed->ring.socket;
}

/* Takes back what woke us; FALSE when nothing will any more. */
static gboolean calm(const PlFeed *feed)
{
    char words[64];
    ssize_t n;

    do
        n = recv(feed->ring.socket, words, sizeof(words), 0);
    while (n == sizeof(words) || (n < 0 && errno == EINTR));
    return n > 0 || (n < 0 && errno == EAGAIN);
}

int pl_feed_read(PlFeed *feed, PlFeedTake take, gpointer data)
{
    /* Before the ring is looked at: what comes after that wakes us again. */
    gboolean more = calm(feed);
    Shared *shared = feed->ring.shared;
    uint64_t at = atomic_load_explicit(&shared->read, memory_order_relaxed);
    uint64_t end = atomic_load_explicit(&shared->written, memory_order_acquire);
    int n = 0;

    for (; at < end; n++) {
        Head head;

        ring_get(&feed->ring, at, &head, sizeof(head));
        g_assert(head.length <= FRAME_MAX);
        ring_get(&feed->ring, at + sizeof(head), feed->frame, head.length);
        at += sizeof(head) + head.length;
        atomic_store_explicit(&shared->read, at, memory_order_release);
        take(data, head.interface, head.time_ns, feed->frame, head.length);
    }
    return n > 0 || more ? n : -1;
}

void pl_feed_statistics(const PlFeed *feed, unsigned interface, uint64_t *ret_received,
                        uint64_t *ret_lost)
{
    const Count *count = &feed->ring.shared->counts[interface];

    *ret_received = atomic_load_explicit(&count->received, memory_order_relaxed);
    *ret_lost = atomic_load_explicit(&count->lost, memory_order_relaxed);
}

/* ---- the writer ---- */

PlFeedWriter *pl_feed_writer_new(const GPtrArray *attachments, const int fds[static PL_FEED_FDS],
                                 GError **error)
{
    PlFeedWriter *writer = g_new0(PlFeedWriter, 1);
    gboolean mapped;

    writer->ring.socket = fds[1];
    mapped = ring_map(&writer->ring, fds[0], attachments->len, error);
    close(fds[0]);
    writer->interfaces = g_hash_table_new(NULL, NULL);
    for (unsigned i = 0; i < attachments->len; i++)
        g_hash_table_insert(writer->interfaces, g_ptr_array_index(attachments, i),
                            GUINT_TO_POINTER(i + 1));
    if (!mapped)
        g_clear_pointer(&writer, pl_feed_writer_free);
    return writer;
}

void pl_feed_writer_free(PlFeedWriter *writer)
{
    if (!writer)
        return;
    ring_clear(&writer->ring);
    g_hash_table_unref(writer->interfaces);
    g_free(writer);
}

/* Only we write to it. */
static void count_one(_Atomic uint64_t *count)
{
    uint64_t before = atomic_load_explicit(count, memory_order_relaxed);

    atomic_store_explicit(count, before + 1, memory_order_relaxed);
}

void pl_feed_writer_packet(PlFeedWriter *writer, const PlAttachment *attachment, gboolean outgoing,
                           const uint8_t *bytes, size_t length, uint64_t time_ns)
{
    unsigned number = GPOINTER_TO_UINT(g_hash_table_lookup(writer->interfaces, attachment));
    Shared *shared = writer->ring.shared;
    uint64_t at = atomic_load_explicit(&shared->written, memory_order_relaxed);
    uint64_t used = at - atomic_load_explicit(&shared->read, memory_order_acquire);
    uint8_t header[PL_TRACE_HEADER];
    Head head = {time_ns, number - 1, (uint32_t)(sizeof(header) + length)};

    if (number == 0 || length == 0)
        return;
    if (sizeof(head) + head.length > RING_BYTES - used) {
        count_one(&shared->counts[number - 1].lost);
        return;
    }
    pl_trace_header(header, number - 1, outgoing, bytes);
    ring_put(&writer->ring, at, &head, sizeof(head));
    ring_put(&writer->ring, at + sizeof(head), header, sizeof(header));
    ring_put(&writer->ring, at + sizeof(head) + sizeof(header), bytes, length);
    count_one(&shared->counts[number - 1].received);
    atomic_store_explicit(&shared->written, at + sizeof(head) + head.length, memory_order_release);
    writer->fresh = TRUE;
}

gboolean pl_feed_writer_wake(PlFeedWriter *writer)
{
    /* A socket that is full of such words has a reader who will look. */
    if (!writer->fresh || send(writer->ring.socket, "", 1, MSG_NOSIGNAL) == 1 || errno == EAGAIN) {
        writer->fresh = FALSE;
        return TRUE;
    }
    return FALSE;
}
