/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/explore.c: uvfio explore: a program is run once to count the accesses at which something can
 * go wrong, and then again and again, with one of them going wrong each time, as a test of memory
 * allocations has each of them fail in turn. What the program makes of it is told by how it ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/sys.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/explore.h"
#include "fault/table.h"

#define MAX_POINTS 32u
#define MAX_JOBS   64u
#define MAX_ARGS   1024u
#define NS_PER_S   1000000000ull
#define LEAST_S	   10u /* a time-out that nobody chose is at least so long */

enum verdict { WORKED, FAILED, NOT_REACHED, CRASHED, HUNG, WRONG, OTHER, VERDICTS };
static const char *const verdicts[VERDICTS] = {
	[WORKED] = "worked",	[FAILED] = "failed", [NOT_REACHED] = "not reached",
	[CRASHED] = "CRASHED",	[HUNG] = "HUNG",     [WRONG] = "WRONG DATA",
	[OTHER] = "BAD STATUS",
};

/* Accesses of one device that pass a point. */
struct pass {
	const char *point; /* as the user wrote it: "dma-read=corrupt" */
	char device[FAULT_NAME];
	uint64_t count;
	unsigned runs; /* how many of them are to go wrong */
	unsigned started;
	unsigned of[VERDICTS];
	struct pass *next;
};

/* A run: access @nth of @pass goes wrong. */
struct trial {
	struct pass *pass;
	uint64_t nth;
};

struct explore {
	const struct cli_command *cmd;
	char exe[4096], dir[4096];
	char *points[MAX_POINTS];
	unsigned num_points, max_runs, jobs;
	uint64_t timeout_ns, first_ns, seed;
	const char *verify;
	bool same_output, has_ok;
	uint8_t ok[32], wrong[32]; /* statuses, a bit each */
	FILE *json;
	char *options[MAX_ARGS]; /* for `uvfio run`: "--name=value" */
	unsigned num_options;
	char **program; /* with its arguments, NULL behind */
	struct pass *passes;
	struct pass **end;
	unsigned next, done, bad; /* runs */
	struct explore_child child[MAX_JOBS];
	struct trial trial[MAX_JOBS];
	bool tty;
};

enum {
	OPT_JOBS,
	OPT_JSON,
	OPT_MAX_RUNS,
	OPT_OK_STATUS,
	OPT_POINTS,
	OPT_SAME_OUTPUT,
	OPT_SEED,
	OPT_TIMEOUT,
	OPT_VERIFY,
	OPT_WRONG_STATUS,
	NUM_OPTIONS
};
static const struct cli_option options[NUM_OPTIONS + 1] = {
	[OPT_JOBS] = { "jobs", "N", "how many runs at the same time: 1 (the default) to 64" },
	[OPT_JSON] = { "json-file", "FILE", "write a line of JSON for each run to FILE" },
	[OPT_MAX_RUNS] = { "max-runs", "N",
			   "at most so many runs, spread over all accesses: 1000 (the default)" },
	[OPT_OK_STATUS] = { "ok-status", "LIST",
			    "exit statuses that are right when something went wrong, with commas\n"
			    "between; default: any but those of --wrong-status" },
	[OPT_POINTS] = { "points", "LIST",
			 "at which points: POINT[=ACTION], with commas between, as --fault has\n"
			 "them; default: dma-read,dma-write,read,msi,intx,map,irqs" },
	[OPT_SAME_OUTPUT] = { "same-output", NULL,
			      "a run that exits with 0 must print what the first one did" },
	[OPT_SEED] = { "seed", "N", "as for `uvfio run`; default: 1" },
	[OPT_TIMEOUT] = { "timeout", "SECONDS",
			  "a run that takes longer hangs; default: ten times what the first one\n"
			  "took, 10 at least" },
	[OPT_VERIFY] = { "verify", "COMMAND",
			 "run by sh after a run that exits with 0: another status than 0 says "
			 "that\n"
			 "its data are wrong" },
	[OPT_WRONG_STATUS] = { "wrong-status", "LIST",
			       "exit statuses by which the program, or a test around it, says that "
			       "it\nworked with wrong data" },
	{ 0 },
};

/* ---- options ---- */

static int number(struct explore *e, const char *what, const char *text, unsigned least,
		  unsigned most, unsigned *out)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n < least || n > most)
		return cli_error(e->cmd, "--%s %s: write a number from %u to %u", what, text, least,
				 most);
	*out = (unsigned)n;
	return 0;
}

static int statuses(struct explore *e, const char *what, const char *text, uint8_t set[32])
{
	char *copy = strdup(text), *at = copy, *part;
	unsigned n = 0;
	int rc = copy ? 0 : cli_error(e->cmd, "out of memory");

	while (!rc && (part = strsep(&at, ","))) {
		rc = number(e, what, part, 0, 255, &n);
		set[n / 8] |= (uint8_t)(1u << n % 8);
	}
	free(copy);
	return rc;
}

static bool has(const uint8_t set[32], int status)
{
	return set[status / 8 & 31] >> status % 8 & 1;
}

static int set_points(struct explore *e, const char *text)
{
	/* kept for as long as the process lives: passes point into it */
	char *at = strdup(text), *part, why[512];
	struct fault_spec spec;

	if (!at)
		return cli_error(e->cmd, "out of memory");
	e->num_points = 0;
	while ((part = strsep(&at, ","))) {
		if (e->num_points == MAX_POINTS)
			return cli_error(e->cmd, "--points: at most %u", MAX_POINTS);
		if (fault_parse(part, &spec, why, sizeof(why)))
			return cli_error(e->cmd, "--points: %s (`uvfio help fault` has all)", why);
		e->points[e->num_points++] = part;
	}
	return 0;
}

/* Keep an option for `uvfio run`. */
static int pass_on(struct explore *e, const struct cli_option *o, const char *value)
{
	char *text;

	if (!strcmp(o->name, "log-file") || !strcmp(o->name, "fault-file"))
		return cli_error(e->cmd, "--%s: each run has its own", o->name);
	if (e->num_options == MAX_ARGS - 64)
		return cli_error(e->cmd, "too many options");
	if (asprintf(&text, "--%s%s%s", o->name, value ? "=" : "", value ?: "") < 0)
		return cli_error(e->cmd, "out of memory");
	e->options[e->num_options++] = text;
	return 0;
}

static int set_option(struct explore *e, int opt, const char *value)
{
	unsigned n;
	int rc;

	switch (opt) {
	case OPT_JOBS:
		return number(e, "jobs", value, 1, MAX_JOBS, &e->jobs);
	case OPT_JSON:
		e->json = fopen(value, "we");
		return e->json ? 0
			       : cli_error(e->cmd, "--json-file %s: %s", value, strerror(errno));
	case OPT_MAX_RUNS:
		return number(e, "max-runs", value, 1, 1000000, &e->max_runs);
	case OPT_OK_STATUS:
		e->has_ok = true;
		return statuses(e, "ok-status", value, e->ok);
	case OPT_POINTS:
		return set_points(e, value);
	case OPT_SAME_OUTPUT:
		e->same_output = true;
		return 0;
	case OPT_SEED:
		return !*value || fault_seed(value, &e->seed)
			       ? cli_error(e->cmd, "--seed %s: write a number", value)
			       : 0;
	case OPT_TIMEOUT:
		rc = number(e, "timeout", value, 1, 100000, &n);
		e->timeout_ns = rc ? 0 : n * NS_PER_S;
		return rc;
	case OPT_VERIFY:
		e->verify = value;
		return 0;
	case OPT_WRONG_STATUS:
		return statuses(e, "wrong-status", value, e->wrong);
	}
	return CLI_USAGE;
}

/* ---- a run ---- */

/* Fill in @argv, of MAX_ARGS, for run @n; @own are options, NULL behind. */
static void make_argv(struct explore *e, char **argv, char **own)
{
	unsigned n = 0;

	argv[n++] = e->exe;
	argv[n++] = (char *)(uintptr_t) "run";
	for (unsigned i = 0; i < e->num_options; i++)
		argv[n++] = e->options[i];
	while (*own && n < MAX_ARGS - 2)
		argv[n++] = *own++;
	argv[n++] = (char *)(uintptr_t) "--";
	for (char **p = e->program; *p && n < MAX_ARGS - 1; p++)
		argv[n++] = *p;
	argv[n] = NULL;
}

static FILE *open_of(const struct explore *e, unsigned n, const char *name)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/%u/%s", e->dir, n, name);
	return fopen(path, "re");
}

/* Call @fn with each fault and device of run @n's own file. */
static void each_count(struct explore *e, unsigned n,
		       void (*fn)(struct explore *e, const char *fault, const char *device,
				  uint64_t accesses, uint64_t happened, void *arg),
		       void *arg)
{
	FILE *f = open_of(e, n, "faults");
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while (f && (len = getline(&line, &room, f)) > 0) {
		const struct json *accesses, *happened;
		struct json nodes[16];

		if (json_parse(line, (size_t)len, nodes, ARRAY_SIZE(nodes)))
			continue;
		accesses = json_member(nodes, "accesses", JSON_NUMBER);
		happened = json_member(nodes, "happened", JSON_NUMBER);
		if (accesses && happened && json_text(nodes, "fault"))
			fn(e, json_text(nodes, "fault"), json_text(nodes, "device"),
			   (uint64_t)accesses->number, (uint64_t)happened->number, arg);
	}
	free(line);
	if (f)
		fclose(f);
}

/* ---- the first one ---- */

/* Write the point without its action to @out. */
static void bare(const char *point, char out[FAULT_TEXT])
{
	snprintf(out, FAULT_TEXT, "%.*s", (int)strcspn(point, "="), point);
}

/* True if a point before the @i-th is the same, with another action. */
static bool is_again(const struct explore *e, unsigned i)
{
	size_t len = strcspn(e->points[i], "=");

	for (unsigned k = 0; k < i; k++)
		if (strcspn(e->points[k], "=") == len && !memcmp(e->points[k], e->points[i], len))
			return true;
	return false;
}

static void note_count(struct explore *e, const char *fault, const char *device, uint64_t accesses,
		       uint64_t happened, void *arg)
{
	char name[FAULT_TEXT], counted[FAULT_TEXT + 8];

	for (unsigned i = 0; i < e->num_points; i++) {
		struct pass *p;

		bare(e->points[i], name);
		snprintf(counted, sizeof(counted), "%s=count", name);
		if (strcmp(fault, counted) || !accesses)
			continue;
		p = calloc(1, sizeof(*p));
		if (!p)
			return;
		p->point = e->points[i];
		p->count = accesses;
		snprintf(p->device, sizeof(p->device), "%s", device ?: "");
		*e->end = p;
		e->end = &p->next;
	}
}

static void show_file(const struct explore *e, unsigned n, const char *name)
{
	FILE *f = open_of(e, n, name);
	char line[1024];

	for (unsigned i = 0; f && i < 20 && fgets(line, sizeof(line), f); i++)
		fprintf(stderr, "    %s", line);
	if (f)
		fclose(f);
}

/* Count the accesses. */
static int count(struct explore *e)
{
	char *own[MAX_POINTS + 3] = { 0 }, *argv[MAX_ARGS], name[FAULT_TEXT];
	unsigned n = 0;
	bool ok = true;
	int rc;

	ok &= asprintf(&own[n++], "--fault-file=%s/0/faults", e->dir) > 0;
	ok &= asprintf(&own[n++], "--log-file=%s/0/log", e->dir) > 0;
	for (unsigned i = 0; i < e->num_points; i++) {
		if (is_again(e, i))
			continue;
		bare(e->points[i], name);
		ok &= asprintf(&own[n++], "--fault=%s=count", name) > 0;
	}
	if (!ok)
		return cli_error(e->cmd, "out of memory");
	make_argv(e, argv, own);
	rc = explore_start(e->child, e->dir, 0, argv, e->timeout_ns ?: 3600 * NS_PER_S);
	for (unsigned i = 0; i < n; i++)
		free(own[i]);
	if (rc)
		return cli_error(e->cmd, "%s: %s", e->exe, strerror(-rc));
	if (!explore_wait(e->child, 1)) {
		explore_kill(e->child, 1);
		return cli_error(e->cmd, "interrupted");
	}
	e->first_ns = now_ns() - e->child[0].since;
	if (e->child[0].end != EXPLORE_EXIT || e->child[0].status) {
		cli_error(e->cmd, "the program does not end well without any fault: %s %d",
			  e->child[0].end == EXPLORE_HANG     ? "it hangs, status"
			  : e->child[0].end == EXPLORE_SIGNAL ? "signal"
							      : "exit status",
			  e->child[0].status);
		show_file(e, 0, "err");
		show_file(e, 0, "log");
		return CLI_USAGE;
	}
	each_count(e, 0, note_count, NULL);
	return 0;
}

/* ---- which accesses ---- */

/* Spread max_runs over all passes: those that need less leave the rest to others. */
static unsigned plan(struct explore *e)
{
	unsigned left = e->max_runs, total = 0, hungry;

	do {
		hungry = 0;
		for (struct pass *p = e->passes; p; p = p->next)
			hungry += p->runs < p->count;
		for (struct pass *p = e->passes; p && hungry && left; p = p->next) {
			uint64_t more = p->count - p->runs, share = left / hungry ?: 1;

			if (!more)
				continue;
			more = more < share ? more : share;
			p->runs += (unsigned)more;
			left -= (unsigned)more;
			hungry--;
		}
		hungry = 0;
		for (struct pass *p = e->passes; p; p = p->next)
			hungry += p->runs < p->count;
	} while (left && hungry);
	for (struct pass *p = e->passes; p; p = p->next)
		total += p->runs;
	return total;
}

/* Return the next run that is to be made. False: there is none. */
static bool next_trial(struct explore *e, struct trial *t)
{
	for (struct pass *p = e->passes; p; p = p->next) {
		if (p->started == p->runs)
			continue;
		*t = (struct trial){ p, (uint64_t)((unsigned __int128)p->started * p->count /
						   p->runs) };
		p->started++;
		return true;
	}
	return false;
}

static int fault_of(const struct trial *t, char **out)
{
	const struct pass *p = t->pass;

	return asprintf(out, "%s%s%s,after=%llu,times=1", p->point, *p->device ? ",device=" : "",
			p->device, (unsigned long long)t->nth);
}

static int start(struct explore *e, struct explore_child *c, const struct trial *t)
{
	char *own[5] = { 0 }, *argv[MAX_ARGS], *fault = NULL;
	unsigned n = ++e->next;
	bool ok = fault_of(t, &fault) > 0;
	int rc;

	ok = ok && asprintf(&own[0], "--fault-file=%s/%u/faults", e->dir, n) > 0 &&
	     asprintf(&own[1], "--log-file=%s/%u/log", e->dir, n) > 0 &&
	     asprintf(&own[2], "--fault=%s", fault) > 0 &&
	     asprintf(&own[3], "--seed=%llu", (unsigned long long)e->seed) > 0;
	rc = ok ? 0 : -ENOMEM;
	if (ok) {
		make_argv(e, argv, own);
		rc = explore_start(c, e->dir, n, argv, e->timeout_ns);
	}
	for (unsigned i = 0; i < 4; i++)
		free(own[i]);
	free(fault);
	return rc;
}

/* ---- what became of it ---- */

static void note_happened(struct explore *e, const char *fault, const char *device,
			  uint64_t accesses, uint64_t happened, void *arg)
{
	if (strstr(fault, ",times=1"))
		*(uint64_t *)arg += happened;
}

static bool same_output(struct explore *e, unsigned n)
{
	FILE *a = open_of(e, 0, "out"), *b = open_of(e, n, "out");
	bool same = a && b;
	int c;

	while (same && (c = getc(a)) != EOF)
		same = c == getc(b);
	same = same && getc(b) == EOF;
	if (a)
		fclose(a);
	if (b)
		fclose(b);
	return same;
}

static enum verdict judge(struct explore *e, const struct explore_child *c)
{
	uint64_t happened = 0;

	/* of a run that was killed there is no file */
	if (c->end == EXPLORE_HANG)
		return HUNG;
	if (c->end == EXPLORE_SIGNAL)
		return CRASHED;
	if (has(e->wrong, c->status))
		return WRONG;
	each_count(e, c->n, note_happened, &happened);
	if (!c->status &&
	    ((e->verify && system(e->verify)) || (e->same_output && !same_output(e, c->n))))
		return WRONG;
	if (e->has_ok && c->status && !has(e->ok, c->status))
		return OTHER;
	if (!happened)
		return NOT_REACHED;
	return c->status ? FAILED : WORKED;
}

/* Read what went wrong from the run's log: "write of 64 bytes at IOVA 0x1000". */
static void what_it_was(const struct explore *e, unsigned n, char *out, size_t size)
{
	FILE *f = open_of(e, n, "log");
	char *line = NULL, *at, *end;
	size_t room = 0;

	out[0] = '\0';
	while (f && getline(&line, &room, f) > 0) {
		at = strstr(line, ",times=1: ");
		end = at ? strstr(at, " (its number ") : NULL;
		if (!at || !end || !strstr(line, ": injected "))
			continue;
		snprintf(out, size, "%.*s", (int)(end - at - 10), at + 10);
		break;
	}
	free(line);
	if (f)
		fclose(f);
}

/* Print @arg as a shell takes it. */
static void put_quoted(FILE *f, const char *arg)
{
	if (*arg && !arg[strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-_=+,./:@%")]) {
		fputs(arg, f);
		return;
	}
	putc('\'', f);
	for (; *arg; arg++)
		*arg == '\'' ? fputs("'\\''", f) : putc(*arg, f);
	putc('\'', f);
}

static void put_command(const struct explore *e, FILE *f, const char *fault)
{
	fprintf(f, "uvfio run");
	for (unsigned i = 0; i < e->num_options; i++) {
		putc(' ', f);
		put_quoted(f, e->options[i]);
	}
	fprintf(f, " --fault=");
	put_quoted(f, fault);
	fprintf(f, " --seed=%llu --", (unsigned long long)e->seed);
	for (char **p = e->program; *p; p++) {
		putc(' ', f);
		put_quoted(f, *p);
	}
}

static void put_end(FILE *f, const struct explore_child *c)
{
	if (c->end == EXPLORE_SIGNAL)
		fprintf(f, "signal %d, %s", c->status, strsignal(c->status));
	else if (c->end == EXPLORE_HANG)
		fprintf(f, "ended after %.1f s", (double)(now_ns() - c->since) / 1e9);
	else
		fprintf(f, "exit status %d", c->status);
}

static void write_json(struct explore *e, const struct explore_child *c, const char *fault,
		       const char *what, enum verdict v)
{
	char *command = NULL;
	size_t len;
	FILE *f;

	if (!e->json)
		return;
	f = open_memstream(&command, &len);
	if (!f)
		return;
	put_command(e, f, fault);
	fclose(f);
	fprintf(e->json, "{\"run\":%u,", c->n);
	json_write_member(e->json, "fault", fault);
	putc(',', e->json);
	json_write_member(e->json, "access", *what ? what : NULL);
	putc(',', e->json);
	json_write_member(e->json, "result", verdicts[v]);
	fprintf(e->json, ",\"status\":%d,\"signal\":%d,", c->end == EXPLORE_EXIT ? c->status : -1,
		c->end == EXPLORE_SIGNAL ? c->status : 0);
	json_write_member(e->json, "command", command);
	fprintf(e->json, "}\n");
	fflush(e->json);
	free(command);
}

static void progress(const struct explore *e, unsigned total)
{
	if (e->tty)
		fprintf(stderr, "\r%u of %u runs, %u bad\033[K", e->done, total, e->bad);
}

/* Take a run that has ended, and say what is to be said. */
static void finish(struct explore *e, struct explore_child *c, const struct trial *t)
{
	enum verdict v = judge(e, c);
	char *fault = NULL, what[256];

	what_it_was(e, c->n, what, sizeof(what));
	e->done++;
	t->pass->of[v]++;
	if (fault_of(t, &fault) < 0)
		fault = NULL;
	write_json(e, c, fault ?: "?", what, v);
	if (v >= CRASHED) {
		e->bad++;
		if (e->tty)
			fprintf(stderr, "\r\033[K");
		printf("%s: %s%s%s, %llu of %llu", verdicts[v], t->pass->point,
		       *t->pass->device ? " of " : "", t->pass->device,
		       (unsigned long long)t->nth + 1, (unsigned long long)t->pass->count);
		if (*what)
			printf(": %s", what);
		printf("; ");
		put_end(stdout, c);
		printf("\n    ");
		put_command(e, stdout, fault ?: "?");
		putchar('\n');
		fflush(stdout);
	}
	free(fault);
	explore_remove(e->dir, c->n);
}

/* Make all runs. False: the user does not want to go on. */
static bool make_runs(struct explore *e, unsigned total)
{
	unsigned there = 0;
	bool more = true;

	for (;;) {
		struct explore_child *c = NULL;

		for (unsigned i = 0; i < e->jobs && more; i++) {
			if (e->child[i].pid)
				continue;
			more = next_trial(e, &e->trial[i]);
			if (!more)
				break;
			if (start(e, &e->child[i], &e->trial[i])) {
				cli_error(e->cmd, "a run cannot be started: %s", strerror(errno));
				return false;
			}
			there++;
		}
		if (!there)
			return true;
		progress(e, total);
		c = explore_wait(e->child, e->jobs);
		if (!c)
			return false;
		there--;
		finish(e, c, &e->trial[c - e->child]);
	}
}

static void summary(const struct explore *e)
{
	printf("%-24s %-13s %9s %6s %7s %7s %8s %5s %6s %6s\n", "POINT", "DEVICE", "ACCESSES",
	       "RUNS", "worked", "failed", "crashed", "hung", "wrong", "other");
	for (const struct pass *p = e->passes; p; p = p->next)
		printf("%-24s %-13s %9llu %6u %7u %7u %8u %5u %6u %6u\n", p->point,
		       *p->device ? p->device : "-", (unsigned long long)p->count, p->started,
		       p->of[WORKED], p->of[FAILED], p->of[CRASHED], p->of[HUNG], p->of[WRONG],
		       p->of[OTHER] + p->of[NOT_REACHED]);
	for (const struct pass *p = e->passes; p; p = p->next)
		if (p->of[NOT_REACHED])
			printf("%s of %s: %u accesses were not reached: the program makes others "
			       "each time\n",
			       p->point, *p->device ? p->device : "no device", p->of[NOT_REACHED]);
}

/* Say which points nothing passed. */
static void tell_silent(const struct explore *e)
{
	for (unsigned i = 0; i < e->num_points; i++) {
		const struct pass *p = e->passes;

		while (p && p->point != e->points[i])
			p = p->next;
		if (!p)
			printf("%s: the program has no such access\n", e->points[i]);
	}
}

static int explore_all(struct explore *e)
{
	unsigned total, skipped = 0;
	uint64_t all = 0;
	bool whole;
	int rc = count(e);

	if (rc)
		return rc;
	if (!e->timeout_ns)
		e->timeout_ns = 10 * e->first_ns > LEAST_S * NS_PER_S ? 10 * e->first_ns
								      : LEAST_S * NS_PER_S;
	total = plan(e);
	for (struct pass *p = e->passes; p; p = p->next)
		all += p->count;
	skipped = (unsigned)(all - total);
	printf("%llu accesses at which something can go wrong, %u runs of up to %.0f s each",
	       (unsigned long long)all, total, (double)e->timeout_ns / 1e9);
	if (skipped)
		printf(" (%u are left out: --max-runs)", skipped);
	putchar('\n');
	fflush(stdout);
	whole = make_runs(e, total);
	explore_kill(e->child, e->jobs);
	if (e->tty)
		fprintf(stderr, "\r\033[K");
	summary(e);
	tell_silent(e);
	if (!whole)
		printf("given up after %u of %u runs\n", e->done, total);
	printf("%u of %u runs are bad\n", e->bad, e->done);
	return e->bad || !whole;
}

static int explore(const struct cli_command *cmd, int argc, char **argv)
{
	struct explore *e = calloc(1, sizeof(*e));
	unsigned num_run = 0;
	struct cli_option *merged;
	struct cli_command self = *cmd;
	struct cli_args a = { .cmd = &self, .argc = argc, .argv = argv };
	const char *tmp = getenv("TMPDIR");
	ssize_t n;
	int opt, rc = 0;

	while (cli_run.options[num_run].name)
		num_run++;
	merged = calloc(NUM_OPTIONS + num_run + 1, sizeof(*merged));
	if (!e || !merged) {
		free(e);
		free(merged);
		return cli_error(cmd, "out of memory");
	}
	/* --seed is ours */
	memcpy(merged, options, sizeof(options));
	memcpy(merged + NUM_OPTIONS, cli_run.options, num_run * sizeof(*merged));
	self.options = merged;
	*e = (struct explore){ .cmd = cmd, .max_runs = 1000, .jobs = 1, .seed = 1 };
	e->end = &e->passes;
	e->tty = isatty(STDERR_FILENO);
	rc = set_points(e, "dma-read,dma-write,read,msi,intx,map,irqs");
	while (!rc && (opt = cli_next_option(&a)) >= 0)
		rc = opt < NUM_OPTIONS ? set_option(e, opt, a.value)
				       : pass_on(e, &merged[opt], a.value);
	if (rc)
		goto out;
	if (opt != CLI_ARG) {
		rc = opt == CLI_HELP ? 0 : CLI_USAGE;
		goto out;
	}
	if (a.next >= argc) {
		rc = cli_error(cmd, "no program to run: `uvfio explore [OPTIONS] -- PROGRAM`");
		goto out;
	}
	if ((unsigned)(argc - a.next) > MAX_ARGS - 200) {
		rc = cli_error(cmd, "the program has too many arguments");
		goto out;
	}
	e->program = argv + a.next;
	n = readlink("/proc/self/exe", e->exe, sizeof(e->exe) - 1);
	snprintf(e->dir, sizeof(e->dir), "%s/uvfio-explore-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (n <= 0 || !mkdtemp(e->dir)) {
		rc = cli_error(cmd, "%s: %s", n <= 0 ? "/proc/self/exe" : e->dir, strerror(errno));
		goto out;
	}
	explore_signals(true);
	rc = explore_all(e);
	explore_signals(false);
	for (unsigned i = 0; i <= e->next; i++)
		explore_remove(e->dir, i);
	rmdir(e->dir);
out:
	for (struct pass *p = e->passes, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	for (unsigned i = 0; i < e->num_options; i++)
		free(e->options[i]);
	if (e->json)
		fclose(e->json);
	free(e);
	free(merged);
	return rc;
}

const struct cli_command cli_explore = {
	.name = "explore",
	.args = "[OPTIONS] [OPTIONS of run] [--] PROGRAM [ARGUMENTS]",
	.summary = "Run a program again and again, each time with one access that goes wrong",
	.text = "\nThe program is run once, and must exit with 0; then once for each access of "
		"its\n"
		"devices, which goes wrong (`uvfio help fault`). Bad is a run that crashes, "
		"hangs,\n"
		"or works with wrong data, as its exit status, --verify or --same-output say; the\n"
		"command that repeats it is told. Status 0: there was none; 1: there was one.\n"
		"\n  uvfio explore --device nvme,image=disk.img --points dma-read,map -- "
		"./driver\n",
	.options = options,
	.run = explore,
};
