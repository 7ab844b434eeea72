/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks' prefixes, and addresses as numbers within them: an offset from the network's own
 * address. Prefixes of IPv6 are 64 bits or longer, so 64 bits count all that is in one.
 */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

#define IPV4_LENGTH_MIN 8
#define IPV4_LENGTH_MAX 28
#define IPV6_LENGTH_MIN 64
#define IPV6_LENGTH_MAX 120

static unsigned bits_of(const PhAddress *address)
{
    return address->family == PH_FAMILY_IPV6 ? 128 : 32;
}

/* The last eight bytes of an IPv6 address, the four of an IPv4 address. */
static uint64_t low_of(const PhAddress *address)
{
    uint64_t low = 0;

    if (address->family != PH_FAMILY_IPV6)
        return ph_address_ipv4_number(address);
    for (unsigned i = 8; i < 16; i++)
        low = low << 8 | address->bytes[i];
    return low;
}

static PhAddress with_low(const PhAddress *address, uint64_t low)
{
    PhAddress changed = *address;

    if (address->family != PH_FAMILY_IPV6)
        return ph_address_ipv4((uint32_t)low, 0);
    for (unsigned i = 16; i-- > 8; low >>= 8)
        changed.bytes[i] = (uint8_t)low;
    return changed;
}

uint64_t pl_prefix_last(const PlPrefix *prefix)
{
    unsigned bits = bits_of(&prefix->address) - prefix->length;

    return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

PhAddress pl_prefix_address(const PlPrefix *prefix, uint64_t offset)
{
    return with_low(&prefix->address, low_of(&prefix->address) + offset);
}

uint64_t pl_prefix_offset(const PlPrefix *prefix, const PhAddress *address)
{
    return low_of(address) - low_of(&prefix->address);
}

gboolean pl_prefix_contains(const PlPrefix *prefix, const PhAddress *address)
{
    unsigned whole = prefix->length / 8, rest = prefix->length % 8;

    if (prefix->address.family != address->family ||
        memcmp(prefix->address.bytes, address->bytes, whole) != 0)
        return FALSE;
    return rest == 0 || ((prefix->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

char *pl_prefix_format(const PlPrefix *prefix)
{
    char text[PH_ADDRESS_TEXT_MAX];

    return g_strdup_printf("%s/%u", ph_address_format(&prefix->address, text), prefix->length);
}

const char *pl_family_name(uint8_t family)
{
    return family == PH_FAMILY_IPV6 ? "IPv6" : "IPv4";
}

/* What never leaves a machine or a link, what is no unicast, and what is IPv4 in disguise. NULL
 * when it can be routed. */
static const char *unroutable(const PhAddress *address)
{
    static const uint8_t zeros[12];
    const uint8_t *bytes = address->bytes;

    if (address->family == PH_FAMILY_IPV4)
        return bytes[0] == 0 || bytes[0] == 127 || bytes[0] >= 224
                   ? "unicast, from 1.0.0.0 to 223.255.255.255 without 127.0.0.0/8"
                   : NULL;
    /* RFC 4291 §2.4, §2.5: unspecified, loopback and IPv4-mapped lie in ::/80; fe80::/10 is
     * link-local, ff00::/8 multicast. */
    return memcmp(bytes, zeros, 10) == 0 || bytes[0] == 0xff ||
                   (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
               ? "unicast that is routed, such as 2001:db8::/64 or fd00::/64"
               : NULL;
}

static gboolean check_length(const PlIni *ini, const char *group, const char *key,
                             const PhAddress *address, uint64_t length, GError **error)
{
    gboolean ipv6 = address->family == PH_FAMILY_IPV6;
    unsigned min = ipv6 ? IPV6_LENGTH_MIN : IPV4_LENGTH_MIN;
    unsigned max = ipv6 ? IPV6_LENGTH_MAX : IPV4_LENGTH_MAX;

    return (length >= min && length <= max) ||
           pl_ini_fail(ini, group, key, error,
                       "the prefix length is %u (expected %u to %u: the lab needs addresses of its "
                       "own)",
                       (unsigned)length, min, max);
}

gboolean pl_build_read_prefix(const PlIni *ini, const char *group, const char *key,
                              const char *text, PlPrefix *ret_prefix, GError **error)
{
    const char *slash = strchr(text, '/'), *expected;
    g_autofree char *host = slash ? g_strndup(text, (gsize)(slash - text)) : NULL;
    PlPrefix prefix = {0};
    PhAddress given;
    uint64_t length;

    if (!slash || !ph_address_parse(host, &given) || given.port != 0 || host[0] == '[' ||
        !pl_number_parse(slash + 1, 0, bits_of(&given), &length))
        return pl_ini_fail(ini, group, key, error,
                           "bad prefix \"%s\" (expected one such as 192.168.1.0/24, or "
                           "2001:db8:1::/64)",
                           text);
    if (!check_length(ini, group, key, &given, length, error))
        return FALSE;
    prefix.length = (unsigned)length;
    prefix.address = given;
    prefix.address = with_low(&given, low_of(&given) & ~pl_prefix_last(&prefix));
    if (!ph_address_equal_host(&prefix.address, &given)) {
        g_autofree char *right = pl_prefix_format(&prefix);

        return pl_ini_fail(ini, group, key, error, "host bits are set in \"%s\" (expected %s)",
                           text, right);
    }
    expected = unroutable(&given);
    if (expected)
        return pl_ini_fail(ini, group, key, error, "%s cannot be routed (expected %s)", text,
                           expected);
    *ret_prefix = prefix;
    return TRUE;
}
