/* SPDX-License-Identifier: MIT */
#pragma once

#include <pinhole/export.h>

PH_BEGIN_DECLS

/* The library's version, such as "0.1.0"; static storage. */
PH_EXPORT const char *ph_version(void);

PH_END_DECLS
