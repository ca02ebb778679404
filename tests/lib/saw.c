/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/lib/saw.c: see saw.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/saw.h"

static void line(const char *fmt, va_list ap, const char *answer)
{
	vprintf(fmt, ap);
	printf(": %s\n", answer);
	fflush(stdout);
}

void saw(long r, const char *fmt, ...)
{
	const char *name = r == -1 ? strerrorname_np(errno) : NULL;
	char number[32];
	va_list ap;

	snprintf(number, sizeof(number), "%ld", r);
	va_start(ap, fmt);
	line(fmt, ap, r != -1 ? number : name ? name : "E?");
	va_end(ap);
}

void saw_hex(unsigned long v, const char *fmt, ...)
{
	char number[32];
	va_list ap;

	snprintf(number, sizeof(number), "0x%lx", v);
	va_start(ap, fmt);
	line(fmt, ap, number);
	va_end(ap);
}

void saw_text(const char *text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	line(fmt, ap, text);
	va_end(ap);
}

void saw_as(const char *what, const char *fmt, ...)
{
	va_list ap;

	printf("%s: ", what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}
