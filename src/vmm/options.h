/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/options.h: the options of uvfio_vm_assign(). */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>

struct uvfio_vm;

/* The bus of the guest that the device is on. */
enum vm_bus {
	VM_BUS_PORT,
	VM_BUS_ROOT,
	VM_BUS_PCI,
	VM_BUS_CONVENTIONAL, /* of a machine without PCI Express */
};

#define VM_HIDDEN_CAPS 32u
#define VM_MSIX_KEEP   UINT32_MAX
#define VM_ID_KEEP     UINT32_MAX

struct vm_options {
	bool rom, mmap, pba_trapped, io, multifunction;
	bool rom_asked;	       /* rom= was given */
	char *rom_file;	       /* or NULL; its own copy */
	unsigned trapped_bars; /* a bit for each BAR that is never mapped */
	unsigned intx_timeout; /* ms; 0: none */
	uint32_t msix_bar;     /* VM_MSIX_KEEP, or the BAR where the table is shown */
	enum vm_bus bus;
	uint32_t vendor, device, subvendor, subdevice; /* VM_ID_KEEP: the device's */
	uint16_t hide[VM_HIDDEN_CAPS];		       /* extended capabilities */
	unsigned num_hide;
	bool iommu_vmm;
	bool has_token;
	uint8_t token[16]; /* as in the text */
};

/* Read @text (NULL: none). 0 or -EINVAL, -ENOMEM with a sentence for @vm. */
int vm_options_parse(struct uvfio_vm *vm, const char *text, struct vm_options *o);
void vm_options_fini(struct vm_options *o);
#endif
