/* SPDX-License-Identifier: MIT */
/* Where control sockets are. Private to control*.c. */
#pragma once

#include <gio/gio.h>

/* The directory for new ones, made where it is missing; to be freed. NULL and an error: there is
 * none that is this user's alone. */
char *control_directory(GError **error);

/*
 * A socket that listens at `path`, where none does yet; what a dead process left is replaced. -1
 * and an error: G_IO_ERROR_EXISTS when somebody lives there.
 */
int control_listen(const char *path, GError **error);
/* -1 and errno: nobody lives there. */
int control_connect(const char *path);
