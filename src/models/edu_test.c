/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/edu_test.c: edu against its description: identity, registers, the factorial's and the
 * DMA's busy bits, interrupts.
 */
#include "models/edu.h"
#include "pci/test_model.h"
#include "pci/test_regs.h"

#define BUF 0x40000ull

static void test_identity(void **state)
{
	unsigned msi;

	plug(&model_edu, NULL, NULL);
	assert_int_equal(pci_config_read(fn, 0, 4), 0x11e81234);
	assert_int_equal(pci_config_read(fn, 8, 4), 0x00ff0010);
	assert_int_equal(pci_config_read(fn, 0x2c, 4), 0x11001af4);
	assert_int_equal(pci_config_read(fn, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(pci_config_size(fn), 256);
	pci_config_write(fn, 0x10, 4, ~0u);
	assert_int_equal(pci_config_read(fn, 0x10, 4), 0xfff00000);
	msi = pci_config_read(fn, PCI_CAPABILITY_LIST, 1);
	assert_int_equal(msi, 0x40);
	/* 64-bit, one message, no masks, the last */
	assert_int_equal(pci_config_read(fn, msi, 4), 0x00800005);
	assert_false(pci_can_reset_by(fn, PCI_RESET_FLR) ||
		     pci_can_reset_by(fn, PCI_RESET_AF_FLR) || pci_can_reset_by(fn, PCI_RESET_PM));
	assert_int_equal(rd(0, 0, 4), 0x010000ed);
	unplug();
}

static void test_registers(void **state)
{
	plug(&model_edu, NULL, NULL);
	wr(0, 4, 4, 0x12345678);
	assert_int_equal(rd(0, 4, 4), 0xedcba987);
	wr(0, 0, 4, 1); /* read-only */
	assert_int_equal(rd(0, 0, 4), 0x010000ed);
	assert_int_equal(rd(0, 0, 8), UINT64_MAX); /* 4 bytes only, below 0x80 */
	wr(0, 8, 8, 5);
	assert_int_equal(rd(0, 8, 4), 0);
	assert_int_equal(rd(0, 0x20, 4), 0);
	assert_int_equal(rd(0, 0x100, 4), UINT32_MAX);
	assert_int_equal(rd(0, BUF, 8), UINT64_MAX); /* the buffer is for DMA alone */
	assert_true(refused(0, 4, 2));
	assert_true(refused(0, 4, 1));
	wr(0, 0x80, 8, 0x123456789abcdef0);
	assert_int_equal(rd(0, 0x80, 8), 0x123456789abcdef0);
	assert_int_equal(rd(0, 0x80, 4), 0x9abcdef0);
	wr(0, 0x88, 4, 5);
	assert_int_equal(rd(0, 0x88, 8), 5);
	pci_function_reset(fn, UVFIO_RESET_BUS);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(rd(0, 4, 4), 0);
	assert_int_equal(rd(0, 0x80, 8), 0);
	unplug();
}

static void test_factorial(void **state)
{
	plug(&model_edu, "factorial_delay", "20000");
	wr(0, 8, 4, 5);
	assert_int_equal(rd(0, 0x20, 4), 1);
	wr(0, 8, 4, 6); /* ignored while it computes */
	WAIT(!(rd(0, 0x20, 4) & 1));
	assert_int_equal(rd(0, 8, 4), 120);
	assert_int_equal(irqs.intx_level, 0);
	wr(0, 0x20, 4, 0xff);
	assert_int_equal(rd(0, 0x20, 4), 0x80);
	wr(0, 8, 4, 13);
	WAIT(!(rd(0, 0x20, 4) & 1));
	assert_int_equal(rd(0, 8, 4), 1932053504); /* 13! modulo 2^32 */
	assert_int_equal(rd(0, 0x24, 4), 1);
	assert_int_equal(irqs.intx_level, 1);
	wr(0, 0x64, 4, 1);
	assert_int_equal(irqs.intx_level, 0);
	wr(0, 8, 4, 0);
	WAIT(!(rd(0, 0x20, 4) & 1));
	assert_int_equal(rd(0, 8, 4), 1);
	wr(0, 8, 4, 0xffffffff);
	WAIT(!(rd(0, 0x20, 4) & 1));
	assert_int_equal(rd(0, 8, 4), 0);
	wr(0, 0x20, 4, 0);
	assert_int_equal(rd(0, 0x20, 4), 0);
	unplug();
}

static void test_interrupts(void **state)
{
	plug(&model_edu, NULL, NULL);
	wr(0, 0x60, 4, 0x6);
	assert_int_equal(irqs.intx_level, 1);
	assert_int_equal(rd(0, 0x24, 4), 6);
	wr(0, 0x60, 4, 0x10);
	assert_int_equal(rd(0, 0x24, 4), 0x16);
	wr(0, 0x64, 4, 0x4);
	assert_int_equal(irqs.intx_level, 1);
	wr(0, 0x64, 4, 0x12);
	assert_int_equal(irqs.intx_level, 0);
	pci_msi_enable(fn, 0);
	wr(0, 0x60, 4, 1);
	assert_int_equal(irqs.msi[0], 1);
	wr(0, 0x60, 4, 1); /* with MSI each one is a message */
	assert_int_equal(irqs.msi[0], 2);
	wr(0, 0x60, 4, 0);
	assert_int_equal(irqs.msi[0], 3); /* something is pending */
	assert_int_equal(irqs.intx_level, 0);
	wr(0, 0x64, 4, 1);
	wr(0, 0x60, 4, 0);
	assert_int_equal(irqs.msi[0], 3);
	unplug();
}

static void dma(uint64_t src, uint64_t dst, uint64_t count, uint32_t cmd)
{
	wr(0, 0x80, 8, src);
	wr(0, 0x88, 8, dst);
	wr(0, 0x90, 8, count);
	wr(0, 0x98, 4, cmd);
}

static void test_dma(void **state)
{
	plug(&model_edu, NULL, NULL);
	for (unsigned i = 0; i < 4096; i++)
		mem[i] = (uint8_t)(i * 7);
	dma(IOVA, BUF, 4096, 1);
	WAIT(!(rd(0, 0x98, 4) & 1));
	assert_int_equal(rd(0, 0x24, 4), 0); /* no interrupt was asked for */
	dma(BUF + 16, IOVA + 0x2000, 4080, 7);
	WAIT(!(rd(0, 0x98, 4) & 1));
	assert_int_equal(rd(0, 0x24, 4), 0x100);
	assert_int_equal(irqs.intx_level, 1);
	assert_memory_equal(mem + 0x2000, mem + 16, 4080);
	assert_int_equal(mem[0x2000 + 4080], 0);
	unplug();
}

static void test_dma_limits(void **state)
{
	plug(&model_edu, "dma_delay", "20000");
	memset(mem, 0x55, 64);
	/* running: the registers stand still */
	dma(IOVA, BUF, 64, 1);
	assert_int_equal(rd(0, 0x98, 4), 1);
	wr(0, 0x80, 8, 7);
	wr(0, 0x98, 4, 3);
	assert_int_equal(rd(0, 0x80, 8), IOVA);
	assert_int_equal(rd(0, 0x98, 4), 1);
	WAIT(!(rd(0, 0x98, 4) & 1));
	log_set(-1, LOG_NONE);
	/* above the mask of 28 bits the address is cut */
	dma(BUF, 0x10000000 + IOVA + 0x100, 64, 3);
	WAIT(!(rd(0, 0x98, 4) & 1));
	assert_memory_equal(mem + 0x100, mem, 64);
	/* outside of the buffer: nothing, whatever the sum would wrap to */
	dma(BUF + 4000, IOVA + 0x200, 97, 3);
	WAIT(!(rd(0, 0x98, 4) & 1));
	dma(BUF - 1, IOVA + 0x200, 8, 3);
	WAIT(!(rd(0, 0x98, 4) & 1));
	dma(BUF + 8, IOVA + 0x200, UINT64_MAX - 4, 3);
	WAIT(!(rd(0, 0x98, 4) & 1));
	for (unsigned i = 0x200; i < 0x300; i++)
		assert_int_equal(mem[i], 0);
	/* not mapped: the IOMMU counts it, the device goes on */
	dma(BUF, 0x900000, 64, 7);
	WAIT(!(rd(0, 0x98, 4) & 1));
	assert_int_equal(atomic_load(&pci_function_iommu(fn)->faults), 1);
	assert_int_equal(rd(0, 0x24, 4), 0x100);
	/* a reset stops what runs */
	dma(IOVA, BUF, 64, 5);
	pci_function_reset(fn, UVFIO_RESET_BUS);
	usleep(40000);
	assert_int_equal(irqs.intx_level, 0);
	assert_int_equal(atomic_load(&pci_function_iommu(fn)->faults), 1);
	log_set(2, LOG_WARN);
	unplug();
}

static void test_mask_option(void **state)
{
	struct iommu_domain *d = iommu_domain_new();

	plug(&model_edu, "dma_mask", "0xffffffffffffffff");
	assert_int_equal(iommu_domain_map(d, 0x123400000000, mem, 4096, IOMMU_READ), 0);
	iommu_device_attach(pci_function_iommu(fn), d);
	iommu_domain_put(d);
	dma(0x123400000000, BUF, 64, 1);
	WAIT(!(rd(0, 0x98, 4) & 1));
	assert_int_equal(atomic_load(&pci_function_iommu(fn)->faults), 0);
	unplug();
}

static void test_regs(void **state)
{
	char err[64];

	assert_int_equal(plug_try(&model_edu, NULL, NULL, err, sizeof(err)), 0);
	check_regs(fn, 0);
	pci_function_free(fn);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regs),	   cmocka_unit_test(test_identity),
		cmocka_unit_test(test_registers),  cmocka_unit_test(test_factorial),
		cmocka_unit_test(test_interrupts), cmocka_unit_test(test_dma),
		cmocka_unit_test(test_dma_limits), cmocka_unit_test(test_mask_option),
	};

	log_set(2, LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
