/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/bind/client.c: what the kernel answers when a device that a program has open is reset by
 * sysfs (`client reset ADDRESS`), or taken away (`client leave ADDRESS`): one line for each answer,
 * the same on Linux and under uvfio. The device is igb, bound to vfio-pci. libc alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/vfio.h"

#define RDBAL0	0xc000u /* 82576 datasheet, 8.10.5 */
#define ADDRESS 0x12340000u
#define TOKEN	"6d69c3c2-8a3f-4a5c-9d20-1f2e3d4c5b6a"

static const char *device; /* its address */
static struct vfio v;
static int req = -1;

static const char *name(int rc)
{
	return rc < 0 ? strerrorname_np(errno) : "ok";
}

static const char *path_to(const char *addr, const char *file)
{
	static char path[4][160];
	static unsigned i;
	char *p = path[i++ % 4];

	snprintf(p, sizeof(path[0]), "/sys/bus/pci/devices/%s/%s", addr, file);
	return p;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), e;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

static const char *text_of(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static uint64_t region(unsigned index)
{
	return (uint64_t)index << 40;
}

static uint32_t get(uint64_t pos, unsigned size)
{
	uint32_t value = 0;

	if (pread(v.device, &value, size, (off_t)pos) != (ssize_t)size)
		return 0xdeadbeef;
	return value;
}

static void set(uint64_t pos, unsigned size, uint32_t value)
{
	if (pwrite(v.device, &value, size, (off_t)pos) != (ssize_t)size)
		printf("write at 0x%llx: %s\n", (unsigned long long)pos, strerrorname_np(errno));
}

#define CONFIG region(VFIO_PCI_CONFIG_REGION_INDEX)

static int take(const char *addr, const char *options)
{
	char group[64], text[128];

	if (vfio_group_path(addr, group, sizeof(group)))
		return -1;
	snprintf(text, sizeof(text), "%s%s", addr, options);
	if (vfio_open_device(&v, group, text))
		return -1;
	req = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return vfio_set_irqs(v.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			     VFIO_PCI_REQ_IRQ_INDEX, 0, 1, &req);
}

static void drop(void)
{
	vfio_close(&v);
	close(req);
	req = -1;
}

/* ---- resets ---- */

static void shown(const char *text)
{
	for (; *text; text++)
		printf(*text == '\n' ? "\\n" : *text == '\t' ? "\\t" : "%c", *text);
}

static void what_is_written(void)
{
	static const char *const resets[] = { "1", "1\n", "0x1", "0", "2", "-1", "x", " 1", "1 " };
	static const char *const methods[] = {
		"\n",
		" ",
		"pm",
		"pm flr",
		" flr  pm\n",
		"flr,pm",
		"bogus",
		"acpi",
		"cxl_bus",
		"af_flr",
		"default",
		"device_specific",
		"flr",
		"Default",
		"default ",
		"bus",
		"flr\n\n",
		"pm \t",
		"\t",
		"flr bogus",
		"flr\tpm",
		"pm\tpm",
		"\tpm ",
		"default\n",
		"default\n\n",
		"flr flr flr flr flr flr flr",
		"flr flr flr flr flr flr flr flr",
	};

	printf("methods at first: %s\n", text_of(path_to(device, "reset_method")));
	for (size_t i = 0; i < sizeof(resets) / sizeof(*resets); i++) {
		printf("reset '");
		shown(resets[i]);
		printf("': %s\n", name(put(path_to(device, "reset"), resets[i])));
	}
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		printf("reset_method '");
		shown(methods[i]);
		printf("': %s, ", name(put(path_to(device, "reset_method"), methods[i])));
		printf("'%s'\n", text_of(path_to(device, "reset_method")));
	}
	put(path_to(device, "reset_method"), "\n");
	printf("reset without a method: %s\n", name(put(path_to(device, "reset"), "1")));
	put(path_to(device, "reset_method"), "default");
}

static unsigned power_at(void)
{
	unsigned at = get(CONFIG + PCI_CAPABILITY_LIST, 1);

	while (at && get(CONFIG + at, 1) != PCI_CAP_ID_PM)
		at = get(CONFIG + at + 1, 1);
	return at + PCI_PM_CTRL;
}

static int device_reset(void)
{
	return ioctl(v.device, VFIO_DEVICE_RESET);
}

/* Write by a process of its own: -1 with its errno. */
static int put_by_other(const char *path, const char *text)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(put(path, text) ? errno : 0);
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static void what_it_had(const char *when)
{
	printf("%s: register 0x%x, COMMAND 0x%x, power %u, BAR0 %s\n", when, get(RDBAL0, 4),
	       get(CONFIG + PCI_COMMAND, 2), get(CONFIG + power_at(), 2) & PCI_PM_CTRL_STATE_MASK,
	       get(CONFIG + PCI_BASE_ADDRESS_0, 4) ? "kept" : "lost");
}

static void what_a_user_sees(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	static const struct {
		const char *who;
		int (*put)(const char *path, const char *text);
	} who[] = { { "another", put_by_other }, { "itself", put } };

	for (size_t i = 0; i < 2; i++) {
		printf("open: %s\n", name(take(device, "")));
		set(CONFIG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		set(RDBAL0, 4, ADDRESS);
		what_it_had("before");
		printf("reset by %s: %s\n", who[i].who,
		       name(who[i].put(path_to(device, "reset"), "1")));
		what_it_had("after");
		set(RDBAL0, 4, ADDRESS);
		printf("by flr: %s\n", name(who[i].put(path_to(device, "reset_method"), "flr")));
		printf("reset: %s\n", name(who[i].put(path_to(device, "reset"), "1")));
		what_it_had("after");
		set(RDBAL0, 4, ADDRESS);
		printf("VFIO_DEVICE_RESET: %s\n", name(device_reset()));
		what_it_had("after");
		set(CONFIG + power_at(), 2, 3);
		printf("asleep: power %u\n", get(CONFIG + power_at(), 2) & PCI_PM_CTRL_STATE_MASK);
		printf("reset: %s\n", name(who[i].put(path_to(device, "reset"), "1")));
		printf("awake: power %u\n", get(CONFIG + power_at(), 2) & PCI_PM_CTRL_STATE_MASK);
		put(path_to(device, "reset_method"), "\n");
		printf("without a method: reset %s, ",
		       name(who[i].put(path_to(device, "reset"), "1")));
		printf("VFIO_DEVICE_RESET %s\n", name(device_reset()));
		drop();
		printf("open: %s\n", name(take(device, "")));
		ioctl(v.device, VFIO_DEVICE_GET_INFO, &info);
		printf("can be reset: %s, VFIO_DEVICE_RESET %s\n",
		       info.flags & VFIO_DEVICE_FLAGS_RESET ? "yes" : "no", name(device_reset()));
		put(path_to(device, "reset_method"), "default");
		printf("all methods again: VFIO_DEVICE_RESET %s, ", name(device_reset()));
		set(CONFIG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		set(RDBAL0, 4, ADDRESS);
		printf("reset %s, ", name(who[i].put(path_to(device, "reset"), "1")));
		printf("register 0x%x\n", get(RDBAL0, 4));
		drop();
	}
	printf("open: %s\n", name(take(device, "")));
	ioctl(v.device, VFIO_DEVICE_GET_INFO, &info);
	printf("can be reset: %s\n", info.flags & VFIO_DEVICE_FLAGS_RESET ? "yes" : "no");
	drop();
}

static void what_vfs_have(void)
{
	char vf[64] = "";
	ssize_t n;

	printf("two VFs: %s\n", name(put(path_to(device, "sriov_numvfs"), "2")));
	n = readlink(path_to(device, "virtfn0"), vf, sizeof(vf) - 1);
	memmove(vf, n > 3 ? vf + 3 : "", n > 3 ? (size_t)n - 2 : 1);
	printf("a VF's methods: %s\n", text_of(path_to(vf, "reset_method")));
	printf("reset: %s, ", name(put(path_to(vf, "reset"), "1")));
	printf("bus: %s, ", name(put(path_to(vf, "reset_method"), "bus")));
	printf("none: %s, ", name(put(path_to(vf, "reset_method"), "\n")));
	printf("reset: %s\n", name(put(path_to(vf, "reset"), "1")));
	printf("the PF by bus alone: %s, ", name(put(path_to(device, "reset_method"), "bus")));
	printf("reset: %s\n", name(put(path_to(device, "reset"), "1")));
	printf("default: %s, ", name(put(path_to(device, "reset_method"), "default")));
	printf("%s\n", text_of(path_to(device, "reset_method")));
	printf("by all: %s, VFs %s\n", name(put(path_to(device, "reset"), "1")),
	       text_of(path_to(device, "sriov_numvfs")));
	put(path_to(device, "sriov_numvfs"), "0");
	put(path_to(device, "sriov_numvfs"), "2");
	printf("a VF that comes again: %s\n", text_of(path_to(vf, "reset_method")));
	put(path_to(device, "sriov_numvfs"), "0");
	put(path_to(device, "reset_method"), "default");
	printf("when they are gone: %s\n", text_of(path_to(device, "reset_method")));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		return 2;
	device = argv[2];
	if (!strcmp(argv[1], "reset")) {
		what_is_written();
		what_a_user_sees();
		what_vfs_have();
	}
	return 0;
}
