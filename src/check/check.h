/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/check.h: the checker, in a process that drives devices. It subscribes to reports
 * (base/report.h) and makes a record of each whose code is a *kind* of mistake, with the program's
 * stack; `uvfio run` shows it (check/show/). What a mistake began with, a mapping or a store, it
 * knows by events (base/event.h).
 */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H
#include <stdbool.h>
#include <stdint.h>

/* The file in the run directory; there is one if mistakes are looked for. */
#define CHECK_FILE "check"

/* A kind of mistake: kinds.txt has them. */
struct check_kind {
	const char *name;
	const char *group;
	const char *line; /* one sentence, without a full stop */
	const char *fix;  /* what to do, in a sentence or two */
	const char *text; /* paragraphs */
	bool asked;	  /* looked for only when the user asks for it */
};
extern const struct check_kind check_kinds[];
extern const unsigned check_num_kinds;
/* Return the index of the kind @name, or -1. */
int check_kind_find(const char *name);

/*
 * The kinds of models, "proto-MODEL-NAME", are not in the table: models have tables of their own
 * (struct uvfio_kind), and what is known of such a kind comes with its report. All of them have
 * one index.
 */
#define CHECK_PROTO	 63u
#define CHECK_PROTO_NAME "proto-"
/* The kinds that are looked for. */
#define CHECK_RULES	24u
#define CHECK_RULE_NAME 64u
struct check_wanted {
	uint64_t kinds; /* a bit each */
	/* of the kinds of models: the last one that fits decides; none: the bit CHECK_PROTO */
	uint32_t rules;
	struct check_rule {
		uint32_t on;
		char name[CHECK_RULE_NAME]; /* of a kind, or how names of several begin */
	} rule[CHECK_RULES];
};
/* Those that are looked for if nobody says otherwise. */
void check_wanted_default(struct check_wanted *w);
/*
 * Add to @w what @list says, and take away: names of kinds and groups, with commas between, a '-'
 * before what is taken away. 0, or -EINVAL and *@bad is the word that is neither (@len bytes). Of
 * the kinds of models it is not known which there are: what begins with "proto-" is taken for one.
 */
int check_wanted_parse(const char *list, struct check_wanted *w, const char **bad, unsigned *len);
/* True if @kind is looked for; of CHECK_PROTO, the one of this @name. */
bool check_is_wanted(const struct check_wanted *w, unsigned kind, const char *name);

/*
 * Begin to record, if the run at @dir looks for mistakes; once in a process. @stops: this process
 * is one that stops at the first one, if the user wants that. 0: it does, or there is nothing to
 * do; -errno.
 */
int check_start(const char *dir, bool stops);
struct check_shared;
/* The same with @s, which stays. */
int check_start_with(struct check_shared *s, bool stops);
struct client_place;
/*
 * Say where the call is that this thread makes on a device in another process, which tells of its
 * mistakes: frames, thread and process. Nothing is said where nothing is looked for.
 */
void check_place(struct client_place *out);
/* Stop this process for a mistake that was told over there (--check-fatal). */
void check_stop_here(void);
/* In a forked child, which shares the records. */
void check_forked(void);
/* End it again. For tests: no other thread reports. */
void check_stop(void);
#endif
