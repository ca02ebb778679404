/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/context.c: where registers are in a signal frame. General registers are in mcontext; vector
 * registers in the XSAVE area that fpregs points to, in the standard (not compacted) format: Intel
 * SDM 1, 13.4. What a component's header bit says is absent is in its initial state, all zero.
 */
#include <cpuid.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "x86/context.h"

static int greg_of(ZydisRegister full)
{
	static const int map[] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
				   REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
				   REG_R12, REG_R13, REG_R14, REG_R15 };

	if (full == ZYDIS_REGISTER_RIP)
		return REG_RIP;
	if (full < ZYDIS_REGISTER_RAX || full > ZYDIS_REGISTER_R15)
		return -1;
	return map[full - ZYDIS_REGISTER_RAX];
}

static bool is_high_byte(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_AH || reg == ZYDIS_REGISTER_BH || reg == ZYDIS_REGISTER_CH ||
	       reg == ZYDIS_REGISTER_DH;
}

static unsigned width(ZydisRegister reg)
{
	return ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);
}

bool x86_get_reg(const ucontext_t *uc, ZydisRegister reg, uint64_t *value)
{
	int g = greg_of(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
	unsigned w = width(reg);
	uint64_t v;

	if (g < 0)
		return false;
	v = (uint64_t)uc->uc_mcontext.gregs[g];
	if (is_high_byte(reg))
		v >>= 8;
	*value = w >= 64 ? v : v & ((1ull << w) - 1);
	return true;
}

bool x86_set_reg(ucontext_t *uc, ZydisRegister reg, uint64_t value)
{
	int g = greg_of(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg));
	unsigned w = width(reg), shift = is_high_byte(reg) ? 8 : 0;
	uint64_t mask, *r;

	if (g < 0)
		return false;
	r = (uint64_t *)&uc->uc_mcontext.gregs[g];
	if (w == 64)
		*r = value;
	else if (w == 32)
		*r = (uint32_t)value;
	else {
		mask = ((1ull << w) - 1) << shift;
		*r = (*r & ~mask) | (value << shift & mask);
	}
	return true;
}

/* Components of the XSAVE area: SDM 1, 13.4; bits of XSTATE_BV: 13.1 */
enum { SSE = 1, AVX = 2, OPMASK = 5, ZMM_HI256 = 6, HI16_ZMM = 7 };
#define XSAVE_XMM    160u /* 13.4.1: XMM0 in the legacy area */
#define XSAVE_HEADER 512u
/*
 * linux: arch/x86/include/uapi/asm/sigcontext.h: struct _fpx_sw_bytes at byte 464 of the legacy
 * area
 */
#define SW_BYTES  464u
#define SW_MAGIC1 0x46505853u

/*
 * CPUID 0DH: where a component is in the standard format; 0 if the processor has none. Read once.
 */
static unsigned component_offset(unsigned c)
{
	static _Atomic unsigned cache[8];
	unsigned a, b, cx, d, off = atomic_load_explicit(&cache[c], memory_order_relaxed);

	if (!off) {
		if (!__get_cpuid_count(0xd, c, &a, &b, &cx, &d) || !b)
			return 0;
		off = b;
		atomic_store_explicit(&cache[c], off, memory_order_relaxed);
	}
	return off;
}

/*
 * The component's bytes for register @i of @each bytes, made present for writing. NULL: the frame
 * has no such component.
 */
static uint8_t *component(const ucontext_t *uc, unsigned c, unsigned i, unsigned each,
			  unsigned regs, bool write, bool *present)
{
	uint8_t *area = (uint8_t *)uc->uc_mcontext.fpregs, *p;
	uint64_t xfeatures, bv;
	uint32_t magic, size;
	unsigned off;

	if (!area)
		return NULL;
	if (c == SSE) {
		off = XSAVE_XMM;
	} else {
		memcpy(&magic, area + SW_BYTES, 4);
		memcpy(&xfeatures, area + SW_BYTES + 8, 8);
		memcpy(&size, area + SW_BYTES + 16, 4);
		off = component_offset(c);
		if (magic != SW_MAGIC1 || !(xfeatures >> c & 1) || !off || off + each * regs > size)
			return NULL;
	}
	memcpy(&magic, area + SW_BYTES, 4);
	p = area + off;
	*present = true;
	if (magic == SW_MAGIC1) {
		memcpy(&bv, area + XSAVE_HEADER, 8);
		*present = bv >> c & 1;
		if (write && !*present) {
			memset(p, 0, (size_t)each * regs);
			bv |= 1ull << c;
			memcpy(area + XSAVE_HEADER, &bv, 8);
			*present = true;
		}
	}
	return p + (size_t)i * each;
}

static int vec_index(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_XMM0 && reg <= ZYDIS_REGISTER_XMM31)
		return reg - ZYDIS_REGISTER_XMM0;
	if (reg >= ZYDIS_REGISTER_YMM0 && reg <= ZYDIS_REGISTER_YMM31)
		return reg - ZYDIS_REGISTER_YMM0;
	if (reg >= ZYDIS_REGISTER_ZMM0 && reg <= ZYDIS_REGISTER_ZMM31)
		return reg - ZYDIS_REGISTER_ZMM0;
	return -1;
}

/*
 * The three places of register @i: bytes 0-15, 16-31, 32-63; ZMM16-31 are whole in one component.
 */
struct place {
	unsigned comp, index, each, regs, from, to;
};
static unsigned places(int i, struct place p[3])
{
	if (i >= 16) {
		p[0] = (struct place){ HI16_ZMM, (unsigned)i - 16, 64, 16, 0, 64 };
		return 1;
	}
	p[0] = (struct place){ SSE, (unsigned)i, 16, 16, 0, 16 };
	p[1] = (struct place){ AVX, (unsigned)i, 16, 16, 16, 32 };
	p[2] = (struct place){ ZMM_HI256, (unsigned)i, 32, 16, 32, 64 };
	return 3;
}

bool x86_get_vec(const ucontext_t *uc, ZydisRegister reg, void *bytes, unsigned size)
{
	int i = vec_index(reg);
	struct place pl[3];
	unsigned n, k;

	if (i < 0 || size > 64)
		return false;
	n = places(i, pl);
	for (k = 0; k < n && pl[k].from < size; k++) {
		unsigned len = (size < pl[k].to ? size : pl[k].to) - pl[k].from;
		bool present;
		uint8_t *p = component(uc, pl[k].comp, pl[k].index, pl[k].each, pl[k].regs, false,
				       &present);

		if (!p)
			return false;
		if (present)
			memcpy((uint8_t *)bytes + pl[k].from, p, len);
		else
			memset((uint8_t *)bytes + pl[k].from, 0, len);
	}
	return true;
}

bool x86_set_vec(ucontext_t *uc, ZydisRegister reg, const void *bytes, unsigned size,
		 bool zero_upper)
{
	int i = vec_index(reg);
	struct place pl[3];
	unsigned n, k;
	bool present;
	uint8_t *p;

	if (i < 0 || size > 64)
		return false;
	n = places(i, pl);
	/* all that is needed is there, before anything changes */
	for (k = 0; k < n && pl[k].from < size; k++)
		if (!component(uc, pl[k].comp, pl[k].index, pl[k].each, pl[k].regs, false,
			       &present))
			return false;
	for (k = 0; k < n; k++) {
		unsigned len =
			size <= pl[k].from ? 0 : (size < pl[k].to ? size : pl[k].to) - pl[k].from;

		if (!len && !zero_upper)
			break;
		p = component(uc, pl[k].comp, pl[k].index, pl[k].each, pl[k].regs, len != 0,
			      &present);
		if (!p || !present)
			continue; /* absent above what was written: zero already */
		memcpy(p, (const uint8_t *)bytes + (len ? pl[k].from : 0), len);
		if (zero_upper)
			memset(p + len, 0, pl[k].to - pl[k].from - len);
	}
	return true;
}

bool x86_get_mask(const ucontext_t *uc, ZydisRegister reg, uint64_t *value)
{
	unsigned k = (unsigned)(reg - ZYDIS_REGISTER_K0);
	bool present;
	uint8_t *p;

	if (reg < ZYDIS_REGISTER_K0 || reg > ZYDIS_REGISTER_K7)
		return false;
	p = component(uc, OPMASK, k, 8, 8, false, &present);
	if (!p)
		return false;
	*value = 0;
	if (present)
		memcpy(value, p, 8);
	return true;
}
