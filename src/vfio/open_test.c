/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/open_test.c: openers: the checks that come before a provider, on a provider of the test's
 * own; what a device that lacks an op answers; and who keeps whom from opening.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "fault/test_fault_table.h"
#include "vfio/internal.h"
#include "vfio/ioas.h"
#include "vfio/open.h"

#define PAGE	 4096ull
#define BAR_SIZE (2 * PAGE + 100)

struct fake {
	struct vfio_device vdev;
	struct iommu_device iommu;
	struct vfio_ioas *in;	      /* what attach and detach said */
	struct vfio_ioas *opened_for; /* what was known at the open */
	int refuse;
	int opens, fail, sets, resets, calls;
	unsigned slot_resets;
	uint32_t size; /* of ioeventfd's last write */
	uint8_t bar[BAR_SIZE], config[256];
	size_t longest; /* of the pieces that came to rw */
};

static struct fake *fake_of(struct vfio_device *dev)
{
	return container_of_type(dev, struct fake, vdev);
}

static int fake_open(struct vfio_device *dev)
{
	if (!fake_of(dev)->fail)
		fake_of(dev)->opens++;
	fake_of(dev)->opened_for = dev->opens_for;
	return fake_of(dev)->fail;
}

static void fake_close(struct vfio_device *dev)
{
	fake_of(dev)->opens--;
}

static const struct vfio_region_area areas[] = {
	{ .offset = 0, .size = PAGE },
	{ .offset = 2 * PAGE, .size = PAGE },
};
/* of whatever kind */
static const struct vfio_region_area touching[] = {
	{ .offset = 0, .size = PAGE },
	{ .offset = PAGE, .size = PAGE, .kind = VFIO_AREA_POLLED },
	{ .offset = 2 * PAGE, .size = PAGE, .kind = VFIO_AREA_DIRECT },
	{ .offset = 4 * PAGE, .size = PAGE, .kind = VFIO_AREA_POLLED },
};

/* 0: a BAR; 1: the same, which can be mapped; 2, 4: with areas; 7: config space */
static int fake_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	fake_of(dev)->calls++;
	switch (index) {
	case 0:
	case 1:
		*out = (struct vfio_region){ .flags = index ? 7 : 3, .size = BAR_SIZE };
		return 0;
	case 2:
		*out = (struct vfio_region){
			.flags = 7, .size = 3 * PAGE, .areas = areas, .num_areas = 2
		};
		return 0;
	case 4:
		*out = (struct vfio_region){
			.flags = 7, .size = 5 * PAGE, .areas = touching, .num_areas = 4
		};
		return 0;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		*out = (struct vfio_region){ .flags = 3, .size = 256 };
		return 0;
	}
	return index < VFIO_PCI_NUM_REGIONS ? 0 : -EINVAL;
}

static ssize_t fake_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
		       size_t count, bool write)
{
	bool config = index == VFIO_PCI_CONFIG_REGION_INDEX;
	uint64_t size = config ? 256 : BAR_SIZE;
	struct fake *k = fake_of(dev);
	uint8_t *mem = config ? k->config : k->bar;

	k->calls++;
	if (pos >= size)
		return -EINVAL;
	if (count > k->longest)
		k->longest = count;
	if (count > size - pos)
		count = size - pos;
	if (write)
		memcpy(mem + pos, buf, count);
	else
		memcpy(buf, mem + pos, count);
	return (ssize_t)count;
}

static int fake_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		     uint64_t *value, bool write)
{
	*value = pos << 8 | size;
	return index == 1 && !write ? 0 : -EIO;
}

/* as vfio-pci of a function with INTx, no MSI, 4 MSI-X vectors */
static int fake_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out)
{
	static const uint32_t counts[] = { 1, 0, 4, 1, 1 };

	if (index >= 5)
		return -EINVAL;
	*out = (struct vfio_irq){ .flags = VFIO_IRQ_INFO_EVENTFD, .count = counts[index] };
	return 0;
}

static int fake_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	fake_of(dev)->sets++;
	return a->index == 2 && a->start == 3 ? 7 : 0;
}

static int fake_reset(struct vfio_device *dev)
{
	fake_of(dev)->resets++;
	return 0;
}

static int fake_slot_reset(struct vfio_device *dev)
{
	fake_of(dev)->slot_resets++;
	return 0;
}

static int fake_attach(struct vfio_device *dev, struct vfio_ioas *io)
{
	struct fake *k = fake_of(dev);

	assert_int_equal(k->opens, 1);
	assert_null(k->in);
	if (!k->refuse)
		k->in = io;
	return k->refuse;
}

static void fake_detach(struct vfio_device *dev, struct vfio_ioas *io)
{
	assert_ptr_equal(fake_of(dev)->in, io);
	fake_of(dev)->in = NULL;
}

static int fake_ioeventfd(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data,
			  int fd)
{
	fake_of(dev)->size = flags;
	return 0;
}

static const struct vfio_device_ops full_ops = {
	.open = fake_open,
	.close = fake_close,
	.attach = fake_attach,
	.detach = fake_detach,
	.region = fake_region,
	.irq = fake_irq,
	.rw = fake_rw,
	.mmio = fake_mmio,
	.set_irqs = fake_set_irqs,
	.reset = fake_reset,
	.slot_reset = fake_slot_reset,
	.ioeventfd = fake_ioeventfd,
};

/* all that a provider must have */
static const struct vfio_device_ops least_ops = {
	.open = fake_open,
	.close = fake_close,
	.region = fake_region,
	.irq = fake_irq,
	.rw = fake_rw,
	.set_irqs = fake_set_irqs,
	.reset = fake_reset,
};

/* A group of two devices. */
struct world {
	struct vfio_system *s;
	struct iommu_group *ig;
	struct vfio_group *g;
	struct fake dev[2];
	struct vfio_open o; /* of device 0 */
	int claimed, refuse;
};

static int claim(void *arg, unsigned group, enum vfio_claim take)
{
	struct world *w = arg;

	if (take && w->refuse)
		return w->refuse == 2 ? -EALREADY : -EBUSY;
	w->claimed += take ? 1 : -1;
	return 0;
}

/* cmocka takes SIGSEGV over at each test: take it back for the guarded copies */
static struct sigaction guarded;

static const struct vfio_env env = { .claim = claim, .dma_entry_limit = VFIO_DMA_ENTRY_LIMIT };

static int setup(void **state)
{
	static const char *const names[] = { "0000:01:00.0", "0000:01:00.1" };
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	w->s = vfio_system_new(&env, w);
	w->ig = iommu_group_new(5);
	assert_int_equal(vfio_system_add_group(w->s, w->ig, &w->g), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct fake *k = &w->dev[i];

		iommu_device_init(&k->iommu, names[i]);
		vfio_device_init(&k->vdev, &full_ops, names[i], &k->iommu);
		k->vdev.num_irqs = 5;
		k->vdev.num_regions = 9;
		k->vdev.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
		k->vdev.address.function = i;
		assert_int_equal(iommu_group_add(w->ig, &k->iommu), 0);
		assert_int_equal(vfio_group_add_device(w->g, &k->vdev), 0);
	}
	vfio_open_init(&w->o, &w->dev[0].vdev);
	assert_int_equal(vfio_open_bind(&w->o), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	vfio_open_close(&w->o);
	assert_int_equal(w->claimed, 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(w->dev[i].opens, 0);
		iommu_group_remove(w->ig, &w->dev[i].iommu);
		vfio_device_fini(&w->dev[i].vdev);
		iommu_device_fini(&w->dev[i].iommu);
	}
	vfio_system_free(w->s);
	iommu_group_free(w->ig);
	free(w);
	return 0;
}

/* An opener by the device's node has nothing before it holds the device. */
static void by_node(void **state)
{
	struct world *w = *state;
	struct vfio_place place;
	struct vfio_open o;

	vfio_open_close(&w->o);
	assert_int_equal(vfio_system_cdev(w->s, 2, &place), -ENOENT);
	assert_int_equal(vfio_system_cdev(w->s, 1, &place), 0);
	assert_ptr_equal(place.group, w->g);
	assert_int_equal(place.address.function, 1);
	vfio_open_init_cdev(&o, &place);
	assert_int_equal(w->claimed, 0);
	vfio_open_close(&o);
	assert_int_equal(vfio_open_hold(&o), 0);
	assert_ptr_equal(o.dev, &w->dev[1].vdev);
	assert_int_equal(w->claimed, 1);
	assert_int_equal(w->dev[1].opens, 0);
	vfio_open_let_go(&o);
	assert_int_equal(w->claimed, 0);

	/* another process has the group's file, or devices of it */
	w->refuse = 1;
	assert_int_equal(vfio_open_hold(&o), -EBUSY);
	w->refuse = 2;
	assert_int_equal(vfio_open_hold(&o), -EPERM);
	assert_int_equal(vfio_open_bind(&w->o), -EBUSY);
	vfio_group_remove_device(w->g, &w->dev[0].vdev);
	assert_int_equal(vfio_open_hold(&o), -EINVAL);
	w->refuse = 0;
	vfio_group_remove_device(w->g, &w->dev[1].vdev);
	assert_int_equal(vfio_open_hold(&o), -ENODEV);
	assert_int_equal(w->claimed, 0);
}

/* A device file and an opener by itself keep each other out; openers of the second kind do not. */
static void who_opens(void **state)
{
	struct world *w = *state;
	struct vfio_open other;

	assert_int_equal(w->claimed, 1);
	assert_int_equal(vfio_group_open(w->s, w->g), -EBUSY);
	vfio_open_init(&other, &w->dev[1].vdev);
	w->dev[1].fail = -EIO;
	assert_int_equal(vfio_open_bind(&other), -EIO);
	w->dev[1].fail = 0;
	vfio_open_close(&other); /* nothing to give back */
	assert_int_equal(vfio_open_bind(&other), 0);
	assert_int_equal(w->claimed, 1);
	vfio_open_close(&w->o);
	assert_int_equal(vfio_group_open(w->s, w->g), -EBUSY);
	assert_int_equal(w->claimed, 1);
	vfio_open_close(&other);
	assert_int_equal(w->claimed, 0);

	assert_int_equal(vfio_group_open(w->s, w->g), 0);
	assert_int_equal(vfio_open_bind(&other), -EBUSY);
	assert_int_equal(vfio_open_by_group(&w->o, w->g, "0000:01:00.0", NULL), -EINVAL);
	vfio_group_release(w->s, w->g);
	w->refuse = 1;
	assert_int_equal(vfio_open_bind(&other), -EBUSY);
	w->refuse = 0;
	assert_int_equal(vfio_open_bind(&other), 0);
	vfio_open_close(&other);
	vfio_open_init(&w->o, &w->dev[0].vdev);
	assert_int_equal(vfio_open_bind(&w->o), 0);
}

/* True if DMA of device @i reaches what is mapped at 0x10000. */
static bool reaches(struct world *w, unsigned i)
{
	uint8_t byte = 0;

	atomic_store(&w->dev[i].iommu.blocked, false);
	return !iommu_dma_read(&w->dev[i].iommu, 0x10000, &byte, 1) && byte == 77;
}

/* All of a group is in an address space from its first opener's attach to its last one's detach. */
static void address_spaces(void **state)
{
	static char mem[PAGE] __attribute__((aligned(4096))) = { 77 };
	struct world *w = *state;
	struct vfio_ioas *io = vfio_ioas_new(w->s, false), *io2 = vfio_ioas_new(w->s, false);
	struct vfio_open again, other;

	assert_int_equal(vfio_ioas_map(io, 0x10000, (uintptr_t)mem, PAGE, IOMMU_READ), 0);
	assert_int_equal(io->entries, 1);
	vfio_open_init(&again, &w->dev[0].vdev);
	vfio_open_init(&other, &w->dev[1].vdev);
	assert_int_equal(vfio_device_attach(&other, io), -EINVAL); /* not bound */
	assert_int_equal(vfio_open_bind(&again), 0);
	vfio_open_expect(&other, io);
	assert_int_equal(vfio_open_bind(&other), 0);
	assert_ptr_equal(w->dev[1].opened_for, io);
	assert_null(w->dev[0].opened_for);
	w->dev[0].refuse = -EIO;
	assert_int_equal(vfio_device_attach(&w->o, io), -EIO);
	assert_false(reaches(w, 0));
	w->dev[0].refuse = 0;
	assert_int_equal(vfio_device_attach(&w->o, io), 0);
	assert_ptr_equal(w->dev[0].in, io);
	assert_true(reaches(w, 0) && reaches(w, 1));
	assert_int_equal(vfio_device_attach(&w->o, io), -EINVAL); /* already */
	assert_int_equal(vfio_device_attach(&other, io2), -EINVAL);
	assert_int_equal(vfio_device_attach(&other, io), 0);
	assert_int_equal(vfio_device_attach(&again, io), 0);
	vfio_device_detach(&w->o);
	vfio_device_detach(&w->o);
	assert_ptr_equal(w->dev[0].in, io);
	vfio_open_close(&again);
	assert_null(w->dev[0].in);
	assert_true(reaches(w, 0) && reaches(w, 1));
	vfio_open_close(&other);
	assert_false(reaches(w, 0) || reaches(w, 1));
	assert_int_equal(vfio_device_attach(&w->o, io2), 0);
	vfio_device_detach(&w->o);
	vfio_ioas_put(io);
	vfio_ioas_put(io2);
}

/* A device that comes through its group's file is in the space of the group's container. */
static void by_group(void **state)
{
	struct world *w = *state;
	struct vfio_container *c = vfio_container_new(w->s);
	struct vfio_open o, o2;

	vfio_open_close(&w->o);
	assert_int_equal(vfio_group_open(w->s, w->g), 0);
	assert_int_equal(vfio_group_set_container(w->g, c), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	w->dev[0].refuse = -EIO;
	assert_int_equal(vfio_open_by_group(&o, w->g, "0000:01:00.0", NULL), -EIO);
	assert_int_equal(w->dev[0].opens, 0);
	w->dev[0].refuse = 0;
	assert_int_equal(vfio_open_by_group(&o, w->g, "0000:01:00.0", NULL), 0);
	assert_int_equal(vfio_open_by_group(&o2, w->g, "0000:01:00.0", NULL), 0);
	assert_ptr_equal(w->dev[0].in, vfio_container_ioas(c));
	assert_ptr_equal(w->dev[0].opened_for, w->dev[0].in);
	assert_null(w->dev[0].vdev.opens_for);
	assert_int_equal(vfio_device_attach(&o, o.ioas), -EINVAL); /* the group's affair */
	vfio_device_detach(&o);
	vfio_open_close(&o);
	assert_non_null(w->dev[0].in);
	vfio_open_close(&o2);
	assert_null(w->dev[0].in);
	vfio_group_release(w->s, w->g);
	vfio_container_put(c);
}

/* Before it is bound, an opener reaches nothing of the device. */
static void unbound(void **state)
{
	const struct vfio_irq_set_args a = { .flags = VFIO_IRQ_SET_DATA_NONE, .index = 0 };
	struct world *w = *state;
	struct vfio_region r;
	struct vfio_open o;
	struct vfio_irq irq;
	uint32_t v;

	w->dev[0].calls = 0;
	vfio_open_init(&o, &w->dev[0].vdev);
	assert_int_equal(vfio_device_region(&o, 0, &r), -EINVAL);
	assert_int_equal(vfio_device_irq(&o, 0, &irq), -EINVAL);
	assert_int_equal(vfio_device_rw(&o, 0, 0, &v, 4, false), -EINVAL);
	assert_int_equal(vfio_device_rw_client(&o, 7, 0, (uintptr_t)&v, 4, false), -EINVAL);
	assert_int_equal(vfio_device_check_map(&o, 1, 0, PAGE), -EINVAL);
	assert_int_equal(vfio_device_set_irqs(&o, &a), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(&o, 4, 0, 0, -1), -EINVAL);
	assert_int_equal(vfio_device_reset(&o), -EINVAL);
	assert_int_equal(vfio_device_slot(&o, NULL, 0), -EINVAL);
	assert_int_equal(vfio_device_slot_reset(&o), -EINVAL);
	assert_int_equal(w->dev[0].calls + w->dev[0].sets + w->dev[0].resets, 0);
	vfio_open_close(&o);
	assert_int_equal(w->dev[0].opens, 1);
}

static void regions_and_irqs(void **state)
{
	struct world *w = *state;
	struct vfio_region r;
	struct vfio_irq irq;

	assert_int_equal(vfio_device_region(&w->o, 0, &r), 0);
	assert_int_equal(r.size, BAR_SIZE);
	assert_int_equal(vfio_device_region(&w->o, 3, &r), 0);
	assert_int_equal(r.size, 0);
	assert_int_equal(vfio_device_irq(&w->o, 2, &irq), 0);
	assert_int_equal(irq.count, 4);
	w->dev[0].calls = 0;
	assert_int_equal(vfio_device_region(&w->o, 9, &r), -EINVAL);
	assert_int_equal(vfio_device_region(&w->o, UINT32_MAX, &r), -EINVAL);
	assert_int_equal(vfio_device_irq(&w->o, 5, &irq), -EINVAL);
	assert_int_equal(w->dev[0].calls, 0);
}

static void access_limits(void **state)
{
	struct world *w = *state;
	struct vfio_open *o = &w->o;
	uint8_t *buf = malloc(4 * PAGE), *page;

	sigaction(SIGSEGV, &guarded, NULL);
	page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(page + PAGE, PAGE);
	for (unsigned i = 0; i < BAR_SIZE; i++)
		w->dev[0].bar[i] = (uint8_t)(i * 7 + i / 256);
	/* as much as there is, in one piece or, for a client's memory, in many */
	assert_int_equal(vfio_device_rw(o, 0, 1, buf, 4 * PAGE, false), BAR_SIZE - 1);
	assert_memory_equal(buf, w->dev[0].bar + 1, BAR_SIZE - 1);
	assert_int_equal(w->dev[0].longest, 4 * PAGE);
	w->dev[0].longest = 0;
	memset(buf, 0, 4 * PAGE);
	assert_int_equal(vfio_device_rw_client(o, 0, 1, (uintptr_t)buf, 4 * PAGE, false),
			 BAR_SIZE - 1);
	assert_memory_equal(buf, w->dev[0].bar + 1, BAR_SIZE - 1);
	assert_int_equal(w->dev[0].longest, PAGE);
	assert_int_equal(vfio_device_rw(o, 0, BAR_SIZE, buf, 1, false), -EINVAL);
	assert_int_equal(vfio_device_rw_client(o, 0, BAR_SIZE, (uintptr_t)buf, 1, true), -EINVAL);
	assert_int_equal(vfio_device_rw(o, 9, 0, buf, 1, false), -EINVAL);
	assert_int_equal(vfio_device_rw(o, 0, 0, buf, (size_t)SSIZE_MAX + 1, false), -EINVAL);
	/* a client's memory that ends too early, for either direction */
	assert_int_equal(vfio_device_rw_client(o, 0, 0, (uintptr_t)page + PAGE - 4, 8, false),
			 -EFAULT);
	w->dev[0].bar[0] = 77;
	assert_int_equal(vfio_device_rw_client(o, 0, 0, (uintptr_t)page + PAGE - 4, 8, true),
			 -EFAULT);
	assert_int_equal(w->dev[0].bar[0], 77);
	/* config space does nothing of what runs over its end */
	buf[0] = 9;
	assert_int_equal(vfio_device_rw(o, 7, 255, buf, 2, true), -EFAULT);
	assert_int_equal(vfio_device_rw_client(o, 7, 255, (uintptr_t)buf, 2, true), -EFAULT);
	assert_int_equal(vfio_device_rw(o, 7, UINT64_MAX, buf, 2, true), -EFAULT);
	assert_int_equal(w->dev[0].config[255], 0);
	assert_int_equal(vfio_device_rw(o, 7, 255, buf, 1, true), 1);
	assert_int_equal(w->dev[0].config[255], 9);
	munmap(page, PAGE);
	free(buf);
}

static void map_limits(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t pos, len;
		int ret;
	} cases[] = {
		{ 0, 0, PAGE, -EINVAL }, /* has not the flag */
		{ 1, 0, 3 * PAGE, 0 },	 /* rounded up to pages */
		{ 1, 0, 2 * PAGE + 1, 0 },
		{ 1, 0, 3 * PAGE + 1, -EINVAL },
		{ 1, PAGE, 3 * PAGE, -EINVAL },
		{ 1, 2 * PAGE, 1, 0 },
		{ 1, 3 * PAGE, 1, -EINVAL },
		{ 1, 0, 0, -EINVAL },
		{ 1, 0, UINT64_MAX, -EINVAL },
		{ 1, UINT64_MAX - PAGE + 1, PAGE, -EINVAL },
		{ 2, 0, PAGE, 0 },
		{ 2, PAGE, PAGE, -EINVAL },
		{ 2, 2 * PAGE, PAGE, 0 },
		{ 2, 0, 3 * PAGE, -EINVAL },
		{ 3, 0, PAGE, -EINVAL }, /* absent */
		{ 4, 0, 3 * PAGE, 0 },
		{ 4, PAGE, 2 * PAGE, 0 },
		{ 4, PAGE, 3 * PAGE, -EINVAL },
		{ 4, 3 * PAGE, PAGE, -EINVAL },
		{ 4, 4 * PAGE, PAGE, 0 },
		{ 9, 0, PAGE, -EINVAL },
		{ UINT32_MAX, 0, PAGE, -EINVAL },
	};
	struct world *w = *state;
	uint64_t v;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		if (vfio_device_check_map(&w->o, cases[i].index, cases[i].pos, cases[i].len) !=
		    cases[i].ret)
			fail_msg("case %u", i);
	assert_int_equal(vfio_device_mmio(&w->o, 1, 0x123, 4, &v, false), 0);
	assert_int_equal(v, 0x12304);
	assert_int_equal(vfio_device_mmio(&w->o, 1, 0x123, 4, &v, true), -EIO);
	w->dev[0].vdev.ops = &least_ops;
	assert_int_equal(vfio_device_check_map(&w->o, 1, 0, PAGE), -EINVAL);
}

static struct {
	unsigned opens, closes, mappings;
} seen[3];

static unsigned mapper(struct vfio_open *o, void *arg, enum vfio_area_kind kind, bool open)
{
	unsigned i = *(unsigned *)arg;

	seen[i].opens += open;
	seen[i].closes += !open;
	return seen[i].mappings;
}

/* Each opener that mapped something is told of polled areas, and none that is closed. */
static void mappers(void **state)
{
	struct world *w = *state;
	struct vfio_device *dev = &w->dev[0].vdev;
	unsigned id[3] = { 0, 1, 2 };
	struct vfio_open two, other;

	memset(seen, 0, sizeof(seen));
	seen[0].mappings = 3;
	seen[1].mappings = 4;
	vfio_open_init(&two, dev);
	vfio_open_init(&other, &w->dev[1].vdev);
	assert_int_equal(vfio_open_bind(&two), 0);
	assert_int_equal(vfio_open_bind(&other), 0);
	assert_false(vfio_device_area_open(&w->o, VFIO_AREA_POLLED));
	assert_true(vfio_device_area_open(&w->o, VFIO_AREA_DIRECT));
	assert_int_equal(vfio_device_set_areas(dev, VFIO_AREA_POLLED, true), 0);
	vfio_open_set_mapper(&w->o, mapper, &id[0]);
	vfio_open_set_mapper(&other, mapper, &id[2]);
	assert_int_equal(vfio_device_set_areas(dev, VFIO_AREA_POLLED, true), 3);
	vfio_open_set_mapper(&two, mapper, &id[1]);
	vfio_open_set_mapper(&w->o, mapper, &id[0]);
	assert_int_equal(vfio_device_set_areas(dev, VFIO_AREA_POLLED, false), 7);
	vfio_open_close(&w->o);
	assert_int_equal(vfio_device_set_areas(dev, VFIO_AREA_POLLED, true), 4);
	assert_int_equal(seen[0].opens, 1);
	assert_int_equal(seen[0].closes, 1);
	assert_int_equal(seen[1].opens, 1);
	assert_int_equal(seen[1].closes, 1);
	assert_int_equal(seen[2].opens + seen[2].closes, 0);
	vfio_open_close(&two);
	vfio_open_close(&other);
	assert_int_equal(vfio_device_set_areas(dev, VFIO_AREA_POLLED, false), 0);
}

/* Areas side by side are one part. */
static void parts(void **state)
{
	struct vfio_region r = { .areas = touching, .num_areas = 4 };
	struct world *w = *state;
	uint64_t offset, size;
	struct vfio_bar bar;
	unsigned i = 0;

	assert_true(vfio_region_part(&r, &i, &offset, &size));
	assert_int_equal(offset, 0);
	assert_int_equal(size, 3 * PAGE);
	assert_true(vfio_region_part(&r, &i, &offset, &size));
	assert_int_equal(offset, 4 * PAGE);
	assert_int_equal(size, PAGE);
	assert_false(vfio_region_part(&r, &i, &offset, &size));
	i = 0;
	r.num_areas = 0;
	assert_false(vfio_region_part(&r, &i, &offset, &size));

	/* of a BAR that nobody here reaches: what of it is memory as it is */
	vfio_device_bar(&w->o, 4, 2 * PAGE + 8, &bar);
	assert_int_equal(bar.direct, PAGE - 8);
	vfio_device_bar(&w->o, 4, PAGE, &bar);
	assert_int_equal(bar.direct, 0);
	vfio_device_bar(&w->o, 4, 3 * PAGE, &bar);
	assert_int_equal(bar.direct, 0);
}

#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

static void irq_set_checks(void **state)
{
	struct world *w = *state;
	static const struct {
		uint32_t argsz, flags, index, start, count;
		int ret;
		size_t size;
	} cases[] = {
		{ 20, NONE | TRIGGER, 0, 0, 0, 0, 0 },
		{ 19, NONE | TRIGGER, 0, 0, 0, -EINVAL, 0 },
		{ 0, NONE | TRIGGER, 0, 0, 0, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, 5, 0, 0, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, UINT32_MAX, 0, 0, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, 1, 0, 0, -EINVAL, 0 }, /* no vectors: not even to disable */
		{ 20, NONE | TRIGGER, 2, 0, 4, 0, 0 },
		{ 20, NONE | TRIGGER, 2, 3, 1, 0, 0 },
		{ 20, NONE | TRIGGER, 2, 3, 0, 0, 0 },
		{ 20, NONE | TRIGGER, 2, 4, 0, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, 2, 3, 2, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, 2, 1, UINT32_MAX, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, 2, UINT32_MAX, 2, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, 2, UINT32_MAX - 1, 4, -EINVAL, 0 },
		{ 20, NONE | TRIGGER, 2, 0, UINT32_MAX, -EINVAL, 0 },
		{ 20, NONE | TRIGGER | 0x40, 0, 0, 0, -EINVAL, 0 },
		{ 20, TRIGGER, 0, 0, 0, -EINVAL, 0 },
		{ 20, NONE | BOOL | TRIGGER, 0, 0, 0, -EINVAL, 0 },
		{ 20, EVENTFD | BOOL | TRIGGER, 0, 0, 0, -EINVAL, 0 },
		{ 20, NONE, 0, 0, 0, 0, 0 }, /* no action, several: the driver's ENOTTY */
		{ 20, NONE | 0x38, 0, 0, 0, 0, 0 },
		{ 23, BOOL | TRIGGER, 2, 0, 3, 0, 3 },
		{ 22, BOOL | TRIGGER, 2, 0, 3, -EINVAL, 0 },
		{ 20, BOOL | TRIGGER, 2, 0, 0, 0, 0 },
		{ 32, EVENTFD | TRIGGER, 2, 0, 3, 0, 12 },
		{ 31, EVENTFD | TRIGGER, 2, 0, 3, -EINVAL, 0 },
		{ UINT32_MAX, EVENTFD | TRIGGER, 2, 1, 3, 0, 12 },
	};
	struct vfio_irq_set_args a = { .flags = EVENTFD | TRIGGER, .index = 2, .count = 2 };
	int32_t fds[2] = { -1, -1 };
	size_t size;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		size = 99;
		if (vfio_device_check_irqs(&w->o, cases[i].argsz, cases[i].flags, cases[i].index,
					   cases[i].start, cases[i].count, &size) != cases[i].ret ||
		    size != cases[i].size)
			fail_msg("case %u: size %zu", i, size);
	}
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), -EINVAL);
	assert_int_equal(w->dev[0].sets, 0);
	a.data = fds;
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), 0);
	a.start = 3;
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), -EINVAL);
	assert_int_equal(w->dev[0].sets, 1);
	a.count = 1;
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), 7);
}

/* What a user wants to go wrong (fault/fault.h). */
static void irqs_injected(void **state)
{
	struct world *w = *state;
	int32_t fds[4] = { -1, -1, -1, -1 };
	struct vfio_irq_set_args a = {
		.flags = EVENTFD | TRIGGER, .index = 2, .count = 4, .data = fds
	};

	faults_begin(1);
	faults_add("irqs=short,times=1");
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), 2);
	assert_int_equal(w->dev[0].sets, 0);
	a.count = 1;
	faults_add("irqs=short,times=1");
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), -ENOSPC);
	/* so many can be had */
	faults_add("irqs=short:1,times=1");
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), 0);
	faults_add("irqs=ENOMEM");
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), -ENOMEM);
	a.flags = NONE | TRIGGER;
	assert_int_equal(vfio_device_set_irqs(&w->o, &a), 0);
	faults_end();
}

static void ioeventfds(void **state)
{
	struct world *w = *state;

	for (uint32_t flags = 0; flags < 32; flags++) {
		w->dev[0].size = 0;
		if (flags == 1 || flags == 2 || flags == 4 || flags == 8) {
			assert_int_equal(vfio_device_ioeventfd(&w->o, flags, 0, 0, 3), 0);
			assert_int_equal(w->dev[0].size, flags);
		} else {
			assert_int_equal(vfio_device_ioeventfd(&w->o, flags, 0, 0, 3), -EINVAL);
			assert_int_equal(w->dev[0].size, 0);
		}
	}
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0, 0, -1), 0);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0, 0, -2), -EINVAL);
	w->dev[0].vdev.ops = &least_ops;
	assert_int_equal(vfio_device_ioeventfd(&w->o, 3, 0, 0, -1), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0, 0, -1), -ENOTTY);
}

static int fake_set_vf_token(struct vfio_device *dev, const uint8_t uuid[16])
{
	return uuid[15];
}

static void features(void **state)
{
	const struct vfio_device_ops pf_ops = { .open = fake_open,
						.close = fake_close,
						.set_vf_token = fake_set_vf_token };
	const uint8_t token[16] = { [15] = 7 };
	struct world *w = *state;
	struct vfio_open o;

	assert_false(vfio_device_has_vf_token(&w->o));
	assert_int_equal(vfio_device_set_vf_token(&w->o, token), -ENOTTY);
	w->dev[0].vdev.ops = &pf_ops;
	assert_true(vfio_device_has_vf_token(&w->o));
	assert_int_equal(vfio_device_set_vf_token(&w->o, token), 7);
	vfio_open_init(&o, &w->dev[0].vdev);
	assert_int_equal(vfio_device_set_vf_token(&o, token), -ENOTTY);
	w->dev[0].vdev.ops = &full_ops;
}

static void resets(void **state)
{
	struct world *w = *state;
	struct vfio_place at[2];

	assert_int_equal(vfio_device_reset(&w->o), 0);
	assert_int_equal(w->dev[0].resets, 1);
	w->dev[0].vdev.flags = VFIO_DEVICE_FLAGS_PCI;
	assert_int_equal(vfio_device_reset(&w->o), -EINVAL);
	assert_int_equal(w->dev[0].resets, 1);
	assert_int_equal(vfio_device_slot(&w->o, at, 2), 2);
	assert_ptr_equal(at[1].dev, &w->dev[1].vdev);
	assert_int_equal(vfio_device_slot_reset(&w->o), 0);
	assert_int_equal(w->dev[0].slot_resets, 1);
	assert_int_equal(w->dev[1].slot_resets, 1);
	w->dev[1].vdev.ops = &least_ops;
	assert_int_equal(vfio_device_slot(&w->o, at, 2), 2);
	assert_int_equal(vfio_device_slot_reset(&w->o), -EINVAL);
	w->dev[0].vdev.ops = &least_ops;
	assert_int_equal(vfio_device_slot(&w->o, at, 2), -ENODEV);
	assert_int_equal(w->dev[0].slot_resets, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_opens, setup, teardown),
		cmocka_unit_test_setup_teardown(address_spaces, setup, teardown),
		cmocka_unit_test_setup_teardown(by_group, setup, teardown),
		cmocka_unit_test_setup_teardown(unbound, setup, teardown),
		cmocka_unit_test_setup_teardown(regions_and_irqs, setup, teardown),
		cmocka_unit_test_setup_teardown(access_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(map_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(mappers, setup, teardown),
		cmocka_unit_test_setup_teardown(by_node, setup, teardown),
		cmocka_unit_test_setup_teardown(parts, setup, teardown),
		cmocka_unit_test_setup_teardown(irq_set_checks, setup, teardown),
		cmocka_unit_test_setup_teardown(irqs_injected, setup, teardown),
		cmocka_unit_test_setup_teardown(ioeventfds, setup, teardown),
		cmocka_unit_test_setup_teardown(features, setup, teardown),
		cmocka_unit_test_setup_teardown(resets, setup, teardown),
	};

	if (guard_install() || sigaction(SIGSEGV, NULL, &guarded))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
