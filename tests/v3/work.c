/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/v3/work.c: DMA, interrupts and the life of a device (H to M), and what was added (N), by a
 * client of 2010's interface, on testdev.
 */
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <signal.h>
#include <sys/prctl.h>

#include "checks.h"

#define MASTER	4u
#define DISINTX 0x400u

void h_dma(void)
{
	int fd = (int)dev_open(), other = (int)dev_open();
	char *p = pages(4), *hole = pages(3), *ro = pages(1), *none = pages(1);
	struct vfio_dma_map m = { (uintptr_t)p, 0x10000, 2 * PAGE, 1 };
	void *bar;

	munmap(hole + PAGE, PAGE);
	mprotect(ro, PAGE, PROT_READ);
	mprotect(none, PAGE, PROT_NONE);
	is("H1", dma(fd, true, p, 0x10000, PAGE, 1), -EINVAL, "before a domain");
	is("H1", dma(fd, true, hole, 0x10000, 2 * PAGE, 1), -EFAULT, "a hole, before one");
	give_domain(fd);
	cw(fd, 4, 2, cr(fd, 4, 2) | MASTER);
	is("H2", dma(fd, true, p + 1, 0x10000, PAGE, 1), -EINVAL, "vaddr + 1");
	is("H2", dma(fd, true, p, 0x10000, 1, 1), -EINVAL, "size 1");
	is("H2", dma(fd, true, p, 0x10000, 0, 1), -EINVAL, "size 0");
	is("H2", dma(fd, true, p, 0x10000, 1ull << 43, 1), -EINVAL, "size 2^43");
	is("H3", io(fd, VFIO_DMA_MAP_IOVA, NULL), -EFAULT, "NULL");
	is("H3", io(fd, VFIO_DMA_UNMAP, NULL), -EFAULT, "NULL");
	is("H4", io(fd, VFIO_DMA_MAP_IOVA, &m), 0, "two pages");
	is("H4", (long)m.dmaaddr, 0x10000, "dmaaddr");
	is("H4", fill(fd, 0x10000, 2 * PAGE, 0x41414141), TD_DMA_OK, "FILL");
	is("H4", p[0] == 0x41 && p[2 * PAGE - 1] == 0x41, true, "memory");
	is("H4", locked_pages(0), 2, "locked_pages");
	is("H5", dma(fd, true, p + 2 * PAGE, 0x10000, 2 * PAGE, 1), -EBUSY, "the same IOVA");
	is("H5", dma(fd, true, p + 2 * PAGE, 0x11000, PAGE, 1), -EBUSY, "one inside");
	is("H6", dma(fd, true, p + 2 * PAGE, 0x20000, PAGE, 0), 0, "flags 0");
	is("H6", look(fd, 0x20000, PAGE, 0), TD_DMA_OK, "the device reads");
	is("H6", fill(fd, 0x20000, PAGE, 1), TD_DMA_FAULT, "and must not write");
	is("H7", dma(fd, true, p + 2 * PAGE, 0x21000, PAGE, 2), 0, "flags 2");
	is("H7", fill(fd, 0x21000, PAGE, 1), TD_DMA_FAULT, "is as 0");
	is("H7", dma(fd, true, p + 2 * PAGE, 0x22000, PAGE, 0xffff0001), 0, "other bits");
	is("H7", fill(fd, 0x22000, PAGE, 1), TD_DMA_OK, "are ignored");
	is("H8", dma(fd, true, ro, 0x30000, PAGE, 1), -EFAULT, "read-only memory, to write");
	is("H8", dma(fd, true, ro, 0x30000, PAGE, 0), 0, "to read");
	is("H9", dma(fd, true, none, 0x40000, PAGE, 0), -EFAULT, "PROT_NONE");
	if (!map(fd, BAR(0, 0), PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, &bar))
		is("H10", dma(fd, true, bar, 0x40000, PAGE, 1), -EFAULT, "a mapped BAR");
	is("H11", dma(fd, true, p, 0x10800, PAGE, 1), -EINVAL, "dmaaddr in a page");
	is("H12", dma(fd, true, p, 1ull << 48, PAGE, 1), -EFAULT, "beyond the width");
	is("H12", dma(fd, true, p, -2 * PAGE, 2 * PAGE, 1), -EFAULT, "at the end of all");
	is("H13", dma(fd, true, p, 0xfee00000, PAGE, 1), -EINVAL, "interrupt messages");
	is("H13", dma(fd, true, p, 0xfedff000, 2 * PAGE, 1), -EINVAL, "into them");
	is("H14", dma(fd, true, p, 0x50000, 2 * PAGE, 1), 0, "a second IOVA");
	is("H14", locked_pages(0), 8, "counts twice");
	is("H16", dma(fd, true, p, 0x60000, 2 * PAGE, 1), 0, "a third");
	is("H16", dma(fd, false, p, 0x50000, 2 * PAGE, 1), 0, "the middle one");
	is("H16", look(fd, 0x50000, PAGE, 0x41414141), TD_DMA_FAULT, "is gone");
	is("H16", look(fd, 0x60000, PAGE, 0x41414141), TD_DMA_OK, "not the newest");
	is("H16", look(fd, 0x10000, PAGE, 0x41414141), TD_DMA_OK, "nor the oldest");
	is("H15", dma(fd, false, p, 0x10000, PAGE, 1), -ENXIO, "another size");
	is("H15", dma(fd, false, p + PAGE, 0x10000, 2 * PAGE, 1), -ENXIO, "another vaddr");
	is("H17", dma(other, false, p, 0x10000, 2 * PAGE, 1), -ENXIO, "by the other opener");
	is("H15", dma(fd, false, p, 0x99000, 2 * PAGE + 100, 0), 0, "a remainder, another IOVA");
	is("H16", look(fd, 0x60000, PAGE, 0x41414141), TD_DMA_FAULT, "was the newest");
	is("H15", dma(fd, false, p, 0x10000, 2 * PAGE, 1), 0, "the oldest");
	is("H15", dma(fd, false, p, 0x10000, 2 * PAGE, 1), -ENXIO, "twice");
	is("H26", dma(other, true, p, 0x70000, PAGE, 1), 0, "the other's");
	close(other);
	is("H26", look(fd, 0x70000, PAGE, 0), TD_DMA_FAULT, "goes with it");
	is("H26", look(fd, 0x20000, PAGE, 1), TD_DMA_OK, "ours stays");
	cw(fd, 4, 2, cr(fd, 4, 2) & ~MASTER);
	is("H27", look(fd, 0x20000, PAGE, 1), TD_DMA_FAULT, "bus mastering off");
	cw(fd, 4, 2, cr(fd, 4, 2) | MASTER);
	close(fd);
	munmap(bar, PAGE);
	fd = (int)dev_open();
	is("H28", cr(fd, 4, 2) & MASTER, 0, "bus mastering after the last close");
	is("L7", locked_pages(0), 0, "locked_pages");
	close(fd);
}

/* Without CAP_IPC_LOCK, and with RLIMIT_MEMLOCK of 64 KiB: tests/v3.sh sees to that. */
void h_limit(void)
{
	int fd = (int)dev_open();
	char *p = pages(32);

	is("H19", dma(fd, true, p, 0, 17 * PAGE, 1), -ENOMEM, "too much, before a domain");
	give_domain(fd);
	is("H18", dma(fd, true, p, 0, 16 * PAGE, 1), 0, "16 pages");
	is("H18", dma(fd, true, p + 16 * PAGE, 0x100000, PAGE, 1), -ENOMEM, "one more");
	is("H18", dma(fd, false, p, 0, 16 * PAGE, 1), 0, "none");
	is("H18", dma(fd, true, p + 16 * PAGE, 0x100000, PAGE, 1), 0, "then one");
	close(fd);
}

void h_two(void)
{
	int a = (int)dev_open(), b = open("/dev/vfio1", O_RDWR), d = (int)uiommu();
	char *p = pages(1);

	io_int(a, VFIO_DOMAIN_SET, d);
	io_int(b, VFIO_DOMAIN_SET, d);
	cw(b, 4, 2, cr(b, 4, 2) | MASTER);
	is("H20", dma(a, true, p, 0x10000, PAGE, 1), 0, "the first's");
	is("H20", dma(b, true, p, 0x10000, PAGE, 1), -EBUSY, "the same IOVA by the second");
	is("H20", fill(b, 0x10000, PAGE, 7), TD_DMA_OK, "which reaches it");
	is("H20", locked_pages(0) * 10 + locked_pages(1), 10, "and is the first's");
	close(a);
	is("H20", look(b, 0x10000, PAGE, 7), TD_DMA_FAULT, "until it closes");
	close(b);
	a = ready_dev();
	b = open("/dev/vfio1", O_RDWR);
	give_domain(b);
	is("H21", dma(a, true, p, 0x10000, PAGE, 1), 0, "domains of their own");
	is("H21", dma(b, true, p, 0x10000, PAGE, 1), 0, "do not clash");
	close(a);
	close(b);
}

/* Map three pages, have @lose change the middle one, and see that all are gone. */
static void goes(const char *id, const char *what, void (*lose)(char *page))
{
	int fd = ready_dev();
	char *p = pages(8), *q = p + 4 * PAGE;

	is(id, dma(fd, true, p, 0x10000, 3 * PAGE, 1), 0, "%s: MAP", what);
	is("H24", dma(fd, true, q, 0x20000, PAGE, 1), 0, "%s: the neighbour", what);
	is(id, fill(fd, 0x10000, 3 * PAGE, 5), TD_DMA_OK, "%s: FILL", what);
	lose(p + PAGE);
	is(id, fill(fd, 0x10000, PAGE, 5), TD_DMA_FAULT, "%s: the first page", what);
	is(id, fill(fd, 0x12000, PAGE, 5), TD_DMA_FAULT, "%s: the last", what);
	is(id, locked_pages(0), 1, "%s: locked_pages", what);
	is(id, dma(fd, false, p, 0x10000, 3 * PAGE, 1), -ENXIO, "%s: UNMAP", what);
	is("H24", fill(fd, 0x20000, PAGE, 5), TD_DMA_OK, "%s: the neighbour", what);
	is(id, dma(fd, true, q + PAGE, 0x10000, PAGE, 1), 0, "%s: the IOVA is free", what);
	close(fd);
}

static void by_munmap(char *p)
{
	munmap(p, PAGE);
}

static void by_mremap(char *p)
{
	if (mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, pages(1)) == MAP_FAILED)
		perror("mremap");
}

static void by_map_fixed(char *p)
{
	if (mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    p)
		perror("mmap");
}

static void by_mprotect(char *p)
{
	mprotect(p, PAGE, PROT_READ);
}

static void by_madvise(char *p)
{
	madvise(p, PAGE, MADV_DONTNEED);
}

void h_memory(void)
{
	char *private = pages(1), *shared;
	int fd, status;
	pid_t pid;

	goes("H22", "munmap", by_munmap);
	goes("H23", "mremap", by_mremap);
	goes("H23", "MAP_FIXED", by_map_fixed);
	goes("H23", "mprotect", by_mprotect);
	goes("H23", "MADV_DONTNEED", by_madvise);
	fd = ready_dev();
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	is("H25", dma(fd, true, private, 0x10000, PAGE, 1), 0, "private memory");
	is("H25", dma(fd, true, shared, 0x20000, PAGE, 1), 0, "shared memory");
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, &status, 0);
	is("H25", fill(fd, 0x10000, PAGE, 5), TD_DMA_FAULT, "private memory after fork");
	is("H25", dma(fd, false, private, 0x10000, PAGE, 1), -ENXIO, "its UNMAP");
	is("H25", fill(fd, 0x20000, PAGE, 5), TD_DMA_OK, "shared memory");
	close(fd);
}

/* The other build of the kernel: pages stay. */
void h_kept(void)
{
	int fd = ready_dev(), status;
	char *p = pages(3);
	pid_t pid;

	is("H29", dma(fd, true, p, 0x10000, 3 * PAGE, 1), 0, "MAP");
	munmap(p + PAGE, PAGE);
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, &status, 0);
	is("H29", fill(fd, 0x10000, 3 * PAGE, 5), TD_DMA_OK, "all of it is there");
	is("H29", locked_pages(0), 3, "locked_pages");
	is("H29", dma(fd, false, p, 0x10000, 3 * PAGE, 1), 0, "UNMAP");
	close(fd);
}

static void line(int fd, unsigned level)
{
	w32(fd, TD_INTX, level);
}

static void ack(int fd)
{
	cw(fd, 4, 2, cr(fd, 4, 2) & ~DISINTX);
}

void i_intx(void)
{
	int fd = (int)dev_open(), e = eventfd(0, EFD_NONBLOCK), e2 = eventfd(0, EFD_NONBLOCK),
	    null = open("/dev/null", O_RDWR);

	is("I1", io_int(fd, VFIO_EVENTFD_IRQ, e), 0, "before a domain");
	is("I2", io_int(fd, VFIO_EVENTFD_IRQ, 999), -EBADF, "999");
	is("I2", io_int(fd, VFIO_EVENTFD_IRQ, null), -EINVAL, "/dev/null");
	is("I2", io(fd, VFIO_EVENTFD_IRQ, NULL), -EFAULT, "NULL");
	is("I2", io_int(fd, VFIO_EVENTFD_IRQ, -1), 0, "-1");
	is("I2", io_int(fd, VFIO_EVENTFD_IRQ, -1), 0, "-1 again");
	io_int(fd, VFIO_EVENTFD_IRQ, e);
	give_domain(fd);
	ack(fd);
	line(fd, 1);
	is("I3", events(e), 1, "line up");
	is("I3", cr(fd, 4, 2) & DISINTX, DISINTX, "COMMAND");
	is("I3", cr(fd, 6, 2) & 8, 8, "STATUS");
	line(fd, 0);
	line(fd, 1);
	is("I4", no_events(e), 0, "down and up");
	ack(fd);
	is("I5", events(e), 1, "acknowledged with the line up");
	line(fd, 0);
	ack(fd);
	is("I5", no_events(e), 0, "and down");
	is("I5", cr(fd, 4, 2) & DISINTX, 0, "COMMAND");
	line(fd, 1);
	is("I5", events(e), 1, "armed");
	line(fd, 0);
	ack(fd);
	cw(fd, 4, 2, cr(fd, 4, 2) | DISINTX);
	line(fd, 1);
	is("I6", no_events(e), 0, "masked by the user");
	ack(fd);
	is("I6", events(e), 1, "and not any more");
	line(fd, 0);
	ack(fd);
	io_int(fd, VFIO_EVENTFD_IRQ, -1);
	line(fd, 1);
	is("I7", cr(fd, 4, 2) & DISINTX, DISINTX, "without an eventfd");
	io_int(fd, VFIO_EVENTFD_IRQ, e);
	is("I7", no_events(e), 0, "which comes later");
	ack(fd);
	is("I7", events(e), 1, "and hears after the acknowledgement");
	line(fd, 0);
	ack(fd);
	is("I8", io_int(fd, VFIO_EVENTFD_IRQ, e2), 0, "another");
	line(fd, 1);
	is("I8", events(e2), 1, "gets the next one");
	is("I8", no_events(e), 0, "alone");
	close(fd);
	fd = (int)dev_open();
	is("I10", cr(fd, 4, 2) & DISINTX, DISINTX, "after close and open");
	give_domain(fd);
	line(fd, 0);
	ack(fd);
	close(fd);
}

void i_no_pin(void)
{
	int fd = ready_dev(), e = eventfd(0, EFD_NONBLOCK);

	is("I9", io_int(fd, VFIO_EVENTFD_IRQ, e), 0, "without a pin");
	line(fd, 1);
	is("I9", no_events(e), 0, "never");
	close(fd);
}

void j_msi(void)
{
	int fd = (int)dev_open(), e = eventfd(0, EFD_NONBLOCK), null = open("/dev/null", O_RDWR),
	    vec[2] = { 1, e };

	is("J9", io_int(fd, VFIO_EVENTFD_MSI, e), 0, "before a domain");
	is("J9", io_int(fd, VFIO_EVENTFD_MSI, -1), 0, "off");
	give_domain(fd);
	cw(fd, 4, 2, cr(fd, 4, 2) | MASTER);
	is("J5", io_int(fd, VFIO_EVENTFD_MSI, 999), -EBADF, "999");
	is("J5", io_int(fd, VFIO_EVENTFD_MSI, null), -EINVAL, "/dev/null");
	is("J5", io(fd, VFIO_EVENTFD_MSI, NULL), -EFAULT, "NULL");
	is("J1", io_int(fd, VFIO_EVENTFD_MSI, e), 0, "enable");
	is("J1", cr(fd, 0x4a, 2), 0x18b, "control");
	is("J1", cr(fd, 4, 2) & DISINTX, DISINTX, "COMMAND");
	w32(fd, TD_MSI, 0);
	is("J2", events(e), 1, "a message");
	for (int i = 0; i < 10; i++)
		w32(fd, TD_MSI, 0);
	is("J2", events(e), 10, "ten");
	is("J3", io_int(fd, VFIO_EVENTFD_MSI, e), -EINVAL, "again");
	is("J3", io(fd, VFIO_EVENTFDS_MSIX, vec), -EINVAL, "MSI-X");
	vec[0] = 0;
	is("J3", io(fd, VFIO_EVENTFDS_MSIX, vec), -EINVAL, "MSI-X off");
	cw(fd, 0x58, 4, 1);
	w32(fd, TD_MSI, 0);
	is("J7", no_events(e), 0, "masked");
	cw(fd, 0x58, 4, 0);
	is("J7", events(e), 1, "and not any more");
	cw(fd, 4, 2, cr(fd, 4, 2) & ~MASTER);
	w32(fd, TD_MSI, 0);
	is("J8", no_events(e), 0, "bus mastering off");
	cw(fd, 4, 2, cr(fd, 4, 2) | MASTER);
	is("J4", io_int(fd, VFIO_EVENTFD_MSI, -1), 0, "disable");
	is("J4", cr(fd, 0x4a, 2), 0x18a, "control");
	is("J4", cr(fd, 4, 2) & DISINTX, 0, "COMMAND");
	is("J4", io_int(fd, VFIO_EVENTFD_MSI, -1), -EINVAL, "again");
	close(fd);
}

void j_none(void)
{
	int fd = ready_dev(), e = eventfd(0, EFD_NONBLOCK);

	is("J6", io_int(fd, VFIO_EVENTFD_MSI, e), -EINVAL, "without MSI");
	close(fd);
}

/* Fill @vec with @n and so many times @fd. */
static int *vectors(int *vec, int n, int fd)
{
	vec[0] = n;
	for (int i = 0; i < n; i++)
		vec[1 + i] = fd;
	return vec;
}

void k_msix(void)
{
	int fd = ready_dev(), e[4], vec[1100];
	char *edge = pages(2);

	for (int i = 0; i < 4; i++)
		e[i] = eventfd(0, EFD_NONBLOCK);
	vec[0] = 3;
	memcpy(vec + 1, e, 3 * sizeof(int));
	is("K1", io(fd, VFIO_EVENTFDS_MSIX, vec), 0, "3 vectors");
	is("K1", cr(fd, 0x62, 2), 0x803f, "control");
	for (int i = 0; i < 4; i++)
		w32(fd, TD_MSI, (uint32_t)i);
	for (int i = 0; i < 3; i++)
		is("K1", events(e[i]), 1, "vector %d", i);
	is("K8", io(fd, VFIO_EVENTFDS_MSIX, vec), -EINVAL, "again");
	is("K9", io_int(fd, VFIO_EVENTFD_MSI, e[0]), -EINVAL, "MSI");
	is("K10", io_int(fd, VFIO_EVENTFD_IRQ, e[3]), 0, "INTx's eventfd");
	is("K2", io(fd, VFIO_EVENTFDS_MSIX, vectors(vec, 0, 0)), 0, "0");
	is("K2", io(fd, VFIO_EVENTFDS_MSIX, vec), -EINVAL, "0 again");
	is("K3", io_int(fd, VFIO_EVENTFDS_MSIX, -1), -EINVAL, "-1");
	is("K3", io(fd, VFIO_EVENTFDS_MSIX, vectors(vec, 1025, e[0])), -EINVAL, "1025");
	is("K3", io_int(fd, VFIO_EVENTFDS_MSIX, 0), -EINVAL, "0 when off");
	is("K4", io(fd, VFIO_EVENTFDS_MSIX, vectors(vec, 65, e[0])), 64, "65");
	is("K4", cr(fd, 0x62, 2), 0x3f, "control");
	vectors(vec, 4, e[0])[3] = 999;
	is("K5", io(fd, VFIO_EVENTFDS_MSIX, vec), -EBADF, "a bad one");
	is("K5", cr(fd, 0x62, 2), 0x3f, "control");
	mprotect(edge + PAGE, PAGE, PROT_NONE);
	vectors((int *)(edge + PAGE - 8), 1, e[0])[0] = 2;
	is("K6", io(fd, VFIO_EVENTFDS_MSIX, edge + PAGE - 8), -EFAULT, "an array that ends");
	((int *)(edge + PAGE - 8))[1] = 999;
	is("K6", io(fd, VFIO_EVENTFDS_MSIX, edge + PAGE - 8), -EBADF, "a bad one before");
	is("K6", io(fd, VFIO_EVENTFDS_MSIX, NULL), -EFAULT, "NULL");
	is("K7", io(fd, VFIO_EVENTFDS_MSIX, vectors(vec, 64, e[1])), 0, "one for all");
	for (int i = 0; i < 64; i++)
		w32(fd, TD_MSI, (uint32_t)i);
	is("K7", events(e[1]), 64, "which counts all");
	for (int i = 0; i < 4; i++)
		close(e[i]);
	w32(fd, TD_MSI, 5);
	is("K13", cr(fd, 0x62, 2), 0x803f, "closed eventfds");
	close(fd);
	fd = (int)dev_open();
	is("K14", cr(fd, 0x62, 2), 0x3f, "control after the last close");
	close(fd);
}

void k_none(void)
{
	int fd = ready_dev(), vec[2] = { 1, eventfd(0, EFD_NONBLOCK) };

	is("K11", io(fd, VFIO_EVENTFDS_MSIX, vec), -EINVAL, "without MSI-X");
	close(fd);
}

void k_many(void)
{
	int fd = ready_dev(), vec[1100], e = eventfd(0, EFD_NONBLOCK);

	is("K12", io(fd, VFIO_EVENTFDS_MSIX, vectors(vec, 1024, e)), 0, "1024 of 2048");
	w32(fd, TD_MSI, 1023);
	is("K12", events(e), 1, "the last one");
	close(fd);
}

/* Run @fn in a child; return what it exits with. */
static int child(int (*fn)(int arg), int arg)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(fn(arg));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int opens(int arg)
{
	return (int)-x(open(DEV, O_RDWR)) & 0xff;
}

static int reads(int fd)
{
	uint32_t v;

	return (int)-rd(fd, CONFIG(0), &v, 4) & 0xff;
}

/* Have all a device can have open, and be killed. */
static int dies(int arg)
{
	int fd = ready_dev(), vec[2] = { 1, eventfd(0, EFD_NONBLOCK) };

	dma(fd, true, pages(4), 0x10000, 4 * PAGE, 1);
	io(fd, VFIO_EVENTFDS_MSIX, vec);
	raise(SIGKILL);
	return 0;
}

/* States that the last user left: asleep, from which the way back is the same; a file cut. */
static void left(void)
{
	char path[512];
	int fd = ready_dev();
	uint32_t v = 0;

	w32(fd, TD_SCRATCH32, 0x1234);
	cw(fd, 0x44, 2, 3);
	close(fd);
	fd = (int)dev_open();
	give_domain(fd);
	is("L9", cr(fd, 0x44, 2) & 3, 3, "still asleep");
	cw(fd, 0x44, 2, 0);
	is("L9", cr(fd, 4, 2), 3, "COMMAND as it was, but for bus mastering");
	is("L9", rd(fd, BAR(2, 0), &v, 4) == 4 && v != ~0u, true, "BAR2 is reached");
	close(fd);
	snprintf(path, sizeof(path), "%s/kept/0000:01:00.0", getenv("UVFIO_RUN_DIR"));
	is("L9", x(truncate(path, 300)), 0, "the file of its state");
	fd = (int)dev_open();
	give_domain(fd);
	is("L9", cr(fd, 4, 2), 3, "decoding, where the state is damaged");
	is("L9", r32(fd, TD_SCRATCH32), 0, "and a register as after a power cycle");
	close(fd);
}

void l_life(void)
{
	int a = ready_dev(), b = (int)dev_open(), irq = eventfd(0, EFD_NONBLOCK),
	    vec[2] = { 1, irq };
	uint32_t v, bar;

	is("L1", io(a, VFIO_EVENTFDS_MSIX, vec), 0, "A's MSI-X");
	close(a);
	w32(b, TD_MSI, 0);
	is("L1", events(irq), 1, "is B's as well");
	is("L4", child(opens, 0), EBUSY, "another process");
	is("L5", child(reads, b), ENODEV, "a child with the parent's descriptor");
	bar = cr(b, 0x18, 4);
	cw(b, 0x18, 4, 0xabcd0000);
	close(b);
	a = (int)dev_open();
	is("L2", rd(a, BAR(2, 0), &v, 4), -EINVAL, "the domain after the last close");
	is("L2", cr(a, 0x62, 2), 0x3f, "MSI-X");
	is("L2", cr(a, 4, 2) & MASTER, 0, "bus mastering");
	is("L6", cr(a, 0x18, 4), bar, "BAR2's address");
	close(a);
	is("L3", child(dies, 0), -SIGKILL, "a process that is killed");
	a = (int)dev_open();
	is("L3", a >= 0, true, "the next one opens");
	is("L3", rd(a, BAR(2, 0), &v, 4), -EINVAL, "no domain");
	is("L3", cr(a, 0x62, 2), 0x3f, "no MSI-X");
	is("L7", locked_pages(0), 0, "locked_pages");
	close(a);
	left();
}

/* The flow that the documentation of 2010 describes. */
void m_flow(void)
{
	int fd = open(DEV, O_RDWR), d = open("/dev/uiommu", O_RDWR), e = eventfd(0, 0),
	    vec[3] = { 2, e, e };
	struct vfio_dma_map m = { .size = 16 * PAGE, .dmaaddr = 0x100000, .flags = 1 };
	uint16_t cmd = 7;
	uint32_t len;
	char *p = pages(16);
	uint64_t n;

	m.vaddr = (uintptr_t)p;
	is("M", io_int(fd, VFIO_DOMAIN_SET, d), 0, "DOMAIN_SET");
	is("M", x(pwrite(fd, &cmd, 2, 0xf00000000 + 4)), 2, "COMMAND");
	is("M", io_int(fd, VFIO_EVENTFD_IRQ, e), 0, "EVENTFD_IRQ");
	is("M", io_int(fd, VFIO_EVENTFD_MSI, e), 0, "EVENTFD_MSI");
	w32(fd, TD_MSI, 0);
	is("M", x(read(e, &n, 8)), 8, "its event");
	is("M", io_int(fd, VFIO_EVENTFD_MSI, -1), 0, "off");
	is("M", io(fd, VFIO_EVENTFDS_MSIX, vec), 0, "EVENTFDS_MSIX");
	w32(fd, TD_MSI, 1);
	is("M", x(read(e, &n, 8)), 8, "its event");
	vec[0] = 0;
	is("M", io(fd, VFIO_EVENTFDS_MSIX, vec), 0, "off");
	is("M", io(fd, VFIO_DMA_MAP_IOVA, &m), 0, "MAP");
	is("M", fill(fd, m.dmaaddr + 5 * PAGE, PAGE, 0x55555555), TD_DMA_OK, "a part of it");
	is("M", p[5 * PAGE] == 0x55 && !p[4 * PAGE] && !p[6 * PAGE], true, "and no more");
	is("M", io(fd, VFIO_DMA_UNMAP, &m), 0, "UNMAP");
	is("M", io(fd, VFIO_DOMAIN_UNSET, NULL), 0, "DOMAIN_UNSET");
	for (len = 0; len < 7; len++) {
		uint32_t v = len;

		is("M", io(fd, VFIO_BAR_LEN, &v), 0, "BAR_LEN %u", len);
	}
	n = ~0ull;
	is("M", io(fd, _IOW(';', 106, uint64_t), &n), -EINVAL,
	   "VFIO_DMA_MASK, which was not there");
	close(fd);
	close(d);
}

/* Parts that are not of 2010. */
void n_more(void)
{
	int fd = ready_dev(), e[4], vec[5] = { 4 }, ev, before;
	struct pollfd p = { .events = POLLIN };
	struct {
		struct nlmsghdr nl;
		struct genlmsghdr genl;
		struct nlattr first;
		uint32_t domain;
	} * m;
	char buf[512];
	long n;

	for (int i = 0; i < 4; i++)
		vec[1 + i] = e[i] = eventfd(0, EFD_NONBLOCK);
	is("N1", io(fd, VFIO_V3_EVENTFDS_MSI, vec), 0, "4 messages of MSI");
	is("N1", cr(fd, 0x4a, 2) & 0x71, 0x21, "control");
	for (int i = 0; i < 4; i++)
		w32(fd, TD_MSI, (uint32_t)i);
	for (int i = 0; i < 4; i++)
		is("N1", events(e[i]), 1, "message %d", i);
	is("N1", io_int(fd, VFIO_V3_EVENTFDS_MSI, 0), 0, "off");
	vec[0] = 1;
	is("N1", io(fd, VFIO_EVENTFDS_MSIX, vec), 0, "MSI-X");
	before = (int)r32(fd, TD_RESETS);
	is("N2", io(fd, VFIO_V3_RESET, NULL), 0, "RESET");
	is("N2", r32(fd, TD_RESETS), before + 1, "resets");
	is("N2", cr(fd, 4, 2) & 7, 7, "COMMAND");
	w32(fd, TD_MSI, 0);
	is("N2", events(e[0]), 1, "a message");
	ev = (int)io(fd, VFIO_V3_EVENTS, NULL);
	is("N3", ev >= 0, true, "EVENTS");
	p.fd = ev;
	is("N3", x(poll(&p, 1, 0)), 0, "nothing yet");
	is("N3", x(read(ev, buf, sizeof(buf))), -EAGAIN, "to read");
	cw(fd, 0x44, 2, 3);
	cw(fd, 0x44, 2, 0);
	is("N3", x(poll(&p, 1, 10000)), 1, "D3hot and D0");
	is("N3", x(read(ev, buf, 8)), -EINVAL, "no room");
	n = x(read(ev, buf, sizeof(buf)));
	m = (void *)buf;
	is("N3", m->nl.nlmsg_type, VFIO_V3_FAMILY, "family");
	is("N3", m->genl.cmd, VFIO_V3_EVENT_SUSPEND, "suspend");
	is("N3", m->first.nla_type == VFIO_V3_ATTR_DOMAIN && !m->domain, true, "domain");
	is("N3", n, 2l * m->nl.nlmsg_len, "two messages");
	m = (void *)(buf + m->nl.nlmsg_len);
	is("N3", m->genl.cmd, VFIO_V3_EVENT_RESUME, "resume");
	is("N3", x(poll(&p, 1, 0)), 0, "and no more");
	close(fd);
	is("N3", x(read(ev, buf, sizeof(buf))), -EAGAIN, "after close of the device");
	close(ev);
}

/* The host takes the device away while it is open: $UNPLUG does it, and ends when it is let go. */
void l_remove(void)
{
	int fd = ready_dev(), ev = (int)io(fd, VFIO_V3_EVENTS, NULL);
	struct pollfd p = { ev, POLLIN, 0 };
	char buf[512];
	struct genlmsghdr *genl = (void *)(buf + sizeof(struct nlmsghdr));
	long refused;
	pid_t pid;

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", getenv("UNPLUG"), (char *)NULL);
		_exit(127);
	}
	is("L8", x(poll(&p, 1, 30000)), 1, "an event");
	is("L8", x(read(ev, buf, sizeof(buf))) > 0, true, "a message");
	is("L8", genl->cmd, VFIO_V3_EVENT_REMOVE, "remove");
	is("L8", r32(fd, TD_ID), TD_ID_VALUE, "the device works until it is let go");
	refused = dev_open();
	/* the node goes while we are here: by then, or later */
	is("L8", refused == -ENODEV || refused == -ENOENT, true, "nobody else opens it: %ld",
	   refused);
	close(ev);
	close(fd);
	is("L8", x(waitpid(pid, NULL, 0)), pid, "it is taken away");
	is("L8", dev_open(), -ENOENT, "and gone");
}

static void sysfs_reset(void)
{
	int fd = open("/sys/bus/pci/devices/0000:01:00.0/reset", O_WRONLY);

	is("L10", x(write(fd, "1", 1)), 1, "sysfs");
	close(fd);
}

/* The host resets it, while it is open and while it is not. */
void l_reset(void)
{
	int fd = ready_dev();
	uint32_t resets = r32(fd, TD_RESETS);

	w32(fd, TD_SCRATCH32, 5);
	sysfs_reset();
	is("L10", r32(fd, TD_SCRATCH32), 0, "a register of an open one");
	is("L10", r32(fd, TD_RESETS), resets + 1, "resets");
	is("L10", cr(fd, 4, 2) & 7, 7, "COMMAND");
	w32(fd, TD_SCRATCH32, 6);
	close(fd);
	sysfs_reset();
	fd = ready_dev();
	is("L10", r32(fd, TD_SCRATCH32), 0, "of one that was closed");
	close(fd);
}

/* Whatever device it is: what all have. */
static void use_any(int n)
{
	int vec[2] = { 1, eventfd(0, EFD_NONBLOCK) }, fd;
	char node[32], *p = pages(2);
	uint32_t v, len;

	snprintf(node, sizeof(node), "/dev/vfio%d", n);
	fd = open(node, O_RDWR);
	is("O", fd >= 0, true, "%s", node);
	if (fd < 0)
		return;
	give_domain(fd);
	is("O", cw(fd, 4, 2, cr(fd, 4, 2) | MASTER), 2, "%s: bus mastering", node);
	is("O", dma(fd, true, p, 0x10000, 2 * PAGE, 1), 0, "%s: MAP", node);
	len = 0;
	is("O", io(fd, VFIO_BAR_LEN, &len), 0, "%s: BAR_LEN", node);
	is("O", len > 0, true, "%s: BAR0", node);
	is("O", rd(fd, BAR(0, 0), &v, 4), 4, "%s: BAR0", node);
	is("O", io(fd, VFIO_EVENTFDS_MSIX, vec) == 0 || io_int(fd, VFIO_EVENTFD_MSI, vec[1]) == 0,
	   true, "%s: messages", node);
	is("O", io(fd, VFIO_V3_RESET, NULL), 0, "%s: RESET", node);
	is("O", cr(fd, 4, 2) & MASTER, MASTER, "%s: COMMAND after it", node);
	is("O", rd(fd, BAR(0, 0), &v, 4), 4, "%s: BAR0 after it", node);
	is("O", dma(fd, false, p, 0x10000, 2 * PAGE, 1), 0, "%s: UNMAP", node);
	close(fd);
	munmap(p, 2 * PAGE);
}

void o_any(void)
{
	struct stat st;
	char node[32];

	for (unsigned round = 0; round < 2; round++)
		for (int n = 0; snprintf(node, sizeof(node), "/dev/vfio%d", n), !stat(node, &st);
		     n++)
			use_any(n);
}
