/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/served_test.c: a device of uvfio's own server is a guest's: the guest's masks of MSI-X reach
 * the device, whose own pending bits say what waits.
 */
#include "vfio_user/server/test_server.h"
#include "vmm/internal.h"

#define MMIO	0x80000000ull /* where BARs are put */
#define STEP	(16ull << 20)
#define ADDRESS 0xfee00000u
#define TABLE	0x8000u /* of testdev, in BAR2 */
#define PBA	0x4000u
#define VECTORS 4u

static struct test_server server;
static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;
static unsigned of[VECTORS]; /* messages by their data; the thread that dispatches */

static void on_intx(void *ctx, struct uvfio_vm_device *d, unsigned pin, bool up)
{
}

static void on_msi(void *ctx, struct uvfio_vm_device *d, uint64_t address, uint32_t data)
{
	assert_int_equal(address, ADDRESS);
	assert_true(data < VECTORS);
	of[data]++;
}

static void store(uint64_t at, uint64_t value)
{
	assert_int_equal(uvfio_vm_mmio(vm, MMIO + 2 * STEP + at, 4, &value, true), 0);
}

static uint32_t load(uint64_t at)
{
	uint64_t v = 0;

	assert_int_equal(uvfio_vm_mmio(vm, MMIO + 2 * STEP + at, 4, &v, false), 0);
	return (uint32_t)v;
}

/* Return the pending bits of the device, past everybody. */
static uint32_t pending(void)
{
	uint32_t v = 0;

	assert_int_equal(server.cfg.dev->ops->rw(server.cfg.dev, REGS, PBA, &v, 4, false), 4);
	return v;
}

static void entry_mask(unsigned i, bool mask)
{
	store(TABLE + 16 * i + PCI_MSIX_ENTRY_VECTOR_CTRL, mask);
}

static void msix_control(uint16_t flags)
{
	unsigned cap = PCI_CAPABILITY_LIST;

	do
		cap = uvfio_vm_config_read(dev, cap + (cap != PCI_CAPABILITY_LIST), 1);
	while (uvfio_vm_config_read(dev, cap, 1) != PCI_CAP_ID_MSIX);
	uvfio_vm_config_write(dev, cap + PCI_MSIX_FLAGS, 2, flags);
}

/* Have a message of vector @i sent, and bring what has come to the guest. */
static unsigned fire(unsigned i)
{
	unsigned before = of[i];

	store(TD_MSI, i);
	while (uvfio_vm_dispatch(vm, 0) > 0)
		;
	return of[i] - before;
}

static unsigned arrived(unsigned i)
{
	unsigned before = of[i];

	while (uvfio_vm_dispatch(vm, 0) > 0)
		;
	return of[i] - before;
}

static int setup(void **state)
{
	static const struct uvfio_vm_irq_ops irq = { .intx = on_intx, .msi = on_msi };
	char spec[32];

	test_server_begin(&server, "testdev");
	vm = uvfio_vm_new(NULL, NULL);
	assert_int_equal(uvfio_vm_use_irq_ops(vm, &irq, NULL), 0);
	snprintf(spec, sizeof(spec), "vfio-user:fd:%d", client_connect(&server));
	if (uvfio_vm_assign(vm, spec, NULL, &dev))
		fail_msg("%s", uvfio_vm_strerror(vm));
	memset(of, 0, sizeof(of));
	for (unsigned i = 0; i < 6; i++)
		uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0 + 4 * i, 4,
				      (uint32_t)(MMIO + i * STEP));
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return 0;
}

static int end(void **state)
{
	uvfio_vm_free(vm);
	test_server_end(&server);
	return 0;
}

static void masks(void **state)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < VECTORS; i++) {
		store(TABLE + 16 * i, ADDRESS);
		store(TABLE + 16 * i + PCI_MSIX_ENTRY_DATA, i);
		entry_mask(i, false);
	}
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(fire(1), 1);
	assert_int_equal(pending(), 0);
	entry_mask(1, true);
	assert_int_equal(fire(1) + fire(1), 0);
	assert_int_equal(fire(2), 1);
	assert_int_equal(pending(), 2);
	assert_int_equal(load(PBA), 2);
	/* all, while some wait */
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(fire(3), 0);
	entry_mask(1, false);
	assert_int_equal(arrived(1), 0);
	assert_int_equal(pending(), 10);
	assert_int_equal(load(PBA), 10);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(arrived(1), 1); /* and 3 with it */
	assert_int_equal(of[1], 2);
	assert_int_equal(of[3], 1);
	assert_int_equal(pending(), 0);
	/* what was masked when messages end is not, when they begin anew */
	entry_mask(0, true);
	msix_control(0);
	entry_mask(0, false);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(fire(0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(masks, setup, end) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
