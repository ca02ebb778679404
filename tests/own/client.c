/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/own/client.c: several processes on one device, as the kernel's VFIO has it: children of a
 * fork, programs behind an exec, processes that got descriptors by a socket. The device is edu, in
 * group 1 at 0000:01:00.0.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cases.h"
#include "lib/vfio.h"

#define GROUP  "/dev/vfio/1"
#define DEVICE "0000:01:00.0"
#define PAGE   4096u

/* QEMU, docs/specs/edu.rst */
enum {
	ID = 0x0,
	LIVE = 0x4,
	IRQ_STATUS = 0x24,
	IRQ_RAISE = 0x60,
	IRQ_ACK = 0x64,
	DMA_FROM = 0x80,
	DMA_TO = 0x88,
	DMA_SIZE = 0x90,
	DMA_COMMAND = 0x98,
};
#define EDU_BUFFER 0x40000u
#define EDU_ID	   0x010000edu
enum { DMA_START = 1, DMA_TO_MEMORY = 2 };

static struct vfio v;
static char self[64];

static volatile uint32_t *map_bar(int device)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool set_command(int device, uint16_t command)
{
	return pwrite(device, &command, 2, (off_t)VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + 4) ==
	       2;
}

static uint32_t read_reg(int device, unsigned at)
{
	uint32_t value = 0;

	return pread(device, &value, 4, at) == 4 ? value : UINT32_MAX;
}

static bool write_reg(int device, unsigned at, uint64_t value, unsigned size)
{
	return pwrite(device, &value, size, at) == (ssize_t)size;
}

static bool open_it(void)
{
	return !vfio_open_device(&v, GROUP, DEVICE) && set_command(v.device, 6);
}

static void *page_of(uint8_t fill, int flags)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	memset(p, fill, PAGE);
	return p;
}

/* Have the device copy between its buffer and @iova, and wait for the end: false, it does not. */
static bool dma(int device, uint64_t iova, uint32_t size, bool to_memory)
{
	bool ok = write_reg(device, DMA_FROM, to_memory ? EDU_BUFFER : iova, 8) &&
		  write_reg(device, DMA_TO, to_memory ? iova : EDU_BUFFER, 8) &&
		  write_reg(device, DMA_SIZE, size, 8) &&
		  write_reg(device, DMA_COMMAND, DMA_START | (to_memory ? DMA_TO_MEMORY : 0), 8);

	for (int i = 0; ok && i < 2000; i++) {
		uint64_t command = 0;

		if (pread(device, &command, 8, DMA_COMMAND) != 8)
			return false;
		if (!(command & DMA_START))
			return true;
		usleep(1000);
	}
	return false;
}

/* Fork a child that runs @fn: true if it returned true. */
static bool child(bool (*fn)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool good = fn();

		fflush(stdout);
		_exit(good ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

/* ---- a fork ---- */

static volatile uint32_t *bar;

static bool child_uses_all(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_group_status status = { .argsz = sizeof(status) };

	CHECK(!ioctl(v.device, VFIO_DEVICE_GET_INFO, &info) && info.num_regions == 9);
	CHECK(!ioctl(v.group, VFIO_GROUP_GET_STATUS, &status) && status.flags == 3);
	CHECK(ioctl(v.container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1);
	CHECK(bar[ID / 4] == EDU_ID);
	bar[LIVE / 4] = 0x11;
	CHECK(read_reg(v.device, LIVE) == ~0x11u);
	return !case_failed;
}

static void a_child_goes_on_with_its_parents_handles(void)
{
	CHECK(open_it());
	bar = map_bar(v.device);
	CHECK(bar && bar[ID / 4] == EDU_ID);
	CHECK(bar && child(child_uses_all));
	CHECK(bar && bar[LIVE / 4] == ~0x11u);
	munmap((void *)bar, PAGE);
	vfio_close(&v);
}

static bool grandchild_reads(void)
{
	return read_reg(v.device, ID) == EDU_ID && bar[ID / 4] == EDU_ID;
}

static bool child_has_a_child(void)
{
	return child(grandchild_reads);
}

static void and_so_does_a_child_of_the_child(void)
{
	CHECK(open_it());
	bar = map_bar(v.device);
	CHECK(bar && child(child_has_a_child));
	munmap((void *)bar, PAGE);
	vfio_close(&v);
}

/* Whether the group can be opened: it cannot while a device of it is open. */
static bool group_is_free(void)
{
	int fd = open(GROUP, O_RDWR);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool child_leaves(void)
{
	munmap((void *)bar, PAGE);
	vfio_close(&v);
	return true;
}

static bool child_keeps_only_a_mapping(void)
{
	vfio_close(&v);
	return bar[ID / 4] == EDU_ID;
}

static void a_device_is_open_while_anybody_has_it(void)
{
	CHECK(open_it());
	bar = map_bar(v.device);
	CHECK(bar && child(child_leaves));
	CHECK(bar && bar[ID / 4] == EDU_ID);
	CHECK(bar && child(child_keeps_only_a_mapping));
	vfio_close(&v);
	FAILS(open(GROUP, O_RDWR), EBUSY); /* the mapping holds it */
	CHECK(bar && bar[ID / 4] == EDU_ID);
	munmap((void *)bar, PAGE);
	CHECK(group_is_free());
}

static int to_parent[2], to_child[2];

static void a_mapping_of_a_child_holds_it(void)
{
	pid_t pid;
	char c;

	CHECK(open_it());
	bar = map_bar(v.device);
	CHECK(bar && !pipe(to_parent) && !pipe(to_child));
	pid = fork();
	if (!pid) {
		close(to_child[1]);
		vfio_close(&v);
		c = bar[ID / 4] == EDU_ID; /* so that it is known over there */
		if (write(to_parent[1], &c, 1) != 1 || read(to_child[0], &c, 1))
			_exit(1);
		_exit(bar[ID / 4] == EDU_ID ? 0 : 1);
	}
	close(to_child[0]);
	CHECK(read(to_parent[0], &c, 1) == 1 && c == 1);
	munmap((void *)bar, PAGE);
	vfio_close(&v);
	FAILS(open(GROUP, O_RDWR), EBUSY);
	close(to_child[1]);
	CHECK(waitpid(pid, (int[]){ 0 }, 0) == pid);
	/* the end of a process is seen when its socket is */
	for (int i = 0; i < 2000 && !group_is_free(); i++)
		usleep(1000);
	CHECK(group_is_free());
	close(to_parent[0]);
	close(to_parent[1]);
}

/* ---- descriptors by a socket, and over an exec ---- */

static bool send_fd(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1;
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(sock, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* `own_client receiver FD`: a program that has nothing but a socket. */
static int receiver(int sock)
{
	int container = receive_fd(sock), group = receive_fd(sock), device;
	void *memory = page_of(0x5a, MAP_PRIVATE);
	volatile uint32_t *regs;

	/* as a secondary process of DPDK: the group's device, once more */
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, DEVICE);
	CHECK(device >= 0);
	regs = device < 0 ? NULL : map_bar(device);
	CHECK(regs && regs[ID / 4] == EDU_ID);
	CHECK(!vfio_dma_map(container, memory, 0x200000, PAGE, 3));
	CHECK(memory && dma(device, 0x200000, 64, false));
	memset(memory, 0, PAGE);
	CHECK(dma(device, 0x200000, 64, true) && *(uint32_t *)memory == 0x5a5a5a5a);
	CHECK(vfio_dma_unmap(container, 0x200000, PAGE, 0) == PAGE);
	return case_failed;
}

static bool run_self(const char *what, int fd)
{
	char number[16];
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", fd);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl(self, self, what, number, NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

static void a_process_uses_descriptors_that_it_got(void)
{
	int pair[2];

	CHECK(open_it());
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(send_fd(pair[0], v.container) && send_fd(pair[0], v.group));
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	fcntl(v.container, F_SETFD, FD_CLOEXEC);
	fcntl(v.group, F_SETFD, FD_CLOEXEC);
	fcntl(v.device, F_SETFD, FD_CLOEXEC);
	CHECK(run_self("receiver", pair[1]));
	CHECK(read_reg(v.device, ID) == EDU_ID);
	close(pair[0]);
	close(pair[1]);
	vfio_close(&v);
	CHECK(group_is_free());
}

/* `own_client executed FD`: it has a device from before. */
static int executed(int device)
{
	volatile uint32_t *regs = map_bar(device);

	CHECK(read_reg(device, ID) == EDU_ID);
	CHECK(regs && regs[ID / 4] == EDU_ID);
	FAILS(open(GROUP, O_RDWR), EBUSY);
	return case_failed;
}

static void an_exec_keeps_them(void)
{
	CHECK(open_it());
	fcntl(v.device, F_SETFD, 0);
	CHECK(run_self("executed", v.device));
	vfio_close(&v);
}

/* ---- memory and interrupts ---- */

static bool child_maps_its_own(void)
{
	void *memory = page_of(0x77, MAP_PRIVATE);

	CHECK(!vfio_dma_map(v.container, memory, 0x300000, PAGE, 3));
	/* the parent's is there, too */
	FAILS(vfio_dma_map(v.container, memory, 0x100000, PAGE, 3), EEXIST);
	CHECK(dma(v.device, 0x300000, 16, false));
	return !case_failed;
}

static void devices_reach_the_memory_of_each(void)
{
	uint32_t *mine = page_of(0x33, MAP_PRIVATE), *shared = page_of(0x44, MAP_SHARED);

	CHECK(open_it() && mine && shared);
	CHECK(!vfio_dma_map(v.container, mine, 0x100000, PAGE, 3));
	CHECK(!vfio_dma_map(v.container, shared, 0x101000, PAGE, 3));
	CHECK(dma(v.device, 0x101000, 16, false) && dma(v.device, 0x100000, 16, true));
	CHECK(mine && mine[0] == 0x44444444 && mine[4] == 0x33333333);
	CHECK(child(child_maps_its_own));
	/* what the device read there it writes here */
	CHECK(dma(v.device, 0x101000, 16, true) && shared && shared[3] == 0x77777777);
	/* a mapping is the container's, whoever made it */
	CHECK(vfio_dma_unmap(v.container, 0x300000, PAGE, 0) == PAGE);
	CHECK(vfio_dma_unmap(v.container, 0x100000, 2 * PAGE, 0) == 2 * PAGE);
	vfio_close(&v);
}

static void memory_that_is_none_is_refused(void)
{
	void *gone = page_of(0, MAP_PRIVATE);

	CHECK(open_it() && gone);
	CHECK(!munmap(gone, PAGE));
	FAILS(vfio_dma_map(v.container, gone, 0x100000, PAGE, 3), EFAULT);
	FAILS(vfio_dma_map(v.container, (void *)-(uintptr_t)PAGE, 0x100000, PAGE, 3), EFAULT);
	FAILS(ioctl(v.device, VFIO_DEVICE_GET_INFO, gone), EFAULT);
	FAILS(pread(v.device, gone, 4, 0), EFAULT);
	vfio_close(&v);
}

static int event;

static bool child_raises(void)
{
	return write_reg(v.device, IRQ_RAISE, 1, 4);
}

static void an_interrupt_that_a_child_causes_comes_to_its_parent(void)
{
	event = eventfd(0, EFD_NONBLOCK);
	CHECK(open_it());
	CHECK(!vfio_set_irqs(v.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &event));
	CHECK(child(child_raises));
	CHECK(eventfd_wait(event, 5000) == 1);
	vfio_close(&v);
	close(event);
}

static void what_is_no_eventfd_is_refused(void)
{
	int bad = 999, file = open("/dev/null", O_RDONLY);

	CHECK(open_it());
	FAILS(vfio_set_irqs(v.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &bad),
	      EBADF);
	FAILS(vfio_set_irqs(v.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			    VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &file),
	      EINVAL);
	FAILS(ioctl(v.group, VFIO_GROUP_SET_CONTAINER, &bad), EBADF);
	FAILS(ioctl(v.group, VFIO_GROUP_SET_CONTAINER, &file), EINVAL);
	vfio_close(&v);
	close(file);
}

/* ---- ends ---- */

static void a_killed_driver_leaves_nothing_open(void)
{
	pid_t pid;
	char c;

	CHECK(!pipe(to_parent));
	pid = fork();
	if (!pid) {
		c = open_it() && (bar = map_bar(v.device)) && bar[ID / 4] == EDU_ID &&
		    !vfio_dma_map(v.container, page_of(1, MAP_PRIVATE), 0x100000, PAGE, 3);
		if (write(to_parent[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	CHECK(read(to_parent[0], &c, 1) == 1 && c == 1);
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, (int[]){ 0 }, 0) == pid);
	for (int i = 0; i < 2000 && !group_is_free(); i++)
		usleep(1000);
	CHECK(open_it() && read_reg(v.device, ID) == EDU_ID);
	/* and no mapping of its own */
	CHECK(!vfio_dma_map(v.container, page_of(2, MAP_PRIVATE), 0x100000, PAGE, 3));
	vfio_close(&v);
	close(to_parent[0]);
	close(to_parent[1]);
}

/* Fork a driver that runs @fn with the device mapped, and wait for its word that it is at work. */
static pid_t driver(bool (*fn)(void))
{
	pid_t pid;
	char c = 0;

	CHECK(!pipe(to_parent));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		c = fn(); /* or it says its word itself, and does not return */
		if (write(to_parent[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	CHECK(read(to_parent[0], &c, 1) == 1 && c == 1);
	close(to_parent[0]);
	close(to_parent[1]);
	return pid;
}

/* Have the device begin to write to memory; it is done some 100 ms later. */
static bool begin_dma(void)
{
	void *memory = page_of(1, MAP_PRIVATE);

	return memory && !vfio_dma_map(v.container, memory, 0x100000, PAGE, 3) &&
	       write_reg(v.device, DMA_FROM, EDU_BUFFER, 8) &&
	       write_reg(v.device, DMA_TO, 0x100000, 8) && write_reg(v.device, DMA_SIZE, 64, 8) &&
	       write_reg(v.device, DMA_COMMAND, DMA_START | DMA_TO_MEMORY, 8);
}

/* The next one finds all in order: an answer, an interrupt, memory both ways. */
static void check_in_order(void)
{
	uint32_t *memory = page_of(0x66, MAP_PRIVATE);
	int efd = eventfd(0, EFD_NONBLOCK);

	for (int i = 0; i < 2000 && !group_is_free(); i++)
		usleep(1000);
	CHECK(open_it() && memory && read_reg(v.device, ID) == EDU_ID);
	CHECK(write_reg(v.device, LIVE, 0x12345678, 4) && read_reg(v.device, LIVE) == ~0x12345678u);
	CHECK(!vfio_set_irqs(v.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_MSI_IRQ_INDEX, 0, 1, &efd));
	CHECK(write_reg(v.device, IRQ_RAISE, 1, 4) && eventfd_wait(efd, 5000) == 1);
	CHECK(!vfio_dma_map(v.container, memory, 0x100000, PAGE, 3));
	CHECK(dma(v.device, 0x100000, 64, false));
	memset(memory, 0, PAGE);
	CHECK(dma(v.device, 0x100000, 64, true) && memory && memory[15] == 0x66666666);
	vfio_close(&v);
	close(efd);
	munmap(memory, PAGE);
}

/* Overwrite all but the stack and what files say: the heap, and all that uvfio knows in here. */
static void overwrite(void)
{
	static uintptr_t from[128], to[128];
	char line[512], rights[8];
	unsigned n = 0, k;
	FILE *f = fopen("/proc/self/maps", "r");

	while (f && n < 128 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %7s", &from[n], &to[n], rights) == 3 &&
		    !strcmp(rights, "rw-p") &&
		    (!strchr(line, '/') ? !strstr(line, "[stack]") : !!strstr(line, "libuvfio")))
			n++;
	/* no call from here on, of which nothing is left */
	for (k = 0; k < n; k++)
		for (volatile char *p = (char *)from[k]; p < (char *)to[k]; p++)
			*p = (char)0xa5;
	*(volatile int *)8 = 1;
}

static bool work(void)
{
	return open_it() && (bar = map_bar(v.device)) && bar[ID / 4] == EDU_ID && begin_dma();
}

static bool corrupted(void)
{
	if (!work() || write(to_parent[1], "\1", 1) != 1)
		return false;
	overwrite();
	return false;
}

static bool crashed(void)
{
	if (!work() || write(to_parent[1], "\1", 1) != 1)
		return false;
	*(volatile int *)8 = 1;
	return false;
}

/* Wait for the end of @pid, which may be too broken for one. Return the signal that it died by. */
static int end_of(pid_t pid)
{
	int status = 0;
	pid_t ended = 0;

	for (int i = 0; i < 5000 && !ended; i++) {
		ended = waitpid(pid, &status, WNOHANG);
		if (!ended)
			usleep(1000);
	}
	if (!ended && !kill(pid, SIGKILL))
		waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_driver_that_overwrites_its_memory_leaves_the_device_in_order(void)
{
	CHECK(end_of(driver(corrupted)) > 0);
	check_in_order();
}

static void and_so_does_one_that_crashes_in_the_middle_of_dma(void)
{
	CHECK(end_of(driver(crashed)) == SIGSEGV);
	check_in_order();
}

static bool work_on_the_parents(void)
{
	bar[LIVE / 4] = 0x22;
	return begin_dma();
}

static void a_killed_driver_leaves_its_device_to_who_has_it_open(void)
{
	uint64_t from = 0, command = DMA_START;
	pid_t pid;

	CHECK(open_it() && (bar = map_bar(v.device)));
	pid = driver(work_on_the_parents);
	CHECK(!kill(pid, SIGKILL) && end_of(pid) == SIGKILL);
	/* it goes on, as far as it can without the memory; its registers are as they were left */
	CHECK(bar && bar[LIVE / 4] == ~0x22u);
	CHECK(pread(v.device, &from, 8, DMA_TO) == 8 && from == 0x100000);
	for (int i = 0; i < 2000 && command & DMA_START; i++)
		CHECK(!usleep(1000) && pread(v.device, &command, 8, DMA_COMMAND) == 8);
	CHECK(!(command & DMA_START));
	munmap((void *)bar, PAGE);
	vfio_close(&v);
	check_in_order();
}

static void the_interface_of_devices_is_refused(void)
{
	FAILS(open("/dev/iommu", O_RDWR), ENODEV);
	FAILS(open("/dev/vfio/devices/vfio0", O_RDWR), ENODEV);
}

int main(int argc, char **argv)
{
	snprintf(self, sizeof(self), "/proc/self/exe");
	if (argc == 3 && !strcmp(argv[1], "receiver"))
		return receiver(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "executed"))
		return executed(atoi(argv[2]));
	RUN(a_child_goes_on_with_its_parents_handles);
	RUN(and_so_does_a_child_of_the_child);
	RUN(a_device_is_open_while_anybody_has_it);
	RUN(a_mapping_of_a_child_holds_it);
	RUN(a_process_uses_descriptors_that_it_got);
	RUN(an_exec_keeps_them);
	RUN(devices_reach_the_memory_of_each);
	RUN(memory_that_is_none_is_refused);
	RUN(an_interrupt_that_a_child_causes_comes_to_its_parent);
	RUN(what_is_no_eventfd_is_refused);
	RUN(a_killed_driver_leaves_nothing_open);
	RUN(a_driver_that_overwrites_its_memory_leaves_the_device_in_order);
	RUN(and_so_does_one_that_crashes_in_the_middle_of_dma);
	RUN(a_killed_driver_leaves_its_device_to_who_has_it_open);
	RUN(the_interface_of_devices_is_refused);
	return any_failed;
}
