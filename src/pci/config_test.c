/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/config_test.c: config space: each write rule, each capability's bits, what writes do, what
 * survives a reset.
 */
#include "base/report.h"
#include "pci/test_function.h"

static const struct uvfio_ids ids = { 0x1234, 0xabcd, 0x5678, 0x9abc, 0x010802, 0x42 };
static int cap[16];

static int create_bare(struct uvfio_dev *dev)
{
	return uvfio_set_ids(dev, &ids);
}

static int create_all(struct uvfio_dev *dev)
{
	static const uint8_t vendor[5] = { 1, 2, 3, 4, 5 }, writable[5] = { 0, 0xf0, 0, 0, 0xff };
	static const uint8_t other[6] = { 0xaa, 0xbb }, ext[12] = { 9, 8, 7 },
			     ext_writable[12] = { 0, 0xff };
	uint8_t vpd[16] = { 0x82, 1, 0, 'x', 0x78 };

	assert_int_equal(uvfio_set_ids(dev, &ids), 0);
	assert_int_equal(uvfio_add_bar(dev, 0, 1 << 20, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH), 0);
	assert_int_equal(uvfio_add_bar(dev, 2, 4096, 0), 0);
	assert_int_equal(uvfio_add_bar(dev, 3, 32, UVFIO_BAR_IO), 0);
	assert_int_equal(uvfio_add_rom(dev, 65536, NULL, 0), 0);
	assert_int_equal(uvfio_add_intx(dev, 2, true), 0);
	assert_true((cap[0] = uvfio_add_pm(dev, false)) >= 0x40);
	assert_true((cap[1] = uvfio_add_msi(dev, 8, true, true)) > cap[0]);
	assert_true((cap[2] = uvfio_add_pcie(dev, true)) > cap[1]);
	assert_true((cap[3] = uvfio_add_msix(dev, 16, 2, 0, 2, 0x800)) > cap[2]);
	assert_true((cap[4] = uvfio_add_vpd(dev, vpd, sizeof(vpd), true)) > cap[3]);
	assert_true((cap[5] = uvfio_add_vendor_cap(dev, vendor, writable, 8)) > cap[4]);
	assert_true((cap[6] = uvfio_add_vendor_cap(dev, NULL, NULL, 4)) > cap[5]);
	assert_true((cap[7] = uvfio_add_af(dev)) > cap[6]);
	assert_true((cap[8] = uvfio_add_cap(dev, PCI_CAP_ID_SSVID, other, NULL, 8)) > cap[7]);
	assert_int_equal(cap[9] = uvfio_add_aer(dev), 0x100);
	assert_true((cap[10] = uvfio_add_dsn(dev, 0x1122334455667788)) > cap[9]);
	assert_true((cap[11] = uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_VNDR, 3, ext, ext_writable,
						 16)) > cap[10]);
	return 0;
}

static void test_header(void **state)
{
	pci_function *fn = t_new(create_bare);

	assert_int_equal(rd32(0), 0xabcd1234);
	assert_int_equal(rd32(8), 0x01080242);
	assert_int_equal(rd32(0x2c), 0x9abc5678);
	assert_int_equal(rd8(PCI_HEADER_TYPE), 0);
	assert_int_equal(rd32(PCI_COMMAND), 0);
	assert_int_equal(rd8(PCI_CAPABILITY_LIST), 0);
	assert_int_equal(pci_config_size(fn), 256);
	/* read-only everywhere but COMMAND, cache line size, interrupt line */
	for (unsigned i = 0; i < 256; i += 4)
		wr32(i, 0xffffffff);
	assert_int_equal(rd32(0), 0xabcd1234);
	assert_int_equal(rd32(4), PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
					  PCI_COMMAND_SERR);
	assert_int_equal(rd32(8), 0x01080242);
	assert_int_equal(rd32(12), 0xff);
	for (unsigned i = 0x10; i < 0x2c; i += 4)
		assert_int_equal(rd32(i), 0);
	assert_int_equal(rd32(0x30), 0);
	assert_int_equal(rd32(0x3c), 0xff);
	for (unsigned i = 0x40; i < 256; i += 4)
		assert_int_equal(rd32(i), 0);
	t_free(fn);
}

static void test_access_sizes(void **state)
{
	pci_function *fn = t_new(create_bare);

	assert_int_equal(rd8(1), 0x12);
	assert_int_equal(rd16(2), 0xabcd);
	/* not on the bus: unaligned, odd sizes, beyond the end */
	assert_int_equal(rd16(1), 0xffff);
	assert_int_equal(rd32(2), 0xffffffff);
	assert_int_equal(rd32(256), 0xffffffff);
	assert_int_equal(rd8(256), 0xff);
	assert_int_equal(rd8(~0u), 0xff);
	assert_int_equal(pci_config_read(fn, 0, 3), 0xffffff);
	wr16(PCI_COMMAND - 1, 0xffff);
	wr32(~3u, 0xffffffff);
	pci_config_write(fn, PCI_COMMAND, 8, 0xffff);
	assert_int_equal(rd16(PCI_COMMAND), 0);
	assert_int_equal(t.written, 0);
	t_free(fn);
}

static void test_config_written(void **state)
{
	pci_function *fn = t_new(create_bare);

	wr8(PCI_INTERRUPT_LINE, 5);
	assert_int_equal(t.written, 1);
	assert_int_equal(t.written_off, PCI_INTERRUPT_LINE);
	assert_int_equal(t.written_size, 1);
	wr8(PCI_INTERRUPT_LINE, 5); /* no bit changes */
	wr16(PCI_VENDOR_ID, 5);
	assert_int_equal(t.written, 1);
	t_free(fn);
}

static void test_status(void **state)
{
	pci_function *fn = t_new(create_all);

	assert_int_equal(rd16(PCI_STATUS), PCI_STATUS_CAP_LIST);
	uvfio_config_set(fn, PCI_STATUS, 2, 0xf910);
	wr16(PCI_STATUS, 0); /* a zero clears nothing */
	assert_int_equal(rd16(PCI_STATUS), 0xf910);
	wr16(PCI_STATUS, 0x4000);
	assert_int_equal(rd16(PCI_STATUS), 0xb910);
	wr8(PCI_STATUS + 1, 0x81);
	assert_int_equal(rd16(PCI_STATUS), 0x3810);
	wr16(PCI_STATUS, 0xffff); /* CAP_LIST is no error */
	assert_int_equal(rd16(PCI_STATUS), PCI_STATUS_CAP_LIST);
	/* the interrupt bit follows the line, with DisINTx too */
	uvfio_intx(fn, true);
	assert_int_equal(rd16(PCI_STATUS), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	wr16(PCI_STATUS, 0xffff);
	wr16(PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(rd8(PCI_STATUS), PCI_STATUS_CAP_LIST | PCI_STATUS_INTERRUPT);
	uvfio_intx(fn, false);
	assert_int_equal(rd16(PCI_STATUS), PCI_STATUS_CAP_LIST);
	t_free(fn);
}

static void test_bar_registers(void **state)
{
	pci_function *fn = t_new(create_all);

	assert_int_equal(rd32(0x10), 0xc); /* 64-bit, prefetchable */
	assert_int_equal(rd32(0x14), 0);
	assert_int_equal(rd32(0x18), 0);
	assert_int_equal(rd32(0x1c), 1);
	for (unsigned i = 0x10; i < 0x28; i += 4)
		wr32(i, 0xffffffff);
	wr32(PCI_ROM_ADDRESS, 0xffffffff);
	assert_int_equal(rd32(0x10), 0xfff0000c);
	assert_int_equal(rd32(0x14), 0xffffffff);
	assert_int_equal(rd32(0x18), 0xfffff000);
	assert_int_equal(rd32(0x1c), 0xffffffe1);
	assert_int_equal(rd32(0x20), 0);
	assert_int_equal(rd32(0x24), 0);
	assert_int_equal(rd32(PCI_ROM_ADDRESS), 0xffff0001);
	wr32(0x18, 0x12345678);
	assert_int_equal(rd32(0x18), 0x12345000);
	wr8(0x1a, 0xab); /* by bytes */
	assert_int_equal(rd32(0x18), 0x12ab5000);
	wr32(PCI_ROM_ADDRESS, 0x1fffe);
	assert_int_equal(rd32(PCI_ROM_ADDRESS), 0x10000);
	t_free(fn);
}

static int create_bad_bars(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 6, 4096, 0), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 5, 4096, UVFIO_BAR_64), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 0, 0), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 8, 0), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 48, 0), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 1ull << 32, 0), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 1ull << 41, UVFIO_BAR_64), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 2, UVFIO_BAR_IO), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 512, UVFIO_BAR_IO), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 16, UVFIO_BAR_IO | UVFIO_BAR_64), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, 16, 0x80), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 2, 1ull << 40, UVFIO_BAR_64), 0);
	assert_int_equal(uvfio_add_bar(dev, 2, 4096, 0), -EEXIST);
	assert_int_equal(uvfio_add_bar(dev, 3, 4096, 0), -EEXIST);
	assert_int_equal(uvfio_add_bar(dev, 1, 4096, UVFIO_BAR_64), -EEXIST);
	assert_int_equal(uvfio_add_bar(dev, 1, 4096, 0), 0);
	assert_int_equal(uvfio_add_rom(dev, 1024, NULL, 0), -EINVAL);
	assert_int_equal(uvfio_add_rom(dev, 2048, "x", 2049), -EINVAL);
	assert_int_equal(uvfio_add_rom(dev, 2048, "x", 1), 0);
	assert_int_equal(uvfio_add_rom(dev, 2048, "x", 1), -EEXIST);
	assert_int_equal(uvfio_add_intx(dev, 0, true), -EINVAL);
	assert_int_equal(uvfio_add_intx(dev, 5, true), -EINVAL);
	assert_int_equal(uvfio_add_intx(dev, 4, false), 0);
	assert_int_equal(uvfio_add_intx(dev, 4, false), -EEXIST);
	return 0;
}

static void test_bad_bars(void **state)
{
	pci_function *fn = t_new(create_bad_bars);

	assert_int_equal(pci_function_bar(fn, 2)->size, 1ull << 40);
	assert_int_equal(pci_function_bar(fn, 3)->size, 0);
	assert_int_equal(pci_function_bar(fn, 7)->size, 0);
	assert_int_equal(rd8(PCI_INTERRUPT_PIN), 4);
	/* no DisINTx before PCI 2.3 */
	wr16(PCI_COMMAND, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(rd16(PCI_COMMAND), 0);
	assert_false(pci_intx_can_disable(fn));
	/* only inside create */
	assert_int_equal(uvfio_add_bar(fn, 0, 4096, 0), -EINVAL);
	assert_int_equal(uvfio_add_pm(fn, false), -EINVAL);
	assert_int_equal(uvfio_set_ids(fn, &ids), -EINVAL);
	t_free(fn);
}

static int create_bad_caps(struct uvfio_dev *dev)
{
	uint8_t data[256] = { 0 };

	assert_int_equal(uvfio_add_msi(dev, 0, true, true), -EINVAL);
	assert_int_equal(uvfio_add_msi(dev, 3, true, true), -EINVAL);
	assert_int_equal(uvfio_add_msi(dev, 64, true, true), -EINVAL);
	assert_int_equal(uvfio_add_msi(dev, 4, false, false), 0x40);
	assert_int_equal(uvfio_add_msi(dev, 4, false, false), -EEXIST);
	assert_int_equal(uvfio_add_msix(dev, 0, 0, 0, 0, 0x800), -EINVAL);
	assert_int_equal(uvfio_add_msix(dev, 2049, 0, 0, 0, 0x800), -EINVAL);
	assert_int_equal(uvfio_add_msix(dev, 1, 6, 0, 0, 0x800), -EINVAL);
	assert_int_equal(uvfio_add_msix(dev, 1, 0, 4, 0, 0x800), -EINVAL);
	assert_int_equal(uvfio_add_vpd(dev, data, 5, false), -EINVAL);
	assert_int_equal(uvfio_add_vpd(dev, data, 32772, false), -EINVAL);
	assert_int_equal(uvfio_add_vpd(dev, NULL, 4, false), -EINVAL);
	assert_int_equal(uvfio_add_vendor_cap(dev, data, NULL, 2), -EINVAL);
	assert_int_equal(uvfio_add_cap(dev, PCI_CAP_ID_EXP, data, NULL, 16), -EINVAL);
	assert_int_equal(uvfio_add_cap(dev, PCI_CAP_ID_HT, data, NULL, 1), -EINVAL);
	assert_int_equal(uvfio_add_cap(dev, PCI_CAP_ID_HT, data, NULL, 0xc0), -ENOSPC);
	assert_true(uvfio_add_cap(dev, PCI_CAP_ID_HT, data, NULL, 0x8e) > 0);
	assert_int_equal(uvfio_add_cap(dev, PCI_CAP_ID_HT, data, NULL, 4), -EEXIST);
	assert_int_equal(uvfio_add_pcie(dev, true), -ENOSPC);
	assert_int_equal(uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_ERR, 1, data, NULL, 16), -EINVAL);
	assert_int_equal(uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_LTR, 1, data, NULL, 6), -EINVAL);
	assert_int_equal(uvfio_add_ext_cap(dev, PCI_EXT_CAP_ID_LTR, 16, data, NULL, 8), -EINVAL);
	return 0;
}

static void test_bad_caps(void **state)
{
	t_free(t_new(create_bad_caps));
}

static void test_chain(void **state)
{
	static const uint8_t order[] = { PCI_CAP_ID_PM,	  PCI_CAP_ID_MSI, PCI_CAP_ID_EXP,
					 PCI_CAP_ID_MSIX, PCI_CAP_ID_VPD, PCI_CAP_ID_VNDR,
					 PCI_CAP_ID_VNDR, PCI_CAP_ID_AF,  PCI_CAP_ID_SSVID };
	static const uint16_t ext_order[] = { PCI_EXT_CAP_ID_ERR, PCI_EXT_CAP_ID_DSN,
					      PCI_EXT_CAP_ID_VNDR };
	pci_function *fn = t_new(create_all);
	unsigned at = rd8(PCI_CAPABILITY_LIST), i;
	uint32_t header;

	for (i = 0; at; at = rd8(at + 1), i++) {
		assert_true(i < ARRAY_SIZE(order));
		assert_int_equal(rd8(at), order[i]);
		assert_int_equal(at, cap[i]);
		assert_int_equal(at % 4, 0);
	}
	assert_int_equal(i, ARRAY_SIZE(order));
	assert_int_equal(pci_config_size(fn), 4096);
	for (at = 0x100, i = 0; at; at = PCI_EXT_CAP_NEXT(header), i++) {
		header = rd32(at);
		assert_int_equal(PCI_EXT_CAP_ID(header), ext_order[i]);
		assert_int_equal(at, cap[9 + i]);
	}
	assert_int_equal(i, 3);
	assert_int_equal(pci_find_cap(fn, PCI_CAP_ID_VPD), cap[4]);
	assert_int_equal(pci_find_cap(fn, PCI_CAP_ID_HT), 0);
	assert_int_equal(pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN), cap[10]);
	assert_int_equal(pci_find_ext_cap(fn, PCI_EXT_CAP_ID_LTR), 0);
	assert_int_equal(rd32(cap[10]), 0x3 | 1 << 16 | cap[11] << 20);
	assert_int_equal(rd32(cap[10] + 4), 0x55667788);
	assert_int_equal(rd32(cap[10] + 8), 0x11223344);
	assert_int_equal(rd32(cap[11]), 0xb | 3 << 16);
	t_free(fn);
}

static int create_two_ext(struct uvfio_dev *dev)
{
	return uvfio_add_aer(dev) > 0 ? 0 : -EINVAL;
}

static void test_ext_needs_pcie(void **state)
{
	pci_function *fn = NULL;
	char err[128];

	assert_int_equal(t_try(create_two_ext, NULL, 0, err, sizeof(err), &fn), -EINVAL);
	assert_non_null(strstr(err, "uvfio_add_pcie"));
	assert_int_equal(t.destroyed, 1); /* create had succeeded */
	loop_free(t.loop);
	t.loop = NULL;
}

/* All ones, then all zeroes, to a register of a capability: which bits took it? */
static uint32_t writable_bits(pci_function *fn, unsigned off)
{
	uint32_t ones, zeroes;

	wr32(off, 0xffffffff);
	ones = rd32(off);
	wr32(off, 0);
	zeroes = rd32(off);
	return ones & ~zeroes;
}

static void test_write_masks(void **state)
{
	pci_function *fn = t_new(create_all);

	assert_int_equal(writable_bits(fn, cap[1] + PCI_MSI_ADDRESS_LO), 0xfffffffc);
	assert_int_equal(writable_bits(fn, cap[1] + PCI_MSI_ADDRESS_HI), 0xffffffff);
	assert_int_equal(writable_bits(fn, cap[1] + PCI_MSI_DATA_64), 0xffff);
	assert_int_equal(writable_bits(fn, cap[1] + PCI_MSI_MASK_64), 0xff);
	assert_int_equal(writable_bits(fn, cap[1] + PCI_MSI_PENDING_64), 0);
	assert_int_equal(writable_bits(fn, cap[1]), (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE)
							    << 16);
	assert_int_equal(writable_bits(fn, cap[3]),
			 (uint32_t)(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) << 16);
	assert_int_equal(writable_bits(fn, cap[3] + PCI_MSIX_TABLE), 0);
	assert_int_equal(writable_bits(fn, cap[3] + PCI_MSIX_PBA), 0);
	assert_int_equal(writable_bits(fn, cap[2]), 0);
	assert_int_equal(writable_bits(fn, cap[2] + PCI_EXP_DEVCAP), 0);
	assert_int_equal(writable_bits(fn, cap[2] + PCI_EXP_LNKCTL), 0xcb);
	assert_int_equal(writable_bits(fn, cap[2] + PCI_EXP_DEVCTL2), 0x1f);
	assert_int_equal(writable_bits(fn, cap[2] + PCI_EXP_LNKCTL2), 0xf);
	/* vendor: length and id are read-only; then 0, f0, 0 | 0, ff */
	assert_int_equal(writable_bits(fn, cap[5]), 0);
	assert_int_equal(writable_bits(fn, cap[5] + 4), 0xff0000f0);
	assert_int_equal(rd32(cap[5]) >> 16, 0x0108);
	assert_int_equal(writable_bits(fn, cap[8] + 4), 0);
	assert_int_equal(rd16(cap[8] + 2), 0xbbaa);
	assert_int_equal(writable_bits(fn, cap[11]), 0);
	assert_int_equal(writable_bits(fn, cap[11] + 4), 0xff00);
	assert_int_equal(rd8(cap[11] + 4), 9);
	assert_int_equal(writable_bits(fn, cap[10] + 4), 0);
	assert_int_equal(writable_bits(fn, cap[9] + PCI_ERR_UNCOR_MASK), 0x5ff010);
	assert_int_equal(writable_bits(fn, cap[9] + PCI_ERR_UNCOR_SEVER), 0x5ff010);
	assert_int_equal(writable_bits(fn, cap[9] + PCI_ERR_UNCOR_STATUS), 0);
	assert_int_equal(writable_bits(fn, cap[9] + PCI_ERR_COR_MASK), 0x71c1);
	assert_int_equal(writable_bits(fn, cap[9] + PCI_ERR_CAP), 0);
	assert_int_equal(writable_bits(fn, cap[9] + PCI_ERR_HEADER_LOG), 0);
	t_free(fn);
}

static void test_device_control(void **state)
{
	pci_function *fn = t_new(create_all);
	unsigned ctl = (unsigned)cap[2] + PCI_EXP_DEVCTL;

	assert_int_equal(rd16(cap[2] + PCI_EXP_FLAGS), 2);
	assert_true(rd32(cap[2] + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR);
	assert_int_equal(rd16(ctl), 0x2810);
	wr16(ctl, 0x7fff);
	assert_int_equal(rd16(ctl), 0x79ff); /* no Aux power, no phantom functions */
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 0);
	wr16(cap[2] + PCI_EXP_DEVSTA, 0xffff);
	assert_int_equal(rd16(cap[2] + PCI_EXP_DEVSTA), 0);
	uvfio_config_set(fn, cap[2] + PCI_EXP_DEVSTA, 2, 0x2f);
	wr16(cap[2] + PCI_EXP_DEVSTA, 0x22); /* transactions pending is no RW1C bit */
	assert_int_equal(rd16(cap[2] + PCI_EXP_DEVSTA), 0x2d);
	t_free(fn);
}

static void test_flr(void **state)
{
	pci_function *fn = t_new(create_all);
	unsigned ctl = (unsigned)cap[2] + PCI_EXP_DEVCTL;

	wr16(PCI_COMMAND, 7);
	wr32(0x18, 0x10000);
	wr16(ctl, 0x20af);
	wr16(cap[2] + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPM_L1 | PCI_EXP_LNKCTL_CCC);
	wr32(cap[9] + PCI_ERR_UNCOR_MASK, 0x10);
	uvfio_config_set(fn, (unsigned)cap[9] + PCI_ERR_UNCOR_STATUS, 4, 0x4000);
	wr32(cap[5] + 4, 0xffffffff);
	wr16(ctl, 0x20af | PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 1);
	assert_int_equal(rd16(PCI_COMMAND), 0);
	assert_int_equal(rd32(0x18), 0);
	assert_int_equal(rd16(ctl), 0x2810 | 0xa0); /* Max_Payload_Size stays; FLR reads zero */
	assert_int_equal(rd16(cap[2] + PCI_EXP_LNKCTL),
			 PCI_EXP_LNKCTL_ASPM_L1 | PCI_EXP_LNKCTL_CCC);
	assert_int_equal(rd32(cap[9] + PCI_ERR_UNCOR_MASK), 0x10); /* sticky */
	assert_int_equal(rd32(cap[9] + PCI_ERR_UNCOR_STATUS), 0x4000);
	assert_int_equal(rd32(cap[5] + 4), 0x05040302);
	/* by bytes, and by the dword with Device Status */
	wr8(ctl + 1, PCI_EXP_DEVCTL_BCR_FLR >> 8);
	wr32(ctl, PCI_EXP_DEVCTL_BCR_FLR);
	wr8(ctl, 0xff);
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 3);
	/* AF */
	wr8(cap[7] + PCI_AF_CTRL, 0xfe);
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 3);
	wr8(cap[7] + PCI_AF_CTRL, 1);
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 4);
	assert_int_equal(rd8(cap[7] + PCI_AF_CTRL), 0);
	/* a hot reset clears what an FLR leaves */
	wr16(ctl, 0x20a0);
	pci_function_reset(fn, UVFIO_RESET_BUS);
	assert_int_equal(rd16(ctl), 0x2810);
	assert_int_equal(rd16(cap[2] + PCI_EXP_LNKCTL), 0);
	assert_int_equal(rd32(cap[9] + PCI_ERR_UNCOR_MASK), 0x10);
	assert_int_equal(t.resets[UVFIO_RESET_BUS], 1);
	assert_int_equal(t.resets[UVFIO_RESET_POWER_ON], 1);
	t_free(fn);
}

static int create_no_flr(struct uvfio_dev *dev)
{
	cap[0] = uvfio_add_pm(dev, true);
	cap[1] = uvfio_add_pcie(dev, false);
	return 0;
}

static void test_no_flr(void **state)
{
	pci_function *fn = t_new(create_no_flr);

	assert_false(rd32(cap[1] + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR);
	wr16(cap[1] + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 0);
	assert_false(pci_can_reset_by(fn, PCI_RESET_FLR) || pci_can_reset_by(fn, PCI_RESET_PM));
	assert_true(rd16(cap[0] + PCI_PM_CTRL) & PCI_PM_CTRL_NO_SOFT_RESET);
	/* with No_Soft_Reset the state is there after D3hot */
	wr16(PCI_COMMAND, 6);
	wr16(cap[0] + PCI_PM_CTRL, 3);
	assert_int_equal(pci_power_state(fn), 3);
	wr16(cap[0] + PCI_PM_CTRL, 0);
	assert_int_equal(rd16(PCI_COMMAND), 6);
	assert_int_equal(t.resets[UVFIO_RESET_D3], 0);
	assert_int_equal(t.powers, 2);
	assert_int_equal(t.last_power, 0);
	t_free(fn);
}

static void test_power(void **state)
{
	pci_function *fn = t_new(create_all);
	unsigned ctl = (unsigned)cap[0] + PCI_PM_CTRL;
	uint64_t v;

	assert_int_equal(rd16(cap[0] + PCI_PM_PMC), 3);
	assert_true(pci_can_reset_by(fn, PCI_RESET_FLR) && pci_can_reset_by(fn, PCI_RESET_PM));
	wr16(PCI_COMMAND, 7);
	assert_false(atomic_load(&pci_function_iommu(fn)->blocked));
	assert_int_equal(pci_bar_read(fn, 0, 0, 4, &v), 0);
	/* D1 and D2 are not there */
	wr16(ctl, 1);
	wr16(ctl, 2);
	assert_int_equal(pci_power_state(fn), 0);
	assert_int_equal(t.powers, 0);
	wr8(ctl, 3);
	assert_int_equal(pci_power_state(fn), 3);
	assert_int_equal(rd16(ctl), 3);
	assert_int_equal(t.powers, 1);
	assert_int_equal(t.last_power, 3);
	assert_true(atomic_load(&pci_function_iommu(fn)->blocked));
	assert_int_equal(pci_bar_read(fn, 0, 0, 4, &v), -EIO);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(pci_bar_write(fn, 0, 0, 4, 1), -EIO);
	wr8(ctl, 3); /* again: nothing */
	assert_int_equal(t.powers, 1);
	/* config space is there in D3hot */
	wr8(PCI_INTERRUPT_LINE, 9);
	assert_int_equal(rd8(PCI_INTERRUPT_LINE), 9);
	wr8(ctl, 0);
	assert_int_equal(pci_power_state(fn), 0);
	assert_int_equal(t.powers, 2);
	assert_int_equal(t.resets[UVFIO_RESET_D3], 1);
	assert_int_equal(rd16(PCI_COMMAND), 0);
	assert_int_equal(rd8(PCI_INTERRUPT_LINE), 0);
	assert_true(atomic_load(&pci_function_iommu(fn)->blocked));
	/* an FLR in D3hot wakes it */
	wr8(ctl, 3);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(pci_power_state(fn), 0);
	t_free(fn);
}

static void test_decoding(void **state)
{
	pci_function *fn = t_new(create_all);
	uint64_t v;

	assert_int_equal(pci_bar_read(fn, 0, 8, 8, &v), -EIO);
	assert_int_equal(v, UINT64_MAX);
	assert_int_equal(t.last_size, 0); /* the model was not asked */
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(pci_bar_read(fn, 0, 8, 8, &v), 0);
	assert_int_equal(v, 0x1122334455667788ull);
	assert_int_equal(pci_bar_read(fn, 0, 6, 2, &v), 0);
	assert_int_equal(v, 0x7788); /* what the model says beyond the size is cut off */
	assert_int_equal(t.last_off, 6);
	assert_int_equal(pci_bar_read(fn, 3, 0, 1, &v), -EIO);
	assert_int_equal(v, 0xff);
	wr16(PCI_COMMAND, PCI_COMMAND_IO);
	assert_int_equal(pci_bar_read(fn, 3, 0, 1, &v), 0);
	assert_int_equal(pci_bar_read(fn, 0, 0, 1, &v), -EIO);
	assert_int_equal(pci_bar_write(fn, 0, 0, 1, 5), -EIO);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	assert_int_equal(pci_bar_write(fn, 0, 0xffff8, 8, 5), 0);
	assert_int_equal(pci_bar_write(fn, 0, 4, 1, 0x1ff), 0);
	assert_int_equal(t.last_write, 0xff);
	/* the ROM without an image asks the model, whether or not its own enable bit is set */
	assert_int_equal(pci_bar_read(fn, 6, 0, 4, &v), 0);
	assert_int_equal(t.last_bar, 6);
	assert_false(pci_rom_valid(fn));
	t_free(fn);
}

static void quiet(const struct report *r, void *arg)
{
	if (r->limited)
		return;
	++*(int *)arg;
}

static struct report_subscriber subscriber = { .fn = quiet, .level = LOG_INFO };

static void test_bad_access(void **state)
{
	pci_function *fn = t_new(create_all);
	uint64_t v;
	int lines = 0;

	log_set(-1, LOG_WARN);
	subscriber.arg = &lines;
	report_subscribe(&subscriber);
	wr16(PCI_COMMAND, 7);
	assert_int_equal(pci_bar_read(fn, 0, 1, 2, &v), -EIO);
	assert_int_equal(pci_bar_read(fn, 0, 0, 3, &v), -EIO);
	assert_int_equal(pci_bar_read(fn, 0, 1 << 20, 1, &v), -EIO);
	assert_int_equal(pci_bar_read(fn, 0, UINT64_MAX - 7, 8, &v), -EIO);
	assert_int_equal(pci_bar_read(fn, 1, 0, 4, &v), -EIO); /* the upper half of BAR0 */
	assert_int_equal(pci_bar_write(fn, 9, 0, 4, 0), -EIO);
	assert_int_equal(t.last_size, 0);
	assert_int_equal(lines, 6);
	t.answer = -EINVAL;
	assert_int_equal(pci_bar_read(fn, 0, 0, 4, &v), -EIO);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(pci_bar_write(fn, 0, 0, 4, 0), -EIO);
	assert_int_equal(lines, 8);
	report_unsubscribe(&subscriber);
	log_set(2, LOG_WARN);
	t_free(fn);
}

static int create_rom(struct uvfio_dev *dev)
{
	static const uint8_t image[] = { 0x55, 0xaa, 1, 2, 3 };

	return uvfio_add_rom(dev, 2048, image, sizeof(image));
}

static void test_rom(void **state)
{
	pci_function *fn = t_new(create_rom);
	uint64_t v;

	assert_true(pci_rom_valid(fn));
	assert_int_equal(pci_bar_read(fn, 6, 0, 4, &v), -EIO); /* memory decoding is off */
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(pci_bar_read(fn, 6, 0, 8, &v), 0);
	assert_int_equal(v, 0xffffff030201aa55ull);
	assert_int_equal(pci_bar_read(fn, 6, 2044, 4, &v), 0);
	assert_int_equal(v, 0xffffffff);
	assert_int_equal(pci_bar_write(fn, 6, 0, 4, 0), 0);
	assert_int_equal(pci_bar_read(fn, 6, 0, 1, &v), 0);
	assert_int_equal(v, 0x55);
	assert_int_equal(t.last_size, 0);
	t_free(fn);
}

static void test_vpd(void **state)
{
	pci_function *fn = t_new(create_all);
	unsigned addr = (unsigned)cap[4] + PCI_VPD_ADDR, data = (unsigned)cap[4] + PCI_VPD_DATA;

	wr16(addr, 0);
	assert_int_equal(rd16(addr), 0x8000);
	assert_int_equal(rd32(data), 0x78000182 - 0x78000000 + ('x' << 24));
	wr16(addr, 4);
	assert_int_equal(rd16(addr), 0x8004);
	assert_int_equal(rd32(data), 0x78);
	/* the lower byte alone starts nothing */
	wr8(addr, 0);
	assert_int_equal(rd32(data), 0x78);
	wr8(addr + 1, 0);
	assert_int_equal(rd16(addr), 0x8000);
	/* write */
	wr32(data, 0x11223344);
	wr16(addr, 0x8008);
	assert_int_equal(rd16(addr), 8);
	wr32(data, 0);
	wr16(addr, 8);
	assert_int_equal(rd32(data), 0x11223344);
	/* beyond the end the flag never turns, either way */
	wr16(addr, 16);
	assert_int_equal(rd16(addr), 16);
	wr16(addr, 0x8010);
	assert_int_equal(rd16(addr), 0x8010);
	wr16(addr, 0x7fff);
	assert_int_equal(rd16(addr), 0x7fff);
	/* the data is the chip's: no reset touches it */
	pci_function_reset(fn, UVFIO_RESET_FLR);
	wr16(addr, 8);
	assert_int_equal(rd32(data), 0x11223344);
	t_free(fn);
}

static int create_vpd_ro(struct uvfio_dev *dev)
{
	cap[0] = uvfio_add_vpd(dev, "abcd", 4, false);
	assert_int_equal(uvfio_add_vpd(dev, "abcd", 4, false), -EEXIST);
	return 0;
}

static void test_vpd_read_only(void **state)
{
	pci_function *fn = t_new(create_vpd_ro);

	wr32(cap[0] + PCI_VPD_DATA, 0);
	wr16(cap[0] + PCI_VPD_ADDR, 0x8000);
	assert_int_equal(rd16(cap[0] + PCI_VPD_ADDR), 0);
	wr16(cap[0] + PCI_VPD_ADDR, 0);
	assert_int_equal(rd32(cap[0] + PCI_VPD_DATA), 0x64636261);
	t_free(fn);
}

static void test_errors(void **state)
{
	pci_function *fn = t_new(create_all);
	unsigned aer = (unsigned)cap[9], sta = (unsigned)cap[2] + PCI_EXP_DEVSTA;

	wr16(PCI_COMMAND, PCI_COMMAND_SERR);
	uvfio_report_error(fn, 14, true); /* completion timeout: not fatal at power-on */
	assert_int_equal(t.irqs.errors, 1);
	assert_int_equal(t.irqs.fatal, 1);
	assert_int_equal(rd32(aer + PCI_ERR_UNCOR_STATUS), 1 << 14);
	assert_int_equal(rd8(aer + PCI_ERR_CAP) & 0x1f, 14);
	assert_int_equal(rd16(sta), PCI_EXP_DEVSTA_NFED);
	assert_true(rd16(PCI_STATUS) & PCI_STATUS_SIG_SYSTEM_ERROR);
	/* malformed TLP: fatal; the first error stays the first */
	uvfio_report_error(fn, 18, true);
	assert_int_equal(rd32(aer + PCI_ERR_UNCOR_STATUS), 1 << 14 | 1 << 18);
	assert_int_equal(rd8(aer + PCI_ERR_CAP) & 0x1f, 14);
	assert_int_equal(rd16(sta), PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED);
	assert_int_equal(t.irqs.errors, 2);
	wr32(aer + PCI_ERR_UNCOR_MASK, 1 << 20);
	uvfio_report_error(fn, 20, true); /* masked: status, no message */
	assert_int_equal(t.irqs.errors, 2);
	assert_true(rd32(aer + PCI_ERR_UNCOR_STATUS) & 1 << 20);
	assert_true(rd16(sta) & PCI_EXP_DEVSTA_URD);
	/* RW1C, bit by bit */
	wr32(aer + PCI_ERR_UNCOR_STATUS, 1 << 14);
	assert_int_equal(rd32(aer + PCI_ERR_UNCOR_STATUS), 1 << 18 | 1 << 20);
	uvfio_report_error(fn, 0, false);
	assert_int_equal(rd32(aer + PCI_ERR_COR_STATUS), 1);
	assert_true(rd16(sta) & PCI_EXP_DEVSTA_CED);
	assert_int_equal(t.irqs.errors, 3);
	assert_int_equal(t.irqs.fatal, 2);
	/* no such bits: said, and nothing done */
	log_set(-1, LOG_WARN);
	uvfio_report_error(fn, 1, true);
	uvfio_report_error(fn, 4, false);
	uvfio_report_error(fn, 32, true);
	log_set(2, LOG_WARN);
	assert_int_equal(t.irqs.errors, 3);
	t_free(fn);
}

static void test_save_restore(void **state)
{
	pci_function *fn = t_new(create_all);
	uint8_t saved[PCI_CFG_EXP_SIZE];

	wr32(0x10, 0xfe000000);
	wr32(0x14, 0x12);
	wr16(PCI_COMMAND, 7);
	wr8(PCI_INTERRUPT_LINE, 11);
	wr16(cap[2] + PCI_EXP_DEVCTL, 0x20af);
	wr32(cap[5] + 4, 0xffffffff);
	wr32(cap[1] + PCI_MSI_ADDRESS_LO, 0xfee00000);
	wr16(cap[3] + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	pci_save_state(fn, saved);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(rd32(0x10), 0xc);
	t.written = 0;
	pci_restore_state(fn, saved);
	assert_int_equal(rd32(0x10), 0xfe00000c);
	assert_int_equal(rd32(0x14), 0x12);
	assert_int_equal(rd16(PCI_COMMAND), 7);
	assert_false(atomic_load(&pci_function_iommu(fn)->blocked));
	assert_int_equal(rd8(PCI_INTERRUPT_LINE), 11);
	assert_int_equal(rd16(cap[2] + PCI_EXP_DEVCTL), 0x20af);
	/* messages are their driver's to put back, the vendor's registers nobody's */
	assert_int_equal(rd32(cap[1] + PCI_MSI_ADDRESS_LO), 0);
	assert_false(rd16(cap[3] + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(uvfio_irq_mode(fn), UVFIO_IRQ_INTX);
	assert_int_equal(rd32(cap[5] + 4), 0x05040302);
	assert_int_equal(t.written, 1);
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 1); /* and no side effect of any bit in it */
	pci_restore_state(fn, saved);
	assert_int_equal(t.written, 1);
	/* hostile contents change what software may change, and nothing else */
	memset(saved, 0xff, sizeof(saved));
	pci_restore_state(fn, saved);
	assert_int_equal(rd32(0), 0xabcd1234);
	assert_int_equal(pci_power_state(fn), 0);
	assert_int_equal(t.resets[UVFIO_RESET_FLR], 1);
	t_free(fn);
}

static void test_config_set(void **state)
{
	pci_function *fn = t_new(create_all);

	uvfio_config_set(fn, 0, 2, 0x8086); /* the hardware's own view: no rule */
	assert_int_equal(rd16(0), 0x8086);
	assert_int_equal(uvfio_config_get(fn, 0, 4), 0xabcd8086);
	uvfio_config_set(fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_false(atomic_load(&pci_function_iommu(fn)->blocked));
	assert_int_equal(t.written, 0);
	log_set(-1, LOG_WARN);
	uvfio_config_set(fn, 4096, 1, 1);
	uvfio_config_set(fn, 4095, 2, 1);
	uvfio_config_set(fn, 0, 3, 1);
	log_set(2, LOG_WARN);
	assert_int_equal(rd16(0), 0x8086);
	pci_function_reset(fn, UVFIO_RESET_BUS);
	assert_int_equal(rd16(0), 0x1234);
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_access_sizes),
		cmocka_unit_test(test_config_written),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_bar_registers),
		cmocka_unit_test(test_bad_bars),
		cmocka_unit_test(test_bad_caps),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_ext_needs_pcie),
		cmocka_unit_test(test_write_masks),
		cmocka_unit_test(test_device_control),
		cmocka_unit_test(test_flr),
		cmocka_unit_test(test_no_flr),
		cmocka_unit_test(test_power),
		cmocka_unit_test(test_decoding),
		cmocka_unit_test(test_bad_access),
		cmocka_unit_test(test_rom),
		cmocka_unit_test(test_vpd),
		cmocka_unit_test(test_vpd_read_only),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_save_restore),
		cmocka_unit_test(test_config_set),
	};

	log_set(2, LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
