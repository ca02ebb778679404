/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/pool.h: records of one size in memory of their own, past malloc. For what is allocated or
 * freed under a lock that munmap, madvise and their kin of the program wait for (memory that is
 * mapped for DMA): the program's allocator calls those with its own locks held.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H
#include <pthread.h>
#include <stddef.h>

/* Return @size bytes of zeros in pages of their own, or NULL: no memory. */
void *pages_take(size_t size);
/* Give back @p, which was taken with the same @size. */
void pages_give(void *p, size_t size);
/* In a forked child: free the lock, which a thread may have held that is no more. */
void pages_abandon(void);

struct pool_spare;
struct pool_chunk;

struct pool {
	pthread_mutex_t lock; /* a leaf */
	size_t size;
	struct pool_spare *spare;
	struct pool_chunk *chunks;
};

/* Make a pool of records of @size bytes. */
void pool_init(struct pool *p, size_t size);
/* Give all memory back, also that of records that were not put back. */
void pool_destroy(struct pool *p);
/* Return a record of zeros, or NULL: no memory. */
void *pool_take(struct pool *p);
/* Take @record (not NULL) back; its memory stays the pool's. */
void pool_put(struct pool *p, void *record);
#endif
