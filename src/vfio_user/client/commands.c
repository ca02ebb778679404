/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/commands.c: what a server asks of us: reads and writes of memory that it has not
 * been given. They go the way that DMA of a device in this process goes, by its requester: what the
 * IOMMU aborts is counted, named in the log and answered by an error.
 *
 * With a twin socket commands come there, and the loop's thread answers them. With none they come
 * among the answers on the one socket, which whoever waits for something reads: then a thread of
 * the connection's own takes them.
 */
#include "base/thread.h"
#include "vfio_user/client/internal.h"

static struct vu_conn *conn_of(struct vu_session *s)
{
	return s->twin ? s->twin : s->conn;
}

/* Read @count bytes at @addr for the server, and answer. */
static int dma_read(struct vu_session *s, const struct vu_message *m, struct vu_dma_access *a)
{
	struct iovec iov[2] = { { a, sizeof(*a) }, { NULL, a->count } };
	int rc;

	iov[1].iov_base = heap_alloc(a->count ? a->count : 1);
	rc = iov[1].iov_base ? iommu_dma_read(&s->c->iommu, a->addr, iov[1].iov_base, a->count)
			     : -ENOMEM;
	rc = vu_conn_reply(conn_of(s), &m->header, rc, iov, 2, NULL, 0);
	heap_free(iov[1].iov_base);
	return rc;
}

static int dma_write(struct vu_session *s, const struct vu_message *m, struct vu_dma_access *a)
{
	struct iovec iov = { a, sizeof(*a) };
	int rc = iommu_dma_write(&s->c->iommu, a->addr, m->data + sizeof(*a), a->count);

	return vu_conn_reply(conn_of(s), &m->header, rc, &iov, 1, NULL, 0);
}

static int refuse(struct vu_session *s, const struct vu_message *m, int error, const char *why)
{
	report_warn(REPORT_LIMITED("vfio-user-command"), s->c->vdev.name, error,
		    "its server sent command %u, which %s", m->header.command, why);
	return vu_conn_reply(conn_of(s), &m->header, error, NULL, 0, NULL, 0);
}

/* Answer a command. 0, or why the connection is dead. */
static int answer(struct vu_session *s, const struct vu_message *m)
{
	struct vu_dma_access a;

	if (m->header.command != VU_DMA_READ && m->header.command != VU_DMA_WRITE)
		return refuse(s, m, -ENOSYS, "is not one of a server's");
	if (m->len < sizeof(a))
		return refuse(s, m, -EINVAL, "is cut off");
	memcpy(&a, m->data, sizeof(a));
	if (m->header.command == VU_DMA_READ) {
		if (a.count > VU_DEFAULT_DATA)
			return refuse(s, m, -EINVAL, "asks for more than we said");
		return dma_read(s, m, &a);
	}
	if (a.count != m->len - sizeof(a))
		return refuse(s, m, -EINVAL, "has another length than it says");
	return dma_write(s, m, &a);
}

/* Take the commands that have come, or wait for them. Why there are no more: -EAGAIN, or its end */
static int take(struct vu_session *s, uint64_t timeout_ns)
{
	struct vu_message m;
	int rc;

	for (;;) {
		rc = vu_conn_next(conn_of(s), timeout_ns, &m);
		if (rc)
			return rc;
		rc = answer(s, &m);
		vu_message_fini(&m);
		if (rc)
			return rc;
	}
}

/* End the watch, once: a callback may come before loop_watch() has returned, and then again. */
static void unwatch(struct vu_session *s)
{
	struct loop_watch *w = atomic_exchange(&s->watch, NULL);

	if (w)
		loop_unwatch(w);
}

static void on_twin(void *arg)
{
	struct vu_session *s = arg;

	if (take(s, 0) == -EAGAIN)
		return;
	vu_session_lost(s);
	unwatch(s);
}

static void *take_all(void *arg)
{
	struct vu_session *s = arg;

	while (take(s, UINT64_MAX) == -EAGAIN)
		;
	vu_session_lost(s);
	return NULL;
}

int vu_commands_start(struct vu_session *s)
{
	struct loop_watch *w;
	int err = 0;

	if (s->twin) {
		w = loop_watch(s->c->o.devices, vu_conn_fd(s->twin), on_twin, s, &err);
		atomic_store(&s->watch, w);
		return w ? 0 : err;
	}
	err = thread_start(&s->thread, take_all, s, "uvfio-socket");
	s->has_thread = !err;
	return err;
}

void vu_commands_stop(struct vu_session *s)
{
	unwatch(s);
	if (s->has_thread)
		pthread_join(s->thread, NULL);
	s->has_thread = false;
}
