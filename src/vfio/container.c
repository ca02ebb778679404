/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/container.c: a container: groups that share one type1 address space. As in the kernel the
 * IOMMU comes with SET_IOMMU, which needs a group, and goes with the last group; the container
 * itself lives as long as its file or a group holds it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/report.h"
#include "vfio/group.h"
#include "vfio/internal.h"
#include "vfio/kernel.h"
#include "vfio/type1.h"

struct vfio_container {
	struct ref ref;
	struct vfio_system *sys;
	/*
	 * Writers (attach, detach, SET_IOMMU) exclude each other and the calls on the address
	 * space, which read. Its place in the order: vfio/ioas.h. A waiting writer goes before
	 * new readers, or a client that maps without pause would never let one in; no thread reads
	 * twice.
	 */
	pthread_rwlock_t lock;
	struct cds_list_head groups;
	struct vfio_type1 *type1;
	bool noiommu; /* its groups have no IOMMU */
	bool is_set;  /* and SET_IOMMU said so */
};

struct vfio_container *vfio_container_new(struct vfio_system *s)
{
	struct vfio_container *c = heap_alloc(sizeof(*c));
	pthread_rwlockattr_t attr;

	if (!c)
		return NULL;
	ref_init(&c->ref);
	c->sys = s;
	CDS_INIT_LIST_HEAD(&c->groups);
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&c->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return c;
}

void vfio_container_get(struct vfio_container *c)
{
	ref_get(&c->ref);
}

void vfio_container_put(struct vfio_container *c)
{
	if (!ref_put(&c->ref))
		return;
	/*
	 * each group holds a reference: there is none left, and with the last went the address
	 * space
	 */
	pthread_rwlock_destroy(&c->lock);
	heap_free(c);
}

static bool noiommu_mode(struct vfio_system *s)
{
	return s->env->noiommu && s->env->noiommu(s->env_arg);
}

bool vfio_may_rawio(struct vfio_system *s)
{
	if (!s->env->rawio || s->env->rawio(s->env_arg))
		return true;
	report_warn("noiommu-rawio", "machine", -EPERM,
		    "devices without an IOMMU are for those who have CAP_SYS_RAWIO");
	return false;
}

/* With groups it is theirs to say, without any it is type1 or none. The lock is held. */
static bool may_have_type1(struct vfio_container *c)
{
	return cds_list_empty(&c->groups) || !c->noiommu;
}

int vfio_container_check_extension(struct vfio_container *c, unsigned long ext)
{
	int ret = 0;

	pthread_rwlock_rdlock(&c->lock);
	switch (ext) {
	case VFIO_TYPE1_NESTING_IOMMU:
		ret = may_have_type1(c) && !vfio_kernel_has(VFIO_KERNEL_NO_NESTING);
		break;
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		ret = may_have_type1(c);
		break;
	case VFIO_UPDATE_VADDR: /* both are the address space's to tell: not before there is one */
	case VFIO_DMA_CC_IOMMU:
		ret = c->type1 != NULL;
		break;
	case VFIO_NOIOMMU_IOMMU:
		ret = (cds_list_empty(&c->groups) || c->noiommu) && noiommu_mode(c->sys);
		break;
	}
	pthread_rwlock_unlock(&c->lock);
	return ret;
}

bool vfio_container_is_noiommu(struct vfio_container *c)
{
	bool is;

	pthread_rwlock_rdlock(&c->lock);
	is = c->is_set;
	pthread_rwlock_unlock(&c->lock);
	return is;
}

/* SET_IOMMU of a container whose groups have no IOMMU: there is nothing to make. */
static int set_noiommu(struct vfio_container *c, unsigned long type)
{
	if (type != VFIO_NOIOMMU_IOMMU || !noiommu_mode(c->sys))
		return report_warn("set-noiommu-type", "container", -ENODEV,
				   "SET_IOMMU %lu: its groups have no IOMMU, so that it takes 8, "
				   "with enable_unsafe_noiommu_mode on",
				   type);
	if (!vfio_may_rawio(c->sys))
		return -EPERM;
	c->is_set = true;
	return 0;
}

int vfio_container_set_iommu(struct vfio_container *c, unsigned long type)
{
	struct vfio_group *g;
	int ret = -EINVAL;

	pthread_rwlock_wrlock(&c->lock);
	if (cds_list_empty(&c->groups) || c->type1 || c->is_set) {
		report_warn("set-iommu-order", "container", -EINVAL, "SET_IOMMU %s",
			    c->type1 || c->is_set
				    ? "a second time"
				    : "before a group was added (GROUP_SET_CONTAINER)");
		goto out;
	}
	if (c->noiommu) {
		ret = set_noiommu(c, type);
		goto out;
	}
	ret = -ENODEV;
	if (type == VFIO_TYPE1_NESTING_IOMMU && !vfio_kernel_has(VFIO_KERNEL_NO_NESTING))
		type = VFIO_TYPE1v2_IOMMU;
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) {
		report_warn("set-iommu-type", "container", -ENODEV,
			    "SET_IOMMU %lu: only type1 (1) and type1v2 (3) are there", type);
		goto out;
	}
	ret = -ENOMEM;
	c->type1 = vfio_type1_new(c->sys, type == VFIO_TYPE1v2_IOMMU);
	if (!c->type1)
		goto out;
	cds_list_for_each_entry(g, &c->groups, in_container)
		vfio_ioas_attach(vfio_type1_ioas(c->type1), g->iommu);
	ret = 0;
out:
	pthread_rwlock_unlock(&c->lock);
	return ret;
}

struct vfio_type1 *vfio_container_type1_get(struct vfio_container *c)
{
	pthread_rwlock_rdlock(&c->lock);
	if (c->type1)
		return c->type1;
	pthread_rwlock_unlock(&c->lock);
	return NULL;
}

void vfio_container_type1_put(struct vfio_container *c)
{
	pthread_rwlock_unlock(&c->lock);
}

struct vfio_ioas *vfio_container_ioas(struct vfio_container *c)
{
	struct vfio_ioas *io;

	pthread_rwlock_rdlock(&c->lock);
	io = c->type1 ? vfio_type1_ioas(c->type1) : NULL;
	pthread_rwlock_unlock(&c->lock);
	return io;
}

int vfio_container_attach(struct vfio_container *c, struct vfio_group *g)
{
	int ret = 0;

	pthread_rwlock_wrlock(&c->lock);
	if (!cds_list_empty(&c->groups) && c->noiommu != g->noiommu) {
		ret = -EPERM;
	} else {
		c->noiommu = g->noiommu;
		cds_list_add_tail(&g->in_container, &c->groups);
		if (c->type1)
			vfio_ioas_attach(vfio_type1_ioas(c->type1), g->iommu);
	}
	pthread_rwlock_unlock(&c->lock);
	return ret;
}

void vfio_container_detach(struct vfio_container *c, struct vfio_group *g)
{
	pthread_rwlock_wrlock(&c->lock);
	cds_list_del(&g->in_container);
	if (c->type1)
		vfio_ioas_detach(vfio_type1_ioas(c->type1), g->iommu);
	if (c->type1 && cds_list_empty(&c->groups)) {
		vfio_type1_free(c->type1);
		c->type1 = NULL;
	}
	if (cds_list_empty(&c->groups))
		c->is_set = false;
	pthread_rwlock_unlock(&c->lock);
}
