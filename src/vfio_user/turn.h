/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/turn.h: threads that take turns. One has the turn, and does what is to be done. A
 * second looks after it: what takes longer than a tick, a millisecond, and may be overtaken, stops
 * nothing, since the second takes the turn over then. The first finishes what it was at, and looks
 * after the second, or waits until it is needed.
 *
 * That costs what may be overtaken two changes of a number, which is in this processor's cache.
 * Ticks are there while there is such a thing, and end when there is none for a while.
 *
 * Memory: none. Lock order: the lock is a leaf, and is not held while the owner's functions run.
 */
#ifndef VFIO_USER_TURN_H
#define VFIO_USER_TURN_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VU_TURN_THREADS 8u /* all of them but one may have been overtaken */

struct vu_turn {
	/* the owner's: do the work until the turn is lost, false, or all is at an end, true */
	bool (*carry)(void *arg);
	void *arg;
	const char *name; /* of threads */

	pthread_mutex_t lock; /* guards what is not atomic */
	pthread_cond_t wake;
	bool taken;   /* a thread has the turn */
	bool watched; /* another one looks after it */
	bool ended;
	unsigned num_helpers, num_spare; /* spare: neither has the turn nor looks after it */
	pthread_t helpers[VU_TURN_THREADS - 1];
	/* odd: who has the turn is at what may be overtaken; a number comes once */
	atomic_ullong doing;
	atomic_bool armed; /* the one who looks after it looks now and then */
};

/* Make @t ready, whose carry, arg and name are there. */
void vu_turn_init(struct vu_turn *t);
void vu_turn_fini(struct vu_turn *t);
/* Take turns with further threads, until all is at an end: then none of them is left. */
void vu_turn_run(struct vu_turn *t);

/*
 * Around what may be overtaken, by who has the turn. The end returns false if another thread has
 * the turn meanwhile: then the caller has only to finish this.
 */
uint64_t vu_turn_begin(struct vu_turn *t);
bool vu_turn_end(struct vu_turn *t, uint64_t ticket);
#endif
