/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/uapi.c: the kernel ABI. Streams of opens, closes, ioctls, reads and writes against machines
 * of all kinds of devices (machines.h), by each kernel's rules, with a table of descriptors that is
 * an array. Arguments are what a hostile or broken program gives: structures that end at the last
 * byte before nothing, pointers to nothing, to memory that can only be read, any argsz, any flags,
 * descriptors that are closed or something else. The stream can also ask for a proper argument, or
 * nothing deep would be reached. The target's own memory must survive: no pointer but into the
 * arena and to where there is nothing is ever given.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "files.h"
#include "fuzz.h"
#include "hostile.h"
#include "uapi_args.h"
#include "vfio/aside.h"
#include "vfio/dmabuf.h"

#define MAX_OPS 100

static struct vfio_system *sys;

static struct machine *with_iommu, *without_iommu;

static void once(void)
{
	log_set(2, LOG_NONE);
	guard_install();
	hostile_setup();
	with_iommu = machine_of_all();
	without_iommu = machine_without_iommu();
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

/* Make a call that has to work, with @size bytes of @arg; what it says is in the arena. */
static int32_t must(const char *what, int32_t fd, unsigned int cmd, const void *arg, size_t size)
{
	long ret;

	memset(arena, 0, 256);
	memcpy(arena, arg, size);
	ret = uapi_ioctl(fds[fd - FIRST_FD], cmd, (unsigned long)arena);
	REQUIRE(ret >= 0, "%s: %ld", what, ret);
	return (int32_t)ret;
}

static int32_t must_open_group(unsigned i)
{
	char path[64];
	int32_t fd;

	snprintf(path, sizeof(path), "/dev/vfio/%u", device_at(i)->group);
	fd = open_one(path);
	REQUIRE(fd >= 0, "%s: %d", path, fd);
	return fd;
}

static void must_set_feature(int32_t dev, uint32_t nr, const void *data, size_t size)
{
	uint8_t buf[64];
	struct vfio_device_feature *ft = (struct vfio_device_feature *)buf;

	ft->argsz = sizeof(buf);
	ft->flags = VFIO_DEVICE_FEATURE_SET | nr;
	memcpy(ft->data, data, size);
	must("SET a feature", dev, VFIO_DEVICE_FEATURE, buf, sizeof(*ft) + size);
}

/* Begin as a client does, for inputs that want to be deeper. */
static void usual_start(struct in *in)
{
	int32_t c = open_one("/dev/vfio/vfio"), g = must_open_group(0), g2 = must_open_group(2),
		dev = -1;
	uint8_t how = in8(in);
	uint32_t state[2] = { how >> 2 & 7 };

	must("SET_CONTAINER", g, VFIO_GROUP_SET_CONTAINER, &c, sizeof(c));
	if (how & 1)
		must("SET_CONTAINER", g2, VFIO_GROUP_SET_CONTAINER, &c, sizeof(c));
	REQUIRE(!uapi_ioctl(fds[c - FIRST_FD], VFIO_SET_IOMMU,
			    how & 2 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU),
		"SET_IOMMU");
	for (unsigned i = 0; i < (how & 1 ? 3 : 2); i++) {
		int32_t d = must("GET_DEVICE_FD", i < 2 ? g : g2, VFIO_GROUP_GET_DEVICE_FD,
				 device_at(i)->addr, sizeof(device_at(i)->addr));

		dev = i ? dev : d;
	}
	/* with a stream: STOP_COPY or RESUMING */
	if (state[0] == VFIO_DEVICE_STATE_STOP_COPY || state[0] == VFIO_DEVICE_STATE_RESUMING)
		must_set_feature(dev, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, state, sizeof(state));
}

/* A PF with a token, and a VF that comes by it. */
static void usual_start_vf(struct in *in)
{
	unsigned pf = machine_num_devices(machine) - 1;
	int32_t c = open_one("/dev/vfio/vfio"),
		g[2] = { must_open_group(pf), must_open_group(pf + 1) }, dev;
	char name[96];

	for (unsigned i = 0; i < 2; i++)
		must("SET_CONTAINER", g[i], VFIO_GROUP_SET_CONTAINER, &c, sizeof(c));
	REQUIRE(!uapi_ioctl(fds[c - FIRST_FD], VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "SET_IOMMU");
	dev = must("the PF", g[0], VFIO_GROUP_GET_DEVICE_FD, device_at(pf)->addr,
		   sizeof(device_at(pf)->addr));
	must_set_feature(dev, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, some_token, sizeof(some_token));
	snprintf(name, sizeof(name), "%s vf_token=" TOKEN_TEXT, device_at(pf + 1)->addr);
	must("the VF", g[1], VFIO_GROUP_GET_DEVICE_FD, name, sizeof(name));
}

/* A dma-buf of testdev's memory, and in the IOAS, where the other device finds it. */
static void start_dmabuf(int32_t iommufd, int32_t dev)
{
	struct {
		struct vfio_device_feature ft;
		struct vfio_device_feature_dma_buf req;
		struct vfio_dma_range range;
	} arg = {
		.ft = { .argsz = sizeof(arg),
			.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF },
		.req = { .region_index = VFIO_PCI_BAR0_REGION_INDEX,
			 .open_flags = O_RDWR | O_CLOEXEC,
			 .nr_ranges = 1 },
		.range = { .length = 2 * PAGE },
	};
	int32_t fd = must("DMA_BUF", dev, VFIO_DEVICE_FEATURE, &arg, sizeof(arg));
	struct iommu_ioas_map_file map = { .size = sizeof(map),
					   .flags = 7,
					   .ioas_id = 1,
					   .fd = fd,
					   .length = 2 * PAGE,
					   .iova = 8 * PAGE };

	/* whether it can be in one is the kernel's business, and the fuzzer's only that it ends */
	memcpy(arena, &map, sizeof(map));
	uapi_ioctl(fds[iommufd - FIRST_FD], IOMMU_IOAS_MAP_FILE, (unsigned long)arena);
}

/*
 * The same by device files: two devices in one address space, which has memory; maybe by a page
 * table that notes what is written, or that has a queue for page requests; and a dma-buf of a BAR.
 */
static void usual_start_iommufd(struct in *in)
{
	int32_t i = open_one("/dev/iommu");
	uint32_t words[16] = { 12 }, pt;
	uint8_t how = in8(in);

	must("IOAS", i, IOMMU_IOAS_ALLOC, words, sizeof(words));
	for (unsigned n = 0; n < 3; n += 2) {
		int32_t d = open_one(n ? "/dev/vfio/devices/vfio2" : "/dev/vfio/devices/vfio0");
		struct vfio_device_bind_iommufd bind = { .argsz = 16, .iommufd = i };
		struct vfio_device_attach_iommufd_pt attach = { .argsz = 12, .pt_id = 1 };
		struct iommu_hwpt_alloc hwpt = { .size = sizeof(hwpt), .pt_id = 1 };
		struct iommu_ioas_map map = { .size = sizeof(map),
					      .flags = 7,
					      .ioas_id = 1,
					      .user_va = (uintptr_t)pool,
					      .length = PAGE * 4,
					      .iova = n * 16 * PAGE };

		must("BIND", d, VFIO_DEVICE_BIND_IOMMUFD, &bind, sizeof(bind));
		memcpy(&bind, arena, sizeof(bind));
		if (how & 2) {
			words[0] = 16;
			if (how & 4 && !n) {
				must("FAULT_QUEUE_ALLOC", i, IOMMU_FAULT_QUEUE_ALLOC, words, 16);
				memcpy(&hwpt.fault_id, arena + 8, 4);
				hwpt.flags = IOMMU_HWPT_FAULT_ID_VALID;
			} else {
				hwpt.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
			}
			hwpt.dev_id = bind.out_devid;
			must("HWPT", i, IOMMU_HWPT_ALLOC, &hwpt, sizeof(hwpt));
			memcpy(&pt, arena + offsetof(struct iommu_hwpt_alloc, out_hwpt_id), 4);
			attach.pt_id = pt;
		}
		if (!n || how & 1)
			must("ATTACH", d, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, sizeof(attach));
		must("MAP", i, IOMMU_IOAS_MAP, &map, sizeof(map));
		if (how & 8 && !n)
			start_dmabuf(i, d);
	}
}

/* Take what a stream says to another one, which need not be of the same kind; one byte is wrong. */
static void stream_copy(struct in *in)
{
	struct uapi_file *from = fds[in8(in) % NUM_FDS], *to = fds[in8(in) % NUM_FDS];
	unsigned wrong = in16(in);
	ssize_t n = 1;

	if (!from || !to || !(uapi_file_can(from) & uapi_file_can(to) & UAPI_IS_STREAM))
		return;
	for (unsigned i = 0; i < 64 && n > 0; i++) {
		n = uapi_read(from, pool, 4 * PAGE);
		REQUIRE(n >= -4095 && n <= (ssize_t)(4 * PAGE), "read: %zd", n);
		if (wrong & 1)
			pool[wrong % (4 * PAGE)] ^= 1;
		if (n > 0)
			n = uapi_write(to, pool, (size_t)n);
		REQUIRE(n >= -4095, "write: %zd", n);
	}
}

/* The begin of an input: a machine, a kernel, and maybe a good start. */
static void begin(struct in *in)
{
	uint8_t how = in8(in);

	/* the names are oldest first, and half of the inputs have the newest */
	vfio_kernel_choose(vfio_kernel_names[how >> 3 & 3 ? how >> 4 & 1 ? 1 : 0 : 2]);
	no_iommu = (how >> 5) == 7;
	machine = no_iommu ? without_iommu : with_iommu;
	sys = machine_system(machine);
	if (no_iommu)
		return;
	switch (how & 3) {
	case 1:
		usual_start(in);
		break;
	case 2:
		if (vfio_kernel_has(VFIO_KERNEL_IOMMUFD))
			usual_start_iommufd(in);
		break;
	case 3:
		usual_start_vf(in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool done;
	struct in in = { data, size };
	long ret;

	if (!done)
		once();
	done = true;
	begin(&in);
	for (unsigned op = 0; op < MAX_OPS && !in_end(&in); op++) {
		uint8_t what = in8(&in);
		unsigned i = what >> 4;

		switch (what & 7) {
		case 0:
			open_one(nodes[in8(&in) % NUM_NODES]);
			break;
		case 1:
			close_fd(i);
			break;
		case 2:
			if (i & 1)
				lose_memory(&in);
			else if (i & 2)
				stream_copy(&in);
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
	require_all_closed();
	return 0;
}
