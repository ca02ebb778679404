/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/peer.c: cables between the ports of a process, and the list of all ports by which they
 * find each other.
 *
 * A frame is handed over by the sender's thread itself, with no copy and no lock: the sender counts
 * itself in at its own port, reads who the peer is, calls receive(), counts itself out. Who closes
 * a port cuts the cable first and then waits for the counts at both ends; until then neither end
 * gets a new cable, so the waiting ends.
 *
 * No receive() runs inside another on one thread. What a receive() sends is put off (copied) until
 * the outermost one returned; so threads never nest the locks of two models, and the stack does not
 * grow when two devices answer each other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/net/internal.h"

/*
 * One a process. A forked child finds its parent's, with a lock that a thread of the parent may
 * have held and ports that are not its own, and begins a new one; the old one is kept reachable.
 */
struct net_registry {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* what net_leave waits for */
	struct cds_list_head ports;
	atomic_uint leaving; /* somebody waits for a count of frames */
	pid_t pid;
	struct net_registry *parent;
};

static _Atomic(struct net_registry *) registry;

static struct net_registry *registry_get(void)
{
	struct net_registry *r = atomic_load(&registry), *mine;
	pid_t pid = getpid();

	if (r && r->pid == pid)
		return r;
	mine = calloc(1, sizeof(*mine));
	if (!mine)
		return NULL;
	pthread_mutex_init(&mine->lock, NULL);
	pthread_cond_init(&mine->changed, NULL);
	CDS_INIT_LIST_HEAD(&mine->ports);
	mine->pid = pid;
	mine->parent = r;
	if (atomic_compare_exchange_strong(&registry, &r, mine))
		return mine;
	pthread_cond_destroy(&mine->changed); /* another thread was first */
	pthread_mutex_destroy(&mine->lock);
	free(mine);
	return r;
}

bool net_is_ours(const struct net_port *p)
{
	return p->reg->pid == getpid();
}

/* ---- frames ---- */

struct put_off {
	struct put_off *next;
	struct net_port *from; /* counted in its `sending` */
	size_t len;
	uint8_t frame[];
};

/* The outermost receive() of a thread. */
struct call {
	struct put_off *first, **last;
	unsigned total;
};

static __thread struct call *current;

static void sent(struct net_port *p)
{
	struct net_registry *r = p->reg;

	/* @p may be gone as soon as the count is zero. */
	if (atomic_fetch_sub(&p->sending, 1) != 1 || !atomic_load(&r->leaving))
		return;
	pthread_mutex_lock(&r->lock);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void call_begin(struct call *c)
{
	c->first = NULL;
	c->last = &c->first;
	c->total = 0;
	current = c;
}

static void call_end(struct call *c)
{
	struct put_off *f;

	while ((f = c->first)) {
		struct net_port *from = f->from, *to = atomic_load(&from->peer);

		c->first = f->next;
		if (!c->first)
			c->last = &c->first;
		if (to)
			net_deliver(to, f->frame, f->len);
		else
			net_count(&from->absent);
		sent(from);
		free(f);
	}
	current = NULL;
}

void net_incoming(struct net_port *p, const void *frame, size_t len)
{
	struct call c;

	call_begin(&c);
	net_deliver(p, frame, len);
	call_end(&c);
}

static bool put_off(struct call *c, struct net_port *p, const void *frame, size_t len)
{
	struct put_off *f = c->total < NET_DEFER_MAX ? malloc(sizeof(*f) + len) : NULL;

	if (!f)
		return false;
	c->total++;
	f->next = NULL;
	f->from = p;
	f->len = len;
	memcpy(f->frame, frame, len);
	*c->last = f;
	c->last = &f->next;
	return true;
}

static bool peer_send(struct net_port *p, const void *frame, size_t len)
{
	struct call c, *outer = current;
	struct net_port *to;

	/* Before the peer is read: who cuts the cable then either sees the count or is seen. */
	atomic_fetch_add(&p->sending, 1);
	to = atomic_load(&p->peer);
	if (to && outer) {
		if (put_off(outer, p, frame, len))
			return true; /* still counted */
		net_count(&p->full);
	} else if (to) {
		call_begin(&c);
		net_deliver(to, frame, len);
		sent(p);
		call_end(&c);
		return true;
	}
	sent(p);
	return to;
}

static void peer_close(struct net_port *p)
{
}

const struct net_backend net_peer_backend = {
	.send = peer_send,
	.close = peer_close,
};

/* ---- links ---- */

/* Call link() of the ports whose link has changed. Lock held, and released for the calls. */
static void tell(struct net_registry *r)
{
	struct net_port *p;
again:
	cds_list_for_each_entry(p, &r->ports, node) {
		bool up = net_link_up(p);

		if (p->told == up || p->telling)
			continue;
		p->told = up;
		if (!p->ops->link)
			continue;
		p->telling = true;
		pthread_mutex_unlock(&r->lock);
		p->ops->link(p->arg, up);
		pthread_mutex_lock(&r->lock);
		p->telling = false;
		pthread_cond_broadcast(&r->changed);
		goto again;
	}
}

void net_set_link(struct net_port *p, bool up)
{
	struct net_registry *r = p->reg;

	pthread_mutex_lock(&r->lock);
	atomic_store(&p->up, up);
	tell(r);
	pthread_mutex_unlock(&r->lock);
}

/* Lock held. */
static void cable_state(struct net_port *p, struct net_port *q)
{
	bool up = !p->asleep && !q->asleep;

	atomic_store(&p->up, up);
	atomic_store(&q->up, up);
}

void net_set_carrier(struct net_port *p, bool on)
{
	struct net_registry *r = p->reg;
	struct net_port *q;

	if (!net_is_ours(p))
		return;
	pthread_mutex_lock(&r->lock);
	if (p->asleep == on) {
		p->asleep = !on;
		q = atomic_load(&p->peer);
		if (q)
			cable_state(p, q);
		tell(r);
	}
	pthread_mutex_unlock(&r->lock);
}

static bool names(const struct net_port *p, const struct net_port *q)
{
	return p->wants && q->id && !strcmp(p->wants, q->id);
}

/* True if one of the two names the other, which names it too or nobody. */
static bool belong_together(const struct net_port *p, const struct net_port *q)
{
	return p != q && p->be == &net_peer_backend && q->be == &net_peer_backend &&
	       ((names(p, q) && (!q->wants || names(q, p))) || (names(q, p) && !p->wants));
}

static bool is_free(const struct net_port *p)
{
	return !atomic_load(&p->peer) && !p->cutting;
}

/* Lay all cables that can be laid: those that name each other before those that only one names. */
static void connect_ports(struct net_registry *r)
{
	struct net_port *p, *q;

	for (int both = 1; both >= 0; both--)
		cds_list_for_each_entry(p, &r->ports, node)
			cds_list_for_each_entry(q, &r->ports, node) {
				if (!is_free(p) || !is_free(q) || !belong_together(p, q) ||
				    (both && !(names(p, q) && names(q, p))))
					continue;
				atomic_store(&p->peer, q);
				atomic_store(&q->peer, p);
				cable_state(p, q);
			}
}

/* Return the port of the device with this @id; NULL: none. Lock held. */
static struct net_port *find(struct net_registry *r, const char *id)
{
	struct net_port *q;

	cds_list_for_each_entry(q, &r->ports, node)
		if (q->id && !strcmp(q->id, id))
			return q;
	return NULL;
}

/* Return why the port that @p names is there and yet not linked to it; NULL: no reason. */
static const char *mismatch(struct net_registry *r, const struct net_port *p)
{
	struct net_port *q = p->wants ? find(r, p->wants) : NULL;

	if (!q || atomic_load(&p->peer) == q)
		return NULL;
	if (q->be != &net_peer_backend)
		return "has a tap or a socket at its end";
	if (q->wants && !names(q, p))
		return "names another peer";
	return atomic_load(&q->peer) ? "is connected to another already" : NULL;
}

int net_join(struct net_port *p)
{
	struct net_registry *r = p->reg = registry_get();
	char other[64] = "", wanted[64] = "";
	const char *why = NULL;
	struct net_port *q;

	if (!r) {
		uvfio_error(p->dev, "net: no memory");
		return -ENOMEM;
	}
	pthread_mutex_lock(&r->lock);
	q = p->id ? find(r, p->id) : NULL;
	if (q) {
		snprintf(other, sizeof(other), "%s", uvfio_dev_name(q->dev));
		pthread_mutex_unlock(&r->lock);
		uvfio_error(p->dev, "id=%s: is the name of %s already", p->id, other);
		return -EEXIST;
	}
	cds_list_add_tail(&p->node, &r->ports);
	connect_ports(r);
	cds_list_for_each_entry(q, &r->ports, node)
		if (!why && (q == p || names(q, p)) && (why = mismatch(r, q))) {
			snprintf(other, sizeof(other), "%s", uvfio_dev_name(q->dev));
			snprintf(wanted, sizeof(wanted), "%s", q->wants);
		}
	tell(r);
	pthread_mutex_unlock(&r->lock);
	if (why) /* no error: the port that is in the way may go */
		uvfio_log(p->dev, UVFIO_LOG_WARN, "net=peer:%s of %s: no link: %s %s", wanted,
			  other, wanted, why);
	return 0;
}

void net_leave(struct net_port *p)
{
	struct net_registry *r = p->reg;
	struct net_port *q;

	pthread_mutex_lock(&r->lock);
	cds_list_del(&p->node);
	q = atomic_load(&p->peer);
	atomic_store(&p->up, false);
	if (q) {
		q->cutting++;
		atomic_store(&q->up, false);
		atomic_store(&q->peer, NULL);
		atomic_store(&p->peer, NULL);
	}
	/*
	 * Both directions' frames arrive first. @q stays while its `cutting` says so: its own
	 * net_leave waits below.
	 */
	atomic_fetch_add(&r->leaving, 1);
	while (atomic_load(&p->sending) || (q && atomic_load(&q->sending)) || p->telling ||
	       p->cutting)
		pthread_cond_wait(&r->changed, &r->lock);
	atomic_fetch_sub(&r->leaving, 1);
	if (q && !--q->cutting)
		pthread_cond_broadcast(&r->changed);
	connect_ports(r);
	tell(r);
	pthread_mutex_unlock(&r->lock);
}
