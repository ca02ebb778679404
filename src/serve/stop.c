/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/stop.c: devices stop, and go, and the server with them. Whoever is inside a device may stay
 * there for as long as it likes: it is waited for without s->lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/call.h"
#include "base/report.h"
#include "base/sys.h"
#include "serve/internal.h"

void serve_wait(struct uvfio_server *s)
{
	pthread_cond_wait(&s->changed, &s->lock);
}

/* Hang up on the clients of all devices in @list. */
static void tell_to_stop(struct cds_list_head *list)
{
	struct uvfio_server_device *d;

	cds_list_for_each_entry(d, list, node) {
		if (!d->server)
			continue;
		vu_server_stop(d->server);
		d->stopping = true;
	}
}

/*
 * Wait until @until for the server of @d, which nobody else waits for, and free it if it has ended;
 * without s->lock meanwhile. Return whether it has.
 */
static bool end_server(struct uvfio_server_device *d, uint64_t until)
{
	struct uvfio_server *s = d->s;
	bool ended;

	d->joining = true;
	while (d->users && until == SERVE_FOREVER)
		serve_wait(s);
	pthread_mutex_unlock(&s->lock);
	ended = vu_server_wait(d->server, until);
	pthread_mutex_lock(&s->lock);
	/* who uses it began before @joining was set */
	ended = ended && !d->users;
	if (ended) {
		vu_server_free(d->server);
		d->server = NULL;
		d->stopping = false;
	}
	d->joining = false;
	pthread_cond_broadcast(&s->changed);
	return ended;
}

/* Return one in @list that is to be waited for, and was not in vain. */
static struct uvfio_server_device *next_stopping(struct cds_list_head *list)
{
	struct uvfio_server_device *d;

	cds_list_for_each_entry(d, list, node)
		if (d->stopping && !d->joining && !d->late)
			return d;
	return NULL;
}

/* Wait for all in @list that were told to stop, until @until. */
static void end_servers(struct cds_list_head *list, uint64_t until)
{
	struct uvfio_server_device *d;

	cds_list_for_each_entry(d, list, node)
		d->late = false;
	/* the list may be another one after each */
	while ((d = next_stopping(list)))
		d->late = !end_server(d, until);
}

bool serve_some_stop(const struct uvfio_server *s)
{
	struct uvfio_server_device *d;

	cds_list_for_each_entry(d, &s->devices, node)
		if (d->stopping)
			return true;
	return false;
}

/* Who is stuck holds up nobody but the end of this. */
void serve_stop_all(struct uvfio_server *s)
{
	tell_to_stop(&s->devices);
	end_servers(&s->devices, now_ns() + VU_SERVER_PATIENCE);
	end_servers(&s->devices, SERVE_FOREVER);
	/* others may wait for some, too */
	while (serve_some_stop(s))
		serve_wait(s);
}

/* Free a device that has no server. */
static void free_device(struct uvfio_server_device *d)
{
	fd_close_private(d->fd);
	serve_socket_remove(&d->socket);
	if (d->state && d->drop)
		lasting_drop(d->state);
	lasting_file_close(d->state);
	if (!d->pf)
		machine_remove(d->s->machine, d->plugged);
	cds_list_del(&d->node);
	free(d->ioeventfds);
	free(d->model);
	free(d);
}

/* Return one in @list that can be freed: virtual functions go first. */
static struct uvfio_server_device *next_free(struct cds_list_head *list)
{
	struct uvfio_server_device *d, *vf;
	bool has_vf;

	cds_list_for_each_entry_reverse(d, list, node) {
		has_vf = false;
		cds_list_for_each_entry(vf, list, node)
			has_vf |= vf->pf == d;
		if (!d->server && !d->joining && !d->users && !d->vfs_going && !has_vf)
			return d;
	}
	return NULL;
}

static void free_devices(struct cds_list_head *list)
{
	struct uvfio_server_device *d;

	while ((d = next_free(list)))
		free_device(d);
}

/* Move all of @from behind those in @to. */
static void move_all(struct cds_list_head *from, struct cds_list_head *to)
{
	struct uvfio_server_device *d, *next;

	cds_list_for_each_entry_safe(d, next, from, node) {
		cds_list_del(&d->node);
		cds_list_add_tail(&d->node, to);
	}
}

void serve_take_away(struct uvfio_server_device *d, bool drop, uint64_t until)
{
	struct uvfio_server_device *of, *next, *pf = d->pf;
	struct uvfio_server *s = d->s;
	struct cds_list_head gone;

	CDS_INIT_LIST_HEAD(&gone);
	cds_list_for_each_entry_safe(of, next, &s->devices, node) {
		if (of != d && of->pf != d)
			continue;
		cds_list_del(&of->node);
		cds_list_add_tail(&of->node, &gone);
		of->drop = drop;
	}
	s->removals++;
	if (pf)
		pf->vfs_going++;
	tell_to_stop(&gone);
	for (;;) {
		end_servers(&gone, until);
		free_devices(&gone);
		if (cds_list_empty(&gone) || until != SERVE_FOREVER)
			break;
		/* others wait for some, or use them */
		serve_wait(s);
	}
	cds_list_for_each_entry(of, &gone, node)
		serve_socket_unlink(&of->socket);
	move_all(&gone, &s->lingering);
	if (pf)
		pf->vfs_going--;
	s->removals--;
	pthread_cond_broadcast(&s->changed);
}

void serve_reap(struct uvfio_server *s)
{
	/* to look costs nothing, and waits for nobody */
	end_servers(&s->lingering, now_ns());
	if (!s->users)
		free_devices(&s->lingering);
}

/* Take all devices away for which nobody has to be waited for after @until. */
static void take_all_away(struct uvfio_server *s, uint64_t until)
{
	end_servers(&s->devices, until);
	end_servers(&s->lingering, until);
	/* who is in a stuck device may have a lock of the machine's */
	if (s->users && until != SERVE_FOREVER)
		return;
	free_devices(&s->devices);
	free_devices(&s->lingering);
}

/* Begin the end. */
static void begin_end(struct uvfio_server *s)
{
	s->started = false;
	tell_to_stop(&s->devices);
	take_all_away(s, now_ns() + VU_SERVER_PATIENCE);
}

static bool all_gone(struct uvfio_server *s)
{
	return cds_list_empty(&s->devices) && cds_list_empty(&s->lingering) && !s->removals;
}

/* Say that the devices in @list are given up. Return how many there are. */
static unsigned give_up(struct cds_list_head *list)
{
	struct uvfio_server_device *d;
	unsigned n = 0;

	cds_list_for_each_entry(d, list, node) {
		serve_socket_unlink(&d->socket);
		if (!d->server)
			continue;
		n++;
		report_err("serve-given-up", d->plugged->addr, -ETIMEDOUT,
			   "is given up: a client is still inside it%s",
			   d->state ? ", and its state is lost" : "");
	}
	return n;
}

unsigned serve_end(struct uvfio_server *s, uint64_t ns)
{
	uint64_t until = now_ns() + ns;
	unsigned n;

	pthread_mutex_lock(&s->lock);
	begin_end(s);
	/* serve_unplug()'s are soon over */
	while (s->removals)
		serve_wait(s);
	take_all_away(s, until);
	n = give_up(&s->devices) + give_up(&s->lingering);
	pthread_mutex_unlock(&s->lock);
	return n;
}

void uvfio_server_free(struct uvfio_server *s)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	begin_end(s);
	for (;;) {
		take_all_away(s, SERVE_FOREVER);
		if (all_gone(s))
			break;
		serve_wait(s);
	}
	pthread_mutex_unlock(&s->lock);
	machine_free(s->machine, false);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	if (s->table_fd)
		fd_close_private(s->table_fd);
	free(s->state);
	free(s);
}
