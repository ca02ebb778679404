/* SPDX-License-Identifier: BSD-3-Clause */
/* trace/show/text.c: a log as text, a line for each event. */
#include <inttypes.h>
#include <linux/vfio.h>
#include <string.h>

#include "trace/show/internal.h"

#define BYTES_SHOWN 32u

static void bytes(FILE *out, const struct trace_record *r)
{
	const uint8_t *b = trace_data(r);
	unsigned n = r->data < BYTES_SHOWN ? r->data : BYTES_SHOWN;

	for (unsigned i = 0; i < n; i++)
		fprintf(out, "%s%02x", i ? " " : ": ", b[i]);
	if (r->data && r->size > n)
		fputs(" ...", out);
}

static void region_access(FILE *out, const struct trace_log *log, const struct trace_record *r)
{
	char reg[TRACE_NAME], region[TRACE_NAME];
	bool named = trace_reg_name(log, r, reg);

	if (r->sub != VFIO_PCI_CONFIG_REGION_INDEX)
		fprintf(out, "%s ", trace_region_name(r->sub, region));
	fprintf(out, "%s ", r->flags & TRACE_WRITE ? "write" : "read");
	if (named)
		fprintf(out, "%s (0x%04" PRIx64 ")", reg, r->at);
	else
		fprintf(out, "0x%04" PRIx64, r->at);
	fprintf(out, " of %u", r->size);
	if (r->err)
		fprintf(out, " failed: %s", strerrorname_np(-r->err));
	else if (r->size <= sizeof(r->value))
		fprintf(out, " %s 0x%0*" PRIx64, r->flags & TRACE_WRITE ? "<-" : "->",
			(int)(2 * r->size), r->value);
	else
		bytes(out, r);
}

static void dma(FILE *out, const struct trace_record *r)
{
	fprintf(out, "%s of %u at IOVA 0x%" PRIx64, r->flags & TRACE_WRITE ? "write" : "read",
		r->size, r->at);
	if (r->err)
		fprintf(out, " aborted");
	else if (r->flags & TRACE_MODEL)
		fprintf(out, " by the model");
	else
		bytes(out, r);
}

static void irq(FILE *out, const struct trace_record *r)
{
	if (r->at == TRACE_INTX)
		fprintf(out, "INTx %s", trace_irq_name(r->sub));
	else
		fprintf(out, "vector %" PRIu64 " %s", r->at, trace_irq_name(r->sub));
}

static void call(FILE *out, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_record *r = e->r, *ret = NULL, *arg = r;
	char name[TRACE_NAME];

	if (e->pair != NOT_PAIRED)
		ret = log->event[e->pair].r;
	if (ret && (int64_t)ret->value >= 0 && ret->data)
		arg = ret;
	fprintf(out, "%s(", trace_ioctl_name(r->sub, (unsigned)r->at, name));
	trace_ioctl_argument(out, arg);
	if (!ret)
		fputs(") does not return", out);
	else if ((int64_t)ret->value < 0)
		fprintf(out, ") = -%s", strerrorname_np((int)-(int64_t)ret->value));
	else
		fprintf(out, ") = %" PRId64, (int64_t)ret->value);
	if (ret)
		fprintf(out, " after %" PRIu64 " ns",
			trace_ns(log, ret->time) - trace_ns(log, r->time));
}

static void command(FILE *out, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_record *r = e->r;

	fprintf(out, "queue %u command %" PRIu64, r->sub, r->at);
	if (r->kind == TRACE_BEGIN) {
		fprintf(out, " begins: %.*s", (int)r->data, trace_data(r));
		if (r->size || r->value)
			fprintf(out, " of %u at 0x%" PRIx64, r->size, r->value);
		return;
	}
	fprintf(out, " ends with status 0x%" PRIx64, r->value);
	if (e->pair != NOT_PAIRED)
		fprintf(out, " after %" PRIu64 " ns",
			trace_ns(log, r->time) - trace_ns(log, log->event[e->pair].time));
}

static void report(FILE *out, const struct trace_record *r)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	const char *text = (const char *)trace_data(r);
	size_t code = strnlen(text, r->data), at = code < r->data ? code + 1 : code;

	fprintf(out, "%s %.*s: %.*s", r->sub < 4 ? levels[r->sub] : "?", (int)code, text,
		(int)(r->data - at), text + at);
}

void trace_describe(FILE *out, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_record *r = e->r;
	uint64_t mem = 0;

	if (r->data >= sizeof(mem))
		memcpy(&mem, trace_data(r), sizeof(mem));
	switch (r->kind) {
	case TRACE_ACCESS:
		region_access(out, log, r);
		break;
	case TRACE_DMA:
		dma(out, r);
		break;
	case TRACE_SPACE:
		fprintf(out, "space %08x is new", r->space);
		break;
	case TRACE_MAP:
		fprintf(out, "space %08x: [0x%" PRIx64 ", 0x%" PRIx64 ") is mapped to 0x%" PRIx64,
			r->space, r->at, r->at + r->value, mem);
		break;
	case TRACE_UNMAP:
		fprintf(out, "space %08x: [0x%" PRIx64 ", 0x%" PRIx64 ") is unmapped", r->space,
			r->at, r->at + r->value);
		break;
	case TRACE_ATTACH:
		if (r->space)
			fprintf(out, "attached to space %08x", r->space);
		else
			fputs("attached to no space", out);
		break;
	case TRACE_IRQ:
		irq(out, r);
		break;
	case TRACE_RESET:
		fprintf(out, "%s", trace_reset_name(r->sub));
		break;
	case TRACE_CALL:
		call(out, log, e);
		break;
	case TRACE_BEGIN:
	case TRACE_END:
		command(out, log, e);
		break;
	case TRACE_REPORT:
		report(out, r);
		break;
	}
}

static void line(FILE *out, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_thread_data *t = trace_thread(log, e->r);
	const char *device = trace_device_name(log, e->r);
	uint64_t ns = trace_ns(log, e->r->time);

	fprintf(out, "%4" PRIu64 ".%09u %-15s %7d %-12s %-7s ", ns / 1000000000u,
		(unsigned)(ns % 1000000000u), t->name, t->tid, *device ? device : "-",
		trace_kind_name(e->r));
	trace_describe(out, log, e);
	fputc('\n', out);
}

void trace_text(FILE *out, const struct trace_log *log, const struct trace_filter *f)
{
	for (uint32_t i = 0; i < log->n; i++) {
		const struct trace_event *e = &log->event[i];

		/* a return is told with its call */
		if (e->r->kind == TRACE_RETURN && e->pair != NOT_PAIRED)
			continue;
		if (trace_wanted(log, e, f))
			line(out, log, e);
	}
}
