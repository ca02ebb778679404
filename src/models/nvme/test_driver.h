/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/test_driver.h: a small NVMe driver for the unit tests: one function, one IOMMU
 * domain, memory at an address of its own, queues that are polled. Everything goes the way that a
 * driver's accesses go: pci_bar_write, DMA, interrupts into a sink.
 */
#ifndef MODELS_NVME_TEST_DRIVER_H
#define MODELS_NVME_TEST_DRIVER_H
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <time.h>

#include "base/guard.h"
#include "base/test_signals.h"
#include "models/nvme/nvme.h"
#include "models/nvme/spec.h"
#include "pci/test_platform.h"

#define MEM_SIZE   (32ull << 20)
#define MEM_IOVA   0x100000000ull
#define SC(status) ((status)&0x7ff)

struct queue {
	unsigned id, entries, cq_entries;
	unsigned tail, head, phase, sq_head;
	uint64_t sq, cq; /* offsets into the memory */
};

struct drv {
	pci_function *fn;
	struct loop *loop;
	struct iommu_domain *dom;
	char *mem;
	uint64_t used;
	struct queue admin, io[8];
	uint16_t cid;
	char image[64], image2[64];
	struct test_irqs irqs;
	/* how doorbells are rung; NULL: by wr() */
	void (*ring)(struct drv *d, uint64_t off, uint32_t value);
	/* of a controller that is elsewhere: accesses of registers, and what is done in waiting */
	uint64_t (*access)(struct drv *d, uint64_t off, unsigned size, bool write, uint64_t value);
	void (*idle)(struct drv *d);
	char err[512];
};

static inline void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

static inline uint64_t test_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* ---- registers ---- */

static inline uint64_t rd(struct drv *d, uint64_t off, unsigned size)
{
	uint64_t v;

	if (d->access)
		return d->access(d, off, size, false, 0);
	assert_int_equal(pci_bar_read(d->fn, 0, off, size, &v), 0);
	return v;
}

static inline void wr(struct drv *d, uint64_t off, unsigned size, uint64_t v)
{
	if (d->access)
		d->access(d, off, size, true, v);
	else
		assert_int_equal(pci_bar_write(d->fn, 0, off, size, v), 0);
}

static inline uint32_t csts(struct drv *d)
{
	return (uint32_t)rd(d, NVME_REG_CSTS, 4);
}

/* ---- memory: never freed within a test ---- */

static inline uint64_t alloc_at(struct drv *d, uint64_t size, uint64_t align)
{
	uint64_t at = (d->used + align - 1) & ~(align - 1);

	d->used = at + size;
	assert_true(d->used <= MEM_SIZE);
	memset(d->mem + at, 0, size);
	return at;
}

static inline uint64_t iova(uint64_t at)
{
	return MEM_IOVA + at;
}

/* ---- the function ---- */

static inline void make_image(char *path, size_t room, uint64_t size, const char *dir)
{
	int fd;

	snprintf(path, room, "%s/uvfio-nvme-XXXXXX", dir);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static inline int plug_in(struct drv *d, const struct pci_option *opts, unsigned count)
{
	int err;

	assert_int_equal(guard_install(), 0);
	d->loop = loop_new();
	err = pci_function_new(&model_nvme, "0000:01:00.0", 0, d->loop, opts, count, d->err,
			       sizeof(d->err), &d->fn);
	if (err) {
		loop_free(d->loop);
		d->loop = NULL;
		return err;
	}
	d->mem = (char *)test_memory_give(d->fn, MEM_IOVA, MEM_SIZE, 0, &d->dom);
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	test_irqs_watch(&d->irqs, d->fn);
	return 0;
}

/* Take the function out; the image stays. */
static inline void pull_out(struct drv *d)
{
	if (!d->fn)
		return;
	test_function_free(d->fn, (uint8_t *)d->mem, MEM_SIZE);
	d->fn = NULL;
	loop_free(d->loop);
}

static inline void unplug(struct drv *d)
{
	pull_out(d);
	if (d->image[0])
		unlink(d->image);
	if (d->image2[0])
		unlink(d->image2);
	free(d);
}

/* ---- queues ---- */

static inline void queue_clear(struct queue *q)
{
	q->tail = q->head = q->sq_head = 0;
	q->phase = 1;
}

static inline void queue_make(struct drv *d, struct queue *q, unsigned id, unsigned entries,
			      unsigned cq_entries)
{
	q->id = id;
	q->entries = entries;
	q->cq_entries = cq_entries;
	q->sq = alloc_at(d, entries * 64, 4096);
	q->cq = alloc_at(d, cq_entries * 16, 4096);
	queue_clear(q);
}

static inline void wait_csts(struct drv *d, uint32_t mask, uint32_t value)
{
	uint64_t end = test_now() + 10000000000ull;

	while ((csts(d) & mask) != value) {
		assert_true(test_now() < end);
		nap();
	}
}

static inline void enable_sized(struct drv *d, unsigned entries, unsigned cq_entries)
{
	queue_make(d, &d->admin, 0, entries, cq_entries);
	wr(d, NVME_REG_AQA, 4, (cq_entries - 1) << 16 | (entries - 1));
	wr(d, NVME_REG_ASQ, 8, iova(d->admin.sq));
	wr(d, NVME_REG_ACQ, 8, iova(d->admin.cq));
	wr(d, NVME_REG_CC, 4, NVME_CQES << 20 | NVME_SQES << 16 | NVME_CC_EN);
	wait_csts(d, NVME_CSTS_RDY, NVME_CSTS_RDY);
}

static inline void enable(struct drv *d)
{
	enable_sized(d, 32, 32);
}

static inline void disable(struct drv *d)
{
	wr(d, NVME_REG_CC, 4, 0);
	wait_csts(d, NVME_CSTS_RDY, 0);
}

static inline void ring(struct drv *d, uint64_t off, uint32_t value)
{
	if (d->ring)
		d->ring(d, off, value);
	else
		wr(d, off, 4, value);
}

static inline void ring_sq(struct drv *d, struct queue *q)
{
	ring(d, NVME_DOORBELLS + q->id * 8, q->tail);
}

static inline void ring_cq(struct drv *d, struct queue *q)
{
	ring(d, NVME_DOORBELLS + q->id * 8 + 4, q->head);
}

/* Put into the queue without ringing; returns the command identifier. */
static inline uint16_t put(struct drv *d, struct queue *q, const struct nvme_cmd *cmd)
{
	struct nvme_cmd c = *cmd;

	c.cid = d->cid++;
	memcpy(d->mem + q->sq + q->tail * 64, &c, 64);
	q->tail = (q->tail + 1) % q->entries;
	return c.cid;
}

static inline uint16_t post(struct drv *d, struct queue *q, const struct nvme_cmd *cmd)
{
	uint16_t cid = put(d, q, cmd);

	ring_sq(d, q);
	return cid;
}

/* The next completion if there is one; does not ring. */
static inline bool take(struct drv *d, struct queue *q, struct nvme_cqe *e)
{
	struct nvme_cqe *at = (void *)(d->mem + q->cq + q->head * 16);

	if ((__atomic_load_n(&at->status, __ATOMIC_ACQUIRE) & 1) != q->phase)
		return false;
	memcpy(e, at, 16);
	assert_int_equal(e->sq_id, q->id);
	q->sq_head = e->sq_head;
	q->head = (q->head + 1) % q->cq_entries;
	if (!q->head)
		q->phase ^= 1;
	return true;
}

static inline void reap(struct drv *d, struct queue *q, struct nvme_cqe *e)
{
	uint64_t end = test_now() + 10000000000ull;

	while (!take(d, q, e)) {
		if (test_now() > end)
			fail_msg("queue %u: no completion (CSTS %x)", q->id, csts(d));
		if (d->idle)
			d->idle(d);
		nap();
	}
	ring_cq(d, q);
}

/* Execute one command alone; its status without phase, shifted down. */
static inline uint16_t exec(struct drv *d, struct queue *q, const struct nvme_cmd *cmd,
			    uint32_t *result)
{
	struct nvme_cqe e;
	uint16_t cid = post(d, q, cmd);

	reap(d, q, &e);
	assert_int_equal(e.cid, cid);
	assert_int_equal(e.sq_head, q->tail);
	if (result)
		*result = e.result;
	return e.status >> 1;
}

static inline uint16_t admin(struct drv *d, struct nvme_cmd cmd, uint32_t *result)
{
	return exec(d, &d->admin, &cmd, result);
}

static inline uint16_t create_cq(struct drv *d, struct queue *q, unsigned vector, bool ien)
{
	return admin(d,
		     (struct nvme_cmd){ .opc = NVME_ADM_CREATE_CQ,
					.prp1 = iova(q->cq),
					.cdw10 = (q->cq_entries - 1) << 16 | q->id,
					.cdw11 = vector << 16 | ien << 1 | 1 },
		     NULL);
}

static inline uint16_t create_sq(struct drv *d, struct queue *q, unsigned cqid)
{
	return admin(d,
		     (struct nvme_cmd){ .opc = NVME_ADM_CREATE_SQ,
					.prp1 = iova(q->sq),
					.cdw10 = (q->entries - 1) << 16 | q->id,
					.cdw11 = cqid << 16 | 1 },
		     NULL);
}

static inline uint16_t delete_sq(struct drv *d, unsigned id)
{
	return admin(d, (struct nvme_cmd){ .opc = NVME_ADM_DELETE_SQ, .cdw10 = id }, NULL);
}

static inline uint16_t delete_cq(struct drv *d, unsigned id)
{
	return admin(d, (struct nvme_cmd){ .opc = NVME_ADM_DELETE_CQ, .cdw10 = id }, NULL);
}

static inline struct queue *make_pair(struct drv *d, unsigned i, unsigned entries,
				      unsigned cq_entries)
{
	queue_make(d, &d->io[i], i + 1, entries, cq_entries);
	assert_int_equal(create_cq(d, &d->io[i], 0, false), 0);
	assert_int_equal(create_sq(d, &d->io[i], i + 1), 0);
	return &d->io[i];
}

/* Give the controller doorbell buffers (5.7): *@db the doorbells, *@ei the event indexes. */
static inline void doorbell_buffers(struct drv *d, volatile uint32_t **db, volatile uint32_t **ei)
{
	uint64_t shadow = alloc_at(d, 4096, 4096), event = alloc_at(d, 4096, 4096);

	*db = (void *)(d->mem + shadow);
	*ei = (void *)(d->mem + event);
	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_DOORBELL_BUFFER,
						  .prp1 = iova(shadow),
						  .prp2 = iova(event) },
			       NULL),
			 0);
}

static inline struct nvme_cmd rw(uint8_t opc, uint64_t lba, unsigned blocks, uint64_t prp1,
				 uint64_t prp2)
{
	return (struct nvme_cmd){ .opc = opc,
				  .nsid = 1,
				  .prp1 = prp1,
				  .prp2 = prp2,
				  .cdw10 = (uint32_t)lba,
				  .cdw11 = (uint32_t)(lba >> 32),
				  .cdw12 = blocks - 1 };
}

static inline uint16_t io(struct drv *d, struct nvme_cmd cmd)
{
	return exec(d, &d->io[0], &cmd, NULL);
}

/* A driver with an image of @size bytes in @dir, more options behind; not enabled. */
static inline struct drv *drv_new(uint64_t size, const char *dir, const struct pci_option *more,
				  unsigned count)
{
	struct drv *d = calloc(1, sizeof(*d));
	struct pci_option opts[8];

	log_set(2, LOG_NONE);
	make_image(d->image, sizeof(d->image), size, dir);
	opts[0] = (struct pci_option){ "image", d->image };
	for (unsigned i = 0; i < count; i++)
		opts[i + 1] = more[i];
	if (plug_in(d, opts, count + 1))
		fail_msg("%s", d->err);
	return d;
}

static inline void fill(void *p, size_t len, uint32_t seed)
{
	uint32_t *w = p;

	for (size_t i = 0; i < len / 4; i++)
		w[i] = seed = seed * 1664525u + 1013904223u;
}

static inline void image_read(struct drv *d, uint64_t off, void *buf, size_t len)
{
	int fd = open(d->image, O_RDONLY);

	assert_int_equal(pread(fd, buf, len, (off_t)off), len);
	close(fd);
}
#endif
