/* SPDX-License-Identifier: MIT */
/* A hub's metrics: see metrics.h. */
#include "metrics.h"

#include "show.h"

#define NS_PER_US UINT64_C(1000)

static void show_counters(JsonBuilder *builder, const PhReflectorCounters *c)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"received", c->received},
        {"received-bytes", c->received_bytes},
        {"answered", c->answered},
        {"answered-bytes", c->answered_bytes},
        {"answered-from-elsewhere", c->changed},
        {"answered-classic", c->classic},
        {"answered-with-error", c->refused},
        {"refused-from-elsewhere", c->limited_change},
        {"reports", c->reports},
    };
    const struct {
        const char *name;
        uint64_t value;
    } dropped[] = {
        {"foreign", c->foreign},
        {"ignored", c->ignored},
        {"limited-source", c->limited_source},
        {"limited-all", c->limited_all},
        {"limited-reports", c->limited_reports},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
        show_int(builder, members[i].name, (gint64)members[i].value);
    json_builder_set_member_name(builder, "dropped");
    json_builder_begin_object(builder);
    for (size_t i = 0; i < G_N_ELEMENTS(dropped); i++)
        show_int(builder, dropped[i].name, (gint64)dropped[i].value);
    json_builder_end_object(builder);
}

static void show_classes(JsonBuilder *builder, const uint64_t votes[static PH_CLASS_N])
{
    json_builder_set_member_name(builder, "classes");
    json_builder_begin_object(builder);
    for (int i = 0; i < PH_CLASS_N; i++)
        show_int(builder, ph_class_name((PhClass)i), (gint64)votes[i]);
    json_builder_end_object(builder);
}

static void show_station(JsonBuilder *builder, const PhHub *hub)
{
    const PhStationCounters *c = ph_hub_station_counters(hub);
    uint64_t classes[PH_CLASS_N];

    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"registered", c->registered},
        {"expired", c->expired},
        {"refused-name", c->refused_name},
        {"refused-full", c->refused_full},
        {"refused-often", c->refused_often},
        {"connects", c->connects},
        {"unknown-peer", c->unknown_peer},
        {"introductions", c->introductions},
        {"introductions-refused", c->introductions_refused},
        {"relayed", c->relayed},
        {"relayed-bytes", c->relayed_bytes},
        {"relay-dropped-limit", c->relay_dropped_limit},
        {"relay-dropped-queue", c->relay_dropped_queue},
        {"relay-dropped-unknown", c->relay_dropped_unknown},
        {"limited-address", c->limited_address},
    };

    json_builder_set_member_name(builder, "station");
    json_builder_begin_object(builder);
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
        show_int(builder, members[i].name, (gint64)members[i].value);
    ph_hub_station_classes(hub, classes);
    show_classes(builder, classes);
    json_builder_end_object(builder);
}

static void show_traffic(JsonBuilder *builder, const PhHub *hub)
{
    PhHubTraffic traffic;

    ph_hub_traffic(hub, &traffic);
    json_builder_set_member_name(builder, "traffic");
    json_builder_begin_object(builder);
    show_int(builder, "received", (gint64)traffic.received);
    show_int(builder, "receive-calls", (gint64)traffic.receive_calls);
    show_int(builder, "joined", (gint64)traffic.joined);
    show_int(builder, "sent", (gint64)traffic.sent);
    show_int(builder, "send-calls", (gint64)traffic.send_calls);
    show_int(builder, "segmented", (gint64)traffic.segmented);
    show_int(builder, "segments-refused", (gint64)traffic.segments_refused);
    json_builder_end_object(builder);
}

void metrics_add(JsonBuilder *builder, const PhHub *hub)
{
    static const struct {
        PhFamily family;
        const char *name;
    } families[] = {{PH_FAMILY_IPV4, "ipv4"}, {PH_FAMILY_IPV6, "ipv6"}};

    for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
        const PhReflectorCounters *counters = ph_hub_counters(hub, families[i].family);
        uint64_t votes[PH_CLASS_N];

        if (!counters)
            continue;
        json_builder_set_member_name(builder, families[i].name);
        json_builder_begin_object(builder);
        show_counters(builder, counters);
        ph_hub_classes(hub, families[i].family, votes);
        show_classes(builder, votes);
        json_builder_end_object(builder);
    }
    if (ph_hub_station_counters(hub))
        show_station(builder, hub);
    show_traffic(builder, hub);
}

void metrics_show(const PhHub *hub, gint64 started_us, Lines *lines)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    show_int(builder, "schema", 1);
    show_int(builder, "lost-lines", (gint64)lines->lost);
    show_seconds(builder, "uptime_s", (uint64_t)(g_get_monotonic_time() - started_us) * NS_PER_US);
    metrics_add(builder, hub);
    json_builder_end_object(builder);
    text = show_to_text(builder, /* pretty= */ FALSE);
    lines_write(lines, text);
}
