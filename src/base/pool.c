/* SPDX-License-Identifier: BSD-3-Clause */
/* base/pool.c: chunks of pages, cut into records. */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/pool.h"
#include "base/sys.h"
#include "base/util.h"

#define CHUNK_SIZE (64ul << 10) /* a page of it is memory when it is first touched */
#define ALIGN	   16ul

struct pool_spare {
	struct pool_spare *next;
};

struct pool_chunk {
	struct pool_chunk *next;
	size_t used; /* records that were given out once */
};

/*
 * Held around each mapping. The kernel needs no lock, but ThreadSanitizer does not see our munmap:
 * it takes the next user of the place for one that races with the last.
 */
static pthread_mutex_t pages_lock = PTHREAD_MUTEX_INITIALIZER; /* a leaf */

void *pages_take(size_t size)
{
	long at;

	pthread_mutex_lock(&pages_lock);
	at = sys_call(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	pthread_mutex_unlock(&pages_lock);
	return sys_failed(at) ? NULL : (void *)at;
}

void pages_give(void *p, size_t size)
{
	pthread_mutex_lock(&pages_lock);
	sys_call(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0);
	pthread_mutex_unlock(&pages_lock);
}

void pages_abandon(void)
{
	pthread_mutex_init(&pages_lock, NULL);
}

static char *records(struct pool_chunk *c)
{
	return (char *)c + align_up(sizeof(*c), ALIGN);
}

void pool_init(struct pool *p, size_t size)
{
	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
	p->size = align_up(size < sizeof(struct pool_spare) ? sizeof(struct pool_spare) : size,
			   ALIGN);
}

void pool_destroy(struct pool *p)
{
	struct pool_chunk *c = p->chunks, *next;

	for (; c; c = next) {
		next = c->next;
		pages_give(c, CHUNK_SIZE);
	}
	pthread_mutex_destroy(&p->lock);
}

static struct pool_chunk *grow(struct pool *p)
{
	struct pool_chunk *c = pages_take(CHUNK_SIZE);

	if (!c)
		return NULL;
	c->next = p->chunks;
	p->chunks = c;
	return c;
}

void *pool_take(struct pool *p)
{
	struct pool_chunk *c;
	void *r = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->spare) {
		r = p->spare;
		p->spare = p->spare->next;
		memset(r, 0, p->size);
	} else {
		c = p->chunks;
		if (!c || records(c) + (c->used + 1) * p->size > (char *)c + CHUNK_SIZE)
			c = grow(p);
		if (c)
			r = records(c) + c->used++ * p->size;
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

void pool_put(struct pool *p, void *record)
{
	struct pool_spare *s = record;

	pthread_mutex_lock(&p->lock);
	s->next = p->spare;
	p->spare = s;
	pthread_mutex_unlock(&p->lock);
}
