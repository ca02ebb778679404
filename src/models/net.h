/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net.h: where the packets of a network model go: to another device of the machine, to a tap interface, to a UNIX datagram socket, and into a pcap file beside any of them. One port a
 * network device. Written against uvfio/model.h alone.
 *
 * Options (a network model puts NET_OPTIONS into its table): net=peer:NAME | tap:IFNAME | unix:PATH[:PEERPATH] | pcap:FILE (multiple: pcap beside one of the others); net_id=NAME how a peer names this port.
 *
 * Threads: net_send may be called by any thread. receive() is called by the sender's thread (peer) or by the port's own (tap, unix), never with a lock of net's held, never after net_close() returned.
 */
#ifndef MODELS_NET_H
#define MODELS_NET_H
#include <stdbool.h>
#include <stddef.h>
#include "uvfio/model.h"

#define NET_FRAME_MAX 16384u

struct net_port;
struct net_ops {
	/* A frame (without FCS) came in. true: taken or dropped by the device's filters; false: no room now (counted as missed; back-pressure to a peer is not modelled). */
	bool (*receive)(void *arg, const void *frame, size_t len);
	/* The link came up or went down (a peer appeared, vanished; tap carrier). */
	void (*link)(void *arg, bool up);
};
#define NET_OPTIONS                                                                                                                                     \
	{ .name = "net", .type = UVFIO_OPT_STRING, .help = "peer:NAME, tap:IFNAME, unix:PATH; and pcap:FILE beside any of them", .multiple = true },    \
	{ .name = "net_id", .type = UVFIO_OPT_STRING, .help = "the name by which another device's net=peer: finds this one" }

/* Read the options of @dev and open: 0 or -errno after uvfio_error(). Without net= the port has no link. */
int net_open(struct uvfio_dev *dev, const struct net_ops *ops, void *arg, struct net_port **out);
void net_close(struct net_port *p);
/* Send one frame: true if it left (or was dropped on the wire, as a wire may); false: no link. */
bool net_send(struct net_port *p, const void *frame, size_t len);
bool net_link_up(const struct net_port *p);
#endif
