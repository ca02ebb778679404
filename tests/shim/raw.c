/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/raw.c: calls that do not go through libc's functions: syscall(2), and the instruction
 * itself; in threads that block all signals, too.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "base/sys.h"
#include "shim.h"

static void by_syscall(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	int c = (int)syscall(SYS_openat, AT_FDCWD, "/dev/vfio/vfio", O_RDWR | O_CLOEXEC),
	    g = (int)syscall(SYS_open, GROUP, O_RDWR), d;
	uint32_t id = 0;
	struct iovec iov = { &id, 4 };

	CHECK(c >= 0 && g >= 0);
	CHECK(!syscall(SYS_ioctl, g, VFIO_GROUP_GET_STATUS, &st) &&
	      st.flags == VFIO_GROUP_FLAGS_VIABLE);
	CHECK(!syscall(SYS_ioctl, g, VFIO_GROUP_SET_CONTAINER, &c));
	CHECK(!syscall(SYS_ioctl, c, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	d = (int)syscall(SYS_ioctl, g, VFIO_GROUP_GET_DEVICE_FD, ADDRESS);
	CHECK(d >= 0);
	CHECK(syscall(SYS_pread64, d, &id, 4, REGS) == 4 && id == TD_ID_VALUE);
	id = 0;
	CHECK(syscall(SYS_preadv, d, &iov, 1, REGS, 0) == 4 && id == TD_ID_VALUE);
	FAILS(syscall(SYS_ioctl, d, VFIO_DEVICE_SET_IRQS, (void *)8), EFAULT);
	FAILS(syscall(SYS_ioctl, -1, VFIO_DEVICE_RESET), EBADF);
	CHECK(!syscall(SYS_close, d));
	CHECK(!syscall(SYS_close, g));
	CHECK(!syscall(SYS_close, c));
	g = open_group();
	CHECK(g >= 0);
	close(g);
}

/*
 * The core's own calls are not trapped, whatever the descriptor: a memfd is what the kernel sees.
 */
static void by_the_core(void)
{
	struct vfio v = vfio_open();
	uint32_t id = 0;

	CHECK(raw_call(SYS_ioctl, v.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) == 0);
	CHECK(sys_ioctl(v.container, VFIO_GET_API_VERSION, NULL) == -ENOTTY);
	CHECK(raw_call(SYS_pread64, v.device, (long)&id, 4, (long)REGS, 0, 0) == 4);
	CHECK(sys_pread(v.device, &id, 4, (off_t)REGS) == -EBADF);
	CHECK(sys_pwrite(v.device, &id, 4, (off_t)REGS) == -EBADF);
	CHECK(sys_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, SYS_PASS(v.device), (long)REGS) ==
	      -EACCES);
	vfio_close(&v);
}

static void by_instruction(void)
{
	struct vfio v = vfio_open();
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t id = 0, w = 0x55aa1234;
	struct iovec iov = { &id, 4 };
	char name[] = ADDRESS;
	long d;

	CHECK(raw_call(SYS_ioctl, v.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) == 0);
	CHECK(raw_call(SYS_ioctl, v.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU, 0, 0, 0) ==
	      1);
	CHECK(raw_call(SYS_ioctl, v.device, VFIO_DEVICE_GET_INFO, (long)&info, 0, 0, 0) == 0 &&
	      info.num_regions == 9);
	CHECK(raw_call(SYS_ioctl, v.device, VFIO_DEVICE_GET_INFO, 8, 0, 0, 0) == -EFAULT);
	CHECK(raw_call(SYS_ioctl, 1, VFIO_DEVICE_RESET, 0, 0, 0, 0) == -ENOTTY);
	CHECK(raw_call(SYS_ioctl, -1, VFIO_DEVICE_RESET, 0, 0, 0, 0) == -EBADF);
	CHECK(raw_call(SYS_pread64, v.device, (long)&id, 4, (long)REGS, 0, 0) == 4 &&
	      id == TD_ID_VALUE);
	id = 0;
	CHECK(raw_call(SYS_preadv, v.device, (long)&iov, 1, (long)REGS, 0, 0) == 4 &&
	      id == TD_ID_VALUE);
	/* region 0 has offset 0 like any file: the number says that it is a device's */
	CHECK(raw_call(SYS_pwrite64, v.device, (long)&w, 4, 0, 0, 0) == 4);
	CHECK(raw_call(SYS_pread64, v.device, (long)&id, 4, 0, 0, 0) == 4 && id == w);
	CHECK(raw_call(SYS_pread64, v.device, 8, 4, 0, 0, 0) == -EFAULT);
	CHECK(raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, v.device, (long)REGS) == -EINVAL);
	d = raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, v.device, (long)REGS);
	CHECK(d > 0 && *(volatile uint32_t *)d == TD_ID_VALUE);
	CHECK(!munmap((void *)d, 4096));
	/* and of any size, but for pread, with which a child's dynamic linker reads libraries */
	char buf[64] = { 0 };
	struct iovec two[2] = { { buf, 32 }, { buf + 32, 32 } };

	memcpy(buf, &w, 4);
	CHECK(raw_call(SYS_pread64, v.device, (long)buf, 64, 0, 0, 0) == -EBADF);
	CHECK(raw_call(SYS_pwrite64, v.device, (long)buf, 64, 4096, 0, 0) == 64);
	CHECK(raw_call(SYS_preadv, v.device, (long)two, 2, 4096, 0, 0) == 64 &&
	      !memcmp(buf, &w, 4));
	CHECK(raw_call(SYS_pwritev2, v.device, (long)two, 2, 8192, 0, 0) == 64);
	d = raw_call(SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, 0);
	CHECK(d > 0 && *(volatile uint32_t *)d == w);
	*(volatile uint32_t *)d = 0x77;
	CHECK(pread(v.device, &id, 4, RAM) == 4 && id == 0x77);
	CHECK(raw_call(SYS_mmap, d, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_FIXED, v.device,
		       4096) == d);
	CHECK(*(volatile uint32_t *)d == w && !munmap((void *)d, 8192));
	CHECK(raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, v.device, 1 << 20) == -EINVAL);
	CHECK(raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, v.device, 0) == -EACCES);
	d = raw_call(SYS_ioctl, v.group, VFIO_GROUP_GET_DEVICE_FD, (long)name, 0, 0, 0);
	CHECK(d >= 0);
	CHECK(get32((int)d, TD_ID) == TD_ID_VALUE);
	/*
	 * a number that nobody knows, and that the filter lets through: refused, not read from
	 * somewhere else
	 */
	long e = raw_call(SYS_fcntl, d, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
	CHECK(raw_call(SYS_pread64, e, (long)&id, 4, 0, 0, 0) == -EBADF);
	CHECK(raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, e, 0) == -EACCES);
	close((int)e);
	close((int)d);
	vfio_close(&v);
}

/* The rest, as docs/differences.md says it: nothing succeeds on the wrong bytes. */
static void not_seen(void)
{
	struct vfio v = vfio_open();
	uint32_t id = 0;
	struct stat st;
	long copy;

	CHECK(raw_call(SYS_read, v.device, (long)&id, 4, 0, 0, 0) == -EBADF &&
	      raw_call(SYS_write, v.device, (long)&id, 4, 0, 0, 0) == -EBADF);
	CHECK(!raw_call(SYS_fstat, v.device, (long)&st, 0, 0, 0, 0) && S_ISREG(st.st_mode) &&
	      !st.st_size);
	CHECK(raw_call(SYS_lseek, v.device, 0, SEEK_CUR, 0, 0, 0) >= 0);
	/* the kernel's: nothing, or a real one */
	copy = raw_call(SYS_openat, AT_FDCWD, (long)"/dev/vfio/vfio", O_RDWR, 0, 0, 0);
	CHECK(copy < 0 || (raw_call(SYS_ioctl, copy, VFIO_GET_API_VERSION, 0, 0, 0, 0) == -ENODEV &&
			   !close((int)copy)));
	/* another number: seen at the offsets of regions, but for region 0 */
	copy = raw_call(SYS_fcntl, v.device, F_DUPFD_CLOEXEC, 3, 0, 0, 0);
	CHECK(copy >= 0 && copy < 768);
	CHECK(raw_call(SYS_pread64, copy, (long)&id, 4, (long)REGS, 0, 0) == 4 &&
	      id == TD_ID_VALUE);
	CHECK(raw_call(SYS_pread64, copy, (long)&id, 4, 0, 0, 0) == -EBADF &&
	      raw_call(SYS_pwrite64, copy, (long)&id, 4, 0, 0, 0) == -EBADF);
	CHECK(raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, copy, 0) == -EACCES);
	CHECK(!raw_call(SYS_close, copy, 0, 0, 0, 0, 0) && works(&v));
	vfio_close(&v);
}

/* A call that is trapped for its offset and is not ours works as without us. */
static void large_files(void)
{
	int m = memfd_create("large", 0);
	char c = 'x', d = 0;
	off_t at = (2ll << 40) + 16;

	CHECK(!ftruncate(m, 3ll << 40));
	CHECK(pwrite(m, &c, 1, at) == 1);
	CHECK(raw_call(SYS_pread64, m, (long)&d, 1, at, 0, 0) == 1 && d == 'x');
	d = 0;
	CHECK(pread(m, &d, 1, at) == 1 && d == 'x');
	char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, m, 2ll << 40);
	CHECK(p != MAP_FAILED && p[16] == 'x');
	long q = raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, m, 2ll << 40);
	CHECK(q > 0 && ((char *)q)[16] == 'x');
	close(m);
}

/*
 * A call that is trapped for its descriptor's number and is not ours works, too; and a child's
 * dynamic linker, which has no shim yet, lives with such numbers.
 */
static void numbers(void)
{
	struct vfio v = vfio_open();
	int m = memfd_create("file", 0), last = -1, number = v.device;
	char data[64] = "data", got[64];
	pid_t pid;
	long p;

	CHECK(v.device >= 0 && !ftruncate(m, 4096) &&
	      pwrite(m, data, sizeof(data), 0) == sizeof(data));
	for (int n = v.device + 1; n < v.device + 8; n++) {
		CHECK(dup2(m, n) == n);
		CHECK(raw_call(SYS_pread64, n, (long)got, 8, 0, 0, 0) == 8 &&
		      !memcmp(got, data, 8));
		CHECK(raw_call(SYS_pwrite64, n, (long)data, 64, 64, 0, 0) == 64);
		p = raw_call(SYS_mmap, 0, 4096, PROT_READ, MAP_SHARED, n, 0);
		CHECK(p > 0 && !memcmp((char *)p, data, 64) && !munmap((void *)p, 4096));
		close(n);
	}
	/* all numbers below the device's are taken, so that is the first one that it gets */
	vfio_close(&v);
	pid = fork();
	if (!pid) {
		char *argv[] = { "shim_raw", "child", NULL };

		while (last < number)
			if ((last = open("/dev/null", O_RDONLY)) < 0)
				_exit(98);
		close(last);
		execv("/proc/self/exe", argv);
		_exit(99);
	}
	CHECK(wait_for(pid) == 0);
	close(m);
}

/* A machine that has VFIO itself, which a raw open finds: here a /dev that only a child has. */
static void hosts_own(void)
{
	pid_t pid = fork();
	int st;

	if (!pid) {
		long fd;

		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("tmpfs", "/dev", "tmpfs", 0, NULL))
			_exit(2);
		if (raw_call(SYS_mkdir, (long)"/dev/vfio", 0755, 0, 0, 0, 0))
			_exit(3);
		fd = raw_call(SYS_open, (long)"/dev/vfio/vfio", O_RDWR | O_CREAT, 0600, 0, 0, 0);
		if (fd < 0)
			_exit(4);
		if (raw_call(SYS_ioctl, fd, VFIO_GET_API_VERSION, 0, 0, 0, 0) != -ENODEV ||
		    ioctl((int)fd, VFIO_GET_API_VERSION) != -1 || errno != ENODEV)
			_exit(5);
		_exit(open("/dev/vfio/vfio", O_RDWR) >= 0 ? 0 : 6);
	}
	st = wait_for(pid);
	if (st == 2)
		printf("     no mount namespace here\n");
	else
		CHECK(st == 0);
}

static struct vfio shared;

static void *blocked_thread(void *arg)
{
	long (*call)(long, long, long, long, long, long, long) = arg ? raw_call : NULL;
	struct vfio_device_info info;
	sigset_t all, now;
	long bad = 0, r;
	void *volatile nowhere = (void *)16;

	sigfillset(&all);
	bad += pthread_sigmask(SIG_SETMASK, &all, NULL) != 0;
	/* the program sees what it set */
	bad += pthread_sigmask(SIG_SETMASK, NULL, &now) != 0;
	bad += !sigismember(&now, SIGSEGV) || !sigismember(&now, SIGSYS) ||
	       !sigismember(&now, SIGBUS) || !sigismember(&now, SIGUSR1);
	for (int i = 0; i < 200; i++) {
		info.argsz = sizeof(info);
		r = call ? call(SYS_ioctl, shared.device, VFIO_DEVICE_GET_INFO, (long)&info, 0, 0,
				0)
			 : ioctl(shared.device, VFIO_DEVICE_GET_INFO, &info);
		bad += r != 0 || info.num_irqs != 5;
		r = call ? call(SYS_ioctl, shared.device, VFIO_DEVICE_GET_INFO, (long)nowhere, 0, 0,
				0)
			 : ioctl(shared.device, VFIO_DEVICE_GET_INFO, nowhere);
		bad += r != (call ? -EFAULT : -1);
	}
	return (void *)bad;
}

static void threads_with_all_signals_blocked(void)
{
	sigset_t all, old;
	pthread_t t[4];
	void *bad;

	shared = vfio_open();
	CHECK(works(&shared));
	sigfillset(&all);
	CHECK(!sigprocmask(SIG_BLOCK, &all, &old));
	for (long i = 0; i < 4; i++)
		CHECK(!pthread_create(&t[i], NULL, blocked_thread, (void *)(i & 1)));
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		CHECK(!bad);
	}
	CHECK(!sigprocmask(SIG_SETMASK, &old, NULL));
	/* by the raw call, which libc's own functions use, too */
	uint64_t mask = ~0ull, was;
	CHECK(!syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &was, 8));
	CHECK(raw_call(SYS_ioctl, shared.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) == 0);
	CHECK(!syscall(SYS_rt_sigprocmask, SIG_SETMASK, &was, &mask, 8));
	CHECK(mask & 1ull << (SIGSYS - 1));
	vfio_close(&shared);
}

/* a thread that begins with our signals blocked, behind the wrappers' back */
static void *begins_blocked(void *arg)
{
	void *volatile nowhere = (void *)16;

	if (ioctl(shared.device, VFIO_DEVICE_GET_INFO, nowhere) != -1 || errno != EFAULT)
		return (void *)1;
	return raw_call(SYS_ioctl, shared.container, VFIO_GET_API_VERSION, 0, 0, 0, 0) ? (void *)2
										       : NULL;
}

static void thread_that_begins_blocked(void)
{
	uint64_t all = ~0ull, was;
	pthread_t t;
	void *bad;

	shared = vfio_open();
	CHECK(!raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&was, 8, 0, 0));
	CHECK(!pthread_create(&t, NULL, begins_blocked, NULL));
	CHECK(!raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&was, 0, 8, 0, 0));
	pthread_join(t, &bad);
	CHECK(!bad);
	vfio_close(&shared);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		struct vfio v = vfio_open();

		return !works(&v);
	}
	RUN(by_syscall);
	RUN(by_the_core);
	RUN(by_instruction);
	RUN(not_seen);
	RUN(large_files);
	RUN(numbers);
	RUN(hosts_own);
	RUN(threads_with_all_signals_blocked);
	RUN(thread_that_begins_blocked);
	return any_failed;
}
