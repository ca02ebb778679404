/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/show/show.c: the reader of the records. It copies one out of the shared memory, since the
 * program may write there at any time, has the copy's texts end and its numbers in their bounds,
 * and gives the slot back.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"
#include "check/show/internal.h"

/* What is kept of a mistake for the summary. */
struct told {
	unsigned seen;
	char *kind, *place;
};

struct check_show {
	struct check_shared *shared;
	char *path;
	int out, json, generated; /* where blocks, lines and suppressions go; -1: nowhere */
	struct suppressions *suppressions;
	unsigned suppressed;
	struct symbols *symbols;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	/* of the thread, and behind its end of check_show_end() */
	struct told *told;
	unsigned num_told, room;
	struct mistake mistake;
	uint64_t next_seq;
};

/* Open a file of the user's for writing: a descriptor, or -errno and *@why. */
static int open_file(const char *path, char **why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666), rc = -errno;

	if (fd >= 0)
		return fd;
	if (asprintf(why, "%s: %s", path, strerror(-rc)) < 0)
		*why = NULL;
	return rc;
}

/* Open and read the files that the user named. */
static int open_files(struct check_show *s, const struct check_show_options *o, char **why)
{
	int rc = 0;

	for (char *const *path = o->suppress; path && *path && !rc; path++)
		rc = suppress_read(s->suppressions, *path, why);
	if (!rc && o->file)
		rc = s->json = open_file(o->file, why);
	if (rc >= 0 && o->generate)
		rc = s->generated = o->generated ? open_file(o->generated, why) : dup(s->out);
	return rc < 0 ? rc : 0;
}

int check_show_new(const char *dir, const struct check_show_options *o, struct check_show **out,
		   char **why)
{
	struct check_show *s = calloc(1, sizeof(*s));
	int fd = -1, rc = -ENOMEM;

	*why = NULL;
	if (!s)
		return -ENOMEM;
	s->out = s->json = s->generated = -1;
	s->shared = MAP_FAILED;
	s->symbols = symbols_new();
	s->suppressions = suppress_new();
	if (!s->symbols || !s->suppressions || asprintf(&s->path, "%s/" CHECK_FILE, dir) < 0)
		goto fail;
	s->out = o->log_file ? open(o->log_file, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY, 0)
			     : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	rc = open_files(s, o, why);
	if (rc)
		goto fail;
	fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*s->shared)))
		goto fail_errno;
	s->shared = mmap(NULL, sizeof(*s->shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s->shared == MAP_FAILED)
		goto fail_errno;
	close(fd);
	s->shared->size = sizeof(*s->shared);
	s->shared->wanted = o->wanted;
	s->shared->fatal = o->fatal;
	s->shared->magic = CHECK_MAGIC;
	*out = s;
	return 0;
fail_errno:
	rc = -errno;
	if (asprintf(why, "%s: %s", s->path, strerror(-rc)) < 0)
		*why = NULL;
fail:
	if (fd >= 0)
		close(fd);
	check_show_free(s);
	return rc;
}

/* ---- one record ---- */

#define END(text) ((text)[sizeof(text) - 1] = '\0')

/* Take what has been copied for nothing but bytes. False: it is no record. */
static bool tidy(struct check_record *r)
{
	END(r->thread);
	END(r->device);
	END(r->call);
	END(r->reg);
	END(r->text);
	END(r->kind_name);
	END(r->fix);
	if (r->parts > CHECK_PARTS)
		r->parts = CHECK_PARTS;
	for (unsigned i = 0; i < r->parts; i++) {
		END(r->part[i].call);
		END(r->part[i].reg);
	}
	return (r->kind < check_num_kinds || r->kind == CHECK_PROTO) && r->seen < CHECK_SEEN;
}

static void write_all(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t w = write(fd, text, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return; /* the log is gone; nowhere to say so */
		text += w;
		n -= (size_t)w;
	}
}

static void remember(struct check_show *s)
{
	struct told *t;
	size_t len;
	FILE *f;

	if (s->num_told == s->room) {
		t = realloc(s->told, (s->room * 2 + 16) * sizeof(*t));
		if (!t)
			return;
		s->told = t;
		s->room = s->room * 2 + 16;
	}
	t = &s->told[s->num_told++];
	*t = (struct told){ .seen = s->mistake.r.seen, .kind = strdup(s->mistake.kind->name) };
	f = open_memstream(&t->place, &len);
	if (!f)
		return;
	show_place(f, &s->mistake);
	fclose(f);
}

/* Write what @put makes of @m to @fd. */
static void put(int fd, void (*put)(FILE *f, const struct mistake *m), const struct mistake *m)
{
	char *text = NULL;
	size_t len;
	FILE *f = fd < 0 ? NULL : open_memstream(&text, &len);

	if (!f)
		return;
	put(f, m);
	if (!fclose(f))
		write_all(fd, text, len);
	free(text);
}

/* Show the mistake. False: the user does not want to see it. */
static bool show(struct check_show *s)
{
	struct mistake *m = &s->mistake;

	m->of_model = (struct check_kind){
		.name = m->r.kind_name, .group = "proto", .line = "", .fix = m->r.fix, .text = ""
	};
	m->kind = m->r.kind == CHECK_PROTO ? &m->of_model : &check_kinds[m->r.kind];
	symbols_find(s->symbols, s->shared->module, &m->r.stack, &m->stack);
	for (unsigned i = 0; i < m->r.parts; i++)
		symbols_find(s->symbols, s->shared->module, &m->r.part[i].stack, &m->part[i]);
	if (suppress_has(s->suppressions, m)) {
		s->suppressed++;
		return false;
	}
	remember(s);
	put(s->out, show_text, m);
	put(s->json, show_json, m);
	put(s->generated, suppress_write, m);
	return true;
}

static void wake(atomic_uint *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Return the oldest record that is there, or NULL. */
static struct check_slot *oldest(struct check_shared *shared)
{
	struct check_slot *first = NULL;

	for (unsigned i = 0; i < CHECK_SLOTS; i++) {
		struct check_slot *slot = &shared->slot[i];

		if (atomic_load_explicit(&slot->state, memory_order_acquire) == CHECK_READY &&
		    (!first || slot->r.seq < first->r.seq))
			first = slot;
	}
	return first;
}

static void show_all(struct check_show *s)
{
	struct check_slot *slot;

	while ((slot = oldest(s->shared))) {
		bool passed;

		s->mistake.r = slot->r;
		passed = tidy(&s->mistake.r) && !show(s);
		atomic_store(&slot->passed, passed);
		atomic_fetch_add(&slot->shown, 1);
		wake(&slot->shown);
		atomic_store_explicit(&slot->state, CHECK_FREE, memory_order_release);
	}
}

static void *reader(void *arg)
{
	struct check_show *s = arg;

	while (!atomic_load(&s->stop)) {
		unsigned before = atomic_load(&s->shared->wake);

		show_all(s);
		if (!atomic_load(&s->stop))
			syscall(SYS_futex, &s->shared->wake, FUTEX_WAIT, before, NULL, NULL, 0);
	}
	return NULL;
}

int check_show_start(struct check_show *s)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&s->thread, NULL, reader, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->started = !rc;
	return rc;
}

/* ---- the end ---- */

static void put_summary(struct check_show *s, FILE *f)
{
	unsigned long long lost = atomic_load(&s->shared->lost);
	unsigned pid = (unsigned)getpid(), cut = 0;

	for (unsigned i = 0; i < CHECK_SLOTS; i++)
		cut += atomic_load(&s->shared->slot[i].state) == CHECK_WRITING;
	if (!s->num_told)
		fprintf(f, "==%u== uvfio: no mistakes were seen\n", pid);
	else
		fprintf(f, "==%u== uvfio: %u mistake%s:\n", pid, s->num_told,
			s->num_told == 1 ? "" : "s");
	for (unsigned i = 0; i < s->num_told; i++) {
		const struct told *t = &s->told[i];
		unsigned n = atomic_load(&s->shared->seen[t->seen].count);

		fprintf(f, "==%u==   %s: %s%s", pid, t->kind ? t->kind : "",
			t->place ? t->place : "", n > 1 ? "" : "\n");
		if (n > 1)
			fprintf(f, ", %u times\n", n);
	}
	if (s->suppressed)
		fprintf(f, "==%u==   %u %s suppressed\n", pid, s->suppressed,
			s->suppressed == 1 ? "is" : "are");
	if (lost)
		fprintf(f, "==%u==   for %llu reports there was no room: they are in the log\n",
			pid, lost);
	if (cut)
		fprintf(f, "==%u==   %u reports were cut short by the end of their process\n", pid,
			cut);
}

unsigned check_show_end(struct check_show *s)
{
	char *text = NULL;
	size_t len;
	FILE *f;

	if (!s || !s->started)
		return 0;
	atomic_store(&s->stop, true);
	atomic_fetch_add(&s->shared->wake, 1);
	wake(&s->shared->wake);
	pthread_join(s->thread, NULL);
	s->started = false;
	atomic_store(&s->shared->closed, 1);
	show_all(s);
	f = open_memstream(&text, &len);
	if (f) {
		put_summary(s, f);
		if (!fclose(f))
			write_all(s->out, text, len);
		free(text);
	}
	return s->num_told;
}

void check_show_free(struct check_show *s)
{
	if (!s)
		return;
	check_show_end(s);
	for (unsigned i = 0; i < s->num_told; i++) {
		free(s->told[i].kind);
		free(s->told[i].place);
	}
	free(s->told);
	if (s->shared != MAP_FAILED)
		munmap(s->shared, sizeof(*s->shared));
	if (s->out >= 0)
		close(s->out);
	if (s->json >= 0)
		close(s->json);
	if (s->generated >= 0)
		close(s->generated);
	suppress_free(s->suppressions);
	symbols_free(s->symbols);
	free(s->path);
	free(s);
}
