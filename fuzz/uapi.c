/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/uapi.c: the kernel ABI. Streams of opens, closes, ioctls, reads and writes against a machine
 * of testdev and edu, with a table of descriptors that is an array. Arguments are what a hostile or
 * broken program gives: structures that end at the last byte before nothing, pointers to nothing,
 * to memory that can only be read, any argsz, any flags, descriptors that are closed or something
 * else. The stream can also ask for a proper argument, or nothing deep would be reached. The
 * target's own memory must survive: no pointer but into the arena and to where there is nothing is
 * ever given.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "fuzz.h"
#include "hostile.h"
#include "machine/machine.h"
#include "models/testdev/testdev.h"
#include "uapi/uapi.h"
#include "uapi_args.h"
#include "vfio/aside.h"

#define MAX_OPS 100

static struct vfio_system *sys;
static struct uapi_file *fds[NUM_FDS];

static struct uapi_file *fget(void *arg, int fd, int *err)
{
	*err = -EBADF;
	if (fd == null_fd || fd == events[0])
		*err = 0;
	if (fd < FIRST_FD || fd >= FIRST_FD + NUM_FDS || !fds[fd - FIRST_FD])
		return NULL;
	uapi_file_get(fds[fd - FIRST_FD]);
	return fds[fd - FIRST_FD];
}

static int install(void *arg, struct uapi_file *file, int flags)
{
	for (int i = 0; i < NUM_FDS; i++) {
		if (!fds[i]) {
			fds[i] = file;
			return FIRST_FD + i;
		}
	}
	return -EMFILE;
}

static const struct uapi_fds table = { .fget = fget, .install = install };

static void once(void)
{
	static const char *const specs[] = { "testdev,migration=on,ram=8K",
					     "testdev,group=1,msix=off",
					     "edu,dma_delay=1,factorial_delay=1",
					     "testdev,pcie=off,intx=off" };
	char *err;

	log_set(2, LOG_NONE);
	guard_install();
	hostile_setup();
	machine = machine_new();
	for (unsigned i = 0; i < 4; i++)
		REQUIRE(!machine_add(machine, specs[i], &err), "%s: %s", specs[i], err);
	sys = machine_system(machine);
}

/* Write @value as a client would. */
static void poke(struct uapi_file *f, uint64_t pos, uint64_t value, size_t n)
{
	memcpy(arena, &value, n);
	uapi_pwrite(f, arena, n, pos);
}

/* Have testdev or edu act: DMA, with an interrupt at its end, and interrupts alone. */
static void device_acts(struct in *in, struct uapi_file *f)
{
	const uint64_t regs = 2ull << 40;
	uint8_t how = in8(in);

	poke(f, (7ull << 40) + 4, 6 | (how & 0x80 ? 0x400 : 0), 2);
	switch (how & 3) {
	case 0:
		poke(f, regs + TD_DMA_SRC, some_iova(in), 8);
		poke(f, regs + TD_DMA_DST, some_iova(in), 8);
		poke(f, regs + TD_DMA_LEN, in16(in) % 0x9000, 8);
		poke(f, regs + TD_DMA_VECTOR, in8(in), 4);
		poke(f, regs + TD_DMA_CMD, (in8(in) & 7) | (how & 0x70) << 4, 4);
		break;
	case 1:
		poke(f, regs + TD_INTX, how >> 2 & 1, 4);
		poke(f, regs + TD_MSI, in8(in), 4);
		poke(f, regs + TD_TIMER_VECTOR, in8(in) & 1 ? TD_INTX_TIMER : in8(in), 4);
		poke(f, regs + TD_TIMER, in8(in), 4);
		break;
	case 2:
		poke(f, regs + TD_ERROR, in32(in), 4);
		break;
	default: /* edu: BAR0, 0x80 source, 0x88 destination, 0x90 count, 0x98 command; 0x08
		    factorial, 0x60 raise */
		poke(f, 0x80, how & 4 ? 0x40000 : some_iova(in), 8);
		poke(f, 0x88, how & 4 ? some_iova(in) : 0x40000, 8);
		poke(f, 0x90, in16(in) % 0x1100, 8);
		poke(f, 0x98, 1 | (how & 4 ? 0 : 2) | (how & 8 ? 4 : 0), 8);
		poke(f, 0x60, in8(in), 4);
		poke(f, 0x08, in8(in), 4);
	}
}

/* Aside is a place of its own, as large as all moves of one input can be. */
static void *move_aside(void *old, uint64_t len, void *arg)
{
	static unsigned n;
	void *to;

	if (++n % 8 == 7)
		return NULL;
	to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (to == MAP_FAILED ||
	    mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
		abort();
	/* no hole: mmap would find it for the next one, in what the program is about to replace */
	if (mmap(old, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
	return to;
}

/* The program maps other memory over a part of the pool, as the shim sees it. */
static void lose_memory(struct in *in)
{
	unsigned first = in8(in) % POOL_PAGES, n = 1 + in8(in) % 8;
	uint8_t *p = pool + first * PAGE;

	if (first + n > POOL_PAGES)
		n = POOL_PAGES - first;
	if (vfio_pages_in_use(sys, p, n * PAGE))
		vfio_preserve_pages(sys, p, n * PAGE, move_aside, NULL);
	if (mmap(p, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
}

static void close_fd(unsigned i)
{
	struct uapi_file *f = fds[i];

	fds[i] = NULL;
	if (f)
		uapi_file_put(f);
}

static int open_one(const char *path)
{
	struct uapi_file *f = NULL;
	int ret = uapi_open(sys, &table, path, O_RDWR, &f), fd;

	if (ret)
		return ret;
	fd = install(NULL, f, O_RDWR);
	if (fd < 0)
		uapi_file_put(f);
	return fd;
}

/* Begin as a client does, for inputs that want to be deeper. */
static void usual_start(struct in *in)
{
	int32_t c = open_one("/dev/vfio/vfio"), g = open_one("/dev/vfio/1"),
		g2 = open_one("/dev/vfio/2");
	uint8_t how = in8(in);

	REQUIRE(c >= 0 && g >= 0 && g2 >= 0, "open: %d %d %d", c, g, g2);
	memcpy(arena, &c, sizeof(c));
	REQUIRE(!uapi_ioctl(fds[g - FIRST_FD], VFIO_GROUP_SET_CONTAINER, (unsigned long)arena),
		"SET_CONTAINER");
	if (how & 1)
		REQUIRE(!uapi_ioctl(fds[g2 - FIRST_FD], VFIO_GROUP_SET_CONTAINER,
				    (unsigned long)arena),
			"SET_CONTAINER");
	REQUIRE(!uapi_ioctl(fds[c - FIRST_FD], VFIO_SET_IOMMU,
			    how & 2 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU),
		"SET_IOMMU");
	for (unsigned i = 0; i < 3; i++) {
		strcpy((char *)arena, machine_device(machine, i)->addr);
		REQUIRE(uapi_ioctl(fds[(i < 2 ? g : g2) - FIRST_FD], VFIO_GROUP_GET_DEVICE_FD,
				   (unsigned long)arena) >= 0 ||
				(i == 2 && !(how & 1)),
			"GET_DEVICE_FD");
	}
}

/* The same by device files: two devices in one address space, which has memory. */
static void usual_start_iommufd(struct in *in)
{
	int32_t i = open_one("/dev/iommu");
	uint32_t *args = (uint32_t *)arena;
	struct iommu_ioas_map *map = (struct iommu_ioas_map *)arena;
	uint8_t how = in8(in);

	memset(args, 0, 64);
	args[0] = 12;
	REQUIRE(!uapi_ioctl(fds[i - FIRST_FD], IOMMU_IOAS_ALLOC, (unsigned long)args), "IOAS");
	for (unsigned n = 0; n < 3; n += 2) {
		int32_t d = open_one(n ? "/dev/vfio/devices/vfio2" : "/dev/vfio/devices/vfio0");

		memset(args, 0, 64);
		args[0] = 16;
		args[2] = (uint32_t)i;
		REQUIRE(!uapi_ioctl(fds[d - FIRST_FD], _IO(';', 118), (unsigned long)args), "BIND");
		if (!n || how & 1) {
			memset(args, 0, 64);
			args[0] = 12;
			args[2] = 1;
			REQUIRE(!uapi_ioctl(fds[d - FIRST_FD], _IO(';', 119), (unsigned long)args),
				"ATTACH");
		}
		*map = (struct iommu_ioas_map){ .size = sizeof(*map),
						.flags = 7,
						.ioas_id = 1,
						.user_va = (uintptr_t)pool,
						.length = PAGE * 4,
						.iova = n * 16 * PAGE };
		REQUIRE(!uapi_ioctl(fds[i - FIRST_FD], IOMMU_IOAS_MAP, (unsigned long)map), "MAP");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "/dev/vfio/vfio",
					     "/dev/vfio/1",
					     "/dev/vfio/2",
					     "/dev/vfio/3",
					     "/dev/vfio/4",
					     "/dev/vfio/01",
					     "/dev/vfio/",
					     "/dev/vfio/99999999999",
					     "/dev/iommu",
					     "/dev/vfio/devices/vfio0",
					     "/dev/iommu",
					     "/dev/vfio/devices/vfio1",
					     "/dev/vfio/devices/vfio2",
					     "/dev/vfio/devices/vfio3",
					     "/dev/vfio/devices/vfio4",
					     "/dev/vfio/devices/" };
	static bool done;
	struct in in = { data, size };
	long ret;

	if (!done)
		once();
	done = true;
	switch (in8(&in) & 3) {
	case 1:
		usual_start(&in);
		break;
	case 2:
		usual_start_iommufd(&in);
		break;
	}
	for (unsigned op = 0; op < MAX_OPS && !in_end(&in); op++) {
		uint8_t what = in8(&in);
		unsigned i = what >> 4;

		switch (what & 7) {
		case 0:
			open_one(paths[i]);
			break;
		case 1:
			close_fd(i);
			break;
		case 2:
			if (i & 1)
				lose_memory(&in);
			else if (fds[i])
				uapi_mmap_check(fds[i], some_size(&in), in8(&in) & 7, in8(&in),
						in64(&in));
			break;
		case 3:
		case 4:
			if (fds[i] && (what & 7) == 4 && uapi_file_device(fds[i])) {
				device_acts(&in, fds[i]);
				break;
			}
			ret = fds[i] ? region(&in, fds[i]) : 0;
			REQUIRE(ret >= -4095, "region: %ld", ret);
			break;
		default:
			ret = fds[i] ? call(&in, fds[i]) : 0;
			REQUIRE(ret >= -4095, "ioctl: %ld", ret);
		}
	}
	/* in any order: a device file keeps its group open, a group its container */
	if (in8(&in) & 1) {
		for (unsigned i = 0; i < NUM_FDS; i++)
			close_fd(i);
	}
	for (unsigned i = NUM_FDS; i--;)
		close_fd(i);
	REQUIRE(!sys->ioases.asides.root, "memory is left aside");
	REQUIRE(!atomic_load(&sys->ioases.mappings) && !atomic_load(&sys->ioases.pages_locked),
		"mappings are left");
	for (unsigned i = 0; i < machine_num_devices(machine); i++) {
		struct machine_device *d = machine_device(machine, i);
		struct vfio_group *g = vfio_system_group(sys, d->group);

		REQUIRE(!d->vdev->open_count && !g->opened && !g->container && !g->device_files,
			"%s is left open", d->addr);
	}
	return 0;
}
