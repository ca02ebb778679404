/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/event.h: what a listener above wants to know of that is no message: the checker (check/)
 * says of a mistake where in the program its beginning was, and a trace (trace/) has all of it. An
 * event that nobody listens to costs a load and a branch.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_SPACE,   /* @space is new, with nothing mapped */
	EVENT_MAP,     /* [@at, @at + @size) is mapped to @mem */
	EVENT_UNMAP,   /* what was mapped there is not any more */
	EVENT_STORE,   /* the driver's store to register @reg, at @at of @bar, of device @who */
	EVENT_DEVICE,  /* @who is new, of model @text; @data: its struct uvfio_reg, @mem: config */
	EVENT_ATTACH,  /* @who reaches the memory of @space; NULL: none */
	EVENT_ACCESS,  /* the driver's access to region @bar at @at; @what: by a mapping */
	EVENT_DMA,     /* of @who at @at; @data: what was transferred, or NULL: the model does it */
	EVENT_IRQ,     /* @what (enum event_irq) of vector @at */
	EVENT_RESET,   /* of @who; @what: enum uvfio_reset_kind */
	EVENT_CALL,    /* ioctl @at of file @who, of kind @what; @mem: the client's argument */
	EVENT_RETURN,  /* it returned @value */
	EVENT_BEGIN,   /* of command @at of queue @bar at @what: @text, with @value and @size */
	EVENT_END,     /* of command @at of queue @bar, with status @value */
	EVENT_READING, /* @who is about to read [@mem, @mem + @size), at @at of @space */
	/* the program did @reg to @who here, which may turn out to be a mistake later */
	EVENT_PLACE,
	EVENT_TAKEN, /* @who has orders (descriptors, lists) at @at, until it gives them back */
	EVENT_TAKEN_DATA, /* the same of data */
	EVENT_KINDS
};

enum event_irq {
	EVENT_RAISED,	 /* the device asked for it: a message, or the line went up */
	EVENT_LOWERED,	 /* the line went down */
	EVENT_PENDING,	 /* a message waits, since the vector is masked */
	EVENT_NOBODY,	 /* it is lost: interrupts of this kind are off, or there is no eventfd */
	EVENT_SIGNALLED, /* the eventfd was written */
	EVENT_MASKED,
	EVENT_UNMASKED,
};

struct event {
	enum event_kind kind;
	bool write;
	unsigned what;
	const void *space; /* an I/O address space; to be compared only */
	uint64_t at, size;
	const void *mem;
	const char *who;
	unsigned bar;
	int err; /* 0 or -errno, or of a DMA enum iommu_fault_reason */
	uint64_t value;
	const char *reg; /* or NULL */
	const void *data;
	const char *text;
	/* of TAKEN: one who listens puts a number there, which is struct report_about's @moment */
	uint64_t *moment;
};

/*
 * Called where it happens, maybe in a signal handler and with any lock held: no malloc, no lock.
 */
typedef void event_fn(const struct event *e);
/* The kinds that somebody listens to: a bit each. */
extern atomic_uint event_kinds;

static inline bool event_wanted(enum event_kind kind)
{
	return __builtin_expect(
		atomic_load_explicit(&event_kinds, memory_order_acquire) >> kind & 1, 0);
}

/* Tell all who listen. */
void event_tell(const struct event *e);
/* Tell them of an event with these members, if there are any. */
#define EVENT(k, ...)                                                            \
	do {                                                                     \
		if (event_wanted(k))                                             \
			event_tell(&(struct event){ .kind = (k), __VA_ARGS__ }); \
	} while (0)

/* Have @fn told of @kinds. False: there are too many listeners already. Not at the same time. */
bool event_listen(event_fn *fn, unsigned kinds);
/* Only while nothing happens. */
void event_unlisten(event_fn *fn);

/* Tell who listens that the program did @what (a constant, "opened") to @who here. */
static inline void event_place(const char *what, const char *who)
{
	EVENT(EVENT_PLACE, .who = who, .reg = what);
}
#endif
