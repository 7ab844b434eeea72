/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine `fabric`: every host a network namespace with a TUN device for each of its networks;
 * behind these, one process runs the model's world in real time. Programs cannot tell.
 */
#pragma once

#include "scenario/engine.h"

extern const PlEngine pl_fabric_engine;
