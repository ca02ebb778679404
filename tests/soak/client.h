/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * soak/client.h: a client of vfio-user that has a device for a while: memory, interrupts,
 * registers, DMA, resets. Plain sockets and messages, nothing of uvfio's code but the numbers, so
 * that several can be threads beside the server or processes that are killed. A wrong answer ends
 * the process.
 */
#ifndef SOAK_CLIENT_H
#define SOAK_CLIENT_H
#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "models/testdev/regs.h"
#include "vfio_user/wire.h"

#define PIECES	   16u
#define PIECE	   0x10000u
#define SOAK_IOVA  0x100000ull
#define VECTORS	   4u
#define TIMEOUT_MS 20000
#define CONFIG	   7u

#define MUST(x)                                                                                   \
	do {                                                                                      \
		if (!(x)) {                                                                       \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #x, errno); \
			_exit(1);                                                                 \
		}                                                                                 \
	} while (0)

struct soak_client {
	int fd, mem_fd, event;
	int got; /* -1: it keeps the first descriptor of the next reply that has some */
	uint8_t *mem;
	uint16_t id;
	unsigned seed;
};

static inline unsigned soak_random(struct soak_client *c, unsigned n)
{
	c->seed = c->seed * 1103515245u + 12345u;
	return (c->seed >> 16) % n;
}

static inline void soak_read(struct soak_client *c, void *buf, size_t len)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;

	for (; len; len -= (size_t)n, buf = (char *)buf + n) {
		MUST(poll(&p, 1, TIMEOUT_MS) == 1);
		n = read(c->fd, buf, len);
		MUST(n > 0);
	}
}

/*
 * Make a call with a descriptor or without (-1): what the reply has is at @out, at most @room
 * bytes. Return 0 or its errno. Descriptors of replies are closed, but for one (@c->got).
 */
static inline int soak_call(struct soak_client *c, uint16_t command, const void *data, size_t len,
			    int fd, void *out, size_t room)
{
	struct vu_header h = { .id = ++c->id,
			       .command = command,
			       .size = (uint32_t)(sizeof(h) + len) },
			 r;
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)data, len } };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	struct cmsghdr *cm = (struct cmsghdr *)control;
	static const size_t fds_at = sizeof(int);
	size_t more;
	char skip[64];

	if (fd >= 0) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(fds_at);
		*cm = (struct cmsghdr){ .cmsg_len = CMSG_LEN(fds_at),
					.cmsg_level = SOL_SOCKET,
					.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	}
	MUST(sendmsg(c->fd, &mh, MSG_NOSIGNAL) == (ssize_t)h.size);
	iov[0] = (struct iovec){ &r, sizeof(r) };
	mh = (struct msghdr){ .msg_iov = iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	MUST(poll(&p, 1, TIMEOUT_MS) == 1);
	MUST(recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC | MSG_WAITALL) == sizeof(r));
	for (cm = CMSG_FIRSTHDR(&mh); cm; cm = CMSG_NXTHDR(&mh, cm))
		for (size_t i = 0; i < (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
			if (c->got < 0)
				c->got = ((int *)CMSG_DATA(cm))[i];
			else
				close(((int *)CMSG_DATA(cm))[i]);
	MUST(r.id == h.id && r.command == command && (r.flags & VU_FLAG_TYPE) == VU_TYPE_REPLY);
	MUST(r.size >= sizeof(r));
	more = r.size - sizeof(r);
	len = more < room ? more : room;
	soak_read(c, out, len);
	for (more -= len; more; more -= len) {
		len = more < sizeof(skip) ? more : sizeof(skip);
		soak_read(c, skip, len);
	}
	return r.flags & VU_FLAG_ERROR ? (int)r.error : 0;
}

static inline uint64_t soak_get(struct soak_client *c, uint32_t region, uint64_t offset, uint32_t n)
{
	struct {
		struct vu_region_access a;
		uint64_t v;
	} r = { .a = { offset, region, n } };

	MUST(!soak_call(c, VU_REGION_READ, &r.a, sizeof(r.a), -1, &r, sizeof(r.a) + n));
	return r.v;
}

static inline void soak_put(struct soak_client *c, uint32_t region, uint64_t offset, uint64_t v,
			    uint32_t n)
{
	struct {
		struct vu_region_access a;
		uint64_t v;
	} r = { { offset, region, n }, v };

	MUST(!soak_call(c, VU_REGION_WRITE, &r, sizeof(r.a) + n, -1, NULL, 0));
}

static inline void soak_map(struct soak_client *c, unsigned i)
{
	const struct vu_dma_map m = { .argsz = sizeof(m),
				      .flags = VU_DMA_READABLE | VU_DMA_WRITEABLE,
				      .offset = i * PIECE,
				      .addr = SOAK_IOVA + i * PIECE,
				      .size = PIECE };

	MUST(!soak_call(c, VU_DMA_MAP, &m, sizeof(m), c->mem_fd, NULL, 0));
}

static inline void soak_unmap(struct soak_client *c, unsigned i)
{
	const struct vu_dma_unmap m = { .argsz = sizeof(m),
					.addr = SOAK_IOVA + i * PIECE,
					.size = PIECE };

	MUST(!soak_call(c, VU_DMA_UNMAP, &m, sizeof(m), -1, NULL, 0));
}

static inline void soak_irqs(struct soak_client *c, bool on)
{
	const struct vu_set_irqs m = { .argsz = sizeof(m),
				       .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
						(on ? VFIO_IRQ_SET_DATA_EVENTFD
						    : VFIO_IRQ_SET_DATA_NONE),
				       .index = VFIO_PCI_MSIX_IRQ_INDEX,
				       .count = on };

	MUST(!soak_call(c, VU_DEVICE_SET_IRQS, &m, sizeof(m), on ? c->event : -1, NULL, 0));
}

/* Connect, wait until nobody else has the device, and say hello. */
static inline void soak_connect(struct soak_client *c, const struct sockaddr_un *at, socklen_t len)
{
	static const char caps[] = "\0\0\1\0{\"capabilities\":{\"max_msg_fds\":8}}";
	char reply[256];
	int rc;

	for (unsigned i = 0;; i++) {
		MUST(i < 2000);
		c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		MUST(c->fd >= 0 && !connect(c->fd, (const struct sockaddr *)at, len));
		rc = soak_call(c, VU_VERSION, caps, sizeof(caps), -1, reply, sizeof(reply));
		if (!rc)
			break;
		/* the one that was killed is not cleared away yet */
		MUST(rc == EBUSY);
		close(c->fd);
		usleep(10000);
	}
	c->mem_fd = memfd_create("soak", MFD_CLOEXEC);
	MUST(c->mem_fd >= 0 && !ftruncate(c->mem_fd, PIECES * PIECE));
	c->mem = mmap(NULL, PIECES * PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, c->mem_fd, 0);
	MUST(c->mem != MAP_FAILED);
	c->event = eventfd(0, EFD_CLOEXEC);
	MUST(c->event >= 0);
}

static inline void soak_disconnect(struct soak_client *c)
{
	munmap(c->mem, PIECES * PIECE);
	close(c->mem_fd);
	close(c->event);
	close(c->fd);
}

/* testdev copies from one place to another, and interrupts. */
static inline void soak_testdev(struct soak_client *c)
{
	unsigned from = soak_random(c, PIECES / 2), to = PIECES / 2 + soak_random(c, PIECES / 2);
	uint32_t len = 8 * (1 + soak_random(c, PIECE / 8));
	struct pollfd p = { .fd = c->event, .events = POLLIN };
	uint64_t n;

	memset(c->mem + from * PIECE, (int)soak_random(c, 256), len);
	soak_irqs(c, true);
	soak_put(c, 2, TD_DMA_SRC, SOAK_IOVA + from * PIECE, 8);
	soak_put(c, 2, TD_DMA_DST, SOAK_IOVA + to * PIECE, 8);
	soak_put(c, 2, TD_DMA_LEN, len, 8);
	soak_put(c, 2, TD_DMA_VECTOR, 0, 4);
	soak_put(c, 2, TD_DMA_CMD, TD_OP_COPY | TD_DMA_IRQ | TD_DMA_ASYNC, 4);
	MUST(poll(&p, 1, TIMEOUT_MS) == 1 && read(c->event, &n, sizeof(n)) == sizeof(n));
	MUST(soak_get(c, 2, TD_DMA_STATUS, 4) == TD_DMA_OK);
	MUST(!memcmp(c->mem + from * PIECE, c->mem + to * PIECE, len));
	soak_irqs(c, false);
}

/* edu computes a factorial, and carries bytes to its buffer and back. */
static inline void soak_edu(struct soak_client *c)
{
	static const unsigned steps[] = { 1, 3 }; /* to the buffer, from it */

	memset(c->mem, (int)soak_random(c, 256), 4096);
	soak_put(c, 0, 0x08, 5, 4);
	while (soak_get(c, 0, 0x20, 4) & 1)
		;
	MUST(soak_get(c, 0, 0x08, 4) == 120);
	for (unsigned i = 0; i < 2; i++) {
		soak_put(c, 0, 0x80, i ? 0x40000 : SOAK_IOVA, 8);
		soak_put(c, 0, 0x88, i ? SOAK_IOVA + PIECE : 0x40000, 8);
		soak_put(c, 0, 0x90, 4096, 8);
		soak_put(c, 0, 0x98, steps[i], 8);
		while (soak_get(c, 0, 0x98, 8) & 1)
			;
	}
	MUST(!memcmp(c->mem, c->mem + PIECE, 4096));
}

/* nvme is enabled, identifies itself, and is disabled: NVMe 1.4, 3.1 and 5.15 */
static inline void soak_nvme(struct soak_client *c)
{
	volatile uint16_t *status = (volatile uint16_t *)(c->mem + PIECE + 14);
	uint32_t *sqe = (uint32_t *)c->mem;

	memset(c->mem, 0, 3 * PIECE);
	soak_put(c, 0, 0x24, 0x00010001, 4);
	soak_put(c, 0, 0x28, SOAK_IOVA, 8);
	soak_put(c, 0, 0x30, SOAK_IOVA + PIECE, 8);
	soak_put(c, 0, 0x14, 0x00460001, 4);
	while (!(soak_get(c, 0, 0x1c, 4) & 1))
		;
	sqe[0] = 0x00010006; /* Identify, command 1 */
	sqe[6] = SOAK_IOVA + 2 * PIECE;
	sqe[10] = 1; /* the controller */
	soak_put(c, 0, 0x1000, 1, 4);
	for (unsigned i = 0; !(__atomic_load_n(status, __ATOMIC_ACQUIRE) & 1); i++) {
		MUST(i < TIMEOUT_MS);
		usleep(1000);
	}
	MUST(!(*status >> 1) && c->mem[2 * PIECE + 4] == 's');
	soak_put(c, 0, 0x14, 0, 4);
	while (soak_get(c, 0, 0x1c, 4) & 1)
		;
}

/* Have the device at @at once, whose model is @model, and do @rounds of everything. */
static inline void soak_session(struct soak_client *c, const struct sockaddr_un *at, socklen_t len,
				const char *model, unsigned rounds)
{
	bool mapped[PIECES];

	soak_connect(c, at, len);
	for (unsigned i = 0; i < PIECES; i++)
		soak_map(c, i);
	memset(mapped, true, sizeof(mapped));
	for (; rounds; rounds--) {
		MUST(soak_get(c, CONFIG, 0, 2) != 0xffff);
		soak_put(c, CONFIG, 4, 6, 2);
		if (!strcmp(model, "testdev"))
			soak_testdev(c);
		else if (!strcmp(model, "edu"))
			soak_edu(c);
		else
			soak_nvme(c);
		for (unsigned i = 0; i < PIECES; i++)
			if (soak_random(c, 2)) {
				soak_unmap(c, i);
				mapped[i] = false;
			}
		for (unsigned i = 0; i < PIECES; i++)
			if (!mapped[i])
				soak_map(c, i);
		memset(mapped, true, sizeof(mapped));
		if (!soak_random(c, 4))
			MUST(!soak_call(c, VU_DEVICE_RESET, NULL, 0, -1, NULL, 0));
	}
	soak_disconnect(c);
}
#endif
