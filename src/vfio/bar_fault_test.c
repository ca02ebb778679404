/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/bar_fault_test.c: a mapping of a program's mappings of BARs: what it leads to, and that each
 * allocation may fail: then nothing is mapped, and the devices are let go.
 */
#include "base/log.h"
#include "base/test_fault.h"
#include "iommu/peer.h"
#include "vfio/internal.h"

#define PAGE 4096ull
#define AT   0x7000000ull /* where the program "has" three pages of BARs */
#define IOVA 0x100000ull

static struct iommu_target *target;
static unsigned last_bar;
static uint64_t last_off;
static bool answers, direct;

static int on_access(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		     size_t len, bool write)
{
	last_bar = bar;
	last_off = off;
	return 0;
}

/* a page of BAR 2 from 0x5000 on, then two of BAR 4 from 0 on */
static bool device_memory(void *arg, uint64_t vaddr, uint64_t size, struct vfio_bar *first)
{
	bool second = vaddr >= AT + PAGE;

	if (vaddr < AT || vaddr + size > AT + 3 * PAGE)
		return false;
	iommu_target_get(target);
	*first = (struct vfio_bar){ .target = target,
				    .bar = second ? 4 : 2,
				    .offset = second ? vaddr - AT - PAGE : 0x5000,
				    .length = second ? AT + 3 * PAGE - vaddr : PAGE,
				    .prot = IOMMU_READ,
				    .answers = answers,
				    .direct = direct ? 2 * PAGE : 0 };
	if (first->length > size)
		first->length = size;
	return true;
}

static const struct vfio_env env = { .device_memory = device_memory, .dma_entry_limit = 10 };

static void bars(void **state)
{
	struct vfio_system *s = vfio_system_new(&env, NULL);
	struct vfio_ioas *io = vfio_ioas_new(s, true);
	struct iommu_device dev;
	uint64_t bytes;
	uint8_t b;
	int rc;

	target = iommu_target_new("0000:01:00.0", on_access, &answers);
	answers = true;
	iommu_device_init(&dev, "0000:02:00.0");
	iommu_device_attach(&dev, vfio_ioas_domain(io));
	assert_int_equal(vfio_ioas_map(io, IOVA, AT, 3 * PAGE, IOMMU_READ | IOMMU_WRITE), -EFAULT);
	answers = false;
	assert_int_equal(vfio_ioas_map(io, IOVA, AT, 3 * PAGE, IOMMU_READ), -EFAULT);
	answers = true;
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_ioas_map(io, IOVA, AT, 3 * PAGE, IOMMU_READ);
		fault_end(&l, rc);
		assert_int_equal(atomic_load(&s->ioases.mappings), !rc);
		assert_int_equal(iommu_dma_read(&dev, IOVA, &b, 1), rc ? -EFAULT : 0);
	}
	assert_int_equal(last_bar, 2);
	assert_int_equal(last_off, 0x5000);
	assert_int_equal(iommu_dma_read(&dev, IOVA + PAGE + 7, &b, 1), 0);
	assert_int_equal(last_bar, 4);
	assert_int_equal(last_off, 7);
	assert_int_equal(iommu_dma_read(&dev, IOVA + 3 * PAGE - 1, &b, 1), 0);
	assert_int_equal(last_off, 2 * PAGE - 1);
	assert_int_equal(atomic_load(&s->ioases.pages_locked), 0);
	assert_int_equal(vfio_ioas_unmap(io, IOVA, 3 * PAGE, &bytes), 0);
	assert_int_equal(bytes, 3 * PAGE);
	assert_int_equal(iommu_dma_read(&dev, IOVA, &b, 1), -EFAULT);
	iommu_device_fini(&dev);
	vfio_ioas_put(io);
	vfio_system_free(s);
	iommu_target_put(target);
}

static struct vfio_ioas_range heard;

static int on_map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	heard = *r;
	return 0;
}

static void on_unmap(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	heard = (struct vfio_ioas_range){ 0 };
}

/* A listener who has the kernel make mappings, too, is told where a real device's BARs are. */
static void direct_bars(void **state)
{
	struct vfio_ioas_listener l = { .map = on_map, .unmap = on_unmap }, late = l;
	struct vfio_system *s = vfio_system_new(&env, NULL);
	struct vfio_ioas *io = vfio_ioas_new(s, true);
	uint64_t bytes;

	target = iommu_target_new("0000:01:00.0", on_access, &answers);
	answers = true;
	assert_int_equal(vfio_ioas_listen(io, &l), 0);
	assert_int_equal(vfio_ioas_map(io, IOVA, AT, 3 * PAGE, IOMMU_READ), 0);
	assert_true(heard.device);
	assert_int_equal(heard.vaddr, 0); /* a model's */
	assert_int_equal(vfio_ioas_unmap(io, IOVA, 3 * PAGE, &bytes), 0);
	direct = true;
	assert_int_equal(vfio_ioas_map(io, IOVA, AT, 3 * PAGE, IOMMU_READ), 0);
	assert_true(heard.device);
	assert_int_equal(heard.vaddr, AT);
	assert_int_equal(heard.size, 3 * PAGE);
	/* one who comes later, and when it has gone from there */
	heard.vaddr = 0;
	assert_int_equal(vfio_ioas_listen(io, &late), 0);
	assert_int_equal(heard.vaddr, AT);
	vfio_ioas_unlisten(io, &late);
	direct = false;
	assert_int_equal(vfio_ioas_listen(io, &late), 0);
	assert_true(heard.device);
	assert_int_equal(heard.vaddr, 0);
	vfio_ioas_unlisten(io, &late);
	vfio_ioas_unlisten(io, &l);
	vfio_ioas_put(io);
	vfio_system_free(s);
	iommu_target_put(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(bars), cmocka_unit_test(direct_bars) };

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
