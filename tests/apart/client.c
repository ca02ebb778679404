/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/apart/client.c: while one device sleeps in an access (tests/apart/model.c), others go on:
 * with loads, stores, locked instructions, reads and ioctls. There are so many, and each sleeps in
 * turn, that devices which have one of a few locks in common would be found.
 */
#include <pthread.h>
#include <time.h>

#include "shim/shim.h"

#define DEVICES 24u
#define SLEEP	0
#define WAKE	1
#define INSIDE	2
#define COUNT	3

static struct vfio devices[DEVICES];
static volatile uint32_t *bars[DEVICES];

static bool open_all(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR);
	char path[32], address[16];

	for (unsigned i = 0; i < DEVICES; i++) {
		struct vfio *v = &devices[i];

		snprintf(path, sizeof(path), "/dev/vfio/%u", i + 1);
		snprintf(address, sizeof(address), "0000:%02x:00.0", i + 1);
		v->container = container;
		v->group = open(path, O_RDWR);
		if (ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &container) ||
		    (!i && ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU)))
			return false;
		v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, address);
		bars[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v->device, 0);
		if (v->device < 0 || bars[i] == MAP_FAILED)
			return false;
	}
	return true;
}

static void *load(void *bar)
{
	return (void *)(uintptr_t)((volatile uint32_t *)bar)[SLEEP];
}

static void *locked(void *bar)
{
	__asm__ volatile("lock addl $1, (%0)" : : "r"(bar) : "memory", "cc");
	return NULL;
}

/* All that can be done to a device that does not sleep. */
static void use(unsigned i)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	uint32_t v = 0;

	bars[i][COUNT] = i;
	__asm__ volatile("lock addl $5, (%0)" : : "r"(&bars[i][COUNT]) : "memory", "cc");
	CHECK(bars[i][COUNT] == i + 5);
	CHECK(pread(devices[i].device, &v, 4, 4 * COUNT) == 4 && v == i + 5);
	CHECK(pwrite(devices[i].device, &v, 4, 4 * COUNT) == 4);
	CHECK(!ioctl(devices[i].device, VFIO_DEVICE_GET_REGION_INFO, &info));
}

/* Device @at sleeps in @first, and @second waits behind it, if it is not NULL. */
static void one_sleeps(unsigned at, void *(*first)(void *), void *(*second)(void *))
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	void *bar = (void *)(uintptr_t)bars[at];
	unsigned other = at ? 0 : 1;
	pthread_t a, b;

	CHECK(!pthread_create(&a, NULL, first, bar));
	while (!bars[other][INSIDE])
		nanosleep(&ms, NULL);
	if (second) {
		CHECK(!pthread_create(&b, NULL, second, bar));
		for (unsigned i = 0; i < 20; i++)
			nanosleep(&ms, NULL);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		if (i != at)
			use(i);
	CHECK(bars[other][INSIDE] >= 1);
	while (pthread_tryjoin_np(a, NULL)) {
		bars[other][WAKE] = 1;
		nanosleep(&ms, NULL);
	}
	while (second && pthread_tryjoin_np(b, NULL)) {
		bars[other][WAKE] = 1;
		nanosleep(&ms, NULL);
	}
}

static void beside(void *(*first)(void *), void *(*second)(void *))
{
	for (unsigned i = 0; i < DEVICES; i++)
		one_sleeps(i, first, second);
}

static void a_load_sleeps(void)
{
	beside(load, NULL);
}

static void a_locked_instruction_sleeps(void)
{
	beside(locked, NULL);
}

static void a_locked_instruction_waits(void)
{
	beside(load, locked);
}

static void a_load_waits(void)
{
	beside(locked, load);
}

int main(void)
{
	/* one that is held up would wait for ever */
	alarm(60);
	if (!open_all()) {
		printf("FAIL the devices cannot be opened: %s\n", strerror(errno));
		return 1;
	}
	RUN(a_load_sleeps);
	RUN(a_locked_instruction_sleeps);
	RUN(a_locked_instruction_waits);
	RUN(a_load_waits);
	return any_failed;
}
