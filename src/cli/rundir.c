/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/rundir.c: the directory of one run: the sysfs view, and claims/ with a lock for each open
 * group and one that all processes with the shim share.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/report.h"
#include "base/util.h"
#include "cli/cli.h"

#define PRESENCE "claims/processes"

/*
 * Make the file on which every process with the shim holds a read lock (shim.c): while one does,
 * the directory is needed. Only the owner can open it, since anybody who could would be able to
 * make us wait; a process that became another user has the descriptor that it inherited.
 */
static int make_presence(const char *dir)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/" PRESENCE, dir);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* whatever the umask is */
	if (fchmod(fd, 0600)) {
		close(fd);
		return -errno;
	}
	close(fd);
	return 0;
}

/*
 * Remove the directory @name in @parent with all that is in it. By descriptors, and no link is
 * followed: a directory of the view that root gave to somebody (chown) may become a link to another
 * place while we are in it.
 */
static void remove_tree(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!unlinkat(fd, e->d_name, 0) || errno == ENOENT)
			continue;
		if (errno == EISDIR)
			remove_tree(fd, e->d_name);
		else
			report_warn("run-dir", "run", -errno, "%s: %m", e->d_name);
	}
	if (d)
		closedir(d);
	if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
		report_warn("run-dir", "run", -errno, "%s: %m", name);
}

int rundir_new(char **dir, char **why)
{
	const char *tmp = getenv("TMPDIR");
	char *claims = NULL, *d = NULL;
	int rc;

	if (!tmp || !*tmp)
		tmp = "/tmp";
	/* the program may change its directory */
	if (*tmp != '/') {
		if (asprintf(why, "TMPDIR is '%s': it must be an absolute path", tmp) < 0)
			*why = NULL;
		return -EINVAL;
	}
	if (asprintf(&d, "%s/uvfio-XXXXXX", tmp) < 0)
		return -ENOMEM;
	/* mkdtemp() makes it 0700 */
	if (!mkdtemp(d)) {
		rc = -errno;
		if (asprintf(why, "cannot make a directory for this run in %s: %s", tmp,
			     strerror(-rc)) < 0)
			*why = NULL;
		free(d);
		return rc;
	}
	/*
	 * A program that root starts may become another user, for whom sysfs and /dev are readable
	 * as on a host; the group files are root's there, too.
	 */
	if (!geteuid() && chmod(d, 0755)) {
		rc = -errno;
		goto fail;
	}
	if (asprintf(&claims, "%s/claims", d) < 0) {
		claims = NULL;
		rc = -ENOMEM;
		goto fail;
	}
	rc = mkdir(claims, 0755) ? -errno : make_presence(d);
	if (rc)
		goto fail;
	free(claims);
	*dir = d;
	return 0;
fail:
	free(claims);
	remove_tree(AT_FDCWD, d);
	free(d);
	return rc;
}

bool rundir_is_needed(const char *dir, bool wait)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/" PRESENCE, dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	do
		rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &fl);
	while (rc && errno == EINTR);
	rc = rc ? errno : 0;
	close(fd);
	return rc == EAGAIN || rc == EACCES;
}

/* Close all but the three and those of the control. */
static void close_others(const struct ctl_server *ctl)
{
	int fds[512];
	unsigned n = ctl ? ctl_server_fds(ctl, fds, ARRAY_SIZE(fds)) : 0, from = 3;

	for (unsigned i = 0; i < n; i++) {
		if ((unsigned)fds[i] > from)
			close_range(from, (unsigned)fds[i] - 1, 0);
		from = (unsigned)fds[i] + 1;
	}
	close_range(from, ~0u, 0);
}

void rundir_end(const char *dir, struct ctl_server *ctl)
{
	int null;

	if (!rundir_is_needed(dir, false)) {
		remove_tree(AT_FDCWD, dir);
		return;
	}
	/*
	 * The program left a process that has devices open or may open some (a daemon: QEMU
	 * -daemonize). The status goes to the caller now; a process that holds nothing of the
	 * caller's (no terminal, no pipe, no directory) waits for the other.
	 */
	report_info("run-lives-on", "run", 0,
		    "a process of the program lives on: %s stays until its end", dir);
	switch (fork()) {
	case -1:
		report_warn("run-no-wait", "run", 0,
			    "cannot wait for a process of the program that lives on: %s stays",
			    dir);
		return;
	case 0:
		break;
	default:
		return;
	}
	setsid();
	if (chdir("/"))
		_exit(1);
	null = open("/dev/null", O_RDWR);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	close_others(ctl);
	if (ctl)
		ctl_server_start(ctl);
	rundir_is_needed(dir, true);
	remove_tree(AT_FDCWD, dir);
	_exit(0);
}
