/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/mmio_test.c: accesses that come by a trap: which BAR of those at an address answers, and who
 * in it: the device, the table of MSI-X, the ROM's image, a window.
 */
#include "vmm/test_bars.h"

/* ---- accesses (test 32) ---- */

static void test_accesses(void **state)
{
	uint8_t *bar;
	struct guest g;
	uint32_t v32;
	uint64_t v;

	begin(&g);
	assert_int_equal(assign(&g, "mmap=off"), 0);
	bar = g.t.fake.bar[0];
	for (unsigned i = 0; i < BAR0_SIZE; i++)
		bar[i] = (uint8_t)(i * 7 + i / 256);
	place(0, 0x10000000);
	place(1, 0x1000);
	command(PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	for (unsigned size = 1; size <= 8; size++) {
		for (unsigned at = 0x40; at < 0x50; at++) {
			uint64_t want = 0, all = size < 8 ? (1ull << 8 * size) - 1 : UINT64_MAX;

			memcpy(&want, bar + at, size);
			assert_int_equal(load(0x10000000 + at, size), want);
			store(0x10000100 + at, size, ~want & all);
			want = ~want & all;
			assert_memory_equal(bar + 0x100 + at, &want, size);
		}
	}
	/* naturally aligned ones are one access of the device */
	g.t.fake.reads = 0;
	load(0x10000048, 8);
	assert_int_equal(g.t.fake.reads, 1);
	load(0x10000044, 8);
	assert_int_equal(g.t.fake.reads, 3);
	/* over the end: what is behind it is all ones */
	v = 0xffffffffff000000 | bar[0xffff] << 16 | bar[0xfffe] << 8 | bar[0xfffd];
	assert_int_equal(load(0x1000fffd, 8), v);
	store(0x1000ffff, 4, 0xaabbccdd);
	assert_int_equal(bar[0xffff], 0xdd);
	/* ports, at most four bytes at once */
	v32 = 0x12345678;
	assert_int_equal(uvfio_vm_pio(g.t.vm, 0x1004, 4, &v32, true), 0);
	v32 = 0;
	assert_int_equal(uvfio_vm_pio(g.t.vm, 0x1006, 1, &v32, false), 0);
	assert_int_equal(v32, 0x34);
	assert_int_equal(uvfio_vm_pio(g.t.vm, 0x1020, 1, &v32, false), -ENOENT);
	g.t.fake.reads = 0;
	v = uvfio_vm_bar_read(g.t.dev, 1, 0, 8);
	assert_int_equal(v, 0x1234567800000000);
	assert_int_equal(g.t.fake.reads, 2);
	/* numbers that are none */
	assert_int_equal(uvfio_vm_bar_read(g.t.dev, 9, 0, 4), UINT32_MAX);
	assert_int_equal(uvfio_vm_bar_read(g.t.dev, 0, UINT64_MAX, 4), UINT32_MAX);
	assert_int_equal(uvfio_vm_bar_read(g.t.dev, 0, BAR0_SIZE, 2), 0xffff);
	assert_int_equal(uvfio_vm_bar_read(g.t.dev, 0, 0, 16), UINT64_MAX);
	uvfio_vm_bar_write(g.t.dev, 0, UINT64_MAX - 1, 8, 0);
	uvfio_vm_bar_write(g.t.dev, 5, 0, 8, 0);
	/* a device that does not answer */
	g.fails = true;
	assert_int_equal(load(0x10000044, 8), UINT64_MAX);
	assert_int_equal(load(0x10000044, 2), 0xffff);
	store(0x10000044, 2, 0);
	g.fails = false;
	assert_int_not_equal(load(0x10000044, 2), 0xffff);
	/* one that does not decode */
	command(PCI_COMMAND_IO);
	assert_int_equal(uvfio_vm_bar_read(g.t.dev, 0, 0x44, 4), UINT32_MAX);
	v = 0;
	assert_int_equal(uvfio_vm_mmio(g.t.vm, 0x10000044, 4, &v, false), -ENOENT);
	end(&g);
}

static void test_rom(void **state)
{
	struct guest g;

	begin(&g);
	memcpy(g.t.fake.bar[VFIO_PCI_ROM_REGION_INDEX], "\x55\xaa", 2);
	assert_int_equal(assign(&g, NULL), 0);
	command(PCI_COMMAND_MEMORY);
	place(UVFIO_VM_ROM, 0x40000000);
	assert_false(is_there(0x40000000));
	place(UVFIO_VM_ROM, 0x40000000 | PCI_ROM_ADDRESS_ENABLE);
	expect("at6:40000000 ");
	assert_int_equal(load(0x40000000, 4), 0xaa55);
	store(0x40000000, 4, 0);
	assert_int_equal(load(0x40000000, 2), 0xaa55);
	end(&g);
}

/* Of two BARs at one place the one that came first answers. */
static void test_overlap(void **state)
{
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	g.t.fake.bar[0][0x100] = 1;
	g.t.fake.bar[2][0x100] = 2;
	place(2, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at2:10000000 map2:10000000+200000 ");
	place(0, 0x10000000);
	expect("at0:10000000 ");
	assert_int_equal(load(0x10000100, 1), 2);
	place(2, 0x20000000);
	expect("unmap2:10000000+200000 off2 at2:20000000 map0:10000000+10000 "
	       "map2:20000000+200000 ");
	assert_int_equal(load(0x10000100, 1), 1);
	end(&g);
}

/* The table is ours, and its page not the device's. */
static void test_table(void **state)
{
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	place(4, 0x20000000);
	command(PCI_COMMAND_MEMORY);
	assert_int_equal(load(0x2000000c, 4), PCI_MSIX_ENTRY_CTRL_MASKBIT);
	store(0x20000000, 4, 0xfee00000);
	store(0x20000008, 8, 0x100004021);
	assert_int_equal(load(0x20000000, 8), 0xfee00000);
	assert_int_equal(load(0x20000008, 4), 0x4021);
	assert_int_equal(g.t.fake.reads + g.t.fake.writes, 0);
	/* behind the table is the device; the pending bits are read-only */
	store(0x20000080, 4, 0x1234);
	assert_int_equal(load(0x20000080, 4), 0x1234);
	assert_int_equal(g.t.fake.reads + g.t.fake.writes, 2);
	store(0x20000800, 8, UINT64_MAX);
	assert_int_equal(load(0x20000800, 8), 0);
	assert_int_equal(g.t.fake.reads + g.t.fake.writes, 2);
	end(&g);
}

/* ---- windows ---- */

static uint64_t window_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	note("read%lx/%u ", (unsigned long)offset, size);
	return 0x1122334455667788;
}

static void window_write(struct uvfio_vm_device *dev, uint64_t offset, unsigned size,
			 uint64_t value)
{
	note("write%lx/%u=%lx ", (unsigned long)offset, size, (unsigned long)value);
}

static void test_windows(void **state)
{
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	assert_int_equal(uvfio_vm_bar_window(g.t.dev, 0, 0x2004, 8, window_read, window_write), 0);
	assert_int_equal(uvfio_vm_bar_window(g.t.dev, 0, 0x200b, 2, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(g.t.dev, 0, 0xfffe, 4, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(g.t.dev, 6, 0, 4, window_read, NULL), -EINVAL);
	assert_int_equal(uvfio_vm_bar_window(g.t.dev, 0, 0x200c, 2, window_read, NULL), 0);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 map0:10000000+2000 map0:10003000+d000 ");
	assert_int_equal(load(0x10002004, 4), 0x55667788);
	expect("read0/4 ");
	/* what reaches over its begin is in two parts, and the device has the first */
	g.t.fake.bar[0][0x2000] = 0x99;
	assert_int_equal(load(0x10002000, 8), 0x5566778800000099);
	expect("read0/4 ");
	store(0x10002008, 4, 0xabcd1234);
	expect("write4/4=abcd1234 ");
	/* no function: the device */
	store(0x1000200c, 2, 0x4321);
	assert_int_equal(g.t.fake.bar[0][0x200d], 0x43);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accesses), cmocka_unit_test(test_rom),
		cmocka_unit_test(test_overlap),	 cmocka_unit_test(test_table),
		cmocka_unit_test(test_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
