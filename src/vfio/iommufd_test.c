/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_test.c: objects of an iommufd: their numbers, who keeps whom, and devices that are
 * bound and attached.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/log.h"
#include "vfio/iommufd_objects.h"
#include "vfio/test_iommufd.h"

static uint32_t new_ioas(struct vfio_iommufd *ictx)
{
	uint32_t id = 0;

	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &id), 0);
	vfio_iommufd_publish(ictx, id);
	return id;
}

static void numbers(void **state)
{
	struct test_machine *t = *state;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	uint32_t id;

	for (uint32_t want = 1; want <= 100; want++)
		assert_int_equal(new_ioas(ictx), want);
	assert_int_equal(vfio_iommufd_destroy(ictx, 50), 0);
	assert_int_equal(vfio_iommufd_destroy(ictx, 50), -ENOENT);
	assert_int_equal(vfio_iommufd_destroy(ictx, 7), 0);
	assert_int_equal(new_ioas(ictx), 7);
	assert_int_equal(new_ioas(ictx), 50);
	assert_int_equal(new_ioas(ictx), 101);
	assert_int_equal(vfio_iommufd_destroy(ictx, 0), -ENOENT);
	assert_int_equal(vfio_iommufd_destroy(ictx, UINT32_MAX), -ENOENT);
	/* one that was not published is nobody's, but its number is taken */
	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &id), 0);
	assert_int_equal(id, 102);
	assert_int_equal(vfio_iommufd_destroy(ictx, id), -ENOENT);
	assert_int_equal(new_ioas(ictx), 103);
	vfio_iommufd_abort(ictx, id);
	assert_int_equal(new_ioas(ictx), 102);
	vfio_iommufd_put(ictx);
}

static void binding(void **state)
{
	struct test_machine *t = *state;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys), *other = vfio_iommufd_new(t->sys);
	struct vfio_open a, b, second;
	uint32_t id = 0, id2 = 0;

	assert_int_equal(new_ioas(ictx), 1);
	vfio_open_init(&a, &t->dev[0].vdev);
	vfio_open_init(&second, &t->dev[0].vdev);
	vfio_open_init(&b, &t->dev[1].vdev);
	assert_int_equal(test_bind(&a, ictx, &id), 0);
	assert_int_equal(id, 2);
	assert_int_equal(t->dev[0].opens, 1);
	assert_int_equal(vfio_iommufd_destroy(ictx, id), -EBUSY);
	assert_int_equal(test_bind(&second, ictx, &id2), -EINVAL);
	/* a neighbour in the group is the same iommufd's, or nobody's */
	assert_int_equal(test_bind(&b, other, &id2), -EPERM);
	assert_int_equal(vfio_iommufd_dev_id(ictx, &t->dev[1].vdev), -ENOENT);
	assert_int_equal(vfio_iommufd_dev_id(other, &t->dev[1].vdev), -ENODEV);
	assert_int_equal(test_bind(&b, ictx, &id2), 0);
	assert_int_equal(id2, 3);
	assert_int_equal(vfio_iommufd_dev_id(ictx, &t->dev[1].vdev), 3);
	assert_int_equal(vfio_group_open(t->sys, t->group), -EBUSY);
	/* the file may go before its devices */
	vfio_iommufd_put(ictx);
	vfio_open_close(&a);
	assert_int_equal(t->dev[0].opens, 0);
	assert_int_equal(test_bind(&a, other, &id), -EPERM);
	vfio_open_close(&b);
	assert_int_equal(test_bind(&a, other, &id), 0);
	assert_int_equal(id, 1);
	vfio_open_close(&a);
	vfio_iommufd_put(other);
	assert_int_equal(vfio_group_open(t->sys, t->group), 0);
	vfio_group_release(t->sys, t->group);
}

static int cannot_tell(void *arg, uint32_t id)
{
	struct vfio_open *o = arg;
	struct vfio_irq irq;

	/* nobody else has it before the client knows its number */
	assert_int_equal(id, 1);
	assert_false(atomic_load(&o->bound));
	assert_int_equal(vfio_device_irq(o, 0, &irq), -EINVAL);
	return -EFAULT;
}

static void not_told(void **state)
{
	struct test_machine *t = *state;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	struct vfio_open o;

	vfio_open_init(&o, &t->dev[0].vdev);
	assert_int_equal(vfio_open_bind_iommufd(&o, ictx, cannot_tell, &o), -EFAULT);
	assert_int_equal(t->dev[0].opens, 0);
	vfio_iommufd_put(ictx);
	assert_int_equal(vfio_group_open(t->sys, t->group), 0);
	vfio_group_release(t->sys, t->group);
}

static void attaching(void **state)
{
	struct test_machine *t = *state;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	struct vfio_device *a = &t->dev[0].vdev, *b = &t->dev[1].vdev;
	uint32_t ioas = new_ioas(ictx), other = new_ioas(ictx), id, pt, pt2;
	struct vfio_open oa, ob;

	vfio_open_init(&oa, a);
	vfio_open_init(&ob, b);
	pt = ioas;
	assert_int_equal(vfio_iommufd_attach(a, &pt, NULL), -EINVAL);
	assert_int_equal(vfio_iommufd_detach(a, NULL), -EINVAL);
	assert_int_equal(test_bind(&oa, ictx, &id), 0);
	assert_int_equal(test_bind(&ob, ictx, &id), 0);
	assert_int_equal(vfio_iommufd_attach(a, &id, NULL), -EINVAL);
	pt = 99;
	assert_int_equal(vfio_iommufd_attach(a, &pt, NULL), -ENOENT);
	pt = ioas;
	assert_int_equal(vfio_iommufd_attach(a, &pt, NULL), 0);
	assert_int_equal(pt, 5);
	assert_int_equal(vfio_iommufd_destroy(ictx, pt), -EBUSY);
	assert_int_equal(vfio_iommufd_destroy(ictx, ioas), -EBUSY);
	/* the neighbour can come to the same one, and to no other */
	pt2 = other;
	assert_int_equal(vfio_iommufd_attach(b, &pt2, NULL), -EINVAL);
	assert_int_equal(pt2, other);
	pt2 = ioas;
	assert_int_equal(vfio_iommufd_attach(b, &pt2, NULL), 0);
	assert_int_equal(pt2, pt);
	/* one replaces it for both; what an attach had made goes with the last */
	pt2 = other;
	assert_int_equal(vfio_iommufd_attach(b, &pt2, NULL), 0);
	assert_int_equal(pt2, 6);
	assert_int_equal(vfio_iommufd_destroy(ictx, pt), -ENOENT);
	assert_int_equal(vfio_iommufd_destroy(ictx, ioas), 0);
	assert_int_equal(vfio_iommufd_detach(b, NULL), 0);
	assert_int_equal(vfio_iommufd_detach(b, NULL), 0);
	assert_int_equal(vfio_iommufd_destroy(ictx, other), -EBUSY);
	vfio_open_close(&oa);
	assert_int_equal(vfio_iommufd_destroy(ictx, pt2), -ENOENT);
	assert_int_equal(vfio_iommufd_destroy(ictx, other), 0);
	vfio_open_close(&ob);
	vfio_iommufd_put(ictx);
}

/* A group with an iommufd in a container's place. */
static void compat(void **state)
{
	struct test_machine *t = *state;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	struct vfio_container *c = vfio_container_new(t->sys);
	struct vfio_open a, second, cdev;
	uint32_t id, flags;

	assert_int_equal(vfio_iommufd_compat_get(ictx, &id), -ENODEV);
	assert_int_equal(vfio_iommufd_compat_set_iommu(ictx, 3), -ENODEV);
	assert_int_equal(vfio_group_open(t->sys, t->group), 0);
	assert_int_equal(vfio_group_set_iommufd(t->group, ictx), 0);
	assert_int_equal(vfio_group_set_iommufd(t->group, ictx), -EINVAL);
	assert_int_equal(vfio_group_set_container(t->group, c), -EINVAL);
	assert_int_equal(vfio_group_status(t->group, &flags), 0);
	assert_int_equal(flags, 3);
	assert_int_equal(vfio_iommufd_compat_get(ictx, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(vfio_iommufd_compat_coherent(ictx), 1);
	/* before SET_IOMMU, as the IOAS is there */
	assert_int_equal(vfio_open_by_group(&a, t->group, "0000:01:00.0", NULL), 0);
	assert_int_equal(vfio_open_by_group(&second, t->group, "0000:01:00.0", NULL), 0);
	assert_int_equal(t->dev[0].opens, 1);
	assert_int_equal(vfio_iommufd_compat_coherent(ictx), 0);
	assert_int_equal(vfio_iommufd_destroy(ictx, id), -EBUSY);
	vfio_iommufd_compat_clear(ictx);
	assert_int_equal(vfio_iommufd_compat_map(ictx, 0, 0, 4096, IOMMU_READ), -ENODEV);
	/* the group may leave, and its file may go: the device stays */
	assert_int_equal(vfio_group_unset_container(t->group), 0);
	assert_int_equal(vfio_group_unset_container(t->group), -EINVAL);
	assert_int_equal(vfio_group_set_container(t->group, c), -EPERM);
	vfio_group_release(t->sys, t->group);
	assert_int_equal(vfio_group_open(t->sys, t->group), 0);
	vfio_group_release(t->sys, t->group);
	vfio_open_init(&cdev, &t->dev[0].vdev);
	assert_int_equal(vfio_open_bind(&cdev), -EINVAL);
	vfio_open_close(&second);
	vfio_iommufd_put(ictx);
	assert_int_equal(t->dev[0].opens, 1);
	vfio_open_close(&a);
	assert_int_equal(t->dev[0].opens, 0);
	assert_int_equal(vfio_open_bind(&cdev), 0);
	vfio_open_close(&cdev);
	vfio_container_put(c);
}

/* v1: an unmap cuts mappings at its ends. */
static void compat_v1(void **state)
{
	struct test_machine *t = *state;
	struct vfio_iommufd *ictx = vfio_iommufd_new(t->sys);
	struct vfio_device *dev = &t->dev[0].vdev;
	static char mem[4 * 4096] __attribute__((aligned(4096)));
	uint64_t done, mem_at = (uintptr_t)mem;
	struct vfio_open o;
	bool tell;
	char c;

	assert_int_equal(vfio_group_open(t->sys, t->group), 0);
	assert_int_equal(vfio_group_set_iommufd(t->group, ictx), 0);
	assert_int_equal(vfio_iommufd_compat_set_iommu(ictx, 1), 0);
	assert_int_equal(vfio_open_by_group(&o, t->group, "0000:01:00.0", NULL), 0);
	assert_int_equal(vfio_iommufd_compat_map(ictx, mem_at, 0, sizeof(mem), 3), 0);
	assert_int_equal(atomic_load(&t->sys->ioases.pages_locked), 4);
	assert_int_equal(vfio_iommufd_compat_unmap(ictx, false, 4096, 4096, &done, &tell), 0);
	assert_int_equal(done, 4096);
	assert_int_equal(atomic_load(&t->sys->ioases.pages_locked), 3);
	assert_int_equal(iommu_dma_read(dev->iommu, 0, &c, 1), 0);
	assert_int_equal(iommu_dma_read(dev->iommu, 4096, &c, 1), -EFAULT);
	assert_int_equal(iommu_dma_read(dev->iommu, 8192, &c, 1), 0);
	assert_int_equal(vfio_iommufd_compat_unmap(ictx, true, 0, 0, &done, &tell), 0);
	assert_int_equal(done, 3 * 4096);
	vfio_open_close(&o);
	vfio_group_release(t->sys, t->group);
	vfio_iommufd_put(ictx);
	assert_int_equal(atomic_load(&t->sys->ioases.mappings), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers, test_machine_new, test_machine_free),
		cmocka_unit_test_setup_teardown(binding, test_machine_new, test_machine_free),
		cmocka_unit_test_setup_teardown(not_told, test_machine_new, test_machine_free),
		cmocka_unit_test_setup_teardown(attaching, test_machine_new, test_machine_free),
		cmocka_unit_test_setup_teardown(compat, test_machine_new, test_machine_free),
		cmocka_unit_test_setup_teardown(compat_v1, test_machine_new, test_machine_free),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
