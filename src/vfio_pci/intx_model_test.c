/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/intx_model_test.c: INTx against all orders in which threads can come. The races of Linux
 * that became CVE-2024-26810 (the mask by ioctl beside DisINTx), -26812 (an eventfd that goes while
 * it is signalled) and -27437 (an interrupt between enable and the first mask) each need three
 * threads at one point, which no stress finds for sure. So intx.c is compiled in here with every
 * access to what threads share replaced by a point at which another thread may go on. A thread is a
 * coroutine; a state of the whole is the shared words and the coroutines' stacks, which are copied
 * and brought back, so that each state that can be reached is looked at once, and all are.
 *
 * The function also goes to sleep and wakes (low power holds the mask meanwhile), is halted and
 * goes on (a migration's source), and takes over the masks of another one (its destination), while
 * INTx is active or before.
 *
 * The checks: no eventfd is written after the call that took it away has returned; nobody
 * waits for ever; at the end nothing is lost (the line up, no mask, no signal), and the hardware's
 * DisINTx is what it should be; and the whole (what each call returned, how often each eventfd was
 * signalled, the mask) is what the kernel's driver can come to (test_intx_spec.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rcu.h"
#include "base/sanitize.h"
#include "vfio_pci/internal.h"
#include "vfio_pci/test_intx_spec.h"

/* A sanitizer does not know of stacks that are copied; nor is there memory here for it to watch. */
#if defined(SANITIZED_ADDRESS) || defined(SANITIZED_THREAD)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { STACK = 16 << 10 };
enum lock { IGATE, CONFIG, LOCKS };

/* ---- the threads ---- */

/* All that the threads share, but for the words of the device itself. */
static struct world {
	bool level, rose, told, hw_disabled; /* the function's pin (pci/intx.c) */
	bool asleep, halted, inhibit;	     /* and what keeps it quiet */
	bool held;			     /* the mask, by low power */
	unsigned busy;
	bool old_chip;
	enum eventfd trigger;
	bool gone[FDS]; /* taken away by a call that has returned */
	unsigned signals[FDS];
	bool event, in_event; /* there is an unmask eventfd; its handler runs */
	int holder[LOCKS];    /* 1 + the thread */
	unsigned readers;     /* a bit a thread that is in an RCU section */
	struct {
		enum { RUNS, WAITS_LOCK, WAITS_READERS, WAITS_EVENT, DONE } is;
		unsigned on; /* the lock; the readers */
		unsigned depth, at;
		int8_t ret[OPS];
	} t[THREADS];
} w;
static struct vfio_pci_device *vd;

static int self;		      /* which thread runs */
static char *scheduler, *sp[THREADS]; /* stack pointers of those who do not run */
static char stacks[THREADS][STACK] __attribute__((aligned(64)));
static const char *wrong; /* found */

static void went_wrong(const char *what)
{
	if (!wrong)
		wrong = what;
}

/*
 * Go on at @to; return when somebody goes on at *@from. No ucontext: that would be two system calls
 * for each step, of which there are millions; and so all of a thread is on its stack.
 */
void intx_model_switch(char **from, char *to);
__asm__(".pushsection .text\n"
	"intx_model_switch:\n"
	"	push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"	ret\n"
	".popsection\n");

/* Let the scheduler choose who goes on: before each access to what is shared. */
static void point(void)
{
	intx_model_switch(&sp[self], scheduler);
}

static void fake_lock(enum lock l)
{
	point();
	if (w.holder[l]) {
		w.t[self].is = WAITS_LOCK;
		w.t[self].on = l;
		point();
	}
	w.holder[l] = 1 + self;
}

static void fake_unlock(enum lock l)
{
	w.holder[l] = 0;
}

static void fake_read_begin(void)
{
	point();
	w.t[self].depth++;
	w.readers |= 1u << self;
}

static void fake_read_end(void)
{
	if (!--w.t[self].depth)
		w.readers &= ~(1u << self);
}

/* Wait for those who are in a section now. The scheduler takes off who leaves it. */
static void fake_sync(void)
{
	w.t[self].is = WAITS_READERS;
	w.t[self].on = w.readers;
	point();
}

static void fake_signal(void)
{
	enum eventfd fd;

	fake_read_begin();
	point();
	fd = w.trigger;
	point();
	if (fd && w.gone[fd])
		went_wrong("a signal on an eventfd that was taken away");
	w.signals[fd] += !!fd;
	fake_read_end();
}

static int fake_set(int fd)
{
	enum eventfd old;

	point();
	old = w.trigger;
	w.trigger = fd < 0 ? NONE : (enum eventfd)fd;
	w.gone[w.trigger] = false;
	if (old) {
		fake_sync();
		if (old != w.trigger)
			w.gone[old] = true;
	}
	return 0;
}

/* The pin, as pci/intx.c has it: the first one tells the sink, the others make it look again. */
static void pin_update(void)
{
	unsigned seen;
	bool out, rose;

	point();
	if (w.busy++)
		return;
	do {
		point();
		seen = w.busy;
		rose = w.rose;
		w.rose = false;
		out = w.level && !w.inhibit;
		if (out != w.told || (out && rose)) {
			w.told = out;
			fake_read_begin();
			vfio_pci_intx_line(vd, out);
			fake_read_end();
		}
		point();
	} while (w.busy != seen);
	w.busy = 0;
}

/* pci_config_derive() and its effects; the former is one step with what changed config space */
static void pin_derive(void)
{
	bool inhibit = w.hw_disabled || w.asleep || w.halted, was = w.inhibit;

	w.inhibit = inhibit;
	if (was && !inhibit) {
		point();
		w.rose = true;
	}
	pin_update();
}

static unsigned fake_command_read(void)
{
	point();
	return w.hw_disabled ? PCI_COMMAND_INTX_DISABLE : 0;
}

static void fake_command_write(unsigned v)
{
	bool disabled = v & PCI_COMMAND_INTX_DISABLE;

	point();
	if (disabled != w.hw_disabled) {
		w.hw_disabled = disabled;
		pin_derive();
	}
}

static bool fake_level(void)
{
	point();
	return w.level;
}

static bool power_changes; /* some thread has SLEEP, HALT or the like in its program */

static bool fake_asleep(void)
{
	if (power_changes)
		point();
	return w.asleep;
}

static bool fake_halted(void)
{
	if (power_changes)
		point();
	return w.halted;
}

static void fake_event_free(bool had)
{
	if (!had)
		return;
	point();
	w.event = false;
	w.t[self].is = WAITS_EVENT;
	point();
}

static int fake_event_new(struct vfio_virqfd **out)
{
	point();
	*out = (struct vfio_virqfd *)&w.event;
	w.event = true;
	return 0;
}

/* ---- intx.c, with a point at each access ---- */

#undef atomic_load
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_compare_exchange_weak
#define plain(p)	       ((unsigned *)(uintptr_t)(p))
#define atomic_load(p)	       (point(), __atomic_load_n(plain(p), __ATOMIC_SEQ_CST))
#define atomic_fetch_or(p, v)  (point(), __atomic_fetch_or(plain(p), v, __ATOMIC_SEQ_CST))
#define atomic_fetch_and(p, v) (point(), __atomic_fetch_and(plain(p), v, __ATOMIC_SEQ_CST))
#define atomic_compare_exchange_weak(p, o, n) \
	(point(),                             \
	 __atomic_compare_exchange_n(plain(p), o, n, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
#define pthread_mutex_lock(m)		       ((void)(m), fake_lock(CONFIG))
#define pthread_mutex_unlock(m)		       ((void)(m), fake_unlock(CONFIG))
#define rcu_read_begin()		       fake_read_begin()
#define rcu_read_end()			       fake_read_end()
#define rcu_sync()			       fake_sync()
#define vfio_trigger_signal(t)		       ((void)(t), fake_signal())
#define vfio_trigger_set(t, fd)		       ((void)(t), fake_set(fd))
#define vfio_check_eventfd(fd)		       ((void)(fd), 0)
#define vfio_virqfd_new(l, fd, fn, arg, out)   ((void)(fd), (void)(fn), fake_event_new(out))
#define vfio_virqfd_free(v)		       fake_event_free(!!(v))
#define vfio_virqfd_orphaned(v)		       ((void)(v), false)
#define pci_intx_pin(fn)		       1
#define pci_intx_level(fn)		       fake_level()
#define pci_power_state(fn)		       fake_asleep()
#define pci_irqs_wait(fn)		       fake_halted()
#define pci_config_read(fn, reg, size)	       fake_command_read()
#define pci_config_write(fn, reg, size, value) fake_command_write(value)
#include "intx.c"

/* ---- what a thread does ---- */

static int set_irqs(uint32_t action, uint32_t data, uint32_t count, int32_t fd)
{
	struct vfio_irq_set_args a = { .flags = action | data,
				       .count = count,
				       .data = data & ~1u ? &fd : NULL };
	int ret;

	fake_lock(IGATE);
	ret = vfio_pci_intx_set(vd, &a);
	fake_unlock(IGATE);
	return ret;
}

/* As low_power.c does it. */
static void low_power(bool sleeps)
{
	fake_lock(CONFIG);
	if (sleeps)
		w.held = vfio_pci_intx_hold(vd);
	point();
	w.asleep = sleeps;
	pin_derive();
	if (!sleeps && w.held) {
		vfio_pci_intx_let_go(vd);
		w.held = false;
	}
	fake_unlock(CONFIG);
}

/* As pci/migrate.c and migrate.c do it. */
static void halt(bool on)
{
	point();
	w.halted = on;
	point();
	pin_derive();
	if (on)
		fake_sync();
}

static void load(enum op op)
{
	fake_lock(IGATE);
	fake_lock(CONFIG);
	point();
	w.level = w.rose = loads[op].level;
	vfio_pci_intx_load(vd, loads[op].saved);
	fake_unlock(CONFIG);
	fake_unlock(IGATE);
}

static int do_op(enum op op)
{
	enum {
		TRIGGER = VFIO_IRQ_SET_ACTION_TRIGGER,
		EVENTFD = VFIO_IRQ_SET_DATA_EVENTFD,
		PLAIN = VFIO_IRQ_SET_DATA_NONE,
	};

	switch (op) {
	case RAISE:
		point();
		if (w.level)
			return 0;
		w.rose = true;
		w.level = true;
		pin_update();
		return 0;
	case FALL:
		point();
		if (w.level) {
			w.level = false;
			pin_update();
		}
		return 0;
	case MASK:
		return set_irqs(VFIO_IRQ_SET_ACTION_MASK, PLAIN, 1, 0);
	case UNMASK:
		return set_irqs(VFIO_IRQ_SET_ACTION_UNMASK, PLAIN, 1, 0);
	case SET_A:
		return set_irqs(TRIGGER, EVENTFD, 1, FD_A);
	case SET_B:
		return set_irqs(TRIGGER, EVENTFD, 1, FD_B);
	case SET_NONE:
		return set_irqs(TRIGGER, EVENTFD, 1, -1);
	case DISABLE:
		return set_irqs(TRIGGER, PLAIN, 0, 0);
	case SEND:
		return set_irqs(TRIGGER, PLAIN, 1, 0);
	case EVENT_SET:
		return set_irqs(VFIO_IRQ_SET_ACTION_UNMASK, EVENTFD, 1, FD_A);
	case EVENT_DROP:
		return set_irqs(VFIO_IRQ_SET_ACTION_UNMASK, EVENTFD, 1, -1);
	case DIS_ON:
	case DIS_OFF:
		fake_lock(CONFIG);
		vfio_pci_intx_user_disable(vd, op == DIS_ON);
		fake_unlock(CONFIG);
		return 0;
	case EVENT:
		point();
		if (w.event) {
			w.in_event = true;
			intx_unmask(vd);
			w.in_event = false;
		}
		return 0;
	case SLEEP:
	case WAKE:
		low_power(op == SLEEP);
		return 0;
	case HALT:
	case GO_ON:
		halt(op == HALT);
		return 0;
	case LOAD_DOWN:
	case LOAD_FREE:
	case LOAD_AUTOMASKED:
	case LOAD_MASKED:
	case LOAD_DISABLED:
		load(op);
		return 0;
	case END:
		break;
	}
	return 0;
}

static void thread(void)
{
	int id = self;

	for (unsigned i = 0; program[id][i]; i++) {
		w.t[id].at = i;
		w.t[id].ret[i] = (int8_t)do_op(program[id][i]);
	}
	w.t[id].is = DONE;
	point();
}

static void make_thread(int id)
{
	/*
	 * what intx_model_switch() takes from it: six registers, where to go, and there is no back
	 */
	uintptr_t *top = (uintptr_t *)(stacks[id] + STACK) - 8;

	top[6] = (uintptr_t)thread;
	sp[id] = (char *)top;
}

static bool can_run(int id)
{
	switch (w.t[id].is) {
	case RUNS:
		return true;
	case WAITS_LOCK:
		return !w.holder[w.t[id].on];
	case WAITS_READERS:
		return !w.t[id].on;
	case WAITS_EVENT:
		return !w.in_event;
	case DONE:
		break;
	}
	return false;
}

/* ---- all states ---- */

struct state {
	struct world w;
	unsigned word, irq_type;
	struct vfio_virqfd *unmask;
	size_t size[THREADS], all;
	char *bytes; /* of the stacks, one after the other */
};

static void save(struct state *s)
{
	char *to;

	s->w = w;
	s->word = *plain(&vd->intx.state);
	s->irq_type = vd->irq_type;
	s->unmask = vd->intx.unmask;
	s->all = 0;
	for (int t = 0; t < THREADS; t++) {
		s->size[t] = w.t[t].is == DONE ? 0 : (size_t)(stacks[t] + STACK - sp[t]);
		s->all += s->size[t];
	}
	to = s->bytes = malloc(s->all + 1);
	assert_non_null(to);
	for (int t = 0; t < THREADS; to += s->size[t++])
		memcpy(to, sp[t], s->size[t]);
}

static void bring_back(const struct state *s)
{
	const char *from = s->bytes;

	w = s->w;
	*plain(&vd->intx.state) = s->word;
	vd->irq_type = s->irq_type;
	vd->intx.unmask = s->unmask;
	for (int t = 0; t < THREADS; from += s->size[t++]) {
		sp[t] = stacks[t] + STACK - s->size[t];
		memcpy(sp[t], from, s->size[t]);
	}
}

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const unsigned char *b = p;
	uint64_t v;

	for (; n >= sizeof(v); n -= sizeof(v), b += sizeof(v)) {
		memcpy(&v, b, sizeof(v));
		h = (h ^ v) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	while (n--)
		h = (h ^ *b++) * 0x100000001b3ull;
	return h;
}

static uint64_t hash(const struct state *s)
{
	uint64_t h = mix(s->word * 4ull + s->irq_type, &s->w, sizeof(s->w));

	h = mix(h, &s->unmask, sizeof(s->unmask));
	h = mix(h, s->size, sizeof(s->size));
	h = mix(h, s->bytes, s->all);
	return h ? h : 1;
}

enum { SEEN = 1 << 22 };
static uint64_t seen[SEEN];
static uint32_t seen_list[SEEN / 2];
static unsigned num_seen;
static unsigned long states, ends;

/* True if @h is new. Two states of one hash among these thousands: 1 in 10^12. */
static bool is_new(uint64_t h)
{
	uint32_t i = h % SEEN;

	for (; seen[i]; i = (i + 1) % SEEN)
		if (seen[i] == h)
			return false;
	assert_true(num_seen < SEEN / 2);
	seen[i] = h;
	seen_list[num_seen++] = i;
	return true;
}

static void check_end(void)
{
	unsigned word = *plain(&vd->intx.state);
	struct spec s = {
		.active = word & INTX_ACTIVE,
		.masked = word & INTX_MASKED,
		.disabled = word & INTX_DISABLED,
		.level = w.level,
		.event = w.event,
		.trigger = w.trigger,
		.carried = word & INTX_CARRIED,
	};

	ends++;
	memcpy(s.signals, w.signals, sizeof(s.signals));
	for (int t = 0; t < THREADS; t++)
		memcpy(s.ret[t], w.t[t].ret, sizeof(s.ret[t]));
	if (s.active && s.level && !s.masked)
		went_wrong("an interrupt is lost");
	else if (s.active != (vd->irq_type == VFIO_PCI_INTX_IRQ_INDEX))
		went_wrong("the type and the word differ");
	else if (!w.old_chip && w.hw_disabled != !!(word & (INTX_HW | INTX_DISABLED)))
		went_wrong("DisINTx of the hardware is not what it should be");
	else if (!is_result(result_of(&s)))
		went_wrong("a result that the kernel cannot come to");
}

static int path[512], path_at[512];
static unsigned depth;

static void show(void)
{
	fprintf(stderr, "%s, after", wrong);
	for (unsigned i = 0; i < depth; i++)
		if (!i || path[i] != path[i - 1] || path_at[i] != path_at[i - 1])
			fprintf(stderr, " %d:%s", path[i], op_names[program[path[i]][path_at[i]]]);
	fprintf(stderr, "\nsignals %u %u, word 0x%x, level %d\n", w.signals[FD_A], w.signals[FD_B],
		*plain(&vd->intx.state), w.level);
}

/* Go on from the state that is there, in all ways. */
static void explore(void)
{
	struct state here;
	bool any = false, all = true;

	save(&here);
	if (!is_new(hash(&here)))
		goto out;
	states++;
	for (int t = 0; t < THREADS && !wrong; t++) {
		all &= w.t[t].is == DONE;
		if (!can_run(t))
			continue;
		any = true;
		assert_true(depth < 512);
		path_at[depth] = (int)w.t[t].at;
		path[depth++] = t;
		w.t[t].is = RUNS;
		self = t;
		intx_model_switch(&scheduler, sp[t]);
		/* who waits for readers waits for those who are in their section still */
		for (int i = 0; i < THREADS; i++)
			if (w.t[i].is == WAITS_READERS)
				w.t[i].on &= w.readers;
		if (!wrong)
			explore();
		if (wrong)
			break;
		depth--;
		bring_back(&here);
	}
	if (!any && !wrong) {
		if (all)
			check_end();
		else
			went_wrong("all wait for ever");
		if (wrong)
			show();
	}
out:
	free(here.bytes);
}

enum start { INACTIVE, ACTIVE, AUTOMASKED, HELD, USER_DISABLED, START_KINDS };

/* Look at all that four threads can come to, which do @a, @b, @c, @d, from @start. */
static void run(enum start start, bool old_chip, const enum op *a, const enum op *b,
		const enum op *c, const enum op *d)
{
	static const unsigned words[] = { 0, INTX_ACTIVE, INTX_ACTIVE | INTX_MASKED,
					  INTX_ACTIVE | INTX_MASKED | INTX_HW,
					  INTX_ACTIVE | INTX_MASKED | INTX_DISABLED };
	const enum op *const ops[THREADS] = { a, b, c, d };
	const uint8_t zero[THREADS] = { 0 };
	struct spec s;

	memset(&w, 0, sizeof(w));
	memset(vd, 0, sizeof(*vd));
	memset(stacks, 0, sizeof(stacks));
	memset(program, 0, sizeof(program));
	power_changes = false;
	for (int t = 0; t < THREADS; t++) {
		for (unsigned i = 0; ops[t][i]; i++) {
			program[t][i] = ops[t][i];
			power_changes |= ops[t][i] >= SLEEP;
		}
		make_thread(t);
		if (!ops[t][0])
			w.t[t].is = DONE;
	}
	vd->pci_2_3 = !old_chip;
	w.old_chip = old_chip;
	vd->irq_type = start ? VFIO_PCI_INTX_IRQ_INDEX : VFIO_PCI_IRQ_NONE;
	*plain(&vd->intx.state) = words[start];
	w.trigger = start ? FD_A : NONE;
	w.level = start == AUTOMASKED;
	w.hw_disabled = !old_chip && start >= HELD;
	/* a state is loaded into a function that is halted */
	w.halted = a[0] >= LOAD_DOWN && a[0] <= LOAD_DISABLED;
	w.inhibit = w.hw_disabled || w.halted;
	w.told = w.level && !w.inhibit;
	if (start == AUTOMASKED) {
		vd->intx.unmask = (struct vfio_virqfd *)&w.event;
		w.event = true;
	}
	s = (struct spec){ .active = start,
			   .masked = start >= AUTOMASKED,
			   .disabled = start == USER_DISABLED,
			   .level = w.level,
			   .halted = w.halted,
			   .event = w.event,
			   .trigger = w.trigger };
	num_results = 0;
	spec_all(&s, zero, zero);
	assert_true(num_results < RESULTS);
	while (num_seen)
		seen[seen_list[--num_seen]] = 0;
	depth = 0;
	wrong = NULL;
	explore();
	if (wrong) {
		fprintf(stderr, "from start %d%s:", start, old_chip ? ", before PCI 2.3" : "");
		for (int t = 0; t < THREADS; t++)
			for (unsigned i = 0; program[t][i]; i++)
				fprintf(stderr, "%s %s", i ? "," : ";", op_names[program[t][i]]);
		fprintf(stderr, "\n");
		fail_msg("%s", wrong);
	}
}

static const enum op nothing[] = { END };
static const enum op config[][3] = { { END }, { DIS_OFF }, { DIS_ON, DIS_OFF } };
static const enum op event[][2] = { { END }, { EVENT } };

/* Steps of the device: another rise needs a line that is up. */
static const enum op *device(int start, unsigned i)
{
	static const enum op ops[][3] = { { RAISE }, { RAISE, FALL }, { FALL, RAISE } };

	return ops[i || start != AUTOMASKED ? i : 2];
}

/* One call of SET_IRQS beside all that others can do. */
static void test_one_call(void **state)
{
	for (int start = 0; start < START_KINDS; start++)
		for (unsigned d = 0; d < 2; d++)
			for (unsigned c = 0; c < ARRAY_SIZE(config); c++)
				for (unsigned e = 0; e < ARRAY_SIZE(event); e++)
					for (enum op o = MASK; o <= EVENT_DROP; o++) {
						const enum op call[] = { o, END };

						run(start, d, device(start, d), call, config[c],
						    event[e]);
					}
	print_message("%lu states, %lu of them ends\n", states, ends);
}

/* Two calls, of one thread, beside the device and one other. */
static void test_two_calls(void **state)
{
	for (int start = 0; start < START_KINDS; start++)
		for (enum op o = MASK; o <= EVENT_DROP; o++)
			for (enum op p = MASK; p <= EVENT_DROP; p++) {
				const enum op calls[] = { o, p, END };

				run(start, false, device(start, 0), calls, nothing, event[1]);
				run(start, true, device(start, 0), calls, config[2], nothing);
			}
	print_message("%lu states, %lu of them ends\n", states, ends);
}

/* Three, beside the device alone: whoever comes late from before meets what is new. */
static void test_three_calls(void **state)
{
	for (int start = 0; start < START_KINDS; start++)
		for (enum op o = MASK; o <= EVENT_DROP; o++)
			for (enum op p = MASK; p <= EVENT_DROP; p++)
				for (enum op q = MASK; q <= EVENT_DROP; q++) {
					const enum op calls[] = { o, p, q, END };

					run(start, false, device(start, 0), calls, nothing,
					    nothing);
				}
	print_message("%lu states, %lu of them ends\n", states, ends);
}

/* Low power: the function sleeps and wakes while its line changes, and one other call is made. */
static void test_low_power(void **state)
{
	static const enum op power[] = { SLEEP, WAKE, END };

	for (int start = 0; start < START_KINDS; start++)
		for (unsigned d = 0; d < 2; d++) {
			run(start, d, device(start, d), nothing, power, event[1]);
			for (enum op o = MASK; o <= EVENT_DROP; o++) {
				const enum op call[] = { o, END };

				run(start, d, device(start, d), call, power, nothing);
			}
		}
	print_message("%lu states, %lu of them ends\n", states, ends);
}

/* The source of a migration that fails: halted, and then it goes on. */
static void test_halted(void **state)
{
	static const enum op halted[] = { HALT, GO_ON, END };

	for (int start = 0; start < START_KINDS; start++)
		for (unsigned d = 0; d < 2; d++) {
			run(start, d, device(start, d), nothing, halted, event[1]);
			for (enum op o = MASK; o <= EVENT_DROP; o++) {
				const enum op call[] = { o, END };

				run(start, d, device(start, d), call, halted, nothing);
			}
		}
	print_message("%lu states, %lu of them ends\n", states, ends);
}

/* The destination: the user sets INTx up before the state comes, or after, and uses it. */
static void test_loaded(void **state)
{
	for (int start = 0; start < START_KINDS; start++)
		for (enum op l = LOAD_DOWN; l <= LOAD_DISABLED; l++)
			for (enum op o = MASK; o <= EVENT_DROP; o++) {
				const enum op moved[] = { l, GO_ON, END };
				const enum op call[] = { o, END };

				run(start, false, moved, call, nothing, event[1]);
				run(start, false, moved, call, config[1], nothing);
				run(start, true, moved, call, config[2], nothing);
				for (enum op p = MASK; p <= EVENT_DROP; p++) {
					const enum op calls[] = { o, p, END };

					run(start, true, moved, calls, nothing, nothing);
				}
			}
	print_message("%lu states, %lu of them ends\n", states, ends);
}

static int setup(void **state)
{
	vd = calloc(1, sizeof(*vd));
	return vd ? 0 : -1;
}

static int teardown(void **state)
{
	free(vd);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_three_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_low_power, setup, teardown),
		cmocka_unit_test_setup_teardown(test_halted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loaded, setup, teardown),
	};

	if (SANITIZED)
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
