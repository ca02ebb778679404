/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/mem.c: memory that is mapped for DMA and that the program takes away. In the kernel the pages are pinned: the program loses its view of
 * them, the device does not. Here a device reaches them through the program's view, so before that goes, the pages move to a place of ours,
 * and the mapping follows (vfio_preserve_pages). They stay there until the mapping goes: the price of a program that forgets its memory.
 *
 * What libc does inside of itself comes to libc.c.
 */
#include "shim/shim.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include "base/guard.h"
#include "base/rcu.h"
#include "vfio/type1.h"

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

static bool failed(long v)
{
	return v < 0 && v >= -4095;
}

/* The machine, if devices may have some of [addr, addr + len). Takes no lock. */
static struct machine *near_device(const void *addr, size_t len)
{
	struct machine *m = shim_machine_if_built();

	return m && len && vfio_pages_near(machine_system(m), (uint64_t)addr, (uint64_t)addr + len - 1) ? m : NULL;
}

/* Address space of @len that huge pages can move to: congruent to @old. */
static char *reserve(const char *old, size_t len)
{
	uint64_t align = len >= HUGE_1G ? HUGE_1G : len >= HUGE_2M ? HUGE_2M : PAGE_SIZE_4K, at;
	long p = sys_call(SYS_mmap, 0, (long)(len + align), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (failed(p))
		return NULL;
	at = (uint64_t)p + (((uint64_t)old - (uint64_t)p) & (align - 1));
	if (at > (uint64_t)p)
		sys_call(SYS_munmap, p, (long)(at - (uint64_t)p), 0, 0, 0, 0);
	if (at + len < (uint64_t)p + len + align)
		sys_call(SYS_munmap, (long)(at + len), (long)((uint64_t)p + align - at), 0, 0, 0, 0);
	return (char *)at;
}

static bool move_pages(char *old, size_t len, char *to)
{
	/* DONTUNMAP leaves the old range mapped (and empty), so that no other thread's mmap can land in a hole that the program's own call is about to unmap */
	long rc = sys_call(SYS_mremap, (long)old, (long)len, (long)len, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, (long)to, 0);
	size_t half;
	bool first;

	if (failed(rc) && rc == -EINVAL) {
		/* before 5.13 DONTUNMAP takes private anonymous memory only */
		rc = sys_call(SYS_mremap, (long)old, (long)len, (long)len, MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0);
		if (!failed(rc))
			sys_call(SYS_mmap, (long)old, (long)len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	}
	if (!failed(rc))
		return true;
	if (len <= PAGE_SIZE_4K)
		return false;
	/* several mappings next to each other do not move in one call */
	half = align_up(len / 2, len >= 2 * HUGE_2M ? HUGE_2M : PAGE_SIZE_4K);
	/* as much as goes, also when some does not */
	first = move_pages(old, half, to);
	return move_pages(old + half, len - half, to + half) && first;
}

static void *set_aside(void *old, uint64_t len, void *arg)
{
	char *to = reserve(old, len);

	if (!to)
		return NULL;
	if (!move_pages(old, len, to))
		log_warn(SHIM_WHO, "memory at %p that is mapped for DMA went away and could not be kept for the device", old);
	return to;
}

struct loss {
	struct vfio_system *system;
	void *addr;
	size_t len;
	bool taken;
};

/* @l of [addr, addr + len): false: no device has to do with it. */
static bool loss_of(struct loss *l, void *addr, size_t len, bool taken)
{
	struct machine *m;

	*l = (struct loss){ NULL, addr, align_up(len, PAGE_SIZE_4K), taken };
	if ((uint64_t)addr % PAGE_SIZE_4K || !len || add_overflows((uint64_t)addr, len + PAGE_SIZE_4K))
		return false;
	m = near_device(addr, l->len);
	if (m)
		l->system = machine_system(m);
	return m;
}

static long lose(void *arg)
{
	struct loss *l = arg;

	if (l->taken)
		vfio_place_taken(l->system, (uint64_t)l->addr, (uint64_t)l->addr + l->len);
	if (vfio_pages_in_use(l->system, l->addr, l->len))
		vfio_preserve_pages(l->system, l->addr, l->len, set_aside, NULL);
	return 0;
}

/* What is in [addr, addr + len) is about to go; @taken: and its place, too. */
static void before_loss(void *addr, size_t len, bool taken)
{
	struct loss l;

	if (loss_of(&l, addr, len, taken))
		shim_run(lose, &l);
}

long shim_munmap(void *addr, size_t len)
{
	if (rcu_registering)
		return sys_call(SYS_munmap, (long)addr, (long)len, 0, 0, 0, 0);
	before_loss(addr, len, true);
	return shim_bar_munmap(addr, len);
}

long shim_mprotect(void *addr, size_t len, int prot)
{
	long rc;

	if (shim_bar_protect(addr, len, prot, &rc))
		return rc;
	return sys_call(SYS_mprotect, (long)addr, (long)len, prot, 0, 0, 0);
}

long shim_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos)
{
	const long a[6] = { (long)addr, (long)len, prot, flags, SHIM_PASS(fd), pos };
	long rc;

	if (rcu_registering)
		return sys_call(SYS_mmap, (long)addr, (long)len, prot, flags, SHIM_PASS(fd), pos);
	if (flags & MAP_FIXED && !(pos & 4095))
		before_loss(addr, len, true);
	if (!(flags & MAP_ANONYMOUS) && shim_fd_maybe_handle(fd) && shim_mmap_try(addr, fd, len, prot, flags, pos, &rc))
		return rc;
	if (flags & MAP_FIXED)
		rc = shim_bar_replace(addr, len, SYS_mmap, a);
	else
		rc = sys_call(SYS_mmap, a[0], a[1], a[2], a[3], a[4], a[5]);
	/* what the kernel says to a descriptor without access: a handle whose number nobody told us */
	if (rc == -EACCES && !(flags & MAP_ANONYMOUS))
		shim_mmap_try(addr, fd, len, prot, flags, pos, &rc);
	return rc;
}

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

long shim_madvise(void *addr, size_t len, int advice)
{
	if (shim_advice_loses(advice))
		before_loss(addr, len, false);
	return sys_call(SYS_madvise, (long)addr, (long)len, advice, 0, 0, 0);
}

/*
 * mremap to another place: program and device go on with the same pages. What vfio gets to keep must be a place of its own, so shared memory is mapped
 * once more there. Private memory cannot be mapped twice; that it is refused says more than a device and a program that have lost each other.
 */
static bool map_again(char *old, size_t len, char *to)
{
	size_t half;

	/* a no-op that fails when the range is more than one mapping */
	if (!failed(sys_call(SYS_mremap, (long)old, (long)len, (long)len, 0, 0, 0)))
		/* mremap(2): an old size of 0 makes a second mapping of the same pages, of a shared mapping only */
		return !failed(sys_call(SYS_mremap, (long)old, 0, (long)len, MREMAP_MAYMOVE | MREMAP_FIXED, (long)to, 0));
	if (len <= PAGE_SIZE_4K)
		return false;
	half = align_up(len / 2, len >= 2 * HUGE_2M ? HUGE_2M : PAGE_SIZE_4K);
	return map_again(old, half, to) && map_again(old + half, len - half, to + half);
}

static void *second_view(void *old, uint64_t len, void *arg)
{
	char *to = reserve(old, len);

	if (to && !map_again(old, len, to)) {
		sys_call(SYS_munmap, (long)to, (long)len, 0, 0, 0, 0);
		to = NULL;
	}
	return to;
}

static long in_use(void *arg)
{
	struct loss *l = arg;

	return vfio_pages_in_use(l->system, l->addr, l->len);
}

/* The devices keep what is in the range when it moves away: 0, or an errno. */
static long keep_view(void *arg)
{
	struct loss *l = arg;
	char *probe = second_view(l->addr, l->len, NULL);

	if (!probe) {
		log_err(SHIM_WHO, "mremap of private memory at %p that is mapped for DMA: uvfio cannot keep it for the device, ENOMEM; unmap it from the device first", l->addr);
		return -ENOMEM;
	}
	sys_call(SYS_munmap, (long)probe, (long)l->len, 0, 0, 0, 0);
	vfio_preserve_pages(l->system, l->addr, l->len, second_view, NULL);
	return 0;
}

long shim_mremap(void *old, size_t old_len, size_t new_len, int flags, void *to)
{
	size_t have = align_up(old_len, PAGE_SIZE_4K), want = align_up(new_len, PAGE_SIZE_4K);
	const long a[6] = { (long)old, (long)old_len, (long)new_len, flags, (long)to };
	struct loss l;
	long rc;

	if (rcu_registering)
		goto plain;
	if (shim_bar_remap(old, old_len, new_len, &rc))
		return rc;
	if (!have || !want || have < old_len || want < new_len || (uint64_t)old & (PAGE_SIZE_4K - 1) || add_overflows((uint64_t)old, have))
		goto plain;
	if (flags & MREMAP_FIXED)
		before_loss(to, want, true);
	if (!loss_of(&l, old, have, false) || !shim_run(in_use, &l))
		goto plain;
	if (want < have)
		before_loss((char *)old + want, have - want, true);
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		/* in place if it goes */
		rc = sys_call(SYS_mremap, (long)old, (long)old_len, (long)new_len, 0, 0, 0);
		if (!failed(rc) || !(flags & MREMAP_MAYMOVE))
			return rc;
	}
	l.len = want < have ? want : have;
	rc = shim_run(keep_view, &l);
	if (rc)
		return rc;
plain:
	if (flags & MREMAP_FIXED)
		return shim_bar_replace(to, new_len, SYS_mremap, a);
	return sys_call(SYS_mremap, a[0], a[1], a[2], a[3], a[4], 0);
}

/* ---- other ways ---- */

void shim_break_falls(void *addr, void *now)
{
	uint64_t from = align_up((uint64_t)addr, PAGE_SIZE_4K);

	if (addr && from < (uint64_t)now)
		before_loss((void *)from, (uint64_t)now - from, true);
}

int shim_brk(void *addr)
{
	shim_break_falls(addr, __curbrk);
	return shim_set_break(addr);
}

/* Devices keep shared memory by a view of their own, and the program's is as it was. Memory that is not shared is none of those whose calls come here. */
static long keep_shared(void *arg)
{
	struct loss *l = arg;
	char *probe;

	if (!vfio_pages_in_use(l->system, l->addr, l->len))
		return 0;
	probe = second_view(l->addr, l->len, NULL);
	if (!probe)
		return 0;
	sys_call(SYS_munmap, (long)probe, (long)l->len, 0, 0, 0, 0);
	vfio_preserve_pages(l->system, l->addr, l->len, second_view, NULL);
	return 0;
}

/* A line of /proc/self/maps: is it of the segment that was attached at @at? What shmdt(2) looks at. */
static bool of_segment(const char *line, uint64_t at, uint64_t *start, uint64_t *end)
{
	unsigned long long a, b, off;

	if (sscanf(line, "%llx-%llx %*s %llx", &a, &b, &off) != 3 || a < at || a - at != off || !strstr(line, " /SYSV"))
		return false;
	*start = a;
	*end = b;
	return true;
}

static long keep_segment(void *arg)
{
	struct loss *l = arg, part;
	char buf[4096], *line, *end;
	size_t have = 0;
	ssize_t n;
	int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	uint64_t a, b;

	if (fd < 0) {
		log_warn(SHIM_WHO, "shmdt: no /proc/self/maps (error %d): what devices have of the segment is lost to them", -fd);
		return 0;
	}
	while ((n = sys_read(fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			if (!of_segment(line, (uint64_t)l->addr, &a, &b))
				continue;
			part = (struct loss){ l->system, (void *)a, b - a, false };
			keep_shared(&part);
		}
		have -= (size_t)(line - buf);
		memmove(buf, line, have);
	}
	sys_close(fd);
	return 0;
}

long shim_shmdt(void *addr)
{
	struct machine *m = near_device(addr, UINT64_MAX - (uint64_t)addr);
	struct loss l = { m ? machine_system(m) : NULL, addr, 0, false };

	if (m)
		shim_run(keep_segment, &l);
	return sys_call(SYS_shmdt, (long)addr, 0, 0, 0, 0, 0);
}

long shim_shmat(int id, void *addr, int flags)
{
	void *at = (void *)(flags & SHM_RND ? align_down((uint64_t)addr, SHMLBA) : (uint64_t)addr);
	struct shmid_ds ds;

	if (flags & SHM_REMAP && at && !sys_call(SYS_shmctl, id, IPC_STAT, (long)&ds, 0, 0, 0))
		before_loss(at, ds.shm_segsz, true);
	return sys_call(SYS_shmat, id, (long)addr, flags, 0, 0, 0);
}

long shim_remap_file_pages(void *addr, size_t len, int prot, size_t pgoff, int flags)
{
	struct loss l;

	if (loss_of(&l, addr, len, false))
		shim_run(keep_shared, &l);
	return sys_call(SYS_remap_file_pages, (long)addr, (long)len, prot, (long)pgoff, flags, 0);
}

long shim_process_madvise(int pidfd, const struct iovec *iov, size_t n, int advice, unsigned flags)
{
	struct iovec own;

	/* the kernel lets a process lose pages of its own only, and says so before it looks at any */
	if (shim_advice_loses(advice) && n && n <= IOV_MAX && !sys_call(SYS_process_madvise, pidfd, (long)iov, 0, advice, flags, 0))
		for (size_t i = 0; i < n && !guard_copy(&own, iov + i, sizeof(own)); i++)
			before_loss(own.iov_base, own.iov_len, false);
	return sys_call(SYS_process_madvise, pidfd, (long)iov, (long)n, advice, flags, 0);
}

/* ---- the wrappers ---- */

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t pos)
{
	long rc = shim.on ? shim_mmap(addr, len, prot, flags, fd, pos) : sys_call(SYS_mmap, (long)addr, (long)len, prot, flags, fd, pos);

	return (void *)shim_ret(rc);
}
EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos) __attribute__((alias("mmap64")));

EXPORT int munmap(void *addr, size_t len)
{
	return (int)shim_ret(shim_munmap(addr, len));
}

EXPORT void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	void *to = NULL;
	va_list ap;

	if (flags & MREMAP_FIXED) {
		va_start(ap, flags);
		to = va_arg(ap, void *);
		va_end(ap);
	}
	return (void *)shim_ret(shim_mremap(old, old_len, new_len, flags, to));
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	return (int)shim_ret(shim_mprotect(addr, len, prot));
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	return (int)shim_ret(shim_madvise(addr, len, advice));
}

EXPORT int brk(void *addr)
{
	return shim_brk(addr);
}

EXPORT void *sbrk(intptr_t by)
{
	char *old;

	if (!__curbrk && shim_set_break(NULL))
		return (void *)-1;
	old = __curbrk;
	if (by > 0 ? (uintptr_t)old + (uintptr_t)by < (uintptr_t)old : (uintptr_t)old < (uintptr_t)-by) {
		errno = ENOMEM;
		return (void *)-1;
	}
	return by && shim_brk(old + by) ? (void *)-1 : old;
}

EXPORT void *shmat(int id, const void *addr, int flags)
{
	return (void *)shim_ret(shim_shmat(id, (void *)(uintptr_t)addr, flags));
}

EXPORT int shmdt(const void *addr)
{
	return (int)shim_ret(shim_shmdt((void *)(uintptr_t)addr));
}

EXPORT int remap_file_pages(void *addr, size_t len, int prot, size_t pgoff, int flags)
{
	return (int)shim_ret(shim_remap_file_pages(addr, len, prot, pgoff, flags));
}

EXPORT ssize_t process_madvise(int pidfd, const struct iovec *iov, size_t n, int advice, unsigned flags)
{
	return shim_ret(shim_process_madvise(pidfd, iov, n, advice, flags));
}
