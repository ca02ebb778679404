/* SPDX-License-Identifier: BSD-3-Clause */
/* iommu/peer_test.c: windows: many of them, their numbers, and what they lead to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/rcu.h"
#include "iommu/device.h"
#include "iommu/peer.h"

#define IOVA 0x200000ull
#define MANY 1500u

static struct {
	unsigned bar, calls;
	uint64_t off;
	size_t len;
} last;

static int on_access(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		     size_t len, bool write)
{
	last.bar = bar;
	last.off = off;
	last.len = len;
	last.calls++;
	if (!write)
		memset(buf, 0x5a, len);
	return 0;
}

static void look(const void *mem, struct iommu_peer_at *at)
{
	static struct iommu_device dev;

	rcu_read_begin();
	iommu_peer_enter(mem, &dev, at);
	rcu_read_end();
	iommu_peer_leave(at);
}

static void numbers(void **state)
{
	struct iommu_target *t = iommu_target_new("0000:01:00.0", on_access, &last);
	static struct iommu_window *w[MANY];
	struct iommu_peer_at at;
	uint64_t address;

	for (unsigned i = 0; i < MANY; i++) {
		w[i] = iommu_window_new(t, i % 6);
		assert_non_null(w[i]);
		assert_true(iommu_is_peer((void *)iommu_window_address(w[i], 0)));
		for (unsigned k = 0; k < i; k += 100)
			assert_true(iommu_window_address(w[i], 0) != iommu_window_address(w[k], 0));
	}
	address = iommu_window_address(w[77], (1ull << 40) - 1);
	look((void *)address, &at);
	assert_ptr_equal(at.target, t);
	assert_int_equal(at.bar, 77 % 6);
	assert_true(at.off == (1ull << 40) - 1);
	/* a number that is free is used again */
	iommu_window_free(w[77]);
	look((void *)address, &at);
	assert_null(at.target);
	w[77] = iommu_window_new(NULL, 3);
	assert_true(iommu_window_address(w[77], (1ull << 40) - 1) == address);
	for (unsigned i = 0; i < MANY; i++)
		iommu_window_free(w[i]);
	iommu_target_put(t);
}

/* A transfer over memory and a window, and back into memory. */
static void in_a_page_table(void **state)
{
	struct iommu_target *t = iommu_target_new("0000:01:00.0", on_access, &last);
	struct iommu_window *w = iommu_window_new(t, 2), *none = iommu_window_new(NULL, 0);
	static uint8_t mem[2][4096] __attribute__((aligned(4096)));
	struct iommu_domain *d = iommu_domain_new();
	uint64_t bits = 0, peer = iommu_window_address(w, 0x7000);
	struct iommu_device dev;
	uint8_t buf[3 * 4096];

	log_set(2, LOG_NONE);
	iommu_device_init(&dev, "0000:02:00.0");
	iommu_device_attach(&dev, d);
	assert_int_equal(iommu_domain_dirty_start(d), 0);
	assert_int_equal(iommu_domain_map(d, IOVA, mem[0], 4096, 3), 0);
	assert_int_equal(iommu_domain_map(d, IOVA + 4096, (void *)peer, 4096, 3), 0);
	assert_int_equal(iommu_domain_map(d, IOVA + 8192, mem[1], 4096, 3), 0);
	memset(buf, 7, sizeof(buf));
	assert_int_equal(iommu_dma_write(&dev, IOVA + 8, buf, 2 * 4096), 0);
	assert_int_equal(last.calls, 1);
	assert_int_equal(last.bar, 2);
	assert_int_equal(last.off, 0x7000);
	assert_int_equal(last.len, 4096);
	assert_int_equal(mem[0][8], 7);
	assert_int_equal(mem[1][7], 7);
	assert_int_equal(mem[1][8], 0);
	assert_int_equal(iommu_domain_dirty_read(d, IOVA, 3 * 4096, 4096, true, &bits), 0);
	assert_int_equal(bits, 7);
	assert_int_equal(iommu_dma_read(&dev, IOVA + 4096 - 1, buf, 3), 0);
	assert_memory_equal(buf, "\x07\x5a\x5a", 3);
	/* what cannot be read is ones, what was before it has been read */
	iommu_window_revoke(w);
	rcu_sync_all();
	assert_int_equal(iommu_dma_read(&dev, IOVA + 4096 - 1, buf, 3), -EFAULT);
	assert_memory_equal(buf, "\x07\xff\xff", 3);
	assert_int_equal(last.calls, 2);
	iommu_domain_unmap(d, IOVA + 4096, 4096);
	assert_int_equal(iommu_domain_map(d, IOVA + 4096, (void *)iommu_window_address(none, 0),
					  4096, IOMMU_READ),
			 0);
	assert_int_equal(iommu_dma_read(&dev, IOVA + 4096, buf, 3), -EFAULT);
	assert_int_equal(iommu_dma_write(&dev, IOVA + 4096, buf, 3), -EFAULT);
	assert_int_equal(atomic_load(&dev.faults), 3);
	iommu_domain_unmap(d, IOVA, 3 * 4096);
	iommu_device_fini(&dev);
	iommu_domain_put(d);
	iommu_window_free(w);
	iommu_window_free(none);
	iommu_target_put(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(in_a_page_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
