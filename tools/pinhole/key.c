/* SPDX-License-Identifier: MIT */
/* pinhole key: make and show key pairs. */
#include <pinhole/key.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const Command command = {
    .name = "key",
    .parameters = "new|show FILE",
    .summary =
        "Make and show key pairs.\n"
        "\n"
        "\"new\" makes an X25519 key pair and a FILE for its secret half, which nobody but its\n"
        "owner may read (mode 0600); a FILE that is there is left alone. \"show\" reads one, and\n"
        "refuses it when others may read it. Both print the public half, in base64.",
    .description = "Examples:\n"
                   "  pinhole key new my.key\n"
                   "  pinhole key show my.key\n"
                   "\n" COMMAND_EXIT_STATUS,
};

int command_key(int argc, char **argv)
{
    g_auto(GStrv) arguments = NULL;
    g_autoptr(GError) error = NULL;
    char text[PH_KEY_TEXT_MAX];
    gboolean is_new, ok;
    int status;
    PhKey key;

    if (!command_parse(&command, NULL, argc, argv, &arguments, &status))
        return status;
    if (g_strv_length(arguments) != 2)
        return command_fail(EXIT_ARGUMENTS,
                            "key takes new or show, and a file (see pinhole key --help)");
    is_new = strcmp(arguments[0], "new") == 0;
    if (!is_new && strcmp(arguments[0], "show") != 0)
        return command_fail(EXIT_ARGUMENTS, "there is no key %s (there are: new, show)",
                            arguments[0]);
    ok = is_new ? ph_key_create(arguments[1], &key, &error)
                : ph_key_load(arguments[1], &key, &error);
    if (!ok)
        return command_fail(EXIT_FAILURE, "%s", error->message);
    puts(ph_key_format(&key, text));
    ph_key_wipe(&key);
    return EXIT_SUCCESS;
}
