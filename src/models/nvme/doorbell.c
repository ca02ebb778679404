/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/doorbell.c: how the driver tells of new commands and of completions that it took:
 * stores to the doorbell registers (NVMe 1.4, 3.1.24, 3.1.25), which come by a callback or, while
 * the page is open, are looked at by the thread that runs the queue; and doorbell buffers in memory
 * (5.7, 7.13), with which the driver rings only at the event index.
 */
#include "models/nvme/internal.h"

/* ---- doorbell buffers ---- */

uint64_t nvme_buffer_slot(uint64_t base, unsigned qid, bool cq)
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
		uvfio_report_dma(n->dev, NVME_BAD_DOORBELL_RANGE, iova,
				 "doorbell buffer: %u, and the queue has %u entries", v, size);
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

/* ---- the open page: the thread that runs the queue looks at what was stored ---- */

/*
 * Neither outside of the queue nor past the head, which would be more commands than there are
 * entries.
 */
static bool bad_tail(unsigned head, unsigned tail, unsigned value, unsigned size)
{
	return value >= size || (tail + size - head) % size + (value + size - tail) % size >= size;
}

/* Report a value that is not valid: how far it may go is @most. */
static void judge_value(struct nvme *n, unsigned qid, bool cq, uint32_t value, unsigned size,
			unsigned most)
{
	if (value >= size)
		nvme_judge_doorbell(n, NVME_BAD_DOORBELL_RANGE, qid, cq, value, size);
	else
		nvme_judge_doorbell(n, cq ? NVME_BAD_CQ_HEAD : NVME_BAD_SQ_OVERRUN, qid, cq, value,
				    most);
}

/* Return how far the tail may go with this head. */
static unsigned most_tail(unsigned head, unsigned size)
{
	return (head ? head : size) - 1;
}

/*
 * Take back a value that is not valid, which may be up to @most, unless the driver has gone on.
 * With the queue's lock.
 */
static void refuse(struct nvme *n, _Atomic uint32_t *doorbell, uint32_t value, uint32_t good,
		   unsigned qid, bool cq, unsigned size, unsigned most)
{
	if (!atomic_compare_exchange_strong(doorbell, &value, good))
		return;
	judge_value(n, qid, cq, value, size, most);
	nvme_event_later(n, NVME_EV_INVALID_DB_VALUE);
}

void nvme_cq_look(struct nvme *n, struct nvme_cq *cq)
{
	unsigned size = atomic_load(&cq->kept->size);
	uint32_t value = atomic_load(cq->doorbell);

	if (cq->kept->shadow || value == cq->kept->head || !size)
		return;
	if (value < size && (value + size - cq->kept->head) % size <=
				    (nvme_cq_tail(cq) + size - cq->kept->head) % size)
		cq->kept->head = value;
	else
		refuse(n, cq->doorbell, value, cq->kept->head, cq->id, true, size,
		       nvme_cq_tail(cq));
}

/*
 * With the admin queue's sq->lock. The buffers have entries for that queue too (5.7), but Linux's
 * driver leaves them alone. A driver that uses them stores there before it rings for the first
 * time, as the event index is what it was at Doorbell Buffer Config: from then on the entries
 * count.
 */
static void admin_buffer(struct nvme *n, struct nvme_sq *sq)
{
	uint64_t slot = nvme_buffer_slot(atomic_load(&n->kept->shadow), 0, false);
	struct nvme_cq *cq = &n->cq[0];
	uint32_t value;

	if (!slot || uvfio_dma_read(n->dev, slot, &value, 4) || value == n->kept->admin_start)
		return;
	sq->kept->shadow = slot;
	sq->kept->eventidx = nvme_buffer_slot(n->kept->eventidx, 0, false);
	pthread_mutex_lock(&cq->lock);
	cq->kept->shadow = nvme_buffer_slot(atomic_load(&n->kept->shadow), 0, true);
	cq->kept->eventidx = nvme_buffer_slot(n->kept->eventidx, 0, true);
	pthread_mutex_unlock(&cq->lock);
}

/*
 * The driver's tail; when there is nothing new, ask to be rung for the next entry and look once
 * more. Nothing is stored after that look unless it found something: a doorbell that comes then
 * finds the lock taken, and its value must stay. While workers poll they look at the buffer
 * themselves, and nobody asks.
 */
unsigned nvme_sq_tail(struct nvme *n, struct nvme_sq *sq, unsigned head, unsigned size)
{
	uint32_t tail = atomic_load(&sq->kept->tail), value;

	if (!sq->kept->shadow && !sq->id && atomic_load(&n->kept->shadow) &&
	    atomic_load(sq->doorbell) != tail)
		admin_buffer(n, sq);
	if (!sq->kept->shadow) {
		value = atomic_load(sq->doorbell);
		if (value == tail)
			return tail;
		if (bad_tail(head, tail, value, size)) {
			refuse(n, sq->doorbell, value, tail, sq->id, false, size,
			       most_tail(head, size));
			return tail;
		}
		atomic_store(&sq->kept->tail, value);
		return value;
	}
	if (!shadow_read(n, sq->kept->shadow, size, &tail))
		tail = head; /* nothing to fetch, whatever the register says */
	atomic_store(&sq->kept->tail, tail);
	if (tail != head || atomic_load(&n->polling))
		return tail;
	shadow_write(n, sq->kept->eventidx, tail);
	nvme_barrier();
	if (!shadow_read(n, sq->kept->shadow, size, &tail) || tail == head)
		return head;
	atomic_store(&sq->kept->tail, tail);
	return tail;
}

/*
 * With cq->lock: the driver's head from its buffer. @arm: it rings when it moves on from there. One
 * that moved while it was asked has not seen the question and is asked again; an honest one does so
 * as often as there are entries at most.
 */
void nvme_cq_shadow(struct nvme *n, struct nvme_cq *cq, bool arm)
{
	unsigned size = atomic_load(&cq->kept->size), asked = size;
	uint32_t head;

	if (!cq->kept->shadow)
		return;
	for (unsigned i = 0; i < size && shadow_read(n, cq->kept->shadow, size, &head); i++) {
		cq->kept->head = head;
		if (!arm || head == asked)
			return;
		shadow_write(n, cq->kept->eventidx, head);
		asked = head;
		nvme_barrier();
	}
}

/* Queues that exist start with what is in the registers. */
void nvme_queues_buffers(struct nvme *n, uint64_t shadow, uint64_t eventidx)
{
	n->kept->shadow = shadow;
	n->kept->eventidx = eventidx;
	n->sq[0].kept->shadow = 0; /* its lock is held: this is a command of that queue */
	n->kept->admin_start = atomic_load(&n->sq[0].kept->tail);
	shadow_write(n, nvme_buffer_slot(shadow, 0, false), n->kept->admin_start);
	shadow_write(n, nvme_buffer_slot(eventidx, 0, false), n->kept->admin_start);
	pthread_mutex_lock(&n->cq[0].lock);
	n->cq[0].kept->shadow = 0;
	shadow_write(n, nvme_buffer_slot(shadow, 0, true), n->cq[0].kept->head);
	shadow_write(n, nvme_buffer_slot(eventidx, 0, true), n->cq[0].kept->head);
	pthread_mutex_unlock(&n->cq[0].lock);
	for (unsigned i = 1; i <= n->max_queues; i++) {
		struct nvme_sq *sq = &n->sq[i];
		struct nvme_cq *cq = &n->cq[i];

		pthread_mutex_lock(&sq->lock);
		if (atomic_load(&sq->kept->size)) {
			sq->kept->shadow = nvme_buffer_slot(shadow, i, false);
			sq->kept->eventidx = nvme_buffer_slot(eventidx, i, false);
			shadow_write(n, sq->kept->shadow, atomic_load(&sq->kept->tail));
			shadow_write(n, sq->kept->eventidx, atomic_load(&sq->kept->tail));
		}
		pthread_mutex_unlock(&sq->lock);
		pthread_mutex_lock(&cq->lock);
		if (atomic_load(&cq->kept->size)) {
			cq->kept->shadow = nvme_buffer_slot(shadow, i, true);
			cq->kept->eventidx = nvme_buffer_slot(eventidx, i, true);
			shadow_write(n, cq->kept->shadow, cq->kept->head);
			shadow_write(n, cq->kept->eventidx, cq->kept->head);
		}
		pthread_mutex_unlock(&cq->lock);
	}
}

bool nvme_sq_rung(struct nvme *n, struct nvme_sq *sq)
{
	uint64_t shadow = atomic_load_explicit(&sq->kept->shadow, memory_order_relaxed);
	unsigned head = atomic_load_explicit(&sq->kept->head, memory_order_relaxed);
	uint32_t value;

	if (atomic_load_explicit(&sq->kept->tail, memory_order_relaxed) != head)
		return true;
	if (!shadow)
		return atomic_load_explicit(sq->doorbell, memory_order_relaxed) != head;
	/* asked for only while workers poll; else the driver rings, and then the tail differs */
	return atomic_load_explicit(&n->polling, memory_order_relaxed) &&
	       uvfio_dma_allowed(n->dev) && !uvfio_dma_read(n->dev, shadow, &value, 4) &&
	       value != head && value < atomic_load_explicit(&sq->kept->size, memory_order_relaxed);
}

/* ---- doorbell registers ---- */

/* Note what was written to a doorbell, first where it lasts. */
static void note(struct nvme *n, unsigned i, uint32_t value)
{
	atomic_store_explicit(&n->kept->rung[i], value, memory_order_release);
	/* a kick starts with a barrier */
	atomic_store_explicit(&n->doorbells[i], value, memory_order_release);
}

void nvme_doorbells_carry_on(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_DOORBELLS_N; i++)
		atomic_store(&n->doorbells[i], atomic_load(&n->kept->rung[i]));
}

static void kick_users(struct nvme *n, struct nvme_cq *cq)
{
	if (!cq->id)
		nvme_events_deliver(n);
	for (unsigned i = 0; i <= n->max_queues; i++)
		if (atomic_load(&n->sq[i].kept->size) && nvme_cq_of(&n->sq[i]) == cq)
			nvme_sq_kick(&n->sq[i], false);
}

static void no_queue(struct nvme *n, unsigned qid, bool cq, uint32_t value)
{
	nvme_judge_doorbell(n, NVME_BAD_DOORBELL_NO_QUEUE, qid, cq, value, 0);
	nvme_event(n, NVME_EV_INVALID_DB_REGISTER);
}

static void cq_doorbell(struct nvme *n, struct nvme_cq *cq, uint32_t value)
{
	unsigned size, most;
	bool bad = true, starved = false, fell = false;

	pthread_mutex_lock(&cq->lock);
	nvme_cq_look(n, cq);
	size = atomic_load(&cq->kept->size);
	most = nvme_cq_tail(cq);
	/* The head may go as far as the tail: entries that were not posted cannot be consumed. */
	if (value < size &&
	    (cq->kept->shadow || (value + size - cq->kept->head) % size <=
					 (nvme_cq_tail(cq) + size - cq->kept->head) % size)) {
		bad = false;
		note(n, 2u * cq->id + 1, value); /* first: who finds it alone takes it */
		cq->kept->head = value;
		if (cq->kept->ien && uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX) {
			nvme_cq_shadow(n, cq, true);
			fell = nvme_pending_set(n, cq->id, cq->kept->head != nvme_cq_tail(cq));
		}
		starved = atomic_exchange(&cq->starved, false);
	}
	pthread_mutex_unlock(&cq->lock);
	if (bad) {
		judge_value(n, cq->id, true, value, size, most);
		nvme_event(n, NVME_EV_INVALID_DB_VALUE);
		return;
	}
	if (fell)
		nvme_irq_update(n);
	if (starved)
		kick_users(n, cq);
}

/* A doorbell that the driver does not know to be one: it has not looked at CSTS.RDY. 7.6.1 */
static void judge_ready(struct nvme *n, uint64_t offset, uint64_t value, bool ready)
{
	if (ready)
		uvfio_report_reg(
			n->dev, UVFIO_BEFORE_READY, 0, offset, &value,
			"CSTS.RDY was not read as 1 since CC.EN was set (NVMe 1.4, 7.6.1)");
	else
		uvfio_report_reg(n->dev, UVFIO_BEFORE_READY, 0, offset, &value,
				 "the controller is not ready: CSTS.RDY is 0 (NVMe 1.4, 7.6.1)");
}

void nvme_doorbell(struct nvme *n, uint64_t offset, uint32_t value)
{
	unsigned qid = (unsigned)(offset - NVME_DOORBELLS) / 8;
	bool is_cq = offset & 4, ready;
	struct nvme_sq *sq;
	unsigned size, head, tail;

	ready = atomic_load_explicit(&n->kept->csts, memory_order_relaxed) & NVME_CSTS_RDY;
	if (!ready || !atomic_load_explicit(&n->seen_ready, memory_order_relaxed))
		judge_ready(n, offset, value, ready);
	/*
	 * Not ready: 3.1.24 leaves it undefined; nothing is remembered. But what is written while
	 * quiesced counts when that ends.
	 */
	if (!ready || atomic_load_explicit(&n->discard, memory_order_relaxed))
		return;
	if (atomic_load_explicit(&n->stopped, memory_order_relaxed)) { /* resume looks */
		if (offset - NVME_DOORBELLS < NVME_DOORBELL_PAGE)
			note(n, (unsigned)(offset - NVME_DOORBELLS) / 4, value);
		return;
	}
	if (qid > n->max_queues ||
	    !atomic_load_explicit(is_cq ? &n->cq[qid].kept->size : &n->sq[qid].kept->size,
				  memory_order_relaxed)) {
		no_queue(n, qid, is_cq, value);
		return;
	}
	if (is_cq) {
		cq_doorbell(n, &n->cq[qid], value);
		return;
	}
	sq = &n->sq[qid];
	size = atomic_load(&sq->kept->size);
	head = atomic_load(&sq->kept->head);
	tail = atomic_load(sq->doorbell);
	if (tail >= size) /* not looked at yet, from while the page was open */
		tail = atomic_load(&sq->kept->tail);
	if (sq->kept->shadow ? value >= size : bad_tail(head, tail, value, size)) {
		judge_value(n, qid, false, value, size, most_tail(head, size));
		nvme_event(n, NVME_EV_INVALID_DB_VALUE);
		return;
	}
	if (!sq->kept->shadow)
		nvme_entries_take(sq, tail, value);
	note(n, 2 * qid, value);
	if (sq->kept->shadow)
		atomic_store_explicit(&sq->kept->tail, value, memory_order_release);
	nvme_sq_kick(sq, false);
	nvme_poll_rung(n);
}

bool nvme_cq_poll(struct nvme *n, struct nvme_cq *cq)
{
	bool pin = cq->kept->ien && uvfio_irq_mode(n->dev) != UVFIO_IRQ_MSIX, starved = false,
	     fell = false;

	if (!atomic_load_explicit(&cq->starved, memory_order_relaxed) && !pin)
		return false;
	pthread_mutex_lock(&cq->lock);
	nvme_cq_look(n, cq);
	if (uvfio_dma_allowed(n->dev))
		nvme_cq_shadow(n, cq, false);
	if (atomic_load(&cq->kept->size))
		fell = pin && nvme_pending_set(n, cq->id, cq->kept->head != nvme_cq_tail(cq));
	/* not "has the head moved": who ran another queue may have seen that first */
	if (nvme_cq_room(cq))
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
			if (!atomic_load(&n->cq[qid].kept->size))
				value = atomic_exchange(&n->doorbells[i], 0);
			else
				/*
				 * nobody does before it is full, and then it would be too late to
				 * say what was wrong
				 */
				nvme_cq_look(n, &n->cq[qid]);
			pthread_mutex_unlock(&n->cq[qid].lock);
		} else {
			pthread_mutex_lock(&n->sq[qid].lock);
			if (!atomic_load(&n->sq[qid].kept->size))
				value = atomic_exchange(&n->doorbells[i], 0);
			pthread_mutex_unlock(&n->sq[qid].lock);
		}
		if (value)
			no_queue(n, qid, i & 1, value);
	}
}

void nvme_doorbells_look(struct nvme *n)
{
	nvme_doorbell_strays(n);
	for (unsigned i = 0; i <= n->max_queues; i++) {
		struct nvme_sq *sq = &n->sq[i];

		if (!atomic_load(&sq->kept->size))
			continue;
		/*
		 * a buffer is not looked at with bus mastering off unless the driver rang; when it
		 * is back on all queues are kicked
		 */
		if (!atomic_load(&sq->kept->shadow) || uvfio_dma_allowed(n->dev) ||
		    nvme_sq_rung(n, sq))
			nvme_sq_kick(sq, true);
		/*
		 * who ran it till now may have found the completion queue full before the driver
		 * stored its head, and said so only after that
		 */
		nvme_cq_poll(n, nvme_cq_of(sq));
	}
}
