/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/shim/go.c: a program whose system calls are made by one function, as a Go program's are:
 * the bytes of that function are those of Go's standard library (1.19 and later), and it carries
 * Go's note. Its opens come to the view; raw system calls of the rest of the program do not.
 */
#include "shim.h"

__asm__(".pushsection .note.go.buildid, \"a\", @note\n"
	".long 4, 4, 4\n"
	".asciz \"Go\\0\"\n"
	".asciz \"one\"\n"
	".popsection\n");

/*
 * Syscall6(AX: number, BX, CX, DI, SI, R8, R9: arguments), which returns in AX, BX, CX: RAX as the
 * kernel gave it, and the flags of its comparison.
 */
__asm__(".text\n"
	".balign 32\n"
	"syscall6:\n"
	"	movq %rsi, %r10\n"
	"	movq %rdi, %rdx\n"
	"	movq %rcx, %rsi\n"
	"	movq %rbx, %rdi\n"
	"	syscall\n"
	"	cmpq $0xfffffffffffff001, %rax\n"
	"	jbe 1f\n"
	"	negq %rax\n"
	"	movq %rax, %rcx\n"
	"	movq $-1, %rax\n"
	"	movq $0, %rbx\n"
	"	ret\n"
	"1:	movq %rdx, %rbx\n"
	"	movq $0, %rcx\n"
	"	ret\n");

static long go(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long err;

	/* a goroutine's stack: the function is called with little left of it */
	static char stack[4096] __attribute__((aligned(16)));

	memset(stack, 0x5c, sizeof(stack));
	__asm__ volatile("movq %%rsp, %%r14\n"
			 "	leaq 2048(%[stack]), %%rsp\n"
			 "	call syscall6\n"
			 "	movq %%r14, %%rsp\n"
			 : "+a"(nr), "+b"(a), "+c"(b), "+D"(c), "+S"(d), "+r"(r8), "+r"(r9)
			 : [stack] "r"(stack)
			 : "rdx", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	for (size_t i = 0; i < 2048 - 8 - 128; i++)
		if (stack[i] != 0x5c) {
			CHECK(!"the stack below the call was used");
			break;
		}
	err = b;
	return err ? -err : nr;
}

static void view(void)
{
	char text[256] = { 0 };
	struct stat st;
	long fd;

	CHECK(go(SYS_readlinkat, AT_FDCWD, (long)"/sys/bus/pci/devices/" ADDRESS "/iommu_group",
		 (long)text, sizeof(text), 0, 0) > 0);
	CHECK(strstr(text, "/kernel/iommu_groups/1"));
	CHECK(!go(SYS_newfstatat, AT_FDCWD, (long)GROUP, (long)&st, 0, 0, 0) &&
	      S_ISCHR(st.st_mode));
	CHECK(!go(SYS_faccessat, AT_FDCWD, (long)GROUP, W_OK, 0, 0, 0));
	fd = go(SYS_openat, AT_FDCWD, (long)"/sys/bus/pci/devices/" ADDRESS "/vendor",
		O_RDONLY | O_CLOEXEC, 0, 0, 0);
	CHECK(fd >= 0 && go(SYS_read, fd, (long)text, sizeof(text), 0, 0, 0) == 7 &&
	      !memcmp(text, "0x", 2));
	CHECK(!go(SYS_close, fd, 0, 0, 0, 0, 0));
	/* relative, from a directory of the view; names cannot be made there */
	CHECK(!go(SYS_chdir, (long)"/sys/bus/pci/devices/" ADDRESS, 0, 0, 0, 0, 0));
	CHECK(!go(SYS_newfstatat, AT_FDCWD, (long)"vendor", (long)&st, 0, 0, 0) &&
	      S_ISREG(st.st_mode));
	CHECK(go(SYS_getcwd, (long)text, sizeof(text), 0, 0, 0, 0) > 0 &&
	      !strncmp(text, "/sys/devices/pci", 16));
	CHECK(go(SYS_mkdirat, AT_FDCWD, (long)"new", 0700, 0, 0, 0) ==
	      (geteuid() ? -EACCES : -EPERM));
	CHECK(!go(SYS_chdir, (long)"/", 0, 0, 0, 0, 0));
	CHECK(go(SYS_openat, AT_FDCWD, (long)"/nothing/there", O_RDONLY, 0, 0, 0) == -ENOENT);
	CHECK(go(SYS_openat, AT_FDCWD, 8, O_RDONLY, 0, 0, 0) == -EFAULT);
	CHECK(go(4095, 1, 2, 3, 4, 5, 6) == -ENOSYS && go(-1, 0, 0, 0, 0, 0, 0) == -ENOSYS);
	CHECK(go(SYS_getppid, 0, 0, 0, 0, 0, 0) == getppid());
	/* the same call by another instruction is the kernel's */
	fd = raw_call(SYS_openat, AT_FDCWD, (long)"/dev/vfio/vfio", O_RDWR, 0, 0, 0);
	CHECK(fd < 0 || (raw_call(SYS_ioctl, fd, VFIO_GET_API_VERSION, 0, 0, 0, 0) == -ENODEV &&
			 !close((int)fd)));
	CHECK(raw_call(SYS_ioctl, -1, 0x3bfe, 0, 0, 0, 0) == -EBADF);
}

static void device(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	long c, g, d, p;
	int type1 = VFIO_TYPE1v2_IOMMU, fd;
	uint32_t w = 0x1234abcd;
	struct stat st;

	c = go(SYS_openat, AT_FDCWD, (long)"/dev/vfio/vfio", O_RDWR | O_CLOEXEC, 0, 0, 0);
	g = go(SYS_openat, AT_FDCWD, (long)GROUP, O_RDWR | O_CLOEXEC, 0, 0, 0);
	CHECK(c >= 0 && g >= 0 && !go(SYS_fstat, g, (long)&st, 0, 0, 0, 0) && S_ISCHR(st.st_mode));
	fd = (int)c;
	CHECK(!go(SYS_ioctl, g, VFIO_GROUP_SET_CONTAINER, (long)&fd, 0, 0, 0));
	CHECK(!go(SYS_ioctl, c, VFIO_SET_IOMMU, type1, 0, 0, 0));
	d = go(SYS_ioctl, g, VFIO_GROUP_GET_DEVICE_FD, (long)ADDRESS, 0, 0, 0);
	CHECK(d >= 0 && !go(SYS_ioctl, d, VFIO_DEVICE_GET_INFO, (long)&info, 0, 0, 0) &&
	      info.num_regions == 9);
	CHECK(go(SYS_pwrite64, d, (long)&w, 4, 0, 0, 0) == 4);
	p = go(SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);
	CHECK(p > 0 && *(volatile uint32_t *)p == w);
	CHECK(!go(SYS_mprotect, p, 4096, PROT_READ, 0, 0, 0) && *(volatile uint32_t *)p == w);
	CHECK(go(SYS_madvise, p, 4096, MADV_DONTNEED, 0, 0, 0) == -EINVAL);
	/* the last of the device is its mapping: it is closed when that goes */
	CHECK(!go(SYS_close, d, 0, 0, 0, 0, 0) && !go(SYS_close, g, 0, 0, 0, 0, 0) &&
	      !go(SYS_close, c, 0, 0, 0, 0, 0));
	CHECK(!go(SYS_munmap, p, 8192, 0, 0, 0, 0));
	g = open_group();
	CHECK(g >= 0);
	close((int)g);
}

/*
 * A child of Go's exec has all signals blocked until it execs, and so has this one: it is not
 * killed.
 */
static void child_before_exec(void)
{
	uint64_t all = ~0ull, was;
	pid_t pid;

	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&was, 8, 0, 0);
	pid = (pid_t)raw_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	if (!pid) {
		long fd = go(SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDONLY, 0, 0, 0);

		raw_call(SYS_exit_group, fd < 0, 0, 0, 0, 0, 0);
	}
	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&was, 0, 8, 0, 0);
	CHECK(wait_for(pid) == 0);
}

static void on_sigsys(int sig)
{
	_exit(3);
}

int main(void)
{
	/* as Go's run time has it: its handlers are never on the stack of a goroutine */
	struct sigaction act = { .sa_handler = on_sigsys, .sa_flags = SA_ONSTACK };
	stack_t alt = { .ss_sp = malloc(64 * 1024), .ss_size = 64 * 1024 };

	if (sigaltstack(&alt, NULL) || sigaction(SIGSYS, &act, NULL))
		return 2;
	RUN(view);
	RUN(device);
	RUN(child_before_exec);
	return any_failed;
}
