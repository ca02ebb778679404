/* SPDX-License-Identifier: BSD-3-Clause */
/* base/uuid.c: reading and writing a UUID. */
#include "base/uuid.h"

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool uuid_parse(const char *text, uint8_t uuid[16])
{
	unsigned n = 0;

	for (unsigned i = 0; i < UUID_TEXT; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		if (hex(text[i]) < 0 || hex(text[i + 1]) < 0)
			return false;
		uuid[n++] = (uint8_t)(hex(text[i]) << 4 | hex(text[i + 1]));
		i++;
	}
	return true;
}

void uuid_print(const uint8_t uuid[16], char text[UUID_TEXT + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[uuid[i] >> 4];
		*text++ = digits[uuid[i] & 15];
	}
	*text = '\0';
}
