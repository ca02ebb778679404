/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/emulate.h: carry out the one instruction that faulted on a device's page, as the processor
 * would have, with the device behind a struct x86_bus. For the SIGSEGV handler of the shim: a
 * mapped BAR whose page is trapped is PROT_NONE, and every load and store of the program arrives
 * here. Async-signal-safe; takes no lock; no allocation but, once per process, memory
 * for the instructions that stepping.c runs.
 */
#ifndef X86_EMULATE_H
#define X86_EMULATE_H
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

struct x86_bus {
	/*
	 * Is [addr, addr + len) all on trapped pages (1), all on ordinary memory (0), or some of
	 * both (-1)?
	 */
	int (*where)(void *arg, uintptr_t addr, size_t len);
	/* A load or store of 1 to 8 bytes on trapped pages. 0, or -errno: no device answered. */
	int (*read)(void *arg, uintptr_t addr, unsigned size, uint64_t *value);
	int (*write)(void *arg, uintptr_t addr, unsigned size, uint64_t value);
	/*
	 * Around the accesses of a locked instruction, xchg among them: @on, and off again whatever
	 * became of it. NULL: it is a read and then a write.
	 */
	void (*lock)(void *arg, bool on);
	void *arg;
};

/*
 * Call it only for a fault whose address was on a trapped page.
 *
 * 0: go on with the context as it is. Registers, flags and RIP are those after the instruction. Or
 * RIP is still on it: a rep has left the trapped pages, or @bus says that all its memory is
 * ordinary by now (another thread opened the page): the processor does that better, with its own
 * atomicity.
 *
 * -EIO: the device did not answer, or the access crosses from a trapped page to something else:
 * SIGBUS is due.
 *
 * -EFAULT: another operand is bad memory at *@bad: SIGSEGV is due. *@bad is 0 for misalignment
 * where the instruction does not allow it, as the kernel reports a general-protection fault.
 *
 * -EOPNOTSUPP: not emulated; @what (may be NULL) gets the instruction's name. Control flow and the
 * stack through the page, segment and system registers, gather and scatter, XSAVE, FS and GS;
 * arithmetic on RSP, division that overflows, floating point with exceptions unmasked.
 *
 * On failure nothing of the context has changed but what a restartable rep has done. What the
 * device was asked before the failure stays done.
 *
 * A locked instruction is a read and then a write of the device, between bus->lock(true) and
 * (false), where a processor holds the bus.
 */
int x86_emulate(ucontext_t *uc, const struct x86_bus *bus, uintptr_t *bad, char *what,
		size_t what_size);

/*
 * In the handler of SIGSEGV, SIGBUS, SIGFPE and SIGILL, before anything else, as guard_fault(): an
 * instruction that x86_emulate() was running by itself has faulted; the context is changed so that
 * x86_emulate() returns an error. False: not one of those.
 */
bool x86_fault(int sig, const siginfo_t *info, void *ucontext);
#endif
