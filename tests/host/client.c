/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/host/client.c: real devices by the provider of src/host/, in a guest whose kernel has VFIO
 * and an IOMMU: host.sh boots it, and says there which devices are where. Links with the archives,
 * and is at the waist: a fault there is the provider's. One argument: the name of one case.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "base/report.h"
#include "host/host.h"
#include "lib/cases.h"
#include "vfio/open.h"

#define EDU	 "0000:02:01.0" /* on a bus of PCI, with a network card as neighbour, one group */
#define EDU2	 "0000:02:02.0"
#define NVME	 "0000:03:00.0"
#define IGB	 "0000:04:00.0"
#define VF	 "0000:04:10.0"
#define LONE_EDU "0000:05:00.0" /* behind a port of its own */

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

/* QEMU's docs/specs/edu.rst */
enum {
	EDU_ID = 0,
	EDU_ALIVE = 4,
	EDU_FACTORIAL = 8,
	EDU_STATUS = 0x20,
	EDU_IRQ = 0x24,
	EDU_RAISE = 0x60,
	EDU_ACK = 0x64,
	EDU_SRC = 0x80,
	EDU_DST = 0x88,
	EDU_COUNT = 0x90,
	EDU_CMD = 0x98,
	EDU_BUFFER = 0x40000
};
#define EDU_ID_VALUE 0x010000edu

/* ---- what was said ---- */

static char lines[8192];

static void on_line(const struct report *r, void *arg)
{
	size_t len = strlen(lines);

	snprintf(lines + len, sizeof(lines) - len, "%s\n", r->line);
}
static struct report_subscriber subscriber = { .fn = on_line, .level = LOG_INFO };

static bool said(const char *text)
{
	bool found = strstr(lines, text);

	if (!found)
		printf("     said: %s\n", lines);
	*lines = '\0';
	return found;
}

/* ---- devices ---- */

struct device {
	struct host_device *h;
	struct vfio_open o;
};

/* The groups of the systems of a case, which live as long as it. */
static struct {
	struct vfio_system *of;
	struct iommu_group *ig;
	struct vfio_group *g;
} groups[16];
static unsigned num_groups;

static struct vfio_group *group_of(struct vfio_system *s, unsigned id)
{
	for (unsigned i = 0; i < num_groups; i++)
		if (groups[i].of == s && groups[i].ig->id == id)
			return groups[i].g;
	groups[num_groups].of = s;
	groups[num_groups].ig = iommu_group_new(id);
	CHECK(vfio_system_add_group(s, groups[num_groups].ig, &groups[num_groups].g) == 0);
	return groups[num_groups++].g;
}

/* Find a device, and have it in a group of @s that has the host's number. 0 or -errno. */
static int find(struct vfio_system *s, const char *spec, struct device *d)
{
	struct vfio_group *g;
	char *err = NULL;
	int rc;

	*d = (struct device){ 0 };
	rc = host_open(spec, &d->h, &err);
	if (rc) {
		on_line(&(struct report){ .line = err ? err : "" }, NULL);
		free(err);
		return rc;
	}
	g = group_of(s, host_group(d->h));
	CHECK(iommu_group_add(g->iommu, host_iommu(d->h)) == 0);
	CHECK(vfio_group_add_device(g, host_vdev(d->h)) == 0);
	vfio_open_init(&d->o, host_vdev(d->h));
	return 0;
}

/* Open it for an address space, which it is attached to. */
static int use(struct device *d, struct vfio_ioas *io)
{
	int rc;

	vfio_open_expect(&d->o, io);
	rc = vfio_open_bind(&d->o);
	if (rc)
		return rc;
	rc = vfio_device_attach(&d->o, io);
	if (rc)
		vfio_open_close(&d->o);
	return rc;
}

/* Close it; what its group is made of stays until the system is gone. */
static void forget(struct device *d)
{
	if (!d->h)
		return;
	vfio_open_close(&d->o);
	vfio_group_remove_device(host_vdev(d->h)->group, host_vdev(d->h));
	iommu_group_remove(host_iommu(d->h)->group, host_iommu(d->h));
	host_close(d->h);
	d->h = NULL;
}

static uint64_t reg(struct device *d, unsigned bar, uint64_t offset, unsigned size)
{
	uint64_t v = 0;

	CHECK(vfio_device_rw(&d->o, bar, offset, &v, size, false) == (ssize_t)size);
	return v;
}

static void set_reg(struct device *d, unsigned bar, uint64_t offset, unsigned size, uint64_t v)
{
	CHECK(vfio_device_rw(&d->o, bar, offset, &v, size, true) == (ssize_t)size);
}

/* Change bits of COMMAND. */
static void command(struct device *d, uint16_t clear, uint16_t set)
{
	uint64_t cmd = reg(d, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, 2);

	set_reg(d, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, 2, (cmd & ~clear) | set);
}

/* Map the whole of a BAR as a program would: the provider says of which file. */
static volatile uint32_t *map_bar(struct device *d, unsigned bar, size_t *size)
{
	struct vfio_region r;
	void *p;

	if (vfio_device_region(&d->o, bar, &r) || !r.num_areas ||
	    r.areas[0].kind != VFIO_AREA_DIRECT)
		return NULL;
	*size = r.areas[0].size;
	p = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, r.areas[0].fd,
		 (off_t)r.areas[0].fd_offset);
	return p == MAP_FAILED ? NULL : p;
}

static unsigned sysfs_number(const char *address, const char *file)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, file);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	close(fd);
	return (unsigned)strtoul(text, NULL, 0);
}

static int sysfs_write(const char *address, const char *file, const char *text)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/%s%s%s", address ? "devices/" : "",
		 address ? address : "", file);
	fd = open(path, O_WRONLY);
	n = fd < 0 ? -1 : write(fd, text, strlen(text));
	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -errno;
}

static int set_irq(struct device *d, uint32_t index, uint32_t flags, int32_t fd)
{
	const struct vfio_irq_set_args a = {
		.flags = flags, .index = index, .count = 1, .data = &fd
	};

	return vfio_device_set_irqs(&d->o, &a);
}

static int irq_off(struct device *d, uint32_t index)
{
	const struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, .index = index
	};

	return vfio_device_set_irqs(&d->o, &a);
}

#define TRIGGER (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

/* Return how often an eventfd is signalled within @ms. */
static uint64_t signals(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, ms) == 1 && read(fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	return n;
}

static char *memory(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 0, size);
	return p;
}

/* Have an edu copy @n bytes from memory at @iova into its buffer, or back. */
static void edu_dma(struct device *d, uint64_t iova, unsigned n, bool to_memory)
{
	set_reg(d, 0, EDU_SRC, 8, to_memory ? EDU_BUFFER : iova);
	set_reg(d, 0, EDU_DST, 8, to_memory ? iova : EDU_BUFFER);
	set_reg(d, 0, EDU_COUNT, 8, n);
	set_reg(d, 0, EDU_CMD, 8, to_memory ? 3 : 1);
	for (unsigned i = 0; i < 1000 && reg(d, 0, EDU_CMD, 8) & 1; i++)
		usleep(10000);
}

/* True if an edu brings memory at @from to @to. */
static bool edu_copies(struct device *d, char *mem, uint64_t from, uint64_t to)
{
	memset(mem + from, 0x5a, 64);
	memset(mem + to, 0, 64);
	edu_dma(d, from, 64, false);
	edu_dma(d, to, 64, true);
	return !memcmp(mem + to, mem + from, 64);
}

static bool is_edu(struct device *d)
{
	return reg(d, 0, EDU_ID, 4) == EDU_ID_VALUE;
}

/* ---- a system for each case ---- */

static struct vfio_system *sys;
static struct vfio_ioas *io;
static struct device edu, edu2, nvme, igb, vf, lone;

static void begin(void)
{
	*lines = '\0';
	sys = vfio_system_new(NULL, NULL);
	io = vfio_ioas_new(sys, true);
}

static void end(void)
{
	struct device *all[] = { &edu, &edu2, &nvme, &igb, &vf, &lone };

	for (unsigned i = 0; i < 6; i++)
		forget(all[i]);
	vfio_ioas_put(io);
	vfio_system_free(sys);
	while (num_groups)
		iommu_group_free(groups[--num_groups].ig);
}

/* ---- cases ---- */

/* A device by address; config reads the ids (test 1) */
static void by_address(void)
{
	static const char *const all[] = { EDU, NVME, IGB, LONE_EDU };
	struct device *d[] = { &edu, &nvme, &igb, &lone };
	struct vfio_region r;
	struct host_bar bar;

	begin();
	for (unsigned i = 0; i < 4; i++) {
		CHECK(find(sys, all[i], d[i]) == 0);
		CHECK(use(d[i], io) == 0);
		CHECK(reg(d[i], 7, PCI_VENDOR_ID, 2) == sysfs_number(all[i], "vendor"));
		CHECK(reg(d[i], 7, PCI_DEVICE_ID, 2) == sysfs_number(all[i], "device"));
		CHECK(host_config_read(d[i]->h, PCI_DEVICE_ID, 2) ==
		      sysfs_number(all[i], "device"));
		for (unsigned k = 0; k < 6; k++) {
			CHECK(host_bar(d[i]->h, k, &bar) == 0);
			CHECK(vfio_device_region(&d[i]->o, k, &r) == 0);
			CHECK(r.size == bar.size);
		}
	}
	end();
}

/* Registers by a mapping of the BAR, and by reads and writes of the region */
static void registers(void)
{
	volatile uint32_t *bar;
	size_t size = 0;
	uint64_t v;

	begin();
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	command(&edu, 0, PCI_COMMAND_MEMORY);
	bar = map_bar(&edu, 0, &size);
	CHECK(bar);
	CHECK(bar[EDU_ID / 4] == EDU_ID_VALUE);
	CHECK(is_edu(&edu));
	bar[EDU_ALIVE / 4] = 0x12345678;
	CHECK(reg(&edu, 0, EDU_ALIVE, 4) == 0xedcba987);
	set_reg(&edu, 0, EDU_FACTORIAL, 4, 10);
	for (unsigned i = 0; i < 1000 && bar[EDU_STATUS / 4] & 1; i++)
		usleep(1000);
	CHECK(bar[EDU_FACTORIAL / 4] == 3628800);
	CHECK(vfio_device_mmio(&edu.o, 0, EDU_ID, 4, &v, false) == 0 &&
	      (uint32_t)v == EDU_ID_VALUE);
	/* decoding off: reads fail */
	munmap((void *)bar, size); /* which would keep the device open */
	command(&edu, PCI_COMMAND_MEMORY, 0);
	CHECK(vfio_device_rw(&edu.o, 0, EDU_ID, &v, 4, false) == -EIO);
	CHECK(vfio_device_mmio(&edu.o, 0, EDU_ID, 4, &v, false) == -EIO);
	end();
}

/* INTx, masked by the kernel at each event, and MSI */
static void interrupts(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	begin();
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	command(&edu, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(set_irq(&edu, VFIO_PCI_INTX_IRQ_INDEX, TRIGGER, fd) == 0);
	set_reg(&edu, 0, EDU_RAISE, 4, 1);
	CHECK(signals(fd, 10000) == 1);
	CHECK(signals(fd, 50) == 0); /* it is masked */
	CHECK(set_irq(&edu, VFIO_PCI_INTX_IRQ_INDEX,
		      VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0) == 0);
	CHECK(signals(fd, 10000) == 1); /* it is asserted still */
	set_reg(&edu, 0, EDU_ACK, 4, 1);
	CHECK(set_irq(&edu, VFIO_PCI_INTX_IRQ_INDEX,
		      VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0) == 0);
	CHECK(signals(fd, 50) == 0);
	/* one kind at a time: the kernel's error */
	CHECK(set_irq(&edu, VFIO_PCI_MSI_IRQ_INDEX, TRIGGER, fd) == -EINVAL);
	CHECK(irq_off(&edu, VFIO_PCI_INTX_IRQ_INDEX) == 0);
	CHECK(set_irq(&edu, VFIO_PCI_MSI_IRQ_INDEX, TRIGGER, fd) == 0);
	set_reg(&edu, 0, EDU_RAISE, 4, 1);
	CHECK(signals(fd, 10000) == 1);
	set_reg(&edu, 0, EDU_ACK, 4, 1);
	CHECK(irq_off(&edu, VFIO_PCI_MSI_IRQ_INDEX) == 0);
	CHECK(irq_off(&edu, VFIO_PCI_MSI_IRQ_INDEX) == -EINVAL);
	/* no eventfd, and no such vector */
	CHECK(set_irq(&edu, VFIO_PCI_INTX_IRQ_INDEX, TRIGGER, open("/dev/null", O_RDONLY)) < 0);
	end();
	close(fd);
}

/* DMA reaches what is mapped, and nothing else; a second device sees all of it (tests 9, 14, 20) */
static void dma(void)
{
	char *mem = memory(16 * K);
	uint64_t bytes;

	begin();
	CHECK(vfio_ioas_map(io, 0, (uintptr_t)mem, 8 * K, RW) == 0);
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	command(&edu, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(edu_copies(&edu, mem, 0, K));
	CHECK(!edu_copies(&edu, mem, 0, 8 * K));
	CHECK(vfio_ioas_map(io, 8 * K, (uintptr_t)mem + 8 * K, K, RW) == 0);
	CHECK(edu_copies(&edu, mem, 0, 8 * K));
	/* for reads alone: a write does not come (test 10) */
	CHECK(vfio_ioas_map(io, 9 * K, (uintptr_t)mem + 9 * K, K, IOMMU_READ) == 0);
	CHECK(edu_copies(&edu, mem, 9 * K, K));
	CHECK(!edu_copies(&edu, mem, K, 9 * K));
	/* in another group, and the same container */
	CHECK(find(sys, LONE_EDU, &lone) == 0 && use(&lone, io) == 0);
	command(&lone, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(edu_copies(&lone, mem, K, 8 * K));
	CHECK(vfio_ioas_map(io, 10 * K, (uintptr_t)mem + 10 * K, K, RW) == 0);
	CHECK(edu_copies(&lone, mem, K, 10 * K));
	CHECK(edu_copies(&edu, mem, K, 10 * K));
	CHECK(vfio_ioas_unmap(io, 10 * K, K, &bytes) == 0 && bytes == K);
	CHECK(!edu_copies(&lone, mem, K, 10 * K));
	CHECK(!edu_copies(&edu, mem, K, 10 * K));
	/* who is closed is out of it, and the other one is not */
	forget(&edu);
	CHECK(edu_copies(&lone, mem, K, 2 * K));
	end();
	munmap(mem, 16 * K);
}

/* In two address spaces, each reaches its own */
static void two_spaces(void)
{
	struct vfio_ioas *other;
	char *mem = memory(4 * K), *mem2 = memory(4 * K);

	begin();
	other = vfio_ioas_new(sys, true);
	CHECK(vfio_ioas_map(io, 0, (uintptr_t)mem, 4 * K, RW) == 0);
	CHECK(vfio_ioas_map(other, 0, (uintptr_t)mem2, 4 * K, RW) == 0);
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	CHECK(find(sys, LONE_EDU, &lone) == 0 && use(&lone, other) == 0);
	command(&edu, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	command(&lone, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(edu_copies(&edu, mem, 0, K));
	CHECK(edu_copies(&lone, mem2, 0, K));
	CHECK(!edu_copies(&edu, mem2, 0, K));
	/* what was mapped by another way is not: the two never mix */
	vfio_device_detach(&lone.o);
	CHECK(!edu_copies(&lone, mem2, 0, K));
	CHECK(vfio_device_attach(&lone.o, io) == 0);
	CHECK(edu_copies(&lone, mem, 0, 2 * K));
	forget(&lone);
	vfio_ioas_put(other);
	end();
	munmap(mem, 4 * K);
	munmap(mem2, 4 * K);
}

/* A device reads a register of another one, whose BAR the program has mapped (test 21) */
static void peer(void)
{
	volatile uint32_t *bar;
	char *mem = memory(K);
	size_t size = 0;
	uint64_t bytes;

	begin();
	CHECK(vfio_ioas_map(io, 0, (uintptr_t)mem, K, RW) == 0);
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	CHECK(find(sys, LONE_EDU, &lone) == 0 && use(&lone, io) == 0);
	command(&edu, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	command(&lone, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	bar = map_bar(&lone, 0, &size);
	CHECK(bar);
	CHECK(vfio_ioas_map(io, 0x800000, (uintptr_t)bar, size, RW) == 0);
	edu_dma(&edu, 0x800000 + EDU_ID, 4, false);
	edu_dma(&edu, 0, 4, true);
	CHECK(*(uint32_t *)mem == EDU_ID_VALUE);
	/* rights that the mapping has not */
	CHECK(!mprotect((void *)bar, K, PROT_READ));
	CHECK(vfio_ioas_map(io, 0x1000000, (uintptr_t)bar, K, RW) == -EFAULT);
	CHECK(vfio_ioas_unmap(io, 0x800000, size, &bytes) == 0);
	munmap((void *)bar, size);
	end();
	munmap(mem, K);
}

/* An admin command of an NVMe controller: 64-bit registers, doorbells, queues by DMA, MSI-X */
static void identify(void)
{
	int32_t fd = eventfd(0, EFD_CLOEXEC);
	const struct vfio_irq_set_args a = {
		.flags = TRIGGER, .index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 1, .data = &fd
	};
	char *mem = memory(4 * K); /* submission queue, completion queue, data */
	uint32_t *cmd = (uint32_t *)mem, *done = (uint32_t *)(mem + K);
	unsigned i;

	begin();
	CHECK(vfio_ioas_map(io, 0x100000, (uintptr_t)mem, 4 * K, RW) == 0);
	CHECK(find(sys, NVME, &nvme) == 0 && use(&nvme, io) == 0);
	command(&nvme, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(vfio_device_set_irqs(&nvme.o, &a) == 0);
	/* NVMe 1.4, 7.6.1 */
	set_reg(&nvme, 0, 0x24, 4, 15 << 16 | 15); /* AQA */
	set_reg(&nvme, 0, 0x28, 8, 0x100000);	   /* ASQ */
	set_reg(&nvme, 0, 0x30, 8, 0x101000);	   /* ACQ */
	set_reg(&nvme, 0, 0x14, 4, 4 << 20 | 6 << 16 | 1);
	for (i = 0; i < 1000 && !(reg(&nvme, 0, 0x1c, 4) & 1); i++)
		usleep(1000);
	CHECK(i < 1000);
	cmd[0] = 6 | 0x77 << 16; /* Identify */
	cmd[6] = 0x102000;
	cmd[10] = 1; /* of the controller */
	set_reg(&nvme, 0, 0x1000, 4, 1);
	CHECK(signals(fd, 20000) == 1);
	CHECK((done[3] & 0xffff) == 0x77 && done[3] >> 16 == 1);
	CHECK(*(uint16_t *)(mem + 2 * K) == 0x1b36 && !strncmp(mem + 2 * K + 4, "tests", 5));
	end();
	close(fd);
	munmap(mem, 4 * K);
}

/* The same device twice: EBUSY in another system, and in another process (test 2) */
static void busy(void)
{
	struct vfio_system *other;
	struct device again;
	int status = 0;

	begin();
	other = vfio_system_new(NULL, NULL);
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	CHECK(find(other, EDU, &again) == 0);
	CHECK(vfio_open_bind(&again.o) == -EBUSY);
	CHECK(said("of the host is in use: somebody else has"));
	fflush(stdout);
	if (!fork()) {
		/* a child has its parent's descriptors, and gives them up */
		host_abandon(edu.h);
		_exit(vfio_open_bind(&again.o) == -EBUSY ? 0 : 1);
	}
	CHECK(wait(&status) > 0 && !status);
	vfio_open_close(&edu.o);
	CHECK(vfio_open_bind(&again.o) == 0);
	vfio_open_close(&again.o);
	forget(&again);
	vfio_system_free(other);
	end();
}

/* Unknown address ENODEV; not bound to vfio-pci: the sentence names the driver (test 3) */
static void not_bound(void)
{
	begin();
	CHECK(find(sys, "0000:1f:00.0", &edu) == -ENODEV);
	CHECK(said("the host has no PCI device 0000:1f:00.0"));
	CHECK(find(sys, EDU2, &edu2) == -ENODEV);
	CHECK(said(EDU2 " is bound to e1000 in the host"));
	end();
}

/* A sibling that a driver of the host has: EPERM and its name (test 4) */
static void not_viable(void)
{
	begin();
	CHECK(find(sys, EDU, &edu) == 0);
	CHECK(use(&edu, io) == -EPERM);
	CHECK(said("not viable: bound to a driver of the host: " EDU2 " to e1000"));
	end();
}

/* Two devices of a group: one group's file; the first goes, the second works (test 5) */
static void a_group(void)
{
	char *mem = memory(4 * K);

	begin();
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	CHECK(find(sys, EDU2, &edu2) == 0);
	CHECK(host_group(edu.h) == host_group(edu2.h));
	CHECK(use(&edu2, io) == 0);
	CHECK(reg(&edu2, 7, PCI_VENDOR_ID, 2) == 0x8086);
	CHECK(vfio_ioas_map(io, 0, (uintptr_t)mem, 4 * K, RW) == 0);
	forget(&edu2);
	command(&edu, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(edu_copies(&edu, mem, 0, K));
	end();
	munmap(mem, 4 * K);
}

/* A VF takes its PF's token, no other, and not none (test 8) */
static void tokens(void)
{
	uint8_t uuid[16] = { 1, 2, 3 }, other[16] = { 3, 2, 1 };

	begin();
	CHECK(find(sys, IGB, &igb) == 0 && use(&igb, io) == 0);
	CHECK(vfio_device_has_vf_token(&igb.o));
	CHECK(vfio_device_set_vf_token(&igb.o, uuid) == 0);
	CHECK(sysfs_write(IGB, "/sriov_numvfs", "1") == 0);
	CHECK(find(sys, VF, &vf) == 0);
	CHECK(use(&vf, io) == -EACCES);
	CHECK(said("VF token"));
	host_set_token(vf.h, other);
	CHECK(use(&vf, io) == -EACCES);
	host_set_token(vf.h, uuid);
	CHECK(use(&vf, io) == 0);
	CHECK(!vfio_device_has_vf_token(&vf.o));
	/* a VF's own ids read as ones; the kernel shows a user what they are */
	CHECK(reg(&vf, 7, PCI_VENDOR_ID, 2) == 0x8086);
	CHECK(reg(&vf, 7, PCI_DEVICE_ID, 2) == 0x10ca);
	forget(&vf);
	CHECK(sysfs_write(IGB, "/sriov_numvfs", "0") == 0);
	end();
}

/* This IOMMU's ranges, page sizes, mappings; outside of them EINVAL (test 16) */
static void ranges(void)
{
	struct vfio_ioas_limits l;
	char *mem = memory(K);

	begin();
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	vfio_ioas_limits(io, &l);
	CHECK(l.num_ranges == 2);
	CHECK(l.ranges[0].start == 0 && l.ranges[0].end == 0xfedfffff);
	CHECK(l.ranges[1].start == 0xfef00000 && l.ranges[1].end == (1ull << 39) - 1);
	CHECK(l.pgsizes & K);
	CHECK(l.avail == 65535);
	CHECK(vfio_ioas_map(io, 0, (uintptr_t)mem, K, RW) == 0);
	vfio_ioas_limits(io, &l);
	CHECK(l.avail == 65534);
	CHECK(vfio_ioas_map(io, 1ull << 39, (uintptr_t)mem, K, RW) == -EINVAL);
	CHECK(said("0x0-0xfedfffff, 0xfef00000-0x7fffffffff"));
	vfio_open_close(&edu.o);
	/* memory was there first: then the device does not come */
	CHECK(vfio_ioas_map(io, 1ull << 39, (uintptr_t)mem, K, RW) == 0);
	CHECK(use(&edu, io) == -EINVAL);
	CHECK(said("Its ranges are 0x0-0xfedfffff, 0xfef00000-0x7fffffffff"));
	end();
	munmap(mem, K);
}

/* A user who may not lock so much: ENOMEM, and the sentence has the amount (test 17) */
static void memlock(void)
{
	struct rlimit rl = { 64 * K, 64 * K };
	char path[64];
	int status = 1;

	begin();
	CHECK(find(sys, EDU, &edu) == 0);
	snprintf(path, sizeof(path), "/dev/vfio/%u", host_group(edu.h));
	fflush(stdout);
	if (!fork()) {
		setrlimit(RLIMIT_MEMLOCK, &rl);
		CHECK(setuid(1000) == 0);
		CHECK(use(&edu, io) == -EACCES);
		CHECK(said("It must be yours"));
		_exit(case_failed);
	}
	CHECK(wait(&status) > 0 && !status);
	CHECK(chown(path, 1000, 1000) == 0);
	if (!fork()) {
		char *mem = memory(128 * K);

		setrlimit(RLIMIT_MEMLOCK, &rl);
		CHECK(setuid(1000) == 0);
		CHECK(use(&edu, io) == 0);
		CHECK(vfio_ioas_map(io, 0, (uintptr_t)mem, 32 * K, RW) == 0);
		CHECK(vfio_ioas_map(io, 32 * K, (uintptr_t)mem, 64 * K, RW) == -ENOMEM);
		CHECK(said(
			"needs a RLIMIT_MEMLOCK of at least 393216 bytes (131072 are mapped); it "
			"is 262144"));
		CHECK(vfio_ioas_map(io, 32 * K, (uintptr_t)mem, 32 * K, RW) == 0);
		_exit(case_failed);
	}
	CHECK(wait(&status) > 0 && !status);
	CHECK(chown(path, 0, 0) == 0);
	end();
}

/* The file of a group that somebody else opened (section "descriptors") */
static void given(void)
{
	char path[64], spec[64];
	int fd;

	begin();
	CHECK(find(sys, LONE_EDU, &lone) == 0);
	snprintf(path, sizeof(path), "/dev/vfio/%u", host_group(lone.h));
	forget(&lone);
	fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	snprintf(spec, sizeof(spec), "fd:%d,%s", fd, LONE_EDU);
	CHECK(find(sys, spec, &lone) == 0);
	close(fd);
	CHECK(use(&lone, io) == 0);
	command(&lone, 0, PCI_COMMAND_MEMORY);
	CHECK(is_edu(&lone));
	end();
}

/* By its user, by the host, and together with its bus (test 69) */
static void resets(void)
{
	struct vfio_place at[8];
	int n, found = 0;

	begin();
	CHECK(find(sys, LONE_EDU, &lone) == 0 && use(&lone, io) == 0);
	command(&lone, 0, PCI_COMMAND_MEMORY);
	set_reg(&lone, 0, EDU_ALIVE, 4, 0);
	CHECK(reg(&lone, 0, EDU_ALIVE, 4) == UINT32_MAX);
	CHECK(lone.o.dev->flags & VFIO_DEVICE_FLAGS_RESET);
	CHECK(vfio_device_reset(&lone.o) == 0);
	CHECK(is_edu(&lone)); /* COMMAND is as it was */
	CHECK(vfio_device_host_reset(host_vdev(lone.h)) == 0);
	CHECK(is_edu(&lone));
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	n = vfio_device_slot(&edu.o, at, 8);
	CHECK(n >= 2 && n <= 8);
	for (int i = 0; i < n; i++)
		found += at[i].dev == host_vdev(edu.h);
	CHECK(found == 1);
	CHECK(at[0].group == host_vdev(edu.h)->group && at[1].group == at[0].group);
	CHECK(vfio_device_slot_reset(&edu.o) == 0);
	command(&edu, 0, PCI_COMMAND_MEMORY);
	CHECK(is_edu(&edu));
	end();
}

/* Whoever takes the device away asks its user by REQ, and waits for the close (test 65) */
static void removal(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), status = 1;

	begin();
	CHECK(find(sys, LONE_EDU, &lone) == 0 && use(&lone, io) == 0);
	CHECK(set_irq(&lone, VFIO_PCI_REQ_IRQ_INDEX, TRIGGER, fd) == 0);
	host_vdev(lone.h)->ops->request(host_vdev(lone.h), 0);
	CHECK(signals(fd, 5000) == 1);
	fflush(stdout);
	if (!fork()) {
		host_abandon(lone.h);
		_exit(sysfs_write(NULL, "drivers/vfio-pci/unbind", LONE_EDU) ? 1 : 0);
	}
	CHECK(signals(fd, 20000) >= 1);
	vfio_open_close(&lone.o);
	CHECK(wait(&status) > 0 && !status);
	CHECK(use(&lone, io) == -ENODEV || said("vfio"));
	CHECK(sysfs_write(NULL, "drivers/vfio-pci/bind", LONE_EDU) == 0);
	CHECK(use(&lone, io) == 0);
	end();
	close(fd);
}

/* Features of this kernel: low power of a device with power management, an ioeventfd */
static void features(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	begin();
	CHECK(find(sys, NVME, &nvme) == 0 && use(&nvme, io) == 0);
	CHECK(vfio_device_has_low_power(&nvme.o));
	CHECK(vfio_device_low_power(&nvme.o, true, -1) == 0);
	CHECK(vfio_device_low_power(&nvme.o, true, -1) == -EINVAL);
	CHECK(vfio_device_low_power(&nvme.o, false, -1) == 0);
	CHECK(!vfio_device_migrate(&nvme.o));
	CHECK(find(sys, EDU, &edu) == 0 && use(&edu, io) == 0);
	command(&edu, 0, PCI_COMMAND_MEMORY);
	CHECK(vfio_device_ioeventfd(&edu.o, 4, VFIO_REGION_OFFSET(0) + EDU_ALIVE, 0xff00ff00, fd) ==
	      0);
	CHECK(eventfd_write(fd, 1) == 0);
	for (unsigned i = 0; i < 1000 && reg(&edu, 0, EDU_ALIVE, 4) != 0x00ff00ff; i++)
		usleep(10000);
	CHECK(reg(&edu, 0, EDU_ALIVE, 4) == 0x00ff00ff);
	CHECK(vfio_device_ioeventfd(&edu.o, 4, VFIO_REGION_OFFSET(0) + EDU_ALIVE, 0xff00ff00, -1) ==
	      0);
	CHECK(vfio_device_ioeventfd(&edu.o, 4, VFIO_REGION_OFFSET(7), 0, fd) == -EINVAL);
	end();
	close(fd);
}

static const struct named_case cases[] = {
	CASE(by_address), CASE(registers), CASE(interrupts), CASE(dma),	      CASE(two_spaces),
	CASE(peer),	  CASE(identify),  CASE(busy),	     CASE(not_bound), CASE(not_viable),
	CASE(a_group),	  CASE(tokens),	   CASE(ranges),     CASE(memlock),   CASE(given),
	CASE(resets),	  CASE(removal),   CASE(features),
};

int main(int argc, char **argv)
{
	guard_install();
	log_set(2, LOG_NONE);
	report_subscribe(&subscriber);
	return run_named(argc, argv, cases, ARRAY_SIZE(cases));
}
