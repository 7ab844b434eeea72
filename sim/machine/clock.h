/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clock of everything that happens in real time: an engine's lab, its programs and probers. */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC, in nanoseconds. */
uint64_t pl_now_ns(void);
/* CLOCK_REALTIME, in nanoseconds: that of captures. */
uint64_t pl_wall_ns(void);
/* Returns at that time, at once if it is past. */
void pl_clock_wait(uint64_t time_ns);
