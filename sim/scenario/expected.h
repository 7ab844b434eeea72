/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run must find: theory, with the file's own expectations over it. */
#pragma once

#include "scenario/verdict.h"

/*
 * Fills `expected` of every subject. A host that nothing stands in front of is judged only if it
 * classifies itself, or the file expects something of it. Where the file contradicts theory on a
 * host's class (ports that collide, say), theory is silent on the axes that the class is made of.
 */
void pl_expected_fill(const PlTopology *topology, PlVerdict *verdict);

/* Whether a subject is to be probed at all. */
gboolean pl_expected_any(const PlSubject *subject);

/* Judges what steps changed: a NAT has its old address when it is certified, and its new one is on
 * the wire. Where the file expects an address, that is all. */
void pl_expected_addresses(const PlTopology *topology, PlVerdict *verdict);

/* Whether a classification that ended so has said something: 0 or, when the class is unknown, 3. */
gboolean pl_expected_classified(int exit_status);

/*
 * Judges how the programs went: exit status and output, as the file expects them. Without a word
 * from it, none may have failed: one whose `ready` is `exit` must have ended with status 0, and
 * others must if they ended at all, unless a step killed them. A classification has not failed when
 * it does not know: its claims are judged.
 */
void pl_expected_programs(const PlTopology *topology, PlVerdict *verdict);
