/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/quirks_test.c: quirks, on testdevs that have the oddities for which they are there. Rows stay
 * for as long as the process: each test's is for an id of its own.
 */
#include "vmm/test_dma.h"

#define BAR2 0xc0000000u

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;

static void begin(const char *spec)
{
	log_set(2, LOG_NONE);
	vm = guest_new();
	dev = guest_assign(vm, spec, NULL);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_2, 4, BAR2);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void finish(void)
{
	uvfio_vm_unassign(dev);
	uvfio_vm_free(vm);
}

static uint32_t cfg(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(dev, at, size);
}

static uint64_t rd(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	assert_int_equal(uvfio_vm_mmio(vm, BAR2 + at, size, &v, false), 0);
	return v;
}

static void wr(uint64_t at, unsigned size, uint64_t v)
{
	assert_int_equal(uvfio_vm_mmio(vm, BAR2 + at, size, &v, true), 0);
}

/* ---- which devices have which ---- */

static char calls[64];

static void called(char c)
{
	size_t n = strlen(calls);

	assert_true(n < sizeof(calls) - 1);
	calls[n] = c;
	calls[n + 1] = 0;
}

static int setup_a(struct uvfio_vm_device *d)
{
	called('a');
	return 0;
}

static int setup_b(struct uvfio_vm_device *d)
{
	called('b');
	return 0;
}

static int setup_fails(struct uvfio_vm_device *d)
{
	called('f');
	return -EXDEV;
}

static void teardown_a(struct uvfio_vm_device *d)
{
	called('A');
}

static void teardown_b(struct uvfio_vm_device *d)
{
	called('B');
}

static void rows(void **state)
{
	static const struct uvfio_vm_quirk no_name = { .vendor = 1 };
	static const struct uvfio_vm_quirk by_id = { .vendor = 0x1234,
						     .device = 0xaa01,
						     .name = "by id",
						     .setup = setup_a,
						     .teardown = teardown_a };
	static const struct uvfio_vm_quirk by_class = { .vendor = UVFIO_VM_ANY_ID,
							.device = 0xaa01,
							.class_mask = 0xffff00,
							.class_value = 0x00ff00,
							.name = "by class",
							.setup = setup_b,
							.teardown = teardown_b };
	static const struct uvfio_vm_quirk other_class = { .vendor = 0x1234,
							   .device = 0xaa01,
							   .class_mask = 0xff0000,
							   .class_value = 0x020000,
							   .name = "another class",
							   .setup = setup_fails };
	static const struct uvfio_vm_quirk other_vendor = { .vendor = 0x1235,
							    .device = UVFIO_VM_ANY_ID,
							    .name = "another vendor",
							    .setup = setup_fails };
	static const struct uvfio_vm_quirk nothing = { .vendor = 0x1234,
						       .device = 0xaa01,
						       .name = "nothing" };
	static const struct uvfio_vm_quirk fails = { .vendor = 0x1234,
						     .device = 0xaa01,
						     .name = "one that fails",
						     .setup = setup_fails,
						     .teardown = teardown_a };
	struct uvfio_vm_device *d;

	assert_int_equal(uvfio_vm_quirk_register(NULL), -EINVAL);
	assert_int_equal(uvfio_vm_quirk_register(&no_name), -EINVAL);
	assert_int_equal(uvfio_vm_quirk_register(&by_id), 0);
	assert_int_equal(uvfio_vm_quirk_register(&by_class), 0);
	assert_int_equal(uvfio_vm_quirk_register(&other_class), 0);
	assert_int_equal(uvfio_vm_quirk_register(&other_vendor), 0);
	assert_int_equal(uvfio_vm_quirk_register(&nothing), 0);
	begin("testdev,device_id=0xaa01");
	assert_string_equal(calls, "ab");
	assert_string_equal(uvfio_vm_reset_kind(dev), "flr");
	finish();
	assert_string_equal(calls, "abBA");
	/* others have none */
	calls[0] = 0;
	begin("testdev");
	assert_string_equal(calls, "");
	finish();
	/* one that fails: the device is not assigned, and those before it are undone */
	assert_int_equal(uvfio_vm_quirk_register(&fails), 0);
	vm = guest_new();
	assert_int_equal(uvfio_vm_assign(vm, "testdev,device_id=0xaa01", NULL, &d), -EXDEV);
	assert_non_null(strstr(uvfio_vm_strerror(vm), "'one that fails'"));
	assert_string_equal(calls, "abfBA");
	uvfio_vm_free(vm);
}

/* ---- config space ---- */

#define HOLE 0xe0u /* behind the capabilities */

/* Add a capability in a hole, and have a part of the device's emulated. */
static int setup_config(struct uvfio_vm_device *d)
{
	unsigned first = uvfio_vm_config_read(d, PCI_CAPABILITY_LIST, 1);

	assert_int_equal(uvfio_vm_config_emulate(d, 0, 3, 0, 0, 0), -EINVAL);
	assert_int_equal(uvfio_vm_config_emulate(d, 2, 4, 0, 0, 0), -EINVAL);
	assert_int_equal(uvfio_vm_config_emulate(d, PCI_CFG_EXP_SIZE, 1, 0, 0, 0), -EINVAL);
	assert_int_equal(uvfio_vm_config_emulate(d, UINT32_MAX, 1, 0, 0, 0), -EINVAL);
	assert_int_equal(uvfio_vm_config_emulate(d, PCI_CAPABILITY_LIST, 1, HOLE, 0xff, 0), 0);
	assert_int_equal(uvfio_vm_config_emulate(d, HOLE, 4,
						 PCI_CAP_ID_VNDR | first << 8 | 8u << 16,
						 UINT32_MAX, 0),
			 0);
	return uvfio_vm_config_emulate(d, HOLE + 4, 4, 0x12345678, 0xffffff00, 0xfff0);
}

static void config(void **state)
{
	static const struct uvfio_vm_quirk q = {
		.vendor = 0x1234, .device = 0xaa02, .name = "config", .setup = setup_config
	};
	unsigned first;

	assert_int_equal(uvfio_vm_quirk_register(&q), 0);
	begin("testdev");
	first = cfg(PCI_CAPABILITY_LIST, 1);
	finish();
	begin("testdev,device_id=0xaa02");
	assert_int_equal(cfg(PCI_CAPABILITY_LIST, 1), HOLE);
	assert_int_equal(cfg(HOLE, 4), PCI_CAP_ID_VNDR | first << 8 | 8u << 16);
	assert_int_equal(cfg(HOLE + 4, 4), 0x12345600);
	/* of what is not emulated nothing is the copy's, whatever the quirk said of it */
	uvfio_vm_config_write(dev, HOLE + 4, 4, 0xffffffff);
	assert_int_equal(cfg(HOLE + 4, 4), 0x1234ff00);
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_int_equal(cfg(HOLE + 4, 4), 0x12345600);
	assert_int_equal(cfg(PCI_CAPABILITY_LIST, 1), HOLE);
	finish();
}

/* ---- windows ---- */

static uint64_t last_offset, last_value;
static unsigned last_size;

static uint64_t window_read(struct uvfio_vm_device *d, uint64_t offset, unsigned size)
{
	last_offset = offset;
	last_size = size;
	return 0x1122334455667788;
}

static void window_write(struct uvfio_vm_device *d, uint64_t offset, unsigned size, uint64_t value)
{
	last_offset = offset;
	last_size = size;
	last_value = value;
}

static int setup_windows(struct uvfio_vm_device *d)
{
	uint32_t id = 0;

	assert_int_equal(uvfio_vm_bar_window(d, 2, TD_SCRATCH32, 4, window_read, NULL), 0);
	assert_int_equal(uvfio_vm_bar_window(d, 2, TD_SCRATCH64, 8, NULL, window_write), 0);
	assert_int_equal(uvfio_vm_bar_window(d, 2, 0x300, 16, window_read, window_write), 0);
	/* over another one, outside, none */
	assert_int_equal(uvfio_vm_bar_window(d, 2, 0x30c, 8, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(d, 2, 0xfffc, 8, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(d, 2, UINT64_MAX, 2, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(d, 6, 0, 4, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(d, 99, 0, 4, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(d, 5, 0, 4, window_read, NULL), -EINVAL);
	/* the device itself */
	assert_int_equal(uvfio_vm_quirk_access(d, 99, 0, &id, 4, false), -EINVAL);
	assert_int_equal(uvfio_vm_quirk_access(d, 7, 0, &id, 4, false), 0);
	assert_int_equal(id, 0xaa031234);
	assert_int_equal(uvfio_vm_quirk_access(d, 7, PCI_CFG_EXP_SIZE, &id, 4, false), -EIO);
	return 0;
}

static void windows(void **state)
{
	static const struct uvfio_vm_quirk q = {
		.vendor = 0x1234, .device = 0xaa03, .name = "windows", .setup = setup_windows
	};

	assert_int_equal(uvfio_vm_quirk_register(&q), 0);
	begin("testdev,device_id=0xaa03");
	wr(TD_SCRATCH32, 4, 0x01020304);
	assert_int_equal(rd(TD_SCRATCH32, 4), 0x55667788);
	assert_int_equal(td_read(dev, TD_SCRATCH32), 0x01020304);
	wr(TD_SCRATCH64, 8, 0x0102030405060708);
	assert_int_equal(last_value, 0x0102030405060708);
	assert_int_equal(rd(TD_SCRATCH64, 8), 0);
	assert_int_equal(rd(0x302, 2), 0x7788);
	assert_int_equal(last_offset, 2);
	assert_int_equal(last_size, 2);
	wr(0x308, 8, UINT64_MAX);
	assert_int_equal(last_offset, 8);
	assert_int_equal(last_size, 8);
	assert_int_equal(rd(TD_ID, 4), TD_ID_VALUE);
	finish();
}

/* ---- config space in a BAR ---- */

static int setup_mirror(struct uvfio_vm_device *d)
{
	assert_int_equal(uvfio_vm_config_mirror(d, 2, TD_MIRROR + 2, 4), -EINVAL);
	assert_int_equal(uvfio_vm_config_mirror(d, 2, TD_MIRROR, 6), -EINVAL);
	assert_int_equal(uvfio_vm_config_mirror(d, 1, TD_MIRROR, 4), -EINVAL);
	assert_int_equal(uvfio_vm_config_window(d, 2, 0xe1, TD_WINDOW_DATA, 0, 0), -EINVAL);
	assert_int_equal(uvfio_vm_config_window(d, 2, TD_WINDOW_ADDRESS, 0xe6, 0, 0), -EINVAL);
	assert_int_equal(uvfio_vm_config_window(d, 2, TD_WINDOW_ADDRESS, TD_WINDOW_DATA, 3, 1),
			 -EINVAL);
	assert_int_equal(uvfio_vm_config_window(d, 2, TD_WINDOW_ADDRESS, TD_WINDOW_DATA, 1ull << 32,
						1ull << 32),
			 -EINVAL);
	assert_int_equal(uvfio_vm_config_window(d, 7, TD_WINDOW_ADDRESS, TD_WINDOW_DATA, 0, 0),
			 -EINVAL);
	assert_int_equal(uvfio_vm_config_mirror(d, 2, TD_MIRROR, 0x2000), 0);
	return uvfio_vm_config_window(d, 2, TD_WINDOW_ADDRESS, TD_WINDOW_DATA, TD_WINDOW_CONFIG,
				      0xfffff000);
}

/* Without a quirk the guest sees the host's addresses in the BAR, with it its own (test 38). */
static void mirror(void **state)
{
	static const struct uvfio_vm_quirk q = {
		.vendor = 0x1234, .device = 0xaa04, .name = "mirror", .setup = setup_mirror
	};
	uint32_t host;

	assert_int_equal(uvfio_vm_quirk_register(&q), 0);
	begin("testdev,mirror=on");
	host = (uint32_t)rd(TD_MIRROR + PCI_BASE_ADDRESS_4, 4);
	assert_int_not_equal(host, cfg(PCI_BASE_ADDRESS_4, 4));
	finish();

	begin("testdev,mirror=on,device_id=0xaa04");
	for (unsigned size = 1; size <= 4; size *= 2)
		for (unsigned at = 0; at < PCI_CFG_EXP_SIZE; at += size)
			assert_int_equal(rd(TD_MIRROR + at, size), cfg(at, size));
	assert_int_equal(rd(TD_MIRROR + PCI_BASE_ADDRESS_2, 8),
			 cfg(PCI_BASE_ADDRESS_2, 4) | (uint64_t)cfg(PCI_BASE_ADDRESS_3, 4) << 32);
	assert_int_equal(rd(TD_MIRROR + PCI_CFG_EXP_SIZE, 4), UINT32_MAX);
	assert_int_equal(rd(TD_MIRROR + 0x1ffc, 1), 0xff);
	wr(TD_MIRROR + PCI_CFG_EXP_SIZE, 8, 0);
	/* a write is the guest's, with all that follows: BARs move */
	wr(TD_MIRROR + PCI_BASE_ADDRESS_4, 8, 0xd0000000);
	assert_int_equal(cfg(PCI_BASE_ADDRESS_4, 4), 0xd0000000);
	assert_int_equal(dev->bars.bar[4].gpa, 0xd0000000);
	wr(TD_MIRROR + PCI_INTERRUPT_LINE, 1, 5);
	assert_int_equal(cfg(PCI_INTERRUPT_LINE, 1), 5);
	/* behind the two registers */
	wr(TD_WINDOW_ADDRESS, 4, TD_WINDOW_CONFIG | PCI_BASE_ADDRESS_4);
	assert_int_equal(rd(TD_WINDOW_ADDRESS, 4), TD_WINDOW_CONFIG | PCI_BASE_ADDRESS_4);
	assert_int_equal(rd(TD_WINDOW_DATA, 4), 0xd0000000);
	assert_int_equal(rd(TD_WINDOW_DATA + 3, 1), 0xd0);
	wr(TD_WINDOW_DATA, 4, 0xd8000000);
	assert_int_equal(dev->bars.bar[4].gpa, 0xd8000000);
	wr(TD_WINDOW_DATA + 2, 2, 0xd900);
	assert_int_equal(dev->bars.bar[4].gpa, 0xd9000000);
	wr(TD_WINDOW_ADDRESS, 1, PCI_INTERRUPT_LINE);
	assert_int_equal(rd(TD_WINDOW_DATA, 1), 5);
	wr(TD_WINDOW_ADDRESS, 8, 7ull << 32 | TD_WINDOW_CONFIG | PCI_INTERRUPT_LINE);
	assert_int_equal(cfg(PCI_INTERRUPT_LINE, 1), 7);
	/* elsewhere it is the device's */
	wr(TD_WINDOW_ADDRESS, 4, 0x1000);
	assert_int_equal(rd(TD_WINDOW_DATA, 4), 0);
	wr(TD_WINDOW_DATA, 4, 0);
	assert_int_equal(cfg(PCI_VENDOR_ID, 4), 0xaa041234);
	finish();
}

/* Processors at the mirror, the window, and config space at the same time; BARs move meanwhile. */
#define PROCESSORS 4u
#define ACCESSES   2000u

static void *processor(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < ACCESSES; i++) {
		static const unsigned at[] = { PCI_BASE_ADDRESS_4, PCI_INTERRUPT_LINE,
					       PCI_VENDOR_ID, PCI_ROM_ADDRESS };
		uint64_t v = 0;
		unsigned reg;

		seed = seed * 1103515245 + 12345;
		reg = at[seed >> 16 & 3];
		switch (seed >> 20 & 7) {
		case 0:
			v = TD_WINDOW_CONFIG | reg;
			uvfio_vm_mmio(vm, BAR2 + TD_WINDOW_ADDRESS, 4, &v, true);
			break;
		case 1:
			uvfio_vm_mmio(vm, BAR2 + TD_WINDOW_DATA, 4, &v, false);
			break;
		case 2:
			v = seed;
			uvfio_vm_mmio(vm, BAR2 + TD_WINDOW_DATA, 4, &v, true);
			break;
		case 3:
			v = seed;
			uvfio_vm_mmio(vm, BAR2 + TD_MIRROR + reg, 4, &v, true);
			break;
		case 4:
			uvfio_vm_config_write(dev, reg, 4, seed);
			break;
		case 5:
			assert_int_equal(cfg(PCI_VENDOR_ID, 4), 0xaa041234);
			break;
		case 6:
			uvfio_vm_mmio(vm, BAR2 + TD_MIRROR + PCI_VENDOR_ID, 4, &v, false);
			assert_int_equal(v, 0xaa041234);
			break;
		default:
			uvfio_vm_bar_read(dev, UVFIO_VM_ROM, seed % 4096, 4);
		}
	}
	return NULL;
}

static void at_once(void **state)
{
	pthread_t threads[PROCESSORS];

	begin("testdev,mirror=on,device_id=0xaa04");
	for (unsigned i = 0; i < PROCESSORS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, processor, (void *)(uintptr_t)(i + 1)),
			0);
	for (unsigned i = 0; i < PROCESSORS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(dev->bars.bar[2].gpa, BAR2);
	finish();
}

/* ---- a reset of its own ---- */

static int own_reset(struct uvfio_vm_device *d)
{
	uint16_t on = PCI_COMMAND_MEMORY, off = 0;
	uint32_t key = TD_OWN_RESET_KEY;
	int rc = uvfio_vm_quirk_access(d, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &on, 2, true);

	if (!rc)
		rc = uvfio_vm_quirk_access(d, 2, TD_OWN_RESET, &key, 4, true);
	uvfio_vm_quirk_access(d, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &off, 2, true);
	return rc;
}

static int no_reset(struct uvfio_vm_device *d)
{
	called('r');
	return -EIO;
}

static void resets(void **state)
{
	static const struct uvfio_vm_quirk first = {
		.vendor = 0x1234, .device = 0xaa05, .name = "a reset that fails", .reset = no_reset
	};
	static const struct uvfio_vm_quirk q = {
		.vendor = 0x1234, .device = 0xaa05, .name = "a reset", .reset = own_reset
	};

	assert_int_equal(uvfio_vm_quirk_register(&first), 0);
	assert_int_equal(uvfio_vm_quirk_register(&q), 0);
	calls[0] = 0;
	begin("testdev,flr=off,no_soft_reset=on,own_reset=on,device_id=0xaa05");
	assert_string_equal(uvfio_vm_reset_kind(dev), "quirk");
	wr(TD_SCRATCH32, 4, 77);
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	assert_string_equal(calls, "r");
	assert_int_equal(cfg(PCI_COMMAND, 2), 0);
	assert_int_equal(cfg(PCI_BASE_ADDRESS_2, 4), 0);
	td_enable(dev);
	assert_int_equal(td_read(dev, TD_SCRATCH32), 0);
	assert_int_equal(td_read(dev, TD_LAST_RESET), TD_RESET_OWN);
	finish();
}

/* ---- rows of ours ---- */

/* Pending bits that are not where the device says: known of Chelsio's T5 VFs, else refused. */
static void pending_bits(void **state)
{
	unsigned at;

	begin("testdev,vendor_id=0x1425,device_id=0x5801,wrong_pba=on");
	at = dev->config.caps.msix + PCI_MSIX_PBA;
	assert_int_equal(cfg(at, 4), 0x1002);
	assert_int_equal(dev->bars.msix.pba_offset, 0x1000);
	finish();
	/* one that is right stays */
	begin("testdev,vendor_id=0x1425,device_id=0x5801");
	assert_int_equal(dev->bars.msix.pba_offset, 0x4000);
	finish();
	vm = guest_new();
	assert_int_equal(uvfio_vm_assign(vm, "testdev,wrong_pba=on", NULL, &dev), -EINVAL);
	assert_int_equal(uvfio_vm_assign(vm, "testdev,wrong_pba=on,vendor_id=0x1425", NULL, &dev),
			 -EINVAL);
	assert_non_null(strstr(uvfio_vm_strerror(vm), "pending bits"));
	uvfio_vm_free(vm);
}

/* A ROM that hangs guests is not shown; PCI Express of version 0 is shown as 1. */
static void rom_and_version(void **state)
{
	begin("testdev,vendor_id=0x14e4,device_id=0x168e,pcie_version=0");
	uvfio_vm_config_write(dev, PCI_ROM_ADDRESS, 4, UINT32_MAX);
	assert_int_equal(cfg(PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(cfg(dev->config.caps.pcie + PCI_EXP_FLAGS, 2), 1);
	finish();
	/* a ROM of another device of the vendor's: the id is put right, and the checksum */
	begin("testdev,device_id=0xaa06");
	uvfio_vm_config_write(dev, PCI_ROM_ADDRESS, 4, 0xd0000001);
	assert_int_equal(uvfio_vm_bar_read(dev, UVFIO_VM_ROM, 0x1c + 4, 4), 0xaa061234);
	{
		uint8_t sum = 0;

		for (unsigned i = 0; i < 4096; i++)
			sum = (uint8_t)(sum + uvfio_vm_bar_read(dev, UVFIO_VM_ROM, i, 1));
		assert_int_equal(sum, 0);
	}
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),		cmocka_unit_test(config),
		cmocka_unit_test(windows),	cmocka_unit_test(mirror),
		cmocka_unit_test(at_once),	cmocka_unit_test(resets),
		cmocka_unit_test(pending_bits), cmocka_unit_test(rom_and_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
