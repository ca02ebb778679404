/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/bind.c: attributes by which a device gets and loses its driver: drivers/base/bus.c,
 * dd.c and drivers/pci/pci-driver.c of Linux 7.3 say what the answers are.
 *
 * The order is the kernel's. A device that gets a driver has its links before the driver makes the
 * group's node. One that loses it loses the links and its own node at first; then its users are
 * waited for, and the group's node goes at last.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/report.h"
#include "base/util.h"
#include "machine/run/internal.h"
#include "vfio/abi.h"

/* ---- taking a driver away ---- */

int run_release_begin(struct run_shown *d)
{
	struct tree t = { .root = d->run_dir };
	char path[64];

	snprintf(path, sizeof(path), RUN_LEAVING "/%s", d->addr);
	tree_replace(&t, 0644, path, d->driver, strlen(d->driver));
	if (!t.err)
		t.err = run_unlink_driver(d);
	if (!t.err && !strcmp(d->driver, vfio_abi_driver()))
		view_hide_cdev(&t, d->dir, run_noiommu_group(d, &d->group));
	d->leaving = !t.err;
	return t.err;
}

int run_release_end(struct run_shown *d)
{
	struct tree t = { .root = d->run_dir };
	char path[64];
	bool noiommu;

	if (!strcmp(d->driver, vfio_abi_driver())) {
		noiommu = run_noiommu_group(d, &d->group);
		view_drop_cdev(&t, d->dir, noiommu);
		if (noiommu)
			t.err = run_noiommu_hide(d);
		else if (!run_group_has_vfio(d))
			view_drop_group_node(&t, d->group);
		/* the driver had it */
		snprintf(path, sizeof(path), "claims/token-%s", d->addr);
		tree_remove(&t, path);
	}
	if (!t.err)
		t.err = run_show_driver(d, "");
	snprintf(path, sizeof(path), RUN_LEAVING "/%s", d->addr);
	tree_remove(&t, path);
	if (t.err)
		return t.err;
	*d->driver = '\0';
	d->leaving = false;
	run_uevent(d->run_dir, "unbind", "pci", d->dir);
	return 0;
}

int run_release_driver(struct run_shown *d, struct run_wait *w)
{
	int fd, rc;

	/* a driver that leaves disables the VFs that it enabled */
	rc = run_has(d, "sriov_numvfs") ? run_disable_vfs(d->run_dir, d->addr, w) : 0;
	if (!rc && !d->leaving)
		rc = run_release_begin(d);
	if (rc)
		return rc;
	fd = run_lock_byte(d->run_dir, d->group, run_device_byte(&d->address));
	if (fd == -EBUSY)
		return run_wait_for(w, RUN_WAIT_CLOSE, d);
	if (fd < 0)
		return fd;
	rc = run_release_end(d);
	run_unlock(fd);
	return rc;
}

/* Answer as unbind_store(). */
int run_unbind_store(const char *run_dir, const char *driver, const struct run_text *t)
{
	struct run_shown d;
	int rc = run_find(run_dir, t->text, t->len, &d);

	if (rc)
		return rc;
	/* what was waited for is done, by another writer; it may be bound again by now */
	if (!strcmp(t->wait->addr, d.addr) && !d.leaving)
		return 0;
	return strcmp(d.driver, driver) ? -ENODEV : run_release_driver(&d, t->wait);
}

/* ---- giving one ---- */

/* True if the driver takes the device (pci_match_device()). */
static bool matches(const struct run_shown *d, const char *driver)
{
	if (d->has_override)
		return !strcmp(d->override, driver);
	return run_has_dynamic_id(d->run_dir, driver, &d->id) || run_driver_has_id(driver, &d->id);
}

static int probe(struct run_shown *d, const char *driver)
{
	struct tree t = { .root = d->run_dir };
	int rc;

	/* vfio_pci_core_register_device() takes endpoints only */
	if (!strcmp(driver, vfio_abi_driver()) && run_has(d, "secondary_bus_number"))
		return report_info("bind-bridge", d->addr, -EINVAL, "bind to %s: it is a bridge",
				   driver);
	rc = run_link_driver(d, driver);
	if (rc)
		return rc;
	snprintf(d->driver, sizeof(d->driver), "%s", driver);
	/* what a writer left that was killed, or failed, is taken away first */
	if (!strcmp(driver, vfio_abi_driver()) && run_noiommu_group(d, &d->group)) {
		run_noiommu_hide(d);
		t.err = run_noiommu_show(d);
	} else if (!strcmp(driver, vfio_abi_driver())) {
		if (!run_group_has_vfio(d)) {
			view_drop_group_node(&t, d->group);
			view_group_node(&t, d->group);
		}
		view_drop_cdev(&t, d->dir, false);
		view_cdev(&t, d->dir, false);
	}
	if (!t.err) {
		run_uevent(d->run_dir, "bind", "pci", d->dir);
		return 0;
	}
	rc = t.err;
	t.err = 0;
	view_drop_cdev(&t, d->dir, run_noiommu_group(d, &d->group));
	if (!run_noiommu_group(d, &d->group) && !run_group_has_vfio(d))
		view_drop_group_node(&t, d->group);
	run_unlink_driver(d);
	run_show_driver(d, "");
	*d->driver = '\0';
	return rc;
}

/*
 * Give @d, which has none, a driver that takes it. -EBUSY: the driver would do DMA, and a user of
 * VFIO owns that of the group (iommu_device_use_default_domain()).
 */
static int attach(struct run_shown *d, const char *driver)
{
	int fd, rc;

	if (run_driver_is_safe(driver))
		return probe(d, driver);
	fd = run_lock_byte(d->run_dir, d->group, RUN_LOCK_OWNER);
	if (fd == -EBUSY)
		return report_warn("bind-owned", d->addr, -EBUSY,
				   "bind to %s: a program has group %u in a container", driver,
				   d->group);
	if (fd < 0)
		return fd;
	rc = probe(d, driver);
	run_unlock(fd);
	return rc;
}

/* Answer as bind_store(). */
int run_bind_store(const char *run_dir, const char *driver, const struct run_text *t)
{
	struct run_shown d;
	int rc = run_find(run_dir, t->text, t->len, &d);

	if (rc)
		return rc;
	if (!matches(&d, driver))
		return report_info("bind-no-match", d.addr, -ENODEV,
				   "bind to %s: driver_override is \"%s\", and its IDs are not the "
				   "driver's",
				   driver, d.override);
	/* one that is losing its driver is waited for */
	rc = d.leaving ? run_release_driver(&d, t->wait) : 0;
	if (rc)
		return rc;
	return *d.driver ? -EBUSY : attach(&d, driver);
}

/* Drivers in the order in which they are asked: those of a host are there first. */
static const char *const asked[] = { "pcieport",   "igb",  "igbvf",   "nvme",
				     RUN_PCI_STUB, "vfio", "vfio-pci" };

static bool is_there(const struct run_shown *d, const char *driver)
{
	char name[64];

	snprintf(name, sizeof(name), "sys/bus/pci/drivers/%s", driver);
	return run_view_has(d->run_dir, name);
}

int run_attach(struct run_shown *d)
{
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(asked); i++)
		if (is_there(d, asked[i]) && matches(d, asked[i])) {
			rc = attach(d, asked[i]);
			/* what a probe function answers stays in the kernel */
			return rc == -EINVAL ? 0 : rc;
		}
	report_info("probe-no-driver", d->addr, 0, "no driver wants it: driver_override is \"%s\"",
		    d->override);
	return 0;
}

static int attach_one(struct run_shown *d, void *driver)
{
	/* one that cannot keeps the others from nothing: driver_attach() */
	if (!*d->driver && matches(d, driver))
		attach(d, driver);
	return 0;
}

int run_attach_driver(const char *run_dir, const char *driver)
{
	return run_each_device(run_dir, attach_one, (void *)driver);
}

/* Answer as drivers_probe_store(): that no driver wants it is no error. */
int run_probe_store(const char *run_dir, const struct run_text *t)
{
	struct run_shown d;
	int rc = run_find(run_dir, t->text, t->len, &d);

	return rc || *d.driver ? rc : run_attach(&d);
}

/* Answer as driver_override_store(): the text ends at a null byte or a line break. */
int run_override_store(const char *run_dir, const char *addr, const struct run_text *t)
{
	char value[RUN_PAGE_MAX + 1];
	struct run_shown d;
	const char *end;
	size_t len;
	int rc = run_find(run_dir, addr, strlen(addr), &d);

	if (rc)
		return rc;
	if (t->len >= RUN_PAGE_MAX - 1)
		return -EINVAL;
	len = strnlen(t->text, t->len);
	end = memchr(t->text, '\n', len);
	if (end)
		len = (size_t)(end - t->text);
	if (!len)
		return run_write(&d, "driver_override", "(null)\n", 7);
	memcpy(value, t->text, len);
	value[len] = '\n';
	return run_write(&d, "driver_override", value, len + 1);
}
