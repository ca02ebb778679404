/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/view.c: the view of a whole machine, for `uvfio run` (machine/view/ has the pieces). */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "machine/internal.h"
#include "machine/run/run.h"
#include "machine/view/view.h"
#include "vfio/abi.h"

/* True if the bus that @dev is on can be reset, with all that is on it. */
static bool has_bus_reset(const struct plugged *dev)
{
	return !dev->pf && dev->spec.bus_kind != MACHINE_BUS_ROOT;
}

/* True if nothing was on its bus when Linux found the device. */
static bool found_alone(const struct machine *m, const struct plugged *dev)
{
	for (unsigned i = 0; i < m->num_plugged; i++) {
		const struct pci_address *a = &m->plugged[i]->d.address;

		if (!a->segment && a->bus == dev->d.address.bus &&
		    pci_address_devfn(a) < pci_address_devfn(&dev->d.address))
			return false;
	}
	return true;
}

/* Describe @dev, whose directory is in @parent (VIEW_PARENT bytes, which are filled). */
static struct view_device shown(const struct plugged *dev, char *parent)
{
	machine_bus_path(dev, MACHINE_BRIDGES, parent);
	return (struct view_device){
		.face = dev->d.face,
		.addr = dev->d.addr,
		.pf_addr = dev->pf ? dev->pf->d.addr : NULL,
		.parent = parent,
		.driver = *dev->driver ? dev->driver : NULL,
		.is_vfio = machine_is_vfio(dev),
		.on = !run_driver_is_safe(dev->driver),
		.bus_above = has_bus_reset(dev),
		.bus_reset = has_bus_reset(dev) && found_alone(dev->m, dev),
		.group = dev->m->noiommu ? VIEW_NO_GROUP : dev->d.group,
	};
}

/* Write the directories of all VFs that the PF can have, as they look when they are enabled. */
static int write_vfs(struct tree *t, const struct cpus *c, struct plugged *pf)
{
	unsigned total = pf->layout.total;
	char *why = NULL;
	int rc;

	if (!total)
		return 0;
	rc = machine_make_vfs(pf, total, &why);
	if (rc) {
		report_err("device-not-made", "machine", 0, "%s", why ? why : strerror(-rc));
		free(why);
		return rc;
	}
	machine_set_vfs(pf, total);
	for (unsigned i = 0; i < total; i++) {
		char parent[VIEW_PARENT];
		struct view_device d = shown(pf->vfs[i], parent);

		view_vf_aside(t, c, &d);
	}
	machine_set_vfs(pf, 0);
	return t->err;
}

/* Write the drivers that devices have besides those that are always there, each once. */
static void write_drivers(struct tree *t, struct machine *m)
{
	for (unsigned i = 0; i < m->num_plugged; i++) {
		const char *driver = m->plugged[i]->driver;
		bool first = *driver && strcmp(driver, vfio_abi_driver()) &&
			     strcmp(driver, RUN_PCI_STUB);

		for (unsigned k = 0; k < i; k++)
			first &= strcmp(driver, m->plugged[k]->driver) != 0;
		if (first)
			view_host_driver(t, driver, driver);
	}
}

static void write_groups(struct tree *t, struct machine *m)
{
	for (unsigned i = 0; i < m->num_groups && !m->noiommu; i++) {
		if (m->groups[i]->iommu->n)
			view_group(t, m->groups[i]->id);
		/* none for a group of a driver of the host */
		if (m->groups[i]->vfio->n)
			view_group_node(t, m->groups[i]->id);
	}
}

/* Write the root bus that @dev is on or below, if it is the first one there. */
static void write_root_bus(struct tree *t, const struct cpus *c, struct machine *m, unsigned i)
{
	char root[VIEW_PARENT], other[VIEW_PARENT];
	bool first = true;

	machine_bus_path(m->plugged[i], 0, root);
	for (unsigned j = 0; j < i; j++) {
		machine_bus_path(m->plugged[j], 0, other);
		first &= strcmp(root, other) != 0;
	}
	if (first)
		view_root_bus(t, c, root + strlen("pci"));
}

static void write_device(struct tree *t, const struct cpus *c, struct machine *m, unsigned i)
{
	char parent[VIEW_PARENT];
	struct view_device d = shown(m->plugged[i], parent);

	view_device(t, c, &d);
	if (!t->err)
		t->err = write_vfs(t, c, m->plugged[i]);
}

/* ---- bridges ---- */

/* True if a device before @dev has the bridge at @depth above it, too. */
static bool has_been_shown(const struct machine *m, const struct plugged *dev, unsigned depth)
{
	struct machine_bridge up[MACHINE_BRIDGES], other[MACHINE_BRIDGES];

	if (machine_bus_bridges(dev, up) <= depth)
		return true;
	for (unsigned i = 0; m->plugged[i] != dev; i++)
		if (machine_bus_bridges(m->plugged[i], other) > depth &&
		    pci_address_equal(&up[depth].address, &other[depth].address))
			return true;
	return false;
}

/* Return a number for the group of a bridge at the start: behind all that devices have. */
static unsigned bridge_group(const struct machine *m, unsigned *next)
{
	for (unsigned i = 0; i < m->num_groups; i++)
		if (m->groups[i]->id >= *next)
			*next = m->groups[i]->id + 1;
	return (*next)++;
}

/*
 * Write the bridge at @depth above @dev; or, if it is shown, open its windows for the device: then
 * 1 is returned. @next: for bridge_group(); NULL: it comes while programs run.
 */
static int write_bridge(struct tree *t, const struct cpus *c, struct plugged *dev, unsigned depth,
			unsigned *next)
{
	struct machine_bridge_face *f = malloc(sizeof(*f));
	struct machine_bridge up[MACHINE_BRIDGES], *b = &up[depth];
	struct view_bridge behind;
	struct view_device d;
	char parent[VIEW_PARENT], addr[PCI_ADDRESS_TEXT];
	uint8_t config[PCI_CFG_EXP_SIZE];
	bool is_shown;

	if (!f)
		return -ENOMEM;
	machine_bus_bridges(dev, up);
	pci_address_print(&b->address, addr);
	is_shown = machine_shown_config(dev->m, addr, config) >= PCI_STD_HEADER_SIZEOF;
	machine_bridge_show(dev->m, b, is_shown ? config : NULL, f);
	machine_bus_path(dev, depth, parent);
	behind = (struct view_bridge){ b->secondary, b->subordinate, f->windows };
	d = (struct view_device){ .face = &f->face,
				  .addr = addr,
				  .parent = parent,
				  .driver = "pcieport",
				  .on = true,
				  .bridge = &behind };
	if (is_shown) {
		view_windows(t, &d);
		free(f);
		return t->err ? t->err : 1;
	}
	if (b->type == PCI_EXP_TYPE_PCI_BRIDGE) {
		/* what is behind it cannot be told apart from it, and Linux has no driver for it */
		d.group = dev->m->noiommu ? VIEW_NO_GROUP : dev->d.group;
		d.driver = NULL;
		d.on = false;
	} else if (dev->m->noiommu) {
		d.group = VIEW_NO_GROUP;
	} else {
		d.group = next ? bridge_group(dev->m, next) : machine_free_group(dev->m);
		view_group(t, d.group);
	}
	view_device(t, c, &d);
	free(f);
	return t->err;
}

static void write_bridges(struct tree *t, const struct cpus *c, struct machine *m)
{
	unsigned next = 0;
	bool any = false;

	for (unsigned i = 0; i < m->num_plugged; i++) {
		for (unsigned depth = 0; depth < MACHINE_BRIDGES && !t->err; depth++) {
			if (has_been_shown(m, m->plugged[i], depth))
				continue;
			if (!any)
				view_driver(t, "pcieport");
			any = true;
			t->err = write_bridge(t, c, m->plugged[i], depth, &next);
		}
	}
}

/* Note the PFs with no VFs, and enable those that specs ask for. */
static int start_run(struct machine *m, const char *dir)
{
	struct run_pf *pfs = calloc(m->num_plugged + 1, sizeof(*pfs));
	unsigned n = 0;
	int rc;

	if (!pfs)
		return -ENOMEM;
	for (unsigned i = 0; i < m->num_plugged; i++) {
		const struct plugged *dev = m->plugged[i];

		if (dev->layout.total)
			pfs[n++] = (struct run_pf){ .address = dev->d.address,
						    .total = dev->layout.total,
						    .offset = dev->layout.offset,
						    .stride = dev->layout.stride };
	}
	rc = run_init(dir, pfs, n);
	free(pfs);
	for (unsigned i = 0; i < m->num_plugged && !rc; i++)
		if (m->plugged[i]->spec.numvfs)
			rc = run_set_numvfs(dir, m->plugged[i]->d.addr, m->plugged[i]->spec.numvfs,
					    NULL);
	return rc;
}

/* Each device is alone in its group, which it has as long as vfio-pci has it. */
static int show_noiommu(struct tree *t, struct machine *m, unsigned i, const char *dir)
{
	const struct plugged *dev = m->plugged[i];
	char path[VIEW_PARENT + 64], parent[VIEW_PARENT];
	int rc;

	for (unsigned k = 0; k < i; k++)
		if (m->plugged[k]->group == dev->group)
			return report_err("noiommu-group", dev->d.addr, -EINVAL,
					  "without an IOMMU each device has a group of its own, "
					  "and group %u would have two",
					  dev->d.group);
	rc = run_noiommu_note(dir, dev->d.addr, dev->d.group);
	if (rc || !machine_is_vfio(dev))
		return rc;
	machine_bus_path(dev, MACHINE_BRIDGES, parent);
	snprintf(path, sizeof(path), "sys/devices/%s/%s", parent, dev->d.addr);
	view_noiommu_group(t, dev->d.group, path);
	return t->err;
}

/* Write the bridges above @dev that are not there. *@n: how many are, which are the first. */
static int add_bridges(struct tree *t, const struct cpus *c, struct plugged *dev, unsigned *n)
{
	struct machine_bridge up[MACHINE_BRIDGES];
	unsigned depth = machine_bus_bridges(dev, up);
	int rc = 0;

	*n = 0;
	if (depth && !run_view_has(t->root, "sys/bus/pci/drivers/pcieport"))
		view_driver(t, "pcieport");
	for (unsigned i = 0; i < depth && rc >= 0; i++) {
		rc = write_bridge(t, c, dev, i, NULL);
		*n += rc > 0;
	}
	return rc < 0 ? rc : 0;
}

/*
 * Tell of @dev, which has its driver, and of the bridges above it but for the first @old: all are
 * found at first, and then get their drivers.
 */
static void tell_added(const char *dir, const struct plugged *dev, unsigned old)
{
	static const char *const actions[] = { "add", "bind" };
	struct machine_bridge up[MACHINE_BRIDGES];
	unsigned n = machine_bus_bridges(dev, up);
	char path[VIEW_PARENT + 64], parent[VIEW_PARENT], addr[PCI_ADDRESS_TEXT];

	for (unsigned bind = 0; bind < ARRAY_SIZE(actions); bind++) {
		for (unsigned i = old; i < n; i++) {
			if (bind && up[i].type == PCI_EXP_TYPE_PCI_BRIDGE)
				continue;
			machine_bus_path(dev, i, parent);
			pci_address_print(&up[i].address, addr);
			snprintf(path, sizeof(path), "sys/devices/%s/%s", parent, addr);
			run_uevent(dir, actions[bind], "pci", path);
		}
		if (bind && !*dev->driver)
			continue;
		machine_bus_path(dev, MACHINE_BRIDGES, parent);
		snprintf(path, sizeof(path), "sys/devices/%s/%s", parent, dev->d.addr);
		run_uevent(dir, actions[bind], "pci", path);
	}
}

static void drop_link(struct tree *t, const char *path, const char *target)
{
	tree_remove(t, path);
}

/* Take back what was written of @dev, and of its group if that came with it. */
static void take_back(struct machine *m, const char *dir, struct plugged *dev, bool new_group)
{
	struct tree t = { .root = dir };
	char parent[VIEW_PARENT], path[2 * VIEW_PARENT];
	struct view_device d = shown(dev, parent);

	snprintf(path, sizeof(path), "sys/devices/%s/%s", parent, d.addr);
	view_drop_cdev(&t, path, m->noiommu);
	if (m->noiommu)
		view_drop_noiommu_group(&t, dev->d.group, path);
	view_links(&t, parent, d.addr, *dev->driver ? dev->driver : NULL,
		   m->noiommu ? VIEW_NO_GROUP : dev->d.group, drop_link);
	tree_remove_all(&t, path);
	if (new_group) {
		view_drop_group_node(&t, dev->d.group);
		view_drop_group(&t, dev->d.group);
	}
}

int machine_view_add(struct machine *m, const char *dir)
{
	bool new_group = false;
	struct plugged *dev = m->plugged[m->num_plugged - 1];
	struct tree t = { .root = dir };
	char path[VIEW_PARENT + 32], root[VIEW_PARENT];
	unsigned old = 0;
	struct cpus c;

	view_cpus_read(&c);
	machine_bus_path(dev, 0, root);
	snprintf(path, sizeof(path), "sys/devices/%s", root);
	if (!run_view_has(dir, path))
		view_root_bus(&t, &c, root + strlen("pci"));
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/%s", dev->driver);
	if (*dev->driver && !run_view_has(dir, path))
		view_host_driver(&t, dev->driver, dev->driver);
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u", dev->d.group);
	if (!m->noiommu && !run_view_has(dir, path)) {
		new_group = true;
		view_group(&t, dev->d.group);
	}
	snprintf(path, sizeof(path), "dev/vfio/%u", dev->d.group);
	if (!m->noiommu && machine_is_vfio(dev) && !run_view_has(dir, path))
		view_group_node(&t, dev->d.group);
	if (!t.err)
		t.err = add_bridges(&t, &c, dev, &old);
	if (!t.err)
		write_device(&t, &c, m, m->num_plugged - 1);
	if (m->noiommu && !t.err)
		t.err = show_noiommu(&t, m, m->num_plugged - 1, dir);
	if (!t.err && dev->layout.total)
		t.err = run_add_pf(dir, &(struct run_pf){ .address = dev->d.address,
							  .total = dev->layout.total,
							  .offset = dev->layout.offset,
							  .stride = dev->layout.stride });
	if (t.err)
		take_back(m, dir, dev, new_group);
	else
		tell_added(dir, dev, old);
	return t.err;
}

int machine_write_view(struct machine *m, const char *dir)
{
	struct tree t = { .root = dir };
	struct cpus c;

	view_cpus_read(&c);
	view_bus(&t);
	write_drivers(&t, m);
	if (!m->noiommu)
		view_iommu(&t);
	view_modules(&t, m->sys->env->dma_entry_limit, m->noiommu);
	view_container_node(&t);
	write_groups(&t, m);
	for (unsigned i = 0; i < m->num_plugged && !t.err; i++)
		write_root_bus(&t, &c, m, i);
	write_bridges(&t, &c, m);
	for (unsigned i = 0; i < m->num_plugged && !t.err; i++)
		write_device(&t, &c, m, i);
	if (m->noiommu == MACHINE_NOIOMMU_ALL && !t.err)
		t.err = run_noiommu_all(dir);
	for (unsigned i = 0; m->noiommu && i < m->num_plugged && !t.err; i++)
		t.err = show_noiommu(&t, m, i, dir);
	return t.err ? t.err : start_run(m, dir);
}
