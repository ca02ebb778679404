/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/internal.h: what the files of machine/ share. */
#ifndef MACHINE_INTERNAL_H
#define MACHINE_INTERNAL_H
#include "machine/machine.h"
#include "vfio_pci/vfio_pci.h"

/* ---- spec.c ---- */
struct machine_addr {
	uint16_t domain;
	uint8_t bus, dev, fn;
};
/* "MODEL,opt=val,..." in pieces, which point into text. */
struct machine_spec {
	char *text;
	const char *model;
	struct pci_option *opts; /* the model's own */
	unsigned num_opts;
	struct machine_addr addr;
	bool has_addr, has_group;
	enum vfio_pci_mmap mmap;
	unsigned group;
	const char *id;
};
int machine_spec_parse(const char *text, struct machine_spec *s, char **err);
void machine_spec_free(struct machine_spec *s);
/* "[DDDD:]BB:DD.F" as lspci writes it. 0 or -EINVAL */
int machine_addr_parse(const char *text, struct machine_addr *a);
void machine_addr_print(const struct machine_addr *a, char out[16]);
/* Give the user a sentence (unless @err is NULL) and return @rc. */
int machine_fail(char **err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- model.c ---- */
/*
 * The model that the first word of a spec names: built in, or in a shared object; *@handle is then
 * to be dlclose()d, else NULL.
 */
int machine_model(const char *name, const struct uvfio_model **model, void **handle, char **err);
bool machine_model_is_path(const char *name);

/* ---- firmware.c ---- */
/* What is given out next in each space of bus addresses. */
struct machine_spaces {
	uint64_t io, mem32, mem64;
};
void machine_spaces_init(struct machine_spaces *s);
/*
 * Give every BAR and the ROM an address and turn decoding on, as a firmware does at boot. -ENOSPC.
 */
int machine_assign(struct machine_spaces *s, pci_function *fn, char **err);
/* Where a BAR (6: the ROM) is now. */
uint64_t machine_bar_address(pci_function *fn, unsigned bar);

/* ---- machine.c, claim.c ---- */
struct machine_group {
	struct iommu_group *iommu;
	struct vfio_group *vfio;
	unsigned id;
	int claim; /* the locked descriptor; -1: not claimed */
};
struct machine_slot {
	struct machine_device d;
	struct machine_group *group;
	struct machine_spec spec; /* option texts live as long as the device */
};
struct machine {
	struct vfio_system *sys;
	struct machine_spaces spaces;
	struct machine_slot **slots;
	unsigned num_slots;
	struct machine_group **groups;
	unsigned num_groups;
	char *claim_dir;
	struct machine *next_abandoned;
};
/* Give up all claims; @abandon: close only, the lock is the parent's. */
void machine_claims_drop(struct machine *m, bool abandon);
#endif
