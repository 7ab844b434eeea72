/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages of a SOCK_SEQPACKET socket that carry descriptors, and words in them. */
#pragma once

#include <sys/types.h>

#include "topology/topology.h"

/* Descriptors in one message. */
#define PL_PARCEL_FDS 8
/* Longer messages are refused; a socket's buffer has room for one such. */
#define PL_PARCEL_MAX (128U * 1024U)

/* FALSE with errno; EMSGSIZE when it is too long. The descriptors stay the caller's. */
gboolean pl_parcel_send(int socket, const void *data, size_t length, const int *fds, size_t n_fds);

/*
 * One message: its length; 0 when the other end is gone, -1 with errno. Of the descriptors (close-
 * on-exec, the caller's) at most PL_PARCEL_FDS come into `fds`, and *ret_n says how many there are.
 */
ssize_t pl_parcel_receive(int socket, void *data, size_t size, int fds[static PL_PARCEL_FDS],
                          size_t *ret_n);

/* Each word ended by a NUL. */
GByteArray *pl_parcel_pack(const char *const *words);
void pl_parcel_add(GByteArray *parcel, const char *word);
/* NULL when the last word has no end; else NULL-terminated, words pointing into the data. */
char **pl_parcel_words(char *data, size_t length);
