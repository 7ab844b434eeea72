/* SPDX-License-Identifier: MIT */
/* Words put together in a buffer; what does not fit is left out. */
#pragma once

#include <pinhole/address.h>
#include <string.h>

typedef struct PhText {
    char *at;
    size_t length, room; /* room: with the NUL */
} PhText;

static inline void ph_text_add(PhText *text, const char *words, size_t length)
{
    if (length > text->room - 1 - text->length)
        length = text->room - 1 - text->length;
    memcpy(text->at + text->length, words, length);
    text->length += length;
    text->at[text->length] = '\0';
}

static inline void ph_text(PhText *text, const char *words)
{
    ph_text_add(text, words, strlen(words));
}

static inline void ph_text_number(PhText *text, uint64_t number)
{
    char digits[20];
    unsigned n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    ph_text_add(text, digits + n, sizeof(digits) - n);
}

static inline void ph_text_hex(PhText *text, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        ph_text_add(text, &"0123456789abcdef"[bytes[i] >> 4], 1);
        ph_text_add(text, &"0123456789abcdef"[bytes[i] & 15], 1);
    }
}

static inline void ph_text_address(PhText *text, const PhAddress *address)
{
    char buffer[PH_ADDRESS_TEXT_MAX];

    ph_text(text, ph_address_format(address, buffer));
}
