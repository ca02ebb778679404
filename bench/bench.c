/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/bench.c: repetitions by turns, minimum and median. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

void bench_die(const char *what, int rc)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(rc < 0 ? -rc : rc));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static struct bench_case *add(struct bench *b, const char *name, bench_fn *fn, void *arg,
			      uint64_t n)
{
	struct bench_case *c;

	if (b->n == BENCH_CASES)
		bench_die(name, 28); /* ENOSPC */
	c = &b->c[b->n++];
	*c = (struct bench_case){ .name = name, .fn = fn, .arg = arg, .n = n, .floor = -1 };
	return c;
}

int bench_floor(struct bench *b, const char *name, bench_fn *fn, void *arg, uint64_t n)
{
	add(b, name, fn, arg, n);
	return b->n - 1;
}

void bench_add(struct bench *b, const char *name, bench_fn *fn, void *arg, uint64_t n, int floor,
	       double aim_ratio, double aim_ns)
{
	struct bench_case *c = add(b, name, fn, arg, n);

	c->floor = floor;
	c->aim_ratio = aim_ratio;
	c->aim_ns = aim_ns;
}

void bench_rare(struct bench *b)
{
	b->c[b->n - 1].rare = true;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_row(const struct bench *b, const struct bench_case *c)
{
	const struct bench_case *f = c->floor < 0 ? NULL : &b->c[c->floor];
	double ratio = f ? c->ns[0] / f->ns[0] : 1;
	char aim[64] = "";

	if (c->aim_ratio > 0)
		snprintf(aim, sizeof(aim), "<= %.*fx: %s", c->aim_ratio < 0.1 ? 2 : 1, c->aim_ratio,
			 ratio <= c->aim_ratio ? "met" : "MISSED");
	if (c->aim_ns > 0)
		snprintf(aim, sizeof(aim), "<= %.0f ns: %s", c->aim_ns,
			 c->ns[0] <= c->aim_ns ? "met" : "MISSED");
	if (f)
		printf("  %-58s %12.1f %12.1f %8.2fx  %s\n", c->name, c->ns[0], c->ns[c->reps / 2],
		       ratio, aim);
	else
		printf("- %-58s %12.1f %12.1f %9s\n", c->name, c->ns[0], c->ns[c->reps / 2],
		       "floor");
}

void bench_run(struct bench *b)
{
	for (int i = 0; i < b->n; i++)
		b->c[i].fn(b->c[i].arg, b->c[i].n / 16 + 1); /* warm up */
	for (int r = 0; r < BENCH_REPS; r++) {
		for (int i = 0; i < b->n; i++) {
			struct bench_case *c = &b->c[i];
			double start;

			if (c->rare && r % 10)
				continue;
			start = now();
			c->fn(c->arg, c->n);
			c->ns[c->reps++] = (now() - start) / (double)c->n;
		}
	}
	for (int i = 0; i < b->n; i++)
		qsort(b->c[i].ns, (size_t)b->c[i].reps, sizeof(double), by_value);
	/* each floor, and under it who is measured against it */
	for (int i = 0; i < b->n; i++) {
		if (b->c[i].floor >= 0)
			continue;
		print_row(b, &b->c[i]);
		for (int k = 0; k < b->n; k++)
			if (b->c[k].floor == i)
				print_row(b, &b->c[k]);
	}
	fflush(stdout);
}
