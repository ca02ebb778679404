/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/dirty_test.c: which pages devices have written: every way of writing, page sizes, pages
 * that come and go while it is on, random writes against an array, and writers at work while
 * somebody reads.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/sys.h"
#include "base/test_signals.h"
#include "iommu/device.h"

#define K4    0x1000ull
#define M2    0x200000ull
#define RW    (IOMMU_READ | IOMMU_WRITE)
#define PAGES 256u
#define BASE  (0x40000000ull - 64 * K4) /* over the end of a leaf of 128 MiB */

static struct iommu_device dev, dev2;
static struct iommu_domain *d;
static char *mem;

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	mem = mmap(NULL, PAGES * K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	d = iommu_domain_new();
	iommu_device_init(&dev, "dev");
	iommu_device_init(&dev2, "dev2");
	iommu_device_attach(&dev, d);
	iommu_device_attach(&dev2, d);
	assert_int_equal(iommu_domain_map(d, BASE, mem, PAGES * K4, RW), 0);
	return guard_install() || mem == MAP_FAILED;
}

static int teardown(void **state)
{
	iommu_device_fini(&dev);
	iommu_device_fini(&dev2);
	iommu_domain_put(d);
	munmap(mem, PAGES * K4);
	return 0;
}

static void write_at(struct iommu_device *by, uint64_t iova, size_t len)
{
	static char buf[8 * 4096];

	assert_int_equal(iommu_dma_write(by, iova, buf, len), 0);
}

/* The pages of [BASE, ...) that are dirty are these: first, last, first, last, ... */
static void expect_at(int line, bool clear, const int *list)
{
	uint64_t bits[PAGES / 64] = { 0 };
	bool want[PAGES] = { false };

	for (; *list >= 0; list += 2)
		for (int i = list[0]; i <= list[1]; i++)
			want[i] = true;
	assert_int_equal(iommu_domain_dirty_read(d, BASE, PAGES * K4, K4, clear, bits), 0);
	for (unsigned i = 0; i < PAGES; i++)
		if (want[i] != (bits[i / 64] >> i % 64 & 1))
			fail_msg("line %d: page %u is %s", line, i, want[i] ? "clean" : "dirty");
}
#define expect(clear, ...) expect_at(__LINE__, clear, (const int[]){ __VA_ARGS__, -1 })
#define NONE		   -1, -1

static void test_start_stop(void **state)
{
	uint64_t bits[PAGES / 64] = { 0 };

	assert_int_equal(iommu_domain_dirty_read(d, BASE, K4, K4, true, bits), -EINVAL);
	write_at(&dev, BASE, 1);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	expect(true, NONE);
	write_at(&dev, BASE + K4, 1);
	expect(false, 1, 1);
	expect(true, 1, 1);
	expect(true, NONE);
	/* afresh */
	write_at(&dev, BASE, 1);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	expect(true, NONE);
	write_at(&dev, BASE, 1);
	iommu_domain_dirty_stop(d);
	iommu_domain_dirty_stop(d);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, K4, K4, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	expect(true, NONE);
}

static void test_errors(void **state)
{
	uint64_t bits[8] = { 0 };

	assert_int_equal(iommu_domain_dirty_start(d), 0);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, 0, K4, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, BASE + 1, K4, K4, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, K4 + 1, K4, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, K4, 2 * K4, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, K4, 0, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, 6 * K4, 3 * K4, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, 2048, 2048, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, 1ull << 48, K4, K4, true, bits), -EINVAL);
	assert_int_equal(iommu_domain_dirty_read(d, -K4, 2 * K4, K4, true, bits), -EINVAL);
	/* all that there is, by the largest bit that there is */
	write_at(&dev, BASE, 1);
	assert_int_equal(iommu_domain_dirty_read(d, 0, 1ull << 48, 1ull << 42, true, bits), 0);
	assert_int_equal(bits[0], 1);
	assert_int_equal(bits[1], 0);
}

/* Each way in which a device writes, and what is no write. */
static void test_ways(void **state)
{
	struct iovec iov[4];
	char buf[3 * K4];

	assert_int_equal(iommu_domain_dirty_start(d), 0);
	assert_int_equal(iommu_dma_read(&dev, BASE, buf, sizeof(buf)), 0);
	write_at(&dev, BASE, 0);
	expect(true, NONE);
	/* over the ends of words, pages and leaves; two devices */
	write_at(&dev, BASE + 62 * K4 + 4095, 4 * K4);
	write_at(&dev2, BASE + 100 * K4, K4);
	write_at(&dev2, BASE + 102 * K4, K4 + 1);
	expect(true, 62, 66, 100, 100, 102, 103);
	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&dev, BASE + 4 * K4, 8, false, iov, 4), 1);
	rcu_read_end();
	expect(true, NONE);
	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&dev, BASE + 4 * K4 + 8, 2 * K4, true, iov, 4), 1);
	rcu_read_end();
	expect(true, 4, 6);
	/* aborted: what was written before */
	assert_int_equal(iommu_domain_unmap(d, BASE + 8 * K4, K4), K4);
	assert_int_equal(iommu_dma_write(&dev, BASE + 6 * K4 + 10, buf, 3 * K4), -EFAULT);
	expect(true, 6, 7);
	assert_int_equal(iommu_dma_write(&dev, BASE + 8 * K4, buf, 8), -EFAULT);
	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&dev, BASE + 7 * K4, 2 * K4, true, iov, 4), -EFAULT);
	rcu_read_end();
	assert_int_equal(iommu_domain_map(d, BASE + 8 * K4, mem + 8 * K4, K4, IOMMU_READ), 0);
	assert_int_equal(iommu_dma_write(&dev, BASE + 8 * K4, buf, 8), -EFAULT);
	expect(true, NONE);
	/* memory that is gone behind our back */
	munmap(mem + 10 * K4, K4);
	assert_int_equal(iommu_dma_write(&dev, BASE + 9 * K4 + 8, buf, 2 * K4), -EFAULT);
	expect(true, 9, 9);
}

static void test_page_sizes(void **state)
{
	uint64_t bits[2] = { 0 };

	assert_int_equal(iommu_domain_dirty_start(d), 0);
	write_at(&dev, BASE + 3 * K4, 1);
	write_at(&dev, BASE + 130 * K4, 1);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, PAGES * K4, 4 * K4, false, bits), 0);
	assert_int_equal(bits[0], 1ull | 1ull << 32);
	bits[0] = 0;
	assert_int_equal(iommu_domain_dirty_read(d, BASE, 64 * K4, 64 * K4, false, bits), 0);
	assert_int_equal(bits[0], 1);
	/* a part, from the middle of a word; bits that are set stay, others are not looked at */
	bits[0] = 0x8000;
	assert_int_equal(iommu_domain_dirty_read(d, BASE + 2 * K4, 2 * K4, K4, true, bits), 0);
	assert_int_equal(bits[0], 0x8002);
	expect(true, 130, 130);
}

/* Pages that come, go and move while it is on. */
static void test_mappings(void **state)
{
	const uint64_t far = 0x7f0000000000ull;
	uint64_t bits = 0;

	assert_int_equal(iommu_domain_dirty_start(d), 0);
	assert_int_equal(iommu_domain_map(d, far, mem, 8 * K4, RW), 0);
	write_at(&dev, far + 2 * K4, 2 * K4);
	/* an error forgets nothing */
	assert_int_equal(iommu_domain_map(d, far + K4, mem, 3 * K4, RW), -EEXIST);
	assert_int_equal(iommu_domain_dirty_read(d, far, 8 * K4, K4, false, &bits), 0);
	assert_int_equal(bits, 0xc);
	/* when it is gone it can still be read; what comes there then is clean */
	assert_int_equal(iommu_domain_unmap(d, far, 8 * K4), 8 * K4);
	bits = 0;
	assert_int_equal(iommu_domain_dirty_read(d, far, 8 * K4, K4, false, &bits), 0);
	assert_int_equal(bits, 0xc);
	assert_int_equal(iommu_domain_map(d, far, mem, 3 * K4, RW), 0);
	bits = 0;
	assert_int_equal(iommu_domain_dirty_read(d, far, 8 * K4, K4, true, &bits), 0);
	assert_int_equal(bits, 8);
	/* large leaves, and pieces of them */
	assert_int_equal(iommu_domain_map(d, far + M2, mem, M2, RW), 0);
	write_at(&dev, far + M2 + 5 * K4, 1);
	assert_int_equal(iommu_domain_remap(d, far + M2 + 4 * K4, mem + 64 * K4, 2 * K4), 0);
	write_at(&dev, far + M2 + 4 * K4, 1);
	bits = 0;
	assert_int_equal(iommu_domain_dirty_read(d, far + M2, 64 * K4, K4, true, &bits), 0);
	assert_int_equal(bits, 0x30);
	/* of what was there before it began */
	iommu_domain_dirty_stop(d);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	write_at(&dev, far + M2 + 8 * K4, 1);
	write_at(&dev, BASE + 70 * K4, 1);
	bits = 0;
	assert_int_equal(iommu_domain_dirty_read(d, far + M2, 64 * K4, K4, true, &bits), 0);
	assert_int_equal(bits, 0x100);
	expect(true, 70, 70);
}

static void test_random(void **state)
{
	bool dirty[PAGES] = { false };
	uint64_t bits[PAGES / 64];

	srandom(11);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned at = (unsigned)random() % (PAGES * 4096u - 8u), n, first, size;

		if (random() % 8) {
			n = 1 + (unsigned)random() % (random() % 4 ? 64 : 8 * 4096);
			if (n > PAGES * 4096u - at)
				n = PAGES * 4096u - at;
			write_at(random() & 1 ? &dev : &dev2, BASE + at, n);
			for (unsigned i = at / 4096; i <= (at + n - 1) / 4096; i++)
				dirty[i] = true;
			continue;
		}
		size = 1u << (random() % 4); /* in pages */
		first = at / 4096 / size * size;
		n = (1 + (unsigned)random() % (PAGES / size)) * size;
		if (n > PAGES - first)
			n = PAGES - first;
		memset(bits, 0, sizeof(bits));
		assert_int_equal(iommu_domain_dirty_read(d, BASE + first * K4, n * K4, size * K4,
							 round & 1, bits),
				 0);
		for (unsigned i = 0; i < n / size; i++) {
			bool want = false;

			for (unsigned k = 0; k < size; k++)
				want |= dirty[first + i * size + k];
			assert_int_equal(bits[i / 64] >> i % 64 & 1, want);
		}
		for (unsigned i = n / size; i < PAGES; i++)
			assert_int_equal(bits[i / 64] >> i % 64 & 1, 0);
		for (unsigned i = first; i < first + n && (round & 1); i++)
			dirty[i] = false;
	}
}

/*
 * Writers count up in each page, by copies and in memory that they were handed. A reader copies
 * what it is told was written, as a migration does. With one last read after the writers are done
 * its copy is what they left; and a copy never lacks a write that was over before its read.
 */
#define RACE_PAGES 48u

struct writer {
	pthread_t thread;
	struct iommu_device *dev;
	unsigned first; /* of the pages that are its own: every other one */
	bool sg;
	atomic_bool stop;
	atomic_uint done[RACE_PAGES]; /* the count that is surely in the page */
};

static void *writer(void *arg)
{
	struct writer *w = arg;
	uint32_t n = 0;
	struct iovec iov;

	while (!atomic_load(&w->stop)) {
		n++;
		for (unsigned i = w->first; i < RACE_PAGES; i += 2) {
			if (w->sg) {
				rcu_read_begin();
				assert_int_equal(
					iommu_dma_sg(w->dev, BASE + i * K4, 4096, true, &iov, 1),
					1);
				if (n % 16 == 0)
					usleep(50);
				__atomic_store_n((uint32_t *)iov.iov_base, n, __ATOMIC_RELAXED);
				rcu_read_end();
			} else {
				iommu_dma_write(w->dev, BASE + i * K4, &n, sizeof(n));
			}
			atomic_store(&w->done[i], n);
		}
	}
	return NULL;
}

static uint32_t count_in(const char *page)
{
	return __atomic_load_n((const uint32_t *)page, __ATOMIC_RELAXED);
}

static void read_and_copy(struct writer *w, uint32_t *copy)
{
	uint32_t before[RACE_PAGES];
	uint64_t bits = 0;

	for (unsigned i = 0; i < RACE_PAGES; i++)
		before[i] = atomic_load(&w[i & 1].done[i]);
	assert_int_equal(iommu_domain_dirty_read(d, BASE, RACE_PAGES * K4, K4, true, &bits), 0);
	for (unsigned i = 0; i < RACE_PAGES; i++) {
		if (bits >> i & 1)
			copy[i] = count_in(mem + i * K4);
		if ((int32_t)(copy[i] - before[i]) < 0)
			fail_msg("page %u: the copy has %u, %u was written before", i, copy[i],
				 before[i]);
	}
}

static void race(bool restart)
{
	struct writer w[2] = { { .dev = &dev }, { .dev = &dev2, .first = 1, .sg = true } };
	uint64_t until = now_ns() + 700000000ull;
	uint32_t copy[RACE_PAGES];
	unsigned rounds = 0;

	memset(mem, 0, RACE_PAGES * K4);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&w[i].thread, NULL, writer, &w[i]), 0);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	for (unsigned i = 0; i < RACE_PAGES; i++)
		copy[i] = count_in(mem + i * K4);
	for (; now_ns() < until; rounds++) {
		read_and_copy(w, copy);
		if (!restart || rounds % 16)
			continue;
		/* all that was noted is lost, and from there on nothing is */
		if (rounds % 32)
			iommu_domain_dirty_stop(d);
		assert_int_equal(iommu_domain_dirty_start(d), 0);
		for (unsigned i = 0; i < RACE_PAGES; i++)
			copy[i] = count_in(mem + i * K4);
	}
	for (unsigned i = 0; i < 2; i++)
		atomic_store(&w[i].stop, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(w[i].thread, NULL);
	read_and_copy(w, copy);
	for (unsigned i = 0; i < RACE_PAGES; i++)
		assert_int_equal(copy[i], count_in(mem + i * K4));
	assert_true(rounds > 20);
}

static void test_race(void **state)
{
	race(false);
}

static void test_race_with_restarts(void **state)
{
	race(true);
}

/* Mappings come and go, tracking starts and stops, devices write: nothing breaks. */
static void *map_and_unmap(void *arg)
{
	atomic_bool *stop = arg;

	for (unsigned i = 0; !atomic_load(stop); i++) {
		uint64_t iova = (1ull << 40) + (i % 5) * (1ull << 27);

		assert_int_equal(iommu_domain_map(d, iova, mem, 8 * K4, RW), 0);
		write_at(&dev, iova + 3 * K4, 8);
		assert_int_equal(iommu_domain_unmap(d, iova, 8 * K4), 8 * K4);
	}
	return NULL;
}

static void test_everything_at_once(void **state)
{
	uint64_t until = now_ns() + 300000000ull, bits[PAGES / 64];
	atomic_bool stop = false;
	pthread_t th;

	assert_int_equal(pthread_create(&th, NULL, map_and_unmap, &stop), 0);
	while (now_ns() < until) {
		assert_int_equal(iommu_domain_dirty_start(d), 0);
		for (unsigned i = 0; i < 5; i++) {
			write_at(&dev2, BASE + i * K4, 8);
			memset(bits, 0, sizeof(bits));
			assert_int_equal(
				iommu_domain_dirty_read(d, BASE, PAGES * K4, K4, true, bits), 0);
			assert_int_equal(bits[0], 1ull << i);
		}
		iommu_domain_dirty_stop(d);
	}
	atomic_store(&stop, true);
	pthread_join(th, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mappings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race, setup, teardown),
		cmocka_unit_test_setup_teardown(test_race_with_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_everything_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
