/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/backtrace.c: up the program's stack. libunwind would do it, too; but it takes locks and
 * memory of its own on its first way through a module, reads the stack unguarded (or asks the
 * kernel for each page), and lists modules under the loader's lock. Here _dl_find_object() (glibc
 * 2.35) finds a module's tables without a lock, and all memory is read by guarded copies.
 */
#include <dlfcn.h>
#include <string.h>
#include <ucontext.h>

#include "base/guard.h"
#include "check/backtrace.h"
#include "check/cfi.h"

static bool read_memory(void *arg, uint64_t addr, void *buf, size_t n)
{
	return !guard_copy(buf, (const void *)(uintptr_t)addr, n);
}

/* Note what was read. @arg: the struct backtrace_words */
static void note_word(void *arg, uint64_t at, uint64_t value, size_t n)
{
	struct backtrace_words *words = arg;

	for (unsigned i = 0; i < words->n; i++)
		if (words->word[i].at == at)
			return;
	/* no compiler stores a register in another size */
	if (words->n == BACKTRACE_WORDS || n != sizeof(value)) {
		words->not_all = true;
		return;
	}
	words->word[words->n].at = at;
	words->word[words->n++].value = value;
}

/*
 * mov $15, %rax; syscall: rt_sigreturn. Where a signal handler returns to; unwinders go by these
 * bytes.
 */
static bool is_restorer(uint64_t pc)
{
	static const uint8_t code[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
	uint8_t there[sizeof(code)];

	return read_memory(NULL, pc, there, sizeof(there)) && !memcmp(there, code, sizeof(code));
}

/* Take the registers that a signal interrupted: the kernel put them on the stack. */
static bool leave_handler(struct cfi_regs *regs)
{
	/* DWARF's numbers */
	static const uint8_t order[CFI_REGS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9,	 REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};
	uint64_t at = regs->r[CFI_RSP] + offsetof(ucontext_t, uc_mcontext.gregs);
	gregset_t saved;

	if (!read_memory(NULL, at, saved, sizeof(saved)))
		return false;
	for (unsigned i = 0; i < CFI_REGS; i++)
		cfi_set(regs, i, (uint64_t)saved[order[i]], at + order[i] * sizeof(saved[0]));
	return true;
}

#define FRAME_MAX (1u << 20)

/* Go up by RBP, where each function has put its caller's on the stack, below the return address. */
static bool by_frame_pointer(const struct cfi_memory *m, struct cfi_regs *regs)
{
	uint64_t fp = regs->r[CFI_RBP], pair[2];

	cfi_use(m, regs, CFI_RBP);
	if (!(regs->known >> CFI_RBP & 1) || fp % 8 || fp < regs->r[CFI_RSP] ||
	    fp - regs->r[CFI_RSP] > FRAME_MAX || !read_memory(NULL, fp, pair, sizeof(pair)))
		return false;
	regs->known = 0;
	cfi_set(regs, CFI_RBP, pair[0], fp);
	cfi_set(regs, CFI_RIP, pair[1], fp + 8);
	cfi_set(regs, CFI_RSP, fp + 16, 0);
	return true;
}

/*
 * Go to the caller's registers, or to those that @handler interrupted; *@exact: RIP is an
 * instruction's. False: there are none.
 */
static bool go_up(const struct cfi_memory *m, struct cfi_regs *regs, bool handler, bool *exact)
{
	uint64_t pc = regs->r[CFI_RIP] - !*exact;
	struct dl_find_object object;
	enum cfi_result rc = CFI_NONE;

	if (handler) {
		*exact = true;
		return leave_handler(regs);
	}
	if (!_dl_find_object((void *)(uintptr_t)pc, &object) && object.dlfo_eh_frame)
		rc = cfi_step(m, (uintptr_t)object.dlfo_eh_frame, pc, regs);
	*exact = false;
	if (rc == CFI_NONE && !by_frame_pointer(m, regs))
		return false;
	return rc == CFI_DONE || rc == CFI_NONE;
}

/* The same; false: it is the end. */
static bool step(const struct cfi_memory *m, struct cfi_regs *regs, bool *exact)
{
	bool handler = is_restorer(regs->r[CFI_RIP]);
	uint64_t sp = regs->r[CFI_RSP];

	if (!go_up(m, regs, handler, exact))
		return false;
	cfi_use(m, regs, CFI_RIP);
	cfi_use(m, regs, CFI_RSP);
	/* what a handler interrupted may be on another stack */
	return regs->r[CFI_RIP] && (handler || regs->r[CFI_RSP] > sp);
}

void backtrace_take_noting(struct backtrace *b, const struct call_site *from, unsigned max,
			   struct backtrace_words *words)
{
	const struct cfi_memory m = { read_memory, words ? note_word : NULL, words };
	struct cfi_regs regs = { .known = 0 };
	bool exact = from->exact;

	b->n = b->exact = 0;
	if (words) {
		words->n = 0;
		words->not_all = false;
	}
	if (!from->ip || !max)
		return;
	cfi_set(&regs, CFI_RIP, (uintptr_t)from->ip, 0);
	if (from->sp) {
		cfi_set(&regs, CFI_RSP, (uintptr_t)from->sp, 0);
		cfi_set(&regs, CFI_RBP, (uintptr_t)from->fp, 0);
	}
	for (;;) {
		b->exact |= (uint32_t)exact << b->n;
		b->pc[b->n++] = regs.r[CFI_RIP];
		if (b->n == max || !from->sp || !step(&m, &regs, &exact))
			return;
	}
}

void backtrace_take(struct backtrace *b, const struct call_site *from, unsigned max)
{
	backtrace_take_noting(b, from, max, NULL);
}
