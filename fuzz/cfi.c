/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/cfi.c: any bytes as unwind tables and as stack: a step up ends, in bounded time, and reads
 * nothing but through the function that says what is there. The input is a header, entries and
 * code at one address; what is behind its first 256 bytes is the stack, too.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "check/cfi.h"
#include "fuzz.h"

#define TABLES 0x100000u
#define STEPS  8u
#define READS  100000u /* more than any bounded step needs */

static const uint8_t *input;
static size_t size;
static unsigned reads;

static bool read_input(void *arg, uint64_t addr, void *buf, size_t n)
{
	reads++;
	if (addr < TABLES || addr - TABLES > size || size - (addr - TABLES) < n)
		return false;
	memcpy(buf, input + (addr - TABLES), n);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct cfi_memory memory = { .read = read_input };
	struct cfi_regs regs = { .known = 0 };

	input = data;
	size = n;
	cfi_set(&regs, CFI_RSP, TABLES + 256, 0);
	cfi_set(&regs, CFI_RBP, TABLES + 320, 0);
	cfi_set(&regs, CFI_RIP, TABLES + 64, 0);
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t pc = regs.r[CFI_RIP];

		reads = 0;
		if (cfi_step(&memory, TABLES, pc, &regs) != CFI_DONE)
			break;
		REQUIRE(reads < READS, "%u reads in one step", reads);
		REQUIRE(regs.known >> CFI_RIP & 1, "a step without an address");
	}
	return 0;
}
