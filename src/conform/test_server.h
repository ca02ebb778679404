/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/test_server.h: a small vfio-user server for the unit tests of the suite, in a process of
 * its own: a good one, or one that does one thing wrong. A suite that the good one does not pass,
 * or a bad one does, is worth nothing.
 */
#ifndef CONFORM_TEST_SERVER_H
#define CONFORM_TEST_SERVER_H
#include "conform/test_device.h"
#include "conform/test_wire.h"

/* ---- reading ---- */

/* Read @len bytes, by one read if that is the fault; false: the connection is over. */
static bool ts_read(uint8_t *p, size_t len)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(ts.fds))];
	} control;
	size_t done = 0;

	while (done < len) {
		struct iovec iov = { p + done, len - done };
		struct msghdr h = { .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(ts.conn, &h, 0);

		if (n <= 0) {
			if (ts_is(H_LEAVING) && done)
				abort();
			return false;
		}
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
			size_t nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			for (size_t i = 0; i < nfds && ts.nfds < ARRAY_SIZE(ts.fds); i++)
				memcpy(&ts.fds[ts.nfds++], CMSG_DATA(c) + i * sizeof(int),
				       sizeof(int));
		}
		done += (size_t)n;
		if (ts_is(S_ONE_READ) && done < len)
			return false;
	}
	return true;
}

static void ts_send(size_t size, int fd)
{
	if (ts_is(C_LOSES) && ++ts.n % 200 == 0)
		return;

	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { ts.out, size };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t done = 0;

	put32(ts.out + H_SIZE, (uint32_t)size);
	if (fd >= 0) {
		h.msg_control = &control;
		h.msg_controllen = sizeof(control);
		CMSG_FIRSTHDR(&h)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&h)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&h)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), &fd, sizeof(int));
	}
	while (done < size) {
		ssize_t n = sendmsg(ts.conn, &h, MSG_NOSIGNAL);

		if (n <= 0) {
			if (ts_is(C_DIES))
				abort();
			return;
		}
		done += (size_t)n;
		h.msg_control = NULL;
		h.msg_controllen = 0;
		iov = (struct iovec){ ts.out + done, size - done };
	}
}

/* ---- commands: each returns the size of its reply's body, which is in @out, or -errno ---- */

static const char ts_json[] = "{\"capabilities\":{\"max_msg_fds\":8,"
			      "\"max_data_xfer_size\":1048576}}";

static int ts_version(const uint8_t *in, size_t len, uint8_t *out, int *fd)
{
	static const char multi[] = "{\"capabilities\":{\"max_msg_fds\":8,"
				    "\"max_data_xfer_size\":1048576,\"write_multiple\":true}}";
	static const char with_twin[] = "{\"capabilities\":{\"max_msg_fds\":8,"
					"\"write_multiple\":true,\"twin_socket\":"
					"{\"supported\":true,\"fd_index\":0}}}";
	const char *json = len > 4 ? (const char *)in + 4 : NULL, *reply = ts_json;

	if (ts_is(V_DIES) && len > 100000)
		abort();
	if (ts_is(V_SHORT) && len < 4) {
		memset(out, 0, 4);
		return 4;
	}
	if (len < 4 || (ts.versioned && !ts_is(V_SKIPPED)))
		return -EINVAL;
	if (get16(in) && !ts_is(V_MAJOR))
		return -EINVAL;
	if (ts_is(V_NEEDS_JSON) && !json)
		return -EINVAL;
	if (json && !ts_is(V_ANY)) {
		if (json[len - 5] || *json == '[' || strstr(json, "[]") || strstr(json, "} {") ||
		    !strchr(json, '}') || strstr(json, "\"8\"") || strstr(json, "-1") ||
		    strstr(json, ":null") || json[strspn(json, " \n\t")] != '{')
			return -EINVAL;
	}
	if (ts_is(V_STRICT) && json && strstr(json, "x_conform"))
		return -EINVAL;
	ts.multi = json && strstr(json, "\"write_multiple\":true");
	if (json && strstr(json, "\"write_multiple\": true"))
		ts.multi = true;
	if (ts.multi)
		reply = multi;
	ts.max = json && strstr(json, "\"max_data_xfer_size\":512") ? 512 : DEFAULT_XFER;
	if (json && strstr(json, "\"twin_socket\":{\"supported\":true}")) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			return -errno;
		ts.twin = pair[0];
		*fd = pair[1];
		reply = with_twin;
	}
	if (ts_is(V_NOT_JSON))
		reply = "{\"capabilities\":";
	if (ts_is(V_LONG))
		reply = "{\"capabilities\":{\"max_msg_fds\":8}}                                  "
			"                                                                        "
			"                                                                        ";
	if (ts_is(V_LIMITS))
		reply = "{\"capabilities\":{\"max_msg_fds\":64}}";
	if (ts_is(V_MULTI))
		reply = "{\"capabilities\":{\"write_multiple\":true}}";
	memcpy(out, in, 4);
	if (ts_is(V_MINOR))
		put16(out + 2, 0xffff);
	else if (get16(in + 2) > 2)
		put16(out + 2, 2);
	memcpy(out + 4, reply, strlen(reply) + 1);
	ts.versioned = true;
	return 4 + (int)strlen(reply) + !ts_is(V_NO_NUL);
}

static int ts_info(const uint8_t *in, uint8_t *out)
{
	if ((get32(in) < INFO_SIZE && !ts_is(I_ANY_ARGSZ)) ||
	    (get32(in) > INFO_SIZE && ts_is(I_ARGSZ)))
		return -EINVAL;
	put32(out, INFO_SIZE);
	put32(out + 4, INFO_RESET | (ts_is(I_NOT_PCI) ? 0 : INFO_PCI));
	put32(out + 8, PCI_REGIONS);
	put32(out + 12, PCI_IRQS);
	return INFO_SIZE;
}

static int ts_region_info(const uint8_t *in, uint8_t *out, int *fd)
{
	uint32_t argsz = get32(in), index = get32(in + 8), size = REGION_INFO_SIZE;

	if (argsz < REGION_INFO_SIZE && !ts_is(I_ANY_ARGSZ))
		return -EINVAL;
	if (index >= PCI_REGIONS && !ts_is(I_ANY_INDEX))
		return -EINVAL;
	memset(out, 0, 128);
	put32(out + 8, ts_is(I_INDEX) ? 0 : index);
	if (index == CONFIG_REGION) {
		put32(out + 4, R_READ | R_WRITE);
		ts_put64(out + 16, sizeof(ts.config));
	} else if (!index) {
		put32(out + 4, R_READ | R_WRITE | R_MMAP | R_CAPS);
		put32(out + 12, argsz >= 64 ? 32 : 0);
		ts_put64(out + 16, TS_RAM);
		put16(out + 32, CAP_SPARSE_MMAP);
		put16(out + 34, 1);
		put32(out + 36, ts_is(I_LOOP) ? 32 : 0);
		put32(out + 40, 1);
		ts_put64(out + 48, ts_is(I_AREA) ? TS_RAM : 0);
		ts_put64(out + 56, TS_RAM / 2);
		size = 64;
		if (!ts_is(I_NO_FD))
			*fd = ts_is(I_BAD_FD) ? ts.conn : ts.ram_fd;
	}
	put32(out, size);
	return (int)(size > argsz && !ts_is(I_OVER) ? REGION_INFO_SIZE : size);
}

static int ts_irq_info(const uint8_t *in, uint8_t *out)
{
	static const uint32_t counts[PCI_IRQS] = { 1, 0, TS_MSIX, 1, 1 };
	uint32_t index = get32(in + 8);

	if (get32(in) < IRQ_INFO_SIZE || (index >= PCI_IRQS && !ts_is(Q_ANY_INDEX)))
		return -EINVAL;
	put32(out, IRQ_INFO_SIZE);
	put32(out + 4, I_EVENTFD | (ts_is(Q_AUTOMASKED) ? I_AUTOMASKED : 0) |
			       (index == IRQ_INTX ? I_MASKABLE | I_AUTOMASKED : 0));
	put32(out + 8, index);
	put32(out + 12, index < PCI_IRQS ? counts[index] : 0);
	return IRQ_INFO_SIZE;
}

static void ts_config_write(uint64_t off, const uint8_t *data, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t at = off + i;

		if (at == 0x3c || at == 4 || (ts_is(R_READ_ONLY) && at < 4))
			ts.config[at] = data[i];
		if (at >= 0x10 && at < 0x14)
			ts.config[at] = ts_is(R_BAR_SIZE) ? data[i] : at < 0x12 ? 0 : data[i];
	}
}

static int ts_access(const uint8_t *in, size_t len, uint8_t *out, bool write, bool posted)
{
	uint64_t off = ts_get64(in), size;
	uint32_t index = get32(in + 8), count = get32(in + 12);
	uint8_t *at;

	if (index && index != CONFIG_REGION)
		return -EINVAL;
	size = index ? sizeof(ts.config) : TS_RAM;
	at = index ? ts.config : ts.ram;
	if (count > DEFAULT_XFER)
		return -EINVAL;
	memcpy(out, in, REGION_RW_SIZE);
	if (!count && ts_is(R_ZERO))
		return 0;
	if (!range_within(off, count, size)) {
		if (ts_is(write ? R_OUTSIDE_WRITE : R_OUTSIDE)) {
			memset(out + REGION_RW_SIZE, 0, count);
			return (int)(REGION_RW_SIZE + (write ? 0 : count));
		}
		return -EINVAL;
	}
	if (ts_is(R_ECHO))
		ts_put64(out, off + 1);
	if (!write) {
		memcpy(out + REGION_RW_SIZE, at + off, count);
		if (ts_is(R_CHANGES) && count == 1)
			out[REGION_RW_SIZE] ^= 1;
		return (int)(REGION_RW_SIZE + count);
	}
	if (len < REGION_RW_SIZE + count) {
		if (!ts_is(R_COUNT))
			return -EINVAL;
		count = (uint32_t)(len - REGION_RW_SIZE);
	}
	if (posted && ts_is(R_LOST))
		return REGION_RW_SIZE;
	if (posted && ts_is(R_LATE) && count) {
		ts.late = in[REGION_RW_SIZE];
		ts.is_late = true;
		return REGION_RW_SIZE;
	}
	if (index)
		ts_config_write(off, in + REGION_RW_SIZE, count);
	else
		td_register(off, in + REGION_RW_SIZE, count);
	return REGION_RW_SIZE;
}

static int ts_multi(const uint8_t *in, size_t len, uint8_t *out)
{
	uint64_t n = ts_get64(in), i;
	uint8_t reply[REGION_RW_SIZE + 8];

	if (!ts.multi && !ts_is(M_NOT_AGREED))
		return -EINVAL;
	if (!ts_is(M_COUNT) && (len < 8 + MULTI_ENTRY || n != (len - 8) / MULTI_ENTRY))
		return -EINVAL;
	n = (len - 8) / MULTI_ENTRY;
	for (i = 0; i < n; i++) {
		const uint8_t *e = in + 8 + (ts_is(M_ORDER) ? n - 1 - i : i) * MULTI_ENTRY;

		if ((get32(e + 12) > 8 || ts_access(e, MULTI_ENTRY, reply, true, false) < 0) &&
		    !ts_is(M_OUTSIDE) && !ts_is(M_COUNT))
			return -EINVAL;
	}
	ts_put64(out, n);
	return 8;
}

/* The size that a body has at least. */
static size_t ts_least(uint16_t cmd)
{
	static const uint8_t sizes[C_LAST + 1] = { [C_DMA_MAP] = DMA_MAP_SIZE,
						   [C_DMA_UNMAP] = DMA_UNMAP_SIZE,
						   [C_GET_INFO] = INFO_SIZE,
						   [C_REGION_INFO] = REGION_INFO_SIZE,
						   [C_REGION_IO_FDS] = 16,
						   [C_IRQ_INFO] = IRQ_INFO_SIZE,
						   [C_SET_IRQS] = SET_IRQS_SIZE,
						   [C_REGION_READ] = REGION_RW_SIZE,
						   [C_REGION_WRITE] = REGION_RW_SIZE,
						   [C_WRITE_MULTI] = 8 + MULTI_ENTRY,
						   [C_FEATURE] = FEATURE_SIZE,
						   [C_MIG_READ] = 8,
						   [C_MIG_WRITE] = 8 };

	return cmd <= C_LAST ? sizes[cmd] : 0;
}

static int ts_command(uint16_t cmd, const uint8_t *in, size_t len, uint8_t *out, bool posted,
		      int *fd)
{
	int rc;

	if (cmd == C_VERSION)
		return ts_version(in, len, out, fd);
	if (!ts.versioned && !ts_is(V_SKIPPED))
		return -EPROTO;
	if (len < ts_least(cmd)) {
		if (!ts_is(I_SHORT))
			return -EINVAL;
		memset(out, 0, 64);
		return 16;
	}
	switch (cmd) {
	case C_GET_INFO:
		return ts_info(in, out);
	case C_REGION_INFO:
		return ts_region_info(in, out, fd);
	case C_IRQ_INFO:
		return ts_irq_info(in, out);
	case C_REGION_READ:
		rc = ts_access(in, len, out, false, posted);
		if (ts.is_late)
			ts.config[0x3c] = ts.late;
		ts.is_late = false;
		return rc;
	case C_REGION_WRITE:
		return ts_access(in, len, out, true, posted);
	case C_DMA_MAP:
		return td_map(in);
	case C_SET_IRQS:
		return td_set_irqs(in, len);
	case C_RESET:
		td_reset();
		return 0;
	case C_DMA_UNMAP:
		return td_dma_unmap(in, len, out);
	case C_WRITE_MULTI:
		return ts_multi(in, len, out);
	case C_FEATURE:
		return td_feature(in, len, out);
	case C_MIG_READ:
	case C_MIG_WRITE:
		return td_data(cmd == C_MIG_WRITE, in, len, out);
	default:
		return ts_is(H_UNKNOWN) && (cmd > C_LAST || !cmd || cmd == 14) ? 0 : -ENOSYS;
	}
}

/* Serve one message; false: the connection is over. */
static bool ts_message(void)
{
	uint8_t h[HEADER];
	uint32_t size, flags;
	bool no_reply;
	int rc, fd = -1;
	uint16_t cmd;

	ts.nfds = 0;
	if (!ts_read(h, HEADER))
		return false;
	size = get32(h + H_SIZE);
	cmd = get16(h + H_CMD);
	flags = get32(h + H_FLAGS);
	if (size < HEADER && ts_is(H_SMALL))
		size = HEADER + INFO_SIZE;
	if (size > TS_MAX && ts_is(H_HUGE))
		for (uint8_t x; ts_read(&x, 1);)
			;
	if (size < HEADER || size > (ts_is(S_SMALL) ? 65536 : TS_MAX))
		return false;
	if (ts_is(H_UNKNOWN_BODY) && cmd > C_LAST)
		size = HEADER;
	if (size > HEADER && !ts_read(ts.in, size - HEADER))
		return false;
	if (ts_is(H_FDS) && ts.nfds && cmd == C_GET_INFO)
		abort();
	if (flags & F_REPLY && ts.asked && get16(h + H_ID) == ts.asked && cmd == ts.asked_cmd &&
	    size <= sizeof(td.answer)) {
		memcpy(td.answer, h, HEADER);
		memcpy(td.answer + HEADER, ts.in, size - HEADER);
		ts.answered = size;
		ts.asked = 0;
		return true;
	}
	if (ts.asked && ts_is(E_BREAKS))
		abort();
	if (ts.asked && ts_is(E_STALLS) && cmd == C_GET_INFO) {
		/* keep it for later */
		uint8_t kept[HEADER + INFO_SIZE];

		memcpy(kept, h, HEADER);
		memcpy(kept + HEADER, ts.in, size - HEADER);
		while (!ts.answered)
			if (!ts_message())
				return false;
		memcpy(h, kept, HEADER);
		memcpy(ts.in, kept + HEADER, size - HEADER);
	}
	if (flags & F_TYPE && !ts_is(H_TYPES))
		return false;
	memcpy(ts.out, h, HEADER);
	put32(ts.out + H_ERROR, 0);
	no_reply = flags & F_NO_REPLY && !ts_is(H_ANSWERS);
	rc = ts_command(cmd, ts.in, size - HEADER, ts.out + HEADER, no_reply, &fd);
	if (ts_is(H_WRONG_ID))
		put16(ts.out + H_ID, 0x5555);
	if (ts_is(H_WRONG_CMD))
		put16(ts.out + H_CMD, 0x5555);
	for (unsigned i = 0; i < ts.nfds; i++)
		close(ts.fds[i]);
	put32(ts.out + H_FLAGS, F_REPLY | (ts_is(H_REPLY_FLAGS) ? 0x40 : 0));
	if (rc < 0) {
		if (ts_is(H_ERROR_CLOSES))
			return false;
		put32(ts.out + H_FLAGS, F_REPLY | F_ERROR);
		put32(ts.out + H_ERROR, (uint32_t)-rc);
		rc = ts_is(H_ERROR_BODY) ? 16 : 0;
		if (ts_is(H_ANSWERS_ERROR))
			no_reply = false;
	}
	if (ts_is(H_SILENT) && cmd == C_IRQ_INFO)
		return true;
	if (!no_reply)
		ts_send(HEADER + (size_t)rc, fd);
	if (cmd == C_VERSION && fd >= 0)
		close(fd);
	if (!ts.asked)
		td_run();
	return !ts.over;
}

static void ts_serve(int listener, enum fault fault)
{
	ts.fault = fault;
	td.state = ST_RUNNING;
	if (fault != Q_SIGPIPE)
		signal(SIGPIPE, SIG_IGN);
	ts.in = malloc(TS_MAX);
	ts.out = malloc(TS_MAX + DEFAULT_XFER);
	ts.ram_fd = memfd_create("ram", 0);
	if (!ts.in || !ts.out || ts.ram_fd < 0 || ftruncate(ts.ram_fd, TS_RAM))
		_exit(1);
	put32(ts.config, 0x11e81234);
	put16(ts.config + 6, 0x10); /* there are capabilities */
	ts.config[0x34] = 0x40;
	ts.config[0x3d] = 1;
	ts.config[0x40] = 0x11; /* MSI-X */
	put16(ts.config + 0x42, TS_MSIX - 1);
	for (;;) {
		ts.conn = accept(listener, NULL, NULL);
		if (ts.conn < 0)
			_exit(1);
		ts.versioned = ts.over = false;
		ts.asked = 0;
		ts.twin = -1;
		while (ts_message())
			;
		close(ts.conn);
		if (ts.twin >= 0)
			close(ts.twin);
		td_client_left();
	}
}

static int ts_listen(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	unlink(path);
	if (listener < 0 || bind(listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(listener, 8))
		return -1;
	return listener;
}

/* Start one at @path. Return its process, which test_server_stop() ends. */
static pid_t test_server_start(const char *path, enum fault fault)
{
	int listener = ts_listen(path);
	pid_t pid;

	if (listener < 0)
		return -1;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 1);
		dup2(null, 2);
		signal(SIGABRT, SIG_DFL); /* these are cmocka's in the parent */
		signal(SIGBUS, SIG_DFL);
		ts_serve(listener, fault);
	}
	close(listener);
	return pid;
}

static void test_server_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
#endif
