/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/relay.c: the migration of a device whose states and stream somebody else keeps
 * (struct vfio_migrate_relay). A request for a state goes there as it is, and that one walks the
 * arcs; here is known only which stream a client has, and when it ends: the rules of linux/vfio.h
 * say from the two states whether one begins, goes on, or is over.
 */
#include <errno.h>

#include "base/guard.h"
#include "base/heap.h"
#include "vfio/stream.h"

#define PIECE (256u << 10) /* bytes that are asked for, or sent, at once */

static bool saves(uint32_t state)
{
	return state == VFIO_DEVICE_STATE_STOP_COPY || state == VFIO_DEVICE_STATE_PRE_COPY ||
	       state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/* True if the stream of state @from goes on in @to. */
static bool goes_on(uint32_t from, uint32_t to)
{
	return from == to || (from != VFIO_DEVICE_STATE_STOP_COPY && saves(from) && saves(to));
}

/* The device is in @state now. 0, or -ENOMEM: there is no stream where one has to be. */
static int came_to(struct vfio_migrate *m, uint32_t state)
{
	if (m->stream && !goes_on(m->state, state))
		vfio_migrate_end_stream(m);
	m->state = state;
	if (m->stream)
		vfio_stream_wake(m->stream);
	if (m->stream || (!saves(state) && state != VFIO_DEVICE_STATE_RESUMING))
		return 0;
	m->stream = vfio_stream_new(m, state == VFIO_DEVICE_STATE_RESUMING);
	m->fresh = m->stream;
	return m->stream ? 0 : -ENOMEM;
}

uint32_t vfio_relay_state(struct vfio_migrate *m)
{
	uint32_t state;

	/* who does not answer is as a device of which nothing is known */
	if (m->relay->state(m->dev, &state))
		state = VFIO_DEVICE_STATE_ERROR;
	return state;
}

int vfio_relay_set(struct vfio_migrate *m, uint32_t state)
{
	uint32_t before = vfio_relay_state(m);
	int ret;

	/* it may have been reset, of which nobody told us */
	if (before != m->state)
		vfio_migrate_end_stream(m);
	m->state = before;
	ret = m->relay->set(m->dev, state);
	if (!ret) {
		ret = came_to(m, state);
		if (ret && !m->relay->set(m->dev, before))
			came_to(m, before);
		return ret;
	}
	state = vfio_relay_state(m);
	/* it may have come a part of the way, into a state whose stream nobody asked for */
	if (m->stream && !goes_on(m->state, state))
		vfio_migrate_end_stream(m);
	m->state = state;
	return ret;
}

int vfio_relay_read(struct vfio_migrate *m, void **out, size_t *len)
{
	void *buf = heap_alloc(PIECE);
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	n = m->relay->read(m->dev, buf, PIECE);
	*len = n > 0 ? (size_t)n : 0;
	if (n > 0) {
		*out = buf;
		return 0;
	}
	heap_free(buf);
	return (int)n;
}

ssize_t vfio_relay_write(struct vfio_migrate *m, uintptr_t addr, size_t count)
{
	size_t n = count < PIECE ? count : PIECE;
	void *buf = heap_alloc(n);
	int ret = -EFAULT;

	if (!buf)
		return -ENOMEM;
	n = guard_copy_part(buf, (const void *)addr, n);
	if (n)
		ret = m->relay->write(m->dev, buf, n);
	heap_free(buf);
	return ret ? ret : (ssize_t)n;
}
