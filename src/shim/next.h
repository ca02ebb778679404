/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/next.h: the functions of libc, or of a library before it, that ours stand for. They are
 * found when the shim is loaded: dlsym() needs locks and stack, and what calls them may have
 * neither.
 */
#ifndef SHIM_NEXT_H
#define SHIM_NEXT_H
#include <stdint.h>

struct shim_next {
	const char *name;
	void *fn;
};
/* Return @next's function, looked for now if it is not known yet. shim.c. */
void *shim_next(struct shim_next *next);

#define SHIM_NEXT(name) \
	static struct shim_next next __attribute__((section("shim_nexts"), used)) = { #name, NULL }

/* `real`: the function of that name. */
#define NEXT(name)               \
	SHIM_NEXT(name);         \
	__typeof__(name) *real = \
		(__typeof__(name) *)(uintptr_t)(next.fn ? next.fn : shim_next(&next))

/*
 * The same, but NULL until the shim's constructor has run: for what the loader, or a sanitizer,
 * calls so early that nothing may be looked for.
 */
#define NEXT_IF_LOADED(name) \
	SHIM_NEXT(name);     \
	__typeof__(name) *real = (__typeof__(name) *)(uintptr_t)next.fn

/* End the program: libc's fortified functions call it when the buffer is too small. */
void __chk_fail(void) __attribute__((noreturn));
#endif
