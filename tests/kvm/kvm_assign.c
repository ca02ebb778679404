/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/kvm/kvm_assign.c: the requests that KVM itself once had (uvfio/kvm_assign.h), on a guest of
 * KVM's: INTx, MSI and MSI-X by irqfds, with routes that the monitor sets, as it did. No thread
 * serves the library: what arrives has passed it by.
 */
#include <linux/pci_regs.h>

#include "uvfio/kvm_assign.h"
#include "kvm/guest.h"
#include "lib/cases.h"
#include "models/testdev/regs.h"

#define BAR_REGS 0x20000000u
#define ID	 3
#define GSI_MSI	 24 /* a message with vector FIRST_IRQ + 1; the next three are MSI-X's */

#define HOST_INTX  UVFIO_KVM_IRQ_HOST_INTX
#define HOST_MSI   UVFIO_KVM_IRQ_HOST_MSI
#define HOST_MSIX  UVFIO_KVM_IRQ_HOST_MSIX
#define GUEST_INTX UVFIO_KVM_IRQ_GUEST_INTX
#define GUEST_MSI  UVFIO_KVM_IRQ_GUEST_MSI
#define GUEST_MSIX UVFIO_KVM_IRQ_GUEST_MSIX

static struct guest g;
static struct uvfio_kvm_assign *a;
static struct uvfio_vm_device *dev;

/* KVM_SET_GSI_ROUTING: the pins of the IO-APIC, and four messages. */
static bool set_routes(void)
{
	struct {
		struct kvm_irq_routing r;
		struct kvm_irq_routing_entry e[28];
	} t = { .r.nr = 28 };

	for (unsigned i = 0; i < 28; i++) {
		struct kvm_irq_routing_entry *e = &t.e[i];

		e->gsi = i;
		if (i < GSI_MSI) {
			e->type = KVM_IRQ_ROUTING_IRQCHIP;
			e->u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
			e->u.irqchip.pin = i;
		} else {
			e->type = KVM_IRQ_ROUTING_MSI;
			e->u.msi.address_lo = 0xfee00000;
			e->u.msi.data = FIRST_IRQ + 1 + i - GSI_MSI;
		}
	}
	return !ioctl(g.fd, KVM_SET_GSI_ROUTING, &t);
}

static bool begin(void)
{
	struct uvfio_kvm_irqchip chip = { .vm_fd = -1 };
	struct uvfio_vm_memory m = { .size = MEMORY, .fd = -1 };

	if (!guest_new(&g, IRQCHIP_FULL))
		return false;
	chip.vm_fd = g.fd;
	m.host = g.memory;
	a = uvfio_kvm_assign_new(NULL, &chip, NULL);
	if (!a || !set_routes())
		return false;
	g.vm = uvfio_kvm_assign_vm(a);
	if (uvfio_vm_memory_add(g.vm, &m) ||
	    uvfio_kvm_assign_pci_device(a, ID, 0, 1, 0, UVFIO_KVM_ASSIGN_ENABLE_IOMMU, "testdev"))
		return false;
	dev = uvfio_kvm_assign_device(a, ID);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_2, 4, BAR_REGS);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2,
			      uvfio_vm_config_read(dev, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY |
				      PCI_COMMAND_MASTER);
	g.shared->serve[0] = BAR_REGS + TD_INTX;
	return guest_start(&g);
}

static void end(void)
{
	CHECK(!atomic_load(&g.error));
	guest_stop(&g);
	uvfio_kvm_assign_free(a);
	guest_free(&g);
}

static void set_reg(unsigned at, uint32_t v)
{
	uvfio_vm_bar_write(dev, 2, at, 4, v);
}

static bool stays(unsigned vector, unsigned n)
{
	nap_ms(30);
	guest_settle(&g);
	return count_of(&g, vector) == n;
}

static const char *state(void)
{
	static char text[256];

	uvfio_vm_device_state(dev, text, sizeof(text));
	return text;
}

static void intx(void)
{
	unsigned spurious;

	/* nothing before it was asked for */
	set_reg(TD_INTX, 1);
	CHECK(stays(IRQ_A, 0));
	set_reg(TD_INTX, 0);
	CHECK(!uvfio_kvm_assign_dev_irq(a, ID, HOST_INTX | GUEST_INTX, PIN_A));
	CHECK(strstr(state(), "INTX irqfd gsi 18"));
	for (unsigned i = 1; i <= 20; i++) {
		set_reg(TD_INTX, 1);
		CHECK(EVENTUALLY(g.shared->served == i));
	}
	CHECK(!uvfio_kvm_deassign_dev_irq(a, ID, HOST_INTX | GUEST_INTX));
	spurious = guest_spurious(&g, IRQ_A);
	CHECK(spurious < 5);
	set_reg(TD_INTX, 1);
	CHECK(stays(IRQ_A, 20 + spurious));
	set_reg(TD_INTX, 0);
}

static void msi(void)
{
	CHECK(!uvfio_kvm_assign_dev_irq(a, ID, HOST_MSI | GUEST_MSI, GSI_MSI));
	CHECK(strstr(state(), "MSI 1 of 1 vectors, 1 by irqfd"));
	for (unsigned i = 1; i <= 20; i++) {
		set_reg(TD_MSI, 0);
		CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + 1) == i));
	}
	CHECK(!uvfio_kvm_deassign_dev_irq(a, ID, HOST_MSI | GUEST_MSI));
	set_reg(TD_MSI, 0);
	CHECK(stays(FIRST_IRQ + 1, 20));
}

static void msix(void)
{
	static const unsigned vectors[] = { 5, 0, 63 };

	CHECK(!uvfio_kvm_assign_set_msix_nr(a, ID, 3));
	for (unsigned i = 0; i < 3; i++)
		CHECK(!uvfio_kvm_assign_set_msix_entry(a, ID, vectors[i], GSI_MSI + 1 + i));
	CHECK(!uvfio_kvm_assign_dev_irq(a, ID, HOST_MSIX | GUEST_MSIX, 0));
	CHECK(strstr(state(), "3 by irqfd"));
	for (unsigned i = 0; i < 3; i++) {
		set_reg(TD_MSI, vectors[i]);
		CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + 2 + i) == 1));
	}
	set_reg(TD_MSI, 1); /* has no entry */
	for (unsigned i = 0; i < 3; i++)
		CHECK(stays(FIRST_IRQ + 2 + i, 1));
}

static void by_the_requests_of_old(void)
{
	bool ok = begin();

	CHECK(ok);
	if (!ok) {
		printf("     %s\n", uvfio_vm_strerror(g.vm));
		return;
	}
	intx();
	msi();
	msix();
	end();
}

/* A guest whose irqchip is not in the kernel has none for this interface. */
static void without_an_irqchip(void)
{
	struct uvfio_kvm_irqchip chip = { .vm_fd = -1 };

	CHECK(guest_new(&g, IRQCHIP_SPLIT));
	chip.vm_fd = g.fd;
	a = uvfio_kvm_assign_new(NULL, &chip, NULL);
	CHECK(a);
	CHECK(!uvfio_kvm_assign_pci_device(a, ID, 0, 1, 0, UVFIO_KVM_ASSIGN_ENABLE_IOMMU, "edu"));
	CHECK(uvfio_kvm_assign_dev_irq(a, ID, HOST_MSI | GUEST_MSI, GSI_MSI) == -EINVAL);
	CHECK(strstr(uvfio_vm_strerror(uvfio_kvm_assign_vm(a)), "no irqchip"));
	uvfio_kvm_assign_free(a);
	guest_free(&g);
}

int main(void)
{
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0) {
		perror("/dev/kvm");
		return 2;
	}
	RUN(by_the_requests_of_old);
	RUN(without_an_irqchip);
	return any_failed;
}
