/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace/show/replay.c: the driver of a trace, again, on another device: its accesses, mappings and
 * interrupts in their order, without the time between them. What the device of the trace read by
 * DMA is put into memory before; what it wrote, and its interrupts, are waited for, and compared.
 *
 * Where a driver waits for a register it reads it again and again, and how often depends on the
 * device: then only the last value counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/util.h"
#include "trace/show/internal.h"
#include "trace/show/replay.h"
#include "vfio/nodes.h"

#define WITHIN_NS   1000000000ull
#define MEMORY_MAX  (16ull << 30)
#define VECTORS	    2048u
#define LOOK_AHEAD  256u
#define DIFFERENCES 100u /* that are written; more are counted */

struct memory {
	struct memory *next;
	uint64_t iova, size;
	uint8_t *at;
	bool mapped;
};

struct replay {
	FILE *out;
	const struct trace_log *log;
	const char *of;
	struct uvfio *u;
	struct uvfio_device *dev;
	struct trace_replay *result;
	uint32_t space;
	struct memory *memory;
	uint64_t memory_size;
	int vector[VECTORS], intx;  /* eventfds, or -1 */
	uint64_t msix_at, msix_end; /* the table, in its BAR */
	unsigned msix_bar;
};

static bool is_ours(const struct replay *p, const struct trace_record *r)
{
	return !strcmp(trace_device_name(p->log, r), p->of);
}

/* Say on a line that something is another thing than in the trace; NULL: enough was said. */
static FILE *differ(struct replay *p, const struct trace_record *r)
{
	uint64_t ns = trace_ns(p->log, r->time);

	if (p->result->differences++ >= DIFFERENCES)
		return NULL;
	fprintf(p->out, "%4" PRIu64 ".%09u ", ns / 1000000000u, (unsigned)(ns % 1000000000u));
	return p->out;
}

static void wait_a_little(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
}

/* ---- memory ---- */

static uint8_t *memory_at(const struct replay *p, uint64_t iova, uint64_t size)
{
	for (struct memory *m = p->memory; m; m = m->next)
		if (m->mapped && iova >= m->iova && range_within(iova - m->iova, size, m->size))
			return m->at + (iova - m->iova);
	return NULL;
}

static int map(struct replay *p, const struct trace_record *r)
{
	struct memory *m;

	if (r->space != p->space || !r->value || r->value > MEMORY_MAX - p->memory_size)
		return 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->at = mmap(NULL, r->value, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->at == MAP_FAILED) {
		free(m);
		return -ENOMEM;
	}
	m->iova = r->at;
	m->size = r->value;
	m->mapped = !uvfio_dma_map(p->u, m->iova, m->at, m->size, UVFIO_DMA_READ | UVFIO_DMA_WRITE);
	m->next = p->memory;
	p->memory = m;
	p->memory_size += m->size;
	return 0;
}

static void unmap(struct replay *p, const struct trace_record *r)
{
	if (r->space != p->space)
		return;
	for (struct memory *m = p->memory; m; m = m->next) {
		if (!m->mapped || m->iova < r->at ||
		    !range_within(m->iova - r->at, m->size, r->value))
			continue;
		uvfio_dma_unmap(p->u, m->iova, m->size);
		m->mapped = false;
	}
}

static void free_memory(struct replay *p)
{
	struct memory *m;

	while ((m = p->memory)) {
		p->memory = m->next;
		if (m->mapped)
			uvfio_dma_unmap(p->u, m->iova, m->size);
		munmap(m->at, m->size);
		free(m);
	}
}

/* Put into memory what the device read because of write @i, or before the next one. */
static void fill(struct replay *p, uint32_t i)
{
	while (++i < p->log->n) {
		const struct trace_record *r = p->log->event[i].r;
		uint8_t *at;

		if (!is_ours(p, r))
			continue;
		if (r->kind == TRACE_ACCESS && r->flags & TRACE_WRITE)
			return;
		if (r->kind != TRACE_DMA || r->flags & TRACE_WRITE || r->err)
			continue;
		at = memory_at(p, r->at, r->size);
		if (at)
			memcpy(at, trace_data(r), r->data < r->size ? r->data : r->size);
		p->result->cut += !(r->flags & TRACE_MODEL) && r->data < r->size;
	}
}

/* True if event @i, a DMA write, is written over by another one before the driver's next write. */
static bool is_overwritten(const struct replay *p, uint32_t i)
{
	const struct trace_record *r = p->log->event[i].r, *o;

	for (uint32_t k = i + 1; k < p->log->n && k < i + LOOK_AHEAD; k++) {
		o = p->log->event[k].r;
		if (!is_ours(p, o))
			continue;
		if (o->kind == TRACE_ACCESS && o->flags & TRACE_WRITE)
			return false;
		if (o->kind == TRACE_DMA && o->flags & TRACE_WRITE && o->at < r->at + r->size &&
		    r->at < o->at + o->size)
			return true;
	}
	return false;
}

static void put_bytes(FILE *f, const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fprintf(f, " %02x", bytes[i]);
}

/* Wait until the device has written what event @i says. */
static void compare_dma(struct replay *p, uint32_t i)
{
	const struct trace_record *r = p->log->event[i].r;
	unsigned n = r->data < r->size ? r->data : r->size;
	uint8_t *at = memory_at(p, r->at, n);
	uint64_t until;
	FILE *f;

	if (!n || r->err || !(r->flags & TRACE_WRITE) || !at || is_overwritten(p, i))
		return;
	p->result->dma++;
	until = now_ns() + WITHIN_NS;
	while (memcmp(at, trace_data(r), n) && now_ns() < until)
		wait_a_little();
	if (!memcmp(at, trace_data(r), n))
		return;
	f = differ(p, r);
	if (!f)
		return;
	n = n < 32 ? n : 32;
	fprintf(f, "DMA write of %u at IOVA 0x%" PRIx64 ": expected", r->size, r->at);
	put_bytes(f, trace_data(r), n);
	fputs(", got", f);
	put_bytes(f, at, n);
	fputc('\n', f);
}

/* ---- registers ---- */

static bool in_msix_table(const struct replay *p, const struct trace_record *r)
{
	return r->flags & TRACE_MAPPED && r->sub == p->msix_bar && r->at >= p->msix_at &&
	       r->at < p->msix_end;
}

/* Find where the MSI-X table is, which only a mapping reaches. */
static void find_msix(struct replay *p)
{
	uint8_t at = 0;
	uint16_t flags;
	uint32_t table;

	uvfio_read(p->dev, UVFIO_REGION_CONFIG, PCI_CAPABILITY_LIST, &at, 1);
	for (unsigned left = 48; at >= 64 && left; left--) {
		uint8_t id[2] = { 0 };

		uvfio_read(p->dev, UVFIO_REGION_CONFIG, at, id, 2);
		if (id[0] == PCI_CAP_ID_MSIX &&
		    uvfio_read(p->dev, UVFIO_REGION_CONFIG, at + 2u, &flags, 2) == 2 &&
		    uvfio_read(p->dev, UVFIO_REGION_CONFIG, at + 4u, &table, 4) == 4) {
			p->msix_bar = table & 7;
			p->msix_at = table & ~7u;
			p->msix_end = p->msix_at + 16ull * ((flags & 0x7ff) + 1);
		}
		at = id[1] & 0xfc;
	}
}

/* True if @a and @b read the same register. */
static bool same_register(const struct trace_record *a, const struct trace_record *b)
{
	return !((a->flags | b->flags) & TRACE_WRITE) && a->sub == b->sub && a->at == b->at &&
	       a->size == b->size;
}

/* Find the driver's access before (@step -1) or behind (1) event @i; NULL: there is none. */
static const struct trace_record *neighbour(const struct replay *p, uint32_t i, int step)
{
	for (int64_t k = (int64_t)i + step; k >= 0 && k < p->log->n; k += step) {
		const struct trace_record *r = p->log->event[k].r;

		if (r->kind == TRACE_ACCESS && is_ours(p, r))
			return r;
	}
	return NULL;
}

static void read_again(struct replay *p, uint32_t i)
{
	const struct trace_record *r = p->log->event[i].r, *before = neighbour(p, i, -1);
	const struct trace_record *behind = neighbour(p, i, 1);
	const void *want = r->data ? (const void *)trace_data(r) : &r->value;
	uint8_t got[TRACE_DATA_MAX] = { 0 };
	unsigned n = r->data ? r->data : r->size;
	uint64_t until = now_ns() + WITHIN_NS, v[2] = { 0 };
	char reg[TRACE_NAME], region[TRACE_NAME];
	ssize_t rc;
	FILE *f;

	if (n > sizeof(got) || (!r->data && n > sizeof(r->value)))
		return;
	p->result->accesses++;
	do {
		rc = uvfio_read(p->dev, r->sub, r->at, got, n);
		if (rc != (ssize_t)n ? r->err != 0 : !r->err && !memcmp(got, want, n))
			return;
		if (behind && same_register(r, behind))
			return; /* it is read again: a later one counts */
		if (!before || !same_register(r, before))
			break;
		wait_a_little();
	} while (now_ns() < until);
	f = differ(p, r);
	if (!f)
		return;
	fprintf(f, "%s %s (0x%04" PRIx64 ") of %u: expected ", trace_region_name(r->sub, region),
		trace_reg_name(p->log, r, reg) ? reg : "-", r->at, r->size);
	memcpy(&v[0], want, n < 8 ? n : 8);
	memcpy(&v[1], got, n < 8 ? n : 8);
	if (r->err)
		fputs("an error", f);
	else
		fprintf(f, "0x%0*" PRIx64, (int)(n < 8 ? 2 * n : 16), v[0]);
	if (rc != (ssize_t)n)
		fputs(", got an error\n", f);
	else
		fprintf(f, ", got 0x%0*" PRIx64 "\n", (int)(n < 8 ? 2 * n : 16), v[1]);
}

static void access_again(struct replay *p, uint32_t i)
{
	const struct trace_record *r = p->log->event[i].r;
	const void *bytes = r->data ? (const void *)trace_data(r) : &r->value;
	unsigned n = r->data ? r->data : r->size;

	if (in_msix_table(p, r))
		return;
	if (!(r->flags & TRACE_WRITE)) {
		read_again(p, i);
		return;
	}
	/* a write that failed is there twice */
	if (r->err || (!r->data && n > sizeof(r->value)))
		return;
	p->result->accesses++;
	fill(p, i);
	uvfio_write(p->dev, r->sub, r->at, bytes, n);
}

/* ---- interrupts ---- */

static int *eventfd_of(struct replay *p, uint64_t vector)
{
	if (vector == TRACE_INTX)
		return &p->intx;
	return vector < VECTORS ? &p->vector[vector] : NULL;
}

static void close_eventfds(struct replay *p)
{
	if (p->intx >= 0)
		close(p->intx);
	for (unsigned i = 0; i < VECTORS; i++)
		if (p->vector[i] >= 0)
			close(p->vector[i]);
}

/* Have interrupts set up as VFIO_DEVICE_SET_IRQS @r did. */
static void set_irqs(struct replay *p, const struct trace_record *r)
{
	struct vfio_irq_set set;
	int32_t fd;
	int *own;

	if (r->data < sizeof(set))
		return;
	memcpy(&set, trace_data(r), sizeof(set));
	if (set.index > VFIO_PCI_MSIX_IRQ_INDEX)
		return;
	if (set.index == VFIO_PCI_INTX_IRQ_INDEX && set.flags & VFIO_IRQ_SET_DATA_NONE) {
		if (set.flags & VFIO_IRQ_SET_ACTION_MASK)
			uvfio_intx_mask(p->dev);
		if (set.flags & VFIO_IRQ_SET_ACTION_UNMASK)
			uvfio_intx_unmask(p->dev);
	}
	if (!(set.flags & VFIO_IRQ_SET_ACTION_TRIGGER))
		return;
	if (!set.count && set.flags & VFIO_IRQ_SET_DATA_NONE)
		uvfio_irq_disable(p->dev, set.index);
	if (!(set.flags & VFIO_IRQ_SET_DATA_EVENTFD))
		return;
	/* all at once, since the first call says how many there are */
	int fds[(TRACE_DATA_MAX - sizeof(set)) / sizeof(fd)];
	unsigned n = 0;

	for (; n < set.count && sizeof(set) + (n + 1) * sizeof(fd) <= r->data; n++) {
		memcpy(&fd, trace_data(r) + sizeof(set) + n * sizeof(fd), sizeof(fd));
		own = eventfd_of(p,
				 set.index == VFIO_PCI_INTX_IRQ_INDEX ? TRACE_INTX : set.start + n);
		if (own && *own < 0 && fd >= 0)
			*own = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE);
		fds[n] = own && fd >= 0 ? *own : -1;
	}
	if (n)
		uvfio_irq_enable(p->dev, set.index, set.start, n, fds);
}

/* Wait for the interrupt that @r tells of. */
static void wait_irq(struct replay *p, const struct trace_record *r)
{
	const int *fd = eventfd_of(p, r->at);
	uint64_t until = now_ns() + WITHIN_NS, count;
	FILE *f;

	if (r->sub != EVENT_SIGNALLED || !fd || *fd < 0)
		return;
	p->result->interrupts++;
	while (read(*fd, &count, sizeof(count)) != sizeof(count)) {
		if (now_ns() < until) {
			wait_a_little();
			continue;
		}
		f = differ(p, r);
		if (f && r->at == TRACE_INTX)
			fputs("INTx: expected, did not come\n", f);
		else if (f)
			fprintf(f, "vector %" PRIu64 ": expected, did not come\n", r->at);
		return;
	}
}

/* ---- all of it ---- */

static int again(struct replay *p, uint32_t i)
{
	const struct trace_event *e = &p->log->event[i];
	const struct trace_record *r = e->r;

	if (r->kind == TRACE_MAP)
		return map(p, r);
	if (r->kind == TRACE_UNMAP)
		unmap(p, r);
	if (!is_ours(p, r))
		return 0;
	if (r->kind == TRACE_ACCESS)
		access_again(p, i);
	else if (r->kind == TRACE_DMA)
		compare_dma(p, i);
	else if (r->kind == TRACE_IRQ)
		wait_irq(p, r);
	else if (r->kind != TRACE_CALL || r->sub != VFIO_FILE_DEVICE || e->pair == NOT_PAIRED ||
		 (int64_t)p->log->event[e->pair].r->value < 0)
		return 0;
	else if (r->at == VFIO_DEVICE_SET_IRQS)
		set_irqs(p, r);
	else if (r->at == VFIO_DEVICE_RESET)
		uvfio_reset(p->dev);
	return 0;
}

int trace_replay(FILE *out, const struct trace_log *log, const char *of, struct uvfio *u,
		 struct uvfio_device *dev, struct trace_replay *result)
{
	struct replay *p = calloc(1, sizeof(*p));
	int rc = p ? 0 : -ENOMEM;
	bool any = false;

	*result = (struct trace_replay){ 0 };
	if (!p)
		return rc;
	*p = (struct replay){
		.out = out, .log = log, .of = of, .u = u, .dev = dev, .result = result
	};
	p->intx = -1;
	memset(p->vector, 0xff, sizeof(p->vector));
	for (uint32_t i = 0; i < log->n; i++) {
		const struct trace_record *r = log->event[i].r;

		if (!p->of && r->kind == TRACE_ACCESS)
			p->of = trace_device_name(log, r);
		any |= p->of && r->kind == TRACE_ACCESS && is_ours(p, r);
	}
	for (uint32_t i = 0; any && i < log->n && !p->space; i++)
		if (log->event[i].r->kind == TRACE_ATTACH && is_ours(p, log->event[i].r))
			p->space = log->event[i].r->space;
	if (!any)
		rc = -ENODEV;
	else
		find_msix(p);
	for (uint32_t i = 0; i < log->n && !rc; i++)
		rc = again(p, i);
	free_memory(p);
	close_eventfds(p);
	free(p);
	return rc;
}
