/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab replay: does the same core do the same again? */
#include <errno.h>
#include <json-glib/json-glib.h>
#include <limits.h>
#include <pinhole/replay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinlab/command.h"
#include "topology/units.h"

#define PIECE 65536

static const Command command = {
    .name = "replay",
    .parameters = "FILE",
    .summary = "Replay a node's recording, and say where it differs.\n"
               "\n"
               "FILE is one of pinhole node --record, or of a lab's node (run --pcap). The same\n"
               "core is given the same again; what it sends, tells and waits for must be the\n"
               "same, too. With secrets that is so to the byte, else for what was decided. If it\n"
               "is not, the first input is named after which it is not: its number, time and\n"
               "kind, what was expected and what came instead.",
    .description = "Examples:\n"
                   "  pinlab replay alice.pcapng\n"
                   "  pinlab replay alice.pcapng --events | less\n"
                   "\n"
                   "Exit status:\n"
                   "  0                      The same, to the end of what there is\n"
                   "  1                      It differs, or the recording has a gap, or standard\n"
                   "                         output cannot be written\n"
                   "  2                      It is no recording, or an argument is wrong\n",
};

typedef struct Replaying {
    const char *path; /* as it is shown */
    gboolean json, events;
    uint64_t begin_ns; /* of the first input */
} Replaying;

static const char *const step_names[] = {
    [PH_REPLAY_MORE] = "more",         [PH_REPLAY_INPUT] = "input", [PH_REPLAY_SOCKET] = "socket",
    [PH_REPLAY_TRANSMIT] = "transmit", [PH_REPLAY_EVENT] = "event", [PH_REPLAY_OVER] = "over",
};

static double seconds(const Replaying *replaying, uint64_t time_ns)
{
    return ((double)time_ns - (double)replaying->begin_ns) / 1e9;
}

static char *wall_clock(uint64_t wall_ns)
{
    g_autoptr(GDateTime) time =
        g_date_time_new_from_unix_utc((gint64)(wall_ns / G_GUINT64_CONSTANT(1000000000)));
    g_autofree char *text = time ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S") : NULL;

    return text ? g_strdup_printf("%s.%09" G_GUINT64_FORMAT "Z", text,
                                  wall_ns % G_GUINT64_CONSTANT(1000000000))
                : g_strdup("-");
}

static void set_int(JsonObject *object, const char *name, uint64_t value)
{
    json_object_set_int_member(object, name, (gint64)MIN(value, (uint64_t)G_MAXINT64));
}

static void set_text(JsonObject *object, const char *name, const char *text)
{
    if (text && *text)
        json_object_set_string_member(object, name, text);
}

static void print_line(JsonObject *object)
{
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *line = NULL;

    json_node_take_object(root, object);
    line = json_to_string(root, FALSE);
    printf("%s\n", line);
}

static void set_input(JsonObject *object, uint64_t number, const char *input, uint64_t time_ns,
                      uint64_t wall_ns, const Replaying *replaying)
{
    g_autofree char *wall = wall_clock(wall_ns);

    set_int(object, "number", number);
    set_text(object, "input", input);
    json_object_set_double_member(object, "time_s", seconds(replaying, time_ns));
    set_text(object, "wall", wall);
}

static void show_step(Replaying *replaying, const PhReplayStep *step)
{
    JsonObject *object;

    if (step->kind == PH_REPLAY_INPUT && step->number == 1)
        replaying->begin_ns = step->time_ns;
    if (!replaying->events)
        return;
    if (!replaying->json) {
        printf("%8" G_GUINT64_FORMAT "  %12.6f  %s%s\n", step->number,
               seconds(replaying, step->time_ns), step->kind == PH_REPLAY_INPUT ? "" : "  -> ",
               step->text);
        return;
    }
    object = json_object_new();
    set_text(object, "step", step_names[step->kind]);
    set_input(object, step->number, step->input, step->time_ns, step->wall_ns, replaying);
    set_text(object, "text", step->text);
    print_line(object);
}

/* ---- what came of it ---- */

static void show_json(const Replaying *replaying, const PhReplayResult *result)
{
    JsonObject *object = json_object_new();

    set_int(object, "schema", 1);
    set_text(object, "file", replaying->path);
    set_text(object, "verdict", ph_replay_verdict_name(result->verdict));
    json_object_set_boolean_member(object, "secrets", result->secrets);
    json_object_set_boolean_member(object, "cut", result->cut);
    set_int(object, "inputs", result->inputs);
    set_int(object, "transmits", result->transmits);
    set_int(object, "events", result->events);
    if (result->number > 0)
        set_input(object, result->number, result->input, result->time_ns, result->wall_ns,
                  replaying);
    set_text(object, "expected", result->expected);
    set_text(object, "got", result->got);
    if (result->verdict == PH_REPLAY_BAD) {
        set_text(object, "problem", result->problem);
        set_int(object, "block", result->block);
        set_int(object, "offset", result->offset);
    }
    print_line(object);
}

static void show_text(const Replaying *replaying, const PhReplayResult *result)
{
    g_autofree char *wall = wall_clock(result->wall_ns);

    switch (result->verdict) {
    case PH_REPLAY_SAME:
        printf("%s: same, %s: %" G_GUINT64_FORMAT " inputs in %.6f s, %" G_GUINT64_FORMAT
               " datagrams sent, %" G_GUINT64_FORMAT " events\n",
               replaying->path, result->secrets ? "to the byte" : "as to what was decided",
               result->inputs, seconds(replaying, result->time_ns), result->transmits,
               result->events);
        if (result->cut)
            printf("%s: its end is cut: who recorded was ended, or the disk was full\n",
                   replaying->path);
        break;
    case PH_REPLAY_DIFFERS:
        printf("%s: differs at input %" G_GUINT64_FORMAT " (%s) at %.6f s, %s\n"
               "  expected: %s\n  got:      %s\n",
               replaying->path, result->number, result->input, seconds(replaying, result->time_ns),
               wall, result->expected, result->got);
        break;
    case PH_REPLAY_GAP:
        printf("%s: same for %" G_GUINT64_FORMAT " inputs; then the recording has a gap: it was "
               "not taken from the node in time\n",
               replaying->path, result->inputs);
        break;
    case PH_REPLAY_BAD:
        break; /* as an error */
    }
}

static int conclude(const Replaying *replaying, const PhReplayResult *result)
{
    if (replaying->json)
        show_json(replaying, result);
    else
        show_text(replaying, result);
    if (result->verdict == PH_REPLAY_BAD)
        return command_refuse("%s: block %" G_GUINT64_FORMAT " at offset %" G_GUINT64_FORMAT ": %s",
                              replaying->path, result->block, result->offset, result->problem);
    return result->verdict == PH_REPLAY_SAME ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int replay_file(FILE *file, PhReplay *replay, Replaying *replaying)
{
    static uint8_t piece[PIECE];
    size_t length = 0, at = 0;
    PhReplayStep step;

    for (ph_replay_step(replay, &step); step.kind != PH_REPLAY_OVER;
         ph_replay_step(replay, &step)) {
        if (step.kind != PH_REPLAY_MORE) {
            show_step(replaying, &step);
            continue;
        }
        if (at == length) {
            length = fread(piece, 1, sizeof(piece), file);
            at = 0;
            if (length == 0 && ferror(file))
                return command_refuse("cannot read %s: %s", replaying->path, g_strerror(errno));
        }
        if (length == 0)
            ph_replay_end(replay);
        at += ph_replay_feed(replay, piece + at, length - at);
    }
    return conclude(replaying, ph_replay_result(replay));
}

int command_replay(int argc, char **argv)
{
    Replaying replaying = {0};
    const GOptionEntry entries[] = {
        {"json", 'j', 0, G_OPTION_ARG_NONE, &replaying.json,
         "Say it as a line of JSON; with --events one for each step before it", NULL},
        {"events", 'e', 0, G_OPTION_ARG_NONE, &replaying.events,
         "Show what the core is given, and what it sends and tells, as it goes", NULL},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    g_autofree char *shown = NULL;
    PhReplay *replay;
    FILE *file;
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (g_strv_length(arguments) != 1)
        return command_refuse("replay takes one recording (see pinlab replay --help)");
    shown = pl_printable(*arguments, PATH_MAX);
    replaying.path = shown;
    file = fopen(*arguments, "re");
    if (!file)
        return command_refuse("cannot read %s: %s", shown, g_strerror(errno));
    replay = ph_replay_new();
    g_assert(replay); /* as GLib does where there is no memory */
    status = replay_file(file, replay, &replaying);
    ph_replay_free(replay);
    fclose(file);
    return status;
}
