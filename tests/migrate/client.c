/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/migrate/client.c: a device that moves.
 *
 *	migrate_client cases		what the kernel's interface says, case by case: testdev at
 *					01:00.0 and 02:00.0, and at 03:00.0 one that cannot migrate
 *	migrate_client save >STREAM	a testdev at work is stopped, and its state read
 *	migrate_client load <STREAM	it goes on here; each difference is a failure
 *	migrate_client counter		examples/counter.c moves from 01:00.0 to 02:00.0
 *	migrate_client edu		the same with edu, at work
 *	migrate_client refused <STREAM	a state that the device at 01:00.0 cannot take
 *	migrate_client early		one that the device at 02:00.0 cannot, of 01:00.0 at work
 *
 * What save has in flight is of every sort: a DMA command that was given and not begun, an
 * interrupt that waits in the pending bits, timers, memory of the device that changed again and
 * again while it was copied.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cases.h"
#include "lib/vfio.h"
#include "models/testdev/regs.h"
#include "vfio/uapi_defs.h"

#define ONE   "0000:01:00.0"
#define TWO   "0000:02:00.0"
#define OTHER "0000:03:00.0"

#define IOVA 0x100000ul
#define MEM  (64ul << 10)

static uint8_t *mem;
static void *volatile nowhere;

/* ---- a device ---- */

static void must(bool is, const char *what)
{
	if (is)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static void start(struct vfio *v, const char *address)
{
	uint16_t command = 6; /* memory, bus master */
	char group[64];

	must(!vfio_group_path(address, group, sizeof(group)) &&
		     !vfio_open_device(v, group, address),
	     address);
	must(pwrite(v->device, &command, 2, (off_t)(VFIO_REGION(7) + 4)) == 2, "COMMAND");
	mem = mmap(NULL, MEM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(mem != MAP_FAILED && !vfio_dma_map(v->container, mem, IOVA, MEM, 3), "memory");
}

static void finish(struct vfio *v)
{
	vfio_close(v);
	munmap(mem, MEM);
}

static uint64_t get(struct vfio *v, unsigned bar, uint64_t reg, unsigned size)
{
	uint64_t value = 0;

	must(pread(v->device, &value, size, (off_t)(VFIO_REGION(bar) + reg)) == (ssize_t)size,
	     "read of a register");
	return value;
}

static void set(struct vfio *v, unsigned bar, uint64_t reg, unsigned size, uint64_t value)
{
	must(pwrite(v->device, &value, size, (off_t)(VFIO_REGION(bar) + reg)) == (ssize_t)size,
	     "write of a register");
}

#define REG(v, reg)	   get(v, 2, reg, 4)
#define SET(v, reg, value) set(v, 2, reg, 4, value)
#define SET8(v, reg, val)  set(v, 2, reg, 8, val)

static int events[64];

/* Have eventfds for MSI-X vectors [0, @n). */
static void msix(struct vfio *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		events[i] = eventfd(0, EFD_CLOEXEC);
	must(!vfio_set_irqs(v->device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    VFIO_PCI_MSIX_IRQ_INDEX, 0, n, events),
	     "MSI-X");
}

/* ---- the interface ---- */

/* VFIO_DEVICE_FEATURE with @size bytes of @data behind it. */
static int feature_raw(int device, uint32_t flags, void *data, size_t size)
{
	union {
		struct vfio_device_feature h;
		uint8_t bytes[256];
	} u = { .h = { .argsz = (uint32_t)(sizeof(u.h) + size), .flags = flags } };
	int ret;

	if (size)
		memcpy(u.h.data, data, size);
	ret = ioctl(device, VFIO_DEVICE_FEATURE, &u);
	if (size)
		memcpy(data, u.h.data, size);
	return ret;
}

static int set_state(int device, uint32_t state, int *fd)
{
	struct vfio_device_feature_mig_state s = { .device_state = state, .data_fd = 4711 };
	int ret =
		feature_raw(device, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET,
			    &s, sizeof(s));

	if (fd)
		*fd = s.data_fd;
	return ret;
}

static uint32_t state_of(int device)
{
	struct vfio_device_feature_mig_state s = { .data_fd = 4711 };

	must(!feature_raw(device, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_GET,
			  &s, sizeof(s)) &&
		     s.data_fd == -1,
	     "GET of MIG_DEVICE_STATE");
	return s.device_state;
}

enum { ERR, STOP, RUNNING, STOP_COPY, RESUMING, P2P, PRE, PRE_P2P };

static uint8_t stream[4 << 20];
static size_t stream_len;

/* Add what @fd has now to the stream, in pieces of @piece. Return the errno of its end. */
static int drain(int fd, size_t piece)
{
	ssize_t n;

	while ((n = read(fd, stream + stream_len, piece)) > 0)
		stream_len += (size_t)n;
	return n ? errno : 0;
}

/* ---- cases ---- */

static struct vfio one, two, other;

static void features(void)
{
	struct vfio_device_feature_migration mig = { 0 };
	struct vfio_device_feature_mig_data_size size = { 0 };
	const uint32_t get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET,
		       probe = VFIO_DEVICE_FEATURE_PROBE;
	struct vfio_device_feature_mig_state s = { .device_state = RUNNING };
	int d = one.device;

	CHECK(!feature_raw(d, 1 | get, &mig, sizeof(mig)) && mig.flags == 7);
	CHECK(!feature_raw(d, 1 | get | probe, NULL, 0));
	FAILS(feature_raw(d, 1 | set, &mig, sizeof(mig)), EINVAL);
	FAILS(feature_raw(d, 1 | set | probe, NULL, 0), EINVAL);
	FAILS(feature_raw(d, 1 | get, &mig, sizeof(mig) - 1), EINVAL);
	CHECK(!feature_raw(d, 2 | get | set | probe, NULL, 0));
	FAILS(feature_raw(d, 2 | get, &s, 7), EINVAL);
	CHECK(!feature_raw(d, 9 | get, &size, sizeof(size)) && size.stop_copy_length > 65536 &&
	      size.stop_copy_length < 200000);
	FAILS(feature_raw(d, 9 | set, &size, sizeof(size)), EINVAL);
	CHECK(!feature_raw(d, 12 | set | probe, NULL, 0));
	FAILS(feature_raw(d, 12 | get, NULL, 0), EINVAL);
	CHECK(state_of(d) == RUNNING);
	/* and a device without: as every one under the kernel's vfio-pci */
	for (unsigned i = 1; i <= 9; i++)
		if (i <= 2 || i >= 6) {
			FAILS(feature_raw(other.device, i | get, &mig, 8), ENOTTY);
			FAILS(feature_raw(other.device, i | set, &mig, 8), ENOTTY);
			FAILS(feature_raw(other.device, i | probe, NULL, 0), ENOTTY);
		}
	FAILS(feature_raw(other.device, 12 | set, NULL, 0), EINVAL);
	FAILS(feature_raw(other.device, 12 | probe, NULL, 0), EINVAL);
}

static void arguments(void)
{
	struct vfio_device_feature *f = (void *)(mem + 4096 - sizeof(*f) - 4);
	int fd, d = one.device;

	FAILS(set_state(d, ERR, &fd), EINVAL);
	CHECK(fd == -1);
	FAILS(set_state(d, 8, &fd), EINVAL);
	FAILS(set_state(d, UINT32_MAX, &fd), EINVAL);
	CHECK(fd == -1);
	CHECK(!set_state(d, RUNNING, &fd) && fd == -1);
	CHECK(!set_state(d, STOP, &fd) && fd == -1 && state_of(d) == STOP);
	/* an argument that cannot be read, or written */
	f->argsz = 16;
	f->flags = 2 | VFIO_DEVICE_FEATURE_SET;
	FAILS(ioctl(d, VFIO_DEVICE_FEATURE, (void *)1), EFAULT);
	mprotect(mem + 4096, 4096, PROT_NONE);
	FAILS(ioctl(d, VFIO_DEVICE_FEATURE, f), EFAULT);
	mprotect(mem + 4096, 4096, PROT_READ | PROT_WRITE);
	CHECK(state_of(d) == STOP);
	f = (void *)mem;
	f->argsz = 16;
	f->flags = 2 | VFIO_DEVICE_FEATURE_SET;
	((uint32_t *)f->data)[0] = STOP_COPY;
	mprotect(mem, 4096, PROT_READ);
	FAILS(ioctl(d, VFIO_DEVICE_FEATURE, f), EFAULT);
	mprotect(mem, 4096, PROT_READ | PROT_WRITE);
	CHECK(state_of(d) == STOP_COPY); /* as the kernel: it is there, without a descriptor */
	CHECK(!set_state(d, RUNNING, NULL));
}

static void descriptors(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	struct pollfd p = { .events = POLLIN };
	char link[64] = "", path[64];
	int fd, d = one.device;
	uint8_t b;

	CHECK(!set_state(d, STOP_COPY, &fd) && fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0 && !strcmp(link, "anon_inode:uvfio_mig"));
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	FAILS(write(fd, &b, 1), EBADF);
	FAILS(pread(fd, &b, 1, 0), ESPIPE);
	FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == ENODEV);
	FAILS(ioctl(fd, VFIO_DEVICE_GET_INFO, &info), ENOTTY);
	FAILS(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), EINVAL); /* not in this state */
	FAILS(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, NULL), EFAULT);
	FAILS(read(fd, nowhere, 1), EFAULT);
	CHECK(read(fd, &b, 1) == 1 && b == 'u');
	p.fd = fd;
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	/* one stream at a time: its end is its state's */
	CHECK(!set_state(d, STOP, NULL));
	FAILS(read(fd, &b, 1), ENODEV);
	CHECK(poll(&p, 1, 0) == 1);
	close(fd);
	CHECK(!set_state(d, RESUMING, &fd) && fd >= 0);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY);
	FAILS(read(fd, &b, 1), EBADF);
	FAILS(pwrite(fd, &b, 1, 0), ESPIPE);
	FAILS(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info), ENOTTY);
	FAILS(write(fd, nowhere, 1), EFAULT);
	FAILS(set_state(d, STOP, NULL), EINVAL); /* nothing came */
	CHECK(state_of(d) == RESUMING);
	FAILS(write(fd, "this is no stream of a device", 29), EINVAL);
	FAILS(write(fd, "u", 1), ENODEV);
	FAILS(set_state(d, STOP, NULL), EINVAL);
	CHECK(!ioctl(d, VFIO_DEVICE_RESET) && state_of(d) == RUNNING);
	FAILS(write(fd, "u", 1), ENODEV);
	close(fd);
}

static void precopy(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info), .flags = 77 };
	struct pollfd p = { .events = POLLIN };
	int fd, none, d = one.device;

	CHECK(!set_state(d, PRE, &fd) && fd >= 0);
	p.fd = fd;
	FAILS(ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &(struct vfio_precopy_info){ .argsz = 23 }),
	      EINVAL);
	CHECK(!ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) && info.flags == 77 &&
	      info.initial_bytes >= 65536 && !info.dirty_bytes);
	CHECK(poll(&p, 1, 0) == 1);
	stream_len = 0;
	CHECK(drain(fd, 1000) == ENOMSG && stream_len > 65536);
	CHECK(poll(&p, 1, 0) == 0);
	CHECK(!ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) && !info.initial_bytes &&
	      !info.dirty_bytes);
	set(&one, 0, 5000, 4, 1);
	CHECK(!feature_raw(d, 12 | VFIO_DEVICE_FEATURE_SET, NULL, 0));
	CHECK(!ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info) && !info.flags && !info.initial_bytes &&
	      info.dirty_bytes == 4096);
	CHECK(poll(&p, 1, 0) == 1);
	CHECK(!set_state(d, PRE_P2P, &none) && none == -1);
	CHECK(!set_state(d, PRE, &none) && none == -1);
	CHECK(drain(fd, 100) == ENOMSG);
	CHECK(!set_state(d, STOP_COPY, &none) && none == -1);
	CHECK(poll(&p, 1, 0) == 1);
	CHECK(drain(fd, 100) == 0);
	FAILS(set_state(d, PRE, &none), EINVAL);
	FAILS(set_state(d, PRE_P2P, &none), EINVAL);
	CHECK(state_of(d) == STOP_COPY);
	CHECK(!set_state(d, RUNNING, NULL));
	close(fd);
}

/* Wait for a stream that gets readable: by epoll, edge by edge. */
static void waiting(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	int fd, ep = epoll_create1(EPOLL_CLOEXEC);

	CHECK(!set_state(one.device, PRE, &fd));
	stream_len = 0;
	CHECK(drain(fd, 4096) == ENOMSG);
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	CHECK(epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(!set_state(one.device, STOP_COPY, NULL));
	CHECK(epoll_wait(ep, &e, 1, 5000) == 1);
	CHECK(drain(fd, 4096) == 0);
	close(fd);
	close(ep);
	CHECK(!set_state(one.device, RUNNING, NULL));
}

/* Nothing happens of what is asked of a stopped device, until it goes on. */
static void stopped(void)
{
	struct pollfd p = { .events = POLLIN };
	int d = two.device;

	msix(&two, 4);
	p.fd = events[2];
	mem[100] = 7;
	CHECK(!set_state(d, STOP, NULL));
	SET(&two, TD_MSI, 2);
	CHECK(poll(&p, 1, 20) == 0);
	SET8(&two, TD_DMA_DST, IOVA + 100);
	SET8(&two, TD_DMA_LEN, 1);
	SET(&two, TD_DMA_PATTERN, 9);
	SET(&two, TD_DMA_CMD, TD_OP_FILL);
	CHECK(REG(&two, TD_DMA_STATUS) == TD_DMA_BUSY && mem[100] == 7);
	CHECK(!set_state(d, P2P, NULL));
	CHECK(eventfd_wait(events[2], 5000) == 1);
	CHECK(mem[100] == 7);
	CHECK(!set_state(d, RUNNING, NULL));
	for (int i = 0; i < 5000 && REG(&two, TD_DMA_STATUS) == TD_DMA_BUSY; i++)
		usleep(1000);
	CHECK(REG(&two, TD_DMA_STATUS) == TD_DMA_OK && mem[100] == 9);
	/* reset by config space, and by the ioctl: it runs */
	CHECK(!set_state(d, STOP, NULL) && !ioctl(d, VFIO_DEVICE_RESET) && state_of(d) == RUNNING);
	for (unsigned i = 0; i < 4; i++)
		close(events[i]);
}

/* The streams of two devices have nothing to do with each other. */
static void both(void)
{
	int a, b, d = two.device;

	set(&one, 0, 0x1000, 8, 0x1122334455667788);
	SET(&one, TD_SCRATCH32, 99);
	CHECK(!set_state(one.device, STOP_COPY, &a));
	CHECK(!set_state(d, RESUMING, &b));
	stream_len = 0;
	CHECK(drain(a, 777) == 0);
	CHECK(write(b, stream, stream_len) == (ssize_t)stream_len);
	CHECK(!set_state(d, RUNNING, NULL));
	CHECK(get(&two, 0, 0x1000, 8) == 0x1122334455667788 && REG(&two, TD_SCRATCH32) == 99);
	CHECK(!set_state(one.device, RUNNING, NULL));
	SET(&one, TD_SCRATCH32, 1);
	CHECK(REG(&two, TD_SCRATCH32) == 99);
	close(a);
	close(b);
	/* damaged on the way: the device is as it was */
	CHECK(!set_state(d, RESUMING, &b));
	stream[stream_len / 2] ^= 1;
	FAILS(write(b, stream, stream_len), EINVAL);
	CHECK(!ioctl(d, VFIO_DEVICE_RESET));
	close(b);
}

/* Return where MSI's mask bits are in config space. */
static off_t msi_mask(struct vfio *v)
{
	unsigned at = (unsigned)get(v, 7, 0x34, 1);

	while (at && get(v, 7, at, 1) != 5)
		at = (unsigned)get(v, 7, at + 1, 1);
	must(at, "MSI");
	return (off_t)(at + (get(v, 7, at + 2, 2) & 0x80 ? 16 : 12));
}

/*
 * A vector of MSI that the driver masked stays so, and what waits behind the mask comes after it.
 */
static void msi_masks(void)
{
	int fds[2][4], a, b, d = two.device;
	struct vfio *v[] = { &one, &two };
	struct pollfd p = { .events = POLLIN };
	off_t mask = msi_mask(&one);

	for (unsigned n = 0; n < 2; n++) {
		for (unsigned i = 0; i < 4; i++)
			fds[n][i] = eventfd(0, EFD_CLOEXEC);
		vfio_set_irqs(v[n]->device, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			      VFIO_PCI_MSIX_IRQ_INDEX, 0, 0, NULL);
		must(!vfio_set_irqs(v[n]->device,
				    VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				    VFIO_PCI_MSI_IRQ_INDEX, 0, 4, fds[n]),
		     "MSI");
	}
	set(&one, 7, (uint64_t)mask, 4, 5);
	SET(&one, TD_MSI, 2);
	CHECK(!set_state(one.device, STOP_COPY, &a));
	CHECK(!set_state(d, RESUMING, &b));
	stream_len = 0;
	CHECK(drain(a, 4096) == 0);
	CHECK(write(b, stream, stream_len) == (ssize_t)stream_len);
	CHECK(!set_state(d, RUNNING, NULL));
	CHECK((get(&two, 7, (uint64_t)mask, 4) & 0xf) == 5);
	p.fd = fds[1][2];
	CHECK(poll(&p, 1, 20) == 0);
	SET(&two, TD_MSI, 1);
	CHECK(eventfd_wait(fds[1][1], 5000) == 1);
	set(&two, 7, (uint64_t)mask, 4, 0);
	CHECK(eventfd_wait(fds[1][2], 5000) == 1);
	CHECK(!set_state(one.device, RUNNING, NULL));
	for (unsigned n = 0; n < 2; n++) {
		must(!vfio_set_irqs(v[n]->device,
				    VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
				    VFIO_PCI_MSI_IRQ_INDEX, 0, 0, NULL),
		     "no MSI");
		for (unsigned i = 0; i < 4; i++)
			close(fds[n][i]);
	}
	close(a);
	close(b);
}

/*
 * True if vector 2 is masked: of MSI-X by the @table, which nothing but a mapping reaches; of MSI.
 */
static bool msi_masked(struct vfio *v, volatile uint32_t *table)
{
	return table ? table[2 * 4 + 3] & 1 : get(v, 7, (uint64_t)msi_mask(v), 4) & 1 << 2;
}

static void mask_msi(struct vfio *v, volatile uint32_t *table, bool on)
{
	if (table)
		table[2 * 4 + 3] = on;
	else
		set(v, 7, (uint64_t)msi_mask(v), 4, on << 2);
}

/*
 * Eventfds that are set after the state was loaded unmask their vectors, as the kernel's SET_IRQS
 * does. Who had masked one masks it again before the device goes on, and what waited still waits.
 */
static void late_masks(void)
{
	const uint32_t trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
	struct vfio *v[] = { &one, &two };
	volatile uint32_t *table[2] = { NULL, NULL }; /* of MSI-X, in BAR2 */
	int fds[2][4], a, b;

	for (unsigned index = VFIO_PCI_MSI_IRQ_INDEX; index <= VFIO_PCI_MSIX_IRQ_INDEX; index++) {
		struct pollfd p = { .events = POLLIN };

		for (unsigned i = 0; i < 8; i++)
			fds[i / 4][i % 4] = eventfd(0, EFD_CLOEXEC);
		for (unsigned n = 0; n < 2; n++) {
			if (index == VFIO_PCI_MSIX_IRQ_INDEX)
				table[n] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
						v[n]->device, (off_t)(VFIO_REGION(2) + 0x8000));
			if (n) { /* the state of the first one comes to the second */
				CHECK(!set_state(one.device, STOP_COPY, &a));
				CHECK(!set_state(two.device, RESUMING, &b));
				stream_len = 0;
				CHECK(drain(a, 4096) == 0);
				CHECK(write(b, stream, stream_len) == (ssize_t)stream_len);
				CHECK(!set_state(two.device, STOP, NULL));
			}
			must(table[n] != MAP_FAILED &&
				     !vfio_set_irqs(v[n]->device,
						    VFIO_IRQ_SET_DATA_EVENTFD | trigger, index, 0,
						    4, fds[n]),
			     "eventfds");
			CHECK(!msi_masked(v[n], table[n]));
			mask_msi(v[n], table[n], true);
			if (!n)
				SET(&one, TD_MSI, 2);
		}
		CHECK(!set_state(two.device, RUNNING, NULL));
		p.fd = fds[1][2];
		CHECK(poll(&p, 1, 20) == 0);
		mask_msi(&two, table[1], false);
		CHECK(eventfd_wait(p.fd, 5000) == 1);
		CHECK(!set_state(one.device, RUNNING, NULL));
		for (unsigned n = 0; n < 2; n++) {
			vfio_set_irqs(v[n]->device, VFIO_IRQ_SET_DATA_NONE | trigger, index, 0, 0,
				      NULL);
			if (table[n])
				munmap((void *)table[n], 4096);
		}
		for (unsigned i = 0; i < 8; i++)
			close(fds[i / 4][i % 4]);
		close(a);
		close(b);
	}
}

/* ---- DMA logging ---- */

enum { LOG_START = 6, LOG_STOP, LOG_REPORT };

static int log_start(uint64_t page_size, uint32_t n, const void *ranges, uint64_t *got)
{
	struct vfio_device_feature_dma_logging_control c = { .page_size = page_size,
							     .num_ranges = n,
							     .ranges = (uintptr_t)ranges };
	int ret = feature_raw(two.device, LOG_START | VFIO_DEVICE_FEATURE_SET, &c, sizeof(c));

	if (got)
		*got = c.page_size;
	return ret;
}

static int log_report(uint64_t iova, uint64_t length, uint64_t page_size, void *bitmap)
{
	struct vfio_device_feature_dma_logging_report r = {
		.iova = iova, .length = length, .page_size = page_size, .bitmap = (uintptr_t)bitmap
	};

	return feature_raw(two.device, LOG_REPORT | VFIO_DEVICE_FEATURE_GET, &r, sizeof(r));
}

static int log_stop(void)
{
	return feature_raw(two.device, LOG_STOP | VFIO_DEVICE_FEATURE_SET, NULL, 0);
}

/* Have the device write @len bytes of the driver's memory. */
static void fill(uint64_t offset, uint64_t len)
{
	SET8(&two, TD_DMA_DST, IOVA + offset);
	SET8(&two, TD_DMA_LEN, len);
	SET(&two, TD_DMA_CMD, TD_OP_FILL);
	CHECK(REG(&two, TD_DMA_STATUS) == TD_DMA_OK);
}

static void dma_logging(void)
{
	struct vfio_device_feature_dma_logging_range r[257] = { { IOVA, MEM } };
	uint8_t bitmap[16] = { 0x80 };
	uint64_t got;
	int d = two.device;

	CHECK(!feature_raw(d, LOG_START | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE, NULL,
			   0));
	FAILS(feature_raw(d, LOG_START | VFIO_DEVICE_FEATURE_GET, NULL, 0), EINVAL);
	FAILS(feature_raw(d, LOG_REPORT | VFIO_DEVICE_FEATURE_SET, NULL, 0), EINVAL);
	CHECK(!log_stop()); /* it is off */
	FAILS(log_report(IOVA, MEM, 4096, bitmap), EINVAL);
	/* arguments of START */
	FAILS(log_start(4096, 0, r, NULL), EINVAL);
	FAILS(log_start(4096, 257, r, NULL), E2BIG);
	FAILS(log_start(4096, 1, NULL, NULL), EFAULT);
	FAILS(log_start(4097, 1, r, NULL), EINVAL);
	FAILS(log_start(MEM * 2, 1, r, NULL), EINVAL);
	r[1] = (struct vfio_device_feature_dma_logging_range){ IOVA + MEM - 4096, 8192 };
	FAILS(log_start(4096, 2, r, NULL), EINVAL);
	r[1].iova = -4096ull;
	FAILS(log_start(4096, 2, r, NULL), EOVERFLOW);
	r[1].length = 0;
	FAILS(log_start(4096, 2, r, NULL), EINVAL);
	CHECK(!log_start(1, 1, r, &got) && got == 4096);
	FAILS(log_start(4096, 1, r, NULL), EINVAL);
	/* arguments of REPORT */
	FAILS(log_report(IOVA, MEM, 2048, bitmap), EINVAL);
	FAILS(log_report(IOVA, MEM, 4097, bitmap), EINVAL);
	FAILS(log_report(-4096ull, 8192, 4096, bitmap), EOVERFLOW);
	CHECK(!log_report(IOVA, 0, 4096, bitmap));
	/* what is written, and by whom */
	fill(4096 + 5, 1);
	fill(3 * 4096 - 1, 2);
	memset(mem, 1, MEM);
	FAILS(log_report(IOVA, MEM, 4096, NULL), EFAULT); /* and is told again */
	CHECK(!log_report(IOVA, MEM, 4096, bitmap));
	CHECK(bitmap[0] == (0x80 | 0xe) && !bitmap[1] && !bitmap[2]);
	memset(bitmap, 0, sizeof(bitmap));
	CHECK(!log_report(IOVA, MEM, 4096, bitmap) && !bitmap[0]);
	fill(8 * 4096, 8 * 4096);
	CHECK(!log_report(IOVA + 12 * 4096, 4 * 4096, 8192, bitmap) && bitmap[0] == 3);
	memset(bitmap, 0, sizeof(bitmap));
	CHECK(!log_report(0, 1ull << 62, 1ull << 20, bitmap) && bitmap[0] == 2 && !bitmap[1]);
	/* the migration has nothing to do with it; the last close ends it */
	CHECK(!set_state(d, STOP, NULL) && !set_state(d, RUNNING, NULL));
	fill(0, 1);
	CHECK(!log_report(IOVA, MEM, 4096, bitmap) && bitmap[0] == 3);
	CHECK(!log_stop());
	FAILS(log_report(IOVA, MEM, 4096, bitmap), EINVAL);
	r[0] = (struct vfio_device_feature_dma_logging_range){ 0, 1ull << 63 };
	CHECK(!log_start(4096, 1, r, &got) && got == 1 << 20);
}

/* A stream outlives its device's last descriptor, and is dead. */
static void closed(void)
{
	uint8_t b;
	int fd;

	CHECK(!set_state(two.device, STOP_COPY, &fd) && read(fd, &b, 1) == 1);
	vfio_close(&two);
	FAILS(read(fd, &b, 1), ENODEV);
	close(fd);
	start(&two, TWO);
	CHECK(state_of(two.device) == RUNNING);
	FAILS(log_report(IOVA, MEM, 4096, &b), EINVAL); /* of dma_logging() */
}

static int cases(void)
{
	start(&other, OTHER);
	start(&one, ONE);
	start(&two, TWO); /* its memory is @mem */
	RUN(features);
	RUN(arguments);
	RUN(descriptors);
	RUN(precopy);
	RUN(waiting);
	RUN(stopped);
	RUN(both);
	RUN(msi_masks);
	RUN(late_masks);
	RUN(dma_logging);
	RUN(closed);
	return any_failed;
}

/* ---- from one process to another ---- */

#define RAM 65536u

/* The contents of BAR0 in the end. */
static uint32_t ram_word(unsigned i)
{
	return i * 2654435761u;
}

static int save(void)
{
	struct vfio v;
	int fd;

	start(&v, ONE);
	/* vector 3 tells of the DMA, 5 has no eventfd here, and 6 will not be seen here */
	msix(&v, 5);
	SET(&v, TD_SCRATCH32, 0x5aa5);
	SET8(&v, TD_DMA_SRC, IOVA);
	must(!set_state(v.device, PRE, &fd), "PRE_COPY");
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = round * 1024; i < RAM / 4; i += 5)
			set(&v, 0, i * 4, 4, ram_word(i) + 3 - round);
		must(drain(fd, 4096) == ENOMSG, "the stream, beforehand");
	}
	for (unsigned i = 0; i < RAM / 4; i++)
		set(&v, 0, i * 4, 4, ram_word(i));
	SET(&v, TD_MSI, 5);
	must(!set_state(v.device, PRE_P2P, NULL), "PRE_COPY_P2P");
	/* given, and not begun: the first 4 KiB of BAR0 come from the driver's memory */
	SET8(&v, TD_DMA_DST, 0);
	SET8(&v, TD_DMA_LEN, 4096);
	SET(&v, TD_DMA_VECTOR, 3);
	SET(&v, TD_DMA_CMD, TD_OP_LOAD | TD_DMA_IRQ);
	must(REG(&v, TD_DMA_STATUS) == TD_DMA_BUSY, "the DMA is in flight");
	must(!set_state(v.device, STOP_COPY, NULL), "STOP_COPY");
	must(drain(fd, 100) == 0, "the stream");
	for (size_t at = 0; at < stream_len;) {
		ssize_t n = write(STDOUT_FILENO, stream + at, stream_len - at);

		must(n > 0, "stdout");
		at += (size_t)n;
	}
	return 0;
}

static void read_stream(void)
{
	ssize_t n;

	while ((n = read(STDIN_FILENO, stream + stream_len, sizeof(stream) - stream_len)) > 0)
		stream_len += (size_t)n;
	must(!n, "stdin");
}

static struct vfio moved;

static void registers(void)
{
	CHECK(state_of(moved.device) == STOP);
	CHECK(REG(&moved, TD_SCRATCH32) == 0x5aa5);
	CHECK(REG(&moved, TD_DMA_STATUS) == TD_DMA_BUSY);
	CHECK(get(&moved, 7, 4, 2) == 6);
	for (unsigned i = 0; i < RAM / 4; i++)
		if (get(&moved, 0, i * 4, 4) != ram_word(i)) {
			CHECK(!"a word of BAR0");
			break;
		}
}

/* Nothing comes before it goes on; then all of it does. */
static void in_flight(void)
{
	struct pollfd p[2] = { { .fd = events[3], .events = POLLIN },
			       { .fd = events[5], .events = POLLIN } };

	CHECK(poll(p, 2, 20) == 0);
	for (unsigned i = 0; i < 1024; i++)
		((uint32_t *)mem)[i] = ~ram_word(i);
	CHECK(!set_state(moved.device, RUNNING, NULL));
	CHECK(eventfd_wait(events[5], 5000) == 1);
	CHECK(eventfd_wait(events[3], 5000) == 1);
	CHECK(REG(&moved, TD_DMA_STATUS) == TD_DMA_OK && get(&moved, 2, TD_DMA_DONE, 8) == 4096);
	for (unsigned i = 0; i < RAM / 4; i++)
		if (get(&moved, 0, i * 4, 4) != (i < 1024 ? ~ram_word(i) : ram_word(i))) {
			CHECK(!"a word of BAR0");
			break;
		}
	CHECK(poll(p, 2, 0) == 0);
}

static int load(void)
{
	int fd;

	read_stream();
	start(&moved, ONE);
	msix(&moved, 6);
	must(!set_state(moved.device, RESUMING, &fd), "RESUMING");
	for (size_t at = 0, n; at < stream_len; at += n) {
		n = stream_len - at < 333 ? stream_len - at : 333;
		must(write(fd, stream + at, n) == (ssize_t)n, "write of the stream");
	}
	must(!set_state(moved.device, STOP, NULL), "STOP");
	RUN(registers);
	RUN(in_flight);
	return any_failed;
}

/* ---- a device of a user's ---- */

static int counter(void)
{
	uint64_t *laps;
	int from, to;

	start(&one, ONE);
	set(&one, 0, 0x08, 4, 10);	    /* LIMIT */
	set(&one, 0, 0x10, 8, IOVA + 0x80); /* REPORT */
	set(&one, 0, 0x04, 4, 17);	    /* ADD: one lap, and 7 */
	must(!set_state(one.device, STOP_COPY, &from), "STOP_COPY");
	must(drain(from, 4096) == 0, "the stream");
	finish(&one);
	start(&two, TWO);
	must(!set_state(two.device, RESUMING, &to), "RESUMING");
	must(write(to, stream, stream_len) == (ssize_t)stream_len, "write of the stream");
	must(!set_state(two.device, RUNNING, NULL), "RUNNING");
	laps = (uint64_t *)(mem + 0x80);
	must(get(&two, 0, 0x00, 4) == 7 && !*laps, "COUNT");
	set(&two, 0, 0x04, 4, 3);
	must(*laps == 2 && get(&two, 0, 0x00, 4) == 0, "the second lap");
	return 0;
}

/* edu, whose DMA and factorial take their time: both are under way when it moves. */
static int edu(void)
{
	int from, to, fd;

	start(&one, ONE);
	/* given while it is stopped, and so not over when its state is saved */
	must(!set_state(one.device, STOP, NULL), "STOP");
	set(&one, 0, 0x04, 4, 0x12345678);
	set(&one, 0, 0x20, 4, 0x80); /* interrupt after a factorial */
	set(&one, 0, 0x08, 4, 10);
	set(&one, 0, 0x80, 8, IOVA);
	set(&one, 0, 0x88, 8, 0x40000);
	set(&one, 0, 0x90, 8, 64);
	set(&one, 0, 0x98, 8, 1 | 4);
	must(!set_state(one.device, STOP_COPY, &from), "STOP_COPY");
	must(drain(from, 4096) == 0, "the stream");
	finish(&one);

	start(&two, TWO);
	fd = eventfd(0, EFD_CLOEXEC);
	must(!vfio_set_irqs(two.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &fd),
	     "MSI");
	memset(mem, 0x5c, 64);
	must(!set_state(two.device, RESUMING, &to), "RESUMING");
	must(write(to, stream, stream_len) == (ssize_t)stream_len, "write of the stream");
	must(!set_state(two.device, STOP, NULL), "STOP");
	must(get(&two, 0, 0x04, 4) == (uint32_t)~0x12345678 && get(&two, 0, 0x20, 4) == 0x81 &&
		     get(&two, 0, 0x98, 8) == 5,
	     "registers");
	must(!set_state(two.device, RUNNING, NULL), "RUNNING");
	for (int i = 0; i < 5000 && (get(&two, 0, 0x20, 4) & 1 || get(&two, 0, 0x98, 8) & 1); i++)
		usleep(1000);
	must(get(&two, 0, 0x08, 4) == 3628800 && get(&two, 0, 0x24, 4) == 0x101, "the factorial");
	must(eventfd_wait(fd, 5000) >= 1, "the interrupt");
	/* back from its buffer: what this driver has in its memory */
	set(&two, 0, 0x80, 8, 0x40000);
	set(&two, 0, 0x88, 8, IOVA + 4096);
	set(&two, 0, 0x98, 8, 1 | 2);
	for (int i = 0; i < 5000 && get(&two, 0, 0x98, 8) & 1; i++)
		usleep(1000);
	must(!memcmp(mem, mem + 4096, 64), "what the DMA brought");
	return 0;
}

/* A state that cannot be loaded: at write, or when RESUMING is left; a reset leads out. */
static int refused(void)
{
	int fd, ret;
	ssize_t n;

	read_stream();
	start(&one, ONE);
	must(!set_state(one.device, RESUMING, &fd), "RESUMING");
	n = write(fd, stream, stream_len);
	printf("write: %s\n", n < 0 ? strerror(errno) : "all");
	ret = set_state(one.device, STOP, NULL);
	printf("STOP: %s, state %u\n", ret ? strerror(errno) : "done", state_of(one.device));
	must(!ioctl(one.device, VFIO_DEVICE_RESET) && state_of(one.device) == RUNNING, "reset");
	return 0;
}

/* Have the one device learn that it cannot take the other's state while that one runs. */
static int early(void)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int from, to;
	ssize_t n;

	start(&one, ONE);
	must(!set_state(one.device, PRE, &from), "PRE_COPY");
	must(!ioctl(from, VFIO_MIG_GET_PRECOPY_INFO, &info) && info.initial_bytes, "initial bytes");
	must(drain(from, 4096) == ENOMSG, "the stream, beforehand");
	must(!ioctl(from, VFIO_MIG_GET_PRECOPY_INFO, &info) && !info.initial_bytes &&
		     !info.dirty_bytes,
	     "the end of the initial bytes");
	start(&two, TWO);
	must(!set_state(two.device, RESUMING, &to), "RESUMING");
	n = write(to, stream, stream_len);
	printf("write: %s; the source is in state %u\n", n < 0 ? strerror(errno) : "all",
	       state_of(one.device));
	must(!set_state(one.device, RUNNING, NULL), "RUNNING");
	must(!ioctl(two.device, VFIO_DEVICE_RESET) && state_of(two.device) == RUNNING, "reset");
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "cases"))
		return cases();
	if (!strcmp(what, "save"))
		return save();
	if (!strcmp(what, "load"))
		return load();
	if (!strcmp(what, "counter"))
		return counter();
	if (!strcmp(what, "edu"))
		return edu();
	if (!strcmp(what, "refused"))
		return refused();
	if (!strcmp(what, "early"))
		return early();
	fprintf(stderr, "migrate_client cases | save | load | counter | edu | refused | early\n");
	return 2;
}
