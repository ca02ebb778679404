/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/mmap.c: which pages of a BAR a user can map, and of what kind they are. Memory BARs of
 * at least a page can be mapped, since nothing else is placed on their pages. The model may except
 * some pages (then there is a sparse-mmap capability), poll some, or have memory there (then
 * openers that map the region are told when the mappings may be used).
 */
#include "vfio_pci/internal.h"

static void add_area(struct vfio_pci_device *vd, unsigned bar, uint64_t from, uint64_t to,
		     enum vfio_area_kind kind, int fd)
{
	if (from < to)
		vd->mmap.areas[bar][vd->mmap.num_areas[bar]++] = (struct vfio_region_area){
			.offset = from,
			.size = to - from,
			.kind = kind,
			.fd = fd,
			.fd_offset = fd < 0 ? 0 : from,
			.shared = fd >= 0 && atomic_load(&vd->mmap.how) == VFIO_PCI_MMAP_SHARED,
		};
}

static bool is_memory(const struct pci_pages *p)
{
	return p->kind == UVFIO_PAGE_POLLED || p->kind == UVFIO_PAGE_MEMORY;
}

/* List the pages with memory, and as trapped all others but those that the model excepts. */
static void init_areas(struct vfio_pci_device *vd, unsigned bar, bool trap)
{
	uint64_t size = pci_function_bar(vd->fn, bar)->size, at = 0, look = 0;
	struct pci_pages p;
	bool any = false;

	vd->mmap.num_areas[bar] = 0;
	for (; pci_function_pages(vd->fn, bar, look, &p); look = p.offset + p.len) {
		if (trap && is_memory(&p))
			continue;
		any = true;
		add_area(vd, bar, at, p.offset, VFIO_AREA_TRAPPED, -1);
		at = p.offset + p.len;
		if (is_memory(&p))
			add_area(vd, bar, p.offset, at,
				 p.kind == UVFIO_PAGE_POLLED ? VFIO_AREA_POLLED : VFIO_AREA_DIRECT,
				 p.fd);
	}
	if (any)
		add_area(vd, bar, at, size, VFIO_AREA_TRAPPED, -1);
	vd->mmap.excluded[bar] = any && !vd->mmap.num_areas[bar];
}

void vfio_pci_mmap_init(struct vfio_pci_device *vd)
{
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		init_areas(vd, bar, atomic_load(&vd->mmap.how) == VFIO_PCI_MMAP_TRAP);
}

void vfio_pci_set_mmap(struct vfio_device *dev, enum vfio_pci_mmap how)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	atomic_store(&vd->mmap.how, how);
	pci_pages_share(vd->fn, how == VFIO_PCI_MMAP_SHARED);
	/* OFF may come when there are mappings, which keep their areas */
	if (how != VFIO_PCI_MMAP_OFF)
		vfio_pci_mmap_init(vd);
}

bool vfio_pci_mappable(struct vfio_pci_device *vd, unsigned bar, struct vfio_region *out)
{
	const struct pci_bar *b = pci_function_bar(vd->fn, bar);

	if (atomic_load(&vd->mmap.how) == VFIO_PCI_MMAP_OFF || bar >= PCI_BARS ||
	    b->size < PAGE_SIZE_4K || b->flags & UVFIO_BAR_IO || vd->mmap.excluded[bar])
		return false;
	out->flags |= VFIO_REGION_INFO_FLAG_MMAP;
	out->msix_mappable = vd->msix.there && vd->msix.info.table_bar == bar;
	out->areas = vd->mmap.areas[bar];
	out->num_areas = vd->mmap.num_areas[bar];
	return true;
}

int vfio_pci_check_dmabuf(struct vfio_device *dev, uint32_t index)
{
	const struct pci_bar *b = pci_function_bar(to_vfio_pci(dev)->fn, index);

	return index < PCI_BARS && b->size && !(b->flags & UVFIO_BAR_IO) ? 0 : -EINVAL;
}

bool vfio_pci_memory_answers(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	bool answers;

	pthread_rwlock_rdlock(&vd->memory_lock);
	answers = !vd->low.engaged && pci_power_state(vd->fn) < 3 &&
		  (vd->virtfn || vd->config.vconfig[PCI_COMMAND] & PCI_COMMAND_MEMORY);
	pthread_rwlock_unlock(&vd->memory_lock);
	return answers;
}

struct iommu_target *vfio_pci_target(struct vfio_device *dev)
{
	return pci_function_target(to_vfio_pci(dev)->fn);
}

bool vfio_pci_area_open(struct vfio_device *dev, enum vfio_area_kind kind)
{
	return pci_pages_open(to_vfio_pci(dev)->fn,
			      kind == VFIO_AREA_POLLED ? UVFIO_PAGE_POLLED : UVFIO_PAGE_MEMORY);
}

static unsigned set_pages(void *arg, enum uvfio_page_kind kind, bool open)
{
	struct vfio_pci_device *vd = arg;

	return vfio_device_set_areas(
		&vd->vdev, kind == UVFIO_PAGE_POLLED ? VFIO_AREA_POLLED : VFIO_AREA_DIRECT, open);
}

const struct pci_pages_sink vfio_pci_pages_sink = { .set = set_pages };
