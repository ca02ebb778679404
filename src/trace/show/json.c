/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/json.c: a log as lines of JSON, for programs. Addresses and values are strings: not
 * all who read JSON have integers of 64 bits.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "trace/show/internal.h"

static void put_hex(FILE *f, const char *key, uint64_t v)
{
	fprintf(f, ",\"%s\":\"0x%" PRIx64 "\"", key, v);
}

static void put_text(FILE *f, const char *key, const char *text)
{
	fputc(',', f);
	json_write_member(f, key, text);
}

static void put_bytes(FILE *f, const struct trace_record *r)
{
	if (!r->data)
		return;
	fputs(",\"bytes\":\"", f);
	for (unsigned i = 0; i < r->data; i++)
		fprintf(f, "%02x", trace_data(r)[i]);
	fputc('"', f);
}

static void put_access(FILE *f, const struct trace_log *log, const struct trace_record *r)
{
	char name[TRACE_NAME];

	put_text(f, "access", r->flags & TRACE_WRITE ? "write" : "read");
	put_text(f, "region", trace_region_name(r->sub, name));
	put_text(f, "register", trace_reg_name(log, r, name) ? name : NULL);
	put_hex(f, "offset", r->at);
	fprintf(f, ",\"size\":%u,\"mapped\":%s", r->size,
		r->flags & TRACE_MAPPED ? "true" : "false");
	if (r->err)
		put_text(f, "error", strerrorname_np(-r->err));
	else if (r->size <= sizeof(r->value))
		put_hex(f, "value", r->value);
	put_bytes(f, r);
}

/* The argument as the text has it. */
static void put_argument(FILE *f, const struct trace_record *r)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return;
	trace_ioctl_argument(to, r);
	if (!fclose(to))
		put_text(f, "argument", text);
	free(text);
}

static void put_call(FILE *f, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_record *ret = e->pair == NOT_PAIRED ? NULL : log->event[e->pair].r;
	char name[TRACE_NAME];

	put_text(f, "ioctl", trace_ioctl_name(e->r->sub, (unsigned)e->r->at, name));
	put_argument(f, ret && (int64_t)ret->value >= 0 && ret->data ? ret : e->r);
	if (!ret)
		return;
	fprintf(f, ",\"returned\":%" PRId64 ",\"ns\":%" PRIu64, (int64_t)ret->value,
		trace_ns(log, ret->time) - trace_ns(log, e->r->time));
}

static void put_command(FILE *f, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_record *r = e->r;
	char name[TRACE_NAME];

	fprintf(f, ",\"queue\":%u,\"id\":%" PRIu64, r->sub, r->at);
	if (r->kind == TRACE_BEGIN) {
		snprintf(name, sizeof(name), "%.*s", (int)r->data, trace_data(r));
		put_text(f, "begins", name);
		put_hex(f, "address", r->value);
		fprintf(f, ",\"size\":%u", r->size);
		return;
	}
	put_hex(f, "status", r->value);
	if (e->pair != NOT_PAIRED)
		fprintf(f, ",\"ns\":%" PRIu64,
			trace_ns(log, r->time) - trace_ns(log, log->event[e->pair].time));
}

static void put_report(FILE *f, const struct trace_record *r)
{
	char text[TRACE_DATA_MAX + 1];
	size_t n = r->data < TRACE_DATA_MAX ? r->data : TRACE_DATA_MAX, code;

	memcpy(text, trace_data(r), n);
	text[n] = '\0';
	code = strlen(text);
	put_text(f, "code", text);
	put_text(f, "text", code < n ? text + code + 1 : "");
	fprintf(f, ",\"level\":%u", r->sub);
}

static void put_map(FILE *f, const struct trace_record *r)
{
	static const char *const what[] = { [TRACE_SPACE] = "new",
					    [TRACE_MAP] = "map",
					    [TRACE_UNMAP] = "unmap",
					    [TRACE_ATTACH] = "attach" };
	uint64_t mem;

	put_text(f, "what", what[r->kind]);
	put_hex(f, "space", r->space);
	if (r->kind != TRACE_MAP && r->kind != TRACE_UNMAP)
		return;
	put_hex(f, "iova", r->at);
	put_hex(f, "size", r->value);
	if (r->kind != TRACE_MAP || r->data < sizeof(mem))
		return;
	memcpy(&mem, trace_data(r), sizeof(mem));
	put_hex(f, "memory", mem);
}

static void put_event(FILE *f, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_thread_data *t = trace_thread(log, e->r);
	const struct trace_record *r = e->r;
	const char *device = trace_device_name(log, r);

	fprintf(f, "{\"time\":%" PRIu64 ",\"pid\":%d,\"tid\":%d", trace_ns(log, r->time), t->pid,
		t->tid);
	put_text(f, "thread", t->name);
	put_text(f, "device", *device ? device : NULL);
	put_text(f, "kind", trace_kind_name(r));
	switch (r->kind) {
	case TRACE_ACCESS:
		put_access(f, log, r);
		break;
	case TRACE_DMA:
		put_text(f, "access", r->flags & TRACE_WRITE ? "write" : "read");
		put_hex(f, "iova", r->at);
		fprintf(f, ",\"size\":%u,\"done\":%s", r->size, r->err ? "false" : "true");
		put_bytes(f, r);
		break;
	case TRACE_IRQ:
		put_text(f, "what", trace_irq_name(r->sub));
		if (r->at != TRACE_INTX)
			fprintf(f, ",\"vector\":%" PRIu64, r->at);
		break;
	case TRACE_RESET:
		put_text(f, "what", trace_reset_name(r->sub));
		break;
	case TRACE_CALL:
		put_call(f, log, e);
		break;
	case TRACE_BEGIN:
	case TRACE_END:
		put_command(f, log, e);
		break;
	case TRACE_REPORT:
		put_report(f, r);
		break;
	case TRACE_SPACE:
	case TRACE_MAP:
	case TRACE_UNMAP:
	case TRACE_ATTACH:
		put_map(f, r);
		break;
	}
	fputs("}\n", f);
}

void trace_json(FILE *out, const struct trace_log *log, const struct trace_filter *f)
{
	for (uint32_t i = 0; i < log->n; i++) {
		const struct trace_event *e = &log->event[i];

		if (e->r->kind == TRACE_RETURN && e->pair != NOT_PAIRED)
			continue;
		if (trace_wanted(log, e, f))
			put_event(out, log, e);
	}
}
