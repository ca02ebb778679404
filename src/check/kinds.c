/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/kinds.c: the table of kinds, which man/kinds.awk makes of kinds.txt (and uvfio-check(7)
 * with it), and which of them are looked for.
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
_Static_assert(ARRAY_SIZE(check_kinds) <= CHECK_PROTO, "a bit each");

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
	bool all = is_word(word, len, "all");
	uint64_t kinds = all || is_word(word, len, "proto") ? 1ull << CHECK_PROTO : 0;

	for (unsigned i = 0; i < check_num_kinds; i++)
		if (all || is_word(word, len, check_kinds[i].name) ||
		    is_word(word, len, check_kinds[i].group))
			kinds |= 1ull << i;
	return kinds;
}

void check_wanted_default(struct check_wanted *w)
{
	*w = (struct check_wanted){ .kinds = kinds_of("all", 3) };
	for (unsigned i = 0; i < check_num_kinds; i++)
		if (check_kinds[i].asked)
			w->kinds &= ~(1ull << i);
}

/* Add a rule for the kinds of models. False: there is no room. */
static bool add_rule(struct check_wanted *w, const char *word, unsigned len, bool on)
{
	struct check_rule *r = &w->rule[w->rules];

	if (len <= strlen(CHECK_PROTO_NAME) || len >= sizeof(r->name) || w->rules == CHECK_RULES ||
	    strncmp(word, CHECK_PROTO_NAME, strlen(CHECK_PROTO_NAME)))
		return false;
	*r = (struct check_rule){ .on = on };
	memcpy(r->name, word, len);
	w->rules++;
	return true;
}

int check_wanted_parse(const char *list, struct check_wanted *w, const char **bad, unsigned *len)
{
	for (const char *p = list;; p += *len + 1) {
		bool away = *p == '-';
		uint64_t k;

		p += away;
		*len = (unsigned)strcspn(p, ",");
		k = kinds_of(p, *len);
		if (!k && !add_rule(w, p, *len, !away)) {
			*bad = p;
			return -EINVAL;
		}
		if (k >> CHECK_PROTO)
			w->rules = 0;
		w->kinds = away ? w->kinds & ~k : w->kinds | k;
		if (!p[*len])
			return 0;
	}
}

bool check_is_wanted(const struct check_wanted *w, unsigned kind, const char *name)
{
	for (unsigned i = kind == CHECK_PROTO && w->rules <= CHECK_RULES ? w->rules : 0; i; i--) {
		const struct check_rule *r = &w->rule[i - 1];
		size_t len = strnlen(r->name, sizeof(r->name));

		if (!strncmp(name, r->name, len) && (!name[len] || name[len] == '-'))
			return r->on;
	}
	return w->kinds >> kind & 1;
}
