/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/internal.h: a port inside, for the files of this folder.
 *
 * Locks, none held across a callback: the registry's (list, links, what was told; peer.c), a
 * pcap's (the file), a unix port's (who sent last). No one of them is taken inside another.
 */
#ifndef MODELS_NET_INTERNAL_H
#define MODELS_NET_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <urcu/list.h>

#include "models/net/net.h"

struct net_registry;
struct net_pcap;
struct net_tap;
struct net_unix;

/*
 * What differs between the kinds. A port without one of its own has the peer's: others may name it.
 */
struct net_backend {
	bool (*send)(struct net_port *p, const void *frame, size_t len);
	/*
	 * Before the thread runs: tell the link. NULL (peer): the registry tells, and there is no
	 * thread.
	 */
	void (*start)(struct net_port *p);
	/* @fd of the port is readable, or in error. false: it is dead, look no more. */
	bool (*readable)(struct net_port *p);
	void (*event)(struct net_port *p); /* @event_fd is readable */
	void (*close)(struct net_port *p);
};

struct net_port {
	struct uvfio_dev *dev;
	const struct net_ops *ops;
	void *arg;
	const struct net_backend *be;
	struct net_pcap *pcap;
	atomic_bool up;
	_Atomic uint64_t missed, absent, full, bad; /* as in struct net_stats */

	/* the thread of a tap or unix port; kept descriptors, -1: none */
	pthread_t thread;
	bool has_thread;
	int fd, event_fd, wake_fd;
	struct net_tap *tap;
	struct net_unix *un;

	/* peer.c: guarded by the registry's lock but for the atomics */
	struct net_registry *reg;
	struct cds_list_head node;
	const char *id, *wants; /* the options' text; NULL: none */
	_Atomic(struct net_port *) peer;
	atomic_uint sending; /* calls of net_send under way, and frames put off */
	unsigned cutting;    /* the port at the other end is closing and not done */
	bool asleep;	     /* net_set_carrier(false) */
	bool told, telling;  /* what link() said last; it runs */
};

extern const struct net_backend net_peer_backend;
extern const struct net_backend net_tap_backend;
extern const struct net_backend net_unix_backend;

/*
 * Open what an option names: 0 or -errno after uvfio_error(). The descriptors are the port's, and
 * go with be->close.
 */
int net_tap_open(struct net_port *p, const char *ifname);
int net_unix_open(struct net_port *p, const char *paths);
int net_pcap_open(struct uvfio_dev *dev, const char *path, struct net_pcap **out);
void net_pcap_write(struct net_pcap *pcap, const void *frame, size_t len);
void net_pcap_close(struct net_pcap *pcap);

/* Enter the registry, link up, tell. -EEXIST, -EINVAL after uvfio_error(), -ENOMEM. */
int net_join(struct net_port *p);
/* When it returns nobody calls @p's receive() or link(), and nobody will. */
void net_leave(struct net_port *p);
bool net_is_ours(const struct net_port *p);	/* false in a forked child */
void net_set_link(struct net_port *p, bool up); /* of a tap or unix port */

/* A frame for @p came from outside: receive(), then what that put off. */
void net_incoming(struct net_port *p, const void *frame, size_t len);
/* To @p's receive(), and nothing else. */
void net_deliver(struct net_port *p, const void *frame, size_t len);

/* Take over @fd: the number to use, or -errno, and @fd is closed. */
int net_keep(struct uvfio_dev *dev, int fd);

static inline void net_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}
static inline bool net_is_frame(size_t len)
{
	return len >= NET_FRAME_MIN && len <= NET_FRAME_MAX;
}
#endif
