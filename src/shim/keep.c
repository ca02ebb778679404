/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/keep.c: memory that is mapped for DMA and that the program takes away. In the kernel the
 * pages are pinned: the program loses its view of them, the device does not. Here a device reaches
 * them through the program's view, so before that goes, the pages move to a place of ours, and the
 * mapping follows (vfio_preserve_pages). They stay there until the mapping goes: the price of a
 * program that forgets its memory.
 *
 * A call that the kernel refuses changes nothing, so whether it will is asked first, by calls that
 * change nothing either.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/maps.h"
#include "base/reach.h"
#include "shim/handles.h"
#include "shim/keep.h"
#include "shim/mem.h"
#include "shim/scope.h"
#include "vfio/aside.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* linux/mman.h, 5.7 */
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* asm-generic/mman-common.h, 5.18 */
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* the same, 6.13 */
#endif

struct machine *keep_near_device(const void *addr, size_t len)
{
	struct machine *m = shim_machine_if_built();

	return m && len &&
			       vfio_pages_near(machine_system(m), (uint64_t)addr,
					       (uint64_t)addr + len - 1)
		       ? m
		       : NULL;
}

char *keep_reserve(const char *old, size_t len)
{
	uint64_t align = len >= HUGE_1G ? HUGE_1G : len >= HUGE_2M ? HUGE_2M : PAGE_SIZE_4K, at;
	long p = sys_call(SYS_mmap, 0, (long)(len + align), PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (sys_failed(p))
		return NULL;
	at = (uint64_t)p + (((uint64_t)old - (uint64_t)p) & (align - 1));
	if (at > (uint64_t)p)
		sys_call(SYS_munmap, p, (long)(at - (uint64_t)p), 0, 0, 0, 0);
	if (at + len < (uint64_t)p + len + align)
		sys_call(SYS_munmap, (long)(at + len), (long)((uint64_t)p + align - at), 0, 0, 0,
			 0);
	return (char *)at;
}

/* ---- another place ---- */

/* One way to have memory at another place, for [old, old + len) of one mapping. */
typedef bool piece_fn(char *old, size_t len, char *to);

struct pieces {
	uint64_t at, end;
	char *to;
	piece_fn *fn;
};

static bool do_piece(struct pieces *p, uint64_t end)
{
	size_t len = (end < p->end ? end : p->end) - p->at;

	if (!p->fn((char *)p->at, len, p->to))
		return false;
	p->at += len;
	p->to += len;
	return p->at < p->end;
}

static bool next_piece(const char *line, void *arg)
{
	struct pieces *p = arg;
	uint64_t start, end;

	maps_bounds(line, &start, &end);
	if (end <= p->at)
		return true;
	return start <= p->at && do_piece(p, end);
}

/*
 * Do @fn to each mapping by itself. mremap of several in one call is refused before 6.17; since
 * then, an old size of 0 goes on with the first one's file where the next begins, and a call that
 * fails in the middle has moved some. False: one failed, or there is a gap.
 */
static bool each_piece(char *old, size_t len, char *to, piece_fn *fn)
{
	struct pieces p = { (uint64_t)old, (uint64_t)old + len, to, fn };

	/* a page is of one mapping, whatever we can read */
	if (maps_each(next_piece, &p))
		while (p.at < p.end && do_piece(&p, p.at + reach_page_size(p.at)))
			;
	return p.at == p.end;
}

static bool move_piece(char *old, size_t len, char *to)
{
	/*
	 * DONTUNMAP leaves the old range mapped (and empty), so that no other thread's mmap can
	 * land in a hole that the program's own call is about to unmap
	 */
	long rc = sys_call(SYS_mremap, (long)old, (long)len, (long)len,
			   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (long)to, 0);

	if (sys_failed(rc) && rc == -EINVAL) {
		/* not for huge pages, and before 5.13 for private anonymous memory only */
		rc = sys_call(SYS_mremap, (long)old, (long)len, (long)len,
			      MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0);
		if (!sys_failed(rc))
			sys_call(SYS_mmap, (long)old, (long)len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
				 -1, 0);
	}
	return !sys_failed(rc);
}

/* Map a piece once more: of shared memory alone, and not of huge pages. */
static bool map_piece(char *old, size_t len, char *to)
{
	/*
	 * mremap(2): an old size of 0 makes a second mapping of the same pages, of a shared mapping
	 * only
	 */
	return !sys_failed(sys_call(SYS_mremap, (long)old, 0, (long)len,
				    MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0));
}

void *keep_second_view(void *old, uint64_t len, void *arg)
{
	char *to = keep_reserve(old, len);

	if (to && !each_piece(old, len, to, map_piece)) {
		sys_call(SYS_munmap, (long)to, (long)len, 0, 0, 0, 0);
		to = NULL;
	}
	return to;
}

/*
 * Return other memory with the pages as they are now. For pages that cannot be moved without the
 * mapping that they are in, which the program keeps, and that no other process sees. What the
 * device writes meanwhile is lost.
 */
void *keep_copy(void *old, uint64_t len, void *arg)
{
	long to = sys_call(SYS_mmap, 0, (long)len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (sys_failed(to))
		return NULL;
	if (reach_read((void *)to, old, len) == len)
		return (void *)to;
	sys_call(SYS_munmap, to, (long)len, 0, 0, 0, 0);
	return NULL;
}

/*
 * True if @page is sealed (mseal(2)): it can be neither moved nor unmapped, but its contents can be
 * dropped.
 */
static bool is_sealed(char *page)
{
	return reach_is_mapped((uint64_t)page) &&
	       sys_call(SYS_mremap, (long)page, PAGE_SIZE_4K, PAGE_SIZE_4K, 0, 0, 0) == -EPERM;
}

static void *set_aside(void *old, uint64_t len, void *arg)
{
	struct loss *l = arg;
	char *to;

	if (is_sealed(old))
		return l->taken ? old : keep_copy(old, len, NULL);
	to = keep_reserve(old, len);
	if (to && !each_piece(old, len, to, move_piece)) {
		sys_call(SYS_munmap, (long)to, (long)len, 0, 0, 0, 0);
		to = NULL;
	}
	return to;
}

bool keep_loss_of(struct loss *l, void *addr, size_t len, bool taken)
{
	struct machine *m;

	*l = (struct loss){ NULL, addr, align_up(len, PAGE_SIZE_4K), taken };
	if ((uint64_t)addr % PAGE_SIZE_4K || !len ||
	    add_overflows((uint64_t)addr, len + PAGE_SIZE_4K))
		return false;
	m = keep_near_device(addr, l->len);
	if (m)
		l->system = machine_system(m);
	return m;
}

/* True if @addr is in the middle of a huge page. */
static bool cuts_page(uint64_t addr)
{
	return addr & (reach_page_size(addr) - 1);
}

static long lose(void *arg)
{
	struct loss *l = arg;

	/* the kernel does not unmap a part of one */
	if (l->taken && (cuts_page((uint64_t)l->addr) || cuts_page((uint64_t)l->addr + l->len)))
		return 0;
	if (l->taken)
		vfio_place_taken(l->system, (uint64_t)l->addr, (uint64_t)l->addr + l->len);
	if (vfio_pages_in_use(l->system, l->addr, l->len))
		vfio_preserve_pages(l->system, l->addr, l->len, set_aside, l);
	return 0;
}

/*
 * Let devices keep what is in [addr, addr + len), which is about to go; @taken: its place goes,
 * too.
 */
void shim_keep(void *addr, size_t len, bool taken)
{
	struct loss l;

	if (keep_loss_of(&l, addr, len, taken))
		shim_run(lose, &l);
}

/* ---- mmap ---- */

/*
 * Would the kernel map this? It may refuse for a reason that has nothing to do with the place.
 * Tried elsewhere, with what can be mapped twice; a lack of memory may be one of twice as much.
 */
static bool can_map(size_t len, int prot, int flags, int fd, off_t pos)
{
	struct stat st;
	long rc;

	if (!(flags & MAP_ANONYMOUS)) {
		rc = sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0);
		if (rc || !S_ISREG(st.st_mode))
			return !rc;
	}
	flags = (flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_POPULATE | MAP_LOCKED)) |
		MAP_NORESERVE;
	rc = sys_call(SYS_mmap, 0, (long)len, prot, flags, SYS_PASS(fd), pos);
	if (!sys_failed(rc))
		sys_call(SYS_munmap, rc, (long)len, 0, 0, 0, 0);
	return !sys_failed(rc) || rc == -ENOMEM || rc == -EAGAIN;
}

void shim_keep_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos)
{
	struct loss l;

	if (keep_loss_of(&l, addr, len, true) &&
	    ((!(flags & MAP_ANONYMOUS) && shim_fd_maybe_handle(fd)) ||
	     can_map(len, prot, flags, fd, pos)))
		shim_run(lose, &l);
}

/* ---- madvise ---- */

bool shim_advice_loses(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DONTNEED_LOCKED:
	case MADV_GUARD_INSTALL:
		return true;
	default:
		return false;
	}
}

/*
 * True if the kernel will drop pages for @advice; @l becomes what it drops. It refuses for memory
 * that is locked. It also refuses MADV_COLD for such memory, which changes nothing but the order in
 * which pages are swapped, so that is asked. Of huge pages it drops those that are whole, locked or
 * not.
 */
static bool drops(struct loss *l, int advice)
{
	uint64_t start = (uint64_t)l->addr, end = start + l->len, size = reach_page_size(start);

	if (cuts_page(start))
		return false;
	if (size == PAGE_SIZE_4K)
		return advice == MADV_DONTNEED_LOCKED ||
		       sys_call(SYS_madvise, (long)start, (long)l->len, MADV_COLD, 0, 0, 0) !=
			       -EINVAL;
	if (cuts_page(end))
		l->len = align_down(end, size) - start;
	return l->len;
}

/*
 * Go on while the lines show private memory from @addr on, of no file if @taken; skip what comes
 * before. @len becomes 0 when that is all of it.
 */
static bool is_next_private(const char *line, void *arg)
{
	unsigned long long start, end, inode;
	struct loss *l = arg;
	char shared;

	if (sscanf(line, "%llx-%llx %*3c%c %*x %*x:%*x %llu", &start, &end, &shared, &inode) != 4)
		return false;
	if (end <= (uint64_t)l->addr)
		return true;
	if (start > (uint64_t)l->addr || shared != 'p' || (l->taken && inode))
		return false;
	if (end - (uint64_t)l->addr >= l->len) {
		l->len = 0;
		return false;
	}
	l->len -= end - (uint64_t)l->addr;
	l->addr = (void *)(uintptr_t)end;
	return true;
}

bool keep_is_private(void *addr, size_t len, bool anonymous)
{
	struct loss l = { NULL, addr, len, anonymous };

	maps_each(is_next_private, &l);
	return !l.len;
}

/*
 * Do MADV_FREE for what no device has. The kernel may then take pages when it needs some, but none
 * that are pinned, so that program and device go on with these: where a device has pages, nothing
 * is to be done. The kernel refuses memory that is not private and anonymous.
 */
static long free_rest(void *arg)
{
	struct loss *l = arg;
	uint64_t at = (uint64_t)l->addr, to = at + l->len, a, b;
	long rc = 0;

	if (!vfio_pages_in_place(l->system, l->addr, l->len) ||
	    !keep_is_private(l->addr, l->len, true))
		return sys_call(SYS_madvise, (long)at, (long)l->len, MADV_FREE, 0, 0, 0);
	for (; at < to && !rc; at = b) {
		if (!vfio_next_in_use(l->system, at, to, false, &a, &b))
			a = b = to;
		if (a > at)
			rc = sys_call(SYS_madvise, (long)at, (long)(a - at), MADV_FREE, 0, 0, 0);
	}
	return rc;
}

/*
 * Let devices keep huge pages that are dropped while the mapping stays. Shared ones stay what they
 * are.
 */
static long lose_huge(void *arg)
{
	struct loss *l = arg;

	if (keep_is_private(l->addr, l->len, false))
		vfio_preserve_pages(l->system, l->addr, l->len, keep_copy, NULL);
	return 0;
}

bool shim_keep_madvise(void *addr, size_t len, int advice, long *ret)
{
	struct loss l;

	if (advice == MADV_REMOVE)
		shim_keep_removal(addr, len);
	if (!shim_advice_loses(advice) || !keep_loss_of(&l, addr, len, false))
		return false;
	if (advice == MADV_FREE) {
		*ret = shim_run(free_rest, &l);
		return true;
	}
	if (drops(&l, advice))
		shim_run(reach_page_size((uint64_t)addr) == PAGE_SIZE_4K ? lose : lose_huge, &l);
	return false;
}

/* ---- shared memory ---- */

/*
 * Devices keep shared memory by a view of their own, and the program's is as it was. Memory that is
 * not shared is none of those whose calls come here.
 */
static long keep_shared(void *arg)
{
	struct loss *l = arg;
	char *probe;

	if (!vfio_pages_in_place(l->system, l->addr, l->len))
		return 0;
	probe = keep_second_view(l->addr, l->len, NULL);
	if (!probe)
		return 0;
	sys_call(SYS_munmap, (long)probe, (long)l->len, 0, 0, 0, 0);
	vfio_preserve_pages(l->system, l->addr, l->len, keep_second_view, NULL);
	return 0;
}

void shim_keep_shared(void *addr, size_t len)
{
	struct loss l;

	if (keep_loss_of(&l, addr, len, false))
		shim_run(keep_shared, &l);
}

/* Keep a mapping that is of the segment attached at our address, as shmdt(2) finds them. */
static bool keep_part(const char *line, void *arg)
{
	unsigned long long start, end, off;
	struct loss *l = arg, part;
	uint64_t at = (uint64_t)l->addr;

	if (sscanf(line, "%llx-%llx %*s %llx", &start, &end, &off) == 3 && start >= at &&
	    start - at == off && strstr(line, " /SYSV")) {
		part = (struct loss){ l->system, (void *)(uintptr_t)start, end - start, false };
		keep_shared(&part);
	}
	return true;
}

static long keep_segment(void *arg)
{
	int rc = maps_each(keep_part, arg);

	if (rc)
		report_warn("proc-missing", SHIM_WHO, rc,
			    "shmdt: no /proc/self/maps (%m): what devices have of the segment is "
			    "lost to them");
	return 0;
}

void shim_keep_segment(void *addr)
{
	struct machine *m = keep_near_device(addr, UINT64_MAX - (uint64_t)addr);
	struct loss l = { m ? machine_system(m) : NULL, addr, 0, false };

	if (m)
		shim_run(keep_segment, &l);
}
