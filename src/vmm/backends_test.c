/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/backends_test.c: one scripted driver of testdev on a guest with each way for interrupts, by
 * callbacks or past the monitor, and with BARs that are mapped or trapped: what the guest sees is
 * the same to the letter. (test 82) The bypass is what KVM does with eventfds: routes, irqfds,
 * resample.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/vmm.h"
#include "base/log.h"
#include "models/testdev/regs.h"

#define RAM_SIZE 0x100000u
#define RAM_BAR	 0xc0000000u /* BAR0: memory */
#define REGS_BAR 0xc0100000u /* BAR2: registers, and the MSI-X table */
#define TABLE	 0x8000u
#define PBA	 0x4000u
#define MESSAGE	 0xfee01000u
#define LINE	 10

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;
static uint8_t *ram;
static FILE *seen; /* what the guest sees, a line each */

/* ---- the guest's interrupt controllers ---- */

static bool line;

static void set_line(bool up)
{
	if (line != up)
		fprintf(seen, "line %s\n", up ? "up" : "down");
	line = up;
}

static void on_intx(void *ctx, struct uvfio_vm_device *of, unsigned pin, bool up)
{
	set_line(up);
}

static void on_msi(void *ctx, struct uvfio_vm_device *of, uint64_t address, uint32_t data)
{
	fprintf(seen, "message 0x%x to 0x%llx\n", data, (unsigned long long)address);
}

static int intx_gsi(void *ctx, struct uvfio_vm_device *of, unsigned pin)
{
	return LINE;
}

#define FIRST_GSI 24
#define GSIS	  64

static struct gsi {
	bool route;
	uint64_t address;
	uint32_t data;
	int eventfd, resamplefd; /* -1: none */
} gsis[FIRST_GSI + GSIS];

static int route_add(void *ctx, struct uvfio_vm_device *of, uint64_t address, uint32_t data)
{
	for (int i = FIRST_GSI; i < FIRST_GSI + GSIS; i++)
		if (!gsis[i].route) {
			gsis[i] = (struct gsi){ true, address, data, -1, -1 };
			return i;
		}
	return -ENOSPC;
}

static int route_update(void *ctx, int gsi, uint64_t address, uint32_t data)
{
	gsis[gsi].address = address;
	gsis[gsi].data = data;
	return 0;
}

static void route_del(void *ctx, int gsi)
{
	assert_int_equal(gsis[gsi].eventfd, -1);
	gsis[gsi].route = false;
}

static int route_commit(void *ctx)
{
	return 0;
}

static int irqfd(void *ctx, int eventfd, int gsi, int resamplefd, bool assign)
{
	struct gsi *g = &gsis[gsi];

	assert_int_equal(g->eventfd, assign ? -1 : eventfd);
	g->eventfd = assign ? eventfd : -1;
	g->resamplefd = assign ? resamplefd : -1;
	if (!assign && gsi == LINE)
		set_line(false);
	return 0;
}

/* All that has come is delivered, as KVM does or as the monitor does. */
static void deliver(void)
{
	eventfd_t n;

	while (uvfio_vm_dispatch(vm, 0) > 0)
		;
	for (int i = 0; i < FIRST_GSI + GSIS; i++) {
		struct pollfd p = { .fd = gsis[i].eventfd, .events = POLLIN };

		if (gsis[i].eventfd < 0 || poll(&p, 1, 0) != 1 || eventfd_read(p.fd, &n))
			continue;
		if (i == LINE)
			set_line(true);
		else
			on_msi(NULL, dev, gsis[i].address, gsis[i].data);
	}
}

/* The line comes up, soon: what resamples lets the device interrupt in a thread of its own. */
static void await_line(void)
{
	for (unsigned i = 0; i < 5000 && !line; i++) {
		deliver();
		if (!line)
			usleep(1000);
	}
	assert_true(line);
}

/* The guest ends the interrupt of the line. */
static void end_of_interrupt(void)
{
	if (gsis[LINE].resamplefd >= 0) {
		set_line(false);
		eventfd_write(gsis[LINE].resamplefd, 1);
	} else {
		uvfio_vm_intx_eoi(vm, LINE);
	}
}

/* ---- BARs: a piece that is mapped is reached without the library ---- */

static struct piece {
	uint64_t gpa, size;
	uint8_t *host;
} pieces[8];
static unsigned num_mapped; /* so far */

static int bar_map(void *ctx, struct uvfio_vm_device *of, unsigned bar, uint64_t gpa, uint64_t size,
		   void *host, bool readonly)
{
	for (unsigned i = 0; i < 8; i++)
		if (!pieces[i].size) {
			pieces[i] = (struct piece){ gpa, size, host };
			num_mapped++;
			return 0;
		}
	return -ENOSPC;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *of, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	for (unsigned i = 0; i < 8; i++)
		if (pieces[i].size == size && pieces[i].gpa == gpa) {
			pieces[i].size = 0;
			return;
		}
	fail_msg("nothing is mapped there");
}

static uint8_t *mapped_at(uint64_t at)
{
	for (unsigned i = 0; i < 8; i++)
		if (at - pieces[i].gpa < pieces[i].size)
			return pieces[i].host + (at - pieces[i].gpa);
	return NULL;
}

/* ---- what the driver does: all that it reads is seen ---- */

static uint64_t load(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	if (mapped_at(at))
		memcpy(&v, mapped_at(at), size);
	else if (uvfio_vm_mmio(vm, at, size, &v, false))
		v = UINT64_MAX >> (64 - 8 * size);
	fprintf(seen, "0x%llx is 0x%llx\n", (unsigned long long)at, (unsigned long long)v);
	return v;
}

static void store(uint64_t at, unsigned size, uint64_t v)
{
	if (mapped_at(at))
		memcpy(mapped_at(at), &v, size);
	else
		uvfio_vm_mmio(vm, at, size, &v, true);
	deliver();
}

static uint32_t config(unsigned at, unsigned size)
{
	uint32_t v = uvfio_vm_config_read(dev, at, size);

	fprintf(seen, "config 0x%x is 0x%x\n", at, v);
	return v;
}

static void set_config(unsigned at, unsigned size, uint32_t v)
{
	uvfio_vm_config_write(dev, at, size, v);
	deliver();
}

static unsigned find_cap(unsigned id)
{
	unsigned at = config(PCI_CAPABILITY_LIST, 1);

	while (at && config(at, 1) != id)
		at = config(at + 1, 1);
	assert_true(at);
	return at;
}

static void place(uint16_t command)
{
	set_config(PCI_COMMAND, 2, 0);
	for (unsigned i = 0; i < 6; i++) {
		set_config(PCI_BASE_ADDRESS_0 + 4 * i, 4, 0xffffffff);
		config(PCI_BASE_ADDRESS_0 + 4 * i, 4);
		set_config(PCI_BASE_ADDRESS_0 + 4 * i, 4, 0);
	}
	set_config(PCI_BASE_ADDRESS_0, 4, RAM_BAR);
	set_config(PCI_BASE_ADDRESS_2, 4, REGS_BAR);
	set_config(PCI_COMMAND, 2, command);
}

static void memory_of_the_device(void)
{
	for (unsigned i = 0; i < 64; i++)
		store(RAM_BAR + i * 0x208, 1u << i % 4, 0x0102030405060708ull * i);
	for (unsigned i = 0; i < 64; i++)
		load(RAM_BAR + i * 0x208 + i % 8 / 4 * 4, 4);
	/* the device reads what the processor wrote there, and writes what it reads */
	store(REGS_BAR + TD_DMA_SRC, 8, 0);
	store(REGS_BAR + TD_DMA_DST, 8, 0x8000);
	store(REGS_BAR + TD_DMA_LEN, 8, 0x4000);
	store(REGS_BAR + TD_DMA_CMD, 4, TD_OP_STORE);
	load(REGS_BAR + TD_DMA_STATUS, 4);
	for (unsigned i = 0; i < 64; i++)
		fprintf(seen, "memory 0x%x\n", ram[0x8000 + i * 0x208]);
	memset(ram + 0x8000, 0x5a, 0x4000);
	store(REGS_BAR + TD_DMA_SRC, 8, 0x8000);
	store(REGS_BAR + TD_DMA_DST, 8, 0);
	store(REGS_BAR + TD_DMA_CMD, 4, TD_OP_LOAD);
	load(RAM_BAR + 0x208, 8);
	load(RAM_BAR + 0x3ff8, 8);
	/* away, and back */
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	load(RAM_BAR + 0x208, 8);
	set_config(PCI_BASE_ADDRESS_0, 4, RAM_BAR + 0x1000000);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	load(RAM_BAR + 0x208, 8);
	load(RAM_BAR + 0x1000208, 8);
	set_config(PCI_BASE_ADDRESS_0, 4, RAM_BAR);
	load(RAM_BAR + 0x208, 8);
}

static void by_line(void)
{
	for (unsigned i = 0; i < 3; i++) {
		store(REGS_BAR + TD_INTX, 4, 1);
		await_line();
		load(RAM_BAR, 8); /* while it is pending */
		store(REGS_BAR + TD_INTX, 4, 0);
		end_of_interrupt();
		deliver();
	}
	/* masked by the guest: when it is let through, it comes */
	set_config(PCI_COMMAND, 2,
		   PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	store(REGS_BAR + TD_INTX, 4, 1);
	set_config(PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	await_line();
	store(REGS_BAR + TD_INTX, 4, 0);
	end_of_interrupt();
	deliver();
}

static void by_msi(void)
{
	unsigned cap = find_cap(PCI_CAP_ID_MSI);

	set_config(cap + PCI_MSI_ADDRESS_LO, 4, MESSAGE);
	set_config(cap + PCI_MSI_DATA_64, 2, 0x40);
	set_config(cap + PCI_MSI_FLAGS, 2, 2 << 4 | PCI_MSI_FLAGS_ENABLE);
	load(REGS_BAR + TD_IRQ_MODE, 4);
	for (unsigned i = 0; i < 6; i++)
		store(REGS_BAR + TD_MSI, 4, i);
	set_config(cap + PCI_MSI_DATA_64, 2, 0x48);
	store(REGS_BAR + TD_MSI, 4, 3);
	set_config(cap + PCI_MSI_FLAGS, 2, 0);
	store(REGS_BAR + TD_MSI, 4, 1);
}

static void entry(unsigned i, uint32_t data, uint32_t control)
{
	uint64_t at = REGS_BAR + TABLE + i * PCI_MSIX_ENTRY_SIZE;

	store(at, 8, MESSAGE);
	store(at + PCI_MSIX_ENTRY_DATA, 4, data);
	store(at + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, control);
}

static void by_msix(void)
{
	unsigned cap = find_cap(PCI_CAP_ID_MSIX);

	set_config(cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	load(REGS_BAR + TD_IRQ_MODE, 4);
	for (unsigned i = 0; i < 8; i++)
		entry(i, 0x50 + i, i == 3);
	store(REGS_BAR + TD_MSI, 4, 2);
	set_config(cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	store(REGS_BAR + TD_MSI_BURST, 4, 8 << 16);
	load(REGS_BAR + PBA, 8);
	entry(3, 0x63, 0);
	load(REGS_BAR + PBA, 8);
	load(REGS_BAR + TABLE + 3 * PCI_MSIX_ENTRY_SIZE, 8);
	entry(63, 0x70, 0);
	store(REGS_BAR + TD_MSI, 4, 63);
	set_config(cap + PCI_MSIX_FLAGS, 2, 0);
	store(REGS_BAR + TD_MSI, 4, 63);
}

static void script(void)
{
	place(PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	memory_of_the_device();
	by_line();
	by_msi();
	by_line();
	by_msix();
	by_line();
	assert_int_equal(uvfio_vm_reset_device(dev), 0);
	load(RAM_BAR, 8);
	config(PCI_BASE_ADDRESS_0, 4);
	place(PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	load(RAM_BAR + 0x208, 8);
	by_msix();
}

/* Return what a guest sees, which is the caller's to free. */
static char *run(bool bypass, bool mapped)
{
	static const struct uvfio_vm_irq_ops calls = {
		.intx = on_intx, .msi = on_msi, .exact_eoi = true, .intx_gsi = intx_gsi
	};
	static const struct uvfio_vm_irq_ops past = { .intx = on_intx,
						      .msi = on_msi,
						      .intx_gsi = intx_gsi,
						      .route_add = route_add,
						      .route_update = route_update,
						      .route_del = route_del,
						      .route_commit = route_commit,
						      .irqfd = irqfd };
	const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };
	struct uvfio_vm_memory m = { .size = RAM_SIZE, .fd = -1 };
	char *text = NULL;
	size_t size = 0;

	seen = open_memstream(&text, &size);
	assert_non_null(seen);
	line = false;
	num_mapped = 0;
	for (unsigned i = 0; i < FIRST_GSI + GSIS; i++)
		gsis[i].eventfd = gsis[i].resamplefd = -1;
	vm = uvfio_vm_new(&ops, NULL);
	assert_non_null(vm);
	assert_int_equal(uvfio_vm_use_irq_ops(vm, bypass ? &past : &calls, NULL), 0);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(ram != MAP_FAILED);
	m.host = ram;
	assert_int_equal(uvfio_vm_memory_add(vm, &m), 0);
	if (uvfio_vm_assign(vm, "testdev,ram_memory=on", mapped ? NULL : "mmap=off", &dev))
		fail_msg("%s", uvfio_vm_strerror(vm));
	script();
	uvfio_vm_free(vm);
	munmap(ram, RAM_SIZE);
	assert_false(line);
	assert_int_equal(!!num_mapped, mapped);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pieces[i].size, 0);
	assert_int_equal(fclose(seen), 0);
	return text;
}

/* Say where two differ first. */
static void compare(const char *name, const char *want, const char *got)
{
	unsigned n = 1;

	while (*want && *want == *got) {
		n += *want == '\n';
		want++;
		got++;
	}
	if (*want || *got)
		fail_msg("%s: line %u: '%.60s', not '%.60s'", name, n, got, want);
}

static void the_guest_sees_the_same(void **state)
{
	char *first, *other;

	log_set(2, LOG_ERR);
	first = run(false, false);
	/* there is something to compare */
	assert_non_null(strstr(first, "message 0x70 to 0xfee01000\n"));
	assert_non_null(strstr(first, "line up\n0xc0000000 is"));
	other = run(false, true);
	compare("callbacks, mapped", first, other);
	free(other);
	other = run(true, false);
	compare("irqfds, trapped", first, other);
	free(other);
	other = run(true, true);
	compare("irqfds, mapped", first, other);
	free(other);
	free(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_guest_sees_the_same) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
