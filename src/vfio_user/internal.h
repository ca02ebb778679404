/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio_user/internal.h: messages out of a stream of bytes, for the connection. */
#ifndef VFIO_USER_INTERNAL_H
#define VFIO_USER_INTERNAL_H
#include "vfio_user/conn.h"

/*
 * So much is asked of the kernel at the start of a message. What comes with it of the next ones is
 * kept: a peer that posts writes has many of them read by one call.
 */
#define VU_WINDOW 2048u
/* The longest fixed part of a message behind the header, with room for what others send there. */
#define VU_FIXED 64u

/* What came and is not a whole message yet. It is used by one thread at a time. */
struct vu_stream {
	int fd;
	const char *name;	  /* for the log */
	uint64_t recv_timeout_ns; /* that the socket has (SO_RCVTIMEO) */

	struct vu_message msg; /* the one that is being read */
	bool begun;	       /* its header is known */
	bool whole;	       /* and it is all there */
	bool skipping;	       /* there is no memory for its data */
	size_t got;	       /* of its data */

	/* bytes behind it: [start, end) of the window; a partial header may need more */
	unsigned start, end;
	uint8_t window[VU_WINDOW + sizeof(struct vu_header)];

	/*
	 * Descriptors that came with these bytes, for the message whose header is at fds_at. While
	 * it is not known which one that is (undecided), since a header is not complete that came
	 * with them, nothing is taken out of the window.
	 */
	int *fds;
	unsigned num_fds, fds_at;
	int fds_error; /* some are missing */
	bool have_fds, fds_found, undecided;
};

/* Begin with @fd, which stays the caller's. */
void vu_stream_init(struct vu_stream *s, int fd, const char *name);
/* Close and free what is there. */
void vu_stream_fini(struct vu_stream *s);

/* Until when to wait: a time of now_ns(). */
struct vu_until {
	uint64_t deadline;   /* 0: do not wait; UINT64_MAX: for ever */
	uint64_t timeout_ns; /* if the wait begins now: how long that is; 0: it began before */
	int wake_fd;	     /* an eventfd that ends it; 0: none */
};
/*
 * Read until s->msg is whole, at most what @limits allow. 0; -EAGAIN: it did not come in time, the
 * peer may send the rest later; -ECANCELED: by the wake_fd; -EPROTO: malformed, and reported;
 * -ECONNRESET: the peer closed it; or another error of the socket.
 */
int vu_stream_read(struct vu_stream *s, const struct vu_conn_limits *limits, struct vu_until *u);
/* True if there is a part of a message. */
static inline bool vu_stream_is_amid(const struct vu_stream *s)
{
	return s->begun || s->end > s->start;
}
/* Move the message that is whole to @to; the next one may be read. */
void vu_stream_take(struct vu_stream *s, struct vu_message *to);
/* Move @from, which is empty then, to @to. */
void vu_message_move(struct vu_message *to, struct vu_message *from);

/* Wait for @events of @fd: those that came; 0: not in time; -errno. */
int vu_poll(int fd, short events, uint64_t timeout_ns);
#endif
