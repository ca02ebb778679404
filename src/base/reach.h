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
 * The bytes that could be copied. 0: no memory is there, or the machine has no way to it. @dst
 * (@src) may be inaccessible, the other is ours. No lock, no allocation, no log; in a signal
 * handler, too.
 */
size_t reach_write(void *dst, const void *src, size_t n);
size_t reach_read(void *dst, const void *src, size_t n);
/*
 * The size of the pages at @addr as mmap's calls count them: of huge pages (MAP_HUGETLB) only whole
 * ones can be unmapped, moved or protected. 4 KiB where nothing is mapped.
 */
uint64_t reach_page_size(uint64_t addr);
/* Is there any memory in the page at @addr, which is where it begins? */
bool reach_is_mapped(uint64_t addr);
#endif
