/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvme.h: what the files of the NVMe model share.
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
 * Locks, outermost first: life      CC, CSTS, reset, quiesce, threads starting and stopping. Never
 * taken by a worker. sq->lock  who executes commands of the queue, and the queue's set-up. The
 * admin queue's comes before an I/O queue's; else one at a time. admin     features, pending
 * asynchronous events cq->lock  one completion queue's pointers irq_lock, log_lock, page_lock,
 * worker->lock, pool.lock, bounce.lock, drain_lock,
 *   cache.lock, delay.lock   leaves
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
#include "models/nvme/spec.h"

#define NVME_MAX_QUEUES	 64u /* I/O queue pairs */
#define NVME_QUEUES	 (NVME_MAX_QUEUES + 1u)
#define NVME_MAX_ENTRIES 4096u
#define NVME_ADMIN_MAX	 4096u
#define NVME_PAGE_MIN	 4096u
#define NVME_MPS_MAX	 4u /* 64 KiB */
#define NVME_MDTS_MAX	 8u /* 1 MiB in pages of 4 KiB */
#define NVME_MAX_SEGS	 ((1u << NVME_MDTS_MAX) + 1u)
#define NVME_MAX_NS	 32u
#define NVME_AER_MAX	 4u /* AERL 3 */
#define NVME_ERROR_LOG	 64u
#define NVME_WORKERS	 4u
#define NVME_POOL	 8u
#define NVME_RING	 256u
#define NVME_FETCH	 16u	    /* commands read from a submission queue at once */
#define NVME_CHUNK	 (1u << 20) /* step of commands that MDTS does not bound */

struct nvme;
struct nvme_sq;
struct nvme_cq;
struct nvme_worker;

/* ---- prp.c: data pointers ---- */

struct nvme_seg {
	uint64_t iova;
	uint64_t len;
};

/* ---- backend.c: namespaces are files ---- */

/* ---- cache.c: what was acknowledged and may not be on the medium ---- */

struct nvme_fifo {
	struct nvme_req *first, **last;
};

/* A bit for each block, or for each 1 << grain of them. */
struct nvme_map {
	_Atomic uint64_t *bits, *index;
	uint64_t words, pages;
	unsigned grain;
};

struct nvme_cache {
	pthread_mutex_t lock;	  /* a leaf */
	struct nvme_map dirty[2]; /* acknowledged and not known to be on the medium; without lock */
	atomic_uint turn;	  /* which of them is added to */
	atomic_uint failures;	  /* counts what lost blocks */
	atomic_bool any_lost;
	atomic_ullong end; /* blocks that the image had when it was looked at */
	/* under lock */
	struct nvme_map lost;
	uint64_t num_lost; /* bits */
	uint16_t status;   /* of commands that want them on the medium */
	bool syncing;
	struct nvme_fifo waiting, served; /* for the next sync; beside who makes this one */
};

struct nvme_ns {
	uint32_t nsid;
	int fd;
	unsigned shift; /* log2 of the block size */
	uint64_t blocks;
	bool readonly;
	bool regular;		 /* a file, no block device */
	atomic_bool linked;	 /* it has a name; not yet said that it lost it */
	bool memory;		 /* tmpfs, memfd: reads and writes never wait for a device */
	atomic_bool nowait_read; /* RWF_NOWAIT works */
	atomic_bool nowait_write;
	atomic_ullong throttled_until; /* ns: writes sleep, so they go to io_uring */
	atomic_bool punch, zero_range; /* what fallocate can do; assumed until refused */
	uint8_t uuid[16];
	uint16_t error_recovery; /* Feature 05h, under admin */
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

/* Where a request that waited for another's sync goes on. */
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
	unsigned step;
	unsigned begin;	 /* nvme_cache_begin(), of what writes */
	uint16_t failed; /* Flush of all namespaces: the first status that was none of success */
	enum nvme_resume resume;
	long res; /* of the sync that was waited for */
	struct nvme_dsm_range *ranges;
	unsigned num_ranges;
	uint16_t location; /* of the error: bit << 8 | byte */
	bool shutdown;	   /* the controller's own flush */
	/* latency= */
	uint64_t due, order; /* ns: not to complete before; 0: at once */
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

int nvme_ns_open(struct uvfio_dev *dev, struct nvme_ns *ns, uint32_t nsid, const char *path,
		 unsigned blocksize, bool readonly);
void nvme_ns_close(struct uvfio_dev *dev, struct nvme_ns *ns);
/*
 * Try to move @iov without sleeping. 0, -EAGAIN: must go the long way, other -errno. @len: the sum
 * of @iov.
 */
int nvme_ns_try(struct nvme_ns *ns, bool write, struct iovec *iov, int n, uint64_t off,
		uint64_t len);
/* The status of a write that failed with @err. */
uint16_t nvme_write_status(long err);
/* Do it here and now; bytes or -errno. */
long nvme_aio_run(const struct nvme_aio *aio);
void nvme_aio_prep(struct io_uring_sqe *sqe, struct nvme_aio *aio);
void *nvme_bounce_get(struct nvme *n, size_t len, size_t *size);
void nvme_bounce_put(struct nvme *n, void *p, size_t size);

int nvme_cache_init(struct nvme_ns *ns);
void nvme_cache_free(struct nvme_ns *ns);
/* A number to take before blocks are written, for the two below. */
unsigned nvme_cache_begin(struct nvme_ns *ns);
/* Blocks were written to the image and are about to be acknowledged. */
void nvme_cache_wrote(struct nvme_ns *ns, unsigned begin, uint64_t lba, uint64_t blocks);
/* Blocks were written, and a sync that began after that succeeded. */
void nvme_cache_synced(struct nvme_ns *ns, unsigned begin, uint64_t lba, uint64_t blocks);
/* One of the blocks, or any of the namespace, is lost. */
bool nvme_cache_lost(struct nvme_ns *ns, uint64_t lba, uint64_t blocks);
static inline bool nvme_cache_any_lost(struct nvme_ns *ns)
{
	return atomic_load(&ns->cache.any_lost);
}
/* OK, or why Flush and its like fail: blocks are lost. */
uint16_t nvme_cache_status(struct nvme_ns *ns);
/* Blocks that the image has now, by a system call: fewer than it should when it was cut short. */
uint64_t nvme_cache_end(struct nvme *n, struct nvme_ns *ns);
/*
 * @r needs everything on the medium. true: it makes the sync; false: it is started again when there
 * was one.
 */
bool nvme_cache_sync(struct nvme_req *r);
/* The sync that @r made gave @res. Others that waited go on. */
void nvme_cache_sync_done(struct nvme_req *r, long res);
/* The controller is reset: what was lost is given up. */
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
int nvme_workers_start(struct nvme *n); /* under life */
void nvme_workers_stop(struct nvme *n); /* under life; nothing is in flight */
void nvme_worker_run_sq(struct nvme *n, struct nvme_sq *sq);
void nvme_worker_give(struct nvme_worker *w, struct nvme_req *r);
struct nvme_worker *nvme_worker_of(struct nvme *n, unsigned qid);
/* After a completion: the interrupt, at the end of the worker's round if this is the worker. */
void nvme_worker_notify(struct nvme_worker *w, struct nvme_cq *cq);

/* ---- poll.c: polled doorbells ---- */

/* A doorbell came by a callback: when they come often it pays to open the page. */
void nvme_poll_rung(struct nvme *n);
/*
 * Worker: look at the doorbells, if they are open; run what is its own and wake others for theirs.
 * true: there was something.
 */
bool nvme_poll(struct nvme_worker *w);
/*
 * Worker, at the end of a round in which there was something (@any) or not: false: nothing is left
 * and the page is closed, it may sleep.
 */
bool nvme_poll_again(struct nvme_worker *w, bool any);
/* Worker: the thread ends. */
void nvme_poll_end(struct nvme_worker *w);
/*
 * From here on every doorbell is a callback. Nobody opens the page again before `open` and not
 * `paused`.
 */
void nvme_poll_stop(struct nvme *n);

/* ---- queue.c ---- */

/* Counted by the thread that holds sq->lock or completes; read by the SMART log. */
struct nvme_counters {
	atomic_ullong reads, writes; /* commands */
	atomic_ullong bytes_read, bytes_written;
};

struct nvme_sq {
	pthread_mutex_t lock;
	atomic_uint size; /* entries; 0: the queue does not exist */
	/* tail: what was taken from the doorbell last; under lock, but with doorbell buffers */
	atomic_uint head, tail;
	_Atomic uint32_t *doorbell; /* what the driver wrote last; in the polled page */
	atomic_uint inflight;	    /* requests handed over and not complete */
	struct nvme *n;
	uint16_t id;
	atomic_ushort cqid;   /* looked at without the lock, by who has just let it go */
	atomic_bool deleting; /* Delete I/O SQ waits for inflight, under lock */
	uint16_t delete_cid;
	bool worker_turn;    /* who runs it now may sleep; under lock */
	uint64_t due;	     /* of the command being executed, for delay.c; under lock */
	uint64_t delete_due; /* of the command that deletes the queue */
	uint64_t base;
	atomic_ullong shadow; /* doorbell buffers; 0: not configured */
	uint64_t eventidx;
	struct nvme_counters count[NVME_MAX_NS];
	uint32_t looked_at; /* images that were measured since the last fetch; under lock */
	struct nvme_seg segs[NVME_MAX_SEGS]; /* scratch of the command being executed */
	/* the IOMMU maps by 4 KiB: one piece for each page touched */
	struct iovec iov[NVME_MAX_SEGS];
};

struct nvme_cq {
	pthread_mutex_t lock;
	atomic_uint size;
	unsigned head, tail; /* head: what was taken from the doorbell last */
	_Atomic uint32_t *doorbell;
	unsigned reserved; /* commands that will complete here: their entries are kept free */
	bool phase;
	atomic_bool ien;
	atomic_bool irq_due;
	atomic_bool starved; /* a submission queue waits for a free entry */
	uint16_t id, vector;
	atomic_uint users; /* submission queues */
	uint64_t base;
	uint64_t shadow, eventidx;
};

#define NVME_DOORBELL_PAGE 0x1000u

void nvme_queues_init(struct nvme *n);
void nvme_queues_fini(struct nvme *n);
void nvme_queues_doorbells(struct nvme *n); /* n->doorbells is there */
/* Set-up: the caller has checked everything. sq->lock is held. */
void nvme_sq_setup(struct nvme_sq *sq, uint16_t cqid, uint64_t base, unsigned size);
void nvme_cq_setup(struct nvme_cq *cq, struct nvme *n, uint64_t base, unsigned size,
		   uint16_t vector, bool ien);
void nvme_cq_clear(struct nvme *n, struct nvme_cq *cq);
/* Forget all queues. Nothing runs. */
void nvme_queues_clear(struct nvme *n);
void nvme_queues_buffers(struct nvme *n, uint64_t shadow, uint64_t eventidx);

void nvme_doorbell(struct nvme *n, uint64_t offset, uint32_t value);
/* The queue's doorbell, or its shadow, says something new. Any thread. */
bool nvme_sq_rung(struct nvme *n, struct nvme_sq *sq);
/* The driver consumed entries that somebody waits for: go on. true: so it was. */
bool nvme_cq_poll(struct nvme *n, struct nvme_cq *cq);
/*
 * What was stored while the page was open and nobody runs a queue for: doorbells of queues that do
 * not exist, heads of completion queues.
 */
void nvme_doorbell_strays(struct nvme *n);
/* Run @sq in this thread if nobody does, else leave it to him. @worker: with a worker's budget. */
void nvme_sq_kick(struct nvme_sq *sq, bool worker);
/* All queues that have something to do. */
void nvme_kick_all(struct nvme *n);
/* Whoever runs a queue has left it when this returns. */
void nvme_queues_pass(struct nvme *n);
/* Everything rung so far is fetched when this returns. */
void nvme_queues_settle(struct nvme *n);
/*
 * Room for one completion, kept until posted or given back. false: full; the doorbell comes back to
 * it.
 */
bool nvme_cq_reserve(struct nvme *n, struct nvme_cq *cq);
void nvme_cq_unreserve(struct nvme_cq *cq, unsigned count);
/* Post into a reserved place; errors go to the error log first. */
void nvme_complete(struct nvme_sq *sq, const struct nvme_cmd *cmd, uint16_t status, uint32_t result,
		   uint16_t location);
/* The same without a command at hand. @due: not before; 0: at once, and the caller notifies. */
void nvme_complete_plain(struct nvme_sq *sq, uint16_t cid, uint16_t status, uint32_t result,
			 uint64_t due);
/* Send the interrupt of what was posted since the last call. */
void nvme_cq_notify(struct nvme *n, struct nvme_cq *cq);
void nvme_irq_update(struct nvme *n);
void nvme_irq_replay(struct nvme *n, uint32_t unmasked);
/* Count a request in; its completion entry is reserved. And give it to its worker. */
void nvme_req_count(struct nvme_req *r);
void nvme_req_hand_over(struct nvme_req *r);
/* A request is complete: post, free, wake whoever waits for the drain. */
void nvme_req_done(struct nvme_req *r, uint16_t status);
/* The rest of it, when the time has come. */
void nvme_req_end(struct nvme_req *r);

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
/* When a command that is fetched @now may complete. */
uint64_t nvme_delay_due(struct nvme *n, uint64_t now);
/* @r completes when it is due. */
void nvme_delay(struct nvme_req *r);
/* A command that was executed completes when it is due. */
void nvme_delay_command(struct nvme_sq *sq, const struct nvme_cmd *cmd, uint16_t status,
			uint32_t result, uint16_t location, uint64_t due);
/* From now on, and until `false`, everything completes at once. */
void nvme_delay_hurry(struct nvme *n, bool hurry);

/* ---- log.c ---- */

void nvme_log_error(struct nvme *n, uint16_t sqid, uint16_t cid, uint16_t status, uint16_t location,
		    uint64_t lba, uint32_t nsid);
/*
 * An asynchronous event happened. later: for whoever holds locks; the next kick of a queue
 * delivers.
 */
void nvme_event(struct nvme *n, enum nvme_event ev);
void nvme_event_later(struct nvme *n, enum nvme_event ev);
/* Complete waiting Asynchronous Event Requests. */
void nvme_events_deliver(struct nvme *n);
uint16_t nvme_get_log(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		      uint16_t *location);
uint16_t nvme_async_event(struct nvme *n, const struct nvme_cmd *cmd);
bool nvme_async_event_abort(struct nvme *n, uint16_t cid);
/*
 * Data was lost: SMART says so, and an event if the driver wants to hear of it. Call without locks.
 */
void nvme_warn_reliability(struct nvme *n);
/* Compare the temperature with its thresholds; call with admin held, deliver afterwards. */
void nvme_check_temperature(struct nvme *n);
/* Events as after a controller reset. */
void nvme_log_reset(struct nvme *n);

/* ---- features.c ---- */

void nvme_features_reset(struct nvme *n);
uint16_t nvme_get_features(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			   uint32_t *result, uint16_t *location);
uint16_t nvme_set_features(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			   uint32_t *result, uint16_t *location);

/* The host lives (5.18): the timer starts again, if it is on. */
void nvme_keep_alive(struct nvme *n);

/* ---- admin.c, identify.c, io.c ---- */

/* Execute; a status or NVME_PENDING. sq->lock is held. */
uint16_t nvme_admin_cmd(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
			uint32_t *result, uint16_t *location);
uint16_t nvme_identify(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		       uint16_t *location);
uint16_t nvme_io_cmd(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		     uint16_t *location);
/*
 * Bytes that a command moves; what it costs the thread that executes it. More than any doorbell
 * write may spend: for a worker only.
 */
#define NVME_COST_WORKER (1u << 30)
uint64_t nvme_io_cost(struct nvme *n, const struct nvme_cmd *cmd, bool worker);
/*
 * Start a request (a worker's thread): true: its aio is to be submitted; false: it is done and
 * gone.
 */
bool nvme_io_start(struct nvme_req *r);
/* An aio gave @res. true: the next one is ready; false: it is done and gone. */
bool nvme_io_step(struct nvme_req *r, long res);
/* Flush everything, then complete @cmd of the admin queue: NVME_PENDING or a status. */
uint16_t nvme_io_flush_all(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd);
/* Flush everything, then call nvme_shutdown_done(). */
int nvme_io_shutdown(struct nvme *n);
void nvme_shutdown_done(struct nvme *n, bool ok);

/*
 * Cut a data pointer into segments, physically contiguous ones merged. A status; *@count segments.
 */
uint16_t nvme_prp_segs(struct nvme *n, const struct nvme_cmd *cmd, uint64_t len,
		       struct nvme_seg *segs, unsigned *count, uint16_t *location);
/* Copy; a status. @off: into the segments. */
uint16_t nvme_segs_read(struct nvme *n, const struct nvme_seg *segs, unsigned count, uint64_t off,
			void *buf, size_t len);
uint16_t nvme_segs_write(struct nvme *n, const struct nvme_seg *segs, unsigned count, uint64_t off,
			 const void *buf, size_t len);
/* Data of an admin command: @len bytes from or to its PRPs. sq->lock is held. */
uint16_t nvme_data_out(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd, void *buf,
		       size_t len, uint16_t *location);
uint16_t nvme_data_in(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		      const void *buf, size_t len, uint16_t *location);

/* ---- the controller ---- */

struct nvme_features {
	uint32_t arbitration, power, coalesce, atomicity, async_event;
	_Atomic uint32_t write_cache; /* read without the lock */
	uint16_t over, under;	      /* temperature thresholds, kelvin */
	uint16_t vector[NVME_QUEUES];
	uint64_t timestamp, timestamp_at; /* ms the host gave; ns of ours when it came */
	bool timestamp_set;
	uint32_t keep_alive;	 /* ms; 0: off */
	uint64_t keep_alive_end; /* ns: when the timer expires */
	uint8_t retry_delays;	 /* Host Behavior Support, ACRE */
};

struct nvme {
	struct uvfio_dev *dev;
	/* options */
	char serial[21];
	uint8_t subsystem_uuid[16];
	unsigned max_queues, vectors, mdts;
	unsigned num_ns;
	struct nvme_ns ns[NVME_MAX_NS];

	pthread_mutex_t life;
	/* registers; written under life, read by anyone */
	uint64_t cap;
	_Atomic uint32_t cc, csts, intms;
	uint32_t aqa;
	uint64_t asq, acq;
	unsigned page_shift; /* of CC.MPS; valid while ready */

	_Atomic uint32_t *doorbells; /* the polled page: NVME_DOORBELL_PAGE bytes */
	uint64_t poll_ns;	     /* how long a doorbell is waited for; 0: never polled */
	pthread_mutex_t page_lock;   /* opening and closing the page; a leaf */
	atomic_bool page_open;
	/* workers look at doorbells: the page is open, or the driver has doorbell buffers */
	atomic_bool polling;
	atomic_ullong last_ring, poll_not_before; /* ns */
	atomic_uint pin_queues;			  /* I/O completion queues with interrupts on */
	atomic_ullong live[2];			  /* submission queues that exist, a bit each */

	atomic_bool open;     /* commands may be fetched */
	atomic_bool discard;  /* completions go nowhere: the controller is being reset */
	atomic_bool paused;   /* quiesced: the next register write resumes */
	atomic_ullong shadow; /* doorbell buffers; written under the admin queue's lock */
	uint64_t eventidx;
	uint32_t admin_start; /* the admin queue's tail when they were configured */
	atomic_uint inflight;
	atomic_bool draining;
	pthread_mutex_t drain_lock;
	pthread_cond_t drain_cond;
	unsigned shutdowns; /* flushes for CC.SHN that are under way; under drain_lock */

	pthread_mutex_t irq_lock; /* guards pending */
	/* completion queues with interrupts on and entries not consumed */
	uint64_t pending[2];

	pthread_mutex_t admin;
	struct nvme_features feat;
	struct uvfio_timer *keep_alive; /* NULL until there is a time to keep */
	uint16_t aer[NVME_AER_MAX];	/* command identifiers */
	unsigned num_aer;
	atomic_ullong new_events; /* bit type * 8 + info; not under admin */
	uint64_t events;	  /* pending */
	uint8_t events_masked;	  /* types reported and not yet cleared by Get Log Page */
	bool hot, cold;		  /* temperature beyond its threshold */

	pthread_mutex_t log_lock; /* guards the error log */
	struct nvme_error_entry errors[NVME_ERROR_LOG];
	uint64_t error_count;
	atomic_uint warned; /* invalid doorbells that were logged */
	atomic_ullong media_errors;
	uint64_t started_ns;

	struct nvme_delay delay;

	bool running; /* under life */
	unsigned num_workers;
	struct nvme_worker worker[NVME_WORKERS];
	struct nvme_pool pool;
	struct nvme_bounce bounce;

	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq cq[NVME_QUEUES];
};

/* Kelvin; a disk that is not hot. */
#define NVME_TEMPERATURE 313u

/* The controller cannot go on: CSTS.CFS. Any thread, any lock. */
void nvme_fatal(struct nvme *n, const char *why, uint64_t address);
uint64_t nvme_now_ns(void);

/*
 * A full barrier, also between accesses to the driver's memory. (The sanitizers do not know C11's
 * fence.)
 */
static inline void nvme_barrier(void)
{
	__sync_synchronize();
}

static inline struct nvme_ns *nvme_find_ns(struct nvme *n, uint32_t nsid)
{
	return nsid && nsid <= n->num_ns ? &n->ns[nsid - 1] : NULL;
}

static inline uint16_t nvme_location(unsigned byte, unsigned bit)
{
	return (uint16_t)(bit << 8 | byte);
}

#endif
