/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rulesets are loaded and their errors told. */
#include "kernel/nft.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/features.h"
#include "kernel/rules.h"

struct PlNft {
    struct nft_ctx *context;
};

PlNft *pl_nft_new(GError **error)
{
    g_autoptr(PlNft) nft = g_new0(PlNft, 1);

    nft->context = nft_ctx_new(NFT_CTX_DEFAULT);
    if (!nft->context || nft_ctx_buffer_error(nft->context) != 0 ||
        nft_ctx_buffer_output(nft->context) != 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot set up libnftables");
        return NULL;
    }
    return g_steal_pointer(&nft);
}

void pl_nft_free(PlNft *nft)
{
    if (!nft)
        return;
    if (nft->context)
        nft_ctx_free(nft->context);
    g_free(nft);
}

static gboolean finish(PlNft *nft, int result, char **ret_message)
{
    /* Both buffers are emptied by being asked for. */
    (void)nft_ctx_get_output_buffer(nft->context);
    if (result != 0 && ret_message)
        *ret_message = g_strstrip(g_strdup(nft_ctx_get_error_buffer(nft->context)));
    else
        (void)nft_ctx_get_error_buffer(nft->context);
    return result == 0;
}

gboolean pl_nft_run(PlNft *nft, const char *text, char **ret_message)
{
    return finish(nft, nft_run_cmd_from_buffer(nft->context, text), ret_message);
}

static gboolean write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);

        if (n < 0 && errno != EINTR)
            return FALSE;
        if (n > 0) {
            text += n;
            left -= (size_t)n;
        }
    }
    return TRUE;
}

/*
 * A user's rules are read as a file, since nft says no line numbers of a buffer; and by a context
 * of their own, since one that read them before would call each `define` a redefinition.
 */
static gboolean run_as_file(const char *text, char **ret_message)
{
    g_autoptr(PlNft) nft = pl_nft_new(NULL);
    int fd = memfd_create("rules", MFD_CLOEXEC);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    gboolean done = FALSE;

    if (!nft || fd < 0 || !write_all(fd, text))
        *ret_message = g_strdup_printf("cannot hand over rules: %s", g_strerror(errno));
    else
        done = finish(nft, nft_run_cmd_from_filename(nft->context, path), ret_message);
    if (fd >= 0)
        close(fd);
    return done;
}

char *pl_nft_message(const char *message, const char *path, unsigned skipped)
{
    g_auto(GStrv) lines = g_strsplit(message, "\n", -1);
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; lines[i]; i++) {
        const char *error = strstr(lines[i], ": Error: ");
        const char *colon = strchr(lines[i], ':');
        unsigned long number;

        /* "/proc/self/fd/5:12:3-8: Error: what"; then the line itself, and marks under it. */
        if (!error || !colon || colon >= error)
            continue;
        number = strtoul(colon + 1, NULL, 10);
        g_string_append_printf(text, "%s%s:%lu: %s", text->len ? "; " : "", path,
                               number > skipped ? number - skipped : 1,
                               error + strlen(": Error: "));
    }
    if (text->len == 0)
        g_string_append_printf(text, "%s: nft: %s", path, message);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* What nft itself refuses it would refuse on every kernel. */
static gboolean is_of_the_kernel(const char *message)
{
    return strstr(message, "Error: Could not process rule: ") ||
           strstr(message, "cache initialization failed");
}

gboolean pl_nft_load(PlNft *nft, const PlNode *nat, const char *text, GError **error)
{
    g_autofree char *whole = g_strconcat("flush ruleset\n", text, NULL);
    g_autofree char *message = NULL, *told = NULL, *missing = NULL;

    if (nat->rules ? run_as_file(whole, &message) : pl_nft_run(nft, whole, &message))
        return TRUE;
    if (nat->rules)
        told = pl_nft_message(message, nat->rules, PL_RULES_DEFINES + 1);
    else
        told = g_strdup_printf("nat %s: nft: %s", nat->name, message);
    if (is_of_the_kernel(message))
        missing = pl_features_missing(text);
    if (missing)
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED, "this kernel has no %s: %s", missing,
                    told);
    else if (!nat->rules && strstr(message, g_strerror(EOPNOTSUPP)))
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED, "this kernel cannot do it: %s", told);
    else
        g_set_error(error, PL_ERROR, nat->rules ? PL_ERROR_INPUT : PL_ERROR_FAILED, "%s", told);
    return FALSE;
}
