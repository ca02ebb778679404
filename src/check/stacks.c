/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/stacks.c: stacks that were taken before. A driver stores to its device from the same place
 * again and again, and to go up the stack costs as much as the store itself. So what was found is
 * kept, by the registers that it was found from, with all that was read of the stack on the way: if
 * it is still there, the same would be found.
 *
 * Any thread, also in a signal handler, without a lock. All words are atomic; the number of a slot,
 * which is odd while it is written, says to a reader whether they belong together. Who finds a
 * writer there takes the stack itself.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/guard.h"
#include "base/sys.h"
#include "check/internal.h"

#define SLOTS  256u
#define FRAMES CHECK_PAST_FRAMES

/* by what a stack is found */
enum { K_IP, K_SP, K_FP, K_MAX, KEYS };

struct slot {
	atomic_ullong number;
	atomic_ullong key[KEYS];
	atomic_ullong frames, words; /* how many; frames: with the bits of @exact above */
	atomic_ullong pc[FRAMES];
	atomic_ullong word[BACKTRACE_WORDS][2]; /* where, what */
};

static struct slot *slots;

int check_stacks_start(void)
{
	long p = sys_call(SYS_mmap, 0, SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (sys_failed(p))
		return (int)p;
	slots = (struct slot *)p;
	return 0;
}

void check_stacks_stop(void)
{
	if (slots)
		sys_call(SYS_munmap, (long)slots, SLOTS * sizeof(struct slot), 0, 0, 0, 0);
	slots = NULL;
}

void check_stacks_forked(void)
{
	for (unsigned i = 0; slots && i < SLOTS; i++)
		if (atomic_load(&slots[i].number) & 1)
			atomic_store(&slots[i].number, 0);
}

static uint64_t get(const atomic_ullong *w)
{
	return atomic_load_explicit(w, memory_order_acquire);
}

static void put(atomic_ullong *w, uint64_t v)
{
	atomic_store_explicit(w, v, memory_order_release);
}

static struct slot *slot_of(const uint64_t key[KEYS])
{
	uint64_t hash = (key[K_IP] ^ key[K_SP] >> 3) * 0x9e3779b97f4a7c15ull;

	return &slots[hash >> 56];
}
_Static_assert(SLOTS == 256, "the hash has eight bits");

/* True if @s is of @key, and the stack is as it was: @b is what was found. */
static bool find(const struct slot *s, const uint64_t key[KEYS], struct backtrace *b)
{
	uint64_t number = get(&s->number), frames, words, now;

	if (!number || number & 1)
		return false;
	for (unsigned i = 0; i < KEYS; i++)
		if (get(&s->key[i]) != key[i])
			return false;
	frames = get(&s->frames);
	words = get(&s->words);
	b->n = (uint32_t)frames;
	b->exact = (uint32_t)(frames >> 32);
	if (b->n > FRAMES || words > BACKTRACE_WORDS)
		return false; /* they do not belong together */
	for (uint64_t i = 0; i < words; i++)
		if (guard_copy(&now, (const void *)(uintptr_t)get(&s->word[i][0]), sizeof(now)) ||
		    now != get(&s->word[i][1]))
			return false;
	for (unsigned i = 0; i < b->n; i++)
		b->pc[i] = get(&s->pc[i]);
	return get(&s->number) == number;
}

static void keep(struct slot *s, const uint64_t key[KEYS], const struct backtrace *b,
		 const struct backtrace_words *words)
{
	unsigned long long number = get(&s->number);

	if (number & 1 || !atomic_compare_exchange_strong(&s->number, &number, number + 1))
		return;
	for (unsigned i = 0; i < KEYS; i++)
		put(&s->key[i], key[i]);
	put(&s->frames, (uint64_t)b->exact << 32 | b->n);
	put(&s->words, words->n);
	for (unsigned i = 0; i < b->n; i++)
		put(&s->pc[i], b->pc[i]);
	for (unsigned i = 0; i < words->n; i++) {
		put(&s->word[i][0], words->word[i].at);
		put(&s->word[i][1], words->word[i].value);
	}
	put(&s->number, number + 2);
}

void check_stack_take(struct backtrace *b, const struct call_site *from, unsigned max)
{
	const uint64_t key[KEYS] = { (uintptr_t)from->ip, (uintptr_t)from->sp, (uintptr_t)from->fp,
				     (uint64_t)from->exact << 32 | max };
	struct backtrace_words words;

	if (!slots) {
		backtrace_take(b, from, max);
		return;
	}
	if (find(slot_of(key), key, b))
		return;
	backtrace_take_noting(b, from, max, &words);
	if (!words.not_all)
		keep(slot_of(key), key, b, &words);
}

void check_call_stack(struct backtrace *b, const struct call_frame *call, unsigned max)
{
	const struct client_place *place = check_client_place();

	if (place) {
		b->n = place->n < max ? place->n : max;
		b->exact = place->exact;
		memcpy(b->pc, place->pc, b->n * sizeof(b->pc[0]));
	} else if (client_now) {
		b->n = b->exact = 0;
	} else if (max > FRAMES) {
		backtrace_take(b, &call->from, max);
	} else {
		check_stack_take(b, &call->from, max);
	}
}
