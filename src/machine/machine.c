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
	return m->num_slots;
}

struct machine_device *machine_device(struct machine *m, unsigned i)
{
	return i < m->num_slots ? &m->slots[i]->d : NULL;
}

struct machine_device *machine_vf(struct machine *m, const struct machine_device *pf, unsigned i)
{
	struct machine_slot *slot = container_of_type(pf, struct machine_slot, d);
	struct machine_device *d = NULL;

	pthread_mutex_lock(&m->tables_lock);
	if (i < slot->num_vfs)
		d = &slot->vfs[i]->d;
	pthread_mutex_unlock(&m->tables_lock);
	return d;
}

struct machine_device *machine_find(struct machine *m, const char *addr)
{
	struct machine_device *d = NULL;
	struct machine_addr a;
	char text[16];

	if (machine_addr_parse(addr, &a))
		return NULL;
	machine_addr_print(&a, text);
	pthread_mutex_lock(&m->tables_lock);
	for (unsigned i = 0; i < m->num_slots && !d; i++) {
		struct machine_slot *slot = m->slots[i];

		if (!strcmp(slot->d.addr, text))
			d = &slot->d;
		for (unsigned k = 0; k < slot->num_vfs && !d; k++)
			if (!strcmp(slot->vfs[k]->d.addr, text))
				d = &slot->vfs[k]->d;
	}
	pthread_mutex_unlock(&m->tables_lock);
	return d;
}

const struct machine_slot *machine_owner(struct machine *m, const char *addr)
{
	char vf[16];

	for (unsigned i = 0; i < m->num_slots; i++) {
		if (!strcmp(m->slots[i]->d.addr, addr))
			return m->slots[i];
		for (unsigned k = 0; k < m->slots[i]->layout.total; k++) {
			machine_vf_address(m->slots[i], k, vf);
			if (!strcmp(vf, addr))
				return m->slots[i];
		}
	}
	return NULL;
}

/* ---- adding ---- */

static int choose_address(struct machine *m, struct machine_slot *slot, char **err)
{
	struct machine_addr a = slot->spec.addr;
	const struct machine_slot *other;
	char *addr = slot->d.addr;

	if (slot->spec.has_addr) {
		machine_addr_print(&a, addr);
		other = machine_owner(m, addr);
		if (other)
			return machine_fail(
				err, -EBUSY,
				"%s: address %s is taken by another device (%s%s): choose "
				"a free one with addr=",
				slot->spec.model, addr, other->spec.model,
				strcmp(addr, other->d.addr) ? ", for a virtual function" : "");
		return 0;
	}
	for (unsigned bus = 1; bus <= UINT8_MAX; bus++) {
		a = (struct machine_addr){ .bus = (uint8_t)bus };
		machine_addr_print(&a, addr);
		if (!machine_owner(m, addr))
			return 0;
	}
	return machine_fail(err, -ENOSPC,
			    "%s: device 0.0 of every bus is taken: choose an address "
			    "with addr=",
			    slot->spec.model);
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

int machine_join_group(struct machine *m, struct machine_slot *slot, unsigned id)
{
	const struct machine_slot *in = slot->pf && !slot->pf->spec.driver ? slot->pf : slot;
	struct machine_addr a, s;
	struct machine_group *g;
	int rc = 0;

	g = find_group(m, id);
	if (!g) {
		rc = add_group(m, id, &g);
		if (rc)
			return rc;
	}
	machine_addr_parse(slot->d.addr, &a);
	machine_addr_parse(in->d.addr, &s);
	slot->place = (struct vfio_place){
		.segment = a.domain,
		.bus = a.bus,
		.devfn = (uint8_t)(a.dev << 3 | a.fn),
		.slot_bus = s.bus,
		.slot_devfn = (uint8_t)(s.dev << 3 | s.fn),
	};
	if (!slot->spec.driver)
		rc = vfio_group_reserve(g->vfio, &slot->place);
	if (rc)
		return rc;
	g->pf = slot->pf;
	slot->group = g;
	slot->d.group = id;
	return 0;
}

void machine_leave_group(struct machine_slot *slot)
{
	if (slot->group && !slot->spec.driver)
		vfio_group_unreserve(slot->group->vfio, &slot->place);
	slot->group = NULL;
}

int machine_plug(struct machine_slot *slot)
{
	int rc = iommu_group_add(slot->group->iommu, pci_function_iommu(slot->d.fn));

	if (rc || !slot->d.vdev)
		return rc;
	rc = vfio_group_add_device(slot->group->vfio, slot->d.vdev);
	if (rc)
		iommu_group_remove(slot->group->iommu, pci_function_iommu(slot->d.fn));
	return rc;
}

void machine_unplug(struct machine_slot *slot)
{
	if (!slot->group || !slot->d.fn)
		return;
	if (slot->d.vdev)
		vfio_group_remove_device(slot->group->vfio, slot->d.vdev);
	iommu_group_remove(slot->group->iommu, pci_function_iommu(slot->d.fn));
}

void machine_unmake(struct machine_slot *slot)
{
	if (slot->vfs)
		machine_unmake_vfs(slot);
	machine_unplug(slot);
	if (slot->d.vdev)
		vfio_pci_unbind(slot->d.vdev);
	if (slot->d.fn)
		pci_function_free(slot->d.fn, false);
	if (slot->d.plugin)
		dlclose(slot->d.plugin);
	slot->d.vdev = NULL;
	slot->d.fn = NULL;
	slot->d.plugin = NULL;
}

void machine_free_slot(struct machine_slot *slot)
{
	machine_unmake(slot);
	machine_drop_vfs(slot);
	machine_spec_free(&slot->spec);
	free(slot->d.id);
	free(slot);
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
static int make_hardware(struct machine_slot *slot, char **err)
{
	struct machine_spaces spaces = slot->spaces;
	const struct uvfio_model *model;
	char message[MESSAGE_MAX] = "";
	int rc;

	rc = machine_model(slot->spec.model, &model, &slot->d.plugin, err);
	if (rc)
		return rc;
	rc = pci_function_new(model, slot->d.addr, slot->run, slot->m->sys->loop, slot->spec.opts,
			      slot->spec.num_opts, message, sizeof(message), &slot->d.fn);
	if (rc) {
		slot->d.fn = NULL;
		return fail_model(err, rc, slot->spec.model, message);
	}
	rc = machine_assign(&spaces, slot->d.fn, err);
	if (!rc)
		rc = machine_pf_init(slot, err);
	if (rc)
		return rc;
	if (!slot->spec.driver)
		rc = vfio_pci_bind(slot->d.fn, slot->m->sys->loop, &slot->d.vdev);
	if (rc)
		return machine_fail(err, rc, "%s at %s: cannot have a driver: %s", slot->spec.model,
				    slot->d.addr, strerror(-rc));
	if (slot->d.vdev)
		machine_set_mmap(slot, slot);
	if (slot->d.vdev && slot->layout.total)
		vfio_pci_on_token(slot->d.vdev, machine_keep_token, slot);
	/* the next device's begin behind it */
	if (!slot->settled)
		slot->m->spaces = spaces;
	return 0;
}

int machine_make(struct machine_slot *slot, char **err)
{
	int rc = make_hardware(slot, err);

	if (!rc) {
		rc = machine_plug(slot);
		if (rc)
			machine_fail(err, rc, "%s at %s: cannot be plugged in: %s",
				     slot->spec.model, slot->d.addr, strerror(-rc));
	}
	if (rc)
		machine_unmake(slot);
	return rc;
}

/* Is there a cable from one to the other? */
static bool is_cable(const struct machine_slot *from, const struct machine_slot *to)
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

/* @slot is in one unit with those that it is bound to, which may bring several units together. */
static void join_unit(struct machine_slot *slot)
{
	struct machine *m = slot->m;

	slot->lead = slot;
	for (unsigned i = 0; i < m->num_slots; i++) {
		struct machine_slot *o = m->slots[i], *first = o->lead, *gone = slot->lead;

		if (o->group != slot->group && !is_cable(o, slot) && !is_cable(slot, o))
			continue;
		if (gone->index < first->index) {
			first = slot->lead;
			gone = o->lead;
		}
		for (unsigned k = 0; k < m->num_slots; k++)
			if (m->slots[k]->lead == gone)
				m->slots[k]->lead = first;
		slot->lead = first;
	}
}

/* What the spec says of @slot, and what follows from it and from the devices before it. */
static int plan(struct machine *m, struct machine_slot *slot, char **err)
{
	int rc = choose_address(m, slot, err);

	if (rc)
		return rc;
	for (unsigned i = 0; slot->spec.id && i < m->num_slots; i++)
		if (m->slots[i]->d.id && !strcmp(m->slots[i]->d.id, slot->spec.id))
			return machine_fail(err, -EEXIST, "%s: id=%s is the device at %s already",
					    slot->spec.model, slot->spec.id, m->slots[i]->d.addr);
	slot->d.driver = slot->spec.driver ? slot->spec.driver : "vfio-pci";
	slot->index = m->num_slots;
	slot->claim = -1;
	if (!slot->settled) {
		slot->d.group = slot->spec.has_group ? slot->spec.group : machine_free_group(m);
		slot->spaces = m->spaces;
	}
	if (!slot->spec.id)
		return 0;
	/* the device is told, too; its place in the spec's list is free */
	slot->spec.opts[slot->spec.num_opts++] = (struct pci_option){ "id", slot->spec.id };
	slot->d.id = strdup(slot->spec.id);
	return slot->d.id ? 0 : machine_fail(err, -ENOMEM, "out of memory");
}

/* As machine_settle() wrote it. */
static int read_settled(struct machine_slot *slot, const char *text, char **err)
{
	char addr[16];

	if (sscanf(text, "%15s %u %" SCNx64 " %" SCNx64 " %" SCNx64 " %u %u %u %" SCNx64, addr,
		   &slot->d.group, &slot->spaces.io, &slot->spaces.mem32, &slot->spaces.mem64,
		   &slot->layout.total, &slot->layout.offset, &slot->layout.stride,
		   &slot->run) != 9 ||
	    machine_addr_parse(addr, &slot->spec.addr) || slot->layout.total > MACHINE_VFS_MAX)
		return machine_fail(err, -EINVAL, "%s: '%s' does not say where it is",
				    slot->spec.model, text);
	slot->spec.has_addr = true;
	slot->settled = true;
	return 0;
}

static int add(struct machine *m, const char *text, const char *settled, char **err)
{
	struct machine_spaces spaces = m->spaces;
	struct machine_slot **slots, *slot;
	int rc;

	if (err)
		*err = NULL;
	slot = calloc(1, sizeof(*slot));
	slots = realloc(m->slots, (m->num_slots + 1) * sizeof(*slots));
	if (slots)
		m->slots = slots;
	if (!slot || !slots) {
		rc = machine_fail(err, -ENOMEM, "out of memory");
		goto fail_spec;
	}
	rc = machine_spec_parse(text, &slot->spec, err);
	if (rc)
		goto fail_spec;
	slot->m = m;
	slot->run = m->run;
	rc = settled ? read_settled(slot, settled, err) : 0;
	if (!rc)
		rc = plan(m, slot, err);
	if (!rc && !settled)
		rc = make_hardware(slot, err);
	if (rc)
		goto fail;
	rc = machine_alloc_vfs(slot);
	if (!rc)
		rc = machine_join_group(m, slot, slot->d.group);
	if (!rc && slot->d.fn)
		rc = machine_plug(slot);
	if (rc) {
		machine_fail(err, rc, "%s at %s: cannot be plugged in: %s", slot->spec.model,
			     slot->d.addr, strerror(-rc));
		goto fail;
	}
	join_unit(slot);
	m->slots[m->num_slots++] = slot;
	return 0;
fail:
	m->spaces = spaces;
	machine_unmake(slot);
	machine_leave_group(slot);
	machine_free_slot(slot);
	return rc;
fail_spec:
	free(slot);
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

void machine_set_mmap(struct machine_slot *slot, const struct machine_slot *as)
{
	bool off = slot->m->mmap_auto_off && as->spec.mmap == VFIO_PCI_MMAP_AUTO;

	vfio_pci_set_mmap(slot->d.vdev, off ? VFIO_PCI_MMAP_OFF : as->spec.mmap);
}

void machine_auto_mmap_off(struct machine *m)
{
	pthread_mutex_lock(&m->plug_lock);
	m->mmap_auto_off = true;
	for (unsigned i = 0; i < m->num_slots; i++) {
		struct machine_slot *slot = m->slots[i];

		if (slot->d.vdev)
			machine_set_mmap(slot, slot);
		for (unsigned k = 0; k < slot->layout.total; k++)
			if (slot->vfs[k] && slot->vfs[k]->d.vdev)
				machine_set_mmap(slot->vfs[k], slot);
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
	const struct machine_slot *s = m->slots[m->num_slots - 1];

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
	for (unsigned i = m->num_slots; i-- > 0;)
		machine_free_slot(m->slots[i]);
	vfio_system_free(m->sys);
	for (unsigned i = 0; i < m->num_groups; i++)
		free_group(m->groups[i]);
	free(m->groups);
	free(m->slots);
	free(m->claim_dir);
	free(m->run_dir);
	pthread_mutex_destroy(&m->tables_lock);
	pthread_mutex_destroy(&m->plug_lock);
	free(m);
}
