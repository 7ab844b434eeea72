/* SPDX-License-Identifier: MIT */
#include "sockaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

socklen_t ph_sockaddr_from_address(const PhAddress *address, struct sockaddr_storage *ret_sockaddr)
{
    memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
    if (address->family == PH_FAMILY_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(address->port)};

        memcpy(&in.sin_addr, address->bytes, sizeof(in.sin_addr));
        memcpy(ret_sockaddr, &in, sizeof(in));
        return sizeof(in);
    }
    if (address->family == PH_FAMILY_IPV6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(address->port),
                                   .sin6_scope_id = address->scope_id};

        memcpy(&in6.sin6_addr, address->bytes, sizeof(in6.sin6_addr));
        memcpy(ret_sockaddr, &in6, sizeof(in6));
        return sizeof(in6);
    }
    return 0;
}

bool ph_sockaddr_to_address(const struct sockaddr *sockaddr, socklen_t length,
                            PhAddress *ret_address)
{
    PhAddress address = {0};
    sa_family_t family;

    if (length < sizeof(family))
        return false;
    memcpy(&family, &sockaddr->sa_family, sizeof(family));
    if (family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;

        memcpy(&in, sockaddr, sizeof(in));
        address.family = PH_FAMILY_IPV4;
        address.port = ntohs(in.sin_port);
        memcpy(address.bytes, &in.sin_addr, sizeof(in.sin_addr));
    } else if (family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sockaddr, sizeof(in6));
        address.family = PH_FAMILY_IPV6;
        address.port = ntohs(in6.sin6_port);
        address.scope_id = in6.sin6_scope_id;
        memcpy(address.bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
    } else {
        return false;
    }
    *ret_address = address;
    return true;
}
