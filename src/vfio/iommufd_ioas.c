/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/iommufd_ioas.c: I/O address spaces of an iommufd: which ranges can be mapped, and the rules
 * of MAP, COPY and UNMAP. Without a HWPT nothing limits them, and no memory is looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/client.h"
#include "base/heap.h"
#include "base/sys.h"
#include "vfio/dmabuf.h"
#include "vfio/iommufd_objects.h"

#define IOVA_END  (1ull << IOMMU_IOVA_BITS)
#define HUGE_SIZE (2ull << 20)

struct iommufd_allowed {
	struct itree_node node;
};

struct iommufd_ioas *iommufd_ioas_get(struct vfio_iommufd *ictx, uint32_t id)
{
	struct iommufd_object *o = iommufd_object_get(ictx, id, IOMMUFD_IOAS);

	return o ? container_of_type(o, struct iommufd_ioas, obj) : NULL;
}

struct iommufd_ioas *iommufd_ioas_new(struct vfio_iommufd *ictx)
{
	struct iommufd_ioas *ioas = heap_alloc(sizeof(*ioas));

	if (!ioas)
		return NULL;
	if (iommufd_object_add(ictx, &ioas->obj, IOMMUFD_IOAS)) {
		heap_free(ioas);
		return NULL;
	}
	CDS_INIT_LIST_HEAD(&ioas->hwpts);
	ioas->alignment = 1;
	ioas->full_to = PAGE_SIZE_4K;
	return ioas;
}

int vfio_iommufd_ioas_alloc(struct vfio_iommufd *ictx, uint32_t *id)
{
	struct iommufd_ioas *ioas;

	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_new(ictx);
	if (ioas)
		*id = ioas->obj.id;
	pthread_mutex_unlock(&ictx->lock);
	return ioas ? 0 : -ENOMEM;
}

void iommufd_ioas_free(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas)
{
	struct vfio_iommufd_allowed allowed = { ioas->allowed };
	uint64_t bytes;

	iommufd_object_remove(ictx, &ioas->obj);
	if (ictx->compat == ioas)
		ictx->compat = NULL;
	iommufd_ioas_unmap(ictx, ioas, 0, UINT64_MAX, &bytes);
	vfio_iommufd_allowed_free(&allowed);
	heap_free(ioas);
}

/* ---- what can be mapped ---- */

/* True if what a device writes at 0xfee00000 are interrupt messages to the IOMMU. */
static bool has_window(const struct iommufd_ioas *ioas)
{
	return ioas->devices && !ioas->space->noiommu;
}

/*
 * Return the ranges that can be mapped, in order: what is within the limits of all its page tables,
 * if devices are attached.
 */
static unsigned ranges(const struct iommufd_ioas *ioas, struct iommu_iova_range r[VFIO_IOAS_RANGES])
{
	struct vfio_ioas_limits all = { .num_ranges = 1, .ranges = { { 0, UINT64_MAX } } };
	const struct iommufd_hwpt *h;

	if (ioas->space)
		all.ranges[0].end = IOVA_END - 1;
	if (has_window(ioas))
		cds_list_for_each_entry(h, &ioas->hwpts, in_ioas)
			ioas_cut_limits(h->space, &all);
	for (unsigned i = 0; i < all.num_ranges; i++)
		r[i] = (struct iommu_iova_range){ all.ranges[i].start, all.ranges[i].end };
	return all.num_ranges;
}

static bool can_be_mapped(const struct iommufd_ioas *ioas, uint64_t iova, uint64_t last)
{
	struct iommu_iova_range r[VFIO_IOAS_RANGES];
	unsigned n = ranges(ioas, r);

	for (unsigned i = 0; i < n; i++)
		if (iova >= r[i].start && last <= r[i].last)
			return true;
	return false;
}

/* True if something is mapped or allowed in a range that is about to be reserved. */
static bool in_use(const struct iommufd_ioas *ioas, uint64_t start, uint64_t last)
{
	return itree_first(&ioas->areas, start, last) || itree_first(&ioas->allowed, start, last);
}

/* True if all areas are aligned to pages. */
static bool is_aligned(const struct iommufd_ioas *ioas)
{
	struct iommufd_area *a;

	for (a = iommufd_area_first(ioas, 0, UINT64_MAX); a;
	     a = iommufd_area_next(a, 0, UINT64_MAX))
		if ((area_iova(a) | area_size(a) | a->start) & (PAGE_SIZE_4K - 1))
			return false;
	return true;
}

int iommufd_ioas_check_hwpt(struct iommufd_ioas *ioas)
{
	const char *why = NULL;

	if (ioas->alignment < PAGE_SIZE_4K && !is_aligned(ioas))
		why = "a mapping is not of whole pages";
	else if (!ioas->space && in_use(ioas, IOVA_END, UINT64_MAX))
		why = "something is mapped or allowed beyond the IOMMU's 48 bits";
	if (!why)
		return 0;
	return report_warn("iommufd-conflict", "iommufd", -EADDRINUSE,
			   "IOAS %u cannot have a page table for devices: %s", ioas->obj.id, why);
}

int iommufd_ioas_check_device(struct iommufd_ioas *ioas)
{
	if (!in_use(ioas, IOMMU_MSI_START, IOMMU_MSI_END))
		return 0;
	return report_warn("iommufd-conflict", "iommufd", -EADDRINUSE,
			   "IOAS %u cannot have devices: something is mapped or allowed at "
			   "0xfee00000, where a device's writes are interrupts",
			   ioas->obj.id);
}

void iommufd_ioas_align(struct iommufd_ioas *ioas)
{
	ioas->alignment = ioas->space || ioas->small_pages ? PAGE_SIZE_4K : 1;
}

int iommufd_ioas_small_pages(struct iommufd_ioas *ioas)
{
	if (ioas->small_pages)
		return 0;
	if (ioas->space && ioas->areas.root)
		return -EINVAL;
	if (ioas->alignment < PAGE_SIZE_4K && !is_aligned(ioas))
		return -EADDRINUSE;
	ioas->small_pages = true;
	iommufd_ioas_align(ioas);
	return 0;
}

int vfio_iommufd_ioas_ranges(struct vfio_iommufd *ictx, uint32_t id,
			     struct iommu_iova_range out[VFIO_IOAS_RANGES], unsigned *n,
			     uint64_t *alignment)
{
	struct iommufd_ioas *ioas;

	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_get(ictx, id);
	if (ioas) {
		*n = ranges(ioas, out);
		*alignment = ioas->alignment;
	}
	pthread_mutex_unlock(&ictx->lock);
	return ioas ? 0 : -ENOENT;
}

/* ---- allowed ranges ---- */

int vfio_iommufd_allowed_add(struct vfio_iommufd_allowed *list, uint64_t start, uint64_t last)
{
	struct iommufd_allowed *a;

	if (start >= last || itree_first(&list->tree, start, last))
		return -EINVAL;
	a = heap_alloc(sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->node.start = start;
	a->node.last = last;
	itree_insert(&list->tree, &a->node);
	return 0;
}

void vfio_iommufd_allowed_free(struct vfio_iommufd_allowed *list)
{
	struct itree_node *n;

	while ((n = itree_first(&list->tree, 0, UINT64_MAX))) {
		itree_remove(&list->tree, n);
		heap_free(container_of_type(n, struct iommufd_allowed, node));
	}
}

int vfio_iommufd_ioas_allow(struct vfio_iommufd *ictx, uint32_t id,
			    struct vfio_iommufd_allowed *list)
{
	struct iommufd_ioas *ioas;
	struct itree old;
	int ret = 0;

	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_get(ictx, id);
	if (!ioas)
		ret = -ENOENT;
	else if (ioas->space && itree_first(&list->tree, IOVA_END, UINT64_MAX))
		ret = -EADDRINUSE;
	else if (has_window(ioas) && itree_first(&list->tree, IOMMU_MSI_START, IOMMU_MSI_END))
		ret = -EADDRINUSE;
	if (!ret) {
		old = ioas->allowed;
		ioas->allowed = list->tree;
		list->tree = old;
	}
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

bool vfio_iommufd_has_ioas(struct vfio_iommufd *ictx, uint32_t id)
{
	bool has;

	pthread_mutex_lock(&ictx->lock);
	has = iommufd_ioas_get(ictx, id);
	pthread_mutex_unlock(&ictx->lock);
	return has;
}

/* ---- a place for a mapping without FIXED ---- */

/*
 * Move *@start to where @length bytes fit before or at @last, if they do. Bits of an address in its
 * page are the same on both sides, so that a page of memory is a page of the table.
 */
static bool fits(uint64_t *start, uint64_t last, uint64_t length, uint64_t align, uint64_t in_page)
{
	uint64_t at;

	if (add_overflows(*start, align - 1))
		return false;
	at = align_up(*start, align) | in_page;
	if (at >= last || last - at < length - 1)
		return false;
	*start = at;
	return true;
}

/* Ranges that can be mapped, for one search. */
struct mappable {
	struct iommu_iova_range r[VFIO_IOAS_RANGES];
	unsigned n;
};

/* Return what is used or reserved and begins lowest in [@start, @last]. False: all is free. */
static bool next_used(const struct iommufd_ioas *ioas, const struct mappable *can, uint64_t start,
		      uint64_t last, struct iommu_iova_range *used)
{
	const struct itree_node *n = itree_first(&ioas->areas, start, last);
	struct iommu_iova_range gap = { 0 };
	bool found = n;

	if (n)
		*used = (struct iommu_iova_range){ n->start, n->last };
	/* what lies before each range, and behind the last */
	for (unsigned i = 0; i <= can->n; i++) {
		gap.last = i < can->n ? can->r[i].start - 1 : UINT64_MAX;
		if ((i == can->n || can->r[i].start > gap.start) && gap.start <= last &&
		    gap.last >= start && (!found || gap.start < used->start)) {
			*used = gap;
			found = true;
		}
		if (i == can->n || can->r[i].last == UINT64_MAX)
			break;
		gap.start = can->r[i].last + 1;
	}
	return found;
}

/* Find a place in [@start, @last], which may be used by MAP. */
static bool find_hole(const struct iommufd_ioas *ioas, const struct mappable *can, uint64_t start,
		      uint64_t last, uint64_t length, uint64_t align, uint64_t in_page,
		      uint64_t *iova)
{
	struct iommu_iova_range used = { 0 };

	if (start < ioas->full_to)
		start = ioas->full_to;
	while (start <= last && next_used(ioas, can, start, last, &used)) {
		*iova = start;
		if (used.start > start && fits(iova, used.start - 1, length, align, in_page))
			return true;
		if (used.last >= last)
			return false;
		start = used.last + 1;
	}
	*iova = start;
	return start <= last && fits(iova, last, length, align, in_page);
}

/* Find a place for @length bytes of memory at @addr: never page 0. */
static int find_place(const struct iommufd_ioas *ioas, uint64_t addr, uint64_t length,
		      uint64_t *iova)
{
	uint64_t in_page = addr % PAGE_SIZE_4K, align = 1, start, last;
	const uint64_t low = PAGE_SIZE_4K, high = UINT64_MAX - PAGE_SIZE_4K;
	struct mappable can;
	struct itree_node *n;

	if (!length || length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	while (align < length && align < HUGE_SIZE)
		align *= 2;
	if (addr && align > (addr & -addr))
		align = addr & -addr;
	if (align < ioas->alignment)
		return -EINVAL;
	can.n = ranges(ioas, can.r);
	if (!ioas->allowed.root)
		return find_hole(ioas, &can, low, high, length, align, in_page, iova) ? 0 : -ENOSPC;
	for (n = itree_first(&ioas->allowed, low, high); n; n = itree_next(n, low, high)) {
		start = n->start > low ? n->start : low;
		last = n->last < high ? n->last : high;
		if (fits(&start, last, length, align, in_page) &&
		    find_hole(ioas, &can, start, last, length, align, in_page, iova))
			return 0;
	}
	return -ENOSPC;
}

static int check_place(const struct iommufd_ioas *ioas, uint64_t iova, uint64_t length)
{
	if (iova & (ioas->alignment - 1))
		return -EINVAL;
	if (add_overflows(iova, length - 1))
		return -EOVERFLOW;
	if (!can_be_mapped(ioas, iova, iova + length - 1))
		return report_warn("iommufd-range", "iommufd", -EINVAL,
				   "map of 0x%llx bytes at IOVA 0x%llx: outside of what devices "
				   "can reach (IOAS_IOVA_RANGES)",
				   (unsigned long long)length, (unsigned long long)iova);
	return itree_first(&ioas->areas, iova, iova + length - 1) ? -EEXIST : 0;
}

/* ---- mapping ---- */

/* Put @a at @iova. */
static int insert(struct iommufd_ioas *ioas, struct iommufd_area *a, uint64_t iova, uint64_t length,
		  unsigned prot)
{
	struct itree_node *n;

	if (prot & IOMMU_WRITE && !a->pages->writable)
		return -EPERM;
	if (a->start % PAGE_SIZE_4K & (ioas->alignment - 1))
		return -EINVAL;
	a->ioas = ioas;
	a->prot = prot;
	a->by_iova.start = iova;
	a->by_iova.last = iova + length - 1;
	a->by_page.start = a->start / PAGE_SIZE_4K;
	a->by_page.last = (a->start + length - 1) / PAGE_SIZE_4K;
	itree_insert(&ioas->areas, &a->by_iova);
	if (iova <= ioas->full_to)
		while ((n = itree_first(&ioas->areas, ioas->full_to, ioas->full_to)) &&
		       n->last < UINT64_MAX)
			ioas->full_to = n->last + 1;
	return 0;
}

static void take_out(struct iommufd_ioas *ioas, struct iommufd_area *a)
{
	itree_remove(&ioas->areas, &a->by_iova);
	if (area_iova(a) < ioas->full_to)
		ioas->full_to = area_iova(a) > PAGE_SIZE_4K ? area_iova(a) : PAGE_SIZE_4K;
	a->ioas = NULL;
}

static int insert_all(struct iommufd_ioas *ioas, struct iommufd_area *list, uint64_t length,
		      unsigned prot, bool fixed, uint64_t *iova)
{
	struct iommufd_area *a;
	uint64_t at;
	int ret;

	if (!length || length & (ioas->alignment - 1))
		return -EINVAL;
	if (fixed)
		ret = check_place(ioas, *iova, length);
	else
		ret = find_place(ioas,
				 list->start + (list->pages->is_file ? list->pages->offset
								     : list->pages->vaddr),
				 length, iova);
	at = *iova;
	/* by_iova.last has the length until the area has its place */
	for (a = list; a && !ret; a = a->next) {
		uint64_t n = a->by_iova.last;

		ret = insert(ioas, a, at, n, prot);
		at += n;
	}
	return ret;
}

/*
 * Map the areas of @list, each of by_iova.last bytes, side by side; with an error they are freed.
 */
static int map_list(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, struct iommufd_area *list,
		    uint64_t length, unsigned prot, bool fixed, uint64_t *iova)
{
	struct iommufd_area *a, *next;
	uint64_t at = *iova;
	struct iommufd_hwpt *h;
	int ret;

	ret = insert_all(ioas, list, length, prot, fixed, &at);
	for (a = list; a && !ret; a = a->next)
		ret = iommufd_area_fill(ictx, a);
	if (!ret) {
		*iova = at;
		return 0;
	}
	for (a = list; a; a = next) {
		next = a->next;
		if (a->filled)
			cds_list_for_each_entry(h, &ioas->hwpts, in_ioas)
				iommufd_space_unmap(h->space, area_iova(a), a->by_iova.last);
		if (a->ioas)
			take_out(ioas, a);
		iommufd_area_free(ictx, a);
	}
	return ret;
}

/* Make an area that has @length bytes of @p from @start on, and a reference of it. */
static struct iommufd_area *new_area(struct iommufd_pages *p, uint64_t start, uint64_t length)
{
	struct iommufd_area *a = heap_alloc(sizeof(*a));

	if (!a)
		return NULL;
	a->pages = p;
	a->start = start;
	a->by_iova.last = length;
	p->refs++;
	return a;
}

static struct iommufd_pages *new_pages(uint64_t in_page, uint64_t length, unsigned prot)
{
	struct iommufd_pages *p = heap_alloc(sizeof(*p));

	if (!p)
		return NULL;
	p->refs = 1;
	p->fd = -1;
	p->npages = (in_page + length + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K;
	p->writable = prot & IOMMU_WRITE;
	return p;
}

/* Map all of @p, whose reference is taken. */
static int map_pages(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, struct iommufd_pages *p,
		     uint64_t in_page, uint64_t length, unsigned prot, bool fixed, uint64_t *iova)
{
	struct iommufd_area *a = new_area(p, in_page, length);
	int ret = -ENOMEM;

	if (a)
		ret = map_list(ictx, ioas, a, length, prot, fixed, iova);
	iommufd_pages_put(ictx, p);
	return ret;
}

int iommufd_ioas_map(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, uint64_t vaddr,
		     uint64_t length, unsigned prot, bool fixed, uint64_t *iova)
{
	struct iommufd_pages *p;
	int ret;

	if (add_overflows(vaddr, length))
		return -EOVERFLOW;
	if (!length || length > UINT64_MAX - PAGE_SIZE_4K)
		return -EINVAL;
	ret = ioas_map_fault(fixed ? *iova : 0, length);
	if (ret)
		return ret;
	p = new_pages(vaddr % PAGE_SIZE_4K, length, prot);
	if (!p)
		return -ENOMEM;
	p->vaddr = align_down(vaddr, PAGE_SIZE_4K);
	return map_pages(ictx, ioas, p, vaddr % PAGE_SIZE_4K, length, prot, fixed, iova);
}

int vfio_iommufd_ioas_map(struct vfio_iommufd *ictx, uint32_t id, uint64_t vaddr, uint64_t length,
			  unsigned prot, bool fixed, uint64_t *iova)
{
	struct iommufd_ioas *ioas;
	int ret = -ENOENT;

	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_get(ictx, id);
	if (ioas)
		ret = iommufd_ioas_map(ictx, ioas, vaddr, length, prot, fixed, iova);
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/*
 * Refuse a dma-buf of the kernel's, if @fd is one: an IOAS takes those of vfio alone, and looks at
 * the size first.
 */
static int check_no_dmabuf(int fd, uint64_t start, uint64_t length)
{
	struct statfs fs;
	long size;

	if (sys_call(SYS_fstatfs, fd, (long)&fs, 0, 0, 0, 0) < 0 || fs.f_type != DMA_BUF_MAGIC)
		return 0;
	size = sys_call(SYS_lseek, fd, 0, SEEK_END, 0, 0, 0);
	if (size < 0 || !range_within(start, length, (uint64_t)size))
		return -EINVAL;
	return report_warn("map-file-dmabuf", "iommufd", -EOPNOTSUPP,
			   "IOAS_MAP_FILE of a dma-buf that is of no VFIO device");
}

/* Map a part of the file behind the program's descriptor @fd. */
static int map_file(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, int fd, bool device,
		    struct vfio_dmabuf *dmabuf, uint64_t start, uint64_t length, unsigned prot,
		    bool fixed, uint64_t *iova)
{
	uint64_t in_page = start % PAGE_SIZE_4K;
	struct iommufd_pages *p;
	int mine, flags, ret;

	if (!length)
		return -EINVAL;
	if (add_overflows(start, length - 1))
		return -EOVERFLOW;
	flags = (int)sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
	if (flags < 0 || flags & O_PATH)
		return -EBADF;
	ret = device ? 0 : check_no_dmabuf(fd, start, length);
	if (ret)
		return ret;
	if (length > UINT64_MAX - 2 * PAGE_SIZE_4K)
		return -EINVAL;
	p = new_pages(in_page, length, prot);
	if (!p)
		return -ENOMEM;
	p->is_file = true;
	if (dmabuf) {
		ret = vfio_dmabuf_import(dmabuf, start, length, &p->import);
		if (ret) {
			iommufd_pages_put(ictx, p);
			return ret;
		}
		p->vaddr = vfio_dmabuf_import_address(p->import);
		return map_pages(ictx, ioas, p, in_page, length, prot, fixed, iova);
	}
	p->device = device;
	p->offset = start - in_page;
	fd = client_fd(fd);
	mine = fd < 0 ? fd : fd_dup_private(fd);
	if (mine < 0) {
		iommufd_pages_put(ictx, p);
		return mine;
	}
	p->fd = mine;
	return map_pages(ictx, ioas, p, in_page, length, prot, fixed, iova);
}

static int map_file_of(struct vfio_iommufd *ictx, uint32_t id, int fd, bool device,
		       struct vfio_dmabuf *b, uint64_t start, uint64_t length, unsigned prot,
		       bool fixed, uint64_t *iova)
{
	struct iommufd_ioas *ioas;
	int ret = -ENOENT;

	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_get(ictx, id);
	if (ioas)
		ret = map_file(ictx, ioas, fd, device, b, start, length, prot, fixed, iova);
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

int vfio_iommufd_ioas_map_file(struct vfio_iommufd *ictx, uint32_t id, int fd, bool device,
			       uint64_t start, uint64_t length, unsigned prot, bool fixed,
			       uint64_t *iova)
{
	return map_file_of(ictx, id, fd, device, NULL, start, length, prot, fixed, iova);
}

int vfio_iommufd_ioas_map_dmabuf(struct vfio_iommufd *ictx, uint32_t id, int fd,
				 struct vfio_dmabuf *b, uint64_t start, uint64_t length,
				 unsigned prot, bool fixed, uint64_t *iova)
{
	return map_file_of(ictx, id, fd, true, b, start, length, prot, fixed, iova);
}

/* ---- copying ---- */

static void free_list(struct vfio_iommufd *ictx, struct iommufd_area *list)
{
	struct iommufd_area *next;

	for (; list; list = next) {
		next = list->next;
		iommufd_area_free(ictx, list);
	}
}

/* Make areas of what @src has at [@iova, @iova + @length). -ENOENT: not all of it is mapped. */
static int copy_areas(struct vfio_iommufd *ictx, struct iommufd_ioas *src, uint64_t iova,
		      uint64_t length, struct iommufd_area **out)
{
	struct iommufd_area *a, *n, **end = out;
	uint64_t last = iova + length - 1, to;
	int ret = -ENOENT;

	*out = NULL;
	if (!length)
		return -EINVAL;
	if (add_overflows(iova, length - 1))
		return -EOVERFLOW;
	for (;; iova = to + 1) {
		a = iommufd_area_first(src, iova, iova);
		if (!a)
			break;
		to = a->by_iova.last < last ? a->by_iova.last : last;
		n = new_area(a->pages, a->start + (iova - area_iova(a)), to - iova + 1);
		if (!n) {
			ret = -ENOMEM;
			break;
		}
		*end = n;
		end = &n->next;
		if (to == last)
			return 0;
	}
	free_list(ictx, *out);
	return ret;
}

int vfio_iommufd_ioas_copy(struct vfio_iommufd *ictx, const struct iommu_ioas_copy *c,
			   unsigned prot, uint64_t *iova)
{
	struct iommufd_ioas *src, *dst;
	struct iommufd_area *list;
	int ret = -ENOENT;

	pthread_mutex_lock(&ictx->lock);
	src = iommufd_ioas_get(ictx, c->src_ioas_id);
	if (!src)
		goto out;
	ret = copy_areas(ictx, src, c->src_iova, c->length, &list);
	if (ret)
		goto out;
	ret = -ENOENT;
	dst = iommufd_ioas_get(ictx, c->dst_ioas_id);
	if (dst)
		ret = map_list(ictx, dst, list, c->length, prot,
			       c->flags & IOMMU_IOAS_MAP_FIXED_IOVA, iova);
	else
		free_list(ictx, list);
out:
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/* ---- unmapping ---- */

int iommufd_ioas_unmap(struct vfio_iommufd *ictx, struct iommufd_ioas *ioas, uint64_t iova,
		       uint64_t last, uint64_t *unmapped)
{
	struct iommufd_area *first = iommufd_area_first(ioas, iova, last), *a, *next;
	struct iommufd_hwpt *h;
	uint64_t end = 0;
	int ret = 0;

	*unmapped = 0;
	for (a = first; a; a = iommufd_area_next(a, iova, last)) {
		if (area_iova(a) < iova || a->by_iova.last > last) {
			ret = report_warn("iommufd-unmap-cut", "iommufd", -ENOENT,
					  "unmap of [0x%llx, 0x%llx] would cut a mapping",
					  (unsigned long long)iova, (unsigned long long)last);
			break;
		}
		end = a->by_iova.last;
		*unmapped += area_size(a);
	}
	if (!*unmapped)
		return ret;
	/* one call for the lot, as each waits for the devices */
	cds_list_for_each_entry(h, &ioas->hwpts, in_ioas)
		iommufd_space_unmap(h->space, area_iova(first), end);
	for (; first != a; first = next) {
		next = iommufd_area_next(first, iova, last);
		take_out(ioas, first);
		iommufd_area_free(ictx, first);
	}
	return ret;
}

int vfio_iommufd_ioas_unmap(struct vfio_iommufd *ictx, uint32_t id, uint64_t iova, uint64_t length,
			    uint64_t *unmapped)
{
	struct iommufd_ioas *ioas;
	int ret = -ENOENT;

	*unmapped = 0;
	pthread_mutex_lock(&ictx->lock);
	ioas = iommufd_ioas_get(ictx, id);
	if (!ioas)
		goto out;
	if (!iova && length == UINT64_MAX) {
		ret = iommufd_ioas_unmap(ictx, ioas, 0, UINT64_MAX, unmapped);
		goto out;
	}
	ret = -EOVERFLOW;
	if (iova == UINT64_MAX || length == UINT64_MAX)
		goto out;
	ret = -EINVAL;
	if (!length)
		goto out;
	ret = -EOVERFLOW;
	if (add_overflows(iova, length - 1))
		goto out;
	ret = iommufd_ioas_unmap(ictx, ioas, iova, iova + length - 1, unmapped);
	if (!ret && !*unmapped)
		ret = -ENOENT;
out:
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/* ---- options ---- */

static int option_limit(struct vfio_iommufd *ictx, bool set, uint64_t *value)
{
	if (!set) {
		*value = ictx->process_limit;
		return 0;
	}
	if (!iommufd_capable(ictx, CAP_SYS_RESOURCE))
		return -EPERM;
	if (ictx->count)
		return -EBUSY;
	if (*value > 1)
		return -EINVAL;
	ictx->process_limit = *value;
	return 0;
}

static int option_huge_pages(struct iommufd_ioas *ioas, bool set, uint64_t *value)
{
	if (!set) {
		*value = !ioas->small_pages;
		return 0;
	}
	if (*value > 1)
		return -EINVAL;
	if (!*value)
		return iommufd_ioas_small_pages(ioas);
	ioas->small_pages = false;
	iommufd_ioas_align(ioas);
	return 0;
}

int vfio_iommufd_option(struct vfio_iommufd *ictx, const struct iommu_option *o, uint64_t *value)
{
	bool set = o->op == IOMMU_OPTION_OP_SET;
	struct iommufd_ioas *ioas = NULL;
	int ret = -EOPNOTSUPP;

	pthread_mutex_lock(&ictx->lock);
	switch (o->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		if (!o->object_id && o->op <= IOMMU_OPTION_OP_GET)
			ret = option_limit(ictx, set, value);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		ioas = iommufd_ioas_get(ictx, o->object_id);
		if (!ioas)
			ret = -ENOENT;
		else if (o->op <= IOMMU_OPTION_OP_GET)
			ret = option_huge_pages(ioas, set, value);
		break;
	}
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}

/* ---- questions to all of it ---- */

int vfio_iommufd_change_process(struct vfio_iommufd *ictx)
{
	struct iommufd_ioas *ioas;
	struct iommufd_area *a;
	int ret = 0;

	pthread_mutex_lock(&ictx->lock);
	for (uint32_t id = 1; id < ictx->room && !ret; id++) {
		ioas = iommufd_ioas_get(ictx, id);
		if (!ioas)
			continue;
		for (a = iommufd_area_first(ioas, 0, UINT64_MAX); a && !ret;
		     a = iommufd_area_next(a, 0, UINT64_MAX))
			if (!a->pages->is_file)
				ret = -EINVAL;
	}
	pthread_mutex_unlock(&ictx->lock);
	return ret;
}
