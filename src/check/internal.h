/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CHECK_INTERNAL_H
#define CHECK_INTERNAL_H
#include "base/client.h"
#include "base/event.h"
#include "check/backtrace.h"
#include "check/check.h"
#include "check/shared.h"

/* ---- modules.c ---- */
/* Fill in the modules of @b's frames, and copy it. */
void check_stack_set(struct check_shared *s, struct check_stack *to, const struct backtrace *b);

/* ---- stacks.c: stacks that are taken again and again ---- */
#define CHECK_PAST_FRAMES 24u
/* Memory for it; 0 or -errno. */
int check_stacks_start(void);
void check_stacks_stop(void);
/* In a forked child: nobody writes a slot any more. */
void check_stacks_forked(void);
/* backtrace_take(), of at most CHECK_PAST_FRAMES; quick where it was taken before. */
void check_stack_take(struct backtrace *b, const struct call_site *from, unsigned max);

/* Return where the call is that another process makes here, if it says that, or NULL. */
static inline const struct client_place *check_client_place(void)
{
	return client_now && client_now->place && client_now->place->n ? client_now->place : NULL;
}
/*
 * Take the stack of the program at its call @call, in this process or in the one that makes it: of
 * that one's frames the modules are known already.
 */
void check_call_stack(struct backtrace *b, const struct call_frame *call, unsigned max);

/* ---- uninit.c ---- */
/* Look at what a device is about to read: EVENT_READING. */
void check_uninit_look(const struct event *e);

/* ---- history.c: what happened before, of this process ---- */
/* Memory for it; 0 or -errno. */
int check_history_start(void);
void check_history_stop(void);
/* In a forked child: nobody writes an entry any more. */
void check_history_forked(void);
void check_history_note(const struct event *e);
/* Something that happened. */
struct past {
	uint64_t at, size, mem;
	uint64_t time; /* now_ns() */
	const char *call;
	int32_t tid;
	struct backtrace stack;
};
/* Find the last thing that happened to @at of @space: EVENT_MAP, EVENT_UNMAP, or -1: nothing. */
int check_history_last(const void *space, uint64_t at, struct past *out);
/* Find the mapping that was there before the unmap that @unmap is of. */
bool check_history_mapped(const void *space, uint64_t at, const struct past *unmap,
			  struct past *out);
/* Find the IOVA at which @mem is mapped now. */
bool check_history_iova(const void *space, uint64_t mem, uint64_t *iova);
/* ---- moments.c: moments that reports name (struct report_about, @moment) ---- */
int check_moments_start(void);
void check_moments_stop(void);
/* This thread makes a store: what it notes from now on is another moment. */
void check_moments_store(void);
/* Note where the program is now. Return the moment; 0: it is in no call. */
uint64_t check_moment_note(void);
/* Find who was there, when, and how; not what of struct past is about mappings. */
bool check_moment_find(uint64_t moment, struct past *out);

/* ---- history.c again ---- */
/* Find the last store to the device @who. */
struct past_store {
	uint64_t at, value, time;
	uint32_t bar, size;
	int32_t tid;
	char reg[64];
	struct backtrace stack;
};
bool check_history_store(const char *who, struct past_store *out);
/* Find where the program last did @what to @who: of @out, the time, the thread, and the stack. */
bool check_history_place(const char *what, const char *who, struct past_store *out);
#endif
