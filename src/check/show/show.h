/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/show/show.h: the end of the checker that is in `uvfio run`: a thread reads records as they
 * come, looks names up and shows them; at the end of the run the summary.
 */
#ifndef CHECK_SHOW_SHOW_H
#define CHECK_SHOW_SHOW_H
#include <stdbool.h>
#include <stdint.h>

#include "check/check.h"

struct check_show;
struct check_show_options {
	struct check_wanted wanted;
	bool fatal;	       /* a process stops at its first one */
	const char *log_file;  /* where blocks go; NULL: standard error */
	const char *file;      /* where lines of JSON go; NULL: nowhere */
	char *const *suppress; /* files with what is not to be seen; NULL at the end, or NULL */
	bool generate;	       /* write a suppression for each mistake, ... */
	const char *generated; /* ... to this file; NULL: behind its block */
};

/*
 * Have the processes of the run at @dir make records. 0, or -errno and *@why (malloc'ed; or NULL)
 * is a sentence for the user.
 */
int check_show_new(const char *dir, const struct check_show_options *o, struct check_show **out,
		   char **why);
/* Begin to show them, on a thread. 0 or -errno. */
int check_show_start(struct check_show *s);
/*
 * Show what is left, and the summary; what processes report that outlive this goes to the log.
 * Returns how many mistakes were shown.
 */
unsigned check_show_end(struct check_show *s);
void check_show_free(struct check_show *s);
#endif
