/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/mem.c: memory that is mapped for DMA and that the program takes away. In the kernel the pages are pinned: the program loses its view of
 * them, the device does not. Here a device reaches them through the program's view, so before that goes, the pages move to a place of ours,
 * and the mapping follows (vfio_preserve_pages). They stay there until the mapping goes: the price of a program that forgets its memory.
 *
 * Not seen: what libc does inside of itself (free() of a large block, a trim of the heap), shmdt, ftruncate of a shared file.
 */
#include "shim/shim.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "base/rcu.h"
#include "vfio/type1.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* linux/mman.h, 5.7 */
#endif

#define HUGE_2M (1ull << 21)
#define HUGE_1G (1ull << 30)

static bool failed(long v)
{
	return v < 0 && v >= -4095;
}

static bool in_use(const void *addr, size_t len)
{
	struct machine *m = shim_machine_if_built();

	return m && len && vfio_pages_in_use(machine_system(m), addr, len);
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

/* [addr, addr + len) is about to go. */
static void before_loss(void *addr, size_t len)
{
	struct machine *m;
	uint64_t start = (uint64_t)addr, size;

	if ((start & (PAGE_SIZE_4K - 1)) || !len || add_overflows(start, len + PAGE_SIZE_4K))
		return;
	size = align_up(len, PAGE_SIZE_4K);
	if (!in_use(addr, size))
		return;
	m = shim_machine_if_built();
	vfio_preserve_pages(machine_system(m), addr, size, set_aside, NULL);
}

long shim_munmap(void *addr, size_t len)
{
	if (rcu_registering)
		return sys_call(SYS_munmap, (long)addr, (long)len, 0, 0, 0, 0);
	before_loss(addr, len);
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
		before_loss(addr, len);
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

long shim_madvise(void *addr, size_t len, int advice)
{
	if (advice == MADV_DONTNEED || advice == MADV_FREE)
		before_loss(addr, len);
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

long shim_mremap(void *old, size_t old_len, size_t new_len, int flags, void *to)
{
	size_t have = align_up(old_len, PAGE_SIZE_4K), want = align_up(new_len, PAGE_SIZE_4K);
	const long a[6] = { (long)old, (long)old_len, (long)new_len, flags, (long)to };
	struct machine *m;
	char *probe;
	long rc;

	if (rcu_registering)
		goto plain;
	if (shim_bar_remap(old, old_len, new_len, &rc))
		return rc;
	if (!have || !want || have < old_len || want < new_len || (uint64_t)old & (PAGE_SIZE_4K - 1) || add_overflows((uint64_t)old, have))
		goto plain;
	if (flags & MREMAP_FIXED)
		before_loss(to, want);
	if (!in_use(old, have))
		goto plain;
	if (want < have)
		before_loss((char *)old + want, have - want);
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		/* in place if it goes */
		rc = sys_call(SYS_mremap, (long)old, (long)old_len, (long)new_len, 0, 0, 0);
		if (!failed(rc) || !(flags & MREMAP_MAYMOVE))
			return rc;
	}
	have = want < have ? want : have;
	probe = second_view(old, have, NULL);
	if (!probe) {
		log_err(SHIM_WHO, "mremap of private memory at %p that is mapped for DMA: uvfio cannot keep it for the device, ENOMEM; unmap it from the device first", old);
		return -ENOMEM;
	}
	sys_call(SYS_munmap, (long)probe, (long)have, 0, 0, 0, 0);
	m = shim_machine_if_built();
	vfio_preserve_pages(machine_system(m), old, have, second_view, NULL);
plain:
	if (flags & MREMAP_FIXED)
		return shim_bar_replace(to, new_len, SYS_mremap, a);
	return sys_call(SYS_mremap, a[0], a[1], a[2], a[3], a[4], 0);
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
