/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/record.c: an event becomes a record in the ring of its thread. It runs where the event was:
 * maybe in a signal handler, on a thread of a model, with locks held. Nothing is allocated or
 * waited for; what there is no room for is counted.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <x86intrin.h>

#include "uvfio/model.h"
#include "base/client.h"
#include "base/event.h"
#include "base/report.h"
#include "base/run_file.h"
#include "base/sys.h"
#include "base/util.h"
#include "trace/shared.h"
#include "trace/trace.h"

static struct trace_shared *shared;
/* goes up in a forked child: what threads know of themselves is of before */
static atomic_uint generation = 1;

static __thread struct {
	unsigned generation;
	uint16_t ring, thread;
	uint16_t device, devices; /* the last one, of so many then */
} me;

/* ---- tables ---- */

static void copy_text(char *to, size_t size, const char *from)
{
	size_t n = from ? strnlen(from, size - 1) : 0;

	if (n)
		memcpy(to, from, n);
	memset(to + n, 0, size - n);
}

/* Take the next entry of a table of @max: its number, or @max: it is full. */
static unsigned take(atomic_uint *next, unsigned n, unsigned max)
{
	unsigned at = atomic_load(next);

	do {
		if (at + n > max)
			return max;
	} while (!atomic_compare_exchange_weak(next, &at, at + n));
	return at;
}

static void meet_thread(void)
{
	unsigned n = take(&shared->num_threads, 1, TRACE_THREADS);
	struct trace_thread *t = &shared->thread[n];

	me.generation = atomic_load(&generation);
	me.ring = (uint16_t)(atomic_fetch_add(&shared->next_ring, 1) % TRACE_RINGS);
	me.thread = TRACE_NONE;
	me.devices = 0;
	if (n == TRACE_THREADS)
		return;
	me.thread = (uint16_t)n;
	t->d.pid = (int32_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	t->d.tid = (int32_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	sys_call(SYS_prctl, PR_GET_NAME, (long)t->d.name, 0, 0, 0, 0);
	atomic_store_explicit(&t->state, TRACE_READY, memory_order_release);
}

/* Find the newest device @name, and with @model of that; or TRACE_NONE. */
static uint16_t find_device(const char *name, const char *model)
{
	unsigned n = atomic_load(&shared->num_devices);

	while (n--) {
		const struct trace_device *d = &shared->device[n];

		if (atomic_load_explicit(&d->state, memory_order_acquire) == TRACE_READY &&
		    !strncmp(d->d.name, name, sizeof(d->d.name) - 1) &&
		    (!model || !strncmp(d->d.model, model, sizeof(d->d.model) - 1)))
			return (uint16_t)n;
	}
	return TRACE_NONE;
}

/* Copy the table @regs, or find it as that of another device of the model. */
static void add_registers(struct trace_device_data *d, const struct uvfio_reg *regs)
{
	unsigned n = 0, first, others = atomic_load(&shared->num_devices);

	d->first = d->registers = 0;
	while (regs && regs[n].name)
		n++;
	for (unsigned i = 0; n && i < others; i++) {
		const struct trace_device *o = &shared->device[i];

		if (atomic_load_explicit(&o->state, memory_order_acquire) == TRACE_READY &&
		    o->d.registers == n && !strcmp(o->d.model, d->model)) {
			d->first = o->d.first;
			d->registers = n;
			return;
		}
	}
	first = take(&shared->num_registers, n, TRACE_REGISTERS);
	if (!n || first == TRACE_REGISTERS)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct trace_register *r = &shared->reg[first + i];

		*r = (struct trace_register){ .offset = regs[i].offset,
					      .count = regs[i].count,
					      .stride = regs[i].stride,
					      .bar = regs[i].bar,
					      .width = regs[i].width,
					      .access = regs[i].access };
		copy_text(r->name, sizeof(r->name), regs[i].name);
	}
	d->first = first;
	d->registers = n;
}

static uint16_t add_device(const char *name, const char *model, const struct uvfio_reg *regs,
			   const void *config)
{
	unsigned n = take(&shared->num_devices, 1, TRACE_DEVICES);
	struct trace_device *d = &shared->device[n];

	if (n == TRACE_DEVICES)
		return TRACE_NONE;
	copy_text(d->d.name, sizeof(d->d.name), name);
	copy_text(d->d.model, sizeof(d->d.model), model);
	d->d.config = config ? TRACE_CONFIG : 0;
	if (config)
		memcpy(d->d.bytes, config, TRACE_CONFIG);
	add_registers(&d->d, regs);
	atomic_store_explicit(&d->state, TRACE_READY, memory_order_release);
	return (uint16_t)n;
}

static uint16_t device_of(const char *who)
{
	unsigned n;
	uint16_t found;

	if (!who)
		return TRACE_NONE;
	n = atomic_load_explicit(&shared->num_devices, memory_order_relaxed);
	if (n == me.devices && me.device != TRACE_NONE &&
	    !strcmp(shared->device[me.device].d.name, who))
		return me.device;
	found = find_device(who, NULL);
	if (found == TRACE_NONE)
		found = add_device(who, NULL, NULL, NULL);
	me.device = found;
	me.devices = (uint16_t)n;
	return found;
}

/* ---- rings ---- */

static uint64_t ticks(void)
{
	return shared->tsc ? __rdtsc() : now_ns();
}

/* Return the place of @need bytes in the thread's ring, or NULL: there is no room. */
static uint8_t *reserve(unsigned need)
{
	struct trace_ring *ring = &shared->ring[me.ring];
	uint64_t size = shared->ring_size, pad, used;
	unsigned long long head;
	uint8_t *memory = shared->memory + me.ring * size;

	head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	do {
		uint64_t off = head & (size - 1);

		pad = off + need > size ? size - off : 0;
		used = head + pad + need - atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (used > size) {
			atomic_fetch_add_explicit(&shared->dropped, 1, memory_order_relaxed);
			return NULL;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&ring->head, &head, head + pad + need, memory_order_acq_rel, memory_order_relaxed));
	if (pad) {
		struct trace_record r = { .len = (uint32_t)pad, .kind = TRACE_PAD };
		uint64_t word;

		memcpy(&word, &r, sizeof(word));
		__atomic_store_n((uint64_t *)(memory + (head & (size - 1))), word,
				 __ATOMIC_RELEASE);
		head += pad;
	}
	/* once: by who makes it more than half full */
	if (__builtin_expect(used > size / 2 && used - need - pad <= size / 2, 0)) {
		atomic_fetch_add(&shared->wake, 1);
		sys_call(SYS_futex, (long)&shared->wake, FUTEX_WAKE, 1, 0, 0, 0);
	}
	return memory + (head & (size - 1));
}

/* Write @r, with @n bytes at @data and @more bytes behind it at @rest. */
static void put(struct trace_record *r, const void *data, unsigned n, const void *rest,
		unsigned more)
{
	uint64_t word;
	uint8_t *to;

	r->data = (uint16_t)(n + more);
	r->len = (uint32_t)align_up(sizeof(*r) + n + more, 8);
	r->thread = me.thread;
	to = reserve(r->len);
	if (!to)
		return;
	memcpy(to + sizeof(word), (char *)r + sizeof(word), sizeof(*r) - sizeof(word));
	if (n)
		memcpy(to + sizeof(*r), data, n);
	if (more)
		memcpy(to + sizeof(*r) + n, rest, more);
	memcpy(&word, r, sizeof(word));
	__atomic_store_n((uint64_t *)to, word, __ATOMIC_RELEASE);
}

/* ---- events ---- */

static void note_access(struct trace_record *r, const struct event *e)
{
	unsigned n = 0;

	r->sub = (uint16_t)e->bar;
	r->flags |= e->what ? TRACE_MAPPED : 0;
	if (!e->data || e->err)
		n = 0;
	else if (e->size <= sizeof(r->value))
		memcpy(&r->value, e->data, e->size);
	else
		n = e->size < TRACE_DATA_MAX ? (unsigned)e->size : TRACE_DATA_MAX;
	put(r, e->data, n, NULL, 0);
}

static void note_dma(struct trace_record *r, const struct event *e)
{
	uint64_t at = 0, all = e->data ? e->size : 0;
	unsigned n = all < shared->of_dma ? (unsigned)all : shared->of_dma;

	r->flags |= e->data ? 0 : TRACE_MODEL;
	if (e->err || n <= TRACE_DATA_MAX) {
		put(r, e->data, e->err ? 0 : n, NULL, 0);
		return;
	}
	/* as many records as it takes, one behind the other */
	for (; at < n; at += r->size) {
		r->size = n - at < TRACE_DATA_MAX ? (uint32_t)(n - at) : TRACE_DATA_MAX;
		r->at = e->at + at;
		put(r, (const char *)e->data + at, r->size, NULL, 0);
	}
}

/* The argument of an ioctl whose first word is not its length: how long it is; 0: no memory. */
static unsigned size_of(unsigned cmd, bool *text)
{
	*text = false;
	switch (cmd) {
	case 0x3b64: /* VFIO_GET_API_VERSION ... */
	case 0x3b65:
	case 0x3b66:
	case 0x3b69: /* VFIO_GROUP_UNSET_CONTAINER */
		return 0;
	case 0x3b68: /* VFIO_GROUP_SET_CONTAINER */
		return 4;
	case 0x3b6a: /* VFIO_GROUP_GET_DEVICE_FD */
		*text = true;
		return 64;
	case 0x3b6f: /* VFIO_DEVICE_RESET */
		return 0;
	default:
		return UINT_MAX;
	}
}

#define ARGUMENT_MAX 256u

/* Note the argument of the call @e, as far as it is memory that is there. */
static void note_call(struct trace_record *r, const struct event *e)
{
	uint8_t data[ARGUMENT_MAX];
	uint32_t size = 0;
	bool text = false;
	unsigned n = 0;

	if (e->kind == EVENT_CALL)
		r->value = (uintptr_t)e->mem;
	n = size_of((unsigned)e->at, &text);
	if (n == UINT_MAX) {
		n = 0;
		if (!client_get(&size, (uintptr_t)e->mem, sizeof(size)))
			n = size < sizeof(data) ? size : sizeof(data);
	}
	n = n ? (unsigned)client_get_part(data, (uintptr_t)e->mem, n) : 0;
	if (text)
		n = (unsigned)strnlen((char *)data, n);
	put(r, data, n, NULL, 0);
}

static void note_device(const struct event *e)
{
	if (find_device(e->who, e->text) == TRACE_NONE)
		add_device(e->who, e->text, e->data, e->mem);
}

/* Of events that are recorded; of a new device its entry in a table is. */
static const uint8_t kinds[EVENT_KINDS] = {
	[EVENT_SPACE] = TRACE_SPACE,   [EVENT_MAP] = TRACE_MAP,	      [EVENT_UNMAP] = TRACE_UNMAP,
	[EVENT_ATTACH] = TRACE_ATTACH, [EVENT_ACCESS] = TRACE_ACCESS, [EVENT_DMA] = TRACE_DMA,
	[EVENT_IRQ] = TRACE_IRQ,       [EVENT_RESET] = TRACE_RESET,   [EVENT_CALL] = TRACE_CALL,
	[EVENT_RETURN] = TRACE_RETURN, [EVENT_BEGIN] = TRACE_BEGIN,   [EVENT_END] = TRACE_END,
};

static void on_event(const struct event *e)
{
	struct trace_record r;
	uint64_t mem;

	if (atomic_load_explicit(&shared->closed, memory_order_relaxed))
		return;
	if (__builtin_expect(
		    me.generation != atomic_load_explicit(&generation, memory_order_relaxed), 0))
		meet_thread();
	r = (struct trace_record){ .kind = kinds[e->kind],
				   .flags = e->write ? TRACE_WRITE : 0,
				   .time = ticks(),
				   .device = device_of(e->who),
				   .sub = (uint16_t)e->what,
				   .size = (uint32_t)e->size,
				   .at = e->at,
				   .value = e->value,
				   .space = (uint32_t)((uintptr_t)e->space >> 4),
				   .err = (int16_t)e->err };
	switch (e->kind) {
	case EVENT_ACCESS:
		note_access(&r, e);
		break;
	case EVENT_DMA:
		note_dma(&r, e);
		break;
	case EVENT_MAP:
	case EVENT_UNMAP:
		r.value = e->size;
		mem = (uintptr_t)e->mem;
		put(&r, &mem, e->mem ? sizeof(mem) : 0, NULL, 0);
		break;
	case EVENT_CALL:
	case EVENT_RETURN:
		note_call(&r, e);
		break;
	case EVENT_BEGIN:
		r.sub = (uint16_t)e->bar;
		r.space = e->what;
		put(&r, e->text, e->text ? (unsigned)strnlen(e->text, 64) : 0, NULL, 0);
		break;
	case EVENT_END:
		r.sub = (uint16_t)e->bar;
		put(&r, NULL, 0, NULL, 0);
		break;
	case EVENT_DEVICE:
		note_device(e);
		break;
	default:
		put(&r, NULL, 0, NULL, 0);
		break;
	}
}

static void on_report(const struct report *report, void *unused)
{
	struct trace_record r = { .kind = TRACE_REPORT };

	if (atomic_load_explicit(&shared->closed, memory_order_relaxed))
		return;
	if (me.generation != atomic_load_explicit(&generation, memory_order_relaxed))
		meet_thread();
	r.time = ticks();
	r.device = device_of(report->who);
	r.sub = (uint16_t)report->code->severity;
	r.err = (int16_t)report->err;
	put(&r, report->code->name, (unsigned)strnlen(report->code->name, 63) + 1, report->text,
	    (unsigned)strnlen(report->text, 1024));
}

static struct report_subscriber subscriber = { .fn = on_report, .level = LOG_INFO };

int trace_start_with(struct trace_shared *s)
{
	unsigned wanted = 1u << EVENT_DEVICE;

	if (s->magic != TRACE_SHARED_MAGIC || !is_pow2(s->ring_size) ||
	    s->size != sizeof(*s) + TRACE_RINGS * s->ring_size)
		return -EINVAL;
	shared = s;
	atomic_fetch_add(&generation, 1);
	for (unsigned i = 0; i < EVENT_KINDS; i++)
		wanted |= kinds[i] ? 1u << i : 0;
	if (!event_listen(on_event, wanted))
		return -EBUSY;
	report_subscribe(&subscriber);
	return 0;
}

int trace_start(const char *dir)
{
	size_t size;
	long p = run_file_map(dir, TRACE_FILE, sizeof(*shared), &size);
	int rc;

	if (sys_failed(p))
		return p == -ENOENT ? 0 : (int)p;
	rc = ((struct trace_shared *)p)->size > size ? -EINVAL
						     : trace_start_with((struct trace_shared *)p);
	if (rc)
		sys_call(SYS_munmap, p, (long)size, 0, 0, 0, 0);
	return rc;
}

void trace_forked(void)
{
	atomic_fetch_add(&generation, 1);
}

void trace_stop(void)
{
	report_unsubscribe(&subscriber);
	event_unlisten(on_event);
	shared = NULL;
}
