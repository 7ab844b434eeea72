/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the hosts' programs said before a run failed. */
#include "report/programs.h"

#define OUTPUT_LINES 10

static void put_program(const PlText *text, const PlSubject *subject)
{
    g_autofree char *status = NULL;

    if (subject->exit_status < 0)
        status = g_strdup("still running at the end");
    else
        status = g_strdup_printf("ended with status %d", subject->exit_status);
    fprintf(text->out, "\nprogram of %s: %s%s\n", subject->name, status,
            subject->output && *subject->output ? "; its last lines:" : ", without output");
    if (subject->output)
        pl_text_tail(text, "  | ", subject->output, OUTPUT_LINES);
}

void pl_programs_put(const PlText *text, const PlVerdict *verdict)
{
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        if (subject->has_program)
            put_program(text, subject);
    }
}
