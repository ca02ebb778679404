/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/group.c: the system, its groups, and what the ioctls of /dev/vfio/N do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/log.h"
#include "base/reach.h"
#include "vfio/group.h"
#include "vfio/internal.h"

/* the kernel's module parameter dma_entry_limit of vfio_iommu_type1 */
#define DMA_ENTRY_LIMIT 65535u

struct vfio_system *vfio_system_new(void)
{
	struct vfio_system *s = heap_alloc(sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop_new();
	if (!s->loop) {
		heap_free(s);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->topology_lock, NULL);
	pthread_mutex_init(&s->preserve_lock, NULL);
	pthread_mutex_init(&s->maps_lock, NULL);
	CDS_INIT_LIST_HEAD(&s->type1s);
	pool_init(&s->returned_pool, sizeof(struct returned));
	pool_init(&s->asides_pool, sizeof(struct aside));
	atomic_init(&s->lowest, UINT64_MAX);
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
		heap_free(s->groups[i]->places);
		heap_free(s->groups[i]);
	}
	heap_free(s->groups);
	loop_free(s->loop);
	pool_destroy(&s->returned_pool);
	pool_destroy(&s->asides_pool);
	pthread_mutex_destroy(&s->maps_lock);
	pthread_mutex_destroy(&s->preserve_lock);
	pthread_mutex_destroy(&s->topology_lock);
	pthread_mutex_destroy(&s->lock);
	heap_free(s);
}

int vfio_system_add_group(struct vfio_system *s, struct iommu_group *ig, struct vfio_group **out)
{
	struct vfio_group *g = heap_alloc(sizeof(*g)), **groups;
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
	groups = heap_resize(s->groups, (s->n + 1) * sizeof(*groups));
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
	heap_free(g);
	return ret;
}

static bool same_place(const struct vfio_place *a, const struct vfio_place *b)
{
	return a->segment == b->segment && a->bus == b->bus && a->devfn == b->devfn;
}

static struct vfio_place place_of(struct vfio_device *dev)
{
	const struct vfio_device *slot = dev->pf ? dev->pf : dev;

	return (struct vfio_place){
		.group = dev->group,
		.dev = dev,
		.segment = dev->segment,
		.bus = dev->bus,
		.devfn = dev->devfn,
		.slot_bus = slot->bus,
		.slot_devfn = slot->devfn,
	};
}

/* A new one at the end of @g's, whose locks are held. */
static int append_place(struct vfio_group *g, const struct vfio_place *place)
{
	struct vfio_place *places = heap_resize(g->places, (g->n + 1) * sizeof(*places));

	if (!places)
		return -ENOMEM;
	g->places = places;
	places[g->n] = *place;
	places[g->n++].group = g;
	return 0;
}

static void lock_places(struct vfio_group *g)
{
	pthread_mutex_lock(&g->lock);
	pthread_mutex_lock(&g->system->topology_lock);
}

static void unlock_places(struct vfio_group *g)
{
	pthread_mutex_unlock(&g->system->topology_lock);
	pthread_mutex_unlock(&g->lock);
}

int vfio_group_add_device(struct vfio_group *g, struct vfio_device *dev)
{
	struct vfio_place place = place_of(dev), *p = NULL;
	int ret = 0;

	lock_places(g);
	for (unsigned i = 0; i < g->n && !p; i++)
		if (g->places[i].reserved && !g->places[i].dev && same_place(&g->places[i], &place))
			p = &g->places[i];
	if (p)
		p->dev = dev;
	else
		ret = append_place(g, &place);
	if (!ret)
		dev->group = g;
	unlock_places(g);
	return ret;
}

void vfio_group_remove_device(struct vfio_group *g, struct vfio_device *dev)
{
	lock_places(g);
	for (unsigned i = 0; i < g->n; i++) {
		if (g->places[i].dev != dev)
			continue;
		/* dev->group stays: who looked it up before may still ask what it was */
		g->places[i].dev = NULL;
		if (!g->places[i].reserved)
			g->places[i] = g->places[--g->n];
		break;
	}
	unlock_places(g);
}

int vfio_group_reserve(struct vfio_group *g, const struct vfio_place *place)
{
	struct vfio_place p = *place;
	int ret;

	p.dev = NULL;
	p.reserved = true;
	lock_places(g);
	ret = append_place(g, &p);
	unlock_places(g);
	return ret;
}

void vfio_group_unreserve(struct vfio_group *g, const struct vfio_place *place)
{
	lock_places(g);
	for (unsigned i = 0; i < g->n; i++) {
		if (!g->places[i].reserved || !same_place(&g->places[i], place))
			continue;
		g->places[i] = g->places[--g->n];
		break;
	}
	unlock_places(g);
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
		if (g->places[i].dev && !strcmp(g->places[i].dev->name, name))
			return g->places[i].dev;
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

/* The claim is made with no lock of the group's: a second open meanwhile finds it open. */
int vfio_group_open(struct vfio_system *s, struct vfio_group *g)
{
	int ret = 0;

	pthread_mutex_lock(&g->lock);
	if (!g->n)
		ret = -ENODEV;
	else if (g->opened)
		ret = -EBUSY;
	else
		g->opened = true;
	pthread_mutex_unlock(&g->lock);
	if (ret || !s->claim)
		return ret;
	ret = s->claim(s->claim_arg, g->iommu->id, true);
	if (ret) {
		pthread_mutex_lock(&g->lock);
		g->opened = false;
		pthread_mutex_unlock(&g->lock);
	}
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
	pthread_mutex_unlock(&g->lock);
	if (s->claim)
		s->claim(s->claim_arg, g->iommu->id, false);
	pthread_mutex_lock(&g->lock);
	g->opened = false;
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

/*
 * The order of the kernel: a token is looked at, and may be set, before it is asked whether the
 * group is ready.
 */
int vfio_group_open_device(struct vfio_group *g, const char *name, struct vfio_device **out)
{
	struct vfio_device *dev = NULL;
	int ret = 0;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n && !ret; i++) {
		dev = g->places[i].dev;
		ret = dev ? vfio_device_match(dev, name) : 0;
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

static bool same_slot(const struct vfio_place *a, const struct vfio_place *b)
{
	return a->segment == b->segment && a->slot_bus == b->slot_bus &&
	       a->slot_devfn >> 3 == b->slot_devfn >> 3;
}

unsigned vfio_slot_places(struct vfio_device *dev, struct vfio_place *out, unsigned max)
{
	struct vfio_system *s = dev->group ? dev->group->system : NULL;
	struct vfio_place own = place_of(dev);
	unsigned n = 0;

	if (!s) {
		if (max)
			out[0] = own;
		return 1;
	}
	pthread_mutex_lock(&s->topology_lock);
	for (unsigned i = 0; i < s->n; i++) {
		for (unsigned k = 0; k < s->groups[i]->n; k++) {
			if (!same_slot(&s->groups[i]->places[k], &own))
				continue;
			if (n < max)
				out[n] = s->groups[i]->places[k];
			n++;
		}
	}
	pthread_mutex_unlock(&s->topology_lock);
	return n;
}

int vfio_slot_reset(struct vfio_device *dev)
{
	unsigned n = vfio_slot_places(dev, NULL, 0), now;
	struct vfio_place *at;
	int ret = -ENODEV;

	at = heap_array(n, sizeof(*at));
	if (!at)
		return -ENOMEM;
	now = vfio_slot_places(dev, at, n);
	if (now > n) /* VFs came meanwhile */
		goto out;
	for (unsigned i = 0; i < now; i++)
		if (!at[i].dev || !at[i].dev->ops->slot_reset)
			goto out;
	/* the kernel has each VF in a set of devices of its own, and resets only what is one set */
	ret = -EINVAL;
	for (unsigned i = 0; i < now; i++) {
		if (!at[i].dev->pf)
			continue;
		log_info(dev->name, "hot reset: with virtual functions there is none: EINVAL");
		goto out;
	}
	/*
	 * one after another: their registers are their own, so nobody can see that it was not at
	 * once
	 */
	ret = 0;
	for (unsigned i = 0; i < now && !ret; i++) {
		pthread_mutex_lock(&at[i].dev->lock);
		ret = at[i].dev->ops->slot_reset(at[i].dev);
		pthread_mutex_unlock(&at[i].dev->lock);
	}
out:
	heap_free(at);
	return ret;
}
