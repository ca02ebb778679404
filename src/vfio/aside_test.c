/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/aside_test.c: memory that the program unmaps stays with the device: the test plays the shim
 * (move by mremap, then munmap) and the device (DMA through a requester).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/test_signals.h"
#include "iommu/device.h"
#include "vfio/aside.h"
#include "vfio/group.h"
#include "vfio/type1.h"

#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define K  4096ull

static struct vfio_system *sys;
static struct vfio_type1 *t, *t2;
static struct iommu_device dev, dev2;
static unsigned moves;
static uint64_t moved_bytes;
static bool refuse;
static void *last_new;
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* linux/mman.h, Linux 5.7 */
#endif
#define ARENA (256ull << 20)
static char *arena;
static uint64_t arena_used;

static int setup(void **state)
{
	guard_install();
	log_set(2, LOG_NONE);
	sys = vfio_system_new(NULL, NULL);
	t = vfio_type1_new(sys, true);
	t2 = vfio_type1_new(sys, true);
	iommu_device_init(&dev, "dev");
	iommu_device_init(&dev2, "dev2");
	iommu_device_attach(&dev, vfio_ioas_domain(vfio_type1_ioas(t)));
	iommu_device_attach(&dev2, vfio_ioas_domain(vfio_type1_ioas(t2)));
	moves = 0;
	moved_bytes = 0;
	arena = mmap(NULL, ARENA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(arena, MAP_FAILED);
	arena_used = 0;
	refuse = false;
	return 0;
}

static int teardown(void **state)
{
	iommu_device_attach(&dev, NULL);
	iommu_device_attach(&dev2, NULL);
	vfio_type1_free(t);
	vfio_type1_free(t2);
	iommu_device_fini(&dev);
	iommu_device_fini(&dev2);
	assert_null(sys->ioases.asides.root);
	assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
	vfio_system_free(sys);
	munmap(arena, ARENA);
	return 0;
}

static void *move(void *old, uint64_t len, void *arg)
{
	assert_ptr_equal(arg, &moves);
	moves++;
	if (refuse)
		return NULL;
	moved_bytes += len;
	/*
	 * to a place of its own: a hole that mmap finds may be within what the program is about to
	 * unmap
	 */
	assert_true(arena_used + len <= ARENA);
	/*
	 * and without a hole where it was: another thread's mmap would find that, before the
	 * program takes it
	 */
	last_new = mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			  arena + arena_used);
	arena_used += len;
	assert_ptr_not_equal(last_new, MAP_FAILED);
	return last_new;
}

/* Do as the shim's munmap(). */
static void unmap_memory(void *p, uint64_t len)
{
	if (vfio_pages_in_use(sys, p, len))
		vfio_preserve_pages(sys, p, len, move, &moves);
	assert_int_equal(munmap(p, len), 0);
}

static char *memory(unsigned pages)
{
	char *p = mmap(NULL, pages * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (unsigned i = 0; i < pages; i++)
		p[i * K] = (char)(i % 100 + 1);
	return p;
}

static bool is_there(const void *p)
{
	return sys_call(SYS_msync, (long)p, K, MS_ASYNC, 0, 0, 0) == 0;
}

static void device_reads_at(struct iommu_device *d, uint64_t iova, int expect, int line)
{
	char c = 0;
	int ret = iommu_dma_read(d, iova, &c, 1), got = ret ? ret : c;

	if (got != expect)
		fail_msg("line %d: IOVA 0x%lx reads %d, not %d", line, iova, got, expect);
}
#define device_reads(d, iova, expect) device_reads_at(d, iova, expect, __LINE__)

static void unmap_dma(struct vfio_type1 *space, uint64_t iova, uint64_t size)
{
	uint64_t done;

	assert_int_equal(vfio_type1_unmap(space, 0, iova, size, &done, 0, 0, NULL), 0);
	assert_int_equal(done, size);
}

struct follow {
	char *old;
	uint64_t len;
};

static uint64_t move_view(void *arg)
{
	struct follow *f = arg;

	return refuse ? 0 : (uint64_t)move(f->old, f->len, &moves);
}

/*
 * The program moves its view, and the mappings in it go along: once more, and with what it loses
 * later.
 */
static void goes_along(void **state)
{
	struct follow f = { memory(8), 4 * K };
	char *p = f.old, *q, *r;

	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 2 * K), 0);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p + 2 * K, 0x10000, 2 * K), 0);
	assert_int_equal(vfio_type1_map(t2, RW, (uintptr_t)p + K, 0, 2 * K), 0);
	/* some of one would stay */
	assert_false(vfio_can_follow(sys, p, 3 * K));
	assert_int_equal(vfio_follow_pages(sys, p, 3 * K, move_view, &f), -ENOMEM);
	assert_int_equal(moves, 0);
	refuse = true;
	assert_true(vfio_can_follow(sys, p, 4 * K));
	assert_int_equal(vfio_follow_pages(sys, p, 4 * K, move_view, &f), -ENOMEM);
	assert_true(vfio_pages_in_place(sys, p, 4 * K));
	refuse = false;
	assert_int_equal(vfio_follow_pages(sys, p, 4 * K, move_view, &f), 0);
	q = last_new;
	assert_int_equal(munmap(p, 8 * K), 0);
	assert_false(vfio_pages_in_use(sys, p, 8 * K));
	assert_true(vfio_pages_in_place(sys, q, 4 * K));
	device_reads(&dev, K, 2);
	device_reads(&dev, 0x10000 + K, 4);
	device_reads(&dev2, K, 3);
	q[K] = 77;
	device_reads(&dev2, 0, 77);
	f.old = q;
	assert_int_equal(vfio_follow_pages(sys, q, 4 * K, move_view, &f), 0);
	r = last_new;
	assert_int_equal(munmap(q, 4 * K), 0);
	device_reads(&dev, K, 77);
	unmap_memory(r + K, K);
	device_reads(&dev, K, 77);
	device_reads(&dev2, 0, 77);
	/* not in place any more */
	assert_false(vfio_can_follow(sys, r, 4 * K));
	unmap_dma(t, 0, 2 * K);
	unmap_dma(t, 0x10000, 2 * K);
	unmap_dma(t2, 0, 2 * K);
	munmap(r, 4 * K);
}

static void not_in_use(void **state)
{
	char *p = memory(4);

	assert_false(vfio_pages_in_use(sys, p, 4 * K));
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p + K, 0, K), 0);
	assert_false(vfio_pages_in_use(sys, p, K));
	assert_false(vfio_pages_in_use(sys, p, 0));
	assert_true(vfio_pages_in_use(sys, p, K + 1));
	assert_true(vfio_pages_in_use(sys, p + K, 1));
	assert_true(vfio_pages_in_use(sys, p, UINT64_MAX));
	assert_false(vfio_pages_in_use(sys, p + 2 * K, 2 * K));
	unmap_dma(t, 0, K);
	assert_false(vfio_pages_in_use(sys, p, 4 * K));
	vfio_preserve_pages(sys, p, 4 * K, move, &moves);
	vfio_preserve_pages(sys, p, 0, move, &moves);
	vfio_preserve_pages(sys, p, UINT64_MAX, move, &moves);
	assert_int_equal(moves, 0);
	munmap(p, 4 * K);
}

static void stays_with_the_device(void **state)
{
	char *p = memory(8), *again;
	const char byte = 99;

	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 8 * K), 0);
	unmap_memory(p, 8 * K);
	assert_int_equal(moves, 1);
	assert_int_equal(moved_bytes, 8 * K);
	for (unsigned i = 0; i < 8; i++)
		device_reads(&dev, i * K, (int)i + 1);
	assert_int_equal(iommu_dma_write(&dev, 3 * K, &byte, 1), 0);
	device_reads(&dev, 3 * K, 99);
	/* new memory in the old place is the program's own, also when it goes */
	again = mmap(p, 8 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		     0);
	assert_ptr_equal(again, p);
	again[0] = 55;
	device_reads(&dev, 0, 1);
	unmap_memory(p, 8 * K);
	assert_int_equal(moves, 1);
	device_reads(&dev, 7 * K, 8);
	/* what was moved goes with the mapping */
	assert_true(is_there(last_new));
	unmap_dma(t, 0, 8 * K);
	assert_false(is_there(last_new));
	device_reads(&dev, 0, -EFAULT);
}

static void a_part_only(void **state)
{
	char *p = memory(8);

	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0x200000, 8 * K), 0);
	/* not aligned: the kernel rounds the length */
	unmap_memory(p + 2 * K, 2 * K - 5);
	assert_int_equal(moved_bytes, 2 * K);
	for (unsigned i = 0; i < 8; i++)
		device_reads(&dev, 0x200000 + i * K, (int)i + 1);
	p[K] = 77;
	device_reads(&dev, 0x200000 + K, 77);
	/* around the hole: two stretches */
	unmap_memory(p + K, 4 * K);
	assert_int_equal(moves, 3);
	assert_int_equal(moved_bytes, 4 * K);
	device_reads(&dev, 0x200000 + K, 77);
	for (unsigned i = 2; i < 8; i++)
		device_reads(&dev, 0x200000 + i * K, (int)i + 1);
	unmap_dma(t, 0x200000, 8 * K);
	munmap(p, 8 * K);
}

static void mapped_twice(void **state)
{
	char *p = memory(8);
	const char byte = 99;

	/* in one space at two places, in another one shifted */
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 4 * K), 0);
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0x100000, 4 * K), 0);
	assert_int_equal(vfio_type1_map(t2, RW, (uintptr_t)p + 2 * K, 0, 4 * K), 0);
	unmap_memory(p, 8 * K);
	assert_int_equal(moves, 1);
	assert_int_equal(moved_bytes, 6 * K);
	assert_int_equal(iommu_dma_write(&dev, 2 * K, &byte, 1), 0);
	device_reads(&dev, 0x100000 + 2 * K, 99);
	device_reads(&dev2, 0, 99);
	device_reads(&dev2, 3 * K, 6);
	unmap_dma(t, 0, 4 * K);
	assert_true(is_there(last_new));
	unmap_dma(t2, 0, 4 * K);
	assert_true(is_there(last_new));
	device_reads(&dev, 0x100000 + 2 * K, 99);
	unmap_dma(t, 0x100000, 4 * K);
	assert_false(is_there(last_new));
}

static void page_by_page(void **state)
{
	const unsigned pages = 2000;
	char *p = memory(pages);

	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(
			vfio_type1_map(t, RW, (uintptr_t)p + i * K, (uint64_t)(pages - i) * K, K),
			0);
	unmap_memory(p, pages * K);
	assert_int_equal(moves, 1);
	for (unsigned i = 0; i < pages; i++)
		device_reads(&dev, (uint64_t)(pages - i) * K, (int)(i % 100) + 1);
	for (unsigned i = 1; i <= pages; i++) {
		assert_true(is_there(last_new));
		unmap_dma(t, i * K, K);
	}
	assert_false(is_there(last_new));
}

static void cannot_be_kept(void **state)
{
	char *p = memory(4), *again;

	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 4 * K), 0);
	refuse = true;
	unmap_memory(p + K, K);
	assert_int_equal(moves, 1);
	/* an abort, and never what comes there next */
	again = mmap(p + K, K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		     0);
	again[0] = 55;
	device_reads(&dev, K, -EFAULT);
	device_reads(&dev, 0, 1);
	device_reads(&dev, 2 * K, 3);
	refuse = false;
	unmap_memory(p, 4 * K);
	assert_int_equal(moved_bytes, 3 * K);
	device_reads(&dev, K, -EFAULT);
	device_reads(&dev, 0, 1);
	device_reads(&dev, 3 * K, 4);
	/* the mapping is a mapping still */
	unmap_dma(t, 0, 4 * K);
}

static void update_vaddr_takes_it_back(void **state)
{
	char *p = memory(2), *q = memory(2);
	uint64_t done;

	q[0] = 41;
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)p, 0, 2 * K), 0);
	assert_int_equal(
		vfio_type1_unmap(t, VFIO_DMA_UNMAP_FLAG_VADDR, 0, 2 * K, &done, 0, 0, NULL), 0);
	unmap_memory(p, 2 * K);
	device_reads(&dev, 0, 1);
	assert_int_equal(vfio_type1_map(t, VFIO_DMA_MAP_FLAG_VADDR, (uintptr_t)q, 0, 2 * K), 0);
	device_reads(&dev, 0, 41);
	assert_false(is_there(last_new));
	assert_null(sys->ioases.asides.root);
	/* with a page that was given up */
	assert_int_equal(
		vfio_type1_unmap(t, VFIO_DMA_UNMAP_FLAG_VADDR, 0, 2 * K, &done, 0, 0, NULL), 0);
	refuse = true;
	unmap_memory(q + K, K);
	device_reads(&dev, K, -EFAULT);
	p = memory(2);
	assert_int_equal(vfio_type1_map(t, VFIO_DMA_MAP_FLAG_VADDR, (uintptr_t)p, 0, 2 * K), 0);
	device_reads(&dev, 0, 1);
	device_reads(&dev, K, 2);
	unmap_dma(t, 0, 2 * K);
	munmap(p, 2 * K);
	munmap(q, K);
}

/*
 * Random maps, unmaps and munmaps: each page of memory holds a number that its mappings must go on
 * to show.
 */
#define PAGES 64u
static void random_calls(void **state)
{
	struct {
		bool live;
		uint64_t iova, n;
		int value[8];
		struct vfio_type1 *space;
		struct iommu_device *dev;
	} map[40] = { 0 };
	char *p = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int next = 1;

	srandom(3);
	for (unsigned i = 0; i < PAGES; i++)
		p[i * K] = (char)(next = next % 120 + 1);
	for (unsigned round = 0; round < 3000; round++) {
		unsigned m = (unsigned)random() % 40, at = (unsigned)random() % PAGES,
			 n = 1 + (unsigned)random() % 8;

		if (at + n > PAGES)
			n = PAGES - at;
		if (random() % 4 == 0) {
			unmap_memory(p + at * K, n * K);
			assert_ptr_not_equal(mmap(p + at * K, n * K, PROT_READ | PROT_WRITE,
						  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
					     MAP_FAILED);
			for (unsigned i = 0; i < n; i++)
				p[(at + i) * K] = (char)(next = next % 120 + 1);
		} else if (map[m].live) {
			unmap_dma(map[m].space, map[m].iova, map[m].n * K);
			map[m].live = false;
		} else {
			map[m].live = true;
			map[m].n = n;
			map[m].iova = m * 0x200000ull + (random() % 2 ? 0x1ff000 : 0);
			map[m].space = m & 1 ? t : t2;
			map[m].dev = m & 1 ? &dev : &dev2;
			map[m].iova = map[m].n > 1 ? m * 0x200000ull : map[m].iova;
			assert_int_equal(vfio_type1_map(map[m].space, RW, (uintptr_t)p + at * K,
							map[m].iova, n * K),
					 0);
			for (unsigned i = 0; i < n; i++)
				map[m].value[i] = p[(at + i) * K];
		}
		for (m = round % 8; m < 40; m += 8) {
			for (unsigned i = 0; map[m].live && i < map[m].n; i++)
				device_reads(map[m].dev, map[m].iova + i * K, map[m].value[i]);
		}
	}
	for (unsigned m = 0; m < 40; m++) {
		if (map[m].live)
			unmap_dma(map[m].space, map[m].iova, map[m].n * K);
	}
	assert_null(sys->ioases.asides.root);
	munmap(p, PAGES * K);
}

/*
 * Maps, unmaps, munmaps and DMA at once: the device sees the page's number or an abort, never
 * something else.
 */
struct busy {
	char *p;
	atomic_bool stop;
	unsigned bad;
};

static void *busy_device(void *arg)
{
	struct busy *b = arg;
	uint32_t word;

	while (!atomic_load(&b->stop)) {
		for (unsigned i = 0; i < 8; i++) {
			if (!iommu_dma_read(&dev, i * K, &word, sizeof(word)) &&
			    word != 0x5a5a5a5a && word)
				b->bad++;
		}
	}
	return NULL;
}

static void *busy_client(void *arg)
{
	struct busy *b = arg;
	uint64_t done;

	while (!atomic_load(&b->stop)) {
		for (unsigned i = 0; i < 8; i++)
			vfio_type1_map(t, RW, (uintptr_t)b->p + i * K, i * K, K);
		vfio_type1_map(t2, RW, (uintptr_t)b->p, 0, 8 * K);
		vfio_type1_unmap(t2, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, &done, 0, 0, NULL);
		vfio_type1_unmap(t, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, &done, 0, 0, NULL);
	}
	return NULL;
}

static void all_at_once(void **state)
{
	struct busy b = { .p = memory(8) };
	pthread_t th[2];

	memset(b.p, 0x5a, 8 * K);

	assert_int_equal(pthread_create(&th[0], NULL, busy_device, &b), 0);
	assert_int_equal(pthread_create(&th[1], NULL, busy_client, &b), 0);
	for (unsigned i = 0; i < 300; i++) {
		unsigned at = i % 5, n = 1 + i % 4;
		char *p = b.p + at * K, *fresh;

		/* as MAP_FIXED does: what is there goes, other memory comes in one step */
		fresh = mmap(NULL, n * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		memset(fresh, 0x5a, n * K);
		if (vfio_pages_in_use(sys, p, n * K))
			vfio_preserve_pages(sys, p, n * K, move, &moves);
		assert_ptr_equal(mremap(fresh, n * K, n * K, MREMAP_MAYMOVE | MREMAP_FIXED, p), p);
		vfio_pages_in_use(sys, b.p, 8 * K);
	}
	atomic_store(&b.stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	assert_int_equal(b.bad, 0);
	munmap(b.p, 8 * K);
}

/* Memory that is aside moves on, in part and for all mappings that have it there. */
static void aside_moves_on(void **state)
{
	char *p = memory(8), *first;

	assert_int_equal(vfio_type1_map(t, RW, (uint64_t)p, 0x10000, 8 * K), 0);
	assert_int_equal(vfio_type1_map(t2, RW, (uint64_t)p + 2 * K, 0x50000, 4 * K), 0);
	vfio_preserve_asides(sys, p, 8 * K, move, &moves);
	assert_int_equal(moves, 0);
	unmap_memory(p, 8 * K);
	first = last_new;
	assert_int_equal(moves, 1);
	vfio_preserve_asides(sys, first + 3 * K, 2 * K, move, &moves);
	assert_int_equal(moves, 2);
	memset(first + 3 * K, 99, 2 * K);
	for (unsigned i = 0; i < 8; i++)
		device_reads(&dev, 0x10000 + i * K, (int)i + 1);
	for (unsigned i = 0; i < 4; i++)
		device_reads(&dev2, 0x50000 + i * K, (int)i + 3);
	/* the rest, and of what has gone on nothing */
	vfio_preserve_asides(sys, first, 3 * K, move, &moves);
	refuse = true;
	vfio_preserve_asides(sys, first, 8 * K, move, &moves);
	assert_false(is_there(first + 5 * K));
	for (unsigned i = 0; i < 5; i++)
		device_reads(&dev, 0x10000 + i * K, (int)i + 1);
	device_reads(&dev, 0x10000 + 5 * K, -EFAULT);
	device_reads(&dev2, 0x50000 + 3 * K, -EFAULT);
	unmap_dma(t, 0x10000, 8 * K);
	device_reads(&dev2, 0x50000, 3);
	unmap_dma(t2, 0x50000, 4 * K);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(not_in_use, setup, teardown),
		cmocka_unit_test_setup_teardown(goes_along, setup, teardown),
		cmocka_unit_test_setup_teardown(stays_with_the_device, setup, teardown),
		cmocka_unit_test_setup_teardown(a_part_only, setup, teardown),
		cmocka_unit_test_setup_teardown(mapped_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(page_by_page, setup, teardown),
		cmocka_unit_test_setup_teardown(cannot_be_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(update_vaddr_takes_it_back, setup, teardown),
		cmocka_unit_test_setup_teardown(aside_moves_on, setup, teardown),
		cmocka_unit_test_setup_teardown(random_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(all_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
