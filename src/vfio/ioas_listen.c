/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/ioas_listen.c: who is told of the mappings of an address space, and what can be mapped: our
 * IOMMU's limits, and within these what each listener's lets in.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "iommu/peer.h"
#include "vfio/internal.h"

/* Our IOMMU's, whatever listens. */
static const struct vfio_ioas_limits ours = {
	.num_ranges = 2,
	.ranges = { { 0, IOMMU_MSI_START - 1 },
		    { IOMMU_MSI_END + 1, (1ull << IOMMU_IOVA_BITS) - 1 } },
	/*
	 * what a VT-d with second-level pages of 2 MiB and 1 GiB has the kernel report, and what
	 * iommu/domain.c has leaves for
	 */
	.pgsizes = (1ull << 12) | (1ull << 21) | (1ull << 30),
	.avail = UINT32_MAX,
};

/* ---- limits ---- */

void vfio_ioas_limits_cut(struct vfio_ioas_limits *limits, const struct vfio_ioas_limits *by)
{
	struct vfio_ioas_limits out = { .pgsizes = limits->pgsizes & by->pgsizes };
	unsigned i = 0, k = 0;

	while (i < limits->num_ranges && k < by->num_ranges && out.num_ranges < VFIO_IOAS_RANGES) {
		const struct vfio_iova_range *a = &limits->ranges[i], *b = &by->ranges[k];
		struct vfio_iova_range both = {
			.start = a->start > b->start ? a->start : b->start,
			.end = a->end < b->end ? a->end : b->end,
		};

		if (both.start <= both.end)
			out.ranges[out.num_ranges++] = both;
		if (a->end < b->end)
			i++;
		else
			k++;
	}
	out.avail = limits->avail < by->avail ? limits->avail : by->avail;
	*limits = out;
}

bool vfio_ioas_limits_have(const struct vfio_ioas_limits *limits, uint64_t iova, uint64_t size)
{
	for (unsigned i = 0; i < limits->num_ranges; i++) {
		const struct vfio_iova_range *r = &limits->ranges[i];

		if (iova >= r->start && iova + (size - 1) <= r->end)
			return true;
	}
	return false;
}

void vfio_ioas_limits_print(const struct vfio_ioas_limits *limits, char *text, size_t size)
{
	size_t len = 0;

	*text = '\0';
	for (unsigned i = 0; i < limits->num_ranges && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s0x%llx-0x%llx", i ? ", " : "",
					(unsigned long long)limits->ranges[i].start,
					(unsigned long long)limits->ranges[i].end);
}

void ioas_update_limits(struct vfio_ioas *io)
{
	struct vfio_ioas_limits all = ours, own;
	struct vfio_ioas_listener *l;

	cds_list_for_each_entry(l, &io->listeners, node) {
		if (!l->limits)
			continue;
		l->limits(l, &own);
		vfio_ioas_limits_cut(&all, &own);
	}
	io->limits = all;
}

void vfio_ioas_limits(struct vfio_ioas *io, struct vfio_ioas_limits *out)
{
	struct vfio_ioas_listener *l;
	bool asked = false;
	uint32_t left;

	pthread_mutex_lock(&io->lock);
	/* how many mappings are left changes with each of them */
	cds_list_for_each_entry(l, &io->listeners, node)
		asked |= l->limits != NULL;
	if (asked)
		ioas_update_limits(io);
	*out = io->limits;
	if (io->limited) {
		left = io->sys->env->dma_entry_limit - io->entries;
		out->avail = left < out->avail ? left : out->avail;
	}
	pthread_mutex_unlock(&io->lock);
}

void ioas_cut_limits(struct vfio_ioas *io, struct vfio_ioas_limits *limits)
{
	pthread_mutex_lock(&io->lock);
	vfio_ioas_limits_cut(limits, &io->limits);
	pthread_mutex_unlock(&io->lock);
}

bool ioas_in_ranges(const struct vfio_ioas *io, uint64_t iova, uint64_t size)
{
	char text[160];

	if (vfio_ioas_limits_have(&io->limits, iova, size))
		return true;
	vfio_ioas_limits_print(&io->limits, text, sizeof(text));
	report_warn("dma-iova-range", "dma", -EINVAL,
		    "MAP_DMA of 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
		    ": outside of what the IOMMU can map (IOMMU_GET_INFO): %s",
		    size, iova, text);
	return false;
}

/* ---- listeners ---- */

static struct vfio_ioas_range range_of(const struct mapping *m)
{
	return (struct vfio_ioas_range){
		.iova = mapping_iova(m),
		.size = mapping_size(m),
		.prot = m->prot,
		.vaddr = m->mem->device ? m->mem->seen : m->by_mem.start,
		.fd = m->mem->fd,
		.fd_offset = m->mem->fd_offset + m->mem_offset,
		.device = m->mem->device,
		.foreign = m->mem->foreign,
		.moved = m->moved,
	};
}

/* Tell the listeners before @end (the list's head: all) that @m goes, the latest first. */
static void tell_unmap(struct vfio_ioas *io, const struct mapping *m, struct cds_list_head *end)
{
	struct vfio_ioas_range r = range_of(m);

	for (struct cds_list_head *p = end->prev; p != &io->listeners; p = p->prev) {
		struct vfio_ioas_listener *l = cds_list_entry(p, struct vfio_ioas_listener, node);

		l->unmap(l, &r);
	}
}

void ioas_tell_unmap(struct vfio_ioas *io, const struct mapping *m)
{
	tell_unmap(io, m, &io->listeners);
}

int ioas_tell_map(struct vfio_ioas *io, const struct mapping *m)
{
	struct vfio_ioas_range r = range_of(m);
	struct vfio_ioas_listener *l;
	int ret;

	cds_list_for_each_entry(l, &io->listeners, node) {
		ret = l->map(l, &r);
		if (ret) {
			tell_unmap(io, m, &l->node);
			return ret;
		}
	}
	return 0;
}

void ioas_tell_moved(struct vfio_ioas *io, const struct mapping *m, uint64_t iova, uint64_t size)
{
	struct vfio_ioas_range r = range_of(m);
	struct vfio_ioas_listener *l;

	cds_list_for_each_entry(l, &io->listeners, node)
		if (l->moved)
			l->moved(l, &r, iova, size);
}

/*
 * True if the program has the BARs of @m, which is memory of a device, where it had them when it
 * mapped them: what is there now is what the kernel would find.
 */
static bool bars_are_there(struct vfio_ioas *io, const struct mapping *m)
{
	uint64_t at = m->mem->seen, left = mapping_size(m);
	const struct bar_window *w = m->mem->windows;
	struct vfio_bar bar;

	for (; at && w && left && ioas_bar_at(io->sys, at, left, &bar);
	     at += w->length, left -= w->length, w = w->next) {
		iommu_target_put(bar.target);
		if (bar.bar != w->bar || bar.offset != w->offset || bar.length != w->length ||
		    bar.direct < bar.length)
			break;
	}
	return !left;
}

int vfio_ioas_listen(struct vfio_ioas *io, struct vfio_ioas_listener *l)
{
	struct vfio_ioas_range r;
	struct mapping *m;
	int ret = 0;

	pthread_mutex_lock(&io->lock);
	for (m = ioas_first(io, 0, UINT64_MAX); m && !ret; m = ioas_next(m, 0, UINT64_MAX)) {
		r = range_of(m);
		if (r.device && !bars_are_there(io, m))
			r.vaddr = 0;
		ret = l->map(l, &r);
		if (!ret)
			continue;
		for (struct mapping *undo = ioas_first(io, 0, UINT64_MAX); undo != m;
		     undo = ioas_next(undo, 0, UINT64_MAX)) {
			r = range_of(undo);
			l->unmap(l, &r);
		}
	}
	if (!ret) {
		cds_list_add_tail(&l->node, &io->listeners);
		ioas_update_limits(io);
	}
	pthread_mutex_unlock(&io->lock);
	return ret;
}

void vfio_ioas_relisten(struct vfio_ioas *io)
{
	pthread_mutex_lock(&io->lock);
	ioas_update_limits(io);
	pthread_mutex_unlock(&io->lock);
}

void vfio_ioas_unlisten(struct vfio_ioas *io, struct vfio_ioas_listener *l)
{
	struct vfio_ioas_range r;

	pthread_mutex_lock(&io->lock);
	cds_list_del(&l->node);
	ioas_update_limits(io);
	for (struct mapping *m = ioas_first(io, 0, UINT64_MAX); m;
	     m = ioas_next(m, 0, UINT64_MAX)) {
		r = range_of(m);
		l->unmap(l, &r);
	}
	pthread_mutex_unlock(&io->lock);
}
