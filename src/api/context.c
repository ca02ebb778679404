/* SPDX-License-Identifier: BSD-3-Clause */
/* api/context.c: contexts and the devices in them: plugging in, opening, closing. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/internal.h"
#include "base/fork.h"
#include "base/guard.h"
#include "base/log.h"
#include "fault/fault.h"

static __thread struct {
	const struct uvfio *u;
	char text[256];
} last_error;

int api_fail(const struct uvfio *u, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(last_error.text, sizeof(last_error.text), fmt, ap);
	va_end(ap);
	last_error.u = u;
	return rc;
}

const char *uvfio_strerror(const struct uvfio *u)
{
	return last_error.u == u && last_error.text[0] ? last_error.text : "no error";
}

void uvfio_log_to(int fd, int level)
{
	log_set(fd, level < LOG_NONE ? LOG_NONE : level > LOG_DEBUG ? LOG_DEBUG : level);
}

struct uvfio *uvfio_new(void)
{
	API_CALL();
	struct uvfio *u = calloc(1, sizeof(*u));

	if (!u)
		goto fail;
	fork_hooks_once();
	/* devices meet memory that the program took away */
	if (guard_install() || fault_follow_environment() == -ENOMEM)
		goto fail;
	u->machine = machine_new();
	if (!u->machine)
		goto fail;
	/*
	 * nothing is pinned: there is no reason to hold a program to a limit that stands for
	 * pinning
	 */
	machine_set_memlock(u->machine, "unlimited");
	u->ioas = vfio_ioas_new(machine_system(u->machine), true);
	if (!u->ioas)
		goto fail_machine;
	u->pid = getpid();
	pthread_mutex_init(&u->lock, NULL);
	CDS_INIT_LIST_HEAD(&u->devices);
	CDS_INIT_LIST_HEAD(&u->memory);
	/* the program keeps a device while it maps its memory */
	vfio_bar_maps_init(&u->bars, NULL, NULL);
	machine_set_device_memory(u->machine, api_device_memory, u);
	/* an error of a context that lived at this address is not ours */
	api_fail(u, 0, "%s", "");
	return u;
fail_machine:
	machine_free(u->machine, false);
fail:
	free(u);
	api_fail(NULL, 0, "out of memory");
	return NULL;
}

void uvfio_free(struct uvfio *u)
{
	API_CALL();
	struct uvfio_device *dev, *next;

	if (!u)
		return;
	if (u->pid != getpid()) {
		/* a forked child: the threads, and with them perhaps locks, are the parent's */
		machine_free(u->machine, true);
		return;
	}
	cds_list_for_each_entry_safe(dev, next, &u->devices, node)
		uvfio_close(dev);
	api_free_memory(u);
	vfio_ioas_look_back(u->ioas);
	vfio_ioas_put(u->ioas);
	machine_free(u->machine, false);
	pthread_mutex_destroy(&u->lock);
	vfio_bar_maps_fini(&u->bars);
	free(u);
}

static int add(struct uvfio *u, const char *spec, struct machine_device **out)
{
	char *err = NULL;
	int rc;

	rc = machine_add(u->machine, spec, &err);
	if (!rc) {
		*out = machine_device(u->machine, machine_num_devices(u->machine) - 1);
		rc = machine_start(u->machine, &err);
	}
	if (rc)
		api_fail(u, rc, "%s", err ? err : strerror(-rc));
	free(err);
	return rc;
}

int uvfio_add(struct uvfio *u, const char *spec, char *addr)
{
	API_CALL();
	struct machine_device *d;
	int rc;

	pthread_mutex_lock(&u->lock);
	rc = add(u, spec, &d);
	if (!rc && addr)
		strcpy(addr, d->addr);
	pthread_mutex_unlock(&u->lock);
	return rc;
}

static int open_device(struct uvfio *u, struct machine_device *d, struct uvfio_device **out)
{
	struct uvfio_device *dev;
	int rc;

	if (!d->vdev)
		return api_fail(u, -ENODEV, "%s has the driver %s: it cannot be opened", d->addr,
				d->driver);
	cds_list_for_each_entry(dev, &u->devices, node) {
		if (dev->plugged == d)
			return api_fail(u, -EBUSY, "%s is open already", d->addr);
	}
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return api_fail(u, -ENOMEM, "%s: out of memory", d->addr);
	dev->u = u;
	dev->plugged = d;
	vfio_open_init(&dev->open, d->vdev);
	vfio_open_expect(&dev->open, u->ioas);
	rc = vfio_open_bind(&dev->open);
	if (!rc)
		rc = vfio_device_attach(&dev->open, u->ioas);
	if (rc) {
		vfio_open_close(&dev->open);
		api_fail(u, rc, "%s cannot be opened: %s", d->addr, strerror(-rc));
		free(dev);
		return rc;
	}
	dev->faults_before = atomic_load(&d->vdev->iommu->faults);
	pthread_mutex_init(&dev->command_lock, NULL);
	cds_list_add_tail(&dev->node, &u->devices);
	*out = dev;
	return 0;
}

#define SOCKET "vfio-user:"

/* Open the device behind the socket at @path, which is plugged in if it is not yet. */
static int open_socket(struct uvfio *u, const char *path, struct uvfio_device **out)
{
	struct machine_device *d;
	char *spec;
	int rc;

	rc = machine_spec_of_socket(path, &spec);
	if (rc)
		return api_fail(u, rc, "%s: out of memory", path);
	pthread_mutex_lock(&u->lock);
	d = machine_find_socket(u->machine, path);
	if (!d)
		rc = add(u, spec, &d);
	if (!rc)
		rc = open_device(u, d, out);
	pthread_mutex_unlock(&u->lock);
	free(spec);
	return rc;
}

int uvfio_open(struct uvfio *u, const char *addr, struct uvfio_device **out)
{
	API_CALL();
	struct machine_device *d;
	int rc;

	if (!strncmp(addr, SOCKET, strlen(SOCKET)))
		return open_socket(u, addr + strlen(SOCKET), out);
	pthread_mutex_lock(&u->lock);
	d = machine_find(u->machine, addr);
	rc = d ? open_device(u, d, out)
	       : api_fail(u, -ENODEV, "there is no device at %s: plug one in with uvfio_add()",
			  addr);
	pthread_mutex_unlock(&u->lock);
	return rc;
}

int uvfio_open_model(struct uvfio *u, const char *spec, struct uvfio_device **out)
{
	API_CALL();
	struct machine_device *d;
	int rc;

	pthread_mutex_lock(&u->lock);
	rc = add(u, spec, &d);
	if (!rc)
		rc = open_device(u, d, out);
	pthread_mutex_unlock(&u->lock);
	return rc;
}

/* Return the real device at @addr that is plugged in already, or NULL. */
static struct machine_device *find_host(struct uvfio *u, const char *addr)
{
	struct machine_device *d = machine_find(u->machine, addr);

	return d && machine_device_is_real(d) ? d : NULL;
}

int uvfio_open_host(struct uvfio *u, const char *addr, struct uvfio_device **out)
{
	API_CALL();
	struct machine_device *d;
	char *spec;
	int rc = 0;

	/* options have another way */
	if (strchr(addr, ','))
		return api_fail(u, -EINVAL, "'%s' is not the address of a device", addr);
	if (asprintf(&spec, "host=%s", addr) < 0)
		return api_fail(u, -ENOMEM, "%s: out of memory", addr);
	pthread_mutex_lock(&u->lock);
	d = find_host(u, addr);
	if (!d)
		rc = add(u, spec, &d);
	if (!rc)
		rc = open_device(u, d, out);
	pthread_mutex_unlock(&u->lock);
	free(spec);
	return rc;
}

void uvfio_close(struct uvfio_device *dev)
{
	API_CALL();
	struct uvfio *u;

	if (!dev)
		return;
	u = dev->u;
	/* a mapping keeps a real device open */
	api_unmap_bars(dev);
	pthread_mutex_lock(&u->lock);
	cds_list_del(&dev->node);
	vfio_open_close(&dev->open);
	pthread_mutex_unlock(&u->lock);
	pthread_mutex_destroy(&dev->command_lock);
	free(dev);
}

const char *uvfio_device_address(const struct uvfio_device *dev)
{
	return dev->plugged->addr;
}
