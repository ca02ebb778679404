/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault/fault.h: faults that a user has injected into devices, to see what a program makes of them.
 * The layers below the fronts call fault_at() at *points*: where a DMA is made, a register is read,
 * a message is sent. While no fault is meant for a point it costs a load and a branch.
 *
 * The table of faults is a file in the run directory, which all processes of a run map: so "after
 * 100 of them" counts what all of them do. A program without a run has a table of its own, of what
 * the environment says.
 *
 * Every random choice is a function of the seed, the fault, the device, and how many accesses of
 * this device the fault has seen: so the same seed gives the same faults at the same accesses, and
 * what another device or thread does changes nothing.
 *
 * No lock. Any thread, also in a signal handler.
 */
#ifndef FAULT_FAULT_H
#define FAULT_FAULT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Where something can go wrong. */
enum fault_point {
	FAULT_DMA_READ,
	FAULT_DMA_WRITE,
	FAULT_REG_READ,
	FAULT_MSI,
	FAULT_INTX,
	FAULT_MAP,
	FAULT_IRQS,
	FAULT_IOCTL, /* any request to a file of VFIO's */
	FAULT_MODEL, /* of a model's own table */
	FAULT_EVENT, /* an access of a BAR was made: what happens to the device meanwhile */
	FAULT_POINTS
};

enum fault_action {
	FAULT_COUNT, /* nothing: the accesses are counted */
	FAULT_ABORT,
	FAULT_CORRUPT, /* param is a random number, which says how */
	FAULT_DELAY,   /* param: nanoseconds */
	FAULT_DROP,
	FAULT_DUPLICATE,
	FAULT_REORDER,
	FAULT_ONES,
	FAULT_ERRNO, /* err */
	FAULT_SHORT, /* param: so many can be had; 0: half of what is asked for */
	FAULT_VALUE, /* of a model: param, or what the model has without one */
	/* to the device: */
	FAULT_SURPRISE, /* it is pulled out */
	FAULT_REQUEST,	/* the host asks for it */
	FAULT_FLR,	/* the host resets it alone, ... */
	FAULT_BUS,	/* ... or with all of its slot */
	FAULT_CORRECTABLE,
	FAULT_NONFATAL,
	FAULT_FATAL,
	FAULT_DOWN, /* its link, for param ns; 0: for good */
	FAULT_ACTIONS
};

#define FAULT_NO_BAR 0xffu

/* An access that passes a point. What has no meaning there is 0. */
struct fault_where {
	const char *device; /* "0000:01:00.0"; NULL: it is none of a device's */
	uint64_t at, size;  /* IOVA or offset in the BAR, and bytes; of a message its vector */
	unsigned bar;	    /* of a register, or FAULT_NO_BAR */
	const char *reg;    /* the register's name, or NULL */
	/* of a model's fault: its names, and the numbers by which it can be narrowed down */
	const char *model, *name;
	const char *const *key_names;
	const uint64_t *keys;
	unsigned num_keys;
	uint64_t value; /* if the user gives none */
};

/* What is to go wrong. */
struct fault {
	enum fault_action action;
	int err; /* -errno */
	uint64_t param;
};

/* A bit for each point for which there is a fault. */
extern atomic_uint fault_wanted_points;

/* True if fault_at() may find one. */
static inline bool fault_wanted(enum fault_point p)
{
	return __builtin_expect(
		atomic_load_explicit(&fault_wanted_points, memory_order_relaxed) >> p & 1, 0);
}
/*
 * Count the access @w at point @p. True: it is to go wrong, as @out says, and a line says so. To be
 * called once for each access, if fault_wanted().
 */
bool fault_at(enum fault_point p, const struct fault_where *w, struct fault *out);
/*
 * True if something shall happen to @device at a time, whatever it does: *@ns from now, when
 * fault_at() is to be called with FAULT_EVENT and without a BAR.
 */
bool fault_event_due(const char *device, uint64_t *ns);
/* Wait, for FAULT_DELAY. */
void fault_sleep(uint64_t ns);

/* ---- the table ---- */

/* The file in the run directory. */
#define FAULT_FILE "faults"
struct fault_table;

/* Follow the table of the run at @dir, if there is one by now: 0 or -errno. */
int fault_follow(const char *dir);
/*
 * In a program that has devices of its own: follow the table of the run that it is in, by
 * UVFIO_RUN_DIR; else have one for this process alone, of UVFIO_FAULT, specs with a ';' between,
 * and UVFIO_SEED. Only the first call does. 0 or -errno; -EINVAL with a line in the log.
 */
int fault_follow_environment(void);
/* End it again. For tests: no other thread passes a point. */
void fault_stop(void);
#endif
