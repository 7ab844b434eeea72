/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names and values that a user gave, and what comes by packet, in lines for people: they may not
 * steer the terminal, nor fill it. */
#include <string.h>

#include "topology/units.h"

static void append_character(GString *out, gunichar c)
{
    if (g_unichar_isprint(c))
        g_string_append_unichar(out, c);
    else
        g_string_append_printf(out, c < 0x80 ? "\\x%02x" : "\\u%04x", c);
}

static char *escape(const char *text)
{
    GString *out = g_string_new(NULL);

    while (*text) {
        gunichar c = g_utf8_get_char_validated(text, -1);

        if (c >= (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (unsigned char)*text++);
            continue;
        }
        append_character(out, c);
        text = g_utf8_next_char(text);
    }
    return g_string_free(out, /* free_segment= */ FALSE);
}

char *pl_printable(const char *text, gsize max)
{
    g_autofree char *escaped = escape(text);
    glong length = g_utf8_strlen(escaped, -1), head = (glong)max / 3, tail = (glong)max - head - 3;
    g_autofree char *first = NULL;

    g_assert(max >= 16);
    if (length <= (glong)max)
        return g_steal_pointer(&escaped);
    first = g_utf8_substring(escaped, 0, head);
    return g_strconcat(first, "...", g_utf8_offset_to_pointer(escaped, length - tail), NULL);
}

char *pl_bytes_format(const void *bytes, gsize length)
{
    GString *out = g_string_sized_new(length);
    const char *at = bytes, *end = at + length;

    while (at < end) {
        gunichar c = *at ? g_utf8_get_char_validated(at, end - at) : 0;

        if (c < (gunichar)-2 && c != '\\' && g_unichar_isprint(c)) {
            g_string_append_unichar(out, c);
            at = g_utf8_next_char(at);
        } else {
            g_string_append_printf(out, "\\x%02x", (unsigned char)*at++);
        }
    }
    return g_string_free(out, /* free_segment= */ FALSE);
}

GByteArray *pl_bytes_parse(const char *text)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    while (*text) {
        guint8 byte = (guint8)*text;

        if (*text == '\\') {
            if (text[1] != 'x' || !g_ascii_isxdigit(text[2]) || !g_ascii_isxdigit(text[3]))
                return NULL;
            byte = (guint8)(g_ascii_xdigit_value(text[2]) << 4 | g_ascii_xdigit_value(text[3]));
            text += 3;
        }
        g_byte_array_append(bytes, &byte, 1);
        text++;
    }
    return g_steal_pointer(&bytes);
}
