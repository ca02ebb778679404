/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/x86.c: sequences of instructions that touch a trapped page, each against the same on plain
 * memory (x86/test_x86.h). An instruction is of a form of test_insns.h, a string instruction, or
 * any bytes that decode to one with a memory operand. Registers and memory go on from one to the
 * next, so that flags and vectors get values which a random start would not have.
 */
#include "fuzz.h"
#include "x86/context.h"
#include "x86/test_insns.h"

/* True if it would not come back, or would reach memory that is not in the window. */
static bool dangerous(const ZydisDecodedInstruction *i, const ZydisDecodedOperand *op,
		      const ZydisDecodedOperand *mem)
{
	switch (i->meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_PUSH:
	case ZYDIS_CATEGORY_POP:
	case ZYDIS_CATEGORY_SEGOP:
	case ZYDIS_CATEGORY_XSAVE:
	case ZYDIS_CATEGORY_XSAVEOPT:
	case ZYDIS_CATEGORY_AMX_TILE:
	case ZYDIS_CATEGORY_CET:
	case ZYDIS_CATEGORY_PKU:
	case ZYDIS_CATEGORY_MOVDIR: /* writes where a register says */
	case ZYDIS_CATEGORY_ENQCMD:
	case ZYDIS_CATEGORY_VTX:
		return true;
	default:
		break;
	}
	if (mem->mem.type != ZYDIS_MEMOP_TYPE_MEM || mem->size / 8 > 512 ||
	    mem->mem.segment == ZYDIS_REGISTER_FS || mem->mem.segment == ZYDIS_REGISTER_GS)
		return true;
	for (unsigned k = 0; k < i->operand_count; k++) {
		if (op[k].type == ZYDIS_OPERAND_TYPE_MEMORY && &op[k] != mem)
			return true;
		if (op[k].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		switch (ZydisRegisterGetClass(op[k].reg.value)) {
		case ZYDIS_REGCLASS_SEGMENT:
		case ZYDIS_REGCLASS_CONTROL:
		case ZYDIS_REGCLASS_DEBUG:
			return true;
		case ZYDIS_REGCLASS_GPR16:
		case ZYDIS_REGCLASS_GPR32:
		case ZYDIS_REGCLASS_GPR64: /* a bit number reaches far */
			if (i->meta.category == ZYDIS_CATEGORY_BITBYTE)
				return true;
			/* the forms load it with what is canonical (test_insns.h) */
			if (op[k].reg.value == ZYDIS_REGISTER_RSP &&
			    op[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
				return true;
			break;
		default:
			break;
		}
	}
	return false;
}

/* Bytes as they are, with the address made to be at @at. */
static size_t raw(struct in *in, struct t_state *s, uint64_t at, uint8_t code[16], unsigned *size)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	const ZydisDecodedOperand *mem = NULL;
	ZydisDecodedInstruction i;
	ZydisDecoder dec;
	uint64_t a, v = 0;
	unsigned base;
	bool lock;

	in_bytes(in, code, 15);
	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, code, 15, &i, op)))
		return 0;
	for (unsigned k = 0; k < i.operand_count_visible && !mem; k++)
		if (op[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    op[k].visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			mem = &op[k];
	if (!mem || dangerous(&i, op, mem))
		return 0;
	*size = mem->size / 8;
	lock = i.attributes & ZYDIS_ATTRIB_HAS_LOCK || i.mnemonic == Z(XCHG);
	if (lock && *size)
		at &= ~(uint64_t)(*size - 1);
	/* the base register takes up what is missing */
	if (mem->mem.base < ZYDIS_REGISTER_EAX || mem->mem.base > ZYDIS_REGISTER_R15)
		return 0;
	base = (unsigned)(mem->mem.base -
			  (i.address_width == 32 ? ZYDIS_REGISTER_EAX : ZYDIS_REGISTER_RAX));
	a = (uintptr_t)t.window + at - (uint64_t)mem->mem.disp.value;
	if (mem->mem.index != ZYDIS_REGISTER_NONE) {
		if (mem->mem.index < ZYDIS_REGISTER_EAX || mem->mem.index > ZYDIS_REGISTER_R15 ||
		    mem->mem.index == mem->mem.base)
			return 0;
		v = s->r[mem->mem.index -
			 (i.address_width == 32 ? ZYDIS_REGISTER_EAX : ZYDIS_REGISTER_RAX)];
		a -= (i.address_width == 32 ? (uint32_t)v : v) * mem->mem.scale;
	}
	s->r[base] = i.address_width == 32 ? (uint32_t)a : a;
	return base == T_RSP && !t_canonical(a) ? 0 : i.length;
}

static const struct t_form *which_form(unsigned n)
{
	n %= T_FORMS + T_STEP_FORMS;
	return n < T_FORMS ? &t_forms[n] : &t_step_forms[n - T_FORMS];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct t_state s, next;
	static bool done, show; /* X86_REFUSED=1 in the environment: what is not emulated */
	struct in in = { data, size };

	if (!done) {
		REQUIRE(!t_init(), "no window");
		show = getenv("X86_REFUSED");
	}
	done = true;
	t_handlers();
	t_seed = in64(&in);
	t_fill(t.alias, T_SIZE);
	t_random_state(&s);
	for (unsigned n = 0; n < 32 && !in_end(&in); n++) {
		unsigned kind = in8(&in), bytes = 0;
		uint64_t at = T_TRAP + in16(&in) % T_TRAPPED;
		enum t_result res;
		uint8_t code[16];
		char text[96];
		size_t len = 0;

		/* mostly naturally aligned, seldom across the border */
		if (kind & 0x60)
			at &= ~15ull;
		next = s;
		switch (kind & 3) {
		case 0: {
			const struct t_form *f = which_form(in16(&in));
			unsigned pick = in8(&in), which = 0;

			t_seed = in32(&in);
			if (!t_cpu_has(f->need))
				continue;
			do
				which = (which + 1) % 10;
			while (!(f->sizes >> which & 1) || (pick && pick-- % 2));
			bytes = 1u << which;
			if (f->flags & ALIGN)
				at &= ~(uint64_t)(bytes - 1);
			len = t_make(f, bytes, at, &next, code);
			break;
		}
		case 1:
			t_seed = in32(&in);
			len = t_make_string(&next, code, &bytes);
			break;
		default:
			len = raw(&in, &next, at, code, &bytes);
		}
		if (!len)
			continue;
		s = next;
		res = t_compare(&s, code, len, &next);
		t_text(code, len, text, sizeof(text));
		REQUIRE(res != T_DIFFERS, "%s", text);
		REQUIRE(res != T_REFUSED || t.ret == -EOPNOTSUPP ||
				(t.ret == -EIO && at + bytes > T_TRAP + T_TRAPPED),
			"%s: %d (%s)", text, t.ret, t.what);
		REQUIRE(res != T_REFUSED || (kind & 3) > 1 || at + bytes > T_TRAP + T_TRAPPED,
			"%s: %d (%s)", text, t.ret, t.what);
		if (res == T_REFUSED && show)
			fprintf(stderr, "%d: %s\n", t.ret, text);
		if (res == T_SAME)
			s = next;
	}
	return 0;
}
