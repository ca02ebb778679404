/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/test_fault.h: for tests named *_fault_test.c, which are linked so that the core's malloc,
 * calloc and realloc, pool_take and heap_alloc and its kin, come here (fuzz/fuzz.mk). The idea is
 * SQLite's: fail the first allocation of an operation, then the second, until the operation gets
 * through; each time it must fail with an error and leave everything as it was. Only the thread
 * that asked for it is refused memory.
 */
#ifndef BASE_TEST_FAULT_H
#define BASE_TEST_FAULT_H
#include <stdbool.h>
#include <stddef.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
struct pool;
void *__real_pool_take(struct pool *p);
void *__wrap_pool_take(struct pool *p);
void *__real_heap_alloc(size_t size);
void *__wrap_heap_alloc(size_t size);
void *__real_heap_array(size_t n, size_t size);
void *__wrap_heap_array(size_t n, size_t size);
void *__real_heap_resize(void *p, size_t size);
void *__wrap_heap_resize(void *p, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static __thread unsigned fault_countdown; /* 0: off; 1: the next one fails */
static __thread bool fault_happened;

static bool fault_now(void)
{
	if (!fault_countdown || --fault_countdown)
		return false;
	fault_happened = true;
	return true;
}

__attribute__((visibility("default"))) void *__wrap_malloc(size_t n)
{
	return fault_now() ? NULL : __real_malloc(n);
}
__attribute__((visibility("default"))) void *__wrap_calloc(size_t n, size_t size)
{
	return fault_now() ? NULL : __real_calloc(n, size);
}
__attribute__((visibility("default"))) void *__wrap_realloc(void *p, size_t n)
{
	return fault_now() ? NULL : __real_realloc(p, n);
}

void *__wrap_pool_take(struct pool *p)
{
	return fault_now() ? NULL : __real_pool_take(p);
}

void *__wrap_heap_alloc(size_t size)
{
	return fault_now() ? NULL : __real_heap_alloc(size);
}

void *__wrap_heap_array(size_t n, size_t size)
{
	return fault_now() ? NULL : __real_heap_array(n, size);
}

void *__wrap_heap_resize(void *p, size_t size)
{
	return fault_now() ? NULL : __real_heap_resize(p, size);
}

/* From here on the @n-th allocation of this thread fails. */
static inline void fault_set(unsigned n)
{
	fault_countdown = n;
	fault_happened = false;
}
/* No more; true if one failed. */
static inline bool fault_clear(void)
{
	fault_countdown = 0;
	return fault_happened;
}
#endif
