/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/dma_malloc.c: a program whose own allocator unmaps memory with its lock held, as
 * tcmalloc does, while devices have that memory and other threads map and unmap for DMA. Nothing of
 * uvfio may allocate under a lock that the munmap waits for. Ends by count; a hang is a failure.
 */
#include <malloc.h>
#include <pthread.h>

#include "shim.h"

#define PAGE	4096ul
#define ROUNDS	1500
#define MAPPERS 3

/* ---- the allocator: a mapping for each block, the block behind its first page ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long unmapped; /* blocks, under the lock */

struct head {
	size_t mapped, size;
};

void *malloc(size_t n)
{
	size_t size = ((n + PAGE - 1) & ~(PAGE - 1)) + PAGE;
	struct head *h;

	if (size < n)
		return NULL;
	pthread_mutex_lock(&lock);
	h = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_unlock(&lock);
	if (h == MAP_FAILED)
		return NULL;
	*h = (struct head){ size, n };
	return (char *)h + PAGE;
}

void free(void *p)
{
	struct head *h = (struct head *)((char *)p - PAGE);

	if (!p)
		return;
	pthread_mutex_lock(&lock);
	unmapped++;
	munmap(h, h->mapped);
	pthread_mutex_unlock(&lock);
}

void *calloc(size_t n, size_t size)
{
	size_t all;

	return __builtin_mul_overflow(n, size, &all) ? NULL : malloc(all);
}

void *realloc(void *p, size_t n)
{
	size_t was = p ? ((struct head *)((char *)p - PAGE))->size : 0;
	void *q = malloc(n);

	if (q && p) {
		memcpy(q, p, was < n ? was : n);
		free(p);
	}
	return q;
}

void *memalign(size_t align, size_t n)
{
	return align <= PAGE ? malloc(n) : NULL;
}

void *aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

int posix_memalign(void **p, size_t align, size_t n)
{
	*p = memalign(align, n);
	return *p ? 0 : ENOMEM;
}

/* ---- the program ---- */

static int container;

static void *mapper(void *arg)
{
	unsigned long id = (unsigned long)arg, bad = 0;
	unsigned seed = (unsigned)id;

	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t n = PAGE << rand_r(&seed) % 6;
		char *p = malloc(n);
		struct vfio_iommu_type1_dma_map map = {
			.argsz = sizeof(map),
			.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
			.vaddr = (uintptr_t)p,
			/* far apart: each takes tables of its own */
			.iova = (id << 36) + ((uint64_t)(rand_r(&seed) % 1024) << 24),
			.size = n,
		};
		struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap),
							    .iova = map.iova,
							    .size = n };

		memset(p, 1, n);
		bad += ioctl(container, VFIO_IOMMU_MAP_DMA, &map) != 0;
		free(p);
		bad += ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) || unmap.size != n;
	}
	return (void *)bad;
}

static void freed_while_others_map(void)
{
	pthread_t t[MAPPERS];
	unsigned long bad = 0;
	void *ret;

	for (unsigned long i = 0; i < MAPPERS; i++)
		CHECK(!pthread_create(&t[i], NULL, mapper, (void *)(i + 1)));
	for (unsigned i = 0; i < MAPPERS; i++) {
		CHECK(!pthread_join(t[i], &ret));
		bad += (unsigned long)ret;
	}
	CHECK(!bad);
	CHECK(unmapped >= MAPPERS * ROUNDS);
}

int main(void)
{
	struct vfio v = vfio_open();

	CHECK(v.device >= 0);
	container = v.container;
	RUN(freed_while_others_map);
	vfio_close(&v);
	return any_failed;
}
