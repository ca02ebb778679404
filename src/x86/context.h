/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/context.h: registers of an interrupted thread, as a signal frame holds them, by Zydis's
 * names.
 */
#ifndef X86_CONTEXT_H
#define X86_CONTEXT_H
#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* A general register of any width (RIP too): false if @reg is none. */
bool x86_get_reg(const ucontext_t *uc, ZydisRegister reg, uint64_t *value);
/* Write with the processor's rule: 32 bits clear the upper half, 8 and 16 leave the rest. */
bool x86_set_reg(ucontext_t *uc, ZydisRegister reg, uint64_t value);

/*
 * Vector registers (XMM, YMM, ZMM) in the frame's XSAVE area. Get fills @bytes of the register's
 * width. Set writes the low @size bytes; the bits above, up to the largest vector the processor
 * has, are cleared if @zero_upper (VEX and EVEX do, legacy SSE does not). False: not a vector
 * register, or the frame does not hold it.
 */
bool x86_get_vec(const ucontext_t *uc, ZydisRegister reg, void *bytes, unsigned size);
bool x86_set_vec(ucontext_t *uc, ZydisRegister reg, const void *bytes, unsigned size,
		 bool zero_upper);
/* A mask register, K0 to K7. False as above. */
bool x86_get_mask(const ucontext_t *uc, ZydisRegister reg, uint64_t *value);
#endif
