/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/defined.h: what is known of single bytes of the program's memory, whether anybody wrote
 * them, where somebody keeps account: in a program that is built with MemorySanitizer, and under
 * valgrind's memcheck. Elsewhere all is taken for written.
 *
 * Any thread, also in a signal handler.
 */
#ifndef BASE_DEFINED_H
#define BASE_DEFINED_H
#include <stddef.h>

/* compiler-rt, sanitizer/msan_interface.h: in a program that is built with it */
extern void __msan_unpoison(const volatile void *mem, size_t n) __attribute__((weak));

/*
 * Say that [@mem, @mem + @n) was written, by a device. (valgrind sees that by itself, and a program
 * without MemorySanitizer has nobody to tell.)
 */
static inline void defined_mark(const void *mem, size_t n)
{
	if (__builtin_expect(__msan_unpoison != NULL, 0))
		__msan_unpoison(mem, n);
}

/* Return how many of the @n bytes at @mem there are before the first one that nobody wrote. */
size_t defined_bytes(const void *mem, size_t n);
#endif
