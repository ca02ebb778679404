/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/come_back/native.c: the edu device behind a socket by uvfio's own interfaces. It stores to
 * a register, prints "ready", waits for a line of its input, and says what the register has.
 *
 *	come_back_native open|assign PATH
 */
#include <stdio.h>
#include <string.h>
#include <uvfio/uvfio.h>
#include <uvfio/vmm.h>

#define LIVE  0x04u
#define VALUE 0x12345678u
#define WHERE 0xe0000000u

static void wait_for_line(void)
{
	char line[16];

	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		puts("no line");
}

/* True if the register has the inverse of what was stored, as the device has it. */
static int tell(uint32_t value)
{
	printf("%s\n", value == ~VALUE ? "it goes on" : "it does not go on");
	return value != ~VALUE;
}

static int by_open(const char *path)
{
	struct uvfio *u = uvfio_new();
	struct uvfio_device *dev;
	uint64_t iova;
	uint32_t value;

	if (!u || uvfio_open(u, path, &dev)) {
		printf("%s\n", u ? uvfio_strerror(u) : "no machine");
		return 1;
	}
	uvfio_write32(dev, 0, LIVE, VALUE);
	wait_for_line();
	if (!uvfio_dma_alloc(u, 4096, &iova))
		printf("%s\n", uvfio_strerror(u));
	value = uvfio_read32(dev, 0, LIVE);
	uvfio_close(dev);
	uvfio_free(u);
	return tell(value);
}

static void intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool level)
{
}

static void msi(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
}

static int by_assign(const char *path)
{
	static const struct uvfio_vm_irq_ops irq = { .intx = intx, .msi = msi };
	struct uvfio_vm *vm = uvfio_vm_new(NULL, NULL);
	struct uvfio_vm_device *dev;
	uint64_t value = VALUE;

	if (!vm || uvfio_vm_use_irq_ops(vm, &irq, NULL) || uvfio_vm_assign(vm, path, NULL, &dev)) {
		printf("%s\n", vm ? uvfio_vm_strerror(vm) : "no guest");
		return 1;
	}
	uvfio_vm_config_write(dev, 0x10, 4, WHERE);
	uvfio_vm_config_write(dev, 4, 2, 2);
	uvfio_vm_mmio(vm, WHERE + LIVE, 4, &value, true);
	wait_for_line();
	value = 0;
	uvfio_vm_mmio(vm, WHERE + LIVE, 4, &value, false);
	uvfio_vm_free(vm);
	return tell((uint32_t)value);
}

int main(int argc, char **argv)
{
	char path[256];

	if (argc != 3)
		return 2;
	snprintf(path, sizeof(path), "vfio-user:%s", argv[2]);
	return !strcmp(argv[1], "open") ? by_open(path) : by_assign(path);
}
