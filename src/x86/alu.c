/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/alu.c: the idea is not to know what flags an operation sets, but to let the processor do the
 * operation on registers, with the program's flags before it, and take its flags after it. What is
 * architecturally undefined then comes out as on this processor, too.
 */
#include "x86/alu.h"

/* below the red zone, which the compiler may be using */
#define FLAGS_IN  "leaq -128(%%rsp), %%rsp\n\tpushq %[f]\n\tpopfq\n\t"
#define FLAGS_OUT "\n\tpushfq\n\tpopq %[f]\n\tleaq 128(%%rsp), %%rsp"

#define TWO(insn, T)                                                   \
	do {                                                           \
		T d = (T)dst, s = (T)src;                              \
		__asm__ volatile(FLAGS_IN insn " %[s], %[d]" FLAGS_OUT \
				 : [d] "+r"(d), [f] "+r"(f)            \
				 : [s] "r"(s)                          \
				 : "cc", "memory");                    \
		dst = d;                                               \
	} while (0)
#define ONE(insn, T)                                             \
	do {                                                     \
		T d = (T)dst;                                    \
		__asm__ volatile(FLAGS_IN insn " %[d]" FLAGS_OUT \
				 : [d] "+r"(d), [f] "+r"(f)      \
				 :                               \
				 : "cc", "memory");              \
		dst = d;                                         \
	} while (0)

#define BY_SIZE(kind, name)               \
	switch (size) {                   \
	case 1:                           \
		kind(name "b", uint8_t);  \
		break;                    \
	case 2:                           \
		kind(name "w", uint16_t); \
		break;                    \
	case 4:                           \
		kind(name "l", uint32_t); \
		break;                    \
	default:                          \
		kind(name "q", uint64_t); \
	}                                 \
	break
/* there are no bit operations on bytes */
#define BY_SIZE_BIT(name)                \
	switch (size) {                  \
	case 2:                          \
		TWO(name "w", uint16_t); \
		break;                   \
	case 4:                          \
		TWO(name "l", uint32_t); \
		break;                   \
	default:                         \
		TWO(name "q", uint64_t); \
	}                                \
	break

uint64_t x86_alu(enum x86_alu op, unsigned size, uint64_t dst, uint64_t src, uint64_t *flags)
{
	/* bit 1 always reads 1; no trap flag, no direction flag while we compute */
	uint64_t f = (*flags & X86_STATUS_FLAGS) | 2;

	switch (op) {
	case X86_ADD:
		BY_SIZE(TWO, "add");
	case X86_OR:
		BY_SIZE(TWO, "or");
	case X86_ADC:
		BY_SIZE(TWO, "adc");
	case X86_SBB:
		BY_SIZE(TWO, "sbb");
	case X86_AND:
		BY_SIZE(TWO, "and");
	case X86_SUB:
		BY_SIZE(TWO, "sub");
	case X86_XOR:
		BY_SIZE(TWO, "xor");
	case X86_INC:
		BY_SIZE(ONE, "inc");
	case X86_DEC:
		BY_SIZE(ONE, "dec");
	case X86_NEG:
		BY_SIZE(ONE, "neg");
	case X86_NOT:
		BY_SIZE(ONE, "not");
	case X86_BT:
		BY_SIZE_BIT("bt");
	case X86_BTS:
		BY_SIZE_BIT("bts");
	case X86_BTR:
		BY_SIZE_BIT("btr");
	case X86_BTC:
		BY_SIZE_BIT("btc");
	}
	*flags = (*flags & ~X86_STATUS_FLAGS) | (f & X86_STATUS_FLAGS);
	return dst;
}
