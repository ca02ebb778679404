/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/mem.c: the calls that change what memory the program has. What they take from a device is
 * seen to in keep.c; what mapped BARs have to do with them is here and in bars.c.
 *
 * Calls that libc makes inside of itself come to libc.c.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "shim/bars.h"
#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/scope.h"
#include "vfio/abi.h"
#include "vfio/aside.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* linux/mman.h, 5.7 */
#endif

/* asm-generic/mman-common.h, newer than libc's */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* 5.18 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* 6.1 */
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* 6.13 */
#define MADV_GUARD_REMOVE  103
#endif

static long do_munmap(void *addr, size_t len)
{
	shim_v3_goes(addr, len, "munmap");
	shim_keep(addr, len, true);
	return shim_bar_munmap(addr, len);
}

static long do_pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	long rc;

	shim_v3_protect(addr, len, prot);
	if (shim_bar_protect(addr, len, prot, pkey, &rc))
		return rc;
	return sys_call(SYS_pkey_mprotect, (long)addr, (long)len, prot, pkey, 0, 0);
}

static long do_mprotect(void *addr, size_t len, int prot)
{
	long rc;

	shim_v3_protect(addr, len, prot);
	if (shim_bar_protect(addr, len, prot, -1, &rc))
		return rc;
	return sys_call(SYS_mprotect, (long)addr, (long)len, prot, 0, 0, 0);
}

/* Map @fd if it is a handle: true and *@ret. */
static bool map_handle(void *addr, int fd, size_t len, int prot, int flags, off_t pos, long *ret)
{
	struct shim_handle *h;
	struct uapi_file *f;
	int err, mode;

	h = shim_handle_get_own(fd, &err);
	if (!h) {
		if (!err)
			shim_fd_no_handle(fd);
		return false;
	}
	f = shim_handle_use(h, fd, false);
	mode = shim_handle_flags(h) & O_ACCMODE;
	if (!f)
		*ret = -ENODEV;
	/* do_mmap(), mm/mmap.c */
	else if (!len)
		*ret = -EINVAL;
	else if ((mode != O_RDONLY && mode != O_RDWR) ||
		 (prot & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE && mode != O_RDWR))
		*ret = -EACCES;
	else
		*ret = shim_bar_map(f, addr, len, prot, flags, (uint64_t)pos);
	shim_handle_put(h);
	return true;
}

static long do_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos)
{
	const long a[6] = { (long)addr, (long)len, prot, flags, SYS_PASS(fd), pos };
	long rc;

	if (flags & MAP_FIXED)
		shim_v3_goes(addr, len, "mmap with MAP_FIXED");
	if (flags & MAP_FIXED)
		shim_keep_mmap(addr, len, prot, flags, fd, pos);
	if (!(flags & MAP_ANONYMOUS) && shim_fd_maybe_handle(fd) &&
	    map_handle(addr, fd, len, prot, flags, pos, &rc))
		return rc;
	if (flags & MAP_FIXED)
		rc = shim_bar_replace(addr, len, SYS_mmap, a);
	else
		rc = sys_call(SYS_mmap, a[0], a[1], a[2], a[3], a[4], a[5]);
	/*
	 * the kernel's answer to a descriptor without access: maybe a handle whose number is not
	 * marked
	 */
	if (rc == -EACCES && !(flags & MAP_ANONYMOUS))
		map_handle(addr, fd, len, prot, flags, pos, &rc);
	return rc;
}

/*
 * System call @nr(addr, len, arg), which refuses mapped BARs with @refusal and looks at one mapping
 * after the other: at a hole it goes on, and says ENOMEM at the end, unless @stops.
 */
static long piecewise(long nr, void *addr, size_t len, long arg, long refusal, bool stops)
{
	char *at = addr, *end = at + align_up(len, PAGE_SIZE_4K);
	long rc, hole = 0;
	size_t n;
	bool bar;

	for (; at < end; at += n) {
		n = shim_bar_stretch(at, (size_t)(end - at), &bar);
		rc = bar ? refusal : sys_call(nr, (long)at, (long)n, arg, 0, 0, 0);
		if (rc == -ENOMEM && !stops)
			hole = rc;
		else if (rc)
			return rc;
	}
	return hole;
}

/* True if the arguments are such that the kernel looks for mappings at all, and one is a BAR. */
static bool of_bar(void *addr, size_t len)
{
	return !((uintptr_t)addr % PAGE_SIZE_4K) && len <= UINTPTR_MAX - PAGE_SIZE_4K &&
	       !add_overflows((uintptr_t)addr, len + PAGE_SIZE_4K) && shim_bar_has(addr, len);
}

/*
 * Return the -errno with which the kernel refuses @advice for a mapping that is VM_IO, VM_PFNMAP,
 * VM_DONTEXPAND and of a device's file (mm/madvise.c); 0: it takes it, and so does our mapping.
 */
static long advice_refusal(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_DOFORK:
	case MADV_DODUMP:
	case MADV_WIPEONFORK:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_DONTNEED_LOCKED:
	case MADV_COLLAPSE:
	case MADV_GUARD_INSTALL:
	case MADV_GUARD_REMOVE:
		return -EINVAL;
	case MADV_REMOVE:
		return -ENODEV;
	default:
		return 0;
	}
}

static long do_madvise(void *addr, size_t len, int advice)
{
	long refusal = advice_refusal(advice), rc;

	if (shim_advice_loses(advice) || advice == MADV_REMOVE)
		shim_v3_goes(addr, len, "madvise");
	if (shim_keep_madvise(addr, len, advice, &rc))
		return rc;
	if (refusal && of_bar(addr, len))
		return piecewise(SYS_madvise, addr, len, advice, refusal,
				 advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE);
	return sys_call(SYS_madvise, (long)addr, (long)len, advice, 0, 0, 0);
}

static long do_mremap(void *old, size_t old_len, size_t new_len, int flags, void *to);

/*
 * Do mremap(2) of a range that has a mapped BAR, as 7.3 does it: such a mapping does not grow, is
 * not doubled, and moves together with its neighbours.
 */
static long remap_bar(char *old, size_t old_len, size_t new_len, int flags, char *to)
{
	size_t have = align_up(old_len, PAGE_SIZE_4K), want = align_up(new_len, PAGE_SIZE_4K), n;
	long rc;
	bool bar;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP) ||
	    (uintptr_t)old % PAGE_SIZE_4K || !want)
		return -EINVAL;
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		if (want > have)
			return -EFAULT;
		/* is there something at the beginning? */
		rc = sys_call(SYS_mremap, (long)old, PAGE_SIZE_4K, PAGE_SIZE_4K, 0, 0, 0);
		if (!sys_failed(rc) && want < have)
			rc = do_munmap(old + want, have - want);
		return sys_failed(rc) ? rc : (long)old;
	}
	if ((uintptr_t)to % PAGE_SIZE_4K || !(flags & MREMAP_MAYMOVE) || flags & MREMAP_DONTUNMAP ||
	    add_overflows((uintptr_t)to, want) || (old < to + want && to < old + have))
		return -EINVAL;
	if (want > have)
		return -EFAULT;
	/*
	 * each piece takes the place of what is there; another thread's memory would come into a
	 * hole
	 */
	shim_keep(to, want, true);
	rc = want < have ? do_munmap(old + want, have - want) : 0;
	for (size_t at = 0; at < want && !sys_failed(rc); at += n) {
		n = shim_bar_stretch(old + at, want - at, &bar);
		rc = bar ? shim_bar_move(old + at, n, to + at)
			 : do_mremap(old + at, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, to + at);
	}
	return sys_failed(rc) ? rc : (long)to;
}

static long do_mremap(void *old, size_t old_len, size_t new_len, int flags, void *to)
{
	size_t have = align_up(old_len, PAGE_SIZE_4K), want = align_up(new_len, PAGE_SIZE_4K);
	const long a[6] = { (long)old, (long)old_len, (long)new_len, flags, (long)to };
	long rc;

	if (shim_bar_has(old, old_len ? old_len : 1))
		return remap_bar(old, old_len, new_len, flags, to);
	if (!have || !want || have < old_len || want < new_len ||
	    (uint64_t)old & (PAGE_SIZE_4K - 1) || add_overflows((uint64_t)old, have))
		goto plain;
	if (shim_v3_mremap(old, have, want, flags, to, &rc))
		return rc;
	if (shim_keep_mremap(old, have, want, flags, to, &rc))
		return rc;
plain:
	if (flags & MREMAP_FIXED)
		return shim_bar_replace(to, new_len, SYS_mremap, a);
	return sys_call(SYS_mremap, a[0], a[1], a[2], a[3], a[4], 0);
}

/* ---- other ways ---- */

/* The heap is about to end at @addr. */
static void break_falls(void *addr, void *now)
{
	uint64_t from = align_up((uint64_t)addr, PAGE_SIZE_4K);

	if (addr && from < (uint64_t)now)
		shim_v3_goes((void *)from, (uint64_t)now - from, "brk");
	if (addr && from < (uint64_t)now)
		shim_keep((void *)from, (uint64_t)now - from, true);
}

int shim_brk(void *addr)
{
	break_falls(addr, __curbrk);
	return shim_set_break(addr);
}

static long do_shmdt(void *addr)
{
	shim_v3_shmdt(addr);
	shim_keep_segment(addr);
	return sys_call(SYS_shmdt, (long)addr, 0, 0, 0, 0, 0);
}

static long do_shmat(int id, void *addr, int flags)
{
	void *at = (void *)(flags & SHM_RND ? align_down((uint64_t)addr, SHMLBA) : (uint64_t)addr);
	const long a[6] = { id, (long)addr, flags };
	struct shmid_ds ds;

	if (!(flags & SHM_REMAP) || !at || sys_call(SYS_shmctl, id, IPC_STAT, (long)&ds, 0, 0, 0))
		return sys_call(SYS_shmat, id, (long)addr, flags, 0, 0, 0);
	shim_keep(at, ds.shm_segsz, true);
	return shim_bar_replace(at, ds.shm_segsz, SYS_shmat, a);
}

static long do_remap_file_pages(void *addr, size_t len, int prot, size_t page, int flags)
{
	if (shim_bar_has(addr, 1))
		return shim_bar_remap_pages(addr, len, prot, page);
	shim_keep_shared(addr, len);
	return sys_call(SYS_remap_file_pages, (long)addr, (long)len, prot, (long)page, flags, 0);
}

/* True if @pidfd is one of this process. */
static bool pidfd_is_self(int pidfd)
{
	char path[40], text[512], *line;
	long fd, n = -1;

	/* PIDFD_SELF_THREAD, PIDFD_SELF_THREAD_GROUP, linux/pidfd.h */
	if (pidfd == -10000 || pidfd == -10001)
		return true;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	n = sys_call(SYS_read, fd, (long)text, sizeof(text) - 1, 0, 0, 0);
	sys_close((int)fd);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "\nPid:");
	return line && atol(line + 5) == sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/*
 * Do process_madvise(2). The kernel lets a process drop pages of its own only, since 6.13, and says
 * so before it looks at any. With a BAR among them this is done here, whatever the kernel.
 */
static long do_process_madvise(int pidfd, const struct iovec *iov, size_t n, int advice,
			       unsigned flags)
{
	bool ours = false;
	struct iovec v;
	long done = 0, rc;

	for (size_t i = 0; i < n && n <= IOV_MAX && shim_bar_any() && !ours; i++)
		ours = !guard_copy(&v, &iov[i], sizeof(v)) && of_bar(v.iov_base, v.iov_len);
	ours = ours && !flags && pidfd_is_self(pidfd);
	if (!ours && n <= IOV_MAX && shim_advice_loses(advice))
		ours = !sys_call(SYS_process_madvise, pidfd, (long)iov, 0, advice, flags, 0);
	if (!ours)
		return sys_call(SYS_process_madvise, pidfd, (long)iov, (long)n, advice, flags, 0);
	for (size_t i = 0; i < n; i++) {
		rc = guard_copy(&v, &iov[i], sizeof(v)) ? -EFAULT
							: do_madvise(v.iov_base, v.iov_len, advice);
		if (rc)
			return done ? done : rc;
		done += (long)v.iov_len;
	}
	return done;
}

/* ---- BARs alone ---- */

/* 1: not refused. A device's file has no fsync. */
static long do_msync(void *addr, size_t len, int flags)
{
	if ((flags & ~MS_INVALIDATE) != MS_SYNC || !of_bar(addr, len))
		return 1;
	return piecewise(SYS_msync, addr, len, flags, -EINVAL, false);
}

/*
 * Lock memory that may have BARs in it. The kernel counts a BAR when it looks at the limit, and
 * then locks nothing of it. Our mapping has no pages to lock, so first the whole is locked without
 * pages, for the count, and then all but the BARs.
 */
static long do_mlock(long nr, void *addr, size_t len, int flags)
{
	uintptr_t start = (uintptr_t)addr & ~(PAGE_SIZE_4K - 1), end, at;
	long rc;
	size_t n;
	bool bar;

	len += (uintptr_t)addr - start;
	if (flags & ~MLOCK_ONFAULT || !of_bar((void *)start, len))
		return sys_call(nr, (long)addr, (long)len, flags, 0, 0, 0);
	end = start + align_up(len, PAGE_SIZE_4K);
	rc = sys_call(SYS_mlock2, (long)start, (long)len, MLOCK_ONFAULT, 0, 0, 0);
	for (at = start; at < end; at += n) {
		n = shim_bar_stretch((void *)at, end - at, &bar);
		if (bar)
			sys_call(SYS_munlock, (long)at, (long)n, 0, 0, 0, 0);
		else if (!rc)
			rc = sys_call(SYS_mlock2, (long)at, (long)n, flags, 0, 0, 0);
	}
	return rc;
}

static long do_mlockall(int flags)
{
	long rc = sys_call(SYS_mlockall, flags, 0, 0, 0, 0, 0);

	if (!rc && flags & MCL_CURRENT)
		shim_bar_unlock_pages();
	return rc;
}

#define NR_MSEAL 462 /* 6.10: asm/unistd_64.h */

static long do_mseal(void *addr, size_t len, unsigned long flags)
{
	if (of_bar(addr, len) && shim_bar_polls(addr, len))
		return report_warn(
			"mseal", SHIM_WHO, -EPERM,
			"mseal of a mapped BAR at %p that has polled pages: they come and go",
			addr);
	return sys_call(NR_MSEAL, (long)addr, (long)len, (long)flags, 0, 0, 0);
}

/* True if the link of @fd reads @what. */
static bool fd_is(int fd, const char *what)
{
	char text[64];

	return sys_readlink_fd(fd, text, sizeof(text)) >= 0 && !strcmp(text, what);
}

struct uffd_args {
	int fd;
	const void *arg;
};

static long uffd_refuses(void *arg)
{
	const struct uffd_args *a = arg;
	struct uffdio_register r;

	return !guard_copy(&r, a->arg, sizeof(r)) &&
	       of_bar((void *)(uintptr_t)r.range.start, r.range.len) &&
	       fd_is(a->fd, "anon_inode:[userfaultfd]");
}

bool shim_uffd_refuses(int fd, const void *arg)
{
	struct uffd_args a = { fd, arg };

	return shim_run(uffd_refuses, &a);
}

/*
 * The calls: by the kernel alone while there is no device in this process, or no BAR that they
 * would be about; else in the scope of a call of ours.
 */

struct call {
	long nr, a[6];
};

static const char *name_of(long nr)
{
	switch (nr) {
	case SYS_mmap:
		return "mmap";
	case SYS_munmap:
		return "munmap";
	case SYS_mremap:
		return "mremap";
	case SYS_madvise:
		return "madvise";
	case SYS_process_madvise:
		return "process_madvise";
	case SYS_mprotect:
		return "mprotect";
	case SYS_pkey_mprotect:
		return "pkey_mprotect";
	case SYS_msync:
		return "msync";
	case SYS_mlock:
	case SYS_mlock2:
		return "mlock";
	case SYS_mlockall:
		return "mlockall";
	case SYS_remap_file_pages:
		return "remap_file_pages";
	case NR_MSEAL:
		return "mseal";
	case SYS_shmat:
		return "shmat";
	default:
		return "shmdt";
	}
}

static long run(void *arg)
{
	const struct call *c = arg;
	const long *a = c->a;
	void *addr = (void *)a[0];
	size_t len = (size_t)a[1];
	SHIM_CALL(name_of(c->nr));

	switch (c->nr) {
	case SYS_mmap:
		return do_mmap(addr, len, (int)a[2], (int)a[3], (int)a[4], a[5]);
	case SYS_munmap:
		return do_munmap(addr, len);
	case SYS_mremap:
		return do_mremap(addr, len, (size_t)a[2], (int)a[3], (void *)a[4]);
	case SYS_mprotect:
		return do_mprotect(addr, len, (int)a[2]);
	case SYS_pkey_mprotect:
		return do_pkey_mprotect(addr, len, (int)a[2], (int)a[3]);
	case SYS_madvise:
		return do_madvise(addr, len, (int)a[2]);
	case SYS_process_madvise:
		return do_process_madvise((int)a[0], (const struct iovec *)a[1], (size_t)a[2],
					  (int)a[3], (unsigned)a[4]);
	case SYS_msync:
		return do_msync(addr, len, (int)a[2]);
	case SYS_mlock:
		return do_mlock(c->nr, addr, len, 0);
	case SYS_mlock2:
		return do_mlock(c->nr, addr, len, (int)a[2]);
	case SYS_mlockall:
		return do_mlockall((int)a[0]);
	case SYS_remap_file_pages:
		return do_remap_file_pages(addr, len, (int)a[2], (size_t)a[3], (int)a[4]);
	case NR_MSEAL:
		return do_mseal(addr, len, (unsigned long)a[2]);
	case SYS_shmat:
		return do_shmat((int)a[0], (void *)a[1], (int)a[2]);
	default:
		return do_shmdt(addr);
	}
}

static long mmap_call(struct call *c)
{
	bool anonymous = c->a[3] & MAP_ANONYMOUS;
	long rc;

	/* where the kernel likes it, nothing is in its place */
	if (anonymous && !(c->a[3] & MAP_FIXED))
		return sys_call(SYS_mmap, c->a[0], c->a[1], c->a[2], c->a[3], c->a[4], c->a[5]);
	if (shim_machine_if_built() || shim_bar_any() ||
	    (!anonymous && shim_fd_maybe_handle((int)c->a[4])))
		return shim_run(run, c);
	rc = sys_call(SYS_mmap, c->a[0], c->a[1], c->a[2], c->a[3], SYS_PASS(c->a[4]), c->a[5]);
	/*
	 * the kernel's answer to a descriptor without access: maybe a handle from before a fork,
	 * whose number is not marked
	 */
	return rc == -EACCES && !anonymous ? shim_run(run, c) : rc;
}

bool shim_memory(long nr, const long a[6], long *ret)
{
	struct call c = { nr, { a[0], a[1], a[2], a[3], a[4], a[5] } };
	bool concerned;

	switch (nr) {
	case SYS_mmap:
		*ret = mmap_call(&c);
		return true;
	case SYS_munmap:
	case SYS_mremap:
	case SYS_madvise:
	case SYS_process_madvise:
	case SYS_remap_file_pages:
	case SYS_shmat:
	case SYS_shmdt:
		concerned = shim_machine_if_built() || shim_bar_any();
		break;
	case SYS_mprotect:
	case SYS_pkey_mprotect:
	case SYS_msync:
	case SYS_mlock:
	case SYS_mlock2:
	case SYS_mlockall:
	case NR_MSEAL:
		concerned = shim_bar_any() || (vfio_abi()->v3 && shim_machine_if_built());
		break;
	case SYS_brk:
		break_falls((void *)a[0], __curbrk);
		return false;
	default:
		return false;
	}
	if (!concerned)
		return false;
	*ret = shim_run(run, &c);
	return nr != SYS_msync || *ret <= 0;
}

/* ---- libc's names for them ---- */

static long call(long nr, long a0, long a1, long a2, long a3, long a4, long a5)
{
	const long a[6] = { a0, a1, a2, a3, a4, a5 };
	long rc;

	return shim.on && shim_memory(nr, a, &rc) ? rc : sys_call(nr, a0, a1, a2, a3, a4, a5);
}

long shim_munmap(void *addr, size_t len)
{
	return call(SYS_munmap, (long)addr, (long)len, 0, 0, 0, 0);
}

long shim_madvise(void *addr, size_t len, int advice)
{
	return call(SYS_madvise, (long)addr, (long)len, advice, 0, 0, 0);
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t pos)
{
	SHIM_NOTE_FROM();
	return (void *)shim_ret(call(SYS_mmap, (long)addr, (long)len, prot, flags, fd, pos));
}
EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos)
	__attribute__((alias("mmap64")));

EXPORT int munmap(void *addr, size_t len)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(shim_munmap(addr, len));
}

EXPORT void *mremap(void *old, size_t old_len, size_t new_len, int flags, ...)
{
	void *to = NULL;
	va_list ap;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(ap, flags);
		to = va_arg(ap, void *);
		va_end(ap);
	}
	SHIM_NOTE_FROM();
	return (void *)shim_ret(
		call(SYS_mremap, (long)old, (long)old_len, (long)new_len, flags, (long)to, 0));
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(call(SYS_mprotect, (long)addr, (long)len, prot, 0, 0, 0));
}

EXPORT int pkey_mprotect(void *addr, size_t len, int prot, int pkey)
{
	SHIM_NOTE_FROM();
	/* as libc's, which asks for mprotect, too: a kernel without keys has no pkey_mprotect */
	return (int)shim_ret(call(pkey == -1 ? SYS_mprotect : SYS_pkey_mprotect, (long)addr,
				  (long)len, prot, pkey, 0, 0));
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(shim_madvise(addr, len, advice));
}

EXPORT ssize_t process_madvise(int pidfd, const struct iovec *iov, size_t n, int advice,
			       unsigned flags)
{
	SHIM_NOTE_FROM();
	return shim_ret(call(SYS_process_madvise, pidfd, (long)iov, (long)n, advice, flags, 0));
}

EXPORT int mlock(const void *addr, size_t len)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(call(SYS_mlock, (long)addr, (long)len, 0, 0, 0, 0));
}

EXPORT int mlock2(const void *addr, size_t len, unsigned flags)
{
	SHIM_NOTE_FROM();
	/* as libc's */
	return (int)shim_ret(
		call(flags ? SYS_mlock2 : SYS_mlock, (long)addr, (long)len, flags, 0, 0, 0));
}

EXPORT int mlockall(int flags)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(call(SYS_mlockall, flags, 0, 0, 0, 0, 0));
}

EXPORT int remap_file_pages(void *addr, size_t len, int prot, size_t page, int flags)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(
		call(SYS_remap_file_pages, (long)addr, (long)len, prot, (long)page, flags, 0));
}

EXPORT int mseal(void *addr, size_t len, unsigned long flags);
EXPORT int mseal(void *addr, size_t len, unsigned long flags)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(call(NR_MSEAL, (long)addr, (long)len, (long)flags, 0, 0, 0));
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
	if (by > 0 ? (uintptr_t)old + (uintptr_t)by < (uintptr_t)old
		   : (uintptr_t)old < (uintptr_t)-by) {
		errno = ENOMEM;
		return (void *)-1;
	}
	return by && shim_brk(old + by) ? (void *)-1 : old;
}

EXPORT void *shmat(int id, const void *addr, int flags)
{
	SHIM_NOTE_FROM();
	return (void *)shim_ret(call(SYS_shmat, id, (long)addr, flags, 0, 0, 0));
}

EXPORT int shmdt(const void *addr)
{
	SHIM_NOTE_FROM();
	return (int)shim_ret(call(SYS_shmdt, (long)addr, 0, 0, 0, 0, 0));
}

/* libc's, which is a cancellation point */
EXPORT int msync(void *addr, size_t len, int flags)
{
	const long a[6] = { (long)addr, (long)len, flags };
	long rc;

	NEXT_IF_LOADED(msync);
	SHIM_NOTE_FROM();
	if (shim.on && shim_memory(SYS_msync, a, &rc))
		return (int)shim_ret(rc);
	return real ? real(addr, len, flags)
		    : (int)shim_ret(sys_call(SYS_msync, a[0], a[1], a[2], 0, 0, 0));
}
