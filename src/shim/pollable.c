/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/pollable.c: descriptors that the kernel polls as we say. A memfd is always ready, which is
 * right for containers, groups and devices. A stream (a fault queue, the state of a device that
 * migrates) is readable at some times only, and poll, select and epoll ask the kernel.
 *
 * The kernel has one file that is polled as another one says, and that nobody can read, write or
 * map past us: a POSIX message queue that was opened for writing. It is readable for poll while it
 * has a message (mq_overview(7)), writable while there is room, read(2) of it is EBADF, write(2)
 * EINVAL. It has an inode, a position and a name as a memfd has, and last closes are seen in the
 * same way. So the queue has room for two messages, there is none or one of them in it, and the end
 * that puts it there is a private descriptor.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>

#include "shim/handles.h"
#include "shim/scope.h"
#include "shim/shim.h"

/*
 * Make the queue @name, and take the name away at once. The name is that of a process, which may
 * have had a number that is used again, and been killed in the middle.
 */
static int make(const char *name)
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 1 };
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC;
	long fd = fd_of_ours(SYS_mq_open, (long)name, flags, 0600, (long)&attr);

	if (fd == -EEXIST) {
		sys_call(SYS_mq_unlink, (long)name, 0, 0, 0, 0, 0);
		fd = fd_of_ours(SYS_mq_open, (long)name, flags, 0600, (long)&attr);
	}
	return (int)fd;
}

int shim_pollable_open(const char *name, int flags, int *signal)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the name; a leaf */
	uint64_t mask;
	long fd = -1;
	int own, rc;

	shim_block_signals(&mask);
	pthread_mutex_lock(&lock);
	own = make(name);
	if (own >= 0) {
		fd = fd_of_ours(SYS_mq_open, (long)name, O_WRONLY | O_CLOEXEC | flags, 0, 0);
		sys_call(SYS_mq_unlink, (long)name, 0, 0, 0, 0, 0);
	}
	pthread_mutex_unlock(&lock);
	shim_restore_signals(&mask);
	if (own < 0)
		return report_err(REPORT_HINT("stream-no-queue",
					      "; it takes a POSIX message queue (RLIMIT_MSGQUEUE, "
					      "sysctl fs.mqueue.queues_max)"),
				  SHIM_WHO, own, "no descriptor for a stream: %m");
	rc = fd < 0 ? (int)fd : fd_make_private(own);
	if (rc < 0) {
		sys_close(own);
		if (fd >= 0)
			sys_close((int)fd);
		return rc;
	}
	*signal = rc;
	return (int)fd;
}

void shim_pollable_set(int signal, bool ready)
{
	char byte = 0;

	if (ready)
		sys_call(SYS_mq_timedsend, signal, (long)&byte, 1, 0, 0, 0);
	else
		sys_call(SYS_mq_timedreceive, signal, (long)&byte, 1, 0, 0, 0);
}
