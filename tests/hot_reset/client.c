/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/hot_reset/client.c: `client ADDRESS ADDRESS...`: asks of devices that share a bus, bound to
 * vfio-pci, what a hot reset is: who is reset with whom, whose groups or iommufds it takes, what is
 * left of registers, mappings and power states. The answers are written down, one a line; the same
 * binary runs on the kernel and under uvfio (tests/hot_reset.sh), and holds no opinion of what is
 * right. The first two devices are asked about; marks are read and written where one is an
 * 82576. libc alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/saw.h"
#include "lib/vfio.h"

#define CONFIG VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define MAX    8
/* linux/vfio.h and linux/iommufd.h of 6.6 and later */
#define DEV_ID	     1u
#define DEV_ID_OWNED 2u
#define BIND_IOMMUFD _IO(VFIO_TYPE, VFIO_BASE + 18)
/* a register that a reset clears: 82576 datasheet, 8.10.5 */
#define IGB_RDBAL 0xc000u
#define MARK	  0x00100000u

static struct dev {
	const char *address;
	int group, device, cdev, iommufd;
	uint32_t id;
	bool first;	       /* of its group */
	unsigned int pm, mark; /* the latter in BAR 0; 0: nothing is known */
} devs[MAX];
static unsigned int n;
static int container = -1;

static __attribute__((noreturn)) void give_up(const char *what)
{
	printf("gave up: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t cfg_read(int d, unsigned int off, size_t size)
{
	uint32_t v = 0;

	if (pread(d, &v, size, CONFIG + off) != (ssize_t)size)
		v = ~0u;
	return v;
}

static void cfg_write(int d, unsigned int off, size_t size, uint32_t v)
{
	if (pwrite(d, &v, size, CONFIG + off) != (ssize_t)size)
		give_up("config write");
}

static unsigned int find_pm(int d)
{
	unsigned int pos = cfg_read(d, PCI_CAPABILITY_LIST, 1);

	for (unsigned int i = 0; pos && i < 48; i++, pos = cfg_read(d, pos + 1, 1))
		if (cfg_read(d, pos, 1) == PCI_CAP_ID_PM)
			return pos;
	return 0;
}

/* ---- marks: what a reset takes away ---- */

static void mark(const struct dev *v, int d)
{
	uint32_t m = MARK;

	if (v->mark && pwrite(d, &m, 4, VFIO_REGION(0) + v->mark) != 4)
		give_up("mark");
}

static void show_mark(const struct dev *v, int d, const char *what)
{
	uint32_t m = ~0u;
	ssize_t r = pread(d, &m, 4, VFIO_REGION(0) + v->mark);

	if (v->mark)
		saw_text(r == 4 ? m ? "there" : "gone" : strerrorname_np(errno), "%s: mark of %d",
			 what, (int)(v - devs));
}

static sigjmp_buf out;
static void on_fault(int sig)
{
	siglongjmp(out, sig);
}

/* A load from a mapping: 0, or the signal that it was. */
static long load_from(volatile uint32_t *p)
{
	struct sigaction old, sa = { .sa_handler = on_fault };
	long sig;

	sigaction(SIGBUS, &sa, &old);
	sig = sigsetjmp(out, 1);
	if (!sig)
		(void)*p;
	sigaction(SIGBUS, &old, NULL);
	return sig;
}

/* ---- the two ioctls ---- */

static long hot_info(int d, size_t argsz, const char *what)
{
	uint32_t b[3 + 2 * MAX] = { (uint32_t)argsz };
	struct vfio_pci_dependent_device *dep = (void *)&b[3];
	long r = ioctl(d, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, b);

	saw(r, "%s: info, argsz %zu", what, argsz);
	if (!r || errno == ENOSPC)
		saw(b[2], "%s: info, argsz %zu: count", what, argsz);
	if (!r)
		saw_hex(b[1], "%s: info, argsz %zu: flags", what, argsz);
	for (unsigned int i = 0; !r && i < b[2] && i < MAX; i++) {
		char address[32];
		unsigned int k = 0;

		snprintf(address, sizeof(address), "%04x:%02x:%02x.%x", dep[i].segment, dep[i].bus,
			 dep[i].devfn >> 3, dep[i].devfn & 7);
		while (k < n && strcmp(devs[k].address, address))
			k++;
		if (b[1] & DEV_ID || devs[0].iommufd >= 0)
			saw_text(dep[i].group_id == ~0u			  ? "not owned"
				 : !dep[i].group_id			  ? "owned"
				 : k < n && devs[k].id == dep[i].group_id ? "its id"
									  : "another id",
				 "%s: info: device %d", what, k < n ? (int)k : -1);
		else
			saw(k < n ? (long)k : -1, "%s: info: entry %u", what, i);
	}
	return r;
}

static long hot_reset(int d, uint32_t argsz, uint32_t flags, uint32_t count, const int *fds)
{
	uint32_t b[3 + MAX] = { argsz ? argsz : 12 + 4 * count, flags, count };

	for (unsigned int i = 0; fds && i < count && i < MAX; i++)
		b[3 + i] = (uint32_t)fds[i];
	return ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, b);
}

/* Reset with all groups. */
static long reset_all(int d)
{
	int fds[MAX];
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++)
		if (devs[i].first)
			fds[count++] = devs[i].group;
	return hot_reset(d, 0, 0, count, fds);
}

/* ---- by groups ---- */

static void open_groups(void)
{
	char path[MAX][128];

	container = open("/dev/vfio/vfio", O_RDWR);
	if (container < 0)
		give_up("container");
	for (unsigned int i = 0; i < n; i++) {
		devs[i].first = true;
		if (vfio_group_path(devs[i].address, path[i], sizeof(path[i])))
			give_up("group");
		for (unsigned int k = 0; k < i; k++) {
			if (strcmp(path[k], path[i]))
				continue;
			devs[i].group = devs[k].group;
			devs[i].first = false;
		}
		saw(devs[i].first, "device %u has a group for itself so far", i);
		if (!devs[i].first)
			continue;
		devs[i].group = open(path[i], O_RDWR);
		if (devs[i].group < 0 || ioctl(devs[i].group, VFIO_GROUP_SET_CONTAINER, &container))
			give_up(path[i]);
		if (!i && ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
			give_up("VFIO_SET_IOMMU");
	}
}

static void open_device(struct dev *v)
{
	v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, v->address);
	if (v->device < 0)
		give_up(v->address);
	cfg_write(v->device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	if (cfg_read(v->device, PCI_VENDOR_ID, 4) == 0x10c98086)
		v->mark = IGB_RDBAL;
	v->pm = find_pm(v->device);
}

static void info_and_errors(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int d = devs[0].device, fds[MAX] = { devs[0].group, -1 };

	for (unsigned int i = 0; i < n; i++) {
		ioctl(devs[i].device, VFIO_DEVICE_GET_INFO, &info);
		saw(!!(info.flags & VFIO_DEVICE_FLAGS_RESET), "device %u: can be reset", i);
	}
	hot_info(d, 11, "groups");
	hot_info(d, 12, "groups");
	hot_info(d, 12 + 8 * n - 1, "groups");
	hot_info(d, 12 + 8 * MAX, "groups");
	saw(hot_reset(d, 11, 0, 1, fds), "groups: reset, argsz 11");
	saw(hot_reset(d, 0, 1, 1, fds), "groups: reset, flags 1");
	saw(hot_reset(d, 0, 0, 0, fds), "groups: reset, none");
	saw(hot_reset(d, 0, 0, n + 1, fds), "groups: reset, too many");
	saw(ioctl(d, VFIO_DEVICE_PCI_HOT_RESET, NULL), "groups: reset, NULL");
	fds[0] = -1;
	saw(hot_reset(d, 0, 0, 1, fds), "groups: reset, -1");
	fds[0] = 1000;
	saw(hot_reset(d, 0, 0, 1, fds), "groups: reset, not open");
	fds[0] = container;
	saw(hot_reset(d, 0, 0, 1, fds), "groups: reset, a container");
	fds[0] = d;
	saw(hot_reset(d, 0, 0, 1, fds), "groups: reset, a device");
	fds[0] = devs[0].group;
	saw(hot_reset(d, 0, 0, 1, fds), "groups: reset, its group");
	fds[1] = devs[0].group;
	saw(hot_reset(d, 0, 0, 2, fds), "groups: reset, its group twice");
	fds[1] = 1000;
	saw(hot_reset(d, 0, 0, 2, fds), "groups: reset, its group and nothing");
	fds[0] = devs[1].group;
	saw(hot_reset(d, 0, 0, 1, fds), "groups: reset, the other's group");
	fds[1] = devs[0].group;
	saw(hot_reset(d, 0, 0, 2, fds), "groups: reset, both groups");
}

static void both(const char *what)
{
	char text[64];

	for (unsigned int i = 0; i < 2; i++)
		mark(&devs[i], devs[i].device);
	saw(reset_all(devs[0].device), "%s: reset", what);
	for (unsigned int i = 0; i < 2; i++)
		show_mark(&devs[i], devs[i].device, what);
	snprintf(text, sizeof(text), "%s: device 1: command", what);
	saw_hex(cfg_read(devs[1].device, PCI_COMMAND, 2) &
			(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER),
		"%s", text);
}

/* All of the bus is reset, and what the user set up is left. */
static void effects(void)
{
	struct dev *other = &devs[1];
	uint32_t low[2] = { 8, VFIO_DEVICE_FEATURE_SET | 3 };
	volatile uint32_t *map;
	void *p;

	both("effect");
	cfg_write(other->device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other->device, 0);
	map = p;
	if (p == MAP_FAILED)
		give_up("mmap");
	saw(load_from(map), "mapped: load before");
	both("mapped");
	saw(load_from(map), "mapped: load after");
	saw(ioctl(other->device, VFIO_DEVICE_RESET), "mapped: the other's own reset");
	saw(load_from(map), "mapped: load after its own reset");
	cfg_write(other->device, PCI_COMMAND, 2, 0);
	saw(load_from(map), "decoding off: load");
	saw(reset_all(devs[0].device), "decoding off: reset");
	saw(load_from(map), "decoding off: load after");
	cfg_write(other->device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	saw(load_from(map), "decoding on: load");
	saw(ioctl(other->device, VFIO_DEVICE_FEATURE, low), "low power: entry");
	saw(load_from(map), "low power: load");
	saw(reset_all(devs[0].device), "low power: reset");
	saw(load_from(map), "low power: load after");
	show_mark(other, other->device, "low power");
	low[1] = VFIO_DEVICE_FEATURE_SET | 5;
	saw(ioctl(other->device, VFIO_DEVICE_FEATURE, low), "low power: exit");
	saw(load_from(map), "low power: load after the exit");
	if (other->pm) {
		cfg_write(other->device, other->pm + PCI_PM_CTRL, 2, 3);
		saw_hex(cfg_read(other->device, other->pm + PCI_PM_CTRL, 2) & 3, "D3: state");
		saw(reset_all(devs[0].device), "D3: reset");
		saw_hex(cfg_read(other->device, other->pm + PCI_PM_CTRL, 2) & 3, "D3: state after");
	}
	munmap(p, 4096);
}

/* The other device is not open, or not even its group. */
static void closed(void)
{
	struct dev *other = &devs[1];
	int fd = devs[0].group;

	close(other->device);
	mark(&devs[0], devs[0].device);
	saw(reset_all(devs[0].device), "other closed: reset");
	show_mark(&devs[0], devs[0].device, "other closed");
	hot_info(devs[0].device, 12 + 8 * MAX, "other closed");
	if (other->first) {
		close(other->group);
		saw(hot_reset(devs[0].device, 0, 0, 1, &fd), "other group closed: reset");
	}
}

/* ---- by iommufds ---- */

static int open_cdev(struct dev *v)
{
	char path[256];
	glob_t g;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio*", v->address);
	if (glob(path, 0, NULL, &g) || g.gl_pathc != 1)
		return -1;
	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", strrchr(g.gl_pathv[0], '/') + 1);
	globfree(&g);
	v->cdev = open(path, O_RDWR);
	return v->cdev;
}

static long bind_to(struct dev *v, int iommufd)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t id;
	} b = { sizeof(b), 0, iommufd, 0 };
	long r = ioctl(v->cdev, BIND_IOMMUFD, &b);

	v->id = r ? 0 : b.id;
	v->iommufd = r ? -1 : iommufd;
	return r;
}

static void by_iommufd(const char *what)
{
	int d = devs[0].cdev, fd = devs[0].iommufd;

	hot_info(d, 12 + 8 * MAX, what);
	saw(hot_reset(d, 0, 0, 0, NULL), "%s: reset", what);
	saw(hot_reset(d, 0, 0, 1, &fd), "%s: reset with the iommufd", what);
}

static void cdevs(void)
{
	struct dev *a = &devs[0], *b = &devs[1];
	int one = open("/dev/iommu", O_RDWR), two = open("/dev/iommu", O_RDWR);
	int group = -1;
	char path[128];

	if (one < 0 || two < 0 || open_cdev(a) < 0 || open_cdev(b) < 0)
		return;
	saw(bind_to(a, one), "cdev: bind");
	by_iommufd("cdev, other not bound");
	saw(bind_to(b, two), "cdev: bind the other to another iommufd");
	if (b->iommufd >= 0)
		by_iommufd("cdev, other bound elsewhere");
	close(b->cdev);
	open_cdev(b);
	saw(bind_to(b, one), "cdev: bind the other to the same");
	mark(a, a->cdev);
	mark(b, b->cdev);
	by_iommufd("cdev, both");
	show_mark(a, a->cdev, "cdev, both");
	show_mark(b, b->cdev, "cdev, both");
	close(b->cdev);
	if (!vfio_group_path(b->address, path, sizeof(path)))
		group = open(path, O_RDWR);
	saw(group < 0 ? -1 : 0, "cdev: open the other's group");
	b->iommufd = -1;
	by_iommufd("cdev, other's group open");
	close(group);
	close(a->cdev);
}

int main(int argc, char **argv)
{
	for (; n < MAX && (int)n + 1 < argc; n++)
		devs[n] = (struct dev){ .address = argv[n + 1], .device = -1, .iommufd = -1 };
	if (n < 2)
		return 2;
	open_groups();
	for (unsigned int i = 0; i < n; i++)
		open_device(&devs[i]);
	info_and_errors();
	effects();
	closed();
	for (unsigned int i = 0; i < n; i++) {
		close(devs[i].device);
		if (devs[i].first)
			close(devs[i].group);
	}
	close(container);
	cdevs();
	return 0;
}
