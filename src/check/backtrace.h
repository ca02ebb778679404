/* SPDX-License-Identifier: BSD-3-Clause */
/* check/backtrace.h: the calls of the program that led to a place in it. */
#ifndef CHECK_BACKTRACE_H
#define CHECK_BACKTRACE_H
#include <stdint.h>

#include "base/call.h"

#define BACKTRACE_MAX 32u

struct backtrace {
	uint32_t n;
	/* a bit for each @pc that is an instruction; others are where a call returns to */
	uint32_t exact;
	uint64_t pc[BACKTRACE_MAX]; /* the innermost first */
};

/*
 * Fill in at most @max (up to BACKTRACE_MAX) places, from @from outwards: by unwind tables, and by
 * frame pointers where there are none. Any thread, also in a signal handler: no malloc, no lock,
 * and a stack that is broken ends the list.
 */
void backtrace_take(struct backtrace *b, const struct call_site *from, unsigned max);

/*
 * What the stack held where backtrace_take() read it. As long as that is so, it finds the same
 * places from the same registers: code and tables do not change while they are loaded.
 */
#define BACKTRACE_WORDS 128u
struct backtrace_words {
	uint32_t n;
	bool not_all; /* there was more */
	struct {
		uint64_t at, value;
	} word[BACKTRACE_WORDS];
};
/* backtrace_take(), which notes what it reads. */
void backtrace_take_noting(struct backtrace *b, const struct call_site *from, unsigned max,
			   struct backtrace_words *words);

/*
 * Return an address in the instruction that frame @i is at, by which its function and line are
 * looked up.
 */
static inline uint64_t backtrace_at(const struct backtrace *b, unsigned i)
{
	return b->exact >> i & 1 ? b->pc[i] : b->pc[i] - 1;
}
#endif
