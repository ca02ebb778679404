/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/keep.h: what keep.c, keep_file.c and keep_remap.c share.
 */
#ifndef SHIM_KEEP_H
#define SHIM_KEEP_H
#include "shim/shim.h"

/* Memory that the program is about to lose. */
struct loss {
	struct vfio_system *system;
	void *addr;
	size_t len;
	bool taken;
};

/* Fill in *@l for [addr, addr + len); false: no device has to do with it. */
bool keep_loss_of(struct loss *l, void *addr, size_t len, bool taken);
/* Return the machine, if devices may have some of [addr, addr + len). Takes no lock. */
struct machine *keep_near_device(const void *addr, size_t len);

/* Reserve address space of @len that huge pages can move to: congruent to @old. NULL: no room. */
char *keep_reserve(const char *old, size_t len);
/*
 * Two ways to have the pages at @old once more, for vfio_preserve_pages(): by another view of
 * memory that is shared, and by a copy.
 */
void *keep_second_view(void *old, uint64_t len, void *arg);
void *keep_copy(void *old, uint64_t len, void *arg);

/* True if all of [addr, addr + len) is private memory, of no file if @anonymous. */
bool keep_is_private(void *addr, size_t len, bool anonymous);
/* keep_file.c: MADV_REMOVE of [addr, addr + len) is about to make a hole in files. */
void shim_keep_removal(void *addr, size_t len);
#endif
