/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/hotplug.c: a device leaves the run for good (`uvfio ctl unplug`): from the run's list
 * and from the view; and what a new one needs besides these. As when its slot is ejected, its
 * driver goes first, which waits for its users (drivers/pci/remove.c,
 * pci_stop_and_remove_bus_device()).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "machine/run/internal.h"

int run_change_device(const char *run_dir, const char *addr,
		      void (*change)(struct run_device *d, bool on), bool on)
{
	struct run_devices l;
	struct run_device *d;
	int fd = run_lock_view(run_dir), rc;

	if (fd < 0)
		return fd;
	rc = run_devices_read(run_dir, &l);
	if (!rc) {
		d = run_devices_find(&l, addr);
		if (d) {
			change(d, on);
			rc = run_devices_write(run_dir, &l);
		} else {
			rc = -ENODEV;
		}
		run_devices_free(&l);
	}
	run_unlock(fd);
	return rc;
}

void run_device_leaving(struct run_device *d, bool on)
{
	d->leaving = on;
}

void run_device_link(struct run_device *d, bool on)
{
	d->link_down = !on;
}

int run_add_pf(const char *run_dir, const struct run_pf *pf)
{
	struct run_pf *all, *more;
	unsigned n;
	int rc = run_pfs_read(run_dir, &all, &n);

	if (rc && rc != -ENOENT)
		return rc;
	more = realloc(all, (n + 1) * sizeof(*all));
	if (more) {
		all = more;
		all[n] = *pf;
		pci_address_print(&pf->address, all[n].addr);
		rc = run_pfs_write(run_dir, all, n + 1);
	} else {
		rc = -ENOMEM;
	}
	free(all);
	return rc;
}

/* Take the PF at @addr, which has no VFs, out of the state; one that is none is no error. */
static int drop_pf(const char *run_dir, const char *addr)
{
	struct tree t = { .root = run_dir };
	struct run_pf *all;
	unsigned n, i;
	int rc = run_pfs_read(run_dir, &all, &n);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	for (i = 0; i < n && strcmp(all[i].addr, addr); i++)
		;
	if (i < n) {
		for (unsigned k = 0; k < all[i].total; k++) {
			char name[64], vf[PCI_ADDRESS_TEXT];
			struct pci_address a;

			pci_address_of_vf(&all[i].address, all[i].offset, all[i].stride, k, &a);
			pci_address_print(&a, vf);
			snprintf(name, sizeof(name), "vfs/%s", vf);
			tree_remove_all(&t, name);
		}
		memmove(&all[i], &all[i + 1], (n - i - 1) * sizeof(*all));
		rc = run_pfs_write(run_dir, all, n - 1);
	}
	free(all);
	return rc ? rc : t.err;
}

static int unplug(const char *run_dir, struct run_devices *l, struct run_device *dev)
{
	struct tree t = { .root = run_dir };
	struct run_wait w = { 0 };
	char name[64];
	struct run_shown *d = malloc(sizeof(*d));
	int rc;

	if (!d)
		return -ENOMEM;
	rc = run_find(run_dir, dev->addr, strlen(dev->addr), d);
	if (!rc && *d->driver)
		rc = run_release_driver(d, &w);
	if (!rc)
		rc = run_hide(d);
	free(d);
	/* that somebody removed it before is no matter */
	if (rc && rc != -ENODEV)
		return rc;
	snprintf(name, sizeof(name), RUN_REMOVED "/%s", dev->addr);
	tree_remove_all(&t, name);
	snprintf(name, sizeof(name), RUN_REMOVED "/%s.at", dev->addr);
	tree_remove(&t, name);
	snprintf(name, sizeof(name), VIEW_RESETS "/%s", dev->addr);
	tree_remove(&t, name);
	/* what comes to its place is another one */
	snprintf(name, sizeof(name), RUN_KEPT "/%s", dev->addr);
	tree_remove(&t, name);
	rc = t.err ? t.err : drop_pf(run_dir, dev->addr);
	dev->died = l->serial + 1;
	return rc ? rc : run_devices_write(run_dir, l);
}

int run_unplug(const char *run_dir, const char *addr)
{
	struct run_devices l;
	struct run_device *d;
	int fd = run_lock_view(run_dir), rc;

	if (fd < 0)
		return fd;
	rc = run_devices_read(run_dir, &l);
	if (!rc) {
		d = run_devices_find(&l, addr);
		rc = d ? unplug(run_dir, &l, d) : -ENODEV;
		run_devices_free(&l);
	}
	run_unlock(fd);
	return rc;
}
