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

#include "base/reach.h"
#include "shim/shim.h"
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

#define HUGE_2M (1ull << 21)
#define HUGE_1G (1ull << 30)

/* The machine, if devices may have some of [addr, addr + len). Takes no lock. */
static struct machine *near_device(const void *addr, size_t len)
{
	struct machine *m = shim_machine_if_built();

	return m && len &&
			       vfio_pages_near(machine_system(m), (uint64_t)addr,
					       (uint64_t)addr + len - 1)
		       ? m
		       : NULL;
}

/* Address space of @len that huge pages can move to: congruent to @old. */
static char *reserve(const char *old, size_t len)
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

/* ---- /proc/self/maps ---- */

/*
 * Calls fn for each line until it returns false. 0 or -errno. Within shim_run: it takes much of a
 * stack.
 */
static int each_mapping(bool (*fn)(const char *line, void *arg), void *arg)
{
	int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	char buf[2 * PATH_MAX], *line, *end; /* a line has a path, and 100 characters before it */
	bool more = true;
	size_t have = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	while (more && (n = sys_read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; more && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			more = fn(line, arg);
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
	sys_close(fd);
	return n < 0 ? (int)n : 0;
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

static void bounds_of(const char *line, uint64_t *start, uint64_t *end)
{
	char *dash;

	*start = strtoull(line, &dash, 16);
	*end = strtoull(dash + 1, NULL, 16);
}

static bool next_piece(const char *line, void *arg)
{
	struct pieces *p = arg;
	uint64_t start, end;

	bounds_of(line, &start, &end);
	if (end <= p->at)
		return true;
	return start <= p->at && do_piece(p, end);
}

/*
 * Each mapping for itself: mremap of several in one call is refused before 6.17, and since then an
 * old size of 0 goes on with the first one's file where the next begins, while a call that fails
 * in the middle has moved some. False: one failed, or there is a gap.
 */
static bool each_piece(char *old, size_t len, char *to, piece_fn *fn)
{
	struct pieces p = { (uint64_t)old, (uint64_t)old + len, to, fn };

	/* a page is of one mapping, whatever we can read */
	if (each_mapping(next_piece, &p))
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

/* Shared memory can be mapped once more, but for huge pages. */
static bool map_piece(char *old, size_t len, char *to)
{
	/*
	 * mremap(2): an old size of 0 makes a second mapping of the same pages, of a shared mapping
	 * only
	 */
	return !sys_failed(sys_call(SYS_mremap, (long)old, 0, (long)len,
				    MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0));
}

static void *second_view(void *old, uint64_t len, void *arg)
{
	char *to = reserve(old, len);

	if (to && !each_piece(old, len, to, map_piece)) {
		sys_call(SYS_munmap, (long)to, (long)len, 0, 0, 0, 0);
		to = NULL;
	}
	return to;
}

/*
 * The pages as they are now, in other memory: for those that cannot be moved without the mapping
 * that they are in, which the program keeps, and of which nobody else sees the pages. What the
 * device writes meanwhile is lost.
 */
static void *copy_aside(void *old, uint64_t len, void *arg)
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

struct loss {
	struct vfio_system *system;
	void *addr;
	size_t len;
	bool taken;
};

/* mseal(2): it cannot be moved, nor unmapped, but dropped. */
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
		return l->taken ? old : copy_aside(old, len, NULL);
	to = reserve(old, len);
	if (to && !each_piece(old, len, to, move_piece)) {
		sys_call(SYS_munmap, (long)to, (long)len, 0, 0, 0, 0);
		to = NULL;
	}
	return to;
}

/* @l of [addr, addr + len): false: no device has to do with it. */
static bool loss_of(struct loss *l, void *addr, size_t len, bool taken)
{
	struct machine *m;

	*l = (struct loss){ NULL, addr, align_up(len, PAGE_SIZE_4K), taken };
	if ((uint64_t)addr % PAGE_SIZE_4K || !len ||
	    add_overflows((uint64_t)addr, len + PAGE_SIZE_4K))
		return false;
	m = near_device(addr, l->len);
	if (m)
		l->system = machine_system(m);
	return m;
}

/* Is @addr in the middle of a huge page? */
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

/* What is in [addr, addr + len) is about to go; @taken: and its place, too. */
void shim_keep(void *addr, size_t len, bool taken)
{
	struct loss l;

	if (loss_of(&l, addr, len, taken))
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

	if (loss_of(&l, addr, len, true) &&
	    ((!(flags & MAP_ANONYMOUS) && shim_fd_maybe_handle(fd)) ||
	     can_map(len, prot, flags, fd, pos)))
		shim_run(lose, &l);
}

/* ---- files ---- */

/*
 * The machine, if devices have any memory at all: other views of a file may be those that were
 * mapped for DMA.
 */
static struct machine *with_mappings(void)
{
	return near_device(NULL, UINT64_MAX);
}

/*
 * Whole pages of a file that go: the file has others there, or none, and so have all who see it.
 * The device has those that were there, so it gets a copy of them: nobody else sees them any more.
 */
struct file_loss {
	struct vfio_system *system;
	dev_t dev;
	ino_t ino;
	uint64_t from, to;
	bool private; /* pages that private mappings have for themselves, too */
};

static bool lose_of_file(const char *line, void *arg)
{
	unsigned long long start, end, off, inode, from, to;
	struct file_loss *f = arg;
	unsigned major, minor;
	char shared;
	void *at;

	if (sscanf(line, "%llx-%llx %*3c%c %llx %x:%x %llu", &start, &end, &shared, &off, &major,
		   &minor, &inode) != 7)
		return true;
	if (inode != f->ino || major != major(f->dev) || minor != minor(f->dev) ||
	    (shared == 'p' && !f->private))
		return true;
	from = off > f->from ? off : f->from;
	to = off + (end - start) < f->to ? off + (end - start) : f->to;
	if (from >= to)
		return true;
	at = (void *)(uintptr_t)(start + (from - off));
	vfio_preserve_pages(f->system, at, to - from, copy_aside, NULL);
	/* or the view is ours */
	vfio_preserve_asides(f->system, at, to - from, copy_aside, NULL);
	return true;
}

static long lose_file(void *arg)
{
	struct file_loss *f = arg;
	int rc = each_mapping(lose_of_file, f);

	if (rc)
		log_warn(SHIM_WHO,
			 "no /proc/self/maps (error %d): pages that a file loses are lost to "
			 "devices as well",
			 -rc);
	return 0;
}

/* @fd may be O_PATH. False: not a file whose pages a device may have. */
static bool file_loss_of(struct file_loss *f, int fd, struct stat *st)
{
	struct machine *m = with_mappings();

	if (!m || sys_call(SYS_fstat, fd, (long)st, 0, 0, 0, 0) || !S_ISREG(st->st_mode))
		return false;
	*f = (struct file_loss){ machine_system(m),	    st->st_dev, st->st_ino, 0,
				 UINT64_MAX - PAGE_SIZE_4K, true };
	return true;
}

/* Is it open for writing, and not sealed against it? */
static bool can_write(int fd, int seals)
{
	long mode = sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0),
	     has = sys_call(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0);

	return mode >= 0 && (mode & O_ACCMODE) != O_RDONLY && !(mode & O_PATH) &&
	       (has < 0 || !(has & seals));
}

static void keep_end(int fd, off_t len)
{
	struct file_loss f;
	struct stat st;

	if (len < 0 || !file_loss_of(&f, fd, &st) || len >= st.st_size)
		return;
	f.from = align_up((uint64_t)len, PAGE_SIZE_4K);
	shim_run(lose_file, &f);
}

void shim_keep_ftruncate(int fd, off_t len)
{
	if (with_mappings() && can_write(fd, F_SEAL_SHRINK))
		keep_end(fd, len);
}

void shim_keep_truncate(const char *path, off_t len)
{
	int fd;

	if (!with_mappings() ||
	    sys_call(SYS_faccessat2, AT_FDCWD, (long)path, W_OK, AT_EACCESS, 0, 0))
		return;
	fd = sys_open(path, O_PATH | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	keep_end(fd, len);
	sys_close(fd);
}

/* Does the file take such a hole? Asked of a place far behind its end, where there is nothing. */
static bool takes_hole(int fd, int mode, off_t end)
{
	if (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE))
		return false;
	return !sys_call(SYS_fallocate, fd, mode | FALLOC_FL_KEEP_SIZE,
			 (long)align_up((uint64_t)end, HUGE_2M) + (1l << 40), 4096, 0, 0);
}

void shim_keep_fallocate(int fd, int mode, off_t pos, off_t len)
{
	struct file_loss f;
	struct stat st;

	if (!(mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) || pos < 0 || len <= 0 ||
	    !file_loss_of(&f, fd, &st))
		return;
	if (!can_write(fd, F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) || !takes_hole(fd, mode, st.st_size))
		return;
	f.from = align_up((uint64_t)pos, PAGE_SIZE_4K);
	f.to = align_down((uint64_t)pos + (uint64_t)len, PAGE_SIZE_4K);
	f.private = false;
	shim_run(lose_file, &f);
}

/*
 * MADV_REMOVE makes a hole of what is mapped in [addr, addr + len), of one mapping after the other,
 * which must be shared, and of a file that takes one.
 */
static bool remove_part(const char *line, void *arg)
{
	unsigned long long start, end, off, inode, from, to;
	unsigned major, minor;
	struct loss *l = arg;
	struct file_loss f;
	char shared;

	if (sscanf(line, "%llx-%llx %*3c%c %llx %x:%x %llu", &start, &end, &shared, &off, &major,
		   &minor, &inode) != 7 ||
	    end <= (uint64_t)l->addr)
		return true;
	if (start >= (uint64_t)l->addr + l->len || shared != 's' || !inode)
		return false;
	from = start > (uint64_t)l->addr ? start : (uint64_t)l->addr;
	to = end < (uint64_t)l->addr + l->len ? end : (uint64_t)l->addr + l->len;
	f = (struct file_loss){
		l->system, makedev(major, minor), inode, off + (from - start), off + (to - start),
		false
	};
	lose_file(&f);
	return true;
}

static long keep_removed(void *arg)
{
	struct loss *l = arg;

	/* it is refused for what is locked, as this is */
	if (sys_call(SYS_madvise, (long)l->addr, (long)l->len, MADV_COLD, 0, 0, 0) != -EINVAL)
		each_mapping(remove_part, l);
	return 0;
}

static void keep_removal(void *addr, size_t len)
{
	struct machine *m = with_mappings();
	struct loss l = { m ? machine_system(m) : NULL, addr, align_up(len, PAGE_SIZE_4K), false };

	if (m && len && !((uint64_t)addr % PAGE_SIZE_4K) &&
	    !add_overflows((uint64_t)addr, len + PAGE_SIZE_4K))
		shim_run(keep_removed, &l);
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
 * What the kernel will drop for @advice, or nothing. It refuses to for memory that is locked; and
 * so it does for this advice, which changes nothing but the order in which pages are swapped. It
 * does not for huge pages, of which it drops those that are whole.
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
 * Goes on while the lines show private memory from @addr on, of no file if @taken; what comes
 * before is skipped. @len becomes 0 when that is all of it.
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

static bool is_private(void *addr, size_t len, bool anonymous)
{
	struct loss l = { NULL, addr, len, anonymous };

	each_mapping(is_next_private, &l);
	return !l.len;
}

/*
 * MADV_FREE lets the kernel take pages when it needs some. Those that are pinned it does not take,
 * and program and device go on with them: so where a device has pages there is nothing to be done,
 * and the rest is the kernel's. Memory that is not private and anonymous it refuses.
 */
static long free_rest(void *arg)
{
	struct loss *l = arg;
	uint64_t at = (uint64_t)l->addr, to = at + l->len, a, b;
	long rc = 0;

	if (!vfio_pages_in_place(l->system, l->addr, l->len) || !is_private(l->addr, l->len, true))
		return sys_call(SYS_madvise, (long)at, (long)l->len, MADV_FREE, 0, 0, 0);
	for (; at < to && !rc; at = b) {
		if (!vfio_next_in_use(l->system, at, to, false, &a, &b))
			a = b = to;
		if (a > at)
			rc = sys_call(SYS_madvise, (long)at, (long)(a - at), MADV_FREE, 0, 0, 0);
	}
	return rc;
}

/* Huge pages that are dropped, and the mapping stays. Those that are shared stay what they are. */
static long lose_huge(void *arg)
{
	struct loss *l = arg;

	if (is_private(l->addr, l->len, false))
		vfio_preserve_pages(l->system, l->addr, l->len, copy_aside, NULL);
	return 0;
}

bool shim_keep_madvise(void *addr, size_t len, int advice, long *ret)
{
	struct loss l;

	if (advice == MADV_REMOVE)
		keep_removal(addr, len);
	if (!shim_advice_loses(advice) || !loss_of(&l, addr, len, false))
		return false;
	if (advice == MADV_FREE) {
		*ret = shim_run(free_rest, &l);
		return true;
	}
	if (drops(&l, advice))
		shim_run(reach_page_size((uint64_t)addr) == PAGE_SIZE_4K ? lose : lose_huge, &l);
	return false;
}

/* ---- mremap ---- */

/*
 * To another place, program and device go on with the same pages. Shared memory is mapped once
 * more, and the device keeps that view; private memory cannot be mapped twice, so the device goes
 * along with the program's. It can where a mapping moves as a whole, and is not of huge pages,
 * which leave nothing behind: the place that they come from would be somebody else's at once, with
 * the device still there. That anything else is refused says more than a device and a program that
 * have lost each other.
 */
static long in_place(void *arg)
{
	struct loss *l = arg;

	return vfio_pages_in_place(l->system, l->addr, l->len);
}

/* The devices keep what is in the range when it moves away. False: it cannot be mapped twice. */
static long keep_view(void *arg)
{
	struct loss *l = arg;
	char *probe = second_view(l->addr, l->len, NULL);

	if (!probe)
		return false;
	sys_call(SYS_munmap, (long)probe, (long)l->len, 0, 0, 0, 0);
	vfio_preserve_pages(l->system, l->addr, l->len, second_view, NULL);
	return true;
}

struct remap {
	struct loss l; /* what moves */
	size_t want;
	int flags;
	char *to; /* with MREMAP_FIXED, where nothing is any more */
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
	char *at = r->flags & MREMAP_FIXED ? r->to : reserve(r->l.addr, r->want), *next;

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
		next = r->flags & MREMAP_FIXED ? NULL : reserve(at, r->want);
		if (!next || sys_failed(sys_call(SYS_mremap, (long)at, (long)have, (long)have,
						 MREMAP_MAYMOVE | MREMAP_FIXED, (long)next, 0))) {
			log_err(SHIM_WHO,
				"mremap: no room for %zu bytes more behind %p: it stays as long as "
				"it was",
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

/* Would the kernel look at the memory at all? */
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

/* Becomes "taken" if the mapping at @addr has all of @len. */
static bool is_whole(const char *line, void *arg)
{
	uint64_t start, end, at;
	struct loss *l = arg;

	at = (uint64_t)l->addr;
	bounds_of(line, &start, &end);
	if (end <= at)
		return true;
	l->taken = start <= at && end - at >= l->len;
	return false;
}

static long is_one(void *arg)
{
	struct loss *l = arg;

	l->taken = false;
	return !each_mapping(is_whole, l) && l->taken;
}

/*
 * Does the kernel move @have bytes at @old to @want? A call that changes nothing tells if the
 * length remains, which may be of several mappings since 6.17; another length can only one have.
 */
static bool can_move(char *old, size_t have, size_t want)
{
	struct loss l = { NULL, old, have, false };

	if (sys_failed(sys_call(SYS_mremap, (long)old, (long)have, (long)have, 0, 0, 0)))
		return false;
	return want == have || shim_run(is_one, &l);
}

/* With private memory that devices have. */
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
	    !shim_run(can_follow, r)) {
		log_err(SHIM_WHO,
			"mremap of memory at %p that is mapped for DMA, private and only in part, "
			"or huge pages: uvfio cannot keep it for the device, ENOMEM; unmap it from "
			"the device first",
			(void *)old);
		return -ENOMEM;
	}
	if (r->flags & MREMAP_FIXED) {
		shim_keep(r->to, r->want, true);
		rc = shim_bar_munmap(r->to, r->want);
		if (rc)
			return rc;
	}
	return shim_run(follow, r);
}

bool shim_keep_mremap(void *old, size_t have, size_t want, int flags, void *to, long *ret)
{
	struct remap r = { .want = want, .flags = flags, .to = to };

	if (!is_sane(old, have, to, want, flags))
		return false;
	if (loss_of(&r.l, old, have, false) && shim_run(in_place, &r.l)) {
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
	probe = second_view(l->addr, l->len, NULL);
	if (!probe)
		return 0;
	sys_call(SYS_munmap, (long)probe, (long)l->len, 0, 0, 0, 0);
	vfio_preserve_pages(l->system, l->addr, l->len, second_view, NULL);
	return 0;
}

void shim_keep_shared(void *addr, size_t len)
{
	struct loss l;

	if (loss_of(&l, addr, len, false))
		shim_run(keep_shared, &l);
}

/* Is it of the segment that was attached at our address? What shmdt(2) looks at. */
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
	int rc = each_mapping(keep_part, arg);

	if (rc)
		log_warn(SHIM_WHO,
			 "shmdt: no /proc/self/maps (error %d): what devices have of the segment "
			 "is lost to them",
			 -rc);
	return 0;
}

void shim_keep_segment(void *addr)
{
	struct machine *m = near_device(addr, UINT64_MAX - (uint64_t)addr);
	struct loss l = { m ? machine_system(m) : NULL, addr, 0, false };

	if (m)
		shim_run(keep_segment, &l);
}
