/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/rundir.c: the directory of one run: the sysfs view, and claims/ with a lock for each open
 * group and one that all processes with the shim share.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli/cli.h"

#define OPEN_DIRS 16 /* descriptors that nftw may use */

/* What every process with the shim holds a read lock on (shim.c): while one does, the directory is needed. */
static int make_presence(const char *claims)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/processes", claims);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	/* whatever the umask is; uvfio itself asks for a write lock, as its owner */
	if (fchmod(fd, 0644)) {
		close(fd);
		return -errno;
	}
	close(fd);
	return 0;
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
	 * What root starts may become somebody else, who sees sysfs and /dev as everybody does; the
	 * group files are root's there, too.
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
	rc = mkdir(claims, 0755) ? -errno : make_presence(claims);
	if (rc)
		goto fail;
	free(claims);
	*dir = d;
	return 0;
fail:
	free(claims);
	rundir_remove(d);
	free(d);
	return rc;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (remove(path) && errno != ENOENT)
		log_warn("run", "%s: %s", path, strerror(errno));
	return 0;
}

void rundir_remove(const char *dir)
{
	nftw(dir, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Is some process holding a claim? @wait: until none does. */
static bool claimed(const char *dir, bool wait)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool held = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/claims", dir);
	d = opendir(path);
	if (!d)
		return false;
	while ((e = readdir(d))) {
		struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		int fd;

		if (*e->d_name == '.')
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (wait) {
			while (fcntl(fd, F_OFD_SETLKW, &fl) && errno == EINTR)
				;
		} else if (fcntl(fd, F_OFD_SETLK, &fl) && (errno == EAGAIN || errno == EACCES)) {
			held = true;
		}
		close(fd);
	}
	closedir(d);
	return held;
}

void rundir_end(const char *dir)
{
	int null;

	if (!claimed(dir, false)) {
		rundir_remove(dir);
		return;
	}
	/*
	 * The program left a process that has a device open or may open one (a daemon: QEMU
	 * -daemonize). The status goes to the caller now; a process that holds nothing of the
	 * caller's (no terminal, no pipe, no directory) waits for the other.
	 */
	log_info("run", "a process of the program lives on: %s stays until its end",
		 dir);
	switch (fork()) {
	case -1:
		log_warn("run", "cannot wait for a process of the program that lives on: %s stays", dir);
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
	close_range(3, ~0u, 0);
	claimed(dir, true);
	rundir_remove(dir);
	_exit(0);
}
