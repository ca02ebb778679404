/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/removal_test.c: a function that was pulled out, errors of each severity, a cable. */
#include "pci/test_function.h"

static int linked;

static bool t_link_up(struct uvfio_dev *dev)
{
	return linked;
}

static void t_link(struct uvfio_dev *dev, bool up)
{
	linked = up;
}

static int create(struct uvfio_dev *dev)
{
	uvfio_add_bar(dev, 0, 0x1000, 0);
	uvfio_add_intx(dev, 1, true);
	uvfio_add_msi(dev, 2, true, false);
	return 0;
}

static void test_lost(void **state)
{
	pci_function *fn;
	uint64_t v;

	t_model.quiesce = t_quiesce;
	fn = t_new(create);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(pci_bar_read(fn, 0, 0, 4, &v), 0);
	uvfio_intx(fn, true);
	assert_int_equal(t.irqs.intx_level, 1);
	assert_false(atomic_load(&fn->iommu.blocked));
	assert_false(pci_function_is_lost(fn));

	pci_function_lose(fn);
	assert_true(pci_function_is_lost(fn));
	assert_int_equal(t.irqs.intx_level, 0);
	assert_true(atomic_load(&fn->iommu.blocked));
	assert_int_equal(t.quiesced, 1);
	assert_int_equal(rd32(PCI_VENDOR_ID), 0xffffffff);
	assert_int_equal(rd8(PCI_COMMAND), 0xff);
	v = 0;
	assert_int_equal(pci_bar_read(fn, 0, 0, 4, &v), -EIO);
	assert_true(v == 0xffffffff);
	t.last_write = 1;
	assert_int_equal(pci_bar_write(fn, 0, 0, 4, 2), -EIO);
	assert_int_equal(t.last_write, 1);
	/* neither a write nor a reset brings it back */
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_msi_enable(fn, 0);
	uvfio_msi(fn, 0);
	uvfio_intx(fn, false);
	uvfio_intx(fn, true);
	assert_int_equal(t.irqs.msi[0], 0);
	assert_int_equal(t.irqs.intx_level, 0);
	assert_true(atomic_load(&fn->iommu.blocked));
	assert_int_equal(rd32(PCI_VENDOR_ID), 0xffffffff);
	assert_int_equal(pci_function_error(fn, PCI_FATAL), -ENODEV);
	t_free(fn);
}

static int create_aer(struct uvfio_dev *dev)
{
	uvfio_add_bar(dev, 0, 0x1000, 0);
	uvfio_add_pcie(dev, true);
	return uvfio_add_aer(dev) < 0 ? -EINVAL : 0;
}

static void test_errors(void **state)
{
	pci_function *fn = t_new(create_aer);
	unsigned aer = pci_find_ext_cap(fn, PCI_EXT_CAP_ID_ERR);
	unsigned exp = pci_find_cap(fn, PCI_CAP_ID_EXP);
	uint32_t severity, status;

	/* an error that is not correctable reaches the platform, fatal or not */
	assert_int_equal(pci_function_error(fn, PCI_CORRECTABLE), 0);
	assert_int_equal(t.irqs.errors, 1);
	assert_int_equal(t.irqs.fatal, 0);
	assert_int_not_equal(rd32(aer + PCI_ERR_COR_STATUS), 0);
	assert_int_equal(rd16(exp + PCI_EXP_DEVSTA), PCI_EXP_DEVSTA_CED);

	severity = rd32(aer + PCI_ERR_UNCOR_SEVER);
	assert_int_equal(pci_function_error(fn, PCI_NONFATAL), 0);
	assert_int_equal(t.irqs.fatal, 1);
	status = rd32(aer + PCI_ERR_UNCOR_STATUS);
	assert_int_not_equal(status, 0);
	assert_int_equal(status & severity, 0);
	assert_int_equal(rd16(exp + PCI_EXP_DEVSTA), PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED);
	wr32(aer + PCI_ERR_UNCOR_STATUS, status);

	assert_int_equal(pci_function_error(fn, PCI_FATAL), 0);
	assert_int_equal(t.irqs.fatal, 2);
	status = rd32(aer + PCI_ERR_UNCOR_STATUS);
	assert_int_not_equal(status, 0);
	assert_int_equal(status & ~severity, 0);
	assert_true(rd16(exp + PCI_EXP_DEVSTA) & PCI_EXP_DEVSTA_FED);

	/* a driver that takes all for nonfatal, and one that does not care */
	wr32(aer + PCI_ERR_UNCOR_SEVER, 0);
	assert_int_equal(pci_function_error(fn, PCI_FATAL), -EINVAL);
	wr32(aer + PCI_ERR_UNCOR_MASK, 0xffffffff);
	assert_int_equal(pci_function_error(fn, PCI_NONFATAL), -EINVAL);
	wr32(aer + PCI_ERR_COR_MASK, 0xffffffff);
	assert_int_equal(pci_function_error(fn, PCI_CORRECTABLE), -EINVAL);
	assert_int_equal(t.irqs.errors, 3);
	t_free(fn);
}

static void test_cable(void **state)
{
	pci_function *fn;

	t_model.link = t_link;
	fn = t_new(NULL);
	linked = -1;
	assert_int_equal(pci_function_link(fn, false), 0);
	assert_int_equal(linked, 0);
	assert_int_equal(pci_function_link(fn, true), 0);
	assert_int_equal(linked, 1);
	assert_int_equal(pci_function_link_up(fn), -EOPNOTSUPP);
	t_free(fn);
	t_model.link_up = t_link_up;
	fn = t_new(NULL);
	assert_int_equal(pci_function_link_up(fn), 1);
	assert_int_equal(pci_function_link(fn, false), 0);
	assert_int_equal(pci_function_link_up(fn), 0);
	t_free(fn);
	t_model.link_up = NULL;
	t_model.link = NULL;
	fn = t_new(NULL);
	assert_int_equal(pci_function_link(fn, true), -EOPNOTSUPP);
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_cable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
