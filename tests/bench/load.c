/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH        64
#define SOURCES      4096       /* so that each stays below what a hub gives one of them */
#define SOURCE_FIRST 0x7f010000 /* 127.1.0.0 */
#define LOST_NS      UINT64_C(200000000)
#define NS_PER_MS    UINT64_C(1000000)
#define PAUSE_NS     (NS_PER_MS / 20)
#define LATENCIES    50000 /* microseconds that are told apart */
#define LOOK_AT      64    /* of so many answers one is read in full */
#define BUFFER_BYTES (4 << 20)
#define REQUEST_MAX  120
#define ANSWER_MAX   512

typedef struct Slot {
    uint8_t request[REQUEST_MAX];
    uint32_t source; /* that it went out from */
    uint64_t sent_ns;
    gboolean out;
} Slot;

struct Load {
    struct sockaddr_in server;
    LoadKind kind;
    size_t length; /* of a request */
    int fd;
    uint16_t port; /* our own */
    uint32_t sequence, source;
    unsigned window, n_idle;
    unsigned batch; /* that many answers are waited for */
    uint16_t idle[LOAD_WINDOW_MAX];
    Slot slots[LOAD_WINDOW_MAX];
    uint32_t latencies[LATENCIES];
    LoadResult result;
};

static uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The transaction says which slot it is of, and which request of that one. */
static void write_request(Load *load, unsigned number)
{
    Slot *slot = &load->slots[number];
    uint32_t id[3] = {number, load->sequence++, 0};
    uint8_t bytes[sizeof(id)];
    PhStunTransaction transaction;
    PhStunWriter writer;

    memcpy(bytes, id, sizeof(id));
    transaction = ph_stun_transaction(bytes);
    ph_stun_write_begin(&writer, slot->request, sizeof(slot->request), PH_STUN_REQUEST,
                        PH_STUN_BINDING, &transaction);
    if (load->kind == LOAD_PADDED)
        ph_stun_write_filler(&writer, REQUEST_MAX - writer.length - 4);
    if (load->kind == LOAD_FINGERPRINT)
        ph_stun_write_fingerprint(&writer);
    load->length = ph_stun_write_end(&writer);
}

static gboolean open_socket(Load *load)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t length = sizeof(any);
    const int bytes = BUFFER_BYTES;

    load->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (load->fd < 0 || bind(load->fd, (const struct sockaddr *)&any, length) < 0 ||
        getsockname(load->fd, (struct sockaddr *)&any, &length) < 0)
        return FALSE;
    (void)setsockopt(load->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    (void)setsockopt(load->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    load->port = ntohs(any.sin_port);
    return TRUE;
}

Load *load_new(const PhAddress *server, LoadKind kind, unsigned window, GError **error)
{
    g_autoptr(Load) load = g_new0(Load, 1);

    g_assert(window <= LOAD_WINDOW_MAX);
    load->server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(server->port)};
    load->server.sin_addr.s_addr = htonl(ph_address_ipv4_number(server));
    load->kind = kind;
    load->window = window;
    load->batch = window > 1 ? MIN(BATCH, window / 2) : 0;
    if (!open_socket(load)) {
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno), "a socket: %s",
                    g_strerror(errno));
        return NULL;
    }
    for (unsigned i = 0; i < window; i++) {
        write_request(load, i);
        load->idle[load->n_idle++] = (uint16_t)i;
    }
    return g_steal_pointer(&load);
}

Load *load_free(Load *load)
{
    if (load && load->fd >= 0)
        close(load->fd);
    g_free(load);
    return NULL;
}

/* Is it where the request came from? */
static gboolean is_right(const Load *load, const Slot *slot, const uint8_t *bytes, size_t length)
{
    PhAddress source = ph_address_ipv4(SOURCE_FIRST + slot->source, load->port), seen;
    PhStunAttribute attribute;
    PhStunMessage message;

    return ph_stun_read(bytes, length, &message) == PH_STUN_OK &&
           ph_stun_find(&message, PH_STUN_XOR_MAPPED_ADDRESS, &attribute) &&
           ph_stun_get_address(&message, &attribute, &seen) && ph_address_equal(&seen, &source) &&
           (load->kind != LOAD_FINGERPRINT ||
            ph_stun_find(&message, PH_STUN_FINGERPRINT_ATTRIBUTE, &attribute));
}

static void take_answer(Load *load, const uint8_t *bytes, size_t length, uint64_t now)
{
    static const uint8_t success[] = {0x01, 0x01}; /* RFC 8489 §5: a Binding success response */
    uint64_t latency_us;
    uint32_t number;
    Slot *slot;

    if (length < PH_STUN_HEADER_BYTES || memcmp(bytes, success, sizeof(success)) != 0)
        return;
    memcpy(&number, bytes + 8, sizeof(number));
    if (number >= load->window)
        return;
    slot = &load->slots[number];
    if (!slot->out || memcmp(bytes + 4, slot->request + 4, PH_STUN_HEADER_BYTES - 4) != 0)
        return;
    slot->out = FALSE;
    load->idle[load->n_idle++] = (uint16_t)number;
    latency_us = (now - slot->sent_ns) / 1000;
    load->latencies[MIN(latency_us, LATENCIES - 1)]++;
    if (load->result.answers++ % LOOK_AT == 0 && !is_right(load, slot, bytes, length))
        load->result.wrong++;
}

static void receive(Load *load)
{
    static uint8_t bytes[BATCH][ANSWER_MAX];
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    uint64_t now;
    int n;

    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
        headers[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    do {
        n = recvmmsg(load->fd, headers, BATCH, MSG_DONTWAIT, NULL);
        now = now_ns();
        for (int i = 0; i < n; i++)
            take_answer(load, bytes[i], headers[i].msg_len, now);
    } while (n == BATCH);
}

static void prepare(Load *load, Slot *slot, struct mmsghdr *header, struct iovec *part,
                    struct cmsghdr *control)
{
    struct in_pktinfo info = {0};

    slot->source = load->source++ % SOURCES;
    info.ipi_spec_dst.s_addr = htonl(SOURCE_FIRST + slot->source);
    *part = (struct iovec){slot->request, load->length};
    control->cmsg_level = IPPROTO_IP;
    control->cmsg_type = IP_PKTINFO;
    control->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(control), &info, sizeof(info));
    header->msg_hdr = (struct msghdr){.msg_name = &load->server,
                                      .msg_namelen = sizeof(load->server),
                                      .msg_iov = part,
                                      .msg_iovlen = 1,
                                      .msg_control = control,
                                      .msg_controllen = CMSG_SPACE(sizeof(info))};
}

/* All that are idle, a batch at a time; what the system does not take stays idle. */
static void send_idle(Load *load)
{
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    _Alignas(struct cmsghdr) char controls[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];

    while (load->n_idle > 0) {
        unsigned n = MIN(load->n_idle, BATCH);
        const uint16_t *numbers = &load->idle[load->n_idle - n];
        uint64_t now = now_ns();
        int sent;

        for (unsigned i = 0; i < n; i++)
            prepare(load, &load->slots[numbers[n - 1 - i]], &headers[i], &parts[i],
                    (struct cmsghdr *)(void *)controls[i]);
        sent = sendmmsg(load->fd, headers, n, MSG_DONTWAIT);
        for (int i = 0; i < sent; i++) {
            Slot *slot = &load->slots[load->idle[--load->n_idle]];

            slot->out = TRUE;
            slot->sent_ns = now;
        }
        if (sent < (int)n)
            return;
    }
}

static void give_up_lost(Load *load, uint64_t now)
{
    for (unsigned i = 0; i < load->window; i++) {
        Slot *slot = &load->slots[i];

        if (!slot->out || now - slot->sent_ns < LOST_NS)
            continue;
        load->result.lost++;
        slot->out = FALSE;
        write_request(load, i); /* with an id of its own: the old one's answer is none any more */
        load->idle[load->n_idle++] = (uint16_t)i;
    }
}

static double median_latency(const Load *load)
{
    uint64_t half = load->result.answers / 2, seen = 0;

    for (unsigned us = 0; us < LATENCIES; us++) {
        seen += load->latencies[us];
        if (seen > half)
            return us;
    }
    return 0;
}

/*
 * Who looks for answers all the time gets them one at a time, and takes the lock of its socket from
 * the server that wants to deliver the next one.
 */
static void leave_alone(void)
{
    uint64_t start = now_ns();

    while (now_ns() - start < PAUSE_NS)
        ;
}

void load_run(Load *load, uint64_t duration_ns, LoadResult *ret_result)
{
    uint64_t start = now_ns(), now = start, look = start;

    load->result = (LoadResult){0};
    memset(load->latencies, 0, sizeof(load->latencies));
    while (now - start < duration_ns) {
        if (load->n_idle >= load->batch)
            send_idle(load);
        else
            leave_alone();
        receive(load);
        now = now_ns();
        if (now - look > NS_PER_MS) {
            give_up_lost(load, now);
            look = now;
        }
    }
    load->result.seconds = (double)(now - start) / 1e9;
    load->result.median_us = median_latency(load);
    *ret_result = load->result;
}

gboolean load_await(Load *load, uint64_t timeout_ns)
{
    uint64_t start = now_ns();
    LoadResult result;

    do {
        load_run(load, 10 * NS_PER_MS, &result);
    } while (result.answers == 0 && now_ns() - start < timeout_ns);
    return result.answers > 0;
}
