/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_area.c: the memory of an IOAS: pages that were named by a MAP, areas that have some
 * of them, and their way into the page tables of devices. As in the kernel a page is pinned, and
 * counted, when the first area that has it comes into a HWPT, and once only: a COPY of an area, or
 * a second HWPT, has the same pages, whatever the program did to its own view of them meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/heap.h"
#include "base/sys.h"
#include "iommu/populate.h"
#include "vfio/dmabuf.h"
#include "vfio/iommufd_objects.h"

static struct iommufd_area *of_iova(struct itree_node *n)
{
	return n ? container_of_type(n, struct iommufd_area, by_iova) : NULL;
}

struct iommufd_area *iommufd_area_first(const struct iommufd_ioas *ioas, uint64_t iova,
					uint64_t last)
{
	return of_iova(itree_first(&ioas->areas, iova, last));
}

struct iommufd_area *iommufd_area_next(const struct iommufd_area *a, uint64_t iova, uint64_t last)
{
	return of_iova(itree_next(&a->by_iova, iova, last));
}

/* Return the pinned area with the lowest page in [@first, @last], or NULL. */
static struct iommufd_area *pinned(const struct iommufd_pages *p, uint64_t first, uint64_t last)
{
	struct itree_node *n = itree_first(&p->pinned, first, last);

	return n ? container_of_type(n, struct iommufd_area, by_page) : NULL;
}

/* ---- files ---- */

/*
 * Have a view of ours on the file. What the kernel pins of a file are pages of shmem or hugetlb
 * (memfd_pin_folios), whatever way the descriptor was opened in.
 */
static int file_view(struct iommufd_pages *p)
{
	int prot = PROT_READ | (p->writable ? PROT_WRITE : 0), fd = p->fd, flags;
	uint64_t bytes = p->npages * PAGE_SIZE_4K, unit = PAGE_SIZE_4K, from;
	struct statfs fs;
	struct stat st;
	char link[48];
	long at;

	if (p->device || sys_call(SYS_fstatfs, fd, (long)&fs, 0, 0, 0, 0) < 0 ||
	    sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0)
		return -EINVAL;
	if (!S_ISREG(st.st_mode) || (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC))
		return -EINVAL;
	/* the last byte of the last page has to be in the file */
	if (!range_within(p->offset, bytes, (uint64_t)st.st_size))
		return -EINVAL;
	flags = (int)sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	if ((flags & O_ACCMODE) != O_RDWR && (p->writable || (flags & O_ACCMODE) == O_WRONLY)) {
		/* for us: another open of the same file */
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		fd = sys_open(link, (p->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0);
		if (fd < 0)
			return report_warn("map-file-rights", "iommufd", -EACCES,
					   "IOAS_MAP_FILE of a descriptor without the rights, and "
					   "the file cannot be opened with them");
	}
	if (fs.f_type == HUGETLBFS_MAGIC)
		unit = (uint64_t)fs.f_bsize;
	from = align_down(p->offset, unit);
	bytes = align_up(p->offset + bytes, unit) - from;
	at = sys_call(SYS_mmap, 0, (long)bytes, prot, MAP_SHARED, fd, (long)from);
	if (fd != p->fd)
		sys_close(fd);
	if (at == -EPERM || at == -EACCES)
		return report_warn("map-file-sealed", "iommufd", -EPERM,
				   "IOAS_MAP_FILE for writing of a file that is sealed against it");
	if (at < 0)
		return at == -ENOMEM ? -ENOMEM : -EINVAL;
	p->view = at;
	p->view_size = bytes;
	p->vaddr = (uint64_t)at + (p->offset - from);
	return 0;
}

void iommufd_pages_put(struct vfio_iommufd *ictx, struct iommufd_pages *p)
{
	if (--p->refs)
		return;
	if (p->mem)
		ioas_memory_put(&ictx->sys->ioases, p->mem);
	if (p->view_size)
		physical_gone(ictx->sys, (uint64_t)p->view, (uint64_t)p->view + p->view_size - 1);
	if (p->view_size)
		sys_call(SYS_munmap, p->view, (long)p->view_size, 0, 0, 0, 0);
	if (p->fd >= 0)
		sys_close(p->fd);
	vfio_dmabuf_import_free(p->import);
	heap_free(p);
}

/* ---- pinning ---- */

/* Return how many pages of [@first, @last] no area has pinned. */
static uint64_t unpinned(const struct iommufd_pages *p, uint64_t first, uint64_t last)
{
	const struct iommufd_area *a;
	uint64_t n = 0;

	for (;;) {
		a = pinned(p, first, last);
		if (!a)
			return n + last - first + 1;
		if (a->by_page.start > first)
			n += a->by_page.start - first;
		if (a->by_page.last >= last)
			return n;
		first = a->by_page.last + 1;
	}
}

/* Let @a's pages be pinned no longer, but for those that others have. */
static void unpin(struct vfio_iommufd *ictx, struct iommufd_area *a)
{
	struct iommufd_pages *p = a->pages;

	if (!a->filled)
		return;
	itree_remove(&p->pinned, &a->by_page);
	a->filled = false;
	if (p->import)
		return;
	atomic_fetch_sub(&ictx->sys->ioases.pages_locked,
			 unpinned(p, a->by_page.start, a->by_page.last));
}

/*
 * The rights that @p's pages need, whichever of its areas has them: the kernel's pages->writable.
 */
static unsigned pin_rights(const struct iommufd_pages *p)
{
	return IOMMU_READ | (p->writable ? IOMMU_WRITE : 0);
}

/* Count @a's pages that are not pinned. 0; -EFAULT: one before the limit is bad; -ENOMEM. */
static int account(struct vfio_iommufd *ictx, const struct iommufd_area *a, uint64_t *counted)
{
	const struct iommufd_pages *p = a->pages;
	uint64_t pages = unpinned(p, a->by_page.start, a->by_page.last), limit, fit;

	*counted = 0;
	if (p->import) /* no pages */
		return 0;
	fit = ioas_account(ictx->sys, pages, &limit);
	if (fit == pages) {
		*counted = pages;
		return 0;
	}
	/* the kernel goes through them in order */
	if (pages == a->by_page.last - a->by_page.start + 1 &&
	    iommu_populate(p->vaddr + a->by_page.start * PAGE_SIZE_4K, (fit + 1) * PAGE_SIZE_4K,
			   pin_rights(p)) == -EFAULT)
		return -EFAULT;
	return report_err(REPORT_HINT("iommufd-memlock", ". Raise `ulimit -l`, or use `uvfio run "
							 "--memlock unlimited`"),
			  "iommufd", -ENOMEM,
			  "%llu bytes at IOVA 0x%llx: over RLIMIT_MEMLOCK (%llu bytes, %llu of "
			  "them in use)",
			  (unsigned long long)area_size(a), (unsigned long long)area_iova(a),
			  (unsigned long long)limit,
			  (unsigned long long)atomic_load(&ictx->sys->ioases.pages_locked) *
				  PAGE_SIZE_4K);
}

/* ---- page tables ---- */

/*
 * Pin and map pages [@first, @last] of @a, which nobody has pinned. Nothing can be mapped where a
 * write is an interrupt message: the pages are pinned, and when a device comes the area is an
 * error.
 */
static int map_fresh(struct vfio_ioas *space, const struct iommufd_area *a, uint64_t first,
		     uint64_t last)
{
	const struct iommufd_pages *p = a->pages;
	uint64_t vaddr = p->vaddr + first * PAGE_SIZE_4K,
		 iova = area_iova(a) + (first - a->by_page.start) * PAGE_SIZE_4K,
		 size = (last - first + 1) * PAGE_SIZE_4K, end = iova + size, from = iova, to;
	int ret = 0;

	if (!vaddr || add_overflows(vaddr, size - 1))
		return -EFAULT;
	for (; from < end && !ret; from = to) {
		bool window = !space->noiommu && from >= IOMMU_MSI_START && from <= IOMMU_MSI_END;

		to = space->noiommu	      ? end
		     : window		      ? IOMMU_MSI_END + 1
		     : from < IOMMU_MSI_START ? IOMMU_MSI_START
					      : end;
		if (to > end)
			to = end;
		if (window) {
			if (!p->import)
				ret = iommu_populate(vaddr + (from - iova), to - from,
						     pin_rights(p));
			continue;
		}
		pthread_mutex_lock(&space->lock);
		ret = ioas_map(space, from, vaddr + (from - iova), to - from, a->prot, p->mem,
			       first * PAGE_SIZE_4K + (from - iova));
		pthread_mutex_unlock(&space->lock);
	}
	return ret;
}

/* Map @a in @space, the first that has it. Errors leave some of it there. */
static int map_first(struct vfio_ioas *space, const struct iommufd_area *a)
{
	uint64_t page = a->by_page.start, last = a->by_page.last, to, iova;
	const struct iommufd_area *b;
	int ret;

	for (;; page = to + 1) {
		b = pinned(a->pages, page, last);
		iova = area_iova(a) + (page - a->by_page.start) * PAGE_SIZE_4K;
		if (!b || b->by_page.start > page) {
			to = b ? b->by_page.start - 1 : last;
			ret = map_fresh(space, a, page, to);
		} else {
			to = b->by_page.last < last ? b->by_page.last : last;
			ret = ioas_share(space, iova, a->prot, b->ioas->space,
					 area_iova(b) + (page - b->by_page.start) * PAGE_SIZE_4K,
					 (to - page + 1) * PAGE_SIZE_4K);
		}
		if (ret || to == last)
			return ret;
	}
}

void iommufd_space_unmap(struct vfio_ioas *space, uint64_t iova, uint64_t last)
{
	pthread_mutex_lock(&space->lock);
	ioas_unmap(space, iova, last);
	pthread_mutex_unlock(&space->lock);
}

/* Pin @a and map it in @space, where it has been in no other. */
static int fill_first(struct vfio_iommufd *ictx, struct iommufd_area *a, struct vfio_ioas *space)
{
	struct iommufd_pages *p = a->pages;
	uint64_t counted;
	int ret = 0;

	if (!p->mem) {
		p->mem = ioas_memory_new();
		if (!p->mem)
			return -ENOMEM;
		p->mem->fd = p->fd;
		p->mem->fd_offset = p->offset;
		p->mem->writable = p->writable;
		p->mem->device = p->import;
	}
	if (p->is_file && !p->vaddr)
		ret = file_view(p);
	if (!ret)
		ret = account(ictx, a, &counted);
	if (ret)
		return ret;
	ret = map_first(space, a);
	if (ret) {
		iommufd_space_unmap(space, area_iova(a), a->by_iova.last);
		atomic_fetch_sub(&ictx->sys->ioases.pages_locked, counted);
		return ret;
	}
	itree_insert(&p->pinned, &a->by_page);
	a->filled = true;
	return 0;
}

int iommufd_area_fill(struct vfio_iommufd *ictx, struct iommufd_area *a)
{
	struct iommufd_ioas *ioas = a->ioas;
	struct vfio_ioas *first;
	struct iommufd_hwpt *h;
	int ret;

	first = ioas->space;
	if (!first)
		return 0;
	ret = fill_first(ictx, a, first);
	cds_list_for_each_entry(h, &ioas->hwpts, in_ioas) {
		if (!ret && h->space != first)
			ret = ioas_share(h->space, area_iova(a), a->prot, first, area_iova(a),
					 area_size(a));
	}
	if (!ret || !a->filled)
		return ret;
	cds_list_for_each_entry(h, &ioas->hwpts, in_ioas)
		iommufd_space_unmap(h->space, area_iova(a), a->by_iova.last);
	unpin(ictx, a);
	return ret;
}

int iommufd_areas_fill(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas,
		       struct vfio_ioas *space)
{
	bool only = !ioas->space;
	struct iommufd_area *a;
	int ret = 0;

	if (only)
		ioas->space = space;
	for (a = iommufd_area_first(ioas, 0, UINT64_MAX); a && !ret;
	     a = iommufd_area_next(a, 0, UINT64_MAX)) {
		if (only)
			ret = fill_first(ictx, a, space);
		else
			ret = ioas_share(space, area_iova(a), a->prot, ioas->space, area_iova(a),
					 area_size(a));
	}
	if (!ret)
		return 0;
	iommufd_space_unmap(space, 0, UINT64_MAX);
	if (only) {
		iommufd_areas_unpin(ictx, ioas);
		ioas->space = NULL;
	}
	return ret;
}

void iommufd_areas_unpin(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas)
{
	struct iommufd_area *a;

	for (a = iommufd_area_first(ioas, 0, UINT64_MAX); a;
	     a = iommufd_area_next(a, 0, UINT64_MAX))
		unpin(ictx, a);
}

void iommufd_area_left(struct vfio_iommufd *ictx, const struct iommufd_area *a)
{
	uint64_t vaddr = a->pages->vaddr;

	physical_unpinned(ictx->sys, vaddr + a->by_page.start * PAGE_SIZE_4K,
			  vaddr + a->by_page.last * PAGE_SIZE_4K + PAGE_SIZE_4K - 1);
}

void iommufd_area_free(struct vfio_iommufd *ictx, struct iommufd_area *a)
{
	unpin(ictx, a);
	iommufd_area_left(ictx, a);
	iommufd_pages_put(ictx, a->pages);
	heap_free(a);
}
