/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/emulate.c: which instruction, which operands, what happens. Zydis decodes; alu.c has the processor compute; context.c knows the registers.
 *
 * The order within an instruction is the processor's: all reads, then writes to memory, then registers and RIP, so that an error leaves the program at the instruction. Device accesses
 * have the width of the instruction's operand; what is wider than 8 bytes goes out in ascending pieces of 8, as a root port may cut it.
 */
#include "x86/emulate.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/guard.h"
#include "x86/alu.h"
#include "x86/context.h"

#define MAX_INSN 15u   /* Intel SDM 2, 2.3.11 */
#define FLAG_ZF  0x40u /* SDM 1, 3.4.3.1 */
#define FLAG_DF  0x400u

struct insn {
	ucontext_t *uc;
	const struct x86_bus *bus;
	ZydisDecodedInstruction i;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t next; /* RIP behind it */
	uintptr_t *bad;
};

static uint64_t flags_of(const struct insn *n)
{
	return (uint64_t)n->uc->uc_mcontext.gregs[REG_EFL];
}

static int done(struct insn *n)
{
	n->uc->uc_mcontext.gregs[REG_RIP] = (greg_t)n->next;
	return 0;
}

static int done_flags(struct insn *n, uint64_t flags)
{
	n->uc->uc_mcontext.gregs[REG_EFL] = (greg_t)flags;
	return done(n);
}

/* ---- memory ---- */

static int address(const struct insn *n, const ZydisDecodedOperand *op, uintptr_t *out)
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
		if (!x86_get_reg(n->uc, op->mem.index, &v)) /* a vector: gather, scatter */
			return -EOPNOTSUPP;
		a += v * op->mem.scale;
	}
	if (n->i.address_width == 32)
		a = (uint32_t)a;
	*out = a;
	return 0;
}

static int bad_memory(struct insn *n, uintptr_t a)
{
	*n->bad = a;
	return -EFAULT;
}

static int load(struct insn *n, uintptr_t a, void *buf, unsigned size)
{
	int where = n->bus->where(n->bus->arg, a, size), ret;
	unsigned at, len;
	uint64_t v;

	if (where < 0)
		return -EIO;
	if (!where)
		return guard_copy(buf, (const void *)a, size) ? bad_memory(n, a) : 0;
	for (at = 0; at < size; at += len) {
		len = size - at < 8 ? size - at : 8;
		ret = n->bus->read(n->bus->arg, a + at, len, &v);
		if (ret)
			return -EIO;
		memcpy((char *)buf + at, &v, len);
	}
	return 0;
}

static int store(struct insn *n, uintptr_t a, const void *buf, unsigned size)
{
	int where = n->bus->where(n->bus->arg, a, size);
	unsigned at, len;
	uint64_t v;

	if (where < 0)
		return -EIO;
	if (!where)
		return guard_copy((void *)a, buf, size) ? bad_memory(n, a) : 0;
	for (at = 0; at < size; at += len) {
		len = size - at < 8 ? size - at : 8;
		v = 0;
		memcpy(&v, (const char *)buf + at, len);
		if (n->bus->write(n->bus->arg, a + at, len, v))
			return -EIO;
	}
	return 0;
}

/* ---- operands of 1, 2, 4, 8 bytes ---- */

static unsigned op_size(const ZydisDecodedOperand *op)
{
	return op->size / 8;
}

static int get(struct insn *n, const ZydisDecodedOperand *op, uint64_t *v)
{
	uintptr_t a;
	int ret;

	*v = 0;
	switch (op->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		return x86_get_reg(n->uc, op->reg.value, v) ? 0 : -EOPNOTSUPP;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		*v = op->imm.value.u;
		return 0;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		ret = address(n, op, &a);
		if (ret)
			return ret;
		return op_size(op) <= 8 ? load(n, a, v, op_size(op)) : -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

static int put(struct insn *n, const ZydisDecodedOperand *op, uint64_t v)
{
	uintptr_t a;
	int ret;

	if (op->type == ZYDIS_OPERAND_TYPE_REGISTER)
		return x86_set_reg(n->uc, op->reg.value, v) ? 0 : -EOPNOTSUPP;
	if (op->type != ZYDIS_OPERAND_TYPE_MEMORY || op_size(op) > 8)
		return -EOPNOTSUPP;
	ret = address(n, op, &a);
	return ret ? ret : store(n, a, &v, op_size(op));
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

static int do_mov(struct insn *n, bool sign, bool swap)
{
	unsigned size = op_size(&n->op[0]);
	uint64_t v;
	int ret = get(n, &n->op[1], &v);

	if (ret)
		return ret;
	if (sign)
		v = sign_extend(v, op_size(&n->op[1]));
	if (swap)
		v = __builtin_bswap64(v) >> (64 - 8 * size);
	ret = put(n, &n->op[0], v);
	return ret ? ret : done(n);
}

static int do_alu(struct insn *n, enum x86_alu op, bool keep)
{
	uint64_t a, b, flags = flags_of(n);
	int ret = get(n, &n->op[0], &a);

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
	uint64_t a, flags = flags_of(n);
	int ret = get(n, &n->op[0], &a);

	if (ret)
		return ret;
	a = x86_alu(op, op_size(&n->op[0]), a, 0, &flags);
	ret = put(n, &n->op[0], a);
	return ret ? ret : done_flags(n, flags);
}

/* A bit number in a register reaches beyond the operand, which an immediate does not: SDM 2A, BT. */
static int do_bit(struct insn *n, enum x86_alu op)
{
	const ZydisDecodedOperand *mem = &n->op[0];
	unsigned size = op_size(mem);
	uint64_t bit, v = 0, flags = flags_of(n);
	uintptr_t a;
	int ret;

	if (mem->type != ZYDIS_OPERAND_TYPE_MEMORY)
		return -EOPNOTSUPP;
	ret = address(n, mem, &a);
	if (!ret)
		ret = get(n, &n->op[1], &bit);
	if (ret)
		return ret;
	if (n->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER) {
		int64_t words = (int64_t)sign_extend(bit, op_size(&n->op[1])) >> (size == 2 ? 4 : size == 4 ? 5 : 6);

		a += (uintptr_t)(words * (int64_t)size);
	}
	bit &= size * 8 - 1;
	ret = load(n, a, &v, size);
	if (ret)
		return ret;
	v = x86_alu(op, size, v, bit, &flags);
	ret = op == X86_BT ? 0 : store(n, a, &v, size);
	return ret ? ret : done_flags(n, flags);
}

static const ZydisDecodedOperand *memory_of_two(const struct insn *n, const ZydisDecodedOperand **reg)
{
	unsigned m = n->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? 0 : 1;

	*reg = &n->op[!m];
	return &n->op[m];
}

static int do_xchg(struct insn *n)
{
	const ZydisDecodedOperand *reg, *mem = memory_of_two(n, &reg);
	uint64_t m, r;
	int ret = get(n, mem, &m);

	if (!ret)
		ret = get(n, reg, &r);
	if (!ret)
		ret = put(n, mem, r);
	if (!ret)
		ret = put(n, reg, m);
	return ret ? ret : done(n);
}

static int do_xadd(struct insn *n)
{
	uint64_t m, r, flags = flags_of(n);
	int ret = get(n, &n->op[0], &m);

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
	static const ZydisRegister acc[] = { [1] = ZYDIS_REGISTER_AL, [2] = ZYDIS_REGISTER_AX, [4] = ZYDIS_REGISTER_EAX, [8] = ZYDIS_REGISTER_RAX };
	unsigned size = op_size(&n->op[0]);
	uint64_t m, r, a, flags = flags_of(n);
	int ret = get(n, &n->op[0], &m);

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

/* MOVS and STOS, with and without rep: element by element; a rep stops, restartable, where it leaves what it came for. */
static int do_string(struct insn *n, bool movs, unsigned size)
{
	bool rep = n->i.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
	greg_t *gr = n->uc->uc_mcontext.gregs;
	int64_t step = flags_of(n) & FLAG_DF ? -(int64_t)size : (int64_t)size;
	uint64_t v;
	int ret;

	if (n->i.address_width != 64)
		return -EOPNOTSUPP;
	if (rep && !gr[REG_RCX])
		return done(n);
	do {
		uintptr_t src = (uintptr_t)gr[REG_RSI], dst = (uintptr_t)gr[REG_RDI];
		int s = movs ? n->bus->where(n->bus->arg, src, size) : 0, d = n->bus->where(n->bus->arg, dst, size);

		/* both on ordinary memory now: the processor goes on by itself */
		if (rep && !s && !d)
			return 0;
		v = (uint64_t)gr[REG_RAX];
		ret = movs ? load(n, src, &v, size) : 0;
		if (!ret)
			ret = store(n, dst, &v, size);
		if (ret)
			return ret;
		if (movs)
			gr[REG_RSI] += step;
		gr[REG_RDI] += step;
		if (rep)
			gr[REG_RCX]--;
	} while (rep && gr[REG_RCX]);
	return done(n);
}

static int do_setcc_cmovcc(struct insn *n, bool cond, bool cmov)
{
	uint64_t v;
	int ret;

	if (!cmov) {
		ret = put(n, &n->op[0], cond);
		return ret ? ret : done(n);
	}
	/* the load happens whatever the condition; 32 bits clear the upper half even when nothing moves */
	ret = get(n, &n->op[1], &v);
	if (!ret && !cond)
		ret = get(n, &n->op[0], &v);
	if (!ret)
		ret = put(n, &n->op[0], v);
	return ret ? ret : done(n);
}

/* Plain vector moves between a register and memory, without a mask. */
static int do_vector(struct insn *n, unsigned size)
{
	bool vex = n->i.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY;
	uint8_t buf[64] = { 0 };
	uintptr_t a;
	uint64_t v;
	int ret;

	if (n->i.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX && n->i.avx.mask.reg != ZYDIS_REGISTER_K0 && n->i.avx.mask.reg != ZYDIS_REGISTER_NONE)
		return -EOPNOTSUPP;
	if (n->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY) {
		const ZydisDecodedOperand *src = &n->op[n->i.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX &&
							 n->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
							 n->op[1].reg.value == ZYDIS_REGISTER_K0 ? 2 : 1];

		ret = address(n, &n->op[0], &a);
		if (ret)
			return ret;
		if (!x86_get_vec(n->uc, src->reg.value, buf, size)) {
			if (size > 8 || !x86_get_reg(n->uc, src->reg.value, &v))
				return -EOPNOTSUPP;
			memcpy(buf, &v, 8);
		}
		ret = store(n, a, buf, size);
		return ret ? ret : done(n);
	}
	for (unsigned k = 1; k < n->i.operand_count; k++) {
		if (n->op[k].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		ret = address(n, &n->op[k], &a);
		if (!ret)
			ret = load(n, a, buf, size);
		if (ret)
			return ret;
		/* a scalar load clears the rest of the 16 bytes, VEX the rest of the register */
		if (!x86_set_vec(n->uc, n->op[0].reg.value, buf, size < 16 ? 16 : size, vex))
			return -EOPNOTSUPP;
		return done(n);
	}
	return -EOPNOTSUPP;
}

/* 64 bytes at once from memory to where a register points: SDM 2B, MOVDIR64B. */
static int do_movdir64b(struct insn *n)
{
	uint8_t buf[64];
	uintptr_t src;
	uint64_t dst;
	int ret;

	if (n->op[0].type != ZYDIS_OPERAND_TYPE_REGISTER || !x86_get_reg(n->uc, n->op[0].reg.value, &dst))
		return -EOPNOTSUPP;
	ret = address(n, &n->op[1], &src);
	if (!ret && dst & 63)
		ret = -EIO; /* #GP on a processor; here the fault was a page's */
	if (!ret)
		ret = load(n, src, buf, 64);
	if (!ret)
		ret = store(n, dst, buf, 64);
	return ret ? ret : done(n);
}

static bool condition(unsigned cc, uint64_t f)
{
	bool cf = f & 1, pf = f & 4, zf = f & FLAG_ZF, sf = f & 0x80, of = f & 0x800, r = false;

	/* SDM 2, appendix B.1.4.7: tttn */
	switch (cc >> 1) {
	case 0:
		r = of;
		break;
	case 1:
		r = cf;
		break;
	case 2:
		r = zf;
		break;
	case 3:
		r = cf || zf;
		break;
	case 4:
		r = sf;
		break;
	case 5:
		r = pf;
		break;
	case 6:
		r = sf != of;
		break;
	case 7:
		r = zf || sf != of;
		break;
	}
	return r != (cc & 1);
}

static int execute(struct insn *n)
{
	switch (n->i.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_MOVDIRI:
		return do_mov(n, false, false);
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return do_mov(n, true, false);
	case ZYDIS_MNEMONIC_MOVBE:
		return do_mov(n, false, true);
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
	case ZYDIS_MNEMONIC_MOVSB:
		return do_string(n, true, 1);
	case ZYDIS_MNEMONIC_MOVSW:
		return do_string(n, true, 2);
	case ZYDIS_MNEMONIC_MOVSQ:
		return do_string(n, true, 8);
	case ZYDIS_MNEMONIC_STOSB:
		return do_string(n, false, 1);
	case ZYDIS_MNEMONIC_STOSW:
		return do_string(n, false, 2);
	case ZYDIS_MNEMONIC_STOSD:
		return do_string(n, false, 4);
	case ZYDIS_MNEMONIC_STOSQ:
		return do_string(n, false, 8);
	case ZYDIS_MNEMONIC_MOVSD: /* two instructions of this name */
		if (n->i.meta.category == ZYDIS_CATEGORY_STRINGOP)
			return do_string(n, true, 4);
		return do_vector(n, 8);
	case ZYDIS_MNEMONIC_VMOVSD:
	case ZYDIS_MNEMONIC_MOVQ:
	case ZYDIS_MNEMONIC_VMOVQ:
		return do_vector(n, 8);
	case ZYDIS_MNEMONIC_MOVD:
	case ZYDIS_MNEMONIC_VMOVD:
	case ZYDIS_MNEMONIC_MOVSS:
	case ZYDIS_MNEMONIC_VMOVSS:
		return do_vector(n, 4);
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_MOVAPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_MOVNTDQ:
	case ZYDIS_MNEMONIC_MOVNTDQA:
	case ZYDIS_MNEMONIC_MOVNTPS:
	case ZYDIS_MNEMONIC_MOVNTPD:
		return do_vector(n, 16);
	case ZYDIS_MNEMONIC_VMOVUPS:
	case ZYDIS_MNEMONIC_VMOVUPD:
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VMOVDQU:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_VLDDQU:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
	case ZYDIS_MNEMONIC_VMOVDQU8:
	case ZYDIS_MNEMONIC_VMOVDQU16:
	case ZYDIS_MNEMONIC_VMOVDQU32:
	case ZYDIS_MNEMONIC_VMOVDQU64:
	case ZYDIS_MNEMONIC_VMOVDQA32:
	case ZYDIS_MNEMONIC_VMOVDQA64:
		return do_vector(n, n->i.avx.vector_length / 8);
	case ZYDIS_MNEMONIC_MOVDIR64B:
		return do_movdir64b(n);
	default:
		break;
	}
	/* 0F 90+cc SETcc, 0F 40+cc CMOVcc: the condition is in the opcode */
	if (n->i.meta.category == ZYDIS_CATEGORY_SETCC)
		return do_setcc_cmovcc(n, condition(n->i.opcode & 15, flags_of(n)), false);
	if (n->i.meta.category == ZYDIS_CATEGORY_CMOV)
		return do_setcc_cmovcc(n, condition(n->i.opcode & 15, flags_of(n)), true);
	return -EOPNOTSUPP;
}

int x86_emulate(ucontext_t *uc, const struct x86_bus *bus, uintptr_t *bad, char *what, size_t what_size)
{
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	uint8_t code[MAX_INSN];
	struct insn n = { .uc = uc, .bus = bus, .bad = bad };
	ZydisDecoder dec;
	size_t len = guard_copy_part(code, (const void *)rip, sizeof(code));
	const char *name = "an instruction that cannot be decoded";
	int ret = -EOPNOTSUPP;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (len && ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, code, len, &n.i, n.op))) {
		n.next = rip + n.i.length;
		ret = execute(&n);
		name = ZydisMnemonicGetString(n.i.mnemonic);
	}
	if (ret && what)
		snprintf(what, what_size, "%s", name ? name : "?");
	return ret;
}
