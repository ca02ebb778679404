/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/internal.h: the inside of a port, for the files of this folder.
 *
 * Locks, none of which is held across a callback or taken inside another: the registry's (the list
 * of ports, links, what was told of them; peer.c), a pcap's (the file), a unix port's (the address
 * that sent last).
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
 * The part of a port that differs between the kinds. One without a kind has the peer's: other ports
 * may name it.
 */
struct net_backend {
	bool (*send)(struct net_port *p, const void *frame, size_t len);
	/*
	 * Tell the link, before the thread runs. NULL (peer): the registry tells, and there is no
	 * thread.
	 */
	void (*start)(struct net_port *p);
	/* Read from the port's fd, which is readable or in error. False: it is dead. */
	bool (*readable)(struct net_port *p);
	/* Look at the port's event_fd, which is readable. */
	void (*event)(struct net_port *p);
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

/*
 * Open what an option names, and set the port's kind: 0 or -errno after uvfio_error(). The
 * descriptors are the port's, and go with be->close.
 */
int net_tap_open(struct net_port *p, const char *ifname);
int net_unix_open(struct net_port *p, const char *paths);
int net_pcap_open(struct uvfio_dev *dev, const char *path, struct net_pcap **out);
void net_pcap_write(struct net_pcap *pcap, const void *frame, size_t len);
void net_pcap_close(struct net_pcap *pcap);

/* Enter the registry, link the port, tell. -EEXIST, -EINVAL after uvfio_error(), -ENOMEM. */
int net_join(struct net_port *p);
/* Leave the registry, and wait until no thread is in @p's receive() or link(): none will come. */
void net_leave(struct net_port *p);
/* False in a forked child. */
bool net_is_ours(const struct net_port *p);
/* Set the link of a tap or unix port. */
void net_set_link(struct net_port *p, bool up);

/* Deliver a frame that came from outside, then send what its receive() put off. */
void net_incoming(struct net_port *p, const void *frame, size_t len);
/* Hand a frame to @p's receive(), and do nothing else. */
void net_deliver(struct net_port *p, const void *frame, size_t len);

/* Take over @fd. Return the number to use instead; or -errno, and @fd is closed. */
int net_keep(struct uvfio_dev *dev, int fd);

/* Frames of a port that were lost, and where. */
struct net_stats {
	uint64_t missed; /* came in, but receive() had no room */
	/* sent, and lost on the wire: */
	uint64_t absent; /* there was no receiver */
	uint64_t full;	 /* the receiver's queue, or that of answers (NET_DEFER_MAX), was full */
	uint64_t bad;	 /* the kernel refused it; or a length, in or out, that no frame has */
};
/* Read the counters of a port. */
void net_get_stats(const struct net_port *p, struct net_stats *out);

static inline void net_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}
static inline bool net_is_frame(size_t len)
{
	return len >= NET_FRAME_MIN && len <= NET_FRAME_MAX;
}
#endif
