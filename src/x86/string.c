/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/string.c: MOVS, STOS, LODS, CMPS and SCAS, with and without a repeat prefix: element by
 * element, each one access of its width. A repeated one stops where it leaves the trapped pages,
 * RIP still on it, and the processor goes on by itself; what it has done when an element fails is
 * in the registers, as after a fault on a processor (SDM 2B, REP).
 */
#include <errno.h>
#include <string.h>

#include "x86/alu.h"
#include "x86/context.h"
#include "x86/internal.h"

#define FLAG_ZF 0x40u  /* SDM 1, 3.4.3.1 */
#define FLAG_DF 0x400u /* 3.4.3.2 */

enum what { MOVS, STOS, LODS, CMPS, SCAS };

/* Say what kind of string instruction it is; size 0: none of these. */
static enum what decode(const struct insn *n, unsigned *size)
{
	*size = 0;
	switch (n->i.mnemonic) {
#define ONE(name)                      \
	case ZYDIS_MNEMONIC_##name##B: \
		*size = 1;             \
		return name;           \
	case ZYDIS_MNEMONIC_##name##W: \
		*size = 2;             \
		return name;           \
	case ZYDIS_MNEMONIC_##name##D: \
		*size = 4;             \
		return name;           \
	case ZYDIS_MNEMONIC_##name##Q: \
		*size = 8;             \
		return name;
		ONE(MOVS)
		ONE(STOS)
		ONE(LODS)
		ONE(CMPS)
		ONE(SCAS)
#undef ONE
	default:
		return MOVS;
	}
}

static const ZydisRegister acc[] = { [1] = ZYDIS_REGISTER_AL,
				     [2] = ZYDIS_REGISTER_AX,
				     [4] = ZYDIS_REGISTER_EAX,
				     [8] = ZYDIS_REGISTER_RAX };

static int element(struct insn *n, enum what what, unsigned size, uintptr_t src, uintptr_t dst)
{
	uint64_t a = 0, b = 0, flags = insn_flags(n);
	int ret = 0;

	if (what == MOVS || what == LODS || what == CMPS)
		ret = insn_load_any(n, src, &a, size);
	else
		x86_get_reg(n->uc, acc[size], &a);
	if (!ret && (what == CMPS || what == SCAS))
		ret = insn_load_any(n, dst, &b, size);
	if (!ret && (what == MOVS || what == STOS))
		ret = insn_store_any(n, dst, &a, size);
	if (ret)
		return ret;
	if (what == LODS)
		x86_set_reg(n->uc, acc[size], a);
	if (what == CMPS || what == SCAS) {
		x86_alu(X86_SUB, size, a, b, &flags);
		n->uc->uc_mcontext.gregs[REG_EFL] = (greg_t)flags;
	}
	return 0;
}

int insn_string(struct insn *n)
{
	const uint64_t rep_any =
		ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;
	bool narrow = n->i.address_width == 32, rep = n->i.attributes & rep_any;
	ZydisRegister si = narrow ? ZYDIS_REGISTER_ESI : ZYDIS_REGISTER_RSI;
	ZydisRegister di = narrow ? ZYDIS_REGISTER_EDI : ZYDIS_REGISTER_RDI;
	ZydisRegister cx = narrow ? ZYDIS_REGISTER_ECX : ZYDIS_REGISTER_RCX;
	bool use_src, use_dst, compares;
	uint64_t src, dst, count = 1;
	enum what what;
	unsigned size;
	int64_t step;
	int ret;

	what = decode(n, &size);
	if (!size || n->i.attributes & (ZYDIS_ATTRIB_HAS_SEGMENT_FS | ZYDIS_ATTRIB_HAS_SEGMENT_GS))
		return -EOPNOTSUPP;
	use_src = what == MOVS || what == LODS || what == CMPS;
	use_dst = what != LODS;
	compares = what == CMPS || what == SCAS;
	step = insn_flags(n) & FLAG_DF ? -(int64_t)size : (int64_t)size;
	for (;;) {
		x86_get_reg(n->uc, si, &src);
		x86_get_reg(n->uc, di, &dst);
		if (rep && x86_get_reg(n->uc, cx, &count) && !count)
			return insn_done(n);
		/* all on ordinary memory now: the processor goes on by itself */
		if ((!use_src || insn_locate(n, src, size) == INSN_RETRY) &&
		    (!use_dst || insn_locate(n, dst, size) == INSN_RETRY))
			return INSN_RETRY;
		ret = element(n, what, size, src, dst);
		if (ret)
			return ret;
		if (use_src)
			x86_set_reg(n->uc, si, src + (uint64_t)step);
		if (use_dst)
			x86_set_reg(n->uc, di, dst + (uint64_t)step);
		if (!rep)
			return insn_done(n);
		x86_set_reg(n->uc, cx, count - 1);
		/* F3 goes on while equal, F2 while not */
		if (compares &&
		    !(insn_flags(n) & FLAG_ZF) == !(n->i.attributes & ZYDIS_ATTRIB_HAS_REPNE))
			return insn_done(n);
	}
}
