/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One datagram from a port that somebody may have already: its UDP header is written here and goes
 * out by a raw socket, so that nothing is bound. Answers go to whoever has the port.
 */
#include "machine/send.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "machine/socket.h"

#define HEADER 8 /* RFC 768 */

static uint32_t add_words(uint32_t sum, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* RFC 768: over the addresses, the protocol and the length, too; 0 would say that there is none. */
static uint16_t checksum(const PlStep *step, const GByteArray *datagram)
{
    uint32_t sum = IPPROTO_UDP + datagram->len;

    sum = add_words(sum, step->from.bytes, 4);
    sum = add_words(sum, step->address.bytes, 4);
    sum = add_words(sum, datagram->data, datagram->len);
    sum = ~sum & 0xffff;
    return (uint16_t)(sum ? sum : 0xffff);
}

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static GByteArray *make_datagram(const PlStep *step)
{
    GByteArray *datagram = g_byte_array_new();
    uint8_t header[HEADER] = {0};

    put_u16(header, step->from.port);
    put_u16(header + 2, step->address.port);
    put_u16(header + 4, HEADER + step->data->len);
    g_byte_array_append(datagram, header, HEADER);
    if (step->data->len > 0)
        g_byte_array_append(datagram, step->data->data, step->data->len);
    put_u16(datagram->data + 6, checksum(step, datagram));
    return datagram;
}

static gboolean send_by(int fd, const PlStep *step, GError **error)
{
    g_autoptr(GByteArray) datagram = make_datagram(step);
    PhAddress host = step->address;
    char text[PH_ADDRESS_TEXT_MAX];
    PlSockaddr to;
    socklen_t length;

    host.port = 0; /* a raw socket has none */
    length = pl_sockaddr_from_address(&host, &to);
    if (sendto(fd, datagram->data, datagram->len, 0, &to.any, length) >= 0)
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s cannot send to %s: %s", step->node->name,
                ph_address_format(&step->address, text), g_strerror(errno));
    return FALSE;
}

gboolean pl_send_step(const PlStep *step, int netns_fd, GError **error)
{
    const PlDrivePlace place = {netns_fd, NULL};
    PhAddress local = step->from;
    gboolean done = FALSE;
    PlVisit visit;
    int fd;

    local.port = 0;
    if (!pl_visit_begin(&visit, error))
        return FALSE;
    fd = pl_visit_socket(&visit, &place, AF_INET, SOCK_RAW, IPPROTO_UDP, &local, NULL, error);
    if (fd >= 0) {
        done = send_by(fd, step, error);
        close(fd);
    }
    pl_visit_end(&visit);
    return done;
}
