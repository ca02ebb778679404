/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/bar_map.c: BARs in this process's address space (vfio/bar_map.h). Each mapping keeps the
 * provider's file open, a real device's with it.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/report.h"
#include "base/sys.h"
#include "vfio/bar_map.h"
#include "vfio/open.h"

void vfio_bar_maps_init(struct vfio_bar_maps *maps, bool (*enter)(struct vfio_open *),
			void (*leave)(struct vfio_open *))
{
	pthread_mutex_init(&maps->lock, NULL);
	CDS_INIT_LIST_HEAD(&maps->list);
	maps->enter = enter;
	maps->leave = leave;
}

void vfio_bar_maps_fini(struct vfio_bar_maps *maps)
{
	pthread_mutex_destroy(&maps->lock);
}

/* Give @m its rights, or take them away. The lock is held. 0 or -errno. */
static int set_rights(const struct vfio_bar_map *m, bool open)
{
	long ret = sys_call(SYS_mprotect, (long)m->at, (long)m->size, open ? m->prot : PROT_NONE, 0,
			    0, 0);

	if (ret && !open)
		report_err("bar-not-closed", m->open->dev->name, (int)ret,
			   "BAR%u, mapped at %p, stays mapped while the device does not answer: %m",
			   m->index, m->at);
	return (int)ret;
}

/* The mapper of @o, which has mappings in @arg. */
static unsigned set_open(struct vfio_open *o, void *arg, enum vfio_area_kind kind, bool open)
{
	struct vfio_bar_maps *maps = arg;
	struct vfio_bar_map *m;
	unsigned n = 0;

	if (kind != VFIO_AREA_DIRECT)
		return 0;
	pthread_mutex_lock(&maps->lock);
	cds_list_for_each_entry(m, &maps->list, node)
		if (m->open == o)
			n += !set_rights(m, open);
	pthread_mutex_unlock(&maps->lock);
	return n;
}

/* Undo the mmap() of @m, or its owner's reservation. */
static void undo(struct vfio_bar_map *m)
{
	if (m->at)
		sys_call(SYS_munmap, (long)m->at, (long)m->size, 0, 0, 0, 0);
	m->at = NULL;
}

int vfio_bar_maps_map(struct vfio_bar_maps *maps, struct vfio_bar_map *m, int fd,
		      uint64_t fd_offset)
{
	long ret = sys_call(SYS_mmap, (long)m->at, (long)m->size, PROT_NONE,
			    MAP_SHARED | (m->at ? MAP_FIXED : 0), SYS_PASS(fd), (long)fd_offset);

	if (sys_failed(ret))
		goto fail;
	m->at = (void *)ret;
	/* a child of fork() has no business with the device */
	ret = sys_call(SYS_madvise, (long)m->at, (long)m->size, MADV_DONTFORK, 0, 0, 0);
	if (ret)
		goto fail;
	vfio_open_set_mapper(m->open, set_open, maps);
	/* it is in the list before it is looked whether it is open: one of both comes up here */
	pthread_mutex_lock(&maps->lock);
	cds_list_add(&m->node, &maps->list);
	if (vfio_device_area_open(m->open, VFIO_AREA_DIRECT))
		ret = set_rights(m, true);
	if (ret)
		cds_list_del(&m->node);
	pthread_mutex_unlock(&maps->lock);
	if (!ret)
		return 0;
fail:
	undo(m);
	return (int)ret;
}

struct vfio_bar_map *vfio_bar_maps_unmap(struct vfio_bar_maps *maps, const struct vfio_open *o,
					 const volatile void *at)
{
	struct vfio_bar_map *m, *found = NULL;

	pthread_mutex_lock(&maps->lock);
	cds_list_for_each_entry(m, &maps->list, node) {
		if (m->open == o && (!at || m->at == at)) {
			found = m;
			cds_list_del(&m->node);
			undo(m);
			break;
		}
	}
	pthread_mutex_unlock(&maps->lock);
	return found;
}

bool vfio_bar_maps_find(struct vfio_bar_maps *maps, uint64_t vaddr, uint64_t size,
			struct vfio_bar *first)
{
	struct vfio_bar_map *m, found = { 0 };
	bool touches = false;

	pthread_mutex_lock(&maps->lock);
	cds_list_for_each_entry(m, &maps->list, node) {
		uint64_t at = (uintptr_t)m->at;

		/* a real device's */
		if (!m->open->dev->ops->target)
			continue;
		touches |= at < vaddr + size && vaddr < at + m->size;
		if (vaddr - at < m->size && (!maps->enter || maps->enter(m->open))) {
			found = *m;
			break;
		}
	}
	pthread_mutex_unlock(&maps->lock);
	/* it begins elsewhere, or the device is being closed: not as memory, and not as a BAR */
	*first = (struct vfio_bar){ .length = size };
	if (!found.open)
		return touches;
	vaddr -= (uintptr_t)found.at;
	vfio_device_bar(found.open, found.index, found.offset + vaddr, first);
	first->length = found.size - vaddr < size ? found.size - vaddr : size;
	first->prot = (found.prot & PROT_READ ? IOMMU_READ : 0) |
		      (found.prot & PROT_WRITE ? IOMMU_WRITE : 0);
	if (maps->leave)
		maps->leave(found.open);
	return true;
}
