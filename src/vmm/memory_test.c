/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/memory_test.c: the guest's memory as devices see it. The numbers are those of the tests in
 * docs/vmm.md.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vmm/test_memory.h"

/* (test 9) and (test 20): memory is where the guest has it, also for a device that comes second */
static void ram(void **state)
{
	struct uvfio_vm_device *other;

	assert_int_equal(guest_add(vm, 0, 8 * K, mem, 0), 0);
	assert_false(td_reads(dev, 1ull << 32));
	assert_int_equal(guest_add(vm, 1ull << 32, 8 * K, mem + 8 * K, 0), 0);
	strcpy(mem + 3, "guest");
	assert_int_equal(td_run(dev, TD_OP_COPY, 3, (1ull << 32) + 2 * K - 3, 6), TD_DMA_OK);
	assert_string_equal(mem + 10 * K - 3, "guest");
	other = guest_assign(vm, "testdev", NULL);
	assert_int_equal(td_run(other, TD_OP_COPY, (1ull << 32) + 2 * K - 3, 4 * K, 6), TD_DMA_OK);
	assert_string_equal(mem + 4 * K, "guest");
	assert_int_equal(guest_add(vm, 1ull << 33, K, mem + 16 * K, 0), 0);
	assert_true(td_reads(dev, 1ull << 33) && td_writes(other, 1ull << 33));
	/* the first one's going leaves it all to the other */
	uvfio_vm_unassign(dev);
	assert_true(td_reads(other, 3));
	/* and who comes when nobody is there has it again */
	uvfio_vm_unassign(other);
	dev = guest_assign(vm, "testdev", NULL);
	assert_true(td_writes(dev, 3) && td_writes(dev, 1ull << 33));
}

/* Guests have more memory than devices use: nothing of it comes by this. */
static void not_populated(void **state)
{
	unsigned char there[PAGES];
	unsigned n = 0;

	assert_int_equal(guest_add(vm, 0, PAGES * K, mem, 0), 0);
	assert_true(td_writes(dev, 17 * K));
	assert_int_equal(mincore(mem, PAGES * K, there), 0);
	for (unsigned i = 0; i < PAGES; i++)
		n += there[i] & 1;
	assert_true(n >= 1 && n <= 2);
	assert_true(uvfio_vm_may_discard(vm));
}

/* (test 10) */
static void rom(void **state)
{
	assert_int_equal(guest_add(vm, 0xf0000, 4 * K, mem, UVFIO_VM_MEM_READONLY), 0);
	assert_true(td_reads(dev, 0xf1234));
	assert_false(td_writes(dev, 0xf1234));
	/* memory that the program itself can only read is ROM, and nothing else */
	mprotect(mem + 8 * K, K, PROT_READ);
	assert_int_equal(guest_add(vm, 0, K, mem + 8 * K, 0), -EFAULT);
	assert_true(says("0x0-0xfff"));
	assert_int_equal(guest_add(vm, 0, K, mem + 8 * K, UVFIO_VM_MEM_READONLY), 0);
	assert_true(td_reads(dev, 0));
	munmap(mem + 9 * K, K);
	assert_int_equal(guest_add(vm, 8 * K, 4 * K, mem + 8 * K, UVFIO_VM_MEM_READONLY), -EFAULT);
}

/* (test 11) */
static void skipped(void **state)
{
	assert_int_equal(guest_add(vm, 0, 4 * K, NULL, 0), 0);
	assert_false(td_reads(dev, 0));
	assert_int_equal(guest_add(vm, 1ull << 63, 4 * K, mem, 0), 0);
	assert_int_equal(guest_add(vm, -4 * K, 4 * K, mem, 0), 0);
	assert_false(td_reads(dev, -4 * K));
	assert_int_equal(guest_add(vm, K, K, mem, 0), -EEXIST);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0, 4 * K), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 1ull << 63, 4 * K), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, -4 * K, 4 * K), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, -4 * K, 4 * K), -ENOENT);
}

/* (test 12) */
static void edges(void **state)
{
	assert_int_equal(guest_add(vm, 0x10100, 4 * K, mem + 0x100, 0), 0);
	assert_false(td_reads(dev, 0x10fff));
	assert_true(td_reads(dev, 0x11000));
	assert_true(td_writes(dev, 0x13fff));
	assert_false(td_reads(dev, 0x14000));
	assert_int_equal(td_run(dev, TD_OP_FILL, 0, 0x11000, 1), TD_DMA_OK);
	/* less than a page, and nothing but its parts */
	assert_int_equal(guest_add(vm, 0x20010, 0x100, mem + 0x10, 0), 0);
	assert_int_equal(guest_add(vm, 0x30ff0, 0x1000, mem + 0xff0, 0), 0);
	assert_int_equal(guest_add(vm, 0x40ff0, 0x8, mem + 0xff0, 0), 0);
	assert_false(td_reads(dev, 0x20010));
	assert_false(td_reads(dev, 0x31000));
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x30ff0, 0x1000), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x10000, 4 * K), -ENOENT);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x10100, 4 * K), 0);
	assert_false(td_reads(dev, 0x11000));
}

/* (test 13), and other numbers that are wrong */
static void wrong_numbers(void **state)
{
	struct uvfio_vm_memory m = { .gpa = 0x1000, .size = 4 * K, .host = mem, .fd = -1 };
	int fd = memfd_create("ram", MFD_CLOEXEC), again;

	assert_int_equal(guest_add(vm, 0x1000, 4 * K, mem + 0x10, 0), -EINVAL);
	assert_true(says("0x1000-0x4fff") && says("differently in a page"));
	assert_int_equal(guest_add(vm, 0x1000, 0, mem, 0), -EINVAL);
	assert_int_equal(guest_add(vm, -K, 2 * K, mem, 0), -EINVAL);
	assert_int_equal(guest_add(vm, 0, 2 * K, (void *)-K, 0), -EINVAL);
	assert_int_equal(guest_add(vm, 0, K, mem, 8), -EINVAL);
	assert_int_equal(uvfio_vm_memory_commit(vm), -EINVAL);
	m.fd = fd;
	m.fd_offset = 5;
	assert_int_equal(uvfio_vm_memory_add(vm, &m), -EINVAL);
	m.fd_offset = 2 * K;
	close(fd);
	assert_int_equal(uvfio_vm_memory_add(vm, &m), -EBADF);
	assert_true(says("0x1000"));
	fd = memfd_create("ram", MFD_CLOEXEC);
	m.fd = fd;
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	again = dup(fd);
	assert_int_equal(uvfio_vm_memory_remove(vm, m.gpa, m.size), 0);
	/* its descriptor went with it */
	assert_int_equal(again, dup(fd) + 1);
	m.fd = -1;
	m.flags = UVFIO_VM_MEM_DISCARDABLE;
	for (unsigned i = 0; i < 4; i++) {
		m.granularity = (const uint64_t[]){ 0, 3 * K, K / 2, 8 * K }[i];
		assert_int_equal(uvfio_vm_memory_add(vm, &m), -EINVAL);
	}
	m.granularity = K;
	m.flags |= UVFIO_VM_MEM_PEER;
	assert_int_equal(uvfio_vm_memory_add(vm, &m), -EINVAL);
	for (int i = fd; i <= again; i++)
		close(i);
}

static atomic_bool storm_ends;
static atomic_ulong storm_writes, storm_faults;

/* Have the device write as fast as it can. */
static void *storm(void *arg)
{
	while (!atomic_load(&storm_ends)) {
		if (td_run(dev, TD_OP_FILL, 0, 0x10000, 4 * K) == TD_DMA_OK)
			atomic_fetch_add(&storm_writes, 1);
		else
			atomic_fetch_add(&storm_faults, 1);
	}
	return NULL;
}

static void wait_for(atomic_ulong *counter)
{
	unsigned long now = atomic_load(counter);

	while (atomic_load(counter) < now + 2)
		sched_yield();
}

/* (test 14): what is removed while a device writes is never touched again */
static void removed(void **state)
{
	pthread_t thread;
	char *fresh;

	assert_int_equal(guest_add(vm, 0x10000, 4 * K, mem, 0), 0);
	assert_true(td_writes(dev, 0x10000));
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x10000, 4 * K), 0);
	assert_false(td_writes(dev, 0x10000));
	atomic_store(&storm_ends, false);
	td_write(dev, TD_DMA_PATTERN, 0xa5a5a5a5, 4);
	assert_int_equal(pthread_create(&thread, NULL, storm, NULL), 0);
	for (unsigned i = 0; i < 30; i++) {
		fresh = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			     0);
		assert_int_equal(guest_add(vm, 0x10000, 4 * K, fresh, 0), 0);
		wait_for(&storm_writes);
		assert_int_equal(uvfio_vm_memory_remove(vm, 0x10000, 4 * K), 0);
		memset(fresh, 0, 4 * K);
		wait_for(&storm_faults);
		for (unsigned k = 0; k < 4 * K; k++)
			assert_int_equal(fresh[k], 0);
		munmap(fresh, 4 * K);
	}
	atomic_store(&storm_ends, true);
	pthread_join(thread, NULL);
}

/* The host's memory that goes behind the library's back is a fault, and nothing worse. */
static void gone_unseen(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	char *file;

	assert_int_equal(ftruncate(fd, (off_t)(4 * K)), 0);
	file = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_int_equal(guest_add(vm, 0, 4 * K, file, 0), 0);
	assert_int_equal(guest_add(vm, 0x10000, 4 * K, mem, 0), 0);
	assert_true(td_writes(dev, 2 * K) && td_reads(dev, 0x11000));
	assert_int_equal(ftruncate(fd, (off_t)K), 0);
	munmap(mem + K, K);
	assert_true(td_writes(dev, 0) && td_reads(dev, 0x12000));
	assert_false(td_writes(dev, 2 * K));
	assert_false(td_reads(dev, 0x11000) || td_writes(dev, 0x11000));
	assert_int_equal(td_run(dev, TD_OP_STORE | TD_DMA_DIRECT, 0, 2 * K, 4), TD_DMA_FAULT);
	/* a hole is zeroes again */
	memset(mem + 2 * K, 1, K);
	madvise(mem + 2 * K, K, MADV_DONTNEED);
	assert_int_equal(td_run(dev, TD_OP_CHECK, 0x12000, 0, K), TD_DMA_OK);
	munmap(file, 4 * K);
	close(fd);
}

/* (test 15): in one batch a section takes another one's place, in whatever order it is said */
static void batches(void **state)
{
	assert_int_equal(guest_add(vm, 0x10000, 4 * K, mem, 0), 0);
	mem[K] = 1;
	mem[9 * K] = 2;
	for (unsigned nest = 0; nest < 2; nest++) {
		uvfio_vm_memory_begin(vm);
		assert_int_equal(guest_add(vm, 0x11000, 8 * K, mem + 9 * K, 0), 0);
		if (nest)
			uvfio_vm_memory_begin(vm);
		assert_int_equal(uvfio_vm_memory_remove(vm, 0x10000, 4 * K), 0);
		if (nest)
			assert_int_equal(uvfio_vm_memory_commit(vm), 0);
		/* until the commit all is as it was */
		assert_true(td_reads(dev, 0x10000));
		assert_false(td_reads(dev, 0x15000));
		assert_int_equal(uvfio_vm_memory_commit(vm), 0);
		assert_false(td_reads(dev, 0x10000));
		assert_true(td_reads(dev, 0x18fff));
		uvfio_vm_memory_begin(vm);
		assert_int_equal(uvfio_vm_memory_remove(vm, 0x11000, 8 * K), 0);
		assert_int_equal(guest_add(vm, 0x10000, 4 * K, mem, 0), 0);
		assert_int_equal(uvfio_vm_memory_commit(vm), 0);
		assert_true(td_reads(dev, 0x10000) && !td_reads(dev, 0x15000));
	}
	/* the same place and size: the old one goes, the new one comes */
	uvfio_vm_memory_begin(vm);
	assert_int_equal(guest_add(vm, 0x10000, 4 * K, mem + 8 * K, 0), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x10000, 4 * K), 0);
	assert_int_equal(uvfio_vm_memory_commit(vm), 0);
	assert_int_equal(td_run(dev, TD_OP_COPY, 0x11000, 0x10000, 1), TD_DMA_OK);
	assert_int_equal(mem[8 * K], 2);
	/* what came in the batch can go in it; what fails leaves the rest */
	uvfio_vm_memory_begin(vm);
	assert_int_equal(guest_add(vm, 0x20000, K, mem, 0), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x20000, K), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x20000, K), -ENOENT);
	assert_int_equal(guest_add(vm, 0x11000, K, mem, 0), 0);
	assert_int_equal(guest_add(vm, 0x30000, K, mem, 0), 0);
	assert_int_equal(guest_add(vm, 0xfee00000, K, mem, 0), 0);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x10000, K), -EINVAL);
	assert_int_equal(uvfio_vm_memory_commit(vm), -EEXIST);
	assert_true(says("0x11000-0x11fff overlaps 0x10000-0x13fff"));
	assert_true(td_reads(dev, 0x30000) && td_reads(dev, 0x10000));
	assert_false(td_reads(dev, 0x20000));
	assert_int_equal(uvfio_vm_memory_remove(vm, 0xfee00000, K), -ENOENT);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x11000, K), -ENOENT);
}

/* (test 16) */
static void out_of_reach(void **state)
{
	struct uvfio_vm_device *none = NULL;
	struct uvfio_vm_range r[3];

	/* who has no device has no limits */
	assert_int_equal(uvfio_vm_iova_ranges(vm, r, 3), 1);
	assert_true(r[0].first == 0 && r[0].last == UINT64_MAX);
	assert_int_equal(guest_add(vm, 0xfec00000, 0x400000,
				   mmap(NULL, 0x400000, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
				   0),
			 0);
	assert_int_equal(uvfio_vm_assign(vm, "testdev", NULL, &none), -EINVAL);
	assert_true(says("0xfec00000-0xfeffffff") && says("0xfef00000-0xffffffffffff"));
	assert_null(none);
	assert_int_equal(machine_num_devices(vm->machine), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0xfec00000, 0x400000), 0);
	dev = guest_assign(vm, "testdev", NULL);
	assert_int_equal(uvfio_vm_iova_ranges(vm, r, 1), 2);
	assert_int_equal(uvfio_vm_iova_ranges(vm, r, 3), 2);
	assert_true(r[0].first == 0 && r[0].last == 0xfedfffff && r[1].first == 0xfef00000);
	assert_int_equal(guest_add(vm, 0xfee00000, K, mem, 0), -EINVAL);
	assert_true(says("0x0-0xfedfffff"));
	assert_int_equal(guest_add(vm, 1ull << 48, K, mem, 0), -EINVAL);
	assert_int_equal(guest_add(vm, (1ull << 48) - K, K, mem, 0), 0);
}

/* (test 18) */
static void discardable(void **state)
{
	struct uvfio_vm_memory m = granules(0x100000, 32 * K, mem, 2 * K);

	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	assert_false(td_reads(dev, 0x100000));
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x102000, 6 * K), 0);
	assert_true(td_reads(dev, 0x102000) && td_writes(dev, 0x107fff));
	assert_false(td_reads(dev, 0x101fff) || td_reads(dev, 0x108000));
	/* the middle goes, also twice, and what was never there */
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x104000, 2 * K), 0);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x104000, 2 * K), 0);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x110000, 2 * K), 0);
	assert_true(td_reads(dev, 0x103fff) && td_writes(dev, 0x106000));
	assert_false(td_reads(dev, 0x104000) || td_reads(dev, 0x105fff));
	/* what is there stays */
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x100000, 10 * K), 0);
	assert_true(td_reads(dev, 0x100000) && td_reads(dev, 0x104000) && td_reads(dev, 0x109fff));
	/* half way it fails: nothing comes that was not there */
	munmap(mem + 16 * K, K);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x108000, 12 * K), -EFAULT);
	assert_true(says("0x110000-0x111fff"));
	assert_true(td_reads(dev, 0x108000));
	assert_false(td_reads(dev, 0x10a000) || td_reads(dev, 0x10e000));
	/* numbers */
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x101000, 2 * K), -EINVAL);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x102000, 3 * K), -EINVAL);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x102000, K), -EINVAL);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x102000, 0), -EINVAL);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x11e000, 4 * K), -ENOENT);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x102000, -4 * K), -ENOENT);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x200000, 2 * K), -ENOENT);
	assert_int_equal(guest_add(vm, 0x200000, 2 * K, mem, 0), 0);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x200000, 2 * K), -ENOENT);
	/* what is there is known without a device */
	uvfio_vm_unassign(dev);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x118000, 2 * K), 0);
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x100000, 2 * K), 0);
	dev = guest_assign(vm, "testdev", NULL);
	assert_true(td_reads(dev, 0x118000) && td_reads(dev, 0x102000));
	assert_false(td_reads(dev, 0x100000) || td_reads(dev, 0x11a000));
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x100000, 32 * K), 0);
	assert_false(td_reads(dev, 0x118000));
}

/* (test 19): a device that pins: here an ordinary one that says so */
static void may_discard(void **state)
{
	struct uvfio_vm_device *second;

	assert_true(uvfio_vm_may_discard(vm));
	assert_int_equal(machine_add(vm->machine, "testdev,addr=05:00.0", NULL), 0);
	machine_find(vm->machine, "05:00.0")->vdev->pins = true;
	second = guest_assign(vm, "0000:05:00.0", NULL);
	assert_false(uvfio_vm_may_discard(vm));
	uvfio_vm_unassign(second);
	assert_true(uvfio_vm_may_discard(vm));
	second = guest_assign(vm, "0000:05:00.0", "iommu=vmm");
	assert_false(uvfio_vm_may_discard(vm));
	uvfio_vm_unassign(second);
	assert_true(uvfio_vm_may_discard(vm));
}

/* ---- a device that pins, by an IOMMU of its own ---- */

/* An ordinary device is made into one that listens, as those of the kernel's VFIO do. */
static struct {
	const struct vfio_device_ops *own;
	struct vfio_device_ops ops;
	struct vfio_ioas_listener l;
	struct vfio_ioas_range last; /* that it was told of */
	unsigned n, most;	     /* mappings */
	uint64_t first, end;	     /* what it can map */
	const void *refused;	     /* memory that it cannot pin */
	int refuse_with;
} pin;

static int pin_map(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	if (r->vaddr == (uintptr_t)pin.refused)
		return pin.refuse_with;
	if (r->iova < pin.first || r->iova + r->size > pin.end)
		return -EINVAL;
	if (pin.n == pin.most)
		return -ENOSPC;
	pin.last = *r;
	pin.n++;
	return 0;
}

static void pin_unmap(struct vfio_ioas_listener *l, const struct vfio_ioas_range *r)
{
	pin.n--;
}

static void pin_limits(struct vfio_ioas_listener *l, struct vfio_ioas_limits *out)
{
	out->num_ranges = 1;
	out->ranges[0] = (struct vfio_iova_range){ pin.first, pin.end - 1 };
	out->pgsizes = 0x1000;
	out->avail = pin.most - pin.n;
}

static int pin_attach(struct vfio_device *v, struct vfio_ioas *io)
{
	return vfio_ioas_listen(io, &pin.l);
}

static void pin_detach(struct vfio_device *v, struct vfio_ioas *io)
{
	vfio_ioas_unlisten(io, &pin.l);
}

/* Have such a device at 0000:05:00.0, not assigned. */
static void pin_begin(void)
{
	struct vfio_device *v;

	assert_int_equal(machine_add(vm->machine, "testdev,addr=05:00.0", NULL), 0);
	v = machine_find(vm->machine, "05:00.0")->vdev;
	memset(&pin, 0, sizeof(pin));
	pin.own = v->ops;
	pin.ops = *v->ops;
	pin.ops.attach = pin_attach;
	pin.ops.detach = pin_detach;
	pin.l = (struct vfio_ioas_listener){ .map = pin_map,
					     .unmap = pin_unmap,
					     .limits = pin_limits };
	pin.most = 10;
	pin.end = 1ull << 39;
	v->ops = &pin.ops;
	v->pins = true;
}

/* Its limits: (test 16), (test 17), and how many mappings there are. */
static void pinning(void **state)
{
	struct uvfio_vm_memory m = { .gpa = 0x100000, .size = 4 * K, .host = mem, .fd_offset = K };
	struct uvfio_vm_device *none = NULL;
	struct uvfio_vm_range r[3];
	char *file;

	pin_begin();
	m.fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m.fd, (off_t)(5 * K)), 0);
	file = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, (off_t)K);
	m.host = file;
	/* a software device reaches further */
	dev = guest_assign(vm, "testdev", NULL);
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	close(m.fd);
	assert_int_equal(guest_add(vm, 1ull << 39, K, mem, 0), 0);
	assert_int_equal(uvfio_vm_assign(vm, "05:00.0", NULL, &none), -EINVAL);
	assert_true(says("0x8000000000-0x8000000fff is out of its reach, which is 0x0-0xfedfffff, "
			 "0xfef00000-0x7fffffffff"));
	assert_int_equal(pin.n, 0);
	assert_true(uvfio_vm_may_discard(vm));
	assert_int_equal(uvfio_vm_memory_remove(vm, 1ull << 39, K), 0);
	guest_assign(vm, "05:00.0", NULL);
	assert_int_equal(pin.n, 1);
	assert_false(uvfio_vm_may_discard(vm));
	/* it has the file, by a descriptor of the library's */
	assert_int_equal(pin.last.vaddr, (uintptr_t)file);
	assert_int_equal(pin.last.fd_offset, K);
	assert_true(fcntl(pin.last.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(uvfio_vm_iova_ranges(vm, r, 3), 2);
	assert_int_equal(r[1].last, (1ull << 39) - 1);
	assert_int_equal(guest_add(vm, 1ull << 39, K, mem, 0), -EINVAL);
	assert_true(says("0xfef00000-0x7fffffffff"));
	/* no memory to pin, and no mapping left */
	pin.refused = mem + 8 * K;
	pin.refuse_with = -ENOMEM;
	assert_int_equal(guest_add(vm, 0x200000, 8 * K, mem + 8 * K, 0), -ENOMEM);
	assert_true(says("guest memory 0x200000-0x207fff"));
	assert_false(td_reads(dev, 0x200000));
	assert_true(td_reads(dev, 0x100000));
	pin.most = pin.n;
	assert_int_equal(guest_add(vm, 0x200000, K, mem, 0), -ENOSPC);
	assert_true(says("no mapping left"));
	munmap(file, 4 * K);
}

/* (test 17): the sentence has what is wanted, and what may be */
static void memlock_text(void **state)
{
	struct rlimit was, low;

	pin_begin();
	guest_assign(vm, "05:00.0", NULL);
	assert_int_equal(guest_add(vm, 0, 4 * K, mem, 0), 0);
	pin.refused = mem + 8 * K;
	pin.refuse_with = -ENOMEM;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &was), 0);
	low = (struct rlimit){ 0x5000, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &low), 0);
	assert_int_equal(guest_add(vm, 0x200000, 8 * K, mem + 8 * K, 0), -ENOMEM);
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &was), 0);
	assert_true(says("0xc000 bytes, must be locked, and RLIMIT_MEMLOCK is 0x5000 bytes"));
}

/* (test 21): a BAR that such a device cannot reach is a warning, whichever comes first */
static void peer_refused(void **state)
{
	struct uvfio_vm_device *pinning;

	pin_begin();
	dev = guest_assign(vm, "testdev", NULL);
	pin.refused = mem + 4 * K;
	pin.refuse_with = -EFAULT;
	assert_int_equal(guest_add(vm, 0, 4 * K, mem, 0), 0);
	assert_int_equal(guest_add(vm, 0xe0000000, 4 * K, mem + 4 * K, UVFIO_VM_MEM_PEER), 0);
	assert_true(td_reads(dev, 0xe0000000));
	pinning = guest_assign(vm, "05:00.0", NULL);
	assert_int_equal(pin.n, 1);
	assert_true(td_reads(dev, 0));
	assert_int_equal(guest_add(vm, 0xe1000000, 4 * K, mem + 4 * K, UVFIO_VM_MEM_PEER), 0);
	assert_false(td_reads(dev, 0xe1000000));
	uvfio_vm_unassign(pinning);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0xe1000000, 4 * K), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0xe0000000, 4 * K), 0);
}

static unsigned granule_lines, peer_lines;

static void on_report(const struct report *r, void *arg)
{
	granule_lines += !strcmp(r->code->name, "vm-granules");
	peer_lines += !strcmp(r->code->name, "vm-peer") && !r->limited;
}

/* More granules than mappings: it is said before it happens. */
static void too_many_granules(void **state)
{
	static struct report_subscriber sub = { .fn = on_report, .level = LOG_WARN };
	struct uvfio_vm_memory m = granules(0x100000, 16 * K, mem, K);

	report_subscribe(&sub);
	pin_begin();
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x100000, 2 * K), 0);
	guest_assign(vm, "05:00.0", NULL);
	assert_int_equal(granule_lines, 1);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x102000, 10 * K), -ENOSPC);
	assert_int_equal(pin.n, 2);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x102000, 8 * K), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0x100000, 16 * K), 0);
	assert_int_equal(pin.n, 0);
	m.size = 8 * K;
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	assert_int_equal(granule_lines, 1);
	m.gpa = 0x200000;
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	assert_int_equal(granule_lines, 2);
	report_unsubscribe(&sub);
}

/* (test 21), of software: a BAR's memory for others; that it cannot be is a warning */
static void peers(void **state)
{
	static struct report_subscriber sub = { .fn = on_report, .level = LOG_WARN };

	/* a guest that moves its BARs about does not bury the log */
	report_subscribe(&sub);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(guest_add(vm, 0xfee01000, K, mem, UVFIO_VM_MEM_PEER), 0);
		assert_int_equal(uvfio_vm_memory_remove(vm, 0xfee01000, K), 0);
	}
	report_unsubscribe(&sub);
	assert_in_range(peer_lines, 1, 500);
	assert_int_equal(guest_add(vm, 0xfee01000, K, mem, UVFIO_VM_MEM_PEER), 0);
	assert_int_equal(guest_add(vm, 0xe0000000, 4 * K, mem, UVFIO_VM_MEM_PEER), 0);
	assert_int_equal(guest_add(vm, 0xe1000000, 4 * K, mem + 8 * K, UVFIO_VM_MEM_PEER), 0);
	assert_true(td_writes(dev, 0xe0000000) && td_reads(dev, 0xe1000000));
	/* a piece of the BAR goes: nobody has it any more, and the section can go as it came */
	vm_memory_forget(vm, mem + K, K);
	munmap(mem, 4 * K);
	assert_false(td_reads(dev, 0xe0000000) || td_writes(dev, 0xe0003000));
	assert_true(td_reads(dev, 0xe1000000));
	uvfio_vm_unassign(dev);
	dev = guest_assign(vm, "testdev", NULL);
	assert_false(td_reads(dev, 0xe0000000));
	assert_true(td_reads(dev, 0xe1000000));
	assert_int_equal(uvfio_vm_memory_remove(vm, 0xe0000000, 4 * K), 0);
	assert_int_equal(uvfio_vm_memory_remove(vm, 0xfee01000, K), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ram, setup_device, teardown),
		cmocka_unit_test_setup_teardown(not_populated, setup_device, teardown),
		cmocka_unit_test_setup_teardown(rom, setup_device, teardown),
		cmocka_unit_test_setup_teardown(skipped, setup_device, teardown),
		cmocka_unit_test_setup_teardown(edges, setup_device, teardown),
		cmocka_unit_test_setup_teardown(wrong_numbers, setup_device, teardown),
		cmocka_unit_test_setup_teardown(removed, setup_device, teardown),
		cmocka_unit_test_setup_teardown(gone_unseen, setup_device, teardown),
		cmocka_unit_test_setup_teardown(batches, setup_device, teardown),
		cmocka_unit_test_setup_teardown(out_of_reach, setup, teardown),
		cmocka_unit_test_setup_teardown(discardable, setup_device, teardown),
		cmocka_unit_test_setup_teardown(may_discard, setup, teardown),
		cmocka_unit_test_setup_teardown(pinning, setup, teardown),
		cmocka_unit_test_setup_teardown(memlock_text, setup, teardown),
		cmocka_unit_test_setup_teardown(peer_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_granules, setup, teardown),
		cmocka_unit_test_setup_teardown(peers, setup_device, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
