/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/hot_reset.c: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET, in two forms.
 * Who opened the device by its group shows by group files that all devices that are reset are its
 * own; who opened it by its own file needs none, since all must be bound to the same iommufd. The
 * order of checks is the kernel's (vfio_pci_core.c).
 */
#include "base/heap.h"
#include "uapi/internal.h"
#include "vfio/iommufd.h"

/* The functions that a reset of a device's slot or bus resets. */
struct affected {
	struct vfio_place *at;
	unsigned n;
};

/* List them. -ENODEV: there is no such reset; -EAGAIN: some came or went meanwhile; -ENOMEM. */
static int affected_get(struct vfio_open *o, struct affected *a)
{
	int num = vfio_device_slot(o, NULL, 0);

	*a = (struct affected){ 0 };
	if (num < 0)
		return num;
	a->n = (unsigned)num;
	a->at = heap_array(a->n, sizeof(*a->at));
	if (!a->at)
		return -ENOMEM;
	return vfio_device_slot(o, a->at, a->n) == num ? 0 : -EAGAIN;
}

static bool by_cdev(const struct vfio_open *o)
{
	return o->via == VFIO_VIA_CDEV;
}

static unsigned group_number(const struct vfio_place *at)
{
	return at->group ? at->group->iommu->id : at->outside;
}

/* Tell of a device to who has an iommufd, or a group. */
static void fill(struct vfio_pci_dependent_device *out, const struct vfio_place *at,
		 struct vfio_iommufd *ictx, uint32_t *flags)
{
	int id;

	out->segment = at->address.segment;
	out->bus = at->address.bus;
	out->devfn = pci_address_devfn(&at->address);
	if (!(*flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID)) {
		out->group_id = group_number(at);
		return;
	}
	id = vfio_iommufd_place_id(ictx, at);
	/* the kernel's devid, at the same place */
	out->group_id = id > 0		? (uint32_t)id
			: id == -ENOENT ? VFIO_PCI_DEVID_OWNED
					: VFIO_PCI_DEVID_NOT_OWNED;
	if (out->group_id == VFIO_PCI_DEVID_NOT_OWNED)
		*flags &= ~VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
}

long uapi_hot_reset_info(struct vfio_open *o, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_pci_hot_reset_info, count);
	struct vfio_pci_dependent_device *out = NULL;
	struct vfio_pci_hot_reset_info info;
	struct affected all;
	long ret;

	if (uapi_get(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	ret = affected_get(o, &all);
	if (ret)
		goto out;
	info.flags = 0;
	info.count = all.n;
	if (info.argsz - minsz < all.n * sizeof(out[0])) {
		ret = uapi_put(arg, &info, minsz) ? -EFAULT : -ENOSPC;
		goto out;
	}
	out = heap_array(all.n, sizeof(*out));
	ret = -ENOMEM;
	if (!out)
		goto out;
	if (by_cdev(o))
		info.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	for (unsigned i = 0; i < all.n; i++)
		fill(&out[i], &all.at[i], vfio_iommufd_of(o->dev), &info.flags);
	ret = uapi_put(arg + minsz, out, all.n * sizeof(out[0])) || uapi_put(arg, &info, minsz)
		      ? -EFAULT
		      : 0;
out:
	heap_free(out);
	heap_free(all.at);
	return ret;
}

/* Say whose fault it is that a reset is refused. */
static long not_owned(struct vfio_open *o, const struct vfio_place *at, const char *what)
{
	char addr[PCI_ADDRESS_TEXT];

	pci_address_print(&at->address, addr);
	return report_info("hot-reset-group", o->dev->name, -EINVAL,
			   "hot reset: %s, which is reset with it, is in group %u, %s", addr,
			   group_number(at), what);
}

/* The form without files. */
static long reset_by_iommufd(struct vfio_open *o)
{
	struct affected all;
	long ret = affected_get(o, &all);

	for (unsigned i = 0; i < all.n && !ret; i++) {
		int id = vfio_iommufd_place_id(vfio_iommufd_of(o->dev), &all.at[i]);

		if (id <= 0 && id != -ENOENT)
			ret = not_owned(o, &all.at[i], "which is not the iommufd's");
	}
	if (!ret)
		ret = vfio_device_slot_reset(o);
	heap_free(all.at);
	return ret;
}

/* Get the group files that a caller names; *@held of them are to be put. 0 or -errno. */
static long get_files(struct uapi_file *f, const int32_t *fds, unsigned n, struct uapi_file **files,
		      unsigned *held)
{
	int err;

	for (*held = 0; *held < n;) {
		files[*held] = f->fds.fget(f->fds.arg, fds[*held], &err);
		if (!files[*held])
			return err ? err : -EINVAL;
		if (uapi_file_kind(files[(*held)++]) != VFIO_FILE_GROUP)
			return -EINVAL;
	}
	return 0;
}

static bool is_among(const struct vfio_group *g, struct uapi_file **files, unsigned n)
{
	bool is = false;

	for (unsigned k = 0; k < n; k++)
		is |= files[k]->group == g;
	return is;
}

static long reset_by_groups(struct uapi_file *f, unsigned long fds_at, unsigned n)
{
	struct uapi_file **files = NULL;
	int32_t *fds = NULL;
	struct affected all;
	unsigned held = 0;
	long ret;

	ret = affected_get(&f->open, &all);
	if (ret)
		goto out;
	ret = -EINVAL;
	if (n > all.n)
		goto out;
	files = heap_array(n, sizeof(*files));
	fds = heap_array(n, sizeof(*fds));
	ret = -ENOMEM;
	if (!files || !fds)
		goto out;
	ret = uapi_get(fds, fds_at, n * sizeof(fds[0])) ? -EFAULT
							: get_files(f, fds, n, files, &held);
	for (unsigned i = 0; i < all.n && !ret; i++)
		if (!is_among(all.at[i].group, files, held))
			ret = not_owned(&f->open, &all.at[i], "which the caller does not name");
	if (!ret)
		ret = vfio_device_slot_reset(&f->open);
	while (held)
		uapi_file_put(files[--held]);
out:
	heap_free(fds);
	heap_free(files);
	heap_free(all.at);
	return ret;
}

long uapi_hot_reset(struct uapi_file *f, unsigned long arg)
{
	const size_t minsz = UAPI_SIZE_WITH(struct vfio_pci_hot_reset, count);
	struct vfio_pci_hot_reset r;

	if (uapi_get(&r, arg, minsz))
		return -EFAULT;
	if (r.argsz < minsz || r.flags)
		return -EINVAL;
	if (!r.count && !by_cdev(&f->open) && !vfio_kernel_has(VFIO_KERNEL_RESET_COUNT_FIRST) &&
	    vfio_device_slot(&f->open, NULL, 0) == -ENODEV)
		return -ENODEV;
	if (!r.count != by_cdev(&f->open))
		return -EINVAL;
	return r.count ? reset_by_groups(f, arg + minsz, r.count) : reset_by_iommufd(&f->open);
}
