/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/dma.c: the address space of a device: the guest's memory, or one that the monitor fills,
 * since it has an IOMMU of its own. Devices of one group share the latter.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "iommu/populate.h"
#include "vmm/internal.h"

/* An address space of iommu=vmm. */
struct vm_space {
	struct cds_list_head node; /* vm_memory.spaces */
	struct vfio_group *group;
	struct vfio_ioas *ioas;
	unsigned users;
	/* mappings of it, by IOVA and by the guest's memory; memory.lock */
	struct itree by_iova, by_gpa;
};

struct mapping {
	struct itree_node by_iova, by_gpa;
};

static struct mapping *of_iova(struct itree_node *n)
{
	return n ? container_of_type(n, struct mapping, by_iova) : NULL;
}

static uint64_t size_of(const struct mapping *m)
{
	return m->by_iova.last - m->by_iova.start + 1;
}

/* ---- spaces ---- */

/* Return the space of group @g with one user more; NULL: no memory. Lock held. */
static struct vm_space *space_get(struct uvfio_vm *vm, struct vfio_group *g)
{
	struct vm_space *s;

	cds_list_for_each_entry(s, &vm->memory.spaces, node) {
		if (s->group != g)
			continue;
		s->users++;
		return s;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->ioas = vfio_ioas_new(machine_system(vm->machine), false);
	if (!s->ioas) {
		free(s);
		return NULL;
	}
	s->group = g;
	s->users = 1;
	cds_list_add_tail(&s->node, &vm->memory.spaces);
	return s;
}

/* Take @m out of @s, and out of the devices' reach. */
static void drop(struct vm_space *s, struct mapping *m)
{
	uint64_t bytes;

	vfio_ioas_unmap(s->ioas, m->by_iova.start, size_of(m), &bytes);
	itree_remove(&s->by_iova, &m->by_iova);
	itree_remove(&s->by_gpa, &m->by_gpa);
	free(m);
}

static void space_put(struct vm_space *s)
{
	struct mapping *m;

	if (--s->users)
		return;
	while ((m = of_iova(itree_first(&s->by_iova, 0, UINT64_MAX))))
		drop(s, m);
	cds_list_del(&s->node);
	vfio_ioas_put(s->ioas);
	free(s);
}

/* ---- a device ---- */

/* A group is in one address space as a whole. 0 or -EINVAL with a sentence. */
static int check_group(struct uvfio_vm_device *dev)
{
	const struct vfio_group *g = dev->plugged->vdev->group;
	struct uvfio_vm_device *other;

	cds_list_for_each_entry(other, &dev->vm->devices, node)
		if (other->plugged->vdev->group == g && !other->dma.own == dev->options.iommu_vmm)
			return vm_fail(dev->vm, -EINVAL,
				       "%s is in a group with %s, which has iommu=%s: both must "
				       "have the same",
				       dev->name, other->name, other->dma.own ? "vmm" : "guest");
	return 0;
}

int vm_dma_init(struct uvfio_vm_device *dev)
{
	struct vm_memory *mem = &dev->vm->memory;
	int rc = check_group(dev);

	if (rc)
		return rc;
	if (dev->options.iommu_vmm) {
		pthread_mutex_lock(&mem->lock);
		dev->dma.own = space_get(dev->vm, dev->plugged->vdev->group);
		pthread_mutex_unlock(&mem->lock);
		if (!dev->dma.own)
			return vm_fail(dev->vm, -ENOMEM, "out of memory");
		dev->dma.ioas = dev->dma.own->ioas;
	} else {
		rc = vm_memory_use(dev->vm);
		if (rc)
			return rc;
		dev->dma.ioas = mem->ioas;
	}
	if (dev->plugged->vdev->pins)
		atomic_fetch_add(&mem->pinning, 1);
	return 0;
}

void vm_dma_fini(struct uvfio_vm_device *dev)
{
	struct vm_memory *mem = &dev->vm->memory;

	if (dev->plugged->vdev->pins)
		atomic_fetch_sub(&mem->pinning, 1);
	if (dev->dma.own) {
		pthread_mutex_lock(&mem->lock);
		space_put(dev->dma.own);
		pthread_mutex_unlock(&mem->lock);
	} else {
		vm_memory_unuse(dev->vm);
	}
}

int vm_dma_attach(struct uvfio_vm_device *dev)
{
	int rc = vfio_device_attach(&dev->open, dev->dma.ioas);

	if (dev->dma.own)
		return rc ? vm_fail(dev->vm, rc, "%s cannot be in an address space of its own: %s",
				    dev->name, strerror(-rc))
			  : 0;
	/* it may be that only BARs of others are out of its reach, which is no reason */
	if (rc && vm_memory_drop_peers(dev->vm)) {
		rc = vfio_device_attach(&dev->open, dev->dma.ioas);
		vm_memory_map_peers(dev->vm);
	}
	if (rc)
		return vm_memory_explain_all(dev, rc);
	vm_memory_check_limit(dev->vm);
	return 0;
}

/* ---- the monitor's IOMMU ---- */

void vm_dma_drop(struct uvfio_vm *vm, uint64_t gpa, uint64_t last)
{
	struct itree_node *n;
	struct vm_space *s;

	cds_list_for_each_entry(s, &vm->memory.spaces, node)
		while ((n = itree_first(&s->by_gpa, gpa, last)))
			drop(s, container_of_type(n, struct mapping, by_gpa));
}

/* True if a mapping reaches over an end of [@iova, @last]. */
static bool would_cut(const struct vm_space *s, uint64_t iova, uint64_t last)
{
	const struct mapping *m = of_iova(itree_first(&s->by_iova, iova, iova));

	if (m && m->by_iova.start < iova)
		return true;
	m = of_iova(itree_first(&s->by_iova, last, last));
	return m && m->by_iova.last > last;
}

/* Unmap all of [@iova, @last], which cuts nothing. Return the bytes. */
static uint64_t unmap(struct vm_space *s, uint64_t iova, uint64_t last)
{
	uint64_t bytes = 0;
	struct mapping *m;

	while ((m = of_iova(itree_first(&s->by_iova, iova, last)))) {
		bytes += size_of(m);
		drop(s, m);
	}
	return bytes;
}

/* Check the numbers of both calls. 0 or -EINVAL with a sentence. */
static int check_range(struct uvfio_vm_device *dev, uint64_t iova, uint64_t size)
{
	if (!dev->dma.own)
		return vm_fail(dev->vm, -EINVAL, "%s was not assigned with iommu=vmm", dev->name);
	if (!size || (iova | size) % PAGE_SIZE_4K || add_overflows(iova, size - 1))
		return vm_fail(dev->vm, -EINVAL,
			       "%s: 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
			       " are no range of whole pages",
			       dev->name, size, iova);
	return 0;
}

/* Map what of [@gpa, @gpa + *@size) is one piece; *@size gets how much. 0 or with a sentence. */
static int map_piece(struct uvfio_vm_device *dev, uint64_t iova, uint64_t gpa, uint64_t *size,
		     unsigned prot)
{
	struct vm_space *s = dev->dma.own;
	struct vm_stretch at;
	struct mapping *m;
	int rc;

	if (!vm_memory_at(dev->vm, gpa, *size, &at))
		return vm_fail(dev->vm, -ENOENT, "no guest memory is at 0x%" PRIx64, gpa);
	if (!(prot & at.prot))
		return vm_fail(dev->vm, -EINVAL, "guest memory at 0x%" PRIx64 " is read-only", gpa);
	m = calloc(1, sizeof(*m));
	if (!m)
		return vm_fail(dev->vm, -ENOMEM, "out of memory");
	rc = iommu_check_mapped(at.host, at.size);
	if (!rc)
		rc = vfio_ioas_map_kept(s->ioas, iova, at.host, at.size, prot & at.prot, at.fd,
					at.fd_offset);
	if (rc) {
		free(m);
		return vm_memory_explain(dev->vm, s->ioas, rc, gpa, iova, at.size);
	}
	*size = at.size;
	m->by_iova.start = iova;
	m->by_iova.last = iova + (at.size - 1);
	m->by_gpa.start = gpa;
	m->by_gpa.last = gpa + (at.size - 1);
	itree_insert(&s->by_iova, &m->by_iova);
	itree_insert(&s->by_gpa, &m->by_gpa);
	return 0;
}

/* Map all of it, or nothing. Lock held. */
static int map(struct uvfio_vm_device *dev, uint64_t iova, uint64_t gpa, uint64_t size,
	       unsigned prot)
{
	uint64_t done = 0, n;
	int rc = 0;

	if (itree_first(&dev->dma.own->by_iova, iova, iova + (size - 1)))
		return vm_fail(dev->vm, -EEXIST,
			       "%s: something is mapped in 0x%" PRIx64 "-0x%" PRIx64, dev->name,
			       iova, iova + (size - 1));
	for (; done < size && !rc; done += rc ? 0 : n) {
		n = size - done;
		rc = map_piece(dev, iova + done, gpa + done, &n, prot);
	}
	if (rc && done)
		unmap(dev->dma.own, iova, iova + (done - 1));
	return rc;
}

int uvfio_vm_dma_map(struct uvfio_vm_device *dev, uint64_t iova, uint64_t gpa, uint64_t size,
		     unsigned prot)
{
	VM_CALL();
	unsigned rights =
		(prot & UVFIO_VM_READ ? IOMMU_READ : 0) | (prot & UVFIO_VM_WRITE ? IOMMU_WRITE : 0);
	int rc = check_range(dev, iova, size);

	if (rc)
		return rc;
	if (!rights || prot & ~(UVFIO_VM_READ | UVFIO_VM_WRITE))
		return vm_fail(dev->vm, -EINVAL, "no such rights: 0x%x", prot);
	if (gpa % PAGE_SIZE_4K || add_overflows(gpa, size - 1))
		return vm_fail(dev->vm, -EINVAL, "guest memory at 0x%" PRIx64 ": no whole pages",
			       gpa);
	/* whoever waits for the lock has the device stay */
	if (!vm_enter(dev))
		return -ENODEV;
	pthread_mutex_lock(&dev->vm->memory.lock);
	rc = map(dev, iova, gpa, size, rights);
	pthread_mutex_unlock(&dev->vm->memory.lock);
	vm_leave(dev);
	return rc;
}

int64_t uvfio_vm_dma_unmap(struct uvfio_vm_device *dev, uint64_t iova, uint64_t size)
{
	VM_CALL();
	int64_t done = check_range(dev, iova, size);

	if (done)
		return done;
	if (!vm_enter(dev))
		return -ENODEV;
	pthread_mutex_lock(&dev->vm->memory.lock);
	if (would_cut(dev->dma.own, iova, iova + (size - 1)))
		done = vm_fail(dev->vm, -EINVAL,
			       "%s: unmapping 0x%" PRIx64 "-0x%" PRIx64 " would cut a mapping",
			       dev->name, iova, iova + (size - 1));
	else
		done = (int64_t)unmap(dev->dma.own, iova, iova + (size - 1));
	pthread_mutex_unlock(&dev->vm->memory.lock);
	vm_leave(dev);
	return done;
}
