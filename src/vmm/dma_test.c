/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/dma_test.c: devices that have an address space of their own, which the monitor fills; and
 * random calls, after which a device has what a table says, in such a space and in the guest's. The
 * numbers are those of the tests in docs/vmm.md.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rcu.h"
#include "iommu/domain.h"
#include "vmm/test_memory.h"

/* (test 22) */
static void own_iommu(void **state)
{
	struct uvfio_vm_device *own =
		guest_assign(vm, "testdev,group=30,addr=06:00.0", "iommu=vmm");
	struct uvfio_vm_device *with = NULL;
	const unsigned rw = UVFIO_VM_READ | UVFIO_VM_WRITE;

	assert_int_equal(guest_add(vm, 0, 8 * K, mem, 0), 0);
	assert_int_equal(guest_add(vm, 8 * K, 8 * K, mem + 32 * K, 0), 0);
	assert_int_equal(guest_add(vm, 0xf0000, K, mem + 20 * K, UVFIO_VM_MEM_READONLY), 0);
	assert_true(td_reads(dev, 0));
	assert_false(td_reads(own, 0));
	/* a stretch over two sections */
	assert_int_equal(uvfio_vm_dma_map(own, 0x100000, 4 * K, 8 * K, rw), 0);
	strcpy(mem + 8 * K - 2, "ab");
	mem[32 * K] = 'c';
	mem[8 * K] = 'x'; /* not the guest's */
	assert_int_equal(td_run(own, TD_OP_COPY, 0x104000 - 2, 0x105000, 3), TD_DMA_OK);
	assert_memory_equal(mem + 33 * K, "abc", 3);
	assert_false(td_reads(dev, 0x100000));
	assert_int_equal(uvfio_vm_dma_map(own, 0x107000, 0, K, rw), -EEXIST);
	assert_int_equal(uvfio_vm_dma_map(own, 0x200000, 15 * K, 2 * K, rw), -ENOENT);
	assert_false(td_reads(own, 0x200000));
	assert_int_equal(uvfio_vm_dma_map(own, 0xfee00000, 0, K, rw), -EINVAL);
	assert_true(says("0x0-0xfedfffff"));
	/* rights */
	assert_int_equal(uvfio_vm_dma_map(own, 0x300000, 0, K, UVFIO_VM_READ), 0);
	assert_int_equal(uvfio_vm_dma_map(own, 0x301000, 0, K, UVFIO_VM_WRITE), 0);
	assert_int_equal(uvfio_vm_dma_map(own, 0x302000, 0xf0000, K, rw), 0);
	assert_int_equal(uvfio_vm_dma_map(own, 0x303000, 0xf0000, K, UVFIO_VM_WRITE), -EINVAL);
	assert_true(td_reads(own, 0x300000) && !td_writes(own, 0x300000));
	assert_true(td_writes(own, 0x301000) && !td_reads(own, 0x301000));
	assert_true(td_reads(own, 0x302000) && !td_writes(own, 0x302000));
	/* numbers */
	assert_int_equal(uvfio_vm_dma_map(own, 0x400000, 0, K, 0), -EINVAL);
	assert_int_equal(uvfio_vm_dma_map(own, 0x400000, 0, K, 4 | rw), -EINVAL);
	assert_int_equal(uvfio_vm_dma_map(own, 0x400010, 0, K, rw), -EINVAL);
	assert_int_equal(uvfio_vm_dma_map(own, 0x400000, 0x10, K, rw), -EINVAL);
	assert_int_equal(uvfio_vm_dma_map(own, 0x400000, 0, 0, rw), -EINVAL);
	assert_int_equal(uvfio_vm_dma_map(own, -K, 0, 2 * K, rw), -EINVAL);
	assert_int_equal(uvfio_vm_dma_map(own, 0x400000, -K, 2 * K, rw), -EINVAL);
	assert_int_equal(uvfio_vm_dma_map(dev, 0x400000, 0, K, rw), -EINVAL);
	assert_true(says("iommu=vmm"));
	assert_int_equal(uvfio_vm_dma_unmap(dev, 0x100000, K), -EINVAL);
	/* unmapping cuts nothing */
	assert_int_equal(uvfio_vm_dma_unmap(own, 0x100000, K), -EINVAL);
	assert_int_equal(uvfio_vm_dma_unmap(own, 0x101000, 7 * K), -EINVAL);
	assert_int_equal(uvfio_vm_dma_unmap(own, 0x300000, 2 * K), 2 * K);
	assert_int_equal(uvfio_vm_dma_unmap(own, 0x300000, 2 * K), 0);
	assert_false(td_reads(own, 0x300000));
	/* memory that went without the monitor's knowledge */
	munmap(mem + 7 * K, K);
	assert_int_equal(uvfio_vm_dma_map(own, 0x500000, 6 * K, 2 * K, rw), -EFAULT);
	/* what is removed goes here, too, as far as it was that */
	assert_int_equal(uvfio_vm_memory_remove(vm, 0, 8 * K), 0);
	assert_false(td_reads(own, 0x100000));
	assert_true(td_reads(own, 0x104000));
	/* a second one of the group sees the same, and must want it */
	assert_int_equal(uvfio_vm_assign(vm, "testdev,group=30,addr=06:00.1", NULL, &with),
			 -EINVAL);
	assert_true(says("iommu=vmm"));
	with = guest_assign(vm, "testdev,group=30,addr=06:00.1", "iommu=vmm");
	assert_true(td_reads(with, 0x104000));
	assert_int_equal(uvfio_vm_dma_map(with, 0, 0xf0000, K, UVFIO_VM_READ), 0);
	uvfio_vm_unassign(with);
	assert_true(td_reads(own, 0));
	uvfio_vm_unassign(own);
	assert_true(cds_list_empty(&vm->memory.spaces));
}

/* The same of memory that comes and goes. */
static void own_iommu_discardable(void **state)
{
	struct uvfio_vm_device *own = guest_assign(vm, "testdev", "iommu=vmm");
	struct uvfio_vm_memory m = granules(0x100000, 32 * K, mem, 2 * K);

	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	assert_int_equal(uvfio_vm_dma_map(own, 0, 0x100000, 4 * K, UVFIO_VM_READ), -ENOENT);
	assert_int_equal(uvfio_vm_memory_populate(vm, 0x102000, 6 * K), 0);
	assert_int_equal(uvfio_vm_dma_map(own, 0, 0x101000, 4 * K, UVFIO_VM_READ), -ENOENT);
	assert_int_equal(uvfio_vm_dma_map(own, 0, 0x103000, 6 * K, UVFIO_VM_READ), -ENOENT);
	assert_int_equal(uvfio_vm_dma_map(own, 0, 0x103000, 5 * K, UVFIO_VM_READ), 0);
	assert_true(td_reads(own, 0) && td_reads(own, 5 * K - 1));
	assert_int_equal(uvfio_vm_memory_discard(vm, 0x106000, 2 * K), 0);
	assert_false(td_reads(own, 3 * K) || td_reads(own, 4 * K));
	assert_true(td_reads(own, 2 * K));
	uvfio_vm_unassign(own);
}

/* A device that is taken away waits for whoever maps something for it. */
struct mapper {
	struct uvfio_vm_device *own;
	int rc;
};

static void *map_for(void *arg)
{
	struct mapper *m = arg;

	m->rc = uvfio_vm_dma_map(m->own, 0x100000, 0, K, UVFIO_VM_READ);
	return NULL;
}

static void *take_away(void *arg)
{
	uvfio_vm_unassign(arg);
	return NULL;
}

/* Wait until @dev has @inside in it. */
static void wait_inside(struct uvfio_vm_device *d, uint32_t inside)
{
	for (unsigned i = 0; i < 10000 && atomic_load(&d->inside) != inside; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&d->inside), inside);
}

static void own_iommu_leaving(void **state)
{
	struct mapper m = { guest_assign(vm, "testdev", "iommu=vmm"), -1 };
	pthread_t maps, unassigns;

	assert_int_equal(guest_add(vm, 0, 8 * K, mem, 0), 0);
	uvfio_vm_memory_begin(vm);
	assert_int_equal(pthread_create(&maps, NULL, map_for, &m), 0);
	wait_inside(m.own, 1);
	assert_int_equal(pthread_create(&unassigns, NULL, take_away, m.own), 0);
	wait_inside(m.own, VM_LEAVING | 1);
	assert_int_equal(uvfio_vm_memory_commit(vm), 0);
	pthread_join(maps, NULL);
	pthread_join(unassigns, NULL);
	assert_int_equal(m.rc, 0);
}

/* ---- random calls against a table ---- */

#define SPACE	 48u /* pages of the guest */
#define GRANULES 4u  /* of the discardable part, pages 32-47 */

/* The bytes that the device finds in each page, in the guest's space and in one of its own. */
static struct {
	char *guest[SPACE], *own[SPACE];
	unsigned own_of[SPACE]; /* the guest's page of each of own */
	bool readonly[SPACE];
	struct {
		uint64_t gpa, size;
	} sections[SPACE];
	unsigned n;
} model;

static void *find(struct vfio_ioas *io, uint64_t iova, unsigned prot)
{
	enum iommu_fault_reason why;
	uint64_t contig;
	void *p;

	rcu_read_begin();
	p = iommu_domain_translate(vfio_ioas_domain(io), iova, prot, &contig, &why);
	rcu_read_end();
	return p;
}

static void compare(struct uvfio_vm_device *own)
{
	for (unsigned i = 0; i < SPACE; i++) {
		char *want = model.guest[i];

		assert_ptr_equal(find(vm->memory.ioas, i * K, IOMMU_READ), want);
		assert_ptr_equal(find(vm->memory.ioas, i * K, IOMMU_WRITE),
				 model.readonly[i] ? NULL : want);
		assert_ptr_equal(find(own->dma.ioas, i * K, IOMMU_READ), model.own[i]);
	}
}

/* Pages [@from, @from + @n) of the guest go. */
static void model_drop(unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++) {
		for (unsigned k = 0; k < SPACE; k++)
			if (model.own[k] && model.own_of[k] == i)
				model.own[k] = NULL;
		model.guest[i] = NULL;
		model.readonly[i] = false;
	}
}

static void random_add(void)
{
	unsigned n = 1 + (unsigned)random() % 6, at = (unsigned)random() % (32 - n);
	bool rom = !(random() % 4), hit = false;
	char *host = mem + (unsigned)random() % 16 * K;

	for (unsigned i = 0; i < model.n; i++)
		hit |= at * K < model.sections[i].gpa + model.sections[i].size &&
		       model.sections[i].gpa < (at + n) * K;
	assert_int_equal(guest_add(vm, at * K, n * K, host, rom ? UVFIO_VM_MEM_READONLY : 0),
			 hit ? -EEXIST : 0);
	if (hit)
		return;
	model.sections[model.n].gpa = at * K;
	model.sections[model.n++].size = n * K;
	for (unsigned i = 0; i < n; i++) {
		model.guest[at + i] = host + i * K;
		model.readonly[at + i] = rom;
	}
}

static void random_remove(void)
{
	unsigned i;

	if (!model.n)
		return;
	i = (unsigned)random() % model.n;
	assert_int_equal(uvfio_vm_memory_remove(vm, model.sections[i].gpa, model.sections[i].size),
			 0);
	model_drop((unsigned)(model.sections[i].gpa / K), (unsigned)(model.sections[i].size / K));
	model.sections[i] = model.sections[--model.n];
}

static void random_granules(void)
{
	unsigned g = (unsigned)random() % GRANULES, n = 1 + (unsigned)random() % (GRANULES - g);
	uint64_t gpa = (32 + 4 * g) * K;

	if (random() % 2) {
		assert_int_equal(uvfio_vm_memory_populate(vm, gpa, n * 4 * K), 0);
		for (unsigned i = 4 * g; i < 4 * (g + n); i++)
			model.guest[32 + i] = mem + (32 + i) * K;
	} else {
		assert_int_equal(uvfio_vm_memory_discard(vm, gpa, n * 4 * K), 0);
		model_drop(32 + 4 * g, 4 * n);
	}
}

/* True if every page of [@from, @from + @n) is there; and mapped in its own space. */
static bool all_there(unsigned from, unsigned n)
{
	bool all = true;

	for (unsigned i = from; i < from + n; i++)
		all &= model.guest[i] != NULL;
	return all;
}

static bool any_own(unsigned from, unsigned n)
{
	bool any = false;

	for (unsigned i = from; i < from + n; i++)
		any |= model.own[i] != NULL;
	return any;
}

/* One page at a time is unmapped if its mapping is of one; else it says that it would cut. */
static void random_own(struct uvfio_vm_device *own)
{
	unsigned n = 1 + (unsigned)random() % 8, at = (unsigned)random() % (SPACE - n);
	unsigned gpa = (unsigned)random() % (SPACE - n);
	int rc = any_own(at, n) ? -EEXIST : all_there(gpa, n) ? 0 : -ENOENT;
	int64_t bytes;

	if (random() % 2) {
		assert_int_equal(uvfio_vm_dma_map(own, at * K, gpa * K, n * K, UVFIO_VM_READ), rc);
		for (unsigned i = 0; !rc && i < n; i++) {
			model.own[at + i] = model.guest[gpa + i];
			model.own_of[at + i] = gpa + i;
		}
		return;
	}
	bytes = uvfio_vm_dma_unmap(own, at * K, n * K);
	if (bytes == -EINVAL) {
		assert_true(any_own(at, n));
		return;
	}
	for (unsigned i = at; i < at + n; i++) {
		bytes -= model.own[i] ? (int64_t)K : 0;
		model.own[i] = NULL;
	}
	assert_int_equal(bytes, 0);
}

static void random_calls(void **state)
{
	struct uvfio_vm_device *own = guest_assign(vm, "testdev", "iommu=vmm");
	struct uvfio_vm_memory m = granules(32 * K, 16 * K, mem + 32 * K, 4 * K);

	memset(&model, 0, sizeof(model));
	srandom(11);
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	for (unsigned i = 0; i < 4000; i++) {
		switch (random() % 8) {
		case 0:
		case 1:
			random_add();
			break;
		case 2:
			random_remove();
			break;
		case 3:
			random_granules();
			break;
		case 4: /* who comes and goes changes nothing for the other */
			if (random() % 10)
				break;
			uvfio_vm_unassign(dev);
			dev = guest_assign(vm, "testdev", NULL);
			break;
		default:
			random_own(own);
			break;
		}
		if (i % 4 == 0)
			compare(own);
	}
	compare(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(own_iommu, setup_device, teardown),
		cmocka_unit_test_setup_teardown(own_iommu_discardable, setup, teardown),
		cmocka_unit_test_setup_teardown(own_iommu_leaving, setup, teardown),
		cmocka_unit_test_setup_teardown(random_calls, setup_device, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
