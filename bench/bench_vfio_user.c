/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_vfio_user.c: vfio-user-bench SOCKET: what a server of vfio-user takes for an answer,
 * whoever made it, beside a bare socket with another process at its other end: reads and writes of
 * a register, mappings, interrupts, with one mapping there and with many.
 *
 *	vfio-user-bench [--region N] [--offset N] [--maps N] SOCKET
 *		each operation is timed: minimum, median, 99th percentile, in nanoseconds
 *	vfio-user-bench --rows one|two SOCKET
 *		rows of `make bench`: both processes on one CPU; or on two, by the socket and by the
 *		ring, if the server is ours
 *
 * The operations change nothing: a read of config space and a write of the ids there, where they
 * are read-only, memory of our own, an eventfd that is taken back.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <linux/vfio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "bench.h"
#include "vfio_user/caps.h"
#include "vfio_user/conn.h"
#include "vfio_user/ring.h"

#define REQUEST (sizeof(struct vu_header) + sizeof(struct vu_region_access))
#define REPLY	(REQUEST + 4)
#define PAGE	4096ull
#define IOVA	(1ull << 32)
#define TIMEOUT 60000000000ull

static struct server {
	const char *path;
	struct vu_conn *conn;
	struct vu_ring *ring; /* NULL: it has none */
	struct vu_caps caps;
	uint32_t region, irq_index;
	uint64_t offset;
	bool has_irq;
	int memory, event;  /* what is mapped, and a vector's eventfd */
	uint32_t maps;	    /* those that stay */
	int bare, swallows; /* bare sockets: one answers, the other one only reads */
} s = { .region = VFIO_PCI_CONFIG_REGION_INDEX };

/* ---- the bare socket */

static void pin(pid_t pid, unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		bench_die("sched_setaffinity", errno);
}

/* Receive with room for descriptors, which each message of the protocol may have. */
static ssize_t receive(int fd, void *buf, size_t n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))];
	struct iovec iov = { buf, n };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control) };

	return recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
}

static void echo(int fd)
{
	uint8_t buf[REPLY] = { 0 };

	while (receive(fd, buf, REQUEST) == REQUEST)
		if (send(fd, buf, REPLY, MSG_NOSIGNAL) != REPLY)
			break;
}

static void swallow(int fd)
{
	uint8_t buf[REPLY];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

/* Return the socket of a process that does @fn with the other end; @cpu: -1: any. */
static int other_end(void (*fn)(int fd), int cpu)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd))
		bench_die("socketpair", errno);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fd[0]);
		if (cpu >= 0)
			pin(0, (unsigned)cpu);
		fn(fd[1]);
		_exit(0);
	}
	close(fd[1]);
	return fd[0];
}

static void bare_trip(void *arg, uint64_t n)
{
	uint8_t buf[REPLY] = { 0 };

	for (; n; n--)
		if (send(s.bare, buf, REQUEST, 0) != REQUEST ||
		    receive(s.bare, buf, REPLY) != REPLY)
			bench_die("the bare socket", errno);
}

static void bare_send(void *arg, uint64_t n)
{
	uint8_t buf[REPLY] = { 0 };

	for (; n; n--)
		if (send(s.swallows, buf, REPLY, 0) != REPLY)
			bench_die("the bare socket", errno);
}

/* ---- operations */

/* Send a command and wait for its answer. 0 or -errno. */
static int call(uint16_t command, const void *data, size_t len, const int *fd)
{
	const struct iovec iov = { (void *)data, len };
	const struct vu_call k = { .command = command,
				   .iov = &iov,
				   .iovcnt = 1,
				   .fds = fd,
				   .num_fds = fd ? 1 : 0,
				   .timeout_ns = TIMEOUT };
	struct vu_message r;
	int rc = vu_conn_call(s.conn, &k, &r);

	vu_message_fini(&r);
	return rc;
}

static void must(const char *what, int rc)
{
	if (rc)
		bench_die(what, rc);
}

static void do_read(void *arg, uint64_t n)
{
	struct vu_region_access a = { s.offset, s.region, 4 };

	for (; n; n--)
		must("REGION_READ", call(VU_REGION_READ, &a, sizeof(a), NULL));
}

struct write {
	struct vu_region_access a;
	uint32_t value;
} __attribute__((packed));

static void do_write(void *arg, uint64_t n)
{
	struct write w = { { s.offset, s.region, 4 }, 0 };

	for (; n; n--)
		must("REGION_WRITE", call(VU_REGION_WRITE, &w, sizeof(w), NULL));
}

static void do_post(void *arg, uint64_t n)
{
	struct write w = { { s.offset, s.region, 4 }, 0 };
	const struct iovec iov = { &w, sizeof(w) };
	const struct vu_call k = { .command = VU_REGION_WRITE, .iov = &iov, .iovcnt = 1 };

	for (; n; n--)
		must("a posted REGION_WRITE", vu_conn_post(s.conn, &k));
}

static void do_ring_read(void *arg, uint64_t n)
{
	uint32_t v;

	for (; n; n--) {
		int rc = vu_ring_access(s.ring, s.region, s.offset, &v, 4, false, false);

		if (rc == VU_RING_BUSY)
			do_read(NULL, 1);
		else
			must("a read by the ring", rc);
	}
}

static void do_ring_post(void *arg, uint64_t n)
{
	uint32_t v = 0;

	for (; n; n--) {
		int rc = vu_ring_access(s.ring, s.region, s.offset, &v, 4, true, true);

		if (rc == VU_RING_BUSY)
			do_write(NULL, 1);
		else
			must("a posted write by the ring", rc);
	}
}

static int map_page(uint64_t i)
{
	struct vu_dma_map d = { .argsz = sizeof(d),
				.flags = VU_DMA_READABLE | VU_DMA_WRITEABLE,
				.offset = i * PAGE,
				.addr = IOVA + i * PAGE,
				.size = PAGE };

	return call(VU_DMA_MAP, &d, sizeof(d), &s.memory);
}

static int unmap_page(uint64_t i)
{
	struct vu_dma_unmap d = { .argsz = sizeof(d), .addr = IOVA + i * PAGE, .size = PAGE };

	return call(VU_DMA_UNMAP, &d, sizeof(d), NULL);
}

static void do_map(void *arg, uint64_t n)
{
	for (; n; n--) {
		must("DMA_MAP", map_page(s.maps));
		must("DMA_UNMAP", unmap_page(s.maps));
	}
}

static int set_irqs(uint32_t data, uint32_t count)
{
	struct vu_set_irqs q = { .argsz = sizeof(q),
				 .flags = data | VFIO_IRQ_SET_ACTION_TRIGGER,
				 .index = s.irq_index,
				 .count = count };

	return call(VU_DEVICE_SET_IRQS, &q, sizeof(q),
		    data == VFIO_IRQ_SET_DATA_EVENTFD ? &s.event : NULL);
}

static void do_irqs(void *arg, uint64_t n)
{
	for (; n; n--) {
		must("SET_IRQS with an eventfd", set_irqs(VFIO_IRQ_SET_DATA_EVENTFD, 1));
		must("SET_IRQS with none", set_irqs(VFIO_IRQ_SET_DATA_NONE, 0));
	}
}

/* What has no descriptor goes by the ring as well: here a vector's mask. */
static struct vu_set_irqs mask_of(bool set)
{
	return (struct vu_set_irqs){ .argsz = sizeof(struct vu_set_irqs),
				     .flags = VFIO_IRQ_SET_DATA_NONE |
					      (set ? VFIO_IRQ_SET_ACTION_MASK
						   : VFIO_IRQ_SET_ACTION_UNMASK),
				     .index = VFIO_PCI_MSIX_IRQ_INDEX,
				     .count = 1 };
}

static void do_mask(void *arg, uint64_t n)
{
	for (; n; n--)
		for (unsigned i = 0; i < 2; i++) {
			struct vu_set_irqs q = mask_of(!i);

			must("SET_IRQS of a mask", call(VU_DEVICE_SET_IRQS, &q, sizeof(q), NULL));
		}
}

static void do_ring_mask(void *arg, uint64_t n)
{
	for (; n; n--)
		for (unsigned i = 0; i < 2; i++) {
			struct vu_set_irqs q = mask_of(!i);
			int rc = vu_ring_set_irqs(s.ring, &q, NULL);

			if (rc == VU_RING_BUSY)
				rc = call(VU_DEVICE_SET_IRQS, &q, sizeof(q), NULL);
			must("SET_IRQS of a mask, by the ring", rc);
		}
}

/* Have so many mappings stay. Return how many there are: the server may take less. */
static uint32_t keep_maps(uint32_t n)
{
	int rc = 0;

	for (; s.maps < n && !rc; s.maps += !rc)
		rc = map_page(s.maps);
	if (rc)
		printf("  (the server takes %u mappings: %s)\n", s.maps, strerror(-rc));
	/* one is mapped and unmapped beside them */
	if (rc && s.maps)
		must("DMA_UNMAP", unmap_page(--s.maps));
	return s.maps;
}

/* ---- the server */

static void agree(void)
{
	struct vu_version v = { VU_MAJOR, VU_MINOR };
	char text[VU_CAPS_MAX];
	struct iovec iov[2] = { { &v, sizeof(v) }, { text, 0 } };
	struct vu_call k = {
		.command = VU_VERSION, .iov = iov, .iovcnt = 2, .timeout_ns = TIMEOUT
	};
	const char *why = "";
	struct vu_message r;
	struct vu_caps c;

	vu_caps_default(&c);
	c.max_msg_fds = 8;
	c.max_dma_maps = 1u << 20;
	c.ring = true;
	c.named = VU_CAP_FDS | VU_CAP_DATA | VU_CAP_DMA_MAPS | VU_CAP_UVFIO;
	iov[1].iov_len = (size_t)vu_caps_write(&c, text, sizeof(text));
	must("VERSION", vu_conn_call(s.conn, &k, &r));
	if (r.len < sizeof(v) ||
	    vu_caps_parse((char *)r.data + sizeof(v), r.len - sizeof(v), &s.caps, &why))
		bench_die(why, EPROTO);
	vu_message_fini(&r);
}

static void take_ring(void)
{
	struct vu_ring_info info = { 0 };
	const struct iovec iov = { &info, sizeof(info) };
	struct vu_call k = {
		.command = VU_UVFIO_RING, .iov = &iov, .iovcnt = 1, .timeout_ns = TIMEOUT
	};
	struct vu_message r;

	if (!s.caps.ring)
		return;
	must("UVFIO_RING", vu_conn_call(s.conn, &k, &r));
	if (r.len != sizeof(info) || r.num_fds != 1)
		bench_die("UVFIO_RING", EPROTO);
	memcpy(&info, r.data, sizeof(info));
	must("the ring", vu_ring_new(s.conn, &info, r.fds[0], TIMEOUT, &s.ring));
	vu_message_fini(&r);
}

/* Find an interrupt that can be set up: MSI-X, MSI or INTx. */
static void find_irq(void)
{
	static const uint32_t order[] = { VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
					  VFIO_PCI_INTX_IRQ_INDEX };

	for (unsigned i = 0; i < 3 && !s.has_irq; i++) {
		s.irq_index = order[i];
		s.has_irq = !set_irqs(VFIO_IRQ_SET_DATA_EVENTFD, 1);
	}
	if (s.has_irq)
		must("SET_IRQS with none", set_irqs(VFIO_IRQ_SET_DATA_NONE, 0));
}

static void begin(uint32_t maps)
{
	const struct vu_conn_limits limits = {
		.max_data = VU_DEFAULT_DATA, .max_fds = 8, .max_queued = 64, .timeout_ns = TIMEOUT
	};
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(s.path) >= sizeof(a.sun_path))
		bench_die(s.path, ENAMETOOLONG);
	strcpy(a.sun_path, s.path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
		bench_die(s.path, errno);
	must("a connection", vu_conn_new(fd, s.path, &limits, &s.conn));
	agree();
	vu_conn_set_limits(s.conn, &limits, s.caps.max_msg_fds);
	take_ring();
	s.event = eventfd(0, 0);
	s.memory = memfd_create("bench", MFD_CLOEXEC);
	if (s.event < 0 || s.memory < 0 || ftruncate(s.memory, (off_t)((maps + 1) * PAGE)))
		bench_die("memory", errno);
	find_irq();
}

/* Have all threads that the server has now on one CPU. */
static void pin_server(unsigned cpu)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct dirent *e;
	char path[64];
	DIR *d;

	if (getsockopt(vu_conn_fd(s.conn), SOL_SOCKET, SO_PEERCRED, &cred, &len))
		bench_die("SO_PEERCRED", errno);
	snprintf(path, sizeof(path), "/proc/%d/task", cred.pid);
	d = opendir(path);
	if (!d)
		bench_die(path, errno);
	while ((e = readdir(d)))
		if (atoi(e->d_name))
			pin(atoi(e->d_name), cpu);
	closedir(d);
}

/* ---- each one timed */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void time_each(const char *name, bench_fn *fn, unsigned n)
{
	double *ns = calloc(n, sizeof(*ns));

	if (!ns)
		bench_die(name, ENOMEM);
	fn(NULL, n / 10);
	for (unsigned i = 0; i < n; i++) {
		uint64_t start = now_ns();

		fn(NULL, 1);
		ns[i] = (double)(now_ns() - start);
	}
	qsort(ns, n, sizeof(*ns), by_value);
	printf("%-60s %12.0f %12.0f %12.0f\n", name, ns[0], ns[n / 2], ns[n * 99 / 100]);
	fflush(stdout);
	free(ns);
}

static void time_calls(void)
{
	time_each("REGION_READ of 4 bytes", do_read, 10000);
	time_each("REGION_WRITE of 4 bytes, answered", do_write, 10000);
	time_each("REGION_WRITE of 4 bytes, posted", do_post, 10000);
	time_each("DMA_MAP and DMA_UNMAP of a page", do_map, 2000);
	if (s.has_irq)
		time_each("SET_IRQS with an eventfd, and with none", do_irqs, 2000);
	if (!s.ring)
		return;
	time_each("by the ring: a read of 4 bytes", do_ring_read, 10000);
	time_each("by the ring: a posted write of 4 bytes", do_ring_post, 10000);
	must("the ring", vu_ring_flush(s.ring));
}

static void time_all(uint32_t maps)
{
	s.bare = other_end(echo, -1);
	s.swallows = other_end(swallow, -1);
	begin(maps);
	printf("%-60s %12s %12s %12s\n", "nanoseconds", "minimum", "median", "99 %");
	time_each("a bare socket: 32 bytes there, 36 back", bare_trip, 10000);
	time_each("a bare socket: 36 bytes there", bare_send, 10000);
	printf("with %u mapping:\n", keep_maps(1));
	time_calls();
	printf("with %u mappings:\n", keep_maps(maps));
	time_calls();
}

/* ---- rows of make bench */

/* Both processes on one CPU: what a message costs more than its way there and back. */
static void rows_one(uint32_t maps)
{
	static struct bench b;
	int f;

	pin(0, 0);
	s.bare = other_end(echo, 0);
	s.swallows = other_end(swallow, 0);
	begin(maps);
	keep_maps(1);
	do_read(NULL, 10);
	pin_server(0);
	f = bench_floor(&b, "a bare socket: 32 bytes there, 36 back", bare_trip, NULL, 200);
	bench_add(&b, "REGION_READ of 4 bytes", do_read, NULL, 200, f, 1.1, 0);
	bench_add(&b, "REGION_WRITE of 4 bytes, answered", do_write, NULL, 200, f, 0, 0);
	bench_add(&b, "DMA_MAP + DMA_UNMAP", do_map, NULL, 50, f, 0, 0);
	bench_add(&b, "SET_IRQS with an eventfd + with none", do_irqs, NULL, 50, f, 0, 0);
	f = bench_floor(&b, "a bare socket: 36 bytes there", bare_send, NULL, 200);
	bench_add(&b, "REGION_WRITE of 4 bytes, posted", do_post, NULL, 200, f, 0, 0);
	bench_run(&b);
	keep_maps(maps);
	b.n = 0;
	f = bench_floor(&b, "a bare socket: 32 bytes there, 36 back", bare_trip, NULL, 200);
	bench_add(&b, "REGION_READ, 100,000 mappings", do_read, NULL, 200, f, 1.1, 0);
	bench_add(&b, "DMA_MAP + DMA_UNMAP, 100,000 mappings", do_map, NULL, 50, f, 0, 0);
	bench_add(&b, "SET_IRQS with an eventfd + with none, 100,000 mappings", do_irqs, NULL, 50,
		  f, 0, 0);
	f = bench_floor(&b, "a bare socket: 36 bytes there", bare_send, NULL, 200);
	bench_add(&b, "REGION_WRITE, posted, 100,000 mappings", do_post, NULL, 200, f, 0, 0);
	bench_run(&b);
}

/* On two: by the socket, and by the ring. */
static void rows_two(uint32_t maps)
{
	static struct bench b;
	int f;

	begin(maps);
	do_read(NULL, 10);
	if (!s.ring)
		bench_die("a ring", ENOENT);
	do_ring_read(NULL, 10);
	keep_maps(1);
	pin(0, 0);
	pin_server(1);
	f = bench_floor(&b, "REGION_READ of 4 bytes by the socket, to another CPU", do_read, NULL,
			50);
	bench_add(&b, "the same by the ring", do_ring_read, NULL, 1000, f, 0.05, 0);
	f = bench_floor(&b, "REGION_WRITE of 4 bytes, posted, by the socket", do_post, NULL, 50);
	bench_add(&b, "the same by the ring", do_ring_post, NULL, 1000, f, 0, 0);
	if (s.irq_index != VFIO_PCI_MSIX_IRQ_INDEX)
		bench_die("MSI-X", ENOENT);
	must("SET_IRQS with an eventfd", set_irqs(VFIO_IRQ_SET_DATA_EVENTFD, 1));
	f = bench_floor(&b, "SET_IRQS: a vector's mask + unmask, by the socket", do_mask, NULL, 50);
	bench_add(&b, "the same by the ring", do_ring_mask, NULL, 1000, f, 0.05, 0);
	bench_run(&b);
	keep_maps(maps);
	b.n = 0;
	f = bench_floor(&b, "REGION_READ by the socket, 100,000 mappings", do_read, NULL, 50);
	bench_add(&b, "the same by the ring", do_ring_read, NULL, 1000, f, 0.05, 0);
	f = bench_floor(&b, "REGION_WRITE, posted, by the socket, 100,000 mappings", do_post, NULL,
			50);
	bench_add(&b, "the same by the ring", do_ring_post, NULL, 1000, f, 0, 0);
	bench_run(&b);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 0);

	if (*end || end == text || v > 1000000)
		bench_die(text, EINVAL);
	return (uint32_t)v;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "region", required_argument, NULL, 'r' },
						 { "offset", required_argument, NULL, 'o' },
						 { "maps", required_argument, NULL, 'm' },
						 { "rows", required_argument, NULL, 'R' },
						 { 0 } };
	const char *rows = NULL;
	uint32_t maps = 100000;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'r')
			s.region = number(optarg);
		else if (c == 'o')
			s.offset = number(optarg);
		else if (c == 'm')
			maps = number(optarg);
		else if (c == 'R')
			rows = optarg;
		else
			return 2;
	}
	if (optind != argc - 1 || (rows && strcmp(rows, "one") && strcmp(rows, "two"))) {
		fprintf(stderr, "usage: vfio-user-bench [--region N] [--offset N] [--maps N] "
				"[--rows one|two] SOCKET\n");
		return 2;
	}
	s.path = argv[optind];
	if (!rows)
		time_all(maps);
	else if (!strcmp(rows, "one"))
		rows_one(maps);
	else
		rows_two(maps);
	return 0;
}
