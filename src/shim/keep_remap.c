/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/keep_remap.c: mremap of memory that is mapped for DMA. Program and device go on with the
 * same pages. Shared memory is mapped once more, and the device keeps that view. Private memory
 * cannot be mapped twice, so the device goes along with the program's view. That works where a
 * mapping moves as a whole and has no huge pages, for these leave nothing behind: the place that
 * they come from would be another mapping's at once, with the device still there. Anything else is
 * refused, since an error tells the program more than a device that it has lost.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/maps.h"
#include "base/reach.h"
#include "shim/bars.h"
#include "shim/keep.h"
#include "shim/mem.h"
#include "shim/scope.h"
#include "vfio/aside.h"

static long in_place(void *arg)
{
	struct loss *l = arg;

	return vfio_pages_in_place(l->system, l->addr, l->len);
}

/* The devices keep what is in the range when it moves away. False: it cannot be mapped twice. */
static long keep_view(void *arg)
{
	struct loss *l = arg;
	char *probe = keep_second_view(l->addr, l->len, NULL);

	if (!probe)
		return false;
	sys_call(SYS_munmap, (long)probe, (long)l->len, 0, 0, 0, 0);
	vfio_preserve_pages(l->system, l->addr, l->len, keep_second_view, NULL);
	return true;
}

struct remap {
	struct loss l; /* what moves */
	size_t want;
	int flags;
	char *to; /* with MREMAP_FIXED, where nothing of the program's is any more */
};

/* Let what is at @at, of @have bytes, become @want: what was reserved behind it goes for that. */
static bool grow(char *at, size_t have, size_t want)
{
	if (want <= have)
		return true;
	sys_call(SYS_munmap, (long)(at + have), (long)(want - have), 0, 0, 0, 0);
	return !sys_failed(sys_call(SYS_mremap, (long)at, (long)have, (long)want, 0, 0, 0));
}

static uint64_t move_along(void *arg)
{
	struct remap *r = arg;
	size_t have = r->l.len;
	char *at = r->flags & MREMAP_FIXED ? r->to : keep_reserve(r->l.addr, r->want), *next;

	if (!at)
		return 0;
	if (sys_failed(sys_call(SYS_mremap, (long)r->l.addr, (long)have, (long)have,
				MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (long)at, 0))) {
		if (!(r->flags & MREMAP_FIXED))
			sys_call(SYS_munmap, (long)at, (long)r->want, 0, 0, 0, 0);
		return 0;
	}
	/* another thread's memory may have come behind it just now: then somewhere else */
	while (!grow(at, have, r->want)) {
		next = r->flags & MREMAP_FIXED ? NULL : keep_reserve(at, r->want);
		if (!next || sys_failed(sys_call(SYS_mremap, (long)at, (long)have, (long)have,
						 MREMAP_MAYMOVE | MREMAP_FIXED, (long)next, 0))) {
			report_err("mremap-room", SHIM_WHO, 0,
				   "mremap: no room for %zu bytes more behind %p: it stays as long "
				   "as it was",
				   r->want - have, (void *)at);
			break;
		}
		at = next;
	}
	r->to = at;
	return (uint64_t)at;
}

static long can_follow(void *arg)
{
	struct remap *r = arg;

	return vfio_can_follow(r->l.system, r->l.addr, r->l.len);
}

static long follow(void *arg)
{
	struct remap *r = arg;
	int rc = vfio_follow_pages(r->l.system, r->l.addr, r->l.len, move_along, r);

	if (rc)
		return rc;
	if (!(r->flags & MREMAP_DONTUNMAP))
		sys_call(SYS_munmap, (long)r->l.addr, (long)r->l.len, 0, 0, 0, 0);
	return (long)r->to;
}

/* True if the kernel finds nothing wrong with the arguments and looks at the memory. */
static bool is_sane(const char *old, size_t have, const char *to, size_t want, int flags)
{
	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
	    (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) && !(flags & MREMAP_MAYMOVE)))
		return false;
	if (flags & MREMAP_DONTUNMAP && have != want)
		return false;
	return !(flags & MREMAP_FIXED) ||
	       (!((uint64_t)to % PAGE_SIZE_4K) && (old >= to + want || to >= old + have));
}

/* Set "taken" if the mapping at @addr has all of @len. */
static bool is_whole(const char *line, void *arg)
{
	uint64_t start, end, at;
	struct loss *l = arg;

	at = (uint64_t)l->addr;
	maps_bounds(line, &start, &end);
	if (end <= at)
		return true;
	l->taken = start <= at && end - at >= l->len;
	return false;
}

static long is_one(void *arg)
{
	struct loss *l = arg;

	l->taken = false;
	return !maps_each(is_whole, l) && l->taken;
}

/*
 * True if the kernel would make @want bytes of @have at @old. A call that changes nothing tells, if
 * the length stays; such a range may be of several mappings since 6.17. With another length it must
 * be one mapping.
 */
static bool can_move(char *old, size_t have, size_t want)
{
	struct loss l = { NULL, old, have, false };

	if (sys_failed(sys_call(SYS_mremap, (long)old, (long)have, (long)have, 0, 0, 0)))
		return false;
	return want == have || shim_run(is_one, &l);
}

/* Move private memory that devices have: mremap's result. */
static long move_private(struct remap *r)
{
	char *old = r->l.addr;
	size_t have = r->l.len;
	long rc;

	/*
	 * what is cut off is no matter of whether the rest can be moved, and goes first in the
	 * kernel, too
	 */
	if (r->want < have) {
		shim_keep(old + r->want, have - r->want, true);
		rc = sys_call(SYS_munmap, (long)(old + r->want), (long)(have - r->want), 0, 0, 0,
			      0);
		if (rc)
			return rc;
		r->l.len = r->want;
	}
	if (!can_move(old, r->l.len, r->want) || reach_page_size((uint64_t)old) != PAGE_SIZE_4K ||
	    !shim_run(can_follow, r))
		return report_err(REPORT_HINT("mremap-dma", "; unmap it from the device first"),
				  SHIM_WHO, -ENOMEM,
				  "mremap of memory at %p that is mapped for DMA, private and only "
				  "in part, or huge pages: uvfio cannot keep it for the device",
				  (void *)old);
	if (r->flags & MREMAP_FIXED) {
		/* never nothing: another thread's memory could come there */
		const long nobody[6] = {
			(long)r->to, (long)r->want,
			PROT_NONE,   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
			-1,	     0
		};

		shim_keep(r->to, r->want, true);
		rc = shim_bar_replace(r->to, r->want, SYS_mmap, nobody);
		if (sys_failed(rc))
			return rc;
	}
	rc = shim_run(follow, r);
	if (sys_failed(rc) && r->flags & MREMAP_FIXED)
		sys_call(SYS_munmap, (long)r->to, (long)r->want, 0, 0, 0, 0);
	return rc;
}

bool shim_keep_mremap(void *old, size_t have, size_t want, int flags, void *to, long *ret)
{
	struct remap r = { .want = want, .flags = flags, .to = to };

	if (!is_sane(old, have, to, want, flags))
		return false;
	if (keep_loss_of(&r.l, old, have, false) && shim_run(in_place, &r.l)) {
		if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
			/* in place if it goes */
			if (want < have)
				shim_keep((char *)old + want, have - want, true);
			*ret = sys_call(SYS_mremap, (long)old, (long)have, (long)want, 0, 0, 0);
			if (*ret != -ENOMEM || !(flags & MREMAP_MAYMOVE))
				return true;
		}
		if (!shim_run(keep_view, &r.l)) {
			*ret = move_private(&r);
			return true;
		}
	}
	if (flags & MREMAP_FIXED && can_move(old, have, want))
		shim_keep(to, want, true);
	return false;
}
