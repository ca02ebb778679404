/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/ioeventfd.c: VFIO_DEVICE_IOEVENTFD: an eventfd that, when signalled, writes a value to a
 * register: a doorbell that a guest rings without its VMM. The write is done on the loop's thread;
 * signals that come before it is done are one.
 */
#include "base/heap.h"
#include "vfio_pci/internal.h"

static void ioeventfd_fire(void *arg)
{
	struct vfio_pci_ioeventfd *io = arg;
	uint64_t data = io->data;

	/* With memory decode off, nothing is written and nobody can be told. */
	vfio_pci_bar_rw(io->vd, io->bar, io->pos, &data, io->size, true);
}

static void ioeventfd_free(struct vfio_pci_ioeventfd *io)
{
	vfio_virqfd_free(io->virqfd);
	cds_list_del(&io->node);
	io->vd->ioeventfds.n--;
	heap_free(io);
}

int vfio_pci_ioeventfd(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data,
		       int fd)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	uint64_t pos = VFIO_REGION_POS(offset);
	unsigned bar = VFIO_REGION_INDEX(offset), size = flags;
	struct vfio_pci_ioeventfd *io;
	int err = 0;

	if (bar > VFIO_PCI_BAR5_REGION_INDEX ||
	    !range_within(pos, size, pci_function_bar(vd->fn, bar)->size))
		return -EINVAL;
	if (vfio_pci_touches_msix(vd, bar, pos, size))
		return -EINVAL;

	pthread_mutex_lock(&vd->ioeventfds.lock);
	cds_list_for_each_entry(io, &vd->ioeventfds.list, node) {
		if (io->bar != bar || io->pos != pos || io->data != data || io->size != size)
			continue;
		if (fd < 0)
			ioeventfd_free(io);
		else
			err = -EEXIST;
		goto out;
	}
	if (fd < 0) {
		err = -ENODEV;
		goto out;
	}
	if (vd->ioeventfds.n >= VFIO_PCI_IOEVENTFD_MAX) {
		err = -ENOSPC;
		goto out;
	}
	io = heap_alloc(sizeof(*io));
	if (!io) {
		err = -ENOMEM;
		goto out;
	}
	io->vd = vd;
	io->bar = bar;
	io->pos = pos;
	io->data = data;
	io->size = size;
	err = vfio_virqfd_new(vd->loop, fd, ioeventfd_fire, io, &io->virqfd);
	if (err) {
		heap_free(io);
		goto out;
	}
	cds_list_add(&io->node, &vd->ioeventfds.list);
	vd->ioeventfds.n++;
out:
	pthread_mutex_unlock(&vd->ioeventfds.lock);
	return err;
}

void vfio_pci_ioeventfd_drop_all(struct vfio_pci_device *vd)
{
	struct vfio_pci_ioeventfd *io, *next;

	pthread_mutex_lock(&vd->ioeventfds.lock);
	cds_list_for_each_entry_safe(io, next, &vd->ioeventfds.list, node)
		ioeventfd_free(io);
	pthread_mutex_unlock(&vd->ioeventfds.lock);
}
