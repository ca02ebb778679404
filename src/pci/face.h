/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/face.h: what a bus sees of a PCI function, whoever makes it: config space, BARs, SR-IOV. That
 * is all that firmware, sysfs and lspci need to know. A function of pci/ fills it
 * (pci_function_face()); hardware that is elsewhere fills it from what it was told.
 */
#ifndef PCI_FACE_H
#define PCI_FACE_H
#include <stdbool.h>
#include <stdint.h>

#define PCI_CFG_SIZE	 256u
#define PCI_CFG_EXP_SIZE 4096u
#define PCI_BARS	 6u
#define PCI_ROM_BAR	 6u

struct pci_bar {
	uint64_t size;	/* 0: absent (also the upper half of a 64-bit BAR) */
	unsigned flags; /* UVFIO_BAR_* */
};

/* A PF's SR-IOV capability; total 0: the function is no PF. */
struct pci_face_sriov {
	unsigned total, offset, stride; /* TotalVFs, First VF Offset, VF Stride */
	uint16_t vf_device_id;
	struct pci_bar bars[PCI_BARS]; /* of one VF */
	const char *host_driver;       /* driver of a host that the PF can have; NULL: none */
};

struct pci_face {
	const struct pci_face_ops *ops;
	void *hardware;		     /* for @ops */
	const char *model, *summary; /* words for a user; @summary may be NULL */
	unsigned config_size;	     /* 256 or 4096 */
	struct pci_bar bars[PCI_BARS + 1];
	struct pci_face_sriov sriov;
	const struct pci_face *pf; /* of a VF; NULL: it is none */
	unsigned vf_index;
};

/*
 * Config space as the bus accesses it: 1, 2 or 4 bytes, aligned and inside; any other read is all
 * ones. By any thread.
 */
struct pci_face_ops {
	uint32_t (*config_read)(void *hardware, unsigned off, unsigned size);
	void (*config_write)(void *hardware, unsigned off, unsigned size, uint32_t value);
};

static inline uint32_t pci_face_read(const struct pci_face *f, unsigned off, unsigned size)
{
	return f->ops->config_read(f->hardware, off, size);
}
static inline void pci_face_write(const struct pci_face *f, unsigned off, unsigned size,
				  uint32_t value)
{
	f->ops->config_write(f->hardware, off, size, value);
}
/* Read all of config space; returns how many bytes. */
unsigned pci_face_config(const struct pci_face *f, uint8_t buf[PCI_CFG_EXP_SIZE]);
/* Return the offset of a capability; 0: there is none. */
unsigned pci_face_find_cap(const struct pci_face *f, uint8_t id);
unsigned pci_face_find_ext_cap(const struct pci_face *f, uint16_t id);
unsigned pci_face_power_state(const struct pci_face *f); /* 0..3 */
/*
 * Return where BAR @bar is on the bus now (6: the ROM; PCI_FACE_VF_BARS and up, of a PF: that BAR
 * of its first VF); 0: there is none.
 */
#define PCI_FACE_VF_BARS 7u
uint64_t pci_face_bar_address(const struct pci_face *f, unsigned bar);
/* Return the config register of a BAR of the function's own, or of the VFs' BARs of a PF. */
unsigned pci_face_bar_register(const struct pci_face *f, unsigned bar);
#endif
