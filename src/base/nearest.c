/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/nearest.c: edit distance with transpositions (optimal string alignment), on three rows.
 */
#include <limits.h>
#include <string.h>

#include "base/nearest.h"

#define WORD_MAX_LEN 63

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned word_distance(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX_LEN + 1], *before = rows[0], *last = rows[1], *row = rows[2], *t;
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX_LEN || m > WORD_MAX_LEN)
		return UINT_MAX;
	for (size_t j = 0; j <= m; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1,
				      last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		t = before;
		before = last;
		last = row;
		row = t;
	}
	return last[m];
}

const char *nearest_word(const char *given, const char *best, const char *word)
{
	size_t len = strlen(given);
	unsigned d = word_distance(given, word);
	/* one slip in a short word, two in a long one; and never a word that shares nothing */
	unsigned limit = len <= 2 ? 1 : len <= 6 ? 2 : 3;

	if (d > limit || d >= strlen(word))
		return best;
	return !best || d < word_distance(given, best) ? word : best;
}
