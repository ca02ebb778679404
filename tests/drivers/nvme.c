/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/nvme.c: see nvme.h. A controller from reset to I/O queues in the order of NVMe 1.4,
 * 7.6.1.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nvme.h"

#define TIMEOUT_NS 20000000000ull

static int wait_ready(struct nvme *n, uint32_t ready)
{
	uint64_t limit =
		now_ns() + ((n->cap >> 24 & 0xff) + 1) * 500000000ull; /* 3.1.1: CAP.TO in 500 ms */

	while ((mmio_read32(n->registers + NVME_CSTS) & NVME_CSTS_READY) != ready) {
		if (now_ns() > limit)
			return NVME_TIMEOUT;
		sched_yield();
	}
	return 0;
}

int nvme_disable(struct nvme *n)
{
	uint32_t cc = mmio_read32(n->registers + NVME_CC);

	mmio_write32(n->registers + NVME_CC, cc & ~1u);
	return wait_ready(n, 0);
}

int nvme_enable(struct nvme *n)
{
	mmio_write32(n->registers + NVME_CC, NVME_CC_ENABLE);
	return wait_ready(n, NVME_CSTS_READY);
}

int nvme_shutdown(struct nvme *n)
{
	uint64_t limit = now_ns() + TIMEOUT_NS;
	uint32_t csts;

	mmio_write32(n->registers + NVME_CC,
		     mmio_read32(n->registers + NVME_CC) | NVME_CC_SHUTDOWN);
	do {
		csts = mmio_read32(n->registers + NVME_CSTS);
		if ((csts & NVME_CSTS_SHST) == NVME_CSTS_SHUT_DOWN)
			return (int)(csts & NVME_CSTS_SHST);
		sched_yield();
	} while (now_ns() < limit);
	return NVME_TIMEOUT;
}

/* 7.13: its doorbells by way of the buffers. */
static void use_shadow(struct nvme *n, struct nvme_queue *q)
{
	q->sq_shadow = (volatile uint32_t *)(n->shadow + 2 * q->id * n->stride);
	q->cq_shadow = (volatile uint32_t *)(n->shadow + (2 * q->id + 1) * n->stride);
	q->sq_event = (volatile uint32_t *)((char *)q->sq_shadow + NVME_PAGE);
	q->cq_event = (volatile uint32_t *)((char *)q->cq_shadow + NVME_PAGE);
}

void nvme_queue_memory(struct nvme *n, unsigned id, unsigned entries)
{
	struct nvme_queue *q = &n->queue[id], old = *q;

	if (old.sq && old.size != entries) {
		pci_dma_free(&n->pci, old.sq, old.size * sizeof(*old.sq), old.sq_iova);
		pci_dma_free(&n->pci, (void *)old.cq, old.size * sizeof(*old.cq), old.cq_iova);
		old.sq = NULL;
	}
	*q = (struct nvme_queue){ .id = (uint16_t)id,
				  .size = entries,
				  .phase = 1,
				  .sq = old.sq,
				  .cq = old.cq,
				  .sq_iova = old.sq_iova,
				  .cq_iova = old.cq_iova };
	if (q->sq) {
		memset(q->sq, 0, entries * sizeof(*q->sq));
		memset((void *)q->cq, 0, entries * sizeof(*q->cq));
	} else {
		q->sq = pci_dma_alloc(&n->pci, entries * sizeof(*q->sq), &q->sq_iova);
		q->cq = pci_dma_alloc(&n->pci, entries * sizeof(*q->cq), &q->cq_iova);
	}
	/* 3.1.24, 3.1.25 */
	q->sq_doorbell = (volatile uint32_t *)(n->doorbells + 2 * id * n->stride);
	q->cq_doorbell = (volatile uint32_t *)(n->doorbells + (2 * id + 1) * n->stride);
	if (n->shadow_used) {
		use_shadow(n, q);
		*q->sq_shadow = *q->cq_shadow = *q->sq_event = *q->cq_event = 0;
	}
}

int nvme_execute(struct nvme *n, unsigned queue, const struct nvme_command *c, uint32_t *result)
{
	struct nvme_queue *q = &n->queue[queue];
	struct nvme_command mine = *c;
	struct nvme_completion done;
	uint64_t limit = 0;

	mine.cid = q->next_cid++;
	nvme_submit(q, &mine);
	nvme_ring(q);
	for (unsigned spins = 1; !nvme_reap(q, &done); spins++) {
		__builtin_ia32_pause();
		if (spins % 1024)
			continue;
		sched_yield();
		if (!limit)
			limit = now_ns() + TIMEOUT_NS;
		else if (now_ns() > limit)
			return NVME_TIMEOUT;
	}
	nvme_queue_reaped(q);
	if (done.cid != mine.cid || done.sq_id != queue)
		die("queue %u: completion of command %u of queue %u, but %u was the only one",
		    queue, done.cid, done.sq_id, mine.cid);
	if (result)
		*result = done.result;
	return done.status >> 1 & 0x7ff; /* 4.6.1: without More and Do Not Retry */
}

int nvme_identify(struct nvme *n, uint32_t cns, uint32_t nsid)
{
	struct nvme_command c = {
		.opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .prp1 = n->page_iova, .cdw10 = cns
	};

	memset(n->page, 0, NVME_PAGE);
	return nvme_execute(n, 0, &c, NULL);
}

static void get(const void *from, size_t offset, void *to, size_t size)
{
	memcpy(to, (const char *)from + offset, size);
}

static void identify(struct nvme *n)
{
	int status = nvme_identify(n, 1, 0); /* 5.15.2.2 */
	uint64_t page = NVME_PAGE << (n->cap >> 48 & 15);
	uint8_t mdts, format;

	if (status)
		die("Identify Controller: status %#x", status);
	get(n->page, 77, &mdts, 1);
	n->max_transfer = mdts && mdts < 16 ? page << mdts : 16 << 20;
	get(n->page, 256, &n->oacs, 2);
	get(n->page, 516, &n->namespaces, 4);
	get(n->page, 520, &n->oncs, 2);
	get(n->page, 536, &n->sgls, 4);
	status = nvme_identify(n, 0, n->nsid); /* 5.15.2.1 */
	if (status)
		die("Identify Namespace %u: status %#x", n->nsid, status);
	get(n->page, 0, &n->blocks, 8);
	format = n->page[26] & 15;
	n->lba_shift = (uint8_t)n->page[128 + 4 * format + 2];
	if (!n->blocks || n->lba_shift < 9 || n->lba_shift > 12)
		die("namespace %u has %llu blocks of 2^%u bytes", n->nsid,
		    (unsigned long long)n->blocks, n->lba_shift);
}

static void configure_doorbell_buffer(struct nvme *n)
{
	struct nvme_command c = { .opcode = NVME_ADMIN_DOORBELL_BUFFER };
	int status;

	if (!n->shadow)
		n->shadow = pci_dma_alloc(&n->pci, 2 * NVME_PAGE, &n->shadow_iova);
	memset(n->shadow, 0, 2 * NVME_PAGE);
	c.prp1 = n->shadow_iova;
	c.prp2 = n->shadow_iova + NVME_PAGE;
	status = nvme_execute(n, 0, &c, NULL);
	if (status)
		die("Doorbell Buffer Config: status %#x", status);
	n->shadow_used = true;
	use_shadow(n, &n->queue[0]); /* as libvfn does, and Linux does not */
}

void nvme_start(struct nvme *n, bool doorbell_buffer)
{
	/* 5.21.1.7: counts less one */
	struct nvme_command queues = { .opcode = NVME_ADMIN_SET_FEATURES,
				       .cdw10 = 7,
				       .cdw11 = (NVME_MAX_QUEUES - 2) << 16 |
						(NVME_MAX_QUEUES - 2) };
	uint32_t granted;
	int status;

	if (nvme_disable(n))
		die("the controller does not stop");
	n->shadow_used = false;
	nvme_queue_memory(n, 0, NVME_ADMIN_ENTRIES);
	mmio_write32(n->registers + NVME_AQA,
		     (NVME_ADMIN_ENTRIES - 1) << 16 | (NVME_ADMIN_ENTRIES - 1));
	mmio_hl_write64(n->registers + NVME_ASQ, n->queue[0].sq_iova);
	mmio_hl_write64(n->registers + NVME_ACQ, n->queue[0].cq_iova);
	if (nvme_enable(n))
		die("the controller does not get ready");
	status = nvme_execute(n, 0, &queues, &granted);
	if (status)
		die("Set Features, Number of Queues: status %#x", status);
	granted = (granted & 0xffff) < granted >> 16 ? granted & 0xffff : granted >> 16;
	n->granted = granted + 1 < NVME_MAX_QUEUES - 1 ? granted + 1 : NVME_MAX_QUEUES - 1;
	identify(n);
	if (doorbell_buffer && n->oacs & 1u << 8)
		configure_doorbell_buffer(n);
}

void nvme_open(struct nvme *n, const char *address, uint32_t nsid, bool doorbell_buffer)
{
	memset(n, 0, sizeof(*n));
	pci_open(&n->pci, address);
	if (n->pci.class >> 8 != 0x0108)
		die("%s is no NVMe controller: class %#llx", address,
		    (unsigned long long)n->pci.class);
	n->nsid = nsid;
	n->registers = pci_map_bar(&n->pci, 0, 0x1000, 0, PROT_READ | PROT_WRITE);
	n->doorbells = pci_map_bar(&n->pci, 0, 0x1000, NVME_DOORBELLS, PROT_WRITE);
	n->cap = mmio_lh_read64(n->registers + NVME_CAP);
	if (n->cap == UINT64_MAX)
		die("%s does not answer", address);
	n->stride = 4u << (n->cap >> 32 & 15);
	if (2 * NVME_MAX_QUEUES * n->stride > 0x1000)
		die("doorbells %u bytes apart", n->stride);
	n->page = pci_dma_alloc(&n->pci, NVME_PAGE, &n->page_iova);
	nvme_start(n, doorbell_buffer);
}

void nvme_close(struct nvme *n)
{
	munmap((void *)n->registers, 0x1000);
	munmap((void *)n->doorbells, 0x1000);
	pci_close(&n->pci);
}

int nvme_create_queue(struct nvme *n, unsigned id, unsigned entries, int vector)
{
	struct nvme_queue *q = &n->queue[id];
	struct nvme_command cq = { .opcode = NVME_ADMIN_CREATE_CQ,
				   .cdw10 = (entries - 1) << 16 | id,
				   .cdw11 = 1 }; /* 5.3: contiguous */
	struct nvme_command sq = { .opcode = NVME_ADMIN_CREATE_SQ,
				   .cdw10 = (entries - 1) << 16 | id,
				   .cdw11 = id << 16 | 1 }; /* 5.4 */
	int status;

	nvme_queue_memory(n, id, entries);
	cq.prp1 = q->cq_iova;
	sq.prp1 = q->sq_iova;
	if (vector >= 0)
		cq.cdw11 |= (uint32_t)vector << 16 | 2;
	status = nvme_execute(n, 0, &cq, NULL);
	if (!status)
		status = nvme_execute(n, 0, &sq, NULL);
	return status;
}

int nvme_delete_queue(struct nvme *n, unsigned id)
{
	struct nvme_command c = { .opcode = NVME_ADMIN_DELETE_SQ, .cdw10 = id };
	int status = nvme_execute(n, 0, &c, NULL);

	c.opcode = NVME_ADMIN_DELETE_CQ;
	return status ? status : nvme_execute(n, 0, &c, NULL);
}

struct nvme_command nvme_rw(const struct nvme *n, uint8_t opcode, uint64_t offset, uint64_t bytes,
			    uint64_t iova, uint64_t *list, uint64_t list_iova)
{
	uint64_t lba = offset >> n->lba_shift, first = NVME_PAGE - iova % NVME_PAGE;
	struct nvme_command c = { .opcode = opcode,
				  .nsid = n->nsid,
				  .prp1 = iova,
				  .cdw10 = (uint32_t)lba,
				  .cdw11 = (uint32_t)(lba >> 32),
				  .cdw12 = (uint32_t)(bytes >> n->lba_shift) - 1 };

	/* 4.3: the second page, or a list of the second and those that follow */
	if (bytes > first && bytes <= first + NVME_PAGE) {
		c.prp2 = iova + first;
	} else if (bytes > first) {
		for (uint64_t at = first, i = 0; at < bytes; at += NVME_PAGE, i++)
			list[i] = iova + at;
		c.prp2 = list_iova;
	}
	return c;
}
