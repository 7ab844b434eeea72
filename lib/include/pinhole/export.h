/* SPDX-License-Identifier: MIT */
#pragma once

#define PH_EXPORT __attribute__((visibility("default")))
