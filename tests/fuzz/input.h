/* SPDX-License-Identifier: MIT */
/* What a fuzzer is given, byte by byte: zeros when there is no more. */
#pragma once

#include <glib.h>

typedef struct Input {
    const guint8 *data;
    gsize left;
} Input;

static inline guint8 take(Input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->data++;
}
