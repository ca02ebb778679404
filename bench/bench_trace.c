/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_trace.c: what an event costs, while no trace is written and while one is, beside a
 * look at the clock. The rings are emptied between the repetitions, as `uvfio run` does it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/event.h"
#include "bench.h"
#include "trace/shared.h"
#include "trace/trace.h"

#define RING (1u << 20)

static struct trace_shared *shared;

static void clock_look(void *arg, uint64_t n)
{
	struct timespec t;

	for (uint64_t i = 0; i < n; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		bench_use(t.tv_nsec);
	}
}

static void access(void *arg, uint64_t n)
{
	uint32_t value = 1;

	for (uint64_t i = 0; i < n; i++)
		EVENT(EVENT_ACCESS, .who = "0000:01:00.0", .at = i, .size = 4, .data = &value,
		      .write = true, .what = true);
}

static void begin(void)
{
	if (trace_start_with(shared))
		bench_die("trace_start_with", 22);
}

static void traced(void *arg, uint64_t n)
{
	begin();
	access(arg, n);
	trace_stop();
	for (unsigned i = 0; i < TRACE_RINGS; i++)
		atomic_store(&shared->ring[i].tail, atomic_load(&shared->ring[i].head));
}

int main(void)
{
	size_t size = sizeof(*shared) + (size_t)TRACE_RINGS * RING;
	struct bench b = { .n = 0 };
	int f;

	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bench_die("mmap", 12);
	shared->magic = TRACE_SHARED_MAGIC;
	shared->size = size;
	shared->ring_size = RING;
	shared->tsc = 1;
	shared->of_dma = 16;
	f = bench_floor(&b, "clock_gettime", clock_look, NULL, 1u << 13);
	bench_add(&b, "an event, without a trace", access, NULL, 1u << 13, f, 0.2, 0);
	bench_add(&b, "an event, with a trace", traced, NULL, 1u << 13, f, 0, 60);
	bench_run(&b);
	if (atomic_load(&shared->dropped))
		bench_die("events were dropped", 28);
	return 0;
}
