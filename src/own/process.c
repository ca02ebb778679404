/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own/process.c: the processes of the program, as far as calls of theirs leave something that goes
 * with them: mappings of BARs, and their memory, which devices reach until it is unmapped.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/sys.h"
#include "iommu/peer.h"
#include "own/internal.h"

static struct own_process *new_process(uint64_t self, int mem)
{
	struct own_process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	/* what is mapped for devices outlives the process, for others that have the container */
	p->memory = iommu_target_new_file("a process", mem, true);
	if (!p->memory) {
		free(p);
		return NULL;
	}
	p->self = self;
	p->mem = mem;
	pthread_mutex_init(&p->lock, NULL);
	CDS_INIT_LIST_HEAD(&p->holds);
	return p;
}

struct own_process *own_process_join(struct own *o, uint64_t self, int mem)
{
	struct own_process *p, *found = NULL;

	pthread_mutex_lock(&o->lock);
	cds_list_for_each_entry(p, &o->processes, node)
		if (p->self == self)
			found = p;
	if (found) {
		fd_close_private(mem);
	} else {
		found = new_process(self, mem);
		if (found)
			cds_list_add(&found->node, &o->processes);
	}
	if (found)
		found->links++;
	pthread_mutex_unlock(&o->lock);
	return found;
}

void own_process_leave(struct own *o, struct own_process *p)
{
	struct own_hold *h, *next;
	bool last;

	pthread_mutex_lock(&o->lock);
	last = !--p->links;
	if (last)
		cds_list_del(&p->node);
	pthread_mutex_unlock(&o->lock);
	if (!last)
		return;
	cds_list_for_each_entry_safe(h, next, &p->holds, node) {
		own_files_hold(&o->files, h->dev, h->ino, false);
		free(h);
	}
	iommu_target_put(p->memory);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct own_hold *find_hold(struct own_process *p, uint64_t dev, uint64_t ino)
{
	struct own_hold *h;

	cds_list_for_each_entry(h, &p->holds, node)
		if (h->ino == ino && h->dev == dev)
			return h;
	return NULL;
}

int own_process_hold(struct own *o, struct own_process *p, uint64_t dev, uint64_t ino)
{
	struct own_hold *h = calloc(1, sizeof(*h));
	bool has;

	if (!h)
		return -ENOMEM;
	h->dev = dev;
	h->ino = ino;
	pthread_mutex_lock(&p->lock);
	has = find_hold(p, dev, ino);
	if (!has && own_files_hold(&o->files, dev, ino, true)) {
		cds_list_add(&h->node, &p->holds);
		h = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	if (!h)
		return 0;
	free(h);
	return has ? 0 : -ENODEV;
}

void own_process_drop(struct own *o, struct own_process *p, uint64_t dev, uint64_t ino)
{
	struct own_hold *h;

	pthread_mutex_lock(&p->lock);
	h = find_hold(p, dev, ino);
	if (h)
		cds_list_del(&h->node);
	pthread_mutex_unlock(&p->lock);
	if (!h)
		return;
	own_files_hold(&o->files, dev, ino, false);
	free(h);
}
