/* SPDX-License-Identifier: MIT */
/* What all headers need to be usable from C11 and from C++11. */
#pragma once

#define PH_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
#define PH_BEGIN_DECLS extern "C" {
#define PH_END_DECLS   }
#define PH_STATIC(n)   /* nothing: C++ has no such parameters */
#else
#define PH_BEGIN_DECLS
#define PH_END_DECLS
#define PH_STATIC(n) static n /* a parameter: room for so many, or more */
#endif
