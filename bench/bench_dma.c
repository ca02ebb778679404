/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_dma.c: what the software IOMMU costs. Translation stands beside the one array access
 * that a flat table would take, in the same random order; mapping beside the system calls that a
 * kernel would take for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/rcu.h"
#include "base/sys.h"
#include "bench.h"
#include "iommu/device.h"
#include "vfio/group.h"
#include "vfio/type1.h"

#define K4	4096ull
#define GIB	(1ull << 30)
#define BASE	(16 * GIB)
#define MILLION 1000000u
/* memory that translation hands out and nobody touches */
#define MEM(page) ((void *)(uintptr_t)(0x100000000000ull + (page)*2 * K4))

struct translate {
	struct iommu_domain *d;
	void **flat;
	uint32_t *order; /* pages, at random */
	unsigned pages, steps;
	uint64_t at[2]; /* where each of the two goes on in the order */
};

static void fill(struct translate *t, unsigned pages)
{
	uint64_t x = 88172645463325252ull;
	int rc;

	t->pages = pages;
	t->steps = 1u << 20;
	t->d = iommu_domain_new();
	t->flat = malloc(pages * sizeof(*t->flat));
	t->order = malloc(t->steps * sizeof(*t->order));
	if (!t->d || !t->flat || !t->order)
		bench_die("memory", 12);
	for (unsigned i = 0; i < pages; i++) {
		t->flat[i] = MEM(i);
		rc = iommu_domain_map(t->d, BASE + i * K4, MEM(i), K4, IOMMU_READ | IOMMU_WRITE);
		if (rc)
			bench_die("map", rc);
	}
	for (unsigned i = 0; i < t->steps; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		t->order[i] = (uint32_t)(x % pages);
	}
}

static void flat(void *arg, uint64_t n)
{
	struct translate *t = arg;

	for (uint64_t i = 0; i < n; i++)
		bench_use(t->flat[t->order[t->at[0]++ & (t->steps - 1)]]);
}

static void translate(void *arg, uint64_t n)
{
	struct translate *t = arg;
	enum iommu_fault_reason why;
	uint64_t contig;
	void *p;

	for (uint64_t i = 0; i < n; i++) {
		rcu_read_begin();
		p = iommu_domain_translate(t->d, BASE + t->order[t->at[1]++ & (t->steps - 1)] * K4,
					   IOMMU_READ, &contig, &why);
		rcu_read_end();
		if (!p)
			bench_die("translate", 14);
		bench_use(p);
	}
}

/* ---- a device's copy of a cache line through it all, beside memcpy ---- */

struct copy {
	struct iommu_device dev;
	char *mem;
	uint64_t size;
	size_t len;
};

static void copy_plain(void *arg, uint64_t n)
{
	struct copy *c = arg;
	static char buf[4096];

	for (uint64_t i = 0; i < n; i++) {
		memcpy(buf, c->mem + i * c->len % c->size, c->len);
		bench_use(buf);
	}
}

static void copy_dma(void *arg, uint64_t n)
{
	struct copy *c = arg;
	static char buf[4096];

	for (uint64_t i = 0; i < n; i++)
		if (iommu_dma_read(&c->dev, BASE + i * c->len % c->size, buf, c->len))
			bench_die("dma read", 14);
}

/* ---- mapping ---- */

struct mapping {
	struct iommu_domain *d;
	struct vfio_type1 *t;
	char *mem;
	uint64_t size;
	uint64_t iova;
};

static void two_calls(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		sys_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
		sys_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
	}
}

static void one_call(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		sys_call(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static void mmap_munmap(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		void *p = mmap(NULL, K4, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		munmap(p, K4);
	}
}

static void map_unmap(void *arg, uint64_t n)
{
	struct mapping *m = arg;

	for (uint64_t i = 0; i < n; i++) {
		if (iommu_domain_map(m->d, m->iova, m->mem, m->size, IOMMU_READ | IOMMU_WRITE))
			bench_die("map", 17);
		if (iommu_domain_unmap(m->d, m->iova, m->size) != m->size)
			bench_die("unmap", 17);
	}
}

static void map_unmap_type1(void *arg, uint64_t n)
{
	struct mapping *m = arg;
	uint64_t bytes;

	for (uint64_t i = 0; i < n; i++) {
		if (vfio_type1_map(m->t, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
				   (uintptr_t)m->mem, m->iova, m->size))
			bench_die("type1 map", 17);
		if (vfio_type1_unmap(m->t, 0, m->iova, m->size, &bytes, 0, 0, NULL) ||
		    bytes != m->size)
			bench_die("type1 unmap", 17);
	}
}

/* n pages, one call each; all gone in one. */
static void map_each(void *arg, uint64_t n)
{
	struct mapping *m = arg;

	for (uint64_t i = 0; i < n; i++)
		if (iommu_domain_map(m->d, m->iova + i * K4, MEM(i), K4, IOMMU_READ))
			bench_die("map", 17);
	if (iommu_domain_unmap(m->d, m->iova, n * K4) != n * K4)
		bench_die("unmap", 17);
}

int main(void)
{
	static struct translate t1, t1k, t1m;
	static struct mapping page, gib, gib_pages, type1_page, type1_gib, million;
	static struct copy line, block;
	struct bench b = { .n = 0 };
	struct vfio_system *sys;
	struct iommu_domain *d;
	int f;

	fill(&t1, 1);
	fill(&t1k, 1000);
	fill(&t1m, MILLION);
	f = bench_floor(&b, "array access, 1 page", flat, &t1, 1u << 17);
	bench_add(&b, "DMA translate, 1 mapping", translate, &t1, 1u << 17, f, 0, 0);
	f = bench_floor(&b, "array access, 1,000 pages at random", flat, &t1k, 1u << 17);
	bench_add(&b, "DMA translate, 1,000 mappings at random", translate, &t1k, 1u << 17, f, 0,
		  0);
	f = bench_floor(&b, "array access, 1,000,000 pages at random", flat, &t1m, 1u << 20);
	bench_rare(&b);
	bench_add(&b, "DMA translate, 1,000,000 mappings at random", translate, &t1m, 1u << 20, f,
		  0, 30);
	bench_rare(&b);

	iommu_device_init(&line.dev, "bench");
	d = iommu_domain_new();
	line.size = block.size = 256 * K4;
	line.mem = block.mem = mmap(NULL, line.size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	memset(line.mem, 1, line.size); /* else all of it is the zero page */
	if (iommu_domain_map(d, BASE, line.mem, line.size, IOMMU_READ))
		bench_die("map", 22);
	iommu_device_attach(&line.dev, d);
	iommu_device_init(&block.dev, "bench");
	iommu_device_attach(&block.dev, d);
	line.len = 64;
	block.len = 4096;
	f = bench_floor(&b, "memcpy of 64 bytes", copy_plain, &line, 1u << 15);
	bench_add(&b, "DMA read of 64 bytes (translated, guarded)", copy_dma, &line, 1u << 15, f, 0,
		  0);
	f = bench_floor(&b, "memcpy of 4 KiB", copy_plain, &block, 1u << 13);
	bench_add(&b, "DMA read of 4 KiB (translated, guarded)", copy_dma, &block, 1u << 10, f, 0,
		  0);

	sys = vfio_system_new(NULL, NULL);
	type1_page.t = type1_gib.t = vfio_type1_new(sys, true);
	page.d = gib.d = gib_pages.d = million.d = iommu_domain_new();
	page.mem = type1_page.mem = line.mem;
	gib.mem = gib_pages.mem = type1_gib.mem =
		mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		     -1, 0);
	page.iova = gib.iova = million.iova = type1_page.iova = type1_gib.iova = 16 * GIB;
	gib_pages.iova = 16 * GIB;
	page.size = type1_page.size = K4;
	gib.size = GIB;
	gib_pages.size = GIB - K4; /* no leaf of 1 GiB: 511 of 2 MiB and 511 of 4 KiB */
	type1_gib.size = 64ull << 20;
	f = bench_floor(&b, "two system calls", two_calls, NULL, 1u << 11);
	bench_add(&b, "domain: map + unmap of one page", map_unmap, &page, 1u << 10, f, 0, 0);
	bench_add(&b, "domain: map + unmap of 1 GiB, aligned", map_unmap, &gib, 1u << 10, f, 0, 0);
	bench_add(&b, "domain: map + unmap of 1 GiB less a page", map_unmap, &gib_pages, 1u << 8, f,
		  0, 0);
	f = bench_floor(&b, "mmap + munmap of one page", mmap_munmap, NULL, 1u << 8);
	bench_add(&b, "type1: MAP_DMA + UNMAP_DMA of one page", map_unmap_type1, &type1_page,
		  1u << 8, f, 0, 0);
	f = bench_floor(&b, "a system call", one_call, NULL, 1u << 11);
	/* a kernel takes one call for each; the aim is a million in a second */
	bench_add(&b, "domain: 1,000,000 maps of a page + one unmap, per page", map_each, &million,
		  MILLION, f, 0, 1000);
	bench_rare(&b);
	bench_run(&b);
	return 0;
}
