/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/bars.c: mapped BARs. Every load and store is the device's, of the width of the
 * instruction; what no device answers is SIGBUS.
 */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/caught.h"
#include "shim.h"

#define BAR0_SIZE 65536ul

/* The signal that a load of @p gives, or 0. */
static int load(volatile uint32_t *p, uint32_t *v)
{
	int sig = sigsetjmp(caught_at, 1);

	if (!sig)
		*v = *p;
	return sig;
}

static int store(volatile uint32_t *p, uint32_t v)
{
	int sig = sigsetjmp(caught_at, 1);

	if (!sig)
		*p = v;
	return sig;
}

static void *map(struct vfio *v, uint64_t pos, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, v->device, (off_t)pos);
}

static void registers(void)
{
	struct vfio v = vfio_open();
	volatile uint8_t *r = map(&v, REGS, 4096, PROT_READ | PROT_WRITE);
	uint32_t seen = 0;
	char one[200], two[200];
	volatile uint32_t *ram;

	CHECK(r != MAP_FAILED);
	CHECK(*(volatile uint32_t *)(r + TD_ID) == TD_ID_VALUE);
	*(volatile uint32_t *)(r + TD_SCRATCH32) = 0x11223344;
	CHECK(pread(v.device, &seen, 4, (off_t)REGS + TD_SCRATCH32) == 4 && seen == 0x11223344);
	*(volatile uint32_t *)(r + TD_SCRATCH32) |= 0x88000000;
	CHECK(*(volatile uint32_t *)(r + TD_SCRATCH32) == 0x99223344);
	CHECK(__atomic_exchange_n((uint32_t *)(r + TD_SCRATCH32), 7, __ATOMIC_SEQ_CST) ==
	      0x99223344);
	CHECK(__atomic_fetch_add((uint32_t *)(r + TD_SCRATCH32), 3, __ATOMIC_SEQ_CST) == 7);
	CHECK(*(volatile uint32_t *)(r + TD_SCRATCH32) == 10);
	*(volatile uint64_t *)(r + TD_SCRATCH64) = 0x0123456789abcdefull;
	CHECK(*(volatile uint64_t *)(r + TD_SCRATCH64) == 0x0123456789abcdefull);

	ram = map(&v, RAM, BAR0_SIZE, PROT_READ | PROT_WRITE);
	CHECK(ram != MAP_FAILED);
	for (size_t i = 0; i < sizeof(one); i++)
		one[i] = (char)(i * 3);
	memcpy((char *)ram + 3, one, sizeof(one));
	memcpy(two, (char *)ram + 3, sizeof(two));
	CHECK(!memcmp(one, two, sizeof(one)));
	memset((char *)ram + 5, 0x5a, 100);
	CHECK(pread(v.device, two, 200, 0) == 200 && two[5] == 0x5a && two[104] == 0x5a &&
	      two[105] == one[102]);
	munmap((void *)ram, BAR0_SIZE);
	munmap((void *)r, 4096);
	vfio_close(&v);
}

static void refused(void)
{
	struct vfio v = vfio_open();

	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, v.device, 0), EINVAL);
	FAILS((long)map(&v, RAM, BAR0_SIZE + 4096, PROT_READ), EINVAL);
	FAILS((long)map(&v, RAM + BAR0_SIZE, 4096, PROT_READ), EINVAL);
	FAILS((long)map(&v, CONFIG, 4096, PROT_READ), EINVAL);
	FAILS((long)map(&v, 1ull << 40, 4096, PROT_READ), EINVAL);
	FAILS((long)map(&v, 3ull << 40, 4096, PROT_READ), EINVAL); /* I/O */
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, v.container, 0), ENODEV);
	vfio_close(&v);
}

static void faults(void)
{
	struct vfio v = vfio_open();
	volatile uint32_t *p = map(&v, RAM, 8192, PROT_READ | PROT_WRITE);
	uint16_t command;
	uint32_t x = 0;

	catch_faults();
	CHECK(!store(p, 5) && !load(p, &x) && x == 5);
	/* decoding off */
	CHECK(pread(v.device, &command, 2, CONFIG + PCI_COMMAND) == 2);
	command &= (uint16_t)~PCI_COMMAND_MEMORY;
	CHECK(pwrite(v.device, &command, 2, CONFIG + PCI_COMMAND) == 2);
	CHECK(load(p, &x) == SIGBUS && caught.si_code == BUS_ADRERR && caught.si_addr == p);
	CHECK(store(p + 1, 1) == SIGBUS && caught.si_addr == p + 1);
	command |= PCI_COMMAND_MEMORY;
	CHECK(pwrite(v.device, &command, 2, CONFIG + PCI_COMMAND) == 2);
	CHECK(!load(p, &x) && x == 5);
	/* protection */
	CHECK(!mprotect((void *)p, 4096, PROT_READ));
	CHECK(store(p, 6) == SIGSEGV && caught.si_code == SEGV_ACCERR);
	CHECK(!load(p, &x) && x == 5 && !store(p + 1024, 9));
	CHECK(!mprotect((void *)p, 4096, PROT_NONE) && load(p, &x) == SIGSEGV);
	CHECK(!mprotect((void *)p, 4096, PROT_READ | PROT_WRITE) && !store(p, 7));
	/* the other operand is to blame */
	if (!sigsetjmp(caught_at, 1)) {
		__asm__ volatile("cld; movsb" : : "D"(p), "S"(16) : "memory");
		CHECK(0);
	}
	CHECK(caught.si_signo == SIGSEGV && caught.si_addr == (void *)16);
	/* over the end of the mapping */
	CHECK(!munmap((void *)(p + 1024), 4096));
	CHECK(load(p + 1024, &x) == SIGSEGV);
	CHECK(load((void *)((char *)p + 4094), &x) == SIGBUS);
	CHECK(!load(p, &x) && x == 7);
	munmap((void *)p, 4096);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	vfio_close(&v);
}

/* Lines of the log between log_begin() and log_end(): standard error is a file meanwhile. */
static int log_at;

static void log_begin(void)
{
	fflush(stderr);
	log_at = dup(2);
	close(2);
	CHECK(memfd_create("log", 0) == 2);
}

static const char *log_end(void)
{
	static char text[8192];
	ssize_t n = pread(2, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	dup2(log_at, 2);
	close(log_at);
	return text;
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* a call that must fail with EFAULT and say in the log which memory, of what call */
#define EFAULTS(call, name)                                                          \
	do {                                                                         \
		const char *said;                                                    \
		long rc;                                                             \
		int e;                                                               \
		log_begin();                                                         \
		rc = (call);                                                         \
		e = errno;                                                           \
		said = log_end();                                                    \
		CHECK(rc == -1 && e == EFAULT);                                      \
		CHECK(count(said, "warn: " ADDRESS ": " name                         \
				  ": its memory is mapped region 0 at 0x10,") == 1); \
		CHECK(count(said, "\n") == 1);                                       \
	} while (0)

/*
 * The kernel does not come in: a page that faults is EFAULT to it. The log says so, once for each
 * call, but not without end.
 */
static void kernel_access(void)
{
	struct vfio v = vfio_open();
	char *p = map(&v, RAM, 8192, PROT_READ | PROT_WRITE), other[16] = "", *at = p + 16;
	struct iovec iov[2] = { { other, sizeof(other) }, { at, 4 } };
	struct iovec bar = { at, 4 };
	struct msghdr msg = { .msg_iov = &bar, .msg_iovlen = 1 };
	int zero = open("/dev/zero", O_RDWR), pipes[2], pair[2], m = memfd_create("m", 0);
	void *volatile bad = (void *)8;
	const char *said;

	CHECK(p != MAP_FAILED && !pipe(pipes) && !socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	CHECK(ftruncate(m, 4096) == 0);
	sleep(1); /* lines are counted by the second */
	EFAULTS(read(zero, at, 4), "read");
	EFAULTS(write(pipes[1], at, 4), "write");
	EFAULTS(pread(m, at, 4, 0), "pread");
	EFAULTS(pwrite(m, at, 4, 0), "pwrite");
	EFAULTS(readv(zero, &bar, 1), "readv");
	EFAULTS(writev(pipes[1], iov + 1, 1), "writev");
	EFAULTS(preadv(m, &bar, 1, 0), "preadv");
	EFAULTS(pwritev(m, &bar, 1, 0), "pwritev");
	EFAULTS(readv(zero, (struct iovec *)(void *)at, 1), "readv");
	EFAULTS(send(pair[0], at, 4, 0), "send");
	EFAULTS(sendto(pair[0], at, 4, 0, NULL, 0), "sendto");
	EFAULTS(sendmsg(pair[0], &msg, 0), "sendmsg");
	CHECK(send(pair[0], "abc", 3, 0) == 3);
	EFAULTS(recv(pair[1], at, 3, 0), "recv");
	CHECK(send(pair[0], "abc", 3, 0) == 3);
	EFAULTS(recvmsg(pair[1], &msg, 0), "recvmsg");
	EFAULTS(ioctl(v.device, VFIO_DEVICE_GET_INFO, at), "ioctl");
	EFAULTS(ioctl(pipes[0], FIONREAD, at), "ioctl");
	EFAULTS(syscall(SYS_read, zero, at, 4), "read");
	EFAULTS(pread(v.device, at, 4, (off_t)CONFIG), "pread");
	/* what is bad memory is just that, and what works says nothing */
	log_begin();
	FAILS(write(pipes[1], bad, 4), EFAULT);
	CHECK(write(pipes[1], other, 4) == 4 && readv(zero, iov, 1) == sizeof(other));
	said = log_end();
	CHECK(!*said);
	log_begin();
	for (int i = 0; i < 1000; i++)
		FAILS(write(pipes[1], at, 4), EFAULT);
	said = log_end();
	CHECK(count(said, "\n") <= 60);
	munmap(p, 8192);
	close(zero);
	close(m);
	for (int i = 0; i < 2; i++) {
		close(pipes[i]);
		close(pair[i]);
	}
	vfio_close(&v);
}

/* Without a handler of its own the program dies of the signal, once. */
static void deaths(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		struct vfio v = vfio_open();
		volatile uint32_t *p = map(&v, RAM, 4096, PROT_READ);
		uint16_t command = 0;

		_exit(p == MAP_FAILED || pwrite(v.device, &command, 2, CONFIG + PCI_COMMAND) != 2
			      ? 2
			      : (int)*p & 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

/* The mapping keeps the device open, as any mapping keeps its file. */
static void outlives(void)
{
	struct vfio v = vfio_open();
	volatile uint32_t *p = map(&v, RAM, 8192, PROT_READ | PROT_WRITE);

	p[0] = 1;
	vfio_close(&v);
	CHECK(p[0] == 1);
	FAILS(open(GROUP, O_RDWR), EBUSY);
	munmap((void *)p, 4096);
	CHECK((p[1024] = 3) == 3 && p[1024] == 3);
	FAILS(open(GROUP, O_RDWR), EBUSY);
	CHECK(mmap((void *)(p + 1024), 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + 1024);
	CHECK(p[1024] == 0); /* plain memory now */
	v = vfio_open();
	CHECK(v.device >= 0);
	vfio_close(&v);
	munmap((void *)(p + 1024), 4096);
}

static void fixed(void)
{
	struct vfio v = vfio_open();
	char *hole = mmap(NULL, 4 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile uint32_t *p = mmap(hole + 4096, 8192, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_FIXED, v.device, 4096);
	uint32_t x;

	CHECK((char *)p == hole + 4096);
	p[0] = 0xabcd;
	CHECK(pread(v.device, &x, 4, 4096) == 4 && x == 0xabcd);
	FAILS((long)mmap(hole + 4096, 4096, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, v.device,
			 0),
	      EEXIST);
	/* another BAR over its first page */
	CHECK(mmap(hole + 4096, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, v.device, (off_t)REGS) ==
	      hole + 4096);
	CHECK(p[TD_ID / 4] == TD_ID_VALUE);
	FAILS((long)mremap(hole + 4096, 4096, 8192, MREMAP_MAYMOVE), EFAULT);
	/* smaller: its end is gone */
	catch_faults();
	CHECK(mremap(hole + 4096, 8192, 4096, 0) == hole + 4096 && p[TD_ID / 4] == TD_ID_VALUE);
	CHECK(load(p + 1024, &x) == SIGSEGV && caught.si_code == SEGV_MAPERR);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	/* mprotect over plain memory and a BAR: each gets its own */
	CHECK(mmap(hole + 8192, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, v.device, 8192) ==
	      hole + 8192);
	CHECK(!mprotect(hole, 4 * 4096, PROT_READ | PROT_WRITE));
	hole[0] = 'h';
	hole[3 * 4096] = 'i';
	CHECK(hole[0] == 'h' && hole[3 * 4096] == 'i');
	p[1024] = 0xfeed; /* still the device's */
	CHECK(pread(v.device, &x, 4, 8192) == 4 && x == 0xfeed);
	/* one string over three mappings */
	for (int i = 0; i < 3; i++)
		CHECK(mmap(hole + i * 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			   v.device, 4096 * (2 - i)) == hole + i * 4096);
	char *end = hole;
	size_t n = 3 * 4096;
	__asm__ volatile("cld; rep stosb" : "+D"(end), "+c"(n) : "a"(0x77) : "memory");
	CHECK(end == hole + 3 * 4096 && !n);
	for (int i = 0; i < 3; i++)
		CHECK(pread(v.device, &x, 4, 4096 * i + 4092) == 4 && x == 0x77777777);
	munmap(hole, 4 * 4096);
	vfio_close(&v);
}

/* type1 takes a mapped BAR for DMA, as the kernel's does; the child of a fork cannot use it. */
static void dma_and_fork(void)
{
	struct vfio v = vfio_open();
	volatile uint32_t *p = map(&v, RAM, BAR0_SIZE, PROT_READ | PROT_WRITE);
	uint32_t x;
	int status;
	pid_t pid;

	CHECK(!dma_map(&v, (void *)p, 0x100000, BAR0_SIZE));
	catch_faults();
	pid = fork();
	if (!pid)
		_exit(load(p, &x) != SIGBUS);
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(!load(p, &x));
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	munmap((void *)p, BAR0_SIZE);
	vfio_close(&v);
}

static volatile uint32_t *hammered;
static void *hammer(void *arg)
{
	long i, bad = 0, at = (long)arg;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	for (i = 0; i < 20000; i++) {
		hammered[at] = (uint32_t)i;
		bad += hammered[at] != (uint32_t)i;
	}
	return (void *)bad;
}

static void threads(void)
{
	struct vfio v = vfio_open();
	pthread_t t[4];
	void *bad;
	long i;

	hammered = map(&v, RAM, 4096, PROT_READ | PROT_WRITE);
	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&t[i], NULL, hammer, (void *)i));
	/* mappings come and go meanwhile */
	for (i = 0; i < 500; i++) {
		void *q = map(&v, REGS, 4096, PROT_READ);

		CHECK(q != MAP_FAILED && *(volatile uint32_t *)q == TD_ID_VALUE);
		munmap(q, 4096);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		CHECK(!bad);
	}
	munmap((void *)hammered, 4096);
	vfio_close(&v);
}

/* More threads at once than any table starts with; a first touch of each. */
static pthread_barrier_t all_there;

static void *touches(void *p)
{
	long bad = *(volatile uint32_t *)p != TD_ID_VALUE;

	pthread_barrier_wait(&all_there);
	bad += *(volatile uint32_t *)p != TD_ID_VALUE;
	return (void *)bad;
}

static void many_threads(void)
{
	enum { N = 300 };
	struct vfio v = vfio_open();
	void *p = map(&v, REGS, 4096, PROT_READ), *bad;
	pthread_attr_t attr;
	pthread_t t[N];
	int n;

	alarm(60);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_barrier_init(&all_there, NULL, N + 1);
	for (n = 0; n < N; n++)
		if (pthread_create(&t[n], &attr, touches, p)) {
			printf("     only %d threads\n", n);
			exit(1);
		}
	pthread_barrier_wait(&all_there);
	for (n = 0; n < N; n++) {
		pthread_join(t[n], &bad);
		CHECK(!bad);
	}
	alarm(0);
	munmap(p, 4096);
	vfio_close(&v);
}

/* The thread that ends the program is not the one that used the device. */
static void *uses_and_leaves(void *arg)
{
	struct vfio v = vfio_open();
	volatile uint32_t *p = map(&v, REGS, 4096, PROT_READ);

	return (void *)(long)(p != MAP_FAILED && p[0] == TD_ID_VALUE);
}

static int only_in_a_thread(void)
{
	pthread_t t;
	void *ok = NULL;

	alarm(20);
	if (pthread_create(&t, NULL, uses_and_leaves, NULL) || pthread_join(t, &ok))
		return 9;
	return ok ? 42 : 8;
}

static void ends_elsewhere(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl("/proc/self/exe", "shim_bars", "thread", NULL);
		_exit(7);
	}
	CHECK(wait_for(pid) == 42);
}

/*
 * Addresses are used again at once: what a munmap frees, another thread has before the call is
 * over. @arg: stop.
 */
static void *reuses(void *arg)
{
	long bad = 0;

	while (!__atomic_load_n((int *)arg, __ATOMIC_RELAXED)) {
		char *volatile p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_WRITE))
			return (void *)-1;
		bad += sigsetjmp(caught_at, 1) != 0;
		if (bad)
			return (void *)bad;
		*(volatile char *)p = 1;
		munmap(p, 4096);
	}
	return NULL;
}

static void address_again(void)
{
	struct vfio v = vfio_open();
	void *bad = NULL, *own = map(&v, RAM, 4096, PROT_READ);
	pthread_t t;
	int stop = 0;

	catch_faults();
	CHECK(!pthread_create(&t, NULL, reuses, &stop));
	for (long i = 0; i < 20000; i++) {
		void *q = map(&v, REGS, 4096, PROT_READ);

		if (q == MAP_FAILED || munmap(q, 4096))
			break;
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(t, &bad);
	CHECK(!bad);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	munmap(own, 4096);
	vfio_close(&v);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return only_in_a_thread();
	RUN(registers);
	RUN(refused);
	RUN(faults);
	RUN(kernel_access);
	RUN(deaths);
	RUN(outlives);
	RUN(fixed);
	RUN(dma_and_fork);
	RUN(threads);
	RUN(address_again);
	RUN(many_threads);
	RUN(ends_elsewhere);
	return any_failed;
}
