/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/face_test.c: a function seen by its face: one of ours, and one that is only bytes. */
#include "pci/test_function.h"

static uint8_t bytes[PCI_CFG_EXP_SIZE];

static uint32_t read_bytes(void *hardware, unsigned off, unsigned size)
{
	uint32_t v = UINT32_MAX;

	assert_ptr_equal(hardware, bytes);
	if (off % size == 0 && off + size <= sizeof(bytes)) {
		v = 0;
		memcpy(&v, bytes + off, size);
	}
	return v;
}

static void write_bytes(void *hardware, unsigned off, unsigned size, uint32_t value)
{
	memcpy(bytes + off, &value, size);
}

static const struct pci_face_ops ops = { read_bytes, write_bytes };

static void put(unsigned off, unsigned size, uint32_t value)
{
	write_bytes(bytes, off, size, value);
}

static void capabilities(void **state)
{
	struct pci_face f = { .ops = &ops, .hardware = bytes, .config_size = PCI_CFG_EXP_SIZE };
	uint8_t copy[PCI_CFG_EXP_SIZE];

	memset(bytes, 0, sizeof(bytes));
	put(PCI_CAPABILITY_LIST, 1, 0x40);
	put(0x40, 2, PCI_CAP_ID_PM | 0x50 << 8);
	put(0x40 + PCI_PM_CTRL, 2, 3);
	put(0x50, 2, PCI_CAP_ID_EXP);
	assert_int_equal(pci_face_find_cap(&f, PCI_CAP_ID_PM), 0);
	assert_int_equal(pci_face_power_state(&f), 0);
	put(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	assert_int_equal(pci_face_find_cap(&f, PCI_CAP_ID_PM), 0x40);
	assert_int_equal(pci_face_find_cap(&f, PCI_CAP_ID_EXP), 0x50);
	assert_int_equal(pci_face_find_cap(&f, PCI_CAP_ID_MSI), 0);
	assert_int_equal(pci_face_power_state(&f), 3);
	put(0x100, 4, PCI_EXT_CAP_ID_ERR | 0x200u << 20);
	put(0x200, 4, PCI_EXT_CAP_ID_SRIOV);
	assert_int_equal(pci_face_find_ext_cap(&f, PCI_EXT_CAP_ID_SRIOV), 0x200);
	assert_int_equal(pci_face_find_ext_cap(&f, PCI_EXT_CAP_ID_ARI), 0);
	assert_int_equal(pci_face_config(&f, copy), sizeof(bytes));
	assert_memory_equal(copy, bytes, sizeof(bytes));
	/* no PCIe: there are no extended ones */
	f.config_size = PCI_CFG_SIZE;
	assert_int_equal(pci_face_find_ext_cap(&f, PCI_EXT_CAP_ID_SRIOV), 0);
	assert_int_equal(pci_face_config(&f, copy), PCI_CFG_SIZE);
	/* a list that goes in a circle, and a device that has gone */
	put(0x51, 1, 0x40);
	assert_int_equal(pci_face_find_cap(&f, PCI_CAP_ID_MSI), 0);
	memset(bytes, 0xff, sizeof(bytes));
	f.config_size = PCI_CFG_EXP_SIZE;
	assert_int_equal(pci_face_find_cap(&f, PCI_CAP_ID_MSI), 0);
	assert_int_equal(pci_face_find_ext_cap(&f, PCI_EXT_CAP_ID_SRIOV), 0);
}

static void addresses_of_bars(void **state)
{
	struct pci_face pf = { .ops = &ops,
			       .hardware = bytes,
			       .config_size = PCI_CFG_EXP_SIZE,
			       .sriov = { .total = 4, .bars[0] = { 0x4000, UVFIO_BAR_64 } } };
	struct pci_face vf = { .ops = &ops,
			       .hardware = bytes,
			       .config_size = PCI_CFG_EXP_SIZE,
			       .bars[0] = { 0x4000, UVFIO_BAR_64 },
			       .pf = &pf,
			       .vf_index = 3 };

	memset(bytes, 0, sizeof(bytes));
	pf.bars[0] = (struct pci_bar){ 0x1000, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH };
	pf.bars[2] = (struct pci_bar){ 0x20, UVFIO_BAR_IO };
	pf.bars[PCI_ROM_BAR] = (struct pci_bar){ 0x800, 0 };
	put(PCI_BASE_ADDRESS_0, 4, 0xabcd000c);
	put(PCI_BASE_ADDRESS_1, 4, 0x12);
	put(PCI_BASE_ADDRESS_2, 4, 0xc021);
	put(PCI_ROM_ADDRESS, 4, 0xfe000801);
	put(0x100, 4, PCI_EXT_CAP_ID_SRIOV);
	put(0x100 + PCI_SRIOV_BAR, 4, 0x10000004);
	put(0x100 + PCI_SRIOV_BAR + 4, 4, 0x38);
	assert_true(pci_face_bar_address(&pf, 0) == 0x12abcd0000);
	assert_true(pci_face_bar_address(&pf, 1) == 0);
	assert_true(pci_face_bar_address(&pf, 2) == 0xc020);
	assert_true(pci_face_bar_address(&pf, PCI_ROM_BAR) == 0xfe000800);
	assert_true(pci_face_bar_address(&pf, PCI_FACE_VF_BARS) == 0x3810000000);
	assert_int_equal(pci_face_bar_register(&pf, PCI_FACE_VF_BARS), 0x124);
	assert_true(pci_face_bar_address(&vf, 0) == 0x381000c000);
}

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x5678 };

	uvfio_set_ids(dev, &ids);
	uvfio_add_bar(dev, 0, 0x4000, UVFIO_BAR_64);
	uvfio_add_bar(dev, 2, 0x20, UVFIO_BAR_IO);
	uvfio_add_intx(dev, 1, true);
	uvfio_add_pm(dev, false);
	uvfio_add_msix(dev, 4, 0, 0x1000, 0, 0x2000);
	uvfio_add_pcie(dev, true);
	uvfio_add_aer(dev);
	uvfio_add_dsn(dev, 5);
	return 0;
}

/* It says what the function says of itself. */
static void a_function(void **state)
{
	pci_function *fn = t_new(create);
	struct pci_face f;

	pci_function_face(fn, NULL, &f);
	assert_string_equal(f.model, t_model.name);
	assert_int_equal(f.config_size, pci_config_size(fn));
	for (unsigned i = 0; i < f.config_size; i += 2)
		assert_int_equal(pci_face_read(&f, i, 2), pci_config_read(fn, i, 2));
	for (unsigned id = 1; id < 0x20; id++) {
		assert_int_equal(pci_face_find_cap(&f, id), pci_find_cap(fn, id));
		assert_int_equal(pci_face_find_ext_cap(&f, id), pci_find_ext_cap(fn, id));
	}
	for (unsigned i = 0; i <= PCI_ROM_BAR; i++) {
		assert_true(f.bars[i].size == pci_function_bar(fn, i)->size);
		assert_int_equal(f.bars[i].flags, pci_function_bar(fn, i)->flags);
	}
	assert_int_equal(f.sriov.total, 0);
	assert_null(f.pf);
	assert_int_equal(pci_face_power_state(&f), pci_power_state(fn));
	pci_face_write(&f, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_int_equal(pci_config_read(fn, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities),
		cmocka_unit_test(addresses_of_bars),
		cmocka_unit_test(a_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
