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
	struct check_kind of_model; /* @kind, if it is none of the table */
	struct symbol_stack stack;
	struct symbol_stack part[CHECK_PARTS];
};

/* ---- json.c ---- */
/* Write @m as a line. */
void show_json(FILE *f, const struct mistake *m);

/* ---- suppress.c ---- */
struct suppressions;
struct suppressions *suppress_new(void);
void suppress_free(struct suppressions *s);
/* Add those in the file at @path: 0, or -errno and *@why (malloc'ed) is a sentence. */
int suppress_read(struct suppressions *s, const char *path, char **why);
/* True if one says that @m is not to be seen; it is counted there. */
bool suppress_has(struct suppressions *s, const struct mistake *m);
void suppress_each_used(struct suppressions *s, void (*fn)(void *arg, const char *name, unsigned n),
			void *arg);
/* Write one for @m. */
void suppress_write(FILE *f, const struct mistake *m);
/* Return the stack that @m is known by: its own, or that of where it is. */
const struct symbol_stack *mistake_stack(const struct mistake *m);

/* ---- text.c ---- */
/* Write the block of @m. */
void show_text(FILE *f, const struct mistake *m);
/* Write where @m is, in a few words: "submit (driver.c:88)". */
void show_place(FILE *f, const struct mistake *m);
#endif
