/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/heap.h: memory that is not malloc's, for calls that a program may make in a signal handler:
 * a handler may have come in the middle of malloc, whose locks the interrupted code holds. Who
 * takes memory here has signals blocked (the shim), or does not promise as much (the native API).
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H
#include <stddef.h>

/* Returns @size bytes of zeros, aligned to 16, or NULL: no memory. */
void *heap_alloc(size_t size);
/* The same for @n times @size, without overflow. */
void *heap_array(size_t n, size_t size);
/*
 * Returns @p (may be NULL) with room for @size bytes, what is new of zeros; NULL: @p is as it was.
 */
void *heap_resize(void *p, size_t size);
void heap_free(void *p);
/* In a forked child: its locks are free, whoever held them. */
void heap_abandon(void);
#endif
