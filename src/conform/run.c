/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/run.c: one test after the other, each with a new connection. When one is over, a new
 * client has to be answered: a server that a test killed, or that is busy for ever, is that test's
 * failure, and not the next one's.
 */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "conform/client.h"
#include "conform/internal.h"

static const struct ct_test survey = {
	"start-up", MUST, "Connection Initiation",
	"VERSION, DEVICE_GET_INFO, every region and interrupt, and config space are answered",
	ct_survey
};
static const struct ct_test *const server_tables[] = { ct_version_tests,
						       ct_header_tests,
						       ct_split_tests,
						       ct_info_tests,
						       ct_region_tests,
						       ct_irq_tests,
						       ct_dma_tests,
						       ct_engine_tests,
						       ct_session_tests,
						       ct_feature_tests,
						       NULL };

static const struct ct_test *const client_tables[] = { ct_client_tests, NULL };

double ct_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- what a test has ---- */

void *ct_alloc(struct ct *t, size_t size)
{
	struct ct_piece *p = calloc(1, sizeof(*p) + size);

	if (!p)
		ct_fail(t, "out of memory");
	p->next = t->memory;
	t->memory = p;
	return p->bytes;
}

int ct_hold(struct ct *t, int fd)
{
	int *more;

	if (fd < 0)
		ct_fail(t, "no descriptor: %s", strerror(errno));
	more = realloc(t->fds, (t->nfds + 1) * sizeof(*more));
	if (!more) {
		close(fd);
		ct_fail(t, "out of memory");
	}
	t->fds = more;
	t->fds[t->nfds++] = fd;
	return fd;
}

int ct_eventfd(struct ct *t)
{
	return ct_hold(t, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int ct_memfd(struct ct *t, uint64_t size)
{
	int fd = ct_hold(t, memfd_create("conform", MFD_CLOEXEC));

	if (ftruncate(fd, (off_t)size))
		ct_fail(t, "no memory: %s", strerror(errno));
	return fd;
}

/* ---- how a test ends ---- */

static void say(char **to, const char *fmt, va_list ap)
{
	char *text, *both;

	if (vasprintf(&text, fmt, ap) < 0)
		return;
	if (*to && asprintf(&both, "%s\n%s", *to, text) >= 0) {
		free(text);
		text = both;
	}
	free(*to);
	*to = text;
}

void ct_fail(struct ct *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(&t->why, fmt, ap);
	va_end(ap);
	t->result = t->test->level == MUST ? CT_FAILED : CT_WARNED;
	longjmp(t->out, 1);
}

void ct_skip(struct ct *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(&t->why, fmt, ap);
	va_end(ap);
	if (t->result == CT_OK)
		t->result = CT_SKIPPED;
	longjmp(t->out, 1);
}

void ct_warn(struct ct *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(&t->why, fmt, ap);
	va_end(ap);
	t->result = CT_WARNED;
}

void ct_note(struct ct *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(&t->notes, fmt, ap);
	va_end(ap);
}

static void drop(struct ct *t)
{
	for (unsigned i = 0; i < t->nconns; i++)
		ct_close(t->conns[i]);
	for (unsigned i = 0; i < t->nfds; i++)
		close(t->fds[i]);
	free(t->fds);
	t->fds = NULL;
	while (t->memory) {
		struct ct_piece *next = t->memory->next;

		free(t->memory);
		t->memory = next;
	}
	t->nconns = t->nfds = 0;
}

void ct_forget(struct ct *t)
{
	drop(t);
	free(t->why);
	free(t->notes);
	t->why = t->notes = NULL;
}

void ct_run_one(struct ct *t, struct ct_run *run, const struct ct_test *test)
{
	double start = ct_now();

	memset(t, 0, sizeof(*t));
	t->run = run;
	t->test = test;
	t->device = &run->device;
	if (!setjmp(t->out))
		test->run(t);
	if (t->broken && t->result == CT_WARNED)
		t->result = CT_FAILED;
	drop(t);
	t->seconds = ct_now() - start;
}

/* ---- is the server alive? ---- */

static void answer_new_client(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	ct_close(c);
}

static const struct ct_test alive = { "alive", MUST, "", "", answer_new_client };

static void blame(struct ct *t, const char *fmt, ...)
{
	va_list ap;

	if (t->result == CT_SKIPPED) {
		free(t->why);
		t->why = NULL;
	}
	va_start(ap, fmt);
	say(&t->why, fmt, ap);
	va_end(ap);
	t->result = CT_FAILED;
}

/* Blame @t if a signal killed the command. */
static void blame_death(struct ct_run *run, struct ct *t)
{
	if (run->died)
		blame(t, "the %s died by signal %d (%s)", run->o->client ? "client" : "server",
		      run->died, strsignal(run->died));
	run->died = 0;
}

/* Blame @t if the server did not survive it; a server of ours is started again. */
static void check_server(struct ct_run *run, struct ct *t)
{
	struct ct *after;

	if (run->gone)
		return;
	if (run->o->once) {
		ct_process_ended(run, 20);
		ct_process_kill(run);
		run->used = false;
		blame_death(run, t);
		return;
	}
	after = malloc(sizeof(*after));
	if (!after)
		return;
	ct_run_one(after, run, &alive);
	if (after->result != CT_OK && !(run->o->command && ct_process_ended(run, 100))) {
		blame(t, "after it a new client is not served: %s", after->why);
		ct_process_kill(run);
	}
	if (run->o->command)
		run->gone = false;
	blame_death(run, t);
	ct_forget(after);
	free(after);
}

/* Blame @t if the client died of it, and end the client. */
static void check_client(struct ct_run *run, struct ct *t)
{
	int fd;

	ct_process_ended(run, 200);
	ct_process_kill(run);
	blame_death(run, t);
	/* whoever is waiting still is of no use to the next test */
	while ((fd = accept4(run->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		close(fd);
}

/* ---- the run ---- */

static bool selected(const struct conform_options *o, const struct ct_test *test)
{
	return !o->only || !fnmatch(o->only, test->name, 0);
}

static unsigned count(const struct conform_options *o, const struct ct_test *const *tables)
{
	unsigned n = 0;

	for (; *tables; tables++)
		for (const struct ct_test *x = *tables; x->name; x++)
			n += selected(o, x);
	return n;
}

static void list(const struct conform_options *o, const struct ct_test *const *tables)
{
	static const char *const levels[] = { "MUST", "SHOULD", "PRACTICE" };

	for (; *tables; tables++)
		for (const struct ct_test *x = *tables; x->name; x++)
			if (selected(o, x))
				fprintf(o->out, "%-28s %-8s %s [%s]\n", x->name, levels[x->level],
					x->sentence, x->section);
}

static void run_table(struct ct_run *run, const struct ct_test *table, struct ct *t,
		      struct ct_report *r)
{
	for (const struct ct_test *x = table; x->name; x++) {
		if (!selected(run->o, x))
			continue;
		ct_run_one(t, run, x);
		if (run->o->client)
			check_client(run, t);
		else
			check_server(run, t);
		ct_report_test(r, t);
		ct_forget(t);
	}
}

static int run_tables(struct ct_run *run, const struct ct_test *const *tables)
{
	const struct conform_options *o = run->o;
	struct ct_report *r;
	struct ct *t = malloc(sizeof(*t));

	if (!t)
		return 2;
	r = ct_report_new(o, count(o, tables) + !o->client);
	if (!r) {
		free(t);
		return 2;
	}
	if (!o->client) {
		ct_run_one(t, run, &survey);
		check_server(run, t);
		if (o->device_info && o->format == CONFORM_TEXT)
			ct_device_show(&run->device, o->out);
		ct_report_test(r, t);
		ct_forget(t);
	}
	for (; *tables; tables++)
		run_table(run, *tables, t, r);
	ct_process_kill(run);
	free(t);
	return ct_report_end(r);
}

/* ---- where a client finds us ---- */

/* Listen at @run->socket, which is in @dir if that is not empty. 0 or -errno. */
static int start_listening(struct ct_run *run, char *dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int rc = 0;

	if (!*run->socket) {
		if (!mkdtemp(dir))
			return -errno;
		snprintf(run->socket, sizeof(run->socket), "%s/socket", dir);
	}
	run->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (run->listener < 0)
		return -errno;
	memcpy(addr.sun_path, run->socket, sizeof(addr.sun_path));
	if (bind(run->listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(run->listener, 8)) {
		rc = -errno;
		close(run->listener);
	}
	return rc;
}

/* Return @argv with the socket's path for each "{socket}", which is all the caller's to free. */
static char **with_socket(char **argv, const char *path)
{
	size_t n = 0;
	char **out;

	while (argv[n])
		n++;
	out = calloc(n + 1, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		const char *at = strstr(argv[i], "{socket}");

		if (!at)
			out[i] = strdup(argv[i]);
		else if (asprintf(&out[i], "%.*s%s%s", (int)(at - argv[i]), argv[i], path,
				  at + strlen("{socket}")) < 0)
			out[i] = NULL;
	}
	return out;
}

static int run_client(struct ct_run *run)
{
	char dir[] = "/tmp/uvfio-conform.XXXXXX";
	struct conform_options o = *run->o;
	bool made = !*run->socket;
	int rc = start_listening(run, dir);

	if (rc) {
		fprintf(stderr, "uvfio: conform: %s: %s\n", *run->socket ? run->socket : dir,
			strerror(-rc));
		return 2;
	}
	if (o.command)
		o.command = with_socket(o.command, run->socket);
	run->o = &o;
	rc = run_tables(run, client_tables);
	for (char **a = o.command; a && *a; a++)
		free(*a);
	free(o.command);
	close(run->listener);
	unlink(run->socket);
	if (made)
		rmdir(dir);
	return rc;
}

int conform_run(const struct conform_options *o)
{
	struct ct_run run = { .o = o, .output = -1, .input = -1, .listener = -1 };
	const struct ct_test *const *tables = o->client ? client_tables : server_tables;
	int rc;

	if (o->list) {
		list(o, tables);
		return 0;
	}
	if (!count(o, tables)) {
		fprintf(stderr, "uvfio: conform: no test is called '%s': --list has them\n",
			o->only);
		return 2;
	}
	if (o->socket &&
	    snprintf(run.socket, sizeof(run.socket), "%s", o->socket) >= (int)sizeof(run.socket)) {
		fprintf(stderr, "uvfio: conform: %s: a socket's path has at most 107 bytes\n",
			o->socket);
		return 2;
	}
	rc = o->client ? run_client(&run) : run_tables(&run, tables);
	if (run.output >= 0)
		close(run.output);
	return rc;
}
