/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/serve_ctl.c: `uvfio ctl` of a `uvfio serve`: a run directory with nothing but the control's
 * sockets in it, and what it is asked for, done with the server.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/report.h"
#include "cli/cli.h"
#include "serve/serve.h"

struct serve_ctl {
	struct uvfio_server *server;
	unsigned mode, plugged;
	char *dir;
	struct ctl_server *ctl;
};

struct each {
	void (*fn)(void *ctx, const struct ctl_device *d);
	void *ctx;
};

static void tell(void *arg, const struct serve_info *i)
{
	const struct each *e = arg;
	const struct ctl_device d = { .addr = i->addr,
				      .model = i->model,
				      .socket = i->path,
				      .group = i->group,
				      .open = i->open,
				      .leaving = i->leaving };

	e->fn(e->ctx, &d);
}

static void each(void *arg, void (*fn)(void *ctx, const struct ctl_device *d), void *ctx)
{
	struct serve_ctl *c = arg;
	struct each e = { fn, ctx };

	serve_each(c->server, tell, &e);
}

static void find_group(void *arg, const struct serve_info *i)
{
	struct ctl_device *d = arg;

	if (!strcmp(i->addr, d->addr))
		d->group = i->group;
}

static int plug(void *arg, const char *spec, char *addr, unsigned *group, char **why)
{
	struct ctl_device place = { .addr = addr };
	struct uvfio_server_device *dev;
	struct serve_ctl *c = arg;
	char *path;
	int rc;

	path = serve_default_path("-plug", c->plugged++);
	if (!path)
		return -ENOMEM;
	rc = uvfio_server_add(c->server, spec, path, c->mode, &dev);
	if (rc) {
		*why = strdup(uvfio_server_strerror(c->server));
	} else {
		strcpy(addr, uvfio_server_address(dev));
		serve_each(c->server, find_group, &place);
		*group = place.group;
		/* of one with a driver here only virtual functions are */
		report_info("serve-plugged", addr, 0, "%.*s is served at %s%s",
			    (int)strcspn(spec, ","), spec, path,
			    uvfio_server_path(dev) ? "" : ".vf0, and so on");
	}
	free(path);
	return rc;
}

/* Give a sentence for @rc, which is returned. */
static int because(char **why, int rc, const char *addr, const char *text)
{
	if (asprintf(why, "%s%s", addr, text) < 0)
		*why = NULL;
	return rc;
}

static int unplug(void *arg, const char *addr, bool surprise, char **why)
{
	struct serve_ctl *c = arg;
	int rc = serve_unplug(c->server, addr, surprise);

	if (rc == -ENODEV)
		return because(why, rc, addr, ": there is no such device: `uvfio ctl list`");
	if (rc == -EOPNOTSUPP)
		return because(why, rc, addr, ": a virtual function goes with its device");
	if (rc)
		return because(why, rc, addr, ": its client keeps it");
	report_info("serve-unplugged", addr, 0, "unplugged");
	return 0;
}

static void keep(void *arg, const char *addr)
{
	struct serve_ctl *c = arg;

	serve_keep(c->server, addr);
	report_info("serve-kept", addr, 0, "it stays: nobody waits any more for it to go");
}

static int raise_error(void *arg, const char *addr, enum machine_severity severity, char **why)
{
	struct serve_ctl *c = arg;
	int rc = serve_error(c->server, addr, severity);

	if (rc == -EINVAL)
		return because(why, rc, addr,
			       ": all errors of this severity are masked, or have another one");
	if (rc == -ENODEV)
		return because(why, rc, addr, ": there is no such device that has a client");
	if (rc == -EBUSY)
		return because(why, rc, addr,
			       ": its client is inside of it, and the model does not return from "
			       "a callback");
	return rc ? because(why, rc, addr, ": it cannot report errors") : 0;
}

static const struct ctl_local local = { each, plug, unplug, keep, raise_error };

struct serve_ctl *serve_ctl_new(struct uvfio_server *server, unsigned mode)
{
	struct serve_ctl *c = calloc(1, sizeof(*c));
	char *why = NULL;
	int rc = -ENOMEM;

	if (!c)
		goto out;
	c->server = server;
	c->mode = mode;
	rc = rundir_new(&c->dir, &why);
	if (!rc)
		rc = ctl_server_new(c->dir, "uvfio serve", &c->ctl);
	if (!rc) {
		ctl_server_set_local(c->ctl, &local, c);
		rc = ctl_server_start(c->ctl);
	}
out:
	/* devices are served without, too */
	if (rc)
		report_warn("ctl-server", "serve", rc, "`uvfio ctl` cannot reach this server: %s",
			    why ? why : strerror(-rc));
	free(why);
	return c;
}

void serve_ctl_leave(struct serve_ctl *c)
{
	if (c && c->dir)
		rundir_end(c->dir, c->ctl);
}

void serve_ctl_free(struct serve_ctl *c)
{
	if (!c)
		return;
	ctl_server_stop(c->ctl);
	if (c->dir)
		rundir_end(c->dir, c->ctl);
	ctl_server_free(c->ctl);
	free(c->dir);
	free(c);
}
