/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_pci/removal_test.c: the host wants a device back, or it is pulled out under its user. */
#include "vfio_pci/test_device.h"

static void test_request(void **state)
{
	int fd = t_eventfd(), other = t_eventfd();
	struct tdev t;

	t_open(&t, &t_model_full);
	log_set(2, LOG_NONE);
	t.dev->ops->request(t.dev, 0); /* nobody listens */
	assert_int_equal(set_irqs(&t, REQ, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	for (unsigned i = 1; i < 12; i++) {
		t.dev->ops->request(t.dev, i);
		assert_int_equal(taken(fd), 1);
	}
	assert_int_equal(set_irqs(&t, REQ, 0, 1, EVENTFD | TRIGGER, &other), 0);
	t.dev->ops->request(t.dev, 12);
	assert_int_equal(taken(fd), 0);
	assert_int_equal(taken(other), 1);
	t_close(&t);
	close(fd);
	close(other);
}

static void test_leaving(void **state)
{
	struct tdev t;

	t_open(&t, &t_model_full);
	assert_int_equal(vfio_device_open(t.dev), 0);
	assert_int_equal(vfio_device_leave(t.dev, true), 2);
	assert_int_equal(vfio_device_open(t.dev), -ENODEV);
	vfio_device_close(t.dev);
	assert_int_equal(vfio_device_leave(t.dev, true), 1);
	/* it works on for who has it */
	assert_int_equal(cr(&t, PCI_VENDOR_ID, 2), hr(&t, PCI_VENDOR_ID, 2));
	assert_int_equal(vfio_device_leave(t.dev, false), 1);
	assert_int_equal(vfio_device_open(t.dev), 0);
	vfio_device_close(t.dev);
	t_close(&t);
}

static void test_lost(void **state)
{
	uint32_t vendor, value = 7;
	uint64_t v = 0;
	struct tdev t;

	t_open(&t, &t_model_full);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	vendor = cr(&t, PCI_VENDOR_ID, 2);
	pci_function_lose(t.fn);
	tm.accesses = 0;
	/* of registers all ones, mapped or not, and no bus error; writes go nowhere */
	assert_int_equal(t.dev->ops->rw(t.dev, 0, 0x10, &value, 4, false), 4);
	assert_int_equal(value, 0xffffffff);
	assert_int_equal(t.dev->ops->rw(t.dev, 0, 0x10, &value, 4, true), 4);
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0x10, 8, &v, false), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(t.dev->ops->mmio(t.dev, 0, 0x10, 8, &v, true), 0);
	assert_int_equal(tm.accesses, 0);
	/* of config space what is the hardware's; the IDs are the driver's */
	assert_int_equal(cr(&t, PCI_VENDOR_ID, 2), vendor);
	assert_int_equal(cr(&t, PCI_STATUS, 2), 0xffff);
	assert_int_equal(cr(&t, PCI_CLASS_REVISION, 4), 0xffffffff);
	cw(&t, PCI_CACHE_LINE_SIZE, 1, 8);
	assert_int_equal(cr(&t, PCI_CACHE_LINE_SIZE, 1), 0xff);
	assert_int_equal(vfio_device_reset(&t.open), -ENOTTY);
	t_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
