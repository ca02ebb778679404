/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/testdev_test.c: the driver on the testdev model in its many shapes: forms of MSI, ways
 * to be reset, functions that lack something, interrupts that come from a thread of the device.
 * The device itself is asked what it saw.
 */
#include "models/testdev/testdev.h"
#include "vfio_pci/test_device.h"

#define REGS	 2u /* the BAR with the registers */
#define MAX_OPTS 8

static struct tdev t;

/* "a=b,c=d" */
static void open_with(const char *text)
{
	struct pci_option opts[MAX_OPTS];
	char copy[256], *save = NULL, err[256];
	unsigned n = 0;

	log_set(-1, LOG_NONE);
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *o = strtok_r(copy, ",", &save); o && n < MAX_OPTS;
	     o = strtok_r(NULL, ",", &save), n++) {
		char *eq = strchr(o, '=');

		*eq = 0;
		opts[n] = (struct pci_option){ o, eq + 1 };
	}
	t.loop = loop_new();
	if (pci_function_new(&model_testdev, "0000:01:00.0", 0, t.loop, opts, n, err, sizeof(err),
			     &t.fn))
		fail_msg("%s: %s", text, err);
	assert_int_equal(vfio_pci_bind(t.fn, &(struct pci_address){ .bus = 1 }, t.loop, &t.dev), 0);
	t_opener(&t);
	assert_int_equal(vfio_device_open(t.dev), 0);
	cw(&t, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static uint32_t reg(unsigned off)
{
	uint32_t v = 0;

	assert_int_equal(t.dev->ops->rw(t.dev, REGS, off, &v, 4, false), 4);
	return v;
}
static void set_reg(unsigned off, uint32_t v)
{
	assert_int_equal(t.dev->ops->rw(t.dev, REGS, off, &v, 4, true), 4);
}

static void test_access(void **state)
{
	uint8_t b[16] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint32_t v;

	open_with("");
	assert_int_equal(reg(TD_ID), TD_ID_VALUE);
	/* 7 bytes at 1: 1, 2, 4 */
	set_reg(TD_WRITES, 0);
	assert_int_equal(t.dev->ops->rw(t.dev, 0, 1, b, 7, true), 7);
	assert_int_equal(reg(TD_WRITES), 3);
	assert_int_equal(reg(TD_LAST_ACCESS), 4 | 0 << 8 | 1 << 16);
	assert_int_equal(reg(TD_LAST_OFFSET), 4);
	/* 8 bytes are one access of memory, two of I/O */
	set_reg(TD_READS, 0);
	assert_int_equal(t.dev->ops->rw(t.dev, 0, 8, b, 8, false), 8);
	assert_int_equal(reg(TD_READS), 1);
	set_reg(TD_READS, 0);
	assert_int_equal(t.dev->ops->rw(t.dev, 3, 8, b, 8, false), 8);
	assert_int_equal(reg(TD_READS), 2);
	/* what the device refuses reads as ones */
	assert_int_equal(reg(TD_FAIL), 0xffffffff);
	v = 0;
	assert_int_equal(t.dev->ops->rw(t.dev, REGS, TD_ONLY4, &v, 2, false), 2);
	assert_int_equal(v, 0xffff);
	set_reg(TD_FAIL, 1);
	/* smaller than a page */
	assert_int_equal(t.dev->ops->rw(t.dev, 4, 252, b, 8, false), 4);
	t_close(&t);
}

static void test_rom(void **state)
{
	struct vfio_region r;
	uint8_t sig[2];

	open_with("");
	assert_int_equal(t.dev->ops->region(t.dev, 6, &r), 0);
	assert_int_equal(r.size, 4096);
	assert_int_equal(t.dev->ops->rw(t.dev, 6, 0, sig, 2, false), 2);
	assert_int_equal(get16(sig), 0xaa55);
	t_close(&t);
	open_with("rom=off,io=off");
	assert_int_equal(t.dev->ops->region(t.dev, 6, &r), 0);
	assert_int_equal(r.size, 0);
	assert_int_equal(t.dev->ops->rw(t.dev, 6, 0, sig, 2, false), -EINVAL);
	assert_int_equal(cr(&t, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(cr(&t, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
	t_close(&t);
}

/* each way to be reset, by the ioctl; kind as the device was told */
static void test_resets(void **state)
{
	static const struct {
		const char *opts;
		enum uvfio_reset_kind kind;
	} ways[] = {
		{ "", UVFIO_RESET_FLR },
		{ "flr=off", UVFIO_RESET_D3 },
		{ "flr=off,pcie=off,af=on", UVFIO_RESET_FLR },
		{ "flr=off,no_soft_reset=on", UVFIO_RESET_BUS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		int fd = t_eventfd();
		uint32_t resets;

		open_with(ways[i].opts);
		assert_true(t.dev->flags & VFIO_DEVICE_FLAGS_RESET);
		assert_int_equal(reg(TD_LAST_RESET), ways[i].kind);
		resets = reg(TD_RESETS);
		assert_int_equal(set_irqs(&t, MSIX, 5, 1, EVENTFD | TRIGGER, &fd), 0);
		set_reg(TD_SCRATCH32, 77);
		assert_int_equal(t.dev->ops->reset(t.dev), 0);
		assert_int_equal(reg(TD_RESETS), resets + 1);
		assert_int_equal(reg(TD_LAST_RESET), ways[i].kind);
		assert_int_equal(reg(TD_SCRATCH32), 0);
		set_reg(TD_MSI, 5);
		assert_int_equal(taken(fd), 1);
		assert_int_equal(t.dev->ops->slot_reset(t.dev), 0);
		assert_int_equal(reg(TD_LAST_RESET), UVFIO_RESET_BUS);
		set_reg(TD_MSI, 5);
		assert_int_equal(taken(fd), 1);
		t_close(&t);
		close(fd);
	}
}

static void test_msi_forms(void **state)
{
	static const char *const forms[] = { "", "msi64=off", "msi_mask=off",
					     "msi64=off,msi_mask=off" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		int fds[32], none = -1;
		unsigned cap, len;

		open_with(forms[i]);
		cap = user_cap(&t, PCI_CAP_ID_MSI);
		len = vfio_pci_std_cap_len(t.fn, PCI_CAP_ID_MSI, cap);
		assert_int_equal(len, 10 + (strstr(forms[i], "msi64") ? 0 : 4) +
					      (strstr(forms[i], "msi_mask") ? 0 : 10));
		for (unsigned v = 0; v < 32; v++)
			fds[v] = t_eventfd();
		assert_int_equal(set_irqs(&t, MSI, 0, 32, EVENTFD | TRIGGER, fds), 0);
		assert_int_equal(reg(TD_IRQ_MODE), 1);
		set_reg(TD_MSI_BURST, 32 << 16);
		for (unsigned v = 0; v < 32; v++)
			assert_int_equal(taken(fds[v]), 1);
		/* without an eventfd: pending where the function can mask, else lost */
		assert_int_equal(set_irqs(&t, MSI, 31, 1, EVENTFD | TRIGGER, &none), 0);
		set_reg(TD_MSI, 31);
		assert_int_equal(set_irqs(&t, MSI, 31, 1, EVENTFD | TRIGGER, &fds[31]), 0);
		assert_int_equal(taken(fds[31]), strstr(forms[i], "msi_mask") ? 0 : 1);
		assert_int_equal(t.dev->ops->reset(t.dev), 0);
		set_reg(TD_MSI, 30);
		assert_int_equal(taken(fds[30]), 1);
		t_close(&t);
		for (unsigned v = 0; v < 32; v++)
			close(fds[v]);
	}
}

static void test_lacking(void **state)
{
	struct vfio_irq q;
	int fd = t_eventfd();

	open_with("msi=off,msix=off,intx=off");
	for (unsigned i = INTX; i <= MSIX; i++) {
		assert_int_equal(t.dev->ops->irq(t.dev, i, &q), 0);
		assert_int_equal(q.count, 0);
		assert_int_equal(set_irqs(&t, i, 0, 1, EVENTFD | TRIGGER, &fd), -EINVAL);
	}
	assert_int_equal(cr(&t, PCI_INTERRUPT_PIN, 1), 0);
	set_reg(TD_INTX, 1);
	set_reg(TD_MSI, 0);
	t_close(&t);
	close(fd);
}

/* raised by the device's own thread, for each sort of interrupt */
static void test_timer(void **state)
{
	int fd = t_eventfd();

	open_with("");
	assert_int_equal(set_irqs(&t, MSIX, 63, 1, EVENTFD | TRIGGER, &fd), 0);
	set_reg(TD_TIMER_VECTOR, 63);
	set_reg(TD_TIMER, 1000);
	assert_int_equal(taken_soon(fd), 1);
	assert_int_equal(set_irqs(&t, MSIX, 0, 0, NONE | TRIGGER, NULL), 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	set_reg(TD_TIMER_VECTOR, TD_INTX_TIMER);
	set_reg(TD_TIMER, 1000);
	assert_int_equal(taken_soon(fd), 1);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd), 1); /* still up */
	set_reg(TD_INTX, 0);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd), 0);
	t_close(&t);
	close(fd);
}

static void test_error(void **state)
{
	int fd = t_eventfd();

	open_with("");
	assert_int_equal(set_irqs(&t, ERR, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	set_reg(TD_ERROR, TD_ERROR_FATAL | (unsigned)__builtin_ctz(PCI_ERR_UNC_MALF_TLP));
	assert_int_equal(taken(fd), 1);
	set_reg(TD_ERROR, (unsigned)__builtin_ctz(PCI_ERR_COR_RCVR));
	assert_int_equal(taken(fd), 0);
	t_close(&t);
	close(fd);
}

/* the vendor's capability is written raw, and the device hears of it */
static void test_vendor(void **state)
{
	unsigned pos;

	open_with("");
	pos = user_cap(&t, PCI_CAP_ID_VNDR);
	cw(&t, pos + 12, 4, 0x12345678);
	assert_int_equal(cr(&t, pos + 12, 4), 0x12345678);
	assert_int_equal(reg(TD_LAST_CFG), (pos + 12) | 4 << 16);
	t_close(&t);
}

/* in D3hot nothing is delivered; what is up then is delivered when it wakes */
static void test_d3(void **state)
{
	int fd = t_eventfd();
	unsigned pm;

	open_with("no_soft_reset=on");
	pm = user_cap(&t, PCI_CAP_ID_PM);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, EVENTFD | TRIGGER, &fd), 0);
	set_reg(TD_INTX, 1);
	assert_int_equal(taken(fd), 1);
	cw(&t, pm + PCI_PM_CTRL, 2, 3);
	assert_int_equal(set_irqs(&t, INTX, 0, 1, NONE | UNMASK, NULL), 0);
	assert_int_equal(taken(fd), 0);
	cw(&t, pm + PCI_PM_CTRL, 2, 0);
	assert_int_equal(taken(fd), 1);
	assert_int_equal(reg(TD_POWER) & 0xff, 0);
	t_close(&t);
	close(fd);
}

static void test_region(void **state)
{
	const uint32_t index = VFIO_PCI_NUM_REGIONS;
	struct vfio_region r;
	uint64_t v = 0x1122334455667788, got = 0;
	char buf[8] = "abcdefg";

	open_with("");
	assert_int_equal(t.dev->num_regions, VFIO_PCI_NUM_REGIONS);
	assert_int_equal(vfio_device_region(&t.open, index, &r), -EINVAL);
	t_close(&t);
	open_with("region=on");
	assert_int_equal(t.dev->num_regions, VFIO_PCI_NUM_REGIONS + 1);
	assert_int_equal(vfio_device_region(&t.open, index, &r), 0);
	assert_true(r.type >> 31 && r.subtype == 7 && r.size == 4096);
	assert_int_equal(r.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
					  VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(vfio_device_region(&t.open, index + 1, &r), -EINVAL);
	/* it needs no memory decoding */
	cw(&t, PCI_COMMAND, 2, 0);
	assert_int_equal(vfio_device_rw(&t.open, index, 3, buf, 7, true), 7);
	memset(buf, 0, 8);
	assert_int_equal(vfio_device_rw(&t.open, index, 3, buf, 7, false), 7);
	assert_string_equal(buf, "abcdefg");
	/* mapped: a load or store is an access of its size */
	assert_int_equal(vfio_device_check_map(&t.open, index, 0, 4096), 0);
	assert_int_equal(vfio_device_mmio(&t.open, index, 16, 8, &v, true), 0);
	assert_int_equal(vfio_device_mmio(&t.open, index, 18, 2, &got, false), 0);
	assert_int_equal(got, 0x5566);
	/* the end, what is behind it, and what the device refuses */
	assert_int_equal(vfio_device_rw(&t.open, index, 4096, buf, 1, false), -EINVAL);
	assert_int_equal(vfio_device_rw(&t.open, index, 4090, buf, 8, false), -EIO);
	assert_int_equal(vfio_device_mmio(&t.open, index, 4088, 8, &v, false), -EIO);
	assert_int_equal(vfio_device_rw(&t.open, index + 1, 0, buf, 1, false), -EINVAL);
	t_close(&t);
}

static void test_atomics(void **state)
{
	unsigned exp;

	open_with("");
	assert_int_equal(t.dev->ops->atomics(t.dev), 0);
	t_close(&t);
	open_with("atomics=on");
	assert_int_equal(t.dev->ops->atomics(t.dev), 7);
	/* without a root port to be seen, it is what a firmware left that tells */
	exp = pci_find_cap(t.fn, PCI_CAP_ID_EXP);
	pci_config_write(t.fn, exp + PCI_EXP_DEVCTL2, 2, 0);
	assert_int_equal(t.dev->ops->atomics(t.dev), 0);
	assert_int_equal(pci_config_read(t.fn, exp + PCI_EXP_DEVCTL2, 2), 0);
	/* with one the driver sees for itself, and has the device make them from then on */
	t.dev->below_port = true;
	assert_int_equal(t.dev->ops->atomics(t.dev), 7);
	assert_int_equal(pci_config_read(t.fn, exp + PCI_EXP_DEVCTL2, 2),
			 PCI_EXP_DEVCTL2_ATOMIC_REQ);
	t_close(&t);
	/* memory completes what the device does not: nothing is offered, and nothing written */
	open_with("");
	t.dev->below_port = true;
	exp = pci_find_cap(t.fn, PCI_CAP_ID_EXP);
	assert_int_equal(t.dev->ops->atomics(t.dev), 0);
	assert_int_equal(pci_config_read(t.fn, exp + PCI_EXP_DEVCTL2, 2), 0);
	t_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access),	cmocka_unit_test(test_rom),
		cmocka_unit_test(test_resets),	cmocka_unit_test(test_msi_forms),
		cmocka_unit_test(test_lacking), cmocka_unit_test(test_timer),
		cmocka_unit_test(test_error),	cmocka_unit_test(test_vendor),
		cmocka_unit_test(test_d3),	cmocka_unit_test(test_region),
		cmocka_unit_test(test_atomics),
	};

	return cmocka_run_group_tests_name("vfio_pci/testdev", tests, NULL, NULL);
}
