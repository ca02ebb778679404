/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/serve.c: uvfio/server.h: a machine, whose devices have a socket and a server of vfio-user
 * each, and so have their virtual functions.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/call.h"
#include "base/fork.h"
#include "base/guard.h"
#include "base/report.h"
#include "base/sys.h"
#include "serve/internal.h"

#define DEFAULT_MODE 0600u
#define ASK_EACH     100u /* serve_unplug() asks at each hundredth call */
#define BUSY_TRIES   100u
#define BUSY_US	     20000u
/* Nanoseconds that serve_unplug() waits for a client that is inside the device. */
#define UNPLUG_NS (2 * VU_SERVER_PATIENCE)

static __thread struct {
	const struct uvfio_server *s;
	char text[512];
} last_error;

static int fail(const struct uvfio_server *s, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fail(const struct uvfio_server *s, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_error.text, sizeof(last_error.text), fmt, ap);
	va_end(ap);
	last_error.s = s;
	return rc;
}

const char *uvfio_server_strerror(const struct uvfio_server *s)
{
	return last_error.s == s && last_error.text[0] ? last_error.text : "no error";
}

/* ---- a server ---- */

struct uvfio_server *uvfio_server_new(const struct uvfio_server_ops *ops, void *ctx)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	struct uvfio_server *s = calloc(1, sizeof(*s));
	int fd;

	if (!s)
		goto fail;
	fork_hooks_once();
	if (guard_install())
		goto fail;
	s->machine = machine_new();
	if (!s->machine)
		goto fail;
	if (ops)
		s->ops = *ops;
	s->ctx = ctx;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	CDS_INIT_LIST_HEAD(&s->devices);
	CDS_INIT_LIST_HEAD(&s->lingering);
	fd = fd_own(sys_open("/proc/thread-self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
	s->table_fd = fd < 0 ? 0 : fd;
	/* an error of a server that lived at this address is not ours */
	fail(s, 0, "%s", "");
	return s;
fail:
	free(s);
	fail(NULL, 0, "out of memory");
	return NULL;
}

int uvfio_server_register(const struct uvfio_model *model)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	char *why = NULL;
	int rc = machine_register_model(model, &why);

	if (rc)
		fail(NULL, rc, "%s", why ? why : strerror(-rc));
	free(why);
	return rc;
}

/* ---- devices ---- */

static void tell(void *arg, enum vu_server_event e, unsigned client, int error)
{
	static const enum uvfio_server_event events[] = {
		[VU_SERVER_CONNECTED] = UVFIO_SERVER_CONNECTED,
		[VU_SERVER_OPENED] = UVFIO_SERVER_OPENED,
		[VU_SERVER_REFUSED] = UVFIO_SERVER_REFUSED,
		[VU_SERVER_DISCONNECTED] = UVFIO_SERVER_DISCONNECTED,
	};
	struct uvfio_server_device *d = arg;

	if (e == VU_SERVER_OPENED || e == VU_SERVER_DISCONNECTED)
		atomic_store(&d->open, e == VU_SERVER_OPENED);
	if (d->s->ops.event)
		d->s->ops.event(d->s->ctx, d, events[e], client, error);
}

/* Have clients of @d served. */
static int start(struct uvfio_server_device *d)
{
	struct vu_server_config cfg = {
		.system = machine_system(d->s->machine),
		.dev = d->plugged->vdev,
		.name = d->plugged->addr,
		.table_fd = d->s->table_fd,
		.limits = d->s->limits,
		.ioeventfds = d->ioeventfds,
		.num_ioeventfds = d->num_ioeventfds,
		.event = tell,
		.arg = d,
		.hides_migration = d->hides_migration,
		.state = d->state,
	};
	int fd, rc;

	if (d->fd < 0)
		return 0;
	rc = fd = fd_dup_private(d->fd);
	if (fd >= 0)
		rc = vu_server_new(&cfg, fd, &d->server);
	return rc ? fail(d->s, rc, "%s cannot be served: %s", d->plugged->addr, strerror(-rc)) : 0;
}

/* Have clients of all devices served, or of @of alone and its virtual functions. s->lock held. */
static int start_all(struct uvfio_server *s, const struct uvfio_server_device *of)
{
	struct uvfio_server_device *d;
	int rc = 0;

	cds_list_for_each_entry(d, &s->devices, node) {
		if (!d->server && (!of || d == of || d->pf == of))
			rc = start(d);
		if (rc)
			break;
	}
	return rc;
}

/*
 * Add a device. Where one goes on that a killed process had, its image may still be in use: what
 * the kernel has under way for that process it lets go after the process is gone. That is waited
 * for before the server has started: nobody else wants s->lock then.
 */
static int add_to_machine(struct uvfio_server *s, const char *spec, char **err)
{
	int rc = machine_add(s->machine, spec, err);

	for (unsigned i = 0; s->state && !s->started && rc == -EBUSY && i < BUSY_TRIES; i++) {
		free(*err);
		*err = NULL;
		usleep(BUSY_US);
		rc = machine_add(s->machine, spec, err);
	}
	return rc;
}

static int plug(struct uvfio_server *s, const char *spec, struct machine_device **out)
{
	char *err = NULL;
	int rc;

	rc = add_to_machine(s, spec, &err);
	if (rc) {
		fail(s, rc, "%s", err ? err : strerror(-rc));
		goto out;
	}
	*out = machine_device(s->machine, machine_num_devices(s->machine) - 1);
	rc = machine_check(s->machine, &err);
	if (!rc)
		rc = machine_start(s->machine, &err);
	if (rc)
		fail(s, rc, "%s", err ? err : strerror(-rc));
	else if (!(*out)->vdev && !machine_vf(s->machine, *out, 0))
		rc = fail(s, -ENODEV, "%s has the driver %s: it cannot be served", (*out)->addr,
			  (*out)->driver);
	if (rc)
		machine_remove(s->machine, *out);
out:
	free(err);
	return rc;
}

static int keep_state(struct uvfio_server_device *d, const char *spec)
{
	char why[2 * LASTING_SPEC + 512];
	int rc;

	if (!d->s->state)
		return 0;
	rc = serve_state_open(d->s->state, d->plugged, spec, &d->state, &d->hides_migration, why,
			      sizeof(why));
	return rc ? fail(d->s, rc, "%s", why) : 0;
}

static const char *socket_error(int rc)
{
	switch (rc) {
	case -EADDRINUSE:
		return "another server listens there";
	case -EEXIST:
		return "there is something else";
	case -ENAMETOOLONG:
		return "a path of a socket has at most 107 bytes";
	default:
		return strerror(-rc);
	}
}

/* Give a virtual function of @pf a socket beside that of @pf. */
static int add_vf(struct uvfio_server_device *pf, struct machine_device *plugged, unsigned index,
		  unsigned mode)
{
	struct uvfio_server_device *vf = calloc(1, sizeof(*vf));
	char *path = NULL, *model = strdup(pf->model);
	int fd = -ENOMEM;

	if (asprintf(&path, "%s.vf%u", pf->socket.path, index) < 0)
		path = NULL;
	if (vf && model && path)
		fd = serve_socket_new(path, mode, &vf->socket);
	if (fd < 0) {
		fail(pf->s, fd, "%s: %s", path ? path : plugged->addr, socket_error(fd));
		free(model);
		free(vf);
	} else {
		vf->s = pf->s;
		vf->pf = pf;
		vf->plugged = plugged;
		vf->model = model;
		vf->fd = fd;
		cds_list_add_tail(&vf->node, &pf->s->devices);
	}
	free(path);
	return fd < 0 ? fd : 0;
}

/* Have the virtual functions of @d served, too; and not @d itself if it has a driver here. */
static int add_vfs(struct uvfio_server_device *d, unsigned mode)
{
	struct machine_device *vf = machine_vf(d->s->machine, d->plugged, 0);
	int rc = 0;

	if (vf && !d->socket.path)
		return fail(d->s, -ENOTSUP,
			    "%s: sockets of virtual functions are beside their device's, which "
			    "has to have a path",
			    d->plugged->addr);
	if (vf && d->s->state)
		return fail(
			d->s, -ENOTSUP,
			"%s: virtual functions do not outlive a server: leave sriov_numvfs= out, "
			"or --state",
			d->plugged->addr);
	for (unsigned i = 0; vf && !rc; vf = machine_vf(d->s->machine, d->plugged, ++i))
		rc = add_vf(d, vf, i, mode);
	if (!rc && !d->plugged->vdev) {
		fd_close_private(d->fd);
		d->fd = -1;
		serve_socket_remove(&d->socket);
	}
	return rc;
}

/* Plug a device in for the socket @fd, which is taken over. s->lock held. */
static int add(struct uvfio_server *s, const char *spec, int fd, struct serve_socket *socket,
	       unsigned mode, struct uvfio_server_device **out)
{
	struct uvfio_server_device *d;
	char *model = strndup(spec, strcspn(spec, ","));
	int rc;

	serve_reap(s);
	d = calloc(1, sizeof(*d));
	rc = d && model ? plug(s, spec, &d->plugged) : fail(s, -ENOMEM, "%s: out of memory", spec);
	if (rc) {
		free(model);
		fd_close_private(fd);
		serve_socket_remove(socket);
		free(d);
		return rc;
	}
	d->s = s;
	d->model = model;
	d->fd = fd;
	d->socket = *socket;
	cds_list_add_tail(&d->node, &s->devices);
	rc = add_vfs(d, mode);
	if (!rc)
		rc = keep_state(d, spec);
	if (!rc && s->started)
		rc = start_all(s, d);
	if (rc)
		serve_take_away(d, false, SERVE_FOREVER);
	else if (out)
		*out = d;
	return rc;
}

/* Say that there is no limit @name, and which there are. */
static void fail_unknown_limit(struct uvfio_server *s, const char *name)
{
	char names[256] = "";
	size_t len = 0;

	for (const struct vu_limit *l = vu_limits; l->name && len < sizeof(names); l++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
					l->name);
	fail(s, -ENOENT, "there is no limit '%s': %s", name, names);
}

void serve_print_limits(FILE *f)
{
	for (const struct vu_limit *l = vu_limits; l->name; l++) {
		static const char suffixes[] = " KMGT";
		uint64_t value = l->def;
		unsigned i = 0;

		for (; !(value % 1024) && suffixes[i + 1]; value /= 1024)
			i++;
		fprintf(f, "%-12s %5llu%c  %s\n", l->name, (unsigned long long)value, suffixes[i],
			l->what);
	}
}

int uvfio_server_set_limit(struct uvfio_server *s, const char *name, uint64_t value)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = vu_server_limit(&s->limits, name, value);
	pthread_mutex_unlock(&s->lock);
	if (rc == -ENOENT)
		fail_unknown_limit(s, name);
	else if (rc)
		fail(s, rc, "the limit '%s' cannot be %llu", name, (unsigned long long)value);
	return rc;
}

int uvfio_server_set_state(struct uvfio_server *s, const char *dir)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	char why[512], *real;
	uint64_t run;
	int rc;

	pthread_mutex_lock(&s->lock);
	if (s->state || !cds_list_empty(&s->devices)) {
		rc = fail(s, -EBUSY, "%s: the server has %s already", dir,
			  s->state ? s->state : "devices");
	} else {
		rc = serve_state_dir(dir, &real, &run, why, sizeof(why));
		if (rc) {
			fail(s, rc, "%s", why);
		} else {
			s->state = real;
			machine_set_run(s->machine, run);
		}
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int uvfio_server_add(struct uvfio_server *s, const char *spec, const char *path, unsigned mode,
		     struct uvfio_server_device **out)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	struct serve_socket socket;
	int fd, rc;

	mode = mode ? mode : DEFAULT_MODE;
	fd = serve_socket_new(path, mode, &socket);
	if (fd < 0)
		return fail(s, fd, "%s: %s", path, socket_error(fd));
	pthread_mutex_lock(&s->lock);
	rc = add(s, spec, fd, &socket, mode, out);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int uvfio_server_add_fd(struct uvfio_server *s, const char *spec, int fd,
			struct uvfio_server_device **out)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	struct serve_socket none = { 0 };
	int own = fd_make_private(fd), rc;

	if (own < 0) {
		sys_close(fd);
		return fail(s, own, "the socket %d: %s", fd, strerror(-own));
	}
	if (!vu_socket_listens(own)) {
		fd_close_private(own);
		return fail(s, -EINVAL,
			    "the descriptor %d is no stream socket of AF_UNIX that listens", fd);
	}
	pthread_mutex_lock(&s->lock);
	rc = add(s, spec, own, &none, 0, out);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int uvfio_server_ioeventfd(struct uvfio_server_device *d, unsigned region, uint64_t offset,
			   unsigned size, uint64_t value)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	struct uvfio_server *s = d->s;
	const struct pci_bar *bar = region < PCI_BARS ? &d->plugged->face->bars[region] : NULL;
	struct vu_ioeventfd *more;
	int rc = 0;

	if (!bar || !size || size > 8 || !is_pow2(size) || offset % size ||
	    !range_within(offset, size, bar->size))
		return fail(s, -EINVAL,
			    "%s: no ioeventfd of %u bytes can be at 0x%llx of region %u",
			    d->plugged->addr, size, (unsigned long long)offset, region);
	if (size < 8 && value >> 8 * size)
		return fail(s, -EINVAL, "%s: 0x%llx is no value of %u bytes", d->plugged->addr,
			    (unsigned long long)value, size);
	pthread_mutex_lock(&s->lock);
	if (d->server)
		rc = fail(s, -EBUSY, "%s is served already", d->plugged->addr);
	more = rc ? NULL
		  : reallocarray(d->ioeventfds, d->num_ioeventfds + 1, sizeof(*d->ioeventfds));
	if (more) {
		d->ioeventfds = more;
		more[d->num_ioeventfds++] = (struct vu_ioeventfd){
			.region = region, .offset = offset, .size = size, .value = value
		};
	} else if (!rc) {
		rc = fail(s, -ENOMEM, "%s: out of memory", d->plugged->addr);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void uvfio_server_remove(struct uvfio_server_device *d)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	struct uvfio_server *s;

	if (!d)
		return;
	s = d->s;
	pthread_mutex_lock(&s->lock);
	serve_take_away(d, true, SERVE_FOREVER);
	pthread_mutex_unlock(&s->lock);
}

int uvfio_server_start(struct uvfio_server *s)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());
	int rc;

	pthread_mutex_lock(&s->lock);
	/* a stop that is under way is done first */
	while (serve_some_stop(s))
		serve_wait(s);
	rc = start_all(s, NULL);
	s->started = !rc;
	if (rc)
		serve_stop_all(s);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void uvfio_server_stop(struct uvfio_server *s)
{
	CALL_FRAME_STACK(__func__, CALL_SITE());

	pthread_mutex_lock(&s->lock);
	s->started = false;
	serve_stop_all(s);
	pthread_mutex_unlock(&s->lock);
}

const char *uvfio_server_address(const struct uvfio_server_device *dev)
{
	return dev->plugged->addr;
}

const char *uvfio_server_path(const struct uvfio_server_device *dev)
{
	return dev->socket.path;
}

/* ---- for uvfio ctl ---- */

void serve_each(struct uvfio_server *s, void (*fn)(void *ctx, const struct serve_info *i),
		void *ctx)
{
	struct uvfio_server_device *d;

	pthread_mutex_lock(&s->lock);
	cds_list_for_each_entry(d, &s->devices, node) {
		const struct serve_info i = { .addr = d->plugged->addr,
					      .model = d->model,
					      .path = d->socket.path,
					      .group = d->plugged->group,
					      .open = atomic_load(&d->open),
					      .leaving = d->leaving };

		fn(ctx, &i);
	}
	pthread_mutex_unlock(&s->lock);
}

/* Return the device at @addr, or NULL. s->lock held. */
static struct uvfio_server_device *find(struct uvfio_server *s, const char *addr)
{
	struct uvfio_server_device *d;

	cds_list_for_each_entry(d, &s->devices, node)
		if (!strcmp(d->plugged->addr, addr))
			return d;
	return NULL;
}

/* Return how many have @d, or one of its virtual functions. s->lock held. */
static unsigned opens(struct uvfio_server_device *d)
{
	struct uvfio_server_device *vf;
	unsigned n = d->plugged->vdev ? vfio_device_opens(d->plugged->vdev) : 0;

	cds_list_for_each_entry(vf, &d->s->devices, node)
		if (vf->pf == d)
			n += opens(vf);
	return n;
}

/* Ask who has @d for it, now and then. Return how many have it. s->lock held. */
static unsigned ask_back(struct uvfio_server_device *d)
{
	unsigned n = d->asked++;

	d->leaving = true;
	if (n % ASK_EACH)
		return opens(d);
	return machine_leave(d->s->machine, d->plugged->addr, n / ASK_EACH, false);
}

int serve_unplug(struct uvfio_server *s, const char *addr, bool surprise)
{
	struct uvfio_server_device *d;
	int rc = -ENODEV;

	pthread_mutex_lock(&s->lock);
	d = find(s, addr);
	if (d && d->pf) {
		rc = -EOPNOTSUPP;
	} else if (d) {
		rc = !surprise && ask_back(d) ? -EBUSY : 0;
		if (!rc)
			serve_take_away(d, true, now_ns() + UNPLUG_NS);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void serve_keep(struct uvfio_server *s, const char *addr)
{
	struct uvfio_server_device *d, *of;

	pthread_mutex_lock(&s->lock);
	d = find(s, addr);
	if (d) {
		d->leaving = false;
		d->asked = 0;
		cds_list_for_each_entry(of, &s->devices, node)
			if ((of == d || of->pf == d) && of->plugged->vdev)
				vfio_device_leave(of->plugged->vdev, false);
	}
	pthread_mutex_unlock(&s->lock);
}

int serve_error(struct uvfio_server *s, const char *addr, enum machine_severity severity)
{
	struct uvfio_server_device *d;
	struct vu_server *server;
	int rc = -ENODEV;

	pthread_mutex_lock(&s->lock);
	d = find(s, addr);
	if (d && !d->stopping) {
		server = d->server;
		d->users++;
		s->users++;
		/* a client may be in a step, for as long as it likes */
		pthread_mutex_unlock(&s->lock);
		rc = -EBUSY;
		if (vu_server_step_begin(server)) {
			rc = machine_error(s->machine, addr, severity);
			vu_server_step_end(server);
		}
		pthread_mutex_lock(&s->lock);
		d->users--;
		s->users--;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}
