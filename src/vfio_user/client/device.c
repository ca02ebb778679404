/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/device.c: a device behind a socket, as the waist has it: found, opened, reset
 * and closed.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "vfio/migrate.h"
#include "vfio_user/client/internal.h"

/* ---- operations ---- */

static int reset(struct vfio_device *dev)
{
	struct vu_client *c = to_client(dev);
	const struct vu_request r = { .command = VU_DEVICE_RESET };
	struct vu_kept kept;
	int rc;

	if (vu_session_is_lost(c->session))
		return -ENOTTY;
	vu_face_keep(c, c->session, &kept);
	rc = vu_session_do(c->session, &r);
	if (!rc) {
		vu_face_give_back(c, c->session, &kept);
		vfio_migrate_reset(dev);
	}
	return rc;
}

/* By the host, or with others of its slot. One that is not open is reset by its next open. */
static int host_reset(struct vfio_device *dev)
{
	if (!(dev->flags & VFIO_DEVICE_FLAGS_RESET))
		return -ENOTTY;
	return to_client(dev)->session ? reset(dev) : 0;
}

/* Have the device be as it is for a new user: 0 or -errno, with @why. */
static int start(struct vu_client *c, struct vu_session *s, struct vu_why *why)
{
	const struct vu_request r = { .command = VU_DEVICE_RESET };
	int rc = vu_commands_start(s);

	if (rc)
		return vu_fail(why, rc, "no thread for its commands: %s", strerror(-rc));
	if (c->vdev.flags & VFIO_DEVICE_FLAGS_RESET) {
		rc = vu_session_do(s, &r);
		if (rc && vu_session_is_lost(s))
			return vu_fail(why, rc, "it went away");
		if (rc)
			report_warn("vfio-user-reset", c->vdev.name, rc,
				    "its server does not reset it, as an open does");
	}
	vu_face_restore(c, s);
	return 0;
}

/*
 * Have the device of the connection *@s be as it is for a new user. It is used by *@s then, which
 * is another one where it outlives its server.
 */
static int begin(struct vu_client *c, struct vu_session **s, struct vu_why *why)
{
	struct vu_session *connection = *s;
	int rc = 0;

	if (vu_session_lasts(connection))
		rc = vu_resume_new(connection, s);
	if (!rc)
		rc = start(c, connection, why);
	if (!rc && *s != connection)
		rc = vu_resume_start(*s);
	return rc ? vu_fail(why, rc, "%s", strerror(-rc)) : 0;
}

static int open_device(struct vfio_device *dev)
{
	struct vu_client *c = to_client(dev);
	struct vu_why why = { "" };
	struct vu_session *s = c->spare;
	int rc = 0;

	c->spare = NULL;
	/* it may have ended while nobody looked */
	if (s && vu_conn_error(s->conn)) {
		vu_session_put(s);
		s = NULL;
	}
	if (!s || c->learnt_mmap != c->mmap) {
		if (!s)
			rc = vu_session_new(c, NULL, NULL, &s, &why);
		if (!rc)
			rc = vu_learn(c, s, &why);
	}
	if (!rc)
		rc = begin(c, &s, &why);
	if (!rc) {
		c->session = s;
		return 0;
	}
	if (s) {
		vu_session_end(s);
		vu_session_put(s);
	}
	return report_err("vfio-user-open", dev->name, rc, "its server (%s): %s", c->where,
			  why.text);
}

/*
 * Regions stay until the next open: a client may look at one that it got before. What the device
 * does is over when it was reset; a server that only sees the connection end may be late.
 */
static void close_device(struct vfio_device *dev)
{
	const struct vu_request r = { .command = VU_DEVICE_RESET };
	struct vu_client *c = to_client(dev);
	struct vu_session *s = c->session;

	/* those that are there wait no longer than for an answer */
	if (s->resume)
		vu_resume_leave(s->resume);
	vu_ioeventfds_drop(c);
	if (dev->flags & VFIO_DEVICE_FLAGS_RESET && !vu_session_is_lost(s))
		vu_session_do(s, &r);
	vu_session_end(s);
	vu_irqs_drop(c);
	c->given_used = c->given >= 0;
	c->session = NULL;
	vu_session_put(s);
}

static const struct vfio_device_ops ops = {
	.open = open_device,
	.close = close_device,
	.attach = vu_client_attach,
	.detach = vu_client_detach,
	.region = vu_client_get_region,
	.irq = vu_client_get_irq,
	.rw = vu_client_rw,
	.mmio = vu_client_mmio,
	.set_irqs = vu_client_set_irqs,
	.reset = reset,
	.host_reset = host_reset,
	.slot_reset = host_reset,
	.ioeventfd = vu_client_ioeventfd,
	.request = vu_client_request,
};

/* ---- its life ---- */

/* Take "fd:N", or a path. 0; -EINVAL, -EBADF with @why. */
static int set_where(struct vu_client *c, const char *where, struct vu_why *why)
{
	unsigned long n;
	char *end;

	c->given = -1;
	c->where = heap_alloc(strlen(where) + 1);
	if (!c->where)
		return vu_fail(why, -ENOMEM, "out of memory");
	strcpy(c->where, where);
	if (strncmp(where, "fd:", 3))
		return 0;
	n = strtoul(where + 3, &end, 10);
	if (where[3] < '0' || where[3] > '9' || *end || n > INT_MAX)
		return vu_fail(why, -EINVAL, "fd:N, with N the number of a connected socket");
	c->given = fd_dup_private((int)n);
	return c->given < 0 ? vu_fail(why, c->given, "descriptor %lu: %s", n, strerror(-c->given))
			    : 0;
}

static void init(struct vu_client *c, const struct vu_client_options *o)
{
	c->o = *o;
	if (!c->o.timeout_ns)
		c->o.timeout_ns = VU_CLIENT_TIMEOUT_NS;
	iommu_device_init(&c->iommu, o->name);
	vfio_device_init(&c->vdev, &ops, o->name, &c->iommu);
	c->vdev.flags = VFIO_DEVICE_FLAGS_PCI;
	c->vdev.num_regions = VFIO_PCI_NUM_REGIONS;
	c->vdev.num_irqs = VFIO_PCI_NUM_IRQS;
	pthread_mutex_init(&c->irq_lock, NULL);
	pthread_mutex_init(&c->config_lock, NULL);
	vfio_trigger_init(&c->err);
	vfio_trigger_init(&c->req);
	CDS_INIT_LIST_HEAD(&c->ioeventfds);
	c->dma.self = -1;
}

int vu_client_new(const char *where, const struct vu_client_options *o, struct vu_client **out,
		  char **err)
{
	struct vu_client *c = heap_alloc(sizeof(*c));
	struct vu_why why = { "" };
	int rc = -ENOMEM;

	*err = NULL;
	if (!c)
		return rc;
	init(c, o);
	rc = set_where(c, where, &why);
	if (!rc)
		rc = vu_session_new(c, NULL, NULL, &c->spare, &why);
	if (!rc)
		rc = vu_learn(c, c->spare, &why);
	if (!rc) {
		vu_vpd_read(c, c->spare);
		c->table.bar = vu_face_msix_table(c);
		if (c->table.bar >= 0)
			vu_face_msix_bounds(c, (uint32_t)c->table.bar, &c->table.start,
					    &c->table.end);
		*out = c;
		return 0;
	}
	if (asprintf(err, "%s: %s", where, *why.text ? why.text : strerror(-rc)) < 0)
		*err = NULL;
	vu_client_free(c);
	return rc;
}

void vu_client_let_go(struct vu_client *c)
{
	vu_session_put(c->spare);
	c->spare = NULL;
}

void vu_client_free(struct vu_client *c)
{
	if (!c)
		return;
	vu_client_let_go(c);
	vu_forget(c);
	vfio_migrate_free(&c->vdev);
	fd_close_private(c->given);
	vfio_device_fini(&c->vdev);
	iommu_device_fini(&c->iommu);
	pthread_mutex_destroy(&c->config_lock);
	pthread_mutex_destroy(&c->irq_lock);
	heap_free(c->vpd_data);
	heap_free(c->where);
	heap_free(c);
}

static void abandon(struct vu_session *s)
{
	if (s)
		vu_session_abandon(s);
}

void vu_client_abandon(struct vu_client *c)
{
	abandon(c->spare);
	abandon(c->session);
	if (c->dma.s != c->session)
		abandon(c->dma.s);
	fd_close_private(c->dma.self);
	for (unsigned i = 0; i < VU_CLIENT_REGIONS; i++)
		for (unsigned k = 0; k < c->regions[i].num_fds; k++)
			fd_close_private(c->regions[i].fds[k]);
	fd_close_private(c->given);
}

void vu_client_lose(struct vu_client *c)
{
	pthread_mutex_lock(&c->vdev.lock);
	if (c->session && c->session->resume) {
		vu_resume_pull(c->session->resume);
	} else if (c->session) {
		vu_conn_kill(c->session->conn, -ENODEV);
		vu_session_lost(c->session);
	}
	pthread_mutex_unlock(&c->vdev.lock);
}

void vu_client_set_address(struct vu_client *c, const struct pci_address *at)
{
	c->vdev.address = *at;
}

void vu_client_set_mmap(struct vu_client *c, enum vu_client_mmap how)
{
	/* a monitor on KVM says it again, with nothing new, while others look */
	if (c->mmap != how)
		c->mmap = how;
}

struct vfio_device *vu_client_vdev(struct vu_client *c)
{
	return &c->vdev;
}

struct iommu_device *vu_client_iommu(struct vu_client *c)
{
	return &c->iommu;
}
