/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvm_assign: a device given to a guest as monitors did it before VFIO, by KVM's own requests: they
 * are functions now (uvfio/kvm_assign.h), and need no KVM: the interrupt controller is this
 * program's.
 *
 *	cc -o kvm_assign kvm_assign.c $(pkg-config --cflags --libs uvfio)
 *	./kvm_assign
 *
 * The device is edu at 0000:01:00.0; what the guest would do is done here.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uvfio/kvm_assign.h>

#define ID   7	/* the monitor's own number of the device */
#define LINE 11 /* of the guest's interrupt controller */
#define GSI  24 /* a message */

static struct uvfio_kvm_assign *guest;
static atomic_int level[GSI + 1], messages;

#define CHECK(condition)                                                                    \
	do {                                                                                \
		if (!(condition)) {                                                         \
			fprintf(stderr, "kvm_assign: line %d: %s: not so (%s)\n", __LINE__, \
				#condition, uvfio_vm_strerror(uvfio_kvm_assign_vm(guest))); \
			exit(1);                                                            \
		}                                                                           \
	} while (0)

/* The interrupt controller: a GSI is set. A message has no level. */
static void set_irq(void *ctx, int gsi, bool up)
{
	if (gsi == GSI)
		atomic_fetch_add(&messages, 1);
	else
		atomic_store(&level[gsi], up);
}

/* Wait for up to five seconds. */
static bool becomes(atomic_int *what, int value)
{
	for (int i = 0; i < 5000 && atomic_load(what) != value; i++)
		usleep(1000);
	return atomic_load(what) == value;
}

int main(void)
{
	static const struct uvfio_kvm_irqchip chip = { .vm_fd = -1, .set_irq = set_irq };
	const uint32_t intx = UVFIO_KVM_IRQ_HOST_INTX | UVFIO_KVM_IRQ_GUEST_INTX;
	const uint32_t msi = UVFIO_KVM_IRQ_HOST_MSI | UVFIO_KVM_IRQ_GUEST_MSI;
	struct uvfio_vm_device *dev;

	guest = uvfio_kvm_assign_new(NULL, &chip, NULL);
	if (!guest)
		return 1;
	CHECK(uvfio_vm_start_thread(uvfio_kvm_assign_vm(guest)) == 0);

	/* KVM_ASSIGN_PCI_DEVICE */
	CHECK(uvfio_kvm_assign_pci_device(guest, ID, 0, 1, 0 << 3 | 0,
					  UVFIO_KVM_ASSIGN_ENABLE_IOMMU, "edu") == 0);
	dev = uvfio_kvm_assign_device(guest, ID);
	printf("assigned %s\n", uvfio_vm_device_name(dev));
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0, 4, 0xfe000000);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(uvfio_vm_bar_read(dev, 0, 0, 4) == 0x010000ed);

	/* KVM_ASSIGN_DEV_IRQ, and the guest's acknowledge */
	CHECK(uvfio_kvm_assign_dev_irq(guest, ID, intx, LINE) == 0);
	CHECK(uvfio_kvm_assign_dev_irq(guest, ID, intx, LINE) == -EEXIST);
	uvfio_vm_bar_write(dev, 0, 0x60, 4, 1);
	CHECK(becomes(&level[LINE], 1));
	uvfio_vm_bar_write(dev, 0, 0x64, 4, 1);
	uvfio_kvm_assign_ack(guest, LINE);
	CHECK(becomes(&level[LINE], 0));
	printf("an interrupt by line %d\n", LINE);

	/* KVM_DEASSIGN_DEV_IRQ, and another kind */
	CHECK(uvfio_kvm_deassign_dev_irq(guest, ID, intx) == 0);
	CHECK(uvfio_kvm_deassign_dev_irq(guest, ID, intx) == -ENXIO);
	CHECK(uvfio_kvm_assign_dev_irq(guest, ID, msi, GSI) == 0);
	uvfio_vm_bar_write(dev, 0, 0x60, 4, 1);
	CHECK(becomes(&messages, 1));
	printf("an interrupt by message, GSI %d\n", GSI);

	/* KVM_DEASSIGN_PCI_DEVICE */
	CHECK(uvfio_kvm_deassign_pci_device(guest, ID) == 0);
	CHECK(uvfio_kvm_deassign_pci_device(guest, ID) == -EINVAL);
	uvfio_kvm_assign_free(guest);
	printf("ok\n");
	return 0;
}
