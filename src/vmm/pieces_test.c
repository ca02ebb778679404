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

/* The guest, its device, and a BAR of that, with the area of its region that is memory. */
static struct uvfio_vm vm;
static struct uvfio_vm_device dev;
static struct vm_bar b;
static struct vfio_region_area area;

/* Make a guest with a device that has no regions but what a test says. */
static int setup(void **state)
{
	static const struct vfio_device_ops ops;
	static struct vfio_device vdev;

	memset(&guest, 0, sizeof(guest));
	memset(&vm, 0, sizeof(vm));
	vm.ops.bar_map = bar_map;
	vm.ops.bar_unmap = bar_unmap;
	pthread_mutex_init(&vm.memory.lock, NULL);
	memset(&dev, 0, sizeof(dev));
	dev.vm = &vm;
	vfio_device_init(&vdev, &ops, "0000:01:00.0", NULL);
	vfio_open_init(&dev.open, &vdev);
	return vm_map_init(&vm.map);
}

static int teardown(void **state)
{
	vm_map_fini(&vm.map);
	return 0;
}

static void init_bar(struct vm_bar *bar, uint64_t size)
{
	memset(bar, 0, sizeof(*bar));
	bar->dev = &dev;
	bar->size = bar->region_size = size;
	bar->mappable = true;
	bar->gpa = UVFIO_VM_UNMAPPED;
	CDS_INIT_LIST_HEAD(&bar->windows);
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

static bool in_piece(uint64_t at)
{
	for (unsigned i = 0; i < b.num_pieces; i++)
		if (at - b.pieces[i].offset < b.pieces[i].size)
			return true;
	return false;
}

static void check_layout(const char *direct)
{
	uint64_t end = 0;

	for (uint64_t at = 0; at < b.size; at++)
		if (in_piece(at) != direct[at])
			fail_msg("seed %u: byte 0x%lx is %s", seed, (unsigned long)at,
				 direct[at] ? "trapped" : "direct");
	for (unsigned i = 0; i < b.num_pieces; i++) {
		const struct vm_piece *p = &b.pieces[i];

		assert_true(p->offset >= end && p->size && !((p->offset | p->size) % K4));
		assert_int_equal(p->fd_offset, 8 * K4 + p->offset);
		end = p->offset + p->size;
	}
	assert_true(end <= b.size);
}

/* (tests 28, 29: pieces as computed, sparse areas, empty ones) */
static void test_layout(void **state)
{
	static char direct[PAGES * K4];
	struct vfio_region_area areas[12];

	for (unsigned round = 0; round < 300; round++) {
		struct vfio_region r = {
			.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				 VFIO_REGION_INFO_FLAG_MMAP,
			.size = K4 << rnd(6),
			.areas = areas,
		};

		memset(direct, 0, r.size);
		r.num_areas = random_areas(areas, r.size, direct);
		init_bar(&b, r.size);
		assert_int_equal(vm_pieces_init(&b, &r), 0);
		check_layout(direct);
		for (unsigned i = rnd(4); i; i--) {
			uint64_t from = rnd((uint32_t)r.size), len = rnd((uint32_t)(r.size - from));

			if (rnd(2) && len > 100)
				len = rnd(100);
			assert_int_equal(vm_pieces_cut(&b, from, len), 0);
			if (len)
				memset(direct + align_down(from, K4), 0,
				       align_up(from + len, K4) - align_down(from, K4));
			check_layout(direct);
		}
		vm_pieces_fini(&b);
	}
}

/* Make a BAR whose whole region is memory, @a. */
static void add_bar(struct vm_bar *bar, uint64_t size, struct vfio_region_area *a)
{
	struct vfio_region r = {
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			 VFIO_REGION_INFO_FLAG_MMAP,
		.size = size,
		.areas = a,
		.num_areas = 1,
	};

	*a = (struct vfio_region_area){
		.size = size, .kind = VFIO_AREA_DIRECT, .fd = memory_file(), .fd_offset = 8 * K4
	};
	init_bar(bar, size);
	assert_int_equal(vm_pieces_init(bar, &r), 0);
}

/* A BAR that cannot be read, or is not mapped at all, has no pieces. */
static void test_no_pieces(void **state)
{
	struct vfio_region_area a = { .size = K4, .kind = VFIO_AREA_DIRECT };
	struct vfio_region r = { .size = K4, .areas = &a, .num_areas = 1 };

	r.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	init_bar(&b, K4);
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
}

/* ---- when the guest has them */

/* The guest places the BAR at @gpa. */
static void place(uint64_t gpa)
{
	vm_map_add(&b, gpa);
	vm_bars_settle(&vm);
}

static void take_away(struct vm_bar *bar)
{
	vm_pieces_down(bar);
	vm_map_del(bar);
}

/*
 * Guest page @p is memory of the BAR that came first to any byte of it, if that BAR has all of the
 * page, or no other wants it, and the guest has no memory there.
 */
static struct vm_bar *owner_of(uint64_t page)
{
	struct vm_bar *bar, *found = NULL;
	unsigned claims = 0;

	cds_list_for_each_entry(bar, &vm.map.memory, in_map) {
		if (bar->gpa / K4 > page || (bar->gpa + bar->size - 1) / K4 < page)
			continue;
		found = found ? found : bar;
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
static void check_guest(const struct vm_ram *ram, bool held)
{
	for (uint64_t page = 0; page < GUEST_PAGES; page++) {
		struct vm_bar *owner = owner_of(page);
		uint64_t want = 0, have;
		bool up = owner && !held;

		if (up) {
			uint64_t first = owner->gpa / K4;
			uint64_t last = (owner->gpa + align_up(owner->size, K4)) / K4;

			for (uint64_t p = first; p < last; p++)
				if (owner_of(p) != owner ||
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
	struct vm_bar bars[BARS];
	struct vm_ram ram = { 0 };
	bool held = false;

	for (unsigned i = 0; i < BARS; i++)
		add_bar(&bars[i], sizes[i], &areas[i]);
	for (unsigned round = 0; round < 5000; round++) {
		unsigned i = rnd(BARS + 1);

		if (i == BARS) {
			if (ram.map)
				vm_ram_del(&ram);
			else
				vm_ram_add(&vm.map, &ram, rnd(40) * K4, (1 + rnd(8)) * K4);
		} else if (bars[i].gpa != UVFIO_VM_UNMAPPED) {
			take_away(&bars[i]);
		} else {
			/* few places, so that they meet */
			uint64_t step = sizes[i] < K4 && !rnd(2) ? sizes[i] : K4;

			vm_map_add(&bars[i],
				   align_down(K4 + rnd(24) * step, sizes[i]) + 16 * K4 * rnd(2));
		}
		if (!rnd(6))
			dev.bars.held_trapped = held = !held;
		vm_bars_settle(&vm);
		check_guest(&ram, held);
	}
	for (unsigned i = 0; i < BARS; i++) {
		if (bars[i].gpa != UVFIO_VM_UNMAPPED)
			take_away(&bars[i]);
		vm_pieces_fini(&bars[i]);
	}
	for (unsigned i = 0; i < GUEST_PAGES; i++)
		assert_null(guest.page[i]);
}

/* Pieces go while the callback of one after the other changes memory: none of them comes again. */
static void test_shared(void **state)
{
	guest.is_shared = true;
	add_bar(&b, 16 * K4, &area);
	/* three, around two tables */
	assert_int_equal(vm_pieces_cut(&b, 4 * K4, K4), 0);
	assert_int_equal(vm_pieces_cut(&b, 8 * K4, K4), 0);
	for (unsigned i = 0; i < 3; i++) {
		place(16 * K4);
		assert_non_null(guest.page[16]);
		assert_non_null(guest.page[31]);
		take_away(&b);
		vm_bars_settle(&vm);
		for (unsigned k = 0; k < GUEST_PAGES; k++)
			assert_null(guest.page[k]);
	}
	vm_pieces_fini(&b);
}

/* A child of the monitor's has nothing of the device: it would keep it open. */
static void test_forked(void **state)
{
	uint8_t there;
	int status;
	pid_t pid;

	add_bar(&b, K4, &area);
	place(K4);
	assert_int_equal(mincore(b.pieces[0].map.at, K4, &there), 0);
	pid = fork();
	if (!pid)
		_exit(!mincore(b.pieces[0].map.at, K4, &there) || errno != ENOMEM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	take_away(&b);
	vm_pieces_fini(&b);
}

/* A monitor that refuses a piece is not asked again until the BAR is elsewhere. */
static void test_refused(void **state)
{
	add_bar(&b, K4, &area);
	guest.answer = -EEXIST;
	place(K4);
	vm_bars_settle(&vm);
	assert_int_equal(guest.calls, 1);
	assert_true(b.pieces[0].refused && !b.pieces[0].up);
	vm_map_del(&b);
	vm_pieces_fini(&b);
}

/* A region that cannot be mapped is trapped, and tried once (test 31). */
static void test_unmappable(void **state)
{
	add_bar(&b, K4, &area);
	b.pieces[0].fd = -1;
	place(K4);
	assert_true(b.pieces[0].failed && !b.pieces[0].up && !b.pieces[0].map.at);
	assert_int_equal(guest.calls, 0);
	b.pieces[0].fd = memory_file();
	vm_bars_settle(&vm);
	assert_int_equal(guest.calls, 0);
	vm_map_del(&b);
	vm_pieces_fini(&b);
}

/* Large pieces lie in the address space as in their BAR, so that the host's pages can be large. */
static void test_alignment(void **state)
{
	int fd = memfd_create("large", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 4 * HUGE_2M), 0);
	add_bar(&b, 4 * HUGE_2M, &area);
	b.pieces[0].fd = fd;
	b.pieces[0].fd_offset = 0;
	assert_int_equal(vm_pieces_cut(&b, 0, K4), 0);
	guest.answer = -ENOSPC;
	place(4 * HUGE_2M);
	assert_int_equal(b.num_pieces, 1);
	/* the largest power of two in 8 MiB less a page is 4 MiB */
	assert_int_equal((uintptr_t)b.pieces[0].map.at % (2 * HUGE_2M), K4);
	vm_map_del(&b);
	vm_pieces_fini(&b);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_layout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_placing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unmappable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alignment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forked, setup, teardown),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
