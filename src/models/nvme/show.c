/* SPDX-License-Identifier: BSD-3-Clause */
/* models/nvme/show.c: queues, for a person who looks at the controller. */
#include <inttypes.h>

#include "models/nvme/internal.h"

static void show_sq(struct nvme_sq *sq, struct uvfio_text *t)
{
	const struct nvme_kept_sq *k = sq->kept;
	/* who executes commands has it for as long as that takes */
	bool idle = !pthread_mutex_trylock(&sq->lock);
	uint64_t base = idle ? k->base : 0;
	unsigned size = atomic_load(&k->size), head = atomic_load(&k->head),
		 tail = atomic_load(&k->tail);

	if (idle)
		pthread_mutex_unlock(&sq->lock);
	if (!size)
		return;
	if (idle)
		uvfio_say(t, "submission queue %u: %u entries at 0x%" PRIx64, sq->id, size, base);
	else
		uvfio_say(t, "submission queue %u: %u entries, being served now", sq->id, size);
	uvfio_say(t,
		  "  head %u, tail %u, doorbell %u; %u commands fetched, %u under way; completes "
		  "to queue %u",
		  head, tail, atomic_load(sq->doorbell), atomic_load(&k->fetched),
		  atomic_load(&sq->inflight), atomic_load(&k->cqid));
}

static void show_cq(struct nvme_cq *cq, struct uvfio_text *t)
{
	const struct nvme_kept_cq *k = cq->kept;
	unsigned size, head, tail, vector;
	bool phase, ien;
	uint64_t base;

	pthread_mutex_lock(&cq->lock);
	size = atomic_load(&k->size);
	head = k->head;
	tail = nvme_cq_tail(cq);
	phase = atomic_load(&k->pos) & NVME_CQ_PHASE;
	vector = k->vector;
	ien = atomic_load(&k->ien);
	base = k->base;
	pthread_mutex_unlock(&cq->lock);
	if (!size)
		return;
	uvfio_say(t, "completion queue %u: %u entries at 0x%" PRIx64, cq->id, size, base);
	uvfio_say(t, "  tail %u with phase %u, head %u, doorbell %u; vector %u, interrupts %s",
		  tail, phase, head, atomic_load(cq->doorbell), vector, ien ? "on" : "off");
}

void nvme_show(struct uvfio_dev *dev, struct uvfio_text *t)
{
	struct nvme *n = uvfio_priv(dev);

	for (unsigned i = 0; i < NVME_QUEUES; i++) {
		show_sq(&n->sq[i], t);
		show_cq(&n->cq[i], t);
	}
}
