/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/test_server.h: for unit tests: a server with a device of a machine, and clients
 * that are bytes on a socket.
 */
#ifndef VFIO_USER_SERVER_TEST_SERVER_H
#define VFIO_USER_SERVER_TEST_SERVER_H
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/test_signals.h"
#include "machine/machine.h"
#include "models/testdev/regs.h"
#include "vfio_user/server/server.h"
#include "vfio_user/test_conn.h"
#include "vfio_user/wire.h"

#define K4	 4096ull
#define RAM	 0x100000ull /* where tests map memory */
#define CONFIG	 VFIO_PCI_CONFIG_REGION_INDEX
#define REGS	 2u	/* testdev's registers */
#define MAX_DATA 65536u /* the server's max_data_xfer_size */

struct test_server {
	struct machine *m;
	struct vu_server *server;
	struct vu_server_config cfg;
	struct sockaddr_un at;
	socklen_t at_len;
	int fd; /* the listening socket, which the server has a duplicate of */
	sem_t events[VU_SERVER_DISCONNECTED + 1];
	atomic_int errors[VU_SERVER_DISCONNECTED + 1]; /* of the last one of each */
};

static inline void test_event(void *arg, enum vu_server_event e, unsigned client, int error)
{
	struct test_server *t = arg;

	atomic_store(&t->errors[e], error);
	sem_post(&t->events[e]);
}

/* Wait for an event. Return its error. */
static inline int test_await(struct test_server *t, enum vu_server_event e)
{
	while (sem_wait(&t->events[e]))
		;
	return atomic_load(&t->errors[e]);
}

static inline int test_start(struct test_server *t)
{
	int fd = dup(t->fd);

	assert_true(fd >= 0);
	return vu_server_new(&t->cfg, fd, &t->server);
}

/* A server of the device @spec, that listens at a name that the kernel chooses. */
static inline void test_server_begin(struct test_server *t, const char *spec)
{
	char *why = NULL;

	log_set(STDERR_FILENO, LOG_NONE);
	memset(t, 0, sizeof(*t));
	for (unsigned i = 0; i < ARRAY_SIZE(t->events); i++)
		sem_init(&t->events[i], 0, 0);
	t->m = machine_new();
	assert_non_null(t->m);
	if (machine_add(t->m, spec, &why) || machine_start(t->m, &why))
		fail_msg("%s: %s", spec, why);
	t->cfg =
		(struct vu_server_config){ .system = machine_system(t->m),
					   .dev = machine_device(t->m, 0)->vdev,
					   .name = machine_device(t->m, 0)->addr,
					   .limits = { .max_dma_maps = 2000, .max_data = MAX_DATA },
					   .event = test_event,
					   .arg = t };
	t->at.sun_family = AF_UNIX;
	t->at_len = sizeof(t->at);
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(t->fd >= 0);
	assert_int_equal(bind(t->fd, (struct sockaddr *)&t->at, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(t->fd, (struct sockaddr *)&t->at, &t->at_len), 0);
	assert_int_equal(listen(t->fd, 16), 0);
	assert_int_equal(test_start(t), 0);
}

static inline void test_server_end(struct test_server *t)
{
	vu_server_free(t->server);
	close(t->fd);
	machine_free(t->m, false);
	for (unsigned i = 0; i < ARRAY_SIZE(t->events); i++)
		sem_destroy(&t->events[i]);
}

/* ---- a client: its socket ---- */

/* A message that came. */
struct reply {
	struct vu_header h;
	size_t len;
	_Alignas(8) uint8_t data[MAX_DATA + 64];
	int fds[VU_MAX_FDS];
	unsigned num_fds;
};

static inline void reply_close_fds(struct reply *r)
{
	for (unsigned i = 0; i < r->num_fds; i++)
		close(r->fds[i]);
	r->num_fds = 0;
}

static inline int client_connect(const struct test_server *t)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&t->at, t->at_len), 0);
	return fd;
}

/* Wait for the next message. False: the server has hung up. */
static inline bool client_receive(int fd, struct reply *r)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(VU_MAX_FDS * sizeof(int))];
	struct iovec iov = { &r->h, sizeof(r->h) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control) };
	struct cmsghdr *cm;
	ssize_t n = recvmsg(fd, &mh, MSG_WAITALL | MSG_CMSG_CLOEXEC);

	r->num_fds = 0;
	if (n <= 0)
		return false;
	assert_int_equal(n, sizeof(r->h));
	cm = CMSG_FIRSTHDR(&mh);
	if (cm) {
		r->num_fds = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(r->fds, CMSG_DATA(cm), r->num_fds * sizeof(int));
	}
	r->len = r->h.size - sizeof(r->h);
	assert_true(r->len <= sizeof(r->data));
	if (r->len)
		recv_raw(fd, r->data, r->len);
	return true;
}

/* Send a command with its data and descriptors; its number is @id. */
static inline void client_send(int fd, uint16_t id, uint16_t command, uint32_t flags,
			       const void *data, size_t len, const int *fds, unsigned num_fds)
{
	uint8_t *m = malloc(sizeof(struct vu_header) + len);

	assert_non_null(m);
	send_raw(fd, m, put_message(m, id, command, flags, data, len), fds, num_fds);
	free(m);
}

/* Make a call. Return 0 or the error of the reply, which must be the next message. */
static inline int client_call_fds(int fd, uint16_t command, const void *data, size_t len,
				  const int *fds, unsigned num_fds, struct reply *r)
{
	static _Atomic uint16_t last;
	uint16_t id = (uint16_t)(atomic_fetch_add(&last, 1) & 0xfff);

	client_send(fd, id, command, 0, data, len, fds, num_fds);
	assert_true(client_receive(fd, r));
	assert_int_equal(r->h.id, id);
	assert_int_equal(r->h.command, command);
	assert_int_equal(r->h.flags & ~VU_FLAG_ERROR, VU_TYPE_REPLY);
	if (!(r->h.flags & VU_FLAG_ERROR))
		return 0;
	assert_int_equal(r->len, 0);
	assert_int_equal(r->num_fds, 0);
	assert_true(r->h.error);
	return (int)r->h.error;
}

static inline int client_call(int fd, uint16_t command, const void *data, size_t len,
			      struct reply *r)
{
	return client_call_fds(fd, command, data, len, NULL, 0, r);
}

/* Send VERSION with @caps (NULL: no text). Return 0 or the error. */
static inline int client_version(int fd, const char *caps, struct reply *r)
{
	struct {
		struct vu_version v;
		char text[1000];
	} m = { .v = { VU_MAJOR, VU_MINOR } };
	size_t len = sizeof(m.v);

	if (caps)
		len += (size_t)snprintf(m.text, sizeof(m.text), "{\"capabilities\":%s}", caps) + 1;
	return client_call(fd, VU_VERSION, &m, len, r);
}

/* A client that has the device. */
static inline int client_new(const struct test_server *t)
{
	static struct reply r;
	int fd = client_connect(t);

	assert_int_equal(client_version(fd, "{\"max_msg_fds\":16}", &r), 0);
	return fd;
}

static inline int client_read(int fd, uint32_t region, uint64_t offset, void *buf, uint32_t count,
			      struct reply *r)
{
	struct vu_region_access a = { .offset = offset, .region = region, .count = count };
	int ret = client_call(fd, VU_REGION_READ, &a, sizeof(a), r);

	if (!ret) {
		assert_int_equal(r->len, sizeof(a) + count);
		assert_memory_equal(r->data, &a, sizeof(a));
		memcpy(buf, r->data + sizeof(a), count);
	}
	return ret;
}

static inline int client_write(int fd, uint32_t region, uint64_t offset, const void *buf,
			       uint32_t count, struct reply *r)
{
	struct vu_region_access a = { .offset = offset, .region = region, .count = count };
	uint8_t *m = malloc(sizeof(a) + count);
	int ret;

	assert_non_null(m);
	memcpy(m, &a, sizeof(a));
	memcpy(m + sizeof(a), buf, count);
	ret = client_call(fd, VU_REGION_WRITE, m, sizeof(a) + count, r);
	free(m);
	if (!ret) {
		assert_int_equal(r->len, sizeof(a));
		assert_memory_equal(r->data, &a, sizeof(a));
	}
	return ret;
}

static inline uint32_t client_get(int fd, uint32_t region, uint64_t offset)
{
	static __thread struct reply r;
	uint32_t v = 0;

	assert_int_equal(client_read(fd, region, offset, &v, sizeof(v), &r), 0);
	return v;
}

static inline void client_put(int fd, uint32_t region, uint64_t offset, uint64_t v, unsigned size)
{
	static __thread struct reply r;

	assert_int_equal(client_write(fd, region, offset, &v, size, &r), 0);
}

/* Let the device answer, and do DMA. */
static inline void client_enable(int fd)
{
	client_put(fd, CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static inline int client_map(int fd, uint64_t addr, uint64_t size, uint64_t offset, uint32_t flags,
			     int memory, struct reply *r)
{
	struct vu_dma_map d = {
		.argsz = sizeof(d), .flags = flags, .offset = offset, .addr = addr, .size = size
	};

	return client_call_fds(fd, VU_DMA_MAP, &d, sizeof(d), &memory, memory >= 0 ? 1 : 0, r);
}

static inline int client_unmap(int fd, uint64_t addr, uint64_t size, uint32_t flags,
			       struct reply *r)
{
	struct vu_dma_unmap d = { .argsz = sizeof(d), .flags = flags, .addr = addr, .size = size };
	int ret = client_call(fd, VU_DMA_UNMAP, &d, sizeof(d), r);

	if (!ret) {
		assert_int_equal(r->len, sizeof(d));
		assert_memory_equal(r->data, &d, sizeof(d));
	}
	return ret;
}

/* Have testdev copy @len bytes from @src to @dst. Return its status. */
static inline uint32_t client_dma(int fd, uint64_t src, uint64_t dst, uint64_t len)
{
	client_put(fd, REGS, TD_DMA_SRC, src, 8);
	client_put(fd, REGS, TD_DMA_DST, dst, 8);
	client_put(fd, REGS, TD_DMA_LEN, len, 8);
	client_put(fd, REGS, TD_DMA_CMD, TD_OP_COPY, 4);
	return client_get(fd, REGS, TD_DMA_STATUS);
}

/* Make a file of memory with @size bytes, which is mapped at *@mem. */
static inline int make_memory(uint64_t size, uint8_t **mem)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	*mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*mem != MAP_FAILED);
	return fd;
}

/* Return how often an eventfd was signalled, which is waited for if @wait. */
static inline uint64_t eventfd_count(int fd, bool wait)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, wait ? -1 : 0) == 1)
		assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	return n;
}
#endif
