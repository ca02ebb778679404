/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/tap.c: a port whose other end is a tap interface of the host. The link is up while the
 * interface is (`ip link set IFNAME up`), which a netlink socket reports.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "models/net/internal.h"

#define TUN   "/dev/net/tun"
#define BATCH 64 /* frames, before the port's thread looks at anything else */

struct net_tap {
	char name[IFNAMSIZ]; /* as it was called when it was opened */
};

static bool tap_send(struct net_port *p, const void *frame, size_t len)
{
	ssize_t n;

	do
		n = write(p->fd, frame, len);
	while (n < 0 && errno == EINTR);
	/*
	 * EIO: the interface is down. EAGAIN: the host is out of buffers. All are a wire's to drop.
	 */
	if (n < 0)
		net_count(errno == EIO ? &p->absent : errno == EAGAIN ? &p->full : &p->bad);
	return true;
}

static bool is_up(struct net_port *p)
{
	struct ifreq tun = { 0 }, ifr = { 0 };

	/* By its present name: interfaces are renamed. */
	if (ioctl(p->fd, TUNGETIFF, &tun))
		return false; /* EBADFD: deleted */
	memcpy(ifr.ifr_name, tun.ifr_name, IFNAMSIZ);
	/*
	 * Not found here: it was moved into another network namespace, from where nothing is
	 * reported.
	 */
	if (p->event_fd < 0 || ioctl(p->event_fd, SIOCGIFFLAGS, &ifr))
		return true;
	return ifr.ifr_flags & IFF_UP;
}

static void tap_start(struct net_port *p)
{
	net_set_link(p, is_up(p));
}

static bool tap_readable(struct net_port *p)
{
	uint8_t frame[NET_FRAME_MAX + 1]; /* one more, to see what is too long */
	ssize_t n;

	for (int i = 0; i < BATCH; i++) {
		n = read(p->fd, frame, sizeof(frame));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0) {
			uvfio_log(p->dev, UVFIO_LOG_WARN,
				  "net=tap:%s: %s: the link is down for good", p->tap->name,
				  n ? strerror(errno) : "end of file");
			net_set_link(p, false);
			return false;
		}
		if (net_is_frame((size_t)n))
			net_incoming(p, frame, (size_t)n);
		else
			net_count(&p->bad);
	}
	return true;
}

/*
 * Some interface changed. What is said of it is not read: messages may be lost, the state is not.
 */
static void tap_event(struct net_port *p)
{
	char buf[8192];
	ssize_t n;

	do
		n = recv(p->event_fd, buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == EINTR || errno == ENOBUFS)));
	net_set_link(p, is_up(p));
}

static void tap_close(struct net_port *p)
{
	free(p->tap);
}

static const struct net_backend tap_backend = {
	.send = tap_send,
	.start = tap_start,
	.readable = tap_readable,
	.event = tap_event,
	.close = tap_close,
};

static int attach(struct net_port *p, int fd, const char *ifname)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int err;

	strncpy(ifr.ifr_name, ifname, IFNAMSIZ - 1);
	if (!ioctl(fd, TUNSETIFF, &ifr)) {
		memcpy(p->tap->name, ifr.ifr_name, IFNAMSIZ);
		/*
		 * A persistent interface keeps what its last user asked for; frames must come whole
		 * and summed.
		 */
		if (ioctl(fd, TUNSETOFFLOAD, 0))
			uvfio_log(p->dev, UVFIO_LOG_WARN, "net=tap:%s: TUNSETOFFLOAD: %s", ifname,
				  strerror(errno));
		return 0;
	}
	err = -errno;
	if (err == -EPERM)
		uvfio_error(p->dev,
			    "net=tap:%s: no permission; as root: ip tuntap add dev %s mode tap "
			    "user USER",
			    ifname, ifname);
	else if (err == -EBUSY)
		uvfio_error(p->dev, "net=tap:%s: in use by another program", ifname);
	else if (err == -EINVAL)
		uvfio_error(p->dev, "net=tap:%s: not a tap interface with a single queue", ifname);
	else
		uvfio_error(p->dev, "net=tap:%s: %s", ifname, strerror(-err));
	return err;
}

/* Open a socket for news of links. Without one (a sandbox may refuse) the link counts as up. */
static int watch(struct net_port *p)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return net_keep(p->dev, fd);
	if (fd >= 0)
		close(fd);
	return -1;
}

int net_tap_open(struct net_port *p, const char *ifname)
{
	int err, fd;

	if (!*ifname || strlen(ifname) >= IFNAMSIZ || strchr(ifname, '/'))
		return uvfio_error(p->dev,
				   "net=tap:%s: must be an interface's name of 1 to %d characters",
				   ifname, IFNAMSIZ - 1);
	fd = open(TUN, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		err = -errno;
		uvfio_error(p->dev, "net=tap:%s: " TUN ": %s%s", ifname, strerror(-err),
			    err == -ENOENT || err == -ENODEV ? "; modprobe tun" : "");
		return err;
	}
	p->tap = calloc(1, sizeof(*p->tap));
	if (!p->tap) {
		err = -ENOMEM;
		goto fail;
	}
	err = attach(p, fd, ifname);
	if (err)
		goto fail;
	err = net_keep(p->dev, fd);
	if (err < 0) {
		uvfio_error(p->dev, "net=tap:%s: no descriptor: %s", ifname, strerror(-err));
		fd = -1;
		goto fail;
	}
	p->fd = err;
	p->event_fd = watch(p);
	p->be = &tap_backend;
	return 0;
fail:
	free(p->tap);
	p->tap = NULL;
	if (fd >= 0)
		close(fd);
	return err;
}
