/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/taken.c: memory of the driver's that the controller has (uvfio_take()): entries of
 * submission queues from the doorbell until they are fetched (NVMe 1.4, 4.1.1), PRP lists and data
 * from then on until the command completes.
 */
#include "models/nvme/internal.h"

enum { KEY_ENTRY = 1, KEY_COMMAND };

static uint64_t key_of(const struct nvme_sq *sq, unsigned what, unsigned i)
{
	return (uint64_t)what << 32 | (uint64_t)sq->id << 16 | i;
}

void nvme_entries_take(struct nvme_sq *sq, unsigned from, unsigned to)
{
	unsigned size = atomic_load(&sq->kept->size);

	if (!uvfio_takes(sq->n->dev) || from >= size || to >= size)
		return;
	for (unsigned i = from; i != to; i = i + 1 == size ? 0 : i + 1)
		uvfio_take(sq->n->dev, key_of(sq, KEY_ENTRY, i), UVFIO_TAKEN_ORDERS,
			   "an entry of a submission queue",
			   sq->kept->base + i * sizeof(struct nvme_cmd), sizeof(struct nvme_cmd));
}

void nvme_entry_give_back(struct nvme_sq *sq, unsigned i)
{
	uvfio_give_back(sq->n->dev, key_of(sq, KEY_ENTRY, i));
}

void nvme_list_take(struct nvme_sq *sq, uint64_t iova, uint64_t len)
{
	uvfio_take(sq->n->dev, key_of(sq, KEY_COMMAND, sq->tag), UVFIO_TAKEN_ORDERS, "a PRP list",
		   iova, len);
}

void nvme_data_take(struct nvme_sq *sq, unsigned num_segs)
{
	if (!(uvfio_takes(sq->n->dev) & UVFIO_TAKEN_DATA))
		return;
	for (unsigned i = 0; i < num_segs; i++)
		uvfio_take(sq->n->dev, key_of(sq, KEY_COMMAND, sq->tag), UVFIO_TAKEN_DATA,
			   "data of a write", sq->segs[i].iova, sq->segs[i].len);
}

void nvme_command_give_back(struct nvme_sq *sq, uint16_t tag)
{
	uvfio_give_back(sq->n->dev, key_of(sq, KEY_COMMAND, tag));
}
