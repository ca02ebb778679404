/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/test_insns.h: instructions with one memory operand, made with Zydis's encoder: which there
 * are (t_forms), and one of a form with random registers, address and state, so that its memory
 * operand lies where it is wanted.
 */
#ifndef X86_TEST_INSNS_H
#define X86_TEST_INSNS_H
#include "x86/test_x86.h"

enum { T_RAX, T_RCX, T_RDX, T_RBX, T_RSP, T_RBP, T_RSI, T_RDI };

enum t_shape {
	RM,  /* reg, mem */
	MR,  /* mem, reg */
	MI,  /* mem, imm8 */
	MW,  /* mem, imm16/32 */
	M,   /* mem */
	XM,  /* vector, mem */
	MX,  /* mem, vector */
	XXM, /* vector, vector, mem */
	XMI, /* vector, mem, imm8 */
	XXMI,
	MXI,
	MC, /* mem, cl */
	M1, /* mem, 1 */
	KM, /* k, mem */
	MK,
	XKM, /* vector, mask, mem */
	MKX,
	XKXM,
};
enum {
	LOCK = 1,
	ALIGN = 2,
	SEXT = 4,
	BIT = 8,
	STEP = 16,
	EVEX = 32,
	ZERO = 64,
	FEW = 128,
	NOCOUNT = 256,
	DIVIDE = 512,
	MMX = 1024,
	MAYFAULT = 2048
};
/*
 * LOCK: takes the prefix. ALIGN: must be naturally aligned. SEXT: an immediate that is extended.
 * BIT: a bit number in a register. STEP: goes through stepping.c. ZERO: a zeroing mask. FEW: large.
 * NOCOUNT: accesses depend on data. DIVIDE, MAYFAULT: the processor takes only some operands. MMX:
 * registers of 8 bytes.
 */

struct t_form {
	ZydisMnemonic m;
	enum t_shape shape;
	unsigned sizes; /* the memory operand's sizes in bytes, or-ed */
	unsigned flags;
	unsigned reg;  /* size of the register if another; of a vector */
	char rw[3];    /* what the bus must see of it: "r", "w", "rw", "" */
	unsigned need; /* one of the CPU_ below; 0: every processor of x86-64 */
};
enum {
	CPU_AVX = 1,
	CPU_AVX2,
	CPU_512F,
	CPU_512BW,
	CPU_512VL,
	CPU_MOVBE,
	CPU_DIRI,
	CPU_DIR64B,
	CPU_SSSE3,
	CPU_BMI2,
	CPU_SSE41,
	CPU_FMA,
	CPU_F16C,
	CPU_512VBMI2,
	CPU_POPCNT,
	CPU_BMI1,
	CPU_CX16,
	CPU_COUNT
};

static bool t_cpu_has(unsigned need)
{
	unsigned a = 0, b = 0, c = 0, d = 0, a1 = 0, b1 = 0, c1 = 0, d1 = 0;

	__get_cpuid(1, &a1, &b1, &c1, &d1);
	__get_cpuid_count(7, 0, &a, &b, &c, &d);
	switch (need) {
	case CPU_AVX:
		return c1 >> 28 & 1 && (t_shared.mask & 4);
	case CPU_AVX2:
		return b >> 5 & 1 && (t_shared.mask & 4);
	case CPU_512F:
		return b >> 16 & 1 && (t_shared.mask & 0xe0) == 0xe0;
	case CPU_512BW:
		return b >> 30 & 1 && (t_shared.mask & 0xe0) == 0xe0;
	case CPU_512VL:
		return b >> 31 & 1 && (t_shared.mask & 0xe0) == 0xe0;
	case CPU_512VBMI2:
		return c >> 6 & 1 && (t_shared.mask & 0xe0) == 0xe0;
	case CPU_MOVBE:
		return c1 >> 22 & 1;
	case CPU_SSSE3:
		return c1 >> 9 & 1;
	case CPU_SSE41:
		return c1 >> 19 & 1;
	case CPU_POPCNT:
		return c1 >> 23 & 1;
	case CPU_CX16:
		return c1 >> 13 & 1;
	case CPU_FMA:
		return c1 >> 12 & 1 && (t_shared.mask & 4);
	case CPU_F16C:
		return c1 >> 29 & 1 && (t_shared.mask & 4);
	case CPU_BMI1:
		return b >> 3 & 1;
	case CPU_BMI2:
		return b >> 8 & 1;
	case CPU_DIRI:
		return c >> 27 & 1;
	case CPU_DIR64B:
		return c >> 28 & 1;
	}
	return true;
}

#define Z(m) ZYDIS_MNEMONIC_##m
#define ALU(m)                                                              \
	{ Z(m), RM, 15, 0, 0, "r", 0 }, { Z(m), MR, 15, LOCK, 0, "rw", 0 }, \
		{ Z(m), MI, 15, LOCK, 0, "rw", 0 },                         \
	{                                                                   \
		Z(m), MW, 14, LOCK | SEXT, 0, "rw", 0                       \
	}
static const struct t_form t_forms[] = {
	{ Z(MOV), RM, 15, 0, 0, "r", 0 },
	{ Z(MOV), MR, 15, 0, 0, "w", 0 },
	{ Z(MOV), MI, 15, 0, 0, "w", 0 },
	{ Z(MOV), MW, 14, SEXT, 0, "w", 0 },
	{ Z(MOVZX), RM, 1, 0, 2, "r", 0 },
	{ Z(MOVZX), RM, 3, 0, 4, "r", 0 },
	{ Z(MOVZX), RM, 3, 0, 8, "r", 0 },
	{ Z(MOVSX), RM, 1, 0, 2, "r", 0 },
	{ Z(MOVSX), RM, 3, 0, 4, "r", 0 },
	{ Z(MOVSX), RM, 3, 0, 8, "r", 0 },
	{ Z(MOVSXD), RM, 4, 0, 8, "r", 0 },
	{ Z(MOVSXD), RM, 4, 0, 4, "r", 0 },
	{ Z(MOVBE), RM, 14, 0, 0, "r", CPU_MOVBE },
	{ Z(MOVBE), MR, 14, 0, 0, "w", CPU_MOVBE },
	ALU(ADD),
	ALU(OR),
	ALU(ADC),
	ALU(SBB),
	ALU(AND),
	ALU(SUB),
	ALU(XOR),
	{ Z(CMP), RM, 15, 0, 0, "r", 0 },
	{ Z(CMP), MR, 15, 0, 0, "r", 0 },
	{ Z(CMP), MI, 15, 0, 0, "r", 0 },
	{ Z(CMP), MW, 14, SEXT, 0, "r", 0 },
	{ Z(TEST), MR, 15, 0, 0, "r", 0 },
	{ Z(TEST), MI, 1, 0, 0, "r", 0 },
	{ Z(TEST), MW, 14, SEXT, 0, "r", 0 },
	{ Z(INC), M, 15, LOCK, 0, "rw", 0 },
	{ Z(DEC), M, 15, LOCK, 0, "rw", 0 },
	{ Z(NEG), M, 15, LOCK, 0, "rw", 0 },
	{ Z(NOT), M, 15, LOCK, 0, "rw", 0 },
	{ Z(BT), MR, 14, BIT, 0, "r", 0 },
	{ Z(BT), MI, 14, 0, 0, "r", 0 },
	{ Z(BTS), MR, 14, LOCK | BIT, 0, "rw", 0 },
	{ Z(BTS), MI, 14, LOCK, 0, "rw", 0 },
	{ Z(BTR), MR, 14, LOCK | BIT, 0, "rw", 0 },
	{ Z(BTR), MI, 14, LOCK, 0, "rw", 0 },
	{ Z(BTC), MR, 14, LOCK | BIT, 0, "rw", 0 },
	{ Z(BTC), MI, 14, LOCK, 0, "rw", 0 },
	{ Z(XCHG), MR, 15, LOCK, 0, "rw", 0 },
	{ Z(XADD), MR, 15, LOCK, 0, "rw", 0 },
	{ Z(CMPXCHG), MR, 15, LOCK, 0, "rw", 0 },
#define CC(c)                                    \
	{ Z(SET##c), M, 1, 0, 0, "w", 0 },       \
	{                                        \
		Z(CMOV##c), RM, 14, 0, 0, "r", 0 \
	}
	CC(B),
	CC(BE),
	CC(L),
	CC(LE),
	CC(NB),
	CC(NBE),
	CC(NL),
	CC(NLE),
	CC(NO),
	CC(NP),
	CC(NS),
	CC(NZ),
	CC(O),
	CC(P),
	CC(S),
	CC(Z),
	{ Z(MOVNTI), MR, 12, 0, 0, "w", 0 },
	{ Z(MOVDIRI), MR, 12, 0, 0, "w", CPU_DIRI },
	{ Z(CLFLUSH), M, 64, 0, 0, "", 0 },
	/* plain vector moves */
	{ Z(MOVD), XM, 4, 0, 16, "r", 0 },
	{ Z(MOVD), MX, 4, 0, 16, "w", 0 },
	{ Z(MOVQ), XM, 8, 0, 16, "r", 0 },
	{ Z(MOVQ), MX, 8, 0, 16, "w", 0 },
	{ Z(MOVSS), XM, 4, 0, 16, "r", 0 },
	{ Z(MOVSS), MX, 4, 0, 16, "w", 0 },
	{ Z(MOVSD), XM, 8, 0, 16, "r", 0 },
	{ Z(MOVSD), MX, 8, 0, 16, "w", 0 },
#define BOTH(m, size, flags, need)                  \
	{ Z(m), XM, size, flags, 0, "r", need },    \
	{                                           \
		Z(m), MX, size, flags, 0, "w", need \
	}
	BOTH(MOVUPS, 16, 0, 0),
	BOTH(MOVUPD, 16, 0, 0),
	BOTH(MOVDQU, 16, 0, 0),
	BOTH(MOVAPS, 16, ALIGN, 0),
	BOTH(MOVAPD, 16, ALIGN, 0),
	BOTH(MOVDQA, 16, ALIGN, 0),
	{ Z(LDDQU), XM, 16, 0, 0, "r", 0 },
	{ Z(MOVNTDQ), MX, 16, ALIGN, 0, "w", 0 },
	{ Z(MOVNTDQA), XM, 16, ALIGN, 0, "r", CPU_SSE41 },
	{ Z(MOVNTPS), MX, 16, ALIGN, 0, "w", 0 },
	{ Z(MOVNTPD), MX, 16, ALIGN, 0, "w", 0 },
	{ Z(VMOVD), XM, 4, 0, 16, "r", CPU_AVX },
	{ Z(VMOVD), MX, 4, 0, 16, "w", CPU_AVX },
	{ Z(VMOVQ), XM, 8, 0, 16, "r", CPU_AVX },
	{ Z(VMOVQ), MX, 8, 0, 16, "w", CPU_AVX },
	{ Z(VMOVSS), XM, 4, 0, 16, "r", CPU_AVX },
	{ Z(VMOVSS), MX, 4, 0, 16, "w", CPU_AVX },
	{ Z(VMOVSD), XM, 8, 0, 16, "r", CPU_AVX },
	{ Z(VMOVSD), MX, 8, 0, 16, "w", CPU_AVX },
	{ Z(VMOVSS), MX, 4, EVEX, 16, "w", CPU_512F },
	{ Z(VMOVQ), XM, 8, EVEX, 16, "r", CPU_512F },
	BOTH(VMOVUPS, 48, 0, CPU_AVX),
	BOTH(VMOVUPD, 48, 0, CPU_AVX),
	BOTH(VMOVDQU, 48, 0, CPU_AVX),
	BOTH(VMOVAPS, 48, ALIGN, CPU_AVX),
	BOTH(VMOVAPD, 48, ALIGN, CPU_AVX),
	BOTH(VMOVDQA, 48, ALIGN, CPU_AVX),
	{ Z(VLDDQU), XM, 48, 0, 0, "r", CPU_AVX },
	{ Z(VMOVNTDQ), MX, 48, ALIGN, 0, "w", CPU_AVX },
	{ Z(VMOVNTPS), MX, 48, ALIGN, 0, "w", CPU_AVX },
	{ Z(VMOVNTDQA), XM, 32, ALIGN, 0, "r", CPU_AVX2 },
	BOTH(VMOVUPS, 112, EVEX, CPU_512VL),
	BOTH(VMOVAPS, 112, EVEX | ALIGN, CPU_512VL),
	BOTH(VMOVUPD, 112, EVEX, CPU_512VL),
	BOTH(VMOVAPD, 112, EVEX | ALIGN, CPU_512VL),
	BOTH(VMOVDQU8, 112, EVEX, CPU_512BW),
	BOTH(VMOVDQU16, 112, EVEX, CPU_512BW),
	BOTH(VMOVDQU32, 112, EVEX, CPU_512VL),
	BOTH(VMOVDQU64, 112, EVEX, CPU_512VL),
	BOTH(VMOVDQA32, 112, EVEX | ALIGN, CPU_512VL),
	BOTH(VMOVDQA64, 112, EVEX | ALIGN, CPU_512VL),
	{ Z(VMOVNTDQ), MX, 64, EVEX | ALIGN, 0, "w", CPU_512F },
	{ Z(VMOVNTDQA), XM, 64, EVEX | ALIGN, 0, "r", CPU_512F },
};
#define T_FORMS (sizeof(t_forms) / sizeof(t_forms[0]))

/* Those that stepping.c runs. Writes of masked stores depend on the mask: NOCOUNT. */
#define SHIFT(m)                                                                \
	{ Z(m), MI, 15, STEP, 0, "rw", 0 }, { Z(m), MC, 15, STEP, 0, "rw", 0 }, \
	{                                                                       \
		Z(m), M1, 15, STEP, 0, "rw", 0                                  \
	}
static const struct t_form t_step_forms[] = {
	SHIFT(SHL),
	SHIFT(SHR),
	SHIFT(SAR),
	SHIFT(ROL),
	SHIFT(ROR),
	SHIFT(RCL),
	SHIFT(RCR),
	{ Z(IMUL), RM, 14, STEP, 0, "r", 0 },
	{ Z(IMUL), M, 15, STEP, 0, "r", 0 },
	{ Z(MUL), M, 15, STEP, 0, "r", 0 },
	{ Z(DIV), M, 15, STEP | DIVIDE, 0, "r", 0 },
	{ Z(IDIV), M, 15, STEP | DIVIDE, 0, "r", 0 },
	{ Z(CMPXCHG8B), M, 8, STEP | LOCK, 0, "rw", 0 },
	{ Z(CMPXCHG16B), M, 16, STEP | LOCK | ALIGN, 0, "rw", CPU_CX16 },
	{ Z(BSF), RM, 14, STEP, 0, "r", 0 },
	{ Z(POPCNT), RM, 14, STEP, 0, "r", CPU_POPCNT },
	{ Z(TZCNT), RM, 14, STEP, 0, "r", CPU_BMI1 },
	{ Z(MOVQ), XM, 8, STEP | MMX, 8, "r", 0 },
	{ Z(MOVQ), MX, 8, STEP | MMX, 8, "w", 0 },
	{ Z(PADDD), XM, 8, STEP | MMX, 8, "r", 0 },
	{ Z(MOVLPS), XM, 8, STEP, 16, "r", 0 },
	{ Z(MOVLPS), MX, 8, STEP, 16, "w", 0 },
	{ Z(MOVHPD), XM, 8, STEP, 16, "r", 0 },
	{ Z(MOVHPD), MX, 8, STEP, 16, "w", 0 },
	{ Z(ADDPS), XM, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(ADDSS), XM, 4, STEP, 16, "r", 0 },
	{ Z(MULSD), XM, 8, STEP, 16, "r", 0 },
	{ Z(UCOMISD), XM, 8, STEP, 16, "r", 0 },
	{ Z(COMISS), XM, 4, STEP, 16, "r", 0 },
	{ Z(SQRTPD), XM, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(CVTDQ2PS), XM, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(PXOR), XM, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(PADDB), XM, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(PCMPEQD), XM, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(PSHUFD), XMI, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(SHUFPS), XMI, 16, STEP | ALIGN, 0, "r", 0 },
	{ Z(PINSRW), XMI, 2, STEP, 16, "r", 0 },
	{ Z(PINSRD), XMI, 4, STEP, 16, "r", CPU_SSE41 },
	{ Z(PEXTRB), MXI, 1, STEP, 16, "w", CPU_SSE41 },
	{ Z(PEXTRD), MXI, 4, STEP, 16, "w", CPU_SSE41 },
	{ Z(PEXTRQ), MXI, 8, STEP, 16, "w", CPU_SSE41 },
	{ Z(EXTRACTPS), MXI, 4, STEP, 16, "w", CPU_SSE41 },
	{ Z(PMOVZXBW), XM, 8, STEP, 16, "r", CPU_SSE41 },
	{ Z(PSHUFB), XM, 16, STEP | ALIGN, 0, "r", CPU_SSSE3 },
	{ Z(LDMXCSR), M, 4, STEP | NOCOUNT | MAYFAULT, 0, "r", 0 },
	{ Z(STMXCSR), M, 4, STEP, 0, "w", 0 },
	{ Z(FNSTCW), M, 2, STEP, 0, "w", 0 },
	{ Z(FLDCW), M, 2, STEP, 0, "r", 0 },
	{ Z(FLD), M, 12, STEP, 0, "r", 0 },
	{ Z(FILD), M, 14, STEP, 0, "r", 0 },
	{ Z(FST), M, 12, STEP, 0, "w", 0 },
	{ Z(FSTP), M, 12, STEP, 0, "w", 0 },
	{ Z(FISTP), M, 14, STEP, 0, "w", 0 },
	{ Z(FADD), M, 12, STEP, 0, "r", 0 },
	{ Z(FXSAVE), M, 512, STEP | ALIGN | NOCOUNT | FEW, 0, "w", 0 },
	{ Z(FXSAVE64), M, 512, STEP | ALIGN | NOCOUNT | FEW, 0, "w", 0 },
	{ Z(FXRSTOR), M, 512, STEP | ALIGN | NOCOUNT | FEW | MAYFAULT, 0, "r", 0 },
	{ Z(VADDPS), XXM, 48, STEP, 0, "r", CPU_AVX },
	{ Z(VPADDD), XXM, 48, STEP, 0, "r", CPU_AVX2 },
	{ Z(VPXOR), XXM, 48, STEP, 0, "r", CPU_AVX2 },
	{ Z(VBROADCASTSS), XM, 4, STEP, 32, "r", CPU_AVX },
	{ Z(VBROADCASTI128), XM, 16, STEP, 32, "r", CPU_AVX2 },
	{ Z(VPBROADCASTB), XM, 1, STEP, 32, "r", CPU_AVX2 },
	{ Z(VINSERTI128), XXMI, 16, STEP, 32, "r", CPU_AVX2 },
	{ Z(VEXTRACTI128), MXI, 16, STEP, 32, "w", CPU_AVX2 },
	{ Z(VMASKMOVPS), XXM, 48, STEP | NOCOUNT, 0, "r", CPU_AVX },
	{ Z(VPMASKMOVQ), XXM, 48, STEP | NOCOUNT, 0, "r", CPU_AVX2 },
	{ Z(VCVTPS2PH), MXI, 8, STEP, 16, "w", CPU_F16C },
	{ Z(VFMADD231PD), XXM, 48, STEP, 0, "r", CPU_FMA },
	{ Z(VPADDD), XXM, 112, STEP | EVEX, 0, "r", CPU_512VL },
	{ Z(VPADDQ), XKXM, 112, STEP | EVEX | ZERO | NOCOUNT, 0, "r", CPU_512VL },
	{ Z(VADDPD), XKXM, 112, STEP | EVEX | ZERO | NOCOUNT, 0, "r", CPU_512VL },
	{ Z(VMOVDQU8), XKM, 112, STEP | EVEX | ZERO | NOCOUNT, 0, "r", CPU_512BW },
	{ Z(VMOVDQU8), MKX, 112, STEP | EVEX | NOCOUNT, 0, "w", CPU_512BW },
	{ Z(VMOVDQU16), MKX, 112, STEP | EVEX | NOCOUNT, 0, "w", CPU_512BW },
	{ Z(VMOVDQU32), XKM, 112, STEP | EVEX | ZERO | NOCOUNT, 0, "r", CPU_512VL },
	{ Z(VMOVDQU32), MKX, 112, STEP | EVEX | NOCOUNT, 0, "w", CPU_512VL },
	{ Z(VMOVAPD), XKM, 112, STEP | EVEX | ZERO | ALIGN | NOCOUNT, 0, "r", CPU_512VL },
	{ Z(VMOVAPD), MKX, 112, STEP | EVEX | ALIGN | NOCOUNT, 0, "w", CPU_512VL },
	{ Z(VMOVSS), XKM, 4, STEP | EVEX | ZERO | NOCOUNT, 16, "r", CPU_512F },
	{ Z(VMOVSD), MKX, 8, STEP | EVEX | NOCOUNT, 16, "w", CPU_512F },
	{ Z(VPCOMPRESSD), MKX, 112, STEP | EVEX | NOCOUNT, 0, "w", CPU_512VL },
	{ Z(VPCOMPRESSB), MKX, 112, STEP | EVEX | NOCOUNT, 0, "w", CPU_512VBMI2 },
	{ Z(VPEXPANDQ), XKM, 112, STEP | EVEX | ZERO | NOCOUNT, 0, "r", CPU_512VL },
	{ Z(VPEXPANDW), XKM, 112, STEP | EVEX | ZERO | NOCOUNT, 0, "r", CPU_512VBMI2 },
	{ Z(KMOVB), KM, 1, STEP, 0, "r", CPU_512BW },
	{ Z(KMOVW), MK, 2, STEP, 0, "w", CPU_512F },
	{ Z(KMOVQ), KM, 8, STEP, 0, "r", CPU_512BW },
	{ Z(KMOVQ), MK, 8, STEP, 0, "w", CPU_512BW },
};
#define T_STEP_FORMS (sizeof(t_step_forms) / sizeof(t_step_forms[0]))

static ZydisRegister t_gpr(unsigned n, unsigned size)
{
	static const ZydisRegister base[] = { [1] = ZYDIS_REGISTER_AL,
					      [2] = ZYDIS_REGISTER_AX,
					      [4] = ZYDIS_REGISTER_EAX,
					      [8] = ZYDIS_REGISTER_RAX };

	if (size == 1) /* 0-15: low bytes; 16-19: ah ch dh bh */
		return n >= 16 ? ZYDIS_REGISTER_AH + n - 16
		       : n < 4 ? ZYDIS_REGISTER_AL + n
			       : ZYDIS_REGISTER_SPL + n - 4;
	return base[size] + n;
}

static ZydisRegister t_vec(unsigned n, unsigned size)
{
	return (size == 64   ? ZYDIS_REGISTER_ZMM0
		: size == 32 ? ZYDIS_REGISTER_YMM0
			     : ZYDIS_REGISTER_XMM0) +
	       n;
}

static ZydisEncoderOperand t_reg_op(ZydisRegister r)
{
	return (ZydisEncoderOperand){ .type = ZYDIS_OPERAND_TYPE_REGISTER, .reg.value = r };
}
static ZydisEncoderOperand t_imm_op(uint64_t v)
{
	return (ZydisEncoderOperand){ .type = ZYDIS_OPERAND_TYPE_IMMEDIATE, .imm.u = v };
}

/*
 * A memory operand of @size at @at in the window, in a random way; sets the registers of the
 * address in @s.
 */
static ZydisEncoderOperand t_mem_op(struct t_state *s, uint64_t at, unsigned size, bool *rip)
{
	ZydisEncoderOperand op = { .type = ZYDIS_OPERAND_TYPE_MEMORY, .mem.size = (ZyanU16)size };
	uint64_t a = (uintptr_t)t.window + at, r = t_rand();
	unsigned kind = r & 15, base = r >> 4 & 15, index = r >> 8 & 15, w = r >> 12 & 7 ? 8 : 4;
	int64_t disp = r >> 16 & 1 ? (int8_t)(r >> 24) : (int32_t)(r >> 32);

	*rip = false;
	if (kind == 0) { /* rip or eip */
		op.mem.base = w == 8 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP;
		op.mem.displacement = (ZyanI64)a;
		*rip = true;
		return op;
	}
	if (kind == 1) { /* absolute: below 2 GiB */
		op.mem.displacement = (ZyanI64)a;
		return op;
	}
	if (kind < 6)
		disp = 0;
	op.mem.displacement = disp;
	a -= (uint64_t)disp;
	if (kind & 1 && index != 4 && index != base) {
		op.mem.index = t_gpr(index, w);
		op.mem.scale = (ZyanU8)(1u << (r >> 18 & 3));
		/* far from the window, a base that is the stack pointer would not be canonical */
		if (r >> 20 & 1 || base == T_RSP)
			s->r[index] &= 0xff;
		a -= (w == 8 ? s->r[index] : (uint32_t)s->r[index]) * op.mem.scale;
	}
	op.mem.base = t_gpr(base, w);
	/* the upper half does not matter for a 32-bit address */
	s->r[base] = w == 8 ? a : (s->r[base] & ~0xffffffffull) | (uint32_t)a;
	return op;
}

static bool t_encode(ZydisEncoderRequest q, bool rip, uint8_t *code, size_t *len)
{
	return ZYAN_SUCCESS(
		rip ? ZydisEncoderEncodeInstructionAbsolute(&q, code, len, (uintptr_t)t.code + 64)
		    : ZydisEncoderEncodeInstruction(&q, code, len));
}

/*
 * One of @f with memory of @size at offset @at of the window. Its length, or 0: could not be
 * encoded (try again).
 */
static size_t t_make(const struct t_form *f, unsigned size, uint64_t at, struct t_state *s,
		     uint8_t code[16])
{
	ZydisEncoderRequest q = { .machine_mode = ZYDIS_MACHINE_MODE_LONG_64, .mnemonic = f->m };
	unsigned reg = f->reg ? f->reg : size, n = t_rand() & 15, v = n, v2 = t_rand() & 15;
	ZydisEncoderOperand mem, gpr, vec, vec2, imm8, immw, k;
	uint64_t r = t_rand();
	size_t len = 16;
	bool rip;

	t_random_state(s);
	if (f->flags & STEP && n == T_RSP) /* refused: nobody computes there */
		return 0;
	if (f->shape == RM || f->shape == MR) {
		if (reg == 1 && r & 1)
			n = 16 + (r >> 1 & 3);
		gpr = t_reg_op(t_gpr(n, reg));
	} else {
		gpr = t_imm_op(0);
	}
	mem = t_mem_op(s, at, size, &rip);
	/* it may be loaded into the stack pointer */
	if ((f->shape == RM || f->shape == MR) && n == T_RSP && size == 8) {
		uint64_t v;

		memcpy(&v, t.alias + at, 8);
		v &= T_STACK_BITS;
		memcpy(t.alias + at, &v, 8);
	}
	if (f->flags & BIT && (f->shape == MR)) {
		/*
		 * a bit number that stays within the trapped page, if the register is not in the
		 * address
		 */
		uint64_t lo = T_TRAP, hi = T_TRAP + T_TRAPPED - size;
		int64_t words;

		if (t_gpr(n, 8) == ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
								    mem.mem.base) ||
		    t_gpr(n, 8) == ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
								    mem.mem.index))
			return 0;
		words = (int64_t)(r >> 8 & 0xff) - 128;
		if (at + (uint64_t)(words * (int64_t)size) < lo ||
		    at + (uint64_t)(words * (int64_t)size) > hi)
			words = 0;
		words = words * size * 8 + (int64_t)(r >> 16 & (size * 8 - 1));
		memcpy(&s->r[n], &words, size); /* what is above is not the operand */
	}
	if (f->flags & DIVIDE) { /* let quotients fit */
		s->r[T_RDX] = s->r[T_RAX] >> 63 ? ~0ull : 0;
		if (size == 1)
			s->r[T_RAX] &= 0x7f;
		mem = t_mem_op(s, at, size, &rip);
	}
	if (f->m == Z(CMPXCHG) && r >> 20 & 1) { /* let it be equal */
		if (mem.mem.base != ZYDIS_REGISTER_RAX && mem.mem.base != ZYDIS_REGISTER_EAX &&
		    mem.mem.index != ZYDIS_REGISTER_RAX && mem.mem.index != ZYDIS_REGISTER_EAX)
			memcpy(&s->r[0], t.alias + at, size);
	}
	if (f->flags & EVEX) {
		q.allowed_encodings = ZYDIS_ENCODABLE_ENCODING_EVEX;
		v += r >> 24 & 16;
		v2 += r >> 25 & 16;
		if (f->flags & ZERO)
			q.evex.zeroing_mask = r >> 30 & 1;
	} else if (f->need) {
		q.allowed_encodings =
			ZYDIS_ENCODABLE_ENCODING_VEX | ZYDIS_ENCODABLE_ENCODING_LEGACY;
	}
	if (f->flags & MMX)
		vec = t_reg_op(ZYDIS_REGISTER_MM0 + (v & 7));
	else
		vec = t_reg_op(t_vec(v, reg));
	vec2 = t_reg_op(t_vec(v2, reg));
	imm8 = t_imm_op((uint64_t)(int64_t)(int8_t)(r >> 32));
	immw = t_imm_op(size == 2 ? (uint64_t)(int64_t)(int16_t)(r >> 32)
				  : (uint64_t)(int64_t)(int32_t)(r >> 32));
	if (f->flags & (BIT | STEP) || f->m == Z(BT) || f->m == Z(BTS) || f->m == Z(BTR) ||
	    f->m == Z(BTC))
		imm8.imm.u &= 0xff;
	k = t_reg_op(ZYDIS_REGISTER_K0 +
		     (f->shape == KM || f->shape == MK ? r >> 40 & 7 : 1 + (r >> 40 & 7) % 7));
#define OPS(...)                                                \
	do {                                                    \
		ZydisEncoderOperand ops[] = { __VA_ARGS__ };    \
		q.operand_count = sizeof(ops) / sizeof(ops[0]); \
		memcpy(q.operands, ops, sizeof(ops));           \
	} while (0)
	switch (f->shape) {
	case RM:
		OPS(gpr, mem);
		break;
	case MR:
		OPS(mem, gpr);
		break;
	case MI:
		OPS(mem, imm8);
		break;
	case MW:
		OPS(mem, immw);
		break;
	case M:
		OPS(mem);
		break;
	case XM:
		OPS(vec, mem);
		break;
	case MX:
		OPS(mem, vec);
		break;
	case XXM:
		OPS(vec, vec2, mem);
		break;
	case XMI:
		OPS(vec, mem, imm8);
		break;
	case XXMI:
		OPS(vec, vec2, mem, imm8);
		break;
	case MXI:
		OPS(mem, vec, imm8);
		break;
	case MC:
		OPS(mem, t_reg_op(ZYDIS_REGISTER_CL));
		break;
	case M1:
		OPS(mem, t_imm_op(1));
		break;
	case KM:
		OPS(k, mem);
		break;
	case MK:
		OPS(mem, k);
		break;
	case XKM:
		OPS(vec, k, mem);
		break;
	case MKX:
		OPS(mem, k, vec);
		break;
	case XKXM:
		OPS(vec, k, vec2, mem);
		break;
	}
	/* a split lock is slow, and an error on some systems */
	if (f->m == Z(XCHG) && at & (size - 1))
		return 0;
	if (f->flags & LOCK && r >> 50 & 1 && !(at & (size - 1)))
		q.prefixes |= ZYDIS_ATTRIB_HAS_LOCK;
	/* EVEX: most have a mask operand, K0 for none, some do not */
	if (f->flags & EVEX && (f->shape == XM || f->shape == MX || f->shape == XXM)) {
		q.operands[3] = q.operands[2];
		q.operands[2] = q.operands[1];
		q.operands[1] = t_reg_op(ZYDIS_REGISTER_K0);
		q.operand_count++;
		if (t_encode(q, rip, code, &len))
			return len;
		q.operands[1] = q.operands[2];
		q.operands[2] = q.operands[3];
		q.operand_count--;
		len = 16;
	}
	return t_encode(q, rip, code, &len) ? len : 0;
}

/*
 * A string instruction: any width, prefix and direction, 32-bit addresses too. Either side may be
 * anywhere in the window, so that some begin on ordinary pages and run into the trapped ones. No
 * element straddles the border.
 */
static size_t t_make_string(struct t_state *s, uint8_t code[16], unsigned *width)
{
	static const uint8_t ops[] = { 0xa4, 0xaa, 0xac, 0xa6,
				       0xae }; /* movs stos lods cmps scas, of bytes */
	static const uint8_t prefixes[] = { 0, 0xf3, 0xf2 };
	uint8_t op = ops[t_rand() % 5], prefix = prefixes[t_rand() % 3];
	uint64_t lo = (uintptr_t)t.window, r = t_rand();
	bool narrow = r & 1, down = r >> 1 & 1;
	size_t len = 0;

	*width = 1u << (t_rand() & 3);
	if (narrow)
		code[len++] = 0x67;
	if (prefix)
		code[len++] = prefix;
	if (*width == 2)
		code[len++] = 0x66;
	if (*width == 8)
		code[len++] = 0x48;
	code[len++] = (uint8_t)(op + (*width > 1));
	t_random_state(s);
	if (down)
		s->flags |= 0x400;
	s->r[T_RSI] = lo + T_PAGE + ((r >> 8) % (4 * T_PAGE - 128) & ~(uint64_t)7);
	s->r[T_RDI] = lo + T_PAGE + ((r >> 24) % (4 * T_PAGE - 128) & ~(uint64_t)7);
	if (r >> 40 & 1)
		s->r[T_RSI] = lo + T_TRAP + T_TRAPPED - 32;
	if (r >> 41 & 1)
		s->r[T_RDI] = lo + T_TRAP + (down ? 32 : T_TRAPPED - 32);
	s->r[T_RCX] = r >> 44 & 15;
	if (narrow) {
		s->r[T_RSI] |= r << 32;
		s->r[T_RDI] |= r << 33 & ~0xffffffffull;
		s->r[T_RCX] |= r << 32;
	}
	/* runs of equal bytes, for repe and repne */
	if (r >> 60 & 1)
		memset(t.alias, (int)(r >> 50), T_SIZE);
	if (r >> 61 & 1)
		memcpy(t.alias + T_TRAP, t.alias, T_TRAPPED);
	return len;
}
#endif
