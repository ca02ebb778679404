/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/machine.c: plugging in and taking apart. A device is made from the chip up (function,
 * addresses, driver, group); what may fail comes before the tables change, so that a device that
 * cannot be added leaves the machine as it was.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "machine/internal.h"
#include "machine/machine.h"
#include "models/net/net.h"
#include "vfio_pci/vfio_pci.h"

#define DMA_ENTRY_LIMIT \
	65535u /* vfio_iommu_type1's module parameter dma_entry_limit: its default */
#define MESSAGE_MAX 512

struct machine *machine_new(void)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->sys = vfio_system_new();
	if (!m->sys) {
		free(m);
		return NULL;
	}
	m->sys->dma_entry_limit = DMA_ENTRY_LIMIT;
	pthread_mutex_init(&m->plug_lock, NULL);
	pthread_mutex_init(&m->tables_lock, NULL);
	machine_set_memlock(m, "inherit");
	machine_spaces_init(&m->spaces);
	return m;
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

		if (pci_address_equal(&dev->d.address, &a))
			d = &dev->d;
		for (unsigned k = 0; k < dev->num_vfs && !d; k++)
			if (pci_address_equal(&dev->vfs[k]->d.address, &a))
				d = &dev->vfs[k]->d;
	}
	pthread_mutex_unlock(&m->tables_lock);
	return d;
}

const struct plugged *machine_owner(struct machine *m, const struct pci_address *a)
{
	struct pci_address vf;

	for (unsigned i = 0; i < m->num_plugged; i++) {
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

/* ---- adding ---- */

void machine_set_address(struct plugged *dev, const struct pci_address *a)
{
	dev->d.address = *a;
	pci_address_print(a, dev->d.addr);
}

static int choose_address(struct machine *m, struct plugged *dev, char **err)
{
	struct pci_address a = dev->spec.addr;
	const struct plugged *other;

	if (dev->spec.has_addr) {
		machine_set_address(dev, &a);
		other = machine_owner(m, &a);
		if (!other)
			return 0;
		return machine_fail(
			err, -EBUSY,
			"%s: address %s is taken by another device (%s%s): choose a free one with "
			"addr=",
			dev->spec.model, dev->d.addr, other->spec.model,
			pci_address_equal(&a, &other->d.address) ? "" : ", for a virtual function");
	}
	for (unsigned bus = 1; bus <= UINT8_MAX; bus++) {
		a = (struct pci_address){ .bus = (uint8_t)bus };
		if (machine_owner(m, &a))
			continue;
		machine_set_address(dev, &a);
		return 0;
	}
	return machine_fail(err, -ENOSPC,
			    "%s: device 0.0 of every bus is taken: choose an address "
			    "with addr=",
			    dev->spec.model);
}

/* By who changes groups: one thread at a time. */
static struct machine_group *find_group(struct machine *m, unsigned id)
{
	for (unsigned i = 0; i < m->num_groups; i++)
		if (m->groups[i]->id == id)
			return m->groups[i];
	return NULL;
}

static void free_group(struct machine_group *g)
{
	iommu_group_free(g->iommu);
	free(g);
}

static int add_group(struct machine *m, unsigned id, struct machine_group **out)
{
	struct machine_group **groups, *g = calloc(1, sizeof(*g));
	int rc = -ENOMEM;

	if (!g)
		return rc;
	g->id = id;
	g->claim = -1;
	g->iommu = iommu_group_new(id);
	if (!g->iommu)
		goto fail;
	pthread_mutex_lock(&m->tables_lock);
	groups = realloc(m->groups, (m->num_groups + 1) * sizeof(*groups));
	if (groups)
		m->groups = groups;
	pthread_mutex_unlock(&m->tables_lock);
	if (!groups)
		goto fail_iommu;
	rc = vfio_system_add_group(m->sys, g->iommu, &g->vfio);
	if (rc)
		goto fail_iommu;
	pthread_mutex_lock(&m->tables_lock);
	m->groups[m->num_groups++] = g;
	pthread_mutex_unlock(&m->tables_lock);
	*out = g;
	return 0;
fail_iommu:
	iommu_group_free(g->iommu);
fail:
	free(g);
	return rc;
}

unsigned machine_free_group(struct machine *m)
{
	struct machine_group *g;
	unsigned id;

	/* an empty one stays behind when a device could not be added, or a VF went */
	for (id = 1; (g = find_group(m, id)) && (g->iommu->n || g->vfio->n); id++)
		;
	return id;
}

int machine_join_group(struct machine *m, struct plugged *dev, unsigned id)
{
	const struct plugged *in = dev->pf && !dev->pf->spec.driver ? dev->pf : dev;
	struct machine_group *g;
	int rc = 0;

	g = find_group(m, id);
	if (!g) {
		rc = add_group(m, id, &g);
		if (rc)
			return rc;
	}
	dev->place = (struct vfio_place){ .address = dev->d.address, .slot = in->d.address };
	if (!dev->spec.driver)
		rc = vfio_group_reserve(g->vfio, &dev->place);
	if (rc)
		return rc;
	g->pf = dev->pf;
	dev->group = g;
	dev->d.group = id;
	return 0;
}

void machine_leave_group(struct plugged *dev)
{
	if (dev->group && !dev->spec.driver)
		vfio_group_unreserve(dev->group->vfio, &dev->place);
	dev->group = NULL;
}

int machine_plug(struct plugged *dev)
{
	int rc = iommu_group_add(dev->group->iommu, pci_function_iommu(dev->d.fn));

	if (rc || !dev->d.vdev)
		return rc;
	rc = vfio_group_add_device(dev->group->vfio, dev->d.vdev);
	if (rc)
		iommu_group_remove(dev->group->iommu, pci_function_iommu(dev->d.fn));
	return rc;
}

void machine_unplug(struct plugged *dev)
{
	if (!dev->group || !dev->d.fn)
		return;
	if (dev->d.vdev)
		vfio_group_remove_device(dev->group->vfio, dev->d.vdev);
	iommu_group_remove(dev->group->iommu, pci_function_iommu(dev->d.fn));
}

void machine_unmake(struct plugged *dev)
{
	if (dev->vfs)
		machine_unmake_vfs(dev);
	machine_unplug(dev);
	if (dev->d.vdev)
		vfio_pci_unbind(dev->d.vdev);
	if (dev->d.fn)
		pci_function_free(dev->d.fn, false);
	if (dev->d.plugin)
		dlclose(dev->d.plugin);
	dev->d.vdev = NULL;
	dev->d.fn = NULL;
	dev->d.plugin = NULL;
}

void machine_plugged_free(struct plugged *dev)
{
	machine_unmake(dev);
	machine_drop_vfs(dev);
	machine_spec_free(&dev->spec);
	free(dev->d.id);
	free(dev);
}

/* What a model says about a wrong option begins with its name in some places and not in others. */
static int fail_model(char **err, int rc, const char *name, const char *message)
{
	size_t len = strlen(name);

	if (!*message)
		message = strerror(-rc);
	if (!strncmp(message, name, len) && message[len] == ':')
		return machine_fail(err, rc, "%s", message);
	return machine_fail(err, rc, "%s: %s", name, message);
}

/* From the chip up: the function, its addresses, the driver. */
static int make_hardware(struct plugged *dev, char **err)
{
	struct machine_spaces spaces = dev->spaces;
	const struct uvfio_model *model;
	char message[MESSAGE_MAX] = "";
	int rc;

	rc = machine_model(dev->spec.model, &model, &dev->d.plugin, err);
	if (rc)
		return rc;
	rc = pci_function_new(model, dev->d.addr, dev->run, dev->m->sys->loop, dev->spec.opts,
			      dev->spec.num_opts, message, sizeof(message), &dev->d.fn);
	if (rc) {
		dev->d.fn = NULL;
		return fail_model(err, rc, dev->spec.model, message);
	}
	rc = machine_assign(&spaces, dev->d.fn, err);
	if (!rc)
		rc = machine_pf_init(dev, err);
	if (rc)
		return rc;
	if (!dev->spec.driver)
		rc = vfio_pci_bind(dev->d.fn, &dev->d.address, dev->m->sys->loop, &dev->d.vdev);
	if (rc)
		return machine_fail(err, rc, "%s at %s: cannot have a driver: %s", dev->spec.model,
				    dev->d.addr, strerror(-rc));
	if (dev->d.vdev)
		machine_set_mmap(dev, dev);
	if (dev->d.vdev && dev->layout.total)
		vfio_pci_on_token(dev->d.vdev, machine_keep_token, dev);
	/* the next device's begin behind it */
	if (!dev->settled)
		dev->m->spaces = spaces;
	return 0;
}

int machine_make(struct plugged *dev, char **err)
{
	int rc = make_hardware(dev, err);

	if (!rc) {
		rc = machine_plug(dev);
		if (rc)
			machine_fail(err, rc, "%s at %s: cannot be plugged in: %s", dev->spec.model,
				     dev->d.addr, strerror(-rc));
	}
	if (rc)
		machine_unmake(dev);
	return rc;
}

/* Is there a cable from one to the other? */
static bool is_cable(const struct plugged *from, const struct plugged *to)
{
	const char *peer;

	for (unsigned i = 0; i < from->spec.num_opts && to->d.id; i++) {
		if (strcmp(from->spec.opts[i].name, NET_OPTION))
			continue;
		peer = net_peer_name(from->spec.opts[i].value);
		if (peer && !strcmp(peer, to->d.id))
			return true;
	}
	return false;
}

/* @dev is in one unit with those that it is bound to, which may bring several units together. */
static void join_unit(struct plugged *dev)
{
	struct machine *m = dev->m;

	dev->lead = dev;
	for (unsigned i = 0; i < m->num_plugged; i++) {
		struct plugged *o = m->plugged[i], *first = o->lead, *gone = dev->lead;

		if (o->group != dev->group && !is_cable(o, dev) && !is_cable(dev, o))
			continue;
		if (gone->index < first->index) {
			first = dev->lead;
			gone = o->lead;
		}
		for (unsigned k = 0; k < m->num_plugged; k++)
			if (m->plugged[k]->lead == gone)
				m->plugged[k]->lead = first;
		dev->lead = first;
	}
}

/* What the spec says of @dev, and what follows from it and from the devices before it. */
static int plan(struct machine *m, struct plugged *dev, char **err)
{
	int rc = choose_address(m, dev, err);

	if (rc)
		return rc;
	for (unsigned i = 0; dev->spec.id && i < m->num_plugged; i++)
		if (m->plugged[i]->d.id && !strcmp(m->plugged[i]->d.id, dev->spec.id))
			return machine_fail(err, -EEXIST, "%s: id=%s is the device at %s already",
					    dev->spec.model, dev->spec.id, m->plugged[i]->d.addr);
	dev->d.driver = dev->spec.driver ? dev->spec.driver : "vfio-pci";
	dev->index = m->num_plugged;
	dev->claim = -1;
	if (!dev->settled) {
		dev->d.group = dev->spec.has_group ? dev->spec.group : machine_free_group(m);
		dev->spaces = m->spaces;
	}
	if (!dev->spec.id)
		return 0;
	/* the device is told, too; its place in the spec's list is free */
	dev->spec.opts[dev->spec.num_opts++] = (struct pci_option){ "id", dev->spec.id };
	dev->d.id = strdup(dev->spec.id);
	return dev->d.id ? 0 : machine_fail(err, -ENOMEM, "out of memory");
}

/* As machine_settle() wrote it. */
static int read_settled(struct plugged *dev, const char *text, char **err)
{
	char addr[16];

	if (sscanf(text, "%15s %u %" SCNx64 " %" SCNx64 " %" SCNx64 " %u %u %u %" SCNx64, addr,
		   &dev->d.group, &dev->spaces.io, &dev->spaces.mem32, &dev->spaces.mem64,
		   &dev->layout.total, &dev->layout.offset, &dev->layout.stride, &dev->run) != 9 ||
	    pci_address_parse(addr, &dev->spec.addr) || dev->layout.total > MACHINE_VFS_MAX)
		return machine_fail(err, -EINVAL, "%s: '%s' does not say where it is",
				    dev->spec.model, text);
	dev->spec.has_addr = true;
	dev->settled = true;
	return 0;
}

static int add(struct machine *m, const char *text, const char *settled, char **err)
{
	struct machine_spaces spaces = m->spaces;
	struct plugged **plugged, *dev;
	int rc;

	if (err)
		*err = NULL;
	dev = calloc(1, sizeof(*dev));
	plugged = realloc(m->plugged, (m->num_plugged + 1) * sizeof(*plugged));
	if (plugged)
		m->plugged = plugged;
	if (!dev || !plugged) {
		rc = machine_fail(err, -ENOMEM, "out of memory");
		goto fail_spec;
	}
	rc = machine_spec_parse(text, &dev->spec, err);
	if (rc)
		goto fail_spec;
	dev->m = m;
	dev->run = m->run;
	rc = settled ? read_settled(dev, settled, err) : 0;
	if (!rc)
		rc = plan(m, dev, err);
	if (!rc && !settled)
		rc = make_hardware(dev, err);
	if (rc)
		goto fail;
	rc = machine_alloc_vfs(dev);
	if (!rc)
		rc = machine_join_group(m, dev, dev->d.group);
	if (!rc && dev->d.fn)
		rc = machine_plug(dev);
	if (rc) {
		machine_fail(err, rc, "%s at %s: cannot be plugged in: %s", dev->spec.model,
			     dev->d.addr, strerror(-rc));
		goto fail;
	}
	join_unit(dev);
	m->plugged[m->num_plugged++] = dev;
	return 0;
fail:
	m->spaces = spaces;
	machine_unmake(dev);
	machine_leave_group(dev);
	machine_plugged_free(dev);
	return rc;
fail_spec:
	free(dev);
	return rc;
}

/* For uvfio_unique(): lots or, without them, what two machines hardly have in common. Not 0. */
static uint64_t draw_run(void)
{
	struct timespec t;
	uint64_t v;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) == sizeof(v))
		return v | 1;
	clock_gettime(CLOCK_REALTIME, &t);
	v = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return (v + ((uint64_t)getpid() << 48)) | 1;
}

int machine_add(struct machine *m, const char *spec, char **err)
{
	if (!m->run)
		m->run = draw_run();
	return add(m, spec, NULL, err);
}

int machine_add_settled(struct machine *m, const char *spec, const char *settled, char **err)
{
	return add(m, spec, settled, err);
}

void machine_set_mmap(struct plugged *dev, const struct plugged *as)
{
	bool off = dev->m->mmap_auto_off && as->spec.mmap == VFIO_PCI_MMAP_AUTO;

	vfio_pci_set_mmap(dev->d.vdev, off ? VFIO_PCI_MMAP_OFF : as->spec.mmap);
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
	if (d && d->fn) {
		size = (int)pci_config_size(d->fn);
		for (int i = 0; i < size; i += 4) {
			uint32_t v = pci_config_read(d->fn, (unsigned)i, 4);

			memcpy(buf + i, &v, 4);
		}
	}
	pthread_mutex_unlock(&m->plug_lock);
	return size;
}

int machine_settle(struct machine *m, char **out)
{
	const struct plugged *s = m->plugged[m->num_plugged - 1];

	return asprintf(out, "%s %u %" PRIx64 " %" PRIx64 " %" PRIx64 " %u %u %u %" PRIx64,
			s->d.addr, s->d.group, s->spaces.io, s->spaces.mem32, s->spaces.mem64,
			s->layout.total, s->layout.offset, s->layout.stride, s->run) < 0
		       ? -ENOMEM
		       : 0;
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
	loop_abandon(m->sys->loop);
	m->sys->loop = NULL;
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
	machine_claims_drop(m, false);
	for (unsigned i = m->num_plugged; i-- > 0;)
		machine_plugged_free(m->plugged[i]);
	vfio_system_free(m->sys);
	for (unsigned i = 0; i < m->num_groups; i++)
		free_group(m->groups[i]);
	free(m->groups);
	free(m->plugged);
	free(m->claim_dir);
	free(m->run_dir);
	pthread_mutex_destroy(&m->tables_lock);
	pthread_mutex_destroy(&m->plug_lock);
	free(m);
}
