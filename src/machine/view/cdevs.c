/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/view/cdevs.c: the character devices of VFIO devices: /dev/vfio/devices/vfioN, vfio-dev/
 * in the device's directory, and where sysfs has it besides.
 *
 * A device has its number from the moment that it is bound to vfio-pci until it is not any more,
 * and it is the lowest that is free then. Who binds it may be any process of the run. So the
 * numbers are a directory of the run, with a link to the device for each: making one fails where
 * there is one, and it says which device has a number.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/util.h"
#include "machine/view/internal.h"
#include "v3/map.h"
#include "vfio/abi.h"
#include "vfio/nodes.h"

/* Return @link, the rest of @dir behind "sys/", with a way up to "sys/" before it. */
static void up_from(const char *dir, const char *link, char *out, size_t size)
{
	size_t n = 0;

	for (const char *p = dir; p; p = strchr(p + 1, '/'))
		n += (size_t)snprintf(out + n, size - n, "../");
	snprintf(out + n, size - n, "%s", link);
}

/* Take the lowest number that is free for @addr; -errno. */
static long take_number(struct tree *t, const char *addr)
{
	char path[PATH_MAX], target[64];
	long rc = -EEXIST, id;

	snprintf(target, sizeof(target), "../sys/bus/pci/devices/%s", addr);
	tree_dir(t, VIEW_CDEVS);
	for (id = 0; rc == -EEXIST && !t->err; id++) {
		snprintf(path, sizeof(path), "%s/" VIEW_CDEVS "/%ld", t->root, id);
		rc = sys_call(SYS_symlinkat, (long)target, AT_FDCWD, (long)path, 0, 0, 0);
	}
	return t->err ? t->err : rc ? rc : id - 1;
}

void view_cdev_class(struct tree *t)
{
	char path[64];

	tree_dir(t, VIEW_CDEVS);
	snprintf(path, sizeof(path), "sys/class/%s", VIEW_CDEV_CLASS);
	tree_dir(t, path);
}

/*
 * Write what the driver of 2010 adds: who owns which byte of config space, and what is locked,
 * which the process that has it open shows instead.
 */
static void write_v3(struct tree *t, const char *dir, const char *at)
{
	uint8_t cfg[PCI_CFG_SIZE] = { 0 }, map[V3_MAP_SIZE];
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/config", t->root, dir);
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0) {
		sys_call(SYS_read, fd, (long)cfg, sizeof(cfg), 0, 0, 0);
		sys_close(fd);
	}
	v3_map_of(cfg, map);
	snprintf(path, sizeof(path), "%s/config_map", at);
	tree_data(t, RO, path, map, sizeof(map));
	snprintf(path, sizeof(path), "%s/locked_pages", at);
	tree_text(t, RO, path, "0\n");
}

/* Return the node; before Linux 7.3 there is no other name, since there is none. */
static const struct vfio_node *node_of(bool noiommu)
{
	if (vfio_abi()->v3)
		return vfio_node_of(VFIO_FILE_V3_DEVICE);
	return vfio_node_of_cdev(noiommu && vfio_kernel_has(VFIO_KERNEL_IOMMUFD));
}

void view_cdev(struct tree *t, const char *dir, bool noiommu)
{
	const struct vfio_node *n = node_of(noiommu);
	char node[VFIO_NODE_NAME], at[128], class[32], path[PATH_MAX], target[PATH_MAX];
	const char *name;
	long id = take_number(t, strrchr(dir, '/') + 1);

	if (id < 0) {
		t->err = (int)id;
		return;
	}
	name = strrchr(vfio_node_name(n, (unsigned)id, node), '/') + 1;
	snprintf(at, sizeof(at), "%s/%s/%s", dir, VIEW_CDEV_CLASS, name);
	snprintf(path, sizeof(path), "%s/uevent", at);
	if (vfio_kernel_has(n->since))
		tree_text(t, RO, path, "MAJOR=%u\nMINOR=%ld\nDEVNAME=%s\n", n->major, id,
			  node + sizeof("/dev/") - 1);
	else
		tree_text(t, RO, path, "%s", "");
	snprintf(path, sizeof(path), "%s/device", at);
	snprintf(target, sizeof(target), "../../../%s", strrchr(dir, '/') + 1);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "%s/subsystem", at);
	snprintf(class, sizeof(class), "class/%s", VIEW_CDEV_CLASS);
	up_from(strchr(at, '/') + 1, class, target, sizeof(target));
	tree_link(t, path, target);
	snprintf(target, sizeof(target), "../../%s", strchr(at, '/') + 1);
	snprintf(path, sizeof(path), "sys/class/%s/%s", VIEW_CDEV_CLASS, name);
	tree_link(t, path, target);
	if (!vfio_kernel_has(n->since))
		return;
	if (vfio_abi()->v3)
		write_v3(t, dir, at);
	snprintf(path, sizeof(path), "%s/dev", at);
	tree_text(t, RO, path, "%u:%ld\n", n->major, id);
	snprintf(path, sizeof(path), "%s%ld", n->sysfs + 1, id);
	tree_link(t, path, target);
	tree_node(t, n->mode, node + 1);
}

/* True if number @name of VIEW_CDEVS is the device's. */
static bool is_number_of(const struct tree *t, const char *name, const char *addr)
{
	char path[PATH_MAX], target[64];
	long n;

	snprintf(path, sizeof(path), "%s/" VIEW_CDEVS "/%s", t->root, name);
	n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, sizeof(target) - 1, 0, 0);
	target[n > 0 ? n : 0] = '\0';
	return !strcmp(basename(target), addr);
}

/*
 * Find the number of the device in @dir; negative: it has none, or the tree has an error, so that
 * the driver stays. By the numbers themselves: of a device that was not bound altogether there may
 * be nothing else.
 */
static long number_of(struct tree *t, const char *dir)
{
	char path[PATH_MAX], buf[512] __attribute__((aligned(8)));
	const struct dirent64 *e;
	long n = 0, id = -ENOENT;
	int fd;

	snprintf(path, sizeof(path), "%s/" VIEW_CDEVS, t->root);
	fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	while (fd >= 0 && (n = sys_call(SYS_getdents64, fd, (long)buf, sizeof(buf), 0, 0, 0)) > 0)
		for (long at = 0; at < n; at += e->d_reclen) {
			e = (const struct dirent64 *)(buf + at);
			if (*e->d_name != '.' && is_number_of(t, e->d_name, strrchr(dir, '/') + 1))
				id = strtol(e->d_name, NULL, 10);
		}
	if (fd >= 0)
		sys_close(fd);
	else
		n = fd;
	if (n < 0 && n != -ENOENT && !t->err)
		t->err = (int)n;
	return n < 0 ? n : id;
}

void view_hide_cdev(struct tree *t, const char *dir, bool noiommu)
{
	static const char *const files[] = { "/subsystem",  "/device",	     "/uevent", "/dev",
					     "/config_map", "/locked_pages", "" };
	const struct vfio_node *n = node_of(noiommu);
	char node[VFIO_NODE_NAME], path[PATH_MAX];
	const char *name;
	long id = number_of(t, dir);

	if (id < 0)
		return;
	name = strrchr(vfio_node_name(n, (unsigned)id, node), '/') + 1;
	tree_remove(t, node + 1);
	/* devtmpfs takes it away with the last node */
	snprintf(path, sizeof(path), "%s%.*s", t->root, (int)(strrchr(node, '/') - node), node);
	sys_call(SYS_unlinkat, AT_FDCWD, (long)path, AT_REMOVEDIR, 0, 0, 0);
	snprintf(path, sizeof(path), "%s%ld", n->sysfs + 1, id);
	tree_remove(t, path);
	snprintf(path, sizeof(path), "sys/class/%s/%s", VIEW_CDEV_CLASS, name);
	tree_remove(t, path);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s%s", dir, VIEW_CDEV_CLASS, name, files[i]);
		tree_remove(t, path);
	}
	snprintf(path, sizeof(path), "%s/%s", dir, VIEW_CDEV_CLASS);
	tree_remove(t, path);
}

void view_drop_cdev(struct tree *t, const char *dir, bool noiommu)
{
	char path[64];
	long id = number_of(t, dir);

	if (id < 0)
		return;
	view_hide_cdev(t, dir, noiommu);
	/* now another device may have the number */
	snprintf(path, sizeof(path), VIEW_CDEVS "/%ld", id);
	tree_remove(t, path);
}

int view_cdev_device(const char *root, unsigned id, struct pci_address *out)
{
	char path[PATH_MAX], target[64];
	long n;

	snprintf(path, sizeof(path), "%s/" VIEW_CDEVS "/%u", root, id);
	n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)target, sizeof(target) - 1, 0, 0);
	if (n < 0)
		return (int)n;
	target[n] = '\0';
	return pci_address_parse(basename(target), out) ? -ENOENT : 0;
}
