/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/test_iommufd.h: two devices in a group, for tests of iommufd. */
#ifndef VFIO_TEST_IOMMUFD_H
#define VFIO_TEST_IOMMUFD_H
#include <stdlib.h>

#include "vfio/iommufd.h"

struct test_dev {
	struct vfio_device vdev;
	struct iommu_device iommu;
	int opens;
};
struct test_machine {
	struct vfio_system *sys;
	struct iommu_group *ig;
	struct vfio_group *group;
	struct test_dev dev[2];
};

static int test_dev_open(struct vfio_device *dev)
{
	container_of_type(dev, struct test_dev, vdev)->opens++;
	return 0;
}

static void test_dev_close(struct vfio_device *dev)
{
	container_of_type(dev, struct test_dev, vdev)->opens--;
}

static const struct vfio_device_ops test_dev_ops = { .open = test_dev_open,
						     .close = test_dev_close };

static inline int test_put_id(void *id, uint32_t value)
{
	*(uint32_t *)id = value;
	return 0;
}

/* Bind @o to @ictx; *@id gets the device's number. */
static inline int test_bind(struct vfio_open *o, struct vfio_iommufd *ictx, uint32_t *id)
{
	return vfio_open_bind_iommufd(o, ictx, test_put_id, id);
}

static inline int test_machine_new_env(void **state, const struct vfio_env *env, void *arg)
{
	static const char *const names[] = { "0000:01:00.0", "0000:01:00.1" };
	struct test_machine *t = calloc(1, sizeof(*t));

	t->sys = vfio_system_new(env, arg);
	t->ig = iommu_group_new(7);
	if (vfio_system_add_group(t->sys, t->ig, &t->group))
		return -1;
	for (unsigned i = 0; i < 2; i++) {
		iommu_device_init(&t->dev[i].iommu, names[i]);
		if (iommu_group_add(t->ig, &t->dev[i].iommu))
			return -1;
		vfio_device_init(&t->dev[i].vdev, &test_dev_ops, names[i], &t->dev[i].iommu);
		if (vfio_group_add_device(t->group, &t->dev[i].vdev))
			return -1;
	}
	*state = t;
	return 0;
}

static inline int test_machine_new(void **state)
{
	return test_machine_new_env(state, NULL, NULL);
}

static inline int test_machine_free(void **state)
{
	struct test_machine *t = *state;

	vfio_system_free(t->sys);
	for (unsigned i = 0; i < 2; i++)
		vfio_device_fini(&t->dev[i].vdev);
	iommu_group_free(t->ig);
	free(t);
	return 0;
}
#endif
