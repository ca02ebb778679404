/* SPDX-License-Identifier: BSD-3-Clause */
/* base/text.h: lines of text in memory of a fixed size. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Whole lines, with their breaks, and a null byte behind; the first without room is the end. */
struct text {
	char *at;
	size_t size, len;
	bool full;
};

static inline void text_init(struct text *t, char *memory, size_t size)
{
	*t = (struct text){ .at = memory, .size = size };
	memory[0] = '\0';
}

static inline void text_vadd(struct text *t, const char *indent, const char *fmt, va_list ap)
{
	size_t room = t->size - t->len;
	int n = t->full ? 0 : snprintf(t->at + t->len, room, "%s", indent), k = 0;

	if (!t->full && (size_t)n < room)
		k = vsnprintf(t->at + t->len + n, room - (size_t)n, fmt, ap);
	if (t->full || k < 0 || (size_t)(n + k) + 2 > room) {
		t->full = true;
		t->at[t->len] = '\0';
		return;
	}
	t->len += (size_t)(n + k);
	t->at[t->len++] = '\n';
	t->at[t->len] = '\0';
}

/* Add a line. */
static inline void __attribute__((format(printf, 2, 3)))
text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vadd(t, "", fmt, ap);
	va_end(ap);
}
/* Add the next @len bytes of lines. */
static inline void text_append(struct text *t, const char *lines, size_t len)
{
	if (t->full || len + 1 > t->size - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->at + t->len, lines, len);
	t->len += len;
	t->at[t->len] = '\0';
}
#endif
