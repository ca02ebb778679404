/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/record.c: a report that is a mistake becomes a record in the shared memory. It runs where
 * the report was made: maybe in a signal handler, on a thread of a model, with locks held. What
 * there is no room for is counted; a mistake that was recorded before is counted as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/report.h"
#include "base/run_file.h"
#include "base/sys.h"
#include "base/untouched.h"
#include "check/internal.h"

/* Innermost frames by which two mistakes are the same. */
#define SAME_FRAMES 4u
#define SEEN_PROBES 16u

static struct check_shared *shared;
static int kind_stale = -1;
static bool looks_at_reads;
static bool may_stop;

/* ---- which mistake it is ---- */

static uint64_t mix(uint64_t hash, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++) /* FNV-1a */
		hash = (hash ^ (v >> 8 * i & 0xff)) * 1099511628211ull;
	return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 1099511628211ull;
	return mix(hash, 0);
}

/* the place in the file, which is the same in all processes */
static uint64_t mix_stack(uint64_t hash, const struct check_stack *stack)
{
	for (unsigned i = 0; i < stack->n && i < SAME_FRAMES; i++) {
		const struct check_module *m = NULL;

		if (stack->module[i] != CHECK_NO_MODULE)
			m = &shared->module[stack->module[i]];
		for (unsigned k = 0; m && k < sizeof(m->path) && m->path[k]; k++)
			hash = (hash ^ (uint8_t)m->path[k]) * 1099511628211ull;
		hash = mix(hash, stack->pc[i] - (m ? m->bias : 0));
	}
	return hash;
}

/*
 * Count the mistake @key. True: this is the first time, and its record is to be made; *@index is
 * where it is counted.
 */
static bool is_first(uint64_t key, unsigned *index, bool *full)
{
	*full = false;
	key = key ? key : 1;
	for (unsigned i = 0; i < SEEN_PROBES; i++) {
		struct check_seen *s = &shared->seen[(key + i) % CHECK_SEEN];
		unsigned long long had = 0;
		unsigned made = 0;

		if (atomic_load(&s->key) != key &&
		    !atomic_compare_exchange_strong(&s->key, &had, key) && had != key)
			continue;
		*index = (unsigned)((key + i) % CHECK_SEEN);
		atomic_fetch_add(&s->count, 1);
		return atomic_compare_exchange_strong(&s->made, &made, 1);
	}
	*full = true;
	return false;
}

/* ---- the record ---- */

static struct check_slot *take_slot(void)
{
	unsigned first = (unsigned)atomic_load(&shared->next_seq);

	for (unsigned i = 0; i < CHECK_SLOTS; i++) {
		struct check_slot *s = &shared->slot[(first + i) % CHECK_SLOTS];
		unsigned state = CHECK_FREE;

		if (atomic_compare_exchange_strong(&s->state, &state, CHECK_WRITING))
			return s;
	}
	return NULL;
}

static void copy_text(char *to, size_t size, const char *from)
{
	size_t n = from ? strnlen(from, size - 1) : 0;

	if (n)
		memcpy(to, from, n);
	memset(to + n, 0, size - n);
}

static struct check_part *new_part(struct check_record *r, enum check_role role)
{
	struct check_part *p;

	if (r->parts == CHECK_PARTS)
		return NULL;
	p = &r->part[r->parts++];
	memset(p, 0, sizeof(*p));
	p->role = role;
	return p;
}

static void add_past(struct check_record *r, enum check_role role, const struct past *past)
{
	struct check_part *p = new_part(r, role);

	if (!p)
		return;
	p->tid = past->tid;
	p->at = past->at;
	p->size = past->size;
	p->age_ns = now_ns() - past->time;
	copy_text(p->call, sizeof(p->call), past->call);
	check_stack_set(shared, &p->stack, &past->stack);
}

static void add_store(struct check_record *r, enum check_role role, const struct past_store *store)
{
	struct check_part *p = new_part(r, role);

	if (!p)
		return;
	p->tid = store->tid;
	p->at = store->at;
	p->size = store->size;
	p->bar = store->bar;
	p->value = store->value;
	p->age_ns = now_ns() - store->time;
	memcpy(p->reg, store->reg, sizeof(p->reg));
	check_stack_set(shared, &p->stack, &store->stack);
}

/* The mapping that has @at, if it is known who made it. */
static void add_mapping(struct check_record *r, enum check_role role, const void *space,
			uint64_t at)
{
	struct past past;

	if (check_history_last(space, at, &past) == EVENT_MAP)
		add_past(r, role, &past);
}

/* What the report is about, beyond its text. */
static void add_about(struct check_record *r, const struct report_about *a, bool stale,
		      const struct past *unmap)
{
	struct past_store past;
	struct past map;
	uint64_t iova;

	r->access = a->access;
	r->write = a->write;
	r->at = a->at;
	r->size = a->size;
	r->value = a->value;
	r->bar = a->bar;
	copy_text(r->reg, sizeof(r->reg), a->reg);
	if (a->also && check_history_place(a->also, a->of, &past))
		add_store(r, CHECK_PLACE, &past);
	if (a->access != REPORT_DMA || !a->space || a->place)
		return;
	r->below = a->below.at;
	r->below_size = a->below.size;
	r->above = a->above.at;
	r->above_size = a->above.size;
	if (check_history_iova(a->space, a->at, &iova)) {
		r->meant = iova;
		r->has_meant = 1;
	}
	if (stale) {
		add_past(r, CHECK_UNMAPPED, unmap);
		if (check_history_mapped(a->space, a->at, unmap, &map))
			add_past(r, CHECK_MAPPED, &map);
		return;
	}
	if (a->below.size)
		add_mapping(r, CHECK_BELOW, a->space, a->below.at + a->below.size - 1);
	if (a->above.size)
		add_mapping(r, CHECK_ABOVE, a->space, a->above.at);
	if (!a->below.size && !a->above.size)
		add_mapping(r, CHECK_MAPPED, a->space, a->at);
}

static void add_who(struct check_record *r, const struct report *report, const char *call)
{
	const struct client_place *place = check_client_place();
	struct timespec t = { 0 };

	sys_call(SYS_clock_gettime, CLOCK_REALTIME, (long)&t, 0, 0, 0, 0);
	r->time = (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
	r->pid = place ? place->pid : (int32_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	r->tid = place ? place->tid : (int32_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	r->err = report->err;
	memset(r->thread, 0, sizeof(r->thread));
	if (place)
		copy_text(r->thread, sizeof(r->thread), place->thread);
	else
		sys_call(SYS_prctl, PR_GET_NAME, (long)r->thread, 0, 0, 0, 0);
	copy_text(r->device, sizeof(r->device), report->who);
	copy_text(r->text, sizeof(r->text), report->text);
	copy_text(r->call, sizeof(r->call), call);
}

static void wake(atomic_uint *word)
{
	sys_call(SYS_futex, (long)word, FUTEX_WAKE, INT_MAX, 0, 0, 0);
}

/* ---- stopping at the first one ---- */

#define SHOWN_WITHIN_S 5

static bool is_traced(void)
{
	static const char what[] = "TracerPid:\t";
	char text[2048], *at;
	int fd = sys_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? -1 : sys_read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		sys_close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	at = strstr(text, what);
	return at && at[sizeof(what) - 1] != '0';
}

/* Wait until the record is shown. True: the user wants to stop for it. */
static bool is_to_stop(struct check_slot *slot, unsigned before)
{
	const struct timespec within = { .tv_sec = SHOWN_WITHIN_S };

	while (atomic_load(&slot->shown) == before &&
	       sys_call(SYS_futex, (long)&slot->shown, FUTEX_WAIT, before, (long)&within, 0, 0) !=
		       -ETIMEDOUT)
		;
	return atomic_load(&slot->shown) == before || !atomic_load(&slot->passed);
}

/* Stop: for the debugger, or with a core. */
void check_stop_here(void)
{
	/* the kernel's struct sigaction, with all zero: the default */
	const uint64_t dfl[4] = { 0 };
	int sig = is_traced() ? SIGTRAP : SIGABRT;
	uint64_t set = 1ull << (sig - 1);

	/* past what the program has for this signal: it shall not answer a mistake of its own */
	if (sig == SIGABRT)
		sys_call(SYS_rt_sigaction, sig, (long)dfl, 0, sizeof(set), 0, 0);
	sys_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&set, 0, sizeof(set), 0, 0);
	sys_call(SYS_tgkill, sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0),
		 sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0), sig, 0, 0, 0);
}

/* ---- calls to devices in another process (process=own) ---- */

/* Return @module as frames of a client have it. */
static uint64_t client_module(uint16_t module)
{
	return (uint64_t)(module < CHECK_MODULES ? module + 1u : CLIENT_NO_MODULE)
	       << CLIENT_MODULE_BIT;
}

void check_place(struct client_place *out)
{
	struct check_stack stack;
	struct backtrace b;

	out->n = 0;
	if (!shared || !call_current)
		return;
	check_stack_take(&b, &call_current->from, CLIENT_FRAMES);
	check_stack_set(shared, &stack, &b);
	for (unsigned i = 0; i < stack.n; i++)
		out->pc[i] = stack.pc[i] | client_module(stack.module[i]);
	out->n = stack.n;
	out->exact = stack.exact;
	out->pid = (int32_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	out->tid = (int32_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	sys_call(SYS_prctl, PR_GET_NAME, (long)out->thread, 0, 0, 0, 0);
}

/* ---- the subscriber ---- */

/* What is known of the way to a mistake before its record is made. */
struct way {
	int kind;
	bool stale;
	/* where it is: in the call that the thread is in, or at one of these */
	enum { AT_CALL, AT_STORE, AT_PLACE, AT_MAPPING, AT_MOMENT } at;
	struct past unmap, past; /* of the mapping, or the moment */
	struct past_store store; /* or place */
	struct backtrace stack;
};

static const struct backtrace *stack_of(const struct way *w)
{
	switch (w->at) {
	case AT_CALL:
		return &w->stack;
	case AT_MAPPING:
	case AT_MOMENT:
		return &w->past.stack;
	default:
		return &w->store.stack;
	}
}

/* Find out where the mistake of @report is. */
static void find_place(const struct report *report, struct way *w)
{
	const struct report_about *about = report->about;
	bool is_place = about && about->place;

	if (about && check_moment_find(about->moment, &w->past)) {
		w->at = AT_MOMENT;
	} else if (is_place && about->access == REPORT_DMA) {
		if (check_history_last(about->space, about->at, &w->past) == EVENT_MAP)
			w->at = AT_MAPPING;
	} else if (is_place) {
		if (check_history_place(about->place, about->of, &w->store))
			w->at = AT_PLACE;
	} else if (!report->call && check_history_store(report->who, &w->store)) {
		w->at = AT_STORE;
	}
}

static uint64_t key_of(const struct report *report, const struct way *w,
		       const struct check_stack *stack)
{
	uint64_t key = mix(14695981039346656037ull, (uint64_t)w->kind);

	if (w->kind == CHECK_PROTO)
		key = mix_text(key, report->code->name);
	key = mix_text(key, report->who ? report->who : "");
	key = mix(key, report->about ? report->about->write : 0);
	return mix_stack(key, stack);
}

/* Make the record of @report. True: the user will see it. */
static bool make(const struct report *report, const struct way *w)
{
	struct check_stack stack;
	struct check_slot *slot;
	struct check_record *r;
	unsigned seen, before;
	bool full;

	check_stack_set(shared, &stack, stack_of(w));
	if (!is_first(key_of(report, w, &stack), &seen, &full)) {
		if (full)
			atomic_fetch_add(&shared->lost, 1);
		return !full;
	}
	slot = take_slot();
	if (!slot) {
		/* its next time may find room */
		atomic_store(&shared->seen[seen].made, 0);
		atomic_fetch_add(&shared->lost, 1);
		return false;
	}
	r = &slot->r;
	before = atomic_load(&slot->shown);
	r->seen = seen;
	r->kind = (uint32_t)w->kind;
	copy_text(r->kind_name, sizeof(r->kind_name), report->code->name);
	copy_text(r->fix, sizeof(r->fix), report->code->fix);
	r->parts = 0;
	r->has_meant = 0;
	r->below_size = r->above_size = 0;
	r->access = REPORT_NO_ACCESS;
	add_who(r, report, w->at == AT_CALL && report->call ? report->call->name : NULL);
	r->stack = stack;
	if (w->at != AT_CALL)
		r->stack.n = 0;
	if (w->at == AT_STORE)
		add_store(r, CHECK_STARTED, &w->store);
	else if (w->at == AT_PLACE)
		add_store(r, CHECK_PLACE, &w->store);
	else if (w->at == AT_MAPPING)
		add_past(r, CHECK_MAPPED, &w->past);
	else if (w->at == AT_MOMENT)
		add_past(r, CHECK_GAVE, &w->past);
	if (report->about)
		add_about(r, report->about, w->stale, &w->unmap);
	r->seq = atomic_fetch_add(&shared->next_seq, 1);
	atomic_store_explicit(&slot->state, CHECK_READY, memory_order_release);
	atomic_fetch_add(&shared->wake, 1);
	wake(&shared->wake);
	/* a device's own process is told the program's mistakes, and the program stops */
	if (shared->fatal && (may_stop || check_client_place()) && is_to_stop(slot, before)) {
		if (may_stop)
			check_stop_here();
		else
			*client_now->stop = true;
	}
	return true;
}

/* Return the kind of @report, or -1. */
static int kind_of(const struct report *report)
{
	return report->code->fix ? (int)CHECK_PROTO : check_kind_find(report->code->name);
}

static void on_report(const struct report *report, void *unused)
{
	const struct report_about *about = report->about;
	struct way w;

	w.kind = kind_of(report);
	if (w.kind < 0 || atomic_load(&shared->closed))
		return;
	w.stale = about && about->access == REPORT_DMA && about->space &&
		  !strcmp(report->code->name, "dma-unmapped") &&
		  check_history_last(about->space, about->at, &w.unmap) == EVENT_UNMAP;
	if (w.stale)
		w.kind = kind_stale;
	if (w.kind < 0 || !check_is_wanted(&shared->wanted, (unsigned)w.kind, report->code->name))
		return;
	w.stack.n = w.stack.exact = 0;
	w.at = AT_CALL;
	find_place(report, &w);
	if (report->call && w.at == AT_CALL)
		check_call_stack(&w.stack, report->call, CHECK_FRAMES);
	if (make(report, &w))
		*report->shown = true;
}

static struct report_subscriber subscriber = { .fn = on_report, .level = LOG_INFO };

static void on_event(const struct event *e)
{
	switch (e->kind) {
	case EVENT_READING:
		check_uninit_look(e);
		return;
	case EVENT_TAKEN:
	case EVENT_TAKEN_DATA:
		*e->moment = check_moment_note();
		return;
	case EVENT_STORE:
		check_moments_store();
		break;
	default:
		break;
	}
	check_history_note(e);
}

static bool is_looked_for(const char *kind)
{
	return check_is_wanted(&shared->wanted, (unsigned)check_kind_find(kind), kind);
}

/* Have dma-uninit look at pages, in this process. */
static void start_looking(void)
{
	int rc = untouched_open();

	if (rc)
		report_info("check-pages", NULL, rc,
			    "dma-uninit: /proc/self/pagemap cannot be opened: pages that nobody "
			    "touched are not found");
}

int check_start_with(struct check_shared *s, bool stops)
{
	int rc;

	if (s->magic != CHECK_MAGIC || s->size != sizeof(*s))
		return -EINVAL;
	rc = check_history_start();
	if (rc)
		return rc;
	rc = check_stacks_start() ?: check_moments_start();
	if (rc) {
		check_history_stop();
		check_stacks_stop();
		return rc;
	}
	shared = s;
	may_stop = stops;
	kind_stale = check_kind_find("dma-stale");
	looks_at_reads = is_looked_for("dma-uninit");
	if (looks_at_reads)
		start_looking();
	event_listen(on_event,
		     1u << EVENT_SPACE | 1u << EVENT_MAP | 1u << EVENT_UNMAP | 1u << EVENT_STORE |
			     1u << EVENT_PLACE | (unsigned)looks_at_reads << EVENT_READING |
			     (unsigned)is_looked_for("dma-race") << EVENT_TAKEN |
			     (unsigned)is_looked_for("dma-race-data") << EVENT_TAKEN_DATA);
	report_subscribe(&subscriber);
	return 0;
}

int check_start(const char *dir, bool stops)
{
	size_t size;
	long p = run_file_map(dir, CHECK_FILE, sizeof(struct check_shared), &size);
	int rc;

	if (sys_failed(p))
		return p == -ENOENT ? 0 : (int)p;
	rc = check_start_with((struct check_shared *)p, stops);
	if (rc)
		sys_call(SYS_munmap, p, (long)size, 0, 0, 0, 0);
	return rc;
}

void check_stop(void)
{
	report_unsubscribe(&subscriber);
	event_unlisten(on_event);
	untouched_close();
	check_history_stop();
	check_stacks_stop();
	check_moments_stop();
	shared = NULL;
}

void check_forked(void)
{
	check_history_forked();
	check_stacks_forked();
	if (looks_at_reads)
		start_looking();
}
