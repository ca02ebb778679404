/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/vu_conn.c: a connection of vfio-user whose peer is hostile: whole messages and pieces, with
 * descriptors wherever they come, replies that nobody asked for. What comes out is a message as its
 * header says it, with descriptors that are open; and when the connection is freed, nothing of them
 * is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "fuzz.h"
#include "vfio_user/conn.h"

#define MAX_DATA   5000u
#define MAX_FDS	   4u
#define MAX_QUEUED 3u

static int event_fd;

static void count(int fd, void *arg)
{
	(*(unsigned *)arg)++;
}

static unsigned num_private(void)
{
	unsigned n = 0;

	fd_for_each_private(count, &n)
		;
	return n;
}

/* The lowest number that is free. */
static int lowest(void)
{
	int fd = dup(event_fd);

	close(fd);
	return fd;
}

/* Send for the peer, as far as there is room. */
static void send_some(int peer, const void *buf, size_t len, unsigned num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)buf, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (!len)
		return;
	if (num_fds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		for (unsigned i = 0; i < num_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &event_fd, sizeof(int));
	}
	sendmsg(peer, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void check(const struct vu_message *m)
{
	unsigned sum = 0;

	REQUIRE(m->header.size == sizeof(m->header) + m->len, "%u, %zu", m->header.size, m->len);
	REQUIRE(m->num_fds <= MAX_FDS, "%u descriptors", m->num_fds);
	for (unsigned i = 0; i < m->num_fds; i++)
		REQUIRE(fcntl(m->fds[i], F_GETFD) == FD_CLOEXEC, "descriptor %u", i);
	for (size_t i = 0; i < m->len; i++)
		sum += m->data[i];
	__asm__ volatile("" : : "r"(sum)); /* they were read */
}

static void next(struct vu_conn *c, struct vu_header *last)
{
	struct vu_message m;
	int rc = vu_conn_next(c, 0, &m), fd;

	if (rc) {
		REQUIRE(rc == -EAGAIN || rc == vu_conn_error(c), "%d", rc);
		return;
	}
	REQUIRE((m.header.flags & VU_FLAG_TYPE) == VU_TYPE_COMMAND, "flags 0x%x", m.header.flags);
	check(&m);
	*last = m.header;
	fd = vu_message_take_fd(&m, 1);
	if (fd >= 0)
		close(fd);
	vu_message_fini(&m);
}

/* A command of ours, and what the peer sent as a reply before it heard of it. */
static void call(struct vu_conn *c, int peer, struct in *in, uint16_t id)
{
	uint32_t body = 42;
	struct iovec iov = { &body, sizeof(body) };
	struct vu_call call = { .command = in8(in) & 1 ? VU_DMA_READ : VU_DMA_WRITE,
				.iov = &iov,
				.iovcnt = 1,
				.fds = &event_fd,
				.num_fds = in8(in) & 1,
				.timeout_ns = 1000 };
	struct {
		struct vu_header h;
		uint8_t data[255];
	} r = { .h = { .id = (uint16_t)(in8(in) & 7 ? id : in16(in)),
		       .command = in8(in) & 7 ? call.command : in8(in) } };
	struct vu_message reply;
	uint8_t len = in8(in);
	int rc;

	r.h.flags = VU_TYPE_REPLY | (in8(in) & 0x30);
	r.h.error = in8(in);
	r.h.size = (uint32_t)(sizeof(r.h) + len);
	in_bytes(in, r.data, len);
	send_some(peer, &r, sizeof(r.h) + len, in8(in) % 3);
	rc = vu_conn_call(c, &call, &reply);
	if (!rc) {
		REQUIRE(reply.header.id == id && reply.header.command == call.command, "not ours");
		check(&reply);
	}
	vu_message_fini(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vu_conn_limits limits = { .max_data = MAX_DATA,
					       .max_fds = MAX_FDS,
					       .max_queued = MAX_QUEUED,
					       .timeout_ns = 1000 };
	static uint8_t zeros[60000];
	struct vu_header last = { .command = VU_REGION_READ };
	struct in in = { data, size };
	unsigned private_before, calls = 0;
	int pair[2], low;
	struct vu_conn *c;
	uint8_t buf[512];

	if (!event_fd) {
		log_set(2, LOG_NONE);
		event_fd = eventfd(0, EFD_CLOEXEC);
	}
	low = lowest();
	private_before = num_private();
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "a pair");
	REQUIRE(!vu_conn_new(pair[0], "fuzz", &limits, &c), "a connection");
	while (!in_end(&in)) {
		struct vu_header *h = (struct vu_header *)buf;
		uint8_t how = in8(&in);
		size_t n;

		switch (how & 7) {
		case 0: /* bytes */
			n = in8(&in);
			in_bytes(&in, buf, n);
			send_some(pair[1], buf, n, how >> 6);
			break;
		case 1: /* a whole message, or what should be one, and more or less of it */
		case 2:
			n = in8(&in);
			*h = (struct vu_header){ .id = in8(&in),
						 .command = in8(&in) % 20,
						 .flags = in8(&in) & 0x31,
						 .size = (uint32_t)(16 + n) };
			if (how & 8)
				h->size += in8(&in);
			in_bytes(&in, buf + 16, n);
			if (how & 16) {
				send_some(pair[1], buf, 1 + n % 16, how >> 6);
				next(c, &last);
				send_some(pair[1], buf + 1 + n % 16, 15 + n - n % 16, how >> 5 & 1);
			} else {
				send_some(pair[1], buf, 16 + n, how >> 5);
			}
			break;
		case 3: /* many bytes */
			n = in16(&in) % sizeof(zeros);
			send_some(pair[1], zeros, n, how >> 6);
			break;
		case 4:
			if (calls++ < 3)
				call(c, pair[1], &in, (uint16_t)calls);
			break;
		case 5:
			vu_conn_reply(c, &last, how & 8 ? -EINVAL : 0,
				      &(struct iovec){ buf, how >> 4 }, 1, &event_fd, how >> 7);
			break;
		case 6: /* the peer reads */
			recv(pair[1], buf, sizeof(buf), MSG_DONTWAIT);
			break;
		default:
			next(c, &last);
			if (how == 0xff)
				shutdown(pair[1], SHUT_WR);
		}
	}
	for (unsigned i = 0; i < 8; i++)
		next(c, &last);
	vu_conn_free(c);
	close(pair[1]);
	REQUIRE(num_private() == private_before && lowest() == low,
		"descriptors are left: %u of ours, and %d instead of %d", num_private(), lowest(),
		low);
	return 0;
}
