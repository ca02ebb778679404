/* SPDX-License-Identifier: BSD-3-Clause */
/* shim/areas.c: memory in the place of a mapped BAR's pages, and its rights. */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "shim/areas.h"

const struct vfio_region_area *shim_area_next(const struct shim_pages *p, uintptr_t *at,
					      size_t *len)
{
	uint64_t pos = p->offset + (*at - p->start), end = p->offset + (p->end - p->start), start;

	for (unsigned i = 0; i < p->num_areas; i++) {
		const struct vfio_region_area *a = &p->areas[i];

		if (a->kind == VFIO_AREA_TRAPPED || a->offset + a->size <= pos)
			continue;
		start = a->offset > pos ? a->offset : pos;
		if (start >= end)
			return NULL;
		*at = p->start + (start - p->offset);
		*len = (a->offset + a->size < end ? a->offset + a->size : end) - start;
		return a;
	}
	return NULL;
}

long shim_areas_map(const struct shim_pages *p)
{
	const struct vfio_region_area *a;
	uintptr_t at;
	size_t len;
	long ret;

	for (at = p->start; (a = shim_area_next(p, &at, &len)); at += len) {
		ret = sys_call(SYS_mmap, (long)at, (long)len, PROT_NONE, MAP_FIXED | MAP_SHARED,
			       SYS_PASS(a->fd),
			       (long)(a->fd_offset + p->offset + (at - p->start) - a->offset));
		if (sys_failed(ret))
			return ret;
		/*
		 * a child that clone() made goes on with the rights that the page has at that
		 * moment: its stores would be this process's device's
		 */
		ret = sys_call(SYS_madvise, (long)at, (long)len, MADV_DONTFORK, 0, 0, 0);
		if (ret)
			return ret;
	}
	return 0;
}

unsigned shim_areas_open(const struct shim_pages *p, enum vfio_area_kind kind, bool open,
			 long blank, long *stuck)
{
	const struct vfio_region_area *a;
	unsigned n = 0;
	uintptr_t at;
	size_t len;
	long err;

	for (at = p->start; (a = shim_area_next(p, &at, &len)); at += len) {
		if (a->kind != kind)
			continue;
		/* one that cannot get its rights is trapped, which is slower */
		err = sys_call(SYS_mprotect, (long)at, (long)len, open ? p->prot : PROT_NONE, 0, 0,
			       0);
		/*
		 * a page that stays open is one that nobody looks at: better one that is trapped
		 * for good
		 */
		if (err && !open)
			err = sys_call(SYS_mmap, (long)at, (long)len, PROT_NONE,
				       MAP_FIXED | MAP_SHARED, blank, 0) < 0
				      ? err
				      : 0;
		if (err && !open)
			*stuck = err;
		n += !err;
	}
	return n;
}

void shim_areas_abandon(const struct shim_pages *p, long blank)
{
	uintptr_t at;
	size_t len;

	for (at = p->start; shim_area_next(p, &at, &len); at += len) {
		sys_call(SYS_mmap, (long)at, (long)len, PROT_NONE, MAP_FIXED_NOREPLACE | MAP_SHARED,
			 blank, 0);
		sys_call(SYS_mprotect, (long)at, (long)len, PROT_NONE, 0, 0, 0);
	}
}
