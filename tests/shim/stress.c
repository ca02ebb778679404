/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/stress.c: all of it at once for a second: threads that use a device in both ways, that
 * open and close, that fork, and a timer's signal whose handler does it, too.
 */
#include <pthread.h>
#include <sys/time.h>
#include <time.h>

#include "shim.h"

static struct vfio v;
static volatile int stop;
static volatile long bad, done_calls, done_forks, done_signals;

static void wrong(const char *what)
{
	printf("     wrong: %s (errno %d)\n", what, errno);
	__atomic_fetch_add(&bad, 1, __ATOMIC_SEQ_CST);
}

static void *uses(void *arg)
{
	struct vfio_device_info info;
	uint32_t id;

	while (!stop) {
		info.argsz = sizeof(info);
		if (ioctl(v.device, VFIO_DEVICE_GET_INFO, &info) || info.num_regions != 9)
			wrong("ioctl");
		info.argsz = sizeof(info);
		if (raw_call(SYS_ioctl, v.device, VFIO_DEVICE_GET_INFO, (long)&info, 0, 0, 0) ||
		    info.num_irqs != 5)
			wrong("raw ioctl");
		if (pread(v.device, &id, 4, (off_t)REGS) != 4 || id != TD_ID_VALUE)
			wrong("pread");
		__atomic_fetch_add(&done_calls, 3, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void *opens(void *arg)
{
	while (!stop) {
		int c = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC), d = dup(c);

		if (c < 0 || d < 0 || ioctl(c, VFIO_GET_API_VERSION) || close(c))
			wrong("container");
		if (ioctl(d, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU) != 1 || close(d))
			wrong("container's duplicate");
		if (open_group() != -1 || errno != EBUSY)
			wrong("busy group");
	}
	return NULL;
}

static void *forks(void *arg)
{
	while (!stop) {
		pid_t pid = fork();

		if (!pid) {
			struct vfio_device_info info = { .argsz = sizeof(info) };
			int c = open("/dev/vfio/vfio", O_RDWR);
			int ok = ioctl(v.device, VFIO_DEVICE_GET_INFO, &info) == -1 &&
				 errno == ENODEV && c >= 0 && ioctl(c, VFIO_GET_API_VERSION) == 0 &&
				 open_group() == -1 && errno == EBUSY;
			_exit(!ok);
		}
		if (pid < 0 || wait_for(pid))
			wrong("child");
		done_forks++;
	}
	return NULL;
}

static void on_alarm(int sig)
{
	int e = errno, c = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	if (c < 0 || ioctl(c, VFIO_GET_API_VERSION) ||
	    raw_call(SYS_ioctl, c, VFIO_GET_API_VERSION, 0, 0, 0, 0) || close(c))
		wrong("in the handler");
	done_signals++;
	errno = e;
}

static void everything_at_once(void)
{
	void *(*const fns[])(void *) = { uses, uses, opens, opens, forks };
	struct itimerval it = { { 0, 2000 }, { 0, 2000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct timespec end, now;
	pthread_t t[5];
	sigset_t s;

	v = vfio_open();
	CHECK(works(&v));
	signal(SIGALRM, on_alarm);
	/*
	 * the handler is this thread's: opening files is no function for handlers in general
	 * (malloc), but here nothing else of this thread runs
	 */
	sigemptyset(&s);
	sigaddset(&s, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	for (int i = 0; i < 5; i++)
		CHECK(!pthread_create(&t[i], NULL, fns[i], NULL));
	pthread_sigmask(SIG_UNBLOCK, &s, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 1;
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec ||
		 (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	setitimer(ITIMER_REAL, &off, NULL);
	stop = 1;
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	CHECK(!bad);
	CHECK(done_calls > 0 && done_forks > 0 && done_signals > 0);
	printf("     %ld calls, %ld children, %ld signals\n", done_calls, done_forks, done_signals);
	CHECK(works(&v));
	vfio_close(&v);
	v = vfio_open();
	CHECK(works(&v));
	vfio_close(&v);
}

int main(void)
{
	RUN(everything_at_once);
	return any_failed;
}
