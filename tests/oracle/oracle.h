/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/oracle/oracle.h: a VFIO client that asks every question whose answer the kernel fixes, and
 * writes the answers down, one a line.
 *
 * The same binary runs under uvfio and in a virtual machine on the kernel's own vfio-pci;
 * tests/oracle/run compares the two. It holds no opinion of what is right: the kernel's answer is.
 * So a line must not depend on what may differ between two machines: numbers of groups, addresses,
 * the time, capabilities that the two devices do not share. It uses libc alone and nothing of
 * uvfio.
 */
#ifndef ORACLE_H
#define ORACLE_H
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/saw.h"
#include "lib/vfio.h"

/* a device under test, by its place in sysfs */
struct dut {
	const char *name; /* "edu", "nvme": the first word of lines that several devices have */
	char addr[32];
	char group[128]; /* "/dev/vfio/7" */
};
extern struct dut edu, nvme, igb, rom, keep;

/*
 * Without it the rest makes no sense: says so and ends the section, which is a difference of its
 * own.
 */
#define MUST(x)                                                                      \
	do {                                                                         \
		if (!(x)) {                                                          \
			printf("gave up at %s:%d: %s: %s\n", __FILE__, __LINE__, #x, \
			       strerror(errno));                                     \
			exit(1);                                                     \
		}                                                                    \
	} while (0)

/* a pointer into nothing */
#define NOWHERE ((void *)8)

/* A container with the groups of @a and @b (may be NULL) and the IOMMU @type. */
struct setup {
	int container, group, group2;
};
struct setup set_up(const struct dut *a, const struct dut *b, unsigned int type);
int open_device(const struct setup *s, const struct dut *d);
void *pages(size_t n); /* n * 4096 bytes, shared, touched */
uint32_t cfg_read(int dev, unsigned int off, unsigned int size);
long cfg_write(int dev, unsigned int off, unsigned int size, uint32_t value);
unsigned int cfg_cap(int dev, uint8_t id); /* offset of a capability, 0: none */
unsigned int cfg_ext_cap(int dev, uint16_t id);
uint32_t bar_read(int dev, unsigned int bar, unsigned int off);
void bar_write(int dev, unsigned int bar, unsigned int off, uint32_t value);

long set_eventfd(int dev, uint32_t index, uint32_t start, int fd);

void test_container(void);
void test_group(void);
void test_handles(void);
void test_type1(void);
void test_type1_v1(void);
void test_type1_dirty(void);
void test_type1_limits(void);
void test_device(void);
void test_regions(void);
void test_config(void);
void test_config_nvme(void);
void test_irq_args(void);
void test_intx(void);
void test_msi(void);
void test_msix(void);
void test_err_req(void);
void test_dma(void);
void test_power(void);
void test_power_keep(void);
void test_rom(void);
void test_memory(void);
void test_files(void);
#endif
