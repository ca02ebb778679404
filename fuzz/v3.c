/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/v3.c: the interface of 2010. Streams of opens, closes, ioctls, reads, writes and mappings
 * against a machine of testdev and edu, with arguments as a hostile or broken program gives them;
 * and memory that goes away meanwhile. In the end nothing may be left mapped or pinned.
 */
#include <errno.h>

#include "base/guard.h"
#include "base/log.h"
#include "files.h"
#include "fuzz.h"
#include "machine/machine.h"
#include "v3_args.h"
#include "vfio/abi.h"

#define MAX_OPS 100

static struct machine *machine;
static struct vfio_system *sys;

static void once(void)
{
	static const char *const specs[] = { "testdev,ram=8K", "testdev,msix=off,pcie=off",
					     "edu,dma_delay=1,factorial_delay=1" };
	char why[64], *err;

	log_set(2, LOG_NONE);
	guard_install();
	hostile_setup();
	REQUIRE(!vfio_abi_choose("v3,allow_unsafe_intrs=1", why, sizeof(why)), "%s", why);
	machine = machine_new();
	for (unsigned i = 0; i < 3; i++)
		REQUIRE(!machine_add(machine, specs[i], &err), "%s: %s", specs[i], err);
	sys = machine_system(machine);
}

static int open_one(unsigned which)
{
	static const char *const paths[] = { "/dev/uiommu", "/dev/vfio0", "/dev/vfio1",
					     "/dev/vfio2" };
	struct uapi_file *f;
	int fd = uapi_open(sys, &table, paths[which % 4], O_RDWR, &f);

	if (fd)
		return fd;
	fd = install(NULL, f, O_RDWR);
	if (fd < 0)
		uapi_file_put(f);
	return fd;
}

/* A device with a domain, and with memory. */
static void usual_start(struct in *in)
{
	int d = open_one(0), dev = open_one(1 + in8(in) % 3);
	struct vfio_dma_map map = { (uintptr_t)pool, PAGE, 4 * PAGE, 1 };

	REQUIRE(d >= 0 && dev >= 0, "open: %d %d", d, dev);
	memcpy(arena, &d, sizeof(d));
	REQUIRE(!uapi_ioctl(fds[dev - FIRST_FD], VFIO_DOMAIN_SET, (unsigned long)arena),
		"DOMAIN_SET");
	memcpy(arena, &map, sizeof(map));
	REQUIRE(!uapi_ioctl(fds[dev - FIRST_FD], VFIO_DMA_MAP_IOVA, (unsigned long)arena), "MAP");
}

static void memory_goes(struct in *in)
{
	uint64_t at = (uintptr_t)pool + in8(in) % POOL_PAGES * PAGE;

	v3_memory_goes(sys, at, (1 + in8(in) % 4) * PAGE, "the fuzzer");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool done;
	struct in in = { data, size };

	if (!done)
		once();
	done = true;
	if (in8(&in) & 1)
		usual_start(&in);
	for (unsigned n = 0; n < MAX_OPS && !in_end(&in); n++) {
		uint8_t what = in8(&in), which = in8(&in) % NUM_FDS;

		if (what < 30)
			open_one(in8(&in));
		else if (what < 45)
			close_fd(which);
		else if (what < 60)
			memory_goes(&in);
		else if (fds[which])
			v3_call(&in, fds[which]);
	}
	for (unsigned i = NUM_FDS; i--;)
		close_fd(i);
	REQUIRE(!atomic_load(&sys->ioases.mappings) && !atomic_load(&sys->ioases.pages_locked),
		"something is left mapped or pinned");
	for (unsigned i = 0; i < machine_num_devices(machine); i++)
		REQUIRE(!machine_device(machine, i)->vdev->open_count, "a device is left open");
	return 0;
}
