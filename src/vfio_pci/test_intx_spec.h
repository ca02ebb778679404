/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/test_intx_spec.h: INTx of Linux 7.3's vfio-pci, for intx_model_test.c: what threads can
 * do, the steps that the kernel makes of it under a lock, one by one, and from these all results
 * that there can be. (vfio-pci does not migrate; of that the spec is: a mask moves, and waits for
 * INTx to be active.)
 */
#ifndef VFIO_PCI_TEST_INTX_SPEC_H
#define VFIO_PCI_TEST_INTX_SPEC_H
#include <errno.h>
#include <string.h>

#include "vfio_pci/internal.h"

enum { THREADS = 4, OPS = 3 };
enum eventfd { NONE, FD_A, FD_B, FDS };

enum op {
	END,
	/* the device */
	RAISE,
	FALL,
	/* SET_IRQS */
	MASK,
	UNMASK,
	SET_A,
	SET_B,
	SET_NONE,
	DISABLE,
	SEND,
	EVENT_SET,
	EVENT_DROP,
	/* config space */
	DIS_ON,
	DIS_OFF,
	/* the loop's thread: somebody wrote the unmask eventfd */
	EVENT,
	/* low power: the mask is held, and the function put into D3hot; and back */
	SLEEP,
	WAKE,
	/*
	 * migration: no interrupts; a state is loaded, which has these masks, and the line up or
	 * not
	 */
	HALT,
	LOAD_DOWN,
	LOAD_FREE,
	LOAD_AUTOMASKED,
	LOAD_MASKED,
	LOAD_DISABLED,
	GO_ON,
};
static const char *const op_names[] = {
	"end",	       "raise",		 "fall",
	"mask",	       "unmask",	 "set A",
	"set B",       "set -1",	 "disable",
	"trigger",     "unmask eventfd", "drop unmask eventfd",
	"DisINTx 1",   "DisINTx 0",	 "event",
	"sleep",       "wake",		 "halt",
	"load down",   "load free",	 "load automasked",
	"load masked", "load DisINTx",	 "go on",
};

/* The line and the masks of a state that is loaded. */
static const struct {
	bool level;
	unsigned saved;
} loads[] = {
	[LOAD_DOWN] = { false, 0 },
	[LOAD_FREE] = { true, 0 },
	[LOAD_AUTOMASKED] = { true, INTX_MASKED },
	[LOAD_MASKED] = { true, INTX_MASKED | INTX_HW },
	[LOAD_DISABLED] = { true, INTX_DISABLED | INTX_MASKED },
};

static enum op program[THREADS][OPS + 1];

struct spec {
	bool active, masked, disabled, level, event;
	bool asleep, halted, held, carried; /* carried: the mask of a state, until it is active */
	enum eventfd trigger;
	unsigned signals[FDS];
	int8_t ret[THREADS][OPS];
};

/* The steps of an operation that are still to do. */
enum rest { NOTHING, IRQ, CHECK, SIGNAL, TAKE_MASK, TAKE_OFF, WAIT, TAKE_POWER };

/* True if the device's line is seen to be up. */
static bool spec_asks(const struct spec *s)
{
	return s->level && !s->asleep && !s->halted;
}

/*
 * The interrupt comes: it is masked, and then, without a lock, looked at once more and signalled.
 */
static enum rest spec_irq(struct spec *s)
{
	if (!s->active || s->masked || !spec_asks(s))
		return NOTHING;
	s->masked = true;
	return CHECK;
}

static enum rest spec_check(const struct spec *s)
{
	return s->active && !s->disabled ? SIGNAL : NOTHING;
}

static enum rest spec_unmask(struct spec *s)
{
	if (!s->active || !s->masked || s->disabled)
		return NOTHING;
	if (spec_asks(s))
		return CHECK; /* and the mask stays */
	s->masked = false;
	return NOTHING;
}

static enum rest spec_trigger(struct spec *s, enum eventfd fd)
{
	bool was = s->active;

	s->trigger = fd;
	s->active = true;
	if (!was)
		s->masked = s->disabled || s->carried;
	s->carried = false;
	return was ? WAIT : s->level ? IRQ : NOTHING;
}

static int spec_op(struct spec *s, enum op op, enum rest *rest)
{
	switch (op) {
	case SET_A:
		*rest = spec_trigger(s, FD_A);
		return 0;
	case SET_B:
		*rest = spec_trigger(s, FD_B);
		return 0;
	case SET_NONE:
		*rest = spec_trigger(s, NONE);
		return 0;
	case DIS_ON: /* what config space says first, then the mask */
		*rest = s->disabled ? NOTHING : TAKE_MASK;
		s->disabled = true;
		return 0;
	case DIS_OFF:
		*rest = s->disabled ? TAKE_OFF : NOTHING;
		s->carried &= !s->disabled;
		s->disabled = false;
		return 0;
	case EVENT:
		if (s->event)
			*rest = spec_unmask(s);
		return 0;
	case SLEEP:
		s->held = s->active && !s->masked;
		s->masked |= s->held;
		*rest = TAKE_POWER;
		return 0;
	case WAKE:
		s->asleep = false;
		*rest = IRQ;
		return 0;
	case HALT:
		s->halted = true;
		return 0;
	case GO_ON:
		s->halted = false;
		*rest = IRQ;
		return 0;
	case LOAD_DOWN:
	case LOAD_FREE:
	case LOAD_AUTOMASKED:
	case LOAD_MASKED:
	case LOAD_DISABLED:
		s->level = loads[op].level;
		s->disabled = loads[op].saved & INTX_DISABLED;
		s->masked = s->active && loads[op].saved & INTX_MASKED;
		s->carried = !s->active && loads[op].saved & INTX_MASKED;
		return 0;
	default:
		break;
	}
	if (!s->active)
		return -EINVAL;
	switch (op) {
	case MASK:
		s->masked = true;
		break;
	case UNMASK:
		*rest = spec_unmask(s);
		break;
	case DISABLE:
		s->active = s->event = false;
		s->trigger = NONE;
		break;
	case SEND:
		*rest = spec_check(s);
		break;
	case EVENT_SET:
		if (s->event)
			return -EBUSY;
		s->event = true;
		break;
	default:
		s->event = false;
	}
	return 0;
}

/* A result, as a number: what the spec and the implementation are compared by. */
static uint64_t result_of(const struct spec *s)
{
	uint64_t r = s->active | s->disabled << 1 | s->level << 2 | (s->active && s->masked) << 3 |
		     s->event << 4 | (unsigned)s->trigger << 5 | s->carried << 7;

	for (int f = FD_A; f < FDS; f++)
		r = r << 4 | s->signals[f];
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < OPS; i++)
			r = r << 2 | (s->ret[t][i] == -EINVAL ? 1 : s->ret[t][i] == -EBUSY ? 2 : 0);
	return r;
}

enum { RESULTS = 4096 };
static uint64_t results[RESULTS];
static unsigned num_results;

static bool is_result(uint64_t r)
{
	for (unsigned i = 0; i < num_results; i++)
		if (results[i] == r)
			return true;
	return false;
}

/* True if the device's interrupt is between its mask and its signal: free_irq() waits for it. */
static bool in_handler(const uint8_t at[THREADS], const uint8_t rest[THREADS])
{
	for (int t = 0; t < THREADS; t++) {
		enum op op = program[t][at[t]];

		if ((op == RAISE || op == WAKE || op == GO_ON) &&
		    (rest[t] == CHECK || rest[t] == SIGNAL))
			return true;
	}
	return false;
}

/*
 * Find all results that there can be. at[t]: the thread's operation; rest[t]: what is to do of it,
 * if it has begun.
 */
static void spec_all(const struct spec *s, const uint8_t at[THREADS], const uint8_t rest[THREADS])
{
	bool end = true;

	for (int t = 0; t < THREADS; t++) {
		enum op op = program[t][at[t]];
		uint8_t next_at[THREADS], next_rest[THREADS];
		struct spec next = *s;
		enum rest r = NOTHING;

		if (!op)
			continue;
		end = false;
		if ((rest[t] == WAIT || op == DISABLE) && in_handler(at, rest))
			continue;
		if (rest[t] == IRQ) {
			r = spec_irq(&next);
		} else if (rest[t] == CHECK) {
			r = spec_check(&next);
		} else if (rest[t] == TAKE_MASK) {
			next.masked = true;
		} else if (rest[t] == TAKE_OFF) {
			r = spec_unmask(&next);
		} else if (rest[t] == TAKE_POWER) {
			next.asleep = true;
		} else if (rest[t] == WAIT) {
			r = NOTHING;
		} else if (rest[t] == SIGNAL) {
			next.signals[next.trigger] += !!next.trigger;
		} else if (op == RAISE || op == FALL) {
			r = op == RAISE && !s->level ? IRQ : NOTHING;
			next.level = op == RAISE;
		} else {
			next.ret[t][at[t]] = (int8_t)spec_op(&next, op, &r);
		}
		/* awake, it is let go, if low power had masked it */
		if (op == WAKE && r == NOTHING && next.held) {
			next.held = false;
			r = TAKE_OFF;
		}
		memcpy(next_at, at, sizeof(next_at));
		memcpy(next_rest, rest, sizeof(next_rest));
		next_at[t] += r == NOTHING;
		next_rest[t] = (uint8_t)r;
		spec_all(&next, next_at, next_rest);
	}
	if (end && !is_result(result_of(s)) && num_results < RESULTS)
		results[num_results++] = result_of(s);
}
#endif
