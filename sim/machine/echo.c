/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP echo requests (RFC 792, RFC 4443 §4), through a raw socket, or where that is not permitted
 * an ICMP datagram socket. A request is known by its payload: a datagram socket gets an identifier
 * of the system's, and a NAT may change it on the way.
 */
#include "machine/echo.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <unistd.h>

#define HEADER_LENGTH 8
/* One for all requests, as `ping` has it, or each would need a mapping of its own: a NAT that loses
 * the first packet of a mapping would lose them all. A datagram socket has its own nevertheless. */
#define IDENTIFIER 1

typedef struct {
    char magic[8];
    uint32_t pid, id;
} Payload;

static Payload payload_of(unsigned id)
{
    return (Payload){.magic = "pinlab-e", .pid = (uint32_t)getpid(), .id = id};
}

int pl_echo_open(PlVisit *visit, const PlDrivePlace *place, const PhAddress *local, GError **error)
{
    gboolean ipv6 = local->family == PH_FAMILY_IPV6;
    int family = ipv6 ? AF_INET6 : AF_INET, protocol = ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
    PhAddress portless = *local;
    int fd;

    portless.port = 0;
    fd = pl_visit_socket(visit, place, family, SOCK_RAW, protocol, &portless, NULL, NULL);
    if (fd < 0)
        fd = pl_visit_socket(visit, place, family, SOCK_DGRAM, protocol, &portless, NULL, error);
    return fd;
}

/* RFC 1071. */
static uint16_t checksum(const uint8_t *data, size_t length)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)data[i] << 8 | data[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

gboolean pl_echo_send(int fd, const PhAddress *remote, unsigned id)
{
    uint8_t packet[HEADER_LENGTH + sizeof(Payload)] = {0};
    Payload payload = payload_of(id);
    PhAddress portless = *remote;
    PlSockaddr to;
    socklen_t length;
    uint16_t sum;

    portless.port = 0;
    length = pl_sockaddr_from_address(&portless, &to);
    packet[0] = remote->family == PH_FAMILY_IPV6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    packet[5] = IDENTIFIER;
    packet[6] = (uint8_t)(id >> 8);
    packet[7] = (uint8_t)id;
    memcpy(packet + HEADER_LENGTH, &payload, sizeof(payload));
    /* For ICMPv6 the system does it: the pseudo-header has its choice of source. */
    if (remote->family != PH_FAMILY_IPV6) {
        sum = checksum(packet, sizeof(packet));
        packet[2] = (uint8_t)(sum >> 8);
        packet[3] = (uint8_t)sum;
    }
    return sendto(fd, packet, sizeof(packet), 0, &to.any, length) >= 0;
}

static gboolean is_reply(const uint8_t *packet, size_t length, uint8_t type, unsigned id)
{
    Payload payload = payload_of(id);

    return length == HEADER_LENGTH + sizeof(payload) && packet[0] == type &&
           memcmp(packet + HEADER_LENGTH, &payload, sizeof(payload)) == 0;
}

gboolean pl_echo_received(int fd, unsigned id)
{
    gboolean answered = FALSE;
    int family = AF_INET, type = SOCK_RAW;
    socklen_t size = sizeof(int);

    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    for (;;) {
        uint8_t packet[2048];
        ssize_t n = recv(fd, packet, sizeof(packet), 0);
        size_t skip = 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return answered;
        /* Only a raw IPv4 socket delivers the IP header. */
        if (family == AF_INET && type == SOCK_RAW)
            skip = (size_t)(packet[0] & 0xf) * 4;
        if ((size_t)n > skip)
            answered |= is_reply(packet + skip, (size_t)n - skip,
                                 family == AF_INET6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY, id);
    }
}
