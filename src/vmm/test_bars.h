/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/test_bars.h: for the unit tests of BARs: a device that is made up (test_vm.h) and has memory
 * of a file behind its BARs, and a monitor that notes what it is told, in order.
 */
#ifndef VMM_TEST_BARS_H
#define VMM_TEST_BARS_H
#include "base/util.h"
#include "vmm/test_vm.h"

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

static inline void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void note(const char *format, ...)
{
	size_t len = strlen(the->log);
	va_list ap;

	va_start(ap, format);
	vsnprintf(the->log + len, sizeof(the->log) - len, format, ap);
	va_end(ap);
}

static inline void expect(const char *log)
{
	assert_string_equal(the->log, log);
	the->log[0] = '\0';
}

static inline void moved(void *ctx, struct uvfio_vm_device *dev, unsigned bar, bool io,
			 uint64_t gpa, uint64_t size)
{
	assert_ptr_equal(ctx, the);
	assert_int_equal(io, bar == 1);
	if (gpa == UVFIO_VM_UNMAPPED)
		note("off%u ", bar);
	else
		note("at%u:%lx ", bar, (unsigned long)gpa);
}

static inline int map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		      uint64_t size, void *host, bool readonly)
{
	note("map%u:%lx+%lx%s ", bar, (unsigned long)gpa, (unsigned long)size, readonly ? "r" : "");
	the->maps++;
	the->up[bar]++;
	return 0;
}

static inline void unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
			 uint64_t size)
{
	note("unmap%u:%lx+%lx ", bar, (unsigned long)gpa, (unsigned long)size);
	the->maps--;
	the->up[bar]--;
}

static inline ssize_t device_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
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
static inline void region(struct guest *g, unsigned index, uint64_t size, uint32_t type)
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
static inline void area(struct guest *g, unsigned index, uint64_t offset, uint64_t size)
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
static inline void msix(struct guest *g, unsigned bar, uint32_t table, uint32_t pba)
{
	struct fake *f = &g->t.fake;

	fake_put(f, FAKE_MSIX + PCI_MSIX_FLAGS, 2, VECTORS - 1);
	fake_put(f, FAKE_MSIX + PCI_MSIX_TABLE, 4, table | bar);
	fake_put(f, FAKE_MSIX + PCI_MSIX_PBA, 4, pba | bar);
	f->irq[VFIO_PCI_MSIX_IRQ_INDEX].count = VECTORS;
}

static inline void begin(struct guest *g)
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
static inline int assign(struct guest *g, const char *options)
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
static inline void end(struct guest *g)
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

static inline void put(unsigned reg, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(the->t.dev, reg, size, value);
}

static inline uint32_t get(unsigned reg)
{
	return uvfio_vm_config_read(the->t.dev, reg, 4);
}

static inline void place(unsigned bar, uint32_t gpa)
{
	put(bar == UVFIO_VM_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar, 4, gpa);
}

static inline void command(unsigned value)
{
	put(PCI_COMMAND, 2, value);
}

static inline uint64_t load(uint64_t gpa, unsigned size)
{
	uint64_t value = 0x5555555555555555;

	assert_int_equal(uvfio_vm_mmio(the->t.vm, gpa, size, &value, false), 0);
	return value;
}

static inline void store(uint64_t gpa, unsigned size, uint64_t value)
{
	assert_int_equal(uvfio_vm_mmio(the->t.vm, gpa, size, &value, true), 0);
}

static inline bool is_there(uint64_t gpa)
{
	uint64_t value;

	return !uvfio_vm_mmio(the->t.vm, gpa, 4, &value, false);
}
#endif
