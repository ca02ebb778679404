/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/file.c: open files: their life, and the dispatch by kind. Numbers of ioctls collide between
 * kinds (3b70 is IOMMU_GET_INFO on a container, GET_PCI_HOT_RESET_INFO on a device), so each kind
 * has a table of its operations.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/event.h"
#include "base/heap.h"
#include "base/report.h"
#include "fault/fault.h"
#include "uapi/internal.h"
#include "vfio/type1.h"

#define OPENED "it was opened"

/* Return the name of @f's place for the checker: no other file that is open has it. */
static const char *place_key(char key[24], const struct uapi_file *f)
{
	snprintf(key, 24, "%p", (const void *)f);
	return key;
}

struct uapi_file *uapi_file_new(struct vfio_system *sys, const struct uapi_fds *fds,
				const struct uapi_file_ops *ops, const char *link)
{
	struct uapi_file *f = heap_alloc(sizeof(*f));
	char key[24];

	if (!f)
		return NULL;
	ref_init(&f->ref);
	f->ops = ops;
	f->sys = sys;
	f->fds = *fds;
	snprintf(f->link, sizeof(f->link), "%s", link);
	if (event_wanted(EVENT_PLACE))
		event_place(OPENED, place_key(key, f));
	pthread_mutex_init(&f->bind_lock, NULL);
	pthread_mutex_init(&f->pos_lock, NULL);
	pthread_mutex_init(&f->ready_lock, NULL);
	return f;
}

void uapi_file_free(struct uapi_file *f)
{
	pthread_mutex_destroy(&f->ready_lock);
	pthread_mutex_destroy(&f->pos_lock);
	pthread_mutex_destroy(&f->bind_lock);
	heap_free(f);
}

int uapi_file_install(struct uapi_file *f, int flags)
{
	int fd = f->fds.install(f->fds.arg, f, flags);

	if (fd < 0)
		uapi_file_put(f);
	return fd;
}

int uapi_open(struct vfio_system *sys, const struct uapi_fds *fds, const char *path, int flags,
	      struct uapi_file **out)
{
	struct vfio_group *g = NULL;
	struct vfio_place place;
	const struct vfio_node *node;
	const char *rest;
	unsigned id;

	node = vfio_node_find(path, &id, &rest);
	if (!node)
		return -ENOENT;
	if (node->kind == VFIO_FILE_GROUP) {
		g = vfio_system_group(sys, id);
		if (!g || node != vfio_node_of_group(g->noiommu))
			return -ENOENT;
	}
	if (node->kind == VFIO_FILE_DEVICE &&
	    (vfio_system_cdev(sys, id, &place) || node != vfio_node_of_cdev(place.group->noiommu)))
		return -ENOENT;
	if (node->kind == VFIO_FILE_V3_DEVICE && vfio_system_cdev(sys, id, &place))
		return -ENOENT;
	/* what open(2) says of any file that is there */
	if (*rest || flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	switch (node->kind) {
	case VFIO_FILE_CONTAINER:
		return uapi_container_open(sys, fds, out);
	case VFIO_FILE_GROUP:
		return uapi_group_open(sys, fds, id, g, out);
	case VFIO_FILE_IOMMUFD:
		return uapi_iommufd_open(sys, fds, out);
	case VFIO_FILE_DEVICE:
		return uapi_cdev_open(sys, fds, id, &place, out);
	case VFIO_FILE_V3_DEVICE:
		return uapi_v3_open(sys, fds, id, &place, out);
	case VFIO_FILE_UIOMMU:
		return uapi_uiommu_open(sys, fds, out);
	case VFIO_FILE_DMABUF:
	case VFIO_FILE_STREAM: /* have no node */
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
	if (!f || !ref_put(&f->ref))
		return;
	f->ops->release(f);
	uapi_file_free(f);
}

void uapi_file_set_closed(struct uapi_file *f)
{
	struct vfio_device *dev = uapi_file_device(f);

	if (dev)
		event_place("the device was closed", dev->name);
	atomic_store(&f->closed, true);
}

void uapi_file_look_back(struct uapi_file *f)
{
	REPORT_CODE(code, LOG_INFO, REPORT_LIMITED("leak-fd"));
	struct vfio_device *dev = uapi_file_device(f);
	char key[24];
	struct report_about about = { .place = OPENED, .of = place_key(key, f) };
	struct vfio_type1 *t;

	report_say_about(&code, dev ? dev->name : f->link, 0, &about, "%s is open to the end",
			 f->link);
	if (f->far)
		return;
	if (dev && dev->ops->look_back)
		dev->ops->look_back(dev);
	t = f->ops->kind == VFIO_FILE_CONTAINER ? vfio_container_type1_get(f->container) : NULL;
	if (!t)
		return;
	vfio_ioas_look_back(vfio_type1_ioas(t));
	vfio_container_type1_put(f->container);
}

bool uapi_file_is_closed(const struct uapi_file *f)
{
	return atomic_load_explicit(&f->closed, memory_order_relaxed);
}

enum vfio_file_kind uapi_file_kind(const struct uapi_file *f)
{
	return f->ops->kind;
}

const char *uapi_file_link(const struct uapi_file *f)
{
	return f->link;
}

/* True if @f has a struct vfio_open. */
static bool is_device(const struct uapi_file *f)
{
	return f->ops->kind == VFIO_FILE_DEVICE || f->ops->kind == VFIO_FILE_V3_DEVICE;
}

long uapi_file_group(const struct uapi_file *f)
{
	if (f->far)
		return uapi_far_group(f);
	if (is_device(f) && f->open.via == VFIO_VIA_CDEV)
		return f->open.place.group->iommu->id;
	if (f->ops->kind == VFIO_FILE_DEVICE)
		f = f->group_file;
	return f && f->ops->kind == VFIO_FILE_GROUP ? (long)f->group->iommu->id : -1;
}

struct vfio_device *uapi_file_device(const struct uapi_file *f)
{
	return is_device(f) && atomic_load(&f->open.bound) ? f->open.dev : NULL;
}

bool uapi_file_address(const struct uapi_file *f, struct pci_address *out)
{
	if (f->far)
		return uapi_far_address(f, out);
	if (!is_device(f))
		return false;
	*out = f->open.via == VFIO_VIA_CDEV ? f->open.place.address : f->open.dev->address;
	return true;
}

uint64_t uapi_file_pos(struct uapi_file *f)
{
	uint64_t pos;

	pthread_mutex_lock(&f->pos_lock);
	pos = f->pos;
	pthread_mutex_unlock(&f->pos_lock);
	return pos;
}

unsigned uapi_file_can(const struct uapi_file *f)
{
	return (f->ops->read ? UAPI_CAN_READ : 0) | (f->ops->write ? UAPI_CAN_WRITE : 0) |
	       (f->ops->stream ? UAPI_IS_STREAM : 0);
}

/* ---- streams ---- */

void uapi_file_set_ready(struct uapi_file *f, bool ready)
{
	pthread_mutex_lock(&f->ready_lock);
	if (f->ready != ready && f->on_ready)
		f->on_ready(f->on_ready_arg, ready);
	f->ready = ready;
	pthread_mutex_unlock(&f->ready_lock);
}

void uapi_file_on_ready(struct uapi_file *f, void (*fn)(void *arg, bool ready), void *arg)
{
	pthread_mutex_lock(&f->ready_lock);
	f->on_ready = fn;
	f->on_ready_arg = arg;
	if (fn && f->ready)
		fn(arg, true);
	pthread_mutex_unlock(&f->ready_lock);
}

/* ---- ioctls ---- */

/*
 * Log an ioctl that failed; with --log debug only. Failures that a user should see anyway are
 * warnings where they happen.
 */
static void log_failed(const struct uapi_file *f, unsigned int cmd, long err)
{
	const struct uapi_names *n = &f->ops->names;
	const char *who = uapi_file_device(f) ? f->open.dev->name : f->link, *name = NULL;
	unsigned nr = (cmd & 0xff) - n->first;

	if ((cmd >> 8) == VFIO_TYPE && nr < n->n)
		name = n->names[nr];
	report_debug("ioctl-failed", who, (int)err, "ioctl 0x%x %s", cmd, name ? name : "");
}

/* Return the error that a user wants the request to end with, or 0. */
static int ioctl_fault(struct uapi_file *f, unsigned int cmd)
{
	const struct fault_where w = { .device = uapi_file_device(f) ? f->open.dev->name : NULL,
				       .at = cmd };
	struct fault fault;

	if (!f->ops->ioctl || !fault_at(FAULT_IOCTL, &w, &fault) || fault.action != FAULT_ERRNO)
		return 0;
	return fault.err;
}

long uapi_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	const char *who = uapi_file_device(f) ? f->open.dev->name : f->link;
	long ret;

	EVENT(EVENT_CALL, .who = who, .what = f->ops->kind, .at = cmd, .mem = (void *)arg);
	ret = fault_wanted(FAULT_IOCTL) ? ioctl_fault(f, cmd) : 0;
	if (!ret)
		ret = f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
	EVENT(EVENT_RETURN, .who = who, .what = f->ops->kind, .at = cmd, .mem = (void *)arg,
	      .value = (uint64_t)ret);
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
