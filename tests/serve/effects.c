/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_effects: what options of `uvfio serve` and requests of `uvfio ctl` do, as a client sees it.
 *
 *	serve_effects SOCKET limits
 *	serve_effects SOCKET ioeventfd
 *	serve_effects SOCKET irq INDEX
 *
 * limits: of a testdev with migration and the limits that tests/serve.sh sets, each is met, and
 * what the client is told is printed. ioeventfd: an eventfd of region 2 is had and signalled, and
 * what is in the register then is printed. irq: the interrupt INDEX (ERR, REQ) gets an eventfd;
 * "ready" is printed, and then how often it was signalled, once it is.
 */
#include "soak/client.h"

static struct soak_client c;

static const char *text(int rc)
{
	return rc ? strerrorname_np(rc) : "ok";
}

static void say(const char *name, int below, int beyond)
{
	printf("%s: %s, then %s\n", name, text(below), text(beyond));
}

static int map(uint64_t addr, uint64_t size, int fd)
{
	const struct vu_dma_map m = { .argsz = sizeof(m), .flags = 3, .addr = addr, .size = size };

	return soak_call(&c, VU_DMA_MAP, &m, sizeof(m), fd, NULL, 0);
}

/* Map the first page of a new file of @size bytes. */
static int map_new(uint64_t addr, off_t size)
{
	int fd = memfd_create("a", MFD_CLOEXEC), rc;

	MUST(fd >= 0 && !ftruncate(fd, size));
	rc = map(addr, 4096, fd);
	close(fd);
	return rc;
}

static void unmap_all(void)
{
	const struct vu_dma_unmap u = { .argsz = sizeof(u), .flags = VU_UNMAP_ALL };

	MUST(!soak_call(&c, VU_DMA_UNMAP, &u, sizeof(u), -1, NULL, 0));
}

static int set_eventfd(uint32_t index, uint32_t vector, int fd)
{
	const struct vu_set_irqs m = { .argsz = sizeof(m),
				       .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
						VFIO_IRQ_SET_DATA_EVENTFD,
				       .index = index,
				       .start = vector,
				       .count = 1 };

	return soak_call(&c, VU_DEVICE_SET_IRQS, &m, sizeof(m), fd, NULL, 0);
}

static int read_config(uint32_t count)
{
	static struct {
		struct vu_region_access a;
		uint8_t data[8192];
	} r;

	/* BAR0 of testdev is memory */
	r.a = (struct vu_region_access){ .region = 0, .count = count };
	return soak_call(&c, VU_REGION_READ, &r.a, sizeof(r.a), -1, &r, sizeof(r));
}

static int feature(uint32_t flags, void *data, size_t len)
{
	struct {
		struct vu_feature head;
		uint8_t data[64];
	} m = { .head = { 4096, flags } };
	int rc;

	memcpy(m.data, data, len);
	rc = soak_call(&c, VU_DEVICE_FEATURE, &m, sizeof(m.head) + len, -1, &m,
		       sizeof(m.head) + len);
	memcpy(data, m.data, len);
	return rc;
}

static int go(uint32_t state)
{
	uint32_t m[2] = { state };

	return feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, m,
		       sizeof(m));
}

/* Have testdev read memory that only this client has, of which nothing is said. Its status. */
static uint32_t unanswered(void)
{
	struct {
		struct vu_region_access a;
		uint32_t v;
	} w = { { TD_DMA_CMD, 2, 4 }, TD_OP_COPY };
	const size_t len = sizeof(w.a) + sizeof(w.v); /* behind which it is padded */
	const struct vu_header h = { .command = VU_REGION_WRITE,
				     .size = (uint32_t)(sizeof(h) + len) };
	struct {
		struct vu_header h;
		uint8_t data[64];
	} m;

	MUST(!map(1ull << 41, 4096, -1));
	soak_put(&c, CONFIG, 4, 6, 2);
	soak_put(&c, 2, TD_DMA_SRC, 1ull << 41, 8);
	soak_put(&c, 2, TD_DMA_DST, 1ull << 41, 8);
	soak_put(&c, 2, TD_DMA_LEN, 64, 8);
	MUST(write(c.fd, &h, sizeof(h)) == sizeof(h) && write(c.fd, &w, len) == (ssize_t)len);
	do { /* its question, and then the reply */
		soak_read(&c, &m.h, sizeof(m.h));
		soak_read(&c, m.data, m.h.size - sizeof(m.h));
	} while (m.h.command != VU_REGION_WRITE);
	return (uint32_t)soak_get(&c, 2, TD_DMA_STATUS, 4);
}

static void limits(void)
{
	struct {
		struct vu_log_start start;
		struct vfio_device_feature_dma_logging_range range;
	} log = { { 4096, 1, 0 }, { 0, 1ull << 48 } };
	int rc, fd = eventfd(0, EFD_CLOEXEC);

	rc = map(0, 4096, -1) | map(8192, 4096, -1) | map(16384, 4096, -1);
	say("maps", rc, map(32768, 4096, -1));
	unmap_all();
	rc = map_new(0, 4096) | map_new(8192, 4096);
	say("files", rc, map_new(16384, 4096));
	unmap_all();
	rc = map_new(0, 4 << 20);
	say("memory", rc, map_new(8192, 4 << 20));
	unmap_all();
	rc = set_eventfd(VFIO_PCI_MSIX_IRQ_INDEX, 0, fd) |
	     set_eventfd(VFIO_PCI_MSIX_IRQ_INDEX, 1, fd);
	say("eventfds", rc, set_eventfd(VFIO_PCI_REQ_IRQ_INDEX, 0, fd));
	rc = read_config(4096);
	say("data", rc, read_config(4100));
	rc = go(VFIO_DEVICE_STATE_STOP);
	say("migration", rc, go(VFIO_DEVICE_STATE_STOP_COPY));
	MUST(!go(VFIO_DEVICE_STATE_RUNNING));
	rc = feature(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &log,
		     sizeof(log));
	printf("dirty-log: %s, pages of %llu\n", text(rc), (unsigned long long)log.start.page_size);
	printf("dma-timeout: status %u\n", unanswered());
	close(fd);
}

static void ioeventfd(void)
{
	struct {
		struct vu_io_fds head;
		struct vu_io_fd e;
	} m = { .head = { .argsz = sizeof(m), .index = 2 } };
	uint64_t one = 1;

	soak_put(&c, CONFIG, 4, 6, 2);
	c.got = -1;
	MUST(!soak_call(&c, VU_DEVICE_GET_REGION_IO_FDS, &m.head, sizeof(m.head), -1, &m,
			sizeof(m)));
	MUST(m.head.count == 1 && c.got >= 0);
	MUST(write(c.got, &one, sizeof(one)) == sizeof(one));
	while (soak_get(&c, 2, m.e.offset, (uint32_t)m.e.size) != m.e.datamatch)
		usleep(1000);
	printf("0x%llx: 0x%llx\n", (unsigned long long)m.e.offset,
	       (unsigned long long)soak_get(&c, 2, m.e.offset, (uint32_t)m.e.size));
}

static void irq(uint32_t index)
{
	struct pollfd p = { .fd = c.event, .events = POLLIN };
	uint64_t n;

	MUST(!set_eventfd(index, 0, c.event));
	printf("ready\n");
	fflush(stdout);
	MUST(poll(&p, 1, TIMEOUT_MS) == 1 && read(c.event, &n, sizeof(n)) == sizeof(n));
	printf("signalled %llu\n", (unsigned long long)n);
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	if (argc < 3 || strlen(argv[1]) >= sizeof(at.sun_path)) {
		fprintf(stderr, "usage: serve_effects SOCKET limits|ioeventfd|irq INDEX\n");
		return 2;
	}
	strcpy(at.sun_path, argv[1]);
	soak_connect(&c, &at, sizeof(at));
	if (!strcmp(argv[2], "limits"))
		limits();
	else if (!strcmp(argv[2], "ioeventfd"))
		ioeventfd();
	else
		irq((uint32_t)atoi(argv[3]));
	soak_disconnect(&c);
	return 0;
}
