/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/kvm_assign_test.c: KVM's old interface, request by request: its errors, and INTx, MSI and
 * MSI-X of testdev through it, to an interrupt controller that counts.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "uvfio/kvm_assign.h"
#include "base/log.h"
#include "models/testdev/regs.h"

#define REGS 2u
#define GSIS 256u

#define HOST_INTX  UVFIO_KVM_IRQ_HOST_INTX
#define HOST_MSI   UVFIO_KVM_IRQ_HOST_MSI
#define HOST_MSIX  UVFIO_KVM_IRQ_HOST_MSIX
#define GUEST_INTX UVFIO_KVM_IRQ_GUEST_INTX
#define GUEST_MSI  UVFIO_KVM_IRQ_GUEST_MSI
#define GUEST_MSIX UVFIO_KVM_IRQ_GUEST_MSIX

static struct uvfio_kvm_assign *a;
static unsigned ups[GSIS], downs[GSIS];

static void set_irq(void *ctx, int gsi, bool level)
{
	assert_ptr_equal(ctx, &a);
	assert_true(gsi >= 0 && gsi < (int)GSIS);
	(level ? ups : downs)[gsi]++;
}

static int setup(void **state)
{
	static const struct uvfio_kvm_irqchip chip = { .vm_fd = -1, .set_irq = set_irq };

	log_set(2, LOG_ERR);
	memset(ups, 0, sizeof(ups));
	memset(downs, 0, sizeof(downs));
	a = uvfio_kvm_assign_new(NULL, &chip, &a);
	return !a;
}

static int teardown(void **state)
{
	uvfio_kvm_assign_free(a);
	return 0;
}

/* Interrupts are delivered here and now. */
static void deliver(void)
{
	int n;

	do
		n = uvfio_vm_dispatch(uvfio_kvm_assign_vm(a), 0);
	while (n > 0);
	assert_int_equal(n, 0);
}

/* Return how often @gsi went up, less how often down, when all is delivered. */
static unsigned came(unsigned gsi)
{
	unsigned n;

	deliver();
	n = ups[gsi] - downs[gsi];
	return n;
}

static int give(uint32_t id, uint32_t bus, const char *model)
{
	return uvfio_kvm_assign_pci_device(a, id, 0, bus, 0, UVFIO_KVM_ASSIGN_ENABLE_IOMMU, model);
}

/* Device @id is a testdev that a guest's firmware has placed. */
static struct uvfio_vm_device *give_testdev(uint32_t id)
{
	struct uvfio_vm_device *dev;

	assert_int_equal(give(id, id, "testdev"), 0);
	dev = uvfio_kvm_assign_device(a, id);
	assert_non_null(dev);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0 + 4 * REGS, 4, 0xe0000000 + id * 0x100000);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2,
			      uvfio_vm_config_read(dev, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY |
				      PCI_COMMAND_MASTER);
	return dev;
}

static void wr(struct uvfio_vm_device *dev, uint64_t reg, uint32_t value)
{
	uvfio_vm_bar_write(dev, REGS, reg, 4, value);
}

static int irq(uint32_t id, uint32_t kinds, uint32_t gsi)
{
	return uvfio_kvm_assign_dev_irq(a, id, kinds, gsi);
}

static int no_irq(uint32_t id, uint32_t kinds)
{
	return uvfio_kvm_deassign_dev_irq(a, id, kinds);
}

/* The sentence of the last error has @text in it. */
static void says(const char *text)
{
	if (!strstr(uvfio_vm_strerror(uvfio_kvm_assign_vm(a)), text))
		fail_msg("'%s' does not say '%s'", uvfio_vm_strerror(uvfio_kvm_assign_vm(a)), text);
}

static void devices(void **state)
{
	assert_null(uvfio_kvm_assign_device(a, 1));
	assert_int_equal(uvfio_kvm_deassign_pci_device(a, 1), -EINVAL);
	/* without an IOMMU, with flags that there were not */
	assert_int_equal(uvfio_kvm_assign_pci_device(a, 1, 0, 1, 0, 0, "edu"), -EINVAL);
	says("IOMMU");
	assert_int_equal(uvfio_kvm_assign_pci_device(a, 1, 0, 1, 0, 9, "edu"), -EINVAL);
	assert_int_equal(uvfio_kvm_assign_pci_device(a, 1, 0, 256, 0, 1, "edu"), -EINVAL);
	assert_int_equal(give(1, 1, "nosuchmodel"), -EINVAL);
	assert_null(uvfio_kvm_assign_device(a, 1));
	assert_int_equal(give(1, 1, "edu"), 0);
	assert_string_equal(uvfio_vm_device_name(uvfio_kvm_assign_device(a, 1)), "0000:01:00.0");
	assert_int_equal(give(1, 2, "edu"), -EEXIST);
	assert_int_equal(give(2, 1, NULL), -EBUSY);
	assert_null(uvfio_kvm_assign_device(a, 2));
	/* devfn is five bits and three */
	assert_int_equal(uvfio_kvm_assign_pci_device(a, 2, 0, 3, 2 << 3 | 1, 1, "edu"), 0);
	assert_string_equal(uvfio_vm_device_name(uvfio_kvm_assign_device(a, 2)), "0000:03:02.1");
	assert_int_equal(uvfio_kvm_deassign_pci_device(a, 1), 0);
	assert_int_equal(uvfio_kvm_deassign_pci_device(a, 1), -EINVAL);
	assert_int_equal(give(1, 1, "edu"), 0);
	/* the end of the guest takes what is left */
}

static void errors_of_interrupts(void **state)
{
	assert_int_equal(irq(1, HOST_INTX, 0), -ENODEV);
	assert_int_equal(no_irq(1, HOST_INTX), -ENODEV);
	assert_int_equal(uvfio_kvm_assign_set_msix_nr(a, 1, 3), -EINVAL);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 0, 30), -EINVAL);
	give_testdev(1);
	assert_int_equal(no_irq(1, HOST_INTX | GUEST_INTX), -ENXIO);
	/* none, two of a side, ones that there were not, of different kinds */
	assert_int_equal(irq(1, 0, 9), -EINVAL);
	assert_int_equal(irq(1, HOST_INTX | HOST_MSI, 9), -EINVAL);
	assert_int_equal(irq(1, HOST_MSI | GUEST_MSI | GUEST_MSIX, 9), -EINVAL);
	assert_int_equal(irq(1, 1 << 3, 9), -EINVAL);
	assert_int_equal(irq(1, HOST_MSI | GUEST_INTX, 9), -EINVAL);
	says("another kind");
	assert_int_equal(no_irq(1, HOST_MSI), -ENXIO);
	/* MSI-X wants entries */
	assert_int_equal(irq(1, HOST_MSIX, 0), -EINVAL);
	assert_int_equal(uvfio_kvm_assign_set_msix_nr(a, 1, 0), -EINVAL);
	assert_int_equal(uvfio_kvm_assign_set_msix_nr(a, 1, UVFIO_KVM_MAX_MSIX), -EINVAL);
	/* a number that was refused is not set */
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 0, 30), -ENOSPC);
	assert_int_equal(uvfio_kvm_assign_set_msix_nr(a, 1, 2), 0);
	assert_int_equal(uvfio_kvm_assign_set_msix_nr(a, 1, 2), -EINVAL);
	assert_int_equal(irq(1, HOST_MSIX, 0), -EINVAL);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 64, 30), 0);
	assert_int_equal(irq(1, HOST_MSIX, 0), -EINVAL);
	says("no MSI-X entry 64");
	/* two places: the second is there, a third is not, and one that is given up is */
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 1, 31), 0);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 1, 32), 0);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 2, 33), -ENOSPC);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 64, 0), 0);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 2, 33), 0);
	assert_int_equal(irq(1, HOST_MSIX | GUEST_MSIX, 0), 0);
	assert_int_equal(irq(1, HOST_MSIX, 0), -EEXIST);
	assert_int_equal(irq(1, GUEST_MSIX, 0), -EEXIST);
	assert_int_equal(irq(1, GUEST_MSI, 9), -EEXIST);
	/* with the host's side the entries go */
	assert_int_equal(no_irq(1, HOST_MSIX | GUEST_MSIX), 0);
	assert_int_equal(no_irq(1, HOST_MSIX), -ENXIO);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 1, 31), -ENOSPC);
	assert_int_equal(irq(1, GUEST_MSI, 0x10000), -EINVAL);
	/* what a device has not */
	assert_int_equal(give(2, 2, "testdev,intx=off,msi=off,msix=off"), 0);
	assert_int_equal(irq(2, HOST_INTX, 0), -EIO);
	assert_int_equal(irq(2, HOST_MSI, 0), -EINVAL);
	assert_int_equal(uvfio_kvm_assign_set_msix_nr(a, 2, 1), 0);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 2, 0, 30), 0);
	assert_int_equal(irq(2, HOST_MSIX, 0), -EINVAL);
	says("no MSI-X");
	assert_int_equal(no_irq(2, HOST_MSIX), -ENXIO);
}

/* A guest without an irqchip has no interrupts; a device all the same. */
static void no_irqchip(void **state)
{
	static const struct uvfio_kvm_irqchip none = { .vm_fd = -1 };

	assert_null(uvfio_kvm_assign_new(NULL, &none, NULL));
	uvfio_kvm_assign_free(a);
	a = uvfio_kvm_assign_new(NULL, NULL, NULL);
	assert_non_null(a);
	/* before it looks for the device */
	assert_int_equal(irq(1, HOST_INTX, 0), -EINVAL);
	assert_int_equal(no_irq(1, HOST_INTX), -EINVAL);
	give_testdev(1);
	assert_int_equal(irq(1, HOST_INTX, 0), -EINVAL);
	says("no irqchip");
}

static void intx(void **state)
{
	struct uvfio_vm_device *dev = give_testdev(1), *other;

	/* not before it was asked for */
	wr(dev, TD_INTX, 1);
	assert_int_equal(came(9), 0);
	wr(dev, TD_INTX, 0);
	assert_int_equal(irq(1, HOST_INTX | GUEST_INTX, 9), 0);
	assert_int_equal(came(9), 0);
	wr(dev, TD_INTX, 1);
	assert_int_equal(came(9), 1);
	/* the guest ends it, but has not served the device: it comes again */
	uvfio_kvm_assign_ack(a, 9);
	deliver();
	assert_int_equal(ups[9], 2);
	assert_int_equal(downs[9], 1);
	wr(dev, TD_INTX, 0);
	uvfio_kvm_assign_ack(a, 10); /* another line */
	assert_int_equal(came(9), 1);
	uvfio_kvm_assign_ack(a, 9);
	assert_int_equal(came(9), 0);
	uvfio_kvm_assign_ack(a, 9); /* of another device: harmless */
	assert_int_equal(ups[9], 2);
	/* two on a line: it is down when both are served */
	other = give_testdev(2);
	assert_int_equal(irq(2, HOST_INTX | GUEST_INTX, 9), 0);
	wr(dev, TD_INTX, 1);
	wr(other, TD_INTX, 1);
	assert_int_equal(came(9), 1);
	assert_int_equal(ups[9], 3);
	wr(dev, TD_INTX, 0);
	uvfio_kvm_assign_ack(a, 9);
	assert_int_equal(came(9), 1);
	wr(other, TD_INTX, 0);
	uvfio_kvm_assign_ack(a, 9);
	assert_int_equal(came(9), 0);
	/* taken away while it is up: the line is low, and nothing comes any more */
	wr(dev, TD_INTX, 1);
	assert_int_equal(came(9), 1);
	assert_int_equal(no_irq(1, HOST_INTX | GUEST_INTX), 0);
	assert_int_equal(came(9), 0);
	uvfio_kvm_assign_ack(a, 9);
	assert_int_equal(came(9), 0);
	/* so it is when the device goes */
	wr(other, TD_INTX, 1);
	assert_int_equal(came(9), 1);
	assert_int_equal(uvfio_kvm_deassign_pci_device(a, 2), 0);
	assert_int_equal(came(9), 0);
}

/* One side, and the other one later, in either order. */
static void one_side_at_a_time(void **state)
{
	struct uvfio_vm_device *dev = give_testdev(1);

	assert_int_equal(irq(1, HOST_INTX, 0), 0);
	wr(dev, TD_INTX, 1);
	assert_int_equal(came(9), 0);
	/* what is pending arrives when there is somewhere to go */
	assert_int_equal(irq(1, GUEST_INTX, 9), 0);
	assert_int_equal(came(9), 1);
	assert_int_equal(irq(1, GUEST_INTX, 9), -EEXIST);
	assert_int_equal(no_irq(1, GUEST_INTX), 0);
	assert_int_equal(came(9), 0);
	assert_int_equal(no_irq(1, GUEST_INTX), 0); /* the other side has something: no error */
	wr(dev, TD_INTX, 0);
	assert_int_equal(no_irq(1, HOST_INTX), 0);
	/* the guest's side first, and a guest's side that fails leaves the host's */
	assert_int_equal(irq(1, GUEST_MSI, 40), 0);
	assert_int_equal(irq(1, HOST_INTX, 0), -EINVAL);
	assert_int_equal(irq(1, HOST_MSI, 0), 0);
	wr(dev, TD_MSI, 0);
	assert_int_equal(came(40), 1);
	assert_int_equal(no_irq(1, GUEST_MSI), 0);
	wr(dev, TD_MSI, 0);
	assert_int_equal(came(40), 1);
	assert_int_equal(irq(1, GUEST_MSI, 0x10000), -EINVAL);
	assert_int_equal(irq(1, HOST_MSI, 0), -EEXIST);
	assert_int_equal(irq(1, GUEST_MSI, 41), 0);
	wr(dev, TD_MSI, 0);
	assert_int_equal(came(41), 1);
	assert_int_equal(came(40), 1);
}

static void msi(void **state)
{
	struct uvfio_vm_device *dev = give_testdev(1);

	assert_int_equal(irq(1, HOST_MSI | GUEST_MSI, 50), 0);
	assert_int_equal(uvfio_vm_bar_read(dev, REGS, TD_IRQ_MODE, 4), 1);
	wr(dev, TD_MSI, 0);
	assert_int_equal(came(50), 1);
	wr(dev, TD_MSI, 7); /* it has one message */
	assert_int_equal(came(50), 2);
	assert_int_equal(no_irq(1, HOST_MSI | GUEST_MSI), 0);
	assert_int_equal(uvfio_vm_bar_read(dev, REGS, TD_IRQ_MODE, 4), 0);
	wr(dev, TD_MSI, 0);
	wr(dev, TD_INTX, 1); /* nor is the pin what came back */
	assert_int_equal(came(50), 2);
	wr(dev, TD_INTX, 0);
	/* another GSI, and another kind */
	assert_int_equal(irq(1, HOST_MSI | GUEST_MSI, 51), 0);
	wr(dev, TD_MSI, 0);
	assert_int_equal(came(51), 1);
	assert_int_equal(no_irq(1, HOST_MSI | GUEST_MSI), 0);
	assert_int_equal(irq(1, HOST_INTX | GUEST_INTX, 9), 0);
	wr(dev, TD_INTX, 1);
	assert_int_equal(came(9), 1);
	assert_int_equal(came(50), 2);
}

static void msix(void **state)
{
	static const uint32_t vector[] = { 5, 0, 63 };
	struct uvfio_vm_device *dev = give_testdev(1);

	assert_int_equal(uvfio_kvm_assign_set_msix_nr(a, 1, 3), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, vector[i], 60 + i), 0);
	assert_int_equal(irq(1, HOST_MSIX | GUEST_MSIX, 0), 0);
	assert_int_equal(uvfio_vm_bar_read(dev, REGS, TD_IRQ_MODE, 4), 2);
	for (unsigned i = 0; i < 3; i++) {
		wr(dev, TD_MSI, vector[i]);
		for (unsigned k = 0; k < 3; k++)
			assert_int_equal(came(60 + k), k <= i);
	}
	/* one that has no entry is nobody's */
	wr(dev, TD_MSI, 1);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(came(60 + k), 1);
	/* another GSI while it is on; the entry's place for another message */
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 5, 70), 0);
	wr(dev, TD_MSI, 5);
	assert_int_equal(came(60), 1);
	assert_int_equal(came(70), 1);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 5, 0), 0);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 1, 71), 0);
	wr(dev, TD_MSI_BURST, 64 << 16);
	assert_int_equal(came(70), 1);
	assert_int_equal(came(71), 1);
	assert_int_equal(came(61), 2);
	assert_int_equal(came(62), 2);
	/* an entry that the device has not: it is off, and the guest's side alone is left */
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 1, 0), 0);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 64, 72), -EINVAL);
	wr(dev, TD_MSI_BURST, 64 << 16);
	assert_int_equal(came(61), 2);
	assert_int_equal(uvfio_kvm_assign_set_msix_entry(a, 1, 64, 0), 0);
	assert_int_equal(irq(1, HOST_MSIX, 0), 0);
	wr(dev, TD_MSI_BURST, 64 << 16);
	assert_int_equal(came(61), 3);
	assert_int_equal(no_irq(1, HOST_MSIX | GUEST_MSIX), 0);
	wr(dev, TD_MSI_BURST, 64 << 16);
	assert_int_equal(came(61), 3);
	assert_int_equal(came(62), 3);
}

/* The state of the device is that of before when its user was another one. */
static void reset_between_users(void **state)
{
	struct uvfio_vm_device *dev = give_testdev(1);

	wr(dev, TD_SCRATCH32, 0x1234);
	assert_int_equal(irq(1, HOST_MSI | GUEST_MSI, 50), 0);
	assert_int_equal(uvfio_kvm_deassign_pci_device(a, 1), 0);
	dev = give_testdev(1);
	assert_int_equal(uvfio_vm_bar_read(dev, REGS, TD_SCRATCH32, 4), 0);
	assert_int_equal(uvfio_vm_bar_read(dev, REGS, TD_IRQ_MODE, 4), 0);
	assert_int_equal(no_irq(1, HOST_MSI), -ENXIO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(devices), TEST(errors_of_interrupts), TEST(no_irqchip),
		TEST(intx),    TEST(one_side_at_a_time),   TEST(msi),
		TEST(msix),    TEST(reset_between_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
