/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/scope.c: a call of VFIO, and an access of a mapped BAR, is like a system call to the
 * program's thread: a handler may make another one, at any moment, and leave by siglongjmp; the
 * thread is cancelled before or after it. Rounds are counted; nothing depends on how long they
 * take.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "shim.h"

#define WORKERS 2

static struct vfio v;
static int event;
static volatile uint32_t *regs;
static atomic_long wrong, handled;
static atomic_bool stop;

static void check(bool ok, const char *what)
{
	if (!ok && !atomic_fetch_add(&wrong, 1))
		printf("     wrong: %s (errno %d)\n", what, errno);
}

static void *map_regs(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, (off_t)REGS);
}

/* One call of each kind that a handler may make; @n says which. */
static void one_call(unsigned n, uint64_t iova, char *page)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = { { .argsz = sizeof(irq),
		    .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		    .index = VFIO_PCI_MSIX_IRQ_INDEX,
		    .count = 1 },
		  event };
	uint32_t id = 0;
	uint16_t command = PCI_COMMAND_MEMORY | (n & 16 ? PCI_COMMAND_MASTER : 0);
	struct stat st;
	int fd;

	switch (n % 12) {
	case 0:
		check(pread(v.device, &id, 4, (off_t)CONFIG) == 4 && id != 0xffffffff,
		      "pread of config space");
		break;
	case 1:
		check(get32(v.device, TD_ID) == TD_ID_VALUE, "pread of a BAR");
		break;
	case 2:
		check(!ioctl(v.device, VFIO_DEVICE_GET_INFO, &info) && info.num_regions == 9,
		      "an ioctl");
		break;
	case 3:
		check(regs[TD_ID / 4] == TD_ID_VALUE, "a load of a mapped BAR");
		break;
	case 4:
		regs[TD_SCRATCH32 / 4] = n;
		break;
	case 5:
		check(!ioctl(v.device, VFIO_DEVICE_SET_IRQS, &irq), "SET_IRQS");
		break;
	case 6:
		check(pwrite(v.device, &command, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2,
		      "pwrite of config space");
		break;
	case 7:
		fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
		check(fd >= 0 && ioctl(fd, VFIO_GET_API_VERSION) == 0 && !close(fd),
		      "open and close of a container");
		break;
	case 8:
		check(!dma_map(&v, page, iova, 4096) && dma_unmap(&v, iova, 4096) == 4096,
		      "MAP_DMA");
		break;
	case 9:
		check(lseek(v.device, 0, SEEK_SET) == -1 && errno == ESPIPE &&
			      fsync(v.device) == -1 && errno == EINVAL,
		      "lseek, fsync");
		break;
	case 10:
		check(!fstat(v.device, &st) && fcntl(v.device, F_GETFL) != -1, "fstat, fcntl");
		break;
	default:
		fd = dup(v.container);
		check(fd >= 0 && ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU) == 1 &&
			      !close(fd),
		      "dup");
	}
}

static char *pages; /* two for each worker */
static __thread unsigned self, in_handler;

/* The handler makes the call that it interrupted, too, and all the others in turn. */
static void on_usr1(int sig)
{
	int e = errno;

	one_call(in_handler++, 0x100000 + self * 0x2000 + 0x1000, pages + self * 8192 + 4096);
	atomic_fetch_add(&handled, 1);
	errno = e;
}

static void *worker(void *arg)
{
	self = (unsigned)(uintptr_t)arg;
	in_handler = self * 5;
	/*
	 * mostly the shortest call: it is the one that is in a table for the largest part of its
	 * time
	 */
	for (unsigned n = self * 7; !atomic_load(&stop); n++)
		one_call(n % 8 ? 0 : n / 8, 0x100000 + self * 0x2000, pages + self * 8192);
	return NULL;
}

/*
 * A third thread maps and unmaps, opens and closes: it takes the locks, and waits until nobody
 * reads the tables any more.
 */
static void *third(void *arg)
{
	for (unsigned n = 0; !atomic_load(&stop); n++) {
		void *p = map_regs();

		check(p != MAP_FAILED && !mprotect(p, 4096, PROT_READ) && !munmap(p, 4096),
		      "mmap and munmap");
		one_call(n, 0x200000, pages + WORKERS * 8192);
		for (unsigned i = 0; i < 20; i++)
			one_call(6 + 16 * (i & 1), 0, NULL);
	}
	return NULL;
}

static void handlers_that_call(void)
{
	pthread_t t[WORKERS], other;
	sigset_t s;

	CHECK(sigaction(SIGUSR1,
			&(struct sigaction){ .sa_handler = on_usr1, .sa_flags = SA_RESTART },
			NULL) == 0);
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &s, NULL);
	CHECK(!pthread_create(&other, NULL, third, NULL));
	pthread_sigmask(SIG_UNBLOCK, &s, NULL);
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&t[i], NULL, worker, (void *)(uintptr_t)i));
	for (long n = 0; n < 100000 && atomic_load(&handled) < 10000; n++) {
		long before = atomic_load(&handled);

		for (int i = 0; i < WORKERS; i++)
			pthread_kill(t[i], SIGUSR1);
		/* the handler has come; the next one finds the thread somewhere else */
		while (atomic_load(&handled) == before)
			sched_yield();
	}
	atomic_store(&stop, true);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	pthread_join(other, NULL);
	CHECK(atomic_load(&handled) >= 10000);
	CHECK(!atomic_load(&wrong));
}

/* ---- a handler that comes in the middle of malloc ---- */

/* One call of each kind that needs memory for its work. */
static void one_large_call(unsigned n, uint64_t iova, char *page)
{
	union {
		struct vfio_pci_hot_reset_info reset;
		struct vfio_iommu_type1_info iommu;
		struct vfio_region_info region;
		char room[4096];
	} u = { .room = { 0 } };
	struct vfio_device_ioeventfd io = { .argsz = sizeof(io),
					    .flags = VFIO_DEVICE_IOEVENTFD_32,
					    .offset = REGS + TD_SCRATCH32,
					    .data = 1,
					    .fd = event };
	void *p;

	u.reset.argsz = sizeof(u);
	switch (n % 6) {
	case 0:
		check(!ioctl(v.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &u), "hot reset info");
		break;
	case 1:
		check(!ioctl(v.container, VFIO_IOMMU_GET_INFO, &u), "IOMMU_GET_INFO");
		break;
	case 2:
		u.region.index = VFIO_PCI_BAR0_REGION_INDEX;
		check(!ioctl(v.device, VFIO_DEVICE_GET_REGION_INFO, &u), "GET_REGION_INFO");
		break;
	case 3:
		p = map_regs();
		check(p != MAP_FAILED && !mprotect(p, 4096, PROT_READ) && !munmap(p, 4096),
		      "mmap, mprotect and munmap of a BAR");
		break;
	case 4:
		/* another handler may have set the same one: EEXIST, and then there is none */
		ioctl(v.device, VFIO_DEVICE_IOEVENTFD, &io);
		io.fd = -1;
		ioctl(v.device, VFIO_DEVICE_IOEVENTFD, &io);
		break;
	default:
		check(!dma_map(&v, page, iova, 4096) && dma_unmap(&v, iova, 4096) == 4096,
		      "MAP_DMA");
	}
}

static void on_usr1_in_malloc(int sig)
{
	int e = errno;

	one_large_call(in_handler++, 0x300000 + self * 0x1000, pages + self * 8192);
	atomic_fetch_add(&handled, 1);
	errno = e;
}

static void *allocator(void *arg)
{
	void *p[16] = { NULL };

	self = (unsigned)(uintptr_t)arg;
	for (unsigned n = 0; !atomic_load(&stop); n++) {
		free(p[n % 16]);
		p[n % 16] = malloc(1500 + n * 797 % 6000);
	}
	for (unsigned i = 0; i < 16; i++)
		free(p[i]);
	return NULL;
}

static void handlers_in_malloc(void)
{
	pthread_t t[WORKERS];

	atomic_store(&handled, 0);
	atomic_store(&stop, false);
	CHECK(!sigaction(
		SIGUSR1,
		&(struct sigaction){ .sa_handler = on_usr1_in_malloc, .sa_flags = SA_RESTART },
		NULL));
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pthread_create(&t[i], NULL, allocator, (void *)(uintptr_t)i));
	for (long n = 0; n < 100000 && atomic_load(&handled) < 6000; n++) {
		long before = atomic_load(&handled);

		for (int i = 0; i < WORKERS; i++)
			pthread_kill(t[i], SIGUSR1);
		while (atomic_load(&handled) == before)
			sched_yield();
	}
	atomic_store(&stop, true);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(t[i], NULL);
	CHECK(atomic_load(&handled) >= 6000);
	CHECK(!atomic_load(&wrong));
}

/* ---- a handler that leaves ---- */

static __thread sigjmp_buf env;
static __thread volatile sig_atomic_t may_jump;
static atomic_long jumps;

static void on_usr2(int sig)
{
	if (!may_jump)
		return;
	may_jump = 0;
	siglongjmp(env, 1);
}

static atomic_bool ready;

static void *jumper(void *arg)
{
	volatile unsigned n = 0;
	sigset_t now;
	int state;

	while (!atomic_load(&stop)) {
		if (sigsetjmp(env, 1)) {
			atomic_fetch_add(&jumps, 1);
			/* nothing stays behind: the mask, the thread's cancellation */
			check(!pthread_sigmask(SIG_SETMASK, NULL, &now) &&
				      !sigismember(&now, SIGUSR2) && !sigismember(&now, SIGTERM),
			      "the mask");
			check(!pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state) &&
				      state == PTHREAD_CANCEL_ENABLE,
			      "cancellation");
		}
		may_jump = 1;
		atomic_store(&ready, true);
		for (int i = 0; i < 8; i++)
			/* these leave something open, as they would in the kernel */
			if (n % 12 != 7 && n % 12 != 8 && n % 12 != 11)
				one_call(n++, 0, NULL);
			else
				n++;
		may_jump = 0;
	}
	return NULL;
}

static void handlers_that_leave(void)
{
	pthread_t t, other;

	atomic_store(&stop, false);
	CHECK(sigaction(SIGUSR2, &(struct sigaction){ .sa_handler = on_usr2 }, NULL) == 0);
	CHECK(!pthread_create(&other, NULL, third, NULL));
	CHECK(!pthread_create(&t, NULL, jumper, NULL));
	for (long n = 0; n < 200000 && atomic_load(&jumps) < 1000; n++) {
		pthread_kill(t, SIGUSR2);
		sched_yield();
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	pthread_join(other, NULL);
	CHECK(atomic_load(&jumps) > 0);
	CHECK(!atomic_load(&wrong));
	CHECK(works(&v));
}

/* ---- cancellation ---- */

static unsigned kind;
static int cancel_type;
static atomic_long rounds;

static void cancelled_mask(void *arg)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	check(!sigismember(&now, SIGTERM) && !sigismember(&now, SIGUSR1),
	      "the mask of a cleanup handler");
}

static void *cancelled(void *arg)
{
	volatile uint32_t *p;
	int device;

	pthread_setcanceltype(cancel_type, NULL);
	pthread_cleanup_push(cancelled_mask, NULL);
	for (;;) {
		switch (kind) {
		case 0:
			one_call(7, 0, NULL);
			break;
		case 1:
			device = ioctl(v.group, VFIO_GROUP_GET_DEVICE_FD, ADDRESS);
			if (device >= 0)
				close(device);
			break;
		case 2:
			p = map_regs();
			if (p != MAP_FAILED) {
				p[TD_SCRATCH32 / 4] = 1;
				munmap((void *)p, 4096);
			}
			break;
		case 3:
			ioctl(v.device, VFIO_DEVICE_RESET);
			break;
		case 4:
			dma_map(&v, pages, 0x300000, 4096);
			dma_unmap(&v, 0x300000, 4096);
			break;
		case 5:
			regs[TD_SCRATCH32 / 4] = 2;
			break;
		default:
			one_call(kind - 6, 0x400000, pages);
		}
		atomic_fetch_add(&rounds, 1);
		pthread_testcancel();
	}
	pthread_cleanup_pop(0);
	return NULL;
}

/* The remains of the cancelled thread do not hinder others. */
static void after_cancel(void)
{
	void *p = map_regs();

	check(p != MAP_FAILED && !munmap(p, 4096), "mmap");
	check(!ioctl(v.device, VFIO_DEVICE_RESET), "reset");
	dma_unmap(&v, 0x300000, 4096);
	dma_unmap(&v, 0x400000, 4096);
	check(!dma_map(&v, pages, 0x300000, 4096) && dma_unmap(&v, 0x300000, 4096) == 4096,
	      "MAP_DMA");
	one_call(6, 0, NULL);
	one_call(7, 0, NULL);
	one_call(5, 0, NULL);
	check(regs[TD_ID / 4] == TD_ID_VALUE, "the mapped BAR");
}

static void cancel_all_kinds(int type)
{
	pthread_t t;
	void *ret;
	int fd;

	cancel_type = type;
	for (unsigned n = 0; n < 18 * 15; n++) {
		long from = atomic_load(&rounds);

		kind = n % 18;
		CHECK(!pthread_create(&t, NULL, cancelled, NULL));
		while (atomic_load(&rounds) - from < (long)(n / 18 % 3) + 1)
			sched_yield();
		CHECK(!pthread_cancel(t) && !pthread_join(t, &ret) && ret == PTHREAD_CANCELED);
		after_cancel();
		/*
		 * descriptors that were on their way to a variable; they are few, and low in their
		 * ranges
		 */
		for (fd = 3; fd < 800; fd = fd == 31 ? 768 : fd + 1)
			if (fd != v.container && fd != v.group && fd != v.device && fd != event)
				close(fd);
	}
	CHECK(!atomic_load(&wrong));
	CHECK(works(&v));
}

static void cancelled_at_any_time(void)
{
	cancel_all_kinds(PTHREAD_CANCEL_ASYNCHRONOUS);
}

static void cancelled_at_points(void)
{
	cancel_all_kinds(PTHREAD_CANCEL_DEFERRED);
}

/* A read of no device that waits is still a cancellation point. */
static void *reads_a_pipe(void *arg)
{
	char c;

	(void)!read(*(int *)arg, &c, 1);
	return NULL;
}

static void other_files_are_cancelled(void)
{
	pthread_t t;
	int p[2];
	void *ret;

	CHECK(!pipe(p));
	CHECK(!pthread_create(&t, NULL, reads_a_pipe, &p[0]));
	CHECK(!pthread_cancel(t) && !pthread_join(t, &ret) && ret == PTHREAD_CANCELED);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	v = vfio_open();
	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	regs = map_regs();
	pages = mmap(NULL, (WORKERS + 1) * 8192, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!works(&v) || regs == MAP_FAILED || pages == MAP_FAILED)
		return 2;
	RUN(handlers_that_call);
	RUN(handlers_in_malloc);
	RUN(handlers_that_leave);
	RUN(cancelled_at_any_time);
	RUN(cancelled_at_points);
	RUN(other_files_are_cancelled);
	return any_failed;
}
