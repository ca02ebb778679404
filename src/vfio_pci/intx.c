/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/intx.c: INTx. The line is a level. A user gets one signal, and the interrupt is masked
 * until the user unmasks it; if the line is still up then, the next signal comes and it stays
 * masked.
 *
 * "Signal and mask" must be one step for the function's threads, SET_IRQS, the unmask eventfd and
 * COMMAND.DisINTx alike, and the function's threads may not wait. So there is one atomic word:
 * whoever turns INTX_MASKED on, by an atomic or, is the one who signals. To unmask is to turn it
 * off and then to look at the line: the level was stored before the function called the sink, so
 * either that call finds the mask off and signals, or the look finds the line up; both may try, and
 * one wins. Nothing is lost and nothing is doubled.
 *
 * The mask is this word, for functions with and without DisINTx. DisINTx of the hardware follows
 * where a user asked for the mask (the ioctl, the user's own DisINTx) but not at each interrupt: a
 * sink cannot write config space.
 */
#include "base/event.h"
#include "base/rcu.h"
#include "vfio_pci/internal.h"

static void tell(const struct vfio_pci_device *vd, enum event_irq what)
{
	EVENT(EVENT_IRQ, .who = vd->vdev.name, .at = UINT64_MAX, .what = what);
}

/* Signal the eventfd, and the interrupt is masked. */
static void intx_signal(struct vfio_pci_device *vd)
{
	tell(vd, vfio_trigger_is_set(&vd->intx.trigger) ? EVENT_SIGNALLED : EVENT_NOBODY);
	vfio_trigger_signal(&vd->intx.trigger);
}

/* Signal and mask, unless it is masked; return the state that was. */
static unsigned intx_deliver(struct vfio_pci_device *vd)
{
	unsigned old;

	/* vfio_pci_intx_disable() waits for readers: nobody who saw ACTIVE signals after it */
	rcu_read_begin();
	old = atomic_fetch_or(&vd->intx.state, INTX_MASKED);
	if ((old & (INTX_ACTIVE | INTX_MASKED)) == INTX_ACTIVE)
		intx_signal(vd);
	rcu_read_end();
	return old;
}

/* Follow the function's line. Any thread, no lock. */
void vfio_pci_intx_line(void *arg, bool level)
{
	if (level)
		vfio_pci_judge_rise(arg, intx_deliver(arg));
}

/*
 * True if the function asks for an interrupt; not in D3hot, or stopped for a migration: it asks
 * again when it wakes, or goes on. The line is looked at last (and first, since mostly it is down):
 * what it was before the function woke is not what counts.
 */
static bool intx_asks(struct vfio_pci_device *vd)
{
	return pci_intx_level(vd->fn) && !pci_power_state(vd->fn) && !pci_irqs_wait(vd->fn) &&
	       pci_intx_level(vd->fn);
}

/* Bring DisINTx of the hardware to what it should be. config_lock held. */
void vfio_pci_intx_follow(struct vfio_pci_device *vd)
{
	bool messages =
		vd->irq_type == VFIO_PCI_MSI_IRQ_INDEX || vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX;
	unsigned cmd, want;

	if (!vd->pci_2_3)
		return;
	cmd = pci_config_read(vd->fn, PCI_COMMAND, 2);
	want = cmd & ~PCI_COMMAND_INTX_DISABLE;
	if (messages || atomic_load(&vd->intx.state) & (INTX_HW | INTX_DISABLED))
		want |= PCI_COMMAND_INTX_DISABLE;
	if (want != cmd)
		pci_config_write(vd->fn, PCI_COMMAND, 2, want);
}

static void intx_mask(struct vfio_pci_device *vd)
{
	tell(vd, EVENT_MASKED);
	vfio_pci_judge_mask(vd);
	pthread_mutex_lock(&vd->config_lock);
	atomic_fetch_or(&vd->intx.state, INTX_MASKED | INTX_HW);
	vfio_pci_intx_follow(vd);
	pthread_mutex_unlock(&vd->config_lock);
}

/*
 * Take the mask off, or signal again where the function still asks: then the mask stays, as in the
 * kernel, and another's mask at this moment cannot swallow the signal. False: the hardware's
 * DisINTx must be cleared as well, and config_lock is not held.
 */
static bool intx_try_unmask(struct vfio_pci_device *vd, bool have_lock)
{
	unsigned s = atomic_load(&vd->intx.state), off;
	bool again;

	do {
		if ((s & (INTX_ACTIVE | INTX_MASKED | INTX_DISABLED)) !=
		    (INTX_ACTIVE | INTX_MASKED))
			return true;
		if (s & INTX_HW && !have_lock)
			return false;
		again = intx_asks(vd);
		off = again ? INTX_HW : INTX_MASKED | INTX_HW;
	} while (!atomic_compare_exchange_weak(&vd->intx.state, &s, s & ~off));
	vfio_pci_judge_unmask(vd, again);
	if (s & INTX_HW)
		vfio_pci_intx_follow(vd);
	tell(vd, EVENT_UNMASKED);
	if (again)
		intx_signal(vd);
	else if (intx_asks(vd))
		intx_deliver(vd);
	return true;
}

/* Unmask, by ioctl, or on the loop's thread by eventfd. */
static void intx_unmask(void *arg)
{
	struct vfio_pci_device *vd = arg;

	if (intx_try_unmask(vd, false))
		return;
	pthread_mutex_lock(&vd->config_lock);
	intx_try_unmask(vd, true);
	pthread_mutex_unlock(&vd->config_lock);
}

bool vfio_pci_intx_hold(struct vfio_pci_device *vd)
{
	unsigned s = atomic_load(&vd->intx.state);

	do {
		if ((s & (INTX_ACTIVE | INTX_MASKED)) != INTX_ACTIVE)
			return false;
	} while (!atomic_compare_exchange_weak(&vd->intx.state, &s, s | INTX_MASKED | INTX_HW));
	vfio_pci_intx_follow(vd);
	return true;
}

void vfio_pci_intx_let_go(struct vfio_pci_device *vd)
{
	intx_try_unmask(vd, true);
}

/*
 * Follow the user's DisINTx: setting it masks, and clearing it unmasks, also a mask that was set by
 * the ioctl, since there is one mask. config_lock held.
 */
void vfio_pci_intx_user_disable(struct vfio_pci_device *vd, bool on)
{
	if (on == !!(atomic_load(&vd->intx.state) & INTX_DISABLED))
		return;
	vfio_pci_judge_mask(vd);
	if (on) {
		atomic_fetch_or(&vd->intx.state, INTX_DISABLED | INTX_MASKED);
		vfio_pci_intx_follow(vd);
	} else {
		atomic_fetch_and(&vd->intx.state, ~INTX_DISABLED);
		/* there is one mask: one that waits for INTx to be active goes, too */
		atomic_fetch_and(&vd->intx.state, ~(INTX_HW | INTX_CARRIED));
		vfio_pci_intx_follow(vd);
		intx_try_unmask(vd, true);
	}
}

/* ---- migration, igate and config_lock held, and the function halted ---- */

unsigned vfio_pci_intx_saved(struct vfio_pci_device *vd)
{
	unsigned s = atomic_load(&vd->intx.state);

	if (s & INTX_ACTIVE)
		return s & (INTX_MASKED | INTX_HW | INTX_DISABLED);
	/* MASKED says nothing then: a rise of the line sets it, whoever hears of that */
	return (s & INTX_DISABLED) | (s & INTX_CARRIED ? INTX_MASKED : 0);
}

void vfio_pci_intx_load(struct vfio_pci_device *vd, unsigned saved)
{
	unsigned s = saved & INTX_DISABLED;

	if (saved & INTX_DISABLED)
		saved |= INTX_MASKED;
	/* a mask that is not the user's DisINTx waits for INTx to be active */
	if (vd->irq_type == VFIO_PCI_INTX_IRQ_INDEX)
		s = INTX_ACTIVE | (saved & (INTX_MASKED | INTX_HW | INTX_DISABLED));
	else if (saved & INTX_MASKED)
		s |= INTX_CARRIED;
	atomic_store(&vd->intx.state, s);
	vfio_pci_intx_follow(vd);
}

/* ---- SET_IRQS, igate held ---- */

static int intx_enable(struct vfio_pci_device *vd, int fd)
{
	unsigned s = atomic_load(&vd->intx.state), on;
	int err;

	if (!pci_intx_pin(vd->fn))
		return -ENODEV;
	err = vfio_trigger_set(&vd->intx.trigger, fd);
	if (err)
		return err;
	pthread_mutex_lock(&vd->config_lock);
	vd->irq_type = VFIO_PCI_INTX_IRQ_INDEX;
	do {
		/*
		 * config_lock keeps DISABLED as it is; the sink may set MASKED while the line goes
		 * up
		 */
		on = INTX_ACTIVE | (s & INTX_DISABLED ? INTX_DISABLED | INTX_MASKED : 0);
		if (s & INTX_CARRIED)
			on |= INTX_MASKED;
	} while (!atomic_compare_exchange_weak(&vd->intx.state, &s, on));
	vfio_pci_intx_follow(vd);
	pthread_mutex_unlock(&vd->config_lock);
	if (!(on & INTX_MASKED) && intx_asks(vd))
		intx_deliver(vd);
	return 0;
}

void vfio_pci_intx_disable(struct vfio_pci_device *vd)
{
	vfio_pci_judge_end(vd);
	vfio_virqfd_free(vd->intx.unmask);
	vd->intx.unmask = NULL;
	pthread_mutex_lock(&vd->config_lock);
	vd->irq_type = VFIO_PCI_IRQ_NONE;
	atomic_fetch_and(&vd->intx.state, ~(INTX_ACTIVE | INTX_HW));
	vfio_pci_intx_follow(vd);
	pthread_mutex_unlock(&vd->config_lock);
	rcu_sync();
	vfio_trigger_set(&vd->intx.trigger, -1);
}

/* Signal by ioctl: masked or not, but not against the user's DisINTx. */
static void intx_send(struct vfio_pci_device *vd)
{
	if (!(atomic_load(&vd->intx.state) & INTX_DISABLED))
		vfio_trigger_signal(&vd->intx.trigger);
}

static int intx_trigger(struct vfio_pci_device *vd, const struct vfio_irq_set_args *a)
{
	bool active = vd->irq_type == VFIO_PCI_INTX_IRQ_INDEX;
	int32_t fd;
	int err;

	if (active && !a->count && a->flags & VFIO_IRQ_SET_DATA_NONE) {
		vfio_pci_intx_disable(vd);
		return 0;
	}
	if ((!active && vd->irq_type != VFIO_PCI_IRQ_NONE) || a->start || a->count != 1)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		memcpy(&fd, a->data, sizeof(fd));
		/* any negative: no eventfd, the type stays or becomes active */
		fd = fd < 0 ? -1 : fd;
		err = active ? vfio_trigger_set(&vd->intx.trigger, fd) : intx_enable(vd, fd);
		if (!err && (!active || fd >= 0))
			vfio_pci_judge_intx(vd, fd >= 0);
		return err;
	}
	if (!active)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_NONE || *(const uint8_t *)a->data)
		intx_send(vd);
	return 0;
}

static int intx_unmask_eventfd(struct vfio_pci_device *vd, int fd)
{
	int err;

	if (fd < 0) {
		vfio_virqfd_free(vd->intx.unmask);
		vd->intx.unmask = NULL;
		return 0;
	}
	err = vfio_check_eventfd(fd);
	if (err)
		return err;
	vfio_pci_judge_mask(vd);
	/* QEMU with KVM closes its eventfd and comes with another */
	if (vd->intx.unmask && vfio_virqfd_orphaned(vd->intx.unmask)) {
		vfio_virqfd_free(vd->intx.unmask);
		vd->intx.unmask = NULL;
	}
	if (vd->intx.unmask)
		return -EBUSY;
	return vfio_virqfd_new(vd->loop, fd, intx_unmask, vd, &vd->intx.unmask);
}

int vfio_pci_intx_set(struct vfio_pci_device *vd, const struct vfio_irq_set_args *a)
{
	uint32_t action = a->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	int32_t fd;

	if (action == VFIO_IRQ_SET_ACTION_TRIGGER)
		return intx_trigger(vd, a);
	if (action != VFIO_IRQ_SET_ACTION_MASK && action != VFIO_IRQ_SET_ACTION_UNMASK)
		return -ENOTTY;
	if (vd->irq_type != VFIO_PCI_INTX_IRQ_INDEX || a->start || a->count != 1)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
		if (action == VFIO_IRQ_SET_ACTION_MASK)
			return -ENOTTY; /* the kernel never had it */
		memcpy(&fd, a->data, sizeof(fd));
		return intx_unmask_eventfd(vd, fd);
	}
	if (a->flags & VFIO_IRQ_SET_DATA_BOOL && !*(const uint8_t *)a->data)
		return 0;
	if (action == VFIO_IRQ_SET_ACTION_MASK)
		intx_mask(vd);
	else
		intx_unmask(vd);
	return 0;
}
