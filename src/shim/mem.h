/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/mem.h: calls that change the program's memory, some of which devices have.
 */
#ifndef SHIM_MEM_H
#define SHIM_MEM_H
#include "shim/shim.h"

/* ---- mem.c ---- */
/* System call @nr if it is one on memory: true and *@ret. */
bool shim_memory(long nr, const long a[6], long *ret);
/*
 * UFFDIO_REGISTER on @fd of a range that has a mapped BAR, which is no memory that a userfaultfd
 * can have.
 */
bool shim_uffd_refuses(int fd, const void *arg);
long shim_munmap(void *addr, size_t len);
long shim_madvise(void *addr, size_t len, int advice);
int shim_brk(void *addr); /* libc's brk, as the program calls it */

/* ---- keep.c: memory that devices keep ---- */
/*
 * Let devices keep what is in [addr, addr + len), which is about to go; @taken: its place goes,
 * too.
 */
void shim_keep(void *addr, size_t len, bool taken);
/* with MAP_FIXED */
void shim_keep_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t pos);
bool shim_advice_loses(int advice); /* the pages go */
/* True, and *@ret: all is done. */
bool shim_keep_madvise(void *addr, size_t len, int advice, long *ret);
/* whole pages */
bool shim_keep_mremap(void *old, size_t have, size_t want, int flags, void *to, long *ret);
void shim_keep_shared(void *addr, size_t len); /* if it is shared memory */
void shim_keep_segment(void *addr);	       /* that shmdt takes away */
/* Pages that a file is about to lose. */
void shim_keep_ftruncate(int fd, off_t len);
void shim_keep_truncate(const char *path, off_t len);
void shim_keep_fallocate(int fd, int mode, off_t pos, off_t len);

/* ---- v3.c: memory that goes away together with what devices have of it (--abi v3) ---- */
/* The memory [addr, addr + len) goes, or changes, by the call @how. */
void shim_v3_goes(const void *addr, size_t len, const char *how);
/* It gets another protection, maybe. */
void shim_v3_protect(const void *addr, size_t len, int prot);
/* The same of mremap(2), of whole pages. True, and *@ret: all is done. */
bool shim_v3_mremap(void *old, size_t have, size_t want, int flags, void *to, long *ret);
/* The same of shmdt(2). */
void shim_v3_shmdt(void *addr);
/* This process is about to fork. */
void shim_v3_forks(void);

/* ---- libc.c: what libc does inside of itself ---- */
void shim_libc_init(void);
/* Find out where libc's code lies. */
bool shim_libc_text(uintptr_t *start, uintptr_t *end);
/* libc's idea of where the heap ends, which its malloc and its sbrk() go by */
extern void *__curbrk;
int shim_set_break(
	void *addr); /* brk, without a look at devices that have the memory; -1 with errno */
#endif
