/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/reach.c: past the program's page protection.
 *
 * /proc/self/mem does for private memory what a debugger's access does: protection does not count,
 * and a page that is written stays the program's own. Some kernels are told to let nobody do so
 * (proc_mem.force_override). Of shared memory it reads everything but writes only what the program
 * can write, so there a second view of the pages is made for the length of the copy: mremap(2) with
 * an old size of 0, which needs no descriptor and works for nothing but shared memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "base/reach.h"
#include "base/sys.h"
#include "base/util.h"

/* guard_copy.S: from here on no promise about the size of stores */
#define LARGE 320u

static atomic_int mem_fd = -1;

static int open_mem(void)
{
	return sys_open("/proc/self/mem", O_RDWR | O_CLOEXEC, 0);
}

void reach_init(void)
{
	int fd, priv, none = -1;

	if (atomic_load(&mem_fd) >= 0)
		return;
	fd = open_mem();
	if (fd < 0)
		return;
	priv = fd_make_private(fd);
	if (priv < 0)
		sys_close(fd);
	else if (!atomic_compare_exchange_strong(&mem_fd, &none, priv))
		fd_close_private(priv);
}

/*
 * True if @fd is this process's memory. After a fork it is the parent's, and the number may have
 * become anything: so it has to show what was just written to the stack.
 */
static bool is_ours(int fd)
{
	volatile uint64_t mark = now_ns() ^ (uintptr_t)&mark;
	uint64_t seen = ~mark;

	return fd_is_private(fd) &&
	       sys_pread(fd, &seen, sizeof(seen), (off_t)(uintptr_t)&mark) ==
		       (ssize_t)sizeof(seen) &&
	       seen == mark;
}

/*
 * Return how many of @n bytes go at once, so that the device's words are seen whole and in order,
 * as by guard_copy.
 */
static size_t piece(size_t n)
{
	return n >= LARGE ? n : n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

static size_t by_proc(char *mem, char *buf, size_t n, bool write)
{
	int kept = atomic_load(&mem_fd), fd = kept >= 0 && is_ours(kept) ? kept : open_mem();
	size_t done = 0, len;
	ssize_t r;

	if (fd < 0)
		return 0;
	while (done < n) {
		len = piece(n - done);
		r = write ? sys_pwrite(fd, buf + done, len, (off_t)(uintptr_t)(mem + done))
			  : sys_pread(fd, buf + done, len, (off_t)(uintptr_t)(mem + done));
		if (r <= 0)
			break;
		done += (size_t)r;
	}
	if (fd != kept)
		sys_close(fd);
	return done;
}

bool reach_is_mapped(uint64_t addr)
{
	unsigned char resident;

	return !sys_call(SYS_mincore, (long)addr, PAGE_SIZE_4K, (long)&resident, 0, 0, 0);
}

/*
 * True if @addr is inside of a huge page. The call changes nothing; it is EINVAL there. Valgrind
 * makes it for the program, and does not survive an address where nothing is: so that is asked
 * before.
 */
static bool cuts_page(uint64_t addr)
{
	return reach_is_mapped(addr) &&
	       sys_call(SYS_mremap, (long)addr, PAGE_SIZE_4K, PAGE_SIZE_4K, 0, 0, 0) == -EINVAL;
}

uint64_t reach_page_size(uint64_t addr)
{
	uint64_t page = align_down(addr, PAGE_SIZE_4K), start = align_down(addr, HUGE_2M);

	if (!cuts_page(page % HUGE_2M ? page : page + PAGE_SIZE_4K))
		return PAGE_SIZE_4K;
	return cuts_page(start % HUGE_1G ? start : start + HUGE_2M) ? HUGE_1G : HUGE_2M;
}

/*
 * Copy the part of [mem, mem + n) that lies in the first page through a second mapping of it. The
 * kernel makes none of huge pages. Return the bytes copied.
 */
static size_t by_second_view(char *mem, char *buf, size_t n, bool write)
{
	int prot = PROT_READ | (write ? PROT_WRITE : 0);
	size_t off = (uintptr_t)mem % PAGE_SIZE_4K;
	long view = sys_call(SYS_mremap, (long)(mem - off), 0, PAGE_SIZE_4K, MREMAP_MAYMOVE, 0, 0);

	if (sys_failed(view))
		return 0;
	if (n > PAGE_SIZE_4K - off)
		n = PAGE_SIZE_4K - off;
	/*
	 * the key of the program's view, which the view has, too, may be one that this thread must
	 * not use
	 */
	if (sys_call(SYS_pkey_mprotect, view, PAGE_SIZE_4K, prot, 0, 0, 0) &&
	    sys_call(SYS_mprotect, view, PAGE_SIZE_4K, prot, 0, 0, 0))
		n = 0;
	else
		n = write ? guard_copy_part((char *)view + off, buf, n)
			  : guard_copy_part(buf, (char *)view + off, n);
	sys_call(SYS_munmap, view, PAGE_SIZE_4K, 0, 0, 0, 0);
	return n;
}

static size_t reach(char *mem, char *buf, size_t n, bool write)
{
	size_t done = 0, part;

	while (done < n) {
		part = by_proc(mem + done, buf + done, n - done, write);
		if (!part)
			part = by_second_view(mem + done, buf + done, n - done, write);
		if (!part)
			break;
		done += part;
	}
	return done;
}

size_t reach_write(void *dst, const void *src, size_t n)
{
	return reach(dst, (char *)(uintptr_t)src, n, true);
}

size_t reach_read(void *dst, const void *src, size_t n)
{
	return reach((char *)(uintptr_t)src, dst, n, false);
}
