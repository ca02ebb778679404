/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/config_test.c: config-space virtualization: every row of the tables, by what a user
 * reads and writes.
 */
#include "vfio_pci/test_device.h"

static struct tdev t;

static int setup(void **state)
{
	t_open(&t, &t_model_full);
	return 0;
}
static int teardown(void **state)
{
	t_close(&t);
	return 0;
}

static void test_bounds(void **state)
{
	uint8_t buf[16];
	struct vfio_region r;

	assert_int_equal(t.dev->ops->region(t.dev, VFIO_PCI_CONFIG_REGION_INDEX, &r), 0);
	assert_int_equal(r.size, 4096);
	assert_int_equal(r.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_int_equal(t.dev->ops->rw(t.dev, 7, 4095, buf, 1, false), 1);
	assert_int_equal(t.dev->ops->rw(t.dev, 7, 4095, buf, 2, false), -EFAULT);
	assert_int_equal(t.dev->ops->rw(t.dev, 7, 4096, buf, 1, false), -EFAULT);
	assert_int_equal(t.dev->ops->rw(t.dev, 7, UINT64_MAX - 2, buf, 8, true), -EFAULT);
	assert_int_equal(t.dev->ops->rw(t.dev, 7, 4096, buf, 0, false), 0);
	/* any alignment and length reads what the bytes read */
	assert_int_equal(t.dev->ops->rw(t.dev, 7, 1, buf, 7, false), 7);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(buf[i], cr(&t, 1 + i, 1));
}

static void test_open_state(void **state)
{
	assert_int_equal(hr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(t.dev->flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(t.dev->num_regions, 9);
	assert_int_equal(t.dev->num_irqs, 5);
	assert_int_equal(t.dev->address.bus, 1);
	assert_int_equal(pci_address_devfn(&t.dev->address), 2 << 3 | 3);
	/* power-on, then the reset of the open */
	assert_int_equal(tm.resets, 2);
	assert_int_equal(tm.reset_kinds[1], UVFIO_RESET_FLR);
	/* the host's addresses are the first values of the BARs */
	assert_int_equal(cr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	assert_int_equal(cr(&t, PCI_BASE_ADDRESS_2, 4), 0x0100000c);
	assert_int_equal(cr(&t, PCI_BASE_ADDRESS_3, 4), 0x00000008);
	assert_int_equal(cr(&t, PCI_BASE_ADDRESS_4, 4), 0x0000c001);
}

static void test_header_read_only(void **state)
{
	static const struct {
		unsigned pos, size;
	} ro[] = {
		{ PCI_VENDOR_ID, 2 },
		{ PCI_DEVICE_ID, 2 },
		{ PCI_REVISION_ID, 1 },
		{ PCI_CLASS_PROG, 1 },
		{ PCI_CLASS_DEVICE, 2 },
		{ PCI_HEADER_TYPE, 1 },
		{ PCI_SUBSYSTEM_VENDOR_ID, 2 },
		{ PCI_SUBSYSTEM_ID, 2 },
		{ PCI_CARDBUS_CIS, 4 },
		{ PCI_CAPABILITY_LIST, 1 },
		{ PCI_INTERRUPT_PIN, 1 },
		{ PCI_MIN_GNT, 1 },
		{ PCI_MAX_LAT, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ro); i++) {
		uint32_t v = cr(&t, ro[i].pos, ro[i].size), h = hr(&t, ro[i].pos, ro[i].size);

		cw(&t, ro[i].pos, ro[i].size, ~v);
		assert_int_equal(cr(&t, ro[i].pos, ro[i].size), v);
		assert_int_equal(hr(&t, ro[i].pos, ro[i].size), h);
	}
	assert_int_equal(cr(&t, PCI_VENDOR_ID, 4), 0x56781234);
	assert_int_equal(cr(&t, PCI_INTERRUPT_PIN, 1), 1);
}

static void test_header_writable(void **state)
{
	cw(&t, PCI_CACHE_LINE_SIZE, 1, 0x10);
	assert_int_equal(hr(&t, PCI_CACHE_LINE_SIZE, 1), 0x10); /* the hardware's */
	assert_int_equal(cr(&t, PCI_CACHE_LINE_SIZE, 1), 0x10);
	uint8_t line = hr(&t, PCI_INTERRUPT_LINE, 1);
	cw(&t, PCI_INTERRUPT_LINE, 1, 0x5a);
	assert_int_equal(cr(&t, PCI_INTERRUPT_LINE, 1), 0x5a);
	assert_int_equal(hr(&t, PCI_INTERRUPT_LINE, 1), line); /* the copy's */
}

/*
 * Error bits of STATUS cannot be cleared, and the capability bit is virtual. But a dword from
 * COMMAND on is merged with what STATUS reads and written back, as the kernel does: that clears
 * what is set.
 */
static void test_status(void **state)
{
	uvfio_config_set(t.fn, PCI_STATUS, 2, hr(&t, PCI_STATUS, 2) | PCI_STATUS_SIG_SYSTEM_ERROR);
	cw(&t, PCI_STATUS, 2, 0xffff);
	assert_true(cr(&t, PCI_STATUS, 2) & PCI_STATUS_SIG_SYSTEM_ERROR);
	cw(&t, PCI_COMMAND, 4, PCI_COMMAND_MEMORY);
	assert_false(cr(&t, PCI_STATUS, 2) & PCI_STATUS_SIG_SYSTEM_ERROR);
	assert_true(cr(&t, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	uvfio_intx(t.fn, true);
	assert_true(cr(&t, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void test_command(void **state)
{
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR);
	assert_int_equal(hr(&t, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR);
	assert_int_equal(cr(&t, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_SERR);
	/* bytes alone */
	cw(&t, PCI_COMMAND, 1, PCI_COMMAND_IO);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_SERR);
	cw(&t, PCI_COMMAND + 1, 1, PCI_COMMAND_INTX_DISABLE >> 8);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_INTX_DISABLE);
	/* INTx is not in use: the hardware's bit follows */
	assert_int_equal(hr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_INTX_DISABLE);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(hr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO);
}

/* the user sets bits that seem to be set already, but the hardware was reset meanwhile */
static void test_reset_recovery(void **state)
{
	pci_function_reset(t.fn, UVFIO_RESET_FLR);
	assert_int_equal(hr(&t, PCI_COMMAND, 2), 0);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), 0); /* reads hardware */
	assert_int_equal(cr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(hr(&t, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(hr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	assert_int_equal(hr(&t, PCI_BASE_ADDRESS_3, 4), 8);
	/* only a BAR is wrong */
	pci_config_write(t.fn, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(hr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
}

static void test_bar_sizing(void **state)
{
	static const struct {
		unsigned pos;
		uint32_t sized;
	} bars[] = {
		{ PCI_BASE_ADDRESS_0, 0xffff0000 }, { PCI_BASE_ADDRESS_1, 0xffffc000 },
		{ PCI_BASE_ADDRESS_2, 0xff00000c }, { PCI_BASE_ADDRESS_3, 0xffffffff },
		{ PCI_BASE_ADDRESS_4, 0xffffffc1 }, { PCI_BASE_ADDRESS_5, 0 },
		{ PCI_ROM_ADDRESS, 0xfffff001 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bars); i++) {
		uint32_t hw = hr(&t, bars[i].pos, 4), was = cr(&t, bars[i].pos, 4);

		cw(&t, bars[i].pos, 4, 0xffffffff);
		assert_int_equal(cr(&t, bars[i].pos, 4), bars[i].sized);
		cw(&t, bars[i].pos, 4, was);
		assert_int_equal(cr(&t, bars[i].pos, 4), was);
		assert_int_equal(hr(&t, bars[i].pos, 4), hw);
	}
	/* by bytes, and an address that is not where the region is: it goes on answering */
	cw(&t, PCI_BASE_ADDRESS_0 + 3, 1, 0x12);
	assert_int_equal(cr(&t, PCI_BASE_ADDRESS_0, 4), 0x12000000);
	uint32_t v = 0;
	assert_int_equal(t.dev->ops->rw(t.dev, 0, 0, &v, 4, false), 4);
}

static void test_chain(void **state)
{
	static const uint8_t shown[] = { PCI_CAP_ID_PM,	 PCI_CAP_ID_MSI,  PCI_CAP_ID_MSIX,
					 PCI_CAP_ID_EXP, PCI_CAP_ID_VNDR, PCI_CAP_ID_AF,
					 PCI_CAP_ID_VPD };
	static const uint8_t hidden[] = { PCI_CAP_ID_SSVID, PCI_CAP_ID_EA, PCI_CAP_ID_CHSWP };
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		assert_true(user_cap(&t, shown[i]));
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		unsigned pos = pci_find_cap(t.fn, hidden[i]);

		assert_false(user_cap(&t, hidden[i]));
		assert_true(pos);
		assert_int_equal(cr(&t, pos, 1), hidden[i]); /* its bytes are there */
	}
	for (unsigned pos = cr(&t, PCI_CAPABILITY_LIST, 1); pos; pos = cr(&t, pos + 1, 1))
		n++;
	assert_int_equal(n, ARRAY_SIZE(shown));
	/* bytes of a hidden capability are nobody's: written raw */
	unsigned pos = pci_find_cap(t.fn, PCI_CAP_ID_SSVID);
	cw(&t, pos + 4, 4, 0xcafebabe);
	assert_int_equal(hr(&t, pos + 4, 4), 0xcafebabe);
}

static void test_ext_chain(void **state)
{
	unsigned aer = pci_find_ext_cap(t.fn, PCI_EXT_CAP_ID_ERR),
		 dsn = pci_find_ext_cap(t.fn, PCI_EXT_CAP_ID_DSN);

	/* hidden, but the chain starts here */
	assert_int_equal(cr(&t, 0x100, 4) & 0xfffff, 0);
	assert_int_equal(cr(&t, 0x100, 4) >> 20, aer);
	cw(&t, 0x100, 4, 0xffffffff);
	assert_int_equal(cr(&t, 0x100, 4) & 0xfffff, 0);
	/* hidden in the middle: skipped */
	assert_int_equal(cr(&t, aer, 4) >> 20, dsn);
	assert_int_equal(cr(&t, aer, 2), PCI_EXT_CAP_ID_ERR);
	assert_int_equal(cr(&t, aer + 2, 2) >> 4, dsn);
	assert_false(user_ext_cap(&t, PCI_EXT_CAP_ID_PASID));
	assert_int_equal(cr(&t, dsn + 4, 4), 0x55667788);
	cw(&t, dsn + 4, 4, 0);
	assert_int_equal(cr(&t, dsn + 4, 4), 0x55667788);
	assert_true(user_ext_cap(&t, PCI_EXT_CAP_ID_LTR));
}

static void test_ext_rules(void **state)
{
	unsigned ltr = user_ext_cap(&t, PCI_EXT_CAP_ID_LTR),
		 pwr = user_ext_cap(&t, PCI_EXT_CAP_ID_PWR),
		 vsec = user_ext_cap(&t, PCI_EXT_CAP_ID_VNDR),
		 aer = user_ext_cap(&t, PCI_EXT_CAP_ID_ERR);

	/* read-only although the hardware would take it */
	cw(&t, ltr + 4, 4, 0xffffffff);
	assert_int_equal(hr(&t, ltr + 4, 4), 0);
	cw(&t, pwr + 4, 4, 0xffffffff);
	assert_int_equal(hr(&t, pwr + 4, 4), 0);
	cw(&t, pwr + PCI_PWR_DATA, 4, 0xffffffff);
	assert_int_equal(hr(&t, pwr + PCI_PWR_DATA, 4), 0xff);
	/* raw */
	cw(&t, vsec + 8, 4, 0x01020304);
	assert_int_equal(hr(&t, vsec + 8, 4), 0x01020304);
	cw(&t, vsec + 8, 1, 0xee);
	assert_int_equal(cr(&t, vsec + 8, 4), 0x010203ee);
	/* AER: cleared by writing ones, and reserved bits do not reach the hardware */
	uvfio_config_set(t.fn, aer + PCI_ERR_UNCOR_STATUS, 4,
			 PCI_ERR_UNC_UNSUP | PCI_ERR_UNC_POISON_TLP);
	cw(&t, aer + PCI_ERR_UNCOR_STATUS, 4, PCI_ERR_UNC_UNSUP);
	assert_int_equal(cr(&t, aer + PCI_ERR_UNCOR_STATUS, 4), PCI_ERR_UNC_POISON_TLP);
	cw(&t, aer + PCI_ERR_UNCOR_MASK, 4, PCI_ERR_UNC_UNSUP);
	assert_true(hr(&t, aer + PCI_ERR_UNCOR_MASK, 4) & PCI_ERR_UNC_UNSUP);
	uint32_t log = cr(&t, aer + PCI_ERR_HEADER_LOG, 4);
	cw(&t, aer + PCI_ERR_HEADER_LOG, 4, ~log);
	assert_int_equal(cr(&t, aer + PCI_ERR_HEADER_LOG, 4), log);
}

static void test_vendor_raw(void **state)
{
	unsigned pos = user_cap(&t, PCI_CAP_ID_VNDR);

	assert_int_equal(cr(&t, pos + 2, 1), 12);
	cw(&t, pos + 4, 4, 0xdeadbeef);
	assert_int_equal(hr(&t, pos + 4, 4), 0xdeadbeef);
	assert_int_equal(cr(&t, pos + 4, 4), 0xdeadbeef);
	/* ID and next stay, the next is ours */
	cw(&t, pos, 2, 0);
	assert_int_equal(cr(&t, pos, 1), PCI_CAP_ID_VNDR);
	assert_true(user_cap(&t, PCI_CAP_ID_AF));
}

static void test_pm(void **state)
{
	unsigned pos = user_cap(&t, PCI_CAP_ID_PM);
	uint32_t v = 0;

	assert_int_equal(cr(&t, pos + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK, 0);
	cw(&t, pos + PCI_PM_CTRL, 2, PCI_PM_CTRL_PME_ENABLE);
	assert_int_equal(cr(&t, pos + PCI_PM_CTRL, 2) &
				 (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS),
			 0);
	assert_int_equal(hr(&t, pos + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_ENABLE, 0);

	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	cw(&t, pos + PCI_PM_CTRL, 2, 3);
	assert_int_equal(cr(&t, pos + PCI_PM_CTRL, 2) & 3, 3);
	assert_int_equal(pci_power_state(t.fn), 3);
	assert_int_equal(t.dev->ops->rw(t.dev, 0, 0, &v, 4, false), -EIO);
	cw(&t, pos + PCI_PM_CTRL, 2, 1); /* D3 to D1: no such way */
	assert_int_equal(pci_power_state(t.fn), 3);
	/* back: the function lost its state, and got it back */
	unsigned resets = tm.resets;
	cw(&t, pos + PCI_PM_CTRL, 2, 0);
	assert_int_equal(pci_power_state(t.fn), 0);
	assert_int_equal(tm.resets, resets + 1);
	assert_int_equal(hr(&t, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(hr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	assert_int_equal(t.dev->ops->rw(t.dev, 0, 0, &v, 4, false), 4);
	/* a write of the upper bytes does not touch the state */
	cw(&t, pos + PCI_PM_CTRL + 1, 1, 0xff);
	assert_int_equal(pci_power_state(t.fn), 0);
}

/*
 * Messages that were switched off in D3hot stay off, however the function comes back; those that
 * were left on are on again.
 */
static void test_messages_in_d3(void **state)
{
	static const uint32_t indices[] = { MSI, MSIX };
	static const char *const ways[] = { "D0", "a reset", "FLR" };
	unsigned pm = user_cap(&t, PCI_CAP_ID_PM), exp = user_cap(&t, PCI_CAP_ID_EXP);
	int fd = t_eventfd();

	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t index = indices[i], other = indices[!i];

		for (unsigned way = 0; way < ARRAY_SIZE(ways); way++) {
			assert_int_equal(set_irqs(&t, index, 0, 1, EVENTFD | TRIGGER, &fd), 0);
			for (unsigned off = 0; off < 2; off++) {
				cw(&t, pm + PCI_PM_CTRL, 2, 3);
				if (off)
					assert_int_equal(
						set_irqs(&t, index, 0, 0, NONE | TRIGGER, NULL), 0);
				assert_int_equal(set_irqs(&t, other, 0, 1, EVENTFD | TRIGGER, &fd),
						 -EINVAL);
				if (way == 0)
					cw(&t, pm + PCI_PM_CTRL, 2, 0);
				else if (way == 1)
					assert_int_equal(t.dev->ops->reset(t.dev), 0);
				else
					cw(&t, exp + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
				/* the PCI core's way to D0 does not put COMMAND back */
				assert_int_equal(hr(&t, PCI_COMMAND, 2) & 7, way == 2 ? 0 : 6);
				assert_int_equal(hr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
				cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
				if (uvfio_irq_mode(t.fn) != (off ? UVFIO_IRQ_INTX
							     : i ? UVFIO_IRQ_MSIX
								 : UVFIO_IRQ_MSI))
					fail_msg("index %u, by %s, %s: mode %d", index, ways[way],
						 off ? "off" : "on", uvfio_irq_mode(t.fn));
				assert_int_equal(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE,
						 off ? 0 : PCI_COMMAND_INTX_DISABLE);
				uvfio_msi(t.fn, 0);
				assert_int_equal(taken(fd), !off);
			}
			/* the pin is free */
			assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
			uvfio_intx(t.fn, true);
			assert_int_equal(taken(fd), 1);
			uvfio_intx(t.fn, false);
			assert_int_equal(set_irqs(&t, INTX, 0, 0, NONE | TRIGGER, NULL), 0);
		}
	}
	close(fd);
}

/*
 * The mask bits are the hardware's: whatever resets the function clears them, unless SET_IRQS has
 * MSI on.
 */
static void test_msi_mask_reset(void **state)
{
	unsigned msi = user_cap(&t, PCI_CAP_ID_MSI), pm = user_cap(&t, PCI_CAP_ID_PM),
		 exp = user_cap(&t, PCI_CAP_ID_EXP);
	int fds[2] = { t_eventfd(), -1 };

	for (unsigned on = 0; on < 2; on++) {
		if (on)
			assert_int_equal(set_irqs(&t, MSI, 0, 2, EVENTFD | TRIGGER, fds), 0);
		for (unsigned way = 0; way < 3; way++) {
			cw(&t, msi + PCI_MSI_MASK_64, 4, 5);
			assert_int_equal(cr(&t, msi + PCI_MSI_MASK_64, 4), 5);
			if (way == 0) {
				assert_int_equal(t.dev->ops->reset(t.dev), 0);
			} else if (way == 1) {
				cw(&t, exp + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
			} else {
				cw(&t, pm + PCI_PM_CTRL, 2, 3);
				cw(&t, pm + PCI_PM_CTRL, 2, 0);
			}
			/* on: what has no eventfd is masked, and nothing else */
			assert_int_equal(cr(&t, msi + PCI_MSI_MASK_64, 4), on ? 0xfe : 0);
		}
	}
	close(fds[0]);
}

static void test_vpd(void **state)
{
	unsigned pos = user_cap(&t, PCI_CAP_ID_VPD);
	uint8_t got[T_VPD_LEN];
	uint32_t v;

	for (unsigned a = 0; a < T_VPD_LEN; a += 4) {
		cw(&t, pos + PCI_VPD_ADDR, 2, a);
		assert_int_equal(cr(&t, pos + PCI_VPD_ADDR, 2), a | PCI_VPD_ADDR_F);
		v = cr(&t, pos + PCI_VPD_DATA, 4);
		memcpy(got + a, &v, 4);
	}
	assert_memory_equal(got, t_vpd, T_VPD_LEN);
	/* an odd address is put together */
	cw(&t, pos + PCI_VPD_ADDR, 2, 3);
	v = cr(&t, pos + PCI_VPD_DATA, 4);
	assert_memory_equal(&v, t_vpd + 3, 4);
	/* a write: data first, then the address with the flag, which goes to 0 */
	cw(&t, pos + PCI_VPD_DATA, 4, 0x11223344);
	cw(&t, pos + PCI_VPD_ADDR, 2, PCI_VPD_ADDR_F | 8);
	assert_int_equal(cr(&t, pos + PCI_VPD_ADDR, 2), 8);
	cw(&t, pos + PCI_VPD_DATA, 4, 0);
	cw(&t, pos + PCI_VPD_ADDR, 2, 8);
	assert_int_equal(cr(&t, pos + PCI_VPD_DATA, 4), 0x11223344);
	/* an odd write is refused: the flag stays */
	cw(&t, pos + PCI_VPD_ADDR, 2, PCI_VPD_ADDR_F | 9);
	assert_int_equal(cr(&t, pos + PCI_VPD_ADDR, 2), PCI_VPD_ADDR_F | 9);
	/* the low byte alone starts nothing */
	cw(&t, pos + PCI_VPD_ADDR, 2, 4);
	cw(&t, pos + PCI_VPD_ADDR, 1, 0);
	assert_int_equal(cr(&t, pos + PCI_VPD_DATA, 4), get32(t_vpd + 4));
}

static void test_msi(void **state)
{
	unsigned pos = user_cap(&t, PCI_CAP_ID_MSI);
	int fds[3] = { t_eventfd(), -1, -1 };

	/* not in use: nothing is enabled, no more vectors than SET_IRQS set up */
	cw(&t, pos + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 3 << 4);
	assert_int_equal(
		cr(&t, pos + PCI_MSI_FLAGS, 2) & (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE), 0);
	assert_int_equal(hr(&t, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE, 0);
	uint32_t hw_addr = hr(&t, pos + PCI_MSI_ADDRESS_LO, 4);
	cw(&t, pos + PCI_MSI_ADDRESS_LO, 4, 0xfee01004);
	cw(&t, pos + PCI_MSI_ADDRESS_HI, 4, 1);
	cw(&t, pos + PCI_MSI_DATA_64, 2, 0x4055);
	assert_int_equal(cr(&t, pos + PCI_MSI_ADDRESS_LO, 4), 0xfee01004);
	assert_int_equal(cr(&t, pos + PCI_MSI_ADDRESS_HI, 4), 1);
	assert_int_equal(cr(&t, pos + PCI_MSI_DATA_64, 2), 0x4055);
	assert_int_equal(hr(&t, pos + PCI_MSI_ADDRESS_LO, 4), hw_addr);

	assert_int_equal(set_irqs(&t, MSI, 0, 3, EVENTFD | TRIGGER, fds), 0);
	assert_int_equal(cr(&t, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE, 0); /* virtual */
	assert_true(hr(&t, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	assert_int_equal((hr(&t, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QSIZE) >> 4, 2);
	/* vectors without an eventfd wait, masked */
	assert_int_equal(hr(&t, pos + PCI_MSI_MASK_64, 4), 0xfe);
	cw(&t, pos + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 3 << 4);
	assert_int_equal(cr(&t, pos + PCI_MSI_FLAGS, 2) &
				 (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE),
			 PCI_MSI_FLAGS_ENABLE | 2 << 4);
	/* mask bits are the hardware's */
	cw(&t, pos + PCI_MSI_MASK_64, 4, 0x01);
	assert_int_equal(hr(&t, pos + PCI_MSI_MASK_64, 4), 0x01);
	/* disabled by the user: the hardware is, SET_IRQS' set-up is not */
	cw(&t, pos + PCI_MSI_FLAGS, 2, 0);
	assert_int_equal(hr(&t, pos + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE, 0);
	assert_int_equal(set_irqs(&t, MSI, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(hr(&t, pos + PCI_MSI_MASK_64, 4), 0);
	close(fds[0]);
}

static void test_msix(void **state)
{
	unsigned pos = user_cap(&t, PCI_CAP_ID_MSIX);
	int fd = t_eventfd();

	cw(&t, pos + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(cr(&t, pos + PCI_MSIX_FLAGS, 2), T_MSIX_VEC - 1);
	assert_int_equal(set_irqs(&t, MSIX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(cr(&t, pos + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | (T_MSIX_VEC - 1));
	assert_true(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	assert_false(cr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	cw(&t, pos + PCI_MSIX_FLAGS, 2, 0);
	assert_int_equal(cr(&t, pos + PCI_MSIX_FLAGS, 2), PCI_MSIX_FLAGS_ENABLE | (T_MSIX_VEC - 1));
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(cr(&t, pos + PCI_MSIX_FLAGS, 2), T_MSIX_VEC - 1);
	assert_false(hr(&t, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	close(fd);
}

static void test_exp(void **state)
{
	unsigned pos = user_cap(&t, PCI_CAP_ID_EXP), ctrl = pos + PCI_EXP_DEVCTL;
	uint16_t hw;

	/* payload size: virtual */
	hw = hr(&t, ctrl, 2);
	cw(&t, ctrl, 2, (cr(&t, ctrl, 2) & ~PCI_EXP_DEVCTL_PAYLOAD) | PCI_EXP_DEVCTL_PAYLOAD_256B);
	assert_int_equal(cr(&t, ctrl, 2) & PCI_EXP_DEVCTL_PAYLOAD, PCI_EXP_DEVCTL_PAYLOAD_256B);
	assert_int_equal(hr(&t, ctrl, 2), hw);
	/* read request size: both, but not below the payload and not beyond 4096 */
	cw(&t, ctrl, 2, (cr(&t, ctrl, 2) & ~PCI_EXP_DEVCTL_READRQ) | 3 << 12);
	assert_int_equal(hr(&t, ctrl, 2) & PCI_EXP_DEVCTL_READRQ, 3 << 12);
	cw(&t, ctrl, 2, cr(&t, ctrl, 2) | PCI_EXP_DEVCTL_READRQ);
	assert_int_equal(cr(&t, ctrl, 2) & PCI_EXP_DEVCTL_READRQ, PCI_EXP_DEVCTL_READRQ);
	assert_int_equal(hr(&t, ctrl, 2) & PCI_EXP_DEVCTL_READRQ, 3 << 12);
	uvfio_config_set(t.fn, ctrl, 2, (hr(&t, ctrl, 2) & ~PCI_EXP_DEVCTL_PAYLOAD) | 2 << 5);
	cw(&t, ctrl, 2, cr(&t, ctrl, 2) & ~PCI_EXP_DEVCTL_READRQ);
	assert_int_equal(hr(&t, ctrl, 2) & PCI_EXP_DEVCTL_READRQ, 2 << 12);
	/* error reporting is let through, the link is not */
	cw(&t, ctrl, 2, cr(&t, ctrl, 2) | PCI_EXP_DEVCTL_CERE);
	assert_true(hr(&t, ctrl, 2) & PCI_EXP_DEVCTL_CERE);
	hw = hr(&t, pos + PCI_EXP_LNKCTL, 2);
	cw(&t, pos + PCI_EXP_LNKCTL, 2, hw ^ PCI_EXP_LNKCTL_ASPMC);
	assert_int_equal(hr(&t, pos + PCI_EXP_LNKCTL, 2), hw);
	assert_int_equal(cr(&t, pos + PCI_EXP_LNKCTL, 2), hw);
}

static void check_flr(unsigned pos, unsigned size, uint32_t bit)
{
	int fd = t_eventfd();
	unsigned resets;

	assert_int_equal(set_irqs(&t, MSIX, 3, 1, EVENTFD | TRIGGER, &fd), 0);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	tm.bar0[0] = 0x77;
	resets = tm.resets;
	cw(&t, pos, size, cr(&t, pos, size) | bit);
	assert_int_equal(tm.resets, resets + 1);
	assert_int_equal(tm.bar0[0], 0);
	assert_int_equal(cr(&t, pos, size) & bit, 0);
	/* config space and interrupts are as before */
	assert_int_equal(hr(&t, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(hr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	uvfio_msi(t.fn, 3);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	close(fd);
}

static void test_flr(void **state)
{
	check_flr(user_cap(&t, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	check_flr(user_cap(&t, PCI_CAP_ID_AF) + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR);
}

static void test_unassigned(void **state)
{
	unsigned af = user_cap(&t, PCI_CAP_ID_AF);

	/* AF has 6 bytes; the piece behind is nobody's and must not take a byte of AF with it */
	uint8_t before = cr(&t, af + PCI_AF_CTRL + 1, 1);
	cw(&t, af + PCI_AF_CTRL, 4, 0);
	assert_int_equal(cr(&t, af + PCI_AF_CTRL + 1, 1), before);
	cw(&t, 0xffc, 4, 0x12345678);
	assert_int_equal(cr(&t, 0xffc, 4), hr(&t, 0xffc, 4));
}

/* a conventional function without any capability */
static void test_plain(void **state)
{
	struct tdev o;
	struct vfio_region r;
	uint32_t v;

	t_open(&o, &t_model_old);
	assert_int_equal(o.dev->ops->region(o.dev, VFIO_PCI_CONFIG_REGION_INDEX, &r), 0);
	assert_int_equal(r.size, 256);
	assert_int_equal(o.dev->ops->rw(o.dev, 7, 254, &v, 4, false), -EFAULT);
	assert_int_equal(cr(&o, PCI_CAPABILITY_LIST, 1), 0);
	assert_int_equal(cr(&o, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	/* it cannot reset itself, but its slot can be */
	assert_int_equal(o.dev->flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(o.dev->ops->reset(o.dev), 0);
	assert_int_equal(tm.reset_kinds[tm.resets - 1], UVFIO_RESET_BUS);
	assert_int_equal(cr(&o, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	/* DisINTx is emulated: the hardware has none */
	cw(&o, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(cr(&o, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(hr(&o, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	t_close(&o);
}

/* the second user finds nothing of the first one's */
static void test_reopen(void **state)
{
	int fd = t_eventfd();

	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	cw(&t, PCI_INTERRUPT_LINE, 1, 0x33);
	cw(&t, PCI_BASE_ADDRESS_0, 4, 0x12340000);
	tm.bar0[8] = 0x99;
	assert_int_equal(set_irqs(&t, ERR, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	assert_int_equal(set_irqs(&t, MSIX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	unsigned resets = tm.resets;
	/* counted: the second file keeps it open */
	assert_int_equal(vfio_device_open(t.dev), 0);
	vfio_device_close(t.dev);
	assert_int_equal(tm.resets, resets);
	vfio_device_close(t.dev);
	assert_int_equal(tm.resets, resets + 1);
	assert_int_equal(tm.quiesced, 1);
	assert_false(hr(&t, PCI_COMMAND, 2) & (PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
	assert_int_equal(tm.bar0[8], 0);
	assert_int_equal(hr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	assert_int_equal(vfio_device_open(t.dev), 0);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_not_equal(cr(&t, PCI_INTERRUPT_LINE, 1), 0x33);
	assert_int_equal(cr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	assert_int_equal(set_irqs(&t, ERR, 0, 1, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(set_irqs(&t, MSIX, 0, 1, NONE | TRIGGER, NULL), -EINVAL);
	assert_int_equal(taken(fd), 0);
	close(fd);
}

/* closed in D3: the next open starts in D0 with its state */
static void test_reopen_d3(void **state)
{
	cw(&t, user_cap(&t, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, 3);
	vfio_device_close(t.dev);
	assert_int_equal(pci_power_state(t.fn), 0);
	assert_int_equal(hr(&t, PCI_BASE_ADDRESS_0, 4), 0xe0000000);
	assert_int_equal(vfio_device_open(t.dev), 0);
	assert_int_equal(cr(&t, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
}

static void test_msi_32(void **state)
{
	struct tdev m;
	unsigned pos;
	int fds[4] = { -1, -1, -1, -1 };

	t_open(&m, &t_model_msi);
	/* D3hot keeps the state: no reset by it, but by the slot */
	assert_int_equal(m.dev->ops->reset(m.dev), 0);
	assert_int_equal(tm.reset_kinds[tm.resets - 1], UVFIO_RESET_BUS);
	pos = user_cap(&m, PCI_CAP_ID_MSI);
	assert_true(pos);
	cw(&m, pos + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
	cw(&m, pos + PCI_MSI_DATA_32, 2, 0x1234);
	assert_int_equal(cr(&m, pos + PCI_MSI_DATA_32, 2), 0x1234);
	fds[3] = t_eventfd();
	assert_int_equal(set_irqs(&m, MSI, 0, 4, EVENTFD | TRIGGER, fds), 0);
	cw(&m, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	uvfio_msi(m.fn, 3);
	uvfio_msi(m.fn, 2);
	assert_int_equal(taken(fds[3]), 1);
	/* D3hot and back without a reset */
	unsigned resets = tm.resets;
	cw(&m, user_cap(&m, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, 3);
	assert_int_equal(set_irqs(&m, MSI, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&m, MSI, 0, 4, EVENTFD | TRIGGER, fds), -EINVAL);
	cw(&m, user_cap(&m, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2, 0);
	assert_int_equal(set_irqs(&m, MSI, 0, 4, EVENTFD | TRIGGER, fds), 0);
	uvfio_msi(m.fn, 3);
	assert_int_equal(taken(fds[3]), 1);
	assert_int_equal(tm.resets, resets);
	t_close(&m);
	close(fds[3]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bounds),
		T(test_open_state),
		T(test_header_read_only),
		T(test_header_writable),
		T(test_status),
		T(test_command),
		T(test_reset_recovery),
		T(test_bar_sizing),
		T(test_chain),
		T(test_ext_chain),
		T(test_ext_rules),
		T(test_vendor_raw),
		T(test_pm),
		T(test_messages_in_d3),
		T(test_msi_mask_reset),
		T(test_vpd),
		T(test_msi),
		T(test_msix),
		T(test_exp),
		T(test_flr),
		T(test_unassigned),
		T(test_reopen),
		T(test_reopen_d3),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_msi_32),
	};

	return cmocka_run_group_tests_name("vfio_pci/config", tests, NULL, NULL);
}
