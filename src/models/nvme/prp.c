/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/prp.c: data pointers. A command's PRP entries (NVMe 1.4, 4.3) become a list of
 * segments in the driver's address space, neighbours merged; all checks of offsets are here. The
 * PRP list is read once, when the command is executed: what the driver does to it later has no
 * effect.
 */
#include <errno.h>
#include <string.h>

#include "models/nvme/internal.h"

#define BYTE_PRP1 24u
#define BYTE_PRP2 32u

static void add_seg(struct nvme_seg *segs, unsigned *count, uint64_t iova, uint64_t len)
{
	struct nvme_seg *prev = *count ? &segs[*count - 1] : NULL;

	if (prev && prev->iova + prev->len == iova) {
		prev->len += len;
		return;
	}
	segs[*count] = (struct nvme_seg){ iova, len };
	++*count;
}

/*
 * The list starts at @list, at any quadword of a page; the last quadword of a page points to the
 * next one if entries are left (4.3).
 */
static uint16_t walk_list(struct nvme *n, struct nvme_sq *sq, uint64_t list, uint64_t left,
			  unsigned *count)
{
	struct nvme_seg *segs = sq->segs;
	uint64_t page = 1ull << n->page_shift;
	uint64_t entries[512];

	if (list & 7)
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	while (left) {
		/* to the end of the list's page */
		uint64_t slots = (page - (list & (page - 1))) / 8;
		uint64_t need = (left + page - 1) / page;
		bool chained = need > slots;
		uint64_t usable = chained ? slots - 1 : need;

		nvme_list_take(sq, list, (usable + chained) * 8);
		for (uint64_t i = 0; i < usable;) {
			uint64_t k = usable - i < 512 ? usable - i : 512;

			if (uvfio_dma_read(n->dev, list + i * 8, entries, k * 8))
				return NVME_DATA_TRANSFER_ERROR;
			for (uint64_t j = 0; j < k; j++) {
				uint64_t len = left < page ? left : page;

				if (entries[j] & (page - 1))
					return NVME_INVALID_PRP_OFFSET | NVME_DNR;
				add_seg(segs, count, entries[j], len);
				left -= len;
			}
			i += k;
		}
		if (chained) {
			uint64_t next;

			if (uvfio_dma_read(n->dev, list + usable * 8, &next, 8))
				return NVME_DATA_TRANSFER_ERROR;
			if (next & (page - 1))
				return NVME_INVALID_PRP_OFFSET | NVME_DNR;
			list = next;
		}
	}
	return NVME_OK;
}

uint16_t nvme_prp_segs(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd, uint64_t len,
		       unsigned *count, uint16_t *location)
{
	struct nvme_seg *segs = sq->segs;
	uint64_t page = 1ull << n->page_shift;
	uint64_t first = page - (cmd->prp1 & (page - 1));
	uint16_t status;

	*count = 0;
	if (!len)
		return NVME_OK;
	if (cmd->prp1 & 3) { /* "dword aligned": figure 108 */
		*location = nvme_location(BYTE_PRP1, 0);
		return NVME_INVALID_PRP_OFFSET | NVME_DNR;
	}
	if (first >= len) {
		add_seg(segs, count, cmd->prp1, len);
		return NVME_OK;
	}
	add_seg(segs, count, cmd->prp1, first);
	len -= first;
	if (len <= page) { /* PRP2 is the second entry */
		if (cmd->prp2 & (page - 1)) {
			*location = nvme_location(BYTE_PRP2, 0);
			return NVME_INVALID_PRP_OFFSET | NVME_DNR;
		}
		add_seg(segs, count, cmd->prp2, len);
		return NVME_OK;
	}
	status = walk_list(n, sq, cmd->prp2, len, count);
	if (status)
		*location = nvme_location(BYTE_PRP2, 0);
	return status;
}

static uint16_t copy_segs(struct nvme *n, const struct nvme_seg *segs, unsigned count, uint64_t off,
			  char *buf, size_t len, bool to_driver)
{
	for (unsigned i = 0; i < count && len; i++) {
		size_t k;
		int err;

		if (off >= segs[i].len) {
			off -= segs[i].len;
			continue;
		}
		k = segs[i].len - off < len ? segs[i].len - off : len;
		if (to_driver)
			err = uvfio_dma_write(n->dev, segs[i].iova + off, buf, k);
		else
			err = uvfio_dma_read(n->dev, segs[i].iova + off, buf, k);
		if (err)
			return NVME_DATA_TRANSFER_ERROR;
		buf += k;
		len -= k;
		off = 0;
	}
	return NVME_OK;
}

uint16_t nvme_segs_read(struct nvme *n, const struct nvme_seg *segs, unsigned count, uint64_t off,
			void *buf, size_t len)
{
	return copy_segs(n, segs, count, off, buf, len, false);
}

uint16_t nvme_segs_write(struct nvme *n, const struct nvme_seg *segs, unsigned count, uint64_t off,
			 const void *buf, size_t len)
{
	return copy_segs(n, segs, count, off, (char *)(uintptr_t)buf, len, true);
}

uint16_t nvme_data_out(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd, void *buf,
		       size_t len, uint16_t *location)
{
	unsigned count;
	uint16_t status = nvme_prp_segs(n, sq, cmd, len, &count, location);

	return status ? status : nvme_segs_read(n, sq->segs, count, 0, buf, len);
}

uint16_t nvme_data_in(struct nvme *n, struct nvme_sq *sq, const struct nvme_cmd *cmd,
		      const void *buf, size_t len, uint16_t *location)
{
	unsigned count;
	uint16_t status = nvme_prp_segs(n, sq, cmd, len, &count, location);

	return status ? status : nvme_segs_write(n, sq->segs, count, 0, buf, len);
}
