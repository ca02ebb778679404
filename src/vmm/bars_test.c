/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/bars_test.c: BARs as a guest sizes and places them: where they are, and what of them is
 * mapped. Which pieces a BAR has: pieces_test.c. Accesses: mmio_test.c.
 */
#include "vmm/test_bars.h"

/* ---- registers (test 24) ---- */

static uint32_t size_of(unsigned reg)
{
	uint32_t old = get(reg), ones;

	put(reg, 4, UINT32_MAX);
	ones = get(reg);
	put(reg, 4, old);
	assert_int_equal(get(reg), old);
	return ones;
}

static void test_sizes(void **state)
{
	struct uvfio_vm_bar b;
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_0), 0xffff0000);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_1), 0xffffffe1);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_2), 0xffe0000c);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_3), 0xffffffff);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_4), 0xffffe000);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_5), 0);
	assert_int_equal(size_of(PCI_ROM_ADDRESS), 0xfffff001);
	/* by bytes, too: only bits of the address stick */
	put(PCI_BASE_ADDRESS_0 + 2, 1, 0x34);
	put(PCI_BASE_ADDRESS_0, 2, 0xffff);
	assert_int_equal(get(PCI_BASE_ADDRESS_0), 0x00340000);

	assert_int_equal(uvfio_vm_bar_info(g.t.dev, 2, &b), 0);
	assert_true(b.index == 2 && b.size == BAR2_SIZE && b.is64 && b.prefetch && !b.io);
	assert_int_equal(b.gpa, UVFIO_VM_UNMAPPED);
	assert_int_equal(uvfio_vm_bar_info(g.t.dev, 3, &b), 0);
	assert_int_equal(b.size, 0);
	assert_int_equal(uvfio_vm_bar_info(g.t.dev, 1, &b), 0);
	assert_true(b.io && b.size == BAR1_SIZE);
	assert_int_equal(uvfio_vm_bar_info(g.t.dev, UVFIO_VM_ROM, &b), 0);
	assert_int_equal(b.size, K4);
	assert_int_equal(uvfio_vm_bar_info(g.t.dev, 7, &b), -EINVAL);
	end(&g);
}

static void test_no_io(void **state)
{
	struct uvfio_vm_bar b;
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, "io=off"), 0);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_1), 0);
	assert_int_equal(uvfio_vm_bar_info(g.t.dev, 1, &b), 0);
	assert_int_equal(b.size, 0);
	end(&g);
}

static void test_odd_size(void **state)
{
	struct guest g;

	begin(&g);
	g.t.fake.region[0].size = 0x3000;
	assert_int_equal(assign(&g, NULL), -EINVAL);
	end(&g);
}

/* ---- places ---- */

/* A BAR is where the guest says, while its device decodes (test 25). */
static void test_moves(void **state)
{
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	/* sizing and placing with decoding off: nothing happens */
	place(0, UINT32_MAX);
	place(0, 0x10000000);
	place(1, 0x1000);
	place(2, 0x20000000);
	put(PCI_BASE_ADDRESS_3, 4, 1);
	expect("");
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 at2:120000000 map0:10000000+10000 map2:120000000+200000 ");
	command(PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	expect("at1:1000 ");
	assert_true(is_there(0x1000ffff) && !is_there(0x10010000) && !is_there(0xffffffff));
	/* live: it moves */
	place(0, 0x30000000);
	expect("unmap0:10000000+10000 off0 at0:30000000 map0:30000000+10000 ");
	place(0, 0x30000000);
	expect("");
	assert_true(is_there(0x30000000) && !is_there(0x10000000));
	/* sized while it is live: between the halves of a 64-bit one it is elsewhere */
	place(0, UINT32_MAX);
	expect("unmap0:30000000+10000 off0 ");
	place(0, 0x30000000);
	expect("at0:30000000 map0:30000000+10000 ");
	put(PCI_BASE_ADDRESS_3, 4, UINT32_MAX);
	/* no guest has memory up there */
	expect("unmap2:120000000+200000 off2 at2:ffffffff20000000 ");
	place(2, UINT32_MAX);
	expect("off2 ");
	place(2, 0x20000000);
	put(PCI_BASE_ADDRESS_3, 4, 1);
	expect("at2:ffffffff20000000 off2 at2:120000000 map2:120000000+200000 ");
	command(0);
	expect("unmap0:30000000+10000 off0 off1 unmap2:120000000+200000 off2 ");
	/* nothing was up any more when the device heard of it (test 33) */
	assert_true(g.looked);
	assert_int_equal(g.up_then, 0);
	assert_false(is_there(0x30000000));
	/* D3 and back, the registers stay: NoSoftReset would say so, but it is the copy's affair */
	fake_put(&g.t.fake, 0x94, 2, PCI_PM_CTRL_NO_SOFT_RESET);
	command(PCI_COMMAND_MEMORY);
	g.log[0] = '\0';
	g.t.dev->config.caps.pm_reset = false;
	put(0x94, 2, 3);
	expect("unmap0:30000000+10000 off0 unmap2:120000000+200000 off2 ");
	put(0x94, 2, 0);
	expect("at0:30000000 at2:120000000 map0:30000000+10000 map2:120000000+200000 ");
	end(&g);
}

/* Two BARs change places at once (test 26). */
static void test_swap(void **state)
{
	struct uvfio_vm_device *dev;
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	dev = g.t.dev;
	place(0, 0x10000000);
	place(4, 0x20000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 at4:20000000 map0:10000000+10000 map4:20001000+1000 ");
	pthread_mutex_lock(&dev->lock);
	vm_config_set_copy(dev, PCI_BASE_ADDRESS_0, 4, 0x20000000);
	vm_config_set_copy(dev, PCI_BASE_ADDRESS_4, 4, 0x10000000);
	vm_bars_update(dev);
	pthread_mutex_unlock(&dev->lock);
	expect("unmap0:10000000+10000 off0 unmap4:20001000+1000 off4 "
	       "at0:20000000 at4:10000000 map0:20000000+10000 map4:10001000+1000 ");
	/* by two writes, as a guest would: one is over the other meanwhile */
	place(0, 0x10000000);
	expect("unmap0:20000000+10000 off0 at0:10000000 ");
	place(4, 0x20000000);
	expect("unmap4:10001000+1000 off4 at4:20000000 map0:10000000+10000 map4:20001000+1000 ");
	end(&g);
}

static void add_ram(uint64_t gpa, void *host, unsigned flags)
{
	const struct uvfio_vm_memory m = {
		.gpa = gpa, .size = K4, .host = host, .fd = -1, .flags = flags
	};

	assert_int_equal(uvfio_vm_memory_add(the->t.vm, &m), 0);
}

/* A BAR over memory is trapped only, whichever came first. */
static void test_over_ram(void **state)
{
	char *ram = mmap(NULL, K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	add_ram(0x10008000, ram, 0);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 ");
	assert_int_equal(uvfio_vm_memory_remove(g.t.vm, 0x10008000, K4), 0);
	expect("map0:10000000+10000 ");
	add_ram(0x10000000, ram, UVFIO_VM_MEM_READONLY);
	expect("unmap0:10000000+10000 ");
	place(0, 0x10010000);
	expect("off0 at0:10010000 map0:10010000+10000 ");
	/* what is the BAR itself, for others' DMA, is not in its way; of a batch all at the end */
	uvfio_vm_memory_begin(g.t.vm);
	assert_int_equal(uvfio_vm_memory_remove(g.t.vm, 0x10000000, K4), 0);
	add_ram(0x10010000, ram, UVFIO_VM_MEM_PEER);
	add_ram(0x10018000, ram, 0);
	expect("");
	assert_int_equal(uvfio_vm_memory_commit(g.t.vm), 0);
	expect("unmap0:10010000+10000 ");
	assert_int_equal(uvfio_vm_memory_remove(g.t.vm, 0x10018000, K4), 0);
	expect("map0:10010000+10000 ");
	end(&g);
	munmap(ram, K4);
}

/* INTx waits for an access: all is trapped, and the BARs stay where they are. */
static void test_held(void **state)
{
	char line[200];
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	place(0, 0x10000000);
	place(4, 0x20000000);
	command(PCI_COMMAND_MEMORY);
	g.log[0] = '\0';
	uvfio_vm_device_state(g.t.dev, line, sizeof(line));
	assert_non_null(strstr(line, "; bar0 0x10000000 direct 0x0-0xffff; bar1 off; bar2 off; "
				     "bar4 0x20000000 trapped 0x0-0xfff direct 0x1000-0x1fff; "
				     "rom off"));
	pthread_mutex_lock(&g.t.dev->lock);
	vm_bars_hold_trapped(g.t.dev, true);
	pthread_mutex_unlock(&g.t.dev->lock);
	expect("unmap0:10000000+10000 unmap4:20001000+1000 ");
	place(0, 0x30000000);
	expect("off0 at0:30000000 ");
	pthread_mutex_lock(&g.t.dev->lock);
	vm_bars_hold_trapped(g.t.dev, false);
	pthread_mutex_unlock(&g.t.dev->lock);
	/* by the time at which they came there */
	expect("map4:20001000+1000 map0:30000000+10000 ");
	end(&g);
}

/* mmap=off, bars=-0: what is never mapped (test 35). */
static void test_never_mapped(void **state)
{
	struct guest g;

	begin(&g);
	assert_int_equal(assign(&g, "bars=-0-2"), 0);
	place(0, 0x10000000);
	place(4, 0x20000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 at4:20000000 map4:20001000+1000 ");
	end(&g);
	begin(&g);
	assert_int_equal(assign(&g, "mmap=off"), 0);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 ");
	end(&g);
}

static void test_readonly(void **state)
{
	struct guest g;

	begin(&g);
	g.t.fake.region[0].flags &= ~VFIO_REGION_INFO_FLAG_WRITE;
	assert_int_equal(assign(&g, NULL), 0);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 map0:10000000+10000r ");
	end(&g);
}

/* One that is smaller than a page is one if it is alone in the guest's (test 30). */
static void test_sub_page(void **state)
{
	struct guest g;

	begin(&g);
	region(&g, 0, 0x100, 0);
	area(&g, 0, 0, 0x100);
	region(&g, 5, 0x100, 0);
	assert_int_equal(assign(&g, NULL), 0);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 map0:10000000+1000 ");
	/* what is behind it in its page is nothing's, by a trap */
	assert_true(is_there(0x100000ff) && !is_there(0x10000100));
	place(0, 0x10000100);
	expect("unmap0:10000000+1000 off0 at0:10000100 ");
	place(0, 0x10000000);
	expect("off0 at0:10000000 map0:10000000+1000 ");
	/* another one comes into the page, and goes */
	place(5, 0x10000800);
	expect("at5:10000800 unmap0:10000000+1000 ");
	place(5, 0x20000800);
	expect("off5 at5:20000800 map0:10000000+1000 ");
	end(&g);
}

/* ---- MSI-X (tests 28, 29, 34) ---- */

static void test_msix_cut(void **state)
{
	static const struct {
		uint32_t table, pba;
		const char *options, *log;
	} cases[] = {
		{ 0, 0x800, NULL, "map0:10001000+f000 " },
		{ 0x8000, 0x9ff8, NULL, "map0:10000000+8000 map0:1000a000+6000 " },
		{ 0xff80, 0xf000, NULL, "map0:10000000+f000 " },
		{ 0x2000, 0x6000, NULL,
		  "map0:10000000+2000 map0:10003000+3000 map0:10007000+9000 " },
		{ 0x2000, 0x6000, "pba=off", "map0:10000000+2000 map0:10003000+d000 " },
		{ 0x2000, 0x2800, "pba=off", "map0:10000000+2000 map0:10003000+d000 " },
	};
	struct guest g;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		char log[200];

		begin(&g);
		msix(&g, 0, cases[i].table, cases[i].pba);
		assert_int_equal(assign(&g, cases[i].options), 0);
		place(0, 0x10000000);
		command(PCI_COMMAND_MEMORY);
		snprintf(log, sizeof(log), "at0:10000000 %s", cases[i].log);
		expect(log);
		end(&g);
	}
	/* all of the BAR is the table's page */
	begin(&g);
	region(&g, 0, K4, 0);
	area(&g, 0, 0, K4);
	msix(&g, 0, 0, 0x800);
	assert_int_equal(assign(&g, NULL), 0);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 ");
	end(&g);
	/* outside of it */
	begin(&g);
	msix(&g, 0, BAR0_SIZE, 0);
	assert_int_equal(assign(&g, NULL), -EINVAL);
	end(&g);
}

/* Areas that the host lets be mapped, and one that is none. */
static void test_sparse(void **state)
{
	struct guest g;

	begin(&g);
	g.t.fake.region[0].num_areas = 0;
	area(&g, 0, 0, 0);
	area(&g, 0, 0x1000, 0x2000);
	area(&g, 0, 0x8000, 0x8000);
	g.t.fake.region[0].msix_mappable = true;
	msix(&g, 0, 0x9000, 0x9800);
	assert_int_equal(assign(&g, NULL), 0);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 map0:10001000+2000 map0:10008000+1000 map0:1000a000+6000 ");
	end(&g);
}

static void expect_msix(unsigned bar, uint32_t table)
{
	assert_int_equal(get(FAKE_MSIX + PCI_MSIX_TABLE), table | bar);
	assert_int_equal(get(FAKE_MSIX + PCI_MSIX_PBA), (table + 16 * VECTORS) | bar);
}

static void test_msix_moved(void **state)
{
	struct uvfio_vm_bar b;
	struct guest g;

	/* a BAR that is not there: the last register has 32 bits */
	begin(&g);
	assert_int_equal(assign(&g, "msix=bar5"), 0);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_5), 0xfffff000);
	expect_msix(5, 0);
	place(4, 0x20000000);
	place(5, 0x30000000);
	command(PCI_COMMAND_MEMORY);
	/* the device's own table cannot be mapped, its pending bits neither: one page */
	expect("at4:20000000 at5:30000000 map4:20001000+1000 ");
	store(0x30000000, 4, 0xfee00000);
	assert_int_equal(load(0x30000000, 4), 0xfee00000);
	assert_int_equal(load(0x30000080, 8), 0);
	/* nothing is behind it */
	store(0x30000100, 4, 1);
	assert_int_equal(load(0x30000100, 4), UINT32_MAX);
	assert_int_equal(g.t.fake.reads + g.t.fake.writes, 0);
	end(&g);

	/* one that can have 64 bits does; a host that lets the table be mapped */
	begin(&g);
	g.t.fake.region[4].size = 0;
	msix(&g, 0, 0x2000, 0x2800);
	g.t.fake.region[0].msix_mappable = true;
	assert_int_equal(assign(&g, "msix=bar4"), 0);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_4), 0xfffff00c);
	assert_int_equal(size_of(PCI_BASE_ADDRESS_5), 0xffffffff);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 map0:10000000+10000 ");
	end(&g);

	/* one that is there has twice the size */
	begin(&g);
	assert_int_equal(assign(&g, "msix=bar0"), 0);
	assert_int_equal(uvfio_vm_bar_info(g.t.dev, 0, &b), 0);
	assert_int_equal(b.size, 2 * BAR0_SIZE);
	expect_msix(0, BAR0_SIZE);
	place(0, 0x10000000);
	command(PCI_COMMAND_MEMORY);
	expect("at0:10000000 map0:10000000+10000 ");
	store(0x10010004, 4, 5);
	assert_int_equal(load(0x10010000, 8), 0x500000000);
	end(&g);

	/* ports, the upper half of another, too large for its address */
	begin(&g);
	assert_int_equal(assign(&g, "msix=bar1"), -EINVAL);
	end(&g);
	begin(&g);
	assert_int_equal(assign(&g, "msix=bar1,io=off"), -EINVAL);
	end(&g);
	begin(&g);
	assert_int_equal(assign(&g, "msix=bar3"), -EINVAL);
	end(&g);
	begin(&g);
	g.t.fake.region[0].size = 2 * HUGE_1G;
	g.t.fake.region[0].num_areas = 0;
	assert_int_equal(assign(&g, "msix=bar0"), -EINVAL);
	end(&g);
	begin(&g);
	g.t.fake.irq[VFIO_PCI_MSIX_IRQ_INDEX].count = 0;
	assert_int_equal(assign(&g, "msix=bar5"), -EINVAL);
	end(&g);
}

/* ---- memory that is away (test 33) ---- */

static void test_fault(void **state)
{
	struct guest g;
	unsigned n = 0;

	begin(&g);
	assert_int_equal(assign(&g, NULL), 0);
	place(0, 0x10000000);
	place(2, 0x20000000);
	command(PCI_COMMAND_MEMORY);
	g.log[0] = '\0';
	/* it was something else */
	assert_int_equal(uvfio_vm_fault(g.t.vm), 0);
	expect("");
	/* somebody else switched it off */
	fake_put(&g.t.fake, PCI_COMMAND, 2, 0);
	assert_int_equal(uvfio_vm_fault(g.t.vm), 1);
	expect("unmap0:10000000+10000 unmap2:20000000+200000 ");
	/* other processors were there, too; but not for ever */
	while (uvfio_vm_fault(g.t.vm))
		assert_true(++n < 100000);
	assert_true(n > 10);
	assert_true(is_there(0x10000000));
	/* the guest switches it on */
	command(PCI_COMMAND_MEMORY);
	expect("map0:10000000+10000 map2:20000000+200000 ");
	assert_int_equal(uvfio_vm_fault(g.t.vm), 0);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	   cmocka_unit_test(test_no_io),
		cmocka_unit_test(test_odd_size),   cmocka_unit_test(test_moves),
		cmocka_unit_test(test_swap),	   cmocka_unit_test(test_over_ram),
		cmocka_unit_test(test_held),	   cmocka_unit_test(test_never_mapped),
		cmocka_unit_test(test_readonly),   cmocka_unit_test(test_sub_page),
		cmocka_unit_test(test_msix_cut),   cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_msix_moved), cmocka_unit_test(test_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
