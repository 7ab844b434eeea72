/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When external ports show how they are chosen. The prober and the evidence judge look at the same
 * packets, so they must not draw the line at different places; and theory has to know where it is.
 */
#pragma once

/* Mappings that show a rule. */
#define PL_ALLOCATION_ENOUGH 4
/* Mappings that show a block (RFC 7422 §3), and the span they lie in: of 64512 ports, seven are
   never this close by chance (5e-7). In a range no wider, random ports look like a block. */
#define PL_ALLOCATION_BLOCK_ENOUGH 7
#define PL_ALLOCATION_BLOCK_SPAN   4096
/* Between ports that are counted through. */
#define PL_ALLOCATION_STEP_MAX 64
