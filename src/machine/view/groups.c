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

	if (!vfio_node_is_there(n))
		return;
	vfio_node_name(n, id, path);
	write_chardev(t, class, path, n->major, n->minor + id, mode);
	tree_node(t, n->mode, path + 1);
}

void view_group_node(struct tree *t, unsigned id)
{
	write_node(t, vfio_node_of_group(false), id, "vfio", "");
}

static void drop_node(struct tree *t, const struct vfio_node *n, unsigned id)
{
	static const char *const names[] = { "sys/class/vfio/%s",
					     "sys/devices/virtual/vfio/%s/subsystem",
					     "sys/devices/virtual/vfio/%s/uevent",
					     "sys/devices/virtual/vfio/%s/dev",
					     "sys/devices/virtual/vfio/%s" };
	char path[PATH_MAX], node[VFIO_NODE_NAME];

	snprintf(path, sizeof(path), "%s%u", n->sysfs + 1, id);
	tree_remove(t, path);
	tree_remove(t, vfio_node_name(n, id, node) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), names[i], strrchr(node, '/') + 1);
		tree_remove(t, path);
	}
}

void view_drop_group_node(struct tree *t, unsigned id)
{
	drop_node(t, vfio_node_of_group(false), id);
}

/* Call @fn for the links between a group without an IOMMU and its device in @dir. */
static void noiommu_links(struct tree *t, unsigned id, const char *dir,
			  void (*fn)(struct tree *t, const char *path, const char *target))
{
	char path[PATH_MAX], target[PATH_MAX], *p = target;

	snprintf(path, sizeof(path), "%s/iommu_group", dir);
	for (const char *at = dir; (at = strchr(at, '/')); at++)
		p = stpcpy(p, "../");
	snprintf(p, sizeof(target) - (size_t)(p - target), "kernel/iommu_groups/%u", id);
	fn(t, path, target);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/devices%s", id, strrchr(dir, '/'));
	snprintf(target, sizeof(target), "../../../../%s", dir + sizeof("sys/") - 1);
	fn(t, path, target);
}

void view_noiommu_group(struct tree *t, unsigned id, const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/name", id);
	tree_text(t, RO, path, "vfio-noiommu\n");
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/reserved_regions", id);
	tree_text(t, RO, path, "%s", "");
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/type", id);
	tree_text(t, RO, path, "unknown\n");
	noiommu_links(t, id, dir, tree_link);
	write_node(t, vfio_node_of_group(true), id, "vfio", "");
}

static void remove_link(struct tree *t, const char *path, const char *target)
{
	tree_remove(t, path);
}

void view_drop_noiommu_group(struct tree *t, unsigned id, const char *dir)
{
	char path[PATH_MAX];

	drop_node(t, vfio_node_of_group(true), id);
	noiommu_links(t, id, dir, remove_link);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u/name", id);
	tree_remove(t, path);
	view_drop_group(t, id);
}

void view_container_node(struct tree *t)
{
	write_node(t, vfio_node_of(VFIO_FILE_CONTAINER), 0, "misc", "DEVMODE=0666\n");
	write_node(t, vfio_node_of(VFIO_FILE_IOMMUFD), 0, "misc", "DEVMODE=0660\n");
	write_node(t, vfio_node_of(VFIO_FILE_UIOMMU), 0, "misc", "");
	tree_dir(t, "sys/class/vfio");
	view_cdev_class(t);
	tree_dir(t, "sys/kernel/iommu_groups");
}
