/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cdev/pages.c: page requests, served as a monitor does: under `uvfio run --device testdev,pri=on`.
 * The device writes where nothing is mapped, asks, and its driver maps and answers, or does not.
 * Libc and the ABI alone. Each line of the output is an answer that tests/cdev.sh knows.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "models/testdev/regs.h"
#include "vfio/iommufd_defs.h"

#define PAGE  4096ull
#define PAGES 64u
#define IOVA  0x100000ull
#define REGS  (2ull << 40)

static int iommu, device, queue;
static uint32_t ioas, dev_id;
static char *mem; /* PAGES of them, for IOVA and on */

static const char *result(long ret)
{
	return ret >= 0 ? "0" : strerrorname_np(errno);
}

/* The result of an ioctl as text: 0, or the name of the error. */
static const char *ask(int fd, unsigned long cmd, void *arg)
{
	return result(ioctl(fd, cmd, arg));
}

static void put(uint64_t pos, uint64_t value, size_t n)
{
	if (pwrite(device, &value, n, (off_t)(REGS + pos)) != (ssize_t)n)
		perror("pwrite");
}

static uint64_t get(uint64_t pos, size_t n)
{
	uint64_t value = 0;

	if (pread(device, &value, n, (off_t)(REGS + pos)) != (ssize_t)n)
		perror("pread");
	return value;
}

/* Wait until the register is not @value any more; return what it is then. */
static uint64_t wait_change(uint64_t pos, uint64_t value)
{
	uint64_t now = value;

	for (unsigned i = 0; i < 20000 && now == value; i++) {
		now = get(pos, 4);
		if (now == value)
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return now;
}

static void fill(uint64_t iova, uint64_t n)
{
	put(TD_DMA_DST, iova, 8);
	put(TD_DMA_LEN, n, 8);
	put(TD_DMA_PATTERN, 0x5a5a5a5a, 4);
	put(TD_DMA_CMD, TD_OP_FILL | TD_DMA_PAGING, 4);
}

static uint32_t new_hwpt(uint32_t flags)
{
	struct iommu_hwpt_alloc a = { .size = sizeof(a), .flags = flags, .dev_id = dev_id };
	struct iommu_fault_alloc q = { .size = sizeof(q) };

	if (flags & IOMMU_HWPT_FAULT_ID_VALID && !queue) {
		printf("queue %s\n", ask(iommu, IOMMU_FAULT_QUEUE_ALLOC, &q));
		queue = (int)q.out_fault_fd;
		a.fault_id = q.out_fault_id;
	}
	a.pt_id = ioas;
	printf("hwpt %s", ask(iommu, IOMMU_HWPT_ALLOC, &a));
	if (a.fault_id) {
		struct iommu_destroy d = { .size = sizeof(d), .id = a.fault_id };

		printf(", destroy the queue %s", ask(iommu, IOMMU_DESTROY, &d));
	}
	puts("");
	return a.out_hwpt_id;
}

static void attach(uint32_t pt)
{
	struct {
		uint32_t argsz, flags, pt;
	} a = { .argsz = sizeof(a), .pt = pt };

	printf("attach %s\n", ask(device, _IO(';', 119), &a));
}

static int map(uint64_t iova)
{
	struct iommu_ioas_map m = { .size = sizeof(m),
				    .flags = 7,
				    .ioas_id = ioas,
				    .user_va = (uintptr_t)mem + (iova - IOVA),
				    .length = PAGE,
				    .iova = iova };

	return ioctl(iommu, IOMMU_IOAS_MAP, &m);
}

static int answer(uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response r = { cookie, code };

	return write(queue, &r, sizeof(r)) == sizeof(r) ? 0 : -1;
}

/* Return poll's answer about the queue, without waiting. */
static const char *events(void)
{
	struct pollfd p = { .fd = queue, .events = POLLIN | POLLOUT };

	poll(&p, 1, 0);
	return p.revents == (POLLIN | POLLOUT) ? "in out" : p.revents == POLLOUT ? "out" : "else";
}

/* Wait for requests and read them, up to @n. */
static ssize_t take(struct iommu_hwpt_pgfault *f, size_t n)
{
	struct pollfd p = { .fd = queue, .events = POLLIN };

	if (poll(&p, 1, 20000) != 1)
		return -1;
	return read(queue, f, n * sizeof(*f));
}

static void show(const struct iommu_hwpt_pgfault *f)
{
	printf("request flags %u %s pasid %u group %u perm %u addr %llx cookie %u\n", f->flags,
	       f->dev_id == dev_id ? "ours" : "whose?", f->pasid, f->grpid, f->perm,
	       (unsigned long long)f->addr, f->cookie);
}

/* Two pages are asked for, one after the other, and the transfer goes on. */
static void serve(void)
{
	struct iommu_hwpt_pgfault f;
	bool right = true;

	printf("empty: %s, cut: %s\n", events(), result(ftruncate(queue, 0)));
	fill(IOVA + 100, PAGE);
	printf("status %u\n", (unsigned)get(TD_DMA_STATUS, 4));
	for (unsigned i = 0; i < 2; i++) {
		if (take(&f, 1) != sizeof(f))
			return;
		show(&f);
		printf("map %s, ", result(map(f.addr)));
		printf("another answer %s, ", result(answer(f.cookie, 2)));
		printf("another cookie %s, ", result(answer(f.cookie + 1, 0)));
		printf("answer %s, ", result(answer(f.cookie, IOMMUFD_PAGE_RESP_SUCCESS)));
		printf("again %s\n", result(answer(f.cookie, IOMMUFD_PAGE_RESP_SUCCESS)));
	}
	printf("status %u", (unsigned)wait_change(TD_DMA_STATUS, TD_DMA_BUSY));
	for (unsigned i = 0; i < PAGE; i++)
		right = right && mem[100 + i] == 0x5a;
	printf(" %s %s\n", right && !mem[99] && !mem[100 + PAGE] ? "right" : "wrong", events());
}

static void refuse(uint32_t code, bool mapped)
{
	struct iommu_hwpt_pgfault f;

	fill(IOVA + 3 * PAGE, 8);
	if (take(&f, 1) != sizeof(f))
		return;
	answer(f.cookie, code);
	printf("%s: status %u\n", mapped ? "no map" : "invalid",
	       (unsigned)wait_change(TD_DMA_STATUS, TD_DMA_BUSY));
}

static void groups(void)
{
	struct iommu_hwpt_pgfault f[4];
	struct iommu_hwpt_page_response r[2];
	void *volatile nowhere = (void *)8;

	for (unsigned i = 0; i < 3; i++) {
		put(TD_PAGE_ADDR, (8 + i) * PAGE, 8);
		put(TD_PAGE_CMD, 7u << TD_PAGE_GROUP_SHIFT | (i == 2 ? TD_PAGE_LAST : 0) | (1 + i),
		    4);
		printf("%s%s", events(), i == 2 ? "\n" : ", ");
	}
	put(TD_PAGE_CMD, 8u << TD_PAGE_GROUP_SHIFT | TD_PAGE_LAST | 1, 4);
	printf("two of three %s, ", result(take(f, 2)));
	printf("39 bytes %s, ", result(read(queue, f, 39)));
	printf("nowhere %s, ", result(read(queue, nowhere, 3 * sizeof(f[0]))));
	printf("all %zd\n", take(f, 4));
	for (unsigned i = 0; i < 4; i++)
		show(&f[i]);
	r[0] = (struct iommu_hwpt_page_response){ f[3].cookie, IOMMUFD_PAGE_RESP_INVALID };
	r[1] = (struct iommu_hwpt_page_response){ 99, 0 };
	printf("a good answer and a bad one: %zd, ", write(queue, r, sizeof(r)));
	printf("page status %x, ",
	       (unsigned)wait_change(TD_PAGE_STATUS, 8u << TD_PAGE_GROUP_SHIFT | TD_PAGE_WAITING));
	answer(f[0].cookie, 0);
	printf("%x\n",
	       (unsigned)wait_change(TD_PAGE_STATUS, 8u << TD_PAGE_GROUP_SHIFT | TD_PAGE_INVALID));
}

static unsigned served;

/* The driver's thread: each page that is asked for is mapped. */
static void *server(void *arg)
{
	struct iommu_hwpt_pgfault f;

	while (take(&f, 1) == sizeof(f) && f.addr) {
		map(f.addr);
		answer(f.cookie, IOMMUFD_PAGE_RESP_SUCCESS);
		served++;
	}
	answer(f.cookie, IOMMUFD_PAGE_RESP_INVALID);
	return NULL;
}

static void thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, server, NULL);
	fill(IOVA + 4 * PAGE, (PAGES - 4) * PAGE);
	printf("a thread: status %u, ", (unsigned)wait_change(TD_DMA_STATUS, TD_DMA_BUSY));
	put(TD_PAGE_ADDR, 0, 8); /* its end */
	put(TD_PAGE_CMD, TD_PAGE_LAST | 1, 4);
	pthread_join(t, NULL);
	printf("%u pages\n", served);
}

int main(int argc, char **argv)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t id;
	} bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_hwpt_pgfault f;
	uint32_t with, without;
	uint16_t command = 6;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	iommu = open("/dev/iommu", O_RDWR);
	device = open("/dev/vfio/devices/vfio0", O_RDWR);
	bind.iommufd = iommu;
	printf("bind %s\n", ask(device, _IO(';', 118), &bind));
	dev_id = bind.id;
	printf("ioas %s\n", ask(iommu, IOMMU_IOAS_ALLOC, &alloc));
	ioas = alloc.out_ioas_id;
	with = new_hwpt(IOMMU_HWPT_FAULT_ID_VALID);
	attach(with);
	if (argc > 1) /* a device without page requests */
		return 0;
	if (pwrite(device, &command, 2, (off_t)(7ull << 40) + 4) != 2) /* memory, bus master */
		perror("pwrite");
	serve();
	refuse(IOMMUFD_PAGE_RESP_INVALID, false);
	refuse(IOMMUFD_PAGE_RESP_SUCCESS, true);
	groups();
	thread();
	/* nobody answers, but the queue is left */
	without = new_hwpt(0);
	fill(2 * IOVA, 8);
	take(&f, 1);
	put(TD_PAGE_CMD, TD_PAGE_LAST | 1, 4);
	printf("%s, ", events());
	attach(without);
	printf("left: %u %x %s, ", (unsigned)wait_change(TD_DMA_STATUS, TD_DMA_BUSY),
	       (unsigned)wait_change(TD_PAGE_STATUS, TD_PAGE_WAITING), events());
	printf("late %s\n", result(answer(f.cookie, 0)));
	fill(2 * IOVA, 8);
	printf("without: %u\n", (unsigned)wait_change(TD_DMA_STATUS, TD_DMA_BUSY));
	attach(with);
	fill(2 * IOVA, 8);
	take(&f, 1);
	close(device);
	printf("closed: %s, late %s\n", events(), result(answer(f.cookie, 0)));
	return 0;
}
