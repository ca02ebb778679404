/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/machine.c: the machine as a whole: its life, and how a device in it is found.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/internal.h"
#include "machine/view/view.h"

static bool device_memory(void *arg, uint64_t vaddr, uint64_t size, struct vfio_bar *first)
{
	struct machine *m = arg;

	return m->device_memory && m->device_memory(m->device_memory_arg, vaddr, size, first);
}

/* Without a run, devices are counted in the order in which they were added. */
static int cdev(void *arg, unsigned index, struct pci_address *out)
{
	struct machine *m = arg;

	if (m->run_dir)
		return view_cdev_device(m->run_dir, index, out);
	for (unsigned i = 0; i < m->num_plugged; i++) {
		if (m->plugged[i]->spec.driver || index--)
			continue;
		*out = m->plugged[i]->d.address;
		return 0;
	}
	return -ENOENT;
}

static const struct vfio_env env = {
	.claim = machine_claim,
	.cdev = cdev,
	.memlock = machine_memlock,
	.device_memory = device_memory,
	.released = machine_released,
	.capable = machine_capable,
	.dma_entry_limit = VFIO_DMA_ENTRY_LIMIT,
	.own = machine_own,
	.viable = machine_viable,
	.use = machine_use_device,
	.happen = machine_happen,
	.refresh = machine_refresh,
	.noiommu = machine_noiommu_mode,
	.rawio = machine_may_rawio,
	.reset_methods = machine_reset_methods,
};

struct machine *machine_new(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->sys = vfio_system_new(&env, m);
	m->loop = loop_new();
	if (!m->sys || !m->loop) {
		vfio_system_free(m->sys);
		loop_free(m->loop);
		free(m);
		return NULL;
	}
	pthread_mutex_init(&m->plug_lock, NULL);
	pthread_mutex_init(&m->tables_lock, NULL);
	pthread_mutex_init(&m->token_lock, NULL);
	machine_happen_init(m);
	machine_set_memlock(m, "inherit");
	machine_spaces_init(&m->spaces);
	return m;
}

void machine_set_device_memory(struct machine *m,
			       bool (*is)(void *arg, uint64_t vaddr, uint64_t size,
					  struct vfio_bar *first),
			       void *arg)
{
	m->device_memory = is;
	m->device_memory_arg = arg;
}

struct vfio_system *machine_system(struct machine *m)
{
	return m->sys;
}

unsigned machine_num_devices(const struct machine *m)
{
	return m->num_plugged;
}

struct machine_device *machine_device(struct machine *m, unsigned i)
{
	return i < m->num_plugged ? &m->plugged[i]->d : NULL;
}

struct machine_device *machine_vf(struct machine *m, const struct machine_device *pf, unsigned i)
{
	struct plugged *dev = container_of_type(pf, struct plugged, d);
	struct machine_device *d = NULL;

	pthread_mutex_lock(&m->tables_lock);
	if (i < dev->num_vfs)
		d = &dev->vfs[i]->d;
	pthread_mutex_unlock(&m->tables_lock);
	return d;
}

struct machine_device *machine_find(struct machine *m, const char *addr)
{
	struct machine_device *d = NULL;
	struct pci_address a;

	if (pci_address_parse(addr, &a))
		return NULL;
	pthread_mutex_lock(&m->tables_lock);
	for (unsigned i = 0; i < m->num_plugged && !d; i++) {
		struct plugged *dev = m->plugged[i];

		if (dev->gone)
			continue;
		if (pci_address_equal(&dev->d.address, &a))
			d = &dev->d;
		for (unsigned k = 0; k < dev->num_vfs && !d; k++)
			if (pci_address_equal(&dev->vfs[k]->d.address, &a))
				d = &dev->vfs[k]->d;
	}
	pthread_mutex_unlock(&m->tables_lock);
	return d;
}

bool machine_device_is_real(const struct machine_device *d)
{
	const struct plugged *dev = container_of_type(d, struct plugged, d);
	struct pci_address own;
	unsigned group;

	return dev->provider && dev->provider->is_real && machine_own_place(dev, &own, &group) &&
	       pci_address_equal(&own, &d->address);
}

bool machine_device_has_own_process(const struct machine_device *d)
{
	return container_of_type(d, struct plugged, d)->spec.own_process;
}

const struct plugged *machine_owner(struct machine *m, const struct pci_address *a)
{
	struct pci_address vf;

	for (unsigned i = 0; i < m->num_plugged; i++) {
		if (m->plugged[i]->gone)
			continue;
		if (pci_address_equal(&m->plugged[i]->d.address, a))
			return m->plugged[i];
		for (unsigned k = 0; k < m->plugged[i]->layout.total; k++) {
			machine_vf_address(m->plugged[i], k, &vf);
			if (pci_address_equal(&vf, a))
				return m->plugged[i];
		}
	}
	return NULL;
}

void machine_auto_mmap_off(struct machine *m)
{
	pthread_mutex_lock(&m->plug_lock);
	m->mmap_auto_off = true;
	for (unsigned i = 0; i < m->num_plugged; i++) {
		struct plugged *dev = m->plugged[i];

		if (dev->d.vdev)
			machine_set_mmap(dev, dev);
		for (unsigned k = 0; k < dev->layout.total; k++)
			if (dev->vfs[k] && dev->vfs[k]->d.vdev)
				machine_set_mmap(dev->vfs[k], dev);
	}
	pthread_mutex_unlock(&m->plug_lock);
}

int machine_config(struct machine *m, const char *addr, uint8_t buf[PCI_CFG_EXP_SIZE])
{
	struct machine_device *d;
	int size = -ENODEV;

	pthread_mutex_lock(&m->plug_lock);
	d = machine_find(m, addr);
	if (d && d->face)
		size = (int)pci_face_config(d->face, buf);
	pthread_mutex_unlock(&m->plug_lock);
	return size;
}

void machine_hold(struct machine *m)
{
	pthread_mutex_lock(&m->plug_lock);
}

void machine_unhold(struct machine *m)
{
	pthread_mutex_unlock(&m->plug_lock);
}

/* ---- taking apart ---- */

/*
 * In a forked child: a thread of the parent's may have held any lock of the machine, and its
 * models' threads are gone. Nothing but descriptors is given back; the memory is kept, and kept
 * reachable, so that a leak checker does not take it for lost.
 */
static struct machine *abandoned;

static void abandon(struct machine *m)
{
	machine_claims_drop(m, true);
	for (unsigned i = 0; i < m->num_plugged; i++)
		machine_abandon(m->plugged[i]);
	loop_abandon(m->loop);
	m->loop = NULL;
	loop_abandon(m->sys->loop);
	m->sys->loop = NULL;
	machine_happen_abandon(m);
	m->next_abandoned = abandoned;
	abandoned = m;
}

void machine_free(struct machine *m, bool is_forked)
{
	if (!m)
		return;
	if (is_forked) {
		abandon(m);
		return;
	}
	machine_happen_fini(m);
	machine_claims_drop(m, false);
	for (unsigned i = m->num_plugged; i-- > 0;)
		machine_plugged_free(m->plugged[i]);
	loop_free(m->loop); /* no device is left that it could call */
	vfio_system_free(m->sys);
	for (unsigned i = 0; i < m->num_groups; i++)
		machine_group_free(m->groups[i]);
	free(m->groups);
	machine_buses_free(m);
	free(m->plugged);
	free(m->claim_dir);
	free(m->run_dir);
	pthread_mutex_destroy(&m->token_lock);
	pthread_mutex_destroy(&m->tables_lock);
	pthread_mutex_destroy(&m->plug_lock);
	free(m);
}
