/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/cfi.c: unwind tables (LSB 5.0 core, 10.6 "Exception Frames"; DWARF 5, 6.4). The table of
 * .eh_frame_hdr leads to the entry (FDE) of a function, whose instructions say row by row where the
 * caller's registers are; its CIE has what entries have in common.
 */
#include <string.h>

#include "check/cfi.h"

/* ---- bytes ---- */

/* A place in the tables, read ahead by some bytes. */
struct cursor {
	const struct cfi_memory *m;
	uint64_t at, end;
	uint64_t have; /* where buf is from */
	unsigned n;
	bool bad; /* something was beyond the end, or is not there: zeroes are read */
	uint8_t buf[64];
};

static void start(struct cursor *c, const struct cfi_memory *m, uint64_t at, uint64_t size)
{
	c->m = m;
	c->at = at;
	c->end = at + size < at ? UINT64_MAX : at + size;
	c->n = 0;
	c->bad = false;
}

static uint8_t get8(struct cursor *c)
{
	uint64_t left = c->end - c->at;

	if (c->bad || c->at >= c->end)
		goto bad;
	if (!c->n || c->at < c->have || c->at - c->have >= c->n) {
		c->have = c->at;
		c->n = left < sizeof(c->buf) ? (unsigned)left : sizeof(c->buf);
		/* the end may be a guess: what is there byte by byte */
		if (!c->m->read(c->m->arg, c->at, c->buf, c->n)) {
			c->n = 1;
			if (!c->m->read(c->m->arg, c->at, c->buf, 1))
				goto bad;
		}
	}
	return c->buf[c->at++ - c->have];
bad:
	c->bad = true;
	c->n = 0;
	return 0;
}

static uint64_t get(struct cursor *c, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)get8(c) << 8 * i;
	return v;
}

static int64_t get_signed(struct cursor *c, unsigned bytes)
{
	return (int64_t)(get(c, bytes) << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

#define LEB_BYTES 10u

static uint64_t get_uleb(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < LEB_BYTES; i++) {
		uint8_t b = get8(c);

		if (7 * i < 64)
			v |= (uint64_t)(b & 0x7f) << 7 * i;
		if (!(b & 0x80))
			return v;
	}
	c->bad = true;
	return 0;
}

static int64_t get_sleb(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < LEB_BYTES; i++) {
		uint8_t b = get8(c);

		if (7 * i < 64)
			v |= (uint64_t)(b & 0x7f) << 7 * i;
		if (b & 0x80)
			continue;
		if (b & 0x40 && 7 * (i + 1) < 64)
			v |= ~0ull << 7 * (i + 1);
		return (int64_t)v;
	}
	c->bad = true;
	return 0;
}

static void skip(struct cursor *c, uint64_t n)
{
	if (n > c->end - c->at)
		c->bad = true;
	else
		c->at += n;
}

/* DW_EH_PE_*: LSB 5.0 core, 10.5.1 */
enum {
	PE_ULEB = 1,
	PE_U2,
	PE_U4,
	PE_U8,
	PE_SLEB = 9,
	PE_S2,
	PE_S4,
	PE_S8,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_OMIT = 0xff,
};

/* Read a pointer as @encoding has it; @data: what it may be relative to. */
static uint64_t get_pointer(struct cursor *c, uint8_t encoding, uint64_t data)
{
	uint64_t at = c->at, v;

	switch (encoding & 0xf) {
	case 0:
	case PE_U8:
	case PE_S8:
		v = get(c, 8);
		break;
	case PE_ULEB:
		v = get_uleb(c);
		break;
	case PE_U2:
		v = get(c, 2);
		break;
	case PE_U4:
		v = get(c, 4);
		break;
	case PE_SLEB:
		v = (uint64_t)get_sleb(c);
		break;
	case PE_S2:
		v = (uint64_t)get_signed(c, 2);
		break;
	case PE_S4:
		v = (uint64_t)get_signed(c, 4);
		break;
	default:
		c->bad = true;
		return 0;
	}
	switch (encoding & 0x70) {
	case 0:
		return v;
	case PE_PCREL:
		return v + at;
	case PE_DATAREL:
		return v + data;
	default:
		c->bad = true;
		return 0;
	}
}

/* ---- the entry of a function ---- */

struct entry {
	uint64_t code, code_end; /* instructions of the CIE; ... */
	uint64_t own, own_end;	 /* ... and of the FDE */
	uint64_t pc;		 /* where the function begins */
	uint64_t code_align;
	int64_t data_align;
	uint8_t encoding;
	bool augmented;
};

#define MAX_AUGMENTATION 8u

static bool read_cie(const struct cfi_memory *m, uint64_t at, struct entry *e)
{
	char aug[MAX_AUGMENTATION];
	uint64_t len, after;
	struct cursor c;
	unsigned n = 0;
	uint8_t version;

	start(&c, m, at, 4);
	len = get(&c, 4);
	if (c.bad || !len || len >= 0xfffffff0)
		return false;
	start(&c, m, at + 4, len);
	e->code_end = c.end;
	if (get(&c, 4)) /* no CIE */
		return false;
	version = get8(&c);
	if (version != 1 && version != 3 && version != 4)
		return false;
	do {
		if (n == sizeof(aug))
			return false;
		aug[n] = (char)get8(&c);
	} while (aug[n++]);
	if (version == 4 && (get8(&c) != 8 || get8(&c)))
		return false;
	e->code_align = get_uleb(&c);
	e->data_align = get_sleb(&c);
	if ((version == 1 ? get8(&c) : get_uleb(&c)) != CFI_RIP)
		return false;
	e->encoding = 0;
	e->augmented = aug[0] == 'z';
	if (aug[0] && !e->augmented)
		return false;
	if (e->augmented) {
		after = get_uleb(&c);
		after += c.at;
		for (const char *a = aug + 1; *a; a++) {
			if (*a == 'R')
				e->encoding = get8(&c);
			else if (*a == 'P')
				get_pointer(&c, get8(&c) & 0x7f, 0);
			else if (*a == 'L')
				get8(&c);
			else if (*a != 'S' && *a != 'B')
				return false;
		}
		c.at = after;
	}
	e->code = c.at;
	return !c.bad && e->code <= e->code_end;
}

static bool read_fde(const struct cfi_memory *m, uint64_t at, uint64_t pc, struct entry *e)
{
	uint64_t len, cie, size;
	struct cursor c;

	start(&c, m, at, 4);
	len = get(&c, 4);
	if (c.bad || !len || len >= 0xfffffff0)
		return false;
	start(&c, m, at + 4, len);
	cie = get(&c, 4);
	if (!cie || !read_cie(m, at + 4 - cie, e))
		return false;
	e->pc = get_pointer(&c, e->encoding, 0);
	size = get_pointer(&c, e->encoding & 0xf, 0);
	if (c.bad || pc < e->pc || pc - e->pc >= size)
		return false;
	if (e->augmented)
		skip(&c, get_uleb(&c));
	e->own = c.at;
	e->own_end = c.end;
	return !c.bad;
}

/* Find the entry that has @pc by the sorted table, as all linkers write it; 0: there is none. */
static uint64_t find_fde(const struct cfi_memory *m, uint64_t hdr, uint64_t pc)
{
	uint8_t version, frame_enc, count_enc, table_enc;
	uint64_t count, table, lo = 0, hi;
	struct cursor c;

	start(&c, m, hdr, 64);
	version = get8(&c);
	frame_enc = get8(&c);
	count_enc = get8(&c);
	table_enc = get8(&c);
	if (version != 1 || count_enc == PE_OMIT || table_enc != (PE_DATAREL | PE_S4))
		return 0;
	if (frame_enc != PE_OMIT)
		get_pointer(&c, frame_enc, hdr);
	count = get_pointer(&c, count_enc, hdr);
	table = c.at;
	if (c.bad || !count || count > UINT32_MAX)
		return 0;
	/* the last one that begins at @pc or below */
	for (hi = count; lo < hi;) {
		uint64_t mid = (lo + hi) / 2;

		start(&c, m, table + 8 * mid, 4);
		if (hdr + (uint64_t)get_signed(&c, 4) <= pc)
			lo = mid + 1;
		else
			hi = mid;
		if (c.bad)
			return 0;
	}
	if (!lo)
		return 0;
	start(&c, m, table + 8 * (lo - 1) + 4, 4);
	count = hdr + (uint64_t)get_signed(&c, 4);
	return c.bad ? 0 : count;
}

/* ---- expressions: DWARF 5, 2.5 ---- */

#define EXPR_STACK 16u
#define EXPR_STEPS 256u

struct value_stack {
	uint64_t v[EXPR_STACK];
	unsigned n;
	bool bad;
};

static void push(struct value_stack *s, uint64_t v)
{
	if (s->n == EXPR_STACK)
		s->bad = true;
	else
		s->v[s->n++] = v;
}

static uint64_t pop(struct value_stack *s)
{
	if (!s->n) {
		s->bad = true;
		return 0;
	}
	return s->v[--s->n];
}

static uint64_t peek(struct value_stack *s, unsigned i)
{
	if (i >= s->n) {
		s->bad = true;
		return 0;
	}
	return s->v[s->n - 1 - i];
}

static void deref(const struct cfi_memory *m, struct value_stack *s, unsigned bytes)
{
	uint64_t at = pop(s), v = 0;

	if (!bytes || bytes > 8 || !m->read(m->arg, at, &v, bytes))
		s->bad = true;
	else if (m->used)
		m->used(m->arg, at, v, bytes);
	push(s, v);
}

/* An operation on the two topmost values. False: @op is none. */
static bool binary(struct value_stack *s, uint8_t op)
{
	uint64_t b, a, v;

	if (op != 0x1a && op != 0x1c && op != 0x1e && op != 0x21 && op != 0x22 &&
	    !(op >= 0x24 && op <= 0x27) && !(op >= 0x29 && op <= 0x2e))
		return false;
	b = pop(s);
	a = pop(s);
	switch (op) {
	case 0x1a: /* and */
		v = a & b;
		break;
	case 0x1c: /* minus */
		v = a - b;
		break;
	case 0x1e: /* mul */
		v = a * b;
		break;
	case 0x21: /* or */
		v = a | b;
		break;
	case 0x22: /* plus */
		v = a + b;
		break;
	case 0x24: /* shl */
		v = b < 64 ? a << b : 0;
		break;
	case 0x25: /* shr */
		v = b < 64 ? a >> b : 0;
		break;
	case 0x26: /* shra */
		v = (uint64_t)((int64_t)a >> (b < 64 ? b : 63));
		break;
	case 0x27: /* xor */
		v = a ^ b;
		break;
	case 0x29: /* eq */
		v = a == b;
		break;
	case 0x2a: /* ge */
		v = (int64_t)a >= (int64_t)b;
		break;
	case 0x2b: /* gt */
		v = (int64_t)a > (int64_t)b;
		break;
	case 0x2c: /* le */
		v = (int64_t)a <= (int64_t)b;
		break;
	case 0x2d: /* lt */
		v = (int64_t)a < (int64_t)b;
		break;
	default: /* ne */
		v = a != b;
		break;
	}
	push(s, v);
	return true;
}

static void register_value(const struct cfi_memory *m, struct value_stack *s,
			   const struct cfi_regs *regs, uint64_t reg, int64_t offset)
{
	if (reg >= CFI_REGS || !(regs->known >> reg & 1)) {
		s->bad = true;
		return;
	}
	cfi_use(m, regs, (unsigned)reg);
	push(s, regs->r[reg] + (uint64_t)offset);
}

/* One operation that is none of binary(). */
static void operation(struct cursor *c, struct value_stack *s, const struct cfi_regs *regs,
		      uint8_t op)
{
	uint64_t a, b;
	int64_t n;

	if (op >= 0x30 && op <= 0x4f) { /* lit */
		push(s, op - 0x30u);
		return;
	}
	if (op >= 0x70 && op <= 0x8f) { /* breg */
		n = get_sleb(c);
		register_value(c->m, s, regs, op - 0x70u, n);
		return;
	}
	switch (op) {
	case 0x03: /* addr */
	case 0x0e: /* const8u */
	case 0x0f:
		push(s, get(c, 8));
		return;
	case 0x06: /* deref */
		deref(c->m, s, 8);
		return;
	case 0x08: /* const1u, const1s, and so on */
		push(s, get8(c));
		return;
	case 0x09:
		push(s, (uint64_t)get_signed(c, 1));
		return;
	case 0x0a:
		push(s, get(c, 2));
		return;
	case 0x0b:
		push(s, (uint64_t)get_signed(c, 2));
		return;
	case 0x0c:
		push(s, get(c, 4));
		return;
	case 0x0d:
		push(s, (uint64_t)get_signed(c, 4));
		return;
	case 0x10: /* constu */
		push(s, get_uleb(c));
		return;
	case 0x11: /* consts */
		push(s, (uint64_t)get_sleb(c));
		return;
	case 0x12: /* dup */
		push(s, peek(s, 0));
		return;
	case 0x13: /* drop */
		pop(s);
		return;
	case 0x14: /* over */
		push(s, peek(s, 1));
		return;
	case 0x15: /* pick */
		push(s, peek(s, get8(c)));
		return;
	case 0x16: /* swap */
		b = pop(s);
		a = pop(s);
		push(s, b);
		push(s, a);
		return;
	case 0x1f: /* neg */
		push(s, -pop(s));
		return;
	case 0x20: /* not */
		push(s, ~pop(s));
		return;
	case 0x23: /* plus_uconst */
		a = get_uleb(c);
		push(s, pop(s) + a);
		return;
	case 0x28: /* bra */
		n = get_signed(c, 2);
		if (pop(s))
			c->at += (uint64_t)n;
		return;
	case 0x2f: /* skip */
		n = get_signed(c, 2);
		c->at += (uint64_t)n;
		return;
	case 0x92: /* bregx */
		a = get_uleb(c);
		n = get_sleb(c);
		register_value(c->m, s, regs, a, n);
		return;
	case 0x94: /* deref_size */
		deref(c->m, s, get8(c));
		return;
	case 0x96: /* nop */
		return;
	default:
		s->bad = true;
	}
}

/* Evaluate the expression of @len bytes at @at, with @first on the stack if @push_first. */
static bool evaluate(const struct cfi_memory *m, uint64_t at, uint64_t len,
		     const struct cfi_regs *regs, const uint64_t *first, uint64_t *out)
{
	struct value_stack s = { .n = 0 };
	struct cursor c;

	start(&c, m, at, len);
	if (first)
		push(&s, *first);
	for (unsigned i = 0; i < EXPR_STEPS && c.at < c.end; i++) {
		uint8_t op;

		if (c.at < at) /* a jump out of it */
			return false;
		op = get8(&c);
		if (!binary(&s, op))
			operation(&c, &s, regs, op);
		if (c.bad || s.bad)
			return false;
	}
	*out = pop(&s);
	return !s.bad && c.at == c.end;
}

/* ---- rows ---- */

enum how { HOW_SAME, HOW_UNDEFINED, HOW_OFFSET, HOW_VAL_OFFSET, HOW_REG, HOW_EXPR, HOW_VAL_EXPR };

/* Where a register of the caller is. */
struct rule {
	uint8_t how;
	uint32_t len; /* of an expression, which is at @at */
	union {
		int64_t offset;
		uint64_t at, reg;
	};
};

struct row {
	struct rule reg[CFI_REGS];
	bool by_expression; /* the CFA; else cfa_reg + cfa_offset */
	uint32_t cfa_len;
	uint64_t cfa_reg;
	union {
		int64_t cfa_offset;
		uint64_t cfa_at;
	};
};

#define ROWS_KEPT 4u
#define CFI_STEPS 4096u

struct program {
	const struct entry *e;
	struct row row, initial;
	struct row kept[ROWS_KEPT];
	unsigned n_kept;
	uint64_t loc, pc;
};

static void set_rule(struct program *p, struct cursor *c, uint64_t reg, struct rule r)
{
	/* of others (vector registers) nothing is known */
	if (reg < CFI_REGS)
		p->row.reg[reg] = r;
}

static void set_offset(struct program *p, struct cursor *c, uint64_t reg, uint8_t how, int64_t n)
{
	int64_t off;

	if (__builtin_mul_overflow(n, p->e->data_align, &off))
		c->bad = true;
	set_rule(p, c, reg, (struct rule){ .how = how, .offset = off });
}

static void set_expression(struct program *p, struct cursor *c, uint8_t how)
{
	uint64_t reg = get_uleb(c), len = get_uleb(c);

	if (len > UINT32_MAX)
		c->bad = true;
	set_rule(p, c, reg, (struct rule){ .how = how, .len = (uint32_t)len, .at = c->at });
	skip(c, len);
}

static void set_cfa(struct program *p, uint64_t reg, int64_t offset)
{
	p->row.by_expression = false;
	p->row.cfa_reg = reg;
	p->row.cfa_offset = offset;
}

static void restore(struct program *p, uint64_t reg)
{
	if (reg < CFI_REGS)
		p->row.reg[reg] = p->initial.reg[reg];
}

static void advance(struct program *p, uint64_t n)
{
	p->loc += n * p->e->code_align;
}

/* Carry out @op: DWARF 5, 7.24 */
static void instruction(struct program *p, struct cursor *c, uint8_t op)
{
	uint64_t reg, n;
	int64_t off;

	switch (op >> 6) {
	case 1:
		advance(p, op & 0x3f);
		return;
	case 2:
		set_offset(p, c, op & 0x3f, HOW_OFFSET, (int64_t)get_uleb(c));
		return;
	case 3:
		restore(p, op & 0x3f);
		return;
	default:
		break;
	}
	switch (op) {
	case 0x00: /* nop */
		return;
	case 0x01: /* set_loc */
		p->loc = get_pointer(c, p->e->encoding, 0);
		return;
	case 0x02: /* advance_loc1, 2, 4 */
		advance(p, get8(c));
		return;
	case 0x03:
		advance(p, get(c, 2));
		return;
	case 0x04:
		advance(p, get(c, 4));
		return;
	case 0x05: /* offset_extended */
		reg = get_uleb(c);
		set_offset(p, c, reg, HOW_OFFSET, (int64_t)get_uleb(c));
		return;
	case 0x06: /* restore_extended */
		restore(p, get_uleb(c));
		return;
	case 0x07: /* undefined */
		set_rule(p, c, get_uleb(c), (struct rule){ .how = HOW_UNDEFINED });
		return;
	case 0x08: /* same_value */
		set_rule(p, c, get_uleb(c), (struct rule){ .how = HOW_SAME });
		return;
	case 0x09: /* register */
		reg = get_uleb(c);
		n = get_uleb(c);
		set_rule(p, c, reg, (struct rule){ .how = HOW_REG, .reg = n });
		return;
	case 0x0a: /* remember_state */
		if (p->n_kept == ROWS_KEPT)
			c->bad = true;
		else
			p->kept[p->n_kept++] = p->row;
		return;
	case 0x0b: /* restore_state */
		if (!p->n_kept)
			c->bad = true;
		else
			p->row = p->kept[--p->n_kept];
		return;
	case 0x0c: /* def_cfa */
		reg = get_uleb(c);
		set_cfa(p, reg, (int64_t)get_uleb(c));
		return;
	case 0x0d: /* def_cfa_register */
		if (p->row.by_expression)
			c->bad = true;
		p->row.cfa_reg = get_uleb(c);
		return;
	case 0x0e: /* def_cfa_offset */
		set_cfa(p, p->row.cfa_reg, (int64_t)get_uleb(c));
		return;
	case 0x0f: /* def_cfa_expression */
		n = get_uleb(c);
		if (n > UINT32_MAX)
			c->bad = true;
		p->row.by_expression = true;
		p->row.cfa_len = (uint32_t)n;
		p->row.cfa_at = c->at;
		skip(c, n);
		return;
	case 0x10: /* expression */
		set_expression(p, c, HOW_EXPR);
		return;
	case 0x11: /* offset_extended_sf */
		reg = get_uleb(c);
		set_offset(p, c, reg, HOW_OFFSET, get_sleb(c));
		return;
	case 0x12: /* def_cfa_sf */
	case 0x13: /* def_cfa_offset_sf */
		reg = op == 0x12 ? get_uleb(c) : p->row.cfa_reg;
		if (__builtin_mul_overflow(get_sleb(c), p->e->data_align, &off))
			c->bad = true;
		set_cfa(p, reg, off);
		return;
	case 0x14: /* val_offset */
		reg = get_uleb(c);
		set_offset(p, c, reg, HOW_VAL_OFFSET, (int64_t)get_uleb(c));
		return;
	case 0x15: /* val_offset_sf */
		reg = get_uleb(c);
		set_offset(p, c, reg, HOW_VAL_OFFSET, get_sleb(c));
		return;
	case 0x16: /* val_expression */
		set_expression(p, c, HOW_VAL_EXPR);
		return;
	case 0x2e: /* GNU_args_size */
		get_uleb(c);
		return;
	default:
		c->bad = true;
	}
}

/* Carry out instructions up to the row of the program's pc. */
static bool carry_out(struct program *p, const struct cfi_memory *m, uint64_t at, uint64_t end)
{
	struct cursor c;

	start(&c, m, at, end - at);
	for (unsigned i = 0; i < CFI_STEPS; i++) {
		if (c.at >= c.end || p->loc > p->pc)
			return true;
		instruction(p, &c, get8(&c));
		if (c.bad)
			return false;
	}
	return false;
}

/* Give @next the caller's @reg, if it is known. */
static void apply(const struct cfi_memory *m, const struct rule *r, unsigned reg, uint64_t cfa,
		  const struct cfi_regs *regs, struct cfi_regs *next)
{
	uint64_t at, v;

	switch (r->how) {
	case HOW_SAME:
	case HOW_REG:
		at = r->how == HOW_SAME ? reg : r->reg;
		if (at >= CFI_REGS || !(regs->known >> at & 1))
			return;
		cfi_set(next, reg, regs->r[at], regs->from[at]);
		return;
	case HOW_OFFSET:
		at = cfa + (uint64_t)r->offset;
		if (!m->read(m->arg, at, &v, sizeof(v)))
			return;
		cfi_set(next, reg, v, at);
		return;
	case HOW_VAL_OFFSET:
		cfi_set(next, reg, cfa + (uint64_t)r->offset, 0);
		return;
	case HOW_EXPR:
		if (!evaluate(m, r->at, r->len, regs, &cfa, &at) ||
		    !m->read(m->arg, at, &v, sizeof(v)))
			return;
		cfi_set(next, reg, v, at);
		return;
	case HOW_VAL_EXPR:
		if (!evaluate(m, r->at, r->len, regs, &cfa, &v))
			return;
		cfi_set(next, reg, v, 0);
		return;
	default:
		return;
	}
}

enum cfi_result cfi_step(const struct cfi_memory *m, uint64_t hdr, uint64_t pc,
			 struct cfi_regs *regs)
{
	struct cfi_regs next = { .known = 0 };
	struct program p = { .pc = pc };
	uint64_t fde = find_fde(m, hdr, pc), cfa;
	struct entry e;

	if (!fde || !read_fde(m, fde, pc, &e))
		return CFI_NONE;
	p.e = &e;
	p.loc = e.pc;
	/* those of a CIE are for all rows */
	if (!carry_out(&p, m, e.code, e.code_end) || p.loc != e.pc)
		return CFI_BROKEN;
	p.initial = p.row;
	if (!carry_out(&p, m, e.own, e.own_end))
		return CFI_BROKEN;
	if (p.row.reg[CFI_RIP].how == HOW_UNDEFINED)
		return CFI_END;
	if (p.row.by_expression) {
		if (!evaluate(m, p.row.cfa_at, p.row.cfa_len, regs, NULL, &cfa))
			return CFI_BROKEN;
	} else {
		if (p.row.cfa_reg >= CFI_REGS || !(regs->known >> p.row.cfa_reg & 1))
			return CFI_BROKEN;
		cfi_use(m, regs, (unsigned)p.row.cfa_reg);
		cfa = regs->r[p.row.cfa_reg] + (uint64_t)p.row.cfa_offset;
	}
	for (unsigned i = 0; i < CFI_REGS; i++) {
		if (i == CFI_RSP && p.row.reg[i].how == HOW_SAME)
			cfi_set(&next, i, cfa, 0);
		else if (i == CFI_RIP && p.row.reg[i].how == HOW_SAME)
			return CFI_BROKEN;
		else
			apply(m, &p.row.reg[i], i, cfa, regs, &next);
	}
	if (!(next.known >> CFI_RIP & 1))
		return CFI_BROKEN;
	*regs = next;
	return CFI_DONE;
}
