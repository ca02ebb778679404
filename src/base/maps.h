/* SPDX-License-Identifier: BSD-3-Clause */
/* base/maps.h: what the process has mapped, as the kernel tells it: /proc/self/maps. */
#ifndef BASE_MAPS_H
#define BASE_MAPS_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Call @fn for each line until it returns false: 0 or -errno. It takes much of a stack. */
int maps_each(bool (*fn)(const char *line, void *arg), void *arg);
/*
 * Open it for good, for a process that will not be allowed to open files, nor to fork (whose child
 * would read its parent's): 0 or -errno.
 */
int maps_keep(void);
/* Read where the mapping of @line lies. Return what follows, which begins with its rights. */
const char *maps_bounds(const char *line, uint64_t *start, uint64_t *end);

/* A mapping. */
struct maps_area {
	uint64_t start, end;
	uint64_t offset; /* in its file */
	ino_t ino;	 /* 0: it is of no file */
	dev_t dev;
	bool shared, readable, writable;
	const char *path; /* as the kernel has it; "": none, or a very long one */
};
/*
 * Call @fn for each mapping that ends above @from, in their order, until it returns false: 0 or
 * -errno. It takes much of a stack. A kernel since Linux 6.11 finds the first one at once, an older
 * one writes a line for each mapping that lies before it.
 */
int maps_areas(uint64_t from, bool (*fn)(const struct maps_area *a, void *arg), void *arg);
#endif
