/* SPDX-License-Identifier: BSD-3-Clause */
/* own/serve.c: the socket on which processes say hello, and the life of what serves them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/run_socket.h"
#include "base/sys.h"
#include "own/internal.h"

int own_listen(const char *run_dir)
{
	return run_socket_listen(run_dir, FAR_SOCKET, SOCK_SEQPACKET);
}

#define ASK_MS 1000

/*
 * Take in a process that comes, in at most @ms, or the word to keep what is open. True: the other
 * end of @until is closed.
 */
static bool wait_for_one(struct own *o, int listener, int until, int ms)
{
	struct pollfd p[] = { { .fd = listener, .events = POLLIN },
			      { .fd = until, .events = POLLIN } };
	char word;
	int fd;

	if (poll(p, ARRAY_SIZE(p), ms) <= 0)
		return false;
	if (p[1].revents) {
		if (read(until, &word, 1) != 1)
			return true;
		own_files_keep(&o->files);
	}
	if (!p[0].revents)
		return false;
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		own_link_start(o, fd);
	else if (errno != EINTR && errno != ECONNABORTED)
		/* EMFILE and its kin: those that are here may go */
		poll(NULL, 0, 10);
	return false;
}

struct own *own_new(struct machine *m, bool late)
{
	struct own *o = calloc(1, sizeof(*o));
	int rc;

	if (!o) {
		report_err("own-serve", WHO, -ENOMEM, "%m");
		return NULL;
	}
	o->m = m;
	o->late = late;
	o->fds = (struct uapi_fds){ .fget = own_fget, .install = own_install, .arg = o };
	CDS_INIT_LIST_HEAD(&o->processes);
	CDS_INIT_LIST_HEAD(&o->links);
	rc = own_files_init(&o->files);
	if (rc) {
		report_err("own-serve", WHO, rc, "inotify_init1: %m");
		free(o);
		return NULL;
	}
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->gone, NULL);
	return o;
}

void own_free(struct own *o)
{
	own_files_fini(&o->files);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->gone);
	free(o);
}

void own_settle(void *own)
{
	struct own *o = own;

	own_files_drain(&o->files);
}

void own_serve(struct own *o, int listener, int until, bool (*needed)(void *arg), void *arg)
{
	struct own_link *l;

	while (!wait_for_one(o, listener, until, -1))
		;
	while (needed(arg))
		wait_for_one(o, listener, -1, ASK_MS);
	/* nobody calls any more but who is stuck in a call: its link is cut */
	pthread_mutex_lock(&o->lock);
	cds_list_for_each_entry(l, &o->links, node)
		shutdown(l->fd, SHUT_RDWR);
	while (!cds_list_empty(&o->links))
		pthread_cond_wait(&o->gone, &o->lock);
	pthread_mutex_unlock(&o->lock);
}
