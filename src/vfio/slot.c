/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/slot.c: the places of functions in groups, and which of them are one PCI slot, that is,
 * reset together.
 */
#include <errno.h>

#include "base/heap.h"
#include "base/report.h"
#include "vfio/open.h"

static bool same_place(const struct vfio_place *a, const struct vfio_place *b)
{
	return pci_address_equal(&a->address, &b->address);
}

static struct vfio_place place_of(struct vfio_device *dev)
{
	const struct vfio_device *slot = dev->pf ? dev->pf : dev;

	return (struct vfio_place){
		.group = dev->group,
		.dev = dev,
		.address = dev->address,
		.slot = slot->address,
		.scope = slot->reset_scope,
	};
}

/* Append @place to @g's, whose locks are held. */
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
		/* dev->group stays: a thread that found @dev before may still ask for it */
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

int vfio_group_set_foreign(struct vfio_group *g, const struct vfio_place *place, bool is)
{
	struct vfio_system *s = g->system;
	struct vfio_place *places;
	unsigned i = 0;
	int ret = 0;

	pthread_mutex_lock(&s->topology_lock);
	while (i < s->num_foreign && !same_place(&s->foreign[i], place))
		i++;
	if (i < s->num_foreign && !is) {
		s->foreign[i] = s->foreign[--s->num_foreign];
	} else if (i == s->num_foreign && is) {
		places = heap_resize(s->foreign, (i + 1) * sizeof(*places));
		ret = places ? 0 : -ENOMEM;
		if (places) {
			s->foreign = places;
			places[i] = *place;
			places[i].group = g;
			places[i].dev = NULL;
			s->num_foreign++;
		}
	}
	pthread_mutex_unlock(&s->topology_lock);
	return ret;
}

static bool same_slot(const struct vfio_place *a, const struct vfio_place *b)
{
	return a->slot.segment == b->slot.segment && a->slot.bus == b->slot.bus &&
	       ((a->scope == VFIO_RESET_BUS && b->scope == VFIO_RESET_BUS) ||
		a->slot.device == b->slot.device);
}

/*
 * Put @place among the @n places of @out, by address, as they are found on a bus. With what is
 * asked of its device later, when that may be gone.
 */
static void insert_place(struct vfio_place *out, unsigned n, const struct vfio_place *place)
{
	for (; n; n--) {
		const struct pci_address *a = &out[n - 1].address, *b = &place->address;

		if (a->bus != b->bus ? a->bus < b->bus
				     : pci_address_devfn(a) < pci_address_devfn(b))
			break;
		out[n] = out[n - 1];
	}
	out[n] = *place;
	out[n].resets = place->dev && place->dev->ops->slot_reset;
	out[n].vf = place->dev && place->dev->pf;
}

unsigned vfio_slot_places(struct vfio_device *dev, struct vfio_place *out, unsigned max)
{
	struct vfio_system *s = dev->group ? dev->group->system : NULL;
	struct vfio_place own = place_of(dev);
	unsigned n = 0;

	if (!s) {
		if (max)
			insert_place(out, 0, &own);
		return 1;
	}
	pthread_mutex_lock(&s->topology_lock);
	for (unsigned i = 0; i < s->n; i++) {
		for (unsigned k = 0; k < s->groups[i]->n; k++) {
			if (!same_slot(&s->groups[i]->places[k], &own))
				continue;
			if (n < max)
				insert_place(out, n, &s->groups[i]->places[k]);
			n++;
		}
	}
	for (unsigned i = 0; i < s->num_foreign; i++) {
		if (!same_slot(&s->foreign[i], &own))
			continue;
		if (n < max)
			insert_place(out, n, &s->foreign[i]);
		n++;
	}
	pthread_mutex_unlock(&s->topology_lock);
	return n;
}

/* Reset what is at a place now. The group's lock keeps it there. */
static int reset_place(const struct vfio_place *at)
{
	struct vfio_device *dev = at->group ? NULL : at->dev;
	int ret = 0;

	if (at->group)
		pthread_mutex_lock(&at->group->lock);
	for (unsigned i = 0; at->group && i < at->group->n; i++)
		if (same_place(&at->group->places[i], at))
			dev = at->group->places[i].dev;
	/* one that went meanwhile is made anew when it comes back */
	if (dev) {
		vfio_device_use(dev);
		pthread_mutex_lock(&dev->lock);
		ret = dev->ops->slot_reset(dev);
		pthread_mutex_unlock(&dev->lock);
		vfio_device_unuse(dev);
	}
	if (at->group)
		pthread_mutex_unlock(&at->group->lock);
	return ret;
}

int vfio_slot_reset(struct vfio_device *dev)
{
	unsigned n = vfio_slot_places(dev, NULL, 0), now;
	struct vfio_place *at;
	int ret = -EINVAL;

	if (!dev->ops->slot_reset || dev->reset_scope == VFIO_RESET_NONE)
		return -ENODEV;
	at = heap_array(n, sizeof(*at));
	if (!at)
		return -ENOMEM;
	now = vfio_slot_places(dev, at, n);
	if (now > n) /* VFs came meanwhile */
		goto out;
	/* the kernel resets only what are devices of vfio-pci all together */
	for (unsigned i = 0; i < now; i++)
		if (!at[i].resets)
			goto out;
	/* and it has each VF in a set of devices of its own */
	for (unsigned i = 0; i < now; i++) {
		if (!at[i].vf)
			continue;
		report_info("hot-reset-vfs", dev->name, -EINVAL,
			    "hot reset: with virtual functions there is none");
		goto out;
	}
	/*
	 * one after another: their registers are their own, so nobody can see that it was not at
	 * once
	 */
	ret = 0;
	for (unsigned i = 0; i < now && !ret; i++)
		ret = reset_place(&at[i]);
out:
	heap_free(at);
	return ret;
}
