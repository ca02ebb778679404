/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/vu_client.c: our client with a hostile server. Between the client and a good server of ours
 * (testdev, edu) is a thread that passes on what the client says, and changes what comes back as
 * the input has it: fields, lengths, errors, descriptors, commands that nobody waits for, the end.
 * The client may fail in any call, but it comes back from each, and leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "uvfio/server.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/sys.h"
#include "fuzz.h"
#include "models/testdev/regs.h"
#include "vfio/group.h"
#include "vfio/ioas.h"
#include "vfio/open.h"
#include "vfio_user/client/client.h"
#include "vfio_user/wire.h"

#define DEVICES	 2u
#define MEM_SIZE (16u << 12)
#define LATE	 16u /* descriptors that are made when they are needed first, and stay */

static const char *const specs[DEVICES] = { "testdev,ram=8K,vectors=4,migration=on",
					    "edu,dma_delay=1,factorial_delay=1" };
static struct uvfio_server *server;
static struct sockaddr_un address[DEVICES];
static socklen_t address_len[DEVICES];
static int event_fd;
static uint8_t *mem;

static struct vfio_system *sys;
static struct iommu_group *ig;
static struct vfio_group *group;
static struct loop *devices, *irqs;
static sem_t gone; /* the server let go of a client */

static void event(void *ctx, struct uvfio_server_device *dev, enum uvfio_server_event e,
		  unsigned client, int error)
{
	if (e == UVFIO_SERVER_REFUSED || e == UVFIO_SERVER_DISCONNECTED)
		sem_post(&gone);
}

static void once(void)
{
	static const struct uvfio_server_ops ops = { .event = event };

	log_set(2, LOG_NONE);
	guard_install();
	sem_init(&gone, 0, 0);
	server = uvfio_server_new(&ops, NULL);
	REQUIRE(server, "a server");
	for (unsigned i = 0; i < DEVICES; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		address[i].sun_family = AF_UNIX;
		address_len[i] = sizeof(address[i]);
		REQUIRE(!bind(fd, (struct sockaddr *)&address[i], sizeof(sa_family_t)) &&
				!listen(fd, 16),
			"a socket");
		getsockname(fd, (struct sockaddr *)&address[i], &address_len[i]);
		REQUIRE(!uvfio_server_add_fd(server, specs[i], fd, NULL), "%s",
			uvfio_server_strerror(server));
	}
	REQUIRE(!uvfio_server_set_limit(server, "dma-timeout", 20), "a limit");
	REQUIRE(!uvfio_server_start(server), "%s", uvfio_server_strerror(server));
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sys = vfio_system_new(NULL, NULL);
	ig = iommu_group_new(1);
	devices = loop_new();
	irqs = loop_new();
	REQUIRE(mem != MAP_FAILED && sys && ig && devices && irqs, "memory");
	REQUIRE(!vfio_system_add_group(sys, ig, &group), "a group");
}

/* ---- the thread in between ---- */

struct between {
	struct in in;
	int client, server;
	bool over;
	uint8_t buf[1 << 17];
	size_t have;
	int fds[16];
	unsigned num_fds;
};

static ssize_t pass(int to, const void *buf, size_t len, const int *fds, unsigned n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)buf, len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c = (struct cmsghdr *)control;

	if (n) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(to, &mh, MSG_NOSIGNAL);
}

/* Receive what there is. Descriptors are added to @fds. */
static ssize_t take(int from, void *buf, size_t room, int *fds, unsigned *n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
	struct iovec iov = { buf, room };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(from, &mh, MSG_CMSG_CLOEXEC);

	for (struct cmsghdr *c = got > 0 ? CMSG_FIRSTHDR(&mh) : NULL; c; c = CMSG_NXTHDR(&mh, c))
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd = ((int *)CMSG_DATA(c))[i];

			if (*n < 16)
				fds[(*n)++] = fd;
			else
				close(fd);
		}
	return got;
}

static void close_all(int *fds, unsigned *n)
{
	while (*n)
		close(fds[--*n]);
}

/* A command that the client does not expect. */
static void command(struct between *b, uint16_t cmd)
{
	struct {
		struct vu_header h;
		struct vu_dma_access a;
		uint8_t data[256];
	} m = { .h = { .id = in8(&b->in), .command = cmd },
		.a = { (uint64_t)in8(&b->in) << 11, in16(&b->in) } };
	size_t more = cmd == VU_DMA_WRITE ? in8(&b->in) : 0;

	m.h.size = (uint32_t)(sizeof(m.h) + sizeof(m.a) + more);
	pass(b->client, &m, m.h.size, NULL, 0);
}

/* Pass the message at b->buf with @size bytes on to the client, changed. */
static void change(struct between *b, uint32_t size)
{
	struct vu_header *h = (struct vu_header *)b->buf;
	uint8_t copy[1 << 16], how = in8(&b->in);
	bool twice = false;

	if (size > sizeof(copy) - 256) {
		pass(b->client, b->buf, size, b->fds, b->num_fds);
		return;
	}
	memcpy(copy, b->buf, size);
	memset(copy + size, 0, 256);
	h = (struct vu_header *)copy;
	switch (how & 0x80 ? how & 15 : 15) {
	case 0:
		h->flags |= VU_FLAG_ERROR;
		h->error = in8(&b->in);
		h->size = sizeof(*h);
		break;
	case 1: /* shorter */
		h->size -= in8(&b->in) % (size - sizeof(*h) + 1);
		break;
	case 2: /* some bytes behind the header */
		for (unsigned i = in8(&b->in) % 8; i < 8 && size > sizeof(*h); i++)
			copy[sizeof(*h) + in16(&b->in) % (size - sizeof(*h))] = in8(&b->in);
		break;
	case 3:
		copy[in8(&b->in) % sizeof(*h)] = in8(&b->in);
		break;
	case 4: /* longer */
		h->size += in8(&b->in);
		break;
	case 5: /* a descriptor more */
		if (b->num_fds < 16)
			b->fds[b->num_fds++] = fcntl(event_fd, F_DUPFD_CLOEXEC, 0);
		break;
	case 6:
		close_all(b->fds, &b->num_fds);
		break;
	case 7:
		command(b, VU_DMA_READ);
		break;
	case 8:
		command(b, VU_DMA_WRITE);
		break;
	case 9:
		shutdown(b->client, SHUT_RDWR);
		break;
	case 10:
		twice = true;
		break;
	case 11: /* a word of the reply, where structs have their numbers */
		if (size >= sizeof(*h) + 16)
			memset(copy + sizeof(*h) + 4 * (in8(&b->in) % 4), in8(&b->in), 4);
		break;
	case 12: /* in two pieces, with the descriptors at the second */
		pass(b->client, copy, 5, NULL, 0);
		pass(b->client, copy + 5, h->size < 6 ? 1 : h->size - 5, b->fds, b->num_fds);
		return;
	case 13:
		command(b, in8(&b->in) % 20);
		break;
	default:
		break;
	}
	size = h->size < size + 256 ? h->size : size;
	pass(b->client, copy, size ? size : 1, b->fds, b->num_fds);
	if (twice)
		pass(b->client, copy, size ? size : 1, b->fds, b->num_fds);
}

static void *between(void *arg)
{
	struct between *b = arg;
	struct pollfd p[2] = { { b->client, POLLIN, 0 }, { b->server, POLLIN, 0 } };
	static __thread uint8_t buf[1 << 16];
	unsigned n = 0;
	int fds[16];
	ssize_t got;

	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue; /* libFuzzer's alarm */
		if (p[0].revents) {
			got = take(b->client, buf, sizeof(buf), fds, &n);
			if (got <= 0)
				break;
			pass(b->server, buf, (size_t)got, fds, n);
			close_all(fds, &n);
		}
		if (p[1].revents) {
			uint32_t size;

			got = take(b->server, b->buf + b->have, sizeof(b->buf) - b->have, b->fds,
				   &b->num_fds);
			if (got <= 0)
				break;
			b->have += (size_t)got;
			while (b->have >= sizeof(struct vu_header)) {
				memcpy(&size, b->buf + offsetof(struct vu_header, size), 4);
				if (b->have < size)
					break;
				change(b, size);
				close_all(b->fds, &b->num_fds);
				memmove(b->buf, b->buf + size, b->have - size);
				b->have -= size;
			}
		}
	}
	close_all(b->fds, &b->num_fds);
	/* the server hears it at once; the client's end is ours to keep open until it is closed */
	shutdown(b->client, SHUT_RDWR);
	close(b->server);
	return NULL;
}

/* ---- the client ---- */

static void use(struct vfio_open *o)
{
	struct vfio_device *d = o->dev;
	uint64_t v = 0;

	for (unsigned r = 0; r < d->num_regions && r < 12; r++) {
		struct vfio_region info;

		if (!vfio_device_region(o, r, &info))
			vfio_device_rw(o, r, 0, &v, 4, false);
	}
	v = 6;
	vfio_device_rw(o, VFIO_PCI_CONFIG_REGION_INDEX, 4, &v, 2, true);
	for (unsigned i = 0; i < 5; i++)
		vfio_device_rw(o, VFIO_PCI_CONFIG_REGION_INDEX, 4 * i, &v, 4, false);
	v = 0x1000;
	vfio_device_rw(o, 2, TD_DMA_SRC, &v, 8, true);
	vfio_device_rw(o, 2, TD_DMA_DST, &v, 8, true);
	v = 64;
	vfio_device_rw(o, 2, TD_DMA_LEN, &v, 8, true);
	v = TD_OP_COPY;
	vfio_device_rw(o, 2, TD_DMA_CMD, &v, 4, true);
	vfio_device_rw(o, 2, TD_DMA_STATUS, &v, 4, false);
	vfio_device_reset(o);
}

static void session(unsigned dev, struct between *b)
{
	struct vu_client_options options = {
		.name = "fuzz", .devices = devices, .irqs = irqs, .timeout_ns = 50000000
	};
	struct vu_client *c;
	struct vfio_open o;
	struct vfio_ioas *io;
	pthread_t thread;
	char where[32], *err = NULL;
	int pair[2];

	b->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(!connect(b->server, (struct sockaddr *)&address[dev], address_len[dev]), "%d",
		errno);
	REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "a pair");
	b->client = pair[1];
	REQUIRE(!pthread_create(&thread, NULL, between, b), "a thread");
	snprintf(where, sizeof(where), "fd:%d", pair[0]);
	if (!vu_client_new(where, &options, &c, &err)) {
		REQUIRE(!iommu_group_add(ig, vu_client_iommu(c)) &&
				!vfio_group_add_device(group, vu_client_vdev(c)),
			"a group");
		io = vfio_ioas_new(sys, false);
		vfio_ioas_map(io, 0x1000, (uintptr_t)mem, MEM_SIZE / 2, IOMMU_READ | IOMMU_WRITE);
		vfio_open_init(&o, vu_client_vdev(c));
		if (!vfio_open_bind(&o)) {
			if (!vfio_device_attach(&o, io)) {
				vfio_ioas_map(io, 0x100000, (uintptr_t)mem + MEM_SIZE / 2,
					      MEM_SIZE / 2, IOMMU_READ);
				use(&o);
				vfio_ioas_unmap(io, 0x1000, MEM_SIZE / 2, &(uint64_t){ 0 });
				use(&o);
			}
		}
		vfio_open_close(&o);
		vfio_ioas_put(io);
		vfio_group_remove_device(group, vu_client_vdev(c));
		iommu_group_remove(ig, vu_client_iommu(c));
		vu_client_free(c);
	}
	free(err);
	/* the thread may wait for the server, which may wait for it */
	shutdown(pair[0], SHUT_RDWR);
	shutdown(b->server, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(pair[0]);
	close(pair[1]);
	/* a server at work has memory that a search for leaks would take for lost */
	while (sem_wait(&gone))
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct between b;
	static unsigned low;
	int now;

	if (!server)
		once();
	memset(&b, 0, offsetof(struct between, buf));
	b.have = b.num_fds = 0;
	b.in = (struct in){ data, size };
	session(in8(&b.in) % DEVICES, &b);
	now = dup(event_fd);
	close(now);
	if (!low)
		low = (unsigned)now;
	REQUIRE((unsigned)now <= low + LATE,
		"descriptors are left: %d is the first that is free, "
		"instead of %u",
		now, low);
	return 0;
}
