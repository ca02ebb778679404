/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHECK_SHOW_INTERNAL_H
#define CHECK_SHOW_INTERNAL_H
#include <stdio.h>

#include "check/check.h"
#include "check/show/show.h"
#include "check/show/symbols.h"

/* A record with its names. Its texts end, and its numbers are in their bounds. */
struct mistake {
	struct check_record r;
	const struct check_kind *kind;
	struct symbol_stack stack;
	struct symbol_stack part[CHECK_PARTS];
};

/* ---- text.c ---- */
/* Write the block of @m. */
void show_text(FILE *f, const struct mistake *m);
/* Write where @m is, in a few words: "submit (driver.c:88)". */
void show_place(FILE *f, const struct mistake *m);
#endif
