/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/host/config.c: config space and ROM of real devices that are assigned to a virtual machine
 * (uvfio/vmm.h), in a guest whose kernel has VFIO and an IOMMU: host.sh boots it, and says there
 * which devices are where. Arguments: names of cases.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "lib/cases.h"
#include "vmm/internal.h"

#define NVME	 "0000:03:00.0"
#define IGB	 "0000:04:00.0"
#define VF	 "0000:04:10.0"
#define LONE_EDU "0000:05:00.0"

/* ---- a guest with one device ---- */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;
static const char *name;

static void intx(void *ctx, struct uvfio_vm_device *d, unsigned pin, bool level)
{
}

static void msi(void *ctx, struct uvfio_vm_device *d, uint64_t address, uint32_t data)
{
}

static bool begin(const char *device, const char *options)
{
	static const struct uvfio_vm_irq_ops ops = { .intx = intx, .msi = msi };
	int rc;

	name = device;
	vm = uvfio_vm_new(NULL, NULL);
	CHECK(vm && uvfio_vm_use_irq_ops(vm, &ops, NULL) == 0);
	rc = uvfio_vm_assign(vm, device, options, &dev);
	if (rc)
		printf("     %s: %s\n", device, uvfio_vm_strerror(vm));
	CHECK(rc == 0);
	return rc == 0;
}

static void end(void)
{
	uvfio_vm_unassign(dev);
	dev = NULL;
	uvfio_vm_free(vm);
}

static uint32_t cfg(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(dev, at, size);
}

static void set(unsigned at, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(dev, at, size, value);
}

/* ---- what the host has ---- */

struct resource {
	uint64_t start, end, flags;
};

/* Read the lines of BARs and ROM of the device's file `resource`. */
static void resources(struct resource r[7])
{
	char path[128];
	FILE *file;

	memset(r, 0, 7 * sizeof(*r));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource", name);
	file = fopen(path, "r");
	CHECK(file);
	for (unsigned i = 0; file && i < 7; i++)
		CHECK(fscanf(file, "%" SCNx64 " %" SCNx64 " %" SCNx64, &r[i].start, &r[i].end,
			     &r[i].flags) == 3);
	if (file)
		fclose(file);
}

/* Read the device's config space past VFIO: how many bytes. */
static ssize_t host_config(uint8_t buf[PCI_CFG_EXP_SIZE])
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", name);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	n = pread(fd, buf, PCI_CFG_EXP_SIZE, 0);
	close(fd);
	return n;
}

/* Have the igb so many VFs. */
static void set_vfs(const char *n)
{
	int fd = open("/sys/bus/pci/devices/" IGB "/sriov_numvfs", O_WRONLY);

	CHECK(fd >= 0 && write(fd, n, 1) == 1);
	close(fd);
}

/* ---- the cases ---- */

/* Each byte in 1, 2 and 4; where it is not the copy's it is what the kernel answers (test 37) */
static void check_reads(void)
{
	for (unsigned at = 0; at < dev->config.size; at += 4) {
		uint32_t v = cfg(at, 4), emulated, kernel;

		memcpy(&emulated, dev->config.emulated + at, 4);
		CHECK(vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, at, &kernel, 4, false));
		CHECK(!((v ^ kernel) & ~emulated));
		for (unsigned i = 0; i < 4; i++)
			CHECK(cfg(at + i, 1) == (v >> 8 * i & 0xff));
		CHECK(cfg(at, 2) == (v & 0xffff) && cfg(at + 2, 2) == v >> 16);
	}
	CHECK(cfg(dev->config.size, 4) == UINT32_MAX);
}

/* No address of the host's anywhere (test 38); sizes by writing ones (test 24) */
static void check_bars(void)
{
	struct resource r[7];

	resources(r);
	for (unsigned i = 0; i < 7; i++) {
		unsigned at = i == 6 ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * i;
		uint64_t size = r[i].end ? r[i].end - r[i].start + 1 : 0, mask;
		struct uvfio_vm_bar bar;

		for (unsigned k = 0; r[i].start >= 0x100000 && k < dev->config.size; k += 4)
			CHECK((cfg(k, 4) & ~0xfu) != (uint32_t)r[i].start);
		CHECK(uvfio_vm_bar_info(dev, i, &bar) == 0);
		if (bar.is64 && i && !size)
			continue;
		set(at, 4, UINT32_MAX);
		mask = cfg(at, 4) & ~(i == 6 ? 0x7ffu : bar.io ? 3u : 15u);
		set(at, 4, 0);
		if (bar.is64) {
			set(at + 4, 4, UINT32_MAX);
			mask |= (uint64_t)cfg(at + 4, 4) << 32;
			set(at + 4, 4, 0);
		} else if (mask) {
			mask |= 0xffffffff00000000;
		}
		CHECK(-mask == bar.size);
		CHECK(bar.size == size || i == 6);
		i += bar.is64;
	}
}

/* All that the guest finds is there, and what it shall not find is not (test 41) */
static void check_chains(void)
{
	unsigned at, n = 0;

	for (at = cfg(PCI_CAPABILITY_LIST, 1); at && n < 50; at = cfg(at + 1, 1), n++)
		CHECK(cfg(at, 1) && cfg(at, 1) != 0xff);
	CHECK(n < 48);
	at = dev->config.size > PCI_CFG_SIZE && cfg(PCI_CFG_SIZE, 4) ? PCI_CFG_SIZE : 0;
	for (n = 0; at && n < 500; at = cfg(at, 4) >> 20, n++) {
		unsigned id = cfg(at, 4) & 0xffff;

		CHECK(id != PCI_EXT_CAP_ID_SRIOV && id != PCI_EXT_CAP_ID_ARI &&
		      id != PCI_EXT_CAP_ID_REBAR);
	}
	CHECK(n < 480);
}

static void looks(const char *device)
{
	if (!begin(device, NULL))
		return;
	check_reads();
	check_bars();
	check_chains();
	end();
}

static void config_edu(void)
{
	looks(LONE_EDU);
}
static void config_nvme(void)
{
	looks(NVME);
}
static void config_igb(void)
{
	looks(IGB);
}

/* A VF, with the token of its PF, which is open meanwhile */
static void config_vf(void)
{
	static const char token[] = "7d1bd3c3-6a3e-4a4b-a3f4-d1d2f3a4b5c6";
	static const uint8_t bytes[16] = { 0x7d, 0x1b, 0xd3, 0xc3, 0x6a, 0x3e, 0x4a, 0x4b,
					   0xa3, 0xf4, 0xd1, 0xd2, 0xf3, 0xa4, 0xb5, 0xc6 };
	char options[64];
	struct uvfio_vm *vm_of_pf;
	struct uvfio_vm_device *pf;

	if (!begin(IGB, NULL))
		return;
	vm_of_pf = vm;
	pf = dev;
	CHECK(vfio_device_set_vf_token(&pf->open, bytes) == 0);
	set_vfs("1");
	snprintf(options, sizeof(options), "vf_token=%s", token);
	if (begin(VF, options)) {
		/* the hardware has no ids there: the kernel has put them in */
		CHECK(cfg(PCI_VENDOR_ID, 4) == 0x10ca8086);
		check_reads();
		check_bars();
		check_chains();
		end();
	}
	set_vfs("0");
	uvfio_vm_unassign(pf);
	uvfio_vm_free(vm_of_pf);
}

/* An image of 512 bytes in a ROM of 4096, whose id is put right (test 36) */
static void rom(void)
{
	uint8_t sum = 0;

	if (!begin(LONE_EDU, NULL))
		return;
	set(PCI_ROM_ADDRESS, 4, UINT32_MAX);
	CHECK(cfg(PCI_ROM_ADDRESS, 4) == 0xfffff001);
	set(PCI_ROM_ADDRESS, 4, 0xfe000000 | PCI_ROM_ADDRESS_ENABLE);
	CHECK(uvfio_vm_bar_read(dev, UVFIO_VM_ROM, 0, 2) == 0xffff);
	CHECK(!dev->config.rom.tried);
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CHECK(uvfio_vm_bar_read(dev, UVFIO_VM_ROM, 0, 2) == 0xaa55);
	CHECK(uvfio_vm_bar_read(dev, UVFIO_VM_ROM, 0x1c, 4) == 0x52494350);
	CHECK(uvfio_vm_bar_read(dev, UVFIO_VM_ROM, 0x20, 4) == 0x11e81234);
	for (unsigned i = 0; i < 512; i++)
		sum = (uint8_t)(sum + uvfio_vm_bar_read(dev, UVFIO_VM_ROM, i, 1));
	CHECK(!sum);
	uvfio_vm_bar_write(dev, UVFIO_VM_ROM, 0, 4, 0);
	CHECK(uvfio_vm_bar_read(dev, UVFIO_VM_ROM, 0, 2) == 0xaa55);
	end();
}

/* The guest resets the function by config space (test 68); config is as at first (test 67) */
static void guest_flr(void)
{
	static uint8_t before[64];

	if (!begin(NVME, NULL))
		return;
	CHECK(dev->config.caps.exp_flr);
	for (unsigned i = 0; i < 64; i++)
		before[i] = (uint8_t)cfg(i, 1);
	set(PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	set(PCI_INTERRUPT_LINE, 1, 5);
	CHECK(dev->bars.bar[0].gpa == 0xd0000000);
	CHECK(uvfio_vm_bar_read(dev, 0, 0, 4) != UINT32_MAX);
	set(dev->config.caps.pcie + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	for (unsigned i = 0; i < 64; i++)
		CHECK(cfg(i, 1) == before[i]);
	CHECK(dev->bars.bar[0].gpa == UVFIO_VM_UNMAPPED);
	CHECK(uvfio_vm_bar_read(dev, 0, 0, 4) == UINT32_MAX);
	/* and it works */
	set(PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CHECK(uvfio_vm_bar_read(dev, 0, 0, 4) != UINT32_MAX);
	end();
}

/* A guest's writes of config space leave no trace in the host (test 71) */
static void left_as_it_was(void)
{
	static const char *const devices[] = { LONE_EDU, NVME, IGB };
	static uint8_t before[PCI_CFG_EXP_SIZE], after[PCI_CFG_EXP_SIZE];
	unsigned seed = 1;

	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		ssize_t n;

		name = devices[i];
		n = host_config(before);
		CHECK(n >= 64);
		if (!begin(devices[i], NULL))
			return;
		for (unsigned k = 0; k < 1000; k++) {
			unsigned size = 1u << (seed >> 9) % 3;

			seed = seed * 1103515245 + 12345;
			/* not of capabilities: among them is what resets, and sleeps */
			set((seed >> 16) % 0x40 & ~(size - 1), size, seed);
		}
		end();
		CHECK(host_config(after) == n);
		for (unsigned k = 0; k < 64; k++)
			if (before[k] != after[k])
				printf("     %s: 0x%x: 0x%x was 0x%x\n", name, k, after[k],
				       before[k]);
		CHECK(!memcmp(before, after, 64));
	}
}

static const struct named_case cases[] = {
	CASE(config_edu), CASE(config_nvme), CASE(config_igb),	   CASE(config_vf),
	CASE(rom),	  CASE(guest_flr),   CASE(left_as_it_was),
};

int main(int argc, char **argv)
{
	guard_install();
	log_set(2, LOG_NONE);
	return run_named(argc, argv, cases, ARRAY_SIZE(cases));
}
