/* SPDX-License-Identifier: MIT */
#include <pinhole/address.h>

#include <string.h>

PhAddress ph_address_ipv4(uint32_t host, uint16_t port)
{
    PhAddress address = {.family = PH_FAMILY_IPV4, .port = port};

    for (int i = 0; i < 4; i++)
        address.bytes[i] = (uint8_t)(host >> (24 - 8 * i));
    return address;
}

uint32_t ph_address_ipv4_number(const PhAddress *address)
{
    uint32_t host = 0;

    if (address->family != PH_FAMILY_IPV4)
        return 0;
    for (int i = 0; i < 4; i++)
        host = host << 8 | address->bytes[i];
    return host;
}

/* Reads a decimal number of at most `max`, without leading zeros; NULL when there is none. */
static const char *read_decimal(const char *at, uint32_t max, uint32_t *ret_value)
{
    const char *start = at;
    uint32_t value = 0;

    while (*at >= '0' && *at <= '9') {
        if (at > start && *start == '0')
            return NULL;
        value = value * 10 + (uint32_t)(*at - '0');
        if (value > max)
            return NULL;
        at++;
    }
    if (at == start)
        return NULL;
    *ret_value = value;
    return at;
}

static const char *read_ipv4(const char *at, uint8_t ret_bytes[static 4])
{
    for (int i = 0; i < 4; i++) {
        uint32_t octet;

        if (i > 0 && *at++ != '.')
            return NULL;
        at = read_decimal(at, 255, &octet);
        if (!at)
            return NULL;
        ret_bytes[i] = (uint8_t)octet;
    }
    return at;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static const char *read_group(const char *at, uint16_t *ret_group)
{
    uint32_t value = 0;
    int digits = 0;

    while (hex_digit(*at) >= 0) {
        if (++digits > 4)
            return NULL;
        value = value << 4 | (uint32_t)hex_digit(*at++);
    }
    if (digits == 0)
        return NULL;
    *ret_group = (uint16_t)value;
    return at;
}

/* RFC 4291 §2.2: eight groups, one "::" for one or more groups of zeros, the last two groups
 * perhaps as IPv4. */
static const char *read_ipv6(const char *at, uint8_t ret_bytes[static 16])
{
    uint8_t bytes[16] = {0};
    int used = 0, gap = -1;

    if (at[0] == ':' && at[1] != ':')
        return NULL;
    while (used < 16) {
        uint16_t group;
        const char *next;

        if (at[0] == ':' && at[1] == ':') {
            if (gap >= 0)
                return NULL;
            gap = used;
            at += 2;
            if (hex_digit(*at) < 0)
                break;
        } else if (used > 0) {
            if (*at != ':')
                break;
            at++;
        }
        if (used <= 12 && (next = read_ipv4(at, bytes + used))) {
            at = next;
            used += 4;
            break;
        }
        next = read_group(at, &group);
        if (!next)
            return NULL;
        bytes[used++] = (uint8_t)(group >> 8);
        bytes[used++] = (uint8_t)group;
        at = next;
    }
    if (at[0] == ':' && at[1] == ':' && gap < 0 && used < 16) {
        gap = used;
        at += 2;
    }
    if (gap < 0 ? used != 16 : used > 14)
        return NULL;
    if (gap >= 0) {
        memmove(bytes + 16 - (used - gap), bytes + gap, (size_t)(used - gap));
        memset(bytes + gap, 0, (size_t)(16 - used));
    }
    memcpy(ret_bytes, bytes, 16);
    return at;
}

bool ph_address_parse(const char *text, PhAddress *ret_address)
{
    PhAddress address = {0};
    bool bracket = text[0] == '[';
    const char *at;
    uint32_t port;

    if (!bracket && (at = read_ipv4(text, address.bytes)) && (*at == '\0' || *at == ':')) {
        address.family = PH_FAMILY_IPV4;
    } else {
        memset(address.bytes, 0, sizeof(address.bytes));
        at = read_ipv6(text + bracket, address.bytes);
        if (!at || (bracket && *at++ != ']') || (!bracket && *at != '\0'))
            return false;
        address.family = PH_FAMILY_IPV6;
    }
    if (*at == ':') {
        at = read_decimal(at + 1, 65535, &port);
        if (!at)
            return false;
        address.port = (uint16_t)port;
    }
    if (*at != '\0')
        return false;
    *ret_address = address;
    return true;
}

static char *write_decimal(char *at, uint32_t value)
{
    char digits[10];
    int n = 0;

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n > 0)
        *at++ = digits[--n];
    return at;
}

static char *write_group(char *at, unsigned group)
{
    bool started = false;

    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = group >> shift & 0xf;

        if (digit || started || shift == 0) {
            *at++ = "0123456789abcdef"[digit];
            started = true;
        }
    }
    return at;
}

/* RFC 5952 §4: lower case, no leading zeros, the longest (first) run of two or more zero groups as
 * "::". */
static char *write_ipv6(char *at, const uint8_t bytes[static 16])
{
    unsigned groups[8];
    int run_start = -1, run_length = 1;

    for (int i = 0; i < 8; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    for (int i = 0; i < 8; i++) {
        int length = 0;

        while (i + length < 8 && groups[i + length] == 0)
            length++;
        if (length > run_length) {
            run_start = i;
            run_length = length;
        }
        i += length;
    }
    for (int i = 0; i < 8; i++) {
        if (i == run_start) {
            *at++ = ':';
            *at++ = ':';
            i += run_length - 1;
            continue;
        }
        if (i > 0 && at[-1] != ':')
            *at++ = ':';
        at = write_group(at, groups[i]);
    }
    return at;
}

char *ph_address_format(const PhAddress *address, char buffer[static PH_ADDRESS_TEXT_MAX])
{
    char *at = buffer;

    switch (address->family) {
    case PH_FAMILY_IPV4:
        for (int i = 0; i < 4; i++) {
            if (i > 0)
                *at++ = '.';
            at = write_decimal(at, address->bytes[i]);
        }
        break;
    case PH_FAMILY_IPV6:
        if (address->port)
            *at++ = '[';
        at = write_ipv6(at, address->bytes);
        if (address->scope_id) {
            *at++ = '%';
            at = write_decimal(at, address->scope_id);
        }
        if (address->port)
            *at++ = ']';
        break;
    default:
        return memcpy(buffer, "none", sizeof("none"));
    }
    if (address->port) {
        *at++ = ':';
        at = write_decimal(at, address->port);
    }
    *at = '\0';
    return buffer;
}

bool ph_address_equal(const PhAddress *a, const PhAddress *b)
{
    return ph_address_equal_host(a, b) && a->port == b->port;
}

bool ph_address_equal_host(const PhAddress *a, const PhAddress *b)
{
    return a->family == b->family && a->scope_id == b->scope_id &&
           memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ph_address_is_unicast(const PhAddress *address)
{
    static const uint8_t zero[16], everybody[4] = {255, 255, 255, 255};
    const uint8_t *b = address->bytes;

    if (address->family == PH_FAMILY_IPV4)
        return b[0] != 0 && (b[0] & 0xf0) != 0xe0 && memcmp(b, everybody, sizeof(everybody)) != 0;
    return address->family == PH_FAMILY_IPV6 && b[0] != 0xff && memcmp(b, zero, sizeof(zero)) != 0;
}

int ph_address_compare(const PhAddress *a, const PhAddress *b)
{
    int order = (a->family > b->family) - (a->family < b->family);

    if (!order)
        order = memcmp(a->bytes, b->bytes, sizeof(a->bytes));
    if (!order)
        order = (a->scope_id > b->scope_id) - (a->scope_id < b->scope_id);
    if (!order)
        order = (a->port > b->port) - (a->port < b->port);
    return order;
}
