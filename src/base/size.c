/* SPDX-License-Identifier: BSD-3-Clause */
/* base/size.c: see size.h. */
#include <errno.h>
#include <string.h>

#include "base/size.h"

/* Return what follows the digits, or NULL with *@rc. */
static const char *read_digits(const char *text, uint64_t *out, int *rc)
{
	unsigned base = 10, digit;
	uint64_t v = 0;
	const char *p;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	for (p = text; *p; p++) {
		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a' + 10);
		else if (base == 16 && *p >= 'A' && *p <= 'F')
			digit = (unsigned)(*p - 'A' + 10);
		else
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v)) {
			*rc = -ERANGE;
			return NULL;
		}
	}
	*out = v;
	*rc = p == text ? -EINVAL : 0;
	return *rc ? NULL : p;
}

int number_parse(const char *text, uint64_t *out)
{
	int rc;
	const char *end = read_digits(text, out, &rc);

	return end && *end ? -EINVAL : rc;
}

int size_parse(const char *text, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	const char *suffix, *end;
	unsigned shift;
	int rc;

	end = read_digits(text, out, &rc);
	if (!end || !*end)
		return rc;
	suffix = strchr(suffixes, *end >= 'a' ? *end - 'a' + 'A' : *end);
	if (!suffix || end[1])
		return -EINVAL;
	shift = 10 * (unsigned)(suffix - suffixes + 1);
	if (*out << shift >> shift != *out)
		return -ERANGE;
	*out <<= shift;
	return 0;
}
