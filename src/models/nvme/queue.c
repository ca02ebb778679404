/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/queue.c: the life of queues, and submission queues: the one thread that runs a queue,
 * fetching commands, executing them within a budget (NVMe 1.4, 4.1, 7.2). Doorbells are in
 * doorbell.c, completion queues in completion.c.
 *
 * A command is fetched only when its completion queue has a place for it, so a full completion
 * queue needs no list of its own: the submission queue waits ("starved") until the driver moves the
 * completion queue's head.
 */
#include <stdlib.h>
#include <time.h>

#include "models/nvme/internal.h"

/*
 * Budgets: of one doorbell write in the driver's thread, and of one turn of a worker. A page-cache
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
		n->sq[i].n = n->cq[i].n = n;
		n->sq[i].id = n->cq[i].id = (uint16_t)i;
		n->sq[i].life = 1;
		if (i <= n->max_queues)
			n->sq[i].cids = (_Atomic uint8_t *)n->cids + (size_t)i * NVME_CIDS;
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

/* ---- identifiers of commands ---- */

/* Note that the command's identifier is taken; two stores and a load. With sq->lock. */
static void take_cid(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd)
{
	_Atomic uint8_t *cid = &sq->cids[cmd->cid];

	if (__builtin_expect(atomic_load_explicit(cid, memory_order_relaxed) == sq->life, 0))
		nvme_judge_cid(n, sq, cmd);
	atomic_store_explicit(cid, sq->life, memory_order_relaxed);
}

/* No identifier is taken any more. With sq->lock. */
static void free_cids(struct nvme_sq *sq)
{
	if (!++sq->life)
		sq->life = 1;
	if (sq->life == 1)
		for (unsigned i = 0; sq->cids && i < NVME_CIDS; i++)
			atomic_store_explicit(&sq->cids[i], 0, memory_order_relaxed);
}

/* ---- set-up ---- */

void nvme_sq_setup(struct nvme_sq *sq, uint16_t cqid, uint64_t base, unsigned size)
{
	struct nvme *n = sq->n;

	atomic_store(&sq->kept->cqid, cqid);
	sq->kept->base = base;
	sq->deleting = false;
	free_cids(sq);
	uvfio_forget(n->dev);
	sq->kept->shadow = sq->id ? nvme_buffer_slot(n->kept->shadow, sq->id, false) : 0;
	sq->kept->eventidx = sq->id ? nvme_buffer_slot(n->kept->eventidx, sq->id, false) : 0;
	atomic_store(&sq->kept->head, 0);
	atomic_store(&sq->kept->tail, 0);
	atomic_store(sq->doorbell, 0);
	atomic_store(&n->kept->rung[2 * sq->id], 0);
	atomic_store(&sq->kept->size, size); /* last: from here on it is there */
	atomic_fetch_or(&n->live[sq->id / 64], 1ull << sq->id % 64);
}

void nvme_queues_clear(struct nvme *n)
{
	n->kept->shadow = n->kept->eventidx = 0;
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		pthread_mutex_lock(&n->sq[i].lock);
		atomic_store(&n->sq[i].kept->size, 0);
		atomic_store(n->sq[i].doorbell, 0);
		atomic_store(&n->kept->rung[2 * i], 0);
		n->sq[i].deleting = false;
		free_cids(&n->sq[i]);
		n->sq[i].kept->shadow = n->sq[i].kept->eventidx = 0;
		pthread_mutex_unlock(&n->sq[i].lock);
		nvme_cq_clear(n, &n->cq[i]);
		atomic_store(&n->cq[i].users, 0);
	}
	atomic_store(&n->pin_queues, 0);
	atomic_store(&n->live[0], 0);
	atomic_store(&n->live[1], 0);
}

/* ---- submission ---- */

/* Fetch commands that may be executed, each with a reserved completion; head is not moved. */
static unsigned sq_fetch(struct nvme *n, struct nvme_sq *sq, struct nvme_cmd *cmds, uint16_t *tags)
{
	unsigned size = atomic_load(&sq->kept->size), head, tail, count;

	if (!size || !atomic_load(&n->open))
		return 0;
	head = atomic_load(&sq->kept->head);
	tail = nvme_sq_tail(n, sq, head, size);
	if (tail >= size) { /* a doorbell raced with the queue's re-creation */
		atomic_store(&sq->kept->tail, head);
		atomic_store(sq->doorbell, head);
		return 0;
	}
	if (tail == head)
		return 0;
	count = (tail > head ? tail : size) - head;
	if (count > NVME_FETCH)
		count = NVME_FETCH;
	count = nvme_cq_reserve(n, nvme_cq_of(sq), count, tags);
	if (count && uvfio_dma_read(n->dev, sq->kept->base + head * sizeof(*cmds), cmds,
				    count * sizeof(*cmds))) {
		nvme_fatal(n, "submission queue cannot be read",
			   sq->kept->base + head * sizeof(*cmds));
		nvme_cq_unreserve(nvme_cq_of(sq), count, tags);
		return 0;
	}
	return count;
}

static const char *name_of(const struct nvme_sq *sq, const struct nvme_cmd *cmd)
{
	static const char *const admin[256] = {
		[NVME_ADM_DELETE_SQ] = "Delete I/O SQ",
		[NVME_ADM_CREATE_SQ] = "Create I/O SQ",
		[NVME_ADM_GET_LOG] = "Get Log Page",
		[NVME_ADM_DELETE_CQ] = "Delete I/O CQ",
		[NVME_ADM_CREATE_CQ] = "Create I/O CQ",
		[NVME_ADM_IDENTIFY] = "Identify",
		[NVME_ADM_ABORT] = "Abort",
		[NVME_ADM_SET_FEATURES] = "Set Features",
		[NVME_ADM_GET_FEATURES] = "Get Features",
		[NVME_ADM_ASYNC_EVENT] = "Asynchronous Event Request",
		[NVME_ADM_KEEP_ALIVE] = "Keep Alive",
		[NVME_ADM_DOORBELL_BUFFER] = "Doorbell Buffer Config",
	};
	static const char *const io[256] = {
		[NVME_IO_FLUSH] = "Flush",
		[NVME_IO_WRITE] = "Write",
		[NVME_IO_READ] = "Read",
		[NVME_IO_COMPARE] = "Compare",
		[NVME_IO_WRITE_ZEROES] = "Write Zeroes",
		[NVME_IO_DATASET] = "Dataset Management",
		[NVME_IO_VERIFY] = "Verify",
	};
	const char *name = sq->id ? io[cmd->opc] : admin[cmd->opc];

	return name ? name : "no command";
}

/* Have a trace show a command that was taken; @head is behind it. */
static void trace(struct nvme_sq *sq, const struct nvme_cmd *cmd, unsigned head)
{
	unsigned size = atomic_load(&sq->kept->size);
	struct uvfio_command c = {
		.queue = sq->id,
		.place = head ? head - 1 : size - 1,
		.id = cmd->cid,
		.name = name_of(sq, cmd),
	};
	bool data = cmd->opc == NVME_IO_READ || cmd->opc == NVME_IO_WRITE ||
		    cmd->opc == NVME_IO_COMPARE;

	if (sq->id) {
		c.address = (uint64_t)cmd->cdw11 << 32 | cmd->cdw10;
		if (data && nvme_find_ns(sq->n, cmd->nsid))
			c.length = ((cmd->cdw12 & 0xffff) + 1u) << sq->n->ns[cmd->nsid - 1].shift;
	}
	uvfio_command_begin(sq->n->dev, &c);
}

void nvme_sq_fetched(struct nvme_sq *sq, uint16_t tag, const struct nvme_cmd *cmd, unsigned head)
{
	uint32_t seq = atomic_load_explicit(&sq->kept->fetched, memory_order_relaxed) + 1;
	union nvme_slot *slot = nvme_slot_of(sq, tag);

	slot->cmd = *cmd;
	slot->sqid = (uint8_t)sq->id;
	slot->head = (uint16_t)head;
	slot->seq = seq;
	atomic_store_explicit(&slot->state, NVME_SLOT_FETCHED, memory_order_release);
	atomic_store_explicit(&sq->kept->fetched, seq, memory_order_release);
	atomic_store_explicit(&sq->kept->head, head, memory_order_release);
	if (uvfio_traced(sq->n->dev))
		trace(sq, cmd, head);
}

/* Execute a command that was fetched. With sq->lock. */
static void execute(struct nvme *n, struct nvme_sq *sq, uint16_t tag)
{
	const struct nvme_cmd *cmd = &nvme_slot_of(sq, tag)->cmd;
	uint16_t status, location = 0xffff; /* figure 194: no particular field */
	uint32_t result = 0;
	bool injected;
	uint64_t fault;

	sq->tag = tag;
	if (nvme_fault(n, NVME_FAULT_CFS, sq->id, cmd, NULL)) {
		nvme_fatal(n, "injected at command", cmd->cid);
		nvme_complete(sq, tag, NVME_OK, 0, location); /* to nobody */
		return;
	}
	injected = nvme_fault(n, NVME_FAULT_STATUS, sq->id, cmd, &fault);
	if (injected)
		status = (uint16_t)fault;
	else if (sq->id)
		status = nvme_io_cmd(n, sq, cmd, &location);
	else
		status = nvme_admin_cmd(n, sq, cmd, &result, &location);
	if (status == NVME_PENDING)
		return;
	if (status && !injected)
		nvme_judge_command(n, sq, cmd, status, location);
	if (sq->due)
		nvme_delay_command(sq, tag, status, result, location, sq->due);
	else
		nvme_complete(sq, tag, status, result, location);
}

void nvme_sq_again(struct nvme_sq *sq, uint16_t tag)
{
	const union nvme_slot *slot = nvme_slot_of(sq, tag);
	struct nvme *n = sq->n;

	pthread_mutex_lock(&sq->lock);
	sq->worker_turn = true; /* it may sleep */
	sq->looked_at = 0;
	sq->due = n->delay.max ? nvme_delay_due(n, nvme_now_ns()) : 0;
	if (atomic_load(&slot->state) == NVME_SLOT_EXECUTED)
		nvme_complete(sq, tag, slot->status, slot->result, slot->location);
	else
		execute(n, sq, tag);
	pthread_mutex_unlock(&sq->lock);
}

static bool sq_waiting(struct nvme *n, struct nvme_sq *sq)
{
	return atomic_load(&n->open) && atomic_load(&sq->kept->size) && nvme_sq_rung(n, sq) &&
	       !atomic_load(&nvme_cq_of(sq)->starved);
}

/*
 * Slots of @cq are free now: have a worker run the queues that waited for one. Not here, where one
 * would lead to the next. One that is being run is looked at again by who runs it.
 */
static void slots_freed(struct nvme *n, struct nvme_cq *cq)
{
	bool starved = false;

	if (!atomic_load(&cq->starved))
		return;
	pthread_mutex_lock(&cq->lock);
	if (nvme_cq_room(cq))
		starved = atomic_exchange(&cq->starved, false);
	pthread_mutex_unlock(&cq->lock);
	if (starved && !cq->id)
		atomic_store(&n->events_due, true);
	for (unsigned i = 0; starved && i <= n->max_queues; i++) {
		struct nvme_sq *sq = &n->sq[i];

		if (!atomic_load(&sq->kept->size) || nvme_cq_of(sq) != cq ||
		    pthread_mutex_trylock(&sq->lock))
			continue;
		if (sq_waiting(n, sq))
			nvme_worker_run_sq(n, sq);
		pthread_mutex_unlock(&sq->lock);
	}
}

/* Execute commands. With sq->lock. True: the budget is used up and there is more. */
static bool sq_run(struct nvme *n, struct nvme_sq *sq, bool worker)
{
	unsigned max_commands = worker ? WORKER_COMMANDS : INLINE_COMMANDS;
	uint64_t max_bytes = worker ? WORKER_BYTES : INLINE_BYTES;
	unsigned commands = 0, count, i;
	struct nvme_cmd cmds[NVME_FETCH];
	uint16_t tags[NVME_FETCH];
	uint64_t bytes = 0;
	bool more = false;

	sq->worker_turn = worker;
	while (!more && (count = sq_fetch(n, sq, cmds, tags))) {
		unsigned size = atomic_load(&sq->kept->size), head = atomic_load(&sq->kept->head);
		uint64_t now = n->delay.max ? nvme_now_ns() : 0;

		sq->looked_at = 0;
		for (i = 0; i < count && atomic_load_explicit(&n->open, memory_order_relaxed);
		     i++) {
			uint64_t cost = sq->id ? nvme_io_cost(n, &cmds[i], worker) : 0;

			more = commands == max_commands || bytes + cost > max_bytes ||
			       (!worker && cost > INLINE_COMMAND);
			if (more && (commands || !worker))
				break;
			more = false;
			commands++;
			bytes += cost;
			head = head + 1 == size ? 0 : head + 1;
			take_cid(n, sq, &cmds[i]);
			nvme_entry_give_back(sq, head ? head - 1 : size - 1);
			nvme_sq_fetched(sq, tags[i], &cmds[i], head);
			sq->due = now ? nvme_delay_due(n, now) : 0;
			execute(n, sq, tags[i]);
		}
		if (i < count)
			nvme_cq_unreserve(nvme_cq_of(sq), count - i, tags + i);
	}
	nvme_cq_notify(n, nvme_cq_of(sq));
	return more;
}

/*
 * A thread that fails to get the lock has stored the tail before; the thread that lets it go looks
 * at the tail afterwards. So one of the two runs the queue. A worker waits for the lock, as it was
 * told to come by the thread that holds it.
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
			/* with the lock: a thread that passes through it may end the workers */
			nvme_worker_run_sq(n, sq);
		pthread_mutex_unlock(&sq->lock);
		slots_freed(n, nvme_cq_of(sq));
		if (atomic_load_explicit(&n->kept->new_events, memory_order_relaxed) ||
		    atomic_load_explicit(&n->events_due, memory_order_relaxed))
			nvme_events_deliver(n);
		nvme_barrier();
	} while (!more && sq_waiting(n, sq));
}

void nvme_kick_all(struct nvme *n)
{
	for (unsigned i = 0; i <= n->max_queues; i++)
		if (atomic_load(&n->sq[i].kept->size))
			nvme_sq_kick(&n->sq[i], false);
}

void nvme_queues_pass(struct nvme *n)
{
	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		pthread_mutex_lock(&n->sq[i].lock);
		pthread_mutex_unlock(&n->sq[i].lock);
	}
}

/* True if it waits for commands of its own that are under way. */
static bool sq_held_up(struct nvme *n, struct nvme_sq *sq)
{
	return atomic_load(&n->open) && atomic_load(&sq->kept->size) && nvme_sq_rung(n, sq) &&
	       atomic_load(&nvme_cq_of(sq)->starved) && nvme_cq_busy(nvme_cq_of(sq));
}

/*
 * Wait until the workers have fetched what was rung; a queue that waits for its completion queue is
 * left.
 */
void nvme_queues_settle(struct nvme *n)
{
	for (unsigned i = 0; i <= n->max_queues; i++)
		while (sq_waiting(n, &n->sq[i]) || sq_held_up(n, &n->sq[i]))
			nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
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

/* Complete Delete I/O SQ (5.6) after the last command of the queue. */
static void sq_deleted(struct nvme *n, struct nvme_sq *sq)
{
	bool done;

	pthread_mutex_lock(&sq->lock);
	done = sq->deleting && !atomic_load(&sq->inflight);
	if (done) {
		sq->deleting = false;
		atomic_fetch_sub(&nvme_cq_of(sq)->users, 1);
	}
	pthread_mutex_unlock(&sq->lock);
	if (done) {
		nvme_complete_later(n, sq->delete_tag, NVME_OK, 0, sq->delete_due);
		nvme_cq_notify(n, &n->cq[0]);
	}
}

void nvme_req_end(struct nvme_req *r)
{
	struct nvme *n = r->n;
	struct nvme_sq *sq = r->sq;

	if (sq) {
		nvme_complete(sq, r->tag, r->status, r->result, r->location);
		if (r->due) /* the caller is no worker */
			nvme_cq_notify(n, nvme_cq_of(sq));
		else
			nvme_worker_notify(r->worker, nvme_cq_of(sq));
		if (atomic_fetch_sub(&sq->inflight, 1) == 1 && atomic_load(&sq->deleting))
			sq_deleted(n, sq);
		slots_freed(n, nvme_cq_of(sq));
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
