/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/device.c: a device of the host, as the waist has it: its open and close, and what is asked
 * of it that is neither region nor interrupt. The answers are the kernel's; what this kernel, or
 * this device, has not, is not among its operations.
 */
#include <string.h>

#include "base/heap.h"
#include "host/internal.h"

/* linux/vfio.h, since 6.1 */
struct wakeup {
	struct vfio_device_feature feature;
	struct vfio_device_low_power_entry_with_wakeup entry;
};
struct token {
	struct vfio_device_feature feature;
	uint8_t uuid[16];
};

static int feature(struct host_device *h, struct vfio_device_feature *f, size_t size,
		   uint32_t flags)
{
	f->argsz = (uint32_t)size;
	f->flags = flags;
	return h->env->ioctl(h->fd, VFIO_DEVICE_FEATURE, f);
}

/* True if the kernel has @flags, GET or SET of a feature, for @h. */
static bool has(struct host_device *h, uint32_t flags)
{
	struct vfio_device_feature f;

	return feature(h, &f, sizeof(f), flags | VFIO_DEVICE_FEATURE_PROBE) >= 0;
}

static int enter_or_exit(struct host_device *h, bool enter, int wake)
{
	struct wakeup w = { .entry.wakeup_eventfd = wake };

	if (!enter)
		return feature(h, &w.feature, sizeof(w.feature),
			       VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	if (wake < 0)
		return feature(h, &w.feature, sizeof(w.feature),
			       VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	return feature(h, &w.feature, sizeof(w),
		       VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP);
}

static int low_power(struct vfio_device *dev, bool enter, int wake)
{
	int ret = enter_or_exit(to_host(dev), enter, wake);

	if (ret >= 0)
		atomic_store(&dev->low_power, enter);
	return ret;
}

/* Have the kernel wake the device up, as by any call of a user's: many are answered here. */
static void use(struct vfio_device *dev, bool begins)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct host_device *h = to_host(dev);

	if (begins)
		h->env->ioctl(h->fd, VFIO_DEVICE_GET_INFO, &info);
}

static int set_vf_token(struct vfio_device *dev, const uint8_t uuid[16])
{
	struct token t = { 0 };

	memcpy(t.uuid, uuid, sizeof(t.uuid));
	return feature(to_host(dev), &t.feature, sizeof(t),
		       VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN);
}

/* The kernel answers when it gives the file: at once, if the device is open, else at the open. */
static int check_token(struct vfio_device *dev, const uint8_t *uuid)
{
	struct host_device *h = to_host(dev);
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	h->shown = uuid;
	if (uuid)
		memcpy(h->shown_token, uuid, sizeof(h->shown_token));
	if (dev->open_count)
		ret = h->way->check_token(h, uuid ? uuid : h->has_token ? h->token : NULL);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* Have the kernel signal the eventfd by which it asks for the device itself. */
static void request(struct vfio_device *dev, unsigned count)
{
	const struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_REQ_IRQ_INDEX,
		.count = 1,
	};
	int ret = host_set_irqs(dev, &a);

	if (ret < 0)
		report_info("host-request", dev->name, ret, "its user cannot be asked for it");
}

static uint32_t atomics(struct vfio_device *dev)
{
	return to_host(dev)->atomics;
}

static int attach(struct vfio_device *dev, struct vfio_ioas *io)
{
	struct host_device *h = to_host(dev);

	return h->way->attach(h, io);
}

static void detach(struct vfio_device *dev, struct vfio_ioas *io)
{
	struct host_device *h = to_host(dev);

	h->way->detach(h, io);
}

/* ---- open and close ---- */

/* Ask the kernel what the device is, which is just open: 0, or -errno with a line. */
static int get_info(struct host_device *h)
{
	struct vfio_device_info_padded head = { .info.argsz = sizeof(head) };
	const struct vfio_device_info_cap_pci_atomic_comp *cap;
	const struct vfio_device_info *info;
	unsigned regions, irqs;
	int size, ret = 0;
	size_t room;
	void *buf;

	size = host_info(h->env, h->fd, VFIO_DEVICE_GET_INFO, &head, sizeof(head), &buf);
	if (size < 0)
		return report_err("host-info", h->vdev.name, size, "DEVICE_GET_INFO");
	info = buf;
	if (!(info->flags & VFIO_DEVICE_FLAGS_PCI) ||
	    info->num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
	    info->num_irqs <= VFIO_PCI_MSIX_IRQ_INDEX)
		ret = report_err("host-info", h->vdev.name, -EOPNOTSUPP,
				 "the kernel has a device there that is no PCI function: flags "
				 "0x%x, %u regions, %u interrupt indices",
				 info->flags, info->num_regions, info->num_irqs);
	regions = info->num_regions < HOST_REGIONS ? info->num_regions : HOST_REGIONS;
	irqs = info->num_irqs < HOST_IRQS ? info->num_irqs : HOST_IRQS;
	h->vdev.flags = info->flags & (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	h->vdev.num_regions = regions;
	h->vdev.num_irqs = irqs;
	cap = host_info_cap(info, (size_t)size,
			    info->flags & VFIO_DEVICE_FLAGS_CAPS ? info->cap_offset : 0,
			    VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, sizeof(*cap), &room);
	h->atomics = cap ? cap->flags : 0;
	heap_free(buf);
	return ret ? ret : host_regions_get(h, regions, irqs);
}

/* First index: the kernel has low power for the device; second: VF tokens. */
static const struct vfio_device_ops all_ops[2][2];

/* Leave out what the kernel has not for this device. */
static void choose_ops(struct host_device *h)
{
	bool power = has(h, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY),
	     token = has(h, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN);

	if (h->vdev.ops != &all_ops[power][token])
		h->vdev.ops = &all_ops[power][token];
	if (has(h, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION))
		report_info("host-migration", h->vdev.name, 0,
			    "its driver in the host can migrate it; that is not handed on, "
			    "FEATURE_MIGRATION is ENOTTY");
}

int host_file_changed(struct host_device *h, int fd, bool add)
{
	if (!h->vdev.file_changed || fd < 0)
		return 0;
	return h->vdev.file_changed(h->vdev.file_changed_arg, fd, add);
}

/* Close the device's file, which is the one that the front knows if it is a character device. */
static void close_file(struct host_device *h)
{
	if (h->way == &host_by_cdev)
		host_file_changed(h, h->fd, false);
	fd_close_private(h->fd);
	h->fd = -1;
	h->way->closed(h);
}

static int open_device(struct vfio_device *dev)
{
	struct host_device *h = to_host(dev);
	int ret = h->way->open(h, dev->opens_for);

	h->shown = false;
	if (ret < 0)
		return ret;
	h->fd = ret;
	ret = get_info(h);
	if (!ret) {
		choose_ops(h);
		return 0;
	}
	host_regions_free(h);
	close_file(h);
	return ret;
}

/* Regions stay until the next open: a client may look at one that it got before. */
static void close_device(struct vfio_device *dev)
{
	atomic_store(&dev->low_power, false);
	close_file(to_host(dev));
}

#define OPS                                                                               \
	.open = open_device, .close = close_device, .attach = attach, .detach = detach,   \
	.region = host_get_region, .irq = host_get_irq, .rw = host_rw, .mmio = host_mmio, \
	.set_irqs = host_set_irqs, .reset = host_reset, .host_reset = host_host_reset,    \
	.slot = host_slot, .hot_reset = host_hot_reset, .check_token = check_token,       \
	.ioeventfd = host_ioeventfd, .request = request, .atomics = atomics
#define LOW_POWER .low_power = low_power, .use = use
#define VF_TOKEN  .set_vf_token = set_vf_token

static const struct vfio_device_ops all_ops[2][2] = {
	{ { OPS }, { OPS, VF_TOKEN } },
	{ { OPS, LOW_POWER }, { OPS, LOW_POWER, VF_TOKEN } },
};

struct host_device *host_of(struct vfio_device *dev)
{
	return dev->ops->open == open_device ? to_host(dev) : NULL;
}

void host_device_init(struct host_device *h)
{
	iommu_device_init(&h->iommu, h->name);
	vfio_device_init(&h->vdev, &all_ops[0][0], h->name, &h->iommu);
	h->vdev.address = h->address;
	h->vdev.flags = VFIO_DEVICE_FLAGS_PCI;
	h->vdev.num_regions = VFIO_PCI_NUM_REGIONS;
	h->vdev.num_irqs = VFIO_PCI_NUM_IRQS;
	h->vdev.pins = true;
	h->fd = -1;
}
