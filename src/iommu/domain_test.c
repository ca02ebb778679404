/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/domain_test.c: the page table against a plain model of it (one entry a page), against
 * failures of each allocation, and with readers that walk while it changes. domain.c is included,
 * so that its allocations are ours to fail.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/heap.h"
#include "base/pool.h"
#include "base/sys.h"

static long fail_at = -1; /* the allocation that fails, counted from 0 */
static long live, in_pools;

static void *failing_alloc(size_t size)
{
	void *p;

	if (fail_at >= 0 && !fail_at--)
		return NULL;
	p = heap_alloc(size);
	live += p != NULL;
	return p;
}

static void counted_free(void *p)
{
	live -= p != NULL;
	heap_free(p);
}

static void *failing_take(struct pool *pool)
{
	void *p;

	if (fail_at >= 0 && !fail_at--)
		return NULL;
	p = pool_take(pool);
	live += p != NULL;
	in_pools += p != NULL;
	return p;
}

static void counted_put(struct pool *pool, void *p)
{
	live--;
	in_pools--;
	pool_put(pool, p);
}

/* with all that is in it; no test has two domains */
static void counted_destroy(struct pool *pool)
{
	live -= in_pools;
	in_pools = 0;
	pool_destroy(pool);
}

#define heap_alloc   failing_alloc
#define heap_free    counted_free
#define pool_take    failing_take
#define pool_put     counted_put
#define pool_destroy counted_destroy
#include "domain.c"
#undef heap_alloc
#undef heap_free
#undef pool_take
#undef pool_put
#undef pool_destroy

#define K4 0x1000ull
#define M2 0x200000ull
#define G1 0x40000000ull
#define RW (IOMMU_READ | IOMMU_WRITE)

/* Memory that is never touched: any address will do. */
#define MEM(x) ((void *)(uintptr_t)(0x100000000000ull + (x)))

static void *at(struct iommu_domain *d, uint64_t iova, unsigned prot, uint64_t *contig,
		enum iommu_fault_reason *why)
{
	enum iommu_fault_reason w;
	uint64_t c = 0;
	void *p;

	rcu_read_begin();
	p = iommu_domain_translate(d, iova, prot, &c, &w);
	rcu_read_end();
	if (contig)
		*contig = c;
	if (why)
		*why = w;
	assert_true(!p == (w != IOMMU_OK));
	return p;
}

/* Return the bytes that are mapped in @t. */
static uint64_t mapped(struct table *t, unsigned level)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < IOMMU_ENTRIES; i++) {
		uint64_t e = get(t, i);

		if (e)
			n += is_table(e) ? mapped(table_of(e), level - 1) : level_size(level);
	}
	return n;
}

static unsigned long tables(struct table *t, unsigned level)
{
	unsigned long n = 1;
	unsigned used = 0;

	for (unsigned i = 0; i < IOMMU_ENTRIES; i++) {
		uint64_t e = get(t, i);

		used += e != 0;
		if (is_table(e)) {
			assert_int_not_equal(table_of(e)->used, 0);
			n += tables(table_of(e), level - 1);
		}
	}
	assert_int_equal(used, t->used);
	return n;
}

static void test_errors(void **state)
{
	struct iommu_domain *d = iommu_domain_new();

	assert_int_equal(iommu_domain_map(d, 0, MEM(0), 0, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 1, MEM(0), K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0, MEM(1), K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0, NULL, K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0, MEM(0), K4 + 512, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0, MEM(0), K4, 0), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0, MEM(0), K4, 4), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 1ull << 48, MEM(0), K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, (1ull << 48) - K4, MEM(0), 2 * K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, K4, MEM(0), -K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, -K4, MEM(0), 2 * K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, K4, (void *)-K4, 2 * K4, RW), -EINVAL);
	/* the interrupt range: into, out of, around, within */
	assert_int_equal(iommu_domain_map(d, 0xfedff000, MEM(0), 2 * K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0xfeeff000, MEM(0), 2 * K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0xfee00000, MEM(0), K4, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0, MEM(0), 4 * G1, RW), -EINVAL);
	assert_int_equal(iommu_domain_map(d, 0xfedff000, MEM(0), K4, RW), 0);
	assert_int_equal(iommu_domain_map(d, 0xfef00000, MEM(0), K4, RW), 0);
	/* the ends of the address space */
	assert_int_equal(iommu_domain_map(d, 0, MEM(0), K4, RW), 0);
	assert_int_equal(iommu_domain_map(d, (1ull << 48) - K4, MEM(0), K4, RW), 0);
	assert_int_equal(mapped(&d->root, TOP_LEVEL), 4 * K4);
	assert_ptr_equal(at(d, (1ull << 48) - 1, RW, NULL, NULL), MEM(K4 - 1));
	assert_null(at(d, 1ull << 48, RW, NULL, NULL));
	assert_null(at(d, UINT64_MAX, RW, NULL, NULL));
	assert_int_equal(iommu_domain_unmap(d, 0, 0), 0);
	assert_int_equal(iommu_domain_unmap(d, 1ull << 48, K4), 0);
	assert_int_equal(iommu_domain_unmap(d, K4, K4), 0);
	assert_int_equal(iommu_domain_unmap(d, 0, UINT64_MAX), 4 * K4);
	assert_int_equal(tables(&d->root, TOP_LEVEL), 1);
	iommu_domain_put(d);
	assert_int_equal(live, 0);
}

static void test_leaves_and_rights(void **state)
{
	struct iommu_domain *d = iommu_domain_new();
	enum iommu_fault_reason why;
	uint64_t contig;

	/* one call: 4K + 2M + 1G + 4K */
	assert_int_equal(
		iommu_domain_map(d, G1 - M2 - K4, MEM(0x5000), K4 + M2 + G1 + K4, IOMMU_READ), 0);
	assert_int_equal(mapped(&d->root, TOP_LEVEL), 2 * K4 + M2 + G1);
	assert_ptr_equal(at(d, G1 - M2 - K4, IOMMU_READ, &contig, NULL), MEM(0x5000));
	assert_int_equal(contig, K4);
	assert_ptr_equal(at(d, G1 - M2 + 5, IOMMU_READ, &contig, NULL), MEM(0x6005));
	assert_int_equal(contig, M2 - 5);
	assert_ptr_equal(at(d, G1 + 7, IOMMU_READ, &contig, NULL), MEM(0x6007 + M2));
	assert_int_equal(contig, G1 - 7);
	assert_ptr_equal(at(d, 2 * G1 + K4 - 1, IOMMU_READ, &contig, NULL),
			 MEM(0x6000 + M2 + G1 + K4 - 1));
	assert_int_equal(contig, 1);
	assert_null(at(d, 2 * G1 + K4, IOMMU_READ, NULL, &why));
	assert_int_equal(why, IOMMU_NOT_MAPPED);
	assert_null(at(d, G1, IOMMU_WRITE, NULL, &why));
	assert_int_equal(why, IOMMU_NO_RIGHT);
	assert_null(at(d, G1, RW, NULL, &why));
	assert_int_equal(why, IOMMU_NO_RIGHT);
	/* root, one for each of 4K below, 2M level, 4K above */
	assert_int_equal(tables(&d->root, TOP_LEVEL), 6);
	/* overlaps of every kind change nothing */
	assert_int_equal(iommu_domain_map(d, 0, MEM(0), G1, RW), -EEXIST);
	assert_int_equal(iommu_domain_map(d, G1, MEM(0), K4, RW), -EEXIST);
	assert_int_equal(iommu_domain_map(d, G1 + M2, MEM(0), M2, RW), -EEXIST);
	assert_int_equal(iommu_domain_map(d, 2 * G1, MEM(0), M2, RW), -EEXIST);
	assert_int_equal(iommu_domain_map(d, 0x10000000000ull - 8 * G1, MEM(0), 8 * G1, RW), 0);
	assert_int_equal(iommu_domain_map(d, 0x10000000000ull - 9 * G1 - K4, MEM(0), 2 * G1, RW),
			 -EEXIST);
	assert_int_equal(mapped(&d->root, TOP_LEVEL), 2 * K4 + M2 + 9 * G1);
	assert_int_equal(tables(&d->root, TOP_LEVEL), 7);
	/* a hole in the middle of the 1 GiB leaf */
	assert_int_equal(iommu_domain_unmap(d, G1 + 5 * M2 + 3 * K4, 2 * K4), 2 * K4);
	assert_null(at(d, G1 + 5 * M2 + 3 * K4, IOMMU_READ, NULL, NULL));
	assert_ptr_equal(at(d, G1 + 5 * M2 + 5 * K4, IOMMU_READ, &contig, NULL),
			 MEM(0x6000 + M2 + 5 * M2 + 5 * K4));
	assert_int_equal(contig, K4);
	assert_ptr_equal(at(d, G1 + 6 * M2, IOMMU_READ, &contig, NULL), MEM(0x6000 + M2 + 6 * M2));
	assert_int_equal(contig, M2);
	assert_null(at(d, G1 + 6 * M2, IOMMU_WRITE, NULL, NULL));
	iommu_domain_put(d);
	assert_int_equal(live, 0);
}

static void test_remap(void **state)
{
	struct iommu_domain *d = iommu_domain_new();

	assert_int_equal(iommu_domain_map(d, M2, MEM(0), 2 * M2, IOMMU_WRITE), 0);
	assert_int_equal(iommu_domain_map(d, 3 * M2, MEM(G1), K4, IOMMU_READ), 0);
	assert_int_equal(iommu_domain_remap(d, 3 * M2 - K4, MEM(2 * G1), 2 * K4), 0);
	assert_ptr_equal(at(d, 3 * M2 - K4, IOMMU_WRITE, NULL, NULL), MEM(2 * G1));
	assert_ptr_equal(at(d, 3 * M2, IOMMU_READ, NULL, NULL), MEM(2 * G1 + K4));
	assert_null(at(d, 3 * M2, IOMMU_WRITE, NULL, NULL)); /* rights stay */
	assert_null(at(d, 3 * M2 - K4, IOMMU_READ, NULL, NULL));
	assert_ptr_equal(at(d, 3 * M2 - 2 * K4, IOMMU_WRITE, NULL, NULL), MEM(2 * M2 - 2 * K4));
	assert_ptr_equal(at(d, M2, IOMMU_WRITE, NULL, NULL), MEM(0));
	/* a hole: nothing changes */
	assert_int_equal(iommu_domain_remap(d, 3 * M2, MEM(3 * G1), 2 * K4), -ENOENT);
	assert_int_equal(iommu_domain_remap(d, 0, MEM(3 * G1), 2 * M2), -ENOENT);
	assert_ptr_equal(at(d, 3 * M2, IOMMU_READ, NULL, NULL), MEM(2 * G1 + K4));
	assert_int_equal(iommu_domain_remap(d, M2, MEM(1), M2), -EINVAL);
	assert_int_equal(iommu_domain_remap(d, M2, MEM(0), 0), -EINVAL);
	/* a whole large leaf stays one */
	assert_int_equal(iommu_domain_remap(d, M2, MEM(8 * G1), M2), 0);
	assert_ptr_equal(at(d, 2 * M2 - 1, IOMMU_WRITE, NULL, NULL), MEM(8 * G1 + M2 - 1));
	assert_int_equal(mapped(&d->root, TOP_LEVEL), 2 * M2 + K4);
	iommu_domain_put(d);
}

/* Every allocation of every call fails in turn: the call says so, and leaves what was. */
static void test_no_memory(void **state)
{
	const uint64_t start = G1 - K4, size = G1 + M2 + 3 * K4;
	struct iommu_domain *d;
	long n, base;

	fail_at = 0;
	assert_null(iommu_domain_new());
	fail_at = -1;
	d = iommu_domain_new();
	assert_int_equal(iommu_domain_map(d, 0, MEM(0), M2, RW), 0);
	base = live;
	for (n = 0;; n++) {
		fail_at = n;
		if (!iommu_domain_map(d, start, MEM(0), size, RW))
			break;
		assert_int_equal(fail_at, -1);
		assert_int_equal(live, base);
		assert_int_equal(mapped(&d->root, TOP_LEVEL), M2);
		assert_null(at(d, start, IOMMU_READ, NULL, NULL));
		tables(&d->root, TOP_LEVEL);
	}
	fail_at = -1;
	assert_int_equal(n, 3);
	/* cutting pieces out of leaves */
	for (n = 0;; n++) {
		fail_at = n;
		if (iommu_domain_unmap(d, G1 + K4, G1 - 2 * K4))
			break;
		assert_int_equal(fail_at, -1);
		assert_int_equal(mapped(&d->root, TOP_LEVEL), M2 + size);
		assert_ptr_equal(at(d, G1 + K4, RW, NULL, NULL), MEM(2 * K4));
		assert_ptr_equal(at(d, 2 * G1 - 1, RW, NULL, NULL), MEM(G1 + K4 - 1));
	}
	fail_at = -1;
	assert_int_equal(mapped(&d->root, TOP_LEVEL), M2 + size - (G1 - 2 * K4));
	assert_null(at(d, G1 + M2, RW, NULL, NULL));
	assert_ptr_equal(at(d, G1, RW, NULL, NULL), MEM(K4));
	for (n = 0;; n++) {
		fail_at = n;
		if (!iommu_domain_remap(d, K4, MEM(G1), K4))
			break;
		assert_ptr_equal(at(d, K4, RW, NULL, NULL), MEM(K4));
	}
	fail_at = -1;
	assert_int_equal(n, 1);
	/* whole mappings go without any */
	fail_at = 0;
	assert_int_equal(iommu_domain_unmap(d, 0, UINT64_MAX), M2 + size - (G1 - 2 * K4));
	assert_int_equal(fail_at, 0);
	fail_at = -1;
	assert_int_equal(live, 1);
	iommu_domain_put(d);
	assert_int_equal(live, 0);
}

/* ---- random calls against one entry a page ---- */

#define MODEL_PAGES 4096u /* 16 MiB: 8 large leaves */
#define MODEL_BASE  (G1 - 4 * M2)

struct model_page {
	char *mem;
	unsigned prot;
};

static struct model_page model[MODEL_PAGES];

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ull; /* Marsaglia, xorshift64 */

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static void compare(struct iommu_domain *d)
{
	uint64_t bytes = 0, contig;

	for (unsigned i = 0; i < MODEL_PAGES; i++) {
		void *p = at(d, MODEL_BASE + i * K4 + 9, 0, &contig, NULL);

		assert_ptr_equal(p, model[i].prot ? model[i].mem + 9 : NULL);
		if (!p)
			continue;
		bytes += K4;
		for (unsigned prot = 1; prot < 4; prot++)
			assert_int_equal(!!at(d, MODEL_BASE + i * K4, prot, NULL, NULL),
					 (model[i].prot & prot) == prot);
		for (unsigned k = 1; k < (contig + 9) / K4; k++)
			assert_ptr_equal(model[i + k].mem, model[i].mem + k * K4);
	}
	assert_int_equal(mapped(&d->root, TOP_LEVEL), bytes);
	tables(&d->root, TOP_LEVEL);
}

static void test_random(void **state)
{
	struct iommu_domain *d = iommu_domain_new();
	unsigned did[3] = { 0 };

	for (unsigned round = 0; round < 3000; round++) {
		unsigned first = (unsigned)(rnd() % MODEL_PAGES), n, kind = (unsigned)(rnd() % 8);
		unsigned prot = 1 + (unsigned)(rnd() % 3);
		uint64_t where = (rnd() % (1u << 20)) * K4;
		bool free_here = true, all = true;
		uint64_t bytes = 0;

		n = 1 + (unsigned)(rnd() % (rnd() % 2 ? 8 : 1500));
		if (rnd() % 3 == 0) { /* whole large leaves */
			first &= ~511u;
			n = 512 * (1 + (unsigned)(rnd() % 3));
		}
		if (n > MODEL_PAGES - first)
			n = MODEL_PAGES - first;
		for (unsigned i = first; i < first + n; i++) {
			free_here &= !model[i].prot;
			all &= !!model[i].prot;
			bytes += model[i].prot ? K4 : 0;
		}
		fail_at = rnd() % 4 ? -1 : (long)(rnd() % 3);
		if (kind < 4) {
			int rc = iommu_domain_map(d, MODEL_BASE + first * K4, MEM(where), n * K4,
						  prot);

			if (rc == -ENOMEM && fail_at == -1)
				continue;
			assert_int_equal(rc, free_here ? 0 : -EEXIST);
			for (unsigned i = 0; !rc && i < n; i++)
				model[first + i] =
					(struct model_page){ (char *)MEM(where) + i * K4, prot };
			did[0] += !rc;
		} else if (kind < 7) {
			uint64_t got = iommu_domain_unmap(d, MODEL_BASE + first * K4, n * K4);

			if (!got && bytes) /* only because a split found no memory */
				assert_int_equal(fail_at, -1);
			else
				assert_int_equal(got, bytes);
			for (unsigned i = 0; got && i < n; i++)
				model[first + i].prot = 0;
			did[1] += got != 0;
		} else {
			int rc = iommu_domain_remap(d, MODEL_BASE + first * K4, MEM(where), n * K4);

			if (rc == -ENOMEM && fail_at == -1)
				continue;
			assert_int_equal(rc, all ? 0 : -ENOENT);
			for (unsigned i = 0; !rc && i < n; i++)
				model[first + i].mem = (char *)MEM(where) + i * K4;
			did[2] += !rc;
		}
		if (round % 16 == 0)
			compare(d);
	}
	fail_at = -1;
	compare(d);
	assert_true(did[0] > 100 && did[1] > 100 && did[2] > 10);
	assert_int_not_equal(iommu_domain_unmap(d, 0, 1ull << 48), 0);
	assert_int_equal(live, 1);
	iommu_domain_put(d);
}

/* ---- readers while it changes ---- */

struct shared {
	struct iommu_domain *d;
	atomic_bool stop;
	atomic_ulong hits;
	char *mem;
};

/*
 * In region r the memory is [mem, mem + 4M) or nothing, mapped by 2M leaves or split to pages: what
 * is found is right, and readable until we say that we are done.
 */
static void *reader(void *arg)
{
	struct shared *s = arg;
	uint64_t x = (uintptr_t)&x, contig;
	enum iommu_fault_reason why;

	while (!atomic_load(&s->stop)) {
		for (int i = 0; i < 64; i++) {
			uint64_t off =
				(x = x * 6364136223846793005ull + 1442695040888963407ull) >> 42;
			unsigned char *p;

			rcu_read_begin();
			p = iommu_domain_translate(s->d, 16 * M2 + off, IOMMU_READ, &contig, &why);
			if (p) {
				/* the writer poisons memory after an unmap */
				unsigned char c = __atomic_load_n(p, __ATOMIC_RELAXED);

				if (p != (unsigned char *)s->mem + off || c != 0x55)
					abort();
				atomic_fetch_add_explicit(&s->hits, 1, memory_order_relaxed);
			}
			rcu_read_end();
		}
	}
	return NULL;
}

static void poison(struct shared *s, uint64_t off, uint64_t n, int v)
{
	for (uint64_t i = off; i < off + n; i += 64) /* enough: readers see any byte, most miss */
		__atomic_store_n(s->mem + i, (char)v, __ATOMIC_RELAXED);
	memset(s->mem + off, v, 1);
}

static void test_concurrent(void **state)
{
	struct shared s = { .d = iommu_domain_new() };
	uint64_t until = now_ns() + 400000000ull;
	pthread_t t[2];

	s.mem = mmap(NULL, 2 * M2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(s.mem, 0x55, 2 * M2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, &s), 0);
	/*
	 * for a while, and until enough has happened: on a busy machine under a sanitizer the while
	 * alone says nothing
	 */
	for (unsigned rounds = 0; now_ns() < until || rounds <= 10 || atomic_load(&s.hits) <= 100;
	     rounds++) {
		uint64_t off = rnd() % (2 * M2) & ~(K4 - 1), n = K4 * (1 + rnd() % 40);

		if (n > 2 * M2 - off)
			n = 2 * M2 - off;
		assert_int_equal(iommu_domain_map(s.d, 16 * M2, s.mem, 2 * M2, IOMMU_READ), 0);
		assert_int_equal(iommu_domain_unmap(s.d, 16 * M2 + off, n), n);
		poison(&s, off, n, 0xaa); /* nobody looks any more */
		poison(&s, off, n, 0x55);
		assert_int_equal(iommu_domain_map(s.d, 16 * M2 + off, s.mem + off, n, IOMMU_READ),
				 0);
		assert_int_equal(iommu_domain_unmap(s.d, 16 * M2, 2 * M2), 2 * M2);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	munmap(s.mem, 2 * M2);
	iommu_domain_put(s.d);
}

/* A million pages one by one, and in one call. */
static void test_million(void **state)
{
	struct iommu_domain *d = iommu_domain_new();
	uint64_t n = 1000000;

	/* every other page of memory: nothing merges */
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(iommu_domain_map(d, 16 * G1 + i * K4, MEM(2 * i * K4), K4, RW), 0);
	assert_int_equal(mapped(&d->root, TOP_LEVEL), n * K4);
	assert_ptr_equal(at(d, 16 * G1 + 777777 * K4, RW, NULL, NULL), MEM(2 * 777777 * K4));
	assert_int_equal(iommu_domain_unmap(d, 16 * G1, n * K4), n * K4);
	assert_int_equal(live, 1);
	/* not aligned with any large leaf */
	assert_int_equal(iommu_domain_map(d, 16 * G1 + K4, MEM(0), n * K4, RW), 0);
	assert_int_equal(iommu_domain_unmap(d, 16 * G1 + K4, n * K4), n * K4);
	iommu_domain_get(d);
	iommu_domain_put(d);
	assert_int_equal(live, 1);
	iommu_domain_put(d);
	iommu_domain_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),	cmocka_unit_test(test_leaves_and_rights),
		cmocka_unit_test(test_remap),	cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_random),	cmocka_unit_test(test_concurrent),
		cmocka_unit_test(test_million),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
