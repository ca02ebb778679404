/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/internal.h: what tests are written with. A test is a function that sends and takes
 * messages; the first thing that is wrong ends it, by a jump out of whatever helper saw it
 * (ct_fail, ct_skip). So what a test holds (connections, descriptors, memory) is noted with it, and
 * given back when it is over. One thread; a test that waits does so by poll, up to a deadline.
 */
#ifndef CONFORM_INTERNAL_H
#define CONFORM_INTERNAL_H
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "conform/conform.h"
#include "conform/wire.h"

#define CT_FDS	   64u /* in one message */
#define CT_CONNS   64u
#define CT_LOG	   10u
#define CT_SHOWN   80u /* bytes of a message that are kept for the log */
#define CT_REGIONS 32u
#define CT_IRQS	   16u

/*
 * Whom the specification binds: MUST, it says so, or nothing works without; SHOULD, it recommends,
 * or a careful implementation does; PRACTICE, it is silent, ambiguous or contradicts what all
 * programs do, and the sentence says which one the test follows. Only the first fails.
 */
enum ct_level { MUST, SHOULD, PRACTICE };
enum ct_result { CT_OK, CT_FAILED, CT_WARNED, CT_SKIPPED };

struct ct;
struct ct_test {
	const char *name;
	enum ct_level level;
	const char *section; /* of the specification */
	const char *sentence;
	void (*run)(struct ct *t);
};

struct ct_region {
	bool known;
	uint32_t flags;
	uint64_t size;
};

struct ct_irq {
	bool known;
	uint32_t flags, count;
};

/* What the first test learned of the device; the other tests choose by it what they can do. */
struct ct_device {
	bool known; /* GET_INFO was answered */
	uint32_t flags, num_regions, num_irqs;
	struct ct_region region[CT_REGIONS];
	struct ct_irq irq[CT_IRQS];
	uint16_t major, minor; /* of the reply to VERSION */
	char json[1024];
	uint64_t max_msg_fds, max_xfer, max_dma_maps, pgsizes;
	bool write_multiple, twin_socket;
	bool config_known;
	uint8_t config[256];
	bool migration, state, log_start, log_report, dma; /* answers to PROBE; DMA_MAP works */
	uint64_t migration_flags;
};

/* A message, with its header; it belongs to its test. */
struct ct_msg {
	struct ct *t;
	uint8_t *data;
	size_t size, room;
	int fds[CT_FDS];
	unsigned nfds;
	bool size_given; /* the size in the header is as the test wants it */
};

struct ct_conn {
	struct ct *t;
	int fd, id;
	uint16_t next_id;
	bool closed;		  /* the peer closed it */
	struct ct_msg *part;	  /* a message of which some has come */
	struct ct_msg *queue[64]; /* those that have come whole */
	unsigned queued;
	/* Answer a command of the peer's that comes before a reply does. NULL: none may come */
	void (*on_command)(struct ct_conn *c, struct ct_msg *m, void *arg);
	void *arg;
};

/* A piece of memory that a test has. */
struct ct_piece {
	struct ct_piece *next;
	max_align_t bytes[];
};

struct ct_logged {
	bool sent;
	int conn;
	uint8_t bytes[CT_SHOWN];
	size_t size; /* of the whole */
	unsigned nfds;
	char note[96];
};

/* A run of the suite. */
struct ct_run {
	const struct conform_options *o;
	struct ct_device device;
	pid_t pid;    /* of the command, or 0 */
	int died;     /* the signal that killed it in the test at hand, or 0 */
	int status;   /* its exit status, when it has ended */
	int output;   /* what the command writes, a memfd */
	int input;    /* the end of a pipe that it reads, which nobody writes */
	int listener; /* of --client */
	char socket[108];
	bool used; /* --once: this server has had its client */
	bool gone; /* the peer is gone, and does not come back */
};

/* A test at work. */
struct ct {
	struct ct_run *run;
	const struct ct_test *test;
	const struct ct_device *device;
	enum ct_result result;
	bool broken; /* a MUST was, though the test went on */
	char *why;   /* text for the user, for a failure, a warning or a skip; may be NULL */
	char *notes;
	double seconds;
	jmp_buf out;
	struct ct_piece *memory;
	int *fds;
	unsigned nfds;
	struct ct_conn *conns[CT_CONNS];
	unsigned nconns;
	struct ct_logged log[CT_LOG];
	unsigned logged;
};

/* ---- run.c ---- */
void ct_fail(struct ct *t, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
void ct_skip(struct ct *t, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
/* The test goes on, but has warned. */
void ct_warn(struct ct *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line that is shown behind the result. */
void ct_note(struct ct *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define ct_check(t, good, ...)                   \
	do {                                     \
		if (!(good))                     \
			ct_fail(t, __VA_ARGS__); \
	} while (0)
/* Return zeroed memory that lives as long as the test. */
void *ct_alloc(struct ct *t, size_t size);
/* Return @fd, which is closed when the test is over; a negative one fails the test. */
int ct_hold(struct ct *t, int fd);
/* Return a new eventfd, or a memfd of @size bytes, held. */
int ct_eventfd(struct ct *t);
int ct_memfd(struct ct *t, uint64_t size);
double ct_now(void);
/* Run @test into @t, whatever it does; ct_forget() gives back what @t has. */
void ct_run_one(struct ct *t, struct ct_run *run, const struct ct_test *test);
void ct_forget(struct ct *t);

/* ---- message.c ---- */
/* Return a command with its header, the next id of @c, and no body. */
struct ct_msg *ct_command(struct ct_conn *c, uint16_t cmd);
void ct_add(struct ct_msg *m, const void *bytes, size_t len);
void ct_add_zeros(struct ct_msg *m, size_t len);
void ct_add16(struct ct_msg *m, uint16_t v);
void ct_add32(struct ct_msg *m, uint32_t v);
void ct_add64(struct ct_msg *m, uint64_t v);
void ct_add_fd(struct ct_msg *m, int fd);
void ct_set_flags(struct ct_msg *m, uint32_t flags);
/* What the header is to say of the size, right or wrong. */
void ct_set_size(struct ct_msg *m, uint32_t size);
uint64_t ct_get64(const uint8_t *p);
/* Of a message: its header, and numbers of its body at @off. */
uint32_t ct_flags(const struct ct_msg *m);
uint16_t ct_cmd(const struct ct_msg *m);
uint32_t ct_error(const struct ct_msg *m);
uint32_t ct_body32(const struct ct_msg *m, size_t off);
uint64_t ct_body64(const struct ct_msg *m, size_t off);
/* Return a new command with the body of each kind. */
struct ct_msg *ct_version(struct ct_conn *c, uint16_t major, uint16_t minor, const char *json);
struct ct_msg *ct_get_info(struct ct_conn *c);
struct ct_msg *ct_region_info(struct ct_conn *c, uint32_t index, uint32_t argsz);
struct ct_msg *ct_irq_info(struct ct_conn *c, uint32_t index);
struct ct_msg *ct_set_irqs(struct ct_conn *c, uint32_t flags, uint32_t index, uint32_t start,
			   uint32_t count);
struct ct_msg *ct_region_read(struct ct_conn *c, uint32_t region, uint64_t off, uint32_t count);
struct ct_msg *ct_region_write(struct ct_conn *c, uint32_t region, uint64_t off, const void *data,
			       uint32_t count);
struct ct_msg *ct_dma_map(struct ct_conn *c, uint32_t flags, uint64_t off, uint64_t addr,
			  uint64_t size, int fd);
struct ct_msg *ct_dma_unmap(struct ct_conn *c, uint32_t flags, uint64_t addr, uint64_t size);
struct ct_msg *ct_feature(struct ct_conn *c, uint32_t flags, uint32_t argsz);

/* ---- conn.c ---- */
/* Connect to the server; with the command, it is started when it is not there. */
struct ct_conn *ct_connect(struct ct *t);
/* The same, and agree on a version, with the capabilities that a monitor sends. */
struct ct_conn *ct_session(struct ct *t);
struct ct_conn *ct_session_with(struct ct *t, uint16_t minor, const char *json);
/* Make a connection of @fd, which is held. */
struct ct_conn *ct_conn_of(struct ct *t, int fd);
void ct_close(struct ct_conn *c);
/* Send @m whole; a peer that does not take it in time, or has closed, fails the test. */
void ct_send(struct ct_conn *c, struct ct_msg *m);
/* Send bytes [@from, @from + @len) of @m, with its descriptors if @fds. */
void ct_send_part(struct ct_conn *c, struct ct_msg *m, size_t from, size_t len, bool fds);
/* The same, where the peer may have closed: false then. */
bool ct_try_send(struct ct_conn *c, struct ct_msg *m, size_t from, size_t len, bool fds);
enum ct_came { CT_MSG, CT_EOF, CT_NOTHING };
/* Take what comes next, within @ms: a message, the end of the connection, or nothing. */
enum ct_came ct_take(struct ct_conn *c, struct ct_msg **m, unsigned ms);
/* Take the reply to @m, whose header is checked; it may say error. */
struct ct_msg *ct_reply(struct ct_conn *c, const struct ct_msg *m);
/* Take the reply to @m, which must say success and have a body of @size bytes (-1: any). */
struct ct_msg *ct_success(struct ct_conn *c, const struct ct_msg *m, ssize_t size);
/* Send @m, and ct_success(). */
struct ct_msg *ct_call(struct ct_conn *c, struct ct_msg *m, ssize_t size);
/* Send @m, which the server must refuse by an error reply; return the error. The text says what. */
uint32_t ct_refused(struct ct_conn *c, struct ct_msg *m, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Send @m, which breaks the protocol: an error reply or the end of the connection. True: reply. */
bool ct_broken(struct ct_conn *c, struct ct_msg *m, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Check that the server still answers on this connection, and is in step. */
void ct_still_there(struct ct_conn *c);
/*
 * Send @cmd with bodies of 0 to @full - 1 zero bytes, each of which must be refused by an error
 * reply while the connection goes on.
 */
void ct_short_bodies(struct ct *t, uint16_t cmd, unsigned full);
/* Read or write a region, and check that the reply is of this access. */
void ct_read(struct ct_conn *c, uint32_t region, uint64_t off, void *data, uint32_t count);
void ct_write(struct ct_conn *c, uint32_t region, uint64_t off, const void *data, uint32_t count);
uint32_t ct_read32(struct ct_conn *c, uint32_t region, uint64_t off);
void ct_log(struct ct_conn *c, bool sent, const uint8_t *bytes, size_t len, size_t size,
	    unsigned nfds, const char *note);

/* ---- process.c ---- */
/* Start the command, if there is one and it is not running. 0, or -errno. */
int ct_process_start(struct ct_run *run);
/*
 * True if it has ended, within @wait_ms: @run->status is its exit status; if a signal killed it,
 * @run->died is that signal, until whose fault it is has been told.
 */
bool ct_process_ended(struct ct_run *run, int wait_ms);
void ct_process_kill(struct ct_run *run);
/* Write the last lines of what it wrote. */
void ct_process_output(struct ct_run *run, FILE *f, const char *indent);

/* ---- show.c ---- */
const char *ct_cmd_name(uint16_t cmd);
/* Write what a message is, in words and in bytes, each line behind @indent. */
void ct_show(FILE *f, const struct ct_logged *l, const char *indent);

/* ---- report.c ---- */
struct ct_report;
struct ct_report *ct_report_new(const struct conform_options *o, unsigned ntests);
void ct_report_test(struct ct_report *r, struct ct *t);
/* Write the end of the report; return the exit status. */
int ct_report_end(struct ct_report *r);

/* ---- survey.c: the first test, of each server ---- */
void ct_survey(struct ct *t);
void ct_device_show(const struct ct_device *d, FILE *f);
/* Skip the test unless the device has region @index with @size bytes and @flags. */
void ct_need_region(struct ct *t, uint32_t index, uint64_t size, uint32_t flags);
void ct_need_info(struct ct *t);

/* The tests; each table ends with a name of NULL. */
extern const struct ct_test ct_version_tests[], ct_header_tests[], ct_split_tests[],
	ct_info_tests[], ct_region_tests[], ct_irq_tests[], ct_dma_tests[], ct_engine_tests[],
	ct_session_tests[], ct_feature_tests[];
#endif
