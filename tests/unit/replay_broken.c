/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replays a recording with a core in which one line is another one, and says what comes of it. */
#include <glib.h>
#include <pinhole/replay.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    PhReplay *replay = ph_replay_new();
    const PhReplayResult *result;
    g_autofree char *bytes = NULL;
    PhReplayStep step;
    gsize length, at = 0;

    if (argc != 2 || !g_file_get_contents(argv[1], &bytes, &length, NULL))
        return EXIT_FAILURE;
    for (ph_replay_step(replay, &step); step.kind != PH_REPLAY_OVER;
         ph_replay_step(replay, &step)) {
        if (step.kind != PH_REPLAY_MORE)
            continue;
        if (at == length)
            ph_replay_end(replay);
        at += ph_replay_feed(replay, (const uint8_t *)bytes + at, length - at);
    }
    result = ph_replay_result(replay);
    printf("%s %" G_GUINT64_FORMAT " %s\n# expected %s\n# got      %s\n",
           ph_replay_verdict_name(result->verdict), result->number, result->input, result->expected,
           result->got);
    ph_replay_free(replay);
    return EXIT_SUCCESS;
}
