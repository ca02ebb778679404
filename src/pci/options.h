/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/options.h: what a user says of a device. */
#ifndef PCI_OPTIONS_H
#define PCI_OPTIONS_H

/* An option as the user gave it, in order. */
struct pci_option {
	const char *name, *value;
};
#endif
