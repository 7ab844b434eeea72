/* SPDX-License-Identifier: MIT */
#include <pinhole/version.h>

const char *ph_version(void)
{
    return PH_VERSION_STRING;
}
