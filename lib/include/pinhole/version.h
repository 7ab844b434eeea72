/* SPDX-License-Identifier: MIT */
#pragma once

#include <pinhole/export.h>

/* The library's version, such as "0.1.0"; static storage. */
PH_EXPORT const char *ph_version(void);
