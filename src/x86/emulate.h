/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/emulate.h: carry out the one instruction that faulted on a device's page, as the processor
 * would have, with the device behind a struct x86_bus. For the SIGSEGV handler of the shim: a
 * mapped BAR whose page is trapped is PROT_NONE, and every load and store of the program arrives
 * here. Async-signal-safe; takes no lock; no allocation.
 */
#ifndef X86_EMULATE_H
#define X86_EMULATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

struct x86_bus {
	/* Is [addr, addr + len) all on trapped pages (1), all on ordinary memory (0), or some of
	 * both (-1)? */
	int (*where)(void *arg, uintptr_t addr, size_t len);
	/* A load or store of 1 to 8 bytes on trapped pages. 0, or -errno: no device answered. */
	int (*read)(void *arg, uintptr_t addr, unsigned size, uint64_t *value);
	int (*write)(void *arg, uintptr_t addr, unsigned size, uint64_t value);
	void *arg;
};

/*
 * Returns 0: done, registers, flags and RIP are those after the instruction (a rep may stop early,
 * RIP still on it, when it leaves the trapped pages). -EIO: the device did not answer, or the
 * access crosses from a trapped page to something else: SIGBUS is due. -EFAULT: another operand is
 * bad memory at *@bad: SIGSEGV is due. -EOPNOTSUPP: an instruction that is not emulated; @what (may
 * be NULL) gets its name. On failure nothing of the context has changed but what a restartable rep
 * has done.
 */
int x86_emulate(ucontext_t *uc, const struct x86_bus *bus, uintptr_t *bad, char *what,
		size_t what_size);

/*
 * In the handler of SIGSEGV, SIGBUS, SIGFPE and SIGILL, before anything else, as guard_fault(): an
 * instruction that x86_emulate() was running by itself has faulted; the context is changed so that
 * x86_emulate() returns an error. False: not one of those.
 */
bool x86_fault(int sig, void *ucontext);
#endif
