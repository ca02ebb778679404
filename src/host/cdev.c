/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/cdev.c: the way to a device of the host by its character device and an iommufd (Linux 6.6).
 * A system has one iommufd, since all devices of a group have to be bound to the same one; and an
 * address space of the waist has one IOAS in it, to which each of its devices is attached: the
 * kernel finds the page table, or makes it. A listener repeats there what is mapped.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/heap.h"
#include "host/internal.h"
#include "vfio/group.h"
#include "vfio/iommufd_defs.h"

/* The iommufd of a system, while a device of it is open or attached. */
struct ictx {
	struct cds_list_head node;
	const struct vfio_system *system;
	const struct host_env *env;
	int fd;
	unsigned users;
};

/* The IOAS of an address space, while a device is attached. */
struct space {
	struct cds_list_head node;
	struct vfio_ioas *io;
	struct ictx *ictx;
	uint32_t id;
	unsigned devices;
	bool by_address; /* the kernel has no IOMMU_IOAS_MAP_FILE: it is of 6.14 */
	struct vfio_ioas_listener listener;
};

/* host_device.own, from the first open or attach on until both have ended. */
struct cdev {
	struct ictx *ictx;
	struct space *space;
	bool with_token; /* it was bound by one */
};

/*
 * Guards the lists and the counts. After vfio_device.lock and vfio_group.lock, and before an
 * address space's: whoever attaches a device holds it while its memory is mapped.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CDS_LIST_HEAD(ictxs);
static CDS_LIST_HEAD(spaces);

/* ---- the iommufd ---- */

/* Write the path of the file by which iommufds are made. */
static char *iommu_path(const struct host_env *env, char path[HOST_PATH])
{
	snprintf(path, HOST_PATH, "%s/iommu", env->dev);
	return path;
}

static int get_ictx(struct host_device *h, struct ictx **out)
{
	const struct vfio_system *system = h->vdev.group ? h->vdev.group->system : NULL;
	char path[HOST_PATH];
	struct ictx *c;
	int fd;

	cds_list_for_each_entry(c, &ictxs, node) {
		if (c->system != system || c->env != h->env)
			continue;
		c->users++;
		*out = c;
		return 0;
	}
	c = heap_alloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	iommu_path(h->env, path);
	fd = h->env->open(path, O_RDWR | O_CLOEXEC, 0);
	c->fd = fd < 0 ? fd : fd_make_private(fd);
	if (c->fd < 0) {
		report_err("host-iommufd", h->vdev.name, c->fd, "%s cannot be opened: %m", path);
		if (fd >= 0)
			sys_close(fd);
		fd = c->fd;
		heap_free(c);
		return fd;
	}
	c->system = system;
	c->env = h->env;
	c->users = 1;
	cds_list_add(&c->node, &ictxs);
	*out = c;
	return 0;
}

static void put_ictx(struct ictx *c)
{
	if (!c || --c->users)
		return;
	cds_list_del(&c->node);
	fd_close_private(c->fd);
	heap_free(c);
}

/* ---- the IOAS ---- */

static int say_unmapped(const struct space *s, const struct vfio_ioas_range *r, int rc)
{
	return report_warn(REPORT_LIMITED("host-map"), "iommufd", rc,
			   "IOVA 0x%" PRIx64 ", %" PRIu64
			   " bytes%s: the host's IOMMU does not get it%s",
			   r->iova, r->size,
			   r->foreign  ? " of another process"
			   : r->device ? " of a device's registers"
				       : "",
			   r->device	   ? ": an iommufd maps memory only"
			   : r->moved	   ? ": the program took its view of the memory away before"
			   : rc == -ENOMEM ? " (is RLIMIT_MEMLOCK too small?)"
					   : "");
}

static int map_by_file(struct space *s, const struct vfio_ioas_range *r, uint32_t flags)
{
	struct iommu_ioas_map_file m = {
		.size = sizeof(m),
		.flags = flags,
		.ioas_id = s->id,
		.fd = r->fd,
		.start = r->fd_offset,
		.length = r->size,
		.iova = r->iova,
	};

	return s->ictx->env->ioctl(s->ictx->fd, IOMMU_IOAS_MAP_FILE, &m);
}

static int map_by_address(struct space *s, const struct vfio_ioas_range *r, uint32_t flags)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m),
		.flags = flags,
		.ioas_id = s->id,
		.user_va = r->vaddr,
		.length = r->size,
		.iova = r->iova,
	};

	return s->ictx->env->ioctl(s->ictx->fd, IOMMU_IOAS_MAP, &m);
}

static int map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	struct space *s = container_of_type(l, struct space, listener);
	uint32_t flags = IOMMU_IOAS_MAP_FIXED_IOVA |
			 (r->prot & IOMMU_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
			 (r->prot & IOMMU_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0);
	int rc = -ENOTTY;

	if (r->fd >= 0 && !s->by_address) {
		rc = map_by_file(s, r, flags);
		s->by_address = rc == -ENOTTY;
	}
	/* what is no memfd has pages of the program's that the kernel finds by the address, too */
	if (rc == -ENOTTY || rc == -EINVAL || rc == -EBADF)
		rc = r->device || r->moved ? -EFAULT : map_by_address(s, r, flags);
	return rc < 0 ? say_unmapped(s, r, rc) : 0;
}

static void unmap(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	struct space *s = container_of_type(l, struct space, listener);
	struct iommu_ioas_unmap u = {
		.size = sizeof(u),
		.ioas_id = s->id,
		.iova = r->iova,
		.length = r->size,
	};
	int rc = s->ictx->env->ioctl(s->ictx->fd, IOMMU_IOAS_UNMAP, &u);

	if (rc < 0 || u.length != r->size)
		report_err("host-unmap", "iommufd", rc < 0 ? rc : -EIO,
			   "IOVA 0x%" PRIx64 ", %" PRIu64 " bytes cannot be unmapped in the host's "
			   "IOMMU",
			   r->iova, r->size);
}

/*
 * Ask the kernel, which knows what the devices that are attached can reach. Without an answer
 * nothing more can be mapped.
 */
static void limits(struct vfio_ioas_listener *l, struct vfio_ioas_limits *out)
{
	struct space *s = container_of_type(l, struct space, listener);
	struct iommu_iova_range r[VFIO_IOAS_RANGES];
	struct iommu_ioas_iova_ranges q = {
		.size = sizeof(q),
		.ioas_id = s->id,
		.num_iovas = VFIO_IOAS_RANGES,
		.allowed_iovas = (uintptr_t)r,
	};
	int rc = s->ictx->env->ioctl(s->ictx->fd, IOMMU_IOAS_IOVA_RANGES, &q);

	*out = (struct vfio_ioas_limits){ .avail = UINT32_MAX };
	/* -EMSGSIZE: there are more, and the first ones are here */
	if (rc < 0 && rc != -EMSGSIZE) {
		report_err("host-ranges", "iommufd", rc, "what can be mapped is not known: %m");
		return;
	}
	out->num_ranges = q.num_iovas < VFIO_IOAS_RANGES ? q.num_iovas : VFIO_IOAS_RANGES;
	for (unsigned i = 0; i < out->num_ranges; i++)
		out->ranges[i] = (struct vfio_iova_range){ r[i].start, r[i].last };
	if (q.out_iova_alignment)
		out->pgsizes = -q.out_iova_alignment;
}

static void destroy(struct ictx *c, uint32_t id)
{
	struct iommu_destroy d = { .size = sizeof(d), .id = id };
	int rc = c->env->ioctl(c->fd, IOMMU_DESTROY, &d);

	if (rc < 0)
		report_err("host-ioas", "iommufd", rc, "IOAS %u cannot be freed: %m", id);
}

/* Find the IOAS of @io, or make it, empty and without devices. */
static int get_space(struct ictx *c, struct vfio_ioas *io, struct space **out)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };
	struct space *s;
	int rc;

	cds_list_for_each_entry(s, &spaces, node) {
		if (s->io == io && s->ictx == c) {
			*out = s;
			return 0;
		}
	}
	s = heap_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	rc = c->env->ioctl(c->fd, IOMMU_IOAS_ALLOC, &a);
	if (rc < 0) {
		heap_free(s);
		return report_err("host-ioas", "iommufd", rc, "an IOAS cannot be made: %m");
	}
	s->io = io;
	s->ictx = c;
	c->users++;
	s->id = a.out_ioas_id;
	s->listener.map = map;
	s->listener.unmap = unmap;
	s->listener.limits = limits;
	cds_list_add(&s->node, &spaces);
	*out = s;
	return 0;
}

/* One device fewer; the last one takes the IOAS along, in which nothing is mapped any more. */
static void put_space(struct space *s)
{
	if (s->devices)
		return;
	cds_list_del(&s->node);
	destroy(s->ictx, s->id);
	put_ictx(s->ictx);
	heap_free(s);
}

/* ---- the device ---- */

struct found {
	char name[16]; /* "vfio3" */
};

static int find_name(const char *name, void *arg)
{
	struct found *f = arg;

	if (strncmp(name, "vfio", 4) || strlen(name) >= sizeof(f->name))
		return 0;
	strcpy(f->name, name);
	return 1;
}

int host_cdev_path(const struct host_device *h, char path[HOST_PATH])
{
	struct found f = { "" };
	char dir[HOST_PATH];
	int rc;

	snprintf(dir, sizeof(dir), "bus/pci/devices/%s/vfio-dev", h->name);
	rc = host_sysfs_each(h->env, dir, find_name, &f);
	if (rc != 1)
		return !rc || rc == -ENOENT ? -ENODEV : rc;
	snprintf(path, HOST_PATH, "%s/vfio/devices/%s", h->env->dev, f.name);
	/* a kernel without them (CONFIG_VFIO_DEVICE_CDEV) has the directory all the same */
	return sys_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0) ? -ENODEV : 0;
}

static bool may_open(const char *path)
{
	return !sys_call(SYS_faccessat, AT_FDCWD, (long)path, R_OK | W_OK, 0, 0, 0);
}

bool host_cdev_usable(const struct host_device *h)
{
	char path[HOST_PATH];

	return !host_cdev_path(h, path) && may_open(path) && may_open(iommu_path(h->env, path));
}

static int open_file(struct host_device *h)
{
	char path[HOST_PATH];
	int fd, rc;

	if (h->given >= 0)
		return fd_dup_private(h->given);
	rc = host_cdev_path(h, path);
	if (rc)
		return report_err("host-cdev", h->vdev.name, rc,
				  "its character device is not found: %s",
				  rc == -ENODEV ? "its driver in the host is not of VFIO, or the "
						  "kernel has none (CONFIG_VFIO_DEVICE_CDEV)"
						: "sysfs cannot be read");
	fd = h->env->open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return report_err("host-cdev", h->vdev.name, fd, "%s cannot be opened: %m", path);
	rc = fd_make_private(fd);
	if (rc < 0)
		sys_close(fd);
	return rc;
}

/* Bind the open file @fd to the iommufd, by this token (NULL: none). 0 or the kernel's answer. */
static int bind(const struct host_device *h, int fd, const struct ictx *c, const uint8_t *uuid)
{
	struct vfio_device_bind_iommufd b = {
		/* kernels before the token know no more */
		.argsz = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr),
		.iommufd = c->fd,
	};
	int rc;

	if (uuid) {
		b.argsz = sizeof(b);
		b.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		b.token_uuid_ptr = (uintptr_t)uuid;
	}
	rc = h->env->ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &b);
	return rc < 0 ? rc : 0;
}

static int say_not_bound(const struct host_device *h, int err, bool has_token)
{
	const char *why = "the kernel does not bind it";

	/* a device that is open is the kernel's EINVAL; so is a token that is not asked for */
	if (err == -EINVAL && !has_token)
		err = -EBUSY;
	if (err == -EBUSY)
		why = "somebody else has it, or its group, open";
	else if (err == -EINVAL)
		why = "it is open, or takes no VF token";
	else if (err == -EACCES)
		why = "its PF's user has set a VF token (vf_token=)";
	else if (err == -EPERM)
		why = "its group is not viable: a driver of the host has another device of it";
	return report_err("host-bind", h->vdev.name, err, "it cannot be had from the host: %s",
			  why);
}

/* Forget what @h has of this way, when it is neither open nor attached. */
static void drop(struct host_device *h)
{
	struct cdev *own = h->own;

	if (!own || h->fd >= 0 || own->space)
		return;
	put_ictx(own->ictx);
	heap_free(own);
	h->own = NULL;
}

static int get_own(struct host_device *h)
{
	struct cdev *own;
	int rc;

	if (h->own)
		return 0;
	own = heap_alloc(sizeof(*own));
	if (!own)
		return -ENOMEM;
	rc = get_ictx(h, &own->ictx);
	if (rc) {
		heap_free(own);
		return rc;
	}
	h->own = own;
	return 0;
}

static int open_by_cdev(struct host_device *h, struct vfio_ioas *io)
{
	const uint8_t *uuid = h->shown ? h->shown_token : h->has_token ? h->token : NULL;
	struct cdev *own;
	int fd, rc;

	pthread_mutex_lock(&lock);
	rc = get_own(h);
	if (rc)
		goto out;
	own = h->own;
	own->with_token = uuid;
	fd = rc = open_file(h);
	if (fd < 0)
		goto out_drop;
	rc = host_file_changed(h, fd, true);
	if (rc)
		goto close;
	rc = bind(h, fd, own->ictx, uuid);
	if (rc) {
		rc = say_not_bound(h, rc, uuid);
		host_file_changed(h, fd, false);
	}
close:
	if (rc)
		fd_close_private(fd);
out_drop:
	if (rc)
		drop(h);
	else
		rc = fd;
out:
	pthread_mutex_unlock(&lock);
	return rc;
}

/* To close it was to unbind it: the kernel has detached it, too. */
static void closed_by_cdev(struct host_device *h)
{
	pthread_mutex_lock(&lock);
	drop(h);
	pthread_mutex_unlock(&lock);
}

/*
 * The kernel looks at the token of a bind before it finds that the device is bound already. It has
 * one answer for that and for a token that is not asked for: then the first open had none.
 */
static int check_token_by_cdev(struct host_device *h, const uint8_t *uuid)
{
	int fd = open_file(h), rc;
	bool is_asked;

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&lock);
	is_asked = ((struct cdev *)h->own)->with_token;
	rc = bind(h, fd, ((struct cdev *)h->own)->ictx, uuid);
	pthread_mutex_unlock(&lock);
	fd_close_private(fd);
	if (rc == -EACCES || (rc == -EINVAL && uuid && !is_asked))
		return say_not_bound(h, rc, true);
	return 0;
}

static int attach_device(struct host_device *h, const struct space *s)
{
	struct vfio_device_attach_iommufd_pt a = {
		.argsz = offsetof(struct vfio_device_attach_iommufd_pt, pasid),
		.pt_id = s->id,
	};
	int rc = h->env->ioctl(h->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);

	if (rc >= 0)
		return 0;
	return report_err("host-attach", h->vdev.name, rc, "it cannot be attached to an IOAS: %s",
			  rc == -EADDRINUSE ? "there is memory where its messages or other "
					      "reserved ranges are"
					    : "the kernel refuses it");
}

static void detach_device(struct host_device *h)
{
	struct vfio_device_detach_iommufd_pt d = {
		.argsz = offsetof(struct vfio_device_detach_iommufd_pt, pasid),
	};

	if (h->fd >= 0)
		h->env->ioctl(h->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d);
}

/* The device comes first: what it cannot reach (reserved ranges) is then in no mapping. */
static int attach_by_cdev(struct host_device *h, struct vfio_ioas *io)
{
	struct space *s;
	struct cdev *own;
	int rc;

	pthread_mutex_lock(&lock);
	own = h->own;
	rc = get_space(own->ictx, io, &s);
	if (rc)
		goto out;
	rc = attach_device(h, s);
	if (!rc && !s->devices) {
		rc = vfio_ioas_listen(io, &s->listener);
		if (rc)
			detach_device(h);
	}
	if (rc) {
		put_space(s);
	} else {
		s->devices++;
		own->space = s;
		/* a further device may reach less than those before */
		vfio_ioas_relisten(io);
	}
out:
	pthread_mutex_unlock(&lock);
	return rc;
}

static void detach_by_cdev(struct host_device *h, struct vfio_ioas *io)
{
	struct cdev *own;
	struct space *s;

	pthread_mutex_lock(&lock);
	own = h->own;
	s = own->space;
	detach_device(h);
	own->space = NULL;
	if (--s->devices)
		vfio_ioas_relisten(io);
	else
		vfio_ioas_unlisten(io, &s->listener);
	put_space(s);
	drop(h);
	pthread_mutex_unlock(&lock);
}

/* All of them: a child has no use for any. */
static void abandon_by_cdev(struct host_device *h)
{
	struct cdev *own = h->own;

	if (own && own->ictx && own->ictx->fd >= 0) {
		fd_close_private(own->ictx->fd);
		own->ictx->fd = -1;
	}
	pthread_mutex_init(&lock, NULL);
	CDS_INIT_LIST_HEAD(&ictxs);
	CDS_INIT_LIST_HEAD(&spaces);
}

struct vfio_ioas_listener *host_cdev_listener(const struct host_device *h)
{
	const struct cdev *own = h->own;

	return &own->space->listener;
}

const struct host_way host_by_cdev = {
	.open = open_by_cdev,
	.closed = closed_by_cdev,
	.attach = attach_by_cdev,
	.detach = detach_by_cdev,
	.check_token = check_token_by_cdev,
	.abandon = abandon_by_cdev,
};
