/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/mmap.c: which pages of a BAR a user can map, and what kind they are. Memory BARs of at
 * least a page are mappable, since nothing else is placed on their pages; the model may except some
 * (then there is a sparse-mmap capability) or poll some (then whoever maps the region is told when
 * the mappings may be used).
 */
#include "vfio_pci/internal.h"

/* The areas between those that the model excepts. */
void vfio_pci_mmap_init(struct vfio_pci_device *vd)
{
	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		uint64_t size = pci_function_bar(vd->fn, bar)->size, at = 0, look = 0;
		struct pci_pages p;
		bool any = false;

		while (pci_function_pages(vd->fn, bar, look, &p)) {
			look = p.offset + p.len;
			if (p.kind != UVFIO_PAGE_UNMAPPED)
				continue;
			any = true;
			if (p.offset > at)
				vd->sparse[bar][vd->num_sparse[bar]++] =
					(struct vfio_region_area){ at, p.offset - at };
			at = look;
		}
		if (any && at < size)
			vd->sparse[bar][vd->num_sparse[bar]++] =
				(struct vfio_region_area){ at, size - at };
		vd->unmappable[bar] = any && !vd->num_sparse[bar];
	}
}

bool vfio_pci_mappable(struct vfio_pci_device *vd, unsigned bar, struct vfio_region *out)
{
	const struct pci_bar *b = pci_function_bar(vd->fn, bar);

	if (atomic_load(&vd->mmap) == VFIO_PCI_MMAP_OFF || bar >= PCI_BARS ||
	    b->size < PAGE_SIZE_4K || b->flags & UVFIO_BAR_IO || vd->unmappable[bar])
		return false;
	out->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	out->msix_mappable = vd->has_msix && vd->msix.table_bar == bar;
	out->sparse = vd->sparse[bar];
	out->num_sparse = vd->num_sparse[bar];
	return true;
}

bool vfio_pci_polled(struct vfio_device *dev, uint32_t index, uint64_t pos,
		     struct vfio_polled_area *out)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	struct pci_pages p;

	/* OFF came later than the mapping, which still has to be closed */
	if (index >= PCI_BARS || atomic_load(&vd->mmap) == VFIO_PCI_MMAP_TRAP)
		return false;
	for (; pci_function_pages(vd->fn, index, pos, &p); pos = p.offset + p.len) {
		if (p.kind != UVFIO_PAGE_POLLED)
			continue;
		*out = (struct vfio_polled_area){ .offset = p.offset, .size = p.len, .fd = p.fd };
		return true;
	}
	return false;
}

bool vfio_pci_polled_open(struct vfio_device *dev)
{
	return pci_pages_open(to_vfio_pci(dev)->fn);
}

static unsigned set_pages(void *arg, bool open)
{
	struct vfio_pci_device *vd = arg;
	vfio_mapper_fn *mapper = atomic_load(&vd->vdev.mapper);

	return mapper ? mapper(&vd->vdev, open) : 0;
}

const struct pci_pages_sink vfio_pci_pages_sink = { .set = set_pages };
