/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/show/symbols.h: names for addresses: function, file and line, by libdw of elfutils. One
 * thread.
 */
#ifndef CHECK_SHOW_SYMBOLS_H
#define CHECK_SHOW_SYMBOLS_H
#include <stdbool.h>
#include <stdint.h>

#include "check/shared.h"

/* One line of a stack: a call, or a call that was inlined. */
struct symbol {
	uint64_t pc;
	uint64_t offset;    /* in the module's file as it is linked: pc - bias */
	const char *module; /* the file's path; NULL: no file (code that was made at run time) */
	const char *fn;	    /* NULL: not known */
	const char *file;   /* NULL: not known */
	int line, column;   /* 0: not known */
	bool inlined;	    /* into the next one */
};

#define SYMBOLS_MAX 96u
struct symbol_stack {
	unsigned n;
	struct symbol at[SYMBOLS_MAX];
};

struct symbols;
struct symbols *symbols_new(void);
void symbols_free(struct symbols *s);
/*
 * Look up the frames of @from, which is not believed; its modules are in @modules. Texts live as
 * long as @s.
 */
void symbols_find(struct symbols *s, const struct check_module *modules,
		  const struct check_stack *from, struct symbol_stack *out);
/* Return the last part of a path. */
const char *symbols_base_name(const char *path);
#endif
