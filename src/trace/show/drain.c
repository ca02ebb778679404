/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/drain.c: rings become a file. A thread of `uvfio run` writes what is whole, when a
 * ring is half full and a few times a second; at the end, what processes that are gone left, and
 * how much there was no room for.
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
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "trace/show/internal.h"
#include "trace/trace.h"

#define PERIOD_NS 100000000l

struct trace_drain {
	struct trace_shared *shared;
	size_t size;
	char *path, *file;
	int fd;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	int err; /* the first write that failed, 0: none */
	/* what of the tables is in the file */
	bool thread_done[TRACE_THREADS], device_done[TRACE_DEVICES];
	unsigned registers_done;
	uint64_t cut; /* bytes of records that nobody ended */
};

/* ---- the file ---- */

static void write_all(struct trace_drain *d, const void *bytes, size_t n)
{
	const char *p = bytes;

	while (n && !d->err) {
		ssize_t w = write(d->fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			d->err = w < 0 ? -errno : -EIO;
			return;
		}
		p += w;
		n -= (size_t)w;
	}
}

static uint64_t ticks(const struct trace_drain *d)
{
	return d->shared->tsc ? __rdtsc() : now_ns();
}

static void write_record(struct trace_drain *d, struct trace_record r, const void *data, size_t n)
{
	static const char zero[8];

	r.len = (uint32_t)align_up(sizeof(r) + n, 8);
	r.data = (uint16_t)n;
	r.thread = TRACE_NONE;
	r.device = TRACE_NONE;
	r.time = ticks(d);
	write_all(d, &r, sizeof(r));
	write_all(d, data, n);
	write_all(d, zero, r.len - sizeof(r) - n);
}

static void write_clock(struct trace_drain *d)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	write_record(d,
		     (struct trace_record){ .kind = TRACE_CLOCK,
					    .at = now_ns(),
					    .value = (uint64_t)t.tv_sec * 1000000000u +
						     (uint64_t)t.tv_nsec },
		     NULL, 0);
}

static void write_head(struct trace_drain *d)
{
	const struct trace_file head = { .magic = TRACE_MAGIC,
					 .version = TRACE_VERSION,
					 .head = sizeof(head),
					 .of_dma = d->shared->of_dma,
					 .tsc = d->shared->tsc };

	write_all(d, &head, sizeof(head));
	write_clock(d);
}

/* ---- tables ---- */

static void write_registers(struct trace_drain *d, uint32_t first, uint32_t n)
{
	if (first > TRACE_REGISTERS || n > TRACE_REGISTERS - first)
		return;
	for (; d->registers_done < first + n; d->registers_done++)
		write_record(d,
			     (struct trace_record){ .kind = TRACE_REGISTER,
						    .sub = (uint16_t)d->registers_done },
			     &d->shared->reg[d->registers_done], sizeof(struct trace_register));
}

static void write_tables(struct trace_drain *d)
{
	struct trace_shared *s = d->shared;

	for (unsigned i = 0; i < TRACE_THREADS && i < atomic_load(&s->num_threads); i++) {
		if (d->thread_done[i] ||
		    atomic_load_explicit(&s->thread[i].state, memory_order_acquire) != TRACE_READY)
			continue;
		d->thread_done[i] = true;
		write_record(d, (struct trace_record){ .kind = TRACE_THREAD, .sub = (uint16_t)i },
			     &s->thread[i].d, sizeof(s->thread[i].d));
	}
	for (unsigned i = 0; i < TRACE_DEVICES && i < atomic_load(&s->num_devices); i++) {
		if (d->device_done[i] ||
		    atomic_load_explicit(&s->device[i].state, memory_order_acquire) != TRACE_READY)
			continue;
		d->device_done[i] = true;
		write_registers(d, s->device[i].d.first, s->device[i].d.registers);
		write_record(d, (struct trace_record){ .kind = TRACE_DEVICE, .sub = (uint16_t)i },
			     &s->device[i].d, sizeof(s->device[i].d));
	}
}

/* ---- rings ---- */

/* Return the first word of the record at @at, which may be its writer's still. */
static struct trace_record first_word(const uint8_t *at)
{
	uint64_t word = __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);
	struct trace_record r = { 0 };

	memcpy(&r, &word, sizeof(word));
	return r;
}

/* Write [@from, @to) of a ring, all whole records, and give the room back. */
static void give_back(struct trace_drain *d, struct trace_ring *ring, uint8_t *memory,
		      uint64_t from, uint64_t to, bool write)
{
	uint8_t *at = memory + (from & (d->shared->ring_size - 1));

	if (from == to)
		return;
	if (write)
		write_all(d, at, to - from);
	memset(at, 0, to - from);
	atomic_store_explicit(&ring->tail, to, memory_order_release);
}

/* Drain a ring. @all: nobody writes any more. */
static void drain_ring(struct trace_drain *d, unsigned n, bool all)
{
	struct trace_ring *ring = &d->shared->ring[n];
	uint64_t size = d->shared->ring_size, at, from, head, left;
	uint8_t *memory = d->shared->memory + n * size;
	struct trace_record r;

	at = from = atomic_load(&ring->tail);
	head = atomic_load_explicit(&ring->head, memory_order_acquire);
	if (head - at > size || (head | at) % 8) /* the program has written over it */
		return;
	while (at < head) {
		r = first_word(memory + (at & (size - 1)));
		left = size - (at & (size - 1));
		left = left < head - at ? left : head - at;
		if (r.len % 8 || r.len > left || r.len < sizeof(uint64_t) ||
		    (r.kind != TRACE_PAD && r.len < sizeof(r))) {
			if (!all)
				break;
			give_back(d, ring, memory, from, at, true);
			give_back(d, ring, memory, at, at + 8, false);
			from = at += 8;
			d->cut += 8;
			continue;
		}
		if (r.kind == TRACE_PAD) {
			give_back(d, ring, memory, from, at, true);
			give_back(d, ring, memory, at, at + r.len, false);
			from = at + r.len;
		}
		at += r.len;
		/* behind the ring's end it goes on at its start */
		if (!(at & (size - 1))) {
			give_back(d, ring, memory, from, at, true);
			from = at;
		}
	}
	give_back(d, ring, memory, from, at, true);
}

static bool has_any(struct trace_drain *d)
{
	for (unsigned i = 0; i < TRACE_RINGS; i++)
		if (atomic_load(&d->shared->ring[i].head) != atomic_load(&d->shared->ring[i].tail))
			return true;
	return false;
}

/* The time first: who reads a file that is cut has two of them to count ticks by. */
static void drain(struct trace_drain *d, bool all)
{
	if (!all && !has_any(d))
		return;
	write_clock(d);
	write_tables(d);
	for (unsigned i = 0; i < TRACE_RINGS; i++)
		drain_ring(d, i, all);
}

static void *writer(void *arg)
{
	const struct timespec period = { .tv_nsec = PERIOD_NS };
	struct trace_drain *d = arg;

	while (!atomic_load(&d->stop)) {
		unsigned before = atomic_load(&d->shared->wake);

		drain(d, false);
		if (!atomic_load(&d->stop))
			syscall(SYS_futex, &d->shared->wake, FUTEX_WAIT, before, &period, NULL, 0);
	}
	return NULL;
}

/* ---- life ---- */

/* True if the processor's counter is as good as the kernel's clock: the kernel has it as that. */
static bool has_tsc(void)
{
	char name[8] = "";
	int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
		      O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, name, sizeof(name) - 1) < 0)
		*name = '\0';
	close(fd);
	return !strcmp(name, "tsc\n");
}

/* Open what the user named; *@name is what went wrong, if something did. */
static int open_all(struct trace_drain *d, const char **name)
{
	int fd, rc;

	*name = d->file;
	d->fd = open(d->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	if (d->fd < 0)
		return -errno;
	*name = d->path;
	fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* all of it now: a store to a page that the disk has no room for would be a SIGBUS */
	rc = -posix_fallocate(fd, 0, (off_t)d->size);
	if (!rc) {
		d->shared = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		rc = d->shared == MAP_FAILED ? -errno : 0;
	}
	close(fd);
	return rc;
}

int trace_drain_new(const char *dir, const struct trace_drain_options *o, struct trace_drain **out,
		    char **why)
{
	struct trace_drain *d = calloc(1, sizeof(*d));
	uint64_t ring = (o->memory ? o->memory : TRACE_MEMORY_DEFAULT) / TRACE_RINGS;
	const char *name = "trace";
	int rc = -ENOMEM;

	*why = NULL;
	if (!d)
		return -ENOMEM;
	d->fd = -1;
	d->shared = MAP_FAILED;
	while (!is_pow2(ring))
		ring &= ring - 1;
	d->size = sizeof(*d->shared) + TRACE_RINGS * ring;
	d->file = strdup(o->file);
	if (!d->file || asprintf(&d->path, "%s/" TRACE_FILE, dir) < 0)
		goto fail;
	rc = open_all(d, &name);
	if (rc)
		goto fail;
	d->shared->size = d->size;
	d->shared->ring_size = ring;
	d->shared->of_dma = o->of_dma;
	d->shared->tsc = has_tsc();
	d->shared->magic = TRACE_SHARED_MAGIC;
	write_head(d);
	*out = d;
	return 0;
fail:
	if (asprintf(why, "%s: %s", name, strerror(-rc)) < 0)
		*why = NULL;
	trace_drain_free(d);
	return rc;
}

int trace_drain_start(struct trace_drain *d)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&d->thread, NULL, writer, d);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	d->started = !rc;
	return rc;
}

void trace_drain_end(struct trace_drain *d)
{
	unsigned long long dropped;

	if (!d || !d->started)
		return;
	atomic_store(&d->stop, true);
	atomic_fetch_add(&d->shared->wake, 1);
	syscall(SYS_futex, &d->shared->wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	pthread_join(d->thread, NULL);
	d->started = false;
	atomic_store(&d->shared->closed, 1);
	drain(d, true);
	dropped = atomic_load(&d->shared->dropped);
	write_record(d, (struct trace_record){ .kind = TRACE_DROPPED, .value = dropped }, NULL, 0);
	write_record(d, (struct trace_record){ .kind = TRACE_LAST }, NULL, 0);
	if (dropped)
		report_warn("trace-dropped", "trace", 0,
			    "%llu events are not in %s, since there was no room for them: "
			    "--trace-memory gives more",
			    dropped, d->file);
	if (d->cut)
		report_warn("trace-cut", "trace", 0,
			    "%s: an event was cut short by the end of its process", d->file);
	if (d->err)
		report_err("trace-file", "trace", d->err, "%s is not whole: %m", d->file);
}

struct trace_shared *trace_drain_shared(struct trace_drain *d)
{
	return d->shared;
}

void trace_drain_free(struct trace_drain *d)
{
	if (!d)
		return;
	trace_drain_end(d);
	if (d->shared != MAP_FAILED)
		munmap(d->shared, d->size);
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d->file);
	free(d);
}
