/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests that each run as process 1 of a sandbox; skipped where there can be none. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "machine/sandbox.h"

static int in_sandbox(gpointer data)
{
    ((void (*)(void))(uintptr_t)data)();
    return 0;
}

static G_GNUC_UNUSED void test_in_sandbox(gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;

    if (pl_sandbox_start(in_sandbox, (gpointer)(uintptr_t)data, &sandbox, &error)) {
        g_assert_cmpint(pl_sandbox_wait(&sandbox), ==, 0);
        return;
    }
    g_assert_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED);
    g_test_skip(error->message);
}
