/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/cfi_test.c: tables that are written by hand, for what no compiler here writes, and any
 * bytes: fuzz/cfi.c has more of these.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/util.h"
#include "check/cfi.h"

/* Memory of the tests: tables at TABLES, a stack at STACK. */
#define TABLES 0x10000u
#define STACK  0x20000u
#define CODE   0x30000u
static uint8_t tables[512];
static uint64_t stack[64];
static unsigned used;

static bool read_test(void *arg, uint64_t addr, void *buf, size_t n)
{
	if (addr >= TABLES && addr - TABLES <= sizeof(tables) - n)
		memcpy(buf, tables + (addr - TABLES), n);
	else if (addr >= STACK && addr - STACK <= sizeof(stack) - n)
		memcpy(buf, (uint8_t *)stack + (addr - STACK), n);
	else
		return false;
	return true;
}

static const struct cfi_memory memory = { read_test, NULL, NULL };

static void put(unsigned bytes, uint64_t v)
{
	memcpy(tables + used, &v, bytes);
	used += bytes;
}

/*
 * Write a header with one entry, whose function is [CODE, CODE + 0x100). The CIE says CFA = RSP + 8
 * and that the return address is below; @own are the entry's instructions.
 */
static void write_tables(const char *augmentation, const uint8_t *own, unsigned len)
{
	unsigned cie, fde, at;

	memset(tables, 0, sizeof(tables));
	used = 0;
	put(4, 0x3b031b01); /* version 1; pcrel sdata4, udata4, datarel sdata4 */
	put(4, 20 - 4);
	put(4, 1);
	put(4, CODE - TABLES);
	put(4, 0);
	/* the CIE */
	cie = used;
	put(4, 0);
	put(4, 0);
	put(1, 1);
	memcpy(tables + used, augmentation, strlen(augmentation) + 1);
	used += (unsigned)strlen(augmentation) + 1;
	put(1, 1);
	put(1, 0x78); /* -8 */
	put(1, 16);
	put(1, 1);
	put(1, 0x1b);	  /* pcrel sdata4 */
	put(3, 0x08070c); /* def_cfa rsp, 8 */
	put(2, 0x0190);	  /* offset(16), 1 */
	memcpy(tables + cie, &(uint32_t){ used - cie - 4 }, 4);
	/* the FDE */
	fde = used;
	put(4, 0);
	put(4, used - cie);
	at = used;
	put(4, CODE - (TABLES + at));
	put(4, 0x100);
	put(1, 0);
	memcpy(tables + used, own, len);
	used += len;
	memcpy(tables + fde, &(uint32_t){ used - fde - 4 }, 4);
	memcpy(tables + 16, &fde, 4);
}

static enum cfi_result step(uint64_t pc, struct cfi_regs *regs)
{
	*regs = (struct cfi_regs){ .known = 0 };
	cfi_set(regs, CFI_RSP, STACK, 0);
	cfi_set(regs, CFI_RBP, STACK + 64, 0);
	cfi_set(regs, CFI_RIP, pc, 0);
	return cfi_step(&memory, TABLES, pc, regs);
}

#define TABLE(...)                                            \
	do {                                                  \
		static const uint8_t own[] = { __VA_ARGS__ }; \
		write_tables("zR", own, sizeof(own));         \
	} while (0)

static int setup(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(stack); i++)
		stack[i] = 0x1000 + i;
	return 0;
}

static void test_rows(void **state)
{
	struct cfi_regs r;

	/* advance 4; def_cfa_offset 16; offset rbp, 2; advance 4; def_cfa_register rbp */
	TABLE(0x44, 0x0e, 16, 0x86, 2, 0x44, 0x0d, 6);
	assert_int_equal(step(CODE, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RIP], 0x1000);
	assert_int_equal(r.r[CFI_RSP], STACK + 8);
	assert_int_equal(r.r[CFI_RBP], STACK + 64);
	assert_int_equal(step(CODE + 3, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RSP], STACK + 8);
	assert_int_equal(step(CODE + 4, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RIP], 0x1001);
	assert_int_equal(r.r[CFI_RBP], 0x1000);
	assert_int_equal(r.r[CFI_RSP], STACK + 16);
	assert_int_equal(step(CODE + 0xff, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RSP], STACK + 80);
	assert_int_equal(r.r[CFI_RIP], 0x1009);
	/* others' code */
	assert_int_equal(step(CODE - 1, &r), CFI_NONE);
	assert_int_equal(step(CODE + 0x100, &r), CFI_NONE);
}

static void test_states(void **state)
{
	struct cfi_regs r;

	/* remember; def_cfa_offset 24; advance 1; restore_state; advance 1; offset/restore rbp */
	TABLE(0x0a, 0x0e, 24, 0x41, 0x0b, 0x41, 0x86, 2, 0xc6);
	assert_int_equal(step(CODE, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RSP], STACK + 24);
	assert_int_equal(step(CODE + 1, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RSP], STACK + 8);
	assert_int_equal(step(CODE + 2, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RBP], STACK + 64);
	/* one too many, and five */
	TABLE(0x0b);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	TABLE(0x0a, 0x0a, 0x0a, 0x0a, 0x0a);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
}

static void test_rules(void **state)
{
	struct cfi_regs r;

	/* undefined rip: the outermost */
	TABLE(0x07, 16);
	assert_int_equal(step(CODE, &r), CFI_END);
	/* same_value rip makes no sense */
	TABLE(0x08, 16);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	/* rip in rbp; rbx undefined; rbp is val_offset 1: CFA - 8 */
	TABLE(0x09, 16, 6, 0x07, 3, 0x14, 6, 1);
	assert_int_equal(step(CODE, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RIP], STACK + 64);
	assert_int_equal(r.r[CFI_RBP], STACK);
	assert_false(r.known >> 3 & 1);
	/* offset_extended_sf rip, -1: above the CFA; def_cfa_offset_sf -2 */
	TABLE(0x11, 16, 0x7f, 0x13, 0x7e);
	assert_int_equal(step(CODE, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RIP], 0x1003);
	assert_int_equal(r.r[CFI_RSP], STACK + 16);
	/* a register of which nothing is known */
	TABLE(0x0d, 3);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	/* one that there is not */
	TABLE(0x0d, 77);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	/* a vector register, which is nobody's business; args_size */
	TABLE(0x05, 33, 4, 0x2e, 8);
	assert_int_equal(step(CODE, &r), CFI_DONE);
	/* an instruction that there is not */
	TABLE(0x3f);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
}

static void test_expressions(void **state)
{
	struct cfi_regs r;

	/* the CFA is *(rbp - 8 * 0): as where a stack was aligned */
	stack[8] = STACK + 32;
	TABLE(0x0f, 3, 0x76, 0, 0x06);
	assert_int_equal(step(CODE, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RSP], STACK + 32);
	assert_int_equal(r.r[CFI_RIP], 0x1003);
	/* as in .plt: rsp + 8 + ((rip & 15) >= 11) << 3 */
	TABLE(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22);
	assert_int_equal(step(CODE + 10, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RSP], STACK + 8);
	assert_int_equal(step(CODE + 11, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RSP], STACK + 16);
	/* expression rbp: at CFA + 8; val_expression rbx: CFA * 2 */
	TABLE(0x10, 6, 2, 0x23, 8, 0x16, 3, 2, 0x32, 0x1e);
	assert_int_equal(step(CODE, &r), CFI_DONE);
	assert_int_equal(r.r[CFI_RBP], 0x1002);
	assert_int_equal(r.r[3], 2 * (STACK + 8));
	/* a jump to itself ends; one out of it does not lead anywhere */
	TABLE(0x0f, 3, 0x2f, 0xfd, 0xff);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	TABLE(0x0f, 3, 0x2f, 0x80, 0xff);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	/* nothing on the stack; too much; memory that is not there */
	TABLE(0x0f, 1, 0x22);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	TABLE(0x0f, 20, 0x30, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12,
	      0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
	TABLE(0x0f, 2, 0x30, 0x06);
	assert_int_equal(step(CODE, &r), CFI_BROKEN);
}

static void test_any_bytes(void **state)
{
	uint32_t x = 1;
	struct cfi_regs r;

	for (unsigned i = 0; i < 20000; i++) {
		TABLE(0x44, 0x0e, 16, 0x86, 2, 0x0f, 3, 0x76, 0, 0x06, 0, 0, 0, 0, 0, 0, 0, 0);
		for (unsigned k = 0; k < 1 + i % 6; k++) {
			x = x * 1664525 + 1013904223;
			tables[(x >> 8) % used] = (uint8_t)(x >> 24);
		}
		step(CODE + i % 16, &r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	  cmocka_unit_test(test_states),
		cmocka_unit_test(test_rules),	  cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
