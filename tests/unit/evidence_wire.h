/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures made packet by packet, for tests of the evidence. */
#pragma once

#include <string.h>

#include "capture/evidence.h"
#include "capture/packet.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

/* A capture being made: time goes on by 1 ms a packet, and as the test says. */
typedef struct Wire {
    GByteArray *bytes; /* of all frames; the capture's frames hold offsets until the end */
    GArray *frames;    /* PlFrame, data not set */
    GArray *offsets;   /* gsize */
    uint64_t now;
    unsigned payload; /* the next one */
} Wire;

enum { INSIDE, OUTSIDE, ELSEWHERE };

static G_GNUC_UNUSED void wire_clear(Wire *wire)
{
    g_byte_array_unref(wire->bytes);
    g_array_unref(wire->frames);
    g_array_unref(wire->offsets);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wire, wire_clear)

static G_GNUC_UNUSED void wire_init(Wire *wire)
{
    *wire = (Wire){.bytes = g_byte_array_new(),
                   .frames = g_array_new(FALSE, FALSE, sizeof(PlFrame)),
                   .offsets = g_array_new(FALSE, FALSE, sizeof(gsize)),
                   .now = 1000 * S};
}

static G_GNUC_UNUSED PhAddress at(const char *text)
{
    PhAddress address;

    g_assert_true(ph_address_parse(text, &address));
    return address;
}

static G_GNUC_UNUSED void wire_frame(Wire *wire, unsigned interface, const uint8_t *data,
                                     gsize length)
{
    PlFrame frame = {.interface = interface,
                     .time_ns = wire->now,
                     .length = (uint32_t)length,
                     .original_length = (uint32_t)length};
    gsize offset = wire->bytes->len;

    g_byte_array_append(wire->bytes, data, (guint)length);
    g_array_append_val(wire->frames, frame);
    g_array_append_val(wire->offsets, offset);
    wire->now += MS;
}

static G_GNUC_UNUSED void put_u16(uint8_t *data, unsigned value)
{
    data[0] = (uint8_t)(value >> 8);
    data[1] = (uint8_t)value;
}

static G_GNUC_UNUSED void put_ip(uint8_t *ip, const PhAddress *source, const PhAddress *destination,
                                 int protocol, gsize payload)
{
    ip[0] = 0x45;
    put_u16(ip + 2, (unsigned)(20 + payload));
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = (uint8_t)protocol;
    memcpy(ip + 12, source->bytes, 4);
    memcpy(ip + 16, destination->bytes, 4);
}

static G_GNUC_UNUSED void put_udp(uint8_t *udp, const PhAddress *source,
                                  const PhAddress *destination, gsize rest)
{
    put_u16(udp, source->port);
    put_u16(udp + 2, destination->port);
    put_u16(udp + 4, (unsigned)(8 + rest));
}

/* A UDP packet with a payload of one number. */
static G_GNUC_UNUSED void udp(Wire *wire, unsigned interface, PhAddress source,
                              PhAddress destination, unsigned payload)
{
    uint8_t frame[14 + 20 + 8 + 4] = {[12] = 0x08};

    put_ip(frame + 14, &source, &destination, 17, 12);
    put_udp(frame + 34, &source, &destination, 4);
    memcpy(frame + 42, &payload, 4);
    wire_frame(wire, interface, frame, sizeof(frame));
}

static G_GNUC_UNUSED void tcp_syn(Wire *wire, unsigned interface, PhAddress source,
                                  PhAddress destination)
{
    uint8_t frame[14 + 20 + 20] = {[12] = 0x08};

    put_ip(frame + 14, &source, &destination, 6, 20);
    put_u16(frame + 34, source.port);
    put_u16(frame + 36, destination.port);
    frame[46] = 0x50;
    frame[47] = 0x02;
    wire_frame(wire, interface, frame, sizeof(frame));
}

/* ICMP unreachable (code 3: the port) for a UDP packet that `source` had sent to `destination`. */
static G_GNUC_UNUSED void unreachable(Wire *wire, PhAddress router, PhAddress source,
                                      PhAddress destination, uint8_t code)
{
    uint8_t frame[14 + 20 + 8 + 28] = {[12] = 0x08};

    put_ip(frame + 14, &router, &source, 1, 36);
    frame[34] = 3;
    frame[35] = code;
    put_ip(frame + 42, &source, &destination, 17, 12);
    put_udp(frame + 62, &source, &destination, 4);
    wire_frame(wire, OUTSIDE, frame, sizeof(frame));
}

/* Crossing packets: source inside, outside, destination. */
static G_GNUC_UNUSED void out(Wire *wire, PhAddress inside, PhAddress external, PhAddress remote)
{
    udp(wire, INSIDE, inside, remote, ++wire->payload);
    udp(wire, OUTSIDE, external, remote, wire->payload);
}

static G_GNUC_UNUSED void in(Wire *wire, PhAddress remote, PhAddress external, PhAddress inside)
{
    udp(wire, OUTSIDE, remote, external, ++wire->payload);
    udp(wire, INSIDE, remote, inside, wire->payload);
}

static G_GNUC_UNUSED void kept_out(Wire *wire, PhAddress remote, PhAddress external)
{
    udp(wire, OUTSIDE, remote, external, ++wire->payload);
}

static G_GNUC_UNUSED PlCapture *finish(Wire *wire)
{
    static const char *const names[] = {"home.inside", "home.outside", "hub"};
    PlCapture *capture = g_new0(PlCapture, 1);

    capture->bytes = g_bytes_new(wire->bytes->data, wire->bytes->len);
    capture->frames = g_array_new(FALSE, FALSE, sizeof(PlFrame));
    capture->interfaces = g_array_new(FALSE, FALSE, sizeof(PlCaptureInterface));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        PlCaptureInterface interface = {.name = g_strdup(names[i]), .link_type = 1};

        g_array_append_val(capture->interfaces, interface);
    }
    for (guint i = 0; i < wire->frames->len; i++) {
        PlFrame frame = g_array_index(wire->frames, PlFrame, i);

        frame.data = (const uint8_t *)g_bytes_get_data(capture->bytes, NULL) +
                     g_array_index(wire->offsets, gsize, i);
        g_array_append_val(capture->frames, frame);
    }
    return capture;
}

static G_GNUC_UNUSED void free_capture(PlCapture *capture)
{
    for (guint i = 0; i < capture->interfaces->len; i++)
        g_free(g_array_index(capture->interfaces, PlCaptureInterface, i).name);
    pl_capture_free(capture);
}

static G_GNUC_UNUSED void judge_as(Wire *wire, const char *host, const GArray *external,
                                   const char *inside, const char *outside,
                                   PlFindings *ret_findings)
{
    PlCapture *capture = finish(wire);
    PhAddress address = host ? at(host) : (PhAddress){0};
    PlEvidenceQuery query = {
        .inside = inside, .outside = outside, .host = host ? &address : NULL, .external = external};
    g_autoptr(GError) error = NULL;
    gboolean judged = pl_evidence_judge(capture, &query, ret_findings, &error);

    g_assert_no_error(error);
    g_assert_true(judged);
    free_capture(capture);
}

static G_GNUC_UNUSED void judge(Wire *wire, const char *host, PlFindings *ret_findings)
{
    g_autoptr(GArray) external = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    PhAddress address = at("203.0.113.1");

    g_array_append_val(external, address);
    judge_as(wire, host, external, "home.inside", "home.outside", ret_findings);
}

/* A NAT as the tests need it: what it does to a packet is one of the nine cells. */
typedef struct Nat {
    PlMapping mapping;
    PlFiltering filtering;
    unsigned seed;
} Nat;

#define A1 at("198.51.100.1:1000")
#define A2 at("198.51.100.1:2000")
#define B1 at("198.51.100.2:1000")
#define B2 at("198.51.100.2:2000")

static G_GNUC_UNUSED PhAddress external_of(const Nat *nat, PhAddress inside, PhAddress remote)
{
    unsigned key = inside.port * 7919u + inside.bytes[3] * 104729u + nat->seed;

    if (nat->mapping == PL_MAPPING_NONE)
        return inside;
    if (nat->mapping != PL_MAPPING_ENDPOINT_INDEPENDENT)
        key += remote.bytes[3] * 15485863u;
    if (nat->mapping == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT)
        key += remote.port * 32452843u;
    inside = at("203.0.113.1");
    inside.port = (uint16_t)(1024 + key % 64512);
    return inside;
}

/* Does what a prober does: the mapping of two sockets, the filtering of a third. */
static G_GNUC_UNUSED void probe(Wire *wire, const Nat *nat, const char *host)
{
    const PhAddress remotes[] = {A1, A2, B1, B2};
    PhAddress inside = at(host), external;

    for (unsigned socket = 0; socket < 3; socket++) {
        inside.port = (uint16_t)(5000 + 13 * socket);
        for (unsigned i = 0; i < G_N_ELEMENTS(remotes); i++)
            out(wire, inside, external_of(nat, inside, remotes[i]), remotes[i]);
    }
    inside.port = 6000;
    external = external_of(nat, inside, A1);
    out(wire, inside, external, A1);
    if (nat->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
        in(wire, B2, external, inside);
    else
        kept_out(wire, B2, external);
    if (nat->filtering == PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT)
        kept_out(wire, A2, external);
    else
        in(wire, A2, external, inside);
    in(wire, A1, external, inside);
}

static G_GNUC_UNUSED void assert_found(const PlFindings *findings, PlAxis axis,
                                       const char *expected)
{
    if (g_strcmp0(findings->value[axis], expected) != 0)
        g_error("%s: %s (%s), %s expected", pl_axis_name(axis), findings->value[axis],
                findings->why[axis], expected);
    g_assert_true(expected || findings->why[axis]);
}
