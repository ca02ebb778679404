/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/v3/v3.c: what the checks share. */
#include "v3.h"

static char last[16];
static bool bad;

void say_end(void)
{
	if (*last)
		printf("%s %s\n", bad ? "FAIL" : "ok", last);
	*last = '\0';
	bad = false;
	fflush(stdout);
}

void is(const char *id, long got, long want, const char *what, ...)
{
	char text[160];
	va_list ap;

	if (strcmp(id, last))
		say_end();
	snprintf(last, sizeof(last), "%s", id);
	if (got == want)
		return;
	va_start(ap, what);
	vsnprintf(text, sizeof(text), what, ap);
	va_end(ap);
	printf("%s: %s: wanted 0x%lx (%s), got 0x%lx (%s)\n", id, text, want,
	       want < 0 ? strerrorname_np((int)-want) : "", got,
	       got < 0 && got > -200 ? strerrorname_np((int)-got) : "");
	bad = true;
}

long x(long ret)
{
	return ret < 0 ? -errno : ret;
}

long dev_open(void)
{
	return x(open(DEV, O_RDWR));
}

long uiommu(void)
{
	return x(open("/dev/uiommu", O_RDONLY));
}

long io(int fd, unsigned long cmd, void *arg)
{
	return x(ioctl(fd, cmd, arg));
}

long io_int(int fd, unsigned long cmd, int value)
{
	return io(fd, cmd, &value);
}

long rd(int fd, off_t at, void *buf, size_t n)
{
	return x(pread(fd, buf, n, at));
}

long wr(int fd, off_t at, const void *buf, size_t n)
{
	return x(pwrite(fd, buf, n, at));
}

long map(int fd, off_t at, size_t n, int prot, int flags, void **out)
{
	*out = mmap(NULL, n, prot, flags, fd, at);
	return *out == MAP_FAILED ? -errno : 0;
}

static void must(const char *what, unsigned at, long got, long want)
{
	if (got == want)
		return;
	say_end();
	printf("FAIL %s at 0x%x: %ld\n", what, at, got);
	exit(1);
}

uint32_t cr(int fd, unsigned at, unsigned n)
{
	uint32_t v = 0;

	must("config read", at, rd(fd, CONFIG(at), &v, n), n);
	return v;
}

long cw(int fd, unsigned at, unsigned n, uint32_t v)
{
	return wr(fd, CONFIG(at), &v, n);
}

uint32_t r32(int fd, unsigned reg)
{
	uint32_t v = 0;

	must("register read", reg, rd(fd, BAR(2, reg), &v, 4), 4);
	return v;
}

void w32(int fd, unsigned reg, uint32_t v)
{
	must("register write", reg, wr(fd, BAR(2, reg), &v, 4), 4);
}

void w64(int fd, unsigned reg, uint64_t v)
{
	must("register write", reg, wr(fd, BAR(2, reg), &v, 8), 8);
}

void give_domain(int fd)
{
	int d = (int)uiommu();

	must("DOMAIN_SET", 0, io_int(fd, VFIO_DOMAIN_SET, d), 0);
	close(d);
}

int ready_dev(void)
{
	int fd = (int)dev_open();

	must("open", 0, fd >= 0, 1);
	give_domain(fd);
	cw(fd, 4, 2, cr(fd, 4, 2) | 4);
	return fd;
}

long dma(int fd, bool map, void *p, uint64_t iova, uint64_t size, uint64_t flags)
{
	struct vfio_dma_map m = { (uintptr_t)p, iova, size, flags };

	return io(fd, map ? VFIO_DMA_MAP_IOVA : VFIO_DMA_UNMAP, &m);
}

static unsigned engine(int fd, unsigned op, unsigned reg, uint64_t iova, uint64_t n, uint32_t pat)
{
	w64(fd, reg, iova);
	w64(fd, TD_DMA_LEN, n);
	w32(fd, TD_DMA_PATTERN, pat);
	w32(fd, TD_DMA_CMD, op);
	return r32(fd, TD_DMA_STATUS);
}

unsigned fill(int fd, uint64_t iova, uint64_t n, uint32_t pattern)
{
	return engine(fd, TD_OP_FILL, TD_DMA_DST, iova, n, pattern);
}

unsigned look(int fd, uint64_t iova, uint64_t n, uint32_t pattern)
{
	return engine(fd, TD_OP_CHECK, TD_DMA_SRC, iova, n, pattern);
}

void *pages(size_t n)
{
	return mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static long wait_for(int efd, int ms)
{
	struct pollfd p = { efd, POLLIN, 0 };
	uint64_t n = 0;

	if (poll(&p, 1, ms) <= 0)
		return 0;
	return read(efd, &n, sizeof(n)) == sizeof(n) ? (long)n : -errno;
}

long events(int efd)
{
	return wait_for(efd, 10000);
}

long no_events(int efd)
{
	return wait_for(efd, 0);
}

long read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	long n = fd < 0 ? -errno : read(fd, buf, size - 1);

	if (n >= 0)
		buf[n] = '\0';
	if (fd >= 0)
		close(fd);
	return n;
}

long locked_pages(int n)
{
	char path[64], text[32];
	long ret;

	snprintf(path, sizeof(path), "/sys/class/vfio/vfio%d/locked_pages", n);
	ret = read_text(path, text, sizeof(text));
	return ret < 0 ? ret : atol(text);
}
