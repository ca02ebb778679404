/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/kinds.c: the table of kinds, which man/kinds.awk makes of kinds.txt (and uvfio-check(7)
 * with it).
 */
#include <errno.h>
#include <string.h>

#include "base/util.h"
#include "check/check.h"
#include "check/shared.h"

const struct check_kind check_kinds[] = {
#include "check_kinds.inc"
};
const unsigned check_num_kinds = ARRAY_SIZE(check_kinds);
_Static_assert(ARRAY_SIZE(check_kinds) <= CHECK_KINDS, "a bit each");

int check_kind_find(const char *name)
{
	for (unsigned i = 0; i < check_num_kinds; i++)
		if (!strcmp(check_kinds[i].name, name))
			return (int)i;
	return -1;
}

static bool is_word(const char *word, unsigned len, const char *name)
{
	return strlen(name) == len && !memcmp(word, name, len);
}

/* The kinds that @word is: one, those of a group, or all. */
static uint64_t kinds_of(const char *word, unsigned len)
{
	uint64_t kinds = 0;

	for (unsigned i = 0; i < check_num_kinds; i++)
		if (is_word(word, len, check_kinds[i].name) ||
		    is_word(word, len, check_kinds[i].group) || is_word(word, len, "all"))
			kinds |= 1ull << i;
	return kinds;
}

uint64_t check_kinds_default(void)
{
	return kinds_of("all", 3);
}

int check_kinds_parse(const char *list, uint64_t *kinds, const char **bad, unsigned *len)
{
	for (const char *p = list;; p += *len + 1) {
		bool away = *p == '-';
		uint64_t k;

		p += away;
		*len = (unsigned)strcspn(p, ",");
		k = kinds_of(p, *len);
		if (!k) {
			*bad = p;
			return -EINVAL;
		}
		*kinds = away ? *kinds & ~k : *kinds | k;
		if (!p[*len])
			return 0;
	}
}
