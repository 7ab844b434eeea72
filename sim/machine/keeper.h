/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's keeper: the first process of the host's PID namespace. It starts the host's programs,
 * takes their output whatever the lab is doing, and buries what dies. Private to this room.
 */
#pragma once

#include "machine/program.h"

typedef enum {
    PL_KEEPER_START,    /* a PlProgramShare's descriptor goes with it, and those named below */
    PL_KEEPER_LISTEN,   /* the same, and it is no program but listen.h */
    PL_KEEPER_KILL,     /* the program's session */
    PL_KEEPER_KILL_ALL, /* everything on the host */
    PL_KEEPER_GUEST,    /* with PL_GUEST_FDS descriptors; see guest.h */
} PlKeeperRequestKind;

typedef struct PlKeeperRequest {
    PlKeeperRequestKind kind;
    unsigned id; /* of the program: chosen by the lab */
    /* What goes with START and LISTEN, in this order. */
    gboolean input; /* its standard input */
    gboolean given; /* what it has as PL_MACHINE_GIVEN */
} PlKeeperRequest;

/* One for each request, and one unasked when the host is ready. */
typedef struct PlKeeperReply {
    int failed;
    int code; /* PlErrorCode */
    char text[496];
} PlKeeperReply;

typedef struct PlKeeperHost {
    const char *name;
    const char *hosts;
    const char *keep;   /* absolute */
    char *const *shown; /* files, or NULL */
    int netns;
    int socket; /* SOCK_SEQPACKET: requests and replies */
    int event;  /* an eventfd that is written to when a program put something out or ended */
} PlKeeperHost;

/* The keeper's whole life; it closes every descriptor that is not of the host. */
G_NORETURN void pl_keeper_main(const PlKeeperHost *host);
