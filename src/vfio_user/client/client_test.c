/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/client_test.c: a device behind a socket, on a server of the test's: what is
 * learnt of it, registers, interrupts, and what of the program's memory its server gets. (tests 1,
 * 3, 4)
 */
#include <sys/stat.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/loop.h"
#include "vfio/aside.h"
#include "vfio/open.h"
#include "vfio_user/client/internal.h"
#include "vfio_user/client/test_server.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static char lines[4096]; /* what was reported by this thread */
static pthread_t self;

static void on_line(const struct report *r, void *arg)
{
	size_t len = strlen(lines);

	if (pthread_equal(self, pthread_self()))
		snprintf(lines + len, sizeof(lines) - len, "%s\n", r->line);
}
static struct report_subscriber subscriber = { .fn = on_line, .level = LOG_DEBUG };

/* Fail unless @text was reported; forget all that was. */
static void said(const char *text)
{
	if (!strstr(lines, text))
		fail_msg("'%s' is not in: %s", text, lines);
	*lines = '\0';
}

struct world {
	struct test_server t;
	struct vfio_system *s;
	struct iommu_group *ig;
	struct vfio_group *g;
	struct loop *devices, *irqs;
	struct vu_client *c;
	struct vfio_open o;
	struct vfio_ioas *io;
	struct vu_client_options options;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	guard_install();
	self = pthread_self();
	*lines = '\0';
	report_subscribe(&subscriber);
	test_server_start(&w->t);
	w->s = vfio_system_new(NULL, NULL);
	w->ig = iommu_group_new(1);
	assert_int_equal(vfio_system_add_group(w->s, w->ig, &w->g), 0);
	w->devices = loop_new();
	w->irqs = loop_new();
	w->io = vfio_ioas_new(w->s, true);
	w->options = (struct vu_client_options){ .name = "0000:01:00.0",
						 .devices = w->devices,
						 .irqs = w->irqs };
	*state = w;
	return 0;
}

/* Find the device, and have it in its group. */
static void plug(struct world *w)
{
	char *err;
	int rc = vu_client_new(w->t.path, &w->options, &w->c, &err);

	if (rc)
		fail_msg("%s", err);
	assert_int_equal(iommu_group_add(w->ig, vu_client_iommu(w->c)), 0);
	assert_int_equal(vfio_group_add_device(w->g, vu_client_vdev(w->c)), 0);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
}

/* Open it, attached to the address space. */
static void open_it(struct world *w)
{
	assert_int_equal(vfio_open_bind(&w->o), 0);
	assert_int_equal(vfio_device_attach(&w->o, w->io), 0);
}

static void unplug(struct world *w)
{
	if (!w->c)
		return;
	vfio_open_close(&w->o);
	vfio_group_remove_device(w->g, vu_client_vdev(w->c));
	iommu_group_remove(w->ig, vu_client_iommu(w->c));
	vu_client_free(w->c);
	w->c = NULL;
}

static int teardown(void **state)
{
	struct world *w = *state;

	unplug(w);
	vfio_ioas_put(w->io);
	loop_free(w->devices);
	loop_free(w->irqs);
	vfio_system_free(w->s);
	iommu_group_free(w->ig);
	test_server_stop(&w->t);
	report_unsubscribe(&subscriber);
	free(w);
	return 0;
}

static uint32_t config(struct world *w, unsigned off)
{
	uint32_t v = 0;

	assert_int_equal(vfio_device_rw(&w->o, VFIO_PCI_CONFIG_REGION_INDEX, off, &v, 4, false), 4);
	return v;
}

/* ---- what it is ---- */

static void test_learn(void **state)
{
	struct world *w = *state;
	struct vfio_region r;
	struct vfio_irq irq;
	struct vu_client_bar b;

	plug(w);
	assert_int_equal(vu_client_config_size(w->c), 256);
	assert_int_equal(vu_client_config_read(w->c, 0, 4), 0x56781234);
	b = vu_client_bar(w->c, 0);
	assert_true(b.size == TEST_BAR && !b.flags);
	assert_true(vu_client_bar(w->c, 2).flags == 2 && !vu_client_bar(w->c, 3).size);
	b = vu_client_bar(w->c, 4);
	assert_true(b.size == 16 && b.flags == 1);
	/* firmware's: it is found in config space when it is open */
	vu_client_config_write(w->c, PCI_BASE_ADDRESS_0, 4, 0xe0000000);
	vu_client_config_write(w->c, PCI_BASE_ADDRESS_0 + 8, 4, 0x10000);
	vu_client_config_write(w->c, PCI_BASE_ADDRESS_0 + 12, 4, 0x38);
	vu_client_config_write(w->c, PCI_INTERRUPT_LINE, 1, 10);
	vu_client_config_write(w->c, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(vu_client_config_read(w->c, PCI_BASE_ADDRESS_0 + 8, 4), 0x10004);
	open_it(w);
	assert_int_equal(atomic_load(&w->t.clients), 1); /* the same connection */
	assert_int_equal(config(w, PCI_BASE_ADDRESS_0), 0xe0000000);
	assert_int_equal(config(w, PCI_BASE_ADDRESS_0 + 12), 0x38);
	assert_int_equal(config(w, PCI_COMMAND) & 0xffff, PCI_COMMAND_MEMORY);
	assert_int_equal(config(w, PCI_INTERRUPT_LINE) & 0xff, 10);

	/* registers that its server does not map are trapped, and so is what lies beside a file */
	assert_int_equal(vfio_device_region(&w->o, 0, &r), 0);
	assert_true(r.flags & VFIO_REGION_INFO_FLAG_MMAP && !r.num_areas && r.msix_mappable);
	assert_int_equal(vfio_device_region(&w->o, 2, &r), 0);
	assert_true(r.flags & VFIO_REGION_INFO_FLAG_MMAP && r.num_areas == 2);
	assert_true(r.areas[0].kind == VFIO_AREA_TRAPPED && r.areas[0].size == K);
	assert_true(r.areas[1].kind == VFIO_AREA_DIRECT && r.areas[1].offset == K &&
		    r.areas[1].fd_offset == K && fd_is_private(r.areas[1].fd));
	assert_int_equal(vfio_device_region(&w->o, 4, &r), 0);
	assert_true(!(r.flags & VFIO_REGION_INFO_FLAG_MMAP) && r.size == 16);
	assert_int_equal(vfio_device_region(&w->o, 1, &r), 0);
	assert_true(!r.flags && !r.size);
	assert_int_equal(vfio_device_region(&w->o, VFIO_PCI_VGA_REGION_INDEX, &r), -EINVAL);

	assert_int_equal(vfio_device_irq(&w->o, VFIO_PCI_MSIX_IRQ_INDEX, &irq), 0);
	assert_int_equal(irq.count, TEST_VECTORS);
	/* the server has none, and ours tells of the machine's wishes */
	assert_int_equal(vfio_device_irq(&w->o, VFIO_PCI_REQ_IRQ_INDEX, &irq), 0);
	assert_int_equal(irq.count, 1);

	/* another open is another connection, and finds the device again */
	vfio_open_close(&w->o);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	open_it(w);
	assert_int_equal(atomic_load(&w->t.clients), 2);
	vfio_open_close(&w->o);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	pthread_mutex_lock(&w->t.lock);
	w->t.config[2] ^= 1;
	pthread_mutex_unlock(&w->t.lock);
	assert_int_equal(vfio_open_bind(&w->o), -ENODEV);
	said("another device is there now");
}

static void test_mmap(void **state)
{
	struct world *w = *state;
	struct vfio_region r;

	plug(w);
	vu_client_set_mmap(w->c, VU_CLIENT_MMAP_TRAP);
	open_it(w);
	assert_int_equal(vfio_device_region(&w->o, 2, &r), 0);
	assert_true(r.flags & VFIO_REGION_INFO_FLAG_MMAP && !r.num_areas);
	vfio_open_close(&w->o);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	vu_client_set_mmap(w->c, VU_CLIENT_MMAP_OFF);
	open_it(w);
	assert_int_equal(vfio_device_region(&w->o, 2, &r), 0);
	assert_false(r.flags & VFIO_REGION_INFO_FLAG_MMAP);
}

/* ---- registers ---- */

static unsigned posts(struct world *w)
{
	unsigned n;

	pthread_mutex_lock(&w->t.lock);
	n = w->t.posts;
	pthread_mutex_unlock(&w->t.lock);
	return n;
}

static void test_registers(void **state)
{
	struct world *w = *state;
	uint8_t *big = calloc(1, TEST_BAR), *back = calloc(1, TEST_BAR);
	uint16_t command = 0;
	uint64_t v;

	plug(w);
	open_it(w);
	for (unsigned i = 0; i < TEST_BAR; i++)
		big[i] = (uint8_t)(i * 7);
	/* in pieces that the server takes, and no further than the region */
	assert_int_equal(vfio_device_rw(&w->o, 2, 0, big, TEST_BAR, true), TEST_BAR);
	assert_int_equal(test_count(&w->t, VU_REGION_WRITE), TEST_BAR / 4096);
	assert_int_equal(vfio_device_rw(&w->o, 2, 0, back, TEST_BAR, false), TEST_BAR);
	assert_memory_equal(big, back, TEST_BAR);
	/* the MSI-X table, of 0x80 bytes, is vfio-pci's: ones, and what is written goes nowhere */
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, big, TEST_BAR, true), TEST_BAR);
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, back, TEST_BAR, false), TEST_BAR);
	assert_memory_equal(big, back, K);
	assert_memory_equal(big + K + 0x80, back + K + 0x80, K - 0x80);
	for (unsigned i = 0; i < 0x80; i++)
		assert_int_equal(back[K + i], 0xff);
	v = 0;
	assert_int_equal(vfio_device_mmio(&w->o, 0, K, 8, &v, false), 0);
	assert_true(v == 0);
	assert_int_equal(vfio_device_rw(&w->o, 0, TEST_BAR - 4, back, 64, false), 4);
	assert_int_equal(vfio_device_rw(&w->o, 0, TEST_BAR, back, 4, false), -EINVAL);

	/* a store waits for its answer while the device may refuse it */
	v = 0x1122334455667788;
	assert_int_equal(vfio_device_mmio(&w->o, 0, 0x10, 8, &v, true), 0);
	assert_int_equal(posts(w), 0);
	command = PCI_COMMAND_MEMORY;
	assert_int_equal(
		vfio_device_rw(&w->o, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2, true),
		2);
	v = 0x99;
	assert_int_equal(vfio_device_mmio(&w->o, 0, 0x20, 4, &v, true), 0);
	v = 0;
	assert_int_equal(vfio_device_mmio(&w->o, 0, 0x20, 4, &v, false), 0);
	assert_true(v == 0x99);
	v = 0;
	assert_int_equal(vfio_device_mmio(&w->o, 0, 0x11, 7, &v, false), 0);
	assert_true(v == 0x11223344556677);
	assert_int_equal(posts(w), 1);
	free(big);
	free(back);
}

static void test_ioeventfd(void **state)
{
	struct world *w = *state;
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t v = 0;

	plug(w);
	open_it(w);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0x1004, 7, fd), -EINVAL); /* MSI-X */
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0x2000, 7, fd), -EINVAL);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0x30, 7, fd), 0);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0x30, 7, fd), -EEXIST);
	assert_int_equal(eventfd_write(fd, 1), 0);
	while (v != 7)
		assert_int_equal(vfio_device_mmio(&w->o, 0, 0x30, 4, &v, false), 0);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0x30, 7, -1), 0);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0x30, 7, -1), -ENODEV);
	assert_int_equal(vfio_device_ioeventfd(&w->o, 4, 0x30, 7, fd), 0);
	close(fd);
}

/* ---- interrupts ---- */

static int set_irqs(struct world *w, uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
		    const void *data)
{
	const struct vfio_irq_set_args a = {
		.flags = flags, .index = index, .start = start, .count = count, .data = data
	};

	return vfio_device_set_irqs(&w->o, &a);
}

/* Have the server signal a vector; false: it has no eventfd of it. */
static bool fire(struct world *w, unsigned index, unsigned vector)
{
	uint64_t one = 1;
	int fd;

	pthread_mutex_lock(&w->t.lock);
	fd = w->t.fds[index][vector];
	if (fd >= 0)
		assert_int_equal(sys_write(fd, &one, sizeof(one)), sizeof(one));
	pthread_mutex_unlock(&w->t.lock);
	return fd >= 0;
}

static bool came(int fd)
{
	eventfd_t v;

	return !eventfd_read(fd, &v);
}

#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)
#define NONE	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define MASK	(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK)

static void test_irqs(void **state)
{
	struct world *w = *state;
	int32_t fds[TEST_VECTORS], bad;
	struct vfio_irq irq;
	unsigned before;
	uint64_t v;

	plug(w);
	open_it(w);
	for (unsigned i = 0; i < TEST_VECTORS; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* the server takes two at a time: all vectors at first, then two, a hole, two, one */
	bad = fds[2];
	fds[2] = -1;
	before = test_count(&w->t, VU_DEVICE_SET_IRQS);
	assert_int_equal(set_irqs(w, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 0, 6, fds), 0);
	assert_int_equal(test_count(&w->t, VU_DEVICE_SET_IRQS) - before, 5);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(fire(w, VFIO_PCI_MSIX_IRQ_INDEX, i), i != 2);
		if (i != 2)
			assert_true(came(fds[i]));
	}
	/* another one alone, and without beginning anew */
	before = test_count(&w->t, VU_DEVICE_SET_IRQS);
	assert_int_equal(set_irqs(w, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 2, 1, &bad), 0);
	assert_int_equal(test_count(&w->t, VU_DEVICE_SET_IRQS) - before, 1);
	assert_true(fire(w, VFIO_PCI_MSIX_IRQ_INDEX, 2) && came(bad));
	fds[2] = bad;
	/* one that is no eventfd costs those before it, and its own vector, as in the kernel */
	bad = w->t.listener;
	assert_int_equal(set_irqs(w, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 3, 1, &bad), -EINVAL);
	assert_false(fire(w, VFIO_PCI_MSIX_IRQ_INDEX, 3));
	bad = fds[5];
	fds[5] = 9999;
	assert_int_equal(set_irqs(w, EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, 4, 2, &fds[4]), -EBADF);
	fds[5] = bad;
	assert_false(fire(w, VFIO_PCI_MSIX_IRQ_INDEX, 4) || fire(w, VFIO_PCI_MSIX_IRQ_INDEX, 5));
	assert_true(fire(w, VFIO_PCI_MSIX_IRQ_INDEX, 0) && came(fds[0]));
	/* what only a monitor's guest masks */
	assert_int_equal(vfio_device_irq(&w->o, VFIO_PCI_MSIX_IRQ_INDEX, &irq), 0);
	assert_false(irq.flags & VFIO_IRQ_INFO_MASKABLE);
	assert_int_equal(set_irqs(w, MASK, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL), -ENOTTY);
	assert_int_equal(set_irqs(w, NONE, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL), 0);
	assert_false(fire(w, VFIO_PCI_MSIX_IRQ_INDEX, 3));
	assert_int_equal(set_irqs(w, NONE, VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL), -EINVAL);
	/* a monitor leaves them to the server; and the table, and Function Mask */
	w->o.dev->maskable = true;
	assert_int_equal(vfio_device_irq(&w->o, VFIO_PCI_MSIX_IRQ_INDEX, &irq), 0);
	assert_true(irq.flags & VFIO_IRQ_INFO_MASKABLE);
	assert_int_equal(set_irqs(w, MASK, VFIO_PCI_MSIX_IRQ_INDEX, 0, 1, NULL), 0);
	assert_int_equal(set_irqs(w, MASK, VFIO_PCI_MSI_IRQ_INDEX, 0, 1, NULL), -ENOTTY);
	v = 1;
	assert_int_equal(vfio_device_rw(&w->o, 0, 0x100c, &v, 4, true), 4);
	v = 0xc000;
	assert_int_equal(vfio_device_rw(&w->o, VFIO_PCI_CONFIG_REGION_INDEX, 0x42, &v, 2, true), 2);
	assert_int_equal(config(w, 0x40) >> 16, 0x4000 | (TEST_VECTORS - 1));
	v = 0;
	assert_int_equal(vfio_device_rw(&w->o, 0, 0x100c, &v, 4, false), 4);
	assert_true(v == 1);
	w->o.dev->maskable = false;
	/* INTx that its server cannot mask */
	assert_int_equal(set_irqs(w, EVENTFD, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, fds), 0);
	assert_int_equal(set_irqs(w, MASK, VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL), -EINVAL);
	said("its server cannot mask INTx");
	assert_int_equal(set_irqs(w, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
				  VFIO_PCI_INTX_IRQ_INDEX, 0, 1, NULL),
			 0);
	/* ERR is the server's and ours, REQ ours */
	assert_int_equal(set_irqs(w, NONE, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, NULL), -EINVAL);
	assert_int_equal(set_irqs(w, EVENTFD, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, &fds[1]), 0);
	assert_int_equal(set_irqs(w, EVENTFD, VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &fds[2]), 0);
	assert_true(fire(w, VFIO_PCI_ERR_IRQ_INDEX, 0) && came(fds[1]));
	w->o.dev->ops->request(w->o.dev, 0);
	assert_true(came(fds[2]));
	test_server_kill(&w->t);
	while (!came(fds[1]))
		sched_yield();
	for (unsigned i = 0; i < TEST_VECTORS; i++)
		close(fds[i]);
}

/* ---- memory ---- */

/* Wait for the number of mappings that the server has, and copy mapping @i of it. */
static struct test_map map_at(struct world *w, uint64_t addr)
{
	struct test_map m = { .fd = -2 };

	pthread_mutex_lock(&w->t.lock);
	for (unsigned i = 0; i < w->t.num_maps; i++)
		if (w->t.maps[i].map.addr == addr)
			m = w->t.maps[i];
	pthread_mutex_unlock(&w->t.lock);
	return m;
}

/* Return the server's file of it, for the caller to close. */
static int map_file(struct world *w, uint64_t addr)
{
	int fd = -1;

	pthread_mutex_lock(&w->t.lock);
	for (unsigned i = 0; i < w->t.num_maps; i++)
		if (w->t.maps[i].map.addr == addr)
			fd = dup(w->t.maps[i].fd);
	pthread_mutex_unlock(&w->t.lock);
	return fd;
}

static unsigned num_maps(struct world *w)
{
	unsigned n;

	pthread_mutex_lock(&w->t.lock);
	n = w->t.num_maps;
	pthread_mutex_unlock(&w->t.lock);
	return n;
}

/* The server's access by message. 0 or -errno. */
static int dma(struct world *w, uint64_t addr, void *buf, size_t len, bool write)
{
	struct vu_dma_access a = { addr, len };
	const struct iovec iov[2] = { { &a, sizeof(a) }, { buf, len } };
	struct vu_call call = {
		.command = write ? VU_DMA_WRITE : VU_DMA_READ,
		.iov = iov,
		.iovcnt = write ? 2 : 1,
		.timeout_ns = 20000000000,
	};
	struct vu_message reply = { 0 };
	struct vu_conn *c;
	int rc;

	pthread_mutex_lock(&w->t.lock);
	c = w->t.twin ? w->t.twin : w->t.conn;
	pthread_mutex_unlock(&w->t.lock);
	rc = vu_conn_call(c, &call, &reply);
	/* before the server's thread frees the connection */
	pthread_mutex_lock(&w->t.lock);
	pthread_mutex_unlock(&w->t.lock);
	if (!rc && !write) {
		assert_int_equal(reply.len, sizeof(a) + len);
		memcpy(buf, reply.data + sizeof(a), len);
	}
	vu_message_fini(&reply);
	return rc;
}

static void check_memory(struct world *w, const char *caps, bool no_file)
{
	char *shared, *private;
	char text[8] = "before", back[8];
	uint64_t bytes;
	struct stat st, st2;
	struct test_map m;
	int fd = memfd_create("shared", MFD_CLOEXEC), file;

	pthread_mutex_lock(&w->t.lock);
	w->t.caps = caps;
	w->t.no_file = no_file;
	pthread_mutex_unlock(&w->t.lock);
	plug(w);
	assert_int_equal(ftruncate(fd, 8 * K), 0);
	shared = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 2 * K);
	private = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* what is there when it attaches, and what comes then */
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)shared + K, K, RW), 0);
	open_it(w);
	assert_int_equal(vfio_ioas_map(w->io, 0x10000, (uintptr_t) private, 4 * K, RW), 0);
	m = map_at(w, 0);
	assert_true(m.fd >= 0 && m.map.offset == 3 * K && m.map.size == K && m.map.flags == 3);
	file = map_file(w, 0);
	assert_int_equal(fstat(file, &st), 0);
	assert_int_equal(fstat(fd, &st2), 0);
	close(file);
	assert_true(st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
	m = map_at(w, 0x10000);
	if (no_file || w->options.memory == VU_CLIENT_MEMORY_MESSAGES) {
		assert_true(m.fd == -1 && m.map.flags == 3);
	} else {
		assert_true(m.fd >= 0 && m.map.flags == (3 | VU_DMA_BY_FILE));
		assert_true(m.map.offset == (uintptr_t) private);
		file = map_file(w, 0x10000);
		assert_int_equal(pwrite(file, text, 8, (off_t)m.map.offset), 8);
		close(file);
		assert_string_equal(private, "before");
	}
	/* by messages, which know of all memory */
	strcpy(text, "after");
	assert_int_equal(dma(w, 0x10000 + 2 * K, text, 8, true), 0);
	assert_string_equal(private + 2 * K, "after");
	strcpy(shared + K, "shared");
	assert_int_equal(dma(w, 0, back, 8, false), 0);
	assert_string_equal(back, "shared");
	assert_int_equal(dma(w, 0x20000, back, 8, false), -EFAULT);
	assert_int_equal(dma(w, 0x10000 + 4 * K - 4, text, 8, true), -EFAULT);
	assert_int_equal(vfio_ioas_unmap(w->io, 0x10000, 4 * K, &bytes), 0);
	assert_int_equal(num_maps(w), 1);
	assert_int_equal(dma(w, 0x10000, back, 8, false), -EFAULT);
	munmap(shared, 4 * K);
	munmap(private, 4 * K);
	close(fd);
}

static void test_memory(void **state)
{
	check_memory(*state, TEST_CAPS, false);
}

static void test_memory_twin(void **state)
{
	check_memory(*state, TEST_CAPS_TWIN, false);
}

static void test_memory_old_server(void **state)
{
	check_memory(*state, TEST_CAPS, true);
	said("warn: 0000:01:00.0: its server does not read and write memory as files");
}

static void test_memory_by_messages(void **state)
{
	((struct world *)*state)->options.memory = VU_CLIENT_MEMORY_MESSAGES;
	check_memory(*state, TEST_CAPS, false);
}

/* Give the view of the pages up: they are elsewhere then. */
static void *move_away(void *old, uint64_t len, void *arg)
{
	return mremap(old, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, arg);
}

static uint64_t move_view(void *arg)
{
	char **view = arg;

	return (uint64_t)mremap(view[0], 4 * K, 4 * K, MREMAP_MAYMOVE | MREMAP_FIXED, view[1]);
}

/* Memory that the program takes away is the device's still, and what comes there is not. */
static void test_moved(void **state)
{
	char *view[2], *room, back[8] = "", text[8] = "aside";
	struct world *w = *state;
	struct test_map m;
	uint64_t bytes;
	int file;

	plug(w);
	open_it(w);
	view[0] = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	room = mmap(NULL, 8 * K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)view[0], 4 * K, RW), 0);
	/* the program's view moves, and devices with it */
	view[1] = room + 4 * K;
	strcpy(view[0] + 2 * K, "moved");
	assert_int_equal(vfio_follow_pages(w->s, view[0], 4 * K, move_view, view), 0);
	m = map_at(w, 0);
	assert_true(m.map.flags & VU_DMA_BY_FILE && m.map.offset == (uintptr_t)view[1]);
	file = map_file(w, 0);
	assert_int_equal(pread(file, back, 8, (off_t)m.map.offset + 2 * (off_t)K), 8);
	close(file);
	assert_string_equal(back, "moved");
	/* it unmaps a page of it */
	vfio_preserve_pages(w->s, view[1] + 2 * K, K, move_away, room);
	m = map_at(w, 0);
	assert_true(m.fd == -1 && m.map.size == 4 * K && num_maps(w) == 1);
	assert_int_equal(dma(w, 2 * K, back, 8, false), 0);
	assert_string_equal(back, "moved");
	assert_int_equal(dma(w, 2 * K, text, 8, true), 0);
	assert_string_equal(room, "aside");
	/* so a device is told that comes later */
	vfio_open_close(&w->o);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	open_it(w);
	assert_int_equal(map_at(w, 0).fd, -1);
	assert_int_equal(dma(w, 2 * K, back, 8, false), 0);
	assert_string_equal(back, "aside");
	assert_int_equal(vfio_ioas_unmap(w->io, 0, 4 * K, &bytes), 0);
	munmap(room, 8 * K);
}

/* One range of several kinds is several messages, and all of them go with it. */
static void test_mixed(void **state)
{
	struct world *w = *state;
	int fd = memfd_create("shared", MFD_CLOEXEC);
	uint64_t bytes;
	char *mem;

	plug(w);
	open_it(w);
	assert_int_equal(ftruncate(fd, 8 * K), 0);
	mem = mmap(NULL, 8 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* private; two pages of the file, in one piece though mapped apart; private; the first */
	mmap(mem + K, K, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	mmap(mem + 2 * K, K, PROT_READ, MAP_SHARED | MAP_FIXED, fd, K);
	mmap(mem + 4 * K, K, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)mem, 6 * K, IOMMU_READ), 0);
	assert_int_equal(num_maps(w), 5);
	assert_true(map_at(w, K).map.size == 2 * K && map_at(w, K).map.offset == 0);
	assert_true(map_at(w, 3 * K).map.flags == (1 | VU_DMA_BY_FILE));
	assert_true(map_at(w, 4 * K).map.size == K && map_at(w, 5 * K).map.size == K);
	assert_int_equal(vfio_ioas_unmap(w->io, 0, 6 * K, &bytes), 0);
	assert_int_equal(num_maps(w), 0);
	/* a refusal of one is an error of the whole */
	pthread_mutex_lock(&w->t.lock);
	w->t.num_maps = TEST_MAPS - 3;
	for (unsigned i = 0; i < w->t.num_maps; i++)
		w->t.maps[i] = (struct test_map){ .map = { .addr = UINT64_MAX }, .fd = -1 };
	pthread_mutex_unlock(&w->t.lock);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)mem, 6 * K, IOMMU_READ), -EINVAL);
	said("its server refuses");
	assert_int_equal(num_maps(w), TEST_MAPS - 3);
	munmap(mem, 8 * K);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_learn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mmap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ioeventfd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irqs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_twin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_old_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_by_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mixed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
