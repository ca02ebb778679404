/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/pci_address.h: where a PCI function is, in numbers. A text is made of it, and read, only
 * here.
 */
#ifndef BASE_PCI_ADDRESS_H
#define BASE_PCI_ADDRESS_H
#include <stdbool.h>
#include <stdint.h>

struct pci_address {
	uint16_t segment;
	uint8_t bus;
	uint8_t device;	  /* 0 to 31 */
	uint8_t function; /* 0 to 7 */
};

#define PCI_ADDRESS_TEXT 16u /* bytes of a text, with the null byte */

/* Read "[SSSS:]BB:DD.F" as lspci writes it, in hexadecimal. 0 or -EINVAL. */
int pci_address_parse(const char *text, struct pci_address *out);
/* Write "0000:01:00.0". */
void pci_address_print(const struct pci_address *a, char out[PCI_ADDRESS_TEXT]);
/*
 * Compute where VF @index of @pf is, from the SR-IOV capability's First VF Offset and VF Stride
 * (PCIe 6.0, 9.2.1.2). False: beyond the last bus.
 */
bool pci_address_of_vf(const struct pci_address *pf, unsigned offset, unsigned stride,
		       unsigned index, struct pci_address *out);

static inline bool pci_address_equal(const struct pci_address *a, const struct pci_address *b)
{
	return a->segment == b->segment && a->bus == b->bus && a->device == b->device &&
	       a->function == b->function;
}
/* Return device and function in one byte, as a routing ID has them. */
static inline uint8_t pci_address_devfn(const struct pci_address *a)
{
	return (uint8_t)(a->device << 3 | a->function);
}
#endif
