/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/fd_room.c: numbers beyond the program's limit of open files.
 *
 * The kernel's VFIO keeps references of eventfds and files of its own, which take no number: a
 * program at its limit can set all its interrupts. A private descriptor needs one. The limit is
 * looked at when a number is given out and not afterwards, so it is raised for that moment: the
 * number is then one that the program cannot have itself. The limit is the process's, and so other
 * threads could see it: one that reads or sets it, or forks, waits for the end of the moment
 * (fd_room_lock), if its call comes through the shim. The lock is the last of all: nothing but
 * system calls that do not wait is done under it.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/sys.h"

#define ROOM 4096u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static long limit(const struct rlimit *set, struct rlimit *get)
{
	return sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)set, (long)get, 0, 0);
}

/*
 * Raise the limit: beyond the hard one with CAP_SYS_RESOURCE alone, and beyond fs.nr_open never.
 */
static long raise_limit(const struct rlimit *is)
{
	struct rlimit rl = { .rlim_cur = is->rlim_cur + ROOM, .rlim_max = is->rlim_max };

	if (rl.rlim_max < rl.rlim_cur)
		rl.rlim_max = rl.rlim_cur;
	if (!limit(&rl, NULL))
		return 0;
	rl.rlim_cur = rl.rlim_max = is->rlim_max;
	return is->rlim_cur < is->rlim_max ? limit(&rl, NULL) : -EMFILE;
}

long fd_beyond_limit(long nr, long a, long b, long c, long d)
{
	struct rlimit rl;
	long rc = -EMFILE;

	pthread_mutex_lock(&lock);
	if (!limit(NULL, &rl) && !raise_limit(&rl)) {
		rc = sys_call(nr, a, b, c, d, 0, 0);
		limit(&rl, NULL);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

long fd_of_ours(long nr, long a, long b, long c, long d)
{
	long rc = sys_call(nr, a, b, c, d, 0, 0);

	return rc == -EMFILE ? fd_beyond_limit(nr, a, b, c, d) : rc;
}

void fd_room_lock(void)
{
	pthread_mutex_lock(&lock);
}

void fd_room_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void fd_room_abandon(void)
{
	pthread_mutex_init(&lock, NULL);
}
