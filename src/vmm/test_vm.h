/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/test_vm.h: for the unit tests of this folder: a device of no provider (struct fake), whose
 * regions, interrupts and capabilities a test sets as it likes, and a monitor (struct monitor) that
 * notes interrupts, and checks the rules of those who let them pass by. struct tvm is a guest with
 * both, made by hand: its device was not assigned, so a test can have parts of it alone.
 */
#ifndef VMM_TEST_VM_H
#define VMM_TEST_VM_H
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/sys.h"
#include "vmm/internal.h"

/* ---- the device ---- */

#define FAKE_MSI     0x50u /* 32 vectors, 64-bit, mask bits */
#define FAKE_MSIX    0x70u /* table in BAR 4 at 0, pending bits at 0x8000 */
#define FAKE_VECTORS 2048u
#define FAKE_PBA     0x8000u
#define FAKE_BAR4    0x10000u

struct fake {
	struct vfio_device vdev;
	/* what it answers; areas are the test's */
	struct vfio_region region[VFIO_PCI_NUM_REGIONS];
	struct vfio_irq irq[VFIO_PCI_NUM_IRQS];
	uint8_t config[PCI_CFG_EXP_SIZE];
	uint8_t *bar[VFIO_PCI_ROM_REGION_INDEX + 1]; /* memory behind it: a test's, or NULL */
	unsigned reads, writes;			     /* of BARs */
	/* interrupts */
	pthread_mutex_t lock;			 /* guards all below */
	int type;				 /* the index that is on; -1: none */
	int fd[VFIO_PCI_NUM_IRQS][FAKE_VECTORS]; /* duplicates, or -1 */
	unsigned on;				 /* vectors that were switched on */
	unsigned available;			 /* vectors that can be had */
	bool masked, line;			 /* of INTx */
	int unmask_fd;				 /* or -1 */
	bool needs_eventfd;			 /* -1 switches nothing on */
	bool vector_masked[FAKE_VECTORS];	 /* of MSI-X; what comes then is in the PBA */
	unsigned calls;				 /* of set_irqs */
	unsigned fail_in;			 /* the call that fails, from now on; 0: none */
};

static inline struct fake *to_fake(struct vfio_device *dev)
{
	return container_of_type(dev, struct fake, vdev);
}

static inline int fake_open(struct vfio_device *dev)
{
	return 0;
}

static inline void fake_close(struct vfio_device *dev)
{
}

static inline int fake_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	*out = to_fake(dev)->region[index];
	return 0;
}

static inline int fake_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out)
{
	*out = to_fake(dev)->irq[index];
	return out->count ? 0 : -EINVAL;
}

static inline void fake_signal(struct fake *f, unsigned index, unsigned vector)
{
	const uint64_t one = 1;

	if (index == VFIO_PCI_MSIX_IRQ_INDEX && f->vector_masked[vector])
		f->bar[4][FAKE_PBA + vector / 8] |= (uint8_t)(1u << vector % 8);
	else if (f->fd[index][vector] >= 0)
		sys_write(f->fd[index][vector], &one, sizeof(one));
}

/* Signal INTx, and mask it, if the line asks; with the lock. */
static inline void fake_look(struct fake *f)
{
	if (f->type || f->masked || !f->line || (f->config[PCI_COMMAND + 1] & 4))
		return;
	f->masked = true;
	fake_signal(f, 0, 0);
}

static inline ssize_t fake_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
			      size_t count, bool write)
{
	struct fake *f = to_fake(dev);
	uint8_t *at = index == VFIO_PCI_CONFIG_REGION_INDEX ? f->config
		      : index <= VFIO_PCI_ROM_REGION_INDEX  ? f->bar[index]
							    : NULL;

	if (!at || pos >= f->region[index].size)
		return -EINVAL;
	if (count > f->region[index].size - pos)
		count = f->region[index].size - pos;
	pthread_mutex_lock(&f->lock);
	if (write)
		memcpy(at + pos, buf, count);
	else
		memcpy(buf, at + pos, count);
	if (index != VFIO_PCI_CONFIG_REGION_INDEX)
		*(write ? &f->writes : &f->reads) += 1;
	else if (write && pos <= PCI_COMMAND + 1 && pos + count > PCI_COMMAND)
		fake_look(f); /* DisINTx */
	pthread_mutex_unlock(&f->lock);
	return (ssize_t)count;
}

static inline void fake_drop(int *fd)
{
	if (*fd >= 0)
		fd_close_private(*fd);
	*fd = -1;
}

static inline int fake_take(int *fd, int from)
{
	int own = from < 0 ? -1 : fd_dup_private(from);

	if (from >= 0 && own < 0)
		return own;
	fake_drop(fd);
	*fd = own;
	return 0;
}

static inline void fake_off(struct fake *f)
{
	for (unsigned i = 0; f->type >= 0 && i < FAKE_VECTORS; i++)
		fake_drop(&f->fd[f->type][i]);
	/* as uvfio's, and not as the kernel's: it forgets the other eventfd when it is told to */
	f->type = -1;
	f->on = 0;
	memset(f->vector_masked, 0, sizeof(f->vector_masked));
}

/* ACTION_MASK and UNMASK of vectors, of a device that is MASKABLE there. */
static inline int fake_mask_vectors(struct fake *f, const struct vfio_irq_set_args *a, bool mask)
{
	const uint8_t *bools = a->data;

	if (f->type != (int)a->index || !(f->irq[a->index].flags & VFIO_IRQ_INFO_MASKABLE))
		return -EINVAL;
	assert_true(a->flags & VFIO_IRQ_SET_DATA_BOOL && a->count);
	for (unsigned i = 0; i < a->count; i++) {
		uint8_t *pending = &f->bar[4][FAKE_PBA + (a->start + i) / 8];
		uint8_t bit = (uint8_t)(1u << (a->start + i) % 8);

		if (!bools[i])
			continue;
		assert_int_not_equal(f->vector_masked[a->start + i], mask);
		f->vector_masked[a->start + i] = mask;
		if (!mask && *pending & bit) {
			*pending &= (uint8_t)~bit;
			fake_signal(f, a->index, a->start + i);
		}
	}
	return 0;
}

/* INTx: mask, unmask, the eventfd that unmasks. */
static inline int fake_mask(struct fake *f, const struct vfio_irq_set_args *a, uint32_t action)
{
	if (a->index == VFIO_PCI_MSIX_IRQ_INDEX)
		return fake_mask_vectors(f, a, action == VFIO_IRQ_SET_ACTION_MASK);
	if (a->index || f->type || a->count != 1)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		int fd = *(const int32_t *)a->data;

		assert_int_equal(action, VFIO_IRQ_SET_ACTION_UNMASK);
		return fd >= 0 && f->unmask_fd >= 0 ? -EBUSY : fake_take(&f->unmask_fd, fd);
	}
	f->masked = action == VFIO_IRQ_SET_ACTION_MASK;
	fake_look(f);
	return 0;
}

static inline int fake_set(struct fake *f, const struct vfio_irq_set_args *a)
{
	const int32_t *fds = a->data;
	bool single = a->index >= VFIO_PCI_ERR_IRQ_INDEX, is_on = f->type == (int)a->index;
	int rc = 0;

	if (!a->count) {
		if (single || !is_on)
			return -EINVAL;
		fake_off(f);
		return 0;
	}
	assert_true(a->flags & VFIO_IRQ_SET_DATA_EVENTFD);
	if (!single && !is_on) {
		if (f->type >= 0)
			return -EINVAL; /* one at a time */
		if (f->needs_eventfd && fds[0] < 0)
			return -ENOTTY;
		if (a->index && a->start + a->count > f->available)
			return f->available ? (int)f->available : -ENOSPC;
		f->type = (int)a->index;
		f->on = a->start + a->count;
		f->masked = false;
	} else if (!single && a->start + a->count > f->on) {
		if (f->irq[a->index].flags & VFIO_IRQ_INFO_NORESIZE ||
		    a->start + a->count > f->available)
			return -EINVAL;
		f->on = a->start + a->count;
	}
	for (unsigned i = 0; i < a->count && !rc; i++)
		rc = fake_take(&f->fd[a->index][a->start + i], fds[i]);
	if (rc && !single && !is_on)
		fake_off(f);
	fake_look(f);
	return rc;
}

static inline int fake_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	struct fake *f = to_fake(dev);
	uint32_t action = a->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	int rc = -EIO;

	pthread_mutex_lock(&f->lock);
	f->calls++;
	if (!f->fail_in || --f->fail_in)
		rc = action == VFIO_IRQ_SET_ACTION_TRIGGER ? fake_set(f, a)
							   : fake_mask(f, a, action);
	pthread_mutex_unlock(&f->lock);
	return rc;
}

static const struct vfio_device_ops fake_ops __attribute__((unused)) = {
	.open = fake_open,
	.close = fake_close,
	.region = fake_region,
	.irq = fake_irq,
	.rw = fake_rw,
	.set_irqs = fake_set_irqs,
};

static inline void fake_put(struct fake *f, unsigned at, unsigned size, uint32_t value)
{
	memcpy(f->config + at, &value, size);
}

/* Make a function with INTA, MSI and MSI-X. The test changes it then. */
static inline void fake_init(struct fake *f)
{
	const uint32_t plain = VFIO_IRQ_INFO_EVENTFD, fixed = plain | VFIO_IRQ_INFO_NORESIZE;

	memset(f, 0, sizeof(*f));
	vfio_device_init(&f->vdev, &fake_ops, "0000:01:00.0", NULL);
	pthread_mutex_init(&f->lock, NULL);
	f->vdev.flags = VFIO_DEVICE_FLAGS_PCI;
	f->vdev.num_regions = VFIO_PCI_NUM_REGIONS;
	f->vdev.num_irqs = VFIO_PCI_NUM_IRQS;
	memset(f->fd, 0xff, sizeof(f->fd));
	f->type = f->unmask_fd = -1;
	f->available = FAKE_VECTORS;
	f->irq[VFIO_PCI_INTX_IRQ_INDEX] =
		(struct vfio_irq){ plain | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED, 1 };
	f->irq[VFIO_PCI_MSI_IRQ_INDEX] = (struct vfio_irq){ fixed, 32 };
	f->irq[VFIO_PCI_MSIX_IRQ_INDEX] = (struct vfio_irq){ plain, FAKE_VECTORS };
	f->irq[VFIO_PCI_ERR_IRQ_INDEX] = (struct vfio_irq){ fixed, 1 };
	f->irq[VFIO_PCI_REQ_IRQ_INDEX] = (struct vfio_irq){ fixed, 1 };
	f->region[VFIO_PCI_CONFIG_REGION_INDEX] =
		(struct vfio_region){ .size = PCI_CFG_SPACE_SIZE, .flags = 3 };
	fake_put(f, PCI_VENDOR_ID, 4, 0x56781234);
	fake_put(f, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	fake_put(f, PCI_CAPABILITY_LIST, 1, FAKE_MSI);
	fake_put(f, PCI_INTERRUPT_PIN, 1, 1);
	fake_put(f, FAKE_MSI, 4,
		 PCI_CAP_ID_MSI | FAKE_MSIX << 8 |
			 (5u << 1 | PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT) << 16);
	fake_put(f, FAKE_MSIX, 4, PCI_CAP_ID_MSIX | (FAKE_VECTORS - 1) << 16);
	fake_put(f, FAKE_MSIX + PCI_MSIX_TABLE, 4, 4);
	fake_put(f, FAKE_MSIX + PCI_MSIX_PBA, 4, FAKE_PBA | 4);
	f->region[4] = (struct vfio_region){ .size = FAKE_BAR4, .flags = 3 };
	f->bar[4] = calloc(1, FAKE_BAR4);
	assert_non_null(f->bar[4]);
}

static inline void fake_fini(struct fake *f)
{
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++)
		for (unsigned k = 0; k < FAKE_VECTORS; k++)
			fake_drop(&f->fd[i][k]);
	fake_drop(&f->unmask_fd);
	free(f->bar[4]);
	pthread_mutex_destroy(&f->lock);
	vfio_device_fini(&f->vdev);
}

/* The device sends a message; false: nobody would get it. */
static inline bool fake_send(struct fake *f, unsigned index, unsigned vector)
{
	bool there;

	pthread_mutex_lock(&f->lock);
	there = f->fd[index][vector] >= 0;
	fake_signal(f, index, vector);
	pthread_mutex_unlock(&f->lock);
	return there;
}

/* The device moves its line. */
static inline void fake_line(struct fake *f, bool level)
{
	pthread_mutex_lock(&f->lock);
	f->line = level;
	fake_look(f);
	pthread_mutex_unlock(&f->lock);
}

/* Do what the kernel's worker does when the eventfd that unmasks was signalled. */
static inline void fake_resample(struct fake *f)
{
	uint64_t n;

	pthread_mutex_lock(&f->lock);
	if (f->unmask_fd >= 0 && sys_read(f->unmask_fd, &n, sizeof(n)) == sizeof(n)) {
		f->masked = false;
		fake_look(f);
	}
	pthread_mutex_unlock(&f->lock);
}

/* ---- the monitor ---- */

#define MON_GSIS  4096
#define MON_FIRST 24 /* of messages */

struct mon_route {
	bool used, live;
	uint64_t address, live_address;
	uint32_t data, live_data;
};

struct mon_irqfd {
	int eventfd, resamplefd;
	bool raised; /* of a level: the guest has not ended it */
};

struct monitor {
	pthread_mutex_t lock; /* guards all below; a leaf */
	int gsi;	      /* where INTA of its device ends */
	int level;	      /* of the line: how many hold it up by intx() */
	unsigned raised;      /* how often it went up */
	uint64_t messages;    /* by msi() or a route */
	uint64_t by_msi;      /* of these by msi() */
	uint64_t address;     /* the last one */
	uint32_t data;
	unsigned of[FAKE_VECTORS]; /* messages by their data, if that is a small number */
	struct mon_route route[MON_GSIS];
	struct mon_irqfd irqfd[MON_GSIS];
	unsigned gsis; /* how many may be given out */
	unsigned routes, irqfds, commits;
	bool no_resample, no_irqfd, no_commit;
};

static inline void mon_intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
	struct monitor *m = ctx;

	pthread_mutex_lock(&m->lock);
	m->level += level ? 1 : -1;
	m->raised += level;
	assert_true(m->level >= 0);
	pthread_mutex_unlock(&m->lock);
}

/* With the lock. */
static inline void mon_got(struct monitor *m, uint64_t address, uint32_t data)
{
	m->messages++;
	m->address = address;
	m->data = data;
	if (data < FAKE_VECTORS)
		m->of[data]++;
}

static inline void mon_msi(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	struct monitor *m = ctx;

	pthread_mutex_lock(&m->lock);
	m->by_msi++;
	mon_got(m, address, data);
	pthread_mutex_unlock(&m->lock);
}

static inline int mon_intx_gsi(void *ctx, struct uvfio_vm_device *dev, unsigned pin)
{
	struct monitor *m = ctx;
	int gsi;

	pthread_mutex_lock(&m->lock);
	gsi = m->gsi;
	pthread_mutex_unlock(&m->lock);
	return gsi;
}

static inline int mon_route_add(void *ctx, struct uvfio_vm_device *dev, uint64_t address,
				uint32_t data)
{
	struct monitor *m = ctx;
	int gsi = MON_FIRST, rc = -ENOSPC;

	pthread_mutex_lock(&m->lock);
	while (gsi < MON_GSIS && m->route[gsi].used)
		gsi++;
	if (m->routes < m->gsis && gsi < MON_GSIS) {
		m->route[gsi].used = true;
		m->route[gsi].address = address;
		m->route[gsi].data = data;
		m->routes++;
		rc = gsi;
	}
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static inline int mon_route_update(void *ctx, int gsi, uint64_t address, uint32_t data)
{
	struct monitor *m = ctx;

	pthread_mutex_lock(&m->lock);
	assert_true(m->route[gsi].used);
	m->route[gsi].address = address;
	m->route[gsi].data = data;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static inline void mon_route_del(void *ctx, int gsi)
{
	struct monitor *m = ctx;

	pthread_mutex_lock(&m->lock);
	assert_true(m->route[gsi].used);
	/* the irqfd goes before the route */
	assert_int_equal(m->irqfd[gsi].eventfd, -1);
	m->route[gsi].used = false;
	m->routes--;
	pthread_mutex_unlock(&m->lock);
}

static inline int mon_route_commit(void *ctx)
{
	struct monitor *m = ctx;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	m->commits++;
	if (m->no_commit)
		rc = -EINVAL;
	for (unsigned i = MON_FIRST; !rc && i < MON_GSIS; i++) {
		struct mon_route *r = &m->route[i];

		r->live = r->used;
		r->live_address = r->address;
		r->live_data = r->data;
	}
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static inline int mon_irqfd(void *ctx, int eventfd, int gsi, int resamplefd, bool assign)
{
	struct monitor *m = ctx;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	assert_true(gsi >= 0 && gsi < MON_GSIS && eventfd >= 0);
	if (!assign) {
		assert_int_equal(m->irqfd[gsi].eventfd, eventfd);
		m->irqfd[gsi] = (struct mon_irqfd){ -1, -1, false };
		m->irqfds--;
	} else if ((resamplefd >= 0 && m->no_resample) || m->no_irqfd) {
		rc = -EINVAL;
	} else {
		for (unsigned i = 0; i < MON_GSIS; i++)
			assert_true(m->irqfd[i].eventfd != eventfd);
		/* of messages the route is there before, and live */
		assert_true(resamplefd >= 0 || (m->route[gsi].used && m->route[gsi].live));
		assert_int_equal(m->irqfd[gsi].eventfd, -1);
		m->irqfd[gsi] = (struct mon_irqfd){ eventfd, resamplefd, false };
		m->irqfds++;
	}
	pthread_mutex_unlock(&m->lock);
	return rc;
}

static inline void mon_init(struct monitor *m)
{
	memset(m, 0, sizeof(*m));
	pthread_mutex_init(&m->lock, NULL);
	m->gsi = 10;
	m->gsis = MON_GSIS;
	for (unsigned i = 0; i < MON_GSIS; i++)
		m->irqfd[i] = (struct mon_irqfd){ -1, -1, false };
}

/* Fill @ops: those who let interrupts pass are there with @bypass. */
static inline void mon_ops(struct uvfio_vm_irq_ops *ops, bool bypass)
{
	*ops = (struct uvfio_vm_irq_ops){ .intx = mon_intx, .msi = mon_msi };
	if (!bypass)
		return;
	ops->intx_gsi = mon_intx_gsi;
	ops->route_add = mon_route_add;
	ops->route_update = mon_route_update;
	ops->route_del = mon_route_del;
	ops->route_commit = mon_route_commit;
	ops->irqfd = mon_irqfd;
}

/* Return how many messages came so far. */
static inline uint64_t mon_messages(struct monitor *m)
{
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	n = m->messages;
	pthread_mutex_unlock(&m->lock);
	return n;
}

/* Do what the kernel does with events of irqfds. */
static inline void mon_run(struct monitor *m)
{
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < MON_GSIS; i++) {
		struct mon_irqfd *q = &m->irqfd[i];

		if (q->eventfd < 0 || sys_read(q->eventfd, &n, sizeof(n)) != sizeof(n))
			continue;
		if (q->resamplefd < 0) {
			mon_got(m, m->route[i].live_address, m->route[i].live_data);
		} else {
			m->raised++;
			q->raised = true;
		}
	}
	pthread_mutex_unlock(&m->lock);
}

/* The guest ends the interrupt of a line that an irqfd raised: false: it was not up. */
static inline bool mon_eoi(struct monitor *m, int gsi)
{
	const uint64_t one = 1;
	bool raised;

	pthread_mutex_lock(&m->lock);
	raised = m->irqfd[gsi].raised;
	m->irqfd[gsi].raised = false;
	if (raised)
		sys_write(m->irqfd[gsi].resamplefd, &one, sizeof(one));
	pthread_mutex_unlock(&m->lock);
	return raised;
}

/* ---- a guest with both ---- */

struct tvm {
	struct uvfio_vm *vm;
	struct uvfio_vm_device *dev;
	struct fake fake;
	struct monitor mon;
};

/* Make a guest with a device of @t->fake, which the test has made. Nothing of it is set up. */
static inline void tvm_begin(struct tvm *t, const struct uvfio_vm_ops *vm_ops, void *ctx,
			     const struct uvfio_vm_irq_ops *ops)
{
	struct uvfio_vm_device *dev;

	log_set(2, LOG_NONE);
	t->vm = uvfio_vm_new(vm_ops, ctx);
	assert_non_null(t->vm);
	assert_int_equal(uvfio_vm_use_irq_ops(t->vm, ops, &t->mon), 0);
	dev = calloc(1, sizeof(*dev));
	assert_non_null(dev);
	dev->vm = t->vm;
	pthread_mutex_init(&dev->lock, NULL);
	assert_int_equal(vm_options_parse(t->vm, NULL, &dev->options), 0);
	strcpy(dev->name, t->fake.vdev.name);
	vfio_open_init(&dev->open, &t->fake.vdev);
	atomic_store(&dev->open.bound, true);
	cds_list_add_tail(&dev->node, &t->vm->devices);
	t->dev = dev;
}

static inline int tvm_to_intx(struct tvm *t)
{
	int rc;

	pthread_mutex_lock(&t->dev->lock);
	rc = vm_irq_to_intx(t->dev);
	pthread_mutex_unlock(&t->dev->lock);
	return rc;
}

/* Switch all interrupts off: nothing of them is left with the device and the monitor. */
static inline void tvm_irq_off(struct tvm *t)
{
	pthread_mutex_lock(&t->dev->lock);
	vm_irq_off(t->dev);
	pthread_mutex_unlock(&t->dev->lock);
	assert_int_equal(t->dev->irq.kind, VM_IRQ_NONE);
	assert_int_equal(t->fake.type, -1);
	assert_int_equal(t->fake.unmask_fd, -1);
	assert_int_equal(t->mon.irqfds, 0);
	assert_int_equal(t->mon.routes, 0);
}

/* Set up config space, interrupts and BARs, as an assignment does. */
static inline void tvm_set_up(struct tvm *t)
{
	assert_int_equal(vm_config_init(t->dev), 0);
	assert_int_equal(vm_irq_init(t->dev), 0);
	assert_int_equal(vm_bars_init(t->dev), 0);
	assert_int_equal(tvm_to_intx(t), 0);
}

static inline void tvm_tear_down(struct tvm *t)
{
	pthread_mutex_lock(&t->dev->lock);
	vm_irq_off(t->dev);
	vm_bars_down(t->dev);
	pthread_mutex_unlock(&t->dev->lock);
	vm_bars_fini(t->dev);
	vm_irq_fini(t->dev);
	vm_config_fini(t->dev);
}

static inline void tvm_end(struct tvm *t)
{
	/* the thread may be inside of the device still: uvfio_vm_unassign() would wait for it */
	vm_events_stop(t->vm);
	cds_list_del(&t->dev->node);
	vm_options_fini(&t->dev->options);
	pthread_mutex_destroy(&t->dev->lock);
	free(t->dev);
	uvfio_vm_free(t->vm);
}
#endif
