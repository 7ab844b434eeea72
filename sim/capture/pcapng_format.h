/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The numbers of the pcapng format (draft-ietf-opsawg-pcapng), shared by writer and reader. */
#pragma once

#define PCAPNG_SECTION         0x0A0D0D0Au /* §4.1 */
#define PCAPNG_INTERFACE       1u          /* §4.2 */
#define PCAPNG_PACKET          2u          /* §A: obsolete, still met */
#define PCAPNG_SIMPLE_PACKET   3u          /* §4.4 */
#define PCAPNG_STATISTICS      5u          /* §4.6 */
#define PCAPNG_ENHANCED_PACKET 6u          /* §4.3 */

#define PCAPNG_BYTE_ORDER 0x1A2B3C4Du

#define PCAPNG_OPTION_END       0u
#define PCAPNG_OPTION_COMMENT   1u
#define PCAPNG_SECTION_APP      4u
#define PCAPNG_IF_NAME          2u
#define PCAPNG_IF_DESCRIPTION   3u
#define PCAPNG_IF_TSRESOL       9u
#define PCAPNG_IF_TSOFFSET      14u
#define PCAPNG_STATS_IF_RECV    4u
#define PCAPNG_STATS_IF_DROP    5u
#define PCAPNG_LINKTYPE_ETHER   1u
#define PCAPNG_SNAPLEN          65535u
#define PCAPNG_BLOCK_LENGTH_MIN 12u
