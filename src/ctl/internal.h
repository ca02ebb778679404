/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/internal.h: the server from the inside. One thread does everything, by poll(): nothing here
 * has a lock. What takes time is a struct that waits: a question until all agents answered it, a
 * request until it can be answered, a removal until nobody has the device any more.
 */
#ifndef CTL_INTERNAL_H
#define CTL_INTERNAL_H
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <urcu/list.h>

#include "base/json.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/util.h"
#include "ctl/ctl.h"
#include "ctl/packet.h"
#include "machine/run/run.h"

#define CLIENTS_MAX 32u	       /* more are told so */
#define AGENTS_MAX  256u       /* more are not asked */
#define OUT_MAX	    (1u << 22) /* bytes that a client leaves unread */
/* A process that does not answer so soon is stopped, or its machine is busy. */
#define ANSWER_NS 3000000000ull

struct agent {
	int fd; /* -1: free */
	pid_t pid;
	uint32_t id; /* no other has, or had */
	bool asks;   /* it is none, and has agents asked something (relay.c) */
};

struct client {
	int fd; /* -1: free */
	char in[CTL_LINE_MAX + 1];
	size_t in_len;
	char *out; /* what could not be written so far */
	size_t out_len;
	bool closing;		 /* when @out is written */
	bool eof;		 /* it sends no more; the same, and what it asked is answered */
	struct request *request; /* that is being served; the next line waits */
};

/* Something that all agents are asked. */
struct question {
	struct cds_list_head node;
	uint32_t seq;
	uint64_t deadline;			    /* CLOCK_MONOTONIC */
	unsigned waiting;			    /* for so many */
	bool asked[AGENTS_MAX], failed[AGENTS_MAX]; /* who still has to answer, and who did not */
	/* An agent says something; CTL_DONE is its last. May be NULL. */
	void (*hear)(struct question *q, struct agent *a, const struct ctl_packet *p);
	/* All have answered, or could not. Frees it, if it was allocated. */
	void (*done)(struct question *q);
	void *arg;
};

struct ctl_server {
	char run_dir[PATH_MAX], program[64];
	int clients_fd, agents_fd; /* that listen */
	int stop_fd;		   /* an eventfd */
	int host_fd;		   /* events of the host's devices, or -1 */
	atomic_int release_fd;	   /* an eventfd of who holds devices, or -1 */
	pthread_t thread;
	bool started;
	const struct ctl_local *local; /* who answers instead of agents, or NULL */
	void *local_arg;
	uint32_t next_seq, next_agent;
	struct agent agents[AGENTS_MAX];
	struct client clients[CLIENTS_MAX];
	struct cds_list_head questions, requests, removals;
	bool released; /* an agent said so since the last look */
	bool over;     /* it is being freed: nothing is begun any more */
};

/* A request of a client. */
struct request {
	struct cds_list_head node;
	struct ctl_server *s;
	struct client *client; /* NULL: it went away */
	const struct request_kind *kind;
	struct json nodes[CTL_NODES];
	char text[CTL_LINE_MAX + 1]; /* that @nodes point into */
	char addr[PCI_ADDRESS_TEXT]; /* request_device() */
	struct question question;
	FILE *out; /* the answer so far */
	char *answer;
	size_t answer_len;
	void *data;	    /* the kind's own */
	int value;	    /* the same */
	uint64_t seed;	    /* of a fault */
	uint64_t try_until; /* local.c: it is tried again, until then; 0: it is not */
};

/* ---- server.c ---- */

/* Ask all agents @p; @q->hear and @q->done are called later, or @q->done at once. */
void server_ask(struct ctl_server *s, struct question *q, struct ctl_packet *p);
/* Send a line to a client, which may be gone (NULL). */
void server_say(struct client *c, const char *line, size_t len);

/* ---- relay.c ---- */

/* Ask all agents what @p, of the one at @i, says, and tell the answer. */
void relay_begin(struct ctl_server *s, unsigned i, const struct ctl_packet *p);

/* ---- local.c ---- */

/* Serve @r, the request @name, if the devices are of this process alone; false: they are not. */
bool local_begin(struct request *r, const char *name);
/* Try again what could not be done. Return when to come again, CLOCK_MONOTONIC. */
uint64_t local_tick(struct ctl_server *s);

/* ---- requests.c ---- */

/* Serve a line of @c, @len bytes without the break. */
void request_begin(struct ctl_server *s, struct client *c, const char *line, size_t len);
/* The client of @r went away. */
void request_abandon(struct request *r);
/* Answer and free it: with what was written to r->out, or with an error. */
void request_end(struct request *r);
void request_fail(struct request *r, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Return the address of the device that a request is about; NULL: it was answered, and is freed. */
const char *request_device(struct request *r);

/* True if the run shows the device; else it was answered so. */
bool request_finds_device(struct request *r);
/* True if it waits for a removal. */
bool request_waits(const struct request *r);
/* Return the name of a process, in @name, or "". */
const char *process_name(pid_t pid, char name[64]);

/* ---- list.c ---- */
void request_list(struct request *r);

/* ---- show.c ---- */
void request_show(struct request *r);
/* Answer with what the process @pid says of the device, in lines. */
void request_answer_lines(struct request *r, pid_t pid, const char *lines);

/* ---- changes.c ---- */
void request_aer(struct request *r);
void request_link(struct request *r);
void request_plug(struct request *r);
void request_sriov(struct request *r);

/* ---- faults.c ---- */
void request_fault(struct request *r);

/* ---- removal.c ---- */
void request_unplug(struct request *r);
/* The client of @r, which waits for a removal, went away. */
void removal_abandon(struct request *r);
/* Do what is due, or became possible. Return when to come again, CLOCK_MONOTONIC. */
uint64_t removal_tick(struct ctl_server *s, bool released);
void removal_free_all(struct ctl_server *s);
#endif
