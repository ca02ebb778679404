/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/nodes.c: the nodes of /dev that are ours.
 */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "vfio/abi.h"
#include "vfio/nodes.h"

#define TEXT_OF(x)     #x
#define CHARDEV(maj)   "/sys/dev/char/" TEXT_OF(maj) ":"
#define MISC(maj, min) CHARDEV(maj) TEXT_OF(min), false
#define NUMBERED(maj)  CHARDEV(maj), true

const struct vfio_node vfio_nodes[] = {
	{ "/dev/vfio/vfio", MISC(VFIO_CONTAINER_MAJOR, VFIO_CONTAINER_MINOR), VFIO_FILE_CONTAINER,
	  VFIO_CONTAINER_MAJOR, VFIO_CONTAINER_MINOR, 0666, VFIO_KERNEL_ALWAYS, false },
	{ "/dev/iommu", MISC(VFIO_IOMMUFD_MAJOR, VFIO_IOMMUFD_MINOR), VFIO_FILE_IOMMUFD,
	  VFIO_IOMMUFD_MAJOR, VFIO_IOMMUFD_MINOR, 0660, VFIO_KERNEL_IOMMUFD, false },
	{ "/dev/vfio/", NUMBERED(VFIO_GROUP_MAJOR), VFIO_FILE_GROUP, VFIO_GROUP_MAJOR, 0, 0600,
	  VFIO_KERNEL_ALWAYS, false },
	{ "/dev/vfio/noiommu-", NUMBERED(VFIO_GROUP_MAJOR), VFIO_FILE_GROUP, VFIO_GROUP_MAJOR, 0,
	  0600, VFIO_KERNEL_ALWAYS, false },
	{ "/dev/vfio/devices/vfio", NUMBERED(VFIO_CDEV_MAJOR), VFIO_FILE_DEVICE, VFIO_CDEV_MAJOR, 0,
	  0600, VFIO_KERNEL_IOMMUFD, false },
	{ "/dev/vfio/devices/noiommu-vfio", NUMBERED(VFIO_CDEV_MAJOR), VFIO_FILE_DEVICE,
	  VFIO_CDEV_MAJOR, 0, 0600, VFIO_KERNEL_IOMMUFD, false },
	{ "/dev/vfio", NUMBERED(VFIO_V3_MAJOR), VFIO_FILE_V3_DEVICE, VFIO_V3_MAJOR, 0, 0600,
	  VFIO_KERNEL_ALWAYS, true },
	{ "/dev/uiommu", MISC(VFIO_UIOMMU_MAJOR, VFIO_UIOMMU_MINOR), VFIO_FILE_UIOMMU,
	  VFIO_UIOMMU_MAJOR, VFIO_UIOMMU_MINOR, 0600, VFIO_KERNEL_ALWAYS, true },
};
const size_t vfio_num_nodes = ARRAY_SIZE(vfio_nodes);

/*
 * Read the number at *@text, which moves behind it. The kernel's names have no signs and no leading
 * zeros. False: there is none.
 */
static bool number(const char **text, unsigned *id)
{
	const char *p = *text;
	uint64_t v = 0;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		v = v * 10 + (unsigned)(*p - '0');
		if (v > UINT32_MAX)
			return false;
	}
	*text = p;
	*id = (unsigned)v;
	return true;
}

bool vfio_node_is_there(const struct vfio_node *n)
{
	return vfio_kernel_has(n->since) && n->v3 == vfio_abi()->v3;
}

const struct vfio_node *vfio_node_find(const char *path, unsigned *id, const char **rest)
{
	for (size_t i = 0; i < vfio_num_nodes; i++) {
		const struct vfio_node *n = &vfio_nodes[i];
		size_t len = strlen(n->path);
		const char *end = path + len;

		*id = 0;
		if (!vfio_node_is_there(n))
			continue;
		if (strncmp(path, n->path, len) || (n->numbered && !number(&end, id)))
			continue;
		if (*end && (!rest || *end != '/'))
			continue;
		if (rest)
			*rest = end;
		return n;
	}
	return NULL;
}

char *vfio_node_name(const struct vfio_node *node, unsigned id, char name[VFIO_NODE_NAME])
{
	if (node->numbered)
		snprintf(name, VFIO_NODE_NAME, "%s%u", node->path, id);
	else
		snprintf(name, VFIO_NODE_NAME, "%s", node->path);
	return name;
}

const struct vfio_node *vfio_node_of_group(bool noiommu)
{
	const struct vfio_node *n = vfio_node_of(VFIO_FILE_GROUP);

	return noiommu ? n + 1 : n;
}

const struct vfio_node *vfio_node_of_cdev(bool noiommu)
{
	const struct vfio_node *n = vfio_node_of(VFIO_FILE_DEVICE);

	return noiommu ? n + 1 : n;
}

const struct vfio_node *vfio_node_of(enum vfio_file_kind kind)
{
	for (size_t i = 0; i < vfio_num_nodes; i++)
		if (vfio_nodes[i].kind == kind)
			return &vfio_nodes[i];
	return NULL;
}

/* Return the length of the name in /dev itself: of a node, or of a directory with only nodes. */
static size_t top_of(const struct vfio_node *n)
{
	const size_t dev = sizeof("/dev/") - 1;

	return dev + strcspn(n->path + dev, "/");
}

/* True if @path begins with the first @n bytes of @text, and a component ends there. */
static bool leads_to(const char *path, const char *text, size_t n)
{
	return !strncmp(path, text, n) && (!path[n] || path[n] == '/');
}

/* Names of today's interface in /dev are ours also where they are not there: never the host's. */
bool vfio_nodes_have(const char *path)
{
	for (size_t i = 0; i < vfio_num_nodes; i++) {
		const struct vfio_node *n = &vfio_nodes[i];
		size_t len = strlen(n->sysfs), top = top_of(n);
		const char *end = path + top;
		unsigned id;

		if (n->v3 && !vfio_node_is_there(n))
			continue;
		if (n->numbered && !n->path[top] && !strncmp(path, n->path, top) &&
		    number(&end, &id) && (!*end || *end == '/'))
			return true;
		if ((!n->numbered || n->path[top]) && leads_to(path, n->path, top))
			return true;
		if (n->numbered ? !strncmp(path, n->sysfs, len) : leads_to(path, n->sysfs, len))
			return true;
	}
	return false;
}

bool vfio_nodes_below(const char *path, size_t n)
{
	for (size_t i = 0; i < vfio_num_nodes; i++) {
		const struct vfio_node *node = &vfio_nodes[i];

		if (!strncmp(node->path, path, n) && n < top_of(node) && node->path[n] == '/')
			return true;
		if (!strncmp(node->sysfs, path, n) && node->sysfs[n] == '/')
			return true;
	}
	return false;
}
