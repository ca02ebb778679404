/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/iommufd_fault.c: the file of a fault queue, which FAULT_QUEUE_ALLOC gives: page requests are
 * read, and answers written, in whole records (the kernel's iommufd/eventq.c).
 */
#include <fcntl.h>

#include "uapi/internal.h"

/* The @i-th request goes to the program's memory at @arg. */
static int put_fault(void *arg, size_t i, const struct iommu_hwpt_pgfault *fault)
{
	return (int)uapi_put((unsigned long)arg + i * sizeof(*fault), fault, sizeof(*fault));
}

/* It does not wait for a request. */
static ssize_t fault_read(struct uapi_file *f, void *user, size_t count, uint64_t pos)
{
	const size_t size = sizeof(struct iommu_hwpt_pgfault);
	long ret;

	if (count % size)
		return -ESPIPE;
	ret = vfio_iommufd_fault_read(f->priv, count / size, put_fault, user);
	return ret < 0 ? ret : ret * (ssize_t)size;
}

static ssize_t fault_write(struct uapi_file *f, const void *user, size_t count, uint64_t pos)
{
	struct iommu_hwpt_page_response r;
	size_t done = 0;
	ssize_t ret = 0;

	if (count % sizeof(r))
		return -ESPIPE;
	for (; done < count && !ret; done += ret ? 0 : sizeof(r)) {
		ret = uapi_get(&r, (unsigned long)user + done, sizeof(r));
		if (!ret && r.code > IOMMUFD_PAGE_RESP_INVALID)
			ret = -EINVAL;
		if (!ret)
			ret = vfio_iommufd_fault_respond(f->priv, &r);
	}
	return done ? (ssize_t)done : ret;
}

static void fault_ready(void *arg, bool ready)
{
	uapi_file_set_ready(arg, ready);
}

static void fault_release(struct uapi_file *f)
{
	vfio_iommufd_fault_on_ready(f->priv, NULL, NULL);
	vfio_iommufd_fault_release(f->priv);
}

static const struct uapi_file_ops fault_ops = {
	.kind = VFIO_FILE_STREAM,
	.stream = true,
	.read = fault_read,
	.write = fault_write,
	.release = fault_release,
};

int uapi_fault_open(struct uapi_file *iommufd, uint32_t *id)
{
	struct vfio_iommufd *ictx = iommufd->iommufd;
	struct vfio_iommufd_fault *q;
	struct uapi_file *f;
	int ret;

	ret = vfio_iommufd_fault_alloc(ictx, id, &q);
	if (ret)
		return ret;
	f = uapi_file_new(iommufd->sys, &iommufd->fds, &fault_ops, "anon_inode:[iommufd-pgfault]");
	if (f) {
		f->priv = q;
		vfio_iommufd_fault_on_ready(q, fault_ready, f);
		ret = uapi_file_install(f, O_RDWR | O_CLOEXEC);
	} else {
		vfio_iommufd_fault_release(q);
		ret = -ENOMEM;
	}
	if (ret < 0)
		vfio_iommufd_abort(ictx, *id);
	else
		vfio_iommufd_publish(ictx, *id);
	return ret;
}
