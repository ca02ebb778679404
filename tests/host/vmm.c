/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/host/vmm.c: `host_vmm EDU IGB` assigns two devices to a guest by uvfio/vmm.h, and is the
 * guest's driver: interrupts of all kinds. The devices are models of uvfio's ("edu", "igb") or
 * addresses of real ones, by the same calls (tests/host.sh). The numbers are those of docs/vmm.md.
 */
#include <linux/pci_regs.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uvfio/vmm.h"
#include "base/test_count.h"
#include "lib/cases.h"

#define RAM	(1ull << 20)
#define MMIO	0x80000000ull /* where BARs are put, each in 16 MiB */
#define STEP	(16ull << 20)
#define ADDRESS 0xfee00000u
#define PATIENT 5000 /* ms; what comes comes sooner */

static const char *edu, *igb;

/* ---- a monitor ---- */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;
static void *ram;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below; a leaf */
static int level;
static unsigned raised, messages;
static unsigned of[256]; /* messages by their data */
static uint64_t address;
static void *host_bar0; /* BAR0 without a trap, from its first byte on; NULL: it is trapped */
static unsigned maps;

static void intx(void *ctx, struct uvfio_vm_device *d, unsigned pin, bool up)
{
	(void)ctx;
	(void)d;
	(void)pin;
	pthread_mutex_lock(&lock);
	level += up ? 1 : -1;
	raised += up;
	pthread_mutex_unlock(&lock);
}

static void msi(void *ctx, struct uvfio_vm_device *d, uint64_t to, uint32_t data)
{
	(void)ctx;
	(void)d;
	pthread_mutex_lock(&lock);
	messages++;
	address = to;
	of[data & 0xff]++;
	pthread_mutex_unlock(&lock);
}

static int bar_map(void *ctx, struct uvfio_vm_device *d, unsigned bar, uint64_t gpa, uint64_t size,
		   void *host, bool readonly)
{
	(void)ctx;
	(void)d;
	(void)size;
	(void)readonly;
	pthread_mutex_lock(&lock);
	if (!bar && gpa == MMIO) {
		host_bar0 = host;
		maps++;
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *d, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	(void)ctx;
	(void)d;
	(void)size;
	pthread_mutex_lock(&lock);
	if (!bar && gpa == MMIO)
		host_bar0 = NULL;
	pthread_mutex_unlock(&lock);
}

static unsigned get(const unsigned *what)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = *what;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- the guest ---- */

static uint32_t cfg(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(dev, at, size);
}

static void cfg_write(unsigned at, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(dev, at, size, value);
}

static uint64_t load(unsigned bar, uint64_t at, unsigned size)
{
	uint64_t v = 0;

	CHECK(uvfio_vm_mmio(vm, MMIO + bar * STEP + at, size, &v, false) == 0);
	return v;
}

static void store(unsigned bar, uint64_t at, unsigned size, uint64_t v)
{
	CHECK(uvfio_vm_mmio(vm, MMIO + bar * STEP + at, size, &v, true) == 0);
}

static unsigned cap(unsigned id)
{
	unsigned at = cfg(PCI_CAPABILITY_LIST, 1);

	while (at && cfg(at, 1) != id)
		at = cfg(at + 1, 1);
	CHECK(at);
	return at;
}

static const struct uvfio_vm_irq_ops irq_ops = { .intx = intx, .msi = msi };

static struct uvfio_vm *new_guest(void)
{
	static const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };
	struct uvfio_vm *v = uvfio_vm_new(&ops, NULL);

	CHECK(v && uvfio_vm_use_irq_ops(v, &irq_ops, NULL) == 0);
	return v;
}

/* Assign a device, and have its BARs live. */
static void begin(const char *spec, const char *options)
{
	const struct uvfio_vm_memory m = { .size = RAM, .host = ram, .fd = -1 };

	level = 0;
	raised = messages = maps = 0;
	memset(of, 0, sizeof(of));
	vm = new_guest();
	CHECK(uvfio_vm_memory_add(vm, &m) == 0);
	if (uvfio_vm_assign(vm, spec, options, &dev)) {
		printf("     %s\n", uvfio_vm_strerror(vm));
		exit(1);
	}
	for (unsigned i = 0; i < 6; i++) {
		struct uvfio_vm_bar b;

		CHECK(uvfio_vm_bar_info(dev, i, &b) == 0);
		if (b.size && !b.io)
			cfg_write(PCI_BASE_ADDRESS_0 + 4 * i, 4, (uint32_t)(MMIO + i * STEP));
	}
	cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void finish(void)
{
	uvfio_vm_free(vm);
	CHECK(level == 0);
	CHECK(!host_bar0);
}

/* Dispatch until *@what is @n, or for too long; and whatever else there is at once. */
static void dispatch_until(const unsigned *what, unsigned n)
{
	while (get(what) < n && uvfio_vm_dispatch(vm, PATIENT) > 0)
		;
	while (uvfio_vm_dispatch(vm, 0) > 0)
		;
	CHECK(get(what) == n);
}

/* ---- edu (docs/specs/edu.rst of QEMU) ---- */

enum { EDU_ID = 0, EDU_IRQ = 0x24, EDU_RAISE = 0x60, EDU_ACK = 0x64 };
#define EDU_ID_VALUE 0x010000edu

/* A device twice, for one guest and for two (tests 1, 2). */
static void twice(void)
{
	struct uvfio_vm_device *again;
	struct uvfio_vm *other;
	const char *addr;

	begin(edu, NULL);
	CHECK(cfg(0, 4) == 0x11e81234);
	CHECK(load(0, EDU_ID, 4) == EDU_ID_VALUE);
	addr = uvfio_vm_device_name(dev);
	CHECK(uvfio_vm_assign(vm, addr, NULL, &again) == -EBUSY);
	if (strchr(edu, ':')) {
		other = new_guest();
		CHECK(uvfio_vm_assign(other, addr, NULL, &again) == -EBUSY);
		uvfio_vm_free(other);
	}
	finish();
}

/* INTx, whose end an access of a BAR is; DisINTx (tests 44, 51). */
static void line(void)
{
	begin(edu, "mmap=off,intx_timeout=0");
	for (unsigned i = 1; i <= 20; i++) {
		unsigned before = raised;

		store(0, EDU_RAISE, 4, i);
		dispatch_until(&raised, before + 1);
		CHECK(level == 1);
		/* its driver looks, and it is asserted still: again */
		CHECK(load(0, EDU_IRQ, 4) == i);
		dispatch_until(&raised, before + 2);
		store(0, EDU_ACK, 4, i);
		CHECK(level == 0);
		dispatch_until(&raised, before + 2);
	}
	cfg_write(PCI_COMMAND, 2,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	store(0, EDU_RAISE, 4, 1);
	CHECK(uvfio_vm_dispatch(vm, 20) == 0);
	raised = 0;
	cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	dispatch_until(&raised, 1);
	store(0, EDU_ACK, 4, 1);
	CHECK(level == 0);
	finish();
}

/* A BAR without traps has them from an interrupt until there was none for a while (44, 45). */
static void direct(void)
{
	begin(edu, "intx_timeout=50");
	if (strchr(edu, ':'))
		CHECK(host_bar0);
	for (unsigned i = 1; i <= 3 && host_bar0; i++) {
		CHECK(*(volatile uint32_t *)host_bar0 == EDU_ID_VALUE);
		*(volatile uint32_t *)((char *)host_bar0 + EDU_RAISE) = 1;
		raised = 0;
		dispatch_until(&raised, 1);
		CHECK(level == 1 && !host_bar0);
		store(0, EDU_ACK, 4, 1);
		CHECK(level == 0);
		while (!host_bar0 && uvfio_vm_dispatch(vm, PATIENT) > 0)
			;
		CHECK(host_bar0 && maps == i + 1);
	}
	finish();
}

static void msi_on(uint32_t to, uint16_t data)
{
	unsigned c = cap(PCI_CAP_ID_MSI);

	cfg_write(c + PCI_MSI_ADDRESS_LO, 4, to);
	cfg_write(c + PCI_MSI_DATA_64, 2, data);
	cfg_write(c + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
}

/* MSI, also to another address; and back to INTx (tests 53, 55). */
static void message(void)
{
	begin(edu, "mmap=off,intx_timeout=0");
	msi_on(ADDRESS, 0x31);
	for (unsigned i = 1; i <= 50; i++) {
		store(0, EDU_RAISE, 4, 1);
		dispatch_until(&of[0x31], i);
		store(0, EDU_ACK, 4, 1);
	}
	CHECK(address == ADDRESS && messages == 50);
	store(0, EDU_RAISE, 4, 1);
	/* it is under way, or there: to the new place in either case, and it comes once */
	msi_on(ADDRESS + 0x1000, 0x32);
	dispatch_until(&messages, 51);
	CHECK(address == ADDRESS + 0x1000 && of[0x32] == 1);
	store(0, EDU_ACK, 4, 1);
	cfg_write(cap(PCI_CAP_ID_MSI) + PCI_MSI_FLAGS, 2, 0);
	CHECK(!(cfg(cap(PCI_CAP_ID_MSI) + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE));
	store(0, EDU_RAISE, 4, 1);
	dispatch_until(&raised, 1);
	store(0, EDU_ACK, 4, 1);
	CHECK(level == 0 && messages == 51);
	finish();
}

/* ---- 82576: interrupts by software (its datasheet, 8.8) ---- */

enum { GPIE = 0x1514, EICS = 0x1520, EIMS = 0x1524, EIAC = 0x152c };
#define VECTORS 10u /* that are used here, of 25 */
#define ALL	((1u << VECTORS) - 1)

static unsigned table_bar, pba_bar;
static uint64_t table, pba;

static void begin_igb(void)
{
	unsigned c;

	begin(igb, NULL);
	c = cap(PCI_CAP_ID_MSIX);
	CHECK((cfg(c + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) >= VECTORS - 1);
	table_bar = cfg(c + PCI_MSIX_TABLE, 4) & 7;
	table = cfg(c + PCI_MSIX_TABLE, 4) & ~7u;
	pba_bar = cfg(c + PCI_MSIX_PBA, 4) & 7;
	pba = cfg(c + PCI_MSIX_PBA, 4) & ~7u;
}

static void entry(unsigned i, bool masked)
{
	store(table_bar, table + 16 * i, 8, ADDRESS);
	store(table_bar, table + 16 * i + 8, 8, i | (uint64_t)masked << 32);
}

static void msix_control(uint16_t flags)
{
	cfg_write(cap(PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2, flags);
}

/* Have the chip interrupt by vectors, and forget each cause with its message. */
static void chip_on(void)
{
	store(0, GPIE, 4, 1u << 4 | 1u << 31); /* multiple MSI-X, PBA support */
	store(0, EIAC, 4, ALL);
	store(0, EIMS, 4, ALL);
}

static uint32_t pending(void)
{
	return (uint32_t)load(pba_bar, pba, 8);
}

/* Vectors in any order; masked ones wait, as one message; the function mask (56, 57, 58, 59). */
static void vectors(void)
{
	static const unsigned order[] = { 5, 0, 9 };

	begin_igb();
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	chip_on();
	for (unsigned k = 0; k < 3; k++) {
		entry(order[k], false);
		for (unsigned i = 0; i <= k; i++) {
			unsigned before = of[order[i]];

			store(0, EICS, 4, 1u << order[i]);
			dispatch_until(&of[order[i]], before + 1);
		}
	}
	entry(9, true);
	messages = 0;
	for (int i = 0; i < 3; i++)
		store(0, EICS, 4, 1u << 9);
	CHECK(uvfio_vm_dispatch(vm, 20) == 0);
	CHECK(pending() == 1u << 9);
	entry(9, false);
	dispatch_until(&messages, 1);
	CHECK(pending() == 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < VECTORS; i++)
		entry(i, false);
	store(0, EICS, 4, 1u << 5);
	CHECK(uvfio_vm_dispatch(vm, 20) == 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	dispatch_until(&messages, 2);
	messages = 0;
	store(0, EICS, 4, ALL);
	dispatch_until(&messages, VECTORS);
	finish();
}

static atomic_bool stop;

static void *storm(void *arg)
{
	(void)arg;
	while (!stop) {
		uvfio_vm_bar_write(dev, 0, EICS, 4, ALL);
		sched_yield();
	}
	return NULL;
}

/* On and off under a storm: nothing comes once it is off, and nothing stays open (test 62). */
static void on_and_off(void)
{
	pthread_t thread;
	unsigned before, files;

	begin_igb();
	for (unsigned i = 0; i < VECTORS; i++)
		entry(i, false);
	chip_on();
	stop = false;
	CHECK(uvfio_vm_start_thread(vm) == 0);
	CHECK(pthread_create(&thread, NULL, storm, NULL) == 0);
	files = test_count_fds();
	for (unsigned round = 0; round < 100; round++) {
		before = get(&messages);
		msix_control(PCI_MSIX_FLAGS_ENABLE);
		for (int ms = 0; round % 10 == 0 && get(&messages) == before && ms < PATIENT; ms++)
			usleep(1000);
		CHECK(round % 10 || get(&messages) != before);
		msix_control(0);
		before = get(&messages);
		sched_yield();
		CHECK(get(&messages) == before);
	}
	CHECK(test_count_fds() == files);
	stop = true;
	pthread_join(thread, NULL);
	finish();
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	edu = argv[1];
	igb = argv[2];
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		return 2;
	RUN(twice);
	RUN(line);
	RUN(direct);
	RUN(message);
	RUN(vectors);
	RUN(on_and_off);
	return any_failed;
}
