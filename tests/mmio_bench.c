/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/mmio_bench.c: what an emulated load and store cost, signal and all, against a bare SIGSEGV
 * whose handler only steps over the instruction. Nanoseconds, the best of 40 runs. Not part of the
 * tests.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include "base/guard.h"
#include "x86/emulate.h"

static uint8_t *page;
static uint32_t reg;
static unsigned skip; /* >0: the bare handler, for an instruction so long */

static int where(void *arg, uintptr_t addr, size_t len)
{
	return addr - (uintptr_t)page < 4096 && addr - (uintptr_t)page + len <= 4096;
}
static int bus_read(void *arg, uintptr_t addr, unsigned size, uint64_t *value)
{
	*value = reg;
	return 0;
}
static int bus_write(void *arg, uintptr_t addr, unsigned size, uint64_t value)
{
	reg = (uint32_t)value;
	return 0;
}
static const struct x86_bus bus = {.where = where, .read = bus_read, .write = bus_write};

static void on_segv(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	uintptr_t bad;

	if (skip) {
		uc->uc_mcontext.gregs[REG_RIP] += skip;
		return;
	}
	if (guard_fault(sig, info, uc) || x86_fault(sig, info, uc))
		return;
	if (x86_emulate(uc, &bus, &bad, NULL, 0))
		__builtin_trap();
}

static void do_read(void) /* 8b 07 */
{
	__asm__ volatile("movl (%0), %%eax" : : "D"(page) : "eax", "memory");
}
static void do_write(void) /* 89 07 */
{
	__asm__ volatile("movl %%eax, (%0)" : : "D"(page), "a"(5) : "memory");
}
static void do_add(void) /* stepping.c: 0f af 07 */
{
	__asm__ volatile("imull (%0), %%eax" : : "D"(page), "a"(5) : "memory");
}
static void do_vector(void) /* stepping.c: 66 0f fe 07 */
{
	__asm__ volatile("paddd (%0), %%xmm0" : : "D"(page) : "xmm0", "memory");
}

static double once(void (*fn)(void))
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned n = 0; n < 3000; n++)
		fn();
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / 3000;
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER};
	static const struct {
		const char *name;
		void (*fn)(void);
		unsigned skip;
	} rows[] = {
		{"bare SIGSEGV", do_read, 2},	   {"32-bit read", do_read, 0},
		{"32-bit write", do_write, 0},	   {"imul (stepped)", do_add, 0},
		{"paddd (stepped)", do_vector, 0},
	};
	enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
	double best[ROWS] = {0};

	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 1;
	sigaction(SIGSEGV, &sa, NULL);
	/* in turns, so that other load meets all of them */
	for (unsigned run = 0; run < 40; run++)
		for (unsigned i = 0; i < ROWS; i++) {
			double ns;

			skip = rows[i].skip;
			ns = once(rows[i].fn);
			if (!run || ns < best[i])
				best[i] = ns;
		}
	for (unsigned i = 0; i < ROWS; i++)
		printf("%-16s %6.0f ns, %.2f\n", rows[i].name, best[i], best[i] / best[0]);
	return 0;
}
