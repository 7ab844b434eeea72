/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The evidence checker. The input is a list of packets: an interface and a length (two bytes), then
 * the frame; each comes one millisecond after the one before. Judged twice, it says the same.
 */
#include <string.h>

#include "capture/evidence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static PlCapture *make_capture(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"in", "out"};
    PlCapture *capture = g_new0(PlCapture, 1);
    uint64_t now = 1;

    capture->bytes = g_bytes_new(data, size);
    data = g_bytes_get_data(capture->bytes, &size);
    capture->frames = g_array_new(FALSE, FALSE, sizeof(PlFrame));
    capture->interfaces = g_array_new(FALSE, FALSE, sizeof(PlCaptureInterface));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        PlCaptureInterface interface = {.name = (char *)names[i], .link_type = 1};

        g_array_append_val(capture->interfaces, interface);
    }
    while (size >= 2) {
        uint32_t length = (uint32_t)MIN(size - 2, data[1]);
        PlFrame frame = {.interface = data[0] & 1,
                         .time_ns = now++ * 1000000,
                         .data = data + 2,
                         .length = length,
                         .original_length = length};

        g_array_append_val(capture->frames, frame);
        data += 2 + length;
        size -= 2 + length;
    }
    return capture;
}

static void judge(const PlCapture *capture, const PhAddress *host, const char *inside,
                  PlFindings *ret_findings)
{
    g_autoptr(GError) error = NULL;
    PlEvidenceQuery query = {.inside = inside, .outside = "out", .host = host};

    g_assert(pl_evidence_judge(capture, &query, ret_findings, &error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PlCapture *capture = make_capture(data, size);
    PhAddress host = ph_address_ipv4(0xC0A80102, 0);
    g_auto(PlFindings) first = {0}, second = {0}, one = {0}, open = {0};

    judge(capture, NULL, "in", &first);
    judge(capture, NULL, "in", &second);
    judge(capture, &host, "in", &one);
    judge(capture, &host, "out", &open);
    for (int axis = 0; axis < PL_AXIS_N; axis++)
        g_assert(g_strcmp0(first.value[axis], second.value[axis]) == 0 &&
                 g_strcmp0(first.why[axis], second.why[axis]) == 0);
    pl_capture_free(capture);
    return 0;
}
