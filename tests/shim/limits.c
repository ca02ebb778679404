/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/limits.c: a program that has no descriptor left. VFIO takes numbers for the files that
 * it hands out and for nothing else: interrupts can be set, and what the program may open, it can.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "shim.h"

#define LIMIT 64

static int taken[LIMIT];

/* Its soft limit is reached; @free numbers are left. */
static void fill(int free)
{
	struct rlimit rl;
	int n = 0;

	CHECK(!getrlimit(RLIMIT_NOFILE, &rl));
	rl.rlim_cur = LIMIT;
	CHECK(!setrlimit(RLIMIT_NOFILE, &rl));
	while (n < LIMIT && (taken[n] = dup(0)) >= 0)
		n++;
	while (free--)
		close(taken[--n]);
	taken[n] = -1;
}

static void give_back(void)
{
	struct rlimit rl;

	for (int n = 0; n < LIMIT && taken[n] >= 0; n++)
		close(taken[n]);
	CHECK(!getrlimit(RLIMIT_NOFILE, &rl));
	rl.rlim_cur = rl.rlim_max < 1024 ? rl.rlim_max : 1024;
	CHECK(!setrlimit(RLIMIT_NOFILE, &rl));
}

static long set_eventfd(int device, uint32_t index, uint32_t start, int fd)
{
	return vfio_set_irqs(device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index,
			     start, 1, &fd);
}

static long trigger(int device, uint32_t index, uint32_t start)
{
	return vfio_set_irqs(device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index,
			     start, 1, NULL);
}

static uint32_t vectors(int device)
{
	struct vfio_irq_info i = { .argsz = sizeof(i), .index = VFIO_PCI_MSIX_IRQ_INDEX };

	return ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &i) ? 0 : i.count;
}

/* Waits for it: who signals may be another thread. */
static bool came(int e, uint64_t n)
{
	uint64_t sum = 0, v;

	for (; sum < n && read(e, &v, 8) == 8; sum += v)
		;
	return sum == n;
}

/* With a table that is full, all vectors of MSI-X by one eventfd, in turn. */
static void interrupts_take_no_number(void)
{
	struct vfio v = vfio_open();
	int e = eventfd(0, 0);
	uint32_t n = vectors(v.device);

	CHECK(n > 1);
	fill(0);
	FAILS(dup(0), EMFILE);
	for (uint32_t i = 0; i < n; i++)
		CHECK(!set_eventfd(v.device, VFIO_PCI_MSIX_IRQ_INDEX, i, e));
	for (uint32_t i = 0; i < n; i++) {
		CHECK(!trigger(v.device, VFIO_PCI_MSIX_IRQ_INDEX, i));
		CHECK(came(e, 1));
	}
	FAILS(dup(0), EMFILE);
	give_back();
	vfio_close(&v);
	close(e);
}

/* The hard limit is reached as well. */
static int at_the_hard_limit(void)
{
	struct rlimit rl = { LIMIT, LIMIT };
	struct vfio v = vfio_open();
	int e[3];
	uint32_t n = vectors(v.device);

	case_failed = 0;
	for (int i = 0; i < 3; i++)
		e[i] = eventfd(0, EFD_NONBLOCK);
	CHECK(!setrlimit(RLIMIT_NOFILE, &rl));
	while (dup(0) >= 0)
		;
	for (uint32_t i = 0; i < n; i++)
		CHECK(!set_eventfd(v.device, VFIO_PCI_MSIX_IRQ_INDEX, i, e[i % 3]));
	/* signalled when the call returns */
	for (uint32_t i = 0; i < n; i++) {
		CHECK(!trigger(v.device, VFIO_PCI_MSIX_IRQ_INDEX, i));
		CHECK(came(e[i % 3], 1));
	}
	for (uint32_t i = 0; i < n; i++)
		CHECK(!set_eventfd(v.device, VFIO_PCI_MSIX_IRQ_INDEX, i, -1));
	CHECK(!set_eventfd(v.device, VFIO_PCI_MSIX_IRQ_INDEX, 1, e[0]));
	CHECK(!trigger(v.device, VFIO_PCI_MSIX_IRQ_INDEX, 1));
	CHECK(came(e[0], 1));
	vfio_close(&v);
	fflush(stdout);
	return case_failed;
}

static void not_even_the_hard_limit(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(at_the_hard_limit());
	CHECK(wait_for(pid) == 0);
}

/* Files do, one each. */
static void the_last_numbers(void)
{
	struct vfio v;
	int err;

	fill(3);
	v = vfio_open();
	CHECK(v.device >= 0 && v.device < LIMIT && v.container < LIMIT && v.group < LIMIT);
	CHECK(works(&v));
	FAILS(open("/dev/vfio/vfio", O_RDWR), EMFILE);
	FAILS(dup(0), EMFILE);
	vfio_close(&v);
	give_back();
	fill(2);
	v = vfio_open();
	err = errno;
	CHECK(v.device == -1 && err == EMFILE);
	vfio_close(&v);
	give_back();
}

/* The program sees the limit that it set, whatever is done to it meanwhile. */
static void *ask(void *arg)
{
	struct rlimit rl;
	long wrong = 0;

	while (!*(volatile int *)arg)
		wrong += getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur != LIMIT;
	return (void *)wrong;
}

static void the_limit_stays(void)
{
	struct vfio v = vfio_open();
	volatile int stop = 0;
	int e = eventfd(0, 0);
	pthread_t t;
	void *wrong;
	pid_t pid;

	fill(0);
	CHECK(!pthread_create(&t, NULL, ask, (void *)(uintptr_t)&stop));
	for (int i = 0; i < 200; i++) {
		CHECK(!set_eventfd(v.device, VFIO_PCI_MSIX_IRQ_INDEX, 0, e));
		CHECK(!set_eventfd(v.device, VFIO_PCI_MSIX_IRQ_INDEX, 0, -1));
	}
	pid = fork();
	if (!pid) {
		struct rlimit rl;

		_exit(getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur != LIMIT);
	}
	CHECK(wait_for(pid) == 0);
	stop = 1;
	CHECK(!pthread_join(t, &wrong) && !wrong);
	give_back();
	close(e);
	vfio_close(&v);
}

int main(void)
{
	RUN(interrupts_take_no_number);
	RUN(not_even_the_hard_limit);
	RUN(the_last_numbers);
	RUN(the_limit_stays);
	return any_failed;
}
