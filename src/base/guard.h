/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/guard.h: copy to and from memory that may not be there. A fault inside the copy routine is
 * turned into -EFAULT by guard_fault(), which the SIGSEGV and SIGBUS handler calls first. The idea
 * is the kernel's exception table: the handler knows the routine's instruction range.
 */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Install a handler for SIGSEGV and SIGBUS that calls guard_fault() and otherwise chains to what
 * was there. Idempotent; refused silently once guard_handled_elsewhere() was called (the shim owns
 * the signals and calls guard_fault itself).
 */
int guard_install(void);
void guard_handled_elsewhere(void);
/*
 * In a handler: if the fault is one of guard_copy's, fix the context up so that the copy returns
 * -EFAULT, and return true.
 */
bool guard_fault(int sig, const siginfo_t *info, void *ucontext);

/*
 * 0 or -EFAULT; what was copied before the fault stays copied. Either pointer may be bad. Works
 * with all signals blocked? No: SIGSEGV and SIGBUS must be deliverable in the calling thread.
 */
int guard_copy(void *dst, const void *src, size_t n);
/* The bytes that a guard_copy could copy. */
size_t guard_copy_part(void *dst, const void *src, size_t n);
/* Copy a string of at most @max - 1 bytes; returns its length, -EFAULT or -ENAMETOOLONG. */
long guard_strncpy(char *dst, const char *src, size_t max);
#endif
