/* SPDX-License-Identifier: BSD-3-Clause */
/* base/event.c: who listens. */
#include "base/event.h"

_Atomic(event_fn *) event_listener;
