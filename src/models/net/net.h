/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/net.h: where the packets of a network model go: to another device of the machine, to a
 * tap interface, to a UNIX datagram socket, and into a pcap file beside any of them. One port a
 * network device. Written against uvfio/model.h alone.
 *
 * Options (a network model puts NET_OPTIONS into its table, and sets `concurrent`):
 *
 * - net=peer:NAME: a cable to the device with id=NAME. It is enough that one end names the other;
 *   either may come first; a cable has two ends.
 * - net=tap:IFNAME: the link is up while the interface is.
 * - net=unix:PATH[:PEER]: datagrams, one a frame; bound to PATH; sent to PEER, or to whoever sent
 * last.
 *   The link is always up: nobody knows who listens. A receiver whose queue is full is waited for,
 *   10
 *   ms at most; then frames are dropped until it reads. A socket left behind by a killed process is
 *   taken over, one that is in use is not.
 * - net=pcap:FILE: what comes and goes, beside one of the above.
 *
 * A frame that is lost on the wire was sent, as far as the device knows; the port counts it, and
 * the log says at level info when a receiver is missing, and at the end how many frames were lost.
 *
 * Threads, the rules for a model:
 *
 * - net_send may be called by any thread, several at a time.
 * - receive() is called by the sender's thread (peer) or by the port's own (tap, unix), by several
 * at
 *   a time if the peer sends from several; link() by any thread. No lock of net's is held
 *   meanwhile.
 *   Both may come before net_open() returned (*out is set by then), and never come after
 *   net_close()
 *   returned.
 * - Hold no lock in net_send that a receive() takes, one's own or another's (two devices that send
 * to
 *   each other would wait for each other); in net_open and net_close none that a receive() or
 *   link()
 *   takes. net_send may be called from link().
 * - net_send from inside receive() is fine: a frame to a peer leaves, in order, when the outermost
 *   receive() of this thread returned, so that no receive() runs inside another. At most
 *   NET_DEFER_MAX
 *   frames in reply to one: what two devices echo to each other for ever ends there.
 * - net_close not from inside receive() or link(). No net_send on a port while it is closed.
 * - A forked child leaves the ports of its parent alone: it neither sends nor closes. Its own know
 *   nothing of them.
 */
#ifndef MODELS_NET_NET_H
#define MODELS_NET_NET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uvfio/model.h"

#define NET_FRAME_MIN 14u /* an Ethernet header; a wire's 60 is the device's business */
#define NET_FRAME_MAX 16384u
#define NET_DEFER_MAX 1024u

struct net_port;
struct net_ops {
	/*
	 * A frame (without FCS) of NET_FRAME_MIN to NET_FRAME_MAX bytes came in. true: taken, or
	 * dropped by the device's filters; false: no room now (counted as missed; back-pressure to
	 * a peer is not modelled).
	 */
	bool (*receive)(void *arg, const void *frame, size_t len);
	/*
	 * The link came up or went down (a peer appeared, vanished; the interface of a tap). One
	 * call at a time for a port; the first says up. May be NULL.
	 */
	void (*link)(void *arg, bool up);
};

#define NET_OPTION "net"
/* The NAME in the value of net=peer:NAME, or NULL: it is another kind. */
const char *net_peer_name(const char *value);

/* clang-format off */
#define NET_OPTIONS \
	{ .name = NET_OPTION, .type = UVFIO_OPT_STRING, .multiple = true, \
	  .help = "peer:NAME (a device with id=NAME), tap:IFNAME, unix:PATH[:PEER]; " \
		  "and pcap:FILE beside any of them; default: no cable, the link is down" }
/* clang-format on */

/*
 * Read the options of @dev and open: 0 or -errno after uvfio_error(). Without net= the port has a
 * link only if a peer names it.
 */
int net_open(struct uvfio_dev *dev, const struct net_ops *ops, void *arg, struct net_port **out);
void net_close(struct net_port *p); /* NULL: nothing */
/* Send one frame: true if it left (or was dropped on the wire, as a wire may); false: no link. */
bool net_send(struct net_port *p, const void *frame, size_t len);
bool net_link_up(const struct net_port *p);
/*
 * Whether this end of a cable is awake (its PHY has power), as it is at first: a link needs both.
 * Calls link() of both ends: with no lock that one takes. No effect on a tap or a socket.
 */
void net_set_carrier(struct net_port *p, bool on);

struct net_stats {
	uint64_t missed; /* came in, but receive() had no room */
	/* sent, and lost on the wire: */
	uint64_t absent; /* nobody was there */
	uint64_t full;	 /* the receiver's queue was, or that of answers (NET_DEFER_MAX) */
	uint64_t bad;	 /* the host refused it; or a length, in or out, that is no frame's */
};
void net_get_stats(const struct net_port *p, struct net_stats *out);
#endif
