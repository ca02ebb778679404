/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/memory.c: every system call on memory, asked about a mapped BAR. Each question has a
 * layout of its own: 8 pages with nothing, 8 pages of the BAR, 8 of ordinary memory, 8 with
 * nothing. Each answer is what the call returned and, after it, what a load and a store find there.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "oracle.h"

#define P    4096ul
#define PART (8 * P)

/* newer than libc's headers */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef PROT_SEM
#define PROT_SEM 8
#endif
#define GUARD_INSTALL 102
#define GUARD_REMOVE  103
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static int dev;
static char *hole, *bar, *mem, *end, *other;
static sigjmp_buf out;

static void on_fault(int sig)
{
	siglongjmp(out, sig);
}

/*
 * e: edu's identification, f: all ones, m: the program's memory, 0: zeroes, s, b: SIGSEGV, SIGBUS
 */
static char load(volatile void *p)
{
	uint32_t v;
	int sig = sigsetjmp(out, 1);

	if (sig)
		return sig == SIGSEGV ? 's' : 'b';
	v = *(volatile uint32_t *)p;
	return v == 0x010000ed	 ? 'e'
	       : v == 0xffffffff ? 'f'
	       : v == 0x6d6d6d6d ? 'm'
	       : v		 ? '?'
				 : '0';
}

/* w, or the signal */
static char store(volatile void *p)
{
	int sig = sigsetjmp(out, 1);

	if (sig)
		return sig == SIGSEGV ? 's' : 'b';
	*(volatile uint32_t *)p = 0x6d6d6d6d;
	return 'w';
}

/* Is register 4, which reads as the complement of what is written, at @p? */
static bool alive(char *p)
{
	int sig = sigsetjmp(out, 1);

	if (sig)
		return false;
	*(volatile uint32_t *)(p + 4) = 0x12345678;
	return *(volatile uint32_t *)(p + 4) == ~0x12345678u;
}

static void lay_out(void)
{
	void *p;

	munmap(hole, 4 * PART);
	p = mmap(hole, 4 * PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
		 0);
	MUST(p == hole);
	munmap(hole, 4 * PART);
	MUST(mmap(bar, PART, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, dev, 0) ==
	     bar);
	MUST(mmap(mem, PART, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == mem);
	memset(mem, 'm', PART);
	munmap(other, PART);
	MUST(mmap(other, PART, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == other);
	memset(other, 'm', PART);
}

/*
 * One letter a page for loads and one for stores: four of the BAR, three of memory, and where
 * things are moved to; and is the device there?
 */
static void after(const char *name, long r, const char *there)
{
	static const struct {
		char **at;
		unsigned page;
	} look[] = { { &bar, 0 }, { &bar, 1 }, { &bar, 4 }, { &bar, 7 },
		     { &mem, 0 }, { &mem, 1 }, { &mem, 7 }, { &other, 0 } };
	char text[64], loads[16], stores[16];
	const char *err = r == -1 ? strerrorname_np(errno) : NULL;
	size_t i;

	for (i = 0; i < sizeof(look) / sizeof(*look); i++)
		loads[i] = load(*look[i].at + look[i].page * P);
	loads[i] = 0;
	for (i = 0; i < sizeof(look) / sizeof(*look); i++)
		stores[i] = store(*look[i].at + look[i].page * P);
	stores[i] = 0;
	if (err)
		snprintf(text, sizeof(text), "%s, %s %s%s", err, loads, stores,
			 alive(bar) ? " device" : "");
	else
		snprintf(text, sizeof(text), "%ld%s, %s %s%s", r, there, loads, stores,
			 alive(bar) ? " device" : "");
	saw_text(text, "memory.%s", name);
}

/* An address, as its distance from the BAR */
static long place(void *p)
{
	return p == MAP_FAILED				     ? -1
	       : (char *)p >= hole && (char *)p < end + PART ? ((char *)p - bar) / (long)P
	       : p == other				     ? 1000
							     : 2000;
}

#define ASK(name, call)                        \
	do {                                   \
		lay_out();                     \
		errno = 0;                     \
		after(name, (long)(call), ""); \
	} while (0)
/* for each of the ranges that a call can be about */
#define ASK_ALL(name, call)                                                                \
	do {                                                                               \
		static const struct {                                                      \
			const char *what;                                                  \
			int at, n;                                                         \
		} ranges[] = { { "the BAR", 0, 8 },	     { "two pages of it", 1, 2 },  \
			       { "BAR and memory", 6, 4 },   { "hole and BAR", -2, 4 },    \
			       { "memory and hole", 14, 4 }, { "BAR to hole", 0, 18 },     \
			       { "nothing of it", 1, 0 } };                                \
		for (size_t i_ = 0; i_ < sizeof(ranges) / sizeof(*ranges); i_++) {         \
			char text_[64], *a = bar + ranges[i_].at * (long)P;                \
			size_t n = (size_t)ranges[i_].n * P;                               \
			snprintf(text_, sizeof(text_), "%s of %s", name, ranges[i_].what); \
			ASK(text_, call);                                                  \
		}                                                                          \
	} while (0)

static void protections(void)
{
	ASK("nothing", 0);
	ASK_ALL("mprotect none", mprotect(a, n, PROT_NONE));
	ASK_ALL("mprotect read", mprotect(a, n, PROT_READ));
	ASK_ALL("mprotect write", mprotect(a, n, PROT_WRITE));
	ASK("mprotect exec", mprotect(bar, PART, PROT_READ | PROT_EXEC));
	ASK("mprotect exec of BAR and memory", mprotect(mem - P, 2 * P, PROT_READ | PROT_EXEC));
	ASK("mprotect sem", mprotect(bar, PART, PROT_READ | PROT_WRITE | PROT_SEM));
	ASK("mprotect 0x10", mprotect(bar, PART, 0x10));
	ASK("mprotect growsdown", mprotect(bar, PART, PROT_READ | PROT_GROWSDOWN));
	ASK("mprotect growsup", mprotect(bar, PART, PROT_READ | PROT_GROWSUP));
	ASK("mprotect grows both", mprotect(bar, PART, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN));
	ASK("mprotect growsdown of BAR and memory",
	    mprotect(mem - P, 2 * P, PROT_READ | PROT_GROWSDOWN));
	ASK("mprotect misaligned", mprotect(bar + 1, P, PROT_READ));
	ASK("mprotect of one byte", mprotect(bar, 1, PROT_READ));
	ASK("mprotect that wraps", mprotect(bar, -P, PROT_READ));
	ASK("mprotect that wraps to zero", mprotect(bar, -1ul, PROT_READ));
	ASK_ALL("pkey_mprotect -1 read", pkey_mprotect(a, n, PROT_READ, -1));
	ASK("pkey_mprotect -1 read and write",
	    pkey_mprotect(bar, PART, PROT_READ | PROT_WRITE, -1));
	ASK("pkey_mprotect by number",
	    syscall(SYS_pkey_mprotect, bar, PART, PROT_READ | PROT_WRITE, -1));
	ASK("pkey_mprotect 9, which nobody has",
	    pkey_mprotect(bar, PART, PROT_READ | PROT_WRITE, 9));
	ASK("pkey_mprotect -2", pkey_mprotect(bar, PART, PROT_READ | PROT_WRITE, -2));
	ASK("pkey_mprotect misaligned", pkey_mprotect(bar + 1, P, PROT_READ, -1));
}

static void *moved(unsigned long old_page, size_t old, size_t new, int flags, void *to)
{
	return (void *)syscall(SYS_mremap, bar + old_page * P, old, new, flags, to);
}

/* where it went, and what is there */
static void move(const char *name, long old_page, size_t old, size_t new, int flags, void *to,
		 bool lay)
{
	char there[32];
	void *r;

	if (lay)
		lay_out();
	errno = 0;
	r = moved((unsigned long)old_page, old, new, flags, to);
	if (r != MAP_FAILED) {
		char a = load(r), b = load((char *)r + new - P);

		snprintf(there, sizeof(there), " %c%c%s", a, b, alive(r) ? " device" : "");
		after(name, place(r), there);
		if (place(r) == 2000)
			munmap(r, new);
	} else {
		after(name, -1, "");
	}
}

static void moves(void)
{
	int may = MREMAP_MAYMOVE, fixed = MREMAP_MAYMOVE | MREMAP_FIXED,
	    keep = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;

	move("mremap to itself", 0, PART, PART, 0, NULL, true);
	move("mremap maymove to itself", 0, PART, PART, may, NULL, true);
	move("mremap smaller", 0, PART, 2 * P, 0, NULL, true);
	move("mremap smaller, from within", 2, 4 * P, 2 * P, 0, NULL, true);
	move("mremap smaller, over the end", 4, 8 * P, 2 * P, 0, NULL, true);
	move("mremap larger", 0, PART, 2 * PART, 0, NULL, true);
	move("mremap larger, maymove", 0, PART, 2 * PART, may, NULL, true);
	move("mremap a part larger", 0, P, 2 * P, may, NULL, true);
	move("mremap of size 0", 0, PART, 0, may, NULL, true);
	move("mremap from size 0", 0, 0, PART, 0, NULL, true);
	move("mremap from size 0, maymove", 0, 0, PART, may, NULL, true);
	move("mremap from size 0, maymove, one page", 0, 0, P, may, NULL, true);
	move("mremap from size 0 to a place", 0, 0, PART, fixed, other, true);
	move("mremap from size 0 to size 0", 0, 0, 0, may, NULL, true);
	move("mremap to a place", 0, PART, PART, fixed, other, true);
	move("mremap a part to a place", 2, 2 * P, 2 * P, fixed, other, true);
	move("mremap to a place, smaller", 0, PART, 2 * P, fixed, other, true);
	move("mremap to a place, larger", 0, 4 * P, PART, fixed, other, true);
	move("mremap BAR and memory to a place", 6, 4 * P, 4 * P, fixed, other, true);
	move("mremap BAR and memory to itself", 6, 4 * P, 4 * P, 0, NULL, true);
	move("mremap BAR and memory smaller", 6, 4 * P, P, 0, NULL, true);
	move("mremap memory over the BAR", 8, PART, PART, fixed, bar, true);
	move("mremap memory over a part of the BAR", 8, 2 * P, 2 * P, fixed, bar + 2 * P, true);
	move("mremap to a place that overlaps", 0, 4 * P, 4 * P, fixed, bar + 2 * P, true);
	move("mremap a part over another", 0, 2 * P, 2 * P, fixed, bar + 4 * P, true);
	move("mremap over what is before", 4, 4 * P, 4 * P, fixed, bar, true);
	move("mremap over memory", 0, PART, PART, fixed, mem, true);
	move("mremap into the hole", 0, PART, PART, fixed, hole, true);
	move("mremap to a misaligned place", 0, PART, PART, fixed, other + 1, true);
	move("mremap of a misaligned address", 0, PART, PART, 0x80, NULL, true);
	move("mremap fixed without maymove", 0, PART, PART, MREMAP_FIXED, other, true);
	move("mremap dontunmap", 0, PART, PART, keep, NULL, true);
	move("mremap dontunmap without maymove", 0, PART, PART, MREMAP_DONTUNMAP, NULL, true);
	move("mremap dontunmap to a place", 0, PART, PART, keep | MREMAP_FIXED, other, true);
	move("mremap dontunmap smaller", 0, PART, P, keep, NULL, true);
	move("mremap unknown flag", 0, PART, PART, 0x80, NULL, true);
	move("mremap unknown flag and fixed", 0, PART, PART, 0x80 | fixed, other, true);
	/* moved once, and back: it is as before */
	move("mremap there", 0, PART, PART, fixed, other, true);
	move("mremap nothing there", 0, PART, PART, fixed, other, false);
	lay_out();
	MUST(mprotect(bar + 2 * P, 2 * P, PROT_READ) == 0);
	move("mremap of three mappings", 0, PART, PART, fixed, other, false);
	lay_out();
	MUST(mprotect(bar, PART, PROT_READ) == 0);
	move("mremap of what can only be read", 0, PART, PART, fixed, other, false);
	saw(store(other), "memory.a store to what can only be read");
	lay_out();
	MUST(moved(0, PART, PART, fixed, other) == other);
	saw(mprotect(other, P, PROT_NONE), "memory.mprotect where it was moved to");
	saw(load(other), "memory.load of it");
	saw(load(other + P), "memory.load behind it");
	saw(munmap(other, PART), "memory.munmap where it was moved to");
	saw(load(other), "memory.load after that");
}

static void advice(void)
{
	static const struct {
		const char *name;
		int advice;
	} all[] = {
		{ "normal", MADV_NORMAL },
		{ "random", MADV_RANDOM },
		{ "sequential", MADV_SEQUENTIAL },
		{ "willneed", MADV_WILLNEED },
		{ "dontneed", MADV_DONTNEED },
		{ "free", MADV_FREE },
		{ "remove", MADV_REMOVE },
		{ "dontfork", MADV_DONTFORK },
		{ "dofork", MADV_DOFORK },
		{ "dontdump", MADV_DONTDUMP },
		{ "dodump", MADV_DODUMP },
		{ "wipeonfork", MADV_WIPEONFORK },
		{ "keeponfork", MADV_KEEPONFORK },
		{ "cold", MADV_COLD },
		{ "pageout", MADV_PAGEOUT },
		{ "populate read", MADV_POPULATE_READ },
		{ "populate write", MADV_POPULATE_WRITE },
		{ "dontneed locked", MADV_DONTNEED_LOCKED },
		{ "7", 7 },
		{ "-1", -1 },
	};
	char text[48];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		int what = all[i].advice;

		snprintf(text, sizeof(text), "madvise %s", all[i].name);
		ASK_ALL(text, madvise(a, n, what));
	}
	ASK("madvise dontneed misaligned", madvise(bar + 1, P, MADV_DONTNEED));
	ASK("madvise dontneed of one byte", madvise(bar, 1, MADV_DONTNEED));
	ASK("madvise dontneed that wraps", madvise(bar, -P, MADV_DONTNEED));
	/* what memory says to these depends on the machine */
	ASK("madvise collapse", madvise(bar, PART, MADV_COLLAPSE));
	ASK("madvise guard install", madvise(bar, PART, GUARD_INSTALL));
	ASK("madvise guard remove", madvise(bar, PART, GUARD_REMOVE));
}

static long self_advice(int n, int what)
{
	struct iovec v[2] = { { mem, P }, { bar, P } };
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0), e;
	long r = syscall(SYS_process_madvise, fd, n < 0 ? v + 1 : v, n < 0 ? 1 : n, what, 0);

	e = errno;
	close(fd);
	errno = e;
	return r;
}

static void process_advice(void)
{
	static const struct {
		const char *name;
		int advice;
	} all[] = { { "cold", MADV_COLD },
		    { "pageout", MADV_PAGEOUT },
		    { "willneed", MADV_WILLNEED },
		    { "collapse", MADV_COLLAPSE },
		    { "dontneed", MADV_DONTNEED },
		    { "free", MADV_FREE },
		    { "7", 7 } };
	char text[48];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		snprintf(text, sizeof(text), "process_madvise %s", all[i].name);
		ASK(text, self_advice(-1, all[i].advice));
		snprintf(text, sizeof(text), "process_madvise %s of memory and BAR", all[i].name);
		ASK(text, self_advice(2, all[i].advice));
	}
}

static long seen(char *a, size_t n)
{
	unsigned char v[64];
	long r;

	memset(v, 0x55, sizeof(v));
	r = mincore(a, n, v);
	return r ? r : 1000 + v[0];
}

static void others(void)
{
	ASK_ALL("msync sync", msync(a, n, MS_SYNC));
	ASK_ALL("msync async", msync(a, n, MS_ASYNC));
	ASK_ALL("msync invalidate", msync(a, n, MS_INVALIDATE));
	ASK("msync both", msync(bar, PART, MS_SYNC | MS_ASYNC));
	ASK("msync unknown flag", msync(bar, PART, 8));
	ASK("msync misaligned", msync(bar + 1, P, MS_SYNC));
	ASK("msync sync and invalidate", msync(bar, PART, MS_SYNC | MS_INVALIDATE));

	ASK_ALL("mlock", mlock(a, n));
	ASK_ALL("mlock2 onfault", mlock2(a, n, MLOCK_ONFAULT));
	ASK_ALL("munlock", munlock(a, n));
	ASK("mlock2 unknown flag", mlock2(bar, PART, 8));
	ASK("mlock misaligned", mlock(bar + 1, P));
	ASK("mlock that wraps", mlock(bar, -P));
	ASK("mlock of one", mlock(mem, PART) | mlock(bar, PART));
	ASK("mlock, and dontneed", mlock(bar, PART) | madvise(bar, PART, MADV_DONTNEED));
	ASK("mlock, and invalidate", mlock(bar, PART) | msync(bar, PART, MS_INVALIDATE | MS_ASYNC));
	ASK("mlockall current", mlockall(MCL_CURRENT));
	ASK("munlockall", munlockall());
	ASK("mlockall and invalidate",
	    mlockall(MCL_CURRENT) | msync(bar, PART, MS_INVALIDATE | MS_ASYNC));
	munlockall();
	saw(mlockall(MCL_FUTURE), "memory.mlockall future");
	ASK("mapped while all is locked", 0);
	ASK("mapped while all is locked, and invalidate",
	    msync(bar, PART, MS_INVALIDATE | MS_ASYNC));
	munlockall();

	ASK_ALL("mincore", seen(a, n));
	ASK("mincore misaligned", seen(bar + 1, P));

	ASK_ALL("munmap", munmap(a, n));
	ASK("munmap misaligned", munmap(bar + 1, P));
	ASK("munmap of one byte", munmap(bar + P, 1));
	ASK("munmap that wraps", munmap(bar, -P));

	ASK("remap_file_pages", remap_file_pages(bar, P, 0, 0, 0));
	ASK("remap_file_pages with a protection", remap_file_pages(bar, P, PROT_READ, 0, 0));
	ASK("remap_file_pages outside of the BAR", remap_file_pages(bar, P, 0, 4096, 0));
	ASK("remap_file_pages of BAR and memory", remap_file_pages(mem - P, 2 * P, 0, 0, 0));
}

static void *map(size_t len, int prot, int flags, uint64_t pos)
{
	return mmap(bar, len, prot, flags, dev, (off_t)pos);
}

static void mappings(void)
{
	int rw = PROT_READ | PROT_WRITE, fixed = MAP_SHARED | MAP_FIXED;
	static const struct {
		const char *name;
		int flag;
	} all[] = {
		{ "populate", MAP_POPULATE },
		{ "nonblock", MAP_NONBLOCK },
		{ "locked", MAP_LOCKED },
		{ "noreserve", MAP_NORESERVE },
		{ "stack", MAP_STACK },
		{ "denywrite", MAP_DENYWRITE },
		{ "executable", MAP_EXECUTABLE },
		{ "hugetlb", MAP_HUGETLB },
		{ "growsdown", MAP_GROWSDOWN },
		{ "sync", MAP_SYNC },
		{ "32bit", 0x40 },
		{ "uninitialized", 0x4000000 },
		{ "0x10000000", 0x10000000 },
	};
	char text[48];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		snprintf(text, sizeof(text), "mmap %s", all[i].name);
		ASK(text, place(map(PART, rw, fixed | all[i].flag, 0)));
		snprintf(text, sizeof(text), "mmap validate %s", all[i].name);
		ASK(text, place(map(PART, rw, MAP_SHARED_VALIDATE | MAP_FIXED | all[i].flag, 0)));
	}
	ASK("mmap private", place(map(PART, rw, MAP_PRIVATE | MAP_FIXED, 0)));
	ASK("mmap of no type", place(map(PART, rw, MAP_FIXED, 0)));
	ASK("mmap of type 4", place(map(PART, rw, MAP_FIXED | 4, 0)));
	ASK("mmap droppable", place(map(PART, rw, MAP_FIXED | 8, 0)));
	ASK("mmap none", place(map(PART, PROT_NONE, fixed, 0)));
	ASK("mmap read", place(map(PART, PROT_READ, fixed, 0)));
	ASK("mmap write", place(map(PART, PROT_WRITE, fixed, 0)));
	ASK("mmap exec", place(map(PART, PROT_READ | PROT_EXEC, fixed, 0)));
	ASK("mmap prot 0x10", place(map(PART, PROT_READ | 0x10, fixed, 0)));
	ASK("mmap growsdown prot", place(map(PART, PROT_READ | PROT_GROWSDOWN, fixed, 0)));
	ASK("mmap of one byte", place(map(1, rw, fixed, 0)));
	ASK("mmap of nothing", place(map(0, rw, fixed, 0)));
	ASK("mmap at 1", place(map(P, rw, fixed, 1)));
	ASK("mmap at the second page", place(map(PART, rw, fixed, P)));
	ASK("mmap of the last page", place(map(P, rw, fixed, 0xff000)));
	ASK("mmap over the end", place(map(PART, rw, fixed, 0xff000)));
	ASK("mmap of the configuration space", place(map(P, rw, fixed, VFIO_REGION(7))));
	ASK("mmap of region 2", place(map(P, rw, fixed, VFIO_REGION(2))));
	ASK("mmap of region 9", place(map(P, rw, fixed, VFIO_REGION(9))));
	ASK("mmap at -4096", place(map(P, rw, fixed, -P)));
	ASK("mmap that wraps", place(map(-P, rw, fixed, 0)));
	ASK("mmap noreplace", place(mmap(bar, PART, rw, MAP_SHARED | MAP_FIXED_NOREPLACE, dev, 0)));
	ASK("mmap misaligned fixed", place(mmap(bar + 1, PART, rw, fixed, dev, 0)));
	ASK("mmap misaligned hint",
	    place(mmap(bar + 1, PART, rw, MAP_SHARED, dev, 0)) < 0 ? -1 : 0);
	ASK("mmap memory over it",
	    place(mmap(bar + P, P, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
	ASK("mmap memory over it, noreplace",
	    place(mmap(bar + P, P, rw, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0)));
	ASK("mmap over it of a bad descriptor", place(mmap(bar + P, P, rw, fixed, -1, 0)));
	ASK("mmap over memory", place(mmap(mem, P, rw, fixed, dev, 0)));
	ASK("mmap private over memory", place(mmap(mem, P, rw, MAP_PRIVATE | MAP_FIXED, dev, 0)));
	ASK("mmap of the configuration space over memory",
	    place(mmap(mem, P, rw, fixed, dev, (off_t)VFIO_REGION(7))));
	ASK("mmap exec over memory", place(mmap(mem, P, rw | PROT_EXEC, fixed, dev, 0)));
}

static long peek(char *p, bool write)
{
	int fd = open("/proc/self/mem", O_RDWR), e;
	uint32_t v = 0;
	long r = write ? pwrite(fd, &v, 4, (off_t)(uintptr_t)p)
		       : pread(fd, &v, 4, (off_t)(uintptr_t)p);

	e = errno;
	close(fd);
	errno = e;
	return r;
}

static long vm_copy(char *p, bool write)
{
	uint32_t v = 0;
	struct iovec mine = { &v, 4 }, its = { p, 4 };

	return write ? process_vm_writev(getpid(), &mine, 1, &its, 1, 0)
		     : process_vm_readv(getpid(), &mine, 1, &its, 1, 0);
}

static void peeping(void)
{
	ASK("/proc/self/mem read", peek(bar, false));
	ASK("/proc/self/mem write", peek(bar, true));
	ASK("process_vm_readv", vm_copy(bar, false));
	ASK("process_vm_writev", vm_copy(bar, true));
}

/* A child's view: the letters of loads of the BAR's first page and of memory's. */
static void child(const char *name)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(load(bar) + 128 * (load(mem) == 'm'));
	MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
	saw(WEXITSTATUS(status), "memory.a child's load %s", name);
}

static void children(void)
{
	lay_out();
	child("after fork");
	MUST(!madvise(bar, PART, MADV_DONTFORK));
	child("after dontfork");
	lay_out();
	MUST(!munmap(bar, PART));
	child("of what was unmapped");
}

void test_memory(void)
{
	struct setup s = set_up(&edu, NULL, VFIO_TYPE1v2_IOMMU);
	struct sigaction act = { .sa_handler = on_fault };

	dev = open_device(&s, &edu);
	cfg_write(dev, PCI_COMMAND, 2, cfg_read(dev, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY);
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	hole = mmap(NULL, 4 * PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	other = mmap(NULL, PART, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(hole != MAP_FAILED && other != MAP_FAILED);
	bar = hole + PART;
	mem = bar + PART;
	end = mem + PART;
	protections();
	moves();
	advice();
	process_advice();
	others();
	mappings();
	peeping();
	children();
}
