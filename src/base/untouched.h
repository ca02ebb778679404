/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/untouched.h: memory of the program's that nobody has touched. The kernel gives a process a
 * page when it is first touched: so of private memory of no file it is certain that nobody wrote a
 * page that is not there yet. (Of any other memory it is not: the page may have come from a file,
 * or have been written by another process.)
 */
#ifndef BASE_UNTOUCHED_H
#define BASE_UNTOUCHED_H
#include <stdbool.h>
#include <stdint.h>

/*
 * True if all of [@addr, @addr + @size) is private memory of no file, which the program may read,
 * and write if @write. It takes much of a stack.
 */
bool untouched_is_plain(uint64_t addr, uint64_t size, bool write);

/*
 * Open what untouched_find() reads; a child of fork() has to open its own. 0 or -errno. Not at the
 * same time as any other function of this file.
 */
int untouched_open(void);
void untouched_close(void);
/*
 * Find the first page of [@addr, @addr + @size) that is not there and never was: true, and *@page
 * is its address. False: there is none, or it cannot be told (not open). It says nothing about
 * which kind of memory it is.
 */
bool untouched_find(uint64_t addr, uint64_t size, uint64_t *page);
#endif
