/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/test_client.h: a small vfio-user client for the unit tests of the suite, which starts up
 * as a monitor does, or does one thing wrong. The test program is that client when it is started
 * with a path and a fault.
 */
#ifndef CONFORM_TEST_CLIENT_H
#define CONFORM_TEST_CLIENT_H
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/util.h"
#include "conform/wire.h"

enum client_fault {
	K_GOOD,
	K_NO_VERSION,  /* VERSION comes second */
	K_FLAGS,       /* reserved flags are set */
	K_ERROR_FLAG,  /* so is Error */
	K_UNKNOWN,     /* a command that there is not */
	K_ARGSZ,       /* no room for the reply */
	K_SHORT,       /* half of a body */
	K_FDS,	       /* descriptors where none belong */
	K_OVERLAP,     /* mappings over each other */
	K_UNMAP,       /* what was not mapped is unmapped */
	K_OUTSIDE,     /* a read outside of the region */
	K_COUNT,       /* a write with less than its count */
	K_IRQ_FLAGS,   /* two actions */
	K_IRQ_RANGE,   /* an interrupt that there is not */
	K_MULTI,       /* REGION_WRITE_MULTI that was not agreed on */
	K_REPLIES,     /* replies to nothing */
	K_BIG,	       /* the server's max_data_xfer_size is not looked at */
	K_NEEDS_JSON,  /* a reply to VERSION without JSON is not taken */
	K_STRICT,      /* nor is an unknown capability */
	K_NO_MMAP,     /* a region with a descriptor is not taken */
	K_ONE_READ,    /* a message is what one read gives */
	K_IMPATIENT,   /* a reply that takes 10 ms is given up */
	K_DMA_SILENT,  /* DMA_READ is not answered */
	K_DMA_SHORT,   /* it is, with a byte less */
	K_DMA_LOST,    /* DMA_WRITE does nothing */
	K_DMA_OUTSIDE, /* memory that is not mapped is read */
	K_DMA_RIGHTS,  /* memory for reading is written */
	K_DMA_SIZES,   /* any count is answered */
	K_WAITS,       /* nothing is answered while a reply is awaited */
	K_OBEYS,       /* commands that there are not succeed */
	K_DIES_ERROR,  /* an error reply kills it */
	K_ZERO,	       /* error 0 is none */
	K_MAJOR,       /* any major is taken */
	K_MINOR,
	K_JSON,		/* any JSON */
	K_LIMITS,	/* any limits */
	K_TRUSTS_SHORT, /* a short reply kills it */
	K_TRUSTS_LONG,
	K_TRUSTS_HEADER,
	K_TRUSTS_ID,
	K_TRUSTS_FDS,
	K_TRUSTS_LIES,
	K_DIES_EOF, /* so does a server that goes */
	NCLIENT_FAULTS
};

#define TK_AT	0x100000ull
#define TK_SIZE 0x10000ull
#define TK_RO	0x200000ull /* memory for reading, as much again */

static struct {
	int conn;
	enum client_fault fault;
	uint16_t id;
	uint64_t max;
	uint8_t memory[TK_SIZE], in[DEFAULT_XFER + 4096];
	size_t size; /* of the message in @in */
	unsigned nfds;
	bool waiting, mapped;
} tk;

static bool tk_is(enum client_fault fault)
{
	return tk.fault == fault;
}

static void tk_send(uint16_t id, uint16_t cmd, uint32_t flags, uint32_t error, const void *body,
		    size_t len, int nfds)
{
	static uint8_t m[DEFAULT_XFER + 4096];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { m, HEADER + len };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = 0;

	memset(m, 0, HEADER);
	put16(m + H_ID, id);
	put16(m + H_CMD, cmd);
	put32(m + H_SIZE, (uint32_t)(HEADER + len));
	put32(m + H_FLAGS, flags);
	put32(m + H_ERROR, error);
	memcpy(m + HEADER, body, len);
	if (nfds) {
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &fd, sizeof(int));
	}
	if (sendmsg(tk.conn, &h, MSG_NOSIGNAL) != (ssize_t)(HEADER + len))
		exit(0);
}

static void tk_read(uint8_t *p, size_t len)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * 16)];
	} control;
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { p + done, len - done };
		struct msghdr h = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control) };
		struct pollfd w = { .fd = tk.conn, .events = POLLIN };
		ssize_t n;

		if (poll(&w, 1, tk_is(K_IMPATIENT) && tk.waiting ? 10 : 20000) != 1)
			exit(3);
		n = recvmsg(tk.conn, &h, 0);
		if (n <= 0) {
			if (tk_is(K_DIES_EOF))
				abort();
			exit(0);
		}
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
			for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
				close(fd);
				tk.nfds++;
			}
		done += (size_t)n;
		if (tk_is(K_ONE_READ) && done < len)
			exit(4);
	}
}

/* Take a message into @tk.in; true: it is a reply. */
static bool tk_take(void)
{
	uint32_t size;

	tk.nfds = 0;
	tk_read(tk.in, HEADER);
	size = get32(tk.in + H_SIZE);
	if (size < HEADER || size > sizeof(tk.in)) {
		if (tk_is(K_TRUSTS_HEADER))
			abort();
		exit(5);
	}
	tk_read(tk.in + HEADER, size - HEADER);
	tk.size = size;
	return get32(tk.in + H_FLAGS) & F_REPLY;
}

/* Answer a command of the server's, which is in @tk.in. */
static void tk_answer(void)
{
	static uint8_t body[DEFAULT_XFER + 64];
	uint16_t id = get16(tk.in + H_ID), cmd = get16(tk.in + H_CMD);
	uint64_t addr, count, base;
	bool read = cmd == C_DMA_READ, fine = false;

	if (cmd != C_DMA_READ && cmd != C_DMA_WRITE) {
		tk_send(id, cmd, F_REPLY | (tk_is(K_OBEYS) ? 0 : F_ERROR), ENOSYS, body, 0, 0);
		return;
	}
	if (tk_is(K_DMA_SILENT))
		return;
	memcpy(&addr, tk.in + HEADER, 8);
	memcpy(&count, tk.in + HEADER + 8, 8);
	memset(body, 0, sizeof(body));
	memcpy(body, tk.in + HEADER, 16);
	base = addr >= TK_RO ? TK_RO : TK_AT;
	fine = tk.mapped && addr >= base && range_within(addr - base, count, TK_SIZE) &&
	       (read || base == TK_AT || tk_is(K_DMA_RIGHTS)) &&
	       tk.size == HEADER + DMA_RW_SIZE + (read ? 0 : count) && count <= 4096;
	if (!fine && !(tk_is(K_DMA_OUTSIDE) && count <= DEFAULT_XFER) &&
	    !(tk_is(K_DMA_SIZES) && count < 1ull << 33)) {
		tk_send(id, cmd, F_REPLY | F_ERROR, EFAULT, body, 0, 0);
		return;
	}
	if (count > DEFAULT_XFER)
		count = 0;
	if (read && fine)
		memcpy(body + 16, tk.memory + (addr - base), count);
	if (!read && fine && !tk_is(K_DMA_LOST))
		memcpy(tk.memory + (addr - base), tk.in + HEADER + 16, count);
	tk_send(id, cmd, F_REPLY, 0, body, 16 + (read ? count - tk_is(K_DMA_SHORT) : 0), 0);
}

/* Take the reply to command @cmd with @id; the size of its body, or -errno. */
static int tk_reply(uint16_t id, uint16_t cmd)
{
	uint32_t flags, error;

	tk.waiting = true;
	while (!tk_take())
		if (!tk_is(K_WAITS))
			tk_answer();
	tk.waiting = false;
	flags = get32(tk.in + H_FLAGS);
	error = get32(tk.in + H_ERROR);
	if (get16(tk.in + H_ID) != id || get16(tk.in + H_CMD) != cmd) {
		if (tk_is(K_TRUSTS_ID))
			abort();
		exit(6);
	}
	if (flags & F_ERROR && !(tk_is(K_ZERO) && !error)) {
		if (tk_is(K_DIES_ERROR))
			abort();
		return error ? -(int)error : -EIO;
	}
	if (tk.nfds && cmd != C_REGION_INFO && tk_is(K_TRUSTS_FDS))
		abort();
	return (int)(tk.size - HEADER);
}

/* Send a command of @len bytes and take its reply, whose body is to have @want bytes. */
static int tk_call(uint16_t cmd, const void *body, size_t len, int want)
{
	uint16_t id = tk.id++;
	uint32_t flags = tk_is(K_FLAGS) ? 0x100 : tk_is(K_ERROR_FLAG) ? F_ERROR : 0;
	int rc;

	tk_send(id, cmd, flags, 0, body, len, tk_is(K_FDS) && cmd == C_GET_INFO);
	rc = tk_reply(id, cmd);
	if (rc >= 0 && rc < want && !tk_is(K_ZERO)) {
		if (tk_is(K_TRUSTS_SHORT))
			abort();
		exit(7);
	}
	if (rc > want && cmd != C_VERSION) {
		if (tk_is(K_TRUSTS_LONG))
			abort();
		exit(8);
	}
	return rc;
}

static void tk_version(void)
{
	static const char json[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":8,"
				   "\"max_data_xfer_size\":4096}}";
	int rc = tk_call(C_VERSION, json, sizeof(json), 4);
	const char *text = (char *)tk.in + HEADER + 4, *max;

	if (rc < 4)
		exit(9);
	if (get16(tk.in + HEADER) && !tk_is(K_MAJOR))
		exit(10);
	if (get16(tk.in + HEADER + 2) && !tk_is(K_MINOR))
		exit(10);
	tk.max = DEFAULT_XFER;
	if (rc == 4) {
		if (tk_is(K_NEEDS_JSON))
			exit(11);
		return;
	}
	if (!strstr(text, "}}") && !strstr(text, "},") && !tk_is(K_JSON))
		exit(12);
	if (tk_is(K_STRICT) && strstr(text, "x_conform"))
		exit(13);
	max = strstr(text, "\"max_data_xfer_size\":");
	if (max && atoll(max + 21) < 0 && !tk_is(K_LIMITS))
		exit(14);
	if (max && !tk_is(K_BIG))
		tk.max = (uint64_t)atoll(max + 21);
}

static void tk_map(uint64_t addr, uint32_t flags)
{
	uint64_t m[4] = { DMA_MAP_SIZE | (uint64_t)flags << 32, 0, addr, TK_SIZE };

	tk_call(C_DMA_MAP, m, sizeof(m), 0);
}

static int tk_access(bool write, uint64_t off, uint32_t region, uint32_t count, size_t data)
{
	uint8_t m[16 + 256] = { 0 };

	memcpy(m, &off, 8);
	put32(m + 8, region);
	put32(m + 12, count);
	return tk_call(write ? C_REGION_WRITE : C_REGION_READ, m, 16 + data,
		       write ? 16 : (int)(16 + count));
}

/* What the client sends wrongly, once it has started up. */
static void tk_misbehave(void)
{
	uint32_t irq[5] = { SET_IRQS_SIZE, S_NONE | S_TRIGGER, 0, 0, 0 };
	uint64_t wrong[4] = { DMA_UNMAP_SIZE, 0x9000000, 0x1000, 0 };

	switch (tk.fault) {
	case K_UNKNOWN:
		tk_call(99, wrong, 8, 0);
		break;
	case K_SHORT:
		tk_call(C_IRQ_INFO, irq, 8, 16);
		break;
	case K_OVERLAP:
		tk_map(TK_AT + 0x1000, 3);
		break;
	case K_UNMAP:
		tk_call(C_DMA_UNMAP, wrong, DMA_UNMAP_SIZE, 24);
		break;
	case K_OUTSIDE:
		tk_access(false, 256, CONFIG_REGION, 4, 0);
		break;
	case K_COUNT:
		tk_access(true, 0x3c, CONFIG_REGION, 4, 1);
		break;
	case K_IRQ_FLAGS:
		irq[1] = S_NONE | S_TRIGGER | S_MASK;
		tk_call(C_SET_IRQS, irq, sizeof(irq), 0);
		break;
	case K_IRQ_RANGE:
		irq[4] = 2;
		tk_call(C_SET_IRQS, irq, sizeof(irq), 0);
		break;
	case K_MULTI:
		tk_call(C_WRITE_MULTI, wrong, 32, 8);
		break;
	case K_REPLIES:
		tk_send(7, C_GET_INFO, F_REPLY, 0, irq, 16, 0);
		break;
	default:
		break;
	}
}

/* Be a client of the server at @path, with @fault. */
static void test_client(const char *path, enum client_fault fault)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint32_t info[4] = { fault == K_ARGSZ ? 0 : INFO_SIZE }, region[8] = { REGION_INFO_SIZE };
	uint32_t irq[4] = { IRQ_INFO_SIZE }, set[5] = { SET_IRQS_SIZE, S_NONE | S_TRIGGER };

	tk.fault = fault;
	tk.conn = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (connect(tk.conn, (struct sockaddr *)&addr, sizeof(addr)))
		exit(2);
	if (fault != K_NO_VERSION)
		tk_version();
	tk.mapped = true;
	tk_map(TK_AT, MAP_READ | MAP_WRITE);
	tk_map(TK_RO, MAP_READ);
	if (tk_call(C_GET_INFO, info, sizeof(info), INFO_SIZE) < 0)
		exit(15);
	if (get32(tk.in + HEADER + 8) > 100) {
		if (fault == K_TRUSTS_LIES)
			abort();
		exit(16);
	}
	if (fault == K_NO_VERSION)
		tk_version();
	for (region[2] = 0; region[2] < PCI_REGIONS; region[2]++) {
		if (tk_call(C_REGION_INFO, region, sizeof(region), REGION_INFO_SIZE) < 0)
			exit(17);
		if (tk.nfds && fault == K_NO_MMAP)
			exit(18);
	}
	for (irq[2] = 0; irq[2] < PCI_IRQS; irq[2]++)
		tk_call(C_IRQ_INFO, irq, sizeof(irq), IRQ_INFO_SIZE);
	tk_call(C_GET_INFO, info, sizeof(info), INFO_SIZE);
	for (uint32_t off = 0; off < 256; off += tk.max < 256 ? (uint32_t)tk.max : 256)
		if (tk_access(false, off, CONFIG_REGION, tk.max < 256 ? (uint32_t)tk.max : 256, 0) <
		    0)
			exit(19);
	tk_access(true, 0x3c, CONFIG_REGION, 1, 1);
	tk_call(C_SET_IRQS, set, sizeof(set), 0);
	tk_misbehave();
	for (;;)
		if (!tk_take())
			tk_answer();
}
#endif
