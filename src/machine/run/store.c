/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/store.c: attributes of the view that act when a program writes to them: which they
 * are. They need no machine in the process (it may be a shell): what is changed is the view, under
 * the run's lock, and whoever opens a group looks whether it has a node.
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "machine/run/internal.h"

enum attribute {
	NONE,
	NUMVFS,
	OVERRIDE,
	BIND,
	UNBIND,
	PROBE,
	AUTOPROBE,
	NEW_ID,
	REMOVE_ID,
	REMOVE,
	RESET,
	RESET_METHOD,
	RESCAN,
	RESCAN_ALL,
	NOIOMMU
};

/* Return the attribute at @path, from the view's root; @name gets its device or driver. */
static enum attribute attribute(const char *path, char *name, size_t size)
{
	static const struct {
		const char *dir, *name;
		enum attribute a;
	} all[] = {
		{ "/sys/devices/", "sriov_numvfs", NUMVFS },
		{ "/sys/devices/", "driver_override", OVERRIDE },
		{ "/sys/devices/", "remove", REMOVE },
		{ "/sys/devices/", "rescan", RESCAN },
		{ "/sys/devices/", "reset", RESET },
		{ "/sys/devices/", "reset_method", RESET_METHOD },
		{ "/sys/bus/pci/drivers/", "bind", BIND },
		{ "/sys/bus/pci/drivers/", "unbind", UNBIND },
		{ "/sys/bus/pci/drivers/", "new_id", NEW_ID },
		{ "/sys/bus/pci/drivers/", "remove_id", REMOVE_ID },
		{ "/sys/bus/", "drivers_probe", PROBE },
		{ "/sys/bus/", "drivers_autoprobe", AUTOPROBE },
		{ "/sys/bus/", "rescan", RESCAN_ALL },
		{ "/sys/module/vfio/", "enable_unsafe_noiommu_mode", NOIOMMU },
	};
	const char *last = strrchr(path, '/'), *dir;

	for (size_t i = 0; last && i < ARRAY_SIZE(all); i++) {
		if (strcmp(last + 1, all[i].name) || strncmp(path, all[i].dir, strlen(all[i].dir)))
			continue;
		for (dir = last; dir > path && dir[-1] != '/'; dir--)
			;
		if ((size_t)(last - dir) >= size)
			return NONE;
		memcpy(name, dir, (size_t)(last - dir));
		name[last - dir] = '\0';
		return all[i].a;
	}
	return NONE;
}

bool run_acts(const char *path)
{
	char name[64];

	return attribute(path, name, sizeof(name)) != NONE;
}

/* Answer as drivers_autoprobe_store(). */
static int autoprobe_store(const char *run_dir, const struct run_text *t)
{
	struct run_shown bus = { .run_dir = run_dir, .dir = "sys/bus/pci" };

	return run_write(&bus, "drivers_autoprobe", *t->text == '0' ? "0\n" : "1\n", 2);
}

static int act(enum attribute a, const char *run_dir, const char *name, const struct run_text *t)
{
	switch (a) {
	case OVERRIDE:
		return run_override_store(run_dir, name, t);
	case BIND:
		return run_bind_store(run_dir, name, t);
	case UNBIND:
		return run_unbind_store(run_dir, name, t);
	case PROBE:
		return run_probe_store(run_dir, t);
	case AUTOPROBE:
		return autoprobe_store(run_dir, t);
	case NEW_ID:
		return run_new_id_store(run_dir, name, t);
	case REMOVE_ID:
		return run_remove_id_store(run_dir, name, t);
	case REMOVE:
		return run_remove_store(run_dir, name, t);
	case RESET:
		return run_reset_store(run_dir, name, t);
	case RESET_METHOD:
		return run_reset_method_store(run_dir, name, t);
	case RESCAN:
		return run_rescan_store(run_dir, name, t);
	case RESCAN_ALL:
		return run_rescan_store(run_dir, NULL, t);
	case NOIOMMU:
		return run_noiommu_store(run_dir, t);
	case NONE:
	case NUMVFS:
		break;
	}
	return -EIO;
}

int run_wait_for(struct run_wait *w, enum run_wait_for what, const struct run_shown *d)
{
	w->what = what;
	w->group = d->group;
	strcpy(w->addr, d->addr);
	return -EINPROGRESS;
}

long run_store(const char *run_dir, const char *path, const char *text, size_t len,
	       struct run_wait *w)
{
	struct run_wait own = { 0 };
	struct run_text t = { text, len, w ? w : &own };
	enum attribute a;
	char name[64];
	int fd, rc;

	a = attribute(path, name, sizeof(name));
	if (a == NUMVFS)
		return run_numvfs_store(run_dir, name, &t);
	if (!len)
		return 0;
	fd = run_lock_view(run_dir);
	if (fd < 0)
		return fd;
	rc = act(a, run_dir, name, &t);
	run_unlock(fd);
	return rc ? rc : (long)len;
}
