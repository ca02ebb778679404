/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/bus.c: buses that devices share (bus=): where their devices are, in which groups, and
 * what is above them. A bus has a name, and all but the root bus a root port of its own at
 * 0000:00:01.0, 0000:00:02.0, ...; the numbers of the buses behind it are taken when its first
 * device comes. Bridges do nothing here: they are what the view shows (bridge.c).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/internal.h"

#define SWITCH_PORTS 8u
#define DEVICES	     32u
#define FUNCTIONS    8u

static const struct kind {
	const char *word; /* before the name in bus= */
	unsigned numbers; /* of buses that it takes */
	unsigned places;  /* for devices */
} kinds[] = {
	[MACHINE_BUS_ROOT] = { "root", 0, DEVICES - MACHINE_ROOT_DEVICES },
	[MACHINE_BUS_PORT] = { "port", 1, FUNCTIONS },
	[MACHINE_BUS_PCI] = { "pci", 2, DEVICES },
	[MACHINE_BUS_SWITCH] = { "switch", 2 + SWITCH_PORTS, SWITCH_PORTS },
};

int machine_bus_parse(struct machine_spec *s, const char *value, char **err)
{
	const char *colon = strchr(value, ':'), *name = colon ? colon + 1 : value;

	s->bus = value;
	s->bus_kind = MACHINE_BUS_PORT;
	if (!strcmp(value, kinds[MACHINE_BUS_ROOT].word)) {
		s->bus_kind = MACHINE_BUS_ROOT;
		return 0;
	}
	for (unsigned k = MACHINE_BUS_PORT; colon && k < ARRAY_SIZE(kinds); k++) {
		if (strlen(kinds[k].word) != (size_t)(colon - value) ||
		    strncmp(kinds[k].word, value, (size_t)(colon - value)))
			continue;
		s->bus_kind = k;
		colon = NULL;
	}
	if (!colon && *name)
		return 0;
	return machine_fail(err, -EINVAL,
			    "%s: bus=%s: write root, or a name, which may have port:, pci: or "
			    "switch: before it",
			    s->model, value);
}

/* Return the name in a value of bus=. */
static const char *name_of(const char *value)
{
	const char *colon = strchr(value, ':');

	return colon ? colon + 1 : value;
}

bool machine_bus_takes(const struct machine *m, const struct pci_address *a)
{
	for (unsigned i = 0; i < m->num_buses; i++) {
		const struct machine_bus *b = m->buses[i];

		if (a->segment || b->kind == MACHINE_BUS_ROOT)
			continue;
		if (!a->bus ? a->device == b->port
			    : a->bus >= b->first && a->bus < b->first + kinds[b->kind].numbers)
			return true;
	}
	return false;
}

/* Return the first of @n bus numbers in a row that nobody has, or 0. */
static unsigned free_numbers(struct machine *m, unsigned n)
{
	unsigned run = 0;

	for (unsigned bus = 1; bus <= UINT8_MAX; bus++) {
		bool taken = false;

		for (unsigned d = 0; d < DEVICES * FUNCTIONS && !taken; d++) {
			struct pci_address a = { .bus = (uint8_t)bus,
						 .device = (uint8_t)(d / FUNCTIONS),
						 .function = (uint8_t)(d % FUNCTIONS) };

			taken = machine_bus_takes(m, &a) || machine_owner(m, &a);
		}
		run = taken ? 0 : run + 1;
		if (run == n)
			return bus - n + 1;
	}
	return 0;
}

/* Return the device number of a root port that is free on the root bus, or 0. */
static unsigned free_port(struct machine *m)
{
	for (unsigned d = 1; d < MACHINE_ROOT_DEVICES; d++) {
		struct pci_address a = { .device = (uint8_t)d };

		if (!machine_bus_takes(m, &a) && !machine_owner(m, &a))
			return d;
	}
	return 0;
}

/* Put @dev on a bus of the name that its spec has, which is not there yet. 0 or -errno. */
static int new_bus(struct machine *m, struct plugged *dev, char **err)
{
	struct machine_bus *b = calloc(1, sizeof(*b)), **buses;
	int rc;

	buses = realloc(m->buses, (m->num_buses + 1) * sizeof(*buses));
	if (buses)
		m->buses = buses;
	if (b)
		b->name = strdup(name_of(dev->spec.bus));
	if (!b || !buses || !b->name) {
		rc = machine_fail(err, -ENOMEM, "out of memory");
		goto fail;
	}
	b->kind = dev->spec.bus_kind;
	if (b->kind != MACHINE_BUS_ROOT) {
		b->port = free_port(m);
		b->first = free_numbers(m, kinds[b->kind].numbers);
		if (!b->port || !b->first) {
			rc = machine_fail(err, -ENOSPC,
					  "%s: bus=%s: no %s left for another bus with bridges",
					  dev->spec.model, dev->spec.bus,
					  b->port ? "bus numbers are" : "root port is");
			goto fail;
		}
	}
	m->buses[m->num_buses++] = b;
	dev->bus = b;
	return 0;
fail:
	if (b)
		free(b->name);
	free(b);
	return rc;
}

int machine_bus_known(struct machine *m, const struct plugged *dev, unsigned port, unsigned first,
		      unsigned last, bool removed)
{
	struct machine_bus *b = calloc(1, sizeof(*b)), **buses;

	buses = realloc(m->buses, (m->num_buses + 1) * sizeof(*buses));
	if (buses)
		m->buses = buses;
	if (b)
		*b = (struct machine_bus){ dev->spec.bus_kind, strdup(name_of(dev->spec.bus)), port,
					   first, removed };
	if (!b || !buses || !b->name) {
		if (b)
			free(b->name);
		free(b);
		return -ENOMEM;
	}
	m->buses[m->num_buses++] = b;
	for (unsigned i = 0; i < m->num_plugged; i++) {
		const struct pci_address *a = &m->plugged[i]->d.address;

		if (!m->plugged[i]->gone && !a->segment && a->bus >= first && a->bus <= last)
			m->plugged[i]->bus = b;
	}
	return 0;
}

/* Find the bus of @dev, or make it. 0 or -errno with a sentence. */
static int find_bus(struct machine *m, struct plugged *dev, char **err)
{
	for (unsigned i = 0; i < m->num_buses; i++) {
		struct machine_bus *b = m->buses[i];

		if (strcmp(b->name, name_of(dev->spec.bus)))
			continue;
		if (b->kind != dev->spec.bus_kind)
			return machine_fail(
				err, -EINVAL, "%s: bus=%s: %s is a bus of the kind %s: already",
				dev->spec.model, dev->spec.bus, b->name, kinds[b->kind].word);
		if (b->removed)
			return machine_fail(err, -ENODEV,
					    "%s: bus=%s: its bridge was removed: a write to "
					    "/sys/bus/pci/rescan brings it back",
					    dev->spec.model, dev->spec.bus);
		dev->bus = b;
		return 0;
	}
	return new_bus(m, dev, err);
}

/* Compute place @i of the bus. */
static struct pci_address place(const struct machine_bus *b, unsigned i)
{
	switch (b->kind) {
	case MACHINE_BUS_ROOT:
		return (struct pci_address){ .device = (uint8_t)(MACHINE_ROOT_DEVICES + i) };
	case MACHINE_BUS_PCI:
		return (struct pci_address){ .bus = (uint8_t)(b->first + 1), .device = (uint8_t)i };
	case MACHINE_BUS_SWITCH:
		return (struct pci_address){ .bus = (uint8_t)(b->first + 2 + i) };
	default:
		return (struct pci_address){ .bus = (uint8_t)b->first, .function = (uint8_t)i };
	}
}

int machine_bus_join(struct machine *m, struct plugged *dev, char **err)
{
	struct pci_address a;
	bool any = false;
	int rc;

	rc = find_bus(m, dev, err);
	if (rc)
		return rc;
	for (unsigned i = 0; i < kinds[dev->bus->kind].places && !any; i++) {
		a = place(dev->bus, i);
		any = dev->spec.has_addr ? pci_address_equal(&a, &dev->spec.addr)
					 : !machine_owner(m, &a);
	}
	if (!any && dev->spec.has_addr) {
		char first[PCI_ADDRESS_TEXT];

		a = place(dev->bus, 0);
		pci_address_print(&a, first);
		return machine_fail(err, -EINVAL,
				    "%s: addr= is no place of bus=%s, whose first one is %s",
				    dev->spec.model, dev->spec.bus, first);
	}
	if (!any)
		return machine_fail(err, -ENOSPC, "%s: bus=%s has no more than %u places",
				    dev->spec.model, dev->spec.bus, kinds[dev->bus->kind].places);
	if (machine_owner(m, &a))
		return machine_fail(err, -EBUSY, "%s: addr= is taken by another device of bus=%s",
				    dev->spec.model, dev->spec.bus);
	machine_set_address(dev, &a);
	return 0;
}

/*
 * True if the function sends nothing to other functions of its device past the IOMMU: it has ACS,
 * or is one of which Linux knows that it does not (pci_dev_acs_enabled[], the 82576).
 */
static bool is_isolated(const struct plugged *dev)
{
	const struct pci_face *f = dev->d.face;
	uint32_t id;
	bool acs;

	if (f) {
		acs = pci_face_find_ext_cap(f, PCI_EXT_CAP_ID_ACS);
		id = pci_face_read(f, PCI_VENDOR_ID, 4);
	} else {
		acs = machine_shown_has_acs(dev->m, dev->d.addr, &id);
	}
	return acs || id == 0x10c98086;
}

/* True if both are one to the IOMMU, as pci_device_group() of Linux has it. */
static bool share_group(const struct plugged *a, const struct plugged *b)
{
	if (!a->bus || a->bus != b->bus)
		return false;
	/* root ports and the ports of a switch have ACS, so only functions of a device can */
	return a->bus->kind == MACHINE_BUS_PCI ||
	       (a->bus->kind == MACHINE_BUS_PORT && !is_isolated(a) && !is_isolated(b));
}

unsigned machine_bus_group(struct machine *m, const struct plugged *dev)
{
	for (unsigned i = 0; i < m->num_plugged; i++)
		if (!m->plugged[i]->gone && share_group(m->plugged[i], dev))
			return m->plugged[i]->d.group;
	return machine_free_group(m);
}

enum vfio_reset_scope machine_reset_scope(const struct plugged *dev)
{
	switch (dev->spec.bus_kind) {
	case MACHINE_BUS_OWN:
		return VFIO_RESET_SLOT;
	case MACHINE_BUS_ROOT:
		return VFIO_RESET_NONE;
	default:
		return VFIO_RESET_BUS;
	}
}

bool machine_below_port(const struct plugged *dev)
{
	enum machine_bus_kind kind = (dev->pf ? dev->pf : dev)->spec.bus_kind;

	return kind != MACHINE_BUS_OWN && kind != MACHINE_BUS_ROOT;
}

/* ---- the way to a device ---- */

unsigned machine_bus_bridges(const struct plugged *dev, struct machine_bridge out[MACHINE_BRIDGES])
{
	const struct machine_bus *b = dev->bus;
	unsigned last, n = 0;

	if (!b || b->kind == MACHINE_BUS_ROOT)
		return 0;
	last = b->first + kinds[b->kind].numbers - 1;
	out[n++] = (struct machine_bridge){ .type = PCI_EXP_TYPE_ROOT_PORT,
					    .address = { .device = (uint8_t)b->port },
					    .secondary = b->first,
					    .subordinate = last };
	if (b->kind == MACHINE_BUS_PCI)
		out[n++] = (struct machine_bridge){ .type = PCI_EXP_TYPE_PCI_BRIDGE,
						    .address = { .bus = (uint8_t)b->first },
						    .secondary = last,
						    .subordinate = last };
	if (b->kind != MACHINE_BUS_SWITCH)
		return n;
	out[n++] = (struct machine_bridge){ .type = PCI_EXP_TYPE_UPSTREAM,
					    .address = { .bus = (uint8_t)b->first },
					    .secondary = b->first + 1,
					    .subordinate = last };
	out[n++] = (struct machine_bridge){
		.type = PCI_EXP_TYPE_DOWNSTREAM,
		.address = { .bus = (uint8_t)(b->first + 1),
			     .device = (uint8_t)(dev->d.address.bus - b->first - 2) },
		.secondary = dev->d.address.bus,
		.subordinate = dev->d.address.bus,
	};
	return n;
}

void machine_bus_path(const struct plugged *dev, unsigned depth, char path[VIEW_PARENT])
{
	const struct plugged *on = dev->pf ? dev->pf : dev;
	struct machine_bridge up[MACHINE_BRIDGES];
	unsigned n = machine_bus_bridges(on, up);
	char addr[PCI_ADDRESS_TEXT];
	size_t at;

	if (!on->bus)
		at = (size_t)snprintf(path, VIEW_PARENT, "pci%.7s", dev->d.addr);
	else
		at = (size_t)snprintf(path, VIEW_PARENT, "pci0000:00");
	for (unsigned i = 0; i < n && i < depth; i++) {
		pci_address_print(&up[i].address, addr);
		at += (size_t)snprintf(path + at, VIEW_PARENT - at, "/%s", addr);
	}
}

void machine_bus_leave(struct plugged *dev)
{
	struct machine *m = dev->m;
	struct machine_bus *b = dev->bus;
	unsigned i;

	dev->bus = NULL;
	for (i = 0; b && i < m->num_plugged; i++)
		if (m->plugged[i]->bus == b)
			return;
	for (i = 0; b && i < m->num_buses; i++) {
		if (m->buses[i] != b)
			continue;
		m->buses[i] = m->buses[--m->num_buses];
		free(b->name);
		free(b);
		return;
	}
}

void machine_buses_free(struct machine *m)
{
	for (unsigned i = 0; i < m->num_buses; i++) {
		free(m->buses[i]->name);
		free(m->buses[i]);
	}
	free(m->buses);
}
