/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * counter_native: the counter (counter.c) driven through uvfio's own API: no /dev/vfio, no shim, no
 * group and container. This is the short way to test a device, or a driver's hardware layer, in one
 * process that a debugger or a sanitizer sees whole.
 *
 *	cc -o counter_native counter_native.c $(pkg-config --cflags --libs uvfio)
 *	./counter_native ./counter.so,step=2
 *
 * It checks the same as counter_driver.c, which is the VFIO program; compare the two.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uvfio/uvfio.h>

#define CHECK(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "counter_native: line %d: %s: not so (%s)\n", __LINE__, \
				#condition, uvfio_strerror(u));                                 \
			exit(1);                                                                \
		}                                                                               \
	} while (0)

#define COUNT  0x00
#define ADD    0x04
#define LIMIT  0x08
#define STATUS 0x0c
#define REPORT 0x10
#define STEP   0x18

/* Wait for an interrupt; how many there were. */
static uint64_t interrupts(int fd, int timeout)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	if (poll(&p, 1, timeout) == 1 && read(fd, &n, sizeof(n)) != sizeof(n))
		n = 0;
	return n;
}

int main(int argc, char **argv)
{
	const char *spec = argc > 1 ? argv[1] : "./counter.so";
	struct uvfio *u = uvfio_new();
	struct uvfio_device *dev;
	volatile uint64_t *laps;
	uint64_t iova;
	uint32_t id, step;
	int irq;

	if (!u)
		return 1;
	CHECK(uvfio_open_model(u, spec, &dev) == 0);
	printf("%s is at %s\n", spec, uvfio_device_address(dev));

	/* Memory that the device reaches at @iova: allocated and mapped in one. */
	laps = uvfio_dma_alloc(u, 4096, &iova);
	CHECK(laps);
	CHECK(uvfio_read(dev, UVFIO_REGION_CONFIG, 0, &id, sizeof(id)) == sizeof(id));
	CHECK(id == 0xc0471234);
	CHECK(uvfio_bus_master(dev, true) == 0);
	step = uvfio_read32(dev, 0, STEP);
	CHECK(step >= 1);

	irq = eventfd(0, EFD_CLOEXEC);
	CHECK(irq >= 0);
	CHECK(uvfio_irq_count(dev, UVFIO_INDEX_MSIX) == 1);
	CHECK(uvfio_irq_enable(dev, UVFIO_INDEX_MSIX, 0, 1, &irq) == 0);
	CHECK(uvfio_write32(dev, 0, LIMIT, 10 * step) == 0);
	CHECK(uvfio_write64(dev, 0, REPORT, iova + 64) == 0);
	CHECK(uvfio_write32(dev, 0, ADD, 9) == 0);
	CHECK(uvfio_read32(dev, 0, COUNT) == 9 * step && laps[8] == 0 && interrupts(irq, 0) == 0);
	CHECK(uvfio_write32(dev, 0, ADD, 3) == 0);
	CHECK(interrupts(irq, 1000) == 1);
	CHECK(laps[8] == 1 && uvfio_read32(dev, 0, STATUS) == 1 &&
	      uvfio_read32(dev, 0, COUNT) == 2 * step);
	CHECK(uvfio_write32(dev, 0, STATUS, 1) == 0);
	printf("a lap by MSI-X: the device wrote %llu\n", (unsigned long long)laps[8]);

	CHECK(uvfio_irq_disable(dev, UVFIO_INDEX_MSIX) == 0);
	CHECK(uvfio_irq_enable(dev, UVFIO_INDEX_INTX, 0, 1, &irq) == 0);
	CHECK(uvfio_write32(dev, 0, ADD, 10) == 0);
	CHECK(interrupts(irq, 1000) == 1 && laps[8] == 2);
	CHECK(uvfio_write32(dev, 0, STATUS, 1) == 0);
	CHECK(uvfio_intx_unmask(dev) == 0);
	CHECK(interrupts(irq, 0) == 0);
	printf("a lap by INTx: the device wrote %llu\n", (unsigned long long)laps[8]);

	/* A driver's mistake, on purpose: an address that nobody mapped. */
	CHECK(uvfio_dma_faults(dev) == 0);
	CHECK(uvfio_write64(dev, 0, REPORT, 0xdead0000) == 0);
	CHECK(uvfio_write32(dev, 0, ADD, 10) == 0);
	CHECK(uvfio_read32(dev, 0, STATUS) == 3 && uvfio_dma_faults(dev) == 1);
	printf("a lap without memory: the IOMMU stopped the device\n");

	CHECK(uvfio_reset(dev) == 0);
	CHECK(uvfio_read32(dev, 0, COUNT) == 0 && uvfio_read32(dev, 0, LIMIT) == 0);
	uvfio_close(dev);
	uvfio_dma_free(u, (void *)laps, 4096, iova);
	uvfio_free(u);
	close(irq);
	printf("ok\n");
	return 0;
}
