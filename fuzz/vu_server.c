/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/vu_server.c: whole sessions of a hostile client with a server: testdev, edu and nvme, each
 * with a socket. An input is a stream of messages with descriptors of all kinds, whole ones with
 * fields that mean something, and bytes as they are; and how the client answers what the server
 * asks of it. The server answers each command once; when the client is gone the device is there for
 * the next one as it was at first, and no descriptor is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "uvfio/server.h"
#include "base/log.h"
#include "base/sys.h"
#include "fuzz.h"
#include "models/testdev/testdev.h"
#include "vfio_user/wire.h"

#define PAGE	 4096u
#define MEM_SIZE (64u * PAGE)
#define LATE	 16u   /* descriptors that are made when they are needed first, and stay */
#define WAIT_MS	 20000 /* on a busy machine, too; libFuzzer gives up after 25 s */

static const char *const specs[] = {
	"testdev,migration=on,ram=8K,region=on,msix=on,vectors=8",
	"edu,migration=on,dma_delay=1,factorial_delay=1",
	"nvme,image=/proc/self/fd/%d,max_queues=3,vectors=4,serial=x",
};
#define DEVICES (sizeof(specs) / sizeof(specs[0]))

/* What a descriptor that is sent can be. */
enum { MEMORY, SHORT, SEALED, READ_ONLY, EVENT, FULL, PIPE, SOCKET, PATH, NOTHING, EPOLL, KINDS };
static int kinds[KINDS];
static struct uvfio_server *server;
static struct sockaddr_un address[DEVICES];
static socklen_t address_len[DEVICES];
static atomic_uint connected, gone; /* clients of all devices */
static int trimmed;		    /* a file that is cut off while it is mapped */

static void event(void *ctx, struct uvfio_server_device *dev, enum uvfio_server_event e,
		  unsigned client, int error)
{
	if (e == UVFIO_SERVER_CONNECTED)
		atomic_fetch_add(&connected, 1);
	if (e == UVFIO_SERVER_REFUSED || e == UVFIO_SERVER_DISCONNECTED)
		atomic_fetch_add(&gone, 1);
}

static int memory(const char *name, off_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	REQUIRE(fd >= 0 && !ftruncate(fd, size), "%s", name);
	return fd;
}

static void make_kinds(void)
{
	uint64_t most = UINT64_MAX - 1;
	char name[64];
	int pair[2];

	kinds[MEMORY] = memory("memory", MEM_SIZE);
	kinds[SHORT] = memory("short", 100);
	kinds[SEALED] = memory("sealed", MEM_SIZE);
	fcntl(kinds[SEALED], F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", kinds[MEMORY]);
	kinds[READ_ONLY] = open(name, O_RDONLY | O_CLOEXEC);
	kinds[EVENT] = eventfd(0, EFD_CLOEXEC);
	kinds[FULL] = eventfd(0, EFD_CLOEXEC);
	REQUIRE(write(kinds[FULL], &most, 8) == 8, "a full eventfd");
	REQUIRE(!pipe2(pair, O_CLOEXEC), "a pipe");
	kinds[PIPE] = pair[1];
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "a socket");
	kinds[SOCKET] = pair[0];
	kinds[PATH] = open("/", O_PATH | O_CLOEXEC);
	kinds[NOTHING] = open("/dev/null", O_RDWR | O_CLOEXEC);
	kinds[EPOLL] = epoll_create1(EPOLL_CLOEXEC);
	trimmed = memory("trimmed", MEM_SIZE);
}

static void once(void)
{
	static const struct uvfio_server_ops ops = { .event = event };

	log_set(2, LOG_NONE);
	make_kinds();
	server = uvfio_server_new(&ops, NULL);
	REQUIRE(server, "a server");
	for (unsigned i = 0; i < DEVICES; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		char spec[256];

		/* a name that the kernel chooses, without a file */
		address[i].sun_family = AF_UNIX;
		REQUIRE(!bind(fd, (struct sockaddr *)&address[i], sizeof(sa_family_t)) &&
				!listen(fd, 16),
			"a socket");
		address_len[i] = sizeof(address[i]);
		getsockname(fd, (struct sockaddr *)&address[i], &address_len[i]);
		snprintf(spec, sizeof(spec), specs[i], memory("image", 1 << 20));
		REQUIRE(!uvfio_server_add_fd(server, spec, fd, NULL), "%s: %s", spec,
			uvfio_server_strerror(server));
	}
	REQUIRE(!uvfio_server_set_limit(server, "dma-timeout", 20) &&
			!uvfio_server_set_limit(server, "files", 20),
		"%s", uvfio_server_strerror(server));
	REQUIRE(!uvfio_server_start(server), "%s", uvfio_server_strerror(server));
}

/* ---- the client ---- */

static struct client {
	int fd;
	bool raw;	 /* bytes were sent that are no messages: nothing is known of the answers */
	bool dead;	 /* the server has hung up */
	bool spoiled;	 /* a descriptor of the connection itself was sent: it does not end by us */
	uint8_t answers; /* how the server's commands are answered */
	uint16_t last_id;
	uint8_t asked[65536]; /* by number: the command that is to be answered, or 0 */
	unsigned open;	      /* that are */
	uint8_t in[1 << 16];
	size_t have;
} cl;

static void connect_to(unsigned i)
{
	memset(&cl, 0, offsetof(struct client, in));
	cl.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(!connect(cl.fd, (struct sockaddr *)&address[i], address_len[i]), "%d", errno);
	cl.have = 0;
}

/* Send what there is room for; what is cut off leaves a stream that nobody can tell. */
static void send_some(const void *buf, size_t len, const int *fds, unsigned num_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(32 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)buf, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (!len || cl.dead)
		return;
	if (num_fds) {
		struct cmsghdr *c = (struct cmsghdr *)control;

		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(num_fds * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(num_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, num_fds * sizeof(int));
	}
	n = sendmsg(cl.fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n != (ssize_t)len)
		cl.raw = true;
}

/* Answer a command of the server's, as the input has chosen. */
static void answer(const struct vu_header *h, const uint8_t *data, size_t len)
{
	struct {
		struct vu_header h;
		struct vu_dma_access a;
		uint8_t data[8192];
	} r = { .h = { .id = h->id, .command = h->command, .flags = VU_TYPE_REPLY } };

	REQUIRE(h->command == VU_DMA_READ || h->command == VU_DMA_WRITE, "command %u of the server",
		h->command);
	REQUIRE(len >= sizeof(r.a), "DMA of %zu bytes", len);
	memcpy(&r.a, data, sizeof(r.a));
	REQUIRE(len == sizeof(r.a) + (h->command == VU_DMA_WRITE ? r.a.count : 0), "%zu", len);
	r.h.size = sizeof(r.h) + sizeof(r.a);
	if (h->command == VU_DMA_READ)
		r.h.size += r.a.count < sizeof(r.data) ? (uint32_t)r.a.count : sizeof(r.data);
	memset(r.data, cl.answers, sizeof(r.data));
	switch (cl.answers & 15) {
	case 1:
		return; /* never */
	case 2:
		r.h.flags |= VU_FLAG_ERROR;
		r.h.error = cl.answers >> 4;
		r.h.size = sizeof(r.h);
		break;
	case 3:
		r.a.count += cl.answers >> 4;
		break;
	case 4:
		r.a.addr++;
		break;
	case 5:
		r.h.size = sizeof(r.h) + (cl.answers >> 4);
		break;
	case 6:
		r.h.command ^= VU_DMA_READ ^ VU_DMA_WRITE;
		break;
	case 7:
		send_some(&r, r.h.size, &kinds[EVENT], 1);
		return;
	default:
		break;
	}
	send_some(&r, r.h.size, NULL, 0);
}

/* Take the messages that are whole out of what has come. */
static void understand(void)
{
	struct vu_header h;
	size_t at = 0;

	while (cl.have - at >= sizeof(h)) {
		memcpy(&h, cl.in + at, sizeof(h));
		REQUIRE(h.size >= sizeof(h) && h.size <= sizeof(cl.in), "an answer of %u bytes",
			h.size);
		if (cl.have - at < h.size)
			break;
		if ((h.flags & VU_FLAG_TYPE) == VU_TYPE_REPLY) {
			REQUIRE(cl.raw || cl.asked[h.id] == h.command, "a reply %u to %u", h.id,
				h.command);
			REQUIRE(!(h.flags & VU_FLAG_ERROR) || h.size == sizeof(h), "an error of %u",
				h.size);
			if (cl.asked[h.id])
				cl.open--;
			cl.asked[h.id] = 0;
		} else {
			REQUIRE((h.flags & VU_FLAG_TYPE) == VU_TYPE_COMMAND, "flags 0x%x", h.flags);
			answer(&h, cl.in + at + sizeof(h), h.size - sizeof(h));
		}
		at += h.size;
	}
	memmove(cl.in, cl.in + at, cl.have - at);
	cl.have -= at;
}

/* True if the server says something, or hangs up. libFuzzer's alarm comes now and then. */
static bool hears(void)
{
	struct pollfd p = { .fd = cl.fd, .events = POLLIN };
	int ret;

	do
		ret = poll(&p, 1, WAIT_MS);
	while (ret < 0 && errno == EINTR);
	return ret > 0;
}

/* Read answers: those that have come, or (@end) up to the end. */
static void receive(bool end)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];

	while (!cl.dead) {
		struct iovec iov = { cl.in + cl.have, sizeof(cl.in) - cl.have };
		struct msghdr mh = { .msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = control,
				     .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(cl.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n < 0 && errno == EAGAIN) {
			if (!end)
				return;
			REQUIRE(hears(), "the server neither answers nor ends");
			continue;
		}
		for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL; c;
		     c = CMSG_NXTHDR(&mh, c))
			for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++)
				close(((int *)CMSG_DATA(c))[i]);
		if (n <= 0) {
			cl.dead = true;
			return;
		}
		cl.have += (size_t)n;
		understand();
	}
}

/* Send a whole command. */
static void command(uint16_t cmd, uint32_t flags, const void *data, size_t len, const int *fds,
		    unsigned num_fds)
{
	struct {
		struct vu_header h;
		uint8_t data[4096];
	} m = { .h = { .id = ++cl.last_id,
		       .command = cmd,
		       .flags = flags,
		       .size = (uint32_t)(sizeof(m.h) + len) } };

	memcpy(m.data, data, len);
	if (!(flags & VU_FLAG_NO_REPLY)) {
		cl.asked[cl.last_id] = (uint8_t)cmd;
		cl.open++;
	}
	send_some(&m, m.h.size, fds, num_fds);
}

static void version(void)
{
	static const char caps[] = "\0\0\2\0{\"capabilities\":{\"max_msg_fds\":16,"
				   "\"write_multiple\":true,\"migration\":{\"pgsize\":4096},"
				   "\"max_data_xfer_size\":65536}}";

	command(VU_VERSION, 0, caps, sizeof(caps), NULL, 0);
}

/* ---- commands whose fields mean something, mostly ---- */

static uint64_t some_addr(struct in *in)
{
	uint8_t v = in8(in);

	return v == 0xff ? in64(in) : v == 0xfe ? UINT64_MAX - PAGE + 1 : (uint64_t)(v & 63) * PAGE;
}

static uint64_t some_size(struct in *in)
{
	uint8_t v = in8(in);

	return v == 0xff ? in64(in) : v == 0xfe ? UINT64_MAX : (uint64_t)(v & 31) * PAGE;
}

static uint32_t some_argsz(struct in *in, size_t real)
{
	uint8_t v = in8(in);

	return v < 0xf0 ? (uint32_t)real : v < 0xf8 ? v : in32(in);
}

static unsigned some_fds(struct in *in, int *fds, uint8_t n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t k = in8(in);

		fds[i] = k < KINDS   ? kinds[k]
			 : k == 0xff ? cl.fd
			 : k & 1     ? kinds[EVENT]
			 : k & 2     ? trimmed
				     : kinds[MEMORY];
		cl.spoiled |= fds[i] == cl.fd;
	}
	return n;
}

static void region_write(uint32_t region, uint64_t offset, uint64_t value, uint32_t n,
			 uint32_t flags)
{
	struct {
		struct vu_region_access a;
		uint64_t v;
	} m = { { offset, region, n }, value };

	command(VU_REGION_WRITE, flags, &m, sizeof(m.a) + n, NULL, 0);
}

/* Have the device do DMA and raise interrupts. */
static void device_acts(struct in *in)
{
	uint8_t how = in8(in);

	region_write(7, 4, 6, 2, 0);
	if (how & 1) {
		region_write(2, TD_DMA_SRC, some_addr(in), 8, 0);
		region_write(2, TD_DMA_DST, some_addr(in), 8, 0);
		region_write(2, TD_DMA_LEN, in16(in) % 0x9000, 8, 0);
		region_write(2, TD_DMA_VECTOR, in8(in), 4, 0);
		region_write(2, TD_DMA_CMD, in8(in) & 7, 4, VU_FLAG_NO_REPLY);
	} else {
		region_write(0, 0x80, how & 2 ? 0x40000 : some_addr(in), 8, 0);
		region_write(0, 0x88, how & 2 ? some_addr(in) : 0x40000, 8, 0);
		region_write(0, 0x90, in16(in) % 0x1100, 8, 0);
		region_write(0, 0x98, 1 | (how & 2 ? 0 : 2) | (how & 4), 8, 0);
	}
}

static void structured(struct in *in)
{
	uint8_t what = in8(in), how = in8(in), data[512] = { 0 };
	uint32_t flags = how & 0x80 ? VU_FLAG_NO_REPLY : 0;
	unsigned num_fds = 0;
	size_t len = 0;
	int fds[32];

#define PUT(v)                                       \
	do {                                         \
		__auto_type v_ = (v);                \
		memcpy(data + len, &v_, sizeof(v_)); \
		len += sizeof(v_);                   \
	} while (0)
	switch (what % 20) {
	case VU_VERSION:
		len = in8(in);
		in_bytes(in, data, len);
		break;
	case VU_DMA_MAP:
		PUT(some_argsz(in, sizeof(struct vu_dma_map)));
		PUT((uint32_t)(how & 0x40 ? in8(in) : VU_DMA_READABLE | VU_DMA_WRITEABLE));
		PUT(some_addr(in));
		PUT(some_addr(in));
		PUT(some_size(in));
		num_fds = some_fds(in, fds, how & 3 ? 1 : how >> 2 & 3);
		break;
	case VU_DMA_UNMAP:
		PUT(some_argsz(in, sizeof(struct vu_dma_unmap)));
		PUT((uint32_t)(how & 3));
		PUT(how & 2 && how & 4 ? (uint64_t)0 : some_addr(in));
		PUT(how & 2 && how & 4 ? (uint64_t)0 : some_size(in));
		if (how & 1 && !(how & 0x20)) {
			PUT((uint64_t)(how & 8 ? in64(in) : PAGE));
			PUT((uint64_t)(how & 16 ? in64(in) : 8));
		}
		break;
	case VU_DEVICE_GET_INFO:
		PUT(some_argsz(in, sizeof(struct vu_device_info)));
		len = sizeof(struct vu_device_info);
		break;
	case VU_DEVICE_GET_REGION_INFO:
		PUT(some_argsz(in, how & 1 ? 32 : 200));
		PUT((uint32_t)0);
		PUT((uint32_t)in8(in));
		len = 32;
		break;
	case VU_DEVICE_GET_REGION_IO_FDS:
		PUT(some_argsz(in, how & 1 ? 16 : 200));
		PUT((uint32_t)(how & 2));
		PUT((uint32_t)in8(in));
		PUT((uint32_t)(how & 4));
		break;
	case VU_DEVICE_GET_IRQ_INFO:
		PUT(some_argsz(in, 16));
		PUT((uint32_t)0);
		PUT((uint32_t)in8(in) % 8);
		len = 16;
		break;
	case VU_DEVICE_SET_IRQS: {
		uint8_t n = in8(in) % 20;

		PUT(some_argsz(in, 20 + (how & 2 ? n : 0u)));
		PUT((uint32_t)in8(in));
		PUT((uint32_t)in8(in) % 6);
		PUT((uint32_t)(how & 0x20 ? in32(in) : in8(in)));
		PUT((uint32_t)(how & 0x10 ? in32(in) : n));
		if (how & 1)
			num_fds = some_fds(in, fds, n);
		if (how & 2) {
			in_bytes(in, data + len, n);
			len += n;
		}
		break;
	}
	case VU_REGION_READ:
	case VU_REGION_WRITE: {
		uint8_t n = in8(in);

		PUT(how & 1 ? in64(in) : (uint64_t)in16(in));
		PUT((uint32_t)(how & 2 ? in32(in) : in8(in) % 12));
		PUT((uint32_t)(how & 4 ? in32(in) : n));
		if (what % 20 == VU_REGION_WRITE) {
			in_bytes(in, data + len, n);
			len += n;
		}
		break;
	}
	case VU_REGION_WRITE_MULTI: {
		uint8_t n = in8(in) % 12;

		PUT((uint64_t)(how & 1 ? in64(in) : n));
		for (unsigned i = 0; i < n; i++) {
			PUT((uint64_t)in16(in));
			PUT((uint32_t)in8(in) % 12);
			PUT((uint32_t)in8(in) % 10);
			PUT(in64(in));
		}
		break;
	}
	case VU_DEVICE_FEATURE:
		PUT(some_argsz(in, 8 + 40));
		PUT((uint32_t)(in8(in) % 16 | (uint32_t)(how & 7) << 16));
		switch (how >> 3 & 3) {
		case 0: /* MIG_DEVICE_STATE */
			PUT((uint32_t)in8(in) % 9);
			PUT((uint32_t)0);
			break;
		case 1: /* DMA_LOGGING_START; ranges follow, as libvfio-user has it */
			PUT((uint64_t)(in8(in) & 1 ? PAGE : in64(in)));
			PUT((uint32_t)in8(in) % 4);
			PUT((uint32_t)0);
			for (unsigned i = 0; i < 2; i++) {
				PUT(some_addr(in));
				PUT(some_size(in));
			}
			break;
		default: /* DMA_LOGGING_REPORT */
			PUT(some_addr(in));
			PUT(some_size(in));
			PUT((uint64_t)(in8(in) & 1 ? PAGE : in64(in)));
			PUT((uint64_t)0);
		}
		break;
	case VU_MIG_DATA_READ:
	case VU_MIG_DATA_WRITE: {
		uint8_t n = in8(in);

		PUT(some_argsz(in, 8u + n));
		PUT((uint32_t)(how & 1 ? in32(in) : n));
		if (what % 20 == VU_MIG_DATA_WRITE) {
			in_bytes(in, data + len, n);
			len += n;
		}
		break;
	}
	default:
		len = in8(in);
		in_bytes(in, data, len);
	}
	/* a part of it, or more than there is to it, or descriptors where none belong */
	if (how == 0x55)
		len = in8(in) % (len + 1);
	else if (how == 0x56)
		len += in8(in);
	else if (how == 0x57)
		num_fds = some_fds(in, fds, in8(in) % 32);
	command(what % 20, flags, data, len, fds, num_fds);
}

/* ---- */

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
	int fd = dup(kinds[EVENT]);

	close(fd);
	return fd;
}

/* Hang up, and wait until the server has done so, too. */
static void hang_up(void)
{
	int broken = cl.spoiled ? shutdown(cl.fd, SHUT_RDWR) : shutdown(cl.fd, SHUT_WR);

	if (!broken && !cl.spoiled)
		receive(true);
	REQUIRE(cl.raw || cl.spoiled || !cl.open || cl.dead, "%u commands without an answer",
		cl.open);
	close(cl.fd);
	for (unsigned i = 0; atomic_load(&gone) != atomic_load(&connected); i++) {
		REQUIRE(i < WAIT_MS, "the client is not gone");
		usleep(i ? 1000 : 50);
	}
}

/* The device is there, and as at first. */
static void check_device(unsigned i)
{
	static uint8_t first[DEVICES][256];
	static bool known[DEVICES];
	const struct vu_region_access a = { .region = 7, .count = 256 };
	uint8_t config[256];
	size_t n = 0;

	connect_to(i);
	version();
	command(VU_REGION_READ, 0, &a, sizeof(a), NULL, 0);
	while (cl.open && !cl.dead) {
		ssize_t got;

		REQUIRE(hears(), "no answer");
		got = recv(cl.fd, cl.in + n, sizeof(cl.in) - n, MSG_DONTWAIT);
		REQUIRE(got > 0, "hung up on the next client");
		n += (size_t)got;
		if (n > 16 + sizeof(a) + 256 + 16) {
			uint32_t size;

			memcpy(&size, cl.in + 4, 4);
			if (n < size + 16 + sizeof(a) + 256)
				continue;
			memcpy(config, cl.in + size + 16 + sizeof(a), 256);
			cl.open = 0;
		}
	}
	if (!known[i])
		memcpy(first[i], config, 256);
	known[i] = true;
	REQUIRE(!memcmp(first[i], config, 256), "another config space than at first");
	hang_up();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned inputs, before;
	static unsigned low;
	struct in in = { data, size };
	uint8_t buf[256];
	unsigned dev;

	if (!server) {
		once();
		/* what is made for the first client stays */
		for (dev = 0; dev < DEVICES; dev++)
			check_device(dev);
		usleep(100000);
		low = (unsigned)lowest();
		before = num_private();
	}
	dev = in8(&in) % DEVICES;
	if (!(inputs++ % 16))
		check_device(dev);
	connect_to(dev);
	cl.answers = in8(&in);
	if (cl.answers & 0x80 || in8(&in) & 7)
		version();
	while (!in_end(&in) && !cl.dead) {
		uint8_t how = in8(&in);

		switch (how & 15) {
		case 0: {
			size_t n = in8(&in);
			int fds[4];

			in_bytes(&in, buf, n);
			cl.raw = true;
			send_some(buf, n, fds, some_fds(&in, fds, how >> 6));
			break;
		}
		case 1:
			receive(false);
			break;
		case 2:
			device_acts(&in);
			break;
		case 3:
			cl.answers = in8(&in);
			break;
		case 4:
			if (ftruncate(trimmed, how & 0x80 ? MEM_SIZE : (off_t)in8(&in) * 512))
				break;
			break;
		default:
			structured(&in);
		}
	}
	hang_up();
	for (unsigned i = 0; num_private() > before + LATE || (unsigned)lowest() > low + LATE;
	     i++) {
		REQUIRE(i < WAIT_MS, "descriptors are left: %u of ours instead of %u, %d of %d",
			num_private(), before, lowest(), low);
		usleep(1000);
	}
	return 0;
}
