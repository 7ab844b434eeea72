/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab down: the end of a lab. */
#include <stdlib.h>

#include "machine/names.h"
#include "pinlab/command.h"
#include "session/client.h"
#include "session/registry.h"

static const Command command = {
    .name = "down",
    .parameters = "LAB... | --all",
    .summary = "Take labs down.\n"
               "\n"
               "Recordings are brought to their end, everything else that runs in them is\n"
               "killed. Returns when they are gone.",
    .description = "Examples:\n"
                   "  pinlab down cgn\n"
                   "  pinlab down --all\n",
};

static int take_down(char *const *names, gboolean all)
{
    int status = EXIT_SUCCESS;

    for (; *names; names++) {
        g_autoptr(GError) error = NULL;

        /* Of all, one that went by itself meanwhile is as good. */
        if (!pl_client_down(*names, &error) && !all) {
            command_refuse("%s", error->message);
            status = command_status(error);
        }
    }
    return status;
}

int command_down(int argc, char **argv)
{
    gboolean all = FALSE;
    const GOptionEntry entries[] = {
        {"all", 'a', 0, G_OPTION_ARG_NONE, &all, "Take down all labs of this user", NULL},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (all == (*arguments != NULL))
        return command_refuse("down takes either labs or --all (see pinlab down --help)");
    pl_names_sweep();
    if (!all)
        return take_down(arguments, FALSE);
    names = pl_registry_list(&error);
    if (!names)
        return command_refuse("%s", error->message);
    g_ptr_array_add(names, NULL);
    return take_down((char *const *)names->pdata, TRUE);
}
