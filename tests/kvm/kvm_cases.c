/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/kvm/kvm_cases.c: devices of uvfio/vmm.h in a guest of KVM's: interrupts past the monitor,
 * and those that are not, BARs, devices that go. Runs where /dev/kvm works (tests/kvm.sh), whatever
 * kind of KVM it is.
 *
 *	kvm_cases [long] [HOST-DEVICE]		the device is an edu that vfio-pci has
 */
#include <linux/pci_regs.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/test_count.h"
#include "kvm/guest.h"
#include "lib/cases.h"
#include "models/testdev/regs.h"

#define BAR0	    0x10000000u
#define BAR_REGS    0x20000000u /* BAR2; a MiB for each device */
#define BAR_PORTS   0xc000u
#define TABLE	    0x8000u
#define PBA	    0x4000u
#define MSI_ADDRESS 0xfee00000u

static bool is_long;
static const char *host_device;

/* ---- a guest with devices ---- */

static struct guest g;
static struct uvfio_vm_device *dev, *other;
static int pin_gsi;

static int gsi_of_pin(void *ctx, struct uvfio_vm_device *d, unsigned pin)
{
	return pin_gsi;
}

static uint32_t config(struct uvfio_vm_device *d, unsigned at, unsigned size)
{
	return uvfio_vm_config_read(d, at, size);
}
static void set_config(struct uvfio_vm_device *d, unsigned at, unsigned size, uint32_t v)
{
	uvfio_vm_config_write(d, at, size, v);
}
static void decode(struct uvfio_vm_device *d, bool on)
{
	set_config(d, PCI_COMMAND, 2, on ? 7 : 4);
}
static uint32_t reg(struct uvfio_vm_device *d, unsigned at)
{
	return (uint32_t)uvfio_vm_bar_read(d, 2, at, 4);
}
static void set_reg(struct uvfio_vm_device *d, unsigned at, uint32_t v)
{
	uvfio_vm_bar_write(d, 2, at, 4, v);
}

static unsigned cap(struct uvfio_vm_device *d, uint8_t id)
{
	unsigned at = config(d, PCI_CAPABILITY_LIST, 1);

	while (at && config(d, at, 1) != id)
		at = config(d, at + 1, 1);
	return at;
}

static const struct uvfio_vm_kvm plain = { .kvm_slot = 1, .kvm_slots = 8 };

/* Have a guest that runs, with no device. */
static bool new_vm(enum irqchip chip, const struct uvfio_vm_kvm *how)
{
	struct uvfio_vm_kvm k = *how;
	struct uvfio_vm_memory m = { .size = MEMORY, .fd = -1 };

	pin_gsi = PIN_A;
	if (!guest_new(&g, chip))
		return false;
	g.vm = uvfio_vm_new(NULL, NULL);
	m.host = g.memory;
	k.vm_fd = g.fd;
	k.intx_gsi = gsi_of_pin;
	if (!g.vm || uvfio_vm_use_kvm(g.vm, &k, &g) || uvfio_vm_memory_add(g.vm, &m) ||
	    uvfio_vm_start_thread(g.vm)) {
		printf("     %s\n", uvfio_vm_strerror(g.vm));
		return false;
	}
	return true;
}

/* Give it a testdev, number @n, with its BARs in their places. */
static struct uvfio_vm_device *add(unsigned n, const char *spec)
{
	struct uvfio_vm_device *d = NULL;

	if (uvfio_vm_assign(g.vm, spec, NULL, &d)) {
		printf("     %s\n", uvfio_vm_strerror(g.vm));
		return NULL;
	}
	set_config(d, PCI_BASE_ADDRESS_0, 4, BAR0 + n * 0x100000);
	set_config(d, PCI_BASE_ADDRESS_1, 4, 0);
	set_config(d, PCI_BASE_ADDRESS_2, 4, BAR_REGS + n * 0x100000);
	set_config(d, PCI_BASE_ADDRESS_3, 4, BAR_PORTS + n * 0x100);
	decode(d, true);
	g.shared->serve[n] = BAR_REGS + n * 0x100000 + TD_INTX;
	return d;
}

static bool begin(enum irqchip chip, const struct uvfio_vm_kvm *how, const char *spec)
{
	bool ok = new_vm(chip, how) && (dev = add(0, spec)) && guest_start(&g);

	CHECK(ok);
	return ok;
}

static void end(void)
{
	CHECK(!atomic_load(&g.error));
	guest_stop(&g);
	uvfio_vm_free(g.vm);
	guest_free(&g);
	other = NULL;
}

/* True if no interrupt with @vector comes any more than the @n that there were. */
static bool stays(unsigned vector, unsigned n)
{
	nap_ms(30);
	guest_settle(&g);
	return count_of(&g, vector) == n;
}

static const char *state_of(struct uvfio_vm_device *d)
{
	static char text[512];

	uvfio_vm_device_state(d, text, sizeof(text));
	return text;
}

/* ---- what the library relies on, without it ---- */

static void irqfd(int fd, int gsi, unsigned flags, int resample, int want)
{
	struct kvm_irqfd f = { .fd = (uint32_t)fd,
			       .gsi = (uint32_t)gsi,
			       .flags = flags,
			       .resamplefd = (uint32_t)resample };
	int rc = ioctl(g.fd, KVM_IRQFD, &f) ? errno : 0;

	CHECK(rc == want);
}

static void the_machine(void)
{
	struct {
		struct kvm_irq_routing r;
		struct kvm_irq_routing_entry e[1];
	} routes = { .r.nr = 1 };
	int ev = eventfd(0, EFD_NONBLOCK), rs = eventfd(0, EFD_NONBLOCK);
	uint64_t one = 1;

	for (int chip = IRQCHIP_FULL; chip <= IRQCHIP_SPLIT; chip++) {
		CHECK(guest_new(&g, chip) && guest_start(&g));
		message(&g, FIRST_IRQ);
		CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ) == 1));
		routes.e[0] =
			(struct kvm_irq_routing_entry){ .gsi = 30, .type = KVM_IRQ_ROUTING_MSI };
		routes.e[0].u.msi.address_lo = MSI_ADDRESS;
		routes.e[0].u.msi.data = FIRST_IRQ + 1;
		CHECK(!ioctl(g.fd, KVM_SET_GSI_ROUTING, &routes));
		CHECK(write(ev, &one, 8) == 8);
		irqfd(ev, 30, 0, 0, 0);
		irqfd(ev, 30, 0, 0, EBUSY);
		/* the event of before counts, as one */
		CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + 1) == 1));
		irqfd(ev, 30, KVM_IRQFD_FLAG_DEASSIGN, 0, 0);
		irqfd(ev, 17, KVM_IRQFD_FLAG_RESAMPLE, rs, chip == IRQCHIP_FULL ? 0 : EINVAL);
		guest_stop(&g);
		guest_free(&g);
	}
	close(ev);
	close(rs);
}

/* ---- INTx ---- */

/* (test 47) Each assertion is an interrupt, without the monitor; masked while it is pending. */
static void intx_by_resample(void)
{
	unsigned n = is_long ? 1000 : 50, vm_exits, spurious;

	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	CHECK(strstr(state_of(dev), "INTX kvm gsi 18"));
	/* the loop of the library is not needed: what it would see is not there */
	vm_exits = atomic_load(&g.mmio_exits);
	for (unsigned i = 1; i <= n; i++) {
		set_reg(dev, TD_INTX, 1);
		if (!EVENTUALLY(g.shared->served == i))
			break;
	}
	nap_ms(30);
	spurious = guest_spurious(&g, IRQ_A);
	CHECK(g.shared->served == n && spurious < n / 4);
	/* the handler's accesses of the device: it looks, and serves */
	CHECK(atomic_load(&g.mmio_exits) - vm_exits == 2 * n + spurious);
	/* (test 51's like) DisINTx holds it back, and it comes when that ends */
	set_config(dev, PCI_COMMAND, 2, 7 | PCI_COMMAND_INTX_DISABLE);
	set_reg(dev, TD_INTX, 1);
	CHECK(stays(IRQ_A, n + spurious));
	decode(dev, true);
	CHECK(EVENTUALLY(g.shared->served == n + 1));
	end();
}

/* The monitor's IO-APIC tells of the end of an interrupt. */
static void tell_eoi(struct guest *guest, int vector)
{
	uvfio_vm_intx_eoi(guest->vm, vector == IRQ_A ? PIN_A : PIN_B);
}

/* (test 48) A split irqchip cannot resample: INTx goes through the library's loop. */
static void intx_of_a_split_irqchip(void)
{
	struct kvm_irq_routing_entry e = { .gsi = PIN_A, .type = KVM_IRQ_ROUTING_MSI };

	if (!begin(IRQCHIP_SPLIT, &plain, "testdev"))
		return;
	g.on_eoi = tell_eoi;
	/* what its IO-APIC would do with the pin: a level message, whose end is told */
	e.u.msi.address_lo = MSI_ADDRESS;
	e.u.msi.data = IRQ_A | 1u << 14 | 1u << 15;
	CHECK(!uvfio_vm_kvm_route(g.vm, &e));
	CHECK(strstr(state_of(dev), "INTX gsi 18"));
	for (unsigned i = 1; i <= 10; i++) {
		set_reg(dev, TD_INTX, 1);
		CHECK(EVENTUALLY(g.shared->served == i));
	}
	CHECK(EVENTUALLY(atomic_load(&g.eoi_vector) == IRQ_A));
	CHECK(count_of(&g, IRQ_A) >= 10);
	end();
}

/* (test 49) The line leads elsewhere while an interrupt is pending. */
static void intx_moves(void)
{
	unsigned served;

	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	/* nowhere: nothing comes; back: it comes */
	pin_gsi = -1;
	uvfio_vm_intx_route_changed(g.vm);
	set_reg(dev, TD_INTX, 1);
	CHECK(stays(IRQ_A, 0));
	pin_gsi = PIN_B;
	uvfio_vm_intx_route_changed(g.vm);
	CHECK(EVENTUALLY(count_of(&g, IRQ_B) == 1));
	CHECK(stays(IRQ_B, 1) && count_of(&g, IRQ_A) == 0);
	/* it has been raised at one pin, and the guest has not taken it */
	guest_begin(&g, OP_HOLD, 0, 0);
	CHECK(EVENTUALLY(g.shared->holds == 1));
	set_reg(dev, TD_INTX, 1);
	nap_ms(30);
	served = g.shared->served;
	pin_gsi = PIN_A;
	uvfio_vm_intx_route_changed(g.vm);
	nap_ms(30);
	guest_stop_op(&g);
	CHECK(EVENTUALLY(g.shared->served == served + 1));
	guest_settle(&g);
	/* once more at the new pin, unless the one of the old pin was served before */
	CHECK(count_of(&g, IRQ_A) + count_of(&g, IRQ_B) <= 3);
	CHECK(strstr(state_of(dev), "INTX kvm gsi 18"));
	set_reg(dev, TD_INTX, 1);
	CHECK(EVENTUALLY(g.shared->served == served + 2));
	end();
}

/* (test 50) Two devices on a line: it is down only when both are served. */
static void intx_shared(void)
{
	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	other = add(1, "testdev");
	CHECK(other != NULL);
	if (!other)
		goto out;
	for (unsigned i = 1; i <= 20; i++) {
		guest_begin(&g, OP_HOLD, 0, 0);
		CHECK(EVENTUALLY(g.shared->holds == 1));
		set_reg(dev, TD_INTX, 1);
		set_reg(other, TD_INTX, 1);
		guest_stop_op(&g);
		/* the handler serves one device at a time */
		CHECK(EVENTUALLY(g.shared->served == 2 * i));
		CHECK(!reg(dev, TD_INTX) && !reg(other, TD_INTX));
	}
	/* one of them goes while it asks: the other works on */
	guest_begin(&g, OP_HOLD, 0, 0);
	CHECK(EVENTUALLY(g.shared->holds == 1));
	set_reg(dev, TD_INTX, 1);
	set_reg(other, TD_INTX, 1);
	uvfio_vm_unassign(dev);
	g.shared->serve[0] = 0;
	guest_stop_op(&g);
	CHECK(EVENTUALLY(g.shared->served == 41));
	CHECK(!reg(other, TD_INTX));
out:
	end();
}

/* ---- MSI ---- */

static void msi_on(unsigned log_vectors, uint32_t data)
{
	unsigned at = cap(dev, PCI_CAP_ID_MSI);

	set_config(dev, at + PCI_MSI_ADDRESS_LO, 4, MSI_ADDRESS);
	set_config(dev, at + PCI_MSI_ADDRESS_HI, 4, 0);
	set_config(dev, at + PCI_MSI_DATA_64, 2, data);
	set_config(dev, at + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | log_vectors << 4);
}
static void msi_off(void)
{
	set_config(dev, cap(dev, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS, 2, 0);
}

/* (test 53) Vector i's data has i in its low bits. (test 55) Data changed while it is on. */
static void msi(void)
{
	unsigned want[64] = { 0 };

	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	for (unsigned log = 0; log <= 5; log++) {
		if (log == 2 || log == 4)
			continue;
		msi_on(log, FIRST_IRQ + 0x20);
		CHECK(reg(dev, TD_IRQ_MODE) == 1);
		for (unsigned i = 0; i < 1u << log; i++) {
			set_reg(dev, TD_MSI, i);
			want[0x20 + i]++;
			CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + 0x20 + i) == want[0x20 + i]));
		}
		msi_off();
		CHECK(reg(dev, TD_IRQ_MODE) == 0);
	}
	msi_on(0, FIRST_IRQ + 1);
	set_reg(dev, TD_MSI, 0);
	set_config(dev, cap(dev, PCI_CAP_ID_MSI) + PCI_MSI_DATA_64, 2, FIRST_IRQ + 2);
	set_reg(dev, TD_MSI, 0);
	CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + 2) == 1));
	/* the first one went to one of the two: it was on its way when the data changed */
	CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + 1) + count_of(&g, FIRST_IRQ + 2) >= 1));
	/* INTx is there again, and goes past the monitor as before */
	msi_off();
	CHECK(strstr(state_of(dev), "INTX kvm gsi 18"));
	set_reg(dev, TD_INTX, 1);
	CHECK(EVENTUALLY(count_of(&g, IRQ_A) == want[IRQ_A - FIRST_IRQ] + 1));
	end();
}

/* ---- MSI-X ---- */

static void msix_control(uint16_t v)
{
	set_config(dev, cap(dev, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2, v);
}
static void entry(unsigned i, uint32_t data, bool masked)
{
	unsigned at = TABLE + i * 16;

	uvfio_vm_bar_write(dev, 2, at, 4, MSI_ADDRESS);
	uvfio_vm_bar_write(dev, 2, at + 4, 4, 0);
	uvfio_vm_bar_write(dev, 2, at + 8, 4, data);
	uvfio_vm_bar_write(dev, 2, at + 12, 4, masked);
}

/* (tests 56, 57, 58) */
static void msix(void)
{
	static const unsigned order[] = { 5, 0, 63 };

	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	CHECK(reg(dev, TD_IRQ_MODE) == 2);
	for (unsigned i = 0; i < 3; i++) {
		entry(order[i], FIRST_IRQ + i, false);
		set_reg(dev, TD_MSI, order[i]);
		CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + i) == 1));
	}
	/* masked: it waits, as one */
	entry(5, FIRST_IRQ, true);
	for (unsigned i = 0; i < 3; i++)
		set_reg(dev, TD_MSI, 5);
	CHECK(EVENTUALLY(uvfio_vm_bar_read(dev, 2, PBA, 8) == 1u << 5));
	CHECK(stays(FIRST_IRQ, 1));
	entry(5, FIRST_IRQ, false);
	CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ) == 2));
	CHECK(uvfio_vm_bar_read(dev, 2, PBA, 8) == 0);
	CHECK(stays(FIRST_IRQ, 2));
	/* another address while it is on: what comes next goes there (test 55) */
	entry(5, FIRST_IRQ + 8, false);
	set_reg(dev, TD_MSI, 5);
	CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + 8) == 1));
	CHECK(count_of(&g, FIRST_IRQ) == 2);
	/* no interrupt is not one elsewhere: memory is not written, nothing is raised */
	uvfio_vm_bar_write(dev, 2, TABLE + 16 * 5, 4, FREE_MEMORY);
	set_reg(dev, TD_MSI, 5);
	CHECK(stays(FIRST_IRQ + 8, 1) && !*(uint32_t *)(g.memory + FREE_MEMORY));
	end();
}

static unsigned tables, routes_now;
static int count_tables(void *ctx, const struct kvm_irq_routing_entry *e, unsigned n)
{
	struct kvm_irq_routing *r = calloc(1, sizeof(*r) + n * sizeof(*e));
	int rc;

	memcpy(r->entries, e, n * sizeof(*e));
	r->nr = n;
	rc = ioctl(((struct guest *)ctx)->fd, KVM_SET_GSI_ROUTING, r) ? -errno : 0;
	free(r);
	tables++;
	routes_now = n;
	return rc;
}

/* (test 59) 64 vectors by one table, set by the monitor, when the function mask is cleared. */
static void msix_in_one_go(void)
{
	struct uvfio_vm_kvm k = { .gsi_base = 100, .table = count_tables };

	if (!begin(IRQCHIP_SPLIT, &k, "testdev"))
		return;
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < 64; i++)
		entry(i, FIRST_IRQ + i, false);
	tables = 0;
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	CHECK(tables == 1 && routes_now == 64);
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	CHECK(tables == 1);
	set_reg(dev, TD_MSI_BURST, 64u << 16);
	for (unsigned i = 0; i < 64; i++)
		CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + i) == 1));
	msix_control(0);
	CHECK(tables == 2 && routes_now == 0);
	end();
}

/* (test 60) GSIs for six: the others go through the monitor, and free ones are used again. */
static void msix_without_gsis(void)
{
	struct uvfio_vm_kvm k = { .gsi_base = 4090 };

	if (!begin(IRQCHIP_FULL, &k, "testdev"))
		return;
	for (unsigned round = 1; round <= 2; round++) {
		msix_control(PCI_MSIX_FLAGS_ENABLE);
		for (unsigned i = 0; i < 16; i++)
			entry(i, FIRST_IRQ + i, false);
		CHECK(strstr(state_of(dev), "6 by kvm"));
		set_reg(dev, TD_MSI_BURST, 16u << 16);
		for (unsigned i = 0; i < 16; i++)
			CHECK(EVENTUALLY(count_of(&g, FIRST_IRQ + i) == round));
		msix_control(0);
	}
	end();
}

static atomic_bool storms;
static void *storm(void *arg)
{
	while (atomic_load(&storms))
		set_reg(dev, TD_MSI_BURST, 8u << 16);
	return NULL;
}

static unsigned sum(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		n += count_of(&g, FIRST_IRQ + i);
	return n;
}

/*
 * (tests 61, 62) On and off under a storm: no interrupt comes once it is off, no descriptor is
 * left, and the irqchip's pins have their routes.
 */
static void msix_under_a_storm(void)
{
	unsigned rounds = is_long ? 1000 : 40, files, before;
	pthread_t t;

	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	for (unsigned i = 0; i < 8; i++)
		entry(i, FIRST_IRQ + i, false);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	msix_control(0);
	files = test_count_fds();
	atomic_store(&storms, true);
	pthread_create(&t, NULL, storm, NULL);
	for (unsigned i = 0; i < rounds; i++) {
		before = sum();
		msix_control(PCI_MSIX_FLAGS_ENABLE);
		CHECK(EVENTUALLY(sum() > before));
		msix_control(0);
		guest_settle(&g);
		before = sum();
		if (i % 8)
			continue;
		nap_ms(5);
		guest_settle(&g);
		CHECK(sum() == before);
	}
	atomic_store(&storms, false);
	pthread_join(t, NULL);
	CHECK(test_count_fds() == files);
	set_reg(dev, TD_INTX, 1);
	CHECK(EVENTUALLY(count_of(&g, IRQ_A) == 1));
	end();
}

/* ---- BARs ---- */

/* (test 9's like) Accesses of all kinds, and DMA at the guest's addresses. */
static void registers_and_memory(void)
{
	unsigned exits;

	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	exits = atomic_load(&g.mmio_exits);
	CHECK(guest_do(&g, OP_LOAD, BAR_REGS + TD_ID, 0) == TD_ID_VALUE);
	CHECK(atomic_load(&g.mmio_exits) == exits + 1);
	guest_do(&g, OP_STORE, BAR_REGS + TD_SCRATCH32, 0x12345678);
	CHECK(guest_do(&g, OP_LOAD, BAR_REGS + TD_SCRATCH32, 0) == 0x12345678);
	guest_do(&g, OP_STORE, BAR0 + 0x100, 0x55667788);
	guest_do(&g, OP_STORE, BAR0 + 0x104, 0x11223344);
	CHECK(guest_do(&g, OP_LOAD8, BAR0 + 0x100, 0) == 0x1122334455667788);
	guest_do(&g, OP_OUT, BAR_PORTS + 8, 0xabcdef01);
	CHECK(guest_do(&g, OP_IN, BAR_PORTS + 8, 0) == 0xabcdef01);
	CHECK((uint32_t)guest_do(&g, OP_LOAD, 0x30000000, 0) == UINT32_MAX);
	/* the device writes the guest's memory */
	uvfio_vm_bar_write(dev, 2, TD_DMA_DST, 8, FREE_MEMORY);
	uvfio_vm_bar_write(dev, 2, TD_DMA_LEN, 8, 4096);
	set_reg(dev, TD_DMA_PATTERN, 0xfeedface);
	set_reg(dev, TD_DMA_CMD, TD_OP_FILL);
	CHECK(reg(dev, TD_DMA_STATUS) == TD_DMA_OK);
	CHECK(guest_do(&g, OP_LOAD, FREE_MEMORY + 4092, 0) == 0xfeedface);
	CHECK(guest_do(&g, OP_LOAD, FREE_MEMORY + 4096, 0) == 0);
	end();
}

/* (test 33) Decoding goes off and on again while the guest's processor is at the BAR. */
static void decoding_under_the_guest(uint32_t bar, uint32_t value)
{
	uint32_t n;

	guest_begin(&g, OP_SPIN, bar, 0);
	CHECK(EVENTUALLY(g.shared->spins > 10 && (uint32_t)g.shared->value == value));
	for (unsigned i = 0; i < 3; i++) {
		decode(dev, false);
		n = g.shared->spins;
		CHECK(EVENTUALLY(g.shared->spins > n + 10 &&
				 (uint32_t)g.shared->value == UINT32_MAX));
		decode(dev, true);
		CHECK(EVENTUALLY((uint32_t)g.shared->value == value));
	}
	guest_stop_op(&g);
}

/* (tests 33, 75) */
static void a_device_goes(void)
{
	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	decoding_under_the_guest(BAR_REGS + TD_ID, TD_ID_VALUE);
	guest_do(&g, OP_STORE, BAR0, 0x77);
	decoding_under_the_guest(BAR0, 0x77);
	/* it goes under the guest, and reads are all ones from then on */
	guest_begin(&g, OP_SPIN, BAR0, 0);
	CHECK(EVENTUALLY(g.shared->spins > 10));
	uvfio_vm_unassign(dev);
	CHECK(EVENTUALLY((uint32_t)g.shared->value == UINT32_MAX));
	guest_stop_op(&g);
	CHECK((uint32_t)guest_do(&g, OP_LOAD, BAR_REGS + TD_ID, 0) == UINT32_MAX);
	end();
}

/* (tests 27, 33) A model's BAR that is memory is the guest's, as a real device's. */
static void memory_of_a_model(void)
{
	uint32_t moved = BAR0 + 0x80000;
	unsigned exits;

	if (!begin(IRQCHIP_FULL, &plain, "testdev,ram_memory=on"))
		return;
	CHECK(guest_do(&g, OP_LOAD, BAR0, 0) == 0);
	exits = atomic_load(&g.mmio_exits);
	guest_do(&g, OP_STORE, BAR0 + 0x100, 0x55667788);
	CHECK(guest_do(&g, OP_LOAD, BAR0 + 0x100, 0) == 0x55667788);
	CHECK(uvfio_vm_bar_read(dev, 0, 0x100, 4) == 0x55667788);
	uvfio_vm_bar_write(dev, 0, 0x104, 4, 0x11223344);
	CHECK(guest_do(&g, OP_LOAD8, BAR0 + 0x100, 0) == 0x1122334455667788);
	CHECK(atomic_load(&g.mmio_exits) == exits);
	decoding_under_the_guest(BAR0 + 0x100, 0x55667788);
	/* it moves while it is live */
	set_config(dev, PCI_BASE_ADDRESS_0, 4, moved);
	exits = atomic_load(&g.mmio_exits);
	CHECK(guest_do(&g, OP_LOAD, moved + 0x100, 0) == 0x55667788);
	CHECK(atomic_load(&g.mmio_exits) == exits);
	CHECK((uint32_t)guest_do(&g, OP_LOAD, BAR0 + 0x100, 0) == UINT32_MAX);
	/* the device is reset, and the guest's registers are as after power-on */
	guest_begin(&g, OP_SPIN, moved + 0x100, 0);
	CHECK(EVENTUALLY(g.shared->spins > 10));
	CHECK(!uvfio_vm_reset_device(dev));
	CHECK(EVENTUALLY((uint32_t)g.shared->value == UINT32_MAX));
	set_config(dev, PCI_BASE_ADDRESS_0, 4, moved);
	decode(dev, true);
	CHECK(EVENTUALLY(!g.shared->value));
	uvfio_vm_unassign(dev);
	CHECK(EVENTUALLY((uint32_t)g.shared->value == UINT32_MAX));
	guest_stop_op(&g);
	end();
}

static atomic_bool hammers;
static void *hammer(void *arg)
{
	uint32_t at = 0;

	while (atomic_load(&hammers)) {
		uint64_t v = 0;

		uvfio_vm_mmio(g.vm, BAR_REGS + (at & 0xfffc), 4, &v, false);
		at += 0x104;
	}
	return NULL;
}

/* (test 72) A device is taken away while processors are at it and interrupts are on their way. */
static void unassigned_under_load(void)
{
	unsigned rounds = is_long ? 100 : 10, files = 0;
	pthread_t t[2];

	if (!begin(IRQCHIP_FULL, &plain, "testdev"))
		return;
	guest_begin(&g, OP_SPIN, BAR0, 0);
	atomic_store(&hammers, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, hammer, NULL);
	for (unsigned i = 0; i < rounds; i++) {
		if (i % 2) {
			for (unsigned k = 0; k < 8; k++)
				entry(k, FIRST_IRQ + k, false);
			msix_control(PCI_MSIX_FLAGS_ENABLE);
			set_reg(dev, TD_TIMER_VECTOR, 3);
		} else {
			set_reg(dev, TD_TIMER_VECTOR, TD_INTX_TIMER);
		}
		set_reg(dev, TD_TIMER, 200 * (i % 4));
		if (i % 2)
			set_reg(dev, TD_MSI_BURST, 8u << 16);
		uvfio_vm_unassign(dev);
		if (!i)
			files = test_count_fds();
		CHECK(test_count_fds() == files);
		dev = add(0, "testdev");
		CHECK(dev != NULL);
		if (!dev)
			break;
	}
	atomic_store(&hammers, false);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	guest_stop_op(&g);
	end();
}

/* ---- a real device: the kernel's vfio-pci has an edu ---- */

#define EDU_ID	   0x010000edu
#define EDU_STATUS 0x24
#define EDU_IRQ	   0x60 /* a write raises it */
#define EDU_ACK	   0x64

/*
 * Its INTx and MSI reach the guest, whose handler serves it by loads and stores: neither is seen in
 * user space. (tests 47, 53)
 */
static void real_interrupts(void)
{
	unsigned exits = atomic_load(&g.mmio_exits), n = 20, spurious;

	CHECK(strstr(state_of(dev), "INTX kvm gsi 18"));
	g.shared->end_offset = EDU_ACK - EDU_STATUS;
	g.shared->end_value = 1;
	g.shared->serve[0] = BAR0 + EDU_STATUS;
	for (unsigned i = 1; i <= n; i++) {
		uvfio_vm_bar_write(dev, 0, EDU_IRQ, 4, 1);
		if (!EVENTUALLY(g.shared->served == i))
			break;
	}
	nap_ms(30);
	spurious = guest_spurious(&g, IRQ_A);
	CHECK(g.shared->served == n && spurious < n / 4);
	g.shared->serve[0] = 0;
	msi_on(0, FIRST_IRQ + 3);
	CHECK(strstr(state_of(dev), "MSI 1 of 1 vectors, 1 by kvm"));
	for (unsigned i = 1; i <= n; i++) {
		uvfio_vm_bar_write(dev, 0, EDU_IRQ, 4, 1);
		if (!EVENTUALLY(count_of(&g, FIRST_IRQ + 3) == i))
			break;
		uvfio_vm_bar_write(dev, 0, EDU_ACK, 4, 1);
	}
	CHECK(stays(FIRST_IRQ + 3, n) && count_of(&g, IRQ_A) == n + spurious);
	msi_off();
	CHECK(atomic_load(&g.mmio_exits) == exits);
}

/* (tests 7, 27, 33) */
static void a_real_device(void)
{
	struct kvm_create_device d = { .type = KVM_DEV_TYPE_VFIO };
	unsigned exits;
	bool ok;

	ok = new_vm(IRQCHIP_FULL, &plain);
	/* a guest without real devices has no VFIO device of KVM's: it can be made */
	CHECK(ok && !ioctl(g.fd, KVM_CREATE_DEVICE, &d));
	if (!ok)
		return;
	close((int)d.fd);
	uvfio_vm_free(g.vm);
	guest_free(&g);
	ok = new_vm(IRQCHIP_FULL, &plain) && !uvfio_vm_assign(g.vm, host_device, NULL, &dev);
	CHECK(ok);
	if (!ok) {
		printf("     %s\n", uvfio_vm_strerror(g.vm));
		return;
	}
	/* KVM knows the file: it has its VFIO device, and only one can be had */
	d.type = KVM_DEV_TYPE_VFIO;
	FAILS(ioctl(g.fd, KVM_CREATE_DEVICE, &d), EBUSY);
	set_config(dev, PCI_BASE_ADDRESS_0, 4, BAR0);
	decode(dev, true);
	printf("     %s\n", state_of(dev));
	CHECK(guest_start(&g));
	/* a load of the guest reaches the device, and not the monitor */
	exits = atomic_load(&g.mmio_exits);
	CHECK(guest_do(&g, OP_LOAD, BAR0, 0) == EDU_ID);
	CHECK(guest_do(&g, OP_LOAD, BAR0, 0) == EDU_ID);
	CHECK(atomic_load(&g.mmio_exits) == exits);
	real_interrupts();
	decoding_under_the_guest(BAR0, EDU_ID);
	CHECK(!atomic_load(&g.error));
	uvfio_vm_unassign(dev);
	CHECK((uint32_t)guest_do(&g, OP_LOAD, BAR0, 0) == UINT32_MAX);
	CHECK(atomic_load(&g.mmio_exits) > exits);
	/* and again, trapped */
	CHECK(!uvfio_vm_assign(g.vm, host_device, "mmap=off", &dev));
	set_config(dev, PCI_BASE_ADDRESS_0, 4, BAR0);
	decode(dev, true);
	exits = atomic_load(&g.mmio_exits);
	CHECK(guest_do(&g, OP_LOAD, BAR0, 0) == EDU_ID);
	CHECK(atomic_load(&g.mmio_exits) == exits + 1);
	end();
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "long"))
			is_long = true;
		else
			host_device = argv[i];
	}
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0) {
		perror("/dev/kvm");
		return 2;
	}
	RUN(the_machine);
	RUN(registers_and_memory);
	RUN(intx_by_resample);
	RUN(intx_of_a_split_irqchip);
	RUN(intx_moves);
	RUN(intx_shared);
	RUN(msi);
	RUN(msix);
	RUN(msix_in_one_go);
	RUN(msix_without_gsis);
	RUN(msix_under_a_storm);
	RUN(a_device_goes);
	RUN(memory_of_a_model);
	RUN(unassigned_under_load);
	if (host_device)
		RUN(a_real_device);
	return any_failed;
}
