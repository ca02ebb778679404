/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/test_server.h: a server of vfio-user for unit tests of clients: one device with
 * config space, a BAR of registers, one of memory and one of ports, which does what it is told. A
 * test may take a message before it, and answer it by any bytes.
 */
#ifndef VFIO_USER_CLIENT_TEST_SERVER_H
#define VFIO_USER_CLIENT_TEST_SERVER_H
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sys.h"
#include "base/util.h"
#include "vfio/device.h"
#include "vfio_user/caps.h"
#include "vfio_user/conn.h"

#define TEST_BAR     0x2000u
#define TEST_VECTORS 8u
#define TEST_MAPS    32u
#define TEST_CAPS    "{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":4096}}"
#define TEST_CAPS_TWIN                                                                       \
	"{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":4096,\"twin_socket\":{" \
	"\"supported\":true,\"fd_index\":0}}}"

/* A mapping that it was told. */
struct test_map {
	struct vu_dma_map map;
	int fd; /* the server's, or -1 */
};

struct test_server {
	char dir[32], path[64];
	int listener, twin_of_client; /* -1: it has none */
	pthread_t thread;
	atomic_uint clients; /* that have come */

	pthread_mutex_t lock; /* of all below */
	struct vu_conn *conn, *twin;
	const char *caps; /* of its answer to VERSION */
	uint16_t minor;
	bool no_file; /* it knows no access mode */
	uint8_t config[256], bar[2][TEST_BAR];
	int memory;		    /* the file of BAR2 */
	int fds[5][TEST_VECTORS];   /* of interrupts; -1: none */
	unsigned counts[32], posts; /* messages that came; writes that want no answer */
	uint64_t last_write;	    /* offset and size of that */
	uint32_t last_size;
	struct test_map maps[TEST_MAPS];
	unsigned num_maps;
	/* Called first, with the lock; true: it has answered. */
	bool (*hook)(struct test_server *t, struct vu_conn *c, struct vu_message *m);
	unsigned number; /* for @hook */
};

static inline void test_answer(struct vu_conn *c, const struct vu_message *m, const void *data,
			       size_t len)
{
	const struct iovec iov = { (void *)data, len };

	vu_conn_reply(c, &m->header, 0, &iov, 1, NULL, 0);
}

static inline void test_error(struct vu_conn *c, const struct vu_message *m, int error)
{
	vu_conn_reply(c, &m->header, error, NULL, 0, NULL, 0);
}

/* Send bytes of an answer that are none of a connection's. */
static inline void test_raw(struct vu_conn *c, const void *data, size_t len)
{
	assert_int_equal(send(vu_conn_fd(c), data, len, MSG_NOSIGNAL), len);
}

static inline void test_version(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct vu_version v = { 0, t->minor };
	struct iovec iov[2] = { { &v, sizeof(v) }, { (void *)t->caps, strlen(t->caps) + 1 } };
	static const struct vu_conn_limits limits = {
		.max_data = 1 << 20, .max_fds = 8, .max_queued = 8, .timeout_ns = 10000000000
	};
	bool twin = strstr(t->caps, "twin_socket");
	int fd[2];

	if (twin) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
		assert_int_equal(vu_conn_new(fd[0], "twin", &limits, &t->twin), 0);
		vu_conn_set_limits(t->twin, &limits, 8);
	}
	vu_conn_set_limits(c, &limits, 8);
	vu_conn_reply(c, &m->header, 0, iov, 2, twin ? &fd[1] : NULL, twin);
	if (twin)
		close(fd[1]);
}

/* BAR2 is a file, from its second page on. */
static inline void test_region(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap sparse;
		struct vfio_region_sparse_mmap_area area;
	} r = { 0 };
	struct iovec iov = { &r, sizeof(r.info) };
	int fds[1] = { t->memory };

	memcpy(&r.info, m->data, sizeof(r.info));
	if (r.info.index >= VFIO_PCI_NUM_REGIONS || r.info.index == VFIO_PCI_VGA_REGION_INDEX) {
		test_error(c, m, -EINVAL);
		return;
	}
	r.info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (r.info.index == VFIO_PCI_CONFIG_REGION_INDEX)
		r.info.size = sizeof(t->config);
	else if (r.info.index == 0 || r.info.index == 2)
		r.info.size = TEST_BAR;
	else if (r.info.index == 4)
		r.info.size = 16;
	else
		r.info.flags = 0;
	if (r.info.index == 2) {
		r.info.flags |= VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
		r.sparse.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
		r.sparse.header.version = 1;
		r.sparse.nr_areas = 1;
		r.area = (struct vfio_region_sparse_mmap_area){ 0x1000, 0x1000 };
		if (r.info.argsz >= sizeof(r)) {
			r.info.cap_offset = sizeof(r.info);
			iov.iov_len = sizeof(r);
		}
	}
	r.info.argsz = r.info.index == 2 ? sizeof(r) : sizeof(r.info);
	vu_conn_reply(c, &m->header, 0, &iov, 1, fds, r.info.index == 2);
}

static inline void test_irq_info(struct vu_conn *c, struct vu_message *m)
{
	static const struct vfio_irq all[] = {
		{ VFIO_IRQ_INFO_EVENTFD, 1 },
		{ VFIO_IRQ_INFO_EVENTFD, 1 },
		{ VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE | VFIO_IRQ_INFO_MASKABLE,
		  TEST_VECTORS },
		{ VFIO_IRQ_INFO_EVENTFD, 1 },
	};
	struct vfio_irq_info info;

	memcpy(&info, m->data, sizeof(info));
	if (info.index >= ARRAY_SIZE(all)) {
		test_error(c, m, -EINVAL);
		return;
	}
	info.flags = all[info.index].flags;
	info.count = all[info.index].count;
	test_answer(c, m, &info, sizeof(info));
}

static inline void test_set_irqs(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct vu_set_irqs set;

	memcpy(&set, m->data, sizeof(set));
	if (!(set.flags & VFIO_IRQ_SET_ACTION_TRIGGER)) {
		test_answer(c, m, NULL, 0);
		return;
	}
	for (uint32_t i = 0; i < TEST_VECTORS; i++) {
		int *fd = &t->fds[set.index][i];

		if (set.count && (i < set.start || i >= set.start + set.count))
			continue;
		if (*fd >= 0)
			close(*fd);
		*fd = set.flags & VFIO_IRQ_SET_DATA_EVENTFD && m->num_fds
			      ? vu_message_take_fd(m, i - set.start)
			      : -1;
	}
	test_answer(c, m, NULL, 0);
}

static inline void test_access(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	bool write = m->header.command == VU_REGION_WRITE;
	struct vu_region_access a;
	uint8_t *bytes;
	size_t size = TEST_BAR;

	memcpy(&a, m->data, sizeof(a));
	bytes = t->bar[a.region == 2];
	if (a.region == VFIO_PCI_CONFIG_REGION_INDEX) {
		bytes = t->config;
		size = sizeof(t->config);
	}
	if (!range_within(a.offset, a.count, size)) {
		test_error(c, m, -EINVAL);
		return;
	}
	if (write) {
		t->posts += (m->header.flags & VU_FLAG_NO_REPLY) != 0;
		t->last_write = a.offset;
		t->last_size = a.count;
		memcpy(bytes + a.offset, m->data + sizeof(a), a.count);
		test_answer(c, m, &a, sizeof(a));
	} else {
		struct iovec iov[2] = { { &a, sizeof(a) }, { bytes + a.offset, a.count } };

		vu_conn_reply(c, &m->header, 0, iov, 2, NULL, 0);
	}
}

static inline void test_dma_map(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct test_map *map = &t->maps[t->num_maps];

	memcpy(&map->map, m->data, sizeof(map->map));
	if (t->num_maps >= TEST_MAPS - 1 || (t->no_file && map->map.flags & ~3u)) {
		test_error(c, m, -EINVAL);
		return;
	}
	map->fd = vu_message_take_fd(m, 0);
	t->num_maps++;
	test_answer(c, m, NULL, 0);
}

static inline void test_dma_unmap(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct vu_dma_unmap u;

	memcpy(&u, m->data, sizeof(u));
	for (unsigned i = 0; i < t->num_maps; i++) {
		if (t->maps[i].map.addr != u.addr || t->maps[i].map.size != u.size)
			continue;
		if (t->maps[i].fd >= 0)
			close(t->maps[i].fd);
		t->maps[i] = t->maps[--t->num_maps];
		test_answer(c, m, &u, sizeof(u));
		return;
	}
	test_error(c, m, -ENOENT);
}

static inline void test_serve(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct vu_device_info info = { sizeof(info),
				       VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
				       VFIO_PCI_NUM_REGIONS, VFIO_PCI_NUM_IRQS };

	t->counts[m->header.command & 31]++;
	if (t->hook && t->hook(t, c, m))
		return;
	switch (m->header.command) {
	case VU_VERSION:
		test_version(t, c, m);
		return;
	case VU_DEVICE_GET_INFO:
		test_answer(c, m, &info, sizeof(info));
		return;
	case VU_DEVICE_GET_REGION_INFO:
		test_region(t, c, m);
		return;
	case VU_DEVICE_GET_IRQ_INFO:
		test_irq_info(c, m);
		return;
	case VU_DEVICE_SET_IRQS:
		test_set_irqs(t, c, m);
		return;
	case VU_REGION_READ:
	case VU_REGION_WRITE:
		test_access(t, c, m);
		return;
	case VU_DMA_MAP:
		test_dma_map(t, c, m);
		return;
	case VU_DMA_UNMAP:
		test_dma_unmap(t, c, m);
		return;
	case VU_DEVICE_RESET:
		test_answer(c, m, NULL, 0);
		return;
	default:
		test_error(c, m, -ENOSYS);
	}
}

/* Forget a client's things. With the lock. */
static inline void test_client_gone(struct test_server *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(t->fds) * TEST_VECTORS; i++) {
		int *fd = &t->fds[i / TEST_VECTORS][i % TEST_VECTORS];

		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
	for (; t->num_maps; t->num_maps--)
		if (t->maps[t->num_maps - 1].fd >= 0)
			close(t->maps[t->num_maps - 1].fd);
	vu_conn_free(t->twin);
	vu_conn_free(t->conn);
	t->conn = t->twin = NULL;
}

static inline void *test_server_main(void *arg)
{
	static const struct vu_conn_limits limits = {
		.max_data = 1 << 20, .max_fds = 8, .max_queued = 8, .timeout_ns = 10000000000
	};
	struct test_server *t = arg;
	struct vu_message m;
	struct vu_conn *c;
	int fd;

	while ((fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR) {
		if (fd < 0)
			continue;
		assert_int_equal(vu_conn_new(fd, "server", &limits, &c), 0);
		pthread_mutex_lock(&t->lock);
		t->conn = c;
		pthread_mutex_unlock(&t->lock);
		atomic_fetch_add(&t->clients, 1);
		while (!vu_conn_next(c, UINT64_MAX, &m)) {
			pthread_mutex_lock(&t->lock);
			test_serve(t, c, &m);
			pthread_mutex_unlock(&t->lock);
			vu_message_fini(&m);
		}
		pthread_mutex_lock(&t->lock);
		test_client_gone(t);
		pthread_mutex_unlock(&t->lock);
	}
	return NULL;
}

static inline void test_put32(uint8_t *config, unsigned off, uint32_t v)
{
	memcpy(config + off, &v, 4);
}

static inline void test_server_start(struct test_server *t)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memset(t, 0, sizeof(*t));
	strcpy(t->dir, "/tmp/uvfio-client-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->path, sizeof(t->path), "%s/socket", t->dir);
	strcpy(a.sun_path, t->path);
	t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t->listener, (void *)&a, sizeof(a)), 0);
	assert_int_equal(listen(t->listener, SOMAXCONN), 0);
	pthread_mutex_init(&t->lock, NULL);
	t->caps = TEST_CAPS;
	memset(t->fds, 0xff, sizeof(t->fds));
	t->memory = memfd_create("bar2", MFD_CLOEXEC);
	assert_int_equal(ftruncate(t->memory, TEST_BAR), 0);
	test_put32(t->config, PCI_VENDOR_ID, 0x56781234);
	test_put32(t->config, PCI_BASE_ADDRESS_0 + 8, PCI_BASE_ADDRESS_MEM_TYPE_64);
	test_put32(t->config, PCI_BASE_ADDRESS_0 + 16, PCI_BASE_ADDRESS_SPACE_IO);
	t->config[PCI_INTERRUPT_PIN] = 1;
	t->config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	t->config[PCI_CAPABILITY_LIST] = 0x40;
	/* MSI-X with its table in BAR0 */
	test_put32(t->config, 0x40, PCI_CAP_ID_MSIX | (TEST_VECTORS - 1) << 16);
	test_put32(t->config, 0x44, 0x1000);
	assert_int_equal(pthread_create(&t->thread, NULL, test_server_main, t), 0);
}

/* Have the client's connection die, as if the server had. */
static inline void test_server_kill(struct test_server *t)
{
	pthread_mutex_lock(&t->lock);
	if (t->twin)
		vu_conn_kill(t->twin, -ENODEV);
	if (t->conn)
		vu_conn_kill(t->conn, -ENODEV);
	pthread_mutex_unlock(&t->lock);
}

static inline void test_server_stop(struct test_server *t)
{
	shutdown(t->listener, SHUT_RDWR);
	test_server_kill(t);
	pthread_join(t->thread, NULL);
	close(t->listener);
	close(t->memory);
	unlink(t->path);
	rmdir(t->dir);
	pthread_mutex_destroy(&t->lock);
}

static inline void test_set_hook(struct test_server *t,
				 bool (*hook)(struct test_server *, struct vu_conn *,
					      struct vu_message *))
{
	pthread_mutex_lock(&t->lock);
	t->hook = hook;
	pthread_mutex_unlock(&t->lock);
}

static inline unsigned test_count(struct test_server *t, unsigned command)
{
	unsigned n;

	pthread_mutex_lock(&t->lock);
	n = t->counts[command];
	pthread_mutex_unlock(&t->lock);
	return n;
}
#endif
