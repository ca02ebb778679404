/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/net.h: a port of a network model: its packets go to another device of the machine, to
 * a tap interface or to a UNIX datagram socket, and into a pcap file beside any of them. A network
 * device has one port. Written against uvfio/model.h alone.
 *
 * Options (a network model puts NET_OPTIONS into its table, and sets `concurrent`):
 *
 * net=peer:NAME         a cable to the device with id=NAME. It is enough that one end names the
 *                       other; either may come first; a cable has two ends.
 * net=tap:IFNAME        the link is up while the interface is.
 * net=unix:PATH[:PEER]  datagrams, one a frame; bound to PATH; sent to PEER, or to the address that
 *                       sent last. The link is always up, as it cannot be known who listens. A
 *                       receiver whose queue is full is waited for, 10 ms at most; then frames are
 *                       dropped until it reads. A socket that a killed process left behind is taken
 *                       over, one that is in use is not.
 * net=pcap:FILE         what comes and goes, beside one of the above.
 *
 * A frame that is lost on the wire was sent, as far as the device knows; the port counts it, and
 * the log says at level info when a receiver is missing, and at the end how many frames were lost.
 *
 * Threads: the rules for a model.
 *
 * 1. net_send() may be called by any thread, by several at a time, and from link().
 * 2. receive() is called by the sender's thread (peer) or by the port's own (tap, unix), by several
 *    at a time if the peer sends from several; link() by any thread. No lock of net's is held
 *    meanwhile. Both may come before net_open() has returned (*out is set by then), and do not come
 *    after net_close() has returned.
 * 3. Hold no lock in net_send() that a receive() takes, one's own or another device's: two devices
 *    that send to each other would wait for each other. Hold none in net_open() and net_close()
 *    that a receive() or link() takes.
 * 4. net_send() from inside receive() is fine: a frame to a peer leaves, in order, when the
 *    outermost receive() of this thread has returned, so that no receive() runs inside another. At
 *    most NET_DEFER_MAX frames in reply to one: this ends what two devices echo to each other.
 * 5. Do not call net_close() from inside receive() or link(), nor net_send() on a port while it is
 *    being closed.
 * 6. A forked child leaves its parent's ports alone: it neither sends nor closes. Ports that it
 *    opens know nothing of them.
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
	 * Take a frame that came in, of NET_FRAME_MIN to NET_FRAME_MAX bytes, without FCS. True:
	 * taken, or dropped by the device's filters; false: no room now (it is counted as missed;
	 * back-pressure to a peer is not modelled).
	 */
	bool (*receive)(void *arg, const void *frame, size_t len);
	/*
	 * Hear that the link came up or went down: a peer appeared or vanished, the interface of a
	 * tap did. One call at a time for a port; the first says up. May be NULL.
	 */
	void (*link)(void *arg, bool up);
};

#define NET_OPTION "net"
/* Return the NAME in the value peer:NAME of the option; NULL if it is of another kind. */
const char *net_peer_name(const char *value);
/* True if the value puts a cable in: all but pcap:FILE. */
bool net_is_cable(const char *value);

/* clang-format off */
#define NET_OPTIONS \
	{ .name = NET_OPTION, .type = UVFIO_OPT_STRING, .multiple = true, \
	  .help = "peer:NAME (a device with id=NAME), tap:IFNAME, unix:PATH[:PEER]; " \
		  "and pcap:FILE beside any of them; default: no cable, the link is down" }
/* clang-format on */

/*
 * Open a port as the options of @dev say: 0 or -errno after uvfio_error(). Without net= the port
 * has a link only if a peer names it.
 */
int net_open(struct uvfio_dev *dev, const struct net_ops *ops, void *arg, struct net_port **out);
void net_close(struct net_port *p); /* NULL: nothing */
/* Send one frame: true if it left (or was dropped on the wire, as a wire may); false: no link. */
bool net_send(struct net_port *p, const void *frame, size_t len);
bool net_link_up(const struct net_port *p);
/*
 * Say whether this end of a cable is awake (its PHY has power), as it is at first: a link needs
 * both ends. Calls link() of both, so hold no lock that a link() takes. No effect on a tap or a
 * socket.
 */
void net_set_carrier(struct net_port *p, bool on);
#endif
