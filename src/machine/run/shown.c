/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/run/shown.c: one device of the view: its files, its links, its driver. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/report.h"
#include "base/sys.h"
#include "machine/run/internal.h"
#include "vfio/abi.h"

static int path_to(const struct run_shown *d, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s/%s", d->run_dir, d->dir, name);

	return n > 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static long read_link(const char *path, char text[PATH_MAX])
{
	long n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)text, PATH_MAX - 1, 0, 0);

	text[n > 0 ? n : 0] = '\0';
	return n;
}

/* Read the last component of the link at @path: its length, or -errno. */
static long link_name(const char *path, char *out, size_t size)
{
	char text[PATH_MAX];
	const char *slash;
	long n = read_link(path, text);

	*out = '\0';
	if (n < 0)
		return n;
	slash = strrchr(text, '/');
	return snprintf(out, size, "%s", slash ? slash + 1 : text);
}

int run_driver(const char *run_dir, const char *addr, char name[RUN_DRIVER_NAME])
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/driver", run_dir, addr);

	*name = '\0';
	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	if (link_name(path, name, RUN_DRIVER_NAME) >= 0)
		return 0;
	*strrchr(path, '/') = '\0';
	if (!sys_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0))
		return 0;
	*strrchr(path, '/') = '\0';
	return sys_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0) ? -ENOENT : -ENODEV;
}

long run_read(const struct run_shown *d, const char *name, char text[RUN_PAGE_MAX])
{
	char path[PATH_MAX];
	long n = path_to(d, name, path);
	int fd;

	*text = '\0';
	if (n)
		return n;
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	n = sys_read(fd, text, RUN_PAGE_MAX - 1);
	sys_close(fd);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

int run_write(const struct run_shown *d, const char *name, const char *text, size_t n)
{
	char path[PATH_MAX];
	long rc = path_to(d, name, path);
	int fd;

	if (rc)
		return (int)rc;
	fd = sys_open(path, O_WRONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	rc = sys_pwrite(fd, text, n, 0);
	if (rc == (long)n)
		rc = sys_call(SYS_ftruncate, fd, (long)n, 0, 0, 0, 0);
	else if (rc >= 0)
		rc = -EIO;
	sys_close(fd);
	return (int)rc;
}

bool run_has(const struct run_shown *d, const char *name)
{
	char path[PATH_MAX];

	return !path_to(d, name, path) &&
	       !sys_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, AT_SYMLINK_NOFOLLOW, 0, 0);
}

static unsigned read_hex(const struct run_shown *d, const char *name)
{
	char text[RUN_PAGE_MAX];

	return run_read(d, name, text) > 0 ? (unsigned)strtoul(text, NULL, 16) : 0;
}

/* Find the directory of d->addr, which may be below a bridge's. */
static int find_dir(struct run_shown *d)
{
	char path[PATH_MAX], text[PATH_MAX];
	const char *at;
	int n;

	n = snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s", d->run_dir, d->addr);
	if (n < 0 || n >= PATH_MAX || read_link(path, text) < 0)
		return -ENODEV;
	at = strstr(text, "devices/");
	n = at ? snprintf(d->dir, sizeof(d->dir), "sys/%s", at) : -1;
	return n > 0 && (size_t)n < sizeof(d->dir) ? 0 : -ENODEV;
}

/* Read which driver @d is leaving, which it has no link to any more. */
static void read_leaving(struct run_shown *d)
{
	char path[PATH_MAX];
	int fd, n;

	n = snprintf(path, sizeof(path), "%s/" RUN_LEAVING "/%s", d->run_dir, d->addr);
	fd = n > 0 && n < PATH_MAX ? sys_open(path, O_RDONLY | O_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	n = (int)sys_read(fd, d->driver, sizeof(d->driver) - 1);
	sys_close(fd);
	d->driver[n > 0 ? n : 0] = '\0';
	d->leaving = n > 0;
}

int run_find(const char *run_dir, const char *text, size_t len, struct run_shown *d)
{
	static const char no_override[] = "(null)\n";
	char path[PATH_MAX], group[16];
	long n;

	memset(d, 0, sizeof(*d));
	d->run_dir = run_dir;
	if (len && text[len - 1] == '\n')
		len--;
	if (len != 12 || memchr(text, '\0', len))
		return -ENODEV;
	memcpy(d->addr, text, len);
	if (pci_address_parse(d->addr, &d->address) || find_dir(d))
		return -ENODEV;
	if (!path_to(d, "iommu_group", path) && link_name(path, group, sizeof(group)) > 0)
		d->group = (unsigned)strtoul(group, NULL, 10);
	else
		run_noiommu_group(d, &d->group);
	if (!path_to(d, "driver", path))
		link_name(path, d->driver, sizeof(d->driver));
	if (!*d->driver)
		read_leaving(d);
	n = run_read(d, "driver_override", d->override);
	if (n < 0)
		return (int)n;
	d->has_override = strcmp(d->override, no_override) != 0;
	if (n && d->override[n - 1] == '\n')
		d->override[n - 1] = '\0';
	d->id = (struct run_id){
		.vendor = read_hex(d, "vendor"),
		.device = read_hex(d, "device"),
		.subvendor = read_hex(d, "subsystem_vendor"),
		.subdevice = read_hex(d, "subsystem_device"),
		.class = read_hex(d, "class"),
	};
	return 0;
}

/* ---- many devices ---- */

#define DEVICES_MAX 8192u

struct names {
	char (*at)[PCI_ADDRESS_TEXT];
	unsigned n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_name(struct names *all, const char *name)
{
	void *more;

	if (*name == '.' || strlen(name) >= PCI_ADDRESS_TEXT || all->n == DEVICES_MAX)
		return 0;
	more = realloc(all->at, (all->n + 1) * sizeof(*all->at));
	if (!more)
		return -ENOMEM;
	all->at = more;
	strcpy(all->at[all->n++], name);
	return 0;
}

/* Read the names in a directory of the view, sorted; @all->at is to be freed. */
static int list(const char *run_dir, const char *dir, struct names *all)
{
	char path[PATH_MAX], buf[2048] __attribute__((aligned(8)));
	struct dirent64 *e;
	int fd, rc = run_path(run_dir, dir, path);
	long n;

	*all = (struct names){ 0 };
	if (rc)
		return rc;
	fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	while (!rc && (n = sys_call(SYS_getdents64, fd, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n && !rc; at += e->d_reclen) {
			e = (struct dirent64 *)(buf + at);
			rc = add_name(all, e->d_name);
		}
	}
	sys_close(fd);
	if (!rc && all->n)
		qsort(all->at, all->n, sizeof(*all->at), by_name);
	return rc;
}

int run_each_name(const char *run_dir, const char *dir, int (*fn)(const char *name, void *arg),
		  void *arg)
{
	struct names all;
	int rc = list(run_dir, dir, &all);

	for (unsigned i = 0; i < all.n && !rc; i++)
		rc = fn(all.at[i], arg);
	free(all.at);
	return rc;
}

struct visit {
	struct run_shown d;
	int (*fn)(struct run_shown *d, void *arg);
	void *arg;
	const char *run_dir;
};

static int visit(const char *name, void *arg)
{
	struct visit *v = arg;

	return run_find(v->run_dir, name, strlen(name), &v->d) ? 0 : v->fn(&v->d, v->arg);
}

int run_each_device(const char *run_dir, int (*fn)(struct run_shown *d, void *arg), void *arg)
{
	struct visit *v = malloc(sizeof(*v));
	int rc = -ENOMEM;

	if (v) {
		v->fn = fn;
		v->arg = arg;
		v->run_dir = run_dir;
		rc = run_each_name(run_dir, "sys/bus/pci/devices", visit, v);
	}
	free(v);
	return rc;
}

static int is_vfio_member(const char *name, void *arg)
{
	const struct run_shown *d = arg;
	char driver[RUN_DRIVER_NAME], leaving[64];

	if (!strcmp(name, d->addr))
		return 0;
	snprintf(leaving, sizeof(leaving), RUN_LEAVING "/%s", name);
	return run_view_has(d->run_dir, leaving) ||
	       (!run_driver(d->run_dir, name, driver) && !strcmp(driver, vfio_abi_driver()));
}

static int is_any(const char *name, void *arg)
{
	return 1;
}

bool run_group_is_empty(const char *run_dir, unsigned id)
{
	char dir[64];
	int rc;

	snprintf(dir, sizeof(dir), "sys/kernel/iommu_groups/%u/devices", id);
	rc = run_each_name(run_dir, dir, is_any, NULL);
	/* one that a writer who was killed had begun to make, or to take away */
	return !rc || rc == -ENOENT;
}

bool run_group_has_vfio(const struct run_shown *d)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "sys/kernel/iommu_groups/%u/devices", d->group);
	/* when it cannot be told, the node stays: an open of it looks again */
	return run_each_name(d->run_dir, dir, is_vfio_member, (void *)d) != 0;
}

bool run_view_has(const char *run_dir, const char *name)
{
	char path[PATH_MAX];

	return !run_path(run_dir, name, path) &&
	       !sys_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0);
}

bool run_autoprobe(const char *run_dir)
{
	char path[PATH_MAX], c = '1';
	int fd, rc = run_path(run_dir, "sys/bus/pci/drivers_autoprobe", path);

	fd = rc ? rc : sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return true;
	sys_pread(fd, &c, 1, 0);
	sys_close(fd);
	return c != '0';
}

/* ---- the driver ---- */

/* Changes the first line of uevent. */
int run_show_driver(const struct run_shown *d, const char *driver)
{
	static const char key[] = "DRIVER=";
	struct tree t = { .root = d->run_dir };
	char text[RUN_PAGE_MAX], path[PATH_MAX], *rest = text, *all;
	long n = run_read(d, "uevent", text);
	int rc;

	if (n < 0)
		return (int)n;
	if (!strncmp(text, key, sizeof(key) - 1))
		rest = strchrnul(text, '\n') + 1;
	rc = asprintf(&all, "%s%s%s%s", *driver ? key : "", driver, *driver ? "\n" : "", rest);
	if (rc < 0)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s/uevent", d->dir);
	/* its mode is that of the view */
	tree_replace(&t, 0444, path, all, (size_t)rc);
	free(all);
	return t.err;
}

static void driver_paths(const struct run_shown *d, const char *driver, char link[PATH_MAX],
			 char entry[PATH_MAX])
{
	snprintf(link, PATH_MAX, "%s/driver", d->dir);
	snprintf(entry, PATH_MAX, "sys/bus/pci/drivers/%s/%s", driver, d->addr);
}

int run_link_driver(const struct run_shown *d, const char *driver)
{
	struct tree t = { .root = d->run_dir };
	char link[PATH_MAX], entry[PATH_MAX], target[PATH_MAX], *p = target;
	int rc;

	driver_paths(d, driver, link, entry);
	/* a writer that was killed may have left them */
	tree_remove(&t, entry);
	tree_remove(&t, link);
	snprintf(target, sizeof(target), "../../../../%s", d->dir + sizeof("sys/") - 1);
	tree_link(&t, entry, target);
	/* from its directory up to sys/ */
	for (const char *at = d->dir; (at = strchr(at, '/')); at++)
		p = stpcpy(p, "../");
	snprintf(p, PATH_MAX - (size_t)(p - target), "bus/pci/drivers/%s", driver);
	tree_link(&t, link, target);
	rc = t.err ? t.err : run_show_driver(d, driver);
	if (rc) {
		t.err = 0;
		tree_remove(&t, link);
		tree_remove(&t, entry);
	}
	return rc;
}

int run_unlink_driver(const struct run_shown *d)
{
	struct tree t = { .root = d->run_dir };
	char link[PATH_MAX], entry[PATH_MAX];

	driver_paths(d, d->driver, link, entry);
	tree_remove(&t, entry);
	tree_remove(&t, link);
	return t.err;
}

int run_number(const char *text, size_t len, unsigned long *out)
{
	char copy[64], *end;

	if (len && text[len - 1] == '\n')
		len--;
	if (!len || len >= sizeof(copy) || memchr(text, '\0', len))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	/* what strtoul() takes and the kernel does not */
	if (!strchr("0123456789+", *copy) || (*copy == '+' && (copy[1] < '0' || copy[1] > '9')))
		return -EINVAL;
	errno = 0;
	*out = strtoul(copy, &end, 0);
	return *end || errno ? -EINVAL : 0;
}
