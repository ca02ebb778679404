/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uapi/closing_test.c: all that a program may hold of a device is closed in every order: each
 * permutation of a set on a device that was opened afresh. In between, what is left open must
 * answer as the kernel's: who keeps whom, EBUSY and ENODEV, and a number that was destroyed is
 * given out again at once. At the end of each order nothing may be open, mapped or pinned, and the
 * device can be opened again; memory is AddressSanitizer's to count.
 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sanitize.h"
#include "machine/machine.h"
#include "models/testdev/regs.h"
#include "uapi/internal.h"
#include "vfio/internal.h"

#define CDEV(n)	  "/dev/vfio/devices/vfio" #n
#define GROUP	  "/dev/vfio/1"
#define K	  4096ul
#define IOVA	  0x100000ul
#define REGS(off) (2ull << 40 | (off))
#define COMMAND	  (7ull << 40 | 4)
#define MOST	  8 /* things in a set */

/* Under a sanitizer, which takes ten times as long, one order of so many. */
#if defined(SANITIZED_ADDRESS) || defined(SANITIZED_THREAD)
enum { STRIDE = 13 };
#else
enum { STRIDE = 1 };
#endif

static struct machine *machine;
static struct vfio_system *sys;
static uint32_t *mem; /* a page that the device reaches at IOVA */

/* Open descriptors; -1: it is not open. */
static struct {
	int container, iommufd, group, device, sibling, dmabuf, stream, event, fault;
	struct uapi_file *mapping; /* an mmap() of a BAR: the kernel's holds the file */
	uint32_t ioas, hwpt, queue, hwpt_with_queue, dev_id;
	uint32_t attached_to; /* of the objects: a HWPT */
} o;

/* ---- what a failure says */

static char done[160]; /* what this order has closed so far */

#define EXPECT(call, want)                                                                 \
	do {                                                                               \
		long got_ = (call), want_ = (want);                                        \
		if (got_ != want_)                                                         \
			fail_msg("%s then: %s is %ld, not %ld", done, #call, got_, want_); \
	} while (0)

/* ---- a program's calls. Each descriptor is a real one, which tells nothing but its number. */

enum { NUMBERS = 256 };
static struct uapi_file *fds[NUMBERS];

static struct uapi_file *table_fget(void *arg, int fd, int *err)
{
	*err = fcntl(fd, F_GETFD) < 0 ? -EBADF : 0;
	if (*err || fd >= NUMBERS || !fds[fd])
		return NULL;
	uapi_file_get(fds[fd]);
	return fds[fd];
}

static int table_install(void *arg, struct uapi_file *f, int flags)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_in_range(fd, 0, NUMBERS - 1);
	fds[fd] = f;
	return fd;
}

static const struct uapi_fds test_table = { .fget = table_fget, .install = table_install };

static long ioc(int fd, unsigned cmd, void *arg)
{
	return uapi_ioctl(fds[fd], cmd, (unsigned long)arg);
}

static int open_fd(const char *path)
{
	struct uapi_file *f;
	int ret = uapi_open(sys, &test_table, path, O_RDWR, &f);

	return ret ? ret : table_install(NULL, f, O_RDWR);
}

static void close_fd(int *fd)
{
	struct uapi_file *f;

	if (*fd < 0)
		return;
	f = fds[*fd];
	fds[*fd] = NULL;
	close(*fd);
	*fd = -1;
	uapi_file_put(f);
}

static void close_mapping(void)
{
	if (o.mapping)
		uapi_file_put(o.mapping);
	o.mapping = NULL;
}

static void close_event(void)
{
	if (o.event >= 0)
		close(o.event);
	o.event = -1;
}

/* Return a file of the device, which somebody has still open, or NULL. */
static struct uapi_file *device_file(void)
{
	return o.device >= 0 ? fds[o.device] : o.mapping;
}

static uint32_t reg(struct uapi_file *f, unsigned off)
{
	uint32_t v = 0;

	EXPECT(uapi_pread(f, &v, 4, REGS(off)), 4);
	return v;
}

static void set_reg(struct uapi_file *f, unsigned off, uint64_t v, size_t size)
{
	EXPECT(uapi_pwrite(f, &v, size, REGS(off)), (long)size);
}

/* Have the device write to IOVA: true if it came there. */
static bool dma(struct uapi_file *f)
{
	static uint32_t pattern;

	pattern++;
	set_reg(f, TD_DMA_PATTERN, pattern, 4);
	set_reg(f, TD_DMA_CMD, TD_OP_FILL, 4);
	if (reg(f, TD_DMA_STATUS) == TD_DMA_OK)
		EXPECT(*mem, pattern);
	return *mem == pattern;
}

static long feature(struct uapi_file *f, uint32_t flags, void *data, size_t size)
{
	union {
		struct vfio_device_feature h;
		uint8_t bytes[64];
	} u = { .h = { .argsz = (uint32_t)(sizeof(u.h) + size), .flags = flags } };
	long ret;

	memcpy(u.h.data, data, size);
	ret = uapi_ioctl(f, VFIO_DEVICE_FEATURE, (unsigned long)&u);
	memcpy(data, u.h.data, size);
	return ret;
}

static uint32_t alloc_ioas(int iommufd)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };

	EXPECT(ioc(iommufd, IOMMU_IOAS_ALLOC, &a), 0);
	return a.out_ioas_id;
}

static long destroy(int iommufd, uint32_t id)
{
	struct iommu_destroy d = { .size = sizeof(d), .id = id };

	return ioc(iommufd, IOMMU_DESTROY, &d);
}

static long bind_to(int cdev, int iommufd, uint32_t *id)
{
	struct vfio_device_bind_iommufd b = { .argsz = 16, .iommufd = iommufd };
	long ret = ioc(cdev, VFIO_DEVICE_BIND_IOMMUFD, &b);

	if (id)
		*id = b.out_devid;
	return ret;
}

static long attach(int cdev, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = { .argsz = 12, .pt_id = pt };

	return ioc(cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a);
}

static void map_ioas(int iommufd, uint32_t ioas)
{
	struct iommu_ioas_map m = { .size = sizeof(m),
				    .flags = 7,
				    .ioas_id = ioas,
				    .user_va = (uintptr_t)mem,
				    .length = K,
				    .iova = IOVA };

	EXPECT(ioc(iommufd, IOMMU_IOAS_MAP, &m), 0);
}

/* ---- opening */

/*
 * What a device has besides: registers set for DMA, an interrupt, a dma-buf, a stream, a mapping.
 */
static void use_device(void)
{
	struct {
		struct vfio_device_feature_dma_buf b;
		uint64_t range[2];
	} buf = { .b = { .region_index = 0, .open_flags = O_RDWR, .nr_ranges = 1 },
		  .range = { 0, K } };
	struct vfio_device_feature_mig_state mig = { .device_state = VFIO_DEVICE_STATE_PRE_COPY };
	struct {
		struct vfio_irq_set h;
		int32_t fd;
	} irq = { .h = { .argsz = sizeof(irq),
			 .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			 .index = VFIO_PCI_MSIX_IRQ_INDEX,
			 .count = 1 },
		  .fd = eventfd(0, EFD_NONBLOCK) };
	struct uapi_file *f = fds[o.device];
	uint16_t command = 6; /* memory, bus master */

	EXPECT(uapi_pwrite(f, &command, 2, COMMAND), 2);
	set_reg(f, TD_DMA_DST, IOVA, 8);
	set_reg(f, TD_DMA_LEN, 4, 4);
	o.event = irq.fd;
	EXPECT(ioc(o.device, VFIO_DEVICE_SET_IRQS, &irq), 0);
	o.dmabuf = (int)feature(f, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF, &buf,
				sizeof(buf));
	EXPECT(o.dmabuf >= 0, 1);
	EXPECT(feature(f, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
		       sizeof(mig)),
	       0);
	o.stream = mig.data_fd;
	EXPECT(uapi_mmap_check(f, K, PROT_READ, MAP_SHARED, REGS(0)), 0);
	uapi_file_get(f);
	o.mapping = f;
	EXPECT(dma(f), 1);
}

static void open_by_group(int container)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = 3, .vaddr = (uintptr_t)mem, .iova = IOVA, .size = K
	};

	o.group = open_fd(GROUP);
	EXPECT(ioc(o.group, VFIO_GROUP_SET_CONTAINER, &container), 0);
	EXPECT(ioc(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	EXPECT(ioc(container, VFIO_IOMMU_MAP_DMA, &m), 0);
	o.device = (int)ioc(o.group, VFIO_GROUP_GET_DEVICE_FD, "0000:01:00.0");
	EXPECT(o.device >= 0, 1);
	use_device();
}

static void open_group(void)
{
	o.container = open_fd("/dev/vfio/vfio");
	open_by_group(o.container);
}

static void open_sibling(void)
{
	o.sibling = (int)ioc(o.group, VFIO_GROUP_GET_DEVICE_FD, "0000:02:00.0");
	EXPECT(o.sibling >= 0, 1);
}

static void open_two(void)
{
	open_group();
	open_sibling();
}

static void open_compat(void)
{
	o.iommufd = open_fd("/dev/iommu");
	open_by_group(o.iommufd);
	open_sibling();
}

static void open_cdevs(void)
{
	o.iommufd = open_fd("/dev/iommu");
	o.device = open_fd(CDEV(0));
	o.sibling = open_fd(CDEV(1));
	EXPECT(bind_to(o.device, o.iommufd, &o.dev_id), 0);
	EXPECT(bind_to(o.sibling, o.iommufd, NULL), 0);
	o.ioas = alloc_ioas(o.iommufd);
	map_ioas(o.iommufd, o.ioas);
	EXPECT(attach(o.device, o.ioas), 0);
	EXPECT(attach(o.sibling, o.ioas), 0);
	use_device();
}

/* Objects that hold each other: a device > HWPT > IOAS; another HWPT > fault queue, IOAS. */
static void make_objects(void)
{
	struct iommu_fault_alloc q = { .size = sizeof(q) };
	struct iommu_hwpt_alloc h = { .size = sizeof(h) };
	uint16_t command = 6;

	o.hwpt = 0;
	o.iommufd = open_fd("/dev/iommu");
	o.device = open_fd(CDEV(0));
	EXPECT(bind_to(o.device, o.iommufd, &o.dev_id), 0);
	o.ioas = alloc_ioas(o.iommufd);
	map_ioas(o.iommufd, o.ioas);
	EXPECT(ioc(o.iommufd, IOMMU_FAULT_QUEUE_ALLOC, &q), 0);
	o.queue = q.out_fault_id;
	o.fault = (int)q.out_fault_fd;
	h.dev_id = o.dev_id;
	h.pt_id = o.ioas;
	h.flags = IOMMU_HWPT_FAULT_ID_VALID;
	h.fault_id = o.queue;
	EXPECT(ioc(o.iommufd, IOMMU_HWPT_ALLOC, &h), 0);
	o.hwpt_with_queue = h.out_hwpt_id;
	EXPECT(uapi_pwrite(fds[o.device], &command, 2, COMMAND), 2);
	set_reg(fds[o.device], TD_DMA_DST, IOVA, 8);
	set_reg(fds[o.device], TD_DMA_LEN, 4, 4);
}

static void open_objects(void)
{
	struct iommu_hwpt_alloc h = { .size = sizeof(h) };

	make_objects();
	h.dev_id = o.dev_id;
	h.pt_id = o.ioas;
	EXPECT(ioc(o.iommufd, IOMMU_HWPT_ALLOC, &h), 0);
	o.hwpt = h.out_hwpt_id;
	EXPECT(attach(o.device, o.hwpt), 0);
	o.attached_to = o.hwpt;
}

/* The device uses the HWPT with the queue, and one of its page requests is not answered. */
static void open_faults(void)
{
	struct iommu_hwpt_pgfault fault;

	make_objects();
	EXPECT(attach(o.device, o.hwpt_with_queue), 0);
	o.attached_to = o.hwpt_with_queue;
	set_reg(fds[o.device], TD_PAGE_ADDR, IOVA + K, 8);
	set_reg(fds[o.device], TD_PAGE_CMD, TD_PAGE_LAST | 1, 4);
	/* it comes, and is answered, by a thread of its own */
	while (!uapi_read(fds[o.fault], &fault, sizeof(fault)))
		sched_yield();
}

/* ---- closing */

static void shut_container(void)
{
	close_fd(&o.container);
}

static void shut_iommufd(void)
{
	close_fd(&o.iommufd);
}

static void shut_group(void)
{
	close_fd(&o.group);
}

static void shut_device(void)
{
	close_fd(&o.device);
	o.attached_to = 0;
}

static void shut_sibling(void)
{
	close_fd(&o.sibling);
}

static void shut_dmabuf(void)
{
	close_fd(&o.dmabuf);
}

static void shut_stream(void)
{
	close_fd(&o.stream);
}

static void shut_fault(void)
{
	close_fd(&o.fault);
}

static void detach(void)
{
	struct vfio_device_detach_iommufd_pt d = { .argsz = 8 };

	if (o.device < 0)
		return;
	EXPECT(ioc(o.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d), 0);
	o.attached_to = 0;
}

/* Destroy an object that nothing needs, or see that it is kept. */
static void destroy_unless(uint32_t *id, bool needed)
{
	if (o.iommufd < 0)
		return;
	EXPECT(destroy(o.iommufd, *id), needed ? -EBUSY : 0);
	if (!needed)
		*id = 0;
}

static void destroy_hwpt(void)
{
	destroy_unless(&o.hwpt, o.attached_to == o.hwpt);
}

static void destroy_hwpt_with_queue(void)
{
	destroy_unless(&o.hwpt_with_queue, o.attached_to == o.hwpt_with_queue);
}

static void destroy_ioas(void)
{
	destroy_unless(&o.ioas, o.hwpt || o.hwpt_with_queue);
}

static void destroy_queue(void)
{
	destroy_unless(&o.queue, o.hwpt_with_queue || o.fault >= 0);
}

/* ---- what must hold after each step */

/* Whoever has the device open can use it, without all else; who has its parts is told. */
static void check_device(bool memory)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_precopy_info p = { .argsz = sizeof(p) };
	struct uapi_file *f = device_file();
	uint64_t n = 0;

	if (f) {
		EXPECT(uapi_ioctl(f, VFIO_DEVICE_GET_INFO, (unsigned long)&info), 0);
		EXPECT(reg(f, TD_ID), TD_ID_VALUE);
		EXPECT(dma(f), memory);
		set_reg(f, TD_MSI, 0, 4);
		if (o.event >= 0)
			EXPECT(read(o.event, &n, sizeof(n)), 8);
	}
	/* it has left the state of the stream */
	if (o.stream >= 0) {
		EXPECT(ioc(o.stream, VFIO_MIG_GET_PRECOPY_INFO, &p), f ? 0 : -EINVAL);
		if (!f)
			EXPECT(uapi_read(fds[o.stream], &n, sizeof(n)), -ENODEV);
	}
	if (o.dmabuf >= 0) {
		int other = open_fd("/dev/iommu");
		struct iommu_ioas_map_file m = { .size = sizeof(m),
						 .flags = 7,
						 .ioas_id = alloc_ioas(other),
						 .fd = o.dmabuf,
						 .length = K };

		EXPECT(ioc(other, IOMMU_IOAS_MAP_FILE, &m), f ? 0 : -ENODEV);
		close_fd(&other);
	}
}

/* Open the group, which @busy says that somebody has. */
static void check_group(bool busy)
{
	int g = open_fd(GROUP);

	EXPECT(g >= 0 ? 0 : g, busy ? -EBUSY : 0);
	if (g >= 0)
		close_fd(&g);
}

static void check_by_group(void)
{
	check_device(true);
	check_group(o.group >= 0 || device_file() || o.sibling >= 0);
}

/* A device that came by an iommufd does not keep its group's file. */
static void check_compat(void)
{
	check_device(true);
	check_group(o.group >= 0);
}

static void check_cdevs(void)
{
	bool bound = device_file() || o.sibling >= 0;
	int again, ictx;

	check_device(true);
	check_group(bound);
	again = open_fd(CDEV(0));
	EXPECT(again >= 0, 1);
	/* the sibling is in o.iommufd, and it alone can have the others of its group */
	ictx = open_fd("/dev/iommu");
	EXPECT(bind_to(again, ictx, NULL), device_file() ? -EINVAL : o.sibling >= 0 ? -EPERM : 0);
	close_fd(&again);
	close_fd(&ictx);
}

/* The lowest number that is free is given out next. */
static void check_numbers(void)
{
	uint32_t used[] = { o.device >= 0 ? o.dev_id : 0, o.ioas, o.hwpt, o.hwpt_with_queue,
			    o.queue };
	uint32_t want = 0, id;
	bool taken;

	do {
		want++;
		taken = false;
		for (unsigned i = 0; i < ARRAY_SIZE(used); i++)
			taken |= used[i] == want;
	} while (taken);
	id = alloc_ioas(o.iommufd);
	EXPECT(id, want);
	EXPECT(destroy(o.iommufd, id), 0);
	EXPECT(destroy(o.iommufd, id), -ENOENT);
}

static void check_objects(void)
{
	struct iommu_hwpt_pgfault fault;

	if (o.device >= 0) {
		EXPECT(reg(fds[o.device], TD_ID), TD_ID_VALUE);
		EXPECT(dma(fds[o.device]), o.attached_to != 0);
	}
	if (o.iommufd >= 0)
		check_numbers();
	if (o.fault >= 0)
		EXPECT(uapi_read(fds[o.fault], &fault, sizeof(fault)), 0);
	check_group(o.device >= 0);
}

/* It waits, also when the queue's file was closed; who detaches the device answers for it: no. */
static void check_faults(void)
{
	check_objects();
	if (o.device < 0)
		return;
	while (!o.attached_to &&
	       (reg(fds[o.device], TD_PAGE_STATUS) & TD_PAGE_STATE) == TD_PAGE_WAITING)
		sched_yield();
	EXPECT(reg(fds[o.device], TD_PAGE_STATUS) & TD_PAGE_STATE,
	       o.attached_to ? TD_PAGE_WAITING : TD_PAGE_INVALID);
}

/* ---- the orders */

struct set {
	void (*open)(void);
	void (*check)(void);
	struct {
		const char *name;
		void (*close)(void);
	} things[MOST];
	unsigned n;
};

static const struct set by_group = {
	open_group,
	check_by_group,
	{ { "container", shut_container },
	  { "group", shut_group },
	  { "device", shut_device },
	  { "BAR", close_mapping },
	  { "dma-buf", shut_dmabuf },
	  { "stream", shut_stream },
	  { "eventfd", close_event } },
	7,
};

static const struct set two_of_group = {
	open_two,
	check_by_group,
	{ { "container", shut_container },
	  { "group", shut_group },
	  { "device", shut_device },
	  { "BAR", close_mapping },
	  { "sibling", shut_sibling } },
	5,
};

static const struct set compat = {
	open_compat,
	check_compat,
	{ { "iommufd", shut_iommufd },
	  { "group", shut_group },
	  { "device", shut_device },
	  { "BAR", close_mapping },
	  { "dma-buf", shut_dmabuf },
	  { "stream", shut_stream },
	  { "sibling", shut_sibling } },
	7,
};

static const struct set cdevs = {
	open_cdevs,
	check_cdevs,
	{ { "iommufd", shut_iommufd },
	  { "device", shut_device },
	  { "BAR", close_mapping },
	  { "dma-buf", shut_dmabuf },
	  { "stream", shut_stream },
	  { "eventfd", close_event },
	  { "sibling", shut_sibling } },
	7,
};

static const struct set objects = {
	open_objects,
	check_objects,
	{ { "detach", detach },
	  { "device", shut_device },
	  { "HWPT", destroy_hwpt },
	  { "HWPT with queue", destroy_hwpt_with_queue },
	  { "IOAS", destroy_ioas },
	  { "queue", destroy_queue },
	  { "queue's file", shut_fault },
	  { "iommufd", shut_iommufd } },
	8,
};

static const struct set faults = {
	open_faults,
	check_faults,
	{ { "detach", detach },
	  { "device", shut_device },
	  { "HWPT with queue", destroy_hwpt_with_queue },
	  { "IOAS", destroy_ioas },
	  { "queue", destroy_queue },
	  { "queue's file", shut_fault },
	  { "iommufd", shut_iommufd } },
	7,
};

/* Nothing is left of an order. */
static void check_end(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		EXPECT(!!fds[i], 0);
	EXPECT(atomic_load(&sys->ioases.mappings), 0);
	EXPECT(atomic_load(&sys->ioases.pages_locked), 0);
	EXPECT(cds_list_empty(&sys->dmabufs), 1);
	for (unsigned i = 0; i < machine_num_devices(machine); i++)
		EXPECT(machine_device(machine, i)->vdev->open_count, 0);
	check_group(false);
}

static void run_order(const struct set *s, const unsigned order[MOST])
{
	memset(&o, 0xff, sizeof(o));
	o.mapping = NULL;
	o.attached_to = 0;
	done[0] = '\0';
	s->open();
	s->check();
	for (unsigned i = 0; i < s->n; i++) {
		s->things[order[i]].close();
		snprintf(done + strlen(done), sizeof(done) - strlen(done), "%s, ",
			 s->things[order[i]].name);
		s->check();
	}
	/* what this set does not close */
	shut_dmabuf();
	shut_stream();
	close_event();
	check_end();
}

static void swap(unsigned *a, unsigned *b)
{
	unsigned t = *a;

	*a = *b;
	*b = t;
}

/* Heap's: all permutations, each by one exchange from the one before. */
static void each_order(const struct set *s)
{
	unsigned order[MOST], c[MOST] = { 0 }, count = 1, i = 0;

	for (unsigned k = 0; k < MOST; k++)
		order[k] = k;
	run_order(s, order);
	while (i < s->n) {
		if (c[i] == i) {
			c[i++] = 0;
			continue;
		}
		swap(&order[i], &order[i & 1 ? c[i] : 0]);
		c[i]++;
		i = 0;
		if (count++ % STRIDE == 0)
			run_order(s, order);
	}
	print_message("%u orders\n", count);
}

static void test_group(void **state)
{
	each_order(&by_group);
	each_order(&two_of_group);
}

static void test_compat(void **state)
{
	each_order(&compat);
}

static void test_cdevs(void **state)
{
	each_order(&cdevs);
}

static void test_objects(void **state)
{
	each_order(&objects);
	each_order(&faults);
}

/* ---- the machine, which all of them share */

/* cmocka takes SIGSEGV over at each test: take it back for the guarded copies */
static struct sigaction guarded;

static int take_signal(void **state)
{
	sigaction(SIGSEGV, &guarded, NULL);
	return 0;
}

static int setup(void **state)
{
	static const char *const specs[] = { "testdev,migration=on,pri=on,group=1",
					     "testdev,migration=on,pri=on,group=1" };

	alarm(1000); /* that a wait has no end is a failure, too */
	log_set(2, LOG_NONE);
	machine = machine_new();
	for (unsigned i = 0; i < ARRAY_SIZE(specs); i++)
		if (!machine || machine_add(machine, specs[i], NULL))
			return -1;
	sys = machine_system(machine);
	mem = mmap(NULL, K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mem == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
	machine_free(machine, false);
	return munmap(mem, K);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_group, take_signal),
		cmocka_unit_test_setup(test_compat, take_signal),
		cmocka_unit_test_setup(test_cdevs, take_signal),
		cmocka_unit_test_setup(test_objects, take_signal),
	};

	if (guard_install() || sigaction(SIGSEGV, NULL, &guarded))
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
