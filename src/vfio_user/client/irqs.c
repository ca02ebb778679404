/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/irqs.c: interrupts. The server signals the program's own eventfds, which it gets
 * as descriptors: at most so many in one message as it takes, and each message has one for every
 * vector that it names, or none. ERR and REQ are ours as well: that a server has died, and that the
 * machine wants the device back, is told by us.
 */
#include "vfio_user/client/internal.h"

/* True if masks of @index are not the user's: those of vectors are vfio-pci's own. */
static bool keeps_masks(const struct vu_client *c, uint32_t index)
{
	return !c->vdev.maskable &&
	       (index == VFIO_PCI_MSI_IRQ_INDEX || index == VFIO_PCI_MSIX_IRQ_INDEX);
}

int vu_client_get_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out)
{
	const struct vu_client *c = to_client(dev);

	if (index >= VU_CLIENT_IRQS || (!c->irqs[index].flags && !c->irqs[index].count))
		return -EINVAL;
	*out = c->irqs[index];
	if (keeps_masks(c, index))
		out->flags &= ~VFIO_IRQ_INFO_MASKABLE;
	return 0;
}

static int32_t fd_at(const struct vfio_irq_set_args *a, uint32_t i)
{
	int32_t fd;

	memcpy(&fd, (const uint8_t *)a->data + i * sizeof(fd), sizeof(fd));
	return fd;
}

/* ---- messages ---- */

/* Send one SET_IRQS; @fds: @a->count of them, or NULL. */
static int send_irqs(struct vu_session *s, const struct vfio_irq_set_args *a, const int *fds)
{
	struct vu_set_irqs set = { sizeof(set), a->flags, a->index, a->start, a->count };
	struct vu_request r = {
		.command = VU_DEVICE_SET_IRQS,
		.iov = { { &set, sizeof(set) } },
		.iovcnt = 1,
		.fds = fds,
		.num_fds = fds ? a->count : 0,
	};
	bool bools = a->flags & VFIO_IRQ_SET_DATA_BOOL;
	struct vu_keeping keeping;
	int rc = VU_RING_BUSY;

	if (s->resume) {
		rc = vu_keep_prepare(&keeping, s->c, a, fds);
		if (rc)
			return rc;
		r.fds = keeping.fds;
		r.done = vu_keep_done;
		r.arg = &keeping;
		rc = VU_RING_BUSY;
	}
	if (!(a->flags & VFIO_IRQ_SET_DATA_EVENTFD))
		rc = vu_session_set_irqs(s, &set, bools ? a->data : NULL);
	if (rc != VU_RING_BUSY)
		return rc;
	if (bools) {
		r.iov[1] = (struct iovec){ (void *)a->data, a->count };
		r.iovcnt = 2;
		set.argsz += a->count;
	}
	return vu_session_do(s, &r);
}

/* Set eventfds for [@from, @to) of @a, all of which there are, or none of which. */
static int send_run(struct vu_session *s, const struct vfio_irq_set_args *a, uint32_t from,
		    uint32_t to)
{
	struct vfio_irq_set_args part = {
		.flags = a->flags,
		.index = a->index,
		.start = a->start + from,
		.count = to - from,
	};
	int fds[VU_MAX_FDS];

	if (fd_at(a, from) < 0)
		return send_irqs(s, &part, NULL);
	for (uint32_t i = from; i < to; i++)
		fds[i - from] = fd_at(a, i);
	return send_irqs(s, &part, fds);
}

/* Return where the run that begins at @from ends: all with an eventfd, or all without. */
static uint32_t run_end(const struct vu_session *s, const struct vfio_irq_set_args *a,
			uint32_t from)
{
	uint32_t most = s->caps.max_msg_fds < VU_MAX_FDS ? s->caps.max_msg_fds : VU_MAX_FDS, i;
	bool none = fd_at(a, from) < 0;

	for (i = from + 1; i < a->count && (fd_at(a, i) < 0) == none; i++)
		if (!none && i - from == most)
			break;
	return i;
}

/* Check the program's eventfds as the kernel does: 0, -EBADF, -EINVAL. @good: those before it */
static int check_eventfds(const struct vfio_irq_set_args *a, uint32_t *good)
{
	int rc = 0;

	for (*good = 0; *good < a->count; ++*good) {
		int32_t fd = fd_at(a, *good);

		if (fd < -1)
			rc = -EINVAL;
		else if (fd >= 0)
			rc = vfio_check_eventfd(fd);
		if (rc)
			break;
	}
	return rc;
}

/*
 * An eventfd is none, and @good come before it. The kernel has taken away by then what those
 * vectors, and this one, had.
 */
static void drop_vectors(struct vu_client *c, const struct vfio_irq_set_args *a, uint32_t good)
{
	struct vfio_irq_set_args none = *a;

	none.count = good + 1;
	if (c->irqs_on[a->index] && a->index != VFIO_PCI_INTX_IRQ_INDEX)
		send_irqs(c->session, &none, NULL);
}

/*
 * Set eventfds by as many messages as it takes. What is not set up yet is so first with all vectors
 * and no eventfd: a server need not take more later (NORESIZE).
 */
static int set_eventfds(struct vu_session *s, const struct vfio_irq_set_args *a, bool was_on)
{
	struct vfio_irq_set_args undo = *a;
	uint32_t from = 0, to = run_end(s, a, 0);
	int rc = 0;

	if (to < a->count && !was_on)
		rc = send_irqs(s, a, NULL);
	for (; from < a->count && !rc; from = to) {
		to = run_end(s, a, from);
		rc = send_run(s, a, from, to);
		if (rc)
			break;
	}
	if (!rc)
		return 0;
	/* those that were set are none again, as with the kernel; it is off, if it was */
	if (was_on && from) {
		undo.count = from;
		send_irqs(s, &undo, NULL);
	} else if (!was_on && to < a->count) {
		undo.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
		undo.start = undo.count = 0;
		send_irqs(s, &undo, NULL);
	}
	return rc;
}

/* ---- INTx, MSI, MSI-X ---- */

/*
 * Take away masks in the device's own registers of the vectors that got eventfds, as the kernel's
 * driver does when it sets them up. The server leaves them alone: to it they are the user's.
 */
static void unmask(struct vu_client *c, const struct vfio_irq_set_args *a)
{
	unsigned reg = a->index == VFIO_PCI_MSI_IRQ_INDEX ? vu_face_msi_masks(c) : 0;
	uint32_t bits = 0, none = 0, had;

	for (uint32_t i = 0; i < a->count; i++) {
		uint32_t vector = a->start + i;

		if (fd_at(a, i) < 0)
			continue;
		if (a->index == VFIO_PCI_MSI_IRQ_INDEX)
			bits |= vector < 32 ? 1u << vector : 0;
		else if (c->table.bar >= 0)
			vu_region_rw(c->session, (uint32_t)c->table.bar,
				     c->table.start + 16ull * vector + 12, /* PCI 3.0, 6.8.2.9 */
				     &none, 4, true);
	}
	if (!reg ||
	    vu_region_rw(c->session, VFIO_PCI_CONFIG_REGION_INDEX, reg, &had, 4, false) != 4 ||
	    !(had & bits))
		return;
	had &= ~bits;
	vu_region_rw(c->session, VFIO_PCI_CONFIG_REGION_INDEX, reg, &had, 4, true);
}

static int set_vectors(struct vu_client *c, const struct vfio_irq_set_args *a)
{
	uint32_t action = a->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	bool maskable = c->irqs[a->index].flags & VFIO_IRQ_INFO_MASKABLE, off;
	uint32_t good;
	int rc;

	if (action != VFIO_IRQ_SET_ACTION_TRIGGER && a->index != VFIO_PCI_INTX_IRQ_INDEX &&
	    (keeps_masks(c, a->index) || !maskable))
		return report_info("irq-flags", c->vdev.name, -ENOTTY,
				   "SET_IRQS: index %u does not do flags 0x%x", a->index, a->flags);
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		rc = check_eventfds(a, &good);
		if (rc) {
			drop_vectors(c, a, good);
			return rc;
		}
	}
	if (action != VFIO_IRQ_SET_ACTION_TRIGGER && !maskable) {
		if (action == VFIO_IRQ_SET_ACTION_MASK)
			return report_warn("vfio-user-mask", c->vdev.name, -EINVAL,
					   "SET_IRQS: its server cannot mask INTx");
		/* it is never masked there, so nothing has to be unmasked */
		return 0;
	}
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD && a->count) {
		if (action == VFIO_IRQ_SET_ACTION_TRIGGER) {
			rc = set_eventfds(c->session, a, c->irqs_on[a->index]);
			if (!rc)
				c->irqs_on[a->index] = true;
			if (!rc && atomic_load(&c->masked) && keeps_masks(c, a->index))
				unmask(c, a);
			return rc;
		}
		for (uint32_t i = 0, to; i < a->count; i = to) {
			to = run_end(c->session, a, i);
			rc = send_run(c->session, a, i, to);
			if (rc)
				return rc;
		}
		return 0;
	}
	/* what is not set up cannot be taken down, whatever its server says to monitors */
	off = !a->count && a->flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);
	if (off && !c->irqs_on[a->index])
		return -EINVAL;
	rc = send_irqs(c->session, a, NULL);
	if (!rc && off)
		c->irqs_on[a->index] = false;
	return rc;
}

/* ---- ERR, REQ ---- */

/* Keep the eventfd of one of the two, by the rules that the kernel has for them. */
static int set_single(struct vu_client *c, struct vfio_trigger *t,
		      const struct vfio_irq_set_args *a)
{
	int32_t fd;
	int rc;

	if ((a->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	if (a->start || a->count > 1)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_NONE) {
		if (!vfio_trigger_is_set(t))
			return -EINVAL;
		if (a->count) {
			vfio_trigger_signal(t);
			return 0;
		}
		fd = -1;
	} else if (!a->count) {
		return -EINVAL;
	} else if (a->flags & VFIO_IRQ_SET_DATA_BOOL) {
		if (*(const uint8_t *)a->data)
			vfio_trigger_signal(t);
		return 0;
	} else {
		fd = fd_at(a, 0);
	}
	if (fd < -1)
		return -EINVAL;
	rc = vfio_trigger_set(t, fd);
	/* a server that does not take it has nothing to say by it */
	if (!rc && c->irq_of_server[a->index])
		send_irqs(c->session, a, fd < 0 ? NULL : &fd);
	return rc;
}

int vu_client_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	struct vu_client *c = to_client(dev);
	int rc;

	pthread_mutex_lock(&c->irq_lock);
	if (a->index == VFIO_PCI_ERR_IRQ_INDEX)
		rc = set_single(c, &c->err, a);
	else if (a->index == VFIO_PCI_REQ_IRQ_INDEX)
		rc = set_single(c, &c->req, a);
	else
		rc = set_vectors(c, a);
	pthread_mutex_unlock(&c->irq_lock);
	return rc;
}

void vu_client_request(struct vfio_device *dev, unsigned count)
{
	vfio_trigger_request(&to_client(dev)->req, dev->name, count);
}

void vu_irqs_drop(struct vu_client *c)
{
	pthread_mutex_lock(&c->irq_lock);
	memset(c->irqs_on, 0, sizeof(c->irqs_on));
	vu_keep_drop(c);
	pthread_mutex_unlock(&c->irq_lock);
	vfio_trigger_set(&c->err, -1);
	vfio_trigger_set(&c->req, -1);
}

/* ---- for a server that was started again ---- */

/* Have eventfd @fd, if there is one, do @action to INTx. */
static int set_action(struct vu_session *s, uint32_t index, uint32_t action, int fd)
{
	const struct vfio_irq_set_args a = { .flags = VFIO_IRQ_SET_DATA_EVENTFD | action,
					     .index = index,
					     .count = 1 };

	return fd < 0 ? 0 : send_irqs(s, &a, &fd);
}

static int index_again(struct vu_session *s, uint32_t index, const struct vu_kept_irqs *q)
{
	struct vfio_irq_set_args a = { .index = index, .count = q->count };
	int rc;

	a.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	a.data = q->fds;
	rc = set_eventfds(s, &a, false);
	a.flags = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_MASK;
	a.data = q->masked;
	if (!rc && memchr(q->masked, true, q->count))
		rc = send_irqs(s, &a, NULL);
	if (!rc)
		rc = set_action(s, index, VFIO_IRQ_SET_ACTION_MASK, q->mask);
	return rc ? rc : set_action(s, index, VFIO_IRQ_SET_ACTION_UNMASK, q->unmask);
}

int vu_irqs_again(struct vu_client *c, struct vu_session *s, struct vu_why *why)
{
	int rc;

	for (uint32_t i = 0; i < VU_CLIENT_IRQS; i++) {
		/* as at first, a server that does not take these has nothing to say by them */
		bool must = i != VFIO_PCI_ERR_IRQ_INDEX && i != VFIO_PCI_REQ_IRQ_INDEX;

		rc = c->kept[i].count ? index_again(s, i, &c->kept[i]) : 0;
		if (vu_is_passing(rc))
			return rc;
		if (rc && must)
			return vu_fail(why, -ENODEV,
				       "it refuses the interrupts of index %u that it had: %s", i,
				       strerror(-rc));
	}
	return 0;
}
