/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that `run` and `matrix` share. */
#pragma once

#include "pinlab/command.h"
#include "scenario/engine.h"

typedef struct Options {
    const PlEngine *engine;
    uint64_t seed;
    char *pcap, *json, *junit; /* paths, or NULL */
    unsigned jobs;             /* 0: as many as there is room for */
    unsigned shard, shards;    /* from 1; 1 of 1 without --shard */
    unsigned repeat;
    uint64_t timeout_ns;
    gboolean no_skip;
    gboolean names;   /* only `run` can have it */
    char *pair;       /* and this: two kinds of NAT, in a topology's place */
    gboolean pairs;   /* only `matrix` can: the arguments are kinds of NATs */
    char **arguments; /* what is no option */
} Options;

/* As command_parse. --shard is known only where `sharded`. */
gboolean options_parse(Options *options, const Command *command, gboolean sharded, int argc,
                       char **argv, int *ret_status);
/* The engine of that name; NULL: the usual one. FALSE when the command is to end with *ret_status.
 */
gboolean options_engine(const char *word, const PlEngine **ret_engine, int *ret_status);
/* The seed that was given, or a random one for NULL. The last of `repeat` runs has to have one,
   too. FALSE when the command is to end with *ret_status. */
gboolean options_seed(const char *word, unsigned repeat, uint64_t *ret_seed, int *ret_status);
void options_clear(Options *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)
