/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/group.c: what the ioctls of /dev/vfio/N do.
 */
#include <errno.h>
#include <string.h>

#include "base/report.h"
#include "vfio/group.h"
#include "vfio/internal.h"
#include "vfio/iommufd.h"

bool vfio_place_may_open(const struct vfio_place *place)
{
	return !place->group->noiommu || vfio_may_rawio(place->group->system);
}

/* The claim is made with no lock of the group's: a second open meanwhile finds it open. */
int vfio_group_open(struct vfio_system *s, struct vfio_group *g)
{
	int ret = 0;

	bool ours;

	pthread_mutex_lock(&g->take_lock);
	pthread_mutex_lock(&g->lock);
	ours = g->left;
	if (!g->n)
		ret = -ENODEV;
	else if (g->noiommu && !vfio_may_rawio(s))
		ret = -EPERM;
	else if (g->opened || g->takers)
		ret = -EBUSY;
	else
		g->opened = true;
	if (!ret)
		g->left = false;
	pthread_mutex_unlock(&g->lock);
	pthread_mutex_unlock(&g->take_lock);
	if (ret || ours || !s->env->claim)
		return ret;
	ret = s->env->claim(s->env_arg, g->iommu->id, VFIO_CLAIM_FILE);
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

	if (g->iommufd)
		vfio_iommufd_put(g->iommufd);
	g->iommufd = NULL;
	if (!c)
		return;
	g->container = NULL;
	vfio_container_detach(c, g);
	vfio_container_put(c);
}

static int own(struct vfio_group *g, bool take)
{
	struct vfio_system *s = g->system;

	return s->env->own ? s->env->own(s->env_arg, g->iommu->id, take) : 0;
}

/* Leave the container, with the lock held. True: own(@g, false) is to follow without it. */
static bool leave_with_lock(struct vfio_group *g)
{
	bool owned = g->owned && !g->iommufd_files;

	leave_container(g);
	if (owned)
		g->owned = false;
	return owned;
}

bool vfio_group_revoke(struct vfio_group *g)
{
	bool owned = false;

	pthread_mutex_lock(&g->lock);
	if (!g->n && (g->container || g->iommufd))
		owned = leave_with_lock(g);
	pthread_mutex_unlock(&g->lock);
	return owned;
}

void vfio_group_release(struct vfio_system *s, struct vfio_group *g)
{
	bool owned = false, used;

	pthread_mutex_lock(&g->take_lock);
	pthread_mutex_lock(&g->lock);
	if (g->container || g->iommufd)
		owned = leave_with_lock(g);
	used = g->iommufd_files;
	if (used) { /* the last of them gives the group up */
		g->opened = false;
		g->left = true;
	}
	pthread_mutex_unlock(&g->lock);
	pthread_mutex_unlock(&g->take_lock);
	if (used)
		return;
	if (owned)
		own(g, false);
	if (s->env->claim)
		s->env->claim(s->env_arg, g->iommu->id, VFIO_CLAIM_NONE);
	pthread_mutex_lock(&g->lock);
	g->opened = false;
	pthread_mutex_unlock(&g->lock);
}

static void drop_taker(struct vfio_group *g)
{
	pthread_mutex_lock(&g->lock);
	g->takers--;
	pthread_mutex_unlock(&g->lock);
}

int vfio_group_take(struct vfio_group *g)
{
	struct vfio_system *s = g->system;
	int ret = 0;

	pthread_mutex_lock(&g->take_lock);
	pthread_mutex_lock(&g->lock);
	if (!g->n)
		ret = -ENODEV;
	else if (g->opened || g->iommufd_files) /* by a device, which cannot be opened again */
		ret = g->opened ? -EBUSY : -EINVAL;
	else
		g->takers++;
	pthread_mutex_unlock(&g->lock);
	/* takers changes with take_lock held only */
	if (!ret && g->takers == 1 && s->env->claim) {
		ret = s->env->claim(s->env_arg, g->iommu->id, VFIO_CLAIM_DEVICES);
		if (ret)
			drop_taker(g);
	}
	if (!ret && g->takers == 1) {
		ret = own(g, true);
		if (ret) {
			if (s->env->claim)
				s->env->claim(s->env_arg, g->iommu->id, false);
			drop_taker(g);
		}
	}
	pthread_mutex_unlock(&g->take_lock);
	return ret;
}

void vfio_group_give_back(struct vfio_group *g)
{
	struct vfio_system *s = g->system;

	pthread_mutex_lock(&g->take_lock);
	if (g->takers == 1)
		own(g, false);
	if (g->takers == 1 && s->env->claim)
		s->env->claim(s->env_arg, g->iommu->id, VFIO_CLAIM_NONE);
	drop_taker(g);
	pthread_mutex_unlock(&g->take_lock);
}

void vfio_group_refresh(struct vfio_group *g)
{
	struct vfio_system *s = g->system;

	if (s->env->refresh)
		s->env->refresh(s->env_arg, g->iommu->id);
}

/* A group in a container owns its DMA, and is viable as long as that lasts. */
int vfio_group_status(struct vfio_group *g, uint32_t *flags)
{
	struct vfio_system *s = g->system;
	bool viable = !s->env->viable || s->env->viable(s->env_arg, g->iommu->id);
	int ret = 0;

	*flags = 0;
	pthread_mutex_lock(&g->lock);
	if (!g->n)
		ret = -ENODEV;
	else if (g->container || g->iommufd)
		*flags = VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
	else if (viable)
		*flags = VFIO_GROUP_FLAGS_VIABLE;
	pthread_mutex_unlock(&g->lock);
	return ret;
}

/* Have @g in @c, or in @ictx. */
static int set_either(struct vfio_group *g, struct vfio_container *c, struct vfio_iommufd *ictx)
{
	int owned = own(g, true), ret = -EINVAL;

	pthread_mutex_lock(&g->lock);
	if (!g->n) {
		ret = -ENODEV;
	} else if (g->container || g->iommufd) {
		ret = -EINVAL;
	} else if (c && g->noiommu && !vfio_may_rawio(g->system)) {
		ret = -EPERM;
	} else if (c && g->iommufd_owner) {
		ret = -EPERM; /* a device is open, which an iommufd has */
	} else if (ictx) {
		ret = owned	   ? owned
		      : g->noiommu ? vfio_iommufd_compat_set_noiommu(ictx)
				   : vfio_iommufd_compat_create(ictx);
		if (!ret) {
			vfio_iommufd_get(ictx);
			g->iommufd = ictx;
			g->owned = true;
		}
	} else {
		ret = owned ? owned : vfio_container_attach(c, g);
		if (!ret) {
			vfio_container_get(c);
			g->container = c;
			g->owned = true;
		}
	}
	pthread_mutex_unlock(&g->lock);
	if (ret && !owned)
		own(g, false);
	return ret;
}

int vfio_group_set_container(struct vfio_group *g, struct vfio_container *c)
{
	return set_either(g, c, NULL);
}

int vfio_group_set_iommufd(struct vfio_group *g, struct vfio_iommufd *ictx)
{
	return set_either(g, NULL, ictx);
}

int vfio_group_unset_container(struct vfio_group *g)
{
	bool owned = false;
	int ret = 0;

	pthread_mutex_lock(&g->lock);
	if (!g->container && !g->iommufd)
		ret = -EINVAL;
	else if (g->container && g->device_files > g->iommufd_files)
		ret = -EBUSY;
	else
		owned = leave_with_lock(g);
	pthread_mutex_unlock(&g->lock);
	if (owned)
		own(g, false);
	return ret;
}

/* Return the device @name of @g, whose lock is held, or NULL. */
static struct vfio_device *find(struct vfio_group *g, const char *name)
{
	for (unsigned i = 0; i < g->n; i++) {
		struct vfio_device *dev = g->places[i].dev;

		if (dev && !atomic_load(&dev->leaving) && !strcmp(dev->name, name))
			return dev;
	}
	return NULL;
}

bool vfio_group_has_device(struct vfio_group *g, const char *name)
{
	bool has;

	pthread_mutex_lock(&g->lock);
	has = find(g, name);
	pthread_mutex_unlock(&g->lock);
	return has;
}

struct vfio_device *vfio_group_device(struct vfio_group *g, const struct pci_address *address)
{
	struct vfio_device *dev = NULL;

	pthread_mutex_lock(&g->lock);
	for (unsigned i = 0; i < g->n; i++)
		if (pci_address_equal(&g->places[i].address, address))
			dev = g->places[i].dev;
	pthread_mutex_unlock(&g->lock);
	return dev;
}

/* Tell @dev, of the first opener that has it in @io. The group's lock is held. */
static int enter(struct vfio_device *dev, struct vfio_ioas *io)
{
	int ret = 0;

	if (!dev->attached && dev->ops->attach && !io->noiommu)
		ret = dev->ops->attach(dev, io);
	if (!ret)
		dev->attached++;
	return ret;
}

static void leave(struct vfio_device *dev, struct vfio_ioas *io)
{
	if (!--dev->attached && dev->ops->detach && !io->noiommu)
		dev->ops->detach(dev, io);
}

static void say_noiommu(const struct vfio_device *dev)
{
	report_warn("noiommu-open", dev->name, 0,
		    "it is open, and no IOMMU keeps its DMA from memory that is not meant for it");
}

/*
 * Open @dev of a group without an IOMMU in an iommufd, of which it is no object. Who has an IOAS
 * for type1's ioctls would wait for a translation. The group's lock is held.
 */
static int open_without_iommu(struct vfio_group *g, struct vfio_device *dev)
{
	uint32_t id;
	int ret;

	if (!dev->open_count) {
		if (!vfio_may_rawio(g->system))
			return -EPERM;
		if (!vfio_iommufd_compat_get(g->iommufd, &id))
			return report_warn("noiommu-ioas", dev->name, -EPERM,
					   "GROUP_GET_DEVICE_FD: it has no IOMMU, and IOAS %u is "
					   "set (IOMMU_VFIO_IOAS)",
					   id);
	}
	ret = vfio_device_open(dev);
	if (!ret)
		g->iommufd_files++;
	return ret;
}

/*
 * Open @dev of a group in an iommufd: the first opener binds it, and attaches it. The group's lock
 * is held.
 */
static int open_by_iommufd(struct vfio_group *g, struct vfio_device *dev)
{
	bool first = !dev->open_count;
	uint32_t id;
	int ret = 0;

	if (first)
		ret = iommufd_bind(g->iommufd, dev, &id);
	if (ret)
		return ret;
	ret = vfio_device_open(dev);
	if (!ret && first) {
		ret = vfio_iommufd_compat_get(g->iommufd, &id);
		if (!ret)
			ret = iommufd_attach(dev, &id, NULL);
		if (ret)
			vfio_device_close(dev);
	}
	if (ret && first)
		iommufd_unbind(dev);
	if (!ret)
		g->iommufd_files++;
	return ret;
}

/*
 * The order of the kernel: a token is looked at, and may be set, before it is asked whether the
 * group is ready.
 */
int vfio_group_open_device(struct vfio_group *g, const char *name, const uint8_t *uuid,
			   struct vfio_device **out, struct vfio_ioas **io, bool *by_iommufd)
{
	struct vfio_device *dev;
	int ret;

	pthread_mutex_lock(&g->lock);
	*by_iommufd = g->iommufd;
	dev = find(g, name);
	ret = dev ? vfio_device_check_token(dev, uuid) : -ENODEV;
	if (ret)
		goto out;
	if (g->iommufd) {
		*io = NULL;
		ret = g->noiommu ? open_without_iommu(g, dev) : open_by_iommufd(g, dev);
		if (!ret)
			goto opened;
		goto out;
	}
	ret = -EINVAL;
	*io = g->container ? vfio_container_ioas(g->container) : NULL;
	if (!*io && g->noiommu && g->container && vfio_container_is_noiommu(g->container)) {
		ret = vfio_may_rawio(g->system) ? 0 : -EPERM;
		if (ret)
			goto out;
	} else if (!*io) {
		report_warn("device-before-iommu", name, -EINVAL, "GROUP_GET_DEVICE_FD before %s",
			    g->container ? "SET_IOMMU" : "GROUP_SET_CONTAINER");
		goto out;
	}
	ret = vfio_device_open_for(dev, *io);
	if (ret)
		goto out;
	ret = *io ? enter(dev, *io) : 0;
	if (ret) {
		vfio_device_close(dev);
		goto out;
	}
opened:
	if (g->noiommu)
		say_noiommu(dev);
	g->device_files++;
	atomic_fetch_add(&dev->by_group, 1);
	*out = dev;
out:
	pthread_mutex_unlock(&g->lock);
	return ret;
}

void vfio_group_close_device(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io,
			     bool by_iommufd)
{
	pthread_mutex_lock(&g->lock);
	atomic_fetch_sub(&dev->by_group, 1);
	vfio_device_close(dev);
	if (io) {
		leave(dev, io);
	} else if (by_iommufd) {
		if (!dev->open_count)
			iommufd_unbind(dev);
		g->iommufd_files--;
	}
	g->device_files--;
	pthread_mutex_unlock(&g->lock);
}

void vfio_group_closed_device(struct vfio_group *g)
{
	struct vfio_system *s = g->system;
	bool owned = false, left = false;

	pthread_mutex_lock(&g->take_lock);
	pthread_mutex_lock(&g->lock);
	if (!g->iommufd_files) {
		left = g->left;
		g->left = false;
		owned = g->owned && !g->iommufd && !g->container;
		if (owned)
			g->owned = false;
	}
	pthread_mutex_unlock(&g->lock);
	if (owned)
		own(g, false);
	if (left && s->env->claim)
		s->env->claim(s->env_arg, g->iommu->id, VFIO_CLAIM_NONE);
	pthread_mutex_unlock(&g->take_lock);
}

int group_attach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io)
{
	int ret;

	if (g->attached && g->ioas != io)
		return -EINVAL;
	ret = enter(dev, io);
	if (ret)
		return ret;
	if (!g->attached++) {
		if (!io->noiommu)
			vfio_ioas_attach(io, g->iommu);
		g->ioas = io;
	}
	return 0;
}

void group_detach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io)
{
	if (!--g->attached) {
		if (!io->noiommu)
			vfio_ioas_detach(io, g->iommu);
		g->ioas = NULL;
	}
	leave(dev, io);
}

/* Take the attached devices among the first @n of @g from @from to @to: all or none. */
static int move_all(struct vfio_group *g, struct vfio_ioas *from, struct vfio_ioas *to, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct vfio_device *dev = g->places[i].dev;
		int ret;

		if (!dev || !dev->attached || !dev->ops->attach)
			continue;
		dev->ops->detach(dev, from);
		ret = dev->ops->attach(dev, to);
		if (!ret)
			continue;
		/* it had been there, so that it can come back */
		if (dev->ops->attach(dev, from))
			report_err("attach-lost", dev->name, ret,
				   "attach to another address space: %m: it has none now");
		move_all(g, to, from, i);
		return ret;
	}
	return 0;
}

int group_replace(struct vfio_group *g, struct vfio_ioas *from, struct vfio_ioas *to)
{
	int ret = to->noiommu ? 0 : move_all(g, from, to, g->n);

	if (ret)
		return ret;
	if (!to->noiommu)
		vfio_ioas_replace(from, to, g->iommu);
	g->ioas = to;
	return 0;
}

int vfio_group_attach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io)
{
	int ret;

	pthread_mutex_lock(&g->lock);
	ret = group_attach(g, dev, io);
	pthread_mutex_unlock(&g->lock);
	return ret;
}

void vfio_group_detach(struct vfio_group *g, struct vfio_device *dev, struct vfio_ioas *io)
{
	pthread_mutex_lock(&g->lock);
	group_detach(g, dev, io);
	pthread_mutex_unlock(&g->lock);
}
