/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/show/json.c: mistakes as lines of JSON, for programs (--check-file). Addresses are strings:
 * not all who read JSON have integers of 64 bits.
 */
#include <inttypes.h>

#include "base/json.h"
#include "base/report.h"
#include "check/show/internal.h"

static void put_hex(FILE *f, const char *key, uint64_t v)
{
	fprintf(f, "\"%s\":\"0x%" PRIx64 "\"", key, v);
}

static void put_stack(FILE *f, const struct symbol_stack *s)
{
	fputs("\"stack\":[", f);
	for (unsigned i = 0; i < s->n; i++) {
		const struct symbol *y = &s->at[i];

		fputs(i ? ",{" : "{", f);
		put_hex(f, "pc", y->pc);
		fputc(',', f);
		json_write_member(f, "function", y->fn);
		fputc(',', f);
		json_write_member(f, "file", y->file);
		fprintf(f, ",\"line\":%d,\"column\":%d,\"inlined\":%s,", y->line, y->column,
			y->inlined ? "true" : "false");
		json_write_member(f, "module", y->module);
		fputc(',', f);
		put_hex(f, "offset", y->offset);
		fputc('}', f);
	}
	fputc(']', f);
}

static void put_access(FILE *f, const struct check_record *r)
{
	if (r->access == REPORT_DMA) {
		fputs(",\"dma\":{", f);
		put_hex(f, "iova", r->at);
	} else {
		fprintf(f, ",\"access\":{\"bar\":%u,", r->bar);
		json_write_member(f, "register", *r->reg ? r->reg : NULL);
		fputc(',', f);
		put_hex(f, "offset", r->at);
		if (r->write) {
			fputc(',', f);
			put_hex(f, "value", r->value);
		}
	}
	fprintf(f, ",\"size\":%" PRIu64 ",\"write\":%s}", r->size, r->write ? "true" : "false");
	if (r->access == REPORT_DMA && r->has_meant) {
		fputc(',', f);
		put_hex(f, "meant", r->meant);
	}
}

static void put_part(FILE *f, const struct check_part *p, const struct symbol_stack *stack)
{
	static const char *const roles[CHECK_ROLES] = { "store",  "mapping-below", "mapping-above",
							"mapped", "unmapped",	   "place",
							"given" };

	fprintf(f, "{\"what\":\"%s\",\"tid\":%d,\"age_ns\":%" PRIu64 ",",
		p->role < CHECK_ROLES ? roles[p->role] : "", p->tid, p->age_ns);
	if (p->role != CHECK_PLACE) {
		put_hex(f, p->role == CHECK_STARTED ? "offset" : "iova", p->at);
		fprintf(f, ",\"size\":%" PRIu64 ",", p->size);
	}
	if (p->role == CHECK_PLACE) {
		json_write_member(f, "done", p->reg);
	} else if (p->role == CHECK_STARTED) {
		fprintf(f, "\"bar\":%u,", p->bar);
		put_hex(f, "value", p->value);
		fputc(',', f);
		json_write_member(f, "register", *p->reg ? p->reg : NULL);
	} else {
		json_write_member(f, "call", *p->call ? p->call : NULL);
	}
	fputc(',', f);
	put_stack(f, stack);
	fputc('}', f);
}

void show_json(FILE *f, const struct mistake *m)
{
	const struct check_record *r = &m->r;

	fprintf(f, "{\"kind\":\"%s\",", m->kind->name);
	json_write_member(f, "device", r->device);
	fputc(',', f);
	json_write_member(f, "text", r->text);
	fprintf(f, ",\"errno\":%d,\"time_ns\":%" PRIu64 ",\"pid\":%d,\"tid\":%d,", -r->err, r->time,
		r->pid, r->tid);
	json_write_member(f, "thread", r->thread);
	fputc(',', f);
	json_write_member(f, "call", *r->call ? r->call : NULL);
	if (r->access != REPORT_NO_ACCESS)
		put_access(f, r);
	fputc(',', f);
	put_stack(f, &m->stack);
	fputs(",\"before\":[", f);
	for (unsigned i = 0; i < r->parts; i++) {
		if (i)
			fputc(',', f);
		put_part(f, &r->part[i], &m->part[i]);
	}
	fputs("]}\n", f);
}
