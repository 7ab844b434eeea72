/* SPDX-License-Identifier: MIT */
/*
 * STUN messages: RFC 8489, with the attributes of NAT behaviour discovery (RFC 5780) and those that
 * clients and servers of RFC 3489 need.
 *
 * Reading copies nothing: a message and its attributes point into the datagram, and are good as
 * long as that is. ph_stun_read() has checked every length, so that walking over the attributes
 * cannot fail. Writing goes into a buffer of the caller's; what does not fit is noticed once, at
 * the end.
 *
 * MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 are recognised, and the codec says what they
 * cover; computing them needs a key, and is the caller's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pinhole/address.h>

PH_BEGIN_DECLS

#define PH_STUN_HEADER_BYTES 20          /* RFC 8489 §5 */
#define PH_STUN_COOKIE       0x2112A442U /* RFC 8489 §5 */
#define PH_STUN_REASON_MAX   763         /* bytes of a reason phrase, RFC 8489 §14.8 */

typedef enum {
    PH_STUN_OK,
    PH_STUN_FOREIGN,     /* no STUN message at all: a datagram of something else */
    PH_STUN_MALFORMED,   /* begins as one, but its lengths contradict each other */
    PH_STUN_FINGERPRINT, /* has a FINGERPRINT that is wrong, or one that is not last */
} PhStunStatus;

/* RFC 8489 §5 */
typedef enum {
    PH_STUN_REQUEST = 0,
    PH_STUN_INDICATION = 1,
    PH_STUN_SUCCESS = 2,
    PH_STUN_ERROR = 3,
} PhStunClass;

#define PH_STUN_BINDING 0x001 /* the method, RFC 8489 §18.2 */

/* Below 0x8000 a receiver must understand an attribute (RFC 8489 §14). */
enum {
    PH_STUN_MAPPED_ADDRESS = 0x0001,           /* RFC 8489 §14.1 */
    PH_STUN_RESPONSE_ADDRESS = 0x0002,         /* RFC 3489 §11.2.2: never obeyed */
    PH_STUN_CHANGE_REQUEST = 0x0003,           /* RFC 5780 §7.2 */
    PH_STUN_SOURCE_ADDRESS = 0x0004,           /* RFC 3489 §11.2.5 */
    PH_STUN_CHANGED_ADDRESS = 0x0005,          /* RFC 3489 §11.2.3 */
    PH_STUN_USERNAME = 0x0006,                 /* RFC 8489 §14.3 */
    PH_STUN_MESSAGE_INTEGRITY = 0x0008,        /* RFC 8489 §14.5 */
    PH_STUN_ERROR_CODE = 0x0009,               /* RFC 8489 §14.8 */
    PH_STUN_UNKNOWN_ATTRIBUTES = 0x000A,       /* RFC 8489 §14.13 */
    PH_STUN_REALM = 0x0014,                    /* RFC 8489 §14.9 */
    PH_STUN_NONCE = 0x0015,                    /* RFC 8489 §14.10 */
    PH_STUN_MESSAGE_INTEGRITY_SHA256 = 0x001C, /* RFC 8489 §14.6 */
    PH_STUN_XOR_MAPPED_ADDRESS = 0x0020,       /* RFC 8489 §14.2 */
    PH_STUN_PADDING = 0x0026,                  /* RFC 5780 §7.6 */
    PH_STUN_RESPONSE_PORT = 0x0027,            /* RFC 5780 §7.5 */
    PH_STUN_SOFTWARE = 0x8022,                 /* RFC 8489 §14.14 */
    PH_STUN_ALTERNATE_SERVER = 0x8023,         /* RFC 8489 §14.15 */
    PH_STUN_FINGERPRINT_ATTRIBUTE = 0x8028,    /* RFC 8489 §14.7 */
    PH_STUN_RESPONSE_ORIGIN = 0x802B,          /* RFC 5780 §7.3 */
    PH_STUN_OTHER_ADDRESS = 0x802C,            /* RFC 5780 §7.4 */
    /*
     * Ours, of the range that nobody needs to understand and that has no entry in the registry.
     * FILLER makes a request as long as its answer, so that nobody's forged request is amplified.
     * OTHER-PORT (like RESPONSE-PORT) is what a reflector with one address says of its second port,
     * since OTHER-ADDRESS is for those that have two addresses (RFC 5780 §7.4).
     * NAT-CLASS (a number of 32 bits, a PhClass) in a Binding indication is what a client says of
     * its own NAT.
     */
    PH_STUN_FILLER = 0xC0F1,
    PH_STUN_OTHER_PORT = 0xC0F2,
    PH_STUN_NAT_CLASS = 0xC0F3,
};

/* CHANGE-REQUEST's flags (RFC 5780 §7.2). */
#define PH_STUN_CHANGE_IP   0x4U
#define PH_STUN_CHANGE_PORT 0x2U

/* The magic cookie and the 96-bit transaction id; with RFC 3489 all 128 bits are the id. */
typedef struct PhStunTransaction {
    uint8_t bytes[16];
} PhStunTransaction;

typedef struct PhStunMessage {
    const uint8_t *bytes; /* the whole message */
    size_t length;
    PhStunClass message_class;
    uint16_t method;
    bool classic; /* without the magic cookie: of RFC 3489 */
    PhStunTransaction transaction;
} PhStunMessage;

typedef struct PhStunAttribute {
    uint16_t type;
    uint16_t length; /* without padding */
    const uint8_t *value;
} PhStunAttribute;

/*
 * Reads a datagram that must be one STUN message and nothing else. Unless it returns PH_STUN_OK,
 * *ret_message is left alone.
 */
PH_EXPORT PhStunStatus ph_stun_read(const uint8_t *bytes, size_t length,
                                    PhStunMessage *ret_message);

/*
 * The attribute after `attribute`, into it; begin with one that is all zero. False after the last.
 * What follows a MESSAGE-INTEGRITY is left out, as RFC 8489 §14.5 wants, but for
 * MESSAGE-INTEGRITY-SHA256 and FINGERPRINT.
 */
PH_EXPORT bool ph_stun_next(const PhStunMessage *message, PhStunAttribute *attribute);

/* The first attribute of that type; false when there is none. */
PH_EXPORT bool ph_stun_find(const PhStunMessage *message, uint16_t type,
                            PhStunAttribute *ret_attribute);

/*
 * Attributes that a receiver would have to understand, and that are not in the list above. At most
 * `max` of them; returns how many.
 */
PH_EXPORT size_t ph_stun_unknown(const PhStunMessage *message, uint16_t *ret_types, size_t max);

/*
 * What attributes say; false when their value has not the form that their type has, and then
 * *ret_... is left alone. An address without a port, or of no host, is an address.
 */
PH_EXPORT bool ph_stun_get_address(const PhStunMessage *message, const PhStunAttribute *attribute,
                                   PhAddress *ret_address);
PH_EXPORT bool ph_stun_get_u32(const PhStunAttribute *attribute, uint32_t *ret_value);
PH_EXPORT bool ph_stun_get_port(const PhStunAttribute *attribute, uint16_t *ret_port);
/* The reason is UTF-8 by law, hostile in fact, and not terminated. */
PH_EXPORT bool ph_stun_get_error(const PhStunAttribute *attribute, unsigned *ret_code,
                                 const char **ret_reason, size_t *ret_reason_length);

/*
 * What an integrity attribute of this message covers: ret_header, then the message's bytes from the
 * end of its header up to the number that is returned (RFC 8489 §14.5: the header says the length
 * that the message would have if this attribute were its last).
 */
PH_EXPORT size_t ph_stun_covered(const PhStunMessage *message, const PhStunAttribute *attribute,
                                 uint8_t ret_header[PH_STATIC(PH_STUN_HEADER_BYTES)]);

typedef struct PhStunWriter {
    uint8_t *bytes;
    size_t room, length;
    bool full; /* something did not fit */
} PhStunWriter;

/* A transaction of RFC 8489 from its 96-bit id. */
PH_EXPORT PhStunTransaction ph_stun_transaction(const uint8_t id[PH_STATIC(12)]);

PH_EXPORT void ph_stun_write_begin(PhStunWriter *writer, uint8_t *buffer, size_t room,
                                   PhStunClass message_class, uint16_t method,
                                   const PhStunTransaction *transaction);
PH_EXPORT void ph_stun_write(PhStunWriter *writer, uint16_t type, const void *value, size_t length);
/* Of the type XOR-MAPPED-ADDRESS it is masked, of any other it is plain. */
PH_EXPORT void ph_stun_write_address(PhStunWriter *writer, uint16_t type, const PhAddress *address);
PH_EXPORT void ph_stun_write_u32(PhStunWriter *writer, uint16_t type, uint32_t value);
PH_EXPORT void ph_stun_write_port(PhStunWriter *writer, uint16_t type, uint16_t port);
/* The code is 300 to 699, the reason at most PH_STUN_REASON_MAX bytes. */
PH_EXPORT void ph_stun_write_error(PhStunWriter *writer, unsigned code, const char *reason);
/* FILLER of so many zero bytes. */
PH_EXPORT void ph_stun_write_filler(PhStunWriter *writer, size_t length);
/* The last attribute, when there is to be one. */
PH_EXPORT void ph_stun_write_fingerprint(PhStunWriter *writer);
/* The message's length; 0 when something did not fit. */
PH_EXPORT size_t ph_stun_write_end(const PhStunWriter *writer);

PH_END_DECLS
