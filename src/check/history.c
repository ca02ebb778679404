/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/history.c: the last things that happened in this process, each with the program's stack:
 * mappings that came and went in a ring, the last store to each device, and the last time that each
 * of some things was done (EVENT_PLACE). A mistake is told with what led to it; what is older than
 * the ring is told without.
 *
 * Written by any thread, also in a signal handler, without a lock. All words are atomic; a number
 * of the entry, which is odd while it is written, says to a reader whether the words belong
 * together. Two writers meet in one entry only when one is a whole ring behind, or of stores when
 * two threads store at the same time: then one gives way.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/util.h"
#include "check/internal.h"

#define ENTRIES	     8192u
#define STORES	     64u
#define STACK_FRAMES CHECK_PAST_FRAMES
#define PLACES	     256u
#define STORE_FRAMES 16u

struct words {
	atomic_ullong number;
	atomic_ullong w[8 + STACK_FRAMES];
};

struct store_words {
	atomic_ullong number;
	atomic_ullong name[8]; /* the device's; set once */
	atomic_ullong taken;   /* 1: name is being set, 2: it is */
	atomic_ullong w[6 + 8 + STORE_FRAMES];
};

static struct history {
	atomic_ullong next;
	struct words entry[ENTRIES];
	struct store_words store[STORES];
	struct store_words place[PLACES];
} * history;

int check_history_start(void)
{
	long p = sys_call(SYS_mmap, 0, sizeof(struct history), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (sys_failed(p))
		return (int)p;
	history = (struct history *)p;
	return 0;
}

void check_history_stop(void)
{
	sys_call(SYS_munmap, (long)history, sizeof(struct history), 0, 0, 0, 0);
	history = NULL;
}

/* In the order of the program, as all atomics here: the number is first and last. */
static uint64_t get(const atomic_ullong *w)
{
	return atomic_load_explicit(w, memory_order_acquire);
}

static void put(atomic_ullong *w, uint64_t v)
{
	atomic_store_explicit(w, v, memory_order_release);
}

static int32_t tid(void)
{
	const struct client_place *place = check_client_place();

	return place ? place->tid : (int32_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static void take_stack(struct backtrace *b, unsigned max)
{
	const struct call_frame *call = call_current;

	b->n = b->exact = 0;
	if (call)
		check_call_stack(b, call, max);
}

/* ---- mappings ---- */

/* the words of an entry, in order; then the frames */
enum { W_KIND, W_SPACE, W_AT, W_SIZE, W_MEM, W_TIME, W_CALL, W_FRAMES, W_STACK };

static void note_mapping(const struct event *e)
{
	uint64_t n = atomic_fetch_add(&history->next, 1);
	struct words *to = &history->entry[n % ENTRIES];
	struct backtrace b;

	take_stack(&b, STACK_FRAMES);
	put(&to->number, 2 * n + 1);
	put(&to->w[W_KIND], (uint64_t)e->kind | (uint64_t)(uint32_t)tid() << 32);
	put(&to->w[W_SPACE], (uintptr_t)e->space);
	put(&to->w[W_AT], e->at);
	put(&to->w[W_SIZE], e->size);
	put(&to->w[W_MEM], (uintptr_t)e->mem);
	put(&to->w[W_TIME], now_ns());
	put(&to->w[W_CALL], (uintptr_t)(call_current ? call_current->name : NULL));
	put(&to->w[W_FRAMES], (uint64_t)b.exact << 32 | b.n);
	for (unsigned i = 0; i < b.n; i++)
		put(&to->w[W_STACK + i], b.pc[i]);
	put(&to->number, 2 * n + 2);
}

/* Copy entry @n: the kind of event, or -1: it is not there any more. */
static int copy_entry(uint64_t n, const void **space, struct past *out)
{
	const struct words *w = &history->entry[n % ENTRIES];
	uint64_t kind, frames;

	if (get(&w->number) != 2 * n + 2)
		return -1;
	kind = get(&w->w[W_KIND]);
	*space = (const void *)(uintptr_t)get(&w->w[W_SPACE]);
	out->tid = (int32_t)(kind >> 32);
	out->at = get(&w->w[W_AT]);
	out->size = get(&w->w[W_SIZE]);
	out->mem = get(&w->w[W_MEM]);
	out->time = get(&w->w[W_TIME]);
	out->call = (const char *)(uintptr_t)get(&w->w[W_CALL]);
	frames = get(&w->w[W_FRAMES]);
	out->stack.n = (uint32_t)frames > STACK_FRAMES ? 0 : (uint32_t)frames;
	out->stack.exact = (uint32_t)(frames >> 32);
	for (unsigned i = 0; i < out->stack.n; i++)
		out->stack.pc[i] = get(&w->w[W_STACK + i]);
	return get(&w->number) == 2 * n + 2 ? (int)(uint32_t)kind : -1;
}

/*
 * Look back from entry @from (not included) for what happened to @at of @space. -1: nothing that is
 * known; else the kind, and *@from is the entry.
 */
static int look_back(const void *space, uint64_t at, uint64_t *from, struct past *out)
{
	uint64_t oldest = get(&history->next);
	const void *of;
	int kind;

	oldest = oldest > ENTRIES ? oldest - ENTRIES : 0;
	while (*from > oldest) {
		kind = copy_entry(--*from, &of, out);
		if (kind < 0 || of != space)
			continue;
		if (kind == EVENT_SPACE)
			return -1;
		if (at >= out->at && at - out->at < out->size)
			return kind;
	}
	return -1;
}

int check_history_last(const void *space, uint64_t at, struct past *out)
{
	uint64_t from = history ? atomic_load(&history->next) : 0;

	return history ? look_back(space, at, &from, out) : -1;
}

bool check_history_mapped(const void *space, uint64_t at, const struct past *unmap,
			  struct past *out)
{
	uint64_t from = history ? atomic_load(&history->next) : 0;
	bool behind = false;
	int kind;

	while (history && (kind = look_back(space, at, &from, out)) >= 0) {
		if (kind == EVENT_MAP && behind)
			return true;
		behind = behind || (kind == EVENT_UNMAP && out->time == unmap->time);
	}
	return false;
}

bool check_history_iova(const void *space, uint64_t mem, uint64_t *iova)
{
	uint64_t from = history ? atomic_load(&history->next) : 0, oldest = 0;
	struct past p, now;
	const void *of;

	if (from > ENTRIES)
		oldest = from - ENTRIES;
	while (from > oldest) {
		int kind = copy_entry(--from, &of, &p);

		if (kind < 0 || of != space)
			continue;
		if (kind == EVENT_SPACE)
			return false;
		if (kind != EVENT_MAP || mem < p.mem || mem - p.mem >= p.size)
			continue;
		*iova = p.at + (mem - p.mem);
		if (check_history_last(space, *iova, &now) == EVENT_MAP && now.time == p.time)
			return true;
	}
	return false;
}

/* ---- stores ---- */

enum { S_AT, S_VALUE, S_TIME, S_WHERE, S_TID, S_FRAMES, S_REG, S_STACK = S_REG + 8 };

static bool is_of(const struct store_words *s, const uint64_t name[8])
{
	for (unsigned i = 0; i < 8; i++)
		if (get(&s->name[i]) != name[i])
			return false;
	return true;
}

static void name_words(const char *who, uint64_t name[8])
{
	char text[64] = "";

	for (unsigned i = 0; i + 1 < sizeof(text) && who[i]; i++)
		text[i] = who[i];
	memcpy(name, text, sizeof(text));
}

/* Find the entry of @n at @table that is called @who; @make: or take one. NULL: there is none. */
static struct store_words *store_of(struct store_words *table, unsigned n, const char *who,
				    bool make)
{
	uint64_t name[8];
	struct store_words *s;
	unsigned long long free;

	name_words(who, name);
	for (unsigned i = 0; i < n; i++) {
		s = &table[i];
		free = 0;
		if (make && !get(&s->taken) &&
		    atomic_compare_exchange_strong(&s->taken, &free, 1)) {
			for (unsigned k = 0; k < 8; k++)
				put(&s->name[k], name[k]);
			atomic_store(&s->taken, 2);
			return s;
		}
		if (get(&s->taken) != 2)
			continue;
		if (is_of(s, name))
			return s;
	}
	return NULL;
}

static void note_store(struct store_words *s, const struct event *e)
{
	unsigned long long n;
	uint64_t reg[8];
	struct backtrace b;

	if (!s)
		return;
	take_stack(&b, STORE_FRAMES);
	n = get(&s->number);
	if (n & 1 || !atomic_compare_exchange_strong(&s->number, &n, n + 1))
		return;
	name_words(e->reg ? e->reg : "", reg);
	put(&s->w[S_AT], e->at);
	put(&s->w[S_VALUE], e->value);
	put(&s->w[S_TIME], now_ns());
	put(&s->w[S_WHERE], (uint64_t)e->bar << 32 | (uint32_t)e->size);
	put(&s->w[S_TID], (uint64_t)(uint32_t)tid());
	put(&s->w[S_FRAMES], (uint64_t)b.exact << 32 | b.n);
	for (unsigned i = 0; i < 8; i++)
		put(&s->w[S_REG + i], reg[i]);
	for (unsigned i = 0; i < b.n; i++)
		put(&s->w[S_STACK + i], b.pc[i]);
	put(&s->number, n + 2);
}

static bool copy_store(const struct store_words *s, struct past_store *out)
{
	uint64_t n, frames, where, reg[8];

	if (!s)
		return false;
	n = get(&s->number);
	if (!n || n & 1)
		return false;
	out->at = get(&s->w[S_AT]);
	out->value = get(&s->w[S_VALUE]);
	out->time = get(&s->w[S_TIME]);
	where = get(&s->w[S_WHERE]);
	out->bar = (uint32_t)(where >> 32);
	out->size = (uint32_t)where;
	out->tid = (int32_t)get(&s->w[S_TID]);
	frames = get(&s->w[S_FRAMES]);
	out->stack.n = (uint32_t)frames > STORE_FRAMES ? 0 : (uint32_t)frames;
	out->stack.exact = (uint32_t)(frames >> 32);
	for (unsigned i = 0; i < 8; i++)
		reg[i] = get(&s->w[S_REG + i]);
	memcpy(out->reg, reg, sizeof(out->reg));
	out->reg[sizeof(out->reg) - 1] = '\0';
	for (unsigned i = 0; i < out->stack.n; i++)
		out->stack.pc[i] = get(&s->w[S_STACK + i]);
	return get(&s->number) == n;
}

bool check_history_store(const char *who, struct past_store *out)
{
	return history && who && copy_store(store_of(history->store, STORES, who, false), out);
}

/* A place's name is what was done and to what. */
static const char *place_name(char name[64], const char *what, const char *who)
{
	size_t n = strnlen(what, 31), k = strnlen(who, 31);

	memcpy(name, what, n);
	name[n] = ' ';
	memcpy(name + n + 1, who, k);
	name[n + 1 + k] = '\0';
	return name;
}

bool check_history_place(const char *what, const char *who, struct past_store *out)
{
	char name[64];

	return history &&
	       copy_store(store_of(history->place, PLACES, place_name(name, what, who), false),
			  out);
}

void check_history_note(const struct event *e)
{
	char name[64];

	if (!history)
		return;
	if (e->kind == EVENT_STORE)
		note_store(store_of(history->store, STORES, e->who, true), e);
	else if (e->kind == EVENT_PLACE)
		note_store(store_of(history->place, PLACES, place_name(name, e->reg, e->who), true),
			   e);
	else
		note_mapping(e);
}

void check_history_forked(void)
{
	for (unsigned i = 0; history && i < STORES; i++)
		if (get(&history->store[i].number) & 1)
			put(&history->store[i].number, 0);
	for (unsigned i = 0; history && i < PLACES; i++)
		if (get(&history->place[i].number) & 1)
			put(&history->place[i].number, 0);
}
