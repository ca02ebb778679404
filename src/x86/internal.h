/* SPDX-License-Identifier: BSD-3-Clause */
/* x86/internal.h: one instruction while it is carried out, between the files of this folder. */
#ifndef X86_INTERNAL_H
#define X86_INTERNAL_H
#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "x86/emulate.h"

struct insn {
	ucontext_t *uc;
	const struct x86_bus *bus;
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	const uint8_t *code; /* a copy of its bytes */
	uint64_t next;	     /* RIP behind it */
	uintptr_t *bad;
	const ZydisDecodedOperand *mem; /* the explicit memory operand; NULL: none */
	uintptr_t at;			/* its address, before any register changes */
};

/*
 * Returned by the functions below besides 0 and -errno: nothing was done, as the page is ordinary
 * memory by now (another thread opened it). The processor tries again by itself, and with its own
 * atomicity.
 */
#define INSN_RETRY 1

static inline uint64_t insn_flags(const struct insn *n)
{
	return (uint64_t)n->uc->uc_mcontext.gregs[REG_EFL];
}
int insn_done(struct insn *n);
/* 0: [a, a + size) is all trapped; INSN_RETRY; -EIO: some of both. Before the first access. */
int insn_locate(struct insn *n, uintptr_t a, unsigned size);
/* Of trapped pages, in ascending pieces of at most 8 bytes. */
int insn_load(struct insn *n, uintptr_t a, void *buf, unsigned size);
int insn_store(struct insn *n, uintptr_t a, const void *buf, unsigned size);
/* Of trapped pages or ordinary memory: instructions with two memory operands. */
int insn_load_any(struct insn *n, uintptr_t a, void *buf, unsigned size);
int insn_store_any(struct insn *n, uintptr_t a, const void *buf, unsigned size);
/* A general-protection fault is due, which the kernel reports with address 0. */
int insn_protection(struct insn *n);

/* -EOPNOTSUPP: not theirs, nothing touched */
int insn_string(struct insn *n);
int insn_vector(struct insn *n);
int insn_stepping(struct insn *n);
#endif
