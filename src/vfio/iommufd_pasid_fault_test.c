/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_pasid_fault_test.c: page tables of PASIDs: which can be attached, in the kernel's
 * order of errors, neighbours of a group, replacing and leaving; and each allocation failing.
 */
#include "base/log.h"
#include "base/rcu.h"
#include "base/test_fault.h"
#include "iommu/page_request.h"
#include "vfio/iommufd_objects.h"
#include "vfio/test_iommufd.h"

static struct test_machine *t;
static struct vfio_iommufd *ictx;
static struct vfio_open open[2];
static uint32_t ioas, id[2]; /* numbers: of an IOAS and the devices */

static int setup(void **state)
{
	if (test_machine_new(state))
		return -1;
	t = *state;
	ictx = vfio_iommufd_new(t->sys);
	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &ioas), 0);
	vfio_iommufd_publish(ictx, ioas);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(iommu_pasid_add(&t->dev[i].iommu, 4 + i, i), 0);
		vfio_open_init(&open[i], &t->dev[i].vdev);
		assert_int_equal(test_bind(&open[i], ictx, &id[i]), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < 2; i++)
		vfio_open_close(&open[i]);
	vfio_iommufd_put(ictx);
	for (unsigned i = 0; i < 2; i++)
		iommu_pasid_free(&t->dev[i].iommu);
	return test_machine_free(state);
}

static uint32_t new_hwpt(uint32_t flags, uint32_t fault)
{
	struct iommu_hwpt_alloc c = {
		.size = sizeof(c), .flags = flags, .dev_id = id[0], .pt_id = ioas, .fault_id = fault
	};
	uint32_t h = 0;

	assert_int_equal(vfio_iommufd_hwpt_alloc(ictx, &c, &h), 0);
	vfio_iommufd_publish(ictx, h);
	return h;
}

static int attach(unsigned dev, uint32_t pt, uint32_t pasid)
{
	return vfio_iommufd_attach(&t->dev[dev].vdev, &pt, &pasid);
}

static int attach_plain(unsigned dev, uint32_t pt)
{
	return vfio_iommufd_attach(&t->dev[dev].vdev, &pt, NULL);
}

static void detach(unsigned dev, uint32_t pasid)
{
	assert_int_equal(vfio_iommufd_detach(&t->dev[dev].vdev, &pasid), 0);
}

/* True if device @dev uses something for @pasid. */
static bool uses(unsigned dev, uint32_t pasid)
{
	bool is;

	rcu_read_begin();
	is = iommu_pasid_domain(&t->dev[dev].iommu, pasid);
	rcu_read_end();
	return is;
}

static void errors(void **state)
{
	uint32_t h = new_hwpt(IOMMU_HWPT_ALLOC_PASID, 0), plain = new_hwpt(0, 0);
	struct vfio_iommufd_hw_info info;
	struct vfio_iommufd_fault *q;
	uint32_t queue;

	assert_int_equal(vfio_iommufd_hw_info(ictx, id[0], &info), 0);
	assert_int_equal(info.max_pasid_log2, 4);
	assert_false(info.capabilities & IOMMU_HW_CAP_PCI_PASID_EXEC);
	assert_int_equal(vfio_iommufd_hw_info(ictx, id[1], &info), 0);
	assert_int_equal(info.max_pasid_log2, 5);
	assert_true(info.capabilities & IOMMU_HW_CAP_PCI_PASID_EXEC);
	assert_int_equal(attach(0, 99, UINT32_MAX), -ENOSPC);
	assert_int_equal(attach(0, 99, 1u << 31), -ENOSPC);
	assert_int_equal(attach(0, 99, 1), -ENOENT);
	assert_int_equal(attach(0, id[0], 1), -EINVAL);
	assert_int_equal(attach(0, ioas, 1), -EINVAL);
	assert_int_equal(attach(0, plain, 1), -EINVAL);
	assert_int_equal(attach(0, h, 16), -EINVAL); /* wider than one of the group has */
	assert_int_equal(attach(1, h, 16), -EINVAL);
	assert_int_equal(attach(0, h, INT32_MAX), -EINVAL);
	assert_int_equal(attach(0, h, 15), 0);
	/* beside a PASID only one that was made for that, and the other way round */
	assert_int_equal(attach_plain(0, plain), -EINVAL);
	assert_int_equal(attach_plain(0, ioas), -EINVAL);
	assert_int_equal(attach_plain(1, ioas), -EINVAL);
	assert_int_equal(attach_plain(0, h), 0);
	assert_int_equal(attach_plain(0, ioas), -EINVAL);
	assert_int_equal(attach_plain(0, plain), -EINVAL);
	detach(0, 15);
	assert_int_equal(attach_plain(0, plain), 0);
	assert_int_equal(attach(0, h, 15), -EINVAL);
	assert_int_equal(attach(1, h, 15), -EINVAL);
	assert_int_equal(vfio_iommufd_detach(&t->dev[0].vdev, NULL), 0);
	/* with a fault queue: for those that raise requests */
	assert_int_equal(vfio_iommufd_fault_alloc(ictx, &queue, &q), 0);
	vfio_iommufd_publish(ictx, queue);
	h = new_hwpt(IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID, queue);
	assert_int_equal(attach(0, h, 16), -EINVAL);
	assert_int_equal(attach(0, h, 1), -ENODEV);
	vfio_iommufd_fault_release(q);
	/* a group without */
	for (unsigned i = 0; i < 2; i++)
		iommu_pasid_free(&t->dev[i].iommu);
	assert_int_equal(attach(0, plain, 1), -EINVAL);
	assert_int_equal(attach(0, h, 1), -EOPNOTSUPP);
}

static void neighbours(void **state)
{
	uint32_t a = new_hwpt(IOMMU_HWPT_ALLOC_PASID, 0), b = new_hwpt(IOMMU_HWPT_ALLOC_PASID, 0);

	assert_int_equal(attach(0, a, 3), 0);
	assert_true(uses(0, 3) && uses(1, 3));
	assert_int_equal(attach(1, b, 3), -EINVAL);
	assert_int_equal(attach(1, b, 4), 0); /* of another PASID */
	assert_int_equal(attach(1, a, 3), 0);
	assert_int_equal(attach(1, a, 3), 0); /* again: nothing to do */
	assert_int_equal(ictx->objects[a]->users, 2);
	assert_int_equal(vfio_iommufd_destroy(ictx, a), -EBUSY);
	/* one replaces it for both */
	assert_int_equal(attach(0, 99, 3), -ENOENT);
	assert_int_equal(attach(0, ioas, 3), -EINVAL);
	assert_int_equal(attach(0, b, 3), 0);
	assert_int_equal(ictx->objects[b]->users, 3);
	assert_int_equal(vfio_iommufd_destroy(ictx, a), 0);
	detach(0, 3);
	detach(0, 3);
	detach(0, 9);
	assert_true(uses(0, 3) && uses(1, 3));
	detach(1, 3);
	assert_false(uses(0, 3) || uses(1, 3));
	/* a device that is closed takes its PASIDs along */
	assert_int_equal(attach(1, b, 2), 0);
	assert_int_equal(attach(1, b, 9), 0);
	assert_int_equal(attach_plain(1, b), 0);
	vfio_open_close(&open[1]);
	assert_int_equal(ictx->objects[b]->users, 0);
	assert_false(uses(0, 2) || uses(0, 4) || uses(0, 9));
	assert_int_equal(vfio_iommufd_destroy(ictx, b), 0);
}

static void every_allocation(void **state)
{
	uint32_t h = new_hwpt(IOMMU_HWPT_ALLOC_PASID, 0), b = new_hwpt(IOMMU_HWPT_ALLOC_PASID, 0);
	int rc;

	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = attach(0, h, 7);
		fault_end(&l, rc);
		assert_int_equal(uses(0, 7), !rc);
		assert_int_equal(uses(1, 7), !rc);
		assert_int_equal(ictx->objects[h]->users, !rc);
		if (l.done) /* the list of the device, a table for each device */
			assert_true(l.failed >= 3);
	}
	/* replacing takes none, nor does leaving */
	fault_set(FAULT_MEMORY, 1);
	assert_int_equal(attach(0, b, 7), 0);
	detach(0, 7);
	assert_false(fault_clear());
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(errors), TEST(neighbours),
					    TEST(every_allocation) };

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
