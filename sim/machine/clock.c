/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one clock; see clock.h. */
#include "machine/clock.h"

#include <errno.h>
#include <time.h>

uint64_t pl_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t pl_wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void pl_clock_wait(uint64_t time_ns)
{
    const struct timespec until = {
        .tv_sec = (time_t)(time_ns / 1000000000),
        .tv_nsec = (long)(time_ns % 1000000000),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}
