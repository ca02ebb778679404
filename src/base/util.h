/* SPDX-License-Identifier: BSD-3-Clause */
/* base/util.h: small things that have no other home. */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)			     (sizeof(a) / sizeof((a)[0]))
#define container_of_type(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define PAGE_SIZE_4K			     4096ull
#define HUGE_2M				     (1ull << 21)
#define HUGE_1G				     (1ull << 30)

/* True if @a + @b does not fit. */
static inline bool add_overflows(uint64_t a, uint64_t b)
{
	return a + b < a;
}
/* True if [off, off + len) lies within [0, size). */
static inline bool range_within(uint64_t off, uint64_t len, uint64_t size)
{
	return len <= size && off <= size - len;
}
/* True for a power of two. */
static inline bool is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}
/* Return the next multiple of @a, a power of two, from @v up. */
static inline uint64_t align_up(uint64_t v, uint64_t a)
{
	return (v + a - 1) & ~(a - 1);
}
/* Return the next multiple of @a, a power of two, from @v down. */
static inline uint64_t align_down(uint64_t v, uint64_t a)
{
	return v & ~(a - 1);
}

/* struct ref - a reference count, 1 at first. */
struct ref {
	atomic_uint n;
};
static inline void ref_init(struct ref *r)
{
	atomic_init(&r->n, 1);
}
static inline void ref_get(struct ref *r)
{
	atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);
}
/* Give a reference back; true: it was the last, and the object is the caller's to free. */
static inline bool ref_put(struct ref *r)
{
	return atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel) == 1;
}
#endif
