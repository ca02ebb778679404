/* SPDX-License-Identifier: BSD-3-Clause */
/* base/size.h: numbers and sizes as a user writes them. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H
#include <stdint.h>

/*
 * Read a number: decimal, or hexadecimal with 0x; nothing before or behind it. 0; -EINVAL: it is
 * none; -ERANGE: it needs more than 64 bits.
 */
int number_parse(const char *text, uint64_t *out);
/* Read a number as above that may end in K, M, G or T, of either case: times 1024, 1024^2... */
int size_parse(const char *text, uint64_t *out);
#endif
