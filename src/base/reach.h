/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/reach.h: copy to and from the program's memory in spite of the protection that the program
 * gave it since (PROT_NONE, PROT_READ, a protection key). A device's access by pinned pages does
 * not know of protection; whether the device may make it is the IOMMU's to say, before. The slow
 * way, after a guarded copy met a fault: some system calls for each piece.
 */
#ifndef BASE_REACH_H
#define BASE_REACH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Open /proc/self/mem for later, as a program may give up the rights for it, or its view of /proc.
 * Once; may fail.
 */
void reach_init(void);
/*
 * Copy @n bytes of ours at @src to the program's memory at @dst, which may be inaccessible. Return
 * how many could be copied; 0: no memory is there, or the machine has no way to it. No lock, no
 * allocation, no log; in a signal handler, too.
 */
size_t reach_write(void *dst, const void *src, size_t n);
/* The same from the program's memory at @src to ours at @dst. */
size_t reach_read(void *dst, const void *src, size_t n);
/*
 * Return the size of the pages at @addr as mmap's calls count them: of huge pages (MAP_HUGETLB)
 * only whole ones can be unmapped, moved or protected. 4 KiB where nothing is mapped.
 */
uint64_t reach_page_size(uint64_t addr);
/* True if there is memory in the page that begins at @addr. */
bool reach_is_mapped(uint64_t addr);
#endif
