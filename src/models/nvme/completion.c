/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/completion.c: completion queues: entries that are kept free for commands under way,
 * posting, and the interrupts that tell of it (NVMe 1.4, 4.1, 7.5). The order of the stores is
 * kept.h's.
 */
#include "models/nvme/internal.h"

void nvme_cq_setup(struct nvme_cq *cq, struct nvme *n, uint64_t base, unsigned size,
		   uint16_t vector, bool ien)
{
	pthread_mutex_lock(&cq->lock);
	cq->kept->base = base;
	cq->kept->head = 0;
	atomic_store(&cq->kept->pos, NVME_CQ_PHASE);
	cq->reserved = cq->num_free = cq->fresh = 0;
	cq->kept->ien = ien;
	if (cq->id && ien)
		atomic_fetch_add(&n->pin_queues, 1);
	atomic_store(cq->doorbell, 0);
	atomic_store(&n->kept->rung[2 * cq->id + 1], 0);
	cq->kept->vector = vector;
	atomic_store(&cq->users, 0);
	cq->kept->shadow = cq->id ? nvme_buffer_slot(n->kept->shadow, cq->id, true) : 0;
	cq->kept->eventidx = cq->id ? nvme_buffer_slot(n->kept->eventidx, cq->id, true) : 0;
	atomic_store(&cq->irq_due, false);
	atomic_store(&cq->starved, false);
	atomic_store(&cq->kept->size, size); /* last: from here on it is there */
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
	atomic_store(&cq->kept->size, 0);
	atomic_store(cq->doorbell, 0);
	atomic_store(&n->kept->rung[2 * cq->id + 1], 0);
	atomic_store(&cq->irq_due, false);
	atomic_store(&cq->starved, false);
	if (cq->id && cq->kept->ien)
		atomic_fetch_sub(&n->pin_queues, 1);
	cq->kept->ien = false;
	/* what a controller that cannot go on did not complete */
	for (unsigned i = 0; cq->slots && i < cq->kept->top; i++)
		atomic_store_explicit(&cq->slots[i].state, NVME_SLOT_FREE, memory_order_relaxed);
	atomic_store(&cq->kept->record.valid, 0);
	nvme_pending_set(n, cq->id, false);
	pthread_mutex_unlock(&cq->lock);
	nvme_irq_update(n);
}

/* ---- completion ---- */

static unsigned free_slots(const struct nvme_cq *cq)
{
	return NVME_SLOTS - cq->fresh + cq->num_free;
}

bool nvme_cq_busy(struct nvme_cq *cq)
{
	bool busy;

	pthread_mutex_lock(&cq->lock);
	busy = !free_slots(cq);
	pthread_mutex_unlock(&cq->lock);
	return busy;
}

/* One entry stays empty: head == tail means empty (4.1.2). */
unsigned nvme_cq_room(const struct nvme_cq *cq)
{
	unsigned size = atomic_load_explicit(&cq->kept->size, memory_order_relaxed), taken;
	unsigned slots = free_slots(cq);

	if (!size)
		return 0;
	taken = (nvme_cq_tail(cq) + size - cq->kept->head) % size + cq->reserved;
	if (taken >= size - 1)
		return 0;
	return size - 1 - taken < slots ? size - 1 - taken : slots;
}

/* Return a slot, of those that are free. With cq->lock. */
static uint16_t take_slot(struct nvme_cq *cq)
{
	if (cq->num_free)
		return cq->free[--cq->num_free];
	if (++cq->fresh > cq->kept->top)
		cq->kept->top = cq->fresh;
	return (uint16_t)(cq->fresh - 1);
}

/* With cq->lock. */
static void free_slot(struct nvme_cq *cq, uint16_t tag)
{
	atomic_store_explicit(&cq->slots[tag].state, NVME_SLOT_FREE, memory_order_release);
	cq->free[cq->num_free++] = tag;
}

unsigned nvme_cq_reserve(struct nvme *n, struct nvme_cq *cq, unsigned want, uint16_t *tags)
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
	for (unsigned i = 0; tags && i < room; i++)
		tags[i] = take_slot(cq);
	pthread_mutex_unlock(&cq->lock);
	return room;
}

void nvme_cq_unreserve(struct nvme_cq *cq, unsigned count, const uint16_t *tags)
{
	pthread_mutex_lock(&cq->lock);
	cq->reserved -= count;
	for (unsigned i = count; tags && i--;)
		cq->free[cq->num_free++] = tags[i];
	pthread_mutex_unlock(&cq->lock);
}

void nvme_cq_forget(struct nvme_cq *cq, uint16_t tag)
{
	pthread_mutex_lock(&cq->lock);
	free_slot(cq, tag);
	pthread_mutex_unlock(&cq->lock);
}

/* ---- posting ---- */

/* Return what counts the commands of the kind of @cmd, and @write with it; NULL: nobody does. */
static struct nvme_counters *counters(struct nvme *n, struct nvme_cq *cq,
				      const union nvme_slot *slot, bool *write)
{
	uint8_t opc = slot->cmd.opc;

	/* figure 195: Compare counts as a read, in commands and in data units */
	*write = opc == NVME_IO_WRITE;
	if (!slot->sqid || !nvme_find_ns(n, slot->cmd.nsid) ||
	    !(*write || opc == NVME_IO_READ || opc == NVME_IO_COMPARE))
		return NULL;
	return &cq->kept->count[slot->cmd.nsid - 1];
}

/* Write into the record what a command that succeeded adds to the counters. */
static void count_data(struct nvme *n, struct nvme_cq *cq, struct nvme_record *r)
{
	const union nvme_slot *slot = &cq->slots[r->tag];
	struct nvme_counters *c;
	bool write;

	c = r->entry.status >> 1 ? NULL : counters(n, cq, slot, &write);
	if (!c)
		return;
	r->commands = atomic_load_explicit(&c->commands[write], memory_order_relaxed) + 1;
	r->bytes = atomic_load_explicit(&c->bytes[write], memory_order_relaxed) +
		   (((slot->cmd.cdw12 & 0xffff) + 1ull) << n->ns[slot->cmd.nsid - 1].shift);
}

/* True if it says that the medium failed: figure 131, but for a Compare that found a difference. */
static bool is_media_error(uint16_t status)
{
	return (status & 0x700) == 0x200 && (status & 0x7ff) != NVME_COMPARE_FAILURE;
}

/* Make the record valid; an error counts from the same moment on. */
static void record(struct nvme *n, struct nvme_cq *cq, uint16_t location, bool log)
{
	struct nvme_record *r = &cq->kept->record;
	const union nvme_slot *slot = &cq->slots[r->tag];
	uint16_t status = r->entry.status >> 1;

	r->error = 0;
	if (!status || !log) {
		atomic_store_explicit(&r->valid, 1, memory_order_release);
		return;
	}
	pthread_mutex_lock(&n->log_lock);
	r->error = nvme_log_error(
		n,
		&(struct nvme_error_entry){
			.sqid = slot->sqid,
			.cid = slot->cmd.cid,
			.status = (uint16_t)(status << 1), /* as there, without the phase */
			.location = location,
			.lba = slot->sqid ? (uint64_t)slot->cmd.cdw11 << 32 | slot->cmd.cdw10 : 0,
			.nsid = slot->cmd.nsid,
		});
	r->media_errors = atomic_load(&n->kept->media_errors) + is_media_error(status);
	atomic_store_explicit(&r->valid, 1, memory_order_release);
	nvme_log_count(n, r->error, r->media_errors);
	pthread_mutex_unlock(&n->log_lock);
}

/* Do what the record says, from wherever the one who made it had come to. With cq->lock. */
static void finish(struct nvme *n, struct nvme_cq *cq)
{
	struct nvme_record *r = &cq->kept->record;
	union nvme_slot *slot = &cq->slots[r->tag];
	uint32_t pos = atomic_load_explicit(&cq->kept->pos, memory_order_relaxed);
	struct nvme_counters *c;
	bool write;

	if ((pos & (NVME_CQ_PHASE - 1)) == r->at) {
		uint64_t at = cq->kept->base + r->at * sizeof(r->entry);

		/*
		 * A driver that polls looks at the phase bit. It lies in the last word, and uvfio
		 * copies upwards, aligned words whole.
		 */
		if (uvfio_dma_write(n->dev, at, &r->entry, sizeof(r->entry))) {
			nvme_fatal(n, "completion queue cannot be written", at);
			goto out;
		}
		if (r->at + 1u == atomic_load_explicit(&cq->kept->size, memory_order_relaxed))
			pos = ~pos & NVME_CQ_PHASE;
		else
			pos++;
		atomic_store_explicit(&cq->kept->pos, pos, memory_order_release);
	}
	c = r->entry.status >> 1 ? NULL : counters(n, cq, slot, &write);
	if (c) {
		atomic_store_explicit(&c->commands[write], r->commands, memory_order_relaxed);
		atomic_store_explicit(&c->bytes[write], r->bytes, memory_order_relaxed);
	}
	if (!slot->sqid && slot->cmd.opc == NVME_ADM_ASYNC_EVENT && !(r->entry.status >> 1) &&
	    atomic_load(&slot->state) == NVME_SLOT_FETCHED)
		nvme_event_told(n, r->entry.result);
	if (atomic_load(&cq->kept->ien)) {
		if (uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX) {
			nvme_cq_look(n, cq);
			/* the pin falls when the driver has taken all: it must ring */
			nvme_cq_shadow(n, cq, true);
			nvme_pending_set(n, cq->id, cq->kept->head != nvme_cq_tail(cq));
		}
		/*
		 * last: any thread that has run the queue may take it, and looks at what is pending
		 */
		atomic_store_explicit(&cq->irq_due, true, memory_order_release);
	}
out:
	free_slot(cq, r->tag);
	atomic_store_explicit(&r->valid, 0, memory_order_release);
}

static void cq_post(struct nvme *n, struct nvme_cq *cq, const struct nvme_sq *sq, uint16_t tag,
		    uint16_t status, uint32_t result, uint16_t location, bool log)
{
	struct nvme_record *r = &cq->kept->record;
	uint32_t pos;

	pthread_mutex_lock(&cq->lock);
	cq->reserved--;
	if (!atomic_load(&cq->kept->size) || atomic_load(&n->discard) ||
	    atomic_load(&n->kept->csts) & NVME_CSTS_CFS) {
		free_slot(cq, tag);
		goto out;
	}
	/* before the completion can be seen, since it may be taken again then */
	atomic_store_explicit(&sq->cids[cq->slots[tag].cmd.cid], 0, memory_order_relaxed);
	if (nvme_fault(n, NVME_FAULT_LOSE, sq->id, &cq->slots[tag].cmd, NULL)) {
		free_slot(cq, tag);
		goto out;
	}
	pos = atomic_load_explicit(&cq->kept->pos, memory_order_relaxed);
	r->tag = tag;
	r->at = (uint16_t)pos;
	r->entry = (struct nvme_cqe){
		.result = result,
		.sq_head = (uint16_t)atomic_load(&sq->kept->head),
		.sq_id = sq->id,
		.cid = cq->slots[tag].cmd.cid,
		.status = (uint16_t)(status << 1 | pos / NVME_CQ_PHASE),
	};
	count_data(n, cq, r);
	record(n, cq, location, log);
	finish(n, cq);
	if (uvfio_traced(n->dev))
		uvfio_command_end(n->dev, sq->id, r->entry.cid, status & 0x7ff);
out:
	pthread_mutex_unlock(&cq->lock);
}

void nvme_cq_finish(struct nvme *n, struct nvme_cq *cq)
{
	const struct nvme_record *r = &cq->kept->record;

	pthread_mutex_lock(&cq->lock);
	if (atomic_load(&r->valid)) {
		cq->reserved--;
		pthread_mutex_lock(&n->log_lock);
		nvme_log_count(n, r->error, r->media_errors);
		pthread_mutex_unlock(&n->log_lock);
		finish(n, cq);
	}
	pthread_mutex_unlock(&cq->lock);
}

void nvme_complete(struct nvme_sq *sq, uint16_t tag, uint16_t status, uint32_t result,
		   uint16_t location)
{
	struct nvme *n = sq->n;

	if (status && !atomic_load(&n->discard)) {
		const struct nvme_cmd *cmd = &nvme_slot_of(sq, tag)->cmd;

		uvfio_log(n->dev, UVFIO_LOG_DEBUG,
			  "queue %u command %u: opcode %02xh namespace %x: status %xh, byte %u",
			  sq->id, cmd->cid, cmd->opc, cmd->nsid, status & 0x7ff, location & 0xff);
		status |= NVME_MORE;
	}
	nvme_command_give_back(sq, tag);
	cq_post(n, nvme_cq_of(sq), sq, tag, status, result, location, true);
}

void nvme_complete_later(struct nvme *n, uint16_t tag, uint16_t status, uint32_t result,
			 uint64_t due)
{
	struct nvme_sq *sq = &n->sq[0];

	if (due)
		nvme_delay_command(sq, tag, status, result, 0xffff, due);
	else
		cq_post(n, nvme_cq_of(sq), sq, tag, status, result, 0xffff, false);
}

/* ---- interrupts: 7.5 ---- */

static bool vector_masked(struct nvme *n, unsigned vector)
{
	/* 3.1.3: a bit for each of 32 vectors */
	return atomic_load(&n->kept->intms) >> (vector & 31) & 1;
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
				 !vector_masked(n, n->cq[i].kept->vector);
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
		uvfio_msi(n->dev, cq->kept->vector);
		break;
	case UVFIO_IRQ_MSI:
		if (!vector_masked(n, cq->kept->vector))
			uvfio_msi(n->dev, cq->kept->vector);
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

		if (!atomic_load(&cq->kept->size))
			continue;
		pthread_mutex_lock(&cq->lock);
		nvme_cq_look(n, cq);
		waiting = atomic_load(&cq->kept->size) && cq->kept->ien &&
			  cq->kept->head != nvme_cq_tail(cq);
		nvme_pending_set(n, i, waiting);
		pthread_mutex_unlock(&cq->lock);
		if (waiting && msi && unmasked >> (cq->kept->vector & 31) & 1)
			uvfio_msi(n->dev, cq->kept->vector);
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
		waiting = atomic_load(&cq->kept->size) && cq->kept->ien &&
			  cq->kept->head != nvme_cq_tail(cq);
		pthread_mutex_unlock(&cq->lock);
		if (waiting)
			uvfio_msi(n->dev, cq->kept->vector);
	}
}
