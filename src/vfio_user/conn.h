/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/conn.h: one socket of vfio-user from one end: whole messages with their descriptors out
 * and in, whatever pieces they come in, and replies for those who wait for them. It is the same for
 * a server and a client, since each side may send commands to the other at any time, and a server's
 * DMA_READ may meet a client's REGION_READ on the way.
 *
 * Nobody has the job of reading: one of the threads that wait for something reads (it has the
 * reader's turn), gives each reply to the one who waits for it, and keeps commands in order for
 * vu_conn_next(). So a message costs a thread no more than its own system calls, and the one that
 * carries out a command can wait for a reply to one of its own meanwhile. What is kept has bounds:
 * a peer that sends on and on is not read any more.
 *
 * Descriptors come with the header's bytes. A stream is read by the kernel up to the end of the
 * write that had descriptors, so where more than one message begins in what was read, they are the
 * last one's that can have any.
 *
 * A message that is malformed (a size below the header's or above what was offered, an unknown
 * type) leaves nothing that could be read behind it: the connection is dead from then on, which
 * every call says. Its socket is shut down at once, so that the peer sees it. But commands that had
 * come before the peer closed it are still to be had.
 *
 * Memory: base/heap.h. The sockets are private. Signals: SIGPIPE never comes.
 *
 * Threads: any number at once, but for new and free.
 * Lock order: vu_conn.send_lock > vu_conn.lock. Both are leaves to all others; nothing of others is
 * called with either held.
 */
#ifndef VFIO_USER_CONN_H
#define VFIO_USER_CONN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vfio_user/wire.h"

/* So many descriptors a message has at most, in either direction: Linux's SCM_MAX_FD */
#define VU_MAX_FDS 253u

/*
 * A message that came. It may point into itself: not to be copied. One of zeros is empty, and needs
 * no end.
 */
struct vu_message {
	struct vu_header header;
	uint8_t *data; /* what is behind the header */
	size_t len;
	/*
	 * the owner's of the message; -1 where they were taken away. They have the numbers that the
	 * kernel gave them: who keeps one makes it private.
	 */
	int *fds;
	unsigned num_fds;
	/* of the connection: */
	int error;		       /* why it cannot be carried out: -ENOMEM, -EINVAL: its fds */
	_Alignas(8) uint8_t small[64]; /* data of a short one */
};
/* Close what descriptors are left in @m, and free the rest. */
void vu_message_fini(struct vu_message *m);
/* Take descriptor @i out of @m, which is the caller's then; -1: there is none. */
int vu_message_take_fd(struct vu_message *m, unsigned i);

struct vu_conn;

/* What this side takes. */
struct vu_conn_limits {
	uint32_t max_data;   /* bytes behind the fixed part of a message: max_data_xfer_size */
	uint32_t max_fds;    /* a message with more is answered by -EINVAL: max_msg_fds */
	unsigned max_queued; /* commands that are kept while nobody takes them, and at most */
			     /* four times max_data behind their headers, and max_fds */
	uint64_t timeout_ns; /* for the peer to take a message out of the socket; 0: for ever */
	bool no_sockets;     /* a message with one is answered by -EINVAL, and nothing keeps it */
};

/**
 * vu_conn_new - make a connection of a socket
 * @fd: a stream socket, the connection's from now on, also if this fails
 * @name: for the log, "nvme0 client 3", copied
 *
 * Return: 0, -ENOMEM or -EMFILE.
 */
int vu_conn_new(int fd, const char *name, const struct vu_conn_limits *limits,
		struct vu_conn **out);
/** vu_conn_free - close it; nobody is inside any more (@c may be NULL) */
void vu_conn_free(struct vu_conn *c);
/** vu_conn_abandon - close it in a forked child: no lock is taken, the memory stays */
void vu_conn_abandon(struct vu_conn *c);
/**
 * vu_conn_kill - let it be dead: who waits in it, or will, gets @error (a negative errno)
 *
 * Only the first one counts. The socket is shut down.
 */
void vu_conn_kill(struct vu_conn *c, int error);
/** vu_conn_error - return 0, or why it is dead: -ECONNRESET: the peer closed it */
int vu_conn_error(struct vu_conn *c);
/**
 * vu_conn_fd - return its socket, to poll for what can be read. Not to be read.
 *
 * What has been read of it already is not seen there: first vu_conn_next() must say -EAGAIN.
 */
int vu_conn_fd(const struct vu_conn *c);
/** vu_conn_last_id - return the id of the last command that was sent */
uint16_t vu_conn_last_id(struct vu_conn *c);
/**
 * vu_conn_set_limits - set what was agreed: what is sent has at most @sends_fds descriptors
 *
 * Before that it is one, as the specification has it.
 */
void vu_conn_set_limits(struct vu_conn *c, const struct vu_conn_limits *limits, uint32_t sends_fds);

#define VU_MAX_IOV 7u
/* What a command's sender says of it, beside its data. */
struct vu_call {
	uint16_t command;
	const struct iovec *iov; /* behind the header */
	unsigned iovcnt;	 /* at most VU_MAX_IOV */
	const int *fds;		 /* the sender's */
	unsigned num_fds;
	uint64_t timeout_ns; /* for the reply; 0: for ever */
	bool can_stop;	     /* vu_conn_stop_begin() may end it; after vu_conn_can_stop() */
	/*
	 * Called once if the reply has not come in @late_ns, before the wait goes on; NULL: nobody
	 * wants to know. With no lock held.
	 */
	void (*late)(void *arg, uint16_t command);
	void *arg;
	uint64_t late_ns;
	bool numbered; /* with this id, which no other command has that waits for its reply */
	uint16_t id;
};
/**
 * vu_conn_call - send a command, and wait for its reply
 * @reply: gets it, the caller's to end; its data may be shorter or longer than expected
 *
 * While it waits it reads for others, too. If the reply does not come in time the connection lives
 * on, and drops that reply.
 *
 * Return: 0; the peer's error as -errno (-EIO: it said an error without a number that is one);
 * -ETIMEDOUT; -ECANCELED: stopped; -EMSGSIZE: more descriptors than the peer takes, or no message
 * is so long; what the kernel says of descriptors that cannot be sent (-EBADF); -ENOMEM or -EINVAL:
 * the reply came, but there was no room for it, or it had too many descriptors; or why it is dead.
 * With an error @reply is empty, but for its header, if it came: else that is of zeros.
 */
int vu_conn_call(struct vu_conn *c, const struct vu_call *call, struct vu_message *reply);
/** vu_conn_can_stop - allow calls that can be stopped. 0, -ENOMEM or -EMFILE */
int vu_conn_can_stop(struct vu_conn *c);
/**
 * vu_conn_stop_begin - end calls before their reply has come, or their time
 * @which: true for those; it looks at its arguments and calls nothing, with a lock held
 *
 * They return -ECANCELED, also those that begin until vu_conn_stop_end(). What they sent is with
 * the peer, whose reply is dropped. One caller at a time.
 */
void vu_conn_stop_begin(struct vu_conn *c, bool (*which)(void *arg, const struct vu_call *call),
			void *arg);
void vu_conn_stop_end(struct vu_conn *c);
/**
 * vu_conn_post - send a command that is not to be answered (VU_FLAG_NO_REPLY)
 *
 * Return: 0; -EMSGSIZE or -EBADF as vu_conn_call(); or why it is dead.
 */
int vu_conn_post(struct vu_conn *c, const struct vu_call *call);
/**
 * vu_conn_next - wait for the next command
 * @timeout_ns: 0: only what has come; UINT64_MAX: for ever
 * @out: gets it, the caller's to end
 *
 * Commands come in the order in which they were sent, each to one thread. One for which there was
 * no memory, or that had too many descriptors, is answered here.
 *
 * Return: 0; -EAGAIN: none has come; or why it is dead.
 */
int vu_conn_next(struct vu_conn *c, uint64_t timeout_ns, struct vu_message *out);
/**
 * vu_conn_reply - answer @to, unless it wants no answer
 * @error: 0, or -errno: then nothing follows the header
 *
 * Return: 0; -EMSGSIZE or -EBADF as vu_conn_call(), and nothing was sent; or why it is dead.
 */
int vu_conn_reply(struct vu_conn *c, const struct vu_header *to, int error, const struct iovec *iov,
		  unsigned iovcnt, const int *fds, unsigned num_fds);
#endif
