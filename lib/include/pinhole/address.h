/* SPDX-License-Identifier: MIT */
/*
 * An address is an IPv4 or IPv6 host with a port. It is plain data without padding: it may be
 * copied, compared and hashed byte for byte, as long as it was made by the functions below (they
 * zero what they do not use).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pinhole/export.h>

PH_BEGIN_DECLS

typedef enum {
    PH_FAMILY_NONE = 0,
    PH_FAMILY_IPV4 = 4,
    PH_FAMILY_IPV6 = 6,
} PhFamily;

typedef struct PhAddress {
    uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest is zero */
    uint32_t scope_id; /* IPv6 link-local interface index, else 0 */
    uint16_t port;     /* host order; 0 means none */
    uint8_t family;    /* PhFamily */
    uint8_t reserved;  /* zero */
} PhAddress;

/* Room for any formatted address: "[" + 39 + "%4294967295" + "]:65535" + NUL. */
#define PH_ADDRESS_TEXT_MAX 64

/* An IPv4 address from its number in host order (0xC0000201 is 192.0.2.1). */
PH_EXPORT PhAddress ph_address_ipv4(uint32_t host, uint16_t port);

/* The number, in host order, of an IPv4 address; 0 for any other family. */
PH_EXPORT uint32_t ph_address_ipv4_number(const PhAddress *address);

/*
 * Reads "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53". Decimal IPv4 octets
 * without leading zeros, IPv6 as RFC 4291 §2.2 writes it (no scope). On failure returns false and
 * leaves *ret_address alone.
 */
PH_EXPORT bool ph_address_parse(const char *text, PhAddress *ret_address);

/*
 * Writes the address as text (IPv6 as RFC 5952 wants it), with its port unless that is 0, into a
 * buffer of PH_ADDRESS_TEXT_MAX bytes. Returns the buffer. An address of no family gives "none".
 */
PH_EXPORT char *ph_address_format(const PhAddress *address,
                                  char buffer[PH_STATIC(PH_ADDRESS_TEXT_MAX)]);

/* Same host and same port. */
PH_EXPORT bool ph_address_equal(const PhAddress *a, const PhAddress *b);

/* Same host, whatever the ports. */
PH_EXPORT bool ph_address_equal_host(const PhAddress *a, const PhAddress *b);

/*
 * Whether one host can have it: it is neither "this network" (RFC 1122 §3.2.1.3: 0/8; RFC 4291
 * §2.5.2) nor a group's (RFC 1112 §4: 224/4; RFC 4291 §2.7) nor everybody's (255.255.255.255).
 */
PH_EXPORT bool ph_address_is_unicast(const PhAddress *address);

/* Orders by family, host, scope, port; 0 when equal. */
PH_EXPORT int ph_address_compare(const PhAddress *a, const PhAddress *b);

PH_END_DECLS
