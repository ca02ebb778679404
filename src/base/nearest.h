/* SPDX-License-Identifier: BSD-3-Clause */
/* base/nearest.h: "did you mean": the word nearest to what a user wrote. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H
#include <stddef.h>

/*
 * Return how many edits (insert, delete, replace, swap neighbours) lead from @a to @b. Words longer
 * than 63 bytes count as far away.
 */
unsigned word_distance(const char *a, const char *b);
/*
 * Return @word, if it is nearer to @given than @best (may be NULL), and near enough to be a slip;
 * else @best.
 */
const char *nearest_word(const char *given, const char *best, const char *word);
#endif
