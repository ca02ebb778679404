/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/group.c: the way to a device by its group. The kernel lets a group's file be open once, and
 * gives devices of it only when it is in a container with an IOMMU, which it cannot leave while one
 * of them is open. So the devices of a group share its file, and what is open for one address space
 * shares a container where the kernel lets it. Everything is undone in reverse with the last
 * device.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/uuid.h"
#include "host/internal.h"
#include "vfio/group.h"

/* A group of the kernel's that is open here. */
struct kernel_group {
	struct cds_list_head node; /* host_system.groups */
	unsigned id;
	unsigned users; /* devices that are open, or attached yet */
	int fd;
	struct kernel_container *container;
};

/*
 * What a struct vfio_system has of the kernel's. Its lock comes after those of the waist's groups
 * and devices, and before those of address spaces.
 */
struct host_system {
	pthread_mutex_t lock; /* guards the lists, and all in them */
	struct cds_list_head groups, containers;
};

static void free_system(void *host)
{
	struct host_system *hs = host;

	pthread_mutex_destroy(&hs->lock);
	heap_free(hs);
}

/* Return what the system of @h has of the kernel's, or NULL: no memory. */
static struct host_system *system_of(struct host_device *h)
{
	struct vfio_system *s = h->vdev.group->system;
	struct host_system *hs;

	pthread_mutex_lock(&s->lock);
	hs = s->host;
	if (!hs) {
		hs = heap_alloc(sizeof(*hs));
		if (hs) {
			pthread_mutex_init(&hs->lock, NULL);
			CDS_INIT_LIST_HEAD(&hs->groups);
			CDS_INIT_LIST_HEAD(&hs->containers);
			s->host_free = free_system;
			s->host = hs;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return hs;
}

/* ---- opening a group ---- */

struct siblings {
	struct host_device *h;
	char text[256];
	size_t len;
};

/* Note a function of the group, if it has a driver that keeps users out. */
static int note_sibling(const char *name, void *arg)
{
	struct siblings *s = arg;
	char driver[64];

	if (host_sysfs_link(s->h->env, name, "driver", driver, sizeof(driver)) < 0 ||
	    strstr(driver, "vfio") || !strcmp(driver, "pci-stub") || !strcmp(driver, "pcieport"))
		return 0;
	if (s->len < sizeof(s->text))
		s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s%s to %s",
					   s->len ? ", " : "", name, driver);
	return 0;
}

static int not_viable(struct host_device *h)
{
	struct siblings s = { .h = h };
	char path[64];

	snprintf(path, sizeof(path), "kernel/iommu_groups/%u/devices", h->group);
	host_sysfs_each(h->env, path, note_sibling, &s);
	return report_err("host-viable", h->vdev.name, -EPERM,
			  "group %u of the host is not viable: bound to a driver of the host: %s. "
			  "Bind all of the group to vfio-pci, or unbind them",
			  h->group, s.len ? s.text : "a device that sysfs does not show");
}

/* Open the file of @h's group, or take the one that was given: a private descriptor, or -errno. */
static int open_file(struct host_device *h)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[HOST_PATH];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/vfio/%u", h->env->dev, h->group);
	if (h->given >= 0) {
		ret = fd_dup_private(h->given);
	} else {
		fd = h->env->open(path, O_RDWR | O_CLOEXEC, 0);
		if (fd == -EBUSY)
			return report_err(
				"host-group-busy", h->vdev.name, -EBUSY,
				"group %u of the host is in use: somebody else has %s, or "
				"a character device of it, open",
				h->group, path);
		if (fd < 0)
			return report_err(
				"host-group", h->vdev.name, fd, "%s cannot be opened: %m%s", path,
				fd == -EACCES || fd == -EPERM ? ". It must be yours (chown)" : "");
		ret = fd_make_private(fd);
		if (ret < 0)
			sys_close(fd);
	}
	if (ret < 0)
		return ret;
	fd = ret;
	ret = h->env->ioctl(fd, VFIO_GROUP_GET_STATUS, &status);
	if (ret < 0)
		report_err("host-group", h->vdev.name, ret, "GROUP_GET_STATUS of group %u",
			   h->group);
	else if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		ret = not_viable(h);
	else if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		ret = report_err("host-group-busy", h->vdev.name, -EBUSY,
				 "group %u of the host has a container of somebody else's",
				 h->group);
	if (ret < 0) {
		fd_close_private(fd);
		return ret;
	}
	return fd;
}

int host_check(struct host_device *h)
{
	bool by_group = h->way == &host_by_group;
	char path[HOST_PATH];
	int fd;

	/* who has the right to the device alone cannot ask */
	snprintf(path, sizeof(path), "%s/vfio/%u", h->env->dev, h->group);
	if (h->given >= 0 ||
	    (!by_group && sys_call(SYS_faccessat, AT_FDCWD, (long)path, R_OK | W_OK, 0, 0, 0)))
		return 0;
	fd = open_file(h);
	if (fd < 0)
		return fd;
	fd_close_private(fd);
	return 0;
}

static int set_container(const struct host_device *h, int group, const struct kernel_container *c)
{
	int fd = c->fd;

	return h->env->ioctl(group, VFIO_GROUP_SET_CONTAINER, &fd);
}

/*
 * Put group @g into a container: that of devices in @io, if the kernel lets it, or a new one. An
 * IOMMU of other abilities, or with ranges that are in use, is no error, but needs another one.
 */
static int join_container(struct host_system *hs, struct host_device *h, struct kernel_group *g,
			  struct vfio_ioas *io)
{
	struct kernel_container *c;
	int ret;

	cds_list_for_each_entry(c, &hs->containers, node) {
		if (!io || c->io != io || set_container(h, g->fd, c) < 0)
			continue;
		c->groups++;
		g->container = c;
		vfio_ioas_relisten(io);
		return 0;
	}
	ret = host_container_new(h->env, h->vdev.name, &c);
	if (ret)
		return ret;
	ret = set_container(h, g->fd, c);
	if (ret < 0) {
		report_err("host-container", h->vdev.name, ret, "GROUP_SET_CONTAINER of group %u",
			   h->group);
		goto free;
	}
	ret = host_container_set_iommu(c);
	if (ret) {
		h->env->ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
		goto free;
	}
	c->groups = 1;
	g->container = c;
	cds_list_add_tail(&c->node, &hs->containers);
	return 0;
free:
	host_container_free(c);
	return ret;
}

/* Count one device more in @h's group, which is opened for the first. */
static int get_group(struct host_system *hs, struct host_device *h, struct vfio_ioas *io,
		     struct kernel_group **out)
{
	struct kernel_group *g;
	int ret;

	cds_list_for_each_entry(g, &hs->groups, node) {
		if (g->id != h->group)
			continue;
		g->users++;
		*out = g;
		return 0;
	}
	g = heap_alloc(sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->id = h->group;
	ret = open_file(h);
	if (ret < 0)
		goto free;
	g->fd = ret;
	ret = join_container(hs, h, g, io);
	if (ret)
		goto close;
	g->users = 1;
	cds_list_add_tail(&g->node, &hs->groups);
	*out = g;
	return 0;
close:
	fd_close_private(g->fd);
free:
	heap_free(g);
	return ret;
}

static void put_group(struct host_device *h, struct kernel_group *g)
{
	struct kernel_container *c = g->container;
	int ret;

	if (--g->users)
		return;
	ret = h->env->ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
	if (ret < 0)
		report_warn("host-group", h->vdev.name, ret,
			    "group %u of the host stays in its container", g->id);
	cds_list_del(&g->node);
	fd_close_private(g->fd);
	heap_free(g);
	if (--c->groups)
		return;
	cds_list_del(&c->node);
	host_container_free(c);
}

/* ---- opening a device ---- */

/* "0000:01:00.0 vf_token=UUID", as the kernel wants it */
#define NAME_MAX_BYTES (PCI_ADDRESS_TEXT + 64u)

/* Get a file of @h from its group, by this token (NULL: none): a descriptor, or -errno. */
static int get_device(struct host_device *h, int group, const uint8_t *uuid)
{
	char name[NAME_MAX_BYTES];

	strcpy(name, h->name);
	if (uuid) {
		strcat(name, " vf_token=");
		uuid_print(uuid, name + strlen(name));
	}
	return h->env->ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);
}

static int say_no_device(struct host_device *h, int err)
{
	const char *why = "";

	if (err == -ENODEV)
		why = ": it is not bound to vfio-pci any more";
	else if (err == -EACCES)
		why = ": its PF's user has set a VF token (vf_token=)";
	else if (err == -EINVAL)
		why = ": a VF token was given, and it takes none";
	return report_err("host-device", h->vdev.name, err,
			  "GROUP_GET_DEVICE_FD of %s in group %u of the host%s", h->name, h->group,
			  why);
}

static int open_by_group(struct host_device *h, struct vfio_ioas *io)
{
	const uint8_t *uuid = h->shown ? h->shown_token : h->has_token ? h->token : NULL;
	struct host_system *hs = system_of(h);
	struct kernel_group *g;
	int ret, fd;

	if (!hs)
		return -ENOMEM;
	pthread_mutex_lock(&hs->lock);
	ret = get_group(hs, h, io, &g);
	if (ret)
		goto unlock;
	ret = host_file_changed(h, g->fd, true);
	if (ret)
		goto put;
	fd = get_device(h, g->fd, uuid);
	ret = fd < 0 ? say_no_device(h, fd) : fd_make_private(fd);
	if (ret >= 0) {
		h->own = g;
		goto unlock;
	}
	if (fd >= 0)
		sys_close(fd);
	host_file_changed(h, g->fd, false);
put:
	put_group(h, g);
unlock:
	pthread_mutex_unlock(&hs->lock);
	return ret;
}

/* Give the group back when nothing of @h needs it any more. */
static void release(struct host_device *h)
{
	struct host_system *hs = system_of(h);
	struct kernel_group *g = h->own;

	pthread_mutex_lock(&hs->lock);
	host_file_changed(h, g->fd, false);
	put_group(h, g);
	h->own = NULL;
	pthread_mutex_unlock(&hs->lock);
}

static void closed_by_group(struct host_device *h)
{
	if (!h->attached)
		release(h);
}

static int attach_by_group(struct host_device *h, struct vfio_ioas *io)
{
	struct host_system *hs = system_of(h);
	struct kernel_group *g = h->own;
	int ret;

	pthread_mutex_lock(&hs->lock);
	ret = host_container_attach(g->container, io, h->vdev.name);
	if (!ret)
		h->attached = io;
	pthread_mutex_unlock(&hs->lock);
	return ret;
}

static void detach_by_group(struct host_device *h, struct vfio_ioas *io)
{
	struct host_system *hs = system_of(h);
	struct kernel_group *g = h->own;

	pthread_mutex_lock(&hs->lock);
	h->attached = NULL;
	host_container_detach(g->container);
	/* an open device cannot be taken out of a container */
	if (h->fd >= 0 && g->container->io)
		report_warn("host-attach", h->vdev.name, 0,
			    "it reaches memory of the address space that it was in until it is "
			    "closed: others of the host are in it");
	pthread_mutex_unlock(&hs->lock);
	if (h->fd < 0)
		release(h);
}

static int check_token_by_group(struct host_device *h, const uint8_t *uuid)
{
	struct kernel_group *g = h->own;
	int fd = get_device(h, g->fd, uuid);

	if (fd < 0)
		return say_no_device(h, fd);
	sys_close(fd);
	return 0;
}

static int reset_file_by_group(struct host_device *h, unsigned group)
{
	struct host_system *hs = system_of(h);
	struct kernel_group *g;
	int fd = -1;

	pthread_mutex_lock(&hs->lock);
	cds_list_for_each_entry(g, &hs->groups, node)
		if (g->id == group)
			fd = g->fd;
	pthread_mutex_unlock(&hs->lock);
	return fd;
}

static void abandon_by_group(struct host_device *h)
{
	struct kernel_group *g = h->own;

	if (!g)
		return;
	fd_close_private(g->fd);
	fd_close_private(g->container->fd);
	g->fd = g->container->fd = -1;
}

const struct host_way host_by_group = {
	.open = open_by_group,
	.closed = closed_by_group,
	.attach = attach_by_group,
	.detach = detach_by_group,
	.check_token = check_token_by_group,
	.reset_file = reset_file_by_group,
	.abandon = abandon_by_group,
};
