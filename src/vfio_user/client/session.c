/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/session.c: one connection to a server: made, agreed on, asked, and lost. A
 * server is not trusted more than a program is: an answer that is too short, or none, is an error
 * of its call, and a line.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "vfio_user/client/internal.h"

int vu_fail(struct vu_why *why, int rc, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (!*why->text)
		vsnprintf(why->text, sizeof(why->text), format, ap);
	va_end(ap);
	return rc;
}

/* ---- its end ---- */

void vu_session_get(struct vu_session *s)
{
	ref_get(&s->ref);
}

void vu_session_put(struct vu_session *s)
{
	if (!s || !ref_put(&s->ref))
		return;
	vu_resume_free(s->resume);
	vu_ring_free(s->ring);
	vu_conn_free(s->twin);
	vu_conn_free(s->conn);
	heap_free(s);
}

void vu_session_end(struct vu_session *s)
{
	if (s->resume) {
		vu_resume_end(s->resume);
		return;
	}
	atomic_store(&s->closing, true);
	atomic_store_explicit(&s->lost, true, memory_order_release);
	vu_conn_kill(s->conn, -ENODEV);
	if (s->twin)
		vu_conn_kill(s->twin, -ENODEV);
	vu_commands_stop(s);
}

void vu_session_abandon(struct vu_session *s)
{
	if (s->resume) {
		vu_resume_abandon(s->resume);
		return;
	}
	vu_ring_free(s->ring);
	s->ring = NULL;
	if (s->twin)
		vu_conn_abandon(s->twin);
	if (s->conn)
		vu_conn_abandon(s->conn);
}

void vu_session_say_lost(struct vu_client *c, const char *format, ...)
{
	char why[160];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	report_err("vfio-user-lost", c->vdev.name, 0,
		   "its server (%s) %s: registers read as ones, writes go nowhere%s", c->where, why,
		   vfio_trigger_is_set(&c->err) ? ", its user is told by ERR" : "");
	vfio_trigger_signal(&c->err);
}

void vu_session_lost(struct vu_session *s)
{
	int error = vu_conn_error(s->conn);

	if (!error && s->twin)
		error = vu_conn_error(s->twin);
	if (atomic_exchange(&s->lost, true))
		return;
	vu_conn_kill(s->conn, -ENODEV);
	if (s->twin)
		vu_conn_kill(s->twin, -ENODEV);
	if (s->of)
		vu_resume_broken(s->of, s);
	else if (!atomic_load(&s->closing))
		vu_session_say_lost(s->c, "is gone (%s)",
				    error == -ECONNRESET || !error ? "it closed the connection"
								   : strerrorname_np(-error));
}

/* ---- asking ---- */

/* Say what became of a command that has no good answer, and return what its caller gets. */
static int bad_answer(struct vu_session *s, uint16_t command, int rc)
{
	if (!s->resume && vu_conn_error(s->conn)) {
		vu_session_lost(s);
		return -EIO;
	}
	if (vu_session_is_lost(s))
		return -EIO;
	if (rc == -ETIMEDOUT)
		return report_err(REPORT_LIMITED("vfio-user-timeout"), s->c->vdev.name, -EIO,
				  "its server (%s) has not answered %s in %llu s", s->c->where,
				  vu_command_name(command),
				  (unsigned long long)(s->timeout_ns / 1000000000u));
	if (rc == -EMSGSIZE)
		return report_err("vfio-user-fds", s->c->vdev.name, rc,
				  "%s: its server takes no more than %u descriptors at a time",
				  vu_command_name(command), s->caps.max_msg_fds);
	return rc;
}

static void say_late(void *arg, uint16_t command)
{
	struct vu_session *s = arg;

	report_warn(REPORT_LIMITED("vfio-user-late"), s->c->vdev.name, 0,
		    "its server (%s) has not answered %s for %llu s: waiting on, up to %llu s",
		    s->c->where, vu_command_name(command),
		    (unsigned long long)(VU_CLIENT_LATE_NS / 1000000000u),
		    (unsigned long long)(s->timeout_ns / 1000000000u));
}

/* Say what became of a command to who wants to know, and return it. */
static int done(const struct vu_request *r, int rc)
{
	if (r->done)
		r->done(r->arg, rc);
	return rc;
}

int vu_session_call(struct vu_session *s, const struct vu_request *r, struct vu_message *reply)
{
	const struct vu_call call = {
		.command = r->command,
		.iov = r->iov,
		.iovcnt = r->iovcnt,
		.fds = r->fds,
		.num_fds = r->num_fds,
		.timeout_ns = s->timeout_ns,
		.late = say_late,
		.arg = s,
		.late_ns = VU_CLIENT_LATE_NS,
	};
	int rc;

	if (vu_session_is_lost(s))
		return done(r, -EIO);
	if (s->resume) {
		rc = vu_resume_call(s->resume, &call, r, reply);
	} else {
		/* it comes after what was posted there */
		rc = s->ring ? vu_ring_flush(s->ring) : 0;
		if (!rc)
			rc = vu_conn_call(s->conn, &call, reply);
		done(r, rc);
	}
	if (rc)
		return bad_answer(s, r->command, rc);
	if (reply->len >= r->min)
		return 0;
	rc = report_err(REPORT_LIMITED("vfio-user-short"), s->c->vdev.name, -EIO,
			"its server (%s) answered %s by %zu bytes where %zu belong", s->c->where,
			vu_command_name(r->command), reply->len, r->min);
	vu_message_fini(reply);
	return rc;
}

int vu_session_do(struct vu_session *s, const struct vu_request *r)
{
	struct vu_message reply = { 0 };
	int rc = vu_session_call(s, r, &reply);

	if (!rc)
		vu_message_fini(&reply);
	return rc;
}

int vu_session_post(struct vu_session *s, const struct vu_request *r)
{
	const struct vu_call call = { .command = r->command, .iov = r->iov, .iovcnt = r->iovcnt };
	int rc;

	if (vu_session_is_lost(s))
		return -EIO;
	rc = vu_conn_post(s->conn, &call);
	return rc ? bad_answer(s, r->command, rc) : 0;
}

/* ---- asking by the ring ---- */

static int ring_answer(struct vu_session *s, uint16_t command, int rc)
{
	return rc && rc != VU_RING_BUSY ? bad_answer(s, command, rc) : rc;
}

int vu_session_access(struct vu_session *s, const struct vu_region_access *a, void *buf, bool write,
		      bool post)
{
	if (!s->ring || !a->count || a->count > VU_RING_DATA)
		return VU_RING_BUSY;
	if (vu_session_is_lost(s))
		return -EIO;
	return ring_answer(
		s, write ? VU_REGION_WRITE : VU_REGION_READ,
		vu_ring_access(s->ring, a->region, a->offset, buf, a->count, write, post));
}

int vu_session_set_irqs(struct vu_session *s, const struct vu_set_irqs *set, const uint8_t *data)
{
	if (!s->ring || (data && set->count > VU_RING_DATA))
		return VU_RING_BUSY;
	if (vu_session_is_lost(s))
		return -EIO;
	return ring_answer(s, VU_DEVICE_SET_IRQS, vu_ring_set_irqs(s->ring, set, data));
}

/* Ask for the ring that was agreed on. A server that has none now is used without. */
static int take_ring(struct vu_session *s, struct vu_why *why)
{
	struct vu_ring_info info = { 0 };
	const struct iovec iov = { &info, sizeof(info) };
	const struct vu_call call = {
		.command = VU_UVFIO_RING, .iov = &iov, .iovcnt = 1, .timeout_ns = VU_CLIENT_LATE_NS
	};
	struct vu_message reply = { 0 };
	int rc = vu_conn_call(s->conn, &call, &reply);

	if (rc && vu_conn_error(s->conn))
		return vu_fail(why, rc, "no ring: %s", strerror(-rc));
	if (rc) {
		report_info("vfio-user-ring", s->c->vdev.name, 0, "its server has no ring: %s",
			    strerrorname_np(-rc));
		return 0;
	}
	rc = -EPROTO;
	if (reply.len == sizeof(info) && reply.num_fds == 1) {
		memcpy(&info, reply.data, sizeof(info));
		rc = vu_ring_new(s->conn, &info, reply.fds[0], s->timeout_ns, &s->ring);
	}
	vu_message_fini(&reply);
	return rc ? vu_fail(why, rc, "its ring cannot be used: %s", strerror(-rc)) : 0;
}

/* ---- connecting ---- */

/*
 * A descriptor of ours that is connected to the socket at @path, or -errno. A server whose queue is
 * full is waited for no longer than for an answer; with @at_once, -EAGAIN.
 */
static int connect_to(const char *path, bool at_once, struct vu_why *why)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | (at_once ? SOCK_NONBLOCK : 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	long fd, rc;

	if (!len || len >= sizeof(a.sun_path))
		return vu_fail(why, -EINVAL, "the path of a socket has 1 to %zu characters",
			       sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, len + 1);
	fd = fd_of_ours(SYS_socket, AF_UNIX, type, 0, 0);
	if (sys_failed(fd))
		return vu_fail(why, (int)fd, "no socket: %s", strerror((int)-fd));
	rc = sys_call(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO,
		      (long)&(struct { long s, us; }){ VU_CLIENT_LATE_NS / 1000000000u, 0 },
		      2 * sizeof(long), 0);
	if (!sys_failed(rc))
		rc = sys_call(SYS_connect, fd, (long)&a, sizeof(a), 0, 0, 0);
	if (!sys_failed(rc))
		rc = sys_call(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO,
			      (long)&(struct { long s, us; }){ 0, 0 }, 2 * sizeof(long), 0);
	if (!sys_failed(rc)) {
		rc = fd_make_private((int)fd);
		if (rc >= 0)
			return (int)rc;
	}
	sys_close((int)fd);
	if (rc == -EAGAIN)
		rc = -ETIMEDOUT;
	return vu_fail(why, (int)rc, "%s%s", strerror((int)-rc),
		       rc == -ENOENT || rc == -ECONNREFUSED ? ": is its server running?" : "");
}

static const struct vu_conn_limits limits = {
	.max_data = VU_DEFAULT_DATA,
	.max_fds = VU_CLIENT_FDS,
	.max_queued = 64,
	.timeout_ns = VU_CLIENT_TIMEOUT_NS,
};

/* What we have. A socket that is handed on to another process has no twin or ring: it is one. */
static void offer(const struct vu_client *c, const struct vu_lasting *what, struct vu_caps *caps)
{
	vu_caps_default(caps);
	caps->max_msg_fds = VU_CLIENT_FDS;
	caps->max_data_xfer_size = VU_DEFAULT_DATA;
	caps->named = VU_CAP_FDS | VU_CAP_DATA;
	if (c->given < 0) {
		caps->twin_socket = true;
		caps->ring = true;
		caps->named |= VU_CAP_TWIN | VU_CAP_UVFIO;
		if (what)
			caps->lasting = *what;
		else if (c->o.reconnect_ns)
			caps->lasting.kind = VU_LASTING_OFFER;
	}
	caps->sparse_mmap_fds = caps->migration = true;
	caps->mig_pgsize = PAGE_SIZE_4K;
	caps->named |= VU_CAP_SPARSE_FDS | VU_CAP_MIGRATION;
}

/* Take the socket of the server's commands out of its answer. */
static int take_twin(struct vu_session *s, struct vu_message *reply, struct vu_why *why)
{
	int fd;

	if (!s->caps.twin_socket || s->caps.twin_fd_index < 0)
		return 0;
	fd = vu_message_take_fd(reply, (unsigned)s->caps.twin_fd_index);
	if (fd < 0)
		return vu_fail(why, -EPROTO, "it named a twin socket, and sent none");
	return vu_conn_new(fd, s->c->vdev.name, &limits, &s->twin);
}

/*
 * See that what the server says of a device that lasts is an answer. Such a device has neither a
 * ring nor migration here: what these did could not be told again.
 */
static int take_lasting(struct vu_session *s, const struct vu_lasting *what, struct vu_why *why)
{
	struct vu_lasting *l = &s->caps.lasting;
	bool again = l->kind == VU_LASTING_RESUMED || l->kind == VU_LASTING_LOST;

	if (!what && (s->c->given >= 0 || !s->c->o.reconnect_ns))
		l->kind = VU_LASTING_NONE;
	if (what && l->kind == VU_LASTING_NONE)
		return vu_fail(why, -ENODEV, "its device does not outlive its server any more");
	if (l->kind == VU_LASTING_NONE)
		return 0;
	if (what ? !again || (l->kind == VU_LASTING_RESUMED &&
			      memcmp(l->id, what->id, sizeof(l->id)))
		 : l->kind != VU_LASTING_NEW)
		return vu_fail(why, -EPROTO, "its answer to who comes back is none");
	if (s->caps.migration && !what)
		report_info("vfio-user-lasting", s->c->vdev.name, 0,
			    "its device outlives its server, and so it does not migrate: with "
			    "reconnect=0 it does");
	s->caps.ring = s->caps.migration = false;
	return 0;
}

static int read_version(struct vu_session *s, const struct vu_lasting *asked,
			struct vu_message *reply, struct vu_why *why)
{
	const char *what = "";
	struct vu_version v;
	int rc;

	if (reply->len < sizeof(v))
		return vu_fail(why, -EPROTO, "its answer to VERSION is cut off");
	memcpy(&v, reply->data, sizeof(v));
	if (v.major != VU_MAJOR || v.minor > VU_MINOR)
		return vu_fail(why, -EPROTO, "it speaks version %u.%u, and we %u.%u", v.major,
			       v.minor, VU_MAJOR, VU_MINOR);
	if (vu_caps_parse((char *)reply->data + sizeof(v), reply->len - sizeof(v), &s->caps, &what))
		return vu_fail(why, -EPROTO, "its capabilities cannot be read: %s", what);
	rc = take_lasting(s, asked, why);
	return rc ? rc : take_twin(s, reply, why);
}

/* Agree on a version, which begins a connection. */
static int agree(struct vu_session *s, const struct vu_lasting *what, struct vu_why *why)
{
	const struct vu_version v = { VU_MAJOR, VU_MINOR };
	struct vu_message reply = { 0 };
	char text[VU_CAPS_MAX];
	struct vu_caps ours;
	struct iovec iov[2] = { { (void *)&v, sizeof(v) }, { text, 0 } };
	const struct vu_call call = {
		.command = VU_VERSION,
		.iov = iov,
		.iovcnt = 2,
		.timeout_ns = s->of ? s->timeout_ns : VU_CLIENT_LATE_NS,
	};
	int rc;

	offer(s->c, what, &ours);
	rc = vu_caps_write(&ours, text, sizeof(text));
	if (rc < 0)
		return rc;
	iov[1].iov_len = (size_t)rc;
	vu_caps_default(&s->caps);
	rc = vu_conn_call(s->conn, &call, &reply);
	/* a socket that was handed on: who had it has agreed, and what is not known is least */
	if (rc && s->c->given >= 0 && rc != -ETIMEDOUT && !vu_conn_error(s->conn))
		return 0;
	if (rc == -ETIMEDOUT)
		return vu_fail(why, rc, "no answer: does it serve another client now?");
	if (rc)
		return vu_fail(why, rc, "VERSION: %s", strerror(-rc));
	rc = read_version(s, what, &reply, why);
	vu_message_fini(&reply);
	return rc;
}

/* The socket of a new connection: its own, or a duplicate of the one that was given. */
static int open_socket(struct vu_client *c, bool at_once, struct vu_why *why)
{
	int fd;

	if (c->given < 0)
		return connect_to(c->where, at_once, why);
	if (c->given_used)
		return vu_fail(why, -ENOTCONN,
			       "its one connection was closed with the device: a socket's path "
			       "can be connected to again");
	fd = fd_dup_private(c->given);
	return fd < 0 ? vu_fail(why, fd, "%s", strerror(-fd)) : fd;
}

static int connect_session(struct vu_session *s, const struct vu_lasting *what, struct vu_why *why)
{
	int fd = open_socket(s->c, s->of, why);
	int rc = fd < 0 ? fd : vu_conn_new(fd, s->c->vdev.name, &limits, &s->conn);

	if (!rc && s->of)
		rc = vu_resume_connecting(s->of, s);
	if (!rc)
		rc = agree(s, what, why);
	if (rc)
		return vu_fail(why, rc, "%s", strerror(-rc));
	vu_conn_set_limits(s->conn, &limits, s->caps.max_msg_fds);
	rc = s->caps.ring ? take_ring(s, why) : 0;
	s->max_data = s->caps.max_data_xfer_size;
	if (s->max_data > VU_DEFAULT_DATA)
		s->max_data = VU_DEFAULT_DATA;
	return rc;
}

int vu_session_new(struct vu_client *c, struct vu_resume *again, const struct vu_lasting *what,
		   struct vu_session **out, struct vu_why *why)
{
	struct vu_session *s = heap_alloc(sizeof(*s));
	int rc;

	if (!s)
		return vu_fail(why, -ENOMEM, "out of memory");
	ref_init(&s->ref);
	s->c = c;
	s->of = again;
	s->timeout_ns = c->o.timeout_ns;
	rc = connect_session(s, what, why);
	if (!rc) {
		*out = s;
		return 0;
	}
	if (again)
		vu_resume_connecting(again, NULL);
	vu_session_put(s);
	return rc;
}
