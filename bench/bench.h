/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench.h: measuring against a floor. A machine that others share has no steady speed, so a
 * number alone says little: each case stands beside the least that its work could cost (a bare
 * system call, an eventfd_write, a plain pread), both are run by turns, and what counts is the
 * ratio of the two in this run.
 */
#ifndef BENCH_H
#define BENCH_H
#include <stdbool.h>
#include <stdint.h>

#define BENCH_CASES 24
/*
 * Many and short (about a millisecond each): on a machine that does other work as well, most of
 * them are run through by one time slice.
 */
#define BENCH_REPS 101

/* Do the thing @n times. */
typedef void bench_fn(void *arg, uint64_t n);

struct bench_case {
	const char *name;
	bench_fn *fn;
	void *arg;
	uint64_t n;	  /* times in one repetition */
	int floor;	  /* the case to compare with, -1: it is one */
	double aim_ratio; /* at most this many times the floor; 0: no aim */
	double aim_ns;	  /* at most; 0: no aim */
	bool rare;	  /* a long one: every tenth repetition */
	int reps;
	double ns[BENCH_REPS];
};

struct bench {
	struct bench_case c[BENCH_CASES];
	int n;
};

/* The least: returns what others name as their floor. */
int bench_floor(struct bench *b, const char *name, bench_fn *fn, void *arg, uint64_t n);
void bench_add(struct bench *b, const char *name, bench_fn *fn, void *arg, uint64_t n, int floor,
	       double aim_ratio, double aim_ns);
/* The case added last is a long one. */
void bench_rare(struct bench *b);
/* Run all by turns and print a row for each. */
void bench_run(struct bench *b);
void bench_die(const char *what, int rc) __attribute__((noreturn));

/* Keep the compiler from leaving out what nobody reads. */
#define bench_use(v) __asm__ volatile("" ::"r"(v) : "memory")
#endif
