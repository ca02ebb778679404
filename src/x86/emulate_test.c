/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/emulate_test.c: each instruction on a trapped page against the same on plain memory
 * (test_x86.h).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/test_signals.h"
#include "base/util.h"
#include "x86/alu.h"
#include "x86/context.h"
#include "x86/test_insns.h"

#define ROUNDS 60 /* random operands and states of each form */

static unsigned num_locked;

/*
 * The forms of [from, to), each in every size: the same result, and of the device what @rw says in
 * accesses of 8 bytes at most.
 */
static void check_forms(const struct t_form *forms, size_t num)
{
	unsigned skipped = 0;

	for (size_t i = 0; i < num; i++) {
		const struct t_form *f = &forms[i];

		if (!t_cpu_has(f->need)) {
			print_message("not on this processor: %s\n", ZydisMnemonicGetString(f->m));
			skipped++;
			continue;
		}
		for (unsigned size = 1; size <= 512; size *= 2) {
			unsigned made = 0, tries = 0, pieces = size > 8 ? size / 8 : 1;

			if (!(f->sizes & size))
				continue;
			while (made < (f->flags & FEW ? 10 : ROUNDS) && tries++ < 20 * ROUNDS) {
				uint64_t at = T_TRAP + t_rand() % (T_TRAPPED - size + 1);
				uint8_t code[16];
				struct t_state s;
				size_t len;
				unsigned k = 0;
				enum t_result res;

				if (f->flags & ALIGN || f->m == Z(XCHG) ||
				    (f->flags & LOCK && tries & 1))
					at &= ~(uint64_t)(size - 1);
				len = t_make(f, size, at, &s, code);
				if (!len)
					continue;
				made++;
				res = t_compare(&s, code, len, NULL);
				if (res == T_NATIVE_FAULT && f->flags & (DIVIDE | MAYFAULT))
					continue;
				if (res != T_SAME) {
					char text[96];

					fail_msg("%s: result %d, emulation returned %d",
						 t_text(code, len, text, sizeof(text)), res, t.ret);
				}
				/* the bus was locked for all of it, once, or not at all */
				if (t.lock_wrong || t.locked || t.locks != t_holds_bus(code, len) ||
				    t.alone != (t.locks ? t.accesses : 0)) {
					char text[96];

					fail_msg("%s: the bus was locked %u times, %u of %u "
						 "accesses in it",
						 t_text(code, len, text, sizeof(text)), t.locks,
						 t.alone, t.accesses);
				}
				num_locked += t.locks;
				if (f->flags & NOCOUNT)
					continue;
				for (const char *rw = f->rw; *rw; rw++)
					for (unsigned p = 0; p < pieces && k < t.accesses;
					     p++, k++) {
						assert_int_equal(t.log[k].write, *rw == 'w');
						assert_int_equal(t.log[k].size, size / pieces);
						if (!(f->flags & BIT))
							assert_int_equal(t.log[k].at, at + 8 * p);
					}
				if (k != t.accesses || k != strlen(f->rw) * pieces ||
				    t.calls != 1) {
					char text[96];

					fail_msg("%s: %u accesses, should be %u; %u faults",
						 t_text(code, len, text, sizeof(text)), t.accesses,
						 (unsigned)strlen(f->rw) * pieces, t.calls);
				}
			}
			if (!made)
				fail_msg("%s with %u bytes (form %zu): not encodable",
					 ZydisMnemonicGetString(f->m), size, i);
		}
	}
	if (skipped)
		print_message("%u forms skipped\n", skipped);
}

static void test_forms(void **state)
{
	num_locked = 0;
	check_forms(t_forms, T_FORMS);
	assert_true(num_locked > 0);
}

static void test_step_forms(void **state)
{
	num_locked = 0;
	check_forms(t_step_forms, T_STEP_FORMS);
	assert_true(num_locked > 0);
}

static void run_bytes(struct t_state *s, const char *bytes, size_t len)
{
	enum t_result res = t_compare(s, (const uint8_t *)bytes, len, NULL);
	char text[96];

	if (res != T_SAME)
		fail_msg("%s: result %d, emulation returned %d (%s)",
			 t_text((const uint8_t *)bytes, len, text, sizeof(text)), res, t.ret,
			 t.what);
}

/* mov between the accumulator and an absolute 64-bit address, which only this instruction has */
static void test_moffs(void **state)
{
	static const struct {
		const char *op;
		size_t len;
	} ops[] = {
		{ "\xa0", 1 },	   { "\xa1", 1 },     { "\xa2", 1 },	 { "\xa3", 1 },
		{ "\x48\xa1", 2 }, { "\x48\xa3", 2 }, { "\x66\xa1", 2 }, { "\x66\xa3", 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		uint64_t a = (uintptr_t)t.window + T_TRAP + 0x120;
		struct t_state s;
		char code[16];

		t_random_state(&s);
		memcpy(code, ops[i].op, ops[i].len);
		memcpy(code + ops[i].len, &a, 8);
		run_bytes(&s, code, ops[i].len + 8);
		assert_int_equal(t.accesses, 1);
		/* with a 32-bit address */
		code[0] = 0x67;
		memcpy(code + 1, ops[i].op, ops[i].len);
		memcpy(code + 1 + ops[i].len, &a, 4);
		run_bytes(&s, code, ops[i].len + 5);
	}
}

static void test_strings(void **state)
{
	for (unsigned n = 0; n < 4000; n++) {
		uint8_t code[16];
		unsigned width;
		struct t_state s;
		size_t len = t_make_string(&s, code, &width);

		run_bytes(&s, (char *)code, len);
		for (unsigned k = 0; k < t.accesses && k < ARRAY_SIZE(t.log); k++)
			assert_int_equal(t.log[k].size, width);
	}
	t_fill(t.alias, T_SIZE);
}

static void expect_refused(struct t_state *s, const char *bytes, size_t len, int ret)
{
	enum t_result res = t_compare(s, (const uint8_t *)bytes, len, NULL);
	char text[96];

	if (res != T_REFUSED || t.ret != ret)
		fail_msg("%s: result %d, emulation returned %d, should be %d",
			 t_text((const uint8_t *)bytes, len, text, sizeof(text)), res, t.ret, ret);
}

static const struct t_form *form(size_t i)
{
	return i < T_FORMS ? &t_forms[i] : &t_step_forms[i - T_FORMS];
}

/* Across the end of the trapped pages, on either side: -EIO, no access, nothing changed. */
static void test_crossing(void **state)
{
	for (size_t i = 0; i < T_FORMS + T_STEP_FORMS; i++) {
		const struct t_form *f = form(i);

		if (!t_cpu_has(f->need) || f->flags & (ALIGN | BIT | NOCOUNT | DIVIDE) || !*f->rw ||
		    f->m == Z(XCHG))
			continue;
		for (unsigned size = 2; size <= 64; size *= 2)
			for (unsigned n = 0; n < 4 && f->sizes & size; n++) {
				uint64_t part = 1 + t_rand() % (size - 1);
				uint64_t at = n & 1 ? T_TRAP - part : T_TRAP + T_TRAPPED - part;
				uint8_t code[16];
				struct t_state s;
				size_t len = 0;

				for (unsigned tries = 0; !len && tries < 100; tries++)
					len = t_make(f, size, at, &s, code);
				assert_int_not_equal(len, 0);
				expect_refused(&s, (char *)code, len, -EIO);
				assert_int_equal(t.accesses, 0);
			}
	}
}

/* Each access of each form fails: -EIO, and the context is as it was. */
static void test_bus_errors(void **state)
{
	for (size_t i = 0; i < T_FORMS + T_STEP_FORMS; i++) {
		const struct t_form *f = form(i);

		if (!t_cpu_has(f->need) || f->flags & (DIVIDE | MAYFAULT))
			continue;
		for (unsigned size = 1; size <= 64; size *= 2)
			for (unsigned fail = 1; f->sizes & size; fail++) {
				uint64_t at = T_TRAP + 64 * (t_rand() % 32);
				enum t_result res;
				uint8_t code[16];
				struct t_state s;
				size_t len = 0;

				for (unsigned tries = 0; !len && tries < 100; tries++)
					len = t_make(f, size, at, &s, code);
				assert_int_not_equal(len, 0);
				t.fail_at = fail;
				/*
				 * pieces that were written before the failure stay; keep them out
				 * of the comparison
				 */
				if (fail > 1 && strchr(f->rw, 'w') && size > 8) {
					struct t_state emu = s;

					t_run(&emu, code, len, true);
					res = !emu.exit	  ? T_SAME
					      : t.changed ? T_DIFFERS
							  : T_REFUSED;
				} else {
					res = t_compare(&s, code, len, NULL);
				}
				t.fail_at = 0;
				if (res == T_SAME && t.accesses < fail)
					break; /* it has no more accesses */
				assert_int_equal(res, T_REFUSED);
				assert_int_equal(t.ret, -EIO);
				/* and the bus is free again */
				assert_false(t.locked || t.lock_wrong);
				assert_int_equal(t.locks, t_holds_bus(code, len));
			}
	}
}

/* A repeated one that fails has done what it did before. */
static void test_rep_error(void **state)
{
	struct t_state s, was;

	t_random_state(&s);
	s.r[T_RDI] = (uintptr_t)t.window + T_TRAP;
	s.r[T_RCX] = 10;
	was = s;
	t.fail_at = 4;
	t_run(&s, (const uint8_t *)"\xf3\xab", 2, true);
	t.fail_at = 0;
	assert_int_equal(s.exit, 1);
	assert_int_equal(t.ret, -EIO);
	assert_int_equal(s.r[T_RCX], 7);
	assert_int_equal(s.r[T_RDI], was.r[T_RDI] + 12);
	/* and one that runs into the border in the middle of an element */
	s = was;
	s.r[T_RDI] = (uintptr_t)t.window + T_TRAP + T_TRAPPED - 10;
	t_run(&s, (const uint8_t *)"\xf3\xab", 2, true);
	assert_int_equal(s.exit, 1);
	assert_int_equal(t.ret, -EIO);
	assert_int_equal(s.r[T_RCX], 8);
}

/* The other operand is bad memory: -EFAULT and where. */
static void test_bad_memory(void **state)
{
	uintptr_t hole = (uintptr_t)t.window + T_SIZE;
	struct t_state s, was;

	t_random_state(&s);
	s.r[T_RSI] = (uintptr_t)t.window + T_TRAP;
	s.r[T_RDI] = hole;
	was = s;
	t_run(&s, (const uint8_t *)"\x48\xa5", 2, true); /* movsq */
	assert_int_equal(t.ret, -EFAULT);
	assert_int_equal(t.bad, hole);
	assert_false(t.changed);
	s = was;
	s.r[T_RSI] = hole - 4; /* half of it */
	s.r[T_RDI] = (uintptr_t)t.window + T_TRAP;
	t_run(&s, (const uint8_t *)"\x48\xa5", 2, true);
	assert_int_equal(t.ret, -EFAULT);
	assert_int_equal(t.bad, hole);
	assert_int_equal(t.accesses, 0);
	/* read-only memory as the destination */
	mprotect(t.window, T_PAGE, PROT_READ);
	s = was;
	s.r[T_RDI] = (uintptr_t)t.window + 8;
	t_run(&s, (const uint8_t *)"\xa4", 1, true);
	mprotect(t.window, T_PAGE, PROT_READ | PROT_WRITE);
	assert_int_equal(t.ret, -EFAULT);
	assert_int_equal(t.bad, (uintptr_t)t.window + 8);
	/*
	 * misaligned where that is a fault: what the kernel reports has no address. A processor may
	 * find this fault first, or that of the page; so x86_emulate is asked directly.
	 */
}

/* Control flow and the stack through a device's page, and what is no access of ours to make. */
static void test_refused(void **state)
{
	static const struct {
		const char *code;
		size_t len;
	} ops[] = {
		{ "\xff\x30", 2 },     /* push [rax] */
		{ "\x8f\x00", 2 },     /* pop [rax] */
		{ "\xff\x10", 2 },     /* call [rax] */
		{ "\xff\x20", 2 },     /* jmp [rax] */
		{ "\x8e\x18", 2 },     /* mov ds, [rax] */
		{ "\x64\x8b\x00", 3 }, /* mov eax, fs:[rax] */
		{ "\x65\x89\x00", 3 }, /* mov gs:[rax], eax */
		{ "\x64\x48\xa5", 3 }, /* movs from fs: */
		{ "\x0f\x01\x10", 3 }, /* lgdt */
		{ "\x0f\xae\x20", 3 }, /* xsave */
		{ "\x0f\xae\x28", 3 }, /* xrstor */
		{ "\xff\x18", 2 },     /* call far */
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct t_state s;

		t_random_state(&s);
		s.r[T_RAX] = s.r[T_RSI] = (uintptr_t)t.window + T_TRAP + 64;
		s.r[T_RDI] = (uintptr_t)t.window;
		s.r[T_RSP] = (uintptr_t)t.window + T_PAGE;
		t_run(&s, (const uint8_t *)ops[i].code, ops[i].len, true);
		if (ops[i].code[0] == 0x64 || ops[i].code[0] == 0x65) {
			/* another address by the thread pointer: no fault of ours, or refused */
			assert_true(s.exit);
			continue;
		}
		if (!s.exit || t.ret != -EOPNOTSUPP || t.changed || t.accesses)
			fail_msg("%zu: %d, %u accesses", i, t.ret, t.accesses);
		assert_true(*t.what);
	}
	/* push rax and the like, with the stack there */
	for (unsigned i = 0; i < 4; i++) {
		static const char *const stack[] = { "\x50", "\x58", "\xc3", "\xc9" };
		struct t_state s;

		t_random_state(&s);
		s.r[T_RSP] = s.r[T_RBP] = (uintptr_t)t.window + T_TRAP + 64;
		t_run(&s, (const uint8_t *)stack[i], 1, true);
		assert_int_equal(s.exit, 1);
		assert_int_equal(t.ret, -EOPNOTSUPP);
		assert_false(t.changed);
	}
}

static ucontext_t made_uc;
static uint8_t made_fp[T_XSAVE] __attribute__((aligned(64)));

/*
 * A context as a signal frame has it, without a signal: for instructions that this processor may
 * not have.
 */
static ucontext_t *made(const uint8_t *code)
{
	struct {
		uint32_t magic, ext;
		uint64_t features;
		uint32_t size;
	} sw = { 0x46505853, 0, t_shared.mask, t.xsize };

	memset(&made_uc, 0, sizeof(made_uc));
	memset(made_fp, 0, sizeof(made_fp));
	memcpy(made_fp + 464, &sw, 20);
	made_uc.uc_mcontext.fpregs = (fpregset_t)(void *)made_fp;
	made_uc.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)code;
	made_uc.uc_mcontext.gregs[REG_EFL] = 0x10202; /* RF, as a fault has it */
	t.accesses = 0;
	return &made_uc;
}

static void test_movdir(void **state)
{
	static const uint8_t diri[] = { 0x0f, 0x38, 0xf9, 0x10 };	  /* movdiri [rax], edx */
	static const uint8_t dir64b[] = { 0x66, 0x0f, 0x38, 0xf8, 0x10 }; /* movdir64b rdx, [rax] */
	ucontext_t *uc = made(diri);
	greg_t *g = uc->uc_mcontext.gregs;
	uintptr_t trap = (uintptr_t)t.window + T_TRAP;
	uint32_t v;

	g[REG_RAX] = (greg_t)(trap + 16);
	g[REG_RDX] = 0x1122334455667788;
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), 0);
	assert_int_equal(t.accesses, 1);
	memcpy(&v, t.alias + T_TRAP + 16, 4);
	assert_int_equal(v, 0x55667788);
	assert_int_equal(g[REG_RIP], (uintptr_t)diri + 4);
	assert_int_equal(g[REG_EFL], 0x202);

	uc = made(dir64b);
	g[REG_RAX] = (greg_t)(uintptr_t)t.window + 3; /* the source need not be aligned */
	g[REG_RDX] = (greg_t)(trap + 128);
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), 0);
	assert_int_equal(t.accesses, 8);
	assert_memory_equal(t.alias + 3, t.alias + T_TRAP + 128, 64);
	/* from the device to memory */
	uc = made(dir64b);
	g[REG_RAX] = (greg_t)(trap + 192);
	g[REG_RDX] = (greg_t)(uintptr_t)t.window + 64;
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), 0);
	assert_memory_equal(t.alias + 64, t.alias + T_TRAP + 192, 64);
	uc = made(dir64b);
	g[REG_RAX] = (greg_t)(uintptr_t)t.window;
	g[REG_RDX] = (greg_t)(trap + 8);
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), -EFAULT);
	assert_int_equal(t.bad, 0);
	/* memory that is not there */
	g[REG_RDX] = (greg_t)trap;
	g[REG_RAX] = (greg_t)((uintptr_t)t.window + T_SIZE - 32);
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), -EFAULT);
	assert_int_equal(t.bad, (uintptr_t)t.window + T_SIZE);
	assert_int_equal(t.accesses, 0);
}

static void test_alignment(void **state)
{
	static const uint8_t movaps[] = { 0x0f, 0x28, 0x00 }; /* movaps xmm0, [rax] */
	ucontext_t *uc = made(movaps);

	uc->uc_mcontext.gregs[REG_RAX] = (greg_t)((uintptr_t)t.window + T_TRAP + 8);
	t.bad = 1;
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), -EFAULT);
	assert_int_equal(t.bad, 0);
	assert_int_equal(t.accesses, 0);
}

/* Frames that lack what is asked for. */
static void test_frames(void **state)
{
	static const uint8_t load[] = { 0xc5, 0xfc, 0x10, 0x00 }; /* vmovups ymm0, [rax] */
	static const uint8_t sse[] = { 0x0f, 0x10, 0x08 };	  /* movups xmm1, [rax] */
	uint8_t got[64];
	ucontext_t *uc = made(load);

	uc->uc_mcontext.gregs[REG_RAX] = (greg_t)((uintptr_t)t.window + T_TRAP);
	memset(made_fp + 464, 0, 4); /* a frame without an XSAVE area */
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, t.what, sizeof(t.what)), -EOPNOTSUPP);
	assert_string_equal(t.what, "vmovups");
	assert_int_equal(t.accesses, 0);
	assert_int_equal(uc->uc_mcontext.gregs[REG_RIP], (uintptr_t)load);
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)sse;
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), 0);
	assert_memory_equal(made_fp + 160 + 16, t.alias + T_TRAP, 16);
	uc->uc_mcontext.fpregs = NULL;
	assert_false(x86_get_vec(uc, ZYDIS_REGISTER_XMM0, got, 16));
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)sse;
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, NULL, 0), -EOPNOTSUPP);
	/* code that is not there, code that is none */
	uc = made((const uint8_t *)t.window + T_SIZE);
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, t.what, sizeof(t.what)), -EOPNOTSUPP);
	uc = made((const uint8_t *)"\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06\x06");
	assert_int_equal(x86_emulate(uc, &t_bus, &t.bad, t.what, sizeof(t.what)), -EOPNOTSUPP);
}

/*
 * Another thread opened the page between the fault and us: the processor does it, no access of the
 * bus.
 */
static void test_opened(void **state)
{
	for (size_t i = 0; i < T_FORMS; i += 7) {
		uint8_t code[16];
		struct t_state s;
		size_t len = 0;
		unsigned size;

		if (!t_cpu_has(t_forms[i].need))
			continue;
		size = t_forms[i].sizes & -t_forms[i].sizes;
		for (unsigned tries = 0; !len && tries < 100; tries++)
			len = t_make(&t_forms[i], size, T_TRAP + 256, &s, code);
		t.opened = true;
		assert_int_equal(t_compare(&s, code, len, NULL), T_SAME);
		t.opened = false;
		assert_int_equal(t.accesses, 0);
	}
}

/* With a mask, only what it names is accessed, in the widest pieces that are aligned. */
static void test_masked(void **state)
{
	static const uint8_t load[] = {
		0x62, 0xf1, 0x7e, 0xc9, 0x6f, 0x00
	}; /* vmovdqu32 zmm0{k1}{z}, [rax] */
	static const uint8_t store[] = {
		0x62, 0xf1, 0x7e, 0x49, 0x7f, 0x00
	}; /* vmovdqu32 [rax]{k1}, zmm0 */
	static const uint8_t add[] = {
		0x62, 0xf1, 0x7d, 0x49, 0xfe, 0x00
	}; /* vpaddd zmm0{k1}, zmm0, [rax] */
	static const uint8_t expand[] = {
		0x62, 0xf2, 0x7d, 0xc9, 0x89, 0x00
	}; /* vpexpandd zmm0{k1}{z}, [rax] */
	static const uint8_t maskmov[] = { 0xc4, 0xe2, 0x7d, 0x2e,
					   0x00 }; /* vmaskmovps [rax], ymm0, ymm0 */
	static const struct {
		const uint8_t *code;
		size_t len;
		bool write;
		unsigned need;
		unsigned at[4], size[4];
	} tests[] = {
		{ load, 6, false, CPU_512F, { 4, 8, 16, 60 }, { 4, 4, 8, 4 } },
		{ store, 6, true, CPU_512F, { 4, 8, 16, 60 }, { 4, 4, 8, 4 } },
		{ add, 6, false, CPU_512F, { 4, 8, 16, 60 }, { 4, 4, 8, 4 } },
		{ expand, 6, false, CPU_512F, { 0, 8, 16 }, { 8, 8, 4 } },
		{ maskmov, 5, true, CPU_AVX, { 0, 8, 20 }, { 8, 4, 4 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t k1 = 0x8036, bv = t_shared.mask;
		struct t_state s;

		if (!t_cpu_has(tests[i].need)) {
			print_message("not on this processor: masks\n");
			continue;
		}
		t_random_state(&s);
		memcpy(s.x + 512, &bv, 8);
		if (t.comp[5][0])
			memcpy(s.x + t.comp[5][0] + 8, &k1, 8);
		/* the sign bits of ymm0, for vmaskmovps: elements 0, 1, 2 and 5 */
		for (unsigned e = 0; e < 8; e++) {
			uint8_t *top = e < 4 ? s.x + 160 + 4 * e + 3
					     : s.x + t.comp[2][0] + 4 * (e - 4) + 3;

			*top = (uint8_t)((*top & 0x7f) | (0x27u >> e & 1) << 7);
		}
		s.r[T_RAX] = (uintptr_t)t.window + T_TRAP + 64;
		run_bytes(&s, (const char *)tests[i].code, tests[i].len);
		for (unsigned n = 0; n < 4 && tests[i].size[n]; n++) {
			assert_true(n < t.accesses);
			assert_int_equal(t.log[n].write, tests[i].write);
			assert_int_equal(t.log[n].at, T_TRAP + 64 + tests[i].at[n]);
			assert_int_equal(t.log[n].size, tests[i].size[n]);
			assert_true(t.accesses == n + 1 || tests[i].size[n + 1]);
		}
	}
}

/* An instruction that the processor would refuse: it is refused, and nothing has changed. */
static void test_step_refused(void **state)
{
	static const uint8_t div[] = { 0xf7, 0x30 };		      /* div dword [rax] */
	static const uint8_t addps[] = { 0x0f, 0x58, 0x00 };	      /* addps xmm0, [rax] */
	static const uint8_t imul_rsp[] = { 0x48, 0x0f, 0xaf, 0x20 }; /* imul rsp, [rax] */
	static const uint8_t imul[] = { 0x0f, 0xaf, 0x08 };	      /* imul ecx, [rax] */
	static const uint8_t fld[] = { 0xd9, 0x00 };		      /* fld dword [rax] */
	struct t_state s, was;
	uint32_t mxcsr = 0x1f00, zero = 0;
	uint16_t fcw = 0x37e;
	uint64_t bv = 7;

	t_random_state(&was);
	memcpy(was.x + 512, &bv, 8);
	was.r[T_RAX] = (uintptr_t)t.window + T_TRAP + 64;
	memcpy(t.alias + T_TRAP + 64, &zero, 4);
	s = was;
	t_run(&s, div, sizeof(div), true);
	assert_int_equal(t.ret, -EOPNOTSUPP);
	assert_false(t.changed);
	/* SIMD exceptions that the program wants to see */
	s = was;
	memcpy(s.x + 24, &mxcsr, 4);
	t_run(&s, addps, sizeof(addps), true);
	assert_int_equal(t.ret, -EOPNOTSUPP);
	assert_int_equal(t.accesses, 0);
	s = was;
	memcpy(s.x, &fcw, 2);
	t_run(&s, fld, sizeof(fld), true);
	assert_int_equal(t.ret, -EOPNOTSUPP);
	assert_int_equal(t.accesses, 0);
	/* they do not matter to integers */
	memcpy(s.x + 24, &mxcsr, 4);
	s = was;
	t_run(&s, imul, sizeof(imul), true);
	assert_int_equal(t.ret, 0);
	s = was;
	t_run(&s, imul_rsp, sizeof(imul_rsp), true);
	assert_int_equal(t.ret, -EOPNOTSUPP);
	/* a fault of the instruction itself comes back as an error */
	made(addps);
	memset(t.alias + T_TRAP, 0, 4096);
	made_uc.uc_mcontext.gregs[REG_RAX] = (greg_t)((uintptr_t)t.window + T_TRAP + 8);
	memcpy(made_fp + 24, &(uint32_t){ 0x1f80 }, 4);
	t.bad = 1;
	assert_int_equal(x86_emulate(&made_uc, &t_bus, &t.bad, NULL, 0), -EFAULT);
	assert_int_equal(t.bad, 0);
	assert_int_equal(made_uc.uc_mcontext.gregs[REG_RIP], (uintptr_t)addps);
	t_fill(t.alias, T_SIZE);
}

/* Many threads run instructions at once, each on its own context. */
static int thread_where(void *arg, uintptr_t addr, size_t len)
{
	return 1;
}
static int thread_read(void *arg, uintptr_t addr, unsigned size, uint64_t *value)
{
	*value = *(uint64_t *)arg;
	return 0;
}
static int thread_write(void *arg, uintptr_t addr, unsigned size, uint64_t value)
{
	*(uint64_t *)arg = value;
	return 0;
}

static void *thread_steps(void *arg)
{
	static const uint8_t imul[] = { 0x48, 0x0f, 0xaf, 0x08 };  /* imul rcx, [rax] */
	static const uint8_t rol[] = { 0x48, 0xd3, 0x00 };	   /* rol qword [rax], cl */
	static const uint8_t mulsd[] = { 0xf2, 0x0f, 0x59, 0x00 }; /* mulsd xmm0, [rax] */
	struct {
		uint32_t magic, ext;
		uint64_t features;
		uint32_t size;
	} sw = { 0x46505853, 0, 7, t.xsize };
	uint8_t fp[T_XSAVE] __attribute__((aligned(64))) = { 0 };
	uint64_t device, seed = (uintptr_t)arg, bv = 2;
	struct x86_bus bus = {
		.where = thread_where, .read = thread_read, .write = thread_write, .arg = &device
	};
	ucontext_t uc = { .uc_mcontext.fpregs = (fpregset_t)(void *)fp };
	greg_t *g = uc.uc_mcontext.gregs;
	uintptr_t bad;

	memcpy(fp + 464, &sw, 20);
	memcpy(fp + 512, &bv, 8);
	memcpy(fp + 24, &(uint32_t){ 0x1f80 }, 4);
	for (unsigned n = 0; n < 3000; n++) {
		uint64_t was;
		double d = 1.0 + (double)n + (double)seed, x;

		g[REG_RAX] = 0x1000;
		g[REG_RCX] = n;
		device = was = seed * 0x9e3779b97f4a7c15ull + n;
		g[REG_RIP] = (greg_t)(uintptr_t)imul;
		if (x86_emulate(&uc, &bus, &bad, NULL, 0) || (uint64_t)g[REG_RCX] != n * was)
			return arg;
		g[REG_RIP] = (greg_t)(uintptr_t)rol;
		g[REG_RCX] = n & 63;
		if (x86_emulate(&uc, &bus, &bad, NULL, 0) ||
		    device != (was << (n & 63) | was >> (-n & 63)))
			return arg;
		memcpy(&device, &d, 8);
		memcpy(fp + 160, &d, 8);
		memcpy(fp + 512, &bv, 8); /* it was all zeros, and the header said so */
		g[REG_RIP] = (greg_t)(uintptr_t)mulsd;
		if (x86_emulate(&uc, &bus, &bad, NULL, 0) || (memcpy(&x, fp + 160, 8), x != d * d))
			return arg;
	}
	return NULL;
}

static void test_step_threads(void **state)
{
	pthread_t th[8];
	void *res;

	for (size_t i = 0; i < ARRAY_SIZE(th); i++)
		assert_int_equal(pthread_create(&th[i], NULL, thread_steps, (void *)(i + 1)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(th); i++) {
		pthread_join(th[i], &res);
		assert_null(res);
	}
}

/* cmocka has put its own signal() handlers in place; base/test_signals.h keeps ours */
int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),	     cmocka_unit_test(test_step_forms),
		cmocka_unit_test(test_moffs),	     cmocka_unit_test(test_strings),
		cmocka_unit_test(test_crossing),     cmocka_unit_test(test_bus_errors),
		cmocka_unit_test(test_rep_error),    cmocka_unit_test(test_bad_memory),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_movdir),
		cmocka_unit_test(test_alignment),    cmocka_unit_test(test_frames),
		cmocka_unit_test(test_opened),	     cmocka_unit_test(test_masked),
		cmocka_unit_test(test_step_refused), cmocka_unit_test(test_step_threads),
	};
	const char *seed = getenv("SEED");
	int ret;

	ret = t_init();
	if (ret) {
		fprintf(stderr, "%s: the window: %s\n", ret == -ENOTSUP ? "SKIP" : "FAIL",
			strerror(-ret));
		return ret == -ENOTSUP ? 0 : 1;
	}
	if (seed)
		t_seed = strtoull(seed, NULL, 0);
	t_fill(t.alias, T_SIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
