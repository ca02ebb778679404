/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_fault_test.c: HWPTs with a fault queue: who can be attached, whose requests come
 * where, who keeps whom; and each allocation failing.
 */
#include "base/log.h"
#include "base/test_fault.h"
#include "iommu/page_request.h"
#include "vfio/iommufd_objects.h"
#include "vfio/test_iommufd.h"

struct world {
	struct test_machine *t;
	struct vfio_iommufd *ictx;
	struct vfio_open open[2];
	uint32_t ioas, dev[2]; /* numbers */
};

static void answered(void *arg)
{
}

static void world_new(struct world *w, void **state)
{
	w->t = *state;
	w->ictx = vfio_iommufd_new(w->t->sys);
	assert_int_equal(vfio_iommufd_ioas_alloc(w->ictx, &w->ioas), 0);
	vfio_iommufd_publish(w->ictx, w->ioas);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(iommu_pri_add(&w->t->dev[i].iommu, 4, answered, NULL), 0);
		vfio_open_init(&w->open[i], &w->t->dev[i].vdev);
		assert_int_equal(test_bind(&w->open[i], w->ictx, &w->dev[i]), 0);
	}
}

static void world_free(struct world *w)
{
	for (unsigned i = 0; i < 2; i++)
		vfio_open_close(&w->open[i]);
	vfio_iommufd_put(w->ictx);
	for (unsigned i = 0; i < 2; i++)
		iommu_pri_free(&w->t->dev[i].iommu);
}

static uint32_t new_queue(struct world *w, struct vfio_iommufd_fault **q)
{
	uint32_t id = 0;

	assert_int_equal(vfio_iommufd_fault_alloc(w->ictx, &id, q), 0);
	vfio_iommufd_publish(w->ictx, id);
	return id;
}

static int hwpt_alloc(struct world *w, uint32_t queue, uint32_t *id)
{
	struct iommu_hwpt_alloc c = { .size = sizeof(c),
				      .flags = queue ? IOMMU_HWPT_FAULT_ID_VALID : 0,
				      .dev_id = w->dev[0],
				      .pt_id = w->ioas,
				      .fault_id = queue };

	return vfio_iommufd_hwpt_alloc(w->ictx, &c, id);
}

static uint32_t new_hwpt(struct world *w, uint32_t queue)
{
	uint32_t id = 0;

	assert_int_equal(hwpt_alloc(w, queue, &id), 0);
	vfio_iommufd_publish(w->ictx, id);
	return id;
}

static int attach(struct world *w, unsigned dev, uint32_t pt)
{
	return vfio_iommufd_attach(&w->t->dev[dev].vdev, &pt, NULL);
}

static void ask(struct world *w, unsigned dev, unsigned group)
{
	struct iommu_page_request r = { .group = group, .perm = IOMMU_PAGE_WRITE, .last = true };

	assert_int_equal(iommu_page_request(&w->t->dev[dev].iommu, &r), 0);
}

static int take_answer(struct world *w, unsigned dev)
{
	struct iommu_page_request last;

	return iommu_page_answer(&w->t->dev[dev].iommu, &last);
}

static int put(void *arg, size_t i, const struct iommu_hwpt_pgfault *f)
{
	((struct iommu_hwpt_pgfault *)arg)[i] = *f;
	return 0;
}

static void who_can(void **state)
{
	struct vfio_iommufd_hw_info info;
	struct vfio_iommufd_fault *q;
	uint32_t queue, h, plain;
	struct world w;

	world_new(&w, state);
	queue = new_queue(&w, &q);
	assert_int_equal(hwpt_alloc(&w, 99, &h), -ENOENT);
	assert_int_equal(hwpt_alloc(&w, w.ioas, &h), -ENOENT);
	h = new_hwpt(&w, queue);
	plain = new_hwpt(&w, 0);
	assert_int_equal(vfio_iommufd_hw_info(w.ictx, w.dev[0], &info), 0);
	assert_int_equal(info.capabilities, 0);
	assert_int_equal(info.vtd.ecap_reg & (1ull << 29 | 1ull << 2), 1ull << 29 | 1ull << 2);
	/* all of a group raise them, or none is taken */
	iommu_pri_free(&w.t->dev[1].iommu);
	assert_int_equal(attach(&w, 0, h), -ENODEV);
	assert_int_equal(attach(&w, 0, plain), 0);
	assert_int_equal(attach(&w, 0, h), -ENODEV);
	assert_int_equal(vfio_iommufd_hw_info(w.ictx, w.dev[1], &info), 0);
	assert_int_equal(info.capabilities, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	assert_int_equal(iommu_pri_add(&w.t->dev[1].iommu, 4, answered, NULL), 0);
	iommu_pri_client(&w.t->dev[1].iommu, w.dev[1]);
	assert_int_equal(attach(&w, 0, h), 0);
	assert_int_equal(attach(&w, 1, h), 0);
	/* the queue is the last that can go */
	assert_int_equal(vfio_iommufd_destroy(w.ictx, queue), -EBUSY);
	vfio_iommufd_fault_release(q);
	assert_int_equal(vfio_iommufd_destroy(w.ictx, queue), -EBUSY);
	assert_int_equal(vfio_iommufd_destroy(w.ictx, h), -EBUSY);
	assert_int_equal(attach(&w, 0, plain), 0);
	assert_int_equal(vfio_iommufd_destroy(w.ictx, h), 0);
	assert_int_equal(vfio_iommufd_destroy(w.ictx, queue), 0);
	world_free(&w);
}

static void whose(void **state)
{
	struct iommu_hwpt_page_response good = { .code = IOMMUFD_PAGE_RESP_SUCCESS };
	struct iommu_hwpt_pgfault f[4];
	struct vfio_iommufd_fault *q[2];
	uint32_t h[2];
	struct world w;

	world_new(&w, state);
	for (unsigned i = 0; i < 2; i++)
		h[i] = new_hwpt(&w, new_queue(&w, &q[i]));
	assert_int_equal(attach(&w, 0, h[0]), 0);
	ask(&w, 0, 1);
	ask(&w, 1, 2); /* not attached itself, but in the group */
	assert_int_equal(vfio_iommufd_fault_read(q[1], 4, put, f), 0);
	assert_int_equal(vfio_iommufd_fault_read(q[0], 4, put, f), 2);
	assert_int_equal(f[0].dev_id, w.dev[0]);
	assert_int_equal(f[1].dev_id, w.dev[1]);
	assert_int_equal(f[0].flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	assert_int_equal(f[0].perm, IOMMU_PGFAULT_PERM_WRITE);
	assert_int_equal(f[0].grpid, 1);
	good.cookie = f[0].cookie;
	assert_int_equal(vfio_iommufd_fault_respond(q[1], &good), -EINVAL);
	assert_int_equal(vfio_iommufd_fault_respond(q[0], &good), 0);
	assert_int_equal(take_answer(&w, 0), IOMMU_PAGE_SUCCESS);
	/* replaced: what is open is answered, and what comes is the other queue's */
	assert_int_equal(attach(&w, 0, h[1]), 0);
	assert_int_equal(take_answer(&w, 1), IOMMU_PAGE_INVALID);
	good.cookie = f[1].cookie;
	assert_int_equal(vfio_iommufd_fault_respond(q[0], &good), -EINVAL);
	ask(&w, 0, 3);
	assert_int_equal(vfio_iommufd_fault_read(q[0], 4, put, f), 0);
	assert_int_equal(vfio_iommufd_fault_read(q[1], 4, put, f), 1);
	assert_int_equal(vfio_iommufd_detach(&w.t->dev[0].vdev, NULL), 0);
	assert_int_equal(take_answer(&w, 0), IOMMU_PAGE_INVALID);
	ask(&w, 0, 4);
	assert_int_equal(take_answer(&w, 0), IOMMU_PAGE_INVALID);
	/* a device that is closed with requests that nobody has read */
	assert_int_equal(attach(&w, 0, h[1]), 0);
	ask(&w, 0, 5);
	vfio_open_close(&w.open[0]);
	assert_int_equal(take_answer(&w, 0), IOMMU_PAGE_INVALID);
	assert_int_equal(vfio_iommufd_fault_read(q[1], 4, put, f), 0);
	for (unsigned i = 0; i < 2; i++)
		vfio_iommufd_fault_release(q[i]);
	world_free(&w);
}

static void every_allocation(void **state)
{
	struct iommu_hwpt_pgfault f[4];
	struct vfio_iommufd_fault *q;
	uint32_t queue, h = 0;
	struct world w;
	int rc;

	world_new(&w, state);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = vfio_iommufd_fault_alloc(w.ictx, &queue, &q);
		fault_end(&l, rc);
		assert_int_equal(w.ictx->count, rc ? 3 : 4);
	}
	vfio_iommufd_publish(w.ictx, queue);
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = hwpt_alloc(&w, queue, &h);
		fault_end(&l, rc);
		assert_int_equal(w.ictx->objects[queue]->users, rc ? 1 : 2);
	}
	vfio_iommufd_publish(w.ictx, h);
	/* to be attached, to ask and to be answered takes none; a read, for the cookies */
	fault_set(FAULT_MEMORY, 1);
	assert_int_equal(attach(&w, 0, h), 0);
	ask(&w, 0, 1);
	ask(&w, 1, 2);
	assert_false(fault_clear());
	FAULT_LOOP(l, FAULT_MEMORY) {
		fault_begin(&l);
		rc = (int)vfio_iommufd_fault_read(q, 4, put, f);
		fault_end(&l, rc < 0 ? rc : 0);
		assert_int_equal(rc, rc < 0 ? -ENOMEM : 2);
	}
	fault_set(FAULT_MEMORY, 1);
	assert_int_equal(attach(&w, 0, h), 0); /* the same: nothing happens */
	assert_int_equal(take_answer(&w, 0), -ENOENT);
	assert_int_equal(vfio_iommufd_detach(&w.t->dev[0].vdev, NULL), 0);
	assert_int_equal(take_answer(&w, 0), IOMMU_PAGE_INVALID);
	assert_int_equal(take_answer(&w, 1), IOMMU_PAGE_INVALID);
	assert_false(fault_clear());
	vfio_iommufd_fault_release(q);
	world_free(&w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, test_machine_new, test_machine_free)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(who_can), TEST(whose), TEST(every_allocation) };

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
