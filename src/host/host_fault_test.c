/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/host_fault_test.c: each allocation, each call and each request to the kernel fails in turn
 * while a device of the host is found, opened, attached and mapped: the answer is an error, and
 * nothing of it is open, in a container or mapped; a device that is at work does not notice.
 * (test 6)
 */
#include "base/guard.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "host/test_kernel.h"
#include "vfio/open.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

/* An undo's calls do not fail, and a call that only looks may be done without. */
static int failing(unsigned long cmd)
{
	if (cmd == VFIO_GROUP_UNSET_CONTAINER || cmd == VFIO_IOMMU_UNMAP_DMA)
		return 0;
	return fault_now(FAULT_CALLS, "ioctl", EIO) ? -EIO : 0;
}

struct world {
	struct vfio_system *s;
	struct iommu_group *ig[2];
	struct vfio_group *g[2];
	struct vfio_ioas *io;
	struct host_device *h[2];
	struct vfio_open o[2];
	char *mem;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	guard_install();
	fake_start();
	fake.fault = failing;
	w->s = vfio_system_new(NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		w->ig[i] = iommu_group_new(i + 1);
		assert_int_equal(vfio_system_add_group(w->s, w->ig[i], &w->g[i]), 0);
	}
	w->io = vfio_ioas_new(w->s, true);
	w->mem = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->mem, K, RW), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 2; i++) {
		if (!w->h[i])
			continue;
		vfio_open_close(&w->o[i]);
		vfio_group_remove_device(w->g[i], host_vdev(w->h[i]));
		iommu_group_remove(w->ig[i], host_iommu(w->h[i]));
		host_close(w->h[i]);
	}
	vfio_ioas_put(w->io);
	vfio_system_free(w->s);
	for (unsigned i = 0; i < 2; i++)
		iommu_group_free(w->ig[i]);
	munmap(w->mem, 4 * K);
	free(w);
	fake_stop();
	return 0;
}

static void plug(struct world *w, unsigned i)
{
	char *err = NULL;

	assert_int_equal(host_open_in(&fake_env, i ? FAKE_ALONE : "0000:01:00.0", &w->h[i], &err),
			 0);
	assert_int_equal(iommu_group_add(w->ig[i], host_iommu(w->h[i])), 0);
	assert_int_equal(vfio_group_add_device(w->g[i], host_vdev(w->h[i])), 0);
	vfio_open_init(&w->o[i], host_vdev(w->h[i]));
	vfio_open_expect(&w->o[i], w->io);
}

static int use(struct vfio_open *o, struct vfio_ioas *io)
{
	int rc = vfio_open_bind(o);

	if (rc)
		return rc;
	rc = vfio_device_attach(o, io);
	if (rc)
		vfio_open_close(o);
	return rc;
}

/* sysfs that cannot be read is as a device that is not there. */
static void found(void **state)
{
	struct host_device *h;
	char *err;
	int rc;

	for (unsigned n = 1;; n++) {
		err = NULL;
		fault_set(FAULT_MEMORY | FAULT_CALLS, n);
		rc = host_open_in(&fake_env, "0000:01:00.0", &h, &err);
		if (!fault_clear()) {
			assert_int_equal(rc, 0);
			host_close(h);
			break;
		}
		free(err);
		if (!rc)
			host_close(h);
	}
	fake_at_rest();
}

static void opened(void **state)
{
	struct world *w = *state;
	unsigned fds = fault_fds(), failed = 0;
	int rc;

	plug(w, 0);
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		rc = use(&w->o[0], w->io);
		fault_end(&l, rc);
		if (rc) {
			assert_int_equal(fault_fds(), fds);
			fake_at_rest();
			assert_int_equal(use(&w->o[0], w->io), 0);
		}
		assert_int_equal(fake.containers[fake.groups[0].container].n, 1);
		vfio_open_close(&w->o[0]);
		assert_int_equal(fault_fds(), fds);
		fake_at_rest();
		failed = l.failed;
	}
	assert_true(failed > 30);
}

/* The second device fails, and the first works on. */
static void beside(void **state)
{
	struct world *w = *state;
	struct fake_container *c;
	unsigned fds;
	int rc;

	plug(w, 0);
	plug(w, 1);
	assert_int_equal(use(&w->o[0], w->io), 0);
	c = &fake.containers[fake.groups[0].container];
	fds = fault_fds();
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		rc = use(&w->o[1], w->io);
		fault_end(&l, rc);
		assert_int_equal(c->n, 1);
		vfio_open_close(&w->o[1]);
		assert_int_equal(fault_fds(), fds);
		assert_int_equal(c->n, 1);
		assert_int_equal(c->groups, 1);
		assert_int_equal(fake.groups[1].container, -1);
	}
}

static void mapped(void **state)
{
	struct world *w = *state;
	struct fake_container *c;
	uint64_t bytes;
	int rc;

	plug(w, 0);
	assert_int_equal(use(&w->o[0], w->io), 0);
	c = &fake.containers[fake.groups[0].container];
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		rc = vfio_ioas_map(w->io, K, (uintptr_t)w->mem, 2 * K, RW);
		fault_end(&l, rc);
		assert_int_equal(c->n, rc ? 1 : 2);
	}
	/* an unmap needs nothing */
	fault_set(FAULT_MEMORY | FAULT_CALLS, 1);
	assert_int_equal(vfio_ioas_unmap(w->io, K, 2 * K, &bytes), 0);
	assert_false(fault_clear());
	assert_int_equal(c->n, 1);
}

/* Questions to an open device. */
static void asked(void **state)
{
	static int32_t fds[64];
	struct vfio_irq_set_args a = { VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				       VFIO_PCI_MSIX_IRQ_INDEX, 0, 64, fds };
	struct world *w = *state;
	struct vfio_place at[2];
	uint32_t v;
	int rc;

	plug(w, 0);
	assert_int_equal(use(&w->o[0], w->io), 0);
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		rc = vfio_device_set_irqs(&w->o[0], &a);
		fault_end(&l, rc);
	}
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		rc = vfio_device_slot(&w->o[0], at, 2);
		fault_end(&l, rc == 2 ? 0 : rc);
	}
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		rc = vfio_device_slot_reset(&w->o[0]);
		fault_end(&l, rc);
	}
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		fault_begin(&l);
		rc = (int)vfio_device_rw(&w->o[0], 0, 0, &v, sizeof(v), false);
		fault_end(&l, rc == sizeof(v) ? 0 : rc);
	}
	assert_int_equal(fake.devices[0].hot_resets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(found, setup, teardown),
		cmocka_unit_test_setup_teardown(opened, setup, teardown),
		cmocka_unit_test_setup_teardown(beside, setup, teardown),
		cmocka_unit_test_setup_teardown(mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(asked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
