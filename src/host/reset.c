/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/reset.c: resets of a device of the host: alone, by its user or by the host, and together
 * with all that a reset of its slot or bus reaches, which the kernel knows and does.
 */
#include <string.h>

#include "base/heap.h"
#include "host/internal.h"
#include "vfio/group.h"

int host_reset(struct vfio_device *dev)
{
	struct host_device *h = to_host(dev);

	return h->env->ioctl(h->fd, VFIO_DEVICE_RESET, NULL);
}

/* As root does by the file `reset`. A device that has none has no such file. */
int host_host_reset(struct vfio_device *dev)
{
	struct host_device *h = to_host(dev);
	int ret = host_sysfs_write(h->env, h->name, "reset", "1");

	if (ret >= 0)
		return 0;
	return ret == -ENOENT ? -ENOTTY
			      : report_err("host-reset", dev->name, ret,
					   "reset of %s by the host's sysfs: %m", h->name);
}

/* ---- together with others ---- */

/* Get the list of what is reset with @h: memory of base/heap.h. 0 or -errno. */
static int get_list(struct host_device *h, struct vfio_pci_hot_reset_info **out)
{
	struct vfio_pci_hot_reset_info *info = NULL, *more;
	uint32_t room = 0;
	size_t size;
	int ret;

	do {
		size = sizeof(*info) + room * sizeof(info->devices[0]);
		more = heap_resize(info, size);
		ret = -ENOMEM;
		if (!more)
			break;
		info = more;
		*info = (struct vfio_pci_hot_reset_info){ .argsz = (uint32_t)size };
		ret = h->env->ioctl(h->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
		/* the kernel says how many there are: devices may come meanwhile */
		if (ret != -ENOSPC || info->count <= room || info->count > UINT16_MAX)
			break;
		room = info->count;
	} while (true);
	if (ret >= 0 && info->count > room)
		ret = -EINVAL;
	if (ret < 0)
		heap_free(info);
	else
		*out = info;
	return ret < 0 ? ret : 0;
}

static struct pci_address address_of(const struct vfio_pci_dependent_device *d)
{
	return (struct pci_address){
		.segment = d->segment,
		.bus = d->bus,
		.device = d->devfn >> 3,
		.function = d->devfn & 7,
	};
}

/* Return the number of the group that the host has the function at @at in; UINT32_MAX: none. */
static unsigned group_of(struct host_device *h, const struct pci_address *at)
{
	char name[PCI_ADDRESS_TEXT];
	int id;

	pci_address_print(at, name);
	id = host_sysfs_group(h->env, name);
	return id < 0 ? UINT32_MAX : (unsigned)id;
}

/* Find a function of the host in our system, or at least its group. */
static struct vfio_place place_of(struct host_device *h, const struct pci_address *at)
{
	struct vfio_place out = { .address = *at, .slot = *at, .outside = group_of(h, at) };
	struct vfio_system *s = h->vdev.group ? h->vdev.group->system : NULL;

	if (!s)
		return out;
	pthread_mutex_lock(&s->topology_lock);
	for (unsigned i = 0; i < s->n; i++) {
		for (unsigned k = 0; k < s->groups[i]->n; k++) {
			const struct vfio_place *p = &s->groups[i]->places[k];
			const struct host_device *other = p->dev ? host_of(p->dev) : NULL;

			if (!other || other->env != h->env || other->group != out.outside)
				continue;
			out.group = s->groups[i];
			if (!pci_address_equal(&other->address, at))
				continue;
			out.dev = p->dev;
			out.address = p->address;
			out.resets = true;
		}
	}
	pthread_mutex_unlock(&s->topology_lock);
	return out;
}

int host_slot(struct vfio_device *dev, struct vfio_place *out, unsigned max)
{
	struct host_device *h = to_host(dev);
	struct vfio_pci_hot_reset_info *list;
	int ret = get_list(h, &list);

	if (ret)
		return ret;
	for (uint32_t i = 0; i < list->count && i < max; i++) {
		struct pci_address at = address_of(&list->devices[i]);

		out[i] = place_of(h, &at);
	}
	ret = (int)list->count;
	heap_free(list);
	return ret;
}

/* Put the file of a function's group into @r, if it is not there yet. -EINVAL: it is not ours. */
static int add_file(struct host_device *h, struct vfio_pci_hot_reset *r,
		    const struct vfio_pci_dependent_device *d)
{
	struct pci_address at = address_of(d);
	char name[PCI_ADDRESS_TEXT];
	int fd = h->way->reset_file(h, d->group_id);

	if (fd < 0) {
		pci_address_print(&at, name);
		return report_err("host-hot-reset", h->vdev.name, -EINVAL,
				  "hot reset: %s, which is reset with it, is in group %u of the "
				  "host, which is not open here",
				  name, d->group_id);
	}
	for (uint32_t i = 0; i < r->count; i++)
		if (r->group_fds[i] == fd)
			return 0;
	r->group_fds[r->count++] = fd;
	return 0;
}

int host_hot_reset(struct vfio_device *dev)
{
	struct host_device *h = to_host(dev);
	struct vfio_pci_hot_reset_info *list;
	struct vfio_pci_hot_reset *r = NULL;
	size_t size;
	int ret = get_list(h, &list);

	if (ret)
		return ret;
	size = sizeof(*r) + list->count * sizeof(r->group_fds[0]);
	r = heap_alloc(size);
	if (!r)
		ret = -ENOMEM;
	for (uint32_t i = 0; i < list->count && !ret && h->way->reset_file; i++)
		ret = add_file(h, r, &list->devices[i]);
	if (!ret) {
		r->argsz = (uint32_t)size;
		ret = h->env->ioctl(h->fd, VFIO_DEVICE_PCI_HOT_RESET, r);
	}
	heap_free(r);
	heap_free(list);
	return ret < 0 ? ret : 0;
}
