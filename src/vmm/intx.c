/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/intx.c: INTx, in one of two ways. In the user's mode the loop reads the eventfd, and pulls
 * the guest's line up until the guest has ended the interrupt; VFIO has it masked meanwhile. Where
 * the monitor does not say when that is, an access of a BAR is taken for it, since a driver looks
 * at its device: to see one, all pieces of BARs are trapped, until no interrupt has come for a
 * while. Or an irqfd has the eventfd: it moves the line, and unmasks by a second eventfd when the
 * guest has ended the interrupt (resample).
 *
 * Nothing is lost on the way from one to the other, since INTx is a level: to unmask it once in
 * VFIO brings the event again while the device asks for it. Whatever was in the eventfd before may
 * be dropped for the same reason.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "base/sys.h"
#include "vmm/internal.h"

#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

#define MS 1000000ull /* in ns */
#define S  1000000000ull

static int set(struct uvfio_vm_device *dev, uint32_t action)
{
	return vm_set_irqs(dev, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | action, 0, 1,
			   NULL);
}

static int set_eventfd(struct uvfio_vm_device *dev, uint32_t action, int fd)
{
	return vm_set_irqs(dev, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_EVENTFD | action, 0, 1,
			   &fd);
}

static void unmask(struct uvfio_vm_device *dev)
{
	int rc = set(dev, UNMASK);

	if (rc)
		vm_warn("vmm-intx-unmask", dev, rc, "INTx stays masked");
}

/* Forget events that nobody has read: the device signals again if it still asks. */
static void drain(int fd)
{
	uint64_t count;

	sys_read(fd, &count, sizeof(count));
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

/* ---- the user's mode ---- */

/* True if the monitor says that the pin leads nowhere now. */
static bool is_nowhere(const struct uvfio_vm_device *dev)
{
	return dev->vm->irq_ops.intx_gsi && dev->irq.intx.gsi < 0;
}

static bool is_disabled(const struct uvfio_vm_device *dev)
{
	return vm_config_copy(dev, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE;
}

/* Lines are shared: whoever counts gets each change once. */
static void set_line(struct uvfio_vm_device *dev, bool level)
{
	struct vm_intx *x = &dev->irq.intx;

	if (x->line == level)
		return;
	x->line = level;
	dev->vm->irq_ops.intx(dev->vm->irq_ctx, dev, x->pin, level);
}

static void set_timer(struct uvfio_vm_device *dev, uint64_t ns)
{
	struct vm_intx *x = &dev->irq.intx;
	struct itimerspec t = { .it_value = { .tv_sec = (time_t)(ns / S),
					      .tv_nsec = (long)(ns % S) } };

	x->armed = ns;
	x->left = ns;
	if (x->timer >= 0 && !x->stands)
		timerfd_settime(x->timer, 0, &t, NULL);
}

static void hold(struct uvfio_vm_device *dev, bool held)
{
	if (dev->irq.intx.held == held)
		return;
	dev->irq.intx.held = held;
	vm_bars_hold_trapped(dev, held);
}

static void on_timer(struct uvfio_vm_device *dev, uint64_t arg)
{
	struct vm_intx *x = &dev->irq.intx;

	(void)arg;
	x->armed = false;
	if (x->pending)
		set_timer(dev, dev->options.intx_timeout * MS);
	else
		hold(dev, false);
}

/*
 * Pieces are trapped before the line goes up: a guest that was quicker would end the interrupt
 * unseen.
 */
static void raise_line(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;

	if (is_nowhere(dev) || is_disabled(dev))
		return;
	if (!dev->vm->irq_ops.exact_eoi) {
		atomic_store(&x->guess, true);
		hold(dev, true);
		if (dev->options.intx_timeout)
			set_timer(dev, dev->options.intx_timeout * MS);
	}
	set_line(dev, true);
}

static void on_event(struct uvfio_vm_device *dev, uint64_t arg)
{
	(void)arg;
	dev->irq.intx.pending = true;
	raise_line(dev);
}

/* Forget the interrupt that is pending. */
static void settle(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;

	x->pending = false;
	atomic_store(&x->guess, false);
	set_line(dev, false);
}

static void end_of_interrupt(struct uvfio_vm_device *dev)
{
	if (!dev->irq.intx.pending)
		return;
	settle(dev);
	unmask(dev);
}

void vm_intx_eoi(struct uvfio_vm_device *dev)
{
	end_of_interrupt(dev);
}

void vm_intx_access(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;

	/* each trapped access comes here, of any processor, and nearly all have nothing to end */
	if (!atomic_load(&x->guess))
		return;
	pthread_mutex_lock(&dev->lock);
	if (atomic_load(&x->guess))
		end_of_interrupt(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* With an irqfd nothing is pending here: the line goes down when the guest ends the interrupt. */
void vm_intx_command(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;

	if (dev->irq.kind != VM_IRQ_INTX || !x->pending)
		return;
	if (is_disabled(dev))
		set_line(dev, false);
	else if (!x->line && !is_nowhere(dev))
		end_of_interrupt(dev);
}

void vm_intx_pause(struct uvfio_vm_device *dev, bool paused)
{
	static const struct itimerspec off;
	struct vm_intx *x = &dev->irq.intx;
	struct itimerspec now;

	if (x->stands == paused)
		return;
	x->stands = paused;
	if (x->timer < 0 || !x->armed)
		return;
	if (!paused) {
		set_timer(dev, x->left);
		return;
	}
	/* what ran out, and was not read so far, runs out again */
	timerfd_settime(x->timer, 0, &off, &now);
	x->left = (uint64_t)now.it_value.tv_sec * S + (uint64_t)now.it_value.tv_nsec;
	x->left = x->left ? x->left : 1;
}

/* ---- past the monitor ---- */

/* Have an irqfd take the eventfd, and unmask by another one. 0 or -errno: nothing has changed. */
static int connect_irqfd(struct uvfio_vm_device *dev)
{
	const struct uvfio_vm_irq_ops *ops = &dev->vm->irq_ops;
	struct vm_intx *x = &dev->irq.intx;
	int rc;

	x->resamplefd = vm_eventfd();
	if (x->resamplefd < 0)
		return x->resamplefd;
	rc = ops->irqfd(dev->vm->irq_ctx, x->eventfd, x->gsi, x->resamplefd, true);
	if (rc)
		goto fail;
	rc = set_eventfd(dev, UNMASK, x->resamplefd);
	if (rc)
		goto fail_irqfd;
	rc = set(dev, UNMASK);
	if (!rc)
		return 0;
	set_eventfd(dev, UNMASK, -1);
fail_irqfd:
	ops->irqfd(dev->vm->irq_ctx, x->eventfd, x->gsi, x->resamplefd, false);
fail:
	close_fd(&x->resamplefd);
	return rc;
}

/* Let INTx pass the monitor, if it can; else it is as before. */
static void bypass_on(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;
	int rc;

	if (!dev->vm->bypass || x->gsi < 0)
		return;
	rc = set(dev, MASK);
	if (rc)
		goto out;
	settle(dev);
	set_timer(dev, 0);
	hold(dev, false);
	vm_watch_set(dev, x->watch, false);
	drain(x->eventfd);
	rc = connect_irqfd(dev);
	if (!rc) {
		x->bypass = true;
		return;
	}
	vm_watch_set(dev, x->watch, true);
	unmask(dev);
out:
	if (rc == -EINVAL)
		report_info(REPORT_LIMITED("vmm-intx-resample"), dev->name, 0,
			    "INTx goes through the monitor: there is no irqfd that resamples");
	else
		vm_warn("vmm-intx-bypass", dev, rc, "INTx goes through the monitor");
}

/* Have the loop watch again. INTx stays masked. */
static void bypass_off(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;
	int rc;

	rc = set(dev, MASK);
	if (rc)
		vm_warn("vmm-intx-mask", dev, rc, "INTx is not masked");
	dev->vm->irq_ops.irqfd(dev->vm->irq_ctx, x->eventfd, x->gsi, x->resamplefd, false);
	/* not every VFIO forgets it when the last descriptor is closed */
	set_eventfd(dev, UNMASK, -1);
	close_fd(&x->resamplefd);
	drain(x->eventfd);
	x->bypass = false;
	vm_watch_set(dev, x->watch, true);
}

static int find_gsi(struct uvfio_vm_device *dev)
{
	const struct uvfio_vm_irq_ops *ops = &dev->vm->irq_ops;
	int gsi = ops->intx_gsi ? ops->intx_gsi(dev->vm->irq_ctx, dev, dev->irq.intx.pin) : -1;

	return gsi < 0 ? -1 : gsi;
}

void vm_intx_route_changed(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;
	bool had = x->bypass;
	int gsi;

	if (dev->irq.kind != VM_IRQ_INTX)
		return;
	gsi = find_gsi(dev);
	if (gsi == x->gsi)
		return;
	if (had)
		bypass_off(dev);
	else
		/* at its old place, before anybody is told of the new one */
		set_line(dev, false);
	x->gsi = gsi;
	bypass_on(dev);
	if (x->bypass)
		return;
	/* what was raised at the old place, or nowhere, comes again */
	if (had)
		unmask(dev);
	else
		end_of_interrupt(dev);
}

/* ---- on and off ---- */

static void close_all(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;

	vm_watch_del(dev, x->timer_watch);
	vm_watch_del(dev, x->watch);
	x->timer_watch = x->watch = -1;
	close_fd(&x->timer);
	close_fd(&x->eventfd);
}

/* Open and watch the eventfd, and the timer if one will be wanted. 0 or -errno. */
static int open_all(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;
	int rc;

	rc = x->eventfd = vm_eventfd();
	if (rc < 0)
		return rc;
	rc = x->watch = vm_watch_add(dev, x->eventfd, on_event, 0);
	if (rc < 0)
		return rc;
	if (!dev->options.intx_timeout || dev->vm->irq_ops.exact_eoi)
		return 0;
	rc = x->timer = (int)fd_of_ours(SYS_timerfd_create, CLOCK_MONOTONIC,
					TFD_CLOEXEC | TFD_NONBLOCK, 0, 0);
	if (rc < 0)
		return rc;
	rc = x->timer_watch = vm_watch_add(dev, x->timer, on_timer, 0);
	return rc < 0 ? rc : 0;
}

int vm_intx_on(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;
	int rc = open_all(dev);

	if (!rc)
		rc = set_eventfd(dev, TRIGGER, x->eventfd);
	if (rc) {
		close_all(dev);
		return rc > 0 ? -ENOSPC : rc;
	}
	dev->irq.kind = VM_IRQ_INTX;
	x->gsi = find_gsi(dev);
	bypass_on(dev);
	return 0;
}

void vm_intx_off(struct uvfio_vm_device *dev)
{
	struct vm_intx *x = &dev->irq.intx;
	int rc;

	if (x->bypass)
		bypass_off(dev);
	rc = vm_set_irqs(dev, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | TRIGGER, 0, 0,
			 NULL);
	if (rc)
		vm_warn("vmm-intx-off", dev, rc, "VFIO does not switch INTx off");
	settle(dev);
	set_timer(dev, 0);
	close_all(dev);
	hold(dev, false);
	dev->irq.kind = VM_IRQ_NONE;
}
