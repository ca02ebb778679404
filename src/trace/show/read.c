/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/read.c: a file becomes a log: every number is checked before it is used, tables are
 * copied, and events are put in the order of time, with their other halves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "trace/show/internal.h"

/* ---- records ---- */

/* Copy the entry of a table; false: there is no such entry. */
static bool entry(const struct trace_record *r, void *table, uint32_t *n, unsigned max, size_t size)
{
	if (r->sub >= max || r->data < size)
		return false;
	memcpy((char *)table + r->sub * size, trace_data(r), size);
	if (n && *n <= r->sub)
		*n = r->sub + 1u;
	return true;
}

#define END(text) ((text)[sizeof(text) - 1] = '\0')

static bool add_device(struct trace_log *log, const struct trace_record *r)
{
	struct trace_device_data *d = &log->device[r->sub < TRACE_DEVICES ? r->sub : 0];

	if (!entry(r, log->device, &log->num_devices, TRACE_DEVICES, sizeof(*d)))
		return false;
	END(d->name);
	END(d->model);
	if (d->first > TRACE_REGISTERS || d->registers > TRACE_REGISTERS - d->first)
		d->registers = 0;
	if (d->config > TRACE_CONFIG)
		d->config = 0;
	return true;
}

static void add_clock(struct trace_log *log, const struct trace_record *r, uint64_t *first_ns)
{
	if (!log->clock) {
		log->clock = r->time;
		log->real = r->value;
		*first_ns = r->at;
	} else if (r->time > log->clock && r->at > *first_ns) {
		log->ticks = r->time - log->clock;
		log->ticks_ns = r->at - *first_ns;
	}
}

/* Take one record, which lies in the file; false: it is none. */
static bool take(struct trace_log *log, const struct trace_record *r, uint64_t *first_ns)
{
	struct trace_register *reg = log->reg;

	switch (r->kind) {
	case TRACE_THREAD:
		if (!entry(r, log->thread, &log->num_threads, TRACE_THREADS,
			   sizeof(log->thread[0])))
			return false;
		END(log->thread[r->sub].name);
		break;
	case TRACE_DEVICE:
		return add_device(log, r);
	case TRACE_REGISTER:
		if (!entry(r, reg, NULL, TRACE_REGISTERS, sizeof(*reg)))
			return false;
		END(reg[r->sub].name);
		break;
	case TRACE_CLOCK:
		add_clock(log, r, first_ns);
		break;
	case TRACE_DROPPED:
		log->dropped = r->value;
		break;
	case TRACE_LAST:
		log->whole = true;
		break;
	default:
		/* a later version may have more kinds */
		if (r->kind > TRACE_PAD && r->kind < TRACE_EVENTS)
			log->event[log->n++] = (struct trace_event){ r, r->time, NOT_PAIRED };
	}
	return true;
}

/* ---- order ---- */

static int by_time(const void *a, const void *b)
{
	const struct trace_record *x = ((const struct trace_event *)a)->r;
	const struct trace_record *y = ((const struct trace_event *)b)->r;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* What an open half is found by. */
struct half {
	uint64_t key[2];
	uint32_t event; /* or NOT_PAIRED */
};

static struct half *find_half(struct half *table, uint32_t mask, const uint64_t key[2])
{
	uint64_t hash = (key[0] * 0x9e3779b97f4a7c15ull ^ key[1]) * 0x9e3779b97f4a7c15ull;

	for (uint32_t i = (uint32_t)(hash >> 32) & mask;; i = (i + 1) & mask) {
		struct half *h = &table[i];

		if (h->event == NOT_PAIRED && !h->key[0] && !h->key[1])
			memcpy(h->key, key, sizeof(h->key));
		if (h->key[0] == key[0] && h->key[1] == key[1])
			return h;
	}
}

/* Join calls with their returns, and commands with their ends. 0 or -ENOMEM. */
static int pair(struct trace_log *log)
{
	uint32_t mask = 1, halves = 0;
	struct half *table;

	for (uint32_t i = 0; i < log->n; i++)
		halves += log->event[i].r->kind >= TRACE_CALL && log->event[i].r->kind <= TRACE_END;
	while (mask <= 2 * halves)
		mask = mask << 1 | 1;
	table = calloc(mask + 1ul, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (uint32_t i = 0; i <= mask; i++)
		table[i].event = NOT_PAIRED;
	for (uint32_t i = 0; i < log->n; i++) {
		const struct trace_record *r = log->event[i].r;
		uint64_t key[2] = { 1ull << 63 | (uint64_t)r->device << 16 | r->sub, r->at };
		struct half *h;

		if (r->kind < TRACE_CALL || r->kind > TRACE_END)
			continue;
		/* a thread is in one call at a time, but for signal handlers */
		if (r->kind <= TRACE_RETURN) {
			key[0] = 1ull << 62 | r->thread;
			key[1] = r->at;
		}
		h = find_half(table, mask, key);
		if (r->kind == TRACE_CALL || r->kind == TRACE_BEGIN) {
			h->event = i;
		} else if (h->event != NOT_PAIRED) {
			log->event[i].pair = h->event;
			log->event[h->event].pair = i;
			h->event = NOT_PAIRED;
		}
	}
	free(table);
	return 0;
}

/* ---- files ---- */

static int parse(struct trace_log *log, const uint8_t *bytes, size_t size)
{
	const struct trace_file *head = (const void *)bytes;
	const struct trace_record *r;
	uint64_t first_ns = 0;
	size_t at;

	if (size < sizeof(*head) || head->magic != TRACE_MAGIC)
		return -EINVAL;
	if (head->version != TRACE_VERSION)
		return -EPROTONOSUPPORT;
	if (head->head < sizeof(*head) || head->head % 8 || head->head > size)
		return -EINVAL;
	if (size / sizeof(*r) >= NOT_PAIRED)
		return -EFBIG;
	log->of_dma = head->of_dma;
	log->event = calloc(size / sizeof(*r) + 1, sizeof(*log->event));
	if (!log->event)
		return -ENOMEM;
	for (at = head->head; size - at >= sizeof(*r); at += r->len) {
		r = (const void *)(bytes + at);
		if (r->len > size - at)
			break; /* cut */
		if (r->len < sizeof(*r) || r->len % 8 || r->data > r->len - sizeof(*r) ||
		    !take(log, r, &first_ns)) {
			log->damaged = at;
			break;
		}
	}
	qsort(log->event, log->n, sizeof(*log->event), by_time);
	if (log->n)
		log->start = log->event[0].r->time;
	if (!head->tsc)
		log->ticks = log->ticks_ns = 1;
	return pair(log) ?: trace_find_bells(log);
}

int trace_log_parse(const void *bytes, size_t size, struct trace_log **out)
{
	struct trace_log *log = calloc(1, sizeof(*log));
	int rc;

	if (!log)
		return -ENOMEM;
	/* where words are aligned */
	log->copy = malloc(size ? size : 1);
	rc = log->copy ? 0 : -ENOMEM;
	if (!rc) {
		memcpy(log->copy, bytes, size);
		rc = parse(log, log->copy, size);
	}
	if (rc)
		trace_log_free(log);
	else
		*out = log;
	return rc;
}

static int read_file(struct trace_log *log, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), rc = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		rc = -errno;
	} else if (!S_ISREG(st.st_mode)) {
		rc = -EINVAL;
	} else if (st.st_size) {
		log->size = (size_t)st.st_size;
		log->mapped = mmap(NULL, log->size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (log->mapped == MAP_FAILED) {
			log->mapped = NULL;
			rc = -errno;
		}
	}
	close(fd);
	return rc ? rc : parse(log, log->mapped, log->size);
}

int trace_log_read(const char *path, struct trace_log **out, char **why)
{
	struct trace_log *log = calloc(1, sizeof(*log));
	const char *text;
	int rc = log ? read_file(log, path) : -ENOMEM;

	*why = NULL;
	if (!rc) {
		*out = log;
		return 0;
	}
	text = rc == -EINVAL		? "it is no trace of `uvfio run --trace`"
	       : rc == -EPROTONOSUPPORT ? "it is a trace of another version of uvfio"
					: strerror(-rc);
	if (asprintf(why, "%s: %s", path, text) < 0)
		*why = NULL;
	trace_log_free(log);
	return rc;
}

void trace_log_free(struct trace_log *log)
{
	if (!log)
		return;
	if (log->mapped)
		munmap(log->mapped, log->size);
	free(log->copy);
	free(log->event);
	free(log);
}

void trace_log_lacks(FILE *out, const struct trace_log *log, const char *path)
{
	if (log->damaged)
		fprintf(out, "uvfio: %s: what is behind byte %llu cannot be read\n", path,
			(unsigned long long)log->damaged);
	else if (!log->whole)
		fprintf(out, "uvfio: %s: it has no end: it was cut, or is still being written\n",
			path);
	if (log->dropped)
		fprintf(out, "uvfio: %s: %llu events are not in it, since there was no room\n",
			path, (unsigned long long)log->dropped);
}

/* ---- what is asked of a log ---- */

uint64_t trace_ns(const struct trace_log *log, uint64_t ticks)
{
	uint64_t t = ticks > log->start ? ticks - log->start : 0;

	if (!log->ticks)
		return t;
	return (uint64_t)((unsigned __int128)t * log->ticks_ns / log->ticks);
}

const struct trace_device_data *trace_device(const struct trace_log *log,
					     const struct trace_record *r)
{
	return r->device < log->num_devices ? &log->device[r->device] : NULL;
}

const char *trace_device_name(const struct trace_log *log, const struct trace_record *r)
{
	const struct trace_device_data *d = trace_device(log, r);

	return d ? d->name : "";
}

const struct trace_thread_data *trace_thread(const struct trace_log *log,
					     const struct trace_record *r)
{
	static const struct trace_thread_data none = { .name = "?" };

	return r->thread < log->num_threads ? &log->thread[r->thread] : &none;
}
