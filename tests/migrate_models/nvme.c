/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/migrate_models/nvme.c: a driver of an NVMe disk with many commands under way, reads and
 * writes of blocks that say who they are: a command that is lost, that completes twice, or that
 * finds other data than was written last, is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "drivers/nvme.h"
#include "move.h"

#define DEPTH	32u
#define ENTRIES 64u
#define SLOTS	128u /* of 4 KiB in the image */
#define BLOCK	4096u

struct nvme_options nvme_options;

/* at the beginning of ram; then pages for the queues, the doorbell buffers, the data */
struct state {
	struct nvme_queue admin, io;
	struct {
		uint32_t seq; /* of what was written last; 0: nothing was */
		bool busy;
	} slot[SLOTS];
	struct {
		uint32_t slot, seq;
		bool write, busy;
	} command[DEPTH];
	uint32_t seq, under_way, random;
	uint64_t done;
};

static struct state *st(void)
{
	return (struct state *)ram;
}
static char *page(unsigned n)
{
	return ram + 16 * 4096 + n * 4096;
}
enum { ADMIN_SQ, ADMIN_CQ, IO_SQ, IO_CQ, SHADOW, EVENT, DATA };

static void place(struct side *s, struct nvme_queue *q)
{
	q->sq_doorbell = (volatile uint32_t *)(s->bar + NVME_DOORBELLS + 8 * q->id);
	q->cq_doorbell = q->sq_doorbell + 1;
}

static void nvme_arrive(struct side *s)
{
	place(s, &st()->admin);
	place(s, &st()->io);
}

static void make_queue(struct nvme_queue *q, unsigned id, unsigned sq, unsigned entries)
{
	*q = (struct nvme_queue){ .id = (uint16_t)id,
				  .size = entries,
				  .phase = 1,
				  .sq = (void *)page(sq),
				  .cq = (void *)page(sq + 1),
				  .sq_iova = ram_iova(page(sq)),
				  .cq_iova = ram_iova(page(sq + 1)) };
}

static void use_buffers(struct nvme_queue *q)
{
	q->sq_shadow = (volatile uint32_t *)page(SHADOW) + 2 * q->id;
	q->cq_shadow = q->sq_shadow + 1;
	q->sq_event = (volatile uint32_t *)page(EVENT) + 2 * q->id;
	q->cq_event = q->sq_event + 1;
}

static void admin(struct nvme_command c)
{
	struct nvme_queue *q = &st()->admin;
	uint64_t end = now_ns() + 10000000000ull;
	struct nvme_completion done;

	nvme_submit(q, &c);
	nvme_ring(q);
	while (!nvme_reap(q, &done))
		if (now_ns() > end)
			die("admin command %02xh does not complete", c.opcode);
	nvme_queue_reaped(q);
	if (done.status >> 1)
		die("admin command %02xh: status %#x", c.opcode, done.status >> 1);
}

static void nvme_begin(struct side *s)
{
	volatile char *r = s->bar;

	*(volatile uint32_t *)(r + NVME_CC) = 0;
	make_queue(&st()->admin, 0, ADMIN_SQ, 32);
	make_queue(&st()->io, 1, IO_SQ, ENTRIES);
	nvme_arrive(s);
	*(volatile uint32_t *)(r + NVME_AQA) = 31 << 16 | 31;
	*(volatile uint64_t *)(r + NVME_ASQ) = st()->admin.sq_iova;
	*(volatile uint64_t *)(r + NVME_ACQ) = st()->admin.cq_iova;
	*(volatile uint32_t *)(r + NVME_CC) = NVME_CC_ENABLE;
	if (*(volatile uint32_t *)(r + NVME_CSTS) != NVME_CSTS_READY)
		die("the controller does not get ready");
	if (nvme_options.buffers) {
		admin((struct nvme_command){ .opcode = NVME_ADMIN_DOORBELL_BUFFER,
					     .prp1 = ram_iova(page(SHADOW)),
					     .prp2 = ram_iova(page(EVENT)) });
		use_buffers(&st()->admin);
		use_buffers(&st()->io);
	}
	admin((struct nvme_command){ .opcode = NVME_ADMIN_CREATE_CQ,
				     .prp1 = st()->io.cq_iova,
				     .cdw10 = (ENTRIES - 1) << 16 | 1,
				     .cdw11 = 1 << 16 | nvme_options.interrupts << 1 | 1 });
	admin((struct nvme_command){ .opcode = NVME_ADMIN_CREATE_SQ,
				     .prp1 = st()->io.sq_iova,
				     .cdw10 = (ENTRIES - 1) << 16 | 1,
				     .cdw11 = 1 << 16 | 1 });
}

static uint32_t draw(void)
{
	return (st()->random = st()->random * 1664525u + 1013904223u) >> 8;
}

static void submit_one(void)
{
	struct state *t = st();
	unsigned id = 0, slot;

	while (t->command[id].busy)
		id++;
	do
		slot = draw() % SLOTS;
	while (t->slot[slot].busy);
	t->slot[slot].busy = t->command[id].busy = true;
	t->command[id].slot = slot;
	t->command[id].write = draw() & 1;
	t->command[id].seq = t->command[id].write ? ++t->seq : t->slot[slot].seq;
	if (t->command[id].write)
		fill(page(DATA + id), BLOCK, slot, t->command[id].seq);
	else
		memset(page(DATA + id), 0xee, BLOCK);
	nvme_submit(&t->io,
		    &(struct nvme_command){ .opcode = t->command[id].write ? NVME_WRITE : NVME_READ,
					    .cid = (uint16_t)id,
					    .nsid = 1,
					    .prp1 = ram_iova(page(DATA + id)),
					    .cdw10 = slot * (BLOCK / 512),
					    .cdw12 = BLOCK / 512 - 1 });
	t->under_way++;
}

static void complete(const struct nvme_completion *c)
{
	static const char zeroes[BLOCK];
	struct state *t = st();
	unsigned id = c->cid, slot;

	if (c->sq_id != 1 || id >= DEPTH || !t->command[id].busy)
		die("completion of command %u of queue %u, which is not under way", id, c->sq_id);
	if (c->status >> 1)
		die("command %u: status %#x", id, c->status >> 1);
	slot = t->command[id].slot;
	if (t->command[id].write)
		t->slot[slot].seq = t->command[id].seq;
	else if (t->slot[slot].seq ? !is_filled(page(DATA + id), BLOCK, slot, t->slot[slot].seq)
				   : memcmp(page(DATA + id), zeroes, BLOCK))
		die("slot %u has not what was written last", slot);
	t->slot[slot].busy = t->command[id].busy = false;
	t->under_way--;
	t->done++;
}

/* Take completions; at least one, which is waited for. */
static void reap_some(struct side *s)
{
	uint64_t end = now_ns() + 5000000000ull;
	struct nvme_completion c;
	unsigned n = 0;

	while (!n) {
		if (nvme_options.interrupts)
			wait_irq(s->irq[1]);
		for (; nvme_reap(&st()->io, &c); n++)
			complete(&c);
		if (now_ns() > end)
			die("%u commands are under way, and none completes", st()->under_way);
	}
	nvme_queue_reaped(&st()->io);
}

static void nvme_work(struct side *s, uint64_t ns)
{
	uint64_t end = now_ns() + ns, least = st()->done + DEPTH;

	do {
		while (st()->under_way < DEPTH)
			submit_one();
		nvme_ring(&st()->io);
		reap_some(s);
	} while (now_ns() < end || st()->done < least);
	while (st()->under_way < DEPTH)
		submit_one();
	nvme_ring(&st()->io);
}

static void nvme_finish(struct side *s)
{
	uint32_t block[BLOCK / 4];
	int fd;

	while (st()->under_way)
		reap_some(s);
	fd = open(nvme_options.image, O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < SLOTS; i++) {
		if (!st()->slot[i].seq)
			continue;
		if (pread(fd, block, BLOCK, (off_t)i * BLOCK) != BLOCK ||
		    !is_filled(block, BLOCK, i, st()->slot[i].seq))
			die("the image's slot %u has not what was written last", i);
	}
	close(fd);
}

const struct driver nvme_driver = { 0x2000, nvme_begin, nvme_arrive, nvme_work, nvme_finish };
