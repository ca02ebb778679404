/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/low_power.c: low power by the user's wish (VFIO_DEVICE_FEATURE_LOW_POWER_*), as the
 * kernel does it with runtime power management. From the entry on the function is put into D3hot
 * whenever nobody uses it, and brought back for each call that does, and by its own wish (PME), if
 * it can have one; mapped BARs do not answer. It
 * ends by the exit or, if the user gave an eventfd, when the function is brought back: the eventfd
 * is signalled then. "Uses" are calls of the device's file; who makes them calls vfio_device_use().
 *
 * The state of it stands in vfio_pci_device.low: engaged and suspended under config_lock and
 * memory_lock, so either is enough to read.
 */
#include "vfio_pci/internal.h"

static void lock(struct vfio_pci_device *vd)
{
	pthread_mutex_lock(&vd->config_lock);
	pthread_rwlock_wrlock(&vd->memory_lock);
}

static void unlock(struct vfio_pci_device *vd)
{
	pthread_rwlock_unlock(&vd->memory_lock);
	pthread_mutex_unlock(&vd->config_lock);
}

/* Leave low power. Both locks held. */
static void disengage(struct vfio_pci_device *vd)
{
	if (!vd->low.engaged)
		return;
	vd->low.engaged = false;
	atomic_store(&vd->vdev.low_power, false);
	vfio_trigger_set(&vd->low.wake, -1);
	pci_pages_hold(vd->fn, false);
}

/*
 * Have the function send PME, or not; what it sent is forgotten. As Linux enables and disables it
 * around low power. A user sees nothing of this (config_tables.c). Both locks held.
 */
static void enable_pme(struct vfio_pci_device *vd, bool on)
{
	unsigned ctrl = pci_find_cap(vd->fn, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	uint32_t v;

	if (!vd->low.pme)
		return;
	v = pci_config_read(vd->fn, ctrl, 2) & ~PCI_PM_CTRL_PME_ENABLE;
	pci_config_write(vd->fn, ctrl, 2,
			 v | PCI_PM_CTRL_PME_STATUS | (on ? PCI_PM_CTRL_PME_ENABLE : 0));
}

/*
 * Put the function to sleep: from D0, where the user may have left another state, so that what it
 * loses on the way back is saved. Both locks held.
 */
static void suspend(struct vfio_pci_device *vd)
{
	vfio_pci_set_power(vd, 0);
	vd->low.intx_held = vfio_pci_intx_hold(vd);
	enable_pme(vd, true);
	vfio_pci_set_power(vd, 3);
	vd->low.suspended = true;
}

static void resume(struct vfio_pci_device *vd)
{
	if (!vd->low.suspended)
		return;
	vd->low.suspended = false;
	vfio_pci_set_power(vd, 0);
	enable_pme(vd, false);
	if (vfio_trigger_is_set(&vd->low.wake)) {
		vfio_trigger_signal(&vd->low.wake);
		disengage(vd);
	}
	if (vd->low.intx_held)
		vfio_pci_intx_let_go(vd);
	vd->low.intx_held = false;
}

void vfio_pci_use(struct vfio_device *dev, bool begins)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	lock(vd);
	if (begins)
		resume(vd);
	else if (vd->low.engaged && !vd->low.suspended && !atomic_load(&dev->users))
		suspend(vd);
	unlock(vd);
}

/* ---- the function's own wish (PME) ---- */

void vfio_pci_pme(void *arg)
{
	struct vfio_pci_device *vd = arg;

	if (vd->low.pme)
		loop_timer_set(vd->low.pme, 0);
}

/* On the service thread: as a use of the function that is over at once. */
static void woken(void *arg)
{
	struct vfio_pci_device *vd = arg;

	vfio_pci_use(&vd->vdev, true);
	vfio_pci_use(&vd->vdev, false);
}

int vfio_pci_low_power_init(struct vfio_pci_device *vd)
{
	unsigned pm = pci_find_cap(vd->fn, PCI_CAP_ID_PM);
	uint32_t pmc = pm ? pci_config_read(vd->fn, pm + PCI_PM_PMC, 2) : 0;

	if (!(pmc & PCI_PM_CAP_PME_D3hot))
		return 0;
	vd->low.pme = loop_timer_new(vd->loop, woken, vd);
	return vd->low.pme ? 0 : -ENOMEM;
}

void vfio_pci_low_power_fini(struct vfio_pci_device *vd)
{
	loop_timer_free(vd->low.pme);
}

int vfio_pci_low_power(struct vfio_device *dev, bool enter, int wake)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	int ret = 0;

	lock(vd);
	if (!enter) {
		disengage(vd);
	} else if (vd->low.engaged) {
		ret = -EINVAL;
	} else {
		ret = vfio_trigger_set(&vd->low.wake, wake);
		if (!ret) {
			vd->low.engaged = true;
			atomic_store(&dev->low_power, true);
			pci_pages_hold(vd->fn, true);
			vfio_dmabufs_cut(dev);
		}
	}
	unlock(vd);
	return ret;
}

void vfio_pci_low_power_end(struct vfio_pci_device *vd)
{
	disengage(vd);
	resume(vd);
}
