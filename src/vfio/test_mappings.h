/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/test_mappings.h: for the unit tests of address spaces with very many mappings: how many, and
 * what they take. `make million` has a million.
 */
#ifndef VFIO_TEST_MAPPINGS_H
#define VFIO_TEST_MAPPINGS_H
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t test_mappings(void)
{
	const char *n = getenv("UVFIO_TEST_MAPPINGS");

	return n ? strtoull(n, NULL, 0) : 20000;
}

/* Return the processor time of this thread, in seconds: what else runs does not matter. */
static inline double test_processor_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
#endif
