/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/peer.c: from device to device: an access of a BAR that another function makes by DMA, or the
 * function itself. It is an access as any other, cut into what a bus carries and a register takes,
 * but that no driver's lock is held around it: what keeps a function whole is that it decodes, and
 * that whoever ends that waits until nobody is in it any more (rcu_sync_all()).
 *
 * Two functions may reach each other at the same time, and one may reach itself. So a requester
 * does not keep its model's turn meanwhile: its model is in the middle of a call of uvfio_dma_*,
 * which says that other callbacks may come then. A model that is concurrent has locks of its own,
 * and may hold them in that call: it cannot reach another concurrent one, whose locks its driver
 * may be waiting for the other way round.
 */
#include <errno.h>

#include "iommu/peer.h"
#include "pci/internal.h"

/* accesses that come of accesses: by a model that starts a DMA when it is written to */
#define DEEPEST 8u

static __thread struct {
	unsigned depth;
	unsigned concurrent; /* of these, made by models that are concurrent */
} above;

static bool park(struct iommu_device *from)
{
	pci_function *fn = from->owner;

	if (fn->model->concurrent || !pci_model_inside(fn))
		return false;
	pci_model_step_out(fn);
	return true;
}

static void unpark(struct iommu_device *from)
{
	pci_model_step_in(from->owner);
}

/* Return the size of the next access: aligned, and no more than @len. */
static unsigned next_size(uint64_t off, size_t len)
{
	unsigned n = 8;

	while (n > len || off % n)
		n /= 2;
	return n;
}

static int read_all(pci_function *fn, unsigned bar, uint64_t off, uint8_t *buf, size_t len)
{
	uint64_t value;
	unsigned n;
	int ret;

	for (; len; len -= n, off += n, buf += n) {
		n = next_size(off, len);
		ret = pci_bar_read(fn, bar, off, n, &value);
		if (ret)
			return ret;
		memcpy(buf, &value, n);
	}
	return 0;
}

static int write_all(pci_function *fn, unsigned bar, uint64_t off, const uint8_t *buf, size_t len)
{
	uint64_t value;
	unsigned n;
	int ret;

	for (; len; len -= n, off += n, buf += n) {
		n = next_size(off, len);
		value = 0;
		memcpy(&value, buf, n);
		ret = pci_bar_write_untold(fn, bar, off, n, value);
		if (ret)
			return ret;
	}
	return 0;
}

static int access_bar(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		      size_t len, bool write)
{
	pci_function *fn = arg, *who = from->owner;
	bool concurrent = who && who->model->concurrent;
	int ret;

	if (fn->model->concurrent && (concurrent || above.concurrent))
		return -EBUSY;
	if (above.depth == DEEPEST)
		return -ELOOP;
	/* its state may have been saved: what came now would be lost, and told as done */
	if (pci_irqs_wait(fn))
		return -EHOSTDOWN;
	above.depth++;
	above.concurrent += concurrent;
	ret = write ? write_all(fn, bar, off, buf, len) : read_all(fn, bar, off, buf, len);
	above.concurrent -= concurrent;
	above.depth--;
	return ret;
}

int pci_peer_init(pci_function *fn)
{
	fn->iommu.owner = fn;
	fn->iommu.park = park;
	fn->iommu.unpark = unpark;
	fn->target = iommu_target_new(fn->name, access_bar, fn);
	return fn->target ? 0 : -ENOMEM;
}

void pci_peer_fini(pci_function *fn)
{
	if (fn->target)
		iommu_target_lose(fn->target);
	iommu_target_put(fn->target);
}

struct iommu_target *pci_function_target(pci_function *fn)
{
	return fn->target;
}
