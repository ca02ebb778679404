/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/cfi.h: one step up a stack by a module's unwind tables (.eh_frame), for x86-64. Written for
 * a signal handler in a program with a broken stack: no malloc, no lock, no libc; tables and stack
 * are read by a function that says what is not there; and whatever they hold, the work is bounded.
 */
#ifndef CHECK_CFI_H
#define CHECK_CFI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* DWARF's numbers of registers (psABI x86-64, figure 3.36); 16 is the return address. */
enum { CFI_RBP = 6, CFI_RSP = 7, CFI_RIP = 16, CFI_REGS };

struct cfi_regs {
	uint64_t r[CFI_REGS];
	uint64_t from[CFI_REGS]; /* where it was read; 0: it was not */
	uint32_t known;		 /* a bit each */
};

/* @from: where @value was read, or 0 */
static inline void cfi_set(struct cfi_regs *regs, unsigned reg, uint64_t value, uint64_t from)
{
	regs->r[reg] = value;
	regs->from[reg] = from;
	regs->known |= 1u << reg;
}

struct cfi_memory {
	/* Copy memory: false if not all of it is there. */
	bool (*read)(void *arg, uint64_t addr, void *buf, size_t n);
	/*
	 * Told of what was read, besides tables, and of registers that were read there and are
	 * needed now: nothing else decides about what is found. May be NULL.
	 */
	void (*used)(void *arg, uint64_t addr, uint64_t value, size_t n);
	void *arg;
};

/* Tell that register @reg is needed. */
static inline void cfi_use(const struct cfi_memory *m, const struct cfi_regs *regs, unsigned reg)
{
	if (m->used && regs->from[reg])
		m->used(m->arg, regs->from[reg], regs->r[reg], sizeof(regs->r[reg]));
}

enum cfi_result {
	CFI_DONE,   /* @regs are those of the caller */
	CFI_NONE,   /* the tables say nothing about this place */
	CFI_END,    /* it is the outermost function */
	CFI_BROKEN, /* the tables, or the stack, make no sense */
};
/*
 * Go from @regs to those of the function's caller.
 * @hdr: where the module's .eh_frame_hdr is
 * @pc: an address in the instruction that is under way: of a call, before where it returns to
 */
enum cfi_result cfi_step(const struct cfi_memory *m, uint64_t hdr, uint64_t pc,
			 struct cfi_regs *regs);
#endif
