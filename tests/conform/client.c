/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program for tests/conform.sh, which is uvfio's client under test: it opens the device behind a
 * socket, maps memory for its DMA, reads its registers, and stays until it is ended.
 *	client PATH MEMORY, which is the value of the option memory=
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uvfio/uvfio.h>

#define SIZE 0x10000u

int main(int argc, char **argv)
{
	struct uvfio *u = uvfio_new();
	struct uvfio_device *dev;
	uint16_t command = 6; /* memory, bus master */
	uint8_t config[256];
	char spec[256], addr[13];
	void *rw, *ro;
	int rc;

	if (!u || argc != 3)
		return 2;
	rw = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ro = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	snprintf(spec, sizeof(spec), "socket=%s,memory=%s", argv[1], argv[2]);
	rc = uvfio_dma_map(u, 0x100000, rw, SIZE, UVFIO_DMA_READ | UVFIO_DMA_WRITE);
	if (!rc)
		rc = uvfio_dma_map(u, 0x200000, ro, SIZE, UVFIO_DMA_READ);
	if (!rc)
		rc = uvfio_add(u, spec, addr);
	if (!rc)
		rc = uvfio_open(u, addr, &dev);
	if (rc) {
		fprintf(stderr, "%s: %s\n", spec, uvfio_strerror(u));
		return 1;
	}
	if (uvfio_write(dev, UVFIO_REGION_CONFIG, 4, &command, sizeof(command)) !=
		    sizeof(command) ||
	    uvfio_read(dev, UVFIO_REGION_CONFIG, 0, config, sizeof(config)) != sizeof(config))
		return 1;
	uvfio_read32(dev, 0, 0);
	uvfio_read32(dev, 0, 4);
	for (;;)
		pause();
}
