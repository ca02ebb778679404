/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/lock.c: locks of the files of a run directory. They are open-file-description locks:
 * they belong to the descriptor, not to the process, and go with the last copy of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/report.h"
#include "base/sys.h"
#include "machine/run/internal.h"

int run_path(const char *run_dir, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", run_dir, name);

	return n > 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int run_lock_range(int fd, short type, bool wait, off_t start, off_t len)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
	long rc;

	do
		rc = sys_call(SYS_fcntl, fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, (long)&fl, 0, 0, 0);
	while (rc == -EINTR);
	/* fcntl(2): either, "if the lock is held by another" */
	return rc == -EAGAIN || rc == -EACCES ? -EBUSY : (int)rc;
}

int run_lock_file(int fd, short type, bool wait)
{
	return run_lock_range(fd, type, wait, 0, 0);
}

static bool (*left_open)(unsigned group);

void run_set_left_open(bool (*fn)(unsigned group))
{
	left_open = fn;
}

bool run_is_left_open(int claim, unsigned group)
{
	char c = '0';

	return sys_pread(claim, &c, 1, 0) == 1 && c != '0' && left_open && left_open(group);
}

int run_lock_view(const char *run_dir)
{
	char path[PATH_MAX];
	int fd, rc;

	rc = run_path(run_dir, RUN_VIEW_LOCK, path);
	if (rc)
		return rc;
	fd = sys_open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	rc = run_lock_file(fd, F_WRLCK, true);
	if (rc) {
		report_err("run-state", "machine", rc, "%s: cannot be locked: %m", path);
		sys_close(fd);
		return rc;
	}
	return fd;
}

int run_lock_group(const char *run_dir, unsigned id)
{
	char name[32], path[PATH_MAX];
	int fd, rc;

	snprintf(name, sizeof(name), "claims/group-%u", id);
	rc = run_path(run_dir, name, path);
	if (rc)
		return rc;
	fd = sys_open(path, O_RDWR | O_CLOEXEC, 0);
	rc = fd < 0 ? fd : run_lock_file(fd, F_WRLCK, false);
	if (!rc && run_is_left_open(fd, id))
		rc = -EBUSY;
	if (rc && fd >= 0)
		sys_close(fd);
	if (rc && rc != -EBUSY)
		report_err("run-state", "machine", rc, "%s: %m", path);
	return rc ? rc : fd;
}

int run_lock_byte(const char *run_dir, unsigned id, off_t byte)
{
	char name[32], path[PATH_MAX];
	int fd, rc;

	snprintf(name, sizeof(name), "claims/group-%u", id);
	rc = run_path(run_dir, name, path);
	if (rc)
		return rc;
	fd = sys_open(path, O_RDWR | O_CLOEXEC, 0);
	rc = fd < 0 ? fd : run_lock_range(fd, F_WRLCK, false, byte, 1);
	/* descriptors that outlived their process keep what was open then */
	if (!rc && !run_lock_range(fd, F_WRLCK, false, RUN_LOCK_GROUP, 1)) {
		if (run_is_left_open(fd, id))
			rc = -EBUSY;
		run_lock_range(fd, F_UNLCK, false, RUN_LOCK_GROUP, 1);
	}
	if (rc && fd >= 0)
		sys_close(fd);
	if (rc && rc != -EBUSY)
		report_err("run-state", "machine", rc, "%s: %m", path);
	return rc ? rc : fd;
}

bool run_is_open(const char *run_dir, const char *addr, unsigned group)
{
	struct pci_address a;
	int fd;

	if (pci_address_parse(addr, &a))
		return true;
	fd = run_lock_byte(run_dir, group, run_device_byte(&a));
	if (fd >= 0)
		run_unlock(fd);
	return fd < 0;
}

void run_unlock(int fd)
{
	/* a child that was forked meanwhile has the description open, too, and with it the lock */
	run_lock_file(fd, F_UNLCK, false);
	sys_close(fd);
}
