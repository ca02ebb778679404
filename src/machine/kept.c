/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/kept.c: what a device of the interface of 2010 holds when nobody has it open, which its
 * next user finds, in whichever process: a file in the run directory for each such device. A
 * process that ends without closing it leaves none: then it is as after a power cycle.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "machine/internal.h"

static bool path_of(const struct plugged *dev, char path[PATH_MAX])
{
	return dev->m->run_dir && dev->hw && dev->hw->provider->save_state &&
	       snprintf(path, PATH_MAX, "%s/" RUN_KEPT "/%s", dev->m->run_dir, dev->d.addr) <
		       PATH_MAX;
}

void machine_leave_state(struct plugged *dev)
{
	char path[PATH_MAX];
	void *buf;
	size_t len;
	ssize_t n;
	int fd, rc;

	/* a VF is made with its PF, and as its PF's reset leaves it */
	if (!dev->d.vdev || dev->pf || !path_of(dev, path))
		return;
	unlink(path);
	rc = dev->hw->provider->save_state(dev->hw, &buf, &len);
	if (rc == -EOPNOTSUPP)
		return;
	if (!rc) {
		*strrchr(path, '/') = '\0';
		mkdir(path, 0700);
		path_of(dev, path);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		n = fd < 0 ? -1 : write(fd, buf, len);
		rc = fd < 0 || n < 0 ? -errno : (size_t)n < len ? -EIO : 0;
		if (fd >= 0)
			close(fd);
		if (rc)
			unlink(path);
		heap_free(buf);
	}
	if (rc)
		report_warn(
			"state-kept", dev->d.addr, rc,
			"what it holds cannot be kept for the next user, who finds it as after a "
			"power cycle: %m");
}

void machine_take_state(struct plugged *dev)
{
	char path[PATH_MAX];
	struct stat st;
	void *buf;
	ssize_t n;
	int fd, rc = -ENOMEM;

	if (!dev->d.vdev || !path_of(dev, path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	unlink(path);
	buf = fstat(fd, &st) ? NULL : malloc((size_t)st.st_size);
	n = buf ? read(fd, buf, (size_t)st.st_size) : -1;
	if (n == st.st_size)
		rc = dev->hw->provider->load_state(dev->hw, buf, (size_t)n);
	free(buf);
	close(fd);
	if (rc)
		report_warn("state-kept", dev->d.addr, rc,
			    "what the last user left cannot be had: it is as after a power cycle: "
			    "%m");
}
