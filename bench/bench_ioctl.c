/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_ioctl.c: a VFIO program as any other, to be run under `uvfio run --device edu`: what
 * its calls cost, by libc's wrappers (which the shim takes the place of) and by the instruction
 * itself (which a seccomp filter traps), beside a system call that does next to nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "lib/vfio.h"

#define CONFIG_OFFSET ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)

static int container, device;
static int (*libc_ioctl)(int fd, unsigned long cmd, ...); /* past the shim */
static ssize_t (*libc_pread)(int fd, void *buf, size_t n, off_t pos);

/* No wrapper at all: nothing can be interposed. */
static inline __attribute__((always_inline)) long raw6(long nr, long a, long b, long c, long d,
						       long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long rc;

	__asm__ volatile("syscall"
			 : "=a"(rc)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return rc;
}

static inline __attribute__((always_inline)) long raw(long nr, long a, long b, long c, long d)
{
	return raw6(nr, a, b, c, d, 0, 0);
}

/*
 * Through libc's function, as programs do: the first return after a system call is a mispredicted
 * one, and costs up to half of such a short call.
 */
static void bare(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		getppid();
}

static void bare_raw(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		raw(SYS_getppid, 0, 0, 0, 0);
}

/*
 * The least that the kernel answers an ioctl with: the flag is set already. Type 'T' is nothing to
 * the filter.
 */
static void bare_ioctl(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		libc_ioctl(device, FIOCLEX);
}

static void api_version(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (ioctl(container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
			bench_die("VFIO_GET_API_VERSION", errno);
}

static void irq_info(void *arg, uint64_t n)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSI_IRQ_INDEX };

	for (uint64_t i = 0; i < n; i++)
		if (ioctl(device, VFIO_DEVICE_GET_IRQ_INFO, &info))
			bench_die("VFIO_DEVICE_GET_IRQ_INFO", errno);
}

static void irq_info_raw(void *arg, uint64_t n)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSI_IRQ_INDEX };

	for (uint64_t i = 0; i < n; i++)
		if (raw(SYS_ioctl, device, VFIO_DEVICE_GET_IRQ_INFO, (long)&info, 0))
			bench_die("VFIO_DEVICE_GET_IRQ_INFO by the instruction", EIO);
}

static void read_config(void *arg, uint64_t n)
{
	uint32_t id;

	for (uint64_t i = 0; i < n; i++)
		if (pread(device, &id, sizeof(id), CONFIG_OFFSET) != sizeof(id))
			bench_die("pread of config space", errno);
}

static void read_bar(void *arg, uint64_t n)
{
	uint32_t v;

	for (uint64_t i = 0; i < n; i++)
		if (pread(device, &v, sizeof(v), 0) != sizeof(v))
			bench_die("pread of BAR0", errno);
}

static void write_bar(void *arg, uint64_t n)
{
	uint32_t v = 1;

	for (uint64_t i = 0; i < n; i++)
		if (pwrite(device, &v, sizeof(v), 4) != sizeof(v))
			bench_die("pwrite of BAR0", errno);
}

/*
 * Calls that are nobody's business: what the wrapper and the filter cost a program for having them.
 */
static int null_fd;

static void other_pread(void *arg, uint64_t n)
{
	char c;

	for (uint64_t i = 0; i < n; i++)
		if (pread(null_fd, &c, 1, 0) != 0)
			bench_die("pread of /dev/null", errno);
}

static void other_pread_libc(void *arg, uint64_t n)
{
	char c;

	for (uint64_t i = 0; i < n; i++)
		if (libc_pread(null_fd, &c, 1, 0) != 0)
			bench_die("pread of /dev/null by libc's function", errno);
}

/* ---- memory that comes and goes while devices have other memory beside it ---- */

#define BLOCK (1l << 20)

static void come_and_go_raw(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		long p = raw6(SYS_mmap, 0, BLOCK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*(volatile char *)p = 1;
		raw(SYS_munmap, p, BLOCK, 0, 0);
	}
}

static void come_and_go(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		volatile char *p = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*p = 1;
		munmap((void *)p, BLOCK);
	}
}

/* By malloc, which calls the two by itself for a block of this size. */
static void malloc_and_free(void *arg, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		void *p = malloc(BLOCK);

		bench_use(p);
		free(p);
	}
}

/*
 * A page below and one above: what comes and goes lies in between, so that it has to be looked for.
 */
static void map_around(void)
{
	static char low[2 * 4096];
	void *at[] = { (void *)(((uintptr_t)low + 4095) & ~4095ul),
		       mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0) };

	for (unsigned i = 0; i < 2; i++) {
		if (vfio_dma_map(container, at[i], i * 4096, 4096, VFIO_DMA_MAP_FLAG_READ))
			bench_die("VFIO_IOMMU_MAP_DMA", errno);
	}
	mallopt(M_MMAP_THRESHOLD, BLOCK / 2);
}

static void *in_libc(const char *name)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY), *fn = libc ? dlsym(libc, name) : NULL;

	if (!fn)
		bench_die(name, ENOENT);
	return fn;
}

int main(int argc, char **argv)
{
	const char *addr = argc > 1 ? argv[1] : "0000:01:00.0",
		   *group_path = argc > 2 ? argv[2] : "/dev/vfio/1";
	struct bench b = { .n = 0 };
	struct vfio v;
	int f;

	libc_ioctl = (__typeof__(libc_ioctl))(uintptr_t)in_libc("ioctl");
	libc_pread = (__typeof__(libc_pread))(uintptr_t)in_libc("pread");
	null_fd = open("/dev/null", O_RDWR);
	if (vfio_open_device(&v, group_path, addr))
		bench_die(v.failed, errno);
	container = v.container;
	device = v.device;

	f = bench_floor(&b, "a system call, libc's getppid()", bare, NULL, 1u << 11);
	bench_add(&b, "ioctl VFIO_GET_API_VERSION, wrapper", api_version, NULL, 1u << 11, f, 2, 0);
	bench_add(&b, "ioctl VFIO_DEVICE_GET_IRQ_INFO, wrapper", irq_info, NULL, 1u << 11, f, 2, 0);
	bench_add(&b, "ioctl VFIO_DEVICE_GET_IRQ_INFO, trapped", irq_info_raw, NULL, 1u << 9, f, 0,
		  0);
	bench_add(&b, "pread of 4 bytes of config space, wrapper", read_config, NULL, 1u << 11, f,
		  0, 0);
	bench_add(&b, "pread of a register of BAR0, wrapper", read_bar, NULL, 1u << 11, f, 0, 0);
	bench_add(&b, "pwrite of a register of BAR0, wrapper", write_bar, NULL, 1u << 11, f, 0, 0);
	f = bench_floor(&b, "a system call, the instruction alone (getppid)", bare_raw, NULL,
			1u << 11);
	bench_add(&b, "ioctl VFIO_DEVICE_GET_IRQ_INFO, wrapper, again", irq_info, NULL, 1u << 11, f,
		  0, 0);
	f = bench_floor(&b, "an ioctl of the kernel's, libc's ioctl(FIOCLEX)", bare_ioctl, NULL,
			1u << 11);
	bench_add(&b, "ioctl VFIO_DEVICE_GET_IRQ_INFO, wrapper, again", irq_info, NULL, 1u << 11, f,
		  0, 0);
	f = bench_floor(&b, "pread of /dev/null, libc's function", other_pread_libc, NULL,
			1u << 11);
	bench_add(&b, "pread of /dev/null, wrapper: not ours, passed on", other_pread, NULL,
		  1u << 11, f, 0, 0);
	map_around();
	f = bench_floor(&b, "mmap, touch, munmap of 1 MiB, the instructions", come_and_go_raw, NULL,
			1u << 8);
	bench_add(&b, "mmap, touch, munmap of 1 MiB, wrappers", come_and_go, NULL, 1u << 8, f, 0,
		  0);
	bench_add(&b, "malloc and free of 1 MiB, libc's own calls", malloc_and_free, NULL, 1u << 8,
		  f, 0, 0);
	bench_run(&b);
	return 0;
}
