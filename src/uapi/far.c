/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/far.c: files of VFIO that are in another process: each call is made over there (far/wire.h),
 * where uapi/ decodes it. What must be done on this side is what only the process itself can: find
 * the descriptors in an argument, fault memory in, and give a new file a number.
 *
 * Mapped BARs are trapped, page by page: what is memory of the device while its owner says so could
 * not be taken back in time from a process that is stopped.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "base/heap.h"
#include "base/sys.h"
#include "far/link.h"
#include "iommu/device.h"
#include "iommu/populate.h"
#include "uapi/internal.h"

struct uapi_far {
	struct far_links *links;
	uint64_t dev, ino;
	struct far_info info;
	atomic_bool held; /* over there, since it was mapped here */
	/* of a device: for those who take it for one; all else is asked over there */
	struct vfio_device vdev;
	struct iommu_device iommu;
};

static struct far_request request(const struct uapi_far *far, enum far_op op)
{
	return (struct far_request){ .op = op, .dev = far->dev, .ino = far->ino };
}

static long call(const struct uapi_far *far, struct far_request *r, struct far_reply *out)
{
	return far_call(far->links, r, NULL, 0, NULL, NULL, out);
}

/* ---- a device's mapped registers ---- */

static int far_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		    uint64_t *value, bool write)
{
	struct uapi_far *far = container_of_type(dev, struct uapi_far, vdev);
	struct far_request r = request(far, write ? FAR_STORE : FAR_LOAD);
	struct far_reply reply = { 0 };
	long rc;

	r.a = (uint64_t)index << VFIO_REGION_SHIFT | pos;
	r.b = size;
	r.c = write ? *value : 0;
	rc = call(far, &r, &reply);
	if (!rc && !write)
		*value = reply.data;
	return rc ? -EIO : 0;
}

static int far_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	return -EINVAL;
}

static int far_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out)
{
	return -EINVAL;
}

static const struct vfio_device_ops far_device_ops = {
	.region = far_region,
	.irq = far_irq,
	.mmio = far_mmio,
};

/* ---- descriptors in an argument ---- */

#define MAX_FDS 4096u /* more than any argument has */

struct in_argument {
	int *fds; /* heap_alloc() */
	size_t n;
};

/* Take @n numbers at @from; those that are none are left for the other side to refuse. */
static void take_fds(struct in_argument *a, unsigned long from, size_t n)
{
	size_t k = 0;

	if (!n || n > MAX_FDS)
		return;
	a->fds = heap_array(n, sizeof(int));
	if (!a->fds)
		return;
	if (guard_copy(a->fds, (const void *)from, n * sizeof(int)))
		n = 0;
	for (size_t i = 0; i < n; i++)
		if (a->fds[i] >= 0 && !fd_is_private(a->fds[i]) &&
		    sys_call(SYS_fcntl, a->fds[i], F_GETFD, 0, 0, 0, 0) >= 0)
			a->fds[k++] = a->fds[i];
	a->n = k;
}

static void take_irqs(struct in_argument *a, unsigned long arg)
{
	struct vfio_irq_set set;

	if (!guard_copy(&set, (const void *)arg, sizeof(set)) &&
	    set.flags & VFIO_IRQ_SET_DATA_EVENTFD)
		take_fds(a, arg + sizeof(set), set.count);
}

static void take_hot_reset(struct in_argument *a, unsigned long arg)
{
	struct vfio_pci_hot_reset r;

	if (!guard_copy(&r, (const void *)arg, sizeof(r)))
		take_fds(a, arg + sizeof(r), r.count);
}

static void take_feature(struct in_argument *a, unsigned long arg)
{
	struct vfio_device_feature f;

	if (!guard_copy(&f, (const void *)arg, sizeof(f)) &&
	    (f.flags & VFIO_DEVICE_FEATURE_MASK) == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP)
		take_fds(a, arg + sizeof(f), 1);
}

/* Find the descriptors that an ioctl's argument names. */
static void find_fds(struct in_argument *a, enum vfio_file_kind kind, unsigned cmd,
		     unsigned long arg)
{
	if (kind == VFIO_FILE_GROUP && cmd == VFIO_GROUP_SET_CONTAINER)
		take_fds(a, arg, 1);
	if (kind != VFIO_FILE_DEVICE)
		return;
	if (cmd == VFIO_DEVICE_SET_IRQS)
		take_irqs(a, arg);
	else if (cmd == VFIO_DEVICE_IOEVENTFD)
		take_fds(a, arg + offsetof(struct vfio_device_ioeventfd, fd), 1);
	else if (cmd == VFIO_DEVICE_PCI_HOT_RESET)
		take_hot_reset(a, arg);
	else if (cmd == VFIO_DEVICE_FEATURE)
		take_feature(a, arg);
}

/* ---- memory ---- */

/* Memory that changes hands between processes would have to be one file in both. */
static long no_vaddr(void)
{
	return report_warn("own-vaddr", "process=own", -EINVAL,
			   "MAP_DMA and UNMAP_DMA with FLAG_VADDR are not there for devices with "
			   "process=own, and VFIO_UPDATE_VADDR says so");
}

/*
 * Have the pages of a mapping be there, with its rights, as pinning does. The other side, which
 * only sees the memory as a file, could not tell.
 */
static long check_map(unsigned long arg)
{
	struct vfio_iommu_type1_dma_map map;
	unsigned prot;

	if (guard_copy(&map, (const void *)arg, sizeof(map)))
		return 0; /* the other side says what is wrong, in the kernel's order */
	if (map.flags & VFIO_DMA_MAP_FLAG_VADDR)
		return no_vaddr();
	if (map.vaddr % PAGE_SIZE_4K || map.size % PAGE_SIZE_4K || !map.size ||
	    add_overflows(map.vaddr, map.size - 1))
		return 0;
	prot = (map.flags & VFIO_DMA_MAP_FLAG_READ ? IOMMU_READ : 0) |
	       (map.flags & VFIO_DMA_MAP_FLAG_WRITE ? IOMMU_WRITE : 0);
	return prot ? iommu_populate(map.vaddr, map.size, prot) : 0;
}

static long check_unmap(unsigned long arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;

	return !guard_copy(&unmap, (const void *)arg, sizeof(unmap)) &&
			       unmap.flags & VFIO_DMA_UNMAP_FLAG_VADDR
		       ? no_vaddr()
		       : 0;
}

/* ---- calls of a file ---- */

static int new_file(struct far_links *l, const struct uapi_fds *fds, uint64_t dev, uint64_t ino,
		    const struct far_info *info, struct uapi_file **out);

struct making {
	struct far_links *links;
	const struct uapi_fds *fds;
};

/* far_install_fn: the call has made a file. */
static int install(void *arg, const struct far_info *info, int flags)
{
	const struct making *m = arg;
	struct uapi_file *f;
	struct stat st;
	int fd;

	fd = new_file(m->links, m->fds, 0, 0, info, &f);
	if (fd)
		return fd;
	fd = uapi_file_install(f, flags);
	if (fd < 0)
		return fd;
	/* by its inode it is known from now on */
	if (!sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0)) {
		f->far->dev = st.st_dev;
		f->far->ino = st.st_ino;
	}
	return fd;
}

static long far_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	struct far_request r = request(f->far, FAR_IOCTL);
	struct making m = { f->far->links, &f->fds };
	struct in_argument in = { 0 };
	long rc;

	if (f->ops->kind == VFIO_FILE_CONTAINER) {
		if (cmd == VFIO_CHECK_EXTENSION && arg == VFIO_UPDATE_VADDR)
			return 0;
		rc = cmd == VFIO_IOMMU_MAP_DMA	   ? check_map(arg)
		     : cmd == VFIO_IOMMU_UNMAP_DMA ? check_unmap(arg)
						   : 0;
		if (rc)
			return rc;
	}
	find_fds(&in, f->ops->kind, cmd, arg);
	r.a = cmd;
	r.b = arg;
	rc = far_call(f->far->links, &r, in.fds, in.n, install, &m, NULL);
	heap_free(in.fds);
	return rc;
}

static ssize_t transfer(struct uapi_file *f, enum far_op op, const void *user, size_t count,
			uint64_t pos)
{
	struct far_request r = request(f->far, op);

	r.a = (uintptr_t)user;
	r.b = count;
	r.c = pos;
	return call(f->far, &r, NULL);
}

static ssize_t far_read(struct uapi_file *f, void *user, size_t count, uint64_t pos)
{
	return transfer(f, FAR_READ, user, count, pos);
}

static ssize_t far_write(struct uapi_file *f, const void *user, size_t count, uint64_t pos)
{
	return transfer(f, FAR_WRITE, user, count, pos);
}

ssize_t uapi_far_transfer(struct uapi_file *f, void *user, size_t count, bool write)
{
	return transfer(f, write ? FAR_WRITE_ON : FAR_READ_ON, user, count, 0);
}

int64_t uapi_far_seek(struct uapi_file *f, int64_t offset, int whence)
{
	struct far_request r = request(f->far, FAR_SEEK);

	r.a = (uint64_t)offset;
	r.b = (uint64_t)(int64_t)whence;
	return call(f->far, &r, NULL);
}

static int far_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos)
{
	struct far_request r = request(f->far, FAR_MMAP);
	long rc;

	r.a = len;
	r.b = (uint64_t)(int64_t)prot;
	r.c = (uint64_t)(int64_t)flags;
	r.d = pos;
	rc = call(f->far, &r, NULL);
	if (!rc)
		atomic_store(&f->far->held, true);
	return (int)rc;
}

void uapi_far_hold(struct uapi_file *f)
{
	struct far_request r = request(f->far, FAR_HOLD);

	call(f->far, &r, NULL);
}

static void far_release(struct uapi_file *f)
{
	struct far_request r = request(f->far, FAR_DROP);

	/* the last close of its descriptors is seen over there */
	if (atomic_load(&f->far->held))
		call(f->far, &r, NULL);
	if (f->ops->kind == VFIO_FILE_DEVICE) {
		vfio_device_fini(&f->far->vdev);
		iommu_device_fini(&f->far->iommu);
	}
	heap_free(f->far);
}

long uapi_far_group(const struct uapi_file *f)
{
	return f->far->info.group;
}

bool uapi_far_address(const struct uapi_file *f, struct pci_address *out)
{
	return f->ops->kind == VFIO_FILE_DEVICE && !pci_address_parse(f->far->info.device, out);
}

bool uapi_file_is_far(const struct uapi_file *f)
{
	return f->far;
}

/* ---- making them ---- */

static const struct uapi_file_ops far_container = { .kind = VFIO_FILE_CONTAINER,
						    .ioctl = far_ioctl,
						    .release = far_release };
static const struct uapi_file_ops far_group = { .kind = VFIO_FILE_GROUP,
						.ioctl = far_ioctl,
						.release = far_release };
static const struct uapi_file_ops far_device = {
	.kind = VFIO_FILE_DEVICE,
	.ioctl = far_ioctl,
	.read = far_read,
	.write = far_write,
	.mmap_check = far_mmap_check,
	.release = far_release,
};

static int new_file(struct far_links *l, const struct uapi_fds *fds, uint64_t dev, uint64_t ino,
		    const struct far_info *info, struct uapi_file **out)
{
	const struct uapi_file_ops *ops = info->kind == VFIO_FILE_CONTAINER ? &far_container
					  : info->kind == VFIO_FILE_GROUP   ? &far_group
									    : &far_device;
	struct uapi_far *far = heap_alloc(sizeof(*far));
	struct uapi_file *f;

	if (!far)
		return -ENOMEM;
	far->links = l;
	far->dev = dev;
	far->ino = ino;
	far->info = *info;
	far->info.link[FAR_LINK - 1] = '\0';
	far->info.device[sizeof(far->info.device) - 1] = '\0';
	f = uapi_file_new(NULL, fds, ops, far->info.link);
	if (!f) {
		heap_free(far);
		return -ENOMEM;
	}
	f->far = far;
	if (ops == &far_device) {
		iommu_device_init(&far->iommu, far->info.device);
		vfio_device_init(&far->vdev, &far_device_ops, far->info.device, &far->iommu);
		f->open.dev = &far->vdev;
		f->open.via = VFIO_VIA_GROUP;
		atomic_init(&f->open.bound, true);
	}
	*out = f;
	return 0;
}

int uapi_far_open(struct far_links *l, const struct uapi_fds *fds, const char *path, int flags)
{
	struct far_request r = { .op = FAR_OPEN, .a = (uint64_t)flags };
	struct making m = { l, fds };

	snprintf(r.path, sizeof(r.path), "%s", path);
	return (int)far_call(l, &r, NULL, 0, install, &m, NULL);
}

int uapi_far_find(struct far_links *l, const struct uapi_fds *fds, uint64_t dev, uint64_t ino,
		  struct uapi_file **out)
{
	struct far_request r = { .op = FAR_ASK, .dev = dev, .ino = ino };
	struct far_reply reply;
	long rc = far_call(l, &r, NULL, 0, NULL, NULL, &reply);

	return rc ? (int)rc : new_file(l, fds, dev, ino, &reply.info, out);
}
