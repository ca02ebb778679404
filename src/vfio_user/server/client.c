/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/client.c: a client's life: it says what it can (VFIO_USER_VERSION), gets the
 * device, has its commands carried out, and leaves the device as it is at first.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/thread.h"
#include "iommu/log.h"
#include "vfio/migrate.h"
#include "vfio_user/ring.h"
#include "vfio_user/server/internal.h"

/* A client that has connected says so in this time. */
#define VERSION_NS (10000 * MS)
/* One that takes nothing out of its socket for so long is lost. */
#define SEND_NS (30000 * MS)
/* QEMU has room for a reply to VERSION that is as long as its request, which is this long. */
#define QEMU_VERSION 214u

static void event(struct vu_server_client *c, enum vu_server_event e, int error)
{
	const struct vu_server_config *cfg = &c->s->cfg;

	if (cfg->event)
		cfg->event(cfg->arg, e, c->number, error);
}

static struct vu_conn_limits conn_limits(const struct vu_server *s)
{
	return (struct vu_conn_limits){ .max_data = s->cfg.limits.max_data,
					.max_fds = s->cfg.limits.max_fds,
					.max_queued = s->cfg.limits.max_queued,
					.timeout_ns = SEND_NS,
					.no_sockets = true };
}

/* ---- the device ---- */

static int read_regions(struct vu_server_client *c)
{
	uint32_t n = c->open.dev->num_regions;
	struct vfio_region r;

	c->region_sizes = calloc(n ? n : 1, sizeof(*c->region_sizes));
	if (!c->region_sizes)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		if (!vfio_device_region(&c->open, i, &r))
			c->region_sizes[i] = r.size;
	return 0;
}

static void close_device(struct vu_server_client *c)
{
	vu_migration_end(c);
	vu_io_fds_fini(c);
	vu_eventfds_fini(c);
	vu_lasting_leave(c);
	vfio_open_close(&c->open);
	vu_lasting_left(c);
	vfio_ioas_put(c->io);
	c->io = NULL;
	vu_dma_fini(c);
	free(c->region_sizes);
	c->region_sizes = NULL;
}

static int open_taken(struct vu_server_client *c)
{
	const struct vu_server_config *cfg = &c->s->cfg;
	int ret;

	cfg->dev->maskable = true;
	if (cfg->dev->migrate)
		vfio_migrate_bound(cfg->dev->migrate, cfg->limits.max_migration);
	if (cfg->dev->iommu)
		iommu_log_bound(cfg->dev->iommu, cfg->limits.max_dirty_log);
	vfio_open_init(&c->open, cfg->dev);
	c->io = vfio_ioas_new(cfg->system, false);
	if (!c->io)
		return -ENOMEM;
	vfio_open_expect(&c->open, c->io);
	ret = vfio_open_bind(&c->open);
	if (!ret)
		ret = vfio_device_attach(&c->open, c->io);
	if (!ret)
		ret = read_regions(c);
	if (ret)
		close_device(c);
	return ret;
}

/* Have the device be as the client knows it, or be a new one that has a name. 0 or -errno. */
static int make_last(struct vu_server_client *c)
{
	int ret;

	c->caps.named |= VU_CAP_UVFIO;
	c->caps.lasting.kind = VU_LASTING_NEW;
	if (c->theirs.lasting.kind == VU_LASTING_RESUME) {
		ret = vu_lasting_resume(c);
		if (!ret)
			return 0;
		close_device(c);
		ret = open_taken(c);
		if (ret)
			return ret;
	}
	ret = vu_lasting_begin(c);
	if (ret)
		close_device(c);
	return ret;
}

static int open_device(struct vu_server_client *c)
{
	int ret = vu_server_take(c);

	if (ret)
		return ret;
	/* who cannot come back does not want what somebody else left */
	if (c->s->cfg.state && !vu_lasting_wanted(c))
		lasting_drop(c->s->cfg.state);
	ret = open_taken(c);
	if (!ret && vu_lasting_wanted(c))
		ret = make_last(c);
	if (ret)
		vu_server_give_back(c);
	return ret;
}

/* ---- VERSION ---- */

static struct vu_caps our_caps(const struct vu_server_client *c)
{
	const struct vu_server *s = c->s;
	struct vu_caps caps;

	vu_caps_default(&caps);
	caps.max_msg_fds = s->cfg.limits.max_fds;
	caps.max_data_xfer_size = s->cfg.limits.max_data;
	caps.max_dma_maps = s->cfg.limits.max_dma_maps;
	caps.pgsizes = PAGE_SIZE_4K;
	/* a device that lasts is used by one command after the other, each with its answer */
	caps.ring = caps.write_multiple = !vu_lasting_wanted(c);
	caps.twin_socket = true;
	caps.sparse_mmap_fds = true;
	caps.migration = s->cfg.dev->migrate && !s->cfg.hides_migration;
	caps.mig_pgsize = PAGE_SIZE_4K;
	caps.mig_max_bitmap = s->cfg.limits.max_data;
	return caps;
}

/* Check what a client says at first, and agree on what both can. 0 or -EINVAL, with a line. */
static int agree(struct vu_server_client *c, struct vu_message *m, struct vu_version *version)
{
	struct vu_caps ours;
	const char *why = "it is too short";
	int ret = -EINVAL;

	if (m->header.command != VU_VERSION) {
		why = "it is no VERSION";
		goto out;
	}
	if (m->len < sizeof(*version))
		goto out;
	memcpy(version, m->data, sizeof(*version));
	why = "this major version is not known";
	if (version->major != VU_MAJOR)
		goto out;
	if (version->minor > VU_MINOR)
		version->minor = VU_MINOR;
	ret = vu_caps_parse((char *)m->data + sizeof(*version), m->len - sizeof(*version),
			    &c->theirs, &why);
	if (!ret) {
		ours = our_caps(c);
		vu_caps_agree(&ours, &c->theirs, &c->caps);
	}
out:
	if (ret)
		report_warn(REPORT_LIMITED("serve-version"), c->name, ret,
			    "the client's first message: %s", why);
	return ret;
}

/* Make the second socket, for our own commands: *@fd is the client's end. 0 or -errno. */
static int make_twin(struct vu_server_client *c, int *fd)
{
	struct vu_conn_limits limits = conn_limits(c->s);
	int pair[2], ret;

	*fd = -1;
	if (!c->caps.twin_socket)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	ret = vu_conn_new(pair[0], c->name, &limits, &c->twin);
	if (ret) {
		sys_close(pair[1]);
		return ret;
	}
	vu_conn_set_limits(c->twin, &limits, c->theirs.max_msg_fds);
	*fd = pair[1];
	c->caps.twin_fd_index = 0;
	return 0;
}

static int reply_version(struct vu_server_client *c, struct vu_message *m,
			 struct vu_version *version)
{
	size_t room = QEMU_VERSION - sizeof(struct vu_header) - sizeof(*version);
	char text[VU_CAPS_MAX];
	struct iovec iov[2] = { { version, sizeof(*version) }, { text, 0 } };
	int len = 0, twin, ret = make_twin(c, &twin);

	if (ret)
		return ret;

	if (m->len - sizeof(*version) > room)
		room = m->len - sizeof(*version);
	/* QEMU has neither of these */
	if (room > sizeof(text) || c->theirs.named & (VU_CAP_UVFIO | VU_CAP_TWIN))
		room = sizeof(text);
	/* who sends no text cannot read one (SPDK) */
	if (m->len > sizeof(*version))
		len = vu_caps_write(&c->caps, text, room);
	if (len >= 0) {
		iov[1].iov_len = (size_t)len;
		ret = vu_conn_reply(c->conn, &m->header, 0, iov, len ? 2 : 1, &twin, twin >= 0);
	} else {
		ret = len;
	}
	if (twin >= 0)
		sys_close(twin);
	return ret;
}

/* Carry out the first command, with which the client gets the device. 0 or -errno. */
static int greet(struct vu_server_client *c)
{
	struct vu_conn_limits limits = conn_limits(c->s);
	struct vu_version version;
	struct vu_message m;
	int ret;

	ret = vu_conn_next(c->conn, VERSION_NS, &m);
	if (ret)
		return ret == -EAGAIN ? -ETIMEDOUT : ret;
	ret = agree(c, &m, &version);
	if (!ret)
		ret = open_device(c);
	if (ret) {
		vu_conn_reply(c->conn, &m.header, ret, NULL, 0, NULL, 0);
		goto out;
	}
	/* it may send as soon as it has the reply */
	vu_conn_set_limits(c->conn, &limits, c->theirs.max_msg_fds);
	ret = reply_version(c, &m, &version);
	if (ret) {
		vu_conn_reply(c->conn, &m.header, ret, NULL, 0, NULL, 0);
		close_device(c);
		vu_server_give_back(c);
	}
out:
	vu_message_fini(&m);
	return ret;
}

/* ---- the thread ---- */

static void *live(void *arg)
{
	struct vu_server_client *c = arg;
	int ret;

	event(c, VU_SERVER_CONNECTED, 0);
	report_info(REPORT_LIMITED("serve-connected"), c->name, 0, "connected");
	ret = greet(c);
	if (ret) {
		vu_conn_kill(c->conn, ret);
		report_info(REPORT_LIMITED("serve-refused"), c->name, ret, "refused: %m");
		event(c, VU_SERVER_REFUSED, ret);
		vu_server_done(c);
		return NULL;
	}
	report_info(REPORT_LIMITED("serve-opened"), c->name, 0, "has the device");
	event(c, VU_SERVER_OPENED, 0);
	vu_service_run(c);
	vu_ring_server_free(c->ring);
	close_device(c);
	vu_server_give_back(c);
	ret = vu_conn_error(c->conn);
	if (ret == -ECONNRESET)
		ret = 0;
	report_info(REPORT_LIMITED("serve-disconnected"), c->name, ret,
		    ret ? "thrown out: %m" : "disconnected");
	event(c, VU_SERVER_DISCONNECTED, ret);
	vu_server_done(c);
	return NULL;
}

void vu_server_client_free(struct vu_server_client *c)
{
	vu_conn_free(c->twin);
	vu_conn_free(c->conn);
	vu_service_fini(c);
	pthread_mutex_destroy(&c->irqs_lock);
	free(c->name);
	free(c);
}

static void list_client(struct vu_server_client *c, bool in)
{
	struct vu_server *s = c->s;

	pthread_mutex_lock(&s->lock);
	if (in)
		cds_list_add_tail(&c->node, &s->clients);
	else
		cds_list_del(&c->node);
	s->num_clients += in ? 1 : -1u;
	pthread_mutex_unlock(&s->lock);
}

int vu_server_client_start(struct vu_server *s, int fd)
{
	struct vu_conn_limits limits = conn_limits(s);
	struct vu_server_client *c = calloc(1, sizeof(*c));
	int ret = -ENOMEM;

	if (!c)
		goto close;
	c->s = s;
	c->number = ++s->last_client;
	if (asprintf(&c->name, "%s client %u", s->name, c->number) < 0)
		goto free;
	ret = vu_conn_new(fd, c->name, &limits, &c->conn);
	fd = -1;
	if (ret)
		goto free_name;
	vu_service_init(c);
	pthread_mutex_init(&c->irqs_lock, NULL);
	list_client(c, true);
	ret = thread_start(&c->thread, live, c, "uvfio-client");
	if (!ret)
		return 0;
	list_client(c, false);
	vu_server_client_free(c);
	return ret;
free_name:
	free(c->name);
free:
	free(c);
close:
	if (fd >= 0)
		sys_close(fd);
	return ret;
}
