/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/add.c: from a spec to a device that is plugged in. What may fail comes before the tables
 * change, so that a device that cannot be added leaves the machine as it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "machine/internal.h"
#include "machine/run/run.h"
#include "vfio/abi.h"

void machine_set_address(struct plugged *dev, const struct pci_address *a)
{
	dev->d.address = *a;
	pci_address_print(a, dev->d.addr);
}

static int choose_address(struct machine *m, struct plugged *dev, char **err)
{
	struct pci_address a = dev->spec.addr;
	const struct plugged *other;

	if (dev->spec.bus && !dev->settled)
		return machine_bus_join(m, dev, err);
	if (dev->spec.has_addr) {
		machine_set_address(dev, &a);
		if (!dev->settled && machine_bus_takes(m, &a))
			return machine_fail(
				err, -EBUSY,
				"%s: address %s is a bridge's, or behind one, of another "
				"device's bus=",
				dev->spec.model, dev->d.addr);
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
		if (machine_owner(m, &a) || machine_bus_takes(m, &a))
			continue;
		machine_set_address(dev, &a);
		return 0;
	}
	return machine_fail(err, -ENOSPC,
			    "%s: device 0.0 of every bus is taken: choose an address "
			    "with addr=",
			    dev->spec.model);
}

/* True if an option of one ties it to the other. */
static bool is_tied(const struct plugged *from, const struct plugged *to)
{
	if (!to->d.id || !from->provider->tied_to)
		return false;
	for (unsigned i = 0; i < from->spec.num_opts; i++) {
		const char *id = from->provider->tied_to(&from->spec.opts[i]);

		if (id && !strcmp(id, to->d.id))
			return true;
	}
	return false;
}

/* True if they were there at the same time; @first came before @then. */
static bool have_met(const struct plugged *first, const struct plugged *then)
{
	return !first->died || first->died > then->born;
}

/* Put @dev in one unit with those that it hangs together with, which may join several units. */
static void join_unit(struct plugged *dev)
{
	struct machine *m = dev->m;

	dev->lead = dev;
	for (unsigned i = 0; i < m->num_plugged; i++) {
		struct plugged *o = m->plugged[i], *first = o->lead, *gone = dev->lead;

		if (!have_met(o, dev) ||
		    (o->d.group != dev->d.group && !is_tied(o, dev) && !is_tied(dev, o)))
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

bool machine_own_place(const struct plugged *dev, struct pci_address *address, unsigned *group)
{
	if (dev->has_own) {
		*address = dev->own_address;
		*group = dev->own_group;
		return true;
	}
	/* one that was settled elsewhere */
	return dev->provider && dev->provider->place &&
	       !dev->provider->place(dev->spec.model, address, group, NULL);
}

/*
 * Return the group in our machine of devices that are in group @own elsewhere: that in which one of
 * them is already, else that number, if it is free.
 */
static unsigned group_of_own(struct machine *m, unsigned own)
{
	struct pci_address a;
	unsigned other;

	for (unsigned i = 0; i < m->num_plugged; i++) {
		const struct plugged *o = m->plugged[i];

		if (!o->gone && machine_own_place(o, &a, &other) && other == own)
			return o->d.group;
	}
	return machine_group_is_free(m, own) ? own : machine_free_group(m);
}

/* Look where the device is that @dev will be: there it is in the machine, too, by default. */
static int find_own_place(struct machine *m, struct plugged *dev, char **err)
{
	struct machine_spec *s = &dev->spec;
	int rc = dev->provider->place(s->model, &dev->own_address, &dev->own_group, err);

	if (rc)
		return rc;
	dev->has_own = true;
	if (!s->has_addr)
		s->addr = dev->own_address;
	if (!s->has_group)
		s->group = group_of_own(m, dev->own_group);
	s->has_addr = s->has_group = true;
	return 0;
}

static int check_real(const struct machine *m, const struct plugged *dev, char **err)
{
	if (vfio_abi()->v3)
		return machine_fail(err, -EINVAL,
				    "%s: the interface of 2010 (--abi v3) has no real devices",
				    dev->spec.model);
	if (m->noiommu)
		return machine_fail(err, -EINVAL,
				    "%s: a real device is behind the kernel's IOMMU: it cannot be "
				    "in a run without one (--noiommu)",
				    dev->spec.model);
	return machine_options_of_real(dev->provider, &dev->spec, err);
}

/* Decide what follows for @dev from its spec and from the devices before it. */
static int plan(struct machine *m, struct plugged *dev, char **err)
{
	int rc = dev->provider->is_real ? check_real(m, dev, err) : 0;

	if (m->noiommu && dev->provider->needs_iommu)
		return machine_fail(err, -EINVAL,
				    "%s: its server is told of memory as it is mapped: it cannot "
				    "be in a run without an IOMMU (--noiommu)",
				    dev->spec.model);
	if (!rc && dev->provider->place && !dev->settled)
		rc = find_own_place(m, dev, err);
	if (!rc)
		rc = choose_address(m, dev, err);
	if (rc)
		return rc;
	for (unsigned i = 0; dev->spec.id && i < m->num_plugged; i++)
		if (have_met(m->plugged[i], dev) && m->plugged[i]->d.id &&
		    !strcmp(m->plugged[i]->d.id, dev->spec.id))
			return machine_fail(err, -EEXIST, "%s: id=%s is the device at %s already",
					    dev->spec.model, dev->spec.id, m->plugged[i]->d.addr);
	machine_set_driver(dev, dev->spec.driver);
	dev->index = m->num_plugged;
	dev->claim = -1;
	if (!dev->settled) {
		dev->d.group = dev->spec.has_group ? dev->spec.group : machine_free_group(m);
		dev->spaces = m->spaces;
		/* windows of bridges begin at such addresses */
		if (dev->bus)
			machine_spaces_window(&dev->spaces);
	}
	if (!dev->spec.id)
		return 0;
	/* the device is told, too; its place in the spec's list is free */
	dev->spec.opts[dev->spec.num_opts++] = (struct pci_option){ "id", dev->spec.id };
	dev->d.id = strdup(dev->spec.id);
	return dev->d.id ? 0 : machine_fail(err, -ENOMEM, "out of memory");
}

/* Read what machine_settle() wrote. */
static int read_settled(struct plugged *dev, const char *text, char **err)
{
	char addr[16];

	if (sscanf(text, "%15s %u %" SCNx64 " %" SCNx64 " %" SCNx64 " %u %u %u %" SCNx64, addr,
		   &dev->d.group, &dev->spaces.io, &dev->spaces.mem32, &dev->spaces.mem64,
		   &dev->layout.total, &dev->layout.offset, &dev->layout.stride, &dev->run) != 9 ||
	    pci_address_parse(addr, &dev->spec.addr) || dev->layout.total > RUN_VFS_MAX)
		return machine_fail(err, -EINVAL, "%s: '%s' does not say where it is",
				    dev->spec.model, text);
	dev->spec.has_addr = true;
	dev->settled = true;
	return 0;
}

/* Append @dev to the table. 0 or -ENOMEM. */
static int append(struct machine *m, struct plugged *dev)
{
	struct plugged **plugged;

	pthread_mutex_lock(&m->tables_lock);
	plugged = realloc(m->plugged, (m->num_plugged + 1) * sizeof(*plugged));
	if (plugged) {
		m->plugged = plugged;
		m->plugged[m->num_plugged++] = dev;
	}
	pthread_mutex_unlock(&m->tables_lock);
	return plugged ? 0 : -ENOMEM;
}

/*
 * @provider: NULL: as the spec says. @known: of a device that is settled, when it came and went;
 * may be NULL. plug_lock is held: devices that are there may be opened and closed meanwhile.
 */
static int add(struct machine *m, const struct machine_provider *provider, const char *text,
	       const char *settled, const struct run_device *known, char **err)
{
	struct machine_spaces spaces = m->spaces;
	struct plugged *dev;
	int rc;

	if (err)
		*err = NULL;
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return machine_fail(err, -ENOMEM, "out of memory");
	rc = machine_spec_parse(text, &dev->spec, err);
	if (rc)
		goto fail_spec;
	dev->born = m->serial + 1;
	if (known) {
		dev->born = known->born;
		dev->died = known->died;
		dev->leaving = known->leaving;
		dev->link_down = known->link_down;
		dev->gone = known->died;
	}
	dev->m = m;
	dev->provider = provider ? provider : machine_provider_of(dev->spec.model);
	dev->run = m->run;
	rc = settled ? read_settled(dev, settled, err) : 0;
	if (!rc)
		rc = plan(m, dev, err);
	if (!rc && !settled)
		rc = machine_make_hardware(dev, err);
	if (rc)
		goto fail;
	if (dev->bus && !dev->spec.has_group)
		dev->d.group = machine_bus_group(m, dev);
	rc = machine_alloc_vfs(dev);
	if (!rc && !dev->gone)
		rc = machine_join_group(m, dev, dev->d.group);
	if (!rc && dev->hw)
		rc = machine_plug(dev);
	if (!rc) {
		join_unit(dev);
		rc = append(m, dev);
	}
	if (rc) {
		machine_fail(err, rc, "%s at %s: cannot be plugged in: %s", dev->spec.model,
			     dev->d.addr, strerror(-rc));
		goto fail;
	}
	return 0;
fail:
	m->spaces = spaces;
	machine_unmake(dev);
	machine_leave_group(dev);
	/* a bus of a run's may be in the view */
	if (!m->run_dir)
		machine_bus_leave(dev);
	machine_plugged_free(dev);
	return rc;
fail_spec:
	free(dev);
	return rc;
}

/*
 * Return a number for uvfio_unique(), not 0: a random one or, if there is none, one that two
 * machines hardly have in common.
 */
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

void machine_set_run(struct machine *m, uint64_t run)
{
	m->run = run;
}

int machine_add_from(struct machine *m, const struct machine_provider *provider, const char *spec,
		     char **err)
{
	int rc;

	pthread_mutex_lock(&m->plug_lock);
	if (!m->run)
		m->run = draw_run();
	rc = add(m, provider, spec, NULL, NULL, err);
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

int machine_add(struct machine *m, const char *spec, char **err)
{
	return machine_add_from(m, NULL, spec, err);
}

int machine_check(struct machine *m, char **err)
{
	const struct plugged *dev = m->plugged[m->num_plugged - 1];
	int rc = dev->provider->check ? dev->provider->check(dev->hw) : 0;

	if (err)
		*err = NULL;
	return rc ? machine_fail(err, rc, "%s: it could not be opened now: %s", dev->spec.model,
				 strerror(-rc))
		  : 0;
}

int machine_add_settled(struct machine *m, const char *spec, const char *settled, char **err)
{
	int rc;

	pthread_mutex_lock(&m->plug_lock);
	rc = add(m, NULL, spec, settled, NULL, err);
	pthread_mutex_unlock(&m->plug_lock);
	return rc;
}

int machine_add_known(struct machine *m, const struct run_device *known, char **err)
{
	return add(m, NULL, known->spec, known->place, known, err);
}

/* Take @dev out of the table. */
static void take_out(struct machine *m, struct plugged *dev)
{
	pthread_mutex_lock(&m->tables_lock);
	m->num_plugged--;
	for (unsigned i = dev->index; i < m->num_plugged; i++) {
		m->plugged[i] = m->plugged[i + 1];
		m->plugged[i]->index = i;
	}
	pthread_mutex_unlock(&m->tables_lock);
}

/* Have the unit of @dev, which is out of the table, go on with the first of the others. */
static void leave_unit(struct machine *m, struct plugged *dev)
{
	struct plugged *lead = NULL;

	for (unsigned i = 0; i < m->num_plugged; i++) {
		if (m->plugged[i]->lead != dev)
			continue;
		lead = lead ? lead : m->plugged[i];
		m->plugged[i]->lead = lead;
	}
}

void machine_remove(struct machine *m, struct machine_device *d)
{
	struct plugged *dev = container_of_type(d, struct plugged, d);

	pthread_mutex_lock(&m->plug_lock);
	if (dev->num_vfs)
		machine_disable_vfs(dev);
	for (unsigned i = 0; i < m->num_groups; i++)
		if (m->groups[i]->pf == dev)
			m->groups[i]->pf = NULL;
	take_out(m, dev);
	leave_unit(m, dev);
	machine_unmake(dev);
	machine_leave_group(dev);
	machine_bus_leave(dev);
	/* those behind the last one's are free again; those in between when there are no others */
	machine_spaces_init(&m->spaces);
	for (unsigned i = 0; i < m->num_plugged; i++)
		machine_spaces_raise(&m->spaces, &m->plugged[i]->after);
	machine_plugged_free(dev);
	pthread_mutex_unlock(&m->plug_lock);
}

void machine_next(const struct machine *m, uint64_t spaces[3], uint64_t *run)
{
	spaces[0] = m->spaces.io;
	spaces[1] = m->spaces.mem32;
	spaces[2] = m->spaces.mem64;
	*run = m->run;
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
