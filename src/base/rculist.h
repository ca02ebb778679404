/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/rculist.h: liburcu's lists that are read under RCU: its macros alone, nothing of its library
 * (base/rcu.h).
 */
#ifndef BASE_RCULIST_H
#define BASE_RCULIST_H
#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE 1
#endif
#include <urcu/rculist.h>

#include "base/rcu.h"
#endif
