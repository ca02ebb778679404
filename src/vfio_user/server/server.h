/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/server.h: a server of vfio-user: a device that clients use through a socket. It
 * is a front: it opens the device by itself (VFIO_VIA_OWN) for a client, in an address space that
 * is the client's memory, and closes it when the client goes, so that the next one finds it as at
 * first.
 *
 * A device has one client at a time. Another one that comes meanwhile is told EBUSY, unless the
 * first has hung up already: then it waits until that one's last commands are done.
 *
 * Memory: malloc's. Threads: vu_server_free() is the last use that begins.
 * Lock order: leaves, all of them.
 */
#ifndef VFIO_USER_SERVER_H
#define VFIO_USER_SERVER_H
#include <stdint.h>

#include "lasting/file.h"
#include "vfio/open.h"
#include "vfio_user/server/limits.h"

struct vu_server;

/* Events of a client's life, in this order. */
enum vu_server_event {
	VU_SERVER_CONNECTED,
	VU_SERVER_OPENED,	/* it has the device now */
	VU_SERVER_REFUSED,	/* instead of that: @error says why */
	VU_SERVER_DISCONNECTED, /* the device is free again; @error: 0, or why it was thrown out */
};

/**
 * vu_server_limit - set the limit that users know as @name
 *
 * Return: 0; -ENOENT: there is none of that name; -ERANGE: @value is no value for it.
 */
int vu_server_limit(struct vu_server_limits *l, const char *name, uint64_t value);

/* A register whose writes of @value by @size bytes (1, 2, 4, 8) may come by an eventfd. */
struct vu_ioeventfd {
	uint32_t region, size;
	uint64_t offset, value;
};

struct vu_server_config {
	struct vfio_system *system;
	struct vfio_device *dev; /* of @system, and not open otherwise; outlives the server */
	const char *name;	 /* for the log, copied */
	/* for struct client_given, which has 0 for none; it outlives the server */
	int table_fd;
	struct vu_server_limits limits;
	const struct vu_ioeventfd *ioeventfds; /* live as long as the server */
	unsigned num_ioeventfds;
	/*
	 * NULL: nobody wants to know. By the client's thread, so of several clients at once, with
	 * no lock held. @client counts from 1.
	 */
	void (*event)(void *arg, enum vu_server_event e, unsigned client, int error);
	void *arg;
	/* the device has migration for @state alone, and shows it to no client */
	bool hides_migration;
	/*
	 * Where the device's state outlives this process, for clients that can come back; it
	 * outlives the server. NULL: it does not. vfio_outlast_way(dev->migrate) is a way.
	 */
	struct lasting_file *state;
};

/** vu_socket_listens - true if @fd is a stream socket of this host that listens */
bool vu_socket_listens(int fd);
/**
 * vu_server_new - serve a device
 * @fd: a listening socket, the server's from now on, also if this fails
 *
 * Return: 0; -ENOMEM, -EMFILE, -EAGAIN; -EINVAL: @fd does not listen.
 */
int vu_server_new(const struct vu_server_config *cfg, int fd, struct vu_server **out);
/* Nanoseconds in which who is hung up on leaves the device; a line names who does not. */
#define VU_SERVER_PATIENCE 1000000000ull
/** vu_server_stop - begin to stop: hang up on who is connected, and do not wait; not NULL */
void vu_server_stop(struct vu_server *s);
/**
 * vu_server_wait - after vu_server_stop(): wait for its end until @until_ns (CLOCK_MONOTONIC)
 *
 * Return: true: vu_server_free() has nothing to wait for; false: a client is inside a callback of
 * the model, as a line has said.
 */
bool vu_server_wait(struct vu_server *s, uint64_t until_ns);
/**
 * vu_server_free - stop: throw out who is connected, close the device, free it (@s may be NULL)
 *
 * The state of a device that a client has which can come back is in @state then.
 *
 * A model that does not return from a callback is waited for.
 */
void vu_server_free(struct vu_server *s);
/**
 * vu_server_step_begin - somebody else than clients is about to change the device
 * @s: may be NULL
 *
 * No lock of the device's is held.
 *
 * Return: true; false: a client is at it, and was a moment later.
 */
bool vu_server_step_begin(struct vu_server *s);
/** vu_server_step_end - it has */
void vu_server_step_end(struct vu_server *s);
#endif
