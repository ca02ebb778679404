/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/irqs.c: VFIO_DEVICE_GET_IRQ_INFO, the way of VFIO_DEVICE_SET_IRQS to each kind of
 * interrupt, and the two indices that are no interrupts of the function: ERR (it reported an error)
 * and REQ (the host asks for the device).
 */
#include "vfio_pci/internal.h"

int vfio_pci_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	struct pci_msix_info msix;

	*out = (struct vfio_irq){ .flags = VFIO_IRQ_INFO_EVENTFD };
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		out->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
		out->count = pci_intx_pin(vd->fn) ? 1 : 0;
		return 0;
	case VFIO_PCI_MSI_IRQ_INDEX:
		out->flags |= VFIO_IRQ_INFO_NORESIZE;
		out->count = pci_msi_vectors(vd->fn);
		if (out->count && vfio_pci_maskable(vd, index))
			out->flags |= VFIO_IRQ_INFO_MASKABLE;
		return 0;
	case VFIO_PCI_MSIX_IRQ_INDEX:
		if (pci_msix_info(vd->fn, &msix))
			out->count = msix.vectors;
		if (!out->count || !vfio_pci_msix_grows(vd))
			out->flags |= VFIO_IRQ_INFO_NORESIZE;
		if (out->count && vfio_pci_maskable(vd, index))
			out->flags |= VFIO_IRQ_INFO_MASKABLE;
		return 0;
	case VFIO_PCI_ERR_IRQ_INDEX:
		if (!vfio_kernel_has(VFIO_KERNEL_ERR_OF_PCI) &&
		    !pci_find_cap(vd->fn, PCI_CAP_ID_EXP))
			return -EINVAL;
		/* fall through */
	case VFIO_PCI_REQ_IRQ_INDEX:
		out->flags |= VFIO_IRQ_INFO_NORESIZE;
		out->count = 1;
		return 0;
	}
	return -EINVAL;
}

static int single_set(struct vfio_trigger *t, const struct vfio_irq_set_args *a)
{
	int32_t fd;

	if ((a->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;
	if (a->start || a->count > 1)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_NONE) {
		if (!vfio_trigger_is_set(t))
			return -EINVAL;
		if (!a->count)
			return vfio_trigger_set(t, -1);
		vfio_trigger_signal(t);
		return 0;
	}
	if (!a->count)
		return -EINVAL;
	if (a->flags & VFIO_IRQ_SET_DATA_BOOL) {
		if (*(const uint8_t *)a->data)
			vfio_trigger_signal(t);
		return 0;
	}
	memcpy(&fd, a->data, sizeof(fd));
	if (fd < -1)
		return vfio_kernel_has(VFIO_KERNEL_FD_BELOW_NONE) ? -EINVAL : 0;
	return vfio_trigger_set(t, fd);
}

int vfio_pci_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	int err;

	pthread_mutex_lock(&vd->igate);
	switch (a->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		err = vfio_pci_intx_set(vd, a);
		break;
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_MSIX_IRQ_INDEX:
		err = vfio_pci_msi_set(vd, a);
		break;
	case VFIO_PCI_ERR_IRQ_INDEX:
		err = single_set(&vd->err, a);
		break;
	case VFIO_PCI_REQ_IRQ_INDEX:
		err = single_set(&vd->req, a);
		break;
	default:
		err = -EINVAL;
	}
	pthread_mutex_unlock(&vd->igate);
	if (err == -ENOTTY)
		report_info("irq-flags", vd->vdev.name, err,
			    "SET_IRQS: index %u does not do flags 0x%x", a->index, a->flags);
	return err;
}

/* The trigger's own rules need no lock here. */
void vfio_pci_request(struct vfio_device *dev, unsigned count)
{
	vfio_trigger_request(&to_vfio_pci(dev)->req, dev->name, count);
}

void vfio_pci_irqs_drop_all(struct vfio_pci_device *vd)
{
	if (vd->irq_type == VFIO_PCI_INTX_IRQ_INDEX)
		vfio_pci_intx_disable(vd);
	else if (vd->irq_type != VFIO_PCI_IRQ_NONE)
		vfio_pci_msi_disable_all(vd);
	vfio_trigger_set(&vd->err, -1);
	vfio_trigger_set(&vd->req, -1);
}

void vfio_pci_irqs_restore(struct vfio_pci_device *vd)
{
	vfio_pci_masks_reset(vd);
	if (vd->irq_type == VFIO_PCI_MSI_IRQ_INDEX || vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX)
		vfio_pci_msi_restore(vd);
	else
		vfio_pci_intx_follow(vd);
}

/*
 * Take an error message of the function, on any thread: the user hears of an uncorrectable one, as
 * by the kernel's AER.
 */
static void on_error(void *arg, bool fatal)
{
	struct vfio_pci_device *vd = arg;

	if (fatal)
		vfio_trigger_signal(&vd->err);
}

const struct pci_irq_sink vfio_pci_sink = {
	.msi = vfio_pci_msi_message,
	.intx = vfio_pci_intx_line,
	.err = on_error,
	.pme = vfio_pci_pme,
	.nobody = vfio_pci_judge_nobody,
};
