/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/memory_bar_test.c: a software device whose BAR is plain memory (testdev, ram_memory=on),
 * which a guest reaches without a trap: it is one memory, by whatever way; when the device does not
 * answer it is away, as a real device's; and DMA of another device is an access of the BAR (tests
 * 21, 27, 33).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/util.h"
#include "vmm/internal.h"

#define K4  PAGE_SIZE_4K
#define RAM 0x10000u /* testdev's BAR0 */

/* testdev (docs/testdev.md) */
#define AT0	      0x10000000u
#define AT2	      0x20000000u
#define TD_WRITES     0x00cu
#define TD_SCRATCH32  0x024u
#define TD_DMA_SRC    0x080u
#define TD_DMA_DST    0x088u
#define TD_DMA_LEN    0x090u
#define TD_DMA_CMD    0x098u
#define TD_DMA_STATUS 0x09cu
#define TD_COPY	      1u
#define TD_OK	      2u
#define TD_FAULT      3u

static struct {
	struct uvfio_vm *vm;
	/* what bar_map() gave last: one BAR alone is memory */
	uint32_t *host;
	uint64_t gpa, size;
	unsigned maps;
} g;

static void intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
}

static void msi(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
}

static int bar_map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		   uint64_t size, void *host, bool readonly)
{
	assert_int_equal(bar, 0);
	assert_false(readonly);
	g.host = host;
	g.gpa = gpa;
	g.size = size;
	g.maps++;
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	assert_true(gpa == g.gpa && size == g.size);
	g.maps--;
}

static struct uvfio_vm_device *assign(const char *spec, const char *options, uint32_t at)
{
	struct uvfio_vm_device *dev = NULL;

	assert_int_equal(uvfio_vm_assign(g.vm, spec, options, &dev), 0);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0, 4, AT0 + at);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_1, 4, 0);
	uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_2, 4, AT2 + at);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return dev;
}

static int setup(void **state)
{
	const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };
	const struct uvfio_vm_irq_ops irq = { .intx = intx, .msi = msi };

	memset(&g, 0, sizeof(g));
	g.vm = uvfio_vm_new(&ops, NULL);
	return !g.vm || uvfio_vm_use_irq_ops(g.vm, &irq, NULL);
}

static int teardown(void **state)
{
	uvfio_vm_free(g.vm);
	return g.maps != 0;
}

static uint64_t load(uint64_t gpa, unsigned size)
{
	uint64_t value = 0;

	assert_int_equal(uvfio_vm_mmio(g.vm, gpa, size, &value, false), 0);
	return value;
}

static void store(uint64_t gpa, unsigned size, uint64_t value)
{
	assert_int_equal(uvfio_vm_mmio(g.vm, gpa, size, &value, true), 0);
}

/* True if a processor could read at the host's address. */
static bool can_read(void)
{
	int fds[2];
	bool can;

	assert_int_equal(pipe(fds), 0);
	can = write(fds[1], g.host, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return can;
}

static void test_one_memory(void **state)
{
	struct uvfio_vm_device *dev = assign("testdev,ram_memory=on", NULL, 0);

	assert_int_equal(g.maps, 1);
	assert_true(g.gpa == AT0 && g.size == RAM);
	g.host[5] = 0x600d;
	assert_int_equal(load(AT0 + 20, 4), 0x600d);
	store(AT0 + RAM - 8, 8, 0x1122334455667788);
	assert_int_equal(g.host[RAM / 4 - 1], 0x11223344);
	/* what is trapped beside it is the model, which heard of none of that */
	store(AT2 + TD_SCRATCH32, 4, 1);
	assert_int_equal(load(AT2 + TD_WRITES, 4), 1);
	uvfio_vm_unassign(dev);
	assert_int_equal(g.maps, 0);
	/* as of any BAR */
	dev = assign("testdev,ram_memory=on", "mmap=off", 0);
	assert_int_equal(g.maps, 0);
	assert_int_equal(load(AT0 + 20, 4), 0);
	uvfio_vm_unassign(dev);
}

/* It goes when the device goes away under the guest, who is told by a fault. */
static void test_away(void **state)
{
	struct uvfio_vm_device *dev = assign("testdev,ram_memory=on", NULL, 0);
	uint16_t command = 0;

	g.host[5] = 0x600d;
	assert_true(can_read());
	assert_int_equal(uvfio_vm_fault(g.vm), 0);
	/* somebody else writes */
	assert_true(vm_device_rw(dev, 7, PCI_COMMAND, &command, 2, true));
	assert_false(can_read());
	assert_int_equal(g.maps, 1);
	assert_int_equal(uvfio_vm_fault(g.vm), 1);
	assert_int_equal(g.maps, 0);
	assert_int_equal(load(AT0 + 20, 4), UINT32_MAX);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(g.maps == 1 && can_read());
	assert_int_equal(g.host[5], 0x600d);
	/* the guest itself: it is not mapped any more before it is away */
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, 0);
	assert_int_equal(g.maps, 0);
	assert_false(can_read());
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(g.maps == 1 && can_read());
	uvfio_vm_unassign(dev);
}

static uint32_t copy(uint32_t at, uint64_t src, uint64_t dst, uint64_t len)
{
	store(AT2 + at + TD_DMA_SRC, 8, src);
	store(AT2 + at + TD_DMA_DST, 8, dst);
	store(AT2 + at + TD_DMA_LEN, 8, len);
	store(AT2 + at + TD_DMA_CMD, 4, TD_COPY);
	return (uint32_t)load(AT2 + at + TD_DMA_STATUS, 4);
}

/* Another device writes into the BAR, by the address that the guest has it at. */
static void test_peer(void **state)
{
	struct uvfio_vm_device *dev = assign("testdev,ram_memory=on", NULL, 0);
	struct uvfio_vm_device *other = assign("testdev", NULL, 0x1000000);
	uint32_t *ram = mmap(NULL, K4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uvfio_vm_memory m = { .size = K4, .host = ram, .fd = -1 };
	uint16_t command = 0;

	assert_int_equal(uvfio_vm_memory_add(g.vm, &m), 0);
	m = (struct uvfio_vm_memory){
		.gpa = g.gpa, .size = g.size, .host = g.host, .fd = -1, .flags = UVFIO_VM_MEM_PEER
	};
	assert_int_equal(uvfio_vm_memory_add(g.vm, &m), 0);
	/* it is the BAR itself that is there: not in the way of its piece */
	assert_int_equal(g.maps, 1);
	ram[0] = 0x1234;
	assert_int_equal(copy(0x1000000, 0, AT0 + 0x2000, 4), TD_OK);
	assert_int_equal(g.host[0x800], 0x1234);
	g.host[0x801] = 0x777;
	assert_int_equal(copy(0x1000000, AT0 + 0x2004, 0x100, 4), TD_OK);
	assert_int_equal(ram[0x40], 0x777);
	/* nobody decodes that: no memory is written behind the device's back */
	assert_true(vm_device_rw(dev, 7, PCI_COMMAND, &command, 2, true));
	ram[0] = 0x4321;
	assert_int_equal(copy(0x1000000, 0, AT0 + 0x2000, 4), TD_FAULT);
	command = PCI_COMMAND_MEMORY;
	assert_true(vm_device_rw(dev, 7, PCI_COMMAND, &command, 2, true));
	assert_int_equal(g.host[0x800], 0x1234);
	/* it goes for good */
	uvfio_vm_unassign(dev);
	assert_int_equal(copy(0x1000000, 0, AT0 + 0x2000, 4), TD_FAULT);
	assert_int_equal(uvfio_vm_memory_remove(g.vm, AT0, RAM), 0);
	uvfio_vm_unassign(other);
	munmap(ram, K4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peer, setup, teardown),
	};

	log_set(2, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
