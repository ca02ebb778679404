/* SPDX-License-Identifier: BSD-3-Clause */
/* x86/alu.h: arithmetic with the processor's own flags. */
#ifndef X86_ALU_H
#define X86_ALU_H
#include <stdint.h>

/* CF PF AF ZF SF OF: Intel SDM 1, 3.4.3.1 */
#define X86_STATUS_FLAGS 0x8d5ull

enum x86_alu {
	X86_ADD,
	X86_OR,
	X86_ADC,
	X86_SBB,
	X86_AND,
	X86_SUB,
	X86_XOR,
	X86_INC,
	X86_DEC,
	X86_NEG,
	X86_NOT,
	X86_BT,
	X86_BTS,
	X86_BTR,
	X86_BTC
};

/*
 * @dst OP @src in @size bytes (1, 2, 4, 8; the bit operations not 1); *@flags (RFLAGS) in and out.
 */
uint64_t x86_alu(enum x86_alu op, unsigned size, uint64_t dst, uint64_t src, uint64_t *flags);
#endif
