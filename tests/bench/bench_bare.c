/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least that a STUN server can be: it answers whatever comes to 127.0.0.1:3478, as long as a
 * hub's answers are, and looks at nothing. What it needs of a processor is the system's share; no
 * server that sends and receives with the same calls can do with less.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pinhole/stun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PORT         3478
#define BATCH        64
#define BYTES        192
#define ADDRESSES    4 /* in an answer, like a hub's */
#define BUFFER_BYTES (1 << 20)

static struct sockaddr_in from[BATCH];
static uint8_t bytes[BATCH][BYTES];
static struct iovec parts[BATCH];
static struct mmsghdr headers[BATCH];

static int open_socket(void)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    const int buffer = BUFFER_BYTES, whole = IP_PMTUDISC_DO;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole)) < 0 ||
        bind(fd, (const struct sockaddr *)&local, sizeof(local)) < 0) {
        perror("error: a socket");
        exit(1);
    }
    return fd;
}

/* In the place of the request. */
static size_t write_answer(uint8_t *at, size_t length, const struct sockaddr_in *source)
{
    PhAddress seen = ph_address_ipv4(ntohl(source->sin_addr.s_addr), ntohs(source->sin_port));
    bool fingerprint = length == PH_STUN_HEADER_BYTES + 8;
    PhStunTransaction transaction;
    PhStunWriter writer;

    memcpy(&transaction, at + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, at, BYTES, PH_STUN_SUCCESS, PH_STUN_BINDING, &transaction);
    for (unsigned i = 0; i < ADDRESSES; i++)
        ph_stun_write_address(&writer, i == 0 ? PH_STUN_XOR_MAPPED_ADDRESS : PH_STUN_MAPPED_ADDRESS,
                              &seen);
    if (fingerprint)
        ph_stun_write_fingerprint(&writer);
    return ph_stun_write_end(&writer);
}

static void serve(int fd)
{
    int n, sent;

    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){bytes[i], BYTES};
        headers[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                             .msg_namelen = sizeof(from[i]),
                                             .msg_iov = &parts[i],
                                             .msg_iovlen = 1};
    }
    n = recvmmsg(fd, headers, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        (void)poll(&wait, 1, -1);
        return;
    }
    for (int i = 0; i < n; i++)
        parts[i].iov_len = write_answer(bytes[i], headers[i].msg_len, &from[i]);
    for (int i = 0; i<n; i += sent> 0 ? sent : 1)
        sent = sendmmsg(fd, headers + i, (unsigned)(n - i), 0);
}

int main(void)
{
    int fd = open_socket();

    for (;;)
        serve(fd);
}
