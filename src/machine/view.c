/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/view.c: the view of a whole machine, for `uvfio run` (machine/view/ has the pieces). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "machine/internal.h"
#include "machine/run/run.h"
#include "machine/view/view.h"

static struct view_device shown(const struct plugged *dev)
{
	return (struct view_device){
		.face = dev->d.face,
		.addr = dev->d.addr,
		.pf_addr = dev->pf ? dev->pf->d.addr : NULL,
		.driver = dev->d.driver,
		.is_vfio = dev->d.vdev != NULL,
		.group = dev->d.group,
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
		struct view_device d = shown(pf->vfs[i]);

		view_vf_aside(t, c, &d);
	}
	machine_set_vfs(pf, 0);
	return t->err;
}

/* Write the drivers that devices have besides vfio-pci, each once. */
static void write_drivers(struct tree *t, struct machine *m)
{
	for (unsigned i = 0; i < m->num_plugged; i++) {
		bool first = !m->plugged[i]->d.vdev;

		for (unsigned k = 0; k < i; k++)
			first &= strcmp(m->plugged[i]->d.driver, m->plugged[k]->d.driver) != 0;
		if (first)
			view_driver(t, m->plugged[i]->d.driver);
	}
}

static void write_groups(struct tree *t, struct machine *m)
{
	for (unsigned i = 0; i < m->num_groups; i++) {
		if (m->groups[i]->iommu->n)
			view_group(t, m->groups[i]->id);
		/* none for a group of a driver of the host */
		if (m->groups[i]->vfio->n)
			view_group_node(t, m->groups[i]->id);
	}
}

static void write_device(struct tree *t, const struct cpus *c, struct machine *m, unsigned i)
{
	struct view_device d = shown(m->plugged[i]);
	bool first = true;

	for (unsigned j = 0; j < i; j++)
		first &= memcmp(d.addr, m->plugged[j]->d.addr, 7) != 0;
	if (first)
		view_root_bus(t, c, d.addr);
	view_device(t, c, &d);
	if (!t->err)
		t->err = write_vfs(t, c, m->plugged[i]);
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
			rc = run_set_numvfs(dir, m->plugged[i]->d.addr, m->plugged[i]->spec.numvfs);
	return rc;
}

int machine_write_view(struct machine *m, const char *dir)
{
	struct tree t = { .root = dir };
	struct cpus c;

	view_cpus_read(&c);
	view_bus(&t);
	write_drivers(&t, m);
	view_iommu(&t);
	view_modules(&t, m->sys->env->dma_entry_limit);
	view_container_node(&t);
	write_groups(&t, m);
	for (unsigned i = 0; i < m->num_plugged && !t.err; i++)
		write_device(&t, &c, m, i);
	return t.err ? t.err : start_run(m, dir);
}
