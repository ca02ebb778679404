/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/report.c: results for a reader, as TAP (version 13) and as JUnit's XML. What a test that
 * failed had sent, and what had come, is shown to the byte: that is what a maintainer of the other
 * side needs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conform/internal.h"

struct ct_report {
	const struct conform_options *o;
	FILE *junit;
	char *cases; /* the body of the JUnit file, whose head needs the totals */
	size_t cases_size;
	FILE *cases_file;
	unsigned n, of[CT_SKIPPED + 1];
	double seconds;
};

static const char *const words[] = {
	[CT_OK] = "ok", [CT_FAILED] = "FAIL", [CT_WARNED] = "warn", [CT_SKIPPED] = "skip"
};
static const char *const levels[] = { "MUST", "SHOULD", "PRACTICE" };

struct ct_report *ct_report_new(const struct conform_options *o, unsigned ntests)
{
	struct ct_report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->o = o;
	if (o->junit) {
		r->junit = fopen(o->junit, "we");
		if (!r->junit) {
			fprintf(stderr, "uvfio: conform: %s: %s\n", o->junit, strerror(errno));
			free(r);
			return NULL;
		}
		r->cases_file = open_memstream(&r->cases, &r->cases_size);
	}
	if (o->format == CONFORM_TAP)
		fprintf(o->out, "TAP version 13\n1..%u\n", ntests);
	return r;
}

static void write_log(struct ct *t, FILE *f, const char *indent)
{
	unsigned first = t->logged > CT_LOG ? t->logged - CT_LOG : 0;

	if (first)
		fprintf(f, "%s(%u messages and parts before these)\n", indent, first);
	for (unsigned i = first; i < t->logged; i++)
		ct_show(f, &t->log[i % CT_LOG], indent);
	if (t->result == CT_FAILED)
		ct_process_output(t->run, f, indent);
}

static void write_lines(FILE *f, const char *indent, const char *text)
{
	while (text && *text) {
		size_t len = strcspn(text, "\n");

		fprintf(f, "%s%.*s\n", indent, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static void write_text(struct ct_report *r, struct ct *t)
{
	bool detail = t->result == CT_FAILED || t->result == CT_WARNED || r->o->verbose;
	FILE *f = r->o->out;

	fprintf(f, "%-5s %-28s %s\n", words[t->result], t->test->name,
		t->result == CT_SKIPPED ? t->why : t->test->sentence);
	if (t->result != CT_SKIPPED)
		write_lines(f, "        ", t->why);
	if (detail) {
		write_lines(f, "        note: ", t->notes);
		fprintf(f, "        %s, \"%s\"\n", levels[t->test->level], t->test->section);
		write_log(t, f, "        ");
	}
	fflush(f);
}

/* A block of YAML: text of several lines is one as it stands. */
static void write_tap(struct ct_report *r, struct ct *t)
{
	bool failed = t->result == CT_FAILED || (t->result == CT_WARNED && r->o->strict);
	FILE *f = r->o->out;

	fprintf(f, "%s %u - %s: %s", failed ? "not ok" : "ok", r->n, t->test->name,
		t->test->sentence);
	if (t->result == CT_SKIPPED)
		fprintf(f, " # SKIP %s", t->why);
	fputc('\n', f);
	if (t->result == CT_FAILED || t->result == CT_WARNED) {
		fprintf(f, "  ---\n  severity: %s\n  level: %s\n  section: '%s'\n  message: |\n",
			t->result == CT_FAILED ? "fail" : "warn", levels[t->test->level],
			t->test->section);
		write_lines(f, "    ", t->why);
		fprintf(f, "  messages: |\n");
		write_log(t, f, "    ");
		fprintf(f, "  ...\n");
	}
	fflush(f);
}

static void write_xml(FILE *f, const char *text)
{
	for (; text && *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\n':
			fputs("\n", f);
			break;
		default:
			fputc((unsigned char)*text < 0x20 ? '?' : *text, f);
		}
}

static void write_junit(struct ct_report *r, struct ct *t)
{
	bool failed = t->result == CT_FAILED || (t->result == CT_WARNED && r->o->strict);
	FILE *f = r->cases_file, *log;
	char *text = NULL;
	size_t size;

	fprintf(f, "  <testcase classname=\"%s\" name=\"%s\" time=\"%.3f\">",
		r->o->client ? "client" : "server", t->test->name, t->seconds);
	if (t->result == CT_SKIPPED) {
		fputs("<skipped message=\"", f);
		write_xml(f, t->why);
		fputs("\"/>", f);
	} else if (t->result != CT_OK) {
		fputs(failed ? "<failure message=\"" : "<system-out>", f);
		write_xml(f, t->why);
		fputs(failed ? "\">" : "\n", f);
		log = open_memstream(&text, &size);
		fprintf(log, "%s, %s, \"%s\"\n", t->test->sentence, levels[t->test->level],
			t->test->section);
		write_log(t, log, "");
		fclose(log);
		write_xml(f, text);
		free(text);
		fputs(failed ? "</failure>" : "</system-out>", f);
	}
	fputs("</testcase>\n", f);
}

void ct_report_test(struct ct_report *r, struct ct *t)
{
	r->n++;
	r->of[t->result]++;
	r->seconds += t->seconds;
	if (r->o->format == CONFORM_TAP)
		write_tap(r, t);
	else
		write_text(r, t);
	if (r->junit)
		write_junit(r, t);
}

int ct_report_end(struct ct_report *r)
{
	unsigned failed = r->of[CT_FAILED] + (r->o->strict ? r->of[CT_WARNED] : 0);
	int rc = failed ? 1 : 0;

	if (r->o->format == CONFORM_TEXT)
		fprintf(r->o->out, "%u passed, %u failed, %u warned, %u skipped (%.1f s)\n",
			r->of[CT_OK], r->of[CT_FAILED], r->of[CT_WARNED], r->of[CT_SKIPPED],
			r->seconds);
	if (r->junit) {
		fclose(r->cases_file);
		fprintf(r->junit,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"vfio-user\" "
			"tests=\"%u\" failures=\"%u\" skipped=\"%u\" time=\"%.3f\">\n%s"
			"</testsuite>\n",
			r->n, failed, r->of[CT_SKIPPED], r->seconds, r->cases);
		if (ferror(r->junit) | fclose(r->junit)) {
			fprintf(stderr, "uvfio: conform: %s: %s\n", r->o->junit, strerror(errno));
			rc = 2;
		}
		free(r->cases);
	}
	free(r);
	return rc;
}
