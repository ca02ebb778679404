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

/* A domain that makes bunches from its first table on. */
static struct iommu_domain *with_bunches(void)
{
	struct iommu_domain *d = iommu_domain_new();

	d->num_tables = MANY_TABLES;
	return d;
}

/* Return the bytes that are mapped in @t. */
static uint64_t mapped(struct table *t, unsigned level)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < IOMMU_ENTRIES; i++) {
		uint64_t e = get(t, i);

		if (is_bunch(e))
			n += bunch_pages(bunch_of(e)) * K4;
		else if (e)
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
		if (is_bunch(e)) {
			assert_int_not_equal(bunch_of(e)->used, 0);
			assert_true(level == 1 || level == 2);
		}
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

static void remap(struct iommu_domain *d)
{

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
	assert_int_equal(live, 0);
}

static void test_remap(void **state)
{
	remap(iommu_domain_new());
	remap(with_bunches());
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

static void random_calls(struct iommu_domain *d, unsigned longest)
{
	unsigned did[3] = { 0 };

	for (unsigned round = 0; round < 3000; round++) {
		unsigned first = (unsigned)(rnd() % MODEL_PAGES), n, kind = (unsigned)(rnd() % 8);
		unsigned prot = 1 + (unsigned)(rnd() % 3);
		uint64_t where = (rnd() % (1u << 20)) * K4;
		bool free_here = true, all = true;
		uint64_t bytes = 0;

		n = 1 + (unsigned)(rnd() % (rnd() % 2 ? 8 : longest));
		if (longest > 512 && rnd() % 3 == 0) { /* whole large leaves */
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
	assert_int_equal(live, 0);
	memset(model, 0, sizeof(model));
}

static void test_random(void **state)
{
	random_calls(iommu_domain_new(), 1500);
	random_calls(with_bunches(), 1500);
	random_calls(with_bunches(), 9); /* many in a bunch */
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

static void concurrent(struct iommu_domain *d)
{
	struct shared s = { .d = d };
	uint64_t until = now_ns() + 300000000ull;
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

static void test_concurrent(void **state)
{
	concurrent(iommu_domain_new());
	concurrent(with_bunches());
}

/* A bunch becomes a table while readers are in it, over and over. */
static void test_concurrent_spread(void **state)
{
	struct shared s = { .d = with_bunches() };
	const uint64_t others = 16 * M2 + 4 * M2;
	unsigned rounds = 0;
	pthread_t t[2];

	s.mem = mmap(NULL, 2 * M2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(s.mem, 0x55, 2 * M2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, &s), 0);
	for (; rounds < 100 || atomic_load(&s.hits) <= 100; rounds++) {
		assert_int_equal(
			iommu_domain_map(s.d, 16 * M2 + K4, s.mem + K4, 2 * M2 - K4, IOMMU_READ),
			0);
		for (unsigned i = 0; i < 20; i++)
			assert_int_equal(iommu_domain_map(s.d, others + i * 2 * K4, MEM(0), K4, RW),
					 0);
		assert_int_equal(iommu_domain_unmap(s.d, 0, 4 * G1), 2 * M2 + 19 * K4);
		poison(&s, 0, 2 * M2, 0xaa);
		poison(&s, 0, 2 * M2, 0x55);
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

/* ---- mappings far from each other ---- */

/* Return the memory of all that is below @t. */
static uint64_t memory_of(struct table *t, unsigned level)
{
	uint64_t n = 0;

	for (unsigned i = 0; level && i < IOMMU_ENTRIES; i++) {
		uint64_t e = get(t, i);

		if (is_bunch(e))
			n += sizeof(struct bunch);
		else if (is_table(e))
			n += sizeof(struct table) + memory_of(table_of(e), level - 1);
	}
	return n;
}

/* The worst that a client can do: mapping @i of each pattern, and its pages. */
static uint64_t alone(uint64_t i, uint64_t *pages)
{
	*pages = 1;
	return i * 68700 * K4; /* all over the 48 bits */
}

static uint64_t all_but_one(uint64_t i, uint64_t *pages)
{
	*pages = 511;
	return i * M2 + K4;
}

static uint64_t all_but_two_ends(uint64_t i, uint64_t *pages)
{
	*pages = G1 / K4 - 1;
	return i * G1 + K4;
}

/* one more than a bunch has, in 2 MiB of each gigabyte; and in as many of 2 MiB */
static uint64_t close_together(uint64_t i, uint64_t *pages)
{
	*pages = 1;
	return i / 17 * G1 + i % 17 * 2 * K4;
}

static uint64_t apart(uint64_t i, uint64_t *pages)
{
	*pages = 1;
	return i / 17 * G1 + i % 17 * 3 * M2;
}

static void test_sparse(void **state)
{
	static const struct {
		uint64_t (*at)(uint64_t i, uint64_t *pages);
		uint64_t n;
	} patterns[] = { { alone, 1000000 },
			 { all_but_one, 100000 },
			 { all_but_two_ends, 100000 },
			 { close_together, 100000 },
			 { apart, 100000 } };

	for (unsigned p = 0; p < ARRAY_SIZE(patterns); p++) {
		struct iommu_domain *d = iommu_domain_new();
		const uint64_t base = 8 * G1, n = patterns[p].n;
		uint64_t bytes = 0, pages, contig, iova, memory;

		for (uint64_t i = 0; i < n; i++) {
			iova = base + patterns[p].at(i, &pages);
			assert_int_equal(iommu_domain_map(d, iova, MEM(bytes), pages * K4, RW), 0);
			bytes += pages * K4;
		}
		assert_int_equal(mapped(&d->root, TOP_LEVEL), bytes);
		tables(&d->root, TOP_LEVEL);
		memory = memory_of(&d->root, TOP_LEVEL);
		/* beside the tables that each domain may have */
		assert_true(memory < 512 * sizeof(struct table) + 2 * MANY_TABLES * 4200 + n * 530);
		bytes = 0;
		for (uint64_t i = 0; i < n; i++) {
			iova = base + patterns[p].at(i, &pages);
			assert_ptr_equal(at(d, iova + 7, RW, &contig, NULL), MEM(bytes + 7));
			assert_true(contig && contig <= pages * K4 - 7);
			assert_null(at(d, iova - 1, RW, NULL, NULL));
			bytes += pages * K4;
		}
		/* each by itself, without memory */
		fail_at = 0;
		for (uint64_t i = 0; i < n; i++) {
			iova = base + patterns[p].at(i * 7 % n, &pages);
			assert_int_equal(iommu_domain_unmap(d, iova, pages * K4), pages * K4);
		}
		assert_int_equal(fail_at, 0);
		fail_at = -1;
		assert_int_equal(tables(&d->root, TOP_LEVEL), 1);
		assert_int_equal(live, 1);
		assert_int_equal(d->num_tables, 0);
		iommu_domain_put(d);
	}
}

/* Each allocation fails in turn while a bunch becomes a table, with bunches of its own below. */
static void test_sparse_no_memory(void **state)
{
	struct iommu_domain *d = with_bunches();
	long n;

	for (unsigned i = 0; i < BUNCH_SIZE; i++)
		assert_int_equal(iommu_domain_map(d, G1 + i * 8 * M2 + K4, MEM(i * G1), 5 * M2, RW),
				 0);
	for (n = 0;; n++) {
		fail_at = n;
		if (!iommu_domain_map(d, G1 + 7 * M2, MEM(0), K4, IOMMU_READ))
			break;
		assert_int_equal(fail_at, -1);
		assert_int_equal(mapped(&d->root, TOP_LEVEL), BUNCH_SIZE * 5 * M2);
		for (unsigned i = 0; i < BUNCH_SIZE; i++)
			assert_ptr_equal(at(d, G1 + i * 8 * M2 + K4 + M2, RW, NULL, NULL),
					 MEM(i * G1 + M2));
	}
	fail_at = -1;
	/* the table, two bunches for each at its ends, and one for the new one */
	assert_int_equal(n, 1 + 2 * BUNCH_SIZE + 1);
	tables(&d->root, TOP_LEVEL);
	for (unsigned i = 0; i < BUNCH_SIZE; i++)
		assert_ptr_equal(at(d, G1 + i * 8 * M2 + K4 + 4 * M2, RW, NULL, NULL),
				 MEM(i * G1 + 4 * M2));
	iommu_domain_put(d);
	assert_int_equal(live, 0);
}

/* Dirty tracking that begins with bunches there, and a bunch that is used over and over. */
static void test_bunch_dirty_and_old(void **state)
{
	struct iommu_domain *d = with_bunches();
	uint64_t bits = 0;

	assert_int_equal(iommu_domain_map(d, G1 + 8 * K4, MEM(0), 20 * K4, RW), 0);
	assert_int_equal(iommu_domain_map(d, 5 * G1, MEM(0), K4, RW), 0);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	iommu_dirty_mark(d->dirty, G1 + 10 * K4, 1);
	iommu_dirty_mark(d->dirty, 5 * G1, 1);
	assert_int_equal(iommu_domain_dirty_read(d, G1, 64 * K4, K4, true, &bits), 0);
	assert_int_equal(bits, 1 << 10);
	bits = 0;
	assert_int_equal(iommu_domain_dirty_read(d, 5 * G1, K4, K4, true, &bits), 0);
	assert_int_equal(bits, 1);
	iommu_domain_dirty_stop(d);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t where = 5 * G1 + (1 + i % 7) * K4;

		assert_int_equal(iommu_domain_map(d, where, MEM(i * K4), K4, RW), 0);
		assert_ptr_equal(at(d, where, RW, NULL, NULL), MEM(i * K4));
		assert_int_equal(iommu_domain_unmap(d, where, K4), K4);
		assert_null(at(d, where, RW, NULL, NULL));
		assert_ptr_equal(at(d, 5 * G1, RW, NULL, NULL), MEM(0));
	}
	assert_true(live < 8);
	iommu_domain_put(d);
	assert_int_equal(live, 0);
}

/* ---- what is told ---- */

static struct event told[8];
static unsigned num_told;

static void listener(const struct event *e)
{
	if (num_told < sizeof(told) / sizeof(told[0]))
		told[num_told] = *e;
	num_told++;
}

static void nearest(struct iommu_domain *d)
{
	struct report_range below, above;

	iommu_domain_nearest(d, 0x5000, &below, &above);
	assert_int_equal(below.size, 0);
	assert_int_equal(above.size, 0);
	/* two that go on in memory, too; one that does not; one far away, of 2 MiB */
	iommu_domain_map(d, 0x10000, MEM(0), 2 * K4, RW);
	iommu_domain_map(d, 0x12000, MEM(2 * K4), K4, RW);
	iommu_domain_map(d, 0x13000, MEM(9 * K4), K4, RW);
	iommu_domain_map(d, 3 * G1, MEM(0), 2u << 20, RW);
	iommu_domain_nearest(d, 0x14000, &below, &above);
	assert_int_equal(below.at, 0x13000);
	assert_int_equal(below.size, K4);
	assert_int_equal(above.at, 3 * G1);
	assert_int_equal(above.size, 2u << 20);
	iommu_domain_nearest(d, 0x8000, &below, &above);
	assert_int_equal(below.size, 0);
	assert_int_equal(above.at, 0x10000);
	assert_int_equal(above.size, 3 * K4);
	iommu_domain_nearest(d, UINT64_MAX, &below, &above);
	assert_int_equal(below.at, 3 * G1);
	assert_int_equal(above.size, 0);
	iommu_domain_nearest(d, 3 * G1, &below, &above);
	assert_int_equal(below.at, 0x13000);
	iommu_domain_put(d);
}

static void test_nearest(void **state)
{
	nearest(iommu_domain_new());
}

static void test_nearest_sparse(void **state)
{
	nearest(with_bunches());
}

static void test_told(void **state)
{
	struct iommu_domain *d;

	assert_true(
		event_listen(listener, 1u << EVENT_SPACE | 1u << EVENT_MAP | 1u << EVENT_UNMAP));
	d = iommu_domain_new();
	iommu_domain_map(d, 0x10000, MEM(0), 4 * K4, RW);
	assert_int_equal(iommu_domain_map(d, 0x11000, MEM(0), K4, RW), -EEXIST);
	iommu_domain_unmap(d, 0x80000, K4);
	iommu_domain_unmap(d, 0x11000, K4);
	event_unlisten(listener);
	iommu_domain_unmap(d, 0x10000, K4);
	assert_int_equal(num_told, 3);
	assert_int_equal(told[0].kind, EVENT_SPACE);
	assert_ptr_equal(told[0].space, d);
	assert_int_equal(told[1].kind, EVENT_MAP);
	assert_int_equal(told[1].at, 0x10000);
	assert_int_equal(told[1].size, 4 * K4);
	assert_ptr_equal(told[1].mem, MEM(0));
	assert_int_equal(told[2].kind, EVENT_UNMAP);
	assert_int_equal(told[2].at, 0x11000);
	assert_int_equal(told[2].size, K4);
	iommu_domain_put(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_leaves_and_rights),
		cmocka_unit_test(test_remap),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_concurrent),
		cmocka_unit_test(test_concurrent_spread),
		cmocka_unit_test(test_million),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_sparse_no_memory),
		cmocka_unit_test(test_bunch_dirty_and_old),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_nearest_sparse),
		cmocka_unit_test(test_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
