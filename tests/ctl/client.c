/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/ctl/client.c: a VFIO program that does what it is told and answers each line with one, for
 * a script that does something to its devices meanwhile. One device; libc alone.
 *
 *	open GROUP ADDRESS	take group and device
 *	again ADDRESS		ask the group for the device once more, and close it
 *	status			ask for the group's status: its flags
 *	irq INDEX		have an eventfd for interrupt index INDEX
 *	hear INDEX		wait up to 30 s for it: how often it came
 *	silent INDEX		how often it came, without waiting
 *	read OFFSET		4 bytes of BAR 0, by read and by a mapping
 *	write OFFSET VALUE	the same
 *	config OFFSET		4 bytes of config space
 *	set OFFSET VALUE	write them
 *	reset			VFIO_DEVICE_RESET
 *	together		how many devices are reset with it: GET_PCI_HOT_RESET_INFO
 *	listen			have a socket for the kernel's events of devices
 *	event			wait up to 30 s for one: what, device, driver
 *	fork			go on in a child; the parent waits for it
 *	close			close the device
 *	leave			close group and container, too
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vfio.h"

static struct vfio v = { -1, -1, -1, NULL };
static int fds[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };
static volatile uint32_t *bar;

static int take(unsigned n, const char *addr)
{
	char group[32];
	void *p;

	snprintf(group, sizeof(group), "/dev/vfio/%u", n);
	if (vfio_open_device(&v, group, addr)) {
		vfio_close(&v);
		return -1;
	}
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, VFIO_REGION(0));
	bar = p == MAP_FAILED ? NULL : p;
	return 0;
}

static int again(const char *addr)
{
	int fd = ioctl(v.group, VFIO_GROUP_GET_DEVICE_FD, addr);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int irq(unsigned index)
{
	if (fds[index] < 0)
		fds[index] = eventfd(0, EFD_NONBLOCK);
	return vfio_set_irqs(v.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     index, 0, 1, &fds[index]);
}

/* A mapping keeps the device open, too. */
static int let_go(void)
{
	if (bar)
		munmap((void *)bar, 4096);
	bar = NULL;
	if (close(v.device))
		return -1;
	v.device = -1;
	return 0;
}

static void answer(int rc)
{
	printf("%s\n", rc ? strerrorname_np(errno) : "ok");
}

static void read_bar(uint64_t off)
{
	uint32_t value = 0;
	ssize_t n = pread(v.device, &value, 4, (off_t)(VFIO_REGION(0) + off));

	if (n != 4)
		answer(-1);
	else
		printf("%08x %08x\n", value, bar ? bar[off / 4] : 0);
}

static void read_config(uint64_t off)
{
	uint32_t value = 0;

	if (pread(v.device, &value, 4, (off_t)(VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + off)) !=
	    4)
		answer(-1);
	else
		printf("%08x\n", value);
}

static void write_config(uint64_t off, uint32_t value)
{
	answer(pwrite(v.device, &value, 4,
		      (off_t)(VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + off)) == 4
		       ? 0
		       : -1);
}

static void write_bar(uint64_t off, uint32_t value)
{
	ssize_t n = pwrite(v.device, &value, 4, (off_t)(VFIO_REGION(0) + off));

	if (bar)
		bar[off / 4] = value;
	answer(n == 4 ? 0 : -1);
}

static int events = -1;

static int listen_to(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 0xffffffff }, got;
	socklen_t len = sizeof(got);

	events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);
	if (events < 0 || bind(events, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockname(events, (struct sockaddr *)&got, &len))
		return -1;
	errno = EPROTO;
	return got.nl_family == AF_NETLINK && got.nl_pid == (uint32_t)getpid() ? 0 : -1;
}

/* Print one of the PCI bus; the sender has to be the kernel. */
static void next_event(void)
{
	struct pollfd p = { .fd = events, .events = POLLIN };
	struct sockaddr_nl from;
	socklen_t len = sizeof(from);
	char text[4096];
	const char *slot = "-", *driver = "-", *bus = "-", *action = "-", *seq = NULL;
	ssize_t n;

	do {
		if (poll(&p, 1, 30000) != 1)
			break;
		n = recvfrom(events, text, sizeof(text) - 1, 0, (struct sockaddr *)&from, &len);
		text[n > 0 ? n : 0] = '\0';
		for (char *at = text; n > 0 && at < text + n; at += strlen(at) + 1) {
			slot = strncmp(at, "PCI_SLOT_NAME=", 14) ? slot : at + 14;
			driver = strncmp(at, "DRIVER=", 7) ? driver : at + 7;
			bus = strncmp(at, "SUBSYSTEM=", 10) ? bus : at + 10;
			action = strncmp(at, "ACTION=", 7) ? action : at + 7;
			seq = strncmp(at, "SEQNUM=", 7) ? seq : at + 7;
		}
	} while (strcmp(bus, "pci"));
	if (from.nl_family != AF_NETLINK || from.nl_pid || from.nl_groups != 1 || !seq)
		printf("not the kernel's\n");
	else
		printf("%s %s %s\n", action, slot, driver);
}

static void status(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };

	if (ioctl(v.group, VFIO_GROUP_GET_STATUS, &st))
		answer(-1);
	else
		printf("%u\n", st.flags);
}

static void together(void)
{
	struct vfio_pci_hot_reset_info info = { .argsz = sizeof(info) };

	/* ENOSPC: how many there would be is told */
	if (ioctl(v.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info) && errno != ENOSPC)
		answer(-1);
	else
		printf("%u\n", info.count);
}

static void serve(char *line)
{
	unsigned n, value;
	char addr[64];

	if (sscanf(line, "open %u %63s", &n, addr) == 2)
		answer(take(n, addr));
	else if (sscanf(line, "again %63s", addr) == 1)
		answer(again(addr));
	else if (!strcmp(line, "listen"))
		answer(listen_to());
	else if (!strcmp(line, "event"))
		next_event();
	else if (!strcmp(line, "status"))
		status();
	else if (sscanf(line, "irq %u", &n) == 1 && n < 8)
		answer(irq(n));
	else if (sscanf(line, "hear %u", &n) == 1 && n < 8)
		printf("%" PRIu64 "\n", eventfd_wait(fds[n], 30000));
	else if (sscanf(line, "silent %u", &n) == 1 && n < 8)
		printf("%" PRIu64 "\n", eventfd_wait(fds[n], 0));
	else if (sscanf(line, "read %x", &n) == 1)
		read_bar(n);
	else if (sscanf(line, "write %x %x", &n, &value) == 2)
		write_bar(n, value);
	else if (sscanf(line, "config %x", &n) == 1)
		read_config(n);
	else if (sscanf(line, "set %x %x", &n, &value) == 2)
		write_config(n, value);
	else if (!strcmp(line, "reset"))
		answer(ioctl(v.device, VFIO_DEVICE_RESET));
	else if (!strcmp(line, "together"))
		together();
	else if (!strcmp(line, "close"))
		answer(let_go());
	else if (!strcmp(line, "leave"))
		answer((let_go(), vfio_close(&v), 0));
	else
		exit(2);
}

int main(void)
{
	char line[256];
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, "fork")) {
			serve(line);
			continue;
		}
		pid = fork();
		if (pid)
			return pid < 0 ? 1 : waitpid(pid, NULL, 0) != pid;
		puts("ok");
	}
	return 0;
}
