/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_mmio.c: a VFIO program as any other, to be run under `uvfio run --device testdev`:
 * what a load and a store of a mapped BAR cost, beside the least that a page that faults can cost:
 * a SIGSEGV whose handler steps over the instruction. That handler is put in place past the shim,
 * for the time of its turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "bench.h"
#include "lib/vfio.h"
#include "models/testdev/regs.h"

static volatile uint8_t *bar;
static uint8_t *hole;

struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

extern const char restorer[];
__asm__("	.text\n"
	"restorer:\n"
	"	movq $15, %rax\n" /* rt_sigreturn */
	"	syscall\n");

static void raw_sigaction(const struct kernel_sigaction *act, struct kernel_sigaction *old)
{
	register long size __asm__("r10") = sizeof(uint64_t);
	long rc;

	__asm__ volatile("syscall"
			 : "=a"(rc)
			 : "a"(SYS_rt_sigaction), "D"(SIGSEGV), "S"(act), "d"(old), "r"(size)
			 : "rcx", "r11", "memory");
	if (rc)
		bench_die("rt_sigaction", (int)rc);
}

static void step_over(int sig, siginfo_t *info, void *ucontext)
{
	((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP] += 2;
}

static void load(volatile void *p) /* 8b 07 */
{
	__asm__ volatile("movl (%0), %%eax" : : "D"(p) : "eax", "memory");
}

static void bare(void *arg, uint64_t n)
{
	const struct kernel_sigaction act = { (void *)(uintptr_t)step_over,
					      SA_SIGINFO | SA_NODEFER |
						      0x04000000 /* SA_RESTORER */,
					      (void *)(uintptr_t)restorer, 0 };
	struct kernel_sigaction was;

	raw_sigaction(&act, &was);
	for (uint64_t i = 0; i < n; i++)
		load(hole);
	raw_sigaction(&was, NULL);
}

static void do_load(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		load(bar + TD_SCRATCH32);
}

static void do_store(void *arg, uint64_t n)
{
	volatile uint32_t *r = (volatile uint32_t *)(bar + TD_SCRATCH32);

	for (uint64_t i = 0; i < n; i++)
		*r = (uint32_t)i;
}

static void do_locked(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		__asm__ volatile("lock incl (%0)" : : "r"(bar + TD_SCRATCH32) : "memory", "cc");
}

static void do_stepped(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		__asm__ volatile("imull (%0), %%eax"
				 :
				 : "r"(bar + TD_SCRATCH32)
				 : "eax", "memory", "cc");
}

static void map(int device)
{
	bar = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)VFIO_REGION(2));
	hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bar == MAP_FAILED || hole == MAP_FAILED)
		bench_die("mmap", errno);
	if (*(volatile uint32_t *)(bar + TD_ID) != TD_ID_VALUE)
		bench_die("not a testdev", ENODEV);
}

int main(int argc, char **argv)
{
	const char *addr = argc > 1 ? argv[1] : "0000:01:00.0",
		   *group_path = argc > 2 ? argv[2] : "/dev/vfio/1";
	struct vfio vfio;
	struct bench b = { .n = 0 };
	uint32_t v = 0;
	int f;

	if (vfio_open_device(&vfio, group_path, addr))
		bench_die(vfio.failed, errno);
	map(vfio.device);

	f = bench_floor(&b, "SIGSEGV, a handler that steps over the instruction", bare, NULL,
			1u << 9);
	bench_add(&b, "32-bit load of a register, trapped page", do_load, NULL, 1u << 9, f, 1.5, 0);
	bench_add(&b, "32-bit store to a register, trapped page", do_store, NULL, 1u << 9, f, 1.5,
		  0);
	bench_add(&b, "lock inc of a register (a load and a store)", do_locked, NULL, 1u << 9, f, 0,
		  0);
	bench_add(&b, "imul with a register (run on a scratch page)", do_stepped, NULL, 1u << 9, f,
		  0, 0);
	bench_run(&b);
	/* what was measured was the register of a device */
	do_store(NULL, 8);
	if (pread(vfio.device, &v, 4, (off_t)(VFIO_REGION(2) + TD_SCRATCH32)) != 4 || v != 7)
		bench_die("the stores did not reach the register", EIO);
	return 0;
}
