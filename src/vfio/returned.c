/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/returned.c: memory that libc gives back inside of itself while a device has it: free() of a
 * large block, a thread's stack. It may hold malloc's locks then, so nothing here waits for
 * anything that another thread could hold while it allocates: no pages are moved, as for the
 * program's own munmap, and nobody waits for the devices. The memory stays where it is, for the
 * devices, and the munmap is made up for when the last mapping that touches it goes.
 *
 * The program cannot tell, but that the place stays taken: what it maps without saying where comes
 * to lie elsewhere, and what it maps just there takes the place over (vfio_place_taken).
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/reach.h"
#include "base/sys.h"
#include "vfio/internal.h"

/* Return the first record that has some of [@start, @last], or NULL. */
static struct returned *first(const struct vfio_ioas_set *s, uint64_t start, uint64_t last)
{
	struct itree_node *n = itree_first(&s->returned, start, last);

	return n ? container_of_type(n, struct returned, node) : NULL;
}

static void add(struct vfio_ioas_set *s, struct returned *r, uint64_t start, uint64_t last)
{
	r->node.start = start;
	r->node.last = last;
	itree_insert(&s->returned, &r->node);
	atomic_fetch_add(&s->num_returned, 1);
}

static void forget(struct vfio_ioas_set *s, struct returned *r)
{
	itree_remove(&s->returned, &r->node);
	atomic_fetch_sub(&s->num_returned, 1);
}

/*
 * Return the end of what mappings have of [@start, @last] without a gap from @start on; @start:
 * they have nothing there.
 */
static uint64_t reach_of(const struct vfio_ioas_set *s, uint64_t start, uint64_t last)
{
	struct itree_node *n;
	struct vfio_ioas *io;
	uint64_t end = start;
	bool grew;

	do {
		grew = false;
		cds_list_for_each_entry(io, &s->spaces, in_set) {
			while (end <= last && (n = itree_first(&io->by_mem, end, end))) {
				end = n->last + 1;
				grew = true;
			}
		}
	} while (grew && end <= last);
	return end <= last ? end : last + 1;
}

/* True if mappings have some of [@start, @last]; @at gets where it begins. */
static bool touched(const struct vfio_ioas_set *s, uint64_t start, uint64_t last, uint64_t *at)
{
	uint64_t best = UINT64_MAX;
	struct itree_node *n;
	struct vfio_ioas *io;

	cds_list_for_each_entry(io, &s->spaces, in_set) {
		n = itree_first(&io->by_mem, start, last);
		if (n && n->start < best)
			best = n->start;
	}
	*at = best > start ? best : start;
	return best != UINT64_MAX;
}

bool vfio_next_in_use(struct vfio_system *sys, uint64_t from, uint64_t to, bool keep,
		      uint64_t *start, uint64_t *end)
{
	struct vfio_ioas_set *s = &sys->ioases;
	struct returned *r;
	bool found;

	if (from >= to || !vfio_pages_near(sys, from, to - 1))
		return false;
	pthread_mutex_lock(&s->maps_lock);
	found = touched(s, from, to - 1, start);
	if (found) {
		*end = reach_of(s, *start, to - 1);
		/* a huge page stays as a whole */
		*start = align_down(*start, reach_page_size(*start));
		*end = align_up(*end, reach_page_size(*end - 1));
		if (*start < from)
			*start = from;
		if (*end > to)
			*end = to;
		r = keep ? first(s, *start, *end - 1) : NULL;
		/* what was given back before is not remembered twice */
		if (r && r->node.start > *start)
			*end = r->node.start;
		else if (r && r->node.last < *end - 1)
			*end = r->node.last + 1;
		if (keep && (!r || r->node.start > *start)) {
			/* without memory to remember it, it stays until the program ends */
			r = pool_take(&s->returned_pool);
			if (r)
				add(s, r, *start, *end - 1);
		}
	}
	pthread_mutex_unlock(&s->maps_lock);
	return found;
}

void vfio_place_taken(struct vfio_system *sys, uint64_t from, uint64_t to)
{
	struct vfio_ioas_set *s = &sys->ioases;
	struct returned *r, *rest;
	uint64_t start, last;

	if (from >= to || !atomic_load_explicit(&s->num_returned, memory_order_relaxed))
		return;
	pthread_mutex_lock(&s->maps_lock);
	while ((r = first(s, from, to - 1))) {
		start = r->node.start;
		last = r->node.last;
		forget(s, r);
		if (start < from) {
			add(s, r, start, from - 1);
			r = NULL;
		}
		if (last >= to && (rest = r ? r : pool_take(&s->returned_pool))) {
			add(s, rest, to, last);
			r = NULL;
		}
		if (r)
			pool_put(&s->returned_pool, r);
	}
	pthread_mutex_unlock(&s->maps_lock);
}

bool returned_touches(const struct vfio_ioas_set *s, uint64_t start, uint64_t last)
{
	return itree_first(&s->returned, start, last);
}

uint64_t returned_release(struct vfio_ioas_set *s, uint64_t start, uint64_t last)
{
	struct itree_node *n = itree_first(&s->returned, start, last), *next;
	uint64_t bytes = 0, at;

	for (; n; n = next) {
		next = itree_next(n, start, last);
		if (touched(s, n->start, n->last, &at))
			continue;
		forget(s, container_of_type(n, struct returned, node));
		/*
		 * with the lock held: a call that takes the place over after this must not lose
		 * what it puts there
		 */
		sys_call(SYS_munmap, (long)n->start, (long)(n->last - n->start + 1), 0, 0, 0, 0);
		bytes += n->last - n->start + 1;
		pool_put(&s->returned_pool, container_of_type(n, struct returned, node));
	}
	return bytes;
}
