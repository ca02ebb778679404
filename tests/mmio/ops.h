/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/mmio/ops.h: between the code under test (ops.c, by many compilers) and what runs
 * it (main.c).
 */
#ifndef MMIO_CODEGEN_H
#define MMIO_CODEGEN_H
#include <stddef.h>
#include <stdint.h>

struct mmio_op {
	const char *name;
	/*
	 * Does something to @p, a page aligned area of 8 KiB; @x is a number the compiler does not
	 * know. Returns what it read.
	 */
	uint64_t (*run)(volatile void *p, uint64_t x);
	unsigned size;	      /* of each access; 0: the compiler's or the library's choice */
	const char *accesses; /* "r", "w", in order; NULL: not told */
};
extern const struct mmio_op mmio_ops[];
extern const size_t mmio_num_ops;
extern const char mmio_compiler[];
#endif
