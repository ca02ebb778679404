/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/testdev/testdev_test.c: testdev against docs/testdev.md: what it is, with every option,
 * and each register.
 */
#include "base/bytes.h"
#include "models/testdev/testdev.h"
#include "pci/test_model.h"
#include "pci/test_regs.h"

#define REGS 2

static void test_identity(void **state)
{
	uint64_t v;

	plug(&model_testdev, NULL, NULL);
	assert_int_equal(pci_config_read(fn, 0, 4), 0x7e571234);
	assert_int_equal(pci_function_bar(fn, 0)->size, 65536);
	assert_int_equal(pci_function_bar(fn, 0)->flags, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH);
	assert_int_equal(pci_function_bar(fn, 1)->size, 0);
	assert_int_equal(pci_function_bar(fn, 3)->flags, UVFIO_BAR_IO);
	assert_int_equal(pci_function_bar(fn, 4)->size, 256);
	assert_int_equal(pci_function_bar(fn, 5)->size, 0);
	assert_true(pci_find_cap(fn, PCI_CAP_ID_PM) && pci_find_cap(fn, PCI_CAP_ID_MSI) &&
		    pci_find_cap(fn, PCI_CAP_ID_MSIX));
	assert_true(pci_find_cap(fn, PCI_CAP_ID_EXP) && pci_find_cap(fn, PCI_CAP_ID_VPD) &&
		    pci_find_cap(fn, PCI_CAP_ID_VNDR));
	assert_false(pci_find_cap(fn, PCI_CAP_ID_AF));
	assert_true(pci_find_ext_cap(fn, PCI_EXT_CAP_ID_ERR) &&
		    pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN));
	assert_int_equal(pci_msi_vectors(fn), 32);
	assert_true(pci_can_reset_by(fn, PCI_RESET_FLR));
	assert_int_equal(rd(REGS, TD_ID, 4), TD_ID_VALUE);
	assert_int_equal(rd(REGS, TD_VERSION, 4), 1);
	/* the ROM sums to zero */
	assert_true(pci_rom_valid(fn));
	v = 0;
	for (unsigned i = 0; i < 4096; i++)
		v += rd(6, i, 1);
	assert_int_equal(v & 0xff, 0);
	assert_int_equal(rd(6, 0x1c, 4), 'P' | 'C' << 8 | 'I' << 16 | 'R' << 24);
	unplug();
}

static void test_vpd(void **state)
{
	unsigned vpd, sum = 0;
	uint8_t data[128];

	plug(&model_testdev, NULL, NULL);
	vpd = pci_find_cap(fn, PCI_CAP_ID_VPD);
	for (unsigned i = 0; i < 128; i += 4) {
		uint32_t v;

		pci_config_write(fn, vpd + PCI_VPD_ADDR, 2, i);
		assert_int_equal(pci_config_read(fn, vpd + PCI_VPD_ADDR, 2), i | PCI_VPD_ADDR_F);
		v = pci_config_read(fn, vpd + PCI_VPD_DATA, 4);
		memcpy(data + i, &v, 4);
	}
	/*
	 * walk the large resources as Linux does: identifier, VPD-R up to its RV checksum, VPD-W,
	 * end
	 */
	assert_int_equal(data[0], 0x82);
	unsigned r = 3 + data[1];
	assert_int_equal(data[r], 0x90);
	unsigned w = r + 3 + data[r + 1];
	assert_int_equal(data[w], 0x91);
	assert_int_equal(data[w + 3 + data[w + 1]], 0x78);
	for (unsigned i = 0; i < w; i++)
		sum += data[i];
	assert_int_equal(sum & 0xff, 0); /* RV is the last byte of VPD-R */
	unplug();
}

/* Each switch takes away, or adds, what it says. */
static void test_switches(void **state)
{
	static const struct {
		const char *name, *value;
		uint8_t cap;
		bool there;
	} caps[] = {
		{ "pm", "off", PCI_CAP_ID_PM, false },
		{ "msi", "off", PCI_CAP_ID_MSI, false },
		{ "msix", "off", PCI_CAP_ID_MSIX, false },
		{ "vpd", "off", PCI_CAP_ID_VPD, false },
		{ "vendor", "off", PCI_CAP_ID_VNDR, false },
		{ "pcie", "off", PCI_CAP_ID_EXP, false },
		{ "af", "on", PCI_CAP_ID_AF, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		plug(&model_testdev, caps[i].name, caps[i].value);
		assert_int_equal(pci_find_cap(fn, caps[i].cap) != 0, caps[i].there);
		unplug();
	}
	plug(&model_testdev, "aer", "off");
	assert_false(pci_find_ext_cap(fn, PCI_EXT_CAP_ID_ERR));
	assert_int_equal(pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN), 0x100);
	unplug();
	plug(&model_testdev, "dsn", "off");
	assert_false(pci_find_ext_cap(fn, PCI_EXT_CAP_ID_DSN));
	unplug();
	plug(&model_testdev, "pcie", "off");
	assert_int_equal(pci_config_size(fn), 256);
	unplug();
	plug(&model_testdev, "flr", "off");
	assert_false(pci_config_read(fn, pci_find_cap(fn, PCI_CAP_ID_EXP) + PCI_EXP_DEVCAP, 4) &
		     PCI_EXP_DEVCAP_FLR);
	assert_false(pci_can_reset_by(fn, PCI_RESET_FLR));
	assert_true(pci_can_reset_by(fn, PCI_RESET_PM));
	unplug();
	plug(&model_testdev, "no_soft_reset", "on");
	assert_true(pci_config_read(fn, pci_find_cap(fn, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2) &
		    PCI_PM_CTRL_NO_SOFT_RESET);
	unplug();
	plug(&model_testdev, "intx", "off");
	assert_int_equal(pci_intx_pin(fn), 0);
	unplug();
	plug(&model_testdev, "disintx", "off");
	assert_false(pci_intx_can_disable(fn));
	unplug();
	plug(&model_testdev, "io", "off");
	assert_int_equal(pci_function_bar(fn, 3)->size, 0);
	unplug();
	plug(&model_testdev, "rom", "off");
	assert_int_equal(pci_function_bar(fn, 6)->size, 0);
	unplug();
	plug(&model_testdev, "msi_vectors", "2");
	assert_int_equal(pci_msi_vectors(fn), 2);
	unplug();
	plug(&model_testdev, "msi64", "off");
	assert_false(pci_config_read(fn, pci_find_cap(fn, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS, 2) &
		     PCI_MSI_FLAGS_64BIT);
	unplug();
	plug(&model_testdev, "msi_mask", "off");
	assert_false(pci_config_read(fn, pci_find_cap(fn, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS, 2) &
		     PCI_MSI_FLAGS_MASKBIT);
	unplug();
	plug(&model_testdev, "ram", "1M");
	assert_int_equal(pci_function_bar(fn, 0)->size, 1 << 20);
	wr(0, (1 << 20) - 8, 8, 0x1122334455667788);
	assert_int_equal(rd(0, (1 << 20) - 7, 1), 0x77);
	unplug();
}

static void test_bad_options(void **state)
{
	static const struct {
		const char *name, *value, *says;
	} bad[] = {
		{ "ram", "5000", "power of two" },
		{ "ram", "2K", "must be from" },
		{ "msi_vectors", "3", "1, 2, 4, 8" },
		{ "vectors", "2049", "must be from 1 to 2048" },
		{ "romfile", "/dev/null", "1 byte" },
		{ "romfile", "/nonexistent", "romfile" },
	};
	char err[256];
	int ret;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ret = plug_try(&model_testdev, bad[i].name, bad[i].value, err, sizeof(err));
		assert_true(ret < 0);
		if (!strstr(err, bad[i].says))
			fail_msg("'%s' does not say '%s'", err, bad[i].says);
		loop_free(loop);
	}
}

static void test_romfile(void **state)
{
	char path[] = "/tmp/testdev-rom-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "\x55\xaa\x05", 3), 3);
	assert_int_equal(ftruncate(fd, 2100), 0);
	close(fd);
	plug(&model_testdev, "romfile", path);
	assert_int_equal(pci_function_bar(fn, 6)->size, 4096);
	assert_true(pci_rom_valid(fn));
	assert_int_equal(rd(6, 0, 4), 0x05aa55);
	assert_int_equal(rd(6, 2100, 4), 0xffffffff);
	unplug();
	unlink(path);
}

static void test_scratch(void **state)
{
	plug(&model_testdev, NULL, NULL);
	wr(REGS, TD_SCRATCH8, 1, 0x12);
	wr(REGS, TD_SCRATCH16, 2, 0x3456);
	wr(REGS, TD_SCRATCH32, 4, 0x789abcde);
	wr(REGS, TD_SCRATCH64, 8, 0xf011223344556677);
	assert_int_equal(rd(REGS, TD_SCRATCH8, 1), 0x12);
	assert_int_equal(rd(REGS, TD_SCRATCH16, 2), 0x3456);
	assert_int_equal(rd(REGS, TD_SCRATCH32, 4), 0x789abcde);
	assert_int_equal(rd(REGS, TD_SCRATCH64, 8), 0xf011223344556677);
	assert_true(refused(REGS, TD_SCRATCH8, 4));
	assert_true(refused(REGS, TD_SCRATCH16, 1));
	assert_true(refused(REGS, TD_SCRATCH32, 2));
	assert_true(refused(REGS, TD_SCRATCH64, 4));
	assert_true(refused(REGS, TD_FAIL, 4));
	wr(REGS, TD_ONLY4, 4, 9);
	assert_int_equal(rd(REGS, TD_ONLY4, 4), 9);
	assert_true(refused(REGS, TD_ONLY4, 1));
	assert_true(refused(REGS, TD_ONLY4, 2));
	assert_int_equal(rd(REGS, TD_ONLY4, 4), 9);
	assert_int_equal(rd(REGS, TD_SCRATCH64, 8), 0xf011223344556677);
	assert_int_equal(rd(REGS, TD_REGS_END, 8), 0);
	/* I/O and the small BAR, any width */
	wr(3, 60, 4, 0xaabbccdd);
	assert_int_equal(rd(3, 61, 1), 0xcc);
	wr(4, 248, 8, 0x0102030405060708);
	assert_int_equal(rd(4, 254, 2), 0x0102);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	pci_config_write(fn, PCI_COMMAND, 2, 7);
	assert_int_equal(rd(REGS, TD_SCRATCH64, 8), 0);
	assert_int_equal(rd(4, 248, 8), 0);
	unplug();
}

static void test_counters(void **state)
{
	unsigned pm;

	plug(&model_testdev, NULL, NULL);
	assert_int_equal(rd(REGS, TD_READS, 4), 0);
	rd(0, 0x1234, 2);
	wr(3, 8, 4, 0);
	wr(3, 9, 1, 0);
	assert_int_equal(rd(REGS, TD_READS, 4), 1);
	assert_int_equal(rd(REGS, TD_WRITES, 4), 2);
	assert_int_equal(rd(REGS, TD_LAST_ACCESS, 4), 1 | 3 << 8 | 1 << 16);
	assert_int_equal(rd(REGS, TD_LAST_OFFSET, 4), 9);
	wr(REGS, TD_READS, 4, 5);
	assert_int_equal(rd(REGS, TD_READS, 4), 0);
	assert_int_equal(rd(REGS, TD_WRITES, 4), 2);
	assert_int_equal(rd(REGS, TD_LAST_RESET, 4), UVFIO_RESET_POWER_ON);
	pm = pci_find_cap(fn, PCI_CAP_ID_PM);
	pci_config_write(fn, pm + PCI_PM_CTRL, 2, 3);
	pci_config_write(fn, pm + PCI_PM_CTRL, 2, 0);
	pci_config_write(fn, PCI_COMMAND, 2, 7);
	assert_int_equal(rd(REGS, TD_LAST_RESET, 4), UVFIO_RESET_D3);
	assert_int_equal(rd(REGS, TD_RESETS, 4), 1);
	assert_int_equal(rd(REGS, TD_POWER, 4), 2 << 8);
	assert_int_equal(rd(REGS, TD_LAST_CFG, 4), PCI_COMMAND | 2 << 16);
	assert_int_equal(rd(REGS, TD_CFG_WRITES, 4), 4); /* COMMAND at plug() is one */
	unplug();
}

static void test_interrupts(void **state)
{
	plug(&model_testdev, NULL, NULL);
	assert_int_equal(rd(REGS, TD_IRQ_MODE, 4), 0);
	wr(REGS, TD_INTX, 4, 1);
	assert_int_equal(irqs.intx_level, 1);
	assert_int_equal(rd(REGS, TD_INTX, 4), 1);
	wr(REGS, TD_INTX, 4, 0);
	assert_int_equal(irqs.intx_level, 0);
	pci_msi_enable(fn, 5);
	assert_int_equal(rd(REGS, TD_IRQ_MODE, 4), 1);
	wr(REGS, TD_MSI, 4, 31);
	assert_int_equal(irqs.msi[31], 1);
	pci_msi_disable(fn);
	pci_msix_enable(fn);
	assert_int_equal(rd(REGS, TD_IRQ_MODE, 4), 2);
	for (unsigned i = 0; i < 64; i++)
		pci_msix_entry(fn, i, i != 50);
	wr(REGS, TD_MSI_BURST, 4, 24 << 16 | 40);
	for (unsigned i = 40; i < 64; i++)
		assert_int_equal(irqs.msi[i], i != 50);
	pci_msix_entry(fn, 50, true);
	assert_int_equal(irqs.msi[50], 1);
	wr(REGS, TD_TIMER_VECTOR, 4, 7);
	wr(REGS, TD_TIMER, 4, 100);
	WAIT(irqs.msi[7] == 1);
	pci_msix_disable(fn);
	wr(REGS, TD_TIMER_VECTOR, 4, TD_INTX_TIMER);
	wr(REGS, TD_TIMER, 4, 0);
	WAIT(irqs.intx_level == 1);
	assert_int_equal(rd(REGS, TD_INTX, 4), 1);
	wr(REGS, TD_ERROR, 4, TD_ERROR_FATAL | 14);
	assert_int_equal(irqs.errors, 1);
	assert_int_equal(
		pci_config_read(fn, pci_find_ext_cap(fn, PCI_EXT_CAP_ID_ERR) + PCI_ERR_UNCOR_STATUS,
				4),
		1 << 14);
	unplug();
}

static void sends_pme(void **state)
{
	const unsigned both = PCI_PM_CTRL_PME_STATUS | PCI_PM_CTRL_PME_ENABLE;
	unsigned ctrl;

	plug(&model_testdev, "pme", "on");
	ctrl = pci_find_cap(fn, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	pci_config_write(fn, ctrl, 2, PCI_PM_CTRL_PME_ENABLE);
	wr(REGS, TD_TIMER_VECTOR, 4, TD_PME_TIMER);
	wr(REGS, TD_TIMER, 4, 0);
	WAIT(pci_config_read(fn, ctrl, 2) & PCI_PM_CTRL_PME_STATUS);
	/* both outlive a reset; the status goes by writing it */
	pci_function_reset(fn, UVFIO_RESET_FLR);
	assert_int_equal(pci_config_read(fn, ctrl, 2) & both, both);
	pci_config_write(fn, ctrl, 2, PCI_PM_CTRL_PME_STATUS);
	assert_int_equal(pci_config_read(fn, ctrl, 2) & both, 0);
	unplug();
}

/* ---- the engine ---- */

static uint32_t run(uint32_t cmd, uint64_t src, uint64_t dst, uint64_t len)
{
	wr(REGS, TD_DMA_SRC, 8, src);
	wr(REGS, TD_DMA_DST, 4, dst & UINT32_MAX); /* 64-bit registers take halves */
	wr(REGS, TD_DMA_DST + 4, 4, dst >> 32);
	wr(REGS, TD_DMA_LEN, 8, len);
	wr(REGS, TD_DMA_CMD, 4, cmd);
	return (uint32_t)rd(REGS, TD_DMA_STATUS, 4);
}

static void test_dma(void **state)
{
	static const uint32_t ways[] = { 0, TD_DMA_DIRECT };

	plug(&model_testdev, NULL, NULL);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_IDLE);
	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		memset(mem, 0, MEM_SIZE);
		for (unsigned i = 0; i < 0x3000; i++)
			mem[i] = (uint8_t)(i * 13 + w);
		/* unaligned, over pages */
		assert_int_equal(run(TD_OP_COPY | ways[w], IOVA + 3, IOVA + 0x8005, 0x2800),
				 TD_DMA_OK);
		assert_int_equal(rd(REGS, TD_DMA_DONE, 8), 0x2800);
		assert_memory_equal(mem + 0x8005, mem + 3, 0x2800);
		assert_int_equal(mem[0x8004], 0);
		assert_int_equal(mem[0x8005 + 0x2800], 0);
		assert_int_equal(run(TD_OP_COMPARE | ways[w], IOVA + 3, IOVA + 0x8005, 0x2800),
				 TD_DMA_OK);
		mem[0x8005 + 0x1777] ^= 1;
		assert_int_equal(run(TD_OP_COMPARE | ways[w], IOVA + 3, IOVA + 0x8005, 0x2800),
				 TD_DMA_MISMATCH);
		assert_int_equal(rd(REGS, TD_DMA_DONE, 8), 0x1777);
		assert_int_equal(rd(REGS, TD_DMA_ADDR, 8), IOVA + 3 + 0x1777);
		wr(REGS, TD_DMA_PATTERN, 4, 0x44332211);
		assert_int_equal(run(TD_OP_FILL | ways[w], 0, IOVA + 0x5001, 0x1003), TD_DMA_OK);
		assert_int_equal(mem[0x5001], 0x11);
		assert_int_equal(mem[0x5001 + 0x1002], 0x33);
		assert_int_equal(mem[0x5001 + 0x1003], 0);
		assert_int_equal(run(TD_OP_CHECK | ways[w], IOVA + 0x5001, 0, 0x1003), TD_DMA_OK);
		assert_int_equal(run(TD_OP_CHECK | ways[w], IOVA + 0x5001, 0, 0x1004),
				 TD_DMA_MISMATCH);
		assert_int_equal(rd(REGS, TD_DMA_DONE, 8), 0x1003);
		assert_int_equal(run(TD_OP_LOAD | ways[w], IOVA + 3, 0x100, 0x2000), TD_DMA_OK);
		assert_int_equal(rd(0, 0x100, 1), mem[3]);
		assert_int_equal(run(TD_OP_STORE | ways[w], 0x100, IOVA + 0xc000, 0x2000),
				 TD_DMA_OK);
		assert_memory_equal(mem + 0xc000, mem + 3, 0x2000);
		/* nothing to do is done */
		assert_int_equal(run(TD_OP_COPY | ways[w], 0x900000, 0x900000, 0), TD_DMA_OK);
	}
	unplug();
}

static void test_dma_faults(void **state)
{
	static const uint32_t ways[] = { 0, TD_DMA_DIRECT };

	plug(&model_testdev, NULL, NULL);
	log_set(-1, LOG_NONE);
	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		/* into the page that may only be read */
		assert_int_equal(run(TD_OP_FILL | ways[w], 0, IOVA + MEM_SIZE - 0x1800, 0x2000),
				 TD_DMA_FAULT);
		assert_int_equal(rd(REGS, TD_DMA_DONE, 8), 0x1800);
		assert_int_equal(rd(REGS, TD_DMA_ADDR, 8), IOVA + MEM_SIZE);
		assert_int_equal(run(TD_OP_COPY | ways[w], IOVA + MEM_SIZE, IOVA, 4096), TD_DMA_OK);
		/* off the end */
		assert_int_equal(run(TD_OP_COPY | ways[w], IOVA + MEM_SIZE, IOVA, 4097),
				 TD_DMA_FAULT);
		assert_int_equal(rd(REGS, TD_DMA_ADDR, 8), IOVA + MEM_SIZE + 4096);
		assert_int_equal(run(TD_OP_COMPARE | ways[w], IOVA, 0x900010, 64), TD_DMA_FAULT);
		assert_int_equal(rd(REGS, TD_DMA_ADDR, 8), 0x900010);
		/* what no bus could do */
		assert_int_equal(run(TD_OP_COPY | ways[w], UINT64_MAX - 3, IOVA, 8), TD_DMA_BAD);
		assert_int_equal(run(TD_OP_LOAD | ways[w], IOVA, 0xfffe, 3), TD_DMA_BAD);
		assert_int_equal(run(TD_OP_STORE | ways[w], UINT64_MAX, IOVA, 2), TD_DMA_BAD);
		assert_int_equal(run(0 | ways[w], IOVA, IOVA, 8), TD_DMA_BAD);
		assert_int_equal(run(7 | ways[w], IOVA, IOVA, 8), TD_DMA_BAD);
	}
	assert_int_equal(run(0x8000 | TD_OP_COPY, IOVA, IOVA, 8), TD_DMA_BAD);
	/* the memory is gone behind uvfio's back: a fault of the device, not of the process */
	munmap(mem + 0x4000, 4096);
	assert_int_equal(run(TD_OP_LOAD | TD_DMA_DIRECT, IOVA + 0x4000, 0, 8), TD_DMA_FAULT);
	assert_int_equal(run(TD_OP_STORE | TD_DMA_DIRECT, 0, IOVA + 0x4000, 8), TD_DMA_FAULT);
	/* no bus mastering */
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(run(TD_OP_COPY, IOVA, IOVA + 64, 8), TD_DMA_FAULT);
	log_set(2, LOG_WARN);
	unplug();
}

static void test_dma_async(void **state)
{
	plug(&model_testdev, NULL, NULL);
	mem[0] = 0x77;
	wr(REGS, TD_DMA_DELAY, 4, 20000);
	wr(REGS, TD_DMA_VECTOR, 4, 9);
	pci_msix_enable(fn);
	pci_msix_entry(fn, 9, true);
	assert_int_equal(run(TD_OP_COPY | TD_DMA_ASYNC | TD_DMA_IRQ, IOVA, IOVA + 64, 1),
			 TD_DMA_BUSY);
	log_set(-1, LOG_NONE);
	wr(REGS, TD_DMA_CMD, 4, TD_OP_FILL); /* dropped */
	log_set(2, LOG_WARN);
	assert_int_equal(rd(REGS, TD_DMA_CMD, 4), TD_OP_COPY | TD_DMA_ASYNC | TD_DMA_IRQ);
	assert_int_equal(mem[64], 0);
	WAIT(irqs.msi[9] == 1);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_OK);
	assert_int_equal(mem[64], 0x77);
	/* the line, when there are no messages */
	pci_msix_disable(fn);
	assert_int_equal(run(TD_OP_COPY | TD_DMA_IRQ, IOVA, IOVA + 65, 1), TD_DMA_OK);
	assert_int_equal(irqs.intx_level, 1);
	/* a reset stops it */
	assert_int_equal(run(TD_OP_COPY | TD_DMA_ASYNC | TD_DMA_IRQ, IOVA, IOVA + 66, 1),
			 TD_DMA_BUSY);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	usleep(40000);
	assert_int_equal(mem[66], 0);
	assert_int_equal(irqs.intx_level, 0);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(REGS, TD_DMA_STATUS, 4), TD_DMA_IDLE);
	unplug();
}

static void test_regs(void **state)
{
	char err[64];

	assert_int_equal(plug_try(&model_testdev, NULL, NULL, err, sizeof(err)), 0);
	check_regs(fn, 0);
	pci_function_free(fn);
	loop_free(loop);
}

/* Load @len bytes at @data, which one of the functions saved: 0 or -errno. */
static int load(int (*fn_of)(pci_function *fn, struct uvfio_state *s), const void *data, size_t len)
{
	struct uvfio_state s;
	int ret;

	pci_state_load(&s, "dev", data, len);
	ret = fn_of(fn, &s);
	return ret ? ret : pci_state_end(&s);
}

/* Changes are told by pages, in portions, and come again when a page changes again. */
static void test_memory_moves(void **state)
{
	struct uvfio_state s;
	unsigned portions;

	plug(&model_testdev, "ram", "512K");
	assert_int_equal(pci_function_dirty(fn), 0);
	assert_int_equal(pci_function_track(fn, true), 0);
	assert_int_equal(pci_function_dirty(fn), 512 << 10);
	for (portions = 0; pci_function_dirty(fn); portions++) {
		pci_state_save(&s, "dev");
		assert_int_equal(pci_function_save_dirty(fn, &s), 0);
		assert_int_equal(pci_state_end(&s), 0);
		assert_true(s.len < 1 << 20);
		pci_state_free(&s);
	}
	assert_int_equal(portions, 2);
	/* by a store over the end of a page, and by the engine */
	wr(0, 8190, 2, 1);
	wr(0, 8192, 8, 0x1122334455667788);
	assert_int_equal(pci_function_dirty(fn), 2 * 4096);
	assert_int_equal(run(TD_OP_LOAD, IOVA, 5 * 4096 - 1, 2), TD_DMA_OK);
	assert_int_equal(pci_function_dirty(fn), 4 * 4096);
	pci_state_save(&s, "dev");
	assert_int_equal(pci_function_save_dirty(fn, &s), 0);
	assert_int_equal(pci_state_end(&s), 0);
	assert_int_equal(pci_function_dirty(fn), 0);
	wr(0, 8192, 8, 0);
	assert_int_equal(load(pci_function_load_dirty, s.buf, s.len), 0);
	assert_int_equal(rd(0, 8192, 8), 0x1122334455667788);
	/* more pages than there can be, and one that there is not */
	log_set(-1, LOG_NONE);
	assert_int_equal(load(pci_function_load_dirty, s.buf, s.len - 1), -EINVAL);
	put32(s.buf + 4, 1000);
	assert_int_equal(load(pci_function_load_dirty, s.buf, s.len), -EINVAL);
	put32(s.buf + 4, 4);
	put32(s.buf + 8, 128);
	assert_int_equal(load(pci_function_load_dirty, s.buf, s.len), -EINVAL);
	put32(s.buf + 8, UINT32_MAX);
	assert_int_equal(load(pci_function_load_dirty, s.buf, s.len), -EINVAL);
	log_set(2, LOG_WARN);
	pci_state_free(&s);
	assert_int_equal(pci_function_track(fn, false), 0);
	wr(0, 0, 4, 1);
	assert_int_equal(pci_function_dirty(fn), 0);
	unplug();
}

/* What was done stays when the next command's length is written, which may be less. */
static void test_engine_moves(void **state)
{
	struct uvfio_state s;

	plug(&model_testdev, "ram", "64K");
	assert_int_equal(run(TD_OP_LOAD, IOVA, 0, 4000), TD_DMA_OK);
	wr(REGS, TD_DMA_LEN, 8, 8);
	pci_state_save(&s, "dev");
	assert_int_equal(pci_function_save(fn, &s), 0);
	assert_int_equal(pci_state_end(&s), 0);
	assert_int_equal(load(pci_function_load, s.buf, s.len), 0);
	assert_int_equal(rd(REGS, TD_DMA_DONE, 8), 4000);
	assert_int_equal(rd(REGS, TD_DMA_LEN, 8), 8);
	pci_state_free(&s);
	unplug();
}

/* The options of oddities.c change this. */
static void test_oddities(void **state)
{
	unsigned cap;

	plug(&model_testdev, NULL, NULL);
	assert_int_equal(rd(REGS, TD_MIRROR, 4), 0);
	wr(REGS, TD_WINDOW_ADDRESS, 4, TD_WINDOW_CONFIG);
	assert_int_equal(rd(REGS, TD_WINDOW_DATA, 4), 0);
	wr(REGS, TD_OWN_RESET, 4, TD_OWN_RESET_KEY);
	assert_int_equal(rd(REGS, TD_RESETS, 4), 0);
	unplug();

	plug(&model_testdev, "vendor_id", "0x14e4");
	assert_int_equal(pci_config_read(fn, 0, 4), 0x7e5714e4);
	unplug();
	plug(&model_testdev, "device_id", "0x168e");
	assert_int_equal(pci_config_read(fn, 0, 4), 0x168e1234);
	unplug();
	plug(&model_testdev, "pcie_version", "0");
	cap = pci_find_cap(fn, PCI_CAP_ID_EXP);
	assert_int_equal(pci_config_read(fn, cap + PCI_EXP_FLAGS, 2), 0);
	unplug();
	plug(&model_testdev, "pcie_type", "9");
	assert_int_equal(pci_config_read(fn, cap + PCI_EXP_FLAGS, 2), 0x92);
	unplug();
	plug(&model_testdev, "wrong_pba", "on");
	cap = pci_find_cap(fn, PCI_CAP_ID_MSIX);
	assert_int_equal(pci_config_read(fn, cap + PCI_MSIX_PBA, 4), 0x10002);
	unplug();

	plug(&model_testdev, "mirror", "on");
	for (unsigned i = 0; i < 256; i += 4)
		assert_int_equal(rd(REGS, TD_MIRROR + i, 4), pci_config_read(fn, i, 4));
	assert_int_equal(rd(REGS, TD_MIRROR + 1, 1), 0x12);
	assert_int_equal(rd(REGS, TD_MIRROR, 8), rd(REGS, TD_MIRROR + 4, 4) << 32 | 0x7e571234);
	wr(REGS, TD_WINDOW_ADDRESS, 4, TD_WINDOW_CONFIG | cap);
	assert_int_equal(rd(REGS, TD_WINDOW_ADDRESS, 4), TD_WINDOW_CONFIG | cap);
	assert_int_equal(rd(REGS, TD_WINDOW_DATA, 4), pci_config_read(fn, cap, 4));
	assert_int_equal(rd(REGS, TD_WINDOW_DATA + 2, 2), pci_config_read(fn, cap + 2, 2));
	assert_true(refused(REGS, TD_WINDOW_ADDRESS, 2));
	wr(REGS, TD_WINDOW_ADDRESS, 4, 0x1000);
	assert_int_equal(rd(REGS, TD_WINDOW_DATA, 4), 0);
	unplug();

	plug(&model_testdev, "own_reset", "on");
	wr(REGS, TD_SCRATCH32, 4, 5);
	wr(REGS, TD_OWN_RESET, 4, 5);
	assert_int_equal(rd(REGS, TD_SCRATCH32, 4), 5);
	wr(REGS, TD_OWN_RESET, 4, TD_OWN_RESET_KEY);
	assert_int_equal(rd(REGS, TD_SCRATCH32, 4), 0);
	assert_int_equal(rd(REGS, TD_RESETS, 4), 1);
	assert_int_equal(rd(REGS, TD_LAST_RESET, 4), TD_RESET_OWN);
	unplug();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regs),	     cmocka_unit_test(test_identity),
		cmocka_unit_test(test_vpd),	     cmocka_unit_test(test_switches),
		cmocka_unit_test(test_bad_options),  cmocka_unit_test(test_romfile),
		cmocka_unit_test(sends_pme),	     cmocka_unit_test(test_scratch),
		cmocka_unit_test(test_counters),     cmocka_unit_test(test_interrupts),
		cmocka_unit_test(test_dma),	     cmocka_unit_test(test_dma_faults),
		cmocka_unit_test(test_dma_async),    cmocka_unit_test(test_memory_moves),
		cmocka_unit_test(test_engine_moves), cmocka_unit_test(test_oddities),
	};

	log_set(2, LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
