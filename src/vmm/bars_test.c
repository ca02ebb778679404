/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/bars_test.c: BARs as a guest sizes, places and accesses them, on a device that is made up
 * (test_vm.h) and has memory of a file behind its BARs. A monitor notes what it is told, in order.
 * Which pieces a BAR has: pieces_test.c.
 */
#include "base/util.h"
#include "test_vm.h"

#define K4 PAGE_SIZE_4K

/* The device: BAR0 of memory, 1 of ports, 2 and 3 one of 64 bits, 4 with MSI-X, a ROM. */
#define BAR0_SIZE 0x10000u
#define BAR1_SIZE 0x20u
#define BAR2_SIZE 0x200000u
#define BAR4_SIZE 0x2000u
#define VECTORS	  8u

struct guest {
	struct tvm t;
	struct vfio_region_area areas[VFIO_PCI_NUM_REGIONS][4];
	int fd;
	char log[2048];
	unsigned maps; /* how many pieces are up */
	unsigned up[VM_BARS];
	bool fails;  /* accesses of BARs */
	bool looked; /* COMMAND was written with these pieces up: */
	unsigned up_then;
	struct vfio_device_ops ops;
};

static struct guest *the;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t len = strlen(the->log);
	va_list ap;

	va_start(ap, format);
	vsnprintf(the->log + len, sizeof(the->log) - len, format, ap);
	va_end(ap);
}

static void expect(const char *log)
{
	assert_string_equal(the->log, log);
	the->log[0] = '\0';
}

static void moved(void *ctx, struct uvfio_vm_device *dev, unsigned bar, bool io, uint64_t gpa,
		  uint64_t size)
{
	assert_ptr_equal(ctx, the);
	assert_int_equal(io, bar == 1);
	if (gpa == UVFIO_VM_UNMAPPED)
		note("off%u ", bar);
	else
		note("at%u:%lx ", bar, (unsigned long)gpa);
}

static int map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa, uint64_t size,
	       void *host, bool readonly)
{
	note("map%u:%lx+%lx%s ", bar, (unsigned long)gpa, (unsigned long)size, readonly ? "r" : "");
	the->maps++;
	the->up[bar]++;
	return 0;
}

static void unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa, uint64_t size)
{
	note("unmap%u:%lx+%lx ", bar, (unsigned long)gpa, (unsigned long)size);
	the->maps--;
	the->up[bar]--;
}

static ssize_t device_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
			 size_t count, bool write)
{
	if (index < VFIO_PCI_CONFIG_REGION_INDEX && the->fails)
		return -EIO;
	if (index == VFIO_PCI_CONFIG_REGION_INDEX && write && pos == PCI_COMMAND) {
		the->looked = true;
		the->up_then = the->maps;
	}
	/* their addresses are the driver's affair */
	if (index == VFIO_PCI_CONFIG_REGION_INDEX && write && pos >= PCI_BASE_ADDRESS_0 &&
	    pos < PCI_CARDBUS_CIS)
		return (ssize_t)count;
	return fake_rw(dev, index, pos, buf, count, write);
}

/* Have region @index of @size bytes be memory; areas are the test's. */
static void region(struct guest *g, unsigned index, uint64_t size, uint32_t type)
{
	struct fake *f = &g->t.fake;

	f->region[index] = (struct vfio_region){
		.size = size,
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
	};
	free(f->bar[index]);
	f->bar[index] = calloc(1, size);
	assert_non_null(f->bar[index]);
	fake_put(f, PCI_BASE_ADDRESS_0 + 4 * index, 4, type);
}

/* Have [@offset, @offset + @size) of region @index be memory of the file. */
static void area(struct guest *g, unsigned index, uint64_t offset, uint64_t size)
{
	struct vfio_region *r = &g->t.fake.region[index];

	r->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	r->areas = g->areas[index];
	g->areas[index][r->num_areas++] = (struct vfio_region_area){
		.offset = offset,
		.size = size,
		.kind = VFIO_AREA_DIRECT,
		.fd = g->fd,
		.fd_offset = index * (uint64_t)BAR2_SIZE + offset,
	};
}

/* Have the table of MSI-X at @table of BAR @bar, the pending bits at @pba. */
static void msix(struct guest *g, unsigned bar, uint32_t table, uint32_t pba)
{
	struct fake *f = &g->t.fake;

	fake_put(f, FAKE_MSIX + PCI_MSIX_FLAGS, 2, VECTORS - 1);
	fake_put(f, FAKE_MSIX + PCI_MSIX_TABLE, 4, table | bar);
	fake_put(f, FAKE_MSIX + PCI_MSIX_PBA, 4, pba | bar);
	f->irq[VFIO_PCI_MSIX_IRQ_INDEX].count = VECTORS;
}

static void begin(struct guest *g)
{
	struct fake *f = &g->t.fake;

	memset(g, 0, sizeof(*g));
	the = g;
	fake_init(f);
	g->ops = *f->vdev.ops;
	g->ops.rw = device_rw;
	f->vdev.ops = &g->ops;
	g->fd = memfd_create("bars", MFD_CLOEXEC);
	assert_int_equal(ftruncate(g->fd, 7 * (off_t)BAR2_SIZE), 0);
	region(g, 0, BAR0_SIZE, 0);
	region(g, 1, BAR1_SIZE, PCI_BASE_ADDRESS_SPACE_IO);
	region(g, 2, BAR2_SIZE, PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	region(g, 4, BAR4_SIZE, 0);
	area(g, 0, 0, BAR0_SIZE);
	area(g, 2, 0, BAR2_SIZE);
	area(g, 4, 0, BAR4_SIZE);
	msix(g, 4, 0, 0x800);
	/* a ROM of 4 KiB, and power management at 0x90 */
	region(g, VFIO_PCI_ROM_REGION_INDEX, K4, 0);
	fake_put(f, FAKE_MSIX, 2, PCI_CAP_ID_MSIX | 0x90 << 8);
	fake_put(f, 0x90, 4, PCI_CAP_ID_PM | 3 << 16);
	mon_init(&g->t.mon);
}

/* Assign the device with @options. 0 or what failed. */
static int assign(struct guest *g, const char *options)
{
	const struct uvfio_vm_ops vm_ops = { .bar_map = map,
					     .bar_unmap = unmap,
					     .bar_moved = moved };
	struct uvfio_vm_irq_ops ops;
	struct uvfio_vm_device *dev;
	int rc;

	mon_ops(&ops, false);
	tvm_begin(&g->t, &vm_ops, g, &ops);
	dev = g->t.dev;
	vm_options_fini(&dev->options);
	assert_int_equal(vm_options_parse(g->t.vm, options, &dev->options), 0);
	assert_int_equal(vm_config_init(dev), 0);
	assert_int_equal(vm_irq_init(dev), 0);
	rc = vm_bars_init(dev);
	return rc ? rc : vm_quirks_init(dev);
}

/* As uvfio_vm_unassign(), and the rest. */
static void end(struct guest *g)
{
	struct uvfio_vm_device *dev = g->t.dev;

	pthread_mutex_lock(&dev->lock);
	vm_irq_off(dev);
	vm_bars_down(dev);
	pthread_mutex_unlock(&dev->lock);
	assert_int_equal(g->maps, 0);
	vm_quirks_fini(dev);
	vm_bars_fini(dev);
	vm_irq_fini(dev);
	vm_config_fini(dev);
	tvm_end(&g->t);
	for (unsigned i = 0; i < VM_BARS; i++) {
		if (i != 4)
			free(g->t.fake.bar[i]);
	}
	fake_fini(&g->t.fake);
	close(g->fd);
}

static void put(unsigned reg, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(the->t.dev, reg, size, value);
}

static uint32_t get(unsigned reg)
{
	return uvfio_vm_config_read(the->t.dev, reg, 4);
}

static void place(unsigned bar, uint32_t gpa)
{
	put(bar == UVFIO_VM_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar, 4, gpa);
}

static void command(unsigned value)
{
	put(PCI_COMMAND, 2, value);
}

static uint64_t load(uint64_t gpa, unsigned size)
{
	uint64_t value = 0x5555555555555555;

	assert_int_equal(uvfio_vm_mmio(the->t.vm, gpa, size, &value, false), 0);
	return value;
}

static void store(uint64_t gpa, unsigned size, uint64_t value)
{
	assert_int_equal(uvfio_vm_mmio(the->t.vm, gpa, size, &value, true), 0);
}

static bool is_there(uint64_t gpa)
{
	uint64_t value;

	return !uvfio_vm_mmio(the->t.vm, gpa, 4, &value, false);
}

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
		cmocka_unit_test(test_sizes),	 cmocka_unit_test(test_no_io),
		cmocka_unit_test(test_odd_size), cmocka_unit_test(test_moves),
		cmocka_unit_test(test_swap),	 cmocka_unit_test(test_over_ram),
		cmocka_unit_test(test_held),	 cmocka_unit_test(test_never_mapped),
		cmocka_unit_test(test_readonly), cmocka_unit_test(test_sub_page),
		cmocka_unit_test(test_msix_cut), cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_table),	 cmocka_unit_test(test_msix_moved),
		cmocka_unit_test(test_accesses), cmocka_unit_test(test_rom),
		cmocka_unit_test(test_overlap),	 cmocka_unit_test(test_windows),
		cmocka_unit_test(test_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
