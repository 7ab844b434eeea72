/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an engine does for a scenario. A scenario never learns which engine it runs on.
 */
#pragma once

#include "prober/prober.h"
#include "scenario/status.h"
#include "topology/topology.h"

typedef struct PlLab PlLab; /* a topology that stands; each engine has its own */

/* Where the prober stands: on a host's own addresses, or as the lab's presence on a network. */
typedef struct PlVantage {
    const PlNode *host; /* NULL: a presence */
    const PlNetwork
        *network; /* for a presence: with reserved[0..1] outside, reserved[2..3] inside */
} PlVantage;

/* How a program of a host went. */
typedef struct PlProgramResult {
    gboolean ended;
    int exit_status; /* 128 + signal when a signal ended it */
    char *output;    /* stdout and stderr together, as far as kept (the last MiB) */
} PlProgramResult;

/* An entry of a NAT's connection table. Ports are 0 where the protocol has none. */
typedef struct PlConnection {
    uint8_t protocol; /* as in the IP header */
    PhAddress inside, external, remote;
    gboolean from_outside; /* its first packet came from the remote end */
    gboolean replied, assured;
    uint32_t expires_s;
} PlConnection;

typedef struct PlEngine {
    const char *name;
    const char *description;
    gboolean sandboxed; /* the lab needs a sandbox (sim/machine) of its own, made before `up` */

    /* Appends (g_strdup'ed) a sentence for each thing in the topology that the engine cannot
       express, such as "engine kernel cannot express link alice delay". */
    void (*refuse)(const PlTopology *topology, GPtrArray *reasons);

    /* Builds it. PL_ERROR_UNSUPPORTED names what kernel or machine lacks. The topology is borrowed
     * until `down`. */
    PlLab *(*up)(const PlTopology *topology, uint64_t seed, GError **error);
    void (*down)(PlLab *lab);

    /* The network namespace of a node, which stays the lab's; NULL where nodes have none. */
    int (*netns)(PlLab *lab, const PlNode *node);

    /* The lab's clock: absolute nanoseconds that never go backwards. */
    uint64_t (*now)(PlLab *lab);
    /* The time of its captures, and of what programs put out: nanoseconds since 1970. */
    uint64_t (*wall)(PlLab *lab);

    /* Runs a prober to its end. Its sockets are there only meanwhile; presences may stay until
       `probed`, which may be NULL. `inside` and `outside` say where its two places are; the plan's
       addresses agree with them. */
    gboolean (*probe)(PlLab *lab, const PlVantage *inside, const PlVantage *outside,
                      PlProber *prober, GError **error);
    /* A series of probes is over, and the lab goes on: it is not called before `down`. */
    gboolean (*probed)(PlLab *lab, GError **error);

    /* Every NAT as new: rules loaded again, connections forgotten. */
    gboolean (*reset)(PlLab *lab, GError **error);

    /* Records pl_capture_points() as pcapng into fd, which stays the caller's. */
    gboolean (*record)(PlLab *lab, int fd, GError **error);
    gboolean (*record_stop)(PlLab *lab, GError **error);
    /* What a host's `node` is given and does is recorded into fd, which stays the caller's, with
     * secrets, from its next start on: that is whole when the lab is down. */
    void (*record_node)(PlLab *lab, const PlNode *host, int fd);

    /* SHA-256 over every packet that has passed an interface so far, with its time, to be freed; it
     * is begun before there are any. NULL where nothing can be repeated to the byte. */
    void (*digest_begin)(PlLab *lab);
    char *(*digest)(PlLab *lab);

    /* Starts a host's program and returns when it is ready, as the topology says. */
    gboolean (*start)(PlLab *lab, const PlNode *host, GError **error);
    /* Waits, for the program's time limit at most, until it has ended or, with `text`, has put out
     * a line with it. That it has not by then is no error. */
    gboolean (*await)(PlLab *lab, const PlNode *host, const char *text, GError **error);
    /* How a program that `start` was asked for went so far; of one that was started again, with the
     * output of all its runs. One that did not get ready may have left nothing: then an error. */
    gboolean (*result)(PlLab *lab, const PlNode *host, PlProgramResult *ret_result, GError **error);

    /* What a host's program that classifies, and has ended, says of the NATs before it: class,
     * external, mapping, filtering, port-allocation, pooling, hairpin and udp. What it does not
     * know is NULL with its reason. */
    gboolean (*claims)(PlLab *lab, const PlNode *host, PlFindings *ret_claims, GError **error);

    /* A line for the standard input of a host's `node`, which runs. */
    gboolean (*say)(PlLab *lab, const PlNode *host, const char *line, GError **error);
    /* What a host's `node` says of the path to the peer of this name, to be freed: "direct",
     * "punched", "relayed(HOST)" or "none(REASON)". NULL: it knows of no such peer. Final is one
     * that it will not look for a better one to replace, as the two NATs are. */
    char *(*path)(PlLab *lab, const PlNode *host, const char *peer, gboolean *ret_final);
    /* What a host's `node` says of itself. NULL: it has said nothing. */
    PlStatus *(*status)(PlLab *lab, const PlNode *host);
    /* Lets so much time pass. */
    gboolean (*pass)(PlLab *lab, uint64_t for_ns, GError **error);

    /* Waits until at_ns after the engine's clock stood at the last program's readiness, and does
     * the step. */
    gboolean (*step)(PlLab *lab, const PlStep *step, GError **error);

    /* ---- for people who work in a lab (sim/session); NULL where an engine has no such thing ----
     */

    /* A node as a small machine (sim/machine), which stays the lab's. */
    struct PlMachine *(*machine)(PlLab *lab, const PlNode *node, GError **error);
    /* What a NAT translates now: PlConnection. */
    GArray *(*connections)(PlLab *lab, const PlNode *nat, GError **error);
    /* The external addresses that a NAT has now, after the steps so far: PhAddress. */
    const GArray *(*external)(PlLab *lab, const PlNode *nat);
    /*
     * Records these attachments into fd until whoever has the other end of `connection` says stop
     * or goes away; the words are those of capture/record.h. In a process of its own, whose number
     * is returned; -1 with an error. All descriptors stay the caller's.
     */
    int (*tap)(PlLab *lab, const GPtrArray *attachments, int fd, int connection, GError **error);
} PlEngine;

/* A path as a word, to be freed; `detail` (by whom, or why not) may be NULL. */
char *pl_path_word(const char *kind, const char *detail);
/* Of one that a node has, for this reason: NULL is none. */
gboolean pl_path_is_final(const char *kind, const char *reason);
void pl_program_result_clear(PlProgramResult *result);
