/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/outlast.c: a device whose state outlives its process (vfio/outlast.h): in which of the
 * ways it can, by what its model says of itself.
 */
#include "vfio_pci/internal.h"

/*
 * A model that is called by one thread at a time, and has neither threads to stop nor memory that
 * is saved beforehand, does all that it does in callbacks: of drivers, and of timers. One that has
 * memory that lasts, and does not carry on from it, says the same of itself (uvfio/model.h).
 */
enum vfio_outlast vfio_pci_outlast(struct vfio_device *dev)
{
	pci_function *fn = to_vfio_pci(dev)->fn;
	const struct uvfio_model *model = pci_function_model(fn);

	if (pci_can_carry_on(fn))
		return VFIO_OUTLAST_MEMORY;
	if (!model->concurrent && !pci_sriov_total(fn) && !pci_function_pf(fn) &&
	    ((!model->stop && !model->track) || pci_lasting_size(fn)))
		return VFIO_OUTLAST_STEPS;
	return VFIO_OUTLAST_HALT;
}

size_t vfio_pci_memory_size(struct vfio_device *dev)
{
	return pci_lasting_size(to_vfio_pci(dev)->fn);
}

int vfio_pci_memory(struct vfio_device *dev, int fd, uint64_t offset, enum vfio_memory_how how)
{
	pci_function *fn = to_vfio_pci(dev)->fn;
	int ret;

	if (how == VFIO_MEMORY_KEEP || how == VFIO_MEMORY_ZERO)
		ret = pci_lasting_unmap(fn, how == VFIO_MEMORY_KEEP);
	else
		ret = pci_lasting_map(fn, fd, (off_t)offset, how == VFIO_MEMORY_OLD);
	return ret ? report_err("lasting-memory", dev->name, ret,
				"the device's memory cannot be %s its file: %m",
				how == VFIO_MEMORY_KEEP || how == VFIO_MEMORY_ZERO ? "taken out of"
										   : "had in")
		   : 0;
}

void vfio_pci_steps(struct vfio_device *dev, const struct vfio_steps *steps)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	if (steps)
		vd->steps = (struct pci_steps){ steps->begin, steps->end, steps->arg };
	pci_set_steps(vd->fn, steps ? &vd->steps : NULL);
}

void vfio_pci_access(struct vfio_device *dev, uint16_t number)
{
	pci_lasting_access(to_vfio_pci(dev)->fn, number);
}

/*
 * The last unmask of INTx may have come by an eventfd, and be lost: so the line is not masked, but
 * by what the user sets again. A signal too many is what a user of a line bears.
 */
static void unmask_intx(struct vfio_pci_device *vd)
{
	pthread_mutex_lock(&vd->igate);
	pthread_mutex_lock(&vd->config_lock);
	vfio_pci_intx_load(vd, atomic_load(&vd->intx.state) & INTX_DISABLED);
	pthread_mutex_unlock(&vd->config_lock);
	pthread_mutex_unlock(&vd->igate);
}

int vfio_pci_loaded(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);
	int ret = pci_can_carry_on(vd->fn) ? pci_function_carry_on(vd->fn) : 0;

	if (ret)
		return report_err("lasting-carry-on", dev->name, ret,
				  "model %s cannot carry on: %m", pci_function_model(vd->fn)->name);
	unmask_intx(vd);
	return 0;
}
