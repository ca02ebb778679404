/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/nodes.h: the nodes of /dev that are ours. All that has to know their names (uapi_open(), the
 * view of `uvfio run`, the shim's looks at paths, links and directories) asks this one table: a new
 * node is a line in nodes.c, and its kind in uapi_open().
 */
#ifndef VFIO_NODES_H
#define VFIO_NODES_H
#include <stdbool.h>
#include <stddef.h>

#include "vfio/kernel.h"

/* The kinds of open files. */
enum vfio_file_kind {
	VFIO_FILE_CONTAINER,
	VFIO_FILE_GROUP,
	VFIO_FILE_DEVICE, /* also what a group's file gave, without the node */
	VFIO_FILE_IOMMUFD,
	VFIO_FILE_DMABUF,
	VFIO_FILE_V3_DEVICE, /* these two of the interface of 2010 */
	VFIO_FILE_UIOMMU,
	VFIO_FILE_STREAM, /* an anonymous file that is read and written from end to end */
};

/* /dev/vfio/vfio is a misc device: linux/miscdevice.h, VFIO_MINOR 196 */
#define VFIO_CONTAINER_MAJOR 10
#define VFIO_CONTAINER_MINOR 196
/* /dev/iommu is one, too, with a number that the kernel finds (MISC_DYNAMIC_MINOR) */
#define VFIO_IOMMUFD_MAJOR 10
#define VFIO_IOMMUFD_MINOR 126
/*
 * Of groups: the kernel takes a dynamic major, counting down from 254 (linux/fs.h,
 * CHRDEV_MAJOR_DYN_END 234). The minor is the group.
 */
#define VFIO_GROUP_MAJOR 243
/* Of devices: the next one, which vfio asks for a moment later. The minor is their number. */
#define VFIO_CDEV_MAJOR 242

/* Of the interface of 2010: its driver's devices, and a misc device. */
#define VFIO_V3_MAJOR	  251
#define VFIO_UIOMMU_MAJOR 10
#define VFIO_UIOMMU_MINOR 59

struct vfio_node {
	/*
	 * The path; of a numbered node, what comes before its number. It is also what a link in
	 * /proc/self/fd to the open node reads.
	 */
	const char *path;
	/* The link in sysfs, "/sys/dev/char/10:196"; of a numbered node without its minor */
	const char *sysfs;
	bool numbered;		       /* one for each device or group, which come and go */
	enum vfio_file_kind kind;      /* of a file that is opened by it */
	unsigned major, minor;	       /* of a numbered node: @minor + its number */
	unsigned mode;		       /* permissions as the kernel makes it */
	enum vfio_kernel_change since; /* a kernel without it has no such node */
	bool v3;		       /* of the interface of 2010, and not of today's */
};
extern const struct vfio_node vfio_nodes[];
extern const size_t vfio_num_nodes;

/*
 * Return the node that @path names, or NULL: there is none, or the chosen kernel has none. Its
 * number is in *@id then (0 for one that is not numbered). If @rest is not NULL, @path may go on
 * behind it with a slash, where *@rest points.
 */
const struct vfio_node *vfio_node_find(const char *path, unsigned *id, const char **rest);

/* True if the chosen kernel and interface have @n. */
bool vfio_node_is_there(const struct vfio_node *n);
/* Write the path of @node with number @id to @name, and return it. */
#define VFIO_NODE_NAME 48
char *vfio_node_name(const struct vfio_node *node, unsigned id, char name[VFIO_NODE_NAME]);

/* Return the node of groups whose devices have no IOMMU, or have one. */
const struct vfio_node *vfio_node_of_group(bool noiommu);
/* The same of the nodes of devices. */
const struct vfio_node *vfio_node_of_cdev(bool noiommu);
/* Return the first node of @kind, or NULL: such a file has none. */
const struct vfio_node *vfio_node_of(enum vfio_file_kind kind);

/* True if @path is, or leads into, what the nodes have in /dev and in /sys/dev/char. */
bool vfio_nodes_have(const char *path);
/*
 * True if the first @n bytes of @path, without a slash at their end, are a directory above that.
 */
bool vfio_nodes_below(const char *path, size_t n);
#endif
