/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/internal.h: a server and its devices; and how they end (stop.c).
 */
#ifndef SERVE_INTERNAL_H
#define SERVE_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <urcu/list.h>

#include "uvfio/server.h"
#include "machine/machine.h"
#include "serve/serve.h"
#include "serve/socket.h"
#include "serve/state.h"
#include "vfio_user/server/server.h"

#define SERVE_FOREVER UINT64_MAX

struct uvfio_server {
	struct machine *machine;
	struct uvfio_server_ops ops;
	void *ctx;
	/*
	 * Guards what follows, and the machine's tables. Above the locks of servers. It is not held
	 * while a client is waited for, which may be for ever.
	 */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a device's server has ended, or a device has gone */
	/* virtual functions are behind their device in both */
	struct cds_list_head devices;
	struct cds_list_head lingering; /* unplugged, and a client is still inside */
	unsigned removals;		/* under way: their devices are in neither list */
	unsigned users;			/* of all devices */
	bool started;
	struct vu_server_limits limits;
	char *state; /* the directory, or NULL */
	/*
	 * /proc/thread-self/fd of who made it, or 0: opened before a sandbox lets nobody open
	 * anything. When that thread has ended what is there is looked for in the usual way.
	 */
	int table_fd;
};

struct uvfio_server_device {
	struct cds_list_head node;
	struct uvfio_server *s;
	struct machine_device *plugged;
	struct uvfio_server_device *pf; /* of a virtual function, which goes with it */
	struct serve_socket socket;	/* its path is NULL if it is not ours */
	int fd;				/* the socket; a server has a duplicate; -1: not served */
	/* NULL: not started; it is freed by who has set @joining */
	struct vu_server *server;
	bool stopping, joining; /* it was told to end; and is waited for */
	bool late;		/* in vain so far */
	bool drop;		/* nobody comes back to the device */
	unsigned users;		/* who use @server without s->lock */
	unsigned vfs_going;	/* removals under way of its virtual functions */
	char *model;
	atomic_bool open; /* a client has it */
	bool leaving;	  /* serve_unplug() asks for it */
	unsigned asked;	  /* so often it was */
	struct vu_ioeventfd *ioeventfds;
	unsigned num_ioeventfds;
	struct lasting_file *state; /* or NULL */
	bool hides_migration;
};

/* ---- stop.c: with s->lock held ---- */

/* Wait until something has ended, or gone. */
void serve_wait(struct uvfio_server *s);
/* True if some device is being stopped. */
bool serve_some_stop(const struct uvfio_server *s);
/* Hang up on all clients, and wait until they are gone. */
void serve_stop_all(struct uvfio_server *s);
/*
 * Take a device away, and its virtual functions: nobody finds them from now on. A client that is
 * inside one is waited for until @until; then they linger. @drop: nobody comes back to them.
 */
void serve_take_away(struct uvfio_server_device *d, bool drop, uint64_t until);
/* Free what lingers, if nobody is inside it any more. */
void serve_reap(struct uvfio_server *s);
#endif
