/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/come_back/program.c: a program that has the edu device behind a socket, and does what it is
 * told by lines of its input. It prints one line for each.
 *
 *	come_back ADDRESS
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vfio.h"

#define PAGE 4096u
#define BAR0 VFIO_REGION(VFIO_PCI_BAR0_REGION_INDEX)

static struct vfio v;
static volatile uint32_t *regs;
static void *memory;
static int err;
static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	signals++;
}

/* Say how a call ended. */
static void say(const char *what, long rc)
{
	printf("%s %s\n", what, rc < 0 ? strerrorname_np(errno) : "ok");
}

static void do_line(const char *word, unsigned long at, unsigned long value)
{
	uint32_t got = 0;
	eventfd_t n = 0;
	pid_t pid;

	if (!strcmp(word, "load")) {
		printf("%x\n", regs[at / 4]);
	} else if (!strcmp(word, "store")) {
		regs[at / 4] = (uint32_t)value;
		printf("stored\n");
	} else if (!strcmp(word, "read")) {
		say("read", pread(v.device, &got, 4, (off_t)(BAR0 + at)) - 4);
	} else if (!strcmp(word, "map")) {
		say("map", vfio_dma_map(v.container, memory, at, PAGE,
					VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
	} else if (!strcmp(word, "unmap")) {
		say("unmap", vfio_dma_unmap(v.container, at, PAGE, 0));
	} else if (!strcmp(word, "reset")) {
		say("reset", ioctl(v.device, VFIO_DEVICE_RESET));
	} else if (!strcmp(word, "err")) {
		printf("err %llu\n", eventfd_read(err, &n) ? 0ull : (unsigned long long)n);
	} else if (!strcmp(word, "handle")) {
		signal(SIGUSR1, on_signal);
		printf("handles\n");
	} else if (!strcmp(word, "signals")) {
		printf("signals %d\n", (int)signals);
	} else if (!strcmp(word, "fork")) {
		pid = fork();
		if (!pid)
			exit(0);
		say("child", waitpid(pid, NULL, 0) - pid);
	} else if (!strcmp(word, "close")) {
		vfio_close(&v);
		printf("closed\n");
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const uint32_t set = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	unsigned long at, value;
	char group[64], line[80], word[16];
	uint16_t command = 2;

	if (argc != 2 || vfio_group_path(argv[1], group, sizeof(group)) ||
	    vfio_open_device(&v, group, argv[1])) {
		printf("no device: %s\n", v.failed ? v.failed : "come_back ADDRESS");
		return 1;
	}
	err = eventfd(0, EFD_NONBLOCK);
	memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	regs = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, v.device, 0);
	if (memory == MAP_FAILED || regs == MAP_FAILED ||
	    pwrite(v.device, &command, 2, VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + 4) != 2 ||
	    vfio_set_irqs(v.device, set, VFIO_PCI_ERR_IRQ_INDEX, 0, 1, &err)) {
		printf("no device: %s\n", strerror(errno));
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		at = value = 0;
		if (sscanf(line, "%15s %lx %lx", word, &at, &value) >= 1)
			do_line(word, at, value);
	}
	return 0;
}
