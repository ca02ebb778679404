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
#include <sys/stat.h>
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

/* ---- taken away while it is open ---- */

#define DRIVER "/sys/bus/pci/drivers/vfio-pci/"

/* A process that writes when it is told to, and knows nothing of what is open here. */
struct writer {
	pid_t pid;
	int order;
};

struct order {
	char path[160], text[64];
};

static struct writer writer(void)
{
	struct writer w;
	struct order o;
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		exit(3);
	w.pid = fork();
	w.order = p[1];
	if (!w.pid) {
		close(p[1]);
		if (read(p[0], &o, sizeof(o)) != sizeof(o))
			_exit(0);
		_exit(put(o.path, o.text) ? errno : 0);
	}
	close(p[0]);
	return w;
}

static void tell(struct writer *w, const char *path, const char *text)
{
	struct order o = { 0 };

	snprintf(o.path, sizeof(o.path), "%s", path);
	snprintf(o.text, sizeof(o.text), "%s", text);
	if (write(w->order, &o, sizeof(o)) != sizeof(o))
		puts("the writer is gone");
	close(w->order);
}

/* Look for a while whether it is still there. */
static const char *waits(const struct writer *w)
{
	usleep(300000);
	return waitpid(w->pid, NULL, WNOHANG) ? "no" : "yes";
}

static const char *ends(const struct writer *w)
{
	int status = 0;

	waitpid(w->pid, &status, 0);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGINT ? "ended by SIGINT" : "ended by a signal";
	return WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok";
}

static const char *is_there(const char *path)
{
	return access(path, F_OK) ? "no" : "yes";
}

static const char *asked(int fd)
{
	return eventfd_wait(fd, 60000) ? "yes" : "no";
}

static void what_is_shown(const char *addr)
{
	char name_of[64], node[96] = "no";
	struct stat st;

	snprintf(name_of, sizeof(name_of), DRIVER "%s", addr);
	printf("shown: device %s, driver %s, of the driver %s, in uevent %s, vfio-dev %s, ",
	       is_there(path_to(addr, "vendor")), is_there(path_to(addr, "driver")),
	       is_there(name_of),
	       strstr(text_of(path_to(addr, "uevent")), "DRIVER=") ? "yes" : "no",
	       is_there(path_to(addr, "vfio-dev/.")));
	if (vfio_group_path(addr, node, sizeof(node)))
		strcpy(node, "/");
	printf("group %s\n", node[1] ? !stat(node, &st) ? "yes" : "no" : "none");
}

static void unbind_waits(void)
{
	struct writer unbinds = writer(), binds = writer();
	char group[64];

	printf("open: %s\n", name(take(device, "")));
	printf("cdev: %s\n", is_there("/dev/vfio/devices/vfio0"));
	tell(&unbinds, DRIVER "unbind", device);
	printf("asked: %s\n", asked(req));
	what_is_shown(device);
	printf("cdev: %s\n", is_there("/dev/vfio/devices/vfio0"));
	printf("open once more: %s\n", name(ioctl(v.group, VFIO_GROUP_GET_DEVICE_FD, device)));
	set(CONFIG + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	set(RDBAL0, 4, ADDRESS);
	printf("it works: %s\n", get(RDBAL0, 4) == ADDRESS ? "yes" : "no");
	printf("drivers_probe: %s, ", name(put("/sys/bus/pci/drivers_probe", device)));
	printf("driver %s\n", is_there(path_to(device, "driver")));
	kill(unbinds.pid, SIGINT);
	printf("SIGINT, and the writer waits: %s\n", waits(&unbinds));
	tell(&binds, DRIVER "bind", device);
	printf("who binds waits, too: %s\n", waits(&binds));
	printf("asked again: %s\n", asked(req));
	drop();
	printf("unbind: %s\n", ends(&unbinds));
	printf("bind: %s\n", ends(&binds));
	what_is_shown(device);
	printf("cdev: %s\n", is_there("/dev/vfio/devices/vfio0"));
	printf("open: %s\n", name(take(device, "")));
	drop();

	/* without anybody who could be asked for it */
	unbinds = writer();
	vfio_group_path(device, group, sizeof(group));
	printf("open without REQ: %s\n", name(vfio_open_device(&v, group, device)));
	tell(&unbinds, DRIVER "unbind", device);
	printf("unbind waits: %s\n", waits(&unbinds));
	vfio_close(&v);
	printf("unbind: %s\n", ends(&unbinds));
	what_is_shown(device);
	printf("bind: %s\n", name(put(DRIVER "bind", device)));
}

static void *unbind_here(void *arg)
{
	return (void *)name(put(DRIVER "unbind", device));
}

static void unbind_by_itself(void)
{
	void *result = "";
	pthread_t thread;

	printf("open: %s\n", name(take(device, "")));
	pthread_create(&thread, NULL, unbind_here, NULL);
	printf("asked: %s\n", asked(req));
	drop();
	pthread_join(thread, &result);
	printf("unbind by a thread of the user: %s\n", (char *)result);
	printf("bind: %s, ", name(put(DRIVER "bind", device)));
	printf("open: %s\n", name(take(device, "")));
	drop();
}

static void remove_waits(void)
{
	struct writer removes = writer();

	printf("open: %s\n", name(take(device, "")));
	tell(&removes, path_to(device, "remove"), "1");
	printf("asked: %s\n", asked(req));
	what_is_shown(device);
	printf("remove once more: %s\n", name(put(path_to(device, "remove"), "1")));
	drop();
	printf("remove: %s\n", ends(&removes));
	what_is_shown(device);
	printf("rescan: %s\n", name(put("/sys/bus/pci/rescan", "1")));
	what_is_shown(device);
	put(path_to(device, "driver_override"), "vfio-pci");
	printf("drivers_probe: %s\n", name(put("/sys/bus/pci/drivers_probe", device)));
	printf("open: %s\n", name(take(device, "")));
	drop();
}

/* Enable two VFs and open the first one, with its PF: the PF, in @pf, with its REQ. */
static void take_vf(struct vfio *pf, int *pf_req, char vf[64])
{
	ssize_t n;

	put(path_to(device, "sriov_numvfs"), "2");
	n = readlink(path_to(device, "virtfn0"), vf, 63);
	vf[n > 0 ? n : 0] = '\0';
	memmove(vf, vf + 3, strlen(vf) - 2);
	printf("open PF: %s, ", name(take(device, " vf_token=" TOKEN)));
	*pf = v;
	*pf_req = req;
	printf("VF: %s\n", name(take(vf, " vf_token=" TOKEN)));
}

static void numvfs_waits(void)
{
	struct writer disables = writer();
	char vf[64], second[64] = "";
	struct vfio pf;
	int pf_req;

	take_vf(&pf, &pf_req, vf);
	if (readlink(path_to(device, "virtfn1"), second, sizeof(second) - 1) < 0)
		puts("no second VF");
	tell(&disables, path_to(device, "sriov_numvfs"), "0");
	printf("asked for the VF: %s\n", asked(req));
	printf("for the PF: %s\n", eventfd_wait(pf_req, 0) ? "yes" : "no");
	what_is_shown(vf);
	printf("its link: %s\n", is_there(path_to(device, "virtfn0")));
	what_is_shown(second + 3);
	printf("its link: %s\n", is_there(path_to(device, "virtfn1")));
	drop();
	printf("sriov_numvfs: %s, ", ends(&disables));
	printf("%s\n", text_of(path_to(device, "sriov_numvfs")));
	what_is_shown(vf);
	what_is_shown(second + 3);
	vfio_close(&pf);
	close(pf_req);
}

static void unbind_with_vfs(void)
{
	struct writer unbinds = writer();
	struct vfio pf, open_vf;
	int pf_req, vf_req;
	char vf[64];

	take_vf(&pf, &pf_req, vf);
	open_vf = v;
	vf_req = req;
	tell(&unbinds, DRIVER "unbind", device);
	printf("asked for the VF: %s\n", asked(vf_req));
	printf("for the PF: %s\n", eventfd_wait(pf_req, 0) ? "yes" : "no");
	vfio_close(&open_vf);
	close(vf_req);
	printf("now for the PF: %s\n", asked(pf_req));
	what_is_shown(vf);
	vfio_close(&pf);
	close(pf_req);
	printf("unbind: %s, ", ends(&unbinds));
	printf("sriov_numvfs %s\n", text_of(path_to(device, "sriov_numvfs")));
	what_is_shown(device);
	printf("bind: %s\n", name(put(DRIVER "bind", device)));
	printf("open: %s\n", name(take(device, "")));
	drop();
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
	} else {
		unbind_waits();
		unbind_by_itself();
		remove_waits();
		numvfs_waits();
		unbind_with_vfs();
	}
	return 0;
}
