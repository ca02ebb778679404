/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/vector.c: vectors of MSI or MSI-X that is on: for each an eventfd, which stays in VFIO, and
 * one of two ways to the guest: a route with an irqfd, past the monitor, or the loop, which reads
 * it and calls msi(). A vector that is masked has neither: what comes waits in the eventfd, as one
 * message, and arrives when it is connected again. So a guest that masks and unmasks at each
 * interrupt costs no call of VFIO.
 *
 * The order: a route is there and committed before an irqfd has it, and the irqfd is gone before
 * the route is.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "vmm/internal.h"

int vm_vectors_new(struct uvfio_vm_device *dev, unsigned n)
{
	struct vm_irq *irq = &dev->irq;

	irq->vectors = calloc(n, sizeof(*irq->vectors));
	irq->fds = calloc(n, sizeof(*irq->fds));
	if (!irq->vectors || !irq->fds) {
		free(irq->vectors);
		free(irq->fds);
		irq->vectors = NULL;
		irq->fds = NULL;
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++)
		irq->vectors[i] = (struct vm_vector){ .eventfd = -1, .gsi = -1, .watch = -1 };
	irq->num_vectors = n;
	irq->changed = false;
	return 0;
}

/* Give the route back, which no irqfd has. */
static void drop_route(struct uvfio_vm_device *dev, struct vm_vector *v)
{
	if (v->gsi < 0)
		return;
	dev->vm->irq_ops.route_del(dev->vm->irq_ctx, v->gsi);
	v->gsi = -1;
	v->changed = false;
	dev->irq.changed = true;
}

/* Take the irqfd away, if it is by that: events wait in the eventfd. */
static void drop_irqfd(struct uvfio_vm_device *dev, struct vm_vector *v)
{
	if (!v->irqfd)
		return;
	dev->vm->irq_ops.irqfd(dev->vm->irq_ctx, v->eventfd, v->gsi, -1, false);
	v->irqfd = v->connected = false;
}

void vm_vector_drop(struct uvfio_vm_device *dev, unsigned i)
{
	struct vm_vector *v = &dev->irq.vectors[i];

	vm_watch_del(dev, v->watch);
	drop_irqfd(dev, v);
	drop_route(dev, v);
	if (v->eventfd >= 0)
		sys_close(v->eventfd);
	v->eventfd = v->watch = -1;
	v->connected = false;
}

void vm_vectors_free(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;

	for (unsigned i = 0; i < irq->num_vectors; i++)
		vm_vector_drop(dev, i);
	irq->num_vectors = 0;
	/* so that the table has no routes of ours that are not used */
	vm_vectors_commit(dev);
	free(irq->vectors);
	free(irq->fds);
	irq->vectors = NULL;
	irq->fds = NULL;
}

/* The loop has read an event of vector @arg, which is connected to it. */
static void on_event(struct uvfio_vm_device *dev, uint64_t arg)
{
	const struct vm_vector *v = &dev->irq.vectors[arg];

	dev->vm->irq_ops.msi(dev->vm->irq_ctx, dev, v->address, v->data);
}

/* Have the loop know the eventfd; it sleeps. 0 or -errno. */
static int watch(struct uvfio_vm_device *dev, unsigned i)
{
	struct vm_vector *v = &dev->irq.vectors[i];
	int rc;

	if (v->watch >= 0)
		return 0;
	rc = vm_watch_add(dev, v->eventfd, on_event, i);
	if (rc < 0)
		return rc;
	v->watch = rc;
	vm_watch_set(dev, v->watch, false);
	return 0;
}

/* Have a route for the message, or none: then it goes through msi(). */
static void route(struct uvfio_vm_device *dev, struct vm_vector *v, uint64_t address, uint32_t data)
{
	const struct uvfio_vm_irq_ops *ops = &dev->vm->irq_ops;
	bool same = v->address == address && v->data == data;
	int rc;

	v->address = address;
	v->data = data;
	if (!dev->vm->bypass || (v->gsi >= 0 && same))
		return;
	if (v->gsi < 0) {
		rc = ops->route_add(dev->vm->irq_ctx, dev, address, data);
		if (rc < 0)
			return;
		v->gsi = rc;
	} else {
		rc = ops->route_update(dev->vm->irq_ctx, v->gsi, address, data);
		if (rc) {
			vm_warn("vmm-route", dev, rc,
				"the route of a message cannot be changed: it goes through the "
				"monitor");
			drop_irqfd(dev, v);
			drop_route(dev, v);
			return;
		}
	}
	v->changed = true;
	dev->irq.changed = true;
}

int vm_vector_prepare(struct uvfio_vm_device *dev, unsigned i, uint64_t address, uint32_t data)
{
	struct vm_vector *v = &dev->irq.vectors[i];

	if (v->eventfd < 0) {
		int fd = vm_eventfd();

		if (fd < 0)
			return fd;
		v->eventfd = fd;
	}
	route(dev, v, address, data);
	return v->gsi < 0 ? watch(dev, i) : 0;
}

void vm_vectors_commit(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;
	int rc;

	if (!irq->changed)
		return;
	irq->changed = false;
	rc = dev->vm->irq_ops.route_commit(dev->vm->irq_ctx);
	if (rc)
		vm_warn("vmm-route", dev, rc,
			"routes of messages are not set: they go through the monitor");
	for (unsigned i = 0; i < irq->num_vectors; i++) {
		struct vm_vector *v = &irq->vectors[i];

		if (rc && v->changed) {
			drop_irqfd(dev, v);
			drop_route(dev, v);
			if (watch(dev, i))
				vm_warn("vmm-vector", dev, -ENOMEM,
					"vector %u has no interrupt until it is unmasked again", i);
		}
		v->changed = false;
	}
}

bool vm_vector_usable(const struct uvfio_vm_device *dev, unsigned i)
{
	const struct vm_vector *v = &dev->irq.vectors[i];

	return v->eventfd >= 0 && (v->gsi >= 0 || v->watch >= 0);
}

void vm_vector_connect(struct uvfio_vm_device *dev, unsigned i)
{
	struct vm_vector *v = &dev->irq.vectors[i];
	int rc;

	if (v->gsi >= 0 && !v->irqfd) {
		if (v->watch >= 0)
			vm_watch_set(dev, v->watch, false);
		rc = dev->vm->irq_ops.irqfd(dev->vm->irq_ctx, v->eventfd, v->gsi, -1, true);
		v->irqfd = !rc;
		if (rc) {
			vm_warn("vmm-irqfd", dev, rc, "vector %u goes through the monitor", i);
			drop_route(dev, v);
			rc = watch(dev, i);
		}
		if (rc) {
			vm_warn("vmm-vector", dev, rc,
				"vector %u has no interrupt until it is unmasked again", i);
			return;
		}
	}
	if (!v->irqfd)
		vm_watch_set(dev, v->watch, true);
	v->connected = true;
}

void vm_vector_disconnect(struct uvfio_vm_device *dev, unsigned i)
{
	struct vm_vector *v = &dev->irq.vectors[i];

	if (!v->connected)
		return;
	if (v->irqfd) {
		drop_irqfd(dev, v);
	} else {
		vm_watch_set(dev, v->watch, false);
		v->connected = false;
	}
}

uint64_t vm_vectors_waiting(const struct uvfio_vm_device *dev, unsigned first, unsigned n)
{
	struct pollfd p[64];
	struct timespec now = { 0 };
	uint64_t bits = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct vm_vector *v = &dev->irq.vectors[first + i];

		/* without a number it is not looked at */
		p[i] = (struct pollfd){ .fd = v->connected ? -1 : v->eventfd, .events = POLLIN };
	}
	if (sys_call(SYS_ppoll, (long)p, n, (long)&now, 0, 0, 0) <= 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		if (p[i].revents & POLLIN)
			bits |= 1ull << i;
	return bits;
}
