/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/file.c: open files: the life of containers, groups and devices as the kernel's
 * file_operations see it, and the dispatch by kind. Numbers of ioctls collide between kinds (3b70
 * is IOMMU_GET_INFO on a container, GET_PCI_HOT_RESET_INFO on a device), so kind comes first.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/heap.h"
#include "uapi/internal.h"

struct uapi_file *uapi_file_new(struct vfio_system *sys, const struct uapi_fds *fds,
				enum vfio_file_kind kind)
{
	struct uapi_file *f = heap_alloc(sizeof(*f));

	if (!f)
		return NULL;
	ref_init(&f->ref);
	f->kind = kind;
	f->sys = sys;
	f->fds = *fds;
	pthread_mutex_init(&f->pos_lock, NULL);
	return f;
}

static void file_free(struct uapi_file *f)
{
	pthread_mutex_destroy(&f->pos_lock);
	heap_free(f);
}

static int open_container(struct vfio_system *sys, const struct uapi_fds *fds,
			  struct uapi_file **out)
{
	struct uapi_file *f = uapi_file_new(sys, fds, VFIO_FILE_CONTAINER);

	if (!f)
		return -ENOMEM;
	f->container = vfio_container_new(sys);
	if (!f->container) {
		file_free(f);
		return -ENOMEM;
	}
	vfio_node_name(vfio_node_of(VFIO_FILE_CONTAINER), 0, f->link);
	*out = f;
	return 0;
}

static int open_group(struct vfio_system *sys, const struct uapi_fds *fds, struct vfio_group *g,
		      unsigned id, struct uapi_file **out)
{
	struct uapi_file *f;
	int ret;

	f = uapi_file_new(sys, fds, VFIO_FILE_GROUP);
	if (!f)
		return -ENOMEM;
	ret = vfio_group_open(sys, g);
	if (ret) {
		file_free(f);
		return ret;
	}
	f->group = g;
	vfio_node_name(vfio_node_of(VFIO_FILE_GROUP), id, f->link);
	*out = f;
	return 0;
}

int uapi_open(struct vfio_system *sys, const struct uapi_fds *fds, const char *path, int flags,
	      struct uapi_file **out)
{
	struct vfio_group *g = NULL;
	const struct vfio_node *node;
	const char *rest;
	unsigned id;

	node = vfio_node_find(path, &id, &rest);
	if (!node)
		return -ENOENT;
	if (node->kind == VFIO_FILE_GROUP) {
		g = vfio_system_group(sys, id);
		if (!g)
			return -ENOENT;
	}
	/* what open(2) says of any file that is there */
	if (*rest || flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	switch (node->kind) {
	case VFIO_FILE_CONTAINER:
		return open_container(sys, fds, out);
	case VFIO_FILE_GROUP:
		return open_group(sys, fds, g, id, out);
	case VFIO_FILE_DEVICE: /* has no node */
		break;
	}
	return -ENXIO;
}

void uapi_file_get(struct uapi_file *f)
{
	ref_get(&f->ref);
}

void uapi_file_put(struct uapi_file *f)
{
	struct uapi_file *next;

	for (; f; f = next) {
		if (!ref_put(&f->ref))
			return;
		next = NULL;
		switch (f->kind) {
		case VFIO_FILE_CONTAINER:
			vfio_container_put(f->container);
			break;
		case VFIO_FILE_GROUP:
			vfio_group_release(f->sys, f->group);
			break;
		case VFIO_FILE_DEVICE:
			vfio_open_close(&f->open);
			next = f->group_file;
			break;
		}
		file_free(f);
	}
}

enum vfio_file_kind uapi_file_kind(const struct uapi_file *f)
{
	return f->kind;
}

const char *uapi_file_link(const struct uapi_file *f)
{
	return f->link;
}

const char *uapi_file_group_link(const struct uapi_file *f)
{
	if (f->kind == VFIO_FILE_DEVICE)
		f = f->group_file;
	return f && f->kind == VFIO_FILE_GROUP ? f->link : NULL;
}

struct vfio_device *uapi_file_device(const struct uapi_file *f)
{
	return f->kind == VFIO_FILE_DEVICE ? f->open.dev : NULL;
}

/* Names of the ioctls, for the log: of ';', 100 and up (linux/vfio.h). */
static const char *const container_names[] = {
	[0] = "GET_API_VERSION",    "CHECK_EXTENSION", "SET_IOMMU",
	[12] = "IOMMU_GET_INFO",    "IOMMU_MAP_DMA",   "IOMMU_UNMAP_DMA",
	[17] = "IOMMU_DIRTY_PAGES",
};
static const char *const group_names[] = {
	[3] = "GROUP_GET_STATUS",
	"GROUP_SET_CONTAINER",
	"GROUP_UNSET_CONTAINER",
	"GROUP_GET_DEVICE_FD",
};
static const char *const device_names[] = {
	[7] = "DEVICE_GET_INFO", "DEVICE_GET_REGION_INFO",
	"DEVICE_GET_IRQ_INFO",	 "DEVICE_SET_IRQS",
	"DEVICE_RESET",		 "DEVICE_GET_PCI_HOT_RESET_INFO",
	"DEVICE_PCI_HOT_RESET",	 [16] = "DEVICE_IOEVENTFD",
	"DEVICE_FEATURE",
};
static const struct {
	const char *const *names;
	size_t n;
} kinds[] = {
	[VFIO_FILE_CONTAINER] = { container_names, ARRAY_SIZE(container_names) },
	[VFIO_FILE_GROUP] = { group_names, ARRAY_SIZE(group_names) },
	[VFIO_FILE_DEVICE] = { device_names, ARRAY_SIZE(device_names) },
};

/*
 * Log an ioctl that failed; with --log debug only. Failures that a user should see anyway are
 * warnings where they happen.
 */
static void log_failed(const struct uapi_file *f, unsigned int cmd, long err)
{
	const char *who = f->kind == VFIO_FILE_DEVICE ? f->open.dev->name : f->link, *name = NULL;
	unsigned nr = (cmd & 0xff) - VFIO_BASE;

	if ((cmd >> 8) == VFIO_TYPE && nr < kinds[f->kind].n)
		name = kinds[f->kind].names[nr];
	report_debug("ioctl-failed", who, (int)err, "ioctl 0x%x %s", cmd, name ? name : "");
}

long uapi_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	long ret = -ENOTTY;

	switch (f->kind) {
	case VFIO_FILE_CONTAINER:
		ret = uapi_container_ioctl(f, cmd, arg);
		break;
	case VFIO_FILE_GROUP:
		ret = uapi_group_ioctl(f, cmd, arg);
		break;
	case VFIO_FILE_DEVICE:
		ret = uapi_device_ioctl(f, cmd, arg);
		break;
	}
	if (ret < 0 && log_level() >= LOG_DEBUG)
		log_failed(f, cmd, ret);
	return ret;
}

int uapi_caps_add(struct uapi_caps *c, const void *cap, size_t size)
{
	size_t at = c->size, room = align_up(size, 8);
	uint8_t *buf = heap_resize(c->buf, at + room);

	if (!buf)
		return -ENOMEM;
	memcpy(buf + at, cap, size);
	memset(buf + at + size, 0, room - size);
	((struct vfio_info_cap_header *)(buf + at))->next = 0;
	if (at)
		((struct vfio_info_cap_header *)(buf + c->last))->next = (uint32_t)at;
	c->buf = buf;
	c->last = at;
	c->size = at + room;
	return 0;
}

int uapi_caps_finish(struct uapi_caps *c, unsigned long arg, size_t info_size, uint32_t *argsz,
		     uint32_t *flags, uint32_t caps_flag, uint32_t *cap_offset)
{
	struct vfio_info_cap_header *h;
	size_t at = 0, next;
	int ret = 0;

	*cap_offset = 0;
	if (!c->size)
		return 0;
	*flags |= caps_flag;
	if (*argsz < info_size + c->size) {
		*argsz = (uint32_t)(info_size + c->size);
		goto out;
	}
	/*
	 * offsets in the chain were relative to the buffer; the client's are relative to the info
	 * struct
	 */
	do {
		h = (struct vfio_info_cap_header *)(c->buf + at);
		next = h->next;
		if (next)
			h->next = (uint32_t)(next + info_size);
		at = next;
	} while (next);
	ret = uapi_put(arg + info_size, c->buf, c->size);
	*cap_offset = (uint32_t)info_size;
out:
	heap_free(c->buf);
	c->buf = NULL;
	c->size = 0;
	return ret;
}
