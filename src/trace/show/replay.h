/* SPDX-License-Identifier: BSD-3-Clause */
/* trace/show/replay.h: the accesses of a trace, made on a device again. */
#ifndef TRACE_SHOW_REPLAY_H
#define TRACE_SHOW_REPLAY_H
#include <stdint.h>
#include <stdio.h>

#include "uvfio/uvfio.h"
#include "trace/show/show.h"

struct trace_replay {
	uint64_t accesses, dma, interrupts; /* that were compared, or made */
	uint64_t differences;
	uint64_t cut; /* DMA reads whose bytes are not all in the trace */
};
/*
 * Make the accesses of device @of of the log (NULL: the first that has any) on @dev of @u, and
 * write each difference to @out. 0; -ENODEV: the log has no such device; -ENOMEM.
 */
int trace_replay(FILE *out, const struct trace_log *log, const char *of, struct uvfio *u,
		 struct uvfio_device *dev, struct trace_replay *result);
#endif
