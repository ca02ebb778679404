/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/groups.c: the groups of a machine, and who has a place in them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "machine/internal.h"
#include "vfio/physical.h"

/* Return group @id or NULL. For those who change groups: one thread at a time. */
static struct machine_group *find_group(struct machine *m, unsigned id)
{
	for (unsigned i = 0; i < m->num_groups; i++)
		if (m->groups[i]->id == id)
			return m->groups[i];
	return NULL;
}

void machine_group_free(struct machine_group *g)
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
	rc = m->noiommu ? vfio_physical_init(m->sys) : 0;
	if (!rc)
		rc = vfio_system_add_group(m->sys, g->iommu, &g->vfio);
	if (rc)
		goto fail_iommu;
	if (m->noiommu)
		vfio_physical_join(g->vfio);
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

/* True if a device of the run has it, also one that was removed by sysfs and may come back. */
static bool has_device(struct machine *m, unsigned id)
{
	for (unsigned i = 0; i < m->num_plugged; i++)
		if (!m->plugged[i]->gone && m->plugged[i]->d.group == id)
			return true;
	return false;
}

bool machine_group_is_free(struct machine *m, unsigned id)
{
	/* an empty one stays behind when a device could not be added, or a VF went */
	struct machine_group *g = find_group(m, id);
	char path[64];

	if (has_device(m, id) || (g && (g->iommu->n || g->vfio->n)))
		return false;
	/* one that only the view has is a bridge's, or a VF's */
	snprintf(path, sizeof(path), "sys/kernel/iommu_groups/%u", id);
	return !m->run_dir || !run_view_has(m->run_dir, path);
}

unsigned machine_free_group(struct machine *m)
{
	unsigned id = 1;

	while (!machine_group_is_free(m, id))
		id++;
	return id;
}

int machine_join_group(struct machine *m, struct plugged *dev, unsigned id)
{
	const struct plugged *in = dev->pf && machine_is_vfio(dev->pf) ? dev->pf : dev;
	struct machine_group *g;
	int rc = 0;

	g = find_group(m, id);
	if (!g) {
		rc = add_group(m, id, &g);
		if (rc)
			return rc;
	}
	dev->place = (struct vfio_place){ .address = dev->d.address,
					  .slot = in->d.address,
					  .scope = machine_reset_scope(in) };
	if (machine_is_vfio(dev))
		rc = vfio_group_reserve(g->vfio, &dev->place);
	else
		rc = vfio_group_set_foreign(g->vfio, &dev->place, true);
	if (rc)
		return rc;
	g->pf = dev->pf;
	dev->group = g;
	dev->d.group = id;
	return 0;
}

void machine_leave_group(struct plugged *dev)
{
	if (dev->group && machine_is_vfio(dev))
		vfio_group_unreserve(dev->group->vfio, &dev->place);
	if (dev->group)
		vfio_group_set_foreign(dev->group->vfio, &dev->place, false);
	dev->group = NULL;
}
