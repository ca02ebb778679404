/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/bar_memory.c: a mapped BAR stays one, whatever system call on memory a program makes,
 * through libc or past it. tests/oracle/memory.c compares the answers with a kernel's; here is what
 * depends on the machine, and what has to do with uvfio itself.
 */
#include <linux/userfaultfd.h>
#include <setjmp.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include "shim.h"

#define PAGE	 4096ul
#define BOTH	 (PROT_READ | PROT_WRITE)
#define NR_MSEAL 462

static sigjmp_buf jump;
static struct vfio v;
static volatile uint32_t *regs; /* two pages, the first with the registers */

static void on_fault(int sig)
{
	siglongjmp(jump, sig);
}

/* The signal that a load of @p gives, or 0. */
static int fault(volatile uint32_t *p)
{
	int sig = sigsetjmp(jump, 1);

	if (!sig)
		(void)*p;
	return sig;
}

static int store_fault(volatile uint32_t *p)
{
	int sig = sigsetjmp(jump, 1);

	if (!sig)
		*p = 7;
	return sig;
}

/* Loads and stores at @p are the registers'. */
static bool is_device(volatile uint32_t *p)
{
	static uint32_t n;

	if (fault(p) || p[TD_ID / 4] != TD_ID_VALUE)
		return false;
	p[TD_SCRATCH32 / 4] = ++n;
	return p[TD_SCRATCH32 / 4] == n && get32(v.device, TD_SCRATCH32) == n;
}

static void begin(void)
{
	v = vfio_open();
	regs = mmap(NULL, 2 * PAGE, BOTH, MAP_SHARED, v.device, (off_t)REGS);
	CHECK(is_device(regs));
}

static void end(void)
{
	munmap((void *)regs, 2 * PAGE);
	vfio_close(&v);
}

static long status_kb(const char *field)
{
	char line[256];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kb = atol(line + strlen(field));
	if (f)
		fclose(f);
	return kb;
}

static void protection(void)
{
	begin();
	CHECK(!pkey_mprotect((void *)regs, PAGE, BOTH, -1) && is_device(regs));
	CHECK(!syscall(SYS_pkey_mprotect, regs, PAGE, PROT_READ, -1));
	CHECK(store_fault(regs + TD_SCRATCH32 / 4) == SIGSEGV && !fault(regs));
	CHECK(!syscall(SYS_pkey_mprotect, regs, PAGE, BOTH, -1) && is_device(regs));
	/* a key: as for other memory, which a processor may not have */
	char *mem = mmap(NULL, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int key = pkey_alloc(0, 0);

	CHECK(pkey_mprotect((void *)regs, PAGE, BOTH, 0) == pkey_mprotect(mem, PAGE, BOTH, 0) &&
	      is_device(regs));
	if (key >= 0) {
		CHECK(!pkey_mprotect((void *)regs, PAGE, BOTH, key) && is_device(regs));
		CHECK(!pkey_set(key, PKEY_DISABLE_ACCESS) && fault(regs) == SIGSEGV);
		CHECK(!pkey_set(key, 0) && is_device(regs));
		CHECK(!pkey_mprotect((void *)regs, PAGE, BOTH, 0) && !pkey_free(key));
	}
	munmap(mem, PAGE);
	end();
}

/* Calls that no one sees cannot make memory of a BAR; those that it allows succeed. */
static void past_libc(void)
{
	begin();
	for (int i = 0; i < 3; i++) {
		CHECK(!raw_call(SYS_mprotect, (long)regs, 2 * PAGE, i & 1 ? PROT_READ : BOTH, 0, 0,
				0));
		CHECK(is_device(regs));
	}
	CHECK(!raw_call(SYS_pkey_mprotect, (long)regs, 2 * PAGE, BOTH, -1, 0, 0) &&
	      is_device(regs));
	CHECK(!raw_call(SYS_madvise, (long)regs, 2 * PAGE, MADV_DONTNEED, 0, 0, 0) &&
	      is_device(regs));
	/* a call of the kernel's fails, it does not find zeroes */
	uint32_t x = 1;
	struct iovec mine = { &x, 4 }, its = { (void *)regs, 4 };

	FAILS(process_vm_readv(getpid(), &mine, 1, &its, 1, 0), EFAULT);
	CHECK(write(1, (void *)regs, 4) == -1 && errno == EFAULT);
	/* libc's call knows what it set last */
	CHECK(!mprotect((void *)regs, 2 * PAGE, PROT_NONE) && fault(regs) == SIGSEGV);
	CHECK(!raw_call(SYS_mprotect, (long)regs, 2 * PAGE, BOTH, 0, 0, 0) && is_device(regs));
	CHECK(!mprotect((void *)regs, 2 * PAGE, BOTH) && is_device(regs));
	/* a moved one is nowhere, rather than memory */
	char *to = mmap(NULL, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(raw_call(SYS_mremap, (long)regs, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (long)to,
		       0) == (long)to);
	CHECK(fault((void *)to) == SIGSEGV && fault(regs) == SIGSEGV);
	munmap(to, PAGE);
	end();
}

static void debugger(void)
{
	int mem = open("/proc/self/mem", O_RDWR);
	uint32_t x = 0;

	begin();
	FAILS(pread(mem, &x, 4, (off_t)(uintptr_t)regs), EIO);
	FAILS(pwrite(mem, &x, 4, (off_t)(uintptr_t)regs), EIO);
	CHECK(is_device(regs));
	end();
	close(mem);
}

/* Moved together with memory that the device has: both are there. */
static void moved(void)
{
	int shared = memfd_create("shared", 0);
	volatile uint32_t *dma, *to;
	char *room;

	begin();
	CHECK(!ftruncate(shared, PAGE) && bus_master(&v));
	room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mmap(room, PAGE, BOTH, MAP_SHARED | MAP_FIXED, v.device, (off_t)REGS) == room);
	CHECK(mmap(room + PAGE, PAGE, BOTH, MAP_SHARED | MAP_FIXED, shared, 0) == room + PAGE);
	CHECK(mmap(room + 2 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, v.device,
		   (off_t)(REGS + PAGE)) == room + 2 * PAGE);
	CHECK(!dma_map(&v, room + PAGE, 0x10000, PAGE));
	CHECK(mremap(room, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, room + 4 * PAGE) ==
	      room + 4 * PAGE);
	to = (void *)(room + 4 * PAGE);
	dma = (void *)(room + 5 * PAGE);
	CHECK(is_device(to) && fault((void *)room) == SIGSEGV &&
	      fault((void *)(room + 2 * PAGE)) == SIGSEGV);
	CHECK(!fault(to + 2 * PAGE / 4) && store_fault(to + 2 * PAGE / 4) == SIGSEGV);
	CHECK(engine(&v, TD_OP_FILL, 0, 0x10000, 4, 0x1234) == TD_DMA_OK && *dma == 0x1234);
	/* over memory that the device has: the device keeps it */
	CHECK(mremap((void *)to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)dma) == dma &&
	      is_device(dma));
	CHECK(engine(&v, TD_OP_FILL, 0, 0x10000, 4, 0x4321) == TD_DMA_OK && is_device(dma));
	/* it keeps the device open wherever it is */
	munmap((void *)regs, 2 * PAGE);
	CHECK(!munmap(room + 6 * PAGE, PAGE));
	vfio_close(&v);
	CHECK(!fault(dma) && dma[TD_ID / 4] == TD_ID_VALUE);
	CHECK(!munmap(room, 8 * PAGE) && fault(dma) == SIGSEGV);
	v = vfio_open();
	CHECK(works(&v)); /* the group was free again */
	vfio_close(&v);
	close(shared);
}

static void locking(void)
{
	struct rlimit was, small = { 64 * 1024, 64 * 1024 };
	size_t len = 64 * 1024;
	void *ram, *mem;
	pid_t pid;

	begin();
	ram = mmap(NULL, len, BOTH, MAP_SHARED, v.device, RAM);
	mem = mmap(NULL, PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(!mlock((void *)regs, 2 * PAGE) && !mlock2((void *)regs, 2 * PAGE, MLOCK_ONFAULT) &&
	      !status_kb("VmLck:"));
	CHECK(!syscall(SYS_mlock, regs, 2 * PAGE) && !syscall(SYS_mlock2, regs, PAGE, 0) &&
	      !status_kb("VmLck:"));
	CHECK(!mlock(mem, PAGE) && status_kb("VmLck:") == 4 && !munlock(mem, PAGE));
	munmap(ram, len);
	ram = mmap(NULL, len, BOTH, MAP_SHARED | MAP_LOCKED, v.device, RAM);
	CHECK(ram != MAP_FAILED && !status_kb("VmLck:"));
	/* the limit counts a BAR, as the kernel's looks at it before it knows what it is */
	CHECK(!getrlimit(RLIMIT_MEMLOCK, &was));
	pid = fork();
	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &small) ||
		    (!geteuid() && setresuid(65534, 65534, 65534)))
			_exit(2);
		/* the mapping is the parent's, what the calls say of it is not */
		if (mlock(ram, len) || mlock((char *)ram + 1, len) != -1 || errno != ENOMEM)
			_exit(3);
		_exit(0);
	}
	CHECK(wait_for(pid) == 0);
	munmap(ram, len);
	munmap(mem, PAGE);
	end();
}

static void userfault(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	char *mem;

	if (fd < 0) {
		printf("     userfaultfd: %s\n", strerror(errno));
		return;
	}
	begin();
	mem = mmap(NULL, 2 * PAGE, BOTH, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(!ioctl(fd, UFFDIO_API, &api));
	r.range = (struct uffdio_range){ (uintptr_t)regs, PAGE };
	FAILS(ioctl(fd, UFFDIO_REGISTER, &r), EINVAL);
	FAILS(syscall(SYS_ioctl, fd, UFFDIO_REGISTER, &r), EINVAL);
	r.range.start = (uintptr_t)mem;
	CHECK(!ioctl(fd, UFFDIO_REGISTER, &r));
	/* another file's command of that number is not our business */
	r.range.start = (uintptr_t)regs;
	FAILS(ioctl(1, UFFDIO_REGISTER, &r), ENOTTY);
	CHECK(is_device(regs));
	close(fd);
	munmap(mem, 2 * PAGE);
	end();
}

static void shared_segment(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	void *at;

	begin();
	CHECK(id >= 0);
	FAILS((long)shmat(id, (void *)regs, 0), EINVAL);
	CHECK(is_device(regs));
	at = shmat(id, (char *)regs + 5, SHM_REMAP | SHM_RND);
	CHECK(at == regs && *regs == 0);
	/* the BAR is forgotten there: what it is now is memory, to all calls */
	*regs = 5;
	CHECK(!madvise((void *)regs, PAGE, MADV_DODUMP) &&
	      !mprotect((void *)regs, PAGE, PROT_READ) && *regs == 5);
	CHECK(!shmdt(at) && !shmctl(id, IPC_RMID, NULL));
	end();
}

/* last: it stays until the end */
static void sealed(void)
{
	begin();
	if (syscall(NR_MSEAL, NULL, 0, 0)) {
		CHECK(errno == ENOSYS);
		printf("     no mseal here\n");
		end();
		return;
	}
	FAILS(syscall(NR_MSEAL, regs, PAGE, 1), EINVAL);
	CHECK(!syscall(NR_MSEAL, regs, 2 * PAGE, 0) && is_device(regs));
	FAILS(munmap((void *)regs, PAGE), EPERM);
	FAILS(mprotect((void *)regs, PAGE, PROT_READ), EPERM);
	FAILS(pkey_mprotect((void *)regs, PAGE, PROT_READ, -1), EPERM);
	FAILS((long)mremap((void *)regs, PAGE, PAGE, MREMAP_MAYMOVE), EPERM);
	FAILS((long)mremap((void *)regs, 2 * PAGE, PAGE, 0), EPERM);
	FAILS((long)mmap((void *)regs, PAGE, BOTH, MAP_SHARED | MAP_FIXED, v.device, RAM), EPERM);
	FAILS(madvise((void *)regs, PAGE, MADV_DONTNEED), EINVAL);
	CHECK(is_device(regs));
	vfio_close(&v);
}

int main(void)
{
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	RUN(protection);
	RUN(past_libc);
	RUN(debugger);
	RUN(moved);
	RUN(locking);
	RUN(userfault);
	RUN(shared_segment);
	RUN(sealed);
	return any_failed;
}
