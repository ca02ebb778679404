/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/kept.c: what a server was told of interrupts, for the one that is started after
 * it: the eventfds, and what the user masks. The descriptors are our own, since a program may close
 * its as soon as they are set.
 */
#include "vfio_user/client/internal.h"

static void put(int *at, int fd)
{
	fd_close_private(*at);
	*at = fd;
}

static void drop(struct vu_kept_irqs *q)
{
	for (uint32_t i = 0; i < q->count; i++)
		fd_close_private(q->fds[i]);
	if (q->count) {
		fd_close_private(q->mask);
		fd_close_private(q->unmask);
	}
	heap_free(q->fds);
	heap_free(q->masked);
	*q = (struct vu_kept_irqs){ 0 };
}

void vu_keep_drop(struct vu_client *c)
{
	for (unsigned i = 0; i < VU_CLIENT_IRQS; i++)
		drop(&c->kept[i]);
}

/* ---- before it is sent ---- */

static uint32_t action_of(const struct vfio_irq_set_args *a)
{
	return a->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
}

static int make_room(struct vu_keeping *k)
{
	struct vu_kept_irqs *q = &k->fresh;
	uint32_t n = k->c->irqs[k->a->index].count;

	q->fds = heap_array(n, sizeof(*q->fds));
	q->masked = heap_array(n, sizeof(*q->masked));
	if (!q->fds || !q->masked)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		q->fds[i] = -1;
	q->mask = q->unmask = -1;
	q->count = n;
	return 0;
}

/* Give up what was prepared. */
static void forget(struct vu_keeping *k)
{
	for (uint32_t i = 0; k->fds && i < k->a->count; i++)
		fd_close_private(k->fds[i]);
	heap_free(k->fds);
	drop(&k->fresh);
}

int vu_keep_prepare(struct vu_keeping *k, struct vu_client *c, const struct vfio_irq_set_args *a,
		    const int *fds)
{
	int rc = 0;

	*k = (struct vu_keeping){ .c = c, .a = a };
	if (!c->kept[a->index].count && a->flags & VFIO_IRQ_SET_DATA_EVENTFD &&
	    action_of(a) == VFIO_IRQ_SET_ACTION_TRIGGER)
		rc = make_room(k);
	if (!rc && fds) {
		k->fds = heap_array(a->count, sizeof(*k->fds));
		if (!k->fds)
			rc = -ENOMEM;
	}
	for (uint32_t i = 0; k->fds && i < a->count; i++)
		k->fds[i] = -1;
	for (uint32_t i = 0; fds && i < a->count && !rc; i++) {
		k->fds[i] = fd_dup_private(fds[i]);
		if (k->fds[i] < 0)
			rc = k->fds[i];
	}
	if (rc == -EMFILE)
		report_err("vfio-user-keep", c->vdev.name, rc,
			   "SET_IRQS: no number is left for an eventfd, which is kept for when its "
			   "server is started again: with reconnect=0 none is");
	if (rc)
		forget(k);
	return rc;
}

/* ---- when it was answered ---- */

static void set_masks(struct vu_kept_irqs *q, const struct vfio_irq_set_args *a, bool mask)
{
	const uint8_t *bools = a->flags & VFIO_IRQ_SET_DATA_BOOL ? a->data : NULL;

	for (uint32_t i = 0; i < a->count; i++)
		if (!bools || bools[i])
			q->masked[a->start + i] = mask;
}

void vu_keep_done(void *keeping, int rc)
{
	struct vu_keeping *k = keeping;
	const struct vfio_irq_set_args *a = k->a;
	struct vu_kept_irqs *q = &k->c->kept[a->index];
	bool eventfds = a->flags & VFIO_IRQ_SET_DATA_EVENTFD,
	     mask = action_of(a) == VFIO_IRQ_SET_ACTION_MASK;

	if (rc) {
		forget(k);
		return;
	}
	if (k->fresh.count) {
		*q = k->fresh;
		k->fresh = (struct vu_kept_irqs){ 0 };
	}
	if (!q->count || !range_within(a->start, a->count, q->count)) {
		forget(k);
		return;
	}
	if (action_of(a) == VFIO_IRQ_SET_ACTION_TRIGGER) {
		for (uint32_t i = 0; eventfds && i < a->count; i++)
			put(&q->fds[a->start + i], k->fds ? k->fds[i] : -1);
		if (a->flags & VFIO_IRQ_SET_DATA_NONE && !a->count)
			drop(q);
	} else if (eventfds) {
		/* of INTx, which is one */
		for (uint32_t i = 0; i < a->count; i++)
			put(mask ? &q->mask : &q->unmask, k->fds ? k->fds[i] : -1);
	} else {
		set_masks(q, a, mask);
	}
	heap_free(k->fds);
}
