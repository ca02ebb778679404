/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.c: submission and completion queues: doorbells, fetching, posting, interrupts (NVMe 1.4,
 * 4.1, 7.2, 7.5), doorbell buffers (5.7, 7.13).
 *
 * A command is fetched only when its completion queue has a place for it, so a full completion
 * queue needs no list of its own: the submission queue waits ("starved") until the driver moves the
 * completion queue's head.
 */
#include <stdlib.h>
#include <time.h>

#include "models/nvme/internal.h"

/*
 * What one doorbell write may do in the driver's thread, and one turn of a worker. A page-cache
 * copy moves about 10 GB/s: the driver's thread is held for some tens of microseconds at most.
 */
#define INLINE_COMMANDS 32u
#define INLINE_BYTES	(128u << 10)
#define INLINE_COMMAND	(64u << 10)
#define WORKER_COMMANDS 64u
#define WORKER_BYTES	(4u << 20)

void nvme_queues_init(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		n->sq[i].n = n;
		n->sq[i].id = n->cq[i].id = (uint16_t)i;
		pthread_mutex_init(&n->sq[i].lock, NULL);
		pthread_mutex_init(&n->cq[i].lock, NULL);
	}
}

void nvme_queues_fini(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		pthread_mutex_destroy(&n->sq[i].lock);
		pthread_mutex_destroy(&n->cq[i].lock);
	}
}

void nvme_queues_doorbells(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		n->sq[i].doorbell = &n->doorbells[2 * i]; /* 3.1.24, CAP.DSTRD 0 */
		n->cq[i].doorbell = &n->doorbells[2 * i + 1];
	}
}

/* ---- doorbell buffers: doorbells in memory; the driver rings at the event index only ---- */

static uint64_t buffer_slot(uint64_t base, unsigned qid, bool cq)
{
	return base ? base + (2 * qid + cq) * 4u : 0; /* 7.13: as the doorbell registers lie */
}

static bool shadow_read(struct nvme *n, uint64_t iova, unsigned size, uint32_t *value)
{
	uint32_t v;

	if (uvfio_dma_read(n->dev, iova, &v, 4)) {
		nvme_fatal(n, "shadow doorbell cannot be read", iova);
		return false;
	}
	if (v >= size) {
		nvme_event_later(n, NVME_EV_INVALID_DB_VALUE);
		return false;
	}
	*value = v;
	return true;
}

static void shadow_write(struct nvme *n, uint64_t iova, uint32_t value)
{
	if (uvfio_dma_write(n->dev, iova, &value, 4))
		nvme_fatal(n, "doorbell buffer cannot be written", iova);
}

/* ---- the open page: whoever runs the queue looks at what the driver stored ---- */

/*
 * Neither outside of the queue nor past the head, which would be more commands than there are
 * entries.
 */
static bool bad_tail(unsigned head, unsigned tail, unsigned value, unsigned size)
{
	return value >= size || (tail + size - head) % size + (value + size - tail) % size >= size;
}

static void log_doorbell(struct nvme *n, enum nvme_event ev, unsigned qid, bool cq, uint32_t value)
{
	if (atomic_fetch_add(&n->warned, 1) < 10)
		uvfio_log(n->dev, UVFIO_LOG_WARN, "%s doorbell of queue %u: %s (%u written)",
			  cq ? "completion" : "submission", qid,
			  ev == NVME_EV_INVALID_DB_REGISTER
				  ? "there is no such queue"
				  : "the value is out of the queue's range",
			  value);
}

/* With the queue's lock: what is not valid is taken back, unless the driver has gone on. */
static void refuse(struct nvme *n, _Atomic uint32_t *doorbell, uint32_t value, uint32_t good,
		   unsigned qid, bool cq)
{
	if (!atomic_compare_exchange_strong(doorbell, &value, good))
		return;
	log_doorbell(n, NVME_EV_INVALID_DB_VALUE, qid, cq, value);
	nvme_event_later(n, NVME_EV_INVALID_DB_VALUE);
}

/* With cq->lock. */
static void cq_look(struct nvme *n, struct nvme_cq *cq)
{
	unsigned size = atomic_load(&cq->size);
	uint32_t value = atomic_load(cq->doorbell);

	if (cq->shadow || value == cq->head || !size)
		return;
	if (value < size && (value + size - cq->head) % size <= (cq->tail + size - cq->head) % size)
		cq->head = value;
	else
		refuse(n, cq->doorbell, value, cq->head, cq->id, true);
}

/*
 * With the admin queue's sq->lock. The buffers have entries for that queue too (5.7), but Linux's
 * driver leaves them alone. A driver that uses them stores there before it rings for the first
 * time, as the event index is what it was at Doorbell Buffer Config: from then on the entries
 * count.
 */
static void admin_buffer(struct nvme *n, struct nvme_sq *sq)
{
	uint64_t slot = buffer_slot(atomic_load(&n->shadow), 0, false);
	struct nvme_cq *cq = &n->cq[0];
	uint32_t value;

	if (!slot || uvfio_dma_read(n->dev, slot, &value, 4) || value == n->admin_start)
		return;
	sq->shadow = slot;
	sq->eventidx = buffer_slot(n->eventidx, 0, false);
	pthread_mutex_lock(&cq->lock);
	cq->shadow = buffer_slot(atomic_load(&n->shadow), 0, true);
	cq->eventidx = buffer_slot(n->eventidx, 0, true);
	pthread_mutex_unlock(&cq->lock);
}

/*
 * The driver's tail; when there is nothing new, ask to be rung for the next entry and look once
 * more. Nothing is stored after that look unless it found something: a doorbell that comes then
 * finds the lock taken, and its value must stay. While workers poll they look at the buffer
 * themselves, and nobody asks.
 */
static unsigned sq_tail(struct nvme *n, struct nvme_sq *sq, unsigned head, unsigned size)
{
	uint32_t tail = atomic_load(&sq->tail), value;

	if (!sq->shadow && !sq->id && atomic_load(&n->shadow) && atomic_load(sq->doorbell) != tail)
		admin_buffer(n, sq);
	if (!sq->shadow) {
		value = atomic_load(sq->doorbell);
		if (value == tail)
			return tail;
		if (bad_tail(head, tail, value, size)) {
			refuse(n, sq->doorbell, value, tail, sq->id, false);
			return tail;
		}
		atomic_store(&sq->tail, value);
		return value;
	}
	if (!shadow_read(n, sq->shadow, size, &tail))
		tail = head; /* nothing to fetch, whatever the register says */
	atomic_store(&sq->tail, tail);
	if (tail != head || atomic_load(&n->polling))
		return tail;
	shadow_write(n, sq->eventidx, tail);
	nvme_barrier();
	if (!shadow_read(n, sq->shadow, size, &tail) || tail == head)
		return head;
	atomic_store(&sq->tail, tail);
	return tail;
}

/*
 * With cq->lock: the driver's head from its buffer. @arm: it rings when it moves on from there. One
 * that moved while it was asked has not seen the question and is asked again; an honest one does so
 * as often as there are entries at most.
 */
static void cq_shadow(struct nvme *n, struct nvme_cq *cq, bool arm)
{
	unsigned size = atomic_load(&cq->size), asked = size;
	uint32_t head;

	if (!cq->shadow)
		return;
	for (unsigned i = 0; i < size && shadow_read(n, cq->shadow, size, &head); i++) {
		cq->head = head;
		if (!arm || head == asked)
			return;
		shadow_write(n, cq->eventidx, head);
		asked = head;
		nvme_barrier();
	}
}

/* ---- set-up ---- */

void nvme_sq_setup(struct nvme_sq *sq, uint16_t cqid, uint64_t base, unsigned size)
{
	struct nvme *n = sq->n;

	sq->cqid = cqid;
	sq->base = base;
	sq->deleting = false;
	sq->shadow = sq->id ? buffer_slot(n->shadow, sq->id, false) : 0;
	sq->eventidx = sq->id ? buffer_slot(n->eventidx, sq->id, false) : 0;
	atomic_store(&sq->head, 0);
	atomic_store(&sq->tail, 0);
	atomic_store(sq->doorbell, 0);
	atomic_store(&sq->size, size);
	atomic_fetch_or(&n->live[sq->id / 64], 1ull << sq->id % 64);
}

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
	cq->shadow = cq->id ? buffer_slot(n->shadow, cq->id, true) : 0;
	cq->eventidx = cq->id ? buffer_slot(n->eventidx, cq->id, true) : 0;
	atomic_store(&cq->irq_due, false);
	atomic_store(&cq->starved, false);
	atomic_store(&cq->size, size);
	pthread_mutex_unlock(&cq->lock);
}

/* Under cq->lock, which keeps it in step with the queue. true: it was different. */
static bool pending_set(struct nvme *n, unsigned qid, bool on)
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
	pending_set(n, cq->id, false);
	pthread_mutex_unlock(&cq->lock);
	nvme_irq_update(n);
}

void nvme_queues_clear(struct nvme *n)
{
	n->shadow = n->eventidx = 0;
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		pthread_mutex_lock(&n->sq[i].lock);
		atomic_store(&n->sq[i].size, 0);
		atomic_store(n->sq[i].doorbell, 0);
		n->sq[i].deleting = false;
		n->sq[i].shadow = n->sq[i].eventidx = 0;
		pthread_mutex_unlock(&n->sq[i].lock);
		nvme_cq_clear(n, &n->cq[i]);
		atomic_store(&n->cq[i].users, 0);
	}
	atomic_store(&n->live[0], 0);
	atomic_store(&n->live[1], 0);
}

/* 5.7: the driver gives two pages; queues that exist start with what is in the registers. */
void nvme_queues_buffers(struct nvme *n, uint64_t shadow, uint64_t eventidx)
{
	n->shadow = shadow;
	n->eventidx = eventidx;
	n->sq[0].shadow = 0; /* its lock is held: this is a command of that queue */
	n->admin_start = atomic_load(&n->sq[0].tail);
	shadow_write(n, buffer_slot(shadow, 0, false), n->admin_start);
	shadow_write(n, buffer_slot(eventidx, 0, false), n->admin_start);
	pthread_mutex_lock(&n->cq[0].lock);
	n->cq[0].shadow = 0;
	shadow_write(n, buffer_slot(shadow, 0, true), n->cq[0].head);
	shadow_write(n, buffer_slot(eventidx, 0, true), n->cq[0].head);
	pthread_mutex_unlock(&n->cq[0].lock);
	for (unsigned i = 1; i <= n->max_queues; i++) {
		struct nvme_sq *sq = &n->sq[i];
		struct nvme_cq *cq = &n->cq[i];

		pthread_mutex_lock(&sq->lock);
		if (atomic_load(&sq->size)) {
			sq->shadow = buffer_slot(shadow, i, false);
			sq->eventidx = buffer_slot(eventidx, i, false);
			shadow_write(n, sq->shadow, atomic_load(&sq->tail));
			shadow_write(n, sq->eventidx, atomic_load(&sq->tail));
		}
		pthread_mutex_unlock(&sq->lock);
		pthread_mutex_lock(&cq->lock);
		if (atomic_load(&cq->size)) {
			cq->shadow = buffer_slot(shadow, i, true);
			cq->eventidx = buffer_slot(eventidx, i, true);
			shadow_write(n, cq->shadow, cq->head);
			shadow_write(n, cq->eventidx, cq->head);
		}
		pthread_mutex_unlock(&cq->lock);
	}
}

/* ---- completion ---- */

/* With cq->lock. One entry stays empty: head == tail means empty (4.1.2). */
static unsigned cq_room(const struct nvme_cq *cq)
{
	unsigned size = atomic_load_explicit(&cq->size, memory_order_relaxed), taken;

	if (!size)
		return 0;
	taken = (cq->tail + size - cq->head) % size + cq->reserved;
	return taken < size - 1 ? size - 1 - taken : 0;
}

/* Up to @want places; 0: the doorbell of @cq will start its queues again. */
static unsigned cq_reserve(struct nvme *n, struct nvme_cq *cq, unsigned want)
{
	unsigned room;

	pthread_mutex_lock(&cq->lock);
	room = cq_room(cq);
	if (room < want) {
		cq_look(n, cq);
		cq_shadow(n, cq, !room);
		room = cq_room(cq);
	}
	if (room > want)
		room = want;
	if (!room)
		atomic_store(&cq->starved, true);
	cq->reserved += room;
	pthread_mutex_unlock(&cq->lock);
	return room;
}

bool nvme_cq_reserve(struct nvme *n, struct nvme_cq *cq)
{
	return cq_reserve(n, cq, 1) == 1;
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
		atomic_store_explicit(&cq->irq_due, true, memory_order_relaxed);
		if (uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX) {
			cq_look(n, cq);
			/* the pin falls when the driver has taken all: it must ring */
			cq_shadow(n, cq, true);
			pending_set(n, cq->id, cq->head != cq->tail);
		}
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
	cq_post(n, &n->cq[sq->cqid], sq, cmd->cid, status, result);
}

void nvme_complete_plain(struct nvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result,
			 uint64_t due)
{
	const struct nvme_cmd cmd = { .cid = cid };

	if (due)
		nvme_delay_command(sq, &cmd, status, result, 0xffff, due);
	else
		cq_post(sq->n, &sq->n->cq[sq->cqid], sq, cid, status, result);
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

/* INTMC was written, or the kind of interrupt changed: what is waiting is signalled now. */
void nvme_irq_replay(struct nvme *n, uint32_t unmasked)
{
	bool msi = uvfio_irq_mode(n->dev) == UVFIO_IRQ_MSI;

	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		struct nvme_cq *cq = &n->cq[i];
		bool waiting;

		if (!atomic_load(&cq->size))
			continue;
		pthread_mutex_lock(&cq->lock);
		cq_look(n, cq);
		waiting = atomic_load(&cq->size) && cq->ien && cq->head != cq->tail;
		pending_set(n, i, waiting);
		pthread_mutex_unlock(&cq->lock);
		if (waiting && msi && unmasked >> (cq->vector & 31) & 1)
			uvfio_msi(n->dev, cq->vector);
	}
	nvme_irq_update(n);
}

/* ---- submission ---- */

/* Commands that may be executed now, each with a reserved completion; head is not moved. */
static unsigned sq_fetch(struct nvme *n, struct nvme_sq *sq, struct nvme_cmd *cmds)
{
	unsigned size = atomic_load(&sq->size), head, tail, count;

	if (!size || !atomic_load(&n->open))
		return 0;
	head = atomic_load(&sq->head);
	tail = sq_tail(n, sq, head, size);
	if (tail >= size) { /* a doorbell raced with the queue's re-creation */
		atomic_store(&sq->tail, head);
		atomic_store(sq->doorbell, head);
		return 0;
	}
	if (tail == head)
		return 0;
	count = (tail > head ? tail : size) - head;
	if (count > NVME_FETCH)
		count = NVME_FETCH;
	count = cq_reserve(n, &n->cq[sq->cqid], count);
	if (count &&
	    uvfio_dma_read(n->dev, sq->base + head * sizeof(*cmds), cmds, count * sizeof(*cmds))) {
		nvme_fatal(n, "submission queue cannot be read", sq->base + head * sizeof(*cmds));
		nvme_cq_unreserve(&n->cq[sq->cqid], count);
		return 0;
	}
	return count;
}

/* With sq->lock. true: the budget is used up and there is more. */
static bool sq_run(struct nvme *n, struct nvme_sq *sq, bool worker)
{
	unsigned max_commands = worker ? WORKER_COMMANDS : INLINE_COMMANDS;
	uint64_t max_bytes = worker ? WORKER_BYTES : INLINE_BYTES;
	unsigned commands = 0, count, i;
	struct nvme_cmd cmds[NVME_FETCH];
	uint64_t bytes = 0;
	bool more = false;

	sq->worker_turn = worker;
	while (!more && (count = sq_fetch(n, sq, cmds))) {
		unsigned size = atomic_load(&sq->size), head = atomic_load(&sq->head);
		uint64_t now = n->delay.max ? nvme_now_ns() : 0;

		sq->looked_at = 0;
		for (i = 0; i < count && atomic_load_explicit(&n->open, memory_order_relaxed);
		     i++) {
			uint16_t status, location = 0xffff; /* figure 194: no particular field */
			uint32_t result = 0;
			uint64_t cost = sq->id ? nvme_io_cost(n, &cmds[i], worker) : 0;

			more = commands == max_commands || bytes + cost > max_bytes ||
			       (!worker && cost > INLINE_COMMAND);
			if (more && (commands || !worker))
				break;
			more = false;
			commands++;
			bytes += cost;
			head = head + 1 == size ? 0 : head + 1;
			atomic_store_explicit(&sq->head, head, memory_order_release);
			sq->due = now ? nvme_delay_due(n, now) : 0;
			if (sq->id)
				status = nvme_io_cmd(n, sq, &cmds[i], &location);
			else
				status = nvme_admin_cmd(n, sq, &cmds[i], &result, &location);
			if (status == NVME_PENDING)
				continue;
			if (sq->due)
				nvme_delay_command(sq, &cmds[i], status, result, location, sq->due);
			else
				nvme_complete(sq, &cmds[i], status, result, location);
		}
		if (i < count)
			nvme_cq_unreserve(&n->cq[sq->cqid], count - i);
	}
	nvme_cq_notify(n, &n->cq[sq->cqid]);
	return more;
}

bool nvme_sq_rung(struct nvme *n, struct nvme_sq *sq)
{
	uint64_t shadow = atomic_load_explicit(&sq->shadow, memory_order_relaxed);
	unsigned head = atomic_load_explicit(&sq->head, memory_order_relaxed);
	uint32_t value;

	if (atomic_load_explicit(&sq->tail, memory_order_relaxed) != head)
		return true;
	if (!shadow)
		return atomic_load_explicit(sq->doorbell, memory_order_relaxed) != head;
	/* asked for only while workers poll; else the driver rings, and then the tail differs */
	return atomic_load_explicit(&n->polling, memory_order_relaxed) &&
	       uvfio_dma_allowed(n->dev) && !uvfio_dma_read(n->dev, shadow, &value, 4) &&
	       value != head && value < atomic_load_explicit(&sq->size, memory_order_relaxed);
}

static bool sq_waiting(struct nvme *n, struct nvme_sq *sq)
{
	unsigned cqid = atomic_load(&sq->cqid);

	return atomic_load(&n->open) && atomic_load(&sq->size) && nvme_sq_rung(n, sq) &&
	       !atomic_load(&n->cq[cqid].starved);
}

/*
 * Whoever fails to get the lock has stored the tail before; whoever lets it go looks at the tail
 * afterwards. So one of the two runs the queue. A worker waits for the lock: it was told to come by
 * whoever holds it.
 */
void nvme_sq_kick(struct nvme_sq *sq, bool worker)
{
	struct nvme *n = sq->n;
	bool more;

	do {
		nvme_barrier();
		if (worker)
			pthread_mutex_lock(&sq->lock);
		else if (pthread_mutex_trylock(&sq->lock))
			return;
		more = sq_run(n, sq, worker);
		if (more)
			/* with the lock: who passes through it may end the workers */
			nvme_worker_run_sq(n, sq);
		pthread_mutex_unlock(&sq->lock);
		if (atomic_load_explicit(&n->new_events, memory_order_relaxed))
			nvme_events_deliver(n);
		nvme_barrier();
	} while (!more && sq_waiting(n, sq));
}

void nvme_kick_all(struct nvme *n)
{
	for (unsigned i = 0; i <= n->max_queues; i++)
		if (atomic_load(&n->sq[i].size))
			nvme_sq_kick(&n->sq[i], false);
}

/* Whoever runs a queue has left it when this returns. */
void nvme_queues_pass(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		pthread_mutex_lock(&n->sq[i].lock);
		pthread_mutex_unlock(&n->sq[i].lock);
	}
}

/*
 * Wait until the workers have fetched what was rung; a queue that waits for its completion queue is
 * left.
 */
void nvme_queues_settle(struct nvme *n)
{
	for (unsigned i = 0; i <= n->max_queues; i++)
		while (sq_waiting(n, &n->sq[i]))
			nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}

static void kick_users(struct nvme *n, struct nvme_cq *cq)
{
	if (!cq->id)
		nvme_events_deliver(n);
	for (unsigned i = 0; i <= n->max_queues; i++)
		if (atomic_load(&n->sq[i].size) && n->sq[i].cqid == cq->id)
			nvme_sq_kick(&n->sq[i], false);
}

/* ---- doorbells: 3.1.24, 3.1.25 ---- */

static void bad_doorbell(struct nvme *n, enum nvme_event ev, unsigned qid, bool cq, uint32_t value)
{
	log_doorbell(n, ev, qid, cq, value);
	nvme_event(n, ev);
}

static void cq_doorbell(struct nvme *n, struct nvme_cq *cq, uint32_t value)
{
	unsigned size;
	bool bad = true, starved = false, fell = false;

	pthread_mutex_lock(&cq->lock);
	cq_look(n, cq);
	size = atomic_load(&cq->size);
	/* The head may go as far as the tail: entries that were not posted cannot be consumed. */
	if (value < size && (cq->shadow || (value + size - cq->head) % size <=
						   (cq->tail + size - cq->head) % size)) {
		bad = false;
		cq->head = value;
		atomic_store(cq->doorbell, value);
		if (cq->ien && uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX) {
			cq_shadow(n, cq, true);
			fell = pending_set(n, cq->id, cq->head != cq->tail);
		}
		starved = atomic_exchange(&cq->starved, false);
	}
	pthread_mutex_unlock(&cq->lock);
	if (bad) {
		bad_doorbell(n, NVME_EV_INVALID_DB_VALUE, cq->id, true, value);
		return;
	}
	if (fell)
		nvme_irq_update(n);
	if (starved)
		kick_users(n, cq);
}

void nvme_doorbell(struct nvme *n, uint64_t offset, uint32_t value)
{
	unsigned qid = (unsigned)(offset - NVME_DOORBELLS) / 8;
	bool is_cq = offset & 4;
	struct nvme_sq *sq;
	unsigned size, head, tail;

	/*
	 * Not ready: 3.1.24 leaves it undefined; nothing is remembered. But what is written while
	 * quiesced counts when that ends.
	 */
	if (!(atomic_load_explicit(&n->csts, memory_order_relaxed) & NVME_CSTS_RDY) ||
	    atomic_load_explicit(&n->discard, memory_order_relaxed))
		return;
	if (qid > n->max_queues ||
	    !atomic_load_explicit(is_cq ? &n->cq[qid].size : &n->sq[qid].size,
				  memory_order_relaxed)) {
		bad_doorbell(n, NVME_EV_INVALID_DB_REGISTER, qid, is_cq, value);
		return;
	}
	if (is_cq) {
		cq_doorbell(n, &n->cq[qid], value);
		return;
	}
	sq = &n->sq[qid];
	size = atomic_load(&sq->size);
	head = atomic_load(&sq->head);
	tail = atomic_load(sq->doorbell);
	if (tail >= size) /* not looked at yet, from while the page was open */
		tail = atomic_load(&sq->tail);
	if (sq->shadow ? value >= size : bad_tail(head, tail, value, size)) {
		bad_doorbell(n, NVME_EV_INVALID_DB_VALUE, qid, false, value);
		return;
	}
	/* the kick starts with a barrier */
	atomic_store_explicit(sq->doorbell, value, memory_order_release);
	if (sq->shadow)
		atomic_store_explicit(&sq->tail, value, memory_order_release);
	nvme_sq_kick(sq, false);
	nvme_poll_rung(n);
}

bool nvme_cq_poll(struct nvme *n, struct nvme_cq *cq)
{
	bool pin = cq->ien && uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX, starved = false,
	     fell = false;

	if (!atomic_load_explicit(&cq->starved, memory_order_relaxed) && !pin)
		return false;
	pthread_mutex_lock(&cq->lock);
	cq_look(n, cq);
	if (uvfio_dma_allowed(n->dev))
		cq_shadow(n, cq, false);
	if (atomic_load(&cq->size))
		fell = pin && pending_set(n, cq->id, cq->head != cq->tail);
	/* not "has the head moved": who ran another queue may have seen that first */
	if (cq_room(cq))
		starved = atomic_exchange(&cq->starved, false);
	pthread_mutex_unlock(&cq->lock);
	if (fell)
		nvme_irq_update(n);
	if (starved)
		kick_users(n, cq);
	return fell || starved;
}

void nvme_doorbell_strays(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_DOORBELL_PAGE / 4; i++) {
		unsigned qid = i / 2;
		uint32_t value = 0;

		/* with the lock under which a queue comes to be: it is rung only after that */
		if (qid > n->max_queues) {
			value = atomic_exchange(&n->doorbells[i], 0);
		} else if (i & 1) {
			pthread_mutex_lock(&n->cq[qid].lock);
			if (!atomic_load(&n->cq[qid].size))
				value = atomic_exchange(&n->doorbells[i], 0);
			else
				/*
				 * nobody does before it is full, and then it would be too late to
				 * say what was wrong
				 */
				cq_look(n, &n->cq[qid]);
			pthread_mutex_unlock(&n->cq[qid].lock);
		} else {
			pthread_mutex_lock(&n->sq[qid].lock);
			if (!atomic_load(&n->sq[qid].size))
				value = atomic_exchange(&n->doorbells[i], 0);
			pthread_mutex_unlock(&n->sq[qid].lock);
		}
		if (value)
			bad_doorbell(n, NVME_EV_INVALID_DB_REGISTER, qid, i & 1, value);
	}
}

/* ---- requests that were handed over ---- */

void nvme_req_count(struct nvme_req *r)
{
	atomic_fetch_add(&r->n->inflight, 1);
	if (r->sq)
		atomic_fetch_add(&r->sq->inflight, 1);
}

void nvme_req_hand_over(struct nvme_req *r)
{
	nvme_req_count(r);
	nvme_worker_give(r->worker, r);
}

/* The last command of a queue that is being deleted: Delete I/O SQ completes (5.6). */
static void sq_deleted(struct nvme *n, struct nvme_sq *sq)
{
	bool done;

	pthread_mutex_lock(&sq->lock);
	done = sq->deleting && !atomic_load(&sq->inflight);
	if (done) {
		sq->deleting = false;
		atomic_fetch_sub(&n->cq[sq->cqid].users, 1);
	}
	pthread_mutex_unlock(&sq->lock);
	if (done) {
		nvme_complete_plain(&n->sq[0], sq->delete_cid, NVME_OK, 0, sq->delete_due);
		nvme_cq_notify(n, &n->cq[0]);
	}
}

void nvme_req_end(struct nvme_req *r)
{
	struct nvme *n = r->n;
	struct nvme_sq *sq = r->sq;

	if (sq) {
		nvme_complete(sq, &r->cmd, r->status, r->result, r->location);
		if (r->due) /* whoever calls is no worker */
			nvme_cq_notify(n, &n->cq[sq->cqid]);
		else
			nvme_worker_notify(r->worker, &n->cq[sq->cqid]);
		if (atomic_fetch_sub(&sq->inflight, 1) == 1 && atomic_load(&sq->deleting))
			sq_deleted(n, sq);
	}
	free(r);
	if (atomic_fetch_sub(&n->inflight, 1) == 1 && atomic_load(&n->draining)) {
		pthread_mutex_lock(&n->drain_lock);
		pthread_cond_broadcast(&n->drain_cond);
		pthread_mutex_unlock(&n->drain_lock);
	}
}

void nvme_req_done(struct nvme_req *r, uint16_t status)
{
	nvme_bounce_put(r->n, r->bounce, r->bounce_size);
	free(r->ranges);
	r->status = status;
	if (r->due)
		nvme_delay(r);
	else
		nvme_req_end(r);
}
