/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/uapi_test.c: the ABI layer against a device of the test's own and a table of "descriptors"
 * that is an array: sizes, order of checks, capability chains, bad pointers, who keeps whom open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "uapi/internal.h"
#include "vfio/kernel.h"
#include "vfio/type1.h"

#define BAD_PTR 8ul /* page 0 is never mapped */

struct fake {
	struct vfio_device vdev;
	struct iommu_device iommu;
	int opens, resets;
	uint8_t bar[3 * 4096 + 100];
	uint8_t config[4096];
	struct vfio_irq_set_args last;
	int32_t last_fds[4];
	uint8_t token[16];
	unsigned tokens;
};

static const struct vfio_region_area areas[] = {
	{ .offset = 0, .size = 4096 },
	{ .offset = 8192, .size = 4096 },
};

static struct fake *fake_of(struct vfio_device *dev)
{
	return container_of_type(dev, struct fake, vdev);
}

static int fake_open(struct vfio_device *dev)
{
	fake_of(dev)->opens++;
	return 0;
}

static void fake_close(struct vfio_device *dev)
{
	fake_of(dev)->opens--;
}

static int fake_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	if (index >= 9)
		return -EINVAL;
	if (index == 0)
		*out = (struct vfio_region){ .flags = 3, .size = sizeof(fake_of(dev)->bar) };
	if (index == 2)
		*out = (struct vfio_region){ .flags = 7,
					     .size = 12288,
					     .areas = areas,
					     .num_areas = 2,
					     .msix_mappable = true };
	if (index == 5) /* one that is no BAR, wherever it is */
		*out = (struct vfio_region){ .flags = 3, .size = 8, .type = 9, .subtype = 6 };
	if (index == 7)
		*out = (struct vfio_region){ .flags = 3, .size = 4096 };
	return 0;
}

static int fake_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out)
{
	if (index >= 5)
		return -EINVAL;
	*out = (struct vfio_irq){ .flags = VFIO_IRQ_INFO_EVENTFD, .count = index == 2 ? 4 : 1 };
	return 0;
}

static ssize_t fake_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
		       size_t count, bool write)
{
	struct fake *k = fake_of(dev);
	uint8_t *mem = index == 7 ? k->config : k->bar;
	uint64_t size = index == 7 ? sizeof(k->config) : sizeof(k->bar);

	if (index != 7 && index != 0)
		return -EIO;
	if (pos >= size)
		return -EINVAL;
	if (count > size - pos)
		count = size - pos;
	if (write)
		memcpy(mem + pos, buf, count);
	else
		memcpy(buf, mem + pos, count);
	return (ssize_t)count;
}

static int fake_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	struct fake *k = fake_of(dev);

	k->last = *a;
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		memcpy(k->last_fds, a->data, a->count * sizeof(int32_t));
	return a->start == 3 ? 2 : 0;
}

static int fake_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		     uint64_t *value, bool write)
{
	if (index != 2 || write)
		return -EIO;
	*value = pos << 8 | size;
	return 0;
}

static int fake_reset(struct vfio_device *dev)
{
	fake_of(dev)->resets++;
	return 0;
}

static int fake_set_vf_token(struct vfio_device *dev, const uint8_t uuid[16])
{
	memcpy(fake_of(dev)->token, uuid, 16);
	fake_of(dev)->tokens++;
	return 0;
}

static int fake_check_token(struct vfio_device *dev, const uint8_t *uuid)
{
	if (!uuid)
		return -EACCES;
	memcpy(fake_of(dev)->token, uuid, 16);
	fake_of(dev)->tokens++;
	return 0;
}

static uint32_t atomics; /* what the device says */
static uint32_t fake_atomics(struct vfio_device *dev)
{
	return atomics;
}

static const struct vfio_device_ops fake_ops = {
	.open = fake_open,
	.close = fake_close,
	.region = fake_region,
	.irq = fake_irq,
	.rw = fake_rw,
	.set_irqs = fake_set_irqs,
	.reset = fake_reset,
	.mmio = fake_mmio,
	.set_vf_token = fake_set_vf_token,
	.atomics = fake_atomics,
};

static const struct vfio_device_ops fake_token_ops = {
	.open = fake_open,
	.close = fake_close,
	.check_token = fake_check_token,
};

struct world {
	struct vfio_system *sys;
	struct iommu_group *ig;
	struct vfio_group *group;
	struct fake dev;
	struct uapi_file *fds[16];
	struct uapi_fds table;
	char *mem; /* two pages, the second one not accessible */
};

static struct uapi_file *table_fget(void *arg, int fd, int *err)
{
	struct world *w = arg;

	*err = 0;
	if (fd == 15) /* open, but somebody else's */
		return NULL;
	if (fd < 0 || fd >= 15 || !w->fds[fd]) {
		*err = -EBADF;
		return NULL;
	}
	uapi_file_get(w->fds[fd]);
	return w->fds[fd];
}

static int table_install(void *arg, struct uapi_file *f, int flags)
{
	struct world *w = arg;
	int fd;

	for (fd = 0; fd < 15; fd++)
		if (!w->fds[fd]) {
			w->fds[fd] = f;
			return fd;
		}
	return -EMFILE;
}

/* cmocka takes SIGSEGV over at each test: take it back for the guarded copies */
static struct sigaction guarded;

static int open_fd(struct world *w, const char *path)
{
	struct uapi_file *f;
	int ret;

	sigaction(SIGSEGV, &guarded, NULL);
	ret = uapi_open(w->sys, &w->table, path, 2, &f);

	return ret ? ret : table_install(w, f, 2);
}

static void close_fd(struct world *w, int fd)
{
	struct uapi_file *f = w->fds[fd];

	w->fds[fd] = NULL;
	uapi_file_put(f);
}

static long ioc(struct world *w, int fd, unsigned cmd, void *arg)
{
	return uapi_ioctl(w->fds[fd], cmd, (unsigned long)arg);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	w->sys = vfio_system_new(NULL, NULL);
	w->ig = iommu_group_new(7);
	iommu_device_init(&w->dev.iommu, "0000:01:00.0");
	assert_int_equal(iommu_group_add(w->ig, &w->dev.iommu), 0);
	vfio_device_init(&w->dev.vdev, &fake_ops, "0000:01:00.0", &w->dev.iommu);
	w->dev.vdev.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	w->dev.vdev.num_regions = 9;
	w->dev.vdev.num_irqs = 5;
	assert_int_equal(vfio_system_add_group(w->sys, w->ig, &w->group), 0);
	assert_int_equal(vfio_group_add_device(w->group, &w->dev.vdev), 0);
	w->table = (struct uapi_fds){ table_fget, table_install, w };
	w->mem = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(w->mem + 4096, 4096, PROT_NONE);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	int fd;

	for (fd = 0; fd < 15; fd++)
		if (w->fds[fd])
			close_fd(w, fd);
	assert_int_equal(w->dev.opens, 0);
	vfio_system_free(w->sys);
	vfio_device_fini(&w->dev.vdev);
	iommu_group_free(w->ig);
	iommu_device_fini(&w->dev.iommu);
	munmap(w->mem, 8192);
	free(w);
	return 0;
}

/* container 0, group 1, device 2 */
static void open_all(struct world *w)
{
	int c = open_fd(w, "/dev/vfio/vfio"), g = open_fd(w, "/dev/vfio/7");

	assert_int_equal(c, 0);
	assert_int_equal(g, 1);
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, &c), 0);
	assert_int_equal(ioc(w, c, VFIO_SET_IOMMU, (void *)3), 0);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"), 2);
}

static void test_open(void **state)
{
	struct world *w = *state;
	int g;

	assert_int_equal(open_fd(w, "/dev/vfio/8"), -ENOENT);
	assert_int_equal(open_fd(w, "/dev/vfio/07"), -ENOENT);
	assert_int_equal(open_fd(w, "/dev/vfio/+7"), -ENOENT);
	assert_int_equal(open_fd(w, "/dev/vfio/99999999999999999999"), -ENOENT);
	assert_int_equal(open_fd(w, "/dev/vfio/"), -ENOENT);
	assert_int_equal(open_fd(w, "/dev/null"), -ENOENT);
	g = open_fd(w, "/dev/vfio/7");
	assert_true(g >= 0);
	assert_string_equal(uapi_file_link(w->fds[g]), "/dev/vfio/7");
	assert_int_equal(open_fd(w, "/dev/vfio/7"), -EBUSY);
	close_fd(w, g);
	assert_int_equal(open_fd(w, "/dev/vfio/7"), g);
}

static void test_group(void **state)
{
	struct world *w = *state;
	struct vfio_group_status st = { .argsz = 7 };
	int c = open_fd(w, "/dev/vfio/vfio"), g = open_fd(w, "/dev/vfio/7"), c2, n;

	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_STATUS, &st), -EINVAL);
	st.argsz = 8;
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_STATUS, &st), 0);
	assert_int_equal(st.flags, VFIO_GROUP_FLAGS_VIABLE);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_STATUS, (void *)BAD_PTR), -EFAULT);
	assert_int_equal(ioc(w, g, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
	n = -1;
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, &n), -EBADF);
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, &g), -EBADFD);
	n = 15;
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, &n), -EBADFD);
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, (void *)BAD_PTR), -EFAULT);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"), -EINVAL);
	assert_int_equal(ioc(w, c, VFIO_SET_IOMMU, (void *)1), -EINVAL);
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, &c), 0);
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, &c), -EINVAL);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_STATUS, &st), 0);
	assert_int_equal(st.flags, VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"), -EINVAL);
	assert_int_equal(ioc(w, c, VFIO_SET_IOMMU, (void *)99), -ENODEV);
	assert_int_equal(ioc(w, c, VFIO_SET_IOMMU, (void *)1), 0);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:09:00.0"), -ENODEV);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0x"), -ENODEV);
	memset(w->mem, 'a', 4096);
	w->mem[4095] = 0;
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, w->mem), -ENODEV);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0 vf_token=1"), -EINVAL);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD,
			     "0000:01:00.0 vf_token=12345678-9abc-def0-1234-56789abcdef0"),
			 -EINVAL);
	assert_int_equal(ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, (void *)BAD_PTR), -EFAULT);
	n = (int)ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0 ");
	assert_true(n >= 0);
	assert_int_equal(ioc(w, g, VFIO_GROUP_UNSET_CONTAINER, NULL), -EBUSY);
	c2 = (int)ioc(w, g, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	assert_true(c2 >= 0);
	assert_int_equal(w->dev.opens, 1);
	/* the group closed first stays open until its last device file is closed */
	close_fd(w, g);
	assert_int_equal(open_fd(w, "/dev/vfio/7"), -EBUSY);
	close_fd(w, n);
	assert_int_equal(open_fd(w, "/dev/vfio/7"), -EBUSY);
	assert_int_equal(w->dev.opens, 1);
	close_fd(w, c2);
	assert_int_equal(w->dev.opens, 0);
	assert_int_equal(open_fd(w, "/dev/vfio/7"), g);
	assert_int_equal(ioc(w, g, 0x3bff, NULL), -ENOTTY);
}

/* The text of GROUP_GET_DEVICE_FD: a name, and perhaps a token, which goes to the driver. */
static void test_token(void **state)
{
#define TOKEN " vf_token=12345678-9aBc-def0-1234-56789abcdef0"
	static const uint8_t token[16] = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
					   0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0 };
	static const struct {
		const char *text;
		int ret;
	} texts[] = {
		{ "0000:01:00.0" TOKEN TOKEN, -EINVAL },
		{ "0000:01:00.0" TOKEN "0", -EINVAL },
		{ "0000:01:00.0 token=1", -EINVAL },
		{ "0000:01:00.0 vf_token=12345678-9abc-def0-1234-56789abcdeg0", -EINVAL },
		{ "0000:01:00.0 vf_token=12345678-9abc-def0-123456789abcdef012", -EINVAL },
		/* the device is looked for first */
		{ "0000:01:00.01" TOKEN, -ENODEV },
		{ "0000:09:00.0 token=1", -ENODEV },
		{ "", -ENODEV },
		{ " " TOKEN, -ENODEV },
		{ "0000:01:00.0", -EACCES },
	};
	struct world *w = *state;
	int d;

	open_all(w);
	w->dev.vdev.ops = &fake_token_ops;
	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(ioc(w, 1, VFIO_GROUP_GET_DEVICE_FD, (void *)texts[i].text),
				 texts[i].ret);
	assert_int_equal(w->dev.tokens, 0);
	d = (int)ioc(w, 1, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0  " TOKEN " ");
	assert_int_equal(d, 3);
	assert_int_equal(w->dev.tokens, 1);
	assert_memory_equal(w->dev.token, token, sizeof(token));
	/* it is shown to the driver, which may keep it, even where the group is not ready */
	close_fd(w, d);
	close_fd(w, 2);
	assert_int_equal(ioc(w, 1, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	assert_int_equal(ioc(w, 1, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0" TOKEN), -EINVAL);
	assert_int_equal(w->dev.tokens, 2);
}

static void test_container(void **state)
{
	struct world *w = *state;
	struct vfio_iommu_type1_info *info = calloc(1, 4096);
	struct vfio_info_cap_header *h;
	int c = open_fd(w, "/dev/vfio/vfio"), g = open_fd(w, "/dev/vfio/7");
	unsigned seen = 0, order[4] = { 0 };
	uint32_t need;

	assert_int_equal(ioc(w, c, VFIO_GET_API_VERSION, NULL), 0);
	assert_int_equal(ioc(w, c, VFIO_CHECK_EXTENSION, (void *)1), 1);
	assert_int_equal(ioc(w, c, VFIO_CHECK_EXTENSION, (void *)3), 1);
	assert_int_equal(ioc(w, c, VFIO_CHECK_EXTENSION, (void *)7), 0);
	info->argsz = sizeof(*info);
	assert_int_equal(ioc(w, c, VFIO_IOMMU_GET_INFO, info), -EINVAL);
	assert_int_equal(ioc(w, c, 0x3bff, NULL), -EINVAL);
	assert_int_equal(ioc(w, g, VFIO_GROUP_SET_CONTAINER, &c), 0);
	assert_int_equal(ioc(w, c, VFIO_SET_IOMMU, (void *)3), 0);
	assert_int_equal(ioc(w, c, 0x3bff, NULL), -ENOTTY);
	info->argsz = 15;
	assert_int_equal(ioc(w, c, VFIO_IOMMU_GET_INFO, info), -EINVAL);
	assert_int_equal(ioc(w, c, VFIO_IOMMU_GET_INFO, (void *)BAD_PTR), -EFAULT);
	info->argsz = 16;
	info->cap_offset = 0x55555555;
	assert_int_equal(ioc(w, c, VFIO_IOMMU_GET_INFO, info), 0);
	assert_int_equal(info->flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
	assert_int_equal(info->cap_offset, 0x55555555); /* not within argsz */
	need = info->argsz;
	assert_true(need > sizeof(*info));
	info->argsz = need - 1;
	assert_int_equal(ioc(w, c, VFIO_IOMMU_GET_INFO, info), 0);
	assert_int_equal(info->argsz, need);
	assert_int_equal(info->cap_offset, 0);
	assert_int_equal(ioc(w, c, VFIO_IOMMU_GET_INFO, info), 0);
	assert_int_equal(info->cap_offset, sizeof(*info));
	assert_true(info->iova_pgsizes & 4096);
	for (uint32_t at = info->cap_offset; at; at = h->next) {
		assert_true(at % 8 == 0 && at < need && seen < 4);
		h = (void *)((char *)info + at);
		order[seen++] = h->id;
	}
	assert_int_equal(seen, 3);
	assert_int_equal(order[0], VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	assert_int_equal(order[1], VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	assert_int_equal(order[2], VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	free(info);
}

static void test_dma(void **state)
{
	struct world *w = *state;
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map), .flags = 3, .iova = 0x10000, .size = 4096
	};
	struct {
		struct vfio_iommu_type1_dma_unmap u;
		struct vfio_bitmap b;
	} un = { .u = { .argsz = sizeof(un.u), .iova = 0x10000, .size = 4096 } };
	struct {
		struct vfio_iommu_type1_dirty_bitmap d;
		struct vfio_iommu_type1_dirty_bitmap_get g;
	} dirty = { .d = { .argsz = sizeof(dirty) } };
	uint64_t bits[2] = { 0, ~0ull };
	uint8_t byte = 0;

	open_all(w);
	map.vaddr = (uintptr_t)w->mem;
	map.argsz = 31;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_MAP_DMA, &map), -EINVAL);
	map.argsz = 4096;
	map.flags = 8;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_MAP_DMA, &map), -EINVAL);
	map.flags = 3;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_MAP_DMA, (void *)BAD_PTR), -EFAULT);
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_MAP_DMA, &map), 0);
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_MAP_DMA, &map), -EEXIST);
	w->mem[5] = 77;
	atomic_store(&w->dev.iommu.blocked, false);
	assert_int_equal(iommu_dma_read(&w->dev.iommu, 0x10005, &byte, 1), 0);
	assert_int_equal(byte, 77);

	dirty.d.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	dirty.g = (struct vfio_iommu_type1_dirty_bitmap_get){ 0x10000,
							      4096,
							      { 4096, 8, (void *)bits } };
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), -EINVAL); /* tracking is off */
	dirty.d.flags = 3;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), -EINVAL);
	dirty.d.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), 0);
	dirty.d.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	dirty.d.argsz = sizeof(dirty.d) + 39;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), -EINVAL);
	dirty.d.argsz = sizeof(dirty);
	dirty.g.bitmap.size = 7;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), -EINVAL);
	dirty.g.bitmap.size = 8;
	dirty.g.bitmap.data = (void *)BAD_PTR;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), -EFAULT);
	dirty.g.bitmap.data = (void *)0xffff800000000000ul;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), -EINVAL);
	dirty.g.iova = -4096ul;
	dirty.g.size = 8192;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), -EOVERFLOW);
	dirty.g.iova = 0x10000;
	dirty.g.size = 4096;
	dirty.g.bitmap.data = (void *)bits;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_DIRTY_PAGES, &dirty), 0);
	assert_int_equal(bits[0], 1);
	assert_int_equal(bits[1], ~0ull);

	un.u.argsz = 23;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_UNMAP_DMA, &un), -EINVAL);
	un.u.argsz = sizeof(un.u);
	un.u.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	/* no room for the bitmap */
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_UNMAP_DMA, &un), -EINVAL);
	un.u.argsz = sizeof(un);
	un.b = (struct vfio_bitmap){ 0, 8, (void *)bits };
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_UNMAP_DMA, &un), -EINVAL); /* page size 0 */
	un.b.pgsize = 4096;
	bits[0] = 0;
	assert_int_equal(ioc(w, 0, VFIO_IOMMU_UNMAP_DMA, &un), 0);
	assert_int_equal(un.u.size, 4096);
	assert_int_equal(bits[0], 1);
	assert_int_equal(iommu_dma_read(&w->dev.iommu, 0x10005, &byte, 1), -EFAULT);
}

static void test_atomics(void **state)
{
	struct world *w = *state;
	struct {
		struct vfio_device_info info;
		uint32_t pad;
		struct vfio_device_info_cap_pci_atomic_comp cap;
	} a = { .info = { .argsz = sizeof(a.info) }, .cap.flags = 77 };

	open_all(w);
	atomics = 5;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_INFO, &a), 0);
	assert_true(a.info.flags & VFIO_DEVICE_FLAGS_CAPS);
	assert_int_equal(a.info.argsz, 24 + 16);
	assert_true(!a.info.cap_offset && a.cap.flags == 77);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_INFO, &a), 0);
	assert_int_equal(a.info.cap_offset, 24);
	assert_int_equal(a.cap.header.id, 5);
	assert_int_equal(a.cap.header.version, 1);
	assert_int_equal(a.cap.header.next, 0);
	assert_int_equal(a.cap.flags, 5);
	assert_int_equal(vfio_kernel_choose("6.1"), 0);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_INFO, &a), 0);
	assert_false(a.info.flags & VFIO_DEVICE_FLAGS_CAPS);
	assert_int_equal(vfio_kernel_choose("7.3"), 0);
	atomics = 0;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_INFO, &a), 0);
	assert_false(a.info.flags & VFIO_DEVICE_FLAGS_CAPS);
}

static void test_region_type(void **state)
{
	struct world *w = *state;
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_type cap;
	} r = { .info = { .argsz = sizeof(r.info), .index = 5 } };

	open_all(w);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_REGION_INFO, &r), 0);
	assert_true(r.info.argsz == sizeof(r) && !r.info.cap_offset && !r.cap.type);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_REGION_INFO, &r), 0);
	assert_int_equal(r.info.cap_offset, sizeof(r.info));
	assert_true(r.info.flags == (3 | VFIO_REGION_INFO_FLAG_CAPS) && r.info.size == 8);
	assert_int_equal(r.cap.header.id, VFIO_REGION_INFO_CAP_TYPE);
	assert_int_equal(r.cap.header.version, 1);
	assert_true(r.cap.type == 9 && r.cap.subtype == 6);
}

static void test_device_info(void **state)
{
	struct world *w = *state;
	struct vfio_device_info info = { .argsz = 15, .cap_offset = 77 };
	struct vfio_region_info *r = calloc(1, 256);
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_irq_info irq = { .argsz = 16, .index = 2 };

	open_all(w);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	info.argsz = 16;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 77);

	r->argsz = 31;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_REGION_INFO, r), -EINVAL);
	r->argsz = 32;
	r->index = 9;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_REGION_INFO, r), -EINVAL);
	r->index = 1; /* absent: a success with size 0, the offset set */
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_REGION_INFO, r), 0);
	assert_int_equal(r->size, 0);
	assert_int_equal(r->offset, 1ull << 40);
	r->index = 2;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_REGION_INFO, r), 0);
	assert_true(r->flags & VFIO_REGION_INFO_FLAG_CAPS);
	assert_int_equal(r->cap_offset, 0);
	assert_int_equal(r->argsz, 32 + 48 + 8);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_REGION_INFO, r), 0);
	assert_int_equal(r->cap_offset, 32);
	sparse = (void *)((char *)r + 32);
	assert_int_equal(sparse->header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(sparse->nr_areas, 2);
	assert_int_equal(sparse->areas[1].offset, 8192);
	assert_int_equal(sparse->header.next, 32 + 48);
	assert_int_equal(((struct vfio_info_cap_header *)((char *)r + 80))->id,
			 VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	assert_int_equal(((struct vfio_info_cap_header *)((char *)r + 80))->next, 0);
	free(r);

	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_IRQ_INFO, &irq), 0);
	assert_int_equal(irq.count, 4);
	irq.index = 5;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_IRQ_INFO, &irq), -EINVAL);
	irq.argsz = 15;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_GET_IRQ_INFO, &irq), -EINVAL);

	assert_int_equal(ioc(w, 2, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(w->dev.resets, 1);
	w->dev.vdev.flags = VFIO_DEVICE_FLAGS_PCI;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_RESET, NULL), -EINVAL);
	assert_int_equal(w->dev.resets, 1);
	assert_int_equal(ioc(w, 2, 0x3b7a, NULL), -ENOTTY);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_BIND_IOMMUFD, NULL), -EFAULT);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL), -ENOTTY);
	assert_int_equal(uapi_mmap_check(w->fds[2], 4096, PROT_READ, MAP_SHARED, 0), -EINVAL);
	assert_int_equal(uapi_mmap_check(w->fds[0], 4096, PROT_READ, MAP_SHARED, 0), -ENODEV);
}

static void test_mmap(void **state)
{
	struct world *w = *state;
	uint64_t bar2 = 2ull << 40, v = 0;
	struct uapi_file *d;

	open_all(w);
	d = w->fds[2];
	/* only what is in an area of the sparse-mmap capability */
	assert_int_equal(uapi_mmap_check(d, 4096, PROT_READ, MAP_SHARED, bar2), 0);
	assert_int_equal(uapi_mmap_check(d, 12288, PROT_READ, MAP_SHARED, bar2), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 4097, PROT_READ, MAP_SHARED, bar2), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 4096, PROT_READ, MAP_SHARED, bar2 + 4096), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 8192, PROT_READ, MAP_SHARED, bar2 + 8192), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 1, PROT_READ, MAP_SHARED_VALIDATE, bar2 + 8192), 0);
	assert_int_equal(uapi_mmap_check(d, 4096, PROT_READ, MAP_PRIVATE, bar2), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 4096, PROT_READ, MAP_SHARED, bar2 + 12288), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 12289, PROT_READ, MAP_SHARED, bar2), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, SIZE_MAX, PROT_READ, MAP_SHARED, bar2), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 0, PROT_READ, MAP_SHARED, bar2), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 4096, PROT_READ, MAP_SHARED, bar2 + 8), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 4096, PROT_READ, MAP_SHARED, 9ull << 40), -EINVAL);
	assert_int_equal(uapi_mmap_check(d, 4096, PROT_READ, MAP_SHARED, UINT64_MAX & ~4095ull),
			 -EINVAL);
	assert_int_equal(uapi_mmio(d, bar2 + 0x123, 4, &v, false), 0);
	assert_int_equal(v, 0x12304);
	assert_int_equal(uapi_mmio(d, bar2, 4, &v, true), -EIO);
}

static void test_irqs(void **state)
{
	struct world *w = *state;
	/* one descriptor fits, then the page ends */
	struct vfio_irq_set *set = (void *)(w->mem + 4096 - 24);

	open_all(w);
	*set = (struct vfio_irq_set){ .argsz = 24,
				      .flags = VFIO_IRQ_SET_DATA_EVENTFD |
					       VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = 2,
				      .count = 1 };
	memset(set->data, 0xff, 4);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_SET_IRQS, set), 0);
	assert_int_equal(w->dev.last_fds[0], -1);
	assert_int_equal(w->dev.last.index, 2);
	set->start = 3;
	/* a shortage of vectors is a positive count */
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_SET_IRQS, set), 2);
	set->start = 0;
	set->argsz = 23;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_SET_IRQS, set), -EINVAL);
	set->argsz = 28;
	set->count = 2;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_SET_IRQS, set), -EFAULT);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_SET_IRQS, (void *)BAD_PTR), -EFAULT);
}

#define PROBE VFIO_DEVICE_FEATURE_PROBE
#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET

static void test_feature(void **state)
{
	static const struct {
		uint32_t argsz, flags;
		int ret;
	} cases[] = {
		{ 7, PROBE | SET, -EINVAL },
		{ 24, 1u << 19 | SET, -EINVAL },
		{ 24, GET | SET, -EINVAL },
		/* features that are not there */
		{ 24, GET | 2, -ENOTTY },
		{ 24, SET | 1, -ENOTTY },
		{ 24, PROBE | 13, -ENOTTY },
		{ 24, PROBE | 0xffff, -ENOTTY },
		/* one that is not, and refuses otherwise (Linux 7.3) */
		{ 16, PROBE | 12, -EINVAL },
		{ 16, SET | 12, -EINVAL },
		/* VFIO_DEVICE_FEATURE_PCI_VF_TOKEN can be set, and asked for */
		{ 8, PROBE | SET, 0 },
		{ 8, PROBE, 0 },
		{ 24, PROBE | GET, -EINVAL },
		{ 24, PROBE | GET | SET, -EINVAL },
		{ 24, GET, -EINVAL },
		{ 24, 0, -EINVAL },
		{ 23, SET, -EINVAL },
	};
	struct vfio_device_feature *f = calloc(1, 64), *end;
	struct world *w = *state;

	open_all(w);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		f->argsz = cases[i].argsz;
		f->flags = cases[i].flags;
		if (ioc(w, 2, VFIO_DEVICE_FEATURE, f) != cases[i].ret)
			fail_msg("case %u", i);
	}
	assert_int_equal(w->dev.tokens, 0);
	f->argsz = 64;
	f->flags = SET;
	memcpy(f->data, "0123456789abcdef", 16);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_FEATURE, f), 0);
	assert_int_equal(w->dev.tokens, 1);
	assert_memory_equal(w->dev.token, "0123456789abcdef", 16);
	/* argsz promises more than there is */
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_FEATURE, (void *)BAD_PTR), -EFAULT);
	end = (void *)(w->mem + 4096 - 23);
	memcpy(end, f, 23);
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_FEATURE, end), -EFAULT);
	assert_int_equal(w->dev.tokens, 1);
	/* a device that is no PF */
	w->dev.vdev.ops = &fake_token_ops;
	assert_int_equal(ioc(w, 2, VFIO_DEVICE_FEATURE, f), -ENOTTY);
	free(f);
}

static void test_rw(void **state)
{
	struct world *w = *state;
	struct uapi_file *d;
	uint8_t *buf = malloc(16384);
	uint64_t cfg = 7ull << 40;
	size_t i, n = sizeof(w->dev.bar);

	open_all(w);
	d = w->fds[2];
	for (i = 0; i < n; i++)
		w->dev.bar[i] = (uint8_t)(i * 7 + i / 256);
	/* short at the end of the BAR, over several pieces */
	assert_int_equal(uapi_pread(d, buf, 16384, 0), n);
	assert_memory_equal(buf, w->dev.bar, n);
	assert_int_equal(uapi_pread(d, buf, 5000, 100), 5000);
	assert_memory_equal(buf, w->dev.bar + 100, 5000);
	assert_int_equal(uapi_pread(d, buf, 1, n), -EINVAL);
	assert_int_equal(uapi_pread(d, buf, 0, n), 0);
	assert_int_equal(uapi_pread(d, (void *)BAD_PTR, 4, 0), -EFAULT);
	assert_int_equal(uapi_pwrite(d, w->mem + 4092, 8, 0), -EFAULT);
	assert_int_equal(uapi_pread(d, buf, 4, 9ull << 40), -EINVAL);
	assert_int_equal(uapi_pread(d, buf, 4, UINT64_MAX), -EINVAL);
	memcpy(buf, "hello", 5);
	assert_int_equal(uapi_pwrite(d, buf, 5, 8190), 5);
	assert_memory_equal(w->dev.bar + 8190, "hello", 5);
	/* config space does not do a part of what runs over its end */
	w->dev.config[4095] = 3;
	buf[0] = 9;
	assert_int_equal(uapi_pwrite(d, buf, 2, cfg + 4095), -EFAULT);
	assert_int_equal(w->dev.config[4095], 3);
	assert_int_equal(uapi_pread(d, buf, 4097, cfg), -EFAULT);
	assert_int_equal(uapi_pread(d, buf, 4096, cfg), 4096);
	/* read(2) has a position */
	assert_int_equal(uapi_read(d, buf, 10), 10);
	assert_int_equal(uapi_read(d, buf, 10), 10);
	assert_memory_equal(buf, w->dev.bar + 10, 10);
	assert_int_equal(uapi_read(w->fds[0], buf, 1), -EINVAL);
	assert_int_equal(uapi_write(w->fds[1], buf, 1), -EINVAL);
	free(buf);
}

static void test_table_full(void **state)
{
	struct world *w = *state;
	int i;

	open_all(w);
	for (i = 3; i < 15; i++)
		assert_int_equal(ioc(w, 1, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"), i);
	assert_int_equal(ioc(w, 1, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0"), -EMFILE);
	assert_int_equal(w->group->device_files, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_token, setup, teardown),
		cmocka_unit_test_setup_teardown(test_container, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma, setup, teardown),
		cmocka_unit_test_setup_teardown(test_atomics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_region_type, setup, teardown),
		cmocka_unit_test_setup_teardown(test_device_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mmap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_feature, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rw, setup, teardown),
		cmocka_unit_test_setup_teardown(test_table_full, setup, teardown),
	};

	if (guard_install() || sigaction(SIGSEGV, NULL, &guarded))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
