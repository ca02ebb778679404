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

enum attribute { NONE, NUMVFS, OVERRIDE, BIND, UNBIND, PROBE };

/* Return the attribute at @path, from the view's root; @name gets its device or driver. */
static enum attribute attribute(const char *path, char *name, size_t size)
{
	static const struct {
		const char *dir, *name;
		enum attribute a;
	} all[] = {
		{ "/sys/devices/", "sriov_numvfs", NUMVFS },
		{ "/sys/devices/", "driver_override", OVERRIDE },
		{ "/sys/bus/pci/drivers/", "bind", BIND },
		{ "/sys/bus/pci/drivers/", "unbind", UNBIND },
		{ "/sys/bus/", "drivers_probe", PROBE },
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

long run_store(const char *run_dir, const char *path, const char *text, size_t len)
{
	char name[64];
	enum attribute a = attribute(path, name, sizeof(name));
	int fd, rc = -EIO;

	if (a == NUMVFS)
		return run_numvfs_store(run_dir, name, text, len);
	if (!len)
		return 0;
	fd = run_lock_view(run_dir);
	if (fd < 0)
		return fd;
	if (a == OVERRIDE)
		rc = run_override_store(run_dir, name, text, len);
	else if (a == BIND)
		rc = run_bind_store(run_dir, name, text, len);
	else if (a == UNBIND)
		rc = run_unbind_store(run_dir, name, text, len);
	else if (a == PROBE)
		rc = run_probe_store(run_dir, text, len);
	run_unlock(fd);
	return rc ? rc : (long)len;
}
