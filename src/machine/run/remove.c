/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/remove.c: remove and rescan: a device leaves the bus, and the bus finds it again
 * (drivers/pci/remove.c, probe.c). What the view has of it waits in removed/ of the run directory
 * meanwhile. What belongs to the kernel's object and not to the device is new when it comes back:
 * its driver_override.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "machine/run/internal.h"

#define REMOVED RUN_REMOVED

static void remove_link(struct tree *t, const char *path, const char *target)
{
	tree_remove(t, path);
}

/* Return the directory that @d's is in: the bus's. */
static const char *bus_dir(const struct run_shown *d, char dir[RUN_DIR])
{
	snprintf(dir, RUN_DIR, "%.*s", (int)(strrchr(d->dir, '/') - d->dir), d->dir);
	return dir;
}

/* Return the group that links of the view lead to. */
static unsigned link_group(const char *run_dir, unsigned group)
{
	return run_view_has(run_dir, RUN_NOIOMMU) ? VIEW_NO_GROUP : group;
}

/* Return the group of @d; a bridge is in none. */
static unsigned group_of(const struct run_shown *d)
{
	return run_has(d, "secondary_bus_number") && !run_has(d, "iommu_group") ? VIEW_NO_GROUP
										: d->group;
}

/* At first what clients list. */
int run_hide(const struct run_shown *d)
{
	struct tree t = { .root = d->run_dir };
	char to[PATH_MAX], at[PATH_MAX], bus[RUN_DIR], place[RUN_DIR + 16];
	unsigned group = group_of(d);

	bus_dir(d, bus);
	snprintf(at, sizeof(at), REMOVED "/%s.at", d->addr);
	snprintf(place, sizeof(place), "%s %u", bus, group);
	tree_replace(&t, 0600, at, place, strlen(place));
	view_links(&t, bus + sizeof("sys/devices/") - 1, d->addr, NULL,
		   link_group(d->run_dir, group), remove_link);
	run_uevent(d->run_dir, "remove", "pci", d->dir);
	snprintf(to, sizeof(to), REMOVED "/%s", d->addr);
	tree_move(&t, d->dir, to);
	if (!t.err && link_group(d->run_dir, group) != VIEW_NO_GROUP &&
	    run_group_is_empty(d->run_dir, group))
		view_drop_group(&t, group);
	return t.err;
}

/* The last device below a bridge, by address, so that what is below another one is before it. */
struct below {
	const struct run_shown *bridge;
	bool with_driver; /* of those that have one */
	bool any;
	struct run_shown last;
};

static int look_below(struct run_shown *d, void *arg)
{
	struct below *b = arg;
	size_t n = strlen(b->bridge->dir);

	if (!strncmp(d->dir, b->bridge->dir, n) && d->dir[n] == '/' &&
	    (*d->driver || !b->with_driver)) {
		b->any = true;
		b->last = *d;
	}
	return 0;
}

/* Take what is below @d away, as pci_stop_and_remove_bus_device(): first the drivers of all. */
static int remove_below(const struct run_shown *d, struct run_wait *w)
{
	struct below *b = malloc(sizeof(*b));
	int rc = b ? 0 : -ENOMEM;

	for (unsigned step = 0; step < 2 && !rc; step++) {
		do {
			b->bridge = d;
			b->with_driver = !step;
			b->any = false;
			rc = run_each_device(d->run_dir, look_below, b);
			if (!rc && b->any)
				rc = step ? run_hide(&b->last) : run_release_driver(&b->last, w);
		} while (!rc && b->any);
	}
	free(b);
	return rc;
}

/* Answer as remove_store(). */
int run_remove_store(const char *run_dir, const char *addr, const struct run_text *t)
{
	struct tree tree = { .root = run_dir };
	char path[RUN_DIR + 16];
	struct run_shown d;
	unsigned long v;
	int rc = run_number(t->text, t->len, &v);

	if (!rc && v)
		rc = run_find(run_dir, addr, strlen(addr), &d);
	if (rc || !v)
		return rc;
	/* the kernel takes the file away before all: it is written once */
	snprintf(path, sizeof(path), "%s/remove", d.dir);
	tree_remove(&tree, path);
	rc = tree.err;
	if (!rc && run_has(&d, "secondary_bus_number"))
		rc = remove_below(&d, t->wait);
	if (!rc && *d.driver)
		rc = run_release_driver(&d, t->wait);
	return rc ? rc : run_hide(&d);
}

/* ---- rescan ---- */

static int show(const char *run_dir, const char *addr, const char *bus, unsigned group)
{
	struct tree t = { .root = run_dir };
	char from[PATH_MAX], to[PATH_MAX];
	struct run_shown *d;
	int rc;

	snprintf(from, sizeof(from), "sys/kernel/iommu_groups/%u", group);
	if (!run_view_has(run_dir, from) && link_group(run_dir, group) != VIEW_NO_GROUP)
		view_group(&t, group);
	snprintf(from, sizeof(from), REMOVED "/%s", addr);
	snprintf(to, sizeof(to), "%s/%s", bus, addr);
	tree_move(&t, from, to);
	view_links(&t, bus + sizeof("sys/devices/") - 1, addr, NULL, link_group(run_dir, group),
		   tree_link);
	snprintf(from, sizeof(from), REMOVED "/%s.at", addr);
	tree_remove(&t, from);
	d = t.err ? NULL : malloc(sizeof(*d));
	if (!d)
		return t.err ? t.err : -ENOMEM;
	rc = run_find(run_dir, addr, strlen(addr), d);
	if (!rc)
		rc = run_write(d, "driver_override", "(null)\n", 7);
	if (!rc)
		rc = run_reset_default(d);
	if (!rc)
		rc = view_remove_file(&t, d->dir);
	d->has_override = false;
	run_uevent(run_dir, "add", "pci", d->dir);
	/* what a driver answers is no matter of the bus */
	if (!rc && run_autoprobe(run_dir))
		run_attach(d);
	free(d);
	return rc;
}

/* Read where a removed device was, and its group. */
static int read_place(const char *run_dir, const char *addr, char bus[RUN_DIR], unsigned *group)
{
	char name[64], path[PATH_MAX], text[RUN_DIR + 16], *space;
	long n;
	int fd, rc;

	snprintf(name, sizeof(name), REMOVED "/%s.at", addr);
	rc = run_path(run_dir, name, path);
	fd = rc ? rc : sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	n = sys_read(fd, text, sizeof(text) - 1);
	sys_close(fd);
	text[n > 0 ? n : 0] = '\0';
	space = strchr(text, ' ');
	if (!space || space - text >= RUN_DIR)
		return n < 0 ? (int)n : -EIO;
	*space = '\0';
	strcpy(bus, text);
	*group = (unsigned)strtoul(space + 1, NULL, 10);
	return 0;
}

struct scan {
	const char *run_dir, *bus; /* @bus: "sys/devices/...", or NULL: all */
};

static int scan_one(const char *addr, void *arg)
{
	const struct scan *s = arg;
	char bus[RUN_DIR];
	unsigned group = 0;
	int rc;

	if (strchr(addr + 10, '.') != strrchr(addr, '.')) /* "0000:01:00.0.at" */
		return 0;
	rc = read_place(s->run_dir, addr, bus, &group);
	if (rc)
		return rc;
	if (s->bus && strncmp(bus, s->bus, strlen(s->bus)))
		return 0;
	return show(s->run_dir, addr, bus, group);
}

/* Answer as rescan_store(), dev_rescan_store() and bus_rescan_store(). */
int run_rescan_store(const char *run_dir, const char *addr, const struct run_text *t)
{
	struct scan s = { .run_dir = run_dir };
	struct run_shown d;
	char bus[RUN_DIR];
	unsigned long v;
	int rc = run_number(t->text, t->len, &v);

	if (!rc && v && addr) {
		rc = run_find(run_dir, addr, strlen(addr), &d);
		if (!rc)
			s.bus = bus_dir(&d, bus);
	}
	if (rc || !v)
		return rc;
	return run_view_has(run_dir, REMOVED) ? run_each_name(run_dir, REMOVED, scan_one, &s) : 0;
}
