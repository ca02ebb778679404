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
#include "machine/machine.h"
#include "models/testdev/testdev.h"
#include "uapi/uapi.h"
#include "vfio/aside.h"

#define PAGE	   4096ul
#define POOL_PAGES 64ul
#define NUM_FDS	   16
#define FIRST_FD   1000 /* of ours; the real ones are below */
#define MAX_OPS	   100
#define CLOSED_FD  999

static struct machine *machine;
static struct vfio_system *sys;
static struct uapi_file *fds[NUM_FDS];
static int events[4], null_fd;
/* nothing | arena: 2 pages | nothing | read only: 1 page | nothing | pool for DMA | nothing */
static uint8_t *arena, *read_only, *pool;

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
	static const char *const specs[] = { "testdev", "testdev,group=1,msix=off",
					     "edu,dma_delay=1,factorial_delay=1",
					     "testdev,pcie=off,intx=off" };
	uint8_t *p =
		mmap(NULL, (8 + POOL_PAGES) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *err;

	log_set(2, LOG_NONE);
	guard_install();
	arena = p + PAGE;
	read_only = p + 4 * PAGE;
	pool = p + 6 * PAGE;
	if (p == MAP_FAILED || mprotect(arena, 2 * PAGE, PROT_READ | PROT_WRITE) ||
	    mprotect(read_only, PAGE, PROT_READ) ||
	    mprotect(pool, POOL_PAGES * PAGE, PROT_READ | PROT_WRITE))
		abort();
	machine = machine_new();
	for (unsigned i = 0; i < 4; i++)
		REQUIRE(!machine_add(machine, specs[i], &err), "%s: %s", specs[i], err);
	sys = machine_system(machine);
	null_fd = open("/dev/null", O_RDWR);
	for (unsigned i = 0; i < 4; i++)
		events[i] = eventfd(0, i & 1 ? EFD_NONBLOCK : 0);
}

/* A pointer for @n bytes of @from: good, at the end of good memory, partly or wholly bad. */
static void *place(struct in *in, const void *from, size_t n)
{
	uint8_t how = in8(in), *p;

	if (n > 2 * PAGE)
		n = 2 * PAGE;
	switch (how & 15) {
	case 0:
		return NULL;
	case 1:
		return (void *)(0xffff800000000000ul + how * PAGE);
	case 2:
		return (void *)0x1234567890abcdeful;
	case 3:
		return read_only + (how & 0xf0);
	case 4:
		return arena - 8;
	case 5: /* cut short */
		p = arena + 2 * PAGE - (n ? how * n / 256 : 0);
		memcpy(p, from, (size_t)(arena + 2 * PAGE - p));
		return p;
	case 6: /* not aligned */
		p = arena + (how >> 4);
		break;
	case 7:
		p = arena;
		break;
	default: /* up to the last byte */
		p = arena + 2 * PAGE - n;
	}
	if (p + n > arena + 2 * PAGE)
		p = arena + 2 * PAGE - n;
	memcpy(p, from, n);
	return p;
}

static int some_fd(struct in *in)
{
	uint8_t c = in8(in);

	switch (c % 8) {
	case 0:
		return -1;
	case 1:
		return CLOSED_FD;
	case 2:
		return null_fd;
	case 3:
		return -(int)in16(in);
	case 4:
		return FIRST_FD + (c >> 3) % NUM_FDS;
	default:
		return events[(c >> 3) % 4];
	}
}

/* Where DMA goes to: the pool, over its end, or nothing. Never memory of the fuzzer's own. */
static uint64_t some_vaddr(struct in *in)
{
	uint16_t v = in16(in);

	if ((v & 0xf000) == 0xf000)
		return v & 1 ? 0 : 0xffff800000000000ul + v;
	return (uintptr_t)pool + (v % (POOL_PAGES + 1)) * PAGE + (v >> 12 == 14 ? v % 16 : 0);
}

static uint64_t some_iova(struct in *in)
{
	uint16_t v = in16(in);

	switch (v >> 13) {
	case 0:
		return 0xfee00000ul - 4 * PAGE + v * PAGE;
	case 1:
		return (1ul << 48) - (v % 8) * PAGE;
	case 2:
		return -(uint64_t)(v % 8) * PAGE;
	case 3:
		return v;
	default:
		return (v % 128) * PAGE;
	}
}

static uint64_t some_size(struct in *in)
{
	uint16_t v = in16(in);

	switch (v >> 13) {
	case 0:
		return v;
	case 1:
		return UINT64_MAX - v * PAGE + 1;
	default:
		return (v % 16) * PAGE;
	}
}

static const unsigned int cmds[] = {
	VFIO_GET_API_VERSION,
	VFIO_CHECK_EXTENSION,
	VFIO_SET_IOMMU,
	VFIO_GROUP_GET_STATUS,
	VFIO_GROUP_SET_CONTAINER,
	VFIO_GROUP_UNSET_CONTAINER,
	VFIO_GROUP_GET_DEVICE_FD,
	VFIO_DEVICE_GET_INFO,
	VFIO_DEVICE_GET_REGION_INFO,
	VFIO_DEVICE_GET_IRQ_INFO,
	VFIO_DEVICE_SET_IRQS,
	VFIO_DEVICE_RESET,
	VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
	VFIO_DEVICE_PCI_HOT_RESET,
	VFIO_DEVICE_IOEVENTFD,
	VFIO_DEVICE_FEATURE,
	VFIO_IOMMU_GET_INFO,
	VFIO_IOMMU_MAP_DMA,
	VFIO_IOMMU_UNMAP_DMA,
	VFIO_IOMMU_DIRTY_PAGES,
	VFIO_IOMMU_ENABLE,
};

union arg {
	uint8_t bytes[256];
	uint32_t argsz;
	struct vfio_irq_set irqs;
	struct vfio_iommu_type1_dma_map map;
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_iommu_type1_dirty_bitmap dirty;
	struct vfio_device_ioeventfd io;
	struct vfio_device_feature feature;
	struct vfio_pci_hot_reset hot;
	struct vfio_region_info region;
	struct vfio_irq_info irq;
	int fd;
};

/*
 * An argument that gets past the first checks; what makes it proper in some field may still be
 * taken from it.
 */
static size_t proper(struct in *in, unsigned int cmd, union arg *a)
{
	/*
	 * numbers are shared between kinds of file: both structures, one after the other, by what
	 * the stream says
	 */
	bool other = in8(in) & 1;

	if (cmd == VFIO_IOMMU_MAP_DMA && other) {
		a->map = (struct vfio_iommu_type1_dma_map){ .argsz = sizeof(a->map),
							    .flags = in8(in) & 7,
							    .vaddr = some_vaddr(in),
							    .iova = some_iova(in),
							    .size = some_size(in) };
		return sizeof(a->map);
	}
	if (cmd == VFIO_IOMMU_MAP_DMA) {
		a->hot.argsz = sizeof(a->hot) + 8;
		a->hot.flags = 0;
		a->hot.count = in8(in) % 3;
		for (unsigned i = 0; i < 2; i++)
			a->hot.group_fds[i] = some_fd(in);
		return sizeof(a->hot) + 8;
	}
	if (cmd == VFIO_IOMMU_UNMAP_DMA) {
		struct vfio_bitmap *b = (struct vfio_bitmap *)a->unmap.data;

		a->unmap =
			(struct vfio_iommu_type1_dma_unmap){ .argsz = sizeof(a->unmap) + sizeof(*b),
							     .flags = in8(in) & 7,
							     .iova = some_iova(in),
							     .size = some_size(in) };
		if ((a->unmap.flags & 2) && in8(in) & 1)
			a->unmap.iova = a->unmap.size = 0;
		b->pgsize = in8(in) & 7 ? PAGE : in64(in);
		b->size = in16(in);
		b->data = (void *)some_vaddr(in);
		return sizeof(a->unmap) + sizeof(*b);
	}
	if (cmd == VFIO_IOMMU_DIRTY_PAGES && other) {
		struct vfio_iommu_type1_dirty_bitmap_get *g =
			(struct vfio_iommu_type1_dirty_bitmap_get *)a->dirty.data;

		a->dirty.argsz = sizeof(a->dirty) + sizeof(*g);
		a->dirty.flags = 1u << in8(in) % 3;
		g->iova = some_iova(in);
		g->size = some_size(in);
		g->bitmap.pgsize = in8(in) & 7 ? PAGE : in64(in);
		g->bitmap.size = in16(in);
		g->bitmap.data = (void *)some_vaddr(in);
		return sizeof(a->dirty) + sizeof(*g);
	}
	switch (cmd) {
	case VFIO_GROUP_SET_CONTAINER:
		a->fd = in8(in) & 1 ? some_fd(in) : FIRST_FD + in8(in) % NUM_FDS;
		return sizeof(int);
	case VFIO_GROUP_GET_DEVICE_FD: {
		unsigned i = in8(in) % machine_num_devices(machine);

		return 1 +
		       (size_t)snprintf(
			       (char *)a->bytes, sizeof(a->bytes), "%s%s",
			       machine_device(machine, i)->addr,
			       in8(in) & 7 ? "" : " vf_token=00000000-0000-0000-0000-00000000000g");
	}
	case VFIO_DEVICE_SET_IRQS: {
		int32_t *data = (int32_t *)a->irqs.data;

		a->irqs = (struct vfio_irq_set){ .argsz = sizeof(a->irqs) + 128,
						 .index = in8(in) % 6,
						 .start = in8(in) % 70,
						 .count = in8(in) % 33 };
		a->irqs.flags = 1u << in8(in) % 3 | 8u << in8(in) % 3;
		/* mostly what is there: INTx, ERR and REQ are one, MSI and MSI-X some */
		if (in8(in) & 7) {
			bool one = a->irqs.index != VFIO_PCI_MSI_IRQ_INDEX &&
				   a->irqs.index != VFIO_PCI_MSIX_IRQ_INDEX;

			a->irqs.start %= one ? 1 : 8;
			a->irqs.count %= one ? 2 : 6;
		}
		if (a->irqs.flags & VFIO_IRQ_SET_DATA_EVENTFD) {
			for (unsigned i = 0; i < 32; i++)
				data[i] = events[i % 4];
			data[in8(in) % 32] = some_fd(in);
		} else {
			in_bytes(in, data, 32);
		}
		return sizeof(a->irqs) + 128;
	}
	case VFIO_DEVICE_IOEVENTFD:
		a->io = (struct vfio_device_ioeventfd){ .argsz = sizeof(a->io),
							.flags = 1u << in8(in) % 4,
							.data = in8(in),
							.fd = some_fd(in) };
		a->io.offset = (uint64_t)(in8(in) % 8) << 40 | (in16(in) & ~7u);
		return sizeof(a->io);
	case VFIO_DEVICE_FEATURE:
		a->feature.argsz = sizeof(a->feature) + 64;
		a->feature.flags = in8(in) % 16 | (in8(in) & 7u) << 16;
		return a->feature.argsz;
	case VFIO_DEVICE_GET_REGION_INFO:
		a->region.argsz = in8(in);
		a->region.index = in8(in) % 10;
		return sizeof(a->region);
	case VFIO_DEVICE_GET_IRQ_INFO:
		a->irq.argsz = sizeof(a->irq);
		a->irq.index = in8(in) % 6;
		return sizeof(a->irq);
	default:
		a->argsz = in8(in) * 2u;
		return a->argsz < 4 ? 4 : a->argsz < sizeof(*a) ? a->argsz : sizeof(*a);
	}
}

/*
 * A raw structure may hold what the core takes for a pointer or a descriptor of ours: those are
 * made harmless.
 */
static void tame(struct in *in, unsigned int cmd, union arg *a)
{
	if (cmd == VFIO_IOMMU_MAP_DMA)
		a->map.vaddr = some_vaddr(in);
	if (cmd == VFIO_IOMMU_UNMAP_DMA)
		((struct vfio_bitmap *)a->unmap.data)->data = (void *)some_vaddr(in);
	if (cmd == VFIO_IOMMU_DIRTY_PAGES)
		((struct vfio_iommu_type1_dirty_bitmap_get *)a->dirty.data)->bitmap.data =
			(void *)some_vaddr(in);
}

static long call(struct in *in, struct uapi_file *f)
{
	unsigned int cmd = in8(in), raw;
	unsigned long p;
	union arg a;
	size_t n;

	raw = cmd >> 5;
	cmd = cmds[cmd % 32 % (sizeof(cmds) / sizeof(cmds[0]))];
	memset(&a, 0, sizeof(a));
	if (cmd == VFIO_CHECK_EXTENSION || cmd == VFIO_SET_IOMMU)
		return uapi_ioctl(f, cmd, raw ? raw : in64(in));
	if (raw == 7 && in8(in) == 7) {
		/* a number that is none of ours; its argument is not looked at */
		return uapi_ioctl(f, VFIO_IOMMU_ENABLE + 20 + in8(in), 0);
	}
	if (raw >= 2) {
		n = proper(in, cmd, &a);
		/* one bit wrong */
		if (raw == 2) {
			a.bytes[in8(in) % n] ^= (uint8_t)(1u << in8(in) % 8);
			tame(in, cmd, &a);
		}
	} else {
		n = in8(in);
		in_bytes(in, &a, n);
		tame(in, cmd, &a);
	}
	p = (unsigned long)place(in, &a, n);
	return uapi_ioctl(f, cmd, p);
}

static long region(struct in *in, struct uapi_file *f)
{
	static uint8_t data[2 * PAGE];
	uint8_t how = in8(in);
	uint64_t pos = (uint64_t)(in8(in) % 11) << 40;
	size_t n;
	void *p;

	switch (how & 3) {
	case 0:
		pos += in16(in);
		n = in8(in);
		break;
	case 1: /* a register */
		n = 1ul << (how >> 6);
		pos += (uint64_t)in8(in) * 4 & ~(n - 1);
		break;
	case 2: /* one of testdev's registers in its own width */
		pos = 2ul << 40 | (in8(in) % 0x30) * 4u;
		n = how & 8 ? 8 : 4;
		break;
	default:
		pos = in8(in) & 1 ? in64(in) : pos + in32(in);
		n = in16(in) % sizeof(data);
	}
	in_bytes(in, data, n < 16 ? n : 16);
	p = place(in, data, n);
	if (how & 4)
		return uapi_pread(f, p, n, pos);
	return uapi_pwrite(f, p, n, pos);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "/dev/vfio/vfio", "/dev/vfio/1",
					     "/dev/vfio/2",    "/dev/vfio/3",
					     "/dev/vfio/4",    "/dev/vfio/01",
					     "/dev/vfio/",     "/dev/vfio/99999999999" };
	static bool done;
	struct in in = { data, size };
	long ret;

	if (!done)
		once();
	done = true;
	if (in8(&in) & 1)
		usual_start(&in);
	for (unsigned op = 0; op < MAX_OPS && !in_end(&in); op++) {
		uint8_t what = in8(&in);
		unsigned i = what >> 4;

		switch (what & 7) {
		case 0:
			open_one(paths[i % 8]);
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
