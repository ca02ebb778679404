/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/completion.c: completion queues: entries that are kept free for commands under way,
 * posting, and the interrupts that tell of it (NVMe 1.4, 4.1, 7.5).
 */
#include "models/nvme/internal.h"

void nvme_cq_setup(struct nvme_cq *cq, struct nvme *n, uint64_t base, unsigned size,
		   uint16_t vector, bool ien)
{
	pthread_mutex_lock(&cq->lock);
	cq->base = base;
	cq->head = cq->tail = cq->reserved = 0;
	cq->phase = true;
	cq->ien = ien;
	if (cq->id && ien)
		atomic_fetch_add(&n->pin_queues, 1);
	atomic_store(cq->doorbell, 0);
	cq->vector = vector;
	atomic_store(&cq->users, 0);
	cq->shadow = cq->id ? nvme_buffer_slot(n->shadow, cq->id, true) : 0;
	cq->eventidx = cq->id ? nvme_buffer_slot(n->eventidx, cq->id, true) : 0;
	atomic_store(&cq->irq_due, false);
	atomic_store(&cq->starved, false);
	atomic_store(&cq->size, size);
	pthread_mutex_unlock(&cq->lock);
}

bool nvme_pending_set(struct nvme *n, unsigned qid, bool on)
{
	uint64_t bit = 1ull << qid % 64, was;

	pthread_mutex_lock(&n->irq_lock);
	was = n->pending[qid / 64] & bit;
	if (on)
		n->pending[qid / 64] |= bit;
	else
		n->pending[qid / 64] &= ~bit;
	pthread_mutex_unlock(&n->irq_lock);
	return on != (was != 0);
}

void nvme_cq_clear(struct nvme *n, struct nvme_cq *cq)
{
	pthread_mutex_lock(&cq->lock);
	atomic_store(&cq->size, 0);
	atomic_store(cq->doorbell, 0);
	atomic_store(&cq->irq_due, false);
	atomic_store(&cq->starved, false);
	if (cq->id && cq->ien)
		atomic_fetch_sub(&n->pin_queues, 1);
	cq->ien = false;
	nvme_pending_set(n, cq->id, false);
	pthread_mutex_unlock(&cq->lock);
	nvme_irq_update(n);
}

/* ---- completion ---- */

/* One entry stays empty: head == tail means empty (4.1.2). */
unsigned nvme_cq_room(const struct nvme_cq *cq)
{
	unsigned size = atomic_load_explicit(&cq->size, memory_order_relaxed), taken;

	if (!size)
		return 0;
	taken = (cq->tail + size - cq->head) % size + cq->reserved;
	return taken < size - 1 ? size - 1 - taken : 0;
}

unsigned nvme_cq_reserve(struct nvme *n, struct nvme_cq *cq, unsigned want)
{
	unsigned room;

	pthread_mutex_lock(&cq->lock);
	room = nvme_cq_room(cq);
	if (room < want) {
		nvme_cq_look(n, cq);
		nvme_cq_shadow(n, cq, !room);
		room = nvme_cq_room(cq);
	}
	if (room > want)
		room = want;
	if (!room)
		atomic_store(&cq->starved, true);
	cq->reserved += room;
	pthread_mutex_unlock(&cq->lock);
	return room;
}

void nvme_cq_unreserve(struct nvme_cq *cq, unsigned count)
{
	pthread_mutex_lock(&cq->lock);
	cq->reserved -= count;
	pthread_mutex_unlock(&cq->lock);
}

static void cq_post(struct nvme *n, struct nvme_cq *cq, const struct nvme_sq *sq, uint16_t cid,
		    uint16_t status, uint32_t result)
{
	struct nvme_cqe e = { .result = result, .sq_id = sq->id, .cid = cid };
	unsigned size;
	uint64_t at;

	pthread_mutex_lock(&cq->lock);
	size = atomic_load(&cq->size);
	cq->reserved--;
	if (!size || atomic_load(&n->discard) || atomic_load(&n->csts) & NVME_CSTS_CFS)
		goto out;
	e.sq_head = (uint16_t)atomic_load(&sq->head);
	e.status = (uint16_t)(status << 1 | cq->phase);
	at = cq->base + cq->tail * sizeof(e);
	/*
	 * A driver that polls looks at the phase bit. It lies in the last word, and uvfio copies
	 * upwards, aligned words whole.
	 */
	if (uvfio_dma_write(n->dev, at, &e, sizeof(e))) {
		nvme_fatal(n, "completion queue cannot be written", at);
		goto out;
	}
	if (++cq->tail == size) {
		cq->tail = 0;
		cq->phase = !cq->phase;
	}
	if (cq->ien) {
		if (uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX) {
			nvme_cq_look(n, cq);
			/* the pin falls when the driver has taken all: it must ring */
			nvme_cq_shadow(n, cq, true);
			nvme_pending_set(n, cq->id, cq->head != cq->tail);
		}
		/*
		 * last: any thread that has run the queue may take it, and looks at what is pending
		 */
		atomic_store_explicit(&cq->irq_due, true, memory_order_release);
	}
out:
	pthread_mutex_unlock(&cq->lock);
}

void nvme_complete(struct nvme_sq *sq, const struct nvme_cmd *cmd, uint16_t status, uint32_t result,
		   uint16_t location)
{
	struct nvme *n = sq->n;

	if (status && !atomic_load(&n->discard)) {
		uint64_t lba = sq->id ? (uint64_t)cmd->cdw11 << 32 | cmd->cdw10 : 0;

		uvfio_log(n->dev, UVFIO_LOG_DEBUG,
			  "queue %u command %u: opcode %02xh namespace %x: status %xh, byte %u",
			  sq->id, cmd->cid, cmd->opc, cmd->nsid, status & 0x7ff, location & 0xff);
		status |= NVME_MORE;
		nvme_log_error(n, sq->id, cmd->cid, status, location, lba, cmd->nsid);
	}
	cq_post(n, nvme_cq_of(sq), sq, cmd->cid, status, result);
}

void nvme_complete_plain(struct nvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result,
			 uint64_t due)
{
	const struct nvme_cmd cmd = { .cid = cid };

	if (due)
		nvme_delay_command(sq, &cmd, status, result, 0xffff, due);
	else
		cq_post(sq->n, nvme_cq_of(sq), sq, cid, status, result);
}

/* ---- interrupts: 7.5 ---- */

static bool vector_masked(struct nvme *n, unsigned vector)
{
	/* 3.1.3: a bit for each of 32 vectors */
	return atomic_load(&n->intms) >> (vector & 31) & 1;
}

void nvme_irq_update(struct nvme *n)
{
	bool level = false;

	if (atomic_load_explicit(&n->stopped, memory_order_relaxed))
		return; /* resume comes back; the line keeps its level, also one that is loaded */
	pthread_mutex_lock(&n->irq_lock);
	if ((n->pending[0] || n->pending[1]) && uvfio_irq_mode(n->dev) == UVFIO_IRQ_INTX)
		for (unsigned i = 0; i < NVME_QUEUES; i++)
			level |= n->pending[i / 64] >> i % 64 & 1 &&
				 !vector_masked(n, n->cq[i].vector);
	uvfio_intx(n->dev, level);
	pthread_mutex_unlock(&n->irq_lock);
}

void nvme_cq_notify(struct nvme *n, struct nvme_cq *cq)
{
	if (!atomic_load_explicit(&cq->irq_due, memory_order_relaxed) ||
	    !atomic_exchange(&cq->irq_due, false))
		return;
	switch (uvfio_irq_mode(n->dev)) {
	case UVFIO_IRQ_MSIX:
		uvfio_msi(n->dev, cq->vector);
		break;
	case UVFIO_IRQ_MSI:
		if (!vector_masked(n, cq->vector))
			uvfio_msi(n->dev, cq->vector);
		break;
	case UVFIO_IRQ_INTX:
		nvme_irq_update(n);
		break;
	}
}

void nvme_irq_replay(struct nvme *n, uint32_t unmasked)
{
	bool msi = uvfio_irq_mode(n->dev) == UVFIO_IRQ_MSI;

	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		struct nvme_cq *cq = &n->cq[i];
		bool waiting;

		if (!atomic_load(&cq->size))
			continue;
		pthread_mutex_lock(&cq->lock);
		nvme_cq_look(n, cq);
		waiting = atomic_load(&cq->size) && cq->ien && cq->head != cq->tail;
		nvme_pending_set(n, i, waiting);
		pthread_mutex_unlock(&cq->lock);
		if (waiting && msi && unmasked >> (cq->vector & 31) & 1)
			uvfio_msi(n->dev, cq->vector);
	}
	nvme_irq_update(n);
}

void nvme_irq_again(struct nvme *n)
{
	if (uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX)
		return;
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		struct nvme_cq *cq = &n->cq[i];
		bool waiting;

		pthread_mutex_lock(&cq->lock);
		waiting = atomic_load(&cq->size) && cq->ien && cq->head != cq->tail;
		pthread_mutex_unlock(&cq->lock);
		if (waiting)
			uvfio_msi(n->dev, cq->vector);
	}
}
