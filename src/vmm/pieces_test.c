/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/pieces_test.c: which parts of BARs the guest reaches without a trap, against a table that is
 * made byte by byte: areas of a region and what is cut out of them, at random; and BARs of several
 * devices that a guest moves over each other and over its memory, at random.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/util.h"
#include "vmm/internal.h"
#include "vmm/pieces.h"

#define K4	    PAGE_SIZE_4K
#define PAGES	    64u /* of the largest region */
#define GUEST_PAGES 256u

static uint32_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* The guest's pages that lead to memory: what bar_map() and bar_unmap() made of them. */
static struct {
	char *page[GUEST_PAGES];
	unsigned calls;
	int answer; /* of bar_map() */
	/* each piece is memory for others' DMA, too: the callbacks add it and remove it */
	bool is_shared;
} guest;

static int bar_map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		   uint64_t size, void *host, bool readonly)
{
	(void)ctx;
	(void)dev;
	(void)bar;
	(void)readonly;
	guest.calls++;
	if (guest.answer)
		return guest.answer;
	assert_true(range_within(gpa, size, GUEST_PAGES * K4) && !((gpa | size) % K4) && size);
	for (uint64_t at = 0; at < size; at += K4) {
		/* no place has two */
		assert_null(guest.page[(gpa + at) / K4]);
		guest.page[(gpa + at) / K4] = (char *)host + at;
	}
	/* as each change of memory ends */
	if (guest.is_shared)
		vm_bars_settle(dev->vm);
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	(void)ctx;
	(void)dev;
	(void)bar;
	for (uint64_t at = 0; at < size; at += K4) {
		assert_non_null(guest.page[(gpa + at) / K4]);
		guest.page[(gpa + at) / K4] = NULL;
	}
	if (guest.is_shared)
		vm_bars_settle(dev->vm);
}

static void init_vm(struct uvfio_vm *vm)
{
	memset(vm, 0, sizeof(*vm));
	memset(&guest, 0, sizeof(guest));
	vm->ops.bar_map = bar_map;
	vm->ops.bar_unmap = bar_unmap;
	pthread_mutex_init(&vm->memory.lock, NULL);
	assert_int_equal(vm_map_init(&vm->map), 0);
}

/* Make a device that has no regions but what a test says. */
static void init_dev(struct uvfio_vm_device *dev, struct uvfio_vm *vm)
{
	static const struct vfio_device_ops ops;
	static struct vfio_device vdev;

	memset(dev, 0, sizeof(*dev));
	dev->vm = vm;
	vfio_device_init(&vdev, &ops, "0000:01:00.0", NULL);
	vfio_open_init(&dev->open, &vdev);
}

static void init_bar(struct vm_bar *b, struct uvfio_vm_device *dev, uint64_t size)
{
	memset(b, 0, sizeof(*b));
	b->dev = dev;
	b->size = b->region_size = size;
	b->mappable = true;
	b->gpa = UVFIO_VM_UNMAPPED;
	CDS_INIT_LIST_HEAD(&b->windows);
}

static int memory_file(void)
{
	static int fd = -1;
	uint64_t i;

	if (fd >= 0)
		return fd;
	fd = memfd_create("region", MFD_CLOEXEC);
	assert_true(fd >= 0);
	/* a region begins at page 8 of it; each page begins with its number */
	assert_int_equal(ftruncate(fd, (PAGES + 8) * K4), 0);
	for (i = 0; i < PAGES; i++)
		assert_int_equal(pwrite(fd, &i, sizeof(i), (off_t)((i + 8) * K4)), sizeof(i));
	return fd;
}

/* ---- which pieces there are */

/* Make areas of a region of @size bytes, and note the bytes of those that are memory. */
static unsigned random_areas(struct vfio_region_area *a, uint64_t size, char *direct)
{
	unsigned n = 0;
	uint64_t at = 0;

	while (at < size && n < 12) {
		uint64_t from = at + (rnd(3) ? rnd(3) * K4 : rnd(2 * K4)), len = 1 + rnd(5 * K4);

		if (rnd(3))
			len = align_up(len, K4);
		if (!rnd(8))
			len = 0;
		if (from + len > size)
			break;
		a[n] = (struct vfio_region_area){
			.offset = from,
			.size = len,
			.kind = (enum vfio_area_kind)rnd(3),
			.fd = memory_file(),
			.fd_offset = 8 * K4 + from,
		};
		/* in whole pages */
		for (uint64_t p = align_up(from, K4); p + K4 <= from + len; p += K4)
			if (a[n].kind == VFIO_AREA_DIRECT)
				memset(direct + p, 1, K4);
		n++;
		at = from + len;
	}
	return n;
}

static bool in_piece(const struct vm_bar *b, uint64_t at)
{
	for (unsigned i = 0; i < b->num_pieces; i++)
		if (at - b->pieces[i].offset < b->pieces[i].size)
			return true;
	return false;
}

static void check_layout(const struct vm_bar *b, const char *direct)
{
	uint64_t end = 0;

	for (uint64_t at = 0; at < b->size; at++)
		if (in_piece(b, at) != direct[at])
			fail_msg("seed %u: byte 0x%lx is %s", seed, (unsigned long)at,
				 direct[at] ? "trapped" : "direct");
	for (unsigned i = 0; i < b->num_pieces; i++) {
		const struct vm_piece *p = &b->pieces[i];

		assert_true(p->offset >= end && p->size && !((p->offset | p->size) % K4));
		assert_int_equal(p->fd_offset, 8 * K4 + p->offset);
		end = p->offset + p->size;
	}
	assert_true(end <= b->size);
}

/* (tests 28, 29: pieces as computed, sparse areas, empty ones) */
static void test_layout(void **state)
{
	static char direct[PAGES * K4];
	struct vfio_region_area areas[12];
	struct uvfio_vm_device dev;
	struct uvfio_vm vm;
	struct vm_bar b;

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	for (unsigned round = 0; round < 300; round++) {
		struct vfio_region r = {
			.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				 VFIO_REGION_INFO_FLAG_MMAP,
			.size = K4 << rnd(6),
			.areas = areas,
		};

		memset(direct, 0, r.size);
		r.num_areas = random_areas(areas, r.size, direct);
		init_bar(&b, &dev, r.size);
		assert_int_equal(vm_pieces_init(&b, &r), 0);
		check_layout(&b, direct);
		for (unsigned i = rnd(4); i; i--) {
			uint64_t from = rnd((uint32_t)r.size), len = rnd((uint32_t)(r.size - from));

			if (rnd(2) && len > 100)
				len = rnd(100);
			assert_int_equal(vm_pieces_cut(&b, from, len), 0);
			if (len)
				memset(direct + align_down(from, K4), 0,
				       align_up(from + len, K4) - align_down(from, K4));
			check_layout(&b, direct);
		}
		vm_pieces_fini(&b);
	}
	vm_map_fini(&vm.map);
}

static void add_bar(struct vm_bar *b, struct uvfio_vm_device *dev, uint64_t size,
		    struct vfio_region_area *area)
{
	struct vfio_region r = {
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			 VFIO_REGION_INFO_FLAG_MMAP,
		.size = size,
		.areas = area,
		.num_areas = 1,
	};

	*area = (struct vfio_region_area){
		.size = size, .kind = VFIO_AREA_DIRECT, .fd = memory_file(), .fd_offset = 8 * K4
	};
	init_bar(b, dev, size);
	assert_int_equal(vm_pieces_init(b, &r), 0);
}

/* A BAR that cannot be read, or is not mapped at all, has no pieces. */
static void test_no_pieces(void **state)
{
	struct vfio_region_area a = { .size = K4, .kind = VFIO_AREA_DIRECT };
	struct vfio_region r = { .size = K4, .areas = &a, .num_areas = 1 };
	struct uvfio_vm_device dev;
	struct uvfio_vm vm;
	struct vm_bar b;

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	r.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	init_bar(&b, &dev, K4);
	assert_int_equal(vm_pieces_init(&b, &r), 0);
	assert_int_equal(b.num_pieces, 0);
	r.flags = VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP;
	assert_int_equal(vm_pieces_init(&b, &r), 0);
	assert_int_equal(b.num_pieces, 0);
	/* a provider's area that runs over the end is not believed */
	r.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_MMAP;
	a.offset = K4;
	assert_int_equal(vm_pieces_init(&b, &r), 0);
	assert_int_equal(b.num_pieces, 0);
	vm_pieces_fini(&b);
	vm_map_fini(&vm.map);
}

/* ---- when the guest has them */

/*
 * Guest page @p is memory of the BAR that came first to any byte of it, if that BAR has all of the
 * page, or no other wants it, and the guest has no memory there.
 */
static struct vm_bar *owner_of(struct uvfio_vm *vm, uint64_t page)
{
	struct vm_bar *b, *found = NULL;
	unsigned claims = 0;

	cds_list_for_each_entry(b, &vm->map.memory, in_map) {
		if (b->gpa / K4 > page || (b->gpa + b->size - 1) / K4 < page)
			continue;
		found = found ? found : b;
		claims++;
	}
	if (!found || found->gpa % K4)
		return NULL;
	return found->size >= K4 || claims == 1 ? found : NULL;
}

#define BARS 6u

/*
 * Check all of the guest's pages. A piece here is a whole BAR: it is up, or trapped, as a whole, so
 * that a BAR of which any page is not its own has none.
 */
static void check_guest(struct uvfio_vm *vm, const struct vm_ram *ram, bool held)
{
	for (uint64_t page = 0; page < GUEST_PAGES; page++) {
		struct vm_bar *b = owner_of(vm, page);
		uint64_t want = 0, have;
		bool up = b && !held;

		if (up) {
			uint64_t first = b->gpa / K4;
			uint64_t last = (b->gpa + align_up(b->size, K4)) / K4;

			for (uint64_t p = first; p < last; p++)
				if (owner_of(vm, p) != b ||
				    (ram->map && p * K4 < ram->gpa + ram->size &&
				     ram->gpa < (p + 1) * K4))
					up = false;
			want = page - first;
		}
		if (up != !!guest.page[page])
			fail_msg("seed %u: page 0x%lx is %s", seed, (unsigned long)page,
				 up ? "trapped" : "direct");
		if (!up)
			continue;
		memcpy(&have, guest.page[page], sizeof(have));
		assert_int_equal(have, want);
	}
}

/*
 * BARs of two devices, some smaller than a page, come and go, over each other and over memory that
 * comes and goes, and one device's are held trapped (tests 25, 26, 30).
 */
static void test_placing(void **state)
{
	static const uint64_t sizes[BARS] = { K4, 4 * K4, 16 * K4, 256, 1024, 16 };
	struct vfio_region_area areas[BARS];
	struct uvfio_vm_device dev;
	struct vm_bar bars[BARS];
	struct vm_ram ram = { 0 };
	struct uvfio_vm vm;
	bool held = false;

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	for (unsigned i = 0; i < BARS; i++)
		add_bar(&bars[i], &dev, sizes[i], &areas[i]);
	for (unsigned round = 0; round < 5000; round++) {
		unsigned i = rnd(BARS + 1);

		if (i == BARS) {
			if (ram.map)
				vm_ram_del(&ram);
			else
				vm_ram_add(&vm.map, &ram, rnd(40) * K4, (1 + rnd(8)) * K4);
		} else if (bars[i].gpa != UVFIO_VM_UNMAPPED) {
			vm_pieces_down(&bars[i]);
			vm_map_del(&bars[i]);
		} else {
			/* few places, so that they meet */
			uint64_t step = sizes[i] < K4 && !rnd(2) ? sizes[i] : K4;

			vm_map_add(&bars[i],
				   align_down(K4 + rnd(24) * step, sizes[i]) + 16 * K4 * rnd(2));
		}
		if (!rnd(6))
			dev.bars.held_trapped = held = !held;
		vm_bars_settle(&vm);
		check_guest(&vm, &ram, held);
	}
	for (unsigned i = 0; i < BARS; i++) {
		if (bars[i].gpa != UVFIO_VM_UNMAPPED) {
			vm_pieces_down(&bars[i]);
			vm_map_del(&bars[i]);
		}
		vm_pieces_fini(&bars[i]);
	}
	for (unsigned i = 0; i < GUEST_PAGES; i++)
		assert_null(guest.page[i]);
	vm_map_fini(&vm.map);
}

/* Pieces go while the callback of one after the other changes memory: none of them comes again. */
static void test_shared(void **state)
{
	struct vfio_region_area area;
	struct uvfio_vm_device dev;
	struct uvfio_vm vm;
	struct vm_bar b;

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	guest.is_shared = true;
	add_bar(&b, &dev, 16 * K4, &area);
	/* three, around two tables */
	assert_int_equal(vm_pieces_cut(&b, 4 * K4, K4), 0);
	assert_int_equal(vm_pieces_cut(&b, 8 * K4, K4), 0);
	for (unsigned i = 0; i < 3; i++) {
		vm_map_add(&b, 16 * K4);
		vm_bars_settle(&vm);
		assert_non_null(guest.page[16]);
		assert_non_null(guest.page[31]);
		vm_pieces_down(&b);
		vm_map_del(&b);
		vm_bars_settle(&vm);
		for (unsigned k = 0; k < GUEST_PAGES; k++)
			assert_null(guest.page[k]);
	}
	vm_pieces_fini(&b);
	vm_map_fini(&vm.map);
}

/* A child of the monitor's has nothing of the device: it would keep it open. */
static void test_forked(void **state)
{
	struct vfio_region_area area;
	struct uvfio_vm_device dev;
	struct uvfio_vm vm;
	struct vm_bar b;
	uint8_t there;
	int status;
	pid_t pid;

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	add_bar(&b, &dev, K4, &area);
	vm_map_add(&b, K4);
	vm_bars_settle(&vm);
	assert_int_equal(mincore(b.pieces[0].map.at, K4, &there), 0);
	pid = fork();
	if (!pid)
		_exit(!mincore(b.pieces[0].map.at, K4, &there) || errno != ENOMEM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	vm_pieces_down(&b);
	vm_map_del(&b);
	vm_pieces_fini(&b);
	vm_map_fini(&vm.map);
}

/* A monitor that refuses a piece is not asked again until the BAR is elsewhere. */
static void test_refused(void **state)
{
	struct vfio_region_area area;
	struct uvfio_vm_device dev;
	struct uvfio_vm vm;
	struct vm_bar b;

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	add_bar(&b, &dev, K4, &area);
	guest.answer = -EEXIST;
	vm_map_add(&b, K4);
	vm_bars_settle(&vm);
	vm_bars_settle(&vm);
	assert_int_equal(guest.calls, 1);
	assert_true(b.pieces[0].refused && !b.pieces[0].up);
	vm_map_del(&b);
	vm_pieces_fini(&b);
	vm_map_fini(&vm.map);
}

/* A region that cannot be mapped is trapped, and tried once (test 31). */
static void test_unmappable(void **state)
{
	struct vfio_region_area area;
	struct uvfio_vm_device dev;
	struct uvfio_vm vm;
	struct vm_bar b;

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	add_bar(&b, &dev, K4, &area);
	b.pieces[0].fd = -1;
	vm_map_add(&b, K4);
	vm_bars_settle(&vm);
	assert_true(b.pieces[0].failed && !b.pieces[0].up && !b.pieces[0].map.at);
	assert_int_equal(guest.calls, 0);
	b.pieces[0].fd = memory_file();
	vm_bars_settle(&vm);
	assert_int_equal(guest.calls, 0);
	vm_map_del(&b);
	vm_pieces_fini(&b);
	vm_map_fini(&vm.map);
}

/* Large pieces lie in the address space as in their BAR, so that the host's pages can be large. */
static void test_alignment(void **state)
{
	struct vfio_region_area area;
	struct uvfio_vm_device dev;
	struct uvfio_vm vm;
	struct vm_bar b;
	int fd = memfd_create("large", MFD_CLOEXEC);

	(void)state;
	init_vm(&vm);
	init_dev(&dev, &vm);
	assert_int_equal(ftruncate(fd, 4 * HUGE_2M), 0);
	add_bar(&b, &dev, 4 * HUGE_2M, &area);
	b.pieces[0].fd = fd;
	b.pieces[0].fd_offset = 0;
	assert_int_equal(vm_pieces_cut(&b, 0, K4), 0);
	guest.answer = -ENOSPC;
	vm_map_add(&b, 4 * HUGE_2M);
	vm_bars_settle(&vm);
	assert_int_equal(b.num_pieces, 1);
	/* the largest power of two in 8 MiB less a page is 4 MiB */
	assert_int_equal((uintptr_t)b.pieces[0].map.at % (2 * HUGE_2M), K4);
	vm_map_del(&b);
	vm_pieces_fini(&b);
	close(fd);
	vm_map_fini(&vm.map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),	   cmocka_unit_test(test_no_pieces),
		cmocka_unit_test(test_placing),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unmappable), cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_shared),	   cmocka_unit_test(test_forked),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
