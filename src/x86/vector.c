/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/vector.c: plain moves between a vector register and memory, which is what memcpy and memset
 * are made of. No masks, no arithmetic: those are stepping.c's.
 */
#include <errno.h>
#include <string.h>

#include "x86/context.h"
#include "x86/internal.h"

/*
 * Bytes of a plain move; 0: not one. *@aligned: a misaligned address is a fault (SDM 2, table 2-21
 * and the like).
 */
static unsigned plain_move(const struct insn *n, bool *aligned)
{
	*aligned = false;
	switch (n->i.mnemonic) {
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_VMOVD:
	case ZYDIS_MNEMONIC_MOVSS:
	case ZYDIS_MNEMONIC_VMOVSS:
		return 4;
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_VMOVQ:
	case ZYDIS_MNEMONIC_MOVSD: /* the string's is not an explicit operand's */
	case ZYDIS_MNEMONIC_VMOVSD:
		return 8;
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_MOVAPD:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_MOVNTDQ:
	case ZYDIS_MNEMONIC_MOVNTDQA:
	case ZYDIS_MNEMONIC_MOVNTPS:
	case ZYDIS_MNEMONIC_MOVNTPD:
		*aligned = true;
		return 16;
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
		return 16;
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_VMOVDQA32:
	case ZYDIS_MNEMONIC_VMOVDQA64:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
		*aligned = true;
		return n->i.avx.vector_length / 8;
	case ZYDIS_MNEMONIC_VMOVUPS:
	case ZYDIS_MNEMONIC_VMOVUPD:
	case ZYDIS_MNEMONIC_VMOVDQU:
	case ZYDIS_MNEMONIC_VLDDQU:
	case ZYDIS_MNEMONIC_VMOVDQU8:
	case ZYDIS_MNEMONIC_VMOVDQU16:
	case ZYDIS_MNEMONIC_VMOVDQU32:
	case ZYDIS_MNEMONIC_VMOVDQU64:
		return n->i.avx.vector_length / 8;
	default:
		return 0;
	}
}

int insn_vector(struct insn *n)
{
	bool vex = n->i.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY, aligned;
	const ZydisDecodedOperand *reg = NULL;
	unsigned size = plain_move(n, &aligned);
	uint8_t buf[64] = { 0 };
	int ret;

	if (!size || size > sizeof(buf))
		return -EOPNOTSUPP;
	for (unsigned k = 0; k < n->i.operand_count_visible; k++) {
		if (n->op[k].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		/* EVEX without a mask has K0 here */
		if (n->op[k].reg.value == ZYDIS_REGISTER_K0)
			continue;
		if (reg)
			return -EOPNOTSUPP;
		reg = &n->op[k];
	}
	/* a register that we can read we can also write; MMX we can neither */
	if (!reg || !x86_get_vec(n->uc, reg->reg.value, buf, size < 16 ? 16 : size))
		return -EOPNOTSUPP;
	ret = insn_locate(n, n->at, size);
	if (ret)
		return ret;
	if (aligned && n->at & (size - 1))
		return insn_protection(n);
	if (n->mem == &n->op[0]) {
		ret = insn_store(n, n->at, buf, size);
		return ret ? ret : insn_done(n);
	}
	memset(buf, 0, sizeof(buf));
	ret = insn_load(n, n->at, buf, size);
	if (ret)
		return ret;
	/* a scalar load clears the rest of the 16 bytes, VEX the rest of the register */
	if (!x86_set_vec(n->uc, reg->reg.value, buf, size < 16 ? 16 : size, vex))
		return -EOPNOTSUPP;
	return insn_done(n);
}
