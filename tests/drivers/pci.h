/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/drivers/pci.h: what the user-level drivers in this folder ask of VFIO: a device by its
 * address through group and type1, its BARs mapped, memory for DMA, interrupts as eventfds. Like
 * libvfn's vfn/vfio and vfn/iommu in its sequence of calls; of libc and <linux/vfio.h> alone, so
 * that one binary runs on uvfio and on the kernel's vfio-pci.
 *
 * Where only a broken machine refuses, the program ends with a line that says what was asked.
 */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "lib/saw.h"
#include "lib/vfio.h"

struct pci_device {
	char address[32];
	struct vfio vfio;
	uint64_t class; /* of sysfs */
	struct vfio_device_info info;
	struct {
		uint64_t offset, size;
		uint32_t flags;
	} region[VFIO_PCI_NUM_REGIONS];
	struct vfio_irq_info irq[VFIO_PCI_NUM_IRQS];
	uint64_t next_iova;
	unsigned num_ranges;
	struct vfio_iova_range range[16]; /* where IOVAs may lie */
};

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *fmt, ...);
uint64_t now_ns(void);

/* DMA memory is that of memfds, which a server can map, instead of private memory. */
extern bool pci_dma_shared;

void pci_open(struct pci_device *v, const char *address);
void pci_close(struct pci_device *v);
/* Map @size bytes (no more than there are) of a BAR from @offset on. */
volatile void *pci_map_bar(struct pci_device *v, unsigned bar, uint64_t size, uint64_t offset,
			   int prot);
/* Memory of whole pages, zeroed, that the device finds at *@iova. */
void *pci_dma_alloc(struct pci_device *v, size_t size, uint64_t *iova);
void pci_dma_free(struct pci_device *v, void *p, size_t size, uint64_t iova);
uint32_t pci_config_read(const struct pci_device *v, unsigned offset, unsigned size);
void pci_config_write(const struct pci_device *v, unsigned offset, unsigned size, uint32_t value);
/* Vectors @start to @start + @count of interrupt @index signal @fds (-1: none). 0 or -errno. */
int pci_set_eventfds(const struct pci_device *v, unsigned index, unsigned start, unsigned count,
		     const int *fds);
/*
 * VFIO_IRQ_SET_ACTION_MASK, _UNMASK or, with @count 0, _TRIGGER to switch off; no data. 0 or
 * -errno.
 */
int pci_irq_action(const struct pci_device *v, unsigned index, unsigned start, unsigned count,
		   uint32_t action);
int pci_reset(const struct pci_device *v);
int new_eventfd(void);

/* Registers, as compilers make them of volatile accesses: one mov of that width. */
static inline uint32_t mmio_read32(const volatile void *p)
{
	return *(const volatile uint32_t *)p;
}

static inline void mmio_write32(volatile void *p, uint32_t v)
{
	*(volatile uint32_t *)p = v;
}

/*
 * 64-bit registers in two halves, since not every device takes 8 bytes: low half first to read,
 * high half first to write what acts on the low one.
 */
static inline uint64_t mmio_lh_read64(const volatile void *p)
{
	uint32_t low = mmio_read32(p);

	return (uint64_t)mmio_read32((const volatile char *)p + 4) << 32 | low;
}

static inline void mmio_hl_write64(volatile void *p, uint64_t v)
{
	mmio_write32((volatile char *)p + 4, (uint32_t)(v >> 32));
	mmio_write32(p, (uint32_t)v);
}

static inline uint64_t mmio_read64(const volatile void *p)
{
	return *(const volatile uint64_t *)p;
}

static inline void mmio_write64(volatile void *p, uint64_t v)
{
	*(volatile uint64_t *)p = v;
}
#endif
