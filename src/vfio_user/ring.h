/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/ring.h: register accesses and interrupts by shared memory, between our own two ends
 * ("uvfio":{"ring":true} in VERSION). The server makes the memory, and hands it out by a command of
 * our own, VU_UVFIO_RING. While a thread of the server looks at it, an access costs two cache lines
 * from one processor to the other; when it sleeps, a futex.
 *
 * The memory is a head and lanes. A client's thread has a lane for the time of an access; a lane
 * has slots, in which requests stand in order, and one answer:
 *
 *	head	magic, lanes, slots | used: lanes that the client has | asleep: the server's futex
 *	lane	slot 0 ... slot 7   | done, error, data: the answer   | waits: the client does
 *
 * A request is there when its slot has its number: the lane's first one is 1. The answer is there
 * when done has the number. A posted write is a request for which nobody waits, so that up to eight
 * of a thread are on their way; whoever comes with another lane waits until they are done, so that
 * all accesses are in the order in which the program made them. What goes by the socket instead
 * must come after vu_ring_flush().
 *
 * Both sides read each value once and check it. Whoever scribbles in the memory can make the other
 * one carry out requests or take answers that mean nothing, which is what its messages could do,
 * too. That a peer is gone is seen by the socket.
 *
 * Memory: base/heap.h and base/pool.h. Lock order: no locks but a lane's, which is one thread's for
 * one access.
 */
#ifndef VFIO_USER_RING_H
#define VFIO_USER_RING_H
#include <stdbool.h>
#include <stdint.h>

#include "vfio_user/conn.h"

#define VU_RING_LANES 32u
#define VU_RING_SLOTS 8u
/* Bytes of a register, and of DATA_BOOL in a SET_IRQS. */
#define VU_RING_DATA 8u

/* VU_UVFIO_RING: the request has zeros, the reply this, with the memory's descriptor. */
struct vu_ring_info {
	uint32_t lanes, slots;
	uint64_t size; /* of the memory */
};

/* ---- the server's half ---- */

/*
 * What it does, by the ring's threads: one thing at a time, but for reads that take longer than a
 * millisecond. 0 or -errno.
 */
struct vu_ring_ops {
	int (*access)(void *arg, uint32_t region, uint64_t offset, void *buf, uint32_t count,
		      bool write);
	/* @set has no descriptors; @data: @set->count bytes, if it is DATA_BOOL. */
	int (*set_irqs)(void *arg, const struct vu_set_irqs *set, const uint8_t *data);
	/* The client does what no client does: its connection is to be killed. */
	void (*broken)(void *arg, int error);
};
struct vu_ring_server;

/**
 * vu_ring_server_new - make a ring, with threads that serve it
 * @name: for the log; outlives it, as @ops does
 * @fd: gets the memory's descriptor, private, the caller's
 *
 * Return: 0; -ENOMEM, -EMFILE, -EAGAIN, -ENOSPC.
 */
int vu_ring_server_new(const struct vu_ring_ops *ops, void *arg, const char *name,
		       struct vu_ring_info *info, int *fd, struct vu_ring_server **out);
/** vu_ring_server_free - end it; no access is being made any more when it returns (may be NULL) */
void vu_ring_server_free(struct vu_ring_server *r);

/* ---- the client's half: any thread ---- */

struct vu_ring;

/**
 * vu_ring_new - have the ring that a server handed out
 * @conn: by which the server is seen to be gone; outlives the ring
 * @fd: the caller's still
 * @timeout_ns: for an answer
 *
 * Return: 0; -EPROTO: it is no such ring, or its memory could be taken away; -ENOMEM.
 */
int vu_ring_new(struct vu_conn *conn, const struct vu_ring_info *info, int fd, uint64_t timeout_ns,
		struct vu_ring **out);
/** vu_ring_free - nobody is in it any more; also in a forked child (may be NULL) */
void vu_ring_free(struct vu_ring *r);
/**
 * vu_ring_access - read or write up to VU_RING_DATA bytes of a region
 * @post: a write whose success nobody waits for
 *
 * Return: 0; the server's error; VU_RING_BUSY: no lane is free, or it would take longer than by the
 * socket: go there, after vu_ring_flush(); -ETIMEDOUT, or why the connection is dead: then the ring
 * is, too.
 */
#define VU_RING_BUSY 1
int vu_ring_access(struct vu_ring *r, uint32_t region, uint64_t offset, void *buf, uint32_t count,
		   bool write, bool post);
/** vu_ring_set_irqs - the same for SET_IRQS with no data or with up to VU_RING_DATA bytes */
int vu_ring_set_irqs(struct vu_ring *r, const struct vu_set_irqs *set, const uint8_t *data);
/** vu_ring_flush - wait until all that was posted is done. The same errors. */
int vu_ring_flush(struct vu_ring *r);
#endif
