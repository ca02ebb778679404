/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/v3.c: /dev/vfioN and /dev/uiommu of the interface of July 2010 (include/uvfio/vfio_v3.h).
 * The checks are in the order of its driver; an unknown ioctl is EINVAL.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "uvfio/vfio_v3.h"
#include "base/heap.h"
#include "uapi/internal.h"
#include "vfio/irqfd.h"

#define PIECE PAGE_SIZE_4K

/* ---- read, write, mmap ---- */

/* Return the space that a file offset is in. What is above its four bits V3 ignores. */
static unsigned space_of(const struct uapi_file *f, uint64_t pos)
{
	if (pos >> 36)
		report_warn(
			"v3-offset", f->link, 0,
			"offset 0x%llx: only bits 35:32 are a space, the upper ones are ignored",
			(unsigned long long)pos);
	return pos >> 32 & 15;
}

uint64_t uapi_v3_region_pos(const struct uapi_file *f, uint64_t pos)
{
	return VFIO_REGION_OFFSET(space_of(f, pos)) | (uint32_t)pos;
}

static ssize_t v3_file_rw(struct uapi_file *f, uintptr_t user, size_t count, uint64_t pos,
			  bool write)
{
	unsigned space = space_of(f, pos);
	uint32_t at = (uint32_t)pos;
	uint8_t buf[PIECE] __attribute__((aligned(8)));
	size_t done = 0, n;
	ssize_t ret;

	ret = v3_check_rw(&f->v3, space, at, &count, write);
	if (ret)
		return ret;
	do {
		n = PIECE - (size_t)(at % PIECE);
		if (n > count - done)
			n = count - done;
		if (write && uapi_get(buf, user + done, n))
			return -EFAULT;
		ret = v3_rw(&f->v3, space, at, buf, n, write);
		if (ret < 0)
			return done ? (ssize_t)done : ret;
		if (!write && uapi_put(user + done, buf, (size_t)ret))
			return -EFAULT;
		done += (size_t)ret;
		at += (uint32_t)ret;
	} while (ret && done < count && at);
	return (ssize_t)done;
}

static ssize_t v3_file_read(struct uapi_file *f, void *user, size_t count, uint64_t pos)
{
	return v3_file_rw(f, (uintptr_t)user, count, pos, false);
}

static ssize_t v3_file_write(struct uapi_file *f, const void *user, size_t count, uint64_t pos)
{
	return v3_file_rw(f, (uintptr_t)user, count, pos, true);
}

static int v3_mmap_check(struct uapi_file *f, size_t len, int prot, int flags, uint64_t pos)
{
	int type = flags & MAP_TYPE;

	if (!v3_has_domain(&f->v3) || (type != MAP_SHARED && type != MAP_SHARED_VALIDATE))
		return -EINVAL;
	return v3_check_map(&f->v3, space_of(f, pos), (uint32_t)pos, len, prot & PROT_WRITE);
}

/* ---- ioctls ---- */

static long dma_map(struct uapi_file *f, unsigned long arg, bool map)
{
	struct vfio_dma_map user;
	struct v3_dma m;
	long ret;

	if (uapi_get(&user, arg, sizeof(user)))
		return -EFAULT;
	m = (struct v3_dma){ user.vaddr, user.dmaaddr, user.size, user.flags & VFIO_FLAG_WRITE };
	if (!map)
		return v3_unmap(&f->v3, &m);
	ret = v3_map(&f->v3, &m);
	/* a result that cannot be told leaves the mapping */
	return ret ? ret : uapi_put(arg, &user, sizeof(user));
}

static long eventfd(struct uapi_file *f, unsigned long arg, bool msi)
{
	int fd;

	if (uapi_get(&fd, arg, sizeof(fd)))
		return -EFAULT;
	if (!msi)
		return v3_eventfd_irq(&f->v3, fd);
	return v3_messages(&f->v3, false, fd >= 0, &fd);
}

/* A count and so many eventfds, of which each is looked at before the next one is read. */
static long eventfds(struct uapi_file *f, unsigned long arg, bool msix)
{
	int n, *fds;
	long ret;

	if (uapi_get(&n, arg, sizeof(n)))
		return -EFAULT;
	ret = n < 0 ? -EINVAL : v3_messages_check(&f->v3, msix, n);
	if (ret || !n)
		return ret ? ret : v3_messages(&f->v3, msix, 0, NULL);
	if (n > V3_MAX_VECTORS)
		return -EINVAL;
	fds = heap_array((size_t)n, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	for (int i = 0; i < n && !ret; i++) {
		ret = uapi_get(&fds[i], arg + sizeof(n) * (1 + (unsigned long)i), sizeof(*fds));
		if (!ret)
			ret = vfio_check_eventfd(fds[i]);
	}
	if (!ret)
		ret = v3_messages(&f->v3, msix, (unsigned)n, fds);
	heap_free(fds);
	return ret;
}

static long bar_len(struct uapi_file *f, unsigned long arg)
{
	uint32_t len;
	int bar;
	long ret;

	if (uapi_get(&bar, arg, sizeof(bar)))
		return -EFAULT;
	ret = v3_bar_len(&f->v3, bar, &len);
	return ret ? ret : uapi_put(arg, &len, sizeof(len));
}

static long bar_info(struct uapi_file *f, unsigned long arg)
{
	struct vfio_v3_bar_info info;
	struct v3_bar bar;
	long ret;

	if (uapi_get(&info, arg, sizeof(info)))
		return -EFAULT;
	ret = v3_bar_info(&f->v3, info.bar, &bar);
	if (ret)
		return ret;
	info.flags = bar.flags;
	info.size = bar.size;
	return uapi_put(arg, &info, sizeof(info));
}

static const struct uapi_file_ops uiommu_ops;

static long domain_set(struct uapi_file *f, unsigned long arg)
{
	struct uapi_file *d;
	int fd, err;
	long ret;

	if (uapi_get(&fd, arg, sizeof(fd)))
		return -EFAULT;
	if (v3_has_domain(&f->v3))
		return -EBUSY;
	d = f->fds.fget(f->fds.arg, fd, &err);
	if (!d)
		return err ? err : -EINVAL;
	ret = d->ops == &uiommu_ops ? v3_domain_set(&f->v3, d->priv) : -EINVAL;
	uapi_file_put(d);
	return ret;
}

/* ---- events ---- */

struct events {
	struct uapi_file *device; /* stays open */
	struct v3_events *queue;
};

static void events_ready(void *arg, bool is)
{
	uapi_file_set_ready(arg, is);
}

static int events_put(void *arg, size_t done, const void *message, size_t n)
{
	return uapi_put((unsigned long)arg + done, message, n);
}

static ssize_t events_read(struct uapi_file *f, void *user, size_t count, uint64_t pos)
{
	struct events *e = f->priv;

	return v3_events_read(e->queue, count, events_put, user);
}

static void events_release(struct uapi_file *f)
{
	struct events *e = f->priv;

	v3_events_free(e->queue);
	uapi_file_put(e->device);
	heap_free(e);
}

static const struct uapi_file_ops events_ops = {
	.kind = VFIO_FILE_STREAM,
	.stream = true,
	.read = events_read,
	.release = events_release,
};

static long events_open(struct uapi_file *f)
{
	struct events *e = heap_alloc(sizeof(*e));
	struct uapi_file *ef = NULL;

	if (!e)
		return -ENOMEM;
	ef = uapi_file_new(f->sys, &f->fds, &events_ops, "anon_inode:[vfio-v3-events]");
	if (ef)
		e->queue = v3_events_new(&f->v3, events_ready, ef);
	if (!ef || !e->queue) {
		if (ef)
			uapi_file_free(ef);
		heap_free(e);
		return -ENOMEM;
	}
	uapi_file_get(f);
	e->device = f;
	ef->priv = e;
	return uapi_file_install(ef, O_RDONLY | O_CLOEXEC);
}

static long v3_ioctl(struct uapi_file *f, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case VFIO_DMA_MAP_IOVA:
		return dma_map(f, arg, true);
	case VFIO_DMA_UNMAP:
		return dma_map(f, arg, false);
	case VFIO_EVENTFD_IRQ:
		return eventfd(f, arg, false);
	case VFIO_EVENTFD_MSI:
		return eventfd(f, arg, true);
	case VFIO_EVENTFDS_MSIX:
		return eventfds(f, arg, true);
	case VFIO_BAR_LEN:
		return bar_len(f, arg);
	case VFIO_DOMAIN_SET:
		return domain_set(f, arg);
	case VFIO_DOMAIN_UNSET:
		return v3_domain_unset(&f->v3);
	case VFIO_V3_RESET:
		return v3_reset(&f->v3);
	case VFIO_V3_EVENTFDS_MSI:
		return eventfds(f, arg, false);
	case VFIO_V3_BAR_INFO:
		return bar_info(f, arg);
	case VFIO_V3_EVENTS:
		return events_open(f);
	}
	return report_warn("ioctl-unknown", f->link, -EINVAL,
			   "ioctl 0x%x is not one of the interface of 2010 (--abi v3)", cmd);
}

static void v3_release(struct uapi_file *f)
{
	v3_close(&f->v3);
}

static const char *const names[] = {
	"DMA_MAP_IOVA",	 "DMA_UNMAP",	     "EVENTFD_IRQ",  "EVENTFD_MSI",
	"EVENTFDS_MSIX", [6] = "DOMAIN_SET", "DOMAIN_UNSET",
};

static const struct uapi_file_ops v3_ops = {
	.kind = VFIO_FILE_V3_DEVICE,
	.seeks = true,
	.ioctl = v3_ioctl,
	.read = v3_file_read,
	.write = v3_file_write,
	.mmap_check = v3_mmap_check,
	.release = v3_release,
	.names = { names, 101, ARRAY_SIZE(names) },
};

int uapi_v3_open(struct vfio_system *sys, const struct uapi_fds *fds, unsigned id,
		 const struct vfio_place *place, struct uapi_file **out)
{
	char link[VFIO_NODE_NAME];
	struct uapi_file *f;
	int ret;

	vfio_node_name(vfio_node_of(VFIO_FILE_V3_DEVICE), id, link);
	f = uapi_file_new(sys, fds, &v3_ops, link);
	if (!f)
		return -ENOMEM;
	ret = v3_open(&f->v3, place);
	if (ret) {
		uapi_file_free(f);
		return ret;
	}
	*out = f;
	return 0;
}

/* ---- /dev/uiommu ---- */

static void uiommu_release(struct uapi_file *f)
{
	v3_domain_put(f->priv);
}

static const struct uapi_file_ops uiommu_ops = {
	.kind = VFIO_FILE_UIOMMU,
	.release = uiommu_release,
};

int uapi_uiommu_open(struct vfio_system *sys, const struct uapi_fds *fds, struct uapi_file **out)
{
	struct uapi_file *f;

	f = uapi_file_new(sys, fds, &uiommu_ops, vfio_node_of(VFIO_FILE_UIOMMU)->path);
	if (!f)
		return -ENOMEM;
	f->priv = v3_domain_new(sys);
	if (!f->priv) {
		uapi_file_free(f);
		return -ENOMEM;
	}
	*out = f;
	return 0;
}
