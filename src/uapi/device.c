/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/device.c: ioctls of a device file: decode, copy, and hand to the waist (vfio/open.h). The
 * order of checks is the kernel's (vfio_pci_core.c, vfio_main.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "uapi/internal.h"

static long get_info(struct vfio_open *o, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_device_info, num_irqs);
	struct vfio_device_info_cap_pci_atomic_comp atomics = {
		.header = { .id = VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP, .version = 1 },
	};
	struct vfio_device_info_padded padded = { 0 };
	struct vfio_device_info *info = &padded.info;
	struct uapi_caps caps = { 0 };
	size_t size;
	int ret;

	if (uapi_get(info, arg, minsz))
		return -EFAULT;
	if (info->argsz < minsz)
		return -EINVAL;
	info->flags = o->dev->flags;
	info->num_regions = o->dev->num_regions;
	info->num_irqs = o->dev->num_irqs;
	info->cap_offset = 0;
	size = info->argsz < sizeof(padded) ? info->argsz : sizeof(padded);
	if (o->dev->ops->atomics && vfio_kernel_has(VFIO_KERNEL_ATOMIC_COMP))
		atomics.flags = o->dev->ops->atomics(o->dev);
	ret = atomics.flags ? uapi_caps_add(&caps, &atomics, sizeof(atomics)) : 0;
	if (!ret)
		ret = uapi_caps_finish(&caps, arg, sizeof(padded), &info->argsz, &info->flags,
				       VFIO_DEVICE_FLAGS_CAPS, &info->cap_offset);
	return ret ? ret : uapi_put(arg, info, size);
}

/* Add the sparse-mmap capability, if not all of @r can be mapped. 0 or -ENOMEM. */
static int add_sparse(struct uapi_caps *caps, const struct vfio_region *r)
{
	struct vfio_region_info_cap_sparse_mmap *cap;
	uint64_t offset, size;
	unsigned i = 0, n = 0;
	int ret = 0;

	cap = heap_alloc(sizeof(*cap) + r->num_areas * sizeof(cap->areas[0]));
	if (!cap)
		return -ENOMEM;
	for (; vfio_region_part(r, &i, &offset, &size); n++) {
		cap->areas[n].offset = offset;
		cap->areas[n].size = size;
	}
	cap->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	cap->header.version = 1;
	cap->nr_areas = n;
	if (n > 1 || cap->areas[0].size < r->size)
		ret = uapi_caps_add(caps, cap, sizeof(*cap) + n * sizeof(cap->areas[0]));
	heap_free(cap);
	return ret;
}

static long get_region_info(struct vfio_open *o, unsigned long arg)
{
	const struct vfio_info_cap_header msix = { .id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
						   .version = 1 };
	struct vfio_region_info_cap_type type = {
		.header = { .id = VFIO_REGION_INFO_CAP_TYPE, .version = 1 },
	};
	struct vfio_region_info info;
	struct vfio_region r;
	struct uapi_caps caps = { 0 };
	int ret;

	if (uapi_get(&info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	ret = vfio_device_region(o, info.index, &r);
	if (ret)
		return ret;
	info.flags = r.flags;
	info.size = r.size;
	info.offset = VFIO_REGION_OFFSET(info.index);
	if (r.num_areas)
		ret = add_sparse(&caps, &r);
	if (!ret && r.msix_mappable)
		ret = uapi_caps_add(&caps, &msix, sizeof(msix));
	type.type = r.type;
	type.subtype = r.subtype;
	if (!ret && r.type)
		ret = uapi_caps_add(&caps, &type, sizeof(type));
	if (ret) {
		heap_free(caps.buf);
		return ret;
	}
	ret = uapi_caps_finish(&caps, arg, sizeof(info), &info.argsz, &info.flags,
			       VFIO_REGION_INFO_FLAG_CAPS, &info.cap_offset);
	return ret ? ret : uapi_put(arg, &info, sizeof(info));
}

static long get_irq_info(struct vfio_open *o, unsigned long arg)
{
	struct vfio_irq_info info;
	struct vfio_irq irq;
	int ret;

	if (uapi_get(&info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info))
		return -EINVAL;
	ret = vfio_device_irq(o, info.index, &irq);
	if (ret)
		return ret;
	info.flags = irq.flags;
	info.count = irq.count;
	return uapi_put(arg, &info, sizeof(info));
}

static long set_irqs(struct vfio_open *o, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_irq_set, count);
	struct vfio_irq_set hdr;
	struct vfio_irq_set_args a;
	size_t size = 0;
	void *data = NULL;
	long ret;

	if (uapi_get(&hdr, arg, minsz))
		return -EFAULT;
	ret = vfio_device_check_irqs(o, hdr.argsz, hdr.flags, hdr.index, hdr.start, hdr.count,
				     &size);
	if (ret)
		return ret;
	if (size) {
		data = heap_alloc(size);
		if (!data)
			return -ENOMEM;
		if (uapi_get(data, arg + minsz, size)) {
			heap_free(data);
			return -EFAULT;
		}
	}
	a = (struct vfio_irq_set_args){ .flags = hdr.flags,
					.index = hdr.index,
					.start = hdr.start,
					.count = hdr.count,
					.data = data };
	ret = vfio_device_set_irqs(o, &a);
	heap_free(data);
	return ret;
}

static long ioeventfd(struct vfio_open *o, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_device_ioeventfd, fd);
	struct vfio_device_ioeventfd io;

	if (uapi_get(&io, arg, minsz))
		return -EFAULT;
	if (io.argsz < minsz)
		return -EINVAL;
	return vfio_device_ioeventfd(o, io.flags, io.offset, io.data, io.fd);
}

/* ---- of a device file that was opened by its node (drivers/vfio/device_cdev.c) ---- */

/* Check the token that comes with a BIND, or that none does. */
static long check_token(struct vfio_open *o, const struct vfio_device_bind_iommufd *b)
{
	uint8_t uuid[16];

	if (!(b->flags & VFIO_DEVICE_BIND_FLAG_TOKEN))
		return vfio_device_check_token(o->dev, NULL);
	if (uapi_get(uuid, b->token_uuid_ptr, sizeof(uuid)))
		return -EFAULT;
	return vfio_device_check_token(o->dev, uuid);
}

static int put_devid(void *out, uint32_t id)
{
	return uapi_put((unsigned long)out, &id, sizeof(id)) ? -EFAULT : 0;
}

static long bind_to(struct uapi_file *f, int fd, unsigned long out)
{
	struct uapi_file *to;
	int err = 0;
	long ret;

	to = f->fds.fget(f->fds.arg, fd, &err);
	if (!to)
		return err ? err : -EBADFD;
	ret = to->ops->kind == VFIO_FILE_IOMMUFD
		      ? vfio_open_bind_iommufd(&f->open, to->iommufd, put_devid, (void *)out)
		      : -EBADFD;
	uapi_file_put(to);
	return ret;
}

static long bind_iommufd(struct uapi_file *f, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_device_bind_iommufd, out_devid);
	struct vfio_device_bind_iommufd b;
	long ret;

	if (!vfio_kernel_has(VFIO_KERNEL_IOMMUFD))
		return -ENOTTY;
	if (uapi_get(&b.argsz, arg, sizeof(b.argsz)))
		return -EFAULT;
	if (b.argsz < minsz)
		return -EINVAL;
	ret = uapi_get_struct(&b, sizeof(b), arg, b.argsz);
	if (ret)
		return ret;
	if (b.iommufd < 0 || b.flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN || f->open.via != VFIO_VIA_CDEV)
		return -EINVAL;
	pthread_mutex_lock(&f->bind_lock);
	ret = vfio_open_hold(&f->open);
	if (ret)
		goto out;
	ret = check_token(&f->open, &b);
	if (!ret)
		ret = bind_to(f, b.iommufd,
			      arg + offsetof(struct vfio_device_bind_iommufd, out_devid));
	vfio_open_let_go(&f->open);
out:
	pthread_mutex_unlock(&f->bind_lock);
	return ret;
}

/*
 * Get the struct of ATTACH or DETACH, up to its PASID if it has one. They are alike but for where
 * what comes before that ends, @minsz.
 */
static long get_pt(void *pt, unsigned long arg, size_t minsz, const uint32_t **pasid)
{
	struct vfio_device_detach_iommufd_pt *p = pt; /* argsz and flags are where ATTACH's are */

	*pasid = NULL;
	if (uapi_get(pt, arg, minsz))
		return -EFAULT;
	if (p->argsz < minsz || p->flags & ~VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (!(p->flags & VFIO_DEVICE_ATTACH_PASID))
		return 0;
	if (p->argsz < minsz + sizeof(**pasid))
		return -EINVAL;
	*pasid = (uint32_t *)((char *)pt + minsz);
	return uapi_get((char *)pt + minsz, arg + minsz, sizeof(**pasid));
}

static long attach_pt(struct vfio_open *o, unsigned long arg)
{
	struct vfio_device_attach_iommufd_pt a;
	const uint32_t *pasid;
	long ret;

	ret = get_pt(&a, arg, UAPI_SIZE_WITH(struct vfio_device_attach_iommufd_pt, pt_id), &pasid);
	if (!ret)
		ret = vfio_iommufd_attach(o->dev, &a.pt_id, pasid);
	if (ret)
		return ret;
	if (uapi_put(arg + offsetof(struct vfio_device_attach_iommufd_pt, pt_id), &a.pt_id,
		     sizeof(a.pt_id))) {
		/* also of an attach with a PASID, which stays: so does the kernel */
		vfio_iommufd_detach(o->dev, NULL);
		return -EFAULT;
	}
	return 0;
}

static long detach_pt(struct vfio_open *o, unsigned long arg)
{
	struct vfio_device_detach_iommufd_pt d;
	const uint32_t *pasid;
	long ret;

	ret = get_pt(&d, arg, UAPI_SIZE_WITH(struct vfio_device_detach_iommufd_pt, flags), &pasid);
	if (!ret)
		vfio_iommufd_detach(o->dev, pasid);
	return ret;
}

static long call(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	struct vfio_open *o = &f->open;

	if (o->via == VFIO_VIA_CDEV && cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return attach_pt(o, arg);
	if (o->via == VFIO_VIA_CDEV && cmd == VFIO_DEVICE_DETACH_IOMMUFD_PT)
		return detach_pt(o, arg);
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(o, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(o, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info(o, arg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(o, arg);
	case VFIO_DEVICE_RESET:
		return vfio_device_reset(o);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return uapi_hot_reset_info(o, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return uapi_hot_reset(f, arg);
	case VFIO_DEVICE_IOEVENTFD:
		return ioeventfd(o, arg);
	case VFIO_DEVICE_FEATURE:
		return uapi_device_feature(f, arg);
	}
	return report_warn("ioctl-unknown", o->dev->name, -ENOTTY,
			   "ioctl 0x%x is not one of a PCI device", cmd);
}

static long device_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	struct vfio_device *dev;
	long ret;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return bind_iommufd(f, arg);
	if (!atomic_load(&f->open.bound))
		return report_info("device-not-bound", f->link, -EINVAL,
				   "ioctl 0x%x before VFIO_DEVICE_BIND_IOMMUFD", cmd);
	dev = f->open.dev; /* which binding sets */
	vfio_device_use(dev);
	ret = call(f, cmd, arg);
	vfio_device_unuse(dev);
	return ret;
}

static void device_release(struct uapi_file *f)
{
	vfio_open_close(&f->open);
	uapi_file_put(f->group_file);
}

static const char *const names[] = {
	"DEVICE_GET_INFO",
	"DEVICE_GET_REGION_INFO",
	"DEVICE_GET_IRQ_INFO",
	"DEVICE_SET_IRQS",
	"DEVICE_RESET",
	"DEVICE_GET_PCI_HOT_RESET_INFO",
	"DEVICE_PCI_HOT_RESET",
	[9] = "DEVICE_IOEVENTFD",
	"DEVICE_FEATURE",
	"DEVICE_BIND_IOMMUFD",
	"DEVICE_ATTACH_IOMMUFD_PT",
	"DEVICE_DETACH_IOMMUFD_PT",
};

const struct uapi_file_ops uapi_device_ops = {
	.kind = VFIO_FILE_DEVICE,
	.ioctl = device_ioctl,
	.read = uapi_device_read,
	.write = uapi_device_write,
	.mmap_check = uapi_device_mmap_check,
	.release = device_release,
	.names = { names, VFIO_BASE + 7, ARRAY_SIZE(names) },
};

int uapi_cdev_open(struct vfio_system *sys, const struct uapi_fds *fds, unsigned id,
		   const struct vfio_place *place, struct uapi_file **out)
{
	char link[VFIO_NODE_NAME];
	struct uapi_file *f;

	if (!vfio_place_may_open(place))
		return -EPERM;
	vfio_node_name(vfio_node_of_cdev(place->group->noiommu), id, link);
	f = uapi_file_new(sys, fds, &uapi_device_ops, link);
	if (!f)
		return -ENOMEM;
	vfio_open_init_cdev(&f->open, place);
	*out = f;
	return 0;
}
