/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/ring_memory.h: the memory of a ring as both halves see it, and how they wait. What the
 * other side can write is atomic: it is read once.
 */
#ifndef VFIO_USER_RING_MEMORY_H
#define VFIO_USER_RING_MEMORY_H
#include <stdatomic.h>

#include "base/sys.h"
#include "vfio_user/ring.h"

#define LINE		64u /* bytes of a cache line */
#define RING_GET(field) atomic_load_explicit(&(field), memory_order_relaxed)

enum vu_ring_op { VU_RING_READ = 1, VU_RING_WRITE, VU_RING_SET_IRQS };

/* A request, by the client. */
struct vu_ring_slot {
	_Alignas(LINE) _Atomic uint32_t number;
	_Atomic uint32_t op;	 /* enum vu_ring_op */
	_Atomic uint32_t region; /* or an interrupt's index */
	_Atomic uint32_t count;
	_Atomic uint64_t offset; /* or flags, and << 32 the first vector */
	_Atomic uint64_t data;	 /* to be written, or DATA_BOOL */
};
struct vu_ring_answer {
	_Alignas(LINE) _Atomic uint32_t done; /* the last request that was */
	_Atomic int32_t error;
	_Atomic uint64_t data;
};
struct vu_ring_lane {
	struct vu_ring_slot slots[VU_RING_SLOTS];
	struct vu_ring_answer answer;	       /* by the server */
	_Alignas(LINE) _Atomic uint32_t waits; /* by the client: it sleeps on done */
};
struct vu_ring_memory {
	uint32_t magic; /* VU_RING_MAGIC */
	uint32_t lanes_there, slots_there;
	_Alignas(LINE) _Atomic uint32_t used;	/* lanes, by the client */
	_Alignas(LINE) _Atomic uint32_t asleep; /* 1: the server is */
	struct vu_ring_lane lanes[VU_RING_LANES];
};
#define VU_RING_MAGIC 0x676e6972u /* "ring" */

/*
 * Looking at memory for some time before one sleeps. It is worth it if what one waits for came soon
 * the last times; on one processor it never is.
 */
struct vu_ring_spin {
	unsigned worth; /* 0..VU_RING_WORTH */
	bool never;
};
#define VU_RING_WORTH	8u
#define VU_RING_SPIN_NS 50000u /* at most */
/* So often one looks first, at once and without a look at the clock: for a microsecond or less. */
#define VU_RING_LOOKS 512u

static inline uint64_t vu_ring_spin_ns(const struct vu_ring_spin *s)
{
	return s->never ? 0 : VU_RING_SPIN_NS * (uint64_t)s->worth / VU_RING_WORTH;
}
/* It came soon enough, or not. */
static inline void vu_ring_spin_learn(struct vu_ring_spin *s, bool soon)
{
	if (soon)
		s->worth += s->worth < VU_RING_WORTH;
	else
		s->worth -= s->worth > 1;
}

/* Sleep while *@word is @value, at most @ns. Wake all who do. */
void vu_ring_sleep(_Atomic uint32_t *word, uint32_t value, uint64_t ns);
void vu_ring_wake(_Atomic uint32_t *word);
#endif
