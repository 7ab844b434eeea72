/* SPDX-License-Identifier: MIT */
/* pinhole hub: serve as a reflector, and as a station when there is a key, until asked to end. */
#include <glib-unix.h>
#include <pinhole/hub.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "metrics.h"
#include "show.h"
#include "state.h"

#define NS_PER_MS UINT64_C(1000000)

static const Command command = {
    .name = "hub",
    .summary =
        "Serve those who want to know their NAT, or to meet.\n"
        "\n"
        "The hub answers STUN (RFC 8489, RFC 5780, RFC 3489) by UDP, on two ports of each of its\n"
        "addresses. With two addresses it can tell everything, with one much stays unknown, as\n"
        "it says on standard error.\n"
        "With a key it also serves nodes: it knows them by name, introduces them to each other,\n"
        "and relays between them what it cannot read. Without one it is a reflector only.\n"
        "It runs until it gets SIGINT or SIGTERM. When it serves, it says so in a line: "
        "\"ready\",\n"
        "each address with its port, and \"key\" with its public key, or \"reflector-only\".\n"
        "On SIGUSR1 it writes its counters, a line of JSON.",
    .description =
        "ADDR is an address of this machine, an IPv6 one in brackets when a PORT follows; there\n"
        "may be two of IPv4 and two of IPv6. Without --listen these are the first two that this\n"
        "machine has. PORT is 3478 where it is not given, and the same for all.\n"
        "\n"
        "Behind a NAT that translates one to one, as clouds have it, --advertise says as what\n"
        "clients reach the --listen addresses, in the same order. The ports must be the same.\n"
        "\n"
        "--relay-rate limits what is relayed for one node, and, 16 times as much, for all that\n"
        "share an address: BYTES a second, 4194304 where it is not given; 0 is no limit.\n"
        "\n"
        "FILE is one of pinhole key new. Nodes are given KEY@HOST, or KEY@HOST:PORT, where KEY\n"
        "is the hub's public key.\n"
        "\n"
        "Examples:\n"
        "  pinhole hub\n"
        "  pinhole hub --key hub.key\n"
        "  pinhole hub --listen 203.0.113.10 --listen 203.0.113.11\n"
        "  pinhole hub --listen 203.0.113.10:5000 --second-port 6000\n"
        "  pinhole hub --listen 10.0.0.4 --advertise 203.0.113.10\n"
        "\n" COMMAND_EXIT_STATUS,
};

static gboolean add_listen(const char *word, PhHubConfig *config, GError **error)
{
    PhAddress address;

    if (!ph_address_parse(word, &address)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--listen %s: expected an address, or an address and a port", word);
        return FALSE;
    }
    if (config->n_hosts == G_N_ELEMENTS(config->hosts)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--listen %s: expected at most two addresses of a family", word);
        return FALSE;
    }
    if (address.port == 0)
        address.port = PH_HUB_PORT;
    if (config->ports[0] != 0 && config->ports[0] != address.port) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--listen %s: expected port %u, as before: all addresses have the same ports",
                    word, config->ports[0]);
        return FALSE;
    }
    config->ports[0] = address.port;
    address.port = 0;
    config->hosts[config->n_hosts++] = address;
    return TRUE;
}

static gboolean add_advertised(char **words, PhHubConfig *config, GError **error)
{
    for (size_t i = 0; words && words[i]; i++) {
        PhAddress address;

        if (!ph_address_parse(words[i], &address) || address.port != 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "--advertise %s: expected an address without a port", words[i]);
            return FALSE;
        }
        if (i >= config->n_hosts) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "--advertise %s: expected one for each --listen, and no more", words[i]);
            return FALSE;
        }
        config->advertised[i] = address;
    }
    return TRUE;
}

static gboolean choose_ports(int second, gboolean one_port, PhHubConfig *config, GError **error)
{
    if (one_port && second != 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--one-port: expected no --second-port with it");
        return FALSE;
    }
    if (one_port)
        return TRUE;
    if (second == 0) /* the port after the first one, as 3479 is after 3478 */
        second = config->ports[0] == G_MAXUINT16 ? config->ports[0] - 1 : config->ports[0] + 1;
    if (second < 1 || second > G_MAXUINT16 || second == config->ports[0]) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--second-port %d: expected another port, 1 to 65535", second);
        return FALSE;
    }
    config->ports[1] = (uint16_t)second;
    return TRUE;
}

static gboolean read_config(char **listen, int second, gboolean one_port, PhHubConfig *config,
                            GError **error)
{
    for (; listen && *listen; listen++) {
        if (!add_listen(*listen, config, error))
            return FALSE;
    }
    if (config->n_hosts == 0) {
        config->ports[0] = PH_HUB_PORT;
        config->n_hosts = ph_hub_find_hosts(config->hosts, error);
        if (one_port && config->n_hosts > 1)
            config->n_hosts = 1;
    }
    return config->n_hosts > 0 && choose_ports(second, one_port, config, error);
}

/* FALSE: nobody will ever know that it is. */
static gboolean say_ready(const PhHub *hub, const PhKey *key, Lines *lines)
{
    g_autoptr(GString) line = g_string_new("ready");
    PhAddress addresses[PH_HUB_ADDRESSES];
    size_t n = ph_hub_addresses(hub, addresses);
    char text[PH_ADDRESS_TEXT_MAX], key_text[PH_KEY_TEXT_MAX];

    for (size_t i = 0; i < n; i++)
        g_string_append_printf(line, " %s", ph_address_format(&addresses[i], text));
    if (key)
        g_string_append_printf(line, " key %s\n", ph_key_format(key, key_text));
    else
        g_string_append(line, " reflector-only\n");
    lines_write(lines, line->str);
    return lines->error == 0;
}

/* Who gave it one address knows, or wonders why it tells so little. */
static void say_what_is_missing(const PhHubConfig *config)
{
    char text[PH_ADDRESS_TEXT_MAX];

    for (size_t i = 0; config->ports[1] != 0 && i < config->n_hosts; i++) {
        bool alone = true;

        for (size_t k = 0; k < config->n_hosts; k++)
            alone = alone && (k == i || config->hosts[k].family != config->hosts[i].family);
        if (alone)
            fprintf(stderr,
                    "pinhole: %s is alone: without a second address of its kind (--listen) the "
                    "class of most NATs cannot be told\n",
                    ph_address_format(&config->hosts[i], text));
    }
}

static gboolean end(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_CONTINUE;
}

typedef struct Serving {
    const PhHub *hub;
    const PhKey *key;
    Control *control;
    gint64 started_us;
    Lines lines;
} Serving;

static gboolean show_metrics(gpointer data)
{
    Serving *serving = data;

    metrics_show(serving->hub, serving->started_us, &serving->lines);
    return G_SOURCE_CONTINUE;
}

static void show_state(JsonBuilder *builder, gpointer data)
{
    const Serving *serving = data;

    state_show_hub(builder, serving->hub, serving->key);
}

static void show_who(JsonBuilder *builder, const char *name, const char *key_name, const char *text,
                     const uint8_t *key)
{
    show_string(builder, name, *text ? text : NULL);
    state_show_key(builder, key_name, key);
}

static void show_event(const PhStationEvent *event, gpointer data)
{
    static const char *const names[] = {
        [PH_STATION_INTRODUCED] = "introduced",
        [PH_STATION_NOT_INTRODUCED] = "not-introduced",
        [PH_STATION_HINT] = "hint",
    };
    Serving *serving = data;
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    show_head(builder, names[event->kind]);
    show_who(builder, "peer", "key", event->name, event->key);
    if (event->kind != PH_STATION_HINT) {
        show_who(builder, "to", "to-key", event->peer, event->peer_key);
        show_int(builder, "attempt", event->attempt);
    }
    show_int(builder, "times", event->times);
    if (event->reason) {
        show_string(builder, "reason", event->reason);
        show_string(builder, "sentence", event->sentence);
    }
    json_builder_end_object(builder);
    text = show_to_text(builder, /* pretty= */ FALSE);
    lines_write(&serving->lines, text);
}

static void serving_clear(Serving *serving)
{
    control_free(serving->control);
    lines_clear(&serving->lines);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Serving, serving_clear)

/* "::1:3478" is an address, though not the one that was meant. NULL: there is none like that. */
static const char *find_without_brackets(char **listen)
{
    for (; listen && *listen; listen++) {
        const char *colon = strrchr(*listen, ':');
        g_autofree char *host = colon ? g_strndup(*listen, (size_t)(colon - *listen)) : NULL;
        PhAddress address;

        if (host && ph_address_parse(host, &address) && address.family == PH_FAMILY_IPV6 &&
            **listen != '[')
            return *listen;
    }
    return NULL;
}

static int fail_to_start(char **listen, const GError *error)
{
    const char *word = find_without_brackets(listen);

    if (!word)
        return command_fail_error(error);
    return command_fail(EXIT_FAILURE,
                        "%s (--listen %s is an address without a port: with one it "
                        "has brackets, as [::1]:3478)",
                        error->message, word);
}

static int serve(const PhHubConfig *config, char **listen, uint64_t metrics_ns, gboolean log,
                 const ControlOptions *options)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    g_autoptr(PhHub) hub = ph_hub_new(NULL, config, &error);
    g_auto(Serving)
        serving = {.hub = hub, .key = config->key, .started_us = g_get_monotonic_time()};
    int status;

    if (!hub)
        return fail_to_start(listen, error);
    serving.control = control_open(options, "hub", "hub", show_state, &serving, &status);
    if (status != EXIT_SUCCESS)
        return status;
    g_unix_signal_add(SIGINT, end, loop);
    g_unix_signal_add(SIGTERM, end, loop);
    g_unix_signal_add(SIGUSR1, show_metrics, &serving);
    if (metrics_ns)
        g_timeout_add((guint)(metrics_ns / NS_PER_MS), show_metrics, &serving);
    if (!say_ready(hub, config->key, &serving.lines))
        return command_fail_output(EXIT_FAILURE, serving.lines.error);
    if (log)
        ph_hub_set_event(hub, show_event, &serving);
    say_what_is_missing(config);
    g_main_loop_run(loop);
    if (metrics_ns)
        show_metrics(&serving);
    /* A reader who was not there all the time is no failure. */
    if (serving.lines.error)
        return command_fail_output(EXIT_FAILURE, serving.lines.error);
    return EXIT_SUCCESS;
}

int command_hub(int argc, char **argv)
{
    g_auto(GStrv) listen = NULL, advertise = NULL, arguments = NULL;
    g_autofree char *metrics = NULL, *key_file = NULL;
    uint64_t metrics_ns = 0;
    gboolean one_port = FALSE, log = FALSE;
    int second = 0, status;
    gint64 relay_rate = -1;
    PhHubConfig config = {0};
    PhKey key;
    GOptionEntry entries[10 + CONTROL_ENTRIES] = {
        {"listen", 'l', 0, G_OPTION_ARG_STRING_ARRAY, &listen,
         "Serve on this address; may be given again", "ADDR[:PORT]"},
        {"second-port", 0, 0, G_OPTION_ARG_INT, &second,
         "Each address's other port (default: the next one, 3479)", "PORT"},
        {"one-port", 0, 0, G_OPTION_ARG_NONE, &one_port,
         "Serve one address on its first port alone: enough for reflex", NULL},
        {"advertise", 'a', 0, G_OPTION_ARG_STRING_ARRAY, &advertise,
         "Clients reach the --listen address at this one; may be given again", "ADDR"},
        {"key", 'k', 0, G_OPTION_ARG_FILENAME, &key_file,
         "Serve nodes, too, as who has this secret key", "FILE"},
        {"relay-rate", 0, 0, G_OPTION_ARG_INT64, &relay_rate,
         "Relay so many bytes a second for one node; 0: no limit", "BYTES"},
        {"no-gso", 0, 0, G_OPTION_ARG_NONE, &config.no_gso,
         "Never give the system several datagrams in one piece, nor take them so", NULL},
        {"metrics", 'm', 0, G_OPTION_ARG_STRING, &metrics,
         "Write the counters every so often, and at the end", "DURATION"},
        {"log", 0, 0, G_OPTION_ARG_NONE, &log,
         "Write a line of JSON for each introduction, and for what is refused", NULL},
    };
    g_autoptr(GError) error = NULL;
    g_auto(ControlOptions) control = {0};

    control_entries(&control, entries + 9);
    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments)
        return command_fail(EXIT_ARGUMENTS, "hub takes no arguments (see pinhole hub --help)");
    if (!read_config(listen, second, one_port, &config, &error) ||
        !add_advertised(advertise, &config, &error) ||
        (metrics && !command_duration("--metrics", metrics, &metrics_ns, &error)))
        return command_fail_error(error);
    if (relay_rate < -1 || relay_rate >= PH_HUB_RELAY_UNLIMITED)
        return command_fail(EXIT_ARGUMENTS, "--relay-rate: expected 0 to %u bytes a second",
                            PH_HUB_RELAY_UNLIMITED - 1);
    config.relay_bytes_per_s = relay_rate == 0    ? PH_HUB_RELAY_UNLIMITED
                               : relay_rate == -1 ? 0
                                                  : (uint32_t)relay_rate;
    if (key_file && !ph_key_load(key_file, &key, &error))
        return command_fail_error(error);
    config.key = key_file ? &key : NULL;
    status = serve(&config, listen, metrics_ns, log, &control);
    ph_key_wipe(&key);
    return status;
}
