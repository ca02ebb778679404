/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/race_test.c: threads that make any call with any argument on any of the open files at the
 * same time, as a hostile program can: closes while a call is on its way, attaches against detaches
 * against unmaps, a group against its devices' own files. For a run under ThreadSanitizer and
 * AddressSanitizer above all; in the end nothing may be left open, mapped or pinned, and nobody may
 * wait for ever. The calls are the fuzzer's.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../fuzz/files.h"
#include "../../fuzz/uapi_args.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/test_signals.h"
#include "vfio/internal.h"

#define THREADS 4

static struct vfio_system *sys;
static unsigned rounds;

static int open_path(const char *path)
{
	struct uapi_file *f;
	int fd = uapi_open(sys, &table, path, O_RDWR, &f);

	if (fd)
		return fd;
	fd = install(NULL, f, O_RDWR);
	if (fd < 0)
		uapi_file_put(f);
	return fd;
}

static int open_one(unsigned which)
{
	return open_path(nodes[which % NUM_NODES]);
}

/* Try to bring a device to an iommufd, with an address space that has memory. */
static void bring_to_iommufd(struct in *in, int to, struct uapi_file *dev)
{
	uint32_t *args = (uint32_t *)arena;
	struct iommu_ioas_map *map = (struct iommu_ioas_map *)arena;
	struct uapi_file *ictx = get((unsigned)to - FIRST_FD);
	uint32_t ioas;

	if (!ictx)
		return;
	memset(args, 0, 64);
	args[0] = 16;
	args[2] = (uint32_t)to;
	uapi_ioctl(dev, _IO(';', 118), (unsigned long)args); /* BIND_IOMMUFD */
	memset(args, 0, 64);
	args[0] = 12;
	if (!uapi_ioctl(ictx, IOMMU_IOAS_ALLOC, (unsigned long)args)) {
		ioas = args[2];
		*map = (struct iommu_ioas_map){ .size = sizeof(*map),
						.flags = 7,
						.ioas_id = ioas,
						.user_va = (uintptr_t)pool,
						.length = PAGE << in8(in) % 7,
						.iova = some_iova(in) };
		uapi_ioctl(ictx, IOMMU_IOAS_MAP, (unsigned long)map);
		memset(args, 0, 64);
		args[0] = 12;
		args[2] = ioas;
		uapi_ioctl(dev, _IO(';', 119), (unsigned long)args); /* ATTACH_IOMMUFD_PT */
	}
	uapi_file_put(ictx);
}

/* Try to bring a device to an address space, in one of the two ways. */
static void bring_up(struct in *in)
{
	uint8_t how = in8(in);
	struct machine_device *md = device_at(in8(in) % 10);
	int dev, to = open_path(how & 1 ? "/dev/iommu" : "/dev/vfio/vfio");
	struct uapi_file *f;
	char path[64];

	md = md ? md : device_at(0);
	if (how & 1)
		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", in8(in) % 10);
	else
		snprintf(path, sizeof(path), no_iommu ? "/dev/vfio/noiommu-%u" : "/dev/vfio/%u",
			 md->group);
	dev = open_path(path);
	f = to < 0 || dev < 0 ? NULL : get((unsigned)dev - FIRST_FD);
	if (!f)
		return;
	if (how & 1) {
		bring_to_iommufd(in, to, f);
	} else {
		memcpy(arena, &to, sizeof(to));
		if (!uapi_ioctl(f, VFIO_GROUP_SET_CONTAINER, (unsigned long)arena)) {
			struct uapi_file *c = get((unsigned)to - FIRST_FD);

			if (c) {
				uapi_ioctl(c, VFIO_SET_IOMMU,
					   no_iommu ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1v2_IOMMU);
				uapi_file_put(c);
			}
			snprintf((char *)arena, PAGE, "%s%s", md->addr,
				 how & 2 ? " vf_token=" TOKEN_TEXT : "");
			uapi_ioctl(f, VFIO_GROUP_GET_DEVICE_FD, (unsigned long)arena);
		}
	}
	uapi_file_put(f);
}

static void *racer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	hostile_setup();
	for (unsigned n = 0; n < rounds; n++) {
		uint8_t bytes[256];
		struct in in = { bytes, sizeof(bytes) };
		struct uapi_file *f;
		unsigned what;

		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(rand_r(&seed) >> 7);
		what = in8(&in);
		if (what < 24) {
			open_one(in8(&in));
			continue;
		}
		if (what < 40) {
			close_fd(in8(&in) % NUM_FDS);
			continue;
		}
		if (what < 56) {
			bring_up(&in);
			continue;
		}
		f = get(in8(&in) % NUM_FDS);
		if (!f)
			continue;
		if (what < 80)
			region(&in, f);
		else if (what < 100)
			device_acts(&in, f);
		else if (what < 104)
			uapi_mmap_check(f, some_size(&in), in8(&in) & 7, in8(&in), in64(&in));
		else
			call(&in, f);
		uapi_file_put(f);
	}
	return NULL;
}

/* Race with the devices of a machine, as one kernel has them. */
static void races(struct machine *m, const char *kernel, unsigned n)
{
	pthread_t t[THREADS];

	assert_int_equal(vfio_kernel_choose(kernel), 0);
	machine = m;
	sys = machine_system(m);
	rounds = getenv("UVFIO_LONG") ? 100 * n : n;
	alarm(600); /* that all wait for one another is a failure, too */
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&t[i], NULL, racer, (void *)(uintptr_t)(i * 977 + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = NUM_FDS; i--;)
		close_fd(i);
	require_all_closed();
}

static void test_races(void **state)
{
	struct machine *m = machine_of_all();

	races(m, "6.1", 10000);
	races(m, "6.12", 10000);
	races(m, "7.3", 60000);
	machine_free(m, false);
}

static void test_races_without_iommu(void **state)
{
	struct machine *m = machine_without_iommu();

	no_iommu = true;
	races(m, "7.3", 10000);
	machine_free(m, false);
}

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	return guard_install();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_races, setup),
		cmocka_unit_test_setup(test_races_without_iommu, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
