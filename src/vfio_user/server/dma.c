/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/dma.c: the client's memory: what it maps and unmaps becomes mappings of an
 * address space, in which the device is.
 */
#include "vfio/dma_log.h"
#include "vfio_user/server/internal.h"

struct dma_map {
	struct itree_node node;
	struct dma_view *view;	 /* of its file that is mapped, or NULL */
	struct dma_file *direct; /* its file that is read and written, or NULL */
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
	if (map->direct)
		vu_file_direct_put(c, map->direct);
	free(map);
}

void vu_dma_fini(struct vu_server_client *c)
{
	struct dma_map *map;

	while ((map = of_node(itree_first(&c->maps, 0, UINT64_MAX))))
		forget(c, map);
	iommu_target_put(c->messages);
	c->messages = NULL;
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
	if (c->num_maps >= c->caps.max_dma_maps)
		return vu_limit_reached(c, "maps", c->caps.max_dma_maps);
	return 0;
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
	return ret;
}

/* Map the memory of a file that is read and written. */
static int map_direct(struct vu_server_client *c, struct vu_message *m, const struct vu_dma_map *d,
		      unsigned prot, struct dma_map *map)
{
	struct iommu_target *target;
	struct dma_file *f;
	int ret;

	ret = vu_file_direct(c, vu_message_take_fd(m, 0), prot, &f, &target);
	if (ret)
		return ret;
	ret = vfio_ioas_map_target(c->io, d->addr, d->size, prot, target, d->offset);
	if (ret)
		vu_file_direct_put(c, f);
	else
		map->direct = f;
	return ret;
}

/* Map memory that the client reads and writes for the device. */
static int map_messages(struct vu_server_client *c, const struct vu_dma_map *d, unsigned prot)
{
	struct iommu_target *target;
	int ret = vu_messages(c, &target);

	return ret ? ret : vfio_ioas_map_target(c->io, d->addr, d->size, prot, target, d->addr);
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
	if (!m->num_fds)
		ret = map_messages(c, &d, prot);
	else if (d.flags & VU_DMA_BY_FILE)
		ret = map_direct(c, m, &d, prot, map);
	else
		ret = map_file(c, m, &d, prot, map);
	if (ret) {
		free(map);
		return ret == -EOVERFLOW ? -EINVAL : ret;
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
	/* the client may answer nobody before it has its own answer, and would have to wait */
	if (c->messages)
		vu_messages_stop(c, from, to);
	ret = vfio_ioas_unmap(c->io, from, to - from + 1, &bytes);
	if (c->messages)
		vu_messages_go_on(c);
	if (ret)
		return ret;
	while ((map = of_node(itree_first(&c->maps, first, last))))
		forget(c, map);
	return 0;
}

/* Check what is asked of an unmap, beside what there is. 0 or -EINVAL. */
static int check_unmap(const struct vu_dma_unmap *d)
{
	if (d->argsz < sizeof(*d) || d->flags & ~(VU_UNMAP_ALL | VU_UNMAP_GET_DIRTY))
		return -EINVAL;
	if (d->flags & VU_UNMAP_ALL)
		return d->addr || d->size || d->flags & VU_UNMAP_GET_DIRTY ? -EINVAL : 0;
	if (!d->size || (d->addr | d->size) & (PAGE_SIZE_4K - 1) ||
	    add_overflows(d->addr, d->size - 1))
		return -EINVAL;
	return 0;
}

/* Return the bytes of the bitmap of @length, in whole 64 bits; 0: no such page size. */
static uint64_t bitmap_size(uint64_t length, uint64_t page_size)
{
	if (!is_pow2(page_size) || page_size < PAGE_SIZE_4K)
		return 0;
	return ((length - 1) / page_size / 64 + 1) * sizeof(uint64_t);
}

/*
 * Unmap and tell what was written until then. The log has to be on, which is seen before anything
 * is unmapped.
 */
static int unmap_dirty(struct vu_server_client *c, struct vu_message *m,
		       const struct vu_dma_unmap *d)
{
	struct vu_bitmap b;
	struct iovec iov[3] = { { (void *)d, sizeof(*d) }, { &b, sizeof(b) }, { NULL, 0 } };
	int ret;

	if (m->len < sizeof(*d) + sizeof(b))
		return -EINVAL;
	memcpy(&b, m->data + sizeof(*d), sizeof(b));
	iov[2].iov_len = bitmap_size(d->size, b.pgsize);
	if (!iov[2].iov_len || b.size < iov[2].iov_len ||
	    d->argsz - sizeof(*d) < sizeof(b) + iov[2].iov_len)
		return -EINVAL;
	if (iov[2].iov_len > c->s->cfg.limits.max_data)
		return -E2BIG;
	iov[2].iov_base = calloc(1, iov[2].iov_len);
	if (!iov[2].iov_base)
		return -ENOMEM;
	ret = vfio_dma_log_report(&c->open, d->addr, 0, b.pgsize, 0);
	if (!ret)
		ret = unmap(c, d->addr, d->addr + (d->size - 1));
	if (!ret)
		ret = vfio_dma_log_report(&c->open, d->addr, d->size, b.pgsize,
					  (uintptr_t)iov[2].iov_base);
	b.size = iov[2].iov_len;
	if (!ret)
		vu_answer(c, m, 0, iov, 3, NULL, 0);
	free(iov[2].iov_base);
	return ret;
}

int vu_dma_unmap(struct vu_server_client *c, struct vu_message *m)
{
	struct vu_dma_unmap d;
	uint64_t last;
	int ret;

	memcpy(&d, m->data, sizeof(d));
	ret = check_unmap(&d);
	if (ret)
		return ret;
	if (d.flags & VU_UNMAP_ALL) {
		ret = c->num_maps ? unmap(c, 0, UINT64_MAX) : 0;
		return ret ? ret : vu_reply(c, m, &d, sizeof(d));
	}
	last = d.addr + (d.size - 1);
	ret = check_range(c, d.addr, last);
	if (ret)
		return ret;
	if (d.flags & VU_UNMAP_GET_DIRTY)
		return unmap_dirty(c, m, &d);
	ret = unmap(c, d.addr, last);
	return ret ? ret : vu_reply(c, m, &d, sizeof(d));
}
