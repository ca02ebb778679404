/* SPDX-License-Identifier: BSD-3-Clause */
/* fault/table.c: the table of faults: a file that processes map, and what is told of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/json.h"
#include "base/report.h"
#include "base/sys.h"
#include "fault/internal.h"

static struct fault_table *map(int fd, int *err)
{
	long p = sys_call(SYS_mmap, 0, sizeof(struct fault_table), PROT_READ | PROT_WRITE,
			  MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	if (!sys_failed(p))
		return (struct fault_table *)p;
	*err = (int)p;
	return NULL;
}

static void init(struct fault_table *t, uint64_t seed)
{
	t->size = sizeof(*t);
	t->seed = seed;
	t->magic = FAULT_MAGIC;
}

/* Map the file @fd, which is closed: of this size, or made so. */
static struct fault_table *map_file(int fd, bool make, int *err)
{
	struct fault_table *t = NULL;
	struct stat st;
	long rc;

	rc = make ? sys_call(SYS_ftruncate, fd, sizeof(*t), 0, 0, 0, 0)
		  : sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
	if (rc)
		*err = (int)rc;
	else if (!make && st.st_size != sizeof(*t))
		*err = -EINVAL;
	else
		t = map(fd, err);
	sys_close(fd);
	return t;
}

struct fault_table *fault_table_map(const char *dir, int *err)
{
	struct fault_table *t;
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/" FAULT_FILE, dir) >= (int)sizeof(path)) {
		*err = -ENAMETOOLONG;
		return NULL;
	}
	fd = sys_open(path, O_RDWR | O_CLOEXEC | O_NOCTTY, 0);
	if (fd < 0) {
		*err = fd;
		return NULL;
	}
	t = map_file(fd, false, err);
	if (t && (t->magic != FAULT_MAGIC || t->size != sizeof(*t))) {
		fault_table_close(t);
		*err = -EINVAL;
		return NULL;
	}
	return t;
}

/* The file is whole before it has its name: who starts meanwhile finds it so, or not at all. */
struct fault_table *fault_table_open(const char *dir, uint64_t seed, int *err)
{
	struct fault_table *t = fault_table_map(dir, err);
	char path[PATH_MAX], temporary[PATH_MAX];
	long rc;
	int fd;

	if (t || *err != -ENOENT)
		return t;
	*err = -ENAMETOOLONG;
	if (snprintf(path, sizeof(path), "%s/" FAULT_FILE, dir) >= (int)sizeof(path) ||
	    snprintf(temporary, sizeof(temporary), "%s/" FAULT_FILE ".new", dir) >=
		    (int)sizeof(temporary))
		return NULL;
	fd = sys_open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0) {
		*err = fd;
		return NULL;
	}
	t = map_file(fd, true, err);
	if (!t)
		return NULL;
	init(t, seed);
	rc = sys_call(SYS_rename, (long)temporary, (long)path, 0, 0, 0, 0);
	if (!rc) {
		*err = 0;
		return t;
	}
	fault_table_close(t);
	*err = (int)rc;
	return NULL;
}

void fault_table_close(struct fault_table *t)
{
	if (t)
		sys_call(SYS_munmap, (long)t, sizeof(*t), 0, 0, 0, 0);
}

int fault_table_add(struct fault_table *t, const struct fault_spec *spec)
{
	unsigned i = atomic_load(&t->num);

	do {
		if (i >= FAULT_SLOTS)
			return -ENOSPC;
	} while (!atomic_compare_exchange_weak(&t->num, &i, i + 1));
	t->slot[i].spec = *spec;
	t->slot[i].since = now_ns();
	atomic_store_explicit(&t->slot[i].ready, 1, memory_order_release);
	return 0;
}

/* ---- a program without a run ---- */

static int add_text(struct fault_table *t, const char *text, size_t len)
{
	char copy[FAULT_TEXT], why[512];
	struct fault_spec spec;

	snprintf(copy, sizeof(copy), "%.*s", (int)len, text);
	if (fault_parse(copy, &spec, why, sizeof(why)))
		return report_err("environment", "fault", -EINVAL, "UVFIO_FAULT: %s: %s", copy,
				  why);
	return fault_table_add(t, &spec);
}

int fault_follow_environment(void)
{
	const char *text = getenv("UVFIO_FAULT"), *number = getenv("UVFIO_SEED"),
		   *dir = getenv("UVFIO_RUN_DIR");
	static atomic_flag once = ATOMIC_FLAG_INIT;
	uint64_t seed = 0;
	struct fault_table *t;
	int rc = 0;

	if (atomic_flag_test_and_set(&once))
		return 0;
	if (dir && *dir)
		return fault_follow(dir);
	if (!text || !*text)
		return 0;
	if (fault_seed(number, &seed))
		return report_err("environment", "fault", -EINVAL, "UVFIO_SEED=%s: no number",
				  number);
	t = map(-1, &rc);
	if (!t)
		return rc;
	init(t, seed);
	while (!rc && *text) {
		size_t len = strcspn(text, ";");

		if (len)
			rc = add_text(t, text, len);
		text += len + (text[len] == ';');
	}
	if (rc)
		fault_table_close(t);
	else
		fault_follow_table(t);
	return rc;
}

int fault_seed(const char *text, uint64_t *seed)
{
	char *end;

	if (text && *text) {
		errno = 0;
		*seed = strtoull(text, &end, 0);
		return *text < '0' || *text > '9' || *end || errno ? -EINVAL : 0;
	}
	/* short enough to be written down */
	if (sys_call(SYS_getrandom, (long)seed, sizeof(*seed), 0, 0, 0, 0) != sizeof(*seed))
		*seed = now_ns();
	*seed &= 0xffffffff;
	return 0;
}

/* ---- what became of them ---- */

/* Copy a text that a program may have written over. */
static void copy_text(char *to, const char *from, size_t size)
{
	size_t n = 0;

	for (; n + 1 < size && from[n]; n++)
		to[n] = from[n];
	to[n] = '\0';
}

static void tell_one(const struct fault_slot *slot, void (*say)(void *arg, const char *line),
		     void *arg)
{
	unsigned long long seen = 0, fired = 0;
	char text[FAULT_TEXT], line[FAULT_TEXT + 96], how_often[32] = "once";

	for (unsigned d = 0; d < FAULT_DEVICES; d++) {
		seen += atomic_load(&slot->of[d].seen);
		fired += atomic_load(&slot->of[d].fired);
	}
	copy_text(text, slot->spec.text, sizeof(text));
	if (fired == 2)
		strcpy(how_often, "twice");
	else if (fired > 2)
		snprintf(how_often, sizeof(how_often), "%llu times", fired);
	if (slot->spec.action == FAULT_COUNT)
		snprintf(line, sizeof(line), "fault %s: %llu accesses", text, seen);
	else if (fired)
		snprintf(line, sizeof(line), "fault %s: happened %s, of %llu accesses", text,
			 how_often, seen);
	else
		snprintf(line, sizeof(line), "fault %s: NEVER happened, of %llu accesses", text,
			 seen);
	say(arg, line);
}

void fault_table_tell(const struct fault_table *t, void (*say)(void *arg, const char *line),
		      void *arg)
{
	unsigned num = atomic_load(&t->num);
	char line[64];

	snprintf(line, sizeof(line), "faults of --seed %" PRIu64 ":", t->seed);
	say(arg, line);
	for (unsigned i = 0; i < num && i < FAULT_SLOTS; i++)
		if (atomic_load_explicit(&t->slot[i].ready, memory_order_acquire))
			tell_one(&t->slot[i], say, arg);
}

static void write_count(const struct fault_table *t, unsigned slot, unsigned device, FILE *f)
{
	const struct fault_slot *s = &t->slot[slot];
	char text[FAULT_TEXT];

	copy_text(text, s->spec.text, sizeof(text));
	putc('{', f);
	json_write_member(f, "fault", text);
	putc(',', f);
	copy_text(text, t->device[device].name, FAULT_NAME);
	json_write_member(f, "device", device ? text : NULL);
	fprintf(f, ",\"seed\":%" PRIu64 ",\"accesses\":%llu,\"happened\":%llu}\n", t->seed,
		atomic_load(&s->of[device].seen), atomic_load(&s->of[device].fired));
}

void fault_table_write_json(const struct fault_table *t, FILE *f)
{
	unsigned num = atomic_load(&t->num);

	for (unsigned i = 0; i < num && i < FAULT_SLOTS; i++) {
		const struct fault_slot *s = &t->slot[i];
		bool any = false;

		if (!atomic_load_explicit(&s->ready, memory_order_acquire))
			continue;
		for (unsigned d = 0; d < FAULT_DEVICES; d++) {
			if (!atomic_load(&s->of[d].seen))
				continue;
			write_count(t, i, d, f);
			any = true;
		}
		if (!any)
			write_count(t, i, 0, f);
	}
}
