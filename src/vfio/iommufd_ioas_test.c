/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_ioas_test.c: mappings of an iommufd: that devices reach the memory, what is counted,
 * places without FIXED, copies, and many of them. (Which error wins is tests/iommufd's.)
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/test_signals.h"
#include "vfio/iommu_hw.h"
#include "vfio/iommufd_objects.h"
#include "vfio/test_iommufd.h"
#include "vfio/test_mappings.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static uint64_t limit = UINT64_MAX;

static uint64_t memlock(void *arg, uint64_t want)
{
	return limit;
}

static const struct vfio_env env = { .memlock = memlock, .dma_entry_limit = 10 };

struct fixture {
	struct test_machine *t;
	struct vfio_iommufd *ictx;
	struct vfio_open open;
	struct vfio_device *dev;
	uint32_t a, b, dev_id; /* two IOASes */
	char *mem;	       /* 64 pages */
};

static uint32_t new_ioas(struct vfio_iommufd *ictx)
{
	uint32_t id = 0;

	assert_int_equal(vfio_iommufd_ioas_alloc(ictx, &id), 0);
	vfio_iommufd_publish(ictx, id);
	return id;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	limit = UINT64_MAX;
	if (test_machine_new_env((void **)&f->t, &env, NULL))
		return -1;
	f->ictx = vfio_iommufd_new(f->t->sys);
	f->dev = &f->t->dev[0].vdev;
	f->a = new_ioas(f->ictx);
	f->b = new_ioas(f->ictx);
	vfio_open_init(&f->open, f->dev);
	assert_int_equal(test_bind(&f->open, f->ictx, &f->dev_id), 0);
	f->mem = mmap(NULL, 64 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*state = f;
	return guard_install();
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *t = f->t;

	vfio_open_close(&f->open);
	vfio_iommufd_put(f->ictx);
	assert_int_equal(atomic_load(&f->t->sys->ioases.pages_locked), 0);
	assert_int_equal(atomic_load(&f->t->sys->ioases.mappings), 0);
	assert_true(cds_list_empty(&f->t->sys->ioases.spaces));
	test_machine_free(&t);
	munmap(f->mem, 64 * K);
	free(f);
	return 0;
}

static uint64_t locked(struct fixture *f)
{
	return atomic_load(&f->t->sys->ioases.pages_locked);
}

static int map(struct fixture *f, uint32_t ioas, uint64_t iova, const char *mem, uint64_t pages)
{
	return vfio_iommufd_ioas_map(f->ictx, ioas, (uintptr_t)mem, pages * K, RW, true, &iova);
}

static int unmap(struct fixture *f, uint32_t ioas, uint64_t iova, uint64_t pages)
{
	uint64_t bytes;

	return vfio_iommufd_ioas_unmap(f->ictx, ioas, iova, pages * K, &bytes);
}

static int copy(struct fixture *f, uint32_t from, uint64_t src, uint32_t to, uint64_t dst,
		uint64_t pages)
{
	struct iommu_ioas_copy c = { .flags = IOMMU_IOAS_MAP_FIXED_IOVA,
				     .src_ioas_id = from,
				     .dst_ioas_id = to,
				     .src_iova = src,
				     .length = pages * K };

	return vfio_iommufd_ioas_copy(f->ictx, &c, RW, &dst);
}

static uint32_t attach(struct fixture *f, uint32_t pt)
{
	assert_int_equal(vfio_iommufd_attach(f->dev, &pt, NULL), 0);
	return pt;
}

static uint32_t new_hwpt(struct fixture *f, uint32_t ioas)
{
	struct iommu_hwpt_alloc c = { .dev_id = f->dev_id, .pt_id = ioas };
	uint32_t id;

	assert_int_equal(vfio_iommufd_hwpt_alloc(f->ictx, &c, &id), 0);
	vfio_iommufd_publish(f->ictx, id);
	return id;
}

/* True if the device reads @want at @iova. */
static bool reads(struct fixture *f, uint64_t iova, char want)
{
	char c = 0;

	return !iommu_dma_read(f->dev->iommu, iova, &c, 1) && c == want;
}

static void devices_reach_it(void **state)
{
	struct fixture *f = *state;
	uint32_t auto_pt, other;

	memset(f->mem, 'x', 64 * K);
	assert_int_equal(map(f, f->a, 0x100000, f->mem, 4), 0);
	assert_int_equal(locked(f), 0); /* nobody looks at it yet */
	auto_pt = attach(f, f->a);
	assert_int_equal(locked(f), 4);
	assert_true(reads(f, 0x100000, 'x'));
	assert_true(reads(f, 0x103fff, 'x'));
	assert_false(reads(f, 0x104000, 'x'));
	assert_int_equal(map(f, f->a, 0x104000, f->mem + 4 * K, 1), 0);
	assert_true(reads(f, 0x104000, 'x'));
	assert_int_equal(unmap(f, f->a, 0x100000, 5), 0);
	assert_int_equal(locked(f), 0);
	assert_false(reads(f, 0x100000, 'x'));
	/* another page table of the same IOAS has the same memory, counted once */
	assert_int_equal(map(f, f->a, 0, f->mem, 8), 0);
	other = new_hwpt(f, f->a);
	assert_int_equal(locked(f), 8);
	assert_int_equal(attach(f, other), other);
	assert_int_equal(vfio_iommufd_destroy(f->ictx, auto_pt), -ENOENT);
	assert_true(reads(f, 0, 'x'));
	assert_int_equal(map(f, f->a, 0x10000, f->mem + 16 * K, 1), 0);
	assert_true(reads(f, 0x10000, 'x'));
	/* without one nothing is pinned; the mappings stay */
	assert_int_equal(vfio_iommufd_detach(f->dev, NULL), 0);
	assert_int_equal(locked(f), 9);
	assert_int_equal(vfio_iommufd_destroy(f->ictx, other), 0);
	assert_int_equal(locked(f), 0);
	assert_false(reads(f, 0, 'x'));
	attach(f, f->a);
	assert_true(reads(f, 0x10000, 'x'));
}

static void what_cannot_be_pinned(void **state)
{
	struct fixture *f = *state;
	uint32_t pt = f->a;

	limit = 8 * K;
	assert_int_equal(map(f, f->a, 0, f->mem, 9), 0);
	assert_int_equal(vfio_iommufd_attach(f->dev, &pt, NULL), -ENOMEM);
	assert_int_equal(locked(f), 0);
	assert_int_equal(unmap(f, f->a, 0, 9), 0);
	attach(f, f->a);
	assert_int_equal(map(f, f->a, 0, f->mem, 4), 0);
	assert_int_equal(map(f, f->a, 0x10000, f->mem, 4), 0); /* the same memory counts again */
	assert_int_equal(map(f, f->a, 0x20000, f->mem, 1), -ENOMEM);
	assert_int_equal(copy(f, f->a, 0, f->a, 0x30000, 4), 0); /* a copy does not */
	assert_int_equal(locked(f), 8);
	assert_int_equal(unmap(f, f->a, 0, 4), 0);
	assert_int_equal(locked(f), 8);
	assert_int_equal(unmap(f, f->a, 0x30000, 4), 0);
	assert_int_equal(locked(f), 4);
	/* bad memory is an error, before the limit and not behind it */
	mprotect(f->mem + 33 * K, K, PROT_NONE);
	assert_int_equal(map(f, f->a, 0x40000, f->mem + 32 * K, 2), -EFAULT);
	assert_int_equal(map(f, f->a, 0x40000, f->mem + 32 * K, 8), -EFAULT);
	assert_int_equal(map(f, f->a, 0x40000, f->mem + 28 * K, 8), -ENOMEM);
	assert_int_equal(locked(f), 4);
	/* an IOAS with bad memory keeps its devices away, and the old one */
	assert_int_equal(map(f, f->b, 0, f->mem + 33 * K, 1), 0);
	pt = f->b;
	assert_int_equal(vfio_iommufd_attach(f->dev, &pt, NULL), -EFAULT);
	assert_int_equal(vfio_iommufd_destroy(f->ictx, f->a), -EBUSY);
}

/* A copy of a part, pinned by another area or not. */
static void parts(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 64; i++)
		f->mem[i * K] = (char)(i + 1);
	assert_int_equal(map(f, f->a, 0, f->mem, 8), 0);
	assert_int_equal(map(f, f->a, 8 * K, f->mem + 32 * K, 8), 0);
	attach(f, f->b);
	assert_int_equal(copy(f, f->a, 2 * K, f->b, 2 * K, 2), 0);
	assert_int_equal(locked(f), 2);
	assert_int_equal(copy(f, f->a, 0, f->b, 0x100000, 16), 0); /* 2 of them pinned, 14 not */
	assert_int_equal(locked(f), 16);
	for (unsigned i = 0; i < 16; i++)
		assert_true(reads(f, 0x100000 + i * K, (char)(i < 8 ? i + 1 : i + 25)));
	assert_true(reads(f, 3 * K, 4));
	assert_int_equal(copy(f, f->a, 12 * K, f->b, 0x200000, 5), -ENOENT);
	assert_int_equal(vfio_iommufd_destroy(f->ictx, f->a), 0);
	assert_true(reads(f, 0x100000, 1));
	assert_int_equal(unmap(f, f->b, 0x100000, 8), 0);
	assert_int_equal(locked(f), 10);
	assert_true(reads(f, 3 * K, 4));
}

static void *move_away(void *old, uint64_t len, void *arg)
{
	return mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, arg);
}

/* The program unmaps its view: devices keep the memory, and so do copies that are made then. */
static void memory_that_moved(void **state)
{
	struct fixture *f = *state;
	char *place = mmap(NULL, 4 * K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t second;

	memset(f->mem, 'm', 4 * K);
	assert_int_equal(map(f, f->a, 0, f->mem, 4), 0);
	attach(f, f->a);
	vfio_preserve_pages(f->t->sys, f->mem, 4 * K, move_away, place);
	assert_ptr_equal(mmap(f->mem, 4 * K, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 f->mem);
	assert_true(reads(f, 3 * K, 'm'));
	assert_int_equal(copy(f, f->a, K, f->a, 0x100000, 2), 0);
	assert_true(reads(f, 0x100000, 'm'));
	second = new_hwpt(f, f->a);
	attach(f, second);
	assert_true(reads(f, 3 * K, 'm'));
	assert_true(reads(f, 0x101000, 'm'));
	assert_int_equal(unmap(f, f->a, 0, 4), 0);
	assert_true(reads(f, 0x101000, 'm'));
	assert_int_equal(unmap(f, f->a, 0x100000, 2), 0);
	assert_int_equal(msync(place, 4 * K, MS_ASYNC), -1); /* the last user took it along */
	assert_int_equal(f->mem[0], 0);
}

/* Memory that was named for writing must allow it, also for a copy that only reads. */
static void copy_to_read(void **state)
{
	struct fixture *f = *state;
	struct iommu_ioas_copy c = {
		.src_ioas_id = f->a, .dst_ioas_id = f->b, .dst_iova = K, .length = K
	};
	uint64_t iova = 4 * K;

	assert_int_equal(mprotect(f->mem, K, PROT_READ), 0);
	assert_int_equal(map(f, f->a, 0, f->mem, 1), 0);
	attach(f, f->b);
	assert_int_equal(vfio_iommufd_ioas_copy(f->ictx, &c, IOMMU_READ, &iova), -EFAULT);
	assert_int_equal(locked(f), 0);
	assert_int_equal(
		vfio_iommufd_ioas_map(f->ictx, f->b, (uintptr_t)f->mem, K, IOMMU_READ, true, &iova),
		0);
}

static void files(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("t", MFD_CLOEXEC), null = open("/dev/null", O_RDWR);
	uint64_t iova = 0;
	char c = 'q';

	assert_int_equal(ftruncate(fd, (off_t)(4 * K)), 0);
	assert_int_equal(pwrite(fd, "f", 1, (off_t)K), 1);
	assert_int_equal(
		vfio_iommufd_ioas_map_file(f->ictx, f->a, fd, false, K, 2 * K, RW, true, &iova), 0);
	close(fd);
	attach(f, f->a);
	assert_int_equal(locked(f), 2);
	assert_true(reads(f, 0, 'f'));
	assert_int_equal(iommu_dma_write(f->dev->iommu, K, &c, 1), 0);
	assert_int_equal(copy(f, f->a, 0, f->a, 0x100000, 2), 0);
	assert_int_equal(locked(f), 2);
	assert_true(reads(f, 0x101000, 'q'));
	assert_int_equal(vfio_iommufd_change_process(f->ictx), 0);
	iova = 0x200000;
	assert_int_equal(
		vfio_iommufd_ioas_map_file(f->ictx, f->a, null, false, 0, K, RW, true, &iova),
		-EINVAL);
	assert_int_equal(
		vfio_iommufd_ioas_map_file(f->ictx, f->b, null, false, 0, K, RW, true, &iova), 0);
	close(null);
}

static void places(void **state)
{
	struct fixture *f = *state;
	struct vfio_iommufd_allowed list = { 0 };
	uint64_t at[3], page = 0;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vfio_iommufd_ioas_map(f->ictx, f->a, (uintptr_t)f->mem, K, RW,
						       false, &at[i]),
				 0);
	assert_int_equal(at[0], K); /* never 0 */
	assert_int_equal(at[1], 2 * K);
	assert_int_equal(at[2], 3 * K);
	assert_int_equal(unmap(f, f->a, at[1], 1), 0);
	assert_int_equal(
		vfio_iommufd_ioas_map(f->ictx, f->a, (uintptr_t)f->mem, K, RW, false, &page), 0);
	assert_int_equal(page, at[1]);
	assert_int_equal(map(f, f->a, 0, f->mem, 1), 0);
	assert_int_equal(vfio_iommufd_allowed_add(&list, 0x50000, 0x50fff), 0);
	assert_int_equal(vfio_iommufd_allowed_add(&list, 0x50fff, 0x60000), -EINVAL);
	assert_int_equal(vfio_iommufd_ioas_allow(f->ictx, f->a, &list), 0);
	assert_int_equal(
		vfio_iommufd_ioas_map(f->ictx, f->a, (uintptr_t)f->mem, K, RW, false, &page), 0);
	assert_int_equal(page, 0x50000);
	assert_int_equal(
		vfio_iommufd_ioas_map(f->ictx, f->a, (uintptr_t)f->mem, K, RW, false, &page),
		-ENOSPC);
}

/* A mapping that is cut stops an unmap, and what came before it is gone. */
static void cut(void **state)
{
	struct fixture *f = *state;
	uint64_t bytes;

	attach(f, f->a);
	assert_int_equal(map(f, f->a, 0, f->mem, 4), 0);
	assert_int_equal(map(f, f->a, 4 * K, f->mem, 2), 0);
	assert_int_equal(vfio_iommufd_ioas_unmap(f->ictx, f->a, 0, 5 * K, &bytes), -ENOENT);
	assert_int_equal(map(f, f->a, 0, f->mem, 4), 0);
	assert_int_equal(vfio_iommufd_ioas_unmap(f->ictx, f->a, K, 5 * K, &bytes), -ENOENT);
	assert_int_equal(vfio_iommufd_ioas_unmap(f->ictx, f->a, 0, UINT64_MAX, &bytes), 0);
	assert_int_equal(bytes, 6 * K);
}

/* As many as type1 would not take: with FIXED and a device, and without both; then attached. */
static void many(void **state)
{
	struct fixture *f = *state;
	uint64_t count = test_mappings(), bytes, iova;
	double start, mapped, unmapped, placed, attached;

	attach(f, f->a);
	start = test_processor_time();
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(map(f, f->a, (1ull << 32) + 2 * i * K, f->mem, 1), 0);
	mapped = test_processor_time();
	assert_int_equal(locked(f), count);
	assert_int_equal(vfio_iommufd_ioas_unmap(f->ictx, f->a, 0, UINT64_MAX, &bytes), 0);
	assert_int_equal(bytes, count * K);
	unmapped = test_processor_time();
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(vfio_iommufd_ioas_map(f->ictx, f->b, (uintptr_t)f->mem, K, RW,
						       false, &iova),
				 0);
	placed = test_processor_time();
	attach(f, f->b);
	attached = test_processor_time();
	assert_int_equal(locked(f), count);
	print_message("an IOAS, %lu mappings: map %.2f s, unmap all %.2f s; no device, no FIXED: "
		      "map %.2f s, attach %.2f s\n",
		      count, mapped - start, unmapped - mapped, placed - unmapped,
		      attached - placed);
}

static uint64_t found;

static int note(void *arg, uint64_t iova, const uint64_t *bits, unsigned words)
{
	found |= bits[0] << (iova - *(uint64_t *)arg) / K;
	return 0;
}

static int refuse(void *arg, uint64_t iova, const uint64_t *bits, unsigned words)
{
	return -EFAULT;
}

/* With hardware for it: which pages a device wrote. */
static void dirty(void **state)
{
	struct fixture *f = *state;
	struct iommu_hwpt_alloc c = { .dev_id = f->dev_id,
				      .pt_id = f->a,
				      .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING };
	struct iommu_hwpt_get_dirty_bitmap g = { .length = 8 * K, .page_size = K };
	struct vfio_iommufd_hw_info info;
	uint64_t base = 0;
	uint32_t id;

	assert_int_equal(vfio_iommufd_hwpt_alloc(f->ictx, &c, &id), -EOPNOTSUPP);
	assert_int_equal(vfio_iommu_choose("dirty-tracking"), -EINVAL);
	assert_int_equal(vfio_iommu_choose("dirty-tracking=on"), 0);
	assert_int_equal(vfio_iommufd_hw_info(f->ictx, f->dev_id, &info), 0);
	assert_true(info.capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	assert_int_equal(vfio_iommufd_hwpt_alloc(f->ictx, &c, &id), 0);
	vfio_iommufd_publish(f->ictx, id);
	g.hwpt_id = id;
	attach(f, id);
	assert_int_equal(map(f, f->a, 0, f->mem, 4), 0);
	assert_int_equal(map(f, f->a, 4 * K, f->mem + 8 * K, 4), 0);
	assert_int_equal(vfio_iommufd_get_dirty_bitmap(f->ictx, &g, note, &base), -EINVAL);
	assert_int_equal(vfio_iommufd_set_dirty_tracking(f->ictx, id, true), 0);
	assert_int_equal(iommu_dma_write(f->dev->iommu, 3 * K + 4095, "ab", 2), 0);
	g.flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	assert_int_equal(vfio_iommufd_get_dirty_bitmap(f->ictx, &g, note, &base), 0);
	assert_int_equal(found, 3 << 3);
	g.flags = found = 0;
	/* what could not be told is told the next time */
	assert_int_equal(vfio_iommufd_get_dirty_bitmap(f->ictx, &g, refuse, &base), -EFAULT);
	assert_int_equal(vfio_iommufd_get_dirty_bitmap(f->ictx, &g, note, &base), 0);
	assert_int_equal(found, 3 << 3);
	found = 0;
	assert_int_equal(vfio_iommufd_get_dirty_bitmap(f->ictx, &g, note, &base), 0);
	assert_int_equal(found, 0);
	/* before a hole */
	assert_int_equal(iommu_dma_write(f->dev->iommu, 0, "a", 1), 0);
	g.length = 16 * K;
	assert_int_equal(vfio_iommufd_get_dirty_bitmap(f->ictx, &g, note, &base), -EINVAL);
	assert_int_equal(found, 1);
	assert_int_equal(vfio_iommufd_set_dirty_tracking(f->ictx, id, false), 0);
	vfio_iommu_choose("dirty-tracking=off");
	/* one that was made without has none */
	assert_int_equal(vfio_iommufd_set_dirty_tracking(f->ictx, new_hwpt(f, f->b), true),
			 -EOPNOTSUPP);
}

static int outside_attach(struct vfio_device *dev, struct vfio_ioas *io)
{
	return 0;
}

static void outside_detach(struct vfio_device *dev, struct vfio_ioas *io)
{
}

static void no_map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
}

static int do_map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	return 0;
}

/* A hole, an end, and no more pages than of 4 KiB. */
static void narrow(struct vfio_ioas_listener *l, struct vfio_ioas_limits *out)
{
	*out = (struct vfio_ioas_limits){ .num_ranges = 2,
					  .ranges = { { 0, 0x1fff }, { 0x4000, 0xfffff } },
					  .pgsizes = K,
					  .avail = UINT32_MAX };
}

/* A device whose DMA passes another IOMMU: that one's ranges, and no word of what it wrote. */
static void outside(void **state)
{
	static const struct vfio_device_ops ops = { .open = test_dev_open,
						    .close = test_dev_close,
						    .attach = outside_attach,
						    .detach = outside_detach };
	struct vfio_ioas_listener l = { .map = do_map, .unmap = no_map, .limits = narrow };
	struct fixture *f = *state;
	struct iommu_hwpt_alloc c = { .dev_id = f->dev_id,
				      .pt_id = f->a,
				      .flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING };
	struct iommu_iova_range r[VFIO_IOAS_RANGES];
	struct vfio_iommufd_hw_info info;
	uint64_t align, at;
	uint32_t id, dirty_id;
	unsigned n;

	vfio_iommu_choose("dirty-tracking=on");
	assert_int_equal(vfio_iommufd_hwpt_alloc(f->ictx, &c, &dirty_id), 0);
	vfio_iommufd_publish(f->ictx, dirty_id);
	f->dev->ops = &ops;
	assert_int_equal(vfio_iommufd_hw_info(f->ictx, f->dev_id, &info), 0);
	assert_false(info.capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	assert_int_equal(vfio_iommufd_hwpt_alloc(f->ictx, &c, &id), -EOPNOTSUPP);
	assert_int_equal(vfio_iommufd_attach(f->dev, &dirty_id, NULL), -EINVAL);
	id = attach(f, f->a);
	assert_int_equal(vfio_iommufd_attach(f->dev, &dirty_id, NULL), -EINVAL);
	vfio_iommu_choose("dirty-tracking=off");

	assert_int_equal(vfio_iommufd_ioas_ranges(f->ictx, f->a, r, &n, &align), 0);
	assert_int_equal(n, 2);
	assert_int_equal(vfio_ioas_listen(f->t->group->ioas, &l), 0);
	assert_int_equal(vfio_iommufd_ioas_ranges(f->ictx, f->a, r, &n, &align), 0);
	assert_int_equal(n, 2);
	assert_int_equal(r[0].last, 0x1fff);
	assert_int_equal(r[1].start, 0x4000);
	assert_int_equal(r[1].last, 0xfffff);
	assert_int_equal(map(f, f->a, 0x2000, f->mem, 1), -EINVAL);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			vfio_iommufd_ioas_map(f->ictx, f->a, (uintptr_t)f->mem, K, RW, false, &at),
			0);
	assert_int_equal(at, 0x4000); /* after 0x1000 */
	vfio_ioas_unlisten(f->t->group->ioas, &l);
	assert_int_equal(vfio_iommufd_ioas_map(f->ictx, f->a, (uintptr_t)f->mem, K, RW, false, &at),
			 0);
	assert_int_equal(at, 0x2000);
	assert_int_equal(vfio_iommufd_detach(f->dev, NULL), 0);
	f->dev->ops = &test_dev_ops;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(devices_reach_it),
		TEST(what_cannot_be_pinned),
		TEST(parts),
		TEST(memory_that_moved),
		TEST(copy_to_read),
		TEST(files),
		TEST(places),
		TEST(cut),
		TEST(many),
		TEST(dirty),
		TEST(outside),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
