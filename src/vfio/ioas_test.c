/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/ioas_test.c: an address space by itself: errors and their order, groups that are attached,
 * listeners, memory that several mappings share, and random calls against an array, which a
 * listener must see as well.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/test_signals.h"
#include "fault/test_fault_table.h"
#include "iommu/device.h"
#include "vfio/internal.h"

#define R     IOMMU_READ
#define W     IOMMU_WRITE
#define RW    (R | W)
#define K     4096ull
#define TOP   (1ull << 48)
#define PAGES 64u

static struct vfio_system *sys;
static struct vfio_ioas *io, *io2;
static char *mem;
#define MEM ((uintptr_t)mem)

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	sys = vfio_system_new(NULL, NULL);
	io = vfio_ioas_new(sys, false);
	io2 = vfio_ioas_new(sys, false);
	mem = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return guard_install() || mem == MAP_FAILED;
}

static int teardown(void **state)
{
	vfio_ioas_put(io);
	vfio_ioas_put(io2);
	assert_int_equal(atomic_load(&sys->ioases.mappings), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	assert_true(cds_list_empty(&sys->ioases.spaces));
	vfio_system_free(sys);
	munmap(mem, PAGES * K);
	return 0;
}

static void *translate(struct vfio_ioas *in, uint64_t iova, unsigned prot)
{
	enum iommu_fault_reason why;
	uint64_t contig;
	void *p;

	rcu_read_begin();
	p = iommu_domain_translate(vfio_ioas_domain(in), iova, prot, &contig, &why);
	rcu_read_end();
	return p;
}

static int unmap(struct vfio_ioas *in, uint64_t iova, uint64_t size, uint64_t expect)
{
	uint64_t done = 12345;
	int ret = vfio_ioas_unmap(in, iova, size, &done);

	assert_int_equal(done, expect);
	return ret;
}

/* What a user wants to go wrong (fault/fault.h). */
static void injected(void **state)
{
	faults_begin(1);
	faults_add("map,after=1,times=1");
	/* what is wrong anyway is no such access */
	assert_int_equal(vfio_ioas_map(io, 0, MEM, 0, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, 0, MEM, K, RW), 0);
	assert_int_equal(vfio_ioas_map(io, K, MEM, K, RW), -ENOMEM);
	assert_null(translate(io, K, R));
	assert_int_equal(vfio_ioas_map(io, K, MEM, K, RW), 0);
	faults_add("map=ENOSPC,addr=0x5000");
	assert_int_equal(vfio_ioas_map(io, 4 * K, MEM, K, RW), 0);
	assert_int_equal(vfio_ioas_map(io, 5 * K, MEM, K, RW), -ENOSPC);
	faults_end();
	assert_int_equal(unmap(io, 0, 8 * K, 3 * K), 0);
}

static void errors(void **state)
{
	assert_int_equal(vfio_ioas_map(io, 0, MEM, 0, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, -K, MEM, 2 * K, 0), -EOVERFLOW);
	assert_int_equal(vfio_ioas_map(io, 1, -K, 2 * K, RW), -EOVERFLOW);
	assert_int_equal(vfio_ioas_map(io, 0, MEM, K, 0), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, 1, MEM, K, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, 0, MEM + 1, K, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, 0, MEM, K + 1, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, TOP - K, MEM, K, RW), 0);
	/* an overlap before the range, the range before the memory */
	assert_int_equal(vfio_ioas_map(io, TOP - K, 0, 2 * K, RW), -EEXIST);
	assert_int_equal(vfio_ioas_map(io, TOP, 0, K, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, 0xfee00000, 0, K, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(io, 0, 0, K, RW), -EFAULT);
	assert_int_equal(vfio_ioas_map(io, 4 * K, MEM, 4 * K, R), 0);
	assert_null(translate(io, 4 * K, W));

	assert_int_equal(unmap(io, 0, 0, 0), -EINVAL);
	assert_int_equal(unmap(io, 1, K, 0), -EINVAL);
	assert_int_equal(unmap(io, 0, 1, 0), -EINVAL);
	assert_int_equal(unmap(io, -K, 2 * K, 0), -EOVERFLOW);
	assert_int_equal(unmap(io, 0, 5 * K, 0), -EINVAL);
	assert_int_equal(unmap(io, 5 * K, K, 0), -EINVAL);
	assert_int_equal(unmap(io, 7 * K, 2 * K, 0), -EINVAL);
	assert_int_equal(unmap(io, 0, K, 0), 0);
	assert_int_equal(unmap(io, 0, TOP, 5 * K), 0);
}

static void references(void **state)
{
	struct vfio_ioas *in = vfio_ioas_new(sys, false);

	assert_int_equal(vfio_ioas_map(in, 0, MEM, 2 * K, RW), 0);
	vfio_ioas_get(in);
	vfio_ioas_put(in);
	assert_ptr_equal(translate(in, K, RW), mem + K);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 2);
	vfio_ioas_put(in);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	vfio_ioas_put(NULL);
}

static void attachments(void **state)
{
	struct iommu_group *g[2] = { iommu_group_new(1), iommu_group_new(2) };
	struct iommu_device dev[3];
	char c = 7;

	for (unsigned i = 0; i < 3; i++)
		iommu_device_init(&dev[i], "dev");
	assert_int_equal(iommu_group_add(g[0], &dev[0]), 0);
	assert_int_equal(iommu_group_add(g[1], &dev[1]), 0);
	assert_int_equal(vfio_ioas_map(io, 0, MEM, K, RW), 0);
	vfio_ioas_attach(io, g[0]);
	assert_int_equal(iommu_dma_write(&dev[0], 5, &c, 1), 0);
	assert_int_equal(mem[5], 7);
	assert_int_equal(iommu_dma_read(&dev[1], 5, &c, 1), -EFAULT);
	vfio_ioas_attach(io, g[1]);
	assert_int_equal(iommu_dma_read(&dev[1], 5, &c, 1), 0);
	assert_int_equal(iommu_group_add(g[1], &dev[2]), 0);
	assert_int_equal(iommu_dma_read(&dev[2], 5, &c, 1), 0);
	vfio_ioas_detach(io, g[0]);
	assert_int_equal(iommu_dma_read(&dev[0], 5, &c, 1), -EFAULT);
	assert_int_equal(iommu_dma_read(&dev[2], 5, &c, 1), 0);
	vfio_ioas_attach(io2, g[0]);
	assert_int_equal(iommu_dma_read(&dev[0], 5, &c, 1), -EFAULT);
	vfio_ioas_detach(io2, g[0]);
	vfio_ioas_detach(io, g[1]);
	assert_true(cds_list_empty(&io->groups) && cds_list_empty(&io2->groups));
	for (unsigned i = 0; i < 3; i++) {
		iommu_group_remove(g[i > 0], &dev[i]);
		iommu_device_fini(&dev[i]);
	}
	iommu_group_free(g[0]);
	iommu_group_free(g[1]);
}

/* ---- listeners ---- */

struct ear {
	struct vfio_ioas_listener l;
	struct vfio_ioas *of;
	struct vfio_ioas_range told[PAGES];
	unsigned n, maps, unmaps;
	unsigned refuse; /* the map, counted from 1, that is */
	struct ear *before;
};

static int ear_map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	struct ear *e = container_of_type(l, struct ear, l);

	assert_int_not_equal(pthread_mutex_trylock(&e->of->lock), 0);
	e->maps++;
	if (e->refuse && !--e->refuse)
		return -EPROTO;
	if (e->before) /* in the order in which they came */
		assert_true(e->before->n > e->n);
	e->told[e->n++] = *r;
	return 0;
}

static void ear_unmap(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	struct ear *e = container_of_type(l, struct ear, l);

	e->unmaps++;
	if (e->before) /* and back */
		assert_true(e->before->n >= e->n);
	for (unsigned i = 0; i < e->n; i++) {
		if (e->told[i].iova != r->iova)
			continue;
		assert_int_equal(e->told[i].size, r->size);
		assert_int_equal(e->told[i].prot, r->prot);
		assert_int_equal(e->told[i].vaddr, r->vaddr);
		/* the memory is there as long as somebody may have it by this listener */
		if (!r->device)
			assert_ptr_equal(translate(e->of, r->iova, r->prot), (void *)r->vaddr);
		e->told[i] = e->told[--e->n];
		return;
	}
	fail_msg("unmap of what was not mapped: 0x%lx", r->iova);
}

static void ear_open(struct ear *e, struct vfio_ioas *of)
{
	*e = (struct ear){ .l = { .map = ear_map, .unmap = ear_unmap }, .of = of };
}

static void listeners(void **state)
{
	static struct ear a, b;

	ear_open(&a, io);
	ear_open(&b, io);
	assert_int_equal(vfio_ioas_map(io, 4 * K, MEM, 2 * K, RW), 0);
	assert_int_equal(vfio_ioas_map(io, 8 * K, MEM + 8 * K, K, R), 0);
	assert_int_equal(vfio_ioas_map(io2, 12 * K, MEM, K, R), 0);
	/* what is there, in order */
	assert_int_equal(vfio_ioas_listen(io, &a.l), 0);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.told[0].iova, 4 * K);
	assert_int_equal(a.told[0].size, 2 * K);
	assert_int_equal(a.told[0].prot, RW);
	assert_int_equal(a.told[0].vaddr, MEM);
	assert_int_equal(a.told[0].fd, -1);
	assert_int_equal(a.told[1].prot, R);
	/* one that does not take it is told nothing more */
	b.refuse = 2;
	assert_int_equal(vfio_ioas_listen(io, &b.l), -EPROTO);
	assert_int_equal(b.n, 0);
	assert_int_equal(b.unmaps, 1);
	assert_int_equal(vfio_ioas_map(io, 0, MEM, K, RW), 0);
	assert_int_equal(b.maps, 2);
	assert_int_equal(a.n, 3);
	assert_int_equal(vfio_ioas_listen(io, &b.l), 0);
	b.before = &a;
	assert_int_equal(b.n, 3);
	/* errors before it is mapped are not told */
	assert_int_equal(vfio_ioas_map(io, 0, MEM, K, RW), -EEXIST);
	assert_int_equal(vfio_ioas_map(io, K, 0, K, RW), -EFAULT);
	assert_int_equal(a.maps, 3);
	assert_int_equal(vfio_ioas_map(io, K, MEM, K, RW), 0);
	assert_int_equal(unmap(io, 0, 6 * K, 4 * K), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(b.n, 1);
	vfio_ioas_unlisten(io, &a.l);
	assert_int_equal(a.n, 0);
	b.before = NULL;
	assert_int_equal(vfio_ioas_map(io, K, MEM, K, RW), 0);
	assert_int_equal(a.n, 0);
	assert_int_equal(b.n, 2);
	vfio_ioas_unlisten(io, &b.l);
	assert_int_equal(b.n, 0);
	assert_ptr_equal(translate(io, 8 * K, R), mem + 8 * K);
}

/* A listener that cannot map: then nobody has it, and it does not count. */
static void failing_listener(void **state)
{
	static struct ear e[3];
	unsigned long locked;

	for (unsigned i = 0; i < 3; i++) {
		ear_open(&e[i], io);
		assert_int_equal(vfio_ioas_listen(io, &e[i].l), 0);
	}
	assert_int_equal(vfio_ioas_map(io, 0, MEM, K, RW), 0);
	locked = atomic_load(&sys->ioases.pages_locked);
	for (unsigned i = 0; i < 3; i++) {
		e[i].refuse = 1;
		assert_int_equal(vfio_ioas_map(io, 4 * K, MEM + 4 * K, 4 * K, RW), -EPROTO);
		for (unsigned k = 0; k < 3; k++) {
			assert_int_equal(e[k].n, 1);
			assert_int_equal(e[k].refuse, 0);
		}
		assert_null(translate(io, 4 * K, R));
		assert_int_equal(atomic_load(&sys->ioases.pages_locked), locked);
		assert_false(vfio_pages_in_use(sys, mem + 4 * K, K));
	}
	assert_int_equal(e[0].unmaps, 2);
	assert_int_equal(e[1].unmaps, 1);
	assert_int_equal(e[2].unmaps, 0);
	assert_int_equal(vfio_ioas_map(io, 4 * K, MEM + 4 * K, 4 * K, RW), 0);
	assert_int_equal(unmap(io, 0, 8 * K, 5 * K), 0);
	for (unsigned k = 0; k < 3; k++) {
		assert_int_equal(e[k].n, 0);
		vfio_ioas_unlisten(io, &e[k].l);
	}
}

static struct vfio_ioas_limits ear_has;

static void ear_limits(struct vfio_ioas_listener *l, struct vfio_ioas_limits *out)
{
	*out = ear_has;
}

/* The limits of a listener are those of the space, within ours. */
static void limits(void **state)
{
	struct vfio_ioas *in = vfio_ioas_new(sys, true);
	struct vfio_ioas_limits l;
	static struct ear e, deaf;
	char text[64];

	vfio_ioas_limits(io, &l);
	assert_int_equal(l.num_ranges, 2);
	assert_int_equal(l.ranges[0].end, 0xfedfffff);
	assert_int_equal(l.pgsizes, 0x40201000);
	assert_int_equal(l.avail, UINT32_MAX);
	vfio_ioas_limits(in, &l);
	assert_int_equal(l.avail, VFIO_DMA_ENTRY_LIMIT);

	/* a hole of its own, an end of its own, and one that touches ours */
	ear_has = (struct vfio_ioas_limits){
		.num_ranges = 3,
		.ranges = { { 0x2000, 0x7fffffff },
			    { 0x90000000, 0xfee0ffff },
			    { TOP / 2, -1ull } },
		.pgsizes = 3ull << 12,
		.avail = 7,
	};
	ear_open(&e, in);
	ear_open(&deaf, in);
	e.l.limits = ear_limits;
	assert_int_equal(vfio_ioas_listen(in, &e.l), 0);
	assert_int_equal(vfio_ioas_listen(in, &deaf.l), 0);
	vfio_ioas_limits(in, &l);
	assert_int_equal(l.num_ranges, 3);
	assert_int_equal(l.ranges[0].start, 0x2000);
	assert_int_equal(l.ranges[0].end, 0x7fffffff);
	assert_int_equal(l.ranges[1].start, 0x90000000);
	assert_int_equal(l.ranges[1].end, 0xfedfffff);
	assert_int_equal(l.ranges[2].start, TOP / 2);
	assert_int_equal(l.ranges[2].end, TOP - 1);
	assert_int_equal(l.pgsizes, 1ull << 12);
	assert_int_equal(l.avail, 7);
	assert_true(vfio_ioas_limits_have(&l, 0x2000, 0x7fffe000));
	assert_false(vfio_ioas_limits_have(&l, 0x2000, 0x7fffe001));
	assert_false(vfio_ioas_limits_have(&l, 0x1000, 0x2000));
	l.num_ranges = 2;
	vfio_ioas_limits_print(&l, text, sizeof(text));
	assert_string_equal(text, "0x2000-0x7fffffff, 0x90000000-0xfedfffff");
	vfio_ioas_limits_print(&l, text, 8);
	assert_string_equal(text, "0x2000-");
	assert_int_equal(vfio_ioas_map(in, K, MEM, 2 * K, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(in, 0x7ffff000, MEM, 2 * K, RW), -EINVAL);
	assert_int_equal(vfio_ioas_map(in, TOP / 2, MEM, K, RW), 0);
	assert_int_equal(e.maps, 1);

	/* they change; half of these lie in our window of messages */
	ear_has.num_ranges = VFIO_IOAS_RANGES;
	for (unsigned i = 0; i < VFIO_IOAS_RANGES; i++)
		ear_has.ranges[i] = (struct vfio_iova_range){ 0xfed00000 + 0x20000 * i,
							      0xfed00000 + 0x20000 * i + 0x1ffff };
	vfio_ioas_relisten(in);
	assert_int_equal(vfio_ioas_map(in, 0x2000, MEM, K, RW), -EINVAL);
	vfio_ioas_limits(in, &l);
	assert_int_equal(l.num_ranges, VFIO_IOAS_RANGES / 2);
	vfio_ioas_unlisten(in, &e.l);
	vfio_ioas_unlisten(in, &deaf.l);
	vfio_ioas_limits(in, &l);
	assert_int_equal(l.num_ranges, 2);
	assert_int_equal(l.avail, VFIO_DMA_ENTRY_LIMIT - 1);
	vfio_ioas_put(in);
}

/* ---- memory ---- */

/* A view of its own for the device, as the shim's munmap() makes one. */
static void *move_to;
static void *move(void *old, uint64_t len, void *arg)
{
	void *p = mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, move_to);

	assert_ptr_equal(p, move_to);
	return p;
}

/* The same memory in two spaces by two calls counts twice, by sharing once. */
static void two_spaces(void **state)
{
	static struct ear e;
	struct vfio_memory *m;
	int ret;

	assert_int_equal(vfio_ioas_map(io, 0, MEM, 8 * K, RW), 0);
	assert_int_equal(vfio_ioas_map(io2, 0, MEM, 8 * K, R), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 16);
	assert_int_equal(unmap(io2, 0, 8 * K, 8 * K), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 8);

	ear_open(&e, io2);
	assert_int_equal(vfio_ioas_listen(io2, &e.l), 0);
	pthread_mutex_lock(&io->lock);
	m = ioas_first(io, 0, 0)->mem;
	m->fd = 99; /* as if it were of a file */
	m->fd_offset = 0x100000;
	pthread_mutex_unlock(&io->lock);
	/* a part of it, twice */
	pthread_mutex_lock(&io2->lock);
	ret = ioas_map(io2, 0x10000, MEM + 2 * K, 4 * K, R, m, 2 * K);
	assert_int_equal(ret, 0);
	ret = ioas_map(io2, 0x20000, MEM + 4 * K, 4 * K, RW, m, 4 * K);
	assert_int_equal(ret, 0);
	/* an error leaves the references as they were */
	assert_int_equal(ioas_map(io2, 0x20000, MEM, K, RW, m, 0), -EEXIST);
	e.refuse = 1;
	assert_int_equal(ioas_map(io2, 0, MEM, K, RW, m, 0), -EPROTO);
	pthread_mutex_unlock(&io2->lock);
	assert_int_equal(atomic_load(&m->ref.n), 3);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 8);
	assert_int_equal(e.told[1].fd, 99);
	assert_int_equal(e.told[1].fd_offset, 0x100000 + 4 * K);
	vfio_ioas_unlisten(io2, &e.l);
	/* the program loses it: it is moved once, for both */
	mem[3 * K] = 33;
	mem[5 * K] = 55;
	move_to = mmap(NULL, PAGES * K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	vfio_preserve_pages(sys, mem, 8 * K, move, NULL);
	assert_ptr_equal(translate(io, 3 * K, RW), (char *)move_to + 3 * K);
	assert_ptr_equal(translate(io2, 0x11000, R), (char *)move_to + 3 * K);
	assert_ptr_equal(translate(io2, 0x21000, R), (char *)move_to + 5 * K);
	assert_int_equal(*(char *)translate(io2, 0x21000, R), 55);
	/* what is left of it has it, and what counts */
	assert_int_equal(unmap(io, 0, 8 * K, 8 * K), 0);
	assert_int_equal(unmap(io2, 0x10000, 4 * K, 4 * K), 0);
	assert_int_equal(*(char *)translate(io2, 0x21000, R), 55);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 8);
	assert_int_equal(unmap(io2, 0x20000, 4 * K, 4 * K), 0);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	assert_null(sys->ioases.asides.root);
	munmap(move_to, PAGES * K);
}

/* ---- random calls against an array, and a listener that has one, too ---- */

#define IOVAS 40u

static struct vfio_ioas_range model[IOVAS]; /* size 0: none */

static void compare(const struct ear *e)
{
	unsigned live = 0;

	for (unsigned i = 0; i < IOVAS; i++) {
		bool told = false;

		if (!model[i].size)
			continue;
		live++;
		for (unsigned k = 0; k < e->n; k++)
			told |= e->told[k].iova == model[i].iova &&
				e->told[k].size == model[i].size &&
				e->told[k].vaddr == model[i].vaddr &&
				e->told[k].prot == model[i].prot;
		assert_true(told);
		for (uint64_t at = 0; at < model[i].size; at += K)
			assert_ptr_equal(translate(io, model[i].iova + at, model[i].prot),
					 (void *)(model[i].vaddr + at));
	}
	assert_int_equal(e->n, live);
	assert_int_equal(io->entries, live);
}

static int model_map(const struct vfio_ioas_range *r)
{
	int at = -1;

	for (unsigned i = 0; i < IOVAS; i++) {
		if (model[i].size && r->iova < model[i].iova + model[i].size &&
		    model[i].iova < r->iova + r->size)
			return -EEXIST;
		if (!model[i].size)
			at = (int)i;
	}
	model[at] = *r;
	return 0;
}

static int model_unmap(uint64_t iova, uint64_t size, uint64_t *done)
{
	*done = 0;
	for (unsigned i = 0; i < IOVAS; i++) {
		uint64_t a = model[i].iova, e = a + model[i].size;

		if (model[i].size && a < iova + size && iova < e && (a < iova || e > iova + size))
			return -EINVAL;
	}
	for (unsigned i = 0; i < IOVAS; i++) {
		if (!model[i].size || model[i].iova < iova || model[i].iova >= iova + size)
			continue;
		*done += model[i].size;
		model[i].size = 0;
	}
	return 0;
}

static void random_calls(void **state)
{
	static struct ear e;
	uint64_t done, expect;

	srandom(5);
	memset(model, 0, sizeof(model));
	ear_open(&e, io);
	assert_int_equal(vfio_ioas_listen(io, &e.l), 0);
	for (unsigned i = 0; i < 4000; i++) {
		struct vfio_ioas_range r = {
			.iova = (uint64_t)(random() % IOVAS) * K,
			.size = (uint64_t)(1 + random() % (random() % 3 ? 4 : 16)) * K,
			.prot = 1 + (unsigned)random() % 3,
			.vaddr = MEM + (uint64_t)(random() % 32) * K,
		};

		if (r.iova + r.size > IOVAS * K)
			r.size = IOVAS * K - r.iova;
		if (random() % 2) {
			assert_int_equal(vfio_ioas_map(io, r.iova, r.vaddr, r.size, r.prot),
					 model_map(&r));
		} else {
			int want = model_unmap(r.iova, r.size, &expect);

			assert_int_equal(vfio_ioas_unmap(io, r.iova, r.size, &done), want);
			assert_int_equal(done, expect);
		}
		if (i % 10 == 0)
			compare(&e);
	}
	compare(&e);
	vfio_ioas_unlisten(io, &e.l);
}

/* Memory of a guest: no page comes before a device does, and one that is gone is a fault. */
static void kept(void **state)
{
	struct iommu_group *g = iommu_group_new(1);
	unsigned char resident[PAGES];
	struct iommu_device dev;
	struct ear e;
	char c = 7;

	iommu_device_init(&dev, "dev");
	assert_int_equal(iommu_group_add(g, &dev), 0);
	vfio_ioas_attach(io, g);
	ear_open(&e, io);
	assert_int_equal(vfio_ioas_listen(io, &e.l), 0);
	assert_int_equal(vfio_ioas_map_kept(io, 1, MEM, K, RW, 5, 3 * K), -EINVAL);
	assert_int_equal(e.maps, 0);
	assert_int_equal(vfio_ioas_map_kept(io, K, MEM, 8 * K, RW, 5, 3 * K), 0);
	assert_int_equal(vfio_ioas_map_kept(io, 4 * K, MEM, K, RW, 5, 3 * K), -EEXIST);
	assert_int_equal(e.told[0].fd, 5);
	assert_int_equal(e.told[0].fd_offset, 3 * K);
	assert_int_equal(atomic_load(&sys->ioases.pages_locked), 0);
	assert_int_equal(mincore(mem, 8 * K, resident), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(resident[i] & 1, 0);
	assert_int_equal(iommu_dma_write(&dev, K + 5, &c, 1), 0);
	assert_int_equal(mem[5], 7);
	assert_int_equal(mincore(mem, 8 * K, resident), 0);
	assert_int_equal(resident[0] & 1, 1);
	assert_int_equal(resident[1] & 1, 0);
	munmap(mem + K, K);
	assert_int_equal(iommu_dma_write(&dev, 2 * K, &c, 1), -EFAULT);
	assert_int_equal(iommu_dma_read(&dev, 3 * K, &c, 1), 0);
	assert_int_equal(unmap(io, K, 8 * K, 8 * K), 0);
	assert_int_equal(e.n, 0);
	vfio_ioas_unlisten(io, &e.l);
	vfio_ioas_detach(io, g);
	iommu_group_remove(g, &dev);
	iommu_device_fini(&dev);
	iommu_group_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(injected, setup, teardown),
		cmocka_unit_test_setup_teardown(errors, setup, teardown),
		cmocka_unit_test_setup_teardown(references, setup, teardown),
		cmocka_unit_test_setup_teardown(attachments, setup, teardown),
		cmocka_unit_test_setup_teardown(listeners, setup, teardown),
		cmocka_unit_test_setup_teardown(failing_listener, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(two_spaces, setup, teardown),
		cmocka_unit_test_setup_teardown(kept, setup, teardown),
		cmocka_unit_test_setup_teardown(random_calls, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
