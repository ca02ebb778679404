/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/config_models_test.c: config space of each model, as a guest has it, against what the device
 * has and what the bus sees; a guest that writes anything anywhere; and what is left of that when
 * the device was reset, or given back.
 */
#include <stdio.h>
#include <unistd.h>

#include "vmm/test_dma.h"

static const char *const specs[] = {
	"edu",
	"nvme,image=IMAGE",
	"nvme,image=IMAGE,msix=off",
	"igb",
	"igb,sriov_numvfs=1,driver=igb", /* its VF */
	"testdev",
	"testdev,af=on,pri=on,pasid_bits=8,pme=on,atomics=on,region=on,mirror=on",
	"testdev,pcie=off,af=on",
	"testdev,flr=off,no_soft_reset=on,own_reset=on",
	"testdev,msi64=off,msi_mask=off,msi_vectors=4",
	"testdev,pcie_type=9",
	"testdev,pcie_type=1,pcie_version=1",
};
#define NUM_SPECS (sizeof(specs) / sizeof(specs[0]))

static struct uvfio_vm *vm;
static struct machine_device *plugged;
static struct uvfio_vm_device *dev;

/* Make the device, as a host has it, which stays when the guest gives it back. */
static void plug(const char *spec)
{
	char *err = NULL, path[] = "/tmp/uvfio-image-XXXXXX", text[128];
	const char *image = strstr(spec, "IMAGE");
	int fd = -1;

	if (image) {
		fd = mkstemp(path);
		assert_true(fd >= 0 && !ftruncate(fd, 1 << 20));
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(image - spec), spec, path,
			 image + strlen("IMAGE"));
		spec = text;
	}
	log_set(2, LOG_NONE);
	vm = guest_new();
	if (machine_add(vm->machine, spec, &err) || machine_start(vm->machine, &err))
		fail_msg("%s: %s", spec, err);
	plugged = machine_device(vm->machine, 0);
	if (!plugged->vdev)
		plugged = machine_vf(vm->machine, plugged, 0);
	assert_non_null(plugged);
	/* the device has it open */
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
}

static uint32_t cfg(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(dev, at, size);
}

static uint32_t of_device(unsigned at)
{
	uint32_t v = 0;

	assert_true(vm_device_rw(dev, VFIO_PCI_CONFIG_REGION_INDEX, at, &v, 4, false));
	return v;
}

/* Bytes and words are parts of dwords; what is not emulated is the device's (test 37). */
static void check_reads(void)
{
	const struct vm_config *c = &dev->config;

	for (unsigned at = 0; at < c->size; at += 4) {
		uint32_t v = cfg(at, 4), emulated;

		memcpy(&emulated, c->emulated + at, 4);
		if ((v ^ of_device(at)) & ~emulated)
			fail_msg("0x%x: 0x%x, and the device has 0x%x", at, v, of_device(at));
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(cfg(at + i, 1), v >> 8 * i & 0xff);
		for (unsigned i = 0; i < 4; i += 2)
			assert_int_equal(cfg(at + i, 2), v >> 8 * i & 0xffff);
	}
	assert_int_equal(cfg(c->size, 4), UINT32_MAX);
}

/* The host's addresses of BARs are nowhere to be seen (test 38). */
static void check_addresses(void)
{
	for (unsigned bar = 0; bar < 7; bar++) {
		uint32_t low = (uint32_t)pci_face_bar_address(plugged->face, bar);

		/* those that cannot be anything else */
		for (unsigned at = 0; low >= 0x100000 && at < dev->config.size; at += 4)
			assert_int_not_equal(cfg(at, 4) & ~0xfu, low);
	}
}

/* Each capability that the guest finds, the device has there, too. */
static void check_chains(void)
{
	unsigned at, n = 0;

	for (at = cfg(PCI_CAPABILITY_LIST, 1); at; at = cfg(at + 1, 1)) {
		assert_int_equal(cfg(at, 1), of_device(at) & 0xff);
		assert_true(n++ < 48);
	}
	if (dev->config.size == PCI_CFG_SIZE || !cfg(PCI_CFG_SIZE, 4))
		return;
	for (at = PCI_CFG_SIZE; at; at = cfg(at, 4) >> 20) {
		unsigned id = cfg(at, 4) & 0xffff;

		assert_true(!id || id == (of_device(at) & 0xffff));
		assert_true(id != PCI_EXT_CAP_ID_SRIOV && id != PCI_EXT_CAP_ID_ARI &&
			    id != PCI_EXT_CAP_ID_PASID && id != PCI_EXT_CAP_ID_PRI);
		assert_true(n++ < 480);
	}
}

/* The ones that BARs' registers keep are those of the regions' sizes (test 24). */
static void check_sizes(void)
{
	for (unsigned i = 0; i < 6; i++) {
		unsigned at = PCI_BASE_ADDRESS_0 + 4 * i;
		uint64_t mask;
		struct uvfio_vm_bar b;
		uint32_t type = cfg(at, 4);

		assert_int_equal(uvfio_vm_bar_info(dev, i, &b), 0);
		uvfio_vm_config_write(dev, at, 4, UINT32_MAX);
		mask = cfg(at, 4) & ~(type & 1 ? 3u : 15u);
		uvfio_vm_config_write(dev, at, 4, 0);
		if (b.is64) {
			uvfio_vm_config_write(dev, at + 4, 4, UINT32_MAX);
			mask |= (uint64_t)cfg(at + 4, 4) << 32;
			uvfio_vm_config_write(dev, at + 4, 4, 0);
			i++;
		} else if (mask) {
			mask |= 0xffffffff00000000;
		}
		assert_int_equal(-mask, b.size);
		assert_int_equal(cfg(at, 4), type);
	}
}

static unsigned seed;

static unsigned next_random(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 8 & 0xffff;
}

/* Anything, anywhere, of any size: aligned or not, there or not. */
static void scribble(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned size = 1u << next_random() % 3, range = i % 2 ? 0x110 : 0x1010;
		unsigned at = next_random() % range & (i % 8 ? ~(size - 1) : ~0u);
		uint32_t value = next_random() << 16 | next_random();

		uvfio_vm_config_write(dev, at, size, i % 5 ? value : value & 1 ? UINT32_MAX : 0);
		uvfio_vm_config_read(dev, at, size);
	}
}

static void awake(void)
{
	if (dev->config.caps.pm)
		uvfio_vm_config_write(dev, dev->config.caps.pm + PCI_PM_CTRL, 2, 0);
}

/* Reads, and after a hostile guest and a reset the same again (test 67). */
static void each_model(void **state)
{
	static const char *const options[] = { NULL, "bus=root", "bus=pci,multifunction=on" };
	static uint8_t before[PCI_CFG_EXP_SIZE];

	for (size_t i = 0; i < NUM_SPECS; i++) {
		plug(specs[i]);
		for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
			dev = guest_assign(vm, plugged->addr, options[k]);
			check_reads();
			check_addresses();
			check_chains();
			check_sizes();
			for (unsigned at = 0; at < dev->config.size; at++)
				before[at] = (uint8_t)cfg(at, 1);
			seed = (unsigned)(i + 100 * k);
			scribble(2000);
			awake();
			check_reads();
			check_addresses();
			check_chains();
			/* VFIO's reset keeps these two, which mean nothing on PCI Express */
			before[PCI_CACHE_LINE_SIZE] = (uint8_t)cfg(PCI_CACHE_LINE_SIZE, 1);
			before[PCI_LATENCY_TIMER] = (uint8_t)cfg(PCI_LATENCY_TIMER, 1);
			if (!uvfio_vm_reset_device(dev))
				for (unsigned at = 0; at < 64; at++)
					if (cfg(at, 1) != before[at])
						fail_msg("%s: 0x%x: 0x%x after a reset, not 0x%x",
							 specs[i], at, cfg(at, 1), before[at]);
			assert_memory_equal(dev->config.copy, dev->config.at_reset,
					    dev->config.size);
			uvfio_vm_unassign(dev);
		}
		uvfio_vm_free(vm);
	}
}

/* A guest's writes of config space leave no trace in the host (test 71). */
static void given_back(void **state)
{
	static uint8_t before[PCI_CFG_EXP_SIZE], after[PCI_CFG_EXP_SIZE];

	for (size_t i = 0; i < NUM_SPECS; i++) {
		unsigned n;

		plug(specs[i]);
		/* the first open is the reset that a driver's probe would be */
		dev = guest_assign(vm, plugged->addr, NULL);
		uvfio_vm_unassign(dev);
		n = pci_face_config(plugged->face, before);
		dev = guest_assign(vm, plugged->addr, NULL);
		seed = (unsigned)i;
		scribble(2000);
		uvfio_vm_unassign(dev);
		assert_int_equal(pci_face_config(plugged->face, after), n);
		for (unsigned at = 0; at < n; at++)
			if (before[at] != after[at])
				fail_msg("%s: 0x%x: 0x%x, not 0x%x", specs[i], at, after[at],
					 before[at]);
		uvfio_vm_free(vm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_model),
		cmocka_unit_test(given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
