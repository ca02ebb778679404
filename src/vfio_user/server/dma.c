/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/dma.c: the client's memory: what it maps and unmaps becomes mappings of an
 * address space, in which the device is.
 */
#include <inttypes.h>

#include "iommu/domain.h"
#include "vfio_user/server/internal.h"

struct dma_map {
	struct itree_node node;
	struct dma_view *view; /* of its file; NULL: it has none that is mapped */
};

static struct dma_map *of_node(struct itree_node *n)
{
	return n ? container_of_type(n, struct dma_map, node) : NULL;
}

static void forget(struct vu_server_client *c, struct dma_map *map)
{
	itree_remove(&c->maps, &map->node);
	c->num_maps--;
	if (map->view)
		vu_file_put(c, map->view);
	free(map);
}

void vu_dma_fini(struct vu_server_client *c)
{
	struct dma_map *map;

	while ((map = of_node(itree_first(&c->maps, 0, UINT64_MAX))))
		forget(c, map);
}

/* ---- DMA_MAP ---- */

static int check_map(const struct vu_server_client *c, const struct vu_message *m,
		     const struct vu_dma_map *d)
{
	const uint32_t modes = VU_DMA_BY_MMAP | VU_DMA_BY_FILE,
		       rights = VU_DMA_READABLE | VU_DMA_WRITEABLE;

	if (d->argsz < sizeof(*d) || d->flags & ~(modes | rights) || !(d->flags & rights) ||
	    (d->flags & modes) == modes || m->num_fds > 1 || (d->flags & modes && !m->num_fds))
		return -EINVAL;
	if (!d->size || (d->addr | d->size | d->offset) & (PAGE_SIZE_4K - 1) ||
	    add_overflows(d->addr, d->size - 1) || add_overflows(d->offset, d->size - 1))
		return -EINVAL;
	if (itree_first(&c->maps, d->addr, d->addr + (d->size - 1)))
		return -EEXIST;
	return c->num_maps < c->caps.max_dma_maps ? 0 : -ENOSPC;
}

/* Map the memory of a file that came with the message. */
static int map_file(struct vu_server_client *c, struct vu_message *m, const struct vu_dma_map *d,
		    unsigned prot, struct dma_map *map)
{
	struct dma_place place;
	int ret;

	ret = vu_file_map(c, vu_message_take_fd(m, 0), d->offset, d->size, prot & IOMMU_WRITE,
			  &place);
	if (ret)
		return ret;
	ret = vfio_ioas_map_kept(c->io, d->addr, (uintptr_t)place.mem, d->size, prot, place.fd,
				 d->offset);
	if (ret)
		vu_file_put(c, place.view);
	else
		map->view = place.view;
	return ret == -EOVERFLOW ? -EINVAL : ret;
}

int vu_dma_map(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_dma_map d;
	struct dma_map *map;
	unsigned prot = 0;
	int ret;

	memcpy(&d, m->data, sizeof(d));
	ret = check_map(c, m, &d);
	if (ret)
		return ret;
	prot |= d.flags & VU_DMA_READABLE ? IOMMU_READ : 0;
	prot |= d.flags & VU_DMA_WRITEABLE ? IOMMU_WRITE : 0;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	if (!m->num_fds || d.flags & VU_DMA_BY_FILE)
		ret = report_warn(REPORT_LIMITED("serve-dma-mode"), c->name, -EOPNOTSUPP,
				  "DMA_MAP at 0x%" PRIx64 ": only memory of files that can be "
				  "mapped is served",
				  d.addr);
	else
		ret = map_file(c, m, &d, prot, map);
	if (ret) {
		free(map);
		return ret;
	}
	map->node.start = d.addr;
	map->node.last = d.addr + (d.size - 1);
	itree_insert(&c->maps, &map->node);
	c->num_maps++;
	return vu_reply(c, m, NULL, 0);
}

/* ---- DMA_UNMAP ---- */

/* Check that [@first, @last] has mappings, and cuts none. */
static int check_range(const struct vu_server_client *c, uint64_t first, uint64_t last)
{
	struct itree_node *n = itree_first(&c->maps, first, last);

	if (!n)
		return -ENOENT;
	for (; n; n = itree_next(n, first, last))
		if (n->start < first || n->last > last)
			return -EINVAL;
	return 0;
}

/* Unmap what lies in [@first, @last], of which there is something. */
static int unmap(struct vu_server_client *c, uint64_t first, uint64_t last)
{
	struct itree_node *n = itree_first(&c->maps, first, last);
	uint64_t from = n->start, to = 0, bytes;
	struct dma_map *map;
	int ret;

	for (; n; n = itree_next(n, first, last))
		to = n->last;
	ret = vfio_ioas_unmap(c->io, from, to - from + 1, &bytes);
	if (ret)
		return ret;
	while ((map = of_node(itree_first(&c->maps, first, last))))
		forget(c, map);
	return 0;
}

int vu_dma_unmap(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_dma_unmap d;
	uint64_t last;
	int ret;

	memcpy(&d, m->data, sizeof(d));
	if (d.argsz < sizeof(d) || d.flags & ~VU_UNMAP_ALL)
		return -EINVAL;
	if (d.flags & VU_UNMAP_ALL) {
		if (d.addr || d.size)
			return -EINVAL;
		if (c->num_maps && (ret = unmap(c, 0, UINT64_MAX)))
			return ret;
		return vu_reply(c, m, &d, sizeof(d));
	}
	if (!d.size || (d.addr | d.size) & (PAGE_SIZE_4K - 1) || add_overflows(d.addr, d.size - 1))
		return -EINVAL;
	last = d.addr + (d.size - 1);
	ret = check_range(c, d.addr, last);
	if (!ret)
		ret = unmap(c, d.addr, last);
	return ret ? ret : vu_reply(c, m, &d, sizeof(d));
}
