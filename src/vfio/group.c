/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/group.c: the system, its groups, and what the ioctls of /dev/vfio/N do.
 */
#include "vfio/group.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/reach.h"

/* the kernel's module parameter dma_entry_limit of vfio_iommu_type1 */
#define DMA_ENTRY_LIMIT 65535u

struct vfio_system *vfio_system_new(void)
{
	struct vfio_system *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop_new();
	if (!s->loop) {
		free(s);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->topology_lock, NULL);
	pthread_mutex_init(&s->preserve_lock, NULL);
	pthread_mutex_init(&s->maps_lock, NULL);
	CDS_INIT_LIST_HEAD(&s->type1s);
	reach_init();
	s->memlock_limit = UINT64_MAX;
	s->dma_entry_limit = DMA_ENTRY_LIMIT;
	return s;
}

void vfio_system_free(struct vfio_system *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++) {
		pthread_mutex_destroy(&s->groups[i]->lock);
		free(s->groups[i]->devs);
		free(s->groups[i]);
	}
	free(s->groups);
	loop_free(s->loop);
	pthread_mutex_destroy(&s->maps_lock);
	pthread_mutex_destroy(&s->preserve_lock);
	pthread_mutex_destroy(&s->topology_lock);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int vfio_system_add_group(struct vfio_system *s, struct iommu_group *ig, struct vfio_group **out)
{
	struct vfio_group *g = calloc(1, sizeof(*g)), **groups;
	int ret = -ENOMEM;

	if (!g)
		return -ENOMEM;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->n; i++) {
		if (s->groups[i]->iommu->id == ig->id) {
			ret = -EEXIST;
			goto out;
		}
	}
	pthread_mutex_init(&g->lock, NULL);
	g->iommu = ig;
	g->system = s;
	pthread_mutex_lock(&s->topology_lock);
	groups = realloc(s->groups, (s->n + 1) * sizeof(*groups));
	if (groups) {
		s->groups = groups;
		s->groups[s->n++] = g;
		*out = g;
		g = NULL;
		ret = 0;
	}
	pthread_mutex_unlock(&s->topology_lock);
out:
	pthread_mutex_unlock(&s->lock);
	free(g);
	return ret;
}

int vfio_group_add_device(struct vfio_group *g, struct vfio_device *dev)
{
	struct vfio_device **devs;
	int ret = -ENOMEM;

	pthread_mutex_lock(&g->lock);
	pthread_mutex_lock(&g->system->topology_lock);
	devs = realloc(g->devs, (g->n + 1) * sizeof(*devs));
	if (devs) {
		g->devs = devs;
		g->devs[g->n++] = dev;
		dev->group = g;
		ret = 0;
	}
	pthread_mutex_unlock(&g->system->topology_lock);
	pthread_mutex_unlock(&g->lock);
	return ret;
}

void vfio_group_remove_device(struct vfio_group *g, struct vfio_device *dev)
{
	pthread_mutex_lock(&g->lock);
	pthread_mutex_lock(&g->system->topology_lock);
	for (unsigned i = 0; i < g->n; i++) {
		if (g->devs[i] != dev)
			continue;
		/* dev->group stays: who looked it up before may still ask what it was */
		g->devs[i] = g->devs[--g->n];
		break;
	}
	pthread_mutex_unlock(&g->system->topology_lock);
	pthread_mutex_unlock(&g->lock);
}

struct vfio_group *vfio_system_group(struct vfio_system *s, unsigned id)
{
	struct vfio_group *g = NULL;

	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&s->topology_lock);
	for (unsigned i = 0; i < s->n && !g; i++) {
		if (s->groups[i]->iommu->id == id && s->groups[i]->n)
			g = s->groups[i];
	}
	pthread_mutex_unlock(&s->topology_lock);
	pthread_mutex_unlock(&s->lock);
	return g;
}

static struct vfio_device *find_device(struct vfio_group *g, const char *name)
{
	for (unsigned i = 0; i < g->n; i++) {
		if (!strcmp(g->devs[i]->name, name))
			return g->devs[i];
	}
	return NULL;
}

struct vfio_device *vfio_system_device(struct vfio_system *s, const char *name)
{
	struct vfio_device *dev = NULL;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->n && !dev; i++) {
		pthread_mutex_lock(&s->groups[i]->lock);
		dev = find_device(s->groups[i], name);
		pthread_mutex_unlock(&s->groups[i]->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return dev;
}

int vfio_group_open(struct vfio_system *s, struct vfio_group *g)
{
	int ret = -ENODEV;

	pthread_mutex_lock(&g->lock);
	if (!g->n)
		goto out;
	ret = -EBUSY;
	if (g->opened)
		goto out;
	ret = s->claim ? s->claim(s->claim_arg, g->iommu->id, true) : 0;
	if (!ret)
		g->opened = true;
out:
	pthread_mutex_unlock(&g->lock);
	return ret;
}

static void leave_container(struct vfio_group *g)
{
	struct vfio_container *c = g->container;

	g->container = NULL;
	vfio_container_detach(c, g);
	vfio_container_put(c);
}

void vfio_group_release(struct vfio_system *s, struct vfio_group *g)
{
	pthread_mutex_lock(&g->lock);
	if (g->container)
		leave_container(g);
	g->opened = false;
	if (s->claim)
		s->claim(s->claim_arg, g->iommu->id, false);
	pthread_mutex_unlock(&g->lock);
}

uint32_t vfio_group_status(struct vfio_group *g)
{
	/* no member can be bound to another driver: always viable */
	uint32_t flags = VFIO_GROUP_FLAGS_VIABLE;

	pthread_mutex_lock(&g->lock);
	if (g->container)
		flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
	pthread_mutex_unlock(&g->lock);
	return flags;
}

int vfio_group_set_container(struct vfio_group *g, struct vfio_container *c)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&g->lock);
	if (!g->container) {
		vfio_container_get(c);
		vfio_container_attach(c, g);
		g->container = c;
		ret = 0;
	}
	pthread_mutex_unlock(&g->lock);
	return ret;
}

int vfio_group_unset_container(struct vfio_group *g)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&g->lock);
	if (!g->container)
		goto out;
	ret = -EBUSY;
	if (g->device_files)
		goto out;
	leave_container(g);
	ret = 0;
out:
	pthread_mutex_unlock(&g->lock);
	return ret;
}

/* The order of the kernel: a token is looked at, and may be set, before it is asked whether the group is ready. */
int vfio_group_open_device(struct vfio_group *g, const char *name, struct vfio_device **out)
{
	struct vfio_device *dev = NULL;
	int ret = 0;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n && !ret; i++) {
		dev = g->devs[i];
		ret = vfio_device_match(dev, name);
	}
	if (!ret) {
		log_warn(name, "GROUP_GET_DEVICE_FD: there is no such device in group %u",
			 g->iommu->id);
		ret = -ENODEV;
	}
	if (ret < 0)
		goto out;
	ret = -EINVAL;
	if (!g->container || !vfio_container_has_iommu(g->container)) {
		log_warn(name, "GROUP_GET_DEVICE_FD before %s: EINVAL",
			 g->container ? "SET_IOMMU" : "GROUP_SET_CONTAINER");
		goto out;
	}
	ret = vfio_device_open(dev);
	if (ret)
		goto out;
	g->device_files++;
	*out = dev;
out:
	pthread_mutex_unlock(&g->lock);
	return ret;
}

void vfio_group_close_device(struct vfio_group *g, struct vfio_device *dev)
{
	pthread_mutex_lock(&g->lock);
	vfio_device_close(dev);
	g->device_files--;
	pthread_mutex_unlock(&g->lock);
}

static bool same_slot(const struct vfio_device *a, const struct vfio_device *b)
{
	a = a->pf ? a->pf : a;
	b = b->pf ? b->pf : b;
	return a->segment == b->segment && a->bus == b->bus && a->devfn >> 3 == b->devfn >> 3;
}

unsigned vfio_slot_devices(struct vfio_device *dev, struct vfio_device **out, unsigned max)
{
	struct vfio_system *s = dev->group ? dev->group->system : NULL;
	unsigned n = 0;

	if (!s) {
		if (max)
			out[0] = dev;
		return 1;
	}
	pthread_mutex_lock(&s->topology_lock);
	for (unsigned i = 0; i < s->n; i++) {
		for (unsigned k = 0; k < s->groups[i]->n; k++) {
			struct vfio_device *d = s->groups[i]->devs[k];

			if (!same_slot(d, dev))
				continue;
			if (n < max)
				out[n] = d;
			n++;
		}
	}
	pthread_mutex_unlock(&s->topology_lock);
	return n;
}

int vfio_slot_reset(struct vfio_device *dev)
{
	struct vfio_device **devs;
	unsigned n = vfio_slot_devices(dev, NULL, 0), now;
	int ret = -ENODEV;

	devs = calloc(n, sizeof(*devs));
	if (!devs)
		return -ENOMEM;
	now = vfio_slot_devices(dev, devs, n);
	if (now > n) /* VFs came meanwhile */
		goto out;
	for (unsigned i = 0; i < now; i++)
		if (!devs[i]->ops->slot_reset)
			goto out;
	/* the kernel has each VF in a set of devices of its own, and resets only what is one set */
	ret = -EINVAL;
	for (unsigned i = 0; i < now; i++) {
		if (!devs[i]->pf)
			continue;
		log_info(dev->name, "hot reset: with virtual functions there is none: EINVAL");
		goto out;
	}
	/* one after another: their registers are their own, so nobody can see that it was not at
	 * once */
	ret = 0;
	for (unsigned i = 0; i < now && !ret; i++) {
		pthread_mutex_lock(&devs[i]->lock);
		ret = devs[i]->ops->slot_reset(devs[i]);
		pthread_mutex_unlock(&devs[i]->lock);
	}
out:
	free(devs);
	return ret;
}
