/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_nvme.c: a small NVMe driver on the native API (polling, one queue pair of 64 entries)
 * reads 4 KiB at random from a namespace whose image is a file in memory, beside pread(2) from the
 * same file. Registers and structures: NVM Express 1.4, 3.1, 4.2, 4.6, 5.3, 5.4, 6.9.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "uvfio/uvfio.h"
#include "bench.h"

#define IMAGE_SIZE    (64u << 20)
#define BLOCK	      4096u
#define BLOCKS	      (IMAGE_SIZE / BLOCK)
#define ENTRIES	      64u
#define ADMIN_ENTRIES 16u

#define REG_CAP		0x00
#define REG_CC		0x14
#define REG_CSTS	0x1c
#define REG_AQA		0x24
#define REG_ASQ		0x28
#define REG_ACQ		0x30
#define REG_DOORBELL	0x1000
#define CC_ENABLE_64_16 0x00460001u /* IOCQES 16, IOSQES 64 bytes, EN */

struct command {
	uint32_t cdw0, nsid, cdw2, cdw3;
	uint64_t mptr, prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

struct completion {
	uint32_t result, reserved;
	uint16_t sq_head, sq_id, cid, status; /* status bit 0: the phase */
};

struct queue {
	struct command *sq;
	volatile struct completion *cq;
	uint64_t sq_iova, cq_iova;
	unsigned entries, id, tail, head, phase;
};

struct nvme {
	struct uvfio *u;
	struct uvfio_device *dev;
	unsigned stride;
	struct queue admin, io;
	char *data; /* ENTRIES blocks */
	uint64_t data_iova;
	int image; /* the file itself */
	unsigned depth;
	uint64_t random;
};

static uint32_t next_block(struct nvme *n)
{
	n->random ^= n->random << 13; /* Marsaglia, xorshift64 */
	n->random ^= n->random >> 7;
	n->random ^= n->random << 17;
	return (uint32_t)(n->random % BLOCKS);
}

static void doorbell(struct nvme *n, const struct queue *q, unsigned completion, uint32_t value)
{
	if (uvfio_write32(n->dev, 0, REG_DOORBELL + (2 * q->id + completion) * n->stride, value))
		bench_die(uvfio_strerror(n->u), EIO);
}

static void submit(struct queue *q, const struct command *c)
{
	q->sq[q->tail] = *c;
	q->tail = (q->tail + 1) % q->entries;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The next completion's command id. The caller rings the doorbell. */
static unsigned wait_completion(struct queue *q)
{
	volatile struct completion *c = &q->cq[q->head];
	double limit = 0;
	unsigned cid;

	for (unsigned spins = 1; (c->status & 1) != q->phase; spins++) {
		__builtin_ia32_pause();
		if (spins % 1024)
			continue;
		sched_yield(); /* somebody else's thread may be what we wait for */
		if (!limit)
			limit = seconds() + 5;
		else if (seconds() > limit)
			bench_die("no completion from the controller", ETIMEDOUT);
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (c->status >> 1) {
		fprintf(stderr, "bench: command %u: status 0x%x\n", c->cid, c->status >> 1);
		bench_die("NVMe command", EIO);
	}
	cid = c->cid;
	if (++q->head == q->entries) {
		q->head = 0;
		q->phase ^= 1;
	}
	return cid;
}

static void *dma(struct nvme *n, size_t size, uint64_t *iova)
{
	void *p = uvfio_dma_alloc(n->u, size, iova);

	if (!p)
		bench_die(uvfio_strerror(n->u), ENOMEM);
	return p;
}

static void make_queue(struct nvme *n, struct queue *q, unsigned id, unsigned entries)
{
	q->id = id;
	q->entries = entries;
	q->phase = 1;
	q->sq = dma(n, entries * sizeof(*q->sq), &q->sq_iova);
	q->cq = dma(n, entries * sizeof(*q->cq), &q->cq_iova);
}

static void admin(struct nvme *n, const struct command *c)
{
	submit(&n->admin, c);
	doorbell(n, &n->admin, 0, n->admin.tail);
	wait_completion(&n->admin);
	doorbell(n, &n->admin, 1, n->admin.head);
}

static void write_register(struct nvme *n, uint64_t offset, uint64_t value, unsigned size)
{
	int rc = size == 8 ? uvfio_write64(n->dev, 0, offset, value)
			   : uvfio_write32(n->dev, 0, offset, (uint32_t)value);

	if (rc)
		bench_die(uvfio_strerror(n->u), rc);
}

static void set_up(struct nvme *n)
{
	struct command create_cq = { .cdw0 = 0x05, .cdw10 = (ENTRIES - 1) << 16 | 1, .cdw11 = 1 };
	struct command create_sq = { .cdw0 = 0x01,
				     .cdw10 = (ENTRIES - 1) << 16 | 1,
				     .cdw11 = 1u << 16 | 1 };
	double limit = seconds() + 5;
	char spec[64];
	int rc;

	snprintf(spec, sizeof(spec), "nvme,readonly=on,image=/proc/%d/fd/%d", getpid(), n->image);
	n->u = uvfio_new();
	if (!n->u)
		bench_die("uvfio_new", ENOMEM);
	rc = uvfio_open_model(n->u, spec, &n->dev);
	if (!rc)
		rc = uvfio_bus_master(n->dev, true);
	if (rc)
		bench_die(uvfio_strerror(n->u), rc);
	n->stride = 4u << (uvfio_read64(n->dev, 0, REG_CAP) >> 32 & 15);
	make_queue(n, &n->admin, 0, ADMIN_ENTRIES);
	make_queue(n, &n->io, 1, ENTRIES);
	n->data = dma(n, ENTRIES * BLOCK, &n->data_iova);
	write_register(n, REG_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1), 4);
	write_register(n, REG_ASQ, n->admin.sq_iova, 8);
	write_register(n, REG_ACQ, n->admin.cq_iova, 8);
	write_register(n, REG_CC, CC_ENABLE_64_16, 4);
	while (!(uvfio_read32(n->dev, 0, REG_CSTS) & 1)) {
		if (seconds() > limit)
			bench_die("the controller does not become ready", ETIMEDOUT);
		sched_yield();
	}
	create_cq.prp1 = n->io.cq_iova;
	admin(n, &create_cq);
	create_sq.prp1 = n->io.sq_iova;
	admin(n, &create_sq);
}

static void prepare_read(struct nvme *n, unsigned cid)
{
	struct command c = { .cdw0 = 0x02 | cid << 16, .nsid = 1, .cdw12 = BLOCK / 512 - 1 };

	c.prp1 = n->data_iova + cid * BLOCK;
	c.cdw10 = next_block(n) * (BLOCK / 512);
	submit(&n->io, &c);
}

/*
 * @total reads with @depth of them under way: each completion is followed by a new command;
 * doorbells are rung once for what was found together.
 */
static void reads(void *arg, uint64_t total)
{
	struct nvme *n = arg;
	uint64_t begun = 0, done = 0;

	while (begun < n->depth && begun < total)
		prepare_read(n, (unsigned)begun++);
	doorbell(n, &n->io, 0, n->io.tail);
	while (done < total) {
		unsigned before = n->io.tail;

		do {
			unsigned cid = wait_completion(&n->io);

			done++;
			if (begun < total) {
				prepare_read(n, cid);
				begun++;
			}
		} while ((n->io.cq[n->io.head].status & 1) == n->io.phase && done < total);
		doorbell(n, &n->io, 1, n->io.head);
		if (n->io.tail != before)
			doorbell(n, &n->io, 0, n->io.tail);
	}
}

static void check(struct nvme *n)
{
	uint32_t block;

	for (int i = 0; i < 100; i++) {
		uint64_t seed = n->random;

		reads(n, 1);
		n->random = seed;
		block = next_block(n);
		for (unsigned k = 0; k < BLOCK / 4; k += 64)
			if (((uint32_t *)n->data)[k] != block)
				bench_die("wrong data", EIO);
	}
}

static void preads(void *arg, uint64_t total)
{
	struct nvme *n = arg;

	for (uint64_t i = 0; i < total; i++)
		if (pread(n->image, n->data + i % ENTRIES * BLOCK, BLOCK,
			  (off_t)next_block(n) * BLOCK) != BLOCK)
			bench_die("pread", errno);
}

int main(void)
{
	static struct nvme n = { .random = 88172645463325252ull, .depth = 1 };
	static struct nvme deep;
	struct bench b = { .n = 0 };
	uint32_t *p;
	int f;

	n.image = memfd_create("uvfio-bench", MFD_CLOEXEC);
	if (n.image < 0 || ftruncate(n.image, IMAGE_SIZE))
		bench_die("memfd", errno);
	p = mmap(NULL, IMAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, n.image, 0);
	if (p == MAP_FAILED)
		bench_die("mmap", errno);
	for (size_t i = 0; i < IMAGE_SIZE / 4; i++)
		p[i] = (uint32_t)(i / (BLOCK / 4));
	munmap(p, IMAGE_SIZE);
	set_up(&n);
	check(&n);
	/* a controller of its own, on the same image */
	deep.random = n.random;
	deep.image = n.image;
	deep.depth = 32;
	set_up(&deep);
	f = bench_floor(&b, "pread of 4 KiB at random", preads, &n, 1u << 10);
	bench_add(&b, "NVMe read of 4 KiB at random, queue depth 1", reads, &n, 1u << 9, f, 0, 0);
	bench_add(&b, "NVMe read of 4 KiB at random, queue depth 32", reads, &deep, 1u << 10, f, 0,
		  0);
	bench_run(&b);
	uvfio_free(n.u);
	uvfio_free(deep.u);
	return 0;
}
