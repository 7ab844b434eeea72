/* SPDX-License-Identifier: MIT */
/* Between the system's socket addresses and ours: nothing else knows both. */
#pragma once

#include <pinhole/address.h>
#include <sys/socket.h>

/* The length of what was written; 0 for an address of no family. */
socklen_t ph_sockaddr_from_address(const PhAddress *address, struct sockaddr_storage *ret_sockaddr);

/* False, and *ret_address left alone: neither IPv4 nor IPv6, or too short to be. */
bool ph_sockaddr_to_address(const struct sockaddr *sockaddr, socklen_t length,
                            PhAddress *ret_address);
