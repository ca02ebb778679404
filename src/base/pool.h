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

/* Returns @size bytes of zeros in pages of their own, or NULL: no memory. */
void *pages_take(size_t size);
void pages_give(void *p, size_t size);
/* In a forked child: their lock is free, whoever held it. */
void pages_abandon(void);

struct pool_spare;
struct pool_chunk;

struct pool {
	pthread_mutex_t lock; /* a leaf */
	size_t size;
	struct pool_spare *spare;
	struct pool_chunk *chunks;
};

void pool_init(struct pool *p, size_t size);
/* Gives all memory back, whatever is still taken. */
void pool_destroy(struct pool *p);
/* Returns a record of zeros, or NULL: no memory. */
void *pool_take(struct pool *p);
/* Take @record (not NULL) back; its memory stays the pool's. */
void pool_put(struct pool *p, void *record);
#endif
