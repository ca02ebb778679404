/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/net.c: a port from the options to the grave, and the thread that waits for the frames
 * of a tap or a socket. What kind of port it is shows in its backend alone.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "models/net/internal.h"

int net_keep(struct uvfio_dev *dev, int fd)
{
	int kept = uvfio_fd_keep(dev, fd);

	if (kept < 0)
		close(fd);
	return kept;
}

/* ---- frames ---- */

bool net_link_up(const struct net_port *p)
{
	return atomic_load_explicit(&p->up, memory_order_acquire);
}

bool net_send(struct net_port *p, const void *frame, size_t len)
{
	if (!net_link_up(p))
		return false;
	if (!net_is_frame(len)) {
		net_count(&p->bad);
		return true;
	}
	if (p->pcap)
		net_pcap_write(p->pcap, frame, len);
	return p->be->send(p, frame, len);
}

void net_deliver(struct net_port *p, const void *frame, size_t len)
{
	if (p->pcap)
		net_pcap_write(p->pcap, frame, len);
	if (!p->ops->receive(p->arg, frame, len))
		net_count(&p->missed);
}

void net_get_stats(const struct net_port *p, struct net_stats *out)
{
	out->missed = atomic_load_explicit(&p->missed, memory_order_relaxed);
	out->absent = atomic_load_explicit(&p->absent, memory_order_relaxed);
	out->full = atomic_load_explicit(&p->full, memory_order_relaxed);
	out->bad = atomic_load_explicit(&p->bad, memory_order_relaxed);
}

/* Log the losses that no counter of the device shows. */
static void tell_losses(struct net_port *p)
{
	struct net_stats s;

	net_get_stats(p, &s);
	if (s.missed || s.absent || s.full || s.bad)
		uvfio_log(p->dev, UVFIO_LOG_INFO,
			  "net: frames lost: %llu sent to nobody, %llu into full queues, %llu "
			  "refused "
			  "or of a wrong length; %llu that came in found no room in the device",
			  (unsigned long long)s.absent, (unsigned long long)s.full,
			  (unsigned long long)s.bad, (unsigned long long)s.missed);
}

/* ---- the thread ---- */

static void *port_main(void *arg)
{
	struct net_port *p = arg;
	struct pollfd fds[] = {
		{ .fd = p->wake_fd, .events = POLLIN },
		{ .fd = p->fd, .events = POLLIN },
		{ .fd = p->event_fd, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR && errno != EAGAIN) {
			uvfio_log(p->dev, UVFIO_LOG_ERROR,
				  "net: poll: %s: nothing comes in any more", strerror(errno));
			return NULL;
		}
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents && !p->be->readable(p))
			fds[1].fd = -1;
		if (fds[2].revents)
			p->be->event(p);
	}
}

static int start(struct net_port *p)
{
	int err, fd;

	if (!p->be->start)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		goto fail;
	}
	p->wake_fd = err = net_keep(p->dev, fd);
	if (err < 0)
		goto fail;
	p->be->start(p);
	err = uvfio_thread_start(p->dev, &p->thread, port_main, p, "net-port");
	p->has_thread = !err;
	if (!err)
		return 0;
	net_set_link(p, false);
fail:
	uvfio_error(p->dev, "net: no thread for the port: %s", strerror(-err));
	return err;
}

static void stop(struct net_port *p)
{
	uint64_t one = 1;

	if (!p->has_thread)
		return;
	if (write(p->wake_fd, &one, sizeof(one)) < 0)
		uvfio_log(p->dev, UVFIO_LOG_ERROR, "net: the port's thread cannot be stopped: %s",
			  strerror(errno));
	pthread_join(p->thread, NULL);
}

/* ---- options ---- */

static const char *after(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) ? NULL : text + n;
}

const char *net_peer_name(const char *value)
{
	return after(value, "peer:");
}

bool net_is_cable(const char *value)
{
	return !after(value, "pcap:");
}

static int parse(struct net_port *p, const char *text, const char **first, const char **pcap)
{
	const char *v;

	v = after(text, "pcap:");
	if (v) {
		if (*pcap)
			return uvfio_error(p->dev, "net=%s: there is net=pcap:%s already", text,
					   *pcap);
		if (!*v)
			return uvfio_error(p->dev, "net=%s: needs a file: net=pcap:FILE", text);
		*pcap = v;
		return 0;
	}
	if (*first)
		return uvfio_error(p->dev,
				   "net=%s: there is net=%s already, and a port goes to one place",
				   text, *first);
	*first = text;
	v = net_peer_name(text);
	if (v) {
		if (!*v)
			return uvfio_error(p->dev, "net=%s: needs a name: net=peer:NAME", text);
		if (p->id && !strcmp(v, p->id))
			return uvfio_error(p->dev, "net=%s: a port cannot be its own peer", text);
		p->wants = v;
		return 0;
	}
	v = after(text, "tap:");
	if (v)
		return net_tap_open(p, v);
	v = after(text, "unix:");
	if (v)
		return net_unix_open(p, v);
	return uvfio_error(p->dev,
			   "net=%s: must be peer:NAME, tap:IFNAME, unix:PATH[:PEER] or pcap:FILE",
			   text);
}

static void free_port(struct net_port *p)
{
	p->be->close(p);
	if (p->wake_fd >= 0)
		uvfio_fd_close(p->dev, p->wake_fd);
	if (p->event_fd >= 0)
		uvfio_fd_close(p->dev, p->event_fd);
	if (p->fd >= 0)
		uvfio_fd_close(p->dev, p->fd);
	net_pcap_close(p->pcap);
	free(p);
}

int net_open(struct uvfio_dev *dev, const struct net_ops *ops, void *arg, struct net_port **out)
{
	const char *first = NULL, *pcap = NULL;
	struct net_port *p = calloc(1, sizeof(*p));
	int err = 0;

	*out = NULL;
	if (!p)
		return -ENOMEM;
	p->dev = dev;
	p->ops = ops;
	p->arg = arg;
	p->be = &net_peer_backend;
	p->fd = p->event_fd = p->wake_fd = -1;
	p->id = uvfio_dev_id(dev);
	for (unsigned i = 0; i < uvfio_opt_count(dev, NET_OPTION) && !err; i++)
		err = parse(p, uvfio_opt_string(dev, NET_OPTION, i), &first, &pcap);
	if (!err && pcap)
		err = net_pcap_open(dev, pcap, &p->pcap);
	if (err)
		goto fail;
	*out = p; /* the callbacks may come from now on */
	err = net_join(p);
	if (err)
		goto fail;
	err = start(p);
	if (!err)
		return 0;
	net_leave(p);
fail:
	*out = NULL;
	free_port(p);
	return err;
}

void net_close(struct net_port *p)
{
	if (!p || !net_is_ours(p))
		return;
	stop(p);
	net_leave(p);
	tell_losses(p);
	free_port(p);
}
