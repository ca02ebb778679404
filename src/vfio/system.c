/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/system.c: the registry: the groups of a machine, and what all of them share.
 */
#include <errno.h>
#include <string.h>

#include "base/heap.h"
#include "base/reach.h"
#include "vfio/group.h"
#include "vfio/internal.h"

static const struct vfio_env no_env = { .dma_entry_limit = VFIO_DMA_ENTRY_LIMIT };

struct vfio_system *vfio_system_new(const struct vfio_env *env, void *arg)
{
	struct vfio_system *s = heap_alloc(sizeof(*s));

	if (!s)
		return NULL;
	s->loop = loop_new();
	if (!s->loop) {
		heap_free(s);
		return NULL;
	}
	s->env = env ? env : &no_env;
	s->env_arg = arg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->topology_lock, NULL);
	pthread_mutex_init(&s->dmabuf_lock, NULL);
	pthread_mutex_init(&s->imports_lock, NULL);
	CDS_INIT_LIST_HEAD(&s->imports);
	CDS_INIT_LIST_HEAD(&s->dmabufs);
	vfio_ioas_set_init(&s->ioases);
	reach_init();
	return s;
}

void vfio_system_free(struct vfio_system *s)
{
	if (!s)
		return;
	physical_free(s);
	for (unsigned i = 0; i < s->n; i++) {
		pthread_mutex_destroy(&s->groups[i]->lock);
		pthread_mutex_destroy(&s->groups[i]->take_lock);
		heap_free(s->groups[i]->places);
		heap_free(s->groups[i]);
	}
	heap_free(s->groups);
	heap_free(s->foreign);
	if (s->v3)
		s->v3_free(s->v3);
	if (s->host)
		s->host_free(s->host);
	loop_free(s->loop);
	vfio_ioas_set_destroy(&s->ioases);
	pthread_mutex_destroy(&s->imports_lock);
	pthread_mutex_destroy(&s->dmabuf_lock);
	pthread_mutex_destroy(&s->topology_lock);
	pthread_mutex_destroy(&s->lock);
	heap_free(s);
}

int vfio_system_add_group(struct vfio_system *s, struct iommu_group *ig, struct vfio_group **out)
{
	struct vfio_group *g = heap_alloc(sizeof(*g)), **groups;
	int ret = -ENOMEM;

	if (!g)
		return -ENOMEM;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < s->n; i++) {
		if (s->groups[i]->iommu->id == ig->id) {
			ret = -EEXIST;
			goto out;
		}
	}
	pthread_mutex_init(&g->take_lock, NULL);
	pthread_mutex_init(&g->lock, NULL);
	g->iommu = ig;
	g->system = s;
	pthread_mutex_lock(&s->topology_lock);
	groups = heap_resize(s->groups, (s->n + 1) * sizeof(*groups));
	if (groups) {
		s->groups = groups;
		s->groups[s->n++] = g;
		*out = g;
		g = NULL;
		ret = 0;
	}
	pthread_mutex_unlock(&s->topology_lock);
out:
	pthread_mutex_unlock(&s->lock);
	heap_free(g);
	return ret;
}

struct vfio_group *vfio_system_group(struct vfio_system *s, unsigned id)
{
	struct vfio_group *g = NULL;

	pthread_mutex_lock(&s->lock);
	pthread_mutex_lock(&s->topology_lock);
	for (unsigned i = 0; i < s->n && !g; i++) {
		if (s->groups[i]->iommu->id == id && s->groups[i]->n)
			g = s->groups[i];
	}
	pthread_mutex_unlock(&s->topology_lock);
	pthread_mutex_unlock(&s->lock);
	return g;
}

int vfio_system_cdev(struct vfio_system *s, unsigned index, struct vfio_place *out)
{
	struct pci_address at;
	int ret = s->env->cdev ? s->env->cdev(s->env_arg, index, &at) : 0;

	if (ret)
		return ret;
	ret = -ENOENT;
	pthread_mutex_lock(&s->topology_lock);
	for (unsigned i = 0; i < s->n && ret; i++)
		for (unsigned k = 0; k < s->groups[i]->n && ret; k++) {
			const struct vfio_place *p = &s->groups[i]->places[k];

			if (s->env->cdev ? !pci_address_equal(&p->address, &at) : index--)
				continue;
			*out = *p;
			out->group = s->groups[i];
			ret = 0;
		}
	pthread_mutex_unlock(&s->topology_lock);
	return ret;
}
