/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/client.h: the server that a client under test connects to: a small PCI device, which
 * answers as it should, and looks at all that the client sends. A test changes single answers.
 */
#ifndef CONFORM_CLIENT_H
#define CONFORM_CLIENT_H
#include "conform/internal.h"

#define CL_MAPS 8192u
#define CL_BAR0 0x100000u /* bytes: registers, as edu has them */
#define CL_BAR2 0x4000u	  /* bytes: memory that can be mapped, if the test wants it */
#define CL_FD	8u	  /* descriptors in a message that the server takes */

enum cl_send { CL_WHOLE, CL_BYTES, CL_HALVES, CL_LATE };

struct cl_map {
	uint64_t addr, size;
	uint32_t flags;
};

struct cl {
	struct ct *t;
	struct ct_conn *c;
	/* what the test wants otherwise */
	enum cl_send send;
	const char *json;   /* of the reply to VERSION; NULL: the usual one */
	uint32_t max_xfer;  /* that it says */
	bool no_json, bar2; /* the reply has no JSON; there is BAR2 */
	bool lies;	    /* what the client makes of that is not looked at */
	/*
	 * Change the reply @r to the command @m, or return NULL for none. May send commands.
	 * NULL: all replies are as they should be.
	 */
	struct ct_msg *(*answer)(struct cl *cl, struct ct_msg *m, struct ct_msg *r);
	bool step; /* for @answer's use */
	/* what the client is */
	uint64_t client_xfer, client_fds;
	bool versioned, multi, over;
	unsigned seen[C_LAST + 1], accesses;
	struct cl_map maps[CL_MAPS];
	unsigned nmaps;
	uint8_t config[256];
	uint32_t live;
	int bar2_fd;
	unsigned wrongs;
};

/* Wait for a client, which the command is started for. */
struct cl *cl_new(struct ct *t);
/* Serve it, until it leaves, ends, or has been silent for a while. */
void cl_serve(struct cl *cl);
/* End the client, for the next one of the test. */
void cl_end(struct cl *cl);
/* The client is to have started up, and to have ended well, if it ended. */
void cl_started(struct cl *cl);
/* Note something that the client did wrong: the test fails when it is over, or warns. */
void cl_wrong(struct cl *cl, enum ct_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Send DMA_READ or DMA_WRITE of @count bytes, as it stands; return the message. */
struct ct_msg *cl_dma(struct cl *cl, bool read, uint64_t addr, uint64_t count, const void *data);
/*
 * Take the reply to @m, serving whatever else comes; NULL: the client has left. Its header and the
 * size of its body are looked at.
 */
struct ct_msg *cl_dma_reply(struct cl *cl, struct ct_msg *m);

extern const struct ct_test ct_client_tests[];
#endif
