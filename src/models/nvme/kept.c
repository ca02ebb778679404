/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/kept.c: memory that outlives the process (kept.h): where what lies in it, what is
 * made anew from it, and how a controller goes on whose process was killed. A controller that was
 * loaded is taken up in the same way: its state was written there first.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/nvme/internal.h"

static size_t whole_pages(size_t size)
{
	return (size + NVME_PAGE_MIN - 1) & ~(size_t)(NVME_PAGE_MIN - 1);
}

void nvme_kept_begin(struct nvme *n)
{
	for (unsigned i = 0; i < n->num_ns; i++)
		n->kept->blocks[i] = n->ns[i].blocks;
	n->kept->layout = NVME_KEPT_LAYOUT;
	n->kept->max_queues = n->max_queues;
	if (!n->kept->started_ns)
		n->kept->started_ns = nvme_now_ns();
}

int nvme_kept_init(struct nvme *n)
{
	size_t head = whole_pages(sizeof(*n->kept));
	size_t slots = whole_pages(NVME_SLOTS * sizeof(union nvme_slot));
	size_t size = head + (n->max_queues + 1) * slots;
	char *memory;

	for (unsigned i = 0; i < n->num_ns; i++)
		size += nvme_cache_size(&n->ns[i]);
	memory = uvfio_lasting(n->dev, size);
	if (!memory)
		return -ENOMEM;
	n->kept = (void *)memory;
	memory += head;
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		n->sq[i].kept = &n->kept->sq[i];
		n->cq[i].kept = &n->kept->cq[i];
		if (i > n->max_queues)
			continue;
		n->cq[i].slots = (void *)memory;
		memory += slots;
	}
	for (unsigned i = 0; i < n->num_ns; i++) {
		nvme_cache_init(&n->ns[i], &n->kept->cache[i], memory);
		memory += nvme_cache_size(&n->ns[i]);
	}
	nvme_kept_begin(n);
	return 0;
}

/* ---- what was loaded or left is checked, and taken up ---- */

__attribute__((format(printf, 2, 3))) static int refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, NVME_WHY, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* True if the two registers could be so: 3.1.5, 3.1.6. */
static bool registers_fit(uint32_t cc, uint32_t csts)
{
	bool enabled = cc & NVME_CC_EN, ready = csts & NVME_CSTS_RDY, fatal = csts & NVME_CSTS_CFS;

	if (cc & ~NVME_CC_WRITABLE ||
	    csts & ~(NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST_MASK) ||
	    (csts & NVME_CSTS_SHST_MASK) == NVME_CSTS_SHST_MASK)
		return false;
	if (enabled != (ready || fatal))
		return false;
	return !ready || (NVME_CC_MPS(cc) <= NVME_MPS_MAX && !NVME_CC_CSS(cc));
}

static int take_up_registers(struct nvme *n, char *why)
{
	const struct nvme_kept *k = n->kept;
	uint32_t cc = atomic_load(&k->cc), csts = atomic_load(&k->csts), aqa = atomic_load(&k->aqa);
	uint64_t asq = atomic_load(&k->asq), acq = atomic_load(&k->acq);
	uint64_t shadow = atomic_load(&k->shadow), mask;

	if (!registers_fit(cc, csts))
		return refuse(why, "CC %xh with CSTS %xh", cc, csts);
	mask = (4096ull << NVME_CC_MPS(cc)) - 1;
	if (aqa & ~0x0fff0fffu || asq & 0xfff || acq & 0xfff)
		return refuse(why, "AQA %xh, ASQ %llxh, ACQ %llxh", aqa, (unsigned long long)asq,
			      (unsigned long long)acq);
	if ((shadow || k->eventidx) &&
	    (!(csts & NVME_CSTS_RDY) || shadow & mask || k->eventidx & mask))
		return refuse(why, "doorbell buffers at %llxh and %llxh",
			      (unsigned long long)shadow, (unsigned long long)k->eventidx);
	n->page_shift = csts & NVME_CSTS_RDY ? 12 + NVME_CC_MPS(cc) : 12;
	n->shutdown_due = (csts & NVME_CSTS_SHST_MASK) == NVME_CSTS_SHST_BUSY;
	n->shutdowns = n->shutdown_due;
	return 0;
}

/* True if a queue of @size entries can be at @base. */
static bool queue_fits(const struct nvme *n, unsigned size, uint64_t base)
{
	return atomic_load(&n->kept->csts) & NVME_CSTS_RDY && size >= 2 &&
	       size <= NVME_MAX_ENTRIES && !(base & ((1ull << n->page_shift) - 1));
}

/* A fetch that was cut short is found by its slot: the head that it was about to move. */
static void take_up_fetch(struct nvme *n, const union nvme_slot *slot)
{
	struct nvme_kept_sq *k = &n->kept->sq[slot->sqid];

	if ((int32_t)(slot->seq - atomic_load(&k->fetched)) < 0)
		return;
	atomic_store(&k->fetched, slot->seq);
	atomic_store(&k->head, slot->head);
}

/* Find the slots that are in use: each has its entry reserved, so far. With cq->lock. */
static int take_up_slots(struct nvme *n, struct nvme_cq *cq, char *why)
{
	struct nvme_record *r = &cq->kept->record;

	if (cq->kept->top > NVME_SLOTS || r->tag >= NVME_SLOTS)
		return refuse(why, "completion queue %u: slots %u, %u", cq->id, cq->kept->top,
			      r->tag);
	/* the last step before the record ends */
	if (atomic_load(&cq->slots[r->tag].state) == NVME_SLOT_FREE)
		atomic_store(&r->valid, 0);
	cq->reserved = cq->num_free = 0;
	cq->fresh = cq->kept->top;
	for (unsigned i = cq->fresh; i--;) {
		const union nvme_slot *slot = &cq->slots[i];

		if (atomic_load(&slot->state) == NVME_SLOT_FREE) {
			cq->free[cq->num_free++] = (uint16_t)i;
			continue;
		}
		/* a command goes back into the slots of where its queue completes */
		if (slot->sqid > n->max_queues ||
		    atomic_load(&n->kept->sq[slot->sqid].cqid) != cq->id)
			return refuse(why, "completion queue %u: a command of queue %u", cq->id,
				      slot->sqid);
		take_up_fetch(n, slot);
		cq->reserved++;
	}
	return 0;
}

static int take_up_cq(struct nvme *n, struct nvme_cq *cq, char *why)
{
	const struct nvme_kept_cq *k = cq->kept;
	unsigned size = atomic_load(&k->size);
	int err = 0;

	if (!size)
		return 0;
	if (!queue_fits(n, size, k->base) || k->head >= size || nvme_cq_tail(cq) >= size ||
	    atomic_load(&k->pos) > (NVME_CQ_PHASE | NVME_MAX_ENTRIES) || k->vector >= n->vectors ||
	    (!cq->id && (k->vector || !k->ien)))
		return refuse(
			why,
			"completion queue %u: %u entries at %llxh, head %u, tail %u, vector %u",
			cq->id, size, (unsigned long long)k->base, k->head, nvme_cq_tail(cq),
			k->vector);
	pthread_mutex_lock(&cq->lock);
	if (cq->id && k->ien)
		atomic_fetch_add(&n->pin_queues, 1);
	err = take_up_slots(n, cq, why);
	pthread_mutex_unlock(&cq->lock);
	return err;
}

static int take_up_sq(struct nvme *n, struct nvme_sq *sq, char *why)
{
	const struct nvme_kept_sq *k = sq->kept;
	unsigned size = atomic_load(&k->size), head = atomic_load(&k->head),
		 tail = atomic_load(&k->tail), cqid = atomic_load(&k->cqid);

	/* also of one that is being deleted: commands of it may be in flight */
	if (cqid > n->max_queues)
		return refuse(why, "submission queue %u: completion queue %u", sq->id, cqid);
	if (!size)
		return 0;
	if (!queue_fits(n, size, k->base) || head >= size || tail >= size || !sq->id != !cqid ||
	    !atomic_load(&n->cq[cqid].kept->size))
		return refuse(why,
			      "submission queue %u: %u entries at %llxh, head %u, tail %u, "
			      "completion queue %u",
			      sq->id, size, (unsigned long long)k->base, head, tail, cqid);
	atomic_fetch_or(&n->live[sq->id / 64], 1ull << sq->id % 64);
	atomic_fetch_add(&n->cq[cqid].users, 1);
	return 0;
}

/* Order slots of one queue by when they were fetched. */
static int compare(const void *a, const void *b, void *slots)
{
	const union nvme_slot *x = (union nvme_slot *)slots + *(const uint16_t *)a,
			      *y = (union nvme_slot *)slots + *(const uint16_t *)b;

	if (x->sqid != y->sqid)
		return x->sqid - y->sqid;
	return (int32_t)(x->seq - y->seq) < 0 ? -1 : 1;
}

/* True if slot @tag has an Asynchronous Event Request that waits, or was about to. */
static bool event_waits(const struct nvme_cq *cq, unsigned tag)
{
	const struct nvme_record *r = &cq->kept->record;
	const union nvme_slot *slot = &cq->slots[tag];

	return atomic_load(&slot->state) == NVME_SLOT_FETCHED && !cq->id &&
	       slot->cmd.opc == NVME_ADM_ASYNC_EVENT && !(slot->cmd.flags & 0xc3) &&
	       !(atomic_load(&r->valid) && r->tag == tag);
}

/* With admin. */
static void take_up_events(struct nvme *n)
{
	struct nvme_cq *cq = &n->cq[0];
	unsigned num = 0;
	uint16_t *tags = cq->free + cq->num_free; /* as many places as there are slots */

	for (unsigned i = 0; i < cq->fresh; i++) {
		const union nvme_slot *slot = &cq->slots[i];

		if (event_waits(cq, i))
			tags[num++] = (uint16_t)i;
		else if (atomic_load(&slot->state) == NVME_SLOT_EXECUTED && !slot->status &&
			 slot->cmd.opc == NVME_ADM_ASYNC_EVENT)
			nvme_event_told(n, slot->result);
	}
	qsort_r(tags, num, sizeof(*tags), compare, cq->slots);
	/* one more than there may be had not yet been told so, and is executed again */
	n->num_aer = 0;
	for (unsigned i = 0; i < num && i < NVME_AER_MAX; i++) {
		nvme_async_event_add(n, tags[i]);
		cq->reserved--;
	}
	atomic_store(&n->events_due, true);
}

int nvme_take_up(struct nvme *n, char why[NVME_WHY])
{
	bool ready = atomic_load(&n->kept->csts) & NVME_CSTS_RDY;
	int err = take_up_registers(n, why);

	for (unsigned i = 0; i <= n->max_queues && !err; i++)
		err = take_up_cq(n, &n->cq[i], why);
	for (unsigned i = 0; i <= n->max_queues && !err; i++)
		err = take_up_sq(n, &n->sq[i], why);
	if (!err && ready && !atomic_load(&n->kept->sq[0].size))
		err = refuse(why, "ready without an admin queue");
	if (err || !ready)
		return err;
	pthread_mutex_lock(&n->admin);
	take_up_events(n);
	pthread_mutex_unlock(&n->admin);
	return 0;
}

/* ---- a process was killed ---- */

/* What is under way is none of this: a reset, or an enable, comes from the start. */
static void forget(struct nvme *n)
{
	for (unsigned i = 0; i <= n->max_queues; i++)
		atomic_store(&n->kept->cq[i].ien, false);
	nvme_queues_clear(n);
}

/* Do what was begun with the registers to its end. */
static void finish_registers(struct nvme *n)
{
	uint64_t op = atomic_load(&n->kept->cc_op);
	uint32_t old = op >> 32 & NVME_CC_WRITABLE, cc = op & NVME_CC_WRITABLE;

	if (atomic_load(&n->kept->resetting)) {
		forget(n);
		nvme_reset_registers(n);
		atomic_store(&n->kept->cc_op, 0);
		return;
	}
	if (!(op & NVME_CC_OP))
		return;
	if ((old ^ cc) & NVME_CC_EN) {
		forget(n);
		atomic_fetch_and(&n->kept->csts, ~(uint32_t)NVME_CSTS_RDY);
	}
	nvme_change_cc(n, old, cc);
}

static int same_device(const struct nvme *n, char *why)
{
	const struct nvme_kept *k = n->kept;

	if (k->layout != NVME_KEPT_LAYOUT)
		return refuse(why, "it is of another version of uvfio");
	if (k->max_queues != n->max_queues)
		return refuse(why, "max_queues was %u", k->max_queues);
	for (unsigned i = 0; i < NVME_MAX_NS; i++)
		if (k->blocks[i] != (i < n->num_ns ? n->ns[i].blocks : 0))
			return refuse(why, "namespace %u had %llu blocks", i + 1,
				      (unsigned long long)k->blocks[i]);
	for (unsigned i = 0; i < n->num_ns; i++)
		if (atomic_load(&k->cache[i].turn) > 1)
			return refuse(why, "namespace %u had more than two maps of blocks", i + 1);
	return 0;
}

int nvme_carry_on(struct uvfio_dev *dev)
{
	struct nvme *n = uvfio_priv(dev);
	char why[NVME_WHY] = "an image is not to be had";
	int err;

	pthread_mutex_lock(&n->life);
	err = same_device(n, why);
	/* what the page cache has may be nowhere else */
	if (!err)
		err = nvme_take_images(n, false);
	if (!err) {
		atomic_store(&n->paused, false);
		nvme_doorbells_carry_on(n);
		finish_registers(n);
		err = nvme_take_up(n, why);
	}
	if (!err) {
		pthread_mutex_lock(&n->admin);
		/* none could be heard meanwhile: it has all of its time */
		err = nvme_keep_alive_load(n, UINT64_MAX);
		pthread_mutex_unlock(&n->admin);
	}
	for (unsigned i = 0; i < n->num_ns && !err; i++)
		nvme_cache_carry_on(n, &n->ns[i]);
	n->moved = !err;
	pthread_mutex_unlock(&n->life);
	if (err)
		uvfio_log(dev, UVFIO_LOG_ERROR, "cannot go on from what was kept: %s", why);
	return err;
}

/* Return the number of commands of @cq that are to be executed again, in their order in @tags. */
static unsigned again(struct nvme_cq *cq, uint16_t *tags)
{
	unsigned num = 0;

	pthread_mutex_lock(&cq->lock);
	for (unsigned i = 0; i < cq->fresh; i++) {
		bool waits = false;

		for (unsigned k = 0; !cq->id && k < cq->n->num_aer; k++)
			waits |= cq->n->aer[k] == i;
		if (!waits && atomic_load(&cq->slots[i].state) != NVME_SLOT_FREE)
			tags[num++] = (uint16_t)i;
	}
	pthread_mutex_unlock(&cq->lock);
	qsort_r(tags, num, sizeof(*tags), compare, cq->slots);
	return num;
}

/* The admin queue last: what deletes a queue waits for its commands. */
void nvme_do_again(struct nvme *n)
{
	uint16_t *tags = malloc(NVME_SLOTS * sizeof(*tags));
	unsigned num, all = 0;

	if (!tags) {
		nvme_fatal(n, "no memory to go on", 0);
		return;
	}
	for (unsigned i = 0; i <= n->max_queues; i++)
		if (atomic_load(&n->kept->cq[i].size))
			nvme_cq_finish(n, &n->cq[i]);
	for (unsigned i = n->max_queues + 1; i--;) {
		struct nvme_cq *cq = &n->cq[i];

		num = atomic_load(&cq->kept->size) ? again(cq, tags) : 0;
		all += num;
		for (unsigned k = 0; k < num; k++)
			nvme_sq_again(&n->sq[cq->slots[tags[k]].sqid], tags[k]);
	}
	free(tags);
	uvfio_log(n->dev, UVFIO_LOG_DEBUG, "went on; %u commands were in flight", all);
}
