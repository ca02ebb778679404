/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/internal.h: the state of an NVMe controller, and what its parts offer each other.
 *
 * A command is executed where it is cheapest. A doorbell write runs its queue in the calling thread
 * as long as commands can be served without sleeping (memory-backed image, or page cache through
 * RWF_NOWAIT, straight into the driver's memory) and within a budget; what would block, and what
 * exceeds the budget, is handed to a worker thread that owns an io_uring (or, where that is not
 * allowed, feeds a pool of threads). While the driver rings often, a worker polls the doorbells
 * instead and runs the queues (poll.c). I/O that is not done on the spot goes through a bounce
 * buffer, so that memory which the driver unmaps meanwhile is never touched.
 *
 * Queue structures are a fixed array and are never freed: a doorbell needs no look-up lock, a queue
 * that does not exist has size 0.
 *
 * What a controller is lies in memory that outlives the process: kept.h has it, and the order of
 * the stores that makes it right at every moment.
 *
 * Locks, outermost first:
 *   life       CC, CSTS, reset, quiesce, threads that start and stop; a worker never takes it
 *   sq->lock   held by the thread that executes commands of the queue; the queue's set-up. The
 *              admin queue's comes before an I/O queue's; else one at a time
 *   admin      features, pending asynchronous events
 *   cq->lock   one completion queue's pointers
 *   irq_lock, log_lock, page_lock, drain_lock, worker->lock, pool.lock, bounce.lock, cache.lock,
 *   delay.lock leaves
 */
#ifndef MODELS_NVME_INTERNAL_H
#define MODELS_NVME_INTERNAL_H

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "uvfio/model.h"
#include "models/nvme/kept.h"
#include "models/nvme/spec.h"

#define NVME_PAGE_MIN 4096u
#define NVME_MPS_MAX  4u /* 64 KiB */
#define NVME_MDTS_MAX 8u /* 1 MiB in pages of 4 KiB */
#define NVME_MAX_SEGS ((1u << NVME_MDTS_MAX) + 1u)
#define NVME_WORKERS  4u
#define NVME_POOL     8u
#define NVME_RING     256u
#define NVME_CIDS     0x10000u	 /* identifiers of commands in a queue */
#define NVME_FETCH    16u	 /* commands read from a submission queue at once */
#define NVME_CHUNK    (1u << 20) /* step of commands that MDTS does not bound */

struct nvme;
struct nvme_sq;
struct nvme_cq;
struct nvme_worker;

/* A piece of the driver's memory, which a data pointer names (prp.c). */
struct nvme_seg {
	uint64_t iova;
	uint64_t len;
};

struct nvme_fifo {
	struct nvme_req *first, **last;
};

/* ---- cache.c: blocks that were acknowledged and may not be on the medium ---- */

/* A bit for each block, or for each 1 << grain of them. */
struct nvme_map {
	_Atomic uint64_t *bits, *index;
	uint64_t words, pages;
	unsigned grain;
};

struct nvme_cache {
	pthread_mutex_t lock;	  /* a leaf */
	struct nvme_map dirty[2]; /* acknowledged and not known to be on the medium; without lock */
	atomic_uint failures;	  /* counts writes and syncs that lost blocks */
	atomic_bool any_lost;
	atomic_ullong end; /* blocks that the image had when it was looked at */
	struct nvme_kept_cache *kept;
	/* under lock */
	struct nvme_map lost;
	uint64_t num_lost; /* bits */
	bool syncing;
	struct nvme_fifo waiting; /* for the next sync */
	struct nvme_fifo served;  /* by the sync that a request is making now */
};

/* ---- backend.c: namespaces are files ---- */

struct nvme_ns {
	uint32_t nsid;
	int fd;
	unsigned shift; /* log2 of the block size */
	uint64_t blocks;
	bool readonly;
	bool taken;		 /* locked; under life */
	bool regular;		 /* a file, no block device */
	atomic_bool linked;	 /* it has a name; not yet said that it lost it */
	bool memory;		 /* tmpfs, memfd: reads and writes never wait for a device */
	atomic_bool nowait_read; /* RWF_NOWAIT works */
	atomic_bool nowait_write;
	atomic_ullong throttled_until; /* ns: writes sleep, so they go to io_uring */
	atomic_bool punch, zero_range; /* what fallocate can do; assumed until refused */
	uint8_t uuid[16];
	struct nvme_cache cache;
};

enum nvme_aio_op { NVME_AIO_READ, NVME_AIO_WRITE, NVME_AIO_SYNC, NVME_AIO_FALLOCATE };

/* One file operation. Its result goes to nvme_io_step() of the request that holds it. */
struct nvme_aio {
	enum nvme_aio_op op;
	int fd;
	int mode; /* FALLOCATE */
	uint64_t off, len;
	struct iovec iov;
};

/* The step at which a request goes on that waited for another's sync. */
enum nvme_resume { NVME_RESUME_NOT, NVME_RESUME_SYNC, NVME_RESUME_SYNCED };

/* A command that did not complete where it was fetched. */
struct nvme_req {
	struct nvme_req *next;
	struct nvme *n;
	struct nvme_sq *sq; /* NULL: the controller's own (shutdown) */
	struct nvme_worker *worker;
	struct nvme_ns *ns;
	struct nvme_cmd cmd;
	struct nvme_aio aio;
	uint64_t off, len, done; /* bytes in the image */
	void *bounce;
	size_t bounce_size;
	uint16_t tag; /* of its slot */
	unsigned step;
	unsigned begin;	 /* nvme_cache_begin(), of a command that writes */
	uint16_t failed; /* Flush of all namespaces: the first status that is not success */
	enum nvme_resume resume;
	long res; /* of the sync that was waited for */
	struct nvme_dsm_range *ranges;
	unsigned num_ranges;
	uint16_t location;   /* of the error: bit << 8 | byte */
	bool shutdown;	     /* the controller's own flush */
	uint64_t due, order; /* latency=, in ns: not to complete before; 0: at once */
	uint32_t result;
	uint16_t status;
	unsigned num_segs;
	struct nvme_seg segs[];
};

static inline void nvme_fifo_init(struct nvme_fifo *f)
{
	f->first = NULL;
	f->last = &f->first;
}

static inline void nvme_fifo_push(struct nvme_fifo *f, struct nvme_req *r)
{
	r->next = NULL;
	*f->last = r;
	f->last = &r->next;
}

static inline struct nvme_req *nvme_fifo_pop(struct nvme_fifo *f)
{
	struct nvme_req *r = f->first;

	if (r) {
		f->first = r->next;
		if (!f->first)
			f->last = &f->first;
	}
	return r;
}

/* Free bounce buffers by size, 4 KiB << class. */
#define NVME_BOUNCE_CLASSES 9u
#define NVME_BOUNCE_KEEP    8u
struct nvme_bounce {
	pthread_mutex_t lock;
	void *free[NVME_BOUNCE_CLASSES][NVME_BOUNCE_KEEP];
	unsigned count[NVME_BOUNCE_CLASSES];
};

/*
 * Open the image at @path as namespace @nsid. 0 or -errno, with a message. @incoming: it may be
 * another controller's until nvme_ns_take().
 */
int nvme_ns_open(struct uvfio_dev *dev, struct nvme_ns *ns, uint32_t nsid, const char *path,
		 unsigned blocksize, bool readonly, bool incoming);
/*
 * Have the image for this controller alone, unless it has it already: 0; or -EBUSY, -EIO, with a
 * line in the log. @other: another machine may have written it. And leave it to another controller.
 * Under life.
 */
int nvme_ns_take(struct nvme *n, struct nvme_ns *ns, bool other);
void nvme_ns_release(struct nvme_ns *ns);
void nvme_ns_close(struct uvfio_dev *dev, struct nvme_ns *ns);
/*
 * Move @iov, of @len bytes together, without sleeping. 0; -EAGAIN if that cannot be done: it must
 * go through a worker; any other -errno.
 */
int nvme_ns_try(struct nvme_ns *ns, bool write, struct iovec *iov, int n, uint64_t off,
		uint64_t len);
/* Return the status of a write that failed with -errno @err. */
uint16_t nvme_write_status(long err);
/* Carry it out in this thread, which may sleep. Bytes or -errno. */
long nvme_aio_run(const struct nvme_aio *aio);
void nvme_aio_prep(struct io_uring_sqe *sqe, struct nvme_aio *aio);
/* Return a buffer of at least @len bytes, and its size; NULL: no memory. */
void *nvme_bounce_get(struct nvme *n, size_t len, size_t *size);
void nvme_bounce_put(struct nvme *n, void *p, size_t size);

/* Return the size of what @ns keeps, beside struct nvme_kept_cache. */
size_t nvme_cache_size(const struct nvme_ns *ns);
/* Begin with memory of that size, which is zero. */
void nvme_cache_init(struct nvme_ns *ns, struct nvme_kept_cache *kept, char *memory);
void nvme_cache_free(struct nvme_ns *ns);
/* Return a number that is to be taken before blocks are written, for the two below. */
unsigned nvme_cache_begin(struct nvme_ns *ns);
/* Note that blocks were written to the image and are about to be acknowledged. */
void nvme_cache_wrote(struct nvme_ns *ns, unsigned begin, uint64_t lba, uint64_t blocks);
/* Note that blocks were written, and that a sync that began after that succeeded. */
void nvme_cache_synced(struct nvme_ns *ns, unsigned begin, uint64_t lba, uint64_t blocks);
/* True if one of the blocks, or any of the namespace, is lost. */
bool nvme_cache_lost(struct nvme_ns *ns, uint64_t lba, uint64_t blocks);
static inline bool nvme_cache_any_lost(struct nvme_ns *ns)
{
	return atomic_load(&ns->cache.any_lost);
}
/* Return NVME_OK, or the status with which Flush and its like fail because blocks are lost. */
uint16_t nvme_cache_status(struct nvme_ns *ns);
/*
 * Return how many blocks the image has now, which takes a system call: fewer than the namespace has
 * if the file was cut short.
 */
uint64_t nvme_cache_end(struct nvme *n, struct nvme_ns *ns);
/*
 * Have everything on the medium for @r. True: @r is to make the sync; false: it waits for another's
 * and is started again after it.
 */
bool nvme_cache_sync(struct nvme_req *r);
/* Take @res, the result of the sync that @r made; others that waited for it go on. */
void nvme_cache_sync_done(struct nvme_req *r, long res);
/* Save which blocks are lost, and load it: 0, or what uvfio_load_error() returned. */
void nvme_cache_save(struct nvme_ns *ns, struct uvfio_state *s);
int nvme_cache_load(struct nvme_ns *ns, struct uvfio_state *s);
/*
 * Have everything on the medium that is not known to be there, in this thread. No command is under
 * way; what fails is lost.
 */
void nvme_cache_flush(struct nvme *n, struct nvme_ns *ns);
/* Go on from the maps as a killed process left them. */
void nvme_cache_carry_on(struct nvme *n, struct nvme_ns *ns);
/* Give up what was lost: the controller is reset. */
void nvme_cache_reset(struct nvme *n, struct nvme_ns *ns);

/* ---- worker.c: threads ---- */

struct nvme_worker {
	struct nvme *n;
	unsigned index;
	pthread_t thread;
	int wake_fd;
	uint64_t wake_value;
	atomic_bool asleep, quit;
	atomic_bool poll;	/* the doorbells are worth polling: told by who rang */
	atomic_ullong ready[2]; /* submission queues to run, a bit each */
	pthread_mutex_t lock;	/* guards in */
	struct nvme_fifo in;	/* requests to start */
	/* the thread's own */
	bool has_ring, ring_kept, wake_armed;
	bool opened;	   /* this worker opened the doorbell page and closes it */
	uint64_t quiet_at; /* when nothing had happened for long enough; 0: something just has */
	unsigned rounds;
	/*
	 * ns: when it was last asked whether there are processors enough, and how long the thread
	 * had run by then
	 */
	uint64_t looked_at, ran;
	struct io_uring ring;
	unsigned in_ring;
	struct nvme_fifo backlog; /* for a place in the ring */
	uint64_t notify[2];	  /* completion queues to signal after this round */
};

struct nvme_pool {
	pthread_mutex_t lock; /* guards all */
	pthread_cond_t cond;
	struct nvme_fifo in;
	bool quit;
	unsigned threads;
	pthread_t thread[NVME_POOL];
};

void nvme_worker_wake(struct nvme_worker *w);
/* Start or stop the threads; under life. To stop them nothing may be in flight. */
int nvme_workers_start(struct nvme *n);
void nvme_workers_stop(struct nvme *n);
/* Have a worker run @sq, or start @r. */
void nvme_worker_run_sq(struct nvme *n, struct nvme_sq *sq);
void nvme_worker_give(struct nvme_worker *w, struct nvme_req *r);
struct nvme_worker *nvme_worker_of(struct nvme *n, unsigned qid);
/* Signal @cq after a completion: at the end of the round if the caller is this worker. */
void nvme_worker_notify(struct nvme_worker *w, struct nvme_cq *cq);

/* ---- poll.c: polled doorbells ---- */

/* Note a doorbell that came by a callback: when they come often it pays to open the page. */
void nvme_poll_rung(struct nvme *n);
/*
 * For a worker: look at the doorbells, if they are open; run its own queues and wake other workers
 * for theirs. True if there was something.
 */
bool nvme_poll(struct nvme_worker *w);
/*
 * For a worker at the end of a round, with @any if there was something in it. False: nothing is
 * left and the page is closed, the worker may sleep.
 */
bool nvme_poll_again(struct nvme_worker *w, bool any);
/* If stores come without a callback: look for them from now on, till the next reset. -ENOMEM. */
int nvme_poll_watch(struct nvme *n);
/* For a worker whose thread ends. */
void nvme_poll_end(struct nvme_worker *w);
/*
 * Make every doorbell a callback from here on. The page is not opened again until `open` is set and
 * `paused` is not.
 */
void nvme_poll_stop(struct nvme *n);

/* ---- queue.c: submission queues, requests ---- */

struct nvme_sq {
	pthread_mutex_t lock;
	struct nvme_kept_sq *kept;
	_Atomic uint32_t *doorbell; /* what the driver wrote last; in the polled page */
	atomic_uint inflight;	    /* requests handed over and not complete */
	struct nvme *n;
	uint16_t id;
	atomic_bool deleting; /* Delete I/O SQ waits for inflight, under lock */
	uint16_t delete_tag;
	bool worker_turn;    /* the thread that runs it now may sleep; under lock */
	uint16_t tag;	     /* of the command being executed; under lock */
	uint64_t due;	     /* of that command, for delay.c; under lock */
	uint64_t delete_due; /* of the command that deletes the queue */
	uint32_t looked_at;  /* images that were measured since the last fetch; under lock */
	/* of each identifier: @life if a command with it is under way, as far as is known */
	_Atomic uint8_t *cids;
	uint8_t life; /* another one each time that the queue begins anew; never 0; under lock */
	struct nvme_seg segs[NVME_MAX_SEGS]; /* scratch of the command being executed */
	/* the IOMMU maps by 4 KiB: one piece for each page touched */
	struct iovec iov[NVME_MAX_SEGS];
};

struct nvme_cq {
	pthread_mutex_t lock;
	struct nvme_kept_cq *kept;
	union nvme_slot *slots; /* NVME_SLOTS; NULL: there can be no such queue */
	_Atomic uint32_t *doorbell;
	unsigned reserved; /* commands that will complete here: their entries are kept free */
	atomic_bool irq_due;
	atomic_bool starved; /* a submission queue waits for a free entry, or a free slot */
	struct nvme *n;
	uint16_t id;
	atomic_uint users; /* submission queues */
	/* slots that are free: those below num_free in free[], and all from fresh on */
	unsigned num_free, fresh;
	uint16_t free[NVME_SLOTS];
};

/* Return where the next entry goes. With cq->lock. */
static inline unsigned nvme_cq_tail(const struct nvme_cq *cq)
{
	return atomic_load_explicit(&cq->kept->pos, memory_order_relaxed) & (NVME_CQ_PHASE - 1);
}

#define NVME_DOORBELL_PAGE 0x1000u

void nvme_queues_init(struct nvme *n);
void nvme_queues_fini(struct nvme *n);
/* Give each queue its doorbell in n->doorbells. */
void nvme_queues_doorbells(struct nvme *n);
/* Set a queue up; the caller has checked everything, and holds sq->lock. */
void nvme_sq_setup(struct nvme_sq *sq, uint16_t cqid, uint64_t base, unsigned size);
/* Forget all queues; nothing runs. */
void nvme_queues_clear(struct nvme *n);
/*
 * Run @sq in this thread, unless another one does: that one sees what is new. @worker: with a
 * worker's budget.
 */
void nvme_sq_kick(struct nvme_sq *sq, bool worker);
/* Note that a command was fetched, and move the head to @head. With sq->lock. */
void nvme_sq_fetched(struct nvme_sq *sq, uint16_t tag, const struct nvme_cmd *cmd, unsigned head);
/* Execute a command again that was fetched, or complete it if it was executed. */
void nvme_sq_again(struct nvme_sq *sq, uint16_t tag);
/* Run all queues that exist. */
void nvme_kick_all(struct nvme *n);
/* Wait until the threads that are running a queue have left it. */
void nvme_queues_pass(struct nvme *n);
/* Wait until everything is fetched that was rung so far. */
void nvme_queues_settle(struct nvme *n);
/* Count a request in, whose completion entry is reserved; and give it to its worker. */
void nvme_req_count(struct nvme_req *r);
void nvme_req_hand_over(struct nvme_req *r);
/* Complete a request: now, or when it is due. */
void nvme_req_done(struct nvme_req *r, uint16_t status);
/* Post its completion and free it, now that it is due; wake the thread that waits for a drain. */
void nvme_req_end(struct nvme_req *r);

/* ---- completion.c: completion queues, interrupts ---- */

void nvme_cq_setup(struct nvme_cq *cq, struct nvme *n, uint64_t base, unsigned size,
		   uint16_t vector, bool ien);
void nvme_cq_clear(struct nvme *n, struct nvme_cq *cq);
/*
 * Keep up to @want entries free, until they are posted or given back, and return how many. 0: the
 * queue is full; its doorbell will start the submission queues again. @tags (or NULL): gets a free
 * slot for each.
 */
unsigned nvme_cq_reserve(struct nvme *n, struct nvme_cq *cq, unsigned want, uint16_t *tags);
/* Give entries back, and as many slots, which were not used. @tags NULL: no slots. */
void nvme_cq_unreserve(struct nvme_cq *cq, unsigned count, const uint16_t *tags);
/* Give back the slot of a command that will not complete. */
void nvme_cq_forget(struct nvme_cq *cq, uint16_t tag);
/* Return how many entries can be reserved, and have slots. With cq->lock. */
unsigned nvme_cq_room(const struct nvme_cq *cq);
/* True if it waits for a free slot, and not for the driver. */
bool nvme_cq_busy(struct nvme_cq *cq);
/* Post into a reserved entry; an error goes to the error log. */
void nvme_complete(struct nvme_sq *sq, uint16_t tag, uint16_t status, uint32_t result,
		   uint16_t location);
/*
 * The same of a command of the admin queue that waited for something. @due: not before; 0: at once,
 * and the caller notifies. No error is logged.
 */
void nvme_complete_later(struct nvme *n, uint16_t tag, uint16_t status, uint32_t result,
			 uint64_t due);
/* Post what a killed process was about to, if there is something. */
void nvme_cq_finish(struct nvme *n, struct nvme_cq *cq);
/* Send the interrupt of all that was posted since the last call. */
void nvme_cq_notify(struct nvme *n, struct nvme_cq *cq);
/*
 * Note whether a completion queue with interrupts has entries that the driver did not take; true if
 * that is different now. With cq->lock, which keeps it in step with the queue.
 */
bool nvme_pending_set(struct nvme *n, unsigned qid, bool on);
/* Bring the INTx line into step with the pending queues and INTMS. */
void nvme_irq_update(struct nvme *n);
/* Signal what is waiting: @unmasked by INTMC, or the kind of interrupt changed. */
void nvme_irq_replay(struct nvme *n, uint32_t unmasked);
/*
 * Send a message of MSI-X for each queue that has entries which the driver did not take: it may
 * have been sent before the controller migrated, and not have reached the driver.
 */
void nvme_irq_again(struct nvme *n);

/* ---- doorbell.c: doorbell registers, doorbell buffers ---- */

/* Take a store to the doorbell page that came by a callback. */
void nvme_doorbell(struct nvme *n, uint64_t offset, uint32_t value);
/* Have in the page what came by a callback to a process that was killed. */
void nvme_doorbells_carry_on(struct nvme *n);
/* True if the queue's doorbell, or its buffer, says something new. Any thread. */
bool nvme_sq_rung(struct nvme *n, struct nvme_sq *sq);
/* Return the tail that the driver has told of last. With sq->lock. */
unsigned nvme_sq_tail(struct nvme *n, struct nvme_sq *sq, unsigned head, unsigned size);
/*
 * Take the driver's head from the doorbell, or from its buffer (@arm: it is to ring when it moves
 * on from there). With cq->lock.
 */
void nvme_cq_look(struct nvme *n, struct nvme_cq *cq);
void nvme_cq_shadow(struct nvme *n, struct nvme_cq *cq, bool arm);
/* Go on with what waited for the driver to take completions; true if it did. */
bool nvme_cq_poll(struct nvme *n, struct nvme_cq *cq);
/*
 * Look at what was stored while the page was open and no thread looks at otherwise: doorbells of
 * queues that do not exist, heads of completion queues.
 */
void nvme_doorbell_strays(struct nvme *n);
/*
 * Look at all that a driver may have stored without a thread that saw it: strays, and queues that
 * are to be run.
 */
void nvme_doorbells_look(struct nvme *n);
/* Take the two pages of Doorbell Buffer Config (5.7). */
void nvme_queues_buffers(struct nvme *n, uint64_t shadow, uint64_t eventidx);
/* Return the place of a doorbell in the buffer at @base; 0 if there is no buffer. */
uint64_t nvme_buffer_slot(uint64_t base, unsigned qid, bool cq);

/* ---- delay.c: latency= ---- */

struct nvme_delay {
	uint64_t min, max;	   /* ns; max 0: off */
	struct uvfio_timer *timer; /* NULL: off */
	atomic_ullong draws;
	pthread_mutex_t lock; /* guards the rest */
	struct nvme_req **heap;
	unsigned count, room;
	uint64_t order;
	bool hurry; /* nothing waits */
};

int nvme_delay_init(struct nvme *n);
void nvme_delay_fini(struct nvme *n);
/* Return when a command that is fetched @now may complete. */
uint64_t nvme_delay_due(struct nvme *n, uint64_t now);
/* Have @r complete when it is due. */
void nvme_delay(struct nvme_req *r);
/* Have a command complete when it is due, which was executed already. */
void nvme_delay_command(struct nvme_sq *sq, uint16_t tag, uint16_t status, uint32_t result,
			uint16_t location, uint64_t due);
/* Complete everything at once from now on, until it is called with false. */
void nvme_delay_hurry(struct nvme *n, bool hurry);

/* ---- log.c: log pages, asynchronous events ---- */

/*
 * Write an error where it will count next, and return its number. With log_lock, until
 * nvme_log_count() has counted it.
 */
uint64_t nvme_log_error(struct nvme *n, const struct nvme_error_entry *e);
/* Have @errors in the log, and @media_errors; not if there are so many already. */
void nvme_log_count(struct nvme *n, uint64_t errors, uint64_t media_errors);
/*
 * Tell the driver of an asynchronous event, now; or, for a caller with locks, when the next queue
 * is kicked.
 */
void nvme_event(struct nvme *n, enum nvme_event ev);
void nvme_event_later(struct nvme *n, enum nvme_event ev);
/* Note that an event was told, which @result (of the completion) is. With admin. */
void nvme_event_told(struct nvme *n, uint32_t result);
/* Have the request in slot @tag wait for events, behind all others. With admin. */
void nvme_async_event_add(struct nvme *n, uint16_t tag);
/* Complete Asynchronous Event Requests that wait, as far as there are events. */
void nvme_events_deliver(struct nvme *n);
uint16_t nvme_get_log(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		      uint16_t *location);
uint16_t nvme_async_event(struct nvme *n, uint16_t tag);
bool nvme_async_event_abort(struct nvme *n, uint16_t cid, uint32_t by);
/*
 * Note that data was lost: SMART says so, and an event if the driver wants to hear of it. To be
 * called without locks.
 */
void nvme_warn_reliability(struct nvme *n);
/* Compare the temperature with its thresholds; with admin held, and events delivered afterwards. */
void nvme_check_temperature(struct nvme *n);
/* Make events what they are after a controller reset. */
void nvme_log_reset(struct nvme *n);

/* ---- features.c ---- */

void nvme_features_reset(struct nvme *n);
uint16_t nvme_get_features(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			   uint32_t *result, uint16_t *location);
uint16_t nvme_set_features(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			   uint32_t *result, uint16_t *location);
/* Start the Keep Alive timer again, if it is on: the host lives (5.18). */
void nvme_keep_alive(struct nvme *n);
/* Have it expire in @left ns, if it is on: 0 or -ENOMEM. With admin. */
int nvme_keep_alive_load(struct nvme *n, uint64_t left);

/* ---- admin.c, identify.c, io.c: commands ---- */

/* Execute @cmd: a status or NVME_PENDING. With sq->lock. */
uint16_t nvme_admin_cmd(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			uint32_t *result, uint16_t *location);
uint16_t nvme_identify(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		       uint16_t *location);
uint16_t nvme_io_cmd(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		     uint16_t *location);
/*
 * Return the bytes that @cmd moves, as its cost to the thread that executes it. NVME_COST_WORKER is
 * more than any doorbell write may spend: only a worker executes such a command.
 */
#define NVME_COST_WORKER (1u << 30)
uint64_t nvme_io_cost(struct nvme *n, const struct nvme_cmd *cmd, bool worker);
/* Start a request in a worker's thread. True: its aio is to be submitted; false: it is gone. */
bool nvme_io_start(struct nvme_req *r);
/* Take the result of its aio. True: the next one is to be submitted; false: it is gone. */
bool nvme_io_step(struct nvme_req *r, long res);
/* Flush everything, then complete @cmd of the admin queue: NVME_PENDING or a status. */
uint16_t nvme_io_flush_all(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd);
/* Flush everything, then call nvme_shutdown_done(). */
int nvme_io_shutdown(struct nvme *n);
void nvme_shutdown_done(struct nvme *n, bool ok);

/* ---- taken.c: what the driver must leave alone ---- */

/* The driver rang: it gave the entries from @from to @to. */
void nvme_entries_take(struct nvme_sq *sq, unsigned from, unsigned to);
/* Before the driver can know that entry @i was fetched. */
void nvme_entry_give_back(struct nvme_sq *sq, unsigned i);
/* The command that @sq executes has a list of PRPs, or data: until it completes. */
void nvme_list_take(struct nvme_sq *sq, uint64_t iova, uint64_t len);
void nvme_data_take(struct nvme_sq *sq, unsigned num_segs);
/* Before the driver can know that command @tag is done. */
void nvme_command_give_back(struct nvme_sq *sq, uint16_t tag);

/* ---- prp.c: data pointers ---- */

/*
 * Cut the data pointer of a command that @sq executes into @count segments, sq->segs, contiguous
 * ones merged. A status.
 */
uint16_t nvme_prp_segs(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd, uint64_t len,
		       unsigned *count, uint16_t *location);
/* Copy @len bytes from or to @off of the segments. A status. */
uint16_t nvme_segs_read(struct nvme *n, const struct nvme_seg *segs, unsigned count, uint64_t off,
			void *buf, size_t len);
uint16_t nvme_segs_write(struct nvme *n, const struct nvme_seg *segs, unsigned count, uint64_t off,
			 const void *buf, size_t len);
/* Copy @len bytes of data of an admin command from or to its PRPs. A status. With sq->lock. */
uint16_t nvme_data_out(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd, void *buf,
		       size_t len, uint16_t *location);
uint16_t nvme_data_in(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		      const void *buf, size_t len, uint16_t *location);

/* ---- nvme.c: the controller ---- */

struct nvme {
	struct uvfio_dev *dev;
	/* options */
	char serial[21];
	uint8_t subsystem_uuid[16];
	unsigned max_queues, vectors, mdts;
	unsigned num_ns;
	struct nvme_ns ns[NVME_MAX_NS];

	struct nvme_kept *kept; /* behind it: slots of each completion queue, maps of caches */

	pthread_mutex_t life;
	uint64_t cap;
	unsigned page_shift; /* of CC.MPS; valid while ready */

	_Atomic uint32_t *doorbells; /* the polled page: NVME_DOORBELL_PAGE bytes */
	uint64_t poll_ns;	     /* how long a doorbell is waited for; 0: never polled */
	pthread_mutex_t page_lock;   /* opening and closing the page; a leaf */
	atomic_bool page_open;
	/* workers look at doorbells: the page is open, or the driver has doorbell buffers */
	atomic_bool polling;
	atomic_ullong last_ring, poll_not_before; /* ns */
	struct uvfio_timer *look; /* doorbells come without a callback: the next look at them */
	unsigned quiet_looks;	  /* of the timer's: so many in a row found nothing */
	atomic_uint pin_queues;	  /* I/O completion queues with interrupts on */
	atomic_ullong live[2];	  /* submission queues that exist, a bit each */

	atomic_bool open;      /* commands may be fetched */
	atomic_bool discard;   /* completions go nowhere: the controller is being reset */
	atomic_bool mastering; /* DMA was allowed when config space was written last */
	atomic_bool paused;    /* quiesced: the next register write goes on */
	atomic_bool stopped;   /* for a migration: whatever is written has to wait */
	bool moved;	       /* the state is another controller's; under life, as the next */
	bool shutdown_due;     /* for CC.SHN, when it is not stopped any more */
	atomic_uint inflight;
	atomic_bool draining;
	pthread_mutex_t drain_lock;
	pthread_cond_t drain_cond;
	unsigned shutdowns; /* flushes for CC.SHN that are under way; under drain_lock */

	pthread_mutex_t irq_lock; /* guards pending */
	/* completion queues with interrupts on and entries not consumed */
	uint64_t pending[2];

	pthread_mutex_t admin;
	struct uvfio_timer *keep_alive; /* NULL until there is a time to keep */
	uint16_t aer[NVME_AER_MAX];	/* tags of Asynchronous Event Requests, the oldest last */
	unsigned num_aer;
	atomic_bool events_due; /* some may be told now that could not before */

	pthread_mutex_t log_lock; /* guards the error log */
	/* the driver has seen CSTS.RDY follow CC.EN since it wrote that */
	atomic_bool seen_ready;

	struct nvme_delay delay;

	void *cids;   /* of all submission queues */
	bool running; /* under life */
	unsigned num_workers;
	struct nvme_worker worker[NVME_WORKERS];
	struct nvme_pool pool;
	struct nvme_bounce bounce;

	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq cq[NVME_QUEUES];
};

#define NVME_TEMPERATURE 313u /* kelvin: a disk that is not hot */

/* ---- faults.c: what a user wants to go wrong ---- */
enum nvme_fault { NVME_FAULT_STATUS, NVME_FAULT_LOSE, NVME_FAULT_CFS };
extern const struct uvfio_fault nvme_faults[];
/* True if it happens to @cmd of queue @qid now; *@value (may be NULL) as uvfio_fault(). */
bool nvme_fault(struct nvme *n, enum nvme_fault fault, unsigned qid, const struct nvme_cmd *cmd,
		uint64_t *value);

/* Set CSTS.CFS: the controller cannot go on. Any thread, with any locks. */
void nvme_fatal(struct nvme *n, const char *why, uint64_t address);
/* Return nanoseconds of CLOCK_MONOTONIC, by which uvfio_timer_set() goes, too. */
uint64_t nvme_now_ns(void);
/* Make all what it is after a controller reset; nothing runs. Under life. */
void nvme_clear(struct nvme *n);
/*
 * Have the images for this controller alone: 0 or -errno, with a line in the log. @other: another
 * machine may have written them. Under life.
 */
int nvme_take_images(struct nvme *n, bool other);
/* Do what a write of CC asks for, which was @old; reset the function. Under life. */
void nvme_change_cc(struct nvme *n, uint32_t old, uint32_t cc);
void nvme_reset_registers(struct nvme *n);

/* ---- kept.c: memory that outlives the process ---- */

/* Have it, for a controller whose images are open: 0 or -ENOMEM, with a message. In create. */
int nvme_kept_init(struct nvme *n);
/* Say in it what it is of: when it is new, and when it may have been taken away, at a reset. */
void nvme_kept_begin(struct nvme *n);
/*
 * Check what was loaded, or what a killed process left, and make the rest of the controller from
 * it: 0 or -errno, with the reason in @why. Stopped; under life.
 */
#define NVME_WHY 160
int nvme_take_up(struct nvme *n, char why[NVME_WHY]);
/* Do again what a killed process had not done. Workers run, nothing is fetched. Under life. */
void nvme_do_again(struct nvme *n);
/* As in struct uvfio_model. */
int nvme_carry_on(struct uvfio_dev *dev);

/* ---- migrate.c ---- */

/* As in struct uvfio_model. */
void nvme_describe(struct uvfio_dev *dev, struct uvfio_state *s);
int nvme_save(struct uvfio_dev *dev, struct uvfio_state *s);
int nvme_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version);

/*
 * Order all accesses before against all after, those to the driver's memory too. (The sanitizers do
 * not know C11's fence.)
 */
static inline void nvme_barrier(void)
{
	__sync_synchronize();
}

/*
 * Return where @sq completes. Not sq->n->cq[sq->kept->cqid]: gcc 12 reads an atomic that is a
 * subscript as if it were not atomic.
 */
static inline struct nvme_cq *nvme_cq_of(struct nvme_sq *sq)
{
	return &sq->n->cq[atomic_load_explicit(&sq->kept->cqid, memory_order_relaxed)];
}

/* Return the slot of a command of @sq. */
static inline union nvme_slot *nvme_slot_of(struct nvme_sq *sq, uint16_t tag)
{
	return &nvme_cq_of(sq)->slots[tag];
}

static inline struct nvme_ns *nvme_find_ns(struct nvme *n, uint32_t nsid)
{
	return nsid && nsid <= n->num_ns ? &n->ns[nsid - 1] : NULL;
}

static inline uint16_t nvme_location(unsigned byte, unsigned bit)
{
	return (uint16_t)(bit << 8 | byte);
}

/* ---- kinds.c: mistakes of the driver ---- */

enum nvme_bad {
	NVME_BAD_QUEUE_EXISTS,
	NVME_BAD_QUEUE_ID,
	NVME_BAD_NO_QUEUE,
	NVME_BAD_QUEUE_SIZE,
	NVME_BAD_QUEUE_MEMORY,
	NVME_BAD_QUEUE_VECTOR,
	NVME_BAD_CQ_IN_USE,
	NVME_BAD_ENTRY_SIZE,
	NVME_BAD_QUEUES_LATE,
	NVME_BAD_DOORBELL_NO_QUEUE,
	NVME_BAD_DOORBELL_RANGE,
	NVME_BAD_SQ_OVERRUN,
	NVME_BAD_CQ_HEAD,
	NVME_BAD_CID_IN_USE,
	NVME_BAD_PRP_OFFSET,
	NVME_BAD_TRANSFER_SIZE,
	NVME_BAD_NSID,
	NVME_BAD_LBA_RANGE,
	NVME_BAD_FLAGS,
	NVME_BAD_OPCODE,
	NVME_BAD_AER_LIMIT,
	NVME_BAD_CC_CHANGE,
	NVME_BAD_CC_VALUE,
	NVME_BAD_ADMIN_QUEUE,
	NVME_BAD_ADMIN_QUEUE_LATE,
	NVME_BAD_CSTS_STORE,
	NVME_BAD_NSSR,
	NVME_BAD_INTMS_MSIX,
};
extern const struct uvfio_kind nvme_kinds[];
/* Report a command whose status says that the driver made a mistake. */
void nvme_judge_command(struct nvme *n, const struct nvme_sq *sq, const struct nvme_cmd *cmd,
			uint16_t status, uint16_t location);
/* Report a command with the identifier of one that is under way. */
void nvme_judge_cid(struct nvme *n, const struct nvme_sq *sq, const struct nvme_cmd *cmd);
/* Report what a write of CC, or of another register, must not do. */
void nvme_judge_cc(struct nvme *n, uint64_t old, uint64_t cc);
void nvme_judge_store(struct nvme *n, uint64_t offset, uint64_t value);
/* Report a doorbell. @limit: the queue's size, or how far the value may go. */
void nvme_judge_doorbell(struct nvme *n, enum nvme_bad kind, unsigned qid, bool cq, uint64_t value,
			 unsigned limit);

/* reg_names.c */
extern const struct uvfio_reg nvme_reg_names[];
extern const struct uvfio_reg_range nvme_reg_ranges[];

/* ---- show.c ---- */
/* struct uvfio_model's show. */
void nvme_show(struct uvfio_dev *dev, struct uvfio_text *t);
#endif
