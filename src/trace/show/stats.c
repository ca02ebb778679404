/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/stats.c: a log in numbers: how often each register is accessed, what a command costs
 * in accesses and DMA, and how long commands and ioctls take.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trace/show/internal.h"

/* ---- histograms ---- */

void trace_histogram_add(struct trace_histogram *h, uint64_t ns)
{
	unsigned b = ns ? 63 - (unsigned)__builtin_clzll(ns) : 0;

	h->bucket[b < TRACE_BUCKETS ? b : TRACE_BUCKETS - 1]++;
	h->n++;
	h->sum += ns;
	if (h->n == 1 || ns < h->min)
		h->min = ns;
	if (ns > h->max)
		h->max = ns;
}

static void print_ns(FILE *f, uint64_t ns)
{
	if (ns < 10000)
		fprintf(f, "%5" PRIu64 " ns", ns);
	else if (ns < 10000000)
		fprintf(f, "%5" PRIu64 " us", ns / 1000);
	else
		fprintf(f, "%5" PRIu64 " ms", ns / 1000000);
}

static void print_histogram(FILE *f, const char *name, const struct trace_histogram *h)
{
	uint64_t most = 1;

	fprintf(f, "  %s: %" PRIu64 ", ", name, h->n);
	print_ns(f, h->min);
	fputs(" to ", f);
	print_ns(f, h->max);
	fputs(", on average ", f);
	print_ns(f, h->sum / h->n);
	fputc('\n', f);
	for (unsigned i = 0; i < TRACE_BUCKETS; i++)
		most = h->bucket[i] > most ? h->bucket[i] : most;
	for (unsigned i = 0; i < TRACE_BUCKETS; i++) {
		if (!h->bucket[i])
			continue;
		fputs("    < ", f);
		print_ns(f, 2ull << i);
		fprintf(f, " %9" PRIu64 " ", h->bucket[i]);
		for (uint64_t k = 0; k < (h->bucket[i] * 40 + most - 1) / most; k++)
			fputc('#', f);
		fputc('\n', f);
	}
}

/* ---- sums ---- */

static struct trace_named *named(struct trace_sums *s, const char *kind, const char *name)
{
	for (unsigned i = 0; i < s->num_named; i++)
		if (!strcmp(s->named[i].kind, kind) && !strcmp(s->named[i].name, name))
			return &s->named[i];
	if (s->num_named == TRACE_NAMED)
		return NULL;
	s->named[s->num_named].kind = kind;
	snprintf(s->named[s->num_named].name, TRACE_NAME, "%s", name);
	return &s->named[s->num_named++];
}

/* Where accesses of the register are counted; NULL: no memory. */
static struct trace_counted *counted(struct trace_sums *s, const struct trace_record *r)
{
	uint64_t key = 1ull << 63 | (uint64_t)r->device << 32 | r->sub;
	uint32_t mask = s->room - 1, at;

	if (2 * s->num_counted >= s->room) {
		struct trace_counted *old = s->counted;
		uint32_t n = s->room, room = n ? 2 * n : 256;

		s->counted = calloc(room, sizeof(*old));
		if (!s->counted) {
			s->counted = old;
			return NULL;
		}
		s->room = room;
		mask = room - 1;
		for (uint32_t i = 0; i < n; i++) {
			if (!old[i].key)
				continue;
			at = (uint32_t)((old[i].key * 31 + old[i].at) * 0x9e3779b97f4a7c15ull >>
					32);
			while (s->counted[at & mask].key)
				at++;
			s->counted[at & mask] = old[i];
		}
		free(old);
	}
	at = (uint32_t)((key * 31 + r->at) * 0x9e3779b97f4a7c15ull >> 32);
	for (;; at++) {
		struct trace_counted *c = &s->counted[at & mask];

		if (!c->key) {
			c->key = key;
			c->at = r->at;
			c->r = r;
			s->num_counted++;
		}
		if (c->key == key && c->at == r->at)
			return c;
	}
}

static void add_access(struct trace_sums *s, const struct trace_record *r)
{
	struct trace_device_sums *d = &s->device[r->device < TRACE_DEVICES ? r->device : 0];
	struct trace_counted *c;

	if (r->err)
		return;
	c = counted(s, r);
	if (c)
		(*(r->flags & TRACE_WRITE ? &c->writes : &c->reads))++;
	d->accesses++;
	d->access_bytes += r->size;
}

static void add(struct trace_sums *s, const struct trace_log *log, const struct trace_event *e)
{
	const struct trace_record *r = e->r;
	struct trace_device_sums *d = &s->device[r->device < TRACE_DEVICES ? r->device : 0];
	bool write = r->flags & TRACE_WRITE;
	struct trace_named *n = NULL;
	char name[TRACE_NAME];

	switch (r->kind) {
	case TRACE_ACCESS:
		add_access(s, r);
		break;
	case TRACE_DMA:
		if (r->err)
			break;
		d->dma[write]++;
		d->dma_bytes[write] += r->size;
		break;
	case TRACE_IRQ:
		if (r->sub < TRACE_IRQS)
			d->irq[r->sub]++;
		break;
	case TRACE_BEGIN:
		d->commands++;
		snprintf(name, sizeof(name), "%.*s", (int)r->data, trace_data(r));
		if (e->pair != NOT_PAIRED)
			n = named(s, "command", name);
		break;
	case TRACE_CALL:
		if (e->pair != NOT_PAIRED)
			n = named(s, "ioctl", trace_ioctl_name(r->sub, (unsigned)r->at, name));
		break;
	}
	if (n)
		trace_histogram_add(&n->took, trace_ns(log, log->event[e->pair].r->time) -
						      trace_ns(log, e->time));
}

static int by_count(const void *a, const void *b)
{
	const struct trace_counted *x = a, *y = b;
	uint64_t nx = x->reads + x->writes, ny = y->reads + y->writes;

	if (nx != ny)
		return nx > ny ? -1 : 1;
	return x->key != y->key ? (x->key < y->key ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

struct trace_sums *trace_sums_new(const struct trace_log *log, const struct trace_filter *f)
{
	struct trace_sums *s = calloc(1, sizeof(*s));

	for (uint32_t i = 0; s && i < log->n; i++)
		if (trace_wanted(log, &log->event[i], f))
			add(s, log, &log->event[i]);
	/* empty places go to the end, since their counts are 0 */
	if (s && s->counted)
		qsort(s->counted, s->room, sizeof(*s->counted), by_count);
	return s;
}

void trace_sums_free(struct trace_sums *s)
{
	if (s)
		free(s->counted);
	free(s);
}

/* ---- text ---- */

static void print_device(FILE *out, const struct trace_device_sums *d, const char *name,
			 const char *model)
{
	fprintf(out, "%s%s%s\n  accesses: %" PRIu64 " of %" PRIu64 " bytes\n", name,
		*model ? ", " : "", model, d->accesses, d->access_bytes);
	fprintf(out,
		"  DMA: %" PRIu64 " reads of %" PRIu64 " bytes, %" PRIu64 " writes of %" PRIu64
		" bytes\n",
		d->dma[0], d->dma_bytes[0], d->dma[1], d->dma_bytes[1]);
	fputs("  interrupts:", out);
	for (unsigned i = 0; i < TRACE_IRQS; i++)
		if (d->irq[i])
			fprintf(out, " %" PRIu64 " %s", d->irq[i], trace_irq_name(i));
	fputc('\n', out);
	if (d->commands)
		fprintf(out,
			"  commands: %" PRIu64 ", each with %.2f accesses of %.1f bytes, and %.1f "
			"bytes of DMA\n",
			d->commands, (double)d->accesses / (double)d->commands,
			(double)d->access_bytes / (double)d->commands,
			(double)(d->dma_bytes[0] + d->dma_bytes[1]) / (double)d->commands);
}

/* Histograms of all of a kind. */
static void print_named(FILE *out, const struct trace_sums *s, const char *kind)
{
	bool any = false;

	for (unsigned i = 0; i < s->num_named; i++) {
		if (strcmp(s->named[i].kind, kind))
			continue;
		if (!any)
			fprintf(out, "%ss:\n", kind);
		any = true;
		print_histogram(out, s->named[i].name, &s->named[i].took);
	}
}

int trace_stats(FILE *out, const struct trace_log *log, const struct trace_filter *f)
{
	struct trace_sums *s = trace_sums_new(log, f);
	char reg[TRACE_NAME], region[TRACE_NAME];

	if (!s)
		return -1;
	for (uint32_t i = 0; i < log->num_devices; i++) {
		const struct trace_device_sums *d = &s->device[i];

		if (d->accesses || d->dma[0] || d->dma[1] || d->commands)
			print_device(out, d, log->device[i].name, log->device[i].model);
	}
	fprintf(out, "registers:\n  %9s %9s\n", "reads", "writes");
	for (uint32_t i = 0; i < s->num_counted; i++) {
		const struct trace_counted *c = &s->counted[i];

		fprintf(out, "  %9" PRIu64 " %9" PRIu64 " %s %s %s (0x%04" PRIx64 ")\n", c->reads,
			c->writes, trace_device_name(log, c->r),
			trace_region_name(c->r->sub, region),
			trace_reg_name(log, c->r, reg) ? reg : "-", c->at);
	}
	print_named(out, s, "command");
	print_named(out, s, "ioctl");
	trace_sums_free(s);
	return 0;
}
