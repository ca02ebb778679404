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
/* Say that the caller has handlers of its own, which call guard_fault(). */
void guard_handled_elsewhere(void);
/*
 * True if the fault is one of guard_copy()'s: the context is changed so that the copy returns
 * -EFAULT. For handlers.
 */
bool guard_fault(int sig, const siginfo_t *info, void *ucontext);

/*
 * Copy @n bytes. Return 0 or -EFAULT; what was copied before the fault stays copied. Either pointer
 * may be bad. The calling thread must not have SIGSEGV and SIGBUS blocked.
 */
int guard_copy(void *dst, const void *src, size_t n);
/* Copy like guard_copy(); return how many bytes there were before a fault. */
size_t guard_copy_part(void *dst, const void *src, size_t n);
/* Copy a string of at most @max - 1 bytes; return its length, -EFAULT or -ENAMETOOLONG. */
long guard_strncpy(char *dst, const char *src, size_t max);
#endif
