/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/view/groups.c: IOMMU groups, and the device nodes of VFIO: their files in /dev/vfio and
 * what sysfs has of them.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "iommu/domain.h"
#include "machine/view/internal.h"
#include "vfio/nodes.h"

void view_group(struct tree *t, unsigned id)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/reserved_regions", id);
	tree_text(t, RO, path, "0x%016llx 0x%016llx msi\n", IOMMU_MSI_START, IOMMU_MSI_END);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/type", id);
	tree_text(t, RO, path, "DMA\n");
	/* who may open the group may claim it: the shim gives both files another mode or owner */
	snprintf(path, sizeof(path), "claims/group-%u", id);
	tree_lock(t, path);
}

void view_drop_group(struct tree *t, unsigned id)
{
	static const char *const files[] = { "/devices", "/reserved_regions", "/type", "" };
	char path[PATH_MAX];

	for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
		snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u%s", id, files[k]);
		tree_remove(t, path);
	}
}

/*
 * Write a character device that no bus has: its directory in devices/virtual/@class, and where it
 * is found. @node: its path in /dev. @mode: what udev is told, or "".
 */
static void write_chardev(struct tree *t, const char *class, const char *node, unsigned major,
			  unsigned minor, const char *mode)
{
	const char *name = strrchr(node, '/') + 1;
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "sys/devices/virtual/%s/%s/dev", class, name);
	tree_text(t, RO, path, "%u:%u\n", major, minor);
	snprintf(path, sizeof(path), "sys/devices/virtual/%s/%s/uevent", class, name);
	tree_text(t, RO, path, "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n%s", major, minor,
		  node + sizeof("/dev/") - 1, mode);
	snprintf(path, sizeof(path), "sys/devices/virtual/%s/%s/subsystem", class, name);
	snprintf(target, sizeof(target), "../../../../class/%s", class);
	tree_link(t, path, target);
	snprintf(target, sizeof(target), "../../devices/virtual/%s/%s", class, name);
	snprintf(path, sizeof(path), "sys/class/%s/%s", class, name);
	tree_link(t, path, target);
	snprintf(path, sizeof(path), "sys/dev/char/%u:%u", major, minor);
	tree_link(t, path, target);
}

/* Write the node with number @id, and what sysfs has of it in @class. */
static void write_node(struct tree *t, const struct vfio_node *n, unsigned id, const char *class,
		       const char *mode)
{
	char path[VFIO_NODE_NAME];

	if (!vfio_kernel_has(n->since))
		return;
	vfio_node_name(n, id, path);
	write_chardev(t, class, path, n->major, n->minor + id, mode);
	tree_node(t, n->mode, path + 1);
}

void view_group_node(struct tree *t, unsigned id)
{
	write_node(t, vfio_node_of(VFIO_FILE_GROUP), id, "vfio", "");
}

void view_drop_group_node(struct tree *t, unsigned id)
{
	static const char *const names[] = { "dev/vfio/%u",
					     "sys/class/vfio/%u",
					     "sys/devices/virtual/vfio/%u/subsystem",
					     "sys/devices/virtual/vfio/%u/uevent",
					     "sys/devices/virtual/vfio/%u/dev",
					     "sys/devices/virtual/vfio/%u" };
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%u", vfio_node_of(VFIO_FILE_GROUP)->sysfs + 1, id);
	tree_remove(t, path);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), names[i], id);
		tree_remove(t, path);
	}
}

void view_container_node(struct tree *t)
{
	write_node(t, vfio_node_of(VFIO_FILE_CONTAINER), 0, "misc", "DEVMODE=0666\n");
	write_node(t, vfio_node_of(VFIO_FILE_IOMMUFD), 0, "misc", "DEVMODE=0660\n");
	tree_dir(t, "sys/class/vfio");
	view_cdev_class(t);
	tree_dir(t, "sys/kernel/iommu_groups");
}
