/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/shared.h: what the processes of a run write and `uvfio run` reads: a file in the run
 * directory that all of them map. No writer waits for another one or for the reader.
 *
 * A ring is of a thread, or of several when there are more of them than rings: whoever writes moves
 * the head (an atomic exchange), fills what it got, and sets the record's first word last. The
 * reader takes records up to the first that is not whole, zeroes them, and moves the tail. So a
 * process that is killed leaves what it wrote; one that is killed while it writes a record leaves a
 * hole, behind which the reader looks when all are gone.
 */
#ifndef TRACE_SHARED_H
#define TRACE_SHARED_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "trace/format.h"

#define TRACE_SHARED_MAGIC 0x7576666974723031ull /* "uvfitr01" */
#define TRACE_THREADS	   2048u
#define TRACE_DEVICES	   256u
#define TRACE_REGISTERS	   4096u
#define TRACE_RINGS	   64u

/* An entry of a table is its writer's, then everybody's to read for good. */
enum { TRACE_FREE, TRACE_WRITING, TRACE_READY };
struct trace_thread {
	atomic_uint state;
	struct trace_thread_data d;
};
struct trace_device {
	atomic_uint state;
	struct trace_device_data d;
};

struct trace_ring {
	_Alignas(64) atomic_ullong head;
	_Alignas(64) atomic_ullong tail; /* the reader's */
};

struct trace_shared {
	uint64_t magic, size;
	/* set by `uvfio run` before the program starts */
	uint32_t tsc, of_dma;
	uint64_t ring_size; /* bytes, a power of two */
	/* ---- */
	atomic_uint closed; /* nobody reads any more */
	atomic_uint wake;   /* a futex: goes up when a ring is half full */
	atomic_uint next_ring;
	atomic_uint num_threads, num_devices, num_registers;
	atomic_ullong dropped;
	struct trace_thread thread[TRACE_THREADS];
	struct trace_device device[TRACE_DEVICES];
	struct trace_register reg[TRACE_REGISTERS];
	struct trace_ring ring[TRACE_RINGS];
	_Alignas(64) uint8_t memory[]; /* of the rings */
};
#endif
