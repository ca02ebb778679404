/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/bind.c: attributes by which a device gets and loses its driver.
 *
 * As on a kernel in which vfio-pci is the only driver for these devices: one can be taken from it
 * and given back. drivers/base/bus.c, driver.c and drivers/pci/pci-driver.c say what the answers
 * are.
 */
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

#define DRIVER	 "vfio-pci"
#define PAGE_MAX 4096u /* what sysfs takes at once, and shows */

/* One device of the view, found by the name that was written. */
struct bound {
	const char *run_dir;
	char addr[16];
	char dir[VIEW_PARENT + 32]; /* sys/devices/pci0000:01/0000:01:00.0 */
	char driver[64];	    /* that it has, or "" */
	char override[PAGE_MAX];
	bool has_override;
	unsigned group;
};

static int path_to(const struct bound *b, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s/%s", b->run_dir, b->dir, name);

	return n > 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Read the last component of the link @name of the device: its length, or -ENOENT. */
static long link_name(const struct bound *b, const char *name, char *out, size_t size)
{
	char path[PATH_MAX], text[PATH_MAX];
	const char *slash;
	long n = path_to(b, name, path);

	*out = '\0';
	if (n)
		return n;
	n = sys_call(SYS_readlinkat, AT_FDCWD, (long)path, (long)text, sizeof(text) - 1, 0, 0);
	if (n < 0)
		return n;
	text[n] = '\0';
	slash = strrchr(text, '/');
	return snprintf(out, size, "%s", slash ? slash + 1 : text);
}

/* Read a file of the device, of less than PAGE_MAX bytes: its length. */
static long read_file(const struct bound *b, const char *name, char text[PAGE_MAX])
{
	char path[PATH_MAX];
	long n = path_to(b, name, path);
	int fd;

	if (n)
		return n;
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	n = sys_read(fd, text, PAGE_MAX - 1);
	sys_close(fd);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

/* Write a file in place: it may be open, and have another mode than at first. */
static int write_file(const struct bound *b, const char *name, const char *text, size_t n)
{
	char path[PATH_MAX];
	long rc = path_to(b, name, path);
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

/*
 * Find a device by its name, as bus_find_device_by_name() with sysfs_streq(): one line break at the
 * end does not count. 0 or -ENODEV.
 */
static int find(const char *run_dir, const char *text, size_t len, struct bound *b)
{
	static const char no_override[] = "(null)\n";
	char group[16], parent[VIEW_PARENT];
	struct pci_address a;
	long n;

	memset(b, 0, sizeof(*b));
	b->run_dir = run_dir;
	if (len && text[len - 1] == '\n')
		len--;
	if (len != 12 || memchr(text, '\0', len))
		return -ENODEV;
	memcpy(b->addr, text, len);
	if (pci_address_parse(b->addr, &a) ||
	    !view_parent(&(struct tree){ .root = run_dir }, b->addr, parent))
		return -ENODEV;
	snprintf(b->dir, sizeof(b->dir), "sys/devices/%s/%s", parent, b->addr);
	if (link_name(b, "iommu_group", group, sizeof(group)) < 0)
		return -ENODEV;
	b->group = (unsigned)strtoul(group, NULL, 10);
	link_name(b, "driver", b->driver, sizeof(b->driver));
	n = read_file(b, "driver_override", b->override);
	if (n < 0)
		return (int)n;
	b->has_override = strcmp(b->override, no_override) != 0;
	if (n && b->override[n - 1] == '\n')
		b->override[n - 1] = '\0';
	return 0;
}

static bool exists(const struct bound *b, const char *name)
{
	char path[PATH_MAX];

	return !path_to(b, name, path) &&
	       !sys_call(SYS_faccessat, AT_FDCWD, (long)path, F_OK, 0, 0, 0);
}

/* Change the first line of uevent, which says what the driver is. */
static int show_driver(const struct bound *b, const char *driver)
{
	static const char key[] = "DRIVER=";
	char text[PAGE_MAX], *rest = text, *all;
	long n = read_file(b, "uevent", text);
	int rc;

	if (n < 0)
		return (int)n;
	if (!strncmp(text, key, sizeof(key) - 1))
		rest = strchrnul(text, '\n') + 1;
	rc = asprintf(&all, "%s%s%s%s", *driver ? key : "", driver, *driver ? "\n" : "", rest);
	if (rc < 0)
		return -ENOMEM;
	/* its mode is that of the view */
	tree_replace(&(struct tree){ .root = b->run_dir }, 0444,
		     (snprintf(text, sizeof(text), "%s/uevent", b->dir), text), all, (size_t)rc);
	free(all);
	return 0;
}

/* True if another device is in its group. */
static bool has_company(const struct bound *b)
{
	char path[PATH_MAX], buf[1024] __attribute__((aligned(8)));
	struct dirent64 *e;
	unsigned others = 0;
	long n;
	int fd;

	snprintf(path, sizeof(path), "%s/sys/kernel/iommu_groups/%u/devices", b->run_dir, b->group);
	fd = sys_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	while (fd >= 0 && (n = sys_call(SYS_getdents64, fd, (long)buf, sizeof(buf), 0, 0, 0)) > 0) {
		for (long at = 0; at < n; at += e->d_reclen) {
			e = (struct dirent64 *)(buf + at);
			others += *e->d_name != '.' && strcmp(e->d_name, b->addr);
		}
	}
	if (fd >= 0)
		sys_close(fd);
	return others;
}

static int refuse(const struct bound *b, const char *why)
{
	return report_warn("unbind-busy", b->addr, -EBUSY, "unbind: %s", why);
}

/*
 * Take the driver away, as device_release_driver() with vfio-pci's remove, which waits until nobody
 * uses the device. The lock of the group is held.
 */
static int unbind(struct bound *b)
{
	struct tree t = { .root = b->run_dir };
	char path[PATH_MAX];

	view_drop_cdev(&t, b->dir);
	view_drop_group_node(&t, b->group);
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/" DRIVER "/%s", b->addr);
	tree_remove(&t, path);
	snprintf(path, sizeof(path), "%s/driver", b->dir);
	tree_remove(&t, path);
	/* the driver had it */
	snprintf(path, sizeof(path), "claims/token-%s", b->addr);
	tree_remove(&t, path);
	return t.err ? t.err : show_driver(b, "");
}

/* Put together the way up to sys/ from a directory in it: "../../../". */
static const char *up_to_sys(const char *dir, char up[VIEW_PARENT])
{
	size_t n = 0;

	for (dir = strchr(dir, '/'); dir; dir = strchr(dir + 1, '/'))
		n += (size_t)snprintf(up + n, VIEW_PARENT - n, "../");
	return up;
}

static int bind(struct bound *b)
{
	struct tree t = { .root = b->run_dir };
	char path[PATH_MAX], target[PATH_MAX], up[VIEW_PARENT];

	snprintf(path, sizeof(path), "%s/driver", b->dir);
	snprintf(target, sizeof(target), "%sbus/pci/drivers/" DRIVER, up_to_sys(b->dir, up));
	tree_link(&t, path, target);
	snprintf(path, sizeof(path), "sys/bus/pci/drivers/" DRIVER "/%s", b->addr);
	snprintf(target, sizeof(target), "../../../../%s", b->dir + sizeof("sys/") - 1);
	tree_link(&t, path, target);
	if (!t.err)
		t.err = show_driver(b, DRIVER);
	view_group_node(&t, b->group);
	view_cdev(&t, b->dir);
	return t.err;
}

/* Answer as unbind_store(). */
int run_unbind_store(const char *run_dir, const char *driver, const char *text, size_t len)
{
	struct bound b;
	int rc = find(run_dir, text, len, &b), fd;
	char number[PAGE_MAX];

	if (rc)
		return rc;
	if (strcmp(b.driver, driver))
		return -ENODEV;
	if (strcmp(driver, DRIVER))
		return refuse(&b,
			      "the model stands for its driver (driver=) as long as the run lasts");
	if (exists(&b, "physfn"))
		return refuse(&b, "a virtual function has vfio-pci as long as it is enabled");
	if (read_file(&b, "sriov_numvfs", number) > 0 && strcmp(number, "0\n"))
		return refuse(&b,
			      "its virtual functions are enabled: write 0 to sriov_numvfs first");
	if (has_company(&b))
		return refuse(&b, "others are in its group, which has its driver as a whole here");
	fd = run_lock_group(run_dir, b.group);
	if (fd == -EBUSY)
		return refuse(&b, "it is open, and the kernel would wait until it is closed");
	if (fd < 0)
		return fd;
	rc = unbind(&b);
	run_unlock(fd);
	return rc;
}

/* True if the driver takes the device (pci_match_device()): vfio-pci has no IDs of its own. */
static bool matches(const struct bound *b, const char *driver)
{
	return b->has_override && !strcmp(b->override, driver);
}

/* Answer as bind_store(). */
int run_bind_store(const char *run_dir, const char *driver, const char *text, size_t len)
{
	struct bound b;
	int rc = find(run_dir, text, len, &b);

	if (rc)
		return rc;
	if (!matches(&b, driver))
		return report_info("bind-override", b.addr, -ENODEV,
				   "bind to %s: driver_override is \"%s\"", driver, b.override);
	if (*b.driver)
		return -EBUSY;
	/* vfio_pci_core_register_device() takes endpoints only */
	if (exists(&b, "secondary_bus_number"))
		return report_info("bind-bridge", b.addr, -EINVAL, "bind to %s: it is a bridge",
				   driver);
	if (strcmp(driver, DRIVER))
		return report_warn("bind-driver", b.addr, -ENODEV,
				   "bind to %s: only " DRIVER " can have it in this run", driver);
	return bind(&b);
}

/* Answer as drivers_probe_store(): that no driver wants it is no error. */
int run_probe_store(const char *run_dir, const char *text, size_t len)
{
	struct bound b;
	int rc = find(run_dir, text, len, &b);

	if (rc || *b.driver)
		return rc;
	if (matches(&b, DRIVER) && !exists(&b, "secondary_bus_number"))
		return bind(&b);
	report_info("probe-no-driver", b.addr, 0,
		    "drivers_probe: no driver wants it: driver_override is \"%s\"", b.override);
	return 0;
}

/* Answer as driver_set_override(). */
int run_override_store(const char *run_dir, const char *addr, const char *text, size_t len)
{
	char value[PAGE_MAX + 1];
	const char *end;
	struct bound b;
	int rc = find(run_dir, addr, strlen(addr), &b);

	if (rc)
		return rc;
	if (len >= PAGE_MAX - 1)
		return -EINVAL;
	end = memchr(text, '\n', len);
	if (end == text || !len)
		return write_file(&b, "driver_override", "(null)\n", 7);
	/* kstrndup(): it ends at a null byte, too */
	len = strnlen(text, end ? (size_t)(end - text) : len);
	memcpy(value, text, len);
	value[len] = '\n';
	return write_file(&b, "driver_override", value, len + 1);
}
