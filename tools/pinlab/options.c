/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pinlab/options.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "fabric/fabric.h"
#include "kernel/kernel.h"
#include "runner/runner.h"
#include "scenario/verdict.h"
#include "virtual/virtual.h"

#define JOBS_MAX      1024
#define REPEAT_MAX    1000000
#define TIMEOUT_MAX_S 86400

/* The first one is the default. */
static const PlEngine *const engines[] = {
    &pl_kernel_engine,
    &pl_virtual_engine,
    &pl_fabric_engine,
};

/* As they were typed. */
typedef struct Words {
    char *engine, *seed, *jobs, *shard, *repeat, *timeout;
} Words;

static void words_clear(Words *words)
{
    g_free(words->engine);
    g_free(words->seed);
    g_free(words->jobs);
    g_free(words->shard);
    g_free(words->repeat);
    g_free(words->timeout);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Words, words_clear)

void options_clear(Options *options)
{
    g_free(options->pcap);
    g_free(options->json);
    g_free(options->junit);
    g_free(options->pair);
    g_strfreev(options->arguments);
    *options = (Options){0};
}

static gboolean refuse(int *ret_status, const char *option, const char *word, const char *wanted)
{
    *ret_status = command_refuse("%s %s: expected %s", option, word, wanted);
    return FALSE;
}

gboolean options_engine(const char *word, const PlEngine **ret_engine, int *ret_status)
{
    if (!word) {
        *ret_engine = engines[0];
        return TRUE;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(engines); i++) {
        if (strcmp(engines[i]->name, word) == 0) {
            *ret_engine = engines[i];
            return TRUE;
        }
    }
    *ret_status =
        command_refuse("there is no engine %s (there are: kernel, virtual, fabric)", word);
    return FALSE;
}

static gboolean read_count(const char *option, const char *word, guint64 max, unsigned *ret_count,
                           int *ret_status)
{
    guint64 value;
    g_autofree char *wanted = g_strdup_printf("a number from 1 to %" G_GUINT64_FORMAT, max);

    if (!word)
        return TRUE;
    if (!g_ascii_string_to_unsigned(word, 10, 1, max, &value, NULL))
        return refuse(ret_status, option, word, wanted);
    *ret_count = (unsigned)value;
    return TRUE;
}

gboolean options_seed(const char *word, unsigned repeat, uint64_t *ret_seed, int *ret_status)
{
    guint64 max = PL_SEED_MAX - (repeat - 1), value;
    g_autofree char *wanted = g_strdup_printf("a number from 0 to %" G_GUINT64_FORMAT, max);
    uint32_t random;

    if (!word) {
        /* 32 bits are enough to be different each time, and can be copied by hand. */
        if (getrandom(&random, sizeof random, 0) != sizeof random)
            random = (uint32_t)g_get_real_time();
        *ret_seed = random;
        return TRUE;
    }
    if (!g_ascii_string_to_unsigned(word, 10, 0, max, &value, NULL))
        return refuse(ret_status, "--seed", word, wanted);
    *ret_seed = value;
    return TRUE;
}

static gboolean read_shard(const char *word, Options *options, int *ret_status)
{
    g_auto(GStrv) parts = NULL;
    guint64 shard, shards;

    if (!word)
        return TRUE;
    parts = g_strsplit(word, "/", -1);
    if (g_strv_length(parts) != 2 ||
        !g_ascii_string_to_unsigned(parts[1], 10, 1, G_MAXUINT, &shards, NULL) ||
        !g_ascii_string_to_unsigned(parts[0], 10, 1, shards, &shard, NULL))
        return refuse(ret_status, "--shard", word, "I/N with I from 1 to N, such as 2/3");
    options->shard = (unsigned)shard;
    options->shards = (unsigned)shards;
    return TRUE;
}

static gboolean read_timeout(const char *word, uint64_t *ret_timeout_ns, int *ret_status)
{
    char *end;
    double seconds;

    if (!word)
        return TRUE;
    /* Not what strtod knows besides: space, signs, exponents, hexadecimal, infinity. */
    seconds = g_ascii_strtod(word, &end);
    if (word[strspn(word, "0123456789.")] || *end ||
        !(seconds >= 0.001 && seconds <= TIMEOUT_MAX_S))
        return refuse(ret_status, "--timeout", word, "seconds, from 0.001 to 86400");
    *ret_timeout_ns = (uint64_t)(seconds * 1e9);
    return TRUE;
}

static gboolean check_path(const char *option, const char *path, const char *wanted,
                           int *ret_status)
{
    return !path || *path || refuse(ret_status, option, "''", wanted);
}

static gboolean check_names(const Options *options, int *ret_status)
{
    if (!options->names || options->engine->netns)
        return TRUE;
    *ret_status =
        command_refuse("--names: engine %s has no namespaces to name", options->engine->name);
    return FALSE;
}

static gboolean read_words(Options *options, const Words *words, int *ret_status)
{
    return options_engine(words->engine, &options->engine, ret_status) &&
           check_names(options, ret_status) &&
           read_count("--jobs", words->jobs, JOBS_MAX, &options->jobs, ret_status) &&
           read_count("--repeat", words->repeat, REPEAT_MAX, &options->repeat, ret_status) &&
           options_seed(words->seed, options->repeat, &options->seed, ret_status) &&
           read_shard(words->shard, options, ret_status) &&
           read_timeout(words->timeout, &options->timeout_ns, ret_status) &&
           check_path("--pcap", options->pcap, "a directory", ret_status) &&
           check_path("--json", options->json, "a file, or -", ret_status) &&
           check_path("--junit", options->junit, "a file, or -", ret_status);
}

gboolean options_parse(Options *options, const Command *command, gboolean sharded, int argc,
                       char **argv, int *ret_status)
{
    g_auto(Words) words = {0};
    const GOptionEntry shard = {"shard",
                                0,
                                0,
                                G_OPTION_ARG_STRING,
                                &words.shard,
                                "Run only every N-th topology, from the I-th on",
                                "I/N"};
    const GOptionEntry names = {"names",
                                0,
                                0,
                                G_OPTION_ARG_NONE,
                                &options->names,
                                "Give namespaces names for `ip netns exec` while the lab stands: "
                                "TOPOLOGY.NODE (root only)",
                                NULL};
    const GOptionEntry pair = {"pair",
                               0,
                               0,
                               G_OPTION_ARG_STRING,
                               &options->pair,
                               "Run two nodes behind these kinds of NATs, in the place of a "
                               "topology",
                               "KIND,KIND"};
    const GOptionEntry pairs = {"pairs",
                                0,
                                0,
                                G_OPTION_ARG_NONE,
                                &options->pairs,
                                "Run two nodes behind every kind of NAT against every kind, or "
                                "each of those that are named",
                                NULL};
    const GOptionEntry entries[] = {
        {"engine", 'e', 0, G_OPTION_ARG_STRING, &words.engine,
         "What builds the lab: kernel (default), fabric or virtual", "ENGINE"},
        {"seed", 's', 0, G_OPTION_ARG_STRING, &words.seed,
         "Make everything random follow from N (default: another one each time)", "N"},
        {"repeat", 'r', 0, G_OPTION_ARG_STRING, &words.repeat,
         "Run N times, with the seeds S, S+1, ...; verdicts that differ fail", "N"},
        {"jobs", 'j', 0, G_OPTION_ARG_STRING, &words.jobs,
         "Run N labs at a time (default: 4 for each processor, and 24 of those that mostly wait)",
         "N"},
        {"timeout", 't', 0, G_OPTION_ARG_STRING, &words.timeout,
         "Kill a lab after so many seconds, and count it as failed (default: 60, and 1 for "
         "each host and NAT)",
         "SECONDS"},
        {"pcap", 'p', 0, G_OPTION_ARG_FILENAME, &options->pcap,
         "Keep each lab's recording as DIR/TOPOLOGY.pcapng (with --repeat: "
         "DIR/TOPOLOGY-N.pcapng), and its nodes' as DIR/TOPOLOGY.HOST.pcapng",
         "DIR"},
        {"json", 0, 0, G_OPTION_ARG_FILENAME, &options->json,
         "Write the verdict as JSON; to standard output, and nothing else, with -", "FILE"},
        {"junit", 0, 0, G_OPTION_ARG_FILENAME, &options->junit,
         "Write the verdict as JUnit XML; to standard output, and nothing else, with -", "FILE"},
        {"no-skip", 0, 0, G_OPTION_ARG_NONE, &options->no_skip,
         "Count what cannot be done on this machine as failed", NULL},
        sharded ? shard : names,
        sharded ? pairs : pair,
        {0},
    };

    options->shard = options->shards = options->repeat = 1;
    return command_parse(command, entries, argc, argv, &options->arguments, ret_status) &&
           read_words(options, &words, ret_status);
}
