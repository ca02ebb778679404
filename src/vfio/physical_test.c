/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/physical_test.c: physical addresses: of whom they are, how long, and that no other memory
 * ever has them; with iommufd, which pins.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "vfio/iommufd_objects.h"
#include "vfio/physical.h"
#include "vfio/test_iommufd.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static char *fresh(void)
{
	char *p = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	memset(p, 1, 4 * K);
	return p;
}

static int setup(void **state)
{
	struct test_machine *t;

	guard_install();
	log_set(2, LOG_NONE);
	if (test_machine_new(state))
		return -1;
	t = *state;
	if (vfio_physical_init(t->sys) || vfio_physical_init(t->sys))
		return -1;
	vfio_physical_join(t->group);
	return 0;
}

/* Not called where the memory is the program's alone. */
static void *no_move(void *old, uint64_t len, void *arg)
{
	fail_msg("moved");
	return NULL;
}

static void *move(void *old, uint64_t len, void *arg)
{
	char *to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

static bool reaches(struct test_machine *t, uint64_t pa, char want)
{
	char c = 0;

	return !iommu_dma_read(&t->dev[0].iommu, pa, &c, 1) && c == want;
}

static void addresses(void **state)
{
	struct test_machine *t = *state;
	char *p = fresh(), *q;
	uint64_t a = vfio_physical_of(t->sys, (uintptr_t)p),
		 b = vfio_physical_of(t->sys, (uintptr_t)p + K), c;

	assert_true(a && b && !(a % K) && a >= 1ull << 40);
	assert_int_equal(vfio_physical_of(t->sys, (uintptr_t)p + 100), a + 100);
	/* a driver must not take pages for neighbours */
	assert_int_not_equal(b, a + K);
	p[K + 5] = 'x';
	assert_true(reaches(t, b + 5, 'x'));
	assert_false(reaches(t, a + K, 1));
	/* nor an address of the program's for a physical one */
	assert_false(reaches(t, (uintptr_t)p, 1));
	/* what was given back has none, and what comes to its place has another */
	vfio_preserve_pages(t->sys, p, 2 * K, no_move, NULL);
	munmap(p, 2 * K);
	q = mmap(p, 2 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	q[0] = 'n';
	assert_false(reaches(t, a, 'n'));
	c = vfio_physical_of(t->sys, (uintptr_t)q);
	assert_int_not_equal(c, a);
	assert_true(reaches(t, c, 'n'));
	assert_false(reaches(t, a, 'n'));
	vfio_preserve_pages(t->sys, q, 4 * K, no_move, NULL);
	munmap(q, 4 * K);
	assert_int_equal(atomic_load(&t->sys->ioases.mappings), 0);
	assert_int_equal(atomic_load(&t->sys->ioases.pages_locked), 0);
}

static uint64_t get_pa(struct vfio_iommufd *ictx, uint32_t id, uint64_t iova, uint64_t length)
{
	uint64_t n = length, pa = 0;

	if (vfio_iommufd_get_pa(ictx, id, iova, &n, &pa))
		return 0;
	assert_int_equal(n, length);
	return pa;
}

/* A page that is in a page table stays with its address, whatever is at its place. */
static void pinned(void **state)
{
	struct test_machine *t = *state;
	struct vfio_device *dev = &t->dev[0].vdev;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	struct vfio_iommufd_hw_info info;
	uint64_t iova, pa, pa2, bytes, n = 1;
	struct vfio_open o;
	uint32_t id, dev_id, pt;
	char *p = fresh();

	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &id), 0);
	vfio_iommufd_publish(ictx, id);
	vfio_open_init(&o, dev);
	assert_int_equal(test_bind(&o, ictx, &dev_id), 0);
	assert_int_equal(vfio_iommufd_hw_info(ictx, dev_id, &info), -EOPNOTSUPP);
	iova = 0x10000;
	assert_int_equal(vfio_iommufd_ioas_map(ictx, id, (uintptr_t)p, 3 * K, RW, true, &iova), 0);
	assert_int_equal(vfio_iommufd_get_pa(ictx, id, 0x10000, &n, &pa), -EOPNOTSUPP);
	pt = id;
	assert_int_equal(vfio_iommufd_attach(dev, &pt, NULL), 0);
	pa = get_pa(ictx, id, 0x10010, K - 0x10);
	assert_int_equal(pa, vfio_physical_of(t->sys, (uintptr_t)p) + 0x10);
	assert_true(reaches(t, pa, 1));
	assert_int_equal(vfio_iommufd_get_pa(ictx, id, 0x13000, &n, &pa2), -ENOENT);
	/* IOVAs are not for the device */
	assert_false(reaches(t, 0x10000, 1));
	/* no window of messages */
	iova = IOMMU_MSI_START;
	assert_int_equal(vfio_iommufd_ioas_map(ictx, id, (uintptr_t)p, K, RW, true, &iova), 0);
	assert_int_equal(get_pa(ictx, id, iova, 1), pa - 0x10);
	assert_int_equal(vfio_iommufd_ioas_unmap(ictx, id, iova, K, &bytes), 0);

	vfio_preserve_pages(t->sys, p, 2 * K, move, NULL);
	assert_ptr_equal(mmap(p, 2 * K, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 p);
	memset(p, 2, 2 * K);
	assert_int_equal(get_pa(ictx, id, 0x10010, 1), pa);
	assert_true(reaches(t, pa, 1));
	assert_true(reaches(t, vfio_physical_of(t->sys, (uintptr_t)p), 2));
	/* nobody had asked for this one */
	pa2 = get_pa(ictx, id, 0x11000, 1);
	assert_true(pa2 && reaches(t, pa2, 1));
	assert_int_equal(get_pa(ictx, id, 0x11000, 1), pa2);
	assert_true(reaches(t, vfio_physical_of(t->sys, (uintptr_t)p + K), 2));
	/* it goes with the mapping; the program's own stays */
	n = get_pa(ictx, id, 0x12000, 1);
	assert_int_equal(vfio_iommufd_ioas_unmap(ictx, id, 0x10000, 3 * K, &bytes), 0);
	assert_false(reaches(t, pa, 1));
	assert_false(reaches(t, pa2, 1));
	assert_true(reaches(t, n, 1));
	assert_true(reaches(t, vfio_physical_of(t->sys, (uintptr_t)p), 2));
	vfio_open_close(&o);
	vfio_iommufd_put(ictx);
	vfio_preserve_pages(t->sys, p, 4 * K, no_move, NULL);
	munmap(p, 4 * K);
	assert_int_equal(atomic_load(&t->sys->ioases.mappings), 0);
	assert_null(t->sys->ioases.asides.root);
}

/* The same when the page table goes, with the device. */
static void unpinned_by_detach(void **state)
{
	struct test_machine *t = *state;
	struct vfio_device *dev = &t->dev[0].vdev;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	uint64_t iova = 0x10000, pa, n = 1;
	struct vfio_open o;
	uint32_t id, dev_id, pt;
	char *p = fresh();

	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &id), 0);
	vfio_iommufd_publish(ictx, id);
	vfio_open_init(&o, dev);
	assert_int_equal(test_bind(&o, ictx, &dev_id), 0);
	assert_int_equal(vfio_iommufd_ioas_map(ictx, id, (uintptr_t)p, K, RW, true, &iova), 0);
	pt = id;
	assert_int_equal(vfio_iommufd_attach(dev, &pt, NULL), 0);
	vfio_preserve_pages(t->sys, p, K, move, NULL);
	pa = get_pa(ictx, id, 0x10000, 1);
	assert_true(pa && reaches(t, pa, 1));
	assert_int_equal(vfio_iommufd_detach(dev, NULL), 0);
	assert_int_equal(vfio_iommufd_get_pa(ictx, id, 0x10000, &n, &pa), -EOPNOTSUPP);
	assert_false(reaches(t, pa, 1));
	assert_null(t->sys->ioases.asides.root);
	vfio_open_close(&o);
	vfio_iommufd_put(ictx);
	munmap(p, 4 * K);
}

/* A group of it in an iommufd: no object, no IOAS for type1. */
static void group_in_iommufd(void **state)
{
	struct test_machine *t = *state;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	struct vfio_group *g = t->group;
	struct vfio_open o, second;
	uint32_t id;

	assert_int_equal(vfio_group_open(t->sys, g), 0);
	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &id), 0);
	vfio_iommufd_publish(ictx, id);
	assert_int_equal(vfio_iommufd_compat_set(ictx, id), 0);
	assert_int_equal(vfio_group_set_iommufd(g, ictx), -EINVAL);
	assert_false(vfio_iommufd_compat_is_noiommu(ictx));
	vfio_iommufd_compat_clear(ictx);
	assert_int_equal(vfio_group_set_iommufd(g, ictx), 0);
	assert_true(vfio_iommufd_compat_is_noiommu(ictx));
	assert_int_equal(vfio_iommufd_compat_set_iommu(ictx, VFIO_TYPE1v2_IOMMU), -EINVAL);
	assert_int_equal(vfio_iommufd_compat_set_iommu(ictx, VFIO_NOIOMMU_IOMMU), 0);
	assert_int_equal(vfio_open_by_group(&o, g, "0000:01:00.0", NULL), 0);
	assert_int_equal(ictx->count, 1);
	assert_int_equal(vfio_iommufd_compat_set(ictx, id), 0);
	assert_int_equal(vfio_open_by_group(&second, g, "0000:01:00.0", NULL), 0);
	vfio_open_close(&second);
	assert_int_equal(vfio_group_unset_container(g), 0);
	vfio_open_close(&o);
	vfio_iommufd_compat_clear(ictx);
	assert_int_equal(vfio_group_set_iommufd(g, ictx), 0);
	assert_int_equal(vfio_iommufd_compat_set(ictx, id), 0);
	assert_int_equal(vfio_open_by_group(&o, g, "0000:01:00.0", NULL), -EPERM);
	assert_int_equal(t->dev[0].opens, 0);
	vfio_group_release(t->sys, g);
	vfio_iommufd_put(ictx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses, setup, test_machine_free),
		cmocka_unit_test_setup_teardown(pinned, setup, test_machine_free),
		cmocka_unit_test_setup_teardown(unpinned_by_detach, setup, test_machine_free),
		cmocka_unit_test_setup_teardown(group_in_iommufd, setup, test_machine_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
