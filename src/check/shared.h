/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check/shared.h: what the processes of a run write and `uvfio run` reads: a file in the run
 * directory that all of them map. A process may end at any instruction, and a program may write
 * over it: so no writer waits for another, and the reader believes nothing that it reads.
 *
 * A slot goes FREE -> WRITING -> READY (by its writer) -> FREE (by the reader). One that stays
 * WRITING, since its process is gone, is lost, and counted at the end.
 */
#ifndef CHECK_SHARED_H
#define CHECK_SHARED_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "check/check.h"

#define CHECK_MAGIC	0x75766669636b3031ull /* "uvfick01" */
#define CHECK_SLOTS	128u
#define CHECK_SEEN	4096u /* different mistakes that are told apart */
#define CHECK_MODULES	256u
#define CHECK_FRAMES	32u
#define CHECK_PARTS	4u
#define CHECK_NO_MODULE 0xffffu

struct check_stack {
	uint32_t n;
	uint32_t exact; /* as in struct backtrace */
	uint64_t pc[CHECK_FRAMES];
	uint16_t module[CHECK_FRAMES]; /* index, or CHECK_NO_MODULE */
};

/* Another place in the program that a report names. */
enum check_role {
	CHECK_STARTED, /* the store that started what the device does */
	CHECK_BELOW,   /* the nearest mapping below was made here */
	CHECK_ABOVE,
	CHECK_MAPPED,	/* what is not mapped any more was mapped here ... */
	CHECK_UNMAPPED, /* ... and unmapped here */
	CHECK_PLACE,	/* what @reg says was done here, and was the mistake */
	CHECK_GAVE,	/* the device got it here */
	CHECK_ROLES
};
struct check_part {
	uint32_t role; /* enum check_role */
	int32_t tid;
	uint64_t at, size; /* the mapping */
	uint64_t age_ns;   /* how long before the report */
	uint64_t value;	   /* of a store; @at is its offset */
	uint32_t bar;
	char call[32]; /* the program's call that it was in */
	char reg[64];  /* of a store: the register's name; of a place: what was done */
	struct check_stack stack;
};

struct check_record {
	uint64_t seq;  /* in which order they came */
	uint64_t time; /* CLOCK_REALTIME, ns */
	int32_t pid, tid;
	uint32_t seen; /* index in @seen of struct check_shared */
	uint32_t kind; /* index in the table of kinds, or CHECK_PROTO */
	int32_t err;
	uint32_t access; /* enum report_access */
	uint32_t bar;
	uint32_t write;
	uint64_t at, size, value;
	uint64_t below, below_size, above, above_size;
	uint64_t meant;	    /* the IOVA of the memory whose virtual address it is ... */
	uint32_t has_meant; /* ... if there is one */
	uint32_t parts;
	char thread[16];
	char device[64];
	char call[32]; /* the program's call, empty: it was on a thread of uvfio's */
	char reg[64];
	char text[512];
	/* of a kind of a model's: what is in the table for others */
	char kind_name[CHECK_RULE_NAME];
	char fix[320];
	struct check_stack stack;
	struct check_part part[CHECK_PARTS];
};

enum { CHECK_FREE, CHECK_WRITING, CHECK_READY };
struct check_slot {
	atomic_uint state;
	atomic_uint passed; /* with @shown: the user does not want to see it; nobody stops for it */
	atomic_uint shown;  /* goes up when it was shown: who stops at the first one waits for it */
	struct check_record r;
};

/* A mistake that was seen; @key is of its kind, device and innermost frames. */
struct check_seen {
	atomic_ullong key; /* 0: free */
	atomic_uint made;  /* its record was, or is being, made */
	atomic_uint count;
};

struct check_module {
	atomic_uint state; /* as a slot's; READY for good */
	uint64_t bias;	   /* address - address in the file */
	uint32_t build_id_len;
	uint8_t build_id[32];
	char path[256];
};

struct check_shared {
	uint64_t magic, size;
	/* set by `uvfio run` before the program starts */
	struct check_wanted wanted;
	uint32_t fatal; /* stop at the first one */
	/* ---- */
	atomic_uint closed; /* nobody reads any more: reports go to the log */
	atomic_uint wake;   /* a futex: goes up with each record */
	atomic_ullong next_seq;
	atomic_ullong lost; /* reports for which there was no room */
	struct check_seen seen[CHECK_SEEN];
	struct check_module module[CHECK_MODULES];
	struct check_slot slot[CHECK_SLOTS];
};
#endif
