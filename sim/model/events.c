/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A binary heap; see events.h. */
#include "model/events.h"

#include <assert.h>

struct PlEvents {
    GArray *heap; /* PlEvent; the children of i are 2i + 1 and 2i + 2, and later than it */
    uint64_t sequence;
    size_t bytes;
};

size_t pl_event_bytes(const PlEvent *event)
{
    return sizeof(*event) + sizeof(PlDatagram) + event->datagram->room;
}

static void clear_event(gpointer data)
{
    PlEvent *event = data;

    pl_datagram_free(event->datagram);
}

PlEvents *pl_events_new(void)
{
    PlEvents *events = g_new0(PlEvents, 1);

    events->heap = g_array_new(FALSE, FALSE, sizeof(PlEvent));
    return events;
}

PlEvents *pl_events_free(PlEvents *events)
{
    if (!events)
        return NULL;
    g_array_set_clear_func(events->heap, clear_event);
    g_array_unref(events->heap);
    g_free(events);
    return NULL;
}

static gboolean before(const PlEvent *a, const PlEvent *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->sequence < b->sequence;
}

void pl_events_push(PlEvents *events, const PlEvent *event)
{
    PlEvent pushed = *event, *heap;
    guint hole = events->heap->len;

    pushed.sequence = events->sequence++;
    events->bytes += pl_event_bytes(&pushed);
    g_array_append_val(events->heap, pushed);
    heap = &g_array_index(events->heap, PlEvent, 0);
    for (; hole > 0 && before(&pushed, &heap[(hole - 1) / 2]); hole = (hole - 1) / 2)
        heap[hole] = heap[(hole - 1) / 2];
    heap[hole] = pushed;
}

uint64_t pl_events_next(const PlEvents *events)
{
    return events->heap->len > 0 ? g_array_index(events->heap, PlEvent, 0).time_ns : UINT64_MAX;
}

PlEvent pl_events_pop(PlEvents *events)
{
    PlEvent *heap = &g_array_index(events->heap, PlEvent, 0);
    guint n = events->heap->len - 1, hole = 0, child;
    PlEvent popped, last;

    assert(events->heap->len > 0);
    popped = heap[0];
    last = heap[n];
    for (; (child = 2 * hole + 1) < n; hole = child) {
        if (child + 1 < n && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[hole] = heap[child];
    }
    heap[hole] = last;
    g_array_set_size(events->heap, n);
    events->bytes -= pl_event_bytes(&popped);
    return popped;
}

size_t pl_events_bytes(const PlEvents *events)
{
    return events->bytes;
}
