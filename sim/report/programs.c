/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the hosts' programs said before a run failed. */
#include "report/programs.h"

#include <string.h>

#define OUTPUT_LINES 10
/* The class, all axes and why they are unknown. */
#define CLASSIFICATION_LINES 20

static gboolean is_classification(const PlSubject *subject)
{
    return subject->claimed.value[PL_AXIS_CLASS] || subject->claimed.why[PL_AXIS_CLASS];
}

static void put_program(const PlText *text, const PlSubject *subject)
{
    gboolean silent = !subject->output || !*subject->output, head = is_classification(subject);
    g_autofree char *status = NULL;

    if (subject->exit_status < 0)
        status = g_strdup("still running at the end");
    else
        status = g_strdup_printf("ended with status %d", subject->exit_status);
    fprintf(text->out, "\nprogram of %s: %s%s\n", subject->name, status,
            silent ? ", without output"
            : head ? "; it said:"
                   : "; its last lines:");
    if (silent)
        return;
    if (head)
        pl_text_head(text, "  | ", subject->output, CLASSIFICATION_LINES);
    else
        pl_text_tail(text, "  | ", subject->output, OUTPUT_LINES);
}

static gboolean is_of_name(char c)
{
    return g_ascii_islower(c) || g_ascii_isdigit(c) || c == '-';
}

/* As a whole word. */
static gboolean names(const char *reason, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = strstr(reason, name); at; at = strstr(at + 1, name))
        if ((at == reason || !is_of_name(at[-1])) && !is_of_name(at[length]))
            return TRUE;
    return FALSE;
}

static gboolean is_named(const PlVerdict *verdict, const PlSubject *subject)
{
    for (guint i = 0; i < verdict->reasons->len; i++)
        if (names(g_ptr_array_index(verdict->reasons, i), subject->name))
            return TRUE;
    return FALSE;
}

static void put_those(const PlText *text, const PlVerdict *verdict, gboolean all)
{
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        if (subject->has_program && (all || subject->exit_status > 0 || is_named(verdict, subject)))
            put_program(text, subject);
    }
}

void pl_programs_put(const PlText *text, const PlVerdict *verdict)
{
    put_those(text, verdict, /* all= */ TRUE);
}

void pl_programs_put_failed(const PlText *text, const PlVerdict *verdict)
{
    gboolean named = FALSE;

    for (guint i = 0; i < verdict->subjects->len && !named; i++)
        named = is_named(verdict, g_ptr_array_index(verdict->subjects, i));
    put_those(text, verdict, /* all= */ !named);
}
