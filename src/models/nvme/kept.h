/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/kept.h: what a controller keeps in memory that outlives its process
 * (uvfio_lasting()). It is not a copy of the controller's state but the state itself; what else
 * struct nvme has is made anew from it (kept.c).
 *
 * The process may be killed between any two instructions of each of its threads. So at every moment
 * the memory says what is to be done again, and nothing that the driver may have seen is done in
 * another way:
 *
 *   fetch      a command is copied into a free slot, which becomes FETCHED; then the queue's
 *              `fetched` and `head` move. A kill between these is found by the slot's seq.
 *   execute    a command in a slot that is FETCHED is executed again, from the beginning: the
 *              driver was told nothing, so its data and lists are as they were, and who reads or
 *              writes blocks of a command under way has no right to either state of them. Where
 *              doing it twice would give another answer than once (queues that come and go, Abort,
 *              what fires events) the number of the command that did it is stored with what was
 *              done: `by`, `abort_by`, `feature_by`.
 *   wait       with latency= a command is executed, and its answer waits in the slot: EXECUTED.
 *   complete   a record of the entry and of all that is counted with it becomes valid; then the
 *              entry is written to the driver's queue, the tail moves, counters get their new
 *              values, the slot becomes free, and the record is no more. Whoever finds a valid
 *              record does these steps again: they write what was or would have been written, and
 *              the driver cannot have come past this entry.
 *
 * A store that makes something valid is a release; the stores before it are there first. In each
 * structure the lock of what it belongs to is held, as internal.h has it. None of it costs a system
 * call.
 */
#ifndef MODELS_NVME_KEPT_H
#define MODELS_NVME_KEPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "models/nvme/spec.h"

#define NVME_MAX_QUEUES	 64u /* I/O queue pairs */
#define NVME_QUEUES	 (NVME_MAX_QUEUES + 1u)
#define NVME_MAX_ENTRIES 4096u
#define NVME_MAX_NS	 32u
#define NVME_AER_MAX	 4u /* AERL 3 */
#define NVME_ERROR_LOG	 64u
#define NVME_DOORBELLS_N (0x1000u / 4)

/*
 * So many commands of a completion queue can be under way. What a driver has beyond that waits in
 * its submission queue.
 */
#define NVME_SLOTS 512u

enum nvme_slot_state { NVME_SLOT_FREE, NVME_SLOT_FETCHED, NVME_SLOT_EXECUTED };

/*
 * A command under way. It lies where the submission queue entry has what no command of this
 * controller uses: dwords 2 and 3, and MPTR.
 */
union nvme_slot {
	struct nvme_cmd cmd;
	struct {
		uint32_t dword0, nsid;
		_Atomic uint8_t state; /* enum nvme_slot_state */
		uint8_t sqid;
		uint16_t head;	 /* of the submission queue, behind the command */
		uint32_t seq;	 /* the submission queue's `fetched`, with it */
		uint32_t result; /* this and the next: of one that is EXECUTED */
		uint16_t status, location;
	};
};
_Static_assert(sizeof(union nvme_slot) == 64, "a command");

/* A completion that is being posted. */
struct nvme_record {
	_Atomic uint32_t valid;
	uint16_t tag; /* of its slot */
	uint16_t at;  /* where in the queue the entry goes */
	struct nvme_cqe entry;
	uint64_t commands, bytes; /* what struct nvme_counters has with it */
	uint64_t error;		  /* its number in the error log; 0: it is not there */
	uint64_t media_errors;	  /* how many there are with it, if it is */
};

/* Of one namespace: what was read, and what was written. */
struct nvme_counters {
	_Atomic uint64_t commands[2], bytes[2];
};

struct nvme_kept_cq {
	_Alignas(64) struct nvme_record record;
	_Alignas(64) _Atomic uint32_t size; /* entries; 0: the queue does not exist */
	uint32_t head;			    /* what was taken from the doorbell last */
	_Atomic uint32_t pos;		    /* where the next entry goes, and NVME_CQ_PHASE */
	uint32_t by;  /* seq of the admin command that made or deleted it last */
	uint32_t top; /* slots behind these were never used */
	uint16_t vector;
	atomic_bool ien;
	uint64_t base;
	uint64_t shadow, eventidx;
	struct nvme_counters count[NVME_MAX_NS];
};
#define NVME_CQ_PHASE 0x10000u

struct nvme_kept_sq {
	_Alignas(64) _Atomic uint32_t size; /* entries; 0: the queue does not exist */
	/* tail: what was taken from the doorbell last; under lock, but with doorbell buffers */
	_Atomic uint32_t head, tail;
	_Atomic uint32_t fetched; /* counts commands, for ever */
	uint32_t by;		  /* as of a completion queue */
	_Atomic uint16_t cqid;	  /* also read without the lock, just after it was let go */
	uint64_t base;
	_Atomic uint64_t shadow; /* doorbell buffers; 0: not configured */
	uint64_t eventidx;
};

struct nvme_features {
	uint32_t arbitration, power, coalesce, atomicity, async_event;
	_Atomic uint32_t write_cache; /* read without the lock */
	uint16_t over, under;	      /* temperature thresholds, kelvin */
	uint16_t vector[NVME_QUEUES];
	uint16_t error_recovery[NVME_MAX_NS]; /* of each namespace */
	uint64_t timestamp, timestamp_at;     /* ms the host gave; ns of ours when it came */
	bool timestamp_set;
	bool timestamp_stood;	 /* it did not count while the controller migrated */
	uint32_t keep_alive;	 /* ms; 0: off */
	uint64_t keep_alive_end; /* ns: when the timer expires */
	uint8_t retry_delays;	 /* Host Behavior Support, ACRE */
};

/* What cache.c keeps of a namespace, beside its maps. */
struct nvme_kept_cache {
	_Atomic uint32_t turn;	  /* which of the maps of acknowledged blocks is added to */
	_Atomic uint32_t syncing; /* a sync is under way, or its result not yet looked at */
	uint16_t status;	  /* of commands that want lost blocks on the medium */
};

struct nvme_kept {
	uint64_t layout;	      /* NVME_KEPT_LAYOUT, of which this memory is */
	uint64_t blocks[NVME_MAX_NS]; /* of each namespace */
	uint32_t max_queues;
	/*
	 * registers; written under life, but for what the driver writes when it likes; read by
	 * anyone
	 */
	_Atomic uint32_t cc, csts, intms, aqa;
	_Atomic uint64_t asq, acq;
	/* a write of CC that is under way: NVME_CC_OP, the old value, the new one; under life */
	_Atomic uint64_t cc_op;
	atomic_bool resetting; /* a reset of the function is under way; under life */
	_Atomic uint32_t rung[NVME_DOORBELLS_N]; /* doorbells that came by a callback */
	_Atomic uint64_t shadow; /* doorbell buffers; written under the admin queue's lock */
	uint64_t eventidx;
	uint32_t admin_start; /* the admin queue's tail when they were configured */
	/* under admin */
	struct nvme_features feat;
	uint32_t feature_by, abort_by; /* seq of the command that had effects last */
	_Atomic uint64_t new_events;   /* bit type * 8 + info; not under admin */
	uint64_t events;	       /* pending */
	uint8_t events_masked;	       /* types reported and not yet cleared by Get Log Page */
	bool hot, cold;		       /* temperature beyond its threshold */
	/* under log_lock */
	_Atomic uint64_t error_count;
	/* more than the driver sees: the next one is written before it counts */
	struct nvme_error_entry errors[2 * NVME_ERROR_LOG];
	_Atomic uint64_t media_errors;
	uint64_t started_ns;
	struct nvme_kept_cache cache[NVME_MAX_NS];
	struct nvme_kept_sq sq[NVME_QUEUES];
	struct nvme_kept_cq cq[NVME_QUEUES];
};
#define NVME_CC_OP (1ull << 63)
/* Another one where this file changes, or what any of it means. */
#define NVME_KEPT_LAYOUT ((uint64_t)sizeof(struct nvme_kept) << 32 | NVME_SLOTS << 8 | 1u)

#endif
