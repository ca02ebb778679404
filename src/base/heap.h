/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/heap.h: memory that is not malloc's, for calls that a program may make in a signal handler:
 * a handler may have come in the middle of malloc, whose locks the interrupted code holds. A caller
 * has signals blocked (the shim), or promises less (the native API).
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H
#include <stddef.h>

/* Return @size bytes of zeros, aligned to 16, or NULL: no memory. */
void *heap_alloc(size_t size);
/* Return @n times @size bytes of zeros, or NULL: no memory, or an overflow. */
void *heap_array(size_t n, size_t size);
/* Return @p (may be NULL) with room for @size bytes, new ones zero; NULL: @p is as it was. */
void *heap_resize(void *p, size_t size);
/* Free @p, which may be NULL. */
void heap_free(void *p);
/* In a forked child: free the locks, which a thread may have held that is no more. */
void heap_abandon(void);
#endif
