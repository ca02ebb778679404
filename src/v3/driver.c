/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/driver.c: the life of a device under V3's driver. It is bound for good, with INTx handled and
 * decoding on; users come and go, and the device is not reset between them: what one leaves in its
 * registers the next one finds, but that the bus is not mastered and no message is enabled.
 */
#include "uvfio/vfio_v3.h"
#include "v3/driver.h"
#include "v3/internal.h"
#include "vfio_pci/reset.h"

/* ---- COMMAND, reset, power ---- */

void v3_command_change(struct v3_device *v, uint16_t clear, uint16_t set)
{
	unsigned cmd = pci_config_read(v->fn, PCI_COMMAND, 2), want = (cmd & ~clear) | set;

	if (want != cmd)
		pci_config_write(v->fn, PCI_COMMAND, 2, want);
}

void v3_reset_function(struct v3_device *v, enum uvfio_reset_kind kind)
{
	uint8_t state[PCI_CFG_EXP_SIZE];

	v3_set_power(v, 0);
	pci_save_state(v->fn, state);
	/* no decoding, no bus mastering, no interrupt while it is reset */
	pci_config_write(v->fn, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	pci_function_reset(v->fn, kind);
	pci_restore_state(v->fn, state);
	v3_irqs_restore(v);
}

void v3_set_power(struct v3_device *v, unsigned state)
{
	unsigned pm = pci_find_cap(v->fn, PCI_CAP_ID_PM), now = pci_power_state(v->fn), pmc, ctrl;

	if (!pm || state == now)
		return;
	/* to D0 from everywhere, else only deeper (PCI PM 1.2, 5.4), where the function can be */
	pmc = pci_config_read(v->fn, pm + PCI_PM_PMC, 2);
	if ((state && state < now) || (state == 1 && !(pmc & PCI_PM_CAP_D1)) ||
	    (state == 2 && !(pmc & PCI_PM_CAP_D2)))
		return;
	ctrl = pci_config_read(v->fn, pm + PCI_PM_CTRL, 2);
	if (state == 3 && !(ctrl & PCI_PM_CTRL_NO_SOFT_RESET)) {
		/* the way back resets the function, and the user cannot put its BARs back */
		pci_save_state(v->fn, v->asleep.state);
		v->asleep.valid = true;
	}
	ctrl &= ~(PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_STATUS);
	pci_config_write(v->fn, pm + PCI_PM_CTRL, 2, ctrl | state);
	if (now == 3 && v->asleep.valid) {
		pci_restore_state(v->fn, v->asleep.state);
		v3_irqs_restore(v);
		v->asleep.valid = false;
	}
	if (state == 3)
		v3_event(v, VFIO_V3_EVENT_SUSPEND);
	else if (now == 3)
		v3_event(v, VFIO_V3_EVENT_RESUME);
}

/* Reset it by @kind. 0; -ENOTTY: it does not answer. */
static int reset(struct v3_device *v, enum uvfio_reset_kind kind)
{
	pthread_mutex_lock(&v->config_lock);
	pthread_rwlock_wrlock(&v->memory_lock);
	v3_reset_function(v, kind);
	pthread_rwlock_unlock(&v->memory_lock);
	pthread_mutex_unlock(&v->config_lock);
	return pci_function_is_lost(v->fn) ? -ENOTTY : 0;
}

int v3_reset(struct v3_opener *o)
{
	enum uvfio_reset_kind kind;

	return vfio_pci_choose_reset(&o->dev->vdev, o->dev->fn, &kind) ? reset(o->dev, kind)
								       : -EINVAL;
}

static int driver_host_reset(struct vfio_device *dev)
{
	enum uvfio_reset_kind kind;

	return vfio_pci_choose_reset(dev, to_v3(dev)->fn, &kind) ? reset(to_v3(dev), kind)
								 : -ENOTTY;
}

/* ---- users ---- */

static int driver_open(struct vfio_device *dev)
{
	struct v3_device *v = to_v3(dev);

	v->used = true;
	pthread_mutex_lock(&v->config_lock);
	v3_config_drop(v);
	pthread_mutex_unlock(&v->config_lock);
	return 0;
}

static void driver_close(struct vfio_device *dev)
{
	struct v3_device *v = to_v3(dev);

	v3_irqs_drop_all(v);
	v3_dma_last(v);
	pthread_mutex_lock(&v->config_lock);
	v3_config_drop(v);
	v3_command_change(v, PCI_COMMAND_MASTER, 0);
	/* and not by the way back from D3hot, which the next user may go */
	v->asleep.state[PCI_COMMAND] &= (uint8_t)~PCI_COMMAND_MASTER;
	pthread_mutex_unlock(&v->config_lock);
	pci_function_quiesce(v->fn);
}

/* v3_check_map() decides which parts can be mapped; all of it is trapped. */
static int driver_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	*out = (struct vfio_region){ 0 };
	return index < dev->num_regions ? 0 : -EINVAL;
}

/* V3 told its users nothing; these may ask. */
static void driver_request(struct vfio_device *dev, unsigned count)
{
	v3_event(to_v3(dev), VFIO_V3_EVENT_REMOVE);
}

static const struct vfio_device_ops ops = {
	.open = driver_open,
	.close = driver_close,
	.region = driver_region,
	.mmio = v3_mmio,
	.request = driver_request,
	.host_reset = driver_host_reset,
};

int v3_open(struct v3_opener *o, const struct vfio_place *place)
{
	int ret;

	*o = (struct v3_opener){ 0 };
	o->set = v3_set_of(place->group->system);
	if (!o->set)
		return -ENOMEM;
	vfio_open_init_cdev(&o->open, place);
	ret = vfio_open_place(&o->open);
	if (ret)
		return ret;
	o->dev = to_v3(o->open.dev);
	v3_dma_open(o);
	return 0;
}

void v3_close(struct v3_opener *o)
{
	v3_dma_close(o);
	vfio_open_close(&o->open);
}

/* ---- bind ---- */

/*
 * Can the line be disabled (PCI 2.3)? The driver shares it with others, so it must be able to. It
 * finds out as V3's did, by the bit of COMMAND.
 */
static int check_intx(struct v3_device *v)
{
	unsigned old, flipped;

	if (!pci_intx_pin(v->fn))
		return 0;
	old = pci_config_read(v->fn, PCI_COMMAND, 2);
	pci_config_write(v->fn, PCI_COMMAND, 2, old ^ PCI_COMMAND_INTX_DISABLE);
	flipped = pci_config_read(v->fn, PCI_COMMAND, 2);
	if ((old ^ flipped) & ~PCI_COMMAND_INTX_DISABLE)
		return report_warn("v3-bind", v->vdev.name, -EBUSY,
				   "COMMAND changed beside DisINTx: somebody else drives it");
	if (old == flipped)
		return report_warn("v3-bind", v->vdev.name, -ENODEV,
				   "COMMAND.DisINTx does not work: the V3 driver takes no device "
				   "of before PCI 2.3");
	pci_config_write(v->fn, PCI_COMMAND, 2, old);
	return 0;
}

/* Return the bits of COMMAND that make the function's BARs answer. */
static uint16_t decode_bits(struct v3_device *v)
{
	uint16_t bits = 0;

	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = pci_function_bar(v->fn, i);

		if (bar->size)
			bits |= bar->flags & UVFIO_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
	return bits;
}

static void free_device(struct v3_device *v)
{
	v3_irqs_fini(v);
	vfio_device_fini(&v->vdev);
	pthread_mutex_destroy(&v->events.lock);
	pthread_rwlock_destroy(&v->memory_lock);
	pthread_mutex_destroy(&v->config_lock);
	pthread_mutex_destroy(&v->igate);
	heap_free(v);
}

int v3_bind(pci_function *fn, const struct pci_address *at, struct vfio_device **out)
{
	struct v3_device *v = heap_alloc(sizeof(*v));
	struct pci_irq_sink sink = v3_sink;
	pthread_rwlockattr_t attr;
	int ret;

	if (!v)
		return -ENOMEM;
	v->fn = fn;
	vfio_device_init(&v->vdev, &ops, pci_function_name(fn), pci_function_iommu(fn));
	v->vdev.num_regions = V3_SPACE_CONFIG + 1;
	v->vdev.flags = VFIO_DEVICE_FLAGS_PCI;
	v->vdev.address = *at;
	pthread_mutex_init(&v->igate, NULL);
	pthread_mutex_init(&v->events.lock, NULL);
	CDS_INIT_LIST_HEAD(&v->events.list);
	pthread_mutex_init(&v->config_lock, NULL);
	/* threads that poll a register must not keep a reset out; a BAR access never nests */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&v->memory_lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	ret = v3_irqs_init(v);
	if (!ret)
		ret = check_intx(v);
	if (ret) {
		free_device(v);
		return ret;
	}
	v3_command_change(v, PCI_COMMAND_MASTER, decode_bits(v));
	sink.arg = v;
	pci_set_irq_sink(fn, &sink);
	*out = &v->vdev;
	return 0;
}

void v3_set_mmap(struct vfio_device *dev, bool may)
{
	atomic_store(&to_v3(dev)->no_mmap, !may);
}

void v3_unbind(struct vfio_device *dev)
{
	struct v3_device *v = to_v3(dev);

	pci_set_irq_sink(v->fn, NULL);
	free_device(v);
}
