/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/moments.c: moments of the program that a later report may name: where it gave memory to a
 * device. A moment is the number of an entry of a ring, which has the thread and the stack; one
 * that is a whole ring behind is not known any more. A store that gives many things is one moment.
 *
 * Any thread, also in a signal handler, without a lock, as history.c.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/util.h"
#include "check/internal.h"

#define MOMENTS 4096u
#define FRAMES	16u

enum { P_TIME, P_TID, P_CALL, P_FRAMES, P_STACK };

static struct ring {
	atomic_ullong next;
	struct moment {
		atomic_ullong number; /* twice the moment that it is; odd while it is written */
		atomic_ullong w[P_STACK + FRAMES];
	} moment[MOMENTS];
} * ring;

/* The call that this thread noted last, if it is still in it. */
static __thread struct {
	const struct call_frame *call;
	uint64_t stores, moment;
} noted;
/* How many stores this thread has made, by which it is known that it is still in one. */
static __thread uint64_t stores;

int check_moments_start(void)
{
	long p = sys_call(SYS_mmap, 0, sizeof(struct ring), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (sys_failed(p))
		return (int)p;
	ring = (struct ring *)p;
	return 0;
}

void check_moments_stop(void)
{
	if (ring)
		sys_call(SYS_munmap, (long)ring, sizeof(struct ring), 0, 0, 0, 0);
	ring = NULL;
}

void check_moments_store(void)
{
	stores++;
}

static void put(atomic_ullong *w, uint64_t v)
{
	atomic_store_explicit(w, v, memory_order_release);
}

static uint64_t get(const atomic_ullong *w)
{
	return atomic_load_explicit(w, memory_order_acquire);
}

uint64_t check_moment_note(void)
{
	const struct call_frame *call = call_current;
	struct backtrace b;
	struct moment *p;
	uint64_t moment;

	if (!ring || !call)
		return 0;
	if (noted.call == call && noted.stores == stores)
		return noted.moment;
	moment = atomic_fetch_add(&ring->next, 1) + 1;
	p = &ring->moment[moment % MOMENTS];
	check_stack_take(&b, &call->from, FRAMES);
	put(&p->number, 2 * moment + 1);
	put(&p->w[P_TIME], now_ns());
	put(&p->w[P_TID], (uint64_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0));
	put(&p->w[P_CALL], (uintptr_t)call->name);
	put(&p->w[P_FRAMES], (uint64_t)b.exact << 32 | b.n);
	for (unsigned i = 0; i < b.n; i++)
		put(&p->w[P_STACK + i], b.pc[i]);
	put(&p->number, 2 * moment);
	noted.call = call;
	noted.stores = stores;
	noted.moment = moment;
	return moment;
}

bool check_moment_find(uint64_t moment, struct past *out)
{
	const struct moment *p;
	uint64_t frames;

	if (!ring || !moment)
		return false;
	p = &ring->moment[moment % MOMENTS];
	if (get(&p->number) != 2 * moment)
		return false;
	*out = (struct past){ .time = get(&p->w[P_TIME]),
			      .tid = (int32_t)get(&p->w[P_TID]),
			      .call = (const char *)(uintptr_t)get(&p->w[P_CALL]) };
	frames = get(&p->w[P_FRAMES]);
	out->stack.n = (uint32_t)frames > FRAMES ? 0 : (uint32_t)frames;
	out->stack.exact = (uint32_t)(frames >> 32);
	for (unsigned i = 0; i < out->stack.n; i++)
		out->stack.pc[i] = get(&p->w[P_STACK + i]);
	return get(&p->number) == 2 * moment;
}
