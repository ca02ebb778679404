/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/aside.h: memory that is mapped for DMA stays with the devices, as pinned pages do, whatever
 * the program does to its own view of it. For the one that sees the program's calls come (the
 * shim).
 *
 * Threads: all functions, from any thread, without locks of this folder. vfio_pages_near() takes no
 * lock; vfio_pages_in_use(), vfio_next_in_use() and vfio_place_taken() take only a leaf, under
 * which nothing is allocated, so that they may come in the middle of malloc; the others wait for
 * what is going on in all address spaces.
 */
#ifndef VFIO_ASIDE_H
#define VFIO_ASIDE_H
#include <stdbool.h>
#include <stdint.h>

struct vfio_system;

/**
 * vfio_pages_near - true if mappings may have memory in [@start, @last]
 *
 * Return: more often true than is so, never false when they have.
 */
bool vfio_pages_near(struct vfio_system *s, uint64_t start, uint64_t last);
/** vfio_pages_in_use - true if a mapping has some of [@vaddr, @vaddr + @len) */
bool vfio_pages_in_use(struct vfio_system *s, const void *vaddr, uint64_t len);
/**
 * vfio_pages_in_place - the same, but of what is still the program's, and not aside
 * @vaddr: of a whole page
 * @len: bytes, whole pages
 */
bool vfio_pages_in_place(struct vfio_system *s, void *vaddr, uint64_t len);

/**
 * vfio_preserve_pages - move memory aside of which the program is about to lose its view
 * @vaddr: where the call (munmap, mmap with MAP_FIXED, mremap) begins
 * @len: its bytes
 * @move: called for each stretch of pages that mappings have there, neighbours in one call, memory
 * that is mapped twice only once, a huge page as a whole. Moves it and returns where it is now,
 * outside of the range and where no MAP_FIXED of the program's comes. NULL: it could not; accesses
 * of the devices then abort. @old: it stays, since the program will not get it away. Called with
 * locks held: it makes system calls and nothing else.
 * @arg: for @move
 *
 * The last mapping that uses what @move returned takes it along, by munmap.
 */
void vfio_preserve_pages(struct vfio_system *s, void *vaddr, uint64_t len,
			 void *(*move)(void *old, uint64_t len, void *arg), void *arg);
/**
 * vfio_preserve_asides - the same for what is aside since an earlier move, and is to move on
 * @vaddr: of a whole page, in our own view
 * @len: bytes, whole pages
 */
void vfio_preserve_asides(struct vfio_system *s, void *vaddr, uint64_t len,
			  void *(*move)(void *old, uint64_t len, void *arg), void *arg);

/**
 * vfio_can_follow - true if vfio_follow_pages() could, as things are now
 */
bool vfio_can_follow(struct vfio_system *s, void *vaddr, uint64_t len);
/**
 * vfio_follow_pages - take the devices along when the program moves its view of memory
 * @vaddr: of a whole page
 * @len: bytes, whole pages. A mapping that has some of it lies in it as a whole, and is in place.
 * @move: moves the view and returns where it is now, or 0; the old one is still mapped then.
 * Called with locks held, as above.
 *
 * Return: 0: nobody uses the old view any more; -ENOMEM: nothing changed.
 */
int vfio_follow_pages(struct vfio_system *s, void *vaddr, uint64_t len, uint64_t (*move)(void *arg),
		      void *arg);

/**
 * vfio_next_in_use - find memory that mappings have, in the middle of libc's taking it away
 * @from: of a whole page
 * @to: of a whole page
 * @keep: the caller leaves it as it is; it is unmapped when no mapping has it any more
 * @start: gets where the first stretch in [@from, @to) begins
 * @end: gets where it ends
 *
 * libc may hold malloc's locks, so that nothing can be moved.
 *
 * Return: false: there is none.
 */
bool vfio_next_in_use(struct vfio_system *s, uint64_t from, uint64_t to, bool keep, uint64_t *start,
		      uint64_t *end);
/**
 * vfio_place_taken - forget what was kept in [@from, @to)
 *
 * The program is about to map something there, or to unmap it by itself: it is not unmapped later.
 */
void vfio_place_taken(struct vfio_system *s, uint64_t from, uint64_t to);
#endif
