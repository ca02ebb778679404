/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/turns.h: threads that take turns. One has the turn, and does what is to be done. A
 * second looks after it: what may be overtaken, and takes longer than a tick, a millisecond, stops
 * nothing, since the second takes the turn over then. The first finishes what it was at, and looks
 * after the second, or waits until it is needed.
 *
 * That costs what may be overtaken two changes of a number, which is in this processor's cache.
 * Ticks are there while there is such a thing, and end when there is none for a while.
 *
 * Memory: none. Lock order: vu_turns.lock, which tick() is called with.
 */
#ifndef VFIO_USER_TURNS_H
#define VFIO_USER_TURNS_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VU_TURNS_THREADS 8u /* all of them but one may have been overtaken */

struct vu_turns_ops {
	/* Do the work until the turn is lost: false; or all is at an end: true. */
	bool (*carry)(void *arg);
	/*
	 * Called at each tick, with the lock held. @kind: what who has the turn is at, 0: nothing
	 * that counts; @same: it was at the same one a tick ago. True: it may be overtaken. NULL:
	 * whatever counts may be.
	 */
	bool (*tick)(void *arg, unsigned kind, bool same);
	const char *name; /* of threads */
};

struct vu_turns {
	const struct vu_turns_ops *ops;
	void *arg;
	pthread_mutex_t lock; /* guards what is not atomic */
	pthread_cond_t wake;
	bool taken;   /* a thread has the turn */
	bool watched; /* another one looks after it */
	bool ended;
	unsigned num_helpers, num_spare; /* spare: neither has the turn nor looks after it */
	pthread_t helpers[VU_TURNS_THREADS - 1];
	atomic_ullong doing; /* a kind, with a number above it that comes once */
	atomic_bool armed;   /* the one who looks after it looks now and then */
};

void vu_turns_init(struct vu_turns *t, const struct vu_turns_ops *ops, void *arg);
void vu_turns_fini(struct vu_turns *t);
/* Take turns with further threads, until all is at an end: then none of them is left. */
void vu_turns_run(struct vu_turns *t);

/*
 * Around what counts, by who has the turn; @kind: 1 to 3. The end returns false if another thread
 * has the turn meanwhile: then the caller has only to finish this.
 */
uint64_t vu_turns_begin(struct vu_turns *t, unsigned kind);
bool vu_turns_end(struct vu_turns *t, uint64_t ticket);
#endif
