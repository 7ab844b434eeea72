/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TTLs and fragments; see passage.h. */
#include "model/passage.h"

#include <assert.h>
#include <string.h>

#include "model/ip.h"

#define DONT_FRAGMENT  0x4000
#define MORE_FRAGMENTS 0x2000
#define OFFSET         0x1fff
#define MTU_MIN        68 /* RFC 791 §3.2: every link passes so much */

/* RFC 791 §3.1 */
#define OPTION_END    0
#define OPTION_NOP    1
#define OPTION_COPIED 0x80

static gboolean is_ipv6(const PlDatagram *datagram)
{
    return datagram->bytes[0] >> 4 == 6;
}

static unsigned header_of(const PlDatagram *datagram)
{
    return (datagram->bytes[0] & 0xfu) * 4;
}

static PhAddress address_at(const uint8_t *bytes, gboolean ipv6)
{
    PhAddress address = {.family = ipv6 ? PH_FAMILY_IPV6 : PH_FAMILY_IPV4};

    memcpy(address.bytes, bytes, ipv6 ? 16 : 4);
    return address;
}

PhAddress pl_passage_source(const PlDatagram *datagram)
{
    gboolean ipv6 = is_ipv6(datagram);

    return address_at(datagram->bytes + (ipv6 ? 8 : 12), ipv6);
}

PhAddress pl_passage_destination(const PlDatagram *datagram)
{
    gboolean ipv6 = is_ipv6(datagram);

    return address_at(datagram->bytes + (ipv6 ? 24 : 16), ipv6);
}

unsigned pl_passage_ttl(const PlDatagram *datagram)
{
    return datagram->bytes[is_ipv6(datagram) ? 7 : 8];
}

static void seal(uint8_t *bytes, unsigned header)
{
    pl_put_u16(bytes + 10, 0);
    pl_put_u16(bytes + 10, pl_ip_fold(pl_ip_sum(bytes, header, 0)));
}

void pl_passage_set_ttl(PlDatagram *datagram, unsigned ttl)
{
    datagram->bytes[is_ipv6(datagram) ? 7 : 8] = (uint8_t)ttl;
    if (!is_ipv6(datagram))
        seal(datagram->bytes, header_of(datagram));
}

gboolean pl_passage_divisible(const PlDatagram *datagram)
{
    return !is_ipv6(datagram) && (pl_get_u16(datagram->bytes + 6) & DONT_FRAGMENT) == 0;
}

/* Options that are of the first fragment only become padding in the others. */
static void blank_options(uint8_t *bytes, unsigned header)
{
    unsigned i = 20, length;

    while (i < header && bytes[i] != OPTION_END) {
        length = bytes[i] == OPTION_NOP ? 1 : i + 1 < header ? bytes[i + 1] : 0;
        if (bytes[i] != OPTION_NOP && (length < 2 || length > header - i))
            return;
        if ((bytes[i] & OPTION_COPIED) == 0)
            memset(bytes + i, OPTION_NOP, length);
        i += length;
    }
}

PlDatagram *pl_passage_fragment(const PlDatagram *whole, unsigned mtu, unsigned *position)
{
    unsigned header = header_of(whole), left = whole->length - header - *position;
    unsigned field = pl_get_u16(whole->bytes + 6), most = (mtu - header) / 8 * 8;
    unsigned size = left > mtu - header ? most : left;
    PlDatagram *fragment;

    assert(mtu >= MTU_MIN && pl_passage_divisible(whole));
    /* Nothing lies behind the highest offset: only a fragment can get there that lied. */
    if (left == 0 || (field & OFFSET) + *position / 8 > OFFSET)
        return NULL;
    fragment = pl_datagram_new(whole->bytes, header + size);
    memcpy(fragment->bytes + header, whole->bytes + header + *position, size);
    pl_put_u16(fragment->bytes + 2, header + size);
    pl_put_u16(fragment->bytes + 6, ((field & OFFSET) + *position / 8) |
                                        (size < left ? MORE_FRAGMENTS : field & MORE_FRAGMENTS));
    if (*position > 0)
        blank_options(fragment->bytes, header);
    seal(fragment->bytes, header);
    *position += size;
    return fragment;
}
