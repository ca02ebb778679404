/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault/table.h: the table of faults, for who makes it: `uvfio run`, its control, tests. A fault is
 * added and never taken away, so that a point needs no lock.
 *
 * A process that maps the table may write over it: who reads it for a user believes no number.
 */
#ifndef FAULT_TABLE_H
#define FAULT_TABLE_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fault/fault.h"

#define FAULT_MAGIC   0x75766669666c3031ull /* "uvfifl01" */
#define FAULT_SLOTS   64u
#define FAULT_DEVICES 64u
#define FAULT_TEXT    192u
#define FAULT_NAME    32u
#define FAULT_KEYS    4u

/* A fault as the user described it. Numbers are those of spec.c. */
struct fault_spec {
	char text[FAULT_TEXT];
	uint32_t points; /* a bit each */
	uint32_t action; /* enum fault_action */
	int32_t err;
	uint64_t param;
	char device[FAULT_NAME]; /* or "": any */
	char reg[FAULT_NAME];	 /* or "": any */
	uint64_t from, to;	 /* addresses, or vectors: of which an access has one */
	uint32_t bar;		 /* or FAULT_NO_BAR: any */
	/* of a model's fault: */
	char model[FAULT_NAME], name[FAULT_NAME];
	uint32_t has_value; /* param */
	uint32_t num_keys;
	struct fault_key {
		char name[FAULT_NAME];
		uint64_t from, to;
	} key[FAULT_KEYS];
	/* when: */
	uint64_t after, every, times; /* times 0: without end */
	uint64_t rate;		      /* of 2^32; 2^32: always */
	uint64_t at_ns;		      /* from its beginning on */
};

/* What a fault saw of a device, and did. */
struct fault_count {
	atomic_ullong seen, fired;
};

struct fault_slot {
	atomic_uint ready;
	uint64_t since; /* CLOCK_MONOTONIC, ns */
	struct fault_spec spec;
	struct fault_count of[FAULT_DEVICES];
};

struct fault_table {
	uint64_t magic, size, seed;
	atomic_uint num; /* slots that were taken, ready or not */
	/* names; a slot's counts are in the same order. The first one is "": of no device */
	struct {
		atomic_uint state;
		char name[FAULT_NAME];
	} device[FAULT_DEVICES];
	struct fault_slot slot[FAULT_SLOTS];
};

/*
 * Read the spec @text. 0, or -EINVAL with a sentence in @why (@size bytes).
 */
int fault_parse(const char *text, struct fault_spec *out, char *why, size_t size);
/* Have @spec mean the device @name alone. 0, or -EINVAL with a sentence. */
int fault_parse_device(struct fault_spec *spec, const char *name, char *why, size_t size);
/* Write what can be said, for people. */
void fault_print_help(FILE *f);

/*
 * Read a seed; NULL or "": have one that is not foreseen. 0 or -EINVAL.
 */
int fault_seed(const char *text, uint64_t *seed);

/* Map the table of the run at @dir. NULL: *@err is -errno; -ENOENT: it has none. */
struct fault_table *fault_table_map(const char *dir, int *err);
/* The same, or make it with @seed. NULL: *@err is -errno. */
struct fault_table *fault_table_open(const char *dir, uint64_t seed, int *err);
void fault_table_close(struct fault_table *t);
/* Add a fault: 0 or -ENOSPC. */
int fault_table_add(struct fault_table *t, const struct fault_spec *spec);
/* Have this process follow @t, which stays. */
void fault_follow_table(struct fault_table *t);
/*
 * Say at the end of a run what became of each fault, a line each, by @say; the seed comes first.
 */
void fault_table_tell(const struct fault_table *t, void (*say)(void *arg, const char *line),
		      void *arg);
/* The same as lines of JSON, one for each fault and device. */
void fault_table_write_json(const struct fault_table *t, FILE *f);
#endif
