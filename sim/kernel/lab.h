/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a lab on the kernel engine consists of. Private to this room. */
#pragma once

#include "capture/recorder.h"
#include "kernel/nft.h"
#include "kernel/plan.h"
#include "machine/resident.h"
#include "scenario/engine.h"
#include "wiring/spaces.h"

/* What is kept of one node. */
typedef struct PlLabNode {
    const PlNode *node;
    PlResident *resident;
    PlNft *nft;       /* its rules are loaded with it; NULL: none ever were */
    GArray *external; /* PhAddress: those it has now, after the steps so far */
} PlLabNode;

struct PlLab {
    const PlTopology *topology;
    uint64_t seed;
    PlPlan *plan;
    PlSpaces *spaces;
    PlLabNode *nodes;
    PlRecorder *recorder;
    const PlNetwork *outside; /* where the presence outside has stayed after a probe, or NULL */
    uint64_t ready_ns;        /* when the last program got ready, or the lab was */
    /* Where the time to build it went: by kind of operation, and waiting for links. */
    uint64_t spent_ns[PL_OP_N], waited_ns;
};

/* The two namespaces for the lab's own presences come after the nodes'. */
#define PL_LAB_PRESENCES                 2
#define PL_LAB_SPACE_OF_PRESENCE(lab, i) (PL_SPACES_OF((lab)->topology) + (i))

/* CLOCK_MONOTONIC. */
uint64_t pl_lab_now(PlLab *lab);

/* NULL with error. */
PlMachine *pl_lab_machine(PlLab *lab, const PlNode *node, GError **error);

/* A NAT as new: its rules loaded again, its connections forgotten. */
gboolean pl_lab_reset_nat(PlLab *lab, const PlNode *nat, GError **error);

/* presence.c */
gboolean pl_lab_probe(PlLab *lab, const PlVantage *inside, const PlVantage *outside,
                      PlProber *prober, GError **error);
/* Nothing stays of presences. */
gboolean pl_lab_probed(PlLab *lab, GError **error);

/* steps.c */
gboolean pl_lab_step(PlLab *lab, const PlStep *step, GError **error);

/* refuse.c; pure. */
void pl_kernel_refuse(const PlTopology *topology, GPtrArray *reasons);
