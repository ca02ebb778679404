/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/show/suppress.c: mistakes that the user does not want to see: a file says of each its kind,
 * device and frames, as valgrind's files do. uvfio-check(7) has the format.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "check/show/internal.h"

#define PATTERNS 40u

struct suppression {
	struct suppression *next;
	char *name, *kind, *device; /* globs; NULL: any */
	unsigned n;
	char *frame[PATTERNS]; /* "fun:GLOB", "src:GLOB", "obj:GLOB" or "..." */
	unsigned used;
};

struct suppressions {
	struct suppression *first, **end;
};

struct suppressions *suppress_new(void)
{
	struct suppressions *s = calloc(1, sizeof(*s));

	if (s)
		s->end = &s->first;
	return s;
}

static void free_one(struct suppression *p)
{
	free(p->name);
	free(p->kind);
	free(p->device);
	for (unsigned i = 0; i < p->n; i++)
		free(p->frame[i]);
	free(p);
}

void suppress_free(struct suppressions *s)
{
	while (s && s->first) {
		struct suppression *p = s->first;

		s->first = p->next;
		free_one(p);
	}
	free(s);
}

/* ---- reading ---- */

static char *trim(char *line)
{
	size_t n;

	line += strspn(line, " \t");
	n = strcspn(line, "\n");
	while (n && strchr(" \t\r", line[n - 1]))
		n--;
	line[n] = '\0';
	return line;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* Take a line inside of braces. A sentence, if it is wrong. */
static const char *take_line(struct suppression *p, const char *line)
{
	char **to = NULL;

	if (!p->name)
		return (p->name = strdup(line)) ? NULL : "no memory";
	if (begins(line, "kind:"))
		to = &p->kind;
	else if (begins(line, "device:"))
		to = &p->device;
	if (to)
		return !*to && (*to = strdup(strchr(line, ':') + 1)) ? NULL : "given twice";
	if (strcmp(line, "...") && !begins(line, "fun:") && !begins(line, "src:") &&
	    !begins(line, "obj:"))
		return "no line of a suppression: kind:, device:, fun:, src:, obj: or ...";
	if (p->n == PATTERNS)
		return "too many frames";
	return (p->frame[p->n++] = strdup(line)) ? NULL : "no memory";
}

static const char *take(struct suppressions *s, struct suppression **now, const char *line)
{
	if (!*line || *line == '#')
		return NULL;
	if (!strcmp(line, "{")) {
		if (*now)
			return "{ within { }";
		*now = calloc(1, sizeof(**now));
		return *now ? NULL : "no memory";
	}
	if (!*now)
		return "a { was expected";
	if (strcmp(line, "}"))
		return take_line(*now, line);
	if (!(*now)->name || (!(*now)->kind && !(*now)->n))
		return "a name, and a kind or a frame, must be in { }";
	*s->end = *now;
	s->end = &(*now)->next;
	*now = NULL;
	return NULL;
}

int suppress_read(struct suppressions *s, const char *path, char **why)
{
	struct suppression *now = NULL;
	const char *wrong = NULL;
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "re");
	int rc = f ? 0 : -errno;

	while (f && !wrong && getline(&line, &size, f) >= 0) {
		number++;
		wrong = take(s, &now, trim(line));
	}
	if (f && !wrong && now)
		wrong = "the last { has no }";
	if (wrong)
		rc = -EINVAL;
	if (rc && (wrong ? asprintf(why, "%s:%u: %s", path, number, wrong)
			 : asprintf(why, "%s: %s", path, strerror(-rc))) < 0)
		*why = NULL;
	if (now)
		free_one(now);
	free(line);
	if (f)
		fclose(f);
	return rc;
}

/* ---- matching ---- */

static bool matches(const char *glob, const char *text)
{
	return text && !fnmatch(glob, text, 0);
}

static bool is_frame(const char *pattern, const struct symbol *y)
{
	const char *glob = pattern + 4;

	if (begins(pattern, "fun:"))
		return matches(glob, y->fn);
	if (begins(pattern, "src:"))
		return matches(glob, y->file) || matches(glob, symbols_base_name(y->file));
	return matches(glob, y->module) || matches(glob, symbols_base_name(y->module));
}

/* True if the patterns from @p on match the frames from @i on; what is further out may be any. */
static bool are_frames(const struct suppression *s, unsigned p, const struct symbol_stack *stack,
		       unsigned i)
{
	/* where the last "..." may take one frame more */
	unsigned again_p = 0, again_i = 0;
	bool any = false;

	for (;;) {
		if (p == s->n)
			return true;
		if (!strcmp(s->frame[p], "...")) {
			any = true;
			again_p = ++p;
			again_i = i;
		} else if (i < stack->n && is_frame(s->frame[p], &stack->at[i])) {
			p++;
			i++;
		} else if (any && again_i < stack->n) {
			p = again_p;
			i = ++again_i;
		} else {
			return false;
		}
	}
}

const struct symbol_stack *mistake_stack(const struct mistake *m)
{
	for (unsigned i = 0; !m->stack.n && i < m->r.parts; i++)
		if (m->r.part[i].role == CHECK_STARTED || m->r.part[i].role == CHECK_PLACE ||
		    m->r.part[i].role == CHECK_MAPPED || m->r.part[i].role == CHECK_GAVE)
			return &m->part[i];
	return &m->stack;
}

bool suppress_has(struct suppressions *s, const struct mistake *m)
{
	for (struct suppression *p = s->first; p; p = p->next) {
		if ((p->kind && !matches(p->kind, m->kind->name)) ||
		    (p->device && !matches(p->device, m->r.device)) ||
		    !are_frames(p, 0, mistake_stack(m), 0))
			continue;
		p->used++;
		return true;
	}
	return false;
}

void suppress_each_used(struct suppressions *s, void (*fn)(void *arg, const char *name, unsigned n),
			void *arg)
{
	for (struct suppression *p = s->first; p; p = p->next)
		if (p->used)
			fn(arg, p->name, p->used);
}

/* Write @text with what means something in a pattern quoted. */
static void put_quoted(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (strchr("*?[\\", *text))
			fputc('\\', f);
		fputc(*text, f);
	}
	fputc('\n', f);
}

void suppress_write(FILE *f, const struct mistake *m)
{
	const struct symbol_stack *stack = mistake_stack(m);

	fprintf(f, "{\n   say here why this is no mistake\n   kind:%s\n   device:", m->kind->name);
	put_quoted(f, m->r.device);
	for (unsigned i = 0; i < stack->n && i < PATTERNS; i++) {
		const struct symbol *y = &stack->at[i];

		if (y->fn) {
			fputs("   fun:", f);
			put_quoted(f, y->fn);
		} else if (y->module) {
			fputs("   obj:", f);
			put_quoted(f, y->module);
		} else {
			fputs("   ...\n", f);
		}
	}
	fputs("}\n", f);
}
