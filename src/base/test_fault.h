/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/test_fault.h: make an allocation or a system call fail, for the tests named fault_test.c,
 * which are linked for it (tests/tests.mk). The idea is SQLite's: fail the first one of an
 * operation, then the second, until the operation gets through. Each time it must fail with an
 * error, or do without, and leave everything as it was. Only the thread that asks is refused.
 *
 *	FAULT_LOOP(l, FAULT_MEMORY) {
 *		...				what the operation needs
 *		fault_begin(&l);
 *		rc = operation();
 *		fault_end(&l, rc);
 *		...				what must hold after rc, and that it works now
 *	}
 *	assert_true(l.failed > 3);
 *
 * FAULT_MEMORY: malloc and its kin, pools, heap and pages of base/. Without a sanitizer the
 * allocator itself is replaced (malloc(3): it may be), so that what libraries take counts as well,
 * for asprintf, strdup, open_memstream; with one, only our own calls come here. FAULT_CALLS: what
 * makes a descriptor, a mapping or a thread, and what reads or writes through base/sys.h. What
 * cannot fail, or what a clean-up does (close, munmap, futex), never does.
 */
#ifndef BASE_TEST_FAULT_H
#define BASE_TEST_FAULT_H
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <cmocka.h>

#include "base/sanitize.h"
#include "base/sys.h"

#if defined(SANITIZED_ADDRESS) || defined(SANITIZED_THREAD)
#define FAULT_LIBRARIES 0 /* the allocator is the sanitizer's */
#else
#define FAULT_LIBRARIES 1
#endif

enum { FAULT_MEMORY = 1, FAULT_CALLS = 2 };

static __thread struct {
	unsigned kinds, countdown; /* 0: off; 1: the next one fails */
	int error;		   /* what the one that failed was told; 0: none failed */
	const char *name;
} fault;

/* True if this allocation or call is the one that fails, with errno @error. */
static bool fault_now(unsigned kind, const char *name, int error)
{
	if (!(fault.kinds & kind) || !fault.countdown || --fault.countdown)
		return false;
	fault.error = error;
	fault.name = name;
	errno = error;
	return true;
}

/* From here on the @n-th of these @kinds fails, in this thread. */
static inline void fault_set(unsigned kinds, unsigned n)
{
	fault.kinds = kinds;
	fault.countdown = n;
	fault.error = 0;
	fault.name = "";
}

/* No more; true if one failed. */
static inline bool fault_clear(void)
{
	fault.countdown = 0;
	return fault.error != 0;
}

/* The operation, for what a failure says. */
static const char *fault_about = "";

struct fault_loop {
	unsigned kinds;
	unsigned n;	 /* which one fails in this round */
	unsigned failed; /* rounds in which the operation said that it failed */
	bool done;	 /* this is the round in which none was left to fail */
};

#define FAULT_LOOP(l, which) for (struct fault_loop l = { .kinds = (which) }; fault_round(&l);)

static inline bool fault_round(struct fault_loop *l)
{
	if (l->done)
		return false;
	if (++l->n > 20000)
		fail_msg("no end of allocations or calls");
	return true;
}

static inline void fault_begin(const struct fault_loop *l)
{
	fault_set(l->kinds, l->n);
}

/*
 * The operation has returned @rc: 0, or the error of what failed. Or -ENOMEM, which is what a
 * function that returns NULL has to say (uvfio_timer_new); or -EAGAIN, which pthread_create() says.
 */
static inline void fault_end(struct fault_loop *l, int rc)
{
	l->done = !fault_clear();
	if (l->done && rc)
		fail_msg("%s: %s, and nothing had failed", fault_about, strerror(-rc));
	if (rc && rc != -fault.error && rc != -ENOMEM && rc != -EAGAIN)
		fail_msg("%s: %s, the %u., failed with %s, and the answer was %s", fault_about,
			 fault.name, l->n, strerrorname_np(fault.error),
			 rc < 0 ? strerrorname_np(-rc) : "not an errno");
	l->failed += rc != 0;
}

static void fault_count(int fd, void *arg)
{
	++*(unsigned *)arg;
}

/* Return how many descriptors of our own are open. */
static inline unsigned fault_fds(void)
{
	unsigned n = 0;

	fd_for_each_private(fault_count, &n)
		;
	return n;
}

/* ---- what is replaced */

#define FAULT_EXPORT __attribute__((visibility("default")))
#if FAULT_LIBRARIES
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);
static atomic_long fault_live; /* pieces that were not freed */

static void *fault_counted(void *p)
{
	if (p)
		fault_live++;
	return p;
}

FAULT_EXPORT void *malloc(size_t n)
{
	return fault_now(FAULT_MEMORY, "malloc", ENOMEM) ? NULL : fault_counted(__libc_malloc(n));
}

FAULT_EXPORT void *calloc(size_t n, size_t size)
{
	return fault_now(FAULT_MEMORY, "calloc", ENOMEM) ? NULL
							 : fault_counted(__libc_calloc(n, size));
}

FAULT_EXPORT void *realloc(void *p, size_t n)
{
	if (fault_now(FAULT_MEMORY, "realloc", ENOMEM))
		return NULL;
	return p ? __libc_realloc(p, n) : fault_counted(__libc_realloc(p, n));
}

FAULT_EXPORT void free(void *p)
{
	if (p)
		fault_live--;
	__libc_free(p);
}
#else
enum { fault_live }; /* nothing counts */
#endif

/* A function of ours, or of libc as we call it (ld's --wrap), that fails with @error. */
#define FAULT(kind, type, fails, error, name, params, args)                                \
	type __real_##name params;                                                         \
	type __wrap_##name params;                                                         \
	FAULT_EXPORT type __wrap_##name params                                             \
	{                                                                                  \
		return fault_now(kind, #name, error) ? (type)(fails) : __real_##name args; \
	}

#if !FAULT_LIBRARIES
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, malloc, (size_t n), (n))
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, calloc, (size_t n, size_t size), (n, size))
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, realloc, (void *p, size_t n), (p, n))
#endif
struct pool;
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, pool_take, (struct pool * p), (p))
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, pages_take, (size_t size), (size))
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, heap_alloc, (size_t size), (size))
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, heap_array, (size_t n, size_t size), (n, size))
FAULT(FAULT_MEMORY, void *, NULL, ENOMEM, heap_resize, (void *p, size_t size), (p, size))

FAULT(FAULT_CALLS, int, -EMFILE, EMFILE, sys_open, (const char *path, int flags, int mode),
      (path, flags, mode))
FAULT(FAULT_CALLS, ssize_t, -EIO, EIO, sys_read, (int fd, void *buf, size_t n), (fd, buf, n))
FAULT(FAULT_CALLS, ssize_t, -EIO, EIO, sys_pread, (int fd, void *buf, size_t n, off_t off),
      (fd, buf, n, off))
FAULT(FAULT_CALLS, ssize_t, -EIO, EIO, sys_pwrite, (int fd, const void *buf, size_t n, off_t off),
      (fd, buf, n, off))
FAULT(FAULT_CALLS, int, -EMFILE, EMFILE, fd_make_private, (int fd), (fd))
FAULT(FAULT_CALLS, int, -EMFILE, EMFILE, fd_dup_private, (int fd), (fd))
FAULT(FAULT_CALLS, long, -EMFILE, EMFILE, fd_of_ours, (long nr, long a, long b, long c, long d),
      (nr, a, b, c, d))
FAULT(FAULT_CALLS, int, EAGAIN, EAGAIN, pthread_create,
      (pthread_t * t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
      (t, attr, fn, arg))
FAULT(FAULT_CALLS, void *, MAP_FAILED, ENOMEM, mmap,
      (void *p, size_t n, int prot, int flags, int fd, off_t off), (p, n, prot, flags, fd, off))

/* The error of a system call that fails here; 0: it does not. */
static int fault_errno(long nr, long b, long c)
{
	switch (nr) {
	case SYS_epoll_ctl:
		return b == EPOLL_CTL_ADD ? ENOMEM : 0;
	case SYS_madvise:
		return c == MADV_DONTFORK ? ENOMEM : 0;
	case SYS_mmap:
	case SYS_mremap:
		return ENOMEM;
	case SYS_openat:
	case SYS_memfd_create:
	case SYS_eventfd2:
	case SYS_epoll_create1:
	case SYS_timerfd_create:
	case SYS_socket:
		return EMFILE;
	case SYS_ftruncate:
	case SYS_fallocate:
	case SYS_mkdirat:
		return ENOSPC;
	default:
		return 0;
	}
}

long __real_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_sys_call(long nr, long a, long b, long c, long d, long e, long f)
{
	int error = fault_errno(nr, b, c);

	if (error && fault_now(FAULT_CALLS, "sys_call", error))
		return -error;
	return __real_sys_call(nr, a, b, c, d, e, f);
}
#endif
