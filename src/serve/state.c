/* SPDX-License-Identifier: BSD-3-Clause */
/* serve/state.c: see state.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/report.h"
#include "base/sys.h"
#include "serve/state.h"
#include "vfio/device.h"
#include "vfio/outlast.h"

#define DESCRIBE_ROOM (64u << 10)
#define MORE_ROOM     (64u << 10) /* a state may grow; and what about it may be */

/* ---- the directory ---- */

#define RUN_TEXT 17 /* 16 digits and a line's end */

/* Read the number: 0; -ENOENT; -EINVAL: it is none. */
static int read_run(const char *path, uint64_t *run)
{
	char text[RUN_TEXT + 1] = "";
	/* a pipe is not waited for */
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0),
	    end = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd == -ELOOP ? -EINVAL : fd;
	n = fstat(fd, &st) || !S_ISREG(st.st_mode) ? -EINVAL : sys_pread(fd, text, RUN_TEXT, 0);
	sys_close(fd);
	if (n < 0)
		return (int)n;
	return n == RUN_TEXT && sscanf(text, "%16" SCNx64 "\n%n", run, &end) == 1 &&
			       end == RUN_TEXT && *run
		       ? 0
		       : -EINVAL;
}

/* Draw the number and write it: 0; -EEXIST: somebody else did; or an error. */
static int write_run(const char *path)
{
	char text[RUN_TEXT + 1], *temp;
	uint64_t run;
	int fd, rc;
	ssize_t n;

	if (getrandom(&run, sizeof(run), 0) != sizeof(run))
		return -errno;
	if (asprintf(&temp, "%s.%d.new", path, getpid()) < 0)
		return -ENOMEM;
	snprintf(text, sizeof(text), "%016" PRIx64 "\n", run | 1);
	unlink(temp); /* of a process that had this number, and was killed */
	rc = fd = sys_open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		n = sys_pwrite(fd, text, RUN_TEXT, 0);
		rc = n < 0 ? (int)n : n < RUN_TEXT ? -ENOSPC : 0;
		sys_close(fd);
		if (!rc && link(temp, path))
			rc = -errno;
		unlink(temp);
	}
	free(temp);
	return rc;
}

int serve_state_dir(const char *dir, char **real, uint64_t *run, char *why, size_t size)
{
	char *path = NULL;
	struct stat st;
	int rc;

	*real = realpath(dir, NULL);
	rc = *real ? 0 : -errno;
	if (!rc && (stat(*real, &st) || !S_ISDIR(st.st_mode)))
		rc = -ENOTDIR;
	if (!rc && asprintf(&path, "%s/run", *real) < 0)
		rc = -ENOMEM;
	if (!rc)
		rc = read_run(path, run);
	if (rc == -ENOENT && path) {
		rc = write_run(path);
		if (!rc || rc == -EEXIST)
			rc = read_run(path, run);
	}
	if (rc == -EINVAL)
		snprintf(why, size, "%s: the file is none of uvfio's, or damaged: move it away",
			 path);
	else if (rc)
		snprintf(why, size, "the directory %s: %s", dir, strerror(-rc));
	free(path);
	if (rc)
		free(*real);
	return rc;
}

/* ---- a device's file ---- */

static void say(const struct machine_device *d, const char *path, enum vfio_outlast way,
		enum lasting_mark mark)
{
	static const char *const ways[] = {
		[VFIO_OUTLAST_STEPS] = "at each of its steps",
		[VFIO_OUTLAST_MEMORY] = "at any moment",
		[VFIO_OUTLAST_HALT] = "when SIGTERM ends the server, and not when it is killed",
	};

	report_info("serve-state", d->addr, 0, "its state is kept %s: %s%s", ways[way], path,
		    mark == LASTING_CLEAN ? ", which has one that a client may come back to" : "");
}

int serve_state_open(const char *dir, struct machine_device *d, const char *spec,
		     struct lasting_file **out, bool *hides, char *why, size_t size)
{
	struct lasting_layout l = { .spec = spec, .describe_room = DESCRIBE_ROOM };
	struct vfio_migrate *m;
	char *path;
	int rc;

	*hides = !d->vdev->migrate;
	rc = machine_let_migrate(d);
	m = d->vdev->migrate;
	if (!rc && vfio_outlast_way(m) == VFIO_OUTLAST_NOT)
		rc = -EOPNOTSUPP;
	if (rc) {
		snprintf(why, size, "%s: its state cannot be kept: %s", d->addr,
			 rc == -EOPNOTSUPP ? "there is no way to save it" : strerror(-rc));
		return rc;
	}
	if (asprintf(&path, "%s/%s.state", dir, d->addr) < 0) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	l.path = path;
	l.memory = vfio_outlast_memory_size(m);
	l.room = 2 * (size_t)vfio_migrate_size(m) + MORE_ROOM;
	rc = lasting_file_open(&l, why, size, out);
	if (!rc)
		say(d, path, vfio_outlast_way(m), lasting_mark(*out));
	free(path);
	return rc;
}
