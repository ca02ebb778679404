/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/device_test.c: transfers, every way in which one is aborted, what is counted and logged of
 * it; groups.
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

#include "base/guard.h"
#include "base/rcu.h"
#include "base/reach.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/test_signals.h"
#include "iommu/group.h"

#define K4 0x1000ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static char last_line[1024];
static const char *last_code;
static unsigned lines;

static void tapped(const struct report *r, void *arg)
{
	if (r->limited)
		return;
	lines++;
	last_code = r->code->name;
	strncpy(last_line, r->line, sizeof(last_line) - 1);
}

static struct report_subscriber subscriber = { .fn = tapped, .level = LOG_INFO };

struct fix {
	struct iommu_device dev;
	struct iommu_domain *d;
	char *mem; /* four pages */
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	f->mem = mmap(NULL, 4 * K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	iommu_device_init(&f->dev, "0000:01:00.0");
	f->d = iommu_domain_new();
	iommu_device_attach(&f->dev, f->d);
	report_subscribe(&subscriber);
	log_set(2, LOG_NONE);
	lines = 0;
	last_line[0] = 0;
	*state = f;
	return guard_install();
}

static int teardown(void **state)
{
	struct fix *f = *state;

	iommu_device_fini(&f->dev);
	iommu_domain_put(f->d);
	munmap(f->mem, 4 * K4);
	free(f);
	report_unsubscribe(&subscriber);
	return 0;
}

static void test_copy(void **state)
{
	struct fix *f = *state;
	char in[3 * K4], out[3 * K4];

	/* backwards in memory: pieces are not contiguous */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(
			iommu_domain_map(f->d, 0x10000 + i * K4, f->mem + (3 - i) * K4, K4, RW), 0);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (char)(i * 31 + i / 256);
	assert_int_equal(iommu_dma_write(&f->dev, 0x10000 + 100, in, sizeof(in)), 0);
	assert_memory_equal(f->mem + 3 * K4 + 100, in, K4 - 100);
	assert_memory_equal(f->mem + 2 * K4, in + K4 - 100, K4);
	assert_memory_equal(f->mem, in + 3 * K4 - 100, 100);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000 + 100, out, sizeof(out)), 0);
	assert_memory_equal(out, in, sizeof(in));
	assert_int_equal(iommu_dma_read(&f->dev, 0xdead0000, out, 0), 0);
	assert_int_equal(atomic_load(&f->dev.faults), 0);
	assert_int_equal(lines, 0);
}

static void expect(struct fix *f, unsigned n, uint64_t iova, size_t len, bool write,
		   enum iommu_fault_reason why)
{
	char text[128];

	assert_int_equal(atomic_load(&f->dev.faults), n);
	snprintf(text, sizeof(text), "%s of %zu bytes at IOVA %#llx: %s", write ? "write" : "read",
		 len, (unsigned long long)iova, iommu_fault_reason_text(why));
	assert_non_null(strstr(last_line, text));
}

static void test_aborts(void **state)
{
	struct fix *f = *state;
	char buf[2 * K4] = "abc";
	void *gone;

	assert_int_equal(iommu_domain_map(f->d, 0x10000, f->mem, K4, RW), 0);
	assert_int_equal(iommu_domain_map(f->d, 0x20000, f->mem, K4, IOMMU_READ), 0);
	assert_int_equal(iommu_domain_map(f->d, 0x30000, f->mem, K4, IOMMU_WRITE), 0);
	assert_int_equal(iommu_dma_write(&f->dev, 0x10ffe, buf, 4), -EFAULT);
	expect(f, 1, 0x11000, 4, true, IOMMU_NOT_MAPPED);
	assert_string_equal(last_line, "uvfio: warn: 0000:01:00.0: DMA fault: write of 4 bytes at "
				       "IOVA 0x11000: not mapped");
	assert_int_equal(iommu_dma_write(&f->dev, 0x20000, buf, 4), -EFAULT);
	expect(f, 2, 0x20000, 4, true, IOMMU_NO_RIGHT);
	assert_int_equal(iommu_dma_read(&f->dev, 0x20000, buf, 4), 0);
	assert_int_equal(iommu_dma_read(&f->dev, 0x30000, buf, 8), -EFAULT);
	expect(f, 3, 0x30000, 8, false, IOMMU_NO_RIGHT);
	assert_int_equal(iommu_dma_write(&f->dev, 0x30000, buf, 4), 0);
	/* past the end of the address space, and round it */
	assert_int_equal(iommu_dma_read(&f->dev, 1ull << 48, buf, 1), -EFAULT);
	assert_int_equal(iommu_dma_read(&f->dev, UINT64_MAX, buf, 2), -EFAULT);
	expect(f, 5, UINT64_MAX, 2, false, IOMMU_NOT_MAPPED);
	/* bus mastering off */
	atomic_store(&f->dev.blocked, true);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000, buf, 1), -EFAULT);
	expect(f, 6, 0x10000, 1, false, IOMMU_BLOCKED);
	atomic_store(&f->dev.blocked, false);
	/* memory that went away: what could be copied was */
	gone = mmap(NULL, K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(iommu_domain_map(f->d, 0x11000, gone, K4, RW), 0);
	munmap(gone, K4);
	memset(f->mem, 0, K4);
	memset(buf, 7, sizeof(buf));
	assert_int_equal(iommu_dma_write(&f->dev, 0x10ff0, buf, 64), -EFAULT);
	expect(f, 7, 0x11000, 64, true, IOMMU_BAD_MEMORY);
	assert_int_equal(f->mem[K4 - 1], 7);
	/* no domain */
	iommu_device_attach(&f->dev, NULL);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000, buf, 1), -EFAULT);
	expect(f, 8, 0x10000, 1, false, IOMMU_NO_DOMAIN);
	assert_int_equal(lines, 8);
	/* a driver in a loop does not bury the log */
	for (int i = 0; i < 1000; i++)
		iommu_dma_read(&f->dev, 0x10000, buf, 1);
	assert_int_equal(atomic_load(&f->dev.faults), 1008);
	assert_in_range(lines, 20, 60);
}

/* The program's protection is not the device's: what counts are the rights in the domain. */
static void test_protection(void **state)
{
	struct fix *f = *state;
	char buf[2 * K4];

	memset(buf, 7, sizeof(buf));
	assert_int_equal(iommu_domain_map(f->d, 0x10000, f->mem, 2 * K4, RW), 0);
	assert_int_equal(iommu_domain_map(f->d, 0x20000, f->mem, K4, IOMMU_READ), 0);
	assert_int_equal(mprotect(f->mem + K4, K4, PROT_NONE), 0);
	assert_int_equal(iommu_dma_write(&f->dev, 0x10ff0, buf, 64), 0);
	assert_int_equal(iommu_dma_write(&f->dev, 0x10000, buf, sizeof(buf)), 0);
	assert_int_equal(mprotect(f->mem, 2 * K4, PROT_READ), 0);
	assert_memory_equal(f->mem, buf, sizeof(buf));
	memset(buf, 8, sizeof(buf));
	assert_int_equal(iommu_dma_write(&f->dev, 0x10ff8, buf, 8), 0);
	assert_int_equal(f->mem[K4 - 1], 8);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000, buf, sizeof(buf)), 0);
	assert_memory_equal(f->mem, buf, sizeof(buf));
	assert_int_equal(iommu_dma_write(&f->dev, 0x20000, buf, 1), -EFAULT);
	expect(f, 1, 0x20000, 1, true, IOMMU_NO_RIGHT);
}

static void test_sg(void **state)
{
	struct fix *f = *state;
	struct iovec iov[4];

	assert_int_equal(iommu_domain_map(f->d, 0x10000, f->mem, 2 * K4, RW), 0);
	assert_int_equal(iommu_domain_map(f->d, 0x12000, f->mem + 3 * K4, K4, IOMMU_READ), 0);
	rcu_read_begin();
	assert_int_equal(iommu_dma_sg(&f->dev, 0x10010, 2 * K4, false, iov, 4), 2);
	assert_ptr_equal(iov[0].iov_base, f->mem + 0x10); /* two leaves, one piece */
	assert_int_equal(iov[0].iov_len, 2 * K4 - 0x10);
	assert_ptr_equal(iov[1].iov_base, f->mem + 3 * K4);
	assert_int_equal(iov[1].iov_len, 0x10);
	assert_int_equal(iommu_dma_sg(&f->dev, 0x10010, 2 * K4, false, iov, 1), -E2BIG);
	assert_int_equal(iommu_dma_sg(&f->dev, 0x10000, 0, false, iov, 1), 0);
	assert_int_equal(atomic_load(&f->dev.faults), 0);
	assert_int_equal(iommu_dma_sg(&f->dev, 0x10010, 2 * K4, true, iov, 4), -EFAULT);
	expect(f, 1, 0x12000, 2 * K4, true, IOMMU_NO_RIGHT);
	atomic_store(&f->dev.blocked, true);
	assert_int_equal(iommu_dma_sg(&f->dev, 0x10000, 1, false, iov, 4), -EFAULT);
	expect(f, 2, 0x10000, 1, false, IOMMU_BLOCKED);
	rcu_read_end();
}

/* An access that is blocked is the driver's mistake, unless the device is being reset or closed. */
static void test_ending(void **state)
{
	struct fix *f = *state;
	char buf[4];

	atomic_store(&f->dev.blocked, true);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000, buf, 4), -EFAULT);
	assert_string_equal(last_code, "dma-blocked");
	iommu_device_set_ending(&f->dev, IOMMU_RESETTING);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000, buf, 4), -EFAULT);
	assert_string_equal(last_code, "dma-reset");
	iommu_device_set_ending(&f->dev, IOMMU_CLOSING);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000, buf, 4), -EFAULT);
	assert_string_equal(last_code, "leak-dma");
	iommu_device_set_ending(&f->dev, IOMMU_RUNNING);
	assert_int_equal(iommu_dma_read(&f->dev, 0x10000, buf, 4), -EFAULT);
	assert_string_equal(last_code, "dma-blocked");
}

static void test_group(void **state)
{
	struct iommu_device a, b;
	struct iommu_group *g = iommu_group_new(26), *other = iommu_group_new(27);
	struct fix *f = *state;
	char c = 5;

	iommu_device_init(&a, "a");
	iommu_device_init(&b, "b");
	assert_int_equal(iommu_domain_map(f->d, 0x10000, f->mem, K4, RW), 0);
	assert_int_equal(iommu_group_add(g, &a), 0);
	assert_int_equal(iommu_group_add(g, &a), -EBUSY);
	assert_int_equal(iommu_group_add(other, &a), -EBUSY);
	assert_ptr_equal(a.group, g);
	assert_int_equal(iommu_dma_read(&a, 0x10000, &c, 1), -EFAULT);
	iommu_group_attach(g, f->d);
	assert_int_equal(iommu_dma_read(&a, 0x10000, &c, 1), 0);
	/* one that comes later shares what the others have */
	assert_int_equal(iommu_group_add(g, &b), 0);
	assert_int_equal(iommu_dma_read(&b, 0x10000, &c, 1), 0);
	iommu_group_remove(g, &a);
	assert_null(a.group);
	assert_int_equal(g->n, 1);
	assert_int_equal(iommu_dma_read(&a, 0x10000, &c, 1), -EFAULT);
	assert_int_equal(iommu_dma_read(&b, 0x10000, &c, 1), 0);
	iommu_group_attach(g, NULL);
	assert_int_equal(iommu_dma_read(&b, 0x10000, &c, 1), -EFAULT);
	iommu_group_attach(g, f->d);
	iommu_group_free(g);
	assert_null(b.group);
	assert_int_equal(iommu_dma_read(&b, 0x10000, &c, 1), -EFAULT);
	iommu_group_free(other);
	iommu_group_free(NULL);
	iommu_device_fini(&a);
	iommu_device_fini(&b);
}

/* ---- detach and unmap wait for what is under way ---- */

struct busy {
	struct fix *f;
	atomic_bool stop;
	atomic_ulong ok;
};

static void *dma_loop(void *arg)
{
	struct busy *b = arg;
	char buf[256];

	memset(buf, 0x11, sizeof(buf));
	while (!atomic_load(&b->stop))
		if (!iommu_dma_write(&b->f->dev, 0x10000, buf, sizeof(buf)))
			atomic_fetch_add(&b->ok, 1);
	return NULL;
}

static void test_quiet_after(void **state)
{
	struct fix *f = *state;
	struct busy b = { .f = f };
	uint64_t until = now_ns() + 200000000ull;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, dma_loop, &b), 0);
	for (unsigned i = 0; now_ns() < until; i++) {
		assert_int_equal(iommu_domain_map(f->d, 0x10000, f->mem, K4, RW), 0);
		iommu_device_attach(&f->dev, f->d);
		while (!atomic_exchange(&b.ok, 0) && now_ns() < until)
			;
		if (i % 2)
			iommu_device_attach(&f->dev, NULL);
		else
			assert_int_equal(iommu_domain_unmap(f->d, 0x10000, K4), K4);
		memset(f->mem, 0x22, 256);
		for (unsigned k = 0; k < 2000; k++)
			assert_int_equal(((volatile char *)f->mem)[k % 256], 0x22);
		if (i % 2)
			assert_int_equal(iommu_domain_unmap(f->d, 0x10000, K4), K4);
	}
	atomic_store(&b.stop, true);
	pthread_join(t, NULL);
}

/* An address that is no physical one is said to be none. */
static void test_no_iommu(void **state)
{
	struct fix *f = *state;
	char buf[8];

	f->dev.no_iommu = true;
	lines = 0;
	assert_int_equal(iommu_dma_read(&f->dev, 0x500000000, buf, 8), -EFAULT);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last_line, "there is no IOMMU"));
	atomic_store(&f->dev.blocked, true);
	assert_int_equal(iommu_dma_read(&f->dev, 0x500000000, buf, 8), -EFAULT);
	assert_non_null(strstr(last_line, "bus mastering"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aborts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_protection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sg, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_iommu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ending, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quiet_after, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
