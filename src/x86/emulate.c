/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/emulate.c: decodes one instruction and carries it out. Zydis decodes; alu.c has the
 * processor compute; context.c knows the registers. Here is what compilers generate for a register
 * of a device; strings (string.c), plain vector moves (vector.c) and everything else (stepping.c)
 * have files of their own.
 *
 * The order within an instruction: what can be refused is refused, then all reads, then the write,
 * then registers and RIP. So a device that is read is read once, and an error leaves the program at
 * the instruction. Device accesses have the width of the instruction's operand; what is wider than
 * 8 bytes goes out in ascending pieces of 8, as a root port may cut it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/guard.h"
#include "x86/alu.h"
#include "x86/context.h"
#include "x86/emulate.h"
#include "x86/internal.h"

#define MAX_INSN 15u  /* Intel SDM 2, 2.3.11 */
#define FLAG_CF	 0x1u /* SDM 1, 3.4.3.1 */
#define FLAG_PF	 0x4u
#define FLAG_ZF	 0x40u
#define FLAG_SF	 0x80u
#define FLAG_OF	 0x800u
#define FLAG_RF	 0x10000u /* SDM 1, 3.4.3.3 */

int insn_done(struct insn *n)
{
	n->uc->uc_mcontext.gregs[REG_RIP] = (greg_t)n->next;
	/*
	 * A fault's frame has RF set, so that a debugger's breakpoint on the instruction does not
	 * hit twice; the next instruction's breakpoint must hit.
	 */
	n->uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)FLAG_RF;
	return 0;
}

static int done_flags(struct insn *n, uint64_t flags)
{
	n->uc->uc_mcontext.gregs[REG_EFL] = (greg_t)flags;
	return insn_done(n);
}

/* ---- memory ---- */

static int operand_address(const struct insn *n, const ZydisDecodedOperand *op, uintptr_t *out)
{
	uint64_t a = (uint64_t)op->mem.disp.value, v;

	/* no driver reaches a BAR through the thread pointer */
	if (op->mem.segment == ZYDIS_REGISTER_FS || op->mem.segment == ZYDIS_REGISTER_GS)
		return -EOPNOTSUPP;
	if (op->mem.base != ZYDIS_REGISTER_NONE) {
		if (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP)
			v = n->next;
		else if (!x86_get_reg(n->uc, op->mem.base, &v))
			return -EOPNOTSUPP;
		a += v;
	}
	if (op->mem.index != ZYDIS_REGISTER_NONE) {
		/* a vector: gather, scatter */
		if (!x86_get_reg(n->uc, op->mem.index, &v))
			return -EOPNOTSUPP;
		a += v * op->mem.scale;
	}
	if (n->i.address_width == 32)
		a = (uint32_t)a;
	*out = a;
	return 0;
}

int insn_protection(struct insn *n)
{
	*n->bad = 0;
	return -EFAULT;
}

static int bad_memory(struct insn *n, uintptr_t a)
{
	*n->bad = a;
	return -EFAULT;
}

int insn_locate(struct insn *n, uintptr_t a, unsigned size)
{
	int where = n->bus->where(n->bus->arg, a, size);

	return where > 0 ? 0 : where < 0 ? -EIO : INSN_RETRY;
}

int insn_load(struct insn *n, uintptr_t a, void *buf, unsigned size)
{
	unsigned at, len;
	uint64_t v;

	for (at = 0; at < size; at += len) {
		len = size - at >= 8 ? 8 : size - at >= 4 ? 4 : size - at >= 2 ? 2 : 1;
		v = 0;
		if (n->bus->read(n->bus->arg, a + at, len, &v))
			return -EIO;
		memcpy((char *)buf + at, &v, len);
	}
	return 0;
}

int insn_store(struct insn *n, uintptr_t a, const void *buf, unsigned size)
{
	unsigned at, len;
	uint64_t v;

	for (at = 0; at < size; at += len) {
		len = size - at >= 8 ? 8 : size - at >= 4 ? 4 : size - at >= 2 ? 2 : 1;
		v = 0;
		memcpy(&v, (const char *)buf + at, len);
		if (n->bus->write(n->bus->arg, a + at, len, v))
			return -EIO;
	}
	return 0;
}

int insn_load_any(struct insn *n, uintptr_t a, void *buf, unsigned size)
{
	int ret = insn_locate(n, a, size);
	size_t part;

	if (ret != INSN_RETRY)
		return ret ? ret : insn_load(n, a, buf, size);
	part = guard_copy_part(buf, (const void *)a, size);
	return part < size ? bad_memory(n, a + part) : 0;
}

int insn_store_any(struct insn *n, uintptr_t a, const void *buf, unsigned size)
{
	int ret = insn_locate(n, a, size);
	size_t part;

	if (ret != INSN_RETRY)
		return ret ? ret : insn_store(n, a, buf, size);
	part = guard_copy_part((void *)a, buf, size);
	return part < size ? bad_memory(n, a + part) : 0;
}

/* ---- operands of 1, 2, 4, 8 bytes ---- */

static unsigned op_size(const ZydisDecodedOperand *op)
{
	return op->size / 8;
}

static bool is_mem(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

/*
 * Check that get() and put() can do every operand that is written down (no segment or control
 * register), and that the memory is trapped.
 */
static int check(struct insn *n)
{
	unsigned size = op_size(n->mem);
	uint64_t v;

	if (size != 1 && size != 2 && size != 4 && size != 8)
		return -EOPNOTSUPP;
	for (unsigned k = 0; k < n->i.operand_count_visible; k++)
		if (n->op[k].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    !x86_get_reg(n->uc, n->op[k].reg.value, &v))
			return -EOPNOTSUPP;
	return insn_locate(n, n->at, size);
}

static int get(struct insn *n, const ZydisDecodedOperand *op, uint64_t *v)
{
	*v = 0;
	switch (op->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return x86_get_reg(n->uc, op->reg.value, v) ? 0 : -EOPNOTSUPP;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		*v = op->imm.value.u;
		return 0;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		return insn_load(n, n->at, v, op_size(op));
	default:
		return -EOPNOTSUPP;
	}
}

static int put(struct insn *n, const ZydisDecodedOperand *op, uint64_t v)
{
	if (op->type == ZYDIS_OPERAND_TYPE_REGISTER)
		return x86_set_reg(n->uc, op->reg.value, v) ? 0 : -EOPNOTSUPP;
	return insn_store(n, n->at, &v, op_size(op));
}

static uint64_t sign_extend(uint64_t v, unsigned size)
{
	switch (size) {
	case 1:
		return (uint64_t)(int64_t)(int8_t)v;
	case 2:
		return (uint64_t)(int64_t)(int16_t)v;
	case 4:
		return (uint64_t)(int64_t)(int32_t)v;
	}
	return v;
}

/* ---- instructions ---- */

enum extend { PLAIN, SIGN, SWAP };

static int do_mov(struct insn *n, enum extend how)
{
	unsigned size = op_size(&n->op[0]);
	uint64_t v;
	int ret = check(n);

	if (!ret)
		ret = get(n, &n->op[1], &v);
	if (ret)
		return ret;
	if (how == SIGN)
		v = sign_extend(v, op_size(&n->op[1]));
	if (how == SWAP)
		v = __builtin_bswap64(v) >> (64 - 8 * size);
	ret = put(n, &n->op[0], v);
	return ret ? ret : insn_done(n);
}

static int do_alu(struct insn *n, enum x86_alu op, bool keep)
{
	uint64_t a, b, flags = insn_flags(n);
	int ret = check(n);

	if (!ret)
		ret = get(n, &n->op[0], &a);
	if (!ret)
		ret = get(n, &n->op[1], &b);
	if (ret)
		return ret;
	a = x86_alu(op, op_size(&n->op[0]), a, b, &flags);
	ret = keep ? put(n, &n->op[0], a) : 0;
	return ret ? ret : done_flags(n, flags);
}

static int do_unary(struct insn *n, enum x86_alu op)
{
	uint64_t a, flags = insn_flags(n);
	int ret = check(n);

	if (!ret)
		ret = get(n, &n->op[0], &a);
	if (ret)
		return ret;
	a = x86_alu(op, op_size(&n->op[0]), a, 0, &flags);
	ret = put(n, &n->op[0], a);
	return ret ? ret : done_flags(n, flags);
}

/*
 * A bit number in a register reaches beyond the operand, which an immediate does not: SDM 2A, BT.
 */
static int do_bit(struct insn *n, enum x86_alu op)
{
	unsigned size = op_size(&n->op[0]), shift = size == 2 ? 4 : size == 4 ? 5 : 6;
	uint64_t bit, v = 0, flags = insn_flags(n);
	uintptr_t a = n->at;
	int ret;

	if (!is_mem(&n->op[0]))
		return -EOPNOTSUPP;
	ret = get(n, &n->op[1], &bit);
	if (ret)
		return ret;
	if (n->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		int64_t words = (int64_t)sign_extend(bit, op_size(&n->op[1])) >> shift;

		a += (uintptr_t)(words * (int64_t)size);
		if (n->i.address_width == 32)
			a = (uint32_t)a;
	}
	bit &= size * 8 - 1;
	ret = insn_locate(n, a, size);
	if (!ret)
		ret = insn_load(n, a, &v, size);
	if (ret)
		return ret;
	v = x86_alu(op, size, v, bit, &flags);
	ret = op == X86_BT ? 0 : insn_store(n, a, &v, size);
	return ret ? ret : done_flags(n, flags);
}

static int do_xchg(struct insn *n)
{
	const ZydisDecodedOperand *reg = &n->op[is_mem(&n->op[0])];
	uint64_t m, r;
	int ret = check(n);

	if (!ret)
		ret = get(n, n->mem, &m);
	if (!ret)
		ret = get(n, reg, &r);
	if (!ret)
		ret = put(n, n->mem, r);
	if (!ret)
		ret = put(n, reg, m);
	return ret ? ret : insn_done(n);
}

static int do_xadd(struct insn *n)
{
	uint64_t m, r, flags = insn_flags(n);
	int ret = check(n);

	if (!ret)
		ret = get(n, &n->op[0], &m);
	if (!ret)
		ret = get(n, &n->op[1], &r);
	if (!ret)
		ret = put(n, &n->op[0], x86_alu(X86_ADD, op_size(&n->op[0]), m, r, &flags));
	if (!ret)
		ret = put(n, &n->op[1], m);
	return ret ? ret : done_flags(n, flags);
}

/* The memory is written in both cases: SDM 2A, CMPXCHG. */
static int do_cmpxchg(struct insn *n)
{
	static const ZydisRegister acc[] = { [1] = ZYDIS_REGISTER_AL,
					     [2] = ZYDIS_REGISTER_AX,
					     [4] = ZYDIS_REGISTER_EAX,
					     [8] = ZYDIS_REGISTER_RAX };
	unsigned size = op_size(&n->op[0]);
	uint64_t m, r, a, flags = insn_flags(n);
	int ret = check(n);

	if (!ret)
		ret = get(n, &n->op[0], &m);
	if (!ret)
		ret = get(n, &n->op[1], &r);
	if (ret)
		return ret;
	x86_get_reg(n->uc, acc[size], &a);
	x86_alu(X86_SUB, size, a, m, &flags);
	ret = put(n, &n->op[0], a == m ? r : m);
	if (ret)
		return ret;
	if (a != m)
		x86_set_reg(n->uc, acc[size], m);
	return done_flags(n, flags);
}

/* True if the condition in the opcode's low 4 bits holds: SDM 2, appendix B.1.4.7 */
static bool condition(const struct insn *n)
{
	uint64_t f = insn_flags(n);
	unsigned cc = n->i.opcode & 15;
	bool less = !(f & FLAG_SF) != !(f & FLAG_OF), r = false;

	switch (cc >> 1) {
	case 0:
		r = f & FLAG_OF;
		break;
	case 1:
		r = f & FLAG_CF;
		break;
	case 2:
		r = f & FLAG_ZF;
		break;
	case 3:
		r = f & (FLAG_CF | FLAG_ZF);
		break;
	case 4:
		r = f & FLAG_SF;
		break;
	case 5:
		r = f & FLAG_PF;
		break;
	case 6:
		r = less;
		break;
	case 7:
		r = less || (f & FLAG_ZF);
		break;
	}
	return r != (cc & 1);
}

static int do_setcc(struct insn *n)
{
	int ret = check(n);

	if (!ret)
		ret = put(n, &n->op[0], condition(n));
	return ret ? ret : insn_done(n);
}

/* The load happens whatever the condition; 32 bits clear the upper half even when nothing moves. */
static int do_cmovcc(struct insn *n)
{
	uint64_t v;
	int ret = check(n);

	if (!ret)
		ret = get(n, &n->op[1], &v);
	if (!ret && !condition(n))
		ret = get(n, &n->op[0], &v);
	if (!ret)
		ret = put(n, &n->op[0], v);
	return ret ? ret : insn_done(n);
}

/* Move 64 bytes at once from memory to where a register points: SDM 2B, MOVDIR64B. */
static int do_movdir64b(struct insn *n)
{
	bool narrow = n->i.address_width == 32;
	uint8_t buf[64];
	uint64_t dst;
	int ret, s, d;

	if (!x86_get_reg(n->uc, n->op[0].reg.value, &dst))
		return -EOPNOTSUPP;
	if (narrow)
		dst = (uint32_t)dst;
	if (dst & 63)
		return insn_protection(n);
	s = insn_locate(n, n->at, 64);
	d = insn_locate(n, dst, 64);
	if (s == INSN_RETRY && d == INSN_RETRY)
		return INSN_RETRY;
	ret = insn_load_any(n, n->at, buf, 64);
	if (!ret)
		ret = insn_store_any(n, dst, buf, 64);
	return ret ? ret : insn_done(n);
}

/* Do nothing: a line of a device's memory is not in the cache, and the device sees nothing. */
static int do_cache_line(struct insn *n)
{
	int ret = insn_locate(n, n->at, 1);

	return ret ? ret : insn_done(n);
}

static int do_explicit(struct insn *n)
{
	switch (n->i.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_MOVDIRI:
		return do_mov(n, PLAIN);
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return do_mov(n, SIGN);
	case ZYDIS_MNEMONIC_MOVBE:
		return do_mov(n, SWAP);
	case ZYDIS_MNEMONIC_ADD:
		return do_alu(n, X86_ADD, true);
	case ZYDIS_MNEMONIC_OR:
		return do_alu(n, X86_OR, true);
	case ZYDIS_MNEMONIC_ADC:
		return do_alu(n, X86_ADC, true);
	case ZYDIS_MNEMONIC_SBB:
		return do_alu(n, X86_SBB, true);
	case ZYDIS_MNEMONIC_AND:
		return do_alu(n, X86_AND, true);
	case ZYDIS_MNEMONIC_SUB:
		return do_alu(n, X86_SUB, true);
	case ZYDIS_MNEMONIC_XOR:
		return do_alu(n, X86_XOR, true);
	case ZYDIS_MNEMONIC_CMP:
		return do_alu(n, X86_SUB, false);
	case ZYDIS_MNEMONIC_TEST:
		return do_alu(n, X86_AND, false);
	case ZYDIS_MNEMONIC_INC:
		return do_unary(n, X86_INC);
	case ZYDIS_MNEMONIC_DEC:
		return do_unary(n, X86_DEC);
	case ZYDIS_MNEMONIC_NEG:
		return do_unary(n, X86_NEG);
	case ZYDIS_MNEMONIC_NOT:
		return do_unary(n, X86_NOT);
	case ZYDIS_MNEMONIC_BT:
		return do_bit(n, X86_BT);
	case ZYDIS_MNEMONIC_BTS:
		return do_bit(n, X86_BTS);
	case ZYDIS_MNEMONIC_BTR:
		return do_bit(n, X86_BTR);
	case ZYDIS_MNEMONIC_BTC:
		return do_bit(n, X86_BTC);
	case ZYDIS_MNEMONIC_XCHG:
		return do_xchg(n);
	case ZYDIS_MNEMONIC_XADD:
		return do_xadd(n);
	case ZYDIS_MNEMONIC_CMPXCHG:
		return do_cmpxchg(n);
	case ZYDIS_MNEMONIC_MOVDIR64B:
		return do_movdir64b(n);
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
		return do_cache_line(n);
	default:
		break;
	}
	/* 0F 90+cc SETcc, 0F 40+cc CMOVcc */
	if (n->i.meta.category == ZYDIS_CATEGORY_SETCC)
		return do_setcc(n);
	if (n->i.meta.category == ZYDIS_CATEGORY_CMOV)
		return do_cmovcc(n);
	return insn_vector(n);
}

static int execute(struct insn *n)
{
	int ret;

	if (n->i.meta.category == ZYDIS_CATEGORY_STRINGOP)
		return insn_string(n);
	for (unsigned k = 0; k < n->i.operand_count_visible && !n->mem; k++)
		if (is_mem(&n->op[k]))
			n->mem = &n->op[k];
	if (!n->mem || n->mem->mem.type != ZYDIS_MEMOP_TYPE_MEM)
		return -EOPNOTSUPP;
	ret = operand_address(n, n->mem, &n->at);
	if (!ret)
		ret = do_explicit(n);
	return ret == -EOPNOTSUPP ? insn_stepping(n) : ret;
}

/* Hold the bus around an instruction with the prefix, or xchg with memory: SDM 3, 9.1.2.1 */
static int execute_locked(struct insn *n)
{
	int ret;

	if (!n->bus->lock ||
	    !(n->i.attributes & ZYDIS_ATTRIB_HAS_LOCK || n->i.mnemonic == ZYDIS_MNEMONIC_XCHG))
		return execute(n);
	n->bus->lock(n->bus->arg, true);
	ret = execute(n);
	n->bus->lock(n->bus->arg, false);
	return ret;
}

int x86_emulate(ucontext_t *uc, const struct x86_bus *bus, uintptr_t *bad, char *what,
		size_t what_size)
{
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	uint8_t code[MAX_INSN];
	struct insn n = { .uc = uc, .bus = bus, .bad = bad, .code = code };
	ZydisDecoder dec;
	size_t len = guard_copy_part(code, (const void *)rip, sizeof(code));
	const char *name = "an instruction that cannot be decoded";
	int ret = -EOPNOTSUPP;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (len && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, code, len, &n.i, n.op))) {
		n.next = rip + n.i.length;
		ret = execute_locked(&n);
		name = ZydisMnemonicGetString(n.i.mnemonic);
	}
	if (ret == INSN_RETRY)
		return 0;
	if (ret && what)
		snprintf(what, what_size, "%s", name ? name : "?");
	return ret;
}
