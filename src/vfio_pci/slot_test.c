/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/slot_test.c: resets through the slot: who is in it, who can be reset by it, and what a
 * reset leaves.
 */
#include "vfio_pci/test_device.h"

static struct vfio_system *sys;
static struct loop *loop;
static struct iommu_group *ig[3];
static struct vfio_group *g[3];
static pci_function *fn[3];
static struct vfio_device *dev[3];
static const char *const names[3] = { "0000:01:00.0", "0000:01:00.1", "0000:02:00.0" };

/* two functions of one slot and one of another; each in a group of its own */
static int setup(void **state)
{
	struct pci_address a;
	char err[256];

	log_set(2, LOG_ERR);
	loop = loop_new();
	sys = vfio_system_new(NULL, NULL);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(pci_function_new(i == 0 ? &t_model_full : &t_model_old, names[i],
						  0, loop, NULL, 0, err, sizeof(err), &fn[i]),
				 0);
		assert_int_equal(pci_address_parse(names[i], &a), 0);
		assert_int_equal(vfio_pci_bind(fn[i], &a, loop, &dev[i]), 0);
		ig[i] = iommu_group_new(i + 1);
		assert_int_equal(vfio_system_add_group(sys, ig[i], &g[i]), 0);
		assert_int_equal(vfio_group_add_device(g[i], dev[i]), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		vfio_pci_unbind(dev[i]);
		pci_function_free(fn[i]);
		iommu_group_free(ig[i]);
	}
	vfio_system_free(sys);
	loop_free(loop);
	return 0;
}

static void test_devices(void **state)
{
	struct vfio_place out[8] = { 0 };

	assert_int_equal(vfio_slot_places(dev[0], out, 8), 2);
	assert_ptr_equal(out[0].dev, dev[0]);
	assert_ptr_equal(out[1].dev, dev[1]);
	assert_int_equal(vfio_slot_places(dev[1], out, 1), 2);
	assert_int_equal(vfio_slot_places(dev[2], out, 8), 1);
	assert_ptr_equal(out[0].dev, dev[2]);
}

static void test_reset_works(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vfio_device_open(dev[i]), 0);
	assert_true(dev[0]->flags & VFIO_DEVICE_FLAGS_RESET);  /* FLR */
	assert_false(dev[1]->flags & VFIO_DEVICE_FLAGS_RESET); /* only with its neighbour */
	assert_true(dev[2]->flags & VFIO_DEVICE_FLAGS_RESET);  /* alone */
	assert_int_equal(dev[1]->ops->reset(dev[1]), -EINVAL);
	memset(&tm, 0, sizeof(tm));
	assert_int_equal(dev[2]->ops->reset(dev[2]), 0);
	assert_int_equal(tm.resets, 1);
	assert_int_equal(tm.reset_kinds[0], UVFIO_RESET_BUS);
	assert_int_equal(dev[0]->ops->reset(dev[0]), 0);
	assert_int_equal(tm.reset_kinds[1], UVFIO_RESET_FLR);
	for (unsigned i = 0; i < 3; i++)
		vfio_device_close(dev[i]);
}

static void test_slot_reset(void **state)
{
	struct vfio_irq_set_args a = { .flags = EVENTFD | TRIGGER, .index = MSIX, .count = 1 };
	uint16_t cmd = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	int fd = t_eventfd();

	a.data = &fd;
	assert_int_equal(vfio_device_open(dev[0]), 0); /* its neighbour is closed */
	assert_int_equal(dev[0]->ops->rw(dev[0], 7, PCI_COMMAND, &cmd, 2, true), 2);
	assert_int_equal(dev[0]->ops->set_irqs(dev[0], &a), 0);
	memset(&tm, 0, sizeof(tm));
	assert_int_equal(vfio_slot_reset(dev[1]), 0);
	assert_int_equal(tm.resets, 2);
	assert_int_equal(tm.reset_kinds[0], UVFIO_RESET_BUS);
	assert_int_equal(tm.reset_kinds[1], UVFIO_RESET_BUS);
	/* as after any reset: config space and interrupts are back */
	assert_true(pci_config_read(fn[0], PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	uvfio_msi(fn[0], 0);
	assert_int_equal(taken(fd), 1);
	vfio_device_close(dev[0]);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_devices), T(test_reset_works),
					    T(test_slot_reset) };

	return cmocka_run_group_tests_name("vfio_pci/slot", tests, NULL, NULL);
}
