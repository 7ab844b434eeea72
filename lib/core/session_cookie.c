/* SPDX-License-Identifier: MIT */
/*
 * What keeps strangers from making us work: mac1 says that the sender knows our public key, mac2
 * that it gets what is sent to its address. The scheme is WireGuard's (Donenfeld, NDSS 2017, §5.3,
 * 5.4.4 and 5.4.7).
 *
 *     request ──mac1 wrong──> dropped
 *        ├──mac2 right──> its address asks too often? ──yes──> dropped
 *        │                    └──no──> handshake
 *        └──no mac2──> too many handshakes? ──no──> handshake
 *                             └──yes──> a cookie, with which mac2 can be made
 */
#include <sodium.h>
#include <string.h>

#include "bytes.h"
#include "session_private.h"

/* A cookie is good for as long, and for as long again. */
#define COOKIE_EPOCH_NS (120 * PH_SECOND)

/* Of one address, IPv4 or /64, that has a cookie. */
static const PhRate source_rate = {.per_second = 20, .burst = 20};

void ph_session_derive(const PhSessions *sessions, const char *label,
                       const uint8_t key[static PH_SESSION_KEY_BYTES], uint8_t ret_key[static 32])
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, NULL, 0, 32);
    (void)crypto_generichash_blake2b_update(&state, (const uint8_t *)label, strlen(label));
    (void)crypto_generichash_blake2b_update(&state, key, PH_SESSION_KEY_BYTES);
    (void)crypto_generichash_blake2b_update(&state, sessions->config.psk, PH_SESSION_KEY_BYTES);
    (void)crypto_generichash_blake2b_final(&state, ret_key, 32);
}

void ph_session_mac(const uint8_t *key, size_t key_length, const uint8_t *bytes, size_t length,
                    uint8_t ret_mac[static PH_MAC_BYTES])
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, key, key_length, PH_MAC_BYTES);
    (void)crypto_generichash_blake2b_update(&state, bytes, length);
    (void)crypto_generichash_blake2b_final(&state, ret_mac, PH_MAC_BYTES);
}

void ph_session_mac1(const PhSessions *sessions,
                     const uint8_t remote_key[static PH_SESSION_KEY_BYTES], uint8_t *packet,
                     size_t at)
{
    uint8_t key[32];

    ph_session_derive(sessions, "pinhole mac1", remote_key, key);
    ph_session_mac(key, sizeof(key), packet, at, packet + at);
}

bool ph_session_check_mac1(const PhSessions *sessions, const uint8_t *packet, size_t at)
{
    uint8_t mac[PH_MAC_BYTES];

    ph_session_mac(sessions->mac1_key, sizeof(sessions->mac1_key), packet, at, mac);
    return sodium_memcmp(mac, packet + at, sizeof(mac)) == 0;
}

/* ---- who is asked ---- */

/* The cookie of an address in an epoch: nothing has to be kept. */
static void make_cookie(const PhSessions *sessions, const PhRoute *route, uint64_t epoch,
                        uint8_t ret_cookie[static PH_COOKIE_BYTES])
{
    uint8_t source[8 + 4 + 4 + 1 + 2 + 16] = {0};
    const PhAddress *remote = &route->path.remote;

    ph_put32(source, (uint32_t)(epoch >> 32));
    ph_put32(source + 4, (uint32_t)epoch);
    ph_put32(source + 8, route->via);
    ph_put32(source + 12, route->via ? route->relay : 0);
    if (route->via == 0) {
        source[16] = remote->family;
        ph_put16(source + 17, remote->port);
        memcpy(source + 19, remote->bytes, 16);
    }
    _Static_assert(PH_COOKIE_BYTES == PH_MAC_BYTES, "a cookie is a mac");
    ph_session_mac(sessions->cookie_secret, sizeof(sessions->cookie_secret), source, sizeof(source),
                   ret_cookie);
}

static bool has_mac2(const PhSessions *sessions, const PhRoute *route, const uint8_t *request,
                     uint64_t now)
{
    static const uint8_t none[PH_MAC_BYTES];
    uint8_t cookie[PH_COOKIE_BYTES], mac[PH_MAC_BYTES];
    uint64_t epoch = now / COOKIE_EPOCH_NS;

    if (memcmp(request + PH_REQUEST_MAC2, none, sizeof(none)) == 0)
        return false;
    for (unsigned i = 0; i < 2 && i <= epoch; i++) {
        make_cookie(sessions, route, epoch - i, cookie);
        ph_session_mac(cookie, sizeof(cookie), request, PH_REQUEST_MAC2, mac);
        if (sodium_memcmp(mac, request + PH_REQUEST_MAC2, sizeof(mac)) == 0)
            return true;
    }
    return false;
}

static uint64_t *source_of(PhSessions *sessions, const PhRoute *route)
{
    uint8_t hash[crypto_shorthash_BYTES], via[4];

    _Static_assert((PH_SESSION_SOURCES & (PH_SESSION_SOURCES - 1)) == 0, "a power of two");
    if (route->via == 0)
        return &sessions->sources_ns[ph_bucket_of(&route->path.remote, sessions->hash_key,
                                                  PH_SESSION_SOURCES)];
    /* Of a relay all that it brings. */
    ph_put32(via, route->via);
    (void)crypto_shorthash(hash, via, sizeof(via), sessions->hash_key);
    return &sessions->sources_ns[ph_get32(hash) % PH_SESSION_SOURCES];
}

static void send_cookie(PhSessions *sessions, const PhRoute *route, const uint8_t *request,
                        uint64_t now)
{
    uint8_t packet[PH_COOKIE_PACKET_BYTES] = {PH_PACKET_COOKIE}, cookie[PH_COOKIE_BYTES];

    memcpy(packet + 4, request + 4, 4);
    ph_random_bytes(&sessions->random, packet + 8, crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
    make_cookie(sessions, route, now / COOKIE_EPOCH_NS, cookie);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(packet + 32, NULL, cookie, sizeof(cookie),
                                                     request + PH_REQUEST_MAC1, PH_MAC_BYTES, NULL,
                                                     packet + 8, sessions->cookie_key);
    ph_session_queue(sessions, route, packet, sizeof(packet));
    sessions->counters.cookies_sent++;
}

bool ph_session_admit(PhSessions *sessions, const PhRoute *route, const uint8_t *request,
                      uint64_t now)
{
    PhRate all = {.per_second = sessions->config.handshakes_per_s,
                  .burst = sessions->config.handshakes_per_s};

    if (has_mac2(sessions, route, request, now)) {
        if (ph_bucket_take(source_of(sessions, route), &source_rate, 1, now))
            return true;
        sessions->counters.dropped_often++;
        return false;
    }
    if (ph_bucket_take(&sessions->handshakes_ns, &all, 1, now))
        return true;
    send_cookie(sessions, route, request, now);
    return false;
}

/* ---- who asks ---- */

void ph_session_receive_cookie(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                               uint64_t now)
{
    PhSession *session = ph_session_by_index(sessions, ph_get32(packet + 4));
    PhAsk *ask = session ? ph_session_ask_of(sessions, session) : NULL;
    uint8_t key[32], cookie[PH_COOKIE_BYTES];

    if (!ask || !ask->active || ask->own_index != ph_get32(packet + 4)) {
        sessions->counters.dropped_unknown++;
        return;
    }
    ph_session_derive(sessions, "pinhole cookie", session->remote_key, key);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            cookie, NULL, NULL, packet + 32, PH_COOKIE_BYTES + 16, ask->packet + PH_REQUEST_MAC1,
            PH_MAC_BYTES, packet + 8, key) != 0) {
        sessions->counters.dropped_forged++;
        return;
    }
    for (uint32_t i = 0; i < ask->n_routes; i++) {
        PhAskRoute *asked = &ask->routes[i];

        if (!ph_route_equal(&asked->route, route) || asked->n_cookies == PH_ASK_COOKIES ||
            (asked->n_cookies > 0 && memcmp(asked->cookie, cookie, sizeof(cookie)) == 0))
            continue;
        asked->n_cookies++;
        memcpy(asked->cookie, cookie, sizeof(cookie));
        ph_session_send_ask(sessions, session, asked);
        ask->repeat_ns = now + ask->interval_ns;
        ph_session_reschedule(sessions, session);
    }
}
