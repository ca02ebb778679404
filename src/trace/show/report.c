/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/report.c: a log as one page for a browser: report.html, with what it shows as JSON in
 * the place of "@DATA@". The page needs nothing else.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/util.h"
#include "trace/show/internal.h"

#define TRACKS	  512u
#define HEAT_ROWS 80u
#define HEAT_BINS 240u

extern const char trace_report_page[];

/* A line of the time line: of a thread, or of something of a device. */
struct track {
	enum { THREAD, QUEUE, DMA, VECTOR, INTX, RESET } of;
	uint32_t device, n;
};

struct page {
	FILE *f;
	const struct trace_log *log;
	const struct trace_filter *filter;
	struct track track[TRACKS];
	unsigned num_tracks;
	uint64_t total;
};

static const char *const kinds[] = { "bar",   "config", "dma",	   "map",    "irq",
				     "reset", "ioctl",	"command", "report", "?" };

static unsigned kind_of(const struct trace_record *r)
{
	const char *name = trace_kind_name(r);
	unsigned i = 0;

	while (i < ARRAY_SIZE(kinds) - 1 && strcmp(kinds[i], name))
		i++;
	return i;
}

/* Return the number of the line that @r is on; when there are too many, the last one. */
static unsigned track_of(struct page *p, const struct trace_record *r)
{
	struct track t = { .device = r->device };
	unsigned i;

	switch (r->kind) {
	case TRACE_DMA:
		t.of = DMA;
		break;
	case TRACE_IRQ:
		t.of = r->at == TRACE_INTX ? INTX : VECTOR;
		t.n = r->at == TRACE_INTX ? 0 : (uint32_t)r->at;
		break;
	case TRACE_BEGIN:
	case TRACE_END:
		t.of = QUEUE;
		t.n = r->sub;
		break;
	case TRACE_RESET:
		t.of = RESET;
		break;
	default:
		t = (struct track){ .of = THREAD, .n = r->thread };
	}
	for (i = 0; i < p->num_tracks; i++)
		if (p->track[i].of == t.of && p->track[i].device == t.device &&
		    p->track[i].n == t.n)
			return i;
	if (p->num_tracks == TRACKS)
		return TRACKS - 1;
	p->track[p->num_tracks++] = t;
	return i;
}

static void put_track(const struct page *p, const struct track *t)
{
	const struct trace_record r = { .device = (uint16_t)t->device, .thread = (uint16_t)t->n };
	static const char *const names[] = { [QUEUE] = "queue",
					     [DMA] = "DMA",
					     [VECTOR] = "vector",
					     [INTX] = "INTx",
					     [RESET] = "resets" };
	const struct trace_thread_data *thread = trace_thread(p->log, &r);
	char text[128];

	if (t->of == THREAD)
		snprintf(text, sizeof(text), "%s (%d)", thread->name, thread->tid);
	else if (t->of == QUEUE || t->of == VECTOR)
		snprintf(text, sizeof(text), "%s %s %u", trace_device_name(p->log, &r),
			 names[t->of], t->n);
	else
		snprintf(text, sizeof(text), "%s %s", trace_device_name(p->log, &r), names[t->of]);
	json_write(p->f, text);
}

/* ---- members of the page's data ---- */

static void put_event(struct page *p, const struct trace_event *e)
{
	uint64_t from = trace_ns(p->log, e->time), to = from;
	char *text = NULL;
	size_t len;
	FILE *f;

	if (e->pair != NOT_PAIRED && e->r->kind != TRACE_END)
		to = trace_ns(p->log, p->log->event[e->pair].r->time);
	fprintf(p->f, "[%" PRIu64 ",%" PRIu64 ",%u,%u,", from, to > from ? to - from : 0,
		kind_of(e->r), track_of(p, e->r));
	f = open_memstream(&text, &len);
	if (f) {
		fprintf(f, "%s ", trace_device_name(p->log, e->r));
		trace_describe(f, p->log, e);
	}
	if (!f || fclose(f))
		fputs("\"\"", p->f);
	else
		json_write(p->f, text);
	free(text);
	fputc(']', p->f);
}

/* True if the page has @e: what is told with another event is not there by itself. */
static bool is_shown(const struct page *p, const struct trace_event *e)
{
	return !(e->r->kind == TRACE_RETURN && e->pair != NOT_PAIRED) &&
	       trace_wanted(p->log, e, p->filter);
}

static void put_events(struct page *p)
{
	bool any = false;

	fputs("\"events\":[", p->f);
	for (uint32_t i = 0; i < p->log->n; i++) {
		if (!is_shown(p, &p->log->event[i]) || p->total++ >= TRACE_REPORT_EVENTS)
			continue;
		fputs(any ? ",\n" : "\n", p->f);
		any = true;
		put_event(p, &p->log->event[i]);
	}
	fputs("],\"tracks\":[", p->f);
	for (unsigned i = 0; i < p->num_tracks; i++) {
		fputs(i ? "," : "", p->f);
		put_track(p, &p->track[i]);
	}
	fprintf(p->f, "],\"total\":%" PRIu64 ",\"kinds\":[", p->total);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(p->f, "%s\"%s\"", i ? "," : "", kinds[i]);
	fputc(']', p->f);
}

static void put_reports(struct page *p)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	bool any = false;

	fputs(",\"reports\":[", p->f);
	for (uint32_t i = 0; i < p->log->n; i++) {
		const struct trace_record *r = p->log->event[i].r;
		char text[TRACE_DATA_MAX + 1];
		size_t n = r->data < TRACE_DATA_MAX ? r->data : TRACE_DATA_MAX, code;

		if (r->kind != TRACE_REPORT || !is_shown(p, &p->log->event[i]))
			continue;
		memcpy(text, trace_data(r), n);
		text[n] = '\0';
		code = strlen(text);
		fprintf(p->f, "%s[%" PRIu64 ",\"%s\",", any ? "," : "", trace_ns(p->log, r->time),
			levels[r->sub < 4 ? r->sub : 3]);
		any = true;
		json_write(p->f, text);
		fputc(',', p->f);
		json_write(p->f, code < n ? text + code + 1 : "");
		fputc(']', p->f);
	}
	fputc(']', p->f);
}

/* The registers that are accessed most, each with its accesses in parts of the time. */
static void put_heat(struct page *p, const struct trace_sums *s, uint64_t span)
{
	unsigned rows = s->num_counted < HEAT_ROWS ? s->num_counted : HEAT_ROWS;
	uint32_t(*bins)[HEAT_BINS] = calloc(HEAT_ROWS, sizeof(*bins));
	char reg[TRACE_NAME], region[TRACE_NAME], name[4 * TRACE_NAME];

	fputs(",\"heat\":[", p->f);
	for (uint32_t i = 0; bins && i < p->log->n; i++) {
		const struct trace_record *r = p->log->event[i].r;
		uint64_t bin = trace_ns(p->log, r->time) * HEAT_BINS / (span + 1);

		if (r->kind != TRACE_ACCESS || r->err || !is_shown(p, &p->log->event[i]))
			continue;
		for (unsigned k = 0; k < rows; k++)
			if (s->counted[k].r->device == r->device &&
			    s->counted[k].r->sub == r->sub && s->counted[k].at == r->at &&
			    bin < HEAT_BINS)
				bins[k][bin]++;
	}
	for (unsigned k = 0; bins && k < rows; k++) {
		const struct trace_counted *c = &s->counted[k];

		snprintf(name, sizeof(name), "%s %s %s 0x%04" PRIx64,
			 trace_device_name(p->log, c->r), trace_region_name(c->r->sub, region),
			 trace_reg_name(p->log, c->r, reg) ? reg : "", c->at);
		fprintf(p->f, "%s{\"reads\":%" PRIu64 ",\"writes\":%" PRIu64 ",", k ? "," : "",
			c->reads, c->writes);
		json_write_member(p->f, "name", name);
		fputs(",\"counts\":[", p->f);
		for (unsigned i = 0; i < HEAT_BINS; i++)
			fprintf(p->f, "%s%u", i ? "," : "", bins[k][i]);
		fputs("]}", p->f);
	}
	free(bins);
	fputc(']', p->f);
}

static void put_histograms(struct page *p, const struct trace_sums *s)
{
	fputs(",\"histograms\":[", p->f);
	for (unsigned i = 0; i < s->num_named; i++) {
		const struct trace_histogram *h = &s->named[i].took;
		bool any = false;

		fprintf(p->f,
			"%s{\"n\":%" PRIu64 ",\"min\":%" PRIu64 ",\"max\":%" PRIu64
			",\"sum\":%" PRIu64 ",",
			i ? "," : "", h->n, h->min, h->max, h->sum);
		json_write_member(p->f, "name", s->named[i].name);
		fputs(",\"buckets\":[", p->f);
		for (unsigned k = 0; k < TRACE_BUCKETS; k++) {
			if (!h->bucket[k])
				continue;
			fprintf(p->f, "%s[%llu,%" PRIu64 "]", any ? "," : "", 2ull << k,
				h->bucket[k]);
			any = true;
		}
		fputs("]}", p->f);
	}
	fputc(']', p->f);
}

static void put_data(struct page *p, const struct trace_sums *s, const char *name)
{
	const struct trace_log *log = p->log;
	uint64_t span = log->n ? trace_ns(log, log->event[log->n - 1].r->time) : 0;
	bool any = false;

	fputc('{', p->f);
	put_events(p);
	put_reports(p);
	put_heat(p, s, span);
	put_histograms(p, s);
	fputs(",\"devices\":[", p->f);
	for (uint32_t i = 0; i < log->num_devices; i++) {
		/* files have no model */
		if (!*log->device[i].model)
			continue;
		fputs(any ? "," : "", p->f);
		any = true;
		json_write(p->f, log->device[i].name);
	}
	fprintf(p->f, "],\"span\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"whole\":%s,", span,
		log->dropped, log->whole ? "true" : "false");
	json_write_member(p->f, "file", name);
	fputc('}', p->f);
}

int trace_report(FILE *out, const struct trace_log *log, const struct trace_filter *f,
		 const char *name)
{
	const char *place = strstr(trace_report_page, "@DATA@");
	struct page p = { .log = log, .filter = f };
	struct trace_sums *s = trace_sums_new(log, f);
	char *data = NULL;
	size_t len = 0;

	p.f = s ? open_memstream(&data, &len) : NULL;
	if (p.f)
		put_data(&p, s, name);
	trace_sums_free(s);
	if (!p.f || fclose(p.f)) {
		free(data);
		return -ENOMEM;
	}
	fwrite(trace_report_page, 1, (size_t)(place - trace_report_page), out);
	/* nothing in it ends the element that it is in: '<' is in strings alone */
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '<')
			fputs("\\u003c", out);
		else
			fputc(data[i], out);
	}
	fputs(place + strlen("@DATA@"), out);
	free(data);
	return 0;
}
