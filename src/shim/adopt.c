/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/adopt.c: handles that another process opened, or this one before an exec or a fork, and that
 * nobody has used yet. A device that is not bound and an iommufd without objects have no state: the
 * process that opened it has nothing that another one would need. So whoever uses one first has it,
 * by opening the same node for the descriptor that it got. A manager opens /dev/vfio/devices/vfioN
 * and /dev/iommu, and gives both to a virtual machine monitor that may not open them itself.
 *
 * Where the devices have a process of their own (process=own) all files are over there, and any
 * process that has a descriptor calls them: it finds its file by the descriptor's inode.
 *
 * That it is used is seen in the memfd, which all have: it cannot be sealed any more. Adding the
 * seal that says so (F_SEAL_SEAL) is what one process of several can do, once.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/handles.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "shim/shim.h"

/* so that two threads do not adopt one file twice; above what an open takes */
static pthread_mutex_t adopt_lock = PTHREAD_MUTEX_INITIALIZER;

bool shim_adopt_is_free(int fd)
{
	long seals = sys_call(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0);

	return seals >= 0 && !(seals & F_SEAL_SEAL);
}

int shim_adopt_take(int fd)
{
	char path[SYS_FD_NAME];
	long own, rc;

	/* to seal it one must be able to write it, which a handle cannot */
	own = fd_of_ours(SYS_openat, AT_FDCWD, (long)sys_fd_name(path, fd), O_RDWR | O_CLOEXEC, 0);
	if (own < 0)
		return (int)own;
	rc = sys_call(SYS_fcntl, own, F_ADD_SEALS, F_SEAL_SEAL, 0, 0, 0);
	sys_close((int)own);
	return rc == -EPERM ? -ENODEV : (int)rc;
}

/* Make the file @fd, which is not in the table, one of this process's: it is over there. */
static struct shim_handle *adopt_far(int fd, int flags)
{
	struct shim_handle *h;
	struct uapi_file *f;
	struct stat st;
	int rc;

	if (sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0) < 0 ||
	    uapi_far_find(shim.far, &shim_fds, st.st_dev, st.st_ino, &f))
		return NULL;
	h = shim_handle_enter(fd, f, flags, &rc);
	if (!h)
		uapi_file_put(f);
	return h;
}

/* Open the node of the file with @link for the handle @fd, which is not in the table. */
static struct shim_handle *adopt(int fd, const char *link, int flags)
{
	struct shim_handle *h;
	struct uapi_file *f;
	int rc = shim_open_node(link, flags, &f);

	if (rc)
		return NULL;
	h = shim_handle_enter(fd, f, flags, &rc);
	if (!h) {
		uapi_file_put(f);
		return NULL;
	}
	report_info("handle-adopted", SHIM_WHO, 0,
		    "descriptor %d, %s, was opened by another process: nobody has used it yet, and "
		    "it is this one's now",
		    fd, link);
	return h;
}

struct shim_handle *shim_adopt(int fd)
{
	const char *file, *end;
	char text[128], link[VFIO_NODE_NAME];
	struct shim_handle *h;
	int pid, flags;
	long n;

	if (!shim.far && !shim_adopt_is_free(fd))
		return NULL;
	n = sys_readlink_fd(fd, text, sizeof(text));
	if (n <= 0 || (size_t)n >= sizeof(text))
		return NULL;
	text[n] = '\0';
	if (!shim_left_read(text, &pid, &flags, &file))
		return NULL;
	end = strchrnul(file, ' '); /* " (deleted)" */
	if ((size_t)(end - file) >= sizeof(link))
		return NULL;
	snprintf(link, sizeof(link), "%.*s", (int)(end - file), file);
	pthread_mutex_lock(&adopt_lock);
	h = shim_handle_get(fd, NULL, NULL);
	if (!h || shim_handle_is_dead(h)) {
		if (h)
			shim_handle_put(h);
		h = shim.far ? adopt_far(fd, flags) : adopt(fd, link, flags);
	}
	pthread_mutex_unlock(&adopt_lock);
	return h;
}

void shim_adopt_abandon(void)
{
	pthread_mutex_init(&adopt_lock, NULL);
}
