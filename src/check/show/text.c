/* SPDX-License-Identifier: BSD-3-Clause */
/* check/show/text.c: a mistake as a block of text, as sanitizers write theirs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "check/show/internal.h"

#define WIDTH 96

struct block {
	FILE *f;
	int pid;
};

__attribute__((format(printf, 2, 3))) static void put_line(const struct block *b, const char *fmt,
							   ...)
{
	va_list ap;

	fprintf(b->f, "==%d== ", b->pid);
	va_start(ap, fmt);
	vfprintf(b->f, fmt, ap);
	va_end(ap);
	fputc('\n', b->f);
}

/* Write @text with breaks between words. */
static void put_wrapped(const struct block *b, const char *text)
{
	while (*text) {
		size_t n = strlen(text);

		if (n > WIDTH) {
			for (n = WIDTH; n && text[n] != ' '; n--)
				;
			n = n ? n : WIDTH;
		}
		put_line(b, "  %.*s", (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
}

static void put_stack(const struct block *b, const struct symbol_stack *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct symbol *y = &s->at[i];

		fprintf(b->f, "==%d==     #%u 0x%" PRIx64, b->pid, i, y->pc);
		if (y->fn)
			fprintf(b->f, " in %s", y->fn);
		if (y->file) {
			fprintf(b->f, " %s:%d", y->file, y->line);
			if (y->column)
				fprintf(b->f, ":%d", y->column);
		}
		if (y->module)
			fprintf(b->f, " (%s+0x%" PRIx64 ")", symbols_base_name(y->module),
				y->offset);
		else
			fprintf(b->f, " (in no file)");
		fputc('\n', b->f);
	}
	if (!s->n)
		put_line(b, "    (its place in the program is not known)");
}

/* Return how long ago, in words, in @buf. */
static const char *age(char buf[32], uint64_t ns)
{
	if (ns < 1000000)
		snprintf(buf, 32, "%" PRIu64 " us", ns / 1000);
	else if (ns < 1000000000)
		snprintf(buf, 32, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(buf, 32, "%.1f s", (double)ns / 1e9);
	return buf;
}

static void put_part(const struct block *b, const struct check_record *r,
		     const struct check_part *p, const struct symbol_stack *stack)
{
	uint64_t end = p->at + p->size;
	const char *by = *p->call ? p->call : "a call";
	char ago[32];

	age(ago, p->age_ns);
	switch (p->role) {
	case CHECK_STARTED:
		put_line(b,
			 "  the last store to this device that was seen before it, by thread %d %s "
			 "before: 0x%" PRIx64 " to BAR%u %s%s0x%" PRIx64 "%s",
			 p->tid, ago, p->value, p->bar, p->reg, *p->reg ? " (" : "", p->at,
			 *p->reg ? ")" : "");
		break;
	case CHECK_BELOW:
		put_line(b,
			 "  the mapping below, [0x%" PRIx64 ", 0x%" PRIx64 "), ends 0x%" PRIx64
			 " bytes before; made %s before, by %s:",
			 p->at, end, r->at - end, ago, by);
		break;
	case CHECK_ABOVE:
		put_line(b,
			 "  the mapping above, [0x%" PRIx64 ", 0x%" PRIx64 "), begins 0x%" PRIx64
			 " bytes behind; made %s before, by %s:",
			 p->at, end, p->at - r->at, ago, by);
		break;
	case CHECK_MAPPED:
		put_line(b, "  it was mapped, as [0x%" PRIx64 ", 0x%" PRIx64 "), %s before, by %s:",
			 p->at, end, ago, by);
		break;
	case CHECK_UNMAPPED:
		put_line(b,
			 "  it was unmapped, with [0x%" PRIx64 ", 0x%" PRIx64
			 "), %s before, by %s:",
			 p->at, end, ago, by);
		break;
	case CHECK_PLACE:
		put_line(b, "  %s, %s before, by thread %d:", p->reg, ago, p->tid);
		break;
	case CHECK_GAVE:
		put_line(b, "  the device got it %s before, by %s in thread %d:", ago, by, p->tid);
		break;
	default:
		return;
	}
	put_stack(b, stack);
}

static bool has_part(const struct check_record *r, enum check_role role)
{
	for (unsigned i = 0; i < r->parts; i++)
		if (r->part[i].role == role)
			return true;
	return false;
}

/* The neighbours of a DMA of which nobody knows who mapped them. */
static void put_neighbours(const struct block *b, const struct check_record *r)
{
	if (r->access != REPORT_DMA)
		return;
	if (r->below_size && !has_part(r, CHECK_BELOW))
		put_line(b, "  the mapping below ends at 0x%" PRIx64 ", 0x%" PRIx64 " bytes before",
			 r->below + r->below_size, r->at - (r->below + r->below_size));
	if (r->above_size && !has_part(r, CHECK_ABOVE))
		put_line(b,
			 "  the mapping above begins at 0x%" PRIx64 ", 0x%" PRIx64 " bytes behind",
			 r->above, r->above - r->at);
}

void show_text(FILE *f, const struct mistake *m)
{
	const struct check_record *r = &m->r;
	const struct block b = { f, r->pid };

	put_line(&b, "uvfio: %s: %s%s%s", m->kind->name, r->device, *r->device ? ": " : "",
		 r->text);
	if (*r->call) {
		put_line(&b, "  by the program's %s, in thread %d \"%s\":", r->call, r->tid,
			 r->thread);
		put_stack(&b, &m->stack);
	} else if (!has_part(r, CHECK_STARTED) && !has_part(r, CHECK_PLACE) &&
		   !has_part(r, CHECK_MAPPED) && !has_part(r, CHECK_GAVE)) {
		put_line(&b, "  on a thread of uvfio's, and no store to the device was seen");
	}
	for (unsigned i = 0; i < r->parts; i++)
		put_part(&b, r, &r->part[i], &m->part[i]);
	if (r->access == REPORT_BAR && r->write)
		put_line(&b, "  the value: 0x%" PRIx64, r->value);
	put_neighbours(&b, r);
	if (r->access == REPORT_DMA && r->has_meant)
		put_line(&b,
			 "  0x%" PRIx64 " is a virtual address of the program: the IOVA of that "
			 "memory is 0x%" PRIx64,
			 r->at, r->meant);
	put_wrapped(&b, m->kind->fix);
	if (m->kind != &m->of_model)
		put_line(&b, "  (uvfio help %s)", m->kind->name);
	put_line(&b, "%s", "");
}

void show_place(FILE *f, const struct mistake *m)
{
	const struct symbol_stack *s = mistake_stack(m);

	if (!s->n)
		fprintf(f, "at a place that is not known");
	else if (s->at[0].file)
		fprintf(f, "%s (%s:%d)", s->at[0].fn ? s->at[0].fn : "?", s->at[0].file,
			s->at[0].line);
	else
		fprintf(f, "%s (%s+0x%" PRIx64 ")", s->at[0].fn ? s->at[0].fn : "?",
			s->at[0].module ? symbols_base_name(s->at[0].module) : "no file",
			s->at[0].offset);
}
