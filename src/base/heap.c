/* SPDX-License-Identifier: BSD-3-Clause */
/* base/heap.c: a pool for each class of sizes, and pages of their own for what is larger. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/pool.h"
#include "base/util.h"

#define MAGIC 0x7576696f68656170ull /* a pointer that is not ours is a fault here, not later */

/* before each block; as large as blocks are aligned */
struct head {
	uint64_t magic;
	size_t size; /* of head and block, as it was taken */
};
_Static_assert(sizeof(struct head) == 16, "blocks are aligned to 16");

#define CLASS(n)                                               \
	{                                                      \
		.lock = PTHREAD_MUTEX_INITIALIZER, .size = (n) \
	}
static struct pool classes[] = { CLASS(64), CLASS(256), CLASS(1024), CLASS(4096), CLASS(16384) };

/* Return the pool for @size bytes with their head; NULL: they have pages of their own. */
static struct pool *class_of(size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		if (size <= classes[i].size)
			return &classes[i];
	return NULL;
}

void *heap_alloc(size_t size)
{
	size_t all = size + sizeof(struct head);
	struct pool *p = class_of(all);
	struct head *h;

	if (all < size)
		return NULL;
	h = p ? pool_take(p) : pages_take(all);
	if (!h)
		return NULL;
	*h = (struct head){ MAGIC, all };
	return h + 1;
}

void *heap_array(size_t n, size_t size)
{
	size_t all;

	return __builtin_mul_overflow(n, size, &all) ? NULL : heap_alloc(all);
}

static struct head *head_of(void *p)
{
	struct head *h = (struct head *)p - 1;

	if (h->magic != MAGIC)
		abort();
	return h;
}

void heap_free(void *p)
{
	struct head *h;
	size_t size;

	if (!p)
		return;
	h = head_of(p);
	size = h->size;
	h->magic = 0;
	if (class_of(size))
		pool_put(class_of(size), h);
	else
		pages_give(h, size);
}

void *heap_resize(void *p, size_t size)
{
	size_t was = p ? head_of(p)->size - sizeof(struct head) : 0;
	void *new = heap_alloc(size);

	if (new &&p) {
		memcpy(new, p, was < size ? was : size);
		heap_free(p);
	}
	return new;
}

void heap_abandon(void)
{
	pages_abandon();
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		pool_init(&classes[i], classes[i].size);
}
