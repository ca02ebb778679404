/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/events.c: what the host tells a device's users: that it wants the device back, and that it
 * went to sleep or woke. V3's author planned it by generic netlink; here a message is a
 * descriptor's to read. A queue is short and keeps the first of what comes: an event that is there
 * already is not queued again, so nothing can be lost that the reader does not know.
 */
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "uvfio/vfio_v3.h"
#include "v3/internal.h"

#define MAX_EVENTS 3u /* as there are kinds */

struct v3_events {
	struct cds_list_head node; /* of the device's */
	struct v3_device *dev;
	pthread_mutex_t *lock;
	void (*ready)(void *arg, bool is);
	void *arg;
	uint8_t queue[MAX_EVENTS];
	unsigned n;
};

/* A message, as it is read: each attribute takes a multiple of 4 bytes. */
struct message {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	struct {
		struct nlattr head;
		uint32_t value; /* the smaller ones in its low bytes, the rest is padding */
	} attr[4];
};

static void fill(struct message *m, uint8_t event, const struct pci_address *at)
{
	const struct {
		uint16_t type, size;
		uint32_t value;
	} attrs[] = {
		{ VFIO_V3_ATTR_DOMAIN, 4, at->segment },
		{ VFIO_V3_ATTR_BUS, 2, at->bus },
		{ VFIO_V3_ATTR_SLOT, 1, at->device },
		{ VFIO_V3_ATTR_FUNCTION, 1, at->function },
	};

	*m = (struct message){
		.nl = { .nlmsg_len = sizeof(*m), .nlmsg_type = VFIO_V3_FAMILY },
		.genl = { .cmd = event, .version = 1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		m->attr[i].head = (struct nlattr){
			.nla_len = (uint16_t)(NLA_HDRLEN + attrs[i].size),
			.nla_type = attrs[i].type,
		};
		m->attr[i].value = attrs[i].value;
	}
}

struct v3_events *v3_events_new(struct v3_opener *o, void (*ready)(void *arg, bool is), void *arg)
{
	struct v3_device *v = o->dev;
	struct v3_events *e = heap_alloc(sizeof(*e));

	if (!e)
		return NULL;
	e->dev = v;
	e->ready = ready;
	e->arg = arg;
	pthread_mutex_lock(&v->events.lock);
	cds_list_add(&e->node, &v->events.list);
	pthread_mutex_unlock(&v->events.lock);
	return e;
}

void v3_events_free(struct v3_events *e)
{
	struct v3_device *v = e->dev;

	pthread_mutex_lock(&v->events.lock);
	cds_list_del(&e->node);
	pthread_mutex_unlock(&v->events.lock);
	heap_free(e);
}

void v3_event(struct v3_device *v, uint8_t event)
{
	struct v3_events *e;

	pthread_mutex_lock(&v->events.lock);
	cds_list_for_each_entry(e, &v->events.list, node) {
		if (e->n == MAX_EVENTS || memchr(e->queue, event, e->n))
			continue;
		e->queue[e->n++] = event;
		if (e->n == 1)
			e->ready(e->arg, true);
	}
	pthread_mutex_unlock(&v->events.lock);
}

ssize_t v3_events_read(struct v3_events *e, size_t room,
		       int (*put)(void *arg, size_t done, const void *message, size_t n), void *arg)
{
	struct v3_device *v = e->dev;
	struct message m;
	ssize_t ret = 0;

	pthread_mutex_lock(&v->events.lock);
	while (e->n && room - (size_t)ret >= sizeof(m)) {
		fill(&m, e->queue[0], &v->vdev.address);
		if (put(arg, (size_t)ret, &m, sizeof(m))) {
			ret = ret ? ret : -EFAULT;
			break;
		}
		ret += (ssize_t)sizeof(m);
		memmove(e->queue, e->queue + 1, --e->n);
		if (!e->n)
			e->ready(e->arg, false);
	}
	if (!ret)
		ret = e->n ? -EINVAL : -EAGAIN;
	pthread_mutex_unlock(&v->events.lock);
	return ret;
}
