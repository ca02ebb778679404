/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/test_kernel.h: a kernel for unit tests, with VFIO's groups, containers of type1 and devices,
 * and a sysfs for them in a folder. A file of it is a memfd whose name says what it is, so that
 * duplicates, and numbers that are used again, are what they are in Linux. One thread.
 */
#ifndef HOST_TEST_KERNEL_H
#define HOST_TEST_KERNEL_H
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "host/internal.h"

#define FAKE_MAPS  16u
#define FAKE_FDS   2300u
#define FAKE_ALONE "0000:02:00.0"

struct fake_device {
	const char *name;
	unsigned group;
	const char *driver; /* NULL: none */
	bool pf, vf;	    /* it takes a token for its VFs; it wants one */
	bool power;	    /* it has low power */
	uint8_t token[16];  /* of a VF: that must be shown */
	/* what was asked of it */
	unsigned resets, hot_resets, features;
	int32_t wake;
	struct vfio_irq_set set; /* the last one, and its data */
	int32_t data[FAKE_FDS];
	struct vfio_device_ioeventfd ioeventfd;
};

struct fake_group {
	unsigned id;
	unsigned iommu; /* groups of the same kind may share a container */
	int container;	/* its number; -1: none */
};

struct fake_container {
	unsigned groups;
	long type;
	struct vfio_iommu_type1_dma_map maps[FAKE_MAPS];
	unsigned n;
};

static struct {
	char root[64], sysfs[96], devfs[96];
	struct fake_device devices[5];
	struct fake_group groups[4];
	struct fake_container containers[8];
	unsigned made; /* containers so far */
	uint64_t memlock;
	unsigned entries;
	int (*fault)(unsigned long cmd); /* of a test: an error, or 0 */
	int set_irqs;			 /* what SET_IRQS answers */
	bool v1, old, lost;
	bool short_unmap;
} fake;

#define FAKE_REGIONS 10u
#define FAKE_BAR0    0x2000u
#define FAKE_BAR2    0x10000u
#define FAKE_BAR4    0x1000u

/* ---- which file is it? ---- */

/* Return true, with its number, if @fd is the file "memfd:@what-N" or, in @name, what is behind. */
static bool fake_is(int fd, const char *what, char *name, size_t size)
{
	char text[128], *end;

	if (sys_readlink_fd(fd, text, sizeof(text)) < 0 || strncmp(text, "/memfd:", 7) ||
	    strncmp(text + 7, what, strlen(what)))
		return false;
	end = strstr(text, " (deleted)");
	if (end)
		*end = '\0';
	snprintf(name, size, "%s", text + 7 + strlen(what));
	return true;
}

/* Return how many descriptors there are of such a file. */
static unsigned fake_opens(const char *what, const char *name)
{
	char text[128];
	unsigned n = 0;

	for (int fd = 0; fd < 8192; fd++)
		n += fake_is(fd, what, text, sizeof(text)) && !strcmp(text, name);
	return n;
}

static int fake_file(const char *what, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s", what, name);
	return (int)fd_of_ours(SYS_memfd_create, (long)text, MFD_CLOEXEC, 0, 0);
}

static struct fake_group *fake_group(unsigned id)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fake.groups); i++)
		if (fake.groups[i].id == id)
			return &fake.groups[i];
	return NULL;
}

static struct fake_device *fake_device(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fake.devices); i++)
		if (fake.devices[i].name && !strcmp(fake.devices[i].name, name))
			return &fake.devices[i];
	return NULL;
}

/* ---- containers ---- */

/* VT-d's, of 39 bits, and a hole of its own at 1 GiB. */
static const struct vfio_iova_range fake_ranges[] = {
	{ 0, 0x3fffffff },
	{ 0x40001000, 0xfedfffff },
	{ 0xfef00000, (1ull << 39) - 1 },
};

static int fake_iommu_info(struct fake_container *c, struct vfio_iommu_type1_info *info)
{
	struct {
		struct vfio_iommu_type1_info info;
		struct vfio_iommu_type1_info_dma_avail avail;
		struct vfio_iommu_type1_info_cap_iova_range iova;
		struct vfio_iova_range ranges[ARRAY_SIZE(fake_ranges)];
	} all = {
		.info = { .argsz = sizeof(all), .flags = 3, .iova_pgsizes = 0x201000 },
		.avail = { .header = { VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, 0 },
			   .avail = fake.entries - c->n },
		.iova = { .header = { VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, 0 },
			  .nr_iovas = ARRAY_SIZE(fake_ranges) },
	};
	uint32_t room = info->argsz;

	memcpy(all.ranges, fake_ranges, sizeof(fake_ranges));
	all.info.cap_offset = (uint32_t)((char *)&all.avail - (char *)&all);
	all.avail.header.next = (uint32_t)((char *)&all.iova - (char *)&all);
	if (room < sizeof(all))
		all.info.cap_offset = 0;
	if (fake.old)
		all.info = (struct vfio_iommu_type1_info){ sizeof(all.info), 1, 0x201000, 0 };
	memcpy(info, &all, room < sizeof(all) ? room : sizeof(all));
	return 0;
}

static int fake_map(struct fake_container *c, const struct vfio_iommu_type1_dma_map *m)
{
	uint64_t last = m->iova + m->size - 1, all = m->size;
	bool in = false;

	for (unsigned i = 0; i < c->n; i++) {
		all += c->maps[i].size;
		if (c->maps[i].iova <= last && m->iova < c->maps[i].iova + c->maps[i].size)
			return -EEXIST;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fake_ranges); i++)
		in |= m->iova >= fake_ranges[i].start && last <= fake_ranges[i].end;
	if (!in || !m->flags || (m->iova | m->size | m->vaddr) % 4096)
		return -EINVAL;
	if (c->n == fake.entries)
		return -ENOSPC;
	if (all > fake.memlock)
		return -ENOMEM;
	c->maps[c->n++] = *m;
	return 0;
}

static int fake_unmap(struct fake_container *c, struct vfio_iommu_type1_dma_unmap *u)
{
	uint64_t size = u->size;

	u->size = 0;
	for (unsigned i = c->n; i-- > 0 && !fake.short_unmap;) {
		if (c->maps[i].iova < u->iova || c->maps[i].iova + c->maps[i].size > u->iova + size)
			continue;
		u->size += c->maps[i].size;
		c->maps[i] = c->maps[--c->n];
	}
	return 0;
}

static int fake_container_ioctl(struct fake_container *c, unsigned long cmd, void *arg)
{
	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return (long)arg == VFIO_TYPE1_IOMMU ||
		       ((long)arg == VFIO_TYPE1v2_IOMMU && !fake.v1);
	case VFIO_SET_IOMMU:
		if (!c->groups || c->type)
			return -EINVAL;
		c->type = (long)arg;
		return 0;
	case VFIO_IOMMU_GET_INFO:
		return c->type ? fake_iommu_info(c, arg) : -EINVAL;
	case VFIO_IOMMU_MAP_DMA:
		return c->type ? fake_map(c, arg) : -EINVAL;
	case VFIO_IOMMU_UNMAP_DMA:
		return c->type ? fake_unmap(c, arg) : -EINVAL;
	}
	fail_msg("ioctl 0x%lx of a container", cmd);
	return -ENOTTY;
}

/* ---- groups ---- */

static int fake_set_container(struct fake_group *g, int fd)
{
	char number[32];
	int n;

	if (!fake_is(fd, "container-", number, sizeof(number)))
		return -EBADF;
	n = atoi(number);
	if (g->container >= 0)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(fake.groups); i++)
		if (fake.groups[i].container == n && fake.groups[i].iommu != g->iommu)
			return -EINVAL;
	g->container = n;
	fake.containers[n].groups++;
	return 0;
}

static int fake_unset_container(struct fake_group *g)
{
	struct fake_container *c;

	if (g->container < 0)
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(fake.devices); i++)
		if (fake.devices[i].name && fake.devices[i].group == g->id &&
		    fake_opens("device-", fake.devices[i].name))
			return -EBUSY;
	c = &fake.containers[g->container];
	g->container = -1;
	if (!--c->groups)
		*c = (struct fake_container){ 0 };
	return 0;
}

/* As the kernel reads it: a name, and after a blank a token. */
static int fake_get_device(struct fake_group *g, const char *text)
{
	char name[64], shown[37] = "", wanted[37];
	struct fake_device *d;
	const uint8_t *t;
	int fd;

	if (g->container < 0 || !fake.containers[g->container].type)
		return -EINVAL;
	snprintf(name, sizeof(name), "%s", text);
	if (strchr(name, ' ')) {
		*strchr(name, ' ') = '\0';
		assert_int_equal(sscanf(text + strlen(name), " vf_token=%36s", shown), 1);
		assert_int_equal(strlen(text), strlen(name) + 10 + 36);
	}
	d = fake_device(name);
	if (!d || d->group != g->id || !d->driver || strcmp(d->driver, "vfio-pci"))
		return -ENODEV;
	t = d->token;
	snprintf(wanted, sizeof(wanted),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", t[0], t[1],
		 t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13], t[14],
		 t[15]);
	if (d->vf && strcmp(shown, wanted))
		return -EACCES;
	if (!d->vf && *shown)
		return -EINVAL;
	fd = fake_file("device-", name);
	if (fd < 0)
		return fd;
	assert_int_equal(ftruncate(fd, (off_t)VFIO_REGION_OFFSET(FAKE_REGIONS)), 0);
	assert_int_equal(pwrite(fd, "\x34\x12\xe8\x11", 4, (off_t)VFIO_REGION_OFFSET(7)), 4);
	return fd;
}

static int fake_group_ioctl(struct fake_group *g, unsigned long cmd, void *arg)
{
	struct vfio_group_status *status = arg;

	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		status->flags = g->container >= 0 ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0;
		for (unsigned i = 0; i < ARRAY_SIZE(fake.devices); i++)
			if (fake.devices[i].name && fake.devices[i].group == g->id &&
			    fake.devices[i].driver && strcmp(fake.devices[i].driver, "vfio-pci"))
				return 0;
		status->flags |= VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_SET_CONTAINER:
		return fake_set_container(g, *(int *)arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return fake_unset_container(g);
	case VFIO_GROUP_GET_DEVICE_FD:
		return fake_get_device(g, arg);
	}
	fail_msg("ioctl 0x%lx of a group", cmd);
	return -ENOTTY;
}

/* ---- devices ---- */

static int fake_device_info(struct vfio_device_info *info)
{
	struct {
		struct vfio_device_info_padded info;
		struct vfio_device_info_cap_pci_atomic_comp atomics;
	} all = {
		.info.info = { .argsz = sizeof(all),
			       .flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET |
					VFIO_DEVICE_FLAGS_CAPS,
			       .num_regions = FAKE_REGIONS,
			       .num_irqs = 5 },
		.atomics = { { VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, 1, 0 },
			     VFIO_PCI_ATOMIC_COMP64,
			     0 },
	};

	if (info->argsz >= sizeof(all))
		all.info.info.cap_offset = (uint32_t)((char *)&all.atomics - (char *)&all);
	memcpy(info, &all, info->argsz < sizeof(all) ? info->argsz : sizeof(all));
	return 0;
}

/*
 * BAR0 can be mapped; BAR2 has two areas, and an empty one; BAR4 has the MSI-X table, and can be
 * mapped all the same; region 9 is a type of its own.
 */
static int fake_region_info(struct vfio_region_info *info)
{
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header msix;
		struct vfio_region_info_cap_type type;
		struct vfio_region_info_cap_sparse_mmap sparse;
		struct vfio_region_sparse_mmap_area areas[3];
	} all = {
		.info = { .argsz = sizeof(all.info),
			  .index = info->index,
			  .offset = VFIO_REGION_OFFSET(info->index) },
		.msix = { VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0 },
		.type = { { VFIO_REGION_INFO_CAP_TYPE, 1, 0 }, 0x80008086, 1 },
		.sparse = { { VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0 }, 3, 0 },
		.areas = { { 0, 0x1000 }, { 0x4000, 0 }, { 0x8000, 0x2000 } },
	};
	uint32_t room = info->argsz, cap = 0;

	switch (info->index) {
	case 0:
		all.info.size = FAKE_BAR0;
		all.info.flags = 7;
		break;
	case 2:
		all.info.size = FAKE_BAR2;
		all.info.flags = 7;
		cap = (uint32_t)((char *)&all.sparse - (char *)&all);
		break;
	case 4:
		all.info.size = FAKE_BAR4;
		all.info.flags = 7;
		cap = (uint32_t)((char *)&all.msix - (char *)&all);
		break;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		all.info.size = 4096;
		all.info.flags = 3;
		break;
	case VFIO_PCI_VGA_REGION_INDEX:
		return -EINVAL;
	case 9:
		all.info.size = 0x100;
		all.info.flags = 1;
		cap = (uint32_t)((char *)&all.type - (char *)&all);
		break;
	}
	if (cap) {
		all.info.argsz = sizeof(all);
		all.info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		if (room >= sizeof(all))
			all.info.cap_offset = cap;
	}
	memcpy(info, &all, room < sizeof(all) ? room : sizeof(all));
	return 0;
}

static int fake_irq_info(struct vfio_irq_info *info)
{
	static const uint32_t counts[] = { 1, 4, 2048, 0, 1 };

	if (info->index == VFIO_PCI_ERR_IRQ_INDEX) /* no PCI Express */
		return -EINVAL;
	info->flags = VFIO_IRQ_INFO_EVENTFD;
	info->count = counts[info->index];
	return 0;
}

static int fake_feature(struct fake_device *d, struct vfio_device_feature *f)
{
	bool probe = f->flags & VFIO_DEVICE_FEATURE_PROBE;
	unsigned what = f->flags & VFIO_DEVICE_FEATURE_MASK;

	if (what == VFIO_DEVICE_FEATURE_PCI_VF_TOKEN ? !d->pf
	    : what >= VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY &&
			    what <= VFIO_DEVICE_FEATURE_LOW_POWER_EXIT
		    ? !d->power
		    : true)
		return -ENOTTY;
	if (probe)
		return 0;
	d->features |= 1u << what;
	if (what == VFIO_DEVICE_FEATURE_PCI_VF_TOKEN)
		memcpy(d->token, f->data, 16);
	if (what == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)
		memcpy(&d->wake, f->data, sizeof(d->wake));
	return 0;
}

/* 0000:01:00.0 and .1 are one slot; the others have no such reset. */
static int fake_reset_info(struct vfio_pci_hot_reset_info *info, struct fake_device *d)
{
	if (strncmp(d->name, "0000:01:00", 10))
		return -ENODEV;
	info->count = 2;
	if (info->argsz < sizeof(*info) + 2 * sizeof(info->devices[0]))
		return -ENOSPC;
	for (unsigned i = 0; i < 2; i++)
		info->devices[i] = (struct vfio_pci_dependent_device){
			.group_id = fake.devices[i].group,
			.bus = 1,
			.devfn = (uint8_t)i,
		};
	return 0;
}

static int fake_hot_reset(const struct vfio_pci_hot_reset *r, struct fake_device *d)
{
	char id[32];

	if (!r->count || r->count > 2)
		return -EINVAL;
	for (uint32_t i = 0; i < r->count; i++)
		if (!fake_is(r->group_fds[i], "group-", id, sizeof(id)))
			return -EINVAL;
	d->hot_resets++;
	return 0;
}

static int fake_device_ioctl(struct fake_device *d, unsigned long cmd, void *arg)
{
	const struct vfio_irq_set *set = arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return fake_device_info(arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return fake_region_info(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return fake_irq_info(arg);
	case VFIO_DEVICE_SET_IRQS:
		d->set = *set;
		assert_true(set->argsz <= sizeof(*set) + sizeof(d->data));
		memcpy(d->data, set->data, set->argsz - sizeof(*set));
		return fake.set_irqs;
	case VFIO_DEVICE_RESET:
		d->resets++;
		return 0;
	case VFIO_DEVICE_FEATURE:
		return fake_feature(d, arg);
	case VFIO_DEVICE_IOEVENTFD:
		d->ioeventfd = *(struct vfio_device_ioeventfd *)arg;
		return 0;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return fake_reset_info(arg, d);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return fake_hot_reset(arg, d);
	}
	fail_msg("ioctl 0x%lx of a device", cmd);
	return -ENOTTY;
}

/* ---- the two calls ---- */

static int fake_open(const char *path, int flags, int mode)
{
	const char *name = path + strlen(fake.devfs) + strlen("/vfio/");
	char number[16];

	assert_memory_equal(path, fake.devfs, strlen(fake.devfs));
	if (!strcmp(name, "vfio")) {
		snprintf(number, sizeof(number), "%u", fake.made);
		assert_true(fake.made < ARRAY_SIZE(fake.containers) || fake.fault);
		fake.made = (fake.made + 1) % ARRAY_SIZE(fake.containers);
		return fake_file("container-", number);
	}
	if (!fake_group((unsigned)atoi(name)))
		return -ENOENT;
	return fake_opens("group-", name) ? -EBUSY : fake_file("group-", name);
}

static int fake_ioctl(int fd, unsigned long cmd, void *arg)
{
	char name[64];
	int rc = fake.fault ? fake.fault(cmd) : 0;

	if (rc)
		return rc;
	if (fake_is(fd, "container-", name, sizeof(name)))
		return fake_container_ioctl(&fake.containers[atoi(name)], cmd, arg);
	if (fake_is(fd, "group-", name, sizeof(name)))
		return fake_group_ioctl(fake_group((unsigned)atoi(name)), cmd, arg);
	if (fake_is(fd, "device-", name, sizeof(name)))
		return fake.lost ? -ENODEV : fake_device_ioctl(fake_device(name), cmd, arg);
	return -ENOTTY;
}

static const struct host_env fake_env = {
	.sysfs = fake.sysfs, .dev = fake.devfs, .open = fake_open, .ioctl = fake_ioctl
};

/* ---- its sysfs ---- */

static void fake_write(const char *text, const char *format, ...)
{
	char path[256];
	va_list ap;
	int fd;

	va_start(ap, format);
	vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void fake_link(const char *target, const char *format, ...)
{
	char path[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	unlink(path);
	if (target)
		assert_int_equal(symlink(target, path), 0);
}

static void fake_mkdir(const char *format, ...)
{
	char path[256], *c;
	va_list ap;

	va_start(ap, format);
	vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	for (c = strchr(path + 1, '/'); c; c = strchr(c + 1, '/')) {
		*c = '\0';
		mkdir(path, 0700);
		*c = '/';
	}
	mkdir(path, 0700);
}

static void fake_driver(const char *name, const char *driver)
{
	char target[64];

	fake_device(name)->driver = driver;
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver ? driver : "");
	fake_link(driver ? target : NULL, "%s/bus/pci/devices/%s/driver", fake.sysfs, name);
}

static void fake_add(unsigned i, const char *name, unsigned group)
{
	static const char resource[] = "0x00000000fe000000 0x00000000fe001fff 0x0000000000040200\n"
				       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				       "0x0000004000000000 0x000000400000ffff 0x000000000014220c\n"
				       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				       "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n"
				       "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
				       "0x00000000fe100000 0x00000000fe11ffff 0x0000000000046200\n";
	char target[64], config[257];

	fake.devices[i].name = name;
	fake.devices[i].group = group;
	fake_mkdir("%s/bus/pci/devices/%s", fake.sysfs, name);
	fake_mkdir("%s/kernel/iommu_groups/%u/devices", fake.sysfs, group);
	snprintf(target, sizeof(target), "../../../kernel/iommu_groups/%u", group);
	fake_link(target, "%s/bus/pci/devices/%s/iommu_group", fake.sysfs, name);
	fake_link(name, "%s/kernel/iommu_groups/%u/devices/%s", fake.sysfs, group, name);
	fake_write("0x1234\n", "%s/bus/pci/devices/%s/vendor", fake.sysfs, name);
	fake_write(resource, "%s/bus/pci/devices/%s/resource", fake.sysfs, name);
	memset(config, 'c', sizeof(config));
	config[256] = '\0';
	fake_write(config, "%s/bus/pci/devices/%s/config", fake.sysfs, name);
	fake_write("", "%s/bus/pci/devices/%s/reset", fake.sysfs, name);
	fake_driver(name, "vfio-pci");
}

/*
 * 0000:01:00.0 and .1 are in group 1, FAKE_ALONE in group 2, 0000:03:00.0 in group 3 before an
 * IOMMU of its own; 0000:04:00.0 is a VF in group 4.
 */
static void fake_start(void)
{
	memset(&fake, 0, sizeof(fake));
	strcpy(fake.root, "/tmp/uvfio-host-XXXXXX");
	assert_non_null(mkdtemp(fake.root));
	snprintf(fake.sysfs, sizeof(fake.sysfs), "%s/sys", fake.root);
	snprintf(fake.devfs, sizeof(fake.devfs), "%s/dev", fake.root);
	for (unsigned i = 0; i < ARRAY_SIZE(fake.groups); i++)
		fake.groups[i] =
			(struct fake_group){ .id = i + 1, .container = -1, .iommu = i == 2 };
	fake.memlock = UINT64_MAX;
	fake.entries = FAKE_MAPS;
	fake_add(0, "0000:01:00.0", 1);
	fake_add(1, "0000:01:00.1", 1);
	fake_add(2, FAKE_ALONE, 2);
	fake_add(3, "0000:03:00.0", 3);
	fake_add(4, "0000:04:00.0", 4);
	fake.devices[0].pf = fake.devices[0].power = true;
	fake.devices[4].vf = true;
	memset(fake.devices[4].token, 0xab, 16);
}

static int fake_remove(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

/* It is at rest: nothing is open, mapped, or in a container. */
static void fake_at_rest(void)
{
	char text[64];

	for (int fd = 0; fd < 8192; fd++)
		if (fake_is(fd, "", text, sizeof(text)) &&
		    (strstr(text, "container-") || strstr(text, "group-") ||
		     strstr(text, "device-")))
			fail_msg("%s is open", text);
	for (unsigned i = 0; i < ARRAY_SIZE(fake.groups); i++)
		assert_int_equal(fake.groups[i].container, -1);
	for (unsigned i = 0; i < ARRAY_SIZE(fake.containers); i++)
		assert_int_equal(fake.containers[i].n, 0);
}

static void fake_stop(void)
{
	fake_at_rest();
	nftw(fake.root, fake_remove, 16, FTW_DEPTH | FTW_PHYS);
}
#endif
