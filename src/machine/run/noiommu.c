/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/noiommu.c: a run without an IOMMU: a device has a group only while vfio-pci has it,
 * which makes it one, if the parameter enable_unsafe_noiommu_mode says that it may
 * (vfio_noiommu_group_alloc()).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "machine/run/internal.h"

#define PARAMETER "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

int run_noiommu_note(const char *run_dir, const char *addr, unsigned group)
{
	struct tree t = { .root = run_dir };
	char path[64], text[16];
	int n = snprintf(text, sizeof(text), "%u", group);

	snprintf(path, sizeof(path), RUN_NOIOMMU "/%s", addr);
	tree_replace(&t, 0444, path, text, (size_t)n);
	/* as view_group(): who may open the group may claim it */
	snprintf(path, sizeof(path), "claims/group-%u", group);
	tree_lock(&t, path);
	return t.err;
}

int run_noiommu_all(const char *run_dir)
{
	struct tree t = { .root = run_dir };

	tree_text(&t, 0444, RUN_NOIOMMU "/all", "%s", "");
	return t.err;
}

/* Read the start of a file of the run: how many bytes, or -errno. */
static long read_start(const char *run_dir, const char *name, char *text, size_t size)
{
	char path[PATH_MAX];
	long n;
	int fd, rc = run_path(run_dir, name, path);

	fd = rc ? rc : sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	n = sys_read(fd, text, size - 1);
	sys_close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n;
}

bool run_noiommu_mode(const char *run_dir)
{
	char text[4];

	return read_start(run_dir, PARAMETER, text, sizeof(text)) > 0 && *text == 'Y';
}

bool run_noiommu_group(const struct run_shown *d, unsigned *group)
{
	char name[64], text[16];

	snprintf(name, sizeof(name), RUN_NOIOMMU "/%s", d->addr);
	if (read_start(d->run_dir, name, text, sizeof(text)) <= 0)
		return false;
	*group = (unsigned)strtoul(text, NULL, 10);
	return true;
}

int run_noiommu_show(const struct run_shown *d)
{
	struct tree t = { .root = d->run_dir };

	if (!run_noiommu_mode(d->run_dir))
		return report_info("noiommu-off", d->addr, -EINVAL,
				   "bind to vfio-pci: there is no IOMMU, and "
				   "enable_unsafe_noiommu_mode is off");
	report_warn("noiommu-taint", d->addr, 0,
		    "Adding kernel taint for vfio-noiommu group on device");
	view_noiommu_group(&t, d->group, d->dir);
	view_drop_cdev(&t, d->dir, true);
	view_cdev(&t, d->dir, true);
	return t.err;
}

int run_noiommu_hide(const struct run_shown *d)
{
	struct tree t = { .root = d->run_dir };

	view_drop_noiommu_group(&t, d->group, d->dir);
	return t.err;
}

/* Answer as param_set_bool(): kstrtobool() looks at one or two bytes. */
int run_noiommu_store(const char *run_dir, const struct run_text *t)
{
	struct run_shown module = { .run_dir = run_dir };
	char c = *t->text, next = t->len > 1 ? t->text[1] : '\0';
	bool o = c == 'o' || c == 'O';
	int on = -1;

	if ((c && strchr("yY1tT", c)) || (o && (next == 'n' || next == 'N')))
		on = 1;
	else if ((c && strchr("nN0fF", c)) || (o && (next == 'f' || next == 'F')))
		on = 0;
	if (on < 0)
		return -EINVAL;
	snprintf(module.dir, sizeof(module.dir), "sys/module/vfio/parameters");
	return run_write(&module, "enable_unsafe_noiommu_mode", on ? "Y\n" : "N\n", 2);
}
